/* SPDX-License-Identifier: BSD-3-Clause */
/* From the text of a value to its typed field, one function per type; the type table dispatches. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "config/document.h"
#include "config/endpoint.h"
#include "config/source.h"
#include "config/value.h"

int value_bad(const struct value *v, const char *what)
{
	/* What is said here is logged, and goes into bundles for support. A path is no secret. */
	bool secret = v->row->type == CONFIG_TYPE_SECRET && strncmp(v->text, "file:", 5) != 0;
	char allowed[512];

	config_report_at(v->load, true, v->line, v->object, v->row, "\"%.64s\" %s%s; allowed: %s",
		secret ? CONFIG_MASK : v->text, what ? what : "is no ",
		what ? "" : config_type_noun(v->row->type),
		config_row_allowed(v->row, allowed, sizeof(allowed)));
	return 0;
}

char *value_copy(const struct value *v, struct span s)
{
	char *copy = arena_text(&v->load->private->arena, s.p, s.n);

	if (!copy)
		(void)config_no_memory(v->load);
	return copy;
}

static bool choice_find(const struct value *v, unsigned *found)
{
	for (const struct config_choice *c = v->row->choices; c->word; c++)
		if (!strcmp(c->word, v->text)) {
			*found = c->value;
			return true;
		}
	return false;
}

static int set_string(const struct value *v, void *field)
{
	size_t n = strlen(v->text);
	unsigned unused;
	char *copy;

	if (v->row->choices ? !choice_find(v, &unused) : n < v->row->min || n > v->row->max)
		return value_bad(v, v->row->choices ? "is not known" : "has the wrong length");
	copy = value_copy(v, span_from(v->text));
	memcpy(field, &copy, sizeof(copy));
	return copy ? 0 : -ENOMEM;
}

static int set_uint(const struct value *v, void *field)
{
	uint64_t number;
	int error = span_to_uint(span_from(v->text), UINT64_MAX, &number);
	unsigned n;

	if (error == -EINVAL)
		return value_bad(v, NULL);
	if (error || number < v->row->min || number > v->row->max)
		return value_bad(v, "is out of range");
	n = (unsigned)number;
	memcpy(field, &n, sizeof(n));
	return 0;
}

static int set_bool(const struct value *v, void *field)
{
	bool yes = !strcmp(v->text, "yes");

	if (!yes && strcmp(v->text, "no"))
		return value_bad(v, "is neither yes nor no");
	memcpy(field, &yes, sizeof(yes));
	return 0;
}

static int set_enum(const struct value *v, void *field)
{
	unsigned found;

	if (!choice_find(v, &found))
		return value_bad(v, "is not known");
	memcpy(field, &found, sizeof(found));
	return 0;
}

static int set_flag(const struct value *v, void *field)
{
	unsigned found;
	bool yes;

	if (!choice_find(v, &found))
		return value_bad(v, "is not known");
	yes = found != 0;
	memcpy(field, &yes, sizeof(yes));
	return 0;
}

/* Milliseconds of "20ms", "30s", "5m", "2h", "1d" or a plain number of seconds. */
static int duration_parse(struct span text, uint64_t *milliseconds)
{
	static const struct {
		struct span unit;
		uint64_t factor;
	} units[] = { { { "ms", 2 }, 1 }, { { "s", 1 }, 1000 }, { { "m", 1 }, 60000 },
		{ { "h", 1 }, 3600000 }, { { "d", 1 }, 86400000 }, { { "", 0 }, 1000 } };
	size_t digits = 0;
	int error;

	while (digits < text.n && isdigit((unsigned char)text.p[digits]))
		digits++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!span_equal(units[i].unit, (struct span){ text.p + digits, text.n - digits }))
			continue;
		error = span_to_uint((struct span){ text.p, digits }, UINT32_MAX, milliseconds);
		*milliseconds *= units[i].factor;
		return error;
	}
	return -EINVAL;
}

static int set_duration(const struct value *v, void *field, uint64_t unit)
{
	uint64_t ms = 0;
	int error = duration_parse(span_from(v->text), &ms);
	unsigned n;

	if (error == -EINVAL)
		return value_bad(v, NULL);
	if (ms % unit)
		return value_bad(v, "is not in whole seconds");
	if (error || ms / unit < v->row->min || ms / unit > v->row->max)
		return value_bad(v, "is out of range");
	n = (unsigned)(ms / unit);
	memcpy(field, &n, sizeof(n));
	return 0;
}

static int set_seconds(const struct value *v, void *field)
{
	return set_duration(v, field, 1000);
}

static int set_milliseconds(const struct value *v, void *field)
{
	return set_duration(v, field, 1);
}

static int set_address(const struct value *v, void *field)
{
	union address address;
	enum config_type type = v->row->type;

	if (!v->text[0] && !v->row->required)
		return 0;
	if (address_parse_host(span_from(v->text), &address))
		return value_bad(v, NULL);
	if (type != CONFIG_TYPE_ADDRESS &&
		address.sa.sa_family != (type == CONFIG_TYPE_ADDRESS4 ? AF_INET : AF_INET6))
		return value_bad(v, NULL);
	memcpy(field, &address, sizeof(address));
	return 0;
}

static int set_listen(const struct value *v, void *field)
{
	struct config_listen *listen = field;

	if (!v->text[0])
		return 0;
	if (address_parse(span_from(v->text), 0, &listen->address) || !address_port(&listen->address))
		return value_bad(v, NULL);
	listen->enabled = true;
	return 0;
}

static int set_prefix(const struct value *v, void *field)
{
	bool needs_length = v->row->type == CONFIG_TYPE_PREFIXES;
	struct prefix prefix;

	if (prefix_parse(span_from(v->text), &prefix) || (needs_length && !strchr(v->text, '/')))
		return value_bad(v, NULL);
	memcpy(field, &prefix, sizeof(prefix));
	return 0;
}

static int set_endpoint(const struct value *v, void *field)
{
	struct config_endpoint endpoint;
	struct span host;

	if (endpoint_parse(span_from(v->text), &endpoint, &host))
		return value_bad(v, NULL);
	if (v->row->type == CONFIG_TYPE_ENDPOINTS && !address_is_set(&endpoint.address))
		return value_bad(v, NULL);
	endpoint.host = value_copy(v, host);
	memcpy(field, &endpoint, sizeof(endpoint));
	return endpoint.host ? 0 : -ENOMEM;
}

static int set_file(const struct value *v, void *field)
{
	char *copy;

	if ((v->text[0] || v->row->required) && v->text[0] != '/')
		return value_bad(v, NULL);
	copy = value_copy(v, span_from(v->text));
	memcpy(field, &copy, sizeof(copy));
	return copy ? 0 : -ENOMEM;
}

static int set_secret(const struct value *v, void *field)
{
	char *copy;

	if (strlen(v->text) > v->row->max)
		return value_bad(v, "is too long");
	if (!strncmp(v->text, "file:", 5) && v->text[5] != '/')
		return value_bad(v, "is no absolute path");
	copy = value_copy(v, span_from(v->text));
	memcpy(field, &copy, sizeof(copy));
	return copy ? 0 : -ENOMEM;
}

/* clang-format off */
static const struct {
	int (*set)(const struct value *v, void *field);
	size_t size; /* of a list's element */
	bool late;
} types[CONFIG_TYPE_COUNT] = {
	[CONFIG_TYPE_STRING]       = { set_string, 0, false },
	[CONFIG_TYPE_STRINGS]      = { set_string, sizeof(char *), false },
	[CONFIG_TYPE_UINT]         = { set_uint, 0, false },
	[CONFIG_TYPE_UINTS]        = { set_uint, sizeof(unsigned), false },
	[CONFIG_TYPE_BOOL]         = { set_bool, 0, false },
	[CONFIG_TYPE_ENUM]         = { set_enum, 0, false },
	[CONFIG_TYPE_FLAG]         = { set_flag, 0, false },
	[CONFIG_TYPE_CHOICE]       = { set_string, 0, false },
	[CONFIG_TYPE_SECONDS]      = { set_seconds, 0, false },
	[CONFIG_TYPE_MILLISECONDS] = { set_milliseconds, 0, false },
	[CONFIG_TYPE_ADDRESS]      = { set_address, 0, false },
	[CONFIG_TYPE_ADDRESS4]     = { set_address, 0, false },
	[CONFIG_TYPE_ADDRESS6]     = { set_address, 0, false },
	[CONFIG_TYPE_LISTEN]       = { set_listen, 0, false },
	[CONFIG_TYPE_PREFIX]       = { set_prefix, 0, false },
	[CONFIG_TYPE_PREFIXES]     = { set_prefix, sizeof(struct prefix), false },
	[CONFIG_TYPE_ENDPOINT]     = { set_endpoint, 0, false },
	[CONFIG_TYPE_ENDPOINTS]    = { set_endpoint, sizeof(struct config_endpoint), false },
	[CONFIG_TYPE_PORT_RANGE]   = { value_set_port_range, 0, false },
	[CONFIG_TYPE_REFERENCE]    = { value_set_reference, 0, true },
	[CONFIG_TYPE_REFERENCES]   = { value_set_reference, sizeof(void *), true },
	[CONFIG_TYPE_REGEX]        = { value_set_regex, 0, true },
	[CONFIG_TYPE_FILE]         = { set_file, 0, false },
	[CONFIG_TYPE_SECRET]       = { set_secret, 0, false },
	[CONFIG_TYPE_NIC_PORT]     = { value_set_nic_port, 0, false },
	[CONFIG_TYPE_MEMORY]       = { value_set_memory, 0, false },
	[CONFIG_TYPE_NEXT_HOP]     = { value_set_next_hop, 0, true },
	[CONFIG_TYPE_DIRECTIONS]   = { value_set_direction, 0, false },
};
/* clang-format on */

bool config_value_is_late(enum config_type type)
{
	return types[type].late;
}

static bool is_text(enum config_type type)
{
	return type == CONFIG_TYPE_STRING || type == CONFIG_TYPE_FILE || type == CONFIG_TYPE_SECRET ||
	       type == CONFIG_TYPE_REGEX;
}

static int set_one(struct config_load *load, const struct config_object *object, const struct config_row *row,
	struct span text, unsigned line, void *field)
{
	struct value v = { .load = load, .object = object, .row = row, .line = line };

	v.text = value_copy(&v, text);
	return v.text ? types[row->type].set(&v, field) : -ENOMEM;
}

size_t config_default_count(const struct config_row *row)
{
	size_t count = row->fallback && row->fallback[0];

	for (const char *p = row->fallback; p && *p; p++)
		count += *p == ',';
	return count;
}

/* The default's elements, then those written. */
static int set_list(struct config_load *load, const struct config_object *object,
	const struct config_row *row, const struct config_setting *setting, char *base)
{
	size_t size = types[row->type].size, have = !setting || setting->adds ? config_default_count(row) : 0;
	size_t count = have + (setting ? setting->count : 0);
	char *items = arena_alloc(&load->private->arena, count + 1, size ? size : 1);
	struct span rest = span_from(row->fallback);
	size_t companion = row->type == CONFIG_TYPE_STRINGS
				   ? row->offset + offsetof(struct config_strings, count)
				   : row->companion;
	int error = 0;

	if (!items)
		return config_no_memory(load);
	for (size_t i = 0; i < count && !error; i++) {
		bool given = i >= have;
		struct span text =
			given ? span_from(setting->values[i - have]) : span_trim(span_cut(&rest, ','));

		error = set_one(load, object, row, text, given ? setting->lines[i - have] : object->line,
			size ? items + i * size : base + row->offset);
	}
	if (size) {
		memcpy(base + row->offset, &items, sizeof(items));
		memcpy(base + companion, &count, sizeof(count));
	}
	if (row->required && !count)
		config_report_at(load, true, setting ? setting->line : object->line, object, row,
			"is empty; at least one value is needed");
	return error;
}

int config_value_set(struct config_load *load, const struct config_object *object,
	const struct config_row *row, struct config_setting *setting)
{
	char *base = object->typed;

	if (setting && setting->refused)
		setting = NULL;
	if (config_type_is_list(row->type))
		return set_list(load, object, row, setting, base);
	if (setting)
		return set_one(load, object, row, span_from(setting->values[0]), setting->lines[0],
			base + row->offset);
	if (row->fallback || (is_text(row->type) && !row->required))
		return set_one(load, object, row, span_from(row->fallback ? row->fallback : ""), object->line,
			base + row->offset);
	return 0;
}
