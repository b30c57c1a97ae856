/* SPDX-License-Identifier: BSD-3-Clause */
/* Topology hiding in RTCP: what a source says about itself in words. No I/O, no allocation. */
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

#endif
