/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages: what is let through to the call layer, what is refused with what, and what the accessors say. */
#include "tests/unit/controlplane/sip_fixture.h"

#include "tests/unit/controlplane/rfc4475.h"

static const struct config_sip limits = { SIP_MESSAGE_LIMITS };

static struct scan scan;
static struct listener listener; /* UDP */
static const struct sip_flow flow = { .listener = &listener };

/* 0 = accepted, else the status to refuse with; 1 = refused in silence. */
static unsigned judge(struct span text, struct message **out)
{
	unsigned status;

	*out = NULL;
	if (scan_message(&scan, text, true, &limits) != SCAN_OK)
		return 2;
	if (message_parse(&scan, text, &flow, out, &status) == 0)
		return 0;
	assert_null(*out);
	return status ? status : 1;
}

static unsigned judge_text(const char *text)
{
	struct message *message;
	unsigned status = judge(span_from(text), &message);

	message_free(message);
	return status;
}

#define REQUEST(method, uri, via, max_forwards, from, to, more)                                \
	method " " uri " SIP/2.0\r\nVia: " via "\r\n" max_forwards "From: " from "\r\nTo: " to \
	       "\r\nCall-ID: c\r\n"                                                            \
	       "CSeq: 1 " method "\r\n" more "\r\n"
#define VIA                     "SIP/2.0/UDP h;branch=z9hG4bKa"
#define INVITE(uri, from, more) REQUEST("INVITE", uri, VIA, "", from, "<sip:b@h>", more)

/* Half of them name TCP in the top Via: what they are about is elsewhere. */
static struct span as_udp(const struct rfc4475_message *m, char buffer[FIXTURE_TEXT_MAX])
{
	assert_true(m->length < FIXTURE_TEXT_MAX);
	memcpy(buffer, m->bytes, m->length);
	for (size_t i = 0; i + 4 < m->length; i++)
		if (memcmp(buffer + i, "/TCP", 4) == 0 || memcmp(buffer + i, "/TLS", 4) == 0)
			memcpy(buffer + i, "/UDP", 4);
	return (struct span){ buffer, m->length };
}

static void test_rfc_4475_messages_are_judged_as_the_rfc_does_but_for_what_is_listed(void **state)
{
	static const struct {
		const char *name;
		unsigned judged;
	} exceptions[] = {
		{ "intmeth", 2 },
		{ "escnull", 2 }, /* the pre-scan's: a NUL */
		{ "baddate", 0 }, /* nobody here reads Date */
		{ "unkscm", 416 },
		{ "novelsc", 416 },
		{ "sdp01", 406 }, /* well-formed, to be refused so */
		{ "multi01", 2 },
		{ "mcl01", 2 },
	};
	char buffer[FIXTURE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rfc4475_messages) / sizeof(rfc4475_messages[0]); i++) {
		const struct rfc4475_message *m = &rfc4475_messages[i];
		struct message *message;
		unsigned judged = judge(as_udp(m, buffer), &message);
		bool listed = false;

		for (size_t n = 0; n < sizeof(exceptions) / sizeof(exceptions[0]); n++) {
			if (strcmp(m->name, exceptions[n].name) != 0)
				continue;
			listed = true;
			if (judged != exceptions[n].judged)
				fail_msg("%s: %u, not %u", m->name, judged, exceptions[n].judged);
		}
		if (!listed && (judged == 0) != m->valid)
			fail_msg("%s: %u although %s", m->name, judged, m->valid ? "valid" : "invalid");
		message_free(message);
	}
}

static void test_request_uri_scheme(void **state)
{
	(void)state;
	assert_int_equal(judge_text(INVITE("sip:b@h", "<sip:a@h>;tag=1", "")), 0);
	assert_int_equal(judge_text(INVITE("sips:b@h", "<sip:a@h>;tag=1", "")), 0);
	assert_int_equal(judge_text(INVITE("tel:+4930123456", "<sip:a@h>;tag=1", "")), 0);
	assert_int_equal(judge_text(INVITE("mailto:b@h", "<sip:a@h>;tag=1", "")), 416);
	assert_int_equal(judge_text(INVITE("sip:b@h:70000", "<sip:a@h>;tag=1", "")), 400);
	assert_int_equal(judge_text(INVITE("sip:b@h:5x", "<sip:a@h>;tag=1", "")), 400);
	assert_int_equal(judge_text(INVITE("sip:b@[2001:db8::1", "<sip:a@h>;tag=1", "")), 400);
	assert_int_equal(judge_text(INVITE("sip:@h", "<sip:a@h>;tag=1", "")), 400);
}

static void test_max_forwards_zero_ends_new_requests_but_options(void **state)
{
	(void)state;
	assert_int_equal(judge_text(REQUEST("INVITE", "sip:b@h", VIA, "Max-Forwards: 0\r\n",
				 "<sip:a@h>;tag=1", "<sip:b@h>", "")),
		483);
	assert_int_equal(judge_text(REQUEST("OPTIONS", "sip:b@h", VIA, "Max-Forwards: 0\r\n",
				 "<sip:a@h>;tag=1", "<sip:b@h>", "")),
		0);
	assert_int_equal(judge_text(REQUEST("BYE", "sip:b@h", VIA, "Max-Forwards: 0\r\n", "<sip:a@h>;tag=1",
				 "<sip:b@h>;tag=2", "")),
		0);
}

static void test_an_invite_that_takes_no_description_is_not_acceptable(void **state)
{
#define ACCEPTING(accept) INVITE("sip:b@h", "<sip:a@h>;tag=1", accept)
	static const struct {
		const char *text;
		unsigned judged;
	} cases[] = {
		{ ACCEPTING("Accept: application/sdp\r\n"), 0 },
		{ ACCEPTING("Accept: text/html;level=1, APPLICATION/SDP;q=0.1\r\n"), 0 },
		{ ACCEPTING("Accept: text/html\r\nAccept: application/*\r\n"), 0 },
		{ ACCEPTING("Accept: */*\r\n"), 0 },
		{ ACCEPTING("Accept:\r\n"), 0 },
		{ ACCEPTING("Accept: text/html\r\n"), 406 },
		{ ACCEPTING("Accept: text/html;x=application/sdp, application/sdpx\r\n"), 406 },
	};
#undef ACCEPTING

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(judge_text(cases[i].text), cases[i].judged);
	/* Nobody sends a description back for these. */
	assert_int_equal(judge_text(REQUEST("OPTIONS", "sip:b@h", VIA, "", "<sip:a@h>;tag=1", "<sip:b@h>",
				 "Accept: text/html\r\n")),
		0);
}

static void test_top_via_must_name_the_transport_it_came_by(void **state)
{
	(void)state;
	assert_int_equal(judge_text(REQUEST("INVITE", "sip:b@h", "SIP/2.0/TCP h;branch=z9hG4bKa", "",
				 "<sip:a@h>;tag=1", "<sip:b@h>", "")),
		400);
	assert_int_equal(judge_text(REQUEST("INVITE", "sip:b@h", "SIP/2.0/udp h;branch=z9hG4bKa", "",
				 "<sip:a@h>;tag=1", "<sip:b@h>", "")),
		0);
	/* Below it anything may stand. */
	assert_int_equal(judge_text(REQUEST("INVITE", "sip:b@h", VIA ", SIP/2.0/TLS x;branch=z9hG4bKb", "",
				 "<sip:a@h>;tag=1", "<sip:b@h>", "")),
		0);
}

static void test_broken_addresses_are_refused(void **state)
{
	(void)state;
	assert_int_equal(judge_text(INVITE("sip:b@h", "<sip:a@h;tag=1", "")), 2);
	assert_int_equal(judge_text(INVITE("sip:b@h", "A, B <sip:a@h>;tag=1", "")), 2);
	assert_int_equal(judge_text(INVITE("sip:b@h", "<>;tag=1", "")), 400);
	assert_int_equal(judge_text(INVITE("sip:b@h", "<sip:a @h>;tag=1", "")), 400);
	assert_int_equal(
		judge_text(INVITE("sip:b@h", "<sip:a@h>;tag=1", "Contact: sip:a@h?Route=%3Csip:x%3E\r\n")),
		400);
	assert_int_equal(judge_text(INVITE("sip:b@h", "<sip:a@h>;tag=1", "Contact: <sip:a@h\r\n")), 400);
	assert_int_equal(judge_text(INVITE("sip:b@h", "<sip:a@h>;tag=1", "Contact: *\r\n")), 400);
	assert_int_equal(judge_text(REQUEST("REGISTER", "sip:h", VIA, "", "<sip:a@h>;tag=1", "<sip:a@h>",
				 "Contact: *\r\n")),
		0);
}

static void test_broken_ack_and_response_are_refused_in_silence(void **state)
{
	(void)state;
	assert_int_equal(
		judge_text(REQUEST("ACK", "mailto:b@h", VIA, "", "<sip:a@h>;tag=1", "<sip:b@h>;tag=2", "")),
		1);
	assert_int_equal(judge_text("SIP/2.0 200 OK\r\nVia: " VIA
				    "\r\nFrom: <>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c\r\n"
				    "CSeq: 1 INVITE\r\n\r\n"),
		1);
}

static void test_body_never_reaches_the_parser_and_is_whole_for_us(void **state)
{
	/* Two Content-Types of a multipart body would leak in libosip2's MIME code. */
	static const char text[] = INVITE("sip:b@h", "<sip:a@h>;tag=1",
		"Content-Type: multipart/mixed;boundary=x\r\nl : 59\r\n") "--x\r\nContent-Type: "
									  "a/b\r\nContent-Type: "
									  "a/"
									  "b\r\n\r\nv=0\r\n\r\n--x--\r\n....";
	struct message *message;

	(void)state;
	assert_int_equal(judge((struct span){ text, sizeof(text) - 1 }, &message), 0);
	assert_int_equal(message_body(message).n, 59);
	assert_true(span_starts_case(message_body(message), SPAN("--x\r\nContent-Type")));
	assert_true(message_body_is(message, SPAN("Multipart/Mixed")));
	assert_false(message_body_is(message, SPAN("application/sdp")));
	message_free(message);
}

static void test_message_owns_its_bytes(void **state)
{
	static const char text[] = INVITE(
		"sip:b@h", "\"A B\" <sip:a@h>;tag=1", "Subject: s1\r\nContact: <sip:x@y>\r\nl: 2\r\n") "hi";
	char copy[sizeof(text)];
	struct message *message;
	struct name_addr from;
	struct span value;

	(void)state;
	memcpy(copy, text, sizeof(text));
	assert_int_equal(judge((struct span){ copy, sizeof(text) - 1 }, &message), 0);
	memset(copy, 'X', sizeof(copy));
	memset(&scan, 0, sizeof(scan));
	assert_true(span_equal(message_scan(message)->request_uri, SPAN("sip:b@h")));
	assert_true(span_equal(message_scan(message)->method_name, SPAN("INVITE")));
	assert_true(span_equal(message_scan(message)->call_id, SPAN("c")));
	assert_true(span_equal(message_scan(message)->branch, SPAN("z9hG4bKa")));
	assert_true(span_equal(message_scan(message)->sent_by, SPAN("h")));
	assert_true(span_equal(message_scan(message)->from_tag, SPAN("1")));
	assert_int_equal(message_scan(message)->to_tag.n, 0);
	assert_true(span_equal(message_scan(message)->contact, SPAN("<sip:x@y>")));
	assert_true(span_equal(message_body(message), SPAN("hi")));
	assert_true(message_header(message, SPAN("subject"), 0, &value));
	assert_true(span_equal(value, SPAN("s1")));
	assert_false(message_header(message, SPAN("subject"), 1, &value));
	assert_int_equal(message_from(message, &from), 0);
	assert_true(span_equal(from.display, SPAN("A B")));
	assert_true(span_equal(from.uri, SPAN("sip:a@h")));
	assert_true(span_equal(from.tag, SPAN("1")));
	message_free(message);
}

static void test_headers_are_found_by_long_and_compact_name(void **state)
{
	static const char text[] = INVITE(
		"sip:b@h", "<sip:a@h>;tag=1", "k: timer, replaces\r\nx: 1800\r\nSupported: 100rel\r\n");
	struct message *message;
	struct span value;

	(void)state;
	assert_int_equal(judge((struct span){ text, sizeof(text) - 1 }, &message), 0);
	assert_true(message_header(message, SPAN("Session-Expires"), 0, &value));
	assert_true(span_equal(value, SPAN("1800")));
	assert_true(message_has_token(message, SPAN("Supported"), SPAN("Replaces")));
	assert_true(message_has_token(message, SPAN("Supported"), SPAN("100rel")));
	assert_false(message_has_token(message, SPAN("Supported"), SPAN("replace")));
	assert_false(message_has_token(message, SPAN("Require"), SPAN("100rel")));
	message_free(message);
}

static void test_uri_parts(void **state)
{
	struct sip_uri uri;

	(void)state;
	assert_int_equal(
		sip_uri_parse(SPAN("sip:al;ice?x:pw@[2001:db8::1]:5062;transport=udp;lr?Subject=x"), &uri),
		0);
	assert_true(span_equal(uri.scheme, SPAN("sip")));
	assert_true(span_equal(uri.user, SPAN("al;ice?x")));
	assert_true(span_equal(uri.password, SPAN("pw")));
	assert_true(span_equal(uri.host, SPAN("2001:db8::1")));
	assert_int_equal(uri.port, 5062);
	assert_true(span_equal(uri.parameters, SPAN("transport=udp;lr")));
	assert_true(span_equal(uri.headers, SPAN("Subject=x")));
	assert_int_equal(sip_uri_parse(SPAN("sip:h"), &uri), 0);
	assert_int_equal(uri.user.n, 0);
	assert_int_equal(uri.port, 0);
	assert_int_equal(sip_uri_parse(SPAN("tel:+49-30-1;phone-context=x"), &uri), 0);
	assert_true(span_equal(uri.user, SPAN("+49-30-1")));
	assert_int_equal(uri.host.n, 0);
	/* Escapes stay as they are: an unescaped NUL or @ has fooled others. */
	assert_int_equal(sip_uri_parse(SPAN("sip:a%40b%00@h"), &uri), 0);
	assert_true(span_equal(uri.user, SPAN("a%40b%00")));
	assert_int_equal(sip_uri_parse(SPAN("sip:"), &uri), -EINVAL);
	assert_int_equal(sip_uri_parse(SPAN("sip"), &uri), -EINVAL);
	assert_int_equal(sip_uri_parse(SPAN("sip:a@"), &uri), -EINVAL);
	assert_int_equal(sip_uri_parse(SPAN("sip:a@h:0"), &uri), -EINVAL);
	assert_int_equal(sip_uri_parse(SPAN("sip:a@h:"), &uri), -EINVAL);
	assert_int_equal(sip_uri_parse(SPAN("sip:a@b@c"), &uri), -EINVAL);
	assert_int_equal(sip_uri_parse(SPAN("sip:a@[::1]x"), &uri), -EINVAL);
	assert_int_equal(sip_uri_parse(SPAN("sip:a b@h"), &uri), -EINVAL);
	assert_int_equal(sip_uri_parse((struct span){ NULL, 0 }, &uri), -EINVAL);
}

static const char *normal(const char *user, char buffer[64])
{
	struct writer out;

	writer_init(&out, buffer, 63);
	if (sip_user_normal(span_from(user), &out) != 0)
		return NULL;
	buffer[out.len] = '\0';
	return buffer;
}

static void test_a_user_has_one_form_however_he_is_written(void **state)
{
	static const char *const alice[] = { "alice", "%61lice", "%61%6c%69%63%65", "%61%6C%69%63%65",
		"alice;1", "al%69ce;phone-context=%40", "alice%40elsewhere", "alice;%", "alice%40%" };
	static const char *const nobody[] = { "", ";x", "%40h", "al%", "al%6", "al%zz", "al ce", "al%0a",
		"al%00", "al%7f", "al\x80" };
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(alice) / sizeof(alice[0]); i++)
		assert_string_equal(normal(alice[i], text), "alice");
	for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++)
		assert_null(normal(nobody[i], text));
	assert_string_equal(normal("%2b49%2D30", text), "+49-30");
	assert_string_equal(normal("a%3Ab%3B%22", text), "a%3ab%3b%22");
	assert_string_equal(normal("Alice", text), "Alice");
	/* A name cut to what there is room for would be another's. */
	assert_null(normal("1234567890123456789012345678901234567890123456789012345678901234567890", text));
}

static void test_name_addr_parts(void **state)
{
	struct name_addr a;

	(void)state;
	assert_int_equal(
		name_addr_parse(SPAN("\"A \\\"<;tag=no>\" <sip:a@h;x=1>;q=\"a;b\" ; tag = t1;y"), &a), 0);
	assert_true(span_equal(a.display, SPAN("A \\\"<;tag=no>")));
	assert_true(span_equal(a.uri, SPAN("sip:a@h;x=1")));
	assert_true(span_equal(a.tag, SPAN("t1")));
	assert_true(span_equal(a.parameters, SPAN("q=\"a;b\" ; tag = t1;y")));
	assert_int_equal(name_addr_parse(SPAN("Anton Meier <sip:a@h>, <sip:b@h>;tag=2"), &a), 0);
	assert_true(span_equal(a.display, SPAN("Anton Meier")));
	assert_int_equal(a.tag.n, 0);
	assert_int_equal(name_addr_parse(SPAN("sip:a@h;tag=3;x"), &a), 0);
	assert_true(span_equal(a.uri, SPAN("sip:a@h")));
	assert_true(span_equal(a.tag, SPAN("3")));
	assert_int_equal(name_addr_parse(SPAN("<sip:a@h>;a=1, <sip:b@h>;b=2"), &a), 0);
	assert_true(span_equal(a.parameters, SPAN("a=1")));
	assert_int_equal(name_addr_parse(SPAN(""), &a), -EINVAL);
	assert_int_equal(name_addr_parse(SPAN("\"a <sip:a@h>"), &a), -EINVAL);
	assert_int_equal(name_addr_parse(SPAN("<sip:a@h"), &a), -EINVAL);
	assert_int_equal(name_addr_parse(SPAN("A\\ <sip:a@h>"), &a), -EINVAL);
	assert_int_equal(name_addr_parse(SPAN("<sip:a@h> x"), &a), -EINVAL);
	assert_int_equal(name_addr_parse(SPAN("sip:a@h x"), &a), -EINVAL);
}

static void test_end_of_a_message(void **state)
{
	char buffer[128];
	struct writer w;

	(void)state;
	writer_init(&w, buffer, sizeof(buffer));
	message_end(&w, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
	assert_true(span_equal(writer_result(&w), SPAN("Content-Length: 0\r\n\r\n")));
	writer_init(&w, buffer, sizeof(buffer));
	message_end(&w, SPAN("application/sdp"), SPAN("v=0\r\n"));
	assert_true(span_equal(writer_result(&w),
		SPAN("Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n")));
}

static struct osip_engine *engine;

static int send_nothing(void *arg, bool is_ack)
{
	(void)arg, (void)is_ack;
	return 0;
}

/* It fills the parser's tables, as the daemon's does. */
static int group_setup(void **state)
{
	(void)state;
	return osip_engine_new(&limits, send_nothing, &engine);
}

static int group_teardown(void **state)
{
	(void)state;
	osip_engine_free(engine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_4475_messages_are_judged_as_the_rfc_does_but_for_what_is_listed),
		cmocka_unit_test(test_request_uri_scheme),
		cmocka_unit_test(test_max_forwards_zero_ends_new_requests_but_options),
		cmocka_unit_test(test_an_invite_that_takes_no_description_is_not_acceptable),
		cmocka_unit_test(test_top_via_must_name_the_transport_it_came_by),
		cmocka_unit_test(test_broken_addresses_are_refused),
		cmocka_unit_test(test_broken_ack_and_response_are_refused_in_silence),
		cmocka_unit_test(test_body_never_reaches_the_parser_and_is_whole_for_us),
		cmocka_unit_test(test_message_owns_its_bytes),
		cmocka_unit_test(test_headers_are_found_by_long_and_compact_name),
		cmocka_unit_test(test_uri_parts),
		cmocka_unit_test(test_a_user_has_one_form_however_he_is_written),
		cmocka_unit_test(test_name_addr_parts),
		cmocka_unit_test(test_end_of_a_message),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
