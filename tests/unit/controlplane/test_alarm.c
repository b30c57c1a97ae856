/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms: one for each thing that is wrong, however often it is reported; when they end; when certificates raise one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/alarm.h"
#include "controlplane/tls_expiry.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

#define DAY_MS UINT64_C(86400000)

static struct alarms *alarms;
static struct cp_alarm seen[ALARMS_MAX];
static struct cp_alarm_page page;

static int setup(void **state)
{
	(void)state;
	return alarms_new(NULL, &alarms);
}

static int teardown(void **state)
{
	(void)state;
	alarms_free(alarms);
	return 0;
}

static uint32_t count(void)
{
	alarms_list(alarms, 0, ALARMS_MAX, &page, seen);
	return page.count;
}

static void down(const char *agent)
{
	alarm_raise(alarms, CP_ALARM_AGENT_DOWN, CP_SEVERITY_WARNING, agent, "does not answer");
}

static void a_state_that_is_reported_again_is_one_alarm(void **state)
{
	(void)state;
	down("pbx");
	down("pbx");
	down("itsp");
	assert_int_equal(count(), 2);
	assert_string_equal(seen[0].subject, "pbx");
	assert_int_equal(seen[0].times, 1);
	assert_int_equal(seen[0].kind, CP_ALARM_AGENT_DOWN);
	assert_int_equal(seen[0].severity, CP_SEVERITY_WARNING);
	assert_string_equal(seen[1].subject, "itsp");
	assert_true(seen[0].since_wall_ms && seen[0].since_wall_ms <= clock_wall_ms());
}

static void a_state_ends_when_it_has_been_cleared_for_its_time(void **state)
{
	uint64_t now;

	(void)state;
	down("pbx");
	alarms_sweep(alarms, clock_now_ms() + DAY_MS);
	assert_int_equal(count(), 1);
	alarm_clear(alarms, CP_ALARM_AGENT_DOWN, "pbx");
	now = clock_now_ms();
	alarms_sweep(alarms, now + 5000);
	assert_int_equal(count(), 1);
	alarms_sweep(alarms, now + 10000);
	assert_int_equal(count(), 0);
}

static void what_comes_and_goes_is_one_alarm(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		down("pbx");
		alarm_clear(alarms, CP_ALARM_AGENT_DOWN, "pbx");
	}
	down("pbx");
	alarms_sweep(alarms, clock_now_ms() + DAY_MS);
	assert_int_equal(count(), 1);
	assert_int_equal(seen[0].times, 6);
}

static void an_event_ends_by_itself_or_when_all_is_well(void **state)
{
	(void)state;
	alarm_raise(alarms, CP_ALARM_TLS_PEER, CP_SEVERITY_WARNING, "itsp", "expired");
	alarm_raise(alarms, CP_ALARM_TLS_PEER, CP_SEVERITY_WARNING, "itsp", "expired");
	assert_int_equal(count(), 1);
	assert_int_equal(seen[0].times, 2);
	alarms_sweep(alarms, clock_now_ms() + 599000);
	assert_int_equal(count(), 1);
	alarms_sweep(alarms, clock_now_ms() + 600001);
	assert_int_equal(count(), 0);
	alarm_raise(alarms, CP_ALARM_TLS_PEER, CP_SEVERITY_WARNING, "itsp", "expired");
	alarm_clear(alarms, CP_ALARM_TLS_PEER, "itsp");
	assert_int_equal(count(), 0);
}

static void it_says_what_was_said_last(void **state)
{
	(void)state;
	alarm_raise(alarms, CP_ALARM_CERTIFICATE_EXPIRY, CP_SEVERITY_WARNING, "public", "30 days");
	alarm_raise(alarms, CP_ALARM_CERTIFICATE_EXPIRY, CP_SEVERITY_CRITICAL, "public", "\033[31m1 day\n");
	assert_int_equal(count(), 1);
	assert_int_equal(seen[0].severity, CP_SEVERITY_CRITICAL);
	assert_string_equal(seen[0].text, "?[31m1 day?");
}

static void a_round_clears_what_it_does_not_raise(void **state)
{
	(void)state;
	alarm_raise(alarms, CP_ALARM_CERTIFICATE_EXPIRY, CP_SEVERITY_WARNING, "a", "");
	alarm_raise(alarms, CP_ALARM_CERTIFICATE_EXPIRY, CP_SEVERITY_WARNING, "b", "");
	down("pbx");
	alarm_round_begin(alarms, CP_ALARM_CERTIFICATE_EXPIRY);
	alarm_raise(alarms, CP_ALARM_CERTIFICATE_EXPIRY, CP_SEVERITY_WARNING, "b", "");
	alarm_round_end(alarms, CP_ALARM_CERTIFICATE_EXPIRY);
	assert_int_equal(count(), 2);
	assert_string_equal(seen[0].subject, "b");
	assert_string_equal(seen[1].subject, "pbx");
}

static void a_full_table_counts_what_it_has_no_room_for(void **state)
{
	char subject[16];

	(void)state;
	for (int i = 0; i < ALARMS_MAX + 3; i++) {
		(void)snprintf(subject, sizeof(subject), "agent-%d", i);
		down(subject);
	}
	assert_int_equal(count(), ALARMS_MAX);
	assert_int_equal(page.lost, 3);
	alarm_clear(alarms, CP_ALARM_AGENT_DOWN, "agent-7");
	alarms_sweep(alarms, clock_now_ms() + DAY_MS);
	down("another");
	assert_int_equal(count(), ALARMS_MAX);
	assert_string_equal(seen[ALARMS_MAX - 1].subject, "another");
}

static void a_long_list_comes_in_pages(void **state)
{
	(void)state;
	down("a");
	down("b");
	down("c");
	alarms_list(alarms, 0, 2, &page, seen);
	assert_int_equal(page.count, 2);
	assert_int_equal(page.more, 1);
	alarms_list(alarms, seen[1].number, 2, &page, seen);
	assert_int_equal(page.count, 1);
	assert_int_equal(page.more, 0);
	assert_string_equal(seen[0].subject, "c");
}

static void without_a_table_nothing_happens(void **state)
{
	(void)state;
	alarm_raise(NULL, CP_ALARM_STORE, CP_SEVERITY_MAJOR, "store", "");
	alarm_clear(NULL, CP_ALARM_STORE, "store");
	alarms_sweep(NULL, 1);
	alarms_list(NULL, 0, 1, &page, seen);
	assert_int_equal(page.count, 0);
}

static void *report(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		alarm_raise(alarms, CP_ALARM_TLS_PEER, CP_SEVERITY_WARNING, arg, "refused");
		alarm_raise(alarms, CP_ALARM_TLS_PEER, CP_SEVERITY_WARNING, "shared", "refused");
	}
	return NULL;
}

static void any_thread_may_report(void **state)
{
	static char names[4][8] = { "one", "two", "three", "four" };
	pthread_t thread[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, report, names[i]), 0);
	for (int i = 0; i < 50; i++)
		(void)count();
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(count(), 5);
	for (uint32_t i = 0; i < page.count; i++)
		assert_int_equal(seen[i].times, strcmp(seen[i].subject, "shared") == 0 ? 8000 : 2000);
}

/* --- certificates ------------------------------------------------------------------------------------------------------ */

static void a_certificate_is_judged_by_the_days_it_has_left(void **state)
{
	static const struct {
		int64_t left_ms;
		int severity; /* -1: none */
	} cases[] = {
		{ 31 * (int64_t)DAY_MS, -1 },
		{ 30 * (int64_t)DAY_MS, -1 },
		{ 30 * (int64_t)DAY_MS - 1, CP_SEVERITY_WARNING },
		{ 7 * (int64_t)DAY_MS, CP_SEVERITY_WARNING },
		{ 7 * (int64_t)DAY_MS - 1, CP_SEVERITY_MAJOR },
		{ (int64_t)DAY_MS, CP_SEVERITY_MAJOR },
		{ (int64_t)DAY_MS - 1, CP_SEVERITY_CRITICAL },
		{ 0, CP_SEVERITY_CRITICAL },
		{ -400 * (int64_t)DAY_MS, CP_SEVERITY_CRITICAL },
	};
	const uint64_t now = UINT64_C(1700000000000);
	char text[CP_LINE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum cp_severity severity = CP_SEVERITY_COUNT;
		bool told =
			tls_expiry_judge((uint64_t)((int64_t)now + cases[i].left_ms), now, &severity, text);

		assert_int_equal(told, cases[i].severity >= 0);
		if (told)
			assert_int_equal(severity, cases[i].severity);
		if (told)
			assert_true((strncmp(text, "has ended", 9) == 0) == (cases[i].left_ms <= 0));
	}
}

static void a_certificate_is_described_without_its_key(void **state)
{
	X509 *certificate = X509_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_EXTENSION *names = X509V3_EXT_conf_nid(
		NULL, NULL, NID_subject_alt_name, (char *)(uintptr_t) "DNS:sbc.test,IP:203.0.113.10");
	struct cp_certificate shown;

	(void)state;
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_ASC,
		(const unsigned char *)"sbc\n.test", -1, -1, 0);
	ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20260101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20270101000000Z");
	X509_set_pubkey(certificate, key);
	X509_add_ext(certificate, names, -1);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	tls_certificate_describe(certificate, "public", TLS_CERTIFICATE_OWN, &shown);
	assert_string_equal(shown.profile, "public");
	assert_non_null(strstr(shown.subject, "CN=sbc"));
	assert_null(strchr(shown.subject, '\n'));
	assert_string_equal(shown.names, "sbc.test, 203.0.113.10");
	assert_string_equal(shown.key, "EC 256");
	assert_int_equal(strlen(shown.fingerprint), 32 * 3 - 1);
	assert_int_equal(shown.not_before_wall_ms / 1000, 1767225600);
	assert_int_equal(shown.not_after_wall_ms / 1000, 1798761600);
	X509_EXTENSION_free(names);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_state_that_is_reported_again_is_one_alarm),
		TEST(a_state_ends_when_it_has_been_cleared_for_its_time),
		TEST(what_comes_and_goes_is_one_alarm),
		TEST(an_event_ends_by_itself_or_when_all_is_well),
		TEST(it_says_what_was_said_last),
		TEST(a_round_clears_what_it_does_not_raise),
		TEST(a_full_table_counts_what_it_has_no_room_for),
		TEST(a_long_list_comes_in_pages),
		TEST(without_a_table_nothing_happens),
		TEST(any_thread_may_report),
		TEST(a_certificate_is_judged_by_the_days_it_has_left),
		TEST(a_certificate_is_described_without_its_key),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
