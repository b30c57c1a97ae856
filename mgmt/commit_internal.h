/* SPDX-License-Identifier: BSD-3-Clause */
/* The state behind commits, for commit.c and commit_settle.c. */
#ifndef MGMT_COMMIT_INTERNAL_H
#define MGMT_COMMIT_INTERNAL_H

#include "mgmt/commit.h"

struct order;
struct push;

/* What is known of a neighbour's configuration. */
struct neighbour_state {
	struct commits *commits;
	enum neighbour which;
	bool agrees, started_known;
	bool refused; /* what is in force, the last time it was asked */
	struct config_digest started;
	bool asking; /* a request of ours about it is under way */
	bool again; /* to be asked once more when that has come back */
	struct push *push;
};

struct commits {
	char *file;
	struct mgmt_store *store;
	const struct neighbours *neighbours;
	struct commits_events events;
	void *arg;
	struct config_document *running;
	char *text;
	size_t length;
	struct config_digest digest;
	struct config_digest started; /* what was in force when this process started */
	uint64_t revision;
	struct order *order; /* NULL: none is under way */
	struct neighbour_state neighbour[NEIGHBOUR_COUNT];
	uint64_t confirm_number, confirm_deadline; /* 0: nothing is to be confirmed */
	uv_timer_t timer;
	bool closing;
	unsigned references; /* requests whose replies will touch this */
};

/* A reply that was under way has come, or never will. */
void commits_unref(struct commits *commits);
/* Sets the timer for what is due next. */
void commits_watch(struct commits *commits);

#endif
