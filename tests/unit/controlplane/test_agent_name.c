/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of agents: the order of their addresses, when DNS is asked again, what holds without it, and whom the dataplane trusts. */
#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/agent.h"
#include "controlplane/agent_name.h"
#include "controlplane/route.h"
#include "tests/unit/controlplane/dataplane_fixture.h"

enum { MIN_TTL = 10, MAX_TTL = 1000, STALE = 500, RETRY = 5, AGENTS = 3 };

static struct {
	unsigned asked;
	struct resolver_question question; /* the last one */
	resolver_done done[AGENTS]; /* by agent: NULL: nothing under way */
	void *arg[AGENTS];
	struct fixture *f;
	struct config_session_agent agent[AGENTS];
} world;

static char first[] = "one.example", second[] = "two.example", literal[] = "192.0.2.77";

static int resolve(const struct resolver_question *question, resolver_done done, void *arg)
{
	unsigned i = strcmp(question->host, first) == 0 ? 0 : 1;

	world.asked++;
	world.question = *question;
	assert_null(world.done[i]);
	world.done[i] = done;
	world.arg[i] = arg;
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = fixture_new(NULL);

	(void)state;
	memset(&world, 0, sizeof(world));
	fake_reset();
	world.f = f;
	for (unsigned i = 0; i < AGENTS; i++)
		world.agent[i] = (struct config_session_agent){ .name = first, .realm = &f->realm };
	world.agent[0].address.host = first;
	world.agent[1].address.host = second;
	world.agent[1].address.port = 5090;
	world.agent[2].address.host = literal;
	assert_int_equal(address_parse(SPAN("192.0.2.77:5060"), 0, &world.agent[2].address.address), 0);
	f->config.session_agents = world.agent;
	f->config.session_agents_count = AGENTS;
	f->config.sip.dns_min_ttl = MIN_TTL;
	f->config.sip.dns_max_ttl = MAX_TTL;
	f->config.sip.dns_stale_time = STALE;
	f->config.sip.dns_retry = RETRY;
	f->config.sip.dns_max_addresses = 4;
	f->private.resolve = resolve;
	/* Any will do: the client is the test's. */
	f->shard.dataplane = (struct dp_client *)&fake;
	assert_int_equal(agent_table_open(&f->shard), 0);
	fixture_pass(f, 20);
	assert_int_equal(world.asked, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	agent_table_close(&world.f->shard);
	fake_answer_all();
	fixture_free(world.f);
	return 0;
}

static void answer(unsigned agent, enum resolver_outcome outcome, uint32_t ttl, const char *const *addresses)
{
	struct resolver_answer answer = { .outcome = outcome, .ttl = ttl };
	resolver_done done = world.done[agent];

	for (; addresses && addresses[answer.count]; answer.count++)
		assert_int_equal(address_parse(span_from(addresses[answer.count]), 5060,
					 &answer.address[answer.count].address),
			0);
	assert_non_null(done);
	world.done[agent] = NULL;
	done(world.arg[agent], &answer);
}

#define FOUND(agent, ttl, ...) answer(agent, RESOLVER_FOUND, ttl, (const char *const[]){ __VA_ARGS__, NULL })

static unsigned count_of(unsigned agent)
{
	union address list[RESOLVER_ADDRESSES_MAX];

	return agent_addresses(&world.f->shard, &world.agent[agent], list);
}

static const struct config_session_agent *by_source(const char *text)
{
	union address source;

	assert_int_equal(address_parse(span_from(text), 5060, &source), 0);
	return route_agent_by_source(&world.f->shard, &world.f->realm, &source);
}

static enum cp_agent_state state_of(unsigned agent, uint64_t *since, const char *expected)
{
	char text[ADDRESS_TEXT_MAX];
	union address address;
	enum cp_agent_state state = agent_state(&world.f->shard, &world.agent[agent], since, &address);

	assert_string_equal(address_is_set(&address) ? address_print(&address, text) : "", expected);
	return state;
}

static void an_agent_without_an_address_says_so_and_since_when(void **state)
{
	uint64_t since;

	(void)state;
	assert_int_equal(state_of(0, &since, ""), CP_AGENT_UNRESOLVED);
	assert_int_equal(since, 0);
	FOUND(0, 100, "192.0.2.50:5060", "192.0.2.51:5060");
	assert_int_equal(state_of(0, &since, "192.0.2.50:5060"), CP_AGENT_UNWATCHED);
	assert_true(since > 0);
	assert_int_equal(state_of(2, &since, "192.0.2.77:5060"), CP_AGENT_UNWATCHED);
	assert_int_equal(since, 0);
	fixture_pass(world.f, 100 * 1000);
	answer(0, RESOLVER_NONE, 0, NULL);
	assert_int_equal(state_of(0, &since, ""), CP_AGENT_UNRESOLVED);
	assert_true(since > 0);
}

/* Whether DNS is asked for it within that time. */
static bool is_asked_within(unsigned agent, uint64_t ms)
{
	fixture_pass(world.f, ms);
	return world.done[agent] != NULL;
}

static void a_name_leads_to_what_dns_says_until_it_says_otherwise(void **state)
{
	(void)state;
	assert_int_equal(count_of(0), 0);
	assert_null(by_source("192.0.2.50:5060"));
	FOUND(0, 100, "192.0.2.50:5060", "192.0.2.51:5060");
	assert_int_equal(count_of(0), 2);
	assert_ptr_equal(by_source("192.0.2.50:5060"), &world.agent[0]);
	assert_ptr_equal(by_source("192.0.2.51:40000"), &world.agent[0]);
	assert_true(is_asked_within(0, 100000));
	FOUND(0, 100, "192.0.2.52:5060");
	assert_null(by_source("192.0.2.50:5060"));
	assert_ptr_equal(by_source("192.0.2.52:5060"), &world.agent[0]);
}

static void what_is_configured_by_address_is_not_for_dns_to_take(void **state)
{
	(void)state;
	FOUND(0, 100, "192.0.2.77:5060");
	assert_ptr_equal(by_source("192.0.2.77:5060"), &world.agent[2]);
}

static void of_two_names_with_one_address_the_port_tells(void **state)
{
	(void)state;
	FOUND(0, 100, "192.0.2.50:5060");
	FOUND(1, 100, "192.0.2.50:5090");
	assert_ptr_equal(by_source("192.0.2.50:5060"), &world.agent[0]);
	assert_ptr_equal(by_source("192.0.2.50:5090"), &world.agent[1]);
	assert_ptr_equal(by_source("192.0.2.50:1"), &world.agent[0]);
}

static void a_contact_names_an_agent_by_its_name_or_by_where_it_leads(void **state)
{
	const struct shard *shard = &world.f->shard;

	(void)state;
	assert_ptr_equal(route_agent_by_uri(shard, SPAN("ONE.example"), 0), &world.agent[0]);
	assert_null(route_agent_by_uri(shard, SPAN("one.example"), 5080));
	assert_ptr_equal(route_agent_by_uri(shard, SPAN("two.example"), 5090), &world.agent[1]);
	assert_null(route_agent_by_uri(shard, SPAN("192.0.2.50"), 0));
	FOUND(0, 100, "192.0.2.50:5060");
	assert_ptr_equal(route_agent_by_uri(shard, SPAN("192.0.2.50"), 0), &world.agent[0]);
	assert_null(route_agent_by_uri(shard, SPAN("192.0.2.50"), 5080));
	assert_ptr_equal(route_agent_by_uri(shard, SPAN("192.0.2.77"), 0), &world.agent[2]);
}

static void an_answer_is_renewed_before_it_runs_out_within_floor_and_ceiling(void **state)
{
	(void)state;
	FOUND(0, 100, "192.0.2.50:5060");
	assert_false(is_asked_within(0, 74000));
	assert_true(is_asked_within(0, 2000));
	FOUND(0, 0, "192.0.2.50:5060");
	assert_false(is_asked_within(0, (MIN_TTL * 3 / 4 - 1) * 1000));
	assert_true(is_asked_within(0, 2000));
	FOUND(0, UINT32_MAX, "192.0.2.50:5060");
	assert_false(is_asked_within(0, (MAX_TTL * 3 / 4 - 1) * 1000));
	assert_true(is_asked_within(0, 2000));
}

static void while_dns_is_away_the_last_answer_holds_but_not_for_ever(void **state)
{
	uint64_t began;
	unsigned asked = world.asked;

	(void)state;
	FOUND(0, 100, "192.0.2.50:5060");
	began = fixture_now_ms;
	while (fixture_now_ms < began + (100 + STALE - 1) * 1000) {
		assert_int_equal(count_of(0), 1);
		fixture_pass(world.f, 1000);
		if (world.done[0])
			answer(0, RESOLVER_SILENT, 0, NULL);
	}
	/* Ever less often, in the end every 160 seconds. */
	assert_in_range(world.asked - asked, 5, 10);
	assert_int_equal(count_of(0), 1);
	fixture_pass(world.f, 2000);
	assert_int_equal(count_of(0), 0);
	assert_null(by_source("192.0.2.50:5060"));
	while (!world.done[0])
		fixture_pass(world.f, 1000);
	FOUND(0, 100, "192.0.2.50:5060");
	assert_int_equal(count_of(0), 1);
}

static void a_name_that_is_no_more_is_forgotten_at_once_and_asked_for_again(void **state)
{
	(void)state;
	FOUND(0, 100, "192.0.2.50:5060");
	assert_true(is_asked_within(0, 76000));
	answer(0, RESOLVER_NONE, 0, NULL);
	assert_int_equal(count_of(0), 0);
	for (unsigned wait = RETRY, i = 0; i < 8; i++) {
		assert_false(is_asked_within(0, (wait - 1) * 1000));
		assert_true(is_asked_within(0, 2000));
		answer(0, i % 2 ? RESOLVER_NONE : RESOLVER_SILENT, 0, NULL);
		if (wait < 32 * RETRY)
			wait *= 2;
	}
}

static void only_families_that_the_realm_listens_for_are_asked_for_and_taken(void **state)
{
	(void)state;
	assert_true(world.question.v4);
	assert_false(world.question.v6);
	assert_int_equal(world.question.port, 5090);
	FOUND(0, 100, "[2001:db8::1]:5060", "192.0.2.50:5060");
	assert_int_equal(count_of(0), 1);
	FOUND(1, 100, "[2001:db8::1]:5060");
	assert_int_equal(count_of(1), 0);
}

/* --- trust ------------------------------------------------------------------------------------------------------------ */

static void assert_key(const void *body, const char *host)
{
	const struct dp_source_key *key = body;
	union address address, expected;

	dp_address_to(&key->address, &address);
	assert_int_equal(address_parse_host(span_from(host), &expected), 0);
	assert_true(address_equal_host(&address, &expected));
	assert_int_equal(key->address.port, 0);
	assert_int_equal(key->length, 32);
}

static void the_dataplane_trusts_an_address_as_long_as_a_name_leads_there(void **state)
{
	struct dp_trust trust;

	(void)state;
	FOUND(0, 100, "192.0.2.50:5060");
	assert_key(fake_last(DP_TRUST_SET)->body, "192.0.2.50");
	memcpy(&trust, fake_last(DP_TRUST_SET)->body, sizeof(trust));
	assert_int_equal(trust.expires_us, UINT64_C(260000000));
	FOUND(1, 100, "192.0.2.50:5090");
	assert_true(is_asked_within(0, 76000));
	FOUND(0, 100, "192.0.2.51:5060");
	/* The other name leads there still: nothing but the new one. */
	assert_int_equal(fake.count, 3);
	assert_key(fake_last(DP_TRUST_SET)->body, "192.0.2.51");
	answer(1, RESOLVER_NONE, 0, NULL);
	assert_key(fake_last(DP_TRUST_CLEAR)->body, "192.0.2.50");
}

static void a_dataplane_that_comes_back_is_told_again(void **state)
{
	(void)state;
	fake.down = true;
	FOUND(0, 100, "192.0.2.50:5060");
	fake.down = false;
	assert_int_equal(fake.count, 0);
	agent_dataplane_up(&world.f->shard);
	assert_key(fake_last(DP_TRUST_SET)->body, "192.0.2.50");
	assert_int_equal(fake.count, 1);
}

/* --- order ------------------------------------------------------------------------------------------------------------ */

static uint32_t next_random;

static uint32_t scripted(uint32_t below)
{
	return next_random % below;
}

static uint32_t counting(uint32_t below)
{
	next_random += 7919;
	return next_random % below;
}

static void priorities_come_in_order_and_a_target_stays_together(void **state)
{
	static const struct resolved_address in[] = {
		{ .priority = 1, .weight = 0, .target = 0 },
		{ .priority = 1, .weight = 10, .target = 1 },
		{ .priority = 1, .weight = 10, .target = 1 },
		{ .priority = 2, .weight = 65535, .target = 2 },
		{ .priority = 2, .weight = 65535, .target = 3 },
	};
	struct resolved_address list[5];
	union address out[5];
	unsigned firsts[5] = { 0 };

	(void)state;
	memcpy(list, in, sizeof(in));
	for (unsigned i = 0; i < 5; i++)
		address_set_port(
			(list[i].address.sa.sa_family = AF_INET, &list[i].address), (uint16_t)(i + 1));
	for (next_random = 0; next_random < 2570; next_random++) {
		agent_names_order(list, 5, scripted, out);
		firsts[address_port(&out[0]) - 1]++;
		for (unsigned i = 0; i < 5; i++)
			if (address_port(&out[i]) == 2)
				assert_int_equal(address_port(&out[i + 1]), 3);
		assert_in_range(address_port(&out[3]), 4, 5);
		assert_in_range(address_port(&out[4]), 4, 5);
		assert_int_not_equal(address_port(&out[3]), address_port(&out[4]));
	}
	/* Weight 0 has a chance, a small one. */
	assert_in_range(firsts[0], 1, 5);
	assert_int_equal(firsts[0] + firsts[1], 2570);
}

static void equal_priorities_are_shared_by_weight(void **state)
{
	struct resolved_address list[3] = { { .weight = 10, .target = 0 }, { .weight = 30, .target = 1 },
		{ .weight = 60, .target = 2 } };
	unsigned firsts[3] = { 0 };
	union address out[3];

	(void)state;
	next_random = 0;
	for (unsigned i = 0; i < 3; i++)
		address_set_port(
			(list[i].address.sa.sa_family = AF_INET, &list[i].address), (uint16_t)(i + 1));
	for (unsigned i = 0; i < 30000; i++) {
		agent_names_order(list, 3, counting, out);
		firsts[address_port(&out[0]) - 1]++;
	}
	assert_in_range(firsts[0], 2000, 4000);
	assert_in_range(firsts[1], 8000, 10000);
	assert_in_range(firsts[2], 17000, 19000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_leads_to_what_dns_says_until_it_says_otherwise),
		TEST(an_agent_without_an_address_says_so_and_since_when),
		TEST(what_is_configured_by_address_is_not_for_dns_to_take),
		TEST(of_two_names_with_one_address_the_port_tells),
		TEST(a_contact_names_an_agent_by_its_name_or_by_where_it_leads),
		TEST(an_answer_is_renewed_before_it_runs_out_within_floor_and_ceiling),
		TEST(while_dns_is_away_the_last_answer_holds_but_not_for_ever),
		TEST(a_name_that_is_no_more_is_forgotten_at_once_and_asked_for_again),
		TEST(only_families_that_the_realm_listens_for_are_asked_for_and_taken),
		TEST(the_dataplane_trusts_an_address_as_long_as_a_name_leads_there),
		TEST(a_dataplane_that_comes_back_is_told_again),
		cmocka_unit_test(priorities_come_in_order_and_a_target_stays_together),
		cmocka_unit_test(equal_priorities_are_shared_by_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
