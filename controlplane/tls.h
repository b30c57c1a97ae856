/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS (RFC 8446, RFC 5246) for streams: certificates and policy of the tls-profiles, shared by all shards, and one session for each
 * connection. OpenSSL is at home in tls*.c; its types are named here, its headers are not needed. */
#ifndef CONTROLPLANE_TLS_H
#define CONTROLPLANE_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/move.h"
#include "platforms/base/span.h"

struct x509_st;
struct tls; /* what there is now of each profile. lock: its own, held for moments */
struct tls_session; /* owner: the shard that has the connection */

/* --- profiles: the main thread ------------------------------------------------------------------------------------------ */

enum { TLS_REASON_MAX = 256 };

/* Reads the files of all tls-profiles, of which there may be none. 0; -ENOMEM; -EINVAL: *blame is the profile and `reason` what is wrong with it.
 * `config` stays until tls_move. */
int tls_new(const struct config *config, struct tls **out, const struct config_tls_profile **blame,
	char reason[TLS_REASON_MAX]);
/* When no session is left. */
void tls_free(struct tls *tls);

/* As reconfigure.h says. Profiles whose settings are as they were stay, tickets included; the files of others are read, and refused if they are no good.
 * Sessions go on by what they began with. NULL is fine. */
int tls_prepare(struct tls *tls, const struct config_move *move, struct writer *why);
void tls_abort(struct tls *tls);
void tls_move(struct tls *tls, const struct config_move *move);
void tls_settle(struct tls *tls);

/* Reads all files again. Profiles whose files are as they were keep what they have, tickets included; one whose new files are no good
 * keeps the old certificate, which is logged. Connections go on in any case. */
struct tls_reloaded {
	unsigned changed, refused, same;
};
void tls_reload(struct tls *tls, struct tls_reloaded *result);
/* Where the profiles' files are that are to be watched: calls `each` for every file name there is. */
void tls_each_file(const struct tls *tls, void (*each)(void *arg, const char *path), void *arg);

enum tls_certificate_role { TLS_CERTIFICATE_OWN, TLS_CERTIFICATE_CHAIN, TLS_CERTIFICATE_AUTHORITY };
/* What is loaded now: our certificates, those sent after them, and the authorities of `ca`. The certificate is borrowed for the call. */
void tls_each_certificate(struct tls *tls,
	void (*each)(
		void *arg, const char *profile, struct x509_st *certificate, enum tls_certificate_role role),
	void *arg);
/* One line for each cause of a profile's last failed reload: its name and why; NULL: it is well. Borrowed until the next reload. */
const char *tls_reload_failure(const struct tls *tls, size_t profile);

/* --- sessions: the shard that has the connection ------------------------------------------------------------------------ */

enum tls_end { /* why there is no session (any more) */
	TLS_END_NONE,
	TLS_END_CLOSED, /* the peer said so */
	TLS_END_BROKEN, /* the connection ended without a word, or the kernel said an error */
	TLS_END_VERSION, /* no version in common */
	TLS_END_CIPHER, /* no cipher, group or signature algorithm in common */
	TLS_END_NO_CERTIFICATE, /* the peer has shown none */
	TLS_END_CERTIFICATE, /* that of the peer is not good */
	TLS_END_REFUSED, /* the peer does not like us: an alert of its */
	TLS_END_BYTES, /* the handshake is too long */
	TLS_END_PROTOCOL, /* it is no TLS, or broken */
	TLS_END_MEMORY,
};

enum tls_progress { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };

/* Of a connection that was accepted on the interface. `fd` is borrowed and stays non-blocking. NULL without memory, or without a
 * profile. At most `handshake_bytes` are read before the handshake is done. */
struct tls_session *tls_accept(
	struct tls *tls, const struct config_sip_interface *interface, int fd, size_t handshake_bytes);
/* Of one that we made: `name` goes out as SNI if it is a host name (NULL: none). */
struct tls_session *tls_connect(struct tls *tls, const struct config_tls_profile *profile, const char *name,
	int fd, size_t handshake_bytes);
void tls_session_free(struct tls_session *session);
/* Another configuration: where its connection was accepted is called this now. */
void tls_session_move(struct tls_session *session, const struct config_sip_interface *interface);

/* One operation: as much as can be done with what has come, which is at most one flight of ours. */
enum tls_progress tls_handshake(struct tls_session *session);
/* Takes what there is from the kernel, at most `size`, into memory that is the session's until tls_read has nothing more. */
void tls_read_begin(struct tls_session *session, char *scratch, size_t size);
/* > 0: octets; 0: nothing more now; -1: it is over. What says nothing (empty records, key updates) comes only so often in a row. */
ssize_t tls_read(struct tls_session *session, void *bytes, size_t size);
/* As send(2): octets taken, 0: none now (then the same octets must come again), -1: it is over. */
ssize_t tls_write(struct tls_session *session, struct span bytes);
/* Something is left to be sent that is not the caller's. */
bool tls_wants_write(const struct tls_session *session);
/* Says that nothing more comes from us (close_notify). */
void tls_close_notify(struct tls_session *session);

enum tls_end tls_session_end(const struct tls_session *session);
/* What OpenSSL says of it, for the log; "" if nothing. */
const char *tls_session_reason(const struct tls_session *session);

/* After the handshake. */
/* The peer's certificate, if it was verified: it chains up to an authority or its key is pinned. Borrowed; NULL: none. It may be that
 * of the session that was resumed. */
struct x509_st *tls_session_certificate(const struct tls_session *session);
bool tls_session_is_pinned(const struct tls_session *session);
bool tls_session_is_resumed(const struct tls_session *session);
const char *tls_session_version(const struct tls_session *session); /* "TLSv1.3" */
const char *tls_session_cipher(const struct tls_session *session);
/* The profile that was chosen by SNI, or the one it began with. */
const struct config_tls_profile *tls_session_profile(const struct tls_session *session);

/* --- handshakes per second of one source -------------------------------------------------------------------------------- */

union address;
/* From any thread. False: that source has had its share. */
bool tls_may_begin(struct tls *tls, const union address *remote, uint64_t now_us);

#endif
