/* SPDX-License-Identifier: BSD-3-Clause */
/* What a packet costs by the way it is protected: bursts of libipsec-mb alone (keystream, tag, comparison of what is opened), libsrtp2
 * as Debian ships it, path A, path B; in one program, by how many sessions the packets are of.
 *
 * usage: srtp [SECONDS of each case]
 * Bursts of 32 packets of G.711, each of another session where there are so many, in shuffled order. Prints a JSON line per case:
 * nanoseconds a packet, median of the bursts. */
#include <arpa/inet.h>
#include <sched.h>
#include <time.h>
#include <x86intrin.h>

#define NO_COMPAT_IMB_API_053 /* its old names are ours too */
#include <intel-ipsec-mb.h>

#include "dataplane/table_memory.h"
#include "tests/unit/dataplane/srtp_bed.h"

enum {
	BURST = 32,
	HEADER = 12,
	LENGTH = 172,
	BUFFER = 256,
	COSTS = 1 << 20,
	STOCK_MAX = 1000,
	SESSIONS_MAX = 20000,
	ROUND_KEYS_128 = 176, /* at the beginning of gcm_key_data */
	HASH_KEYS = 768 /* to its end */
};

enum path { BARE, STOCK, PATH_A, PATH_B, PATHS };

static const char *const path_name[PATHS] = { "bare", "stock", "path-a", "path-b" };

struct bare_key {
	struct engine_cm_keys cm;
	struct gcm_key_data gcm;
};

struct session {
	uint16_t sequence[PATHS];
	struct srtp_context *ours[2]; /* A, B */
	struct srtp_context *peer[2];
	srtp_t stock, stock_peer;
};

static struct session sessions[SESSIONS_MAX];
static struct bare_key *bare;
static uint32_t order[SESSIONS_MAX];
static uint8_t buffers[BURST][BUFFER] __attribute__((aligned(64)));
static uint32_t costs[COSTS];
static IMB_MGR *manager;
static struct bed bed;
static bool gcm, inwards;
static unsigned long wrong; /* tags of libipsec-mb alone, which has no index and no IV: all */
static unsigned at;

static void die(const char *why)
{
	fprintf(stderr, "srtp: %s\n", why);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct dp_crypto key_of(uint32_t number)
{
	struct dp_crypto c = { .suite = gcm ? DP_SRTP_AEAD_AES_128_GCM : DP_SRTP_AES_CM_128_HMAC_SHA1_80 };

	for (unsigned i = 0; i < (gcm ? 28U : 30U); i++)
		c.key[i] = (uint8_t)(number >> (i % 4 * 8)) ^ (uint8_t)(i * 29 + 1);
	return c;
}

/* libsrtp2's sessions with its own ciphers. */
static void make_stock(unsigned n)
{
	bed_stock_crypto();
	for (uint32_t i = 0; i < n; i++) {
		struct dp_crypto key = key_of(i);

		sessions[i].stock = bed_session(&key, true);
		sessions[i].stock_peer = bed_session(&key, false);
	}
	bed_our_crypto(&bed);
}

static struct srtp_context *make_context(
	const struct dp_crypto *key, enum srtp_direction direction, bool library)
{
	struct srtp_context *c = NULL;

	if (srtp_context_new(bed.store, key, direction, &c) != 0)
		die("no context");
	if (library)
		c->flags |= CONTEXT_LIBRARY;
	return c;
}

/* One table after the other: what is measured lies together. */
static void make_ours(unsigned n)
{
	for (unsigned path = 0; path < 2; path++)
		for (unsigned in = 0; in < 2; in++)
			for (uint32_t i = 0; i < n; i++) {
				struct dp_crypto key = key_of(i);

				*(in != 0 ? &sessions[i].peer[path] : &sessions[i].ours[path]) =
					make_context(&key, in != 0 ? SRTP_IN : SRTP_OUT, path == 0);
			}
	for (uint32_t i = 0; i < n; i++) {
		struct dp_crypto key = key_of(i);

		engine_counter_key(bed.engine, &bare[i].cm, key.key, 16);
		engine_hash_key(bed.engine, &bare[i].cm, key.key, 20);
		IMB_AES128_GCM_PRE(manager, key.key, &bare[i].gcm);
	}
}

static void drop(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned path = 0; path < 2; path++) {
			srtp_context_free(bed.store, sessions[i].ours[path]);
			srtp_context_free(bed.store, sessions[i].peer[path]);
		}
	for (unsigned i = 0; i < n && sessions[i].stock != NULL; i++) {
		(void)srtp_dealloc(sessions[i].stock);
		(void)srtp_dealloc(sessions[i].stock_peer);
	}
	memset(sessions, 0, sizeof(sessions));
}

/* --- the ways --- */

/* What packets so short need of a key. Always inlined: else the compiler takes it for a function without effect, and leaves it out. */
static inline __attribute__((always_inline)) void prefetch_bare(const uint32_t *who)
{
	for (unsigned i = 0; i < BURST; i++) {
		const char *key = gcm ? (const char *)&bare[who[i]].gcm : (const char *)&bare[who[i]].cm;

		for (unsigned line = 0; line < (gcm ? ROUND_KEYS_128 : sizeof(bare->cm)); line += 64)
			__builtin_prefetch(key + line);
		for (unsigned line = HASH_KEYS; gcm && line < sizeof(bare->gcm); line += 64)
			__builtin_prefetch(key + line);
	}
}

static void run_bare_cm(const uint32_t *who)
{
	static IMB_JOB cipher[BURST], hash[BURST];
	static uint8_t iv[BURST][16], tag[BURST][20];

	for (unsigned i = 0; i < BURST; i++) {
		const struct engine_cm_keys *k = &bare[who[i]].cm;

		cipher[i] = (IMB_JOB){ .enc_keys = k->round,
			.key_len_in_bytes = IMB_KEY_128_BYTES,
			.src = buffers[i] + HEADER,
			.dst = buffers[i] + HEADER,
			.msg_len_to_cipher_in_bytes = LENGTH - HEADER,
			.iv = iv[i],
			.iv_len_in_bytes = 16,
			.cipher_mode = IMB_CIPHER_CNTR,
			.cipher_direction = IMB_DIR_ENCRYPT };
		hash[i] = (IMB_JOB){ .src = buffers[i],
			.msg_len_to_hash_in_bytes = LENGTH + 4,
			.auth_tag_output = tag[i],
			.auth_tag_output_len_in_bytes = 20,
			.hash_alg = IMB_AUTH_HMAC_SHA_1 };
		hash[i].u.HMAC._hashed_auth_key_xor_ipad = k->inner;
		hash[i].u.HMAC._hashed_auth_key_xor_opad = k->outer;
	}
	(void)IMB_SUBMIT_CIPHER_BURST_NOCHECK(
		manager, cipher, BURST, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
	(void)IMB_SUBMIT_HASH_BURST_NOCHECK(manager, hash, BURST, IMB_AUTH_HMAC_SHA_1);
	for (unsigned i = 0; inwards && i < BURST; i++)
		wrong += !engine_equal(tag[i], buffers[i] + LENGTH, 10);
}

static void run_bare_gcm(const uint32_t *who)
{
	static const uint8_t iv[12];
	uint8_t tag[BURST][16];
	struct gcm_context_data state;

	for (unsigned i = 0; i < BURST; i++) {
		uint8_t *p = buffers[i] + HEADER;

		if (inwards)
			IMB_AES128_GCM_DEC(manager, &bare[who[i]].gcm, &state, p, p, LENGTH - HEADER, iv,
				buffers[i], HEADER, tag[i], 16);
		else
			IMB_AES128_GCM_ENC(manager, &bare[who[i]].gcm, &state, p, p, LENGTH - HEADER, iv,
				buffers[i], HEADER, tag[i], 16);
	}
	for (unsigned i = 0; inwards && i < BURST; i++)
		wrong += !engine_equal(tag[i], buffers[i] + LENGTH, 16);
}

static void run_stock(const uint32_t *who, const uint16_t *length)
{
	for (unsigned i = 0; i < BURST; i++) {
		int n = length[i];

		if ((inwards ? srtp_unprotect(sessions[who[i]].stock_peer, buffers[i], &n)
			     : srtp_protect(sessions[who[i]].stock, buffers[i], &n)) != srtp_err_status_ok)
			die("libsrtp2 refuses a packet");
	}
}

static void check(const struct srtp_job *jobs)
{
	for (unsigned i = 0; i < BURST; i++)
		if (jobs[i].result != SRTP_OK)
			die("a packet is refused");
}

/* --- measuring --- */

static void fill(enum path path, const uint32_t *who)
{
	for (unsigned i = 0; i < BURST; i++) {
		buffers[i][0] = 0x80;
		store_u16(buffers[i] + 2, htons(sessions[who[i]].sequence[path]++));
		store_u32(buffers[i] + 8, who[i] + 1);
	}
}

/* One burst; cycles. */
static uint64_t burst(enum path path, const uint32_t *who)
{
	struct srtp_job out[BURST], in[BURST];
	uint16_t length[BURST];
	unsigned ours = path == PATH_B;

	fill(path, who);
	for (unsigned i = 0; i < BURST; i++) {
		const struct session *s = &sessions[who[i]];

		length[i] = LENGTH;
		out[i] = in[i] = (struct srtp_job){
			.context = s->ours[ours], .packet = buffers[i], .length = LENGTH, .room = BUFFER
		};
		in[i].context = s->peer[ours];
	}
	if (inwards && path == STOCK)
		for (unsigned i = 0; i < BURST; i++) {
			int n = LENGTH;

			(void)srtp_protect(sessions[who[i]].stock, buffers[i], &n);
			length[i] = (uint16_t)n;
		}
	if (inwards && path >= PATH_A) {
		srtp_protect_burst(bed.engine, out, BURST);
		for (unsigned i = 0; i < BURST; i++)
			in[i].length = out[i].length;
	}
	uint64_t began = __rdtsc();
	if (path == BARE) {
		prefetch_bare(who);
		(gcm ? run_bare_gcm : run_bare_cm)(who);
	} else if (path == STOCK) {
		run_stock(who, length);
	} else if (inwards) {
		srtp_unprotect_burst(bed.engine, in, BURST);
	} else {
		srtp_protect_burst(bed.engine, out, BURST);
	}
	uint64_t spent = __rdtsc() - began;
	if (path >= PATH_A)
		check(inwards ? in : out);
	return spent;
}

static void next_burst(uint32_t *who, unsigned n)
{
	for (unsigned i = 0; i < BURST; i++) {
		who[i] = order[at];
		at = (at + 1) % n;
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The median burst's nanoseconds a packet. */
static double measure(enum path path, unsigned n, double seconds, double ghz)
{
	uint32_t who[BURST];
	unsigned count = 0;

	for (unsigned i = 0; i < 2 * n / BURST + 8; i++) {
		next_burst(who, n);
		(void)burst(path, who);
	}
	for (uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
		count < COSTS && (count < 32 || now_ns() < end); count++) {
		next_burst(who, n);
		costs[count] = (uint32_t)burst(path, who);
	}
	qsort(costs, count, sizeof(costs[0]), compare);
	return costs[count / 2] / ghz / BURST;
}

static void shuffle(unsigned n)
{
	uint32_t x = 1;

	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		x = x * 1664525 + 1013904223;
		uint32_t k = (x >> 8) % i, kept = order[i - 1];

		order[i - 1] = order[k];
		order[k] = kept;
	}
	at = 0;
}

static double cycles_per_ns(void)
{
	uint64_t ns = now_ns(), cycles = __rdtsc();

	while (now_ns() - ns < 100000000)
		continue;
	return (double)(__rdtsc() - cycles) / (double)(now_ns() - ns);
}

static void case_of(enum path path, double seconds, double ghz, unsigned n)
{
	double ns = measure(path, n, seconds, ghz);

	printf("{\"suite\": \"%s\", \"direction\": \"%s\", \"path\": \"%s\", \"sessions\": %u, \"ns\": "
	       "%.1f}\n",
		gcm ? "gcm-128" : "aes-cm-80", inwards ? "unprotect" : "protect", path_name[path], n, ns);
	(void)fflush(stdout);
}

/* New sessions for each direction: who has not followed the sender cannot know its rollover counter. */
static void cases(double seconds, double ghz, unsigned n)
{
	shuffle(n);
	for (int direction = 0; direction < 2; direction++) {
		inwards = direction == 1;
		if (n <= STOCK_MAX)
			make_stock(n);
		make_ours(n);
		for (enum path path = BARE; path < PATHS; path++)
			if (path != STOCK || n <= STOCK_MAX)
				case_of(path, seconds, ghz, n);
		drop(n);
	}
}

int main(int argc, char **argv)
{
	static const unsigned sizes[] = { 1, 1000, SESSIONS_MAX };
	const char *cpu = getenv("BENCH_CPU");
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1, ghz;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)(cpu != NULL ? strtoul(cpu, NULL, 10) : 0), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		die("no such CPU");
	ghz = cycles_per_ns();
	bed = (struct bed){ .engine = srtp_engine_new() };
	bare = table_memory_new(SESSIONS_MAX * sizeof(*bare));
	manager = alloc_mb_mgr(0);
	if (bed.engine == NULL || bare == NULL || manager == NULL ||
		srtp_open(4 * SESSIONS_MAX, &bed.store) != 0)
		die("no memory, or no AES");
	init_mb_mgr_auto(manager, NULL);
	for (int suite = 0; suite < 2; suite++) {
		gcm = suite == 1;
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			cases(seconds, ghz, sizes[i]);
	}
	return 0;
}
