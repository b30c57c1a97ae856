/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of directions: kept across updates that repeat them, replaced, taken back, freed when no worker can hold them. */
#include "dataplane/flow_crypto.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_config.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/srtp.h"

_Static_assert(offsetof(struct flow_crypto, in_key) == CRYPTO_ALIGN, "line 0: what the worker touches");
_Static_assert(sizeof(struct flow_crypto) == 2 * CRYPTO_ALIGN, "memory of a direction with SRTP");

/* A context with its place in the queue of those that wait to be freed. */
struct crypto_key {
	struct srtp_context *context;
	struct crypto_key *next;
	uint64_t token;
};

void crypto_store_init(struct crypto_store *s, struct rte_rcu_qsbr *rcu, struct srtp_store *srtp)
{
	*s = (struct crypto_store){ .rcu = rcu, .srtp = srtp };
}

static void key_free(struct crypto_store *s, struct crypto_key *k)
{
	if (k == NULL)
		return;
	srtp_context_free(s->srtp, k->context);
	free(k);
}

static int key_new(struct crypto_store *s, const struct dp_crypto *crypto, enum srtp_direction direction,
	struct crypto_key **out)
{
	struct crypto_key *k;
	int status;

	if (s->srtp == NULL)
		return -EOPNOTSUPP;
	k = calloc(1, sizeof(*k));
	status = k == NULL ? -ENOMEM : srtp_context_new(s->srtp, crypto, direction, &k->context);

	if (status != 0) {
		free(k);
		return status;
	}
	*out = k;
	return 0;
}

/* It is not published any more. */
static void key_retire(struct crypto_store *s, struct crypto_key *k)
{
	if (k == NULL)
		return;
	/* Pairs with the fence of a worker that comes online, as in rule_publish. */
	atomic_thread_fence(memory_order_seq_cst);
	k->token = rte_rcu_qsbr_start(s->rcu);
	k->next = NULL;
	if (s->keys == NULL)
		s->keys = k;
	else
		s->keys_last->next = k;
	s->keys_last = k;
}

static void reclaim(struct crypto_store *s, bool all)
{
	while (s->keys != NULL && (all || rte_rcu_qsbr_check(s->rcu, s->keys->token, false) == 1)) {
		struct crypto_key *k = s->keys;

		s->keys = k->next;
		key_free(s, k);
	}
	while (s->flows != NULL && (all || rte_rcu_qsbr_check(s->rcu, s->flows->token, false) == 1)) {
		struct flow_crypto *f = s->flows;

		s->flows = f->next;
		free(f);
	}
}

void crypto_store_reclaim(struct crypto_store *s)
{
	reclaim(s, false);
}

void crypto_store_fini(struct crypto_store *s)
{
	reclaim(s, true);
}

static struct srtp_context *context_of(const struct crypto_key *k)
{
	return k != NULL ? k->context : NULL;
}

/* What is to become of one of the two keys. */
static int change_plan(struct crypto_store *s, const struct dp_crypto *crypto, enum srtp_direction direction,
	const struct crypto_key *current, const struct crypto_key *old, struct crypto_change *c)
{
	if (crypto->suite == DP_SRTP_NONE)
		c->kind = current != NULL ? CRYPTO_REMOVE : CRYPTO_KEEP;
	else if (current != NULL && srtp_context_is(current->context, crypto))
		c->kind = CRYPTO_KEEP;
	else if (old != NULL && srtp_context_is(old->context, crypto))
		c->kind = CRYPTO_RETURN;
	else
		c->kind = CRYPTO_REPLACE;
	return c->kind == CRYPTO_REPLACE ? key_new(s, crypto, direction, &c->key) : 0;
}

int crypto_plan(struct crypto_store *s, struct flow_crypto *current, const struct dp_crypto *from,
	const struct dp_crypto *to, struct crypto_plan *p)
{
	static const struct flow_crypto nothing;
	const struct flow_crypto *f = current != NULL ? current : &nothing;
	int status;

	*p = (struct crypto_plan){ .flow = current };
	if (current == NULL && from->suite == DP_SRTP_NONE && to->suite == DP_SRTP_NONE)
		return 0;
	if (current == NULL) {
		p->flow = aligned_alloc(CRYPTO_ALIGN, sizeof(*p->flow));
		if (p->flow == NULL)
			return -ENOMEM;
		memset(p->flow, 0, sizeof(*p->flow));
		p->fresh = true;
	}
	status = change_plan(s, from, SRTP_IN, f->in_key, f->old_in_key, &p->in);
	if (status == 0)
		status = change_plan(s, to, SRTP_OUT, f->out_key, f->old_out_key, &p->out);
	if (status != 0)
		crypto_plan_undo(s, p);
	return status;
}

void crypto_plan_undo(struct crypto_store *s, struct crypto_plan *p)
{
	key_free(s, p->in.key);
	key_free(s, p->out.key);
	if (p->fresh)
		free(p->flow);
	*p = (struct crypto_plan){ 0 };
}

/* `in` and what it replaces; with the number grown last, a worker that knows the number knows the key. */
static void in_publish(struct crypto_store *s, struct flow_crypto *f, struct crypto_key *k)
{
	struct crypto_key *gone = f->old_in_key == k ? NULL : f->old_in_key;

	f->old_in_key = f->in_key;
	f->in_key = k;
	atomic_store_explicit(&f->old, context_of(f->old_in_key), memory_order_release);
	atomic_store_explicit(&f->in, context_of(k), memory_order_release);
	atomic_store_explicit(&f->in_number, (uint16_t)(f->in_number + 1), memory_order_release);
	key_retire(s, gone);
}

static void out_publish(struct crypto_store *s, struct flow_crypto *f, struct crypto_key *k)
{
	struct crypto_key *gone = f->old_out_key == k ? NULL : f->old_out_key;

	f->old_out_key = f->out_key;
	f->out_key = k;
	atomic_store_explicit(&f->out, context_of(k), memory_order_release);
	atomic_store_explicit(&f->out_number, (uint16_t)(f->out_number + 1), memory_order_release);
	key_retire(s, gone);
}

void crypto_plan_commit(struct crypto_store *s, struct crypto_plan *p, uint64_t now_us)
{
	struct flow_crypto *f = p->flow;

	if (f == NULL)
		return;
	if (p->in.kind != CRYPTO_KEEP || p->out.kind != CRYPTO_KEEP)
		f->replaced_us = now_us;
	if (p->in.kind == CRYPTO_REPLACE || p->in.kind == CRYPTO_RETURN)
		in_publish(s, f, p->in.kind == CRYPTO_RETURN ? f->old_in_key : p->in.key);
	if (p->out.kind == CRYPTO_REPLACE || p->out.kind == CRYPTO_RETURN)
		out_publish(s, f, p->out.kind == CRYPTO_RETURN ? f->old_out_key : p->out.key);
}

void crypto_plan_finish(struct crypto_store *s, struct crypto_plan *p)
{
	if (p->flow != NULL && p->in.kind == CRYPTO_REMOVE)
		in_publish(s, p->flow, NULL);
	if (p->flow != NULL && p->out.kind == CRYPTO_REMOVE)
		out_publish(s, p->flow, NULL);
}

void crypto_expire(struct crypto_store *s, struct flow_crypto *f, uint64_t now_us)
{
	if (f == NULL || (f->old_in_key == NULL && f->old_out_key == NULL) || now_us < f->replaced_us ||
		now_us - f->replaced_us < CRYPTO_OLD_US)
		return;
	atomic_store_explicit(&f->old, NULL, memory_order_release);
	key_retire(s, f->old_in_key);
	key_retire(s, f->old_out_key);
	f->old_in_key = f->old_out_key = NULL;
}

void crypto_retire(struct crypto_store *s, struct flow_crypto *f)
{
	if (f == NULL)
		return;
	key_retire(s, f->in_key);
	key_retire(s, f->old_in_key);
	key_retire(s, f->out_key);
	key_retire(s, f->old_out_key);
	f->in_key = f->old_in_key = f->out_key = f->old_out_key = NULL;
	f->token = rte_rcu_qsbr_start(s->rcu);
	f->next = NULL;
	if (s->flows == NULL)
		s->flows = f;
	else
		s->flows_last->next = f;
	s->flows_last = f;
}
