/* SPDX-License-Identifier: BSD-3-Clause */
/* RTP and floods made by the kernel itself: an XDP program run over and over on pages of its own (BPF_F_TEST_XDP_LIVE_FRAMES),
 * which go straight into an interface; and what counts the RTP where it arrives. No system call, no copy, no reader: a core
 * offers millions of packets a second, and what a relay carries is the relay's figure. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "traffic.h"

#define WORDS   (TRAFFIC_FRAME / 8) /* whole ones */
#define SILENCE 0xd5d5d5d5d5d5d5d5ULL /* G.711 A-law */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct traffic_state);
} state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRAFFIC_FLOWS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct traffic_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRAFFIC_FLOOD_FRAMES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct traffic_flood_frame);
} flood SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, TRAFFIC_SIDES);
	__type(key, __u32);
	__type(value, __u32);
} sides SEC(".maps");

/* Of each side. One CPU counts: whichever sends to it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRAFFIC_SIDES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct traffic_received);
} received SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRAFFIC_BINS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} latencies SEC(".maps");

static __always_inline int send_rtp(struct traffic_state *s, __u8 *frame, __u64 now)
{
	__u32 number = s->flow;
	struct traffic_flow *f = bpf_map_lookup_elem(&flows, &number);

	if (f == NULL)
		return XDP_ABORTED;
	s->flow = number + 1 < s->flows ? number + 1 : 0;
	s->rtp_sent++;
	__u64 *word = (__u64 *)frame;
	__u16 sequence = bpf_htons(++f->sequence);
	__u32 timestamp = bpf_htonl(f->timestamp += 160);

	for (int i = 0; i < TRAFFIC_TIME / 8; i++)
		word[i] = f->head[i];
	word[TRAFFIC_TIME / 8] = now;
	word[TRAFFIC_TIME / 8 + 1] = ~now;
	for (int i = TRAFFIC_COMPLEMENTS / 8; i < WORDS; i++)
		word[i] = SILENCE;
	for (int i = WORDS * 8; i < TRAFFIC_FRAME; i++)
		frame[i] = 0xd5;
	*(__u16 *)(frame + TRAFFIC_HEADERS + 2) = sequence;
	*(__u32 *)(frame + TRAFFIC_HEADERS + 4) = timestamp;
	*(__u16 *)(frame + TRAFFIC_COMPLEMENTS) = ~sequence;
	*(__u32 *)(frame + TRAFFIC_COMPLEMENTS + 2) = ~timestamp;
	return bpf_redirect_map(&sides, f->side, 0);
}

static __always_inline void write_number(__u8 *frame, const __u8 *end, __u32 at, __u32 number)
{
	__u8 *digit = frame + (at & 0xff);

	if (at == 0 || digit + TRAFFIC_DIGITS > end)
		return;
	for (int i = 0; i < TRAFFIC_DIGITS; i++) {
		__u8 value = number >> 4 * (TRAFFIC_DIGITS - 1 - i) & 15;

		digit[i] = value < 10 ? '0' + value : 'a' + value - 10;
	}
}

/* From anywhere, or from one of so many sources, to the signalling port. The UDP checksum is left out (RFC 768). */
static __always_inline int send_flood(struct traffic_state *s, __u8 *frame, const __u8 *end)
{
	__u32 kind = s->flood_sent & (TRAFFIC_FLOOD_FRAMES - 1), random = bpf_get_prandom_u32();
	struct traffic_flood_frame *f = bpf_map_lookup_elem(&flood, &kind);

	if (f == NULL)
		return XDP_ABORTED;
	s->flood_sent++;
	for (int i = 0; i < WORDS; i++)
		((__u64 *)frame)[i] = f->word[i];
	for (int i = WORDS * 8; i < TRAFFIC_FRAME; i++)
		frame[i] = ((__u8 *)f->word)[i];
	/* 11.0.0.0 to 126.255.255.255 */
	__u8 first = 11 + ((random & 0xff) * 116 >> 8);
	__u32 source = (random & ~0xffU) | first;
	__u16 port = 1024 + (bpf_get_prandom_u32() & 0x7fff);

	if (s->flood_sources != 0) {
		__u32 number = random % s->flood_sources;

		source = bpf_htonl(0x14000001 + number * 251);
		port = 1024 + (number * 31 & 0x7fff);
		for (int i = 0; i < 2; i++) {
			write_number(frame, end, f->user_at[i], number);
			write_number(frame, end, f->any_at[i], random);
		}
	}
	__u32 sum = f->header_sum + (source & 0xffff) + (source >> 16);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*(__u16 *)(frame + 24) = ~sum;
	*(__u32 *)(frame + 26) = source;
	*(__u16 *)(frame + 34) = bpf_htons(port);
	return bpf_redirect_map(&sides, 0, 0);
}

static __always_inline __u64 advance(const struct traffic_state *s, __u64 next, __u64 gap, __u64 due)
{
	next += gap;
	return due > next + s->late ? due : next;
}

/* What is due now, if anything: RTP before the flood. */
SEC("xdp")
int send(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct traffic_state *s = bpf_map_lookup_elem(&state, &zero);
	__u8 *frame = (__u8 *)(long)ctx->data;
	__u64 now = bpf_ktime_get_ns();

	if (s == NULL || (void *)(frame + TRAFFIC_FRAME) > (void *)(long)ctx->data_end || s->stopped != 0)
		return XDP_DROP;
	if (s->began == 0)
		s->began = now;
	if (now - s->began >= s->length) {
		s->stopped = now;
		return XDP_DROP;
	}
	__u64 due = (now - s->began) << TRAFFIC_FRACTION;

	if (s->flows != 0 && due >= s->rtp_next) {
		s->rtp_next = advance(s, s->rtp_next, s->rtp_gap, due);
		return send_rtp(s, frame, now);
	}
	if (s->flood != 0 && due >= s->flood_next) {
		s->flood_next = advance(s, s->flood_next, s->flood_gap, due);
		return send_flood(s, frame, (const __u8 *)(long)ctx->data_end);
	}
	return XDP_DROP;
}

static __always_inline int receive(struct __sk_buff *skb, __u32 side)
{
	__u32 zero = 0;
	struct traffic_state *s = bpf_map_lookup_elem(&state, &zero);
	struct traffic_received *r = bpf_map_lookup_elem(&received, &side);
	__u8 loaded[TRAFFIC_TIME + 8];
	const __u8 *frame = (const __u8 *)(long)skb->data;

	if (s == NULL || r == NULL)
		return TC_ACT_OK;
	/* A packet socket's frames do not lie in one piece. */
	if (frame + sizeof(loaded) > (const __u8 *)(long)skb->data_end) {
		if (bpf_skb_load_bytes(skb, 0, loaded, sizeof(loaded)) != 0)
			return TC_ACT_OK;
		frame = loaded;
	}
	if (frame[12] != 8 || frame[13] != 0 || frame[23] != 17 || frame[TRAFFIC_HEADERS] >> 6 != 2)
		return TC_ACT_OK; /* no RTP in UDP in IPv4 */
	int verdict = s->delivered != 0 ? TC_ACT_OK : TC_ACT_SHOT;

	r->rtp++;
	if (s->stopped == 0)
		r->rtp_in_time++;
	if (s->stamped == 0)
		return verdict;
	__u64 latency = bpf_ktime_get_ns() - *(const __u64 *)(frame + TRAFFIC_TIME);
	__u32 bin = latency / TRAFFIC_BIN_NS < TRAFFIC_BINS ? latency / TRAFFIC_BIN_NS : TRAFFIC_BINS - 1;
	__u64 *count = bpf_map_lookup_elem(&latencies, &bin);

	if (count != NULL)
		__sync_fetch_and_add(count, 1);
	r->latency_ns_sum += latency;
	if (latency > r->latency_ns_max)
		r->latency_ns_max = latency;
	return verdict;
}

SEC("tc")
int receive_0(struct __sk_buff *skb)
{
	return receive(skb, 0);
}

SEC("tc")
int receive_1(struct __sk_buff *skb)
{
	return receive(skb, 1);
}

char licence[] SEC("license") = "Dual BSD/GPL";
