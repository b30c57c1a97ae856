/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to a DNS server of the test, which is real but for what it answers: SRV, addresses, families, refusals, hostile answers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controlplane/resolver.h"
#include "controlplane/shard_internal.h"
#include "platforms/base/clock.h"

enum {
	TYPE_A = 1,
	TYPE_SRV = 33,
	TYPE_AAAA = 28,
	NXDOMAIN = 3,
	SERVFAIL = 2,
	RECORDS_MAX = 80,
	SILENCE = -1
};

struct record {
	const char *name;
	int type;
	uint32_t ttl;
	const char *value; /* an address, or the target of an SRV record */
	uint16_t priority, weight, port;
};

static struct {
	struct shard shard;
	struct shard_private private;
	struct config config;
	uv_udp_t server;
	uv_timer_t tick;
	char address[32], *list[1];
	struct record record[RECORDS_MAX];
	unsigned records;
	int other; /* what is said of names without any record: a response code, or SILENCE */
	unsigned asked[256]; /* questions by type */
	char buffer[65536];
	bool is_answered;
	struct resolver_answer answer;
} world;

/* --- the server ------------------------------------------------------------------------------------------------------- */

static size_t put16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
	return 2;
}

static size_t put_name(uint8_t *p, const char *name)
{
	size_t n = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		p[n++] = (uint8_t)label;
		memcpy(p + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	p[n++] = 0;
	return n;
}

static size_t put_record(uint8_t *p, const struct record *record)
{
	union address address;
	uint8_t data[300];
	size_t n = 0, length = 0;

	n += put_name(p, record->name);
	n += put16(p + n, (unsigned)record->type);
	n += put16(p + n, 1);
	n += put16(p + n, record->ttl >> 16);
	n += put16(p + n, record->ttl & 0xffff);
	if (record->type == TYPE_SRV) {
		length += put16(data, record->priority);
		length += put16(data + length, record->weight);
		length += put16(data + length, record->port);
		length += put_name(data + length, record->value);
	} else {
		assert_int_equal(address_parse_host(span_from(record->value), &address), 0);
		length = record->type == TYPE_A ? 4 : 16;
		memcpy(data,
			record->type == TYPE_A ? (void *)&address.in4.sin_addr
					       : (void *)&address.in6.sin6_addr,
			length);
	}
	n += put16(p + n, (unsigned)length);
	memcpy(p + n, data, length);
	return n + length;
}

/* The question as it came, then what there is of it. */
static size_t write_answer(const uint8_t *query, size_t length, uint8_t *out)
{
	char name[256] = "";
	size_t at = 12, used = 0, n;
	unsigned count = 0, known = 0;
	int type;

	while (query[at] && at < length) {
		if (used)
			name[used++] = '.';
		assert_true(used + query[at] + 1 < sizeof(name));
		memcpy(name + used, query + at + 1, query[at]);
		used += query[at];
		at += query[at] + 1U;
	}
	type = query[at + 1] << 8 | query[at + 2];
	world.asked[type & 0xff]++;
	n = at + 5;
	memcpy(out, query, n);
	for (unsigned i = 0; i < world.records; i++) {
		if (strcmp(world.record[i].name, name) != 0)
			continue;
		known++;
		if (world.record[i].type == type) {
			n += put_record(out + n, &world.record[i]);
			count++;
		}
	}
	if (!known && world.other == SILENCE)
		return 0;
	out[2] = 0x85;
	out[3] = (uint8_t)(0x80 | (known ? 0 : world.other));
	put16(out + 6, count);
	put16(out + 8, 0);
	put16(out + 10, 0);
	return n;
}

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
	(void)handle, (void)size;
	*buffer = uv_buf_init(world.buffer, sizeof(world.buffer));
}

static void on_query(
	uv_udp_t *server, ssize_t length, const uv_buf_t *buffer, const struct sockaddr *from, unsigned flags)
{
	static uint8_t out[65536];
	uv_buf_t reply = uv_buf_init((char *)out, 0);

	(void)flags;
	if (length < 17 || !from)
		return;
	reply.len = write_answer((const uint8_t *)buffer->base, (size_t)length, out);
	if (reply.len)
		uv_udp_try_send(server, &reply, 1, from);
}

/* --- the shard -------------------------------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *tick)
{
	(void)tick;
	timer_wheel_advance(world.shard.timers, clock_now_ms());
}

static int setup(void **state)
{
	union address here = { 0 };
	int length = sizeof(here);

	(void)state;
	memset(&world, 0, sizeof(world));
	world.other = NXDOMAIN;
	world.config.sip.dns_timeout_ms = 200;
	world.config.sip.dns_max_addresses = 4;
	world.shard.config = &world.config;
	world.shard.private = &world.private;
	assert_int_equal(uv_loop_init(&world.shard.loop), 0);
	world.shard.timers = timer_wheel_new(clock_now_ms());
	timer_wheel_set_clock(world.shard.timers, clock_now_ms);
	uv_udp_init(&world.shard.loop, &world.server);
	assert_int_equal(address_parse(SPAN("127.0.0.1:1"), 0, &here), 0);
	here.in4.sin_port = 0;
	assert_int_equal(uv_udp_bind(&world.server, &here.sa, 0), 0);
	assert_int_equal(uv_udp_getsockname(&world.server, &here.sa, &length), 0);
	uv_udp_recv_start(&world.server, give_buffer, on_query);
	snprintf(world.address, sizeof(world.address), "127.0.0.1:%u", address_port(&here));
	world.list[0] = world.address;
	world.config.sip.dns_servers.item = world.list;
	world.config.sip.dns_servers.count = 1;
	uv_timer_init(&world.shard.loop, &world.tick);
	uv_timer_start(&world.tick, on_tick, 10, 10);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	uv_close((uv_handle_t *)&world.server, NULL);
	uv_close((uv_handle_t *)&world.tick, NULL);
	uv_run(&world.shard.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world.shard.loop), 0);
	timer_wheel_free(world.shard.timers);
	return 0;
}

static void on_done(void *arg, const struct resolver_answer *answer)
{
	(void)arg;
	world.answer = *answer;
	world.is_answered = true;
}

static const struct resolver_answer *ask_for(uint16_t port, bool v4, bool v6)
{
	struct resolver_question question = {
		.host = "pbx.example", .transport = CONFIG_TRANSPORT_UDP, .port = port, .v4 = v4, .v6 = v6
	};
	struct resolver_query *query;

	world.is_answered = false;
	assert_int_equal(resolver_ask(&world.shard, &question, on_done, NULL, &query), 0);
	while (!world.is_answered)
		uv_run(&world.shard.loop, UV_RUN_ONCE);
	return &world.answer;
}

static void add(const char *name, int type, uint32_t ttl, const char *value)
{
	world.record[world.records++] =
		(struct record){ .name = name, .type = type, .ttl = ttl, .value = value };
}

static void add_srv(const char *target, uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port)
{
	world.record[world.records++] =
		(struct record){ "_sip._udp.pbx.example", TYPE_SRV, ttl, target, priority, weight, port };
}

static void assert_address(const struct resolver_answer *answer, unsigned i, const char *expected)
{
	char text[ADDRESS_TEXT_MAX];

	assert_true(i < answer->count);
	assert_string_equal(address_print(&answer->address[i].address, text), expected);
}

/* --- what must hold --------------------------------------------------------------------------------------------------- */

static void with_a_port_only_addresses_are_asked_for(void **state)
{
	const struct resolver_answer *answer;

	(void)state;
	add("pbx.example", TYPE_A, 300, "192.0.2.1");
	add("pbx.example", TYPE_A, 60, "192.0.2.2");
	add("pbx.example", TYPE_AAAA, 120, "2001:db8::1");
	add_srv("pbx.example", 1, 1, 1, 9999);
	answer = ask_for(5070, true, true);
	assert_int_equal(answer->outcome, RESOLVER_FOUND);
	assert_int_equal(answer->count, 3);
	assert_int_equal(answer->ttl, 60);
	assert_int_equal(world.asked[TYPE_SRV], 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(address_port(&answer->address[i].address), 5070);
}

static void only_the_families_wanted_are_asked_for(void **state)
{
	(void)state;
	add("pbx.example", TYPE_A, 300, "192.0.2.1");
	add("pbx.example", TYPE_AAAA, 120, "2001:db8::1");
	assert_address(ask_for(5070, true, false), 0, "192.0.2.1:5070");
	assert_int_equal(world.asked[TYPE_AAAA], 0);
	assert_address(ask_for(5070, false, true), 0, "[2001:db8::1]:5070");
	assert_int_equal(world.asked[TYPE_A], 1);
}

static void without_a_port_the_services_targets_come_by_priority(void **state)
{
	const struct resolver_answer *answer;

	(void)state;
	add_srv("late.example", 100, 20, 7, 5090);
	add_srv("early.example", 50, 10, 5, 5080);
	add("late.example", TYPE_A, 300, "192.0.2.1");
	add("early.example", TYPE_A, 300, "192.0.2.2");
	add("early.example", TYPE_AAAA, 300, "2001:db8::2");
	answer = ask_for(0, true, true);
	assert_int_equal(answer->count, 3);
	assert_int_equal(answer->ttl, 50);
	assert_int_equal(answer->address[0].priority, 10);
	assert_int_equal(answer->address[0].weight, 5);
	assert_int_equal(answer->address[0].target, answer->address[1].target);
	assert_int_equal(address_port(&answer->address[0].address), 5080);
	assert_address(answer, 2, "192.0.2.1:5090");
	assert_int_equal(answer->address[2].priority, 20);
}

static void without_a_service_the_name_itself_has_the_default_port(void **state)
{
	(void)state;
	add("pbx.example", TYPE_A, 300, "192.0.2.1");
	assert_address(ask_for(0, true, true), 0, "192.0.2.1:5060");
	assert_int_equal(world.asked[TYPE_SRV], 1);
}

static void the_transport_says_which_service(void **state)
{
	static const struct {
		enum config_transport transport;
		const char *service;
	} rows[] = { { CONFIG_TRANSPORT_TCP, "_sip._tcp.pbx.example" },
		{ CONFIG_TRANSPORT_TLS, "_sips._tcp.pbx.example" }, { CONFIG_TRANSPORT_WSS, NULL } };
	struct resolver_query *query;

	(void)state;
	add("pbx.example", TYPE_A, 300, "192.0.2.1");
	add("target.example", TYPE_A, 300, "192.0.2.2");
	for (unsigned i = 0; i < 3; i++) {
		struct resolver_question question = {
			.host = "pbx.example", .transport = rows[i].transport, .v4 = true
		};

		world.records = 2;
		add_srv("target.example", 100, 1, 0, 5080);
		if (rows[i].service)
			world.record[2].name = rows[i].service;
		world.is_answered = false;
		assert_int_equal(resolver_ask(&world.shard, &question, on_done, NULL, &query), 0);
		while (!world.is_answered)
			uv_run(&world.shard.loop, UV_RUN_ONCE);
		assert_address(&world.answer, 0, rows[i].service ? "192.0.2.2:5080" : "192.0.2.1:443");
	}
}

static void a_service_that_is_not_offered_is_not_looked_for_elsewhere(void **state)
{
	(void)state;
	add_srv("", 100, 0, 0, 5060);
	add("pbx.example", TYPE_A, 300, "192.0.2.1");
	assert_int_equal(ask_for(0, true, true)->outcome, RESOLVER_NONE);
	assert_int_equal(world.asked[TYPE_A], 0);
}

static void a_target_that_is_nowhere_leaves_the_others(void **state)
{
	const struct resolver_answer *answer;

	(void)state;
	add_srv("gone.example", 100, 1, 0, 5080);
	add_srv("here.example", 100, 2, 0, 5081);
	add("here.example", TYPE_A, 300, "192.0.2.1");
	answer = ask_for(0, true, true);
	assert_int_equal(answer->count, 1);
	assert_address(answer, 0, "192.0.2.1:5081");
}

static void no_such_name_no_answer_and_a_broken_server_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(ask_for(0, true, true)->outcome, RESOLVER_NONE);
	assert_int_equal(ask_for(5060, true, true)->outcome, RESOLVER_NONE);
	world.other = SERVFAIL;
	assert_int_equal(ask_for(0, true, true)->outcome, RESOLVER_SILENT);
	assert_int_equal(ask_for(5060, true, true)->outcome, RESOLVER_SILENT);
	world.other = SILENCE;
	assert_int_equal(ask_for(0, true, true)->outcome, RESOLVER_SILENT);
	assert_int_equal(ask_for(5060, true, true)->outcome, RESOLVER_SILENT);
}

static void an_answer_with_too_much_is_taken_in_part(void **state)
{
	static char texts[20][16];
	const struct resolver_answer *answer;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(texts[i], sizeof(texts[i]), "192.0.2.%u", i + 1);
		add("pbx.example", TYPE_A, 300, texts[i]);
	}
	answer = ask_for(5060, true, true);
	assert_int_equal(answer->count, world.config.sip.dns_max_addresses);
}

static void addresses_where_no_peer_can_be_are_left_out(void **state)
{
	const struct resolver_answer *answer;

	(void)state;
	add("pbx.example", TYPE_A, 300, "127.0.0.1");
	add("pbx.example", TYPE_A, 300, "0.0.0.0");
	add("pbx.example", TYPE_A, 300, "224.0.0.1");
	add("pbx.example", TYPE_A, 300, "255.255.255.255");
	add("pbx.example", TYPE_A, 300, "192.0.2.1");
	add("pbx.example", TYPE_A, 300, "192.0.2.1");
	add("pbx.example", TYPE_AAAA, 300, "::1");
	add("pbx.example", TYPE_AAAA, 300, "::");
	add("pbx.example", TYPE_AAAA, 300, "fe80::1");
	add("pbx.example", TYPE_AAAA, 300, "ff02::1");
	add("pbx.example", TYPE_AAAA, 300, "::ffff:192.0.2.1");
	answer = ask_for(5060, true, true);
	assert_int_equal(answer->count, 1);
	assert_address(answer, 0, "192.0.2.1:5060");
}

static void a_question_can_be_given_up(void **state)
{
	struct resolver_question question = { .host = "pbx.example", .v4 = true };
	struct resolver_query *query;

	(void)state;
	world.other = SILENCE;
	assert_int_equal(resolver_ask(&world.shard, &question, on_done, NULL, &query), 0);
	uv_run(&world.shard.loop, UV_RUN_ONCE);
	resolver_cancel(query);
	resolver_cancel(NULL);
	assert_false(world.is_answered);
}

/* --- SRV answers as bytes --------------------------------------------------------------------------------------------- */

static const uint8_t *srv_answer(size_t *length)
{
	static uint8_t query[64], out[4096];
	size_t n = 12;

	memset(query, 0, sizeof(query));
	query[5] = 1;
	n += put_name(query + n, "_sip._udp.pbx.example");
	n += put16(query + n, TYPE_SRV);
	n += put16(query + n, 1);
	*length = write_answer(query, n, out);
	return out;
}

static void of_too_many_targets_the_first_priorities_are_kept(void **state)
{
	struct resolver_target list[4];
	uint32_t ttl = UINT32_MAX;
	const uint8_t *answer;
	size_t length;

	(void)state;
	for (uint16_t i = 0; i < 40; i++)
		add_srv("t.example", 100, (uint16_t)(100 - i), 0, (uint16_t)(5000 + i));
	add_srv("t.example", 0x80000000, 1, 0, 0);
	answer = srv_answer(&length);
	assert_int_equal(resolver_read_srv(answer, length, list, 4, &ttl), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(list[i].port, 5039 - i);
	/* RFC 2181 section 8: a TTL with its highest bit set is 0. */
	assert_int_equal(ttl, 0);
}

static void an_answer_cut_short_or_with_wrong_lengths_is_refused(void **state)
{
	struct resolver_target list[4];
	uint8_t copy[4096];
	const uint8_t *answer;
	uint32_t ttl = 0;
	size_t length;

	(void)state;
	add_srv("one.example", 100, 1, 0, 5060);
	add_srv("two.example", 100, 1, 0, 5060);
	answer = srv_answer(&length);
	assert_int_equal(resolver_read_srv(answer, length, list, 4, &ttl), 2);
	for (size_t n = 0; n < length; n++) {
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, answer, n);
		assert_true(resolver_read_srv(exact, n, list, 4, &ttl) < 0);
		free(exact);
	}
	/* Whatever one octet is: no more than the list takes, and nothing is read past the end. */
	for (size_t i = 0; i < length; i++)
		for (unsigned value = 0; value < 256; value++) {
			memcpy(copy, answer, length);
			copy[i] = (uint8_t)value;
			assert_true(resolver_read_srv(copy, length, list, 4, &ttl) <= 4);
		}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_a_port_only_addresses_are_asked_for),
		TEST(only_the_families_wanted_are_asked_for),
		TEST(without_a_port_the_services_targets_come_by_priority),
		TEST(without_a_service_the_name_itself_has_the_default_port),
		TEST(the_transport_says_which_service),
		TEST(a_service_that_is_not_offered_is_not_looked_for_elsewhere),
		TEST(a_target_that_is_nowhere_leaves_the_others),
		TEST(no_such_name_no_answer_and_a_broken_server_are_told_apart),
		TEST(an_answer_with_too_much_is_taken_in_part),
		TEST(addresses_where_no_peer_can_be_are_left_out),
		TEST(a_question_can_be_given_up),
		TEST(of_too_many_targets_the_first_priorities_are_kept),
		TEST(an_answer_cut_short_or_with_wrong_lengths_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
