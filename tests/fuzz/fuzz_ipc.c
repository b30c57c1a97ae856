/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets between the processes: walking, the hello, and a live connection on a loop that gets them from a raw socket.
 *
 * The input is a series of packets: two bytes of length each, then the bytes. The first byte of the input says whether
 * a proper hello goes before them. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platforms/base/ipc_internal.h"
#include "platforms/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { API = 3, PACKETS_MAX = 32 };

static _Alignas(8) uint8_t packet[IPC_PACKET_MAX];
static _Alignas(8) uint8_t receive_buffer[IPC_PACKET_MAX];
static struct ipc_memory memory;
static uv_loop_t loop;

static void must(int condition)
{
	if (!condition)
		abort();
}

/* --- the walk: what it accepts must cover the packet exactly --- */

struct walk {
	const uint8_t *start;
	size_t length;
	size_t at; /* where the next frame must begin */
};

static void check_frame(void *arg, const struct ipc_frame *frame, const void *body)
{
	struct walk *walk = arg;
	size_t padded = ((size_t)frame->length + 7) / 8 * 8;
	volatile uint8_t sum = 0;

	must((const uint8_t *)frame == walk->start + walk->at);
	must(body == frame + 1);
	must(walk->at + sizeof(*frame) + padded <= walk->length);
	for (size_t i = 0; i < padded; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)body)[i]);
	walk->at += sizeof(*frame) + padded;
	(void)ipc_hello_check(frame, body);
}

static void walk_packet(const uint8_t *bytes, size_t length)
{
	/* Of exact size on the heap, so that one byte too far is seen. */
	uint8_t *copy = malloc(length ? length : 1);
	struct walk walk = { copy, length, 0 };

	must(copy != NULL);
	memcpy(copy, bytes, length);
	if (ipc_packet_walk(copy, length, check_frame, &walk) == 0)
		must(walk.at == length);
	else
		must(walk.at == 0);
	free(copy);
}

/* --- a connection: handlers answer, and now and then free their own peer --- */

struct seen {
	unsigned ups;
	unsigned downs;
};

static void on_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	struct seen *seen = arg;

	(void)fresh;
	must(ipc_peer_is_up(peer));
	must(strlen(hello->process) < sizeof(hello->process));
	must(hello->api_version == API);
	seen->ups++;
}

static void on_down(void *arg, struct ipc_peer *peer)
{
	struct seen *seen = arg;

	must(!ipc_peer_is_up(peer));
	seen->downs++;
}

static void on_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	(void)arg;
	must(ipc_peer_is_up(peer));
	must(frame->type != 0);
	if (frame->type == 0xdead)
		ipc_peer_free(peer);
	else
		(void)ipc_send(peer, frame->type, 0, frame->sequence, body, frame->length);
}

static void lost(struct ipc_peer *peer)
{
	ipc_peer_free(peer);
}

static const struct ipc_role role = { .is_server = true, .lost = lost };
static const struct ipc_handlers handlers = { on_up, on_down, on_frame };

static void send_hello(int fd)
{
	struct {
		struct ipc_frame frame;
		struct ipc_hello hello;
	} p = { .frame = { .length = sizeof(struct ipc_hello) } };

	ipc_hello_fill(&p.hello, "fuzzer", API, 1);
	must(send(fd, &p, sizeof(p), MSG_NOSIGNAL) == (ssize_t)sizeof(p));
}

static size_t next_packet(const uint8_t **data, size_t *size)
{
	size_t length;

	if (*size < 2)
		return 0;
	length = (size_t)(*data)[0] | (size_t)(*data)[1] << 8;
	*data += 2;
	*size -= 2;
	if (length > *size)
		length = *size;
	memcpy(packet, *data, length);
	*data += length;
	*size -= length;
	return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_peer *peer = calloc(1, sizeof(*peer));
	struct seen seen = { 0, 0 };
	struct ipc_hello self;
	int ends[2];

	must(peer != NULL);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	ipc_hello_fill(&self, "server", API, 2);
	ipc_peer_init(peer, &role, &loop, &self, &handlers, &seen);
	peer->path = "fuzz";
	peer->memory = &memory;
	peer->packet = receive_buffer;
	must(ipc_peer_attach(peer, ends[0]) == 0);
	if (size > 0) {
		if (*data & 1)
			send_hello(ends[1]);
		data++;
		size--;
	}
	for (int i = 0; i < PACKETS_MAX; i++) {
		size_t length = next_packet(&data, &size);

		if (length == 0)
			break;
		walk_packet(packet, length);
		if (send(ends[1], packet, length, MSG_NOSIGNAL) < 0)
			break;
		uv_run(&loop, UV_RUN_NOWAIT);
		while (recv(ends[1], packet, sizeof(packet), 0) > 0)
			;
	}
	close(ends[1]);
	/* The peer finds the end by itself and takes everything with it. */
	uv_run(&loop, UV_RUN_DEFAULT);
	must(seen.ups <= 1 && seen.downs == seen.ups);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_LEVEL_ERROR);
	return uv_loop_init(&loop);
}
