/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel interface below a port: it carries frames and has no life of its own. Made so at the start by the dataplane, and
 * again by the keeper when the interface was gone and has come back. */
#ifndef DATAPLANE_RAW_INTERFACE_H
#define DATAPLANE_RAW_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/keeper.h"

struct raw_interface {
	char name[IFNAMSIZ];
	char table[IFNAMSIZ + 16]; /* of nftables, where the kernel's copies of frames are dropped */
	uint8_t mac[6];
	uint8_t af_packet; /* the kernel sees each frame too: drop it there, and hand none over joined to a longer one */
	uint8_t tagged; /* there are VLANs on it */
	uint32_t mtu; /* 0: as it is */
};

/* Name and address of what is there now. -ENODEV or -errno. */
int raw_interface_read(struct raw_interface *r, const char *name, bool af_packet, bool tagged);
/* No IPv6, no ingress to the kernel, no GRO; up and hearing multicast. `remember` hears of each thing before it is changed, or
 * is NULL. 0 or -errno. */
int raw_interface_prepare(const struct raw_interface *r,
	int (*remember)(enum keeper_action action, const char *subject, const char *value));
/* For an interface that has come back: address and MTU of the one before it. What its driver refuses is logged. */
void raw_interface_restore(const struct raw_interface *r);

/* What NIC or kernel may do to received frames, switched by ethtool. */
enum raw_offload {
	RAW_OFFLOAD_GRO, /* joins frames to longer ones than our buffers */
	RAW_OFFLOAD_LRO,
	RAW_OFFLOAD_RXVLAN, /* takes the tag out: XDP never sees it */
	RAW_OFFLOADS
};
/* 0 or -errno. */
int raw_interface_offload(const char *name, enum raw_offload offload, bool on);
/* A sysctl of one interface; kernels without the protocol have no such file. */
int raw_interface_sysctl(const char *family, const char *interface, const char *name, const char *value,
	int (*remember)(enum keeper_action action, const char *subject, const char *value));

#endif
