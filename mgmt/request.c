/* SPDX-License-Identifier: BSD-3-Clause */
/* Life of a command: decode, parse, fetch from the neighbours, finish or be abandoned. */
#include "mgmt/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/audit.h"

enum { REMARK_MAX = 2048 };

struct fetch {
	struct request *request;
	request_reply reply;
	unsigned tag;
};

static int send_text(void *arg, const char *text, size_t length)
{
	struct request *request = arg;

	return request->over ? 0 : request->sink->send(request->sink_arg, MGMT_TEXT, 0, text, length);
}

struct request *request_new(const struct neighbours *neighbours, const struct request_sink *sink, void *arg)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->neighbours = neighbours;
	request->sink = sink;
	request->sink_arg = arg;
	memcpy(request->who, "command", sizeof("command"));
	request->role = CONFIG_ROLE_ADMIN;
	output_init(&request->output, send_text, request);
	return request;
}

void request_set_session(struct request *request, struct session *session)
{
	request->session = session;
	session_touch(session);
	request->role = session->role;
	memcpy(request->who, session->user, sizeof(request->who));
}

/* Called last by every way into a request. */
static void request_settle(struct request *request)
{
	if (!request->over || request->pending > 0)
		return;
	if (request->state_free != NULL)
		request->state_free(request->state);
	if (request->input != NULL)
		explicit_bzero(request->input, request->input_length);
	free(request->input);
	explicit_bzero(request->words, request->words_length); /* a secret may be among them */
	free(request);
}

void request_hold(struct request *request)
{
	request->pending++;
}

void request_release(struct request *request)
{
	request->pending--;
	request_settle(request);
}

static void write_down(struct request *request, const char *outcome)
{
	if (request->session != NULL && request->written_length > 0)
		audit_write(request->session, (struct span){ request->written, request->written_length },
			outcome);
	request->written_length = 0;
}

static void request_end(struct request *request, int16_t status, enum mgmt_exit exit)
{
	struct mgmt_done done = { .exit = exit };

	if (request->over)
		return;
	output_flush(&request->output);
	request->over = true;
	write_down(request, exit == MGMT_EXIT_OK ? "done" : exit == MGMT_EXIT_USAGE ? "wrong" : "failed");
	request->sink->send(request->sink_arg, MGMT_DONE, status, &done, sizeof(done));
	request->sink->finished(request->sink_arg);
}

void request_finish(struct request *request, enum mgmt_exit exit)
{
	request_end(request, 0, exit);
}

__attribute__((format(printf, 2, 0))) static void remark(
	struct request *request, const char *format, va_list arguments)
{
	char text[REMARK_MAX];

	if (request->over)
		return;

	int n = vsnprintf(text, sizeof(text), format, arguments);

	if (n < 0)
		return;
	output_flush(&request->output);
	request->sink->send(request->sink_arg, MGMT_ERROR, 0, text,
		(size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void request_remark(struct request *request, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	remark(request, format, arguments);
	va_end(arguments);
}

void request_fail(struct request *request, enum mgmt_exit exit, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	remark(request, format, arguments);
	va_end(arguments);
	request_end(request, 0, exit);
}

void request_fail_neighbour(struct request *request, enum neighbour which, int status)
{
	const char *name = neighbour_name(which);

	if (status == -ENOTCONN)
		request_fail(request, MGMT_EXIT_FAILED,
			"the %s is not there: nothing answers at %s; is sallyport-%s running?", name,
			request->neighbours->path[which], name);
	else if (status == -ETIMEDOUT)
		request_fail(request, MGMT_EXIT_FAILED, "the %s did not answer in time", name);
	else
		request_fail(request, MGMT_EXIT_FAILED, "the %s answers: %s", name, strerror(-status));
}

/* Each word ends with a NUL; exactly `count` of them fill the text. */
int request_words(const char *text, size_t length, size_t count, struct span *words)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		const char *end = at < length ? memchr(text + at, '\0', length - at) : NULL;

		if (end == NULL || (size_t)(end - (text + at)) >= MGMT_WORD_MAX)
			return -EBADMSG;
		words[i] = (struct span){ text + at, (size_t)(end - (text + at)) };
		at += words[i].n + 1;
	}
	return at == length ? 0 : -EBADMSG;
}

static int decode_command(
	struct request *request, const void *body, size_t length, struct span *words, size_t *count)
{
	struct mgmt_command header;

	if (length < sizeof(header) || length - sizeof(header) > sizeof(request->words))
		return -EBADMSG;
	memcpy(&header, body, sizeof(header));
	if (header.words == 0 || header.words > MGMT_WORDS_MAX ||
		(header.flags & ~(MGMT_JSON | MGMT_SECRET | MGMT_HAS_INPUT | MGMT_MASKED)) != 0)
		return -EBADMSG;
	request->json = (header.flags & MGMT_JSON) != 0;
	request->masked = (header.flags & MGMT_MASKED) != 0;
	request->width = header.width;
	*count = header.words;
	/* The arguments are needed for as long as the request lives. */
	request->words_length = length - sizeof(header);
	memcpy(request->words, (const char *)body + sizeof(header), request->words_length);
	request->reading = (header.flags & MGMT_HAS_INPUT) != 0;
	if (request_words(request->words, length - sizeof(header), header.words, words) != 0)
		return -EBADMSG;
	if ((header.flags & MGMT_SECRET) != 0)
		request->secret = words[--*count];
	return *count > 0 ? 0 : -EBADMSG;
}

/* What the command holds it may release before it returns: the request outlives that. */
static void run_start(struct request *request)
{
	request->pending++;
	request->match.command->start(request);
	request->pending--;
}

static void run_command(struct request *request, const struct span *words, size_t count)
{
	char text[REMARK_MAX / 2];
	struct writer error;

	writer_init(&error, text, sizeof(text));
	if (command_parse(command_table, words, count, &request->match, &error) != 0) {
		struct span reason = writer_result(&error);

		request_fail(request, MGMT_EXIT_USAGE, "%.*s", SPAN_FMT(reason));
		return;
	}
	if (request->match.command->start == NULL) {
		request_fail(request, MGMT_EXIT_USAGE, "\"%s\" is answered by the sallyport program itself",
			request->match.command->words);
		return;
	}
	if (request->role < request->match.command->role) {
		request_fail(request, MGMT_EXIT_FAILED, "\"%s\" is for the role %s, and %s has the role %s",
			request->match.command->words, session_role_name(request->match.command->role),
			request->who, session_role_name(request->role));
		return;
	}
	if (request->reading != (request->match.command->input != NULL)) {
		request_fail(request, MGMT_EXIT_USAGE,
			request->reading ? "this command reads nothing"
					 : "this command reads a text, and none comes");
		return;
	}
	if (!request->reading)
		run_start(request);
}

void request_input(struct request *request, const void *body, size_t length)
{
	if (!request->reading || request->over)
		return;
	if (length > 0 && request->input_length + length <= MGMT_INPUT_MAX) {
		char *grown = realloc(request->input, request->input_length + length + 1);

		if (grown != NULL) {
			memcpy(grown + request->input_length, body, length);
			request->input = grown;
			request->input_length += length;
			grown[request->input_length] = '\0';
			return;
		}
	}
	request->reading = false;
	if (length > 0)
		request_fail(request, MGMT_EXIT_FAILED, "the text is too long; allowed: %d octets",
			MGMT_INPUT_MAX);
	else
		run_start(request);
	request_settle(request);
}

void request_run(struct request *request, const void *body, size_t length)
{
	struct span words[MGMT_WORDS_MAX];
	size_t count;

	if (decode_command(request, body, length, words, &count) != 0) {
		request_end(request, -EBADMSG, MGMT_EXIT_USAGE);
	} else {
		struct writer written;

		writer_init(&written, request->written, sizeof(request->written));
		audit_words(words, count, &written);
		request->written_length = written.len;
		run_command(request, words, count);
	}
	request_settle(request);
}

void request_ack(struct request *request, uint64_t octets)
{
	struct output *output = &request->output;

	/* A client cannot have read what was not sent, nor unread what it had. */
	if (octets > output->acked && octets <= output->sent)
		output->acked = octets;
	if (request->resume != NULL && output_has_room(output)) {
		void (*resume)(struct request *) = request->resume;

		request->resume = NULL;
		resume(request);
	}
	request_settle(request);
}

void request_stop(struct request *request)
{
	request_finish(request, MGMT_EXIT_FAILED);
	request_settle(request);
}

void request_abandon(struct request *request)
{
	if (!request->over)
		write_down(request, "given up");
	request->over = true;
	request_settle(request);
}

static void fetch_replied(void *arg, int status, const void *body, size_t length)
{
	struct fetch *fetch = arg;
	struct request *request = fetch->request;

	request->pending--;
	if (!request->over)
		fetch->reply(request, fetch->tag, status, body, length);
	free(fetch);
	request_settle(request);
}

int request_fetch(struct request *request, enum neighbour which, unsigned type, const void *body,
	size_t length, unsigned tag, request_reply reply)
{
	struct fetch *fetch = malloc(sizeof(*fetch));

	if (fetch == NULL)
		return -ENOMEM;
	*fetch = (struct fetch){ .request = request, .reply = reply, .tag = tag };

	int err = neighbour_request(request->neighbours, which, type, body, length, fetch_replied, fetch);

	if (err != 0)
		free(fetch);
	else
		request->pending++;
	return err;
}
