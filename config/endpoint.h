/* SPDX-License-Identifier: BSD-3-Clause */
/* "TRANSPORT:HOST[:PORT]": parsing of SIP endpoints and host names. Private to config/. */
#ifndef CONFIG_ENDPOINT_H
#define CONFIG_ENDPOINT_H

#include "config/model.h"
#include "platforms/base/span.h"

/* Everything of *out but `host` is set, *host is the host as written without brackets. The port of a bare address is the
 * transport's default; of a bare name 0. 0 or -EINVAL. */
int endpoint_parse(struct span text, struct config_endpoint *out, struct span *host);
/* Labels of letters, digits and hyphens (RFC 1123, 2.1), not to be mistaken for an address. */
bool endpoint_is_host_name(struct span name);
uint16_t endpoint_default_port(enum config_transport transport);
const char *endpoint_transport_name(enum config_transport transport);

#endif
