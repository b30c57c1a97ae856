/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP digest authentication (RFC 7616, RFC 8760, and RFC 2617 for MD5): challenges read, answers computed. */
#ifndef CONTROLPLANE_DIGEST_H
#define CONTROLPLANE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "platforms/base/span.h"

/* By strength. */
enum digest_algorithm { DIGEST_NONE, DIGEST_MD5, DIGEST_SHA_256, DIGEST_SHA_512_256 };

struct digest_challenge { /* spans into the header's value; quoted text as it is between its quotes */
	struct span realm, nonce, opaque;
	struct span algorithm; /* as written; empty: MD5 */
	enum digest_algorithm kind;
	bool is_session; /* "-sess" */
	bool has_qop, stale;
};

enum {
	DIGEST_HEX_MAX = 65, /* with its NUL */
	DIGEST_TEXT_MAX = 512, /* of realm, nonce, opaque: a longer one is not answered */
};

/* The value of one WWW-Authenticate or Proxy-Authenticate. 0; -EINVAL (malformed, or too long), -ENOTSUP (another scheme or algorithm, or
 * no qop that works: auth-int alone). */
int digest_challenge_parse(struct span value, struct digest_challenge *out);

/* request-digest of RFC 7616 section 3.4.1, lower case. `count`: nonce-count, with qop only. 0; -ENOTSUP (the crypto library has not got
 * the hash), -EMSGSIZE. */
int digest_answer(const struct digest_challenge *challenge, struct span username, struct span password,
	struct span method, struct span uri, struct span cnonce, uint32_t count, char out[DIGEST_HEX_MAX]);

/* H(A1) of section 3.4.2 in lower case: what a server needs to keep of a password. 0; -ENOTSUP. */
int digest_secret(enum digest_algorithm kind, struct span username, struct span realm, struct span password,
	char out[DIGEST_HEX_MAX]);

struct digest_protection { /* qop=auth */
	struct span count, cnonce; /* as sent */
};
/* request-digest with an H(A1) that is known. `protection` NULL: without qop (RFC 2069). 0; -ENOTSUP. */
int digest_response(enum digest_algorithm kind, struct span secret, struct span nonce,
	const struct digest_protection *protection, struct span method, struct span uri,
	char out[DIGEST_HEX_MAX]);
/* In a time that tells nothing about where they differ. */
bool digest_equal(struct span a, struct span b);

struct digest_credentials { /* spans into the header's value, as in a challenge */
	struct span username, realm, nonce, uri, response, cnonce, count;
	enum digest_algorithm kind;
	bool has_qop;
};
/* The value of one Authorization or Proxy-Authorization. 0; -EINVAL (malformed, too long, or a part is missing), -ENOTSUP (another scheme,
 * algorithm or qop). */
int digest_credentials_parse(struct span value, struct digest_credentials *out);

#endif
