/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the documents of `test agent`, `test registration` and `test route`: what works, and why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/api.h"
#include "mgmt/probe.h"
#include "mgmt/route_command.h"

static bool works(json_t *document)
{
	bool yes = json_is_true(json_object_get(document, "works"));

	json_decref(document);
	return yes;
}

static bool reason_has(json_t *document, const char *text)
{
	const char *reason = json_string_value(json_object_get(document, "reason"));
	bool has = reason != NULL && strstr(reason, text) != NULL;

	json_decref(document);
	return has;
}

static void an_agent_works_if_one_address_answers_for_itself(void **state)
{
	struct cp_test_report report = { .over = 1, .count = 2 };

	(void)state;
	report.target[0].outcome = CP_TEST_UNREACHED;
	report.target[1].outcome = CP_TEST_ANSWERED;
	report.target[1].status = 503;
	assert_false(works(test_document(true, SPAN("pbx"), &report)));
	report.target[1].status = 405;
	assert_true(works(test_document(true, SPAN("pbx"), &report)));
	report = (struct cp_test_report){ .over = 1, .source = CP_TEST_DNS_SILENT };
	assert_true(reason_has(test_document(true, SPAN("pbx"), &report), "no DNS server"));
	/* Of a later version: no reason to fall over. */
	report = (struct cp_test_report){ .over = 1, .source = 99, .count = 4000 };
	report.target[0].outcome = 99;
	assert_false(works(test_document(true, SPAN("pbx"), &report)));
}

static void what_a_phone_says_steers_no_terminal(void **state)
{
	struct cp_test_report report = { .over = 1, .source = CP_TEST_REGISTERED, .count = 1 };
	json_t *document;
	const json_t *target;

	(void)state;
	memcpy(report.target[0].contact, "sip:\x1b[2J@x", 11);
	document = test_document(false, SPAN("alice"), &report);
	target = json_array_get(json_object_get(document, "targets"), 0);
	assert_string_equal(json_string_value(json_object_get(target, "contact")), "sip:\\x1b[2J@x");
	json_decref(document);
}

static void who_is_not_registered_is_told_what_a_call_gets(void **state)
{
	struct cp_test_report report = { .over = 1, .source = CP_TEST_UNKNOWN, .call_status = 404 };

	(void)state;
	assert_true(reason_has(test_document(false, SPAN("bob"), &report), "404"));
	report.source = CP_TEST_REGISTERED;
	report.call_status = 480;
	assert_true(reason_has(test_document(false, SPAN("bob"), &report), "480"));
}

static void a_route_works_if_somebody_could_take_the_call(void **state)
{
	struct cp_routed routed = { .next_hop = CP_NEXT_HOP_GROUP, .count = 2 };

	(void)state;
	routed.hop[0].state = CP_AGENT_DOWN;
	routed.hop[1] = (struct cp_route_hop){ .state = CP_AGENT_UP, .sessions = 5, .max_sessions = 5 };
	assert_true(reason_has(test_route_document(&routed), "503"));
	routed.hop[1].sessions = 4;
	assert_true(works(test_route_document(&routed)));
	routed.forbidden = 1;
	assert_true(reason_has(test_route_document(&routed), "403"));
	routed = (struct cp_routed){ .next_hop = CP_NEXT_HOP_NONE };
	assert_true(reason_has(test_route_document(&routed), "404"));
	routed = (struct cp_routed){ .next_hop = CP_NEXT_HOP_REGISTRATION };
	assert_false(works(test_route_document(&routed)));
	routed.contacts = 1;
	assert_true(works(test_route_document(&routed)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_works_if_one_address_answers_for_itself),
		cmocka_unit_test(what_a_phone_says_steers_no_terminal),
		cmocka_unit_test(who_is_not_registered_is_told_what_a_call_gets),
		cmocka_unit_test(a_route_works_if_somebody_could_take_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
