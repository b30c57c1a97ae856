/* SPDX-License-Identifier: BSD-3-Clause */
/* Framing: messages come out of a stream as they went in, wherever it is cut; what has no end is told. */
#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/frame.h"

static const struct config_sip limits = { SIP_MESSAGE_LIMITS };
static struct scan scratch;

#define HEAD                                                       \
	"Via: SIP/2.0/TCP h;branch=z9hG4bKx\r\n"                   \
	"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\n" \
	"CSeq: 1 OPTIONS\r\n"
#define PLAIN  "OPTIONS sip:h SIP/2.0\r\n" HEAD "Content-Length: 0\r\n\r\n"
#define BODIED "OPTIONS sip:h SIP/2.0\r\n" HEAD "l: 10\r\n\r\n0123\r\n\r\n89"

static enum frame_verdict judge(const char *text, size_t *length)
{
	struct frame frame = { 0 };

	return frame_next(&frame, span_from(text), &limits, &scratch, length);
}

static void test_messages_are_cut_where_content_length_says(void **state)
{
	size_t length;

	(void)state;
	assert_int_equal(judge(PLAIN BODIED, &length), FRAME_MESSAGE);
	assert_int_equal(length, strlen(PLAIN));
	assert_int_equal(judge(BODIED PLAIN, &length), FRAME_MESSAGE);
	assert_int_equal(length, strlen(BODIED));
	assert_int_equal(judge("\r\n\r\n\r\n" PLAIN, &length), FRAME_LINE_ENDS);
	assert_int_equal(length, 6);
}

static void test_every_prefix_of_a_message_wants_more(void **state)
{
	static const char text[] = BODIED;
	struct frame frame = { 0 };
	size_t length;

	(void)state;
	for (size_t n = 1; n < sizeof(text) - 1; n++)
		assert_int_equal(
			frame_next(&frame, (struct span){ text, n }, &limits, &scratch, &length), FRAME_MORE);
	assert_int_equal(frame_next(&frame, span_from(text), &limits, &scratch, &length), FRAME_MESSAGE);
	assert_int_equal(length, sizeof(text) - 1);
	assert_int_equal(frame.searched, 0);
}

static void test_a_refused_message_with_a_known_end_is_no_broken_stream(void **state)
{
	size_t length;

	(void)state;
	assert_int_equal(judge("OPTIONS sip:h SIP/2.0\r\n" HEAD "Max-Forwards: x\r\nContent-Length: "
			       "0\r\n\r\n" PLAIN,
				 &length),
		FRAME_MESSAGE);
	assert_int_equal(judge("OPTIONS sip:h SIP/2.0\r\n" HEAD "Max-Forwards: x\r\nContent-Length: "
			       "5\r\n\r\n123",
				 &length),
		FRAME_MORE);
}

static void test_a_stream_whose_message_has_no_end_is_broken(void **state)
{
	static const char *const texts[] = {
		"OPTIONS sip:h SIP/2.0\r\n" HEAD "\r\n",
		"OPTIONS sip:h SIP/2.0\r\n" HEAD "Content-Length: +5\r\n\r\n12345",
		"OPTIONS sip:h SIP/2.0\r\n" HEAD "Content-Length: 4294967301\r\n\r\n12345",
		"OPTIONS sip:h SIP/2.0\r\n" HEAD "Content-Length: 65537\r\n\r\n12345",
		"OPTIONS sip:h SIP/2.0\r\n" HEAD "Content-Length: 5\r\nl: 4\r\n\r\n12345",
		"OPTIONS sip:h SIP/2.0\r\n" HEAD "Content-Length:\r\n\r\n",
		"OPTIONS sip:h SIP/2.0\r\n" HEAD "X: \x01\r\nContent-Length: 0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"\x16\x03\x01\r\n\r\n",
	};
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(judge(texts[i], &length), FRAME_BROKEN);
		assert_int_equal(length, strlen(texts[i]));
	}
}

static void test_header_fields_end_within_their_bound(void **state)
{
	static char text[16384 + 2];
	struct frame frame = { 0 };
	size_t length;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(
		frame_next(&frame, (struct span){ text, 16384 }, &limits, &scratch, &length), FRAME_MORE);
	assert_int_equal(
		frame_next(&frame, (struct span){ text, 16385 }, &limits, &scratch, &length), FRAME_BROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_are_cut_where_content_length_says),
		cmocka_unit_test(test_every_prefix_of_a_message_wants_more),
		cmocka_unit_test(test_a_refused_message_with_a_known_end_is_no_broken_stream),
		cmocka_unit_test(test_a_stream_whose_message_has_no_end_is_broken),
		cmocka_unit_test(test_header_fields_end_within_their_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
