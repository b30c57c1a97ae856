/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the pre-scan. Beyond memory errors it holds every span to the message and every answer to clean lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/scan.h"
#include "tests/unit/controlplane/sip_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_sip limits = { SIP_MESSAGE_LIMITS };

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void require_inside(struct span span, struct span message)
{
	require(span.n == 0 || (span.p >= message.p && span.p + span.n <= message.p + message.n));
}

/* No NUL, and a line end only where a line is folded. */
static void require_clean(struct span span)
{
	for (size_t i = 0; i < span.n; i++) {
		char c = span.p[i];

		require(c != '\0');
		if (c == '\r')
			require(i + 2 < span.n && span.p[i + 1] == '\n');
		if (c == '\n')
			require(i > 0 && span.p[i - 1] == '\r' &&
				(span.p[i + 1] == ' ' || span.p[i + 1] == '\t'));
	}
}

static void check(const struct scan *scan, enum scan_verdict verdict, struct span message)
{
	const struct span spans[] = { scan->method_name, scan->request_uri, scan->call_id, scan->from_tag,
		scan->to_tag, scan->branch, scan->sent_by, scan->from, scan->to, scan->cseq, scan->contact,
		scan->content_type };

	require_inside(scan->header_block, message);
	require_inside(scan->body, message);
	require(scan->headers <= SCAN_HEADERS_MAX);
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		require_inside(spans[i], message);
	for (unsigned i = 0; i < scan->headers; i++) {
		require_inside(scan->header[i].name, message);
		require_inside(scan->header[i].value, message);
		require_clean(scan->header[i].value);
	}
	require(verdict == SCAN_PARTIAL ? scan->length > message.n : scan->length <= message.n);
	require((verdict == SCAN_REJECT || verdict == SCAN_SILENT) == (scan->problem != NULL));
	if (verdict == SCAN_REJECT)
		require(scan->is_request && (scan->status == 400 || scan->status == 505));
	if (verdict == SCAN_OK || verdict == SCAN_REJECT)
		require(scan->from.n && scan->to.n && scan->call_id.n && scan->cseq.n && scan->via_count);
	if (verdict == SCAN_OK) {
		for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
			require_clean(spans[i]);
		require(scan->is_request ? scan->request_uri.n > 0
					 : scan->status >= 100 && scan->status <= 699);
		require(scan->headers <= limits.max_headers && scan->via_count <= limits.max_via);
		require(scan->header_block.n <= limits.max_header_block && scan->header_block.n >= 4);
		require(memcmp(scan->header_block.p + scan->header_block.n - 4, "\r\n\r\n", 4) == 0);
		require(!memchr(scan->header_block.p, '\0', scan->header_block.n));
	}
}

/* The first octet chooses datagram or stream, so that one corpus serves both. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scan scan;
	struct span message;
	struct span value;
	enum scan_verdict verdict;

	if (size == 0)
		return 0;
	message = (struct span){ (const char *)data + 1, size - 1 };
	memset(&scan, 0xa5, sizeof(scan));
	verdict = scan_message(&scan, message, data[0] & 1, &limits);
	if (verdict == SCAN_KEEP_ALIVE)
		return 0;
	check(&scan, verdict, message);
	scan_header_find(&scan, SPAN("Contact"), 'm', 1, &value);
	return 0;
}
