/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard: what counts, what fades, who is silenced, who is denied and how far, and who never is. */
#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/agent.h"
#include "controlplane/guard_internal.h"
#include "controlplane/shard_internal.h"

struct bed {
	struct fixture *f;
	struct config_strings names;
	char *name[1];
	struct config_session_agent agent;
	struct config_access_control rule;
	struct location *location;
	struct guard *guard;
	unsigned denials;
	struct dp_ban last;
	bool proven;
};

static struct bed bed;
static uint64_t now_ms;

static uint64_t fake_now(void)
{
	return now_ms;
}

static void take_denial(void *arg, const struct dp_ban *ban, bool proven)
{
	struct bed *b = arg;

	b->denials++;
	b->last = *ban;
	b->proven = proven;
}

static int setup(void **state)
{
	static const struct transaction_core core = { 0 };
	static char scanner[] = "friendly-scanner";

	(void)state;
	memset(&bed, 0, sizeof(bed));
	now_ms = 1000000;
	bed.f = fixture_new(&core);
	bed.name[0] = scanner;
	bed.f->config.guard = (struct config_guard){ .scanner_agents = { bed.name, 1 },
		.failures_per_minute = 10,
		.deny_time = 600,
		.deny_time_max = 86400,
		.unproven_deny_time = 60,
		.unproven_deny_rate = 1000,
		.max_tracked = 1024,
		.silent = true };
	bed.f->config.registration.max_bindings = 100;
	bed.f->config.registration.max_contacts = 10;
	bed.f->interface.allow_anonymous = CONFIG_ANONYMOUS_REGISTERED;
	bed.location = location_new(&bed.f->config);
	bed.guard = guard_new(&bed.f->config, bed.location, take_denial, &bed);
	assert_non_null(bed.guard);
	guard_set_clock(bed.guard, fake_now);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guard_free(bed.guard);
	location_free(bed.location);
	fixture_free(bed.f);
	return 0;
}

static struct sip_flow flow_of(const char *source)
{
	struct sip_flow flow = bed.f->peer;

	assert_int_equal(address_parse(span_from(source), 0, &flow.remote), 0);
	return flow;
}

/* Headers that differ from a phone's. */
static struct scan *scan_of(const char *method, const char *user, const char *more)
{
	static struct scan scan;
	static char text[2048];
	struct config_sip limits = bed.f->config.sip;
	int n = snprintf(text, sizeof(text),
		"%s sip:%s@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKabc\r\n"
		"From: <sip:a@b>;tag=x\r\nTo: <sip:%s@192.0.2.1>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\nContact: "
		"<sip:a@198.51.100.7>\r\n%s\r\n",
		method, user, user, method, more);

	assert_int_equal(scan_message(&scan, (struct span){ text, (size_t)n }, true, &limits), SCAN_OK);
	return &scan;
}

#define PHONE "Max-Forwards: 70\r\nUser-Agent: Phone\r\n"

static enum guard_verdict note(const struct sip_flow *flow, enum guard_sign sign, const char *user)
{
	return guard_note(bed.guard, flow, sign, span_from(user), NULL);
}

/* Credentials of who has received a challenge with this nonce. */
static const char *answer_to(const struct sip_flow *flow, const char *user, const char *nonce)
{
	static char text[1024];
	char challenge[256], sealed[512];
	struct writer w;

	snprintf(challenge, sizeof(challenge), "Digest realm=\"r\", nonce=\"%s\"", nonce);
	writer_init(&w, sealed, sizeof(sealed) - 1);
	guard_seal(bed.guard, flow, span_from(challenge), &w);
	sealed[w.len] = '\0';
	snprintf(text, sizeof(text), PHONE "Authorization: Digest username=\"%s\", %s\r\n", user,
		sealed + strlen("Digest "));
	return text;
}

/* A password that is refused, of who shows that he is there. */
static enum guard_verdict guess(const struct sip_flow *flow, const char *user)
{
	return guard_note(bed.guard, flow, GUARD_BAD_PASSWORD, span_from(user),
		scan_of("REGISTER", user, answer_to(flow, user, "abc")));
}

/* The same in the name of another. */
static enum guard_verdict forge_guess(const struct sip_flow *flow, const char *user)
{
	return guard_note(bed.guard, flow, GUARD_BAD_PASSWORD, span_from(user),
		scan_of("REGISTER", user,
			PHONE "Authorization: Digest username=\"x\", nonce=\"abc\", "
			      "opaque=\"-n000000000000000000000000\"\r\n"));
}

static enum guard_verdict look(const struct sip_flow *flow, const char *method, const char *user)
{
	return guard_look(bed.guard, flow, scan_of(method, user, PHONE));
}

static void register_at(const char *source, const char *aor)
{
	static char name[] = "pbx";
	struct binding model = { .interface = &bed.f->interface,
		.agent = &bed.agent,
		.aor = span_from(aor),
		.contact = SPAN("sip:x@y") };
	struct sip_flow flow = flow_of(source);
	struct binding *binding;

	bed.agent.name = name;
	model.flow.remote = flow.remote;
	model.expires_wall_ms = model.upstream_expires_wall_ms = UINT64_MAX / 2;
	binding = binding_new(&model);
	assert_int_equal(location_replace(bed.location, NULL, binding), 0);
	binding_put(binding);
}

/* --- steps -------------------------------------------------------------------------------------------------------------- */

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

static void who_answers_a_challenge_has_received_it(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060"), other = flow_of("198.51.100.8:5060");

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		forge_guess(&flow, "100");
	assert_int_equal(bed.denials, 1);
	assert_false(bed.proven);
	assert_int_equal(bed.last.key.address.port, 5060);
	assert_int_equal(bed.last.flags, DP_BAN_DATAGRAMS);
	for (unsigned i = 0; i < 10; i++)
		guess(&flow, "100");
	assert_int_equal(bed.denials, 2);
	assert_true(bed.proven);
	assert_int_equal(bed.last.key.address.port, 0);
	assert_int_equal(bed.last.flags, 0);
	/* What went to one says nothing of another; and it grows old. */
	for (unsigned i = 0; i < 10; i++)
		guard_note(bed.guard, &other, GUARD_BAD_PASSWORD, SPAN("100"),
			scan_of("REGISTER", "100", answer_to(&flow, "100", "abc")));
	assert_int_equal(bed.denials, 3);
	assert_false(bed.proven);
	other = flow_of("198.51.100.9:5060");
	answer_to(&other, "100", "abc");
	now_ms += 600000;
	for (unsigned i = 0; i < 10; i++)
		guard_note(bed.guard, &other, GUARD_BAD_PASSWORD, SPAN("100"),
			scan_of("REGISTER", "100", answer_to(&other, "100", "abc")));
	assert_int_equal(bed.denials, 4);
	assert_true(bed.proven);
}

static void a_seal_is_good_where_it_went_and_for_a_while(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060"), port = flow_of("198.51.100.7:6000"),
			other = flow_of("198.51.100.8:5060");
	const char *answer = answer_to(&flow, "100", "abc");
	char wrong[1024];

	(void)state;
	assert_true(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", answer)));
	assert_true(guard_is_sealed(bed.guard, &port, scan_of("REGISTER", "100", answer)));
	assert_false(guard_is_sealed(bed.guard, &other, scan_of("REGISTER", "100", answer)));
	assert_false(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", PHONE)));
	for (size_t i = strlen(answer) - 20; i < strlen(answer) - 3; i++) {
		snprintf(wrong, sizeof(wrong), "%s", answer);
		wrong[i] = wrong[i] == '0' ? '1' : '0';
		assert_false(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", wrong)));
	}
	now_ms += 300000;
	assert_true(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", answer)));
	now_ms += 300000;
	assert_false(guard_is_sealed(bed.guard, &flow, scan_of("REGISTER", "100", answer)));
}

static const char *sealed_and_back(const char *challenge, bool *marked)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	static char back[1024];
	char sealed[1024];
	struct writer w;

	writer_init(&w, sealed, sizeof(sealed) - 1);
	guard_seal(bed.guard, &flow, span_from(challenge), &w);
	sealed[w.len] = '\0';
	*marked = strcmp(sealed, challenge) != 0;
	writer_init(&w, back, sizeof(back) - 1);
	guard_unseal(span_from(sealed), &w);
	back[w.len] = '\0';
	return back;
}

static void a_registrar_sees_its_own_opaque_or_none(void **state)
{
	static const char *const sealed[] = {
		"Digest realm=\"r\", nonce=\"n\"",
		"Digest realm=\"r\", nonce=\"n\", opaque=\"\"",
		"Digest realm=\"r, opaque=\\\"x\", opaque=\"own\", qop=\"auth,auth-int\"",
		"Digest opaque=\"own\", nonce=\"n\"",
		"Digest opaque=\"own\"",
		/* A quote in the middle of a word. */
		"Digest realm=\"r\", nonce=n\", opaque=\"x\", qop=\"auth\", stale=true",
		"Digest realm=\"r\", nonce=n\", qop=\"auth\", stale=true",
		/* Another box like this one is the registrar. */
		"Digest nonce=\"n\", opaque=\"-n0123456789abcdef01234567\"",
		"Digest nonce=\"n\", opaque=\"x-o0123456789abcdef01234567\", qop=auth",
	};
	static const char *const as_they_are[] = { "Basic realm=\"r\"", "Digest nonce=\"n\", opaque=bare",
		"" };
	static const struct {
		const char *credentials, *unsealed;
	} taken_off[] = {
		{ "Digest opaque=\"-n0123456789abcdef01234567\", nonce=\"n\"", "Digest nonce=\"n\"" },
		{ "Digest nonce=\"n\" , opaque=\"-n0123456789abcdef01234567\" , nc=1",
			"Digest nonce=\"n\" , nc=1" },
		{ "Digest nonce=\"n\", OPAQUE = -n0123456789abcdef01234567, nc=1",
			"Digest nonce=\"n\", nc=1" },
		{ "Digest opaque=\"-n0123456789abcdef01234567\"", "Digest " },
		{ "Digest nonce=\"-n0123456789abcdef01234567\"",
			"Digest nonce=\"-n0123456789abcdef01234567\"" },
		{ "Digest opaque=\"-x0123456789abcdef01234567\"",
			"Digest opaque=\"-x0123456789abcdef01234567\"" },
		{ "Digest opaque=\"-n0123456789ABCDEF01234567\"",
			"Digest opaque=\"-n0123456789ABCDEF01234567\"" },
		{ "Digest ,,,=,opaque", "Digest ,,,=,opaque" },
		{ "Digest opaque=\"unfinished", "Digest opaque=\"unfinished" },
	};
	bool marked;
	char text[256];
	struct writer w;

	(void)state;
	for (size_t i = 0; i < sizeof(sealed) / sizeof(sealed[0]); i++) {
		assert_string_equal(sealed_and_back(sealed[i], &marked), sealed[i]);
		assert_true(marked);
	}
	for (size_t i = 0; i < sizeof(as_they_are) / sizeof(as_they_are[0]); i++) {
		assert_string_equal(sealed_and_back(as_they_are[i], &marked), as_they_are[i]);
		assert_false(marked);
	}
	for (size_t i = 0; i < sizeof(taken_off) / sizeof(taken_off[0]); i++) {
		writer_init(&w, text, sizeof(text) - 1);
		guard_unseal(span_from(taken_off[i].credentials), &w);
		text[w.len] = '\0';
		assert_string_equal(text, taken_off[i].unsealed);
	}
}

/* --- what others do in its name ----------------------------------------------------------------------------------------------- */

static void forged_datagrams_silence_and_deny_no_host_and_no_stream(void **state)
{
	struct sip_flow forged = flow_of("198.51.100.7:5060"), phone = flow_of("198.51.100.7:31000"),
			stream = flow_of("198.51.100.7:5060");

	(void)state;
	bed.f->config.guard.unproven_deny_rate = 1000000;
	guard_set_clock(bed.guard, fake_now);
	stream.connection = 7;
	for (unsigned port = 0; port < 200; port++) {
		address_set_port(&forged.remote, (uint16_t)(5060 + port));
		for (enum guard_sign sign = 0; sign < GUARD_SIGN_COUNT; sign++) {
			note(&forged, sign, "100");
			guard_look(bed.guard, &forged,
				scan_of("REGISTER", "101", "User-Agent: friendly-scanner\r\n"));
			forge_guess(&forged, "102");
			guard_challenged(bed.guard, &forged, NULL, SPAN("Digest nonce=\"n\""));
		}
		assert_int_equal(bed.last.key.address.port, 5060 + port);
		assert_int_equal(bed.last.flags, DP_BAN_DATAGRAMS);
		assert_false(bed.proven);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
		assert_int_equal(look(&phone, "OPTIONS", "100"), GUARD_PASS);
		assert_int_equal(look(&stream, "REGISTER", "100"), GUARD_PASS);
		assert_int_equal(look(&stream, "OPTIONS", "100"), GUARD_PASS);
		guard_challenged(bed.guard, &stream, NULL, SPAN("Digest nonce=\"n\""));
	}
	/* The first sign of its own is its first. */
	assert_int_equal(note(&stream, GUARD_NO_DIALOG, "100"), GUARD_PASS);
}

static void who_answers_his_challenge_is_heard_although_others_forge_his_very_flow(void **state)
{
	struct sip_flow phone = flow_of("198.51.100.7:5060");

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		note(&phone, GUARD_NO_DIALOG, "100");
	assert_int_equal(look(&phone, "OPTIONS", "100"), GUARD_SILENT);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("REGISTER", "100", answer_to(&phone, "100", "abc"))),
		GUARD_PASS);
	assert_int_equal(guess(&phone, "100"), GUARD_PASS);
}

static void what_is_said_into_the_silence_of_others_does_not_count(void **state)
{
	struct sip_flow bad = flow_of("198.51.100.7:40000"), good = flow_of("198.51.100.7:41000");

	(void)state;
	bad.connection = good.connection = 7;
	for (unsigned i = 0; i < 6; i++)
		note(&bad, GUARD_NO_DIALOG, "");
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(look(&good, "OPTIONS", "100"), GUARD_SILENT);
	assert_int_equal(bed.denials, 0);
	now_ms += 60000;
	assert_int_equal(look(&good, "OPTIONS", "100"), GUARD_PASS);
}

static void each_flow_of_a_silenced_source_may_try_whoever_tried_before(void **state)
{
	struct sip_flow bad = flow_of("198.51.100.7:40000"), forged = flow_of("198.51.100.7:5060"),
			phone = flow_of("198.51.100.7:5062");

	(void)state;
	bad.connection = 7;
	for (unsigned i = 0; i < 9; i++)
		note(&bad, GUARD_NO_DIALOG, "");
	for (unsigned i = 0; i < 100; i++)
		look(&forged, "REGISTER", "100");
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_SILENT);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("REGISTER", "100", answer_to(&phone, "100", "abc"))),
		GUARD_PASS);
	now_ms += 5000;
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
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

/* --- sweeps and guesses -------------------------------------------------------------------------------------------------- */

static void many_users_from_one_source_are_a_sweep(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	unsigned messages = 0;
	char user[16];

	(void)state;
	while (bed.denials == 0 && messages < 30) {
		snprintf(user, sizeof(user), "%u", 100 + messages++);
		note(&flow, GUARD_UNKNOWN_USER, user);
	}
	assert_true(messages <= 6);
	/* One user, as often: slower. */
	flow = flow_of("198.51.100.9:5060");
	for (unsigned i = 0; i < 6; i++)
		note(&flow, GUARD_UNKNOWN_USER, "100");
	assert_int_equal(bed.denials, 1);
}

static void challenges_that_are_never_answered_are_a_sweep_and_an_office_that_answers_is_none(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	char nonce[32];

	(void)state;
	flow.connection = 7;
	for (unsigned i = 0; i < 60; i++) {
		address_set_port(&flow.remote, (uint16_t)(6000 + i));
		guard_challenged(bed.guard, &flow, NULL, SPAN("Digest realm=\"r\", nonce=\"x\""));
	}
	now_ms += 1000;
	for (unsigned i = 0; i < 60; i++) {
		address_set_port(&flow.remote, (uint16_t)(6000 + i));
		snprintf(nonce, sizeof(nonce), "n%u", i);
		assert_int_equal(guard_look(bed.guard, &flow,
					 scan_of("REGISTER", "100", answer_to(&flow, "u", nonce))),
			GUARD_PASS);
	}
	now_ms += 4000;
	guard_challenged(bed.guard, &flow, NULL, SPAN("Digest realm=\"r\", nonce=\"x\""));
	assert_int_equal(bed.denials, 0);
	for (unsigned stream = 0; stream < 2; stream++) {
		flow = flow_of(stream ? "198.51.100.8:5060" : "198.51.100.9:5060");
		flow.connection = stream;
		for (unsigned i = 0; i < 20; i++)
			guard_challenged(bed.guard, &flow, NULL, SPAN("Digest realm=\"r\", nonce=\"y\""));
		now_ms += 4000;
		for (unsigned i = 0; i < 4; i++)
			guard_challenged(bed.guard, &flow, NULL, SPAN("Digest realm=\"r\", nonce=\"y\""));
		assert_int_equal(bed.denials, stream + 1);
		assert_int_equal(bed.proven, stream);
	}
}

static void a_user_guessed_at_from_many_sources_is_answered_where_he_is_registered(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060"), home = flow_of("203.0.113.5:6000"),
			phone = flow_of("203.0.113.5:5060");

	(void)state;
	register_at("203.0.113.5:5060", "100@example.com");
	for (unsigned i = 0; i < 25; i++) {
		flow.remote.in4.sin_addr.s_addr = htonl(0xc6330000 + i);
		guess(&flow, "100");
	}
	assert_int_equal(bed.denials, 0);
	flow = flow_of("192.0.2.99:5060");
	assert_int_equal(look(&flow, "REGISTER", "100"), GUARD_SILENT);
	assert_int_equal(look(&flow, "REGISTER", "101"), GUARD_PASS);
	assert_int_equal(look(&home, "REGISTER", "100"), GUARD_PASS);
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
	now_ms += 120000;
	assert_int_equal(look(&flow, "REGISTER", "100"), GUARD_PASS);
}

static void forged_guesses_hold_no_user_and_let_no_guess_through_that_proves_nothing(void **state)
{
	static const char bare[] = PHONE "Authorization: Digest username=\"100\", nonce=\"abc\"\r\n";
	struct sip_flow flow = flow_of("198.51.100.7:5060"), phone = flow_of("203.0.113.5:5060");

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		flow.remote.in4.sin_addr.s_addr = htonl(0xc6330000 + i);
		forge_guess(&flow, "100");
	}
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("REGISTER", "100", answer_to(&phone, "100", "abc"))),
		GUARD_PASS);
	assert_int_equal(guard_look(bed.guard, &phone, scan_of("REGISTER", "100", bare)), GUARD_SILENT);
	now_ms += 120000;
	assert_int_equal(guard_look(bed.guard, &phone, scan_of("REGISTER", "100", bare)), GUARD_PASS);
}

static void guesses_from_many_ports_that_prove_nothing_get_no_further_and_keep_nobody_out(void **state)
{
	struct sip_flow flow = flow_of("198.51.100.7:5060"), phone = flow_of("198.51.100.7:31000");
	unsigned passed = 0;
	char user[16];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		address_set_port(&flow.remote, (uint16_t)(5060 + i));
		snprintf(user, sizeof(user), "%u", 100 + i);
		if (guard_look(bed.guard, &flow,
			    scan_of("REGISTER", user, PHONE "Authorization: Digest nonce=\"abc\"\r\n")) !=
			GUARD_PASS)
			continue;
		passed++;
		forge_guess(&flow, user);
	}
	assert_true(passed <= 10);
	assert_int_equal(bed.denials, 0);
	assert_int_equal(look(&phone, "REGISTER", "100"), GUARD_PASS);
	assert_int_equal(look(&phone, "OPTIONS", "100"), GUARD_PASS);
	assert_int_equal(
		guard_look(bed.guard, &phone, scan_of("REGISTER", "100", answer_to(&phone, "100", "abc"))),
		GUARD_PASS);
}

static void a_user_is_the_same_however_he_is_written(void **state)
{
	static const char *const forms[] = { "alice", "alice;1", "%61lice", "ALICE", "alice%40x",
		"al%69ce;x=y" };
	struct sip_flow flow = flow_of("198.51.100.7:5060"), fresh = flow_of("192.0.2.99:5060");

	(void)state;
	for (unsigned i = 0; i < 24; i++) {
		flow.remote.in4.sin_addr.s_addr = htonl(0xc6330000 + i);
		guess(&flow, forms[i % 6]);
	}
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(look(&fresh, "REGISTER", forms[i]), GUARD_SILENT);
	/* Under another's name, with his. */
	assert_int_equal(guard_look(bed.guard, &fresh,
				 scan_of("REGISTER", "bob", answer_to(&fresh, "alice@x", "abc"))),
		GUARD_SILENT);
	assert_int_equal(look(&fresh, "REGISTER", "bob"), GUARD_PASS);
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

/* --- challenges ----------------------------------------------------------------------------------------------------------- */

static void a_made_up_challenge_looks_like_the_registrars(void **state)
{
	static const char real[] = "Digest realm=\"pbx\", nonce=\"1700000000/0123456789abcdef\", "
				   "opaque=\"x\", algorithm=MD5, qop=\"auth\"";
	struct sip_flow flow = flow_of("198.51.100.7:5060");
	struct config_session_agent agent = { .realm = &bed.f->realm };
	char text[2][512];
	struct writer w;

	(void)state;
	bed.f->config.session_agents = &agent;
	bed.f->config.session_agents_count = 1;
	guard_free(bed.guard);
	bed.guard = guard_new(&bed.f->config, bed.location, take_denial, &bed);
	writer_init(&w, text[0], sizeof(text[0]));
	guard_challenge_like(bed.guard, &agent, &w);
	assert_true(span_starts_case(writer_result(&w), SPAN("Digest realm=\"")));
	guard_challenged(bed.guard, &flow, &agent, SPAN(real));
	for (unsigned i = 0; i < 2; i++) {
		memset(text[i], 0, sizeof(text[i]));
		writer_init(&w, text[i], sizeof(text[i]));
		guard_challenge_like(bed.guard, &agent, &w);
		assert_int_equal(w.len, strlen(real));
		assert_memory_equal(text[i], real, strlen("Digest realm=\"pbx\", nonce=\""));
		assert_non_null(strstr(text[i], "\", opaque=\"x\", algorithm=MD5, qop=\"auth\""));
		assert_null(strstr(text[i], "0123456789abcdef"));
	}
	assert_string_not_equal(text[0], text[1]);
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
		T(who_answers_a_challenge_has_received_it),
		T(a_seal_is_good_where_it_went_and_for_a_while),
		T(a_registrar_sees_its_own_opaque_or_none),
		T(forged_datagrams_silence_and_deny_no_host_and_no_stream),
		T(who_answers_his_challenge_is_heard_although_others_forge_his_very_flow),
		T(what_is_said_into_the_silence_of_others_does_not_count),
		T(each_flow_of_a_silenced_source_may_try_whoever_tried_before),
		T(a_host_with_registered_phones_is_denied_by_port_alone_and_they_never),
		T(agents_and_trusted_networks_are_beyond_doubt),
		T(an_agent_by_name_is_beyond_doubt_where_its_name_leads),
		T(denials_of_the_unproven_have_a_rate),
		T(many_users_from_one_source_are_a_sweep),
		T(challenges_that_are_never_answered_are_a_sweep_and_an_office_that_answers_is_none),
		T(a_user_guessed_at_from_many_sources_is_answered_where_he_is_registered),
		T(forged_guesses_hold_no_user_and_let_no_guess_through_that_proves_nothing),
		T(guesses_from_many_ports_that_prove_nothing_get_no_further_and_keep_nobody_out),
		T(a_user_is_the_same_however_he_is_written),
		T(a_success_forgives_by_half),
		T(an_order_forgives_a_source_and_its_flows),
		T(scanners_are_known_by_what_phones_do_not_write),
		T(the_user_of_an_address_is_found),
		T(a_flood_of_made_up_sources_does_not_push_out_who_is_near_the_limit),
		T(what_was_seen_is_told),
		T(a_made_up_challenge_looks_like_the_registrars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
