/* SPDX-License-Identifier: BSD-3-Clause */
/* Admission of real calls: what is forbidden reaches nobody, what is limited is let in again when a call has ended. */
#include "tests/unit/controlplane/register_fixture.h"

#include "controlplane/admission.h"

static struct config_admission rule;

static struct call_world *limited_world(struct config_admission values)
{
	struct call_world *w = world_new();

	rule = values;
	rule.local_policy = &w->policy;
	rule.match = (char *)(uintptr_t) "^1";
	assert_int_equal(regcomp(&rule.match_regex, rule.match, REG_EXTENDED | REG_NOSUB), 0);
	w->f->config.admissions = &rule;
	w->f->config.admissions_count = 1;
	w->f->config.guard.max_tracked = 100;
	w->f->shard.shared.admission = admission_new(&w->f->config);
	return w;
}

static void limited_world_free(struct call_world *w)
{
	struct admission *admission = w->f->shard.shared.admission;

	world_free(w);
	admission_free(admission);
	regfree(&rule.match_regex);
}

static void a_forbidden_destination_is_403_and_reaches_nobody(void **state)
{
	struct call_world *w = limited_world((struct config_admission){ .permit = false });

	(void)state;
	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 403 ");
	assert_false(was_sent(w, &w->f->other, "INVITE "));
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_ADMISSION_REFUSED), 1);
	limited_world_free(w);
}

static void an_emergency_is_not_limited(void **state)
{
	struct call_world *w = limited_world((struct config_admission){ .permit = false });
	char invite[FIXTURE_TEXT_MAX];

	(void)state;
	w->policy.emergency = true;
	start_call(w, PHONE_SDP, invite);
	limited_world_free(w);
}

static void calls_longer_than_max_duration_are_hung_up(void **state)
{
	struct call_world *w = limited_world(
		(struct config_admission){ .permit = true, .max_sessions = 1, .max_duration = 30 });
	struct admission_ticket *ticket;
	char invite[FIXTURE_TEXT_MAX];

	(void)state;
	establish(w, invite);
	assert_int_equal(admission_begin(w->f->shard.shared.admission, &w->policy, SPAN("192.0.2.9"),
				 SPAN("1001"), &ticket),
		503);
	fixture_pass(w->f, 29000);
	assert_false(was_sent(w, &w->f->peer, "BYE "));
	fixture_pass(w->f, 2000);
	respond(w, &w->f->peer, take(w, &w->f->peer, "BYE "), 200, NULL, "", NO_SDP);
	w->looked = 0;
	respond(w, &w->f->other, take(w, &w->f->other, "BYE "), 200, NULL, "", NO_SDP);
	fake_answer_all();
	assert_int_equal(admission_begin(w->f->shard.shared.admission, &w->policy, SPAN("192.0.2.9"),
				 SPAN("1001"), &ticket),
		0);
	admission_end(ticket);
	limited_world_free(w);
}

/* What the registrar behind us takes for one user has one account: here two phones of his, registered under two names. */
static void a_user_has_one_account_however_he_is_written(void **state)
{
	struct call_world *w = register_world_new();
	struct sip_flow third = w->f->peer;
	struct admission *admission;

	(void)state;
	address_set_port(&third.remote, 20000);
	rule = (struct config_admission){ .permit = true, .max_sessions = 1, .local_policy = &w->policy };
	w->f->config.admissions = &rule;
	w->f->config.admissions_count = 1;
	w->f->config.guard.max_tracked = 100;
	admission = w->f->shard.shared.admission = admission_new(&w->f->config);
	register_phone(w);
	registers_from(w, &third, "<sip:1000;x=y@other.example>", "second", 1,
		"Contact: <sip:x@192.168.9.9>;expires=3600\r\n");
	pbx_accepts(w, take(w, &w->f->other, "REGISTER "), 3600);
	take(w, &third, "SIP/2.0 200 ");
	caller_sends(w, "INVITE", 1, NULL, "", PHONE_SDP);
	take(w, &w->f->peer, "SIP/2.0 100 ");
	fixture_receive(w->f, &third,
		"INVITE sip:1001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.9.9;rport;branch=z9hG4bKalias\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:1000@third.example>;tag=a\r\nTo: "
		"<sip:1001@192.0.2.1>\r\nCall-ID: alias\r\n"
		"CSeq: 1 INVITE\r\nContact: <sip:x@192.168.9.9>\r\nContent-Length: 0\r\n\r\n");
	take(w, &third, "SIP/2.0 503 ");
	assert_int_equal(fixture_counter(w->f, CP_COUNTER_ADMISSION_REFUSED), 1);
	register_world_free(w);
	admission_free(admission);
}

/* The trunk that is left over has not asked for it. */
static void what_a_transfer_leads_to_is_the_call_of_who_transfers(void **state)
{
	struct call_world *w = limited_world((struct config_admission){ .permit = true, .max_sessions = 2 });
	struct admission_ticket *ticket;
	char invite[FIXTURE_TEXT_MAX];

	(void)state;
	regfree(&rule.match_regex);
	assert_int_equal(regcomp(&rule.match_regex, ".", REG_EXTENDED | REG_NOSUB), 0);
	w->profile.transfer = CONFIG_TERMINATE;
	establish(w, invite);
	caller_sends(w, "REFER", 2, w->caller_tag, "Refer-To: <sip:2000@192.0.2.1>\r\n", NO_SDP);
	take(w, &w->f->peer, "SIP/2.0 202 ");
	take(w, &w->f->other, "INVITE sip:2000@");
	assert_int_equal(admission_begin(w->f->shard.shared.admission, &w->policy, SPAN("192.0.2.9"),
				 SPAN("1001"), &ticket),
		503);
	assert_int_equal(admission_begin(w->f->shard.shared.admission, &w->policy, SPAN("192.0.2.10"),
				 SPAN("1001"), &ticket),
		0);
	admission_end(ticket);
	limited_world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forbidden_destination_is_403_and_reaches_nobody),
		cmocka_unit_test(an_emergency_is_not_limited),
		cmocka_unit_test(calls_longer_than_max_duration_are_hung_up),
		cmocka_unit_test(a_user_has_one_account_however_he_is_written),
		cmocka_unit_test(what_a_transfer_leads_to_is_the_call_of_who_transfers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
