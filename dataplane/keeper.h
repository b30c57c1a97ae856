/* SPDX-License-Identifier: BSD-3-Clause */
/* The keeper: a small process that keeps root's rights when the dataplane gives them up, does nothing while it lives, and
 * undoes its traces on the system when it ends, by whatever way, SIGKILL too: nftables tables, sysctls, link flags, XDP
 * programs, files. It is told what to undo before each thing is done; it hears of the end by its socket closing. */
#ifndef DATAPLANE_KEEPER_H
#define DATAPLANE_KEEPER_H

enum keeper_action {
	KEEPER_NFT_TABLE, /* subject: the table of family netdev */
	KEEPER_SYSCTL, /* subject: path under /proc/sys; value: what it was */
	KEEPER_LINK_DOWN, /* subject: interface that was down */
	KEEPER_LINK_QUIET, /* subject: interface that was not ALLMULTI */
	KEEPER_XDP, /* subject: interface */
	KEEPER_FILE, /* subject: path to unlink */
	KEEPER_DIRECTORY, /* subject: path; its plain files and sockets go too */
	KEEPER_ACTIONS
};

/* Forks it. Before threads are started. 0 or -errno. */
int keeper_start(void);
/* Undone in reverse order of telling. 0, -ENAMETOOLONG, or -errno when the keeper is gone. */
int keeper_tell(enum keeper_action action, const char *subject, const char *value);
/* Nothing can be told from now on: whoever takes over the dataplane, which has no rights any more, must not borrow the keeper's.
 * A later keeper_tell has all undone at once. 0 or -errno. */
int keeper_seal(void);
/* Has everything undone and waits for that. */
void keeper_finish(void);

#endif
