/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may use the sips scheme, and where it may go. docs/decisions/0074-sips.md. */
#include "controlplane/sips.h"

#include <errno.h>
#include <string.h>

#include "controlplane/leg.h"
#include "controlplane/transport.h"

enum { CONTACTS_MAX = 64 }; /* looked at; the scan bounds them too */

const char sips_not_allowed[] = "sips cannot go there";

bool sips_is(struct span uri)
{
	return span_starts_case(uri, SPAN("sips:"));
}

bool sips_requested(const struct message *request)
{
	return sips_is(message_scan(request)->request_uri);
}

static void write_warning(unsigned code, const struct sip_flow *flow, const char *text, struct writer *out)
{
	char host[ADDRESS_TEXT_MAX];

	writer_format(out, "Warning: %u %s \"%s\"\r\n", code,
		address_print_uri(listener_address(flow->listener), host), text);
}

void sips_warning_not_allowed(const struct sip_flow *flow, struct writer *out)
{
	write_warning(380, flow, "SIPS Not Allowed", out);
}

/* Whose URI in that header is not sips; "*" is none. */
static bool has_plain(const struct message *request, struct span name)
{
	struct span value, one;

	for (unsigned n = 0, seen = 0; message_header(request, name, n, &value); n++)
		for (unsigned v = 0; seen < CONTACTS_MAX && leg_list_value(value, v, &one); v++, seen++) {
			struct name_addr address;

			if (!span_equal(one, SPAN("*")) && name_addr_parse(one, &address) == 0 &&
				!sips_is(address.uri))
				return true;
		}
	return false;
}

unsigned sips_refuse(const struct message *request, struct writer *warning)
{
	const struct sip_flow *flow = message_flow(request);

	if (!sips_requested(request))
		return 0;
	if (!listener_is_secure(flow->listener))
		return 416;
	if (!has_plain(request, SPAN("Contact")))
		return 0;
	write_warning(399, flow, "SIPS Contact Required", warning);
	return 400;
}

bool sips_dialog(const struct message *request)
{
	struct name_addr address;
	struct span value, first;

	if (sips_requested(request))
		return true;
	if (message_header(request, SPAN("Record-Route"), 0, &value) && leg_list_value(value, 0, &first))
		return name_addr_parse(first, &address) == 0 && sips_is(address.uri);
	return message_contact(request, &address) == 0 && sips_is(address.uri);
}

int sips_admit(struct leg *leg)
{
	if (leg->sips && leg->profile->sips == CONFIG_SIPS_TERMINATE)
		leg->sips = false;
	return leg->sips && !listener_is_secure(leg->flow.listener) ? -EPROTO : 0;
}

bool sips_may_register(const struct message *request, const struct config_session_agent *registrar)
{
	enum config_transport transport = registrar->address.transport;

	return !sips_requested(request) || transport == CONFIG_TRANSPORT_TLS ||
	       transport == CONFIG_TRANSPORT_WSS ||
	       (registrar->ip_profile && registrar->ip_profile->sips == CONFIG_SIPS_TERMINATE);
}

int sips_aim(const struct leg *leg, char *target)
{
	bool is = sips_is(span_from(target));

	if (leg->sips && !is)
		return -EPROTO;
	if (!leg->sips && is)
		memmove(target + 3, target + 4, strlen(target + 4) + 1);
	return 0;
}
