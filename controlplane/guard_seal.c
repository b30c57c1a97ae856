/* SPDX-License-Identifier: BSD-3-Clause */
/* Seals: a challenge on its way to a stranger gets a mark in `opaque`, which comes back with the credentials (RFC 7616 section 3.4) and is in no
 * digest. It says by itself when and for which address it was made: who shows it receives what is sent there. Nothing is kept of it.
 * Its form: '-', 'n' if the challenge had no opaque of its own or else 'o', the window of time, the code. */
#include <string.h>

#include "controlplane/digest.h"
#include "controlplane/guard_internal.h"
#include "controlplane/sip.h"

enum {
	WINDOW_MS = 300000, /* a seal holds for this window and the next */
	WINDOW_DIGITS = 8,
	CODE_DIGITS = 16,
	SEAL_LENGTH = 2 + WINDOW_DIGITS + CODE_DIGITS,
	LOOKED_AT = 4, /* credentials of one request */
	PARAMETERS_MAX = 32,
};

/* --- parameters of challenges and credentials ---------------------------------------------------------------------------- */

/* `name="text"` among others: where it stands with the comma before it (or, of the first, behind it), and its text within the quotes. */
struct parameter {
	struct span all, text;
	bool quoted;
};

static struct span behind(struct span text, size_t n)
{
	return n < text.n ? (struct span){ text.p + n, text.n - n } : (struct span){ text.p + text.n, 0 };
}

static size_t white(struct span text)
{
	size_t n = 0;

	while (n < text.n &&
		(text.p[n] == ' ' || text.p[n] == '\t' || text.p[n] == '\r' || text.p[n] == '\n'))
		n++;
	return n;
}

static size_t until(struct span text, size_t n, const char *ends)
{
	while (n < text.n && text.p[n] != ends[0] && text.p[n] != ends[1])
		n++;
	return n;
}

/* How long the parameter at the beginning is, without the comma behind it. A quote in the middle of a word begins nothing. */
static size_t parameter_length(struct span text)
{
	size_t n = until(text, 0, ",=");

	if (n == text.n || text.p[n] == ',')
		return n;
	n++;
	n += white(behind(text, n));
	if (n < text.n && text.p[n] == '"')
		n += sip_quoted_length(behind(text, n));
	return until(text, n, ",,");
}

static bool parameter_is(struct span one, struct span name, struct parameter *out)
{
	struct span text = one, key = span_trim(span_cut(&text, '='));

	if (!text.p || !span_equal_case(key, name))
		return false;
	text = span_trim(text);
	out->quoted = text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"';
	out->text = out->quoted ? (struct span){ text.p + 1, text.n - 2 } : text;
	return true;
}

static bool parameter_find(struct span value, struct span name, struct parameter *out)
{
	static const struct span scheme = { "Digest ", 7 };
	const char *from; /* the comma before it */
	struct span rest;

	if (!span_starts_case(value, scheme))
		return false;
	rest = behind(value, scheme.n);
	from = rest.p;
	for (unsigned i = 0; i < PARAMETERS_MAX && rest.n; i++) {
		size_t n = parameter_length(rest);
		struct span one = { rest.p, n };

		rest = behind(rest, n);
		if (parameter_is(one, name, out)) {
			const char *end = rest.p;

			if (i == 0 && rest.n) {
				rest = behind(rest, 1);
				end = behind(rest, white(rest)).p;
			}
			out->all = (struct span){ from, (size_t)(end - from) };
			return true;
		}
		from = rest.p;
		rest = behind(rest, 1);
	}
	return false;
}

struct span guard_parameter(struct span value, struct span name)
{
	struct parameter found;

	return parameter_find(value, name, &found) ? found.text : (struct span){ NULL, 0 };
}

/* --- what it says ---------------------------------------------------------------------------------------------------------- */

static uint32_t window_of(uint64_t now_ms)
{
	return (uint32_t)(now_ms / WINDOW_MS);
}

/* Each window has a key of its own. */
static void write_code(
	const struct guard *guard, uint32_t window, const union address *remote, char out[CODE_DIGITS + 1])
{
	struct {
		uint32_t window, part;
	} step = { window, 0 };
	struct guard_key whose;
	struct hash_key key;
	struct writer w;

	guard_key_source(&whose, remote);
	for (; step.part < 2; step.part++)
		key.k[step.part] = hash_bytes(&guard->seal, &step, sizeof(step));
	writer_init(&w, out, CODE_DIGITS + 1);
	writer_format(&w, "%016llx", (unsigned long long)hash_bytes(&key, &whose, sizeof(whose)));
}

static void write_seal(const struct guard *guard, const struct sip_flow *flow, char kind, struct writer *out)
{
	uint32_t window = window_of(guard->now_ms());
	char code[CODE_DIGITS + 1];

	write_code(guard, window, &flow->remote, code);
	writer_char(out, '-');
	writer_char(out, kind);
	writer_format(out, "%08x", window);
	writer_span(out, (struct span){ code, CODE_DIGITS });
}

static bool is_hex(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!((text.p[i] >= '0' && text.p[i] <= '9') || (text.p[i] >= 'a' && text.p[i] <= 'f')))
			return false;
	return true;
}

/* The seal at the end of an opaque, whoever's it is. Empty: there is none. */
static struct span seal_of(struct span opaque)
{
	struct span seal;

	if (opaque.n < SEAL_LENGTH)
		return (struct span){ NULL, 0 };
	seal = behind(opaque, opaque.n - SEAL_LENGTH);
	return seal.p[0] == '-' && (seal.p[1] == 'n' || seal.p[1] == 'o') && is_hex(behind(seal, 2))
		       ? seal
		       : (struct span){ NULL, 0 };
}

static uint32_t read_window(struct span text)
{
	uint32_t window = 0;

	for (size_t i = 0; i < WINDOW_DIGITS; i++)
		window = window * 16 + (uint32_t)(text.p[i] <= '9' ? text.p[i] - '0' : text.p[i] - 'a' + 10);
	return window;
}

static bool seal_holds(const struct guard *guard, const struct sip_flow *flow, struct span credentials)
{
	struct span seal = seal_of(guard_parameter(credentials, SPAN("opaque")));
	uint32_t window, now = window_of(guard->now_ms());
	char code[CODE_DIGITS + 1];

	if (seal.n == 0)
		return false;
	window = read_window(behind(seal, 2));
	if (window > now || now - window > 1)
		return false;
	write_code(guard, window, &flow->remote, code);
	return digest_equal((struct span){ code, CODE_DIGITS }, behind(seal, 2 + WINDOW_DIGITS));
}

bool guard_is_sealed(const struct guard *guard, const struct sip_flow *flow, const struct scan *request)
{
	static const struct span names[] = { { "Authorization", 13 }, { "Proxy-Authorization", 19 } };
	struct span value;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (unsigned n = 0; n < LOOKED_AT && scan_header_find(request, names[i], 0, n, &value); n++)
			if (seal_holds(guard, flow, value))
				return true;
	return false;
}

/* --- on and off -------------------------------------------------------------------------------------------------------------- */

void guard_seal(
	const struct guard *guard, const struct sip_flow *flow, struct span challenge, struct writer *out)
{
	struct parameter opaque;
	size_t before;

	if (!guard || !span_starts_case(challenge, SPAN("Digest "))) {
		writer_span(out, challenge);
	} else if (!parameter_find(challenge, SPAN("opaque"), &opaque)) {
		writer_span(out, challenge);
		writer_text(out, ", opaque=\"");
		write_seal(guard, flow, 'n', out);
		writer_char(out, '"');
	} else if (!opaque.quoted) {
		writer_span(out, challenge);
	} else {
		before = (size_t)(opaque.text.p + opaque.text.n - challenge.p);
		writer_span(out, (struct span){ challenge.p, before });
		write_seal(guard, flow, 'o', out);
		writer_span(out, behind(challenge, before));
	}
}

void guard_unseal(struct span credentials, struct writer *out)
{
	struct parameter opaque;
	struct span seal = { NULL, 0 }, off;
	size_t before;

	if (parameter_find(credentials, SPAN("opaque"), &opaque))
		seal = seal_of(opaque.text);
	if (seal.n == 0) {
		writer_span(out, credentials);
		return;
	}
	off = seal.p[1] == 'n' && seal.p == opaque.text.p ? opaque.all : seal;
	before = (size_t)(off.p - credentials.p);
	writer_span(out, (struct span){ credentials.p, before });
	writer_span(out, behind(credentials, before + off.n));
}
