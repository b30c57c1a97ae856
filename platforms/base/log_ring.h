/* SPDX-License-Identifier: BSD-3-Clause */
/* The last lines of a process's log in a mapped file of bounded size. A line is the kernel's as soon as it is written: it outlives the process,
 * however that ends, and whoever may read the file reads it without asking. docs/decisions/0090-support-and-logs.md */
#ifndef PLATFORMS_BASE_LOG_RING_H
#define PLATFORMS_BASE_LOG_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platforms/base/log.h"

enum {
	LOG_RING_LINES = 2048,
	LOG_RING_TEXT_MAX = 1000, /* octets of one line; more is cut */
};

/* Maps `path` for writing: a file of ours is gone on with, anything else in its place is replaced. Its owner becomes `uid`, if that is another one (root's
 * right). From then on what is logged goes there too. Called once, before threads start. 0 or -errno. */
int log_ring_open(const char *path, uid_t uid, gid_t gid);
/* For log.c: any thread, and a forked child, without waiting. Nothing happens unless a file is open. `text`: printable, no line end. */
void log_ring_put(enum log_level level, struct span text);
bool log_ring_is_open(void);

struct log_ring_line {
	uint64_t number; /* from 1 on; gaps: torn by a death in the middle, or overwritten meanwhile */
	uint64_t wall_ms;
	enum log_level level;
	char text[LOG_RING_TEXT_MAX +
		  1]; /* "component: message key=value"; printable ASCII whatever is in the file */
};

/* All lines of a file, oldest first; *out is the caller's (free), NULL if there are none. 0, -ENOENT, -EBADMSG: not such a file, -errno. */
int log_ring_read(const char *path, struct log_ring_line **out, size_t *count);

#endif
