/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of session tickets (RFC 5077 section 4): one makes tickets, the one before it is still taken; all shards use the same. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#include "controlplane/tls_internal.h"
#include "platforms/base/clock.h"

enum { REFUSED = 0, TAKEN = 1, TAKEN_TO_RENEW = 2, FAILED = -1 };

static int key_make(struct tls_ticket_key *key, uint64_t now_ms)
{
	key->made_ms = now_ms;
	return RAND_bytes(key->name, sizeof(key->name)) == 1 &&
			       RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
			       RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1
		       ? 0
		       : -ENOMEM;
}

int tls_ring_init(struct tls_ring *ring, unsigned lifetime_s)
{
	pthread_mutex_init(&ring->lock, NULL);
	ring->lifetime_ms = (uint64_t)lifetime_s * 1000;
	return key_make(&ring->current, clock_now_ms());
}

void tls_ring_fini(struct tls_ring *ring)
{
	pthread_mutex_destroy(&ring->lock);
	OPENSSL_cleanse(&ring->current, sizeof(ring->current));
	OPENSSL_cleanse(&ring->previous, sizeof(ring->previous));
}

/* Each key makes tickets for one lifetime and takes them for two. */
static void turn(struct tls_ring *ring, uint64_t now_ms)
{
	struct tls_ticket_key next;

	if (ring->has_previous && now_ms - ring->previous.made_ms >= 2 * ring->lifetime_ms) {
		OPENSSL_cleanse(&ring->previous, sizeof(ring->previous));
		ring->has_previous = false;
	}
	if (now_ms - ring->current.made_ms < ring->lifetime_ms || key_make(&next, now_ms) < 0)
		return;
	ring->has_previous = now_ms - ring->current.made_ms < 2 * ring->lifetime_ms;
	ring->previous = ring->current;
	ring->current = next;
	OPENSSL_cleanse(&next, sizeof(next));
}

static const struct tls_ticket_key *key_named(const struct tls_ring *ring, const unsigned char *name)
{
	if (CRYPTO_memcmp(ring->current.name, name, TLS_TICKET_NAME_OCTETS) == 0)
		return &ring->current;
	if (ring->has_previous && CRYPTO_memcmp(ring->previous.name, name, TLS_TICKET_NAME_OCTETS) == 0)
		return &ring->previous;
	return NULL;
}

static bool key_use(const struct tls_ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int encrypt)
{
	static char digest[] = "SHA256";
	uint8_t secret[TLS_TICKET_KEY_OCTETS];
	OSSL_PARAM parameter[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof(secret)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	bool done;

	memcpy(secret, key->mac, sizeof(secret));
	done = EVP_MAC_CTX_set_params(mac, parameter) == 1 &&
	       EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypt) == 1;
	OPENSSL_cleanse(secret, sizeof(secret));
	return done;
}

static int ring_use(struct tls_ring *ring, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int encrypt)
{
	const struct tls_ticket_key *key = &ring->current;

	if (encrypt) {
		memcpy(name, key->name, TLS_TICKET_NAME_OCTETS);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return FAILED;
	} else {
		key = key_named(ring, name);
		if (!key)
			return REFUSED;
	}
	if (!key_use(key, iv, cipher, mac, encrypt))
		return FAILED;
	return key == &ring->current ? TAKEN : TAKEN_TO_RENEW;
}

int tls_ring_use(struct tls_ring *ring, uint64_t now_ms, unsigned char *name, unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	int result;

	pthread_mutex_lock(&ring->lock);
	turn(ring, now_ms);
	result = ring_use(ring, name, iv, cipher, mac, encrypt);
	pthread_mutex_unlock(&ring->lock);
	return result;
}
