/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of a call's record, made harmless and packed. */
#include "controlplane/record.h"

#include <string.h>

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

void record_text(struct record *record, enum cp_record_text text, struct span value)
{
	static const char hex[] = "0123456789abcdef";
	char *out = record->pool + record->used;
	size_t n = 0;

	for (size_t i = 0; i < value.n && n < CP_RECORD_TEXT_MAX; i++) {
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
	record->at[text] = record->used;
	record->length[text] = (uint16_t)n;
	record->used = (uint16_t)(record->used + n);
}

void record_pack(const struct record *record, struct cp_record *out)
{
	size_t length = offsetof(struct cp_record, text);

	out->number = record->number;
	out->reserved = 0;
	memcpy(out->value, record->value, sizeof(out->value));
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++) {
		out->text_length[i] = record->length[i];
		if (record->length[i])
			memcpy((char *)out + length, record->pool + record->at[i], record->length[i]);
		length += record->length[i];
	}
	while (length % 8 || length < sizeof(*out))
		((char *)out)[length++] = '\0';
	out->length = (uint32_t)length;
}
