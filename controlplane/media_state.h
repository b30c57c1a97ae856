/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the media files: the state of offer and answer, and what the files do for each other. */
#ifndef CONTROLPLANE_MEDIA_STATE_H
#define CONTROLPLANE_MEDIA_STATE_H

#include "controlplane/media.h"

struct media_side {
	union address remote, rtcp; /* as signalled; unset = not known */
	union address local; /* ours on that side */
	uint8_t family; /* 4 or 6 */
	uint8_t direction; /* enum sdp_direction */
	bool known; /* it has described this stream */
	bool off; /* it answered with port 0 */
	bool mux; /* it said a=rtcp-mux */
	/* What it wants to get, so what the other side is to send: */
	uint8_t telephone_event; /* payload type; 0 = none */
	uint32_t bandwidth; /* kbit/s at most; 0 = not said */
};

struct media_stream {
	enum dp_media_kind kind;
	unsigned offerer; /* the side of the last offer */
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
	char *before[2]; /* what `written` was before the offer under way; NULL: the same */
	size_t before_length[2];
	uint64_t heard[2],
		hearing[2]; /* digests: what each side said that is committed; that is under way. 0: nothing */
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

/* media_lease.c: the session */
void media_update(struct media *media, const struct media_state *state); /* never waits */
int media_allocate(struct media *media); /* 1: events->ready will be called; or -errno */
void media_drop_next(struct media *media);

#endif
