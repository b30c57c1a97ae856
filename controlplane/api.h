/* SPDX-License-Identifier: BSD-3-Clause */
/* The control plane's one door: messages on RUN-DIRECTORY/controlplane.sock (framing: platforms/base/ipc.h). Fixed layout,
 * native byte order: what mgmt shows, and its orders. */
#ifndef CONTROLPLANE_API_H
#define CONTROLPLANE_API_H

#include <stdint.h>

enum {
	CP_API_VERSION = 7,
	CP_NAME_MAX = 64,
	CP_USER_MAX = 64,
	CP_ADDRESS_MAX = 56,
	CP_CALL_ID_MAX = 128,
	CP_LINE_MAX = 160,
	CP_BLOCK_PAGE = 64, /* samples in one answer */
	CP_GUARD_PAGE = 128,
	CP_REGISTRATION_PAGE = 32,
	CP_SUBSCRIBER_PAGE = 128,
	CP_AUDIT_PAGE = 64,
	CP_ALARM_PAGE = 64,
	CP_CERTIFICATE_PAGE = 32,
	CP_STATISTICS_PAGE = 32,
	CP_THREADS_MAX = 72,
	CP_SUBJECT_MAX = 128,
	CP_NAMES_MAX = 512,
	CP_AOR_MAX = 256,
	CP_SUBSCRIBER_MAX = 129, /* a user or realm, and NUL */
	CP_SECRET_MAX = 256,
	CP_RECORD_TEXT_MAX = 128, /* longer ones are cut */
	CP_RECORD_MAX = 4096,
};

enum cp_message {
	CP_STATUS = 1, /* empty -> cp_status */
	CP_COUNTERS_GET = 2, /* empty -> cp_counters */
	CP_CALL_LIST = 3, /* cp_call_list -> cp_call_page + cp_call[] */
	CP_CALL_GET = 4, /* cp_call_id -> cp_call, or -ENOENT */
	CP_BLOCK_LIST = 5, /* cp_block_list -> cp_block_page + cp_block[], newest first */
	CP_CALL_HANGUP = 6, /* cp_hangup -> cp_hangup_done, or -ENOENT: no call with that number */
	CP_BAN_SET = 7, /* cp_ban -> empty, or -errno of the dataplane */
	CP_BAN_CLEAR = 8, /* cp_ban, its key alone -> empty, or -errno; -ENOENT: there is none */
	CP_GUARD_LIST = 9, /* cp_guard_list -> cp_guard_page + cp_guard[] */
	CP_GUARD_REASONS = 10, /* cp_block_list -> cp_block_page + cp_block[], whose `counter` is a sign */
	CP_REGISTRATION_LIST = 11, /* cp_registration_list -> cp_registration_page + cp_registration[] */
	CP_SUBSCRIBER_SET = 12, /* cp_subscriber -> empty, or -errno */
	CP_SUBSCRIBER_DELETE = 13, /* cp_subscriber, without password -> empty; -ENOENT */
	CP_SUBSCRIBER_LIST = 14, /* cp_call_list -> cp_subscriber_page + cp_subscriber_entry[] */
	CP_AUDIT_LIST = 15, /* cp_audit_list -> cp_audit_page + cp_audit[], newest first */
	CP_ALARM_LIST = 16, /* cp_call_list -> cp_alarm_page + cp_alarm[], oldest first */
	CP_CERTIFICATE_LIST = 17, /* cp_call_list -> cp_certificate_page + cp_certificate[] */
	CP_TLS_RELOAD = 18, /* empty -> cp_tls_reloaded */
	CP_RECORD_LIST = 19, /* cp_record_list -> cp_record_page + its cp_record[], newest first */
	CP_STATISTICS_LIST = 20, /* cp_call_list -> cp_statistics_page + cp_statistics[] */
	CP_LOAD_GET = 21, /* empty -> cp_load */
	CP_TEST_AGENT =
		22, /* cp_test -> cp_test_report; -ENOENT: no such agent, or no such test; -EALREADY: it is being tested; -EBUSY */
	CP_TEST_REGISTRATION = 23, /* likewise */
	CP_GUARD_CLEAR =
		24, /* cp_ban, its key and who -> empty: points are forgotten, and a denial of the guard's is over. No ban by order is */
	CP_REGISTRATION_CLEAR = 25, /* cp_registration_clear -> cp_cleared, or -ENOENT */
	CP_TEST_ROUTE = 26, /* cp_route -> cp_routed; -ENOENT: no such realm */
	CP_REPLY = 0x4000,
};

/* Counters of signalling: enum, name, help from one list. */
#define CP_COUNTERS(X)                                                                                \
	X(RX_MESSAGES, "rx-messages", "SIP messages received")                                        \
	X(TX_MESSAGES, "tx-messages", "SIP messages sent, repetitions included")                      \
	X(RX_KEEP_ALIVE, "rx-keep-alive", "CRLF keep-alives")                                         \
	X(RX_STUN, "rx-stun", "STUN messages on SIP ports")                                           \
	X(RX_REPEATED, "rx-repeated", "repeated messages absorbed")                                   \
	X(TX_REPEATED, "tx-repeated", "messages repeated by timer")                                   \
	X(SCAN_REJECTED, "scan-rejected", "requests refused by the pre-scan with an answer")          \
	X(SCAN_SILENT, "scan-silent", "bytes dropped by the pre-scan without an answer")              \
	X(PARSE_FAILED, "parse-failed", "messages the parser or its checks refused")                  \
	X(STRAY_RESPONSES, "stray-responses", "responses that match no transaction")                  \
	X(STRAY_ACKS, "stray-acks", "ACKs that match no transaction")                                 \
	X(SHARD_FORWARDED, "shard-forwarded", "messages passed on to another shard")                  \
	X(REQUESTS_REFUSED, "requests-refused", "requests answered 405, 481, 403, 404, 482 or 483")   \
	X(TRANSACTIONS, "transactions", "transactions created")                                       \
	X(TRANSACTION_TIMEOUTS, "transaction-timeouts", "transactions that ended by Timer B, F or H") \
	X(TRANSACTION_LIMIT, "transaction-limit", "requests refused because the table was full")      \
	X(CALLS, "calls", "calls attempted")                                                          \
	X(CALLS_ANSWERED, "calls-answered", "calls answered")                                         \
	X(CALLS_FAILED, "calls-failed", "calls refused, busy, not found or timed out")                \
	X(CALLS_CANCELLED, "calls-cancelled", "calls given up by the caller")                         \
	X(CALLS_NO_ROUTE, "calls-no-route", "calls without a local-policy")                           \
	X(CALLS_NO_MEDIA, "calls-no-media", "calls refused for want of a media lease")                \
	X(CALLS_MEDIA_SILENT, "calls-media-silent", "calls ended because no media came")              \
	X(SRTP_REFUSED, "srtp-refused", "descriptions refused for want of keys, or taking SRTP away") \
	X(SRTP_ALARMS, "srtp-alarms", "alarms of the dataplane: SRTP that is not authentic")          \
	X(SRTP_REKEYS, "srtp-rekeys", "keys of SRTP renewed because they came to their end")          \
	X(SUBSCRIPTIONS, "subscriptions", "subscriptions begun, forks included")                      \
	X(SUBSCRIPTIONS_LIMIT, "subscriptions-limit", "subscriptions refused by a limit")             \
	X(EVENT_BODIES_WITHHELD, "event-bodies-withheld",                                             \
		"bodies of events that could not be written safely and did not cross")                \
	X(RX_KERNEL_DROPPED, "rx-kernel-dropped",                                                     \
		"datagrams the kernel dropped because a socket's buffer was full")                    \
	X(TX_FAILED, "tx-failed", "datagrams the kernel refused to send")                             \
	X(TX_KEEP_ALIVE, "tx-keep-alive", "keep-alives sent: CRLF, OPTIONS to phones")                \
	X(STREAM_OPENED, "stream-opened", "TCP connections begun, either way")                        \
	X(STREAM_CLOSED, "stream-closed", "TCP connections ended")                                    \
	X(STREAM_REFUSED, "stream-refused", "TCP connections refused by a limit")                     \
	X(STREAM_GAVE_WAY, "stream-gave-way", "idle TCP connections closed to make room")             \
	X(STREAM_TIMED_OUT, "stream-timed-out", "TCP connections closed: idle, silent or too slow")   \
	X(STREAM_TOO_SLOW, "stream-too-slow", "TCP connections closed because their queue was full")  \
	X(STREAM_BROKEN, "stream-broken", "TCP connections closed because of what came by them")      \
	X(STREAM_UNREACHED, "stream-unreached", "TCP connections that could not be made")             \
	X(TLS_DONE, "tls-handshakes", "TLS handshakes completed, either way")                         \
	X(TLS_RESUMED, "tls-resumed", "of these, sessions resumed by a ticket")                       \
	X(TLS_VERSION, "tls-version", "TLS handshakes without a version in common")                   \
	X(TLS_CIPHER, "tls-cipher", "TLS handshakes without a cipher, group or signature in common")  \
	X(TLS_NO_CERTIFICATE, "tls-no-certificate", "TLS clients without the certificate asked for")  \
	X(TLS_BAD_CERTIFICATE, "tls-bad-certificate", "TLS peers whose certificate is not valid")     \
	X(TLS_WRONG_NAME, "tls-wrong-name", "TLS servers whose certificate is not the agent's")       \
	X(TLS_REFUSED, "tls-refused", "TLS connections ended by an alert of the peer's")              \
	X(TLS_TOO_LONG, "tls-too-long", "TLS handshakes with more octets than may be")                \
	X(TLS_BROKEN, "tls-broken", "TLS connections ended by what is no TLS")                        \
	X(TLS_TIMED_OUT, "tls-timed-out", "TLS handshakes that took too long")                        \
	X(TLS_OVER_RATE, "tls-over-rate", "TLS connections closed at once: too many of one source")   \
	X(TLS_GAVE_WAY, "tls-gave-way", "TLS handshakes ended for others, too many under way")        \
	X(REQUESTS_MOVED, "requests-moved", "long requests sent by TCP instead of UDP")               \
	X(REQUESTS_MOVED_BACK, "requests-moved-back", "of these, sent by UDP in the end")             \
	X(GUARD_SILENT, "guard-silent", "messages of strangers and scanners that got no answer")      \
	X(ADMISSION_REFUSED, "admission-refused", "calls that an admission forbids or limits")

enum cp_counter {
#define X(id, name, help) CP_COUNTER_##id,
	CP_COUNTERS(X)
#undef X
		CP_COUNTER_COUNT
};

struct cp_status {
	uint64_t uptime_ms;
	uint32_t shards, calls;
	uint32_t transactions, tombstones;
	uint32_t dataplane_up; /* 1: every shard is connected */
	uint32_t listeners_down; /* sockets that could not be opened yet */
	uint32_t subscriptions; /* relayed ones */
	uint32_t connections; /* SIP over TCP */
	uint32_t registrations, reserved; /* contacts that are registered */
};

/* How many tls-profiles have new files, have new ones that are no good, and are as they were. */
struct cp_tls_reloaded {
	uint32_t changed, refused, same;
};

struct cp_counters {
	uint32_t count; /* CP_COUNTER_COUNT */
	uint32_t reserved;
	uint64_t counter[CP_COUNTER_COUNT];
};

struct cp_call_id {
	uint64_t call; /* shard << 56 | number; never 0 */
};

struct cp_call_list {
	uint64_t after; /* 0 = from the beginning */
	uint32_t limit; /* most entries wanted */
	uint32_t reserved;
};

struct cp_call_page {
	uint32_t count, more;
};

enum cp_call_state { CP_CALL_TRYING = 1, CP_CALL_RINGING, CP_CALL_ANSWERED, CP_CALL_ENDING };

struct cp_leg {
	char realm[CP_NAME_MAX], agent[CP_NAME_MAX]; /* agent "" if none */
	char remote[CP_ADDRESS_MAX]; /* signalling address of the peer */
	char local[CP_ADDRESS_MAX];
	char user[CP_USER_MAX]; /* leg 0: From's user; leg 1: request URI's user as sent */
	char call_id[CP_CALL_ID_MAX];
};

struct cp_call {
	uint64_t call;
	uint64_t session; /* the dataplane's number; 0 = no media */
	uint64_t started_wall_ms;
	uint64_t setup_ms; /* INVITE to answer (or until now) */
	uint64_t answered_ms; /* since the answer; 0 = not answered */
	uint32_t state; /* enum cp_call_state */
	uint32_t held; /* bit 0: leg 0 has put the call on hold; bit 1: leg 1 */
	uint32_t srtp_alarms; /* bit per leg: from there came what was not authentic */
	uint32_t reserved;
	char policy[CP_NAME_MAX];
	struct cp_leg leg[2];
};

/* Calls that are to end: one, or all. All of them by pages, so that a shard goes on with its other work in between. */
struct cp_hangup {
	uint64_t call; /* 0 = all of these: */
	uint64_t after; /* 0 = from the beginning, else the last reply's */
	uint64_t until_wall_ms; /* calls that begun later are not meant */
	char realm[CP_NAME_MAX]; /* with a leg in this realm; "" = any */
};

struct cp_hangup_done {
	uint64_t after;
	uint32_t calls; /* hung up; those that were ending already are not counted */
	uint32_t more; /* 1: ask again with `after` */
};

/* Dropped packets of a source: an address, a network, or one port of an address. */
struct cp_block_list {
	uint8_t ip[16]; /* IPv4 in the first four octets */
	uint16_t port; /* 0 = any */
	uint8_t family, length; /* 4, 6; bits of the network */
	uint32_t limit; /* most entries wanted */
	uint64_t before; /* 0 = from the newest on, else the last entry's number */
};

struct cp_block_page {
	uint32_t count, more;
};

/* A sample of what was dropped. */
struct cp_block {
	uint64_t number;
	uint64_t wall_ms; /* when */
	uint32_t counter; /* why: enum dp_counter of dataplane/api.h */
	uint16_t length; /* of the packet */
	uint8_t protocol; /* of IP */
	uint8_t reserved;
	char interface[CP_NAME_MAX];
	char source[CP_ADDRESS_MAX], dest[CP_ADDRESS_MAX]; /* with ports where there are any */
	char line[CP_LINE_MAX]; /* first line, if it was SIP: printable ASCII; "" if not */
};

/* An order about a ban, and who gave it. Laid out as struct dp_ban of dataplane/api.h is. */
struct cp_ban {
	uint8_t ip[16];
	uint16_t port;
	uint8_t family, length;
	uint32_t flags; /* enum dp_ban_flag */
	uint64_t expires_us; /* from now; 0: for ever */
	char reason[40];
	char who[CP_USER_MAX];
};

/* Signs that the guard counts: enum, name (log, `show guard`), weight in points, help. 50 points mean silence, 100 denial; 100 fade in a minute. */
/* clang-format off */
#define CP_GUARD_SIGNS(X) \
	X(SCANNER_AGENT, "scanner-agent", 100, "User-Agent of guard.scanner-agents") \
	X(SCANNER_MARK, "scanner-mark", 50, "another mark of a known scanner: its tags, branches, Call-IDs, addresses") \
	X(MALFORMED, "malformed", 20, "a message that the scan or the parser refused, or that lacks a header") \
	X(STRANGER, "stranger", 10, "a request outside of dialogs from who is neither registered nor an agent") \
	X(NO_DIALOG, "no-dialog", 10, "a request within a dialog that there is not") \
	X(UNKNOWN_USER, "unknown-user", 15, "REGISTER or call for a user that does not exist") \
	X(BAD_PASSWORD, "bad-password", 0, "credentials that were refused: 100 / guard.failures-per-minute points") \
	X(SWEEP, "sweep", 30, "one more of many different users from one source") \
	X(FORBIDDEN, "forbidden", 20, "a call to a destination that admission forbids") \
	X(OVER_RATE, "over-rate", 5, "REGISTER above the rates of registration")
/* clang-format on */

enum cp_guard_sign {
#define X(id, name, weight, help) CP_GUARD_SIGN_##id,
	CP_GUARD_SIGNS(X)
#undef X
		CP_GUARD_SIGN_COUNT
};

struct cp_guard_list {
	uint64_t after; /* 0 = from the beginning, else the last reply's */
	uint32_t limit;
	uint32_t reserved;
};

struct cp_guard_page {
	uint64_t after; /* 0 = that was all */
	uint64_t denials; /* since the start */
	uint32_t count, reserved;
};

enum cp_guard_step { CP_GUARD_COUNTED, CP_GUARD_SILENT, CP_GUARD_DENIED };

/* A source or a flow that has shown signs. */
struct cp_guard {
	char source[CP_ADDRESS_MAX];
	uint8_t ip[16];
	uint16_t port;
	uint8_t family;
	uint8_t proven; /* it receives what is sent to it */
	uint8_t whole; /* a host, not one port of it */
	uint8_t step; /* enum cp_guard_step */
	uint8_t reserved[2];
	uint32_t points; /* 50: silence, 100: denial */
	uint32_t times; /* denied in a row */
	uint64_t until_wall_ms; /* denied; 0: for ever, if denied */
	uint32_t sign[CP_GUARD_SIGN_COUNT]; /* how often each */
};

struct cp_registration_list {
	uint64_t after; /* number of the last one seen */
	uint32_t limit;
	uint32_t reserved;
	char aor[CP_AOR_MAX]; /* user@host, or a user alone; "" = all */
};

/* The contacts of that user run out now, as if their time were over: here alone, we have no password to unregister anybody with. */
struct cp_registration_clear {
	char aor[CP_AOR_MAX]; /* user@host, or a user alone */
	char who[CP_USER_MAX];
};

struct cp_cleared {
	uint32_t count, reserved;
};

struct cp_registration_page {
	uint32_t count, more;
};

struct cp_registration {
	uint64_t number;
	uint64_t expires_wall_ms, upstream_expires_wall_ms, heard_wall_ms;
	uint32_t keep_alive_s, lifetime_s;
	uint32_t q, reg_id;
	uint32_t behind_nat, unreachable;
	char aor[CP_AOR_MAX], contact[CP_AOR_MAX];
	char source[CP_ADDRESS_MAX];
	char transport[8];
	char interface[CP_NAME_MAX], agent[CP_NAME_MAX];
	char instance[CP_NAME_MAX], user_agent[CP_NAME_MAX];
	char token[32];
};

struct cp_subscriber {
	char user[CP_SUBSCRIBER_MAX], realm[CP_SUBSCRIBER_MAX];
	char password[CP_SECRET_MAX];
	char who[CP_USER_MAX];
	char reserved[6];
};

struct cp_subscriber_page {
	uint32_t count, more;
};

struct cp_subscriber_entry {
	uint64_t number;
	char user[CP_SUBSCRIBER_MAX], realm[CP_SUBSCRIBER_MAX];
	char reserved[6];
};

struct cp_audit_list {
	uint64_t before; /* number of the oldest one seen; 0: from the newest on */
	uint32_t limit, wanted; /* of one answer; of all that are to come: the asker counts it down */
};

struct cp_audit_page {
	uint32_t count, more;
};

/* Who ordered what. Longer texts are cut. */
struct cp_audit {
	uint64_t number, wall_ms;
	char who[CP_USER_MAX], what[CP_NAME_MAX];
	char object[CP_AOR_MAX], reason[CP_LINE_MAX];
};

/* What needs somebody's attention: enum, name, seconds, kind, help. A state is over when it is so long cleared, an event when it has not
 * happened for so long: what comes and goes is one alarm. */
/* clang-format off */
#define CP_ALARMS(X) \
	X(CERTIFICATE_EXPIRY, "certificate-expiry", 0, STATE, "a certificate of a tls-profile ends within 30, 7, 1 days, or has ended") \
	X(CERTIFICATE_RELOAD, "certificate-reload-failed", 0, STATE, "new files of a tls-profile are not good: the old ones serve on") \
	X(TLS_PEER, "tls-peer-verify-failed", 600, EVENT, "a peer's certificate was refused") \
	X(SRTP_DOWNGRADE, "srtp-downgrade", 600, EVENT, "media that was to be secret was asked for in clear") \
	X(SRTP_AUTHENTICATION, "srtp-auth-failed", 300, EVENT, "packets of a call do not pass their authentication") \
	X(AGENT_DOWN, "agent-down", 10, STATE, "a session-agent does not answer OPTIONS") \
	X(STORE, "store-failing", 10, STATE, "changes of registrations, bans or subscribers cannot be written") \
	X(BANS_FULL, "bans-full", 300, EVENT, "the border has no room for another ban") \
	X(GUARD, "guard-attack", 60, STATE, "many sources are denied")
/* clang-format on */

enum cp_alarm_kind {
#define X(id, name, seconds, kind, help) CP_ALARM_##id,
	CP_ALARMS(X)
#undef X
		CP_ALARM_COUNT
};

enum cp_severity { CP_SEVERITY_WARNING, CP_SEVERITY_MAJOR, CP_SEVERITY_CRITICAL, CP_SEVERITY_COUNT };

struct cp_alarm_page {
	uint32_t count, more;
	uint64_t lost; /* reports that found no room, ever */
};

struct cp_alarm {
	uint64_t number;
	uint64_t since_wall_ms, last_wall_ms;
	uint32_t kind, severity; /* enum cp_alarm_kind, enum cp_severity */
	uint32_t times; /* it was raised while it lasted */
	uint32_t reserved;
	char subject[CP_SUBJECT_MAX]; /* what it is about: an agent, a profile */
	char text[CP_LINE_MAX];
};

struct cp_certificate_page {
	uint32_t count, more;
};

enum cp_certificate_role { CP_CERTIFICATE_OWN, CP_CERTIFICATE_CHAIN, CP_CERTIFICATE_AUTHORITY };

struct cp_certificate {
	uint64_t number;
	uint64_t not_before_wall_ms, not_after_wall_ms;
	uint32_t role; /* enum cp_certificate_role */
	uint32_t reserved;
	char profile[CP_NAME_MAX];
	char subject[CP_SUBJECT_MAX], issuer[CP_SUBJECT_MAX];
	char names[CP_NAMES_MAX]; /* identities (RFC 5922), commas between them */
	char fingerprint[CP_SUBJECT_MAX]; /* SHA-256: hexadecimal octets, colons between them */
	char key[32]; /* "EC 256", "RSA 2048" */
};

/* --- records of calls --- */

/* Columns: enum, name (database, CSV, JSON), what the number means. Their order is that of the tables in the database: columns are added at the
 * end, with a version of the schema (store_record.c). */
/* clang-format off */
#define CP_RECORD_SIDE_NUMBERS(X, SIDE, side) \
	X(SIDE##_PACKETS, side "-packets", COUNT) \
	X(SIDE##_OCTETS, side "-octets", COUNT) \
	X(SIDE##_LOST, side "-lost", COUNT) \
	X(SIDE##_FAR_LOST, side "-far-lost", COUNT) \
	X(SIDE##_JITTER, side "-jitter-us", COUNT) \
	X(SIDE##_FAR_JITTER, side "-far-jitter-us", COUNT) \
	X(SIDE##_ROUND_TRIP, side "-round-trip-us", COUNT) \
	X(SIDE##_LONGEST_GAP, side "-longest-gap-ms", COUNT) \
	X(SIDE##_WRONG_SOURCE, side "-wrong-source", COUNT) \
	X(SIDE##_SRTP_FAILED, side "-srtp-auth-failed", COUNT) \
	X(SIDE##_PAYLOAD_TYPE, side "-payload-type", COUNT) \
	X(SIDE##_MOS, side "-mos", HUNDREDTHS)
#define CP_RECORD_NUMBERS(X) \
	X(CALL, "call", CALL) \
	X(STATE, "state", STATE) \
	X(STARTED, "started", TIME) \
	X(ANSWERED, "answered", TIME) \
	X(ENDED, "ended", TIME) \
	X(POST_DIAL_DELAY, "post-dial-delay-ms", COUNT) \
	X(SETUP, "setup-ms", COUNT) \
	X(DURATION, "duration-ms", COUNT) \
	X(STATUS, "status", COUNT) \
	X(CALLEE_STATUS, "callee-status", COUNT) \
	X(ENDED_BY, "ended-by", PARTY) \
	X(MEDIA_SESSION, "media-session", COUNT) \
	CP_RECORD_SIDE_NUMBERS(X, CALLER, "caller") \
	CP_RECORD_SIDE_NUMBERS(X, CALLEE, "callee")

#define CP_RECORD_SIDE_TEXTS(X, SIDE, side) \
	X(SIDE##_FROM, side "-from") \
	X(SIDE##_TO, side "-to") \
	X(SIDE##_REALM, side "-realm") \
	X(SIDE##_AGENT, side "-agent") \
	X(SIDE##_REMOTE, side "-remote-address") \
	X(SIDE##_LOCAL, side "-our-address") \
	X(SIDE##_TRANSPORT, side "-transport") \
	X(SIDE##_CALL_ID, side "-call-id") \
	X(SIDE##_SESSION_ID, side "-session-id") \
	X(SIDE##_REASON, side "-reason") \
	X(SIDE##_MEDIA, side "-media-address") \
	X(SIDE##_CODEC, side "-codec") \
	X(SIDE##_SUITE, side "-srtp")
#define CP_RECORD_TEXTS(X) \
	X(POLICY, "local-policy") \
	X(CAUSE, "cause") \
	X(REASON, "our-reason") \
	CP_RECORD_SIDE_TEXTS(X, CALLER, "caller") \
	CP_RECORD_SIDE_TEXTS(X, CALLEE, "callee")
/* clang-format on */

enum cp_record_number {
#define X(id, name, kind) CP_RECORD_##id,
	CP_RECORD_NUMBERS(X)
#undef X
		CP_RECORD_NUMBER_COUNT
};

enum cp_record_text {
#define X(id, name) CP_RECORD_TEXT_##id,
	CP_RECORD_TEXTS(X)
#undef X
		CP_RECORD_TEXT_COUNT
};

enum {
	CP_RECORD_SIDE_NUMBERS_COUNT = CP_RECORD_CALLEE_PACKETS - CP_RECORD_CALLER_PACKETS,
	CP_RECORD_SIDE_TEXTS_COUNT = CP_RECORD_TEXT_CALLEE_FROM - CP_RECORD_TEXT_CALLER_FROM,
};

enum cp_record_state {
	CP_RECORD_IS_OPEN, /* answered, not ended yet */
	CP_RECORD_IS_ENDED,
	CP_RECORD_IS_LOST, /* the control plane ended before the call did: what was known then */
	CP_RECORD_STATE_COUNT
};
enum cp_record_party { CP_RECORD_BY_CALLER, CP_RECORD_BY_CALLEE, CP_RECORD_BY_SBC, CP_RECORD_PARTY_COUNT };

#define CP_RECORD_NULL INT64_MIN /* nothing is known */

/* One call. Texts are printable ASCII: any other octet, and the backslash, is \xNN. */
struct cp_record {
	uint64_t number; /* counts up from call to call, restarts included */
	uint32_t length; /* of all of it, a multiple of 8 */
	uint32_t reserved;
	int64_t value[CP_RECORD_NUMBER_COUNT];
	uint16_t text_length[CP_RECORD_TEXT_COUNT];
	char text[]; /* one after the other */
};

struct cp_record_list {
	uint64_t before; /* number: those below; 0: from the newest on */
	uint64_t since_wall_ms, until_wall_ms; /* begun then; 0: at any time */
	uint64_t call; /* 0: any */
	uint32_t wanted; /* of all that are to come: the asker counts it down; 0: any number */
	uint32_t reserved;
	char user[CP_USER_MAX]; /* one of its numbers, as received or sent; "": any */
};

struct cp_record_page {
	uint64_t before; /* for the next request */
	uint32_t count, more;
};

/* --- statistics of calls --- */

enum cp_statistics_kind { CP_STATISTICS_SYSTEM, CP_STATISTICS_REALM, CP_STATISTICS_AGENT };
enum cp_agent_state {
	CP_AGENT_UNWATCHED, /* options-interval = 0: taken for up */
	CP_AGENT_UP,
	CP_AGENT_DOWN,
	CP_AGENT_UNRESOLVED, /* its name has no address now */
};
enum {
	CP_STATISTICS_IN,
	CP_STATISTICS_OUT,
	CP_STATISTICS_WAYS
}; /* calls that came from there, and that went there */

/* Calls of one way since the start; each attempt of a call counts where it went, once it has come to something: what rings still is among `now` alone,
 * and a challenge or a redirection is a step on the way of a call that is tried again (RFC 6076 section 4.6). ASR = answered / attempts, NER = effective / attempts
 * (ITU-T E.425: answered, busy, not answered, given up by the caller, refused by the user), ACD = talked_ms / ended. */
struct cp_statistics_calls {
	uint64_t attempts, effective, answered;
	uint64_t ended, talked_ms; /* of answered calls that are over */
	uint64_t rang,
		post_dial_ms; /* calls that got as far as 180..183 or an answer, and their sum of post-dial delays */
	uint64_t
		refused; /* by ourselves: admission, limits, no route. Among the attempts of who called, not of who was to be called */
	uint32_t now, most; /* calls at this moment; ever at once */
	uint32_t per_second; /* begun in the last whole second */
	uint32_t reserved;
};

/* Upper bounds of the classes of a histogram; the last class has none. MOS in hundredths, loss in hundredths of a percent, jitter in milliseconds. */
#define CP_QUALITY_MOS_BOUNDS                     \
	{                                         \
		100, 200, 260, 310, 360, 400, 430 \
	}
#define CP_QUALITY_LOSS_BOUNDS                 \
	{                                      \
		0, 10, 50, 100, 200, 500, 1000 \
	}
#define CP_QUALITY_JITTER_BOUNDS         \
	{                                \
		1, 2, 5, 10, 20, 50, 100 \
	}
enum { CP_QUALITY_CLASSES = 8 };

/* What came from there, one count for each call that had media. Classes are apart, not cumulated. */
struct cp_quality {
	uint64_t mos[CP_QUALITY_CLASSES], loss[CP_QUALITY_CLASSES], jitter[CP_QUALITY_CLASSES];
	uint64_t mos_sum, loss_sum, jitter_sum; /* in the units of the bounds */
};

struct cp_statistics_page {
	uint32_t count, more;
};

/* The system first, then realms, then session-agents, each in the order of the configuration. */
struct cp_statistics {
	uint64_t number; /* for the next request */
	uint32_t kind; /* enum cp_statistics_kind */
	uint32_t state; /* enum cp_agent_state; of an agent */
	char name[CP_NAME_MAX]; /* of the system: "" */
	char realm[CP_NAME_MAX]; /* of an agent */
	char address[CP_ADDRESS_MAX]; /* of an agent: the one in use, with its transport */
	uint64_t state_wall_ms; /* since when the state is so; 0: since the start */
	uint32_t registrations; /* contacts: in that realm, or at that agent */
	uint32_t max_sessions; /* 0: no limit */
	struct cp_statistics_calls calls[CP_STATISTICS_WAYS];
	struct cp_quality quality;
};

/* --- tests --- */

enum { CP_TEST_TARGETS = 16, CP_TEST_TEXT_MAX = 160 };

/* Begins a test, or asks for one that was begun. The answer comes when it is over; after a second without, only to ask again. A test that nobody
 * asks for is forgotten. */
struct cp_test {
	uint64_t test; /* 0: begin */
	char subject[CP_AOR_MAX]; /* a session-agent; USER or USER@HOST */
	char who[CP_USER_MAX];
};

enum cp_test_source { /* where its addresses are from */
	CP_TEST_CONFIGURED,
	CP_TEST_DNS,
	CP_TEST_DNS_NONE, /* there is no such name, or it has no address */
	CP_TEST_DNS_SILENT, /* no server answered */
	CP_TEST_REGISTERED,
	CP_TEST_UNKNOWN /* nobody has registered so */
};

enum cp_test_outcome {
	CP_TEST_ANSWERED, /* OPTIONS was: status */
	CP_TEST_SILENT, /* no answer in time */
	CP_TEST_UNREACHED, /* no connection, or it ended */
	CP_TEST_IMPOSSIBLE, /* there is nothing to ask from, or it could not be written */
	CP_TEST_EXPIRED /* the registration has run out */
};

struct cp_test_target {
	char address[CP_ADDRESS_MAX]; /* with its transport */
	char contact[CP_AOR_MAX]; /* of a phone, as it wrote it */
	uint32_t outcome; /* enum cp_test_outcome */
	uint32_t status; /* of its answer */
	uint64_t took_us; /* until that, the connection included if one was made */
	uint32_t connection_was_there, reserved;
	char text[CP_TEST_TEXT_MAX]; /* why not; or what its connection is */
};

struct cp_test_report {
	uint64_t test; /* to ask with, while it is not over */
	uint32_t over; /* 1: what follows is known */
	uint32_t source; /* enum cp_test_source */
	uint32_t call_status; /* of a phone: what a call to it gets from us; 0: it is tried */
	uint32_t count;
	char name[CP_AOR_MAX]; /* that DNS was asked for */
	struct cp_test_target target[CP_TEST_TARGETS];
};

/* Which way a call would take. Nothing is sent. */
struct cp_route {
	char realm[CP_NAME_MAX]; /* that it comes from */
	char from[CP_SUBJECT_MAX], to[CP_SUBJECT_MAX]; /* user parts of From and of the request URI */
};

enum cp_next_hop { CP_NEXT_HOP_NONE, CP_NEXT_HOP_AGENT, CP_NEXT_HOP_GROUP, CP_NEXT_HOP_REGISTRATION };
enum { CP_ROUTE_HOPS = 16 };

struct cp_route_hop {
	char agent[CP_NAME_MAX];
	char address[CP_ADDRESS_MAX]; /* that is asked first, with its transport */
	uint32_t state; /* enum cp_agent_state */
	uint32_t sessions, max_sessions, reserved;
};

struct cp_routed {
	char policy[CP_NAME_MAX]; /* "": none takes it: 404 */
	char group[CP_NAME_MAX], admission[CP_NAME_MAX]; /* "": none */
	uint32_t next_hop; /* enum cp_next_hop */
	uint32_t forbidden; /* 1: by the admission: 403 */
	uint32_t contacts; /* of a phone: there now */
	uint32_t count;
	struct cp_route_hop hop[CP_ROUTE_HOPS]; /* in the order of the configuration */
};

/* What each thread of the process has used. */
struct cp_load {
	uint64_t rss_octets;
	uint32_t threads, reserved;
	struct {
		char name[16]; /* "main", "shard-1", "store", "records" */
		uint64_t cpu_us; /* since the start */
	} thread[CP_THREADS_MAX];
};

#endif
