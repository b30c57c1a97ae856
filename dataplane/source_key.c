/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources as the API names them, and as the tables do. */
#include <arpa/inet.h>

#include "dataplane/handler.h"
#include "dataplane/prefix_table.h"

static uint8_t whole_host(uint8_t family)
{
	return family == 4 ? 32 : 128;
}

bool source_key_read(const struct dp_source_key *in, struct prefix_key *out)
{
	union host masked;

	if (in->address.family != 4 && in->address.family != 6)
		return false;
	*out = (struct prefix_key){ .port = htons(in->address.port),
		.scope = PREFIX_SCOPE_ANY,
		.family = in->address.family,
		.length = in->length };
	memcpy(out->ip.byte, in->address.ip, sizeof(out->ip.byte));
	if (out->length > whole_host(out->family) ||
		(out->port != 0 && out->length != whole_host(out->family)))
		return false;
	masked = out->ip;
	prefix_mask(&masked, out->family, out->length);
	if (out->family == 4)
		masked.word[1] = masked.word[2] = masked.word[3] = 0;
	return host_equal(&masked, &out->ip);
}

void source_key_write(const struct prefix_key *in, struct dp_source_key *out)
{
	*out = (struct dp_source_key){ .address = { .family = in->family, .port = ntohs(in->port) },
		.length = in->length };
	memcpy(out->address.ip, in->ip.byte, in->family == 4 ? 4 : 16);
}

bool source_key_overlaps(const struct prefix_key *a, const struct prefix_key *b)
{
	uint8_t length = a->length < b->length ? a->length : b->length;
	union host x = a->ip, y = b->ip;

	if (a->family != b->family || (a->port != 0 && b->port != 0 && a->port != b->port))
		return false;
	prefix_mask(&x, a->family, length);
	prefix_mask(&y, b->family, length);
	return host_equal(&x, &y);
}
