/* SPDX-License-Identifier: BSD-3-Clause */
/* The world of test_property.c, and random requests for sessions in it, each with what the model says to it. Include cmocka.h first. */
#ifndef TESTS_UNIT_DATAPLANE_PROPERTY_H
#define TESTS_UNIT_DATAPLANE_PROPERTY_H

#include <errno.h>
#include <stdio.h>

#include <rte_log.h>

#include "dataplane/parse.h"
#include "dataplane/server.h"
#include "platforms/base/clock.h"
#include "tests/unit/dataplane/border_bed.h"
#include "tests/unit/dataplane/model.h"
#include "tests/unit/dataplane/secure.h"

enum {
	STEPS = 100000,
	WORKERS = 2,
	HOSTS = 3,
	STREAMS = 3,
	SIP = 5060,
	BATCH = 8,
	PATCHES = 6,
	TYPES = DP_TOP_SOURCES + 2,
	VICTIM_PORT = 6000,
	PACKET_US = 20000, /* between two packets: the office may send a hundred a second */
};

static const char rates[] =
	"guard { max-bans = 1024 max-trusted = 1024 max-sources = 1024 untrusted-rate = 1000000 "
	"untrusted-burst = 1000000 untrusted-class-rate = 0 }\n";
static const char *const hosts[2][2][HOSTS] = {
	{ { "10.0.1.5", "10.0.1.6", "10.0.1.7" }, { "2001:db8:1::5", "2001:db8:1::6", "2001:db8:1::7" } },
	{ { "10.0.2.5", "10.0.2.6", "10.0.2.7" }, { "2001:db8:2::5", "2001:db8:2::6", "2001:db8:2::7" } }
};
static const char *const ours[2][2] = { { "10.0.1.1", "2001:db8:1::1" }, { "10.0.2.1", "2001:db8:2::1" } };
static const uint8_t neither[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

/* The far ends of a side's keys: of now and before. */
struct ends {
	unsigned number;
	struct srtp_context *sends, *gets;
};

struct talker {
	struct ends now, before;
	uint16_t sequence;
};

struct property {
	struct talker talker[MODEL_SESSIONS][STREAMS][2];
	unsigned keys; /* numbers given */
	struct dataplane *dp;
	struct server *server;
	struct model model;
	uint64_t random,
		victim; /* the victim's session is for packets and requests that were tampered with; the model leaves it out */
	uint64_t counted; /* packets in, so far, that went out or were dropped */
	struct {
		struct dp_session_request q;
		uint8_t blob[64];
	} body;
	struct dp_source_key configured[2]; /* what the bed's configuration trusts */
};

/* splitmix64. */
static inline uint32_t pick(struct property *p, uint32_t below)
{
	uint64_t z = p->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ z >> 31) % below);
}

/* The body in a block of its own, so that reading behind it is seen. */
static inline int ask(struct property *p, uint16_t type, const void *body, size_t length, const void **reply)
{
	void *copy = malloc(length + 1);

	assert_non_null(copy);
	if (length != 0)
		memcpy(copy, body, length);
	int n = server_handle(p->server, NULL, type, copy, length, reply);
	free(copy);
	bed_learn(p->dp);
	return n;
}

/* --- sessions --- */

static inline struct dp_address some_address(struct property *p, unsigned realm, uint8_t family)
{
	return bed_address(hosts[realm][family == 6][pick(p, HOSTS)], (uint16_t)(4000 + 2 * pick(p, 3)));
}

static inline struct dp_side_request some_side(struct property *p)
{
	unsigned realm = pick(p, 2);
	struct dp_side_request s = { .family = pick(p, 3) == 0 ? 6 : 4, .latching = (uint8_t)pick(p, 3) };

	snprintf(s.realm, sizeof(s.realm), "%s", realm == 0 ? "access" : "core");
	if (pick(p, 8) != 0)
		s.rtp = some_address(p, realm, s.family);
	if (s.rtp.family != 0 && pick(p, 6) == 0)
		s.rtcp = some_address(p, realm, s.family);
	if (pick(p, 3) == 0)
		s.signalling = some_address(p, realm, s.family);
	if (pick(p, 4) == 0)
		s.flags |= DP_SIDE_MUTED;
	if (pick(p, 3) == 0)
		s.flags |= DP_SIDE_RTCP_MUX;
	if (pick(p, 4) == 0)
		s.flags |= DP_SIDE_QUIET;
	s.telephone_event = (uint8_t)pick(p, 128);
	return s;
}

/* A number and a suite that follows from it; each key is another one. */
static inline struct dp_crypto crypto_of(unsigned number, bool from)
{
	struct dp_crypto c = secure_key((enum dp_srtp_suite)(1 + number % (DP_SRTP_SUITE_COUNT - 1)), from);

	if (number == 0)
		return (struct dp_crypto){ 0 };
	store_u32(c.key, number);
	if (number % 5 == 0) {
		c.mki_length = 4;
		store_u32(c.mki, number);
	}
	return c;
}

static inline void side_key(struct dp_side_request *s, unsigned number)
{
	s->from = crypto_of(number, true);
	s->to = crypto_of(number, false);
}

static inline unsigned number_of_key(const struct dp_side_request *s)
{
	return load_u32(s->from.key);
}

/* Other keys for some sides. `m`: of what is there by now, NULL = nothing is. */
static inline void some_keys(struct property *p, const struct model_session *m, struct dp_session_request *q)
{
	for (unsigned i = 0; i < q->streams; i++)
		for (unsigned k = 0; k < 2; k++) {
			struct dp_side_request *s = &q->stream[i].side[k];
			bool is = m != NULL && i < m->request.streams &&
				  m->request.stream[i].kind == DP_MEDIA_RTP;

			if (q->stream[i].kind != DP_MEDIA_RTP)
				side_key(s, 0);
			else if (!is || pick(p, 6) == 0)
				side_key(s, is && pick(p, 2) == 0 ? m->keys[i][k].before
					    : pick(p, 2) == 0     ? 0
								  : ++p->keys);
		}
}

static inline void some_request(struct property *p, struct dp_session_request *q)
{
	*q = (struct dp_session_request){ .owner = pick(p, DP_OWNERS_MAX),
		.streams = (uint8_t)pick(p, STREAMS + 1) };
	for (unsigned i = 0; i < q->streams; i++) {
		q->stream[i].kind = (uint8_t)pick(p, 3);
		for (unsigned k = 0; k < 2; k++)
			q->stream[i].side[k] = some_side(p);
	}
	some_keys(p, NULL, q);
}

/* Another state of a call: mostly the old one with a side changed. */
static inline void some_change(
	struct property *p, const struct dp_session_request *old, struct dp_session_request *q)
{
	if (pick(p, 4) == 0 || old->streams == 0) {
		some_request(p, q);
	} else {
		*q = *old;
		struct dp_stream_request *s = &q->stream[pick(p, q->streams)];

		if (pick(p, 3) == 0)
			s->kind = (uint8_t)pick(p, 3);
		else if (pick(p, 2) == 0)
			s->side[pick(p, 2)] = some_side(p);
		else
			s->side[pick(p, 2)].flags ^= (uint8_t)(1 << pick(p, 3));
	}
}

static inline bool is_stream(const struct dp_session_request *q, unsigned i)
{
	return i < q->streams && q->stream[i].kind != DP_MEDIA_NONE;
}

/* Every stream has an address of each side's family, and no other has. */
static inline void check_reply(const struct model_session *m)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct dp_address *local = &m->reply.local[i][k];

			assert_int_equal(local->family,
				is_stream(&m->request, i) ? m->request.stream[i].side[k].family : 0);
			assert_int_equal(local->port % 2, 0);
		}
}

static inline void ends_free(struct ends *e)
{
	srtp_context_free(secure_store, e->sends);
	srtp_context_free(secure_store, e->gets);
	*e = (struct ends){ 0 };
}

/* The peer changes over with the session. */
static inline void talker_follow(struct talker *t, const struct model_keys *k)
{
	struct ends last = t->before;

	if (t->now.number == k->now)
		return;
	t->before = t->now;
	if (last.number == k->now) {
		t->now = last;
		return;
	}
	ends_free(&last);
	t->now = (struct ends){ .number = k->now };
	if (k->now == 0)
		return;
	struct dp_crypto from = crypto_of(k->now, true), to = crypto_of(k->now, false);
	t->now.sends = secure_end(&from, SRTP_OUT);
	t->now.gets = secure_end(&to, SRTP_IN);
}

/* `was`: there were such streams before. */
static inline void keys_follow(
	struct property *p, struct model_session *m, const struct dp_session_request *old)
{
	for (unsigned i = 0; i < STREAMS; i++)
		for (unsigned k = 0; k < 2; k++) {
			struct talker *t = &p->talker[m - p->model.session][i][k];
			bool is = is_stream(&m->request, i);

			if (!is || old == NULL || !is_stream(old, i)) {
				ends_free(&t->now);
				ends_free(&t->before);
				m->keys[i][k] = (struct model_keys){ 0 };
			}
			if (is)
				model_rekey(&m->keys[i][k], number_of_key(&m->request.stream[i].side[k]));
			talker_follow(t, &m->keys[i][k]);
		}
}

static inline void create(struct property *p, struct model_session *m)
{
	const void *reply;
	struct dp_session_request q;

	some_request(p, &q);
	int n = ask(p, DP_SESSION_CREATE, &q, sizeof(q), &reply);
	if (n == -ENOSPC) /* all ports are taken: nothing has changed, as the count of ports shows */
		return;
	assert_int_equal(n, sizeof(m->reply));
	*m = (struct model_session){ .request = q };
	memcpy(&m->reply, reply, sizeof(m->reply));
	m->id = m->reply.session;
	assert_int_not_equal(m->id, 0);
	check_reply(m);
	keys_follow(p, m, NULL);
}

static inline void update(struct property *p, struct model_session *m, struct dp_session_request *to)
{
	const void *reply;
	struct dp_session_request q = *to, old = m->request;
	struct dp_session_reply before = m->reply;

	q.session = m->id;
	int n = ask(p, DP_SESSION_UPDATE, &q, sizeof(q), &reply);
	if (n == -ENOSPC)
		return;
	assert_int_equal(n, sizeof(m->reply));
	memcpy(&m->reply, reply, sizeof(m->reply));
	model_update(m, &q);
	check_reply(m);
	keys_follow(p, m, &old);
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++)
		for (unsigned k = 0; k < 2; k++)
			if (is_stream(&old, i) && is_stream(&q, i) &&
				model_keeps_port(&old.stream[i].side[k], &q.stream[i].side[k]))
				assert_true(model_same_place(&before.local[i][k], &m->reply.local[i][k]));
}

static inline void delete_session(struct property *p, struct model_session *m)
{
	const void *reply;
	struct dp_session_id id = { m->id };

	assert_int_equal(ask(p, DP_SESSION_DELETE, &id, sizeof(id), &reply), sizeof(struct dp_session_info));
	assert_int_equal(ask(p, DP_SESSION_GET, &id, sizeof(id), &reply), -ENOENT);
	m->id = 0;
	for (unsigned i = 0; i < STREAMS; i++)
		for (unsigned k = 0; k < 2; k++) {
			ends_free(&p->talker[m - p->model.session][i][k].now);
			ends_free(&p->talker[m - p->model.session][i][k].before);
		}
}

static inline void step_session(struct property *p)
{
	struct model_session *m =
		&p->model.session[pick(p, MODEL_SESSIONS - 1)]; /* one slot is the victim's */
	struct dp_session_request q;

	if (m->id == 0)
		create(p, m);
	else if (pick(p, 4) == 0)
		delete_session(p, m);
	else {
		some_change(p, &m->request, &q);
		some_keys(p, m, &q);
		update(p, m, &q);
	}
}

#endif
