/* SPDX-License-Identifier: BSD-3-Clause */
/* Agents over another configuration: what counts, who is silent and where names lead goes by name; who is new is asked, who is gone is not. */
#include "tests/unit/controlplane/sip_fixture.h"

#include <errno.h>

#include "controlplane/agent.h"
#include "controlplane/leg.h"
#include "tests/unit/controlplane/dataplane_fixture.h"
#include "tests/unit/controlplane/move_fixture.h"

#define FACE "sip-interface face { realm = test listen = { \"udp:192.0.2.1:5060\" } }\n"
#define HEAD MOVE_PLACE FACE
#define AGENT(name, address, more) \
	"session-agent " name " { realm = test address = \"udp:" address "\" " more " }\n"
#define LIVELY "options-interval = 10"

static struct {
	struct fixture *f;
	struct move_bed move;
	unsigned asked;
	char host[64]; /* asked for last */
	resolver_done done;
	void *arg;
} bed;

static int resolve(const struct resolver_question *question, resolver_done done, void *arg)
{
	bed.asked++;
	snprintf(bed.host, sizeof(bed.host), "%s", question->host);
	bed.done = done;
	bed.arg = arg;
	return 0;
}

static int setup(void **state)
{
	static const struct transaction_core core = { 0 };

	(void)state;
	memset(&bed, 0, sizeof(bed));
	fake_reset();
	bed.f = fixture_new(&core);
	bed.f->private.resolve = resolve;
	/* Any will do: the client is the test's. */
	bed.f->shard.dataplane = (struct dp_client *)&fake;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	agent_table_close(&bed.f->shard);
	fake_answer_all();
	fixture_free(bed.f);
	move_close(&bed.move);
	return 0;
}

static void start(const char *text)
{
	move_open(&bed.move, text);
	bed.f->shard.config = bed.move.config;
	bed.f->peer.listener->interface = &bed.move.config->sip_interfaces[0];
	assert_int_equal(agent_table_open(&bed.f->shard), 0);
}

/* `text` NULL: as when it is looked who needs older ones. Legs are moved by the test. */
static void change_to(const char *text, const struct config_session_agent **leg)
{
	struct config_move *move = move_begin(&bed.move, text);

	if (text)
		assert_int_equal(agent_table_prepare(&bed.f->shard, move, NULL), 0);
	bed.f->shard.config = config_move_to(move);
	config_move_sip_interface(move, &bed.f->peer.listener->interface);
	agent_table_move(&bed.f->shard, move);
	if (leg)
		config_move_session_agent(move, leg);
	agent_table_settle(&bed.f->shard);
	move_end(&bed.move);
}

static const struct config_session_agent *agent(const char *name)
{
	for (size_t i = 0; i < bed.move.config->session_agents_count; i++)
		if (strcmp(bed.move.config->session_agents[i].name, name) == 0)
			return &bed.move.config->session_agents[i];
	fail_msg("%s", name);
	return NULL;
}

static unsigned options_to(const char *host)
{
	unsigned count = 0;

	for (unsigned i = 0; i < bed.f->sent_count; i++) {
		char text[ADDRESS_TEXT_MAX];

		address_print(&bed.f->sent[i].to, text);
		count += strncmp(bed.f->sent[i].text, "OPTIONS ", 8) == 0 && strcmp(text, host) == 0;
	}
	return count;
}

/* Until the first OPTIONS of everybody have been given up. */
static void nobody_answers(void)
{
	fixture_pass(bed.f, 1000 + 64 * bed.f->config.sip.t1_ms + 1000);
}

static void calls_count_by_name(void **state)
{
	struct leg leg = { .shard = &bed.f->shard }, more = { .shard = &bed.f->shard };

	(void)state;
	start(HEAD AGENT("pbx", "192.0.2.10:5060", "max-sessions = 1"));
	leg.agent = agent("pbx");
	assert_int_equal(agent_take(&leg, true), 0);
	change_to(HEAD AGENT("before", "192.0.2.9:5060", "")
			  AGENT("pbx", "192.0.2.10:5060", "max-sessions = 1"),
		&leg.agent);
	assert_ptr_equal(leg.agent, agent("pbx"));
	assert_int_equal(agent_sessions(&bed.f->shard, agent("pbx")), 1);
	assert_int_equal(agent_sessions(&bed.f->shard, agent("before")), 0);
	more.agent = agent("pbx");
	assert_int_equal(agent_take(&more, true), -EUSERS);
	agent_give(&leg);
	assert_int_equal(agent_take(&more, true), 0);
	agent_give(&more);
}

static void calls_count_with_one_that_was_away(void **state)
{
	struct leg leg = { .shard = &bed.f->shard }, late = { .shard = &bed.f->shard };

	(void)state;
	start(HEAD AGENT("pbx", "192.0.2.10:5060", ""));
	late.agent = leg.agent = agent("pbx");
	assert_int_equal(agent_take(&leg, true), 0);
	change_to(HEAD AGENT("other", "192.0.2.9:5060", ""), &leg.agent);
	late.agent = leg.agent;
	/* Nothing new begins with it, and nobody asks after it. */
	assert_int_equal(agent_take(&late, true), -EHOSTDOWN);
	assert_int_equal(agent_take(&late, false), 0);
	assert_false(late.holds_agent);
	assert_int_equal(agent_sessions(&bed.f->shard, leg.agent), 0);
	assert_false(agent_is_down(&bed.f->shard, leg.agent));
	change_to(HEAD AGENT("third", "192.0.2.9:5060", ""), &leg.agent);
	change_to(NULL, &leg.agent);
	change_to(HEAD AGENT("third", "192.0.2.9:5060", "") AGENT("pbx", "192.0.2.10:5060", ""), &leg.agent);
	assert_ptr_equal(leg.agent, agent("pbx"));
	assert_int_equal(agent_sessions(&bed.f->shard, agent("pbx")), 1);
	agent_give(&leg);
	assert_int_equal(agent_sessions(&bed.f->shard, agent("pbx")), 0);
}

static void one_that_is_away_for_good_is_forgotten_with_its_last_call(void **state)
{
	struct leg leg = { .shard = &bed.f->shard };

	(void)state;
	start(HEAD AGENT("pbx", "192.0.2.10:5060", ""));
	leg.agent = agent("pbx");
	assert_int_equal(agent_take(&leg, true), 0);
	change_to(HEAD, &leg.agent);
	agent_give(&leg);
	assert_false(leg.holds_agent);
	change_to(HEAD AGENT("pbx", "192.0.2.10:5060", ""), NULL);
	assert_int_equal(agent_sessions(&bed.f->shard, agent("pbx")), 0);
	assert_int_equal(config_snapshots_kept(bed.move.snapshots), 0);
}

static void silence_is_remembered_where_the_address_is_the_same(void **state)
{
	(void)state;
	start(HEAD AGENT("pbx", "192.0.2.10:5060", LIVELY));
	nobody_answers();
	assert_true(agent_is_down(&bed.f->shard, agent("pbx")));
	change_to(HEAD AGENT("a", "192.0.2.9:5060", "")
			  AGENT("pbx", "192.0.2.10:5060", "max-rate = 3 " LIVELY),
		NULL);
	assert_true(agent_is_down(&bed.f->shard, agent("pbx")));
	assert_false(agent_is_down(&bed.f->shard, agent("a")));
	change_to(HEAD AGENT("pbx", "192.0.2.11:5060", LIVELY), NULL);
	assert_false(agent_is_down(&bed.f->shard, agent("pbx")));
	assert_int_equal(options_to("192.0.2.11:5060"), 0);
	fixture_pass(bed.f, 1500);
	assert_true(options_to("192.0.2.11:5060") > 0);
	nobody_answers();
	assert_true(agent_is_down(&bed.f->shard, agent("pbx")));
	/* Not asked any more: it counts as alive. */
	change_to(HEAD AGENT("pbx", "192.0.2.11:5060", ""), NULL);
	assert_false(agent_is_down(&bed.f->shard, agent("pbx")));
}

static void the_new_are_asked_and_the_gone_are_not_even_while_they_are_being_asked(void **state)
{
	unsigned before;

	(void)state;
	start(HEAD AGENT("pbx", "192.0.2.10:5060", LIVELY));
	fixture_pass(bed.f, 1200);
	before = options_to("192.0.2.10:5060");
	assert_true(before > 0);
	/* Its transaction is under way. */
	change_to(HEAD AGENT("new", "192.0.2.12:5060", LIVELY), NULL);
	fixture_pass(bed.f, 1200);
	assert_true(options_to("192.0.2.12:5060") > 0);
	nobody_answers();
	before = options_to("192.0.2.10:5060");
	fixture_pass(bed.f, 30000);
	assert_int_equal(options_to("192.0.2.10:5060"), before);
}

static void a_shorter_interval_does_not_wait_for_the_longer_one(void **state)
{
	unsigned before;

	(void)state;
	start(HEAD AGENT("pbx", "192.0.2.10:5060", "options-interval = 3600"));
	nobody_answers();
	before = options_to("192.0.2.10:5060");
	change_to(HEAD AGENT("pbx", "192.0.2.10:5060", LIVELY), NULL);
	fixture_pass(bed.f, 12000);
	assert_true(options_to("192.0.2.10:5060") > before);
}

static void found(const char *address)
{
	struct resolver_answer answer = { .outcome = RESOLVER_FOUND, .ttl = 3600, .count = 1 };
	resolver_done done = bed.done;

	assert_non_null(done);
	assert_int_equal(address_parse(span_from(address), 5060, &answer.address[0].address), 0);
	bed.done = NULL;
	done(bed.arg, &answer);
}

static unsigned addresses_of(const char *name)
{
	union address list[RESOLVER_ADDRESSES_MAX];

	return agent_addresses(&bed.f->shard, agent(name), list);
}

static void what_dns_has_said_holds_for_the_same_name_and_another_is_asked_at_once(void **state)
{
	(void)state;
	start(HEAD AGENT("pbx", "one.example", ""));
	fixture_pass(bed.f, 20);
	assert_int_equal(bed.asked, 1);
	found("192.0.2.50:5060");
	change_to(HEAD AGENT("a", "192.0.2.9:5060", "") AGENT("pbx", "one.example", "max-rate = 3"), NULL);
	fixture_pass(bed.f, 1000);
	assert_int_equal(bed.asked, 1);
	assert_int_equal(addresses_of("pbx"), 1);
	assert_int_equal(addresses_of("a"), 1);
	change_to(HEAD AGENT("pbx", "two.example", ""), NULL);
	/* Its address is trusted no more. */
	assert_int_equal(fake_last(DP_TRUST_CLEAR)->type, DP_TRUST_CLEAR);
	assert_int_equal(addresses_of("pbx"), 0);
	fixture_pass(bed.f, 20);
	assert_int_equal(bed.asked, 2);
	assert_string_equal(bed.host, "two.example");
	/* The answer comes after another change. */
	change_to(HEAD AGENT("a", "192.0.2.9:5060", "") AGENT("pbx", "two.example", ""), NULL);
	found("192.0.2.51:5060");
	assert_int_equal(addresses_of("pbx"), 1);
	change_to(HEAD, NULL);
	fixture_pass(bed.f, 4000000);
	assert_int_equal(bed.asked, 2);
}

static void other_servers_are_asked_at_once(void **state)
{
	(void)state;
	start(HEAD AGENT("pbx", "one.example", ""));
	fixture_pass(bed.f, 20);
	found("192.0.2.50:5060");
	change_to(HEAD AGENT("pbx", "one.example", "") "sip-config { dns-servers = { \"192.0.2.53\" } }\n",
		NULL);
	assert_int_equal(addresses_of("pbx"), 1);
	fixture_pass(bed.f, 20);
	assert_int_equal(bed.asked, 2);
}

static void a_preparation_that_is_given_up_leaves_everything_as_it_was(void **state)
{
	struct config_move *move;

	(void)state;
	start(HEAD AGENT("pbx", "one.example", LIVELY));
	fixture_pass(bed.f, 20);
	found("192.0.2.50:5060");
	move = move_begin(&bed.move, HEAD AGENT("other", "two.example", LIVELY));
	assert_int_equal(agent_table_prepare(&bed.f->shard, move, NULL), 0);
	agent_table_abort(&bed.f->shard);
	move_give_up(&bed.move);
	assert_int_equal(addresses_of("pbx"), 1);
	fixture_pass(bed.f, 1200);
	assert_true(options_to("192.0.2.50:5060") > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(calls_count_by_name),
		TEST(calls_count_with_one_that_was_away),
		TEST(one_that_is_away_for_good_is_forgotten_with_its_last_call),
		TEST(silence_is_remembered_where_the_address_is_the_same),
		TEST(the_new_are_asked_and_the_gone_are_not_even_while_they_are_being_asked),
		TEST(a_shorter_interval_does_not_wait_for_the_longer_one),
		TEST(what_dns_has_said_holds_for_the_same_name_and_another_is_asked_at_once),
		TEST(other_servers_are_asked_at_once),
		TEST(a_preparation_that_is_given_up_leaves_everything_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
