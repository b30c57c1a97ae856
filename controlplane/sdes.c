/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes a=crypto (RFC 4568 section 9.1), strictly: base64 with its padding (RFC 4648 section 3.2), and no bit that says nothing. */
#include "controlplane/sdes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	TAG_DIGITS_MAX = 9,
	LIFETIME_BITS_MAX = 48, /* RFC 3711 section 9.2 */
	MKI_OCTETS_MAX = 128, /* RFC 4568 section 6.1 */
	PARAMETERS_MAX = 16,
};

/* RFC 4568 section 6.2, RFC 6188 section 2, RFC 7714 section 14.3. */
static const struct {
	struct span name;
	size_t key_length; /* with the salt */
} suites[DP_SRTP_SUITE_COUNT] = {
	[DP_SRTP_AES_CM_128_HMAC_SHA1_80] = { { "AES_CM_128_HMAC_SHA1_80", 23 }, 30 },
	[DP_SRTP_AES_CM_128_HMAC_SHA1_32] = { { "AES_CM_128_HMAC_SHA1_32", 23 }, 30 },
	[DP_SRTP_AES_256_CM_HMAC_SHA1_80] = { { "AES_256_CM_HMAC_SHA1_80", 23 }, 46 },
	[DP_SRTP_AES_256_CM_HMAC_SHA1_32] = { { "AES_256_CM_HMAC_SHA1_32", 23 }, 46 },
	[DP_SRTP_AEAD_AES_128_GCM] = { { "AEAD_AES_128_GCM", 16 }, 28 },
	[DP_SRTP_AEAD_AES_256_GCM] = { { "AEAD_AES_256_GCM", 16 }, 44 },
};

enum dp_srtp_suite sdes_suite_find(struct span name)
{
	for (unsigned i = DP_SRTP_NONE + 1; i < DP_SRTP_SUITE_COUNT; i++)
		if (span_equal_case(name, suites[i].name))
			return (enum dp_srtp_suite)i;
	return DP_SRTP_NONE;
}

size_t sdes_key_length(enum dp_srtp_suite suite)
{
	return suites[suite].key_length;
}

/* --- base64, without a branch or an index that depends on a key --------------------------------------------------------- */

/* All ones if a <= c <= b, else 0; octets. */
static unsigned is_between(unsigned c, unsigned a, unsigned b)
{
	/* Below 0 the topmost bit is set. */
	return 0U - (~((c - a) | (b - c)) >> 31);
}

/* 0..63; 0x80 for what is no letter of it. */
static unsigned sextet_of(unsigned c)
{
	unsigned upper = is_between(c, 'A', 'Z'), lower = is_between(c, 'a', 'z'),
		 digit = is_between(c, '0', '9'), plus = is_between(c, '+', '+'),
		 slash = is_between(c, '/', '/');

	return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) | (plus & 62) |
	       (slash & 63) | (~(upper | lower | digit | plus | slash) & 0x80);
}

static char letter_of(unsigned sextet)
{
	unsigned c = (is_between(sextet, 0, 25) & (sextet + 'A')) |
		     (is_between(sextet, 26, 51) & (sextet - 26 + 'a')) |
		     (is_between(sextet, 52, 61) & (sextet - 52 + '0')) | (is_between(sextet, 62, 62) & '+') |
		     (is_between(sextet, 63, 63) & '/');

	return (char)c;
}

/* Exactly `length` octets. 0 or -EINVAL. */
static int base64_read(struct span text, uint8_t *out, size_t length)
{
	size_t letters = (length * 8 + 5) / 6, padding = (3 - length % 3) % 3, n = 0;
	unsigned bits = 0, have = 0, wrong = 0;

	if (text.n != letters + padding)
		return -EINVAL;
	for (size_t i = 0; i < padding; i++)
		wrong |= text.p[letters + i] != '=';
	for (size_t i = 0; i < letters; i++) {
		unsigned sextet = sextet_of((unsigned char)text.p[i]);

		wrong |= sextet & 0x80;
		bits = bits << 6 | (sextet & 0x3f);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	wrong |= bits & ((1U << have) - 1);
	return wrong ? -EINVAL : 0;
}

static void base64_write(struct writer *out, const uint8_t *octets, size_t length)
{
	char text[(DP_SRTP_KEY_MAX + 2) / 3 * 4];
	unsigned bits = 0, have = 0;
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		bits = bits << 8 | octets[i];
		for (have += 8; have >= 6; have -= 6)
			text[n++] = letter_of(bits >> (have - 6) & 0x3f);
	}
	if (have)
		text[n++] = letter_of(bits << (6 - have) & 0x3f);
	while (n % 4)
		text[n++] = '=';
	writer_span(out, (struct span){ text, n });
	explicit_bzero(text, sizeof(text));
}

/* --- words -------------------------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_digit(text.p[i]) && text.p[i] != '_' &&
			((text.p[i] | 0x20) < 'a' || (text.p[i] | 0x20) > 'z'))
			return false;
	return text.n > 0;
}

/* Separated by blanks or tabs; empty at the end. */
static struct span word_next(struct span *rest)
{
	struct span word;
	size_t n = 0;

	*rest = span_trim(*rest);
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	word = (struct span){ rest->p, n };
	rest->p += n;
	rest->n -= n;
	return word;
}

/* --- keys --------------------------------------------------------------------------------------------------------------- */

/* "2^20" or "1048576" */
static int lifetime_read(struct span text, uint64_t *lifetime)
{
	bool is_power = text.n > 2 && text.p[0] == '2' && text.p[1] == '^';
	uint64_t number;

	if (is_power) {
		if (span_to_uint((struct span){ text.p + 2, text.n - 2 }, LIFETIME_BITS_MAX, &number))
			return -EINVAL;
		number = 1ULL << number;
	} else if (span_to_uint(text, 1ULL << LIFETIME_BITS_MAX, &number) || number == 0) {
		return -EINVAL;
	}
	*lifetime = number;
	return number < SDES_LIFETIME_MIN ? -ENOTSUP : 0;
}

/* "1:4": a decimal number, and in how many octets it is sent. */
static int mki_read(struct span text, struct dp_crypto *out)
{
	struct span octets = text, value = span_cut(&octets, ':');
	uint8_t number[DP_SRTP_MKI_MAX] = { 0 };
	uint64_t length;

	if (value.n == 0 || span_to_uint(octets, MKI_OCTETS_MAX, &length) || length == 0)
		return -EINVAL;
	for (size_t i = 0; i < value.n; i++)
		if (!is_digit(value.p[i]))
			return -EINVAL;
	if (length > DP_SRTP_MKI_MAX)
		return -ENOTSUP;
	for (size_t i = 0; i < value.n; i++) {
		unsigned carry = (unsigned)(value.p[i] - '0');

		for (size_t k = length; k-- > 0; carry >>= 8) {
			carry += number[k] * 10U;
			number[k] = (uint8_t)carry;
		}
		if (carry)
			return -EINVAL;
	}
	out->mki_length = (uint8_t)length;
	memcpy(out->mki, number, length);
	return 0;
}

/* "inline:KEY|LIFETIME|MKI:LENGTH", the last two as they may be missing. */
static int key_read(struct span text, struct dp_crypto *out)
{
	bool has_lifetime = false, has_mki = false;
	struct span key, part;
	int verdict = 0, error;

	if (!span_starts_case(text, SPAN("inline:")))
		return -EINVAL;
	text = (struct span){ text.p + 7, text.n - 7 };
	key = span_cut(&text, '|');
	if (base64_read(key, out->key, suites[out->suite].key_length))
		return -EINVAL;
	while (text.p) {
		part = span_cut(&text, '|');
		if (part.n && memchr(part.p, ':', part.n)) {
			error = has_mki ? -EINVAL : mki_read(part, out);
			has_mki = true;
		} else {
			error = has_lifetime || has_mki ? -EINVAL : lifetime_read(part, &out->lifetime);
			has_lifetime = true;
		}
		if (error == -EINVAL)
			return error;
		if (error)
			verdict = error;
	}
	return verdict;
}

static void forget(struct dp_crypto *crypto, enum dp_srtp_suite suite)
{
	explicit_bzero(crypto->key, sizeof(crypto->key));
	*crypto = (struct dp_crypto){ .suite = (uint8_t)suite };
}

/* Several keys are told apart by their MKIs (section 6.1): the first one that is usable. */
static int keys_read(struct span text, struct dp_crypto *out)
{
	const enum dp_srtp_suite suite = (enum dp_srtp_suite)out->suite;
	bool several = text.n && memchr(text.p, ';', text.n);
	int verdict = -EINVAL;

	while (text.p) {
		int error = key_read(span_cut(&text, ';'), out);

		if (error == 0 && several && out->mki_length == 0)
			error = -EINVAL;
		if (error == 0)
			return 0;
		if (error == -ENOTSUP)
			verdict = error;
		forget(out, suite);
	}
	return verdict;
}

/* --- session parameters (section 6.3) ------------------------------------------------------------------------------------ */

/* WSH is a hint. What would take protection away, derive keys anew or belongs to a stream of forward error correction is not for us; and
 * an extension only if it may be left aside. */
static int parameter_read(struct span text)
{
	struct span value = text, name;

	if (text.p[0] == '-')
		return is_name((struct span){ text.p + 1, text.n - 1 }) ? 0 : -EINVAL;
	name = span_cut(&value, '=');
	if (!is_name(name))
		return -EINVAL;
	if (span_equal_case(name, SPAN("WSH"))) {
		uint64_t size;

		return span_to_uint(value, UINT32_MAX, &size) ? -EINVAL : 0;
	}
	return -ENOTSUP;
}

static int parameters_read(struct span rest)
{
	int verdict = 0;

	for (unsigned n = 0;; n++) {
		struct span word = word_next(&rest);
		int error;

		if (word.n == 0)
			return verdict;
		error = n < PARAMETERS_MAX ? parameter_read(word) : -EINVAL;
		if (error == -EINVAL)
			return error;
		if (error)
			verdict = error;
	}
}

/* --- interface ------------------------------------------------------------------------------------------------------------ */

static int tag_read(struct span text, uint32_t *tag)
{
	uint64_t number;

	if (text.n > TAG_DIGITS_MAX || span_to_uint(text, UINT32_MAX, &number))
		return -EINVAL;
	*tag = (uint32_t)number;
	return 0;
}

int sdes_parse(struct span value, struct sdes_line *out)
{
	struct span rest = value, suite, keys;
	int verdict;

	*out = (struct sdes_line){ 0 };
	if (value.n > SDES_LINE_MAX)
		return -EINVAL;
	if (tag_read(word_next(&rest), &out->tag))
		return -EINVAL;
	suite = word_next(&rest);
	keys = word_next(&rest);
	if (!is_name(suite) || keys.n == 0)
		return -EINVAL;
	out->crypto.suite = (uint8_t)sdes_suite_find(suite);
	verdict = parameters_read(rest);
	if (verdict != -EINVAL && out->crypto.suite == DP_SRTP_NONE) {
		verdict = -ENOTSUP;
	} else if (verdict != -EINVAL) {
		int error = keys_read(keys, &out->crypto);

		if (error == -EINVAL || verdict == 0)
			verdict = error;
	}
	if (verdict)
		forget(&out->crypto, DP_SRTP_NONE);
	return verdict;
}

bool sdes_tags_take(struct sdes_tags *tags, struct span value)
{
	uint32_t tag;

	if (tags->lines++ >= SDES_LINES_MAX)
		return false;
	if (tag_read(word_next(&value), &tag))
		return true;
	for (unsigned i = 0; i < tags->count; i++)
		if (tags->tag[i] == tag)
			return false;
	tags->tag[tags->count++] = tag;
	return true;
}

void sdes_write(struct writer *out, unsigned tag, enum dp_srtp_suite suite, const uint8_t *key)
{
	writer_text(out, "a=crypto:");
	writer_uint(out, tag);
	writer_char(out, ' ');
	writer_span(out, suites[suite].name);
	writer_text(out, " inline:");
	base64_write(out, key, suites[suite].key_length);
	writer_text(out, "\r\n");
}

/* Not from platforms/base/random.h: its buffer would keep a copy. */
void sdes_make_key(enum dp_srtp_suite suite, uint8_t key[DP_SRTP_KEY_MAX])
{
	size_t length = suites[suite].key_length;

	memset(key, 0, DP_SRTP_KEY_MAX);
	/* Up to 256 octets come whole (getrandom(2)). */
	while (length && getrandom(key, length, 0) != (ssize_t)length)
		if (errno != EINTR)
			abort();
}

bool sdes_same_key(enum dp_srtp_suite a, const uint8_t *key_a, enum dp_srtp_suite b, const uint8_t *key_b)
{
	unsigned differ = 0;

	if (a != b || a == DP_SRTP_NONE)
		return false;
	for (size_t i = 0; i < suites[a].key_length; i++)
		differ |= (unsigned)(key_a[i] ^ key_b[i]);
	return differ == 0;
}
