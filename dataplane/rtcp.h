/* SPDX-License-Identifier: BSD-3-Clause */
/* RTCP: what a source says about itself in words is hidden, what it reports about reception is read. No I/O, no allocation. */
#ifndef DATAPLANE_RTCP_H
#define DATAPLANE_RTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platforms/base/hash.h"

/* A CNAME is commonly user@address, a TOOL names the product (RFC 3550 section 6.5). In the datagram whose UDP header is at `udp`,
 * overwrites each CNAME by a name of the same length that depends on it and on `key` alone, so that it still tells which
 * streams belong together; blanks all other items of source descriptions and the reasons of BYE (section 6.6); carries the
 * UDP checksum on. `length`: octets of payload. False: not a well-formed compound packet, it may be half overwritten. */
bool rtcp_hide(uint8_t *udp, size_t length, const struct hash_key *key);

enum { RTCP_SENT = 4 };

/* What one peer reports about the stream that we send to it (RFC 3550 section 6.4). owner: worker; readers take single fields with
 * counter_read32. Only RTCP touches it. */
struct rtcp_reports {
	struct {
		uint32_t ntp; /* the middle of its timestamp, network order; 0 = none */
		uint32_t sent_us; /* low 32 bits */
	} sent[RTCP_SENT]; /* the last sender reports that we sent there */
	uint32_t last; /* fraction lost of 256, with RTCP_REPORTED; 0 = there was none */
	uint32_t lost; /* cumulative; negative ones are 0 */
	uint32_t jitter; /* in units of the stream's clock */
	uint32_t round_trip_us, round_trip_max_us; /* 0 = never measured */
	uint32_t next; /* place in `sent` */
	uint32_t reserved[2];
};

enum { RTCP_REPORTED = 0x100 };

/* In well-formed RTCP (rtcp_hide accepted it) that goes to the peer of `r`: remembers sender reports of `ssrc` (network order), so
 * that the peer's answer tells the round trip. */
void rtcp_sent(struct rtcp_reports *r, const uint8_t *payload, size_t length, uint32_t ssrc, uint64_t now_us);
/* In well-formed RTCP from the peer of `r`: takes what its report blocks say about `ssrc` (network order), the stream that we send
 * to it. A round trip that is negative or over a minute is none: a lie, or a clock that was set. */
void rtcp_received(
	struct rtcp_reports *r, const uint8_t *payload, size_t length, uint32_t ssrc, uint64_t now_us);

#endif
