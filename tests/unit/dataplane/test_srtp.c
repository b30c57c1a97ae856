/* SPDX-License-Identifier: BSD-3-Clause */
/* SRTP: the vectors of its RFCs, and what a context promises: lifetime, sources, keys that stay in it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/srtp_plugin.h"
#include "tests/unit/dataplane/memory_flags.h"

enum { CONTEXTS = 64, PACKET = 256 };

static struct srtp_store *store;
static struct srtp_engine *engine;

static int setup(void **state)
{
	(void)state;
	engine = srtp_engine_new();
	return engine == NULL || srtp_open(CONTEXTS, &store) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	srtp_close(store);
	srtp_engine_free(engine);
	return 0;
}

static void from_hex(const char *hex, uint8_t *out)
{
	for (; hex[0] != '\0'; hex += 2) {
		unsigned octet;

		assert_int_equal(sscanf(hex, "%2x", &octet), 1);
		*out++ = (uint8_t)octet;
	}
}

static struct dp_crypto key_of(uint8_t suite, uint8_t seed)
{
	struct dp_crypto key = { .suite = suite };

	for (unsigned i = 0; i < srtp_suites[suite].key + srtp_suites[suite].salt; i++)
		key.key[i] = (uint8_t)(seed + i * 7);
	return key;
}

static struct srtp_context *context(const struct dp_crypto *key, enum srtp_direction direction)
{
	struct srtp_context *c = NULL;

	assert_int_equal(srtp_context_new(store, key, direction, &c), 0);
	return c;
}

/* A packet of 20 octets of payload; `p` has PACKET octets. */
static struct srtp_job job_of(struct srtp_context *c, uint8_t *p, uint32_t ssrc, uint16_t sequence)
{
	memset(p, 0, PACKET);
	p[0] = 0x80;
	store_u16(p + 2, htons(sequence));
	store_u32(p + 8, htonl(ssrc));
	memset(p + 12, 0x55, 20);
	return (struct srtp_job){ .context = c, .packet = p, .length = 32, .room = PACKET };
}

static enum srtp_result protect(struct srtp_job *job)
{
	srtp_protect_burst(engine, job, 1);
	return (enum srtp_result)job->result;
}

static enum srtp_result unprotect(struct srtp_job *job)
{
	srtp_unprotect_burst(engine, job, 1);
	return (enum srtp_result)job->result;
}

static enum srtp_result send_one(struct srtp_context *c, uint32_t ssrc, uint16_t sequence)
{
	uint8_t p[PACKET];
	struct srtp_job job = job_of(c, p, ssrc, sequence);

	return protect(&job);
}

/* --- vectors --- */

/* RFC 3711 appendix B.2, RFC 6188 section 7.1. */
static void counter_mode_gives_the_keystream_of_the_rfcs(void **state)
{
	static const struct {
		const char *key, *stream;
		size_t octets;
	} cases[] = {
		{ "2b7e151628aed2a6abf7158809cf4f3c",
			"e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd4779"
			"01e4fca894c0",
			16 },
		{ "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
			"92bdd28a93c3f52511c677d08b5515a49da71b2378a854f67050756ded165bac63c4868b7096d88421b5"
			"63b8c94c9a31",
			32 },
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct engine_cm_keys keys;
		uint8_t key[32], data[48] = { 0 }, expected[48];
		struct engine_counter c = { .keys = &keys, .data = data, .length = sizeof(data) };

		from_hex(cases[i].key, key);
		from_hex(cases[i].stream, expected);
		from_hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000", c.iv);
		engine_counter_key(engine, &keys, key, cases[i].octets);
		engine_counter(engine, &c, 1, cases[i].octets);
		assert_memory_equal(data, expected, sizeof(expected));
	}
}

/* RFC 3711 appendix B.3, RFC 6188 sections 7.2: what libsrtp2 derives with our cipher, as the context has it. AES_CM hides the
 * authentication key: the record has its digests. */
static void session_keys_are_those_of_the_rfcs(void **state)
{
	static const struct {
		uint8_t suite;
		const char *master, *cipher, *salt, *hash;
	} cases[] = {
		{ DP_SRTP_AES_CM_128_HMAC_SHA1_80,
			"e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
			"c61e7a93744f39ee10734afe3ff7a087", "30cbbc08863d8c85d49db34a9ae1",
			"cebe321f6ff7716b6fd4ab49af256a156d38baa4" },
		{ DP_SRTP_AES_256_CM_HMAC_SHA1_80,
			"f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423"
			"ab5b78d2",
			"5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
			"fa31791685ca444a9e07c6c64e93", "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05" },
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct dp_crypto key = { .suite = cases[i].suite };
		const struct srtp_suite *suite = &srtp_suites[cases[i].suite];
		struct engine_cm_keys expected;
		uint8_t cipher[32], salt[14], hash[20];

		from_hex(cases[i].master, key.key);
		from_hex(cases[i].cipher, cipher);
		from_hex(cases[i].salt, salt);
		from_hex(cases[i].hash, hash);
		engine_counter_key(engine, &expected, cipher, suite->key);
		engine_hash_key(engine, &expected, hash, sizeof(hash));
		struct srtp_context *c = context(&key, SRTP_OUT);
		assert_memory_equal(c->cm.keys.round, expected.round, suite->key == 16 ? 176 : 240);
		assert_memory_equal(c->cm.keys.inner, expected.inner, SHA1_DIGEST);
		assert_memory_equal(c->cm.keys.outer, expected.outer, SHA1_DIGEST);
		assert_memory_equal(c->salt, salt, sizeof(salt));
		srtp_context_free(store, c);
	}
}

/* RFC 7714 sections 16.1 and 16.2 begin with session keys: a context gets them in the place of its own. */
static void gcm_protects_as_in_rfc_7714(void **state)
{
	static const char *const protected[] = {
		"8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de"
		"3adf8833"
		"899d7f27beb16a9152cf765ee4390cce",
		"8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba6"
		"3799b87b"
		"7aa3db36dfffd6b0f9bb7878d7a76c13",
	};
	uint8_t session_key[32], plain[50], expected[66];

	(void)state;
	from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", session_key);
	from_hex("8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732"
		 "074726573",
		plain);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t suite = i == 0 ? DP_SRTP_AEAD_AES_128_GCM : DP_SRTP_AEAD_AES_256_GCM,
			p[PACKET] = { 0 };
		struct dp_crypto key = key_of(suite, 1);

		from_hex(protected[i], expected);
		memcpy(p, plain, sizeof(plain));
		for (int in = 0; in < 2; in++) {
			struct srtp_context *c = context(&key, in == 0 ? SRTP_OUT : SRTP_IN);
			struct srtp_job job = {
				.context = c, .packet = p, .length = in == 0 ? 50 : 66, .room = PACKET
			};

			engine_gcm_key(engine, &c->gcm.keys, session_key, srtp_suites[suite].key);
			from_hex("517569642070726f2071756f", c->salt);
			assert_int_equal(in == 0 ? protect(&job) : unprotect(&job), SRTP_OK);
			assert_memory_equal(p, in == 0 ? expected : plain, in == 0 ? 66 : 50);
			srtp_context_free(store, c);
		}
	}
}

/* RFC 7714 section 17.1 to 17.2: the SRTCP packet of AEAD, by the engine that libsrtp2 has it from. IV: section 9.1; associated data:
 * header and index. */
static void gcm_seals_srtcp_as_in_rfc_7714(void **state)
{
	static const char *const sealed[] = {
		"63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84a"
		"a458"
		"96cf4d2fc5abf87245d9eade",
		"d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad1d1e"
		"b30c4446839f57f"
		"f6f6cb26ac3be",
	};
	uint8_t session_key[32], aad[12], plain[44], data[44], expected[60], tag[GCM_TAG], iv[AES_BLOCK];

	(void)state;
	from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", session_key);
	from_hex("81c8000d4d617273800005d4", aad);
	from_hex("4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
		plain);
	for (unsigned i = 0; i < 2; i++) {
		size_t octets = i == 0 ? 16 : 32;
		struct engine_gcm_keys keys;
		struct engine_gcm g = { .keys = &keys,
			.data = data,
			.length = sizeof(data),
			.aad = aad,
			.aad_length = sizeof(aad),
			.tag = tag,
			.iv = iv };

		from_hex("517524055203726f207170bb", iv);
		from_hex(sealed[i], expected);
		memcpy(data, plain, sizeof(data));
		engine_gcm_key(engine, &keys, session_key, octets);
		engine_gcm_seal(engine, &g, octets);
		assert_memory_equal(data, expected, sizeof(data));
		assert_memory_equal(tag, expected + sizeof(data), GCM_TAG);
		assert_true(engine_gcm_open(engine, &g, octets, GCM_TAG));
		assert_memory_equal(data, plain, sizeof(data));
	}
}

/* --- contexts --- */

static void a_key_ends_with_its_lifetime_and_says_so_before(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < DP_SRTP_SUITE_COUNT; suite++)
		for (uint8_t mki = 0; mki < 5; mki = (uint8_t)(mki + 4)) {
			struct dp_crypto key = key_of(suite, 3);
			uint8_t p[PACKET];

			key.lifetime = 20;
			key.mki_length = mki;
			struct srtp_context *c = context(&key, SRTP_OUT), *in = context(&key, SRTP_IN);
			for (uint16_t i = 0; i < 20; i++) {
				struct srtp_job job = job_of(c, p, 1, i);

				assert_int_equal(protect(&job), SRTP_OK);
				assert_int_equal(job.rekey, i >= 17);
				job.context = in;
				assert_int_equal(unprotect(&job), SRTP_OK);
				assert_int_equal(job.rekey, i >= 17);
			}
			assert_int_equal(send_one(c, 1, 20), SRTP_KEY);
			assert_int_equal(srtp_context_packets(c), 20);
			struct srtp_job late = job_of(in, p, 1, 20);
			late.length = 60;
			assert_int_equal(unprotect(&late), SRTP_KEY);
			srtp_context_free(store, c);
			srtp_context_free(store, in);
		}
}

static void what_we_protect_is_never_forgotten(void **state)
{
	(void)state;
	for (uint8_t mki = 0; mki < 5; mki = (uint8_t)(mki + 4)) {
		struct dp_crypto key = key_of(DP_SRTP_AES_CM_128_HMAC_SHA1_80, 4);

		key.mki_length = mki;
		struct srtp_context *c = context(&key, SRTP_OUT);
		for (uint32_t ssrc = 0; ssrc < SRTP_SSRCS; ssrc++)
			assert_int_equal(send_one(c, ssrc, 7), SRTP_OK);
		assert_int_equal(send_one(c, SRTP_SSRCS, 7), SRTP_KEY);
		for (uint32_t ssrc = 0; ssrc < SRTP_SSRCS; ssrc++) {
			assert_int_equal(send_one(c, ssrc, 7), SRTP_REPLAY);
			assert_int_equal(send_one(c, ssrc, 8), SRTP_OK);
		}
		srtp_context_free(store, c);
	}
}

/* More sources than are known at a time: those that live stay; one that has been silent makes room. */
static void a_new_source_takes_the_place_of_a_silent_one_alone(void **state)
{
	(void)state;
	for (uint8_t mki = 0; mki < 5; mki = (uint8_t)(mki + 4)) {
		struct dp_crypto key = key_of(DP_SRTP_AEAD_AES_128_GCM, 5);

		key.mki_length = mki;
		struct srtp_context *in = context(&key, SRTP_IN),
				    *out[2] = { context(&key, SRTP_OUT), context(&key, SRTP_OUT) };
		struct srtp_cold *cold = context_cold(in);
		uint8_t p[PACKET], before[PACKET];
		for (uint32_t ssrc = 0; ssrc < SRTP_SSRCS; ssrc++) {
			struct srtp_job job = job_of(out[0], p, ssrc, 7);

			assert_int_equal(protect(&job), SRTP_OK);
			job.context = in;
			assert_int_equal(unprotect(&job), SRTP_OK);
		}
		struct srtp_job job = job_of(out[1], p, 99, 7);
		assert_int_equal(protect(&job), SRTP_OK);
		memcpy(before, p, PACKET);
		job.context = in;
		assert_int_equal(unprotect(&job), SRTP_REPLAY);
		assert_memory_equal(p, before, PACKET);
		cold->used_us[3] -= SRTP_IDLE_SECONDS * 1000000;
		cold->stream_used_us[3] -= SRTP_IDLE_SECONDS * 1000000;
		p[12] ^= 1;
		assert_int_equal(unprotect(&job), SRTP_AUTH);
		p[12] ^= 1;
		assert_int_equal(unprotect(&job), SRTP_OK);
		/* The others are as they were. */
		for (uint32_t ssrc = 0; ssrc < SRTP_SSRCS; ssrc++) {
			struct dp_crypto again = key;
			struct srtp_context *sender = context(&again, SRTP_OUT);

			job = job_of(sender, p, ssrc, 7);
			assert_int_equal(protect(&job), SRTP_OK);
			job.context = in;
			if (ssrc != 3)
				assert_int_equal(unprotect(&job), SRTP_REPLAY);
			srtp_context_free(store, sender);
		}
		srtp_context_free(store, out[0]);
		srtp_context_free(store, out[1]);
		srtp_context_free(store, in);
	}
}

/* During a change of keys what fails with the new one is tried with the old one: it must be what it was. */
static void a_packet_that_fails_is_as_it_was(void **state)
{
	(void)state;
	for (unsigned i = 2; i < 2 * DP_SRTP_SUITE_COUNT; i++) {
		uint8_t suite = (uint8_t)(i / 2);
		struct dp_crypto old = key_of(suite, 6), fresh = key_of(suite, 7);
		old.mki_length = fresh.mki_length = i % 2 ? 3 : 0;
		struct srtp_context *out = context(&old, SRTP_OUT),
				    *in[2] = { context(&fresh, SRTP_IN), context(&old, SRTP_IN) };
		uint8_t p[PACKET], plain[PACKET];
		struct srtp_job job = job_of(out, p, 1, 1);

		memcpy(plain, p, PACKET);
		assert_int_equal(protect(&job), SRTP_OK);
		job.context = in[0];
		assert_int_equal(unprotect(&job), SRTP_AUTH);
		job.context = in[1];
		assert_int_equal(unprotect(&job), SRTP_OK);
		assert_int_equal(job.length, 32);
		assert_memory_equal(p, plain, 32);

		job = job_of(out, p, 1, 1);
		p[1] = 200;
		assert_int_equal((job.context = out, srtp_rtcp_protect(engine, &job)), SRTP_OK);
		job.context = in[0];
		assert_int_equal(srtp_rtcp_unprotect(engine, &job), SRTP_AUTH);
		job.context = in[1];
		assert_int_equal(srtp_rtcp_unprotect(engine, &job), SRTP_OK);
		assert_int_equal(srtp_rtcp_unprotect(engine, &job), i % 2 ? SRTP_KEY : SRTP_AUTH);
		srtp_context_free(store, out);
		srtp_context_free(store, in[0]);
		srtp_context_free(store, in[1]);
	}
}

/* Also where tags of RTP and RTCP differ in length, and libsrtp2 alone would look for it in the wrong place. */
static void an_mki_goes_with_rtp_and_rtcp_of_every_suite(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < DP_SRTP_SUITE_COUNT; suite++) {
		struct dp_crypto key = key_of(suite, 8), other;
		uint8_t p[PACKET];

		key.mki_length = 4;
		memcpy(key.mki, "\x01\x02\x03\x04", 4);
		other = key;
		other.mki[3] = 5;
		struct srtp_context *out = context(&key, SRTP_OUT), *in = context(&key, SRTP_IN),
				    *wrong = context(&other, SRTP_IN);
		for (int rtcp = 0; rtcp < 2; rtcp++) {
			struct srtp_job job = job_of(out, p, 1, 1);

			assert_int_equal(rtcp ? srtp_rtcp_protect(engine, &job) : protect(&job), SRTP_OK);
			assert_int_equal(job.length, 32 + srtp_growth(out, rtcp));
			job.context = wrong;
			assert_int_equal(
				rtcp ? srtp_rtcp_unprotect(engine, &job) : unprotect(&job), SRTP_KEY);
			job.context = in;
			assert_int_equal(rtcp ? srtp_rtcp_unprotect(engine, &job) : unprotect(&job), SRTP_OK);
			assert_int_equal(job.length, 32);
			assert_int_equal(p[12], 0x55);
		}
		srtp_context_free(store, out);
		srtp_context_free(store, in);
		srtp_context_free(store, wrong);
	}
}

static void a_packet_that_does_not_fit_uses_nothing_up(void **state)
{
	struct dp_crypto key = key_of(DP_SRTP_AES_CM_128_HMAC_SHA1_80, 9);
	struct srtp_context *c = context(&key, SRTP_OUT);
	uint8_t p[PACKET];
	struct srtp_job job = job_of(c, p, 1, 1);

	(void)state;
	job.room = 41;
	assert_int_equal(protect(&job), SRTP_ROOM);
	assert_int_equal(srtp_context_packets(c), 0);
	job.room = 42;
	assert_int_equal(protect(&job), SRTP_OK);
	srtp_context_free(store, c);
}

static void a_key_is_recognised(void **state)
{
	struct dp_crypto key = key_of(DP_SRTP_AEAD_AES_256_GCM, 10), other = key;
	struct srtp_context *c = context(&key, SRTP_IN);

	(void)state;
	other.lifetime = 5;
	assert_true(srtp_context_is(c, &other));
	other.key[43] ^= 1;
	assert_false(srtp_context_is(c, &other));
	other = key;
	other.suite = DP_SRTP_AES_256_CM_HMAC_SHA1_80;
	assert_false(srtp_context_is(c, &other));
	other = key;
	other.mki_length = 1;
	assert_false(srtp_context_is(c, &other));
	other.suite = DP_SRTP_SUITE_COUNT;
	assert_false(srtp_context_is(c, &other));
	assert_int_equal(srtp_context_suite(c), DP_SRTP_AEAD_AES_256_GCM);
	srtp_context_free(store, c);
}

/* --- memory --- */

static void contexts_run_out_and_come_back(void **state)
{
	struct dp_crypto key = key_of(DP_SRTP_AEAD_AES_128_GCM, 11);
	struct srtp_context *c[CONTEXTS + 1], *more;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i <= CONTEXTS; i++)
			c[i] = context(&key, SRTP_OUT);
		assert_int_equal(srtp_context_new(store, &key, SRTP_OUT, &more), -ENOMEM);
		for (unsigned i = 0; i <= CONTEXTS; i++)
			srtp_context_free(store, c[i]);
	}
	key.suite = DP_SRTP_NONE;
	assert_int_equal(srtp_context_new(store, &key, SRTP_OUT, &more), -EINVAL);
	struct srtp_store *second;
	assert_int_equal(srtp_open(1, &second), -EEXIST);
}

static void a_store_can_be_opened_again(void **state)
{
	struct dp_crypto key = key_of(DP_SRTP_AES_CM_128_HMAC_SHA1_80, 14);

	(void)state;
	srtp_close(store);
	assert_int_equal(srtp_open(CONTEXTS, &store), 0);
	struct srtp_context *c = context(&key, SRTP_OUT);
	assert_int_equal(send_one(c, 1, 1), SRTP_OK);
	srtp_context_free(store, c);
}

/* Of a context that is given back nothing can be read any more, libsrtp2's part included. */
static void memory_is_cleared(void **state)
{
	static uint8_t zeros[sizeof(struct srtp_context)];

	(void)state;
	for (uint8_t suite = 1; suite < DP_SRTP_SUITE_COUNT; suite++) {
		struct dp_crypto key = key_of(suite, 12);
		struct srtp_context *c = context(&key, SRTP_OUT);
		const struct srtp_cold *cold = context_cold(c);
		size_t record = srtp_suites[suite].gcm ? sizeof(*c) : SRTP_PREFETCH;

		for (uint32_t ssrc = 0; ssrc < 5; ssrc++)
			assert_int_equal(send_one(c, ssrc, 1), SRTP_OK);
		assert_true(arena_used(cold) > 0);
		srtp_context_free(store, c);
		assert_memory_equal(c, zeros, record);
		const uint8_t *octets = (const uint8_t *)cold;
		for (size_t i = 0; i < offsetof(struct srtp_cold, arena); i++)
			assert_int_equal(octets[i], 0);
		assert_int_equal(arena_used(cold), 0);
	}
}

static void keys_are_not_dumped(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < DP_SRTP_SUITE_COUNT; suite = (uint8_t)(suite + 4)) {
		struct dp_crypto key = key_of(suite, 13);
		struct srtp_context *c = context(&key, SRTP_OUT);

		assert_true(memory_has_flag(c, "dd"));
		assert_true(memory_has_flag(context_cold(c), "dd"));
		assert_true(memory_has_flag(context_cold(c)->session, "dd"));
		srtp_context_free(store, c);
	}
	assert_true(memory_has_flag(engine, "dd"));
	assert_true(memory_has_flag(engine->hardware, "dd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counter_mode_gives_the_keystream_of_the_rfcs),
		cmocka_unit_test(session_keys_are_those_of_the_rfcs),
		cmocka_unit_test(gcm_protects_as_in_rfc_7714),
		cmocka_unit_test(gcm_seals_srtcp_as_in_rfc_7714),
		cmocka_unit_test(a_key_ends_with_its_lifetime_and_says_so_before),
		cmocka_unit_test(what_we_protect_is_never_forgotten),
		cmocka_unit_test(a_new_source_takes_the_place_of_a_silent_one_alone),
		cmocka_unit_test(a_packet_that_fails_is_as_it_was),
		cmocka_unit_test(an_mki_goes_with_rtp_and_rtcp_of_every_suite),
		cmocka_unit_test(a_packet_that_does_not_fit_uses_nothing_up),
		cmocka_unit_test(a_key_is_recognised),
		cmocka_unit_test(contexts_run_out_and_come_back),
		cmocka_unit_test(a_store_can_be_opened_again),
		cmocka_unit_test(memory_is_cleared),
		cmocka_unit_test(keys_are_not_dumped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
