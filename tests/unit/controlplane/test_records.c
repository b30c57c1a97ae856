/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of calls: harmless whatever strangers send, there after a crash, found again, deleted when they are old. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/client.h"
#include "controlplane/record.h"
#include "controlplane/store_record_internal.h"
#include "platforms/base/clock.h"

enum { PAGE = 48 * 1024, HOUR_MS = 3600 * 1000 };

/* --- a record ------------------------------------------------------------------------------------------------------------ */

static _Alignas(struct cp_record) char packed[CP_RECORD_MAX];

static struct cp_record *pack(const struct record *record)
{
	struct cp_record *out = (struct cp_record *)packed;

	record_pack(record, out);
	assert_true(cp_record_is_good(out, sizeof(packed)));
	return out;
}

static void assert_text(const struct cp_record *record, enum cp_record_text text, const char *expected)
{
	struct span value = cp_record_text(record, text);

	assert_int_equal(value.n, strlen(expected));
	assert_memory_equal(value.p, expected, value.n);
}

static void what_strangers_send_becomes_printable(void **state)
{
	struct record record;

	(void)state;
	record_init(&record, 1);
	record_text(&record, CP_RECORD_TEXT_CALLEE_TO, SPAN("1\x1b[2J\r\n\xff\\"));
	record_text(&record, CP_RECORD_TEXT_CALLER_FROM, SPAN("alice"));
	assert_text(pack(&record), CP_RECORD_TEXT_CALLEE_TO, "1\\x1b[2J\\x0d\\x0a\\xff\\x5c");
	assert_text((struct cp_record *)packed, CP_RECORD_TEXT_CALLER_FROM, "alice");
	assert_text((struct cp_record *)packed, CP_RECORD_TEXT_CAUSE, "");
}

static void the_longest_texts_fit(void **state)
{
	char text[300];
	struct record record;

	(void)state;
	memset(text, '\n', sizeof(text));
	record_init(&record, 1);
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++)
		record_text(&record, (enum cp_record_text)i, (struct span){ text, sizeof(text) });
	assert_int_equal(cp_record_text(pack(&record), CP_RECORD_TEXT_COUNT - 1).n, CP_RECORD_TEXT_MAX);
}

static void what_is_no_whole_record_is_found_out(void **state)
{
	struct record record;
	struct cp_record *r;

	(void)state;
	record_init(&record, 1);
	record_text(&record, CP_RECORD_TEXT_CAUSE, SPAN("refused"));
	r = pack(&record);
	assert_false(cp_record_is_good(r, r->length - 8));
	r->text[2] = '\n';
	assert_false(cp_record_is_good(r, sizeof(packed)));
	r = pack(&record);
	r->text_length[0] = 60000;
	assert_false(cp_record_is_good(r, sizeof(packed)));
	r = pack(&record);
	r->length = 8;
	assert_false(cp_record_is_good(r, sizeof(packed)));
}

static const char *csv(const struct cp_record *record)
{
	static char line[CP_RECORD_CSV_MAX + 1];
	struct writer out;

	writer_init(&out, line, CP_RECORD_CSV_MAX);
	cp_record_csv(record, &out);
	assert_false(out.overflow);
	line[out.len] = '\0';
	return line;
}

static void csv_has_no_formulas_and_no_broken_quotes(void **state)
{
	static const struct {
		const char *text, *field;
	} rows[] = { { "=1+1", "\"'=1+1\"" }, { "@x", "\"'@x\"" }, { "-2+3", "\"'-2+3\"" },
		{ "+1|cmd", "\"'+1|cmd\"" }, { "+4930123", ",\"+4930123\"" }, { "a\"b,c", "\"a\"\"b,c\"" },
		{ "\t=1", "\"\\x09=1\"" } };
	struct record record;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		record_init(&record, 7);
		record_text(&record, CP_RECORD_TEXT_CALLEE_FROM, span_from(rows[i].text));
		if (!strstr(csv(pack(&record)), rows[i].field))
			fail_msg("%s: %s", rows[i].text, csv((struct cp_record *)packed));
	}
}

static void the_longest_line_of_csv_fits(void **state)
{
	char text[CP_RECORD_TEXT_MAX];
	struct record record;

	(void)state;
	memset(text, '"', sizeof(text));
	record_init(&record, UINT64_MAX);
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT; i++)
		record_number(&record, (enum cp_record_number)i, INT64_MAX);
	record_number(&record, CP_RECORD_STATE, CP_RECORD_IS_LOST);
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++)
		record_text(&record, (enum cp_record_text)i, (struct span){ text, sizeof(text) });
	assert_true(strlen(csv(pack(&record))) > 2 * CP_RECORD_TEXT_COUNT * CP_RECORD_TEXT_MAX);
}

/* --- media --------------------------------------------------------------------------------------------------------------- */

static void formats_are_those_of_the_first_audio_line_in_use(void **state)
{
	struct record_formats formats;

	(void)state;
	record_formats_read(&formats, SPAN("v=0\r\nm=audio 0 RTP/AVP 0\r\nm=video 9 RTP/AVP 97\r\n"
					   "m=audio 4000 RTP/AVP 96 8 101\r\na=rtpmap:96 G729/8000\r\n"
					   "a=rtpmap:101 telephone-event/8000\r\nm=audio 5 RTP/AVP 0\r\n"));
	assert_true(formats.there);
	assert_int_equal(formats.stream, 2);
	assert_int_equal(formats.count, 3);
	assert_string_equal(formats.format[0].name, "G729");
	assert_string_equal(formats.format[1].name, "PCMA");
	record_formats_read(&formats, SPAN(""));
	assert_false(formats.there);
}

static struct record_formats formats_of(const char *line)
{
	struct record_formats formats;
	char sdp[200];

	snprintf(sdp, sizeof(sdp), "m=audio 4000 RTP/AVP %s\r\n", line);
	record_formats_read(&formats, span_from(sdp));
	return formats;
}

static const struct cp_record *measure(const char *line, const struct dp_session_info *info)
{
	const struct record_formats said[2] = { formats_of(line), formats_of(line) };
	struct record record;

	record_init(&record, 1);
	record_media(&record, said, info);
	return pack(&record);
}

static struct dp_session_info talk(void)
{
	struct dp_session_info info = { .streams = 1 };

	for (unsigned side = 0; side < 2; side++)
		info.stream[0].from[side] = (struct dp_counters){ .packets = 1000 };
	return info;
}

static void the_codec_is_what_came_and_no_digits(void **state)
{
	struct dp_session_info info = talk();

	(void)state;
	info.stream[0].from[0].payload_type = 8;
	info.stream[0].from[1].payload_type = 101;
	measure("0 8 101\r\na=rtpmap:101 telephone-event/8000", &info);
	assert_text((struct cp_record *)packed, CP_RECORD_TEXT_CALLER_CODEC, "PCMA");
	assert_text((struct cp_record *)packed, CP_RECORD_TEXT_CALLEE_CODEC, "PCMU");
}

static void loss_shows_in_mos_of_its_direction_whoever_has_seen_it(void **state)
{
	struct dp_session_info info = talk();
	const struct cp_record *r = measure("0", &info);
	int64_t good = r->value[CP_RECORD_CALLER_MOS];

	(void)state;
	assert_in_range(good, 430, 445);
	assert_int_equal(r->value[CP_RECORD_CALLEE_MOS], good);
	info.stream[0].from[0].lost = 100;
	r = measure("0", &info);
	assert_true(r->value[CP_RECORD_CALLER_MOS] < good - 50);
	assert_int_equal(r->value[CP_RECORD_CALLEE_MOS], good);
	/* The caller says that of what it was sent so much has not come. */
	info = talk();
	info.stream[0].from[0].far_reported = 1;
	info.stream[0].from[0].far_lost = 100;
	r = measure("0", &info);
	assert_int_equal(r->value[CP_RECORD_CALLER_MOS], good);
	assert_true(r->value[CP_RECORD_CALLEE_MOS] < good - 50);
	assert_int_equal(r->value[CP_RECORD_CALLEE_FAR_LOST], 100);
}

static void without_packets_or_a_known_codec_there_is_no_mos(void **state)
{
	struct dp_session_info info = talk();

	(void)state;
	assert_true(measure("96\r\na=rtpmap:96 opus/48000/2", &info)->value[CP_RECORD_CALLER_MOS] ==
		    CP_RECORD_NULL);
	info.stream[0].from[0].packets = 0;
	assert_true(measure("0", &info)->value[CP_RECORD_CALLER_MOS] == CP_RECORD_NULL);
	assert_true(measure("0", NULL)->value[CP_RECORD_CALLER_PACKETS] == CP_RECORD_NULL);
}

/* --- the store ----------------------------------------------------------------------------------------------------------- */

struct bed {
	struct config config;
	char directory[64], file[96];
	struct record_store *store;
};

static void bed_open(struct bed *bed)
{
	assert_int_equal(record_store_open(&bed->config, &bed->store), 0);
	assert_non_null(bed->store);
}

static void bed_close(struct bed *bed)
{
	record_store_close(bed->store);
	bed->store = NULL;
}

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	snprintf(bed->directory, sizeof(bed->directory), "/tmp/sallyport-test-records-XXXXXX");
	assert_non_null(mkdtemp(bed->directory));
	snprintf(bed->file, sizeof(bed->file), "%s/calls.csv", bed->directory);
	bed->config.system.data_directory = bed->config.system.run_directory = bed->directory;
	bed->config.store = (struct config_store){ .queue = 100000, .group_time_ms = 1 };
	bed->config.accounting = (struct config_accounting){ .database = true, .keep_days = 90 };
	bed_open(bed);
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;
	char pattern[96];
	glob_t found;

	bed_close(bed);
	snprintf(pattern, sizeof(pattern), "%s/*", bed->directory);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
	assert_int_equal(rmdir(bed->directory), 0);
	free(bed);
	return 0;
}

struct wish {
	uint64_t number, call, started;
	enum cp_record_state state;
	const char *user;
};

static void put(struct bed *bed, struct wish wish)
{
	struct record record;

	record_init(&record, wish.number);
	record_number(&record, CP_RECORD_CALL, wish.call);
	record_number(&record, CP_RECORD_STATE, wish.state);
	record_number(&record, CP_RECORD_STARTED, wish.started);
	record_text(&record, CP_RECORD_TEXT_CALLEE_TO, span_from(wish.user));
	record_store_put(bed->store, &record);
}

/* A call that begins now. Its number. */
static uint64_t put_now(struct bed *bed, enum cp_record_state call_state)
{
	struct wish wish = { .number = record_store_number(bed->store),
		.call = 5,
		.started = clock_wall_ms(),
		.state = call_state,
		.user = "1000" };

	put(bed, wish);
	return wish.number;
}

struct found {
	unsigned count, pages;
	uint64_t number[64];
	int64_t state[64];
};

static struct found find(struct bed *bed, struct cp_record_list ask)
{
	static _Alignas(struct cp_record) char page[PAGE];
	struct found found = { 0 };
	struct cp_record_page head;
	size_t length;

	do {
		size_t at = 0;

		assert_int_equal(record_store_list(bed->store, &ask, &head, page, sizeof(page), &length), 0);
		for (unsigned i = 0; i < head.count; i++) {
			const struct cp_record *record = (const struct cp_record *)(page + at);

			assert_true(cp_record_is_good(record, length - at));
			assert_true(found.count < 64);
			found.number[found.count] = record->number;
			found.state[found.count++] = record->value[CP_RECORD_STATE];
			at += record->length;
		}
		assert_int_equal(at, length);
		assert_true(!head.more || !ask.before || head.before < ask.before);
		ask.before = head.before;
		found.pages++;
	} while (head.more);
	return found;
}

static const struct cp_record *list_first(struct bed *bed)
{
	static _Alignas(struct cp_record) char page[PAGE];
	struct cp_record_page head;
	size_t length;

	assert_int_equal(record_store_list(bed->store, &(struct cp_record_list){ 0 }, &head, page,
				 sizeof(page), &length),
		0);
	assert_true(head.count > 0);
	return (const struct cp_record *)page;
}

/* What is written is on disk when the store is closed. */
static struct found find_after_restart(struct bed *bed)
{
	bed_close(bed);
	bed_open(bed);
	return find(bed, (struct cp_record_list){ 0 });
}

static void a_call_has_one_row_whose_end_replaces_its_beginning(void **state)
{
	struct bed *bed = *state;
	uint64_t number = put_now(bed, CP_RECORD_IS_OPEN);
	struct wish end = { number, 5, clock_wall_ms(), CP_RECORD_IS_ENDED, "1000" };
	struct found found;

	put(bed, end);
	end.state = CP_RECORD_IS_OPEN; /* the journal may bring the beginning once more */
	put(bed, end);
	found = find_after_restart(bed);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.number[0], number);
	assert_int_equal(found.state[0], CP_RECORD_IS_ENDED);
}

/* Of what a journal has of one call, in no order, the latest holds. */
static void an_older_interim_record_replaces_no_newer_one(void **state)
{
	static const uint64_t duration[] = { 2000, 5000, 1000 };
	struct bed *bed = *state;
	struct record record;

	for (unsigned i = 0; i < 4; i++) {
		record_init(&record, 1);
		record_number(&record, CP_RECORD_STATE, CP_RECORD_IS_OPEN);
		if (i < 3) { /* the last one is that of the answer */
			record_number(&record, CP_RECORD_DURATION, duration[i]);
			record_number(&record, CP_RECORD_CALLER_PACKETS, duration[i] / 20);
		}
		record_store_put(bed->store, &record);
	}
	assert_int_equal(find_after_restart(bed).count, 1);
	assert_int_equal(list_first(bed)->value[CP_RECORD_DURATION], 5000);
	assert_int_equal(list_first(bed)->value[CP_RECORD_CALLER_PACKETS], 250);
}

/* A transfer: the end has another callee than the beginning. */
static void a_call_whose_parties_have_changed_is_found_by_those_it_has_now(void **state)
{
	struct bed *bed = *state;
	struct cp_record_list ask = { .user = "2000" };
	uint64_t number;

	put_now(bed, CP_RECORD_IS_ENDED);
	number = put_now(bed, CP_RECORD_IS_OPEN);
	put(bed, (struct wish){ number, 5, clock_wall_ms(), CP_RECORD_IS_ENDED, "2000" });
	bed_close(bed);
	bed_open(bed);
	assert_int_equal(find(bed, ask).count, 1);
	assert_int_equal(find(bed, ask).number[0], number);
	assert_int_equal(find(bed, ask).state[0], CP_RECORD_IS_ENDED);
	assert_int_equal(find(bed, (struct cp_record_list){ .user = "1000" }).count, 1);
}

static void numbers_go_on_after_a_restart(void **state)
{
	struct bed *bed = *state;
	uint64_t number = put_now(bed, CP_RECORD_IS_ENDED);

	bed_close(bed);
	bed_open(bed);
	assert_true(record_store_number(bed->store) > number);
}

static void a_call_that_has_no_end_is_closed_as_lost(void **state)
{
	struct bed *bed = *state;
	struct found found;

	put_now(bed, CP_RECORD_IS_OPEN);
	put_now(bed, CP_RECORD_IS_ENDED);
	found = find_after_restart(bed);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.state[0], CP_RECORD_IS_ENDED);
	assert_int_equal(found.state[1], CP_RECORD_IS_LOST);
}

/* Killed within the group's time, long before anything is on disk. */
static void kill_9_loses_no_record(void **state)
{
	struct bed *bed = *state;
	struct found found;
	int status;
	pid_t child;

	bed_close(bed);
	bed->config.store.group_time_ms = 10000;
	child = fork();
	if (child == 0) {
		if (record_store_open(&bed->config, &bed->store))
			_exit(1);
		for (unsigned i = 0; i < 20; i++)
			put_now(bed, i % 2 ? CP_RECORD_IS_ENDED : CP_RECORD_IS_OPEN);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	bed->config.store.group_time_ms = 1;
	bed_open(bed);
	found = find(bed, (struct cp_record_list){ 0 });
	assert_int_equal(found.count, 20);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(found.state[i], i % 2 ? CP_RECORD_IS_LOST : CP_RECORD_IS_ENDED);
	assert_true(record_store_number(bed->store) > found.number[0]);
}

static void a_journal_of_another_version_is_begun_anew(void **state)
{
	struct bed *bed = *state;
	char path[96];
	FILE *f;

	bed_close(bed);
	snprintf(path, sizeof(path), "%s/records.journal", bed->directory);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite("SPRECJ1\0\1\2\3\0\0\0\0\0\1\0\0\0\0\0\0\0", 1, 24, f), 24);
	fclose(f);
	bed_open(bed);
	put_now(bed, CP_RECORD_IS_ENDED);
	assert_int_equal(find_after_restart(bed).count, 1);
}

static void more_than_the_journal_holds_is_written_all_the_same(void **state)
{
	struct bed *bed = *state;
	uint64_t waiting, lost;
	struct cp_record_list ask = { .wanted = 1 };
	struct found found;

	bed_close(bed);
	bed->config.store.group_time_ms = 200;
	bed_open(bed);
	for (unsigned i = 0; i < 10000; i++)
		put_now(bed, CP_RECORD_IS_ENDED);
	bed_close(bed);
	bed_open(bed);
	record_store_counts(bed->store, &waiting, &lost);
	assert_int_equal(lost, 0);
	ask.before = 2;
	found = find(bed, ask);
	assert_int_equal(found.count, 1);
	assert_int_equal(record_store_number(bed->store), 10001);
}

static void records_are_found_by_number_time_and_call(void **state)
{
	struct bed *bed = *state;
	uint64_t now = clock_wall_ms();
	struct cp_record_list ask = { 0 };

	for (unsigned i = 1; i <= 30; i++)
		put(bed, (struct wish){ record_store_number(bed->store), i, now - (31 - i) * 2ull * HOUR_MS,
				 CP_RECORD_IS_ENDED, i % 3 ? "1000" : "+4930" });
	bed_close(bed);
	bed_open(bed);
	assert_int_equal(find(bed, ask).count, 30);
	assert_int_equal(find(bed, ask).number[0], 30);
	snprintf(ask.user, sizeof(ask.user), "+4930");
	assert_int_equal(find(bed, ask).count, 10);
	ask.since_wall_ms = now - 13ull * HOUR_MS;
	assert_int_equal(find(bed, ask).count, 2);
	ask.until_wall_ms = now - 5ull * HOUR_MS;
	assert_int_equal(find(bed, ask).count, 1);
	ask = (struct cp_record_list){ .call = 17 };
	assert_int_equal(find(bed, ask).count, 1);
	assert_int_equal(find(bed, ask).number[0], 17);
	ask.call = 99;
	assert_int_equal(find(bed, ask).count, 0);
}

/* However many records there are, none is looked at in vain. */
static void every_filter_uses_an_index(void **state)
{
	struct bed *bed = *state;
	const struct record_statements *s = &bed->store->statements;
	unsigned steps = 0;

	find(bed, (struct cp_record_list){ .until_wall_ms = 1 });
	{
		sqlite3_stmt *const all[] = { s->page, s->one, s->next, s->after, s->of_call, s->of_user };

		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
			sqlite3_stmt *plan;
			char sql[8192];

			snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sqlite3_sql(all[i]));
			assert_int_equal(sqlite3_prepare_v2(bed->store->db, sql, -1, &plan, NULL), SQLITE_OK);
			for (; sqlite3_step(plan) == SQLITE_ROW; steps++) {
				const char *step = (const char *)sqlite3_column_text(plan, 3);

				/* By index or number; what is sorted would all be read first. */
				if (strstr(step, "TEMP B-TREE") ||
					(strstr(step, "SCAN record") && !strstr(step, "USING")))
					fail_msg("%s: %s", sql, step);
				if (strstr(step, "record") && !strstr(step, "SEARCH record USING"))
					fail_msg("%s: %s", sql, step);
			}
			sqlite3_finalize(plan);
		}
	}
	assert_true(steps >= 9);
}

static void an_old_time_and_a_rare_number_are_found_at_once(void **state)
{
	struct bed *bed = *state;
	uint64_t now = clock_wall_ms();
	struct cp_record_list ask = { .until_wall_ms = now - 60ull * 24 * HOUR_MS };

	for (unsigned i = 1; i <= 9000; i++)
		put(bed, (struct wish){ record_store_number(bed->store), i,
				 i <= 7 ? now - 61ull * 24 * HOUR_MS : now, CP_RECORD_IS_ENDED,
				 i == 2000 ? "+4930" : "1000" });
	bed_close(bed);
	bed_open(bed);
	assert_int_equal(find(bed, ask).count, 7);
	assert_int_equal(find(bed, ask).number[0], 7);
	assert_int_equal(find(bed, ask).pages, 1);
	ask = (struct cp_record_list){ .user = "+4930" };
	assert_int_equal(find(bed, ask).count, 1);
	assert_int_equal(find(bed, ask).number[0], 2000);
	assert_int_equal(find(bed, ask).pages, 1);
}

static void old_records_are_deleted_a_batch_at_a_time(void **state)
{
	struct bed *bed = *state;
	uint64_t old = clock_wall_ms() - 91ull * 24 * HOUR_MS, deadline = clock_now_ms() + 20000;
	struct found found = { 0 };
	uint64_t number;

	for (unsigned i = 0; i < 1200; i++)
		put(bed, (struct wish){ record_store_number(bed->store), i, old, CP_RECORD_IS_ENDED, "1" });
	number = put_now(bed, CP_RECORD_IS_ENDED);
	do { /* All of them are on the disk when the last one is. */
		sched_yield();
		found = find(bed, (struct cp_record_list){ .call = 5 });
	} while ((!found.count || found.number[0] != number) && clock_now_ms() < deadline);
	do {
		sched_yield();
		found = find(
			bed, (struct cp_record_list){ .since_wall_ms = 1, .until_wall_ms = old, .call = 3 });
	} while (found.count && clock_now_ms() < deadline);
	assert_int_equal(found.count, 0);
	do
		found = find(bed, (struct cp_record_list){ .call = 1199 });
	while (found.count && clock_now_ms() < deadline);
	assert_int_equal(found.count, 0);
	assert_int_equal(find(bed, (struct cp_record_list){ .call = 5 }).count, 1);
}

/* --- the text file ------------------------------------------------------------------------------------------------------- */

static unsigned lines_of(const char *path, const char *start)
{
	char line[CP_RECORD_CSV_MAX];
	FILE *f = fopen(path, "r");
	unsigned count = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		count += strncmp(line, start, strlen(start)) == 0;
	fclose(f);
	return count;
}

static void the_file_has_a_header_and_a_line_for_each_call_that_is_over(void **state)
{
	struct bed *bed = *state;

	bed_close(bed);
	bed->config.accounting.file = bed->file;
	bed_open(bed);
	put_now(bed, CP_RECORD_IS_ENDED);
	put_now(bed, CP_RECORD_IS_OPEN);
	bed_close(bed);
	assert_int_equal(lines_of(bed->file, ""), 2);
	assert_int_equal(lines_of(bed->file, "number,call,state,"), 1);
	/* The other one is lost now. */
	bed_open(bed);
	assert_int_equal(lines_of(bed->file, ""), 3);
	assert_int_equal(lines_of(bed->file, "2,0-5,lost,"), 1);
}

static void a_file_that_was_renamed_is_begun_anew(void **state)
{
	struct bed *bed = *state;
	uint64_t deadline = clock_now_ms() + 20000;
	char old[112];

	bed_close(bed);
	bed->config.accounting.file = bed->file;
	bed_open(bed);
	put_now(bed, CP_RECORD_IS_ENDED);
	while (lines_of(bed->file, "") < 2 && clock_now_ms() < deadline)
		sched_yield();
	snprintf(old, sizeof(old), "%s.1", bed->file);
	assert_int_equal(rename(bed->file, old), 0);
	put_now(bed, CP_RECORD_IS_ENDED);
	bed_close(bed);
	assert_int_equal(lines_of(old, ""), 2);
	assert_int_equal(lines_of(bed->file, "number,"), 1);
	assert_int_equal(lines_of(bed->file, "2,"), 1);
}

static void a_pipe_or_a_missing_directory_stops_nothing(void **state)
{
	struct bed *bed = *state;

	bed_close(bed);
	assert_int_equal(mkfifo(bed->file, 0600), 0);
	bed->config.accounting.file = bed->file;
	bed_open(bed);
	put_now(bed, CP_RECORD_IS_ENDED);
	assert_int_equal(find_after_restart(bed).count, 1);
}

static void without_a_database_there_is_the_file_alone(void **state)
{
	struct bed *bed = *state;
	struct cp_record_list ask = { 0 };
	struct cp_record_page page;
	size_t length;
	char out[64];

	bed_close(bed);
	bed->config.accounting.database = false;
	bed->config.accounting.file = bed->file;
	bed_open(bed);
	put_now(bed, CP_RECORD_IS_ENDED);
	assert_int_equal(record_store_list(bed->store, &ask, &page, out, sizeof(out), &length), -ENOTSUP);
	bed_close(bed);
	assert_int_equal(lines_of(bed->file, "1,"), 1);
	bed->config.accounting.file = NULL;
	assert_int_equal(record_store_open(&bed->config, &bed->store), 0);
	assert_null(bed->store);
}

int main(void)
{
#define STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_strangers_send_becomes_printable),
		cmocka_unit_test(the_longest_texts_fit),
		cmocka_unit_test(what_is_no_whole_record_is_found_out),
		cmocka_unit_test(csv_has_no_formulas_and_no_broken_quotes),
		cmocka_unit_test(the_longest_line_of_csv_fits),
		cmocka_unit_test(formats_are_those_of_the_first_audio_line_in_use),
		cmocka_unit_test(the_codec_is_what_came_and_no_digits),
		cmocka_unit_test(loss_shows_in_mos_of_its_direction_whoever_has_seen_it),
		cmocka_unit_test(without_packets_or_a_known_codec_there_is_no_mos),
		STORE(a_call_has_one_row_whose_end_replaces_its_beginning),
		STORE(an_older_interim_record_replaces_no_newer_one),
		STORE(a_call_whose_parties_have_changed_is_found_by_those_it_has_now),
		STORE(numbers_go_on_after_a_restart),
		STORE(a_call_that_has_no_end_is_closed_as_lost),
		STORE(kill_9_loses_no_record),
		STORE(a_journal_of_another_version_is_begun_anew),
		STORE(more_than_the_journal_holds_is_written_all_the_same),
		STORE(records_are_found_by_number_time_and_call),
		STORE(every_filter_uses_an_index),
		STORE(an_old_time_and_a_rare_number_are_found_at_once),
		STORE(old_records_are_deleted_a_batch_at_a_time),
		STORE(the_file_has_a_header_and_a_line_for_each_call_that_is_over),
		STORE(a_file_that_was_renamed_is_begun_anew),
		STORE(a_pipe_or_a_missing_directory_stops_nothing),
		STORE(without_a_database_there_is_the_file_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
