/* SPDX-License-Identifier: BSD-3-Clause */
/* How long each packet of RTP is in the SBC, and what the machine took of that time.
 *
 * usage: delays -l FLOWS-FILE -S NAMESPACE,IF,IF -A NAMESPACE,IF -B NAMESPACE,IF -b BEGIN-NS -s SLICE-MS -n SLICES -c CPU,CPU
 *               [-w THREAD,THREAD...]
 * FLOWS-FILE as of traffic.c; each flow has a packet of 20 ms G.711 all the while. A packet's time goes from when the kernel of the SBC's node takes
 * it in at its interface to when the kernel of the peer's does, by the kernel's own time stamps: when it was sent, and how late, is of no
 * account. BEGIN-NS: CLOCK_REALTIME. Prints for the even and the odd slices, without what is near to their edges: packets, lost ones, those
 * over a millisecond and how many of them are so without what was taken away: a timer's interrupts come every 100 us on both CPUs (-c: the packet
 * worker's first), and where they stay away nothing ran there, the kernel included. Of the other CPU only that counts which began as the packet
 * came. What other threads than ours (-w) had of the worker's CPU is taken off, too, and told apart. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/checksum.h"
#include "platforms/base/span.h"
#include "tests/bench/slice_clock.h"

enum {
	FLOWS_MAX = 1000,
	SIDES = 2,
	CPUS = 2,
	WAYS = 4, /* captures: two ways in, two ways out */
	PAYLOAD = 160,
	RTP = 12,
	MARK = 0x5a117031,
	PACKETS_A_SECOND = 50,
	CAPTURE_OCTETS = 256 << 20,
	BATCH = 64,
	DRAIN_EVERY = 20, /* packets sent */
	RECEIVE_OCTETS = 4096,
	RING_PAGES = 1024,
	GAPS_MAX = 1 << 20,
	THREADS_MAX = 1000,
};

static const int64_t TICK = 100000, GAP = 150000, LATE = 1000000, EDGE = 300000000, NEAR_ENTRY = 100000;

struct flow {
	int fd;
	unsigned side;
	struct sockaddr_in to;
	unsigned sent;
};

struct gap {
	int64_t from, to;
	pid_t thread; /* who was there at its end; of those that are told apart by it */
};

static struct {
	const char *flows;
	char *node[1 + SIDES];
	int64_t begin, slice;
	unsigned slices, cpu[CPUS], threads;
	pid_t thread[THREADS_MAX];
} options;

static struct flow flows[FLOWS_MAX];
static unsigned flow_count, each; /* packets of a flow */
static int64_t *entered, *left; /* [flow * each + number] */
static int captures[WAYS];

/* What was taken of a CPU. */
static struct cpu {
	struct perf_event_mmap_page *ring;
	struct gaps {
		struct gap *gap;
		unsigned count;
	} nobody, others, all; /* nothing ran there, other programs did; who did, thread by thread */
	int64_t last; /* tick */
} cpus[CPUS];

static void die(const char *what, int error)
{
	fprintf(stderr, "delays: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

/* --- the machine ---------------------------------------------------------------------------------------------------------- */

static void watch_open(unsigned n)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = (uint64_t)TICK,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		.use_clockid = 1,
		.clockid = CLOCK_REALTIME };
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, options.cpu[n], -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		die("perf_event_open", errno);
	cpus[n].ring = mmap(NULL, (1 + RING_PAGES) * 4096UL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cpus[n].nobody.gap = calloc(GAPS_MAX, sizeof(struct gap));
	cpus[n].others.gap = calloc(GAPS_MAX, sizeof(struct gap));
	cpus[n].all.gap = calloc(GAPS_MAX, sizeof(struct gap));
	if (cpus[n].ring == MAP_FAILED || !cpus[n].nobody.gap || !cpus[n].others.gap || !cpus[n].all.gap)
		die("perf ring", errno);
}

static bool is_ours(pid_t thread)
{
	for (unsigned i = 0; i < options.threads; i++)
		if (options.thread[i] == thread)
			return true;
	return thread == 0;
}

static void gap_add(struct gaps *g, int64_t from, int64_t to, pid_t thread)
{
	struct gap *last = g->count ? &g->gap[g->count - 1] : NULL;

	if (last && last->to == from && last->thread == thread)
		last->to = to;
	else if (g->count < GAPS_MAX)
		g->gap[g->count++] = (struct gap){ from, to, thread };
}

static void tick(struct cpu *c, pid_t thread, int64_t at)
{
	if (c->last != 0 && at - c->last > GAP)
		gap_add(&c->nobody, c->last + TICK, at, 0);
	else if (c->last != 0 && c == &cpus[0] && !is_ours(thread))
		gap_add(&c->others, c->last, at, 0);
	if (c->last != 0)
		gap_add(&c->all, c->last, at, thread);
	c->last = at;
}

static void watch(struct cpu *c)
{
	const uint8_t *data = (const uint8_t *)c->ring + c->ring->data_offset;
	const uint64_t size = c->ring->data_size;
	uint64_t head = __atomic_load_n(&c->ring->data_head, __ATOMIC_ACQUIRE), tail = c->ring->data_tail;
	struct {
		struct perf_event_header header;
		uint32_t process, thread;
		uint64_t time;
	} record;

	while (tail < head) {
		for (unsigned i = 0; i < sizeof(record); i++)
			((uint8_t *)&record)[i] = data[(tail + i) % size];
		if (record.header.type == PERF_RECORD_SAMPLE)
			tick(c, (pid_t)record.thread, (int64_t)record.time);
		else if (record.header.type == PERF_RECORD_THROTTLE || record.header.type == PERF_RECORD_LOST)
			c->last =
				0; /* the kernel leaves some out: nothing is known of the time until the next */
		tail += record.header.size;
	}
	__atomic_store_n(&c->ring->data_tail, tail, __ATOMIC_RELEASE);
}

/* --- packets -------------------------------------------------------------------------------------------------------------- */

static void enter_namespace(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		die(path, errno);
	close(fd);
}

/* UDP that comes in at an interface of this namespace. */
static int capture_open(const char *interface)
{
	struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL) /* before anything is dropped at ingress */,
		.sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
	    octets = CAPTURE_OCTETS;

	if (fd < 0 || at.sll_ifindex == 0 ||
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof(octets)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
		bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		die(interface, errno);
	return fd;
}

static void note(unsigned way, const uint8_t *packet, size_t length, int64_t at)
{
	uint32_t mark, flow, n;

	if (length < 20 + 8 + RTP + 12)
		return;
	packet += 20 + 8 + RTP;
	memcpy(&mark, packet, 4);
	memcpy(&flow, packet + 4, 4);
	memcpy(&n, packet + 8, 4);
	if (mark != MARK || flow >= flow_count || n >= each)
		return;
	(way < SIDES ? entered : left)[(size_t)flow * each + n] = at;
}

static bool drain(unsigned way)
{
	static uint8_t packet[BATCH][64];
	static union {
		struct cmsghdr header;
		char octets[64];
	} control[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr message[BATCH];
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ packet[i], sizeof(packet[i]) };
		message[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i],
						       .msg_iovlen = 1,
						       .msg_control = &control[i],
						       .msg_controllen = sizeof(control[i]) } };
	}
	n = recvmmsg(captures[way], message, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		const struct cmsghdr *c = CMSG_FIRSTHDR(&message[i].msg_hdr);
		struct timespec t;

		if (!c || c->cmsg_type != SCM_TIMESTAMPNS)
			die("no time stamp", 0);
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		note(way, packet[i], message[i].msg_len, t.tv_sec * SECOND + t.tv_nsec);
	}
	return n == BATCH;
}

static void drain_all(void)
{
	for (unsigned way = 0; way < WAYS; way++)
		while (drain(way))
			;
	for (unsigned i = 0; i < CPUS; i++)
		watch(&cpus[i]);
}

/* Nobody reads what comes back: a few packets fill the socket, and the kernel drops the others there. */
static void flow_open(struct flow *f, const char *from, unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int octets = RECEIVE_OCTETS;

	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0 || inet_pton(AF_INET, from, &at.sin_addr) != 1 ||
		setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof(octets)) != 0 ||
		bind(f->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		die(from, errno);
}

static void flows_open(unsigned side)
{
	FILE *file = fopen(options.flows, "r");
	unsigned of, from_port, to_port;
	char from[16], to[16], mac[18];

	if (!file)
		die(options.flows, errno);
	while (fscanf(file, "%u %15s %u %15s %u %17s", &of, from, &from_port, to, &to_port, mac) == 6) {
		struct flow *f = &flows[flow_count];

		if (of != side)
			continue;
		if (flow_count++ == FLOWS_MAX)
			die("too many flows", 0);
		f->side = side;
		f->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)to_port) };
		if (inet_pton(AF_INET, to, &f->to.sin_addr) != 1)
			die(to, 0);
		flow_open(f, from, from_port);
	}
	fclose(file);
}

static void flow_send(unsigned number)
{
	struct flow *f = &flows[number];
	uint8_t packet[RTP + PAYLOAD] = { 0x80, 8 };
	uint32_t word[3] = { MARK, number, f->sent };

	memset(packet + RTP, 0xd5, PAYLOAD);
	store_u16(packet + 2, htons((uint16_t)f->sent));
	store_u32(packet + 4, htonl(f->sent * PAYLOAD));
	store_u32(packet + 8, htonl(0x10000 + number));
	memcpy(packet + RTP, word, sizeof(word));
	if (sendto(f->fd, packet, sizeof(packet), MSG_DONTWAIT, (const struct sockaddr *)&f->to,
		    sizeof(f->to)) < 0 &&
		errno != EAGAIN)
		die("sendto", errno);
	f->sent++;
}

static void send_all(void)
{
	const uint64_t all = (uint64_t)flow_count * each;
	const struct sched_param first = { .sched_priority = 2 };

	/* On time if it may; it does not matter. */
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
	for (uint64_t i = 0; i < all; i++) {
		int64_t due = options.begin + (int64_t)(i * (uint64_t)SECOND / PACKETS_A_SECOND / flow_count);

		if (now_ns() < due)
			sleep_until(due);
		flow_send((unsigned)(i % flow_count));
		if (i % DRAIN_EVERY == 0)
			drain_all();
	}
	sleep_until(now_ns() + SECOND);
	drain_all();
}

/* --- what came of it ------------------------------------------------------------------------------------------------------- */

static int64_t overlap(const struct gap *g, int64_t from, int64_t to)
{
	int64_t a = g->from > from ? g->from : from, b = g->to < to ? g->to : to;

	return b > a ? b - a : 0;
}

/* The first that ends after a time. */
static unsigned gap_find(const struct gaps *g, int64_t at)
{
	unsigned low = 0, high = g->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (g->gap[middle].to > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Of the time from `from` to `to`, what these have that began until `until`. */
static int64_t taken(const struct gaps *g, int64_t from, int64_t to, int64_t until)
{
	int64_t all = 0;

	for (unsigned i = gap_find(g, from); i < g->count && g->gap[i].from < until; i++)
		all += overlap(&g->gap[i], from, to);
	return all;
}

/* What nothing of ours can have had. */
static int64_t taken_from(int64_t from, int64_t to)
{
	int64_t worker = taken(&cpus[0].nobody, from, to, to) + taken(&cpus[0].others, from, to, to);
	int64_t entry = taken(&cpus[1].nobody, from, to, from + NEAR_ENTRY);

	return worker > entry ? worker : entry;
}

static int compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static double share(const int64_t *sorted, uint64_t count, double part)
{
	return count ? (double)sorted[(uint64_t)(part * (double)(count - 1))] / 1000 : 0;
}

static bool counts(int64_t at, unsigned odd)
{
	int64_t since = at - options.begin, within = since % options.slice;

	return since >= 0 && since / options.slice % 2 == odd && since / options.slice < options.slices &&
	       within >= EDGE && options.slice - within >= EDGE;
}

static double milliseconds(const struct gaps *g, unsigned odd)
{
	int64_t all = 0;

	for (unsigned i = 0; i < g->count; i++)
		if (counts(g->gap[i].from, odd))
			all += g->gap[i].to - g->gap[i].from;
	return (double)all / 1e6;
}

/* A packet that nothing explains: and who was seen on both CPUs, for whoever wants to know why. */
static void tell(int64_t from, int64_t to, int64_t own)
{
	fprintf(stderr, "# late: at %.4f s for %.3f ms, %.3f ms of it the machine's; there were",
		(double)(from - options.begin) / 1e9, (double)(to - from) / 1e6,
		(double)(to - from - own) / 1e6);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		const struct gaps *g = &cpus[cpu].all;

		fprintf(stderr, "%s", cpu ? " |" : "");
		for (unsigned i = gap_find(g, from); i < g->count && g->gap[i].from < to; i++)
			fprintf(stderr, " %d", g->gap[i].thread);
	}
	fputc('\n', stderr);
}

static void report(unsigned odd)
{
	const uint64_t all = (uint64_t)flow_count * each;
	uint64_t packets = 0, lost = 0, late = 0, ours = 0;
	int64_t *delay = calloc(all, sizeof(*delay)), longest = 0;

	if (!delay)
		die("memory", ENOMEM);
	for (uint64_t i = 0; i < all; i++) {
		int64_t own;

		if (entered[i] == 0 || !counts(entered[i], odd))
			continue;
		if (left[i] == 0) {
			lost++;
			continue;
		}
		delay[packets] = left[i] - entered[i];
		own = delay[packets] - taken_from(entered[i], left[i]);
		late += delay[packets] > LATE;
		ours += own > LATE;
		if (own > LATE)
			tell(entered[i], left[i], own);
		longest = own > longest ? own : longest;
		packets++;
	}
	qsort(delay, packets, sizeof(*delay), compare);
	printf("\"%s\": {\"packets\": %lu, \"lost\": %lu, \"late\": %lu, \"late_unexplained\": %lu, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, "
	       "\"max_unexplained_us\": %.1f, "
	       "\"taken_ms\": %.1f, \"others_ms\": %.1f, \"taken_other_cpu_ms\": %.1f}%s",
		odd ? "odd" : "even", packets, lost, late, ours, share(delay, packets, 0.5),
		share(delay, packets, 0.99), share(delay, packets, 0.999), share(delay, packets, 1),
		(double)longest / 1000, milliseconds(&cpus[0].nobody, odd),
		milliseconds(&cpus[0].others, odd), milliseconds(&cpus[1].nobody, odd), odd ? "}\n" : ", ");
	free(delay);
}

static uint64_t number(const char *text, uint64_t most)
{
	uint64_t value;

	if (span_to_uint(span_from(text), most, &value) != 0)
		die(text, EINVAL);
	return value;
}

static void parse_options(int argc, char **argv)
{
	char *text;
	int option;

	while ((option = getopt(argc, argv, "l:S:A:B:b:s:n:c:w:")) != -1) {
		switch (option) {
		case 'l':
			options.flows = optarg;
			break;
		case 'S':
			options.node[0] = optarg;
			break;
		case 'A':
		case 'B':
			options.node[1 + option - 'A'] = optarg;
			break;
		case 'b':
			options.begin = (int64_t)number(optarg, INT64_MAX);
			break;
		case 's':
			options.slice = (int64_t)number(optarg, 3600000) * 1000000;
			break;
		case 'n':
			options.slices = (unsigned)number(optarg, 1000);
			break;
		case 'c':
			text = optarg;
			for (unsigned i = 0; i < CPUS; i++)
				options.cpu[i] = (unsigned)number(strsep(&text, ","), 4095);
			break;
		case 'w':
			for (text = optarg; text && options.threads < THREADS_MAX;)
				options.thread[options.threads++] =
					(pid_t)number(strsep(&text, ","), INT32_MAX);
			break;
		default:
			exit(2);
		}
	}
	if (!options.flows || !options.node[0] || !options.node[1] || !options.node[2] ||
		options.slice <= 2 * EDGE || options.slices == 0)
		die("options are missing: see the top of delays.c", 0);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	for (unsigned i = 0; i < 1 + SIDES; i++) {
		enter_namespace(strsep(&options.node[i], ","));
		if (i > 0)
			flows_open(i - 1);
		/* In at the SBC on the side of the sender, out at the other side's peer. */
		for (unsigned n = 0; n < (i == 0 ? SIDES : 1); n++)
			captures[i == 0 ? n : SIDES + i - 1] = capture_open(strsep(&options.node[i], ","));
	}
	each = (unsigned)(options.slice * options.slices / (SECOND / PACKETS_A_SECOND));
	entered = calloc((size_t)flow_count * each, sizeof(*entered));
	left = calloc((size_t)flow_count * each, sizeof(*left));
	if (!flow_count || !entered || !left)
		die("no flows, or no memory for them", 0);
	for (unsigned i = 0; i < CPUS; i++)
		watch_open(i);
	send_all();
	putchar('{');
	report(0);
	report(1);
	return 0;
}
