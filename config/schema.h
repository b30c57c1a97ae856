/* SPDX-License-Identifier: BSD-3-Clause */
/* The schema: one row per setting. Everything that knows a setting's name, type, range or default reads it from here. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"

enum config_type {
	CONFIG_TYPE_STRING,
	CONFIG_TYPE_STRINGS,
	CONFIG_TYPE_UINT,
	CONFIG_TYPE_UINTS,
	CONFIG_TYPE_BOOL,
	CONFIG_TYPE_ENUM, /* stored as an enumeration */
	CONFIG_TYPE_FLAG, /* an enumeration of two words, stored as bool */
	CONFIG_TYPE_CHOICE, /* an enumeration, stored as its word */
	CONFIG_TYPE_SECONDS,
	CONFIG_TYPE_MILLISECONDS,
	CONFIG_TYPE_ADDRESS,
	CONFIG_TYPE_ADDRESS4,
	CONFIG_TYPE_ADDRESS6,
	CONFIG_TYPE_LISTEN, /* "ADDRESS:PORT", or "" for none */
	CONFIG_TYPE_PREFIX,
	CONFIG_TYPE_PREFIXES,
	CONFIG_TYPE_ENDPOINT, /* host names allowed */
	CONFIG_TYPE_ENDPOINTS, /* addresses only: where to listen */
	CONFIG_TYPE_PORT_RANGE,
	CONFIG_TYPE_REFERENCE,
	CONFIG_TYPE_REFERENCES,
	CONFIG_TYPE_REGEX,
	CONFIG_TYPE_FILE,
	CONFIG_TYPE_SECRET,
	CONFIG_TYPE_NIC_PORT,
	CONFIG_TYPE_MEMORY,
	CONFIG_TYPE_NEXT_HOP,
	CONFIG_TYPE_DIRECTIONS,
	CONFIG_TYPE_COUNT
};

enum config_applies { CONFIG_APPLIES_LIVE, CONFIG_APPLIES_RESTART };

struct config_choice {
	const char *word; /* NULL ends the list */
	unsigned value;
};

struct config_row {
	const char *name;
	enum config_type type;
	bool required;
	enum config_applies applies;
	unsigned daemons; /* enum config_daemon bits: who uses it */
	unsigned implemented; /* who of them does so already */
	/* Values that do work although the row is not implemented: words separated by spaces, "udp:*" is a beginning.
	 * With `implemented` set: only these work yet. NULL: no such values. */
	const char *works;
	size_t offset; /* of the field in the section's struct */
	size_t companion; /* of the field beside it: a list's count, a pattern's regex_t, a range's end */
	const char *fallback; /* the default as it would be written; lists separated by ", "; NULL is empty */
	uint64_t min, max; /* of numbers; of strings the length; of durations in the type's unit */
	const struct config_choice *choices;
	const char *target; /* the section a reference names */
	const char *unit;
	const char *help;
};

struct config_section {
	const char *name;
	bool named;
	size_t offset; /* of the struct, or of the pointer to the array of a named section */
	size_t count_offset; /* of the array's count */
	size_t size; /* of one struct */
	const struct config_row *rows;
	size_t row_count;
	const struct config_section
		*child; /* a section inside it, or NULL; its offsets are in this section's struct */
	const char *name_characters; /* NULL: letters, digits, and ". _ -" */
	size_t name_max; /* 0: 63 */
	const char *help;
};

extern const struct config_section config_sections[];
extern const size_t config_section_count;

/* Borrowed, NULL when there is none. */
const struct config_section *config_section_find(const char *name);
const struct config_row *config_row_find(const struct config_section *section, const char *name);

bool config_type_is_list(enum config_type type);
/* What a value of this type is called: "number". */
const char *config_type_noun(enum config_type type);
/* What may be written: "0..4094", "yes, no", "name of a realm". Bounded, ends with NUL; returns buffer. */
const char *config_row_allowed(const struct config_row *row, char *buffer, size_t size);
/* May this daemon's use of the written value be relied on? */
bool config_row_works(const struct config_row *row, enum config_daemon daemon, const char *value);

#endif
