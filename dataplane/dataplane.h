/* SPDX-License-Identifier: BSD-3-Clause */
/* The dataplane process as a whole: what its stages build and its main thread works on. */
#ifndef DATAPLANE_DATAPLANE_H
#define DATAPLANE_DATAPLANE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "config/model.h"
#include "dataplane/fanout.h"
#include "dataplane/next_hop.h"
#include "dataplane/pool.h"
#include "dataplane/prefix_table.h"
#include "dataplane/rule.h"
#include "dataplane/session.h"
#include "dataplane/worker.h"
#include "platforms/base/daemon.h"
#include "platforms/base/span.h"

struct rte_mempool;
struct border_policy;
struct live_plan;

enum { MIRROR_NAME_MAX = 16 };

/* A NIC or kernel interface; one or (by VLAN) several network-interfaces use it. */
struct port {
	const struct config_network_interface *config; /* the first that names it: for messages */
	uint16_t device; /* DPDK port number */
	bool open;
	unsigned queues;
	unsigned mtu;
	unsigned ifindex; /* of the kernel interface; 0 for pci, and while it is gone */
	uint8_t mac[6];
	bool link_up; /* as the kernel says, or for pci the driver */
	bool gone; /* the kernel interface is not there now */
	uint16_t spare; /* xdp: an AF_PACKET device for when the interface has been gone; else DEVICE_NONE */
	uint16_t active; /* `device`, or `spare` */
	int kept; /* index of keeper_port; negative: none */
	unsigned sockets; /* of AF_PACKET, the drivers' own */
	int socket[FANOUT_QUEUES_MAX];
};

struct mirror {
	char name[MIRROR_NAME_MAX]; /* "sp-outside" */
	uint16_t device;
	bool open;
	unsigned ifindex;
	int carrier; /* a descriptor of the TAP device */
	int probe[2]; /* UDP sockets bound to it, IPv4 and IPv6: they make the kernel ask for a neighbour */
};

struct server;
struct neighbour;
struct link_watch;
struct watch;
struct border_watch;

struct dataplane {
	struct daemon *daemon;
	struct config *config; /* that runs now */
	struct config
		*started; /* that it was started with: network-interfaces are as in this one, in its order */
	uint16_t *realm_number; /* in pools, of each realm of `config` in its order */
	uint64_t started_us;
	bool hugepages;
	unsigned main_cpu;
	unsigned *cpus; /* of the workers in use */
	void *eal_arguments; /* DPDK keeps pointers into them */

	struct port port[PORTS_MAX];
	unsigned port_count;
	struct mirror mirror[INTERFACES_MAX]; /* in the order of config->network_interfaces */
	struct rte_mempool *packets;

	struct worker_shared shared;
	struct next_hops next_hops;
	struct pools pools;
	struct rule_store rules;
	struct srtp_store *srtp; /* NULL: this CPU cannot */
	uint32_t srtp_flows; /* that there are contexts for */
	struct sessions sessions;

	struct live_plan *plan; /* what was prepared; NULL: nothing is */
	bool is_loose; /* the flow table has ports that only flows in use need */

	/* Session-agents that the border trusts, sorted; how many there may be. owner: main thread */
	struct border_agent *agents;
	size_t agent_count, agents_most;

	/* Sources that an access-control trusts in some realm: no ban may meet them unasked. owner: main thread */
	struct prefix_table *trusted_sources;

	uint64_t counter[DP_COUNTER_COUNT]; /* what it counts itself; owner: main thread, read by anybody */
	uint64_t per_second[DP_COUNTER_COUNT]; /* over the last whole second; owner: main thread */

	struct neighbour *neighbour;
	struct link_watch *link_watch;
	struct server *server;
	struct watch *watch;
	struct border_watch *border_watch;
};

/* eal.c: DPDK's environment. 0 or -errno, reported. */
int eal_start(struct dataplane *dp);
void eal_stop(struct dataplane *dp);

/* port.c: opens what the network-interfaces name, decides how many workers can be fed; port_start begins reception. */
int port_open_all(struct dataplane *dp);
/* Queues of a mirror: as the ports have. */
int port_configure_mirror(struct dataplane *dp, struct mirror *m);
int port_start_all(struct dataplane *dp);
void port_close_all(struct dataplane *dp);

/* mirror.c: the kernel's side of each network-interface. */
int mirror_open_all(struct dataplane *dp);
void mirror_close_all(struct dataplane *dp);
/* Whether the kernel sees a link on it: as its port has one. */
void mirror_carrier(struct mirror *m, bool up);

/* Index of the network-interface of that name; `n` is of any configuration. INTERFACE_NONE: there was none at the start. */
uint8_t interface_number(const struct dataplane *dp, const struct config_network_interface *n);

/* tables.c: flow table, pools, routes, rules, sessions from the configuration. */
int tables_build(struct dataplane *dp);
void tables_free(struct dataplane *dp);
/* Parts of it that another configuration needs too. */
struct pool_realm tables_realm(const struct dataplane *dp, const struct config_realm *r);
/* As flow_table_add. */
int tables_add_pool(const struct dataplane *dp, struct flow_table *t, const struct config_steering_pool *p);
uint32_t tables_rules(const struct flow_table *flows);
uint32_t tables_next_hops(unsigned max_sessions);

/* border_setup.c: bans, access lists, trust and rates from the configuration, behind tables_build. 0 or -errno, reported. */
int border_build(struct dataplane *dp);
void border_destroy(struct dataplane *dp);

/* Who is trusted because the configuration has it as a session-agent. */
struct border_agent {
	struct prefix_key key;
	char note[PREFIX_NOTE];
};

/* What a configuration wants of the border, made beforehand. */
struct border_plan {
	struct border_policy *policy;
	struct prefix_table *trusted_sources;
	struct border_agent *agents;
	size_t agent_count;
};

/* `number`: of the realms of `c`, each below `realms`. 0; -ENOMEM; -ENOSPC: more session-agents than there is room for. */
int border_plan_make(const struct dataplane *dp, const struct config *c, const uint16_t *number,
	uint16_t realms, struct border_plan *plan);
void border_plan_drop(struct border_plan *plan);
/* In force from the next packet on. Bans, trust by the API and what sources have used of their rates stay. Returns what workers may see
 * until they have passed a quiescent state; then it is for border_plan_finish. */
struct border_policy *border_plan_apply(struct dataplane *dp, struct border_plan *plan);
void border_plan_finish(struct dataplane *dp, struct border_policy *old);

/* live.c: another configuration while packets flow (decision 0087).
 *
 * Makes what `next` needs. 0, or -errno and a line of reason in `why`, and nothing has changed. */
int live_prepare(struct dataplane *dp, const struct config *next, struct writer *why);
/* Takes `next`, the one of live_prepare, over. */
void live_apply(struct dataplane *dp, struct config *next);
void live_abort(struct dataplane *dp);
/* Once a second: forgets realms and ports that nobody needs any more. */
void live_sweep(struct dataplane *dp, uint64_t now_us);

/* border_watch.c: expiry of bans, samples to their subscribers, rates of the counters. */
int border_watch_start(struct dataplane *dp);
void border_watch_stop(struct dataplane *dp);
/* The work of one tick, and what it works on, without the timer. NULL: no memory. */
struct border_watch *border_watch_new(struct dataplane *dp, uint64_t now_us);
void border_watch_free(struct border_watch *w);
void border_watch_tick(struct border_watch *w, uint64_t now_us);

/* neighbour.c: link-layer addresses from the kernel. */
int neighbour_start(struct dataplane *dp);
void neighbour_stop(struct dataplane *dp);
/* The link of that port is there again: ask for its neighbours now. */
void neighbour_renew(struct dataplane *dp, unsigned port);

/* link.c: ports that lose their link or vanish, and come back. */
int link_start(struct dataplane *dp);
void link_stop(struct dataplane *dp);

/* server.c: the API. */
int server_start(struct dataplane *dp);
void server_stop(struct dataplane *dp);
void server_event(struct server *server, uint32_t owner, enum dp_message type, const struct dp_event *event);
/* A sample and its `captured` <= DP_SAMPLE_MAX octets, to the one who subscribed to samples. */
void server_sample(struct server *server, const struct dp_sample *sample, const void *octets);

/* watch.c: events of the workers and silent media. */
int watch_start(struct dataplane *dp);
void watch_stop(struct dataplane *dp);
/* Once a second for each session: adds to the realms' totals, arms silent sides again (relatch), reports the sides whose media has
 * stayed away too long, each silence once. Returns how many of those. */
unsigned watch_session(struct dataplane *dp, struct session *s, uint64_t now_us);
/* There is a session now: events are looked for more often. */
void watch_wake(struct watch *watch);

/* counters.c */
void counters_sum(const struct dataplane *dp, uint64_t total[DP_COUNTER_COUNT]);
void counters_stats(const struct dataplane *dp, struct dp_stats *stats);
void counters_interface(const struct dataplane *dp, unsigned index, struct dp_interface *out);
void counters_realm(const struct dataplane *dp, uint16_t realm, struct dp_realm *out);

/* telemetry.c: the same for DPDK's telemetry socket. */
int telemetry_start(struct dataplane *dp);
void telemetry_stop(struct dataplane *dp);

/* Host address of the packet path from the configuration's. Returns the family, 4 or 6. */
uint8_t host_from(union host *h, const union address *a);

#endif
