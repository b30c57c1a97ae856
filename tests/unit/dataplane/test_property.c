/* SPDX-License-Identifier: BSD-3-Clause */
/* Random commands of the API, good and bad, and random packets between them, at the real code; after each the outcome is what a simple
 * model says. Built with the sanitizers as the other unit tests are. PROPERTY_SEED and PROPERTY_STEPS; the seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dataplane/property.h"

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

/* From side `k` of a stream to our component `c` there. */
static void media(struct property *p, unsigned which, unsigned i, unsigned k, unsigned c)
{
	static const struct {
		const uint8_t *octets;
		size_t length;
	} kinds[] = { { rtp, sizeof(rtp) }, { rtp, sizeof(rtp) }, { rtcp, sizeof(rtcp) },
		{ neither, sizeof(neither) } };
	struct model_session *m = &p->model.session[which];
	unsigned kind = pick(p, 4);
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

static void step_media(struct property *p)
{
	unsigned which = pick(p, MODEL_SESSIONS), stream = pick(p, STREAMS), k = pick(p, 2);

	media(p, which, stream, k, pick(p, 3) == 0);
}

/* Nothing but keys changes, and packets come with this one and that. */
static void step_keys(struct property *p)
{
	unsigned which = pick(p, MODEL_SESSIONS - 1), stream = pick(p, STREAMS), k = pick(p, 2);
	struct model_session *m = &p->model.session[which];
	struct dp_session_request q = m->request;

	if (m->id == 0 || stream >= q.streams || q.stream[stream].kind != DP_MEDIA_RTP)
		return;
	side_key(&q.stream[stream].side[k], pick(p, 4) == 0 ? m->keys[stream][k].before : ++p->keys);
	update(p, m, &q);
	for (unsigned n = pick(p, 8); n > 0; n--)
		media(p, which, stream, k, pick(p, 3) == 0);
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
	static void (*const steps[])(struct property *) = { step_session, step_keys, step_media, step_media,
		step_media, step_media, step_batch, step_signalling, step_signalling, step_broken_frame,
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
