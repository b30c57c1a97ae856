/* SPDX-License-Identifier: BSD-3-Clause */
/* A received message: its bytes, the pre-scan's index of them, and libosip2's verdict on the header block. */
#include "controlplane/message.h"

#include <sys/time.h>

#include <errno.h>
#include <osipparser2/osip_message.h>
#include <osipparser2/osip_parser.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/message_check.h"
#include "controlplane/secret.h"
#include "controlplane/transaction.h"

struct message {
	struct sip_flow flow;
	osip_message_t *sip;
	struct span text; /* behind the scan */
	struct scan scan; /* allocated with as many header entries as there are, then the bytes */
};

/* The fields of struct scan that borrow the message. A new one there belongs into this list. */
static const size_t borrowing[] = {
	offsetof(struct scan, method_name),
	offsetof(struct scan, request_uri),
	offsetof(struct scan, call_id),
	offsetof(struct scan, from_tag),
	offsetof(struct scan, to_tag),
	offsetof(struct scan, branch),
	offsetof(struct scan, sent_by),
	offsetof(struct scan, from),
	offsetof(struct scan, to),
	offsetof(struct scan, cseq),
	offsetof(struct scan, contact),
	offsetof(struct scan, header_block),
	offsetof(struct scan, body),
	offsetof(struct scan, content_type),
};

static struct span moved(struct span s, struct span from, const char *to)
{
	if (s.p < from.p || s.p > from.p + from.n)
		return (struct span){ NULL, 0 };
	return (struct span){ to + (s.p - from.p), s.n };
}

/* The index of a copy: every span points into it at the same place. */
static void scan_copy(struct scan *out, const struct scan *scan, struct span from, const char *to)
{
	memcpy(out, scan, offsetof(struct scan, header));
	for (size_t i = 0; i < sizeof(borrowing) / sizeof(borrowing[0]); i++) {
		struct span *span = (struct span *)(void *)((char *)out + borrowing[i]);

		*span = moved(*span, from, to);
	}
	for (unsigned i = 0; i < scan->headers; i++) {
		out->header[i].name = moved(scan->header[i].name, from, to);
		out->header[i].value = moved(scan->header[i].value, from, to);
	}
}

static struct message *message_new(const struct scan *scan, struct span text, const struct sip_flow *flow)
{
	size_t size = offsetof(struct message, scan) + offsetof(struct scan, header) +
		      scan->headers * sizeof(struct scan_header);
	struct message *message = secret_alloc_for(text, size + text.n);
	char *bytes;

	if (!message)
		return NULL;
	bytes = (char *)message + size;
	memcpy(bytes, text.p, text.n);
	message->flow = *flow;
	message->sip = NULL;
	message->text = (struct span){ bytes, text.n };
	scan_copy(&message->scan, scan, text, bytes);
	return message;
}

/* The body must not reach libosip2's MIME code: it is told that there is none. Overwrites the digits in `block`. */
static void hide_body(const struct scan *scan, char *block)
{
	struct span length;

	for (unsigned n = 0; scan_header_find(scan, SPAN("Content-Length"), 'l', n, &length); n++) {
		char *digits = block + (length.p - scan->header_block.p);

		memset(digits, ' ', length.n);
		digits[0] = '0';
	}
}

static int parse(struct message *message)
{
	const struct scan *scan = &message->scan;
	char *block = malloc(scan->header_block.n);
	int result = -ENOMEM;

	if (!block || osip_message_init(&message->sip) != 0)
		goto out;
	memcpy(block, scan->header_block.p, scan->header_block.n);
	hide_body(scan, block);
	result = osip_message_parse(message->sip, block, scan->header_block.n) == 0 ? 0 : -EINVAL;
out:
	free(block);
	return result;
}

int message_parse(const struct scan *scan, struct span text, const struct sip_flow *flow,
	struct message **out, unsigned *status)
{
	struct message *message = message_new(scan, text, flow);
	bool answerable = scan->is_request && scan->method != SIP_METHOD_ACK;

	*status = answerable ? 503 : 0;
	if (!message)
		return -EINVAL;
	*status = 0;
	if (message_check(message, NULL, status) < 0)
		goto refused;
	if (parse(message) < 0) {
		*status = answerable ? 400 : 0;
		goto refused;
	}
	if (message_check(message, message->sip, status) < 0)
		goto refused;
	*out = message;
	return 0;
refused:
	message_free(message);
	return -EINVAL;
}

struct message *message_unparsed(const struct scan *scan, struct span text, const struct sip_flow *flow)
{
	return message_new(scan, text, flow);
}

bool message_is_parsed(const struct message *message)
{
	return message->sip != NULL;
}

void message_free(struct message *message)
{
	if (!message)
		return;
	if (message->sip)
		osip_message_free(message->sip);
	secret_free(message);
}

const struct scan *message_scan(const struct message *message)
{
	return &message->scan;
}

const struct sip_flow *message_flow(const struct message *message)
{
	return &message->flow;
}

void message_move(struct message *message, struct config_move *move)
{
	config_move_session_agent(move, &message->flow.agent);
}

struct span message_body(const struct message *message)
{
	return message->scan.body;
}

struct span message_type(const struct message *message)
{
	struct span rest = message->scan.content_type;

	return span_trim(span_cut(&rest, ';'));
}

bool message_body_is(const struct message *message, struct span type)
{
	return span_equal_case(message_type(message), type);
}

/* Header fields with a one-letter form (IANA's list of SIP header fields). */
static const struct {
	struct span name;
	char compact;
} forms[] = {
#define FORM(letter, text)                         \
	{                                          \
		{ text, sizeof(text) - 1 }, letter \
	}
	/* clang-format off */
	FORM('a', "Accept-Contact"), FORM('b', "Referred-By"), FORM('c', "Content-Type"), FORM('d', "Request-Disposition"),
	FORM('e', "Content-Encoding"), FORM('f', "From"), FORM('i', "Call-ID"), FORM('j', "Reject-Contact"),
	FORM('k', "Supported"), FORM('l', "Content-Length"), FORM('m', "Contact"), FORM('n', "Identity-Info"),
	FORM('o', "Event"), FORM('r', "Refer-To"), FORM('s', "Subject"), FORM('t', "To"), FORM('u', "Allow-Events"),
	FORM('v', "Via"), FORM('x', "Session-Expires"), FORM('y', "Identity"),
/* clang-format on */
#undef FORM
};

static char compact_form(struct span name)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (name.n == forms[i].name.n && span_equal_case(name, forms[i].name))
			return forms[i].compact;
	return 0;
}

struct span message_header_name(struct span name)
{
	for (size_t i = 0; name.n == 1 && i < sizeof(forms) / sizeof(forms[0]); i++)
		if ((name.p[0] | 0x20) == forms[i].compact)
			return forms[i].name;
	return name;
}

bool message_header(const struct message *message, struct span name, unsigned n, struct span *value)
{
	return scan_header_find(&message->scan, name, compact_form(name), n, value);
}

bool message_has_token(const struct message *message, struct span name, struct span token)
{
	char compact = compact_form(name);
	struct span value;

	for (unsigned n = 0; scan_header_find(&message->scan, name, compact, n, &value); n++) {
		while (value.p)
			if (span_equal_case(span_trim(span_cut(&value, ',')), token))
				return true;
	}
	return false;
}

int message_request_uri(const struct message *message, struct sip_uri *out)
{
	return sip_uri_parse(message->scan.request_uri, out);
}

int message_from(const struct message *message, struct name_addr *out)
{
	return name_addr_parse(message->scan.from, out);
}

int message_to(const struct message *message, struct name_addr *out)
{
	return name_addr_parse(message->scan.to, out);
}

int message_contact(const struct message *message, struct name_addr *out)
{
	if (!message->scan.contact.p)
		return -ENOENT;
	return name_addr_parse(message->scan.contact, out);
}

void message_end(struct writer *out, struct span content_type, struct span body)
{
	if (body.n) {
		writer_text(out, "Content-Type: ");
		writer_span(out, content_type);
		writer_text(out, "\r\n");
	}
	writer_text(out, "Content-Length: ");
	writer_uint(out, body.n);
	writer_text(out, "\r\n\r\n");
	writer_span(out, body);
}
