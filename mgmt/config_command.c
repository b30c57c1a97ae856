/* SPDX-License-Identifier: BSD-3-Clause */
/* config check FILE, config reference. */
#include "mgmt/config_command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/model.h"
#include "config/reference.h"
#include "mgmt/certificate_check.h"
#include "mgmt/value.h"

struct check {
	FILE *errors;
	json_t *messages; /* NULL: they are printed instead */
};

static void report(void *arg, bool is_error, const char *line)
{
	struct check *check = arg;

	if (check->messages == NULL) {
		fprintf(check->errors, "%s%s\n", line, is_error ? "" : " (warning)");
		return;
	}

	json_t *message = json_object();

	value_set(message, "severity", json_string(is_error ? "error" : "warning"));
	value_set(message, "text", value_text(line, strlen(line)));
	value_append(check->messages, message);
}

static void print_json(struct check *check, const char *file, bool valid, FILE *out)
{
	json_t *document = json_object();

	value_set(document, "file", value_text(file, strlen(file)));
	value_set(document, "valid", json_boolean(valid));
	value_set(document, "messages", check->messages);
	json_dumpf(document, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(document);
}

int config_command_check(const struct command_match *match, bool json, FILE *out, FILE *errors)
{
	struct check check = { .errors = errors, .messages = json ? json_array() : NULL };
	struct config_reporter reporter = { .report = report, .arg = &check };
	struct config *config = NULL;
	char *file = span_dup(match->argument[0]);

	if (file == NULL) {
		json_decref(check.messages);
		return MGMT_EXIT_FAILED;
	}

	bool valid = config_load(file, false, &reporter, &config) == 0;

	if (valid)
		valid = certificate_check(config, &reporter);

	if (json)
		print_json(&check, file, valid, out);
	else if (valid)
		fprintf(out, "%s: valid\n", file);
	config_free(config);
	free(file);
	return valid ? MGMT_EXIT_OK : MGMT_EXIT_USAGE;
}

int config_command_reference(const struct command_match *match, bool json, FILE *out, FILE *errors)
{
	(void)match;
	if (json) {
		fputs("sallyport: config reference is a text for people; it has no JSON form\n", errors);
		return MGMT_EXIT_USAGE;
	}
	return config_reference_write(out) == 0 ? MGMT_EXIT_OK : MGMT_EXIT_FAILED;
}
