/* SPDX-License-Identifier: BSD-3-Clause */
/* One TLS connection over a non-blocking socket: how it begins, what it costs at most in one go, and why it ends. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/tls_internal.h"
#include "platforms/base/address.h"
#include "platforms/base/clock.h"

enum {
	SILENT_RECORDS_MAX = 32, /* in a row */
	HOST_NAME_MAX_LENGTH = 253,
};

struct tls_session {
	SSL *ssl;
	struct tls_snapshot *snapshot;
	const struct tls_profile *profile; /* of the snapshot */
	const struct config_sip_interface *interface; /* NULL: we made the connection */
	int fd;
	bool is_done, is_dry, is_over, wants_write, over_limit;
	unsigned silent_records;
	size_t left; /* octets that may be taken from the kernel in the handshake */
	struct span ahead; /* what has been taken since; in the caller's memory */
	bool has_ended; /* the connection, behind that */
	enum tls_end end;
	unsigned long error; /* OpenSSL's */
	long verify_error;
};

/* --- octets ------------------------------------------------------------------------------------------------------------- */

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* Record by record out of what was taken at once: OpenSSL's own reading ahead would not say how many there were. */
static int octets_ahead(BIO *bio, char *bytes, size_t wanted)
{
	struct tls_session *session = BIO_get_data(bio);
	size_t n = wanted < session->ahead.n ? wanted : session->ahead.n;

	if (n == 0 && session->has_ended)
		return 0;
	if (n == 0) {
		session->is_dry = true;
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(bytes, session->ahead.p, n);
	session->ahead.p += n;
	session->ahead.n -= n;
	return (int)n;
}

static int octets_read(BIO *bio, char *bytes, int size)
{
	struct tls_session *session = BIO_get_data(bio);
	size_t wanted = size > 0 ? (size_t)size : 0;
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (session->is_done)
		return octets_ahead(bio, bytes, wanted);
	if (session->left == 0) {
		session->over_limit = true;
		session->is_dry = true;
		BIO_set_retry_read(bio);
		return -1;
	}
	n = recv(session->fd, bytes, wanted < session->left ? wanted : session->left, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		session->is_dry = true;
		BIO_set_retry_read(bio);
		return -1;
	}
	session->left -= n > 0 ? (size_t)n : 0;
	return (int)n;
}

static int octets_write(BIO *bio, const char *bytes, int size)
{
	const struct tls_session *session = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	n = send(session->fd, bytes, size > 0 ? (size_t)size : 0, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static void method_make(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
	if (!method)
		return;
	BIO_meth_set_read(method, octets_read);
	BIO_meth_set_write(method, octets_write);
	BIO_meth_set_ctrl(method, control);
}

/* --- callbacks ---------------------------------------------------------------------------------------------------------- */

/* server_name of RFC 6066 section 3: a list, of which the first host name counts. */
static struct span name_asked_for(SSL *ssl)
{
	const unsigned char *bytes;
	struct span none = { NULL, 0 };
	size_t length, name;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &length) != 1 || length < 5)
		return none;
	name = (size_t)bytes[3] << 8 | bytes[4];
	if (((size_t)bytes[0] << 8 | bytes[1]) != length - 2 || bytes[2] != TLSEXT_NAMETYPE_host_name ||
		name != length - 5 || name == 0 || name > HOST_NAME_MAX_LENGTH)
		return none;
	return (struct span){ (const char *)bytes + 5, name };
}

static const struct tls_profile *profile_of(
	const struct tls_session *session, const struct config_tls_profile *config)
{
	return tls_snapshot_find(session->snapshot, config);
}

/* Before anything else is decided: the profile decides it. */
int tls_session_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_session *session = SSL_get_app_data(ssl);
	const struct config_sip_interface *interface = session->interface;
	struct span name = interface->sni_profile_count ? name_asked_for(ssl) : (struct span){ NULL, 0 };

	(void)alert, (void)arg;
	if (name.n == 0 || tls_profile_serves(session->profile, name))
		return SSL_CLIENT_HELLO_SUCCESS;
	for (size_t i = 0; i < interface->sni_profile_count; i++) {
		const struct tls_profile *profile = profile_of(session, interface->sni_profiles[i]);

		if (!profile || !tls_profile_serves(profile, name))
			continue;
		session->profile = profile;
		tls_profile_apply(profile, ssl);
		break;
	}
	return SSL_CLIENT_HELLO_SUCCESS;
}

int tls_session_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int encrypt)
{
	const struct tls_session *session = SSL_get_app_data(ssl);

	return tls_ring_use(
		(struct tls_ring *)&session->profile->ring, clock_now_ms(), name, iv, cipher, mac, encrypt);
}

int tls_session_verify(X509_STORE_CTX *chain, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_session *session = SSL_get_app_data(ssl);
	const struct tls_profile *profile = session->profile;
	int good;

	(void)arg;
	if (tls_profile_pins(profile, X509_STORE_CTX_get0_cert(chain))) {
		X509_STORE_CTX_set_error(chain, X509_V_OK);
		return 1;
	}
	if (profile->pins && !profile->authorities) {
		X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_UNTRUSTED);
		good = 0;
	} else {
		good = X509_verify_cert(chain);
	}
	session->verify_error = X509_STORE_CTX_get_error(chain);
	return good;
}

/* RFC 7301, if it is offered: the registered name, and the one in use. */
int tls_session_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
	const unsigned char *offered, unsigned offered_length, void *arg)
{
	static const unsigned char ours[] = { 5, 's', 'i', 'p', '/', '2', 3, 's', 'i', 'p' };
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, out_length, ours, sizeof(ours), offered, offered_length) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

static struct tls_session *session_new(struct tls *tls, const struct config_tls_profile *config, int fd,
	size_t handshake_bytes, const struct config_sip_interface *interface)
{
	struct tls_session *session = config ? calloc(1, sizeof(*session)) : NULL;
	BIO *bio;

	pthread_once(&method_once, method_make);
	if (!session || !method) {
		free(session);
		return NULL;
	}
	session->snapshot = tls_snapshot_get(tls);
	session->profile = profile_of(session, config);
	session->interface = interface;
	session->fd = fd;
	session->left = handshake_bytes;
	if (session->profile && (interface || session->profile->client))
		session->ssl = SSL_new(interface ? session->profile->server : session->profile->client);
	bio = session->ssl ? BIO_new(method) : NULL;
	if (!bio) {
		tls_session_free(session);
		ERR_clear_error();
		return NULL;
	}
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio);
	SSL_set_app_data(session->ssl, session);
	return session;
}

struct tls_session *tls_accept(
	struct tls *tls, const struct config_sip_interface *interface, int fd, size_t handshake_bytes)
{
	struct tls_session *session =
		session_new(tls, interface->tls_profile, fd, handshake_bytes, interface);

	if (session)
		SSL_set_accept_state(session->ssl);
	return session;
}

struct tls_session *tls_connect(struct tls *tls, const struct config_tls_profile *profile, const char *name,
	int fd, size_t handshake_bytes)
{
	struct tls_session *session = session_new(tls, profile, fd, handshake_bytes, NULL);
	union address address;

	if (!session)
		return NULL;
	SSL_set_connect_state(session->ssl);
	/* RFC 6066 section 3: no literal addresses. */
	if (name && address_parse_host(span_from(name), &address) < 0)
		SSL_set_tlsext_host_name(session->ssl, name);
	return session;
}

void tls_session_move(struct tls_session *session, const struct config_sip_interface *interface)
{
	if (session->interface)
		session->interface = interface;
}

void tls_session_free(struct tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	tls_snapshot_put(session->snapshot);
	free(session);
}

/* --- why it ends -------------------------------------------------------------------------------------------------------- */

static const struct {
	int reason;
	enum tls_end end;
} causes[] = {
	{ SSL_R_UNSUPPORTED_PROTOCOL, TLS_END_VERSION },
	{ SSL_R_VERSION_TOO_LOW, TLS_END_VERSION },
	{ SSL_R_NO_PROTOCOLS_AVAILABLE, TLS_END_VERSION },
	{ SSL_R_INAPPROPRIATE_FALLBACK, TLS_END_VERSION },
	{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, TLS_END_VERSION },
	{ SSL_R_NO_SHARED_CIPHER, TLS_END_CIPHER },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, TLS_END_CIPHER },
	{ SSL_R_NO_SUITABLE_GROUPS, TLS_END_CIPHER },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TLS_END_CIPHER },
	{ SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, TLS_END_CIPHER },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, TLS_END_NO_CERTIFICATE },
	{ SSL_R_CERTIFICATE_VERIFY_FAILED, TLS_END_CERTIFICATE },
	{ SSL_R_EE_KEY_TOO_SMALL, TLS_END_CERTIFICATE },
	{ SSL_R_CA_KEY_TOO_SMALL, TLS_END_CERTIFICATE },
	{ SSL_R_CA_MD_TOO_WEAK, TLS_END_CERTIFICATE },
	{ SSL_R_UNEXPECTED_EOF_WHILE_READING, TLS_END_BROKEN },
	{ ERR_R_MALLOC_FAILURE, TLS_END_MEMORY },
};

static enum tls_end cause_of(unsigned long error)
{
	int reason = ERR_GET_REASON(error);

	if (error == 0)
		return TLS_END_BROKEN;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].reason == reason)
			return causes[i].end;
	return ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET ? TLS_END_REFUSED
										   : TLS_END_PROTOCOL;
}

static void end(struct tls_session *session, enum tls_end why)
{
	session->is_over = true;
	session->end = why;
}

/* What an operation of OpenSSL without success means: over, or wait. */
static enum tls_progress take_error(struct tls_session *session, int result)
{
	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANTS_READ;
	case SSL_ERROR_WANT_WRITE:
		session->wants_write = true;
		return TLS_WANTS_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		end(session, TLS_END_CLOSED);
		break;
	default:
		session->error = ERR_peek_error();
		end(session, cause_of(session->error));
	}
	ERR_clear_error();
	return TLS_FAILED;
}

enum tls_end tls_session_end(const struct tls_session *session)
{
	return session->end;
}

const char *tls_session_reason(const struct tls_session *session)
{
	const char *text = NULL;

	if (session->end == TLS_END_CERTIFICATE && session->verify_error)
		return X509_verify_cert_error_string(session->verify_error);
	if (session->error)
		text = ERR_reason_error_string(session->error);
	return text ? text : "";
}

/* --- operations --------------------------------------------------------------------------------------------------------- */

enum tls_progress tls_handshake(struct tls_session *session)
{
	enum tls_progress progress;
	int result;

	if (session->is_over)
		return TLS_FAILED;
	ERR_clear_error();
	session->wants_write = false;
	result = SSL_do_handshake(session->ssl);
	if (result == 1) {
		session->is_done = true;
		return TLS_DONE;
	}
	progress = take_error(session, result);
	if (progress == TLS_WANTS_READ && session->over_limit) {
		end(session, TLS_END_BYTES);
		return TLS_FAILED;
	}
	return progress;
}

void tls_read_begin(struct tls_session *session, char *scratch, size_t size)
{
	ssize_t n = recv(session->fd, scratch, size, MSG_DONTWAIT);

	session->ahead = (struct span){ scratch, n > 0 ? (size_t)n : 0 };
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		session->has_ended = true;
}

ssize_t tls_read(struct tls_session *session, void *bytes, size_t size)
{
	enum tls_progress progress = TLS_WANTS_READ;

	while (!session->is_over) {
		int n;

		ERR_clear_error();
		session->is_dry = false;
		session->wants_write = false;
		n = SSL_read(session->ssl, bytes, (int)size);
		if (n > 0) {
			session->silent_records = 0;
			return n;
		}
		progress = take_error(session, n);
		if (progress != TLS_WANTS_READ || session->is_dry)
			break;
		if (++session->silent_records > SILENT_RECORDS_MAX)
			end(session, TLS_END_PROTOCOL);
	}
	return session->is_over ? -1 : 0;
}

ssize_t tls_write(struct tls_session *session, struct span bytes)
{
	size_t written = 0;
	int result;

	if (session->is_over)
		return -1;
	ERR_clear_error();
	result = SSL_write_ex(session->ssl, bytes.p, bytes.n, &written);
	if (result == 1)
		return (ssize_t)written;
	return take_error(session, result) == TLS_FAILED ? -1 : 0;
}

bool tls_wants_write(const struct tls_session *session)
{
	return session->wants_write;
}

void tls_close_notify(struct tls_session *session)
{
	if (!session->is_done || session->is_over)
		return;
	ERR_clear_error();
	SSL_shutdown(session->ssl);
	ERR_clear_error();
}

/* --- what came of it ---------------------------------------------------------------------------------------------------- */

struct x509_st *tls_session_certificate(const struct tls_session *session)
{
	return session->is_done && SSL_get_verify_result(session->ssl) == X509_V_OK
		       ? SSL_get0_peer_certificate(session->ssl)
		       : NULL;
}

bool tls_session_is_pinned(const struct tls_session *session)
{
	X509 *certificate = tls_session_certificate(session);

	return certificate && tls_profile_pins(session->profile, certificate);
}

bool tls_session_is_resumed(const struct tls_session *session)
{
	return SSL_session_reused(session->ssl) == 1;
}

const char *tls_session_version(const struct tls_session *session)
{
	return SSL_get_version(session->ssl);
}

const char *tls_session_cipher(const struct tls_session *session)
{
	return SSL_get_cipher_name(session->ssl);
}

const struct config_tls_profile *tls_session_profile(const struct tls_session *session)
{
	return session->profile->config;
}
