/* SPDX-License-Identifier: BSD-3-Clause */
/* Framing of SIP on a stream (RFC 3261 section 18.3): where a message ends, told from whatever part of it has come. */
#ifndef CONTROLPLANE_FRAME_H
#define CONTROLPLANE_FRAME_H

#include "controlplane/scan.h"

enum frame_verdict {
	FRAME_MORE, /* not all there yet */
	FRAME_LINE_ENDS, /* *length octets of CRLF between messages (RFC 3261 section 7.5, RFC 5626 section 3.5.1) */
	FRAME_MESSAGE, /* *length octets: one message, good or bad */
	FRAME_BROKEN, /* this is no SIP, or nobody can tell where the message ends: *length = all that is there */
};

/* What is known of the message under way. Zero-initialised = nothing. */
struct frame {
	size_t searched; /* octets without the end of the header fields */
	size_t length; /* of the whole message; 0: not known yet */
};

/* `bytes` is everything that has come since the last verdict but FRAME_MORE; more may be in it than one message. Time is linear in
 * what is new: the header fields are searched for their end once and scanned twice at most. */
enum frame_verdict frame_next(struct frame *frame, struct span bytes, const struct config_sip *limits,
	struct scan *scratch, size_t *length);

#endif
