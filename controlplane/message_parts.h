/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of several parts (RFC 2046 section 5.1, RFC 5621): taken apart in bounded time, without allocation. */
#ifndef CONTROLPLANE_MESSAGE_PARTS_H
#define CONTROLPLANE_MESSAGE_PARTS_H

#include "controlplane/message.h"

enum { MESSAGE_PARTS_MAX = 16 }; /* a body of more is refused */

struct message_part {
	struct span type; /* Content-Type with parameters; empty: text/plain */
	struct span disposition; /* Content-Disposition with parameters; empty if there is none */
	struct span encoding; /* Content-Transfer-Encoding */
	struct span content;
};

/* The parts of a multipart body, nested ones left whole; a body of another type is one part. The number of parts, 0 without a body;
 * -EINVAL (no boundary, no end, broken header of a part), -EMSGSIZE (too many). Spans borrow the message. */
int message_parts(const struct message *message, struct message_part parts[MESSAGE_PARTS_MAX]);
/* As above for a body and its Content-Type. */
int parts_split(struct span content_type, struct span body, struct message_part parts[MESSAGE_PARTS_MAX]);
/* "application/sdp" of "application/sdp; charset=x". */
struct span media_type(struct span content_type);
/* The session description: the body, or the part that is one (of multipart/alternative the last, which is the best: RFC 2046 section
 * 5.1.4). Empty if there is none, or one that is encoded. */
struct span message_sdp(const struct message *message);
/* May the receiver ignore it (RFC 5621 section 8)? What does not say so explicitly may be. */
bool part_is_required(const struct message_part *part);
/* True if a part is not encoded: what can be passed on, and read, as it is. */
bool part_is_plain(const struct message_part *part);

#endif
