/* SPDX-License-Identifier: BSD-3-Clause */
/* The keeper: a small process that keeps root's rights when the dataplane gives them up. It undoes the dataplane's traces on the
 * system when that ends, by whatever way, SIGKILL too: nftables tables, sysctls, link flags, XDP programs, files. It is told what
 * to undo before each thing is done; it hears of the end by its socket closing. And it prepares again a kernel interface that was
 * gone and has come back, which takes rights: which ones, with what, it has learnt before. */
#ifndef DATAPLANE_KEEPER_H
#define DATAPLANE_KEEPER_H

#include <stdint.h>

struct raw_interface;

enum { KEEPER_PORTS_MAX = 32 };

enum keeper_action {
	KEEPER_NFT_TABLE, /* subject: the table of family netdev */
	KEEPER_SYSCTL, /* subject: path under /proc/sys; value: what it was */
	KEEPER_LINK_DOWN, /* subject: interface that was down */
	KEEPER_LINK_QUIET, /* subject: interface that was not ALLMULTI */
	KEEPER_XDP, /* subject: interface */
	KEEPER_GRO, /* subject: interface with generic receive offload */
	KEEPER_LRO, /* subject: interface with large receive offload */
	KEEPER_RXVLAN, /* subject: interface whose VLAN tags were taken out by the NIC */
	KEEPER_FILE, /* subject: path to unlink */
	KEEPER_DIRECTORY, /* subject: path; its plain files and sockets go too */
	KEEPER_ACTIONS
};

/* Forks it. Before threads are started. 0 or -errno. */
int keeper_start(void);
/* Waits until the keeper of a dataplane before this one, in the same run directory, has cleaned up, at most `wait_ms` (below 10,000): what it
 * removes late would be ours. The next one waits for ours. 0, -EBUSY, -ENAMETOOLONG or -errno. */
int keeper_hold(const char *directory, uint32_t wait_ms);
/* Undone in reverse order of telling. 0, -ENAMETOOLONG, or -errno when the keeper is gone. */
int keeper_tell(enum keeper_action action, const char *subject, const char *value);
/* raw_interface_prepare, by the keeper, who remembers what it was: programs (nft) are run by nobody else. 0 or -errno. */
int keeper_prepare(const struct raw_interface *raw);
/* A port whose interface may come back, with its AF_PACKET sockets, of which the keeper gets copies. Its index, or -errno. */
int keeper_port(const struct raw_interface *raw, const int *fd, unsigned count);
/* Nothing can be told from now on: whoever takes over the dataplane, which has no rights any more, must not borrow the keeper's.
 * It obeys keeper_revive and nothing else; anything else has all undone at once. 0 or -errno. */
int keeper_seal(void);
/* The interface of that port is there again: prepares it, gives it the address of the one before it and binds the sockets to it.
 * -ENODEV: there is none; -EAGAIN: too often; -EPIPE: no keeper; or -errno. */
int keeper_revive(unsigned port, unsigned *ifindex);
/* Has everything undone and waits for that. */
void keeper_finish(void);

#endif
