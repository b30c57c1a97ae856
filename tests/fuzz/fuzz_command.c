/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzes the shell's command line: words, quotes and pipes, the command table behind them, and what is written down of it; and the
 * daemon's completion. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/audit.h"
#include "mgmt/command.h"
#include "mgmt/complete.h"
#include "mgmt/filter.h"
#include "mgmt/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printable(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '\n' && ((unsigned char)text.p[i] < 0x20 || (unsigned char)text.p[i] > 0x7e))
			abort();
}

static void fuzz_line(const uint8_t *data, size_t size)
{
	static struct line line;
	static char reason[4096];
	struct command_match match;
	struct filter *filter;
	struct writer why;
	size_t words;

	writer_init(&why, reason, sizeof(reason));
	if (line_parse(&line, (struct span){ (const char *)data, size }, &why) != 0 && !line.quoted)
		return;
	words = line_command_words(&line);
	if (words > line.count || line.count > MGMT_WORDS_MAX || line.last > size)
		abort();
	for (size_t i = 0; i < line.count; i++)
		if (line.words[i].p < line.text ||
			line.words[i].p + line.words[i].n > line.text + sizeof(line.text))
			abort();
	writer_init(&why, reason, sizeof(reason));
	if (filter_new(&line, false, &filter, &why) == 0)
		filter_free(filter);
	writer_init(&why, reason, sizeof(reason));
	if (words > 0 && command_parse(command_table, line.words, words, &match, &why) != 0)
		check_printable(writer_result(&why));
	writer_init(&why, reason, sizeof(reason));
	audit_words(line.words, words, &why);
	check_printable(writer_result(&why));
}

static void fuzz_complete(const uint8_t *data, size_t size)
{
	static char text[MGMT_COMMAND_MAX];
	struct session *session = session_new(NULL, 0);
	struct writer out;

	if (session == NULL)
		return;
	writer_init(&out, text, sizeof(text));
	if (complete_words(session, data, size, &out) == 0 && out.len > 0 && text[out.len - 1] != '\0')
		abort();
	session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 4 == 0)
		fuzz_complete(data + 1, size - 1);
	else
		fuzz_line(data + 1, size - 1);
	return 0;
}
