/* SPDX-License-Identifier: BSD-3-Clause */
/* SRTP and SRTCP (RFC 3711, 6188, 7714): keys of one direction as a context, packets of many contexts in bursts. Why two paths:
 * decision 0070.
 *
 * The main thread makes and frees contexts; between that exactly one worker uses one. Nothing in the calls of a worker allocates,
 * locks, logs or calls the system. */
#ifndef DATAPLANE_SRTP_H
#define DATAPLANE_SRTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/api.h"

enum {
	SRTP_BURST = 64, /* jobs of one call at most */
	SRTP_SSRCS = 16, /* sources that a context knows at a time */
	SRTP_IDLE_SECONDS = 10, /* a source that was silent so long makes room for another */
	SRTP_GROWTH_MAX = 16 + DP_SRTP_MKI_MAX + 4, /* tag, MKI, index of SRTCP */
	SRTP_PREFETCH = 384, /* octets at a context's address that each packet touches */
};

enum srtp_direction {
	SRTP_IN, /* what a peer protects: unprotect */
	SRTP_OUT, /* what we protect */
};

enum srtp_result {
	SRTP_OK,
	SRTP_AUTH, /* fails its authentication, or is too short or malformed for it to be tried */
	SRTP_REPLAY, /* has come before or is older than the replay window; or comes from a source for which there is no room,
			so that nobody could tell */
	SRTP_KEY, /* the key has reached the end of its lifetime, has had SRTP_SSRCS sources to protect, or the MKI is another */
	SRTP_ROOM, /* what is protected would not fit into `room` */
};

struct srtp_store; /* memory of contexts: not in core dumps, cleared when it is given back */
struct srtp_engine; /* what one thread needs to encrypt */
struct srtp_context;

/* One RTP packet. `packet`: its first octet, `length` octets of it are there, in one piece; from `packet` on `room` octets may be
 * written. What protect and unprotect leave is in `length`. Unless the result is SRTP_OK, neither is changed. */
struct srtp_job {
	struct srtp_context *context;
	uint8_t *packet;
	uint16_t length, room;
	uint8_t result; /* enum srtp_result */
	uint8_t rekey; /* 1: nine tenths of the key's lifetime, or of its sources, are used */
	uint8_t reserved[2];
};

/* Once per process. libsrtp2 gets ciphers of ours, tested with vectors. 0, -ENOMEM, -ENOTSUP: this CPU has no AES instructions,
 * -EEXIST: is open, -EIO: a test failed. */
int srtp_open(uint32_t contexts_max, struct srtp_store **out);
/* All contexts are freed, engines may still be there. */
void srtp_close(struct srtp_store *s);

/* Main thread makes it, one thread uses it. NULL without memory. */
struct srtp_engine *srtp_engine_new(void);
void srtp_engine_free(struct srtp_engine *e);

/* `key->suite` is not DP_SRTP_NONE. Copies what it needs. 0, -ENOMEM: contexts_max are in use, -EINVAL: no such suite or MKI. */
int srtp_context_new(struct srtp_store *s, const struct dp_crypto *key, enum srtp_direction direction,
	struct srtp_context **out);
/* A context of SRTP_IN that no worker knows yet goes on where others of its key are, of whatever session, or were when they were freed
 * seconds ago: sources, rollover counters, replay windows of SRTP and SRTCP, packets of the key's lifetime. Workers may use those. */
void srtp_context_carry(const struct srtp_store *s, struct srtp_context *c);
/* Workers have forgotten it. Its memory is cleared. NULL is allowed. */
void srtp_context_free(struct srtp_store *s, struct srtp_context *c);
/* It was made from this: suite, master key and salt, MKI. Takes the same time whatever differs; the lifetime may differ (the first
 * one given holds). */
bool srtp_context_is(const struct srtp_context *c, const struct dp_crypto *key);
enum dp_srtp_suite srtp_context_suite(const struct srtp_context *c);
/* Octets that protecting adds. */
unsigned srtp_growth(const struct srtp_context *c, bool rtcp);
/* SRTP packets protected or found authentic with this key; any thread may ask. */
uint64_t srtp_context_packets(const struct srtp_context *c);

/* RTP packets of any contexts of direction SRTP_OUT (SRTP_IN), in order; n <= SRTP_BURST. A context may come more than once. The
 * header of what is to be protected is valid; of what arrives nothing is taken for granted. */
void srtp_protect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);
void srtp_unprotect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);
/* One RTCP packet (RFC 3711 section 3.4). The result is in `job` and returned. */
enum srtp_result srtp_rtcp_protect(struct srtp_engine *e, struct srtp_job *job);
enum srtp_result srtp_rtcp_unprotect(struct srtp_engine *e, struct srtp_job *job);

/* Ahead of a burst, if something else can be done meanwhile. Always inlined: as a function it would have no effect to the compiler. */
static inline __attribute__((always_inline)) void srtp_context_prefetch(const struct srtp_context *c)
{
	for (unsigned at = 0; at < SRTP_PREFETCH; at += 64)
		__builtin_prefetch((const char *)c + at, 1);
}

#endif
