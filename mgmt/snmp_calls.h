/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of calls, fetched from the control plane page by page. owner: the main loop */
#ifndef MGMT_SNMP_CALLS_H
#define MGMT_SNMP_CALLS_H

#include <stddef.h>

#include "mgmt/neighbours.h"

struct snmp_view;
struct snmp_calls;

/* `view` has their table, and is the callee's; NULL: no memory. While the control plane is away it has no rows. */
typedef void (*snmp_calls_fetched)(void *arg, struct snmp_view *view);

/* `done` is called once, after the return. 0, or -errno and it is not. */
int snmp_calls_begin(
	const struct neighbours *neighbours, snmp_calls_fetched done, void *arg, struct snmp_calls **out);
/* `done` is not called any more; its memory goes with the last answer. NULL is fine. */
void snmp_calls_abandon(struct snmp_calls *calls);

#endif
