/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's side of a network-interface: a TAP interface sp-NAME with the port's MAC, the configured addresses and
 * routes, where ARP, NDP and ICMP are answered and SIP daemons have their sockets; and a raw kernel interface that keeps
 * silent beside it. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "dataplane/dataplane.h"
#include "dataplane/keeper.h"
#include "dataplane/netlink.h"
#include "dataplane/raw_interface.h"
#include "platforms/base/log.h"

/* The kernel takes half to one and a half of it: how long it believes that a neighbour is where it was. */
#define NEIGHBOUR_REACHABLE_MS "6000"

enum {
	/* Two gateways may live side by side: sockets are bound to their mirror, which chooses the route. */
	ROUTE_METRIC_BASE = 100,
	PROBE_TTL = 1,
};

/* A port's kernel interface now, and what the keeper needs to make it so again. */
static int raw_prepare(const struct dataplane *dp, struct port *p)
{
	struct raw_interface raw;
	bool tagged = false;
	int status;

	for (size_t i = 0; i < dp->config->network_interfaces_count; i++) {
		const struct config_network_interface *n = &dp->config->network_interfaces[i];

		tagged = tagged || (n->vlan != 0 && strcmp(n->port, p->config->port) == 0);
	}
	status =
		raw_interface_read(&raw, p->config->port, p->config->port_kind == CONFIG_PORT_PACKET, tagged);

	if (status == 0)
		status = keeper_prepare(&raw);
	if (status == 0 && !raw.af_packet)
		status = keeper_tell(KEEPER_NFT_TABLE, raw.table, NULL);
	if (status != 0)
		return status;
	raw.af_packet = true; /* that is how it comes back, whatever it was */
	p->kept = keeper_port(&raw, p->socket, p->sockets);
	return p->kept < 0 ? p->kept : 0;
}

/* The driver's descriptors have no other door: ours is found by what it is, and its name. */
static int tap_descriptor(const char *name)
{
	DIR *d = opendir("/proc/self/fd");
	int found = -1;

	if (d == NULL)
		return -1;
	for (struct dirent *e = readdir(d); e != NULL && found < 0; e = readdir(d)) {
		struct ifreq request = { 0 };
		char target[32];
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		int fd = (int)strtol(e->d_name, NULL, 10);
		if (strcmp(target, "/dev/net/tun") == 0 && ioctl(fd, TUNGETIFF, &request) == 0 &&
			strncmp(request.ifr_name, name, IFNAMSIZ) == 0)
			found = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	closedir(d);
	return found;
}

void mirror_carrier(struct mirror *m, bool up)
{
	int carrier = up;

	if (m->carrier >= 0 && ioctl(m->carrier, TUNSETCARRIER, &carrier) != 0)
		log_warning("mirror", "cannot show the state of the port's link",
			LOG_TEXT("interface", m->name), LOG_ERRNO("error", errno));
}

static int tap_open(struct dataplane *dp, unsigned index, const struct port *p)
{
	const struct config_network_interface *n = &dp->config->network_interfaces[index];
	struct mirror *m = &dp->mirror[index];
	char device[32], devargs[128];

	snprintf(m->name, sizeof(m->name), "sp-%s", n->name);
	if (if_nametoindex(m->name) != 0)
		return config_refuse(dp->config, "network-interface", n->name, NULL,
			"interface \"%s\" is there already; is another dataplane running?", m->name);
	snprintf(device, sizeof(device), "net_tap%u", index);
	snprintf(devargs, sizeof(devargs), "iface=%s,mac=%02x:%02x:%02x:%02x:%02x:%02x", m->name, p->mac[0],
		p->mac[1], p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
	int status = rte_eal_hotplug_add("vdev", device, devargs);
	if (status == 0)
		status = rte_eth_dev_get_port_by_name(device, &m->device);
	if (status == 0) {
		m->open = true;
		status = port_configure_mirror(dp, m);
	}
	if (status == 0)
		status = rte_eth_dev_start(m->device);
	m->ifindex = if_nametoindex(m->name);
	m->carrier = tap_descriptor(m->name);
	if (status != 0 || m->ifindex == 0)
		return config_refuse(dp->config, "network-interface", n->name, NULL,
			"cannot make the TAP interface \"%s\" (%s); root's rights and /dev/net/tun are "
			"needed",
			m->name, strerror(status != 0 ? -status : ENODEV));
	return 0;
}

static bool has_family(const struct config_network_interface *n, int family)
{
	for (size_t i = 0; i < n->address_count; i++)
		if (n->addresses[i].address.sa.sa_family == family)
			return true;
	return false;
}

/* What the kernel is to be on the mirror: a host with exactly these addresses. */
static int tap_tune(const struct config_network_interface *n, const struct mirror *m)
{
	static const struct {
		const char *family, *folder, *name, *value;
	} settings[] = {
		{ "ipv6", "conf", "accept_ra", "0" },
		{ "ipv6", "conf", "accept_dad", "0" },
		/* What the driver's start may have begun with other settings goes: a link-local address that the raw interface
		 * had before, with the same MAC, would be found twice. */
		{ "ipv6", "conf", "disable_ipv6", "1" },
		{ "ipv4", "conf", "arp_ignore", "1" },
		{ "ipv4", "conf", "arp_announce", "2" },
		{ "ipv4", "conf", "rp_filter", "2" },
		/* Media goes past the kernel: it has to ask whether a neighbour is still there and where, and to ask all when
		 * that one does not answer. */
		{ "ipv4", "neigh", "base_reachable_time_ms", NEIGHBOUR_REACHABLE_MS },
		{ "ipv4", "neigh", "delay_first_probe_time", "1" },
		{ "ipv4", "neigh", "retrans_time_ms", "500" },
		{ "ipv4", "neigh", "ucast_solicit", "2" },
		{ "ipv4", "neigh", "mcast_resolicit", "3" },
		{ "ipv6", "neigh", "base_reachable_time_ms", NEIGHBOUR_REACHABLE_MS },
		{ "ipv6", "neigh", "delay_first_probe_time", "1" },
		{ "ipv6", "neigh", "retrans_time_ms", "500" },
		{ "ipv6", "neigh", "ucast_solicit", "2" },
		{ "ipv6", "neigh", "mcast_resolicit", "3" },
	};
	char path[IFNAMSIZ + 8];
	int status = 0;

	for (size_t i = 0; status == 0 && i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", settings[i].folder, m->name);
		status = raw_interface_sysctl(
			settings[i].family, path, settings[i].name, settings[i].value, NULL);
	}
	snprintf(path, sizeof(path), "conf/%s", m->name);
	if (status == 0 && has_family(n, AF_INET6))
		status = raw_interface_sysctl("ipv6", path, "disable_ipv6", "0", NULL);
	return status;
}

static int tap_addresses(struct dataplane *dp, unsigned index)
{
	const struct config_network_interface *n = &dp->config->network_interfaces[index];
	const struct mirror *m = &dp->mirror[index];
	char text[ADDRESS_TEXT_MAX];
	int status;

	for (size_t i = 0; i < n->address_count; i++) {
		status = netlink_address_add(m->ifindex, &n->addresses[i]);
		if (status != 0)
			return config_refuse(dp->config, "network-interface", n->name, "addresses",
				"the kernel refuses %s on \"%s\" (%s)",
				address_print_host(&n->addresses[i].address, text), m->name,
				strerror(-status));
	}
	const union address *gateways[] = { &n->gateway, &n->gateway6 };
	for (unsigned i = 0; i < 2; i++) {
		if (!address_is_set(gateways[i]))
			continue;
		status = netlink_default_route_add(m->ifindex, gateways[i], ROUTE_METRIC_BASE + index);
		if (status != 0)
			return config_refuse(dp->config, "network-interface", n->name,
				i == 0 ? "gateway" : "gateway6",
				"the kernel refuses the route by %s (%s); is it in one of the addresses' "
				"networks?",
				address_print_host(gateways[i], text), strerror(-status));
	}
	return 0;
}

/* Opened while we may bind to devices; used later without rights. */
static int probe_sockets(struct mirror *m)
{
	const int families[] = { AF_INET, AF_INET6 };
	int ttl = PROBE_TTL;

	for (unsigned i = 0; i < 2; i++) {
		int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		m->probe[i] = fd;
		if (fd < 0 && families[i] == AF_INET6 && errno == EAFNOSUPPORT)
			continue;
		if (fd < 0 ||
			setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, m->name, (socklen_t)strlen(m->name)) != 0)
			return -errno;
		if (i == 0)
			(void)setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
		else
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
	}
	return 0;
}

static int mirror_open(struct dataplane *dp, unsigned index, const struct port *p)
{
	const struct config_network_interface *n = &dp->config->network_interfaces[index];
	struct mirror *m = &dp->mirror[index];
	int status = tap_open(dp, index, p);

	if (status != 0)
		return status;
	status = tap_tune(n, m);
	if (status == 0)
		status = netlink_link_mtu(m->ifindex, p->mtu);
	if (status == 0)
		status = netlink_link_flags(m->ifindex, IFF_UP, IFF_UP);
	if (status == 0)
		status = probe_sockets(m);
	if (status != 0)
		return config_refuse(dp->config, "network-interface", n->name, NULL,
			"cannot set up \"%s\" (%s)", m->name, strerror(-status));
	return tap_addresses(dp, index);
}

int mirror_open_all(struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->port_count; i++) {
		struct port *p = &dp->port[i];
		int status = p->ifindex != 0 ? raw_prepare(dp, p) : 0;

		if (status != 0)
			return config_refuse(dp->config, "network-interface", p->config->name, "port",
				"cannot prepare \"%s\" (%s); root's rights and the program nft are needed",
				p->config->port, strerror(-status));
	}
	for (unsigned i = 0; i < dp->config->network_interfaces_count; i++)
		dp->mirror[i].carrier = dp->mirror[i].probe[0] = dp->mirror[i].probe[1] = -1;
	for (unsigned i = 0; i < dp->config->network_interfaces_count; i++) {
		const struct config_network_interface *n = &dp->config->network_interfaces[i];
		const struct port *p = NULL;

		for (unsigned k = 0; k < dp->port_count; k++)
			if (dp->port[k].config->port_kind == n->port_kind &&
				strcmp(dp->port[k].config->port, n->port) == 0)
				p = &dp->port[k];
		assert(p != NULL); /* ports_open has made one for each interface, or refused */
		int status = mirror_open(dp, i, p);
		if (status != 0)
			return status;
	}
	return 0;
}

void mirror_close_all(struct dataplane *dp)
{
	for (unsigned i = 0; i < INTERFACES_MAX; i++) {
		struct mirror *m = &dp->mirror[i];

		if (!m->open)
			continue;
		for (unsigned k = 0; k < 2; k++)
			if (m->probe[k] >= 0)
				close(m->probe[k]);
		if (m->carrier >= 0)
			close(m->carrier);
		(void)rte_eth_dev_stop(m->device);
		(void)rte_eth_dev_close(m->device);
		m->open = false;
	}
}
