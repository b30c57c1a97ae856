/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard: one thread, one libuv loop, one osip_t, own tables. Shards share only the immutable configuration.
 * A Call-ID, tag or branch of our making names its shard; others go by keyed hash of Call-ID. A message that lands on the
 * wrong shard is passed on by its mailbox. */
#ifndef CONTROLPLANE_SHARD_H
#define CONTROLPLANE_SHARD_H

#include <stdint.h>
#include <uv.h>

#include "config/model.h"
#include "controlplane/api.h"
#include "controlplane/timer_wheel.h"
#include "controlplane/transport.h"
#include "dataplane/client.h"
#include "platforms/base/hash.h"

struct agent_table;
struct transaction_layer;
struct transport;
struct call_table;
struct subscription_table;
struct guard;
struct location;
struct store;
struct record_store;
struct registrar;
struct keep_alive;
struct probe;
struct register_limits;
struct digest_server;
struct admission;
struct alarms;
struct statistics;
struct tls;
struct tls_watch;
struct request_relay;
struct late_leg;

/* What all shards share. Any of them may be NULL (tests): then nobody is registered, and nothing is guarded or stored. */
struct shard_shared {
	struct location *location;
	struct guard *guard;
	struct store *store;
	struct record_store *records;
	struct register_limits *register_limits;
	struct digest_server *digest;
	struct admission *admission;
	struct alarms *alarms;
	struct statistics *statistics;
	struct tls *tls; /* NULL: no connection by TLS, either way */
	struct tls_watch *tls_watch; /* likewise; of the main thread alone */
};

struct shard {
	unsigned index, count;
	const struct config *config; /* immutable */
	struct hash_key shard_key; /* the same in all shards: picks the shard of a Call-ID */
	struct hash_key table_key; /* this shard's tables */
	uint64_t generation; /* of the process */
	uv_loop_t loop;
	struct timer_wheel *timers;
	struct transport *transport;
	struct transaction_layer *transactions;
	struct agent_table *agents;
	struct call_table *calls;
	struct subscription_table *subscriptions;
	struct registrar *registrar;
	struct keep_alive *keep_alive;
	struct probe *probes; /* tests under way */
	struct { /* whose message is being received; keep_alive.c */
		const struct sip_flow *flow; /* NULL: not known */
		struct binding *phone; /* a reference; NULL: of nobody who is registered */
	} heard;
	struct shard_shared shared;
	struct late_leg *late; /* of INVITEs that nobody waits for any more; call_attempt.c */
	struct request_relay *routed; /* under way outside of dialogs; request_relay.c */
	uint32_t routed_requests; /* how many those are */
	struct dp_client *dataplane;
	uint64_t counter[CP_COUNTER_COUNT]; /* owner: this shard; others read relaxed */
	struct shard **all; /* count entries */
	struct shard_private *private;
};

#define shard_count(shard, id) shard_count_many(shard, id, 1)
#define shard_count_many(shard, id, n)                                                                \
	__atomic_store_n(&(shard)->counter[CP_COUNTER_##id], (shard)->counter[CP_COUNTER_##id] + (n), \
		__ATOMIC_RELAXED)

struct daemon;
/* Starts sip-config.shards threads; each opens transport, transactions, calls and its dataplane client on its own loop.
 * 0 or -errno. */
int shards_start(struct daemon *daemon, const struct config *config, const struct shard_shared *shared,
	struct shard ***shards, unsigned *count);
/* Asks every loop to end, joins, frees. */
void shards_stop(struct shard **shards, unsigned count);
/* Runs `run(shard, arg)` on the shard's thread, in order of posting per sender; from any thread. 0, -ENOMEM or -ENOBUFS (mailbox
 * full: it is bounded). */
int shard_post(struct shard *shard, void (*run)(struct shard *, void *), void *arg);
/* Arms the loop's timer for the wheel: called by whoever armed a timer outside of the loop's own callbacks. */
void shard_timers_changed(struct shard *shard);

enum { SHARD_TOKEN_MAX = 24 };
/* A token for Call-IDs, tags and branches that names this shard: two base32 characters of shard, 16 random. Returns buffer. */
const char *shard_token(struct shard *shard, char buffer[SHARD_TOKEN_MAX]);
/* The shard that made the token `text` (behind "z9hG4bK" if there), or -1 if it is none. */
int shard_of_token(struct span text, unsigned count);

#endif
