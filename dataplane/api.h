/* SPDX-License-Identifier: BSD-3-Clause */
/* The dataplane's one door: the messages on RUN-DIRECTORY/dataplane.sock (framing: platforms/base/ipc.h).
 *
 * Fixed layout, native byte order, every struct a multiple of 8 bytes. A request carries a sequence number which its reply
 * repeats; replies may come in any order. The reply's frame status is 0 or -errno; on an error the body is empty or a text.
 * The dataplane owns local ports and session numbers; the control plane owns what a session means (its blob). */
#ifndef DATAPLANE_API_H
#define DATAPLANE_API_H

#include <stdint.h>

enum {
	DP_API_VERSION = 3,
	DP_STREAMS_MAX = 8, /* media streams ("m=" lines relayed) of a session */
	DP_BLOB_MAX = 4096, /* bytes the control plane may store with a session */
	DP_NAME_MAX = 64, /* a configuration name and NUL */
	DP_OWNERS_MAX = 64, /* control-plane shards */
	DP_SAMPLE_MAX = 512, /* octets of a dropped packet that a sample carries */
	DP_BATCH_MAX = 256, /* bans or trusts in one message */
	DP_TOP_MAX = 64, /* sources in one answer */
	DP_SRTP_KEY_MAX = 48, /* master key and master salt: 46 octets at most, rounded up */
	DP_SRTP_MKI_MAX = 16,
};

enum dp_message {
	DP_SUBSCRIBE = 1, /* dp_subscribe -> empty: events of this owner's sessions come on this connection */
	DP_SESSION_CREATE = 2, /* dp_session_request + blob -> dp_session_reply */
	DP_SESSION_UPDATE = 3, /* dp_session_request + blob -> dp_session_reply */
	DP_SESSION_DELETE = 4, /* dp_session_id -> dp_session_info (final counters) */
	DP_SESSION_GET = 5, /* dp_session_id -> dp_session_info + blob */
	DP_SESSION_LIST = 6, /* dp_list_request -> dp_list_reply + entries */
	DP_BLOB_SET = 7, /* dp_session_id + blob -> empty */
	DP_STATS = 8, /* empty -> dp_stats */
	DP_INTERFACES = 9, /* empty -> dp_interface[] */
	DP_BAN_SET = 10, /* dp_ban[1..DP_BATCH_MAX] -> dp_done. A ban that is there already is replaced */
	DP_BAN_CLEAR = 11, /* dp_source_key[1..DP_BATCH_MAX] -> dp_done */
	DP_BAN_LIST = 12, /* dp_table_request -> dp_table_reply + dp_ban[] */
	DP_TRUST_SET = 13, /* dp_trust[1..DP_BATCH_MAX] -> dp_done */
	DP_TRUST_CLEAR = 14, /* dp_source_key[1..DP_BATCH_MAX] -> dp_done */
	DP_TRUST_LIST = 15, /* dp_table_request -> dp_table_reply + dp_trust[] */
	DP_FLOW_LIST = 16, /* dp_flow_request -> dp_flow_reply + dp_flow[] */
	DP_REALMS = 17, /* dp_page_request -> dp_table_reply + dp_realm[] */
	DP_TOP_SOURCES = 18, /* dp_top_request -> dp_source[], most packets first */
	DP_REPLY = 0x4000, /* added to the request's number */
	DP_EVENT_LATCHED = 0x100, /* dp_event */
	DP_EVENT_MEDIA_SILENT = 0x101, /* dp_event: no valid packet for idle-timeout / initial-timeout */
	DP_EVENT_SOURCE_ALARM =
		0x102, /* dp_event: packets from a wrong source began to arrive (at most one a second) */
	DP_EVENT_DROP_SAMPLE =
		0x103, /* dp_sample + octets: one of the packets dropped, to who asked for them */
	DP_EVENT_SRTP_ALARM =
		0x104, /* dp_event: packets of this side fail SRTP's authentication (at most one a second; not for the first few
			  of a side that has not used its key yet: some open the path in clear) */
	DP_EVENT_REKEY_NEEDED =
		0x105, /* dp_event: nine tenths of the lifetime of a key of this side are used (once per key) */
};

struct dp_subscribe {
	uint32_t
		owner; /* < DP_OWNERS_MAX; the newest subscriber of an owner gets its events. UINT32_MAX: no session's */
	uint32_t flags; /* enum dp_subscribe_flag */
};

enum dp_subscribe_flag {
	DP_SUBSCRIBE_SAMPLES = 1, /* DP_EVENT_DROP_SAMPLE too: to the newest who asked for it */
};

struct dp_session_id {
	uint64_t session; /* never 0; not reused within a boot generation */
};

struct dp_address {
	uint8_t ip[16]; /* IPv4 in the first four bytes */
	uint16_t port; /* host order */
	uint8_t family; /* 0 none, 4, 6 */
	uint8_t reserved[5];
};

enum dp_media_kind {
	DP_MEDIA_NONE = 0, /* no stream at this index (any more): its ports are given back */
	DP_MEDIA_RTP = 1, /* RTP and RTCP; validated and measured */
	DP_MEDIA_OTHER = 2, /* UDPTL and other UDP: relayed untouched, one port */
};

enum dp_latching {
	DP_LATCHING_FIXED = 0, /* only the signalled address and port may send */
	DP_LATCHING_LATCH =
		1, /* the first valid packet from the signalled or the signalling address; then locked */
	DP_LATCHING_RELATCH =
		2, /* the same, once more after each update and each silence of relatch-silence */
};

enum dp_side_flag {
	DP_SIDE_RTCP_MUX = 1, /* RFC 5761: RTCP on the RTP port */
	DP_SIDE_MUTED =
		2, /* this side has to receive nothing (it said inactive, sendonly or c=0.0.0.0, or is not known yet) */
	DP_SIDE_QUIET = 4, /* this side is not expected to send (on hold): no silence events for it */
};

enum dp_srtp_suite { /* RFC 4568 section 6.2, RFC 6188, RFC 7714 */
	DP_SRTP_NONE = 0, /* plain RTP */
	DP_SRTP_AES_CM_128_HMAC_SHA1_80 = 1, /* key 16, salt 14 octets */
	DP_SRTP_AES_CM_128_HMAC_SHA1_32 = 2,
	DP_SRTP_AES_256_CM_HMAC_SHA1_80 = 3, /* key 32, salt 14 */
	DP_SRTP_AES_256_CM_HMAC_SHA1_32 = 4,
	DP_SRTP_AEAD_AES_128_GCM = 5, /* key 16, salt 12 */
	DP_SRTP_AEAD_AES_256_GCM = 6, /* key 32, salt 12 */
	DP_SRTP_SUITE_COUNT
};

/* The master key of one direction (RFC 3711 section 8.2). An update that repeats it goes on where it was: rollover counter,
 * replay window and packet count stay, whatever else has changed (addresses, hold, port). With another key they begin anew; what
 * arrives is then tried with the new key first and, until a packet of the new one has been authenticated, with the old one. */
struct dp_crypto {
	uint8_t suite; /* enum dp_srtp_suite */
	uint8_t mki_length; /* 0 = none, <= DP_SRTP_MKI_MAX */
	uint8_t reserved[6];
	uint64_t lifetime; /* SRTP packets it may protect; 0 = as many as RFC 3711 section 9.2 allows */
	uint8_t key[DP_SRTP_KEY_MAX]; /* master key, right behind it the master salt; the rest 0 */
	uint8_t mki[DP_SRTP_MKI_MAX];
};

/* One side of a stream: what the peer on that side signalled. */
struct dp_side_request {
	char realm[DP_NAME_MAX]; /* whose steering pool gives our address and ports */
	uint8_t family; /* 4 or 6: of our address on this side */
	uint8_t latching; /* enum dp_latching */
	uint8_t flags; /* enum dp_side_flag */
	uint8_t telephone_event; /* payload type of RFC 4733 events in what this side sends; 0 = none */
	uint32_t
		rate_limit; /* kbit/s, IP headers included, that this side may send (RTP and RTCP); 0 = the realm's */
	struct dp_address rtp; /* where it wants its media; family 0 = not known yet */
	struct dp_address rtcp; /* family 0 = RTP's address, port + 1 */
	struct dp_address
		signalling; /* source of its signalling: accepted for latching too; port ignored; family 0 = none. If it is
			       another host than `rtp`, this side receives nothing before it has latched */
	/* DP_MEDIA_RTP only. Both or neither: plain RTP that arrives where `from` has a suite is never relayed, and nothing leaves in
	 * clear where `to` has one. Neither is ever told to anybody again: replies name suites only. */
	struct dp_crypto from; /* what this side protects with */
	struct dp_crypto to; /* what we protect with for it */
};

struct dp_stream_request {
	uint8_t kind; /* enum dp_media_kind */
	uint8_t reserved[7];
	struct dp_side_request side[2];
};

/* Create and update are whole states, not differences: update keeps the ports of a stream whose realm and family stay,
 * allocates for those that are new, frees those that went. A changed remote address arms the latch again.
 * All or nothing: on an error nothing has changed (-ENOENT realm or session, -EADDRNOTAVAIL no address of that family,
 * -ENOSPC pool or table full, -EINVAL). */
struct dp_session_request {
	uint64_t session; /* 0 in create */
	uint32_t owner;
	uint16_t blob_length; /* bytes behind the struct; in update 0 leaves the blob as it is */
	uint8_t streams; /* <= DP_STREAMS_MAX */
	uint8_t reserved;
	struct dp_stream_request stream[DP_STREAMS_MAX];
};

struct dp_session_reply {
	uint64_t session;
	/* our address and RTP port per stream and side; RTCP is port + 1. family 0: no such stream */
	struct dp_address local[DP_STREAMS_MAX][2];
};

/* What arrived from one side on one stream, measured without RTCP (RFC 3550 appendix A). Times: microseconds since the
 * session was created; 0 = never. What is policed has arrived: it is in `packets`, not in `relayed`, and not lost. */
struct dp_counters {
	uint64_t packets, octets; /* valid RTP (or OTHER) from the accepted source; octets of UDP payload */
	uint64_t relayed; /* of these, sent on to the other side */
	uint64_t lost, duplicate, reordered;
	uint64_t wrong_source, malformed, policed, no_next_hop;
	uint64_t rtcp_packets;
	uint64_t srtp_auth_failed, srtp_replayed;
	uint64_t events; /* RFC 4733 events that began (digits; which ones is not kept) */
	uint64_t first_us, last_us;
	uint32_t jitter_us; /* interarrival jitter at the end, RFC 3550 section 6.4.1 */
	uint32_t jitter_max_us;
	uint32_t longest_gap_ms; /* between two packets */
	uint32_t ssrc, ssrc_changes;
	uint8_t payload_type;
	uint8_t latched; /* 1: `source` is a latched address */
	/* From this side's RTCP report blocks (RFC 3550 section 6.4), about what we send to it: */
	uint8_t far_lost_fraction; /* of 256, in the last report */
	uint8_t far_reported; /* 1: there was a report */
	uint32_t far_lost; /* cumulative, as it says; negative ones are 0 */
	uint32_t far_jitter_us; /* 0 where the clock is not known */
	uint32_t round_trip_us, round_trip_max_us; /* between us and that peer; 0 = never measured */
	struct dp_address source; /* where its media comes from now */
};

struct dp_stream_info {
	uint8_t kind;
	uint8_t suite_from[2], suite_to[2]; /* enum dp_srtp_suite by side */
	uint8_t reserved[3];
	struct dp_address local[2];
	struct dp_address remote[2];
	struct dp_counters from[2]; /* from side 0, from side 1 */
};

struct dp_session_info {
	uint64_t session;
	uint32_t owner;
	uint16_t blob_length; /* bytes behind the struct in replies that carry the blob */
	uint8_t streams;
	uint8_t reserved;
	uint64_t age_us;
	struct dp_stream_info stream[DP_STREAMS_MAX];
};

struct dp_list_request {
	uint64_t after; /* 0 = from the beginning, else the last session seen */
	uint32_t owner; /* UINT32_MAX = all */
	uint32_t limit; /* entries wanted; fewer come where a packet is full */
};

/* Followed by `count` entries, each a dp_session_id, a uint64_t blob length, and the blob padded to 8 bytes. */
struct dp_list_reply {
	uint32_t count;
	uint32_t more; /* 1: ask again after the last one */
};

struct dp_event {
	uint64_t session;
	uint8_t stream, side;
	uint8_t reserved[6];
	struct dp_address source; /* latched, alarm: the address in question */
};

/* Counters of the whole dataplane: enum, name and help come from this one list (also used by telemetry, show counters,
 * later SNMP and metrics). */
#define DP_COUNTERS(X)                                                                                       \
	X(RX_PACKETS, "rx-packets", "packets received on all ports")                                         \
	X(TX_PACKETS, "tx-packets", "packets sent on all ports")                                             \
	X(MEDIA_RELAYED, "media-relayed", "media packets relayed")                                           \
	X(MIRROR_IN, "mirror-in", "packets handed to the kernel's mirror")                                   \
	X(MIRROR_OUT, "mirror-out", "packets sent for the kernel's mirror")                                  \
	X(DROP_NO_FLOW, "drop-no-flow", "media port without a session")                                      \
	X(DROP_WRONG_SOURCE, "drop-wrong-source", "media from an address that is not the peer")              \
	X(DROP_MALFORMED, "drop-malformed", "truncated or inconsistent Ethernet, IP or UDP")                 \
	X(DROP_NOT_RTP, "drop-not-rtp", "not RTP or RTCP on an RTP stream")                                  \
	X(DROP_FRAGMENT, "drop-fragment", "fragment to a media address")                                     \
	X(DROP_MUTED, "drop-muted", "the other side receives nothing now")                                   \
	X(DROP_NO_NEXT_HOP, "drop-no-next-hop", "link-layer address of the next hop unknown")                \
	X(DROP_TX_FULL, "drop-tx-full", "port's transmit queue full")                                        \
	X(DROP_MIRROR_FULL, "drop-mirror-full", "kernel's mirror full")                                      \
	X(DROP_VLAN, "drop-vlan", "VLAN that no network-interface has")                                      \
	X(DROP_TTL, "drop-ttl", "TTL or hop limit exceeded")                                                 \
	X(DROP_TOO_BIG, "drop-too-big", "longer than the MTU of the way out")                                \
	X(DROP_HANDOVER_FULL, "drop-handover-full", "ring to the worker that owns the flow full")            \
	X(DROP_POLICED, "drop-policed", "media over the bandwidth its session description gave")             \
	X(DROP_SRTP_AUTH, "drop-srtp-auth",                                                                  \
		"SRTP or SRTCP that fails its authentication, or plain RTP where SRTP was agreed")           \
	X(DROP_SRTP_REPLAY, "drop-srtp-replay",                                                              \
		"SRTP or SRTCP that has come before, or is older than the replay window")                    \
	X(DROP_SRTP_KEY, "drop-srtp-key",                                                                    \
		"SRTP whose key has reached the end of its lifetime, or of an MKI that is not known")        \
	X(DROP_PORT_DOWN, "drop-port-down", "way out that is gone at the moment")                            \
	X(DROP_BANNED, "drop-banned", "source banned")                                                       \
	X(DROP_ACCESS_DENIED, "drop-access-denied", "source denied by an access-control")                    \
	X(DROP_SOURCE_RATE, "drop-source-rate", "source over its rate of SIP packets")                       \
	X(DROP_STREAM_RATE, "drop-stream-rate", "source over its rate of TCP segments and later fragments")  \
	X(DROP_SYN_RATE, "drop-syn-rate", "TCP connection attempts over the rate of the source or of all")   \
	X(DROP_CLASS_RATE, "drop-class-rate", "untrusted or trusted sources together over their rate")       \
	X(DROP_LINK_RATE, "drop-link-rate", "ARP, neighbour discovery and what is not IP over its rate")     \
	X(SOURCE_EVICTED, "source-evicted", "sources forgotten early because the table of sources was full") \
	X(BAN_EVICTED, "ban-evicted", "oldest bans lifted early because the table of bans was full")         \
	X(SAMPLE_LOST, "sample-lost", "samples of dropped packets that nobody fetched in time")

enum dp_counter {
#define X(id, name, help) DP_COUNTER_##id,
	DP_COUNTERS(X)
#undef X
		DP_COUNTER_COUNT
};

struct dp_stats {
	uint64_t uptime_us;
	uint32_t sessions, sessions_max;
	uint32_t flows, workers;
	uint64_t sessions_total;
	uint64_t ports_used, ports_total;
	uint32_t hugepages; /* 1: memory is on hugepages */
	uint32_t counters; /* DP_COUNTER_COUNT */
	uint32_t bans, bans_max;
	uint32_t trusts, trusts_max;
	uint32_t sources, sources_max; /* untrusted ones remembered for their rates */
	uint64_t counter[DP_COUNTER_COUNT];
	uint64_t per_second[DP_COUNTER_COUNT]; /* over the last whole second */
};

struct dp_interface {
	char name[DP_NAME_MAX], port[DP_NAME_MAX], mirror[16];
	uint8_t mac[6];
	uint8_t link_up, reserved;
	uint32_t speed_mbps, mtu;
	uint64_t rx_packets, rx_octets, rx_missed, rx_errors;
	uint64_t tx_packets, tx_octets, tx_errors;
	uint64_t mirror_in, mirror_out;
	uint32_t next_hops, next_hops_incomplete;
};

/* Whom a ban or a trust is about: a network, a host (length 32 or 128), or one port of a host. Bits behind the length are 0. */
struct dp_source_key {
	struct dp_address address; /* port 0 = all; a port only with a whole host */
	uint8_t length;
	uint8_t reserved[7];
};

enum dp_ban_flag {
	DP_BAN_FORCE = 1, /* also if a configured agent or a trusted source is in it (else -EPERM) */
	DP_BAN_DATAGRAMS =
		2, /* of one port: not what comes from there by TCP, which nobody else can have sent */
};

struct dp_ban {
	struct dp_source_key key;
	uint64_t expires_us; /* set: microseconds from now, 0 = never; list: what is left of them */
	uint64_t age_us; /* list */
	uint64_t packets; /* list: dropped by it */
	uint32_t flags; /* enum dp_ban_flag */
	uint32_t reserved;
	char reason[40]; /* shown to people; and NUL */
};

/* Whose packets come before strangers': agents of the configuration, flows of registered phones. */
struct dp_trust {
	struct dp_source_key key;
	uint64_t expires_us; /* as in dp_ban */
	uint32_t rate, burst; /* packets per second, packets; 0 = no limit of its own */
	uint8_t configured; /* list: by an agent or access-control of the configuration; cannot be cleared */
	uint8_t reserved[7];
	uint64_t packets; /* list */
};

/* Of a batch: how many were done. All that could be were; the first that could not says why. */
struct dp_done {
	uint32_t done;
	/* 0, or -errno of the first that failed: -EINVAL, -EPERM, -ENOENT, -ENOSPC; -EAGAIN: networks so many that the rest
	 * had better come in another request */
	int32_t status;
	uint32_t failed; /* its index */
	uint32_t reserved;
};

/* A page of a table that may change meanwhile: an entry there from first to last page comes exactly once. */
struct dp_table_request {
	uint64_t cursor; /* 0 = from the beginning, else the last reply's */
	uint32_t limit; /* entries wanted; fewer come where a packet is full */
	uint32_t reserved;
	struct dp_source_key within; /* family 0 = all; else only what overlaps it */
};

struct dp_table_reply {
	uint64_t cursor; /* 0 = that was all */
	uint32_t count;
	uint32_t reserved;
};

struct dp_page_request {
	uint64_t cursor;
	uint32_t limit;
	uint32_t reserved;
};

struct dp_realm {
	char name[DP_NAME_MAX], interface[DP_NAME_MAX];
	uint8_t trusted;
	uint8_t draining; /* 1: it is not in the configuration any more; what there is of it goes on to its end */
	uint8_t reserved[2];
	uint32_t pools;
	uint64_t ports_used, ports_total; /* pairs */
	uint64_t streams; /* sides of streams there now */
	/* Media from there, that from there which was relayed, and what is measured of it; all since the start. */
	uint64_t packets, octets, relayed, lost, wrong_source, malformed, policed, events;
};

struct dp_flow_request {
	uint64_t
		session; /* begin behind: session, stream and side of the last one seen; 0 = from the beginning */
	uint32_t position; /* stream * 2 + side */
	uint32_t limit;
	struct dp_source_key within; /* family 0 = all; else only flows whose source is in it */
	char realm[DP_NAME_MAX]; /* "" = all */
};

struct dp_flow_reply {
	uint32_t count;
	uint32_t more; /* 1: ask again behind `session`, `position` */
	uint64_t session;
	uint32_t position;
	uint32_t reserved;
};

/* One direction of a stream: what arrives from one side. */
struct dp_flow {
	uint64_t session;
	uint8_t stream, side, kind, latching;
	uint8_t flags; /* enum dp_side_flag of the side */
	uint8_t payload_type;
	uint16_t worker;
	char realm[DP_NAME_MAX];
	struct dp_address local; /* ours */
	struct dp_address source; /* where it comes from, or is to come from; family 0 = not known yet */
	struct dp_address dest; /* where it goes to */
	uint64_t packets, octets, lost, dropped; /* dropped: not relayed, wrong source, malformed, policed,
						   SRTP refused */
	uint64_t idle_us; /* since the last packet; UINT64_MAX = never one */
	uint32_t jitter_us, ssrc;
	uint8_t latched, suite; /* enum dp_srtp_suite of what arrives */
	uint8_t reserved[6];
};

struct dp_top_request {
	uint32_t limit; /* <= DP_TOP_MAX */
	uint32_t reserved;
};

/* What is not media, by source. */
struct dp_source {
	struct dp_address address; /* IPv6: the /64; a port where each of a trusted host's has its own rate */
	char interface[DP_NAME_MAX];
	uint8_t trusted, reserved[7];
	uint64_t packets, dropped; /* since it was first seen, or since the table forgot it */
	uint64_t first_us, last_us; /* ago */
};

/* A packet that was dropped. Followed by `captured` octets from its Ethernet header on. */
struct dp_sample {
	uint64_t ago_us; /* before the event was sent */
	struct dp_address source, dest; /* family 0 where the packet was no IP */
	uint32_t counter; /* enum dp_counter: why */
	uint16_t interface; /* index as in DP_INTERFACES; 0xffff = none */
	uint16_t length, captured;
	uint8_t protocol; /* of IP */
	uint8_t reserved[5];
};

union address;

void dp_address_from(struct dp_address *out, const union address *a);
void dp_address_to(const struct dp_address *a, union address *out);
const char *dp_counter_name(enum dp_counter counter);
const char *dp_counter_help(enum dp_counter counter);
/* As it stands in a=crypto (RFC 4568 section 6.2); NULL: none, or not one that is known. */
const char *dp_srtp_suite_name(unsigned suite);

#endif
