/* SPDX-License-Identifier: BSD-3-Clause */
/* Keep-alives of one phone: what is sent when, what counts as life, what is learnt of its NAT. The phone and its NAT are the test. */
#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/keep_alive.h"
#include "controlplane/nat_memory.h"
#include "platforms/base/clock.h"

enum { SECOND = 1000, INTERVAL = 20 };

struct world {
	struct fixture *f;
	struct config_ip_profile profile;
	struct config_session_agent agent;
	struct binding *binding;
	unsigned looked;
	unsigned port; /* the NAT's */
	uint64_t passed_ms; /* the NAT let something through */
	char source[40]; /* the phone as we see it */
};

static struct binding *binding_at(struct world *w, const char *source, const char *call_id, uint64_t number)
{
	struct binding model = {
		.interface = &w->f->interface,
		.agent = &w->agent,
		.number = number,
		.aor = SPAN("alice@example.com"),
		.contact = SPAN("sip:alice@192.168.1.2:5060"),
		.call_id = span_from(call_id),
		.behind_nat = true,
		.expires_wall_ms = clock_wall_ms() + 3600 * SECOND,
	};
	struct binding *binding;

	model.flow.transport = CONFIG_TRANSPORT_UDP;
	assert_int_equal(address_parse(span_from(source), 0, &model.flow.remote), 0);
	binding = binding_new(&model);
	assert_non_null(binding);
	return binding;
}

static struct world *world_new(unsigned mode)
{
	struct world *w = calloc(1, sizeof(*w));
	struct fixture *f = fixture_new(NULL);

	fixture_now_ms = clock_wall_ms();
	timer_wheel_free(f->shard.timers);
	f->shard.timers = timer_wheel_new(fixture_now_ms);
	timer_wheel_set_clock(f->shard.timers, fixture_clock);
	w->f = f;
	w->port = 5070;
	w->passed_ms = fixture_now_ms;
	snprintf(w->source, sizeof(w->source), "192.0.2.9:%u", w->port);
	f->private.wall_ms = fixture_clock;
	f->interface.registration = CONFIG_REGISTRATION_CACHE;
	f->interface.ip_profile = &w->profile;
	f->config.registration.keep_alive = mode;
	f->config.registration.keep_alive_interval = INTERVAL;
	f->config.registration.max_contacts = 10;
	f->config.registration.max_bindings = 100;
	w->agent = (struct config_session_agent){ .realm = &f->realm, .name = (char *)(uintptr_t) "pbx" };
	f->shard.shared.location = location_new(&f->config);
	assert_non_null(f->shard.shared.location);
	assert_int_equal(keep_alive_open(&f->shard), 0);
	w->binding = binding_at(w, "192.0.2.9:5070", "reg1", 0);
	assert_int_equal(location_replace(f->shard.shared.location, NULL, w->binding), 0);
	keep_alive_start(&f->shard, NULL, w->binding);
	return w;
}

static void world_free(struct world *w)
{
	struct fixture *f = w->f;

	keep_alive_close(&f->shard);
	binding_put(w->binding);
	location_free(f->shard.shared.location);
	fixture_free(f);
	free(w);
}

/* The phone has registered again: at this source, with this Call-ID. */
static void registers(struct world *w, const char *source, const char *call_id)
{
	struct binding *old = w->binding;

	w->binding = binding_at(w, source, call_id, old->number);
	assert_int_equal(location_replace(w->f->shard.shared.location, old, w->binding), 0);
	keep_alive_start(&w->f->shard, old, w->binding);
	binding_put(old);
}

static bool is_asked(struct world *w)
{
	return w->looked < w->f->sent_count;
}

/* Passes time until something is sent, at most that long. How long it took. */
static uint64_t pass_until_asked(struct world *w, uint64_t most_ms)
{
	uint64_t start = fixture_now_ms;

	while (!is_asked(w) && fixture_now_ms < start + most_ms)
		fixture_pass(w->f, 20);
	assert_true(is_asked(w));
	return fixture_now_ms - start;
}

static void branch_of(const char *text, char branch[64])
{
	const char *at = strstr(text, ";branch=");

	assert_non_null(at);
	snprintf(branch, 64, "%.*s", (int)strcspn(at + 8, "\r;"), at + 8);
}

static void answers_from(struct world *w, const struct sip_flow *from, unsigned status)
{
	char branch[64];

	branch_of(w->f->sent[w->f->sent_count - 1].text, branch);
	w->looked = w->f->sent_count;
	fixture_receive(w->f, from,
		"SIP/2.0 %u X\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=%s\r\nFrom: "
		"<sip:a@b>;tag=%s\r\n"
		"To: <sip:alice@192.168.1.2>;tag=t\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nContent-Length: "
		"0\r\n\r\n",
		status, branch, branch + 7, branch + 7);
}

/* Any final answer is life: what the phone thinks of OPTIONS is its own affair. */
static void answers(struct world *w)
{
	answers_from(w, &w->f->peer, 501);
}

static void test_options_go_by_the_flow_to_the_contact_as_it_was_written(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OPTIONS);
	uint64_t waited = pass_until_asked(w, INTERVAL * SECOND);

	(void)state;
	assert_in_range(waited, INTERVAL * SECOND * 7 / 8 - 50, INTERVAL * SECOND + 50);
	assert_true(fixture_sent_starts(w->f, 0, "OPTIONS sip:alice@192.168.1.2:5060 SIP/2.0\r\n"));
	assert_true(address_equal(&w->f->sent[0].to, &w->f->peer.remote));
	assert_true(fixture_sent_has(w->f, 0, "\r\nTo: <sip:alice@192.168.1.2:5060>\r\n"));
	assert_int_equal(w->binding->keep_alive_s, INTERVAL);
	world_free(w);
}

static void test_an_answer_is_life_and_the_next_is_due_an_interval_later(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OPTIONS);

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		uint64_t waited = pass_until_asked(w, INTERVAL * SECOND + 100);

		assert_in_range(waited, INTERVAL * SECOND * 7 / 8 - 50, INTERVAL * SECOND + 50);
		answers(w);
		assert_int_equal(w->binding->heard_wall_ms, fixture_now_ms);
	}
	assert_int_equal(w->f->sent_count, 5);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_STRAY_RESPONSES), 0);
	world_free(w);
}

static void test_whatever_comes_by_the_flow_puts_it_off(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OPTIONS);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		fixture_pass(w->f, INTERVAL * SECOND / 2);
		if (i % 2)
			fixture_receive(w->f, &w->f->peer, "\r\n\r\n");
		else
			stun_receive(&w->f->peer, (struct span){ "\x00\x01\x00\x00\x21\x12\xa4\x42"
								 "abcdefghijkl",
							  20 });
	}
	for (unsigned i = 0; i < w->f->sent_count; i++)
		assert_false(fixture_sent_starts(w->f, i, "OPTIONS"));
	world_free(w);
}

static void test_silence_is_asked_as_timer_e_says_and_then_the_phone_is_gone(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OPTIONS);
	uint64_t first;

	(void)state;
	pass_until_asked(w, INTERVAL * SECOND + 100);
	first = w->f->sent[0].at_ms;
	fixture_pass(w->f, 31 * SECOND);
	assert_int_equal(w->binding->unreachable, 0);
	/* 0, 0.5, 1.5, 3.5, then every 4 s. */
	assert_int_equal(w->f->sent_count, 10);
	assert_in_range(w->f->sent[3].at_ms - first, 3500, 3600);
	assert_string_equal(w->f->sent[0].text, w->f->sent[9].text);
	fixture_pass(w->f, 2 * SECOND);
	assert_int_equal(w->binding->unreachable, 1);
	/* Not given up for ever, and an answer takes it back. */
	w->looked = w->f->sent_count;
	pass_until_asked(w, 4 * INTERVAL * SECOND + 100);
	answers(w);
	assert_int_equal(w->binding->unreachable, 0);
	world_free(w);
}

static void test_a_phone_that_is_heard_otherwise_is_there(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OPTIONS);

	(void)state;
	pass_until_asked(w, INTERVAL * SECOND + 100);
	for (unsigned i = 0; i < 7; i++) {
		fixture_pass(w->f, 5 * SECOND);
		fixture_receive(w->f, &w->f->peer, "\r\n\r\n");
	}
	assert_int_equal(w->binding->unreachable, 0);
	world_free(w);
}

static void test_an_answer_from_elsewhere_is_none(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OPTIONS);

	(void)state;
	pass_until_asked(w, INTERVAL * SECOND + 100);
	answers_from(w, &w->f->other, 200);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_STRAY_RESPONSES), 1);
	fixture_pass(w->f, 33 * SECOND);
	assert_int_equal(w->binding->unreachable, 1);
	world_free(w);
}

static void test_crlf_mode_sends_line_ends_and_expects_nothing(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_CRLF);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		pass_until_asked(w, INTERVAL * SECOND + 100);
		assert_string_equal(w->f->sent[w->looked].text, "\r\n\r\n");
		w->looked = w->f->sent_count;
	}
	assert_int_equal(w->binding->unreachable, 0);
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_TX_KEEP_ALIVE), 4);
	world_free(w);
}

static void test_nothing_is_sent_when_it_is_off_or_there_is_no_nat(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OFF);

	(void)state;
	fixture_pass(w->f, 10 * INTERVAL * SECOND);
	w->f->config.registration.keep_alive = CONFIG_KEEP_ALIVE_OPTIONS;
	w->profile.nat = CONFIG_NAT_NEVER;
	registers(w, "192.0.2.9:5070", "reg1");
	fixture_pass(w->f, 10 * INTERVAL * SECOND);
	assert_int_equal(w->f->sent_count, 0);
	assert_int_equal(w->binding->keep_alive_s, 0);
	world_free(w);
}

static void test_what_is_stopped_is_asked_no_more(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OPTIONS);

	(void)state;
	keep_alive_stop(&w->f->shard, w->binding);
	keep_alive_stop(&w->f->shard, w->binding);
	fixture_pass(w->f, 10 * INTERVAL * SECOND);
	assert_int_equal(w->f->sent_count, 0);
	world_free(w);
}

/* --- adaptive ----------------------------------------------------------------------------------------------------------- */

/* A NAT that forgets after `lifetime` of silence, before a phone that registers every `period`, for `total`. Returns the longest the phone
 * was out of reach. */
static uint64_t live(struct world *w, uint64_t lifetime, uint64_t period, uint64_t total)
{
	uint64_t end = fixture_now_ms + total, registered = fixture_now_ms;
	uint64_t longest = 0;
	unsigned seen = w->f->sent_count;

	while (fixture_now_ms < end) {
		if (fixture_now_ms >= registered + period) {
			/* Through a NAT that has forgotten: from another port. */
			if (fixture_now_ms - w->passed_ms > lifetime) {
				if (fixture_now_ms - w->passed_ms - lifetime > longest)
					longest = fixture_now_ms - w->passed_ms - lifetime;
				snprintf(w->source, sizeof(w->source), "192.0.2.9:%u", ++w->port);
				assert_int_equal(
					address_parse(span_from(w->source), 0, &w->f->peer.remote), 0);
			}
			registered = w->passed_ms = fixture_now_ms;
			registers(w, w->source, "reg1");
		}
		fixture_pass(w->f, 20);
		if (w->f->sent_count > seen) {
			if (fixture_now_ms - w->passed_ms <= lifetime) {
				answers(w);
				w->passed_ms = fixture_now_ms;
			}
			w->f->sent_count = w->looked = seen = 0;
		}
	}
	return longest;
}

static void test_adaptive_grows_while_answers_come_and_never_loses_a_phone_for_an_interval(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_ADAPTIVE);
	uint64_t lost = live(w, 100 * SECOND, 600 * SECOND, 6 * 3600 * SECOND);

	(void)state;
	assert_in_range(w->binding->keep_alive_s, 80, 100);
	assert_true(w->binding->lifetime_s <= 100);
	/* The probe that went too far, by a quarter at most, was six seconds at most before the REGISTER that mended it: less than one of the
	 * intervals in use. */
	assert_in_range(lost, 1, (100 / 4 + 6) * SECOND);
	assert_true(lost < w->binding->keep_alive_s * SECOND);
	world_free(w);
}

static void test_adaptive_steps_back_when_the_first_interval_is_too_long(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_ADAPTIVE);

	(void)state;
	live(w, 12 * SECOND, 120 * SECOND, 1800 * SECOND);
	assert_in_range(w->binding->keep_alive_s, 5, 12);
	/* From now on it is never out of reach. */
	assert_true(live(w, 12 * SECOND, 120 * SECOND, 3600 * SECOND) < 12 * SECOND);
	assert_int_equal(w->binding->unreachable, 0);
	world_free(w);
}

static void test_a_phone_that_was_switched_off_and_on_says_nothing_of_the_nat(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_ADAPTIVE);

	(void)state;
	pass_until_asked(w, INTERVAL * SECOND + 100);
	fixture_pass(w->f, 33 * SECOND);
	assert_int_equal(w->binding->unreachable, 1);
	registers(w, "192.0.2.9:6000", "reg2");
	assert_int_equal(w->binding->keep_alive_s, INTERVAL);
	/* The same phone elsewhere: that was the NAT. */
	w->f->sent_count = w->looked = 0;
	pass_until_asked(w, INTERVAL * SECOND + 100);
	fixture_pass(w->f, 33 * SECOND);
	registers(w, "192.0.2.9:7000", "reg2");
	assert_in_range(w->binding->keep_alive_s, INTERVAL / 2 - 2, INTERVAL / 2);
	world_free(w);
}

static void test_phones_that_registered_together_are_not_asked_together(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OPTIONS);
	enum { PHONES = 80 };
	struct binding *phone[PHONES];
	unsigned most = 0, count = 0;

	(void)state;
	for (unsigned i = 0; i < PHONES; i++) {
		phone[i] = binding_at(w, "192.0.2.11:5070", "reg", 1000 + i);
		keep_alive_start(&w->f->shard, NULL, phone[i]);
	}
	for (unsigned t = 0; t < INTERVAL * SECOND + 100; t += 100) {
		unsigned before = w->f->sent_count;

		fixture_pass(w->f, 100);
		count = 0;
		for (unsigned i = before; i < w->f->sent_count; i++)
			count += fixture_sent_starts(w->f, i, "OPTIONS");
		if (count > most)
			most = count;
		if (w->f->sent_count > 150)
			w->f->sent_count = 0;
	}
	assert_in_range(most, 1, PHONES / 4);
	for (unsigned i = 0; i < PHONES; i++) {
		keep_alive_stop(&w->f->shard, phone[i]);
		binding_put(phone[i]);
	}
	world_free(w);
}

/* Who has sent a message is looked up once for it; whom others are is looked up all the same. */
static void test_whose_message_it_is_is_known_while_it_is_dealt_with(void **state)
{
	struct world *w = world_new(CONFIG_KEEP_ALIVE_OFF);
	struct shard *shard = &w->f->shard;
	struct sip_flow other = w->f->peer;
	struct binding *found;

	(void)state;
	address_set_port(&other.remote, 5099);
	keep_alive_listen(shard, &w->f->peer);
	assert_true(location_remove(shard->shared.location, w->binding));
	found = keep_alive_phone(shard, &w->f->peer);
	assert_ptr_equal(found, w->binding);
	binding_put(found);
	assert_null(keep_alive_phone(shard, &other));
	keep_alive_listened(shard);
	assert_null(keep_alive_phone(shard, &w->f->peer));
	/* Of a stranger, too. */
	keep_alive_listen(shard, &w->f->peer);
	assert_int_equal(location_replace(shard->shared.location, NULL, w->binding), 0);
	assert_null(keep_alive_phone(shard, &w->f->peer));
	keep_alive_listened(shard);
	found = keep_alive_phone(shard, &w->f->peer);
	assert_ptr_equal(found, w->binding);
	binding_put(found);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_go_by_the_flow_to_the_contact_as_it_was_written),
		cmocka_unit_test(test_an_answer_is_life_and_the_next_is_due_an_interval_later),
		cmocka_unit_test(test_whatever_comes_by_the_flow_puts_it_off),
		cmocka_unit_test(test_silence_is_asked_as_timer_e_says_and_then_the_phone_is_gone),
		cmocka_unit_test(test_a_phone_that_is_heard_otherwise_is_there),
		cmocka_unit_test(test_an_answer_from_elsewhere_is_none),
		cmocka_unit_test(test_crlf_mode_sends_line_ends_and_expects_nothing),
		cmocka_unit_test(test_nothing_is_sent_when_it_is_off_or_there_is_no_nat),
		cmocka_unit_test(test_whose_message_it_is_is_known_while_it_is_dealt_with),
		cmocka_unit_test(test_what_is_stopped_is_asked_no_more),
		cmocka_unit_test(
			test_adaptive_grows_while_answers_come_and_never_loses_a_phone_for_an_interval),
		cmocka_unit_test(test_adaptive_steps_back_when_the_first_interval_is_too_long),
		cmocka_unit_test(test_a_phone_that_was_switched_off_and_on_says_nothing_of_the_nat),
		cmocka_unit_test(test_phones_that_registered_together_are_not_asked_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
