/* SPDX-License-Identifier: BSD-3-Clause */
/* A REGISTER taken apart (RFC 3261 section 10.2), and what is wrong with it. */
#include <ctype.h>
#include <string.h>

#include "controlplane/leg.h"
#include "controlplane/registrar_internal.h"

enum { Q_FULL = 1000, EXPIRES_DEFAULT = 3600, CALL_ID_LONGEST = REGISTRAR_AOR_MAX - 1 };

/* --- address-of-record ------------------------------------------------------------------------------------------------ */

struct span registrar_aor(struct span to, char buffer[REGISTRAR_AOR_MAX])
{
	static const struct span none = { NULL, 0 };
	struct name_addr address;
	struct sip_uri uri;
	struct writer out;

	if (name_addr_parse(to, &address) || sip_uri_parse(address.uri, &uri) || uri.host.n == 0 ||
		span_equal_case(uri.scheme, SPAN("tel")))
		return none;
	writer_init(&out, buffer, REGISTRAR_AOR_MAX);
	if (sip_user_normal(uri.user, &out) || memchr(buffer, '@', out.len))
		return none;
	writer_char(&out, '@');
	for (size_t i = 0; i < uri.host.n; i++)
		writer_char(&out, (char)tolower((unsigned char)uri.host.p[i]));
	return out.overflow ? none : writer_result(&out);
}

/* --- parameters --------------------------------------------------------------------------------------------------------- */

bool register_parameter(struct span parameters, struct span name, struct span *value)
{
	struct span rest = parameters;

	while (rest.n) {
		size_t n = 0;
		struct span one, key;

		while (n < rest.n && rest.p[n] != ';') {
			size_t quoted = rest.p[n] == '"'
						? sip_quoted_length((struct span){ rest.p + n, rest.n - n })
						: 1;

			n += quoted ? quoted : 1;
		}
		one = (struct span){ rest.p, n };
		rest = n < rest.n ? (struct span){ rest.p + n + 1, rest.n - n - 1 }
				  : (struct span){ NULL, 0 };
		key = span_trim(span_cut(&one, '='));
		if (!span_equal_case(key, name))
			continue;
		*value = span_trim(one);
		if (value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"')
			*value = (struct span){ value->p + 1, value->n - 2 };
		return true;
	}
	return false;
}

uint32_t register_seconds(struct span value, uint32_t fallback)
{
	uint64_t seconds;

	value = span_trim(value);
	if (value.n == 0)
		return fallback;
	for (size_t i = 0; i < value.n; i++)
		if (!isdigit((unsigned char)value.p[i]))
			return fallback;
	return span_to_uint(value, UINT32_MAX, &seconds) ? UINT32_MAX : (uint32_t)seconds;
}

/* "0.7": thousandths; more than 1, or no number: -1. */
static int q_value(struct span text)
{
	int q = 0, scale = Q_FULL;

	if (text.n == 0 || text.n > 5 || (text.p[0] != '0' && text.p[0] != '1') ||
		(text.n > 1 && text.p[1] != '.'))
		return -1;
	q = (text.p[0] - '0') * Q_FULL;
	for (size_t i = 2; i < text.n; i++) {
		if (!isdigit((unsigned char)text.p[i]))
			return -1;
		scale /= 10;
		q += (text.p[i] - '0') * scale;
	}
	return q > Q_FULL ? -1 : q;
}

static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 0x7f || text.p[i] == '"')
			return false;
	return text.n > 0;
}

/* --- contacts ----------------------------------------------------------------------------------------------------------- */

static unsigned take_contact(
	struct span value, uint32_t expires, struct register_request *out, struct register_contact *contact)
{
	struct name_addr address;
	struct sip_uri uri;
	struct span parameter;
	uint64_t number;
	int q = Q_FULL;

	if (name_addr_parse(value, &address) || sip_uri_parse(address.uri, &uri) || uri.host.n == 0 ||
		span_equal_case(uri.scheme, SPAN("tel")))
		return 400;
	*contact = (struct register_contact){ .uri = address.uri, .expires = expires };
	if (uri.headers.p)
		contact->uri.n = (size_t)(uri.headers.p - address.uri.p) - 1;
	if (contact->uri.n > REGISTER_CONTACT_MAX || !is_plain(contact->uri))
		return 400;
	contact->bulk = register_parameter(uri.parameters, SPAN("bnc"), &parameter);
	/* RFC 6140 section 5.2: all numbers of the PBX, and therefore none here. */
	if (contact->bulk && (!out->bulk || uri.user.n))
		return 400;
	if (register_parameter(address.parameters, SPAN("expires"), &parameter))
		contact->expires = register_seconds(parameter, EXPIRES_DEFAULT);
	if (register_parameter(address.parameters, SPAN("q"), &parameter))
		q = q_value(parameter);
	if (q < 0)
		return 400;
	contact->q = (uint16_t)q;
	if (register_parameter(address.parameters, SPAN("+sip.instance"), &parameter)) {
		if (parameter.n > REGISTER_INSTANCE_MAX || !is_plain(parameter))
			return 400;
		contact->instance = parameter;
	}
	if (register_parameter(address.parameters, SPAN("reg-id"), &parameter)) {
		if (span_to_uint(parameter, INT32_MAX, &number) || number == 0)
			return 400;
		/* RFC 5626 section 6: without an instance it says nothing. */
		contact->reg_id = contact->instance.n ? (uint32_t)number : 0;
	}
	return 0;
}

static unsigned take_contacts(
	const struct message *request, uint32_t expires, struct register_request *out, unsigned most)
{
	struct span value, one;
	unsigned status;

	for (unsigned n = 0; message_header(request, SPAN("Contact"), n, &value); n++)
		for (unsigned v = 0; leg_list_value(value, v, &one); v++) {
			if (span_equal(one, SPAN("*"))) {
				if (out->all || out->count)
					return 400;
				out->all = true;
				continue;
			}
			if (out->all)
				return 400;
			if (out->count >= most)
				return 403;
			status = take_contact(one, expires, out, &out->contact[out->count]);
			if (status)
				return status;
			out->count++;
		}
	/* RFC 3261 section 10.2.2. */
	return out->all && expires != 0 ? 400 : 0;
}

unsigned register_request_parse(
	struct shard *shard, const struct message *request, struct register_request *out)
{
	const struct scan *scan = message_scan(request);
	unsigned most = shard->config->registration.max_contacts;
	uint32_t expires = EXPIRES_DEFAULT;
	struct sip_uri uri;
	struct span value;

	out->count = 0;
	out->all = false;
	if (message_from(request, &out->from) || message_to(request, &out->to) ||
		scan->call_id.n > CALL_ID_LONGEST)
		return 400;
	out->aor = registrar_aor(scan->to, out->aor_text);
	if (out->aor.n == 0 || sip_uri_parse(out->to.uri, &uri))
		return 400;
	out->host = uri.host;
	out->bulk = message_has_token(request, SPAN("Require"), SPAN("gin"));
	out->outbound = message_has_token(request, SPAN("Supported"), SPAN("outbound")) ||
			message_has_token(request, SPAN("Require"), SPAN("outbound"));
	out->gruu = message_has_token(request, SPAN("Supported"), SPAN("gruu"));
	if (message_header(request, SPAN("Expires"), 0, &value))
		expires = register_seconds(value, EXPIRES_DEFAULT);
	return take_contacts(
		request, expires, out, most < REGISTER_CONTACTS_MAX ? most : REGISTER_CONTACTS_MAX);
}
