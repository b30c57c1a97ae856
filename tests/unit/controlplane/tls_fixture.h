/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates in files of a directory of their own, and a configuration that names them. For test_tls*.c, fuzz_tls.c and bench/tls.c. */
#ifndef TESTS_TLS_FIXTURE_H
#define TESTS_TLS_FIXTURE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/tls.h"

enum { TLS_FIXTURE_NAME_MAX = 96 };

struct tls_fixture {
	char directory[32];
	char certificate[TLS_FIXTURE_NAME_MAX], key[TLS_FIXTURE_NAME_MAX];
	char pin[65]; /* of the certificate there is */
	char *pins[1];
	char ciphers[32], suites[96], curves[32], name[8];
	struct config_tls_profile profile;
	struct config_sip_interface interface;
	struct config_session_agent agent;
	struct config config;
};

static inline void tls_fixture_require(bool truth)
{
	if (!truth)
		abort();
}

/* A certificate of its own making for `host`, valid for a day, in place of the one there was. */
static inline void tls_fixture_issue(struct tls_fixture *f, const char *host, bool rsa)
{
	EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	unsigned char digest[32], *octets = NULL;
	FILE *file;
	int n;

	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), (uint64_t)random());
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	tls_fixture_require(X509_sign(certificate, key, EVP_sha256()) > 0);
	file = fopen(f->certificate, "w");
	tls_fixture_require(file && PEM_write_X509(file, certificate) == 1);
	fclose(file);
	file = fopen(f->key, "w");
	tls_fixture_require(file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(file);
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &octets);
	tls_fixture_require(n > 0 && EVP_Digest(octets, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1);
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(f->pin + 2 * i, 3, "%02x", digest[i]);
	OPENSSL_free(octets);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* One profile, on one sip-interface, and one agent by TLS. */
static inline void tls_fixture_init(struct tls_fixture *f)
{
	*f = (struct tls_fixture){ .directory = "/tmp/sallyport-tls-XXXXXX",
		.ciphers = "ECDHE+AESGCM",
		.suites = "TLS_AES_128_GCM_SHA256",
		.curves = "X25519:P-256",
		.name = "profile" };
	tls_fixture_require(mkdtemp(f->directory) != NULL);
	snprintf(f->certificate, sizeof(f->certificate), "%s/certificate.pem", f->directory);
	snprintf(f->key, sizeof(f->key), "%s/key.pem", f->directory);
	tls_fixture_issue(f, "sbc.example.test", false);
	f->pins[0] = f->pin;
	f->profile = (struct config_tls_profile){ .name = f->name,
		.certificate = f->certificate,
		.key = f->key,
		.pins = { f->pins, 1 },
		.ciphers = f->ciphers,
		.cipher_suites = f->suites,
		.curves = f->curves,
		.verify_server = true,
		.session_tickets = true,
		.session_ticket_lifetime = 7200 };
	f->interface.name = f->name;
	f->interface.tls_profile = &f->profile;
	f->agent.address.transport = CONFIG_TRANSPORT_TLS;
	f->config.tls_profiles = &f->profile;
	f->config.tls_profiles_count = 1;
	f->config.session_agents = &f->agent;
	f->config.session_agents_count = 1;
	f->config.sip.tls_handshake_rate = 10;
	f->config.sip.tls_handshake_bytes = 65536;
	f->config.sip.tls_handshake_timeout_ms = 100000;
	f->config.sip.tls_max_handshakes = 1000;
}

static inline void tls_fixture_fini(struct tls_fixture *f)
{
	unlink(f->certificate);
	unlink(f->key);
	rmdir(f->directory);
}

static inline struct tls *tls_fixture_open(const struct tls_fixture *f)
{
	const struct config_tls_profile *blame;
	char reason[TLS_REASON_MAX] = "";
	struct tls *tls = NULL;

	if (tls_new(&f->config, &tls, &blame, reason) < 0)
		fprintf(stderr, "%s\n", reason);
	tls_fixture_require(tls != NULL);
	return tls;
}

#endif
