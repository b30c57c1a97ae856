/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of several parts: boundaries, the headers of a part, and the session description among them. */
#include "controlplane/message_parts.h"

#include <errno.h>
#include <string.h>

#include "controlplane/sip.h"

enum {
	BOUNDARY_MAX = 70, /* RFC 2046 section 5.1.1 */
	PART_HEADERS_MAX = 16
};

static const struct span none = { NULL, 0 };

struct span media_type(struct span content_type)
{
	return span_trim(span_cut(&content_type, ';'));
}

/* The value of a parameter, without quotes. Quoted pairs have no place in a boundary and are not undone. */
static struct span parameter(struct span value, struct span wanted)
{
	struct span rest = value;

	span_cut(&rest, ';');
	while (rest.p) {
		struct span one, name;
		size_t n = 0;

		while (n < rest.n && rest.p[n] != ';') {
			struct span tail = { rest.p + n, rest.n - n };
			size_t quoted = rest.p[n] == '"' ? sip_quoted_length(tail) : 0;

			n += quoted ? quoted : 1;
		}
		one = (struct span){ rest.p, n };
		rest = n < rest.n ? (struct span){ rest.p + n + 1, rest.n - n - 1 } : none;
		name = span_trim(span_cut(&one, '='));
		if (!one.p || !span_equal_case(name, wanted))
			continue;
		one = span_trim(one);
		if (one.n >= 2 && one.p[0] == '"' && one.p[one.n - 1] == '"')
			one = (struct span){ one.p + 1, one.n - 2 };
		return one;
	}
	return none;
}

struct delimiter {
	struct span line; /* with the line end before it and its own */
	bool last;
};

/* The next delimiter at or behind `from`; false if there is none. */
static bool delimiter_find(struct span body, size_t from, struct span boundary, struct delimiter *out)
{
	const char *end = body.p + body.n, *at = body.p + from, *start;

	for (; (at = memmem(at, (size_t)(end - at), boundary.p, boundary.n)); at++) {
		const char *rest = at + boundary.n;

		if (at - body.p < 2 || at[-1] != '-' || at[-2] != '-')
			continue;
		start = at - 2;
		if (start > body.p && start[-1] != '\n')
			continue;
		if (start > body.p)
			start--;
		if (start > body.p && start[0] == '\n' && start[-1] == '\r')
			start--;
		out->last = end - rest >= 2 && rest[0] == '-' && rest[1] == '-';
		rest += out->last ? 2 : 0;
		while (rest < end && (*rest == ' ' || *rest == '\t'))
			rest++;
		if (rest < end && *rest == '\r')
			rest++;
		if (rest < end && *rest != '\n')
			continue;
		if (rest == end && !out->last)
			continue;
		rest += rest < end;
		out->line = (struct span){ start, (size_t)(rest - start) };
		return true;
	}
	return false;
}

/* Cuts one line off *rest, folded ones with it, without its end. */
static struct span line_cut(struct span *rest)
{
	const char *start = rest->p;
	size_t n = 0;

	do {
		const char *end = memchr(start + n, '\n', rest->n - n);

		n = end ? (size_t)(end - start) + 1 : rest->n;
		/* The empty line behind the headers is not continued by what follows. */
	} while (n > 2 && n < rest->n && (start[n] == ' ' || start[n] == '\t'));
	*rest = (struct span){ start + n, rest->n - n };
	return span_trim((struct span){ start, n });
}

static int part_parse(struct span text, struct message_part *part)
{
	*part = (struct message_part){ 0 };
	for (unsigned lines = 0; text.n; lines++) {
		struct span line = line_cut(&text), name;

		if (line.n == 0)
			break;
		if (lines == PART_HEADERS_MAX)
			return -EINVAL;
		name = span_trim(span_cut(&line, ':'));
		if (!line.p)
			return -EINVAL;
		if (span_equal_case(name, SPAN("Content-Type")))
			part->type = span_trim(line);
		else if (span_equal_case(name, SPAN("Content-Disposition")))
			part->disposition = span_trim(line);
		else if (span_equal_case(name, SPAN("Content-Transfer-Encoding")))
			part->encoding = span_trim(line);
	}
	part->content = text;
	return 0;
}

static int split(struct span boundary, struct span body, struct message_part parts[MESSAGE_PARTS_MAX])
{
	struct delimiter delimiter, next;
	size_t from;
	int count = 0, error;

	if (boundary.n == 0 || boundary.n > BOUNDARY_MAX || !delimiter_find(body, 0, boundary, &delimiter))
		return -EINVAL;
	while (!delimiter.last) {
		from = (size_t)(delimiter.line.p + delimiter.line.n - body.p);
		/* The line end of one delimiter may begin the next: an empty part. */
		if (!delimiter_find(body, from, boundary, &next))
			return -EINVAL;
		if (count == MESSAGE_PARTS_MAX)
			return -EMSGSIZE;
		error = part_parse(
			(struct span){ body.p + from,
				next.line.p > body.p + from ? (size_t)(next.line.p - body.p) - from : 0 },
			&parts[count++]);
		if (error)
			return error;
		delimiter = next;
	}
	return count;
}

int parts_split(struct span content_type, struct span body, struct message_part parts[MESSAGE_PARTS_MAX])
{
	if (body.n == 0)
		return 0;
	if (span_starts_case(content_type, SPAN("multipart/")))
		return split(parameter(content_type, SPAN("boundary")), body, parts);
	parts[0] = (struct message_part){ .type = content_type, .content = body };
	return 1;
}

int message_parts(const struct message *message, struct message_part parts[MESSAGE_PARTS_MAX])
{
	int count = parts_split(message_scan(message)->content_type, message_body(message), parts);

	if (count == 1 && parts[0].content.p == message_body(message).p) {
		(void)message_header(message, SPAN("Content-Disposition"), 0, &parts[0].disposition);
		(void)message_header(message, SPAN("Content-Encoding"), 0, &parts[0].encoding);
	}
	return count;
}

bool part_is_plain(const struct message_part *part)
{
	return part->encoding.n == 0 || span_equal_case(part->encoding, SPAN("binary")) ||
	       span_equal_case(part->encoding, SPAN("8bit")) ||
	       span_equal_case(part->encoding, SPAN("7bit")) ||
	       span_equal_case(part->encoding, SPAN("identity"));
}

bool part_is_required(const struct message_part *part)
{
	return span_equal_case(parameter(part->disposition, SPAN("handling")), SPAN("required"));
}

struct span message_sdp(const struct message *message)
{
	struct span type = message_scan(message)->content_type, found = none;
	struct message_part parts[MESSAGE_PARTS_MAX];
	bool alternative;
	int count;

	if (message_body_is(message, SPAN("application/sdp")))
		return message_body(message);
	if (!span_starts_case(type, SPAN("multipart/")))
		return none;
	alternative = span_equal_case(media_type(type), SPAN("multipart/alternative"));
	count = message_parts(message, parts);
	for (int i = 0; i < count; i++) {
		if (!span_equal_case(media_type(parts[i].type), SPAN("application/sdp")) ||
			!part_is_plain(&parts[i]))
			continue;
		found = parts[i].content;
		if (!alternative)
			break;
	}
	return found;
}
