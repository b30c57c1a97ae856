/* SPDX-License-Identifier: BSD-3-Clause */
/* Replaces and REFER that name a dialog of another shard. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/call_state.h"
#include "controlplane/transport_internal.h"

enum { SHARDS = 2 };

#define CALL_ID "call1@192.0.2.9"

static struct call_world *world[SHARDS];
static struct shard *shards[SHARDS];
static uv_loop_t loop;
static char invite[SHARDS][FIXTURE_TEXT_MAX], kept[FIXTURE_TEXT_MAX];

/* Each has a call of the same caller; the shards know each other from then on. */
static int setup(void **state)
{
	struct hash_key key;

	(void)state;
	hash_key_random(&key);
	uv_loop_init(&loop);
	for (unsigned i = 0; i < SHARDS; i++) {
		world[i] = world_new();
		shards[i] = &world[i]->f->shard;
		shards[i]->index = i;
		shards[i]->shard_key = key;
	}
	world[0]->profile.transfer = CONFIG_TERMINATE;
	world[1]->f->peer.listener->interface = &world[0]->f->interface;
	shards[1]->config = shards[0]->config;
	for (unsigned i = 0; i < SHARDS; i++) {
		establish(world[i], invite[i]);
		if (mailbox_new(&loop, shards[i], 64, &world[i]->f->private.mailbox) < 0)
			return -1;
	}
	for (unsigned i = 0; i < SHARDS; i++) {
		shards[i]->count = SHARDS;
		shards[i]->all = shards;
	}
	return 0;
}

static void drain(void)
{
	for (unsigned i = 0; i < 2 * SHARDS; i++)
		mailbox_drain(world[i % SHARDS]->f->private.mailbox);
}

static int teardown(void **state)
{
	(void)state;
	drain();
	for (unsigned i = 0; i < SHARDS; i++) {
		mailbox_free(world[i]->f->private.mailbox);
		shard_moves_free(&world[i]->f->private);
	}
	for (unsigned i = SHARDS; i-- > 0;)
		world_free(world[i]);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static const char *keep(const char *text)
{
	snprintf(kept, sizeof(kept), "%s", text);
	return kept;
}

static void refer(const char *tag)
{
	char lines[512];

	snprintf(lines, sizeof(lines),
		"Refer-To: "
		"<sip:2000@192.0.2.1?Replaces=call1%%40192.0.2.9%%3Bto-tag%%3D%s%%3Bfrom-tag%%3Dfrom1>\r\n",
		tag);
	caller_sends(world[0], "REFER", 2, world[0]->caller_tag, lines, NO_SDP);
}

/* The callee of the call in shard 1 says that it knows Replaces. */
static void knows_replaces(void)
{
	char from[512], to[512], call_id[512];

	line_of(invite[1], "To", to, sizeof(to));
	to[strlen(to) - 2] = '\0';
	line_of(invite[1], "From", from, sizeof(from));
	fixture_receive(world[1]->f, &world[1]->f->other,
		"UPDATE sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5080;branch=z9hG4bKu1\r\n"
		"Max-Forwards: 70\r\nFrom: %s;tag=pbx1\r\nTo: %s%sCSeq: 7 UPDATE\r\nSupported: replaces\r\n"
		"Contact: <sip:there@192.0.2.10:5080>\r\nContent-Length: 0\r\n\r\n",
		to + strlen("To: "), from + strlen("From: "),
		line_of(invite[1], "Call-ID", call_id, sizeof(call_id)));
	take(world[1], &world[1]->f->other, "SIP/2.0 200 ");
}

static void test_the_other_party_is_asked_to_replace_its_dialog(void **state)
{
	char call_id[512], name[1024];

	(void)state;
	knows_replaces();
	refer(world[1]->caller_tag);
	assert_false(was_sent(world[0], &world[0]->f->peer, "SIP/2.0 "));
	drain();
	take(world[0], &world[0]->f->peer, "SIP/2.0 202 ");
	keep(take(world[0], &world[0]->f->other, "INVITE sip:there@192.0.2.10:5080 "));
	assert_contains(kept, "\r\nRequire: replaces\r\n");
	line_of(invite[1], "Call-ID", call_id, sizeof(call_id));
	call_id[strlen(call_id) - 2] = '\0';
	snprintf(name, sizeof(name), "\r\nReplaces: %s;to-tag=pbx1;from-tag=01",
		call_id + strlen("Call-ID: "));
	assert_contains(kept, name);
	assert_null(strstr(kept, "from1"));
}

static void test_a_party_that_does_not_know_replaces_is_left_alone(void **state)
{
	(void)state;
	refer(world[1]->caller_tag);
	drain();
	take(world[0], &world[0]->f->peer, "SIP/2.0 202 ");
	respond(world[0], &world[0]->f->peer, keep(take(world[0], &world[0]->f->peer, "NOTIFY ")), 200, NULL,
		"", NO_SDP);
	assert_contains(take(world[0], &world[0]->f->peer, "NOTIFY "), "\r\n\r\nSIP/2.0 481 ");
	assert_int_equal(call_count(shards[0]), 1);
	assert_int_equal(call_count(shards[1]), 1);
}

static void test_a_dialog_that_the_other_shard_has_not_is_told_as_481(void **state)
{
	char tag[SHARD_TOKEN_MAX];

	(void)state;
	refer(shard_token(shards[1], tag));
	drain();
	take(world[0], &world[0]->f->peer, "SIP/2.0 202 ");
	respond(world[0], &world[0]->f->peer, keep(take(world[0], &world[0]->f->peer, "NOTIFY ")), 200, NULL,
		"", NO_SDP);
	assert_contains(take(world[0], &world[0]->f->peer, "NOTIFY "), "\r\n\r\nSIP/2.0 481 ");
}

static void test_a_relayed_refer_has_the_name_of_the_other_side(void **state)
{
	(void)state;
	world[0]->profile.transfer = CONFIG_RELAY;
	refer(world[1]->caller_tag);
	drain();
	keep(take(world[0], &world[0]->f->other, "REFER sip:there@"));
	assert_contains(kept, "to-tag%3Dpbx1");
	assert_null(strstr(kept, "from1"));
	assert_null(strstr(kept, "192.0.2.9"));
}

static void test_a_refer_without_an_answer_is_refused_in_time(void **state)
{
	(void)state;
	refer(world[1]->caller_tag);
	fixture_pass(world[0]->f, 5000);
	take(world[0], &world[0]->f->peer, "SIP/2.0 500 ");
	drain();
	assert_false(was_sent(world[0], &world[0]->f->peer, "SIP/2.0 202"));
}

static void test_a_call_that_ends_meanwhile_refuses_its_refer(void **state)
{
	(void)state;
	refer(world[1]->caller_tag);
	caller_sends(world[0], "BYE", 3, world[0]->caller_tag, "", NO_SDP);
	take(world[0], &world[0]->f->peer, "SIP/2.0 200 ");
	take(world[0], &world[0]->f->peer, "SIP/2.0 487 ");
	drain();
}

/* --- INVITE with Replaces -------------------------------------------------------------------------------------------------- */

/* `method` INVITE or its CANCEL, to both shards' sockets: it belongs to that of its Call-ID, wherever it comes. */
static void pick_up(const char *method, unsigned n, const char *lines)
{
	fixture_receive(world[0]->f, &world[0]->f->peer,
		"%s sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKpick%u\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:bob@192.0.2.9>;tag=f%u\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: pick%u\r\nCSeq: 1 %s\r\nContact: <sip:bob@192.0.2.9:5070>\r\n%sContent-Length: "
		"0\r\n\r\n",
		method, n, n, n, method, lines);
	drain();
}

static void test_the_invite_goes_to_the_shard_of_the_dialog_and_its_cancel_too(void **state)
{
	char lines[256];

	(void)state;
	snprintf(lines, sizeof(lines), "Replaces: " CALL_ID ";to-tag=%s;from-tag=from1\r\n",
		world[1]->caller_tag);
	for (unsigned n = 0; n < 8; n++) {
		pick_up("INVITE", n, lines);
		take(world[1], &world[1]->f->peer, "SIP/2.0 100 ");
		keep(take(world[1], &world[1]->f->other, "INVITE sip:there@192.0.2.10"));
		assert_contains(kept, "tag=pbx1\r\n");
		respond(world[1], &world[1]->f->other, kept, 100, NULL, "", NO_SDP);
		pick_up("CANCEL", n, "");
		take(world[1], &world[1]->f->peer, "SIP/2.0 200 ");
		take(world[1], &world[1]->f->peer, "SIP/2.0 487 ");
		respond(world[1], &world[1]->f->other, take(world[1], &world[1]->f->other, "CANCEL "), 200,
			NULL, "", NO_SDP);
		respond(world[1], &world[1]->f->other, kept, 487, NULL, "", NO_SDP);
	}
	assert_int_equal(call_count(shards[0]), 1);
	assert_int_equal(call_count(shards[1]), 1);
}

static void test_an_invite_that_names_nothing_is_answered_481_by_that_shard(void **state)
{
	char lines[256], tag[SHARD_TOKEN_MAX];

	(void)state;
	snprintf(lines, sizeof(lines), "Replaces: x;to-tag=%s;from-tag=y\r\n", shard_token(shards[1], tag));
	pick_up("INVITE", 1, lines);
	take(world[1], &world[1]->f->peer, "SIP/2.0 481 ");
	/* A CANCEL of nothing stays where its Call-ID leads. */
	pick_up("CANCEL", 99, "");
	assert_true(was_sent(world[0], &world[0]->f->peer, "SIP/2.0 481 ") ||
		    was_sent(world[1], &world[1]->f->peer, "SIP/2.0 481 "));
}

/* The call in shard 1 is being changed; the offer as the callee has got it. */
static const char *change(void)
{
	caller_sends(world[1], "INVITE", 2, world[1]->caller_tag, "", PHONE_SDP "a=sendonly\r\n");
	return keep(take(world[1], &world[1]->f->other, "INVITE "));
}

static void test_a_dialog_that_is_being_changed_is_waited_for(void **state)
{
	(void)state;
	knows_replaces();
	change();
	refer(world[1]->caller_tag);
	for (unsigned n = 0; n < 4; n++) {
		drain();
		assert_false(was_sent(world[0], &world[0]->f->peer, "SIP/2.0 "));
		fixture_pass(world[0]->f, 510);
	}
	respond(world[1], &world[1]->f->other, kept, 200, NULL, "", PBX_SDP "a=recvonly\r\n");
	caller_sends(world[1], "ACK", 2, world[1]->caller_tag, "", NO_SDP);
	fixture_pass(world[0]->f, 510);
	drain();
	take(world[0], &world[0]->f->peer, "SIP/2.0 202 ");
	assert_contains(take(world[0], &world[0]->f->other, "INVITE "), "\r\nRequire: replaces\r\n");
}

static void test_a_dialog_that_is_changed_for_ever_is_waited_for_until_timer_f_is_near(void **state)
{
	(void)state;
	knows_replaces();
	change();
	refer(world[1]->caller_tag);
	for (unsigned n = 0; n < 54; n++) {
		drain();
		assert_false(was_sent(world[0], &world[0]->f->peer, "SIP/2.0 202 "));
		fixture_pass(world[0]->f, 500);
	}
	for (unsigned n = 0; n < 6 && !was_sent(world[0], &world[0]->f->peer, "SIP/2.0 202 "); n++) {
		fixture_pass(world[0]->f, 500);
		drain();
	}
	take(world[0], &world[0]->f->peer, "SIP/2.0 202 ");
	respond(world[0], &world[0]->f->peer, keep(take(world[0], &world[0]->f->peer, "NOTIFY ")), 200, NULL,
		"", NO_SDP);
	assert_contains(take(world[0], &world[0]->f->peer, "NOTIFY "), "\r\n\r\nSIP/2.0 491 ");
}

static void test_bye_while_a_dialog_is_waited_for_answers_the_refer(void **state)
{
	(void)state;
	change();
	refer(world[1]->caller_tag);
	drain();
	caller_sends(world[0], "BYE", 3, world[0]->caller_tag, "", NO_SDP);
	assert_contains(take(world[0], &world[0]->f->peer, "SIP/2.0 487 "), "CSeq: 2 REFER\r\n");
	drain();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_dialog_that_is_being_changed_is_waited_for),
		TEST(test_a_dialog_that_is_changed_for_ever_is_waited_for_until_timer_f_is_near),
		TEST(test_bye_while_a_dialog_is_waited_for_answers_the_refer),
		TEST(test_the_other_party_is_asked_to_replace_its_dialog),
		TEST(test_a_party_that_does_not_know_replaces_is_left_alone),
		TEST(test_a_dialog_that_the_other_shard_has_not_is_told_as_481),
		TEST(test_a_relayed_refer_has_the_name_of_the_other_side),
		TEST(test_a_refer_without_an_answer_is_refused_in_time),
		TEST(test_a_call_that_ends_meanwhile_refuses_its_refer),
		TEST(test_the_invite_goes_to_the_shard_of_the_dialog_and_its_cancel_too),
		TEST(test_an_invite_that_names_nothing_is_answered_481_by_that_shard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
