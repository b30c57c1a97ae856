/* SPDX-License-Identifier: BSD-3-Clause */
/* Cuts a stream into messages; what a header field means is the pre-scan's to say. */
#include "controlplane/frame.h"

#include <string.h>

static const struct span header_end = { "\r\n\r\n", 4 };

static enum frame_verdict found(struct frame *frame, enum frame_verdict verdict, size_t value, size_t *length)
{
	*frame = (struct frame){ 0 };
	*length = value;
	return verdict;
}

static enum frame_verdict headers_complete(struct frame *frame, struct span bytes,
	const struct config_sip *limits, struct scan *scratch, size_t *length)
{
	scan_message(scratch, bytes, false, limits);
	if (scratch->length == 0)
		return found(frame, FRAME_BROKEN, bytes.n, length);
	if (scratch->length <= bytes.n)
		return found(frame, FRAME_MESSAGE, scratch->length, length);
	frame->length = scratch->length;
	return FRAME_MORE;
}

enum frame_verdict frame_next(struct frame *frame, struct span bytes, const struct config_sip *limits,
	struct scan *scratch, size_t *length)
{
	size_t from = frame->searched < header_end.n ? 0 : frame->searched - (header_end.n - 1);
	size_t ends = 0;

	while (bytes.n - ends >= 2 && bytes.p[ends] == '\r' && bytes.p[ends + 1] == '\n')
		ends += 2;
	if (ends)
		return found(frame, FRAME_LINE_ENDS, ends, length);
	if (frame->length)
		return bytes.n < frame->length ? FRAME_MORE
					       : found(frame, FRAME_MESSAGE, frame->length, length);
	if (memmem(bytes.p + from, bytes.n - from, header_end.p, header_end.n))
		return headers_complete(frame, bytes, limits, scratch, length);
	if (bytes.n > limits->max_header_block)
		return found(frame, FRAME_BROKEN, bytes.n, length);
	frame->searched = bytes.n;
	return FRAME_MORE;
}
