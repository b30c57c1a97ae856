/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the whole way: a command client, the server, and stand-ins for both daemons, on real sockets in one loop. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/client.h"
#include "mgmt/server.h"
#include "platforms/base/ipc.h"

enum { CALLS = 5000 };

static struct fixture {
	uv_loop_t loop;
	char directory[64], socket[96], dataplane_socket[96], controlplane_socket[96];
	struct ipc_server *dataplane, *controlplane;
	struct neighbours neighbours;
	struct server *server;
	unsigned pages; /* asked of the control plane */
	unsigned most_ahead; /* pages asked for while the client had read none */
	char *text;
	size_t text_length, errors;
	char error[2048];
	int refuse_text; /* what the reader answers */
} f;

static void dataplane_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct dp_stats stats = { .sessions = 1, .sessions_max = 10, .counters = DP_COUNTER_COUNT };
	struct dp_session_info info = { .session = 9, .streams = 1 };
	const struct dp_session_id *id = body;

	(void)arg;
	info.stream[0].kind = DP_MEDIA_OTHER;
	if (frame->type == DP_STATS)
		ipc_send(peer, DP_STATS + DP_REPLY, 0, frame->sequence, &stats, sizeof(stats));
	else if (frame->type == DP_SESSION_GET && id->session == 9)
		ipc_send(peer, DP_SESSION_GET + DP_REPLY, 0, frame->sequence, &info, sizeof(info));
	else
		ipc_send(peer, (uint16_t)(frame->type + DP_REPLY), -ENOENT, frame->sequence, NULL, 0);
}

static void call_fill(struct cp_call *call, uint64_t number)
{
	memset(call, 0, sizeof(*call));
	call->call = number;
	call->session = number == 1 ? 9 : number == 2 ? 0 : 10;
	call->state = CP_CALL_ANSWERED;
	call->answered_ms = number * 1000;
	snprintf(call->leg[0].user, sizeof(call->leg[0].user), "%llu", (unsigned long long)number);
}

static void call_page(struct ipc_peer *peer, const struct ipc_frame *frame, const struct cp_call_list *ask)
{
	struct {
		struct cp_call_page page;
		struct cp_call call[32];
	} reply = { 0 };

	assert_true(ask->limit <= 32);
	f.pages++;
	while (reply.page.count < ask->limit && ask->after + reply.page.count < CALLS) {
		call_fill(&reply.call[reply.page.count], ask->after + reply.page.count + 1);
		reply.page.count++;
	}
	reply.page.more = ask->after + reply.page.count < CALLS;
	ipc_send(peer, CP_CALL_LIST + CP_REPLY, 0, frame->sequence, &reply,
		sizeof(reply.page) + reply.page.count * sizeof(reply.call[0]));
}

static void controlplane_frame(
	void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct cp_status status = { .calls = CALLS, .dataplane_up = 1 };
	const struct cp_call_id *id = body;
	struct cp_call call;

	(void)arg;
	if (frame->type == CP_STATUS) {
		ipc_send(peer, CP_STATUS + CP_REPLY, 0, frame->sequence, &status, sizeof(status));
	} else if (frame->type == CP_CALL_LIST) {
		call_page(peer, frame, body);
	} else if (frame->type == CP_CALL_GET && id->call <= 3) {
		call_fill(&call, id->call);
		ipc_send(peer, CP_CALL_GET + CP_REPLY, 0, frame->sequence, &call, sizeof(call));
	} else {
		ipc_send(peer, (uint16_t)(frame->type + CP_REPLY), -ENOENT, frame->sequence, NULL, 0);
	}
}

static int take_text(void *arg, const char *text, size_t length)
{
	(void)arg;
	if (f.text_length == 0)
		f.most_ahead = f.pages;
	f.text = realloc(f.text, f.text_length + length + 1);
	assert_non_null(f.text);
	memcpy(f.text + f.text_length, text, length);
	f.text_length += length;
	f.text[f.text_length] = '\0';
	return f.refuse_text;
}

static void take_error(void *arg, const char *text, size_t length)
{
	(void)arg;
	assert_true(length < sizeof(f.error));
	memcpy(f.error, text, length);
	f.error[length] = '\0';
	f.errors++;
}

static int run(const char *socket, const struct client_command *what)
{
	struct client *client;
	int result = client_open(&f.loop, socket, NULL, 5000, &client);

	if (result != 0)
		return result;
	result = client_run(client, what);
	client_close(client);
	return result;
}

/* Up to 4 words separated by single spaces. */
static int command(const char *line, unsigned flags)
{
	struct span rest = span_from(line), words[4];
	struct client_command command = {
		.words = words, .flags = flags, .text = take_text, .error = take_error
	};

	free(f.text);
	f.text = NULL;
	f.text_length = f.errors = 0;
	f.pages = 0;
	while (rest.p != NULL && command.count < 4)
		words[command.count++] = span_cut(&rest, ' ');
	return run(f.socket, &command);
}

static void listen_as(const char *process, uint32_t version, const char *path,
	const struct ipc_handlers *handlers, struct ipc_server **out)
{
	struct ipc_hello self;

	ipc_hello_fill(&self, process, version, 77);
	assert_int_equal(ipc_listen(&f.loop, path, &self, handlers, NULL, out), 0);
}

static bool everybody_met(void)
{
	return neighbour_hello(&f.neighbours, NEIGHBOUR_DATAPLANE) != NULL &&
	       neighbour_hello(&f.neighbours, NEIGHBOUR_CONTROLPLANE) != NULL;
}

static int setup(void **state)
{
	static const struct ipc_handlers dataplane = { .frame = dataplane_frame };
	static const struct ipc_handlers controlplane = { .frame = controlplane_frame };

	(void)state;
	memset(&f, 0, sizeof(f));
	snprintf(f.directory, sizeof(f.directory), "/tmp/sallyport-test-XXXXXX");
	assert_non_null(mkdtemp(f.directory));
	snprintf(f.socket, sizeof(f.socket), "%s/mgmt.sock", f.directory);
	snprintf(f.dataplane_socket, sizeof(f.dataplane_socket), "%s/dataplane.sock", f.directory);
	snprintf(f.controlplane_socket, sizeof(f.controlplane_socket), "%s/controlplane.sock", f.directory);
	assert_int_equal(uv_loop_init(&f.loop), 0);
	listen_as("dataplane", DP_API_VERSION, f.dataplane_socket, &dataplane, &f.dataplane);
	listen_as("controlplane", CP_API_VERSION, f.controlplane_socket, &controlplane, &f.controlplane);
	f.neighbours.name = "test";
	assert_int_equal(neighbours_connect(&f.neighbours, &f.loop, f.directory, 1), 0);
	assert_int_equal(server_new(&f.loop, f.socket, &f.neighbours, NULL, &f.server), 0);
	while (!everybody_met())
		uv_run(&f.loop, UV_RUN_ONCE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_free(f.server);
	neighbours_close(&f.neighbours);
	if (f.dataplane != NULL)
		ipc_server_free(f.dataplane);
	if (f.controlplane != NULL)
		ipc_server_free(f.controlplane);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f.loop), 0);
	assert_int_equal(rmdir(f.directory), 0);
	free(f.text);
	return 0;
}

static void a_long_list_comes_whole_as_text(void **state)
{
	(void)state;
	assert_int_equal(command("show calls", 0), MGMT_EXIT_OK);
	assert_memory_equal(f.text, "ID ", 3);
	assert_non_null(strstr(f.text, "\n0-5000 "));
	assert_string_equal(f.text + f.text_length - 11, "5000 calls\n");
	assert_int_equal(f.pages, (CALLS + 31) / 32);
}

static void a_long_list_comes_whole_as_one_json_document(void **state)
{
	json_t *document, *calls;

	(void)state;
	assert_int_equal(command("show calls", MGMT_JSON), MGMT_EXIT_OK);
	document = json_loadb(f.text, f.text_length, 0, NULL);
	assert_non_null(document);
	calls = json_object_get(document, "calls");
	assert_int_equal(json_array_size(calls), CALLS);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(calls, CALLS - 1), "id")), "0-5000");
	json_decref(document);
}

static void the_first_lines_come_before_the_list_is_read(void **state)
{
	(void)state;
	assert_int_equal(command("show calls", 0), MGMT_EXIT_OK);
	/* At most the window was read ahead of a client that had read nothing. */
	assert_true(f.most_ahead < 10);
}

static void a_reader_that_goes_away_ends_the_list(void **state)
{
	(void)state;
	f.refuse_text = -EPIPE;
	assert_int_equal(command("show calls", 0), -EPIPE);
	assert_true(f.pages < (CALLS + 31) / 32);
	/* and the server goes on */
	f.refuse_text = 0;
	assert_int_equal(command("show status", 0), MGMT_EXIT_OK);
}

static void a_call_is_joined_from_both_planes(void **state)
{
	(void)state;
	assert_int_equal(command("show call 1", 0), MGMT_EXIT_OK);
	assert_non_null(strstr(f.text, "media stream 0, other\n"));
	assert_int_equal(f.errors, 0);
}

static void a_call_without_media_is_shown(void **state)
{
	(void)state;
	assert_int_equal(command("show call 0-2", MGMT_JSON), MGMT_EXIT_OK);
	assert_non_null(strstr(f.text, "\"media\": null"));
}

static void a_call_whose_session_is_gone_is_shown_with_a_remark(void **state)
{
	(void)state;
	assert_int_equal(command("show call 3", 0), MGMT_EXIT_FAILED);
	assert_string_equal(f.error, "the dataplane has no session of this call (any more)");
	assert_non_null(strstr(f.text, "answered"));
}

static void a_call_that_does_not_exist_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(command("show call 0-99", 0), MGMT_EXIT_FAILED);
	assert_string_equal(f.error, "no such call: 0-99");
	assert_int_equal(f.text_length, 0);
}

static void status_tells_what_both_say(void **state)
{
	json_t *document;

	(void)state;
	assert_int_equal(command("show status", MGMT_JSON), MGMT_EXIT_OK);
	document = json_loadb(f.text, f.text_length, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(document, "state")), "in-service");
	assert_int_equal(json_integer_value(json_object_get(document, "calls")), CALLS);
	assert_int_equal(json_integer_value(json_object_get(document, "sessions-max")), 10);
	json_decref(document);
}

static void a_neighbour_that_goes_away_is_noticed(void **state)
{
	(void)state;
	ipc_server_free(f.controlplane);
	f.controlplane = NULL;
	while (neighbour_hello(&f.neighbours, NEIGHBOUR_CONTROLPLANE) != NULL)
		uv_run(&f.loop, UV_RUN_ONCE);
	assert_int_equal(command("show calls", 0), MGMT_EXIT_FAILED);
	assert_non_null(strstr(f.error, "is sallyport-controlplane running?"));
	assert_int_equal(command("show status", 0), MGMT_EXIT_OK);
	assert_non_null(strstr(f.text, "degraded"));
}

static void nobody_listening_is_said_at_once(void **state)
{
	struct span word = SPAN("show");
	struct client_command command = {
		.words = &word, .count = 1, .text = take_text, .error = take_error
	};

	(void)state;
	assert_int_equal(run("/nonexistent/mgmt.sock", &command), -ENOENT);
	command.count = MGMT_WORDS_MAX + 1;
	assert_int_equal(run(f.socket, &command), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_long_list_comes_whole_as_text, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_long_list_comes_whole_as_one_json_document, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_first_lines_come_before_the_list_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_that_goes_away_ends_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_is_joined_from_both_planes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_without_media_is_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_call_whose_session_is_gone_is_shown_with_a_remark, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_that_does_not_exist_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(status_tells_what_both_say, setup, teardown),
		cmocka_unit_test_setup_teardown(a_neighbour_that_goes_away_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_listening_is_said_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
