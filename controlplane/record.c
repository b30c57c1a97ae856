/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of a call's record: noted as they are, made harmless and packed by the thread that writes them. */
#include "controlplane/record.h"

#include <string.h>

#include "controlplane/message.h"

_Static_assert(sizeof(struct cp_record) + CP_RECORD_TEXT_COUNT * CP_RECORD_TEXT_MAX <= CP_RECORD_MAX,
	"any record fits");

void record_init(struct record *record, uint64_t number)
{
	record->number = number;
	record->used = 0;
	memset(record->length, 0, sizeof(record->length));
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT; i++)
		record->value[i] = CP_RECORD_NULL;
}

void record_number(struct record *record, enum cp_record_number number, uint64_t value)
{
	record->value[number] = value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void add(
	struct record *record, enum cp_record_text text, enum record_form form, const void *octets, size_t n)
{
	record->form[text] = (uint8_t)form;
	record->at[text] = record->used;
	record->length[text] = (uint16_t)n;
	memcpy(record->pool + record->used, octets, n);
	record->used = (uint16_t)(record->used + n);
}

void record_text(struct record *record, enum cp_record_text text, struct span value)
{
	/* No octet becomes less than one when it is made printable. */
	if (value.n)
		add(record, text, RECORD_TEXT, value.p,
			value.n < CP_RECORD_TEXT_MAX ? value.n : CP_RECORD_TEXT_MAX);
}

void record_address(struct record *record, enum cp_record_text text, const union address *address)
{
	if (address->sa.sa_family != AF_UNSPEC)
		add(record, text, RECORD_ADDRESS, address, sizeof(*address));
}

static struct span user_of(struct span value)
{
	struct name_addr address;
	struct sip_uri uri;

	return name_addr_parse(value, &address) == 0 && sip_uri_parse(address.uri, &uri) == 0
		       ? uri.user
		       : (struct span){ NULL, 0 };
}

void record_user(struct record *record, enum cp_record_text text, struct span value)
{
	if (value.n > RECORD_USER_MAX)
		record_text(record, text, user_of(value));
	else if (value.n)
		add(record, text, RECORD_USER, value.p, value.n);
}

size_t record_size(const struct record *record)
{
	return offsetof(struct record, pool) + record->used;
}

bool record_is_whole(const struct record *record)
{
	if (record->used > sizeof(record->pool))
		return false;
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++)
		if (record->length[i] && (record->at[i] + record->length[i] > record->used ||
						 record->form[i] >= RECORD_FORM_COUNT))
			return false;
	return true;
}

/* --- packed ---------------------------------------------------------------------------------------------------------------- */

/* Copies, eight octets at a time, what is printable as it stands: nearly all there ever is. How much that was. */
static size_t plain(char *out, struct span value)
{
	static const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
	size_t n = 0;

	while (n + 8 <= value.n && n + 8 <= CP_RECORD_TEXT_MAX) {
		uint64_t eight, backslash;

		memcpy(&eight, value.p + n, sizeof(eight));
		backslash = eight ^ '\\' * ones;
		/* An octet that is 0x80 or more, less than 0x20, 0x7f, or the backslash leaves its highest bit. */
		if ((eight | (eight - 0x20 * ones) | (eight + ones) | (backslash - ones)) & tops)
			break;
		memcpy(out + n, &eight, sizeof(eight));
		n += sizeof(eight);
	}
	return n;
}

static size_t printable(char *out, struct span value)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = plain(out, value);

	for (size_t i = n; i < value.n && n < CP_RECORD_TEXT_MAX; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c >= 0x20 && c < 0x7f && c != '\\') {
			out[n++] = (char)c;
			continue;
		}
		if (n + 4 > CP_RECORD_TEXT_MAX)
			break;
		memcpy(out + n, (char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
		n += 4;
	}
	return n;
}

static size_t pack_text(const struct record *record, unsigned text, char *out)
{
	struct span value = { record->pool + record->at[text], record->length[text] };
	char printed[ADDRESS_TEXT_MAX];
	union address address;

	if (value.n == 0)
		return 0;
	switch ((enum record_form)record->form[text]) {
	case RECORD_ADDRESS:
		memcpy(&address, value.p, sizeof(address));
		return printable(out, span_from(address_print(&address, printed)));
	case RECORD_USER:
		return printable(out, user_of(value));
	default:
		return printable(out, value);
	}
}

void record_pack(const struct record *record, struct cp_record *out)
{
	size_t length = offsetof(struct cp_record, text);

	out->number = record->number;
	out->reserved = 0;
	memcpy(out->value, record->value, sizeof(out->value));
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++) {
		size_t n = pack_text(record, i, (char *)out + length);

		out->text_length[i] = (uint16_t)n;
		length += n;
	}
	while (length % 8 || length < sizeof(*out))
		((char *)out)[length++] = '\0';
	out->length = (uint32_t)length;
}
