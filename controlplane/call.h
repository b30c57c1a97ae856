/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls: the back-to-back user agent (RFC 7092) of one shard, from the INVITE of one side to the end of both legs.
 * owner of everything here: the shard's thread. */
#ifndef CONTROLPLANE_CALL_H
#define CONTROLPLANE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/move.h"
#include "controlplane/api.h"
#include "controlplane/transaction.h"
#include "dataplane/api.h"

struct shard;

/* Where the transaction layer delivers new requests: method table, dialogs, new calls, OPTIONS. */
extern const struct transaction_core call_core;

/* Makes the shard's call table. Before the transaction layer is opened. 0 or -ENOMEM. */
int call_layer_open(struct shard *shard);
/* Frees all calls without a word to their peers: established calls and their media go on. After the transaction layer is
 * closed and the dataplane client is freed. */
void call_layer_close(struct shard *shard);

/* Another configuration (reconfigure.h). */
void call_layer_move(struct shard *shard, struct config_move *move);

/* The shard's dataplane client reports (dataplane/client.h). `fresh`: it knows no session of ours, so the media of
 * established calls is gone and they are ended. */
void call_dataplane_up(struct shard *shard, bool fresh);
void call_dataplane_down(struct shard *shard);
void call_dataplane_event(struct shard *shard, enum dp_message type, const struct dp_event *event);

/* For the API. These two from any thread ... */
size_t call_count(const struct shard *shard);
bool call_dataplane_is_up(const struct shard *shard);
/* ... these on the shard's own. */
/* 0 or -ENOENT. */
int call_describe(const struct shard *shard, uint64_t id, struct cp_call *out);
/* Up to `limit` calls with numbers above `after`, ascending. Returns how many; *more = there are others behind them. */
size_t call_list(const struct shard *shard, uint64_t after, struct cp_call *out, size_t limit, bool *more);
/* Ends the calls that `order` means in this shard, up to a bound, whatever state they are in: each side gets what belongs to its state
 * (BYE, CANCEL, 480), with Reason. Returns how many; *after = the last one looked at, *more = there are others behind it. */
/* A dialog of a call or subscription goes by this listener. On the shard's thread. */
bool call_uses_listener(struct shard *shard, const struct listener *listener);
void call_hang_up_listener(struct shard *shard, struct listener *listener); /* all such calls */
uint32_t call_hang_up(struct shard *shard, const struct cp_hangup *order, uint64_t *after, bool *more);

#endif
