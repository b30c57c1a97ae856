/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of one direction of a stream: what arrives from one side is opened with `in`, and sent on to the other protected with
 * `out`. They live with the session, whatever happens to its addresses and ports (RFC 3711: rollover counter, replay list and packet
 * count belong to a key); streams without SRTP have none. Main makes and withdraws them, the flow's worker uses them. */
#ifndef DATAPLANE_FLOW_CRYPTO_H
#define DATAPLANE_FLOW_CRYPTO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/api.h"

struct rte_rcu_qsbr;
struct srtp_context;
struct srtp_store;
struct crypto_key;

enum {
	CRYPTO_ALIGN = 64,
	/* A key that was replaced: longer than a transaction lasts (RFC 3261 section 17.1.1.2, 64 * T1), because one that fails takes
	 * the offer back and with it the key. */
	CRYPTO_OLD_US = 40000000,
};

/* The first line is the worker's. */
struct flow_crypto {
	struct srtp_context *_Atomic in; /* rcu, as the next two: main publishes. NULL: plain */
	struct srtp_context *_Atomic old; /* the key before `in`; NULL: none any more */
	struct srtp_context *_Atomic out;
	uint64_t auth_failed, replayed; /* owner: worker, as the next three; counters read by anybody */
	uint64_t alarm_us;
	uint16_t
		confirmed; /* `in_number` of which a packet was authenticated: `old` is refused from then on */
	uint16_t warned_in, warned_out; /* numbers of the keys whose lifetime has been reported */
	_Atomic uint16_t in_number, out_number; /* main: grow with each key, after it was published */
	uint8_t reserved[6];

	/* owner: main thread */
	struct crypto_key *in_key, *old_in_key, *out_key, *old_out_key;
	uint64_t replaced_us; /* when the newest of the old ones was */
	struct flow_crypto *next; /* of those to be freed */
	uint64_t token;
	uint8_t reserved2[8];
} __attribute__((aligned(CRYPTO_ALIGN)));

/* Keys and directions that wait until no worker can hold them. owner: main thread */
struct crypto_store {
	struct rte_rcu_qsbr *rcu;
	struct srtp_store *srtp; /* NULL: no SRTP here */
	struct crypto_key *keys, *keys_last; /* the oldest first */
	struct flow_crypto *flows, *flows_last;
};

enum crypto_change_kind {
	CRYPTO_KEEP, /* the key, or that there is none */
	CRYPTO_REPLACE,
	CRYPTO_RETURN, /* to the one before */
	CRYPTO_REMOVE,
};

struct crypto_change {
	enum crypto_change_kind kind;
	struct crypto_key *key; /* CRYPTO_REPLACE */
};

/* What a request changes of a direction. All that can fail has been done in it; it is either undone or committed. */
struct crypto_plan {
	struct flow_crypto *flow; /* the direction's from now on; NULL: plain, and always was */
	struct crypto_change in, out;
	bool fresh; /* `flow` was made for this plan */
};

/* `srtp` outlives it; NULL: requests with keys are refused. */
void crypto_store_init(struct crypto_store *s, struct rte_rcu_qsbr *rcu, struct srtp_store *srtp);
/* All of them, whoever holds them: no worker runs any more. */
void crypto_store_fini(struct crypto_store *s);
/* Frees, and clears, what no worker can hold by now. Bounded by what has been withdrawn. */
void crypto_store_reclaim(struct crypto_store *s);

/* `current`: the direction's as it is, NULL = none. `from`: of the side where packets come from; `to`: of where they go.
 * 0, -ENOMEM, -EOPNOTSUPP; nothing of `current` has changed. */
int crypto_plan(struct crypto_store *s, struct flow_crypto *current, const struct dp_crypto *from,
	const struct dp_crypto *to, struct crypto_plan *p);
void crypto_plan_undo(struct crypto_store *s, struct crypto_plan *p);
/* New keys are there for the workers when it returns, before the rules that ask for them. What they replace still opens packets until
 * one of the new key has come, CRYPTO_OLD_US at most; a key that comes back in that time goes on where it was. */
void crypto_plan_commit(struct crypto_store *s, struct crypto_plan *p, uint64_t now_us);
/* After the rules that know nothing of SRTP any more: withdraws the keys that the plan has not. */
void crypto_plan_finish(struct crypto_store *s, struct crypto_plan *p);

/* Once a second: withdraws replaced keys whose time is over. */
void crypto_expire(struct crypto_store *s, struct flow_crypto *f, uint64_t now_us);
/* The direction ends, its rule has been withdrawn. NULL is fine. */
void crypto_retire(struct crypto_store *s, struct flow_crypto *f);

#endif
