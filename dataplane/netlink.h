/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to the kernel about links, addresses and routes (rtnetlink by libmnl). Each waits for its acknowledgement. */
#ifndef DATAPLANE_NETLINK_H
#define DATAPLANE_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "platforms/base/address.h"

/* All return 0 or -errno. */
int netlink_link_mtu(unsigned ifindex, unsigned mtu);
int netlink_link_address(unsigned ifindex, const uint8_t mac[6]);
int netlink_link_flags(unsigned ifindex, unsigned flags, unsigned mask); /* IFF_ */
/* Usable at once: without duplicate address detection. */
int netlink_address_add(unsigned ifindex, const struct prefix *address);
int netlink_default_route_add(unsigned ifindex, const union address *gateway, unsigned metric);
int netlink_xdp_detach(unsigned ifindex);

#endif
