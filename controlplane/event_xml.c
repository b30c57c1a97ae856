/* SPDX-License-Identifier: BSD-3-Clause */
/* Scanner of the XML that event packages carry (RFC 3863, RFC 4235). */
#include "controlplane/event_xml.h"

#include <string.h>

enum { ATTRIBUTES_MAX = 24 };

static struct span skip(struct span s, size_t n)
{
	return n < s.n ? (struct span){ s.p + n, s.n - n } : (struct span){ s.p + s.n, 0 };
}

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span skip_white(struct span s)
{
	while (s.n && is_white(s.p[0]))
		s = skip(s, 1);
	return s;
}

static bool is_name_character(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' ||
	       c == '.' || c == ':';
}

/* Cuts a name off; empty if there is none. */
static struct span name_cut(struct span *rest)
{
	size_t n = 0;

	while (n < rest->n && is_name_character(rest->p[n]))
		n++;
	*rest = skip(*rest, n);
	return (struct span){ rest->p - n, n };
}

static struct span local_name(struct span name)
{
	const char *colon = name.n ? memchr(name.p, ':', name.n) : NULL;

	return colon ? skip(name, (size_t)(colon - name.p) + 1) : name;
}

/* Behind the first `mark`; false if there is none. */
static bool skip_past(struct span *rest, const char *mark)
{
	const char *at = memmem(rest->p, rest->n, mark, strlen(mark));

	if (!at)
		return false;
	*rest = skip(*rest, (size_t)(at - rest->p) + strlen(mark));
	return true;
}

bool event_xml_attribute(struct span *attributes, struct span *name, struct span *value)
{
	struct span rest = skip_white(*attributes);
	const char *end;
	char quote;

	*name = name_cut(&rest);
	rest = skip_white(rest);
	if (name->n == 0 || rest.n == 0 || rest.p[0] != '=')
		return false;
	rest = skip_white(skip(rest, 1));
	if (rest.n < 2 || (rest.p[0] != '"' && rest.p[0] != '\''))
		return false;
	quote = rest.p[0];
	rest = skip(rest, 1);
	end = memchr(rest.p, quote, rest.n);
	if (!end)
		return false;
	*value = (struct span){ rest.p, (size_t)(end - rest.p) };
	*attributes = skip(rest, value->n + 1);
	return true;
}

/* Up to the '>' that ends a tag: attributes may hold one. False: the tag does not end, or has what no tag has. */
static bool attributes_take(struct span *rest, struct event_xml_node *node)
{
	struct span all = *rest, at = *rest, name, value;
	unsigned count = 0;

	for (;;) {
		at = skip_white(at);
		if (at.n == 0 || count++ > ATTRIBUTES_MAX)
			return false;
		if (at.p[0] == '>' || at.p[0] == '/')
			break;
		if (!event_xml_attribute(&at, &name, &value) || memchr(value.p, '<', value.n))
			return false;
	}
	node->attributes = (struct span){ all.p, (size_t)(at.p - all.p) };
	node->empty = at.p[0] == '/';
	if (node->empty)
		at = skip(at, 1);
	if (at.n == 0 || at.p[0] != '>')
		return false;
	*rest = skip(at, 1);
	return true;
}

static enum event_xml_kind tag_take(struct span *rest, struct event_xml_node *node)
{
	bool close = rest->n && rest->p[0] == '/';
	struct span name;

	if (close)
		*rest = skip(*rest, 1);
	name = local_name(name_cut(rest));
	node->name = name;
	if (name.n == 0)
		return EVENT_XML_BAD;
	if (!close)
		return attributes_take(rest, node) ? EVENT_XML_OPEN : EVENT_XML_BAD;
	*rest = skip_white(*rest);
	if (rest->n == 0 || rest->p[0] != '>')
		return EVENT_XML_BAD;
	*rest = skip(*rest, 1);
	return EVENT_XML_CLOSE;
}

static enum event_xml_kind next(struct span *rest, struct event_xml_node *node)
{
	while (rest->n) {
		const char *open = memchr(rest->p, '<', rest->n);

		node->text = (struct span){ rest->p, open ? (size_t)(open - rest->p) : rest->n };
		*rest = skip(*rest, node->text.n);
		node->text = span_trim(node->text);
		if (node->text.n)
			return EVENT_XML_TEXT;
		if (rest->n == 0)
			break;
		*rest = skip(*rest, 1);
		if (span_starts_case(*rest, SPAN("!--"))) {
			if (!skip_past(rest, "-->"))
				return EVENT_XML_BAD;
		} else if (rest->n && rest->p[0] == '?') {
			if (!skip_past(rest, "?>"))
				return EVENT_XML_BAD;
		} else if (rest->n == 0 || rest->p[0] == '!') {
			return EVENT_XML_BAD; /* a document type, CDATA */
		} else {
			return tag_take(rest, node);
		}
	}
	return EVENT_XML_END;
}

enum event_xml_kind event_xml_next(struct span *rest, struct event_xml_node *node)
{
	*node = (struct event_xml_node){ 0 };
	node->kind = next(rest, node);
	return node->kind;
}
