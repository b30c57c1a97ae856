/* SPDX-License-Identifier: BSD-3-Clause */
/* Where contexts lie: compact records of one size in a row, on big pages, in two tables; the rest of each in a third. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/rtp.h"
#include "dataplane/srtp_plugin.h"
#include "dataplane/table_memory.h"
#include "platforms/base/random.h"

enum { RECORD = SRTP_PREFETCH, RECORD_GCM = sizeof(struct srtp_context) };

_Static_assert(
	offsetof(struct srtp_context, cm.slot) < RECORD, "a record of counter mode is as long as it says");
_Static_assert(sizeof(struct srtp_cold) == 12288, "whole pages: most need but the first");
_Static_assert(sizeof(struct srtp_source) == 32, "the first line of a record has the last packet's source");

const struct srtp_suite srtp_suites[DP_SRTP_SUITE_COUNT] = {
	[DP_SRTP_AES_CM_128_HMAC_SHA1_80] = { 16, 14, 10, 10, false },
	[DP_SRTP_AES_CM_128_HMAC_SHA1_32] = { 16, 14, 4, 10, false }, /* RFC 4568 section 6.2.2 */
	[DP_SRTP_AES_256_CM_HMAC_SHA1_80] = { 32, 14, 10, 10, false },
	[DP_SRTP_AES_256_CM_HMAC_SHA1_32] = { 32, 14, 4, 10, false },
	[DP_SRTP_AEAD_AES_128_GCM] = { 16, 12, 16, 16, true },
	[DP_SRTP_AEAD_AES_256_GCM] = { 32, 12, 16, 16, true },
};

/* Contexts of one size, those given back last go out first. */
struct record_table {
	uint8_t *memory;
	size_t size;
	uint32_t *free; /* numbers */
	uint32_t free_count;
};

/* owner: main thread, but for what is in the contexts */
struct srtp_store {
	struct srtp_engine *engine; /* for keys */
	uint32_t max;
	struct record_table record[2]; /* [1]: GCM */
	struct record_table cold;
	uint8_t secret[FINGERPRINT]; /* fingerprints of keys mean nothing without it */
};

static struct srtp_store *the_store; /* libsrtp2 is one for the process */

static void *memory_new(size_t octets)
{
	void *memory = table_memory_new(octets);

	if (memory != NULL && madvise(memory, octets, MADV_DONTDUMP) != 0) {
		table_memory_free(memory, octets);
		return NULL;
	}
	return memory;
}

static int table_init(struct record_table *t, size_t size, uint32_t count)
{
	t->size = size;
	t->memory = memory_new(size * count);
	t->free = calloc(count, sizeof(*t->free));
	if (t->memory == NULL || t->free == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		t->free[i] = count - 1 - i;
	t->free_count = count;
	return 0;
}

static void table_fini(struct record_table *t, uint32_t count)
{
	table_memory_free(t->memory, t->size * count);
	free(t->free);
}

static void *table_take(struct record_table *t)
{
	return t->free_count == 0 ? NULL : t->memory + t->size * t->free[--t->free_count];
}

static void table_give(struct record_table *t, void *record, size_t used)
{
	explicit_bzero(record, used);
	t->free[t->free_count++] = (uint32_t)((size_t)((uint8_t *)record - t->memory) / t->size);
}

static bool is_gcm(const struct srtp_context *c)
{
	return (c->flags & CONTEXT_GCM) != 0;
}

static struct srtp_context *context_take(struct srtp_store *s, bool gcm)
{
	struct srtp_context *c = table_take(&s->record[gcm]);
	struct srtp_cold *cold = c != NULL ? table_take(&s->cold) : NULL;

	if (cold == NULL) {
		if (c != NULL)
			table_give(&s->record[gcm], c, 0);
		return NULL;
	}
	c->flags = gcm ? CONTEXT_GCM : 0;
	if (gcm)
		c->gcm.cold = cold;
	else
		c->cm.cold = cold;
	cold->context = c;
	arena_init(cold);
	return c;
}

static void context_give(struct srtp_store *s, struct srtp_context *c)
{
	struct record_table *t = &s->record[is_gcm(c)];
	struct srtp_cold *cold = context_cold(c);

	table_give(
		&s->cold, cold, offsetof(struct srtp_cold, arena)); /* its arena clears what it gets back */
	table_give(t, c, t->size);
}

static void fingerprint(const struct srtp_store *s, const struct dp_crypto *key, uint8_t out[FINGERPRINT])
{
	struct {
		uint8_t secret[FINGERPRINT];
		uint8_t suite, mki_length, key[DP_SRTP_KEY_MAX], mki[DP_SRTP_MKI_MAX];
	} in = { .suite = key->suite, .mki_length = key->mki_length };

	memcpy(in.secret, s->secret, sizeof(in.secret));
	memcpy(in.key, key->key, srtp_suites[key->suite].key + srtp_suites[key->suite].salt);
	memcpy(in.mki, key->mki, key->mki_length);
	engine_digest(s->engine, &in, sizeof(in), out);
	explicit_bzero(&in, sizeof(in));
}

/* A context for the ciphers to be tested in. */
static int library_open(struct srtp_store *s)
{
	struct srtp_context *c = context_take(s, true);
	int status = library_init(s->engine, context_cold(c));
	context_give(s, c);
	return status;
}

static int store_init(struct srtp_store *s)
{
	int status = engine_check();

	if (status == 0)
		status = table_init(&s->record[0], RECORD, s->max);
	if (status == 0)
		status = table_init(&s->record[1], RECORD_GCM, s->max);
	if (status == 0)
		status = table_init(&s->cold, sizeof(struct srtp_cold), s->max);
	if (status != 0)
		return status;
	/* Most never touch but the first page of theirs. */
	(void)madvise(s->cold.memory, s->cold.size * s->max, MADV_NOHUGEPAGE);
	s->engine = srtp_engine_new();
	if (s->engine == NULL)
		return -ENOMEM;
	random_bytes(s->secret, sizeof(s->secret));
	arena_region((struct srtp_cold *)s->cold.memory, s->max);
	return library_open(s);
}

int srtp_open(uint32_t contexts_max, struct srtp_store **out)
{
	struct srtp_store *s;

	if (the_store != NULL)
		return -EEXIST;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->max = contexts_max + 1; /* one to test with */
	the_store = s;
	int status = store_init(s);
	if (status != 0) {
		srtp_close(s);
		return status;
	}
	*out = s;
	return 0;
}

void srtp_close(struct srtp_store *s)
{
	if (s == NULL)
		return;
	library_fini();
	arena_region(NULL, 0);
	srtp_engine_free(s->engine);
	table_fini(&s->cold, s->max);
	table_fini(&s->record[1], s->max);
	table_fini(&s->record[0], s->max);
	explicit_bzero(s, sizeof(*s));
	free(s);
	the_store = NULL;
}

static uint64_t limit_of(const struct dp_crypto *key)
{
	uint64_t most = 1ULL << 48; /* RFC 3711 section 9.2 */

	return key->lifetime != 0 && key->lifetime < most ? key->lifetime : most;
}

int srtp_context_new(struct srtp_store *s, const struct dp_crypto *key, enum srtp_direction direction,
	struct srtp_context **out)
{
	if (key->suite == DP_SRTP_NONE || key->suite >= DP_SRTP_SUITE_COUNT ||
		key->mki_length > DP_SRTP_MKI_MAX)
		return -EINVAL;
	struct srtp_context *c = context_take(s, srtp_suites[key->suite].gcm);
	if (c == NULL)
		return -ENOMEM;
	struct srtp_cold *cold = context_cold(c);
	c->suite = key->suite;
	c->limit = limit_of(key);
	c->flags |= (uint8_t)((direction == SRTP_OUT ? CONTEXT_OUT : 0) |
			      (key->mki_length != 0 ? CONTEXT_LIBRARY : 0));
	cold->rtcp_tag = srtp_suites[key->suite].rtcp_tag;
	cold->mki_length = key->mki_length;
	memcpy(cold->mki, key->mki, key->mki_length);
	fingerprint(s, key, cold->fingerprint);
	int status = session_open(s->engine, cold, key);
	if (status != 0) {
		context_give(s, c);
		return status;
	}
	*out = c;
	return 0;
}

void srtp_context_free(struct srtp_store *s, struct srtp_context *c)
{
	if (c == NULL)
		return;
	session_close(s->engine, context_cold(c));
	context_give(s, c);
}

bool srtp_context_is(const struct srtp_context *c, const struct dp_crypto *key)
{
	uint8_t other[FINGERPRINT];

	if (key->suite == DP_SRTP_NONE || key->suite >= DP_SRTP_SUITE_COUNT ||
		key->mki_length > DP_SRTP_MKI_MAX)
		return false;
	fingerprint(the_store, key, other);
	return engine_equal(context_cold(c)->fingerprint, other, FINGERPRINT);
}

enum dp_srtp_suite srtp_context_suite(const struct srtp_context *c)
{
	return (enum dp_srtp_suite)c->suite;
}

unsigned srtp_growth(const struct srtp_context *c, bool rtcp)
{
	const struct srtp_suite *suite = &srtp_suites[c->suite];
	unsigned mki = (c->flags & CONTEXT_LIBRARY) != 0 ? context_cold(c)->mki_length : 0U;

	return mki + (rtcp ? suite->rtcp_tag + 4U : suite->tag);
}

uint64_t srtp_context_packets(const struct srtp_context *c)
{
	return counter_read(&c->packets);
}
