/* SPDX-License-Identifier: BSD-3-Clause */
/* How many channels a NIC has, also one that counts those of reception and transmission apart.
 *
 * DPDK's af_xdp driver asks for combined channels only and takes a NIC without them for one with a single queue: packets of all
 * others would be lost. It finds ioctl() here before the C library's; everything but that one question passes through. */
#include "dataplane/channels.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void combine(struct ethtool_channels *c)
{
	if (c->max_combined != 0)
		return;
	c->max_combined = c->max_rx < c->max_tx ? c->max_rx : c->max_tx;
	c->combined_count = c->rx_count < c->tx_count ? c->rx_count : c->tx_count;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *argument;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	int result = (int)syscall(SYS_ioctl, fd, request, argument);
	if (request == SIOCETHTOOL && result == 0) {
		struct ethtool_channels *c = (void *)((struct ifreq *)argument)->ifr_data;

		if (c->cmd == ETHTOOL_GCHANNELS)
			combine(c);
	}
	return result;
}

unsigned channels_count(const char *interface)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = { .ifr_data = (void *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned have = 1;

	memcpy(request.ifr_name, interface, strnlen(interface, IFNAMSIZ - 1));
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0 && channels.combined_count != 0)
		have = channels.combined_count;
	if (fd >= 0)
		close(fd);
	return have;
}
