/* SPDX-License-Identifier: BSD-3-Clause */
/* Media of streams with keys: the packets of a burst go through together, in stages (decision 0071).
 *
 *   enter   could the source be the right one? keys found, their lines asked for
 *   unseal  what arrives protected is authenticated and decrypted, in one call for all
 *   take    in clear: source learnt, measured, RTCP rewritten; does it go anywhere?
 *   seal    what leaves is protected, in one call for all
 *   leave   new headers, transmit
 *
 * A packet is counted, learnt from and let through by what is in it only once it has been authenticated. */
#include <arpa/inet.h>

#include "dataplane/checksum.h"
#include "dataplane/flow_crypto.h"
#include "dataplane/relay.h"
#include "dataplane/srtp.h"

_Static_assert((int)BURST <= (int)SRTP_BURST, "a burst is one call");

enum { ALARM_INTERVAL_US = 1000000 /* the API promises at most one alarm a second */ };

struct secured {
	struct item *it;
	struct srtp_context *in, *old, *out; /* NULL: none */
	uint16_t in_number, out_number;
	uint16_t arrived, clear; /* octets of payload as it came, and in clear */
	uint8_t came, leaves; /* enum flow_component */
	bool rtcp, opens, closes;
};

static inline uint8_t *udp_of(const struct item *it)
{
	return rte_pktmbuf_mtod(it->m, uint8_t *) + it->p.udp;
}

static inline uint16_t room_of(const struct item *it)
{
	return (uint16_t)(it->m->buf_len - it->m->data_off - it->p.udp - UDP_HEADER);
}

static inline void job_fill(struct srtp_job *j, struct srtp_context *context, const struct item *it)
{
	*j = (struct srtp_job){ .context = context,
		.packet = udp_of(it) + UDP_HEADER,
		.length = it->p.payload,
		.room = room_of(it) };
}

/* RTP or RTCP as far as it can be told before it is decrypted; DTLS and STUN (RFC 7983) are neither. */
static bool looks_valid(const struct secured *s, const uint8_t *payload, size_t length)
{
	if (!s->opens)
		return s->rtcp ? rtcp_valid(payload, length) : rtp_valid(payload, length);
	return length >= (s->rtcp ? RTCP_HEADER : RTP_HEADER) && payload[0] >> 6 == 2 &&
	       (!s->rtcp || rtp_is_rtcp(payload, length));
}

/* The keys of now; numbers are read first, so that a number that is confirmed belongs to this key or to one before it. */
static void keys_load(struct secured *s, struct flow_crypto *c)
{
	s->in_number = atomic_load_explicit(&c->in_number, memory_order_acquire);
	s->out_number = atomic_load_explicit(&c->out_number, memory_order_acquire);
	s->in = atomic_load_explicit(&c->in, memory_order_acquire);
	s->old = c->confirmed == s->in_number ? NULL : atomic_load_explicit(&c->old, memory_order_acquire);
	s->out = atomic_load_explicit(&c->out, memory_order_acquire);
	if (s->in == NULL) { /* the session has just gone over to plain RTP, this packet has not */
		s->in = s->old;
		s->old = NULL;
	}
}

/* false: dropped. */
static bool enter(struct worker *w, struct item *it, struct secured *s)
{
	const struct flow_rule *r = it->rule;
	const uint8_t *payload = udp_of(it) + UDP_HEADER;
	bool valid;

	s->it = it;
	s->opens = (r->flags & RULE_SRTP_IN) != 0;
	s->closes = (r->flags & RULE_SRTP_OUT) != 0;
	s->arrived = it->p.payload;
	s->came = (uint8_t)media_component(it);
	s->rtcp = s->came == FLOW_RTCP || rtp_is_rtcp(payload, it->p.payload);
	s->leaves = s->rtcp && (r->flags & RULE_OUT_MUX) == 0 ? FLOW_RTCP : FLOW_RTP;
	valid = looks_valid(s, payload, it->p.payload);
	if (!media_may_send(w, it, (enum flow_component)s->came, valid))
		return false;
	if (!valid) {
		counter_add(&it->flow->malformed, 1);
		media_drop(w, it, DP_COUNTER_DROP_NOT_RTP);
		return false;
	}
	keys_load(s, r->crypto);
	if ((s->opens && s->in == NULL) || (s->closes && s->out == NULL)) {
		media_drop(w, it, DP_COUNTER_DROP_SRTP_KEY);
		return false;
	}
	if (s->opens)
		srtp_context_prefetch(s->in);
	if (s->closes)
		srtp_context_prefetch(s->out);
	return true;
}

static void refuse(struct worker *w, struct item *it, enum srtp_result result)
{
	struct flow_crypto *c = it->rule->crypto;

	if (result == SRTP_REPLAY) {
		counter_add(&c->replayed, 1);
		media_drop(w, it, DP_COUNTER_DROP_SRTP_REPLAY);
		return;
	}
	if (result != SRTP_AUTH) {
		media_drop(w, it, DP_COUNTER_DROP_SRTP_KEY);
		return;
	}
	counter_add(&c->auth_failed, 1);
	if (c->alarm_us == 0 || w->now_us - c->alarm_us >= ALARM_INTERVAL_US) {
		c->alarm_us = w->now_us;
		media_event(w, it, DP_EVENT_SRTP_ALARM, it->rule->side);
	}
	media_drop(w, it, DP_COUNTER_DROP_SRTP_AUTH);
}

/* Once for each key. */
static void warn(struct worker *w, const struct item *it, uint16_t number, uint16_t *warned, unsigned side)
{
	if (*warned == number)
		return;
	*warned = number;
	media_event(w, it, DP_EVENT_REKEY_NEEDED, side);
}

/* Of another key: the sender may not have changed over yet. Never again once it has. */
static void unseal_old(struct worker *w, const struct secured *s, struct srtp_job *j)
{
	bool other = j->result == SRTP_AUTH || j->result == SRTP_KEY;

	if (!other || s->old == NULL || s->it->rule->crypto->confirmed == s->in_number)
		return;
	j->context = s->old;
	if (s->rtcp)
		(void)srtp_rtcp_unprotect(w->srtp, j);
	else
		srtp_unprotect_burst(w->srtp, j, 1);
}

/* false: dropped. */
static bool unsealed(struct worker *w, const struct secured *s, struct srtp_job *j)
{
	struct flow_crypto *c = s->it->rule->crypto;

	if (unlikely(j->result != SRTP_OK))
		unseal_old(w, s, j);
	if (unlikely(j->result != SRTP_OK)) {
		refuse(w, s->it, (enum srtp_result)j->result);
		return false;
	}
	if (j->context == s->in) {
		if (unlikely(c->confirmed != s->in_number))
			c->confirmed = s->in_number;
		if (unlikely(j->rekey != 0))
			warn(w, s->it, s->in_number, &c->warned_in, s->it->rule->side);
	}
	s->it->p.payload = j->length;
	return true;
}

/* Returns how many are left, in order. */
static unsigned unseal(struct worker *w, struct secured *s, unsigned n)
{
	struct srtp_job jobs[BURST], rtcp;
	unsigned count = 0, left = 0, at = 0;

	for (unsigned i = 0; i < n; i++)
		if (s[i].opens && !s[i].rtcp)
			job_fill(&jobs[count++], s[i].in, s[i].it);
	if (count != 0)
		srtp_unprotect_burst(w->srtp, jobs, count);
	for (unsigned i = 0; i < n; i++) {
		struct srtp_job *j = &rtcp;

		if (s[i].opens && s[i].rtcp) {
			job_fill(j, s[i].in, s[i].it);
			(void)srtp_rtcp_unprotect(w->srtp, j);
		} else if (s[i].opens) {
			j = &jobs[at++];
		}
		if (!s[i].opens || unsealed(w, &s[i], j))
			s[left++] = s[i];
	}
	return left;
}

/* What is in clear now is treated as if it had come so. false: dropped. */
static bool take(struct worker *w, const struct secured *s)
{
	struct item *it = s->it;
	const uint8_t *payload = udp_of(it) + UDP_HEADER;
	unsigned growth = s->closes ? srtp_growth(s->out, s->rtcp) : 0;
	enum dp_counter drop;

	if (!media_sends(w, it, (enum flow_component)s->came, true) ||
		!media_count(w, it,
			s->rtcp ? rtcp_valid(payload, it->p.payload) : rtp_valid(payload, it->p.payload),
			s->rtcp, s->arrived))
		return false;
	drop = media_stopped(w, it, (enum flow_component)s->leaves, growth);
	if (drop != 0)
		media_stop(w, it, s->rtcp, drop);
	return drop == 0;
}

/* false: dropped. */
static bool sealed(struct worker *w, const struct secured *s, const struct srtp_job *j)
{
	static const enum dp_counter drops[] = { [SRTP_AUTH] = DP_COUNTER_DROP_MALFORMED,
		[SRTP_REPLAY] = DP_COUNTER_DROP_SRTP_REPLAY,
		[SRTP_KEY] = DP_COUNTER_DROP_SRTP_KEY,
		[SRTP_ROOM] = DP_COUNTER_DROP_TOO_BIG };

	if (unlikely(j->rekey != 0))
		warn(w, s->it, s->out_number, &s->it->rule->crypto->warned_out, 1 - s->it->rule->side);
	if (unlikely(j->result != SRTP_OK)) {
		media_stop(w, s->it, s->rtcp, drops[j->result]);
		return false;
	}
	s->it->p.payload = j->length;
	return true;
}

/* The datagram as it is now. What was authenticated is right, and summed anew; of what came in clear the sum is carried on, so that
 * an error of the sender or of the path is still one for the receiver. `old`: sum of that payload. */
static void settle(const struct secured *s, uint64_t old)
{
	const struct packet *p = &s->it->p;
	uint8_t *udp = udp_of(s->it);
	uint16_t now = htons((uint16_t)(p->payload + UDP_HEADER)), checksum = load_u16(udp + 6);
	uint64_t sum = checksum_sum(udp + UDP_HEADER, p->payload) + 2ULL * now;

	if (s->opens) {
		checksum =
			(uint16_t)~checksum_fold(sum + checksum_host(&p->source) + checksum_host(&p->dest) +
						 htons(IPPROTO_UDP) + p->source_port + p->dest_port);
		if (checksum == 0)
			checksum = 0xffff;
	} else if (checksum != 0) {
		checksum =
			checksum_update(checksum, old + 2ULL * htons((uint16_t)(s->clear + UDP_HEADER)), sum);
	}
	store_u16(udp + 4, now);
	store_u16(udp + 6, checksum);
}

static void seal_and_leave(struct worker *w, struct burst *b, struct secured *s, unsigned n)
{
	struct srtp_job jobs[BURST], rtcp;
	uint64_t sums[BURST];
	unsigned count = 0, at = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct packet *p = &s[i].it->p;

		s[i].clear = p->payload;
		sums[i] = s[i].opens ? 0 : checksum_sum(udp_of(s[i].it) + UDP_HEADER, p->payload);
		if (s[i].closes && !s[i].rtcp)
			job_fill(&jobs[count++], s[i].out, s[i].it);
	}
	if (count != 0)
		srtp_protect_burst(w->srtp, jobs, count);
	for (unsigned i = 0; i < n; i++) {
		struct srtp_job *j = &rtcp;

		if (s[i].closes && s[i].rtcp) {
			job_fill(j, s[i].out, s[i].it);
			(void)srtp_rtcp_protect(w->srtp, j);
		} else if (s[i].closes) {
			j = &jobs[at++];
		}
		if (s[i].closes && !sealed(w, &s[i], j))
			continue;
		settle(&s[i], sums[i]);
		media_send(w, b, s[i].it, (enum flow_component)s[i].leaves, s[i].rtcp);
	}
}

void relay_secured(struct worker *w, struct burst *b)
{
	struct secured s[BURST];
	unsigned n = 0, left = 0;

	for (unsigned i = 0; i < b->secured_count; i++)
		n += enter(w, b->secured[i], &s[n]);
	b->secured_count = 0;
	n = unseal(w, s, n);
	for (unsigned i = 0; i < n; i++)
		if (take(w, &s[i]))
			s[left++] = s[i];
	seal_and_leave(w, b, s, left);
}
