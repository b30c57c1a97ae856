/* SPDX-License-Identifier: BSD-3-Clause */
/* What the dataplane is told of a call's media: realms, families, addresses, latching, who is mute and who is quiet, what each side
 * may send. */
#include <string.h>

#include "controlplane/media_state.h"
#include "controlplane/nat.h"

uint8_t media_family(const union address *a)
{
	return a->sa.sa_family == AF_INET6 ? 6 : a->sa.sa_family == AF_INET ? 4 : 0;
}

/* Whether media may also come from where the signalling came from (RFC 7362 section 4.1). */
static bool may_be_behind_nat(const struct media_party *party, const struct media_side *side)
{
	if (party->profile->nat == CONFIG_NAT_NEVER || media_family(&party->signalling) != side->family)
		return false;
	if (party->profile->nat == CONFIG_NAT_ALWAYS)
		return true;
	return address_is_set(&side->remote) &&
	       (nat_is_private(&side->remote) || !address_equal_host(&side->remote, &party->signalling));
}

static bool receives_nothing(const struct media_side *side)
{
	return !side->known || side->off || !address_is_set(&side->remote) ||
	       side->direction == SDP_SENDONLY || side->direction == SDP_INACTIVE;
}

bool media_sends_nothing(const struct media_stream *stream, unsigned side)
{
	const struct media_side *own = &stream->side[side], *other = &stream->side[1 - side];

	return !own->known || own->off || other->off || own->direction == SDP_RECVONLY ||
	       own->direction == SDP_INACTIVE || other->direction == SDP_SENDONLY ||
	       other->direction == SDP_INACTIVE;
}

/* Decided by the offer, before the other phone has said anything: its sender is in the network behind the NAT, and says so. Who has been told of
 * him answers with an address of that network, or with the NAT's own, found by STUN: either way the two halves go the same way. Keys are ours on each side, and
 * so is what they protect: such media goes through here. */
bool media_is_local(const struct media *media, const struct media_stream *stream)
{
	const struct media_side *offerer = &stream->side[stream->offerer],
				*other = &stream->side[1 - stream->offerer];
	const union address *public = &media->party[0].signalling;

	for (unsigned side = 0; side < 2; side++)
		if (!media->party[side].profile->local_media || !media_side_is_plain(&stream->side[side]) ||
			!address_is_set(&media->party[side].signalling))
			return false;
	if (!address_equal_host(public, &media->party[1].signalling) || nat_is_private(public))
		return false;
	if (!offerer->known || !address_is_set(&offerer->remote) || !nat_is_private(&offerer->remote))
		return false;
	return !other->known ||
	       (address_is_set(&other->remote) &&
		       (nat_is_private(&other->remote) || address_equal_host(&other->remote, public)));
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
	const struct media_side *own = &stream->side[side], *other = &stream->side[1 - side];
	struct writer name;

	writer_init(&name, out->realm, sizeof(out->realm) - 1);
	writer_text(&name, party->realm->name);
	out->family = own->family;
	out->latching = latching_of(party->profile);
	if (own->mux && other->mux && party->profile->rtcp_mux)
		out->flags |= DP_SIDE_RTCP_MUX;
	if (receives_nothing(own))
		out->flags |= DP_SIDE_MUTED;
	/* A call that rings may do so for longer than the dataplane waits for media. */
	if (!media->committed || media_sends_nothing(stream, side) || media_is_local(media, stream))
		out->flags |= DP_SIDE_QUIET;
	/* The receiver chooses the numbers (RFC 3264 section 5.1) and names the bandwidth. */
	out->telephone_event = other->telephone_event;
	out->rate_limit = other->bandwidth;
	dp_address_from(&out->rtp, &own->remote);
	dp_address_from(&out->rtcp, &own->rtcp);
	if (may_be_behind_nat(party, own))
		dp_address_from(&out->signalling, &party->signalling);
	media_crypto_request(own, &out->from, &out->to);
}

const struct media_stream *media_allocation_stream(const struct media *media, unsigned i)
{
	const struct media_stream *now = NULL, *then = NULL;

	if (media->committed && i < media->committed->count &&
		media->committed->stream[i].kind != DP_MEDIA_NONE)
		now = &media->committed->stream[i];
	if (media->next && i < media->next->count)
		then = &media->next->stream[i];
	if (!now || !then || then->kind == DP_MEDIA_NONE)
		return now ? now : then;
	return now->side[0].family == then->side[0].family && now->side[1].family == then->side[1].family
		       ? now
		       : then;
}

void media_build_request(
	const struct media *media, const struct media_state *state, struct dp_session_request *out)
{
	unsigned count = state ? state->count : DP_STREAMS_MAX;

	memset(out, 0, sizeof(*out));
	out->session = media->session;
	out->owner = media->shard->index;
	for (unsigned i = 0; i < count; i++) {
		const struct media_stream *stream =
			state ? &state->stream[i] : media_allocation_stream(media, i);

		if (!stream || stream->kind == DP_MEDIA_NONE)
			continue;
		out->streams = (uint8_t)(i + 1);
		out->stream[i].kind = (uint8_t)stream->kind;
		for (unsigned side = 0; side < 2; side++)
			build_side(media, stream, side, &out->stream[i].side[side]);
	}
}
