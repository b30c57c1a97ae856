/* SPDX-License-Identifier: BSD-3-Clause */
/* Digest authentication: the parameters of a challenge in bounded time, hashes by OpenSSL. */
#include "controlplane/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "controlplane/sip.h"

/* --- challenges ------------------------------------------------------------------------------------------------------- */

static const struct {
	struct span name;
	enum digest_algorithm kind;
	const char *digest;
} algorithms[] = {
	{ { "MD5", 3 }, DIGEST_MD5, "MD5" },
	{ { "SHA-256", 7 }, DIGEST_SHA_256, "SHA256" },
	{ { "SHA-512-256", 11 }, DIGEST_SHA_512_256, "SHA512-256" },
};

static int take_algorithm(struct span name, struct digest_challenge *out)
{
	static const struct span session = { "-sess", 5 };
	struct span rest = name;

	if (rest.n > session.n &&
		span_equal_case((struct span){ rest.p + rest.n - session.n, session.n }, session)) {
		out->is_session = true;
		rest.n -= session.n;
	}
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (span_equal_case(rest, algorithms[i].name)) {
			out->algorithm = name;
			out->kind = algorithms[i].kind;
			return 0;
		}
	return -ENOTSUP;
}

static bool has_auth(struct span list)
{
	while (list.n)
		if (span_equal_case(span_trim(span_cut(&list, ',')), SPAN("auth")))
			return true;
	return false;
}

/* name=token or name="text", what is between the quotes; *rest behind its comma. */
static int next_parameter(struct span *rest, struct span *name, struct span *value)
{
	struct span text = span_trim(*rest);
	size_t length = 0;

	*name = span_trim(span_cut(&text, '='));
	text = span_trim(text);
	if (name->n == 0 || text.n == 0)
		return -EINVAL;
	if (text.p[0] == '"') {
		length = sip_quoted_length(text);
		if (length == 0)
			return -EINVAL;
		*value = (struct span){ text.p + 1, length - 2 };
	} else {
		while (length < text.n && text.p[length] != ',')
			length++;
		*value = span_trim((struct span){ text.p, length });
	}
	*rest = span_trim((struct span){ text.p + length, text.n - length });
	if (rest->n && rest->p[0] != ',')
		return -EINVAL;
	if (rest->n)
		*rest = (struct span){ rest->p + 1, rest->n - 1 };
	return value->n > DIGEST_TEXT_MAX ? -EINVAL : 0;
}

/* Words of a scheme's parameters behind its name; -ENOTSUP: another scheme. */
static int skip_scheme(struct span value, struct span *rest)
{
	static const struct span scheme = { "Digest", 6 };

	*rest = span_trim(value);
	if (!span_starts_case(*rest, scheme))
		return -ENOTSUP;
	*rest = (struct span){ rest->p + scheme.n, rest->n - scheme.n };
	if (rest->n && rest->p[0] != ' ' && rest->p[0] != '\t')
		return -ENOTSUP;
	*rest = span_trim(*rest);
	return 0;
}

int digest_challenge_parse(struct span value, struct digest_challenge *out)
{
	struct span rest, name, text, qop = { NULL, 0 };
	int error;

	*out = (struct digest_challenge){ .kind = DIGEST_MD5 };
	error = skip_scheme(value, &rest);
	while (rest.n && error == 0) {
		error = next_parameter(&rest, &name, &text);
		if (error)
			return error;
		if (span_equal_case(name, SPAN("realm")))
			out->realm = text;
		else if (span_equal_case(name, SPAN("nonce")))
			out->nonce = text;
		else if (span_equal_case(name, SPAN("opaque")))
			out->opaque = text;
		else if (span_equal_case(name, SPAN("stale")))
			out->stale = span_equal_case(text, SPAN("true"));
		else if (span_equal_case(name, SPAN("qop")))
			qop = text;
		else if (span_equal_case(name, SPAN("algorithm")))
			error = take_algorithm(text, out);
	}
	if (error)
		return error;
	if (!out->nonce.p || !out->realm.p)
		return -EINVAL;
	out->has_qop = qop.n > 0;
	return out->has_qop && !has_auth(qop) ? -ENOTSUP : 0;
}

/* --- credentials ------------------------------------------------------------------------------------------------------ */

static int take_credential(
	struct span name, struct span text, struct digest_credentials *out, struct span *qop)
{
	const struct {
		struct span name, *to;
	} rows[] = {
		{ { "username", 8 }, &out->username },
		{ { "realm", 5 }, &out->realm },
		{ { "nonce", 5 }, &out->nonce },
		{ { "uri", 3 }, &out->uri },
		{ { "response", 8 }, &out->response },
		{ { "cnonce", 6 }, &out->cnonce },
		{ { "nc", 2 }, &out->count },
		{ { "qop", 3 }, qop },
	};
	struct digest_challenge algorithm = { .kind = DIGEST_MD5 };
	int error;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (span_equal_case(name, rows[i].name)) {
			/* The second of a name: one of them is meant for somebody else. */
			if (rows[i].to->p)
				return -EINVAL;
			*rows[i].to = text;
			return 0;
		}
	if (!span_equal_case(name, SPAN("algorithm")))
		return 0;
	error = take_algorithm(text, &algorithm);
	out->kind = algorithm.kind;
	return error ? error : algorithm.is_session ? -ENOTSUP : 0;
}

int digest_credentials_parse(struct span value, struct digest_credentials *out)
{
	struct span rest, name, text, qop = { NULL, 0 };
	int error;

	*out = (struct digest_credentials){ .kind = DIGEST_MD5 };
	error = skip_scheme(value, &rest);
	while (rest.n && error == 0) {
		error = next_parameter(&rest, &name, &text);
		if (error == 0)
			error = take_credential(name, text, out, &qop);
	}
	if (error)
		return error;
	if (!out->username.p || !out->realm.p || !out->nonce.p || !out->uri.p || !out->response.p)
		return -EINVAL;
	out->has_qop = qop.p != NULL;
	if (out->has_qop && !span_equal_case(qop, SPAN("auth")))
		return -ENOTSUP;
	return out->has_qop && (!out->cnonce.p || !out->count.p) ? -EINVAL : 0;
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

/* Hash of pieces with ':' between them, in hexadecimal. */
static int hash_hex(const char *digest, const struct span *piece, size_t count, char out[DIGEST_HEX_MAX])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_MD *md = EVP_MD_fetch(NULL, digest, NULL);
	bool ok = context && md && EVP_DigestInit_ex2(context, md, NULL);

	for (size_t i = 0; ok && i < count; i++)
		ok = (i == 0 || EVP_DigestUpdate(context, ":", 1)) &&
		     EVP_DigestUpdate(context, piece[i].n ? piece[i].p : "", piece[i].n);
	ok = ok && EVP_DigestFinal_ex(context, raw, &length) && 2 * length < DIGEST_HEX_MAX;
	for (unsigned i = 0; ok && i < length; i++) {
		out[2 * i] = hex[raw[i] >> 4];
		out[2 * i + 1] = hex[raw[i] & 15];
	}
	if (ok)
		out[2 * length] = '\0';
	EVP_MD_free(md);
	EVP_MD_CTX_free(context);
	return ok ? 0 : -ENOTSUP;
}

/* OpenSSL's name of it; NULL: it cannot be had. No file is read: the daemon's sandbox has none. */
static const char *digest_name(enum digest_algorithm kind)
{
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
		return NULL;
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (algorithms[i].kind == kind)
			return algorithms[i].digest;
	return NULL;
}

int digest_secret(enum digest_algorithm kind, struct span username, struct span realm, struct span password,
	char out[DIGEST_HEX_MAX])
{
	const char *digest = digest_name(kind);

	return digest ? hash_hex(digest, (struct span[]){ username, realm, password }, 3, out) : -ENOTSUP;
}

int digest_response(enum digest_algorithm kind, struct span secret, struct span nonce,
	const struct digest_protection *protection, struct span method, struct span uri,
	char out[DIGEST_HEX_MAX])
{
	const char *digest = digest_name(kind);
	char ha2[DIGEST_HEX_MAX];
	int error = digest ? hash_hex(digest, (struct span[]){ method, uri }, 2, ha2) : -ENOTSUP;

	if (error)
		return error;
	if (!protection)
		return hash_hex(digest, (struct span[]){ secret, nonce, span_from(ha2) }, 3, out);
	return hash_hex(digest,
		(struct span[]){
			secret, nonce, protection->count, protection->cnonce, SPAN("auth"), span_from(ha2) },
		6, out);
}

bool digest_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

int digest_answer(const struct digest_challenge *challenge, struct span username, struct span password,
	struct span method, struct span uri, struct span cnonce, uint32_t count, char out[DIGEST_HEX_MAX])
{
	char ha1[DIGEST_HEX_MAX], number[16];
	struct digest_protection protection = { .cnonce = cnonce };
	struct writer w;
	int error;

	writer_init(&w, number, sizeof(number));
	writer_format(&w, "%08x", count);
	protection.count = writer_result(&w);
	error = digest_secret(challenge->kind, username, challenge->realm, password, ha1);
	if (error == 0 && challenge->is_session)
		error = hash_hex(digest_name(challenge->kind),
			(struct span[]){ span_from(ha1), challenge->nonce, cnonce }, 3, ha1);
	if (error == 0)
		error = digest_response(challenge->kind, span_from(ha1), challenge->nonce,
			challenge->has_qop ? &protection : NULL, method, uri, out);
	OPENSSL_cleanse(ha1, sizeof(ha1));
	return error;
}
