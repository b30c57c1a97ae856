/* SPDX-License-Identifier: BSD-3-Clause */
/* A call whose sides have keys, what its peers say, and what comes out or does not. Include cmocka.h first. */
#ifndef TESTS_UNIT_DATAPLANE_SECRET_CALL_H
#define TESTS_UNIT_DATAPLANE_SECRET_CALL_H

#include "tests/unit/dataplane/secure.h"

enum { MTU = 1500, LONGEST = 2000 };

static const enum dp_srtp_suite SUITE = DP_SRTP_AES_CM_128_HMAC_SHA1_80;

/* A call whose side 0, side 1 or both have keys, and the other ends of these. */
struct secret {
	struct call call;
	struct srtp_context *sends[2], *gets[2]; /* of the peer on that side; NULL: plain */
	uint16_t sequence[2];
};

static inline void peer_set(struct secret *s, unsigned k)
{
	const struct dp_side_request *side = &s->call.q.stream[0].side[k];

	srtp_context_free(secure_store, s->sends[k]);
	srtp_context_free(secure_store, s->gets[k]);
	s->sends[k] = s->gets[k] = NULL;
	if (side->from.suite == DP_SRTP_NONE)
		return;
	s->sends[k] = secure_end(&side->from, SRTP_OUT);
	s->gets[k] = secure_end(&side->to, SRTP_IN);
}

static inline void secret_open(struct secret *s, const struct dp_session_request *q)
{
	*s = (struct secret){ .sequence = { 1000, 2000 } };
	secure_call(&s->call, q, 1);
	peer_set(s, 0);
	peer_set(s, 1);
}

static inline void secret_close(struct secret *s)
{
	for (unsigned k = 0; k < 2; k++) {
		srtp_context_free(secure_store, s->sends[k]);
		srtp_context_free(secure_store, s->gets[k]);
	}
	secure_over(&s->call);
}

static inline struct dp_session_request request_of(enum dp_srtp_suite near, enum dp_srtp_suite far)
{
	struct dp_session_request q = bed_request(A, 4000, B, 5000);

	if (near != DP_SRTP_NONE)
		secure_side(&q, 0, near, 0);
	if (far != DP_SRTP_NONE)
		secure_side(&q, 1, far, 0);
	return q;
}

static inline void send_octets(struct secret *s, unsigned k, unsigned component, const uint8_t *p, size_t n)
{
	const struct dp_address *a = &s->call.q.stream[0].side[k].rtp;
	char text[INET6_ADDRSTRLEN];

	(void)inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, text, sizeof(text));
	arrive(&s->call, k, text, (uint16_t)(a->port + component), component, p, n);
}

/* A packet of the peer on side `k`, ready to be sent. */
static inline size_t say(struct secret *s, unsigned k, uint8_t *p)
{
	size_t n = secure_rtp(p, s->sequence[k]++, 7 + k);

	return s->sends[k] != NULL ? secure_protect(s->sends[k], p, n, LONGEST, false) : n;
}

static inline void assert_silence(void)
{
	for (unsigned d = 0; d < WIRE_DEVICES; d++)
		assert_int_equal(wires[d].count, 0);
}

/* What went out on side `k` is that, for the peer there. */
static inline void assert_heard(struct secret *s, unsigned k, const uint8_t *clear, size_t n, bool is_rtcp)
{
	uint8_t got[LONGEST];
	size_t length = secure_sent(&s->call, k, got);

	if (s->gets[k] != NULL) {
		assert_true(length > n);
		length = secure_unprotect(s->gets[k], got, length, is_rtcp);
	}
	assert_int_equal(length, n);
	assert_memory_equal(got, clear, n);
}

/* One packet from side `k` arrives at the other as it was sent. */
static inline void speaks(struct secret *s, unsigned k)
{
	uint8_t clear[LONGEST], p[LONGEST];
	size_t n = secure_rtp(clear, s->sequence[k], 7 + k);
	size_t length = say(s, k, p);

	send_octets(s, k, 0, p, length);
	assert_heard(s, 1 - k, clear, n, false);
}

static inline void refused(struct secret *s, unsigned k, const uint8_t *p, size_t n, enum dp_counter counter)
{
	uint64_t before = secure_dropped(&s->call, counter);

	send_octets(s, k, 0, p, n);
	assert_silence();
	assert_int_equal(secure_dropped(&s->call, counter), before + 1);
}

static inline void update(struct secret *s)
{
	call_update(&s->call);
}

#endif
