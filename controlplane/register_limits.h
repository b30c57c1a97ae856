/* SPDX-License-Identifier: BSD-3-Clause */
/* How many REGISTER requests go where: rates of sources, addresses-of-record and realms, and the places of those who wait for the
 * registrar. Shared by all shards, locked inside, bounded. docs/decisions/0060-registration.md */
#ifndef CONTROLPLANE_REGISTER_LIMITS_H
#define CONTROLPLANE_REGISTER_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/move.h"

struct register_limits;

/* NULL: no memory. */
struct register_limits *register_limits_new(const struct config *config);
void register_limits_free(struct register_limits *limits); /* NULL is fine */
/* As reconfigure.h says. Waiting and sending go on at registrars of the same name. NULL is fine. */
int register_limits_prepare(
	struct register_limits *limits, const struct config_move *move); /* 0 or -ENOMEM */
void register_limits_abort(struct register_limits *limits);
void register_limits_move(struct register_limits *limits, const struct config_move *move);
void register_limits_settle(struct register_limits *limits);

enum register_rate { REGISTER_RATE_SOURCE, REGISTER_RATE_AOR, REGISTER_RATE_REALM, REGISTER_RATE_COUNT };
/* May one more of `key` pass? A keyed hash of what it is about. */
bool register_rate_take(
	struct register_limits *limits, enum register_rate rate, uint64_t key, uint64_t now_us);

struct register_wait {
	size_t agent; /* the registrar's number in the configuration; here and below: of one that is not in it any more nothing is held up */
	uint64_t aor, host; /* keyed hashes: who asks, and from which host (what is shared out fairly) */
	bool known; /* registered already, by this very flow: comes before strangers */
};
/* A REGISTER that begins something: the registrar will challenge it, and hear the answer. 0: go on; else after how many seconds to
 * come back, when its place will have come. */
unsigned register_wait_enter(
	struct register_limits *limits, const struct register_wait *who, uint64_t now_us);
/* What was expected of it has not come: it went no further, or there was no challenge. `parts`: 1 or 2 messages. */
void register_wait_refund(struct register_limits *limits, size_t agent, unsigned parts);
/* The turn of one message to the registrar: in how many microseconds it may go. All messages of all shards together keep the rate. False: later
 * than that, and none is taken. */
bool register_slot(struct register_limits *limits, size_t agent, uint64_t now_us, uint64_t patience_us,
	uint64_t *wait_us);
/* At its turn, right before it leaves. 0: it goes; else in how many microseconds to ask again: turns that came late come no closer together than
 * upstream-rate allows in any second. *place: for register_sent. */
uint64_t register_send(struct register_limits *limits, size_t agent, uint64_t now_us, size_t *place);
/* It has left by now: a machine that is busy may have held it up since. */
void register_sent(struct register_limits *limits, size_t agent, size_t place, uint64_t now_us);
/* Those who have a place and have not come back: for status. Any thread. */
uint32_t register_waiting(struct register_limits *limits);

#endif
