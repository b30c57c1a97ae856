/* SPDX-License-Identifier: BSD-3-Clause */
/* "TRANSPORT:HOST[:PORT]": parsing of SIP endpoints and host names. */
#include "config/endpoint.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { LABEL_MAX = 63, NAME_MAX_LENGTH = 253 };

static const struct {
	const char *name;
	uint16_t port;
} transports[] = {
	[CONFIG_TRANSPORT_UDP] = { "udp", 5060 },
	[CONFIG_TRANSPORT_TCP] = { "tcp", 5060 },
	[CONFIG_TRANSPORT_TLS] = { "tls", 5061 },
	[CONFIG_TRANSPORT_WS] = { "ws", 80 },
	[CONFIG_TRANSPORT_WSS] = { "wss", 443 },
};

uint16_t endpoint_default_port(enum config_transport transport)
{
	return transports[transport].port;
}

const char *endpoint_transport_name(enum config_transport transport)
{
	return transports[transport].name;
}

static bool is_label(struct span label)
{
	if (label.n < 1 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!isalnum((unsigned char)label.p[i]) && label.p[i] != '-')
			return false;
	return true;
}

bool endpoint_is_host_name(struct span name)
{
	struct span rest = name, label = { NULL, 0 };
	uint64_t number;

	if (!name.n || name.n > NAME_MAX_LENGTH)
		return false;
	while (rest.p) {
		label = span_cut(&rest, '.');
		if (!is_label(label))
			return false;
	}
	return span_to_uint(label, UINT64_MAX, &number) ==
	       -EINVAL; /* a last label of digits: a mistyped address */
}

static int transport_parse(struct span name, enum config_transport *transport)
{
	for (unsigned i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (span_equal(name, span_from(transports[i].name))) {
			*transport = (enum config_transport)i;
			return 0;
		}
	return -EINVAL;
}

static int host_name_parse(struct span rest, struct config_endpoint *out, struct span *host)
{
	uint64_t port = 0;

	*host = span_cut(&rest, ':');
	if (rest.p && (span_to_uint(rest, UINT16_MAX, &port) || !port))
		return -EINVAL;
	out->port = (uint16_t)port;
	return endpoint_is_host_name(*host) ? 0 : -EINVAL;
}

int endpoint_parse(struct span text, struct config_endpoint *out, struct span *host)
{
	struct span rest = text;
	const char *end;

	*out = (struct config_endpoint){ 0 };
	if (transport_parse(span_cut(&rest, ':'), &out->transport) || !rest.n)
		return -EINVAL;
	if (address_parse_host(rest, &out->address) == 0) {
		address_set_port(&out->address, endpoint_default_port(out->transport));
		*host = rest;
	} else if (address_parse(rest, endpoint_default_port(out->transport), &out->address) == 0) {
		end = memrchr(rest.p, ':', rest.n);
		*host = (struct span){ rest.p, (size_t)(end - rest.p) };
	} else {
		out->address = (union address){ 0 };
		return host_name_parse(rest, out, host);
	}
	out->port = address_port(&out->address);
	if (host->n > 2 && host->p[0] == '[')
		*host = (struct span){ host->p + 1, host->n - 2 };
	return 0;
}
