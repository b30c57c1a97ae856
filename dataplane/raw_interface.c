/* SPDX-License-Identifier: BSD-3-Clause */
/* Preparing the kernel interface below a port. */
#include "dataplane/raw_interface.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/netlink.h"
#include "platforms/base/log.h"

enum { PATH_LONGEST = 128, NFT_TEXT_MAX = 512 };

typedef int (*remember_function)(enum keeper_action action, const char *subject, const char *value);

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

int raw_interface_sysctl(const char *family, const char *interface, const char *name, const char *value,
	remember_function remember)
{
	char path[PATH_LONGEST], old[32];
	int status = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/%s/%s", family, interface, name);
	if (access(path, F_OK) != 0)
		return 0;
	if (remember != NULL) {
		status = file_read(path, old, sizeof(old));
		if (status == 0)
			status = remember(KEEPER_SYSCTL, path, old);
	}
	return status != 0 ? status : file_write(path, value);
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
static int ingress_drop(const struct raw_interface *r, remember_function remember)
{
	char text[NFT_TEXT_MAX];
	int status = remember != NULL ? remember(KEEPER_NFT_TABLE, r->table, NULL) : 0;

	if (status != 0)
		return status;
	/* Naming it first makes deleting what a crashed machine may have left no error. */
	snprintf(text, sizeof(text),
		"table netdev %s\ndelete table netdev %s\ntable netdev %s {\n\tchain ingress {\n"
		"\t\ttype filter hook ingress device \"%s\" priority 0; policy drop;\n\t}\n}\n",
		r->table, r->table, r->table, r->name);
	return nft_run(text);
}

static int interface_ioctl(unsigned long request, const char *name, struct ifreq *r)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int status = 0;

	if (fd < 0)
		return -errno;
	memcpy(r->ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, request, r) != 0)
		status = -errno;
	close(fd);
	return status;
}

static int ethtool(const char *name, uint32_t command, uint32_t *value)
{
	struct ethtool_value v = { .cmd = command, .data = *value };
	struct ifreq request = { .ifr_data = (void *)&v };
	int status = interface_ioctl(SIOCETHTOOL, name, &request);

	*value = v.data;
	return status;
}

/* GRO has a command of its own, the others are bits of one word. */
static const struct {
	enum keeper_action undo;
	uint32_t flag;
	const char *consequence;
} offloads[] = {
	[RAW_OFFLOAD_GRO] = { KEEPER_GRO, 0, "frames may come joined to longer ones, which are lost" },
	[RAW_OFFLOAD_LRO] = { KEEPER_LRO, ETH_FLAG_LRO,
		"frames may come joined to longer ones, which are lost" },
	[RAW_OFFLOAD_RXVLAN] = { KEEPER_RXVLAN, ETH_FLAG_RXVLAN, "frames may come without their VLAN tag" },
};

int raw_interface_offload(const char *name, enum raw_offload offload, bool on)
{
	uint32_t flag = offloads[offload].flag, value = on;

	if (flag == 0)
		return ethtool(name, ETHTOOL_SGRO, &value);
	int status = ethtool(name, ETHTOOL_GFLAGS, &value);
	if (status != 0)
		return status;
	value = on ? value | flag : value & ~flag;
	return ethtool(name, ETHTOOL_SFLAGS, &value);
}

/* Drivers that know no such thing refuse to tell of it. */
static int offload_off(const struct raw_interface *r, enum raw_offload offload, remember_function remember)
{
	uint32_t flag = offloads[offload].flag, value = 0;

	if (ethtool(r->name, flag == 0 ? ETHTOOL_GGRO : ETHTOOL_GFLAGS, &value) != 0 ||
		(value & (flag == 0 ? 1 : flag)) == 0)
		return 0;
	int status = remember != NULL ? remember(offloads[offload].undo, r->name, NULL) : 0;
	if (status != 0)
		return status;
	status = raw_interface_offload(r->name, offload, false);
	if (status != 0)
		log_warning("port", offloads[offload].consequence, LOG_TEXT("interface", r->name),
			LOG_ERRNO("error", status));
	return 0;
}

static int offloads_off(const struct raw_interface *r, remember_function remember)
{
	const bool wanted[RAW_OFFLOADS] = { [RAW_OFFLOAD_GRO] = r->af_packet,
		[RAW_OFFLOAD_LRO] = true,
		[RAW_OFFLOAD_RXVLAN] = r->tagged && !r->af_packet };
	int status = 0;

	for (unsigned i = 0; status == 0 && i < RAW_OFFLOADS; i++)
		if (wanted[i])
			status = offload_off(r, (enum raw_offload)i, remember);
	return status;
}

int raw_interface_read(struct raw_interface *r, const char *name, bool af_packet, bool tagged)
{
	struct ifreq request = { 0 };

	*r = (struct raw_interface){ .af_packet = af_packet, .tagged = tagged };
	memcpy(r->name, name, strnlen(name, sizeof(r->name) - 1));
	snprintf(r->table, sizeof(r->table), "sallyport_%u", if_nametoindex(name));
	int status = interface_ioctl(SIOCGIFHWADDR, name, &request);
	if (status != 0)
		return status;
	memcpy(r->mac, request.ifr_hwaddr.sa_data, sizeof(r->mac));
	request = (struct ifreq){ 0 };
	status = interface_ioctl(SIOCGIFMTU, name, &request);
	r->mtu = (uint32_t)request.ifr_mtu;
	return status;
}

int raw_interface_prepare(const struct raw_interface *r, remember_function remember)
{
	char path[IFNAMSIZ + 8];
	struct ifreq request = { 0 };
	int status = interface_ioctl(SIOCGIFFLAGS, r->name, &request);
	unsigned flags = (unsigned short)request.ifr_flags;

	snprintf(path, sizeof(path), "conf/%s", r->name);
	if (status == 0)
		status = raw_interface_sysctl("ipv6", path, "disable_ipv6", "1", remember);
	if (status == 0 && r->af_packet)
		status = ingress_drop(r, remember);
	if (status == 0)
		status = offloads_off(r, remember);
	if (status == 0 && remember != NULL && (flags & IFF_UP) == 0)
		status = remember(KEEPER_LINK_DOWN, r->name, NULL);
	if (status == 0 && remember != NULL && (flags & IFF_ALLMULTI) == 0)
		status = remember(KEEPER_LINK_QUIET, r->name, NULL);
	if (status == 0)
		status = netlink_link_flags(
			if_nametoindex(r->name), IFF_UP | IFF_ALLMULTI, IFF_UP | IFF_ALLMULTI);
	return status;
}

void raw_interface_restore(const struct raw_interface *r)
{
	unsigned ifindex = if_nametoindex(r->name);
	struct raw_interface now;
	int status = raw_interface_read(&now, r->name, r->af_packet, r->tagged);

	if (status == 0 && memcmp(now.mac, r->mac, sizeof(r->mac)) != 0) {
		status = netlink_link_address(ifindex, r->mac);
		if (status == -EBUSY) { /* some drivers change it only while down */
			(void)netlink_link_flags(ifindex, 0, IFF_UP);
			status = netlink_link_address(ifindex, r->mac);
		}
	}
	if (status != 0)
		log_warning("port",
			"the interface that came back does not take the address of the one before it",
			LOG_TEXT("interface", r->name), LOG_ERRNO("error", status));
	if (status == 0 && r->mtu != 0 && now.mtu != r->mtu)
		status = netlink_link_mtu(ifindex, r->mtu);
	if (status != 0)
		log_warning("port", "the interface that came back has another MTU",
			LOG_TEXT("interface", r->name), LOG_ERRNO("error", status));
}
