/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzes a configuration as it is edited: lines of words are carried out on a document as set, delete and section paths; what is printed reads again as the same
 * document, prints the same, a refused edit changes nothing, and a secret stands nowhere in what is masked. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/document.h"
#include "config/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 16, WHY_MAX = 2048 };

#define SECRET "$6$a$b"

static const char start[] =
	"network-interface out { port = \"xdp:eth1\" addresses = {\"192.0.2.1/24\"} }\n"
	"realm r { network-interface = out }\n"
	"sip-manipulation m { rule \"1\" { action = delete header = \"X\" } }\n"
	"user u { role = monitor password-hash = \"" SECRET "\" }\n"
	"session-agent a { realm = r address = \"udp:192.0.2.2\" password = \"" SECRET "\" }\n";

static void silent(void *arg, bool is_error, const char *line)
{
	(void)arg;
	(void)is_error;
	(void)line;
}

static struct config_document *read_text(const char *text, size_t length)
{
	static const struct config_reporter reporter = { .report = silent };
	struct config_document *document = NULL;

	return config_document_read("fuzz", text, length, &reporter, &document) == 0 ? document : NULL;
}

static char *print(const struct config_document *document, enum config_print how)
{
	char *text = NULL;

	if (config_document_print(document, NULL, 0, how, &text, NULL) != 0)
		abort();
	return text;
}

static void told(void *arg, const struct config_change *change)
{
	unsigned *count = arg;

	if (change->path == NULL)
		abort();
	++*count;
}

static void check_round_trip(const struct config_document *document)
{
	char *text = print(document, CONFIG_PRINT_WHOLE), *again;
	struct config_document *same = read_text(text, strlen(text));
	unsigned changes = 0;

	if (same == NULL)
		abort();
	again = print(same, CONFIG_PRINT_WHOLE);
	if (strcmp(text, again) != 0)
		abort();
	if (config_document_compare(document, same, told, &changes) != 0 || changes > 0)
		abort();
	free(again);
	free(text);
	config_document_free(same);
}

/* Whether the planted secret stands where no secret is expected: an edit may have put it there; and whether there is any to mask. */
struct open_places {
	bool planted, masked;
};

static void enter(void *arg, const char *section, const char *name)
{
	struct open_places *places = arg;

	(void)section;
	places->planted = places->planted || (name != NULL && strstr(name, SECRET) != NULL);
}

static void setting(void *arg, const struct config_row *row, const char *const *values, size_t count)
{
	struct open_places *places = arg;

	for (size_t i = 0; i < count; i++) {
		if (row->type != CONFIG_TYPE_SECRET)
			places->planted = places->planted || strstr(values[i], SECRET) != NULL;
		else if (*values[i] != '\0' && strcmp(values[i], CONFIG_MASK) != 0)
			abort();
		else
			places->masked = places->masked || *values[i] != '\0';
	}
}

static void leave(void *arg)
{
	(void)arg;
}

static void told_masked(void *arg, const struct config_change *change)
{
	(void)arg;
	if ((change->before != NULL && strstr(change->before, SECRET) != NULL) ||
		(change->after != NULL && strstr(change->after, SECRET) != NULL))
		abort();
}

static void check_mask(const struct config_document *document)
{
	static const struct config_visitor visitor = { .enter = enter, .setting = setting, .leave = leave };
	struct open_places places = { .planted = false };
	char *masked = print(document, CONFIG_PRINT_MASKED);
	struct config_document *other = read_text(masked, strlen(masked)), *none = read_text("", 0);

	if (none == NULL)
		abort();
	config_document_visit(document, &visitor, CONFIG_PRINT_MASKED, &places);
	if (!places.planted && strstr(masked, SECRET) != NULL)
		abort();
	if (!places.planted && (config_document_compare(none, document, told_masked, NULL) != 0 ||
				       config_document_compare(document, none, told_masked, NULL) != 0))
		abort();
	if (places.masked && other != NULL) /* it would put masks in the place of secrets */
		abort();
	config_document_free(none);
	config_document_free(other);
	free(masked);
}

static void edit(struct config_document *document, struct span line)
{
	struct span words[WORDS_MAX];
	char reason[WHY_MAX], *before, *after;
	struct writer why;
	size_t count = 0;
	int error;
	char kind = line.n > 0 ? line.p[0] : '\0';

	if (line.n > 0)
		line = (struct span){ line.p + 1, line.n - 1 };
	while (line.p != NULL && line.n > 0 && count < WORDS_MAX)
		words[count++] = span_cut(&line, ' ');
	writer_init(&why, reason, sizeof(reason));
	before = print(document, CONFIG_PRINT_WHOLE);
	error = kind == 'p'   ? config_document_path(document, words, count, &why)
		: kind == 'd' ? config_document_delete(document, words, count, &why)
			      : config_document_set(document, words, count, &why);
	after = print(document, CONFIG_PRINT_WHOLE);
	if ((error != 0 || kind == 'p') && strcmp(before, after) != 0)
		abort();
	free(before);
	free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size };
	struct config_document *document = read_text(rest.p, rest.n);

	if (document != NULL) {
		check_round_trip(document);
		config_document_free(document);
	}
	document = read_text(start, sizeof(start) - 1);
	if (document == NULL)
		abort();
	for (unsigned lines = 0; rest.p != NULL && rest.n > 0 && lines < 64; lines++)
		edit(document, span_cut(&rest, '\n'));
	check_round_trip(document);
	check_mask(document);
	config_document_free(document);
	return 0;
}
