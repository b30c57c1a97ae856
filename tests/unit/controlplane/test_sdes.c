/* SPDX-License-Identifier: BSD-3-Clause */
/* a=crypto: what RFC 4568 allows is read, each malformed form is refused, and nothing of a refused line stays. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/sdes.h"
#include "controlplane/secret.h"

#define KEY30 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" /* RFC 4568 section 5 */
#define KEY46 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLQ=="
#define KEY28 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="
#define KEY44 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis="
#define CM80  "AES_CM_128_HMAC_SHA1_80"

static void test_the_example_of_the_rfc_is_read(void **state)
{
	struct sdes_line line;

	(void)state;
	assert_int_equal(
		sdes_parse(SPAN("1 " CM80 " inline:" KEY30 "|2^20|1:4 FEC_ORDER=FEC_SRTP"), &line), -ENOTSUP);
	assert_int_equal(sdes_parse(SPAN("1 " CM80 " inline:" KEY30 "|2^20|1:4"), &line), 0);
	assert_int_equal(line.tag, 1);
	assert_int_equal(line.crypto.suite, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_memory_equal(line.crypto.key, "YS___semctl () {\t220;}\n}\nunles", 30);
	assert_int_equal(line.crypto.lifetime, 1 << 20);
	assert_int_equal(line.crypto.mki_length, 4);
	assert_memory_equal(line.crypto.mki, "\0\0\0\1", 4);
	for (size_t i = 30; i < DP_SRTP_KEY_MAX; i++)
		assert_int_equal(line.crypto.key[i], 0);
}

static void test_each_suite_has_keys_of_its_length_alone(void **state)
{
	static const struct {
		const char *name, *key;
		enum dp_srtp_suite suite;
	} suites[] = {
		{ "AES_CM_128_HMAC_SHA1_80", KEY30, DP_SRTP_AES_CM_128_HMAC_SHA1_80 },
		{ "AES_CM_128_HMAC_SHA1_32", KEY30, DP_SRTP_AES_CM_128_HMAC_SHA1_32 },
		{ "AES_256_CM_HMAC_SHA1_80", KEY46, DP_SRTP_AES_256_CM_HMAC_SHA1_80 },
		{ "AES_256_CM_HMAC_SHA1_32", KEY46, DP_SRTP_AES_256_CM_HMAC_SHA1_32 },
		{ "AEAD_AES_128_GCM", KEY28, DP_SRTP_AEAD_AES_128_GCM },
		{ "AEAD_AES_256_GCM", KEY44, DP_SRTP_AEAD_AES_256_GCM },
	};
	static const char *const keys[] = { KEY30, KEY46, KEY28, KEY44 };

	(void)state;
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			struct sdes_line line;
			char text[256];
			int fits = strcmp(keys[k], suites[i].key) == 0 ? 0 : -EINVAL;

			snprintf(text, sizeof(text), "7 %s inline:%s", suites[i].name, keys[k]);
			assert_int_equal(sdes_parse(span_from(text), &line), fits);
			assert_int_equal(line.crypto.suite, fits == 0 ? suites[i].suite : DP_SRTP_NONE);
		}
}

static void test_what_is_malformed_is_refused_and_leaves_no_key(void **state)
{
	static const char *const lines[] = {
		"",
		"1",
		"1 " CM80,
		"x " CM80 " inline:" KEY30,
		"-1 " CM80 " inline:" KEY30,
		"1234567890 " CM80 " inline:" KEY30,
		"1 AES-CM inline:" KEY30,
		"1 " CM80 " outline:" KEY30,
		"1 " CM80 " inline:",
		"1 " CM80 " inline:" KEY30 "=",
		"1 " CM80 " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV",
		"1 " CM80 " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubG=z",
		"1 " CM80 " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubG-z",
		"1 " CM80 " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVub z",
		"1 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=",
		"1 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw",
		/* Bits that say nothing. */
		"1 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx==",
		"1 " CM80 " inline:" KEY30 "|",
		"1 " CM80 " inline:" KEY30 "|2^",
		"1 " CM80 " inline:" KEY30 "|2^49",
		"1 " CM80 " inline:" KEY30 "|2^x",
		"1 " CM80 " inline:" KEY30 "|0",
		"1 " CM80 " inline:" KEY30 "|281474976710657",
		"1 " CM80 " inline:" KEY30 "|2^20|2^20",
		"1 " CM80 " inline:" KEY30 "|1:4|2^20",
		"1 " CM80 " inline:" KEY30 "|1:4|1:4",
		"1 " CM80 " inline:" KEY30 "|:4",
		"1 " CM80 " inline:" KEY30 "|1:",
		"1 " CM80 " inline:" KEY30 "|1:0",
		"1 " CM80 " inline:" KEY30 "|1:129",
		"1 " CM80 " inline:" KEY30 "|a:1",
		"1 " CM80 " inline:" KEY30 "|256:1",
		"1 " CM80 " inline:" KEY30 "|340282366920938463463374607431768211456:16",
		"1 " CM80 " inline:" KEY30 ";inline:" KEY30,
		"1 " CM80 " inline:" KEY30 " WSH=",
		"1 " CM80 " inline:" KEY30 " WSH=x",
		"1 " CM80 " inline:" KEY30 " -",
		"1 " CM80 " inline:" KEY30 " =1",
		"1 " CM80 " inline:" KEY30 " a a a a a a a a a a a a a a a a a",
	};
	static const struct sdes_line nothing;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct sdes_line line;

		memset(&line, 0xa5, sizeof(line));
		if (sdes_parse(span_from(lines[i]), &line) != -EINVAL)
			fail_msg("taken: %s", lines[i]);
		assert_memory_equal(&line.crypto, &nothing.crypto, sizeof(line.crypto));
	}
}

static void test_what_is_well_formed_but_not_for_us_is_passed_over(void **state)
{
	static const char *const lines[] = {
		"1 F8_128_HMAC_SHA1_80 inline:" KEY30,
		"1 AES_CM_128_NULL_AUTH inline:" KEY30,
		"1 " CM80 " inline:" KEY30 " UNENCRYPTED_SRTP",
		"1 " CM80 " inline:" KEY30 " UNENCRYPTED_SRTCP",
		"1 " CM80 " inline:" KEY30 " UNAUTHENTICATED_SRTP",
		"1 " CM80 " inline:" KEY30 " KDR=1",
		"1 " CM80 " inline:" KEY30 " FEC_KEY=inline:" KEY30,
		"1 " CM80 " inline:" KEY30 " SOMETHING",
		"1 " CM80 " inline:" KEY30 "|2^9",
		"1 " CM80 " inline:" KEY30 "|999",
		"1 " CM80 " inline:" KEY30 "|1:17",
		"1 " CM80 " inline:" KEY30 "|1:128",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct sdes_line line;

		if (sdes_parse(span_from(lines[i]), &line) != -ENOTSUP)
			fail_msg("not passed over: %s", lines[i]);
		assert_int_equal(line.crypto.suite, DP_SRTP_NONE);
	}
}

static void test_what_may_be_said_besides_is_read(void **state)
{
	static const struct {
		const char *line;
		uint64_t lifetime;
		unsigned mki_length, last;
	} lines[] = {
		{ "1 " CM80 " inline:" KEY30 " WSH=64", 0, 0, 0 },
		{ "1 " CM80 " inline:" KEY30 " -unknown WSH=128", 0, 0, 0 },
		{ "1\t" CM80 "  inline:" KEY30 " ", 0, 0, 0 },
		{ "1 aes_cm_128_hmac_sha1_80 INLINE:" KEY30, 0, 0, 0 },
		{ "1 " CM80 " inline:" KEY30 "|2^48", 1ULL << 48, 0, 0 },
		{ "1 " CM80 " inline:" KEY30 "|1000", 1000, 0, 0 },
		{ "1 " CM80 " inline:" KEY30 "|1:1", 0, 1, 1 },
		{ "1 " CM80 " inline:" KEY30 "|2^31|66051:4", 1ULL << 31, 4, 3 },
		{ "1 " CM80 " inline:" KEY30 "|340282366920938463463374607431768211455:16", 0, 16, 255 },
		/* The first one that is usable. */
		{ "1 " CM80 " inline:" KEY30 "|2^20|1:200;inline:" KEY30 "|2^21|2:4", 1 << 21, 4, 2 },
		{ "1 " CM80 " inline:" KEY30 "|1:4;inline:" KEY30 "|2:4", 0, 4, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct sdes_line line;

		assert_int_equal(sdes_parse(span_from(lines[i].line), &line), 0);
		assert_int_equal(line.crypto.lifetime, lines[i].lifetime);
		assert_int_equal(line.crypto.mki_length, lines[i].mki_length);
		if (lines[i].mki_length)
			assert_int_equal(line.crypto.mki[lines[i].mki_length - 1], lines[i].last);
	}
}

static void test_what_is_too_long_is_not_looked_at(void **state)
{
	static const char start[] = "1 " CM80 " inline:" KEY30;
	static char text[SDES_LINE_MAX + 64];
	struct sdes_line line;

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, start, sizeof(start) - 1);
	assert_int_equal(sdes_parse((struct span){ text, SDES_LINE_MAX }, &line), 0);
	assert_int_equal(sdes_parse((struct span){ text, SDES_LINE_MAX + 1 }, &line), -EINVAL);
}

static void test_keys_of_our_own_differ_and_are_read_again_as_written(void **state)
{
	(void)state;
	for (unsigned suite = DP_SRTP_NONE + 1; suite < DP_SRTP_SUITE_COUNT; suite++)
		for (unsigned n = 0; n < 200; n++) {
			uint8_t key[DP_SRTP_KEY_MAX], other[DP_SRTP_KEY_MAX];
			struct sdes_line line;
			struct writer out;
			char text[256];

			sdes_make_key(suite, key);
			sdes_make_key(suite, other);
			assert_true(sdes_same_key(suite, key, suite, key));
			assert_false(sdes_same_key(suite, key, suite, other));
			assert_false(sdes_same_key(suite, key, suite == 1 ? 2 : 1, key));
			writer_init(&out, text, sizeof(text));
			sdes_write(&out, n + 1, suite, key);
			assert_false(out.overflow);
			assert_memory_equal(text, "a=crypto:", 9);
			assert_memory_equal(text + out.len - 2, "\r\n", 2);
			assert_int_equal(sdes_parse((struct span){ text + 9, out.len - 11 }, &line), 0);
			assert_int_equal(line.tag, n + 1);
			assert_int_equal(line.crypto.suite, suite);
			assert_memory_equal(line.crypto.key, key, sizeof(key));
		}
	assert_false(sdes_same_key(DP_SRTP_NONE, (const uint8_t *)"", DP_SRTP_NONE, (const uint8_t *)""));
}

static void test_texts_with_keys_are_kept_apart_and_wiped(void **state)
{
	struct span plain = SPAN("v=0\r\nm=audio 1 RTP/AVP 0\r\n"),
		    secret = SPAN("a=crypto:1 " CM80 " inline:" KEY30);
	size_t before = secret_count();
	char *one, *other, *piece;
	char buffer[128];

	(void)state;
	secret_open();
	one = secret_dup(plain);
	other = secret_dup(secret);
	assert_int_equal(secret_count(), before + 1);
	assert_string_equal(other, secret.p);
	assert_string_equal(one, plain.p);
	secret_free(one);
	secret_free(other);
	secret_free(NULL);
	assert_int_equal(secret_count(), before);
	/* The same piece again, and nothing in it. */
	piece = secret_alloc(secret.n + 1);
	assert_ptr_equal(piece, other);
	for (size_t i = 0; i <= secret.n; i++)
		assert_int_equal(piece[i], 0);
	secret_free(piece);
	assert_null(secret_alloc(SECRET_SIZE_MAX + 1));
	snprintf(buffer, sizeof(buffer), "x inline:%s", KEY30);
	secret_wipe(buffer, sizeof(buffer));
	assert_int_equal(buffer[0], 0);
	assert_int_equal(buffer[20], 0);
	memset(buffer, 'x', sizeof(buffer));
	secret_forget(buffer, sizeof(buffer));
	assert_int_equal(buffer[0] | buffer[sizeof(buffer) - 1], 0);
}

static bool is_left_out_of_core_dumps(const void *memory)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	bool inside = false, left_out = false;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		char *rest;
		unsigned long first = strtoul(line, &rest, 16);

		if (*rest == '-')
			inside = (unsigned long)memory >= first &&
				 (unsigned long)memory < strtoul(rest + 1, NULL, 16);
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			left_out = strstr(line, " dd") != NULL;
	}
	fclose(maps);
	return left_out;
}

static void test_no_core_dump_has_keys(void **state)
{
	void *piece = secret_alloc(100), *large = secret_alloc(SECRET_SIZE_MAX);

	(void)state;
	assert_true(is_left_out_of_core_dumps(piece));
	assert_true(is_left_out_of_core_dumps((char *)large + SECRET_SIZE_MAX - 1));
	assert_false(is_left_out_of_core_dumps(&piece));
	secret_free(piece);
	secret_free(large);
}

static void test_a_tag_is_of_one_line_alone(void **state)
{
	struct sdes_tags tags = { 0 };
	char value[64];

	(void)state;
	assert_true(sdes_tags_take(&tags, SPAN("1 AES_CM_128_HMAC_SHA1_80 inline:x")));
	assert_true(sdes_tags_take(&tags, SPAN("2 AES_CM_128_HMAC_SHA1_80 inline:x")));
	/* What is no tag, says none. */
	assert_true(sdes_tags_take(&tags, SPAN("x")) && sdes_tags_take(&tags, SPAN("x")));
	assert_true(sdes_tags_take(&tags, SPAN("")) && sdes_tags_take(&tags, SPAN("1x 2")));
	assert_true(sdes_tags_take(&tags, SPAN("4294967297 of more digits than a tag has")));
	/* Whatever the rest of a line may be. */
	assert_false(sdes_tags_take(&tags, SPAN(" 01 UNKNOWN")));
	assert_false(sdes_tags_take(&tags, SPAN("2")));
	tags = (struct sdes_tags){ 0 };
	for (unsigned i = 0; i < SDES_LINES_MAX; i++) {
		snprintf(value, sizeof(value), "%u S inline:x", i);
		assert_true(sdes_tags_take(&tags, span_from(value)));
	}
	assert_false(sdes_tags_take(&tags, SPAN("99 S inline:x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_example_of_the_rfc_is_read),
		cmocka_unit_test(test_each_suite_has_keys_of_its_length_alone),
		cmocka_unit_test(test_what_is_malformed_is_refused_and_leaves_no_key),
		cmocka_unit_test(test_what_is_well_formed_but_not_for_us_is_passed_over),
		cmocka_unit_test(test_what_may_be_said_besides_is_read),
		cmocka_unit_test(test_what_is_too_long_is_not_looked_at),
		cmocka_unit_test(test_keys_of_our_own_differ_and_are_read_again_as_written),
		cmocka_unit_test(test_a_tag_is_of_one_line_alone),
		cmocka_unit_test(test_texts_with_keys_are_kept_apart_and_wiped),
		cmocka_unit_test(test_no_core_dump_has_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
