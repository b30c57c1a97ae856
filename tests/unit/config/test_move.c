/* SPDX-License-Identifier: BSD-3-Clause */
/* What is called the same in the next configuration is the same; what is gone stays for who uses it, and not longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/document.h"
#include "config/move.h"
#include "tests/unit/config/capture.h"

#define HEAD                                                                               \
	"network-interface out { port = \"xdp:eth0\" addresses = { \"192.0.2.1/24\" } }\n" \
	"network-interface in { port = \"xdp:eth1\" addresses = { \"198.51.100.1/24\" } }\n"
#define REALM_A "realm a { network-interface = out }\n"
#define REALM_B "realm b { network-interface = in }\n"
#define POOLS                                                                      \
	"steering-pool pa { realm = a address = 192.0.2.1 ports = 20000-20999 }\n" \
	"steering-pool pb { realm = b address = 198.51.100.1 ports = 20000-20999 }\n"
#define FACE_A "sip-interface fa { realm = a listen = { \"udp:192.0.2.1:5060\" } }\n"
#define FACE_B "sip-interface fb { realm = b listen = { \"udp:198.51.100.1:5060\" } }\n"
#define AGENT(name, more) \
	"session-agent " name " { realm = b address = \"udp:198.51.100.9:5060\" " more " }\n"

static struct config_snapshots *begin(const char *text)
{
	struct config_snapshots *snapshots;

	assert_int_equal(config_snapshots_new(capture_valid(text), &snapshots), 0);
	return snapshots;
}

static const struct config_session_agent *agent(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->session_agents_count; i++)
		if (!strcmp(config->session_agents[i].name, name))
			return &config->session_agents[i];
	return NULL;
}

static void test_a_pointer_goes_to_the_object_of_the_same_name_wherever_it_stands(void **state)
{
	struct config_snapshots *snapshots =
		begin(HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("one", "") AGENT("two", ""));
	struct config *next = capture_valid(HEAD REALM_B REALM_A POOLS FACE_B FACE_A AGENT(
		"two", "max-sessions = 7") AGENT("three", "") AGENT("one", ""));
	const struct config *first = config_snapshots_running(snapshots);
	const struct config_session_agent *two = agent(first, "two");
	const struct config_realm *a = config_find_realm(first, "a"), *none = NULL;
	const struct config_ip_profile *profile = first->sip_interfaces[0].ip_profile;
	struct config_move *move;

	(void)state;
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	assert_ptr_equal(config_move_from(move), first);
	assert_ptr_equal(config_move_to(move), next);
	assert_true(config_move_session_agent(move, &two));
	assert_ptr_equal(two, &next->session_agents[0]);
	assert_int_equal(two->max_sessions, 7);
	assert_true(config_move_session_agent(move, &two)); /* once more is fine */
	assert_ptr_equal(two, &next->session_agents[0]);
	assert_true(config_move_realm(move, &a));
	assert_ptr_equal(a, config_find_realm(next, "a"));
	assert_true(config_move_realm(move, &none));
	assert_null(none);
	/* The built-in profile has a name in no section. */
	assert_true(config_move_ip_profile(move, &profile));
	assert_ptr_equal(profile, next->sip_interfaces[0].ip_profile);
	assert_int_equal(config_move_index(move, CONFIG_KIND_session_agent, 0), 2);
	assert_int_equal(config_move_origin(move, CONFIG_KIND_session_agent, 0), 1);
	assert_int_equal(config_move_origin(move, CONFIG_KIND_session_agent, 1), CONFIG_NOWHERE);
	assert_int_equal(config_session_agent_index(next, two), 0);
	assert_int_equal(config_session_agent_index(next, agent(first, "two")), CONFIG_NOWHERE);
	config_move_finish(move, next);
	assert_ptr_equal(config_snapshots_running(snapshots), next);
	assert_int_equal(config_snapshots_kept(snapshots), 0);
	config_snapshots_free(snapshots);
}

static void test_what_is_gone_stays_as_long_as_somebody_has_it(void **state)
{
	struct config_snapshots *snapshots =
		begin(HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("one", "") AGENT("two", ""));
	const struct config_session_agent *one = agent(config_snapshots_running(snapshots), "one"),
					  *was = one;
	struct config_move *move;
	struct config *next = capture_valid(HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("two", ""));

	(void)state;
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	assert_int_equal(config_move_index(move, CONFIG_KIND_session_agent, 0), CONFIG_NOWHERE);
	assert_false(config_move_session_agent(move, &one));
	assert_ptr_equal(one, was);
	/* It is in the realm that everybody else is in. */
	assert_ptr_equal(one->realm, config_find_realm(next, "b"));
	config_move_finish(move, next);
	assert_int_equal(config_snapshots_kept(snapshots), 1);
	assert_string_equal(one->name, "one");
	/* There is one of that name again: it is the same one. */
	next = capture_valid(
		HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("two", "") AGENT("one", "max-sessions = 3"));
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	assert_true(config_move_session_agent(move, &one));
	assert_int_equal(one->max_sessions, 3);
	config_move_finish(move, next);
	assert_int_equal(config_snapshots_kept(snapshots), 0);
	config_snapshots_free(snapshots);
}

static void test_an_interface_that_is_gone_alone_is_in_the_realm_as_it_is_now(void **state)
{
	struct config_snapshots *snapshots = begin(HEAD REALM_A REALM_B POOLS FACE_A FACE_B);
	const struct config_sip_interface *face = &config_snapshots_running(snapshots)->sip_interfaces[0];
	struct config_move *move;
	struct config *next = capture_valid(HEAD REALM_A REALM_B POOLS FACE_B);

	(void)state;
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	assert_false(config_move_sip_interface(move, &face));
	config_move_finish(move, next);
	assert_ptr_equal(face->realm, config_find_realm(next, "a"));
	assert_ptr_equal(face->ip_profile, next->sip_interfaces[0].ip_profile);
	/* And in the next one, too: then the realm goes. */
	next = capture_valid(HEAD REALM_B
		"steering-pool pb { realm = b address = 198.51.100.1 ports = 20000-20999 }\n" FACE_B);
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	assert_false(config_move_sip_interface(move, &face));
	config_move_finish(move, next);
	assert_string_equal(face->realm->name, "a");
	assert_int_equal(config_snapshots_kept(snapshots), 2); /* that of the interface, that of its realm */
	/* Nobody has it any more. */
	next = capture_valid(HEAD REALM_B
		"steering-pool pb { realm = b address = 198.51.100.1 ports = 20000-20999 }\n" FACE_B);
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	config_move_finish(move, next);
	assert_int_equal(config_snapshots_kept(snapshots), 0);
	config_snapshots_free(snapshots);
}

static void test_older_configurations_are_bounded_and_those_not_in_use_give_way(void **state)
{
	struct config_snapshots *snapshots = begin(HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("x0", ""));
	const struct config_session_agent *held[CONFIG_SNAPSHOTS_MAX + 1];
	struct config_move *move;
	struct config *next;
	char text[2048];

	(void)state;
	for (unsigned i = 0; i < CONFIG_SNAPSHOTS_MAX; i++) {
		held[i] = &config_snapshots_running(snapshots)->session_agents[0];
		snprintf(
			text, sizeof(text), HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("x%u", ""), i + 1);
		next = capture_valid(text);
		assert_int_equal(config_move_new(snapshots, next, &move), 0);
		for (unsigned k = 0; k <= i; k++)
			config_move_session_agent(move, &held[k]);
		config_move_finish(move, next);
	}
	assert_int_equal(config_snapshots_kept(snapshots), CONFIG_SNAPSHOTS_MAX);
	next = capture_valid(HEAD REALM_A REALM_B POOLS FACE_A FACE_B);
	assert_int_equal(config_move_new(snapshots, next, &move), -EBUSY);
	/* All but one have ended: a look at who is left makes room. */
	assert_int_equal(config_move_new(snapshots, config_snapshots_running(snapshots), &move), 0);
	config_move_session_agent(move, &held[5]);
	config_move_finish(move, NULL);
	assert_int_equal(config_snapshots_kept(snapshots), 1);
	assert_string_equal(held[5]->name, "x5");
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	config_move_session_agent(move, &held[5]);
	config_move_finish(move, next);
	assert_string_equal(held[5]->name, "x5");
	config_snapshots_free(snapshots);
}

static void test_a_move_that_is_not_made_changes_nothing(void **state)
{
	struct config_snapshots *snapshots = begin(HEAD REALM_A REALM_B POOLS FACE_A FACE_B);
	const struct config *first = config_snapshots_running(snapshots);
	struct config *next = capture_valid(HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("one", ""));
	struct config_move *move;

	(void)state;
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	config_move_free(move);
	config_free(next);
	assert_ptr_equal(config_snapshots_running(snapshots), first);
	config_snapshots_free(snapshots);
}

static void test_policies_are_found_by_name_whatever_their_priority(void **state)
{
	static const char policies[] =
		"local-policy p { to = \"^1\" next-hop = \"agent:one\" priority = %u }\n"
		"local-policy q { to = \"^1\" next-hop = \"agent:one\" priority = %u }\n";
	char text[2048], end[512];
	struct config_snapshots *snapshots;
	const struct config_local_policy *p;
	struct config_move *move;
	struct config *next;

	(void)state;
	snprintf(end, sizeof(end), policies, 1, 2);
	snprintf(text, sizeof(text), "%s%s", HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("one", ""), end);
	snapshots = begin(text);
	p = &config_snapshots_running(snapshots)->local_policies[0];
	assert_string_equal(p->name, "p");
	snprintf(end, sizeof(end), policies, 2, 1);
	snprintf(text, sizeof(text), "%s%s", HEAD REALM_A REALM_B POOLS FACE_A FACE_B AGENT("one", ""), end);
	next = capture_valid(text);
	assert_int_equal(config_move_new(snapshots, next, &move), 0);
	assert_true(config_move_local_policy(move, &p));
	assert_ptr_equal(p, &next->local_policies[1]);
	assert_string_equal(p->name, "p");
	config_move_finish(move, next);
	config_snapshots_free(snapshots);
}

static struct config_document *document(const char *text)
{
	struct capture said = { 0 };
	const struct config_reporter reporter = { capture_report, &said };
	struct config_document *made;

	assert_int_equal(config_document_read("test", text, strlen(text), &reporter, &made), 0);
	return made;
}

/* `was`, then `is` is committed: what runs. Returned text: free(). */
static char *mixed(const char *was, const char *is, bool *changed)
{
	struct config_document *started = document(was), *next = document(is);
	char reason[256], *text;
	struct writer why;

	writer_init(&why, reason, sizeof(reason));
	assert_int_equal(config_document_keep_started(next, started, changed), 0);
	assert_int_equal(config_document_print(next, NULL, 0, CONFIG_PRINT_WHOLE, &text, &why), 0);
	config_document_free(started);
	config_document_free(next);
	return text;
}

static void test_settings_that_need_a_restart_are_as_at_the_start(void **state)
{
	bool changed;
	char *text = mixed("sip-config { shards = 2 t1 = 500ms }\n" HEAD REALM_A,
		"sip-config { shards = 4 t1 = 400ms max-calls = 7 }\n" HEAD
		"realm a { network-interface = in dscp-media = 3 }\n",
		&changed);

	(void)state;
	assert_true(changed);
	assert_non_null(strstr(text, "shards = 2\n"));
	assert_non_null(strstr(text, "t1 = 400ms\n"));
	assert_null(strstr(text, "max-calls"));
	assert_non_null(strstr(text, "network-interface = out\n"));
	assert_non_null(strstr(text, "dscp-media = 3\n"));
	free(text);
}

static void test_a_section_that_is_not_written_any_more_keeps_what_needs_a_restart(void **state)
{
	bool changed;
	char *text = mixed("sip-config { shards = 2 t1 = 400ms }\n", HEAD, &changed);

	(void)state;
	assert_true(changed);
	assert_non_null(strstr(text, "shards = 2\n"));
	assert_null(strstr(text, "t1"));
	free(text);
}

static void test_live_settings_alone_leave_the_text_as_it_is(void **state)
{
	bool changed;
	char *text = mixed("sip-config { shards = 2 t1 = 400ms }\n" HEAD REALM_A,
		"sip-config { t1 = 500ms shards = 2 }\n" HEAD REALM_A REALM_B, &changed);

	(void)state;
	assert_false(changed);
	assert_non_null(strstr(text, "realm b"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pointer_goes_to_the_object_of_the_same_name_wherever_it_stands),
		cmocka_unit_test(test_what_is_gone_stays_as_long_as_somebody_has_it),
		cmocka_unit_test(test_an_interface_that_is_gone_alone_is_in_the_realm_as_it_is_now),
		cmocka_unit_test(test_older_configurations_are_bounded_and_those_not_in_use_give_way),
		cmocka_unit_test(test_a_move_that_is_not_made_changes_nothing),
		cmocka_unit_test(test_policies_are_found_by_name_whatever_their_priority),
		cmocka_unit_test(test_settings_that_need_a_restart_are_as_at_the_start),
		cmocka_unit_test(test_a_section_that_is_not_written_any_more_keeps_what_needs_a_restart),
		cmocka_unit_test(test_live_settings_alone_leave_the_text_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
