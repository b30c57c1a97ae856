/* SPDX-License-Identifier: BSD-3-Clause */
/* What is written in a configuration file: sections and settings with their lines and raw values. Private to config/. */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <regex.h>
#include <stdarg.h>

#include "config/arena.h"
#include "config/model.h"
#include "config/schema.h"
#include "config/transaction.h"

/* Bounds on hostile text; they are the parser's own, no installation needs others. */
enum {
	CONFIG_TEXT_MAX = 4 << 20, /* bytes of a file */
	CONFIG_OBJECTS_MAX =
		12000, /* sections in a file, 10,000 access-controls among them; libConfuse compares titles in quadratic time */
	CONFIG_BUCKETS = 4096, /* of the index of objects */
	CONFIG_VALUES_MAX = 1000, /* values in one list */
	CONFIG_VALUE_LENGTH_MAX = 4096, /* bytes of one value as written */
	CONFIG_PATTERN_LENGTH_MAX = 256,
	CONFIG_ATOMS_MAX = 1000, /* of a pattern with its intervals written out */
	CONFIG_PATTERNS_MAX = 8000000, /* sum of all patterns' squared atoms: about 100 MB when compiled */
	CONFIG_MESSAGES_MAX = 100, /* errors shown, and as many warnings; more are counted */
};

struct config_setting {
	const struct config_row *row;
	unsigned line; /* of its name, the first time */
	bool refused; /* already reported: has no values, and is not missing either */
	bool adds; /* first written with "+=": the default comes before */
	char **values; /* as libConfuse read them; arena */
	unsigned *lines; /* of each value; arena */
	size_t count, room;
	struct config_setting *next; /* in the order of the file */
};

struct config_object {
	const struct config_section *section;
	struct config_object *parent; /* of a rule; else NULL */
	char *name; /* NULL for unnamed sections */
	unsigned line;
	size_t index; /* among those of its section (and parent) */
	struct config_setting *settings, **settings_tail;
	void *typed; /* its struct in the model */
	struct config_object *next; /* in the order of the file, children after their parent */
	struct config_object *next_alike; /* of the same hash */
};

struct config_pattern { /* a compiled regular expression that config_free must release */
	regex_t *regex;
	struct config_pattern *next;
};

struct config_private {
	struct arena arena;
	char *file;
	struct config_digest digest; /* of the text it was read from */
	struct config_object *objects, **objects_tail;
	struct config_object *alike[CONFIG_BUCKETS]; /* objects by section and name */
	struct config_pattern *patterns;
	struct config_ip_profile default_profile;
};

struct config_message {
	unsigned line, order;
	bool is_error;
	char *text; /* arena */
};

/* One run of config_load. */
struct config_load {
	struct config *config;
	struct config_private *private; /* the config's */
	const struct config_reporter *reporter;
	bool commit;
	unsigned errors, warnings;
	struct config_message messages[2 * CONFIG_MESSAGES_MAX];
	unsigned message_count;
	size_t pattern_cost;
	bool out_of_memory;
};

/* report.c: notes one line "FILE:LINE: text". `line` 0 leaves LINE out. Errors are counted. */
void config_report(struct config_load *load, bool is_error, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* As above with the path "section NAME.setting: " before the text; row NULL: the section itself. */
void config_report_at(struct config_load *load, bool is_error, unsigned line,
	const struct config_object *object, const struct config_row *row, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* For checks on the model: as above, found by names (`name` NULL for unnamed sections), with the line
 * of the setting's value number `index`; of the section when the setting is not written. */
void config_blame(struct config_load *load, bool is_error, const char *section, const char *name,
	const char *setting, size_t index, const char *format, ...) __attribute__((format(printf, 7, 8)));
/* "network-interface outside.port" into a buffer; row may be NULL. Returns buffer. */
const char *config_path(
	const struct config_object *object, const struct config_row *row, char *buffer, size_t size);
/* Hands what was noted to the reporter, in the order of lines. */
void config_report_all(struct config_load *load);
/* Notes that memory ran out (once, as an error) and returns -ENOMEM. */
int config_no_memory(struct config_load *load);

/* scan.c: outline of the text: objects and settings with lines go to load->private, problems of form and of names
 * are reported. *clean is a copy (heap, NUL-terminated; caller frees) of the same number of lines that holds no comment,
 * nothing libConfuse would expand, and none of the refused settings. 0; -EINVAL when the text's form is beyond reading on. */
int config_scan(struct config_load *load, const char *text, size_t length, char **clean);

/* text.c: libConfuse reads the clean text; the values go to the settings of the outline. 0, -EINVAL or -ENOMEM (reported). */
int config_read_text(struct config_load *load, const char *clean);

/* load.c: an empty configuration to read into; load->reporter is set. 0, or -ENOMEM with nothing to free. */
int config_load_begin(struct config_load *load, const char *name);
/* load.c: what is written, without types: config->private->objects, and nothing else of the model. As config_load_text; values are not
 * looked at. 0, -EINVAL, -ENOMEM; *out: config_free. */
int config_outline(const char *name, const char *text, size_t length, const struct config_reporter *reporter,
	struct config **out);

/* build.c: the typed model from the outline. Errors are reported and counted; 0 or -ENOMEM. */
int config_build(struct config_load *load);

/* value.c: types one setting into its field; the default when `setting` is NULL. Problems are reported. 0 or -ENOMEM. */
int config_value_set(struct config_load *load, const struct config_object *object,
	const struct config_row *row, struct config_setting *setting);
/* Must wait until every object has its final place? (references, patterns, next hops) */
bool config_value_is_late(enum config_type type);

/* How many values a list has that is not written. */
size_t config_default_count(const struct config_row *row);

/* lookup.c: objects by section, parent and name. Adding does not look for a same one. */
void config_object_add(struct config_private *private, struct config_object *object);
const struct config_object *config_object_find_in(const struct config_private *private,
	const struct config_section *section, const struct config_object *parent, const char *name);
const struct config_object *config_object_find(
	const struct config_private *private, const struct config_section *section, const char *name);
struct config_setting *config_setting_find(const struct config_object *object, const char *name);

/* pattern.c: compiles a POSIX extended expression within bounds. 0, -ENOMEM, or -EINVAL with the reason in `why`. */
int config_pattern_compile(
	struct config_load *load, const char *text, regex_t *regex, char *why, size_t size);

/* validate*.c: what must hold between settings. Reads the model alone; reports through load. */
void config_validate(struct config_load *load);
void config_validate_network(struct config_load *load);
void config_validate_sip(struct config_load *load);
void config_validate_tls(struct config_load *load);
void config_validate_policy(struct config_load *load);
void config_validate_access(struct config_load *load);
void config_validate_system(struct config_load *load);
/* claims.c: no two may claim the same port of an address; addresses of interfaces are unique. */
void config_validate_claims(struct config_load *load);
/* By family, then bytes; ports do not matter. As qsort wants it. */
int config_compare_hosts(const union address *a, const union address *b);
/* Bits behind the first `length` become 0. */
void config_clear_host_bits(union address *a, unsigned length);
/* Is this an address of the interface? True as well when one of them could not be read: that is reported already. */
bool config_interface_has(const struct config_network_interface *ni, const union address *address);
/* token of RFC 3261, section 25.1 */
bool config_is_token(const char *text);
/* files.c: files that settings name: present and readable? Reads secrets given as "file:/path" into the model. */
int config_read_files(struct config_load *load);

/* nearest.c: the candidate most like `name`, NULL when none is near. Call for each candidate, starting with best = NULL. */
struct config_nearest {
	const char *name;
	const char *best;
	unsigned distance;
};
void config_nearest_try(struct config_nearest *nearest, const char *candidate);

#endif
