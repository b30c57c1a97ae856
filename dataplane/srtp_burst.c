/* SPDX-License-Identifier: BSD-3-Clause */
/* Path B: RTP of many contexts at once, on their compact records. The packets' tags are made side by side; what depends on order (which
 * index a sequence number means, whether it has been there) is decided packet by packet, in order, as if each had come alone. */
#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#include "dataplane/rtp.h"
#include "dataplane/srtp_plugin.h"

enum {
	ROC = 4, /* octets of the rollover counter behind the packet that a tag is of */
	AHEAD = 4, /* packets that records and payloads are fetched ahead, from slower memory than the first lines */
	GCM_HASH_KEYS = 320, /* octets of them that packets of usual size need; they lie at the end */
};

/* What is known of a packet between the steps of its burst. */
struct item {
	struct srtp_job *job;
	uint64_t index;
	uint32_t header, length; /* octets; `length` without the tag */
	uint32_t kept; /* what the rollover counter is in the place of */
	uint16_t hash; /* number of its hash */
};

static const struct srtp_suite *suite_of(const struct srtp_context *c)
{
	return &srtp_suites[c->suite];
}

static uint64_t coarse_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t); /* reads memory */
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
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
		cold->source[*slot] = c->source;
		cold->used_us[*slot] = now_us;
	}
	int at = there != NULL ? (int)(there - cold->source) : source_place(c, cold, now_us);
	if (at < 0)
		return false;
	if (there != NULL)
		c->source = *there;
	else
		c->source = cold->source[at] = (struct srtp_source){ .ssrc = ssrc, .known = 1 };
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

static void finish(struct srtp_job *job, enum srtp_result result)
{
	const struct srtp_context *c = job->context;

	job->result = (uint8_t)result;
	job->rekey = context_rekey(c);
	if (*context_slot(job->context) != 0 && (c->flags & CONTEXT_OUT) != 0)
		job->rekey |= context_cold(c)->source_count >= SRTP_SSRCS - SRTP_SSRCS / 10;
}

/* Index that the packet's sequence number means now, and whether it may be a fresh one. */
static bool index_of(const struct srtp_context *c, const uint8_t *packet, uint64_t *index)
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

/* RFC 7714 section 8.1: salt xor (0, 0, SSRC, index). */
static void gcm_iv(const struct srtp_context *c, const uint8_t *packet, uint64_t index, uint8_t iv[GCM_IV])
{
	memcpy(iv, c->salt, GCM_IV);
	store_u32(iv + 2, load_u32(iv + 2) ^ load_u32(packet + 8));
	store_u32(iv + 6, load_u32(iv + 6) ^ htonl((uint32_t)(index >> 16)));
	store_u16(iv + 10, load_u16(iv + 10) ^ htons((uint16_t)index));
}

static void roc_place(uint8_t *behind, uint64_t index)
{
	store_u32(behind, htonl((uint32_t)(index >> 16)));
}

static void hash_add(struct srtp_engine *e, unsigned at, const struct item *it)
{
	e->hash[at].keys = &it->job->context->cm.keys;
	e->hash[at].data = it->job->packet;
	e->hash[at].length = it->length + ROC;
}

/* Payloads whose keystream is to come, by length of the key. */
struct pending {
	unsigned count[2];
};

static void counter_push(struct srtp_engine *e, struct pending *p, const struct item *it)
{
	unsigned wide = suite_of(it->job->context)->key != 16;
	struct engine_counter *c = &e->counter[wide][p->count[wide]];

	if (it->length == it->header)
		return;
	c->keys = &it->job->context->cm.keys;
	c->data = it->job->packet + it->header;
	c->length = it->length - it->header;
	counter_iv(it->job->context, it->job->packet, it->index, c->iv);
	p->count[wide]++;
}

static void counter_run(struct srtp_engine *e, const struct pending *p)
{
	if (p->count[0] != 0)
		engine_counter(e, e->counter[0], p->count[0], 16);
	if (p->count[1] != 0)
		engine_counter(e, e->counter[1], p->count[1], 32);
}

static void fetch_lines(const void *first, unsigned octets)
{
	for (unsigned at = 0; at < octets; at += 64)
		__builtin_prefetch((const char *)first + at, 1);
}

/* The record and the packet of a job that is some packets ahead. */
static void fetch(const struct srtp_job *job)
{
	fetch_lines(job->context, SRTP_PREFETCH);
}

static void fetch_gcm(const struct srtp_context *c)
{
	if ((c->flags & CONTEXT_GCM) != 0)
		fetch_lines(c->gcm.keys.data + GCM_KEY_DATA - GCM_HASH_KEYS, GCM_HASH_KEYS);
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

static struct engine_gcm gcm_job(const struct item *it)
{
	struct srtp_context *c = it->job->context;
	struct engine_gcm g = { .keys = &c->gcm.keys,
		.data = it->job->packet + it->header,
		.length = it->length - it->header,
		.aad = it->job->packet,
		.aad_length = it->header };

	gcm_iv(c, it->job->packet, it->index, g.iv);
	return g;
}

static void out_gcm(struct srtp_engine *e, struct item *it)
{
	struct engine_gcm g = gcm_job(it);

	engine_gcm_seal(e, &g, suite_of(it->job->context)->key, it->job->packet + it->length);
	it->job->length = (uint16_t)(it->length + GCM_TAG);
}

static void out_tags(struct srtp_engine *e, const struct item *items, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct srtp_job *job = items[i].job;
		unsigned tag = suite_of(job->context)->tag;

		memcpy(job->packet + items[i].length, e->hash[i].tag, tag);
		job->length = (uint16_t)(items[i].length + tag);
	}
}

void srtp_protect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n)
{
	struct item items[SRTP_BURST];
	struct pending pending = { 0 };
	unsigned hashes = 0;

	for (unsigned i = 0; i < n; i++)
		fetch(&jobs[i]);
	for (unsigned i = 0; i < n; i++) {
		struct item *it = &items[hashes];
		uint8_t flags = jobs[i].context->flags;

		if (i + AHEAD < n)
			fetch_gcm(jobs[i + AHEAD].context);
		if ((flags & CONTEXT_LIBRARY) != 0) {
			session_protect(e, &jobs[i]);
			continue;
		}
		it->job = &jobs[i];
		finish(&jobs[i], out_begin(it));
		if (jobs[i].result != SRTP_OK)
			continue;
		if ((flags & CONTEXT_GCM) != 0) {
			out_gcm(e, it);
			continue;
		}
		counter_push(e, &pending, it);
		roc_place(jobs[i].packet + it->length, it->index);
		hash_add(e, hashes++, it);
	}
	counter_run(e, &pending);
	if (hashes != 0)
		engine_hash(e, e->hash, hashes);
	out_tags(e, items, hashes);
}

/* --- unprotect --- */

/* As libsrtp2: a header that is not there, then index and replay, then a header that reaches into the tag. */
static enum srtp_result in_begin(struct item *it)
{
	const struct srtp_job *job = it->job;
	const struct srtp_context *c = job->context;
	uint32_t tag = suite_of(c)->tag;

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
static enum srtp_result in_accept(struct item *it)
{
	struct srtp_context *c = it->job->context;
	struct srtp_source *source = source_enter(c, load_u32(it->job->packet + 8));

	if (source == NULL)
		return SRTP_REPLAY;
	srtp_index_add(source, it->index);
	count(c);
	it->job->length = (uint16_t)it->length;
	return SRTP_OK;
}

static enum srtp_result in_gcm(struct srtp_engine *e, struct item *it)
{
	enum srtp_result result = in_begin(it);

	if (result != SRTP_OK)
		return result;
	struct engine_gcm g = gcm_job(it);
	size_t octets = suite_of(it->job->context)->key;
	if (!engine_gcm_open(e, &g, octets, it->job->packet + it->length, GCM_TAG))
		return SRTP_AUTH;
	result = in_accept(it);
	if (result != SRTP_OK)
		engine_gcm_close(e, &g, octets);
	return result;
}

static bool in_tag_right(const struct item *it, const uint8_t *tag)
{
	return engine_equal(tag, it->job->packet + it->length, suite_of(it->job->context)->tag);
}

/* Alone, because packets of the same burst have changed what its sequence number means. */
static bool in_hash_again(struct srtp_engine *e, const struct item *it)
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

/* In order: what the packet would have come to alone. `it` is as at the beginning of the burst, `then` what was found there. */
static enum srtp_result in_decide(struct srtp_engine *e, struct item *it, enum srtp_result then)
{
	uint64_t index = it->index;
	enum srtp_result now = in_begin(it);

	if (now != SRTP_OK)
		return now;
	bool right = then == SRTP_OK && it->index == index ? in_tag_right(it, e->hash[it->hash].tag)
							   : in_hash_again(e, it);
	return right ? in_accept(it) : SRTP_AUTH;
}

/* The rollover counter is in the place of the tag's first octets until all tags have been made. */
static unsigned in_prepare(struct srtp_engine *e, struct item *it, unsigned hashes)
{
	uint8_t *behind = it->job->packet + it->length;

	it->hash = (uint16_t)hashes;
	it->kept = load_u32(behind);
	roc_place(behind, it->index);
	hash_add(e, hashes, it);
	return hashes + 1;
}

void srtp_unprotect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n)
{
	struct item items[SRTP_BURST];
	struct pending pending = { 0 };
	unsigned count_cm = 0, hashes = 0;

	for (unsigned i = 0; i < n; i++)
		fetch(&jobs[i]);
	for (unsigned i = 0; i < n; i++) {
		struct item *it = &items[count_cm];
		uint8_t flags = jobs[i].context->flags;

		it->job = &jobs[i];
		if (i + AHEAD < n)
			fetch_gcm(jobs[i + AHEAD].context);
		if ((flags & CONTEXT_LIBRARY) != 0) {
			session_unprotect(e, &jobs[i]);
		} else if ((flags & CONTEXT_GCM) != 0) {
			finish(&jobs[i], in_gcm(e, it));
		} else {
			jobs[i].result = (uint8_t)in_begin(it);
			if (jobs[i].result == SRTP_OK)
				hashes = in_prepare(e, it, hashes);
			count_cm++;
		}
	}
	if (hashes != 0)
		engine_hash(e, e->hash, hashes);
	for (unsigned i = 0; i < count_cm; i++)
		if (items[i].job->result == SRTP_OK)
			store_u32(items[i].job->packet + items[i].length, items[i].kept);
	for (unsigned i = 0; i < count_cm; i++) {
		struct srtp_job *job = items[i].job;

		finish(job, in_decide(e, &items[i], (enum srtp_result)job->result));
		if (job->result == SRTP_OK)
			counter_push(e, &pending, &items[i]);
	}
	counter_run(e, &pending);
}
