/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile configuration text: bounded, never expanded, never silently taken for something else. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "config/source.h"
#include "tests/unit/config/capture.h"

#define SECTIONS                                                                                    \
	"system, media-manager, sip-config, network-interface, realm, steering-pool, tls-profile, " \
	"ip-profile, sip-interface, "                                                               \
	"registration, session-agent, session-group, local-policy, translation, sip-manipulation, " \
	"admission, access-control, "                                                               \
	"guard, store, accounting, trace, snmp, metrics, alarms, ssh, user"

static struct capture c;

static int load(const char *text, size_t length, struct config **out)
{
	struct config_reporter reporter = { capture_report, &c };

	c.length = 0;
	c.text[0] = '\0';
	*out = NULL;
	return config_load_text("f", text, length, false, &reporter, out);
}

/* `head`, then `part` as often as it fits into n bytes. */
static char *repeated(const char *head, const char *part, size_t n)
{
	char *text = malloc(n + 1);
	size_t at = strlen(head), m = strlen(part);

	assert_non_null(text);
	memcpy(text, head, at);
	for (; at + m <= n; at += m)
		memcpy(text + at, part, m);
	text[at] = '\0';
	return text;
}

static void expect(const char *text, size_t length, const char *lines)
{
	struct config *config;

	assert_int_equal(load(text, length, &config), -EINVAL);
	assert_string_equal(c.text, lines);
	assert_null(config);
}

static void the_environment_is_not_expanded(void **state)
{
	struct config *config;

	(void)state;
	assert_int_equal(setenv("SALLYPORT_SECRET", "leaked", 1), 0);
	config = capture_valid("system { name = \"${SALLYPORT_SECRET}\" location = '${SALLYPORT_SECRET}$' }");
	assert_string_equal(config->system.name, "${SALLYPORT_SECRET}");
	assert_string_equal(config->system.location, "${SALLYPORT_SECRET}$");
	config_free(config);
	assert_int_equal(load("system { name = ${SALLYPORT_SECRET} }", 37, &config), -EINVAL);
	assert_null(strstr(c.text, "leaked"));
}

static void nothing_is_included(void **state)
{
	(void)state;
	expect("include(\"/etc/passwd\")\n", 23,
		"E: f:1: \"include(\" is no section; allowed: " SECTIONS "\n");
	expect("system { include = \"/etc/passwd\" }\n", 35,
		"E: f:1: system: \"include\" is no setting; allowed: name, location, contact, "
		"data-directory, run-directory, revisions-kept, commands-kept, "
		"log-level, user\n");
}

static void a_path_with_a_bar_is_no_setting(void **state)
{
	(void)state;
	expect("system|name = \"x\"\n", 18, "E: f:1: \"system|name\" is no section; allowed: " SECTIONS "\n");
}

static void a_file_beyond_the_limit_is_refused(void **state)
{
	char *text = repeated("", "\n", CONFIG_TEXT_MAX + 1);
	struct config *config;

	(void)state;
	expect(text, CONFIG_TEXT_MAX + 1, "E: f: file is too large; allowed: 4 MiB\n");
	assert_int_equal(load(text, CONFIG_TEXT_MAX, &config), 0);
	config_free(config);
	free(text);
}

static void deep_nesting_needs_no_stack(void **state)
{
	char *text = repeated("x ", "{", CONFIG_TEXT_MAX);

	(void)state;
	expect(text, strlen(text), "E: f:1: \"x\" is no section; allowed: " SECTIONS "\n");
	free(text);
	text = repeated("system { name ", "{", CONFIG_TEXT_MAX);
	expect(text, strlen(text),
		"E: f:1: system.name: has no \"=\" behind its name, but \"{\"\nE: f:1: system: is not "
		"closed: \"}\" is missing\n");
	free(text);
}

static void nul_bytes_are_refused_where_they_stand(void **state)
{
	(void)state;
	expect("system {\n name = \"a\0b\" }\n", 24,
		"E: f:2: system.name: holds a control character; allowed: text in UTF-8\n");
	expect("system {\n name = a\0b }\n", 22,
		"E: f:2: system.name: needs quotes; allowed without: letters, digits, _ . : / @ % -\n");
	expect("sys\0tem { }\n", 12, "E: f:1: \"sys\" is no section; allowed: " SECTIONS "\n");
}

static void control_characters_do_not_reach_messages(void **state)
{
	(void)state;
	expect("\033[2J\xff { }\n", 9, "E: f:1: \"?[2J?\" is no section; allowed: " SECTIONS "\n");
}

static void errors_beyond_a_hundred_are_not_shown(void **state)
{
	char *text = repeated("system { ", "a=1 ", CONFIG_TEXT_MAX);
	struct config *config;
	size_t lines = 0;

	(void)state;
	assert_int_equal(load(text, strlen(text), &config), -EINVAL);
	for (const char *p = c.text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, CONFIG_MESSAGES_MAX + 1);
	assert_non_null(strstr(c.text, "E: f: more errors are not shown\n"));
	free(text);
}

static void too_many_sections_are_refused(void **state)
{
	size_t n = 0, room = (CONFIG_OBJECTS_MAX + 1) * 32;
	char *text = malloc(room);
	struct config *config;
	size_t before = 0;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i <= CONFIG_OBJECTS_MAX; i++) {
		before = n;
		n += (size_t)snprintf(text + n, room - n, "ip-profile p%d { }\n", i);
	}
	expect(text, n, "E: f:12001: ip-profile p12000: is one section too many; allowed: 12000 in a file\n");
	assert_int_equal(load(text, before, &config), 0);
	assert_int_equal(config->ip_profiles_count, CONFIG_OBJECTS_MAX);
	config_free(config);
	free(text);
}

static void too_many_values_are_refused(void **state)
{
	char *text = repeated("media-manager {\n workers = {", "1,", 8192);

	(void)state;
	expect(text, strlen(text), "E: f:2: media-manager.workers: has too many values; allowed: 1000\n");
	free(text);
}

static void a_long_value_is_refused(void **state)
{
	char *text = repeated("system { name = \"", "a", 5000);

	(void)state;
	text[4998] = '"';
	text[4999] = '}';
	expect(text, strlen(text), "E: f:1: system.name: is too long; allowed: 4096 bytes\n");
	free(text);
}

static void patterns_that_would_eat_memory_are_refused(void **state)
{
	size_t n = 0, room = 200000;
	char *text = malloc(room);
	struct config *config;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 20; i++)
		n += (size_t)snprintf(text + n, room - n, "translation t%d { match = \"a{0,900}\" }\n", i);
	assert_int_equal(load(text, n, &config), -EINVAL);
	assert_non_null(strstr(c.text, "E: f:10: translation t9.match: \"a{0,900}\" is no pattern: the "
				       "patterns of the file are too large together; "
				       "allowed: POSIX extended regular expression\n"));
	assert_null(strstr(c.text, "f:9:"));
	free(text);
}

static void ordinary_numbering_plans_are_patterns(void **state)
{
	(void)state;
	config_free(capture_valid(
		"translation t { match = "
		"'^(112|911|0[0-9]{2,15}|00[1-9][0-9]{4,15}|\\+[1-9][0-9]{4,15}|[*#]{1,2}[0-9]{2,4})$' }"));
	config_free(capture_valid("translation t { match = '[]{9}[:digit:](]{2}(a|b\\)){3}' }"));
}

static void *load_many(void *arg)
{
	static const char text[] = BASE "ip-profile p { headers-pass = {\"X-A\", \"X-B\"} }\n";

	for (int i = 0; i < 200; i++) {
		static const struct config_reporter silent = { .report = NULL };
		struct config *config = NULL;

		if (config_load_text("f", text, strlen(text), false, &silent, &config) ||
			config->ip_profiles[0].headers_pass.count != 2)
			return arg;
		config_free(config);
	}
	return NULL;
}

static void threads_may_load_at_the_same_time(void **state)
{
	pthread_t thread[2];
	void *failed;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, load_many, thread), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(thread[i], &failed), 0);
		assert_null(failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_environment_is_not_expanded),
		cmocka_unit_test(nothing_is_included),
		cmocka_unit_test(a_path_with_a_bar_is_no_setting),
		cmocka_unit_test(a_file_beyond_the_limit_is_refused),
		cmocka_unit_test(deep_nesting_needs_no_stack),
		cmocka_unit_test(nul_bytes_are_refused_where_they_stand),
		cmocka_unit_test(control_characters_do_not_reach_messages),
		cmocka_unit_test(errors_beyond_a_hundred_are_not_shown),
		cmocka_unit_test(too_many_sections_are_refused),
		cmocka_unit_test(too_many_values_are_refused),
		cmocka_unit_test(a_long_value_is_refused),
		cmocka_unit_test(patterns_that_would_eat_memory_are_refused),
		cmocka_unit_test(ordinary_numbering_plans_are_patterns),
		cmocka_unit_test(threads_may_load_at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
