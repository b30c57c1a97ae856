/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard with a loop, timers by the clock and transactions, on real sockets of the loopback. Include sip_fixture.h first. */
#ifndef TESTS_UNIT_CONTROLPLANE_SHARD_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_SHARD_FIXTURE_H

#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/shard_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

/* Not in the way of a test. */
#define STREAM_LIMITS                                                                              \
	.stream_max_connections = 4000, .stream_max_per_source = 4000, .stream_idle_timeout = 100, \
	.stream_first_byte_timeout = 100, .stream_message_timeout = 100,                           \
	.stream_connect_timeout_ms = 100000, .stream_queue = 65536, .stream_memory = 1 << 20

/* A port of the host that nobody has now. */
static inline void shard_fixture_port(
	struct config_endpoint *endpoint, const char *host, enum config_transport transport)
{
	socklen_t length = sizeof(endpoint->address);
	int fd;

	endpoint->transport = transport;
	assert_int_equal(address_parse_host(span_from(host), &endpoint->address), 0);
	fd = socket(endpoint->address.sa.sa_family,
		transport == CONFIG_TRANSPORT_UDP ? SOCK_DGRAM : SOCK_STREAM, 0);
	assert_int_equal(bind(fd, &endpoint->address.sa, address_length(&endpoint->address)), 0);
	assert_int_equal(getsockname(fd, &endpoint->address.sa, &length), 0);
	close(fd);
}

/* Transport is not open yet. */
static inline void shard_fixture_open(
	struct shard *shard, struct shard_private *private, const struct config *config)
{
	alarm(60); /* what never comes must not be waited for */
	log_set_level(LOG_LEVEL_ERROR);
	private->no_device = true;
	shard->count = 1;
	shard->config = config;
	shard->private = private;
	assert_int_equal(uv_loop_init(&shard->loop), 0);
	shard->timers = timer_wheel_new(clock_now_ms());
	timer_wheel_set_clock(shard->timers, clock_now_ms);
}

static inline void shard_fixture_close(struct shard *shard)
{
	transaction_layer_close(shard);
	transport_close(shard);
	uv_run(&shard->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&shard->loop), 0);
	timer_wheel_free(shard->timers);
}

static inline void shard_fixture_turn(struct shard *shard)
{
	uv_run(&shard->loop, UV_RUN_NOWAIT);
	timer_wheel_advance(shard->timers, clock_now_ms());
}

#endif
