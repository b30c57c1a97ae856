/* SPDX-License-Identifier: BSD-3-Clause */
/* Bans of this process: how long, how often, told again to a dataplane that is new, ordered and lifted, and an alarm when there are many.
 * The dataplane's client is this test's own. */
#include <errno.h>

#include "tests/unit/controlplane/store_fixture.h"

#include "controlplane/bans_internal.h"
#include "controlplane/guard.h"

static struct {
	struct store_bed *store;
	struct bans *bans;
	uv_loop_t loop;
	struct dp_client_handlers handlers;
	void *arg;
	bool up;
	unsigned requests, told, cleared;
	struct dp_source_key last_cleared;
	enum dp_message type;
	struct dp_ban ban[64];
	dp_reply reply;
	void *reply_arg;
	int done_status;
	bool done;
} bed;

int dp_client_new(uv_loop_t *loop, const char *socket_path, const char *process, uint64_t generation,
	uint32_t owner, const struct dp_client_handlers *handlers, void *arg, struct dp_client **out)
{
	(void)loop, (void)socket_path, (void)process, (void)generation, (void)owner;
	bed.handlers = *handlers;
	bed.arg = arg;
	*out = (void *)&bed;
	return 0;
}

void dp_client_free(struct dp_client *client)
{
	(void)client;
}

bool dp_client_is_up(const struct dp_client *client)
{
	(void)client;
	return bed.up;
}

const struct ipc_hello *dp_client_hello(const struct dp_client *client)
{
	(void)client;
	return NULL;
}

int dp_client_session(struct dp_client *client, enum dp_message type,
	const struct dp_session_request *request, const void *blob, dp_reply reply, void *arg)
{
	(void)client, (void)type, (void)request, (void)blob, (void)reply, (void)arg;
	return -ENOTCONN;
}

int dp_client_request(struct dp_client *client, enum dp_message type, const void *body, size_t length,
	dp_reply reply, void *arg)
{
	(void)client;
	if (!bed.up)
		return -ENOTCONN;
	bed.requests++;
	bed.type = type;
	bed.reply = reply;
	bed.reply_arg = arg;
	if (type == DP_BAN_CLEAR) {
		bed.cleared++;
		memcpy(&bed.last_cleared, body, sizeof(bed.last_cleared));
	}
	for (size_t i = 0; type == DP_BAN_SET && i < length / sizeof(struct dp_ban) && bed.told < 64; i++)
		memcpy(&bed.ban[bed.told++], (const char *)body + i * sizeof(struct dp_ban),
			sizeof(struct dp_ban));
	return 0;
}

static void answer(int status)
{
	struct dp_done done = { .done = status == 0, .status = status };

	bed.reply(bed.reply_arg, 0, &done, sizeof(done));
}

static void ordered(void *arg, int status)
{
	(void)arg;
	bed.done = true;
	bed.done_status = status;
}

static void open_border(void)
{
	assert_int_equal(
		bans_new(&bed.loop, &bed.store->config, 1, bed.store->store, NULL, NULL, &bed.bans), 0);
}

static void close_border(void)
{
	bans_free(bed.bans);
	uv_run(&bed.loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
	static char run[] = "/tmp";

	(void)state;
	memset(&bed, 0, sizeof(bed));
	bed.store = store_bed_new();
	bed.store->config.system.run_directory = run;
	bed.store->config.guard = (struct config_guard){ .deny_time = 600,
		.deny_time_max = 2000,
		.unproven_deny_time = 60,
		.alarm_rate = 4,
		.max_bans = 100 };
	store_bed_open(bed.store);
	assert_int_equal(uv_loop_init(&bed.loop), 0);
	open_border();
	bed.up = true;
	bed.handlers.up(bed.arg, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_border();
	uv_loop_close(&bed.loop);
	store_bed_free(bed.store);
	return 0;
}

static struct dp_ban ban_of(const char *source)
{
	struct dp_ban ban = { .reason = "guard: sweep" };
	union address address;

	assert_int_equal(address_parse(span_from(source), 0, &address), 0);
	dp_address_from(&ban.key.address, &address);
	ban.key.length = ban.key.address.family == 4 ? 32 : 128;
	return ban;
}

static void deny(const char *source, bool proven)
{
	struct dp_ban ban = ban_of(source);

	bans_deny(bed.bans, &ban, proven);
	mailbox_drain(bed.bans->mailbox);
}

/* It has served its time. */
static void serve(const char *source)
{
	struct dp_ban ban = ban_of(source);

	for (unsigned rank = 0; rank < BANS_RANKS; rank++)
		for (struct bans_entry *entry = bed.bans->order[rank].oldest; entry; entry = entry->newer)
			if (memcmp(&entry->ban.ban.key, &ban.key, sizeof(ban.key)) == 0)
				entry->ban.until_wall_ms = clock_wall_ms() - 1;
}

static void reopen(void)
{
	close_border();
	store_bed_close(bed.store);
	store_bed_open(bed.store);
	bed.told = 0;
	open_border();
	bed.handlers.up(bed.arg, true);
}

static bool knows(const char *source)
{
	struct dp_ban ban = ban_of(source);
	uint64_t until;

	return bans_times(bed.bans, &ban.key, &until) || until;
}

static void order(const char *source, unsigned seconds)
{
	struct dp_ban ban = ban_of(source);

	ban.expires_us = (uint64_t)seconds * 1000000;
	bed.done = false;
	bans_set(bed.bans, &ban, "uid 0", ordered, NULL);
	if (!bed.done)
		answer(0);
}

static unsigned seconds(unsigned n)
{
	return (unsigned)((bed.ban[n].expires_us + 999999) / 1000000);
}

static void each_denial_in_a_row_is_twice_as_long_up_to_its_limit_where_it_is_proven(void **state)
{
	static const unsigned proven[] = { 600, 1200, 2000, 2000 }, unproven[] = { 60, 60, 60 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		deny("192.0.2.1", true);
		deny("192.0.2.1", true); /* of what was under way */
		assert_int_equal(bed.told, i + 1);
		assert_int_equal(seconds(i), proven[i]);
		serve("192.0.2.1");
		answer(0);
	}
	bed.told = 0;
	for (unsigned i = 0; i < 3; i++) {
		deny("192.0.2.2:5060", false);
		assert_int_equal(seconds(i), unproven[i]);
		serve("192.0.2.2:5060");
		answer(0);
	}
}

static void a_dataplane_that_is_new_is_told_all_that_live(void **state)
{
	(void)state;
	deny("192.0.2.1", true);
	answer(0);
	deny("192.0.2.2", true);
	answer(0);
	serve("192.0.2.1");
	bed.told = 0;
	bed.handlers.up(bed.arg, true);
	assert_int_equal(bed.told, 1);
	assert_int_equal(bed.ban[0].key.address.ip[3], 2);
	answer(0);
	/* Denied while it was away. */
	bed.up = false;
	deny("192.0.2.3", true);
	bed.told = 0;
	bed.up = true;
	bed.handlers.up(bed.arg, false);
	assert_int_equal(bed.told, 2);
}

static void bans_and_how_often_they_were_come_back_from_the_store(void **state)
{
	(void)state;
	deny("192.0.2.1", true);
	answer(0);
	serve("192.0.2.1");
	deny("192.0.2.1", true);
	answer(0);
	reopen();
	assert_int_equal(bed.told, 1);
	assert_true(seconds(0) > 1100 && seconds(0) <= 1200);
	answer(0);
	serve("192.0.2.1");
	deny("192.0.2.1", true);
	assert_int_equal(seconds(1), 2000);
}

static void an_order_holds_when_the_dataplane_says_so(void **state)
{
	struct dp_ban ban = ban_of("192.0.2.1");
	uint64_t until;

	(void)state;
	ban.expires_us = 10000000;
	bans_set(bed.bans, &ban, "uid 0", ordered, NULL);
	assert_false(bed.done);
	answer(-EPERM);
	assert_true(bed.done);
	assert_int_equal(bed.done_status, -EPERM);
	assert_int_equal(bed.bans->count, 0);
	bed.done = false;
	bans_set(bed.bans, &ban, "uid 0", ordered, NULL);
	answer(0);
	assert_int_equal(bed.done_status, 0);
	assert_int_equal(bans_times(bed.bans, &ban.key, &until), 0);
	assert_true(until > clock_wall_ms() + 9000);
	bans_lift(bed.bans, &ban.key, "uid 0", ordered, NULL);
	assert_int_equal(bed.type, DP_BAN_CLEAR);
	/* The dataplane has forgotten it already: it is lifted all the same. */
	answer(-ENOENT);
	assert_int_equal(bed.done_status, 0);
	assert_int_equal(bed.bans->count, 0);
	bans_lift(bed.bans, &ban.key, "uid 0", ordered, NULL);
	answer(-ENOENT);
	assert_int_equal(bed.done_status, -ENOENT);
	bed.up = false;
	bans_set(bed.bans, &ban, "uid 0", ordered, NULL);
	assert_int_equal(bed.done_status, -ENOTCONN);
}

static void what_is_not_proved_is_forgotten_at_its_end_and_never_stored(void **state)
{
	(void)state;
	deny("192.0.2.1:5060", false);
	answer(0);
	deny("192.0.2.2", true);
	answer(0);
	assert_int_equal(bed.bans->count, 2);
	serve("192.0.2.1:5060");
	serve("192.0.2.2");
	bed.bans->tick.timer_cb(&bed.bans->tick);
	assert_int_equal(bed.bans->count, 1);
	assert_true(knows("192.0.2.2"));
	deny("192.0.2.1:5060", false);
	reopen();
	assert_int_equal(bed.bans->count, 1);
	assert_true(knows("192.0.2.2"));
}

static void who_proves_his_address_while_he_is_denied_without_is_denied_for_longer(void **state)
{
	(void)state;
	deny("192.0.2.1:5060", false);
	answer(0);
	deny("192.0.2.1:5060", true);
	assert_int_equal(seconds(0), 60);
	assert_int_equal(seconds(1), 600);
	answer(0);
	deny("192.0.2.1:5060", false);
	assert_int_equal(bed.told, 2);
}

static void a_flood_of_forged_sources_pushes_out_no_ban_but_its_own(void **state)
{
	char source[32];

	(void)state;
	order("192.0.2.1", 0);
	order("192.0.2.2", 600);
	deny("192.0.2.3", true);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(source, sizeof(source), "10.0.%u.%u:5060", i / 250, i % 250 + 1);
		deny(source, false);
	}
	assert_int_equal(bed.bans->count, 100);
	assert_true(knows("192.0.2.2") && knows("192.0.2.3") && knows("10.0.3.250:5060"));
	assert_false(knows("10.0.0.1:5060"));
	reopen();
	assert_int_equal(bed.bans->count, 3);
	assert_int_equal(bed.told, 3);
}

static void denials_of_the_guard_give_way_by_their_end_and_orders_never(void **state)
{
	char source[32];

	(void)state;
	for (unsigned i = 1; i <= 60; i++) {
		snprintf(source, sizeof(source), "192.0.2.%u", i);
		order(source, i % 2 ? 0 : 60);
	}
	/* Denied twice, it ends last. */
	deny("10.0.0.1", true);
	answer(0);
	serve("10.0.0.1");
	deny("10.0.0.1", true);
	for (unsigned i = 2; i <= 201; i++) {
		snprintf(source, sizeof(source), "10.0.0.%u", i);
		deny(source, true);
		answer(0);
	}
	assert_int_equal(bed.bans->count, 100);
	assert_true(knows("10.0.0.1") && knows("10.0.0.201") && !knows("10.0.0.2") && knows("192.0.2.2"));
	/* The dataplane has room for as many: it is told who went. */
	assert_true(bed.cleared > 0);
	assert_int_equal(bed.last_cleared.address.ip[3], 162);
	/* Neither do they come back. */
	reopen();
	assert_int_equal(bed.bans->count, 100);
	assert_true(knows("10.0.0.1") && !knows("10.0.0.2") && knows("192.0.2.2"));
	for (unsigned i = 61; i <= 100; i++) {
		snprintf(source, sizeof(source), "192.0.2.%u", i);
		order(source, 0);
		assert_int_equal(bed.done_status, 0);
	}
	assert_int_equal(bed.bans->count, 100);
	order("192.0.2.101", 0);
	assert_int_equal(bed.done_status, -ENOSPC);
	order("192.0.2.100", 60);
	assert_int_equal(bed.done_status, 0);
	deny("10.0.0.9", true);
	assert_int_equal(bed.bans->count, 100);
	assert_false(knows("10.0.0.9"));
}

static void an_alarm_begins_with_many_and_ends_when_they_are_half_as_many(void **state)
{
	struct bans *bans = bed.bans;
	char source[32];

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(source, sizeof(source), "10.0.0.%u", i);
		deny(source, true);
	}
	assert_false(bans->alarmed);
	deny("10.0.0.4", true);
	assert_true(bans->alarmed);
	assert_int_equal(bans_denials(bans), 4);
	/* The minute is over, and was a bad one. */
	bans->window_ms -= 60000;
	bans->tick.timer_cb(&bans->tick);
	assert_true(bans->alarmed);
	deny("10.0.0.5", true);
	bans->window_ms -= 60000;
	bans->tick.timer_cb(&bans->tick);
	assert_false(bans->alarmed);
}

static void sources_are_written_as_people_write_them(void **state)
{
	struct dp_ban port = ban_of("192.0.2.1:5060"), host = ban_of("2001:db8::1");
	char text[BORDER_TEXT_MAX];

	(void)state;
	assert_string_equal(bans_print(&port.key, text), "192.0.2.1:5060");
	assert_string_equal(bans_print(&host.key, text), "2001:db8::1");
	host.key.length = 64;
	assert_string_equal(bans_print(&host.key, text), "2001:db8::1/64");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_denial_in_a_row_is_twice_as_long_up_to_its_limit_where_it_is_proven),
		T(a_dataplane_that_is_new_is_told_all_that_live),
		T(bans_and_how_often_they_were_come_back_from_the_store),
		T(an_order_holds_when_the_dataplane_says_so),
		T(what_is_not_proved_is_forgotten_at_its_end_and_never_stored),
		T(who_proves_his_address_while_he_is_denied_without_is_denied_for_longer),
		T(a_flood_of_forged_sources_pushes_out_no_ban_but_its_own),
		T(denials_of_the_guard_give_way_by_their_end_and_orders_never),
		T(an_alarm_begins_with_many_and_ends_when_they_are_half_as_many),
		T(sources_are_written_as_people_write_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
