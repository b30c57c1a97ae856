/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of SIP's names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "controlplane/sip.h"

static void every_method_is_found_by_its_name(void **state)
{
	(void)state;
	for (int m = SIP_METHOD_UNKNOWN + 1; m < SIP_METHOD_COUNT; m++) {
		const char *name = sip_method_name((enum sip_method)m);

		assert_true(strlen(name) > 2);
		assert_int_equal(sip_method_parse(span_from(name)), m);
	}
	assert_int_equal(sip_method_parse(SPAN("INVITE")), SIP_METHOD_INVITE);
	assert_string_equal(sip_method_name(SIP_METHOD_REFER), "REFER");
}

static void method_names_are_case_sensitive_and_whole(void **state)
{
	(void)state;
	assert_int_equal(sip_method_parse(SPAN("invite")), SIP_METHOD_UNKNOWN);
	assert_int_equal(sip_method_parse(SPAN("INVITES")), SIP_METHOD_UNKNOWN);
	assert_int_equal(sip_method_parse(SPAN("INVIT")), SIP_METHOD_UNKNOWN);
	assert_int_equal(sip_method_parse(SPAN("")), SIP_METHOD_UNKNOWN);
	assert_string_equal(sip_method_name(SIP_METHOD_UNKNOWN), "");
	assert_string_equal(sip_method_name(SIP_METHOD_COUNT), "");
}

static void every_status_has_a_reason(void **state)
{
	(void)state;
	for (unsigned status = 100; status <= 699; status++)
		assert_string_not_equal(sip_reason(status), "Unknown");
	assert_string_equal(sip_reason(100), "Trying");
	assert_string_equal(sip_reason(404), "Not Found");
	assert_string_equal(sip_reason(482), "Loop Detected");
	assert_string_equal(sip_reason(608), "Rejected");
	/* Unknown ones are treated as x00 of their class. */
	assert_string_equal(sip_reason(499), "Bad Request");
	assert_string_equal(sip_reason(299), "OK");
	assert_string_equal(sip_reason(0), "Unknown");
	assert_string_equal(sip_reason(700), "Unknown");
}

static void a_quoted_string_ends_at_its_own_quote(void **state)
{
	(void)state;
	assert_int_equal(sip_quoted_length(SPAN("\"a\" <sip:b>")), 3);
	assert_int_equal(sip_quoted_length(SPAN("\"\"")), 2);
	assert_int_equal(sip_quoted_length(SPAN("\"a\\\"b\"c")), 6);
	assert_int_equal(sip_quoted_length(SPAN("\"a\\\\\"b\"")), 5);
	/* It does not end. */
	assert_int_equal(sip_quoted_length(SPAN("\"abc")), 0);
	assert_int_equal(sip_quoted_length(SPAN("\"abc\\\"")), 0);
	assert_int_equal(sip_quoted_length(SPAN("\"abc\\")), 0);
	assert_int_equal(sip_quoted_length(SPAN("\"")), 0);
	assert_int_equal(sip_quoted_length(SPAN("")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method_is_found_by_its_name),
		cmocka_unit_test(method_names_are_case_sensitive_and_whole),
		cmocka_unit_test(every_status_has_a_reason),
		cmocka_unit_test(a_quoted_string_ends_at_its_own_quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
