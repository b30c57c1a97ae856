/* SPDX-License-Identifier: BSD-3-Clause */
/* Rewrites the bodies of event packages. */
#include "controlplane/event_body.h"

#include <errno.h>
#include <string.h>

#include "controlplane/event_dialog.h"
#include "controlplane/event_xml.h"
#include "controlplane/hide.h"
#include "controlplane/trace.h"

enum { ELEMENTS_MAX = 1024, DEPTH_MAX = 16, LINES_MAX = 64, URI_MAX = 512, USER_MAX = 128, TEXT_MAX = 256 };

static const struct span nothing = { NULL, 0 };

/* --- values ----------------------------------------------------------------------------------------------------------------- */

typedef bool (*write_value)(const struct event_sides *sides, struct span value, struct writer *out);

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_made_of(struct span value, const char *others, size_t most)
{
	for (size_t i = 0; i < value.n; i++)
		if (!is_alnum(value.p[i]) && !strchr(others, value.p[i]))
			return false;
	return value.n > 0 && value.n <= most;
}

static bool write_known(struct span value, const char *const *words, struct writer *out)
{
	for (; *words; words++)
		if (span_equal_case(value, span_from(*words))) {
			writer_text(out, *words);
			return true;
		}
	return false;
}

/* All words that RFC 4235, 3863 and 3842 have: any other would be the far side's own. */
static bool write_word(const struct event_sides *sides, struct span value, struct writer *out)
{
	static const char *const words[] = { "full", "partial", "initiator", "recipient", "trying",
		"proceeding", "early", "confirmed", "terminated", "cancelled", "rejected", "replaced",
		"local-bye", "remote-bye", "error", "timeout", "open", "closed", "yes", "no", "true", "false",
		NULL };

	(void)sides;
	return write_known(value, words, out);
}

static bool write_number(const struct event_sides *sides, struct span value, struct writer *out)
{
	uint64_t number;

	(void)sides;
	if (span_to_uint(value, UINT32_MAX, &number))
		return false;
	writer_uint(out, number);
	return true;
}

/* RFC 3339: it begins with a year, so that it is no address. */
static bool write_time(const struct event_sides *sides, struct span value, struct writer *out)
{
	(void)sides;
	writer_span(out, value);
	return value.n >= 19 && value.p[4] == '-' && value.p[10] == 'T' && is_made_of(value, ":.+-", 40);
}

/* RFC 4235 section 4.1.6. */
static bool write_feature(const struct event_sides *sides, struct span value, struct writer *out)
{
	static const char *const features[] = { "+sip.rendering", "+sip.byeless", "+sip.automata",
		"+sip.isfocus", NULL };

	(void)sides;
	return write_known(value, features, out);
}

/* The five that XML has without a declaration. */
static size_t reference_length(struct span text)
{
	static const struct span known[] = { { "&amp;", 5 }, { "&lt;", 4 }, { "&gt;", 4 }, { "&quot;", 6 },
		{ "&apos;", 6 } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (text.n >= known[i].n && memcmp(text.p, known[i].p, known[i].n) == 0)
			return known[i].n;
	return 0;
}

/* Words of people: nothing that a host or an address is written with. */
static bool write_text(const struct event_sides *sides, struct span value, struct writer *out)
{
	if (value.n > TEXT_MAX || trace_found(sides->from, value))
		return false;
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		size_t reference = 1;
		bool joins = i > 0 && i + 1 < value.n && is_alnum(value.p[i - 1]) && is_alnum(value.p[i + 1]);

		if (c == '&')
			reference = reference_length((struct span){ value.p + i, value.n - i });
		if (reference == 0 || c < ' ' || c == 0x7f || strchr("<\"@[]", c) ||
			((c == '.' || c == ':') && joins))
			return false;
		i += reference - 1;
	}
	writer_span(out, value);
	return true;
}

static void write_our_host(const struct event_sides *sides, struct writer *out)
{
	struct name_addr address;
	struct sip_uri uri;
	bool bracketed;

	if (name_addr_parse(span_from(sides->name), &address) || sip_uri_parse(address.uri, &uri) ||
		uri.host.n == 0) {
		out->overflow = true;
		return;
	}
	bracketed = memchr(uri.host.p, ':', uri.host.n) != NULL;
	writer_text(out, bracketed ? "[" : "");
	writer_span(out, uri.host);
	writer_text(out, bracketed ? "]" : "");
	if (uri.port) {
		writer_char(out, ':');
		writer_uint(out, uri.port);
	}
}

/* The user at our host. RFC 3859's pres: stays one. */
static bool write_uri(const struct event_sides *sides, struct span value, struct writer *out)
{
	bool presence = span_starts_case(value, SPAN("pres:"));
	char text[URI_MAX];
	struct writer as_sip;
	struct sip_uri uri;
	struct span user;

	writer_init(&as_sip, text, sizeof(text));
	writer_text(&as_sip, presence ? "sip:" : "");
	writer_span(&as_sip, presence ? (struct span){ value.p + 5, value.n - 5 } : value);
	if (as_sip.overflow || sip_uri_parse(writer_result(&as_sip), &uri))
		return false;
	user = hide_user(&uri);
	if (user.n > USER_MAX)
		return false;
	/* What XML would read otherwise, or not at all. */
	for (size_t i = 0; i < user.n; i++)
		if (strchr("&<>\"'", user.p[i]))
			return false;
	if (trace_found(sides->from, user))
		user = nothing;
	writer_text(out, presence ? "pres:" : "sip:");
	writer_span(out, user);
	writer_text(out, user.n ? "@" : "");
	if (span_equal_case(uri.host, SPAN("anonymous.invalid")))
		writer_span(out, uri.host);
	else
		write_our_host(sides, out);
	return true;
}

/* Another identifier for each of theirs, the same in each of their bodies. It begins with a letter, as an xs:ID must. */
static bool write_id(const struct event_sides *sides, struct span value, struct writer *out)
{
	writer_format(
		out, "x%016llx", (unsigned long long)hash_bytes(&sides->shard->table_key, value.p, value.n));
	return value.n > 0;
}

/* --- XML -------------------------------------------------------------------------------------------------------------------- */

struct attribute_row {
	const char *name;
	write_value write;
	bool optional; /* one that cannot be written is left out, rather than the body refused */
};

enum element_kind {
	STRICT,
	LENIENT /* its text may be left out */,
	DIALOG /* it has the identifiers of one */
};

struct element_row {
	const char *name, *written; /* written: with the prefix that our root declares */
	write_value text; /* NULL: text is left out */
	struct attribute_row attributes[4];
	enum element_kind kind;
};

struct document {
	struct span package, type;
	const char *declaration; /* of the root element, which is the first row */
	const struct element_row *rows;
	size_t row_count;
};

/* Not there: session descriptions, routes and targets of requests. */
static const struct element_row dialog_rows[] = {
	{ "dialog-info", "dialog-info", NULL,
		{ { "version", write_number, false }, { "state", write_word, false },
			{ "entity", write_uri, false } },
		STRICT },
	{ "dialog", "dialog", NULL, { { "id", write_id, false }, { "direction", write_word, true } },
		DIALOG },
	{ "state", "state", write_word, { { "event", write_word, true }, { "code", write_number, true } },
		STRICT },
	{ "duration", "duration", write_number, { { NULL, NULL, false } }, LENIENT },
	{ "local", "local", NULL, { { NULL, NULL, false } }, STRICT },
	{ "remote", "remote", NULL, { { NULL, NULL, false } }, STRICT },
	{ "identity", "identity", write_uri, { { "display", write_text, true } }, STRICT },
	{ "target", "target", NULL, { { "uri", write_uri, false } }, STRICT },
	{ "param", "param", NULL, { { "pname", write_feature, false }, { "pval", write_word, false } },
		STRICT },
};

#define RPID(name)                                                         \
	{                                                                  \
		name, "rpid:" name, NULL, { { NULL, NULL, false } }, false \
	}
static const struct element_row presence_rows[] = {
	{ "presence", "presence", NULL, { { "entity", write_uri, false } }, STRICT },
	{ "tuple", "tuple", NULL, { { "id", write_id, false } }, STRICT },
	{ "status", "status", NULL, { { NULL, NULL, false } }, STRICT },
	{ "basic", "basic", write_word, { { NULL, NULL, false } }, STRICT },
	{ "contact", "contact", write_uri, { { NULL, NULL, false } }, STRICT },
	{ "note", "note", write_text, { { NULL, NULL, false } }, LENIENT },
	{ "timestamp", "timestamp", write_time, { { NULL, NULL, false } }, LENIENT },
	{ "person", "dm:person", NULL, { { "id", write_id, false } }, STRICT },
	RPID("activities"),
	RPID("appointment"),
	RPID("away"),
	RPID("busy"),
	RPID("holiday"),
	RPID("in-transit"),
	RPID("meal"),
	RPID("meeting"),
	RPID("on-the-phone"),
	RPID("permanent-absence"),
	RPID("sleeping"),
	RPID("travel"),
	RPID("unknown"),
	RPID("vacation"),
	RPID("working"),
};
#undef RPID

static const struct document documents[] = {
	{ { "dialog", 6 }, { "application/dialog-info+xml", 27 },
		" xmlns=\"urn:ietf:params:xml:ns:dialog-info\"", dialog_rows,
		sizeof(dialog_rows) / sizeof(dialog_rows[0]) },
	{ { "presence", 8 }, { "application/pidf+xml", 20 },
		" xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\""
		" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"",
		presence_rows, sizeof(presence_rows) / sizeof(presence_rows[0]) },
};

static const struct element_row *row_find(const struct document *document, struct span name)
{
	for (size_t i = 0; i < document->row_count; i++)
		if (span_equal(span_from(document->rows[i].name), name))
			return &document->rows[i];
	return NULL;
}

static const struct attribute_row *attribute_find(const struct element_row *row, struct span name)
{
	for (size_t i = 0; i < sizeof(row->attributes) / sizeof(row->attributes[0]); i++)
		if (row->attributes[i].name && span_equal(span_from(row->attributes[i].name), name))
			return &row->attributes[i];
	return NULL;
}

static int write_attributes(const struct event_sides *sides, const struct element_row *row,
	struct span attributes, struct writer *out)
{
	const struct attribute_row *attribute;
	struct span name, value;
	unsigned seen = 0;

	if (row->kind == DIALOG)
		event_dialog_write(sides, attributes, out);
	while (event_xml_attribute(&attributes, &name, &value)) {
		size_t before = out->len;
		unsigned bit;

		attribute = attribute_find(row, name);
		if (!attribute)
			continue;
		bit = 1U << (attribute - row->attributes);
		if (seen & bit)
			return -EINVAL;
		seen |= bit;
		writer_char(out, ' ');
		writer_text(out, attribute->name);
		writer_text(out, "=\"");
		if (!attribute->write(sides, value, out)) {
			if (!attribute->optional)
				return -EINVAL;
			out->len = before;
			continue;
		}
		writer_char(out, '"');
	}
	return 0;
}

struct rewriting {
	const struct event_sides *sides;
	const struct document *document;
	struct writer *out;
	const struct element_row *open[DEPTH_MAX];
	struct span names[DEPTH_MAX]; /* as theirs: their tags must match */
	bool has_text[DEPTH_MAX];
	unsigned depth; /* of what is open */
	unsigned left_out; /* depth at which an element that does not cross was opened; 0: none */
	bool root_seen;
};

static int open_element(struct rewriting *r, const struct event_xml_node *node)
{
	const struct element_row *row = row_find(r->document, node->name);
	bool is_root = r->depth == 0;

	if (r->depth == DEPTH_MAX || is_root != (row == r->document->rows) || (is_root && r->root_seen))
		return -EINVAL;
	r->root_seen = true;
	if (!row && !r->left_out && !node->empty)
		r->left_out = r->depth + 1;
	if (row && !r->left_out) {
		writer_char(r->out, '<');
		writer_text(r->out, row->written);
		writer_text(r->out, is_root ? r->document->declaration : "");
		if (write_attributes(r->sides, row, node->attributes, r->out))
			return -EINVAL;
		writer_text(r->out, node->empty ? "/>" : ">");
	}
	if (node->empty)
		return 0;
	r->open[r->depth] = row;
	r->names[r->depth] = node->name;
	r->has_text[r->depth] = false;
	r->depth++;
	return 0;
}

static int close_element(struct rewriting *r, const struct event_xml_node *node)
{
	if (r->depth == 0 || !span_equal(r->names[r->depth - 1], node->name))
		return -EINVAL;
	r->depth--;
	if (r->left_out) {
		if (r->left_out == r->depth + 1)
			r->left_out = 0;
		return 0;
	}
	writer_text(r->out, "</");
	writer_text(r->out, r->open[r->depth]->written);
	writer_char(r->out, '>');
	return 0;
}

static int copy_text(struct rewriting *r, const struct event_xml_node *node)
{
	const struct element_row *row;
	size_t before = r->out->len;

	if (r->depth == 0)
		return -EINVAL;
	row = r->open[r->depth - 1];
	if (r->left_out || !row || !row->text)
		return 0;
	/* Cut by comments, a value could be two harmless ones. */
	if (r->has_text[r->depth - 1])
		return -EINVAL;
	r->has_text[r->depth - 1] = true;
	if (row->text(r->sides, node->text, r->out))
		return 0;
	r->out->len = before;
	return row->kind == LENIENT ? 0 : -EINVAL;
}

static int map_document(const struct event_sides *sides, const struct document *document, struct span body,
	struct writer *out)
{
	struct rewriting r = { .sides = sides, .document = document, .out = out };
	struct event_xml_node node;
	int error = 0;

	writer_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
	for (unsigned n = 0; error == 0; n++) {
		enum event_xml_kind kind = event_xml_next(&body, &node);

		if (kind == EVENT_XML_END)
			break;
		if (n == ELEMENTS_MAX || kind == EVENT_XML_BAD)
			return -EINVAL;
		error = kind == EVENT_XML_OPEN    ? open_element(&r, &node)
			: kind == EVENT_XML_CLOSE ? close_element(&r, &node)
						  : copy_text(&r, &node);
	}
	if (error || r.depth || !r.root_seen || out->overflow)
		return -EINVAL;
	writer_text(out, "\r\n");
	return out->overflow ? -EINVAL : 0;
}

/* --- message-summary ---------------------------------------------------------------------------------------------------------- */

static bool write_counts(const struct event_sides *sides, struct span value, struct writer *out)
{
	static const char allowed[] = "0123456789/() ";

	(void)sides;
	for (size_t i = 0; i < value.n; i++)
		if (!memchr(allowed, value.p[i], sizeof(allowed) - 1))
			return false;
	writer_span(out, value);
	return value.n > 0 && value.n <= 64;
}

/* RFC 3842 section 5.2. Headers of single messages do not cross. */
static const struct attribute_row summary_lines[] = {
	{ "Messages-Waiting", write_word, false },
	{ "Message-Account", write_uri, true },
	{ "Voice-Message", write_counts, true },
	{ "Fax-Message", write_counts, true },
	{ "Pager-Message", write_counts, true },
	{ "Multimedia-Message", write_counts, true },
	{ "Text-Message", write_counts, true },
	{ "None", write_counts, true },
};

static int copy_summary_line(
	const struct event_sides *sides, struct span line, bool *waiting, struct writer *out)
{
	struct span value = line, name = span_trim(span_cut(&value, ':'));
	size_t before = out->len;

	for (size_t i = 0; i < sizeof(summary_lines) / sizeof(summary_lines[0]); i++) {
		const struct attribute_row *row = &summary_lines[i];

		if (!span_equal_case(name, span_from(row->name)))
			continue;
		writer_text(out, row->name);
		writer_text(out, ": ");
		if (row->write(sides, span_trim(value), out)) {
			writer_text(out, "\r\n");
			*waiting = *waiting || i == 0;
			return 0;
		}
		out->len = before;
		return row->optional ? 0 : -EINVAL;
	}
	return 0;
}

static int map_summary(const struct event_sides *sides, struct span body, struct writer *out)
{
	struct span rest = body;
	bool waiting = false;
	int error = 0;

	for (unsigned n = 0; rest.p && error == 0 && n < LINES_MAX; n++) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		if (line.n == 0)
			break;
		error = copy_summary_line(sides, line, &waiting, out);
	}
	return error || !waiting || out->overflow ? -EINVAL : 0;
}

/* --- both ------------------------------------------------------------------------------------------------------------------------ */

#define SUMMARY      SPAN("message-summary")
#define SUMMARY_TYPE SPAN("application/simple-message-summary")

static const struct document *document_find(struct span package)
{
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
		if (span_equal_case(documents[i].package, package))
			return &documents[i];
	return NULL;
}

struct span event_body_type(struct span package)
{
	const struct document *document = document_find(package);

	if (span_equal_case(package, SUMMARY))
		return SUMMARY_TYPE;
	return document ? document->type : nothing;
}

int event_body_map(const struct event_sides *sides, struct span package, struct span body, struct writer *out)
{
	const struct document *document = document_find(package);

	if (span_equal_case(package, SUMMARY))
		return map_summary(sides, body, out);
	return document ? map_document(sides, document, body, out) : -EINVAL;
}
