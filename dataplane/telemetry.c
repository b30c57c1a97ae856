/* SPDX-License-Identifier: BSD-3-Clause */
/* Our numbers on DPDK's telemetry socket: `dpdk-telemetry.py` on a running SBC. The callbacks run in DPDK's threads. Counters of
 * workers and the names of network-interfaces they read themselves; everything else belongs to the main thread, which is asked for it and
 * puts a copy into `desk`. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_mempool.h>
#include <rte_telemetry.h>

#include "dataplane/client.h"
#include "dataplane/dataplane.h"

enum { PATIENCE_S = 2 };

enum question { ASK_INTERFACE, ASK_REALM, ASK_REALM_NAME, ASK_STATS, ASK_MEMORY };

struct memory {
	uint64_t buffers, buffers_used, rules, rules_used, next_hops_used;
};

union answer {
	struct memory memory;
	struct dp_interface interface;
	struct dp_realm realm; /* its name is empty: there is none */
	struct dp_stats stats;
};

/* The library's callbacks have no argument of ours. */
static struct {
	struct dataplane *dp; /* owner: main thread; set once before the first call */
	pthread_mutex_t turn; /* one asks at a time */
	pthread_mutex_t lock; /* all below, and whether `wake` may be sent */
	pthread_cond_t answered;
	uv_async_t wake;
	bool open, pending;
	enum question question;
	unsigned index;
	char name[DP_NAME_MAX];
	union answer answer;
} desk = { .turn = PTHREAD_MUTEX_INITIALIZER,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.answered = PTHREAD_COND_INITIALIZER };

static void measure(const struct dataplane *dp, struct memory *m)
{
	const struct rule_store *r = &dp->rules;

	*m = (struct memory){ .buffers = dp->packets->size,
		.buffers_used = rte_mempool_in_use_count(dp->packets),
		.rules = r->capacity,
		.rules_used = r->capacity - r->free_count - r->retired_count };
	for (uint32_t i = NEXT_HOP_LOCAL + 1; i < dp->next_hops.used; i++)
		m->next_hops_used += dp->next_hops.entry[i].references != 0;
}

static void name_realm(const struct dataplane *dp, unsigned index, struct dp_realm *out)
{
	const struct pools *p = &dp->pools;

	*out = (struct dp_realm){ 0 };
	for (uint16_t i = 0; i < p->realm_count; i++)
		if (p->realm[i].state == REALM_PRESENT && index-- == 0) {
			memcpy(out->name, p->realm[i].name, sizeof(out->name));
			return;
		}
}

static void find_realm(const struct dataplane *dp, struct dp_realm *out)
{
	int realm = pools_named_realm(&dp->pools, desk.name);

	*out = (struct dp_realm){ 0 };
	if (realm >= 0)
		counters_realm(dp, (uint16_t)realm, out);
}

/* Main thread. */
static void on_wake(uv_async_t *wake)
{
	(void)wake;
	pthread_mutex_lock(&desk.lock);
	if (desk.pending) {
		switch (desk.question) {
		case ASK_INTERFACE:
			counters_interface(desk.dp, desk.index, &desk.answer.interface);
			break;
		case ASK_REALM:
			find_realm(desk.dp, &desk.answer.realm);
			break;
		case ASK_REALM_NAME:
			name_realm(desk.dp, desk.index, &desk.answer.realm);
			break;
		case ASK_STATS:
			counters_stats(desk.dp, &desk.answer.stats);
			break;
		case ASK_MEMORY:
			measure(desk.dp, &desk.answer.memory);
			break;
		}
		desk.pending = false;
		pthread_cond_signal(&desk.answered);
	}
	pthread_mutex_unlock(&desk.lock);
}

/* DPDK's threads. */
static int ask(enum question question, unsigned index, const char *name, union answer *answer)
{
	struct timespec until;
	int status = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&desk.turn);
	pthread_mutex_lock(&desk.lock);
	desk.question = question;
	desk.index = index;
	(void)snprintf(desk.name, sizeof(desk.name), "%s", name);
	desk.pending = desk.open;
	if (desk.open)
		(void)uv_async_send(&desk.wake);
	while (desk.open && desk.pending && status == 0)
		status = pthread_cond_clockwait(&desk.answered, &desk.lock, CLOCK_MONOTONIC, &until);
	status = desk.open && !desk.pending ? 0 : -ETIMEDOUT;
	desk.pending = false;
	*answer = desk.answer;
	pthread_mutex_unlock(&desk.lock);
	pthread_mutex_unlock(&desk.turn);
	return status;
}

/* The library takes letters, digits and underscores in names. */
static const char *key(const char *name, char text[RTE_TEL_MAX_STRING_LEN])
{
	size_t n = strnlen(name, RTE_TEL_MAX_STRING_LEN - 1);

	for (size_t i = 0; i < n; i++)
		text[i] = name[i] == '-' ? '_' : name[i];
	text[n] = '\0';
	return text;
}

static void add(struct rte_tel_data *data, const char *name, uint64_t value)
{
	char text[RTE_TEL_MAX_STRING_LEN];

	(void)rte_tel_data_add_dict_u64(data, key(name, text), value);
}

static int tell_counters(const char *command, const char *parameters, struct rte_tel_data *data)
{
	uint64_t total[DP_COUNTER_COUNT];

	(void)command;
	(void)parameters;
	counters_sum(desk.dp, total);
	rte_tel_data_start_dict(data);
	for (unsigned i = 0; i < DP_COUNTER_COUNT; i++)
		add(data, dp_counter_name((enum dp_counter)i), total[i]);
	return 0;
}

static int tell_sessions(const char *command, const char *parameters, struct rte_tel_data *data)
{
	const struct sessions *s = &desk.dp->sessions;

	(void)command;
	(void)parameters;
	rte_tel_data_start_dict(data);
	add(data, "sessions", __atomic_load_n(&s->used, __ATOMIC_RELAXED));
	add(data, "sessions-max", __atomic_load_n(&s->max, __ATOMIC_RELAXED));
	add(data, "sessions-total", __atomic_load_n(&s->total, __ATOMIC_RELAXED));
	return 0;
}

static void list_interfaces(const struct config *c, struct rte_tel_data *data)
{
	rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
	for (size_t i = 0; i < c->network_interfaces_count; i++)
		(void)rte_tel_data_add_array_string(data, c->network_interfaces[i].name);
}

static int tell_interfaces(const char *command, const char *parameters, struct rte_tel_data *data)
{
	const struct config *c = desk.dp->started;
	const struct config_network_interface *n;
	union answer a;
	char mac[18];

	(void)command;
	if (parameters == NULL || parameters[0] == '\0') {
		list_interfaces(c, data);
		return 0;
	}
	n = config_find_network_interface(c, parameters);
	if (n == NULL)
		return -ENOENT;
	int status = ask(ASK_INTERFACE, (unsigned)(n - c->network_interfaces), "", &a);
	if (status != 0)
		return status;
	const struct dp_interface *i = &a.interface;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", i->mac[0], i->mac[1], i->mac[2],
		i->mac[3], i->mac[4], i->mac[5]);
	rte_tel_data_start_dict(data);
	(void)rte_tel_data_add_dict_string(data, "name", i->name);
	(void)rte_tel_data_add_dict_string(data, "port", i->port);
	(void)rte_tel_data_add_dict_string(data, "mirror", i->mirror);
	(void)rte_tel_data_add_dict_string(data, "mac", mac);
	add(data, "link-up", i->link_up);
	add(data, "speed-mbps", i->speed_mbps);
	add(data, "mtu", i->mtu);
	add(data, "rx-packets", i->rx_packets);
	add(data, "rx-octets", i->rx_octets);
	add(data, "rx-missed", i->rx_missed);
	add(data, "rx-errors", i->rx_errors);
	add(data, "tx-packets", i->tx_packets);
	add(data, "tx-octets", i->tx_octets);
	add(data, "tx-errors", i->tx_errors);
	add(data, "mirror-in", i->mirror_in);
	add(data, "mirror-out", i->mirror_out);
	add(data, "next-hops", i->next_hops);
	add(data, "next-hops-incomplete", i->next_hops_incomplete);
	return 0;
}

static int list_realms(struct rte_tel_data *data)
{
	union answer a;

	rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
	/* An array of the library's ends at RTE_TEL_MAX_ARRAY_ENTRIES; each realm can be asked for by name all the same. */
	for (unsigned i = 0; i < RTE_TEL_MAX_ARRAY_ENTRIES; i++) {
		int status = ask(ASK_REALM_NAME, i, "", &a);

		if (status != 0)
			return status;
		if (a.realm.name[0] == '\0')
			break;
		(void)rte_tel_data_add_array_string(data, a.realm.name);
	}
	return 0;
}

static int tell_realms(const char *command, const char *parameters, struct rte_tel_data *data)
{
	union answer a;

	(void)command;
	if (parameters == NULL || parameters[0] == '\0')
		return list_realms(data);
	int status = ask(ASK_REALM, 0, parameters, &a);
	if (status != 0)
		return status;
	if (a.realm.name[0] == '\0')
		return -ENOENT;
	const struct dp_realm *r = &a.realm;
	rte_tel_data_start_dict(data);
	(void)rte_tel_data_add_dict_string(data, "name", r->name);
	(void)rte_tel_data_add_dict_string(data, "interface", r->interface);
	add(data, "trusted", r->trusted);
	add(data, "pools", r->pools);
	add(data, "ports-used", r->ports_used);
	add(data, "ports-total", r->ports_total);
	add(data, "streams", r->streams);
	add(data, "packets", r->packets);
	add(data, "octets", r->octets);
	add(data, "relayed", r->relayed);
	add(data, "lost", r->lost);
	add(data, "wrong-source", r->wrong_source);
	add(data, "malformed", r->malformed);
	add(data, "policed", r->policed);
	add(data, "events", r->events);
	return 0;
}

static int tell_border(const char *command, const char *parameters, struct rte_tel_data *data)
{
	union answer a;

	(void)command;
	(void)parameters;
	int status = ask(ASK_STATS, 0, "", &a);
	if (status != 0)
		return status;
	rte_tel_data_start_dict(data);
	add(data, "bans", a.stats.bans);
	add(data, "bans-max", a.stats.bans_max);
	add(data, "trusts", a.stats.trusts);
	add(data, "trusts-max", a.stats.trusts_max);
	add(data, "sources", a.stats.sources);
	add(data, "sources-max", a.stats.sources_max);
	return 0;
}

static int tell_memory(const char *command, const char *parameters, struct rte_tel_data *data)
{
	union answer a;

	(void)command;
	(void)parameters;
	int status = ask(ASK_MEMORY, 0, "", &a);
	if (status != 0)
		return status;
	rte_tel_data_start_dict(data);
	add(data, "buffers", a.memory.buffers);
	add(data, "buffers-used", a.memory.buffers_used);
	add(data, "rules", a.memory.rules);
	add(data, "rules-used", a.memory.rules_used);
	add(data, "next-hops-used", a.memory.next_hops_used);
	return 0;
}

int telemetry_start(struct dataplane *dp)
{
	static const struct {
		const char *command;
		telemetry_cb tell;
		const char *help;
	} commands[] = {
		{ "/sallyport/counters", tell_counters, "Counters of all workers" },
		{ "/sallyport/sessions", tell_sessions, "Media sessions" },
		{ "/sallyport/interfaces", tell_interfaces,
			"Names of the network-interfaces. Parameter: one of them, for its counters" },
		{ "/sallyport/realms", tell_realms,
			"Names of the realms. Parameter: one of them, for its media" },
		{ "/sallyport/memory", tell_memory,
			"Packet buffers, rules, and next hops that somebody needs" },
		{ "/sallyport/border", tell_border, "How full the tables of bans, trust and sources are" },
	};
	int status = uv_async_init(dp->daemon->loop, &desk.wake, on_wake);

	if (status != 0)
		return status;
	desk.dp = dp;
	pthread_mutex_lock(&desk.lock);
	desk.open = true;
	pthread_mutex_unlock(&desk.lock);
	for (size_t i = 0; status == 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		status = rte_telemetry_register_cmd(commands[i].command, commands[i].tell, commands[i].help);
	if (status != 0)
		telemetry_stop(dp);
	return status;
}

void telemetry_stop(struct dataplane *dp)
{
	(void)dp;
	pthread_mutex_lock(&desk.lock);
	if (desk.open)
		uv_close((uv_handle_t *)&desk.wake, NULL);
	desk.open = false;
	pthread_cond_broadcast(&desk.answered);
	pthread_mutex_unlock(&desk.lock);
}
