/* SPDX-License-Identifier: BSD-3-Clause */
/* Interim records: each call in its turn, evenly, no more of them in a second than allowed, and never over its end. */
#include "tests/unit/controlplane/one_call_fixture.h"

#include <glob.h>
#include <unistd.h>

#include "controlplane/client.h"
#include "controlplane/store_record.h"

enum { CALLS = 20, SECOND_MS = 1000 };

struct bed {
	struct call_world *w;
	struct config config;
	struct record_store *store;
	char directory[64];
};

static void bed_open(struct bed *bed)
{
	assert_int_equal(record_store_open(&bed->config, &bed->store), 0);
	bed->w->f->shard.shared.records = bed->store;
}

static int bed_setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	snprintf(bed->directory, sizeof(bed->directory), "/tmp/sallyport-test-interim-XXXXXX");
	assert_non_null(mkdtemp(bed->directory));
	bed->w = world_new();
	bed->config.system.data_directory = bed->config.system.run_directory = bed->directory;
	bed->config.store = (struct config_store){ .queue = 1000, .group_time_ms = 1 };
	bed->config.accounting = (struct config_accounting){ .database = true, .keep_days = 90 };
	bed->w->f->config.accounting = (struct config_accounting){ .interim = 10, .interim_rate = 1000 };
	bed_open(bed);
	*state = bed;
	return 0;
}

static int bed_teardown(void **state)
{
	struct bed *bed = *state;
	char pattern[96];
	glob_t found;

	world_free(bed->w);
	record_store_close(bed->store);
	snprintf(pattern, sizeof(pattern), "%s/*", bed->directory);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
	assert_int_equal(rmdir(bed->directory), 0);
	free(bed);
	return 0;
}

/* The newest record, as the next process finds it. */
static const struct cp_record *left(struct bed *bed)
{
	static _Alignas(struct cp_record) char page[48 * 1024];
	struct cp_record_list ask = { .wanted = 1 };
	struct cp_record_page head;
	size_t length;

	record_store_close(bed->store);
	bed_open(bed);
	assert_int_equal(record_store_list(bed->store, &ask, &head, page, sizeof(page), &length), 0);
	assert_int_equal(head.count, 1);
	return (const struct cp_record *)page;
}

/* How often the dataplane has been asked for figures; all its answers are there afterwards. */
static unsigned asked(void)
{
	unsigned count = 0;

	for (unsigned i = fake.answered; i < fake.count; i++)
		count += fake.request[i].type == DP_SESSION_GET;
	fake_answer_all();
	return count;
}

static unsigned asked_in(struct bed *bed, uint64_t ms)
{
	fixture_pass(bed->w->f, ms);
	return asked();
}

static void a_call_has_its_figures_after_each_interval(void **state)
{
	struct bed *bed = *state;
	const struct cp_record *record;

	establish(bed->w, invite);
	fake.packets = 500;
	assert_int_equal(asked_in(bed, 9 * SECOND_MS), 0);
	assert_int_equal(asked_in(bed, 2 * SECOND_MS), 1);
	fake.packets = 900;
	assert_int_equal(asked_in(bed, 10 * SECOND_MS), 1);
	record = left(bed);
	assert_int_equal(record->value[CP_RECORD_STATE], CP_RECORD_IS_LOST);
	assert_int_equal(record->value[CP_RECORD_CALLER_PACKETS], 900);
	assert_true(record->value[CP_RECORD_CALLER_MOS] > 400);
	assert_true(record->value[CP_RECORD_DURATION] >= 0);
	assert_true(record->value[CP_RECORD_ENDED] == CP_RECORD_NULL);
}

static void the_codec_is_that_of_the_descriptions_now(void **state)
{
	static const char alaw[] = "v=0\r\no=x 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
				   "m=audio 4000 RTP/AVP 8\r\n";
	struct bed *bed = *state;
	struct call_world *w = bed->w;
	const struct cp_record *record;
	struct span codec;

	establish(w, invite);
	caller_sends(w, "INVITE", 2, w->caller_tag, "", alaw);
	fake_answer_all();
	respond(w, &w->f->other, take(w, &w->f->other, "INVITE "), 200, NULL, "", alaw);
	fake_answer_all();
	take(w, &w->f->peer, "SIP/2.0 200 ");
	caller_sends(w, "ACK", 2, w->caller_tag, "", NO_SDP);
	fixture_pass(w->f, 11 * SECOND_MS);
	asked();
	record = left(bed);
	codec = cp_record_text(record, CP_RECORD_TEXT_CALLER_CODEC);
	assert_true(span_equal(codec, SPAN("PCMA")));
}

static void the_interval_may_change_while_calls_go_on(void **state)
{
	struct bed *bed = *state;
	struct config_accounting *accounting = &bed->w->f->config.accounting;

	accounting->interim = 0;
	establish(bed->w, invite);
	assert_int_equal(asked_in(bed, 60 * SECOND_MS), 0);
	accounting->interim = 5;
	assert_int_equal(asked_in(bed, 7 * SECOND_MS), 1);
	accounting->interim = 0;
	assert_int_equal(asked_in(bed, 60 * SECOND_MS), 0);
}

static void many_calls_are_spread_over_the_interval(void **state)
{
	struct bed *bed = *state;

	answer_calls(bed->w, CALLS, invite);
	fixture_pass(bed->w->f, SECOND_MS);
	asked();
	for (unsigned second = 0; second < 10; second++)
		assert_int_equal(asked_in(bed, SECOND_MS), CALLS / 10);
}

static void there_are_no_more_in_a_second_than_allowed(void **state)
{
	struct bed *bed = *state;

	bed->w->f->config.accounting = (struct config_accounting){ .interim = 1, .interim_rate = 3 };
	answer_calls(bed->w, CALLS, invite);
	fixture_pass(bed->w->f, 5 * SECOND_MS);
	asked();
	assert_in_range(asked_in(bed, 10 * SECOND_MS), 29, 31);
}

static void each_call_has_its_turn(void **state)
{
	struct bed *bed = *state;
	uint64_t seen = 0;

	answer_calls(bed->w, CALLS, invite);
	fixture_pass(bed->w->f, 11 * SECOND_MS);
	for (unsigned i = 0; i < fake.count; i++)
		if (fake.request[i].type == DP_SESSION_GET)
			seen |= (uint64_t)1 << fake.request[i].id;
	asked();
	assert_int_equal(__builtin_popcountll(seen), CALLS);
}

static void what_comes_after_the_end_of_the_call_is_nothing(void **state)
{
	struct bed *bed = *state;
	const struct cp_record *record;

	establish(bed->w, invite);
	fixture_pass(bed->w->f, 11 * SECOND_MS);
	assert_true(fake.count > fake.answered);
	caller_sends(bed->w, "BYE", 2, bed->w->caller_tag, "", NO_SDP);
	respond(bed->w, &bed->w->f->other, take(bed->w, &bed->w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	fake_answer_all();
	record = left(bed);
	assert_int_equal(record->value[CP_RECORD_STATE], CP_RECORD_IS_ENDED);
	assert_int_equal(asked_in(bed, 60 * SECOND_MS), 0);
}

static void a_dataplane_that_does_not_answer_changes_no_record(void **state)
{
	struct bed *bed = *state;

	establish(bed->w, invite);
	fixture_pass(bed->w->f, 11 * SECOND_MS);
	fake_answer(-ETIMEDOUT);
	fake.down = true;
	fixture_pass(bed->w->f, 11 * SECOND_MS);
	fake.down = false;
	assert_true(left(bed)->value[CP_RECORD_DURATION] == CP_RECORD_NULL);
}

int main(void)
{
#define INTERIM(test) cmocka_unit_test_setup_teardown(test, bed_setup, bed_teardown)
	const struct CMUnitTest tests[] = {
		INTERIM(a_call_has_its_figures_after_each_interval),
		INTERIM(the_codec_is_that_of_the_descriptions_now),
		INTERIM(the_interval_may_change_while_calls_go_on),
		INTERIM(many_calls_are_spread_over_the_interval),
		INTERIM(there_are_no_more_in_a_second_than_allowed),
		INTERIM(each_call_has_its_turn),
		INTERIM(what_comes_after_the_end_of_the_call_is_nothing),
		INTERIM(a_dataplane_that_does_not_answer_changes_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
