/* SPDX-License-Identifier: BSD-3-Clause */
/* The home of libipsec-mb. Two managers: one that works on many packets side by side, and one that is quick with few (a single
 * packet takes 210 ns with SHA instructions, 691 ns alone in sixteen lanes of AVX512). */
#include "dataplane/srtp_engine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/srtp.h"

#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

enum {
	LANES = 16, /* of AVX512: from so many packets on the wide manager is the faster one */
	NEVER = ENGINE_BURST + 1,
	SHA1_BLOCK = 64,
	INNER_PAD = 0x36,
	OUTER_PAD = 0x5c,
};

struct engine_hardware {
	IMB_MGR *narrow, *wide;
	unsigned wide_from; /* packets */
	IMB_JOB hash[ENGINE_BURST]; /* what is the same in all of them is set once */
	IMB_JOB counter[ENGINE_BURST];
	struct gcm_context_data gcm; /* of the packet that is under way */
};

_Static_assert(sizeof(struct gcm_key_data) == GCM_KEY_DATA, "room for the library's keys");
_Static_assert(ENGINE_BURST <= IMB_MAX_BURST_SIZE, "one call for a burst");

int engine_check(void)
{
	uint64_t needed = IMB_CPUFLAGS_SSE;

	return (imb_get_feature_flags() & needed) == needed ? 0 : -ENOTSUP;
}

/* By the CPU: lanes of AVX512 for many; else SHA instructions, if it has them, beat any lanes. */
static unsigned wide_from(uint64_t features)
{
	if ((features & IMB_CPUFLAGS_AVX512) == IMB_CPUFLAGS_AVX512)
		return LANES;
	return (features & IMB_FEATURE_SHANI) != 0 ? NEVER : 1;
}

static void prepare_jobs(struct engine_hardware *h)
{
	for (unsigned i = 0; i < ENGINE_BURST; i++) {
		h->hash[i] = (IMB_JOB){ .auth_tag_output_len_in_bytes = SHA1_DIGEST,
			.hash_alg = IMB_AUTH_HMAC_SHA_1,
			.cipher_mode = IMB_CIPHER_NULL,
			.cipher_direction = IMB_DIR_ENCRYPT,
			.chain_order = IMB_ORDER_HASH_CIPHER };
		h->counter[i] = (IMB_JOB){ .iv_len_in_bytes = AES_BLOCK,
			.cipher_mode = IMB_CIPHER_CNTR,
			.hash_alg = IMB_AUTH_NULL,
			.cipher_direction = IMB_DIR_ENCRYPT,
			.chain_order = IMB_ORDER_CIPHER_HASH };
	}
}

static void prepare_gcm(struct srtp_engine *e)
{
	const IMB_MGR *m = e->hardware->wide;

	e->gcm_state = &e->hardware->gcm;
	e->gcm_seal[0] = m->gcm128_enc;
	e->gcm_seal[1] = m->gcm256_enc;
	e->gcm_open[0] = m->gcm128_dec;
	e->gcm_open[1] = m->gcm256_dec;
}

static size_t rounded(size_t octets)
{
	return (octets + 63) / 64 * 64;
}

struct srtp_engine *srtp_engine_new(void)
{
	size_t head = rounded(sizeof(struct srtp_engine)), middle = rounded(sizeof(struct engine_hardware));
	size_t manager = rounded(imb_get_mb_mgr_size()), octets = head + middle + 2 * manager;
	uint8_t *memory = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	(void)madvise(memory, octets, MADV_DONTDUMP); /* keys and packets pass through it */
	struct srtp_engine *e = (struct srtp_engine *)memory;
	e->octets = octets;
	e->hardware = (struct engine_hardware *)(memory + head);
	struct engine_hardware *h = e->hardware;
	h->narrow = imb_set_pointers_mb_mgr(memory + head + middle, 0, 1);
	h->wide = imb_set_pointers_mb_mgr(memory + head + middle + manager, 0, 1);
	init_mb_mgr_sse(h->narrow);
	init_mb_mgr_auto(h->wide, NULL);
	h->wide_from = wide_from(h->wide->features);
	prepare_jobs(h);
	prepare_gcm(e);
	return e;
}

void srtp_engine_free(struct srtp_engine *e)
{
	if (e == NULL)
		return;
	size_t octets = e->octets;
	explicit_bzero(e, octets);
	(void)munmap(e, octets);
}

void engine_counter_key(struct srtp_engine *e, struct engine_cm_keys *out, const uint8_t *key, size_t octets)
{
	uint8_t unused[AES_ROUND_KEYS] __attribute__((aligned(16))); /* of decryption: a counter has none */

	if (octets == IMB_KEY_128_BYTES)
		IMB_AES_KEYEXP_128(e->hardware->wide, key, out->round, unused);
	else
		IMB_AES_KEYEXP_256(e->hardware->wide, key, out->round, unused);
	explicit_bzero(unused, sizeof(unused));
}

void engine_hash_key(struct srtp_engine *e, struct engine_cm_keys *out, const uint8_t *key, size_t octets)
{
	uint8_t block[SHA1_BLOCK];

	for (size_t i = 0; i < SHA1_BLOCK; i++)
		block[i] = INNER_PAD ^ (i < octets ? key[i] : 0);
	IMB_SHA1_ONE_BLOCK(e->hardware->narrow, block, out->inner);
	for (size_t i = 0; i < SHA1_BLOCK; i++)
		block[i] ^= INNER_PAD ^ OUTER_PAD;
	IMB_SHA1_ONE_BLOCK(e->hardware->narrow, block, out->outer);
	explicit_bzero(block, sizeof(block));
}

void engine_gcm_key(struct srtp_engine *e, struct engine_gcm_keys *out, const uint8_t *key, size_t octets)
{
	struct gcm_key_data *data = (struct gcm_key_data *)out;

	if (octets == IMB_KEY_128_BYTES)
		IMB_AES128_GCM_PRE(e->hardware->wide, key, data);
	else
		IMB_AES256_GCM_PRE(e->hardware->wide, key, data);
}

void engine_hash(struct srtp_engine *e, struct engine_hash *h, unsigned n)
{
	struct engine_hardware *hw = e->hardware;
	IMB_MGR *manager = n < hw->wide_from ? hw->narrow : hw->wide;

	for (unsigned i = 0; i < n; i++) {
		IMB_JOB *j = &hw->hash[i];

		j->src = h[i].data;
		j->msg_len_to_hash_in_bytes = h[i].length;
		j->u.HMAC._hashed_auth_key_xor_ipad = h[i].keys->inner;
		j->u.HMAC._hashed_auth_key_xor_opad = h[i].keys->outer;
		j->auth_tag_output = h[i].tag;
		j->status = IMB_STATUS_BEING_PROCESSED;
	}
	(void)IMB_SUBMIT_HASH_BURST_NOCHECK(manager, hw->hash, n, IMB_AUTH_HMAC_SHA_1);
}

void engine_counter(struct srtp_engine *e, struct engine_counter *c, unsigned n, size_t octets)
{
	struct engine_hardware *hw = e->hardware;

	for (unsigned i = 0; i < n; i++) {
		IMB_JOB *j = &hw->counter[i];

		j->enc_keys = c[i].keys->round;
		j->key_len_in_bytes = octets;
		j->src = c[i].data;
		j->dst = c[i].data;
		j->msg_len_to_cipher_in_bytes = c[i].length;
		j->iv = c[i].iv;
		j->status = IMB_STATUS_BEING_PROCESSED;
	}
	(void)IMB_SUBMIT_CIPHER_BURST_NOCHECK(hw->wide, hw->counter, n, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT,
		octets == IMB_KEY_128_BYTES ? IMB_KEY_128_BYTES : IMB_KEY_256_BYTES);
}

/* A counter mode: the second time takes the first one back. */
void engine_gcm_close(struct srtp_engine *e, struct engine_gcm g, size_t octets)
{
	g.tag = e->gcm_tag;
	engine_gcm_seal(e, &g, octets);
}

void engine_digest(struct srtp_engine *e, const void *data, size_t length, uint8_t out[32])
{
	IMB_SHA256(e->hardware->wide, data, length, out);
}
