/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's side of a network-interface: a TAP interface sp-NAME with the port's MAC, the configured addresses and
 * routes, where ARP, NDP and ICMP are answered and SIP daemons have their sockets; and a raw kernel interface that keeps
 * silent beside it. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "dataplane/dataplane.h"
#include "dataplane/keeper.h"
#include "dataplane/netlink.h"
#include "platforms/base/log.h"

enum {
	PATH_LONGEST = 128,
	NFT_TEXT_MAX = 512,
	/* Two gateways may live side by side: sockets are bound to their mirror, which chooses the route. */
	ROUTE_METRIC_BASE = 100,
	PROBE_TTL = 1,
};

static int file_read(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, out, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

static int file_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int status = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		status = -errno;
	close(fd);
	return status;
}

/* A sysctl of one interface; kernels without the protocol have no such file. `restore`: the keeper puts it back. */
static int sysctl_set(
	const char *family, const char *interface, const char *name, const char *value, bool restore)
{
	char path[PATH_LONGEST], old[32];
	int status;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, interface, name);
	if (access(path, F_OK) != 0)
		return 0;
	if (restore) {
		status = file_read(path, old, sizeof(old));
		if (status == 0)
			status = keeper_tell(KEEPER_SYSCTL, path, old);
		if (status != 0)
			return status;
	}
	return file_write(path, value);
}

/* `nft -f -` with this text. 0 or -errno. */
static int nft_run(const char *text)
{
	const char *argv[] = { "nft", "-f", "-", NULL };
	posix_spawn_file_actions_t actions;
	int fd[2], status = 0, result;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) != 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd[0], STDIN_FILENO);
	result = posix_spawnp(&pid, "nft", &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fd[0]);
	if (result == 0 && write(fd[1], text, strlen(text)) < 0) /* less than a pipe holds */
		status = -errno;
	close(fd[1]);
	if (result != 0)
		return -result;
	if (waitpid(pid, &result, 0) != pid || !WIFEXITED(result) || WEXITSTATUS(result) != 0)
		return status != 0 ? status : -EPERM;
	return status;
}

/* An AF_PACKET socket gets a copy; the kernel's own must go, or it answers everything a second time. */
static int ingress_drop(const struct port *p)
{
	char table[32], text[NFT_TEXT_MAX];

	snprintf(table, sizeof(table), "sallyport_%u", p->ifindex);
	int status = keeper_tell(KEEPER_NFT_TABLE, table, NULL);
	if (status != 0)
		return status;
	/* Naming it first makes deleting what a crashed machine may have left no error. */
	snprintf(text, sizeof(text),
		"table netdev %s\ndelete table netdev %s\ntable netdev %s {\n\tchain ingress {\n"
		"\t\ttype filter hook ingress device \"%s\" priority 0; policy drop;\n\t}\n}\n",
		table, table, table, p->config->port);
	return nft_run(text);
}

static int link_flags_get(const char *name, unsigned *flags)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int status = 0;

	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		status = -errno;
	*flags = (unsigned short)request.ifr_flags;
	close(fd);
	return status;
}

/* The raw interface carries frames and has no life of its own: no IPv6, no kernel ingress; but up and hearing multicast. */
static int raw_prepare(const struct port *p)
{
	const char *name = p->config->port;
	unsigned flags = 0;
	int status = link_flags_get(name, &flags);

	if (status == 0)
		status = sysctl_set("ipv6", name, "disable_ipv6", "1", true);
	if (status == 0 && p->config->port_kind == CONFIG_PORT_PACKET)
		status = ingress_drop(p);
	if (status == 0 && (flags & IFF_UP) == 0)
		status = keeper_tell(KEEPER_LINK_DOWN, name, NULL);
	if (status == 0 && (flags & IFF_ALLMULTI) == 0)
		status = keeper_tell(KEEPER_LINK_QUIET, name, NULL);
	if (status == 0)
		status = netlink_link_flags(p->ifindex, IFF_UP | IFF_ALLMULTI, IFF_UP | IFF_ALLMULTI);
	return status;
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
	bool v6 = has_family(n, AF_INET6);
	int status = sysctl_set("ipv6", m->name, "disable_ipv6", v6 ? "0" : "1", false);

	if (status == 0)
		status = sysctl_set("ipv6", m->name, "accept_ra", "0", false);
	if (status == 0)
		status = sysctl_set("ipv6", m->name, "accept_dad", "0", false);
	if (status == 0)
		status = sysctl_set("ipv4", m->name, "arp_ignore", "1", false);
	if (status == 0)
		status = sysctl_set("ipv4", m->name, "arp_announce", "2", false);
	if (status == 0)
		status = sysctl_set("ipv4", m->name, "rp_filter", "2", false);
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
		const struct port *p = &dp->port[i];
		int status = p->ifindex != 0 ? raw_prepare(p) : 0;

		if (status != 0)
			return config_refuse(dp->config, "network-interface", p->config->name, "port",
				"cannot prepare \"%s\" (%s); root's rights and the program nft are needed",
				p->config->port, strerror(-status));
	}
	for (unsigned i = 0; i < dp->config->network_interfaces_count; i++)
		dp->mirror[i].probe[0] = dp->mirror[i].probe[1] = -1;
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
		(void)rte_eth_dev_stop(m->device);
		(void)rte_eth_dev_close(m->device);
		m->open = false;
	}
}
