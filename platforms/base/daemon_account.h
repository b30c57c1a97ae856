/* SPDX-License-Identifier: BSD-3-Clause */
/* A system user by name, for the daemon's own files. */
#ifndef PLATFORMS_BASE_DAEMON_ACCOUNT_H
#define PLATFORMS_BASE_DAEMON_ACCOUNT_H

#include <sys/types.h>

/* 0, -ENOENT (no such user) or -errno. */
int daemon_account(const char *user, uid_t *uid, gid_t *gid);

#endif
