/* SPDX-License-Identifier: BSD-3-Clause */
/* Sends RTP flows into one or two interfaces, a flood too, and counts the RTP that comes out of them: bpf/traffic.c does it in the
 * kernel, this sets it up and says what came of it.
 *
 * usage: traffic -o BPF-OBJECT -A NAMESPACE,INTERFACE -B NAMESPACE,INTERFACE -t SECONDS
 *                [-l FLOWS-FILE [-r PACKETS-PER-SECOND]] [-f PACKETS-PER-SECOND -d ADDRESS -m MAC [-S SOURCES]] [-b BATCH] [-q SEQUENCE] [-L] [-R]
 * Flows-file, a line each: SIDE (0 or 1) SOURCE PORT DESTINATION PORT DESTINATION-MAC. -r: of all flows together; without it as
 * much as the kernel takes. The flood enters by A, for the signalling port of ADDRESS: OPTIONS and garbage from anywhere; with -S REGISTERs
 * as phones send them, from so many sources, each for a user of its own. -q: the first sequence number of each flow. -L: latencies are measured.
 * -R: what arrives is counted and goes on to a UDP socket, one at the source of each flow; else it ends where it is counted.
 * IPv4; RTP of 20 ms G.711 with right checksums and running sequence numbers. Prints one JSON object. */
#include <arpa/inet.h>
#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/checksum.h"
#include "platforms/base/clock.h"
#include "platforms/base/span.h"
#include "tests/bench/bpf/traffic.h"

enum {
	BATCH = 64,
	ADDRESS_TEXT = 64,
	START_MS_MAX = 200, /* until the first packet */
	DRAIN_MS = 200,
	LATE_US = 500, /* no more than rings hold at a million packets a second */
	STOP_AFTER_S = 2,
	RECEIVER_BYTES = 4096
};

static struct {
	const char *object, *flows, *flood_to;
	char *side[TRAFFIC_SIDES];
	unsigned seconds, rate, flood, sources, batch, sequence;
	uint8_t mac[6];
	bool latencies, receivers;
} options = { .batch = BATCH };

static struct bpf_object *object;
static struct traffic_state *state;
static struct traffic_flow *flows;
static struct traffic_flood_frame *flood;
static struct traffic_received *received;
static uint64_t *bins;

static void die(const char *what, int err)
{
	fprintf(stderr, "traffic: %s%s%s\n", what, err != 0 ? ": " : "",
		err != 0 ? strerror(err < 0 ? -err : err) : "");
	exit(1);
}

static void write_headers(uint8_t *frame, const uint8_t *mac, const uint8_t *from, uint16_t from_port,
	const uint8_t *to, uint16_t to_port)
{
	uint8_t *ip = frame + 14, *udp = ip + 20;

	memcpy(frame, mac, 6);
	memcpy(frame + 6, (uint8_t[]){ 2, 0, 0, 0, 0, 1, 8, 0 }, 8);
	memcpy(ip, (uint8_t[]){ 0x45, 0, 0, 20 + 8 + TRAFFIC_PAYLOAD, 0, 0, 0x40, 0, 64, IPPROTO_UDP, 0, 0 },
		12);
	memcpy(ip + 12, from, 4);
	memcpy(ip + 16, to, 4);
	store_u16(udp, htons(from_port));
	store_u16(udp + 2, htons(to_port));
	store_u16(udp + 4, htons(8 + TRAFFIC_PAYLOAD));
	store_u16(udp + 6, 0);
}

/* The whole first packet is written, so that its checksum is every packet's: see TRAFFIC_TIME and TRAFFIC_COMPLEMENTS. */
static void write_flow(struct traffic_flow *f, unsigned number, const uint8_t *mac, const uint8_t *from,
	uint16_t from_port, const uint8_t *to, uint16_t to_port)
{
	uint8_t frame[TRAFFIC_FRAME], *ip = frame + 14, *udp = ip + 20, *rtp = udp + 8;
	uint8_t pseudo[12] = { [9] = IPPROTO_UDP, [11] = 8 + TRAFFIC_PAYLOAD }; /* RFC 768 */

	memset(frame, 0xd5, sizeof(frame));
	write_headers(frame, mac, from, from_port, to, to_port);
	store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, 20)));
	memset(rtp, 0, TRAFFIC_RTP);
	rtp[0] = 0x80;
	rtp[1] = 8;
	store_u32(rtp + 8, htonl(0x10000 + number));
	memset(frame + TRAFFIC_TIME, 0, 8);
	memset(frame + TRAFFIC_TIME + 8, 0xff, 8 + 6);
	memcpy(pseudo, ip + 12, 8);
	store_u16(udp + 6, (uint16_t)~checksum_fold(checksum_sum(pseudo, sizeof(pseudo)) +
						    checksum_sum(udp, 8 + TRAFFIC_PAYLOAD)));
	memcpy(f->head, frame, sizeof(f->head));
}

static void read_flows(void)
{
	FILE *file = fopen(options.flows, "r");
	unsigned side, from_port, to_port;
	char from[16], to[16], mac[18];

	if (file == NULL)
		die(options.flows, errno);
	while (fscanf(file, "%u %15s %u %15s %u %17s", &side, from, &from_port, to, &to_port, mac) == 6) {
		uint8_t from_ip[4], to_ip[4];
		struct ether_addr to_mac;

		if (side >= TRAFFIC_SIDES || inet_pton(AF_INET, from, from_ip) != 1 ||
			inet_pton(AF_INET, to, to_ip) != 1 || ether_aton_r(mac, &to_mac) == NULL ||
			state->flows == TRAFFIC_FLOWS_MAX)
			die(options.flows, EINVAL);
		struct traffic_flow *f = &flows[state->flows];

		write_flow(f, state->flows, to_mac.ether_addr_octet, from_ip, (uint16_t)from_port, to_ip,
			(uint16_t)to_port);
		f->side = (uint16_t)side;
		f->sequence = (uint16_t)options.sequence;
		state->flows++;
	}
	fclose(file);
	if (state->flows == 0)
		die("no flows in the file", 0);
}

/* Where four times the same character stands for a number's digits. */
static void find_numbers(const uint8_t *frame, uint8_t mark, __u16 at[2])
{
	uint8_t digits[TRAFFIC_DIGITS];
	const uint8_t *from = frame, *end = frame + TRAFFIC_FRAME;

	memset(digits, mark, sizeof(digits));
	for (unsigned i = 0; i < 2; i++) {
		from = memmem(from, (size_t)(end - from), digits, sizeof(digits));
		assert(from != NULL);
		at[i] = (__u16)(from - frame);
		from += sizeof(digits);
	}
}

static void write_flood(void)
{
	static const char sip[] =
		"OPTIONS sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\n"
		"t: <sip:a@b>\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nl: 0\r\n\r\n";
	static const char request[] = "REGISTER sip:b SIP/2.0\r\nv: SIP/2.0/UDP "
				      "h;branch=z9hG4bK@@@@\r\nf: <sip:p####@b>;tag=1\r\n"
				      "t: <sip:p####@b>\r\ni: @@@@\r\nCSeq: 1 "
				      "REGISTER\r\nMax-Forwards: 9\r\nm: <sip:a@h>\r\nl: 0\r\n\r\n";
	uint8_t to[4], nobody[4] = { 0 };

	static_assert(sizeof(request) <= TRAFFIC_PAYLOAD, "it fits");
	static_assert(sizeof(sip) <= TRAFFIC_PAYLOAD, "it fits");
	if (inet_pton(AF_INET, options.flood_to, to) != 1)
		die(options.flood_to, EINVAL);
	for (unsigned i = 0; i < TRAFFIC_FLOOD_FRAMES; i++) {
		uint8_t *frame = (uint8_t *)flood[i].word;

		write_headers(frame, options.mac, nobody, 0, to, TRAFFIC_PORT_SIP);
		flood[i].header_sum = checksum_fold(checksum_sum(frame + 14, 20));
		memset(frame + TRAFFIC_HEADERS, 0x27, TRAFFIC_PAYLOAD); /* garbage, or: */
		if (options.sources != 0) {
			memcpy(frame + TRAFFIC_HEADERS, request, sizeof(request) - 1);
			find_numbers(frame, '#', flood[i].user_at);
			find_numbers(frame, '@', flood[i].any_at);
		} else if (i % 2 == 0) {
			memcpy(frame + TRAFFIC_HEADERS, sip, sizeof(sip) - 1);
		}
	}
}

static struct bpf_map *map(const char *name)
{
	return bpf_object__find_map_by_name(object, name);
}

static void *map_memory(const char *name, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map(name)), 0);

	if (memory == MAP_FAILED)
		die(name, errno);
	return memory;
}

static void open_object(void)
{
	object = bpf_object__open_file(options.object, NULL);
	if (object == NULL)
		die(options.object, errno);
	bpf_program__set_type(bpf_object__find_program_by_name(object, "send"), BPF_PROG_TYPE_XDP);
	int err = bpf_object__load(object);

	if (err != 0)
		die(options.object, err);
	state = map_memory("state", sizeof(*state));
	flows = map_memory("flows", sizeof(*flows) * TRAFFIC_FLOWS_MAX);
	flood = map_memory("flood", sizeof(*flood) * TRAFFIC_FLOOD_FRAMES);
	received = map_memory("received", sizeof(*received) * TRAFFIC_SIDES);
	bins = map_memory("latencies", sizeof(*bins) * TRAFFIC_BINS);
}

/* A UDP socket where each flow of the side comes from: the other direction ends there, and no ICMP answers it. Nobody reads them, which
 * would take the generator's core: a few packets fill them, and from then on the kernel drops each one at its socket. Whoever sends
 * into the interface does all that. They stay open until the program ends. */
static void open_receivers(unsigned side)
{
	for (uint32_t i = 0; i < state->flows; i++) {
		const uint8_t *frame = (const uint8_t *)flows[i].head;
		struct sockaddr_in address = { .sin_family = AF_INET };
		int size = RECEIVER_BYTES;

		if (flows[i].side != side)
			continue;
		memcpy(&address.sin_addr, frame + 26, 4);
		memcpy(&address.sin_port, frame + 34, 2);
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) != 0 ||
			bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
			die("a receiver's socket", errno);
	}
}

/* In the side's namespace: its interface becomes a way out, and what comes in there is counted. */
static void open_side(unsigned side)
{
	static const char *const counters[] = { "receive_0", "receive_1" };
	char path[128], *comma = options.side[side] != NULL ? strchr(options.side[side], ',') : NULL;

	if (comma == NULL)
		die("-A, -B: NAMESPACE,INTERFACE", 0);
	*comma = '\0';
	snprintf(path, sizeof(path), "/run/netns/%s", options.side[side]);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		die(path, errno);
	close(fd);
	if (options.receivers)
		open_receivers(side);
	uint32_t interface = if_nametoindex(comma + 1);

	if (interface == 0)
		die(comma + 1, errno);
	if (bpf_map_update_elem(bpf_map__fd(map("sides")), &side, &interface, BPF_ANY) != 0)
		die("device map", errno);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)interface, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, tc, .handle = 1, .priority = 1, .flags = BPF_TC_F_REPLACE,
		.prog_fd = bpf_program__fd(bpf_object__find_program_by_name(object, counters[side])));
	int err = bpf_tc_hook_create(&hook);

	if (err == 0 || err == -EEXIST)
		err = bpf_tc_attach(&hook, &tc);
	if (err != 0)
		die("traffic control", err);
}

static void on_alarm(int number)
{
	(void)number;
}

static void send_all(void)
{
	uint8_t frame[TRAFFIC_FRAME] = { 0 };
	struct xdp_md context = { .data_end = sizeof(frame) };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
		.ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = INT32_MAX,
		.flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = options.batch);
	int fd = bpf_program__fd(bpf_object__find_program_by_name(object, "send"));
	/* The alarm ends a run when its packets are sent, and comes again should it have met none. */
	struct itimerval alarm = { .it_value = { .tv_sec = options.seconds, .tv_usec = START_MS_MAX * 1000 },
		.it_interval.tv_usec = 10000 };
	struct sigaction action = { .sa_handler = on_alarm };

	if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &alarm, NULL) != 0)
		die("alarm", errno);
	uint64_t latest = clock_now_ns() + (options.seconds + STOP_AFTER_S) * 1000000000ULL;

	/* The schedule begins with the first packet: until then the kernel takes some 20 ms, and whoever made up for them would begin with
	 * a burst that no source of RTP sends. */
	state->length = (uint64_t)options.seconds * 1000000000;
	while (state->stopped == 0) {
		int err = bpf_prog_test_run_opts(fd, &run);

		if (err != 0 && err != -EINTR)
			die("running the program", err);
		if (clock_now_ns() > latest)
			die("the program does not end", 0);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
}

/* The latency in microseconds that `share` of all packets stay under. */
static double latency(double share)
{
	uint64_t total = 0, seen = 0;

	for (unsigned i = 0; i < TRAFFIC_BINS; i++)
		total += bins[i];
	for (unsigned i = 0; i < TRAFFIC_BINS; i++)
		if (total != 0 && (double)(seen += bins[i]) >= share * (double)total)
			return (i + 0.5) * TRAFFIC_BIN_NS / 1000;
	return 0;
}

static void report(void)
{
	unsigned long long most = 0, arrived = 0, in_time = 0;

	nanosleep(
		&(struct timespec){ .tv_nsec = DRAIN_MS * 1000000L }, NULL); /* what is still in the rings */
	for (unsigned side = 0; side < TRAFFIC_SIDES; side++) {
		arrived += received[side].rtp;
		in_time += received[side].rtp_in_time;
		if (received[side].latency_ns_max > most)
			most = received[side].latency_ns_max;
	}
	printf("{\"seconds\": %.4f, \"rtp_sent\": %llu, \"rtp_received\": %llu, \"rtp_in_time\": %llu, "
	       "\"flood_sent\": %llu",
		(double)(state->stopped - state->began) / 1e9, state->rtp_sent, arrived, in_time,
		state->flood_sent);
	if (options.latencies)
		printf(", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f",
			latency(0.5), latency(0.99), latency(0.999), (double)most / 1000);
	puts("}");
}

static unsigned parse_count(const char *text, unsigned most)
{
	uint64_t value;

	if (span_to_uint(span_from(text), most, &value) != 0 || value == 0)
		die(text, EINVAL);
	return (unsigned)value;
}

static void parse_options(int argc, char **argv)
{
	struct ether_addr mac;
	int option;

	while ((option = getopt(argc, argv, "o:A:B:t:l:r:f:d:m:S:b:q:LR")) != -1) {
		switch (option) {
		case 'o':
			options.object = optarg;
			break;
		case 'A':
		case 'B':
			options.side[option - 'A'] = optarg;
			break;
		case 't':
			options.seconds = parse_count(optarg, 3600);
			break;
		case 'l':
			options.flows = optarg;
			break;
		case 'r':
			options.rate = parse_count(optarg, 100000000);
			break;
		case 'f':
			options.flood = parse_count(optarg, 100000000);
			break;
		case 'd':
			options.flood_to = optarg;
			break;
		case 'm':
			if (ether_aton_r(optarg, &mac) == NULL)
				die(optarg, EINVAL);
			memcpy(options.mac, &mac, sizeof(options.mac));
			break;
		case 'S':
			options.sources = parse_count(optarg, 65536);
			break;
		case 'b':
			options.batch = parse_count(optarg, 256);
			break;
		case 'q':
			options.sequence = parse_count(optarg, UINT16_MAX);
			break;
		case 'L':
			options.latencies = true;
			break;
		case 'R':
			options.receivers = true;
			break;
		default:
			exit(2);
		}
	}
	if (options.object == NULL || options.seconds == 0 || (options.flows == NULL && options.flood == 0) ||
		(options.flood != 0 && options.flood_to == NULL))
		die("options are missing: see the top of traffic.c", 0);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	(void)libbpf_set_print(NULL); /* it warns of a counter that is there already */
	open_object();
	if (options.flows != NULL)
		read_flows();
	for (unsigned side = 0; side < TRAFFIC_SIDES; side++)
		open_side(side);
	if (options.flood != 0)
		write_flood();
	if (options.rate != 0)
		state->rtp_gap = (1000000000ULL << TRAFFIC_FRACTION) / options.rate;
	if (options.flood != 0)
		state->flood_gap = (1000000000ULL << TRAFFIC_FRACTION) / options.flood;
	state->flood = options.flood != 0;
	state->flood_sources = options.sources;
	state->late = (uint64_t)LATE_US * 1000 << TRAFFIC_FRACTION;
	state->stamped = options.latencies;
	state->delivered = options.receivers;
	send_all();
	report();
	return 0;
}
