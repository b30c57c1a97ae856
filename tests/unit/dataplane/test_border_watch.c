/* SPDX-License-Identifier: BSD-3-Clause */
/* The border's regular work: expiry, rates, samples on their way to a client, and a word when a table overflows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "dataplane/client.h"
#include "dataplane/server.h"
#include "platforms/base/clock.h"
#include "tests/unit/dataplane/border_bed.h"
#include "tests/unit/dataplane/wire.h"

#define SECOND_US UINT64_C(1000000)

struct bench {
	struct dataplane *dp;
	struct border_watch *watch;
	uint64_t now_us;
	/* for samples */
	uv_loop_t loop;
	struct daemon daemon;
	struct dp_client *client;
	char directory[32];
	unsigned up, samples;
	struct dp_sample sample;
	uint8_t octets[DP_SAMPLE_MAX];
};

static void open_bench(struct bench *b, const char *more)
{
	*b = (struct bench){ .dp = wire_bed_new(1), .now_us = clock_now_us() };
	border_bed_build(b->dp, more);
	b->dp->shared.workers[0].now_us = b->now_us;
	b->watch = border_watch_new(b->dp, b->now_us);
	assert_non_null(b->watch);
}

static void close_bench(struct bench *b)
{
	border_watch_free(b->watch);
	wire_clear();
	border_bed_destroy(b->dp);
	wire_bed_free(b->dp);
}

static void later(struct bench *b, uint64_t us)
{
	b->now_us += us;
	b->dp->shared.workers[0].now_us = b->now_us;
	border_watch_tick(b->watch, b->now_us);
}

static void put_ban(struct bench *b, const char *ip, unsigned number, uint64_t expires_us)
{
	struct prefix_entry e = { .key = { .ip = bed_host(ip),
					  .family = 4,
					  .length = 32,
					  .scope = PREFIX_SCOPE_ANY,
					  .port = htons((uint16_t)number) },
		.expires_us = expires_us };
	bool evicted;

	assert_int_equal(
		prefix_table_set(border_bans(b->dp->shared.border), &e, "x", b->now_us, true, &evicted), 0);
	counter_add(&b->dp->counter[DP_COUNTER_BAN_EVICTED], evicted);
}

static void expired_entries_are_lifted_in_slices_and_the_others_stay(void **state)
{
	struct prefix_table *bans;
	struct bench b;
	unsigned ticks = 0;

	(void)state;
	open_bench(&b, "");
	bans = border_bans(b.dp->shared.border);
	for (unsigned i = 1; i <= 60000; i++)
		put_ban(&b, i % 2 != 0 ? "198.18.0.1" : "198.18.0.2", i,
			i % 2 != 0 ? b.now_us + SECOND_US : 0);
	later(&b, SECOND_US / 2);
	assert_int_equal(prefix_table_count(bans), 60000);
	later(&b, SECOND_US);
	assert_true(prefix_table_count(bans) > 30000); /* not all at once */
	while (prefix_table_count(bans) > 30000 && ticks++ < 100)
		later(&b, 1000);
	assert_int_equal(prefix_table_count(bans), 30000);
	close_bench(&b);
}

static void rates_are_those_of_the_last_whole_second(void **state)
{
	struct bench b;
	uint64_t *relayed;

	(void)state;
	open_bench(&b, "");
	relayed = &b.dp->shared.workers[0].counter[DP_COUNTER_MEDIA_RELAYED];
	*relayed = 500;
	later(&b, SECOND_US / 2);
	assert_int_equal(b.dp->per_second[DP_COUNTER_MEDIA_RELAYED], 0); /* no whole one yet */
	*relayed = 1000;
	later(&b, SECOND_US / 2);
	assert_int_equal(b.dp->per_second[DP_COUNTER_MEDIA_RELAYED], 1000);
	*relayed = 5000;
	later(&b, SECOND_US / 2);
	assert_int_equal(b.dp->per_second[DP_COUNTER_MEDIA_RELAYED], 1000);
	later(&b, 3 * SECOND_US / 2); /* a tick that came late */
	assert_int_equal(b.dp->per_second[DP_COUNTER_MEDIA_RELAYED], 2000);
	later(&b, SECOND_US);
	assert_int_equal(b.dp->per_second[DP_COUNTER_MEDIA_RELAYED], 0);
	close_bench(&b);
}

/* What the next tick writes to the log. */
static const char *told(struct bench *b, uint64_t us)
{
	static char text[4096];
	FILE *file = tmpfile();
	int kept = dup(STDERR_FILENO);

	assert_non_null(file);
	fflush(stderr);
	(void)dup2(fileno(file), STDERR_FILENO);
	later(b, us);
	fflush(stderr);
	(void)dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static void a_table_that_overflows_says_so_at_most_every_ten_seconds(void **state)
{
	struct bench b;
	unsigned next = 1;

	(void)state;
	open_bench(&b, "guard { max-bans = 1024 }\n");
	for (; next <= 1024; next++)
		put_ban(&b, "198.18.0.1", next, 0);
	assert_string_equal(told(&b, SECOND_US), ""); /* full, and nobody had to go */
	for (; next <= 1030; next++)
		put_ban(&b, "198.18.0.1", next, 0);
	b.dp->shared.workers[0].counter[DP_COUNTER_SOURCE_EVICTED] = 9;
	const char *text = told(&b, SECOND_US);
	assert_non_null(strstr(text, "bans is full"));
	assert_non_null(strstr(text, "lifted=6 max=1024"));
	assert_non_null(strstr(text, "sources is full"));
	assert_non_null(strstr(text, "forgotten=9"));
	put_ban(&b, "198.18.0.1", next++, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_string_equal(told(&b, SECOND_US), "");
	put_ban(&b, "198.18.0.1", next++, 0);
	text = told(&b, 3 * SECOND_US);
	assert_non_null(strstr(text, "lifted=2 max=1024")); /* all since the last word */
	assert_null(strstr(text, "sources"));
	assert_string_equal(told(&b, 20 * SECOND_US), "");
	close_bench(&b);
}

static void on_up(void *arg, bool fresh)
{
	(void)fresh;
	((struct bench *)arg)->up++;
}

static void on_sample(void *arg, const struct dp_sample *sample, const uint8_t *octets)
{
	struct bench *b = arg;

	b->samples++;
	b->sample = *sample;
	memcpy(b->octets, octets, sample->captured);
}

static void connect_client(struct bench *b)
{
	static const struct dp_client_handlers handlers = { .up = on_up, .sample = on_sample };
	char path[64];

	snprintf(b->directory, sizeof(b->directory), "/tmp/sp-watch-XXXXXX");
	assert_non_null(mkdtemp(b->directory));
	assert_int_equal(uv_loop_init(&b->loop), 0);
	b->daemon = (struct daemon){ .loop = &b->loop, .generation = 3 };
	b->dp->daemon = &b->daemon;
	b->dp->config->system.run_directory = b->directory; /* the arena's own text is not lost */
	assert_int_equal(server_start(b->dp), 0);
	snprintf(path, sizeof(path), "%s/dataplane.sock", b->directory);
	assert_int_equal(dp_client_new(&b->loop, path, "test", 1, UINT32_MAX, &handlers, b, &b->client), 0);
	while (b->up == 0)
		uv_run(&b->loop, UV_RUN_ONCE);
	for (unsigned i = 0; i < 20; i++) /* the subscription is on its way, both ends are in this loop */
		uv_run(&b->loop, UV_RUN_NOWAIT);
}

static void disconnect_client(struct bench *b)
{
	dp_client_free(b->client);
	b->client = NULL;
	for (unsigned i = 0; i < 20; i++)
		uv_run(&b->loop, UV_RUN_NOWAIT);
}

static void stop_server(struct bench *b)
{
	server_stop(b->dp);
	while (uv_run(&b->loop, UV_RUN_DEFAULT) != 0)
		continue;
	assert_int_equal(uv_loop_close(&b->loop), 0);
	assert_int_equal(rmdir(b->directory), 0);
}

static void drop(struct bench *b, const uint8_t *f, size_t n)
{
	unsigned before = b->samples;

	wire_receive(b->dp, 0, 0, wire_frame(0, f, n));
	later(b, SECOND_US / 4);
	while (b->samples == before)
		uv_run(&b->loop, UV_RUN_ONCE);
}

static void a_dropped_packets_sample_reaches_who_asked_for_it(void **state)
{
	static uint8_t long_text[1200];
	struct dp_address source = bed_address("203.0.113.9", 5060), dest = bed_address("10.0.1.1", 5060);
	struct bench b;
	uint8_t f[2048];

	(void)state;
	open_bench(&b, "");
	connect_client(&b);
	size_t n = wire_udp(f, "203.0.113.9", 5060, "10.0.1.1", 5060, "OPTIONS", 7);
	drop(&b, f, n);
	assert_int_equal(b.samples, 1);
	assert_int_equal(b.sample.counter, DP_COUNTER_DROP_ACCESS_DENIED);
	assert_int_equal(b.sample.length, n);
	assert_int_equal(b.sample.captured, n);
	assert_int_equal(b.sample.protocol, 17);
	assert_int_equal(b.sample.interface, 0);
	assert_true(b.sample.ago_us >= SECOND_US / 4);
	assert_memory_equal(&b.sample.source, &source, sizeof(source));
	assert_memory_equal(&b.sample.dest, &dest, sizeof(dest));
	assert_memory_equal(b.octets, f, n);
	n = wire_udp(f, "203.0.113.9", 5060, "10.0.1.1", 5060, long_text, sizeof(long_text));
	drop(&b, f, n); /* longer than a sample: addresses are told all the same */
	assert_int_equal(b.sample.length, n);
	assert_int_equal(b.sample.captured, DP_SAMPLE_MAX);
	assert_memory_equal(&b.sample.source, &source, sizeof(source));
	f[14 + 9] = 6; /* TCP: its ports too */
	store_u16(f + 14 + 10, 0);
	store_u16(f + 14 + 10, (uint16_t)~checksum_fold(checksum_sum(f + 14, 20)));
	drop(&b, f, n);
	assert_int_equal(b.sample.protocol, 6);
	assert_memory_equal(&b.sample.dest, &dest, sizeof(dest));
	store_u16(f + 14 + 2, htons(4000)); /* longer than the frame */
	drop(&b, f, n);
	assert_int_equal(b.sample.counter, DP_COUNTER_DROP_MALFORMED);
	disconnect_client(&b);
	wire_receive(b.dp, 0, 0, wire_frame(0, f, n)); /* nobody asks any more */
	later(&b, SECOND_US / 4);
	assert_int_equal(b.samples, 4);
	assert_int_equal(b.dp->counter[DP_COUNTER_SAMPLE_LOST], 0);
	stop_server(&b);
	close_bench(&b);
}

static void samples_of_a_flood_are_bounded(void **state)
{
	struct bench b;
	uint8_t f[256];

	(void)state;
	open_bench(&b, "");
	connect_client(&b);
	size_t n = wire_udp(f, "203.0.113.9", 5060, "10.0.1.1", 5060, "OPTIONS", 7);
	for (unsigned i = 0; i < 1000; i++)
		wire_receive(b.dp, 0, 0, wire_frame(0, f, n));
	drop(&b, f, n);
	for (unsigned i = 0; i < 50; i++)
		uv_run(&b.loop, UV_RUN_NOWAIT);
	assert_int_equal(b.samples, SAMPLES_PER_SECOND);
	disconnect_client(&b);
	stop_server(&b);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expired_entries_are_lifted_in_slices_and_the_others_stay),
		cmocka_unit_test(rates_are_those_of_the_last_whole_second),
		cmocka_unit_test(a_table_that_overflows_says_so_at_most_every_ten_seconds),
		cmocka_unit_test(a_dropped_packets_sample_reaches_who_asked_for_it),
		cmocka_unit_test(samples_of_a_flood_are_bounded),
	};

	wire_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
