/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics: what each kind of call counts, where, and that names keep what was counted when the configuration changes. */
#include "controlplane/agent.h"
#include "controlplane/leg.h"
#include "controlplane/load.h"
#include "controlplane/location.h"
#include "controlplane/record.h"
#include "controlplane/statistics.h"
#include "tests/unit/controlplane/call_fixture.h"

enum { AGENTS = 2, SYSTEM = 0, REALM = 1, AGENT_A = 2, AGENT_B = 3 };
enum { IN = CP_STATISTICS_IN, OUT = CP_STATISTICS_OUT };

struct counted_world {
	struct call_world *w;
	struct config_session_agent agent[AGENTS];
	const struct config_session_agent *member[AGENTS];
	struct config_session_group group;
	unsigned retry_on[2];
	struct sip_flow peer[AGENTS];
	struct statistics *statistics;
};

static char invite[FIXTURE_TEXT_MAX], second[FIXTURE_TEXT_MAX];

static int setup(void **state)
{
	static char names[AGENTS][8] = { "a", "b" }, empty[] = "";
	struct counted_world *c = calloc(1, sizeof(*c));
	struct fixture *f;

	c->w = world_new();
	f = c->w->f;
	for (unsigned i = 0; i < AGENTS; i++) {
		char text[32];

		snprintf(text, sizeof(text), "192.0.2.%u:5080", 10 + i);
		c->peer[i] = f->other;
		assert_int_equal(address_parse(span_from(text), 0, &c->peer[i].remote), 0);
		c->agent[i] = (struct config_session_agent){
			.name = names[i], .realm = &f->realm, .username = empty, .password = empty
		};
		c->agent[i].address.address = c->peer[i].remote;
		c->member[i] = &c->agent[i];
	}
	c->retry_on[0] = 503;
	c->group = (struct config_session_group){ .name = names[0],
		.agents = c->member,
		.agent_count = AGENTS,
		.retry_on = c->retry_on,
		.retry_on_count = 1,
		.attempt_timeout_ms = 2000 };
	f->config.realms = &f->realm;
	f->config.realms_count = 1;
	f->config.session_agents = c->agent;
	f->config.session_agents_count = AGENTS;
	f->config.session_groups = &c->group;
	f->config.session_groups_count = 1;
	c->w->policy.agent = &c->agent[0];
	c->w->policy.group = &c->group;
	c->statistics = statistics_new(&f->config, 1);
	f->shard.shared.statistics = c->statistics;
	assert_int_equal(agent_table_open(&f->shard), 0);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct counted_world *c = *state;

	agent_table_close(&c->w->f->shard);
	world_free(c->w);
	statistics_free(c->statistics);
	free(c);
	return 0;
}

static struct cp_statistics read_entry(const struct counted_world *c, size_t entry)
{
	struct cp_statistics out;
	size_t agent;

	assert_true(entry < statistics_count(c->statistics));
	statistics_read(c->statistics, entry, &out, &agent);
	return out;
}

struct expected {
	uint64_t attempts, effective, answered, ended, rang, refused;
	uint32_t now, most;
};

static void assert_counts(
	const struct counted_world *c, size_t entry, unsigned way, const struct expected *expected)
{
	struct cp_statistics out = read_entry(c, entry);
	const struct cp_statistics_calls *calls = &out.calls[way];

	assert_int_equal(calls->attempts, expected->attempts);
	assert_int_equal(calls->effective, expected->effective);
	assert_int_equal(calls->answered, expected->answered);
	assert_int_equal(calls->ended, expected->ended);
	assert_int_equal(calls->rang, expected->rang);
	assert_int_equal(calls->refused, expected->refused);
	assert_int_equal(calls->now, expected->now);
	assert_int_equal(calls->most, expected->most);
}

#define EXPECT(entry, way, ...) assert_counts(c, entry, way, &(struct expected){ __VA_ARGS__ })

/* The system and the realm of both legs have the same. */
#define EXPECT_ALL(way, ...)                        \
	do {                                        \
		EXPECT(SYSTEM, (way), __VA_ARGS__); \
		EXPECT(REALM, (way), __VA_ARGS__);  \
	} while (0)

static void invite_agent(struct counted_world *c, unsigned i)
{
	caller_sends(c->w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(c->w, &c->w->f->peer, "SIP/2.0 100 ");
	fake_answer_all();
	snprintf(invite, sizeof(invite), "%s", take(c->w, &c->peer[i], "INVITE "));
}

static void answer(struct counted_world *c, unsigned i, const char *request)
{
	respond(c->w, &c->peer[i], request, 200, "yes", "", PBX_SDP);
	take(c->w, &c->peer[i], "ACK ");
	note_tag(c->w, take(c->w, &c->w->f->peer, "SIP/2.0 200 "));
	caller_sends(c->w, "ACK", 1, c->w->caller_tag, "", NO_SDP);
	fake_answer_all();
}

static void hang_up(struct counted_world *c, unsigned i)
{
	caller_sends(c->w, "BYE", 2, c->w->caller_tag, "", NO_SDP);
	respond(c->w, &c->peer[i], take(c->w, &c->peer[i], "BYE "), 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&c->w->f->shard), 0);
}

static void refused_with(struct counted_world *c, const char *start)
{
	take(c->w, &c->w->f->peer, start);
	caller_sends(c->w, "ACK", 1, "x", "", NO_SDP);
	fake_answer_all();
	assert_int_equal(call_count(&c->w->f->shard), 0);
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

static void a_call_is_counted_when_it_comes_is_answered_and_ends(void **state)
{
	struct counted_world *c = *state;

	invite_agent(c, 0);
	EXPECT_ALL(IN, .now = 1, .most = 1);
	EXPECT_ALL(OUT, .now = 1, .most = 1);
	EXPECT(AGENT_A, OUT, .now = 1, .most = 1);
	EXPECT(AGENT_A, IN, 0);
	respond(c->w, &c->peer[0], invite, 180, "yes", "", NO_SDP);
	EXPECT(AGENT_A, OUT, .rang = 1, .now = 1, .most = 1);
	EXPECT_ALL(IN, .rang = 1, .now = 1, .most = 1);
	answer(c, 0, invite);
	EXPECT_ALL(IN, .attempts = 1, .effective = 1, .answered = 1, .rang = 1, .now = 1, .most = 1);
	EXPECT(AGENT_A, OUT, .attempts = 1, .effective = 1, .answered = 1, .rang = 1, .now = 1, .most = 1);
	hang_up(c, 0);
	EXPECT_ALL(IN, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
	EXPECT_ALL(OUT, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
	EXPECT(AGENT_A, OUT, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
	EXPECT(AGENT_B, OUT, 0);
}

static void busy_is_effective_and_not_answered(void **state)
{
	struct counted_world *c = *state;

	invite_agent(c, 0);
	respond(c->w, &c->peer[0], invite, 486, "no", "", NO_SDP);
	refused_with(c, "SIP/2.0 486 ");
	EXPECT_ALL(IN, .attempts = 1, .effective = 1, .most = 1);
	EXPECT(AGENT_A, OUT, .attempts = 1, .effective = 1, .most = 1);
}

static void what_the_network_cannot_do_is_not_effective(void **state)
{
	struct counted_world *c = *state;

	invite_agent(c, 0);
	respond(c->w, &c->peer[0], invite, 500, "no", "", NO_SDP);
	refused_with(c, "SIP/2.0 500 ");
	EXPECT_ALL(IN, .attempts = 1, .most = 1);
	EXPECT(AGENT_A, OUT, .attempts = 1, .most = 1);
}

static void give_up(struct counted_world *c)
{
	invite_agent(c, 0);
	caller_sends(c->w, "CANCEL", 1, NULL, "", NO_SDP);
	take(c->w, &c->w->f->peer, "SIP/2.0 487 ");
	caller_sends(c->w, "ACK", 1, "x", "", NO_SDP);
}

static void given_up_by_the_caller_is_effective(void **state)
{
	struct counted_world *c = *state;

	invite_agent(c, 0);
	respond(c->w, &c->peer[0], invite, 180, "yes", "", NO_SDP);
	caller_sends(c->w, "CANCEL", 1, NULL, "", NO_SDP);
	take(c->w, &c->w->f->peer, "SIP/2.0 487 ");
	respond(c->w, &c->peer[0], take(c->w, &c->peer[0], "CANCEL "), 200, NULL, "", NO_SDP);
	respond(c->w, &c->peer[0], invite, 487, "yes", "", NO_SDP);
	fake_answer_all();
	EXPECT_ALL(IN, .attempts = 1, .effective = 1, .rang = 1, .most = 1);
	EXPECT(AGENT_A, OUT, .attempts = 1, .effective = 1, .rang = 1, .most = 1);
}

static void an_agent_that_says_nothing_until_the_caller_gives_up_is_not_effective(void **state)
{
	struct counted_world *c = *state;

	give_up(c);
	fixture_pass(c->w->f, 64000);
	fake_answer_all();
	assert_int_equal(call_count(&c->w->f->shard), 0);
	EXPECT_ALL(IN, .attempts = 1, .effective = 1, .most = 1);
	EXPECT(AGENT_A, OUT, .attempts = 1, .most = 1);
}

static void what_we_refuse_is_refused_and_was_never_at_the_agent(void **state)
{
	struct counted_world *c = *state;

	c->agent[0].max_sessions = 1;
	invite_agent(c, 0);
	answer(c, 0, invite);
	fixture_receive(c->w->f, &c->w->f->peer,
		"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKother\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:bob@192.0.2.9>;tag=from2\r\nTo: <sip:1000@192.0.2.1>\r\n"
		"Call-ID: call2@192.0.2.9\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@192.0.2.9:5070>\r\n"
		"Content-Length: 0\r\n\r\n");
	take(c->w, &c->w->f->peer, "SIP/2.0 503 ");
	EXPECT(AGENT_A, OUT, .attempts = 1, .effective = 1, .answered = 1, .rang = 1, .refused = 1, .now = 1,
		.most = 1);
	EXPECT(REALM, IN, .attempts = 2, .effective = 1, .answered = 1, .rang = 1, .refused = 1, .now = 1,
		.most = 2);
}

static void no_route_is_refused(void **state)
{
	struct counted_world *c = *state;

	c->w->f->config.local_policies_count = 0;
	caller_sends(c->w, "INVITE", 1, NULL, "", PHONE_SDP);
	refused_with(c, "SIP/2.0 404 ");
	EXPECT_ALL(IN, .attempts = 1, .refused = 1, .most = 1);
	EXPECT_ALL(OUT, 0);
}

static void each_agent_that_is_asked_has_an_attempt(void **state)
{
	struct counted_world *c = *state;

	c->w->policy.next_hop = CONFIG_NEXT_HOP_GROUP;
	invite_agent(c, 0);
	respond(c->w, &c->peer[0], invite, 503, "no", "", NO_SDP);
	take(c->w, &c->peer[0], "ACK ");
	snprintf(second, sizeof(second), "%s", take(c->w, &c->peer[1], "INVITE "));
	EXPECT(AGENT_A, OUT, .attempts = 1, .most = 1);
	answer(c, 1, second);
	hang_up(c, 1);
	EXPECT(AGENT_B, OUT, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
	EXPECT(SYSTEM, OUT, .attempts = 2, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
	EXPECT(SYSTEM, IN, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
}

static void branches_of_one_invite_are_one_attempt(void **state)
{
	struct counted_world *c = *state;

	invite_agent(c, 0);
	respond(c->w, &c->peer[0], invite, 180, "pbx1", "", NO_SDP);
	respond(c->w, &c->peer[0], invite, 183, "pbx2", "", PBX_SDP);
	answer(c, 0, invite);
	hang_up(c, 0);
	EXPECT(AGENT_A, OUT, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
	EXPECT_ALL(IN, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
}

static void a_challenge_is_a_step_and_no_attempt(void **state)
{
	struct counted_world *c = *state;

	invite_agent(c, 0);
	respond(c->w, &c->peer[0], invite, 407, "no",
		"Proxy-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n", NO_SDP);
	refused_with(c, "SIP/2.0 407 ");
	EXPECT_ALL(IN, .most = 1);
	EXPECT(AGENT_A, OUT, .most = 1);
}

static void credentials_that_are_refused_are_a_failed_attempt(void **state)
{
	static char user[] = "u", password[] = "p";
	struct counted_world *c = *state;

	c->agent[0].username = user;
	c->agent[0].password = password;
	invite_agent(c, 0);
	respond(c->w, &c->peer[0], invite, 401, "no", "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n",
		NO_SDP);
	snprintf(second, sizeof(second), "%s", take(c->w, &c->peer[0], "INVITE "));
	EXPECT(AGENT_A, OUT, .now = 1, .most = 1);
	respond(c->w, &c->peer[0], second, 401, "no", "WWW-Authenticate: Digest realm=\"x\", nonce=\"2\"\r\n",
		NO_SDP);
	refused_with(c, "SIP/2.0 403 ");
	EXPECT(AGENT_A, OUT, .attempts = 1, .most = 1);
}

static void calls_of_an_agent_are_its_own_way_in(void **state)
{
	struct counted_world *c = *state;

	c->w->policy.agent = &c->agent[1];
	c->agent[0].address.address = c->w->f->peer.remote;
	invite_agent(c, 1);
	answer(c, 1, invite);
	hang_up(c, 1);
	EXPECT(AGENT_A, IN, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
	EXPECT(AGENT_A, OUT, 0);
	EXPECT(AGENT_B, OUT, .attempts = 1, .effective = 1, .answered = 1, .ended = 1, .rang = 1, .most = 1);
}

static void shards_are_added_up_and_the_most_at_once_is_that_of_all(void **state)
{
	struct counted_world *c = *state;
	struct statistics *both = statistics_new(&c->w->f->config, 2);
	struct shard shards[2] = { { .index = 0, .count = 2 }, { .index = 1, .count = 2 } };
	struct leg legs[2] = { 0 };
	struct cp_statistics out;
	size_t agent;

	for (unsigned i = 0; i < 2; i++) {
		shards[i].shared.statistics = both;
		legs[i].shard = &shards[i];
		legs[i].realm = &c->w->f->realm;
		legs[i].agent = &c->agent[0];
		statistics_begin(&legs[i], OUT);
	}
	statistics_answered(&legs[1]);
	statistics_read(both, AGENT_A, &out, &agent);
	assert_int_equal(out.calls[OUT].now, 2);
	statistics_end(&legs[0]);
	statistics_end(&legs[1]);
	statistics_end(&legs[1]);
	statistics_read(both, AGENT_A, &out, &agent);
	assert_int_equal(agent, 0);
	assert_int_equal(out.calls[OUT].now, 0);
	assert_int_equal(out.calls[OUT].most, 2);
	assert_int_equal(out.calls[OUT].attempts, 2);
	assert_int_equal(out.calls[OUT].answered, 1);
	assert_int_equal(out.calls[OUT].ended, 1);
	statistics_free(both);
}

/* --- media -------------------------------------------------------------------------------------------------------------- */

static uint64_t sum(const uint64_t classes[CP_QUALITY_CLASSES])
{
	uint64_t all = 0;

	for (unsigned i = 0; i < CP_QUALITY_CLASSES; i++)
		all += classes[i];
	return all;
}

static void quality_goes_to_the_class_whose_bound_it_does_not_exceed(void **state)
{
	struct counted_world *c = *state;
	struct statistics_place place = statistics_place(c->statistics, &c->w->f->realm, &c->agent[1]);
	const struct media_quality fine = { true, true, true, 430, 0, 600 },
				   bad = { true, true, true, 431, 1001, 101000 },
				   silent = { .has_loss = true, .loss = 50 };
	struct cp_statistics out;

	statistics_quality(&c->w->f->shard, place, &fine);
	statistics_quality(&c->w->f->shard, place, &bad);
	statistics_quality(&c->w->f->shard, place, &silent);
	for (size_t entry = SYSTEM; entry <= AGENT_B; entry++) {
		out = read_entry(c, entry);
		if (entry == AGENT_A) {
			assert_int_equal(sum(out.quality.mos), 0);
			continue;
		}
		assert_int_equal(out.quality.mos[6], 1);
		assert_int_equal(out.quality.mos[7], 1);
		assert_int_equal(out.quality.mos_sum, 861);
		assert_int_equal(out.quality.loss[0], 1);
		assert_int_equal(out.quality.loss[2], 1);
		assert_int_equal(out.quality.loss[7], 1);
		assert_int_equal(out.quality.jitter[0], 1);
		assert_int_equal(out.quality.jitter[7], 1);
		assert_int_equal(sum(out.quality.jitter), 2);
	}
}

static void quality_is_what_the_record_says(void **state)
{
	struct media_quality quality;
	struct record record;

	(void)state;
	record_init(&record, 1);
	quality = record_quality(&record, LEG_CALLED);
	assert_false(quality.has_mos || quality.has_loss || quality.has_jitter);
	record_number(&record, CP_RECORD_CALLEE_PACKETS, 990);
	record_number(&record, CP_RECORD_CALLEE_LOST, 10);
	record_number(&record, CP_RECORD_CALLEE_JITTER, 2100);
	record_number(&record, CP_RECORD_CALLEE_MOS, 412);
	quality = record_quality(&record, LEG_CALLED);
	assert_true(quality.has_mos && quality.has_loss && quality.has_jitter);
	assert_int_equal(quality.loss, 100);
	assert_int_equal(quality.jitter_us, 2100);
	assert_int_equal(quality.mos, 412);
	assert_false(record_quality(&record, LEG_CALLER).has_loss);
}

/* --- phones ------------------------------------------------------------------------------------------------------------- */

static void phones_count_at_their_realm_and_registrar_while_they_are_registered(void **state)
{
	struct counted_world *c = *state;
	struct location *location;
	struct binding model = { .interface = &c->w->f->interface,
		.agent = &c->agent[0],
		.aor = SPAN("alice@example.org"),
		.expires_wall_ms = UINT64_MAX };
	struct binding *one, *two;

	c->w->f->config.registration.max_bindings = 10;
	c->w->f->config.registration.max_contacts = 10;
	location = location_new(&c->w->f->config);
	location_statistics(location, c->statistics);
	model.flow.remote = c->w->f->peer.remote;
	one = binding_new(&model);
	two = binding_new(&model);
	assert_int_equal(location_replace(location, NULL, one), 0);
	assert_int_equal(read_entry(c, REALM).registrations, 1);
	assert_int_equal(read_entry(c, AGENT_A).registrations, 1);
	assert_int_equal(read_entry(c, AGENT_B).registrations, 0);
	assert_int_equal(location_replace(location, one, two), 0);
	assert_int_equal(read_entry(c, SYSTEM).registrations, 1);
	assert_true(location_remove(location, two));
	assert_int_equal(read_entry(c, AGENT_A).registrations, 0);
	binding_put(one);
	binding_put(two);
	location_free(location);
}

/* --- another configuration ------------------------------------------------------------------------------------------------ */

static void move_to(struct counted_world *c, const struct config *next)
{
	assert_int_equal(statistics_prepare(c->statistics, next), 0);
	statistics_move(c->statistics);
	statistics_settle(c->statistics);
}

static void names_keep_what_was_counted_wherever_they_move_to(void **state)
{
	enum { MANY = 200 };
	struct counted_world *c = *state;
	static struct config_session_agent agents[MANY];
	static char names[MANY][16];
	struct config next = c->w->f->config;
	struct cp_statistics out;
	size_t agent;

	invite_agent(c, 0);
	/* While a call is up: "a" goes to the end, "b" is gone, many are added. */
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), i == MANY - 1 ? "a" : "new%u", i);
		agents[i] = c->agent[0];
		agents[i].name = names[i];
	}
	next.session_agents = agents;
	next.session_agents_count = MANY;
	move_to(c, &next);
	assert_int_equal(statistics_count(c->statistics), 2 + MANY);
	statistics_read(c->statistics, 2 + MANY - 1, &out, &agent);
	assert_string_equal(out.name, "a");
	assert_int_equal(agent, MANY - 1);
	assert_int_equal(out.calls[OUT].now, 1);
	statistics_read(c->statistics, 2, &out, &agent);
	assert_string_equal(out.name, "new0");
	assert_int_equal(out.calls[OUT].most, 0);
	/* The call began with an agent of the older configuration, and ends where it was counted. */
	answer(c, 0, invite);
	hang_up(c, 0);
	statistics_read(c->statistics, 2 + MANY - 1, &out, &agent);
	assert_int_equal(out.calls[OUT].answered, 1);
	assert_int_equal(out.calls[OUT].now, 0);
	assert_int_equal(read_entry(c, SYSTEM).calls[IN].answered, 1);
}

static void a_name_that_has_gone_and_comes_back_goes_on_and_nobody_else_gets_its_slot(void **state)
{
	struct counted_world *c = *state;
	struct config_session_agent other = c->agent[0];
	static char name[] = "other";
	struct config without = c->w->f->config, next;

	invite_agent(c, 0);
	without.session_agents_count = 0;
	move_to(c, &without);
	assert_int_equal(statistics_count(c->statistics), 2);
	answer(c, 0, invite);
	hang_up(c, 0);
	other.name = name;
	next = without;
	next.session_agents = &other;
	next.session_agents_count = 1;
	move_to(c, &next);
	assert_string_equal(read_entry(c, 2).name, "other");
	assert_int_equal(read_entry(c, 2).calls[OUT].attempts, 0);
	move_to(c, &c->w->f->config);
	assert_string_equal(read_entry(c, AGENT_A).name, "a");
	assert_int_equal(read_entry(c, AGENT_A).calls[OUT].answered, 1);
	/* Changed its mind: nothing has happened. */
	assert_int_equal(statistics_prepare(c->statistics, &without), 0);
	statistics_abort(c->statistics);
	assert_int_equal(read_entry(c, AGENT_A).calls[OUT].answered, 1);
}

/* --- load ----------------------------------------------------------------------------------------------------------------- */

static void the_load_has_memory_and_the_time_of_each_thread(void **state)
{
	static struct cp_load load;
	volatile uint64_t work = 0;

	(void)state;
	for (unsigned i = 0; i < 200 && (load.threads == 0 || load.thread[0].cpu_us == 0); i++) {
		for (unsigned k = 0; k < 1000000; k++)
			work += k;
		load_read(&load);
	}
	assert_true(load.threads >= 1);
	assert_string_equal(load.thread[0].name, "main");
	assert_true(load.thread[0].cpu_us > 0);
	assert_true(load.rss_octets > 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_call_is_counted_when_it_comes_is_answered_and_ends),
		TEST(busy_is_effective_and_not_answered),
		TEST(what_the_network_cannot_do_is_not_effective),
		TEST(given_up_by_the_caller_is_effective),
		TEST(an_agent_that_says_nothing_until_the_caller_gives_up_is_not_effective),
		TEST(what_we_refuse_is_refused_and_was_never_at_the_agent),
		TEST(no_route_is_refused),
		TEST(each_agent_that_is_asked_has_an_attempt),
		TEST(branches_of_one_invite_are_one_attempt),
		TEST(a_challenge_is_a_step_and_no_attempt),
		TEST(credentials_that_are_refused_are_a_failed_attempt),
		TEST(calls_of_an_agent_are_its_own_way_in),
		TEST(shards_are_added_up_and_the_most_at_once_is_that_of_all),
		TEST(quality_goes_to_the_class_whose_bound_it_does_not_exceed),
		TEST(quality_is_what_the_record_says),
		TEST(phones_count_at_their_realm_and_registrar_while_they_are_registered),
		TEST(names_keep_what_was_counted_wherever_they_move_to),
		TEST(a_name_that_has_gone_and_comes_back_goes_on_and_nobody_else_gets_its_slot),
#undef TEST
		cmocka_unit_test(the_load_has_memory_and_the_time_of_each_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
