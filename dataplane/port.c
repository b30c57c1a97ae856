/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports: the NICs and kernel interfaces that network-interfaces name, as DPDK devices with one queue pair per worker. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dataplane/channels.h"
#include "dataplane/dataplane.h"
#include "dataplane/fanout.h"
#include "dataplane/keeper.h"
#include "dataplane/rss.h"
#include "platforms/base/log.h"

enum {
	DESCRIPTORS = 2048, /* with half of them a worker that shares its core relays a fifth less */
	BUFFERS_PER_QUEUE = 4096, /* AF_XDP keeps 2048 in its fill ring, TAP 1024 */
	BUFFERS_BASE = 8192,
	BUFFER_CACHE = 256,
	ETHERNET_MTU = 1500, /* more would need longer buffers and AF_PACKET frames */
	DEVARGS_MAX = 256,
	RING_FRAMES = 4096, /* of AF_PACKET; 2 KiB each, of the kernel's memory, both ways */
	RING_FRAMES_SPARE = 1024,
};

struct port_kind {
	const char *bus, *driver;
	/* Devargs; NULL: the port's name is all. */
	void (*devargs)(char *out, size_t size, const char *name, unsigned queues);
	unsigned (*queues)(const char *name, unsigned wanted);
};

/* Ring geometry: the driver's default stalls at a few thousand packets a second; this one gave 450,000. */
static void ring_devargs(char *out, size_t size, const char *name, unsigned queues, unsigned frames)
{
	snprintf(out, size, "iface=%s,blocksz=65536,framesz=2048,framecnt=%u,qdisc_bypass=1,qpairs=%u", name,
		frames, queues);
}

static void packet_devargs(char *out, size_t size, const char *name, unsigned queues)
{
	ring_devargs(out, size, name, queues, RING_FRAMES);
}

static void xdp_devargs(char *out, size_t size, const char *name, unsigned queues)
{
	/* A worker that polls without a pause needs no busy polling of the kernel's besides: two system calls each round. */
	snprintf(out, size, "iface=%s,start_queue=0,queue_count=%u,busy_budget=0", name, queues);
}

static unsigned any_queues(const char *name, unsigned wanted)
{
	(void)name;
	return wanted;
}

/* An XDP socket serves one queue of the NIC: as many as it has channels. */
static unsigned xdp_queues(const char *name, unsigned wanted)
{
	unsigned have = channels_count(name);

	if (have > wanted)
		log_warning("port",
			"the NIC spreads packets over more channels than there are workers: "
			"those of the others are lost; `ethtool -L` reduces them",
			LOG_TEXT("interface", name), LOG_UINT("channels", have), LOG_UINT("workers", wanted));
	return have < wanted ? have : wanted;
}

static const struct port_kind kinds[] = {
	[CONFIG_PORT_PCI] = { "pci", NULL, NULL, any_queues },
	[CONFIG_PORT_XDP] = { "vdev", "net_af_xdp", xdp_devargs, xdp_queues },
	[CONFIG_PORT_PACKET] = { "vdev", "net_af_packet", packet_devargs, any_queues },
};

static struct port *port_find(struct dataplane *dp, const struct config_network_interface *n)
{
	for (unsigned i = 0; i < dp->port_count; i++)
		if (dp->port[i].config->port_kind == n->port_kind &&
			strcmp(dp->port[i].config->port, n->port) == 0)
			return &dp->port[i];
	return NULL;
}

static int kernel_interface_check(struct dataplane *dp, struct port *p)
{
	struct ifreq request = { 0 };
	int fd;

	if (p->config->port_kind == CONFIG_PORT_PCI)
		return 0;
	if (!fanout_is_ours())
		return config_refuse(dp->config, "network-interface", p->config->name, "port",
			"\"%s\" cannot be opened: this program is linked so that DPDK does not find our "
			"setsockopt()",
			p->config->port);
	p->ifindex = if_nametoindex(p->config->port);
	if (p->ifindex == 0)
		return config_refuse(dp->config, "network-interface", p->config->name, "port",
			"there is no interface \"%s\"; `ip link` lists them", p->config->port);
	p->mtu = ETHERNET_MTU;
	memcpy(request.ifr_name, p->config->port, strnlen(p->config->port, IFNAMSIZ - 1));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu < ETHERNET_MTU)
		p->mtu = (unsigned)request.ifr_mtu;
	if (fd >= 0)
		close(fd);
	return 0;
}

/* Which ports there are, and how many workers all of them can feed. */
static int collect(struct dataplane *dp, unsigned *queues)
{
	const struct config *c = dp->config;
	size_t devices = 0;

	if (c->network_interfaces_count > INTERFACES_MAX)
		return config_refuse(
			c, "network-interface", NULL, NULL, "at most %d are possible", INTERFACES_MAX);
	*queues = (unsigned)c->media_manager.worker_count;
	for (size_t i = 0; i < c->network_interfaces_count; i++) {
		const struct config_network_interface *n = &c->network_interfaces[i];
		struct port *p = port_find(dp, n);

		if (p != NULL)
			continue;
		p = &dp->port[dp->port_count++];
		*p = (struct port){
			.config = n, .mtu = ETHERNET_MTU, .link_up = true, .spare = DEVICE_NONE, .kept = -1
		};
		if (kernel_interface_check(dp, p) != 0)
			return -EINVAL;
		unsigned can = kinds[n->port_kind].queues(n->port, *queues);
		if (can < *queues)
			*queues = can;
		devices += n->port_kind == CONFIG_PORT_XDP ? 2 : 1;
	}
	if (devices + c->network_interfaces_count > DEVICES_MAX)
		return config_refuse(c, "network-interface", NULL, NULL,
			"DPDK has %d devices: fewer ports are possible, or by \"packet:\" instead of "
			"\"xdp:\"",
			DEVICES_MAX);
	if (*queues < c->media_manager.worker_count)
		log_warning("port", "a port has fewer queues than there are workers: the others stay unused",
			LOG_UINT("workers", c->media_manager.worker_count), LOG_UINT("used", *queues));
	return 0;
}

static int port_attach(struct dataplane *dp, struct port *p, unsigned index, unsigned queues)
{
	const struct port_kind *kind = &kinds[p->config->port_kind];
	char name[64], devargs[DEVARGS_MAX] = "";
	int status = 0;

	if (p->config->port_kind == CONFIG_PORT_XDP)
		status = keeper_tell(KEEPER_XDP, p->config->port, NULL);
	if (status != 0)
		return status;
	if (kind->devargs != NULL) {
		snprintf(name, sizeof(name), "%s%u", kind->driver, index);
		kind->devargs(devargs, sizeof(devargs), p->config->port, queues);
		fanout_begin(queues);
		status = rte_eal_hotplug_add(kind->bus, name, devargs);
		p->sockets = fanout_end(p->socket);
	} else {
		snprintf(name, sizeof(name), "%s", p->config->port); /* EAL has probed what `-a` names */
	}
	if (status != 0 || rte_eth_dev_get_port_by_name(name, &p->device) != 0) {
		if (p->config->port_kind == CONFIG_PORT_PCI)
			return config_refuse(dp->config, "network-interface", p->config->name, "port",
				"no NIC that DPDK can drive at %s; `dpdk-devbind.py -b vfio-pci %s` gives it "
				"one",
				p->config->port, p->config->port);
		return config_refuse(dp->config, "network-interface", p->config->name, "port",
			"cannot open \"%s\" (%s); root's rights are needed, and an interface that nobody "
			"else uses so",
			p->config->port, strerror(status != 0 ? -status : ENODEV));
	}
	p->open = true;
	p->active = p->device;
	return 0;
}

/* To bind an XDP socket takes rights that we shall not have when the interface comes back: AF_PACKET can wait for it. */
static int spare_attach(struct port *p, unsigned index, unsigned queues)
{
	char name[64], devargs[DEVARGS_MAX];

	snprintf(name, sizeof(name), "net_af_packet_spare%u", index);
	ring_devargs(devargs, sizeof(devargs), p->config->port, queues, RING_FRAMES_SPARE);
	fanout_begin(queues);
	int status = rte_eal_hotplug_add("vdev", name, devargs);
	p->sockets = fanout_end(p->socket);
	return status != 0 ? status : rte_eth_dev_get_port_by_name(name, &p->spare);
}

/* `spread`: the device chooses queues for what it receives; a TAP device does that in the kernel. */
static int port_configure(struct dataplane *dp, uint16_t device, unsigned queues, bool spread)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = { 0 };
	uint8_t key[RSS_KEY_MAX];
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int status = rte_eth_dev_info_get(device, &info);

	if (status == 0 && spread)
		rss_configure(&info, queues, key, &conf);
	if (status == 0)
		status = rte_eth_dev_configure(device, (uint16_t)queues, (uint16_t)queues, &conf);
	if (status == 0)
		status = rte_eth_dev_adjust_nb_rx_tx_desc(device, &rx, &tx);
	for (uint16_t q = 0; status == 0 && q < queues; q++) {
		status = rte_eth_rx_queue_setup(device, q, rx, (unsigned)SOCKET_ID_ANY, NULL, dp->packets);
		if (status == 0)
			status = rte_eth_tx_queue_setup(device, q, tx, (unsigned)SOCKET_ID_ANY, NULL);
	}
	return status;
}

/* What telephones say is in there, and their keys where signalling is not by TLS: no core dump has it. Pages are given whole, of the size
 * that the memory is made of. */
static void leave_out_of_dumps(
	struct rte_mempool *pool, void *arg, struct rte_mempool_memhdr *memory, unsigned number)
{
	static const uintptr_t pages[] = { (uintptr_t)4 << 10, (uintptr_t)2 << 20, (uintptr_t)1 << 30 };
	uintptr_t at = (uintptr_t)memory->addr, end = at + memory->len;
	int status = -1;

	(void)pool;
	(void)arg;
	(void)number;
	for (unsigned i = 0; status != 0 && i < sizeof(pages) / sizeof(pages[0]); i++) {
		uintptr_t first = at & ~(pages[i] - 1);

		status = madvise((char *)memory->addr - (at - first),
			((end + pages[i] - 1) & ~(pages[i] - 1)) - first, MADV_DONTDUMP);
	}
	if (status != 0)
		log_warning("port", "packets would be in a core dump", LOG_ERRNO("error", errno));
}

/* Without huge pages DPDK would give every buffer a page of its own, whose heads then share few lines of the cache: a quarter more
 * cycles a packet. Only a NIC that goes by physical addresses needs that. */
static struct rte_mempool *packets_new(const struct dataplane *dp, unsigned count)
{
	struct rte_pktmbuf_pool_private data = { .mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE };
	unsigned flags = RTE_MEMPOOL_F_NO_IOVA_CONTIG;

	for (unsigned i = 0; i < dp->port_count; i++)
		if (dp->port[i].config->port_kind == CONFIG_PORT_PCI && rte_eal_iova_mode() != RTE_IOVA_VA)
			flags = 0;
	return rte_mempool_create("packets", count, sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE,
		BUFFER_CACHE, sizeof(data), rte_pktmbuf_pool_init, &data, rte_pktmbuf_init, NULL,
		SOCKET_ID_ANY, flags);
}

int port_open_all(struct dataplane *dp)
{
	unsigned queues = 1;
	int status = collect(dp, &queues);

	if (status != 0)
		return status;
	for (unsigned i = 0; i < dp->port_count; i++) {
		status = port_attach(dp, &dp->port[i], i, queues);
		if (status != 0)
			return status;
		dp->port[i].queues = queues;
		if (dp->port[i].config->port_kind != CONFIG_PORT_XDP)
			continue;
		status = spare_attach(&dp->port[i], i, queues);
		if (status != 0)
			return config_refuse(dp->config, "network-interface", dp->port[i].config->name,
				"port", "cannot open \"%s\" by AF_PACKET (%s)", dp->port[i].config->port,
				strerror(-status));
	}
	unsigned buffers = BUFFERS_BASE + (dp->port_count + (unsigned)dp->config->network_interfaces_count) *
						  queues * BUFFERS_PER_QUEUE;
	dp->packets = packets_new(dp, buffers - 1);
	if (dp->packets == NULL)
		return config_refuse(dp->config, "media-manager", NULL, "memory",
			"%u packet buffers do not fit (%s); give more MiB", buffers, rte_strerror(rte_errno));
	rte_mempool_mem_iter(dp->packets, leave_out_of_dumps, NULL);
	for (unsigned i = 0; i < dp->port_count; i++) {
		struct port *p = &dp->port[i];
		struct rte_ether_addr mac;

		status = port_configure(dp, p->device, queues, true);
		if (status == 0 && p->spare != DEVICE_NONE)
			status = port_configure(dp, p->spare, queues, true);
		if (status == 0)
			status = rte_eth_macaddr_get(p->device, &mac);
		if (status != 0)
			return config_refuse(dp->config, "network-interface", p->config->name, "port",
				"cannot set up queues on \"%s\" (%s)", p->config->port, strerror(-status));
		memcpy(p->mac, mac.addr_bytes, sizeof(p->mac));
	}
	dp->shared.worker_count = queues;
	return 0;
}

/* Mirrors are devices like the ports. */
int port_configure_mirror(struct dataplane *dp, struct mirror *m)
{
	return port_configure(dp, m->device, dp->shared.worker_count, false);
}

int port_start_all(struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->port_count; i++) {
		struct port *p = &dp->port[i];
		int status = rte_eth_dev_start(p->device);

		if (status == 0 && p->spare != DEVICE_NONE)
			status = rte_eth_dev_start(p->spare);
		if (status != 0)
			return config_refuse(dp->config, "network-interface", p->config->name, "port",
				"cannot start \"%s\" (%s)", p->config->port, strerror(-status));
		/* Neighbour discovery needs multicast; kernel interfaces get it by their flags. */
		if (p->config->port_kind == CONFIG_PORT_PCI)
			(void)rte_eth_allmulticast_enable(p->device);
		if (p->config->vlan != 0 || p->config->port_kind == CONFIG_PORT_PCI)
			(void)rte_eth_dev_set_vlan_offload(p->device, 0); /* tags stay in the packet */
	}
	return 0;
}

void port_close_all(struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->port_count; i++)
		if (dp->port[i].open) {
			(void)rte_eth_dev_stop(dp->port[i].device);
			(void)rte_eth_dev_close(dp->port[i].device);
			if (dp->port[i].spare != DEVICE_NONE) {
				(void)rte_eth_dev_stop(dp->port[i].spare);
				(void)rte_eth_dev_close(dp->port[i].spare);
			}
			dp->port[i].open = false;
		}
	rte_mempool_free(dp->packets);
	dp->packets = NULL;
	dp->port_count = 0;
}
