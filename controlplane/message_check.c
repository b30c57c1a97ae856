/* SPDX-License-Identifier: BSD-3-Clause */
/* Validation of a parsed message (RFC 3261 sections 8.2 and 16.3): one table of checks, each with its answer. */
#include <sys/time.h>

#include "controlplane/message_check.h"

#include <errno.h>
#include <string.h>

#include "controlplane/transport.h"

/* The parser's view and the pre-scan's must agree that these are there: neither may be fooled into seeing another message. */
static bool is_complete(const struct message *message, const osip_message_t *sip)
{
	const struct scan *scan = message_scan(message);

	if (!sip->from || !sip->to || !sip->call_id || !sip->call_id->number || !sip->cseq ||
		!sip->cseq->method || !sip->cseq->number || osip_list_size(&sip->vias) <= 0)
		return false;
	if (!scan->is_request)
		return sip->status_code == (int)scan->status;
	return sip->req_uri && sip->sip_method && span_equal(span_from(sip->sip_method), scan->method_name);
}

static bool cseq_agrees(const struct message *message, const osip_message_t *sip)
{
	const struct scan *scan = message_scan(message);
	uint64_t number;

	return span_to_uint(span_from(sip->cseq->number), 0x7fffffff, &number) == 0 &&
	       number == scan->cseq_number && span_equal(span_from(sip->cseq->method), scan->method_name);
}

/* The URIs from which dialogs and routes are made must be readable by us too. */
static bool addresses_are_readable(const struct message *message, const osip_message_t *sip)
{
	struct name_addr address;

	(void)sip;
	return message_from(message, &address) == 0 && message_to(message, &address) == 0;
}

static bool scheme_is_known(const struct message *message, const osip_message_t *sip)
{
	struct span rest = message_scan(message)->request_uri;
	struct span scheme = span_cut(&rest, ':');

	(void)sip;
	return span_equal_case(scheme, SPAN("sip")) || span_equal_case(scheme, SPAN("sips")) ||
	       span_equal_case(scheme, SPAN("tel"));
}

static bool request_uri_is_readable(const struct message *message, const osip_message_t *sip)
{
	struct sip_uri uri;

	(void)sip;
	return message_request_uri(message, &uri) == 0;
}

/* A Contact with URI headers must stand in brackets (RFC 4475 section 3.1.2.13), "*" is REGISTER's alone. */
static bool contact_is_readable(const struct message *message, const osip_message_t *sip)
{
	const struct scan *scan = message_scan(message);
	struct name_addr contact;

	(void)sip;
	if (!scan->contact.p)
		return true;
	if (span_equal(scan->contact, SPAN("*")))
		return scan->method == SIP_METHOD_REGISTER;
	if (message_contact(message, &contact) < 0)
		return false;
	return contact.uri.p != scan->contact.p || !memchr(contact.uri.p, '?', contact.uri.n);
}

/* An INVITE may say which bodies it takes: one that takes no session description can be given no answer (RFC 3261 sections 13.2.1
 * and 21.4.7). Without the field it takes one. */
static bool answer_is_acceptable(const struct message *message, const osip_message_t *sip)
{
	const struct scan *scan = message_scan(message);
	struct span value;
	unsigned n = 0;

	(void)sip;
	if (scan->method != SIP_METHOD_INVITE)
		return true;
	for (; scan_header_find(scan, SPAN("Accept"), 0, n, &value); n++) {
		while (value.p) {
			struct span range = span_cut(&value, ',');
			struct span type = span_trim(span_cut(&range, ';'));

			if (type.n == 0 || span_equal_case(type, SPAN("application/sdp")) ||
				span_equal_case(type, SPAN("application/*")) || span_equal(type, SPAN("*/*")))
				return true;
		}
	}
	return n == 0;
}

/* Top Via: the transport it came by. A response's top Via is ours and was matched by its branch. */
static bool transport_agrees(const struct message *message, const osip_message_t *sip)
{
	const osip_via_t *via = osip_list_get(&sip->vias, 0);

	const struct listener *listener = message_flow(message)->listener;

	return via && via->protocol &&
	       span_equal_case(
		       span_from(via->protocol), span_from(transport_via_name(listener_transport(listener))));
}

/* A request that starts something and may travel no further: loops end here. What belongs to a dialog ends with us anyway, and
 * OPTIONS may be answered by who has it last (RFC 3261 section 16.3). */
static bool may_travel(const struct message *message, const osip_message_t *sip)
{
	const struct scan *scan = message_scan(message);

	(void)sip;
	return scan->max_forwards != 0 || scan->to_tag.n > 0 || scan->method == SIP_METHOD_OPTIONS ||
	       scan->method == SIP_METHOD_ACK || scan->method == SIP_METHOD_CANCEL;
}

static const struct {
	bool before_parse; /* asks the pre-scan's index alone */
	bool requests_only;
	unsigned status;
	bool (*holds)(const struct message *message, const osip_message_t *sip);
} checks[] = {
	{ true, true, 416, scheme_is_known },
	{ true, true, 400, request_uri_is_readable },
	{ true, false, 400, addresses_are_readable },
	{ true, true, 400, contact_is_readable },
	{ true, true, 483, may_travel },
	{ true, true, 406, answer_is_acceptable },
	{ false, false, 400, is_complete },
	{ false, false, 400, cseq_agrees },
	{ false, true, 400, transport_agrees },
};

int message_check(const struct message *message, const osip_message_t *sip, unsigned *status)
{
	const struct scan *scan = message_scan(message);

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (checks[i].before_parse != !sip || (checks[i].requests_only && !scan->is_request) ||
			checks[i].holds(message, sip))
			continue;
		*status = scan->is_request && scan->method != SIP_METHOD_ACK ? checks[i].status : 0;
		return -EINVAL;
	}
	return 0;
}
