/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard with a registrar between a phone (peer) and a PBX (other), both of the test. */
#ifndef TESTS_UNIT_CONTROLPLANE_REGISTER_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_REGISTER_FIXTURE_H

#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/location.h"
#include "controlplane/register_limits.h"
#include "controlplane/registrar.h"
#include "platforms/base/clock.h"

#define CHALLENGE "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5\r\n"
#define ANSWER                                                                                    \
	"Authorization: Digest username=\"1000\", realm=\"pbx\", nonce=\"n1\", uri=\"sip:sbc\", " \
	"response=\"00112233445566778899aabbccddeeff\"\r\n"
#define PHONE_CONTACT "<sip:1000@192.168.1.7:5070>"

/* Without limits: tests that want them make them. */
static inline struct call_world *register_world_new(void)
{
	struct call_world *w = world_new();
	struct fixture *f = w->f;

	f->interface.registration = CONFIG_REGISTRATION_CACHE;
	f->interface.allow_anonymous = CONFIG_ANONYMOUS_REGISTERED;
	f->config.registration = (struct config_registration){ .phone_expires_udp = 60,
		.phone_expires_stream = 600,
		.upstream_expires = 3600,
		.per_source_rate = 5,
		.per_aor_rate = 1,
		.upstream_rate = 200,
		.max_contacts = 10,
		.max_bindings = 1000,
		.hold_ms = 2000,
		.min_expires = 10 };
	f->shard.shared.location = location_new(&f->config);
	assert_non_null(f->shard.shared.location);
	assert_int_equal(registrar_open(&f->shard), 0);
	return w;
}

static inline void register_world_free(struct call_world *w)
{
	struct location *location = w->f->shard.shared.location;
	struct register_limits *limits = w->f->shard.shared.register_limits;

	transaction_layer_close(&w->f->shard);
	registrar_close(&w->f->shard);
	assert_int_equal(transaction_layer_open(&w->f->shard, &call_core), 0);
	world_free(w);
	location_free(location);
	register_limits_free(limits);
}

/* Headers behind CSeq, with Contact and Expires; `n` makes branch and CSeq. */
static inline void registers_from(struct call_world *w, const struct sip_flow *from, const char *to,
	const char *call_id, unsigned n, const char *headers)
{
	fixture_receive(w->f, from,
		"REGISTER sip:sbc.example SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.168.1.7:5070;rport;branch=z9hG4bKr%s%u\r\nMax-Forwards: 70\r\n"
		"From: <sip:1000@sbc.example>;tag=phone1\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u REGISTER\r\n"
		"User-Agent: Phone/1.0\r\n%sContent-Length: 0\r\n\r\n",
		call_id, n, to, call_id, n, headers);
}

static inline void registers(struct call_world *w, unsigned n, const char *headers)
{
	registers_from(w, &w->f->peer, "<sip:1000@SBC.example>", "reg1@phone", n, headers);
}

/* The contact in <> of our REGISTER to the PBX. */
static inline const char *our_contact(const char *request, char *out, size_t size)
{
	const char *at = strstr(request, "\r\nContact: <");

	assert_non_null(at);
	at += strlen("\r\nContact: ");
	snprintf(out, size, "%.*s", (int)(strcspn(at, ">") + 1), at);
	return out;
}

/* The PBX's answer to our REGISTER, with exactly these headers. */
static inline void pbx_answers(
	struct call_world *w, const char *request, unsigned status, const char *headers)
{
	char via[512], from[512], to[512], call_id[512], cseq[512];

	line_of(request, "To", to, sizeof(to));
	to[strlen(to) - 2] = '\0';
	fixture_receive(w->f, &w->f->other,
		"SIP/2.0 %u X\r\n%s%s%s;tag=pbx\r\n%s%s%sContent-Length: 0\r\n\r\n", status,
		line_of(request, "Via", via, sizeof(via)), line_of(request, "From", from, sizeof(from)), to,
		line_of(request, "Call-ID", call_id, sizeof(call_id)),
		line_of(request, "CSeq", cseq, sizeof(cseq)), headers);
}

/* 200 with our contact and that expiry. */
static inline void pbx_accepts(struct call_world *w, const char *request, unsigned expires)
{
	char contact[256], headers[512];

	snprintf(headers, sizeof(headers), "Contact: %s;expires=%u\r\n",
		our_contact(request, contact, sizeof(contact)), expires);
	pbx_answers(w, request, 200, headers);
}

/* One phone registered at the PBX, through a challenge; CSeq 1 and 2. */
static inline void register_phone(struct call_world *w)
{
	registers(w, 1, "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	pbx_answers(w, take(w, &w->f->other, "REGISTER "), 401, CHALLENGE);
	take(w, &w->f->peer, "SIP/2.0 401 ");
	registers(w, 2, ANSWER "Contact: " PHONE_CONTACT ";expires=3600\r\n");
	pbx_accepts(w, take(w, &w->f->other, "REGISTER "), 3600);
	take(w, &w->f->peer, "SIP/2.0 200 ");
}

/* The only binding of 1000; borrowed, valid until it changes. */
static inline struct binding *the_binding(struct call_world *w)
{
	struct binding *found[2];
	size_t count =
		location_known(w->f->shard.shared.location, &w->f->realm, SPAN("1000@sbc.example"), found, 2);

	assert_int_equal(count, 1);
	binding_put(found[0]);
	return found[0];
}

static inline size_t bindings(const struct call_world *w)
{
	return location_count(w->f->shard.shared.location);
}

#endif
