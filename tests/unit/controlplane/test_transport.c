/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP transport over real sockets on the loopback. */
#include "tests/unit/controlplane/sip_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/controlplane/shard_fixture.h"

struct world {
	struct config config;
	struct config_network_interface network;
	struct config_realm realm, other_realm;
	struct config_sip_interface interface;
	struct config_endpoint endpoint[2];
	struct shard shard;
	struct shard_private private;
	int peer;
	union address peer_address;
};

static unsigned requests;

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard, (void)request;
	requests++;
	assert_int_equal(transaction_reply(tr, 200, SPAN("t"), (struct span){ NULL, 0 }), 0);
}

static const struct transaction_core core = { .request = on_request };

static int bound_socket(int family, union address *out)
{
	socklen_t length = sizeof(*out);
	int fd = socket(family, SOCK_DGRAM, 0);
	struct timeval patience = { .tv_sec = 5 };

	assert_true(fd >= 0);
	assert_int_equal(address_parse(family == AF_INET ? SPAN("127.0.0.1") : SPAN("::1"), 0, out), 0);
	assert_int_equal(bind(fd, &out->sa, address_length(out)), 0);
	assert_int_equal(getsockname(fd, &out->sa, &length), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	requests = 0;
	w->config.sip = (struct config_sip){
		SIP_TIMERS,
		.shards = 1,
		.max_message_udp = 2000,
		.max_header_block = 2000,
		.max_body = 2000,
		.max_header = 1000,
		.max_identity_header = 1000,
		.max_headers = 64,
		.max_separators = 64,
		.max_via = 10,
		.receive_buffer = 1 << 20,
		.max_transactions = 1000,
	};
	w->network.name = (char *)(uintptr_t) "no-such";
	w->network.dscp_signalling = 24;
	w->realm.network_interface = &w->network;
	w->interface.name = (char *)(uintptr_t) "test";
	w->interface.realm = &w->realm;
	w->interface.listen = w->endpoint;
	w->interface.listen_count = 2;
	shard_fixture_port(&w->endpoint[0], "127.0.0.1", CONFIG_TRANSPORT_UDP);
	shard_fixture_port(&w->endpoint[1], "::1", CONFIG_TRANSPORT_UDP);
	w->config.sip_interfaces = &w->interface;
	w->config.sip_interfaces_count = 1;
	shard_fixture_open(&w->shard, &w->private, &w->config);
	assert_int_equal(transaction_layer_open(&w->shard, &core), 0);
	w->peer = bound_socket(AF_INET, &w->peer_address);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	shard_fixture_close(&w->shard);
	close(w->peer);
	free(w);
	return 0;
}

static void send_to(struct world *w, unsigned endpoint, const char *text, size_t length)
{
	const union address *to = &w->endpoint[endpoint].address;

	assert_int_equal(sendto(w->peer, text, length, 0, &to->sa, address_length(to)), (ssize_t)length);
}

static size_t write_options(char *text, size_t size, unsigned number)
{
	return (size_t)snprintf(text, size,
		"OPTIONS sip:host SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK%u\r\nFrom: "
		"<sip:a@h>;tag=1\r\nTo: <sip:host>\r\n"
		"Call-ID: c%u\r\nCSeq: 1 OPTIONS\r\n\r\n",
		number, number);
}

static void test_a_burst_is_answered_datagram_by_datagram(void **state)
{
	struct world *w = *state;
	char text[1024];

	assert_int_equal(transport_open(&w->shard), 0);
	assert_int_equal(transport_listeners_down(&w->shard), 0);
	for (unsigned i = 0; i < 80; i++)
		send_to(w, 0, text, write_options(text, sizeof(text), i));
	while (requests < 80)
		assert_true(uv_run(&w->shard.loop, UV_RUN_ONCE));
	transport_flush(&w->shard);
	for (unsigned i = 0; i < 80; i++) {
		ssize_t n = recv(w->peer, text, sizeof(text) - 1, 0);

		assert_true(n > 0);
		text[n] = '\0';
		assert_non_null(strstr(text, "SIP/2.0 200 OK\r\n"));
	}
	assert_int_equal(w->shard.counter[CP_COUNTER_RX_MESSAGES], 80);
	assert_int_equal(w->shard.counter[CP_COUNTER_TX_MESSAGES], 80);
}

static void test_datagram_over_the_limit_is_seen_to_be_and_refused(void **state)
{
	struct world *w = *state;
	char text[4000];
	size_t n;

	assert_int_equal(transport_open(&w->shard), 0);
	memset(text, 'x', sizeof(text));
	n = write_options(text, sizeof(text), 1);
	text[n] = 'x'; /* the body begins */
	send_to(w, 0, text, sizeof(text));
	while (w->shard.counter[CP_COUNTER_SCAN_REJECTED] == 0)
		assert_true(uv_run(&w->shard.loop, UV_RUN_ONCE));
	assert_int_equal(requests, 0);
}

static void test_sending_sets_the_dscp_and_the_source_of_the_listener(void **state)
{
	struct world *w = *state;
	char text[64], control[64];
	int on = 1, tos = -1;
	struct sip_flow flow;
	union address from;
	struct iovec piece = { text, sizeof(text) };
	struct msghdr header = { .msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };

	assert_int_equal(transport_open(&w->shard), 0);
	assert_int_equal(setsockopt(w->peer, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)), 0);
	flow = (struct sip_flow){ .listener = transport_find(
					  &w->shard, &w->realm, CONFIG_TRANSPORT_UDP, &w->peer_address),
		.remote = w->peer_address };
	assert_non_null(flow.listener);
	assert_int_equal(transport_send(&flow, SPAN("hello")), 0);
	transport_flush(&w->shard);
	assert_int_equal(recvmsg(w->peer, &header, 0), 5);
	assert_true(address_equal(&from, &w->endpoint[0].address));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			tos = *(unsigned char *)CMSG_DATA(c);
	assert_int_equal(tos, 24 << 2);
}

static void test_listener_is_found_by_realm_transport_and_family(void **state)
{
	struct world *w = *state;
	union address v6;

	assert_int_equal(transport_open(&w->shard), 0);
	assert_int_equal(address_parse(SPAN("[2001:db8::1]:5060"), 0, &v6), 0);
	assert_ptr_equal(transport_find(&w->shard, &w->realm, CONFIG_TRANSPORT_UDP, &w->peer_address),
		transport_listener(&w->shard, 0));
	assert_ptr_equal(transport_find(&w->shard, &w->realm, CONFIG_TRANSPORT_UDP, &v6),
		transport_listener(&w->shard, 1));
	assert_null(transport_find(&w->shard, &w->realm, CONFIG_TRANSPORT_TCP, &v6));
	assert_null(transport_find(&w->shard, &w->other_realm, CONFIG_TRANSPORT_UDP, &v6));
	assert_ptr_equal(listener_interface(transport_listener(&w->shard, 0)), &w->interface);
	assert_true(
		address_equal(listener_address(transport_listener(&w->shard, 0)), &w->endpoint[0].address));
}

static void test_missing_mirror_leaves_the_listener_waiting(void **state)
{
	struct world *w = *state;
	struct sip_flow flow = { .remote = w->peer_address };

	w->private.no_device = false;
	assert_int_equal(transport_open(&w->shard), 0);
	assert_int_equal(transport_listeners_down(&w->shard), 2);
	flow.listener = transport_listener(&w->shard, 0);
	assert_int_equal(transport_send(&flow, SPAN("x")), -ENOTCONN);
	/* The mirror appears; the watch looks again within 200 ms. */
	w->private.no_device = true;
	timer_wheel_advance(w->shard.timers, clock_now_ms() + 250);
	assert_int_equal(transport_listeners_down(&w->shard), 0);
	assert_int_equal(transport_send(&flow, SPAN("x")), 0);
}

static void test_too_long_to_send(void **state)
{
	struct world *w = *state;
	struct sip_flow flow = { .remote = w->peer_address };
	static char big[65508];

	assert_int_equal(transport_open(&w->shard), 0);
	flow.listener = transport_listener(&w->shard, 0);
	assert_int_equal(transport_send(&flow, (struct span){ big, sizeof(big) }), -EMSGSIZE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_burst_is_answered_datagram_by_datagram),
		TEST(test_datagram_over_the_limit_is_seen_to_be_and_refused),
		TEST(test_sending_sets_the_dscp_and_the_source_of_the_listener),
		TEST(test_listener_is_found_by_realm_transport_and_family),
		TEST(test_missing_mirror_leaves_the_listener_waiting),
		TEST(test_too_long_to_send),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
