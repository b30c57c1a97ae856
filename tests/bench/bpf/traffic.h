/* SPDX-License-Identifier: BSD-3-Clause */
/* What bpf/traffic.c (in the kernel) and traffic.c (which loads it) have in common. */
#ifndef TESTS_BENCH_BPF_TRAFFIC_H
#define TESTS_BENCH_BPF_TRAFFIC_H

#include <linux/types.h>

enum {
	TRAFFIC_HEADERS = 42, /* Ethernet, IPv4, UDP */
	TRAFFIC_RTP = 12, /* RFC 3550 section 5.1 */
	TRAFFIC_PAYLOAD = 172, /* of UDP: RTP and 20 ms of G.711 */
	TRAFFIC_FRAME = TRAFFIC_HEADERS + TRAFFIC_PAYLOAD,
	TRAFFIC_TIME = 56, /* where a frame says when it was sent, and behind it the complement of that */
	TRAFFIC_COMPLEMENTS =
		TRAFFIC_TIME + 16, /* of sequence number and timestamp: the checksum never changes */
	TRAFFIC_FLOWS_MAX = 131072,
	TRAFFIC_SIDES = 2,
	TRAFFIC_FLOOD_FRAMES = 2,
	TRAFFIC_DIGITS = 4, /* of one, hexadecimal */
	TRAFFIC_BIN_NS = 100, /* of the histogram of latencies */
	TRAFFIC_BINS = 200000,
	TRAFFIC_PORT_SIP = 5060,
	TRAFFIC_FRACTION = 10, /* bits behind the point of a nanosecond */
};

/* A cache line: what begins each packet, and what changes from one to the next. */
struct traffic_flow {
	__u64 head[TRAFFIC_TIME / 8];
	__u32 timestamp;
	__u16 sequence;
	__u16 side; /* it leaves by */
};

struct traffic_flood_frame {
	__u64 word[(TRAFFIC_FRAME + 7) / 8];
	__u32 header_sum; /* of the IP header with source 0 */
	__u16 user_at[2],
		any_at[2]; /* where in the frame the source's number stands, and one that is never the same; 0: nowhere */
	__u32 reserved;
};

/* Times of the schedules: nanoseconds << TRAFFIC_FRACTION since `began`. */
struct traffic_state {
	__u64 length; /* ns */
	__u64 began; /* ns: when the first packet could be sent; 0 before */
	__u64 rtp_gap, rtp_next; /* gap 0: whenever there is room */
	__u64 flood_gap, flood_next;
	__u64 late; /* who is this much behind a schedule gives that part up, as phones would: no burst makes up for it */
	__u32 flows, flow;
	__u32 flood, stamped; /* is there one; latencies are wanted */
	__u32 delivered; /* what is counted goes on to a socket */
	__u32 flood_sources; /* 0: any address and port; else so many, each with a port of its own */
	__u64 rtp_sent, flood_sent, stopped; /* stopped: ns when all was done */
};

struct traffic_received {
	__u64 rtp, rtp_in_time, latency_ns_sum, latency_ns_max; /* in time: while more were sent */
};

#endif
