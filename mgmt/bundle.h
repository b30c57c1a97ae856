/* SPDX-License-Identifier: BSD-3-Clause */
/* A compressed tar archive on its way out: files with a name and contents in memory, one after the other. */
#ifndef MGMT_BUNDLE_H
#define MGMT_BUNDLE_H

#include <stddef.h>

struct bundle;

/* Writes to `fd`. NULL without memory. */
struct bundle *bundle_open(int fd);
/* A file below the archive's one directory. 0, or -EIO: its reader has gone; nothing more is written. */
int bundle_add(struct bundle *bundle, const char *name, const void *contents, size_t length);
/* Ends the archive and frees it. 0 or -EIO. */
int bundle_close(struct bundle *bundle);

#endif
