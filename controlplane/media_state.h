/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the media files: the state of offer and answer, and what the files do for each other. */
#ifndef CONTROLPLANE_MEDIA_STATE_H
#define CONTROLPLANE_MEDIA_STATE_H

#include "controlplane/media.h"
#include "controlplane/sdes.h"

/* Keys of one side of a stream (RFC 4568). In memory that no core dump has (secret.h). */
struct media_crypto {
	enum dp_srtp_suite suite; /* agreed on; DP_SRTP_NONE: nothing (yet), or plain RTP */
	uint32_t tag; /* of the line agreed on */
	struct dp_crypto theirs; /* what that side protects with */
	unsigned offered_count;
	uint8_t offered[DP_SRTP_SUITE_COUNT]; /* suites of our last offer: tag 1, 2, ... */
	bool made[DP_SRTP_SUITE_COUNT]; /* there is a key of ours */
	bool used[DP_SRTP_SUITE_COUNT]; /* it is or was in force */
	uint8_t key[DP_SRTP_SUITE_COUNT][DP_SRTP_KEY_MAX]; /* what we protect with for that side, by suite */
	bool renewed; /* a key in place of that of `suite`, offered, not in force yet: */
	uint8_t renewal[DP_SRTP_KEY_MAX];
};

enum media_security {
	MEDIA_PLAIN,
	MEDIA_OPPORTUNISTIC, /* RTP/AVP with a=crypto (RFC 8643) */
	MEDIA_SECURE, /* RTP/SAVP */
};

struct media_side {
	union address remote, rtcp; /* as signalled; unset = not known */
	union address local; /* ours on that side */
	uint8_t family; /* 4 or 6 */
	uint8_t direction; /* enum sdp_direction */
	bool known; /* it has described this stream */
	bool off; /* it answered with port 0 */
	bool mux; /* it said a=rtcp-mux */
	bool feedback; /* what it offered, or was offered, is of RFC 4585: AVPF, SAVPF */
	uint8_t security; /* enum media_security: of its offer, or of ours to it */
	struct media_crypto *crypto; /* owned; NULL: plain RTP */
	/* What it wants to get, so what the other side is to send: */
	uint8_t telephone_event; /* payload type; 0 = none */
	uint32_t bandwidth; /* kbit/s at most; 0 = not said */
};

struct media_stream {
	enum dp_media_kind kind;
	unsigned offerer; /* the side of the last offer */
	bool crossed; /* both sides have made offers, and each gets that of the other one as its answer */
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
	unsigned changes; /* of `written` */
	char *before[2]; /* what `written` was before the offer under way; NULL: the same */
	size_t before_length[2];
	uint64_t heard[2],
		hearing[2]; /* digests: what each side said that is committed; that is under way. 0: nothing */
	bool secured[2]; /* that side's peer has agreed on SRTP: it does not go back to plain RTP */
	bool savp[2]; /* and does so by RTP/SAVP */
	const char *insecure; /* why keys were refused; static text */
	bool repeats; /* the offer under way is made once more for another fork: its words stay */
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

/* media_request.c: the state as the dataplane is told */
uint8_t media_family(const union address *a); /* 4, 6 or 0 */
bool media_sends_nothing(const struct media_stream *stream, unsigned side);
/* Both phones are behind one public address and may send to each other: each is told the other's own address, and what the relay keeps
 * for them stays idle. */
bool media_is_local(const struct media *media, const struct media_stream *stream);
/* The stream at an index while an offer waits for ports: what is committed goes on, what is added or changes its kind or family
 * is asked for already. NULL: none. */
const struct media_stream *media_allocation_stream(const struct media *media, unsigned i);
/* `state` NULL: that of media_allocation_stream. */
void media_build_request(
	const struct media *media, const struct media_state *state, struct dp_session_request *out);

/* media_crypto.c: keys */
/* The offerer's own line of stream `i`. 0; -EKEYREJECTED: not acceptable; -ENOMEM. */
int media_crypto_offered(struct media *media, struct media_stream *stream, unsigned i, unsigned side,
	const struct sdp *sdp, const struct sdp_media *m);
/* Whether a party that makes this offer could have the stream; nothing changes. */
bool media_crypto_is_acceptable(const struct media_stream *stream, const struct media_party *party,
	const struct sdp *sdp, const struct sdp_media *m);
/* What the other side is to be offered. 0; -ENOMEM; -EKEYREJECTED: SRTP is required, and cannot be had. */
int media_crypto_prepare(struct media *media, struct media_stream *stream, unsigned side);
/* Its answer. 0 or -EKEYREJECTED. */
int media_crypto_answered(struct media *media, struct media_stream *stream, unsigned i, unsigned side,
	const struct sdp *sdp, const struct sdp_media *m);
/* Protocol and lines for side `to` of a media line of the far side's; `lines` takes them. */
void media_crypto_write(const struct media_stream *stream, unsigned to, const struct sdp_media *m,
	struct writer *lines, struct sdp_rewrite_media *out);
/* Both directions of a side, for the dataplane. */
void media_crypto_request(const struct media_side *side, struct dp_crypto *from, struct dp_crypto *to);
/* What was last written for `side` is an answer to what it has said now. */
bool media_crypto_is_answer(const struct media *media, unsigned side, const struct sdp *answer);
/* Why keys were refused, if they were, to who wants to know. */
void media_tell_insecure(struct media *media, unsigned side);
/* Takes a copy of what was written for `to`. 0 or -ENOMEM. */
int media_keep_written(struct media *media, unsigned to, struct span text);
bool media_has_keys(const struct media *media); /* in what is under way */
bool media_side_is_plain(const struct media_side *side);
/* Streams are copied with their keys; -ENOMEM: *to has none. */
int media_stream_copy(struct media_stream *to, const struct media_stream *from);
void media_stream_clear(struct media_stream *stream);
void media_state_free(struct media_state *state);

/* media_lease.c: the session */
void media_update(struct media *media, const struct media_state *state); /* never waits */
int media_allocate(struct media *media); /* 1: events->ready will be called; or -errno */
void media_drop_next(struct media *media);

#endif
