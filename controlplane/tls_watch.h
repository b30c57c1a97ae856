/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads certificates again when their files change. On the main thread's loop. */
#ifndef CONTROLPLANE_TLS_WATCH_H
#define CONTROLPLANE_TLS_WATCH_H

#include <uv.h>

#include "controlplane/tls.h"

struct tls_watch;

/* Watches the directories of all files, so that a rename is seen, and looks at the files once a minute besides: not every file system
 * tells. `reloaded` is called after each look. 0 or -errno. */
int tls_watch_new(
	uv_loop_t *loop, struct tls *tls, void (*reloaded)(void *arg), void *arg, struct tls_watch **out);
/* The loop must run once more before its memory is gone. */
void tls_watch_free(struct tls_watch *watch);

/* Other files may be in use by now, with another configuration: their directories are watched, and no others; calls `reloaded`. NULL is fine. */
void tls_watch_settle(struct tls_watch *watch);
/* Looks now. */
void tls_watch_reload(struct tls_watch *watch, struct tls_reloaded *result);

#endif
