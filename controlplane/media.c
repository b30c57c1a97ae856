/* SPDX-License-Identifier: BSD-3-Clause */
/* Offer and answer of one call, and its session in the dataplane. */
#include "controlplane/media.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/random.h"

struct media_side {
	union address remote, rtcp; /* as signalled; unset = not known */
	union address local; /* ours on that side */
	uint8_t family; /* 4 or 6 */
	uint8_t direction; /* enum sdp_direction */
	bool known; /* it has described this stream */
	bool off; /* it answered with port 0 */
	bool mux; /* it said a=rtcp-mux */
};

struct media_stream {
	enum dp_media_kind kind;
	struct media_side side[2];
};

struct media_state {
	unsigned count;
	struct media_stream stream[];
};

struct media {
	struct shard *shard;
	const struct media_events *events;
	void *arg;
	struct media_party party[2];
	struct media_state *committed; /* NULL before the first answer */
	struct media_state *next; /* the offer under way, with answers that are not final */
	uint64_t session;
	struct sdp_origin origin[2];
	char *written[2];
	size_t written_length[2];
	unsigned requests; /* under way at the dataplane, each holds this struct */
	unsigned allocations; /* of these: those an offer waits for */
	bool waiting; /* an offer waits for its ports */
	bool touched; /* the dataplane has seen something of `next` */
	bool missed; /* an update could not be sent */
	bool closing;
	media_closed closed;
	void *closed_arg;
	uint8_t silent[2]; /* bit per stream */
};

/* --- what a description says --------------------------------------------------------------------------------------- */

/* Keys of SRTP are not relayed between sides that must not know each other, and there is no SRTP of our own yet: such streams are
 * refused (docs/decisions/0021-media-of-a-call.md). */
static enum dp_media_kind kind_of(const struct sdp_media *m)
{
	if (m->port == 0)
		return DP_MEDIA_NONE;
	if (span_equal_case(m->protocol, SPAN("RTP/AVP")) || span_equal_case(m->protocol, SPAN("RTP/AVPF")))
		return DP_MEDIA_RTP;
	if (span_equal_case(m->protocol, SPAN("udptl")))
		return DP_MEDIA_OTHER;
	return DP_MEDIA_NONE;
}

static uint8_t family_of(const union address *a)
{
	return a->sa.sa_family == AF_INET6 ? 6 : a->sa.sa_family == AF_INET ? 4 : 0;
}

static bool has_pool(const struct media *media, unsigned side, uint8_t family)
{
	const struct config *config = media->shard->config;

	for (size_t i = 0; i < config->steering_pools_count; i++)
		if (config->steering_pools[i].realm == media->party[side].realm &&
			family_of(&config->steering_pools[i].address) == family)
			return true;
	return false;
}

/* The family we offer on a side: that of its signalling where there is a pool, else the other. */
static uint8_t own_family(const struct media *media, unsigned side)
{
	uint8_t family = family_of(&media->party[side].signalling);

	if (family == 0)
		family = 4;
	return has_pool(media, side, family) ? family : (uint8_t)(10 - family);
}

/* Where a peer can be: RFC 2543's hold (0.0.0.0), loopback and multicast are no places to send to. */
static bool is_unicast(const union address *a)
{
	uint32_t v4;

	if (a->sa.sa_family == AF_INET6)
		return !IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) &&
		       !IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) &&
		       !IN6_IS_ADDR_MULTICAST(&a->in6.sin6_addr) && !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
	v4 = ntohl(a->in4.sin_addr.s_addr);
	return a->sa.sa_family == AF_INET && v4 >> 24 != 0 && v4 >> 24 != 127 && v4 >> 24 < 224;
}

static union address usable(const union address *a, uint8_t family)
{
	return family_of(a) == family && is_unicast(a) && address_port(a) ? *a : (union address){ 0 };
}

static void describe(const struct media *media, unsigned side, const struct sdp_media *m, bool is_offer,
	struct media_side *out)
{
	uint8_t family = family_of(&m->rtp);

	/* An offer may come with another family than its signalling: then ours on that side follows it. */
	if (is_offer && family && has_pool(media, side, family))
		out->family = family;
	out->known = true;
	out->off = m->port == 0;
	out->direction = (uint8_t)m->direction;
	out->mux = m->rtcp_mux;
	out->remote = usable(&m->rtp, out->family);
	out->rtcp = usable(&m->rtcp, out->family);
}

/* --- requests to the dataplane --------------------------------------------------------------------------------------- */

static bool is_private(const union address *a)
{
	static const struct {
		uint32_t network, mask;
	} v4[] = {
		{ 0x0a000000, 0xff000000 }, { 0xac100000, 0xfff00000 },
		{ 0xc0a80000, 0xffff0000 }, /* RFC 1918 */
		{ 0x64400000, 0xffc00000 }, /* RFC 6598 */
		{ 0xa9fe0000, 0xffff0000 }, /* RFC 3927 */
	};

	if (a->sa.sa_family == AF_INET6)
		return (a->in6.sin6_addr.s6_addr[0] & 0xfe) == 0xfc; /* RFC 4193 */
	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++)
		if ((ntohl(a->in4.sin_addr.s_addr) & v4[i].mask) == v4[i].network)
			return true;
	return false;
}

/* Whether media may also come from where the signalling came from (RFC 7362 section 4.1). */
static bool may_be_behind_nat(const struct media_party *party, const struct media_side *side)
{
	if (party->profile->nat == CONFIG_NAT_NEVER || family_of(&party->signalling) != side->family)
		return false;
	if (party->profile->nat == CONFIG_NAT_ALWAYS)
		return true;
	return address_is_set(&side->remote) &&
	       (is_private(&side->remote) || !address_equal_host(&side->remote, &party->signalling));
}

static bool receives_nothing(const struct media_side *side)
{
	return !side->known || side->off || !address_is_set(&side->remote) ||
	       side->direction == SDP_SENDONLY || side->direction == SDP_INACTIVE;
}

static bool sends_nothing(const struct media_stream *stream, unsigned side)
{
	const struct media_side *own = &stream->side[side], *other = &stream->side[1 - side];

	return !own->known || own->off || other->off || own->direction == SDP_RECVONLY ||
	       own->direction == SDP_INACTIVE || other->direction == SDP_SENDONLY ||
	       other->direction == SDP_INACTIVE;
}

static uint8_t latching_of(const struct config_ip_profile *profile)
{
	switch (profile->latching) {
	case CONFIG_LATCHING_FIXED:
		return DP_LATCHING_FIXED;
	case CONFIG_LATCHING_RELATCH:
		return DP_LATCHING_RELATCH;
	case CONFIG_LATCHING_LATCH:
		break;
	}
	return DP_LATCHING_LATCH;
}

static void build_side(const struct media *media, const struct media_stream *stream, unsigned side,
	struct dp_side_request *out)
{
	const struct media_party *party = &media->party[side];
	const struct media_side *own = &stream->side[side];
	struct writer name;

	writer_init(&name, out->realm, sizeof(out->realm) - 1);
	writer_text(&name, party->realm->name);
	out->family = own->family;
	out->latching = latching_of(party->profile);
	if (own->mux && stream->side[1 - side].mux && party->profile->rtcp_mux)
		out->flags |= DP_SIDE_RTCP_MUX;
	if (receives_nothing(own))
		out->flags |= DP_SIDE_MUTED;
	/* A call that rings may do so for longer than the dataplane waits for media. */
	if (!media->committed || sends_nothing(stream, side))
		out->flags |= DP_SIDE_QUIET;
	dp_address_from(&out->rtp, &own->remote);
	dp_address_from(&out->rtcp, &own->rtcp);
	if (may_be_behind_nat(party, own))
		dp_address_from(&out->signalling, &party->signalling);
}

/* The stream at an index while an offer waits for ports: what is committed goes on, what is added or changes its kind or family
 * is asked for already. */
static const struct media_stream *allocation_stream(const struct media *media, unsigned i)
{
	const struct media_stream *now = NULL, *then = NULL;

	if (media->committed && i < media->committed->count &&
		media->committed->stream[i].kind != DP_MEDIA_NONE)
		now = &media->committed->stream[i];
	if (media->next && i < media->next->count)
		then = &media->next->stream[i];
	if (!now || !then || then->kind == DP_MEDIA_NONE)
		return now ? now : then;
	return now->kind == then->kind && now->side[0].family == then->side[0].family &&
			       now->side[1].family == then->side[1].family
		       ? now
		       : then;
}

static void build_request(
	const struct media *media, const struct media_state *state, struct dp_session_request *out)
{
	unsigned count = state ? state->count : DP_STREAMS_MAX;

	memset(out, 0, sizeof(*out));
	out->session = media->session;
	out->owner = media->shard->index;
	for (unsigned i = 0; i < count; i++) {
		const struct media_stream *stream = state ? &state->stream[i] : allocation_stream(media, i);

		if (!stream || stream->kind == DP_MEDIA_NONE)
			continue;
		out->streams = (uint8_t)(i + 1);
		out->stream[i].kind = (uint8_t)stream->kind;
		for (unsigned side = 0; side < 2; side++)
			build_side(media, stream, side, &out->stream[i].side[side]);
	}
}

static void release(struct media *media)
{
	free(media->committed);
	free(media->next);
	free(media->written[0]);
	free(media->written[1]);
	free(media);
}

static void finish_close(struct media *media, const struct dp_session_info *final)
{
	media_closed closed = media->closed;

	media->closed = NULL;
	if (closed)
		closed(media->closed_arg, final);
	if (media->requests == 0)
		release(media);
}

static void on_deleted(void *arg, int status, const void *body, size_t length)
{
	struct media *media = arg;

	media->requests--;
	finish_close(media, status == 0 && length >= sizeof(struct dp_session_info) ? body : NULL);
}

static void start_delete(struct media *media)
{
	struct dp_session_id id = { .session = media->session };

	media->requests++;
	if (dp_client_request(
		    media->shard->dataplane, DP_SESSION_DELETE, &id, sizeof(id), on_deleted, media)) {
		media->requests--;
		finish_close(media, NULL);
	}
}

/* A reply to a media that is closing: true when nothing else is to be done with it. */
static bool reply_is_late(struct media *media)
{
	media->requests--;
	if (!media->closing)
		return false;
	if (media->requests == 0 && !media->closed)
		release(media);
	return true;
}

static void take_locals(struct media *media, const struct dp_session_reply *reply)
{
	for (unsigned i = 0; i < media->next->count; i++)
		for (unsigned side = 0; side < 2; side++)
			dp_address_to(&reply->local[i][side], &media->next->stream[i].side[side].local);
}

static void drop_next(struct media *media)
{
	free(media->next);
	media->next = NULL;
	media->waiting = false;
	media->touched = false;
}

static void on_allocated(void *arg, int status, const void *body, size_t length)
{
	struct media *media = arg;
	const struct dp_session_reply *reply = body;
	bool last = --media->allocations == 0;

	(void)length;
	if (status == 0 && media->session == 0) {
		media->session = reply->session;
		if (media->closing) {
			media->requests--;
			start_delete(media);
			return;
		}
	} else if (media->closing && media->session == 0) {
		media->requests--;
		finish_close(media, NULL);
		return;
	}
	if (reply_is_late(media) || !last || !media->waiting)
		return;
	media->waiting = false;
	if (status == 0)
		take_locals(media, reply);
	else
		drop_next(media);
	media->events->ready(media->arg, status);
}

static void on_updated(void *arg, int status, const void *body, size_t length)
{
	struct media *media = arg;

	(void)body;
	(void)length;
	if (reply_is_late(media))
		return;
	if (status == -ENOTCONN || status == -ETIMEDOUT)
		media->missed = true;
	else if (status)
		log_warning("media", "the dataplane refused an update", LOG_UINT("session", media->session),
			LOG_ERRNO("error", status));
	if (status == -ENOENT)
		media->events->lost(media->arg);
}

static void start_update(struct media *media, const struct media_state *state)
{
	struct dp_session_request request;

	if (!media->session)
		return;
	build_request(media, state, &request);
	media->requests++;
	if (dp_client_session(
		    media->shard->dataplane, DP_SESSION_UPDATE, &request, NULL, on_updated, media)) {
		media->requests--;
		media->missed = true;
	}
}

static int start_allocation(struct media *media)
{
	enum dp_message type = media->session ? DP_SESSION_UPDATE : DP_SESSION_CREATE;
	struct dp_session_request request;
	int error;

	build_request(media, NULL, &request);
	media->requests++;
	media->allocations++;
	error = dp_client_session(media->shard->dataplane, type, &request, NULL, on_allocated, media);
	if (error) {
		media->requests--;
		media->allocations--;
		return error;
	}
	media->waiting = true;
	media->touched = true;
	return 1;
}

/* --- offer and answer -------------------------------------------------------------------------------------------------- */

static struct media_state *state_new(unsigned count)
{
	struct media_state *state = calloc(1, sizeof(*state) + count * sizeof(state->stream[0]));

	if (state)
		state->count = count;
	return state;
}

/* Stream `i` of an offer: what is committed there with the offerer's new description, or a new one. */
static void propose(struct media *media, unsigned side, unsigned i, const struct sdp_media *m)
{
	struct media_stream *stream = &media->next->stream[i];

	if (media->committed && i < media->committed->count &&
		media->committed->stream[i].kind == kind_of(m)) {
		*stream = media->committed->stream[i];
		stream->side[0].off = stream->side[1].off = false;
	} else {
		*stream = (struct media_stream){ .kind = kind_of(m) };
		for (unsigned s = 0; s < 2; s++)
			stream->side[s].family = own_family(media, s);
	}
	if (stream->kind != DP_MEDIA_NONE)
		describe(media, side, m, true, &stream->side[side]);
}

static bool needs_ports(const struct media *media)
{
	for (unsigned i = 0; i < media->next->count; i++)
		if (media->next->stream[i].kind != DP_MEDIA_NONE &&
			(!media->committed || i >= media->committed->count ||
				allocation_stream(media, i) != &media->committed->stream[i]))
			return true;
	return false;
}

int media_offer(struct media *media, unsigned side, struct span body)
{
	struct sdp sdp;
	bool any = false, all_off = true;
	int result;

	if (media->next || media->allocations)
		return -EBUSY;
	result = sdp_parse(&sdp, body, &media->shard->config->sip);
	if (result)
		return result;
	for (unsigned i = 0; i < sdp.media_count; i++) {
		any = any || (i < DP_STREAMS_MAX && kind_of(&sdp.media[i]) != DP_MEDIA_NONE);
		all_off = all_off && sdp.media[i].port == 0;
	}
	/* Within a call all streams may be switched off; a new call without any makes no sense. */
	if (!any && !(media->committed && all_off))
		return -EPROTONOSUPPORT;
	media->next = state_new(sdp.media_count < DP_STREAMS_MAX ? sdp.media_count : DP_STREAMS_MAX);
	if (!media->next)
		return -ENOMEM;
	for (unsigned i = 0; i < media->next->count; i++)
		propose(media, side, i, &sdp.media[i]);
	result = needs_ports(media) ? start_allocation(media) : 0;
	if (result < 0)
		drop_next(media);
	return result;
}

static void commit(struct media *media)
{
	free(media->committed);
	media->committed = media->next;
	media->next = NULL;
	drop_next(media);
	for (unsigned i = 0; i < media->committed->count; i++) {
		struct media_stream *stream = &media->committed->stream[i];

		if (stream->side[0].off || stream->side[1].off)
			*stream = (struct media_stream){ .kind = DP_MEDIA_NONE };
	}
	media->silent[0] = media->silent[1] = 0;
}

int media_answer(struct media *media, unsigned side, struct span body, bool final)
{
	struct sdp sdp;
	int error;

	if (!media->next || media->waiting)
		return -EPROTO;
	error = sdp_parse(&sdp, body, &media->shard->config->sip);
	if (error)
		return error;
	for (unsigned i = 0; i < media->next->count; i++) {
		static const struct sdp_media refused = { .port = 0 };
		const struct sdp_media *m = i < sdp.media_count ? &sdp.media[i] : &refused;
		struct media_stream *stream = &media->next->stream[i];

		if (stream->kind == DP_MEDIA_NONE)
			continue;
		describe(media, side, kind_of(m) == stream->kind ? m : &refused, false, &stream->side[side]);
	}
	if (final)
		commit(media);
	else
		media->touched = true;
	start_update(media, final ? media->committed : media->next);
	return 0;
}

int media_confirm(struct media *media)
{
	bool answered = true;

	if (!media->next || media->waiting)
		return -EPROTO;
	for (unsigned i = 0; i < media->next->count; i++)
		answered = answered && (media->next->stream[i].kind == DP_MEDIA_NONE ||
					       (media->next->stream[i].side[0].known &&
						       media->next->stream[i].side[1].known));
	if (!answered)
		return -EPROTO;
	commit(media);
	start_update(media, media->committed);
	return 0;
}

void media_reject(struct media *media)
{
	bool touched = media->touched;

	if (!media->next)
		return;
	drop_next(media);
	if (touched && media->committed)
		start_update(media, media->committed);
}

bool media_offer_is_pending(const struct media *media)
{
	return media->next != NULL;
}

static int write_version(struct media *media, unsigned to, const struct sdp *sdp, struct writer *out)
{
	const struct media_state *state = media->next ? media->next : media->committed;
	struct sdp_rewrite_media rewrite[SDP_MEDIA_MAX] = { 0 };
	struct sdp_origin *origin = &media->origin[to];
	bool first = true;

	for (unsigned i = 0; i < sdp->media_count; i++) {
		const struct media_stream *stream = state && i < state->count ? &state->stream[i] : NULL;

		rewrite[i].reject = !stream || stream->kind == DP_MEDIA_NONE || stream->side[1 - to].off ||
				    !address_is_set(&stream->side[to].local);
		if (rewrite[i].reject)
			continue;
		rewrite[i].local = stream->side[to].local;
		rewrite[i].rtcp_mux = media->party[to].profile->rtcp_mux;
		if (first)
			origin->address = rewrite[i].local;
		first = false;
	}
	return sdp_rewrite(sdp, origin, rewrite, out);
}

int media_write(struct media *media, unsigned to, struct span body, struct writer *out)
{
	size_t start = out->len;
	struct span text;
	struct sdp sdp;
	char *copy;
	int error;

	if ((error = sdp_parse(&sdp, body, &media->shard->config->sip)) ||
		(error = write_version(media, to, &sdp, out)))
		return error;
	text = (struct span){ out->buffer + start, out->len - start };
	if (span_equal(text, media_written(media, to)))
		return 0;
	if (media->written[to]) {
		media->origin[to].version++;
		out->len = start;
		if ((error = write_version(media, to, &sdp, out)))
			return error;
		text = (struct span){ out->buffer + start, out->len - start };
	}
	copy = span_dup(text);
	if (!copy)
		return -ENOMEM;
	free(media->written[to]);
	media->written[to] = copy;
	media->written_length[to] = text.n;
	return 0;
}

struct span media_written(const struct media *media, unsigned to)
{
	return (struct span){ media->written[to], media->written_length[to] };
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

int media_new(struct shard *shard, const struct media_events *events, void *arg, struct media **out)
{
	struct media *media = calloc(1, sizeof(*media));

	if (!media)
		return -ENOMEM;
	media->shard = shard;
	media->events = events;
	media->arg = arg;
	for (unsigned side = 0; side < 2; side++) {
		/* Below 2^62: there are parsers that keep it in a signed number. */
		media->origin[side].session_id = random_u64() >> 2;
		media->origin[side].version = 1;
	}
	*out = media;
	return 0;
}

void media_set_party(struct media *media, unsigned side, const struct media_party *party)
{
	media->party[side] = *party;
}

void media_close(struct media *media, media_closed closed, void *arg)
{
	media->closing = true;
	media->closed = closed;
	media->closed_arg = arg;
	if (media->session)
		start_delete(media);
	else if (media->allocations == 0)
		finish_close(media, NULL);
}

void media_abandon(struct media *media)
{
	media->closing = true;
	if (media->requests == 0)
		release(media);
}

static void on_stored(void *arg, int status, const void *body, size_t length)
{
	(void)status;
	(void)body;
	(void)length;
	reply_is_late(arg);
}

void media_store(struct media *media, const void *blob, size_t length)
{
	unsigned char body[sizeof(struct dp_session_id) + DP_BLOB_MAX];
	struct dp_session_id id = { .session = media->session };

	if (!media->session || length > DP_BLOB_MAX)
		return;
	memcpy(body, &id, sizeof(id));
	memcpy(body + sizeof(id), blob, length);
	media->requests++;
	if (dp_client_request(
		    media->shard->dataplane, DP_BLOB_SET, body, sizeof(id) + length, on_stored, media))
		media->requests--;
}

void media_resync(struct media *media)
{
	if (!media->missed || media->waiting)
		return;
	media->missed = false;
	if (media->next && media->touched)
		start_update(media, media->next);
	else if (media->committed)
		start_update(media, media->committed);
}

bool media_silent(struct media *media, unsigned stream, unsigned side)
{
	unsigned expected = 0;

	if (!media->committed || stream >= media->committed->count || side > 1)
		return false;
	for (unsigned i = 0; i < media->committed->count; i++)
		if (media->committed->stream[i].kind != DP_MEDIA_NONE &&
			!sends_nothing(&media->committed->stream[i], side))
			expected |= 1u << i;
	media->silent[side] = (uint8_t)(media->silent[side] | 1u << stream);
	return expected != 0 && (expected & ~(unsigned)media->silent[side]) == 0;
}

uint64_t media_session(const struct media *media)
{
	return media->session;
}

unsigned media_held(const struct media *media)
{
	unsigned held = 0;

	for (unsigned side = 0; media->committed && side < 2; side++) {
		bool streams = false, sends = false;

		for (unsigned i = 0; i < media->committed->count; i++) {
			const struct media_side *own = &media->committed->stream[i].side[side];

			if (media->committed->stream[i].kind == DP_MEDIA_NONE)
				continue;
			streams = true;
			sends = sends || (own->direction != SDP_SENDONLY && own->direction != SDP_INACTIVE);
		}
		if (streams && !sends)
			held |= 1u << side;
	}
	return held;
}
