/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the documents of calls by agent and realm: ratios, states, classes of quality. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/api.h"
#include "mgmt/listing.h"
#include "mgmt/show_statistics.h"

static struct cp_statistics agent(void)
{
	struct cp_statistics s = { .number = 3,
		.kind = CP_STATISTICS_AGENT,
		.state = CP_AGENT_DOWN,
		.state_wall_ms = 40000,
		.name = "pbx",
		.realm = "core",
		.address = "udp:10.0.0.5:5060" };

	s.calls[CP_STATISTICS_OUT] = (struct cp_statistics_calls){ .attempts = 8,
		.effective = 6,
		.answered = 4,
		.ended = 2,
		.talked_ms = 5000,
		.rang = 4,
		.post_dial_ms = 3000 };
	s.quality = (struct cp_quality){
		.mos = { 0, 0, 1, 0, 0, 0, 0, 3 }, .mos_sum = 1600, .loss = { 4 }, .jitter = { 2 }
	};
	return s;
}

static void assert_real(const json_t *row, const char *key, double expected)
{
	const json_t *value = json_object_get(row, key);

	assert_true(json_is_real(value));
	assert_true(json_real_value(value) > expected - 0.001 && json_real_value(value) < expected + 0.001);
}

static void an_agent_has_its_ratios_each_way_and_none_of_nothing(void **state)
{
	struct cp_statistics s = agent();
	json_t *row = show_agent_row(&s, 100500);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(row, "state")), "down");
	assert_int_equal(json_integer_value(json_object_get(row, "since-seconds")), 60);
	assert_true(json_is_null(json_object_get(row, "max-sessions")));
	assert_real(row, "out-asr-percent", 50);
	assert_real(row, "out-ner-percent", 75);
	assert_real(row, "out-acd-seconds", 2.5);
	assert_real(row, "out-post-dial-delay-seconds", 0.75);
	assert_true(json_is_null(json_object_get(row, "in-asr-percent")));
	assert_true(json_is_null(json_object_get(row, "in-acd-seconds")));
	json_decref(row);
	s.state_wall_ms = 0;
	s.state = 77;
	row = show_agent_row(&s, 100500);
	assert_true(json_is_null(json_object_get(row, "since-seconds")));
	assert_string_equal(json_string_value(json_object_get(row, "state")), "unknown");
	json_decref(row);
}

static void quality_has_means_shares_and_classes(void **state)
{
	struct cp_statistics s = agent();
	json_t *row = json_object();
	const json_t *classes;

	(void)state;
	show_quality_add(row, &s.quality);
	assert_int_equal(json_integer_value(json_object_get(row, "media")), 4);
	assert_real(row, "mos", 4.0);
	assert_real(row, "mos-poor-percent", 25);
	assert_real(row, "loss-poor-percent", 0);
	classes = json_object_get(row, "mos-classes");
	assert_int_equal(json_array_size(classes), CP_QUALITY_CLASSES);
	assert_real(json_array_get(classes, 2), "up-to", 2.6);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(classes, 2), "count")), 1);
	assert_true(json_is_null(json_object_get(json_array_get(classes, 7), "up-to")));
	json_decref(row);
}

static void a_page_shows_agents_alone_and_goes_on_behind_its_last_entry(void **state)
{
	struct {
		struct cp_statistics_page page;
		struct cp_statistics entry[2];
	} reply = { .page = { 2, 1 } };
	union listing_ask ask = { .calls = { 0 } };
	json_t *rows = json_array();

	(void)state;
	reply.entry[0] = (struct cp_statistics){ .number = 6, .kind = CP_STATISTICS_REALM, .name = "core" };
	reply.entry[1] = agent();
	reply.entry[1].number = 7;
	assert_int_equal(show_agents_take(&ask, &reply, sizeof(reply), rows), 1);
	assert_int_equal(json_array_size(rows), 1);
	assert_int_equal(ask.calls.after, 7);
	assert_int_equal(show_quality_take(&ask, &reply, sizeof(reply), rows), 1);
	assert_int_equal(json_array_size(rows), 3);
	assert_true(show_agents_take(&ask, &reply, sizeof(reply) - 1, rows) < 0);
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_has_its_ratios_each_way_and_none_of_nothing),
		cmocka_unit_test(quality_has_means_shares_and_classes),
		cmocka_unit_test(a_page_shows_agents_alone_and_goes_on_behind_its_last_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
