/* SPDX-License-Identifier: BSD-3-Clause */
/* What may be fetched from this box: /records has a file for each day in each form, made when it is read; /captures is a directory of the disk. Nothing else is
 * there, whatever a path says: it is resolved here, and what is below /captures by the kernel, beneath that directory and through no link. */
#ifndef MGMT_EXPORT_TREE_H
#define MGMT_EXPORT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platforms/base/span.h"

enum { EXPORT_PATH_MAX = 1024, EXPORT_NAME_MAX = 256 };

struct export_tree {
	int captures; /* descriptor of the directory; -1: there is none */
	uint64_t now_s; /* wall time: what is today */
	/* Records of calls as text to be read from a descriptor, forwards: those that began in that day ("2026-11-21", the next one) as
	 * "csv" or "json". The descriptor or -errno; *child: who writes it, to be waited for, his status tells whether that was all; -1: nobody. */
	int (*records)(void *arg, const char *format, const char *since, const char *until, pid_t *child);
	void *arg;
};

enum export_kind { EXPORT_DIRECTORY, EXPORT_FILE, EXPORT_STREAM };

struct export_facts {
	enum export_kind kind;
	uint64_t size; /* of a file; a stream's is not known */
	uint64_t mtime_s;
};

/* "/captures/a.pcapng" of any way to write that: "." and ".." and doubled slashes are gone, and nothing is above "/". 0, or -ENAMETOOLONG, -EINVAL (a NUL). */
int export_path(struct span written, char out[EXPORT_PATH_MAX]);

/* `path` as export_path makes them. 0, -ENOENT, -EACCES (it is neither a directory nor a plain file) or -errno. */
int export_look(const struct export_tree *tree, const char *path, struct export_facts *facts);

/* Of something open. */
struct export_file;
int export_open(const struct export_tree *tree, const char *path, struct export_file **out);
void export_close(struct export_file *file); /* NULL is fine */
void export_file_facts(const struct export_file *file, struct export_facts *facts);
/* Octets read, 0 at the end, -ESPIPE: a stream goes forwards, -EISDIR, -errno. Less than `length` only at the end. */
ssize_t export_read(struct export_file *file, uint64_t offset, void *out, size_t length);
/* The next name of a directory. 1; 0: that was all; -ENOTDIR. */
int export_next(struct export_file *file, char name[EXPORT_NAME_MAX], struct export_facts *facts);

#endif
