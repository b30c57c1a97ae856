/* SPDX-License-Identifier: BSD-3-Clause */
/* Structured log: level, component, message, key=value fields; to journald when stderr is its stream, else to stderr.
 * Thread safe. Never called from a packet worker (ci/check-banned refuses it). */
#ifndef PLATFORMS_BASE_LOG_H
#define PLATFORMS_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "platforms/base/address.h"
#include "platforms/base/span.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_field {
	const char *key;
	enum {
		LOG_FIELD_END,
		LOG_FIELD_SPAN,
		LOG_FIELD_UINT,
		LOG_FIELD_INT,
		LOG_FIELD_ADDRESS,
		LOG_FIELD_ERRNO
	} type;
	union {
		struct span span; /* any bytes: printed escaped and quoted where needed */
		uint64_t uint;
		int64_t sint;
		const union address *address;
		int error; /* errno or -errno */
	} value;
};

/* clang-format off */
#define LOG_SPAN(k, v)    ((struct log_field){ (k), LOG_FIELD_SPAN,    { .span = (v) } })
#define LOG_TEXT(k, v)    ((struct log_field){ (k), LOG_FIELD_SPAN,    { .span = span_from(v) } })
#define LOG_UINT(k, v)    ((struct log_field){ (k), LOG_FIELD_UINT,    { .uint = (v) } })
#define LOG_INT(k, v)     ((struct log_field){ (k), LOG_FIELD_INT,     { .sint = (v) } })
#define LOG_ADDRESS(k, v) ((struct log_field){ (k), LOG_FIELD_ADDRESS, { .address = (v) } })
#define LOG_ERRNO(k, v)   ((struct log_field){ (k), LOG_FIELD_ERRNO,   { .error = (v) } })
/* clang-format on */

/* `name` goes into every line ("sallyport-dataplane"). Called once before threads start. */
void log_open(const char *name, enum log_level level);
void log_set_level(enum log_level level);

/* One record. `fields` ends with a LOG_FIELD_END entry. Use the macros. */
void log_write(
	enum log_level level, const char *component, const char *message, const struct log_field *fields);
extern _Atomic enum log_level log_level_now; /* read by the macros; changed by log_set_level only */

/* Warnings and notices are for people: what a peer can cause, it can cause a hundred thousand times a second. Each place in the code
 * has a budget for one second; what is over it is counted, and told with the first line of a later second. */
enum { LOG_BUDGET = 100 };
struct log_budget { /* zero-initialised, static */
	_Atomic uint64_t second;
	_Atomic uint32_t used;
};
bool log_allowed(struct log_budget *budget, const char *component, const char *message);

/* The first element is only there for the comma before a possibly empty list (__VA_OPT__, which would do without, is not
 * known to cppcheck 2.10). */
/* clang-format off */
#define LOG_AT(level, component, message, ...)                                                  \
	do {                                                                                    \
		if ((level) <= log_level_now)                                                   \
			log_write((level), (component), (message), (const struct log_field[]){  \
				{ NULL, LOG_FIELD_END, { .uint = 0 } }, ##__VA_ARGS__,          \
				{ NULL, LOG_FIELD_END, { .uint = 0 } } } + 1);                  \
	} while (0)

#define LOG_SPARING(level, component, message, ...)                                             \
	do {                                                                                    \
		static struct log_budget log_budget_here;                                       \
		if ((level) <= log_level_now && log_allowed(&log_budget_here, (component), (message))) \
			LOG_AT((level), (component), (message), ##__VA_ARGS__);                 \
	} while (0)

#define log_error(component, message, ...)   LOG_AT(LOG_LEVEL_ERROR, component, message, ##__VA_ARGS__)
#define log_warning(component, message, ...) LOG_SPARING(LOG_LEVEL_WARNING, component, message, ##__VA_ARGS__)
#define log_notice(component, message, ...)  LOG_SPARING(LOG_LEVEL_NOTICE, component, message, ##__VA_ARGS__)
#define log_info(component, message, ...)    LOG_AT(LOG_LEVEL_INFO, component, message, ##__VA_ARGS__)
#define log_debug(component, message, ...)   LOG_AT(LOG_LEVEL_DEBUG, component, message, ##__VA_ARGS__)
/* clang-format on */

#endif
