/* SPDX-License-Identifier: BSD-3-Clause */
/* Path B: RTP of many contexts at once, on their compact records. With HMAC the packets' tags are made side by side; what depends on order
 * (which index a sequence number means, whether it has been there) is decided packet by packet, in order, as if each had come alone. GCM
 * gains nothing from packets side by side: those go one after the other, each to its end. */
#include <arpa/inet.h>
#include <string.h>

#include "dataplane/rtp.h"
#include "dataplane/srtp_plugin.h"

enum {
	ROC = 4, /* octets of the rollover counter behind the packet that a tag is of */
	AHEAD = 3, /* packets that path A's memory is asked for ahead */
	AHEAD_REST = 8, /* packets that the rest of their records is asked for ahead */
	LINE = 64,
	FIRST_LINES = 4 * LINE, /* of a record: all there is but authentication keys */
	GCM_HASH_KEYS = 240, /* octets of them that packets of usual size need; they lie at the end */
};

typedef uint64_t iv_block __attribute__((vector_size(AES_BLOCK)));

/* What is known of a packet between the steps of its burst. */
struct item {
	struct srtp_job *job;
	uint64_t index;
	uint64_t packets; /* of its context, when that was found out */
	uint32_t header, length; /* octets; `length` without the tag */
	uint32_t kept; /* what the rollover counter is in the place of */
	uint16_t place; /* among the hashes */
};

static const struct srtp_suite *suite_of(const struct srtp_context *c)
{
	return &srtp_suites[c->suite];
}

/* The state of a packet's source; NULL: none yet. */
static const struct srtp_source *source_find(const struct srtp_context *c, uint32_t ssrc)
{
	if (c->source.known != 0 && c->source.ssrc == ssrc)
		return &c->source;
	if (c->source.known == 0)
		return NULL;
	const struct srtp_cold *cold = context_cold(c);
	for (unsigned i = 0; i < cold->source_count; i++)
		if (cold->source[i].ssrc == ssrc)
			return &cold->source[i];
	return NULL;
}

/* A place for a new source; what we protect is never forgotten while its key is in use, else the same keystream might come twice.
 * -1: there is none. */
static int source_place(struct srtp_context *c, struct srtp_cold *cold, uint64_t now_us)
{
	int oldest = 0;

	if (cold->source_count < SRTP_SSRCS)
		return cold->source_count++;
	if ((c->flags & CONTEXT_OUT) != 0)
		return -1;
	for (int i = 1; i < SRTP_SSRCS; i++)
		if (cold->used_us[i] < cold->used_us[oldest])
			oldest = i;
	return now_us - cold->used_us[oldest] >= SRTP_IDLE_SECONDS * 1000000ULL ? oldest : -1;
}

/* The record is this source's from now on; the last one's state goes to its slot. False: no room for a new source. */
static bool source_switch(struct srtp_context *c, uint32_t ssrc)
{
	struct srtp_cold *cold = context_cold(c);
	uint8_t *slot = context_slot(c);
	const struct srtp_source *there = source_find(c, ssrc);
	uint64_t now_us = coarse_us();

	if (c->source.known != 0) {
		srtp_source_copy(&cold->source[*slot], &c->source);
		cold->used_us[*slot] = now_us;
	}
	int at = there != NULL ? (int)(there - cold->source) : source_place(c, cold, now_us);
	if (at < 0)
		return false;
	if (there == NULL)
		cold->source[at] = (struct srtp_source){ .ssrc = ssrc, .known = 1 };
	srtp_source_copy(&c->source, &cold->source[at]);
	*slot = (uint8_t)at;
	return true;
}

/* The record's source is the packet's, entered if it was not known. NULL: no room. */
static struct srtp_source *source_enter(struct srtp_context *c, uint32_t ssrc)
{
	if ((c->source.known == 0 || c->source.ssrc != ssrc) && !source_switch(c, ssrc))
		return NULL;
	return &c->source;
}

static bool expired(const struct srtp_context *c)
{
	return c->packets >= c->limit;
}

/* A packet more has gone with this key. */
static void count(struct srtp_context *c)
{
	counter_add(&c->packets, 1);
}

static inline __attribute__((always_inline)) void finish(struct srtp_job *job, enum srtp_result result)
{
	struct srtp_context *c = job->context;

	job->result = (uint8_t)result;
	job->rekey = context_rekey(c);
	/* The first sources have low slots: most contexts' cold part is not looked at. */
	if ((c->flags & CONTEXT_OUT) != 0 && *context_slot(c) != 0)
		job->rekey |= context_cold(c)->source_count >= SRTP_SSRCS - SRTP_SSRCS / 10;
}

/* Index that the packet's sequence number means now, and whether it may be a fresh one. */
static inline __attribute__((always_inline)) bool index_of(
	const struct srtp_context *c, const uint8_t *packet, uint64_t *index)
{
	static const struct srtp_source none;
	const struct srtp_source *source = source_find(c, load_u32(packet + 8));
	uint16_t sequence = ntohs(load_u16(packet + 2));

	if (source == NULL)
		source = &none;
	*index = srtp_index_estimate(source->index, sequence);
	return srtp_index_fresh(source, *index);
}

static uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void store_u64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* RFC 3711 section 4.1.1: salt * 2^16 xor SSRC * 2^64 xor index * 2^16. */
static void counter_iv(
	const struct srtp_context *c, const uint8_t *packet, uint64_t index, uint8_t iv[AES_BLOCK])
{
	store_u64(iv, load_u64(c->salt) ^ (uint64_t)load_u32(packet + 8) << 32);
	store_u64(iv + 8, load_u64(c->salt + 6) >> 16 ^ __builtin_bswap64(index << 16));
}

/* RFC 7714 section 8.1: salt xor (0, 0, SSRC, index). Stored in one piece: it is read at once, and could not be handed on from two. */
static inline __attribute__((always_inline)) void gcm_iv(
	const struct srtp_context *c, const uint8_t *packet, uint64_t index, uint8_t iv[AES_BLOCK])
{
	uint64_t counted =
		__builtin_bswap64(index << 16); /* rollover counter and sequence number as six octets */

	iv_block both = { load_u64(c->salt) ^ (uint64_t)load_u32(packet + 8) << 16 ^ counted << 48,
		load_u32(c->salt + 8) ^ counted >> 16 };

	memcpy(iv, &both, sizeof(both));
}

static void roc_place(uint8_t *behind, uint64_t index)
{
	store_u32(behind, htonl((uint32_t)(index >> 16)));
}

/* What the engine is to do with whole bursts, by length of the key. */
struct pending {
	unsigned counters[2], hashes;
};

static unsigned is_long(const struct srtp_context *c)
{
	return (c->flags & CONTEXT_LONG) != 0;
}

static size_t key_octets(const struct srtp_context *c)
{
	return is_long(c) != 0 ? 32 : 16;
}

static void counter_push(struct srtp_engine *e, struct pending *p, const struct item *it)
{
	unsigned wide = is_long(it->job->context);
	struct engine_counter *c = &e->counter[wide][p->counters[wide]];

	if (it->length == it->header)
		return;
	c->keys = &it->job->context->cm.keys;
	c->data = it->job->packet + it->header;
	c->length = it->length - it->header;
	counter_iv(it->job->context, it->job->packet, it->index, c->iv);
	p->counters[wide]++;
}

static void counter_run(struct srtp_engine *e, const struct pending *p)
{
	if (p->counters[0] != 0)
		engine_counter(e, e->counter[0], p->counters[0], 16);
	if (p->counters[1] != 0)
		engine_counter(e, e->counter[1], p->counters[1], 32);
}

static void hash_push(struct srtp_engine *e, struct pending *p, struct item *it)
{
	struct engine_hash *h = &e->hash[p->hashes];

	h->keys = &it->job->context->cm.keys;
	h->data = it->job->packet;
	h->length = it->length + ROC;
	it->place = (uint16_t)p->hashes++;
}

static void hash_run(struct srtp_engine *e, const struct pending *p)
{
	if (p->hashes != 0)
		engine_hash(e, e->hash, p->hashes);
}

static inline __attribute__((always_inline)) void gcm_set(
	struct engine_gcm *g, const struct item *it, uint8_t iv[AES_BLOCK])
{
	const struct srtp_context *c = it->job->context;

	g->keys = &c->gcm.keys;
	g->data = it->job->packet + it->header;
	g->length = it->length - it->header;
	g->aad = it->job->packet;
	g->aad_length = it->header;
	g->tag = it->job->packet + it->length;
	gcm_iv(c, it->job->packet, it->index, iv);
	g->iv = iv;
}

/* Always inlined, as what follows: to the compiler a function of nothing but this has no effect, and its calls are left out. */
static inline __attribute__((always_inline)) void fetch_lines(
	const struct srtp_context *c, size_t first, size_t end)
{
	for (size_t at = first; at < end; at += LINE)
		__builtin_prefetch((const char *)c + at, 1);
}

static bool is_gcm(const struct srtp_context *c)
{
	return (c->flags & CONTEXT_GCM) != 0;
}

/* What else of the record is needed, now that its first line is there. */
static inline __attribute__((always_inline)) void fetch_rest(const struct srtp_context *c)
{
	size_t end = offsetof(struct srtp_context, gcm.keys) + GCM_KEY_DATA;

	if (is_gcm(c))
		fetch_lines(c, (end - GCM_HASH_KEYS) / LINE * LINE, end);
	else
		fetch_lines(c, FIRST_LINES, SRTP_PREFETCH);
}

static inline __attribute__((always_inline)) void fetch(const struct srtp_job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fetch_lines(jobs[i].context, 0, FIRST_LINES);
	for (unsigned i = 0; i < n && i < AHEAD_REST; i++)
		fetch_rest(jobs[i].context);
}

/* Before the packet at `at` is begun with. */
static inline __attribute__((always_inline)) void fetch_ahead(
	const struct srtp_job *jobs, unsigned at, unsigned n)
{
	if (at + AHEAD_REST < n)
		fetch_rest(jobs[at + AHEAD_REST].context);
	/* Packets of path A are alike, where there is one there are more. */
	if ((jobs[at].context->flags & CONTEXT_LIBRARY) != 0 && at + AHEAD < n &&
		(jobs[at + AHEAD].context->flags & CONTEXT_LIBRARY) != 0)
		session_fetch(jobs[at + AHEAD].context);
}

/* --- protect --- */

/* All that can be said before anything is encrypted; the index is used up if it says SRTP_OK. */
static enum srtp_result out_begin(struct item *it)
{
	struct srtp_job *job = it->job;
	struct srtp_context *c = job->context;

	it->length = job->length;
	it->header = it->length < RTP_HEADER ? 0 : rtp_header_length(job->packet, it->length);
	if (it->header == 0)
		return SRTP_AUTH;
	if (it->length + suite_of(c)->tag > job->room)
		return SRTP_ROOM;
	if (expired(c))
		return SRTP_KEY;
	if (!index_of(c, job->packet, &it->index))
		return SRTP_REPLAY;
	struct srtp_source *source = source_enter(c, load_u32(job->packet + 8));
	if (source == NULL)
		return SRTP_KEY;
	srtp_index_add(source, it->index);
	count(c);
	return SRTP_OK;
}

static void out_tags(const struct srtp_engine *e, const struct item *items, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct srtp_job *job = items[i].job;
		unsigned tag = suite_of(job->context)->tag;

		memcpy(job->packet + items[i].length, e->hash[items[i].place].tag, tag);
		job->length = (uint16_t)(items[i].length + tag);
	}
}

static inline __attribute__((always_inline)) void out_gcm(struct srtp_engine *e, const struct item *it)
{
	uint8_t iv[AES_BLOCK] __attribute__((aligned(AES_BLOCK)));
	struct engine_gcm g;

	gcm_set(&g, it, iv);
	engine_gcm_seal(e, &g, key_octets(it->job->context));
	it->job->length = (uint16_t)(it->length + GCM_TAG);
}

void srtp_protect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n)
{
	struct item items[SRTP_BURST];
	struct pending pending = { 0 };
	unsigned count_items = 0;

	fetch(jobs, n);
	for (unsigned i = 0; i < n; i++) {
		struct item *it = &items[count_items];

		fetch_ahead(jobs, i, n);
		if ((jobs[i].context->flags & CONTEXT_LIBRARY) != 0) {
			session_protect(e, &jobs[i]);
			continue;
		}
		it->job = &jobs[i];
		finish(&jobs[i], out_begin(it));
		if (jobs[i].result != SRTP_OK)
			continue;
		if (is_gcm(jobs[i].context)) {
			out_gcm(e, it);
			continue;
		}
		count_items++;
		counter_push(e, &pending, it);
		roc_place(jobs[i].packet + it->length, it->index);
		hash_push(e, &pending, it);
	}
	counter_run(e, &pending);
	hash_run(e, &pending);
	out_tags(e, items, count_items);
}

/* --- unprotect --- */

/* As libsrtp2: a header that is not there, then index and replay, then a header that reaches into the tag. */
static inline __attribute__((always_inline)) enum srtp_result in_begin(struct item *it, uint32_t tag)
{
	const struct srtp_job *job = it->job;
	const struct srtp_context *c = job->context;

	it->packets = c->packets;
	it->index = 0;
	it->header = job->length < RTP_HEADER ? 0 : rtp_header_length(job->packet, job->length);
	if (it->header == 0)
		return SRTP_AUTH;
	if (expired(c))
		return SRTP_KEY;
	if (!index_of(c, job->packet, &it->index))
		return SRTP_REPLAY;
	if (it->header + tag > job->length)
		return SRTP_AUTH;
	it->length = job->length - tag;
	return SRTP_OK;
}

/* Authentic: only now anything of the packet's source changes. */
static inline __attribute__((always_inline)) enum srtp_result in_accept(struct item *it)
{
	struct srtp_context *c = it->job->context;

	context_change_begin(c);
	struct srtp_source *source = source_enter(c, load_u32(it->job->packet + 8));
	if (source != NULL)
		srtp_index_add(source, it->index);
	context_change_end(c);
	if (source == NULL)
		return SRTP_REPLAY;
	count(c);
	it->job->length = (uint16_t)it->length;
	return SRTP_OK;
}

static bool in_tag_right(const struct item *it, const uint8_t *tag)
{
	return engine_equal(tag, it->job->packet + it->length, suite_of(it->job->context)->tag);
}

/* Alone, because packets of the same burst have changed what its sequence number means. */
static bool in_right_alone(struct srtp_engine *e, const struct item *it)
{
	uint8_t *behind = it->job->packet + it->length;
	uint32_t kept = load_u32(behind);
	struct engine_hash h = {
		.keys = &it->job->context->cm.keys, .data = it->job->packet, .length = it->length + ROC
	};

	roc_place(behind, it->index);
	engine_hash(e, &h, 1);
	store_u32(behind, kept);
	return in_tag_right(it, h.tag);
}

/* What in_begin would say of a packet whose header has been found good. */
static inline __attribute__((always_inline)) enum srtp_result in_again(struct item *it)
{
	const struct srtp_context *c = it->job->context;

	if (expired(c))
		return SRTP_KEY;
	return index_of(c, it->job->packet, &it->index) ? SRTP_OK : SRTP_REPLAY;
}

/* In order: what the packet would have come to alone. `it` is as at the beginning of the burst, `then` what was found there; that holds
 * if no packet of its context has been accepted since. */
static inline __attribute__((always_inline)) enum srtp_result in_decide(
	struct srtp_engine *e, struct item *it, enum srtp_result then)
{
	uint64_t index = it->index;
	enum srtp_result now = then;

	if (it->packets != it->job->context->packets)
		now = then == SRTP_OK ? in_again(it) : in_begin(it, suite_of(it->job->context)->tag);
	if (now != SRTP_OK)
		return now;
	bool as_then = then == SRTP_OK && it->index == index;
	if (as_then ? !in_tag_right(it, e->hash[it->place].tag) : !in_right_alone(e, it))
		return SRTP_AUTH;
	return in_accept(it);
}

/* What is refused after it was opened is closed again: there is no room for its source. */
static inline __attribute__((always_inline)) enum srtp_result in_gcm_result(
	struct srtp_engine *e, struct srtp_job *job)
{
	struct item it = { .job = job };
	size_t key = key_octets(job->context);
	uint8_t iv[AES_BLOCK] __attribute__((aligned(AES_BLOCK)));
	struct engine_gcm g;
	enum srtp_result result = in_begin(&it, GCM_TAG);

	if (result != SRTP_OK)
		return result;
	gcm_set(&g, &it, iv);
	if (!engine_gcm_open(e, &g, key, GCM_TAG))
		return SRTP_AUTH;
	result = in_accept(&it);
	if (result != SRTP_OK)
		engine_gcm_close(e, g, key);
	return result;
}

/* Inlined it would be left without registers. */
static __attribute__((noinline)) void in_gcm(struct srtp_engine *e, struct srtp_job *job)
{
	job->result = (uint8_t)in_gcm_result(e, job);
	job->rekey = context_rekey(job->context);
}

/* The rollover counter is in the place of the tag's first octets until all tags have been made. */
static void in_prepare(struct srtp_engine *e, struct pending *p, struct item *it)
{
	uint8_t *behind = it->job->packet + it->length;

	it->kept = load_u32(behind);
	roc_place(behind, it->index);
	hash_push(e, p, it);
}

static void in_run(struct srtp_engine *e, const struct pending *p, const struct item *items, unsigned n)
{
	hash_run(e, p);
	for (unsigned i = 0; i < n; i++)
		if (items[i].job->result == SRTP_OK)
			store_u32(items[i].job->packet + items[i].length, items[i].kept);
}

/* Of path B. Returns how many there are that have an MKI and are left. */
static unsigned in_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n, bool with_mki)
{
	struct item items[SRTP_BURST];
	struct pending pending = { 0 };
	unsigned count_items = 0, left = 0;

	for (unsigned i = 0; i < n; i++) {
		struct item *it = &items[count_items];

		fetch_ahead(jobs, i, n);
		if ((jobs[i].context->flags & CONTEXT_LIBRARY) != 0) {
			session_unprotect(e, &jobs[i]);
			continue;
		}
		if ((jobs[i].context->flags & CONTEXT_MKI) != 0 && !with_mki) {
			left++;
			continue;
		}
		if (is_gcm(jobs[i].context)) {
			in_gcm(e, &jobs[i]);
			continue;
		}
		it->job = &jobs[i];
		jobs[i].result = (uint8_t)in_begin(it, suite_of(jobs[i].context)->tag);
		if (jobs[i].result == SRTP_OK)
			in_prepare(e, &pending, it);
		count_items++;
	}
	in_run(e, &pending, items, count_items);
	for (unsigned i = 0; i < count_items; i++) {
		struct srtp_job *job = items[i].job;

		finish(job, in_decide(e, &items[i], (enum srtp_result)job->result));
		if (job->result == SRTP_OK)
			counter_push(e, &pending, &items[i]);
	}
	counter_run(e, &pending);
	return left;
}

/* Path B with what stands between payload and tag, or with GCM behind the tag, taken out around it. Few have one: alone. */
static void in_with_mki(struct srtp_engine *e, struct srtp_job *job)
{
	struct srtp_context *c = job->context;
	const struct srtp_cold *cold = context_cold(c);
	unsigned behind = is_gcm(c) ? 0 : suite_of(c)->tag, mki = cold->mki_length;

	if (job->length < RTP_HEADER + srtp_growth(c, false)) {
		finish(job, SRTP_AUTH);
		return;
	}
	uint8_t *at = job->packet + job->length - behind - mki;
	if (memcmp(at, cold->mki, mki) != 0) {
		finish(job, SRTP_KEY);
		return;
	}
	memmove(at, at + mki, behind);
	job->length = (uint16_t)(job->length - mki);
	(void)in_burst(e, job, 1, true);
	if (job->result == SRTP_OK)
		return;
	memmove(at + mki, at, behind);
	memcpy(at, cold->mki, mki);
	job->length = (uint16_t)(job->length + mki);
}

void srtp_unprotect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n)
{
	fetch(jobs, n);
	if (in_burst(e, jobs, n, false) == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		if ((jobs[i].context->flags & (CONTEXT_MKI | CONTEXT_LIBRARY)) == CONTEXT_MKI)
			in_with_mki(e, &jobs[i]);
}
