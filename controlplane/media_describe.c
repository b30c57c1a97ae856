/* SPDX-License-Identifier: BSD-3-Clause */
/* The descriptions that are written for the two sides of a call, each with an origin and versions of its own. */
#include <errno.h>
#include <string.h>

#include "controlplane/media_state.h"
#include "controlplane/secret.h"

/* a=crypto of a description: each stream with each suite. */
enum { KEY_LINES_MAX = DP_STREAMS_MAX * DP_SRTP_SUITE_COUNT * 128 };

static int write_version(struct media *media, unsigned to, const struct sdp *sdp, struct writer *out)
{
	const struct media_state *state = media->next ? media->next : media->committed;
	struct sdp_rewrite_media rewrite[SDP_MEDIA_MAX] = { 0 };
	struct sdp_origin *origin = &media->origin[to];
	char text[KEY_LINES_MAX];
	struct writer lines;
	bool first = true;
	int error;

	writer_init(&lines, text, sizeof(text));

	for (unsigned i = 0; i < sdp->media_count; i++) {
		const struct media_stream *stream = state && i < state->count ? &state->stream[i] : NULL;

		rewrite[i].reject = !stream || stream->kind == DP_MEDIA_NONE || stream->side[1 - to].off ||
				    !address_is_set(&stream->side[to].local);
		if (rewrite[i].reject)
			continue;
		rewrite[i].local =
			media_is_local(media, stream) ? stream->side[1 - to].remote : stream->side[to].local;
		rewrite[i].rtcp_mux = media->party[to].profile->rtcp_mux;
		media_crypto_write(stream, to, &sdp->media[i], &lines, &rewrite[i]);
		if (first)
			origin->address = stream->side[to].local;
		first = false;
	}
	error = lines.overflow ? -ENOSPC : sdp_rewrite(sdp, origin, rewrite, out);
	if (lines.len)
		explicit_bzero(text, lines.len);
	return error;
}

int media_keep_written(struct media *media, unsigned to, struct span text)
{
	char *copy = secret_dup(text);

	if (!copy)
		return -ENOMEM;
	if (media->next && media->committed && !media->before[to]) {
		media->before[to] = media->written[to];
		media->before_length[to] = media->written_length[to];
	} else {
		secret_free(media->written[to]);
	}
	media->written[to] = copy;
	media->changes++;
	media->written_length[to] = text.n;
	return 0;
}

int media_write(struct media *media, unsigned to, struct span body, struct writer *out)
{
	size_t start = out->len;
	struct span text;
	struct sdp sdp;
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
	return media_keep_written(media, to, text);
}

int media_refuse(const struct media *media, unsigned to, struct span offer, const union address *own,
	struct writer *out)
{
	struct sdp_rewrite_media rewrite[SDP_MEDIA_MAX] = { 0 };
	struct sdp_origin origin = media->origin[to];
	struct sdp sdp;
	int error = sdp_parse(&sdp, offer, &media->shard->config->sip);

	if (error)
		return error;
	for (unsigned i = 0; i < sdp.media_count; i++)
		rewrite[i].reject = true;
	if (!address_is_set(&origin.address))
		origin.address = *own;
	if (media->written[to])
		origin.version++;
	return sdp_rewrite(&sdp, &origin, rewrite, out);
}

int media_restate(struct media *media, unsigned to, struct writer *out)
{
	struct span rest = media_written(media, to), text;
	size_t start = out->len;

	/* Ours: "v=0", "o=- ID VERSION IN ...". */
	for (unsigned spaces = 0; spaces < 2; spaces++)
		span_cut(&rest, ' ');
	if (!rest.p)
		return -EPROTO;
	writer_span(out, (struct span){ media->written[to], (size_t)(rest.p - media->written[to]) });
	span_cut(&rest, ' ');
	writer_uint(out, ++media->origin[to].version);
	writer_char(out, ' ');
	writer_span(out, rest);
	text = (struct span){ out->buffer + start, out->len - start };
	return out->overflow ? -ENOSPC : media_keep_written(media, to, text);
}

/* RFC 3264 section 6: streams as many as offered, off where offered off, and none sends what the other does not receive. */
static bool can_answer(const struct sdp *offer, const struct sdp *answer)
{
	static const unsigned fits[] = { /* bits of directions, by the offered one */
		[SDP_SENDRECV] =
			1U << SDP_SENDRECV | 1U << SDP_SENDONLY | 1U << SDP_RECVONLY | 1U << SDP_INACTIVE,
		[SDP_SENDONLY] = 1U << SDP_RECVONLY | 1U << SDP_INACTIVE,
		[SDP_RECVONLY] = 1U << SDP_SENDONLY | 1U << SDP_INACTIVE,
		[SDP_INACTIVE] = 1U << SDP_INACTIVE
	};

	if (offer->media_count != answer->media_count)
		return false;
	for (unsigned i = 0; i < offer->media_count; i++) {
		const struct sdp_media *o = &offer->media[i], *a = &answer->media[i];

		if (a->port && (!o->port || (fits[o->direction] >> a->direction & 1) == 0))
			return false;
	}
	return true;
}

bool media_is_known(const struct media *media, unsigned side, struct span body)
{
	const struct config_sip *limits = &media->shard->config->sip;
	struct sdp offer, answer;

	if (!media->committed || media->next || !media->written[side] ||
		media->heard[side] != (hash_bytes(&media->shard->table_key, body.p, body.n) | 1))
		return false;
	return sdp_parse(&offer, body, limits) == 0 &&
	       sdp_parse(&answer, media_written(media, side), limits) == 0 && can_answer(&offer, &answer) &&
	       media_crypto_is_answer(media, side, &answer);
}

unsigned media_changes(const struct media *media)
{
	return media->changes;
}

struct span media_written(const struct media *media, unsigned to)
{
	return (struct span){ media->written[to], media->written_length[to] };
}
