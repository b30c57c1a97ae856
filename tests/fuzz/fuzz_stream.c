/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: framing of streams. However a stream is cut, its messages come out the same; and each, taken as a datagram, is judged
 * as the stream judged it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/frame.h"
#include "tests/unit/controlplane/sip_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VERDICTS_MAX = 4096, CUTS_MAX = 16 };

struct verdict {
	enum frame_verdict what;
	size_t at, length;
};

struct run {
	unsigned count;
	struct verdict verdict[VERDICTS_MAX];
};

static const struct config_sip limits = {
	SIP_MESSAGE_LIMITS,
};
static struct scan scratch, scan;

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* A stream as connections read it: `cut` octets at a time in turn, from a copy that ends where they end. Runs of line ends
 * are one, wherever they were cut. */
static void take(struct run *run, struct span stream, const uint8_t *cut, size_t cuts)
{
	struct frame frame = { 0 };
	size_t begin = 0, end = 0;

	run->count = 0;
	for (size_t turn = 0; end < stream.n; turn++) {
		size_t step = cuts ? (size_t)cut[turn % cuts] + 1 : stream.n;
		size_t length = 0;

		end = stream.n - end > step ? end + step : stream.n;
		while (begin < end) {
			size_t n = end - begin;
			char *copy = malloc(n);
			enum frame_verdict what;

			require(copy != NULL);
			memcpy(copy, stream.p + begin, n);
			what = frame_next(&frame, (struct span){ copy, n }, &limits, &scratch, &length);
			free(copy);
			if (what == FRAME_MORE)
				break;
			require(length > 0 && length <= n);
			if (what != FRAME_LINE_ENDS && run->count < VERDICTS_MAX)
				run->verdict[run->count++] = (struct verdict){ what, begin, length };
			begin += length;
			if (what == FRAME_BROKEN)
				return;
		}
	}
}

/* What came out of the stream must be a message of its own: with the same end, the same keys, the same verdict. */
static void compare_with_datagram(struct span stream, const struct verdict *verdict)
{
	struct span message = { stream.p + verdict->at, verdict->length };
	enum scan_verdict as_stream = scan_message(&scratch, message, false, &limits);
	enum scan_verdict as_datagram = scan_message(&scan, message, true, &limits);

	require(scratch.length == message.n);
	/* A datagram has a bound of its own. */
	if (message.n > limits.max_message_udp)
		return;
	require(as_stream == as_datagram);
	require(scan.header_block.n == scratch.header_block.n && scan.body.n == scratch.body.n);
	if (as_stream != SCAN_OK)
		return;
	require(span_equal(scan.call_id, scratch.call_id) && span_equal(scan.branch, scratch.branch));
	require(scan.header_block.n + scan.body.n == message.n);
}

/* The first octet says how many cuts follow, then the cuts, then the stream. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, cut;
	struct span stream;
	size_t cuts;

	if (size == 0)
		return 0;
	cuts = data[0] % CUTS_MAX;
	if (size < cuts + 1)
		return 0;
	stream = (struct span){ (const char *)data + 1 + cuts, size - 1 - cuts };
	take(&whole, stream, NULL, 0);
	take(&cut, stream, data + 1, cuts);
	require(whole.count == cut.count);
	for (unsigned i = 0; i < whole.count; i++) {
		require(whole.verdict[i].what == cut.verdict[i].what);
		require(whole.verdict[i].at == cut.verdict[i].at);
		if (whole.verdict[i].what == FRAME_BROKEN)
			continue;
		require(whole.verdict[i].length == cut.verdict[i].length);
		compare_with_datagram(stream, &whole.verdict[i]);
	}
	return 0;
}
