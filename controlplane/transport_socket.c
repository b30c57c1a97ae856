/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of any transport as a listener wants them: on its mirror, from its address, with its DSCP. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/shard_internal.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/log.h"

enum { DSCP_SHIFT = 2 };

static void device_name(const struct listener *listener, char name[IFNAMSIZ])
{
	struct writer w;

	memset(name, 0, IFNAMSIZ);
	writer_init(&w, name, IFNAMSIZ - 1);
	writer_text(&w, "sp-");
	writer_text(&w, listener->interface->realm->network_interface->name);
}

int socket_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

bool socket_device_is_gone(int error)
{
	return error == ENODEV || error == ENXIO || error == ENETDOWN;
}

unsigned socket_device(int fd, const struct listener *listener)
{
	struct ifreq request = { 0 };

	if (listener->shard->private->no_device)
		return 0;
	device_name(listener, request.ifr_name);
	return ioctl(fd, SIOCGIFINDEX, &request) == 0 ? (unsigned)request.ifr_ifindex : 0;
}

static int device_bind(int fd, const struct listener *listener)
{
	char name[IFNAMSIZ];

	if (listener->shard->private->no_device)
		return 0;
	device_name(listener, name);
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) == 0 ? 0 : -errno;
}

static unsigned dscp_of(const struct listener *listener)
{
	return listener->interface->realm->network_interface->dscp_signalling;
}

int socket_dscp(const struct listener *listener, int fd)
{
	int dscp = (int)dscp_of(listener) << DSCP_SHIFT;

	return listener->address.sa.sa_family == AF_INET6 ? socket_option(fd, IPPROTO_IPV6, IPV6_TCLASS, dscp)
							  : socket_option(fd, IPPROTO_IP, IP_TOS, dscp);
}

static int options_set(int fd, const struct listener *listener, int type, uint16_t port)
{
	bool v6 = listener->address.sa.sa_family == AF_INET6;
	int result = device_bind(fd, listener);

	if (result == 0 && port && listener->shard->count > 1)
		result = socket_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	/* Connections of before that linger do not keep us from listening again. */
	if (result == 0 && port && type == SOCK_STREAM)
		result = socket_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	/* A port for each peer, not one of all. */
	if (result == 0 && !port)
		result = socket_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (result == 0 && v6)
		result = socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return result == 0 ? socket_dscp(listener, fd) : result;
}

int socket_open(const struct listener *listener, int type, uint16_t port, unsigned *device)
{
	int fd = socket(listener->address.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union address local = listener->address;
	int result;

	if (fd < 0)
		return -errno;
	address_set_port(&local, port);
	result = options_set(fd, listener, type, port);
	if (result == 0 && bind(fd, &local.sa, address_length(&local)) < 0)
		result = -errno;
	if (result < 0) {
		close(fd);
		return result;
	}
	*device = socket_device(fd, listener);
	return fd;
}

void listener_opened(struct listener *listener, int result)
{
	if (result == listener->last_error)
		return;
	listener->last_error = result;
	if (result < 0)
		log_notice("transport", "listener waits for its mirror",
			LOG_TEXT("sip-interface", listener->interface->name),
			LOG_TEXT("transport", transport_via_name(listener->transport)),
			LOG_ADDRESS("address", &listener->address), LOG_ERRNO("error", result));
	else
		log_info("transport", "listener open", LOG_TEXT("sip-interface", listener->interface->name),
			LOG_TEXT("transport", transport_via_name(listener->transport)),
			LOG_ADDRESS("address", &listener->address),
			LOG_UINT("shard", listener->shard->index));
}
