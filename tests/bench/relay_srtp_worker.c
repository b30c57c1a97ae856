/* SPDX-License-Identifier: BSD-3-Clause */
/* What a packet costs on the worker path when one side has keys, and what part of that is crypto; beside it the same bytes through the
 * bursts of libipsec-mb alone and, inwards, a comparison of tags: no index, no replay list, no header, no packet buffer.
 *
 * usage: relay_srtp_worker SUITE out|in FLOWS [SECONDS]
 * SUITE: 1 = AES_CM_128_HMAC_SHA1_80, 5 = AEAD_AES_128_GCM (enum dp_srtp_suite). out: RTP to SRTP; in: SRTP to RTP. Packets come in
 * shuffled order of the flows. Only the worker's rounds are timed; within them, the calls of dataplane/srtp.h are timed by the linker's
 * --wrap. Prints one JSON object; cycles are medians of the batches. */
#include "tests/bench/relay_bed.h"

#define NO_COMPAT_IMB_API_053 /* its old names are ours too */
#include <intel-ipsec-mb.h>

#include "dataplane/flow_crypto.h"
#include "dataplane/srtp_context.h"

enum { RTP_HEADER_BYTES = 12, TAG_ROOM = 16, CM_TAG = 10, ROC = 4, SHA1 = 20, ROUNDS_MAX = 240, CM = 1 };
/* What packets so short need of gcm_key_data is at its beginning and at its end. */
enum { ROUND_KEYS_128 = 176, HASH_KEYS = 768 };

struct bare_key {
	uint8_t round[ROUNDS_MAX] __attribute__((aligned(16)));
	uint8_t inner[SHA1], outer[SHA1];
};

static bool measuring, inwards;
static unsigned differing; /* so that what bare loops compare is compared */
static uint64_t crypto_spent;
/* Who protects what is to be opened: one key for all, so that it does not push out of the caches what the worker is to find there. */
static struct srtp_context *peers;
static struct srtp_engine *peers_engine;
static uint64_t *indices; /* of the last packet of each call */

void __real_srtp_protect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);
void __wrap_srtp_protect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);
void __real_srtp_unprotect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);
void __wrap_srtp_unprotect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);

void __wrap_srtp_protect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n)
{
	uint64_t began = rte_rdtsc();

	__real_srtp_protect_burst(e, jobs, n);
	if (measuring)
		crypto_spent += rte_rdtsc() - began;
}

void __wrap_srtp_unprotect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n)
{
	uint64_t began = rte_rdtsc();

	__real_srtp_unprotect_burst(e, jobs, n);
	if (measuring)
		crypto_spent += rte_rdtsc() - began;
}

static struct dp_crypto key_of(unsigned suite, uint32_t number)
{
	struct dp_crypto c = { .suite = (uint8_t)suite };

	for (unsigned i = 0; i < (suite == CM ? 30U : 28U); i++)
		c.key[i] = (uint8_t)(number >> (i % 4 * 8)) ^ (uint8_t)(i * 29 + 1);
	return c;
}

/* Keys for the side of each call that has them; only the direction that is measured gets its rule. */
static void make_keys(unsigned suite, uint32_t calls)
{
	struct flow_crypto *crypto = table_memory_new(calls * sizeof(*crypto));
	struct srtp_store *store = NULL;

	struct dp_crypto common = key_of(suite, 0);

	indices = calloc(calls, sizeof(*indices));
	if (srtp_open(calls + 1, &store) != 0 || crypto == NULL || indices == NULL ||
		srtp_context_new(store, &common, SRTP_OUT, &peers) != 0)
		die("no SRTP");
	peers_engine = srtp_engine_new();
	for (uint32_t i = 0; i < calls; i++) {
		struct flow_rule *r = &rules[2 * i + inwards];
		struct dp_crypto key = inwards ? common : key_of(suite, i);
		struct srtp_context *ours = NULL;

		if (srtp_context_new(store, &key, inwards ? SRTP_IN : SRTP_OUT, &ours) != 0)
			die("no keys");
		sources[2 * i + inwards].sequence = 1;
		r->flags |= inwards ? RULE_SRTP_IN : RULE_SRTP_OUT;
		r->crypto = &crypto[i];
		crypto[i].in_number = crypto[i].out_number = 1;
		atomic_store(inwards ? &crypto[i].in : &crypto[i].out, ours);
	}
}

/* What a peer of a side with keys sends. */
static void seal(struct rte_mbuf *m, uint32_t call)
{
	uint8_t *udp = rte_pktmbuf_mtod(m, uint8_t *) + ETHER_HEADER + IPV4_HEADER;
	struct srtp_job j = { .context = peers,
		.packet = udp + UDP_HEADER,
		.length = RTP_BYTES,
		.room = RTP_BYTES + TAG_ROOM };

	peers->source =
		(struct srtp_source){ .ssrc = load_u32(j.packet + 8), .known = 1, .index = indices[call]++ };
	__real_srtp_protect_burst(peers_engine, &j, 1);
	if (j.result != SRTP_OK)
		die("a packet cannot be protected");
	(void)rte_pktmbuf_append(m, (uint16_t)(j.length - RTP_BYTES));
	store_u16(udp + 4, htons((uint16_t)(UDP_HEADER + j.length)));
	uint8_t *ip = udp - IPV4_HEADER;
	store_u16(ip + 2, htons((uint16_t)(IPV4_HEADER + UDP_HEADER + j.length)));
	store_u16(ip + 10, 0);
	store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, IPV4_HEADER)));
}

static uint64_t median_of(const uint64_t *costs, uint64_t batches)
{
	uint64_t seen = 0, median = 0;

	while ((seen += costs[median]) * 2 < batches)
		median++;
	return median;
}

/* --- libipsec-mb alone --- */

static void bare_cm(IMB_MGR *m, struct bare_key *const *keys, uint8_t *const *packets)
{
	static IMB_JOB cipher[BURST], hash[BURST];
	static uint8_t iv[BURST][16], tag[BURST][SHA1];

	for (unsigned i = 0; i < BURST; i++) {
		cipher[i] = (IMB_JOB){ .enc_keys = keys[i]->round,
			.key_len_in_bytes = IMB_KEY_128_BYTES,
			.src = packets[i] + RTP_HEADER_BYTES,
			.dst = packets[i] + RTP_HEADER_BYTES,
			.msg_len_to_cipher_in_bytes = RTP_BYTES - RTP_HEADER_BYTES,
			.iv = iv[i],
			.iv_len_in_bytes = 16,
			.cipher_mode = IMB_CIPHER_CNTR,
			.cipher_direction = IMB_DIR_ENCRYPT };
		hash[i] = (IMB_JOB){ .src = packets[i],
			.msg_len_to_hash_in_bytes = RTP_BYTES + ROC,
			.auth_tag_output = tag[i],
			.auth_tag_output_len_in_bytes = SHA1,
			.hash_alg = IMB_AUTH_HMAC_SHA_1 };
		hash[i].u.HMAC._hashed_auth_key_xor_ipad = keys[i]->inner;
		hash[i].u.HMAC._hashed_auth_key_xor_opad = keys[i]->outer;
	}
	(void)IMB_SUBMIT_CIPHER_BURST_NOCHECK(
		m, cipher, BURST, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
	(void)IMB_SUBMIT_HASH_BURST_NOCHECK(m, hash, BURST, IMB_AUTH_HMAC_SHA_1);
	for (unsigned i = 0; inwards && i < BURST; i++)
		differing += memcmp(tag[i], packets[i] + RTP_BYTES, CM_TAG) != 0;
}

static void bare_gcm(IMB_MGR *m, const struct gcm_key_data *const *keys, uint8_t *const *packets)
{
	static const uint8_t iv[12];

	for (unsigned i = 0; i < BURST; i++) {
		uint8_t *payload = packets[i] + RTP_HEADER_BYTES;
		struct gcm_context_data state;
		uint8_t tag[TAG_ROOM];

		if (inwards)
			IMB_AES128_GCM_DEC(m, keys[i], &state, payload, payload, RTP_BYTES - RTP_HEADER_BYTES,
				iv, packets[i], RTP_HEADER_BYTES, tag, TAG_ROOM);
		else
			IMB_AES128_GCM_ENC(m, keys[i], &state, payload, payload, RTP_BYTES - RTP_HEADER_BYTES,
				iv, packets[i], RTP_HEADER_BYTES, packets[i] + RTP_BYTES, TAG_ROOM);
		differing += inwards && memcmp(tag, packets[i] + RTP_BYTES, TAG_ROOM) != 0;
	}
}

/* Bursts of packets of different flows; cycles per packet. Keys of a burst are asked for before, as good code would. */
static uint64_t bare(unsigned suite, uint32_t flows, double seconds, struct rte_mbuf **batch)
{
	static uint64_t costs[COSTS];
	size_t size = suite == CM ? sizeof(struct bare_key) : sizeof(struct gcm_key_data);
	uint8_t *keys = table_memory_new(flows * size);
	IMB_MGR *m = alloc_mb_mgr(0);
	uint64_t batches = 0, end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());

	if (keys == NULL || m == NULL)
		die("no memory");
	init_mb_mgr_auto(m, NULL);
	for (uint32_t i = 0; i < flows; i++) {
		uint8_t key[16] = { (uint8_t)i, (uint8_t)(i >> 8) },
			unused[ROUNDS_MAX] __attribute__((aligned(16)));

		if (suite == CM)
			IMB_AES_KEYEXP_128(m, key, ((struct bare_key *)keys)[i].round, unused);
		else
			IMB_AES128_GCM_PRE(m, key, &((struct gcm_key_data *)keys)[i]);
	}
	for (uint32_t at = 0; rte_rdtsc() < end || batches < 100; batches++) {
		uint64_t spent = 0;

		for (unsigned b = 0; b < BATCH; b += BURST) {
			void *key[BURST];
			uint8_t *packets[BURST];
			uint64_t began = rte_rdtsc();

			for (unsigned i = 0; i < BURST; i++, at = at + 1 == flows ? 0 : at + 1) {
				key[i] = keys + (size_t)(order[at] / 2) * size;
				packets[i] = rte_pktmbuf_mtod(batch[b + i], uint8_t *) + 42;
				for (size_t line = 0; line < (suite == CM ? size : ROUND_KEYS_128);
					line += 64)
					rte_prefetch0((uint8_t *)key[i] + line);
				for (size_t line = HASH_KEYS; suite != CM && line < size; line += 64)
					rte_prefetch0((uint8_t *)key[i] + line);
			}
			if (suite == CM)
				bare_cm(m, (struct bare_key *const *)key, packets);
			else
				bare_gcm(m, (const struct gcm_key_data *const *)key, packets);
			spent += rte_rdtsc() - began;
		}
		costs[RTE_MIN(spent / BATCH, COSTS - 1ULL)]++;
	}
	free_mb_mgr(m);
	table_memory_free(keys, flows * size);
	return median_of(costs, batches);
}

/* --- the worker --- */

static unsigned poll_measured(struct worker *w, uint64_t *spent)
{
	uint64_t began = rte_rdtsc();
	unsigned n = worker_poll(w);

	if (n != 0)
		*spent += rte_rdtsc() - began;
	return n;
}

static void fill(struct rte_mbuf **batch, uint32_t *at, uint32_t flows)
{
	for (unsigned i = 0; i < BATCH; i++) {
		uint32_t k = order[*at];

		*at = *at + 1 == flows ? 0 : *at + 1;
		write_packet(batch[i], &sources[k], inwards);
		if (inwards)
			seal(batch[i], k / 2);
		rte_ring_sp_enqueue(rx_ring[inwards], batch[i]);
	}
}

static uint64_t run(
	struct worker *w, uint32_t flows, double seconds, struct rte_mbuf **batch, uint64_t *crypto)
{
	static uint64_t costs[COSTS], shares[COSTS];
	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	uint64_t batches = 0, total = 0, warm = 2ULL * flows;
	uint32_t at = 0;

	while (rte_rdtsc() < end || total < warm + flows || batches < 100) {
		unsigned got = 0;
		uint64_t spent = 0;

		fill(batch, &at, flows);
		crypto_spent = 0;
		measuring = true;
		while (poll_measured(w, &spent) != 0)
			;
		measuring = false;
		got = rte_ring_sc_dequeue_burst(tx_ring[!inwards], (void **)batch, BATCH, NULL);
		if (got != BATCH)
			die("packets were lost");
		total += got;
		if (total < warm)
			continue;
		costs[RTE_MIN(spent / BATCH, COSTS - 1ULL)]++;
		shares[RTE_MIN(crypto_spent / BATCH, COSTS - 1ULL)]++;
		batches++;
	}
	if (w->counter[DP_COUNTER_MEDIA_RELAYED] != total)
		die("not everything was relayed");
	*crypto = median_of(shares, batches);
	return median_of(costs, batches);
}

int main(int argc, char **argv)
{
	const char *cpu = getenv("BENCH_CPU");
	char lcores[16] = "0@0";
	char *eal[] = { argv[0], (char[]){ "--no-huge" }, (char[]){ "--no-pci" }, (char[]){ "--no-shconf" },
		(char[]){ "-m" }, (char[]){ "128" }, (char[]){ "--lcores" }, lcores,
		(char[]){ "--log-level" }, (char[]){ "*:error" }, (char[]){ "--no-telemetry" },
		(char[]){ "--iova-mode=va" } };
	struct rte_mbuf *batch[BATCH];
	uint64_t crypto;

	if (argc < 4)
		die("usage: relay_srtp_worker SUITE out|in FLOWS [SECONDS]");
	unsigned suite = (unsigned)strtoul(argv[1], NULL, 10);
	inwards = argv[2][0] == 'i';
	uint32_t flows = (uint32_t)strtoul(argv[3], NULL, 10), mine = 0;
	double seconds = argc > 4 ? strtod(argv[4], NULL) : 2;
	if (cpu != NULL)
		snprintf(lcores, sizeof(lcores), "0@%.8s", cpu);
	dense = true;
	if (rte_eal_init((int)RTE_DIM(eal), eal) < 0)
		die("EAL");
	open_devices();
	make_flows(2 * flows);
	for (uint32_t i = 0; i < 2 * flows; i++)
		if (order[i] % 2 == inwards)
			order[mine++] = order[i];
	make_keys(suite, flows);
	struct worker *w = aligned_alloc(64, sizeof(*w));
	memset(w, 0, sizeof(*w));
	shared.srtp = true;
	if (worker_init(w, &shared, 0, 0) != 0)
		die("worker");
	shared.workers = w;
	shared.worker_count = 1;
	if (rte_mempool_get_bulk(pool, (void **)batch, BATCH) != 0)
		die("mbufs");
	uint64_t whole = run(w, flows, seconds, batch, &crypto);
	uint64_t alone = bare(suite, flows, seconds / 2, batch);
	printf("{\"suite\": %u, \"flows\": %u, \"cycles_per_packet\": %" PRIu64
	       ", \"crypto_cycles\": %" PRIu64 ", \"bare_cycles\": %" PRIu64 ", \"tsc_hz\": %" PRIu64 "}\n",
		suite, flows, whole, crypto, alone, rte_get_tsc_hz());
	return 0;
}
