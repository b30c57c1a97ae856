/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to SRTP: libsrtp2 with ciphers and memory of ours (path A). */
#ifndef DATAPLANE_SRTP_PLUGIN_H
#define DATAPLANE_SRTP_PLUGIN_H

#include "dataplane/srtp_context.h"

/* For whom this thread calls libsrtp2 now: what it allocates and encrypts goes there. `cold` NULL: for none of ours. */
struct plugin_call {
	struct srtp_engine *engine;
	struct srtp_cold *cold;
};

extern _Thread_local struct plugin_call plugin_call;

/* Takes the place of libsrtp2's own ciphers, which test ours with vectors. plugin_call is set. 0 or -EIO. */
int plugin_install(void);

/* srtp_arena.c: contexts' memory begins at `first`. */
void arena_region(struct srtp_cold *first, uint32_t count);
/* Empty, before libsrtp2 allocates in it. */
void arena_init(struct srtp_cold *cold);
/* All that is in use, for tests and for checks. */
size_t arena_used(const struct srtp_cold *cold);

/* srtp_session.c: libsrtp2 with our ciphers, which are tested in the memory of `cold`. 0 or -EIO. */
int library_init(struct srtp_engine *e, struct srtp_cold *cold);
void library_fini(void);
/* libsrtp2's session, made of a master key. It leaves the session keys in the context. 0, -ENOMEM, -EINVAL. */
int session_open(struct srtp_engine *e, struct srtp_cold *cold, const struct dp_crypto *key);
void session_close(struct srtp_engine *e, struct srtp_cold *cold);
/* RTP on path A. */
void session_protect(struct srtp_engine *e, struct srtp_job *job);
void session_unprotect(struct srtp_engine *e, struct srtp_job *job);

#endif
