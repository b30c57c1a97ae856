/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to SRTP: what a context is made of. The compact record is all that a packet of path B touches: 384 octets, 1,088 with GCM.
 * The rest, and what libsrtp2 allocates for it, lies elsewhere. */
#ifndef DATAPLANE_SRTP_CONTEXT_H
#define DATAPLANE_SRTP_CONTEXT_H

#include <stdatomic.h>
#include <time.h>

#include "dataplane/packet.h"
#include "dataplane/srtp.h"
#include "dataplane/srtp_engine.h"
#include "dataplane/srtp_index.h"

enum {
	SALT = 16, /* of 14 octets (counter mode) or 12 (GCM), and zeros */
	FINGERPRINT = 32,
	PLUGIN_MEMORY = 1856, /* srtp_plugin.c */
	ARENA_MEMORY = 9280, /* srtp_arena.c: a session of libsrtp2 with SRTP_SSRCS + 1 streams */
};

enum context_flag {
	CONTEXT_OUT = 1, /* SRTP_OUT */
	CONTEXT_GCM = 2,
	CONTEXT_LIBRARY = 4, /* path A: libsrtp2 does RTP too */
	CONTEXT_LONG = 8, /* keys of 256 bits */
	CONTEXT_MKI = 16, /* packets have an MKI */
};

/* SRTCP of one source (RFC 3711 section 3.4): its index is in each packet, and not libsrtp2's to tell. */
struct srtp_reports {
	uint32_t ssrc; /* as in the packet */
	uint32_t index; /* highest there was */
	uint64_t window; /* bit n: index - n has been; 0: there was none yet */
};

/* What is needed for RTCP, for other sources, and by path A. owner: worker, but where it says otherwise */
struct srtp_cold {
	void *session; /* libsrtp2's; constant */
	struct srtp_context *context; /* constant */
	uint8_t fingerprint[FINGERPRINT]; /* of the master key; constant */
	uint8_t mki[DP_SRTP_MKI_MAX]; /* constant, as the next two */
	uint8_t mki_length;
	uint8_t rtcp_tag;
	uint8_t source_count, stream_count;
	uint32_t reserved;
	uint64_t used_us[SRTP_SSRCS]; /* when the context's record went on to another source */
	struct srtp_source source[SRTP_SSRCS]; /* of the one in the record its slot alone is valid */
	/* Whom libsrtp2 has streams for, or may have; those who report, and how far they have come. */
	struct srtp_reports stream[SRTP_SSRCS];
	uint64_t stream_used_us[SRTP_SSRCS];
	uint32_t reports; /* SRTCP packets */
	uint32_t reserved2;
	uint8_t plugin[PLUGIN_MEMORY] __attribute__((aligned(64)));
	uint8_t arena[ARENA_MEMORY] __attribute__((aligned(16)));
};

/* A context of counter mode has no more memory than `cm` needs. */
struct srtp_context {
	struct srtp_source source; /* the last packet's; owner: worker */
	uint64_t packets; /* owner: worker; others read it */
	uint64_t limit; /* of packets; this and what follows is constant */
	uint8_t suite; /* enum dp_srtp_suite */
	uint8_t flags; /* enum context_flag */
	uint8_t salt[14];
	union {
		struct {
			struct engine_cm_keys keys;
			struct srtp_cold *cold;
			uint8_t slot; /* of `source` among the cold ones; owner: worker */
		} cm;
		struct {
			struct engine_gcm_keys keys;
			struct srtp_cold *cold;
			uint8_t slot;
		} gcm;
	};
};

/* By suite. */
struct srtp_suite {
	uint8_t key, salt; /* octets of the master key and salt; session keys are as long */
	uint8_t tag, rtcp_tag;
	bool gcm;
};

extern const struct srtp_suite srtp_suites[DP_SRTP_SUITE_COUNT];

static inline struct srtp_cold *context_cold(const struct srtp_context *c)
{
	return (c->flags & CONTEXT_GCM) != 0 ? c->gcm.cold : c->cm.cold;
}

static inline uint8_t *context_slot(struct srtp_context *c)
{
	return (c->flags & CONTEXT_GCM) != 0 ? &c->gcm.slot : &c->cm.slot;
}

/* Around what a worker changes of the sources of SRTP_IN: whoever reads them beside it reads again if the version is odd, or has
 * changed meanwhile. */
static inline void context_change_begin(struct srtp_context *c)
{
	__atomic_store_n(&c->source.version, (uint16_t)(c->source.version + 1), __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_release);
}

static inline void context_change_end(struct srtp_context *c)
{
	__atomic_store_n(&c->source.version, (uint16_t)(c->source.version + 1), __ATOMIC_RELEASE);
}

static inline uint64_t coarse_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t); /* reads memory */
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Nine tenths. A limit has 48 bits. */
static inline bool context_rekey(const struct srtp_context *c)
{
	return c->packets * 10 >= c->limit * 9;
}

/* RTP: header, CSRC list and extension; 0: they are not all there. */
static inline uint32_t rtp_header_length(const uint8_t *packet, uint32_t length)
{
	uint32_t n = 12 + 4U * (packet[0] & 0x0f);

	if ((packet[0] & 0x10) == 0)
		return n <= length ? n : 0;
	if (n + 4 > length)
		return 0;
	n += 4 + 4U * (uint32_t)(packet[n + 2] << 8 | packet[n + 3]);
	return n <= length ? n : 0;
}

#endif
