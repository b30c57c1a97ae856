/* SPDX-License-Identifier: BSD-3-Clause */
/* A tls-profile as OpenSSL wants it: certificates, keys and authorities from the files' octets, and what is spoken at all. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/tls_internal.h"

enum {
	FILE_BYTES_MAX = 4 << 20,
	CHAIN_MAX = 16,
	AUTHORITIES_MAX = 2000,
	SYSTEM_BUNDLE_MAX = 256,
	DEPTH_MAX = 8,
	SECURITY_LEVEL = 2, /* 112 bits: RSA from 2048 on, no SHA-1 */
};

/* --- files ------------------------------------------------------------------------------------------------------------- */

enum file { FILE_CERTIFICATE, FILE_KEY, FILE_SECOND_CERTIFICATE, FILE_SECOND_KEY, FILE_CA, FILE_CRL };
_Static_assert(FILE_CRL + 1 == TLS_FILES_MAX, "every file has a place");

const char *tls_file_name(const struct config_tls_profile *config, size_t index)
{
	const char *const names[TLS_FILES_MAX] = { config->certificate, config->key,
		config->second_certificate, config->second_key, config->ca, config->crl };

	return names[index];
}

static int blame(char reason[TLS_REASON_MAX], const char *file, const char *what)
{
	struct writer w;

	writer_init(&w, reason, TLS_REASON_MAX - 1);
	writer_format(&w, "%.128s: %.100s", file, what);
	reason[w.len] = '\0';
	return -EINVAL;
}

static int file_read(const char *name, struct tls_file *file)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n = 0;
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		error = -ENODEV;
	else if (st.st_size > FILE_BYTES_MAX)
		error = -EFBIG;
	else if (!(file->bytes = malloc((size_t)st.st_size + 1)))
		error = -ENOMEM;
	while (error == 0 && file->length < (size_t)st.st_size) {
		n = read(fd, file->bytes + file->length, (size_t)st.st_size - file->length);
		if (n <= 0)
			break;
		file->length += (size_t)n;
	}
	if (error == 0 && n < 0)
		error = -errno;
	close(fd);
	return error;
}

int tls_files_read(
	const struct config_tls_profile *config, struct tls_files *files, char reason[TLS_REASON_MAX])
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	int error = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) ? 0 : -ENOMEM;

	*files = (struct tls_files){ 0 };
	for (size_t i = 0; error == 0 && i < TLS_FILES_MAX; i++) {
		const char *name = tls_file_name(config, i);
		struct tls_file *file = &files->file[i];

		if (name && name[0] && (error = file_read(name, file)) < 0)
			blame(reason, name, error == -ENODEV ? "is no plain file" : strerror(-error));
		else if (!EVP_DigestUpdate(digest, &file->length, sizeof(file->length)) ||
			 !EVP_DigestUpdate(digest, file->bytes, file->length))
			error = -ENOMEM;
	}
	if (error == 0 && !EVP_DigestFinal_ex(digest, files->digest, NULL))
		error = -ENOMEM;
	EVP_MD_CTX_free(digest);
	if (error < 0)
		tls_files_free(files);
	return error;
}

void tls_files_free(struct tls_files *files)
{
	for (size_t i = 0; i < TLS_FILES_MAX; i++) {
		if (files->file[i].bytes)
			OPENSSL_cleanse(files->file[i].bytes, files->file[i].length);
		free(files->file[i].bytes);
		files->file[i] = (struct tls_file){ 0 };
	}
}

/* --- what is in them --------------------------------------------------------------------------------------------------- */

/* Nobody is there to type a password. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer, (void)size, (void)writing, (void)arg;
	return 0;
}

static BIO *reader(const struct tls_file *file)
{
	return BIO_new_mem_buf(file->bytes ? file->bytes : "", (int)file->length);
}

/* All of them, in their order; NULL if there is none, more than `most`, or one is broken. */
static STACK_OF(X509) * certificates_read(const struct tls_file *file, int most)
{
	BIO *in = reader(file);
	STACK_OF(X509) *list = sk_X509_new_null();
	X509 *certificate;
	bool good;

	while (in && list && (certificate = PEM_read_bio_X509(in, NULL, no_password, NULL)))
		if (sk_X509_num(list) >= most || !sk_X509_push(list, certificate)) {
			X509_free(certificate);
			break;
		}
	good = in && list && sk_X509_num(list) > 0 &&
	       ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	BIO_free(in);
	ERR_clear_error();
	if (good)
		return list;
	sk_X509_pop_free(list, X509_free);
	return NULL;
}

static EVP_PKEY *key_read(const struct tls_file *file)
{
	BIO *in = reader(file);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;

	BIO_free(in);
	ERR_clear_error();
	return key;
}

static int pair_use(struct tls_profile *profile, SSL_CTX *ctx, STACK_OF(X509) * certificates, EVP_PKEY *key)
{
	if (SSL_CTX_use_certificate(ctx, sk_X509_value(certificates, 0)) != 1 ||
		SSL_CTX_use_PrivateKey(ctx, key) != 1)
		return -EINVAL;
	for (int i = 1; i < sk_X509_num(certificates); i++) {
		X509 *certificate = sk_X509_value(certificates, i);

		if (SSL_CTX_add1_chain_cert(ctx, certificate) != 1)
			return -EINVAL;
		if (ctx == profile->server && X509_up_ref(certificate) == 1 &&
			!sk_X509_push(profile->chain, certificate))
			X509_free(certificate);
	}
	return 0;
}

static int pair_load(struct tls_profile *profile, unsigned pair, const struct tls_files *files,
	char reason[TLS_REASON_MAX])
{
	const struct config_tls_profile *config = profile->config;
	enum file at = pair ? FILE_SECOND_CERTIFICATE : FILE_CERTIFICATE;
	STACK_OF(X509) *certificates = certificates_read(&files->file[at], CHAIN_MAX);
	EVP_PKEY *key = key_read(&files->file[at + 1]);
	const X509 *first = profile->certificate[0];
	int error = 0;

	if (!certificates)
		error = blame(
			reason, tls_file_name(config, at), "holds no certificates in PEM, or a broken one");
	else if (!key)
		error = blame(reason, tls_file_name(config, at + 1),
			"holds no private key in PEM, or one with a password");
	else if (X509_check_private_key(sk_X509_value(certificates, 0), key) != 1)
		error = blame(reason, tls_file_name(config, at + 1), "is not the key of the certificate");
	else if (first && EVP_PKEY_get_base_id(key) == EVP_PKEY_get_base_id(X509_get0_pubkey(first)))
		error = blame(
			reason, tls_file_name(config, at + 1), "is a key of the same kind as the first");
	else if (pair_use(profile, profile->server, certificates, key) < 0 ||
		 (profile->client && pair_use(profile, profile->client, certificates, key) < 0))
		error = blame(reason, tls_file_name(config, at),
			"is too weak: at least 112 bits are asked for, and no SHA-1");
	if (error == 0 && X509_up_ref(sk_X509_value(certificates, 0)) == 1)
		profile->certificate[pair] = sk_X509_value(certificates, 0);
	EVP_PKEY_free(key);
	sk_X509_pop_free(certificates, X509_free);
	ERR_clear_error();
	return error;
}

/* --- whom we believe --------------------------------------------------------------------------------------------------- */

static unsigned hex_value(char c)
{
	return isdigit((unsigned char)c) ? (unsigned)(c - '0')
					 : (unsigned)(tolower((unsigned char)c) - 'a' + 10);
}

/* 64 hexadecimal digits each: config/ has seen to that. */
static int pins_load(struct tls_profile *profile)
{
	const struct config_strings *pins = &profile->config->pins;

	profile->pin = calloc(pins->count + 1, sizeof(*profile->pin));
	if (!profile->pin)
		return -ENOMEM;
	profile->pins = pins->count;
	for (size_t i = 0; i < pins->count; i++)
		for (size_t k = 0; k < TLS_DIGEST_OCTETS; k++)
			profile->pin[i][k] = (uint8_t)(hex_value(pins->item[i][2 * k]) << 4 |
						       hex_value(pins->item[i][2 * k + 1]));
	return 0;
}

static int revocations_load(X509_STORE *store, const struct tls_file *file)
{
	BIO *in = reader(file);
	X509_CRL *list;
	unsigned count = 0;

	while (in && (list = PEM_read_bio_X509_CRL(in, NULL, no_password, NULL))) {
		count += X509_STORE_add_crl(store, list) == 1;
		X509_CRL_free(list);
	}
	BIO_free(in);
	ERR_clear_error();
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return count ? 0 : -EINVAL;
}

static bool asks_clients(const struct tls_profile *profile)
{
	return profile->config->verify_peer || profile->authorities || profile->pins;
}

/* The system's authorities, all of them and now: OpenSSL would look for them in the system's directory during handshakes, on a shard's
 * thread. Without any nobody is believed. */
static void system_load(X509_STORE *store)
{
	X509_LOOKUP *files = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	char bundle[SYSTEM_BUNDLE_MAX];
	struct writer w;

	/* What SSL_CERT_FILE or OpenSSL's build names, else what Debian has. */
	if (!files || X509_LOOKUP_load_file(files, NULL, X509_FILETYPE_DEFAULT) == 1)
		return;
	writer_init(&w, bundle, sizeof(bundle) - 1);
	writer_format(&w, "%s/ca-certificates.crt", X509_get_default_cert_dir());
	bundle[w.len] = '\0';
	X509_LOOKUP_load_file(files, bundle, X509_FILETYPE_PEM);
}

static int store_fill(struct tls_profile *profile, X509_STORE *store, const struct tls_files *files,
	char reason[TLS_REASON_MAX])
{
	const char *ca = tls_file_name(profile->config, FILE_CA),
		   *crl = tls_file_name(profile->config, FILE_CRL);

	if (ca && ca[0]) {
		profile->authorities = certificates_read(&files->file[FILE_CA], AUTHORITIES_MAX);
		if (!profile->authorities)
			return blame(reason, ca, "holds no certificates in PEM, or a broken one");
		for (int i = 0; i < sk_X509_num(profile->authorities); i++)
			X509_STORE_add_cert(store, sk_X509_value(profile->authorities, i));
	} else if (profile->pins == 0 && (profile->client || profile->config->verify_peer)) {
		system_load(store);
	}
	ERR_clear_error();
	if (crl && crl[0] && revocations_load(store, &files->file[FILE_CRL]) < 0)
		return blame(reason, crl, "holds no revocation list in PEM");
	return 0;
}

/* What clients are told of whom we believe (RFC 5246 section 7.4.4). */
static void authorities_name(const struct tls_profile *profile)
{
	for (int i = 0; profile->authorities && i < sk_X509_num(profile->authorities); i++)
		SSL_CTX_add_client_CA(profile->server, sk_X509_value(profile->authorities, i));
}

static int trust_load(struct tls_profile *profile, const struct tls_files *files, char reason[TLS_REASON_MAX])
{
	X509_STORE *store = X509_STORE_new();
	int error = store ? pins_load(profile) : -ENOMEM;

	if (error == 0)
		error = store_fill(profile, store, files, reason);
	if (error == 0) {
		SSL_CTX_set1_cert_store(profile->server, store);
		if (profile->client)
			SSL_CTX_set1_cert_store(profile->client, store);
		authorities_name(profile);
	}
	X509_STORE_free(store);
	return error;
}

bool tls_profile_pins(const struct tls_profile *profile, X509 *certificate)
{
	uint8_t digest[EVP_MAX_MD_SIZE], *octets = NULL;
	unsigned length = 0;
	bool found = false;
	int n = profile->pins ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &octets) : 0;

	if (n <= 0)
		return false;
	if (EVP_Digest(octets, (size_t)n, digest, &length, EVP_sha256(), NULL) == 1)
		for (size_t i = 0; i < profile->pins; i++)
			found |= memcmp(profile->pin[i], digest, TLS_DIGEST_OCTETS) == 0;
	OPENSSL_free(octets);
	return found && X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

/* --- SNI --------------------------------------------------------------------------------------------------------------- */

static bool name_fits(struct span pattern, struct span name)
{
	if (pattern.n < 2 || pattern.p[0] != '*' || pattern.p[1] != '.')
		return span_equal_case(pattern, name);
	span_cut(&name, '.');
	return name.p && span_equal_case((struct span){ pattern.p + 2, pattern.n - 2 }, name);
}

bool tls_profile_serves(const struct tls_profile *profile, struct span name)
{
	const struct config_strings *names = &profile->config->server_names;

	for (size_t i = 0; i < names->count; i++)
		if (name_fits(span_from(names->item[i]), name))
			return true;
	return names->count == 0 && X509_check_host(profile->certificate[0], name.p, name.n, 0, NULL) == 1;
}

/* --- what is spoken ---------------------------------------------------------------------------------------------------- */

static int minimum_version(const struct config_tls_profile *config)
{
	return config->minimum_version == CONFIG_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

static int client_verify_mode(const struct tls_profile *profile)
{
	if (!asks_clients(profile))
		return SSL_VERIFY_NONE;
	return SSL_VERIFY_PEER | (profile->config->verify_peer ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
}

/* One profile's tickets are none of another's, whose rules may be stricter: the same files may serve both. */
static void context_name(const struct tls_profile *profile, uint8_t name[SSL_MAX_SID_CTX_LENGTH])
{
	memcpy(name, profile->session_context, TLS_DIGEST_OCTETS);
}
_Static_assert(TLS_DIGEST_OCTETS == SSL_MAX_SID_CTX_LENGTH, "a digest names a session context");

void tls_profile_apply(const struct tls_profile *profile, SSL *ssl)
{
	uint8_t name[SSL_MAX_SID_CTX_LENGTH];

	SSL_set_SSL_CTX(ssl, profile->server);
	SSL_set_verify(ssl, client_verify_mode(profile), NULL);
	SSL_set_min_proto_version(ssl, minimum_version(profile->config));
	SSL_set1_groups_list(ssl, profile->config->curves);
	SSL_set_num_tickets(ssl, profile->config->session_tickets);
	if (profile->config->session_tickets)
		SSL_clear_options(ssl, SSL_OP_NO_TICKET);
	else
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
	context_name(profile, name);
	SSL_set_session_id_context(ssl, name, sizeof(name));
}

static int policy_set(const struct tls_profile *profile, SSL_CTX *ctx, char reason[TLS_REASON_MAX])
{
	const struct config_tls_profile *config = profile->config;

	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	SSL_CTX_set_min_proto_version(ctx, minimum_version(config));
	SSL_CTX_set_options(
		ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS |
				      SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* What is sent is what the file has: nothing is looked for in directories. A read returns after each record, so that its caller can say how many. */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify_depth(ctx, DEPTH_MAX);
	/* Extended key usage of SIP (RFC 5924) is none that OpenSSL knows: it is looked at after the handshake. */
	SSL_CTX_set_purpose(ctx, X509_PURPOSE_ANY);
	SSL_CTX_set_cert_verify_callback(ctx, tls_session_verify, NULL);
	if (SSL_CTX_set_cipher_list(ctx, config->ciphers) != 1)
		return blame(reason, config->ciphers, "names no cipher");
	if (SSL_CTX_set_ciphersuites(ctx, config->cipher_suites) != 1)
		return blame(reason, config->cipher_suites, "names no cipher suite of TLS 1.3");
	if (SSL_CTX_set1_groups_list(ctx, config->curves) != 1)
		return blame(reason, config->curves, "names no group");
	return 0;
}

static void server_set(const struct tls_profile *profile)
{
	const struct config_tls_profile *config = profile->config;
	uint8_t name[SSL_MAX_SID_CTX_LENGTH];

	context_name(profile, name);
	SSL_CTX_set_session_id_context(profile->server, name, sizeof(name));
	SSL_CTX_set_verify(profile->server, client_verify_mode(profile), NULL);
	SSL_CTX_set_client_hello_cb(profile->server, tls_session_hello, NULL);
	SSL_CTX_set_alpn_select_cb(profile->server, tls_session_protocol, NULL);
	SSL_CTX_set_timeout(profile->server, (long)config->session_ticket_lifetime);
	SSL_CTX_set_num_tickets(profile->server, config->session_tickets);
	/* Without tickets, too: a session that changes to a profile with tickets asks the context it began with, whose own keys would be the
	 * same for every profile. */
	SSL_CTX_set_tlsext_ticket_key_evp_cb(profile->server, tls_session_ticket);
	if (!config->session_tickets)
		SSL_CTX_set_options(profile->server, SSL_OP_NO_TICKET);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static int profile_fill(
	struct tls_profile *profile, const struct tls_files *files, char reason[TLS_REASON_MAX])
{
	const char *second = tls_file_name(profile->config, FILE_SECOND_CERTIFICATE);
	int error = policy_set(profile, profile->server, reason);

	if (error == 0 && profile->client)
		error = policy_set(profile, profile->client, reason);
	if (error == 0)
		error = trust_load(profile, files, reason);
	if (error == 0)
		error = pair_load(profile, 0, files, reason);
	if (error == 0 && second && second[0])
		error = pair_load(profile, 1, files, reason);
	if (error < 0)
		return error;
	server_set(profile);
	if (profile->client)
		SSL_CTX_set_verify(profile->client,
			profile->config->verify_server ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return 0;
}

int tls_profile_new(const struct config_tls_profile *config, const struct tls_files *files, bool connects,
	struct tls_profile **out, char reason[TLS_REASON_MAX])
{
	struct tls_profile *profile = calloc(1, sizeof(*profile));
	int error;

	if (!profile)
		return -ENOMEM;
	profile->references = 1;
	profile->config = tls_settings_copy(config);
	if (!profile->config) {
		free(profile);
		return -ENOMEM;
	}
	memcpy(profile->digest, files->digest, sizeof(profile->digest));
	error = tls_ring_init(&profile->ring, config->session_ticket_lifetime);
	if (error == 0 && RAND_bytes(profile->session_context, sizeof(profile->session_context)) != 1)
		error = -ENOMEM;
	profile->server = SSL_CTX_new(TLS_server_method());
	profile->client = connects ? SSL_CTX_new(TLS_client_method()) : NULL;
	profile->chain = sk_X509_new_null();
	if (!profile->server || (connects && !profile->client) || !profile->chain)
		error = -ENOMEM;
	if (error == 0)
		error = profile_fill(profile, files, reason);
	ERR_clear_error();
	if (error < 0)
		tls_profile_put(profile);
	else
		*out = profile;
	return error;
}

struct tls_profile *tls_profile_get(struct tls_profile *profile)
{
	__atomic_add_fetch(&profile->references, 1, __ATOMIC_RELAXED);
	return profile;
}

void tls_profile_put(struct tls_profile *profile)
{
	if (!profile || __atomic_sub_fetch(&profile->references, 1, __ATOMIC_ACQ_REL))
		return;
	SSL_CTX_free(profile->server);
	SSL_CTX_free(profile->client);
	for (unsigned i = 0; i < TLS_PAIRS_MAX; i++)
		X509_free(profile->certificate[i]);
	sk_X509_pop_free(profile->chain, X509_free);
	sk_X509_pop_free(profile->authorities, X509_free);
	free(profile->pin);
	tls_ring_fini(&profile->ring);
	tls_settings_free(profile->config);
	free(profile);
}
