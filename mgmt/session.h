/* SPDX-License-Identifier: BSD-3-Clause */
/* What belongs to one connection: who is at its other end, and the candidate he edits. owner: the main loop */
#ifndef MGMT_SESSION_H
#define MGMT_SESSION_H

#include "config/document.h"
#include "config/transaction.h"
#include "mgmt/api.h"

struct commits;
struct counter_marks;
struct mgmt_store;
struct watch;

/* What commands about the configuration work on. Borrowed; a member may be NULL (tests). */
struct session_world {
	struct commits *commits;
	struct mgmt_store *store;
	const struct watch *watch; /* alarms of this process */
	/* The configuration in force, for users and roles. */
	const struct config *const *config;
	struct session **sessions; /* head of the list of all; NULL: none is kept */
	struct counter_marks *marks; /* what `clear counters` remembers */
};

struct session {
	const struct session_world *world;
	char user[MGMT_USER_MAX], from[MGMT_USER_MAX];
	enum config_role role;
	bool logged_in;
	uint64_t since_wall_ms, active_ms; /* begun; last command, clock_now_ms */
	struct session *next; /* of all */
	struct config_document *candidate; /* NULL: nothing is edited */
	struct config_digest base; /* what it was made from */
	struct span edit[CONFIG_PATH_WORDS_MAX]; /* words that every path begins with; heap */
	size_t edit_words;
};

/* `uid`: of the process at the other end, UINT32_MAX: not known. NULL without memory. */
struct session *session_new(const struct session_world *world, uint32_t uid);
void session_free(struct session *session);
/* -EPERM: not from this process, or too late; -ENOENT: no such user. */
int session_login(struct session *session, uint32_t uid, const struct mgmt_login *login);
/* Its user has given a command. */
void session_touch(struct session *session);
const char *session_role_name(enum config_role role); /* "operator" */

/* The candidate, made from what is in force if there is none. NULL without memory. */
struct config_document *session_candidate(struct session *session);
/* What is edited is given up; the next candidate is made from what is in force. */
void session_discard(struct session *session);
/* The candidate becomes `document`, which is taken over. */
void session_replace(struct session *session, struct config_document *document);
/* 0 or -ENOMEM. */
int session_edit(struct session *session, const struct span *words, size_t count);

#endif
