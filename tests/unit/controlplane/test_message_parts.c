/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of several parts are taken apart as RFC 2046 section 5.1 says, and bounded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "controlplane/message_parts.h"

static struct message_part parts[MESSAGE_PARTS_MAX];

/* The body in a block of its own size: what is read past its end is seen. */
static int split(const char *type, const char *body)
{
	static char *exact;
	size_t n = strlen(body);

	free(exact);
	exact = malloc(n ? n : 1);
	memcpy(exact, body, n);
	return parts_split(span_from(type), (struct span){ exact, n }, parts);
}

static void is(struct span found, const char *expected)
{
	assert_int_equal(found.n, strlen(expected));
	assert_memory_equal(found.p ? found.p : "", expected, found.n);
}

static void test_parts_have_type_disposition_and_content(void **state)
{
	(void)state;
	assert_int_equal(split("multipart/mixed;boundary=\"a b\"",
				 "preamble\r\n--a b\r\nContent-Type: "
				 "application/sdp\r\n\r\nv=0\r\no=\r\n\r\n--a b  \r\n"
				 "content-disposition: signal;\r\n handling=optional\r\nContent-Type : x/y ; "
				 "z=\"--a b\"\r\n"
				 "Content-Transfer-Encoding: binary\r\n\r\n\r\n--a c\r\n--a "
				 "b\r\n\r\nplain\r\n--a b--\r\nepilogue"),
		3);
	is(parts[0].type, "application/sdp");
	is(parts[0].content, "v=0\r\no=\r\n");
	is(parts[1].disposition, "signal;\r\n handling=optional");
	is(parts[1].encoding, "binary");
	is(media_type(parts[1].type), "x/y");
	is(parts[1].content, "\r\n--a c");
	is(parts[2].type, "");
	is(parts[2].content, "plain");
	assert_true(part_is_plain(&parts[1]));
	assert_false(part_is_required(&parts[1]));
}

static void test_a_body_of_another_type_is_one_part(void **state)
{
	(void)state;
	assert_int_equal(split("text/plain", "--a\r\n"), 1);
	is(parts[0].content, "--a\r\n");
	assert_int_equal(split("text/plain", ""), 0);
}

static void test_empty_parts_and_bare_line_feeds(void **state)
{
	(void)state;
	assert_int_equal(split("multipart/mixed; boundary=x", "--x\n--x\n\n--x--"), 2);
	is(parts[0].content, "");
	is(parts[1].content, "");
	assert_int_equal(split("multipart/mixed; boundary=x", "--x--"), 0);
	assert_int_equal(split("multipart/mixed; BOUNDARY=x", "--x\n\na\n--x--"), 1);
	is(parts[0].content, "a");
}

static void test_what_has_no_boundary_or_no_end_is_refused(void **state)
{
	static const char *const broken[][2] = {
		{ "multipart/mixed", "--x\r\n\r\n--x--" },
		{ "multipart/mixed;boundary=", "--x\r\n\r\n--x--" },
		{ "multipart/mixed;boundary=\"", "--x\r\n\r\n--x--" },
		{ "multipart/mixed;boundary=x", "nothing" },
		{ "multipart/mixed;boundary=x", "--x" },
		{ "multipart/mixed;boundary=x", "--x\r\n\r\nno end" },
		{ "multipart/mixed;boundary=x", "--x\r\n\r\nno end\r\n--x" },
		{ "multipart/mixed;boundary=x", "--x\r\n\r\nno end\r\n--x-" },
		{ "multipart/mixed;boundary=x", "--x\r\nno header\r\n\r\n--x--" },
		{ "multipart/mixed;boundary="
		  "0123456789012345678901234567890123456789012345678901234567890123456789x",
			"--x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_int_equal(split(broken[i][0], broken[i][1]), -EINVAL);
}

static void test_parts_and_their_headers_are_bounded(void **state)
{
	char body[4096] = "";
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < MESSAGE_PARTS_MAX; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "--x\r\n\r\n%u\r\n", i);
	snprintf(body + n, sizeof(body) - n, "--x--");
	assert_int_equal(split("multipart/mixed;boundary=x", body), MESSAGE_PARTS_MAX);
	is(parts[15].content, "15");
	snprintf(body + n, sizeof(body) - n, "--x\r\n\r\n--x--");
	assert_int_equal(split("multipart/mixed;boundary=x", body), -EMSGSIZE);

	n = (size_t)snprintf(body, sizeof(body), "--x\r\n");
	for (unsigned i = 0; i < 17; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "A: %u\r\n", i);
	snprintf(body + n, sizeof(body) - n, "\r\nx\r\n--x--");
	assert_int_equal(split("multipart/mixed;boundary=x", body), -EINVAL);
}

static void test_what_must_be_understood_says_so(void **state)
{
	struct message_part part = { .disposition = SPAN("signal;handling=REQUIRED") };

	(void)state;
	assert_true(part_is_required(&part));
	part.disposition = SPAN("signal;x=\";handling=required\"");
	assert_false(part_is_required(&part));
	part.encoding = SPAN("base64");
	assert_false(part_is_plain(&part));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_have_type_disposition_and_content),
		cmocka_unit_test(test_a_body_of_another_type_is_one_part),
		cmocka_unit_test(test_empty_parts_and_bare_line_feeds),
		cmocka_unit_test(test_what_has_no_boundary_or_no_end_is_refused),
		cmocka_unit_test(test_parts_and_their_headers_are_bounded),
		cmocka_unit_test(test_what_must_be_understood_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
