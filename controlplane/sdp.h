/* SPDX-License-Identifier: BSD-3-Clause */
/* SDP (RFC 8866) as line spans: read what the relay must know, rewrite what must change, touch nothing else.
 * Tolerant of what real phones send (order of lines, missing final CRLF, missing t=), strict about bounds. */
#ifndef CONTROLPLANE_SDP_H
#define CONTROLPLANE_SDP_H

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"
#include "platforms/base/address.h"
#include "platforms/base/span.h"

enum { SDP_MEDIA_MAX = 16, SDP_LINES_MAX = 256 };

enum sdp_direction { SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE };

/* b= and a=maxprate of one level; bit/s. */
struct sdp_bandwidth {
	uint64_t application; /* b=AS: with headers */
	uint64_t independent; /* b=TIAS: without */
	uint64_t rtcp_senders, rtcp_receivers; /* b=RS, b=RR */
	uint32_t packet_rate; /* 0 = not said */
	bool has_application, has_independent, has_rtcp_senders, has_rtcp_receivers;
};

struct sdp_media {
	struct span type; /* "audio" */
	struct span protocol; /* "RTP/AVP", "udptl" */
	struct span formats; /* the rest of the m= line */
	uint16_t port; /* 0: rejected or switched off */
	unsigned port_count; /* "m=audio 49170/2": 2 */
	union address
		rtp; /* c= of the media, else of the session, with `port`; unset if none or a host name */
	union address rtcp; /* a=rtcp (RFC 3605), else unset */
	enum sdp_direction
		direction; /* own a= line, else the session's; c=0.0.0.0 (RFC 2543 hold) counts as sendonly */
	bool rtcp_mux;
	bool has_crypto; /* there is an a=crypto, good or bad (RFC 4568) */
	uint8_t telephone_event; /* payload type of RFC 4733 events it wants to get; 0 = none */
	struct sdp_bandwidth bandwidth; /* own values, else the session's */
	unsigned first_line, line_count; /* m= line and those that follow it */
};

struct sdp_line {
	char type; /* 'v', 'm', ... */
	struct span value; /* behind the '=' */
};

struct sdp {
	struct span origin; /* value of o= */
	union address connection; /* of the session */
	enum sdp_direction direction;
	struct sdp_bandwidth bandwidth; /* of the session */
	unsigned media_count, line_count;
	struct sdp_media media[SDP_MEDIA_MAX];
	struct sdp_line line[SDP_LINES_MAX];
};

/* Reads a body. Spans borrow it. 0; -EMSGSIZE (more lines or media than the limits), -EINVAL (not SDP: no v=0 first line, a
 * broken m= or c= line, port over 65535, ...). */
int sdp_parse(struct sdp *sdp, struct span body, const struct config_sip *limits);

/* sdp_bandwidth.c. What `count` lines say; values are bounded. */
void sdp_bandwidth_read(const struct sdp_line *line, unsigned count, struct sdp_bandwidth *out);
/* What a media line does not say itself the session says. */
void sdp_bandwidth_inherit(struct sdp_bandwidth *media, const struct sdp_bandwidth *session);
/* kbit/s, with IP headers and RTCP, that who sends to the author may use; at most 10,000,000. 0: no bandwidth is named. */
uint32_t sdp_bandwidth_limit(const struct sdp_bandwidth *bandwidth);

/* What the other side may learn of one media line. */
struct sdp_rewrite_media {
	union address
		local; /* our address and RTP port on that side; ignored when the media is off (port 0) */
	bool reject; /* write port 0 (nobody relays it) */
	bool rtcp_mux; /* both sides may put RTCP on the RTP port: a=rtcp-mux passes; else it is left out */
	bool no_feedback; /* a=rtcp-fb is left out: RFC 4585 is not spoken there */
	struct span protocol; /* in place of the far side's ("RTP/SAVP"); empty: that */
	struct span
		crypto; /* our a=crypto lines for that side, complete; nothing of the far side's crosses */
};

/* Our identity in o= on one leg: constant through a dialog but for the version (RFC 3264 section 8). */
struct sdp_origin {
	uint64_t session_id, version;
	union address address;
};

/* Writes `sdp` as this SBC's own description: o= s= c= ours; i= u= e= p= and attributes that carry addresses or names of the
 * far side (candidate, remote-candidates, rtcp's address, ice-*, fingerprint/setup/crypto unless relayed on purpose, cname in
 * ssrc, alt, X-*, tool, ...) dropped or rewritten; formats, rtpmap, fmtp, ptime, bandwidth and direction kept.
 * Allow-list of attributes, not a block-list. `media` has sdp->media_count entries. 0 or -ENOSPC. */
int sdp_rewrite(const struct sdp *sdp, const struct sdp_origin *origin, const struct sdp_rewrite_media *media,
	struct writer *out);

#endif
