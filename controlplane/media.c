/* SPDX-License-Identifier: BSD-3-Clause */
/* Offer and answer (RFC 3264) of one call. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/media_state.h"
#include "controlplane/secret.h"
#include "platforms/base/random.h"

/* --- what a description says --------------------------------------------------------------------------------------- */

static enum dp_media_kind kind_of(const struct sdp_media *m)
{
	static const struct {
		struct span protocol;
		enum dp_media_kind kind;
	} relayed[] = {
		{ { "udptl", 5 }, DP_MEDIA_OTHER },
		{ { "udp", 3 }, DP_MEDIA_OTHER },
		{ { "UDP/BFCP", 8 }, DP_MEDIA_OTHER },
	};

	if (m->port && media_is_rtp(m->protocol))
		return DP_MEDIA_RTP;
	for (size_t i = 0; m->port != 0 && i < sizeof(relayed) / sizeof(relayed[0]); i++)
		if (span_equal_case(m->protocol, relayed[i].protocol))
			return relayed[i].kind;
	return DP_MEDIA_NONE;
}

static bool has_pool(const struct media *media, unsigned side, uint8_t family)
{
	const struct config *config = media->shard->config;

	for (size_t i = 0; i < config->steering_pools_count; i++)
		if (config->steering_pools[i].realm == media->party[side].realm &&
			media_family(&config->steering_pools[i].address) == family)
			return true;
	return false;
}

/* The family we offer on a side: that of its signalling where there is a pool, else the other. */
static uint8_t own_family(const struct media *media, unsigned side)
{
	uint8_t family = media_family(&media->party[side].signalling);

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
	return media_family(a) == family && is_unicast(a) && address_port(a) ? *a : (union address){ 0 };
}

static void describe(const struct media *media, unsigned side, const struct sdp_media *m, bool is_offer,
	struct media_side *out)
{
	uint8_t family = media_family(&m->rtp);

	/* An offer may come with another family than its signalling: then ours on that side follows it. */
	if (is_offer && family && has_pool(media, side, family))
		out->family = family;
	out->known = true;
	out->off = m->port == 0;
	out->direction = (uint8_t)m->direction;
	out->mux = m->rtcp_mux;
	out->telephone_event = kind_of(m) == DP_MEDIA_RTP ? m->telephone_event : 0;
	out->bandwidth = sdp_bandwidth_limit(&m->bandwidth);
	/* RFC 2543's hold says nothing of where its sender is: it stays where it was, and may play music from there. */
	if (address_is_unspecified(&m->rtp) && address_is_set(&out->remote) && m->port) {
		address_set_port(&out->remote, m->port);
		return;
	}
	out->remote = usable(&m->rtp, out->family);
	out->rtcp = usable(&m->rtcp, out->family);
}

/* --- offer and answer -------------------------------------------------------------------------------------------------- */

static struct media_state *state_new(unsigned count)
{
	struct media_state *state = calloc(1, sizeof(*state) + count * sizeof(state->stream[0]));

	if (state)
		state->count = count;
	return state;
}

static void note_heard(struct media *media, unsigned side, struct span body)
{
	media->hearing[side] = hash_bytes(&media->shard->table_key, body.p, body.n) | 1;
}

/* A stream that becomes another kind in place (audio to T.38) keeps its ports: the old kind goes on until the answer. */
static void keep_ports(struct media_stream *stream, const struct media_stream *now)
{
	for (unsigned s = 0; s < 2; s++)
		if (stream->side[s].family != now->side[s].family)
			return;
	for (unsigned s = 0; s < 2; s++)
		stream->side[s].local = now->side[s].local;
}

/* Keys as they are asked of both sides. A stream without is refused alone, unless it had them before. */
static int propose_keys(
	struct media *media, unsigned side, unsigned i, const struct sdp *sdp, bool was_committed)
{
	struct media_stream *stream = &media->next->stream[i];
	int error;

	if (stream->kind == DP_MEDIA_NONE)
		return 0;
	error = stream->kind == DP_MEDIA_RTP
			? media_crypto_offered(media, stream, i, side, sdp, &sdp->media[i])
			: 0;
	if (error == 0)
		error = media_crypto_prepare(media, stream, 1 - side);
	if (error != -EKEYREJECTED || was_committed)
		return error;
	media_stream_clear(stream);
	return 0;
}

/* Stream `i` of an offer: what is committed there with the offerer's new description, or a new one. */
static int propose(struct media *media, unsigned side, unsigned i, const struct sdp *sdp)
{
	struct media_stream *stream = &media->next->stream[i];
	const struct sdp_media *m = &sdp->media[i];
	bool goes_on = media->committed && i < media->committed->count &&
		       media->committed->stream[i].kind == kind_of(m);
	int error;

	if (goes_on) {
		error = media_stream_copy(stream, &media->committed->stream[i]);
		if (error)
			return error;
		stream->side[0].off = stream->side[1].off = false;
	} else {
		*stream = (struct media_stream){ .kind = kind_of(m) };
		for (unsigned s = 0; s < 2; s++)
			stream->side[s].family = own_family(media, s);
	}
	stream->offerer = side;
	stream->crossed = false;
	error = propose_keys(media, side, i, sdp, goes_on);
	if (error || stream->kind == DP_MEDIA_NONE)
		return error;
	describe(media, side, m, true, &stream->side[side]);
	if (media->committed && i < media->committed->count &&
		media->committed->stream[i].kind != DP_MEDIA_NONE)
		keep_ports(stream, &media->committed->stream[i]);
	return 0;
}

/* -EKEYREJECTED: no stream is left for want of keys; `wanted`: those that could have been relayed. */
static int propose_all(struct media *media, unsigned side, const struct sdp *sdp, bool wanted)
{
	bool any = !wanted;
	int error = 0;

	for (unsigned i = 0; error == 0 && i < media->next->count; i++) {
		error = propose(media, side, i, sdp);
		any = any || media->next->stream[i].kind != DP_MEDIA_NONE;
	}
	return error || any ? error : -EKEYREJECTED;
}

/* Streams that are refused alone are told of, too. */
void media_tell_insecure(struct media *media, unsigned side)
{
	const char *why = media->insecure;

	media->insecure = NULL;
	if (why && media->events->insecure)
		media->events->insecure(media->arg, side, why);
}

static bool needs_ports(const struct media *media)
{
	for (unsigned i = 0; i < media->next->count; i++)
		if (media->next->stream[i].kind != DP_MEDIA_NONE &&
			(!media->committed || i >= media->committed->count ||
				media_allocation_stream(media, i) != &media->committed->stream[i]))
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
	result = propose_all(media, side, &sdp, any);
	media_tell_insecure(media, side);
	if (result == 0) {
		note_heard(media, side, body);
		result = needs_ports(media) ? media_allocate(media) : 0;
	}
	if (result < 0)
		media_drop_next(media);
	return result;
}

static void note_security(struct media *media, const struct media_stream *stream)
{
	for (unsigned side = 0; side < 2; side++) {
		const struct media_side *own = &stream->side[side];

		if (!own->crypto || own->crypto->suite == DP_SRTP_NONE)
			continue;
		media->secured[side] = true;
		media->savp[side] = own->security == MEDIA_SECURE;
	}
}

static void commit(struct media *media)
{
	media_state_free(media->committed);
	media->committed = media->next;
	media->next = NULL;
	media_drop_next(media);
	for (unsigned i = 0; i < media->committed->count; i++) {
		struct media_stream *stream = &media->committed->stream[i];

		if (stream->side[0].off || stream->side[1].off)
			media_stream_clear(stream);
		else
			note_security(media, stream);
	}
	media->silent[0] = media->silent[1] = 0;
	for (unsigned side = 0; side < 2; side++) {
		if (media->hearing[side])
			media->heard[side] = media->hearing[side];
		media->hearing[side] = 0;
		secret_free(media->before[side]);
		media->before[side] = NULL;
	}
}

/* `is_offer`: it was made as one, and answers that of the other side all the same. */
static int take_answer(struct media *media, unsigned side, struct span body, bool final, bool is_offer)
{
	struct sdp sdp;
	int error;

	if (!media->next || media->waiting)
		return media->next ? -EBUSY : -EPROTO;
	error = sdp_parse(&sdp, body, &media->shard->config->sip);
	if (error)
		return error;
	/* RFC 3264 section 6: to each stream of the offer there is one in the answer. Fewer are taken for rejected ones, as telephones do
	 * it; none at all answers nothing. */
	if (sdp.media_count == 0)
		return -EPROTO;
	for (unsigned i = 0; i < media->next->count; i++) {
		static const struct sdp_media refused = { .port = 0 };
		const struct sdp_media *m = i < sdp.media_count ? &sdp.media[i] : &refused;
		struct media_stream *stream = &media->next->stream[i];

		if (stream->kind == DP_MEDIA_NONE)
			continue;
		if (kind_of(m) != stream->kind)
			m = &refused;
		stream->crossed = is_offer;
		if (stream->kind == DP_MEDIA_RTP && m->port)
			error = is_offer ? media_crypto_offered(media, stream, i, side, &sdp, m)
					 : media_crypto_answered(media, stream, i, side, &sdp, m);
		if (error) {
			media_tell_insecure(media, side);
			return error;
		}
		describe(media, side, m, false, &stream->side[side]);
	}
	note_heard(media, side, body);
	if (final)
		commit(media);
	else
		media->touched = true;
	media_update(media, final ? media->committed : media->next);
	return 0;
}

int media_answer(struct media *media, unsigned side, struct span body, bool final)
{
	return take_answer(media, side, body, final, false);
}

int media_cross(struct media *media, unsigned side, const struct media_party *party, struct span body)
{
	int error = media_retarget(media, side, party);

	/* Ports of another realm would have to be waited for. */
	return error ? (error > 0 ? -EBUSY : error) : take_answer(media, side, body, true, true);
}

bool media_can_cross(
	const struct media *media, unsigned side, const struct media_party *party, struct span body)
{
	struct sdp sdp;

	if (!media->next || media->committed || media->waiting || media->party[side].realm != party->realm ||
		sdp_parse(&sdp, body, &media->shard->config->sip) || sdp.media_count == 0)
		return false;
	for (unsigned i = 0; i < media->next->count; i++) {
		const struct media_stream *stream = &media->next->stream[i];

		if (i < sdp.media_count && stream->kind == DP_MEDIA_RTP && sdp.media[i].port &&
			!media_crypto_is_acceptable(stream, party, &sdp, &sdp.media[i]))
			return false;
	}
	return true;
}

void media_reject(struct media *media)
{
	bool touched = media->touched;

	if (!media->next)
		return;
	media_drop_next(media);
	for (unsigned side = 0; side < 2; side++) {
		media->hearing[side] = 0;
		if (!media->before[side])
			continue;
		secret_free(media->written[side]);
		media->written[side] = media->before[side];
		media->changes++;
		media->written_length[side] = media->before_length[side];
		media->before[side] = NULL;
	}
	if (touched && media->committed)
		media_update(media, media->committed);
}

/* Nobody can tell from it that somebody else was asked before. */
static void forget_written(struct media *media, unsigned side)
{
	secret_free(media->written[side]);
	media->written[side] = NULL;
	media->changes++;
	media->written_length[side] = 0;
	media->secured[side] = media->savp[side] = false;
	media->origin[side] = (struct sdp_origin){ .session_id = random_u64() >> 2, .version = 1 };
	media->hearing[side] = 0;
}

int media_retarget(struct media *media, unsigned side, const struct media_party *party)
{
	bool moves = media->party[side].realm != party->realm;
	int error;

	if (!media->next || media->committed || media->waiting)
		return -EPROTO;
	media->party[side] = *party;
	forget_written(media, side);
	for (unsigned i = 0; i < media->next->count; i++) {
		struct media_stream *stream = &media->next->stream[i];
		struct media_side now = { .family = own_family(media, side),
			.local = stream->side[side].local,
			.feedback = stream->side[side].feedback };

		if (stream->kind == DP_MEDIA_NONE)
			continue;
		if (moves || now.family != stream->side[side].family) {
			now.local = (union address){ 0 };
			moves = true;
		}
		secret_free(stream->side[side].crypto);
		stream->side[side] = now;
		error = media_crypto_prepare(media, stream, side);
		media_tell_insecure(media, side);
		if (error)
			return error;
	}
	if (moves)
		return media_allocate(media);
	media_update(media, media->next);
	return 0;
}

void media_follow(struct media *media, unsigned side, struct media *from, unsigned from_side)
{
	/* Should it come to nothing, that version has been used all the same. */
	from->origin[from_side].version++;
	media->origin[side] = from->origin[from_side];
	media->secured[side] = from->secured[from_side];
	media->savp[side] = from->savp[from_side];
	/* What it is to be offered was settled before it was known who it is. */
	for (unsigned i = 0; media->next && i < media->next->count; i++)
		if (media->next->stream[i].offerer != side)
			(void)media_crypto_prepare(media, &media->next->stream[i], side);
}

void media_other_dialog(struct media *media, unsigned side)
{
	media->secured[side] = false;
	media->repeats = true;
}

bool media_offer_is_pending(const struct media *media)
{
	return media->next != NULL;
}

bool media_silent(struct media *media, unsigned stream, unsigned side)
{
	unsigned expected = 0;

	if (!media->committed || stream >= media->committed->count || side > 1)
		return false;
	for (unsigned i = 0; i < media->committed->count; i++)
		if (media->committed->stream[i].kind != DP_MEDIA_NONE &&
			!media_sends_nothing(&media->committed->stream[i], side) &&
			!media_is_local(media, &media->committed->stream[i]))
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
