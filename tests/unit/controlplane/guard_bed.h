/* SPDX-License-Identifier: BSD-3-Clause */
/* For the tests of the guard: an SBC with one agent and one trusted network, flows from anywhere, and a clock of their own. */
#ifndef TESTS_CONTROLPLANE_GUARD_BED_H
#define TESTS_CONTROLPLANE_GUARD_BED_H

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

static inline uint64_t fake_now(void)
{
	return now_ms;
}

static inline void take_denial(void *arg, const struct dp_ban *ban, bool proven)
{
	struct bed *b = arg;

	b->denials++;
	b->last = *ban;
	b->proven = proven;
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
	(void)state;
	guard_free(bed.guard);
	location_free(bed.location);
	fixture_free(bed.f);
	return 0;
}

static inline struct sip_flow flow_of(const char *source)
{
	struct sip_flow flow = bed.f->peer;

	assert_int_equal(address_parse(span_from(source), 0, &flow.remote), 0);
	return flow;
}

/* Headers that differ from a phone's. */
static inline struct scan *scan_of(const char *method, const char *user, const char *more)
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

static inline enum guard_verdict note(const struct sip_flow *flow, enum guard_sign sign, const char *user)
{
	return guard_note(bed.guard, flow, sign, span_from(user), NULL);
}

/* Credentials of who has received a challenge with this nonce. */
static inline const char *answer_to(const struct sip_flow *flow, const char *user, const char *nonce)
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
static inline enum guard_verdict guess(const struct sip_flow *flow, const char *user)
{
	return guard_note(bed.guard, flow, GUARD_BAD_PASSWORD, span_from(user),
		scan_of("REGISTER", user, answer_to(flow, user, "abc")));
}

/* The same in the name of another. */
static inline enum guard_verdict forge_guess(const struct sip_flow *flow, const char *user)
{
	return guard_note(bed.guard, flow, GUARD_BAD_PASSWORD, span_from(user),
		scan_of("REGISTER", user,
			PHONE "Authorization: Digest username=\"x\", nonce=\"abc\", "
			      "opaque=\"-n000000000000000000000000\"\r\n"));
}

static inline enum guard_verdict look(const struct sip_flow *flow, const char *method, const char *user)
{
	return guard_look(bed.guard, flow, scan_of(method, user, PHONE));
}

static inline void register_at(const char *source, const char *aor)
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

#endif
