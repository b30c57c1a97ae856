/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests that people order: what each answer, silence and lack of an address comes to, once, in bounded time. */
#include <errno.h>

#include "controlplane/agent.h"
#include "controlplane/location.h"
#include "controlplane/probe.h"
#include "controlplane/resolver.h"
#include "platforms/base/clock.h"
#include "tests/unit/controlplane/call_fixture.h"

enum { TIMEOUT_MS = 3000 };

static struct probe_order order;
static unsigned done_count;
static struct {
	resolver_done done;
	void *arg;
	unsigned asked;
} dns;

static void done(struct probe_order *o)
{
	assert_ptr_equal(o, &order);
	done_count++;
}

static int resolve(const struct resolver_question *question, resolver_done answer, void *arg)
{
	assert_string_equal(question->host, "pbx.example");
	dns.done = answer;
	dns.arg = arg;
	dns.asked++;
	return 0;
}

static int setup(void **state)
{
	struct call_world *w = world_new();

	w->f->config.sip.test_timeout_ms = TIMEOUT_MS;
	w->f->config.sip.dns_max_addresses = 4;
	w->f->private.resolve = resolve;
	memset(&dns, 0, sizeof(dns));
	done_count = 0;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct call_world *w = *state;

	probes_close(&w->f->shard);
	world_free(w);
	return 0;
}

static void begin(struct call_world *w, enum cp_message type, const char *subject)
{
	order = (struct probe_order){ .type = type, .done = done };
	snprintf(order.subject, sizeof(order.subject), "%s", subject);
	probe_begin(&w->f->shard, &order);
}

static void an_agent_that_answers_is_reported_with_its_status(void **state)
{
	struct call_world *w = *state;
	char options[FIXTURE_TEXT_MAX];

	begin(w, CP_TEST_AGENT, "pbx");
	assert_int_equal(done_count, 0);
	snprintf(options, sizeof(options), "%s", take(w, &w->f->other, "OPTIONS "));
	assert_contains(options, "Max-Forwards: 0\r\n");
	respond(w, &w->f->other, options, 404, "x", "", NO_SDP);
	assert_int_equal(done_count, 1);
	assert_int_equal(order.status, 0);
	assert_int_equal(order.report.over, 1);
	assert_int_equal(order.report.source, CP_TEST_CONFIGURED);
	assert_int_equal(order.report.count, 1);
	assert_int_equal(order.report.target[0].outcome, CP_TEST_ANSWERED);
	assert_int_equal(order.report.target[0].status, 404);
	assert_string_equal(order.report.target[0].address, "udp:192.0.2.10:5080");
	/* A repetition, and the time-out, change nothing any more. */
	respond(w, &w->f->other, options, 200, "x", "", NO_SDP);
	fixture_pass(w->f, TIMEOUT_MS + 100);
	assert_int_equal(done_count, 1);
}

static void one_that_says_nothing_is_silent_after_the_time_out(void **state)
{
	struct call_world *w = *state;

	begin(w, CP_TEST_AGENT, "pbx");
	fixture_pass(w->f, TIMEOUT_MS - 100);
	assert_int_equal(done_count, 0);
	fixture_pass(w->f, 200);
	assert_int_equal(done_count, 1);
	assert_int_equal(order.report.target[0].outcome, CP_TEST_SILENT);
}

static void an_agent_that_is_not_configured_is_an_error(void **state)
{
	begin(*state, CP_TEST_AGENT, "nobody");
	assert_int_equal(done_count, 1);
	assert_int_equal(order.status, -ENOENT);
}

static void by_name(struct call_world *w)
{
	static char host[] = "pbx.example";

	w->agent.address.address = (union address){ 0 };
	w->agent.address.host = host;
	begin(w, CP_TEST_AGENT, "pbx");
	assert_int_equal(dns.asked, 1);
	assert_string_equal(order.report.name, host);
}

static void each_address_of_a_name_is_asked(void **state)
{
	struct call_world *w = *state;
	struct resolver_answer answer = { .outcome = RESOLVER_FOUND, .count = 2 };

	by_name(w);
	answer.address[0].address = w->f->other.remote;
	answer.address[1].address = w->f->other.remote;
	address_set_port(&answer.address[1].address, 5999);
	dns.done(dns.arg, &answer);
	assert_int_equal(order.report.count, 2);
	respond(w, &w->f->other, take(w, &w->f->other, "OPTIONS "), 200, "x", "", NO_SDP);
	assert_int_equal(done_count, 0);
	fixture_pass(w->f, TIMEOUT_MS + 100);
	assert_int_equal(done_count, 1);
	assert_int_equal(order.report.source, CP_TEST_DNS);
	assert_int_equal(order.report.target[0].outcome, CP_TEST_ANSWERED);
	assert_int_equal(order.report.target[1].outcome, CP_TEST_SILENT);
}

static void a_name_without_an_address_is_an_answer_and_silence_of_dns_another(void **state)
{
	struct call_world *w = *state;

	by_name(w);
	dns.done(dns.arg, &(struct resolver_answer){ .outcome = RESOLVER_NONE });
	assert_int_equal(done_count, 1);
	assert_int_equal(order.report.source, CP_TEST_DNS_NONE);
	assert_int_equal(order.report.count, 0);
	dns.asked = 0;
	by_name(w);
	dns.done(dns.arg, &(struct resolver_answer){ .outcome = RESOLVER_SILENT });
	assert_int_equal(done_count, 2);
	assert_int_equal(order.report.source, CP_TEST_DNS_SILENT);
}

static void a_shard_that_ends_reports_nothing(void **state)
{
	struct call_world *w = *state;

	begin(w, CP_TEST_AGENT, "pbx");
	probes_close(&w->f->shard);
	fixture_pass(w->f, TIMEOUT_MS + 100);
	assert_int_equal(done_count, 0);
	assert_null(w->f->shard.probes);
}

static void who_is_not_registered_is_told_with_what_a_call_would_get(void **state)
{
	struct call_world *w = *state;
	struct binding model = { .interface = &w->f->interface,
		.agent = &w->agent,
		.aor = SPAN("alice@example.org"),
		.contact = SPAN("sip:alice@192.0.2.9"),
		.expires_wall_ms = 1 };
	struct binding *gone;

	w->f->config.registration.max_bindings = w->f->config.registration.max_contacts = 10;
	w->f->shard.shared.location = location_new(&w->f->config);
	begin(w, CP_TEST_REGISTRATION, "alice@example.org");
	assert_int_equal(done_count, 1);
	assert_int_equal(order.report.source, CP_TEST_UNKNOWN);
	assert_int_equal(order.report.call_status, 404);
	model.flow.remote = w->f->peer.remote;
	gone = binding_new(&model);
	assert_int_equal(location_replace(w->f->shard.shared.location, NULL, gone), 0);
	begin(w, CP_TEST_REGISTRATION, "alice");
	assert_int_equal(done_count, 2);
	assert_int_equal(order.report.source, CP_TEST_REGISTERED);
	assert_int_equal(order.report.call_status, 480);
	assert_int_equal(order.report.target[0].outcome, CP_TEST_EXPIRED);
	assert_string_equal(order.report.target[0].contact, "sip:alice@192.0.2.9");
	binding_put(gone);
	location_free(w->f->shard.shared.location);
	w->f->shard.shared.location = NULL;
}

static void a_phone_is_asked_over_its_flow(void **state)
{
	struct call_world *w = *state;
	struct binding model = { .interface = &w->f->interface,
		.agent = &w->agent,
		.aor = SPAN("alice@example.org"),
		.contact = SPAN("sip:alice@10.1.1.1:5066"),
		.expires_wall_ms = UINT64_MAX };
	struct binding *alice;

	w->f->config.registration.max_bindings = w->f->config.registration.max_contacts = 10;
	w->f->shard.shared.location = location_new(&w->f->config);
	model.flow.remote = w->f->peer.remote;
	model.behind_nat = true;
	alice = binding_new(&model);
	assert_int_equal(location_replace(w->f->shard.shared.location, NULL, alice), 0);
	begin(w, CP_TEST_REGISTRATION, "alice");
	respond(w, &w->f->peer, take(w, &w->f->peer, "OPTIONS sip:alice@10.1.1.1:5066 SIP/2.0\r\n"), 200, "x",
		"", NO_SDP);
	assert_int_equal(done_count, 1);
	assert_int_equal(order.report.call_status, 0);
	assert_int_equal(order.report.target[0].status, 200);
	binding_put(alice);
	location_free(w->f->shard.shared.location);
	w->f->shard.shared.location = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(an_agent_that_answers_is_reported_with_its_status),
		TEST(one_that_says_nothing_is_silent_after_the_time_out),
		TEST(an_agent_that_is_not_configured_is_an_error),
		TEST(each_address_of_a_name_is_asked),
		TEST(a_name_without_an_address_is_an_answer_and_silence_of_dns_another),
		TEST(a_shard_that_ends_reports_nothing),
		TEST(who_is_not_registered_is_told_with_what_a_call_would_get),
		TEST(a_phone_is_asked_over_its_flow),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
