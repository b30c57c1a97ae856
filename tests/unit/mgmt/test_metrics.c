/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the page of metrics: read back strictly by the grammar of OpenMetrics 1.0, and of what is in it. */
#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/client.h"
#include "dataplane/api.h"
#include "mgmt/health.h"
#include "mgmt/metrics_page.h"
#include "mgmt/watch.h"

static char page[512 * 1024];

/* Alarms of mgmt. */
static struct cp_alarm own[2];
static size_t own_count;

static void write_page(const struct metrics_snapshot *snapshot)
{
	struct writer out;

	writer_init(&out, page, sizeof(page) - 1);
	metrics_page_write(snapshot, own, own_count, &out);
	assert_false(out.overflow);
	page[out.len] = '\0';
	assert_int_equal(strlen(page), out.len);
}

static bool has(const char *line)
{
	const char *at = page;
	size_t n = strlen(line);

	while ((at = strstr(at, line)) != NULL) {
		if ((at == page || at[-1] == '\n') && at[n] == '\n')
			return true;
		at += n;
	}
	return false;
}

static size_t name_length(const char *p)
{
	size_t n = 0;

	while (isalnum((unsigned char)p[n]) || p[n] == '_')
		n++;
	return isdigit((unsigned char)*p) ? 0 : n;
}

/* Behind the closing brace. */
static const char *read_labels(const char *p)
{
	assert_int_equal(*p++, '{');
	for (;;) {
		size_t n = name_length(p);

		assert_true(n > 0);
		p += n;
		assert_memory_equal(p, "=\"", 2);
		for (p += 2; *p != '"'; p++) {
			assert_true(*p >= ' ' && *p <= '~');
			if (*p == '\\') {
				p++;
				assert_true(*p == '\\' || *p == '"' || *p == 'n');
			}
		}
		p++;
		if (*p == '}')
			return p + 1;
		assert_int_equal(*p++, ',');
	}
}

struct family {
	char name[96], type[16];
};

static void read_sample(const char *line, const struct family *family)
{
	size_t n = strlen(family->name);
	const char *suffix = strcmp(family->type, "counter") == 0 ? "_total"
			     : strcmp(family->type, "info") == 0  ? "_info"
								  : "";
	const char *p = line + n;
	char *end;

	assert_memory_equal(line, family->name, n);
	if (strcmp(family->type, "histogram") == 0)
		suffix = strncmp(p, "_bucket", 7) == 0  ? "_bucket"
			 : strncmp(p, "_count", 6) == 0 ? "_count"
							: "_sum";
	assert_memory_equal(p, suffix, strlen(suffix));
	p += strlen(suffix);
	if (*p == '{')
		p = read_labels(p);
	assert_int_equal(*p++, ' ');
	assert_true(isdigit((unsigned char)*p));
	(void)strtod(p, &end);
	assert_int_equal(*end, '\0');
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every line by the grammar; families in one piece and once, series once, "# EOF" last. Destroys the page. */
static size_t read_strictly(void)
{
	static char *series[16384], *names[4096];
	size_t series_count = 0, names_count = 0;
	struct family family = { "", "" };
	char *line, *rest = page, word[4][96];
	bool ended = false;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (rest == NULL) {
			assert_string_equal(line, "");
			break;
		}
		assert_false(ended);
		ended = strcmp(line, "# EOF") == 0;
		if (ended)
			continue;
		if (line[0] != '#') {
			char *value = strrchr(line, ' ');

			read_sample(line, &family);
			*value = '\0';
			series[series_count++] = line;
			continue;
		}
		assert_true(sscanf(line, "# %95s %95s %95s", word[0], word[1], word[2]) == 3);
		if (strcmp(word[0], "HELP") == 0) {
			assert_int_equal(name_length(word[1]), strlen(word[1]));
			memcpy(family.name, word[1], sizeof(family.name));
			family.type[0] = '\0';
			names[names_count++] = line + 7;
			*strchr(line + 7, ' ') = '\0';
		} else if (strcmp(word[0], "TYPE") == 0) {
			assert_string_equal(word[1], family.name);
			snprintf(family.type, sizeof(family.type), "%.15s", word[2]);
			assert_true(strcmp(word[2], "gauge") == 0 || strcmp(word[2], "counter") == 0 ||
				    strcmp(word[2], "info") == 0 || strcmp(word[2], "histogram") == 0 ||
				    strcmp(word[2], "stateset") == 0);
		} else {
			size_t n = strlen(family.name), unit = strlen(word[2]);

			assert_string_equal(word[0], "UNIT");
			assert_string_equal(word[1], family.name);
			assert_true(n > unit + 1 && family.name[n - unit - 1] == '_');
			assert_string_equal(family.name + n - unit, word[2]);
		}
	}
	assert_true(ended);
	qsort(series, series_count, sizeof(*series), compare);
	for (size_t i = 1; i < series_count; i++)
		assert_string_not_equal(series[i - 1], series[i]);
	qsort(names, names_count, sizeof(*names), compare);
	for (size_t i = 1; i < names_count; i++)
		assert_string_not_equal(names[i - 1], names[i]);
	return series_count;
}

static struct dp_stats stats;
static struct cp_status status;
static struct cp_counters counters;
static struct dp_interface interfaces[2];
static struct dp_realm realms[2];
static struct cp_alarm alarms[3];
static struct cp_certificate certificates[3];
static struct cp_statistics statistics[3];
static struct cp_load load;

static struct metrics_snapshot everything(void)
{
	struct metrics_snapshot snapshot = {
		.wall_ms = 1700000000500,
		.uptime_ms = 2500,
		.neighbour = { { "9.8.7" }, { "9.8.7" } },
		.part = {
			[METRICS_DP_STATS] = { &stats, 1, 1 },
			[METRICS_DP_INTERFACES] = { interfaces, 2, 2 },
			[METRICS_DP_REALMS] = { realms, 2, 2 },
			[METRICS_CP_STATUS] = { &status, 1, 1 },
			[METRICS_CP_COUNTERS] = { &counters, 1, 1 },
			[METRICS_CP_ALARMS] = { alarms, 3, 3 },
			[METRICS_CP_CERTIFICATES] = { certificates, 3, 3 },
			[METRICS_CP_STATISTICS] = { statistics, 3, 3 },
			[METRICS_CP_LOAD] = { &load, 1, 1 },
		},
	};

	stats = (struct dp_stats){ .uptime_us = 5000000, .sessions = 7, .counters = DP_COUNTER_COUNT };
	for (unsigned i = 0; i < DP_COUNTER_COUNT; i++)
		stats.counter[i] = 1000 + i;
	counters = (struct cp_counters){ .count = CP_COUNTER_COUNT };
	for (unsigned i = 0; i < CP_COUNTER_COUNT; i++)
		counters.counter[i] = 2000 + i;
	status = (struct cp_status){ .uptime_ms = 4000, .calls = 3, .registrations = 12, .dataplane_up = 1 };
	interfaces[0] = (struct dp_interface){ .name = "outside", .link_up = 1, .rx_octets = UINT64_MAX };
	interfaces[1] = (struct dp_interface){ .name = "inside" };
	realms[0] = (struct dp_realm){ .name = "access", .ports_used = 4, .ports_total = 100 };
	realms[1] = (struct dp_realm){ .name = "core" };
	alarms[0] =
		(struct cp_alarm){ .number = 1, .kind = CP_ALARM_AGENT_DOWN, .severity = CP_SEVERITY_MAJOR };
	memcpy(alarms[0].subject, "pbx", 4);
	alarms[1] = (struct cp_alarm){ .number = 2, .kind = CP_ALARM_GUARD, .severity = CP_SEVERITY_WARNING };
	alarms[2] = (struct cp_alarm){ .number = 3, .kind = 4000, .severity = 9 }; /* of a later version */
	certificates[0] = (struct cp_certificate){
		.number = 1, .profile = "public", .fingerprint = "AA", .not_after_wall_ms = 1800000000000
	};
	certificates[1] = certificates[0];
	certificates[2] = certificates[0];
	certificates[2].role = CP_CERTIFICATE_CHAIN;
	statistics[0] = (struct cp_statistics){ .number = 1, .kind = CP_STATISTICS_SYSTEM };
	statistics[0].calls[CP_STATISTICS_IN].now = 5;
	statistics[1] = (struct cp_statistics){
		.number = 2, .kind = CP_STATISTICS_REALM, .name = "access", .registrations = 12
	};
	statistics[1].quality = (struct cp_quality){ .mos = { 0, 1, 0, 2, 0, 0, 3, 4 },
		.mos_sum = 4000,
		.loss = { 9, 0, 0, 1 },
		.loss_sum = 70,
		.jitter = { 0, 10 },
		.jitter_sum = 20 };
	statistics[2] = (struct cp_statistics){ .number = 3,
		.kind = CP_STATISTICS_AGENT,
		.state = CP_AGENT_DOWN,
		.name = "pbx",
		.realm = "core",
		.max_sessions = 30 };
	statistics[2].calls[CP_STATISTICS_OUT] = (struct cp_statistics_calls){ .attempts = 10,
		.effective = 9,
		.answered = 8,
		.ended = 7,
		.talked_ms = 60500,
		.now = 1,
		.most = 4 };
	load = (struct cp_load){ .rss_octets = 4096, .threads = 3 };
	memcpy(load.thread[0].name, "main", 5);
	memcpy(load.thread[1].name, "worker", 7);
	memcpy(load.thread[2].name, "worker", 7);
	load.thread[1].cpu_us = 1500000;
	load.thread[2].cpu_us = 250000;
	return snapshot;
}

static void every_counter_and_drop_reason_of_both_lists_is_there_with_its_value(void **state)
{
	static const char *const dataplane[] = {
#define X(id, name, help) name,
		DP_COUNTERS(X)
#undef X
	};
	static const char *const controlplane[] = {
#define X(id, name, help) name,
		CP_COUNTERS(X)
#undef X
	};
	struct metrics_snapshot snapshot = everything();
	unsigned drops = 0;
	char line[160], name[64];

	(void)state;
	write_page(&snapshot);
	for (unsigned i = 0; i < DP_COUNTER_COUNT + CP_COUNTER_COUNT; i++) {
		bool media = i < DP_COUNTER_COUNT;
		const char *from = media ? dataplane[i] : controlplane[i - DP_COUNTER_COUNT];
		unsigned value = media ? 1000 + i : 2000 + i - DP_COUNTER_COUNT;
		bool drop = media && strncmp(from, "drop-", 5) == 0;

		snprintf(name, sizeof(name), "%s", from);
		for (char *c = name; !drop && *c != '\0'; c++)
			*c = *c == '-' ? '_' : *c;
		if (drop)
			snprintf(line, sizeof(line),
				"sallyport_dataplane_dropped_packets_total{reason=\"%s\"} %u", from + 5,
				value);
		else
			snprintf(line, sizeof(line), "sallyport_%s_%s_total %u",
				media ? "dataplane" : "controlplane", name, value);
		drops += drop;
		if (!has(line))
			fail_msg("no line \"%s\"", line);
	}
	assert_true(drops >= 20);
}

static void the_whole_page_is_by_the_grammar_and_no_series_comes_twice(void **state)
{
	struct metrics_snapshot snapshot = everything();

	(void)state;
	write_page(&snapshot);
	assert_true(read_strictly() > DP_COUNTER_COUNT + CP_COUNTER_COUNT + 40);
}

static void gauges_have_the_values_that_the_daemons_told(void **state)
{
	struct metrics_snapshot snapshot = everything();

	(void)state;
	write_page(&snapshot);
	assert_true(has("sallyport_up{process=\"dataplane\"} 1"));
	assert_true(has("sallyport_in_service 1"));
	assert_true(has("sallyport_sessions 7"));
	assert_true(has("sallyport_calls 3"));
	assert_true(has("sallyport_registrations 12"));
	assert_true(has("sallyport_interface_up{interface=\"outside\"} 1"));
	assert_true(
		has("sallyport_interface_receive_bytes_total{interface=\"outside\"} 18446744073709551615"));
	assert_true(has("sallyport_realm_ports_max{realm=\"access\"} 100"));
	assert_true(has("sallyport_realm_ports_used{realm=\"access\"} 4"));
	assert_true(has("sallyport_alarms{severity=\"major\"} 1"));
	assert_true(has("sallyport_alarms{severity=\"critical\"} 0"));
	assert_true(has("sallyport_alarm{alarm=\"agent-down\",severity=\"major\",subject=\"pbx\"} 1"));
	assert_true(has("sallyport_process_start_time_seconds{process=\"dataplane\"} 1699999995.500"));
	assert_true(has("sallyport_process_start_time_seconds{process=\"mgmt\"} 1699999998.000"));
	assert_true(has("sallyport_build_info{process=\"controlplane\",version=\"9.8.7\"} 1"));
	assert_true(has("sallyport_certificate_not_after_seconds{use=\"own\",profile=\"public\",subject=\"\","
			"fingerprint=\"AA\"} 1800000000"));
}

static void calls_are_told_by_system_realm_and_agent_each_way(void **state)
{
	struct metrics_snapshot snapshot = everything();

	(void)state;
	write_page(&snapshot);
	assert_true(has("sallyport_system_calls_now{way=\"in\"} 5"));
	assert_true(has("sallyport_realm_registrations{realm=\"access\"} 12"));
	assert_true(has("sallyport_agent_call_attempts_total{agent=\"pbx\",way=\"out\"} 10"));
	assert_true(has("sallyport_agent_calls_effective_total{agent=\"pbx\",way=\"out\"} 9"));
	assert_true(has("sallyport_agent_calls_answered_total{agent=\"pbx\",way=\"out\"} 8"));
	assert_true(has("sallyport_agent_calls_answered_total{agent=\"pbx\",way=\"in\"} 0"));
	assert_true(has("sallyport_agent_call_talk_seconds_total{agent=\"pbx\",way=\"out\"} 60.500"));
	assert_true(has("sallyport_agent_calls_most{agent=\"pbx\",way=\"out\"} 4"));
	assert_true(has("sallyport_agent_max_sessions{agent=\"pbx\"} 30"));
	assert_true(
		has("sallyport_agent_state{agent=\"pbx\",realm=\"core\",sallyport_agent_state=\"down\"} 1"));
	assert_true(
		has("sallyport_agent_state{agent=\"pbx\",realm=\"core\",sallyport_agent_state=\"up\"} 0"));
}

static void histograms_are_cumulated_up_to_all(void **state)
{
	struct metrics_snapshot snapshot = everything();

	(void)state;
	write_page(&snapshot);
	assert_true(has("# TYPE sallyport_realm_media_mos histogram"));
	assert_true(has("sallyport_realm_media_mos_bucket{realm=\"access\",le=\"1.0\"} 0"));
	assert_true(has("sallyport_realm_media_mos_bucket{realm=\"access\",le=\"3.1\"} 3"));
	assert_true(has("sallyport_realm_media_mos_bucket{realm=\"access\",le=\"4.3\"} 6"));
	assert_true(has("sallyport_realm_media_mos_bucket{realm=\"access\",le=\"+Inf\"} 10"));
	assert_true(has("sallyport_realm_media_mos_count{realm=\"access\"} 10"));
	assert_true(has("sallyport_realm_media_mos_sum{realm=\"access\"} 40.000000"));
	assert_true(has("sallyport_realm_media_loss_ratio_bucket{realm=\"access\",le=\"0.0\"} 9"));
	assert_true(has("sallyport_realm_media_loss_ratio_bucket{realm=\"access\",le=\"0.01\"} 10"));
	assert_true(has("sallyport_realm_media_jitter_seconds_bucket{realm=\"access\",le=\"0.002\"} 10"));
	assert_true(has("sallyport_realm_media_jitter_seconds_sum{realm=\"access\"} 0.020000"));
}

static void threads_of_one_name_are_one_series(void **state)
{
	struct metrics_snapshot snapshot = everything();

	(void)state;
	write_page(&snapshot);
	assert_true(
		has("sallyport_thread_cpu_seconds_total{process=\"controlplane\",thread=\"main\"} 0.000000"));
	assert_true(has(
		"sallyport_thread_cpu_seconds_total{process=\"controlplane\",thread=\"worker\"} 1.750000"));
	assert_true(has("sallyport_process_resident_memory_bytes{process=\"controlplane\"} 4096"));
}

static void what_is_away_is_absent_and_down(void **state)
{
	struct metrics_snapshot snapshot = everything();

	(void)state;
	for (unsigned i = METRICS_CP_STATUS; i < METRICS_PART_COUNT; i++)
		snapshot.part[i].count = 0;
	write_page(&snapshot);
	assert_true(has("sallyport_up{process=\"controlplane\"} 0"));
	assert_true(has("sallyport_up{process=\"dataplane\"} 1"));
	assert_true(has("sallyport_in_service 0"));
	assert_true(has("sallyport_sessions 7"));
	assert_null(strstr(page, "sallyport_controlplane"));
	assert_null(strstr(page, "sallyport_calls"));
	assert_null(strstr(page, "sallyport_alarm{"));
	assert_true(has("sallyport_alarms{severity=\"major\"} 0"));
	assert_null(strstr(page, "{process=\"controlplane\",version"));
	read_strictly();
	memset(snapshot.part, 0, sizeof(snapshot.part));
	write_page(&snapshot);
	assert_true(has("sallyport_up{process=\"dataplane\"} 0"));
	assert_null(strstr(page, "sallyport_dataplane"));
	own[0] = (struct cp_alarm){ .number = 1,
		.kind = WATCH_PROCESS_AWAY,
		.severity = CP_SEVERITY_CRITICAL,
		.subject = "dataplane" };
	own[1] = (struct cp_alarm){
		.number = 2, .kind = WATCH_PORTS_LOW, .severity = CP_SEVERITY_MAJOR, .subject = "core"
	};
	own_count = 2;
	write_page(&snapshot);
	own_count = 0;
	assert_true(has("sallyport_alarms{severity=\"critical\"} 1"));
	assert_true(
		has("sallyport_alarm{alarm=\"process-away\",severity=\"critical\",subject=\"dataplane\"} 1"));
	assert_true(has("sallyport_alarm{alarm=\"ports-low\",severity=\"major\",subject=\"core\"} 1"));
	assert_true(read_strictly() < 15);
}

static void hostile_names_stay_within_their_quotes(void **state)
{
	struct metrics_snapshot snapshot = everything();

	(void)state;
	memset(realms[0].name, 0xff, sizeof(realms[0].name)); /* not ended either */
	snprintf(realms[1].name, sizeof(realms[1].name), "a\"} 1\nb\\\x1b[2J<b>\r\x7f\xc3\xa4");
	memset(interfaces[0].name, '"', sizeof(interfaces[0].name));
	memset(alarms[0].subject, '\n', sizeof(alarms[0].subject));
	memset(certificates[0].fingerprint, '\\', sizeof(certificates[0].fingerprint));
	write_page(&snapshot);
	assert_true(has("sallyport_realm_streams{realm=\"a\\\"} "
			"1\\nb\\\\\\\\x1b[2J<b>\\\\x0d\\\\x7f\\\\xc3\\\\xa4\"} 0"));
	read_strictly();
}

static void names_that_differ_in_unprintable_octets_stay_different_series(void **state)
{
	struct metrics_snapshot snapshot = everything();

	(void)state;
	realms[0].name[0] = 1;
	realms[0].name[1] = realms[1].name[1] = '\0';
	realms[1].name[0] = 2;
	write_page(&snapshot);
	read_strictly();
}

static void a_page_that_does_not_fit_says_so(void **state)
{
	struct metrics_snapshot snapshot = everything();
	static char small[4096 + 1];
	struct writer out;

	(void)state;
	small[4096] = 'x';
	writer_init(&out, small, 4096);
	metrics_page_write(&snapshot, NULL, 0, &out);
	assert_true(out.overflow && small[4096] == 'x');
}

static void health_names_the_first_impediment(void **state)
{
	struct cp_status s = { .dataplane_up = 1 };

	(void)state;
	(void)everything();
	assert_null(health_impediment(&stats, &s));
	s.listeners_down = 1;
	assert_non_null(strstr(health_impediment(&stats, &s), "listen"));
	s.dataplane_up = 0;
	assert_non_null(strstr(health_impediment(&stats, &s), "no connection to the dataplane"));
	assert_non_null(strstr(health_impediment(&stats, NULL), "controlplane does not answer"));
	assert_non_null(strstr(health_impediment(NULL, &s), "dataplane does not answer"));
	assert_non_null(strstr(health_impediment(NULL, NULL), "neither"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_and_drop_reason_of_both_lists_is_there_with_its_value),
		cmocka_unit_test(the_whole_page_is_by_the_grammar_and_no_series_comes_twice),
		cmocka_unit_test(gauges_have_the_values_that_the_daemons_told),
		cmocka_unit_test(calls_are_told_by_system_realm_and_agent_each_way),
		cmocka_unit_test(histograms_are_cumulated_up_to_all),
		cmocka_unit_test(threads_of_one_name_are_one_series),
		cmocka_unit_test(what_is_away_is_absent_and_down),
		cmocka_unit_test(hostile_names_stay_within_their_quotes),
		cmocka_unit_test(names_that_differ_in_unprintable_octets_stay_different_series),
		cmocka_unit_test(a_page_that_does_not_fit_says_so),
		cmocka_unit_test(health_names_the_first_impediment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
