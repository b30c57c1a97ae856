/* SPDX-License-Identifier: BSD-3-Clause */
/* libedit, asked for lines; what may follow comes from the daemon. */
#include "mgmt/line_editor.h"

#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/filter.h"

enum { HISTORY = 500, PROMPT_MAX = 128, WORDS_SHOWN = 400, WORD_MAX = 256, HELP_COLUMN = 24 };

struct line_editor {
	struct runner *runner;
	EditLine *edit;
	History *history;
	char prompt[PROMPT_MAX];
	struct line line; /* what stands before the cursor */
};

/* What may stand at the cursor. */
struct choices {
	const char *beginning;
	size_t beginning_length;
	bool list; /* print them; else count and find what they have in common */
	size_t words, arguments;
	char common[WORD_MAX];
};

static char *prompt(EditLine *edit)
{
	struct line_editor *editor = NULL;

	el_get(edit, EL_CLIENTDATA, &editor);
	return editor->prompt;
}

static void make_prompt(struct line_editor *editor)
{
	struct mgmt_where where = { .role = 0 };
	bool known = editor->runner->client != NULL || runner_connect(editor->runner) == 0;

	if (known) {
		int error = client_where(editor->runner->client, &where);

		if (error != 0)
			(void)runner_explain(editor->runner, error);
		known = error == 0;
	}
	if (!known)
		(void)snprintf(editor->prompt, sizeof(editor->prompt), "(not connected)> ");
	else
		(void)snprintf(editor->prompt, sizeof(editor->prompt), "%s%s ", where.name,
			where.candidate ? "#" : ">");
	if (where.edit[0] != '\0')
		printf("[edit %s]\n", where.edit);
	fflush(stdout);
}

static void choice(void *arg, const char *word, bool argument, const char *help)
{
	struct choices *c = arg;
	size_t n = strlen(word);

	if (!argument && (n < c->beginning_length || memcmp(word, c->beginning, c->beginning_length) != 0))
		return;
	if (c->list) {
		if (c->words + c->arguments < WORDS_SHOWN)
			printf("  %-*s %s\n", HELP_COLUMN, word, help);
		c->arguments++;
		return;
	}
	if (argument || n >= sizeof(c->common)) {
		c->arguments++;
		return;
	}
	if (c->words++ == 0) {
		memcpy(c->common, word, n + 1);
		return;
	}
	for (size_t i = 0; i <= n; i++)
		if (c->common[i] != word[i]) {
			c->common[i] = '\0';
			break;
		}
}

/* Behind "|". */
static void choose_pipe(const struct line *line, size_t before, struct choices *c)
{
	size_t typed = before - line->pipe[line->pipes - 1];

	for (const struct filter_kind *k = filter_kinds; k->word != NULL; k++) {
		if (typed == 0)
			choice(c, k->word, false, k->help);
		else if (typed == 1 && k->argument != NULL &&
			 span_equal(line->words[before - 1], span_from(k->word)))
			choice(c, k->argument, true, k->help);
	}
}

/* `before`: how many words stand whole before the one at the cursor. */
static void choose(struct line_editor *editor, size_t before, struct choices *c)
{
	const struct line *line = &editor->line;
	const struct span *words = line->words;
	size_t watch = before > 0 && span_equal(words[0], SPAN("watch")) ? 1 : 0;
	uint64_t seconds;

	if (line->pipes > 0 && line->pipe[line->pipes - 1] <= before) {
		choose_pipe(line, before, c);
		return;
	}
	if (watch && before > 1 && span_to_uint(words[1], UINT32_MAX, &seconds) == 0)
		watch = 2;
	if (before == 0)
		for (const struct shell_word *w = shell_words; w->word != NULL; w++)
			choice(c, w->word, false, w->help);
	if (editor->runner->client != NULL)
		(void)client_complete(editor->runner->client, words + watch, before - watch, choice, c);
}

/* What stands before the cursor; false: nothing that can be completed. */
static bool read_before(struct line_editor *editor, struct choices *c, size_t *before)
{
	const LineInfo *info = el_line(editor->edit);
	struct span text = { info->buffer, (size_t)(info->cursor - info->buffer) };
	char unused[128];
	struct writer why;

	writer_init(&why, unused, sizeof(unused));
	if (line_parse(&editor->line, text, &why) != 0 && !editor->line.quoted)
		return false;

	bool open = editor->line.last < text.n && editor->line.count > 0;

	*before = editor->line.count - open;
	c->beginning = open ? editor->line.words[*before].p : "";
	c->beginning_length = open ? editor->line.words[*before].n : 0;
	return true;
}

static unsigned char list(struct line_editor *editor, struct choices *c, size_t before)
{
	c->list = true;
	c->words = c->arguments = 0;
	fputc('\n', stdout);
	choose(editor, before, c);
	fflush(stdout);
	return CC_REDISPLAY;
}

static unsigned char complete(EditLine *edit, int key)
{
	struct line_editor *editor = NULL;
	struct choices c = { .list = false };
	size_t before;

	(void)key;
	el_get(edit, EL_CLIENTDATA, &editor);
	if (!read_before(editor, &c, &before))
		return CC_ERROR;
	choose(editor, before, &c);
	if (c.words == 0 && c.arguments == 0)
		return CC_ERROR;
	if (c.words > 0 && strlen(c.common) > c.beginning_length) {
		if (el_insertstr(edit, c.common + c.beginning_length) != 0)
			return CC_ERROR;
		if (c.words == 1 && !editor->line.quoted)
			el_insertstr(edit, " ");
		return CC_REFRESH;
	}
	if (c.words == 1) {
		el_insertstr(edit, " ");
		return CC_REFRESH;
	}
	return list(editor, &c, before);
}

static unsigned char explain(EditLine *edit, int key)
{
	struct line_editor *editor = NULL;
	struct choices c = { .list = true };
	size_t before;

	(void)key;
	el_get(edit, EL_CLIENTDATA, &editor);
	/* In a quote it is a character as any other. */
	if (!read_before(editor, &c, &before) || editor->line.quoted) {
		el_insertstr(edit, "?");
		return CC_REFRESH;
	}
	return list(editor, &c, before);
}

int line_editor_new(struct runner *runner, struct line_editor **out)
{
	struct line_editor *editor = calloc(1, sizeof(*editor));
	HistEvent event;

	if (editor == NULL)
		return -ENOMEM;
	editor->runner = runner;
	editor->edit = el_init("sallyport", stdin, stdout, stderr);
	editor->history = history_init();
	if (editor->edit == NULL || editor->history == NULL) {
		line_editor_free(editor);
		return -ENOMEM;
	}
	history(editor->history, &event, H_SETSIZE, HISTORY);
	history(editor->history, &event, H_SETUNIQUE, 1);
	el_set(editor->edit, EL_CLIENTDATA, editor);
	el_set(editor->edit, EL_PROMPT, prompt);
	el_set(editor->edit, EL_EDITOR, "emacs");
	el_set(editor->edit, EL_SIGNAL, 1);
	el_set(editor->edit, EL_HIST, history, editor->history);
	el_set(editor->edit, EL_ADDFN, "sp-complete", "complete the word", complete);
	el_set(editor->edit, EL_ADDFN, "sp-explain", "what may come here", explain);
	el_set(editor->edit, EL_BIND, "^I", "sp-complete", NULL);
	el_set(editor->edit, EL_BIND, "?", "sp-explain", NULL);
	el_set(editor->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	*out = editor;
	return 0;
}

void line_editor_free(struct line_editor *editor)
{
	if (editor == NULL)
		return;
	if (editor->edit != NULL)
		el_end(editor->edit);
	if (editor->history != NULL)
		history_end(editor->history);
	free(editor);
}

int line_editor_read(struct line_editor *editor, struct span *line)
{
	HistEvent event;
	const char *text;
	int n = 0;

	make_prompt(editor);
	text = el_gets(editor->edit, &n);
	if (text == NULL || n <= 0) {
		fputc('\n', stdout);
		return n < 0 && errno == EINTR ? -EINTR : 0;
	}
	*line = (struct span){ text, (size_t)n };
	if (span_trim(*line).n > 0)
		history(editor->history, &event, H_ENTER, text);
	return 1;
}
