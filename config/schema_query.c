/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to the schema: find a row, say what it allows, say whether a daemon honours it already. */
#include "config/schema.h"

#include <string.h>

#include "platforms/base/span.h"

struct type_words {
	const char *noun;
	const char *allowed; /* NULL: composed from the row */
	bool list;
};

/* clang-format off */
static const struct type_words type_words[CONFIG_TYPE_COUNT] = {
	[CONFIG_TYPE_STRING]       = { "text", NULL, false },
	[CONFIG_TYPE_STRINGS]      = { "text", NULL, true },
	[CONFIG_TYPE_UINT]         = { "number", NULL, false },
	[CONFIG_TYPE_UINTS]        = { "number", NULL, true },
	[CONFIG_TYPE_BOOL]         = { "yes or no", "yes, no", false },
	[CONFIG_TYPE_ENUM]         = { "known word", NULL, false },
	[CONFIG_TYPE_FLAG]         = { "known word", NULL, false },
	[CONFIG_TYPE_CHOICE]       = { "known word", NULL, false },
	[CONFIG_TYPE_SECONDS]      = { "time", NULL, false },
	[CONFIG_TYPE_MILLISECONDS] = { "time", NULL, false },
	[CONFIG_TYPE_ADDRESS]      = { "address", "IPv4 or IPv6 address", false },
	[CONFIG_TYPE_ADDRESS4]     = { "IPv4 address", "IPv4 address", false },
	[CONFIG_TYPE_ADDRESS6]     = { "IPv6 address", "IPv6 address", false },
	[CONFIG_TYPE_LISTEN]       = { "address with port", "ADDRESS:PORT, [IPV6]:PORT, or empty", false },
	[CONFIG_TYPE_PREFIX]       = { "prefix", "ADDRESS/LENGTH or ADDRESS", false },
	[CONFIG_TYPE_PREFIXES]     = { "address with prefix length", "ADDRESS/LENGTH", true },
	[CONFIG_TYPE_ENDPOINT]     = { "SIP endpoint", "TRANSPORT:HOST[:PORT] with udp, tcp, tls, ws, wss", false },
	[CONFIG_TYPE_ENDPOINTS]    = { "address to listen on", "TRANSPORT:ADDRESS[:PORT] with udp, tcp, tls, ws, wss", true },
	[CONFIG_TYPE_PORT_RANGE]   = { "port range", NULL, false },
	[CONFIG_TYPE_REFERENCE]    = { "name", NULL, false },
	[CONFIG_TYPE_REFERENCES]   = { "name", NULL, true },
	[CONFIG_TYPE_REGEX]        = { "pattern", NULL, false },
	[CONFIG_TYPE_FILE]         = { "file name", "absolute path", false },
	[CONFIG_TYPE_SECRET]       = { "secret", "text, file:/PATH", false },
	[CONFIG_TYPE_NIC_PORT]     = { "port", "pci:BDF, xdp:IF, packet:IF", false },
	[CONFIG_TYPE_MEMORY]       = { "amount of memory", NULL, false },
	[CONFIG_TYPE_NEXT_HOP]     = { "next hop", "agent:NAME, group:NAME, registration", false },
	[CONFIG_TYPE_DIRECTIONS]   = { "known word", NULL, true },
};
/* clang-format on */

const struct config_section *config_section_find(const char *name)
{
	for (size_t i = 0; i < config_section_count; i++)
		if (!strcmp(config_sections[i].name, name))
			return &config_sections[i];
	return NULL;
}

const struct config_row *config_row_find(const struct config_section *section, const char *name)
{
	for (size_t i = 0; i < section->row_count; i++)
		if (!strcmp(section->rows[i].name, name))
			return &section->rows[i];
	return NULL;
}

bool config_type_is_list(enum config_type type)
{
	return type_words[type].list;
}

const char *config_type_noun(enum config_type type)
{
	return type_words[type].noun;
}

static void allowed_choices(struct writer *w, const struct config_choice *choice)
{
	for (size_t i = 0; choice[i].word; i++) {
		if (i)
			writer_text(w, ", ");
		writer_text(w, choice[i].word);
	}
}

static void allowed_milliseconds(struct writer *w, uint64_t value)
{
	if (value % 1000)
		writer_format(w, "%llums", (unsigned long long)value);
	else
		writer_format(w, "%llus", (unsigned long long)value / 1000);
}

static void allowed_range(struct writer *w, const struct config_row *row)
{
	unsigned long long min = row->min, max = row->max;

	switch (row->type) {
	case CONFIG_TYPE_SECONDS:
		writer_format(w, "%llus..%llus, units ms s m h d", min, max);
		return;
	case CONFIG_TYPE_MILLISECONDS:
		allowed_milliseconds(w, row->min);
		writer_text(w, "..");
		allowed_milliseconds(w, row->max);
		writer_text(w, ", units ms s m h d");
		return;
	case CONFIG_TYPE_MEMORY:
		writer_format(w, "auto, %llu..%llu", min, max);
		break;
	case CONFIG_TYPE_PORT_RANGE:
		writer_format(w, "FIRST-LAST within %llu..%llu, FIRST even", min, max);
		break;
	case CONFIG_TYPE_REGEX:
		writer_format(w, "POSIX extended regular expression, %llu..%llu characters", min, max);
		break;
	case CONFIG_TYPE_STRING:
	case CONFIG_TYPE_STRINGS:
		writer_format(w, "text, %llu..%llu characters", min, max);
		break;
	default:
		writer_format(w, "%llu..%llu", min, max);
	}
	if (row->unit)
		writer_format(w, " %s", row->unit);
}

const char *config_row_allowed(const struct config_row *row, char *buffer, size_t size)
{
	struct writer w;

	writer_init(&w, buffer, size - 1);
	if (row->choices)
		allowed_choices(&w, row->choices);
	else if (row->target)
		writer_format(&w, "name of a %s", row->target);
	else if (type_words[row->type].allowed)
		writer_text(&w, type_words[row->type].allowed);
	else
		allowed_range(&w, row);
	buffer[w.len] = '\0';
	return buffer;
}

static bool matches(struct span pattern, struct span value)
{
	if (pattern.n && pattern.p[pattern.n - 1] == '*')
		return span_starts_case(value, (struct span){ pattern.p, pattern.n - 1 });
	return span_equal(pattern, value);
}

bool config_row_works(const struct config_row *row, enum config_daemon daemon, const char *value)
{
	struct span rest = span_from(row->works), s = span_from(value);

	if (!(row->daemons & (unsigned)daemon))
		return true;
	if (!row->works)
		return row->implemented & (unsigned)daemon;
	while (rest.n)
		if (matches(span_cut(&rest, ' '), s))
			return true;
	return false;
}
