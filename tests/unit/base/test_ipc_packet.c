/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of frames, well-formed and not. */
#include "tests/unit/base/ipc_fixture.h"

#include "platforms/base/ipc_internal.h"

struct collected {
	unsigned frames;
	uint32_t length[8];
	uint16_t type[8];
	char first[8];
};

static void collect(void *arg, const struct ipc_frame *frame, const void *body)
{
	struct collected *c = arg;

	if (c->frames < 8) {
		c->length[c->frames] = frame->length;
		c->type[c->frames] = frame->type;
		c->first[c->frames] = frame->length ? *(const char *)body : '-';
	}
	c->frames++;
}

static size_t put(uint8_t *at, uint16_t type, const char *body)
{
	struct ipc_frame frame = { .length = (uint32_t)strlen(body), .type = type };

	memcpy(at, &frame, sizeof(frame));
	memcpy(at + sizeof(frame), body, frame.length);
	return sizeof(frame) + (frame.length + 7u) / 8 * 8;
}

static _Alignas(8) uint8_t packet[IPC_PACKET_MAX + 64];

static void several_frames_come_out_in_order(void **state)
{
	struct collected c = { 0 };
	size_t n = 0;

	(void)state;
	memset(packet, 0, sizeof(packet));
	n += put(packet + n, 7, "");
	n += put(packet + n, 8, "abcdefgh");
	n += put(packet + n, 9, "xyz");
	assert_int_equal(ipc_packet_walk(packet, n, collect, &c), 0);
	assert_int_equal(c.frames, 3);
	assert_int_equal(c.type[0], 7);
	assert_int_equal(c.length[1], 8);
	assert_int_equal(c.first[1], 'a');
	assert_int_equal(c.length[2], 3);
	assert_int_equal(c.first[2], 'x');
}

static void every_truncation_is_refused_before_any_frame_is_seen(void **state)
{
	size_t second;
	size_t n;

	(void)state;
	memset(packet, 0, sizeof(packet));
	second = put(packet, 1, "first body");
	n = second + put(packet + second, 2, "second body");
	for (size_t cut = 0; cut < n; cut++) {
		struct collected c = { 0 };

		/* Between the frames a cut leaves one whole frame. */
		assert_int_equal(ipc_packet_walk(packet, cut, collect, &c), cut == second ? 0 : -EBADMSG);
		assert_int_equal(c.frames, cut == second ? 1 : 0);
	}
}

static void lengths_that_wrap_or_overrun_are_refused(void **state)
{
	static const uint32_t lengths[] = { 9, 17, 65536, 0x7fffffff, 0xfffffff0, 0xfffffff9, 0xffffffff };
	struct collected c = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(packet, 0, sizeof(packet));
		memcpy(packet, &lengths[i], sizeof(lengths[i]));
		assert_int_equal(ipc_packet_walk(packet, 24, collect, &c), -EBADMSG);
	}
	assert_int_equal(c.frames, 0);
}

static void padding_must_be_zero(void **state)
{
	struct collected c = { 0 };
	size_t n;

	(void)state;
	memset(packet, 0, sizeof(packet));
	n = put(packet, 1, "abc");
	assert_int_equal(ipc_packet_walk(packet, n, collect, &c), 0);
	packet[n - 1] = 1;
	assert_int_equal(ipc_packet_walk(packet, n, collect, &c), -EBADMSG);
}

static void misaligned_and_overlong_packets_are_refused(void **state)
{
	struct collected c = { 0 };
	struct ipc_frame frame = { .length = IPC_PACKET_MAX - sizeof(frame) };

	(void)state;
	memset(packet, 0, sizeof(packet));
	assert_int_equal(ipc_packet_walk(packet + 1, 16, collect, &c), -EBADMSG);
	assert_int_equal(ipc_packet_walk(packet, 0, collect, &c), -EBADMSG);
	memcpy(packet, &frame, sizeof(frame));
	assert_int_equal(ipc_packet_walk(packet, IPC_PACKET_MAX, collect, &c), 0);
	assert_int_equal(c.frames, 1);
	frame.length += 8;
	memcpy(packet, &frame, sizeof(frame));
	assert_int_equal(ipc_packet_walk(packet, IPC_PACKET_MAX + 8, collect, &c), -EBADMSG);
	assert_int_equal(c.frames, 1);
}

static void a_hello_is_filled_and_recognised(void **state)
{
	struct hello_packet good = hello_packet_of(API, 42);
	struct hello_packet bad;

	(void)state;
	assert_int_equal(good.hello.magic, IPC_MAGIC);
	assert_int_equal(good.hello.pid, getpid());
	assert_int_equal(good.hello.generation, 42);
	assert_string_equal(good.hello.process, "raw");
	assert_string_equal(good.hello.version, SALLYPORT_VERSION);
	assert_ptr_equal(ipc_hello_check(&good.frame, &good.hello), &good.hello);

	bad = good;
	bad.hello.magic++;
	assert_null(ipc_hello_check(&bad.frame, &bad.hello));
	bad = good;
	bad.frame.length -= 8;
	assert_null(ipc_hello_check(&bad.frame, &bad.hello));
	bad = good;
	bad.frame.type = 1;
	assert_null(ipc_hello_check(&bad.frame, &bad.hello));
	bad = good;
	memset(bad.hello.process, 'x', sizeof(bad.hello.process));
	assert_null(ipc_hello_check(&bad.frame, &bad.hello));
	bad = good;
	memset(bad.hello.version, 'x', sizeof(bad.hello.version));
	assert_null(ipc_hello_check(&bad.frame, &bad.hello));
}

static void a_long_process_name_is_cut_and_terminated(void **state)
{
	struct ipc_hello hello;

	(void)state;
	ipc_hello_fill(&hello, "a-process-name-that-is-too-long-by-far", 1, 1);
	assert_string_equal(hello.process, "a-process-name-that-is-");
}

static void the_queue_joins_frames_and_splits_at_the_packet_size(void **state)
{
	struct ipc_frame frame = { .length = 1000, .type = 1 };
	struct ipc_queue queue = { 0 };
	static const uint8_t body[1000];
	unsigned packets = 0;
	unsigned frames = 0;

	(void)state;
	for (int i = 0; i < 130; i++)
		assert_int_equal(ipc_queue_push(&queue, &frame, body), 0);
	assert_int_equal(queue.bytes, 130 * (16 + 1000));
	while (queue.first) {
		struct collected c = { 0 };

		assert_true(queue.first->length <= IPC_PACKET_MAX);
		memcpy(packet, queue.first->data, queue.first->length);
		assert_int_equal(ipc_packet_walk(packet, queue.first->length, collect, &c), 0);
		frames += c.frames;
		packets++;
		ipc_queue_pop(&queue);
	}
	assert_int_equal(frames, 130);
	/* 64 frames of 1016 bytes fit 65536 bytes. */
	assert_int_equal(packets, 3);
	assert_int_equal(queue.bytes, 0);
	ipc_queue_fini(&queue);
}

static void the_queue_is_bounded_and_empties(void **state)
{
	struct ipc_frame frame = { .length = 30000, .type = 1 };
	static const uint8_t body[IPC_PACKET_MAX];
	struct ipc_queue queue = { 0 };
	unsigned n = 0;

	(void)state;
	while (ipc_queue_push(&queue, &frame, body) == 0)
		n++;
	assert_int_equal(ipc_queue_push(&queue, &frame, body), -ENOBUFS);
	assert_true(queue.bytes <= IPC_QUEUE_MAX);
	assert_true(queue.bytes > IPC_QUEUE_MAX - 31000);
	assert_int_equal(n, IPC_QUEUE_MAX / 30016);
	ipc_queue_clear(&queue);
	assert_int_equal(queue.bytes, 0);
	frame.length = IPC_PACKET_MAX - sizeof(frame);
	assert_int_equal(ipc_queue_push(&queue, &frame, body), 0);
	frame.length++;
	assert_int_equal(ipc_queue_push(&queue, &frame, body), -EMSGSIZE);
	ipc_queue_fini(&queue);
}

static void what_was_sent_is_cleared(void **state)
{
	static const uint8_t clear[1000];
	uint8_t body[1000];
	struct ipc_frame frame = { .type = 1, .length = sizeof(body) };
	struct ipc_queue queue = { 0 };

	(void)state;
	memset(body, 0x5a, sizeof(body));
	assert_int_equal(ipc_queue_push(&queue, &frame, body), 0);
	assert_memory_equal(queue.first->data + sizeof(frame), body, sizeof(body));
	ipc_queue_pop(&queue);
	assert_memory_equal(queue.spare->data + sizeof(frame), clear, sizeof(clear));
	ipc_queue_fini(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_frames_come_out_in_order),
		cmocka_unit_test(every_truncation_is_refused_before_any_frame_is_seen),
		cmocka_unit_test(lengths_that_wrap_or_overrun_are_refused),
		cmocka_unit_test(padding_must_be_zero),
		cmocka_unit_test(misaligned_and_overlong_packets_are_refused),
		cmocka_unit_test(a_hello_is_filled_and_recognised),
		cmocka_unit_test(a_long_process_name_is_cut_and_terminated),
		cmocka_unit_test(the_queue_joins_frames_and_splits_at_the_packet_size),
		cmocka_unit_test(the_queue_is_bounded_and_empties),
		cmocka_unit_test(what_was_sent_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
