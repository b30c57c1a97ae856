/* SPDX-License-Identifier: BSD-3-Clause */
/* One command being answered: its words, its output, what it still waits for. Lives until it has finished, or has been
 * abandoned, and the last reply of a neighbour has come. owner: the main loop */
#ifndef MGMT_REQUEST_H
#define MGMT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mgmt/api.h"
#include "mgmt/command.h"
#include "mgmt/neighbours.h"
#include "mgmt/output.h"
#include "mgmt/session.h"

/* Where a request's frames go. */
struct request_sink {
	/* One frame of enum mgmt_message. 0 or -errno. */
	int (*send)(void *arg, uint16_t type, int16_t status, const void *body, size_t length);
	/* Once, after MGMT_DONE: the request is no longer the caller's. Not called for an abandoned one. */
	void (*finished)(void *arg);
};

struct request {
	const struct request_sink *sink;
	void *sink_arg;
	const struct neighbours *neighbours;
	struct session *session; /* of the connection; NULL in tests */
	bool json;
	bool masked; /* secrets are not shown, whoever asks */
	unsigned width;
	char who[MGMT_USER_MAX]; /* gave the command: for the audit */
	enum config_role role;
	char *input; /* heap; NULL: none came yet */
	size_t input_length;
	bool reading; /* more of it is to come */
	struct span secret; /* empty: none came */
	struct command_match match;
	struct output output;
	/* The command's own state; freed with the request. */
	void *state;
	void (*state_free)(void *state);
	/* Set by a list that waits for its client; called when there is room again. */
	void (*resume)(struct request *request);
	unsigned pending; /* replies under way */
	size_t written_length;
	char written[1024]; /* the command, for the audit */
	bool over;
	size_t words_length;
	char words[MGMT_COMMAND_MAX];
};

typedef void (*request_reply)(
	struct request *request, unsigned tag, int status, const void *body, size_t length);

/* NULL without memory. */
struct request *request_new(const struct neighbours *neighbours, const struct request_sink *sink, void *arg);
/* Who gives the command, and in which state of his connection; before request_run. */
void request_set_session(struct request *request, struct session *session);
/* More of what the command reads; length 0 ends it. May finish before the return. */
void request_input(struct request *request, const void *body, size_t length);
/* Decodes the body of an MGMT_COMMAND and begins. May finish before the return. */
void request_run(struct request *request, const void *body, size_t length);
/* The client has disposed of so many octets since the beginning. May finish before the return. */
void request_ack(struct request *request, uint64_t octets);
/* The client went away: `sink` is not used any more. */
void request_abandon(struct request *request);

/* The words of a command's body: each ends with a NUL, exactly `count` of them fill the text. 0 or -EBADMSG. */
int request_words(const char *text, size_t length, size_t count, struct span *words);
/* The client gives the command up, and waits for its end. May finish before the return. */
void request_stop(struct request *request);

/* For the commands. */

/* Asks a neighbour; `reply` is not called any more once the request is over. 0, or -errno and it will not be called. */
int request_fetch(struct request *request, enum neighbour which, unsigned type, const void *body,
	size_t length, unsigned tag, request_reply reply);
/* Something that is not a neighbour's reply is under way and will come back to the request: it lives until request_release, which is the last
 * thing that who held it does with it. */
void request_hold(struct request *request);
void request_release(struct request *request);
/* Ends the request; the caller touches it no more than to return. */
void request_finish(struct request *request, enum mgmt_exit exit);
void request_fail(struct request *request, enum mgmt_exit exit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* As request_fail, saying what the neighbour's -errno means. */
void request_fail_neighbour(struct request *request, enum neighbour which, int status);
/* One message for people, and the request goes on. */
void request_remark(struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
