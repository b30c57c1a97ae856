/* SPDX-License-Identifier: BSD-3-Clause */
/* Which bodies cross, and that what is put together for the other side is ours. */
#include "tests/unit/controlplane/hide_fixture.h"

#define SDP "v=0\r\no=x 1 1 IN IP4 192.0.2.9\r\n"

static struct message *with_body(const struct fixture *f, const char *type, const char *body)
{
	static struct scan scan;
	static char text[FIXTURE_TEXT_MAX];
	struct message *message = NULL;
	unsigned status;

	snprintf(text, sizeof(text),
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKone\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:alice@home.example>;tag=abc\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: one\r\nCSeq: 7 INVITE\r\nContact: <sip:al@192.0.2.7>\r\nContent-Type: %s\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		type, strlen(body), body);
	assert_int_equal(scan_message(&scan, span_from(text), true, &f->config.sip), SCAN_OK);
	assert_int_equal(message_parse(&scan, span_from(text), &f->peer, &message, &status), 0);
	return message;
}

static const char *ended(const struct fixture *f, const char *type, const char *body, const char *sdp)
{
	static char result[FIXTURE_TEXT_MAX];
	struct message *message = with_body(f, type, body);
	struct writer out;

	writer_init(&out, result, sizeof(result) - 1);
	hide_end(message, HIDE_INVITE, &to_leg, span_from(sdp), &out);
	assert_false(out.overflow);
	result[out.len] = '\0';
	message_free(message);
	return result;
}

static unsigned status_of(const struct fixture *f, enum hide_kind kind, const char *type, const char *body)
{
	struct message *message = with_body(f, type, body);
	unsigned status = hide_body_status(message, kind, &to_leg);

	message_free(message);
	return status;
}

static void pass(char *a, char *b)
{
	static char *list[2];

	list[0] = a;
	list[1] = b;
	to_profile.bodies_pass = (struct config_strings){ list, b ? 2 : 1 };
}

static const char mixed_type[] = "multipart/mixed;boundary=home.example";
static const char mixed[] =
	"--home.example\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--home.example\r\n"
	"Content-Type: application/isup;version=nxv3;base=etsi121;x=home.example\r\n"
	"Content-Disposition: signal;handling=optional;filename=home.example\r\n\r\n\x01\x02\r\n"
	"--home.example\r\nContent-Type: application/pidf+xml\r\n\r\n<home.example/>\r\n--home.example--\r\n";

static void test_a_plain_description_is_ended_as_such(void **state)
{
	assert_string_equal(ended(*state, "application/sdp;x=y", SDP, "v=1\r\n"),
		"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=1\r\n");
	assert_string_equal(ended(*state, "application/sdp", SDP, ""), "Content-Length: 0\r\n\r\n");
}

static void test_only_the_description_of_several_parts_crosses_by_itself(void **state)
{
	assert_int_equal(status_of(*state, HIDE_INVITE, mixed_type, mixed), 0);
	assert_string_equal(ended(*state, mixed_type, mixed, "v=1\r\n"),
		"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=1\r\n");
}

static void test_allowed_parts_are_put_together_with_a_boundary_of_ours(void **state)
{
	static char isup[] = "application/ISUP";
	const char *text, *boundary, *body;
	char token[128], expected[1024];
	unsigned length;

	pass(isup, NULL);
	text = ended(*state, mixed_type, mixed, "v=1\r\n");
	assert_null(strstr(text, "home.example"));
	boundary = strstr(text, "Content-Type: multipart/mixed;boundary=");
	assert_non_null(boundary);
	assert_int_equal(
		sscanf(boundary, "Content-Type: multipart/mixed;boundary=%127[^\r]\r\nContent-Length: %u",
			token, &length),
		2);
	body = strstr(text, "\r\n\r\n") + 4;
	assert_int_equal(strlen(body), length);
	snprintf(expected, sizeof(expected),
		"--%s\r\nContent-Type: application/sdp\r\n\r\nv=1\r\n\r\n--%s\r\n"
		"Content-Type: application/isup;version=nxv3;base=etsi121\r\n"
		"Content-Disposition: signal;handling=optional\r\n\r\n\x01\x02\r\n--%s--\r\n",
		token, token, token);
	assert_string_equal(body, expected);
	assert_null(strstr(ended(*state, mixed_type, mixed, "v=1\r\n"), token));
}

static void test_one_allowed_part_alone_stands_for_itself(void **state)
{
	static char image[] = "image/*";

	assert_int_equal(status_of(*state, HIDE_INVITE, "image/png", "x"), 415);
	pass(image, NULL);
	assert_int_equal(status_of(*state, HIDE_INVITE, "image/png", "x"), 0);
	assert_int_equal(status_of(*state, HIDE_INVITE, "imagex/png", "x"), 415);
	assert_false(hide_body_crosses(SPAN("image/home.example"), HIDE_INVITE, &to_leg));
	/* What stands in a part's header becomes a line of ours: nothing but a type may. */
	assert_false(hide_body_crosses(SPAN("image/p\0ng"), HIDE_INVITE, &to_leg));
	assert_false(hide_body_crosses(SPAN("image/p\r\n Via: x"), HIDE_INVITE, &to_leg));
	assert_string_equal(ended(*state, "image/png;name=\"home.example\"", "x", ""),
		"Content-Type: image/png\r\nContent-Length: 1\r\n\r\nx");
}

static void test_what_must_be_understood_and_does_not_cross_is_refused(void **state)
{
	static const char required[] =
		"--x\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--x\r\n"
		"Content-Type: a/b\r\nContent-Disposition: y;handling=required\r\n\r\nz\r\n--x--";
	static char type[] = "a/b";

	assert_int_equal(status_of(*state, HIDE_INVITE, "multipart/mixed;boundary=x", required), 415);
	pass(type, NULL);
	assert_int_equal(status_of(*state, HIDE_INVITE, "multipart/mixed;boundary=x", required), 0);
	assert_int_equal(status_of(*state, HIDE_INVITE, "multipart/mixed;boundary=y", required), 400);
	assert_int_equal(
		status_of(*state, HIDE_INVITE, "application/sdp\r\nContent-Encoding: gzip", "x"), 415);
}

static void test_a_description_crosses_by_no_configuration(void **state)
{
	static char sdp[] = "application/sdp", several[] = "multipart/*";

	pass(sdp, several);
	assert_false(hide_body_crosses(SPAN("application/sdp"), HIDE_INFO, &to_leg));
	assert_false(hide_body_crosses(SPAN("multipart/mixed;boundary=x"), HIDE_INFO, &to_leg));
	assert_int_equal(status_of(*state, HIDE_INFO, "application/sdp", SDP), 415);
}

static void test_methods_have_their_bodies(void **state)
{
	(void)state;
	assert_true(hide_body_crosses(SPAN("application/dtmf-relay; x=y"), HIDE_INFO, &to_leg));
	assert_false(hide_body_crosses(SPAN("application/dtmf-relay"), HIDE_MESSAGE, &to_leg));
	assert_true(hide_body_crosses(SPAN("text/plain;charset=utf-8"), HIDE_MESSAGE, &to_leg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_plain_description_is_ended_as_such),
		TEST(test_only_the_description_of_several_parts_crosses_by_itself),
		TEST(test_allowed_parts_are_put_together_with_a_boundary_of_ours),
		TEST(test_one_allowed_part_alone_stands_for_itself),
		TEST(test_what_must_be_understood_and_does_not_cross_is_refused),
		TEST(test_a_description_crosses_by_no_configuration),
		TEST(test_methods_have_their_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
