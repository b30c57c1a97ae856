/* SPDX-License-Identifier: BSD-3-Clause */
/* The pre-scan: cuts a message into start line, header fields and body in one pass by a table of octet classes, enforces the
 * caps that keep libosip2's quadratic parser cheap, and reads the few fields that name shard, transaction and dialog.
 *
 * A fault does not end the pass: the first one is kept and the rest is read on, because a 400 can be written only if the
 * five fields it copies are known. A line with a forbidden octet in it is never stored, so that no answer repeats it. */
#include "controlplane/scan_internal.h"

#include <errno.h>
#include <string.h>

/* clang-format off */
const uint8_t scan_octet_classes[256] = {
	[0x00 ... 0x08] = CONTROL, ['\t'] = BLANK, ['\n'] = LINE_END, [0x0b ... 0x0c] = CONTROL, ['\r'] = LINE_END,
	[0x0e ... 0x1f] = CONTROL, [' '] = BLANK, ['!'] = TOKEN | URI, ['#'] = URI, ['$'] = URI,
	['%'] = TOKEN | ESCAPE | URI, ['&'] = SEPARATOR | URI, ['\''] = TOKEN | URI, ['('] = URI, [')'] = URI,
	['*'] = TOKEN | URI, ['+'] = TOKEN | URI, [','] = SEPARATOR | URI, ['-'] = TOKEN | URI, ['.'] = TOKEN | URI,
	['/'] = URI, ['0' ... '9'] = TOKEN | URI, [':'] = URI, [';'] = SEPARATOR | URI, ['='] = URI, ['?'] = URI, ['@'] = URI,
	['A' ... 'Z'] = TOKEN | ALPHA | URI, ['[' ... '^'] = URI, ['_'] = TOKEN | URI, ['`'] = TOKEN | URI,
	['a' ... 'z'] = TOKEN | ALPHA | URI, ['{' ... '}'] = URI, ['~'] = TOKEN | URI, [0x7f] = CONTROL,
};

/* For the loop that every octet goes through. */
enum { WEIGHT_SEPARATOR = 1, WEIGHT_SPECIAL = 16 };
static const uint8_t octet_weights[256] = {
	[0x00 ... 0x08] = WEIGHT_SPECIAL, ['\n'] = WEIGHT_SPECIAL, [0x0b ... 0x0c] = WEIGHT_SPECIAL, ['\r'] = WEIGHT_SPECIAL,
	[0x0e ... 0x1f] = WEIGHT_SPECIAL, ['%'] = WEIGHT_SPECIAL, ['&'] = WEIGHT_SEPARATOR, [','] = WEIGHT_SEPARATOR,
	[';'] = WEIGHT_SEPARATOR, [0x7f] = WEIGHT_SPECIAL,
};
/* clang-format on */

enum { STATUS_MIN = 100, STATUS_MAX = 699 };

static inline unsigned octet_weight(char c)
{
	return octet_weights[(unsigned char)c];
}

/* --- octets and lines -------------------------------------------------------------------------------------------- */

/* %00 ends a C string in libosip2's unescaped user names, %0a and %0d start a header line in careless ones. */
static bool escape_is_forbidden(const char *p, const char *end)
{
	char low;

	if (end - p < 3 || p[1] != '0')
		return false;
	low = p[2];
	return low == '0' || low == 'a' || low == 'A' || low == 'd' || low == 'D';
}

static void octet_special(struct scanner *s, const char *p, uint8_t class)
{
	if (class & ESCAPE) {
		if (escape_is_forbidden(p, s->end))
			refuse(s, 400, "escaped NUL, CR or LF");
	} else {
		s->dirty = s->end_unknown = true;
		refuse(s, 400, class & CONTROL ? "control character" : "CR or LF alone");
	}
}

/* Goes on to the next special octet, eight at a time: what they weigh together tells whether one of them is special, else how
 * many separators they are. No branch per separator: their places are what no predictor knows. */
static const char *special_find(struct scanner *s, const char *p)
{
	const char *const end = s->end;
	unsigned separators = 0;
	unsigned weight;

	while (end - p >= 8) {
		weight = octet_weight(p[0]) + octet_weight(p[1]) + octet_weight(p[2]) + octet_weight(p[3]) +
			 octet_weight(p[4]) + octet_weight(p[5]) + octet_weight(p[6]) + octet_weight(p[7]);
		if (weight >= WEIGHT_SPECIAL)
			break;
		separators += weight;
		p += 8;
	}
	for (; p < end && (weight = octet_weight(*p)) < WEIGHT_SPECIAL; p++)
		separators += weight;
	s->separators += separators;
	return p;
}

/* Takes one line and its continuations (RFC 3261 section 7.3.1), without the final CRLF. False if the CRLF is missing. */
static bool line_read(struct scanner *s, struct span *line)
{
	const char *const start = s->at;
	const char *const end = s->end;
	const char *p = start;

	s->dirty = false;
	s->lines++;
	while ((p = special_find(s, p)) < end) {
		if (*p != '\r' || end - p < 2 || p[1] != '\n') {
			octet_special(s, p, octet_class(*p));
			p++;
		} else if (end - p > 2 && (octet_class(p[2]) & BLANK)) {
			s->lines++;
			p += 3;
		} else {
			*line = (struct span){ start, (size_t)(p - start) };
			s->at = p + 2;
			return true;
		}
	}
	s->at = end;
	return false;
}

/* --- start line -------------------------------------------------------------------------------------------------- */

static bool status_line(struct scanner *s, struct span line)
{
	uint64_t status;

	s->scan->is_request = false;
	if (line.n < 12 || !span_starts_case(line, SPAN("SIP/2.0 ")) || line.p[11] != ' ' ||
		span_to_uint((struct span){ line.p + 8, 3 }, STATUS_MAX, &status) < 0 ||
		status < STATUS_MIN) {
		refuse(s, 0, "broken status line");
		return false;
	}
	s->scan->status = (unsigned)status;
	return true;
}

/* SIP/1*DIGIT.1*DIGIT */
static bool is_version(struct span text)
{
	struct span minor = { text.p + 4, text.n - 4 };
	struct span major = span_cut(&minor, '.');
	uint64_t number;

	/* -ERANGE would still be a number. */
	return span_to_uint(major, UINT64_MAX, &number) != -EINVAL && minor.p &&
	       span_to_uint(minor, UINT64_MAX, &number) != -EINVAL;
}

/* scheme ":" opaque; no header fields behind a SIP URI's host (RFC 3261 section 19.1.1: not allowed in a Request-URI). */
static bool request_uri_is_valid(struct span uri)
{
	struct span rest = uri;
	struct span scheme = span_cut(&rest, ':');
	struct span host;

	if (!span_is(uri, URI) || !span_is(scheme, TOKEN) || !(octet_class(scheme.p[0]) & ALPHA) ||
		rest.n == 0)
		return false;
	if (!span_equal_case(scheme, SPAN("sip")) && !span_equal_case(scheme, SPAN("sips")))
		return true;
	host = rest;
	span_cut(&rest, '@');
	if (rest.p)
		host = rest;
	return !memchr(host.p, '?', host.n);
}

static bool request_line(struct scanner *s, struct span line)
{
	struct scan *scan = s->scan;
	const char *first = memchr(line.p, ' ', line.n);
	struct span trimmed = line;
	struct span uri, version;
	const char *last;

	scan->is_request = true;
	while (trimmed.n && is_white(trimmed.p[trimmed.n - 1]))
		trimmed.n--;
	last = memrchr(trimmed.p, ' ', trimmed.n);
	if (!first || !last) {
		refuse(s, 0, "not SIP");
		return false;
	}
	version = (struct span){ last + 1, (size_t)(trimmed.p + trimmed.n - last - 1) };
	scan->method_name = (struct span){ line.p, (size_t)(first - line.p) };
	if (!span_starts_case(version, SPAN("SIP/")) || !span_is(scan->method_name, TOKEN)) {
		refuse(s, 0, "not SIP");
		return false;
	}
	scan->method = sip_method_parse(scan->method_name);
	uri = (struct span){ first + 1, last > first ? (size_t)(last - first - 1) : 0 };
	if (!span_equal_case(version, SPAN("SIP/2.0")) && is_version(version))
		refuse(s, 505, "SIP version");
	if (trimmed.n != line.n || !span_equal_case(version, SPAN("SIP/2.0")) || !request_uri_is_valid(uri))
		refuse(s, 400, "broken request line");
	else
		scan->request_uri = uri;
	return true;
}

/* False if this is no SIP at all, or a response that nobody can use. */
static bool start_line(struct scanner *s)
{
	struct span line;

	if (!line_read(s, &line)) {
		refuse(s, 0, "not SIP");
		return false;
	}
	if (span_starts_case(line, SPAN("SIP/")))
		return status_line(s, line);
	return request_line(s, line);
}

/* --- header fields ----------------------------------------------------------------------------------------------- */

static bool header_is_too_long(const struct scanner *s, struct span name, size_t n)
{
	if (n <= s->limits->max_header)
		return false;
	return n > s->limits->max_identity_header ||
	       !(span_equal_case(name, SPAN("Identity")) || span_equal_case(name, SPAN("y")));
}

/* False when no further one may be read. */
static bool header_line(struct scanner *s, struct span line)
{
	struct scan *scan = s->scan;
	struct scan_header *header;
	size_t colon;
	size_t n = 0;

	if (s->dirty)
		return true;
	/* Continuations count: each is a line for the parser too. The start line does not. */
	if (s->lines - 1 > s->limits->max_headers || scan->headers == SCAN_HEADERS_MAX) {
		refuse(s, 400, "too many header fields");
		return false;
	}
	while (n < line.n && (octet_class(line.p[n]) & TOKEN))
		n++;
	colon = n;
	while (colon < line.n && (octet_class(line.p[colon]) & BLANK))
		colon++;
	if (n == 0 || colon == line.n || line.p[colon] != ':') {
		refuse(s, 400, "broken header field name");
		return true;
	}
	header = &scan->header[scan->headers];
	header->name = (struct span){ line.p, n };
	header->value = span_trim((struct span){ line.p + colon + 1, line.n - colon - 1 });
	if (header_is_too_long(s, header->name, line.n)) {
		refuse(s, 400, "header field too long");
		return true;
	}
	scan->headers++;
	scan_field_take(s, header);
	return true;
}

/* Header fields up to the empty line. */
static void header_lines(struct scanner *s)
{
	struct span line;

	for (;;) {
		if (s->end - s->at >= 2 && s->at[0] == '\r' && s->at[1] == '\n') {
			s->at += 2;
			break;
		}
		if (!line_read(s, &line)) {
			s->end_unknown = true;
			refuse(s, 400, "header fields do not end, or too long");
			break;
		}
		if (!header_line(s, line)) {
			s->end_unknown = true;
			break;
		}
	}
	if (s->separators > s->limits->max_separators)
		refuse(s, 400, "too many separators");
}

/* RFC 3261 section 18.3. */
static void body_take(struct scanner *s, struct span message, bool datagram)
{
	struct span left = { s->at, (size_t)(message.p + message.n - s->at) };

	if (!datagram && !s->has_content_length)
		refuse(s, 400, "no Content-Length on a stream");
	else if (!datagram && !s->end_unknown)
		s->scan->length = (size_t)(s->at - message.p) + (size_t)s->content_length;
	if (s->scan->problem)
		return;
	if (!s->has_content_length)
		s->content_length = left.n;
	if (s->content_length > left.n)
		refuse(s, 400, "body shorter than Content-Length");
	else if (s->content_length > s->limits->max_body)
		refuse(s, 400, "body too long");
	else
		s->scan->body = (struct span){ left.p, (size_t)s->content_length };
}

static enum scan_verdict conclude(struct scanner *s)
{
	struct scan *scan = s->scan;

	if ((s->seen & FIELDS_TO_ANSWER) != FIELDS_TO_ANSWER) {
		refuse(s, 0, "Via, From, To, Call-ID or CSeq missing");
		return SCAN_SILENT;
	}
	if (!scan->problem)
		return SCAN_OK;
	/* Nobody waits for an answer to these, and a response answered would loop. */
	if (!scan->is_request || scan->method == SIP_METHOD_ACK || scan->cseq_method == SIP_METHOD_ACK ||
		s->refusal == 0)
		return SCAN_SILENT;
	scan->status = s->refusal;
	return SCAN_REJECT;
}

enum scan_verdict scan_message(
	struct scan *scan, struct span message, bool datagram, const struct config_sip *limits)
{
	struct scanner s = { .scan = scan, .limits = limits };
	const char *const end = message.p + message.n;
	const char *start = message.p;

	/* The array of header fields is written before it is read; clearing its 8 KB would cost more than the scan. */
	memset(scan, 0, offsetof(struct scan, header));
	scan->max_forwards = -1;
	/* CRLFs before a start line are skipped (RFC 3261 section 7.5); alone they keep a NAT open (RFC 5626 section 4.4.1). */
	while (end - start >= 2 && start[0] == '\r' && start[1] == '\n')
		start += 2;
	if (start == end)
		return SCAN_KEEP_ALIVE;
	s.at = start;
	s.end = (size_t)(end - start) > limits->max_header_block ? start + limits->max_header_block : end;
	if (!start_line(&s))
		return SCAN_SILENT;
	if (datagram && message.n > limits->max_message_udp)
		refuse(&s, 400, "datagram too long");
	header_lines(&s);
	scan->header_block = (struct span){ start, (size_t)(s.at - start) };
	body_take(&s, message, datagram);
	if (scan->length > message.n) {
		scan->problem = NULL;
		return SCAN_PARTIAL;
	}
	return conclude(&s);
}

bool scan_header_find(const struct scan *scan, struct span name, char compact, unsigned n, struct span *value)
{
	struct span letter = { &compact, compact ? 1 : 0 };

	for (unsigned i = 0; i < scan->headers; i++) {
		struct span candidate = scan->header[i].name;

		if (candidate.n != name.n && candidate.n != letter.n)
			continue;
		if (!span_equal_case(candidate, name) && !(letter.n && span_equal_case(candidate, letter)))
			continue;
		if (n-- == 0) {
			*value = scan->header[i].value;
			return true;
		}
	}
	return false;
}
