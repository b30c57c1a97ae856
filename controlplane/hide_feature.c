/* SPDX-License-Identifier: BSD-3-Clause */
/* Media feature tags and capabilities (RFC 3840, 3841, 6809): what a telephone can do crosses, which one it is does not. */
#include "controlplane/hide_internal.h"

/* +sip.instance, methods, description and whatever else is not named here stay behind. */
static const char *const tags[] = { "audio", "video", "text", "data", "application", "control", "automata",
	"class", "duplex", "mobility", "isfocus", "actor", "priority", "+sip.byeless", "+sip.rendering",
	"+sip.message", "+sip.fax", "+g.3gpp.icsi-ref", "+g.3gpp.smsip", "+g.3gpp.mid-call",
	"+g.3gpp.srvcc-alerting", "+g.3gpp.ps2cs-srvcc-orig-pre-alerting", "+g.3gpp.state-and-event-info",
	"+g.3gpp.accesstype", "+g.3gpp.ics", "+g.3gpp.cs-voice", "+g.oma.sip-im", NULL };

/* RFC 3840 sections 9 and 10. */
static const char *const values[] = { "true", "false", "yes", "no", "business", "personal", "full", "half",
	"receive-only", "send-only", "fixed", "mobile", "principal", "attendant", "msg-taker", "information",
	"emergency", "urgent", "normal", "non-urgent", "t38", "passthrough", NULL };

/* "urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel" (3GPP TS 24.229): whole names, for a dotted tail could be a host's. */
static bool is_service(struct span value)
{
	static const struct span beginning = { "urn%3Aurn-7%3A3gpp-service.ims.icsi.", 36 };
	static const char *const services[] = { "mmtel", "mmtel.gsma.ipcall", "mmtel.gsma.ipvideocall",
		"gsma.callcomposer", "oma.cpm.msg", "oma.cpm.largemsg", "oma.cpm.session", "mcptt", "mcvideo",
		"mcdata", NULL };

	return span_starts_case(value, beginning) &&
	       hide_is_word(services, (struct span){ value.p + beginning.n, value.n - beginning.n });
}

static bool value_is_clean(struct span value)
{
	if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
		value = (struct span){ value.p + 1, value.n - 2 };
	return value.n == 0 || hide_is_word(values, value) || is_service(value);
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

		if ((!own && !hide_is_word(tags, name)) || !value_is_clean(value))
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
