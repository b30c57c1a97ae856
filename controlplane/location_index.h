/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the location table: bindings counted by host, and listed by number. Both are locked inside. */
#ifndef CONTROLPLANE_LOCATION_INDEX_H
#define CONTROLPLANE_LOCATION_INDEX_H

#include "controlplane/location.h"

struct location_hosts;

struct location_hosts *location_hosts_new(void); /* NULL: no memory */
void location_hosts_free(struct location_hosts *hosts); /* NULL is fine */
int location_hosts_add(struct location_hosts *hosts, const union address *address); /* 0 or -ENOMEM */
void location_hosts_drop(struct location_hosts *hosts, const union address *address);
size_t location_hosts_count(struct location_hosts *hosts, const union address *host);
/* The address without family and port; what it does not fill is 0. How many octets there are. */
size_t location_host_bytes(const union address *address, uint8_t out[16]);

struct location_order; /* holds no references: what is in it is in the table */

struct location_order *location_order_new(void); /* NULL: no memory */
void location_order_free(struct location_order *order); /* NULL is fine */
/* Room for one more: 0 or -ENOMEM. */
int location_order_reserve(struct location_order *order);
/* In place of what has its number, if there is one. There is room. */
void location_order_insert(struct location_order *order, struct binding *binding);
void location_order_remove(struct location_order *order, const struct binding *binding);
void location_order_each(
	struct location_order *order, void (*each)(struct binding *binding, void *arg), void *arg);
/* As location_list. */
size_t location_order_list(struct location_order *order, uint64_t after, struct binding **out, size_t limit);

#endif
