/* SPDX-License-Identifier: BSD-3-Clause */
/* The typed configuration: what the daemons read. Immutable once loaded; references are resolved pointers into the same
 * model. Names, units and defaults are those of the schema (config/schema.c, docs/configuration.md). */
#ifndef CONFIG_MODEL_H
#define CONFIG_MODEL_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platforms/base/address.h"
#include "platforms/base/log.h"

struct config_strings {
	char **item;
	size_t count;
};

enum config_transport {
	CONFIG_TRANSPORT_UDP,
	CONFIG_TRANSPORT_TCP,
	CONFIG_TRANSPORT_TLS,
	CONFIG_TRANSPORT_WS,
	CONFIG_TRANSPORT_WSS
};

struct config_endpoint { /* "udp:10.0.0.5:5060", "tls:sip.itsp.example" */
	enum config_transport transport;
	union address address; /* not set when `host` is a name to be resolved */
	char *host; /* as written, without brackets */
	uint16_t port; /* 0 = the transport's default or SRV */
};

struct config_system {
	char *name, *location, *contact;
	char *data_directory, *run_directory;
	enum log_level log_level;
	char *user;
	unsigned commands_kept, revisions_kept;
};

enum config_poll { CONFIG_POLL_ADAPTIVE, CONFIG_POLL_BUSY };

struct config_media_manager {
	unsigned *workers; /* CPU numbers */
	size_t worker_count;
	enum config_poll poll;
	bool memory_auto;
	unsigned memory_mib; /* when not auto */
	unsigned max_sessions;
	unsigned idle_timeout, initial_timeout, relatch_silence; /* seconds */
};

/* Limits and timers of SIP (RFC 3261 section 17 and table 4); milliseconds where the name says so. */
struct config_sip {
	unsigned shards;
	unsigned t1_ms, t2_ms, t4_ms, timer_b_ms, timer_c_ms, timer_d_ms, trying_delay_ms;
	unsigned min_session_timer; /* seconds */
	unsigned max_message_udp, max_header_block, max_body, max_header, max_identity_header;
	unsigned max_headers, max_separators, max_via;
	unsigned max_transactions, max_calls; /* per shard */
	unsigned max_subscriptions, max_subscriptions_per_source, max_routed_requests; /* likewise */
	unsigned subscription_max_expires; /* seconds */
	unsigned max_redirects; /* of one call */
	unsigned max_dialog_requests; /* under way, of one peer in one dialog */
	unsigned relay_timeout_ms;
	struct config_strings event_packages, info_packages;
	unsigned max_sdp_lines, max_sdp_media;
	unsigned stateless_rate; /* answers per second and shard; 0 = no limit */
	unsigned receive_buffer; /* bytes per socket */
	unsigned stream_max_connections, stream_max_per_source; /* of all shards together */
	unsigned stream_accept_rate; /* per second; 0 = no limit */
	unsigned stream_idle_timeout, stream_first_byte_timeout, stream_message_timeout; /* seconds */
	unsigned stream_connect_timeout_ms;
	unsigned stream_queue, stream_memory; /* bytes per connection, per shard */
	unsigned stream_keep_alive; /* seconds; 0 = none */
	unsigned tls_handshake_timeout_ms, tls_handshake_rate, tls_handshake_bytes, tls_max_handshakes;
	unsigned udp_request_limit; /* bytes; 0 = all requests may go by UDP */
	unsigned tcp_absent_time; /* seconds */
	struct config_strings dns_servers; /* ADDRESS or ADDRESS:PORT; none: those of resolv.conf(5) */
	unsigned dns_timeout_ms, dns_max_addresses;
	unsigned dns_min_ttl, dns_max_ttl, dns_stale_time, dns_retry; /* seconds */
	unsigned test_timeout_ms;
	unsigned address_timeout_ms;
	unsigned drain_time; /* seconds */
	char *user_agent; /* what we call ourselves in User-Agent/Server; "" = say nothing */
};

enum config_port_kind { CONFIG_PORT_PCI, CONFIG_PORT_XDP, CONFIG_PORT_PACKET };

struct config_network_interface {
	char *name; /* <= 12 characters: "sp-" + name is a Linux interface name */
	enum config_port_kind port_kind;
	char *port; /* PCI address or kernel interface name, without the kind */
	unsigned vlan;
	struct prefix *addresses;
	size_t address_count;
	union address gateway, gateway6; /* not set = none */
	unsigned dscp_signalling;
};

enum config_trust { CONFIG_TRUST_UNTRUSTED, CONFIG_TRUST_TRUSTED };

struct config_realm {
	char *name;
	const struct config_network_interface *network_interface;
	enum config_trust trust;
	unsigned dscp_media;
	unsigned media_rate; /* kbit/s; 0 = no limit */
};

struct config_steering_pool {
	char *name;
	const struct config_realm *realm;
	union address address; /* port 0 */
	uint16_t port_first, port_last;
};

struct config_tls_profile {
	char *name, *certificate, *key, *second_certificate, *second_key, *ca,
		*crl; /* files; "" or NULL = none */
	struct config_strings server_names, pins;
	char *ciphers, *cipher_suites, *curves;
	bool verify_peer, verify_server, session_tickets;
	unsigned session_ticket_lifetime; /* seconds */
	enum { CONFIG_TLS_1_2, CONFIG_TLS_1_3 } minimum_version;
};

enum config_nat { CONFIG_NAT_AUTO, CONFIG_NAT_ALWAYS, CONFIG_NAT_NEVER };
enum config_latching { CONFIG_LATCHING_FIXED, CONFIG_LATCHING_LATCH, CONFIG_LATCHING_RELATCH };
enum config_media_security {
	CONFIG_MEDIA_SECURITY_NONE,
	CONFIG_MEDIA_SECURITY_PREFER,
	CONFIG_MEDIA_SECURITY_REQUIRE
};
enum config_session_timer_mode {
	CONFIG_SESSION_TIMER_OFF,
	CONFIG_SESSION_TIMER_SUPPORTED,
	CONFIG_SESSION_TIMER_REQUIRE
};
enum config_relay { CONFIG_RELAY, CONFIG_TERMINATE };
enum config_sips { CONFIG_SIPS_STRICT, CONFIG_SIPS_TERMINATE };
enum config_redirect { CONFIG_REDIRECT_RECURSE, CONFIG_REDIRECT_RELAY };
enum config_privacy { CONFIG_PRIVACY_RELAY, CONFIG_PRIVACY_APPLY, CONFIG_PRIVACY_REMOVE };
enum config_diversion {
	CONFIG_DIVERSION_RELAY,
	CONFIG_DIVERSION_HISTORY_INFO,
	CONFIG_DIVERSION_DIVERSION,
	CONFIG_DIVERSION_DROP
};

enum config_registration_contact { CONFIG_CONTACT_OWN, CONFIG_CONTACT_PATH };

struct config_ip_profile {
	char *name;
	enum config_nat nat;
	enum config_latching latching;
	enum config_media_security media_security;
	bool srtp_without_tls;
	struct config_strings crypto_suites, codecs_allow, codecs_order;
	struct config_strings headers_pass, bodies_pass; /* towards this side */
	struct config_strings headers_drop; /* from this side */
	unsigned session_timer; /* seconds */
	enum config_session_timer_mode session_timer_mode;
	enum config_relay transfer;
	enum config_sips sips;
	enum config_redirect redirect;
	char *early_media; /* value of the schema's enumeration */
	enum config_privacy privacy;
	enum config_diversion diversion;
	bool rtcp_mux, unsolicited_notify, session_id;
	enum config_registration_contact registration_contact; /* of a registrar */
	bool local_media, assert_identity;
	char *source_header, *agent_header; /* "" = none */
	unsigned max_call_duration; /* seconds; 0 = no limit */
};

enum config_registration_mode {
	CONFIG_REGISTRATION_OFF,
	CONFIG_REGISTRATION_RELAY,
	CONFIG_REGISTRATION_CACHE
};
enum config_authentication { CONFIG_AUTHENTICATION_RELAY, CONFIG_AUTHENTICATION_LOCAL };
enum config_anonymous { CONFIG_ANONYMOUS_ALL, CONFIG_ANONYMOUS_REGISTERED, CONFIG_ANONYMOUS_AGENTS };

struct config_sip_interface {
	char *name;
	const struct config_realm *realm;
	struct config_endpoint *listen;
	size_t listen_count;
	const struct config_tls_profile *tls_profile; /* or NULL */
	const struct config_tls_profile **sni_profiles;
	size_t sni_profile_count;
	const struct config_ip_profile
		*ip_profile; /* never NULL: the built-in default profile if none is named */
	enum config_registration_mode registration;
	enum config_anonymous allow_anonymous;
	enum config_authentication authentication;
	const struct config_sip_manipulation *manipulation_in, *manipulation_out; /* or NULL */
};

struct config_registration {
	unsigned phone_expires_udp, phone_expires_stream, upstream_expires;
	enum {
		CONFIG_KEEP_ALIVE_OFF,
		CONFIG_KEEP_ALIVE_CRLF,
		CONFIG_KEEP_ALIVE_OPTIONS,
		CONFIG_KEEP_ALIVE_ADAPTIVE
	} keep_alive;
	unsigned keep_alive_interval, per_source_rate, per_aor_rate, per_realm_rate, upstream_rate,
		max_contacts;
	unsigned max_bindings;
	unsigned nonce_lifetime; /* seconds */
	unsigned hold_ms, min_expires; /* seconds */
	bool silent; /* over a rate: no answer instead of 503 */
};

struct config_session_agent {
	char *name;
	const struct config_realm *realm;
	struct config_endpoint address;
	const struct config_ip_profile *ip_profile; /* or NULL: the sip-interface's */
	const struct config_tls_profile *tls_profile; /* or NULL: the sip-interface's */
	unsigned options_interval, max_sessions, max_rate;
	char *username, *password;
	bool do_register;
	struct config_strings
		tls_subject; /* names and addresses that its certificate may have; none: its address */
};

struct config_session_group {
	char *name;
	const struct config_session_agent **agents;
	size_t agent_count;
	enum { CONFIG_STRATEGY_HUNT, CONFIG_STRATEGY_ROUND_ROBIN, CONFIG_STRATEGY_LEAST_BUSY } strategy;
	unsigned *retry_on; /* status codes */
	size_t retry_on_count;
	unsigned attempt_timeout_ms;
};

struct config_translation {
	char *name, *match, *replace;
	regex_t match_regex;
	bool apply_from, apply_to;
};

struct config_manipulation_rule {
	char *name;
	enum { CONFIG_MANIPULATION_ADD, CONFIG_MANIPULATION_DELETE, CONFIG_MANIPULATION_REPLACE } action;
	char *header, *match, *value;
	regex_t match_regex;
	bool has_match;
};

struct config_sip_manipulation {
	char *name;
	struct config_manipulation_rule *rules;
	size_t rule_count;
};

struct config_local_policy {
	char *name;
	const struct config_realm *from_realm; /* or NULL: any */
	char *from, *to; /* regular expressions on the user part */
	regex_t from_regex, to_regex;
	bool has_from;
	enum { CONFIG_NEXT_HOP_AGENT, CONFIG_NEXT_HOP_GROUP, CONFIG_NEXT_HOP_REGISTRATION } next_hop;
	const struct config_session_agent *agent;
	const struct config_session_group *group;
	unsigned priority; /* lowest first; equal: order in the file */
	bool emergency;
	const struct config_translation *translation; /* or NULL */
};

struct config_admission {
	char *name;
	const struct config_local_policy *local_policy;
	char *match;
	regex_t match_regex;
	unsigned max_sessions, max_rate, max_unusual, max_duration;
	bool permit;
};

struct config_access_control {
	char *name;
	const struct config_realm *realm;
	struct prefix source;
	bool permit;
	enum config_trust trust;
	unsigned rate;
};

struct config_guard {
	enum { CONFIG_GUARD_ENFORCE, CONFIG_GUARD_WATCH } mode;
	struct config_strings scanner_agents;
	unsigned failures_per_minute, deny_time, deny_time_max, untrusted_rate, untrusted_burst;
	unsigned stream_rate, syn_rate; /* of one source */
	unsigned untrusted_class_rate, trusted_class_rate, syn_class_rate, link_rate; /* 0 = no limit */
	unsigned max_bans, max_trusted, max_sources;
	unsigned unproven_deny_time, unproven_deny_rate, alarm_rate, max_tracked, registered_rate;
	bool silent;
};

struct config_store {
	unsigned queue, group_time_ms, audit_entries;
};

struct config_accounting {
	bool database;
	char *file;
	unsigned interim, interim_rate, keep_days;
};

struct config_trace {
	unsigned calls;
	char *hep;
};

struct config_snmp {
	char *agentx;
	bool enabled;
	unsigned traps_per_minute, trap_interval; /* seconds */
};

struct config_listen {
	bool enabled;
	union address address;
};

/* Percent. Between raise and clear an alarm stays what it is. */
struct config_alarms {
	unsigned in_use_raise, in_use_clear;
	unsigned disk_raise, disk_clear; /* what is left */
};

struct config_ssh {
	struct config_listen listen;
	unsigned idle_timeout; /* seconds */
	unsigned tries;
	char *banner;
};

enum config_role { CONFIG_ROLE_MONITOR, CONFIG_ROLE_OPERATOR, CONFIG_ROLE_ADMIN };

struct config_user {
	char *name;
	enum config_role role;
	struct config_strings keys;
	char *password_hash;
};

/* Arrays are in the order of the file; local_policies additionally sorted by priority (stable). */
#define CONFIG_LIST(type, name) \
	struct type *name;      \
	size_t name##_count
/* clang-format off */
struct config {
	struct config_system system;
	struct config_media_manager media_manager;
	struct config_sip sip;
	struct config_registration registration;
	struct config_guard guard;
	struct config_store store;
	struct config_accounting accounting;
	struct config_trace trace;
	struct config_snmp snmp;
	struct config_listen metrics;
	struct config_alarms alarms;
	struct config_ssh ssh;
	CONFIG_LIST(config_network_interface, network_interfaces);
	CONFIG_LIST(config_realm, realms);
	CONFIG_LIST(config_steering_pool, steering_pools);
	CONFIG_LIST(config_tls_profile, tls_profiles);
	CONFIG_LIST(config_ip_profile, ip_profiles);
	CONFIG_LIST(config_sip_interface, sip_interfaces);
	CONFIG_LIST(config_session_agent, session_agents);
	CONFIG_LIST(config_session_group, session_groups);
	CONFIG_LIST(config_local_policy, local_policies);
	CONFIG_LIST(config_translation, translations);
	CONFIG_LIST(config_sip_manipulation, sip_manipulations);
	CONFIG_LIST(config_admission, admissions);
	CONFIG_LIST(config_access_control, access_controls);
	CONFIG_LIST(config_user, users);
	struct config_private *private; /* lines, arena, default profile; of config/ alone */
};
/* clang-format on */
#undef CONFIG_LIST

/* Where messages go: one complete line each, "FILE:LINE: path: what is wrong, what is allowed", no newline. */
struct config_reporter {
	void (*report)(void *arg, bool is_error, const char *line);
	void *arg;
};

/* Reads, parses, validates. On success *out is a whole valid model (caller: config_free), warnings may have been reported.
 * -EINVAL: at least one error was reported and nothing is returned; -errno for a file that cannot be read (reported too).
 * `commit`: files that settings name must exist (errors), else their absence is a warning. */
int config_load(const char *file, bool commit, const struct config_reporter *reporter, struct config **out);
/* The same for text in memory (`name` stands for the file in messages; relative "file:" secrets as is). */
int config_load_text(const char *name, const char *text, size_t length, bool commit,
	const struct config_reporter *reporter, struct config **out);
void config_free(struct config *config);

/* Line of a setting: ("network-interface", "outside", "port"); `name` NULL for unnamed sections, `setting` NULL for the
 * section's own line. 0 when it is not written in the file (a default). */
unsigned config_line(const struct config *config, const char *section, const char *name, const char *setting);
const char *config_file(const struct config *config);
/* "FILE:LINE: section NAME.setting: text" into a log line at error level: how daemons report what only they can know
 * (a NIC that is missing). Returns -EINVAL for `return config_refuse(...)`. */
int config_refuse(const struct config *config, const char *section, const char *name, const char *setting,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Logs one notice for each setting that is written in the file, belongs to `daemon` and is not implemented by it yet. */
enum config_daemon { CONFIG_DATAPLANE = 1, CONFIG_CONTROLPLANE = 2, CONFIG_MGMT = 4 };
void config_log_unimplemented(const struct config *config, enum config_daemon daemon);

const struct config_realm *config_find_realm(const struct config *config, const char *name);
const struct config_network_interface *config_find_network_interface(
	const struct config *config, const char *name);

#endif
