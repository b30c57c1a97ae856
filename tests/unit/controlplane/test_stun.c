/* SPDX-License-Identifier: BSD-3-Clause */
/* STUN on the SIP port: RFC 5769's vectors, what is refused, and who gets an answer. */
#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/keep_alive.h"
#include "controlplane/stun.h"
#include "platforms/base/clock.h"

/* A Binding request without attributes; the ID is RFC 5769's. */
#define COOKIE  "\x21\x12\xa4\x42"
#define ID      "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
#define REQUEST "\x00\x01\x00\x00" COOKIE ID

/* RFC 5769 section 2.1, octet by octet. */
static const char sample_request[] = "\x00\x01\x00\x58" COOKIE ID "\x80\x22\x00\x10STUN test client"
				     "\x00\x24\x00\x04\x6e\x00\x01\xff"
				     "\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36"
				     "\x00\x06\x00\x09"
				     "\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20"
				     "\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5"
				     "\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2"
				     "\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

static enum stun_verdict parse(struct span datagram, struct stun_request *out)
{
	/* A copy that ends where the datagram ends. */
	char *copy = malloc(datagram.n ? datagram.n : 1);
	enum stun_verdict verdict;

	assert_non_null(copy);
	memcpy(copy, datagram.p, datagram.n);
	verdict = stun_parse((struct span){ copy, datagram.n }, out);
	free(copy);
	return verdict;
}

static void test_a_binding_request_is_read(void **state)
{
	struct stun_request request;

	(void)state;
	assert_int_equal(parse(SPAN(REQUEST), &request), STUN_BINDING);
	assert_memory_equal(request.id, ID, STUN_ID_OCTETS);
	assert_false(request.fingerprint);
	/* Optional attributes are passed over, padding included. */
	assert_int_equal(parse(SPAN("\x00\x01\x00\x0c" COOKIE ID "\x80\x22\x00\x05hello\0\0\0"), &request),
		STUN_BINDING);
}

static void test_what_sip_is_is_not_stun(void **state)
{
	static const char *const sip[] = { "\r\n\r\n", "REGISTER sip:a SIP/2.0\r\n\r\n", "",
		"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" };
	struct stun_request request;

	(void)state;
	for (size_t i = 0; i < sizeof(sip) / sizeof(sip[0]); i++)
		assert_int_equal(parse(span_from(sip[i]), &request), STUN_NONE);
	/* RFC 3489, without the cookie; and one octet short of a header. */
	assert_int_equal(parse(SPAN("\x00\x01\x00\x00"
				    "abcd" ID),
				 &request),
		STUN_NONE);
	assert_int_equal(parse((struct span){ REQUEST, 19 }, &request), STUN_NONE);
}

static void test_all_but_a_sound_binding_request_is_unwanted(void **state)
{
	static const struct span bad[] = {
		{ "\x01\x01\x00\x00" COOKIE ID, 20 }, /* a response */
		{ "\x00\x11\x00\x00" COOKIE ID, 20 }, /* an indication */
		{ "\x00\x03\x00\x00" COOKIE ID, 20 }, /* TURN's Allocate */
		{ "\x00\x01\x00\x04" COOKIE ID, 20 }, /* longer than it is */
		{ "\x00\x01\x00\x00" COOKIE ID "\x80\x22\x00\x00", 24 }, /* shorter than it is */
		{ "\x00\x01\x00\x02" COOKIE ID "\x80\x22", 22 }, /* half an attribute's header */
		{ "\x00\x01\x00\x04" COOKIE ID "\x80\x22\x00\x01", 24 }, /* its value is not there */
		{ "\x00\x01\x00\x04" COOKIE ID "\x80\x22\xff\xff", 24 },
		{ "\x00\x01\x00\x08" COOKIE ID "\x00\x03\x00\x04\x00\x00\x00\x06", 28 }, /* CHANGE-REQUEST */
		{ "\x00\x01\x00\x08" COOKIE ID "\x00\x24\x00\x04\x6e\x00\x01\xff", 28 }, /* ICE's PRIORITY */
		{ "\x00\x01\x00\x08" COOKIE ID "\x80\x28\x00\x04\x00\x00\x00\x00",
			28 }, /* a wrong FINGERPRINT */
		{ "\x00\x01\x00\x04" COOKIE ID "\x80\x28\x00\x00", 24 }, /* an empty one */
	};
	struct stun_request request;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], &request), STUN_UNWANTED);
	/* RFC 5769's own sample is of ICE: it requires what is not done here. */
	assert_int_equal(
		parse((struct span){ sample_request, sizeof(sample_request) - 1 }, &request), STUN_UNWANTED);
}

/* The sample's FINGERPRINT is over a message with PRIORITY; with that made optional (0x8024) its sum is another: it is computed from our
 * own answer, which must be read as right by the same rule. */
static void test_the_answer_has_a_fingerprint_if_the_request_has(void **state)
{
	struct stun_request request = { .fingerprint = true }, again;
	uint8_t out[STUN_RESPONSE_MAX];
	union address source;
	size_t length;

	(void)state;
	assert_int_equal(address_parse(SPAN("192.0.2.1:32853"), 0, &source), 0);
	memcpy(request.id, ID, STUN_ID_OCTETS);
	length = stun_write(&request, &source, out);
	assert_int_equal(length, 40);
	assert_int_equal(out[3], 20);
	/* RFC 5769 section 2.2's address attribute, of the same transaction and address. */
	assert_memory_equal(out + 20, "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43", 12);
	assert_memory_equal(out + 32, "\x80\x28\x00\x04", 4);
	/* CRC-32 of the request "0001 0008 cookie ID" by Python's zlib, exclusive-or 0x5354554e. */
	assert_int_equal(parse(SPAN("\x00\x01\x00\x08" COOKIE ID "\x80\x28\x00\x04\xfd\xf6\xae\x02"), &again),
		STUN_BINDING);
	assert_true(again.fingerprint);
}

static void test_an_ipv6_source_is_masked_with_cookie_and_id(void **state)
{
	struct stun_request request = { .fingerprint = false };
	uint8_t out[STUN_RESPONSE_MAX];
	union address source;

	(void)state;
	assert_int_equal(address_parse(SPAN("[2001:db8:1234:5678:11:2233:4455:6677]:32853"), 0, &source), 0);
	memcpy(request.id, ID, STUN_ID_OCTETS);
	assert_int_equal(stun_write(&request, &source, out), 44);
	/* RFC 5769 section 2.3. */
	assert_memory_equal(out + 20,
		"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9"
		"\xd9",
		24);
}

/* --- who gets an answer ------------------------------------------------------------------------------------------------- */

static unsigned ask(struct fixture *f)
{
	unsigned before = f->sent_count;

	assert_true(stun_receive(&f->peer, SPAN(REQUEST)));
	return f->sent_count - before;
}

static void test_strangers_are_answered_only_where_sip_is_not_silent(void **state)
{
	struct fixture *f = fixture_new(NULL);

	(void)state;
	f->config.sip.stateless_rate = 10;
	f->shard.transactions->stateless.level = 10000000;
	assert_int_equal(ask(f), 1);
	assert_int_equal(f->sent[0].length, 32);
	assert_true(address_equal(&f->sent[0].to, &f->peer.remote));
	f->config.guard.silent = true;
	assert_int_equal(ask(f), 0);
	f->realm.trust = CONFIG_TRUST_TRUSTED;
	assert_int_equal(ask(f), 1);
	assert_int_equal(fixture_counter(f, CP_COUNTER_RX_STUN), 3);
	fixture_free(f);
}

static void test_an_agent_is_answered_where_strangers_are_not(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct config_session_agent agent = { .realm = &f->realm };

	(void)state;
	f->config.guard.silent = true;
	agent.address.address = f->peer.remote;
	f->config.session_agents = &agent;
	f->config.session_agents_count = 1;
	assert_int_equal(ask(f), 1);
	fixture_free(f);
}

static void test_answers_have_a_budget(void **state)
{
	struct fixture *f = fixture_new(NULL);
	unsigned answered = 0;

	(void)state;
	token_bucket_init(&f->shard.transactions->stateless, 1, 5, clock_now_us());
	for (unsigned i = 0; i < 100; i++)
		answered += ask(f);
	assert_in_range(answered, 5, 50);
	fixture_free(f);
}

static void test_unwanted_stun_gets_no_answer_and_is_no_sip(void **state)
{
	struct fixture *f = fixture_new(NULL);

	(void)state;
	assert_true(stun_receive(&f->peer, SPAN("\x00\x03\x00\x00" COOKIE ID)));
	assert_false(stun_receive(&f->peer, SPAN("\r\n\r\n")));
	assert_int_equal(f->sent_count, 0);
	fixture_free(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_binding_request_is_read),
		cmocka_unit_test(test_what_sip_is_is_not_stun),
		cmocka_unit_test(test_all_but_a_sound_binding_request_is_unwanted),
		cmocka_unit_test(test_the_answer_has_a_fingerprint_if_the_request_has),
		cmocka_unit_test(test_an_ipv6_source_is_masked_with_cookie_and_id),
		cmocka_unit_test(test_strangers_are_answered_only_where_sip_is_not_silent),
		cmocka_unit_test(test_an_agent_is_answered_where_strangers_are_not),
		cmocka_unit_test(test_answers_have_a_budget),
		cmocka_unit_test(test_unwanted_stun_gets_no_answer_and_is_no_sip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
