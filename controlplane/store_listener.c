/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners have indices while the process runs and names in the file: the configuration may have changed in between. Those of a
 * process that has just started are in the order of the file. */
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

struct span store_listener_print(
	enum config_transport transport, const union address *address, char buffer[STORE_LISTENER_MAX])
{
	char text[ADDRESS_TEXT_MAX];
	struct writer w;

	writer_init(&w, buffer, STORE_LISTENER_MAX);
	writer_text(&w, transports[transport]);
	writer_char(&w, ':');
	writer_text(&w, address_print(address, text));
	return writer_result(&w);
}

int store_listener_find(const struct config *config, const struct config_sip_interface *interface,
	struct span name, struct binding_flow *flow)
{
	char text[STORE_LISTENER_MAX];

	flow->listener = 0;
	for (size_t i = 0; i < config->sip_interfaces_count; i++) {
		const struct config_sip_interface *one = &config->sip_interfaces[i];

		for (size_t n = 0; n < one->listen_count; n++) {
			const struct config_endpoint *endpoint = &one->listen[n];

			if (!transport_serves(endpoint->transport))
				continue;
			if (one == interface && span_equal(store_listener_print(endpoint->transport,
								   &endpoint->address, text),
							name)) {
				flow->transport = endpoint->transport;
				flow->local = endpoint->address;
				return 0;
			}
			flow->listener++;
		}
	}
	return -ENOENT;
}
