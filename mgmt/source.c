/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes the sources of bans, trusts and dropped packets. */
#include "mgmt/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/client.h"
#include "mgmt/value.h"

static unsigned family_bits(uint8_t family)
{
	return family == 4 ? 32 : 128;
}

static bool has_bits_behind(const struct dp_source_key *key)
{
	for (unsigned bit = key->length; bit < family_bits(key->address.family); bit++)
		if ((key->address.ip[bit / 8] & 0x80U >> bit % 8) != 0)
			return true;
	return false;
}

int source_parse(struct span text, struct dp_source_key *out)
{
	struct prefix prefix;
	bool whole = memchr(text.p, '/', text.n) == NULL;

	*out = (struct dp_source_key){ .length = 0 };
	if (whole && address_parse(text, 0, &prefix.address) == 0) {
		dp_address_from(&out->address, &prefix.address);
		out->length = (uint8_t)family_bits(out->address.family);
		return 0;
	}
	if (whole || prefix_parse(text, &prefix) != 0)
		return -EINVAL;
	dp_address_from(&out->address, &prefix.address);
	out->length = prefix.length;
	return has_bits_behind(out) ? -EINVAL : 0;
}

int source_argument(struct request *request, struct span text, struct dp_source_key *out)
{
	char room[2 * MGMT_WORD_MAX];
	struct writer typed;
	int err = source_parse(text, out);

	if (err == 0)
		return 0;
	writer_init(&typed, room, sizeof(room));
	command_quote(&typed, text);
	request_fail(request, MGMT_EXIT_USAGE,
		"%.*s is no source: an address (192.0.2.1, 2001:db8::1), a network with no bits set behind "
		"its "
		"length (192.0.2.0/24), or an address and a port (192.0.2.1:5060, [2001:db8::1]:5060)",
		SPAN_FMT(writer_result(&typed)));
	return err;
}

const char *source_print(const struct dp_source_key *key, char buffer[SOURCE_TEXT_MAX])
{
	char text[ADDRESS_TEXT_MAX];
	union address a;

	dp_address_to(&key->address, &a);
	if (!address_is_set(&a))
		snprintf(buffer, SOURCE_TEXT_MAX, "-");
	else if (key->address.port != 0)
		snprintf(buffer, SOURCE_TEXT_MAX, "%s", address_print(&a, text));
	else if (key->length >= family_bits(key->address.family))
		snprintf(buffer, SOURCE_TEXT_MAX, "%s", address_print_host(&a, text));
	else
		snprintf(buffer, SOURCE_TEXT_MAX, "%s/%u", address_print_host(&a, text), key->length);
	return buffer;
}

json_t *value_source(const struct dp_source_key *key)
{
	char text[SOURCE_TEXT_MAX];

	return key->address.family == 0 ? json_null() : json_string(source_print(key, text));
}
