/* SPDX-License-Identifier: BSD-3-Clause */
/* The one piece of STUN that a SIP port has to know: Binding requests as keep-alives (RFC 5626 section 4.4.2, RFC 8489 section 3). */
#ifndef CONTROLPLANE_STUN_H
#define CONTROLPLANE_STUN_H

#include <stdbool.h>
#include <stdint.h>

#include "platforms/base/address.h"
#include "platforms/base/span.h"

enum {
	STUN_ID_OCTETS = 12,
	STUN_REQUEST_MAX = 548, /* RFC 8489 section 6.1: what fits any path */
	STUN_RESPONSE_MAX = 52, /* header, an IPv6 address, FINGERPRINT */
};

enum stun_verdict {
	STUN_NONE, /* something else: SIP, or nothing */
	STUN_UNWANTED, /* STUN, but no Binding request, or a broken one, or one that asks for what is not done here */
	STUN_BINDING,
};

struct stun_request {
	uint8_t id[STUN_ID_OCTETS];
	bool fingerprint; /* it has one, and a right one: so has the answer */
};

/* Pure, bounded, no allocation. `out` is set for STUN_BINDING. */
enum stun_verdict stun_parse(struct span datagram, struct stun_request *out);
/* The success response with XOR-MAPPED-ADDRESS `source`; its length. At most 24 octets (IPv4: 12) longer than the shortest request. */
size_t stun_write(
	const struct stun_request *request, const union address *source, uint8_t out[STUN_RESPONSE_MAX]);

#endif
