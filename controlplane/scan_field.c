/* SPDX-License-Identifier: BSD-3-Clause */
/* The header fields that the pre-scan reads: Via, From, To, Call-ID, CSeq and those that frame the message. */
#include "controlplane/scan_internal.h"

#include <errno.h>
#include <string.h>

#include "controlplane/sip.h"

enum { CSEQ_MAX = 0x7fffffff, MAX_FORWARDS_MAX = 255 };

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
	n = rest->n && rest->p[0] == '"' ? sip_quoted_length(*rest) : run_length(*rest, '"');
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
			n = sip_quoted_length(list);
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
			n = sip_quoted_length(rest);
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
	if (span_to_uint(value, s->limits->max_body, &s->content_length) == 0)
		return;
	s->end_unknown = true;
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

void scan_field_take(struct scanner *s, const struct scan_header *header)
{
	const struct field_row *row = field_find(header->name);
	unsigned bit = row ? 1u << (row - fields) : 0;

	if (!row)
		return;
	if (((s->seen & bit) && !row->repeated) || header->value.n == 0) {
		s->end_unknown |= row == &fields[FIELD_CONTENT_LENGTH];
		refuse(s, 400, header->value.n ? "single header field repeated" : "empty header field");
	} else {
		s->seen |= bit;
		row->take(s, header->value);
	}
}
