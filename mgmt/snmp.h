/* SPDX-License-Identifier: BSD-3-Clause */
/* SNMP: SALLYPORT-MIB and its notifications through snmpd. Decision 0088. owner: the main loop */
#ifndef MGMT_SNMP_H
#define MGMT_SNMP_H

#include <uv.h>

#include "config/model.h"
#include "mgmt/neighbours.h"

struct snmp;
struct watch;

/* All outlive it. Does nothing before snmp_apply. 0 or -errno. */
int snmp_new(uv_loop_t *loop, const struct neighbours *neighbours, struct watch *watch, struct snmp **out);
/* Speaks with the snmpd that the configuration names from now on, or with none. Never waits. */
void snmp_apply(struct snmp *snmp, const struct config *config);
/* Its memory goes when the loop has run its close callbacks. Waits for the thread, two seconds if snmpd hangs. NULL is fine. */
void snmp_free(struct snmp *snmp);

#endif
