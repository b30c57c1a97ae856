/* SPDX-License-Identifier: BSD-3-Clause */
/* Ciphers of ours for libsrtp2: AES counter mode, AES-GCM and HMAC-SHA1 on libipsec-mb instead of NSS, which takes 14 allocations
 * and 32 locks a packet. They also tell path B what the session keys are: the first cipher and the first authentication that a session
 * allocates are those of RTP, and their keys go right into the context's compact record. */
#include "dataplane/srtp_plugin.h"

#include <errno.h>
#include <srtp2/auth.h>
#include <srtp2/cipher.h>
#include <srtp2/crypto_types.h>
#include <string.h>

enum {
	SLOT_RTP,
	SLOT_RTCP,
	SLOT_DERIVATION,
	SLOTS,
	SLOTS_HASH = SLOT_DERIVATION,
	ICM_SALT = 14,
	TRAILER_AAD = 16, /* header of RTCP and the index of SRTCP */
};

struct slot_cipher {
	srtp_cipher_t cipher;
	uint8_t in_use;
	uint8_t octets; /* of the key: 16, 32 */
	uint8_t ready; /* the IV has not been used */
	uint8_t tag_octets; /* of GCM */
	uint8_t *keys; /* struct engine_cm_keys or engine_gcm_keys */
	const uint8_t *aad;
	uint32_t aad_length;
	uint8_t salt[AES_BLOCK], iv[AES_BLOCK], tag[GCM_TAG], joined[TRAILER_AAD];
};

struct slot_hash {
	srtp_auth_t hash;
	uint8_t in_use;
	struct engine_cm_keys *keys;
	const uint8_t *data; /* what update has named */
	int length;
};

struct plugin {
	union {
		struct engine_cm_keys cm;
		struct engine_gcm_keys gcm;
	} rtcp;
	struct engine_cm_keys derivation;
	struct slot_cipher cipher[SLOTS];
	struct slot_hash hash[SLOTS_HASH];
};

_Static_assert(sizeof(struct plugin) <= PLUGIN_MEMORY, "a context has room for it");

static const srtp_cipher_type_t icm_128, icm_256, gcm_128, gcm_256;
static const srtp_auth_type_t hmac_sha1;

static struct plugin *plugin_here(void)
{
	return plugin_call.cold != NULL ? (struct plugin *)plugin_call.cold->plugin : NULL;
}

static uint8_t *slot_keys(struct plugin *p, unsigned slot, bool gcm)
{
	struct srtp_context *c = plugin_call.cold->context;

	if (slot == SLOT_RTP)
		return gcm ? c->gcm.keys.data : (uint8_t *)&c->cm.keys;
	if (slot == SLOT_RTCP)
		return gcm ? p->rtcp.gcm.data : (uint8_t *)&p->rtcp.cm;
	return (uint8_t *)&p->derivation;
}

static srtp_err_status_t cipher_take(
	srtp_cipher_t **out, const srtp_cipher_type_t *type, int key_length, uint8_t octets)
{
	struct plugin *p = plugin_here();
	bool gcm = type == &gcm_128 || type == &gcm_256;

	for (unsigned i = 0; p != NULL && i < (gcm ? SLOT_DERIVATION : SLOTS); i++) {
		struct slot_cipher *s = &p->cipher[i];

		if (s->in_use != 0)
			continue;
		*s = (struct slot_cipher){ .in_use = 1, .octets = octets, .keys = slot_keys(p, i, gcm) };
		s->cipher = (srtp_cipher_t){
			.type = type, .state = s, .key_len = key_length, .algorithm = (int)type->id
		};
		*out = &s->cipher;
		return srtp_err_status_ok;
	}
	return srtp_err_status_alloc_fail;
}

static srtp_err_status_t icm_alloc(srtp_cipher_t **out, int key_length, int tag_length)
{
	(void)tag_length;
	if (key_length == SRTP_AES_ICM_128_KEY_LEN_WSALT)
		return cipher_take(out, &icm_128, key_length, SRTP_AES_128_KEY_LEN);
	if (key_length == SRTP_AES_ICM_256_KEY_LEN_WSALT)
		return cipher_take(out, &icm_256, key_length, SRTP_AES_256_KEY_LEN);
	return srtp_err_status_bad_param;
}

/* Tags of 8 octets: libsrtp2's own test has some. */
static srtp_err_status_t gcm_alloc(srtp_cipher_t **out, int key_length, int tag_length)
{
	srtp_err_status_t status = srtp_err_status_bad_param;

	if (tag_length != GCM_TAG && tag_length != GCM_TAG / 2)
		return status;
	if (key_length == SRTP_AES_GCM_128_KEY_LEN_WSALT)
		status = cipher_take(out, &gcm_128, key_length, SRTP_AES_128_KEY_LEN);
	if (key_length == SRTP_AES_GCM_256_KEY_LEN_WSALT)
		status = cipher_take(out, &gcm_256, key_length, SRTP_AES_256_KEY_LEN);
	if (status == srtp_err_status_ok)
		((struct slot_cipher *)(*out)->state)->tag_octets = (uint8_t)tag_length;
	return status;
}

/* The keys of the derivation were the master key's: nothing of them stays. Those of packets go with the context. */
static srtp_err_status_t cipher_give(srtp_cipher_t *c)
{
	struct slot_cipher *s = c->state;
	bool gcm = c->type == &gcm_128 || c->type == &gcm_256;

	explicit_bzero(s->keys, gcm ? sizeof(struct engine_gcm_keys) : sizeof(struct engine_cm_keys));
	explicit_bzero(s, sizeof(*s));
	return srtp_err_status_ok;
}

static srtp_err_status_t icm_init(void *state, const uint8_t *key)
{
	struct slot_cipher *s = state;

	engine_counter_key(plugin_call.engine, (struct engine_cm_keys *)s->keys, key, s->octets);
	memcpy(s->salt, key + s->octets, ICM_SALT);
	if (s == &plugin_here()->cipher[SLOT_RTP])
		memcpy(plugin_call.cold->context->salt, s->salt, ICM_SALT);
	return srtp_err_status_ok;
}

/* The salt lies behind the key, though libsrtp2 makes the IV itself. */
static srtp_err_status_t gcm_init(void *state, const uint8_t *key)
{
	struct slot_cipher *s = state;

	engine_gcm_key(plugin_call.engine, (struct engine_gcm_keys *)s->keys, key, s->octets);
	if (s == &plugin_here()->cipher[SLOT_RTP])
		memcpy(plugin_call.cold->context->salt, key + s->octets, SRTP_AEAD_SALT_LEN);
	return srtp_err_status_ok;
}

static srtp_err_status_t icm_set_iv(void *state, uint8_t *iv, srtp_cipher_direction_t direction)
{
	struct slot_cipher *s = state;

	(void)direction;
	for (unsigned i = 0; i < AES_BLOCK; i++)
		s->iv[i] = s->salt[i] ^ iv[i];
	s->ready = 1;
	return srtp_err_status_ok;
}

static srtp_err_status_t gcm_set_iv(void *state, uint8_t *iv, srtp_cipher_direction_t direction)
{
	struct slot_cipher *s = state;

	(void)direction;
	memcpy(s->iv, iv, GCM_IV);
	s->aad_length = 0;
	s->ready = 1;
	return srtp_err_status_ok;
}

/* The whole packet's keystream at once: what would go on within a block is refused, nothing of libsrtp2 does it for us. */
static srtp_err_status_t icm_crypt(void *state, uint8_t *data, unsigned int *length)
{
	struct slot_cipher *s = state;
	struct engine_counter job = {
		.keys = (const struct engine_cm_keys *)s->keys, .data = data, .length = *length
	};

	if (*length == 0)
		return srtp_err_status_ok;
	if (s->ready == 0)
		return srtp_err_status_cipher_fail;
	s->ready = 0;
	memcpy(job.iv, s->iv, AES_BLOCK);
	engine_counter(plugin_call.engine, &job, 1, s->octets);
	return srtp_err_status_ok;
}

/* Comes once for RTP; for RTCP twice: its header, and the index behind it. */
static srtp_err_status_t gcm_set_aad(void *state, const uint8_t *aad, uint32_t length)
{
	struct slot_cipher *s = state;

	if (s->aad_length == 0) {
		s->aad = aad;
		s->aad_length = length;
		return srtp_err_status_ok;
	}
	if (s->aad_length + length > TRAILER_AAD)
		return srtp_err_status_bad_param;
	memmove(s->joined, s->aad, s->aad_length);
	memcpy(s->joined + s->aad_length, aad, length);
	s->aad = s->joined;
	s->aad_length += length;
	return srtp_err_status_ok;
}

static struct engine_gcm gcm_job(struct slot_cipher *s, uint8_t *data, uint32_t length, uint8_t *tag)
{
	struct engine_gcm job = { .keys = (const struct engine_gcm_keys *)s->keys,
		.data = data,
		.length = length,
		.tag = tag,
		.aad = s->aad,
		.aad_length = s->aad_length,
		.iv = s->iv };

	s->ready = 0;
	return job;
}

static srtp_err_status_t gcm_encrypt(void *state, uint8_t *data, unsigned int *length)
{
	struct slot_cipher *s = state;

	if (s->ready == 0)
		return srtp_err_status_cipher_fail;
	struct engine_gcm job = gcm_job(s, data, *length, s->tag);
	engine_gcm_seal(plugin_call.engine, &job, s->octets);
	return srtp_err_status_ok;
}

static srtp_err_status_t gcm_decrypt(void *state, uint8_t *data, unsigned int *length)
{
	struct slot_cipher *s = state;

	if (s->ready == 0 || *length < s->tag_octets)
		return srtp_err_status_cipher_fail;
	uint32_t plain = *length - s->tag_octets;
	struct engine_gcm job = gcm_job(s, data, plain, data + plain);
	if (!engine_gcm_open(plugin_call.engine, &job, s->octets, s->tag_octets))
		return srtp_err_status_auth_fail;
	*length = job.length;
	return srtp_err_status_ok;
}

static srtp_err_status_t gcm_get_tag(void *state, uint8_t *tag, uint32_t *length)
{
	const struct slot_cipher *s = state;

	memcpy(tag, s->tag, s->tag_octets);
	*length = s->tag_octets;
	return srtp_err_status_ok;
}

static srtp_err_status_t hash_alloc(srtp_auth_t **out, int key_length, int tag_length)
{
	struct plugin *p = plugin_here();

	if (key_length > SHA1_DIGEST || tag_length > SHA1_DIGEST)
		return srtp_err_status_bad_param;
	for (unsigned i = 0; p != NULL && i < SLOTS_HASH; i++) {
		struct slot_hash *s = &p->hash[i];

		if (s->in_use != 0)
			continue;
		*s = (struct slot_hash){ .in_use = 1,
			.keys = (struct engine_cm_keys *)slot_keys(p, i, false) };
		s->hash = (srtp_auth_t){
			.type = &hmac_sha1, .state = s, .out_len = tag_length, .key_len = key_length
		};
		*out = &s->hash;
		return srtp_err_status_ok;
	}
	return srtp_err_status_alloc_fail;
}

static srtp_err_status_t hash_give(srtp_auth_t *a)
{
	struct slot_hash *s = a->state;

	explicit_bzero(s->keys->inner, SHA1_DIGEST);
	explicit_bzero(s->keys->outer, SHA1_DIGEST);
	explicit_bzero(s, sizeof(*s));
	return srtp_err_status_ok;
}

static srtp_err_status_t hash_init(void *state, const uint8_t *key, int key_length)
{
	const struct slot_hash *s = state;

	engine_hash_key(plugin_call.engine, s->keys, key, (size_t)key_length);
	return srtp_err_status_ok;
}

static srtp_err_status_t hash_start(void *state)
{
	struct slot_hash *s = state;

	s->data = NULL;
	return srtp_err_status_ok;
}

static srtp_err_status_t hash_update(void *state, const uint8_t *data, int length)
{
	struct slot_hash *s = state;

	if (s->data != NULL)
		return srtp_err_status_auth_fail;
	s->data = data;
	s->length = length;
	return srtp_err_status_ok;
}

/* RTP names the packet first and then gives the rollover counter: it takes the place of the octets behind the packet (a tag's, sent or
 * received) for the time of the hash. RTCP gives all at once. */
static srtp_err_status_t hash_compute(
	void *state, const uint8_t *data, int length, int tag_length, uint8_t *tag)
{
	struct slot_hash *s = state;
	struct engine_hash job = { .keys = s->keys, .data = data, .length = (uint32_t)length };
	uint32_t kept = 0;

	if (s->data != NULL) {
		uint8_t *behind = (uint8_t *)(uintptr_t)s->data + s->length;

		if (length != sizeof(kept))
			return srtp_err_status_auth_fail;
		kept = load_u32(behind);
		store_u32(behind, load_u32(data));
		job.data = s->data;
		job.length = (uint32_t)(s->length + length);
	}
	engine_hash(plugin_call.engine, &job, 1);
	if (s->data != NULL)
		store_u32((uint8_t *)(uintptr_t)s->data + s->length, kept);
	memcpy(tag, job.tag, (size_t)tag_length);
	s->data = NULL;
	return srtp_err_status_ok;
}

#include "dataplane/srtp_vectors.h"

/* clang-format off */
#define ICM(bits) { .alloc = icm_alloc, .dealloc = cipher_give, .init = icm_init, .encrypt = icm_crypt, .decrypt = icm_crypt, \
	.set_iv = icm_set_iv, .description = "AES-" #bits " counter mode of libipsec-mb", .test_data = &icm_##bits##_test, \
	.id = SRTP_AES_ICM_##bits }
#define GCM(bits) { .alloc = gcm_alloc, .dealloc = cipher_give, .init = gcm_init, .set_aad = gcm_set_aad, .encrypt = gcm_encrypt, \
	.decrypt = gcm_decrypt, .set_iv = gcm_set_iv, .get_tag = gcm_get_tag, .description = "AES-" #bits " GCM of libipsec-mb", \
	.test_data = &gcm_##bits##_test, .id = SRTP_AES_GCM_##bits }
/* clang-format on */

static const srtp_cipher_type_t icm_128 = ICM(128), icm_256 = ICM(256), gcm_128 = GCM(128),
				gcm_256 = GCM(256);

static const srtp_auth_type_t hmac_sha1 = { .alloc = hash_alloc,
	.dealloc = hash_give,
	.init = hash_init,
	.compute = hash_compute,
	.update = hash_update,
	.start = hash_start,
	.description = "HMAC-SHA1 of libipsec-mb",
	.test_data = &hmac_sha1_test,
	.id = SRTP_HMAC_SHA1 };

int plugin_install(void)
{
	const srtp_cipher_type_t *const ciphers[] = { &icm_128, &icm_256, &gcm_128, &gcm_256 };

	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		if (srtp_replace_cipher_type(ciphers[i], ciphers[i]->id) != srtp_err_status_ok)
			return -EIO;
	return srtp_replace_auth_type(&hmac_sha1, SRTP_HMAC_SHA1) == srtp_err_status_ok ? 0 : -EIO;
}
