/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of one shard: found by our tags, by the dataplane's session, by number. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_attempt.h"
#include "controlplane/call_exchange.h"
#include "controlplane/call_transfer.h"
#include "controlplane/secret.h"
#include "controlplane/subscription.h"
#include "platforms/base/clock.h"

enum { PAGES = 8 /* lists that go on at one time; more of them take longer */ };

struct call_table {
	size_t count; /* others read relaxed */
	bool dataplane_up; /* likewise */
	size_t mask;
	uint64_t last_id;
	struct call *first, *last; /* by ascending number */
	struct call_interim interim;
	/* Where lists are to go on, so that their next page need not be looked for. */
	struct {
		uint64_t after; /* the last call of a page */
		struct call *next; /* the first one behind it; NULL: nothing is kept here */
	} page[PAGES];
	unsigned last_page;
	struct call_tag **tags;
	struct call **sessions;
};

enum { CALL_SHARD_SHIFT = 56 };

int call_layer_open(struct shard *shard)
{
	struct call_table *table = calloc(1, sizeof(*table));
	size_t size = 64;

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < shard->config->ip_profiles_count; i++)
		if (shard->config->ip_profiles[i].media_security != CONFIG_MEDIA_SECURITY_NONE)
			secret_open();
	while (size < 2 * (size_t)shard->config->sip.max_calls)
		size *= 2;
	table->mask = size - 1;
	table->tags = calloc(size, sizeof(struct call_tag *));
	table->sessions = calloc(size, sizeof(struct call *));
	if (!table->tags || !table->sessions) {
		free(table->tags);
		free(table->sessions);
		free(table);
		return -ENOMEM;
	}
	shard->calls = table;
	return subscription_layer_open(shard);
}

void call_layer_close(struct shard *shard)
{
	struct call_table *table = shard->calls;

	if (!table)
		return;
	while (table->first)
		call_free(table->first);
	subscription_layer_close(shard);
	timer_cancel(&table->interim.timer);
	free(table->tags);
	free(table->sessions);
	free(table);
	shard->calls = NULL;
}

size_t call_count(const struct shard *shard)
{
	return __atomic_load_n(&shard->calls->count, __ATOMIC_RELAXED);
}

bool call_dataplane_is_up(const struct shard *shard)
{
	return __atomic_load_n(&shard->calls->dataplane_up, __ATOMIC_RELAXED);
}

void call_dataplane_note(struct shard *shard, bool up)
{
	__atomic_store_n(&shard->calls->dataplane_up, up, __ATOMIC_RELAXED);
}

/* --- tables -------------------------------------------------------------------------------------------------------- */

static struct call_tag **tag_slot(const struct shard *shard, struct span text)
{
	return &shard->calls->tags[hash_bytes(&shard->table_key, text.p, text.n) & shard->calls->mask];
}

void call_tag_insert(struct call_tag *tag, struct leg *leg, const char *text)
{
	struct call_tag **slot = tag_slot(leg->shard, span_from(text));

	*tag = (struct call_tag){ *slot, leg, text };
	*slot = tag;
}

void call_tag_remove(struct call_tag *tag)
{
	struct call_tag **at;

	if (!tag->leg)
		return;
	at = tag_slot(tag->leg->shard, span_from(tag->text));
	while (*at != tag)
		at = &(*at)->next;
	*at = tag->next;
	tag->leg = NULL;
}

static struct call **session_slot(const struct shard *shard, uint64_t session)
{
	return &shard->calls->sessions[hash_bytes(&shard->table_key, &session, sizeof(session)) &
				       shard->calls->mask];
}

void call_session_insert(struct call *call)
{
	struct call **slot;

	if (call_find_session(call->shard, media_session(call->media)))
		return;
	slot = session_slot(call->shard, media_session(call->media));
	call->next_by_session = *slot;
	*slot = call;
}

void call_session_remove(struct call *call)
{
	struct call **at = session_slot(call->shard, media_session(call->media));

	while (*at && *at != call)
		at = &(*at)->next_by_session;
	if (*at)
		*at = call->next_by_session;
}

struct call *call_find_session(struct shard *shard, uint64_t session)
{
	struct call *call = *session_slot(shard, session);

	while (call && media_session(call->media) != session)
		call = call->next_by_session;
	return call;
}

struct leg *call_find_leg(struct shard *shard, const struct scan *request)
{
	for (struct call_tag *tag = *tag_slot(shard, request->to_tag); tag; tag = tag->next) {
		const struct leg *leg = tag->leg;
		struct call_fork *fork;

		if (!span_equal(span_from(tag->text), request->to_tag) ||
			!span_equal(span_from(leg->call_id), request->call_id))
			continue;
		if (leg->remote_tag && span_equal(span_from(leg->remote_tag), request->from_tag))
			return tag->leg;
		/* All branches know us by the same tag: that of the INVITE. */
		fork = leg->side == LEG_CALLED ? call_fork_find(leg->call, request->from_tag) : NULL;
		if (fork)
			return fork->leg[LEG_CALLED];
	}
	return NULL;
}

/* --- calls ---------------------------------------------------------------------------------------------------------- */

int call_new(struct shard *shard, struct call **out)
{
	struct call_table *table = shard->calls;
	struct call *call;
	int error;

	if (table->count >= shard->config->sip.max_calls)
		return -ENOBUFS;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	error = media_new(shard, &call_media_events, call, &call->media);
	if (error) {
		free(call);
		return error;
	}
	call->shard = shard;
	call->id = (uint64_t)shard->index << CALL_SHARD_SHIFT | ++table->last_id;
	call->leg[LEG_CALLER].call = call->leg[LEG_CALLED].call = call;
	call->leg[LEG_CALLER].shard = call->leg[LEG_CALLED].shard = shard;
	call->leg[LEG_CALLED].side = LEG_CALLED;
	call->started_ms = clock_now_ms();
	call->started_wall_ms = clock_wall_ms();
	call->previous = table->last;
	if (table->last)
		table->last->next = call;
	else
		table->first = call;
	table->last = call;
	__atomic_store_n(&table->count, table->count + 1, __ATOMIC_RELAXED);
	call_record_begin(call);
	*out = call;
	return 0;
}

void call_free(struct call *call)
{
	struct call_table *table = call->shard->calls;

	if (call->transfer || call->carry)
		transfer_fini(call);
	/* Only with the whole shard: else call_record_end has closed it. Early dialogs that go have nothing to say to it then. */
	if (call->media) {
		call_session_remove(call);
		media_abandon(call->media);
		call->media = NULL;
	}
	call_forks_free(call, true);
	if (table->interim.next == call)
		table->interim.next = call->next;
	for (unsigned i = 0; i < PAGES; i++)
		if (table->page[i].next == call)
			table->page[i].next = call->next;
	if (call->previous)
		call->previous->next = call->next;
	else
		table->first = call->next;
	if (call->next)
		call->next->previous = call->previous;
	else
		table->last = call->previous;
	__atomic_store_n(&table->count, table->count - 1, __ATOMIC_RELAXED);
	timer_cancel(&call->timer);
	exchange_fini(call);
	attempt_fini(call);
	admission_end(call->admission);
	for (unsigned side = 0; side < LEGS; side++) {
		call_tag_remove(&call->tag[side]);
		leg_fini(&call->leg[side]);
	}
	timer_cancel(&call->rekey.timer);
	secret_free(call->offer);
	secret_free(call->held);
	free(call->reason);
	free(call->notes);
	free(call);
}

struct call_interim *call_interim(const struct shard *shard)
{
	return &shard->calls->interim;
}

struct call *call_first(const struct shard *shard)
{
	return shard->calls->first;
}

void call_each(struct shard *shard, void (*each)(struct call *call, void *arg), void *arg)
{
	for (struct call *call = shard->calls->first, *next; call; call = next) {
		next = call->next;
		each(call, arg);
	}
}

int call_describe(const struct shard *shard, uint64_t id, struct cp_call *out)
{
	for (const struct call *call = shard->calls->first; call; call = call->next)
		if (call->id == id) {
			call_fill(call, out);
			return 0;
		}
	return -ENOENT;
}

static struct call *page_begin(const struct call_table *table, uint64_t after)
{
	struct call *call = table->first;

	/* What is new is behind all others: the one behind a page stays it until it goes. */
	for (unsigned i = 0; i < PAGES; i++)
		if (table->page[i].next && table->page[i].after == after)
			return table->page[i].next;
	while (call && call->id <= after)
		call = call->next;
	return call;
}

static void page_keep(struct call_table *table, uint64_t after, struct call *next)
{
	table->last_page = (table->last_page + 1) % PAGES;
	table->page[table->last_page].after = after;
	table->page[table->last_page].next = next;
}

size_t call_list(const struct shard *shard, uint64_t after, struct cp_call *out, size_t limit, bool *more)
{
	struct call *call = page_begin(shard->calls, after);
	size_t count = 0;

	for (; call && count < limit; call = call->next)
		call_fill(call, &out[count++]);
	*more = call != NULL;
	if (call && count)
		page_keep(shard->calls, out[count - 1].call, call);
	return count;
}
