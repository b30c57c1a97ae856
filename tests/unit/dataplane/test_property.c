/* SPDX-License-Identifier: BSD-3-Clause */
/* Random commands of the API, good and bad, and random packets between them, at the real code; after each the outcome is what a simple
 * model says. Built with the sanitizers as the other unit tests are. PROPERTY_SEED and PROPERTY_STEPS; the seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
static uint32_t pick(struct property *p, uint32_t below)
{
	uint64_t z = p->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ z >> 31) % below);
}

/* The body in a block of its own, so that reading behind it is seen. */
static int ask(struct property *p, uint16_t type, const void *body, size_t length, const void **reply)
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

static struct dp_address some_address(struct property *p, unsigned realm, uint8_t family)
{
	return bed_address(hosts[realm][family == 6][pick(p, HOSTS)], (uint16_t)(4000 + 2 * pick(p, 3)));
}

static struct dp_side_request some_side(struct property *p)
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
static struct dp_crypto crypto_of(unsigned number, bool from)
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

static void side_key(struct dp_side_request *s, unsigned number)
{
	s->from = crypto_of(number, true);
	s->to = crypto_of(number, false);
}

static unsigned number_of_key(const struct dp_side_request *s)
{
	return load_u32(s->from.key);
}

/* Other keys for some sides. `m`: of what is there by now, NULL = nothing is. */
static void some_keys(struct property *p, const struct model_session *m, struct dp_session_request *q)
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

static void some_request(struct property *p, struct dp_session_request *q)
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
static void some_change(
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

static bool is_stream(const struct dp_session_request *q, unsigned i)
{
	return i < q->streams && q->stream[i].kind != DP_MEDIA_NONE;
}

/* Every stream has an address of each side's family, and no other has. */
static void check_reply(const struct model_session *m)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct dp_address *local = &m->reply.local[i][k];

			assert_int_equal(local->family,
				is_stream(&m->request, i) ? m->request.stream[i].side[k].family : 0);
			assert_int_equal(local->port % 2, 0);
		}
}

static void ends_free(struct ends *e)
{
	srtp_context_free(secure_store, e->sends);
	srtp_context_free(secure_store, e->gets);
	*e = (struct ends){ 0 };
}

/* The peer changes over with the session. */
static void talker_follow(struct talker *t, const struct model_keys *k)
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
static void keys_follow(struct property *p, struct model_session *m, const struct dp_session_request *old)
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

static void create(struct property *p, struct model_session *m)
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

static void update(struct property *p, struct model_session *m)
{
	const void *reply;
	struct dp_session_request q, old = m->request;
	struct dp_session_reply before = m->reply;

	some_change(p, &old, &q);
	some_keys(p, m, &q);
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

static void delete_session(struct property *p, struct model_session *m)
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

static void step_session(struct property *p)
{
	struct model_session *m =
		&p->model.session[pick(p, MODEL_SESSIONS - 1)]; /* one slot is the victim's */

	if (m->id == 0)
		create(p, m);
	else if (pick(p, 4) == 0)
		delete_session(p, m);
	else
		update(p, m);
}

/* --- packets --- */

static uint64_t dropped(const struct property *p, enum dp_counter c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		n += p->dp->shared.workers[i].counter[c];
	return n;
}

static uint64_t all_drops(const struct property *p)
{
	uint64_t n = 0;

	for (unsigned c = 0; c < DP_COUNTER_COUNT; c++)
		if (strncmp(dp_counter_name((enum dp_counter)c), "drop-", 5) == 0)
			n += dropped(p, (enum dp_counter)c);
	return n;
}

/* One frame through a worker, and through the one that owns its flow. It goes out once or is dropped under one name. */
static void through(struct property *p, unsigned port, const uint8_t *frame, size_t n)
{
	uint64_t before = all_drops(p);
	struct worker *workers = p->dp->shared.workers;
	unsigned sent = 0;

	wire_clear();
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i].now_us = clock_now_us() + p->counted * PACKET_US;
	wire_receive(p->dp, pick(p, WORKERS), port, wire_frame((uint16_t)port, frame, n));
	for (unsigned i = 0; i < WORKERS; i++) {
		struct rte_mbuf *m;

		while (rte_ring_sc_dequeue(workers[i].handover, (void **)&m) == 0)
			relay_handover(&workers[i], &m, 1);
		relay_local(&workers[i]);
		transmit_flush(&workers[i]);
	}
	for (unsigned d = 0; d < WIRE_DEVICES; d++)
		sent += wires[d].count;
	assert_int_equal(sent + all_drops(p) - before, 1);
	p->counted++;
}

static const char *text_of(const struct dp_address *a, char out[INET6_ADDRSTRLEN])
{
	return inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, out, INET6_ADDRSTRLEN);
}

static void check_crossed(const struct dp_session_reply *r, unsigned stream, unsigned k, unsigned component,
	const struct dp_address *to, unsigned realm, struct srtp_context *opens, bool is_rtcp,
	const uint8_t *payload, size_t n)
{
	uint8_t got[256];
	struct packet out;

	assert_int_equal(wires[realm].count, 1);
	const struct rte_mbuf *m = wires[realm].kept[0];
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	packet_parse(f, m->data_len, &out);
	assert_int_equal(out.class, PACKET_UDP);
	assert_memory_equal(&out.dest, to->ip, to->family == 4 ? 4 : 16);
	assert_int_equal(ntohs(out.dest_port), to->port);
	assert_memory_equal(&out.source, r->local[stream][k].ip, to->family == 4 ? 4 : 16);
	assert_int_equal(ntohs(out.source_port), r->local[stream][k].port + component);
	assert_in_range(out.payload, n, sizeof(got));
	memcpy(got, f + out.udp + UDP_HEADER, out.payload);
	assert_int_equal(opens != NULL ? secure_unprotect(opens, got, out.payload, is_rtcp) : out.payload, n);
	assert_memory_equal(got, payload, n);
}

static struct dp_address some_source(struct property *p, const struct model_session *m, unsigned stream,
	unsigned k, unsigned component, unsigned realm)
{
	const struct dp_side_request *s = &m->request.stream[stream].side[k];
	struct model_place said = model_signalled(s, component);

	if (pick(p, 3) == 0 && m->side[stream][k].locked[component].known)
		return m->side[stream][k].locked[component].at;
	if (pick(p, 2) == 0 && said.known)
		return said.at;
	struct dp_address a = some_address(p, realm, s->family);
	a.port = (uint16_t)(a.port + component);
	return a;
}

/* As the peer sends it: with the key of now, with the one before, or in clear. Returns the key's number; *length follows. */
static unsigned some_seal(struct property *p, struct talker *t, bool is_rtcp, uint8_t *packet, size_t *length)
{
	unsigned which = pick(p, 6);
	const struct ends *e = which == 0 ? &t->before : &t->now;

	if (which == 1 || t->now.number == 0 || e->number == 0)
		return 0;
	*length = secure_protect(e->sends, packet, *length, 256, is_rtcp);
	return e->number;
}

static void step_media(struct property *p)
{
	static const struct {
		const uint8_t *octets;
		size_t length;
	} kinds[] = { { rtp, sizeof(rtp) }, { rtp, sizeof(rtp) }, { rtcp, sizeof(rtcp) },
		{ neither, sizeof(neither) } };
	unsigned which = pick(p, MODEL_SESSIONS);
	struct model_session *m = &p->model.session[which];
	unsigned i = pick(p, STREAMS), k = pick(p, 2), c = pick(p, 3) == 0, kind = pick(p, 4);
	uint8_t frame[512], clear[64], packet[256];
	char text[INET6_ADDRSTRLEN];

	if (m->id == 0 || m->id == p->victim || !is_stream(&m->request, i))
		return;
	const struct dp_stream_request *s = &m->request.stream[i];
	struct talker *talker = &p->talker[which][i][k];
	unsigned in = strcmp(s->side[k].realm, "core") == 0, out = strcmp(s->side[1 - k].realm, "core") == 0;
	bool other = s->kind == DP_MEDIA_OTHER;
	bool is_rtcp = !other && (c == 1 || kinds[kind].octets == rtcp);
	bool valid =
		other || (kinds[kind].octets == rtcp && is_rtcp) || (kinds[kind].octets == rtp && !is_rtcp);
	struct dp_address source = some_source(p, m, i, k, c, in);
	size_t n = kinds[kind].length, sealed = n;

	memcpy(clear, kinds[kind].octets, n);
	if (kinds[kind].octets == rtp)
		store_u16(clear + 2, htons(++talker->sequence));
	memcpy(packet, clear, n);
	unsigned number = valid && !other ? some_seal(p, talker, is_rtcp, packet, &sealed) : 0;
	size_t length = wire_udp(frame, text_of(&source, text), source.port, ours[in][s->side[k].family == 6],
		(uint16_t)(m->reply.local[i][k].port + c), packet, sealed);

	valid = valid && model_opens(&m->keys[i][k], number);
	bool crosses = !(other && c == 1) && model_accept(m, i, k, c, &source, valid) && valid;
	if (crosses && number == m->keys[i][k].now)
		m->keys[i][k].confirmed = true;
	unsigned leaves = is_rtcp && (s->side[1 - k].flags & DP_SIDE_RTCP_MUX) == 0;
	struct model_place to = model_destination(m, i, 1 - k, leaves);
	through(p, in, frame, length);
	if (crosses && to.known)
		check_crossed(&m->reply, i, 1 - k, leaves, &to.at, out, p->talker[which][i][1 - k].now.gets,
			is_rtcp, clear, n);
	else
		assert_int_equal(wires[0].count + wires[1].count + wires[2].count + wires[3].count, 0);
	if (crosses && number != 0) { /* what was taken once is never taken again */
		through(p, in, frame, length);
		assert_int_equal(wires[0].count + wires[1].count + wires[2].count + wires[3].count, 0);
	}
}

/* --- the border --- */

static const char *const sources[] = { "10.0.1.5", "10.0.1.6", "10.0.1.7", "192.0.2.7", "203.0.113.9",
	"2001:db8:1::5", "2001:db8:1::6" };

static struct dp_source_key some_key(struct property *p)
{
	static const uint8_t lengths[2][4] = { { 32, 30, 24, 8 }, { 128, 126, 64, 32 } };
	struct dp_source_key k = { .address = bed_address(
					   sources[pick(p, sizeof(sources) / sizeof(sources[0]))], 0) };

	k.length = lengths[k.address.family == 6][pick(p, 8) < 5 ? 0 : pick(p, 4)];
	for (unsigned i = k.length; i < 128; i++)
		k.address.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	if (k.length == model_whole(&k) && pick(p, 2) == 0)
		k.address.port = (uint16_t)(SIP + pick(p, 2));
	return k;
}

static void spoil(struct property *p, struct dp_source_key *k)
{
	if (pick(p, 2) == 0)
		k->length = (uint8_t)(model_whole(k) + 1 + pick(p, 50));
	else
		k->address.family = (uint8_t)(7 + pick(p, 200));
}

static int model_set(struct dp_source_key *list, unsigned *n, const struct dp_source_key *key)
{
	unsigned at;

	if (!model_find(list, *n, key, &at)) {
		assert_true(*n < MODEL_KEYS);
		list[(*n)++] = *key;
	}
	return 0;
}

static int model_clear(struct dp_source_key *list, unsigned *n, const struct dp_source_key *key)
{
	unsigned at;

	if (!model_find(list, *n, key, &at))
		return -ENOENT;
	list[at] = list[--*n];
	return 0;
}

static int expect_ban(struct property *p, const struct dp_source_key *key, bool force)
{
	struct model *m = &p->model;

	if (!force && (model_meets(m->trust, m->trusts, key) || model_meets(p->configured, 2, key)))
		return -EPERM;
	return model_set(m->ban, &m->bans, key);
}

static void check_done(const struct dp_done *done, uint32_t count, const int *status)
{
	uint32_t good = 0, first = UINT32_MAX;

	for (uint32_t i = 0; i < count; i++) {
		good += status[i] == 0;
		if (status[i] != 0 && first == UINT32_MAX)
			first = i;
	}
	assert_int_equal(done->done, good);
	assert_int_equal(done->status, first == UINT32_MAX ? 0 : status[first]);
	if (first != UINT32_MAX)
		assert_int_equal(done->failed, first);
}

/* A batch of bans or trusts to set or to clear, one of them spoilt at times. */
static void step_batch(struct property *p)
{
	struct model *m = &p->model;
	unsigned what = pick(p, 4);
	uint32_t count = 1 + pick(p, BATCH);
	struct dp_ban bans[BATCH] = { 0 };
	struct dp_trust trusts[BATCH] = { 0 };
	struct dp_source_key keys[BATCH];
	int status[BATCH];
	const void *reply;

	for (uint32_t i = 0; i < count; i++) {
		struct dp_source_key key = some_key(p);
		bool bad = pick(p, 20) == 0;

		bans[i].flags = pick(p, 2) == 0 ? DP_BAN_FORCE : 0;
		if (bad)
			spoil(p, &key);
		keys[i] = bans[i].key = trusts[i].key = key;
		if (bad)
			status[i] = -EINVAL;
		else if (what == 0)
			status[i] = expect_ban(p, &key, bans[i].flags != 0);
		else if (what == 1)
			status[i] = model_clear(m->ban, &m->bans, &key);
		else if (what == 2)
			status[i] = model_set(m->trust, &m->trusts, &key);
		else
			status[i] = model_clear(m->trust, &m->trusts, &key);
		unsigned at;
		if (what == 3 && status[i] == -ENOENT && model_find(p->configured, 2, &keys[i], &at))
			status[i] = -EPERM;
	}
	static const uint16_t types[] = { DP_BAN_SET, DP_BAN_CLEAR, DP_TRUST_SET, DP_TRUST_CLEAR };
	const void *body = what == 0 ? (const void *)bans : what == 2 ? (const void *)trusts : keys;
	size_t size = what == 0 ? sizeof(bans[0]) : what == 2 ? sizeof(trusts[0]) : sizeof(keys[0]);

	assert_int_equal(ask(p, types[what], body, size * count, &reply), sizeof(struct dp_done));
	check_done(reply, count, status);
}

static void step_signalling(struct property *p)
{
	struct dp_address source = bed_address(sources[pick(p, sizeof(sources) / sizeof(sources[0]))], 0);
	uint8_t frame[256];
	char text[INET6_ADDRSTRLEN];
	struct dp_address denied = bed_address("203.0.113.9", 0);
	uint64_t banned = dropped(p, DP_COUNTER_DROP_BANNED),
		 refused = dropped(p, DP_COUNTER_DROP_ACCESS_DENIED);

	source.port = (uint16_t)(SIP + pick(p, 3));
	size_t n = wire_udp(
		frame, text_of(&source, text), source.port, ours[0][source.family == 6], SIP, "OPTIONS", 7);
	through(p, 0, frame, n);
	bool is_banned = model_is_covered(p->model.ban, p->model.bans, &source);
	bool is_denied = !is_banned && model_same_host(&source, &denied);
	assert_int_equal(dropped(p, DP_COUNTER_DROP_BANNED) - banned, is_banned);
	assert_int_equal(dropped(p, DP_COUNTER_DROP_ACCESS_DENIED) - refused, is_denied);
	assert_int_equal(wires[2].count, !is_banned && !is_denied);
}

/* --- what was tampered with --- */

/* A good frame for the victim's session or for SIP, cut and changed. The sources are nobody's in the model. */
static void step_broken_frame(struct property *p)
{
	uint8_t frame[512];
	struct dp_session_reply *r = &p->model.session[MODEL_SESSIONS - 1].reply;
	bool v6 = pick(p, 2) == 0;
	const uint8_t *payload = pick(p, 2) == 0 ? rtp : rtcp;

	size_t n = wire_udp(frame, v6 ? "2001:db8:1::77" : "10.0.1.77", VICTIM_PORT, ours[0][v6],
		pick(p, 3) == 0 ? SIP : (uint16_t)(r->local[v6][0].port + pick(p, 2)), payload, sizeof(rtcp));
	for (unsigned i = pick(p, PATCHES); i > 0; i--)
		frame[12 + pick(p, (uint32_t)n - 12)] = (uint8_t)pick(p, 256);
	if (pick(p, 4) == 0)
		n = pick(p, (uint32_t)n + 1);
	through(p, 0, frame, n);
}

static void learn_keys(
	struct property *p, uint16_t type, struct dp_source_key *list, unsigned *count, size_t size)
{
	struct dp_table_request q = { .limit = 100 };
	const void *reply;

	*count = 0;
	do {
		assert_true(ask(p, type, &q, sizeof(q), &reply) >= (int)sizeof(struct dp_table_reply));
		const struct dp_table_reply *r = reply;
		const uint8_t *row = (const uint8_t *)(r + 1);

		q.cursor = r->cursor;
		for (uint32_t i = 0; i < r->count; i++, row += size) {
			struct dp_source_key key;

			memcpy(&key, row, sizeof(key));
			if (type == DP_TRUST_LIST && ((const struct dp_trust *)row)->configured != 0)
				continue;
			assert_int_equal(model_set(list, count, &key), 0);
		}
	} while (q.cursor != 0);
}

static void check_keys(struct property *p)
{
	struct model *m = &p->model;
	static struct dp_source_key list[MODEL_KEYS];
	unsigned count, at;

	learn_keys(p, DP_BAN_LIST, list, &count, sizeof(struct dp_ban));
	assert_int_equal(count, m->bans);
	for (unsigned i = 0; i < count; i++)
		assert_true(model_find(m->ban, m->bans, &list[i], &at));
	learn_keys(p, DP_TRUST_LIST, list, &count, sizeof(struct dp_trust));
	assert_int_equal(count, m->trusts);
	for (unsigned i = 0; i < count; i++)
		assert_true(model_find(m->trust, m->trusts, &list[i], &at));
}

/* Any request, its octets changed. If it was taken all the same, it is undone, or the model follows. */
static void step_broken_request(struct property *p)
{
	uint16_t type = (uint16_t)pick(p, TYPES);
	size_t length = pick(p, 3) == 0 ? pick(p, sizeof(p->body)) : sizeof(p->body.q);
	bool session = type == DP_SESSION_UPDATE || type == DP_SESSION_GET || type == DP_BLOB_SET;
	const void *reply;

	if (type == DP_SESSION_DELETE)
		return;
	memset(&p->body, 0, sizeof(p->body));
	some_request(p, &p->body.q);
	if (type == DP_BAN_SET || type == DP_BAN_CLEAR || type == DP_TRUST_SET || type == DP_TRUST_CLEAR) {
		struct dp_ban ban = { .key = some_key(p), .flags = DP_BAN_FORCE };

		memcpy(&p->body, &ban, sizeof(ban));
		length = pick(p, 2) == 0 ? sizeof(ban) : pick(p, 2 * sizeof(ban));
	}
	for (unsigned i = pick(p, PATCHES); i > 0; i--)
		((uint8_t *)&p->body)[pick(p, (uint32_t)length + 1)] = (uint8_t)pick(p, 256);
	if (session)
		p->body.q.session = p->victim;
	/* The model knows no time. */
	for (size_t at = 0; type == DP_BAN_SET && at < 2 * sizeof(struct dp_ban); at += sizeof(struct dp_ban))
		((struct dp_ban *)((uint8_t *)&p->body + at))->expires_us = 0;
	for (size_t at = 0; type == DP_TRUST_SET && at < 4 * sizeof(struct dp_trust);
		at += sizeof(struct dp_trust)) {
		struct dp_trust *one = (struct dp_trust *)((uint8_t *)&p->body + at);

		one->expires_us = 0;
		one->rate = one->burst = 0; /* nor rates */
	}
	int n = ask(p, type, &p->body, length, &reply);
	if (type == DP_SESSION_CREATE && n > 0) {
		struct dp_session_id id = { ((const struct dp_session_reply *)reply)->session };

		assert_true(ask(p, DP_SESSION_DELETE, &id, sizeof(id), &reply) > 0);
	}
	if (type == DP_BAN_SET || type == DP_BAN_CLEAR)
		learn_keys(p, DP_BAN_LIST, p->model.ban, &p->model.bans, sizeof(struct dp_ban));
	if (type == DP_TRUST_SET || type == DP_TRUST_CLEAR)
		learn_keys(p, DP_TRUST_LIST, p->model.trust, &p->model.trusts, sizeof(struct dp_trust));
}

/* Its state may be anything by now: made anew. */
static void renew_victim(struct property *p)
{
	struct model_session *m = &p->model.session[MODEL_SESSIONS - 1];
	struct dp_session_request q = bed_request("10.0.1.77", VICTIM_PORT, "10.0.2.77", VICTIM_PORT);
	struct dp_session_request q6 = bed_request("2001:db8:1::77", VICTIM_PORT, "10.0.2.77", VICTIM_PORT);
	const void *reply;

	if (m->id != 0)
		delete_session(p, m);
	q.streams = 2;
	q.stream[1] = q6.stream[0];
	p->victim = 0;
	if (ask(p, DP_SESSION_CREATE, &q, sizeof(q), &reply) < 0)
		return;
	memcpy(&m->reply, reply, sizeof(m->reply));
	m->id = p->victim = m->reply.session;
}

/* --- all of it --- */

static void check_totals(struct property *p)
{
	const void *reply;
	uint64_t ports = 0, sessions = 0;

	for (unsigned i = 0; i < MODEL_SESSIONS - 1; i++) {
		const struct model_session *m = &p->model.session[i];

		sessions += m->id != 0;
		for (unsigned s = 0; m->id != 0 && s < m->request.streams; s++)
			ports += is_stream(&m->request, s) ? 2 : 0;
	}
	if (p->model.session[MODEL_SESSIONS - 1].id != 0)
		delete_session(p, &p->model.session[MODEL_SESSIONS - 1]);
	assert_int_equal(ask(p, DP_STATS, NULL, 0, &reply), sizeof(struct dp_stats));
	const struct dp_stats *stats = reply;
	assert_int_equal(stats->sessions, sessions);
	assert_int_equal(stats->ports_used, ports);
	assert_int_equal(stats->bans, p->model.bans);
	renew_victim(p);
}

static void property_open(struct property *p, uint64_t seed)
{
	struct bed_size size = bed_small;

	size.srtp = secure_store;
	*p = (struct property){ .dp = wire_bed_sized(WORKERS, &size), .random = seed };
	border_bed_build(p->dp, rates);
	p->server = server_new(p->dp);
	assert_non_null(p->server);
	p->configured[0] = border_bed_key("10.0.1.7", 32, 0);
	p->configured[1] = border_bed_key("192.0.2.0", 24, 0);
	renew_victim(p);
}

static void property_close(struct property *p)
{
	uint64_t used, total;

	for (unsigned i = 0; i < MODEL_SESSIONS; i++)
		if (p->model.session[i].id != 0)
			delete_session(p, &p->model.session[i]);
	pools_count(&p->dp->pools, &used, &total);
	assert_int_equal(used, 0);
	for (uint32_t i = NEXT_HOP_LOCAL + 1; i < p->dp->next_hops.used; i++)
		assert_int_equal(p->dp->next_hops.entry[i].references, 0);
	server_free(p->server);
	border_bed_destroy(p->dp);
	wire_bed_free(p->dp); /* aborts if a packet buffer is missing */
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void whatever_is_asked_and_sent_the_outcome_is_the_models(void **state)
{
	static void (*const steps[])(struct property *) = { step_session, step_media, step_media, step_media,
		step_media, step_batch, step_signalling, step_signalling, step_broken_frame,
		step_broken_request };
	static struct property p;
	uint64_t seed = number_of("PROPERTY_SEED", 1), count = number_of("PROPERTY_STEPS", STEPS);

	(void)state;
	print_message("seed %llu, %llu steps\n", (unsigned long long)seed, (unsigned long long)count);
	property_open(&p, seed);
	for (uint64_t i = 0; i < count; i++) {
		steps[pick(&p, sizeof(steps) / sizeof(steps[0]))](&p);
		if (i % 64 == 0)
			check_totals(&p);
		if (i % 256 == 0)
			check_keys(&p);
	}
	assert_true(p.counted > count / 4);
	property_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		whatever_is_asked_and_sent_the_outcome_is_the_models) };

	secure_open();
	rte_log_set_global_level(RTE_LOG_EMERG);
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	secure_close();
	return status;
}
