/* SPDX-License-Identifier: BSD-3-Clause */
/* Signs of a NAT in a message, and legs that follow the flow of a registered phone. */
#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/keep_alive.h"
#include "controlplane/nat.h"
#include "platforms/base/clock.h"

/* A request from 192.0.2.9:5070 with this top Via (behind the transport) and Contact. */
static bool detect(enum config_nat mode, const char *via, const char *contact)
{
	struct fixture *f = fixture_new(NULL);
	struct config_ip_profile profile = { .nat = mode };
	char text[1024];
	struct message *message;
	struct scan *scan = calloc(1, sizeof(*scan));
	unsigned status;
	bool found;
	int n;

	n = snprintf(text, sizeof(text),
		"REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP %s\r\nMax-Forwards: 70\r\nFrom: "
		"<sip:a@b>;tag=1\r\n"
		"To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n%s%s%sContent-Length: 0\r\n\r\n",
		via, contact ? "Contact: " : "", contact ? contact : "", contact ? "\r\n" : "");
	assert_int_equal(scan_message(scan, (struct span){ text, (size_t)n }, true, &f->config.sip), SCAN_OK);
	assert_int_equal(
		message_parse(scan, (struct span){ text, (size_t)n }, &f->peer, &message, &status), 0);
	found = nat_detect(&profile, &f->peer, message);
	message_free(message);
	free(scan);
	fixture_free(f);
	return found;
}

static const char plain_via[] = "192.0.2.9:5070;branch=z9hG4bK1;rport";
static const char plain_contact[] = "<sip:a@192.0.2.9:5070>";

static void test_who_is_where_he_says_is_behind_no_nat(void **state)
{
	(void)state;
	assert_false(detect(CONFIG_NAT_AUTO, plain_via, plain_contact));
	assert_false(detect(CONFIG_NAT_AUTO, plain_via, NULL));
	assert_false(detect(CONFIG_NAT_AUTO, plain_via, "*"));
}

static void test_another_address_in_via_or_contact_is_a_nat(void **state)
{
	(void)state;
	assert_true(detect(CONFIG_NAT_AUTO, "192.168.1.2:5070;branch=z9hG4bK1;rport", plain_contact));
	assert_true(detect(CONFIG_NAT_AUTO, plain_via, "<sip:a@10.1.1.1:5070>"));
	assert_true(detect(CONFIG_NAT_AUTO, plain_via, "<sip:a@100.64.1.1:5070>"));
	assert_true(detect(CONFIG_NAT_AUTO, plain_via, "<sip:a@[2001:db8::1]:5070>"));
	assert_true(detect(CONFIG_NAT_AUTO, "phone.local:5070;branch=z9hG4bK1", plain_contact));
	assert_true(detect(CONFIG_NAT_AUTO, plain_via, "<sip:a@df7jal23ls0d.invalid>"));
}

/* A middlebox may have put the right address and a wrong port. */
static void test_another_port_is_a_nat_for_who_listens_where_he_sends(void **state)
{
	(void)state;
	assert_true(detect(CONFIG_NAT_AUTO, "192.0.2.9:5060;branch=z9hG4bK1;rport", plain_contact));
	assert_true(detect(CONFIG_NAT_AUTO, "192.0.2.9;branch=z9hG4bK1;rport", plain_contact));
	assert_true(detect(CONFIG_NAT_AUTO, plain_via, "<sip:a@192.0.2.9>"));
	assert_false(detect(CONFIG_NAT_AUTO, "192.0.2.9:5060;branch=z9hG4bK1", "<sip:a@192.0.2.9:5060>"));
	assert_false(detect(CONFIG_NAT_AUTO, "192.0.2.9:5060;branch=z9hG4bKrport", "<sip:a@192.0.2.9:5060>"));
}

static void test_a_profile_may_know_better(void **state)
{
	(void)state;
	assert_true(detect(CONFIG_NAT_ALWAYS, plain_via, plain_contact));
	assert_false(detect(CONFIG_NAT_NEVER, "10.0.0.1;branch=z9hG4bK1;rport", "<sip:a@10.0.0.1>"));
}

static void test_private_addresses_are_known(void **state)
{
	static const struct {
		const char *text;
		bool is_private;
	} rows[] = {
		{ "10.0.0.0", true },
		{ "10.255.255.255", true },
		{ "11.0.0.0", false },
		{ "172.15.255.255", false },
		{ "172.16.0.0", true },
		{ "172.31.255.255", true },
		{ "172.32.0.0", false },
		{ "192.168.0.1", true },
		{ "192.169.0.1", false },
		{ "100.63.255.255", false },
		{ "100.64.0.0", true },
		{ "100.127.255.255", true },
		{ "100.128.0.0", false },
		{ "169.254.1.1", true },
		{ "203.0.113.1", false },
		{ "fd00::1", true },
		{ "fe80::1", true },
		{ "2001:db8::1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		union address address;

		assert_int_equal(address_parse_host(span_from(rows[i].text), &address), 0);
		if (nat_is_private(&address) != rows[i].is_private)
			fail_msg("%s", rows[i].text);
	}
}

/* --- legs --------------------------------------------------------------------------------------------------------------- */

struct world {
	struct fixture *f;
	struct config_ip_profile profile;
	struct config_session_agent agent;
	struct binding *binding;
	struct leg leg;
};

static void bind_at(struct world *w, const char *source)
{
	struct binding model = {
		.interface = &w->f->interface,
		.agent = &w->agent,
		.aor = SPAN("alice@example.com"),
		.contact = SPAN("sip:alice@192.168.1.2:5060;line=1"),
		.call_id = SPAN("reg"),
		.behind_nat = true,
		.expires_wall_ms = clock_wall_ms() + 3600000,
	};
	struct binding *old = w->binding;

	model.flow.transport = CONFIG_TRANSPORT_UDP;
	assert_int_equal(address_parse(span_from(source), 0, &model.flow.remote), 0);
	if (old)
		memcpy(model.token, old->token, sizeof(model.token));
	w->binding = binding_new(&model);
	assert_non_null(w->binding);
	assert_int_equal(location_replace(w->f->shard.shared.location, old, w->binding), 0);
	binding_put(old);
}

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct name_addr nobody = { 0 };

	assert_non_null(w);
	w->f = fixture_new(NULL);
	w->f->interface.registration = CONFIG_REGISTRATION_CACHE;
	w->f->interface.ip_profile = &w->profile;
	w->f->config.registration.max_contacts = 10;
	w->f->config.registration.max_bindings = 10;
	w->agent = (struct config_session_agent){ .realm = &w->f->realm, .name = (char *)(uintptr_t) "pbx" };
	w->profile.nat = CONFIG_NAT_AUTO;
	w->f->shard.shared.location = location_new(&w->f->config);
	bind_at(w, "192.0.2.9:5070");
	assert_int_equal(
		leg_init_client(&w->leg, &w->f->shard, &w->f->peer, SPAN("alice"), &nobody, &nobody), 0);
	assert_int_equal(nat_leg_is(&w->leg, w->binding), 0);
	return w;
}

static void world_free(struct world *w)
{
	leg_fini(&w->leg);
	binding_put(w->binding);
	location_free(w->f->shard.shared.location);
	fixture_free(w->f);
	free(w);
}

static void test_a_phone_is_asked_for_by_its_contact_and_reached_by_its_flow(void **state)
{
	struct world *w = world_new();
	struct sip_flow flow = leg_flow(&w->leg);

	(void)state;
	assert_string_equal(w->leg.target, "sip:alice@192.168.1.2:5060;line=1");
	assert_true(address_equal(&flow.remote, &w->f->peer.remote));
	world_free(w);
}

static void test_a_leg_follows_where_its_phone_has_registered_since(void **state)
{
	struct world *w = world_new();
	struct sip_flow flow;

	(void)state;
	assert_false(nat_leg_follow(&w->leg));
	bind_at(w, "192.0.2.77:1234");
	flow = leg_flow(&w->leg);
	assert_int_equal(address_port(&flow.remote), 1234);
	assert_true(address_equal_host(&flow.remote, &w->binding->flow.remote));
	assert_false(nat_leg_follow(&w->leg));
	world_free(w);
}

/* A re-INVITE from a new port says where the phone is now; the registration that has not changed does not take that back. */
static void test_a_leg_that_has_moved_itself_stays_until_the_phone_registers(void **state)
{
	struct world *w = world_new();
	struct sip_flow flow;

	(void)state;
	w->leg.flow.remote = w->leg.next_hop = w->f->other.remote;
	flow = leg_flow(&w->leg);
	assert_true(address_equal(&flow.remote, &w->f->other.remote));
	bind_at(w, "192.0.2.9:5071");
	flow = leg_flow(&w->leg);
	assert_int_equal(address_port(&flow.remote), 5071);
	world_free(w);
}

static void test_a_phone_whose_binding_has_gone_is_left_where_it_was(void **state)
{
	struct world *w = world_new();
	struct sip_flow flow;

	(void)state;
	assert_true(location_remove(w->f->shard.shared.location, w->binding));
	flow = leg_flow(&w->leg);
	assert_true(address_equal(&flow.remote, &w->f->peer.remote));
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_where_he_says_is_behind_no_nat),
		cmocka_unit_test(test_another_address_in_via_or_contact_is_a_nat),
		cmocka_unit_test(test_another_port_is_a_nat_for_who_listens_where_he_sends),
		cmocka_unit_test(test_a_profile_may_know_better),
		cmocka_unit_test(test_private_addresses_are_known),
		cmocka_unit_test(test_a_phone_is_asked_for_by_its_contact_and_reached_by_its_flow),
		cmocka_unit_test(test_a_leg_follows_where_its_phone_has_registered_since),
		cmocka_unit_test(test_a_leg_that_has_moved_itself_stays_until_the_phone_registers),
		cmocka_unit_test(test_a_phone_whose_binding_has_gone_is_left_where_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
