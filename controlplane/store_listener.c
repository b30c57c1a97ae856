/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners have indices while the process runs and names in the file: the configuration may have changed in between. */
#include <errno.h>

#include "controlplane/store_internal.h"
#include "controlplane/transport.h"

static const char *const transports[] = {
	[CONFIG_TRANSPORT_UDP] = "udp",
	[CONFIG_TRANSPORT_TCP] = "tcp",
	[CONFIG_TRANSPORT_TLS] = "tls",
	[CONFIG_TRANSPORT_WS] = "ws",
	[CONFIG_TRANSPORT_WSS] = "wss",
};

static struct span print(const struct config_endpoint *endpoint, char buffer[STORE_LISTENER_MAX])
{
	char text[ADDRESS_TEXT_MAX];
	struct writer w;

	writer_init(&w, buffer, STORE_LISTENER_MAX);
	writer_text(&w, transports[endpoint->transport]);
	writer_char(&w, ':');
	writer_text(&w, address_print(&endpoint->address, text));
	return writer_result(&w);
}

struct span store_listener_print(const struct config *config, size_t index, char buffer[STORE_LISTENER_MAX])
{
	for (size_t i = 0; i < config->sip_interfaces_count; i++) {
		const struct config_sip_interface *interface = &config->sip_interfaces[i];

		for (size_t n = 0; n < interface->listen_count; n++)
			if (transport_serves(interface->listen[n].transport) && index-- == 0)
				return print(&interface->listen[n], buffer);
	}
	return (struct span){ NULL, 0 };
}

int store_listener_find(const struct config *config, const struct config_sip_interface *interface,
	struct span name, struct binding_flow *flow)
{
	char text[STORE_LISTENER_MAX];

	flow->listener = 0;
	for (size_t i = 0; i < config->sip_interfaces_count; i++) {
		const struct config_sip_interface *one = &config->sip_interfaces[i];

		for (size_t n = 0; n < one->listen_count; n++) {
			if (!transport_serves(one->listen[n].transport))
				continue;
			if (one == interface && span_equal(print(&one->listen[n], text), name)) {
				flow->transport = one->listen[n].transport;
				return 0;
			}
			flow->listener++;
		}
	}
	return -ENOENT;
}
