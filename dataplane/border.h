/* SPDX-License-Identifier: BSD-3-Clause */
/* The border: what becomes of a packet that is not media. In this order: bans, access lists, trust, the source's rate, its
 * class's rate, the kernel's mirror. Each way out has its named counter.
 *
 * Media never comes here: a packet for a port of a session has its source checked against the latch, which lets in one address
 * and port and is stricter than any list; and to look up lists for each would cost what the relay itself costs.
 *
 * Trust: a source is trusted by an access-control (`trust = trusted`), by the trust table (configured agents; flows of registered
 * phones), or because its realm is. The realm of a packet is that of the sip-interface or steering-pool it is addressed to, else
 * the interface's (untrusted if one of its realms is).
 *
 * What is taken from which rate:
 *   ARP, neighbour discovery, what is not IP    the interface's BORDER_LINK, nothing else is asked: one for what is sent to us
 *                                               alone, one for what is sent to all, one for what is not IP and not ARP
 *   trusted                                     what its trust or access entry gives, then BORDER_TRUSTED
 *   untrusted: UDP, ICMP, other IP              SOURCE_PACKETS (or what its access entry gives), then BORDER_UNTRUSTED
 *   untrusted: TCP segments, later fragments    SOURCE_STREAM, then BORDER_UNTRUSTED
 *   untrusted: TCP SYN without ACK              SOURCE_SYN, BORDER_SYN, then BORDER_UNTRUSTED
 *
 * Later fragments of UDP are judged by the ports of the first (fragment.h).
 *
 * A source that is trusted by its port (a flow of a NAT) has a rate of its own; else all of an address have one. Strangers of an
 * IPv6 /64 share one, hosts of it that are trusted by name do not: one phone must not be able to silence the office. */
#ifndef DATAPLANE_BORDER_H
#define DATAPLANE_BORDER_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_config.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/flow.h"
#include "dataplane/prefix_table.h"
#include "dataplane/source_table.h"

struct worker;
struct item;

enum border_class { BORDER_UNTRUSTED, BORDER_TRUSTED, BORDER_SYN, BORDER_LINK, BORDER_CLASSES };

/* Which realm a destination belongs to. */
struct border_service {
	union host ip;
	uint16_t port; /* network order; 0 = every port of the address */
	uint16_t realm;
	uint8_t family;
	uint8_t interface;
};

struct border_realm {
	bool trusted;
};

struct border_interface {
	uint16_t realm; /* of what is addressed to no service; PREFIX_SCOPE_ANY = none */
	bool trusted;
};

/* What the configuration says of a border. Arrays are copied; `access` is taken over. */
struct border_config {
	struct prefix_table *access;
	struct rate untrusted[SOURCE_RATES]; /* of one untrusted source */
	struct rate class[BORDER_CLASSES]; /* BORDER_LINK: of each kind on each interface */
	const struct border_service *services;
	unsigned service_count;
	const struct border_realm *realms; /* by number */
	unsigned realm_count;
	struct border_interface interface[INTERFACES_MAX];
};

struct border;
struct border_policy;

/* NULL: no memory; `access` is the caller's still. */
struct border_policy *border_policy_new(const struct border_config *config);
/* With its access list. NULL is allowed. */
void border_policy_free(struct border_policy *policy);

/* Takes the tables and the policy over. NULL: no memory; they are the caller's still. Trusted sources have a table of their own, of four
 * times `trust`: strangers cannot push them out, and they do not push out each other. */
struct border *border_new(struct prefix_table *bans, struct prefix_table *trust, uint32_t max_sources,
	struct border_policy *policy);
void border_free(struct border *b);
/* Another policy from the next packet on; what sources and classes have used of their rates stays. Returns the one before, which workers
 * may see until they have passed a quiescent state. */
struct border_policy *border_policy_swap(struct border *b, struct border_policy *policy);
struct prefix_table *border_policy_access(const struct border_policy *policy);

/* border.c, worker: packets of one burst (`n` <= BURST) that are no media. Passes on to `mirror` what may pass, drops and counts the
 * rest. Takes all over. */
void border_burst(
	struct worker *w, struct item **items, unsigned n, void (*mirror)(struct worker *w, struct item *it));

struct prefix_table *border_bans(const struct border *b);
struct prefix_table *border_access(const struct border *b);
struct prefix_table *border_trust(const struct border *b);
struct source_table *border_sources(const struct border *b, bool trusted);

#endif
