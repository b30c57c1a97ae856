/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON values from the daemons' fixed fields. */
#include "mgmt/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/client.h"
#include "platforms/base/span.h"

enum { VALUE_TEXT_MAX = 512, CALL_SHARD_BITS = 56 };

json_t *value_text(const char *text, size_t size)
{
	char escaped[VALUE_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < size && text[i] != '\0' && n + 5 < sizeof(escaped); i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			escaped[n++] = (char)c;
		else
			n += (size_t)snprintf(escaped + n, sizeof(escaped) - n, "\\x%02x", c);
	}
	return n == 0 ? json_null() : json_stringn(escaped, n);
}

json_t *value_uint(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *value_hex(uint64_t value, unsigned digits)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%0*" PRIx64, (int)digits, value);

	return json_stringn(text, (size_t)n);
}

json_t *value_address(const struct dp_address *address)
{
	union address a;
	char text[ADDRESS_TEXT_MAX];

	dp_address_to(address, &a);
	return address_is_set(&a) ? json_string(address_print(&a, text)) : json_null();
}

json_t *value_suite(unsigned suite)
{
	const char *name = dp_srtp_suite_name(suite);

	return name != NULL ? json_string(name) : json_null();
}

void value_set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value != NULL ? value : json_null());
}

void value_append(json_t *array, json_t *value)
{
	json_array_append_new(array, value != NULL ? value : json_null());
}

json_t *value_call_number(uint64_t call)
{
	char text[CALL_NUMBER_MAX];
	int n = snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, call >> CALL_SHARD_BITS,
		call & (((uint64_t)1 << CALL_SHARD_BITS) - 1));

	return json_stringn(text, (size_t)n);
}

int call_number_parse(const char *text, size_t length, uint64_t *call)
{
	struct span rest = { text, length };
	struct span first = span_cut(&rest, '-');
	uint64_t shard = 0, number;

	if (rest.p != NULL) {
		if (span_to_uint(first, 255, &shard) != 0)
			return -EINVAL;
		first = rest;
	}
	if (span_to_uint(first, ((uint64_t)1 << CALL_SHARD_BITS) - 1, &number) != 0 || number == 0)
		return -EINVAL;
	*call = shard << CALL_SHARD_BITS | number;
	return 0;
}
