/* SPDX-License-Identifier: BSD-3-Clause */
/* libosip2's four transaction state machines, detached: they decide states, retransmissions and timers; bytes, tables,
 * addresses and messages stay with us.
 *
 * The machines are fed with skeletons (one small parsed message per kind of event, lent and taken back), never with what
 * came from the network: real messages live in struct message, sent bytes in struct transaction. So a repetition needs no
 * printing, no peer's Via can redirect a response, and a machine can be dropped at any time. */
#ifndef CONTROLPLANE_OSIP_MACHINE_H
#define CONTROLPLANE_OSIP_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"

struct osip_engine; /* one osip_t and its skeletons; owner: one shard */
struct osip_machine; /* one osip_transaction_t */

enum machine_kind { MACHINE_ICT, MACHINE_NICT, MACHINE_IST, MACHINE_NIST };

enum machine_state {
	MACHINE_CALLING, /* ICT */
	MACHINE_TRYING, /* NICT, NIST */
	MACHINE_PROCEEDING, /* all */
	MACHINE_COMPLETED, /* all; of an ICT the ACK has been asked for */
	MACHINE_CONFIRMED, /* IST: ACK received */
	MACHINE_TERMINATED, /* all */
};

enum machine_event {
	MACHINE_SEND_REQUEST,
	MACHINE_RECEIVE_REQUEST,
	MACHINE_RECEIVE_ACK,
	MACHINE_RECEIVE_1XX,
	MACHINE_RECEIVE_2XX,
	MACHINE_RECEIVE_FAILURE, /* 3xx to 6xx */
	MACHINE_SEND_1XX,
	MACHINE_SEND_2XX,
	MACHINE_SEND_FAILURE,
	MACHINE_TIMER_RETRANSMIT, /* A, E, G */
	MACHINE_TIMER_GIVE_UP, /* B, F, H */
	MACHINE_EVENT_COUNT
};

/* Milliseconds; 0 = not running. */
struct machine_timers {
	unsigned retransmit; /* A, E, G */
	unsigned give_up; /* B, F, H */
	unsigned linger; /* D, K, I, J: how long the absorbing state lasts */
};

/* What a machine wants sent: its request or last response (again), or the ACK of a failure. Must not run any machine.
 * Returns 0 or -errno for an error that no repetition cures. */
typedef int (*machine_send)(void *arg, bool ack);

/* From the main thread, before the shards run: libosip2's own tables are filled by the first. 0, -ENOMEM or -EINVAL. */
int osip_engine_new(const struct config_sip *timers, machine_send send, struct osip_engine **out);
void osip_engine_free(struct osip_engine *engine);
/* From now on; timers that run go on as they are. */
void osip_engine_set_timers(struct osip_engine *engine, const struct config_sip *timers);

/* `arg` is handed to `send`. NULL without memory. */
struct osip_machine *osip_machine_new(struct osip_engine *engine, enum machine_kind kind, void *arg);
/* Never from within `send`. NULL is fine. */
void osip_machine_free(struct osip_machine *machine);
/* Feeds one event. True if the machine's state takes such an event (RFC 3261 figures 5 to 8), else nothing happened. */
bool osip_machine_run(struct osip_engine *engine, struct osip_machine *machine, enum machine_event event);
enum machine_state osip_machine_state(const struct osip_machine *machine);
/* The timers as the state now wants them; `retransmit` restarts with each event that sends or moves it. */
struct machine_timers osip_machine_timers(const struct osip_machine *machine);

#endif
