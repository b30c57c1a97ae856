/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS from inside: what a profile is made of, and the keys of its tickets. Included by tls*.c alone. */
#ifndef CONTROLPLANE_TLS_INTERNAL_H
#define CONTROLPLANE_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "controlplane/tls.h"

enum {
	TLS_DIGEST_OCTETS = 32,
	TLS_FILES_MAX = 6, /* of a profile */
	TLS_PAIRS_MAX = 2,
	TLS_TICKET_NAME_OCTETS = 16,
	TLS_TICKET_KEY_OCTETS = 32,
};

struct tls_ticket_key {
	uint8_t name[TLS_TICKET_NAME_OCTETS];
	uint8_t cipher[TLS_TICKET_KEY_OCTETS], mac[TLS_TICKET_KEY_OCTETS];
	uint64_t made_ms;
};

struct tls_ring {
	pthread_mutex_t lock; /* of all below */
	uint64_t lifetime_ms;
	bool has_previous;
	struct tls_ticket_key current, previous;
};

struct tls_profile { /* immutable but for `references` and the ring; shared by all shards */
	unsigned references; /* atomic */
	struct config_tls_profile *config; /* a copy: it lives as long as the last session */
	uint8_t digest[TLS_DIGEST_OCTETS]; /* of its files */
	uint8_t session_context[TLS_DIGEST_OCTETS]; /* random: whose sessions they are */
	SSL_CTX *server, *client; /* client: NULL if nobody is connected to */
	X509 *certificate[TLS_PAIRS_MAX]; /* ours, NULL: none */
	STACK_OF(X509) * chain, *authorities; /* of `ca`; NULL: the system's */
	uint8_t (*pin)[TLS_DIGEST_OCTETS];
	size_t pins;
	struct tls_ring ring;
};

struct tls_snapshot {
	unsigned references; /* atomic */
	size_t count;
	struct tls_profile *profile[]; /* in the order of the configuration */
};

/* tls_settings.c */
struct config_tls_profile *tls_settings_copy(const struct config_tls_profile *from); /* NULL: no memory */
void tls_settings_free(struct config_tls_profile *settings); /* NULL is fine */
bool tls_settings_equal(const struct config_tls_profile *a,
	const struct config_tls_profile *b); /* names of files, not what is in them */

/* tls_profile.c */
/* Its files as they are now, in order of rows; what must be cleared is cleared by tls_files_free. */
struct tls_files {
	struct tls_file {
		char *bytes;
		size_t length;
	} file[TLS_FILES_MAX];
	uint8_t digest[TLS_DIGEST_OCTETS];
};
/* 0, -ENOMEM, or -errno of a file with the reason. */
int tls_files_read(
	const struct config_tls_profile *config, struct tls_files *files, char reason[TLS_REASON_MAX]);
void tls_files_free(struct tls_files *files);
const char *tls_file_name(const struct config_tls_profile *config, size_t index); /* NULL or "": none */
/* 0, -ENOMEM, or -EINVAL with the reason. One reference. */
int tls_profile_new(const struct config_tls_profile *config, const struct tls_files *files, bool connects,
	struct tls_profile **out, char reason[TLS_REASON_MAX]);
struct tls_profile *tls_profile_get(struct tls_profile *profile);
void tls_profile_put(struct tls_profile *profile);
/* The certificate's key is one of its pins, and its dates are good. */
bool tls_profile_pins(const struct tls_profile *profile, X509 *certificate);
/* SNI (RFC 6066 section 3): a client that asks for `name` is served by this one. */
bool tls_profile_serves(const struct tls_profile *profile, struct span name);
/* What is not the SSL_CTX's alone: on a session that changes to this profile. */
void tls_profile_apply(const struct tls_profile *profile, SSL *ssl);

/* tls_ticket.c */
int tls_ring_init(struct tls_ring *ring, unsigned lifetime_s); /* 0 or -ENOMEM */
void tls_ring_fini(struct tls_ring *ring); /* clears */
/* As SSL_CTX_set_tlsext_ticket_key_evp_cb wants it, at that time. Public for tests. */
int tls_ring_use(struct tls_ring *ring, uint64_t now_ms, unsigned char *name, unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt);

/* tls.c */
struct tls_snapshot *tls_snapshot_get(struct tls *tls);
void tls_snapshot_put(struct tls_snapshot *snapshot);
/* The one of that name; NULL: there is none. */
const struct tls_profile *tls_snapshot_find(
	const struct tls_snapshot *snapshot, const struct config_tls_profile *config);

/* tls_session.c: callbacks of the SSL_CTXs */
int tls_session_hello(SSL *ssl, int *alert, void *arg);
int tls_session_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int encrypt);
int tls_session_verify(X509_STORE_CTX *chain, void *arg);
int tls_session_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
	const unsigned char *offered, unsigned offered_length, void *arg);

/* tls_rate.c */
struct tls_rate;
struct tls_rate *tls_rate_new(unsigned per_second); /* NULL without memory */
void tls_rate_free(struct tls_rate *rate);
void tls_rate_move(struct tls_rate *rate, unsigned per_second); /* from now on, for all sources */
bool tls_rate_take(struct tls_rate *rate, const union address *remote, uint64_t now_us);

#endif
