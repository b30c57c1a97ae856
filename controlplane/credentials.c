/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers to the challenges of session-agents whose credentials are configured. */
#include "controlplane/credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/digest.h"
#include "platforms/base/random.h"

enum {
	CNONCE_LENGTH = 16,
	CHALLENGES_MAX = 8,
	REPEATS_MAX = 3, /* of one request: proxy and server may each ask, and a nonce may be stale */
};

/* Who asks: the agent itself, or a proxy of its. Both may. */
enum asker { ASKER_SERVER, ASKER_PROXY, ASKERS };

static const struct {
	struct span challenge, answer;
} headers[ASKERS] = {
	[ASKER_SERVER] = { { "WWW-Authenticate", 16 }, { "Authorization", 13 } },
	[ASKER_PROXY] = { { "Proxy-Authenticate", 18 }, { "Proxy-Authorization", 19 } },
};

struct asked {
	char *text; /* the challenge; NULL: none */
	struct digest_challenge challenge; /* spans into it */
	uint32_t count; /* requests answered with this nonce */
};

struct credentials {
	unsigned users;
	struct asked asked[ASKERS];
	uint32_t repeated; /* CSeq of the last request that was sent again because of a challenge */
	unsigned repeats; /* of the same request */
	bool is_repeating;
	char *invite; /* header lines of the last INVITE, for its ACK */
};

/* --- challenges ------------------------------------------------------------------------------------------------------- */

/* The strongest challenge of that kind that can be answered (RFC 8760 section 2.4). */
static bool strongest(
	const struct message *response, enum asker who, struct span *text, struct digest_challenge *challenge)
{
	struct span value;

	challenge->kind = DIGEST_NONE;
	for (unsigned n = 0;
		n < CHALLENGES_MAX && message_header(response, headers[who].challenge, n, &value); n++) {
		struct digest_challenge one;

		if (digest_challenge_parse(value, &one) == 0 && one.kind > challenge->kind) {
			*challenge = one;
			*text = value;
		}
	}
	return challenge->kind != DIGEST_NONE;
}

/* False: no memory, or our answer has been refused: a new nonce without `stale` for what has just been answered says that the
 * password is wrong (RFC 7616 section 3.3). */
static bool remember(
	struct asked *asked, struct span text, const struct digest_challenge *challenge, bool repeated)
{
	if (asked->text &&
		(span_equal(asked->challenge.nonce, challenge->nonce) || (repeated && !challenge->stale)))
		return false;
	free(asked->text);
	asked->count = 0;
	asked->text = span_dup(text);
	return asked->text &&
	       digest_challenge_parse((struct span){ asked->text, text.n }, &asked->challenge) == 0;
}

/* Whether this very request has been sent with an answer to a challenge; and not too often. */
static bool note_repeat(struct credentials *credentials, const struct message *response, bool *repeated)
{
	*repeated = credentials->repeats && message_scan(response)->cseq_number == credentials->repeated;
	if (!*repeated)
		credentials->repeats = 0;
	return credentials->repeats++ < REPEATS_MAX;
}

bool credentials_take(struct leg *leg, const struct message *response)
{
	const struct config_session_agent *agent = leg->agent;
	unsigned status = message_scan(response)->status;
	struct digest_challenge challenge;
	bool answered = false, repeated;
	struct span text;

	if ((status != 401 && status != 407) || !agent || !agent->username || !agent->username[0] ||
		!message_is_parsed(response))
		return false;
	if (!leg->credentials)
		leg->credentials = calloc(1, sizeof(*leg->credentials));
	if (!leg->credentials || !note_repeat(leg->credentials, response, &repeated))
		return false;
	for (enum asker who = ASKER_SERVER; who < ASKERS; who++)
		if (strongest(response, who, &text, &challenge)) {
			if (!remember(&leg->credentials->asked[who], text, &challenge, repeated))
				return false;
			answered = true;
		}
	leg->credentials->is_repeating = answered;
	return answered;
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

static void write_quoted(const char *name, struct span text, struct writer *out)
{
	writer_text(out, name);
	writer_text(out, "=\"");
	writer_span(out, text);
	writer_char(out, '"');
}

static void write_escaped(const char *name, struct span text, struct writer *out)
{
	writer_text(out, name);
	writer_text(out, "=\"");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			writer_char(out, '\\');
		writer_char(out, text.p[i]);
	}
	writer_char(out, '"');
}

static void write_answer(struct asked *asked, enum asker who, const struct config_session_agent *agent,
	struct span method, struct span uri, struct writer *out)
{
	const struct digest_challenge *challenge = &asked->challenge;
	char cnonce[CNONCE_LENGTH + 1], answer[DIGEST_HEX_MAX];

	random_token(cnonce, CNONCE_LENGTH);
	if (digest_answer(challenge, span_from(agent->username), span_from(agent->password), method, uri,
		    span_from(cnonce), asked->count + 1, answer))
		return;
	asked->count++;
	writer_span(out, headers[who].answer);
	write_escaped(": Digest username", span_from(agent->username), out);
	write_quoted(", realm", challenge->realm, out);
	write_quoted(", nonce", challenge->nonce, out);
	write_quoted(", uri", uri, out);
	write_quoted(", response", span_from(answer), out);
	if (challenge->algorithm.n) {
		writer_text(out, ", algorithm=");
		writer_span(out, challenge->algorithm);
	}
	if (challenge->has_qop || challenge->is_session)
		write_quoted(", cnonce", span_from(cnonce), out);
	if (challenge->has_qop)
		writer_format(out, ", qop=auth, nc=%08x", asked->count);
	if (challenge->opaque.p)
		write_quoted(", opaque", challenge->opaque, out);
	writer_text(out, "\r\n");
}

void credentials_write(struct leg *leg, enum sip_method method, struct span uri, struct writer *out)
{
	struct credentials *credentials = leg->credentials;
	size_t start = out->len;

	if (!credentials)
		return;
	if (method == SIP_METHOD_ACK) {
		writer_span(out, span_from(credentials->invite));
		return;
	}
	if (credentials->is_repeating)
		credentials->repeated = leg->local_cseq;
	credentials->is_repeating = false;
	for (enum asker who = ASKER_SERVER; who < ASKERS; who++)
		if (credentials->asked[who].text)
			write_answer(&credentials->asked[who], who, leg->agent,
				span_from(sip_method_name(method)), uri, out);
	if (method == SIP_METHOD_INVITE && !out->overflow) {
		free(credentials->invite);
		credentials->invite = span_dup((struct span){ out->buffer + start, out->len - start });
	}
}

struct credentials *credentials_share(struct credentials *credentials)
{
	if (credentials)
		credentials->users++;
	return credentials;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials || credentials->users--)
		return;
	for (enum asker who = ASKER_SERVER; who < ASKERS; who++)
		free(credentials->asked[who].text);
	free(credentials->invite);
	free(credentials);
}
