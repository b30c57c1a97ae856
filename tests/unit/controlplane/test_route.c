/* SPDX-License-Identifier: BSD-3-Clause */
/* Routing: which policy takes a call, whose source an address is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "controlplane/route.h"
#include "controlplane/shard.h"

static struct config_realm access_realm = { .name = (char *)(uintptr_t) "access" };
static struct config_realm core_realm = { .name = (char *)(uintptr_t) "core" };
static struct config_local_policy policies[8];
static struct config_session_agent agents[4];
static struct config config;
static struct shard shard = { .config = &config };

/* Policies are given in the order the configuration keeps them in: sorted by priority. */
static struct config_local_policy *policy_add(
	const struct config_realm *from_realm, const char *from, const char *to, unsigned priority)
{
	struct config_local_policy *policy = &policies[config.local_policies_count++];

	*policy = (struct config_local_policy){
		.from_realm = from_realm, .priority = priority, .has_from = from != NULL
	};
	if (from)
		assert_int_equal(regcomp(&policy->from_regex, from, REG_EXTENDED | REG_NOSUB), 0);
	assert_int_equal(regcomp(&policy->to_regex, to, REG_EXTENDED | REG_NOSUB), 0);
	return policy;
}

static void agent_add(const struct config_realm *realm, const char *address)
{
	struct config_session_agent *agent = &agents[config.session_agents_count++];

	*agent = (struct config_session_agent){ .realm = realm };
	if (address)
		assert_int_equal(address_parse(span_from(address), 5060, &agent->address.address), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.local_policies = policies;
	config.session_agents = agents;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < config.local_policies_count; i++) {
		if (policies[i].has_from)
			regfree(&policies[i].from_regex);
		regfree(&policies[i].to_regex);
	}
	return 0;
}

static const struct config_local_policy *find(
	const struct config_realm *realm, const char *from, const char *to)
{
	const struct config_local_policy *policy = NULL;
	int error = route_find(&config, realm, span_from(from), span_from(to), &policy);

	assert_true(error == 0 || error == -ENOENT);
	assert_true((error == 0) == (policy != NULL));
	return policy;
}

static void the_first_policy_that_matches_wins(void **state)
{
	struct config_local_policy *emergency = policy_add(&access_realm, NULL, "^(112|911)$", 1);
	struct config_local_policy *numbers = policy_add(&access_realm, NULL, "^[0-9]+$", 10);
	struct config_local_policy *also = policy_add(&access_realm, NULL, "^1", 10);
	struct config_local_policy *rest = policy_add(&core_realm, NULL, ".*", 100);

	(void)state;
	assert_ptr_equal(find(&access_realm, "alice", "112"), emergency);
	assert_ptr_equal(find(&access_realm, "alice", "1120"), numbers);
	assert_ptr_equal(find(&access_realm, "alice", "1a"), also);
	assert_null(find(&access_realm, "alice", "bob"));
	assert_ptr_equal(find(&core_realm, "alice", "112"), rest);
	assert_ptr_equal(find(&core_realm, "", ""), rest);
}

static void a_policy_without_realm_takes_calls_of_every_realm(void **state)
{
	struct config_local_policy *any = policy_add(NULL, NULL, "^5", 1);

	(void)state;
	assert_ptr_equal(find(&access_realm, "a", "500"), any);
	assert_ptr_equal(find(&core_realm, "a", "500"), any);
}

static void the_caller_is_matched_where_the_policy_says_so(void **state)
{
	struct config_local_policy *boss = policy_add(NULL, "^1000$", ".*", 1);
	struct config_local_policy *others = policy_add(NULL, NULL, "^2", 2);

	(void)state;
	assert_ptr_equal(find(&core_realm, "1000", "900"), boss);
	assert_ptr_equal(find(&core_realm, "1001", "200"), others);
	assert_null(find(&core_realm, "1001", "900"));
	assert_null(find(&core_realm, "", "900"));
}

static void no_policies_no_route(void **state)
{
	(void)state;
	assert_null(find(&core_realm, "a", "b"));
}

static void user_parts_are_matched_only_up_to_their_bound(void **state)
{
	struct config_local_policy *any = policy_add(NULL, NULL, "^x+$", 1);
	const struct config_local_policy *policy = NULL;
	char user[ROUTE_USER_MAX + 2];
	struct span longest = { user, ROUTE_USER_MAX };
	struct span longer = { user, ROUTE_USER_MAX + 1 };

	(void)state;
	memset(user, 'x', sizeof(user));
	assert_int_equal(route_find(&config, &core_realm, SPAN("a"), longest, &policy), 0);
	assert_ptr_equal(policy, any);
	assert_int_equal(route_find(&config, &core_realm, SPAN("a"), longer, &policy), -ENAMETOOLONG);
	assert_int_equal(route_find(&config, &core_realm, longer, SPAN("x"), &policy), -ENAMETOOLONG);
	/* A span is not NUL-terminated: what follows it is not looked at. */
	user[3] = '!';
	assert_int_equal(route_find(&config, &core_realm, SPAN("a"), (struct span){ user, 3 }, &policy), 0);
	assert_int_equal(
		route_find(&config, &core_realm, SPAN("a"), (struct span){ user, 4 }, &policy), -ENOENT);
	assert_int_equal(route_find(&config, &core_realm, SPAN("a"), SPAN("xx\0x"), &policy), -EINVAL);
}

static const struct config_session_agent *by_source(const struct config_realm *realm, const char *source)
{
	union address address;

	assert_int_equal(address_parse(span_from(source), 5060, &address), 0);
	return route_agent_by_source(&shard, realm, &address);
}

static void an_agent_is_known_by_its_host(void **state)
{
	union address none = { .sa = { .sa_family = AF_UNSPEC } };

	(void)state;
	agent_add(&core_realm, NULL); /* a name to be resolved: no address */
	agent_add(&core_realm, "10.0.0.5:5060");
	agent_add(&core_realm, "10.0.0.5:5080");
	agent_add(&access_realm, "[2001:db8::5]:5060");
	assert_ptr_equal(by_source(&core_realm, "10.0.0.5:5060"), &agents[1]);
	assert_ptr_equal(by_source(&core_realm, "10.0.0.5:5080"), &agents[2]);
	assert_ptr_equal(by_source(&core_realm, "10.0.0.5:40000"), &agents[1]);
	assert_null(by_source(&core_realm, "10.0.0.6:5060"));
	assert_null(by_source(&access_realm, "10.0.0.5:5060"));
	assert_ptr_equal(by_source(&access_realm, "[2001:db8::5]:1"), &agents[3]);
	assert_null(route_agent_by_source(&shard, &core_realm, &none));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_policy_that_matches_wins),
		TEST(a_policy_without_realm_takes_calls_of_every_realm),
		TEST(the_caller_is_matched_where_the_policy_says_so),
		TEST(no_policies_no_route),
		TEST(user_parts_are_matched_only_up_to_their_bound),
		TEST(an_agent_is_known_by_its_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
