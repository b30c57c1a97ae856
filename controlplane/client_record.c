/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of calls as text: what both who writes them and who shows them need. */
#include <string.h>

#include "controlplane/client.h"
#include "platforms/base/clock.h"
#include "platforms/base/span.h"

enum number_kind { KIND_COUNT, KIND_CALL, KIND_STATE, KIND_TIME, KIND_PARTY, KIND_HUNDREDTHS };
enum { CALL_SHARD_BITS = 56 };

static const struct {
	const char *name;
	enum number_kind kind;
} numbers[CP_RECORD_NUMBER_COUNT] = {
#define X(id, name, kind) [CP_RECORD_##id] = { name, KIND_##kind },
	CP_RECORD_NUMBERS(X)
#undef X
};

static const char *const texts[CP_RECORD_TEXT_COUNT] = {
#define X(id, name) [CP_RECORD_TEXT_##id] = (name),
	CP_RECORD_TEXTS(X)
#undef X
};

const char *cp_record_number_name(unsigned number)
{
	return numbers[number].name;
}

const char *cp_record_text_name(unsigned text)
{
	return texts[text];
}

bool cp_record_is_count(unsigned number)
{
	return numbers[number].kind == KIND_COUNT;
}

bool cp_record_is_good(const struct cp_record *record, size_t length)
{
	size_t sum = 0;

	if (length < sizeof(*record) || record->length < sizeof(*record) || record->length > length ||
		record->length % 8)
		return false;
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++)
		sum += record->text_length[i];
	if (sum > record->length - offsetof(struct cp_record, text))
		return false;
	for (size_t i = 0; i < sum; i++)
		if (record->text[i] < 0x20 || record->text[i] > 0x7e)
			return false;
	return true;
}

struct span cp_record_text(const struct cp_record *record, unsigned text)
{
	size_t at = 0;

	for (unsigned i = 0; i < text; i++)
		at += record->text_length[i];
	return (struct span){ record->text + at, record->text_length[text] };
}

static void print_call(uint64_t call, struct writer *out)
{
	writer_uint(out, call >> CALL_SHARD_BITS);
	writer_char(out, '-');
	writer_uint(out, call & (((uint64_t)1 << CALL_SHARD_BITS) - 1));
}

static void print_hundredths(uint64_t value, struct writer *out)
{
	writer_uint(out, value / 100);
	writer_char(out, '.');
	writer_uint(out, value / 10 % 10);
	writer_uint(out, value % 10);
}

static void print_name(const char *const *names, unsigned count, uint64_t value, struct writer *out)
{
	writer_text(out, value < count ? names[value] : "unknown");
}

bool cp_record_print(const struct cp_record *record, unsigned number, struct writer *out)
{
	static const char *const states[CP_RECORD_STATE_COUNT] = { "open", "ended", "lost" };
	static const char *const parties[CP_RECORD_PARTY_COUNT] = { "caller", "callee", "sbc" };
	char time[CLOCK_TEXT_MAX];
	uint64_t value = (uint64_t)record->value[number];

	if (record->value[number] == CP_RECORD_NULL)
		return false;
	switch (numbers[number].kind) {
	case KIND_TIME:
		writer_text(out, clock_print_wall(value, time));
		break;
	case KIND_CALL:
		print_call(value, out);
		break;
	case KIND_STATE:
		print_name(states, CP_RECORD_STATE_COUNT, value, out);
		break;
	case KIND_PARTY:
		print_name(parties, CP_RECORD_PARTY_COUNT, value, out);
		break;
	case KIND_HUNDREDTHS:
		print_hundredths(value, out);
		break;
	case KIND_COUNT:
		writer_uint(out, value);
		break;
	}
	return true;
}

/* --- CSV --------------------------------------------------------------------------------------------------------------- */

static bool is_number(struct span text)
{
	size_t digits = 0;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] >= '0' && text.p[i] <= '9')
			digits++;
		else if (i > 0)
			return false;
	return digits > 0;
}

/* A spreadsheet takes what begins so for a formula; a telephone number with its '+' is none. */
static bool is_formula(struct span text)
{
	return text.n > 0 && strchr("=+-@", text.p[0]) && !is_number(text);
}

static void csv_text(struct span text, struct writer *out)
{
	writer_char(out, '"');
	if (is_formula(text))
		writer_char(out, '\'');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"')
			writer_char(out, '"');
		writer_char(out, text.p[i]);
	}
	writer_char(out, '"');
}

void cp_record_csv_header(struct writer *out)
{
	writer_text(out, "number");
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT; i++) {
		writer_char(out, ',');
		writer_text(out, numbers[i].name);
	}
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++) {
		writer_char(out, ',');
		writer_text(out, texts[i]);
	}
	writer_text(out, "\r\n");
}

void cp_record_csv(const struct cp_record *record, struct writer *out)
{
	writer_uint(out, record->number);
	for (unsigned i = 0; i < CP_RECORD_NUMBER_COUNT; i++) {
		writer_char(out, ',');
		cp_record_print(record, i, out);
	}
	for (unsigned i = 0; i < CP_RECORD_TEXT_COUNT; i++) {
		writer_char(out, ',');
		if (record->text_length[i])
			csv_text(cp_record_text(record, i), out);
	}
	writer_text(out, "\r\n");
}
