/* SPDX-License-Identifier: BSD-3-Clause */
/* IP address and prefix literals: text to binary and back, and their comparisons. */
#include "platforms/base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static int parse_family(struct span text, int family, union address *out)
{
	char literal[INET6_ADDRSTRLEN];
	void *binary;

	/* A NUL inside would let inet_pton() see only what is before it. */
	if (text.n == 0 || text.n >= sizeof(literal) || memchr(text.p, '\0', text.n))
		return -EINVAL;
	memcpy(literal, text.p, text.n);
	literal[text.n] = '\0';
	memset(out, 0, sizeof(*out));
	if (family == AF_INET6)
		binary = &out->in6.sin6_addr;
	else
		binary = &out->in4.sin_addr;
	if (inet_pton(family, literal, binary) != 1) {
		memset(out, 0, sizeof(*out));
		return -EINVAL;
	}
	out->sa.sa_family = (sa_family_t)family;
	return 0;
}

static int parse_bare(struct span text, union address *out)
{
	bool is_v6 = text.n && memchr(text.p, ':', text.n);

	return parse_family(text, is_v6 ? AF_INET6 : AF_INET, out);
}

int address_parse_host(struct span text, union address *out)
{
	if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		return parse_family((struct span){ text.p + 1, text.n - 2 }, AF_INET6, out);
	return parse_bare(text, out);
}

static int parse_port(struct span text, uint16_t *port)
{
	uint64_t value;

	if (span_to_uint(text, UINT16_MAX, &value) < 0 || value == 0)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

/* Cuts "HOST" and "PORT" apart; *port is empty with p == NULL when there is none. */
static struct span cut_port(struct span text, struct span *port)
{
	struct span host = text;
	const char *at;

	*port = (struct span){ NULL, 0 };
	if (text.n == 0)
		return host;
	if (text.p[0] == '[') {
		at = memchr(text.p, ']', text.n);
		if (!at || at + 1 == text.p + text.n || at[1] != ':')
			return host;
		at++;
	} else {
		at = memchr(text.p, ':', text.n);
		/* Two colons without brackets: an IPv6 literal, which cannot carry a port. */
		if (!at || memchr(at + 1, ':', (size_t)(text.p + text.n - at - 1)))
			return host;
	}
	host.n = (size_t)(at - text.p);
	*port = (struct span){ at + 1, text.n - host.n - 1 };
	return host;
}

int address_parse(struct span text, uint16_t default_port, union address *out)
{
	uint16_t port = default_port;
	struct span port_text;
	struct span host = cut_port(text, &port_text);
	int error;

	if (port_text.p && parse_port(port_text, &port) < 0)
		return -EINVAL;
	error = address_parse_host(host, out);
	if (error < 0)
		return error;
	address_set_port(out, port);
	return 0;
}

int prefix_parse(struct span text, struct prefix *out)
{
	struct span rest = text;
	struct span host = span_cut(&rest, '/');
	uint64_t length;
	uint64_t full;
	int error;

	error = parse_bare(host, &out->address);
	if (error < 0)
		return error;
	full = out->address.sa.sa_family == AF_INET6 ? 128 : 32;
	length = full;
	if (rest.p && span_to_uint(rest, full, &length) < 0)
		return -EINVAL;
	out->length = (uint8_t)length;
	return 0;
}

uint16_t address_port(const union address *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return ntohs(a->in4.sin_port);
	case AF_INET6:
		return ntohs(a->in6.sin6_port);
	default:
		return 0;
	}
}

void address_set_port(union address *a, uint16_t port)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		a->in4.sin_port = htons(port);
		break;
	case AF_INET6:
		a->in6.sin6_port = htons(port);
		break;
	default:
		break;
	}
}

socklen_t address_length(const union address *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return sizeof(a->in4);
	case AF_INET6:
		return sizeof(a->in6);
	default:
		return 0;
	}
}

bool address_is_set(const union address *a)
{
	return a->sa.sa_family == AF_INET || a->sa.sa_family == AF_INET6;
}

/* The address in network order and its size in bytes; 0 for "none". */
static size_t address_bytes(const union address *a, const uint8_t **bytes)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		*bytes = (const uint8_t *)&a->in4.sin_addr;
		return sizeof(a->in4.sin_addr);
	case AF_INET6:
		*bytes = a->in6.sin6_addr.s6_addr;
		return sizeof(a->in6.sin6_addr);
	default:
		*bytes = NULL;
		return 0;
	}
}

bool address_equal_host(const union address *a, const union address *b)
{
	const uint8_t *left;
	const uint8_t *right;
	size_t n = address_bytes(a, &left);
	size_t m = address_bytes(b, &right);

	/* The size tells the families apart. */
	return n == m && (n == 0 || memcmp(left, right, n) == 0);
}

bool address_equal(const union address *a, const union address *b)
{
	return address_equal_host(a, b) && address_port(a) == address_port(b);
}

bool address_is_unspecified(const union address *a)
{
	const uint8_t *bytes;
	size_t n = address_bytes(a, &bytes);

	for (size_t i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return n > 0;
}

bool prefix_contains(const struct prefix *p, const union address *a)
{
	const uint8_t *network;
	const uint8_t *host;
	size_t n = address_bytes(&p->address, &network);
	size_t whole = p->length / 8;
	unsigned rest = p->length % 8;

	if (n == 0 || address_bytes(a, &host) != n || p->length > n * 8)
		return false;
	if (memcmp(network, host, whole) != 0)
		return false;
	return rest == 0 || ((network[whole] ^ host[whole]) >> (8 - rest)) == 0;
}

enum print_style { PRINT_HOST, PRINT_URI, PRINT_PORT };

/* Four octets in decimal: inet_ntop does it by printf, which is most of what a record of a call would cost. */
static void print_ipv4(const uint8_t *bytes, struct writer *out)
{
	char text[sizeof("255.255.255.255")];
	size_t n = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned octet = bytes[i];

		if (i)
			text[n++] = '.';
		if (octet >= 100)
			text[n++] = (char)('0' + octet / 100);
		if (octet >= 10)
			text[n++] = (char)('0' + octet / 10 % 10);
		text[n++] = (char)('0' + octet % 10);
	}
	writer_span(out, (struct span){ text, n });
}

static const char *print(const union address *a, enum print_style style, char buffer[ADDRESS_TEXT_MAX])
{
	bool bracket = a->sa.sa_family == AF_INET6 && style != PRINT_HOST;
	char literal[INET6_ADDRSTRLEN];
	const uint8_t *bytes;
	struct writer w;

	writer_init(&w, buffer, ADDRESS_TEXT_MAX - 1);
	if (address_bytes(a, &bytes) == 0) {
		writer_text(&w, "none");
	} else {
		if (a->sa.sa_family == AF_INET)
			print_ipv4(bytes, &w);
		else {
			writer_text(&w, bracket ? "[" : "");
			writer_text(&w, inet_ntop(a->sa.sa_family, bytes, literal, sizeof(literal)));
			writer_text(&w, bracket ? "]" : "");
		}
		if (style == PRINT_PORT) {
			writer_char(&w, ':');
			writer_uint(&w, address_port(a));
		}
	}
	buffer[w.len] = '\0';
	return buffer;
}

const char *address_print(const union address *a, char buffer[ADDRESS_TEXT_MAX])
{
	return print(a, PRINT_PORT, buffer);
}

const char *address_print_host(const union address *a, char buffer[ADDRESS_TEXT_MAX])
{
	return print(a, PRINT_HOST, buffer);
}

const char *address_print_uri(const union address *a, char buffer[ADDRESS_TEXT_MAX])
{
	return print(a, PRINT_URI, buffer);
}
