/* SPDX-License-Identifier: BSD-3-Clause */
/* A key of ours in place of one that is used up (RFC 3711 section 9.2, RFC 4568 section 7.1.4): offered to one side alone, the other does
 * not learn of it. */
#include <errno.h>
#include <string.h>

#include "controlplane/media_state.h"
#include "controlplane/secret.h"

static struct media_crypto *keys_of(const struct media *media, unsigned side, unsigned i)
{
	struct media_crypto *crypto = NULL;

	if (media->committed && i < media->committed->count &&
		media->committed->stream[i].kind == DP_MEDIA_RTP)
		crypto = media->committed->stream[i].side[side].crypto;
	return crypto && crypto->suite != DP_SRTP_NONE ? crypto : NULL;
}

/* The suite in force alone: who takes another one now would have to begin anew. */
static void write_line(struct media_crypto *crypto, struct writer *lines, struct sdp_rewrite_media *out)
{
	size_t start = lines->len;

	crypto->offered_count = 1;
	crypto->offered[0] = (uint8_t)crypto->suite;
	sdes_write(lines, 1, crypto->suite, crypto->renewed ? crypto->renewal : crypto->key[crypto->suite]);
	out->crypto = (struct span){ lines->buffer + start, lines->len - start };
}

static int write_anew(struct media *media, unsigned side, struct writer *out)
{
	struct sdp_rewrite_media rewrite[SDP_MEDIA_MAX] = { 0 };
	char text[DP_STREAMS_MAX * 128];
	struct writer lines;
	struct sdp sdp;
	int error = sdp_parse(&sdp, media_written(media, side), &media->shard->config->sip);

	writer_init(&lines, text, sizeof(text));
	for (unsigned i = 0; error == 0 && i < sdp.media_count; i++) {
		struct media_crypto *crypto = keys_of(media, side, i);

		rewrite[i].local = sdp.media[i].rtp;
		rewrite[i].rtcp_mux = true;
		if (crypto)
			write_line(crypto, &lines, &rewrite[i]);
	}
	media->origin[side].version++;
	if (error == 0)
		error = lines.overflow ? -ENOSPC : sdp_rewrite(&sdp, &media->origin[side], rewrite, out);
	if (lines.len)
		explicit_bzero(text, lines.len);
	return error;
}

int media_rekey(struct media *media, unsigned side, unsigned stream, struct writer *out)
{
	struct media_crypto *crypto = keys_of(media, side, stream);
	size_t start = out->len;
	int error;

	if (!crypto || media->next || !media->written[side])
		return -EPROTO;
	sdes_make_key(crypto->suite, crypto->renewal);
	crypto->renewed = true;
	error = write_anew(media, side, out);
	if (error == 0)
		error = media_keep_written(
			media, side, (struct span){ out->buffer + start, out->len - start });
	return error;
}

/* A key of theirs that says how long it lives, and stays, is used up all the same. */
static int take(
	struct media *media, struct media_stream *stream, unsigned i, unsigned side, const struct sdp *sdp)
{
	struct media_crypto *crypto = stream->side[side].crypto;
	bool renewed = crypto->renewed;
	struct dp_crypto before = crypto->theirs;
	int error = -EKEYREJECTED;

	if (i < sdp->media_count && sdp->media[i].port && sdp->media[i].has_crypto)
		error = media_crypto_answered(media, stream, i, side, sdp, &sdp->media[i]);
	if (error == 0 && renewed && before.lifetime != 0 &&
		sdes_same_key((enum dp_srtp_suite)before.suite, before.key,
			(enum dp_srtp_suite)crypto->theirs.suite, crypto->theirs.key))
		error = -EKEYEXPIRED;
	explicit_bzero(&before, sizeof(before));
	if (error == 0 && renewed) {
		memcpy(crypto->key[crypto->suite], crypto->renewal, sizeof(crypto->renewal));
		explicit_bzero(crypto->renewal, sizeof(crypto->renewal));
		crypto->renewed = false;
	}
	return error;
}

int media_rekeyed(struct media *media, unsigned side, struct span body)
{
	struct media_state *state = media->committed;
	struct sdp sdp;
	int error;

	if (!state || media->next)
		return -EPROTO;
	error = sdp_parse(&sdp, body, &media->shard->config->sip);
	for (unsigned i = 0; error == 0 && i < state->count; i++)
		if (keys_of(media, side, i))
			error = take(media, &state->stream[i], i, side, &sdp);
	media_tell_insecure(media, side);
	if (error)
		return error;
	media_update(media, state);
	return 0;
}
