/* SPDX-License-Identifier: BSD-3-Clause */
/* Text on its way to a client: cut into frames, counted against what the client has disposed of. */
#ifndef MGMT_OUTPUT_H
#define MGMT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mgmt/api.h"

struct output {
	/* Sends one piece, at most MGMT_TEXT_MAX octets. 0 or -errno. */
	int (*send)(void *arg, const char *text, size_t length);
	void *arg;
	uint64_t sent, acked; /* octets */
	int error; /* the first of `send`; nothing is sent after it */
	size_t length;
	char buffer[MGMT_TEXT_MAX];
};

void output_init(struct output *output, int (*send)(void *arg, const char *text, size_t length), void *arg);
void output_write(struct output *output, const char *text, size_t length);
void output_text(struct output *output, const char *text);
/* At most 1 KiB; what is longer is cut. */
void output_format(struct output *output, const char *format, ...) __attribute__((format(printf, 2, 3)));
void output_pad(struct output *output, size_t spaces);
void output_flush(struct output *output);
/* May a list go on, or has it to wait for the client? */
bool output_has_room(const struct output *output);

#endif
