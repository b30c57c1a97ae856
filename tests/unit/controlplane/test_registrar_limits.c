/* SPDX-License-Identifier: BSD-3-Clause */
/* How often and how much a REGISTER may ask for: of a realm, of a source, and of a user however he is written. */
#include "tests/unit/controlplane/registrar_check.h"

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

/* What commits make of a realm: another object of the same name each time. */
static void test_the_rate_of_a_realm_goes_on_under_other_configurations(void **state)
{
	enum { COMMITS = 8 };
	struct call_world *w = *state;
	struct config_realm same[COMMITS];

	limit(w, (struct config_registration){ .per_realm_rate = 1 });
	for (unsigned i = 0; i < COMMITS; i++) {
		same[i] = w->f->realm;
		w->f->interface.realm = w->agent.realm = &same[i];
		for (unsigned n = 0; n < 10; n++) {
			w->f->peer.remote.in4.sin_addr.s_addr = htonl(0xc6336400 + 10 * i + n);
			strangers_register(w, 10 * i + n, 10 * i + n + 1);
		}
	}
	fixture_pass(w->f, 100);
	w->f->interface.realm = w->agent.realm = &w->f->realm;
	assert_in_range(count_sent(w, "REGISTER "), 1, 2 * COMMITS);
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

static void test_when_there_is_no_room_who_has_a_place_keeps_it_and_others_come_later(void **state)
{
	struct call_world *w = *state;

	register_phone(w);
	w->f->config.registration.max_bindings = 1;
	strangers_register(w, 1, 2);
	assert_int_equal(count_sent(w, "REGISTER "), 0);
	assert_int_equal(count_sent(w, "SIP/2.0 503 "), 1);
	assert_int_equal(waits_told(w, 1), 1);
	__atomic_store_n(&the_binding(w)->upstream_expires_wall_ms, clock_wall_ms() + 1000, __ATOMIC_RELAXED);
	registers(w, 3, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	pbx_accepts(w, to_pbx(w), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

/* --- one user, however he is written --------------------------------------------------------------------------------------- */

/* 1000@sbc.example, in other words. */
static const char *const aliases[] = { "<sip:1000@other.example>", "<sip:1000;a=b@sbc.example>",
	"<sip:100%30@sbc.example>", "<sip:1000%40x@sbc.example>" };

enum { ALIASES = sizeof(aliases) / sizeof(aliases[0]) };

static void test_a_user_has_one_rate_however_he_is_written(void **state)
{
	struct call_world *w = *state;
	struct sip_flow flow = w->f->peer;
	char call_id[32];

	limit(w, (struct config_registration){ .per_aor_rate = 1 });
	for (unsigned n = 0; n < 20; n++) {
		snprintf(call_id, sizeof(call_id), "alias%u", n);
		address_set_port(&flow.remote, (uint16_t)(20000 + n));
		registers_from(w, &flow, aliases[n % ALIASES], call_id, 1, "Contact: " PHONE_CONTACT "\r\n");
	}
	/* One a second, and four at once. */
	assert_in_range(count_sent(w, "SIP/2.0 429 "), 14, 15);
	assert_true(registrar_shard(&w->f->shard, SPAN("1000@a")) ==
		    registrar_shard(&w->f->shard, SPAN("1000@b")));
}

static void test_a_user_has_one_list_of_contacts_however_he_is_written(void **state)
{
	struct call_world *w = *state;
	struct sip_flow flow = w->f->peer;
	char call_id[32], contact[128];

	w->f->config.registration.max_contacts = 2;
	register_phone(w);
	for (unsigned n = 0; n < ALIASES; n++) {
		snprintf(call_id, sizeof(call_id), "alias%u", n);
		snprintf(contact, sizeof(contact), "Contact: <sip:x@192.168.9.9:%u>;expires=3600\r\n",
			6000 + n);
		address_set_port(&flow.remote, (uint16_t)(20000 + n));
		registers_from(w, &flow, aliases[n], call_id, 1, contact);
		if (n == 0) {
			pbx_accepts(w, to_pbx(w), 3600);
			take(w, &flow, "SIP/2.0 200 ");
			continue;
		}
		pbx_answers(w, to_pbx(w), 200, "");
		take(w, &flow, "SIP/2.0 403 ");
	}
	assert_int_equal(bindings(w), 2);
}

/* As for a user who has no contact at all: the registrar asks for a password. */
static void test_that_a_user_has_all_his_contacts_is_told_to_nobody_without_his_password(void **state)
{
	struct call_world *w = *state;
	struct sip_flow third = w->f->peer;

	address_set_port(&third.remote, 20000);
	w->f->config.registration.max_contacts = 1;
	register_phone(w);
	registers_from(w, &third, "<sip:1000@sbc.example>", "stranger", 1,
		"Contact: <sip:x@192.168.9.9>;expires=3600\r\n");
	pbx_answers(w, to_pbx(w), 401, CHALLENGE);
	take(w, &third, "SIP/2.0 401 ");
	/* Nothing is bound for the asking. */
	assert_null(strstr(kept, "\r\nContact:"));
	registers_from(w, &third, "<sip:1000@sbc.example>", "stranger", 2,
		ANSWER "Contact: <sip:x@192.168.9.9>;expires=3600\r\n");
	assert_null(strstr(to_pbx(w), "\r\nContact:"));
	assert_contains(kept, ANSWER);
	pbx_answers(w, kept, 200, "");
	take(w, &third, "SIP/2.0 403 ");
	assert_int_equal(bindings(w), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_realm_has_its_rate_and_its_registered_phones_do_not_need_it),
		TEST(test_the_rate_of_a_realm_goes_on_under_other_configurations),
		TEST(test_who_is_put_off_is_not_put_off_until_the_same_moment_as_others),
		TEST(test_a_source_over_its_rate_hears_nothing_where_silence_is_wanted),
		TEST(test_when_there_is_no_room_who_has_a_place_keeps_it_and_others_come_later),
		TEST(test_a_user_has_one_rate_however_he_is_written),
		TEST(test_a_user_has_one_list_of_contacts_however_he_is_written),
		TEST(test_that_a_user_has_all_his_contacts_is_told_to_nobody_without_his_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
