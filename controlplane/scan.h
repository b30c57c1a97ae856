/* SPDX-License-Identifier: BSD-3-Clause */
/* Pre-scan: one bounded pass over a message's bytes before libosip2 sees any of them. No allocation.
 * Enforces the caps (libosip2's parser is quadratic), finds the header fields and takes out the keys of shard,
 * transaction and dialog; what it lets through is safe to parse, what it refuses has a reason. */
#ifndef CONTROLPLANE_SCAN_H
#define CONTROLPLANE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"
#include "controlplane/sip.h"
#include "platforms/base/span.h"

enum { SCAN_HEADERS_MAX = 256 }; /* hard ceiling of sip-config.max-headers */

enum scan_verdict {
	SCAN_OK, /* well-formed enough for the parser */
	SCAN_KEEP_ALIVE, /* only CRLFs (RFC 5626 section 3.5.1), or empty */
	SCAN_REJECT, /* a request that deserves scan.status as a stateless answer */
	SCAN_PARTIAL, /* streams: the body is not all there yet; scan.length says how long the message will be */
	SCAN_SILENT, /* not SIP, or a response or ACK that is broken, or nothing to answer to: drop without a word */
};

struct scan_header {
	struct span name, value; /* value trimmed, folded lines included as they are */
};

struct scan {
	bool is_request;
	enum sip_method method; /* requests: of the start line; responses: of CSeq */
	struct span method_name; /* likewise, as written */
	struct span request_uri; /* requests */
	unsigned status; /* responses: their code; SCAN_REJECT: the code to answer with */
	const char *problem; /* SCAN_REJECT, SCAN_SILENT: why, for log and counters; static text */
	struct span call_id, from_tag, to_tag; /* tags without ";tag="; empty if absent */
	struct span branch, sent_by; /* of the top Via */
	struct span from, to, cseq, contact; /* whole values of the first such header; empty if absent */
	uint32_t cseq_number;
	enum sip_method cseq_method;
	unsigned via_count; /* values, commas counted */
	int max_forwards; /* -1 if absent */
	struct span header_block; /* from the start line up to and with the empty line */
	struct span body; /* as long as Content-Length says (datagrams: RFC 3261 section 18.3) */
	struct span content_type;
	/* Streams: octets that the message takes, CRLFs before it included; 0: nobody can tell where it ends. */
	size_t length;
	unsigned headers;
	struct scan_header header[SCAN_HEADERS_MAX];
};

/* `datagram`: a UDP packet, whose end bounds the message; else a stream, where Content-Length is mandatory.
 * All spans borrow `message`. The verdict's fields that were found are valid even when it refuses, so that a stateless
 * answer can be built (Via, From, To, Call-ID, CSeq all present, else SCAN_SILENT). */
enum scan_verdict scan_message(
	struct scan *scan, struct span message, bool datagram, const struct config_sip *limits);

/* The n-th (0..) header of that name, long or compact form (`compact` 0 = has none), any case; false if there is none. */
bool scan_header_find(
	const struct scan *scan, struct span name, char compact, unsigned n, struct span *value);

#endif
