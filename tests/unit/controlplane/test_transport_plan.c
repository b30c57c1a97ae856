/* SPDX-License-Identifier: BSD-3-Clause */
/* Listeners over another configuration, with real sockets on the loopback: which stay, which are opened in advance, which leave, and when they
 * have gone. */
#include "tests/unit/controlplane/sip_fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/stream.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "tests/unit/controlplane/move_fixture.h"

enum { PORTS = 4 };

static struct {
	struct move_bed move;
	struct shard shard;
	struct shard_private private;
	unsigned port[PORTS];
	char text[4096], why[512];
} bed;

static unsigned free_port(void)
{
	union address address;
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(address_parse(SPAN("127.0.0.1"), 0, &address), 0);
	assert_int_equal(bind(fd, &address.sa, address_length(&address)), 0);
	assert_int_equal(getsockname(fd, &address.sa, &length), 0);
	close(fd);
	return address_port(&address);
}

/* One sip-interface of that name, which listens at ports in their order. */
#define WITH(name, listen, ...)                                                 \
	(snprintf(bed.text, sizeof(bed.text),                                   \
		 MOVE_PLACE "sip-config { t1 = \"10ms\" }\nsip-interface " name \
			    " { realm = test listen = { " listen " } }\n",      \
		 __VA_ARGS__),                                                  \
		bed.text)

static int prepare(const char *text)
{
	struct writer why;
	int error;

	writer_init(&why, bed.why, sizeof(bed.why) - 1);
	error = transport_prepare(&bed.shard, move_begin(&bed.move, text), &why);
	bed.why[why.len] = '\0';
	return error;
}

static void apply(void)
{
	bed.shard.config = config_move_to(bed.move.move);
	transport_move(&bed.shard, bed.move.move);
	transport_settle(&bed.shard);
	move_end(&bed.move);
}

static void change_to(const char *text)
{
	assert_int_equal(prepare(text), 0);
	apply();
}

static void turn(void)
{
	timer_wheel_advance(bed.shard.timers, clock_now_ms());
	uv_run(&bed.shard.loop, UV_RUN_NOWAIT);
}

static int setup(void **state)
{
	(void)state;
	memset(&bed, 0, sizeof(bed));
	alarm(60);
	log_set_level(LOG_LEVEL_ERROR);
	for (unsigned i = 0; i < PORTS; i++)
		bed.port[i] = free_port();
	move_open(&bed.move,
		WITH("face", "\"udp:127.0.0.1:%u\", \"tcp:127.0.0.1:%u\"", bed.port[0], bed.port[1]));
	bed.private.no_device = true;
	bed.shard.count = 1;
	bed.shard.config = bed.move.config;
	bed.shard.private = &bed.private;
	assert_int_equal(uv_loop_init(&bed.shard.loop), 0);
	bed.shard.timers = timer_wheel_new(clock_now_ms());
	timer_wheel_set_clock(bed.shard.timers, clock_now_ms);
	assert_int_equal(transport_open(&bed.shard), 0);
	turn();
	assert_int_equal(transport_listeners_down(&bed.shard), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	transport_close(&bed.shard);
	uv_run(&bed.shard.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&bed.shard.loop), 0);
	timer_wheel_free(bed.shard.timers);
	move_close(&bed.move);
	return 0;
}

static unsigned descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static struct listener *found(enum config_transport kind)
{
	union address remote;

	assert_int_equal(address_parse(SPAN("127.0.0.9:5060"), 0, &remote), 0);
	return transport_find(&bed.shard, &bed.shard.config->realms[0], kind, &remote);
}

static void what_stays_keeps_its_place_and_its_socket(void **state)
{
	struct listener *udp = transport_listener(&bed.shard, 0), *tcp = transport_listener(&bed.shard, 1);
	const struct udp_socket *socket = udp->socket;
	const struct stream_listen *listening = tcp->listening;

	(void)state;
	assert_non_null(socket);
	/* Another one comes before them in the file, and they are another interface's now. */
	snprintf(bed.text, sizeof(bed.text),
		MOVE_PLACE "sip-interface first { realm = test listen = { \"udp:127.0.0.1:%u\" } }\n"
			   "sip-interface other { realm = test listen = { \"udp:127.0.0.1:%u\", "
			   "\"tcp:127.0.0.1:%u\" } }\n",
		bed.port[2], bed.port[0], bed.port[1]);
	change_to(bed.text);
	assert_ptr_equal(transport_listener(&bed.shard, 0), udp);
	assert_ptr_equal(transport_listener(&bed.shard, 1), tcp);
	assert_ptr_equal(udp->socket, socket);
	assert_ptr_equal(tcp->listening, listening);
	assert_string_equal(listener_interface(udp)->name, "other");
	assert_false(listener_is_leaving(udp));
	/* In the order of the file: the new one, which is open by now. */
	assert_int_equal(listener_index(found(CONFIG_TRANSPORT_UDP)), 2);
	assert_non_null(found(CONFIG_TRANSPORT_UDP)->socket);
}

static void a_port_of_somebody_else_is_refused_and_nothing_is_left_of_it(void **state)
{
	union address address;
	unsigned before;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(address_parse(SPAN("127.0.0.1"), (uint16_t)bed.port[3], &address), 0);
	address_set_port(&address, (uint16_t)bed.port[3]);
	assert_int_equal(bind(fd, &address.sa, address_length(&address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	before = descriptors();
	assert_int_equal(
		prepare(WITH("late", "\"udp:127.0.0.1:%u\", \"tcp:127.0.0.1:%u\"", bed.port[2], bed.port[3])),
		-EINVAL);
	assert_non_null(strstr(bed.why, "sip-interface late.listen: tcp:127.0.0.1:"));
	assert_non_null(strstr(bed.why, "Address already in use\n"));
	transport_abort(&bed.shard);
	move_give_up(&bed.move);
	assert_int_equal(descriptors(), before);
	assert_non_null(transport_listener(&bed.shard, 0)->socket);
	assert_null(transport_listener(&bed.shard, 2));
	close(fd);
}

static void an_address_that_is_not_there_is_waited_for(void **state)
{
	(void)state;
	change_to(WITH("late", "\"udp:127.0.0.1:%u\", \"udp:192.0.2.1:%u\"", bed.port[0], bed.port[2]));
	while (transport_listeners_down(&bed.shard) == 0)
		turn();
	assert_int_equal(transport_listeners_down(&bed.shard), 1);
}

static void what_was_prepared_and_given_up_is_closed(void **state)
{
	unsigned before = descriptors();

	(void)state;
	assert_int_equal(
		prepare(WITH("more", "\"udp:127.0.0.1:%u\", \"tcp:127.0.0.1:%u\"", bed.port[2], bed.port[3])),
		0);
	assert_int_equal(descriptors(), before + 2);
	transport_abort(&bed.shard);
	move_give_up(&bed.move);
	assert_int_equal(descriptors(), before);
	/* And once more, to be applied. */
	change_to(WITH("more", "\"udp:127.0.0.1:%u\", \"tcp:127.0.0.1:%u\"", bed.port[2], bed.port[3]));
	assert_int_equal(listener_index(found(CONFIG_TRANSPORT_UDP)), 2);
}

static void one_that_leaves_is_found_no_more_and_has_gone_in_the_end(void **state)
{
	struct listener *udp = transport_listener(&bed.shard, 0), *tcp = transport_listener(&bed.shard, 1);

	(void)state;
	change_to(WITH("face", "\"udp:127.0.0.1:%u\"", bed.port[2]));
	assert_true(listener_is_leaving(udp) && listener_is_leaving(tcp));
	assert_non_null(udp->socket);
	assert_non_null(tcp->listening);
	assert_int_equal(listener_index(found(CONFIG_TRANSPORT_UDP)), 2);
	assert_null(found(CONFIG_TRANSPORT_TCP));
	while (udp->socket || tcp->listening)
		turn();
	assert_true(udp->gone && tcp->gone);
	/* Whoever remembers it sees nothing of a configuration that may be freed by now. */
	change_to(WITH("again", "\"udp:127.0.0.1:%u\"", bed.port[2]));
	assert_string_equal(listener_interface(udp)->name, "");
	assert_ptr_equal(transport_listener(&bed.shard, 0), udp);
	assert_int_equal(config_snapshots_kept(bed.move.snapshots), 0);
	/* It comes again, with the same number. */
	change_to(WITH("face", "\"tcp:127.0.0.1:%u\", \"udp:127.0.0.1:%u\"", bed.port[1], bed.port[0]));
	assert_ptr_equal(found(CONFIG_TRANSPORT_UDP), udp);
	assert_ptr_equal(found(CONFIG_TRANSPORT_TCP), tcp);
	assert_true(udp->socket && tcp->listening && !udp->gone && !listener_is_leaving(tcp));
}

static void one_that_leaves_keeps_its_interface_readable(void **state)
{
	struct listener *udp = transport_listener(&bed.shard, 0);

	(void)state;
	change_to(WITH("other", "\"udp:127.0.0.1:%u\"", bed.port[2]));
	/* It is looked who needs older ones; and another change comes. */
	move_begin(&bed.move, NULL);
	transport_move(&bed.shard, bed.move.move);
	transport_settle(&bed.shard);
	move_end(&bed.move);
	change_to(WITH("third", "\"udp:127.0.0.1:%u\"", bed.port[3]));
	assert_string_equal(listener_interface(udp)->name, "face");
	assert_string_equal(listener_interface(udp)->realm->name, "test");
	assert_int_not_equal(config_snapshots_kept(bed.move.snapshots), 0);
}

static void the_port_of_one_that_leaves_goes_to_another_transport(void **state)
{
	struct listener *tcp = transport_listener(&bed.shard, 1);

	(void)state;
	snprintf(bed.text, sizeof(bed.text),
		MOVE_PLACE
		"tls-profile p { certificate = \"/nowhere.pem\" key = \"/nowhere.key\" }\n"
		"sip-interface face { realm = test tls-profile = p listen = { \"tls:127.0.0.1:%u\" } }\n",
		bed.port[1]);
	change_to(bed.text);
	assert_true(tcp->yielded && !tcp->listening);
	while (!found(CONFIG_TRANSPORT_TLS)->listening)
		turn();
}

static void a_longer_message_is_taken_as_soon_as_it_is_allowed(void **state)
{
	const struct udp_inbox *inbox = bed.shard.transport->inbox;

	(void)state;
	snprintf(bed.text, sizeof(bed.text),
		MOVE_PLACE "sip-config { max-message-udp = 60000 }\n"
			   "sip-interface face { realm = test listen = { \"udp:127.0.0.1:%u\" } }\n",
		bed.port[0]);
	change_to(bed.text);
	assert_ptr_not_equal(bed.shard.transport->inbox, inbox);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_stays_keeps_its_place_and_its_socket),
		TEST(a_port_of_somebody_else_is_refused_and_nothing_is_left_of_it),
		TEST(an_address_that_is_not_there_is_waited_for),
		TEST(what_was_prepared_and_given_up_is_closed),
		TEST(one_that_leaves_is_found_no_more_and_has_gone_in_the_end),
		TEST(one_that_leaves_keeps_its_interface_readable),
		TEST(the_port_of_one_that_leaves_goes_to_another_transport),
		TEST(a_longer_message_is_taken_as_soon_as_it_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
