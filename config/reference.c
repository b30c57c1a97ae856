/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference page of the configuration language, written from the schema (docs/configuration.md). */
#include "config/reference.h"

#include <errno.h>

#include "config/schema.h"
#include "config/source.h"

static const char *const introduction =
	"# Configuration reference\n\n"
	"Written by `sallyport config reference`; do not edit.\n\n"
	"The file (`/etc/sallyport/sallyport.conf`) holds sections, `NAME { ... }` or `KIND NAME { ... }`, "
	"and in them settings:\n\n"
	"```\n"
	"network-interface outside {\n"
	"        port      = \"xdp:eth1\"\n"
	"        addresses = {\"203.0.113.10/24\", \"2001:db8:1::10/64\"}   # a comment\n"
	"}\n"
	"```\n\n"
	"- A value of letters, digits and `_ . : / @ % -` may stand without quotes; any other stands in "
	"`\"...\"`, where `\\\\` is a\n"
	"  backslash and `\\\"` a quote, or in `'...'`, which keeps backslashes. A `\\` at the end of a line "
	"continues the text.\n"
	"- A list stands in braces, with commas; `+=` adds to what was written before, or to the default.\n"
	"- Times are seconds, or have a unit: `20ms`, `30s`, `5m`, `2h`, `1d`. Rates are per second.\n"
	"- A secret may be `\"file:/path\"`: the first line of that file.\n"
	"- Nothing is expanded or included. A setting is written once; a name is given once per kind of "
	"section.\n"
	"- Patterns are POSIX extended regular expressions without back references; with its intervals\n"
	"  (`{2,9}`) written out, a pattern has at most 1000 atoms.\n";

static void write_limits(FILE *out)
{
	fprintf(out,
		"- A file has at most %d MiB and %d sections, a list %d values, a value %d bytes.\n\n"
		"*Applies* says when a change takes effect. *In use* says which daemons honour the setting "
		"in this version; the others\n"
		"accept it and say in the log that they do not honour it yet.\n",
		CONFIG_TEXT_MAX >> 20, CONFIG_OBJECTS_MAX, CONFIG_VALUES_MAX, CONFIG_VALUE_LENGTH_MAX);
}

static void write_use(const struct config_row *row, FILE *out)
{
	static const struct {
		enum config_daemon daemon;
		const char *name;
	} daemons[] = { { CONFIG_DATAPLANE, "dataplane" }, { CONFIG_CONTROLPLANE, "controlplane" },
		{ CONFIG_MGMT, "mgmt" } };
	bool any = false;

	if (row->works) {
		fputs("only `", out);
		for (const char *p = row->works; *p; p++)
			fputs(*p == ' ' ? "`, `" : (char[]){ *p, '\0' }, out);
		fputs("`", out);
		return;
	}
	for (size_t i = 0; i < sizeof(daemons) / sizeof(daemons[0]); i++)
		if (row->implemented & (unsigned)daemons[i].daemon) {
			fprintf(out, "%s%s", any ? ", " : "", daemons[i].name);
			any = true;
		}
	if (!any)
		fputs("not yet", out);
}

static void write_default(const struct config_row *row, FILE *out)
{
	if (row->required)
		fputs("required", out);
	else if (row->fallback && row->fallback[0])
		fprintf(out, "`%s%s%s`", config_type_is_list(row->type) ? "{" : "", row->fallback,
			config_type_is_list(row->type) ? "}" : "");
}

static void write_row(const struct config_row *row, FILE *out)
{
	char allowed[512];

	fprintf(out, "| `%s` | %s%s | ", row->name, config_type_is_list(row->type) ? "list of: " : "",
		config_row_allowed(row, allowed, sizeof(allowed)));
	write_default(row, out);
	fprintf(out, " | %s | ", row->applies == CONFIG_APPLIES_LIVE ? "live" : "restart");
	write_use(row, out);
	fprintf(out, " | %s |\n", row->help);
}

static void write_section(
	const struct config_section *section, const struct config_section *parent, FILE *out)
{
	fprintf(out, "\n## %s%s%s%s\n\n%s\n", parent ? parent->name : "", parent ? " / " : "", section->name,
		section->named ? " NAME" : "", section->help);
	if (section->name_characters)
		fprintf(out, "\nNAME: 1 to %zu of `%s`.\n", section->name_max, section->name_characters);
	if (section->row_count)
		fputs("\n| setting | allowed | default | applies | in use | |\n|---|---|---|---|---|---|\n",
			out);
	for (size_t i = 0; i < section->row_count; i++)
		write_row(&section->rows[i], out);
	if (section->child)
		write_section(section->child, section, out);
}

int config_reference_write(FILE *out)
{
	fputs(introduction, out);
	write_limits(out);
	for (size_t i = 0; i < config_section_count; i++)
		write_section(&config_sections[i], NULL, out);
	return fflush(out) || ferror(out) ? -EIO : 0;
}
