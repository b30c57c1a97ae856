/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to SRTP: what a context is made of. The compact record is all that a packet of path B touches: 384 octets, 1,088 with GCM.
 * The rest, and what libsrtp2 allocates for it, lies elsewhere. */
#ifndef DATAPLANE_SRTP_CONTEXT_H
#define DATAPLANE_SRTP_CONTEXT_H

#include "dataplane/packet.h"
#include "dataplane/srtp.h"
#include "dataplane/srtp_engine.h"
#include "dataplane/srtp_index.h"

enum {
	SALT = 16, /* of 14 octets (counter mode) or 12 (GCM), and zeros */
	FINGERPRINT = 32,
	PLUGIN_MEMORY = 1856, /* srtp_plugin.c */
	ARENA_MEMORY = 9472, /* srtp_arena.c: a session of libsrtp2 with SRTP_SSRCS + 1 streams */
};

enum context_flag {
	CONTEXT_OUT = 1, /* SRTP_OUT */
	CONTEXT_GCM = 2,
	CONTEXT_LIBRARY = 4, /* path A: libsrtp2 does RTP too */
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
	/* Whom libsrtp2 has streams for. */
	uint32_t stream[SRTP_SSRCS];
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

/* Nine tenths. */
static inline bool context_rekey(const struct srtp_context *c)
{
	return c->packets >= c->limit - c->limit / 10;
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
