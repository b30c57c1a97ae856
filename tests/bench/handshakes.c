/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS handshakes at a rate, in every second slice of time; from their TCP connection on, none resumed, each to its end.
 *
 * usage: handshakes ADDRESS PORT RATE BEGIN-NS SLICE-MS SLICES
 * BEGIN-NS: CLOCK_REALTIME, when the first slice begins; it and each second one after it are silent. Prints how many were done in each slice,
 * and how many failed: {"done": [0, N, 0, ...], "failed": N}.
 *
 * The server is asked for all its work: X25519 with a key of its own, a signature, its own Finished, ours looked at. The client is a cheap one, since it
 * has the server's core: TLS 1.3 with one suite written out (RFC 8446), one key of its own for all handshakes, and nothing of the server's looked
 * at. A handshake is done when the server has closed the connection behind our Finished and our FIN. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Update: what EVP would add to it is more than it takes */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platforms/base/span.h"
#include "tests/bench/slice_clock.h"

enum { PROCESSES = 16, SLICES_MAX = 1000, TIMEOUT_S = 5, BEHIND_MAX_NS = 500000000 };

enum { HASH = 32, KEY = 16, IV = 12, TAG = 16, HEADER = 5, FLIGHT_MAX = 16384, SHARE = 32 };

static struct counts {
	unsigned done[SLICES_MAX], failed;
} * counts; /* of all processes; each has its own */

static struct {
	struct sockaddr_in to;
	unsigned rate, slices;
	int64_t begin, slice;
} options;

static void die(const char *what)
{
	fprintf(stderr, "handshakes: %s\n", what);
	exit(1);
}

/* --- RFC 5869, RFC 8446 section 7.1 --------------------------------------------------------------------------------------- */

static void hmac(const uint8_t key[HASH], const void *data, size_t length, uint8_t out[HASH])
{
	uint8_t pad[64], inner[HASH];
	SHA256_CTX hash;

	memset(pad, 0x36, sizeof(pad));
	for (unsigned i = 0; i < HASH; i++)
		pad[i] ^= key[i];
	SHA256_Init(&hash);
	SHA256_Update(&hash, pad, sizeof(pad));
	SHA256_Update(&hash, data, length);
	SHA256_Final(inner, &hash);
	for (unsigned i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	SHA256_Init(&hash);
	SHA256_Update(&hash, pad, sizeof(pad));
	SHA256_Update(&hash, inner, sizeof(inner));
	SHA256_Final(out, &hash);
}

/* HKDF-Expand-Label, of not more than one hash. */
static void expand(
	const uint8_t secret[HASH], const char *label, const uint8_t *context, uint8_t *out, size_t length)
{
	uint8_t info[80] = { 0, (uint8_t)length, (uint8_t)(6 + strlen(label)) }, block[HASH];
	size_t n = 3;

	memcpy(info + n, "tls13 ", 6);
	n += 6;
	memcpy(info + n, label, strlen(label));
	n += strlen(label);
	info[n++] = context ? HASH : 0;
	if (context)
		memcpy(info + n, context, HASH);
	n += context ? HASH : 0;
	info[n++] = 1;
	hmac(secret, info, n, block);
	memcpy(out, block, length);
}

/* --- one client ------------------------------------------------------------------------------------------------------------ */

struct client {
	EVP_PKEY *key;
	EVP_PKEY_CTX *derivation;
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *cipher_ctx;
	uint8_t derived[HASH]; /* "derived" of the early secret: always the same */
	uint8_t hello[256];
	size_t hello_length; /* with its record's header */
};

struct traffic { /* one direction of a handshake */
	uint8_t secret[HASH], key[KEY], iv[IV];
	uint64_t sequence;
};

static const uint8_t hello_begin[] = { 22, 3, 1, 0, 0, /* record */
	1, 0, 0, 0, 3, 3 /* ClientHello, legacy_version; random follows */ };
static const uint8_t hello_end[] = { 0, /* no session */
	0, 2, 0x13, 0x01, /* TLS_AES_128_GCM_SHA256 */
	1, 0, /* no compression */
	0, 65, /* extensions */
	0, 43, 0, 3, 2, 3, 4, /* supported_versions: 1.3 */
	0, 10, 0, 4, 0, 2, 0, 29, /* supported_groups: x25519 */
	0, 13, 0, 4, 0, 2, 4, 3, /* signature_algorithms: ecdsa_secp256r1_sha256 */
	0, 51, 0, 38, 0, 36, 0, 29, 0, SHARE /* key_share; the key follows */ };

static void client_init(struct client *c)
{
	static const uint8_t nothing[HASH];
	uint8_t early[HASH], empty[HASH], *at = c->hello;
	size_t length = SHARE;

	c->key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	c->derivation = EVP_PKEY_CTX_new(c->key, NULL);
	c->cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	c->cipher_ctx = EVP_CIPHER_CTX_new();
	if (!c->key || !c->derivation || !c->cipher || !c->cipher_ctx ||
		EVP_PKEY_derive_init(c->derivation) != 1)
		die("OpenSSL");
	hmac(nothing, nothing, sizeof(nothing), early);
	SHA256((const uint8_t *)"", 0, empty);
	expand(early, "derived", empty, c->derived, HASH);
	memcpy(at, hello_begin, sizeof(hello_begin));
	at += sizeof(hello_begin) + HASH;
	memcpy(at, hello_end, sizeof(hello_end));
	at += sizeof(hello_end);
	EVP_PKEY_get_raw_public_key(c->key, at, &length);
	at += SHARE;
	c->hello_length = (size_t)(at - c->hello);
	c->hello[4] = (uint8_t)(c->hello_length - HEADER);
	c->hello[8] = (uint8_t)(c->hello_length - HEADER - 4);
}

static void traffic_init(
	struct traffic *t, const uint8_t secret[HASH], const char *label, const uint8_t *so_far)
{
	expand(secret, label, so_far, t->secret, HASH);
	expand(t->secret, "key", NULL, t->key, KEY);
	expand(t->secret, "iv", NULL, t->iv, IV);
	t->sequence = 0;
}

/* A record's octets in place, behind its header; `length` without the tag. */
static bool record_crypt(struct client *c, struct traffic *t, uint8_t *record, size_t length, bool protect)
{
	uint8_t iv[IV], *body = record + HEADER;
	int n;

	memcpy(iv, t->iv, IV);
	for (unsigned i = 0; i < 8; i++)
		iv[IV - 1 - i] ^= (uint8_t)(t->sequence >> (8 * i));
	t->sequence++;
	return EVP_CipherInit_ex2(c->cipher_ctx, c->cipher, t->key, iv, protect, NULL) == 1 &&
	       EVP_CipherUpdate(c->cipher_ctx, NULL, &n, record, HEADER) == 1 &&
	       EVP_CipherUpdate(c->cipher_ctx, body, &n, body, (int)length) == 1 &&
	       (protect ||
		       EVP_CIPHER_CTX_ctrl(c->cipher_ctx, EVP_CTRL_AEAD_SET_TAG, TAG, body + length) == 1) &&
	       EVP_CipherFinal_ex(c->cipher_ctx, body + length, &n) == 1 &&
	       (!protect ||
		       EVP_CIPHER_CTX_ctrl(c->cipher_ctx, EVP_CTRL_AEAD_GET_TAG, TAG, body + length) == 1);
}

static bool receive(int fd, uint8_t *to, size_t length)
{
	return recv(fd, to, length, MSG_WAITALL) == (ssize_t)length;
}

/* The next record that is not ChangeCipherSpec. Its length without header, 0: there is none. */
static size_t record_receive(int fd, uint8_t *record)
{
	size_t length;

	do {
		if (!receive(fd, record, HEADER))
			return 0;
		length = (size_t)record[3] << 8 | record[4];
		if (length == 0 || length > FLIGHT_MAX || !receive(fd, record + HEADER, length))
			return 0;
	} while (record[0] == 20);
	return length;
}

/* x25519's share in a ServerHello (RFC 8446 section 4.1.3); NULL: another answer than was asked for. */
static const uint8_t *share_of(const uint8_t *hello, size_t length)
{
	size_t at = 4 + 2 + HASH;

	if (length < at + 1 || hello[0] != 2)
		return NULL;
	at += 1U + hello[at] + 2 + 1 + 2;
	while (at + 4 <= length) {
		size_t size = (size_t)hello[at + 2] << 8 | hello[at + 3];

		if (hello[at] == 0 && hello[at + 1] == 51 && size == 4 + SHARE && at + 4 + size <= length)
			return hello + at + 8;
		at += 4 + size;
	}
	return NULL;
}

static bool shared_secret(struct client *c, const uint8_t *share, uint8_t out[SHARE])
{
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, share, SHARE);
	size_t length = SHARE;
	bool good = theirs && EVP_PKEY_derive_set_peer_ex(c->derivation, theirs, 0) == 1 &&
		    EVP_PKEY_derive(c->derivation, out, &length) == 1;

	EVP_PKEY_free(theirs);
	return good;
}

static void hash_now(const SHA256_CTX *transcript, uint8_t out[HASH])
{
	SHA256_CTX copy = *transcript;

	SHA256_Final(out, &copy);
}

/* Everything until the server's Finished, which ends its flight. */
static bool flight_receive(struct client *c, int fd, struct traffic *from, SHA256_CTX *transcript)
{
	static uint8_t record[HEADER + FLIGHT_MAX], flight[FLIGHT_MAX];
	size_t have = 0, at = 0;

	for (;;) {
		size_t length = record_receive(fd, record);

		if (length <= TAG || record[0] != 23 || !record_crypt(c, from, record, length - TAG, false))
			return false;
		for (length -= TAG; length > 0 && record[HEADER + length - 1] == 0;)
			length--;
		if (length < 1 || record[HEADER + length - 1] != 22 || have + length > FLIGHT_MAX)
			return false;
		memcpy(flight + have, record + HEADER, length - 1);
		SHA256_Update(transcript, record + HEADER, length - 1);
		have += length - 1;
		while (at + 4 <= have) {
			size_t size = 4 + ((size_t)flight[at + 2] << 8 | flight[at + 3]);

			if (at + size > have)
				break;
			if (flight[at] == 20)
				return at + size == have;
			at += size;
		}
	}
}

static bool finish(struct client *c, int fd, struct traffic *to, const SHA256_CTX *transcript)
{
	enum { MESSAGE = 4 + HASH, LENGTH = MESSAGE + 1 + TAG };
	uint8_t record[HEADER + LENGTH] = { 23, 3, 3, 0, LENGTH, 20, 0, 0, HASH }, key[HASH], so_far[HASH];

	hash_now(transcript, so_far);
	expand(to->secret, "finished", NULL, key, HASH);
	hmac(key, so_far, HASH, record + HEADER + 4);
	record[HEADER + MESSAGE] = 22;
	return record_crypt(c, to, record, MESSAGE + 1, true) &&
	       send(fd, record, sizeof(record), MSG_NOSIGNAL) == (ssize_t)sizeof(record);
}

static bool talk(struct client *c, int fd)
{
	static uint8_t record[HEADER + FLIGHT_MAX];
	uint8_t shared[SHARE], secret[HASH], so_far[HASH];
	struct traffic ours, theirs;
	SHA256_CTX transcript;
	const uint8_t *share;
	size_t length;

	if (getentropy(c->hello + sizeof(hello_begin), HASH) != 0 ||
		send(fd, c->hello, c->hello_length, MSG_NOSIGNAL) != (ssize_t)c->hello_length)
		return false;
	length = record_receive(fd, record);
	share = length && record[0] == 22 ? share_of(record + HEADER, length) : NULL;
	if (!share || !shared_secret(c, share, shared))
		return false;
	SHA256_Init(&transcript);
	SHA256_Update(&transcript, c->hello + HEADER, c->hello_length - HEADER);
	SHA256_Update(&transcript, record + HEADER, length);
	hash_now(&transcript, so_far);
	hmac(c->derived, shared, SHARE, secret);
	traffic_init(&ours, secret, "c hs traffic", so_far);
	traffic_init(&theirs, secret, "s hs traffic", so_far);
	return flight_receive(c, fd, &theirs, &transcript) && finish(c, fd, &ours, &transcript);
}

static bool handshake(struct client *c)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint8_t rest[256];
	bool good;

	if (fd < 0)
		die("out of sockets");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	good = connect(fd, (const struct sockaddr *)&options.to, sizeof(options.to)) == 0 && talk(c, fd) &&
	       shutdown(fd, SHUT_WR) == 0;
	while (good) {
		ssize_t n = recv(fd, rest, sizeof(rest), 0);

		if (n <= 0) {
			good = n == 0;
			break;
		}
	}
	close(fd);
	return good;
}

/* One of PROCESSES; what could not be made in time is made up for, if it is not too much. */
static void run(struct counts *own, unsigned number)
{
	const int64_t gap = SECOND * PROCESSES / options.rate;
	static struct client client;

	client_init(&client);
	for (unsigned slice = 1; slice < options.slices; slice += 2) {
		int64_t begin = options.begin + options.slice * slice, end = begin + options.slice;
		int64_t due = begin + gap * number / PROCESSES;

		while (due < end) {
			int64_t now = now_ns();

			if (now < due)
				sleep_until(due);
			else if (now - due > BEHIND_MAX_NS)
				due = now - BEHIND_MAX_NS;
			due += gap;
			if (now_ns() >= end)
				break;
			if (handshake(&client))
				own->done[slice]++;
			else
				own->failed++;
		}
	}
}

static uint64_t number(const char *text, uint64_t most)
{
	uint64_t value;

	if (span_to_uint(span_from(text), most, &value) != 0 || value == 0)
		die(text);
	return value;
}

static void report(void)
{
	unsigned failed = 0;

	printf("{\"done\": [");
	for (unsigned slice = 0; slice < options.slices; slice++) {
		unsigned done = 0;

		for (unsigned i = 0; i < PROCESSES; i++)
			done += counts[i].done[slice];
		printf("%s%u", slice ? ", " : "", done);
	}
	for (unsigned i = 0; i < PROCESSES; i++)
		failed += counts[i].failed;
	printf("], \"failed\": %u}\n", failed);
}

int main(int argc, char **argv)
{
	if (argc < 7)
		die("ADDRESS PORT RATE BEGIN-NS SLICE-MS SLICES");
	options.to = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)number(argv[2], UINT16_MAX)) };
	if (inet_pton(AF_INET, argv[1], &options.to.sin_addr) != 1)
		die(argv[1]);
	options.rate = (unsigned)number(argv[3], 1000000);
	options.begin = (int64_t)number(argv[4], INT64_MAX);
	options.slice = (int64_t)number(argv[5], 3600000) * 1000000;
	options.slices = (unsigned)number(argv[6], SLICES_MAX);
	counts = mmap(
		NULL, PROCESSES * sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		die("memory");
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			run(&counts[i], i);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	report();
	return 0;
}
