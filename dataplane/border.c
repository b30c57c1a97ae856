/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's side of the border: bursts of packets that are no media are judged in the order that border.h tells. */
#include "dataplane/border.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <stdatomic.h>

#include <rte_branch_prediction.h>

#include "dataplane/fragment.h"
#include "dataplane/relay.h"
#include "dataplane/table_memory.h"
#include "dataplane/worker.h"

/* What a link has budgets for. A storm of broadcasts, or of frames that the kernel has no use for, must not keep out the answers to
 * what it asks its neighbours: without them media would have no next hop. */
enum border_link_kind { LINK_TO_US, LINK_TO_ALL, LINK_OTHER, BORDER_LINK_KINDS };

enum {
	CHUNK_MAX = 16, /* packets that a worker takes from a class's rate at once, .. */
	CHUNKS_PER_SECOND = 64000, /* .. and no more than come in 1/64 ms */
	IPV6_WHOLE = 128, /* length of a host's prefix */
	TRUSTED_SPREAD = 4, /* lines for each trusted source: none of them finds its set full */
	LINKS = INTERFACES_MAX * BORDER_LINK_KINDS,
	BUDGETS =
		BORDER_CLASSES + LINKS, /* classes; then the links, of which BORDER_LINK itself is not used */
};

/* What a class has used of its rate, all workers together. */
struct budget {
	uint64_t arrival; /* atomic: as in source_table.h */
} __attribute__((aligned(64)));

struct budget_rate {
	struct rate rate;
	uint32_t chunk;
};

struct border_worker {
	uint32_t credit[BUDGETS]; /* owner: worker; taken from the budgets, not used yet */
	struct fragments fragments;
} __attribute__((aligned(64)));

/* What the configuration says. rcu: immutable once workers see it. */
struct border_policy {
	struct prefix_table *access;
	struct budget_rate budget[BUDGETS];
	struct rate untrusted[SOURCE_RATES];
	struct border_interface interface[INTERFACES_MAX];
	struct border_service *services; /* slots of a hash; family 0 = empty */
	uint32_t service_mask;
	struct border_realm *realms;
	unsigned realm_count;
	size_t size; /* of all this */
};

struct border {
	struct prefix_table *bans, *trust; /* written by the main thread, read by workers */
	struct source_table *sources[2]; /* untrusted, trusted */
	struct border_policy *policy; /* rcu */
	struct hash_key fragment_key; /* constant */
	struct budget budget[BUDGETS];
	struct border_worker worker[WORKERS_MAX];
};

/* A border as a burst finds it. */
struct watchtower {
	struct border *b;
	const struct border_policy *policy;
	struct worker *w;
};

/* What is known of a packet while it is judged. */
struct verdict {
	struct item *it;
	const struct prefix_entry *ban, *access, *trust;
	struct source source;
	uint64_t place;
	uint16_t realm;
	bool link, trusted;
};

static uint32_t service_hash(const union host *ip, uint16_t port)
{
	uint64_t x = (ip->half[0] ^ (ip->half[1] << 1 | ip->half[1] >> 63)) + port;

	return (uint32_t)(x * 0x9e3779b97f4a7c15ULL >> 32);
}

static const struct border_service *service_find(
	const struct border_policy *b, const union host *ip, uint8_t family, uint16_t port, uint8_t interface)
{
	for (uint32_t h = service_hash(ip, port);; h++) {
		const struct border_service *s = &b->services[h & b->service_mask];

		if (s->family == 0)
			return NULL;
		if (s->port == port && s->family == family && s->interface == interface &&
			host_equal(&s->ip, ip))
			return s;
	}
}

static void budget_init(struct budget_rate *b, struct rate rate)
{
	uint32_t chunk = rate.per_second / CHUNKS_PER_SECOND;

	if (chunk > CHUNK_MAX)
		chunk = CHUNK_MAX;
	if (chunk > rate.burst)
		chunk = rate.burst;
	*b = (struct budget_rate){ .rate = rate, .chunk = chunk != 0 ? chunk : 1 };
}

struct border_policy *border_policy_new(const struct border_config *config)
{
	uint32_t slots = 16;

	while (slots < 4 * config->service_count)
		slots *= 2;
	size_t services = slots * sizeof(struct border_service);
	size_t size =
		sizeof(struct border_policy) + services + config->realm_count * sizeof(struct border_realm);
	struct border_policy *p = table_memory_new(size);
	if (p == NULL)
		return NULL;
	p->size = size;
	p->access = config->access;
	for (unsigned i = 0; i < BUDGETS; i++)
		budget_init(&p->budget[i], config->class[i < BORDER_CLASSES ? i : BORDER_LINK]);
	memcpy(p->untrusted, config->untrusted, sizeof(p->untrusted));
	memcpy(p->interface, config->interface, sizeof(p->interface));
	p->services = (struct border_service *)(p + 1);
	p->service_mask = slots - 1;
	for (unsigned i = 0; i < config->service_count; i++) {
		const struct border_service *s = &config->services[i];
		uint32_t h = service_hash(&s->ip, s->port);

		while (p->services[h & p->service_mask].family != 0)
			h++;
		p->services[h & p->service_mask] = *s;
	}
	p->realms = (struct border_realm *)(p->services + slots);
	p->realm_count = config->realm_count;
	if (p->realm_count != 0)
		memcpy(p->realms, config->realms, p->realm_count * sizeof(*p->realms));
	return p;
}

void border_policy_free(struct border_policy *p)
{
	if (p == NULL)
		return;
	prefix_table_free(p->access);
	table_memory_free(p, p->size);
}

struct border *border_new(struct prefix_table *bans, struct prefix_table *trust, uint32_t max_sources,
	struct border_policy *policy)
{
	struct border *b = table_memory_new(sizeof(*b));

	if (b == NULL)
		return NULL;
	hash_key_random(&b->fragment_key);
	b->sources[0] = source_table_new(max_sources);
	b->sources[1] = source_table_new(TRUSTED_SPREAD * prefix_table_capacity(trust));
	if (b->sources[0] == NULL || b->sources[1] == NULL) {
		border_free(b);
		return NULL;
	}
	b->bans = bans;
	b->trust = trust;
	b->policy = policy;
	return b;
}

void border_free(struct border *b)
{
	if (b == NULL)
		return;
	prefix_table_free(b->bans);
	prefix_table_free(b->trust);
	border_policy_free(b->policy);
	source_table_free(b->sources[0]);
	source_table_free(b->sources[1]);
	table_memory_free(b, sizeof(*b));
}

struct border_policy *border_policy_swap(struct border *b, struct border_policy *policy)
{
	return __atomic_exchange_n(&b->policy, policy, __ATOMIC_ACQ_REL);
}

struct prefix_table *border_policy_access(const struct border_policy *policy)
{
	return policy->access;
}

/* A flood that all workers meet must not make them fight for one cache line: each takes some at once. What a worker has left
 * when it stops is no more than a chunk. */
static bool budget_take(const struct watchtower *t, unsigned which)
{
	const struct budget_rate *budget = &t->policy->budget[which];
	uint32_t *credit = &t->b->worker[t->w->index].credit[which];

	if (budget->rate.per_second == 0)
		return true;
	if (*credit == 0) {
		if (!rate_take(&t->b->budget[which].arrival, budget->rate, budget->chunk, t->w->now_us))
			return false;
		*credit = budget->chunk;
	}
	(*credit)--;
	return true;
}

static bool has_ports(const struct packet *p)
{
	return p->class != PACKET_OTHER || p->kind == PACKET_TCP || p->kind == PACKET_TCP_SYN || p->follows;
}

static void realm_find(const struct border_policy *b, struct verdict *v)
{
	const struct item *it = v->it;
	const struct packet *p = &it->p;
	const struct border_interface *ifc = &b->interface[it->interface];
	const struct border_service *s = NULL;

	if (has_ports(p) && p->dest_port != 0)
		s = service_find(b, &p->dest, p->family, p->dest_port, it->interface);
	if (s == NULL)
		s = service_find(b, &p->dest, p->family, 0, it->interface);
	v->realm = s != NULL ? s->realm : ifc->realm;
	v->trusted = s != NULL ? s->realm < b->realm_count && b->realms[s->realm].trusted : ifc->trusted;
}

/* Fills what is to be asked; false: it is the link's own business. */
static bool question(const struct border_policy *b, struct verdict *v, struct prefix_query *q)
{
	const struct packet *p = &v->it->p;

	v->link = p->class == PACKET_OTHER && (p->kind == PACKET_NOT_IP || p->kind == PACKET_NEIGHBOUR);
	if (v->link) {
		*q = (struct prefix_query){ 0 };
		return false;
	}
	realm_find(b, v);
	*q = (struct prefix_query){ .ip = p->source,
		.port = has_ports(p) ? p->source_port : 0,
		.scope = v->realm,
		.family = p->family };
	return true;
}

/* Which source's rate it is, once its trust is known. */
static void choose_source(const struct border *b, struct verdict *v)
{
	const struct packet *p = &v->it->p;

	v->trusted |= v->trust != NULL || (v->access != NULL && v->access->trusted);
	if (!v->trusted)
		return;
	v->source = source_of(&p->source, p->family, v->trust != NULL ? v->trust->key.port : 0);
	if (v->trust != NULL && v->trust->key.length == IPV6_WHOLE)
		v->source.within = p->source.half[1];
	v->place = source_table_prefetch(b->sources[1], &v->source);
}

static enum source_rate source_rate_of(const struct packet *p)
{
	if (p->class != PACKET_OTHER)
		return SOURCE_PACKETS;
	switch (p->kind) {
	case PACKET_TCP_SYN:
		return SOURCE_SYN;
	case PACKET_TCP:
	case PACKET_LATER:
		return SOURCE_STREAM;
	default:
		return SOURCE_PACKETS;
	}
}

/* What an entry gives; its rate 0: nothing. */
static bool entry_rate(const struct prefix_entry *e, struct rate *rate)
{
	if (e == NULL || e->rate == 0)
		return false;
	*rate = (struct rate){ .per_second = e->rate, .burst = e->burst };
	return true;
}

static bool take_trusted(const struct watchtower *t, const struct verdict *v, enum dp_counter *reason)
{
	struct border *b = t->b;
	struct worker *w = t->w;
	struct rate rate = { 0 };
	bool evicted;

	if (!entry_rate(v->trust, &rate))
		(void)entry_rate(v->access, &rate);
	*reason = DP_COUNTER_DROP_SOURCE_RATE;
	bool within = source_table_take(b->sources[1], v->place, &v->source, v->it->interface, SOURCE_PACKETS,
		rate, w->now_us, &evicted);
	worker_count(w, DP_COUNTER_SOURCE_EVICTED, evicted);
	if (!within)
		return false;
	*reason = DP_COUNTER_DROP_CLASS_RATE;
	if (budget_take(t, BORDER_TRUSTED))
		return true;
	source_table_dropped(b->sources[1], v->place, &v->source);
	return false;
}

static bool take_untrusted(const struct watchtower *t, const struct verdict *v, enum dp_counter *reason)
{
	static const enum dp_counter over[SOURCE_RATES] = {
		[SOURCE_PACKETS] = DP_COUNTER_DROP_SOURCE_RATE,
		[SOURCE_STREAM] = DP_COUNTER_DROP_STREAM_RATE,
		[SOURCE_SYN] = DP_COUNTER_DROP_SYN_RATE,
	};
	enum source_rate which = source_rate_of(&v->it->p);
	struct border *b = t->b;
	struct worker *w = t->w;
	struct rate rate = t->policy->untrusted[which];
	bool evicted;

	if (which == SOURCE_PACKETS)
		(void)entry_rate(v->access, &rate);
	*reason = over[which];
	bool within = source_table_take(
		b->sources[0], v->place, &v->source, v->it->interface, which, rate, w->now_us, &evicted);
	worker_count(w, DP_COUNTER_SOURCE_EVICTED, evicted);
	if (!within)
		return false;
	if (which != SOURCE_SYN || budget_take(t, BORDER_SYN)) {
		*reason = DP_COUNTER_DROP_CLASS_RATE;
		if (budget_take(t, BORDER_UNTRUSTED))
			return true;
	}
	source_table_dropped(b->sources[0], v->place, &v->source);
	return false;
}

static unsigned link_budget(const struct item *it)
{
	const uint8_t *frame = rte_pktmbuf_mtod(it->m, const uint8_t *);
	enum border_link_kind kind = (frame[0] & 1) != 0 ? LINK_TO_ALL : LINK_TO_US;

	if (it->p.kind == PACKET_NOT_IP && load_u16(frame + it->p.ip - 2) != htons(ETHERTYPE_ARP))
		kind = LINK_OTHER;
	return BORDER_CLASSES + (unsigned)it->interface * BORDER_LINK_KINDS + (unsigned)kind;
}

/* May it pass? Else why not. */
static bool judge(const struct watchtower *t, const struct verdict *v, enum dp_counter *reason)
{
	if (v->link) {
		*reason = DP_COUNTER_DROP_LINK_RATE;
		return budget_take(t, link_budget(v->it));
	}
	if (v->ban != NULL) {
		prefix_entry_hit(v->ban);
		*reason = DP_COUNTER_DROP_BANNED;
	} else if (v->access != NULL && !v->access->permit) {
		prefix_entry_hit(v->access);
		*reason = DP_COUNTER_DROP_ACCESS_DENIED;
	} else {
		if (v->access != NULL)
			prefix_entry_hit(v->access);
		if (v->trust != NULL)
			prefix_entry_hit(v->trust);
		return v->trusted ? take_trusted(t, v, reason) : take_untrusted(t, v, reason);
	}
	source_table_dropped(t->b->sources[v->trusted], v->place, &v->source);
	return false;
}

/* A ban of a port that is about datagrams alone does not stand before one of the host or its network. */
static void ban_of_tcp(const struct border *b, const struct packet *p, const struct prefix_query *query,
	uint64_t now_us, const struct prefix_entry **ban)
{
	struct prefix_query host = *query;

	if (p->class != PACKET_OTHER || p->protocol != IPPROTO_TCP)
		return;
	host.port = 0;
	prefix_table_match(b->bans, &host, 1, now_us, ban);
}

/* Asks the three tables about the whole burst, and for the lines of its sources. */
static void look_up(const struct watchtower *t, struct verdict *v, struct item **items, unsigned n)
{
	struct border *b = t->b;
	const struct worker *w = t->w;
	struct prefix_query query[BURST];
	const struct prefix_entry *ban[BURST], *access[BURST], *trust[BURST];

	query[0] = (struct prefix_query){ 0 }; /* the compiler does not know that n > 0 */
	for (unsigned i = 0; i < n; i++) {
		v[i].it = items[i];
		if (unlikely(items[i]->p.is_fragment))
			fragment_follow(
				&b->worker[w->index].fragments, &b->fragment_key, &items[i]->p, w->now_us);
		if (!question(t->policy, &v[i], &query[i]))
			continue;
		prefix_table_prefetch(b->bans, &query[i]);
		v[i].source = source_of(&query[i].ip, query[i].family, 0);
		v[i].place = source_table_prefetch(b->sources[0], &v[i].source);
	}
	prefix_table_match(b->bans, query, n, w->now_us, ban);
	prefix_table_match(t->policy->access, query, n, w->now_us, access);
	prefix_table_match(b->trust, query, n, w->now_us, trust);
	for (unsigned i = 0; i < n; i++) {
		if (unlikely(ban[i] != NULL) && ban[i]->datagrams)
			ban_of_tcp(b, &items[i]->p, &query[i], w->now_us, &ban[i]);
		v[i].ban = ban[i];
		v[i].access = access[i];
		v[i].trust = trust[i];
		if (!v[i].link)
			choose_source(b, &v[i]);
	}
	for (unsigned i = 0; i < n; i++)
		if (!v[i].link)
			source_table_prefetch_line(b->sources[v[i].trusted], v[i].place, w->now_us);
}

void border_burst(
	struct worker *w, struct item **items, unsigned n, void (*mirror)(struct worker *w, struct item *it))
{
	struct border *b = w->shared->border;
	const struct watchtower t = { b, __atomic_load_n(&b->policy, __ATOMIC_ACQUIRE), w };
	struct verdict verdicts[BURST];
	enum dp_counter reason;

	look_up(&t, verdicts, items, n);
	for (unsigned i = 0; i < n; i++)
		if (likely(judge(&t, &verdicts[i], &reason)))
			mirror(w, items[i]);
		else
			worker_drop_from(w, items[i]->m, items[i]->interface, reason);
}

struct prefix_table *border_bans(const struct border *b)
{
	return b->bans;
}

struct prefix_table *border_access(const struct border *b)
{
	return b->policy->access;
}

struct prefix_table *border_trust(const struct border *b)
{
	return b->trust;
}

struct source_table *border_sources(const struct border *b, bool trusted)
{
	return b->sources[trusted];
}
