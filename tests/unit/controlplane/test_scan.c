/* SPDX-License-Identifier: BSD-3-Clause */
/* The pre-scan: what it takes out of good messages, and its verdict on RFC 4475's and worse ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/scan.h"
#include "tests/unit/controlplane/exact.h"
#include "tests/unit/controlplane/rfc4475.h"
#include "tests/unit/controlplane/sip_limits.h"

static const struct config_sip limits = { SIP_MESSAGE_LIMITS };

#define START "INVITE sip:100@example.com SIP/2.0\r\n"
#define VIA   "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK776asdhds;rport\r\n"
#define FROM  "From: Alice <sip:alice@example.com>;tag=1928301774\r\n"
#define TO    "To: <sip:100@example.com>\r\n"
#define ID    "Call-ID: a84b4c76e66710@pc33\r\n"
#define CSEQ  "CSeq: 314159 INVITE\r\n"
#define FIVE  VIA FROM TO ID CSEQ
#define NONE  "Content-Length: 0\r\n\r\n"

static struct scan scan;

static enum scan_verdict run(const char *bytes, size_t n, bool datagram, const struct config_sip *with)
{
	struct span text = exact_copy(bytes, n);

	memset(&scan, 0xa5, sizeof(scan));
	return scan_message(&scan, text, datagram, with);
}

#define SCAN(literal) run((literal), sizeof(literal) - 1, true, &limits)

static void assert_refused(enum scan_verdict verdict, enum scan_verdict expected, const char *problem)
{
	assert_int_equal(verdict, expected);
	assert_non_null(scan.problem);
	if (!strstr(scan.problem, problem))
		fail_msg("problem is '%s', want '%s'", scan.problem, problem);
	if (expected == SCAN_REJECT)
		assert_int_equal(scan.status, 400);
}

static void an_ordinary_request_gives_all_its_keys(void **state)
{
	struct span value;

	(void)state;
	assert_int_equal(
		SCAN(START VIA "Via: SIP/2.0/TCP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2\r\n" FROM
			       "To: <sip:100@example.com>;tag=a6c85cf\r\n" ID CSEQ "Max-Forwards: 70\r\n"
			       "Contact: <sip:alice@pc33>\r\nContact: <sip:b@pc33>\r\n"
			       "Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"),
		SCAN_OK);
	assert_null(scan.problem);
	assert_true(scan.is_request);
	assert_int_equal(scan.method, SIP_METHOD_INVITE);
	assert_span(scan.method_name, "INVITE");
	assert_span(scan.request_uri, "sip:100@example.com");
	assert_span(scan.call_id, "a84b4c76e66710@pc33");
	assert_span(scan.from_tag, "1928301774");
	assert_span(scan.to_tag, "a6c85cf");
	assert_span(scan.branch, "z9hG4bK776asdhds");
	assert_span(scan.sent_by, "10.0.0.9:5060");
	assert_span(scan.from, "Alice <sip:alice@example.com>;tag=1928301774");
	assert_span(scan.to, "<sip:100@example.com>;tag=a6c85cf");
	assert_span(scan.cseq, "314159 INVITE");
	assert_span(scan.contact, "<sip:alice@pc33>");
	assert_span(scan.content_type, "application/sdp");
	assert_span(scan.body, "v=0\n");
	assert_int_equal(scan.cseq_number, 314159);
	assert_int_equal(scan.cseq_method, SIP_METHOD_INVITE);
	assert_int_equal(scan.via_count, 3);
	assert_int_equal(scan.max_forwards, 70);
	assert_int_equal(scan.headers, 11);
	assert_ptr_equal(scan.header_block.p, exact);
	assert_ptr_equal(scan.header_block.p + scan.header_block.n, scan.body.p);
	assert_true(scan_header_find(&scan, SPAN("contact"), 'm', 1, &value));
	assert_span(value, "<sip:b@pc33>");
	assert_false(scan_header_find(&scan, SPAN("Contact"), 'm', 2, &value));
	assert_false(scan_header_find(&scan, SPAN("Route"), 0, 0, &value));
}

static void a_response_takes_its_method_from_cseq(void **state)
{
	(void)state;
	assert_int_equal(SCAN("SIP/2.0 180 Ringing\r\n" VIA FROM TO ID "CSeq: 7 BYE\r\n" NONE), SCAN_OK);
	assert_false(scan.is_request);
	assert_int_equal(scan.status, 180);
	assert_int_equal(scan.method, SIP_METHOD_BYE);
	assert_span(scan.method_name, "BYE");
	assert_int_equal(scan.max_forwards, -1);
	assert_int_equal(scan.to_tag.n, 0);
}

static void compact_names_are_known(void **state)
{
	struct span value;

	(void)state;
	assert_int_equal(
		SCAN(START "v: SIP/2.0/UDP h;branch=z9hG4bKx\r\nF: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\ni: "
			   "id\r\n" CSEQ "m: <sip:x@y>\r\nc: text/plain\r\nl: 2\r\nk: timer\r\n\r\nhi"),
		SCAN_OK);
	assert_span(scan.branch, "z9hG4bKx");
	assert_span(scan.from_tag, "1");
	assert_span(scan.call_id, "id");
	assert_span(scan.contact, "<sip:x@y>");
	assert_span(scan.content_type, "text/plain");
	assert_span(scan.body, "hi");
	assert_true(scan_header_find(&scan, SPAN("Supported"), 'k', 0, &value));
	assert_span(value, "timer");
	assert_false(scan_header_find(&scan, SPAN("Supported"), 0, 0, &value));
}

static void unknown_methods_pass(void **state)
{
	(void)state;
	assert_int_equal(SCAN("DANCE sip:a@b SIP/2.0\r\n" VIA FROM TO ID "CSeq: 1 DANCE\r\n" NONE), SCAN_OK);
	assert_int_equal(scan.method, SIP_METHOD_UNKNOWN);
	assert_span(scan.method_name, "DANCE");
	/* Methods are case-sensitive: this is another one. */
	assert_int_equal(
		SCAN("invite sip:a@b SIP/2.0\r\n" VIA FROM TO ID "CSeq: 1 invite\r\n" NONE), SCAN_OK);
	assert_int_equal(scan.method, SIP_METHOD_UNKNOWN);
	assert_refused(SCAN("invite sip:a@b SIP/2.0\r\n" VIA FROM TO ID "CSeq: 1 INVITE\r\n" NONE),
		SCAN_REJECT, "CSeq");
}

static void crlfs_before_a_message_are_skipped_and_alone_keep_alive(void **state)
{
	(void)state;
	assert_int_equal(SCAN("\r\n\r\n" START FIVE NONE), SCAN_OK);
	assert_ptr_equal(scan.header_block.p, exact + 4);
	assert_int_equal(SCAN("\r\n\r\n"), SCAN_KEEP_ALIVE);
	assert_int_equal(SCAN("\r\n"), SCAN_KEEP_ALIVE);
	assert_int_equal(SCAN(""), SCAN_KEEP_ALIVE);
	assert_int_equal(SCAN("\r"), SCAN_SILENT);
	assert_int_equal(SCAN("\n"), SCAN_SILENT);
	assert_int_equal(SCAN("\0\0\0\0"), SCAN_SILENT);
}

static void what_is_not_sip_gets_no_word(void **state)
{
	static const struct span rubbish[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27 },
		{ "\x00\x01\x00\x00\x21\x12\xa4\x42", 8 },
		{ "INVITE", 6 },
		{ "INVITE sip:a@b SIP/2.0", 22 },
		{ "INVITE\r\n\r\n", 10 },
		{ "SIP/2.0\r\n\r\n", 11 },
		{ "SIP/2.0 200\r\n\r\n", 15 },
		{ " INVITE sip:a@b SIP/2.0\r\n\r\n", 27 },
		{ "IN(VITE sip:a@b SIP/2.0\r\n\r\n", 27 },
		{ "INVITE\tsip:a@b\tSIP/2.0\r\n\r\n", 26 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++)
		assert_refused(run(rubbish[i].p, rubbish[i].n, true, &limits), SCAN_SILENT, "");
}

static void status_lines_are_strict(void **state)
{
	static const char *const broken[] = { "SIP/2.0 99 x", "SIP/2.0 099 x", "SIP/2.0 700 x",
		"SIP/2.0 2000 x", "SIP/2.0  200 x", "SIP/2.0 +20 x", "SIP/2.0 200", "SIP/1.0 200 OK",
		"SIP/2.0 2x0 OK", "SIP/2.0\t200 OK" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		int n = snprintf(text, sizeof(text), "%s\r\n%s", broken[i], FIVE NONE);

		assert_refused(run(text, (size_t)n, true, &limits), SCAN_SILENT, "status line");
	}
	assert_int_equal(SCAN("SIP/2.0 699 \r\n" FIVE NONE), SCAN_OK);
	assert_int_equal(SCAN("SIP/2.0 100 \xd0\xb0\r\n" FIVE NONE), SCAN_OK);
	assert_int_equal(scan.status, 100);
}

static void request_lines_are_strict(void **state)
{
	static const char *const broken[] = {
		"INVITE  sip:a@b SIP/2.0",
		"INVITE sip:a@b  SIP/2.0",
		"INVITE sip:a@b SIP/2.0 ",
		"INVITE sip:a @b SIP/2.0",
		"INVITE <sip:a@b> SIP/2.0",
		"INVITE sip: SIP/2.0",
		"INVITE a SIP/2.0",
		"INVITE :a SIP/2.0",
		"INVITE 1sip:a SIP/2.0",
		"INVITE sip:a\"@b SIP/2.0",
		"INVITE SIP/2.0",
		"INVITE sip:a@b SIP/2.0x",
		"INVITE sip:a@b SIP/2",
		"INVITE sip:a@b SIP/two.0",
		"INVITE sip:a@b?Route=x SIP/2.0",
		"INVITE sip:b?Route=x SIP/2.0",
		"INVITE sip:a\xc3\xa4@b SIP/2.0",
		"INVITE sip:a\tb SIP/2.0",
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		int n = snprintf(text, sizeof(text), "%s\r\n%s", broken[i], FIVE NONE);

		assert_refused(run(text, (size_t)n, true, &limits), SCAN_REJECT, "request line");
	}
	/* A question mark belongs to a user part, and to other schemes. */
	assert_int_equal(SCAN("INVITE sip:a?b@c SIP/2.0\r\n" FIVE NONE), SCAN_OK);
	assert_int_equal(SCAN("INVITE urn:service:sos?x SIP/2.0\r\n" FIVE NONE), SCAN_OK);
	assert_int_equal(
		SCAN("INVITE sip:*98#@[2001:db8::1]:5060;transport=udp sip/2.0\r\n" FIVE NONE), SCAN_OK);
}

static void another_version_is_answered_505(void **state)
{
	(void)state;
	assert_int_equal(SCAN("INVITE sip:a@b SIP/3.0\r\n" FIVE NONE), SCAN_REJECT);
	assert_int_equal(scan.status, 505);
	assert_int_equal(SCAN("INVITE sip:a@b SIP/12345678901234567890123.0\r\n" FIVE NONE), SCAN_REJECT);
	assert_int_equal(scan.status, 505);
	assert_int_equal(SCAN("ACK sip:a@b SIP/3.0\r\n" VIA FROM TO ID "CSeq: 1 ACK\r\n" NONE), SCAN_SILENT);
}

static void without_the_five_fields_there_is_no_answer(void **state)
{
	(void)state;
	assert_refused(SCAN(START FROM TO ID CSEQ NONE), SCAN_SILENT, "missing");
	assert_refused(SCAN(START VIA TO ID CSEQ NONE), SCAN_SILENT, "missing");
	assert_refused(SCAN(START VIA FROM ID CSEQ NONE), SCAN_SILENT, "missing");
	assert_refused(SCAN(START VIA FROM TO CSEQ NONE), SCAN_SILENT, "missing");
	assert_refused(SCAN(START VIA FROM TO ID NONE), SCAN_SILENT, "missing");
	assert_refused(SCAN(START VIA FROM TO "Call-ID:\r\n" CSEQ NONE), SCAN_SILENT, "empty");
}

static void broken_acks_and_responses_get_no_answer(void **state)
{
	(void)state;
	assert_int_equal(
		SCAN("ACK sip:a@b SIP/2.0\r\n" VIA FROM TO ID "CSeq: 1 ACK\r\nContent-Length: x\r\n\r\n"),
		SCAN_SILENT);
	assert_int_equal(
		SCAN("INVITE sip:a@b SIP/2.0\r\n" VIA FROM TO ID "CSeq: 1 ACK\r\n" NONE), SCAN_SILENT);
	assert_int_equal(SCAN("SIP/2.0 200 OK\r\n" FIVE "Content-Length: x\r\n\r\n"), SCAN_SILENT);
	assert_int_equal(scan.status, 200);
}

static void forbidden_octets_are_refused_and_never_repeated(void **state)
{
	struct span value;

	(void)state;
	assert_refused(SCAN(START FIVE "Subject: a\0b\r\n" NONE), SCAN_REJECT, "control");
	assert_false(scan_header_find(&scan, SPAN("Subject"), 's', 0, &value));
	assert_refused(SCAN(START FIVE "Subject: a\x1b[2Jb\r\n" NONE), SCAN_REJECT, "control");
	assert_refused(SCAN(START FIVE "Subject: a\x7f\r\n" NONE), SCAN_REJECT, "control");
	assert_refused(SCAN(START FIVE "Subject: a\rb\r\n" NONE), SCAN_REJECT, "alone");
	assert_refused(SCAN(START FIVE "Subject: a\nVia: b\r\n" NONE), SCAN_REJECT, "alone");
	assert_refused(SCAN(START FIVE "Subject: a\r\r\n" NONE), SCAN_REJECT, "alone");
	assert_int_equal(SCAN(START FIVE "Subject: a\tb \xe2\x82\xac\r\n" NONE), SCAN_OK);
	/* In a field that an answer would copy: silence. */
	assert_refused(SCAN(START VIA "From: <sip:a\nb@c>;tag=1\r\n" TO ID CSEQ NONE), SCAN_SILENT, "alone");
	assert_refused(SCAN(START VIA FROM TO "Call-ID: a\0b\r\n" CSEQ NONE), SCAN_SILENT, "control");
	/* Line feeds alone make no lines at all. */
	assert_int_equal(SCAN("INVITE sip:a@b SIP/2.0\nVia: x\n\n"), SCAN_SILENT);
}

static void escaped_nul_cr_and_lf_are_refused(void **state)
{
	static const char *const escapes[] = { "%00", "%0a", "%0A", "%0d", "%0D", "%%00" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		int n = snprintf(text, sizeof(text), START FIVE "Contact: <sip:a%sb@c>\r\n" NONE, escapes[i]);

		assert_refused(run(text, (size_t)n, true, &limits), SCAN_REJECT, "escaped");
	}
	assert_refused(SCAN("INVITE sip:a%00@b SIP/2.0\r\n" FIVE NONE), SCAN_REJECT, "escaped");
	assert_int_equal(SCAN(START FIVE "Contact: <sip:a%20%41%0b%0@c>\r\n" NONE), SCAN_OK);
}

static void the_body_is_not_looked_at(void **state)
{
	(void)state;
	assert_int_equal(SCAN(START FIVE "Content-Length: 8\r\n\r\n\0\r\n%00,;&"), SCAN_OK);
	assert_int_equal(scan.body.n, 8);
}

static void content_length_is_digits_and_bounds_the_body(void **state)
{
	static const char *const broken[] = { "-1", "+5", "5abc", "5 5", "0x5", "", "4294967301",
		"18446744073709551621", "65537", "5,5" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		int n = snprintf(text, sizeof(text), START FIVE "Content-Length: %s\r\n\r\nhello", broken[i]);

		assert_refused(run(text, (size_t)n, true, &limits), SCAN_REJECT,
			broken[i][0] ? "Content-Length" : "empty");
	}
	assert_int_equal(SCAN(START FIVE "Content-Length: 05 \r\n\r\nhello"), SCAN_OK);
	assert_span(scan.body, "hello");
	assert_int_equal(SCAN(START FIVE "Content-Length: 2\r\n\r\nhello"), SCAN_OK);
	assert_span(scan.body, "he");
	assert_refused(SCAN(START FIVE "Content-Length: 6\r\n\r\nhello"), SCAN_REJECT, "shorter");
	assert_int_equal(SCAN(START FIVE "\r\nhello"), SCAN_OK);
	assert_span(scan.body, "hello");
}

static void on_a_stream_content_length_is_mandatory(void **state)
{
	static const char without[] = START FIVE "\r\nhello";
	static const char with[] = START FIVE "Content-Length: 2\r\n\r\nheINVITE";

	(void)state;
	assert_refused(run(without, sizeof(without) - 1, false, &limits), SCAN_REJECT, "stream");
	assert_int_equal(run(with, sizeof(with) - 1, false, &limits), SCAN_OK);
	assert_span(scan.body, "he");
}

static void single_fields_must_not_be_repeated(void **state)
{
	static const char *const repeated[] = { "Call-ID: other\r\n", "i: a84b4c76e66710@pc33\r\n",
		"From: <sip:x@y>;tag=2\r\n", "t: <sip:x@y>\r\n", "CSeq: 314159 INVITE\r\n",
		"Max-Forwards: 5\r\nMax-Forwards: 5\r\n", "l: 5\r\nContent-Length: 4\r\n",
		"Content-Type: a/b\r\nc: a/b\r\n" };
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++) {
		int n = snprintf(text, sizeof(text), START FIVE "%s\r\nhello", repeated[i]);

		assert_refused(run(text, (size_t)n, true, &limits), SCAN_REJECT, "repeated");
		assert_span(scan.call_id, "a84b4c76e66710@pc33");
		assert_span(scan.from_tag, "1928301774");
	}
}

struct tag_case {
	const char *value;
	const char *tag; /* NULL: refused */
};

static void a_tag_is_only_what_stands_behind_the_address(void **state)
{
	static const struct tag_case cases[] = {
		{ "<sip:a@b>;tag=x", "x" },
		{ "<sip:a@b>", "" },
		{ "sip:a@b;tag=x", "x" },
		{ "sip:a@b", "" },
		{ "\"tag=no;tag=no\" <sip:a@b>;tag=yes", "yes" },
		{ "\"quote \\\";tag=no\" <sip:a@b;tag=no>;tag=yes", "yes" },
		{ "\"a\\\\\"<sip:a@b>;tag=yes", "yes" },
		{ "\"<sip:no@no>;tag=no\" <sip:a@b>", "" },
		{ "<sip:a@b;tag=no>", "" },
		{ "<sip:a@b?tag=no>;x=\";tag=no\";tag=yes", "yes" },
		{ "Alice B. <sip:a@b>\t; TAG \t=\t yes ;foo", "yes" },
		{ "<sip:a@b>\r\n ;\r\n tag=yes", "yes" },
		{ "<sip:a@b>;xtag=no;tagx=no;foo;tag=a@b:c=", "a@b:c=" },
		{ "<sip:a@b>;tag=1;tag=2", NULL },
		{ "<sip:a@b>;tag", NULL },
		{ "<sip:a@b>;tag=", NULL },
		{ "<sip:a@b>;tag=\"x\"", NULL },
		{ "<sip:a@b>;;tag=x", NULL },
		{ "<sip:a@b>;tag=x y", NULL },
		{ "<sip:a@b>;tag=x<", NULL },
		{ "<sip:a@b>x;tag=x", NULL },
		{ "<sip:a@b>;tag=x, <sip:c@d>;tag=y", NULL },
		{ "Bell, Alexander <sip:a@b>;tag=x", NULL },
		{ "\"open <sip:a@b>;tag=x", NULL },
		{ "\"open\\\"", NULL },
		{ "<sip:a@b;tag=x", NULL },
		{ "sip:a@b>;tag=x", NULL },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int n = snprintf(
			text, sizeof(text), START VIA FROM "To: %s\r\n" ID CSEQ NONE, cases[i].value);
		enum scan_verdict verdict = run(text, (size_t)n, true, &limits);

		if (cases[i].tag) {
			if (verdict != SCAN_OK)
				fail_msg("'%s' was refused: %s", cases[i].value, scan.problem);
			assert_span(scan.to_tag, cases[i].tag);
		} else {
			if (verdict != SCAN_REJECT)
				fail_msg("'%s' was accepted", cases[i].value);
			assert_refused(verdict, SCAN_REJECT, "broken To");
		}
	}
}

struct via_case {
	const char *value;
	const char *sent_by; /* NULL: refused */
	const char *branch;
	unsigned count;
};

static void the_top_via_is_understood(void **state)
{
	static const struct via_case cases[] = {
		{ "SIP/2.0/UDP h", "h", "", 1 },
		{ "sip/2.0/udp [2001:db8::1]:5060;rport;branch=z9hG4bKa", "[2001:db8::1]:5060", "z9hG4bKa",
			1 },
		{ "SIP / 2.0 /\r\n TCP  h : 5060 ; branch = b ,SIP/2.0/UDP i;branch=c", "h : 5060", "b", 2 },
		{ "SIP/2.0/UDP h;x=\"a,b\\\",c\";branch=b", "h", "b", 1 },
		{ "SIP/2.0/UDP h;ttl=1;maddr=224.0.0.1;received=[::1];branch=b", "h", "b", 1 },
		{ "SIP/2.0/UDP h;branch=z9hG4bK", NULL, NULL, 0 },
		{ "SIP/2.0/UDP h;branch=", NULL, NULL, 0 },
		{ "SIP/2.0/UDP h;branch=a;branch=b", NULL, NULL, 0 },
		{ "SIP/2.0/UDP h;;branch=a", NULL, NULL, 0 },
		{ "SIP/2.0/UDP", NULL, NULL, 0 },
		{ "SIP/2.0/UDP ;branch=a", NULL, NULL, 0 },
		{ "SIP/2.0/ h;branch=a", NULL, NULL, 0 },
		{ "SIP/3.0/UDP h;branch=a", NULL, NULL, 0 },
		{ "HTTP/2.0/UDP h;branch=a", NULL, NULL, 0 },
		{ "SIP/2.0/UDPh;branch=a", NULL, NULL, 0 },
		{ "SIP/2.0/UDP h;x=\"open;branch=a", NULL, NULL, 0 },
		{ ",SIP/2.0/UDP h;branch=a", NULL, NULL, 0 },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int n = snprintf(
			text, sizeof(text), START "Via: %s\r\n" FROM TO ID CSEQ NONE, cases[i].value);
		enum scan_verdict verdict = run(text, (size_t)n, true, &limits);

		if (cases[i].sent_by) {
			if (verdict != SCAN_OK)
				fail_msg("'%s' was refused: %s", cases[i].value, scan.problem);
			assert_span(scan.sent_by, cases[i].sent_by);
			assert_span(scan.branch, cases[i].branch);
			assert_int_equal(scan.via_count, cases[i].count);
		} else {
			if (verdict != SCAN_REJECT)
				fail_msg("'%s' was accepted", cases[i].value);
			assert_refused(verdict, SCAN_REJECT, "broken Via");
		}
	}
}

static void cseq_and_max_forwards_have_ranges(void **state)
{
	static const char *const broken[] = { "CSeq: 2147483648 INVITE", "CSeq: -1 INVITE", "CSeq: INVITE",
		"CSeq: 1", "CSeq: 1 INVITE x", "CSeq: 1, INVITE", "CSeq: 99999999999999999999999 INVITE" };
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		int n = snprintf(text, sizeof(text), START VIA FROM TO ID "%s\r\n" NONE, broken[i]);

		assert_refused(run(text, (size_t)n, true, &limits), SCAN_REJECT, "broken CSeq");
	}
	assert_int_equal(SCAN(START VIA FROM TO ID "CSeq: 2147483647\r\n\tINVITE\r\n" NONE), SCAN_OK);
	assert_int_equal(scan.cseq_number, 2147483647);
	assert_refused(SCAN(START FIVE "Max-Forwards: 256\r\n" NONE), SCAN_REJECT, "Max-Forwards");
	assert_refused(SCAN(START FIVE "Max-Forwards: 7x\r\n" NONE), SCAN_REJECT, "Max-Forwards");
	assert_int_equal(SCAN(START FIVE "Max-Forwards: 00000255\r\n" NONE), SCAN_OK);
	assert_int_equal(scan.max_forwards, 255);
	assert_refused(SCAN(START VIA FROM TO "Call-ID: a b\r\n" CSEQ NONE), SCAN_REJECT, "Call-ID");
}

static void header_field_names_are_tokens(void **state)
{
	(void)state;
	assert_refused(SCAN(START FIVE "No colon here\r\n" NONE), SCAN_REJECT, "name");
	assert_refused(SCAN(START FIVE ": value\r\n" NONE), SCAN_REJECT, "name");
	assert_refused(SCAN(START FIVE "A(b): value\r\n" NONE), SCAN_REJECT, "name");
	assert_refused(SCAN(START FIVE "\xc3\xa4: value\r\n" NONE), SCAN_REJECT, "name");
	assert_refused(SCAN(START " Folded: first\r\n" FIVE NONE), SCAN_SILENT, "");
	assert_int_equal(SCAN(START FIVE "X-~!%*_+`'.\t : value\r\nEmpty:\r\n" NONE), SCAN_OK);
}

static void folded_lines_are_kept_and_counted(void **state)
{
	struct config_sip tight = limits;
	static const char folded[] = START FIVE "Subject: a\r\n b\r\n\t c\r\n" NONE;
	struct span value;

	(void)state;
	assert_int_equal(SCAN(folded), SCAN_OK);
	assert_int_equal(scan.headers, 7);
	assert_true(scan_header_find(&scan, SPAN("subject"), 's', 0, &value));
	assert_span(value, "a\r\n b\r\n\t c");
	tight.max_headers = 9;
	assert_int_equal(run(folded, sizeof(folded) - 1, true, &tight), SCAN_OK);
	tight.max_headers = 8;
	assert_refused(run(folded, sizeof(folded) - 1, true, &tight), SCAN_REJECT, "too many");
}

static void an_unfinished_header_block_is_refused(void **state)
{
	static const char whole[] = START FIVE "Content-Length: 0\r\n\r\n";

	(void)state;
	for (size_t n = sizeof(START FIVE) - 1; n < sizeof(whole) - 1; n++)
		assert_refused(run(whole, n, true, &limits), SCAN_REJECT, "");
	/* Cut anywhere, it is never accepted, and never read beyond. */
	for (size_t n = 1; n < sizeof(whole) - 1; n++)
		assert_int_not_equal(run(whole, n, true, &limits), SCAN_OK);
	assert_int_equal(run(whole, sizeof(whole) - 1, true, &limits), SCAN_OK);
}

/* --- caps -------------------------------------------------------------------------------------------------------- */

static char big[70000];

static size_t build(const char *head, const char *piece, unsigned times, const char *tail)
{
	struct writer w;

	writer_init(&w, big, sizeof(big));
	writer_text(&w, head);
	for (unsigned i = 0; i < times; i++)
		writer_text(&w, piece);
	writer_text(&w, tail);
	assert_false(w.overflow);
	return w.len;
}

struct cap_case {
	const char *head, *piece, *tail;
	unsigned most; /* so many pieces pass, one more does not */
	const char *problem;
};

static void caps_hold_exactly(void **state)
{
	static const struct cap_case cases[] = {
		{ START FIVE, "X: y\r\n", NONE, 128 - 6, "too many header fields" },
		{ START FIVE "X: y\r\n", " \r\n", NONE, 128 - 7, "too many header fields" },
		{ START FIVE "Allow: a", ",a", "\r\n" NONE, 256 - 3, "too many separators" },
		{ START FIVE "Contact: <sip:a?b=c", "&a=b", ">\r\n" NONE, 256 - 3, "too many separators" },
		{ START FIVE, "Via: SIP/2.0/UDP h\r\n", NONE, 69, "too many Via" },
		{ START FIVE "Via: SIP/2.0/UDP h", ",SIP/2.0/UDP h", "\r\n" NONE, 68, "too many Via" },
		{ START FIVE "Subject: ", "x", "\r\n" NONE, 2048 - 9, "too long" },
		{ START FIVE "Identity: ", "x", "\r\n" NONE, 8192 - 10, "too long" },
		{ START FIVE "y: ", "x", "\r\n" NONE, 8192 - 3, "too long" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cap_case *c = &cases[i];
		size_t n = build(c->head, c->piece, c->most, c->tail);

		if (run(big, n, true, &limits) != SCAN_OK)
			fail_msg("case %zu: %s", i, scan.problem);
		n = build(c->head, c->piece, c->most + 1, c->tail);
		assert_refused(run(big, n, true, &limits), SCAN_REJECT, c->problem);
	}
}

static void long_messages_are_refused(void **state)
{
	struct config_sip small = limits;
	size_t n;

	(void)state;
	n = build(START FIVE "\r\n", "x", 16384 - (sizeof(START FIVE "\r\n") - 1), "");
	assert_int_equal(n, 16384);
	assert_int_equal(run(big, n, true, &limits), SCAN_OK);
	n = build(START FIVE "\r\n", "x", 16385 - (sizeof(START FIVE "\r\n") - 1), "");
	assert_refused(run(big, n, true, &limits), SCAN_REJECT, "datagram too long");
	assert_int_equal(run(big, n, false, &limits), SCAN_REJECT);
	small.max_header_block = 400;
	n = build(START FIVE, "X: 0123456789\r\n", 20, NONE);
	assert_refused(run(big, n, true, &small), SCAN_REJECT, "too long");
	small = limits;
	small.max_body = 10;
	n = build(START FIVE "\r\n", "x", 11, "");
	assert_refused(run(big, n, true, &small), SCAN_REJECT, "body too long");
}

static void a_limit_above_the_array_does_not_overrun_it(void **state)
{
	struct config_sip loose = limits;
	size_t n = build(START FIVE, "X: y\r\n", 2000, NONE);

	(void)state;
	loose.max_headers = 100000;
	assert_refused(run(big, n, true, &loose), SCAN_REJECT, "too many header fields");
	assert_int_equal(scan.headers, SCAN_HEADERS_MAX);
}

/* --- RFC 4475 ---------------------------------------------------------------------------------------------------- */

static void torture_messages_get_their_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rfc4475_messages) / sizeof(rfc4475_messages[0]); i++) {
		const struct rfc4475_message *m = &rfc4475_messages[i];
		enum scan_verdict verdict = run(m->bytes, m->length, true, &limits);

		if (verdict != m->verdict)
			fail_msg("%s: verdict %d, want %d (%s)", m->name, verdict, m->verdict,
				scan.problem ? scan.problem : "no problem");
		if (verdict == SCAN_REJECT && scan.status != m->status)
			fail_msg(
				"%s: status %u, want %u (%s)", m->name, scan.status, m->status, scan.problem);
	}
}

static const struct rfc4475_message *torture(const char *name)
{
	for (size_t i = 0; i < sizeof(rfc4475_messages) / sizeof(rfc4475_messages[0]); i++)
		if (strcmp(rfc4475_messages[i].name, name) == 0)
			return &rfc4475_messages[i];
	fail_msg("no message %s", name);
	return NULL;
}

static void the_tortuous_invite_is_understood(void **state)
{
	const struct rfc4475_message *m = torture("wsinv");

	(void)state;
	assert_int_equal(run(m->bytes, m->length, true, &limits), SCAN_OK);
	assert_span(scan.request_uri, "sip:vivekg@chair-dnrc.example.com;unknownparam");
	assert_span(scan.from_tag, "98asjd8");
	assert_span(scan.to_tag, "1918181833n");
	assert_span(scan.branch, "390skdjuw");
	assert_span(scan.sent_by, "192.0.2.2");
	assert_span(scan.call_id, "wsinv.ndaksdj@192.0.2.1");
	assert_int_equal(scan.via_count, 3);
	assert_int_equal(scan.cseq_number, 9);
	assert_int_equal(scan.max_forwards, 68);
	assert_int_equal(scan.body.n, 150);
}

static void of_two_requests_in_one_datagram_the_first_counts(void **state)
{
	const struct rfc4475_message *m = torture("dblreq");

	(void)state;
	assert_int_equal(run(m->bytes, m->length, true, &limits), SCAN_OK);
	assert_int_equal(scan.method, SIP_METHOD_REGISTER);
	assert_int_equal(scan.body.n, 0);
}

/* Flipping any octet of a good message must never make an answer or a key that holds a line end of its own. */
static void damaged_messages_never_leak_line_ends_into_keys(void **state)
{
	static const char good[] = START VIA FROM TO ID CSEQ
		"Max-Forwards: 70\r\nContact: <sip:a@b>\r\nContent-Length: 0\r\n\r\n";
	static const char octets[] = "\0\r\n\t \",;<>%=:\x80";
	char text[sizeof(good)];

	(void)state;
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		for (size_t k = 0; k < sizeof(octets) - 1; k++) {
			enum scan_verdict verdict;

			memcpy(text, good, sizeof(good));
			text[i] = octets[k];
			verdict = run(text, sizeof(good) - 1, true, &limits);
			if (verdict != SCAN_OK && verdict != SCAN_REJECT)
				continue;
			for (unsigned h = 0; h < scan.headers; h++) {
				struct span value = scan.header[h].value;

				for (size_t j = 0; j < value.n; j++) {
					assert_int_not_equal(value.p[j], '\0');
					if (value.p[j] == '\n')
						assert_true(
							j > 0 && value.p[j - 1] == '\r' && j + 1 < value.n &&
							(value.p[j + 1] == ' ' || value.p[j + 1] == '\t'));
				}
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(an_ordinary_request_gives_all_its_keys, exact_teardown),
		cmocka_unit_test_teardown(a_response_takes_its_method_from_cseq, exact_teardown),
		cmocka_unit_test_teardown(compact_names_are_known, exact_teardown),
		cmocka_unit_test_teardown(unknown_methods_pass, exact_teardown),
		cmocka_unit_test_teardown(
			crlfs_before_a_message_are_skipped_and_alone_keep_alive, exact_teardown),
		cmocka_unit_test_teardown(what_is_not_sip_gets_no_word, exact_teardown),
		cmocka_unit_test_teardown(status_lines_are_strict, exact_teardown),
		cmocka_unit_test_teardown(request_lines_are_strict, exact_teardown),
		cmocka_unit_test_teardown(another_version_is_answered_505, exact_teardown),
		cmocka_unit_test_teardown(without_the_five_fields_there_is_no_answer, exact_teardown),
		cmocka_unit_test_teardown(broken_acks_and_responses_get_no_answer, exact_teardown),
		cmocka_unit_test_teardown(forbidden_octets_are_refused_and_never_repeated, exact_teardown),
		cmocka_unit_test_teardown(escaped_nul_cr_and_lf_are_refused, exact_teardown),
		cmocka_unit_test_teardown(the_body_is_not_looked_at, exact_teardown),
		cmocka_unit_test_teardown(content_length_is_digits_and_bounds_the_body, exact_teardown),
		cmocka_unit_test_teardown(on_a_stream_content_length_is_mandatory, exact_teardown),
		cmocka_unit_test_teardown(single_fields_must_not_be_repeated, exact_teardown),
		cmocka_unit_test_teardown(a_tag_is_only_what_stands_behind_the_address, exact_teardown),
		cmocka_unit_test_teardown(the_top_via_is_understood, exact_teardown),
		cmocka_unit_test_teardown(cseq_and_max_forwards_have_ranges, exact_teardown),
		cmocka_unit_test_teardown(header_field_names_are_tokens, exact_teardown),
		cmocka_unit_test_teardown(folded_lines_are_kept_and_counted, exact_teardown),
		cmocka_unit_test_teardown(an_unfinished_header_block_is_refused, exact_teardown),
		cmocka_unit_test_teardown(caps_hold_exactly, exact_teardown),
		cmocka_unit_test_teardown(long_messages_are_refused, exact_teardown),
		cmocka_unit_test_teardown(a_limit_above_the_array_does_not_overrun_it, exact_teardown),
		cmocka_unit_test_teardown(torture_messages_get_their_verdicts, exact_teardown),
		cmocka_unit_test_teardown(the_tortuous_invite_is_understood, exact_teardown),
		cmocka_unit_test_teardown(of_two_requests_in_one_datagram_the_first_counts, exact_teardown),
		cmocka_unit_test_teardown(damaged_messages_never_leak_line_ends_into_keys, exact_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
