/* SPDX-License-Identifier: BSD-3-Clause */
/* Nonces that carry their own proof, and the counts of those in use. */
#include "controlplane/digest_server.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/digest.h"
#include "platforms/base/clock.h"
#include "platforms/base/hash.h"
#include "platforms/base/random.h"

enum {
	SETS = 8192,
	WAYS = 8,
	STRIPES = 64,
	WINDOW = 64, /* a count may come so much later than a greater one */
	TIME_DIGITS = 12,
	SALT_DIGITS = 8,
	MAC_DIGITS = 32,
	NONCE_DIGITS = TIME_DIGITS + SALT_DIGITS + MAC_DIGITS,
	REALM_MAX = 256,
};

/* A nonce that was used. */
struct used {
	uint64_t name; /* hash of the nonce; 0: none */
	uint64_t made_ms;
	uint64_t seen; /* bit n: `highest` - n was used */
	uint32_t highest;
};

struct set {
	struct used used[WAYS];
	uint64_t forgotten_ms; /* what was made by then and is not here, may have been used */
};

struct digest_server {
	const struct config *config;
	struct store *store;
	uint64_t (*wall_ms)(void);
	struct hash_key mac[2], name;
	char nobody[DIGEST_HEX_MAX]; /* stands for the secret of a user that there is not */
	pthread_mutex_t stripe[STRIPES];
	struct set set[SETS];
};

/* --- nonces ------------------------------------------------------------------------------------------------------------ */

static struct span realm_of(struct span aor)
{
	struct span rest = aor;

	span_cut(&rest, '@');
	return rest;
}

/* What it is for: another source, or another realm, cannot use it. */
static void write_mac(const struct digest_server *server, const struct sip_flow *flow, struct span realm,
	struct span head, char out[MAC_DIGITS + 1])
{
	char text[TIME_DIGITS + SALT_DIGITS + ADDRESS_TEXT_MAX + REALM_MAX], host[ADDRESS_TEXT_MAX];
	struct writer w;
	struct span all;

	writer_init(&w, text, sizeof(text));
	writer_span(&w, head);
	writer_text(&w, address_print_host(&flow->remote, host));
	writer_char(&w, ' ');
	writer_span(&w, realm.n <= REALM_MAX - 1 ? realm : (struct span){ NULL, 0 });
	all = writer_result(&w);
	writer_init(&w, out, MAC_DIGITS + 1);
	for (unsigned i = 0; i < 2; i++)
		writer_format(&w, "%016llx", (unsigned long long)hash_bytes(&server->mac[i], all.p, all.n));
	out[MAC_DIGITS] = '\0';
}

static void write_nonce(const struct digest_server *server, const struct sip_flow *flow, struct span realm,
	char out[NONCE_DIGITS + 1])
{
	struct writer w;
	char mac[MAC_DIGITS + 1];

	writer_init(&w, out, NONCE_DIGITS + 1);
	writer_format(&w, "%012llx", (unsigned long long)(server->wall_ms() & 0xffffffffffff));
	writer_format(&w, "%08x", (unsigned)random_u64());
	write_mac(server, flow, realm, writer_result(&w), mac);
	memcpy(out + w.len, mac, sizeof(mac));
}

static int read_hex(struct span text, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
							: 16;

		if (digit == 16)
			return -1;
		*value = *value * 16 + digit;
	}
	return text.n ? 0 : -1;
}

/* False: it is not ours, or not for this source and realm. */
static bool is_ours(const struct digest_server *server, const struct sip_flow *flow, struct span realm,
	struct span nonce, uint64_t *made_ms)
{
	struct span head = { nonce.p, TIME_DIGITS + SALT_DIGITS };
	char mac[MAC_DIGITS + 1];

	if (nonce.n != NONCE_DIGITS || read_hex((struct span){ nonce.p, TIME_DIGITS }, made_ms) != 0)
		return false;
	write_mac(server, flow, realm, head, mac);
	return digest_equal(span_from(mac), (struct span){ nonce.p + head.n, MAC_DIGITS });
}

/* --- counts ------------------------------------------------------------------------------------------------------------ */

static struct used *find_used(struct set *set, uint64_t name, uint64_t made_ms)
{
	struct used *oldest = &set->used[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set->used[i].name == name)
			return &set->used[i];
		if (set->used[i].made_ms < oldest->made_ms)
			oldest = &set->used[i];
	}
	if (made_ms <= set->forgotten_ms)
		return NULL;
	if (oldest->name && oldest->made_ms > set->forgotten_ms)
		set->forgotten_ms = oldest->made_ms;
	if (made_ms <= set->forgotten_ms)
		return NULL;
	*oldest = (struct used){ .name = name, .made_ms = made_ms };
	return oldest;
}

/* True the first time. */
static bool use_count(struct used *used, uint32_t count)
{
	uint64_t bit;

	if (count > used->highest) {
		uint32_t step = count - used->highest;

		used->seen = step < WINDOW ? used->seen << step | 1 : 1;
		used->highest = count;
		return true;
	}
	if (used->highest - count >= WINDOW)
		return false;
	bit = UINT64_C(1) << (used->highest - count);
	if (used->seen & bit)
		return false;
	used->seen |= bit;
	return true;
}

static bool is_fresh(struct digest_server *server, struct span nonce, uint64_t made_ms, uint32_t count)
{
	uint64_t name = hash_bytes(&server->name, nonce.p, nonce.n) | 1;
	size_t at = name / 2 % SETS;
	struct used *used;
	bool fresh;

	pthread_mutex_lock(&server->stripe[at % STRIPES]);
	used = find_used(&server->set[at], name, made_ms);
	fresh = used && use_count(used, count);
	pthread_mutex_unlock(&server->stripe[at % STRIPES]);
	return fresh;
}

/* --- credentials ------------------------------------------------------------------------------------------------------- */

/* Those for our realm: a request may carry others'. */
static enum digest_verdict find_credentials(
	const struct scan *request, struct span realm, bool proxy, struct digest_credentials *out)
{
	enum { LOOKED_AT = 8 };
	struct span value, name = proxy ? SPAN("Proxy-Authorization") : SPAN("Authorization");
	enum digest_verdict verdict = DIGEST_MISSING;

	for (unsigned n = 0; n < LOOKED_AT && scan_header_find(request, name, 0, n, &value); n++) {
		if (digest_credentials_parse(value, out) != 0)
			verdict = DIGEST_WRONG;
		else if (span_equal_case(out->realm, realm))
			return DIGEST_RIGHT;
	}
	return verdict;
}

static int secret_of(struct digest_server *server, struct span user, struct span realm,
	enum digest_algorithm kind, char out[DIGEST_HEX_MAX])
{
	int error = store_user(
		server->store, user, realm, kind == DIGEST_SHA_256 ? STORE_SHA256 : STORE_MD5, out);

	if (error)
		memcpy(out, server->nobody, DIGEST_HEX_MAX);
	return error;
}

static bool is_response_right(struct digest_server *server, const struct scan *request,
	const struct digest_credentials *c, struct span user, struct span realm)
{
	struct digest_protection protection = { .count = c->count, .cnonce = c->cnonce };
	char secret[DIGEST_HEX_MAX], expected[DIGEST_HEX_MAX], lower[DIGEST_HEX_MAX];
	bool known, right;
	size_t n = c->response.n;

	if (c->kind != DIGEST_MD5 && c->kind != DIGEST_SHA_256)
		return false;
	known = secret_of(server, user, realm, c->kind, secret) == 0;
	right = digest_response(c->kind, span_from(secret), c->nonce, c->has_qop ? &protection : NULL,
			request->method_name, c->uri, expected) == 0;
	explicit_bzero(secret, sizeof(secret));
	if (n >= sizeof(lower))
		return false;
	for (size_t i = 0; i < n; i++) {
		char ch = c->response.p[i];

		lower[i] = ch >= 'A' && ch <= 'F' ? (char)(ch | 0x20) : ch;
	}
	return digest_equal(span_from(expected), (struct span){ lower, n }) && right && known &&
	       span_equal(c->username, user) && span_equal(c->uri, request->request_uri);
}

enum digest_verdict digest_server_check(struct digest_server *server, const struct sip_flow *flow,
	const struct scan *request, struct span aor, bool proxy)
{
	struct span realm = realm_of(aor), rest = aor, user = span_cut(&rest, '@');
	struct digest_credentials credentials;
	uint64_t made_ms, count = 1, now = server->wall_ms();
	enum digest_verdict verdict = find_credentials(request, realm, proxy, &credentials);

	if (verdict != DIGEST_RIGHT)
		return verdict;
	if (!is_ours(server, flow, realm, credentials.nonce, &made_ms))
		/* Of before a restart, or of another address: the phone is told to try again, and nothing is said about its password. */
		return credentials.nonce.n == NONCE_DIGITS ? DIGEST_EXPIRED : DIGEST_WRONG;
	if (credentials.has_qop &&
		(credentials.count.n != 8 || read_hex(credentials.count, &count) != 0 || count == 0))
		return DIGEST_WRONG;
	if (!is_response_right(server, request, &credentials, user, realm))
		return DIGEST_WRONG;
	if (made_ms > now || now - made_ms > (uint64_t)server->config->registration.nonce_lifetime * 1000)
		return DIGEST_EXPIRED;
	/* Without qop there is no count: the nonce is good for once. */
	return is_fresh(server, credentials.nonce, made_ms, (uint32_t)count) ? DIGEST_RIGHT : DIGEST_EXPIRED;
}

void digest_server_challenge(struct digest_server *server, const struct sip_flow *flow, struct span aor,
	unsigned n, bool stale, struct writer *out)
{
	static const char *const algorithms[DIGEST_SERVER_CHALLENGES] = { "SHA-256", "MD5" };
	struct span realm = realm_of(aor);
	char nonce[NONCE_DIGITS + 1];

	write_nonce(server, flow, realm, nonce);
	writer_text(out, "Digest realm=\"");
	for (size_t i = 0; i < realm.n; i++)
		if ((unsigned char)realm.p[i] > ' ' && realm.p[i] != '"' && realm.p[i] != '\\')
			writer_char(out, realm.p[i]);
	writer_text(out, "\", nonce=\"");
	writer_text(out, nonce);
	writer_text(out, "\", algorithm=");
	writer_text(out, algorithms[n]);
	writer_text(out, stale ? ", qop=\"auth\", stale=true" : ", qop=\"auth\"");
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

struct digest_server *digest_server_new(const struct config *config, struct store *store)
{
	struct digest_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->config = config;
	server->store = store;
	server->wall_ms = clock_wall_ms;
	hash_key_random(&server->mac[0]);
	hash_key_random(&server->mac[1]);
	hash_key_random(&server->name);
	random_token(server->nobody, DIGEST_HEX_MAX - 1);
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_init(&server->stripe[i], NULL);
	return server;
}

void digest_server_move(struct digest_server *server, const struct config_move *move)
{
	if (server)
		server->config = config_move_to(move);
}

void digest_server_free(struct digest_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&server->stripe[i]);
	free(server);
}

void digest_server_set_clock(struct digest_server *server, uint64_t (*wall_ms)(void))
{
	server->wall_ms = wall_ms;
}
