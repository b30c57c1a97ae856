/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of AF_PACKET ports: no fanout group, but filters by which each frame is received exactly once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/fanout.h"

enum { QUEUES = 3 };

struct scene {
	int sender;
	int queue[QUEUES];
};

static void our_function_is_the_one_that_libraries_find(void **state)
{
	(void)state;
	assert_true(fanout_is_ours());
}

static void other_options_pass_through(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1, got = 0;
	socklen_t length = sizeof(got);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &got, &length), 0);
	assert_int_equal(got, 1);
	errno = 0;
	assert_int_equal(setsockopt(-1, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), -1);
	assert_int_equal(errno, EBADF);
	close(fd);
}

static int packet_socket(void)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("lo") };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* The loopback of a namespace of our own: what is sent there comes in, at once and with nothing beside it. */
static int scene_make(void **state)
{
	static struct scene s;
	struct ifreq request = { .ifr_name = "lo" };
	unsigned wanted = 4711 | (unsigned)(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG) << 16;
	int kept[FANOUT_QUEUES_MAX];

	*state = NULL;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return 0; /* only root may: the tests skip */
	int ipv6 = open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (ipv6 >= 0) {
		assert_int_equal(write(ipv6, "1", 1), 1);
		close(ipv6);
	}
	s.sender = socket(AF_PACKET, SOCK_RAW, 0);
	assert_int_equal(ioctl(s.sender, SIOCGIFFLAGS, &request), 0);
	request.ifr_flags |= IFF_UP;
	assert_int_equal(ioctl(s.sender, SIOCSIFFLAGS, &request), 0);
	fanout_begin(QUEUES);
	for (unsigned i = 0; i < QUEUES; i++) {
		s.queue[i] = packet_socket();
		assert_int_equal(
			setsockopt(s.queue[i], SOL_PACKET, PACKET_FANOUT, &wanted, sizeof(wanted)), 0);
	}
	assert_int_equal(fanout_end(kept), QUEUES);
	assert_memory_equal(kept, s.queue, sizeof(s.queue));
	*state = &s;
	return 0;
}

static int scene_clear(void **state)
{
	struct scene *s = *state;

	for (unsigned i = 0; s != NULL && i < QUEUES; i++)
		close(s->queue[i]);
	if (s != NULL)
		close(s->sender);
	return 0;
}

/* Which queue has it; fails unless exactly one has. */
static unsigned where(const struct scene *s, const uint8_t *frame, size_t length)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("lo"), .sll_halen = 6
	};
	unsigned found = QUEUES;
	uint8_t got[2048];

	assert_int_equal(sendto(s->sender, frame, length, 0, (struct sockaddr *)&to, sizeof(to)), length);
	for (unsigned i = 0; i < QUEUES; i++) {
		ssize_t n = recv(s->queue[i], got, sizeof(got), 0);

		if (n < 0)
			continue;
		assert_int_equal(found, QUEUES);
		assert_int_equal(n, length);
		assert_memory_equal(got, frame, length);
		found = i;
		assert_int_equal(recv(s->queue[i], got, sizeof(got), 0), -1);
	}
	assert_int_not_equal(found, QUEUES);
	return found;
}

struct pair {
	uint8_t a, b;
	uint16_t port_a, port_b;
};

static size_t frame4(uint8_t *f, const struct pair *p, unsigned words)
{
	uint16_t ports[2] = { htons(p->port_a), htons(p->port_b) };

	memset(f, 0, 128);
	f[12] = 0x08;
	f[14] = (uint8_t)(0x40 | words);
	f[23] = IPPROTO_UDP;
	f[26] = f[30] = 10;
	f[29] = p->a;
	f[33] = p->b;
	memcpy(f + 14 + words * 4, ports, sizeof(ports));
	return 14 + words * 4 + 8;
}

static size_t frame6(uint8_t *f, const struct pair *p)
{
	uint16_t ports[2] = { htons(p->port_a), htons(p->port_b) };

	memset(f, 0, 128);
	f[12] = 0x86;
	f[13] = 0xdd;
	f[14] = 0x60;
	f[20] = IPPROTO_UDP;
	f[22] = f[38] = 0x20;
	f[37] = p->a;
	f[53] = p->b;
	memcpy(f + 54, ports, sizeof(ports));
	return 62;
}

static void flows_spread_and_both_directions_fall_on_one_queue(void **state)
{
	const struct scene *s = *state;
	unsigned seen[2][QUEUES] = { 0 };
	uint8_t frame[128];

	if (s == NULL)
		skip();
	for (uint16_t i = 0; i < 60; i++) {
		struct pair p = { 1, (uint8_t)(2 + i % 7), (uint16_t)(10000 + 2 * i), (uint16_t)(30000 + i) };
		struct pair back = { p.b, p.a, p.port_b, p.port_a };
		unsigned q4 = where(s, frame, frame4(frame, &p, 5));
		assert_int_equal(where(s, frame, frame4(frame, &back, 5)), q4);
		assert_int_equal(where(s, frame, frame4(frame, &p, 7)), q4); /* with options */
		unsigned q6 = where(s, frame, frame6(frame, &p));
		assert_int_equal(where(s, frame, frame6(frame, &back)), q6);
		seen[0][q4]++;
		seen[1][q6]++;
	}
	for (unsigned i = 0; i < QUEUES; i++) {
		assert_true(seen[0][i] > 5);
		assert_true(seen[1][i] > 5);
	}
}

static void fragments_of_a_packet_stay_together(void **state)
{
	const struct scene *s = *state;
	uint8_t frame[128];

	if (s == NULL)
		skip();
	for (uint8_t i = 1; i < 20; i++) {
		struct pair p = { i, (uint8_t)(100 + 3 * i), 10000, 5060 };
		size_t n = frame4(frame, &p, 5);

		frame[20] = 0x20; /* more fragments */
		unsigned queue = where(s, frame, n);
		frame[20] = 0;
		frame[21] = 100;
		memset(frame + 34, i, 8); /* where ports would be */
		assert_int_equal(where(s, frame, n), queue);
	}
}

static void what_is_no_ip_or_cut_short_is_received_once_too(void **state)
{
	const struct scene *s = *state;
	const struct pair p = { 1, 2, 10000, 20000 };
	uint8_t frame[128];

	if (s == NULL)
		skip();
	for (size_t n = 14; n <= 42; n++) {
		(void)frame4(frame, &p, 5);
		(void)where(s, frame, n);
		(void)frame4(frame, &p, 15);
		(void)where(s, frame, n);
	}
	for (size_t n = 14; n <= 62; n++) {
		(void)frame6(frame, &p);
		(void)where(s, frame, n);
	}
	memset(frame, 0, sizeof(frame));
	frame[12] = 0x08;
	frame[13] = 0x06;
	assert_int_equal(where(s, frame, 60), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_function_is_the_one_that_libraries_find),
		cmocka_unit_test(other_options_pass_through),
		cmocka_unit_test(flows_spread_and_both_directions_fall_on_one_queue),
		cmocka_unit_test(fragments_of_a_packet_stay_together),
		cmocka_unit_test(what_is_no_ip_or_cut_short_is_received_once_too),
	};

	return cmocka_run_group_tests(tests, scene_make, scene_clear);
}
