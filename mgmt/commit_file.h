/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: read whole, replaced whole. */
#ifndef MGMT_COMMIT_FILE_H
#define MGMT_COMMIT_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* *text (heap, NUL behind it) is the caller's. 0 or -errno. */
int commit_file_read(const char *path, char **text, size_t *length);
/* After a crash at any moment the file is the old one or the new one. A symbolic link stays one: what it leads to is replaced. Mode and group
 * stay. 0, or -errno with the reason, a sentence, in `why`. */
int commit_file_write(const char *path, const char *text, size_t length, char *why, size_t size);

#endif
