/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys in offer and answer: which sides get SRTP, with whose keys, and that no key of one side is ever said on the other. */
#include "tests/unit/controlplane/media_srtp_fixture.h"

#include "controlplane/secret.h"

/* --- the matrix ----------------------------------------------------------------------------------------------------------- */

enum answer_to { GETS_PLAIN, GETS_AVP_CRYPTO, GETS_SAVP };

static void test_each_policy_takes_and_answers_each_offer_as_decided(void **state)
{
	static const char *const offers[] = {
		FROM_PHONE(AUDIO("4000")),
		FROM_PHONE(AUDIO("4000") LINE("3", CM80, KEY_A)),
		FROM_PHONE(SAVP("4000") LINE("3", CM80, KEY_A)),
		FROM_PHONE(SAVP("4000")),
		FROM_PHONE(SAVP("4000") LINE("1", "F8_128_HMAC_SHA1_80", KEY_A)),
		FROM_PHONE(AUDIO("4000") LINE("1", "F8_128_HMAC_SHA1_80", KEY_A)),
		FROM_PHONE(AUDIO("4000") LINE("1", CM80, "AAAA")),
		FROM_PHONE(AUDIO("4000") LINE("1", CM80, "AAAA") LINE("2", CM80, KEY_A)),
		FROM_PHONE(AUDIO("4000") LINE("1", CM32, KEY_A)),
		FROM_PHONE(SAVP("4000") LINE("3", CM80, KEY_A) LINE("3", GCM, KEY_G)), /* one tag twice */
		FROM_PHONE(AUDIO("4000") LINE("3", CM80, KEY_A) LINE("03", CM80, KEY_C)),
		FROM_PHONE(
			AUDIO("4000") LINE("3", CM80, KEY_A) "a=crypto:3 F8_128_HMAC_SHA1_80 inline:x\r\n"),
	};
	static const enum config_media_security policies[] = { CONFIG_MEDIA_SECURITY_NONE,
		CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_REQUIRE };
	enum { NO = -EKEYREJECTED };
	static const int expected[3][12] = {
		{ GETS_PLAIN, GETS_PLAIN, NO, NO, NO, GETS_PLAIN, GETS_PLAIN, GETS_PLAIN, GETS_PLAIN, NO,
			GETS_PLAIN, GETS_PLAIN },
		{ GETS_PLAIN, GETS_AVP_CRYPTO, GETS_SAVP, NO, NO, GETS_PLAIN, NO, GETS_AVP_CRYPTO, GETS_PLAIN,
			NO, NO, NO },
		{ NO, GETS_AVP_CRYPTO, GETS_SAVP, NO, NO, NO, NO, GETS_AVP_CRYPTO, NO, NO, NO, NO },
	};

	for (unsigned p = 0; p < 3; p++)
		for (unsigned o = 0; o < 12; o++) {
			struct sdes_line line;
			int got;

			renew(*state);
			be(policies[p], CONFIG_MEDIA_SECURITY_NONE);
			got = offer(0, offers[o]);
			if (expected[p][o] < 0) {
				assert_int_equal(got, expected[p][o]);
				continue;
			}
			assert_int_equal(got, 0);
			write_for(1, offers[o]);
			assert_null(strstr(written(1), "crypto"));
			assert_non_null(strstr(written(1), " RTP/AVP 0\r\n"));
			assert_int_equal(answer(1, PBX), 0);
			write_for(0, PBX);
			assert_non_null(strstr(written(0),
				expected[p][o] == GETS_SAVP ? " RTP/SAVP 0\r\n" : " RTP/AVP 0\r\n"));
			assert_int_equal(updated(1)->from.suite, DP_SRTP_NONE);
			assert_int_equal(updated(1)->to.suite, DP_SRTP_NONE);
			if (expected[p][o] == GETS_PLAIN) {
				assert_int_equal(updated(0)->from.suite, DP_SRTP_NONE);
				assert_int_equal(updated(0)->to.suite, DP_SRTP_NONE);
				assert_null(strstr(written(0), "crypto"));
				continue;
			}
			/* Its line, our key, told once; and the dataplane has both. */
			assert_true(told(0, 0, &line));
			assert_int_equal(line.tag, o == 7 ? 2 : 3);
			assert_int_equal(line.crypto.suite, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
			assert_memory_equal(line.crypto.key, updated(0)->to.key, DP_SRTP_KEY_MAX);
			assert_false(told(0, 1, &line));
			assert_memory_equal(updated(0)->from.key, "YS___semctl () {\t220;}\n}\nunles", 30);
			assert_no_key_of(written(0), KEY_A);
		}
}

static void test_what_each_policy_offers_and_what_it_takes_for_an_answer(void **state)
{
	static const char *const answers[] = {
		FROM_PBX(AUDIO("6000")),
		FROM_PBX(AUDIO("6000") LINE("1", CM80, KEY_B)),
		FROM_PBX(SAVP("6000") LINE("1", CM80, KEY_B)),
		FROM_PBX(SAVP("6000") LINE("2", GCM, KEY_G)),
		FROM_PBX(SAVP("6000")),
		FROM_PBX(SAVP("6000") LINE("2", CM80, KEY_B)), /* the other line's tag */
		FROM_PBX(SAVP("6000") LINE("3", CM80, KEY_B)), /* no tag of ours */
		FROM_PBX(SAVP("6000") LINE("1", CM32, KEY_B)), /* a suite not offered */
		FROM_PBX(SAVP("6000") LINE("1", CM80, "AAAA")),
		FROM_PBX(SAVP("6000") LINE("1", CM80, KEY_B) LINE("2", GCM, KEY_G)), /* two answers */
		FROM_PBX(SAVP("6000") LINE("1", CM80, KEY_B) LINE("1", CM80, KEY_B)),
		FROM_PBX(SAVP("6000") LINE("0", CM80, KEY_B)),
		FROM_PBX(SAVP("6000") "a=crypto:1 " CM80 " inline:" KEY_B " UNENCRYPTED_SRTP\r\n"),
		FROM_PBX("m=audio 0 RTP/SAVP 0\r\n"),
	};
	enum { COUNT = sizeof(answers) / sizeof(answers[0]), NO = -EKEYREJECTED, PLAIN = 0, SRTP = 1 };
	static const int expected[3][COUNT] = {
		{ PLAIN, PLAIN, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, PLAIN },
		{ PLAIN, SRTP, SRTP, SRTP, NO, NO, NO, NO, NO, NO, NO, NO, NO, PLAIN },
		{ NO, SRTP, SRTP, SRTP, NO, NO, NO, NO, NO, NO, NO, NO, NO, PLAIN },
	};
	static const char *const protocols[3] = { " RTP/AVP 0\r\n", " RTP/AVP 0\r\n", " RTP/SAVP 0\r\n" };

	for (unsigned p = 0; p < 3; p++)
		for (unsigned a = 0; a < COUNT; a++) {
			struct sdes_line first = { 0 }, second = { 0 };
			unsigned before;
			int got;

			renew(*state);
			be(CONFIG_MEDIA_SECURITY_NONE, (enum config_media_security)p);
			seen.insecure = 0;
			assert_int_equal(offer(0, PHONE), 0);
			write_for(1, PHONE);
			assert_non_null(strstr(written(1), protocols[p]));
			assert_int_equal(told(1, 0, &first), p != 0);
			if (p) {
				assert_true(told(1, 1, &second));
				assert_int_equal(first.crypto.suite, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
				assert_int_equal(second.crypto.suite, DP_SRTP_AEAD_AES_128_GCM);
				assert_false(told(1, 2, &second));
				told(1, 1, &second);
			}
			before = fake.count;
			got = answer(1, answers[a]);
			assert_int_equal(got, expected[p][a] < 0 ? expected[p][a] : 0);
			if (got) {
				/* Told to somebody; the dataplane hears nothing of such an answer. */
				assert_int_equal(seen.insecure, 1);
				assert_int_equal(fake.count, before);
				continue;
			}
			write_for(0, answers[a]);
			assert_null(strstr(written(0), "crypto"));
			if (expected[p][a] == PLAIN)
				continue;
			assert_int_equal(
				updated(1)->from.suite, a == 3 ? second.crypto.suite : first.crypto.suite);
			assert_memory_equal(updated(1)->to.key, a == 3 ? second.crypto.key : first.crypto.key,
				DP_SRTP_KEY_MAX);
			assert_int_equal(updated(0)->from.suite, DP_SRTP_NONE);
		}
}

static void test_without_tls_no_key_is_said_and_what_is_required_is_not_done_in_clear(void **state)
{
	struct sdes_line line;

	(void)state;
	be_side(0, CONFIG_MEDIA_SECURITY_PREFER, false);
	be_side(1, CONFIG_MEDIA_SECURITY_PREFER, false);
	assert_int_equal(offer(0, FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_A))), -EKEYREJECTED);
	assert_int_equal(offer(0, FROM_PHONE(AUDIO("4000") LINE("1", CM80, KEY_A))), 0);
	write_for(1, PHONE);
	assert_false(told(1, 0, &line));
	media_reject(media);

	renew(*state);
	be_side(0, CONFIG_MEDIA_SECURITY_NONE, false);
	be_side(1, CONFIG_MEDIA_SECURITY_REQUIRE, false);
	assert_int_equal(offer(0, PHONE), -EKEYREJECTED);
	be_side(1, CONFIG_MEDIA_SECURITY_NONE, false);
	be_side(0, CONFIG_MEDIA_SECURITY_REQUIRE, false);
	assert_int_equal(offer(0, FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_A))), -EKEYREJECTED);
	/* Unless whoever runs this says that it does not matter. */
	profiles[0].srtp_without_tls = true;
	assert_int_equal(offer(0, FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_A))), 0);
}

static void test_the_offerers_first_line_that_is_allowed_is_taken_and_feedback_is_mapped(void **state)
{
	struct sdes_line line;

	(void)state;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_REQUIRE);
	assert_int_equal(offer(0, FROM_PHONE("m=audio 4000 RTP/SAVPF 0\r\na=rtcp-fb:0 nack\r\n" LINE(
					  "1", CM32, KEY_C) LINE("5", GCM, KEY_G) LINE("6", CM80, KEY_A))),
		0);
	write_for(1, FROM_PHONE("m=audio 4000 RTP/SAVPF 0\r\na=rtcp-fb:0 nack\r\n"));
	assert_non_null(strstr(written(1), "RTP/SAVPF 0\r\n"));
	assert_non_null(strstr(written(1), "a=rtcp-fb:0 nack\r\n"));
	assert_no_key_of(written(1), KEY_A);
	assert_no_key_of(written(1), KEY_G);
	assert_int_equal(answer(1, FROM_PBX("m=audio 6000 RTP/SAVPF 0\r\n" LINE("1", CM80, KEY_B))), 0);
	write_for(0, FROM_PBX("m=audio 6000 RTP/SAVPF 0\r\n" LINE("1", CM80, KEY_B)));
	assert_non_null(strstr(written(0), "RTP/SAVPF 0\r\n"));
	assert_true(told(0, 0, &line));
	assert_int_equal(line.tag, 5);
	assert_int_equal(line.crypto.suite, DP_SRTP_AEAD_AES_128_GCM);
	assert_no_key_of(written(0), KEY_B);
	/* From the PBX without feedback: the phone's answer's is not for it. */
	assert_int_equal(offer(1, FROM_PBX(SAVP("6000") LINE("1", CM80, KEY_B))), 0);
	write_for(0, FROM_PBX(SAVP("6000") LINE("1", CM80, KEY_B)));
	assert_non_null(strstr(written(0), "RTP/SAVP 0\r\n"));
	assert_int_equal(answer(0, FROM_PHONE("m=audio 4000 RTP/SAVPF 0\r\na=rtcp-fb:0 nack\r\n" LINE(
					   "1", CM80, KEY_A))),
		0);
	write_for(1, FROM_PHONE("m=audio 4000 RTP/SAVPF 0\r\na=rtcp-fb:0 nack\r\n"));
	assert_null(strstr(written(1), "rtcp-fb"));
	assert_non_null(strstr(written(1), "RTP/SAVP 0\r\n"));
}

/* --- within a call -------------------------------------------------------------------------------------------------------- */

#define SRTP_PHONE FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_A))
#define SRTP_PBX   FROM_PBX(SAVP("6000") LINE("1", CM80, KEY_B))

static struct dp_crypto from[2], to[2];

static void note_keys(void)
{
	for (unsigned side = 0; side < 2; side++) {
		from[side] = updated(side)->from;
		to[side] = updated(side)->to;
	}
}

static void assert_keys_stay(void)
{
	for (unsigned side = 0; side < 2; side++) {
		assert_memory_equal(&updated(side)->from, &from[side], sizeof(from[side]));
		assert_memory_equal(&updated(side)->to, &to[side], sizeof(to[side]));
	}
}

static void secure_call_of(enum config_media_security pbx)
{
	be(CONFIG_MEDIA_SECURITY_PREFER, pbx);
	assert_int_equal(offer(0, SRTP_PHONE), 0);
	write_for(1, SRTP_PHONE);
	assert_int_equal(answer(1, SRTP_PBX), 0);
	write_for(0, SRTP_PBX);
	note_keys();
	assert_int_equal(from[0].suite, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_int_equal(to[1].suite, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_memory_not_equal(to[0].key, to[1].key, DP_SRTP_KEY_MAX);
	fake_answer_all();
}

static void secure_call(void)
{
	secure_call_of(CONFIG_MEDIA_SECURITY_REQUIRE);
}

static void test_each_side_has_keys_of_its_own_and_hold_keeps_them(void **state)
{
	static const char held[] = FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_A) "a=sendonly\r\n");
	static const char holds[] = FROM_PBX(SAVP("6000") LINE("1", CM80, KEY_B) "a=recvonly\r\n");

	(void)state;
	secure_call();
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(offer(0, n % 2 ? SRTP_PHONE : held), 0);
		write_for(1, n % 2 ? SRTP_PHONE : held);
		assert_int_equal(answer(1, n % 2 ? SRTP_PBX : holds), 0);
		write_for(0, n % 2 ? SRTP_PBX : holds);
		assert_keys_stay();
		fake_answer_all();
	}
	/* The other way round: what it is offered has the key it knows, and so has what it answers. */
	assert_int_equal(offer(1, SRTP_PBX), 0);
	write_for(0, SRTP_PBX);
	assert_int_equal(answer(0, SRTP_PHONE), 0);
	write_for(1, SRTP_PHONE);
	assert_keys_stay();
	/* Asked the same again, nothing has to be asked of the other: what was written is an answer. */
	assert_true(media_is_known(media, 1, span_from(SRTP_PBX)));
	/* But our offer is none. */
	assert_false(media_is_known(media, 0, span_from(SRTP_PHONE)));
}

static void test_another_key_of_a_peer_changes_its_direction_alone(void **state)
{
	static const char changed[] = FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_C));

	(void)state;
	secure_call();
	assert_int_equal(offer(0, changed), 0);
	write_for(1, changed);
	assert_int_equal(answer(1, SRTP_PBX), 0);
	write_for(0, SRTP_PBX);
	assert_memory_not_equal(updated(0)->from.key, from[0].key, 30);
	from[0] = updated(0)->from;
	assert_keys_stay();
}

static void test_a_suite_that_was_left_is_never_come_back_to_with_its_key(void **state)
{
	static const char gcm[] = FROM_PHONE(SAVP("4000") LINE("1", GCM, KEY_G));

	(void)state;
	secure_call();
	assert_int_equal(offer(0, gcm), 0);
	assert_int_equal(answer(1, SRTP_PBX), 0);
	assert_int_equal(updated(0)->to.suite, DP_SRTP_AEAD_AES_128_GCM);
	assert_int_equal(offer(0, SRTP_PHONE), 0);
	assert_int_equal(answer(1, SRTP_PBX), 0);
	assert_int_equal(updated(0)->to.suite, DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_memory_not_equal(updated(0)->to.key, to[0].key, 30);
}

static void test_a_refused_offer_leaves_the_keys_in_force(void **state)
{
	static const char changed[] = FROM_PHONE(SAVP("4000") LINE("1", GCM, KEY_G));
	static const char more[] =
		FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_C) SAVP("4002") LINE("1", CM80, KEY_G));

	(void)state;
	secure_call();
	assert_int_equal(offer(0, changed), 0);
	write_for(1, changed);
	media_reject(media);
	assert_int_equal(offer(1, SRTP_PBX), 0);
	assert_int_equal(answer(0, SRTP_PHONE), 0);
	assert_keys_stay();
	/* Ports were asked for: what is committed was repeated with its keys. */
	assert_int_equal(
		offer(0, FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_C) SAVP("4002") LINE("1", CM80, KEY_A))),
		0);
	assert_memory_equal(&last_side(0, 0)->from, &from[0], sizeof(from[0]));
	media_reject(media);
	assert_keys_stay();
	/* A stream whose keys are bad is refused alone; none of an old one is given up for it. */
	assert_int_equal(offer(0, more), 0);
	write_for(1, more);
	assert_non_null(strstr(written(1), "m=audio 0 RTP/SAVP 0\r\n"));
}

static void test_srtp_is_not_taken_away_on_the_way(void **state)
{
	(void)state;
	secure_call();
	seen.insecure = 0;
	assert_int_equal(offer(0, PHONE), -EKEYREJECTED);
	assert_int_equal(offer(0, FROM_PHONE(SAVP("4000"))), -EKEYREJECTED);
	assert_int_equal(seen.insecure, 2);
	assert_false(media_offer_is_pending(media));
	/* Nor by an answer, where it was no more than preferred. */
	assert_int_equal(offer(1, SRTP_PBX), 0);
	assert_int_equal(answer(0, PHONE), -EKEYREJECTED);
	media_reject(media);
	assert_int_equal(offer(1, SRTP_PBX), 0);
	assert_int_equal(answer(0, SRTP_PHONE), 0);
	assert_keys_stay();
}

static void test_our_own_key_sent_back_is_refused(void **state)
{
	struct sdes_line line = { 0 };
	char reflected[1024];
	const char *key;

	(void)state;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_REQUIRE);
	assert_int_equal(offer(0, SRTP_PHONE), 0);
	write_for(1, SRTP_PHONE);
	assert_true(told(1, 0, &line));
	key = strstr(written(1), "inline:") + 7;
	snprintf(reflected, sizeof(reflected), FROM_PBX(SAVP("6000")) "a=crypto:1 " CM80 " inline:%.40s\r\n",
		key);
	assert_int_equal(answer(1, reflected), -EKEYREJECTED);
	assert_int_equal(answer(1, SRTP_PBX), 0);
	write_for(0, SRTP_PBX);
	fake_answer_all();
	/* On the other side, in an offer. */
	snprintf(reflected, sizeof(reflected),
		FROM_PHONE(SAVP("4000")) "a=crypto:1 " CM80 " inline:%.40s\r\n", key);
	assert_int_equal(offer(0, reflected), -EKEYREJECTED);
}

static void test_before_the_answer_nothing_passes_in_clear(void **state)
{
	(void)state;
	be(CONFIG_MEDIA_SECURITY_NONE, CONFIG_MEDIA_SECURITY_REQUIRE);
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 1);
	assert_int_equal(fake_last(DP_SESSION_CREATE)->session.stream[0].side[1].from.suite,
		DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_int_equal(fake_last(DP_SESSION_CREATE)->session.stream[0].side[1].to.suite,
		DP_SRTP_AES_CM_128_HMAC_SHA1_80);
	fake_answer_all();
}

static void test_fax_and_back_begins_with_fresh_keys(void **state)
{
	static const char fax[] = FROM_PBX("m=image 6000 udptl t38\r\n");
	static const char fax_phone[] = FROM_PHONE("m=image 4000 udptl t38\r\n");

	(void)state;
	secure_call_of(CONFIG_MEDIA_SECURITY_PREFER);
	assert_int_equal(offer(1, fax), 0);
	write_for(0, fax);
	assert_null(strstr(written(0), "crypto"));
	assert_int_equal(answer(0, fax_phone), 0);
	write_for(1, fax_phone);
	assert_int_equal(updated(0)->from.suite, DP_SRTP_NONE);
	fake_answer_all();
	assert_int_equal(offer(1, PBX), -EKEYREJECTED);
	assert_int_equal(offer(1, SRTP_PBX), 0);
	write_for(0, SRTP_PBX);
	assert_int_equal(answer(0, SRTP_PHONE), 0);
	write_for(1, SRTP_PHONE);
	for (unsigned side = 0; side < 2; side++) {
		assert_memory_equal(updated(side)->from.key, from[side].key, 30);
		assert_memory_not_equal(updated(side)->to.key, to[side].key, 30);
	}
}

static void test_what_srtp_cannot_protect_is_refused_where_it_is_required(void **state)
{
	static const char fax[] = FROM_PHONE("m=image 4000 udptl t38\r\n");
	static const char raw[] = FROM_PHONE("m=audio 4000 udp 0\r\n");
	static const char both_kinds[] =
		FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_A) "m=image 4002 udptl t38\r\n");
	const struct media_party next = { .realm = &realms[1], .profile = &profiles[1], .secure = true };

	/* In a call, and whoever of the two requires it. */
	secure_call();
	assert_int_equal(offer(0, fax), -EKEYREJECTED);
	assert_int_equal(offer(1, FROM_PBX("m=image 6000 udptl t38\r\n")), -EKEYREJECTED);
	for (unsigned side = 0; side < 2; side++) {
		renew(*state);
		be(side ? CONFIG_MEDIA_SECURITY_PREFER : CONFIG_MEDIA_SECURITY_REQUIRE,
			side ? CONFIG_MEDIA_SECURITY_REQUIRE : CONFIG_MEDIA_SECURITY_NONE);
		assert_int_equal(offer(0, fax), -EKEYREJECTED);
		assert_int_equal(offer(0, raw), -EKEYREJECTED);
		/* Beside speech it is refused alone. */
		assert_int_equal(offer(0, both_kinds), 0);
		write_for(1, both_kinds);
		assert_non_null(strstr(written(1), "m=image 0 "));
	}
	/* Nor does the next one who is asked get it. */
	renew(*state);
	be(CONFIG_MEDIA_SECURITY_NONE, CONFIG_MEDIA_SECURITY_NONE);
	assert_int_equal(offer(0, fax), 0);
	write_for(1, fax);
	profiles[1].media_security = CONFIG_MEDIA_SECURITY_REQUIRE;
	assert_int_equal(media_retarget(media, 1, &next), -EKEYREJECTED);
}

static void test_forks_answer_one_offer_with_keys_of_their_own(void **state)
{
	static const char other[] = FROM_PBX(SAVP("6100") LINE("2", GCM, KEY_G));
	struct sdes_line first, second;
	char before[4096];

	(void)state;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_REQUIRE);
	assert_int_equal(offer(0, SRTP_PHONE), 0);
	write_for(1, SRTP_PHONE);
	assert_true(told(1, 0, &first) && told(1, 1, &second));
	snprintf(before, sizeof(before), "%s", written(1));
	assert_int_equal(media_answer(media, 1, span_from(SRTP_PBX), false), 0);
	assert_memory_equal(updated(1)->to.key, first.crypto.key, DP_SRTP_KEY_MAX);
	assert_int_equal(answer(1, other), 0);
	assert_memory_equal(updated(1)->to.key, second.crypto.key, DP_SRTP_KEY_MAX);
	/* The first one wins after all: it was told that key once, and no other. */
	media_other_dialog(media, 1);
	assert_int_equal(offer(0, SRTP_PHONE), 0);
	write_for(1, SRTP_PHONE);
	assert_string_equal(written(1), before);
	assert_int_equal(answer(1, SRTP_PBX), 0);
	assert_memory_equal(updated(1)->to.key, first.crypto.key, DP_SRTP_KEY_MAX);
}

static void test_the_next_one_asked_gets_other_keys(void **state)
{
	struct media_party party = { .realm = &realms[1], .profile = &profiles[1], .secure = true };
	struct sdes_line first, second;

	(void)state;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_REQUIRE);
	assert_int_equal(offer(0, SRTP_PHONE), 0);
	write_for(1, SRTP_PHONE);
	assert_true(told(1, 0, &first));
	assert_int_equal(media_retarget(media, 1, &party), 0);
	write_for(1, SRTP_PHONE);
	assert_true(told(1, 0, &second));
	assert_memory_not_equal(first.crypto.key, second.crypto.key, 30);
	/* One that may not have keys is not asked in clear. */
	party.secure = false;
	assert_int_equal(media_retarget(media, 1, &party), -EKEYREJECTED);
}

static void test_a_peer_that_moves_to_another_call_stays_with_srtp_and_gets_other_keys(void **state)
{
	struct media *old, *made;
	struct dp_crypto before;

	secure_call();
	before = to[0];
	old = media;
	assert_int_equal(media_new(&((struct fixture *)*state)->shard, &events, &seen, &made), 0);
	media = made;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_REQUIRE);
	assert_int_equal(offer(1, SRTP_PBX), 0);
	media_follow(made, 0, old, 0);
	write_for(0, SRTP_PBX);
	assert_non_null(strstr(written(0), " RTP/SAVP 0\r\n"));
	assert_int_equal(answer(0, PHONE), -EKEYREJECTED);
	assert_int_equal(answer(0, SRTP_PHONE), 0);
	assert_memory_not_equal(updated(0)->to.key, before.key, 30);
	media_close(old, on_closed, &seen);
}

static void test_a_key_that_is_used_up_is_renewed_with_its_side_alone(void **state)
{
	static const char short_lived[] =
		FROM_PHONE(SAVP("4000") "a=crypto:1 " CM80 " inline:" KEY_A "|2^12\r\n");
	static const char renewed[] =
		FROM_PHONE(SAVP("4000") "a=crypto:1 " CM80 " inline:" KEY_C "|2^12\r\n");
	struct sdes_line line;
	struct writer out;
	char text[4096];

	(void)state;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_REQUIRE);
	assert_int_equal(offer(0, short_lived), 0);
	write_for(1, short_lived);
	assert_int_equal(answer(1, SRTP_PBX), 0);
	write_for(0, SRTP_PBX);
	note_keys();
	assert_int_equal(from[0].lifetime, 1 << 12);
	writer_init(&out, text, sizeof(text));
	assert_int_equal(media_rekey(media, 0, 1, &out), -EPROTO);
	assert_int_equal(media_rekey(media, 0, 0, &out), 0);
	assert_true(span_equal(media_written(media, 0), writer_result(&out)));
	assert_non_null(strstr(written(0), " 2 IN IP4 "));
	assert_true(told(0, 0, &line));
	assert_memory_not_equal(line.crypto.key, to[0].key, 30);
	/* It keeps what has come to its end. */
	assert_int_equal(media_rekeyed(media, 0, span_from(short_lived)), -EKEYEXPIRED);
	assert_int_equal(media_rekeyed(media, 0, span_from(FROM_PHONE(SAVP("4000")))), -EKEYREJECTED);
	assert_int_equal(media_rekeyed(media, 0, span_from(renewed)), 0);
	assert_memory_equal(updated(0)->to.key, line.crypto.key, DP_SRTP_KEY_MAX);
	assert_memory_not_equal(updated(0)->from.key, from[0].key, 30);
	assert_memory_equal(&updated(1)->to, &to[1], sizeof(to[1]));
	assert_memory_equal(&updated(1)->from, &from[1], sizeof(from[1]));
}

static void test_media_with_keys_is_never_local(void **state)
{
	struct media_party party = { .realm = &realms[1], .profile = &profiles[1], .secure = true };

	(void)state;
	be(CONFIG_MEDIA_SECURITY_PREFER, CONFIG_MEDIA_SECURITY_NONE);
	profiles[0].local_media = profiles[1].local_media = true;
	assert_int_equal(address_parse(SPAN("203.0.113.9:5070"), 0, &party.signalling), 0);
	media_set_party(media, 1, &party);
	assert_int_equal(offer(0, SRTP_PHONE), 0);
	assert_null(strstr(write_for(1, SRTP_PHONE), "192.168.1.2"));
}

static void test_no_key_stays_behind_a_call(void **state)
{
	size_t before = secret_count();

	(void)state;
	secure_call();
	assert_true(secret_count() > before);
	assert_int_equal(offer(0, FROM_PHONE(SAVP("4000") LINE("1", CM80, KEY_C))), 0);
	write_for(1, SRTP_PHONE);
	media_close(media, on_closed, &seen);
	media = NULL;
	fake_answer_all();
	assert_int_equal(secret_count(), before);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_each_policy_takes_and_answers_each_offer_as_decided),
		CASE(test_what_each_policy_offers_and_what_it_takes_for_an_answer),
		CASE(test_without_tls_no_key_is_said_and_what_is_required_is_not_done_in_clear),
		CASE(test_the_offerers_first_line_that_is_allowed_is_taken_and_feedback_is_mapped),
		CASE(test_each_side_has_keys_of_its_own_and_hold_keeps_them),
		CASE(test_another_key_of_a_peer_changes_its_direction_alone),
		CASE(test_a_suite_that_was_left_is_never_come_back_to_with_its_key),
		CASE(test_a_refused_offer_leaves_the_keys_in_force),
		CASE(test_srtp_is_not_taken_away_on_the_way),
		CASE(test_our_own_key_sent_back_is_refused),
		CASE(test_before_the_answer_nothing_passes_in_clear),
		CASE(test_fax_and_back_begins_with_fresh_keys),
		CASE(test_what_srtp_cannot_protect_is_refused_where_it_is_required),
		CASE(test_forks_answer_one_offer_with_keys_of_their_own),
		CASE(test_the_next_one_asked_gets_other_keys),
		CASE(test_a_peer_that_moves_to_another_call_stays_with_srtp_and_gets_other_keys),
		CASE(test_a_key_that_is_used_up_is_renewed_with_its_side_alone),
		CASE(test_media_with_keys_is_never_local),
		CASE(test_no_key_stays_behind_a_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
