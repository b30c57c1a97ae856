/* SPDX-License-Identifier: BSD-3-Clause */
/* REGISTER at the registrar: where it goes, what it says, what of the answer crosses, and when it leaves. */
#include "tests/unit/controlplane/registrar_check.h"

#include "controlplane/agent.h"

static char text[512], other[1024];

/* --- a registrar configured by name ------------------------------------------------------------------------------------- */

static resolver_done name_done;
static void *name_arg;

static int resolve(const struct resolver_question *question, resolver_done done, void *arg)
{
	(void)question;
	name_done = done;
	name_arg = arg;
	return 0;
}

static void name_pbx(struct call_world *w)
{
	static char name[] = "pbx.example";
	struct fixture *f = w->f;

	name_done = NULL;
	f->private.resolve = resolve;
	f->config.sip.dns_min_ttl = f->config.sip.dns_max_ttl = 3600;
	w->agent.address = (struct config_endpoint){ .host = name };
	assert_int_equal(agent_table_open(&f->shard), 0);
	while (!name_done)
		fixture_pass(f, 1);
}

static void test_a_registrar_by_name_is_asked_where_dns_says(void **state)
{
	struct call_world *w = *state;
	struct resolver_answer answer = { .outcome = RESOLVER_FOUND, .ttl = 3600, .count = 1 };

	name_pbx(w);
	registers(w, 1, "Contact: " PHONE_CONTACT "\r\n");
	take(w, &w->f->peer, "SIP/2.0 503 ");
	answer.address[0].address = w->f->other.remote;
	name_done(name_arg, &answer);
	registers(w, 2, "Contact: " PHONE_CONTACT "\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	assert_contains(kept, "To: <sip:1000@192.0.2.10>\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(bindings(w), 1);
	agent_table_close(&w->f->shard);
}

static void test_of_several_addresses_the_one_that_asked_for_a_password_gets_it(void **state)
{
	enum { ADDRESSES = 4, ROUNDS = 12 };
	struct call_world *w = *state;
	struct resolver_answer answer = { .outcome = RESOLVER_FOUND, .ttl = 3600, .count = ADDRESSES };
	struct sip_flow pbx = w->f->other;

	name_pbx(w);
	for (unsigned i = 0; i < ADDRESSES; i++) {
		answer.address[i].address = w->f->other.remote;
		address_set_port(&answer.address[i].address, (uint16_t)(5080 + i));
		answer.address[i].target = (uint8_t)i;
	}
	name_done(name_arg, &answer);
	for (unsigned n = 1; n < 2 * ROUNDS; n += 2) {
		registers(w, n, "Contact: " PHONE_CONTACT "\r\n");
		pbx.remote = w->f->sent[w->f->sent_count - 1].to;
		pbx_answers(w, take(w, &pbx, "REGISTER "), 401, CHALLENGE);
		take(w, &w->f->peer, "SIP/2.0 401 ");
		registers(w, n + 1, ANSWER "Contact: " PHONE_CONTACT "\r\n");
		pbx_answers(w, take(w, &pbx, "REGISTER "), 403, "");
		take(w, &w->f->peer, "SIP/2.0 403 ");
	}
	agent_table_close(&w->f->shard);
}

/* The registrar has so many addresses, from port 5080 on, in this order. */
static void name_leads_to(struct call_world *w, unsigned count)
{
	struct resolver_answer answer = { .outcome = RESOLVER_FOUND, .ttl = 3600, .count = (uint8_t)count };

	w->f->config.sip.address_timeout_ms = 500;
	name_pbx(w);
	for (unsigned i = 0; i < count; i++) {
		answer.address[i].address = w->f->other.remote;
		address_set_port(&answer.address[i].address, (uint16_t)(5080 + i));
		answer.address[i].target = (uint8_t)i;
		answer.address[i].priority = (uint16_t)i;
	}
	name_done(name_arg, &answer);
}

static struct sip_flow pbx_at(const struct call_world *w, unsigned number)
{
	struct sip_flow pbx = w->f->other;

	address_set_port(&pbx.remote, (uint16_t)(5080 + number));
	return pbx;
}

static void test_an_address_that_is_silent_or_overloaded_is_left_for_the_next(void **state)
{
	struct call_world *w = *state;
	struct sip_flow silent = pbx_at(w, 0), full = pbx_at(w, 1), good = pbx_at(w, 2);

	name_leads_to(w, 3);
	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	keep(take(w, &silent, "REGISTER sip:192.0.2.10:5080 "));
	fixture_pass(w->f, 600);
	pbx_answers(w, keep(take(w, &full, "REGISTER sip:192.0.2.10:5081 ")), 503, "");
	pbx_accepts(w, keep(take(w, &good, "REGISTER sip:192.0.2.10:5082 ")), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(bindings(w), 1);
	agent_table_close(&w->f->shard);
}

static void test_when_no_address_answers_the_phone_is_told_so_once(void **state)
{
	struct call_world *w = *state;

	name_leads_to(w, 2);
	w->f->config.sip.relay_timeout_ms = 2000;
	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	fixture_pass(w->f, 600);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 "));
	fixture_pass(w->f, 2100);
	take(w, &w->f->peer, "SIP/2.0 504 ");
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 "));
	agent_table_close(&w->f->shard);
}

static void test_an_address_that_refuses_is_the_registrars_word(void **state)
{
	struct call_world *w = *state;
	struct sip_flow first = pbx_at(w, 0), second = pbx_at(w, 1);

	name_leads_to(w, 2);
	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	pbx_answers(w, keep(take(w, &first, "REGISTER ")), 403, "");
	take(w, &w->f->peer, "SIP/2.0 403 ");
	fixture_pass(w->f, 1000);
	assert_false(was_sent(w, &second, "REGISTER "));
	agent_table_close(&w->f->shard);
}

/* --- relayed -------------------------------------------------------------------------------------------------------------- */

static void test_the_pbx_sees_a_contact_of_ours_and_nothing_of_the_phones_side(void **state)
{
	static const char *const traces[] = { "192.168", "192.0.2.9", "sbc.example", "phone1", "reg1@phone",
		"Phone/" };
	struct call_world *w = *state;

	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=1800;+sip.instance=\"<urn:uuid:1>\"\r\n");
	to_pbx(w);
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++)
		assert_null(strstr(kept, traces[i]));
	assert_contains(kept, "To: <sip:1000@192.0.2.10>\r\n");
	assert_contains(kept, "From: <sip:1000@192.0.2.10>;tag=");
	assert_contains(kept, "@192.0.2.1:5060>;expires=3600\r\nExpires: 3600\r\n");
	assert_contains(kept, "Max-Forwards: 69\r\n");
	assert_int_equal(bindings(w), 0);
}

static void test_digest_goes_through_untouched_both_ways(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 401,
		CHALLENGE "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n2\", algorithm=SHA-256\r\n");
	line_of(kept, "Call-ID", text, sizeof(text));
	keep(take(w, &w->f->peer, "SIP/2.0 401 "));
	assert_contains(kept, CHALLENGE);
	assert_contains(kept, "nonce=\"n2\", algorithm=SHA-256\r\n");
	assert_int_equal(bindings(w), 0);
	registers(w, 2, ANSWER "Contact: " PHONE_CONTACT "\r\n");
	to_pbx(w);
	assert_contains(kept, ANSWER);
	assert_contains(kept, text);
	assert_contains(kept, "CSeq: 2 REGISTER\r\n");
	our_contact(kept, text, sizeof(text));
	snprintf(other, sizeof(other),
		"Contact: %s;expires=3600\r\nAuthentication-Info: nextnonce=\"n3\"\r\n", text);
	pbx_answers(w, kept, 200, other);
	keep(take(w, &w->f->peer, "SIP/2.0 200 "));
	assert_contains(kept, "Authentication-Info: nextnonce=\"n3\"\r\n");
	assert_contains(kept, "Contact: " PHONE_CONTACT ";expires=60\r\n");
	assert_int_equal(bindings(w), 1);
}

static void test_a_password_of_another_scheme_does_not_cross(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Authorization: Basic c2VjcmV0\r\nContact: " PHONE_CONTACT "\r\n");
	assert_null(strstr(to_pbx(w), "Basic"));
}

static void test_only_a_list_with_our_contact_makes_a_binding(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 200, "Contact: <sip:somebody@192.0.2.1>;expires=60\r\n");
	take(w, &w->f->peer, "SIP/2.0 500 ");
	assert_int_equal(bindings(w), 0);
}

static void test_refusals_cross_without_what_they_name(void **state)
{
	static const struct {
		unsigned pbx;
		const char *headers, *phone, *has;
	} cases[] = {
		{ 403, "Warning: 399 pbx.inside \"no\"\r\n", "SIP/2.0 403 ", "Content-Length: 0" },
		{ 404, "", "SIP/2.0 404 ", "Content-Length: 0" },
		{ 439, "", "SIP/2.0 439 ", "Content-Length: 0" },
		{ 503, "Retry-After: 7\r\n", "SIP/2.0 503 ", "Retry-After: 7\r\n" },
		{ 302, "Contact: <sip:10.1.1.1>\r\n", "SIP/2.0 480 ", "Content-Length: 0" },
	};
	struct call_world *w = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		registers(w, 10 + i, "Contact: " PHONE_CONTACT "\r\n");
		pbx_answers(w, to_pbx(w), cases[i].pbx, cases[i].headers);
		keep(take(w, &w->f->peer, cases[i].phone));
		assert_contains(kept, cases[i].has);
		assert_null(strstr(kept, "10.1.1.1"));
		assert_null(strstr(kept, "inside"));
	}
	assert_int_equal(bindings(w), 0);
}

static void test_a_registrar_that_is_silent_is_504_and_leaves_nothing(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: " PHONE_CONTACT "\r\n");
	to_pbx(w);
	fixture_pass(w->f, 40000);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 504 "), "Retry-After: ");
	fixture_pass(w->f, 70000);
	assert_int_equal(fixture_live(w->f), 0);
}

/* RFC 3261 section 21.4.17: what we asked for with a cache we ask for again; what the phone asked for is its own. */
static void test_a_too_short_expiry_is_423_to_whom_asked_for_it(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=5\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 423 "), "Min-Expires: 10\r\n");
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
	registers(w, 2, "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 423, "Min-Expires: 7200\r\n");
	to_pbx(w);
	assert_contains(kept, ";expires=7200\r\n");
	pbx_accepts(w, kept, 7200);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	w->f->interface.registration = CONFIG_REGISTRATION_RELAY;
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=60\r\n");
	assert_contains(to_pbx(w), ";expires=60\r\n");
	pbx_answers(w, kept, 423, "Min-Expires: 120\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 423 "), "Min-Expires: 120\r\n");
}

static void test_with_path_the_phones_contact_crosses_and_ours_is_the_way(void **state)
{
	struct call_world *w = *state;
	struct config_ip_profile trunk = { .registration_contact = CONFIG_CONTACT_PATH };

	w->agent.ip_profile = &trunk;
	registers(w, 1,
		"Supported: outbound\r\nContact: " PHONE_CONTACT
		";reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n");
	to_pbx(w);
	assert_contains(
		kept, "Contact: " PHONE_CONTACT ";+sip.instance=\"<urn:uuid:1>\";reg-id=1;expires=3600\r\n");
	assert_contains(kept, "@192.0.2.1:5060;lr;ob>\r\n");
	assert_contains(kept, "Path: <sip:");
	assert_contains(kept, "Supported: path, outbound\r\n");
	pbx_accepts(w, kept, 3600);
	keep(take(w, &w->f->peer, "SIP/2.0 200 "));
	assert_contains(kept, "Require: outbound\r\n");
	assert_contains(kept, ";reg-id=1");
}

static void test_several_contacts_of_one_request_have_tokens_of_their_own(void **state)
{
	struct call_world *w = *state;
	char first[128], second[128], headers[1024];
	const char *at;

	registers(w, 1, "Contact: <sip:a@192.168.1.7>;q=0.5, <sip:b@192.168.1.7>;expires=120\r\n");
	to_pbx(w);
	our_contact(kept, first, sizeof(first));
	at = strstr(strstr(kept, "\r\nContact: ") + 4, "\r\nContact: ");
	assert_non_null(at);
	our_contact(at, second, sizeof(second));
	assert_string_not_equal(first, second);
	assert_contains(kept, ";q=0.500;expires=3600\r\n");
	snprintf(headers, sizeof(headers), "Contact: %s;expires=1800, %s;expires=90\r\n", first, second);
	pbx_answers(w, kept, 200, headers);
	keep(take(w, &w->f->peer, "SIP/2.0 200 "));
	assert_contains(kept, "Contact: <sip:a@192.168.1.7>;expires=60;q=0.500\r\n");
	assert_contains(kept, "Contact: <sip:b@192.168.1.7>;expires=60\r\n");
	assert_int_equal(bindings(w), 2);
}

static void test_gruus_of_the_registrar_are_told_at_the_phones_own_domain(void **state)
{
	struct call_world *w = *state;
	char contact[128], headers[1024];

	registers(w, 1, "Supported: gruu\r\nContact: " PHONE_CONTACT ";+sip.instance=\"<urn:uuid:1>\"\r\n");
	to_pbx(w);
	assert_contains(kept, ";+sip.instance=\"<urn:uuid:1>\"");
	snprintf(headers, sizeof(headers),
		"Contact: %s;expires=60;pub-gruu=\"sip:1000@192.0.2.10;gr=urn:uuid:1\"\r\n"
		"P-Associated-URI: <sip:1000@192.0.2.10>, <tel:+4930123>\r\nService-Route: "
		"<sip:192.0.2.10;lr>\r\n",
		our_contact(kept, contact, sizeof(contact)));
	pbx_answers(w, kept, 200, headers);
	keep(take(w, &w->f->peer, "SIP/2.0 200 "));
	assert_contains(kept, ";pub-gruu=\"sip:1000@SBC.example;gr=urn:uuid:1\"\r\n");
	assert_contains(
		kept, "P-Associated-URI: <sip:1000@SBC.example>, <sip:+4930123@SBC.example;user=phone>\r\n");
	assert_null(strstr(kept, "192.0.2.10"));
	assert_true(span_equal(the_binding(w)->service_route, SPAN("<sip:192.0.2.10;lr>")));
}

static void test_a_pbx_registers_all_its_numbers_at_once(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Require: gin\r\nContact: <sip:192.168.1.7:5070;bnc>\r\n");
	to_pbx(w);
	assert_contains(kept, "Require: gin\r\n");
	assert_contains(kept, "Contact: <sip:192.0.2.1:5060;bnc;reg=");
	pbx_accepts(w, kept, 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(bindings(w), 1);
}

/* --- turns ---------------------------------------------------------------------------------------------------------------- */

/* What the registrar can take is planned with the answers to its challenges. */
static void test_the_answer_to_a_challenge_has_its_turn(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	w->f->config.registration.upstream_rate = 1;
	w->f->config.registration.hold_ms = 1000;
	w->f->config.registration.per_source_rate = 0;
	w->f->config.registration.per_aor_rate = 0;
	w->f->shard.shared.register_limits = register_limits_new(&w->f->config);
	__atomic_store_n(
		&the_binding(w)->upstream_expires_wall_ms, clock_wall_ms() + 80000, __ATOMIC_RELAXED);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	pbx_answers(w, to_pbx(w), 401, CHALLENGE);
	take(w, &w->f->peer, "SIP/2.0 401 ");
	registers(w, 4, ANSWER "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
	fixture_pass(w->f, 3000);
	assert_contains(to_pbx(w), ANSWER);
	pbx_answers(w, kept, 403, "");
	take(w, &w->f->peer, "SIP/2.0 403 ");
	/* The same once more is not: its phone lives on what has been granted. */
	registers(w, 5, ANSWER "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fixture_pass(w->f, 1200);
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
}

/* A slow registrar hears no more because it is slow: Timer E would have repeated at half a second. */
static void test_a_repetition_waits_for_a_turn_of_its_own(void **state)
{
	struct call_world *w = *state;

	w->f->config.registration.upstream_rate = 1;
	w->f->shard.shared.register_limits = register_limits_new(&w->f->config);
	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	to_pbx(w);
	fixture_pass(w->f, 900);
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
	fixture_pass(w->f, 2500);
	to_pbx(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_registrar_by_name_is_asked_where_dns_says),
		TEST(test_of_several_addresses_the_one_that_asked_for_a_password_gets_it),
		TEST(test_an_address_that_is_silent_or_overloaded_is_left_for_the_next),
		TEST(test_when_no_address_answers_the_phone_is_told_so_once),
		TEST(test_an_address_that_refuses_is_the_registrars_word),
		TEST(test_the_pbx_sees_a_contact_of_ours_and_nothing_of_the_phones_side),
		TEST(test_digest_goes_through_untouched_both_ways),
		TEST(test_a_password_of_another_scheme_does_not_cross),
		TEST(test_only_a_list_with_our_contact_makes_a_binding),
		TEST(test_refusals_cross_without_what_they_name),
		TEST(test_a_registrar_that_is_silent_is_504_and_leaves_nothing),
		TEST(test_a_too_short_expiry_is_423_to_whom_asked_for_it),
		TEST(test_with_path_the_phones_contact_crosses_and_ours_is_the_way),
		TEST(test_several_contacts_of_one_request_have_tokens_of_their_own),
		TEST(test_gruus_of_the_registrar_are_told_at_the_phones_own_domain),
		TEST(test_a_pbx_registers_all_its_numbers_at_once),
		TEST(test_the_answer_to_a_challenge_has_its_turn),
		TEST(test_a_repetition_waits_for_a_turn_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
