/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks for the names and addresses of a peer in a text. */
#include "controlplane/trace.h"

#include <string.h>

enum { NEEDLE_MIN = 4, ROUTES_MAX = 16 };

static bool is_same_letter(char a, char b)
{
	return a == b || ((a | 0x20) == (b | 0x20) && (a | 0x20) >= 'a' && (a | 0x20) <= 'z');
}

/* Part of a longer name is another name: "10.0.0.1" is not in "10.0.0.12". */
static bool goes_on(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool contains(struct span text, struct span needle)
{
	/* A short word without a dot is a word. */
	if (needle.n == 0 || (needle.n < NEEDLE_MIN && !memchr(needle.p, '.', needle.n) &&
				     !memchr(needle.p, ':', needle.n)))
		return false;
	for (size_t i = 0; i + needle.n <= text.n; i++) {
		size_t n = 0;

		while (n < needle.n && is_same_letter(text.p[i + n], needle.p[n]))
			n++;
		if (n == needle.n && (i == 0 || !goes_on(text.p[i - 1])) &&
			(i + n == text.n || !goes_on(text.p[i + n])))
			return true;
	}
	return false;
}

static bool has_address(struct span text, const union address *address)
{
	char host[ADDRESS_TEXT_MAX];

	return address_is_set(address) && contains(text, span_from(address_print_host(address, host)));
}

static bool has_host(struct span text, struct span uri)
{
	struct sip_uri parsed;

	return sip_uri_parse(uri, &parsed) == 0 && contains(text, parsed.host);
}

static bool has_name_addr(struct span text, struct span value)
{
	struct name_addr address;

	return name_addr_parse(value, &address) == 0 && has_host(text, address.uri);
}

bool trace_found(const struct leg *leg, struct span text)
{
	struct span route;

	if (text.n == 0)
		return false;
	if (has_address(text, &leg->flow.remote) || has_address(text, &leg->next_hop) ||
		(leg->flow.listener && has_address(text, listener_address(leg->flow.listener))))
		return true;
	if ((leg->target && has_host(text, span_from(leg->target))) ||
		(leg->remote && has_name_addr(text, span_from(leg->remote))))
		return true;
	for (unsigned n = 0;
		leg->routes && n < ROUTES_MAX && leg_list_value(span_from(leg->routes), n, &route); n++)
		if (has_name_addr(text, route))
			return true;
	return contains(text, span_from(leg->call_id)) || contains(text, span_from(leg->remote_tag));
}
