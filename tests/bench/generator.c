/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes RTP flows for the relay benchmarks: many calls' audio out of one interface, as fast as the kernel takes it.
 *
 * usage: generator -i INTERFACE -m DESTINATION-MAC -a OUR-ADDRESS -n FLOWS -t SECONDS [-r PACKETS-PER-SECOND]
 *                  -d DESTINATION-ADDRESS [-P FILE]   all flows there: to the ports in the file, or to ours
 *        generator -a OUR-ADDRESS -n FLOWS -s DATAPLANE-SOCKET -A REALM -B REALM -f FAR-ADDRESS
 *                                                     makes a session of the dataplane for each flow, prints their ports
 *
 * A session is set up by the dataplane's own API: we are its side in realm A, FAR-ADDRESS its side in realm B. Otherwise
 * prints "ready", sends, and prints {"sent": N, "seconds": T}. IPv4; RTP of 20 ms G.711 with right checksums and running
 * sequence numbers. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/checksum.h"
#include "dataplane/client.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "platforms/base/random.h"

enum {
	ETHER = 14,
	IP = 20,
	UDP = 8,
	RTP = 172,
	FRAME = ETHER + IP + UDP + RTP,
	SLOT = 512,
	/* where the kernel looks for the frame: TPACKET2_HDRLEN without the address, see packet(7) */
	HEADER =
		(sizeof(struct tpacket2_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT,
	SLOTS = 4096,
	BATCH = 64,
	BATCH_PACED = 8,
	PORT_FIRST = 1024, /* of us and of the far side */
	FLOWS_MAX = 32000,
	SESSIONS_AT_ONCE = 32
};

struct flow {
	uint8_t frame[FRAME];
	uint16_t sequence;
	uint32_t timestamp;
};

static struct {
	const char *interface, *socket, *realm[2];
	const char *ports;
	union address ours, destination, far;
	uint8_t mac[6];
	unsigned flows, seconds, rate;
} options;

static struct flow *flows;

static void die(const char *what, int err)
{
	fprintf(stderr, "generator: %s%s%s\n", what, err != 0 ? ": " : "",
		err != 0 ? strerror(err < 0 ? -err : err) : "");
	exit(1);
}

/* An IPv4 address's octets as they lie in a packet. */
static void store_address(uint8_t *at, const union address *a)
{
	memcpy(at, &a->in4.sin_addr, 4);
}

static void flow_write(unsigned number, const union address *to)
{
	struct flow *flow = &flows[number];
	uint8_t *ip = flow->frame + ETHER, *udp = ip + IP, *rtp = udp + UDP;
	uint8_t pseudo[12] = { [9] = IPPROTO_UDP, [11] = UDP + RTP }; /* RFC 768 */

	memcpy(flow->frame, options.mac, 6);
	memcpy(flow->frame + 6, (uint8_t[]){ 2, 0, 0, 0, 0, 1, 8, 0 }, 8);
	memcpy(ip, (uint8_t[]){ 0x45, 0, 0, IP + UDP + RTP, 0, 0, 0x40, 0, 64, IPPROTO_UDP }, 10);
	store_address(ip + 12, &options.ours);
	store_address(ip + 16, to);
	store_u16(ip + 10, (uint16_t)~checksum_fold(checksum_sum(ip, IP)));
	store_u16(udp, htons((uint16_t)(PORT_FIRST + 2 * number)));
	store_u16(udp + 2, htons(address_port(to)));
	store_u16(udp + 4, htons(UDP + RTP));
	rtp[0] = 0x80;
	rtp[1] = 8;
	store_u32(rtp + 8, htonl(0x10000 + number));
	memset(rtp + 12, 0xd5, RTP - 12);
	memcpy(pseudo, ip + 12, 8);
	store_u16(udp + 6, (uint16_t)~checksum_fold(
				   checksum_sum(pseudo, sizeof(pseudo)) + checksum_sum(udp, UDP + RTP)));
}

/* The next packet of the flow into a slot. */
static void flow_next(struct flow *flow, uint8_t *to)
{
	uint8_t *udp = flow->frame + ETHER + IP, *rtp = udp + UDP;
	uint16_t sequence = htons(++flow->sequence);
	uint32_t timestamp = htonl(flow->timestamp += 160);
	uint64_t old = (uint64_t)load_u16(rtp + 2) + load_u32(rtp + 4);

	store_u16(udp + 6, checksum_update(load_u16(udp + 6), old, (uint64_t)sequence + timestamp));
	store_u16(rtp + 2, sequence);
	store_u32(rtp + 4, timestamp);
	memcpy(to, flow->frame, FRAME);
}

struct sessions {
	uv_loop_t loop;
	struct dp_client *client;
	struct asking {
		struct sessions *all;
		unsigned flow;
	} asking[FLOWS_MAX];
	uint16_t port[FLOWS_MAX]; /* the dataplane's, toward us */
	unsigned asked, answered;
};

static void session_answered(void *arg, int status, const void *body, size_t length);

static void session_ask(struct sessions *sessions)
{
	struct dp_session_request request = { .streams = 1 };
	struct dp_stream_request *stream = &request.stream[0];
	unsigned flow = sessions->asked++;
	union address ours = options.ours, far = options.far;

	stream->kind = DP_MEDIA_RTP;
	for (unsigned side = 0; side < 2; side++) {
		snprintf(stream->side[side].realm, sizeof(stream->side[side].realm), "%s",
			options.realm[side]);
		stream->side[side].family = 4;
		stream->side[side].latching = DP_LATCHING_FIXED;
	}
	address_set_port(&ours, (uint16_t)(PORT_FIRST + 2 * flow));
	address_set_port(&far, (uint16_t)(PORT_FIRST + 2 * flow));
	dp_address_from(&stream->side[0].rtp, &ours);
	dp_address_from(&stream->side[1].rtp, &far);
	sessions->asking[flow] = (struct asking){ sessions, flow };

	int err = dp_client_session(sessions->client, DP_SESSION_CREATE, &request, NULL, session_answered,
		&sessions->asking[flow]);

	if (err != 0)
		die("cannot ask for a session", err);
}

static void session_answered(void *arg, int status, const void *body, size_t length)
{
	struct asking *asking = arg;
	struct sessions *sessions = asking->all;
	const struct dp_session_reply *reply = body;

	(void)length;
	if (status != 0)
		die("the dataplane refuses a session", status);
	sessions->port[asking->flow] = reply->local[0][0].port;
	sessions->answered++;
	if (sessions->asked < options.flows)
		session_ask(sessions);
	else if (sessions->answered == options.flows)
		uv_stop(&sessions->loop);
}

static void dataplane_up(void *arg, bool fresh)
{
	struct sessions *sessions = arg;

	(void)fresh;
	while (sessions->asked < options.flows && sessions->asked < SESSIONS_AT_ONCE)
		session_ask(sessions);
}

static void dataplane_down(void *arg)
{
	(void)arg;
	die("the dataplane went away", 0);
}

static void dataplane_event(void *arg, enum dp_message type, const struct dp_event *event)
{
	(void)arg;
	(void)type;
	(void)event;
}

static void make_sessions(void)
{
	static const struct dp_client_handlers handlers = {
		.up = dataplane_up, .down = dataplane_down, .event = dataplane_event
	};
	static struct sessions sessions;
	int err = uv_loop_init(&sessions.loop);

	if (err == 0)
		err = dp_client_new(&sessions.loop, options.socket, "generator", random_u64(), UINT32_MAX,
			&handlers, &sessions, &sessions.client);
	if (err != 0)
		die("cannot reach the dataplane", err);
	uv_run(&sessions.loop, UV_RUN_DEFAULT);
	/* The sessions stay: they are the dataplane's. */
	dp_client_free(sessions.client);
	uv_run(&sessions.loop, UV_RUN_DEFAULT);
	uv_loop_close(&sessions.loop);
	for (unsigned i = 0; i < options.flows; i++)
		printf("%u\n", sessions.port[i]);
}

static void make_flows(void)
{
	FILE *ports = options.ports != NULL ? fopen(options.ports, "r") : NULL;

	if (options.ports != NULL && ports == NULL)
		die(options.ports, errno);
	for (unsigned i = 0; i < options.flows; i++) {
		union address to = options.destination;
		uint64_t port = PORT_FIRST + 2 * i;
		char line[16];

		if (ports != NULL &&
			(fgets(line, sizeof(line), ports) == NULL ||
				span_to_uint(span_trim(span_from(line)), UINT16_MAX, &port) != 0))
			die("not enough ports in the file", 0);
		address_set_port(&to, (uint16_t)port);
		flow_write(i, &to);
	}
	if (ports != NULL)
		fclose(ports);
}

/* A packet socket whose ring is mapped at *ring. */
static int open_ring(uint8_t **ring)
{
	struct tpacket_req request = {
		.tp_block_size = SLOT * SLOTS, .tp_block_nr = 1, .tp_frame_size = SLOT, .tp_frame_nr = SLOTS
	};
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(options.interface) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), version = TPACKET_V2, yes = 1;

	if (fd < 0 || address.sll_ifindex == 0)
		die(options.interface, errno);
	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes)) != 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_LOSS, &yes, sizeof(yes)) != 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof(request)) != 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		die("packet socket", errno);
	*ring = mmap(NULL, (size_t)SLOT * SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*ring == MAP_FAILED)
		die("packet ring", errno);
	return fd;
}

/* At a given rate small batches leave evenly; without one, as many as the kernel takes. */
static uint64_t send_for(uint64_t duration_ns)
{
	uint8_t *ring;
	int fd = open_ring(&ring);
	uint64_t sent = 0, began = clock_now_ns(), now = began;
	unsigned slot = 0, flow = 0;

	for (; now < began + duration_ns; now = clock_now_ns()) {
		if (options.rate != 0 && sent > (now - began) / 1000 * options.rate / 1000000)
			continue;
		for (unsigned i = 0; i < (options.rate != 0 ? BATCH_PACED : BATCH); i++) {
			struct tpacket2_hdr *header = (struct tpacket2_hdr *)(ring + (size_t)slot * SLOT);

			if (__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE)
				break;
			flow_next(&flows[flow], (uint8_t *)header + HEADER);
			header->tp_len = FRAME;
			__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
			slot = (slot + 1) % SLOTS;
			flow = (flow + 1) % options.flows;
			sent++;
		}
		if (send(fd, NULL, 0, 0) < 0 && errno != EAGAIN && errno != ENOBUFS)
			die("send", errno);
	}
	close(fd);
	return sent;
}

static void parse_host(const char *text, union address *out)
{
	if (address_parse_host(span_from(text), out) != 0 || out->sa.sa_family != AF_INET)
		die(text, EINVAL);
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
	int option;

	while ((option = getopt(argc, argv, "i:m:a:n:t:r:d:P:s:A:B:f:")) != -1) {
		struct ether_addr mac;

		switch (option) {
		case 'i':
			options.interface = optarg;
			break;
		case 'm':
			if (ether_aton_r(optarg, &mac) == NULL)
				die(optarg, EINVAL);
			memcpy(options.mac, &mac, sizeof(options.mac));
			break;
		case 'a':
			parse_host(optarg, &options.ours);
			break;
		case 'n':
			options.flows = parse_count(optarg, FLOWS_MAX);
			break;
		case 't':
			options.seconds = parse_count(optarg, 3600);
			break;
		case 'r':
			options.rate = parse_count(optarg, 100000000);
			break;
		case 'P':
			options.ports = optarg;
			break;
		case 'd':
			parse_host(optarg, &options.destination);
			break;
		case 's':
			options.socket = optarg;
			break;
		case 'A':
			options.realm[0] = optarg;
			break;
		case 'B':
			options.realm[1] = optarg;
			break;
		case 'f':
			parse_host(optarg, &options.far);
			break;
		default:
			exit(2);
		}
	}
	bool makes_sessions = options.socket != NULL && options.realm[0] != NULL &&
			      options.realm[1] != NULL && address_is_set(&options.far);
	bool sends =
		options.interface != NULL && options.seconds != 0 && address_is_set(&options.destination);

	if (options.flows == 0 || !address_is_set(&options.ours) || makes_sessions == sends)
		die("options are missing: see the top of generator.c", 0);
}

int main(int argc, char **argv)
{
	log_open("generator", LOG_LEVEL_WARNING);
	parse_options(argc, argv);
	if (options.socket != NULL) {
		make_sessions();
		return 0;
	}
	flows = calloc(options.flows, sizeof(*flows));
	if (flows == NULL)
		die("no memory", 0);
	make_flows();
	puts("ready");
	fflush(stdout);

	uint64_t began = clock_now_ns(), sent = send_for((uint64_t)options.seconds * 1000000000);

	printf("{\"sent\": %llu, \"seconds\": %.3f}\n", (unsigned long long)sent,
		(double)(clock_now_ns() - began) / 1e9);
	return 0;
}
