/* SPDX-License-Identifier: BSD-3-Clause */
/* IP addresses with port, and prefixes: parse, print, compare. No names are resolved here. */
#ifndef PLATFORMS_BASE_ADDRESS_H
#define PLATFORMS_BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "platforms/base/span.h"

/* One IPv4 or IPv6 endpoint. All zero (family AF_UNSPEC) means "none". */
union address {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

struct prefix {
	union address address; /* port 0; host bits are kept as written ("203.0.113.10/24") */
	uint8_t length; /* 0..32 or 0..128 */
};

enum { ADDRESS_TEXT_MAX = 56 }; /* "[v6]:port" and NUL */

/* "192.0.2.1", "2001:db8::1" or "[2001:db8::1]": a bare IP literal. 0 or -EINVAL. */
int address_parse_host(struct span text, union address *out);
/* As above with an optional ":port" (1..65535; brackets are required around IPv6 then);
 * without one the port is `default_port`. 0 or -EINVAL. */
int address_parse(struct span text, uint16_t default_port, union address *out);
/* "ADDRESS/LENGTH", or a bare address (full length). 0 or -EINVAL. */
int prefix_parse(struct span text, struct prefix *out);

/* Host order. */
uint16_t address_port(const union address *a);
void address_set_port(union address *a, uint16_t port);
socklen_t address_length(const union address *a);
bool address_is_set(const union address *a);
bool address_equal(const union address *a, const union address *b); /* address and port */
bool address_equal_host(const union address *a, const union address *b); /* address alone */
bool address_is_unspecified(const union address *a); /* 0.0.0.0 or :: */
bool prefix_contains(const struct prefix *p, const union address *a);

/* Into a caller's buffer; return the buffer. `_host` prints no port and no brackets. */
const char *address_print(const union address *a, char buffer[ADDRESS_TEXT_MAX]);
const char *address_print_host(const union address *a, char buffer[ADDRESS_TEXT_MAX]);
/* As a SIP or URI host wants it: IPv6 in brackets, no port (RFC 3261 section 25.1, IPv6reference). */
const char *address_print_uri(const union address *a, char buffer[ADDRESS_TEXT_MAX]);

#endif
