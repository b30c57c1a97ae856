/* SPDX-License-Identifier: BSD-3-Clause */
/* What the ipc tests share: a loop, a socket path, recorders of what handlers were told, raw sockets. */
#ifndef TESTS_UNIT_BASE_IPC_FIXTURE_H
#define TESTS_UNIT_BASE_IPC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "platforms/base/ipc.h"

enum { API = 3, SERVER_GENERATION = 1000, CLIENT_GENERATION = 2000 };

/* What one end's handlers saw, and what they are to do. */
struct recorder {
	struct ipc_peer *peer; /* of the last call */
	unsigned ups;
	unsigned downs;
	unsigned frames;
	bool fresh;
	struct ipc_frame frame;
	size_t body_bytes;
	uint8_t body[IPC_PACKET_MAX];
	uint64_t next_sequence; /* frames out of order are counted */
	unsigned disorder;
	void (*on_up)(struct recorder *r, struct ipc_peer *peer);
	void (*on_down)(struct recorder *r, struct ipc_peer *peer);
	void (*on_frame)(struct recorder *r, struct ipc_peer *peer);
	void *subject; /* of the hooks */
};

struct fixture {
	uv_loop_t loop;
	char directory[32];
	char path[64];
	struct ipc_server *server;
	struct recorder server_side;
	struct recorder client_side;
};

static inline void record_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	struct recorder *r = arg;

	assert_ptr_equal(hello, ipc_peer_hello(peer));
	assert_true(ipc_peer_is_up(peer));
	r->peer = peer;
	r->ups++;
	r->fresh = fresh;
	if (r->on_up)
		r->on_up(r, peer);
}

static inline void record_down(void *arg, struct ipc_peer *peer)
{
	struct recorder *r = arg;

	assert_false(ipc_peer_is_up(peer));
	assert_int_equal(ipc_send(peer, 1, 0, 0, NULL, 0), -ENOTCONN);
	r->peer = peer;
	r->downs++;
	if (r->on_down)
		r->on_down(r, peer);
}

static inline void record_frame(
	void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct recorder *r = arg;

	assert_int_equal((uintptr_t)body % 8, 0);
	r->peer = peer;
	r->frames++;
	r->frame = *frame;
	r->body_bytes += frame->length;
	memcpy(r->body, body, frame->length);
	if (frame->sequence != r->next_sequence++)
		r->disorder++;
	if (r->on_frame)
		r->on_frame(r, peer);
}

static const struct ipc_handlers recording = { record_up, record_down, record_frame };

static inline struct ipc_hello hello_of(const char *process, uint32_t api, uint64_t generation)
{
	struct ipc_hello hello;

	ipc_hello_fill(&hello, process, api, generation);
	return hello;
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	/* The watchdog: a condition that never comes ends the test, and no test sleeps for one. */
	alarm(60);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	snprintf(f->directory, sizeof(f->directory), "/tmp/ipc-test-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/test.sock", f->directory);
	*state = f;
	return 0;
}

/* The tests have freed what they made; the loop must be empty then. */
static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	ipc_server_free(f->server);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	unlink(f->path);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

static inline void serve(struct fixture *f, uint32_t api, uint64_t generation)
{
	struct ipc_hello hello = hello_of("server", api, generation);

	assert_int_equal(ipc_listen(&f->loop, f->path, &hello, &recording, &f->server_side, &f->server), 0);
}

static inline struct ipc_peer *dial(struct fixture *f, struct recorder *r, uint32_t api, uint64_t generation)
{
	struct ipc_hello hello = hello_of("client", api, generation);
	struct ipc_peer *peer;

	assert_int_equal(ipc_connect(&f->loop, f->path, &hello, &recording, r, &peer), 0);
	assert_false(ipc_peer_is_up(peer));
	return peer;
}

/* Runs the loop until the condition holds; the watchdog ends it otherwise. */
#define RUN_UNTIL(f, condition)                            \
	do {                                               \
		while (!(condition))                       \
			uv_run(&(f)->loop, UV_RUN_NOWAIT); \
	} while (0)

/* A client and a server that have greeted each other. */
static inline struct ipc_peer *connected_pair(struct fixture *f)
{
	struct ipc_peer *peer;

	serve(f, API, SERVER_GENERATION);
	peer = dial(f, &f->client_side, API, CLIENT_GENERATION);
	RUN_UNTIL(f, f->client_side.ups == 1 && f->server_side.ups == 1);
	return peer;
}

static inline int raw_connect(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, f->path, strlen(f->path));
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline int raw_listen(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, f->path, strlen(f->path));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* A hello packet as it is on the wire. */
struct hello_packet {
	struct ipc_frame frame;
	struct ipc_hello hello;
};

static inline struct hello_packet hello_packet_of(uint32_t api, uint64_t generation)
{
	return (struct hello_packet){
		.frame = { .length = sizeof(struct ipc_hello) },
		.hello = hello_of("raw", api, generation),
	};
}

static inline void raw_send(int fd, const void *data, size_t n)
{
	assert_int_equal(send(fd, data, n, MSG_NOSIGNAL), n);
}

/* Length of the next packet, 0 at the end of the connection. */
static inline size_t raw_receive(struct fixture *f, int fd, void *buffer, size_t size)
{
	ssize_t n;

	RUN_UNTIL(f, (n = recv(fd, buffer, size, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
	return n < 0 ? 0 : (size_t)n;
}

static inline void raw_expect_close(struct fixture *f, int fd)
{
	static uint8_t buffer[IPC_PACKET_MAX];

	while (raw_receive(f, fd, buffer, sizeof(buffer)) > 0)
		;
	close(fd);
}

#endif
