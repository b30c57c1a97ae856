/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of a daemon's side of a configuration transaction, over real sockets: what is staged, prepared, applied and let go, by whom, in which order. */
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

#include "capture.h"
#include "config/transaction.h"
#include "platforms/base/ipc_request.h"

#define RUNNING BASE
#define OTHER   BASE "system { location = \"elsewhere\" }\n"

enum { CLIENTS = 2 };

static struct fixture {
	uv_loop_t loop;
	char directory[64], path[96];
	struct ipc_server *server;
	struct ipc_peer *client[CLIENTS];
	struct config_transaction *transaction;
	unsigned ups, downs;
	/* What the daemon was asked to do. */
	unsigned prepared, applied, aborted;
	int refusal;
	char location[32];
	/* The last answer. */
	bool answered;
	int status;
	char body[CONFIG_REASON_MAX];
	size_t length;
} f;

static int on_prepare(void *arg, const struct config *next, struct writer *why)
{
	(void)arg;
	(void)next;
	if (f.refusal)
		writer_text(why, "realm r: no\n");
	else
		f.prepared++;
	return f.refusal;
}

static void on_apply(void *arg, struct config *next)
{
	(void)arg;
	f.applied++;
	(void)snprintf(
		f.location, sizeof(f.location), "%s", next->system.location ? next->system.location : "");
	config_free(next);
}

static void on_abort(void *arg)
{
	(void)arg;
	f.aborted++;
}

static void server_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	(void)arg;
	if (!config_transaction_frame(f.transaction, peer, frame, body))
		ipc_send(peer, (uint16_t)(frame->type | IPC_REPLY), -ENOSYS, frame->sequence, NULL, 0);
}

static void server_down(void *arg, struct ipc_peer *peer)
{
	(void)arg;
	config_transaction_down(f.transaction, peer);
	f.downs++;
}

static void client_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	(void)arg;
	(void)peer;
	(void)hello;
	(void)fresh;
	f.ups++;
}

static void client_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	(void)arg;
	(void)peer;
	assert_true(frame->length <= sizeof(f.body));
	f.answered = true;
	f.status = frame->status;
	f.length = frame->length;
	if (frame->length > 0)
		memcpy(f.body, body, frame->length);
}

static int setup(void **state)
{
	static const struct ipc_handlers of_server = { .down = server_down, .frame = server_frame };
	static const struct ipc_handlers of_client = { .up = client_up, .frame = client_frame };
	static const struct config_phases phases = { on_prepare, on_apply, on_abort };
	struct config *running = capture_valid(RUNNING);
	struct ipc_hello self;

	(void)state;
	f = (struct fixture){ .directory = "/tmp/sallyport-transaction-XXXXXX" };
	assert_non_null(mkdtemp(f.directory));
	(void)snprintf(f.path, sizeof(f.path), "%s/x.sock", f.directory);
	assert_int_equal(uv_loop_init(&f.loop), 0);
	assert_int_equal(
		config_transaction_new(running, CONFIG_CONTROLPLANE, &phases, NULL, &f.transaction), 0);
	config_free(running);
	ipc_hello_fill(&self, "test", 1, 1);
	assert_int_equal(ipc_listen(&f.loop, f.path, &self, &of_server, NULL, &f.server), 0);
	for (size_t i = 0; i < CLIENTS; i++)
		assert_int_equal(ipc_connect(&f.loop, f.path, &self, &of_client, NULL, &f.client[i]), 0);
	while (f.ups < CLIENTS)
		uv_run(&f.loop, UV_RUN_ONCE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < CLIENTS; i++)
		ipc_peer_free(f.client[i]);
	ipc_server_free(f.server);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	config_transaction_free(f.transaction);
	assert_int_equal(uv_loop_close(&f.loop), 0);
	return rmdir(f.directory);
}

static int ask(unsigned client, uint16_t type, const void *body, size_t length)
{
	f.answered = false;
	assert_int_equal(ipc_send(f.client[client], type, 0, 1, body, length), 0);
	while (!f.answered)
		uv_run(&f.loop, UV_RUN_ONCE);
	return f.status;
}

static int stage_piece(unsigned client, uint32_t offset, const char *text, uint32_t length)
{
	static char room[sizeof(struct config_piece) + CONFIG_PIECE_MAX];
	const struct config_piece piece = { offset, length };

	memcpy(room, &piece, sizeof(piece));
	memcpy(room + sizeof(piece), text, length);
	return ask(client, CONFIG_STAGE, room, sizeof(piece) + length);
}

static int stage(unsigned client, const char *text)
{
	return stage_piece(client, 0, text, (uint32_t)strlen(text));
}

static int by_digest(unsigned client, uint16_t type, const char *text)
{
	struct config_digest digest = config_digest_of(text, strlen(text));

	return ask(client, type, &digest, sizeof(digest));
}

static struct config_state state_of(void)
{
	struct config_state state;

	assert_int_equal(ask(0, CONFIG_STATE, NULL, 0), 0);
	assert_int_equal(f.length, sizeof(state));
	memcpy(&state, f.body, sizeof(state));
	return state;
}

static bool is(const struct config_digest *digest, const char *text)
{
	struct config_digest of_text = config_digest_of(text, strlen(text));

	return config_digest_equal(digest, &of_text);
}

static void a_text_is_staged_prepared_and_applied(void **state)
{
	struct config_state now = state_of();
	size_t half = strlen(OTHER) / 2;

	(void)state;
	assert_true(is(&now.started, RUNNING) && is(&now.running, RUNNING) && now.applied_wall_ms == 0);
	assert_int_equal(stage_piece(0, 0, OTHER, (uint32_t)half), 0);
	assert_int_equal(stage_piece(0, (uint32_t)half, OTHER + half, (uint32_t)(strlen(OTHER) - half)), 0);
	assert_int_equal(by_digest(0, CONFIG_PREPARE, OTHER), 0);
	assert_int_equal(f.prepared, 1);
	now = state_of();
	assert_true(is(&now.prepared, OTHER) && is(&now.running, RUNNING));
	assert_int_equal(f.applied, 0);
	assert_int_equal(by_digest(0, CONFIG_APPLY, OTHER), 0);
	assert_int_equal(f.applied, 1);
	assert_string_equal(f.location, "elsewhere");
	now = state_of();
	assert_true(is(&now.started, RUNNING) && is(&now.running, OTHER) && now.applied_wall_ms > 0);
	assert_int_equal(f.aborted, 0);
	/* Once. */
	assert_int_equal(by_digest(0, CONFIG_APPLY, OTHER), -ENOENT);
	assert_int_equal(f.applied, 1);
}

static void what_is_not_valid_is_refused_with_its_lines_and_nothing_is_prepared(void **state)
{
	static const char wrong[] = BASE "realm s { network-interface = nowhere }\n";
	struct config_state now;

	(void)state;
	assert_int_equal(stage(0, wrong), 0);
	assert_int_equal(by_digest(0, CONFIG_PREPARE, wrong), -EINVAL);
	assert_non_null(memmem(f.body, f.length, "realm s.network-interface", 25));
	assert_int_equal(f.prepared, 0);
	now = state_of();
	assert_true(is(&now.running, RUNNING) && !is(&now.prepared, wrong));
	assert_int_equal(by_digest(0, CONFIG_APPLY, wrong), -ENOENT);
}

static void a_daemon_that_refuses_says_why_and_takes_the_next(void **state)
{
	(void)state;
	f.refusal = -EINVAL;
	assert_int_equal(stage(0, OTHER), 0);
	assert_int_equal(by_digest(0, CONFIG_PREPARE, OTHER), -EINVAL);
	assert_non_null(memmem(f.body, f.length, "realm r: no\n", 12));
	assert_int_equal(by_digest(0, CONFIG_APPLY, OTHER), -ENOENT);
	f.refusal = 0;
	assert_int_equal(stage(0, OTHER), 0);
	assert_int_equal(by_digest(0, CONFIG_PREPARE, OTHER), 0);
	assert_int_equal(by_digest(0, CONFIG_APPLY, OTHER), 0);
	assert_int_equal(f.applied, 1);
}

static void pieces_follow_each_other_and_the_digest_must_be_theirs(void **state)
{
	static char piece[sizeof(struct config_piece) + 4];

	(void)state;
	assert_int_equal(by_digest(0, CONFIG_PREPARE, OTHER), -EINVAL); /* nothing is staged */
	assert_int_equal(stage_piece(0, 5, OTHER, 5), -EINVAL);
	assert_int_equal(stage_piece(0, 0, OTHER, 5), 0);
	assert_int_equal(stage_piece(0, 6, OTHER + 6, 5), -EINVAL);
	assert_int_equal(by_digest(0, CONFIG_PREPARE, OTHER), -EINVAL);
	memcpy(piece, &(struct config_piece){ 0, 5 }, sizeof(struct config_piece));
	assert_int_equal(ask(0, CONFIG_STAGE, piece, sizeof(piece)), -EINVAL); /* less than it says */
	assert_int_equal(ask(0, CONFIG_STAGE, piece, 3), -EINVAL);
	assert_int_equal(ask(0, CONFIG_PREPARE, piece, 3), -EINVAL);
	assert_int_equal(ask(0, CONFIG_APPLY, piece, 3), -EINVAL);
	assert_int_equal(stage(0, RUNNING), 0); /* valid, but another one */
	assert_int_equal(by_digest(0, CONFIG_PREPARE, OTHER), -EINVAL);
	assert_int_equal(f.prepared, 0);
	assert_int_equal(ask(0, 0x0e00, NULL, 0), -ENOSYS); /* somebody else's */
}

static void what_was_prepared_goes_with_an_order_or_with_its_connection(void **state)
{
	(void)state;
	assert_int_equal(stage(0, OTHER), 0);
	assert_int_equal(by_digest(0, CONFIG_PREPARE, OTHER), 0);
	/* Another's order does not count. */
	assert_int_equal(by_digest(1, CONFIG_APPLY, OTHER), -ENOENT);
	assert_int_equal(ask(1, CONFIG_ABORT, NULL, 0), 0);
	assert_int_equal(f.aborted, 0);
	assert_int_equal(ask(0, CONFIG_ABORT, NULL, 0), 0);
	assert_int_equal(f.aborted, 1);
	assert_int_equal(by_digest(0, CONFIG_APPLY, OTHER), -ENOENT);
	assert_int_equal(stage(1, OTHER), 0);
	assert_int_equal(by_digest(1, CONFIG_PREPARE, OTHER), 0);
	ipc_peer_free(f.client[1]);
	f.client[1] = NULL;
	while (f.downs == 0)
		uv_run(&f.loop, UV_RUN_ONCE);
	assert_int_equal(f.aborted, 2);
	assert_int_equal(f.applied, 0);
}

/* An earlier one that is stuck must not lock everybody out. */
static void who_begins_later_has_the_word(void **state)
{
	(void)state;
	assert_int_equal(stage(0, OTHER), 0);
	assert_int_equal(by_digest(0, CONFIG_PREPARE, OTHER), 0);
	assert_int_equal(stage(1, RUNNING), 0);
	assert_int_equal(f.aborted, 1);
	assert_int_equal(by_digest(0, CONFIG_APPLY, OTHER), -ENOENT);
	assert_int_equal(by_digest(1, CONFIG_PREPARE, RUNNING), 0);
	assert_int_equal(by_digest(1, CONFIG_APPLY, RUNNING), 0);
	assert_int_equal(f.applied, 1);
}

static void a_text_of_many_pieces_is_put_together_and_one_without_end_is_not_taken(void **state)
{
	static char piece[CONFIG_PIECE_MAX];
	uint32_t offset = 0;
	int error = 0;

	(void)state;
	memset(piece, '\n', sizeof(piece));
	while (!error && offset < UINT32_C(64) << 20) {
		error = stage_piece(0, offset, piece, sizeof(piece));
		offset += sizeof(piece);
	}
	assert_int_equal(error, -EFBIG);
	offset = 0;
	for (; offset < 4 * sizeof(piece); offset += sizeof(piece))
		assert_int_equal(stage_piece(0, offset, piece, sizeof(piece)), 0);
	assert_int_equal(stage_piece(0, offset, OTHER, (uint32_t)strlen(OTHER)), 0);

	char *whole = malloc(offset + sizeof(OTHER));
	struct config_digest digest;

	assert_non_null(whole);
	memset(whole, '\n', offset);
	memcpy(whole + offset, OTHER, sizeof(OTHER));
	digest = config_digest_of(whole, offset + strlen(OTHER));
	free(whole);
	assert_int_equal(ask(0, CONFIG_PREPARE, &digest, sizeof(digest)), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_text_is_staged_prepared_and_applied),
		TEST(what_is_not_valid_is_refused_with_its_lines_and_nothing_is_prepared),
		TEST(a_daemon_that_refuses_says_why_and_takes_the_next),
		TEST(pieces_follow_each_other_and_the_digest_must_be_theirs),
		TEST(what_was_prepared_goes_with_an_order_or_with_its_connection),
		TEST(who_begins_later_has_the_word),
		TEST(a_text_of_many_pieces_is_put_together_and_one_without_end_is_not_taken),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
