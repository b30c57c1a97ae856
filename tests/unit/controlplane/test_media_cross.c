/* SPDX-License-Identifier: BSD-3-Clause */
/* Two offers that answer each other: each side is answered in its own protocol, with keys of its own, where the profiles allow it. */
#include "tests/unit/controlplane/media_srtp_fixture.h"

#define COLLEAGUE(lines) SDP("IP4 10.0.0.7", lines)
#define CRYPTO           LINE("1", CM80, KEY_A)
#define OTHER_CRYPTO     LINE("4", GCM, KEY_G)

static struct media_party taker(void)
{
	struct media_party party = { .realm = &realms[1], .profile = &profiles[1], .secure = true };

	assert_int_equal(address_parse(SPAN("10.0.0.7:5060"), 0, &party.signalling), 0);
	return party;
}

static bool can_cross(const char *body)
{
	const struct media_party party = taker();

	return media_can_cross(media, 1, &party, span_from(body));
}

static int cross(const char *body)
{
	const struct media_party party = taker();

	return media_cross(media, 1, &party, span_from(body));
}

/* What a side was answered: one line with its tag where it had keys, and its own protocol. */
static void assert_answered(unsigned side, const char *protocol, unsigned tag, enum dp_srtp_suite suite)
{
	struct sdes_line line;

	assert_non_null(strstr(written(side), protocol));
	assert_int_equal(told(side, 0, &line), suite != DP_SRTP_NONE);
	assert_false(told(side, 1, &line));
	assert_int_equal(updated(side)->from.suite, suite);
	assert_int_equal(updated(side)->to.suite, suite);
	if (suite == DP_SRTP_NONE)
		return;
	told(side, 0, &line);
	assert_int_equal(line.tag, tag);
	assert_int_equal(line.crypto.suite, suite);
	assert_memory_equal(line.crypto.key, updated(side)->to.key, DP_SRTP_KEY_MAX);
	assert_no_key_of(written(side), KEY_A);
	assert_no_key_of(written(side), KEY_G);
}

static void test_each_side_is_answered_in_its_own_protocol_with_its_own_keys(void **state)
{
	static const struct {
		const char *offer, *taker, *protocol;
		bool keys;
	} cases[] = {
#define ROW(name, lines, taking, keys) \
	{ FROM_PHONE("m=audio 4000 " name lines), COLLEAGUE("m=audio 7000 " name taking), " " name, keys }
		ROW("RTP/AVP 0\r\n", "", "", false),
		ROW("RTP/AVP 0\r\n", CRYPTO, OTHER_CRYPTO, true),
		ROW("RTP/SAVP 0\r\n", CRYPTO, OTHER_CRYPTO, true),
		ROW("RTP/AVPF 0\r\n", "a=rtcp-fb:0 nack\r\n", "a=rtcp-fb:0 nack\r\n", false),
		ROW("RTP/SAVPF 0\r\n", CRYPTO, OTHER_CRYPTO, true),
	};
	enum { COUNT = sizeof(cases) / sizeof(cases[0]) };

	for (unsigned one = 0; one < COUNT; one++)
		for (unsigned two = 0; two < COUNT; two++) {
			renew(*state);
			be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_PREFER);
			assert_int_equal(offer(0, cases[one].offer), 0);
			write_for(1, cases[one].offer);
			assert_true(can_cross(cases[two].taker));
			assert_int_equal(cross(cases[two].taker), 0);
			write_for(1, cases[one].offer);
			write_for(0, cases[two].taker);
			assert_answered(0, cases[one].protocol, 1,
				cases[one].keys ? DP_SRTP_AES_CM_128_HMAC_SHA1_80 : DP_SRTP_NONE);
			assert_answered(1, cases[two].protocol, 4,
				cases[two].keys ? DP_SRTP_AEAD_AES_128_GCM : DP_SRTP_NONE);
			/* Feedback is for who has said that it knows it. */
			assert_true(!strstr(written(0), "rtcp-fb") || strstr(cases[one].protocol, "AVPF"));
			assert_true(!strstr(written(1), "rtcp-fb") || strstr(cases[two].protocol, "AVPF"));
		}
}

static void test_who_was_asked_before_and_who_takes_it_have_other_keys(void **state)
{
	struct sdes_line before, after;

	(void)state;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_REQUIRE);
	assert_int_equal(offer(0, PHONE), 0);
	write_for(1, PHONE);
	assert_true(told(1, 0, &before));
	assert_int_equal(cross(COLLEAGUE(SAVP("7000") LINE("9", CM80, KEY_B))), 0);
	write_for(1, PHONE);
	assert_true(told(1, 0, &after));
	assert_int_equal(after.tag, 9);
	assert_memory_not_equal(before.crypto.key, after.crypto.key, DP_SRTP_KEY_MAX);
}

/* The call goes on ringing, and its callee may still answer. */
static void test_what_a_profile_does_not_allow_changes_nothing(void **state)
{
	static const struct {
		enum config_media_security policy;
		const char *taker;
	} cases[] = {
		{ CONFIG_MEDIA_SECURITY_REQUIRE, COLLEAGUE(AUDIO("7000")) },
		{ CONFIG_MEDIA_SECURITY_NONE, COLLEAGUE(SAVP("7000") CRYPTO) },
		{ CONFIG_MEDIA_SECURITY_PREFER, COLLEAGUE(SAVP("7000")) },
		{ CONFIG_MEDIA_SECURITY_PREFER, COLLEAGUE(SAVP("7000") LINE("1", CM80, "AAAA")) },
		{ CONFIG_MEDIA_SECURITY_PREFER, COLLEAGUE(SAVP("7000") CRYPTO LINE("1", GCM, KEY_G)) },
		{ CONFIG_MEDIA_SECURITY_REQUIRE, COLLEAGUE(SAVP("7000") LINE("1", CM32, KEY_A)) },
		{ CONFIG_MEDIA_SECURITY_PREFER, "v=0" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *good = cases[i].policy == CONFIG_MEDIA_SECURITY_NONE
					   ? PBX
					   : FROM_PBX(SAVP("6000") LINE("1", CM80, KEY_B));
		unsigned before;

		renew(*state);
		be(CONFIG_MEDIA_SECURITY_NONE, cases[i].policy);
		assert_int_equal(offer(0, PHONE), 0);
		write_for(1, PHONE);
		before = fake.count;
		seen.insecure = 0;
		assert_false(can_cross(cases[i].taker));
		assert_int_equal(seen.insecure, 0);
		assert_int_equal(fake.count, before);
		assert_int_equal(answer(1, good), 0);
		assert_false(can_cross(cases[i].taker));
	}
}

static void test_without_tls_nobody_with_keys_takes_a_call(void **state)
{
	struct media_party party;

	(void)state;
	be(CONFIG_MEDIA_SECURITY_NONE, CONFIG_MEDIA_SECURITY_PREFER);
	assert_int_equal(offer(0, PHONE), 0);
	party = taker();
	party.secure = false;
	assert_false(media_can_cross(media, 1, &party, SPAN(COLLEAGUE(SAVP("7000") CRYPTO))));
	assert_true(media_can_cross(media, 1, &party, SPAN(COLLEAGUE(AUDIO("7000") CRYPTO))));
	party.realm = &realms[0];
	assert_false(media_can_cross(media, 1, &party, SPAN(COLLEAGUE(AUDIO("7000")))));
}

static void test_hold_afterwards_keeps_the_keys_and_offers_all_suites(void **state)
{
	static const char taking[] = COLLEAGUE(SAVP("7000") OTHER_CRYPTO);
	static const char hold[] = FROM_PHONE(SAVP("4000") CRYPTO "a=sendonly\r\n");
	struct dp_side_request before[2];
	struct sdes_line line;

	(void)state;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_PREFER);
	assert_int_equal(offer(0, FROM_PHONE(SAVP("4000") CRYPTO)), 0);
	assert_int_equal(cross(taking), 0);
	write_for(1, FROM_PHONE(SAVP("4000") CRYPTO));
	write_for(0, taking);
	before[0] = *updated(0);
	before[1] = *updated(1);
	fake_answer_all();
	assert_int_equal(offer(0, hold), 0);
	write_for(1, hold);
	assert_non_null(strstr(written(1), " RTP/SAVP 0\r\n"));
	assert_true(told(1, 1, &line));
	assert_int_equal(line.crypto.suite, DP_SRTP_AEAD_AES_128_GCM);
	assert_int_equal(line.tag, 2);
	assert_int_equal(answer(1, COLLEAGUE(SAVP("7000") LINE("2", GCM, KEY_G) "a=recvonly\r\n")), 0);
	for (unsigned side = 0; side < 2; side++) {
		assert_memory_equal(&updated(side)->from, &before[side].from, sizeof(struct dp_crypto));
		assert_memory_equal(&updated(side)->to, &before[side].to, sizeof(struct dp_crypto));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		CASE(test_each_side_is_answered_in_its_own_protocol_with_its_own_keys),
		CASE(test_who_was_asked_before_and_who_takes_it_have_other_keys),
		CASE(test_what_a_profile_does_not_allow_changes_nothing),
		CASE(test_without_tls_nobody_with_keys_takes_a_call),
		CASE(test_hold_afterwards_keeps_the_keys_and_offers_all_suites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
