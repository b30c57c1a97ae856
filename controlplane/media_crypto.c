/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of a call's media (RFC 4568, RFC 8643): each side has its own, and we have our own for each side. What is decided and why:
 * docs/decisions/0072-keys-by-sdes.md. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/media_state.h"
#include "controlplane/secret.h"

/* --- protocols ---------------------------------------------------------------------------------------------------------- */

static const struct span protocols[2][2] = {
	/* secure, with feedback */
	{ { "RTP/AVP", 7 }, { "RTP/AVPF", 8 } },
	{ { "RTP/SAVP", 8 }, { "RTP/SAVPF", 9 } },
};

static bool is_one_of(struct span protocol, const struct span *a, const struct span *b)
{
	return span_equal_case(protocol, *a) || span_equal_case(protocol, *b);
}

static bool is_secure(struct span protocol)
{
	return is_one_of(protocol, &protocols[1][0], &protocols[1][1]);
}

static bool has_feedback(struct span protocol)
{
	return is_one_of(protocol, &protocols[0][1], &protocols[1][1]);
}

bool media_is_rtp(struct span protocol)
{
	return is_one_of(protocol, &protocols[0][0], &protocols[0][1]) || is_secure(protocol);
}

/* --- keys --------------------------------------------------------------------------------------------------------------- */

static int need(struct media_side *side)
{
	if (!side->crypto)
		side->crypto = secret_alloc(sizeof(*side->crypto));
	return side->crypto ? 0 : -ENOMEM;
}

static void make_plain(struct media_side *side)
{
	secret_free(side->crypto);
	side->crypto = NULL;
	side->security = MEDIA_PLAIN;
}

/* A key that was in force and is not any more is not used again: its packet count would begin anew, and two packets be protected by the
 * same octets (RFC 3711 section 9.1). */
static void need_key(struct media_crypto *crypto, enum dp_srtp_suite suite, bool repeats)
{
	if (crypto->made[suite] && (repeats || !crypto->used[suite] || crypto->suite == suite))
		return;
	sdes_make_key(suite, crypto->key[suite]);
	crypto->made[suite] = true;
	crypto->used[suite] = false;
}

static void agree(struct media_crypto *crypto, const struct sdes_line *line, bool repeats)
{
	enum dp_srtp_suite suite = (enum dp_srtp_suite)line->crypto.suite;

	need_key(crypto, suite, repeats);
	crypto->suite = suite;
	crypto->tag = line->tag;
	crypto->theirs = line->crypto;
	crypto->used[suite] = true;
}

/* Who sends our own key back as its own would have two streams protected by the same octets. */
static bool is_ours(const struct media_crypto *crypto, const struct dp_crypto *theirs)
{
	bool ours = false;

	for (unsigned suite = DP_SRTP_NONE + 1; crypto && suite < DP_SRTP_SUITE_COUNT; suite++)
		if (crypto->made[suite] && sdes_same_key((enum dp_srtp_suite)theirs->suite, theirs->key,
						   (enum dp_srtp_suite)theirs->suite, crypto->key[suite]))
			ours = true;
	if (crypto && crypto->renewed &&
		sdes_same_key((enum dp_srtp_suite)theirs->suite, theirs->key,
			(enum dp_srtp_suite)theirs->suite, crypto->renewal))
		ours = true;
	return ours;
}

static bool is_reflected(const struct media_stream *stream, const struct dp_crypto *theirs)
{
	return is_ours(stream->side[0].crypto, theirs) || is_ours(stream->side[1].crypto, theirs);
}

/* --- what a side may have ------------------------------------------------------------------------------------------------- */

/* Keys are said only where nobody else reads them, or the profile says that it does not matter. */
static bool may_say_keys(const struct media_party *party)
{
	return party->secure || party->profile->srtp_without_tls;
}

static enum config_media_security policy_of(const struct media_party *party)
{
	if (party->profile->media_security == CONFIG_MEDIA_SECURITY_REQUIRE || may_say_keys(party))
		return party->profile->media_security;
	return CONFIG_MEDIA_SECURITY_NONE;
}

static bool is_allowed(const struct config_ip_profile *profile, enum dp_srtp_suite suite)
{
	for (size_t i = 0; i < profile->crypto_suites.count; i++)
		if (sdes_suite_find(span_from(profile->crypto_suites.item[i])) == suite)
			return true;
	return false;
}

/* It was SRTP there before. A stream that is added counts as one that was. */
static bool was_secured(const struct media *media, unsigned i, unsigned side)
{
	const struct media_state *state = media->committed;

	if (!media->secured[side])
		return false;
	return !state || i >= state->count || state->stream[i].kind != DP_MEDIA_RTP ||
	       (state->stream[i].side[side].crypto &&
		       state->stream[i].side[side].crypto->suite != DP_SRTP_NONE);
}

/* --- lines ---------------------------------------------------------------------------------------------------------------- */

/* The n-th a=crypto of a stream; false: there are fewer. */
static bool line_find(const struct sdp *sdp, const struct sdp_media *m, unsigned n, struct span *value)
{
	for (unsigned i = 1; i < m->line_count; i++) {
		const struct sdp_line *line = &sdp->line[m->first_line + i];

		if (line->type != 'a' || !span_starts_case(line->value, SPAN("crypto:")) || n-- > 0)
			continue;
		*value = (struct span){ line->value.p + 7, line->value.n - 7 };
		return true;
	}
	return false;
}

static int refuse(struct media *media, const char *why)
{
	media->insecure = why;
	return -EKEYREJECTED;
}

/* The offerer's most preferred one that may be had here (RFC 4568 section 5.1.2); or the one in force, while it is still offered. 0; -ENOTSUP:
 * none of them; -EINVAL: and one is malformed; -EEXIST: two of one tag, so that an answer would not say which; -EKEYREJECTED: one is ours. */
static int choose(const struct media_stream *stream, const struct media_crypto *now,
	const struct config_ip_profile *profile, const struct sdp *sdp, const struct sdp_media *m,
	struct sdes_line *out)
{
	struct sdes_line line = { 0 };
	struct sdes_tags tags = { 0 };
	struct span value;
	int verdict = -ENOTSUP;

	for (unsigned n = 0; line_find(sdp, m, n, &value); n++) {
		int error = sdes_tags_take(&tags, value) ? sdes_parse(value, &line) : -EEXIST;

		if (error == -EEXIST) {
			verdict = error;
			break;
		}
		if (error == -EINVAL && verdict == -ENOTSUP)
			verdict = error;
		if (error || !is_allowed(profile, (enum dp_srtp_suite)line.crypto.suite))
			continue;
		if (is_reflected(stream, &line.crypto)) {
			verdict = -EKEYREJECTED;
			break;
		}
		if (verdict != 0 || (now && sdes_same_key(now->suite, now->theirs.key,
						    (enum dp_srtp_suite)line.crypto.suite, line.crypto.key)))
			*out = line;
		verdict = 0;
	}
	explicit_bzero(&line, sizeof(line));
	return verdict;
}

enum verdict { VERDICT_KEYS, VERDICT_CLEAR, VERDICT_REFUSED };

/* What becomes of a stream that a party offers. *line: of VERDICT_KEYS. *why: of VERDICT_REFUSED; NULL: nobody here has asked for keys, so
 * that there is nothing to tell. */
static enum verdict judge(const struct media_stream *stream, const struct media_crypto *now,
	const struct media_party *party, bool was_secure, const struct sdp *sdp, const struct sdp_media *m,
	struct sdes_line *line, const char **why)
{
	enum config_media_security policy = policy_of(party);
	bool secure = is_secure(m->protocol);
	int error = -ENOTSUP;

	*why = NULL;
	if (policy != CONFIG_MEDIA_SECURITY_NONE && may_say_keys(party) && m->has_crypto)
		error = choose(stream, now, party->profile, sdp, m, line);
	if (error == 0)
		return VERDICT_KEYS;
	if (error == -EKEYREJECTED)
		*why = "our own key offered to us";
	else if (error == -EEXIST)
		*why = "a=crypto lines of one tag, or too many of them, in an offer";
	else if (error == -EINVAL)
		*why = "no a=crypto but malformed ones in an offer";
	else if (was_secure)
		*why = "an offer that takes SRTP away";
	else if (secure && policy == CONFIG_MEDIA_SECURITY_NONE)
		return VERDICT_REFUSED;
	else if (secure)
		*why = "RTP/SAVP without an a=crypto that may be had";
	else if (policy == CONFIG_MEDIA_SECURITY_REQUIRE)
		*why = "an offer without SRTP";
	return *why ? VERDICT_REFUSED : VERDICT_CLEAR;
}

/* Who answers speaks as the offerer does, with feedback or without. */
static void note_feedback(struct media_stream *stream, unsigned side, bool feedback)
{
	stream->side[side].feedback = feedback;
	if (!stream->crossed)
		stream->side[1 - side].feedback = feedback;
}

int media_crypto_offered(struct media *media, struct media_stream *stream, unsigned i, unsigned side,
	const struct sdp *sdp, const struct sdp_media *m)
{
	struct media_side *own = &stream->side[side];
	struct sdes_line line = { 0 };
	const char *why;
	enum verdict verdict = judge(
		stream, own->crypto, &media->party[side], was_secured(media, i, side), sdp, m, &line, &why);
	int error = verdict == VERDICT_KEYS ? need(own) : 0;

	note_feedback(stream, side, has_feedback(m->protocol));
	if (verdict == VERDICT_KEYS && error == 0) {
		agree(own->crypto, &line, media->repeats);
		own->security = is_secure(m->protocol) ? MEDIA_SECURE : MEDIA_OPPORTUNISTIC;
	}
	explicit_bzero(&line, sizeof(line));
	if (verdict == VERDICT_REFUSED)
		return why ? refuse(media, why) : -EKEYREJECTED;
	if (verdict == VERDICT_CLEAR)
		make_plain(own);
	return error;
}

bool media_crypto_is_acceptable(const struct media_stream *stream, const struct media_party *party,
	const struct sdp *sdp, const struct sdp_media *m)
{
	struct sdes_line line = { 0 };
	const char *why;
	enum verdict verdict = judge(stream, NULL, party, false, sdp, m, &line, &why);

	explicit_bzero(&line, sizeof(line));
	return verdict != VERDICT_REFUSED;
}

static void offer_suite(struct media_crypto *crypto, enum dp_srtp_suite suite)
{
	for (unsigned i = 0; i < crypto->offered_count; i++)
		if (crypto->offered[i] == suite)
			return;
	if (suite == DP_SRTP_NONE || crypto->offered_count == DP_SRTP_SUITE_COUNT)
		return;
	need_key(crypto, suite, false);
	crypto->offered[crypto->offered_count++] = (uint8_t)suite;
}

/* SRTP is for RTP alone: of fax, and of what else goes by UDP, nothing can be had where a side requires it. */
static int accept_clear(struct media *media)
{
	for (unsigned side = 0; side < 2; side++)
		if (media->party[side].profile->media_security == CONFIG_MEDIA_SECURITY_REQUIRE)
			return refuse(media, "a stream that SRTP cannot protect");
	return 0;
}

int media_crypto_prepare(struct media *media, struct media_stream *stream, unsigned side)
{
	const struct media_party *party = &media->party[side];
	enum config_media_security policy = policy_of(party);
	struct media_side *own = &stream->side[side];
	struct media_crypto *crypto;
	int error;

	if (stream->kind != DP_MEDIA_RTP)
		return stream->kind == DP_MEDIA_NONE ? 0 : accept_clear(media);
	if (policy == CONFIG_MEDIA_SECURITY_NONE) {
		make_plain(own);
		return 0;
	}
	if (!may_say_keys(party))
		return refuse(media, "SRTP required, but signalling is not over TLS");
	/* The same words once more, for another of the forks that have got them. */
	if (media->repeats && own->crypto && own->crypto->offered_count)
		return 0;
	error = need(own);
	if (error)
		return error;
	crypto = own->crypto;
	own->security = policy == CONFIG_MEDIA_SECURITY_REQUIRE || media->savp[side] ? MEDIA_SECURE
										     : MEDIA_OPPORTUNISTIC;
	crypto->offered_count = 0;
	for (size_t i = 0; i < party->profile->crypto_suites.count; i++)
		offer_suite(crypto, sdes_suite_find(span_from(party->profile->crypto_suites.item[i])));
	offer_suite(crypto, crypto->suite);
	/* What comes before the answer is not plain: of a key that nobody has. */
	if (crypto->suite == DP_SRTP_NONE && crypto->offered_count) {
		crypto->theirs = (struct dp_crypto){ .suite = crypto->offered[0] };
		sdes_make_key((enum dp_srtp_suite)crypto->offered[0], crypto->theirs.key);
	}
	return crypto->offered_count ? 0 : refuse(media, "no crypto-suites");
}

/* The one line of an answer, to one of ours. */
static int answer_line(const struct media_stream *stream, const struct media_crypto *crypto,
	const struct sdp *sdp, const struct sdp_media *m, struct sdes_line *out)
{
	struct span value, second;

	if (!line_find(sdp, m, 0, &value) || line_find(sdp, m, 1, &second) || sdes_parse(value, out))
		return -EKEYREJECTED;
	if (out->tag == 0 || out->tag > crypto->offered_count ||
		crypto->offered[out->tag - 1] != out->crypto.suite || is_reflected(stream, &out->crypto))
		return -EKEYREJECTED;
	return 0;
}

int media_crypto_answered(struct media *media, struct media_stream *stream, unsigned i, unsigned side,
	const struct sdp *sdp, const struct sdp_media *m)
{
	struct media_side *own = &stream->side[side];
	struct sdes_line line = { 0 };
	int error;

	if (own->security == MEDIA_PLAIN || !own->crypto)
		return is_secure(m->protocol) ? refuse(media, "RTP/SAVP in an answer to RTP/AVP") : 0;
	if (m->has_crypto) {
		error = answer_line(stream, own->crypto, sdp, m, &line);
		if (error == 0)
			agree(own->crypto, &line, media->repeats);
		explicit_bzero(&line, sizeof(line));
		return error ? refuse(media, "an answer whose a=crypto does not fit our offer") : 0;
	}
	if (own->security == MEDIA_SECURE || is_secure(m->protocol) || was_secured(media, i, side))
		return refuse(media, "an answer without a=crypto");
	own->crypto->suite = DP_SRTP_NONE;
	return 0;
}

bool media_has_keys(const struct media *media)
{
	for (unsigned i = 0; media->next && i < media->next->count; i++)
		for (unsigned side = 0; side < 2; side++)
			if (media->next->stream[i].side[side].crypto)
				return true;
	return false;
}

bool media_side_is_plain(const struct media_side *side)
{
	return !side->crypto;
}

/* --- what goes out -------------------------------------------------------------------------------------------------------- */

void media_crypto_write(const struct media_stream *stream, unsigned to, const struct sdp_media *m,
	struct writer *lines, struct sdp_rewrite_media *out)
{
	const struct media_side *own = &stream->side[to];
	const struct media_crypto *crypto = own->crypto;
	size_t start = lines->len;

	/* What is plain on both sides stays as it was written; but an answer to AVPF is one (RFC 3264 section 6). */
	if (stream->kind != DP_MEDIA_RTP ||
		(own->security == MEDIA_PLAIN && !is_secure(m->protocol) && !stream->crossed))
		return;
	out->protocol = protocols[own->security == MEDIA_SECURE][own->feedback];
	out->no_feedback = !own->feedback && has_feedback(m->protocol);
	if (crypto && (stream->offerer == to || stream->crossed)) {
		if (crypto->suite != DP_SRTP_NONE)
			sdes_write(lines, crypto->tag, crypto->suite, crypto->key[crypto->suite]);
	} else if (crypto) {
		for (unsigned i = 0; i < crypto->offered_count; i++)
			sdes_write(lines, i + 1, (enum dp_srtp_suite)crypto->offered[i],
				crypto->key[crypto->offered[i]]);
	}
	out->crypto = (struct span){ lines->buffer + start, lines->len - start };
}

void media_crypto_request(const struct media_side *side, struct dp_crypto *from, struct dp_crypto *to)
{
	const struct media_crypto *crypto = side->crypto;
	enum dp_srtp_suite suite;

	if (!crypto)
		return;
	suite = crypto->suite;
	/* Offered, and not answered yet. */
	if (suite == DP_SRTP_NONE && side->security == MEDIA_SECURE)
		suite = (enum dp_srtp_suite)crypto->theirs.suite;
	if (suite == DP_SRTP_NONE)
		return;
	*from = crypto->theirs;
	to->suite = (uint8_t)suite;
	memcpy(to->key, crypto->key[suite], sizeof(to->key));
}

bool media_crypto_is_answer(const struct media *media, unsigned side, const struct sdp *answer)
{
	for (unsigned i = 0; i < media->committed->count && i < answer->media_count; i++) {
		const struct media_crypto *crypto = media->committed->stream[i].side[side].crypto;
		struct span value, second;
		uint64_t tag;

		if (!answer->media[i].has_crypto)
			continue;
		if (!crypto || crypto->suite == DP_SRTP_NONE ||
			!line_find(answer, &answer->media[i], 0, &value) ||
			line_find(answer, &answer->media[i], 1, &second))
			return false;
		if (span_to_uint(span_cut(&value, ' '), UINT32_MAX, &tag) || tag != crypto->tag)
			return false;
	}
	return true;
}

/* --- life ------------------------------------------------------------------------------------------------------------------ */

int media_stream_copy(struct media_stream *to, const struct media_stream *from)
{
	int error = 0;

	*to = *from;
	for (unsigned side = 0; side < 2; side++) {
		to->side[side].crypto = NULL;
		if (!from->side[side].crypto)
			continue;
		if (need(&to->side[side]))
			error = -ENOMEM;
		else
			*to->side[side].crypto = *from->side[side].crypto;
	}
	return error;
}

void media_stream_clear(struct media_stream *stream)
{
	for (unsigned side = 0; side < 2; side++)
		secret_free(stream->side[side].crypto);
	*stream = (struct media_stream){ .kind = DP_MEDIA_NONE };
}

void media_state_free(struct media_state *state)
{
	for (unsigned i = 0; state && i < state->count; i++)
		for (unsigned side = 0; side < 2; side++)
			if (state->stream[i].side[side].crypto)
				secret_free(state->stream[i].side[side].crypto);
	free(state);
}
