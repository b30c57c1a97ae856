/* SPDX-License-Identifier: BSD-3-Clause */
/* Media feature tags and capabilities (RFC 3840, 3841, 6809): what a telephone can do crosses, which one it is does not. */
#include <string.h>

#include "controlplane/hide_internal.h"

/* +sip.instance, methods, description and whatever else is not named here stay behind. */
static bool is_allowed(struct span name)
{
	static const char *const known[] = { "audio", "video", "text", "data", "application", "control",
		"automata", "class", "duplex", "mobility", "isfocus", "byeless", "rendering", "actor",
		"priority", "+sip.byeless", "+sip.rendering", "+sip.message", "+sip.fax" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_equal_case(name, span_from(known[i])))
			return true;
	return (span_starts_case(name, SPAN("+g.3gpp.")) || span_starts_case(name, SPAN("+g.oma."))) &&
	       name.n <= 64 && hide_is_token(name);
}

static bool value_is_clean(struct span value)
{
	static const struct span service = { "\"urn%3Aurn-7%3A3gpp-", 20 };
	struct span inside = value;

	if (value.n > HIDE_TOKENS_MAX)
		return false;
	if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
		inside = (struct span){ value.p + 1, value.n - 2 };
	for (size_t i = 0; i < inside.n; i++) {
		unsigned char c = (unsigned char)inside.p[i];

		if (c < ' ' || c >= 0x7f || strchr("\"\\@/:[]", c))
			return false;
	}
	/* Names of services are full of dots. */
	return !hide_names_a_host(inside) || (span_starts_case(value, service) && inside.n + 2 == value.n);
}

/* Also RFC 3841's own parameters where `preferences` is set. True if one was written. */
static bool write_features(struct span parameters, bool preferences, struct writer *out)
{
	struct span name, value;
	bool any = false;

	for (unsigned n = 0; n < 2 * HIDE_VALUES_MAX && hide_parameter_next(&parameters, &name, &value);
		n++) {
		bool own = preferences && (span_equal_case(name, SPAN("require")) ||
						  span_equal_case(name, SPAN("explicit")));

		if ((!own && !is_allowed(name)) || !value_is_clean(value))
			continue;
		any = any || !own;
		writer_char(out, ';');
		writer_span(out, name);
		if (value.n) {
			writer_char(out, '=');
			writer_span(out, value);
		}
	}
	return any;
}

void hide_copy_features(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct span one;

	(void)way;
	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		struct writer start = *out;

		if (!span_equal(span_trim(span_cut(&one, ';')), SPAN("*")))
			continue;
		writer_span(out, name);
		writer_text(out, ": *");
		if (write_features(one, true, out))
			writer_text(out, "\r\n");
		else
			*out = start; /* a wish for anything is none */
	}
}

void hide_contact_parameters(const struct message *message, struct writer *out)
{
	struct name_addr contact;

	if (message_contact(message, &contact) || contact.parameters.n == 0 || out->overflow || out->len < 2)
		return;
	out->len -= 2; /* the end of the Contact's line */
	(void)write_features(contact.parameters, false, out);
	writer_text(out, "\r\n");
}
