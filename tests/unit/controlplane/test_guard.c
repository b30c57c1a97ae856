/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the guard: what adds up, what it leads to, whom it never concerns, and what is told of it. */
#include "tests/unit/controlplane/guard_bed.h"

static void a_scanner_by_name_is_silenced_and_denied_at_its_port_at_once(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");

	(void)state;
	assert_int_equal(
		guard_look(bed.guard, &flow,
			scan_of("OPTIONS", "100", "Max-Forwards: 70\r\nUser-Agent: friendly-scanner\r\n")),
		GUARD_SILENT);
	assert_int_equal(bed.denials, 1);
	assert_int_equal(bed.last.key.address.port, 5060);
	assert_int_equal(bed.last.key.length, 32);
	assert_false(bed.proven);
	assert_string_equal(bed.last.reason, "guard: scanner-agent");
}

static void steps_are_count_then_silence_then_denial(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(note(&flow, GUARD_NO_DIALOG, ""), GUARD_PASS);
	assert_int_equal(note(&flow, GUARD_NO_DIALOG, ""), GUARD_SILENT);
	assert_int_equal(bed.denials, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(note(&flow, GUARD_NO_DIALOG, ""), GUARD_SILENT);
	assert_int_equal(bed.denials, 1);
	/* Another port of that host is another one: nobody has shown that the address is his. */
	flow = flow_of("198.51.100.7:5061");
	assert_int_equal(note(&flow, GUARD_NO_DIALOG, ""), GUARD_PASS);
}

static void points_fade_within_a_minute(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		note(&flow, GUARD_NO_DIALOG, "");
	assert_int_equal(guard_look(bed.guard, &flow, scan_of("REGISTER", "100", PHONE)), GUARD_SILENT);
	now_ms += 60000;
	assert_int_equal(guard_look(bed.guard, &flow, scan_of("REGISTER", "100", PHONE)), GUARD_PASS);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(note(&flow, GUARD_NO_DIALOG, ""), GUARD_PASS);
		now_ms += 10000;
	}
	assert_int_equal(bed.denials, 0);
}

static void who_goes_on_in_the_silence_is_denied(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	unsigned messages = 0;

	(void)state;
	while (bed.denials == 0 && messages++ < 30)
		guard_refuse(bed.guard, &flow, GUARD_STRANGER, scan_of("OPTIONS", "100", PHONE), 403);
	assert_true(messages <= 20);
}

static void strangers_get_no_answer_and_in_a_trusted_realm_there_are_none(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	const struct scan *options = scan_of("OPTIONS", "100", PHONE);

	(void)state;
	assert_int_equal(guard_refuse(bed.guard, &flow, GUARD_STRANGER, options, 403), TRANSACTION_SILENCE);
	bed.f->config.guard.silent = false;
	assert_int_equal(guard_refuse(bed.guard, &flow, GUARD_STRANGER, options, 403), 403);
	bed.f->config.guard.silent = true;
	bed.f->interface.allow_anonymous = CONFIG_ANONYMOUS_ALL;
	assert_int_equal(guard_refuse(bed.guard, &flow, GUARD_STRANGER, options, 403), 403);
	bed.f->interface.allow_anonymous = CONFIG_ANONYMOUS_REGISTERED;
	bed.f->realm.trust = CONFIG_TRUST_TRUSTED;
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(guard_refuse(bed.guard, &flow, GUARD_MALFORMED, options, 400), 400);
	assert_int_equal(bed.denials, 0);
	assert_int_equal(guard_refuse(NULL, &flow, GUARD_MALFORMED, options, 400), 400);
}

static void to_watch_is_to_count_and_do_nothing(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	struct cp_guard shown[4];
	uint64_t next;

	(void)state;
	bed.f->config.guard.mode = CONFIG_GUARD_WATCH;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(
			guard_refuse(bed.guard, &flow, GUARD_MALFORMED, scan_of("OPTIONS", "1", PHONE), 400),
			400);
	assert_int_equal(bed.denials, 0);
	assert_int_equal(guard_list(bed.guard, 0, 4, shown, &next), 1);
	assert_int_equal(shown[0].sign[GUARD_MALFORMED], 20);
	assert_false(shown[0].proven);
}

/* --- how far ------------------------------------------------------------------------------------------------------------ */

static void an_address_is_denied_only_when_its_owner_has_shown_that_he_is_there(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");

	(void)state;
	for (unsigned port = 0; port < 50; port++) {
		address_set_port(&flow.remote, (uint16_t)(6000 + port));
		for (unsigned i = 0; i < 10; i++)
			note(&flow, GUARD_NO_DIALOG, "");
	}
	assert_int_equal(bed.denials, 50);
	assert_int_not_equal(bed.last.key.address.port, 0);
	flow.connection = 7;
	for (unsigned i = 0; i < 10; i++)
		note(&flow, GUARD_NO_DIALOG, "");
	assert_int_equal(bed.last.key.address.port, 0);
	assert_int_equal(bed.last.key.length, 32);
	assert_true(bed.proven);
}

static void an_ipv6_source_is_its_64(void **state)
{
	struct sip_flow flow = flow_of("[2001:db8:1:2::7]:5060");

	(void)state;
	flow.connection = 7;
	for (unsigned i = 0; i < 10; i++) {
		flow.remote.in6.sin6_addr.s6_addr[15] = (uint8_t)i;
		note(&flow, GUARD_NO_DIALOG, "");
	}
	assert_int_equal(bed.denials, 1);
	assert_int_equal(bed.last.key.length, 64);
	assert_int_equal(bed.last.key.address.ip[15], 0);
	assert_int_equal(bed.last.key.address.port, 0);
}

/* --- who is never denied -------------------------------------------------------------------------------------------------- */

static void a_host_with_registered_phones_is_denied_by_port_alone_and_they_never(void **state)
{
	struct sip_flow scanner = flow_of("198.51.100.7:5099"), phone = flow_of("198.51.100.7:5060");

	(void)state;
	register_at("198.51.100.7:5060", "100@example.com");
	scanner.connection = 7;
	for (unsigned i = 0; i < 10; i++)
		note(&scanner, GUARD_NO_DIALOG, "");
	assert_int_equal(bed.denials, 1);
	assert_int_equal(bed.last.key.address.port, 5099);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(note(&phone, GUARD_FORBIDDEN, "100"), GUARD_PASS);
	assert_int_equal(bed.denials, 1);
	assert_int_equal(guard_look(bed.guard, &phone, scan_of("INVITE", "1", PHONE)), GUARD_PASS);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("INVITE", "1", "User-Agent: friendly-scanner\r\n")),
		GUARD_PASS);
}

static void agents_and_trusted_networks_are_beyond_doubt(void **state)
{
	struct sip_flow agent = flow_of("198.51.100.8:5099"), office = flow_of("203.0.113.77:5099");
	static char name[] = "carrier";

	(void)state;
	bed.agent = (struct config_session_agent){ .name = name, .realm = &bed.f->realm };
	assert_int_equal(address_parse(SPAN("198.51.100.8:5060"), 0, &bed.agent.address.address), 0);
	bed.f->config.session_agents = &bed.agent;
	bed.f->config.session_agents_count = 1;
	bed.rule = (struct config_access_control){
		.realm = &bed.f->realm, .permit = true, .trust = CONFIG_TRUST_TRUSTED
	};
	assert_int_equal(prefix_parse(SPAN("203.0.113.0/24"), &bed.rule.source), 0);
	bed.f->config.access_controls = &bed.rule;
	bed.f->config.access_controls_count = 1;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(note(&agent, GUARD_MALFORMED, ""), GUARD_PASS);
		assert_int_equal(note(&office, GUARD_MALFORMED, ""), GUARD_PASS);
	}
	assert_int_equal(bed.denials, 0);
	bed.rule.trust = CONFIG_TRUST_UNTRUSTED;
	for (unsigned i = 0; i < 10; i++)
		note(&office, GUARD_MALFORMED, "");
	assert_true(bed.denials > 0);
}

static resolver_done name_done;
static void *name_arg;

static int resolve(const struct resolver_question *question, resolver_done done, void *arg)
{
	(void)question;
	name_done = done;
	name_arg = arg;
	return 0;
}

static void an_agent_by_name_is_beyond_doubt_where_its_name_leads(void **state)
{
	struct sip_flow agent = flow_of("198.51.100.8:5099");
	struct resolver_answer answer = { .outcome = RESOLVER_FOUND, .ttl = 3600, .count = 1 };
	static char name[] = "carrier.example";

	(void)state;
	bed.agent =
		(struct config_session_agent){ .name = name, .realm = &bed.f->realm, .address.host = name };
	bed.f->config.session_agents = &bed.agent;
	bed.f->config.session_agents_count = 1;
	bed.f->config.sip.dns_min_ttl = bed.f->config.sip.dns_max_ttl = 3600;
	bed.f->private.resolve = resolve;
	name_done = NULL;
	assert_int_equal(agent_table_open(&bed.f->shard), 0);
	while (!name_done)
		fixture_pass(bed.f, 1);
	assert_true(guard_is_stranger(bed.guard, &agent));
	answer.address[0].address = flow_of("198.51.100.8:5060").remote;
	name_done(name_arg, &answer);
	assert_false(guard_is_stranger(bed.guard, &agent));
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(note(&agent, GUARD_MALFORMED, ""), GUARD_PASS);
	assert_int_equal(bed.denials, 0);
	agent_table_close(&bed.f->shard);
}

static void denials_of_the_unproven_have_a_rate(void **state)
{
	(void)state;
	bed.f->config.guard.unproven_deny_rate = 5;
	guard_set_clock(bed.guard, fake_now);
	for (unsigned i = 0; i < 100; i++) {
		struct sip_flow flow = flow_of("198.51.100.7:5060");

		flow.remote.in4.sin_addr.s_addr = htonl(0xc6330000 + i);
		assert_int_equal(note(&flow, GUARD_SCANNER_AGENT, ""), GUARD_SILENT);
	}
	assert_int_equal(bed.denials, 5);
}

static void a_success_forgives_by_half(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		note(&flow, GUARD_BAD_PASSWORD, "100");
	guard_good(bed.guard, &flow);
	assert_int_equal(guard_look(bed.guard, &flow, scan_of("REGISTER", "100", PHONE)), GUARD_PASS);
}

static void an_order_forgives_a_source_and_its_flows(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	struct dp_source_key key = { .length = 32 };
	union address host;

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		note(&flow, GUARD_NO_DIALOG, "");
	assert_int_equal(guard_look(bed.guard, &flow, scan_of("REGISTER", "100", PHONE)), GUARD_SILENT);
	assert_int_equal(address_parse_host(SPAN("198.51.100.7"), &host), 0);
	dp_address_from(&key.address, &host);
	guard_forgive(bed.guard, &key);
	assert_int_equal(guard_look(bed.guard, &flow, scan_of("REGISTER", "100", PHONE)), GUARD_PASS);
}

/* --- marks -------------------------------------------------------------------------------------------------------------- */

static void scanners_are_known_by_what_phones_do_not_write(void **state)
{
	static const char head[] = "Via: SIP/2.0/UDP %s;branch=%s\r\nFrom: %s\r\nTo: <sip:1@a>\r\nCall-ID: "
				   "%s\r\nCSeq: 1 OPTIONS\r\n%s\r\n";
	static const struct {
		const char *sent_by, *branch, *from, *call_id, *more;
		enum guard_sign sign;
	} cases[] = {
		{ "192.0.2.9", "z9hG4bKx", "<sip:a@b>;tag=1", "c", PHONE, GUARD_SIGN_COUNT },
		{ "192.0.2.9", "z9hG4bKx", "<sip:a@b>;tag=1", "c",
			"Max-Forwards: 70\r\nUser-Agent: Friendly-Scanner 2\r\n", GUARD_SCANNER_AGENT },
		/* "100" 01 "1234567890" */
		{ "192.0.2.9", "z9hG4bKx", "<sip:a@b>;tag=3130300131323334353637383930", "c", PHONE,
			GUARD_SCANNER_MARK },
		{ "192.0.2.9", "z9hG4bKx", "<sip:a@b>;tag=3130300231323334353637383930", "c", PHONE,
			GUARD_SIGN_COUNT },
		{ "192.0.2.9", "z9hG4bK-1234567890", "<sip:a@b>;tag=1", "123456789012345678", PHONE,
			GUARD_SCANNER_MARK },
		{ "192.0.2.9", "z9hG4bK-1234567890", "<sip:a@b>;tag=1", "1234@host", PHONE,
			GUARD_SIGN_COUNT },
		{ "127.0.1.1", "z9hG4bKx", "<sip:a@b>;tag=1", "c", PHONE, GUARD_SCANNER_MARK },
		{ "192.0.2.9", "z9hG4bKx", "\"SIPVicious\" <sip:a@b>;tag=1", "c", PHONE, GUARD_SCANNER_MARK },
		{ "192.0.2.9", "z9hG4bKx", "<sip:a@b>;tag=1", "c", PHONE "Contact: <sip:100@1.1.1.1>\r\n",
			GUARD_SCANNER_MARK },
		{ "192.0.2.9", "z9hG4bKx", "<sip:a@b>;tag=1", "c", "User-Agent: Phone\r\n", GUARD_MALFORMED },
	};
	char text[1024], request[1100];
	struct scan scan;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), head, cases[i].sent_by, cases[i].branch, cases[i].from,
			cases[i].call_id, cases[i].more);
		snprintf(request, sizeof(request), "OPTIONS sip:1@a SIP/2.0\r\n%s", text);
		assert_int_equal(scan_message(&scan, span_from(request), true, &bed.f->config.sip), SCAN_OK);
		assert_int_equal(guard_mark(&bed.f->config.guard, &scan), cases[i].sign);
	}
}

static void the_user_of_an_address_is_found(void **state)
{
	(void)state;
	assert_true(span_equal(guard_user_of(SPAN("\"A\" <sip:100@host;x=1>;tag=2")), SPAN("100")));
	assert_true(span_equal(guard_user_of(SPAN("sip:100:secret@host")), SPAN("100")));
	assert_true(span_equal(guard_user_of(SPAN("<sip:100;x@host>")), SPAN("100;x")));
	assert_int_equal(guard_user_of(SPAN("<sip:host>")).n, 0);
	assert_int_equal(guard_user_of(SPAN("<mailto:a@b>")).n, 0);
	assert_int_equal(guard_user_of(SPAN("")).n, 0);
}

/* --- the table ---------------------------------------------------------------------------------------------------------- */

static void a_flood_of_made_up_sources_does_not_push_out_who_is_near_the_limit(void **state)
{
	struct sip_flow near = flow_of("198.51.100.7:5060");

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		note(&near, GUARD_NO_DIALOG, "");
	for (unsigned i = 0; i < 20000; i++) {
		struct sip_flow flow = flow_of("10.0.0.1:5060");

		flow.remote.in4.sin_addr.s_addr = htonl(0x0a000000 + i);
		note(&flow, GUARD_STRANGER, "");
	}
	assert_int_equal(bed.denials, 0);
	note(&near, GUARD_NO_DIALOG, "");
	assert_int_equal(bed.denials, 1);
}

static void what_was_seen_is_told(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	struct cp_block reason[8];
	struct prefix prefix;
	bool more;

	(void)state;
	guard_refuse(bed.guard, &flow, GUARD_STRANGER, scan_of("OPTIONS", "100:secret", PHONE), 403);
	assert_int_equal(prefix_parse(SPAN("198.51.100.0/24"), &prefix), 0);
	assert_int_equal(guard_reasons(bed.guard, &prefix, 0, 8, reason, &more), 1);
	assert_int_equal(reason[0].counter, GUARD_STRANGER);
	assert_string_equal(reason[0].source, "198.51.100.7:5060");
	assert_true(strncmp(reason[0].line, "OPTIONS sip:100:", 16) == 0);
	assert_null(strstr(reason[0].line, "secret"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_scanner_by_name_is_silenced_and_denied_at_its_port_at_once),
		T(steps_are_count_then_silence_then_denial),
		T(points_fade_within_a_minute),
		T(who_goes_on_in_the_silence_is_denied),
		T(strangers_get_no_answer_and_in_a_trusted_realm_there_are_none),
		T(to_watch_is_to_count_and_do_nothing),
		T(an_address_is_denied_only_when_its_owner_has_shown_that_he_is_there),
		T(an_ipv6_source_is_its_64),
		T(a_host_with_registered_phones_is_denied_by_port_alone_and_they_never),
		T(agents_and_trusted_networks_are_beyond_doubt),
		T(an_agent_by_name_is_beyond_doubt_where_its_name_leads),
		T(denials_of_the_unproven_have_a_rate),
		T(a_success_forgives_by_half),
		T(an_order_forgives_a_source_and_its_flows),
		T(scanners_are_known_by_what_phones_do_not_write),
		T(the_user_of_an_address_is_found),
		T(a_flood_of_made_up_sources_does_not_push_out_who_is_near_the_limit),
		T(what_was_seen_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
