/* SPDX-License-Identifier: BSD-3-Clause */
/* The pre-scan: cuts a message into start line, header fields and body in one pass by a table of octet classes, enforces the
 * caps that keep libosip2's quadratic parser cheap, and reads the few fields that name shard, transaction and dialog.
 *
 * A fault does not end the pass: the first one is kept and the rest is read on, because a 400 can be written only if the
 * five fields it copies are known. A line with a forbidden octet in it is never stored, so that no answer repeats it. */
#include "controlplane/scan.h"

#include <errno.h>
#include <string.h>

enum octet_class {
	CONTROL = 0x01, /* never allowed: C0 without HTAB, CR, LF; DEL */
	LINE_END = 0x02, /* CR, LF: allowed as a pair only */
	SEPARATOR = 0x04, /* what makes libosip2 work: , ; & */
	ESCAPE = 0x08, /* % */
	TOKEN = 0x10, /* RFC 3261 section 25.1 */
	ALPHA = 0x20,
	BLANK = 0x40, /* SP, HTAB */
	URI = 0x80, /* printable and neither white nor one of < > " */
};

/* clang-format off */
static const uint8_t octet_classes[256] = {
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

enum field {
	FIELD_VIA,
	FIELD_FROM,
	FIELD_TO,
	FIELD_CALL_ID,
	FIELD_CSEQ,
	FIELD_CONTACT,
	FIELD_CONTENT_LENGTH,
	FIELD_CONTENT_TYPE,
	FIELD_MAX_FORWARDS,
	FIELD_COUNT,
	FIELDS_TO_ANSWER =
		1 << FIELD_VIA | 1 << FIELD_FROM | 1 << FIELD_TO | 1 << FIELD_CALL_ID | 1 << FIELD_CSEQ,
};

enum { CSEQ_MAX = 0x7fffffff, MAX_FORWARDS_MAX = 255, STATUS_MIN = 100, STATUS_MAX = 699 };

struct scanner {
	struct scan *scan;
	const struct config_sip *limits;
	const char *at, *end; /* what is left of the message, cut at the cap of the header block */
	unsigned separators, lines, seen;
	unsigned refusal; /* status of the first fault */
	bool dirty; /* the line under way holds an octet that no answer may repeat */
	bool has_content_length;
	uint64_t content_length;
};

static inline uint8_t octet_class(char c)
{
	return octet_classes[(unsigned char)c];
}

static inline unsigned octet_weight(char c)
{
	return octet_weights[(unsigned char)c];
}

/* The first fault is what the peer is told. */
static void refuse(struct scanner *s, unsigned status, const char *problem)
{
	if (s->scan->problem)
		return;
	s->scan->problem = problem;
	s->refusal = status;
}

static bool span_is(struct span text, uint8_t wanted)
{
	for (size_t i = 0; i < text.n; i++)
		if (!(octet_class(text.p[i]) & wanted))
			return false;
	return text.n > 0;
}

static bool is_white(char c)
{
	return octet_class(c) & (BLANK | LINE_END);
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
		s->dirty = true;
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

/* --- parameters of a header value -------------------------------------------------------------------------------- */

static void skip_white(struct span *rest)
{
	while (rest->n && is_white(rest->p[0])) {
		rest->p++;
		rest->n--;
	}
}

static struct span take(struct span *rest, size_t n)
{
	struct span head = { rest->p, n };

	rest->p += n;
	rest->n -= n;
	return head;
}

/* Length of the quoted-string that `text` starts with, quotes included; 0 if it does not end. */
static size_t quoted_length(struct span text)
{
	for (size_t i = 1; i < text.n; i++) {
		if (text.p[i] == '\\')
			i++;
		else if (text.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* Octets up to white space, a separator of RFC 3261 or `stop`. Wider than a token: real tags hold '@', ':' and '='. */
static size_t run_length(struct span text, char stop)
{
	size_t n = 0;

	while (n < text.n && (octet_class(text.p[n]) & (URI | SEPARATOR)) == URI && text.p[n] != stop)
		n++;
	return n;
}

/* Takes `;name[=value]` with white space wherever RFC 3261 section 25.1 has SEMI and EQUAL.
 * 1; 0 at the end of the value or at a comma; -EINVAL for anything else. */
static int parameter_next(struct span *rest, struct span *name, struct span *value)
{
	size_t n;

	skip_white(rest);
	if (rest->n == 0 || rest->p[0] == ',')
		return 0;
	if (rest->p[0] != ';')
		return -EINVAL;
	take(rest, 1);
	skip_white(rest);
	*name = take(rest, run_length(*rest, '='));
	*value = (struct span){ NULL, 0 };
	if (name->n == 0)
		return -EINVAL;
	skip_white(rest);
	if (rest->n == 0 || rest->p[0] != '=')
		return 1;
	take(rest, 1);
	skip_white(rest);
	n = rest->n && rest->p[0] == '"' ? quoted_length(*rest) : run_length(*rest, '"');
	*value = take(rest, n);
	return n ? 1 : -EINVAL;
}

/* Finds one parameter in a list of them; *rest ends behind the list. 0, also when there is none, or -EINVAL: broken list,
 * or the wanted one twice or without a value. */
static int parameter_find(struct span *rest, struct span wanted, struct span *found)
{
	struct span name, value;
	int result;

	while ((result = parameter_next(rest, &name, &value)) > 0) {
		if (!span_equal_case(name, wanted))
			continue;
		if (found->n || value.n == 0 || value.p[0] == '"')
			return -EINVAL;
		*found = value;
	}
	return result;
}

/* --- the fields that are read ------------------------------------------------------------------------------------ */

/* SIP / 2.0 / UDP host:port;branch=... and cuts it off *rest (which may go on with a comma). */
static int via_first(struct scan *scan, struct span *rest)
{
	static const struct span protocol[] = { { "SIP", 3 }, { "2.0", 3 } };
	size_t n;

	for (size_t i = 0; i < 2; i++) {
		skip_white(rest);
		if (!span_starts_case(*rest, protocol[i]))
			return -EINVAL;
		take(rest, protocol[i].n);
		skip_white(rest);
		if (rest->n == 0 || rest->p[0] != '/')
			return -EINVAL;
		take(rest, 1);
	}
	skip_white(rest);
	n = run_length(*rest, '/');
	if (!span_is(take(rest, n), TOKEN) || rest->n == 0 || !is_white(rest->p[0]))
		return -EINVAL;
	for (n = 0; n < rest->n && rest->p[n] != ';' && rest->p[n] != ','; n++)
		;
	scan->sent_by = span_trim(take(rest, n));
	if (scan->sent_by.n == 0 || memchr(scan->sent_by.p, '"', scan->sent_by.n))
		return -EINVAL;
	if (parameter_find(rest, SPAN("branch"), &scan->branch) < 0)
		return -EINVAL;
	/* The magic cookie alone identifies nothing (RFC 4475 section 3.2.1). */
	return span_equal_case(scan->branch, SPAN("z9hG4bK")) ? -EINVAL : 0;
}

/* Values of a comma separated list; commas in quoted strings do not count. */
static unsigned list_count(struct span list)
{
	unsigned count = 1;

	while (list.n) {
		size_t n = 1;

		if (list.p[0] == ',')
			count++;
		else if (list.p[0] == '"')
			n = quoted_length(list);
		if (n == 0)
			break;
		take(&list, n);
	}
	return count;
}

static void take_via(struct scanner *s, struct span value)
{
	struct span rest = value;

	if (s->scan->via_count == 0 && via_first(s->scan, &rest) < 0)
		refuse(s, 400, "broken Via");
	s->scan->via_count += list_count(rest);
	if (s->scan->via_count > s->limits->max_via)
		refuse(s, 400, "too many Via");
}

/* From and To: the parameters stand behind '>' or, in the form without brackets, behind the URI, which then has none of its
 * own (RFC 3261 section 20.10). A "tag" in a display name or in the URI is none. */
static int name_addr_tag(struct span value, struct span *tag)
{
	struct span rest = value;

	while (rest.n && rest.p[0] != ';') {
		size_t n = 1;
		const char *close;

		if (rest.p[0] == '"') {
			n = quoted_length(rest);
		} else if (rest.p[0] == '<') {
			close = memchr(rest.p, '>', rest.n);
			if (!close)
				return -EINVAL;
			take(&rest, (size_t)(close - rest.p) + 1);
			break;
		} else if (rest.p[0] == ',' || rest.p[0] == '>') {
			n = 0;
		}
		if (n == 0)
			return -EINVAL;
		take(&rest, n);
	}
	/* A comma here would start a second value, and there is no such thing. */
	return parameter_find(&rest, SPAN("tag"), tag) < 0 || rest.n ? -EINVAL : 0;
}

static void take_from(struct scanner *s, struct span value)
{
	s->scan->from = value;
	if (name_addr_tag(value, &s->scan->from_tag) < 0)
		refuse(s, 400, "broken From");
}

static void take_to(struct scanner *s, struct span value)
{
	s->scan->to = value;
	if (name_addr_tag(value, &s->scan->to_tag) < 0)
		refuse(s, 400, "broken To");
}

static void take_call_id(struct scanner *s, struct span value)
{
	s->scan->call_id = value;
	for (size_t i = 0; i < value.n; i++)
		if (is_white(value.p[i]))
			refuse(s, 400, "broken Call-ID");
}

static void take_cseq(struct scanner *s, struct span value)
{
	struct scan *scan = s->scan;
	size_t n = run_length(value, '"');
	struct span digits = { value.p, n };
	struct span method = span_trim((struct span){ value.p + n, value.n - n });
	uint64_t number;

	scan->cseq = value;
	if (span_to_uint(digits, CSEQ_MAX, &number) < 0 || !span_is(method, TOKEN)) {
		refuse(s, 400, "broken CSeq");
		return;
	}
	scan->cseq_number = (uint32_t)number;
	scan->cseq_method = sip_method_parse(method);
	if (!scan->is_request) {
		scan->method_name = method;
		scan->method = scan->cseq_method;
	} else if (!span_equal(method, scan->method_name)) {
		refuse(s, 400, "CSeq method is not the request's");
	}
}

static void take_contact(struct scanner *s, struct span value)
{
	if (!s->scan->contact.p)
		s->scan->contact = value;
}

static void take_content_length(struct scanner *s, struct span value)
{
	s->has_content_length = true;
	if (span_to_uint(value, s->limits->max_body, &s->content_length) < 0)
		refuse(s, 400, "Content-Length is no number, or too large");
}

static void take_content_type(struct scanner *s, struct span value)
{
	s->scan->content_type = value;
}

static void take_max_forwards(struct scanner *s, struct span value)
{
	uint64_t number;

	if (span_to_uint(value, MAX_FORWARDS_MAX, &number) < 0)
		refuse(s, 400, "Max-Forwards is not 0 to 255");
	else
		s->scan->max_forwards = (int)number;
}

struct field_row {
	struct span name;
	char compact; /* 0: has none */
	bool repeated; /* may occur more than once */
	void (*take)(struct scanner *s, struct span value);
};

#define NAME(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
static const struct field_row fields[FIELD_COUNT] = {
	[FIELD_VIA] = { NAME("Via"), 'v', true, take_via },
	[FIELD_FROM] = { NAME("From"), 'f', false, take_from },
	[FIELD_TO] = { NAME("To"), 't', false, take_to },
	[FIELD_CALL_ID] = { NAME("Call-ID"), 'i', false, take_call_id },
	[FIELD_CSEQ] = { NAME("CSeq"), 0, false, take_cseq },
	[FIELD_CONTACT] = { NAME("Contact"), 'm', true, take_contact },
	[FIELD_CONTENT_LENGTH] = { NAME("Content-Length"), 'l', false, take_content_length },
	[FIELD_CONTENT_TYPE] = { NAME("Content-Type"), 'c', false, take_content_type },
	[FIELD_MAX_FORWARDS] = { NAME("Max-Forwards"), 0, false, take_max_forwards },
};
#undef NAME

/* Names of equal length: two at most, so that a field costs two comparisons and an unknown one often none. */
enum { NAME_LENGTH_MAX = 14, NAMES_PER_LENGTH = 2 };
static const struct field_row *const fields_by_length[NAME_LENGTH_MAX + 1][NAMES_PER_LENGTH] = {
	[2] = { &fields[FIELD_TO] },
	[3] = { &fields[FIELD_VIA] },
	[4] = { &fields[FIELD_FROM], &fields[FIELD_CSEQ] },
	[7] = { &fields[FIELD_CALL_ID], &fields[FIELD_CONTACT] },
	[12] = { &fields[FIELD_CONTENT_TYPE], &fields[FIELD_MAX_FORWARDS] },
	[14] = { &fields[FIELD_CONTENT_LENGTH] },
};

/* Of equal length; both are tokens, in which bit 5 is nothing but the case of a letter. */
static bool name_equal(struct span a, struct span b)
{
	unsigned char difference = 0;

	for (size_t i = 0; i < a.n; i++)
		difference |= (unsigned char)(a.p[i] ^ b.p[i]);
	return (difference & ~0x20) == 0;
}

static const struct field_row *field_find(struct span name)
{
	if (name.n == 1) {
		for (unsigned i = 0; i < FIELD_COUNT; i++)
			if (fields[i].compact == (name.p[0] | 0x20))
				return &fields[i];
		return NULL;
	}
	for (unsigned i = 0; name.n <= NAME_LENGTH_MAX && i < NAMES_PER_LENGTH; i++) {
		const struct field_row *row = fields_by_length[name.n][i];

		if (row && name_equal(name, row->name))
			return row;
	}
	return NULL;
}

/* --- header fields ----------------------------------------------------------------------------------------------- */

static void field_take(struct scanner *s, const struct scan_header *header)
{
	const struct field_row *row = field_find(header->name);
	unsigned bit = row ? 1u << (row - fields) : 0;

	if (!row)
		return;
	if ((s->seen & bit) && !row->repeated) {
		refuse(s, 400, "single header field repeated");
	} else if (header->value.n == 0) {
		refuse(s, 400, "empty header field");
	} else {
		s->seen |= bit;
		row->take(s, header->value);
	}
}

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
	struct span rest;
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
	rest = (struct span){ line.p + n, line.n - n };
	while (rest.n && (octet_class(rest.p[0]) & BLANK))
		take(&rest, 1);
	if (n == 0 || rest.n == 0 || rest.p[0] != ':') {
		refuse(s, 400, "broken header field name");
		return true;
	}
	header = &scan->header[scan->headers];
	header->name = (struct span){ line.p, n };
	header->value = span_trim((struct span){ rest.p + 1, rest.n - 1 });
	if (header_is_too_long(s, header->name, line.n)) {
		refuse(s, 400, "header field too long");
		return true;
	}
	scan->headers++;
	field_take(s, header);
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
			refuse(s, 400, "header fields do not end, or too long");
			break;
		}
		if (!header_line(s, line))
			break;
	}
	if (s->separators > s->limits->max_separators)
		refuse(s, 400, "too many separators");
}

/* RFC 3261 section 18.3. */
static void body_take(struct scanner *s, struct span message, bool datagram)
{
	struct span left = { s->at, (size_t)(message.p + message.n - s->at) };

	if (s->scan->problem)
		return;
	if (!s->has_content_length) {
		if (!datagram)
			refuse(s, 400, "no Content-Length on a stream");
		s->content_length = left.n;
	}
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
	return conclude(&s);
}

bool scan_header_find(const struct scan *scan, struct span name, char compact, unsigned n, struct span *value)
{
	struct span letter = { &compact, compact ? 1 : 0 };

	for (unsigned i = 0; i < scan->headers; i++) {
		struct span candidate = scan->header[i].name;

		if (!span_equal_case(candidate, name) && !(letter.n && span_equal_case(candidate, letter)))
			continue;
		if (n-- == 0) {
			*value = scan->header[i].value;
			return true;
		}
	}
	return false;
}
