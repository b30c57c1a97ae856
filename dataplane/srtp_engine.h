/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to SRTP: AES counter mode, HMAC-SHA1 and AES-GCM for bursts of packets, on libipsec-mb. No allocation but of the engine
 * itself; an engine belongs to one thread. */
#ifndef DATAPLANE_SRTP_ENGINE_H
#define DATAPLANE_SRTP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	uint32_t length;
	const uint8_t *aad;
	uint32_t aad_length;
	uint8_t iv[GCM_IV];
};

/* What a burst puts together; packets of path A in it are done alone, in between. */
struct srtp_engine {
	struct engine_hash hash[ENGINE_BURST];
	struct engine_counter counter[2][ENGINE_BURST]; /* by length of the key */
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

void engine_gcm_seal(struct srtp_engine *e, const struct engine_gcm *g, size_t octets, uint8_t tag[GCM_TAG]);
/* `tag_octets` <= GCM_TAG. False: it is not what was sealed; the data is as it was. */
bool engine_gcm_open(struct srtp_engine *e, const struct engine_gcm *g, size_t octets, const uint8_t *tag,
	size_t tag_octets);
/* Undoes engine_gcm_open. */
void engine_gcm_close(struct srtp_engine *e, const struct engine_gcm *g, size_t octets);

/* SHA-256, for what is compared but not kept. */
void engine_digest(struct srtp_engine *e, const void *data, size_t length, uint8_t out[32]);
/* In the same time whatever differs. */
bool engine_equal(const uint8_t *a, const uint8_t *b, size_t n);

#endif
