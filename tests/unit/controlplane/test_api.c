/* SPDX-License-Identifier: BSD-3-Clause */
/* The API's server, asked over its socket: counters at once, calls by way of their shard, nonsense refused. */
#include "tests/unit/controlplane/call_fixture.h"

#include <unistd.h>

#include "controlplane/api_server.h"
#include "platforms/base/ipc.h"

static struct {
	uv_loop_t loop;
	struct call_world *world;
	struct shard *shards[1];
	struct api_server *server;
	struct block_store *blocks;
	struct ipc_peer *peer;
	char directory[64];
	bool up, answered;
	struct ipc_frame frame;
	_Alignas(8) char body[IPC_PACKET_MAX];
} bed;

static void on_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	(void)arg;
	(void)peer;
	(void)fresh;
	assert_string_equal(hello->process, "controlplane");
	bed.up = true;
}

static void on_down(void *arg, struct ipc_peer *peer)
{
	(void)arg;
	(void)peer;
	bed.up = false;
}

static void on_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	(void)arg;
	(void)peer;
	bed.answered = true;
	bed.frame = *frame;
	if (frame->length)
		memcpy(bed.body, body, frame->length);
}

static int setup(void **state)
{
	static const struct ipc_handlers handlers = { on_up, on_down, on_frame };
	struct ipc_hello self;
	struct api_world world;
	char path[128];

	(void)state;
	memset(&bed, 0, sizeof(bed));
	bed.world = world_new();
	bed.blocks = block_new();
	assert_non_null(bed.blocks);
	bed.shards[0] = &bed.world->f->shard;
	assert_int_equal(uv_loop_init(&bed.loop), 0);
	assert_int_equal(mailbox_new(&bed.loop, bed.shards[0], 64, &bed.world->f->private.mailbox), 0);
	snprintf(bed.directory, sizeof(bed.directory), "/tmp/sallyport-test-api-XXXXXX");
	assert_non_null(mkdtemp(bed.directory));
	bed.world->f->config.system.run_directory = bed.directory;
	world = (struct api_world){ &bed.world->f->config, 7, bed.shards, 1, bed.blocks, NULL, NULL,
		&bed.world->f->shard.shared };
	assert_int_equal(api_server_new(&bed.loop, &world, &bed.server), 0);
	ipc_hello_fill(&self, "test", CP_API_VERSION, 1);
	snprintf(path, sizeof(path), "%s/controlplane.sock", bed.directory);
	assert_int_equal(ipc_connect(&bed.loop, path, &self, &handlers, NULL, &bed.peer), 0);
	while (!bed.up)
		uv_run(&bed.loop, UV_RUN_ONCE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (bed.peer)
		ipc_peer_free(bed.peer);
	api_server_close(bed.server);
	mailbox_free(bed.world->f->private.mailbox);
	api_server_free(bed.server);
	block_free(bed.blocks);
	uv_run(&bed.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&bed.loop), 0);
	world_free(bed.world);
	assert_int_equal(rmdir(bed.directory), 0);
	return 0;
}

/* Asks and waits; returns the status of the reply. */
static int ask(unsigned type, const void *body, size_t length)
{
	static uint64_t sequence = 100;

	bed.answered = false;
	assert_int_equal(ipc_send(bed.peer, (uint16_t)type, 0, ++sequence, body, length), 0);
	while (!bed.answered)
		uv_run(&bed.loop, UV_RUN_ONCE);
	assert_int_equal(bed.frame.type, type + CP_REPLY);
	assert_int_equal(bed.frame.sequence, sequence);
	return bed.frame.status;
}

static void test_status_and_counters_are_answered_at_once(void **state)
{
	const struct cp_status *status = (const void *)bed.body;
	const struct cp_counters *counters = (const void *)bed.body;
	char invite[FIXTURE_TEXT_MAX];

	(void)state;
	assert_int_equal(ask(CP_STATUS, NULL, 0), 0);
	assert_int_equal(bed.frame.length, sizeof(*status));
	assert_int_equal(status->shards, 1);
	assert_int_equal(status->calls, 0);
	assert_int_equal(status->dataplane_up, 0);
	call_dataplane_up(bed.shards[0], true);
	establish(bed.world, invite);
	assert_int_equal(ask(CP_STATUS, NULL, 0), 0);
	assert_int_equal(status->calls, 1);
	assert_int_equal(status->dataplane_up, 1);
	assert_int_equal(ask(CP_COUNTERS_GET, NULL, 0), 0);
	assert_int_equal(counters->count, CP_COUNTER_COUNT);
	assert_int_equal(counters->counter[CP_COUNTER_CALLS_ANSWERED], 1);
}

static void test_calls_are_listed_and_shown_by_number(void **state)
{
	const struct cp_call_page *page = (const void *)bed.body;
	const struct cp_call *call = (const void *)(page + 1);
	struct cp_call_list list = { 0 };
	struct cp_call_id id = { 0 };
	char invite[FIXTURE_TEXT_MAX];

	(void)state;
	assert_int_equal(ask(CP_CALL_LIST, &list, sizeof(list)), 0);
	assert_int_equal(page->count, 0);
	establish(bed.world, invite);
	assert_int_equal(ask(CP_CALL_LIST, &list, sizeof(list)), 0);
	assert_int_equal(page->count, 1);
	assert_int_equal(page->more, 0);
	assert_int_equal(bed.frame.length, sizeof(*page) + sizeof(*call));
	assert_string_equal(call->leg[0].call_id, "call1@192.0.2.9");
	id.call = call->call;
	assert_int_equal(ask(CP_CALL_GET, &id, sizeof(id)), 0);
	assert_int_equal(bed.frame.length, sizeof(*call));
	assert_int_equal(((const struct cp_call *)(const void *)bed.body)->call, id.call);
	list.after = id.call;
	assert_int_equal(ask(CP_CALL_LIST, &list, sizeof(list)), 0);
	assert_int_equal(page->count, 0);
}

static void test_dropped_packets_are_listed_by_source(void **state)
{
	const struct cp_block_page *page = (const void *)bed.body;
	const struct cp_block *block = (const void *)(page + 1);
	struct dp_sample sample = { .source = { .ip = { 192, 0, 2, 7 }, .port = 5060, .family = 4 } };
	struct cp_block_list of = { .ip = { 192, 0, 2, 0 }, .family = 4, .length = 24, .limit = 2 };
	uint8_t none[1] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		block_add(bed.blocks, &sample, none, "outside", i);
	assert_int_equal(ask(CP_BLOCK_LIST, &of, sizeof(of)), 0);
	assert_int_equal(page->count, 2);
	assert_int_equal(page->more, 1);
	assert_int_equal(bed.frame.length, sizeof(*page) + 2 * sizeof(*block));
	assert_string_equal(block[0].source, "192.0.2.7:5060");
	assert_int_equal(block[0].wall_ms, 2);
	of.before = block[1].number;
	assert_int_equal(ask(CP_BLOCK_LIST, &of, sizeof(of)), 0);
	assert_int_equal(page->count, 1);
	assert_int_equal(page->more, 0);
	of = (struct cp_block_list){ .ip = { 192, 0, 2, 7 }, .family = 4, .length = 32, .port = 5061 };
	assert_int_equal(ask(CP_BLOCK_LIST, &of, sizeof(of)), 0);
	assert_int_equal(page->count, 0);
}

static void test_what_is_not_there_or_makes_no_sense_is_refused(void **state)
{
	struct cp_call_id id = { 4711 };
	struct cp_call_list list = { .after = (uint64_t)9 << 56 };
	struct cp_block_list of = { .family = 4, .length = 33 };

	(void)state;
	assert_int_equal(ask(CP_CALL_GET, &id, sizeof(id)), -ENOENT);
	id.call = (uint64_t)9 << 56 | 1; /* a shard that does not exist */
	assert_int_equal(ask(CP_CALL_GET, &id, sizeof(id)), -ENOENT);
	assert_int_equal(ask(CP_CALL_LIST, &list, sizeof(list)), -ENOENT);
	assert_int_equal(ask(CP_CALL_GET, &id, 4), -EINVAL);
	assert_int_equal(ask(CP_CALL_LIST, NULL, 0), -EINVAL);
	assert_int_equal(ask(CP_BLOCK_LIST, &of, sizeof(of) - 1), -EINVAL);
	assert_int_equal(ask(CP_BLOCK_LIST, &of, sizeof(of)), -EINVAL);
	of.family = 7;
	assert_int_equal(ask(CP_BLOCK_LIST, &of, sizeof(of)), -EINVAL);
	assert_int_equal(ask(77, NULL, 0), -EINVAL);
}

static void test_a_peer_that_goes_away_is_not_answered(void **state)
{
	struct cp_call_list list = { 0 };

	(void)state;
	assert_int_equal(ipc_send(bed.peer, CP_CALL_LIST, 0, 1, &list, sizeof(list)), 0);
	ipc_peer_free(bed.peer);
	bed.peer = NULL;
	for (unsigned i = 0; i < 10; i++)
		uv_run(&bed.loop, UV_RUN_NOWAIT);
	assert_false(bed.answered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_status_and_counters_are_answered_at_once),
		TEST(test_calls_are_listed_and_shown_by_number),
		TEST(test_dropped_packets_are_listed_by_source),
		TEST(test_what_is_not_there_or_makes_no_sense_is_refused),
		TEST(test_a_peer_that_goes_away_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
