/* SPDX-License-Identifier: BSD-3-Clause */
/* A call that rings is taken by another user (RFC 3891 section 3): who can, and what both get. */
#include "tests/unit/controlplane/call_fixture.h"

static char invite[FIXTURE_TEXT_MAX], kept[FIXTURE_TEXT_MAX];

#define SDP_OF(media) "v=0\r\no=y 2 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n" media

static int setup(void **state)
{
	*state = world_new();
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static void ring(struct call_world *w, const char *offer)
{
	start_call(w, offer, invite);
	respond(w, &w->f->other, invite, 180, "pbx1", "", NO_SDP);
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 180 "));
}

/* INVITE of a colleague of the callee. */
static void pick_up(struct call_world *w, const char *body)
{
	char call_id[512], from[512], end[2048];
	const char *tag;

	line_of(invite, "Call-ID", call_id, sizeof(call_id));
	call_id[strlen(call_id) - 2] = '\0';
	line_of(invite, "From", from, sizeof(from));
	from[strlen(from) - 2] = '\0';
	tag = strstr(from, ";tag=");
	assert_non_null(tag);
	write_body(end, sizeof(end), body);
	fixture_receive(w->f, &w->f->other,
		"INVITE sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.10:5080;branch=z9hG4bKtake\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:bob@192.0.2.10>;tag=t1\r\nTo: "
		"<sip:alice@192.0.2.1>\r\nCall-ID: take\r\n"
		"CSeq: 5 INVITE\r\nContact: <sip:bob@192.0.2.10:5080>\r\nReplaces: "
		"%s;to-tag=%s;from-tag=pbx1\r\n%s",
		call_id + strlen("Call-ID: "), tag + strlen(";tag="), end);
}

static void test_each_gets_the_others_offer_as_its_answer(void **state)
{
	struct call_world *w = *state;

	ring(w, PHONE_SDP);
	pick_up(w, SDP_OF("m=audio 7000 RTP/AVP 18 0\r\n"));
	fake_answer_all();
	assert_contains(take(w, &w->f->other, "CANCEL "), "Reason: SIP;cause=200");
	snprintf(kept, sizeof(kept), "%s", take(w, &w->f->other, "SIP/2.0 200 "));
	assert_contains(kept, "RTP/AVP 0\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "RTP/AVP 18 0\r\n");
	assert_null(strstr(kept, "192.0.2.9"));
	assert_int_equal(call_count(&w->f->shard), 1);
}

static void test_who_takes_it_and_never_acknowledges_ends_it(void **state)
{
	struct call_world *w = *state;

	ring(w, PHONE_SDP);
	pick_up(w, PBX_SDP);
	fake_answer_all();
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fixture_pass(w->f, 33000);
	assert_contains(take(w, &w->f->peer, "BYE "), "Reason: SIP;cause=408");
}

static void test_only_what_can_answer_the_caller_takes_the_call(void **state)
{
	static const struct {
		const char *offer, *body;
		bool taken;
	} cases[] = {
		{ SDP_OF("m=audio 1 RTP/AVP 0\r\n"), SDP_OF("m=audio 2 RTP/AVP 8\r\n"), false },
		{ SDP_OF("m=audio 1 RTP/AVP 0\r\n"), SDP_OF("m=video 2 RTP/AVP 0\r\n"), false },
		{ SDP_OF("m=audio 1 RTP/AVP 0\r\n"), SDP_OF("m=audio 2 RTP/SAVP 0\r\n"), false },
		{ SDP_OF("m=audio 1 RTP/AVP 0\r\n"),
			SDP_OF("m=audio 2 RTP/AVP 0\r\nm=video 4 RTP/AVP 99\r\n"), false },
		{ SDP_OF("m=audio 1 RTP/AVP 0\r\n"), SDP_OF("m=audio 0 RTP/AVP 0\r\n"), false },
		{ SDP_OF("m=audio 1 RTP/AVP 0\r\n"), SDP_OF("m=audio 2 RTP/AVP 0\r\na=sendonly\r\n"), false },
		{ SDP_OF("m=audio 1 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"),
			SDP_OF("m=audio 2 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"), false },
		{ SDP_OF("m=audio 1 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"),
			SDP_OF("m=audio 2 RTP/AVP 96\r\na=rtpmap:96 iLBC/8000\r\n"), false },
		{ NO_SDP, SDP_OF("m=audio 2 RTP/AVP 0\r\n"), false },
		{ SDP_OF("m=audio 1 RTP/AVP 0\r\n"), NO_SDP, false },
		{ SDP_OF("m=audio 1 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"),
			SDP_OF("m=audio 2 RTP/AVP 8 111\r\na=rtpmap:111 OPUS/48000/2\r\n"), true },
		{ SDP_OF("m=audio 1 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"),
			SDP_OF("m=audio 2 RTP/AVP 0\r\n"), true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct call_world *w = world_new();

		ring(w, cases[i].offer);
		pick_up(w, cases[i].body);
		take(w, &w->f->other, cases[i].taken ? "SIP/2.0 200 " : "SIP/2.0 488 ");
		assert_int_equal(
			was_sent(w, &w->f->other, "CANCEL ") || was_sent(w, &w->f->peer, "SIP/2.0 200 "),
			cases[i].taken);
		world_free(w);
	}
}

/* An agent's telephone without keys, or without those that its profile asks for, does not end the ringing. */
static void test_caller_and_colleague_may_differ_in_keys_where_the_profile_allows_it(void **state)
{
#define CRYPTO(tag, key) "a=crypto:" tag " AES_CM_128_HMAC_SHA1_80 inline:" key "\r\n"
#define KEY_ONE          "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define KEY_TWO          "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
	static const char caller[] = SDP_OF("m=audio 1 RTP/SAVP 0\r\n" CRYPTO("1", KEY_ONE));
	static const struct {
		enum config_media_security policy;
		const char *body, *protocol;
	} cases[] = {
		{ CONFIG_MEDIA_SECURITY_PREFER, SDP_OF("m=audio 2 RTP/AVP 0\r\n"), " RTP/AVP 0\r\n" },
		{ CONFIG_MEDIA_SECURITY_PREFER, SDP_OF("m=audio 2 RTP/SAVP 0\r\n" CRYPTO("7", KEY_TWO)),
			" RTP/SAVP 0\r\n" },
		{ CONFIG_MEDIA_SECURITY_PREFER, SDP_OF("m=audio 2 RTP/SAVP 0\r\n"), NULL },
		{ CONFIG_MEDIA_SECURITY_REQUIRE, SDP_OF("m=audio 2 RTP/AVP 0\r\n"), NULL },
	};
	static char *suites[] = { (char *)(uintptr_t) "AES_CM_128_HMAC_SHA1_80" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct call_world *w = world_new();

		w->profile.media_security = cases[i].policy;
		w->profile.srtp_without_tls = true;
		w->profile.crypto_suites = (struct config_strings){ suites, 1 };
		ring(w, caller);
		pick_up(w, cases[i].body);
		fake_answer_all();
		if (!cases[i].protocol) {
			take(w, &w->f->other, "SIP/2.0 488 ");
			assert_false(was_sent(w, &w->f->other, "CANCEL "));
			world_free(w);
			continue;
		}
		snprintf(kept, sizeof(kept), "%s", take(w, &w->f->other, "SIP/2.0 200 "));
		assert_contains(kept, cases[i].protocol);
		assert_int_equal(strstr(kept, "a=crypto:7 ") != NULL, i == 1);
		assert_null(strstr(kept, KEY_ONE));
		snprintf(kept, sizeof(kept), "%s", take(w, &w->f->peer, "SIP/2.0 200 "));
		assert_contains(kept, " RTP/SAVP 0\r\n");
		assert_contains(kept, "a=crypto:1 ");
		assert_null(strstr(kept, KEY_TWO));
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_each_gets_the_others_offer_as_its_answer),
		TEST(test_who_takes_it_and_never_acknowledges_ends_it),
		cmocka_unit_test(test_caller_and_colleague_may_differ_in_keys_where_the_profile_allows_it),
		cmocka_unit_test(test_only_what_can_answer_the_caller_takes_the_call),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
