/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps the kernel from reassembling fragments in front of AF_PACKET ports.
 *
 * DPDK's af_packet driver joins its sockets with PACKET_FANOUT_FLAG_DEFRAG and has no option against it. The kernel then
 * hands over whole IPv4 packets of up to 64 KiB, which neither the driver's frames nor the mirror can take: every long SIP
 * message over UDP would be lost. The driver finds setsockopt() here before the C library's, since the search for symbols
 * begins at the program; everything but that flag passes through. */
#include "dataplane/fanout.h"

#include <dlfcn.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	unsigned fanout; /* group number, then kind and flags in the upper half */

	if (level == SOL_PACKET && optname == PACKET_FANOUT && optlen == sizeof(fanout)) {
		memcpy(&fanout, optval, sizeof(fanout));
		fanout &= ~((unsigned)PACKET_FANOUT_FLAG_DEFRAG << 16);
		optval = &fanout;
	}
	return (int)syscall(SYS_setsockopt, fd, level, optname, optval, optlen);
}

bool fanout_keeps_fragments(void)
{
	void *found = dlsym(RTLD_DEFAULT, "setsockopt");
	int (*ours)(int, int, int, const void *, socklen_t) = setsockopt;

	return memcmp(&found, &ours, sizeof(found)) == 0;
}
