/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and packets as bytes: checking what came, packing what goes. No sockets here. */
#include "platforms/base/ipc_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platforms/base/span.h"

enum { FRAME_ALIGNMENT = 8 };

static size_t padded(size_t length)
{
	return (length + FRAME_ALIGNMENT - 1) & ~(size_t)(FRAME_ALIGNMENT - 1);
}

/* Bytes that the frame at the start of `at` takes, or 0 when it is not whole or its padding not zero. */
static size_t frame_size(const uint8_t *at, size_t left)
{
	struct ipc_frame frame;
	size_t room;

	if (left < sizeof(frame))
		return 0;
	memcpy(&frame, at, sizeof(frame));
	room = left - sizeof(frame);
	/* The first comparison keeps padded() from wrapping. */
	if (frame.length > room || padded(frame.length) > room)
		return 0;
	for (size_t i = frame.length; i < padded(frame.length); i++)
		if (at[sizeof(frame) + i])
			return 0;
	return sizeof(frame) + padded(frame.length);
}

int ipc_packet_walk(const void *packet, size_t length,
	void (*each)(void *, const struct ipc_frame *, const void *), void *arg)
{
	const uint8_t *bytes = packet;
	size_t size;

	if (length == 0 || length > IPC_PACKET_MAX || (uintptr_t)packet % FRAME_ALIGNMENT)
		return -EBADMSG;
	/* All is checked before the first frame is acted upon: a packet counts whole or not at all. */
	for (size_t at = 0; at < length; at += size) {
		size = frame_size(bytes + at, length - at);
		if (size == 0)
			return -EBADMSG;
	}
	for (size_t at = 0; at < length; at += size) {
		const struct ipc_frame *frame = (const struct ipc_frame *)(const void *)(bytes + at);

		size = sizeof(*frame) + padded(frame->length);
		each(arg, frame, frame + 1);
	}
	return 0;
}

static bool is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

const struct ipc_hello *ipc_hello_check(const struct ipc_frame *frame, const void *body)
{
	const struct ipc_hello *hello = body;

	if (frame->type != IPC_HELLO_TYPE || frame->length != sizeof(*hello) || hello->magic != IPC_MAGIC)
		return NULL;
	if (!is_text(hello->process, sizeof(hello->process)) ||
		!is_text(hello->version, sizeof(hello->version)))
		return NULL;
	return hello;
}

static void fill_text(char *out, size_t size, const char *text)
{
	struct writer w;

	/* One byte less: the struct is zeroed, so what is written stays terminated. */
	writer_init(&w, out, size - 1);
	writer_span(&w, (struct span){ text, strnlen(text, size - 1) });
}

void ipc_hello_fill(struct ipc_hello *hello, const char *process, uint32_t api_version, uint64_t generation)
{
	*hello = (struct ipc_hello){
		.magic = IPC_MAGIC,
		.api_version = api_version,
		.generation = generation,
		.pid = (uint32_t)getpid(),
	};
	fill_text(hello->process, sizeof(hello->process), process);
	fill_text(hello->version, sizeof(hello->version), SALLYPORT_VERSION);
}

static void append_packet(struct ipc_queue *queue, struct ipc_packet *packet)
{
	packet->next = NULL;
	packet->length = 0;
	if (queue->last)
		queue->last->next = packet;
	else
		queue->first = packet;
	queue->last = packet;
}

/* Always of full size: the kernel backs only the pages that are written, and frames join what already waits. */
static struct ipc_packet *packet_new(struct ipc_queue *queue)
{
	struct ipc_packet *packet = queue->spare;

	queue->spare = NULL;
	return packet ? packet : malloc(sizeof(*packet) + IPC_PACKET_MAX);
}

/* The last packet if it has room for `need` bytes more, else a new one; NULL without memory. */
static struct ipc_packet *packet_for(struct ipc_queue *queue, size_t need)
{
	struct ipc_packet *packet = queue->last;

	if (packet && packet->length + need <= IPC_PACKET_MAX)
		return packet;
	packet = packet_new(queue);
	if (packet)
		append_packet(queue, packet);
	return packet;
}

int ipc_queue_push(struct ipc_queue *queue, const struct ipc_frame *frame, const void *body)
{
	size_t need = sizeof(*frame) + padded(frame->length);
	struct ipc_packet *packet;
	uint8_t *at;

	if (frame->length > IPC_PACKET_MAX - sizeof(*frame))
		return -EMSGSIZE;
	if (queue->bytes + need > IPC_QUEUE_MAX)
		return -ENOBUFS;
	packet = packet_for(queue, need);
	if (!packet)
		return -ENOMEM;
	at = packet->data + packet->length;
	memcpy(at, frame, sizeof(*frame));
	at += sizeof(*frame);
	if (frame->length)
		memcpy(at, body, frame->length);
	memset(at + frame->length, 0, padded(frame->length) - frame->length);
	packet->length += need;
	queue->bytes += need;
	return 0;
}

void ipc_queue_pop(struct ipc_queue *queue)
{
	struct ipc_packet *packet = queue->first;

	queue->first = packet->next;
	if (!queue->first)
		queue->last = NULL;
	queue->bytes -= packet->length;
	explicit_bzero(packet->data, packet->length); /* keys may have been in it */
	free(queue->spare);
	queue->spare = packet;
}

void ipc_queue_clear(struct ipc_queue *queue)
{
	while (queue->first)
		ipc_queue_pop(queue);
}

void ipc_queue_fini(struct ipc_queue *queue)
{
	ipc_queue_clear(queue);
	free(queue->spare);
	queue->spare = NULL;
}
