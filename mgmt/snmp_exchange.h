/* SPDX-License-Identifier: BSD-3-Clause */
/* What the main loop and the thread that speaks with snmpd hand each other. Neither waits for the other but a reader for fresh rows, a while. */
#ifndef MGMT_SNMP_EXCHANGE_H
#define MGMT_SNMP_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "mgmt/snmp_notify.h"
#include "mgmt/snmp_view.h"

enum snmp_rows_kind { SNMP_ROWS_STATE, SNMP_ROWS_CALLS, SNMP_ROWS_KINDS };
enum { SNMP_SOCKET_MAX = 108 };

struct snmp_exchange;

struct snmp_orders {
	char socket[SNMP_SOCKET_MAX];
	bool enabled, end;
};

/* `wake_loop` is borrowed until the thread has ended. 0 or -errno. */
int snmp_exchange_new(uv_async_t *wake_loop, struct snmp_exchange **out);
void snmp_exchange_free(struct snmp_exchange *exchange);

/* --- main loop --- */
void snmp_exchange_order(struct snmp_exchange *exchange, const struct snmp_orders *orders);
/* Somebody waits for these rows: true once, until they are published. */
bool snmp_exchange_is_wanted(struct snmp_exchange *exchange, enum snmp_rows_kind kind);
/* Takes `view` over. NULL: they could not be made; what there was stays. */
void snmp_exchange_publish(struct snmp_exchange *exchange, enum snmp_rows_kind kind, struct snmp_view *view);
/* Lets rows go that nobody has read for so long. */
void snmp_exchange_forget(struct snmp_exchange *exchange, enum snmp_rows_kind kind, uint64_t unused_ms);
/* One at a time: false, there is one under way. */
bool snmp_exchange_give(struct snmp_exchange *exchange, const struct snmp_notice *notice);
enum snmp_outcome { SNMP_NO_NEWS, SNMP_ARRIVED, SNMP_NOT_ARRIVED };
/* Of the notice under way; other than SNMP_NO_NEWS it is under way no more. */
enum snmp_outcome snmp_exchange_outcome(struct snmp_exchange *exchange);
bool snmp_exchange_connected(struct snmp_exchange *exchange);

/* --- thread --- */
int snmp_exchange_descriptor(const struct snmp_exchange *exchange); /* readable: there is news */
/* Reads the descriptor empty. */
void snmp_exchange_orders(struct snmp_exchange *exchange, struct snmp_orders *out);
/* Rows that are fresh; asks for them and waits if there are none. NULL: they could not be had. The caller's until put. */
struct snmp_view *snmp_exchange_get(struct snmp_exchange *exchange, enum snmp_rows_kind kind);
void snmp_exchange_put(struct snmp_exchange *exchange, struct snmp_view *view);
/* The notice to send, once; false: none. */
bool snmp_exchange_take(struct snmp_exchange *exchange, struct snmp_notice *out);
void snmp_exchange_told(struct snmp_exchange *exchange, bool arrived);
void snmp_exchange_connect(struct snmp_exchange *exchange, bool connected);

#endif
