/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: what the control plane asked for, as port pairs, next hops and flow rules. All of it belongs to the main thread. */
#ifndef DATAPLANE_SESSION_H
#define DATAPLANE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/api.h"
#include "dataplane/flow_crypto.h"
#include "dataplane/next_hop.h"
#include "dataplane/pool.h"
#include "dataplane/rule.h"

struct session_endpoint {
	union host ip;
	uint16_t port; /* host order; 0 = none */
	uint32_t next_hop;
};

/* What of a side's counters is in its realm's totals already; their low bits. */
struct session_accounted {
	uint32_t packets, octets, relayed, lost, wrong_source, malformed, policed, events;
};

struct session_side {
	struct flow *flow;
	union host ip; /* ours */
	uint16_t realm; /* number in pools->realm; it stays this one's until the side is gone */
	uint16_t epoch; /* of its addresses */
	uint16_t arming; /* how often it was to be learnt anew */
	uint8_t family, latching, flags;
	uint8_t telephone_event;
	uint8_t suite_from, suite_to; /* enum dp_srtp_suite: of what it sends, of what it is sent */
	bool silent; /* has been reported */
	bool rearmed; /* in this silence */
	uint8_t marking; /* pools->marking when its rule was made */
	uint32_t rate; /* kbit/s; 0 = no limit */
	uint64_t waiting_us; /* since when media is expected */
	struct session_endpoint rtp, rtcp, signalling;
	struct flow_crypto *crypto; /* of what arrives from it; NULL: never was SRTP */
	struct session_accounted accounted;
};

struct session_stream {
	uint8_t kind;
	struct session_side side[2];
};

struct session {
	uint64_t id; /* 0 = free slot */
	uint64_t generation;
	uint64_t created_us;
	uint32_t owner;
	uint32_t next_free;
	uint16_t blob_length;
	uint8_t streams;
	uint16_t worker;
	void *blob;
	struct session_stream *stream;
};

/* Media from the sides in a realm since the start; `streams` is how many sides there are now. Each grows only: `lost` counts what a
 * second found lost, late packets are not taken back. */
struct realm_totals {
	uint64_t streams, packets, octets, relayed, lost, wrong_source, malformed, policed, events;
};

struct sessions {
	struct pools *pools;
	struct next_hops *next_hops;
	struct rule_store *rules;
	struct crypto_store crypto;
	uint16_t worker_count;
	uint32_t max; /* sessions at a time; may be fewer than there are */
	uint32_t room; /* slots that there is memory for */
	uint32_t used, next_free, high; /* `high`: slots ever used are below */
	uint64_t total;
	struct session *slot;
	struct realm_totals *realm; /* as many as pools->realm */
};

/* `srtp`: NULL = requests with keys are refused. 0 or -ENOMEM. */
int sessions_init(struct sessions *t, struct pools *pools, struct next_hops *next_hops,
	struct rule_store *rules, struct srtp_store *srtp, uint32_t max, uint16_t workers);
void sessions_fini(struct sessions *t);
/* Memory for `max` at a time; how many there may be is not changed by it. 0 or -ENOMEM. */
int sessions_reserve(struct sessions *t, uint32_t max);
/* From now on; no more than there is memory for. Those there are go on. */
void sessions_limit(struct sessions *t, uint32_t max);

/* As the API says (api.h): whole states, all or nothing. `blob` has request->blob_length bytes. Create: *id is set. */
int session_create(struct sessions *t, const struct dp_session_request *request, const void *blob,
	uint64_t now_us, uint64_t *id);
int session_update(
	struct sessions *t, const struct dp_session_request *request, const void *blob, uint64_t now_us);
/* -ENOENT. Ports, next hops and rules go back. */
int session_delete(struct sessions *t, uint64_t id);
/* length <= DP_BLOB_MAX. 0, -ENOENT, -ENOMEM, -EINVAL. */
int session_set_blob(struct sessions *t, uint64_t id, const void *blob, size_t length);
/* NULL: no such session. */
struct session *session_find(const struct sessions *t, uint64_t id);
/* The next one in slot order behind `after` (0 = first); NULL: none. */
struct session *session_next(const struct sessions *t, uint64_t after);

void session_reply(const struct session *s, struct dp_session_reply *reply);
void session_info(const struct session *s, uint64_t now_us, struct dp_session_info *info);

/* Once a second: keys of a side that were replaced long ago are given back. */
void session_expire_keys(struct sessions *t, struct session_side *side, uint64_t now_us);

/* Learn this side anew: it has been silent (relatch). What is sent to it goes on as before until then. 0 or -ENOSPC. */
int session_rearm(struct sessions *t, struct session *s, unsigned stream, unsigned side);

/* Its realms mark media differently now: what arrives from this side leaves so from here on. Does nothing where that is so. */
void session_remark(struct sessions *t, struct session *s, unsigned stream, unsigned side);

/* session_info.c: adds to its realm's totals what a side's flow has counted since the last time. Once a second for each. */
void session_account(struct sessions *t, struct session_side *side);
/* What session_account brought together, and of sessions that are gone all. `realm` as in pools->realm; NULL: no such. */
const struct realm_totals *session_realm_totals(const struct sessions *t, uint16_t realm);

/* request.c: everything about a request that can be known without the tables' state. 0 or -EINVAL. */
int request_validate(const struct dp_session_request *request, size_t length);

#endif
