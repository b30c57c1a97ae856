/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows of the schema: sections and settings with type, default, range, help and who uses them. */
#include "config/schema.h"
#include "config/source.h"

/* clang-format off */
#define FIELD(s, f)        .offset = offsetof(struct s, f)
#define PAIR(s, f, g)      .offset = offsetof(struct s, f), .companion = offsetof(struct s, g)
#define RANGE(low, high)   .min = (low), .max = (high)
#define USED(all, already) .daemons = (all), .implemented = (already)
#define RESTART            .applies = CONFIG_APPLIES_RESTART
#define REQUIRED           .required = true
#define DP                 CONFIG_DATAPLANE
#define CP                 CONFIG_CONTROLPLANE
#define MG                 CONFIG_MGMT
#define ALL                (CONFIG_DATAPLANE | CONFIG_CONTROLPLANE | CONFIG_MGMT)
#define NOT_YET            0
#define T(type_)           .type = CONFIG_TYPE_##type_
#define HELP(text)         .help = text
#define CHOICES(...)       .choices = (const struct config_choice[]){ __VA_ARGS__, { NULL, 0 } }

#define DAY UINT64_C(86400)

static const struct config_row system_rows[] = {
	{ .name = "name", T(STRING), FIELD(config_system, name), .fallback = "sallyport", RANGE(1, 64), USED(ALL, ALL), RESTART,
	  HELP("What this system is called in logs, alarms and records.") },
	{ .name = "location", T(STRING), FIELD(config_system, location), RANGE(0, 255), USED(MG, MG),
	  HELP("Where it stands; for people and SNMP's sysLocation.") },
	{ .name = "contact", T(STRING), FIELD(config_system, contact), RANGE(0, 255), USED(MG, MG),
	  HELP("Whom to call about it; for people and SNMP's sysContact.") },
	{ .name = "data-directory", T(STRING), FIELD(config_system, data_directory), .fallback = "/var/lib/sallyport", RANGE(1, 255),
	  USED(ALL, ALL), RESTART, HELP("Where databases live. An absolute path.") },
	{ .name = "run-directory", T(STRING), FIELD(config_system, run_directory), .fallback = "/run/sallyport", RANGE(1, 80),
	  USED(ALL, ALL), RESTART, HELP("Where the daemons' sockets live. An absolute path, short enough for a socket's name.") },
	{ .name = "log-level", T(ENUM), FIELD(config_system, log_level), .fallback = "info", USED(ALL, ALL),
	  CHOICES({ "error", LOG_LEVEL_ERROR }, { "warning", LOG_LEVEL_WARNING }, { "notice", LOG_LEVEL_NOTICE },
	  	  { "info", LOG_LEVEL_INFO }, { "debug", LOG_LEVEL_DEBUG }), HELP("The least severe messages that are logged.") },
	{ .name = "user", T(STRING), FIELD(config_system, user), .fallback = "sallyport", RANGE(1, 32), USED(ALL, ALL), RESTART,
	  HELP("The system user the daemons become after start.") },
};

static const struct config_row media_manager_rows[] = {
	{ .name = "workers", T(UINTS), PAIR(config_media_manager, workers, worker_count), .fallback = "1", RANGE(0, 1023),
	  USED(DP, DP), RESTART, HELP("CPU cores of the packet workers, one worker each.") },
	{ .name = "poll", T(ENUM), FIELD(config_media_manager, poll), .fallback = "adaptive", USED(DP, DP), RESTART,
	  CHOICES({ "adaptive", CONFIG_POLL_ADAPTIVE }, { "busy", CONFIG_POLL_BUSY }),
	  HELP("`adaptive` lets an idle worker sleep; `busy` never does: lowest latency, a core at 100 %.") },
	{ .name = "memory", T(MEMORY), PAIR(config_media_manager, memory_auto, memory_mib), .fallback = "auto", RANGE(64, 1048576),
	  .unit = "MiB", USED(DP, DP), RESTART,
	  HELP("Memory of the dataplane. `auto`: hugepages if there are any, else ordinary pages.") },
	{ .name = "max-sessions", T(UINT), FIELD(config_media_manager, max_sessions), .fallback = "20000", RANGE(1, 1000000),
	  USED(DP, DP), RESTART, HELP("Media sessions (calls) at one time.") },
	{ .name = "idle-timeout", T(SECONDS), FIELD(config_media_manager, idle_timeout), .fallback = "60", RANGE(1, DAY),
	  USED(DP, DP), HELP("Silence after which a flow that had media is reported as dead.") },
	{ .name = "initial-timeout", T(SECONDS), FIELD(config_media_manager, initial_timeout), .fallback = "120", RANGE(1, DAY),
	  USED(DP, DP), HELP("Silence after which a flow that never had media is reported as dead.") },
	{ .name = "relatch-silence", T(SECONDS), FIELD(config_media_manager, relatch_silence), .fallback = "5", RANGE(1, DAY),
	  USED(DP, DP), HELP("Silence after which media with `latching = relatch` may come from another port.") },
};

static const struct config_row sip_config_rows[] = {
	{ .name = "shards", T(UINT), FIELD(config_sip, shards), .fallback = "1", RANGE(1, 64), USED(CP, CP), RESTART,
	  HELP("Signalling threads; each owns its share of the calls.") },
	{ .name = "t1", T(MILLISECONDS), FIELD(config_sip, t1_ms), .fallback = "500ms", RANGE(10, 10000), USED(CP, CP),
	  HELP("T1: estimate of the round trip (RFC 3261, 17.1.1.1).") },
	{ .name = "t2", T(MILLISECONDS), FIELD(config_sip, t2_ms), .fallback = "4s", RANGE(10, 60000), USED(CP, CP),
	  HELP("T2: longest interval between retransmissions (RFC 3261, 17.1.2.2).") },
	{ .name = "t4", T(MILLISECONDS), FIELD(config_sip, t4_ms), .fallback = "5s", RANGE(10, 60000), USED(CP, CP),
	  HELP("T4: how long a message may stay in the network (RFC 3261, 17.1.2.2).") },
	{ .name = "timer-b", T(MILLISECONDS), FIELD(config_sip, timer_b_ms), .fallback = "32s", RANGE(100, 640000), USED(CP, CP),
	  HELP("Timers B and F: a transaction without any answer is given up (RFC 3261, 17.1.1.2). Not written: 64 times t1.") },
	{ .name = "timer-c", T(MILLISECONDS), FIELD(config_sip, timer_c_ms), .fallback = "180s", RANGE(1000, 3600000), USED(CP, CP),
	  HELP("Timer C: an INVITE without final answer is given up (RFC 3261, 16.6).") },
	{ .name = "timer-d", T(MILLISECONDS), FIELD(config_sip, timer_d_ms), .fallback = "32s", RANGE(100, 640000), USED(CP, CP),
	  HELP("Timer D: how long a refused INVITE answers repeated refusals (RFC 3261, 17.1.1.2).") },
	{ .name = "trying-delay", T(MILLISECONDS), FIELD(config_sip, trying_delay_ms), .fallback = "200ms", RANGE(10, 10000), USED(CP, CP),
	  HELP("An INVITE that has no response yet by then is answered 100 (RFC 3261, 17.2.1).") },
	{ .name = "min-session-timer", T(SECONDS), FIELD(config_sip, min_session_timer), .fallback = "90", RANGE(1, DAY), USED(CP, CP),
	  HELP("Min-SE: who asks for a shorter session timer gets 422. RFC 4028 (5) allows nothing below 90; less is for tests.") },
	{ .name = "max-message-udp", T(UINT), FIELD(config_sip, max_message_udp), .fallback = "16384", RANGE(1500, 65535), .unit = "bytes",
	  USED(CP, CP), RESTART, HELP("Longest SIP message taken from UDP.") },
	{ .name = "max-header-block", T(UINT), FIELD(config_sip, max_header_block), .fallback = "16384", RANGE(1024, 65535), .unit = "bytes",
	  USED(CP, CP), HELP("Longest start line and headers together.") },
	{ .name = "max-body", T(UINT), FIELD(config_sip, max_body), .fallback = "65536", RANGE(0, 1048576), .unit = "bytes",
	  USED(CP, CP), HELP("Longest body.") },
	{ .name = "max-header", T(UINT), FIELD(config_sip, max_header), .fallback = "2048", RANGE(128, 65535), .unit = "bytes",
	  USED(CP, CP), HELP("Longest single header.") },
	{ .name = "max-identity-header", T(UINT), FIELD(config_sip, max_identity_header), .fallback = "8192", RANGE(128, 65535),
	  .unit = "bytes", USED(CP, CP), HELP("Longest Identity header (RFC 8224), which is longer than any other.") },
	{ .name = "max-headers", T(UINT), FIELD(config_sip, max_headers), .fallback = "128", RANGE(16, 256), USED(CP, CP),
	  HELP("Headers in a message.") },
	{ .name = "max-separators", T(UINT), FIELD(config_sip, max_separators), .fallback = "256", RANGE(16, 65535), USED(CP, CP),
	  HELP("Separators (commas, semicolons, ampersands) in the headers together: bounds what a parser is made to split.") },
	{ .name = "max-via", T(UINT), FIELD(config_sip, max_via), .fallback = "70", RANGE(1, 255), USED(CP, CP),
	  HELP("Via entries in a message; 70 is the usual Max-Forwards.") },
	{ .name = "max-transactions", T(UINT), FIELD(config_sip, max_transactions), .fallback = "50000", RANGE(16, 10000000),
	  USED(CP, CP), RESTART, HELP("Transactions under way at one time, per shard; more are answered 503. Each takes up to 20 KB.") },
	{ .name = "max-calls", T(UINT), FIELD(config_sip, max_calls), .fallback = "50000", RANGE(1, 1000000), USED(CP, CP), RESTART,
	  HELP("Calls at one time, per shard; more are answered 503.") },
	{ .name = "max-subscriptions", T(UINT), FIELD(config_sip, max_subscriptions), .fallback = "20000", RANGE(1, 1000000), USED(CP, CP),
	  RESTART, HELP("Subscriptions (RFC 6665) and dialogs of their forks at one time, per shard; more are answered 503.") },
	{ .name = "max-subscriptions-per-source", T(UINT), FIELD(config_sip, max_subscriptions_per_source), .fallback = "2000",
	  RANGE(1, 1000000), USED(CP, CP), HELP("Subscriptions of one address that is no session-agent's, per shard; more are answered 503.") },
	{ .name = "subscription-max-expires", T(SECONDS), FIELD(config_sip, subscription_max_expires), .fallback = "7200", RANGE(60, DAY),
	  USED(CP, CP), HELP("A subscription or publication that asks for longer gets this; its refresh extends it.") },
	{ .name = "max-redirects", T(UINT), FIELD(config_sip, max_redirects), .fallback = "5", RANGE(0, 20), USED(CP, CP),
	  HELP("Contacts of redirections that are tried for one call (ip-profile `redirect = recurse`).") },
	{ .name = "max-dialog-requests", T(UINT), FIELD(config_sip, max_dialog_requests), .fallback = "8", RANGE(1, 64), USED(CP, CP),
	  HELP("Requests of one peer that are under way through a dialog at one time; more are answered 500 with Retry-After.") },
	{ .name = "max-routed-requests", T(UINT), FIELD(config_sip, max_routed_requests), .fallback = "10000", RANGE(1, 1000000),
	  USED(CP, CP), HELP("Relayed requests outside of dialogs (MESSAGE, PUBLISH, NOTIFY) under way at one time, per shard; more are answered 503.") },
	{ .name = "relay-timeout", T(MILLISECONDS), FIELD(config_sip, relay_timeout_ms), .fallback = "30s", RANGE(100, 600000),
	  USED(CP, CP), HELP("A relayed request without a final response by then is answered 408; never later than 60 times t1, "
	  "while the sender still waits.") },
	{ .name = "event-packages", T(STRINGS), FIELD(config_sip, event_packages), .fallback = "message-summary, dialog, presence",
	  CHOICES({ "message-summary", 0 }, { "dialog", 0 }, { "presence", 0 }), USED(CP, CP),
	  HELP("Event packages that SUBSCRIBE, NOTIFY and PUBLISH are relayed for; others are answered 489.") },
	{ .name = "info-packages", T(STRINGS), FIELD(config_sip, info_packages), RANGE(1, 64), USED(CP, CP),
	  HELP("Info packages (RFC 6086) whose INFO is relayed; others are answered 469.") },
	{ .name = "max-sdp-lines", T(UINT), FIELD(config_sip, max_sdp_lines), .fallback = "256", RANGE(16, 256), USED(CP, CP),
	  HELP("Lines in a session description.") },
	{ .name = "max-sdp-media", T(UINT), FIELD(config_sip, max_sdp_media), .fallback = "16", RANGE(1, 16), USED(CP, CP),
	  HELP("Media descriptions (m= lines) in a session description.") },
	{ .name = "stateless-rate", T(UINT), FIELD(config_sip, stateless_rate), .fallback = "2000", RANGE(0, 1000000), .unit = "per second",
	  USED(CP, CP), RESTART,
	  HELP("Answers without a transaction (to malformed or unwanted requests) per shard; more go unanswered. 0: no limit.") },
	{ .name = "receive-buffer", T(UINT), FIELD(config_sip, receive_buffer), .fallback = "4194304", RANGE(65536, 268435456), .unit = "bytes",
	  USED(CP, CP), RESTART, HELP("Asked of the kernel for each UDP socket: a burst waits there; net.core.rmem_max caps it.") },
	{ .name = "stream-max-connections", T(UINT), FIELD(config_sip, stream_max_connections), .fallback = "10000", RANGE(1, 1000000),
	  USED(CP, CP), RESTART, HELP("TCP connections at one time. When there are as many, the one gives way that has been idle longest, "
	  "strangers first, session-agents never.") },
	{ .name = "stream-max-per-source", T(UINT), FIELD(config_sip, stream_max_per_source), .fallback = "256", RANGE(1, 1000000),
	  USED(CP, CP), RESTART, HELP("TCP connections of one address (IPv6: one /64) that is no session-agent's.") },
	{ .name = "stream-accept-rate", T(UINT), FIELD(config_sip, stream_accept_rate), .fallback = "1000", RANGE(0, 1000000),
	  .unit = "per second", USED(CP, CP), RESTART, HELP("TCP connections taken; more wait in the kernel. 0: no limit.") },
	{ .name = "stream-idle-timeout", T(SECONDS), FIELD(config_sip, stream_idle_timeout), .fallback = "3600", RANGE(1, DAY),
	  USED(CP, CP), HELP("A TCP connection on which nothing is received for so long is closed.") },
	{ .name = "stream-first-byte-timeout", T(SECONDS), FIELD(config_sip, stream_first_byte_timeout), .fallback = "10", RANGE(1, 3600),
	  USED(CP, CP), HELP("Who connects by TCP and says nothing for so long is turned out.") },
	{ .name = "stream-message-timeout", T(SECONDS), FIELD(config_sip, stream_message_timeout), .fallback = "10", RANGE(1, 3600),
	  USED(CP, CP), HELP("Longest time a message may take to arrive on TCP, or what we send may take to be read.") },
	{ .name = "stream-connect-timeout", T(MILLISECONDS), FIELD(config_sip, stream_connect_timeout_ms), .fallback = "3s",
	  RANGE(100, 60000), USED(CP, CP), HELP("How long a TCP connection of ours may take to be made.") },
	{ .name = "stream-queue", T(UINT), FIELD(config_sip, stream_queue), .fallback = "262144", RANGE(65536, 16777216), .unit = "bytes",
	  USED(CP, CP), HELP("What may wait for the reader of a TCP connection; more closes it.") },
	{ .name = "stream-memory", T(UINT), FIELD(config_sip, stream_memory), .fallback = "67108864", RANGE(1048576, 4294967295),
	  .unit = "bytes", USED(CP, CP), HELP("What all TCP connections of a shard may have under way; who needs more is closed.") },
	{ .name = "stream-keep-alive", T(SECONDS), FIELD(config_sip, stream_keep_alive), .fallback = "0", RANGE(0, 3600), USED(CP, CP),
	  HELP("How often a CRLF keep-alive (RFC 5626, 4.4.1) goes to a session-agent on an idle TCP connection; 0: never.") },
	{ .name = "tls-handshake-timeout", T(MILLISECONDS), FIELD(config_sip, tls_handshake_timeout_ms), .fallback = "5s",
	  RANGE(100, 60000), USED(CP, CP), HELP("How long a TLS handshake may take.") },
	{ .name = "tls-handshake-rate", T(UINT), FIELD(config_sip, tls_handshake_rate), .fallback = "50", RANGE(0, 100000),
	  .unit = "per second", USED(CP, CP), RESTART, HELP("TLS handshakes of one address (IPv6: one /64) that is no session-agent's, twice "
	  "as many at once; more are closed before they cost anything. 0: no limit.") },
	{ .name = "tls-handshake-bytes", T(UINT), FIELD(config_sip, tls_handshake_bytes), .fallback = "65536", RANGE(4096, 1048576),
	  .unit = "bytes", USED(CP, CP), HELP("What a peer may send in a TLS handshake, its certificates included.") },
	{ .name = "tls-max-handshakes", T(UINT), FIELD(config_sip, tls_max_handshakes), .fallback = "1000", RANGE(1, 1000000),
	  USED(CP, CP), HELP("TLS handshakes under way at one time, per shard; when there are as many, the oldest of a stranger gives way.") },
	{ .name = "udp-request-limit", T(UINT), FIELD(config_sip, udp_request_limit), .fallback = "1300", RANGE(0, 65535), .unit = "bytes",
	  USED(CP, CP), HELP("A longer request to a session-agent on UDP goes by TCP where the realm listens on TCP too (RFC 3261, 18.1.1); "
	  "0: never.") },
	{ .name = "tcp-absent-time", T(SECONDS), FIELD(config_sip, tcp_absent_time), .fallback = "300", RANGE(1, DAY), USED(CP, CP),
	  HELP("How long a session-agent on UDP that took no TCP connection gets long requests by UDP without being asked again.") },
	{ .name = "dns-servers", T(STRINGS), FIELD(config_sip, dns_servers), RANGE(2, 63), USED(CP, CP),
	  HELP("Whom to ask for the names of session-agents: addresses, with a port where it is not 53. Empty: those of /etc/resolv.conf.") },
	{ .name = "dns-timeout", T(MILLISECONDS), FIELD(config_sip, dns_timeout_ms), .fallback = "2s", RANGE(100, 30000), USED(CP, CP),
	  HELP("How long a DNS server may take. Each is asked twice, the second time for twice as long.") },
	{ .name = "dns-min-ttl", T(SECONDS), FIELD(config_sip, dns_min_ttl), .fallback = "30", RANGE(1, DAY), USED(CP, CP),
	  HELP("Names are not asked for again before that, however short DNS says that its answer holds.") },
	{ .name = "dns-max-ttl", T(SECONDS), FIELD(config_sip, dns_max_ttl), .fallback = "3600", RANGE(1, 7 * DAY), USED(CP, CP),
	  HELP("No answer of DNS is believed for longer.") },
	{ .name = "dns-stale-time", T(SECONDS), FIELD(config_sip, dns_stale_time), .fallback = "86400", RANGE(0, 7 * DAY), USED(CP, CP),
	  HELP("How much longer the last answer holds while no DNS server answers (RFC 8767).") },
	{ .name = "dns-retry", T(SECONDS), FIELD(config_sip, dns_retry), .fallback = "5", RANGE(1, 3600), USED(CP, CP),
	  HELP("When a name that DNS did not tell is asked for again; doubled from time to time, up to 32 times as long.") },
	{ .name = "dns-max-addresses", T(UINT), FIELD(config_sip, dns_max_addresses), .fallback = "16", RANGE(1, 32), USED(CP, CP),
	  HELP("Addresses, and targets of SRV records, that are taken for a name; more are ignored.") },
	{ .name = "address-timeout", T(MILLISECONDS), FIELD(config_sip, address_timeout_ms), .fallback = "4s", RANGE(100, 64000), USED(CP, CP),
	  HELP("An address of a name that has not answered an INVITE by then, not even 100, is given up for the next one (RFC 3263, 4.3).") },
	{ .name = "user-agent", T(STRING), FIELD(config_sip, user_agent), RANGE(0, 128), USED(CP, CP),
	  HELP("What we call ourselves in User-Agent and Server; empty: we say nothing.") },
};

static const struct config_row network_interface_rows[] = {
	{ .name = "port", T(NIC_PORT), REQUIRED, PAIR(config_network_interface, port_kind, port), USED(DP, DP), RESTART,
	  HELP("The network port: a card of our own, or a kernel interface by AF_XDP or AF_PACKET.") },
	{ .name = "vlan", T(UINT), FIELD(config_network_interface, vlan), .fallback = "0", RANGE(0, 4094), USED(DP, DP), RESTART,
	  HELP("VLAN tag; 0: untagged.") },
	{ .name = "addresses", T(PREFIXES), REQUIRED, PAIR(config_network_interface, addresses, address_count), USED(DP, DP), RESTART,
	  HELP("Our addresses there, each with its prefix length.") },
	{ .name = "gateway", T(ADDRESS4), FIELD(config_network_interface, gateway), USED(DP, DP), RESTART,
	  HELP("IPv4 next hop to everything that is not connected.") },
	{ .name = "gateway6", T(ADDRESS6), FIELD(config_network_interface, gateway6), USED(DP, DP), RESTART,
	  HELP("IPv6 next hop to everything that is not connected.") },
	{ .name = "dscp-signalling", T(UINT), FIELD(config_network_interface, dscp_signalling), .fallback = "24", RANGE(0, 63),
	  USED(DP, DP), HELP("DSCP of SIP that leaves here; 24 is CS3.") },
};

static const struct config_row realm_rows[] = {
	{ .name = "network-interface", T(REFERENCE), REQUIRED, FIELD(config_realm, network_interface), .target = "network-interface",
	  USED(DP | CP, DP | CP), RESTART, HELP("Where the realm is.") },
	{ .name = "trust", T(ENUM), FIELD(config_realm, trust), .fallback = "untrusted", USED(DP | CP, DP | CP),
	  CHOICES({ "untrusted", CONFIG_TRUST_UNTRUSTED }, { "trusted", CONFIG_TRUST_TRUSTED }),
	  HELP("Trust of sources that nothing else is known about.") },
	{ .name = "dscp-media", T(UINT), FIELD(config_realm, dscp_media), .fallback = "46", RANGE(0, 63), USED(DP | CP, DP | CP),
	  HELP("DSCP of media that leaves here; 46 is EF.") },
	{ .name = "media-rate", T(UINT), FIELD(config_realm, media_rate), .fallback = "0", RANGE(0, 10000000), .unit = "kbit/s",
	  USED(DP, DP), HELP("What a stream from here may send when its description names no bandwidth; 0: no limit.") },
};

static const struct config_row steering_pool_rows[] = {
	{ .name = "realm", T(REFERENCE), REQUIRED, FIELD(config_steering_pool, realm), .target = "realm", USED(DP, DP), RESTART,
	  HELP("The realm whose calls get these ports.") },
	{ .name = "address", T(ADDRESS), REQUIRED, FIELD(config_steering_pool, address), USED(DP, DP), RESTART,
	  HELP("The media address; one of those of the realm's network-interface.") },
	{ .name = "ports", T(PORT_RANGE), REQUIRED, PAIR(config_steering_pool, port_first, port_last), RANGE(1024, 65535), USED(DP, DP),
	  RESTART, HELP("Media ports, from an even one: RTP takes an even port, RTCP the one after it.") },
};

static const struct config_row tls_profile_rows[] = {
	{ .name = "certificate", T(FILE), REQUIRED, FIELD(config_tls_profile, certificate), RANGE(1, 255), USED(CP, CP),
	  HELP("PEM file of our certificate, intermediate certificates after it.") },
	{ .name = "key", T(FILE), REQUIRED, FIELD(config_tls_profile, key), RANGE(1, 255), USED(CP, CP),
	  HELP("PEM file of its private key, which `system.user` can read.") },
	{ .name = "second-certificate", T(FILE), FIELD(config_tls_profile, second_certificate), RANGE(0, 255), USED(CP, CP),
	  HELP("A certificate with a key of the other kind: ECDSA beside RSA. Who can take both gets ECDSA.") },
	{ .name = "second-key", T(FILE), FIELD(config_tls_profile, second_key), RANGE(0, 255), USED(CP, CP),
	  HELP("PEM file of its private key.") },
	{ .name = "server-names", T(STRINGS), FIELD(config_tls_profile, server_names), RANGE(1, 253), USED(CP, CP),
	  HELP("Names by which clients ask for this profile (SNI) where a sip-interface has it among its `sni-profiles`; `*.example.com` is "
	       "any one label. Empty: those of its certificate.") },
	{ .name = "ca", T(FILE), FIELD(config_tls_profile, ca), RANGE(0, 255), USED(CP, CP),
	  HELP("PEM file of the authorities we believe; empty: the system's, or none where there are `pins`. A client that shows a certificate "
	       "is checked against it even where it need not show one.") },
	{ .name = "crl", T(FILE), FIELD(config_tls_profile, crl), RANGE(0, 255), USED(CP, CP),
	  HELP("PEM file of revocation lists: one of every authority in a peer's chain must be there. Empty: revocation is not looked at.") },
	{ .name = "pins", T(STRINGS), FIELD(config_tls_profile, pins), RANGE(64, 64), USED(CP, CP),
	  HELP("Public keys that are believed without an authority: SHA-256 of the SubjectPublicKeyInfo in hexadecimal. The certificate must be "
	       "within its dates all the same.") },
	{ .name = "verify-peer", T(BOOL), FIELD(config_tls_profile, verify_peer), .fallback = "no", USED(CP, CP),
	  HELP("Ask clients for a certificate and refuse those without a valid one.") },
	{ .name = "verify-server", T(BOOL), FIELD(config_tls_profile, verify_server), .fallback = "yes", USED(CP, CP),
	  HELP("Connect to session-agents only if their certificate is valid and theirs. `no`: anybody between us and them can listen.") },
	{ .name = "minimum-version", T(ENUM), FIELD(config_tls_profile, minimum_version), .fallback = "1.2", USED(CP, CP),
	  CHOICES({ "1.2", CONFIG_TLS_1_2 }, { "1.3", CONFIG_TLS_1_3 }), HELP("Oldest TLS version that is spoken.") },
	{ .name = "ciphers", T(STRING), FIELD(config_tls_profile, ciphers), .fallback = "ECDHE+AESGCM:ECDHE+CHACHA20", RANGE(1, 255),
	  USED(CP, CP), HELP("Ciphers of TLS 1.2, best first, as openssl-ciphers(1) writes them. The default has forward secrecy and AEAD only.") },
	{ .name = "cipher-suites", T(STRING), FIELD(config_tls_profile, cipher_suites),
	  .fallback = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256", RANGE(1, 255), USED(CP, CP),
	  HELP("Cipher suites of TLS 1.3, best first.") },
	{ .name = "curves", T(STRING), FIELD(config_tls_profile, curves), .fallback = "X25519:P-256:P-384", RANGE(1, 255), USED(CP, CP),
	  HELP("Groups of the key exchange, best first.") },
	{ .name = "session-tickets", T(BOOL), FIELD(config_tls_profile, session_tickets), .fallback = "yes", USED(CP, CP),
	  HELP("Clients may resume sessions (RFC 5077, RFC 8446) on any shard.") },
	{ .name = "session-ticket-lifetime", T(SECONDS), FIELD(config_tls_profile, session_ticket_lifetime), .fallback = "7200",
	  RANGE(60, 7 * DAY), USED(CP, CP), HELP("How long a ticket is taken; its key is replaced as often.") },
};

static const struct config_row ip_profile_rows[] = {
	{ .name = "nat", T(ENUM), FIELD(config_ip_profile, nat), .fallback = "auto", USED(CP, CP),
	  CHOICES({ "auto", CONFIG_NAT_AUTO }, { "always", CONFIG_NAT_ALWAYS }, { "never", CONFIG_NAT_NEVER }),
	  HELP("Is the far end behind a NAT? `auto`: when what it says and where it sends from differ.") },
	{ .name = "latching", T(ENUM), FIELD(config_ip_profile, latching), .fallback = "latch", USED(DP | CP, DP | CP),
	  CHOICES({ "fixed", CONFIG_LATCHING_FIXED }, { "latch", CONFIG_LATCHING_LATCH }, { "relatch", CONFIG_LATCHING_RELATCH }),
	  HELP("Whence media is taken (RFC 7362). `fixed`: the signalled address; `latch`: the first valid source, then locked; "
	       "`relatch`: again after signalling or long silence.") },
	{ .name = "media-security", T(ENUM), FIELD(config_ip_profile, media_security), .fallback = "none", USED(CP, CP),
	  CHOICES({ "none", CONFIG_MEDIA_SECURITY_NONE }, { "prefer", CONFIG_MEDIA_SECURITY_PREFER },
	  { "require", CONFIG_MEDIA_SECURITY_REQUIRE }),
	  HELP("SRTP keyed by SDES (RFC 4568) on this side. `prefer`: offered within RTP/AVP (RFC 8643), and what has it is answered by it; "
	       "`require`: a call without it is refused. Over TLS, or with `srtp-without-tls`.") },
	{ .name = "crypto-suites", T(STRINGS), FIELD(config_ip_profile, crypto_suites),
	  .fallback = "AES_CM_128_HMAC_SHA1_80, AEAD_AES_128_GCM", USED(CP, CP),
	  CHOICES({ "AES_CM_128_HMAC_SHA1_80", 0 }, { "AES_CM_128_HMAC_SHA1_32", 0 }, { "AES_256_CM_HMAC_SHA1_80", 0 },
	  { "AES_256_CM_HMAC_SHA1_32", 0 }, { "AEAD_AES_128_GCM", 0 }, { "AEAD_AES_256_GCM", 0 }),
	  HELP("SRTP suites offered and taken, best first.") },
	{ .name = "srtp-without-tls", T(BOOL), FIELD(config_ip_profile, srtp_without_tls), .fallback = "no", USED(CP, CP),
	  HELP("SRTP also where signalling is not over TLS, and whoever sees that can read its keys.") },
	{ .name = "sips", T(ENUM), FIELD(config_ip_profile, sips), .fallback = "strict", USED(CP, CP),
	  CHOICES({ "strict", CONFIG_SIPS_STRICT }, { "terminate", CONFIG_SIPS_TERMINATE }),
	  HELP("Requests for a sips: URI go to this side as sips: and by TLS alone, else they are answered 480 (RFC 5630); or their secure way ends "
	       "here, and they go on as sip: by whatever this side is reached by.") },
	{ .name = "codecs-allow", T(STRINGS), FIELD(config_ip_profile, codecs_allow), RANGE(1, 64), USED(CP, NOT_YET),
	  HELP("Codecs let through, by their names in SDP; empty: all.") },
	{ .name = "codecs-order", T(STRINGS), FIELD(config_ip_profile, codecs_order), RANGE(1, 64), USED(CP, NOT_YET),
	  HELP("Codecs moved to the front of offers, best first.") },
	{ .name = "session-timer", T(SECONDS), FIELD(config_ip_profile, session_timer), .fallback = "1800", RANGE(2, DAY),
	  USED(CP, CP), HELP("Session-Expires we ask for (RFC 4028); never below `sip-config.min-session-timer`.") },
	{ .name = "session-timer-mode", T(ENUM), FIELD(config_ip_profile, session_timer_mode), .fallback = "supported", USED(CP, CP),
	  CHOICES({ "off", CONFIG_SESSION_TIMER_OFF }, { "supported", CONFIG_SESSION_TIMER_SUPPORTED },
	  { "require", CONFIG_SESSION_TIMER_REQUIRE }),
	  HELP("Session timers (RFC 4028) on this side. `supported`: agreed with who knows them, and a peer that does not is asked "
	       "alone; `require`: who does not know them is refused (421).") },
	{ .name = "redirect", T(ENUM), FIELD(config_ip_profile, redirect), .fallback = "recurse", USED(CP, CP),
	  CHOICES({ "recurse", CONFIG_REDIRECT_RECURSE }, { "relay", CONFIG_REDIRECT_RELAY }),
	  HELP("When this side redirects a call (301, 302): followed here, as far as a local-policy leads there for the caller; or passed to "
	       "the caller, with a Contact of ours.") },
	{ .name = "transfer", T(ENUM), FIELD(config_ip_profile, transfer), .fallback = "terminate", USED(CP, CP),
	  CHOICES({ "relay", CONFIG_RELAY }, { "terminate", CONFIG_TERMINATE }),
	  HELP("REFER: passed to the other side, or carried out here.") },
	{ .name = "early-media", T(CHOICE), FIELD(config_ip_profile, early_media), .fallback = "relay", USED(CP, NOT_YET), .works = "relay",
	  CHOICES({ "relay", 0 }, { "reverse", 0 }, { "block", 0 }),
	  HELP("Media before the answer: both ways, only from callee to caller, or none.") },
	{ .name = "privacy", T(ENUM), FIELD(config_ip_profile, privacy), .fallback = "relay", USED(CP, CP),
	  CHOICES({ "relay", CONFIG_PRIVACY_RELAY }, { "apply", CONFIG_PRIVACY_APPLY }, { "remove", CONFIG_PRIVACY_REMOVE }),
	  HELP("P-Asserted-Identity and Privacy (RFC 3323, 3325) towards this side: passed as they are between trusted realms, the wish for "
	       "privacy carried out here, or all identity headers removed as well. Towards an untrusted realm the wish is always carried out.") },
	{ .name = "diversion", T(ENUM), FIELD(config_ip_profile, diversion), .fallback = "relay", USED(CP, CP),
	  CHOICES({ "relay", CONFIG_DIVERSION_RELAY }, { "history-info", CONFIG_DIVERSION_HISTORY_INFO },
	  { "diversion", CONFIG_DIVERSION_DIVERSION }, { "drop", CONFIG_DIVERSION_DROP }),
	  HELP("How this side is told of diversions: as it comes, as History-Info (RFC 7044), as Diversion (RFC 5806), or not at all.") },
	{ .name = "unsolicited-notify", T(BOOL), FIELD(config_ip_profile, unsolicited_notify), .fallback = "no", USED(CP, CP),
	  HELP("NOTIFY of message-summary without a subscription is taken from this side and routed by local-policy; else it is answered 481.") },
	{ .name = "registration-contact", T(ENUM), FIELD(config_ip_profile, registration_contact), .fallback = "own", USED(CP, CP),
	  CHOICES({ "own", CONFIG_CONTACT_OWN }, { "path", CONFIG_CONTACT_PATH }),
	  HELP("What a registrar on this side is told of a phone: a Contact of ours, one for each; or the phone's own with our Path (RFC 3327).") },
	{ .name = "local-media", T(BOOL), FIELD(config_ip_profile, local_media), .fallback = "no", USED(CP, CP),
	  HELP("Two phones behind one public address, whose profiles both say yes, send each other their media directly.") },
	{ .name = "assert-identity", T(BOOL), FIELD(config_ip_profile, assert_identity), .fallback = "no", USED(CP, CP),
	  HELP("Requests of registered phones carry their address-of-record in P-Asserted-Identity (RFC 3325) towards this side.") },
	{ .name = "source-header", T(STRING), FIELD(config_ip_profile, source_header), .fallback = "", RANGE(0, 64), USED(CP, CP),
	  HELP("Header that tells this side the public address and port of a phone, such as X-Source; empty: none.") },
	{ .name = "agent-header", T(STRING), FIELD(config_ip_profile, agent_header), .fallback = "", RANGE(0, 64), USED(CP, CP),
	  HELP("Header that tells this side the User-Agent of a phone, such as X-Phone; empty: none.") },
	{ .name = "rtcp-mux", T(BOOL), FIELD(config_ip_profile, rtcp_mux), .fallback = "no", USED(DP | CP, DP | CP),
	  HELP("RTP and RTCP on one port (RFC 5761).") },
	{ .name = "max-call-duration", T(SECONDS), FIELD(config_ip_profile, max_call_duration), .fallback = "0", RANGE(0, 30 * DAY),
	  USED(CP, CP), HELP("Longer calls are hung up; 0: no limit.") },
	{ .name = "headers-pass", T(STRINGS), FIELD(config_ip_profile, headers_pass), RANGE(1, 64), USED(CP, CP),
	  HELP("Headers sent to this side beyond the built-in allow-list, as the other side wrote them; `X-*` is a beginning.") },
	{ .name = "headers-drop", T(STRINGS), FIELD(config_ip_profile, headers_drop), RANGE(1, 64), USED(CP, CP),
	  HELP("Headers not taken from this side, although an allow-list has them; `X-*` is a beginning.") },
	{ .name = "bodies-pass", T(STRINGS), FIELD(config_ip_profile, bodies_pass), RANGE(3, 127), USED(CP, CP),
	  HELP("Bodies sent to this side beyond those that belong to their method, by media type; `image/*` is all of a kind, but names with dots.") },
};

static const struct config_row sip_interface_rows[] = {
	{ .name = "realm", T(REFERENCE), REQUIRED, FIELD(config_sip_interface, realm), .target = "realm", USED(CP, CP),
	  HELP("The realm it serves.") },
	{ .name = "listen", T(ENDPOINTS), REQUIRED, PAIR(config_sip_interface, listen, listen_count), USED(CP, CP), .works = "udp:* tcp:* tls:*",
	  HELP("Where SIP is taken: transport, address, port. Ports not written: 5060, tls 5061, ws 80, wss 443.") },
	{ .name = "tls-profile", T(REFERENCE), FIELD(config_sip_interface, tls_profile), .target = "tls-profile", USED(CP, CP),
	  HELP("Certificates; needed by tls and wss.") },
	{ .name = "sni-profiles", T(REFERENCES), PAIR(config_sip_interface, sni_profiles, sni_profile_count), .target = "tls-profile",
	  USED(CP, CP), HELP("Further tls-profiles, for clients that ask for a name of theirs (SNI); all others get `tls-profile`.") },
	{ .name = "ip-profile", T(REFERENCE), FIELD(config_sip_interface, ip_profile), .target = "ip-profile", USED(CP, CP),
	  HELP("How the far ends here behave; not written: the defaults of ip-profile.") },
	{ .name = "registration", T(ENUM), FIELD(config_sip_interface, registration), .fallback = "off", USED(CP, CP),
	  CHOICES({ "off", CONFIG_REGISTRATION_OFF }, { "relay", CONFIG_REGISTRATION_RELAY }, { "cache", CONFIG_REGISTRATION_CACHE }),
	  HELP("REGISTER: refused, passed on, or answered from cache where possible.") },
	{ .name = "allow-anonymous", T(ENUM), FIELD(config_sip_interface, allow_anonymous), .fallback = "registered", USED(CP, CP),
	  CHOICES({ "all", CONFIG_ANONYMOUS_ALL }, { "registered", CONFIG_ANONYMOUS_REGISTERED }, { "agents", CONFIG_ANONYMOUS_AGENTS }),
	  HELP("Who may send requests here: anybody, registered phones and agents, or agents alone.") },
	{ .name = "authentication", T(ENUM), FIELD(config_sip_interface, authentication), .fallback = "relay", USED(CP, CP),
	  CHOICES({ "relay", CONFIG_AUTHENTICATION_RELAY }, { "local", CONFIG_AUTHENTICATION_LOCAL }),
	  HELP("Who asks phones for their passwords: the registrar behind us, or this box from its own users (`sallyport subscriber`).") },
	{ .name = "manipulation-in", T(REFERENCE), FIELD(config_sip_interface, manipulation_in), .target = "sip-manipulation",
	  USED(CP, NOT_YET), HELP("Header rules for what comes in.") },
	{ .name = "manipulation-out", T(REFERENCE), FIELD(config_sip_interface, manipulation_out), .target = "sip-manipulation",
	  USED(CP, NOT_YET), HELP("Header rules for what goes out.") },
};

static const struct config_row registration_rows[] = {
	{ .name = "phone-expires-udp", T(SECONDS), FIELD(config_registration, phone_expires_udp), .fallback = "60", RANGE(10, DAY),
	  USED(CP, CP), HELP("Expiry given to phones on UDP: short enough for their NAT.") },
	{ .name = "phone-expires-stream", T(SECONDS), FIELD(config_registration, phone_expires_stream), .fallback = "600", RANGE(10, DAY),
	  USED(CP, CP), HELP("Expiry given to phones on TCP, TLS and WebSocket.") },
	{ .name = "upstream-expires", T(SECONDS), FIELD(config_registration, upstream_expires), .fallback = "3600", RANGE(60, 7 * DAY),
	  USED(CP, CP), HELP("Expiry we ask the registrar for.") },
	{ .name = "keep-alive", T(ENUM), FIELD(config_registration, keep_alive), .fallback = "adaptive", USED(CP, CP),
	  CHOICES({ "off", CONFIG_KEEP_ALIVE_OFF }, { "crlf", CONFIG_KEEP_ALIVE_CRLF }, { "options", CONFIG_KEEP_ALIVE_OPTIONS },
	  { "adaptive", CONFIG_KEEP_ALIVE_ADAPTIVE }), HELP("What keeps a phone's NAT open.") },
	{ .name = "keep-alive-interval", T(SECONDS), FIELD(config_registration, keep_alive_interval), .fallback = "25", RANGE(5, 3600),
	  USED(CP, CP), HELP("How often; where `adaptive` begins.") },
	{ .name = "per-source-rate", T(UINT), FIELD(config_registration, per_source_rate), .fallback = "5", RANGE(1, 100000), .unit = "per second",
	  USED(CP, CP), HELP("REGISTER requests taken from one source.") },
	{ .name = "per-aor-rate", T(UINT), FIELD(config_registration, per_aor_rate), .fallback = "1", RANGE(1, 100000), .unit = "per second",
	  USED(CP, CP), HELP("REGISTER requests taken for one address of record.") },
	{ .name = "per-realm-rate", T(UINT), FIELD(config_registration, per_realm_rate), .fallback = "0", RANGE(0, 1000000), .unit = "per second",
	  USED(CP, CP), HELP("REGISTER requests taken from all phones of one realm that are not answered from cache; 0: no limit.") },
	{ .name = "upstream-rate", T(UINT), FIELD(config_registration, upstream_rate), .fallback = "200", RANGE(1, 1000000), .unit = "per second",
	  USED(CP, CP), HELP("REGISTER requests sent to the registrar.") },
	{ .name = "max-contacts", T(UINT), FIELD(config_registration, max_contacts), .fallback = "10", RANGE(1, 1000), USED(CP, CP),
	  HELP("Contacts of one address of record.") },
	{ .name = "nonce-lifetime", T(SECONDS), FIELD(config_registration, nonce_lifetime), .fallback = "300", RANGE(10, DAY), USED(CP, CP),
	  HELP("How long a challenge of our own (`authentication = local`) may be answered; then a new one is sent with stale=true.") },
	{ .name = "max-bindings", T(UINT), FIELD(config_registration, max_bindings), .fallback = "200000", RANGE(1, 10000000), USED(CP, CP),
	  HELP("Contacts of all phones together.") },
	{ .name = "hold", T(MILLISECONDS), FIELD(config_registration, hold_ms), .fallback = "2s", RANGE(10, 10000), USED(CP, CP),
	  HELP("How long a REGISTER may wait here for its turn to go to the registrar (`upstream-rate`); else the phone is told when to come again.") },
	{ .name = "min-expires", T(SECONDS), FIELD(config_registration, min_expires), .fallback = "10", RANGE(1, 3600), USED(CP, CP),
	  HELP("Phones that ask for less are answered 423 (Interval Too Brief).") },
	{ .name = "silent", T(BOOL), FIELD(config_registration, silent), .fallback = "no", USED(CP, CP),
	  HELP("Phones over `per-source-rate` get no answer instead of 503 with Retry-After.") },
};

static const struct config_row session_agent_rows[] = {
	{ .name = "realm", T(REFERENCE), REQUIRED, FIELD(config_session_agent, realm), .target = "realm", USED(CP, CP),
	  HELP("The realm it is in.") },
	{ .name = "address", T(ENDPOINT), REQUIRED, FIELD(config_session_agent, address), USED(CP, CP), .works = "udp:* tcp:* tls:*",
	  HELP("Its transport, address or name, and port. A name without port is looked up as RFC 3263 says: SRV, else A and AAAA; with a port "
	       "A and AAAA alone. NAPTR is not asked, the transport is said here.") },
	{ .name = "ip-profile", T(REFERENCE), FIELD(config_session_agent, ip_profile), .target = "ip-profile", USED(CP, CP),
	  HELP("How it behaves; not written: as the sip-interface says.") },
	{ .name = "tls-profile", T(REFERENCE), FIELD(config_session_agent, tls_profile), .target = "tls-profile", USED(CP, CP),
	  HELP("Certificates and authorities of connections to it; not written: the sip-interface's.") },
	{ .name = "options-interval", T(SECONDS), FIELD(config_session_agent, options_interval), .fallback = "0", RANGE(0, 3600),
	  USED(CP, CP), HELP("How often OPTIONS asks whether it is alive; while it does not answer, no calls go there. 0: never.") },
	{ .name = "max-sessions", T(UINT), FIELD(config_session_agent, max_sessions), .fallback = "0", RANGE(0, 1000000),
	  USED(CP, CP), HELP("Calls with it at one time, both directions together; 0: no limit.") },
	{ .name = "max-rate", T(UINT), FIELD(config_session_agent, max_rate), .fallback = "0", RANGE(0, 100000), .unit = "per second",
	  USED(CP, CP), HELP("New calls to it; 0: no limit.") },
	{ .name = "username", T(STRING), FIELD(config_session_agent, username), RANGE(0, 128), USED(CP, CP),
	  HELP("Our name when it asks for one.") },
	{ .name = "password", T(SECRET), FIELD(config_session_agent, password), RANGE(0, 255), USED(CP, CP),
	  HELP("The password that goes with it, or `file:/path` of a file that holds it.") },
	{ .name = "tls-subject", T(STRINGS), FIELD(config_session_agent, tls_subject), RANGE(1, 253), USED(CP, CP),
	  HELP("Names of its certificate (RFC 5922: DNS names and sip: domains, IP addresses; no wildcards), one of which it must show to be this "
	       "agent, whatever address it comes from. Not written: the host of `address`, for agents that speak TLS.") },
	{ .name = "register", T(BOOL), FIELD(config_session_agent, do_register), .fallback = "no", USED(CP, NOT_YET), .works = "no",
	  HELP("Register with it as `username`.") },
};

static const struct config_row session_group_rows[] = {
	{ .name = "agents", T(REFERENCES), REQUIRED, PAIR(config_session_group, agents, agent_count), .target = "session-agent",
	  USED(CP, CP), HELP("The members, in order.") },
	{ .name = "strategy", T(ENUM), FIELD(config_session_group, strategy), .fallback = "hunt", USED(CP, CP),
	  CHOICES({ "hunt", CONFIG_STRATEGY_HUNT }, { "round-robin", CONFIG_STRATEGY_ROUND_ROBIN },
	  { "least-busy", CONFIG_STRATEGY_LEAST_BUSY }), HELP("Which member is tried first.") },
	{ .name = "retry-on", T(UINTS), PAIR(config_session_group, retry_on, retry_on_count), .fallback = "408, 503, 504", RANGE(300, 699),
	  USED(CP, CP), HELP("Answers upon which the next member is tried; no answer at all counts as 408, an unreachable one as 503.") },
	{ .name = "attempt-timeout", T(MILLISECONDS), FIELD(config_session_group, attempt_timeout_ms), .fallback = "8s", RANGE(100, 64000),
	  USED(CP, CP), HELP("A member that has not answered anything by then, not even 100, counts as 408 while there is another to try.") },
};

static const struct config_row local_policy_rows[] = {
	{ .name = "from-realm", T(REFERENCE), FIELD(config_local_policy, from_realm), .target = "realm", USED(CP, CP),
	  HELP("Only calls that come from there; not written: from anywhere.") },
	{ .name = "from", T(REGEX), PAIR(config_local_policy, from, from_regex), RANGE(0, CONFIG_PATTERN_LENGTH_MAX), USED(CP, CP),
	  HELP("Pattern for the user part of From; empty: any.") },
	{ .name = "to", T(REGEX), PAIR(config_local_policy, to, to_regex), .fallback = ".*", RANGE(0, CONFIG_PATTERN_LENGTH_MAX), USED(CP, CP),
	  HELP("Pattern for the user part of the Request-URI.") },
	{ .name = "next-hop", T(NEXT_HOP), REQUIRED, FIELD(config_local_policy, next_hop), USED(CP, CP),
	  HELP("Where the call goes: a session-agent, a session-group, or the registered phone.") },
	{ .name = "priority", T(UINT), FIELD(config_local_policy, priority), .fallback = "100", RANGE(0, 65535), USED(CP, CP),
	  HELP("Policies are tried from the lowest; equal ones in the order of the file.") },
	{ .name = "emergency", T(BOOL), FIELD(config_local_policy, emergency), .fallback = "no", USED(CP, NOT_YET), .works = "no",
	  HELP("Emergency calls: no limit stops them.") },
	{ .name = "translation", T(REFERENCE), FIELD(config_local_policy, translation), .target = "translation", USED(CP, NOT_YET),
	  HELP("Changes numbers of calls that go this way.") },
};

static const struct config_row translation_rows[] = {
	{ .name = "match", T(REGEX), REQUIRED, PAIR(config_translation, match, match_regex), RANGE(1, CONFIG_PATTERN_LENGTH_MAX), USED(CP, NOT_YET),
	  HELP("Pattern for the number.") },
	{ .name = "replace", T(STRING), FIELD(config_translation, replace), RANGE(0, 255), USED(CP, NOT_YET),
	  HELP("What it becomes; `\\\\1` to `\\\\9` are the pattern's groups.") },
	{ .name = "apply", T(DIRECTIONS), PAIR(config_translation, apply_from, apply_to), .fallback = "to", USED(CP, NOT_YET),
	  CHOICES({ "from", 1 }, { "to", 2 }, { "both", 3 }), HELP("Which number: the caller's, the called one, both.") },
};

static const struct config_row rule_rows[] = {
	{ .name = "action", T(ENUM), REQUIRED, FIELD(config_manipulation_rule, action), USED(CP, NOT_YET),
	  CHOICES({ "add", CONFIG_MANIPULATION_ADD }, { "delete", CONFIG_MANIPULATION_DELETE },
	  { "replace", CONFIG_MANIPULATION_REPLACE }), HELP("What is done.") },
	{ .name = "header", T(STRING), REQUIRED, FIELD(config_manipulation_rule, header), RANGE(1, 64), USED(CP, NOT_YET),
	  HELP("The header's name.") },
	{ .name = "match", T(REGEX), PAIR(config_manipulation_rule, match, match_regex), RANGE(0, CONFIG_PATTERN_LENGTH_MAX), USED(CP, NOT_YET),
	  HELP("Only where the value matches this pattern; empty: always.") },
	{ .name = "value", T(STRING), FIELD(config_manipulation_rule, value), RANGE(0, 255), USED(CP, NOT_YET),
	  HELP("What is added or put in place; `\\\\1` to `\\\\9` are the pattern's groups.") },
};

static const struct config_row admission_rows[] = {
	{ .name = "local-policy", T(REFERENCE), REQUIRED, FIELD(config_admission, local_policy), .target = "local-policy", USED(CP, CP),
	  HELP("The policy whose calls are limited.") },
	{ .name = "match", T(REGEX), PAIR(config_admission, match, match_regex), RANGE(0, CONFIG_PATTERN_LENGTH_MAX), USED(CP, CP),
	  HELP("Pattern for the called number; empty: any. The first admission of a policy that matches holds.") },
	{ .name = "max-sessions", T(UINT), FIELD(config_admission, max_sessions), .fallback = "0", RANGE(0, 1000000), USED(CP, CP),
	  HELP("Calls of one user at one time: of an address of record, else of a source; more are answered 503. 0: no limit.") },
	{ .name = "max-rate", T(UINT), FIELD(config_admission, max_rate), .fallback = "0", RANGE(0, 100000), .unit = "per second",
	  USED(CP, CP), HELP("New calls of one user; more are answered 503. 0: no limit.") },
	{ .name = "max-unusual", T(UINT), FIELD(config_admission, max_unusual), .fallback = "0", RANGE(0, 100000), .unit = "per hour",
	  USED(CP, CP), HELP("Destinations (first six characters of the number) that a user calls for the first time; calls to more are answered 403. "
	  "0: no limit.") },
	{ .name = "max-duration", T(SECONDS), FIELD(config_admission, max_duration), .fallback = "0", RANGE(0, 30 * DAY), USED(CP, CP),
	  HELP("Longer calls are hung up; 0: no limit.") },
	{ .name = "permit", T(BOOL), FIELD(config_admission, permit), .fallback = "yes", USED(CP, CP),
	  HELP("`no` forbids these destinations.") },
};

static const struct config_row access_control_rows[] = {
	{ .name = "realm", T(REFERENCE), REQUIRED, FIELD(config_access_control, realm), .target = "realm", USED(DP, DP),
	  HELP("Where it applies.") },
	{ .name = "source", T(PREFIX), REQUIRED, FIELD(config_access_control, source), USED(DP, DP), HELP("Whose packets.") },
	{ .name = "action", T(FLAG), REQUIRED, FIELD(config_access_control, permit), USED(DP, DP),
	  CHOICES({ "deny", 0 }, { "permit", 1 }), HELP("What becomes of them.") },
	{ .name = "trust", T(ENUM), FIELD(config_access_control, trust), .fallback = "untrusted", USED(DP, DP),
	  CHOICES({ "untrusted", CONFIG_TRUST_UNTRUSTED }, { "trusted", CONFIG_TRUST_TRUSTED }), HELP("The trust they get.") },
	{ .name = "rate", T(UINT), FIELD(config_access_control, rate), .fallback = "0", RANGE(0, 1000000), .unit = "per second",
	  USED(DP, DP), HELP("SIP packets of each source; 0: what trust gives it: none if trusted, else the guard's `untrusted-rate`.") },
};

static const struct config_row guard_rows[] = {
	{ .name = "mode", T(ENUM), FIELD(config_guard, mode), .fallback = "enforce", USED(CP, CP),
	  CHOICES({ "enforce", CONFIG_GUARD_ENFORCE }, { "watch", CONFIG_GUARD_WATCH }),
	  HELP("`watch`: signs are counted and shown, and nobody is silenced or denied.") },
	{ .name = "scanner-agents", T(STRINGS), FIELD(config_guard, scanner_agents),
	  .fallback = "friendly-scanner, sipcli, sipvicious, VaxSIPUserAgent", RANGE(1, 64), USED(CP, CP),
	  HELP("Beginnings of User-Agent that scanners are known by.") },
	{ .name = "failures-per-minute", T(UINT), FIELD(config_guard, failures_per_minute), .fallback = "10", RANGE(1, 10000),
	  USED(CP, CP), HELP("Failed requests of one source before it is denied.") },
	{ .name = "deny-time", T(SECONDS), FIELD(config_guard, deny_time), .fallback = "600", RANGE(1, 30 * DAY), USED(CP, CP),
	  HELP("How long it is denied the first time; doubles every time.") },
	{ .name = "deny-time-max", T(SECONDS), FIELD(config_guard, deny_time_max), .fallback = "86400", RANGE(1, 365 * DAY),
	  USED(CP, CP), HELP("Longest denial.") },
	{ .name = "untrusted-rate", T(UINT), FIELD(config_guard, untrusted_rate), .fallback = "20", RANGE(1, 1000000), .unit = "per second",
	  USED(DP, DP), HELP("SIP packets taken from one untrusted source.") },
	{ .name = "untrusted-burst", T(UINT), FIELD(config_guard, untrusted_burst), .fallback = "40", RANGE(1, 1000000), .unit = "packets",
	  USED(DP, DP), HELP("Packets it may send at once.") },
	{ .name = "stream-rate", T(UINT), FIELD(config_guard, stream_rate), .fallback = "400", RANGE(1, 1000000), .unit = "per second",
	  USED(DP, DP), HELP("TCP segments and later fragments taken from one untrusted source.") },
	{ .name = "syn-rate", T(UINT), FIELD(config_guard, syn_rate), .fallback = "10", RANGE(1, 1000000), .unit = "per second",
	  USED(DP, DP), HELP("TCP connection attempts taken from one untrusted source.") },
	{ .name = "untrusted-class-rate", T(UINT), FIELD(config_guard, untrusted_class_rate), .fallback = "20000", RANGE(0, 100000000),
	  .unit = "per second", USED(DP, DP), HELP("Packets taken from all untrusted sources together; 0: no limit.") },
	{ .name = "trusted-class-rate", T(UINT), FIELD(config_guard, trusted_class_rate), .fallback = "0", RANGE(0, 100000000),
	  .unit = "per second", USED(DP, DP), HELP("Packets taken from all trusted sources together; 0: no limit.") },
	{ .name = "syn-class-rate", T(UINT), FIELD(config_guard, syn_class_rate), .fallback = "2000", RANGE(0, 100000000),
	  .unit = "per second", USED(DP, DP), HELP("TCP connection attempts taken from all untrusted sources together; 0: no limit.") },
	{ .name = "link-rate", T(UINT), FIELD(config_guard, link_rate), .fallback = "5000", RANGE(0, 100000000), .unit = "per second",
	  USED(DP, DP), HELP("ARP and neighbour discovery to us alone, the same to all, and what else is not IP: so many of each, from each interface; 0: no limit.") },
	{ .name = "max-bans", T(UINT), FIELD(config_guard, max_bans), .fallback = "1000000", RANGE(1024, 10000000), USED(DP, DP), RESTART,
	  HELP("Bans at one time; when there are more, denials of sources that have not shown that they are there are lifted, then those that end soonest; "
	  "never one by order.") },
	{ .name = "max-trusted", T(UINT), FIELD(config_guard, max_trusted), .fallback = "200000", RANGE(1024, 10000000), USED(DP, DP),
	  RESTART, HELP("Flows of registered phones and other trusted sources at one time; strangers cannot push them out.") },
	{ .name = "max-sources", T(UINT), FIELD(config_guard, max_sources), .fallback = "262144", RANGE(1024, 16777216), USED(DP, DP),
	  RESTART, HELP("Untrusted sources whose rates are remembered; when there are more, those silent for longest are forgotten.") },
	{ .name = "silent", T(BOOL), FIELD(config_guard, silent), .fallback = "yes", USED(CP, CP),
	  HELP("Strangers get no answer that tells them that SIP is spoken here: who is neither registered nor an agent nor in a trusted realm or "
	  "network. A REGISTER that looks like a phone's is relayed all the same.") },
	{ .name = "unproven-deny-time", T(SECONDS), FIELD(config_guard, unproven_deny_time), .fallback = "60", RANGE(1, DAY), USED(CP, CP),
	  HELP("Like `deny-time` for a source that has not shown that the address it sends from is its own; always the same, and holds for what comes "
	  "from its one port by UDP.") },
	{ .name = "unproven-deny-rate", T(UINT), FIELD(config_guard, unproven_deny_rate), .fallback = "200", RANGE(1, 1000000),
	  .unit = "per second", USED(CP, CP), HELP("Denials of such sources; those over it are only not answered.") },
	{ .name = "alarm-rate", T(UINT), FIELD(config_guard, alarm_rate), .fallback = "100", RANGE(1, 1000000), .unit = "per minute",
	  USED(CP, CP), HELP("An alarm is raised when so many sources are denied, and ends when they are half as many.") },
	{ .name = "max-tracked", T(UINT), FIELD(config_guard, max_tracked), .fallback = "65536", RANGE(1024, 16777216), USED(CP, CP), RESTART,
	  HELP("Sources, flows and users whose signs are remembered; when there are more, those with the fewest points give way.") },
	{ .name = "registered-rate", T(UINT), FIELD(config_guard, registered_rate), .fallback = "200", RANGE(0, 1000000),
	  .unit = "per second", USED(CP, CP), HELP("SIP packets taken from the flow of a registered phone; 0: no limit.") },
};

static const struct config_row store_rows[] = {
	{ .name = "queue", T(UINT), FIELD(config_store, queue), .fallback = "200000", RANGE(1000, 10000000), .unit = "changes", USED(CP, CP), RESTART,
	  HELP("Changes of bindings, bans and users that may wait for the disk; more are lost, and counted.") },
	{ .name = "group-time", T(MILLISECONDS), FIELD(config_store, group_time_ms), .fallback = "100ms", RANGE(1, 10000), USED(CP, CP), RESTART,
	  HELP("Changes of so long are written together: a crash loses no more than these.") },
	{ .name = "audit-entries", T(UINT), FIELD(config_store, audit_entries), .fallback = "100000", RANGE(100, 10000000), USED(CP, CP), RESTART,
	  HELP("Entries of who ordered what; older ones are deleted.") },
};

static const struct config_row accounting_rows[] = {
	{ .name = "database", T(BOOL), FIELD(config_accounting, database), .fallback = "yes", USED(CP, NOT_YET),
	  HELP("Keep call records in the database.") },
	{ .name = "file", T(STRING), FIELD(config_accounting, file), RANGE(0, 255), USED(CP, NOT_YET),
	  HELP("Also write them to this file, an absolute path; empty: do not.") },
	{ .name = "interim", T(SECONDS), FIELD(config_accounting, interim), .fallback = "0", RANGE(0, DAY), USED(CP, NOT_YET),
	  HELP("Interval of interim records of long calls; 0: none.") },
	{ .name = "keep-days", T(UINT), FIELD(config_accounting, keep_days), .fallback = "90", RANGE(1, 3650), .unit = "days",
	  USED(CP, NOT_YET), HELP("Age at which records are deleted.") },
};

static const struct config_row trace_rows[] = {
	{ .name = "calls", T(UINT), FIELD(config_trace, calls), .fallback = "1000", RANGE(0, 1000000), USED(CP, NOT_YET),
	  HELP("Recent calls whose messages are kept; 0: none.") },
	{ .name = "hep", T(STRING), FIELD(config_trace, hep), RANGE(0, 255), USED(CP, NOT_YET),
	  HELP("HEP collector, as `udp:ADDRESS:PORT`; empty: none.") },
};

static const struct config_row snmp_rows[] = {
	{ .name = "agentx", T(STRING), FIELD(config_snmp, agentx), .fallback = "/var/agentx/master", RANGE(1, 107), USED(MG, NOT_YET),
	  HELP("Socket of the SNMP daemon, an absolute path.") },
	{ .name = "enabled", T(BOOL), FIELD(config_snmp, enabled), .fallback = "no", USED(MG, NOT_YET), .works = "no",
	  HELP("Answer SNMP through it.") },
};

static const struct config_row metrics_rows[] = {
	{ .name = "listen", T(LISTEN), USED(MG, NOT_YET),
	  HELP("Where Prometheus and browsers may look, ADDRESS:PORT; empty: nowhere.") },
};

static const struct config_row ssh_rows[] = {
	{ .name = "listen", T(LISTEN), USED(MG, NOT_YET), HELP("Where the shell is served, ADDRESS:PORT; empty: nowhere.") },
};

static const struct config_row user_rows[] = {
	{ .name = "role", T(ENUM), REQUIRED, FIELD(config_user, role), USED(MG, NOT_YET),
	  CHOICES({ "monitor", CONFIG_ROLE_MONITOR }, { "operator", CONFIG_ROLE_OPERATOR }, { "admin", CONFIG_ROLE_ADMIN }),
	  HELP("May look; may also act on calls and bans; may also change the configuration.") },
	{ .name = "keys", T(STRINGS), FIELD(config_user, keys), RANGE(1, 2048), USED(MG, NOT_YET),
	  HELP("SSH public keys, as in an authorized_keys file.") },
	{ .name = "password-hash", T(SECRET), FIELD(config_user, password_hash), RANGE(0, 255), USED(MG, NOT_YET),
	  HELP("crypt(3) hash of the password, or `file:/path`; empty: keys alone.") },
};

#define ROWS(r)           .rows = (r), .row_count = sizeof(r) / sizeof((r)[0])
#define ONE(field)        .offset = offsetof(struct config, field), .size = sizeof(((struct config *)0)->field)
#define MANY(list)        .named = true, .offset = offsetof(struct config, list), .count_offset = offsetof(struct config, list##_count), \
			  .size = sizeof(*((struct config *)0)->list)

static const struct config_section rule_section = {
	.name = "rule", .named = true, .offset = offsetof(struct config_sip_manipulation, rules),
	.count_offset = offsetof(struct config_sip_manipulation, rule_count), .size = sizeof(struct config_manipulation_rule),
	ROWS(rule_rows), HELP("One change of one header; rules are carried out in the order of the file."),
};

const struct config_section config_sections[] = {
	{ .name = "system", ONE(system), ROWS(system_rows), HELP("The system as a whole.") },
	{ .name = "media-manager", ONE(media_manager), ROWS(media_manager_rows), HELP("The packet workers.") },
	{ .name = "sip-config", ONE(sip), ROWS(sip_config_rows), HELP("Limits and timers of SIP.") },
	{ .name = "network-interface", MANY(network_interfaces), ROWS(network_interface_rows),
	  .name_max = 12, .name_characters = "abcdefghijklmnopqrstuvwxyz0123456789-",
	  HELP("A network port with our addresses. Its mirror in the kernel is called `sp-` and its name.") },
	{ .name = "realm", MANY(realms), ROWS(realm_rows), HELP("A network of peers that are treated alike.") },
	{ .name = "steering-pool", MANY(steering_pools), ROWS(steering_pool_rows), HELP("Media addresses and ports of a realm.") },
	{ .name = "tls-profile", MANY(tls_profiles), ROWS(tls_profile_rows), HELP("Certificates and TLS settings.") },
	{ .name = "ip-profile", MANY(ip_profiles), ROWS(ip_profile_rows),
	  HELP("How a kind of peer behaves. The session-agent's holds before the sip-interface's.") },
	{ .name = "sip-interface", MANY(sip_interfaces), ROWS(sip_interface_rows), HELP("Where SIP is spoken.") },
	{ .name = "registration", ONE(registration), ROWS(registration_rows), HELP("Registration of phones.") },
	{ .name = "session-agent", MANY(session_agents), ROWS(session_agent_rows), HELP("A SIP peer we know: a PBX, a carrier's SBC.") },
	{ .name = "session-group", MANY(session_groups), ROWS(session_group_rows), HELP("Several session-agents for one purpose.") },
	{ .name = "local-policy", MANY(local_policies), ROWS(local_policy_rows), HELP("Which calls go where.") },
	{ .name = "translation", MANY(translations), ROWS(translation_rows), HELP("A change of numbers.") },
	{ .name = "sip-manipulation", MANY(sip_manipulations), .child = &rule_section, HELP("Header rules; its rules are sections inside it.") },
	{ .name = "admission", MANY(admissions), ROWS(admission_rows), HELP("Limits of the calls a policy routes.") },
	{ .name = "access-control", MANY(access_controls), ROWS(access_control_rows), HELP("Packets let in or refused by their source.") },
	{ .name = "guard", ONE(guard), ROWS(guard_rows), HELP("Defence against scanners and floods.") },
	{ .name = "store", ONE(store), ROWS(store_rows), HELP("What outlives a restart: DATA-DIRECTORY/controlplane.db.") },
	{ .name = "accounting", ONE(accounting), ROWS(accounting_rows), HELP("Call records.") },
	{ .name = "trace", ONE(trace), ROWS(trace_rows), HELP("Messages of recent calls.") },
	{ .name = "snmp", ONE(snmp), ROWS(snmp_rows), HELP("SNMP.") },
	{ .name = "metrics", ONE(metrics), ROWS(metrics_rows), HELP("Prometheus metrics and the status page.") },
	{ .name = "ssh", ONE(ssh), ROWS(ssh_rows), HELP("The shell.") },
	{ .name = "user", MANY(users), ROWS(user_rows), .name_max = 32, .name_characters = "abcdefghijklmnopqrstuvwxyz0123456789-_",
	  HELP("Who may log in.") },
};
/* clang-format on */

const size_t config_section_count = sizeof(config_sections) / sizeof(config_sections[0]);
