/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to SRTP: AES counter mode, HMAC-SHA1 and AES-GCM for bursts of packets, on libipsec-mb. No allocation but of the engine
 * itself; an engine belongs to one thread. */
#ifndef DATAPLANE_SRTP_ENGINE_H
#define DATAPLANE_SRTP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	ENGINE_BURST = 64,
	AES_BLOCK = 16,
	AES_ROUND_KEYS = 240, /* of 256-bit keys */
	SHA1_DIGEST = 20,
	GCM_KEY_DATA = 1008,
	GCM_IV = 12,
	GCM_TAG = 16,
};

/* AES in counter mode and HMAC-SHA1. */
struct engine_cm_keys {
	uint8_t round[AES_ROUND_KEYS];
	uint8_t inner[SHA1_DIGEST], outer[SHA1_DIGEST]; /* digests of the padded authentication key */
} __attribute__((aligned(16)));

/* AES-GCM: the layout is the library's and differs between CPUs. */
struct engine_gcm_keys {
	uint8_t data[GCM_KEY_DATA];
} __attribute__((aligned(64)));

struct engine_hash {
	const struct engine_cm_keys *keys;
	const uint8_t *data;
	uint32_t length;
	uint8_t tag[SHA1_DIGEST]; /* out */
};

struct engine_counter {
	const struct engine_cm_keys *keys;
	uint8_t *data; /* changed in place */
	uint32_t length; /* not 0 */
	uint8_t iv[AES_BLOCK]; /* the first counter block */
};

struct engine_gcm {
	const struct engine_gcm_keys *keys;
	uint8_t *data; /* changed in place */
	const uint8_t *aad;
	uint8_t *tag; /* made, or compared */
	uint32_t length, aad_length;
	const uint8_t *iv; /* GCM_IV octets, AES_BLOCK of them can be read */
};

struct gcm_key_data; /* the library's */
struct gcm_context_data;

/* Of the library: keys, state, out, in, length, iv, aad, its length, tag, its length. */
typedef void engine_gcm_run(const struct gcm_key_data *, struct gcm_context_data *, uint8_t *,
	const uint8_t *, uint64_t, const uint8_t *, const uint8_t *, uint64_t, uint8_t *, uint64_t);

/* What a burst puts together; packets of path A in it are done alone, in between. */
struct srtp_engine {
	struct engine_hash hash[ENGINE_BURST];
	struct engine_counter counter[2][ENGINE_BURST]; /* by length of the key */
	engine_gcm_run *gcm_seal[2], *gcm_open[2]; /* by length of the key; constant, as the next */
	struct gcm_context_data *gcm_state;
	uint8_t gcm_tag[GCM_TAG] __attribute__((aligned(GCM_TAG))); /* of what is being opened */
	struct engine_hardware *hardware;
	size_t octets; /* of the mapping */
};

/* 0, or -ENOTSUP: no AES instructions. */
int engine_check(void);

/* Key schedules. `octets`: 16 or 32; authentication keys have at most 64. */
void engine_counter_key(struct srtp_engine *e, struct engine_cm_keys *out, const uint8_t *key, size_t octets);
void engine_hash_key(struct srtp_engine *e, struct engine_cm_keys *out, const uint8_t *key, size_t octets);
void engine_gcm_key(struct srtp_engine *e, struct engine_gcm_keys *out, const uint8_t *key, size_t octets);

/* n <= ENGINE_BURST. `octets` of the key: 16 or 32, for all of them. */
void engine_hash(struct srtp_engine *e, struct engine_hash *h, unsigned n);
void engine_counter(struct srtp_engine *e, struct engine_counter *c, unsigned n, size_t octets);

/* Undoes engine_gcm_open. */
void engine_gcm_close(struct srtp_engine *e, struct engine_gcm g, size_t octets);

/* SHA-256, for what is compared but not kept. */
void engine_digest(struct srtp_engine *e, const void *data, size_t length, uint8_t out[32]);
/* In the same time whatever differs. */
static inline bool engine_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint64_t differs = 0, x, y;
	size_t i = 0;

	for (; i + sizeof(x) <= n; i += sizeof(x)) {
		memcpy(&x, a + i, sizeof(x));
		memcpy(&y, b + i, sizeof(y));
		differs |= x ^ y;
	}
	for (; i < n; i++)
		differs |= (uint64_t)(a[i] ^ b[i]);
	return differs == 0;
}

/* One packet each: many together are no quicker, and what is around the library's call would be a third of it. */
static inline __attribute__((always_inline)) void engine_gcm_call(
	struct srtp_engine *e, const struct engine_gcm *g, engine_gcm_run *run, uint8_t *tag)
{
	run((const struct gcm_key_data *)g->keys, e->gcm_state, g->data, g->data, g->length, g->iv, g->aad,
		g->aad_length, tag, GCM_TAG);
}

/* A tag of GCM_TAG octets is made. */
static inline __attribute__((always_inline)) void engine_gcm_seal(
	struct srtp_engine *e, const struct engine_gcm *g, size_t octets)
{
	engine_gcm_call(e, g, e->gcm_seal[octets != 16], g->tag);
}

/* `tag_octets` <= GCM_TAG. False: the tag is not right, and the packet as it was. */
static inline __attribute__((always_inline)) bool engine_gcm_open(
	struct srtp_engine *e, const struct engine_gcm *g, size_t octets, size_t tag_octets)
{
	engine_gcm_call(e, g, e->gcm_open[octets != 16], e->gcm_tag);
	if (__builtin_expect(engine_equal(e->gcm_tag, g->tag, tag_octets), 1))
		return true;
	engine_gcm_close(e, *g, octets);
	return false;
}

#endif
