/* SPDX-License-Identifier: BSD-3-Clause */
/* REGISTER through this SBC: relayed, answered from cache, and what each malformed one gets. */
#include "tests/unit/controlplane/register_fixture.h"

#include "controlplane/agent.h"

static char kept[FIXTURE_TEXT_MAX], text[512], other[1024];

static int setup(void **state)
{
	*state = register_world_new();
	return 0;
}

static int teardown(void **state)
{
	register_world_free(*state);
	return 0;
}

static const char *keep(const char *sent)
{
	snprintf(kept, sizeof(kept), "%s", sent);
	return kept;
}

static const char *to_pbx(struct call_world *w)
{
	return keep(take(w, &w->f->other, "REGISTER sip:192.0.2.10:5080 SIP/2.0\r\n"));
}

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

/* --- removed -------------------------------------------------------------------------------------------------------------- */

static void test_what_is_unregistered_goes_when_the_registrar_says_so(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=0\r\n");
	assert_contains(to_pbx(w), ";expires=0\r\n");
	pbx_answers(w, kept, 401, CHALLENGE);
	take(w, &w->f->peer, "SIP/2.0 401 ");
	assert_int_equal(bindings(w), 1);
	registers(w, 4, ANSWER "Contact: " PHONE_CONTACT ";expires=0\r\n");
	pbx_answers(w, to_pbx(w), 200, "");
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 200 "), "Contact:"));
	assert_int_equal(bindings(w), 0);
}

static void test_a_star_removes_all_contacts(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	registers_from(
		w, &w->f->peer, "<sip:1000@sbc.example>", "reg2@phone", 1, "Contact: *\r\nExpires: 0\r\n");
	assert_contains(to_pbx(w), "Contact: *\r\nExpires: 0\r\n");
	pbx_answers(w, kept, 200, "");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(bindings(w), 0);
}

static void test_a_query_is_answered_by_who_may_know(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	registers(w, 3, "");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Contact: " PHONE_CONTACT);
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
	registers_from(w, &(struct sip_flow){ .listener = w->f->peer.listener, .remote = w->f->other.remote },
		"<sip:1000@sbc.example>", "reg3@phone", 1, "");
	/* From the PBX itself: whence it came it does not go. */
	take(w, &w->f->other, "SIP/2.0 403 ");
}

/* --- cache ---------------------------------------------------------------------------------------------------------------- */

static void test_a_refresh_is_answered_here_while_the_registrars_expiry_lasts(void **state)
{
	struct call_world *w = *state;
	char token[SHARD_TOKEN_MAX];

	register_phone(w);
	memcpy(token, the_binding(w)->token, sizeof(token));
	__atomic_store_n(&the_binding(w)->expires_wall_ms, clock_wall_ms() + 5000, __ATOMIC_RELAXED);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), "Contact: " PHONE_CONTACT ";expires=60\r\n");
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
	assert_true(the_binding(w)->expires_wall_ms > clock_wall_ms() + 50000);
	/* Not enough left for another round. */
	__atomic_store_n(
		&the_binding(w)->upstream_expires_wall_ms, clock_wall_ms() + 80000, __ATOMIC_RELAXED);
	registers(w, 4, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	to_pbx(w);
	assert_contains(kept, token);
	assert_contains(kept, "CSeq: 3 REGISTER\r\n");
	pbx_accepts(w, kept, 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_string_equal(the_binding(w)->token, token);
	assert_int_equal(bindings(w), 1);
}

/* Nobody lives on the password of another: each of these has to prove itself, and has the same token if it can. */
static void test_another_flow_contact_instance_or_call_id_is_asked_for_its_password(void **state)
{
	static const struct {
		const char *call_id, *headers;
		bool elsewhere, same_token;
	} cases[] = {
		{ "reg1@phone", "Contact: " PHONE_CONTACT "\r\n", true, true },
		{ "reg1@phone", "Contact: <sip:1000@192.168.1.8:5070>\r\n", false, false },
		{ "reg1@phone", "Contact: " PHONE_CONTACT ";+sip.instance=\"<urn:uuid:2>\"\r\n", false,
			true },
		{ "reg1@phone", "Contact: " PHONE_CONTACT ";q=0.2\r\n", false, true },
		{ "reg9@phone", "Contact: " PHONE_CONTACT "\r\n", false, true },
	};
	struct call_world *w = *state;
	struct sip_flow elsewhere = w->f->peer;

	register_phone(w);
	address_set_port(&elsewhere.remote, 5071);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		registers_from(w, cases[i].elsewhere ? &elsewhere : &w->f->peer, "<sip:1000@sbc.example>",
			cases[i].call_id, 10 + i, cases[i].headers);
		to_pbx(w);
		assert_int_equal(strstr(kept, the_binding(w)->token) != NULL, cases[i].same_token);
		pbx_answers(w, kept, 403, "");
		take(w, cases[i].elsewhere ? &elsewhere : &w->f->peer, "SIP/2.0 403 ");
		assert_int_equal(address_port(&the_binding(w)->flow.remote), 5070);
	}
}

static void test_a_phone_that_has_moved_keeps_its_token_on_its_new_flow(void **state)
{
	struct call_world *w = *state;
	struct sip_flow elsewhere = w->f->peer;
	char token[SHARD_TOKEN_MAX];

	register_phone(w);
	memcpy(token, the_binding(w)->token, sizeof(token));
	address_set_port(&elsewhere.remote, 6071);
	registers_from(
		w, &elsewhere, "<sip:1000@sbc.example>", "reg1@phone", 3, "Contact: " PHONE_CONTACT "\r\n");
	pbx_answers(w, to_pbx(w), 401, CHALLENGE);
	take(w, &elsewhere, "SIP/2.0 401 ");
	registers_from(w, &elsewhere, "<sip:1000@sbc.example>", "reg1@phone", 4,
		ANSWER "Contact: " PHONE_CONTACT "\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &elsewhere, "SIP/2.0 200 ");
	assert_string_equal(the_binding(w)->token, token);
	assert_int_equal(address_port(&the_binding(w)->flow.remote), 6071);
}

static void test_an_instance_that_changes_its_contact_replaces_it(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: <sip:1000@192.168.1.7>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	registers(w, 2, "Contact: <sip:1000@192.168.1.99>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 200 "), "192.168.1.7>"));
	assert_true(span_equal(the_binding(w)->contact, SPAN("sip:1000@192.168.1.99")));
	registers(w, 3, "Contact: <sip:1000@192.168.1.99>;reg-id=2;+sip.instance=\"<urn:uuid:1>\"\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	assert_int_equal(bindings(w), 2);
}

static void test_what_the_registrar_forgot_goes_there_again(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	/* Another device: the list that comes back has the first one's contact no more. */
	registers_from(w, &w->f->peer, "<sip:1000@sbc.example>", "reg5@phone", 1,
		"Contact: <sip:1000@192.168.1.9>\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	to_pbx(w);
}

/* An INVITE of the phone's to the PBX, which answers that. */
static void pbx_refuses_a_call(struct call_world *w, unsigned status)
{
	char number[16];

	snprintf(number, sizeof(number), "call%u", status);
	fixture_receive(w->f, &w->f->peer,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.1.7:5070;rport;branch=z9hG4bK%s\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:1000@sbc.example>;tag=phone2\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:1000@192.168.1.7:5070>\r\nContent-Type: "
		"application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
		number, number, strlen(PHONE_SDP), PHONE_SDP);
	fake_answer_all();
	respond(w, &w->f->other, take(w, &w->f->other, "INVITE "), status, "refused", "", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 4");
}

static void test_after_a_refusal_that_may_mean_that_it_is_unknown_the_registrar_is_asked(void **state)
{
	static const unsigned doubtful[] = { 401, 403, 407 };
	struct call_world *w = *state;
	unsigned n = 3;

	register_phone(w);
	pbx_refuses_a_call(w, 486);
	registers(w, n++, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
		pbx_refuses_a_call(w, doubtful[i]);
		registers(w, n++, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
		pbx_accepts(w, to_pbx(w), 3600);
		take(w, &w->f->peer, "SIP/2.0 200 ");
		/* Once is enough. */
		registers(w, n++, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
		take(w, &w->f->peer, "SIP/2.0 200 ");
		assert_false(was_sent(w, &w->f->other, "REGISTER "));
	}
}

static void phone_sends_message(struct call_world *w, unsigned n)
{
	fixture_receive(w->f, &w->f->peer,
		"MESSAGE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.1.7:5070;rport;branch=z9hG4bKm%u\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:1000@sbc.example>;tag=m\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: m%u\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
		n, n);
}

static void test_a_refusal_of_any_request_counts_but_only_the_registrars(void **state)
{
	struct config_session_agent elsewhere;
	struct call_world *w = *state;

	register_phone(w);
	elsewhere = *the_binding(w)->agent;
	the_binding(w)->agent = &elsewhere;
	phone_sends_message(w, 1);
	respond(w, &w->f->other, take(w, &w->f->other, "MESSAGE "), 403, "m", "", NO_SDP);
	assert_int_equal(the_binding(w)->doubtful, 0);
	the_binding(w)->agent = w->f->config.session_agents;
	phone_sends_message(w, 2);
	respond(w, &w->f->other, take(w, &w->f->other, "MESSAGE "), 403, "m", "", NO_SDP);
	assert_int_equal(the_binding(w)->doubtful, 1);
}

/* RFC 3608 section 5. */
static void test_what_a_phone_asks_of_its_registrar_goes_by_the_service_route(void **state)
{
	struct call_world *w = *state;

	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	to_pbx(w);
	snprintf(other, sizeof(other),
		"Contact: %s;expires=3600\r\nService-Route: <sip:edge@192.0.2.10;lr>, nonsense\r\n"
		"Service-Route: <sip:home@10.9.9.9;lr>\r\n",
		our_contact(kept, text, sizeof(text)));
	pbx_answers(w, kept, 200, other);
	assert_null(strstr(take(w, &w->f->peer, "SIP/2.0 200 "), "10.9.9.9"));
	phone_sends_message(w, 1);
	assert_contains(take(w, &w->f->other, "MESSAGE sip:1000@192.0.2.10:5080 "),
		"\r\nRoute: <sip:edge@192.0.2.10;lr>\r\nRoute: <sip:home@10.9.9.9;lr>\r\n");
	fixture_receive(w->f, &w->f->peer,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.1.7:5070;rport;branch=z9hG4bKi1\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:1000@sbc.example>;tag=i\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: i1\r\nCSeq: 1 INVITE\r\nContact: <sip:1000@192.168.1.7:5070>\r\nContent-Type: "
		"application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(PHONE_SDP), PHONE_SDP);
	fake_answer_all();
	keep(take(w, &w->f->other, "INVITE sip:1000@192.0.2.10:5080 "));
	assert_contains(kept, "\r\nRoute: <sip:edge@192.0.2.10;lr>\r\nRoute: <sip:home@10.9.9.9;lr>\r\n");
	/* The dialog has a route set of its own. */
	respond(w, &w->f->other, kept, 200, "t", "", PBX_SDP);
	fake_answer_all();
	assert_null(strstr(take(w, &w->f->other, "ACK "), "Route"));
}

static void test_an_older_request_comes_too_late(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	registers(w, 1000, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	registers(w, 999, "Contact: " PHONE_CONTACT ";expires=0\r\n");
	take(w, &w->f->peer, "SIP/2.0 500 ");
	assert_int_equal(bindings(w), 1);
}

static void test_relay_sends_each_refresh_on_with_the_expiry_that_the_phone_asks_for(void **state)
{
	struct call_world *w = *state;

	w->f->interface.registration = CONFIG_REGISTRATION_RELAY;
	register_phone(w);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=1800\r\n");
	assert_contains(to_pbx(w), ";expires=1800\r\n");
	pbx_accepts(w, kept, 900);
	assert_contains(take(w, &w->f->peer, "SIP/2.0 200 "), PHONE_CONTACT ";expires=900\r\n");
}

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
	fixture_pass(w->f, 1200);
	assert_contains(to_pbx(w), ANSWER);
	pbx_answers(w, kept, 403, "");
	take(w, &w->f->peer, "SIP/2.0 403 ");
	/* The same once more is not: its phone lives on what has been granted. */
	registers(w, 5, ANSWER "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
	fixture_pass(w->f, 1200);
	assert_false(was_sent(w, &w->f->other, "REGISTER "));
}

/* --- running out ---------------------------------------------------------------------------------------------------------- */

/* --- rates --------------------------------------------------------------------------------------------------------------- */

static void limit(struct call_world *w, struct config_registration rates)
{
	struct config_registration *registration = &w->f->config.registration;

	registration->per_source_rate = rates.per_source_rate;
	registration->per_aor_rate = rates.per_aor_rate;
	registration->per_realm_rate = rates.per_realm_rate;
	registration->silent = rates.silent;
	w->f->shard.shared.register_limits = register_limits_new(&w->f->config);
	assert_non_null(w->f->shard.shared.register_limits);
}

/* As phones that share a realm alone: an address and a user each. */
static void strangers_register(struct call_world *w, unsigned from, unsigned to)
{
	struct sip_flow flow = w->f->peer;
	char address[64], call_id[32];

	for (unsigned n = from; n < to; n++) {
		snprintf(address, sizeof(address), "<sip:10%02u@sbc.example>", n);
		snprintf(call_id, sizeof(call_id), "stranger%u", n);
		address_set_port(&flow.remote, (uint16_t)(20000 + n));
		registers_from(w, &flow, address, call_id, 1, "Contact: " PHONE_CONTACT "\r\n");
	}
}

static unsigned count_sent(const struct call_world *w, const char *start)
{
	unsigned count = 0;

	for (unsigned i = w->looked; i < w->f->sent_count; i++)
		count += strncmp(w->f->sent[i].text, start, strlen(start)) == 0;
	return count;
}

static void test_a_realm_has_its_rate_and_its_registered_phones_do_not_need_it(void **state)
{
	struct call_world *w = *state;
	unsigned refused;

	register_phone(w);
	limit(w, (struct config_registration){ .per_realm_rate = 2 });
	strangers_register(w, 0, 20);
	fixture_pass(w->f, 100);
	refused = count_sent(w, "SIP/2.0 503 ");
	assert_in_range(refused, 8, 14);
	assert_int_equal(count_sent(w, "REGISTER "), 20 - refused);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

/* How many different waits `count` refusals name. All of them have one. */
static unsigned waits_told(const struct call_world *w, unsigned count)
{
	unsigned told[64] = { 0 }, kinds = 0, seconds;
	const char *at;

	for (unsigned i = w->looked; i < w->f->sent_count; i++) {
		if (strncmp(w->f->sent[i].text, "SIP/2.0 503 ", 12) &&
			strncmp(w->f->sent[i].text, "SIP/2.0 429 ", 12))
			continue;
		at = strstr(w->f->sent[i].text, "\r\nRetry-After: ");
		assert_non_null(at);
		seconds = (unsigned)strtoul(at + strlen("\r\nRetry-After: "), NULL, 10);
		assert_in_range(seconds, 1, 63);
		kinds += told[seconds]++ == 0;
		count--;
	}
	assert_int_equal(count, 0);
	return kinds;
}

/* Of 40 refusals by one of four waits at least, all are the same once in 10^23. */
static void test_who_is_put_off_is_not_put_off_until_the_same_moment_as_others(void **state)
{
	enum { REFUSED = 40 };
	static const struct config_registration rates[] = {
		{ .per_source_rate = 1 },
		{ .per_aor_rate = 1 },
		{ .per_realm_rate = 1 },
	};
	struct call_world *w = *state;
	unsigned n = 1;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		limit(w, rates[i]);
		while (count_sent(w, "SIP/2.0 503 ") + count_sent(w, "SIP/2.0 429 ") < REFUSED)
			registers(w, n++, "Contact: " PHONE_CONTACT "\r\n");
		assert_true(waits_told(w, REFUSED) > 1);
		w->looked = w->f->sent_count;
		register_limits_free(w->f->shard.shared.register_limits);
	}
	w->f->shard.shared.register_limits = NULL;
}

static void test_a_source_over_its_rate_hears_nothing_where_silence_is_wanted(void **state)
{
	struct call_world *w = *state;

	limit(w, (struct config_registration){ .per_source_rate = 1, .silent = true });
	for (unsigned n = 1; n < 20; n++)
		registers(w, n, "Contact: " PHONE_CONTACT "\r\n");
	fixture_pass(w->f, 100);
	assert_in_range(count_sent(w, "REGISTER "), 1, 12);
	assert_false(was_sent(w, &w->f->peer, "SIP/2.0 "));
}

static void test_a_phone_that_stays_away_leaves_its_token_until_the_registrars_expiry(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	__atomic_store_n(&the_binding(w)->expires_wall_ms, 1, __ATOMIC_RELAXED);
	fixture_pass(w->f, 2000);
	assert_int_equal(bindings(w), 1);
	assert_int_equal(the_binding(w)->unreachable, 2);
	__atomic_store_n(&the_binding(w)->upstream_expires_wall_ms, 1, __ATOMIC_RELAXED);
	fixture_pass(w->f, 2000);
	assert_int_equal(bindings(w), 0);
}

/* --- who may ask ---------------------------------------------------------------------------------------------------------- */

static void test_only_the_registered_flow_may_send_requests(void **state)
{
	struct call_world *w = *state;

	caller_sends(w, "MESSAGE", 1, NULL, "Content-Type: text/plain\r\n", "");
	take(w, &w->f->peer, "SIP/2.0 403 ");
	register_phone(w);
	caller_sends(w, "MESSAGE", 2, NULL, "", "");
	assert_true(was_sent(w, &w->f->other, "MESSAGE "));
	w->f->interface.allow_anonymous = CONFIG_ANONYMOUS_AGENTS;
	caller_sends(w, "MESSAGE", 3, NULL, "", "");
	take(w, &w->f->peer, "SIP/2.0 403 ");
}

/* --- bad input ------------------------------------------------------------------------------------------------------------ */

#define LONG_PART \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define CONTACT(n) "<sip:" #n "@192.168.1.7>,"

static void test_what_is_wrong_has_its_answer_and_reaches_nobody(void **state)
{
	static const struct {
		const char *to, *headers, *answer;
	} cases[] = {
		{ "<sip:sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<tel:+4930>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<sip:\xc3\xa4@sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<sip:1%00@sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<sip:1%0@sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 400 " },
		{ "<sip:" LONG_PART LONG_PART LONG_PART "@sbc.example>", "Contact: " PHONE_CONTACT "\r\n",
			"SIP/2.0 400 " },
		{ "<sip:abc@sbc.example>", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 404 " },
		{ "<sip:1000@sbc.example>", "Contact: *\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: *\r\nExpires: 1\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: *\r\nContact: " PHONE_CONTACT "\r\nExpires: 0\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: " PHONE_CONTACT ", *\r\nExpires: 0\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <mailto:a@b>\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <sip:>\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <sip:\xff@192.168.1.7>\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <sip:" LONG_PART LONG_PART LONG_PART "@h>\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: " PHONE_CONTACT ";q=2\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: " PHONE_CONTACT ";q=-1\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: " PHONE_CONTACT ";reg-id=0;+sip.instance=\"<a>\"\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>",
			"Contact: " PHONE_CONTACT ";+sip.instance=\"" LONG_PART LONG_PART "\"\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Contact: <sip:192.168.1.7;bnc>\r\n", "SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Require: gin\r\nContact: <sip:a@192.168.1.7;bnc>\r\n",
			"SIP/2.0 400 " },
		{ "<sip:1000@sbc.example>", "Require: teleport\r\nContact: " PHONE_CONTACT "\r\n",
			"SIP/2.0 420 " },
		{ "<sip:1000@sbc.example>;tag=x", "Contact: " PHONE_CONTACT "\r\n", "SIP/2.0 481 " },
		{ "<sip:1000@sbc.example>",
			"Contact: " CONTACT(1) CONTACT(2) CONTACT(3) CONTACT(4) CONTACT(5) CONTACT(6)
				CONTACT(7) CONTACT(8) CONTACT(9) CONTACT(10) "<sip:11@192.168.1.7>\r\n",
			"SIP/2.0 403 " },
	};
	struct call_world *w = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		registers_from(w, &w->f->peer, cases[i].to, "bad@phone", i + 1, cases[i].headers);
		if (!was_sent(w, &w->f->peer, cases[i].answer))
			fail_msg("case %u: %s", i, fixture_sent_text(w->f, w->f->sent_count - 1));
		take(w, &w->f->peer, cases[i].answer);
		assert_false(was_sent(w, &w->f->other, "REGISTER "));
	}
	assert_int_equal(bindings(w), 0);
}

/* RFC 3261 section 10.2.1.1: an expiry that cannot be read is an hour, one that is too big is as long as there is. */
static void test_odd_expiries_are_read_as_the_rfc_says(void **state)
{
	static const struct {
		const char *headers, *asked;
	} cases[] = {
		{ "Contact: " PHONE_CONTACT ";expires=99999999999999999999\r\n", ";expires=4294967295\r\n" },
		{ "Contact: " PHONE_CONTACT ";expires=-1\r\n", ";expires=3600\r\n" },
		{ "Contact: " PHONE_CONTACT ";expires=abc\r\n", ";expires=3600\r\n" },
		{ "Expires: 4294967296\r\nContact: " PHONE_CONTACT "\r\n", ";expires=4294967295\r\n" },
		{ "Contact: " PHONE_CONTACT "\r\n", ";expires=3600\r\n" },
		{ "Expires: 60\r\nContact: " PHONE_CONTACT ";expires=120\r\n", ";expires=120\r\n" },
	};
	struct call_world *w = *state;

	w->f->interface.registration = CONFIG_REGISTRATION_RELAY;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		registers(w, i + 1, cases[i].headers);
		assert_contains(to_pbx(w), cases[i].asked);
		pbx_answers(w, kept, 403, "");
		take(w, &w->f->peer, "SIP/2.0 403 ");
	}
}

static void test_an_answer_goes_where_the_request_came_from_whatever_its_via_says(void **state)
{
	struct call_world *w = *state;

	fixture_receive(w->f, &w->f->peer,
		"REGISTER sip:sbc.example SIP/2.0\r\nVia: SIP/2.0/UDP "
		"203.0.113.66:666;received=203.0.113.66;rport=666;"
		"branch=z9hG4bKspoof\r\nMax-Forwards: 70\r\nFrom: <sip:1000@sbc.example>;tag=t\r\nTo: "
		"<sip:@sbc.example>\r\nCall-ID: spoof\r\nCSeq: 1 REGISTER\r\nContact: "
		"<sip:x>\r\nContent-Length: 0\r\n\r\n");
	take(w, &w->f->peer, "SIP/2.0 400 ");
}

static void test_escapes_that_say_the_same_are_the_same_address(void **state)
{
	char one[REGISTRAR_AOR_MAX], two[REGISTRAR_AOR_MAX];

	(void)state;
	assert_true(span_equal(registrar_aor(SPAN("\"A\" <sip:%61lice@Example.NET:5060;x=y>;tag=1"), one),
		registrar_aor(SPAN("sip:alice@example.net"), two)));
	assert_false(span_equal(registrar_aor(SPAN("<sip:Alice@example.net>"), one),
		registrar_aor(SPAN("<sip:alice@example.net>"), two)));
	assert_true(
		span_equal(registrar_aor(SPAN("<sip:a%2Fb@example.net>"), one), SPAN("a%2fb@example.net")));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_registrar_by_name_is_asked_where_dns_says),
		TEST(test_of_several_addresses_the_one_that_asked_for_a_password_gets_it),
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
		TEST(test_what_is_unregistered_goes_when_the_registrar_says_so),
		TEST(test_a_star_removes_all_contacts),
		TEST(test_a_query_is_answered_by_who_may_know),
		TEST(test_a_refresh_is_answered_here_while_the_registrars_expiry_lasts),
		TEST(test_another_flow_contact_instance_or_call_id_is_asked_for_its_password),
		TEST(test_a_phone_that_has_moved_keeps_its_token_on_its_new_flow),
		TEST(test_an_instance_that_changes_its_contact_replaces_it),
		TEST(test_what_the_registrar_forgot_goes_there_again),
		TEST(test_after_a_refusal_that_may_mean_that_it_is_unknown_the_registrar_is_asked),
		TEST(test_a_refusal_of_any_request_counts_but_only_the_registrars),
		TEST(test_what_a_phone_asks_of_its_registrar_goes_by_the_service_route),
		TEST(test_an_older_request_comes_too_late),
		TEST(test_relay_sends_each_refresh_on_with_the_expiry_that_the_phone_asks_for),
		TEST(test_the_answer_to_a_challenge_has_its_turn),
		TEST(test_a_realm_has_its_rate_and_its_registered_phones_do_not_need_it),
		TEST(test_who_is_put_off_is_not_put_off_until_the_same_moment_as_others),
		TEST(test_a_source_over_its_rate_hears_nothing_where_silence_is_wanted),
		TEST(test_a_phone_that_stays_away_leaves_its_token_until_the_registrars_expiry),
		TEST(test_only_the_registered_flow_may_send_requests),
		TEST(test_what_is_wrong_has_its_answer_and_reaches_nobody),
		TEST(test_odd_expiries_are_read_as_the_rfc_says),
		TEST(test_an_answer_goes_where_the_request_came_from_whatever_its_via_says),
		TEST(test_escapes_that_say_the_same_are_the_same_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
