/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers and a dataplane that do anything in any order: whatever happened, no call, transaction or lease is left over. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/secret.h"

enum { SEEDS = 400, STEPS = 40, REMEMBERED = 4 };

static struct {
	uint64_t random;
	bool secret;
	unsigned caller_cseq, callee_cseq, invite_cseq;
	char to_caller[REMEMBERED][FIXTURE_TEXT_MAX],
		to_callee[REMEMBERED][FIXTURE_TEXT_MAX]; /* requests of ours */
	unsigned caller_count, callee_count;
	char invite[FIXTURE_TEXT_MAX]; /* the first to the callee */
	char tag[64]; /* ours towards the caller */
} storm;

static unsigned roll(unsigned n)
{
	storm.random = storm.random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(storm.random >> 33) % n;
}

#define CRYPTO_A "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
#define CRYPTO_B "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n"
#define SRTP(host, port, crypto)                                                               \
	"v=0\r\no=x 1 1 IN IP4 " host "\r\ns=-\r\nc=IN IP4 " host "\r\nt=0 0\r\nm=audio " port \
	" RTP/SAVP 0\r\n" crypto

/* Every other world has SRTP. */
static const char *any_secret_body(void)
{
	static const char *const bodies[] = { SRTP("192.0.2.9", "4000", CRYPTO_A),
		SRTP("192.0.2.10", "6000", CRYPTO_B), PHONE_SDP CRYPTO_B, PBX_SDP,
		SRTP("192.0.2.9", "4000", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"), NO_SDP,
		SRTP("192.0.2.9", "4000", CRYPTO_A) "m=image 4004 udptl t38\r\n" };

	return bodies[roll(7)];
}

static const char *any_body(void)
{
	static const char *const bodies[] = { PHONE_SDP, PBX_SDP, NO_SDP, PHONE_SDP "a=inactive\r\n",
		PBX_SDP "m=audio 0 RTP/AVP 0\r\n", PHONE_SDP "m=image 4004 udptl t38\r\n", "garbage" };

	return storm.secret ? any_secret_body() : bodies[roll(7)];
}

/* Remembers what we sent and makes room. */
static void look(struct call_world *w)
{
	struct fixture *f = w->f;

	for (unsigned i = 0; i < f->sent_count; i++) {
		const char *text = f->sent[i].text, *tag;
		bool to_caller = address_equal(&f->sent[i].to, &f->peer.remote);
		char(*kept)[FIXTURE_TEXT_MAX] = to_caller ? storm.to_caller : storm.to_callee;
		unsigned *count = to_caller ? &storm.caller_count : &storm.callee_count;

		if (strncmp(text, "SIP/2.0 ", 8) == 0) {
			tag = strstr(text, "\r\nTo: ");
			tag = tag ? strstr(tag, ";tag=") : NULL;
			if (to_caller && tag && strstr(text, "INVITE\r\n"))
				snprintf(storm.tag, sizeof(storm.tag), "%.*s", (int)strcspn(tag + 5, "\r;"),
					tag + 5);
			continue;
		}
		if (strncmp(text, "ACK ", 4) == 0)
			continue;
		memcpy(kept[(*count)++ % REMEMBERED], text, f->sent[i].length + 1);
		if (!to_caller && !storm.invite[0] && strncmp(text, "INVITE ", 7) == 0)
			memcpy(storm.invite, text, f->sent[i].length + 1);
	}
	f->sent_count = 0;
	w->looked = 0;
	/* The fake's list of requests likewise. */
	if (fake.answered == fake.count)
		fake.answered = fake.count = 0;
	else if (fake.count > FAKE_REQUESTS_MAX / 2)
		fake_answer_all();
}

static void pass(struct call_world *w, uint64_t ms)
{
	for (uint64_t passed = 0; passed < ms; passed += 500) {
		fixture_pass(w->f, ms - passed < 500 ? ms - passed : 500);
		look(w);
	}
}

static void answer(struct call_world *w, bool caller)
{
	static const unsigned statuses[] = { 180, 183, 200, 200, 200, 302, 401, 408, 481, 486, 487, 491, 503,
		603 };
	static const char *const tags[] = { "pbx1", "pbx1", "pbx2", "pbx3" };
	unsigned count = caller ? storm.caller_count : storm.callee_count;
	const char *request;

	if (count == 0)
		return;
	request = (caller ? storm.to_caller : storm.to_callee)[roll(count < REMEMBERED ? count : REMEMBERED)];
	respond(w, caller ? &w->f->peer : &w->f->other, request, statuses[roll(14)],
		strstr(request, "\r\nTo: ") &&
				strstr(strstr(request, "\r\nTo: "), ";tag=") <
					strstr(request, "\r\nCall-ID: ") &&
				strstr(strstr(request, "\r\nTo: "), ";tag=")
			? NULL
			: tags[roll(4)],
		"", any_body());
}

static void act(struct call_world *w)
{
	static const char *const pbx[] = { "pbx1", "pbx2" };
	const char *tag = storm.tag[0] && roll(8) ? storm.tag : NULL;
	const struct dp_event event = {
		.session = fake.last_session, .stream = (uint8_t)roll(3), .side = (uint8_t)roll(2)
	};

	if (fake.answered < fake.count && roll(4))
		fake_answer(0);
	switch (roll(16)) {
	case 0:
	case 1:
		/* Mostly one call at a time, or none would get far. */
		if (call_count(&w->f->shard) && (!tag || roll(3))) {
			answer(w, false);
			break;
		}
		storm.invite_cseq = ++storm.caller_cseq;
		caller_sends(w, "INVITE", storm.caller_cseq, tag, "", any_body());
		break;
	case 2:
		if (roll(3))
			break;
		caller_sends(w, "CANCEL", storm.invite_cseq, tag, "", NO_SDP);
		break;
	case 3:
	case 4:
		caller_sends(w, "ACK", storm.invite_cseq, tag, "", any_body());
		break;
	case 5:
		caller_sends(w, "BYE", ++storm.caller_cseq, tag, "", NO_SDP);
		break;
	case 6:
		if (storm.invite[0])
			callee_sends(w, storm.invite, roll(2) ? "BYE" : "INVITE", ++storm.callee_cseq,
				pbx[roll(2)], any_body());
		break;
	case 7:
	case 8:
	case 9:
	case 10:
		answer(w, false);
		break;
	case 11:
		answer(w, true);
		break;
	case 12:
	case 13:
		if (fake.answered < fake.count)
			fake_answer(roll(6) ? 0 : roll(2) ? -ENOSPC : -ENOENT);
		break;
	case 14:
		pass(w, roll(2) ? roll(2000) : roll(40000));
		break;
	case 15:
		if (roll(3) == 0)
			call_dataplane_event(&w->f->shard, DP_EVENT_MEDIA_SILENT, &event);
		else if (storm.secret)
			call_dataplane_event(
				&w->f->shard, roll(2) ? DP_EVENT_REKEY_NEEDED : DP_EVENT_SRTP_ALARM, &event);
		fake.down = roll(10) == 0;
		if (!fake.down)
			call_dataplane_up(&w->f->shard, roll(20) == 0);
		break;
	}
	look(w);
}

static void test_nothing_is_left_over_whatever_happened(void **state)
{
	unsigned secured = 0;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		static char suite[] = "AES_CM_128_HMAC_SHA1_80", *suites[] = { suite };
		struct call_world *w = world_new();

		memset(&storm, 0, sizeof(storm));
		storm.secret = seed % 2;
		w->profile.media_security = storm.secret ? CONFIG_MEDIA_SECURITY_PREFER + seed / 2 % 2
							 : CONFIG_MEDIA_SECURITY_NONE;
		w->profile.srtp_without_tls = true;
		w->profile.crypto_suites = (struct config_strings){ suites, 1 };
		storm.random = seed * 2654435761u + 1;
		for (unsigned step = 0; step < STEPS; step++)
			act(w);
		secured += secret_count() > 0;
		/* Nobody says anything any more, and what still stands has lost its media. */
		fake.down = false;
		for (unsigned i = 0; i < 4; i++) {
			fake_answer_all();
			look(w);
			call_dataplane_up(&w->f->shard, true);
			pass(w, 250000);
		}
		fake_answer_all();
		if (call_count(&w->f->shard) || fixture_live(w->f) || fixture_tombstones(w->f))
			fail_msg("seed %u: %zu calls, %u transactions, %u tombstones are left", seed,
				call_count(&w->f->shard), fixture_live(w->f), fixture_tombstones(w->f));
		world_free(w);
		assert_int_equal(secret_count(), 0);
	}
	assert_true(secured > SEEDS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_left_over_whatever_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
