/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffered text toward a client. */
#include "mgmt/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FORMAT_MAX = 1024 };

void output_init(struct output *output, int (*send)(void *arg, const char *text, size_t length), void *arg)
{
	output->send = send;
	output->arg = arg;
	output->sent = output->acked = 0;
	output->error = 0;
	output->length = 0;
}

void output_flush(struct output *output)
{
	if (output->length > 0 && output->error == 0) {
		output->error = output->send(output->arg, output->buffer, output->length);
		output->sent += output->length;
	}
	output->length = 0;
}

void output_write(struct output *output, const char *text, size_t length)
{
	while (length > 0) {
		size_t room = sizeof(output->buffer) - output->length;
		size_t n = length < room ? length : room;

		memcpy(output->buffer + output->length, text, n);
		output->length += n;
		text += n;
		length -= n;
		if (output->length == sizeof(output->buffer))
			output_flush(output);
	}
}

void output_text(struct output *output, const char *text)
{
	output_write(output, text, strlen(text));
}

void output_format(struct output *output, const char *format, ...)
{
	char text[FORMAT_MAX];
	va_list arguments;

	va_start(arguments, format);
	int n = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (n > 0)
		output_write(output, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void output_pad(struct output *output, size_t spaces)
{
	static const char blank[] = "                ";

	while (spaces > 0) {
		size_t n = spaces < sizeof(blank) - 1 ? spaces : sizeof(blank) - 1;

		output_write(output, blank, n);
		spaces -= n;
	}
}

bool output_has_room(const struct output *output)
{
	return output->sent + output->length - output->acked < MGMT_WINDOW;
}
