/* SPDX-License-Identifier: BSD-3-Clause */
/* What api.h promises, in the simplest form that can be compared with the real thing: which packet crosses and to where, which source is
 * banned. Nothing in here is taken from the dataplane's code. */
#ifndef TESTS_UNIT_DATAPLANE_MODEL_H
#define TESTS_UNIT_DATAPLANE_MODEL_H

#include <stdbool.h>
#include <string.h>

#include "dataplane/api.h"

enum { MODEL_SESSIONS = 6, MODEL_KEYS = 256, MODEL_COMPONENTS = 2 };

struct model_place {
	bool known;
	struct dp_address at;
};

/* One side of a stream as learnt from packets: RTP and RTCP. */
struct model_side {
	struct model_place locked[MODEL_COMPONENTS]; /* who may send */
	struct model_place heard
		[MODEL_COMPONENTS]; /* where what goes there is sent to, if not to where it was signalled */
};

/* The keys of a side, by number: what it protects with and what is protected for it change together. 0: plain. */
struct model_keys {
	unsigned now, before;
	bool confirmed; /* a packet of `now` has come: none of `before` is taken any more */
};

struct model_session {
	uint64_t id; /* 0: none */
	struct dp_session_request request;
	struct dp_session_reply reply;
	struct model_side side[DP_STREAMS_MAX][2];
	struct model_keys keys[DP_STREAMS_MAX][2];
};

struct model {
	struct model_session session[MODEL_SESSIONS];
	struct dp_source_key ban[MODEL_KEYS], trust[MODEL_KEYS];
	unsigned bans, trusts;
};

static inline bool model_same_host(const struct dp_address *a, const struct dp_address *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static inline bool model_same_place(const struct dp_address *a, const struct dp_address *b)
{
	return model_same_host(a, b) && a->port == b->port;
}

/* Where a side says to want a component; RTCP where nothing is said: RTP's address and the next port. */
static inline struct model_place model_signalled(const struct dp_side_request *s, unsigned component)
{
	struct model_place p = { .known = s->rtp.family != 0, .at = s->rtp };

	if (component == 1 && s->rtcp.family != 0)
		return (struct model_place){ .known = true, .at = s->rtcp };
	if (component == 1 && p.at.port == UINT16_MAX)
		p.known = false;
	p.at.port = (uint16_t)(p.at.port + component);
	return p;
}

static inline bool model_has_signalling(const struct dp_side_request *s)
{
	return s->signalling.family == s->family;
}

/* May this source send to the side's component; and if so it is the one from now on. */
static inline bool model_accept(struct model_session *m, unsigned stream, unsigned k, unsigned component,
	const struct dp_address *source, bool valid)
{
	const struct dp_side_request *s = &m->request.stream[stream].side[k];
	struct model_side *side = &m->side[stream][k];
	struct model_place said = model_signalled(s, component);

	if (s->latching == DP_LATCHING_FIXED)
		return said.known && model_same_place(&said.at, source);
	if (side->locked[component].known)
		return model_same_place(&side->locked[component].at, source);
	if (!valid || !((said.known && model_same_host(&said.at, source)) ||
			      (model_has_signalling(s) && model_same_host(&s->signalling, source))))
		return false;
	side->locked[component] = side->heard[component] =
		(struct model_place){ .known = true, .at = *source };
	return true;
}

/* Where a packet for side `k` goes. Not known: nowhere. */
static inline struct model_place model_destination(
	const struct model_session *m, unsigned stream, unsigned k, unsigned component)
{
	const struct dp_side_request *s = &m->request.stream[stream].side[k];
	struct model_place p = model_signalled(s, component);

	if ((s->flags & DP_SIDE_MUTED) != 0 || s->rtp.family == 0)
		return (struct model_place){ 0 };
	if (m->side[stream][k].heard[component].known)
		return m->side[stream][k].heard[component];
	if (s->latching != DP_LATCHING_FIXED && model_has_signalling(s) &&
		!model_same_host(&s->signalling, &p.at))
		p.known = false; /* it has to send first */
	return p;
}

/* Is what a side has protected with key `number` (0: sent in clear) what we can open? */
static inline bool model_opens(const struct model_keys *k, unsigned number)
{
	return number == k->now || (k->now != 0 && number != 0 && number == k->before && !k->confirmed);
}

/* A key that is repeated stays what it is, and so does the last one when it comes back. */
static inline void model_rekey(struct model_keys *k, unsigned number)
{
	if (number != k->now)
		*k = (struct model_keys){ .now = number, .before = k->now };
}

static inline bool model_same_side(const struct dp_side_request *a, const struct dp_side_request *b)
{
	struct model_place x = model_signalled(a, 1), y = model_signalled(b, 1);
	bool signalling = model_has_signalling(a)
				  ? model_has_signalling(b) && model_same_host(&a->signalling, &b->signalling)
				  : !model_has_signalling(b);

	return a->latching == b->latching && model_same_place(&a->rtp, &b->rtp) && x.known == y.known &&
	       (!x.known || model_same_place(&x.at, &y.at)) && signalling;
}

static inline bool model_keeps_port(const struct dp_side_request *a, const struct dp_side_request *b)
{
	return strcmp(a->realm, b->realm) == 0 && a->family == b->family;
}

/* A stream's side has been signalled anew. */
static inline void model_signal(
	struct model_session *m, unsigned stream, unsigned k, const struct dp_side_request *s)
{
	const struct dp_side_request *old = &m->request.stream[stream].side[k];
	struct model_side *side = &m->side[stream][k];

	if (!model_same_side(old, s) || !model_keeps_port(old, s))
		memset(side, 0, sizeof(*side));
	else if (s->latching == DP_LATCHING_RELATCH)
		memset(side->locked, 0,
			sizeof(side->locked)); /* who sends next; it goes on to hear us where it is */
}

/* An update was done. A stream that was not there before begins from nothing. */
static inline void model_update(struct model_session *m, const struct dp_session_request *q)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		bool was = i < m->request.streams && m->request.stream[i].kind != DP_MEDIA_NONE;
		bool is = i < q->streams && q->stream[i].kind != DP_MEDIA_NONE;

		if (!was || !is)
			memset(m->side[i], 0, sizeof(m->side[i]));
		for (unsigned k = 0; was && is && k < 2; k++)
			model_signal(m, i, k, &q->stream[i].side[k]);
	}
	m->request = *q;
}

/* --- sources --- */

static inline unsigned model_whole(const struct dp_source_key *k)
{
	return k->address.family == 4 ? 32 : 128;
}

static inline bool model_begins_alike(const struct dp_address *a, const struct dp_address *b, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if (((a->ip[i / 8] ^ b->ip[i / 8]) & (0x80 >> i % 8)) != 0)
			return false;
	return a->family == b->family;
}

/* Is everything that `inner` is about, also what `outer` is about? */
static inline bool model_covers(const struct dp_source_key *outer, const struct dp_source_key *inner)
{
	return outer->length <= inner->length &&
	       model_begins_alike(&outer->address, &inner->address, outer->length) &&
	       (outer->address.port == 0 || outer->address.port == inner->address.port);
}

static inline bool model_find(
	const struct dp_source_key *list, unsigned n, const struct dp_source_key *key, unsigned *at)
{
	for (*at = 0; *at < n; (*at)++)
		if (list[*at].length == key->length && model_same_place(&list[*at].address, &key->address))
			return true;
	return false;
}

static inline bool model_meets(const struct dp_source_key *list, unsigned n, const struct dp_source_key *key)
{
	for (unsigned i = 0; i < n; i++)
		if (model_covers(&list[i], key) || model_covers(key, &list[i]))
			return true;
	return false;
}

static inline bool model_is_covered(
	const struct dp_source_key *list, unsigned n, const struct dp_address *source)
{
	struct dp_source_key key = { .address = *source };

	key.length = (uint8_t)model_whole(&key);
	for (unsigned i = 0; i < n; i++)
		if (model_covers(&list[i], &key))
			return true;
	return false;
}

#endif
