/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that speaks AgentX (RFC 2741) with snmpd: libnetsnmp blocks, so that nothing else may be done there. */
#ifndef MGMT_SNMP_AGENTX_H
#define MGMT_SNMP_AGENTX_H

struct snmp_exchange;

/* A thread's function; `exchange` is borrowed. It connects, and again when snmpd went away, while the orders say so; returns when they say `end`,
 * after two seconds if snmpd hangs. Once in a process: libnetsnmp cannot be begun anew. */
void *snmp_agentx_run(void *exchange);

#endif
