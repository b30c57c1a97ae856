/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the documents: stable JSON names, every measured value where it belongs, the text made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/show.h"

static char printed[65536];
static size_t printed_length;

static int take(void *arg, const char *text, size_t length)
{
	(void)arg;
	assert_true(printed_length + length < sizeof(printed));
	memcpy(printed + printed_length, text, length);
	printed_length += length;
	printed[printed_length] = '\0';
	return 0;
}

static struct cp_call example_call(void)
{
	struct cp_call call = {
		.call = (uint64_t)1 << 56 | 7,
		.session = 4711,
		.started_wall_ms = 1795176000123,
		.setup_ms = 180,
		.answered_ms = 65000,
		.state = CP_CALL_ANSWERED,
		.held = 2,
		.policy = "from-phones",
		.leg = { { .realm = "access",
				 .remote = "198.51.100.7:40000",
				 .local = "203.0.113.10:5060",
				 .user = "100",
				 .call_id = "abc@phone" },
			{ .realm = "core",
				.agent = "pbx",
				.remote = "10.0.0.5:5060",
				.local = "10.0.0.1:5060",
				.user = "200",
				.call_id = "xyz" } },
	};

	return call;
}

static struct dp_session_info example_session(void)
{
	struct dp_session_info info = { .session = 4711, .streams = 2 };
	struct dp_stream_info *stream = &info.stream[1];

	/* Stream 0 was given up: only the second one is shown. */
	stream->kind = DP_MEDIA_RTP;
	stream->local[0] = (struct dp_address){ .ip = { 203, 0, 113, 10 }, .port = 10000, .family = 4 };
	stream->local[1] = (struct dp_address){ .ip = { 10, 0, 0, 1 }, .port = 10002, .family = 4 };
	stream->remote[0] = (struct dp_address){ .ip = { 192, 168, 0, 2 }, .port = 4000, .family = 4 };
	stream->from[0] = (struct dp_counters){
		.packets = 250,
		.octets = 43000,
		.relayed = 249,
		.lost = 3,
		.duplicate = 2,
		.reordered = 1,
		.wrong_source = 9,
		.jitter_us = 1250,
		.jitter_max_us = 4000,
		.longest_gap_ms = 41,
		.ssrc = 0xdeadbeef,
		.payload_type = 8,
		.latched = 1,
		.events = 4,
		.policed = 6,
		.far_reported = 1,
		.far_lost = 12,
		.far_lost_fraction = 64,
		.far_jitter_us = 900,
		.round_trip_us = 32000,
		.round_trip_max_us = 48000,
		.first_us = 20000,
		.last_us = 5020000,
		.source = { .ip = { 198, 51, 100, 7 }, .port = 41000, .family = 4 },
	};
	return info;
}

static void a_call_has_its_names_and_values(void **state)
{
	struct cp_call call = example_call();
	json_t *document = show_call_document(&call);
	char *text = json_dumps(document, JSON_COMPACT);

	(void)state;
	assert_string_equal(text,
		"{\"id\":\"1-7\",\"state\":\"answered\",\"started\":\"2026-11-20T12:00:00.123Z\",\"setup-"
		"ms\":180,"
		"\"duration-seconds\":65,\"local-policy\":\"from-phones\",\"session\":4711,\"legs\":["
		"{\"side\":\"caller\",\"user\":\"100\",\"realm\":\"access\",\"session-agent\":null,"
		"\"remote-address\":\"198.51.100.7:40000\",\"our-address\":\"203.0.113.10:5060\","
		"\"call-id\":\"abc@phone\",\"holds\":false},"
		"{\"side\":\"callee\",\"user\":\"200\",\"realm\":\"core\",\"session-agent\":\"pbx\","
		"\"remote-address\":\"10.0.0.5:5060\",\"our-address\":\"10.0.0.1:5060\","
		"\"call-id\":\"xyz\",\"holds\":true}],\"media\":null}");
	free(text);
	json_decref(document);
}

static void a_row_of_the_list_has_its_names_and_values(void **state)
{
	struct cp_call call = example_call();
	json_t *row;
	char *text;

	(void)state;
	call.answered_ms = 0;
	call.state = CP_CALL_RINGING;
	row = show_call_row(&call);
	text = json_dumps(row, JSON_COMPACT);
	assert_string_equal(text, "{\"id\":\"1-7\",\"state\":\"ringing\",\"from\":\"100\",\"to\":\"200\","
				  "\"from-realm\":\"access\","
				  "\"to-realm\":\"core\",\"duration-seconds\":null}");
	free(text);
	json_decref(row);
}

static void a_state_nobody_knows_is_null_not_a_crash(void **state)
{
	struct cp_call call = example_call();
	json_t *row;

	(void)state;
	call.state = 0;
	row = show_call_row(&call);
	assert_true(json_is_null(json_object_get(row, "state")));
	json_decref(row);
	call.state = UINT32_MAX;
	row = show_call_row(&call);
	assert_true(json_is_null(json_object_get(row, "state")));
	json_decref(row);
}

static void media_are_shown_by_stream_and_direction(void **state)
{
	struct dp_session_info info = example_session();
	json_t *media, *stream, *from;

	(void)state;
	info.stream[1].suite_from[0] = DP_SRTP_AEAD_AES_128_GCM;
	info.stream[1].suite_to[0] = DP_SRTP_AES_CM_128_HMAC_SHA1_80;
	media = show_media(&info);
	assert_int_equal(json_array_size(media), 1);
	stream = json_array_get(media, 0);
	assert_int_equal(json_integer_value(json_object_get(stream, "stream")), 1);
	assert_string_equal(json_string_value(json_object_get(stream, "kind")), "rtp");
	from = json_array_get(json_object_get(stream, "directions"), 0);
	assert_string_equal(json_string_value(json_object_get(from, "from")), "caller");
	assert_string_equal(json_string_value(json_object_get(from, "our-address")), "203.0.113.10:10000");
	assert_string_equal(json_string_value(json_object_get(from, "remote-address")), "192.168.0.2:4000");
	assert_string_equal(json_string_value(json_object_get(from, "source-address")), "198.51.100.7:41000");
	assert_true(json_is_true(json_object_get(from, "source-latched")));
	assert_string_equal(json_string_value(json_object_get(from, "suite")), "AEAD_AES_128_GCM");
	assert_string_equal(
		json_string_value(json_object_get(from, "suite-toward")), "AES_CM_128_HMAC_SHA1_80");
	assert_int_equal(json_integer_value(json_object_get(from, "packets")), 250);
	assert_int_equal(json_integer_value(json_object_get(from, "lost")), 3);
	assert_int_equal(json_integer_value(json_object_get(from, "duplicate")), 2);
	assert_int_equal(json_integer_value(json_object_get(from, "reordered")), 1);
	assert_int_equal(json_integer_value(json_object_get(from, "jitter-us")), 1250);
	assert_int_equal(json_integer_value(json_object_get(from, "longest-gap-ms")), 41);
	assert_int_equal(json_integer_value(json_object_get(from, "wrong-source")), 9);
	assert_int_equal(json_integer_value(json_object_get(from, "last-packet-ms")), 5020);
	assert_string_equal(json_string_value(json_object_get(from, "ssrc")), "deadbeef");
	assert_int_equal(json_integer_value(json_object_get(from, "events")), 4);
	assert_int_equal(json_integer_value(json_object_get(from, "policed")), 6);
	assert_int_equal(json_integer_value(json_object_get(from, "far-lost")), 12);
	assert_int_equal(json_integer_value(json_object_get(from, "far-lost-percent")), 25);
	assert_int_equal(json_integer_value(json_object_get(from, "far-jitter-us")), 900);
	assert_int_equal(json_integer_value(json_object_get(from, "round-trip-us")), 32000);
	assert_int_equal(json_integer_value(json_object_get(from, "round-trip-max-us")), 48000);
	from = json_array_get(json_object_get(stream, "directions"), 1);
	assert_true(json_is_null(json_object_get(from, "remote-address")));
	assert_true(json_is_null(json_object_get(from, "suite")));
	assert_true(json_is_null(json_object_get(from, "round-trip-us")));
	assert_true(json_is_null(json_object_get(from, "far-lost")));
	assert_true(json_is_null(json_object_get(from, "first-packet-ms")));
	json_decref(media);
}

static void more_streams_than_there_can_be_are_not_read(void **state)
{
	struct dp_session_info info = example_session();
	json_t *media;

	(void)state;
	info.streams = 255;
	media = show_media(&info);
	assert_int_equal(json_array_size(media), 1);
	json_decref(media);
}

static void a_call_reads_as_text(void **state)
{
	struct cp_call call = example_call();
	struct dp_session_info info = example_session();
	json_t *document = show_call_document(&call);
	struct output out;

	(void)state;
	printed_length = 0;
	output_init(&out, take, NULL);
	json_object_set_new(document, "media", show_media(&info));
	show_call_text(&out, document);
	output_flush(&out);
	assert_memory_equal(printed,
		"call           1-7\n"
		"state          answered\n"
		"started        2026-11-20T12:00:00.123Z\n"
		"set up in      180 ms\n"
		"duration       00:01:05\n"
		"local-policy   from-phones\n"
		"media session  4711\n"
		"\n"
		"leg             caller              callee\n"
		"user            100                 200\n",
		strlen("call           1-7\n") * 2);
	assert_non_null(strstr(printed, "\nremote address  198.51.100.7:40000  10.0.0.5:5060\n"));
	assert_non_null(strstr(
		printed, "\n\nmedia stream 1, rtp\n  from                caller              callee\n"));
	assert_non_null(strstr(printed, "\n  jitter              1.250 ms            0.000 ms\n"));
	assert_non_null(strstr(printed, "\n  source latched      yes                 no\n"));
	json_decref(document);
}

static void a_status_without_trouble_is_in_service(void **state)
{
	static const struct neighbours nobody;
	struct dp_stats stats = { .sessions = 3,
		.sessions_max = 20000,
		.ports_used = 12,
		.ports_total = 20002,
		.workers = 1,
		.bans = 5,
		.bans_max = 1000,
		.trusts = 2,
		.sources_max = 65536 };
	struct cp_status status = {
		.calls = 3, .shards = 1, .subscriptions = 4, .connections = 6, .dataplane_up = 1
	};
	struct show_data data = { .neighbours = &nobody };
	json_t *document;

	(void)state;
	data.reply[SHOW_DP_STATS].body = &stats;
	data.reply[SHOW_CP_STATUS].body = &status;
	document = show_status.document(&data);
	assert_string_equal(json_string_value(json_object_get(document, "state")), "in-service");
	assert_true(json_is_null(json_object_get(document, "reason")));
	assert_int_equal(json_integer_value(json_object_get(document, "ports-total")), 20002);
	assert_int_equal(json_integer_value(json_object_get(document, "calls")), 3);
	assert_int_equal(json_integer_value(json_object_get(document, "subscriptions")), 4);
	assert_int_equal(json_integer_value(json_object_get(document, "connections")), 6);
	assert_true(json_is_false(json_object_get(document, "hugepages")));
	assert_int_equal(json_integer_value(json_object_get(document, "bans")), 5);
	assert_int_equal(json_integer_value(json_object_get(document, "bans-max")), 1000);
	assert_int_equal(json_integer_value(json_object_get(document, "trusted")), 2);
	assert_int_equal(json_integer_value(json_object_get(document, "sources-max")), 65536);
	json_decref(document);
	status.listeners_down = 1;
	document = show_status.document(&data);
	assert_string_equal(json_string_value(json_object_get(document, "state")), "degraded");
	json_decref(document);
	status.listeners_down = 0;
	status.dataplane_up = 0;
	document = show_status.document(&data);
	assert_string_equal(json_string_value(json_object_get(document, "state")), "degraded");
	json_decref(document);
}

static void a_torn_interface_is_not_read(void **state)
{
	static const struct neighbours nobody;
	struct dp_interface two[2] = { { .name = "outside",
		.port = "xdp:eth1",
		.mac = { 2, 0, 0, 0, 0, 0xff },
		.link_up = 1,
		.speed_mbps = UINT32_MAX } };
	struct show_data data = { .neighbours = &nobody };
	json_t *document, *rows;

	(void)state;
	data.reply[SHOW_DP_INTERFACES].body = two;
	data.reply[SHOW_DP_INTERFACES].length = 2 * sizeof(two[0]) - 1;
	document = show_interfaces.document(&data);
	rows = json_object_get(document, "interfaces");
	assert_int_equal(json_array_size(rows), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "mac-address")),
		"02:00:00:00:00:ff");
	assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "speed-mbps")));
	json_decref(document);
}

static void counters_come_with_name_and_help_and_a_larger_list_is_not_overrun(void **state)
{
	static const struct neighbours nobody;
	struct dp_stats stats = { .counters = UINT32_MAX };
	struct cp_counters counters = { .count = 2 };
	struct show_data data = { .neighbours = &nobody };
	json_t *document, *first;

	(void)state;
	stats.counter[DP_COUNTER_RX_PACKETS] = 12;
	stats.per_second[DP_COUNTER_RX_PACKETS] = 3;
	data.reply[SHOW_DP_STATS].body = &stats;
	data.reply[SHOW_CP_COUNTERS].body = &counters;
	document = show_counters.document(&data);
	assert_int_equal(json_array_size(json_object_get(document, "dataplane")), DP_COUNTER_COUNT);
	assert_int_equal(json_array_size(json_object_get(document, "controlplane")), 2);
	first = json_array_get(json_object_get(document, "dataplane"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "name")), "rx-packets");
	assert_string_equal(
		json_string_value(json_object_get(first, "help")), "packets received on all ports");
	assert_int_equal(json_integer_value(json_object_get(first, "value")), 12);
	assert_int_equal(json_integer_value(json_object_get(first, "per-second")), 3);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_has_its_names_and_values),
		cmocka_unit_test(a_row_of_the_list_has_its_names_and_values),
		cmocka_unit_test(a_state_nobody_knows_is_null_not_a_crash),
		cmocka_unit_test(media_are_shown_by_stream_and_direction),
		cmocka_unit_test(more_streams_than_there_can_be_are_not_read),
		cmocka_unit_test(a_call_reads_as_text),
		cmocka_unit_test(a_status_without_trouble_is_in_service),
		cmocka_unit_test(a_torn_interface_is_not_read),
		cmocka_unit_test(counters_come_with_name_and_help_and_a_larger_list_is_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
