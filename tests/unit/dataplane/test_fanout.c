/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments on AF_PACKET ports: the flag that has them reassembled is taken out, all else passes through. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/fanout.h"

static void our_function_is_the_one_that_libraries_find(void **state)
{
	(void)state;
	assert_true(fanout_keeps_fragments());
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

static void a_group_is_joined_without_reassembly(void **state)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("lo") };
	unsigned wanted = 4711 | (unsigned)(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG) << 16, got = 0;
	socklen_t length = sizeof(got);
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	(void)state;
	if (fd < 0)
		skip(); /* only root may */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &wanted, sizeof(wanted)), 0);
	assert_int_equal(getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &got, &length), 0);
	assert_int_equal(got >> 16, PACKET_FANOUT_HASH);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_function_is_the_one_that_libraries_find),
		cmocka_unit_test(other_options_pass_through),
		cmocka_unit_test(a_group_is_joined_without_reassembly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
