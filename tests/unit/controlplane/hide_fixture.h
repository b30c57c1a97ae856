/* SPDX-License-Identifier: BSD-3-Clause */
/* Two legs of a shard without sockets, and what crosses of some headers from one to the other. */
#ifndef TESTS_UNIT_CONTROLPLANE_HIDE_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_HIDE_FIXTURE_H

#include "controlplane/hide.h"
#include "tests/unit/controlplane/sip_fixture.h"

static inline void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard;
	(void)request;
	transaction_reply(tr, 500, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
}

static const struct transaction_core core = { .request = on_request };

static struct config_ip_profile from_profile, to_profile;
static struct config_realm trusted = { .trust = CONFIG_TRUST_TRUSTED },
			   untrusted = { .trust = CONFIG_TRUST_UNTRUSTED };
static struct leg from_leg, to_leg;

static inline int setup(void **state)
{
	struct fixture *f = fixture_new(&core);

	from_profile = to_profile = (struct config_ip_profile){ 0 };
	from_leg = (struct leg){
		.shard = &f->shard, .realm = &untrusted, .profile = &from_profile, .flow = f->peer
	};
	to_leg = (struct leg){
		.shard = &f->shard, .realm = &trusted, .profile = &to_profile, .flow = f->other
	};
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

/* What crosses of these header lines, as one text. */
static inline const char *cross(
	const struct fixture *f, bool request, enum hide_kind kind, const char *headers)
{
	static struct scan scan;
	static char text[FIXTURE_TEXT_MAX], result[FIXTURE_TEXT_MAX];
	struct message *message = NULL;
	struct writer out;
	unsigned status = 0;

	snprintf(text, sizeof(text),
		"%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKone\r\n%sFrom: <sip:alice@home.example>;tag=abc\r\n"
		"To: <sip:1000@192.0.2.1>\r\nCall-ID: one@home.example\r\nCSeq: 7 INVITE\r\n"
		"Contact: <sip:al@192.0.2.7>\r\n%sContent-Length: 0\r\n\r\n",
		request ? "INVITE sip:1000@192.0.2.1 SIP/2.0"
			: (kind & HIDE_FAILURE ? "SIP/2.0 486 x" : "SIP/2.0 200 x"),
		request ? "192.0.2.9:5070" : "192.0.2.1:5060", request ? "Max-Forwards: 70\r\n" : "",
		headers);
	assert_int_equal(scan_message(&scan, span_from(text), true, &f->config.sip), SCAN_OK);
	assert_int_equal(message_parse(&scan, span_from(text), &f->peer, &message, &status), 0);
	writer_init(&out, result, sizeof(result) - 1);
	hide_headers(message, kind, &from_leg, &to_leg, &out);
	assert_false(out.overflow);
	result[out.len] = '\0';
	message_free(message);
	return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
