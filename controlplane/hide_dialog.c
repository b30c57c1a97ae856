/* SPDX-License-Identifier: BSD-3-Clause */
/* Values that name a dialog or a place to go: each side has its own names for the same dialog, and its own way to a user. */
#include <errno.h>

#include "controlplane/call_transfer.h"
#include "controlplane/hide_internal.h"

/* --- dialogs -------------------------------------------------------------------------------------------------------- */

enum dialog_form { DIALOG_TAGS, DIALOG_TARGET };

/* callid;to-tag=a;from-tag=b[;early-only] of RFC 3891 and 3911; callid;local-tag=a;remote-tag=b of RFC 4538. */
static bool name_parse(struct span value, struct dialog_name *name, enum dialog_form *form)
{
	struct span parameter, said;

	*name = (struct dialog_name){ 0 };
	*form = DIALOG_TAGS;
	name->call_id = span_trim(span_cut(&value, ';'));
	while (hide_parameter_next(&value, &parameter, &said)) {
		if (span_equal_case(parameter, SPAN("to-tag"))) {
			name->to_tag = said;
		} else if (span_equal_case(parameter, SPAN("from-tag"))) {
			name->from_tag = said;
		} else if (span_equal_case(parameter, SPAN("local-tag"))) {
			name->to_tag = said;
			*form = DIALOG_TARGET;
		} else if (span_equal_case(parameter, SPAN("remote-tag"))) {
			name->from_tag = said;
			*form = DIALOG_TARGET;
		} else if (span_equal_case(parameter, SPAN("early-only"))) {
			name->early_only = true;
		}
	}
	return name->call_id.n && name->to_tag.n && name->from_tag.n;
}

static struct dialog_name turned(const struct dialog_name *name)
{
	return (struct dialog_name){ name->call_id, name->from_tag, name->to_tag, name->early_only };
}

/* The names of the same dialog on the side of `to`. Senders do not agree on whose point of view the tags have: both are tried, and the
 * answer has that of the question. */
static bool name_map(
	const struct dialog_name *name, const struct leg *from, const struct leg *to, struct dialog_name *out)
{
	struct dialog_name other = turned(name);
	struct leg *leg = transfer_find_dialog(from->shard, from->realm, name), *peer;
	bool swapped = !leg;

	if (!leg)
		leg = transfer_find_dialog(from->shard, from->realm, &other);
	peer = leg && leg->call ? call_peer(leg) : NULL;
	if (!peer || peer->realm != to->realm)
		return false;
	transfer_write_dialog(peer, out);
	if (swapped)
		*out = turned(out);
	out->early_only = name->early_only;
	return out->call_id.n > 0;
}

static void name_write(const struct dialog_name *name, enum dialog_form form, struct writer *out)
{
	writer_span(out, name->call_id);
	writer_text(out, form == DIALOG_TARGET ? ";local-tag=" : ";to-tag=");
	writer_span(out, name->to_tag);
	writer_text(out, form == DIALOG_TARGET ? ";remote-tag=" : ";from-tag=");
	writer_span(out, name->from_tag);
	if (name->early_only)
		writer_text(out, ";early-only");
}

bool hide_dialog(struct span value, const struct leg *from, const struct leg *to, struct writer *out)
{
	struct dialog_name name, mapped = { 0 };
	enum dialog_form form;

	if (!name_parse(value, &name, &form) || !name_map(&name, from, to, &mapped))
		return false;
	name_write(&mapped, form, out);
	return true;
}

void hide_copy_dialog(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct writer start = *out;

	writer_span(out, name);
	writer_text(out, ": ");
	if (hide_dialog(value, way->from, way->to, out))
		writer_text(out, "\r\n");
	else
		*out = start;
}

/* --- places --------------------------------------------------------------------------------------------------------- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3261 section 19.1.2. False: broken, or an octet that no header may have. */
static bool unescape(struct span text, struct writer *out)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == '%') {
			int high = i + 2 < text.n ? digit_of(text.p[i + 1]) : -1;
			int low = high >= 0 ? digit_of(text.p[i + 2]) : -1;

			if (low < 0)
				return false;
			c = (unsigned char)(high << 4 | low);
			i += 2;
		}
		if (c < ' ' || c >= 0x7f)
			return false;
		writer_char(out, (char)c);
	}
	return !out->overflow;
}

static void escape(struct span text, struct writer *out)
{
	for (size_t i = 0; i < text.n; i++) {
		struct span one = { text.p + i, 1 };

		if (hide_is_token(one) && one.p[0] != '%' && one.p[0] != '`' && one.p[0] != '+')
			writer_char(out, one.p[0]);
		else
			writer_format(out, "%%%02X", (unsigned)(unsigned char)one.p[0]);
	}
}

/* "?Replaces=..." of a URI. 0, -ENOENT, -EINVAL. Other header fields in it would be written by whoever follows it: they are left out. */
static int write_replaces(struct span headers, const struct leg *from, const struct leg *to,
	const struct dialog_name *mapped, struct writer *out)
{
	char plain[HIDE_URI_MAX], there[HIDE_URI_MAX];
	struct writer unescaped, name;

	while (headers.n) {
		struct span one = span_cut(&headers, '&'), field = span_cut(&one, '=');

		if (!span_equal_case(field, SPAN("Replaces")))
			continue;
		writer_init(&unescaped, plain, sizeof(plain));
		writer_init(&name, there, sizeof(there));
		if (!unescape(one, &unescaped))
			return -EINVAL;
		if (mapped)
			name_write(mapped, DIALOG_TAGS, &name);
		else if (!hide_dialog(writer_result(&unescaped), from, to, &name))
			return -ENOENT;
		if (name.overflow)
			return -ENOENT;
		writer_text(out, "?Replaces=");
		escape(writer_result(&name), out);
		return 0;
	}
	return 0;
}

static void write_method(struct span parameters, struct writer *out)
{
	struct span name, value;

	while (hide_parameter_next(&parameters, &name, &value)) {
		if (!span_equal_case(name, SPAN("method")) || sip_method_parse(value) == SIP_METHOD_UNKNOWN)
			continue;
		writer_text(out, ";method=");
		writer_span(out, value);
		return;
	}
}

/* Our address is what `from` knows of those behind us: that is the peer of `to`. Anybody else is reached by it through us. */
static const union address *place_of(const struct sip_uri *uri, const struct leg *from, const struct leg *to)
{
	union address stated;
	bool behind_us = address_parse_host(uri->host, &stated) == 0 &&
			 address_equal_host(&stated, listener_address(from->flow.listener));

	return behind_us && to->agent ? &to->flow.remote : listener_address(to->flow.listener);
}

int hide_refer_to(struct span value, const struct leg *from, const struct leg *to,
	const struct dialog_name *mapped, struct writer *out)
{
	const union address *place;
	char host[ADDRESS_TEXT_MAX];
	struct name_addr address;
	struct writer start = *out;
	struct sip_uri uri;
	struct span user;
	int error;

	if (name_addr_parse(value, &address) || sip_uri_parse(address.uri, &uri))
		return -EINVAL;
	user = hide_user(&uri);
	place = place_of(&uri, from, to);
	writer_text(out, "<sip:");
	writer_span(out, user);
	if (user.n)
		writer_char(out, '@');
	writer_text(out, address_print_uri(place, host));
	if (address_port(place) != 5060)
		writer_format(out, ":%u", address_port(place));
	write_method(uri.parameters, out);
	error = write_replaces(uri.headers, from, to, mapped, out);
	writer_char(out, '>');
	if (error)
		*out = start;
	return error;
}

bool hide_referred_by(struct span value, const struct leg *to, struct writer *out)
{
	char host[ADDRESS_TEXT_MAX];
	struct name_addr address;

	if (name_addr_parse(value, &address))
		return false;
	address_print_uri(listener_address(to->flow.listener), host);
	hide_name_addr(&address, span_from(host), out);
	return true;
}

void hide_copy_referred_by(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	char text[HIDE_URI_MAX];
	struct writer address;

	writer_init(&address, text, sizeof(text));
	if (!(hide_way_privacy(way) & (HIDE_PRIVACY_USER | HIDE_PRIVACY_ID)) &&
		hide_referred_by(value, way->to, &address) && !address.overflow)
		hide_line(name, writer_result(&address), out);
}
