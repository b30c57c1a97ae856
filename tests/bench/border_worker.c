/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stranger's SIP packet costs at the border: bursts through border_burst, sources at random, with so many bans.
 *
 * usage: border_worker hosts|mixed BANS BANNED-PERCENT SECONDS [lookup|hash]
 * hosts: bans of single addresses; mixed: one in 20 a network of one of four sizes, one in 20 a single port of an
 * address. BANNED-PERCENT of the packets
 * come from a banned source, the others from anywhere else. With "lookup" only the table is asked, with "hash" an rte_hash of the
 * same addresses (lock-free, lookup in bulk) instead of it. Only that is timed, not who writes the packets. Prints one JSON object;
 * cycles_per_packet is the median of the batches. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_mempool.h>

#include "dataplane/border.h"
#include "dataplane/prefix_table.h"
#include "dataplane/relay.h"
#include "dataplane/worker.h"

enum {
	BATCH = BURST, /* written and at once judged, as a worker does it */
	POOL = 2047,
	COSTS = 65536,
	FRAME = 214,
	SOURCES = 1 << 22, /* far more than any table remembers */
	TRUSTED = 1000,
	BANS_MAX = 10000000,
};

enum what { WHAT_BORDER, WHAT_LOOKUP, WHAT_HASH };

static struct {
	bool mixed;
	unsigned bans, banned_percent;
	double seconds;
	enum what what;
} options;

static struct worker_shared shared;
static struct worker *worker;
static struct rte_mempool *pool;
static struct rte_hash *hash;
static struct prefix_table *bans;
static struct prefix_key *keys;
static uint32_t *sources;
static uint64_t random_state = 88172645463325252ULL;
static unsigned passed;

static void die(const char *what)
{
	fprintf(stderr, "border_worker: %s\n", what);
	exit(1);
}

/* xorshift: the same sources every time. */
static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

static void make_key(struct prefix_key *k, unsigned number)
{
	static const uint8_t lengths[] = { 20, 22, 24, 28 };
	*k = (struct prefix_key){ .family = 4, .length = 32, .scope = PREFIX_SCOPE_ANY };
	if (options.mixed && number % 20 == 0)
		k->length = lengths[number / 20 % RTE_DIM(lengths)];
	else if (options.mixed && number % 20 == 1)
		k->port = htons(5060);
	k->ip.word[0] = next_random();
	prefix_mask(&k->ip, 4, k->length);
}

static void make_bans(void)
{
	unsigned i = 0;

	keys = calloc(options.bans + 1, sizeof(*keys));
	if (keys == NULL)
		die("no memory");
	while (i < options.bans) {
		struct prefix_entry e = { 0 };
		bool evicted;

		make_key(&keys[i], i);
		e.key = keys[i];
		if (prefix_table_set(bans, &e, "bench", worker->now_us, false, &evicted) != 0)
			die("a ban cannot be set");
		if (prefix_table_count(bans) > i) /* else it came twice */
			i++;
	}
}

static void make_hash(void)
{
	struct rte_hash_parameters parameters = { .name = "bans",
		.entries = options.bans + 8,
		.key_len = sizeof(union host),
		.hash_func = rte_hash_crc,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF };

	hash = rte_hash_create(&parameters);
	if (hash == NULL)
		die("no rte_hash");
	for (unsigned i = 0; i < options.bans; i++)
		if (rte_hash_add_key(hash, &keys[i].ip) < 0)
			die("a key cannot be added");
}

static bool is_banned(uint32_t address)
{
	struct prefix_query query = {
		.ip.word[0] = address, .port = htons(5060), .scope = PREFIX_SCOPE_ANY, .family = 4
	};
	const struct prefix_entry *found;

	prefix_table_match(bans, &query, 1, worker->now_us, &found);
	return found != NULL;
}

static void make_sources(void)
{
	sources = calloc(SOURCES, sizeof(*sources));
	if (sources == NULL)
		die("no memory");
	for (unsigned i = 0; i < SOURCES; i++) {
		if (options.bans != 0 && next_random() % 100 < options.banned_percent) {
			sources[i] = keys[next_random() % options.bans].ip.word[0];
			continue;
		}
		do
			sources[i] = next_random();
		while (is_banned(sources[i]));
	}
}

/* As the configuration's defaults make it. */
static void make_border(void)
{
	static const struct border_realm realm = { .trusted = false };
	struct border_service sip = {
		.ip.word[0] = htonl(0xcb00710a), .port = htons(5060), .realm = 0, .family = 4
	};
	struct prefix_table *trust = prefix_table_new(200000, shared.rcu);
	struct border_config config = { .untrusted = { [SOURCE_PACKETS] = { 20, 40 },
						[SOURCE_STREAM] = { 400, 800 },
						[SOURCE_SYN] = { 10, 20 } },
		.class = { [BORDER_UNTRUSTED] = { 20000, 2000 },
			[BORDER_SYN] = { 2000, 200 },
			[BORDER_LINK] = { 5000, 500 } },
		.services = &sip,
		.service_count = 1,
		.realms = &realm,
		.realm_count = 1 };

	config.access = prefix_table_new(1024, shared.rcu);
	if (config.access == NULL || trust == NULL)
		die("no memory");
	for (unsigned i = 0; i < TRUSTED; i++) {
		struct prefix_entry e = { .key = { .family = 4, .length = 32, .scope = PREFIX_SCOPE_ANY } };
		bool evicted;

		e.key.ip.word[0] = htonl(0x0a000000 + i);
		if (prefix_table_set(trust, &e, NULL, worker->now_us, false, &evicted) != 0)
			die("a trusted source cannot be set");
	}
	shared.border = border_new(bans, trust, 262144, border_policy_new(&config));
	if (shared.border == NULL)
		die("no border");
}

static void mirror(struct worker *w, struct item *it)
{
	(void)w;
	passed++;
	rte_pktmbuf_free(it->m);
}

static void write_items(struct item *items, unsigned n, unsigned *at)
{
	for (unsigned i = 0; i < n; i++) {
		struct item *it = &items[i];
		uint8_t *frame;

		it->m = rte_pktmbuf_alloc(pool);
		if (it->m == NULL)
			die("no packet buffers");
		frame = (uint8_t *)rte_pktmbuf_append(it->m, FRAME);
		memset(frame, 0, 64);
		it->interface = 0;
		it->p = (struct packet){ .class = PACKET_UDP,
			.family = 4,
			.ip = 14,
			.udp = 34,
			.payload = FRAME - 42,
			.source_port = htons(5060),
			.dest_port = htons(5060) };
		it->p.source.word[0] = sources[*at];
		it->p.dest.word[0] = htonl(0xcb00710a);
		*at = (*at + 1) % SOURCES;
	}
}

static void drop_items(struct item *items, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rte_pktmbuf_free(items[i].m);
}

static unsigned ask_table(const struct item *items)
{
	struct prefix_query query[BURST];
	const struct prefix_entry *found[BURST];
	unsigned hits = 0;

	for (unsigned i = 0; i < BURST; i++)
		query[i] = (struct prefix_query){ .ip = items[i].p.source,
			.port = items[i].p.source_port,
			.scope = PREFIX_SCOPE_ANY,
			.family = 4 };
	prefix_table_match(bans, query, BURST, worker->now_us, found);
	for (unsigned i = 0; i < BURST; i++)
		hits += found[i] != NULL;
	return hits;
}

static unsigned ask_hash(const struct item *items)
{
	const void *key[BURST];
	int32_t position[BURST];
	unsigned hits = 0;

	for (unsigned i = 0; i < BURST; i++)
		key[i] = &items[i].p.source;
	if (rte_hash_lookup_bulk(hash, key, BURST, position) != 0)
		die("rte_hash_lookup_bulk");
	for (unsigned i = 0; i < BURST; i++)
		hits += position[i] >= 0;
	return hits;
}

/* One burst, timed; the packets are gone afterwards. */
static uint64_t run_burst(struct item *items, unsigned *hits)
{
	struct item *pointers[BURST];

	for (unsigned i = 0; i < BURST; i++)
		pointers[i] = &items[i];
	uint64_t began = rte_rdtsc();

	if (options.what == WHAT_BORDER)
		border_burst(worker, pointers, BURST, mirror);
	else
		*hits += options.what == WHAT_LOOKUP ? ask_table(items) : ask_hash(items);
	uint64_t spent = rte_rdtsc() - began;

	if (options.what != WHAT_BORDER)
		drop_items(items, BURST);
	return spent;
}

static void measure(void)
{
	static struct item items[BATCH];
	/* Batches by cycles per packet: the median does not mind other processes. */
	static uint64_t costs[COSTS];
	uint64_t began = rte_rdtsc(), hz = rte_get_tsc_hz(), packets = 0, warm = 0;
	unsigned at = 0, hits = 0;

	while (rte_rdtsc() - began < (uint64_t)(options.seconds * (double)hz)) {
		uint64_t spent = 0;

		write_items(items, BATCH, &at);
		worker->now_us = worker->us_base + (rte_rdtsc() - worker->tsc_base) * 1000000 / hz;
		for (unsigned i = 0; i < BATCH; i += BURST)
			spent += run_burst(&items[i], &hits);
		if ((warm += BATCH) <= SOURCES / 4)
			continue;
		costs[RTE_MIN(spent * 10 / BATCH, COSTS - 1ULL)]++;
		packets += BATCH;
	}
	uint64_t seen = 0, median = 0;

	while (packets != 0 && (seen += costs[median]) * 2 * BATCH < packets)
		median++;
	printf("{\"bans\": %u, \"banned_percent\": %u, \"packets\": %" PRIu64
	       ", \"cycles_per_packet\": %.1f, \"banned\": %" PRIu64 ", \"passed\": %u, \"hits\": %u}\n",
		options.bans, options.banned_percent, packets, (double)median / 10,
		worker->counter[DP_COUNTER_DROP_BANNED], passed, hits);
}

static void start_eal(const char *program)
{
	const char *cpu = getenv("BENCH_CPU");
	char lcores[16] = "0@0", name[64];
	char *eal[] = { name, (char[]){ "--no-huge" }, (char[]){ "--no-pci" }, (char[]){ "--no-shconf" },
		(char[]){ "-m" }, (char[]){ "512" }, (char[]){ "--lcores" }, lcores,
		(char[]){ "--log-level" }, (char[]){ "*:error" }, (char[]){ "--no-telemetry" },
		(char[]){ "--iova-mode=va" } };

	snprintf(name, sizeof(name), "%s", program);
	if (cpu != NULL)
		snprintf(lcores, sizeof(lcores), "0@%.8s", cpu);
	if (rte_eal_init((int)RTE_DIM(eal), eal) < 0)
		die("EAL");
}

static void make_worker(void)
{
	size_t size = rte_rcu_qsbr_get_memsize(1);

	shared.rcu = aligned_alloc(64, (size + 63) / 64 * 64);
	worker = aligned_alloc(64, sizeof(*worker));
	if (shared.rcu == NULL || worker == NULL || rte_rcu_qsbr_init(shared.rcu, 1) != 0)
		die("no memory");
	memset(worker, 0, sizeof(*worker));
	if (worker_init(worker, &shared, 0, 0) != 0)
		die("worker");
	shared.workers = worker;
	shared.worker_count = 1;
	/* One buffer behind the other, as the daemon has them. */
	struct rte_pktmbuf_pool_private data = { .mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE };
	pool = rte_mempool_create("packets", POOL, sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE, 256,
		sizeof(data), rte_pktmbuf_pool_init, &data, rte_pktmbuf_init, NULL, SOCKET_ID_ANY,
		RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (pool == NULL)
		die("no packet buffers");
}

int main(int argc, char **argv)
{
	if (argc < 5)
		die("see the top of border_worker.c");
	options.mixed = strcmp(argv[1], "mixed") == 0;
	options.bans = (unsigned)strtoul(argv[2], NULL, 10);
	options.banned_percent = (unsigned)strtoul(argv[3], NULL, 10);
	options.seconds = strtod(argv[4], NULL);
	if (argc > 5)
		options.what = strcmp(argv[5], "hash") == 0 ? WHAT_HASH : WHAT_LOOKUP;
	if (options.bans > BANS_MAX)
		die("so many bans do not fit");
	start_eal(argv[0]);
	make_worker();
	bans = prefix_table_new(RTE_MAX(options.bans, 1000000U), shared.rcu);
	if (bans == NULL)
		die("no table");
	make_bans();
	make_sources();
	if (options.what == WHAT_HASH)
		make_hash();
	if (options.what == WHAT_BORDER)
		make_border();
	measure();
	return 0;
}
