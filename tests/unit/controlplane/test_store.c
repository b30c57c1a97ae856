/* SPDX-License-Identifier: BSD-3-Clause */
/* The store: what was written is there after the end, after a crash up to the last group, and without what does not fit any more. */
#include "tests/unit/controlplane/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/alarm.h"
#include "controlplane/digest.h"

struct taken {
	unsigned count;
	uint64_t first, last;
	struct binding seen; /* texts compared while they are there */
	bool texts_right;
};

static int take_binding(void *arg, struct binding *model)
{
	struct taken *taken = arg;

	if (taken->count++ == 0)
		taken->first = model->number;
	taken->last = model->number;
	taken->seen = *model;
	taken->texts_right = span_equal(model->aor, SPAN("100@example.com")) &&
			     span_equal(model->contact, SPAN("sip:100@10.1.2.3:5062;ob")) &&
			     span_equal(model->instance, SPAN("<urn:uuid:1>")) &&
			     span_equal(model->call_id, SPAN("call\x01\xff")) &&
			     span_equal(model->user_agent, SPAN("Phone/1.0")) &&
			     span_equal(model->path, SPAN("<sip:edge;lr>")) &&
			     span_equal(model->service_route, SPAN("<sip:home;lr>")) &&
			     span_equal(model->gruu, SPAN(";pub-gruu=\"x\"")) &&
			     span_equal(model->associated, SPAN("<tel:+1>")) &&
			     span_equal(model->upstream_call_id, SPAN("ours"));
	return 0;
}

static struct taken load(struct store_bed *bed)
{
	struct taken taken = { 0 };

	int64_t count = store_load_bindings(bed->store, &bed->config, take_binding, &taken);

	assert_int_equal(count, taken.count);
	return taken;
}

static void a_binding_comes_back_as_it_was(void **state)
{
	struct store_bed *bed = store_bed_new();
	struct binding b = store_bed_binding(bed, 42);
	struct taken taken;

	(void)state;
	store_bed_open(bed);
	store_binding(bed->store, &b);
	store_bed_close(bed);
	store_bed_open(bed);
	taken = load(bed);
	assert_int_equal(taken.count, 1);
	assert_true(taken.texts_right);
	assert_int_equal(taken.seen.number, 42);
	assert_string_equal(taken.seen.token, "t42");
	assert_ptr_equal(taken.seen.interface, &bed->interface);
	assert_ptr_equal(taken.seen.agent, &bed->agent);
	assert_int_equal(taken.seen.flow.listener, 1);
	assert_int_equal(taken.seen.flow.transport, CONFIG_TRANSPORT_TCP);
	assert_true(address_equal(&taken.seen.flow.remote, &b.flow.remote));
	assert_int_equal(taken.seen.flow.connection, 0);
	assert_int_equal(taken.seen.method_bits, 5);
	assert_int_equal(taken.seen.reg_id, 2);
	assert_int_equal(taken.seen.cseq, 77);
	assert_int_equal(taken.seen.q, 500);
	assert_true(taken.seen.behind_nat);
	assert_int_equal(taken.seen.expires_wall_ms, b.expires_wall_ms);
	assert_int_equal(taken.seen.upstream_expires_wall_ms, b.upstream_expires_wall_ms);
	assert_int_equal(taken.seen.upstream_cseq, 9);
	assert_int_equal(taken.seen.keep_alive_s, 25);
	assert_int_equal(taken.seen.lifetime_s, 30);
	assert_int_equal(taken.seen.heard_wall_ms, b.heard_wall_ms);
	store_bed_free(bed);
}

static void the_newest_of_a_number_holds_and_what_is_gone_or_has_run_out_is_gone(void **state)
{
	struct store_bed *bed = store_bed_new();
	struct binding b = store_bed_binding(bed, 1), old = store_bed_binding(bed, 2),
		       gone = store_bed_binding(bed, 3);
	struct taken taken;

	(void)state;
	old.expires_wall_ms = old.upstream_expires_wall_ms = clock_wall_ms() - 1;
	store_bed_open(bed);
	store_binding(bed->store, &b);
	store_binding(bed->store, &old);
	store_binding(bed->store, &gone);
	store_binding_gone(bed->store, 3);
	b.cseq = 78;
	store_binding(bed->store, &b);
	store_bed_close(bed);
	store_bed_open(bed);
	taken = load(bed);
	assert_int_equal(taken.count, 1);
	assert_int_equal(taken.seen.cseq, 78);
	store_bed_free(bed);
}

static void a_binding_whose_listener_interface_or_agent_is_gone_is_dropped_for_good(void **state)
{
	struct store_bed *bed = store_bed_new();
	static char other[] = "other", pbx[] = "pbx";
	struct binding b = store_bed_binding(bed, 1), udp = store_bed_binding(bed, 2);

	(void)state;
	udp.flow.listener = 0;
	udp.flow.transport = CONFIG_TRANSPORT_UDP;
	udp.flow.local = bed->endpoint[0].address;
	store_bed_open(bed);
	store_binding(bed->store, &b);
	store_binding(bed->store, &udp);
	store_bed_close(bed);
	bed->interface.listen_count = 1;
	store_bed_open(bed);
	assert_int_equal(load(bed).seen.number, 2);
	store_bed_close(bed);
	/* It was deleted, not only passed over. */
	bed->interface.listen_count = 2;
	store_bed_open(bed);
	assert_int_equal(load(bed).count, 1);
	bed->agent.name = other;
	assert_int_equal(load(bed).count, 0);
	bed->agent.name = pbx;
	store_bed_free(bed);
}

/* --- bans -------------------------------------------------------------------------------------------------------------- */

struct bans {
	unsigned count;
	struct store_ban ban[8];
};

static int take_ban(void *arg, const struct store_ban *ban)
{
	struct bans *bans = arg;

	bans->ban[bans->count++ % 8] = *ban;
	return 0;
}

static struct dp_ban ban_of(const char *source, uint8_t length)
{
	struct dp_ban ban = { .key.length = length, .reason = "guard: sweep" };
	union address address;

	assert_int_equal(address_parse(span_from(source), 0, &address), 0);
	dp_address_from(&ban.key.address, &address);
	return ban;
}

static void bans_come_back_with_their_wall_time_and_are_forgotten_after_the_memory(void **state)
{
	struct store_bed *bed = store_bed_new();
	uint64_t now = clock_wall_ms();
	struct dp_ban port = ban_of("192.0.2.7:5060", 32), network = ban_of("2001:db8::", 32),
		      past = ban_of("192.0.2.8", 32), old = ban_of("192.0.2.9", 32),
		      lifted = ban_of("192.0.2.10", 32);
	struct bans bans = { 0 };

	(void)state;
	store_bed_open(bed);
	store_ban(bed->store, &port, now + 60000, 3, "guard");
	store_ban(bed->store, &network, 0, 0, "uid 0");
	store_ban(bed->store, &past, now - 1000, 2, "guard");
	store_ban(bed->store, &old, now - 100000, 2, "guard");
	store_ban(bed->store, &lifted, now + 60000, 1, "guard");
	store_ban_lifted(bed->store, &lifted.key, "uid 0");
	store_bed_close(bed);
	store_bed_open(bed);
	assert_int_equal(store_load_bans(bed->store, 50000, take_ban, &bans), 3);
	for (unsigned i = 0; i < bans.count; i++) {
		const struct store_ban *b = &bans.ban[i];

		if (memcmp(&b->ban.key, &port.key, sizeof(port.key)) == 0) {
			assert_int_equal(b->until_wall_ms, now + 60000);
			assert_int_equal(b->times, 3);
			assert_string_equal(b->ban.reason, "guard: sweep");
		} else if (memcmp(&b->ban.key, &network.key, sizeof(port.key)) == 0) {
			assert_int_equal(b->until_wall_ms, 0);
		} else {
			assert_memory_equal(&b->ban.key, &past.key, sizeof(past.key));
			assert_int_equal(b->times, 2);
		}
	}
	store_bed_free(bed);
}

/* --- users ------------------------------------------------------------------------------------------------------------- */

struct listed {
	unsigned count;
	char text[256];
};

static bool take_user(void *arg, uint64_t number, struct span user, struct span realm)
{
	struct listed *listed = arg;
	size_t n = strlen(listed->text);

	assert_true(number > 0);
	snprintf(listed->text + n, sizeof(listed->text) - n, "%.*s@%.*s ", SPAN_FMT(user), SPAN_FMT(realm));
	return ++listed->count < 8;
}

static bool is_in_file(const char *path, const char *text)
{
	static char octets[4 << 20];
	FILE *file = fopen(path, "rb");
	size_t n = file ? fread(octets, 1, sizeof(octets), file) : 0;

	if (file)
		fclose(file);
	return memmem(octets, n, text, strlen(text)) != NULL;
}

static void a_user_has_both_hashes_and_his_password_is_in_no_file(void **state)
{
	struct store_bed *bed = store_bed_new();
	char ha1[65], expected[DIGEST_HEX_MAX], command[160];
	struct listed listed = { 0 };

	(void)state;
	store_bed_open(bed);
	assert_int_equal(store_user_set(bed->store, SPAN("100"), SPAN("example.com"), SPAN("first")), 0);
	assert_int_equal(
		store_user_set(bed->store, SPAN("101"), SPAN("example.com"), SPAN("open sesame 4711")), 0);
	assert_int_equal(
		store_user_set(bed->store, SPAN("100"), SPAN("example.com"), SPAN("correct horse battery")),
		0);
	for (unsigned again = 0; again < 2; again++) {
		assert_int_equal(store_user(bed->store, SPAN("100"), SPAN("example.com"), STORE_MD5, ha1), 0);
		assert_int_equal(digest_secret(DIGEST_MD5, SPAN("100"), SPAN("example.com"),
					 SPAN("correct horse battery"), expected),
			0);
		assert_string_equal(ha1, expected);
		assert_int_equal(
			store_user(bed->store, SPAN("100"), SPAN("example.com"), STORE_SHA256, ha1), 0);
		assert_int_equal(digest_secret(DIGEST_SHA_256, SPAN("100"), SPAN("example.com"),
					 SPAN("correct horse battery"), expected),
			0);
		assert_string_equal(ha1, expected);
		assert_int_equal(
			store_user(bed->store, SPAN("100"), SPAN("other.com"), STORE_MD5, ha1), -ENOENT);
		store_bed_close(bed);
		store_bed_open(bed);
	}
	store_user_list(bed->store, 0, take_user, &listed);
	assert_string_equal(listed.text, "101@example.com 100@example.com ");
	assert_false(is_in_file(bed->file, "open sesame") || is_in_file(bed->file, "correct horse"));
	snprintf(command, sizeof(command), "%s-wal", bed->file);
	assert_false(is_in_file(command, "open sesame") || is_in_file(command, "correct horse"));
	assert_int_equal(store_user_delete(bed->store, SPAN("100"), SPAN("example.com")), 0);
	assert_int_equal(store_user_delete(bed->store, SPAN("100"), SPAN("example.com")), -ENOENT);
	store_bed_close(bed);
	store_bed_open(bed);
	assert_int_equal(store_user(bed->store, SPAN("100"), SPAN("example.com"), STORE_MD5, ha1), -ENOENT);
	assert_int_equal(store_user(bed->store, SPAN("101"), SPAN("example.com"), STORE_MD5, ha1), 0);
	store_bed_free(bed);
}

static void names_that_would_break_a_header_are_refused(void **state)
{
	struct store_bed *bed = store_bed_new();
	static const struct span bad[] = { { "", 0 }, { "a\"b", 3 }, { "a:b", 3 }, { "a\nb", 3 },
		{ "a\\b", 3 } };

	(void)state;
	store_bed_open(bed);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(store_user_set(bed->store, bad[i], SPAN("r"), SPAN("p")), -EINVAL);
	assert_int_equal(store_user_set(bed->store, SPAN("u"), SPAN("r\""), SPAN("p")), -EINVAL);
	assert_int_equal(store_user_set(bed->store, SPAN("u"), SPAN("r"), SPAN("")), -EINVAL);
	store_bed_free(bed);
}

static void many_users_are_found(void **state)
{
	enum { USERS = 2000 };
	struct store_bed *bed = store_bed_new();
	char name[16], ha1[65];

	(void)state;
	store_bed_open(bed);
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(store_user_set(bed->store, span_from(name), SPAN("r"), SPAN("p")), 0);
	}
	store_bed_close(bed);
	store_bed_open(bed);
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(store_user(bed->store, span_from(name), SPAN("r"), STORE_MD5, ha1), 0);
	}
	store_bed_free(bed);
}

/* --- the file ---------------------------------------------------------------------------------------------------------- */

static unsigned put_aside_count(const struct store_bed *bed)
{
	char pattern[128];
	glob_t found;
	unsigned count;

	snprintf(pattern, sizeof(pattern), "%s.damaged-*", bed->file);
	count = glob(pattern, 0, NULL, &found) == 0 ? (unsigned)found.gl_pathc : 0;
	for (unsigned i = 0; i < count; i++)
		remove(found.gl_pathv[i]);
	if (count)
		globfree(&found);
	return count;
}

static void write_octets(const struct store_bed *bed, off_t at, const char *octets, size_t n)
{
	int fd = open(bed->file, O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, octets, n, at), n);
	close(fd);
}

static void the_file_is_ours_alone(void **state)
{
	struct store_bed *bed = store_bed_new();
	struct store *second = NULL;
	struct stat st;

	(void)state;
	store_bed_open(bed);
	assert_int_equal(stat(bed->file, &st), 0);
	assert_int_equal(st.st_mode & 0007, 0);
	assert_int_equal(store_open(&bed->config, &second), -EBUSY);
	assert_int_equal(put_aside_count(bed), 0);
	store_bed_free(bed);
}

static void what_is_no_database_is_put_aside_and_a_fresh_one_begun(void **state)
{
	struct store_bed *bed = store_bed_new();
	struct binding b = store_bed_binding(bed, 1);

	(void)state;
	write_octets(bed, 0,
		"this is no database, and long enough not to be taken for the beginning of one "
		"....................",
		96);
	store_bed_open(bed);
	assert_int_equal(load(bed).count, 0);
	store_binding(bed->store, &b);
	store_bed_close(bed);
	assert_int_equal(put_aside_count(bed), 1);
	store_bed_open(bed);
	assert_int_equal(load(bed).count, 1);
	assert_int_equal(put_aside_count(bed), 0);
	store_bed_free(bed);
}

static void a_page_that_was_overwritten_is_found_and_the_file_put_aside(void **state)
{
	struct store_bed *bed = store_bed_new();
	static char junk[4096];

	(void)state;
	store_bed_open(bed);
	for (uint64_t i = 1; i <= 500; i++) {
		struct binding b = store_bed_binding(bed, i);

		store_binding(bed->store, &b);
	}
	store_bed_close(bed);
	memset(junk, 0xa5, sizeof(junk));
	for (off_t page = 1; page < 20; page++)
		write_octets(bed, page * 4096, junk, sizeof(junk));
	store_bed_open(bed);
	assert_int_equal(load(bed).count, 0);
	assert_int_equal(put_aside_count(bed), 1);
	store_bed_free(bed);
}

static void a_file_of_a_later_version_or_of_another_program_is_put_aside(void **state)
{
	static const char *const makers[] = { "PRAGMA user_version=99", "PRAGMA application_id=1",
		"CREATE TABLE foreign_one (x)" };

	(void)state;
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		struct store_bed *bed = store_bed_new();
		sqlite3 *db;

		if (i == 0) {
			store_bed_open(bed);
			store_bed_close(bed);
		}
		assert_int_equal(sqlite3_open(bed->file, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, makers[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		store_bed_open(bed);
		assert_int_equal(put_aside_count(bed), 1);
		store_bed_free(bed);
	}
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
	struct store_bed *bed = store_bed_new();
	static char nowhere[] = "/nonexistent/sallyport";
	struct store *store = NULL;

	(void)state;
	bed->config.system.data_directory = nowhere;
	assert_true(store_open(&bed->config, &store) < 0);
	assert_null(store);
	bed->config.system.data_directory = bed->directory;
	store_bed_free(bed);
}

/* --- the queue --------------------------------------------------------------------------------------------------------- */

static void a_full_queue_loses_changes_and_counts_them(void **state)
{
	struct store_bed *bed = store_bed_new();
	uint64_t waiting, lost;

	(void)state;
	bed->config.store.queue = 10;
	bed->config.store.group_time_ms = 60000;
	store_bed_open(bed);
	for (unsigned i = 0; i < 30; i++)
		store_binding_gone(bed->store, i);
	store_counts(bed->store, &waiting, &lost);
	assert_int_equal(waiting, 10);
	assert_int_equal(lost, 20);
	assert_int_equal(store_user_set(bed->store, SPAN("u"), SPAN("r"), SPAN("p")), -ENOSPC);
	store_bed_free(bed);
}

static void the_audit_keeps_so_many_entries_and_no_more(void **state)
{
	struct store_bed *bed = store_bed_new();
	sqlite3_stmt *statement;
	sqlite3 *db;

	(void)state;
	store_bed_open(bed);
	for (unsigned i = 0; i < 150; i++) {
		store_audit(bed->store, "uid 0", "ban", "192.0.2.1", "by command");
		if (i % 50 == 0)
			store_bed_settle(bed);
	}
	store_audit(NULL, "uid 0", "ban", "192.0.2.1", "without a store");
	store_bed_close(bed);
	assert_int_equal(sqlite3_open(bed->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*), max(who) FROM audit", -1, &statement, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(statement, 0), 100);
	assert_string_equal((const char *)sqlite3_column_text(statement, 1), "uid 0");
	sqlite3_finalize(statement);
	sqlite3_close(db);
	store_bed_free(bed);
}

struct read_back {
	struct store_audited entry[4];
	char text[4][4][32];
	size_t count, limit;
};

static void keep_text(char out[32], struct span text)
{
	snprintf(out, 32, "%.*s", SPAN_FMT(text));
}

static bool read_one(void *arg, const struct store_audited *audited)
{
	struct read_back *back = arg;

	if (back->count == back->limit)
		return false;
	back->entry[back->count] = *audited;
	keep_text(back->text[back->count][0], audited->who);
	keep_text(back->text[back->count][1], audited->what);
	keep_text(back->text[back->count][2], audited->object);
	keep_text(back->text[back->count++][3], audited->reason);
	return true;
}

static void the_audit_is_read_newest_first_and_page_by_page(void **state)
{
	struct store_bed *bed = store_bed_new();
	struct read_back back = { .limit = 2 };
	char object[16];

	(void)state;
	assert_int_equal(store_audit_list(NULL, 0, 2, read_one, &back), 0);
	store_bed_open(bed);
	assert_int_equal(store_audit_list(bed->store, 0, 2, read_one, &back), 0);
	assert_int_equal(back.count, 0);
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(object, sizeof(object), "192.0.2.%u", i);
		store_audit(bed->store, "uid 0", "ban", object, i == 3 ? "" : "by command");
	}
	store_bed_settle(bed);
	assert_int_equal(store_audit_list(bed->store, 0, 3, read_one, &back), 0);
	assert_int_equal(back.count, 2);
	assert_string_equal(back.text[0][2], "192.0.2.3");
	assert_string_equal(back.text[0][3], "");
	assert_string_equal(back.text[1][0], "uid 0");
	assert_string_equal(back.text[1][1], "ban");
	assert_string_equal(back.text[1][2], "192.0.2.2");
	assert_string_equal(back.text[1][3], "by command");
	assert_in_range(back.entry[1].wall_ms, clock_wall_ms() - 60000, clock_wall_ms());
	back.count = 0;
	assert_int_equal(store_audit_list(bed->store, back.entry[1].number, 3, read_one, &back), 0);
	assert_int_equal(back.count, 1);
	assert_string_equal(back.text[0][2], "192.0.2.1");
	store_bed_free(bed);
}

static bool alarm_comes(struct store_bed *bed, struct alarms *alarms, bool there)
{
	uint64_t end = clock_now_ms() + 20000;
	struct cp_alarm_page page;
	struct cp_alarm list[4];

	for (uint64_t number = clock_now_ns();; number++) {
		struct binding b = store_bed_binding(bed, number);

		store_binding(bed->store, &b);
		alarms_sweep(alarms, clock_now_ms() + 60000);
		alarms_list(alarms, 0, 4, &page, list);
		if ((page.count == 1) == there || clock_now_ms() > end)
			break;
	}
	return (page.count == 1) == there && (!there || list[0].kind == CP_ALARM_STORE);
}

/* A disk that takes no more: no file may grow. */
static void a_disk_that_refuses_is_an_alarm_until_it_does_not(void **state)
{
	struct store_bed *bed = store_bed_new();
	struct rlimit before, none;
	struct alarms *alarms;
	bool came;

	(void)state;
	assert_int_equal(alarms_new(NULL, &alarms), 0);
	store_bed_open(bed);
	store_alarms(bed->store, alarms);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	came = alarm_comes(bed, alarms, true);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(came);
	assert_true(alarm_comes(bed, alarms, false));
	store_bed_free(bed);
	alarms_free(alarms);
}

/* Writes for ever; says in `shared` up to which number all is on disk. */
static void writer(struct store_bed *bed, volatile uint64_t *shared)
{
	uint64_t waiting, lost;

	if (store_open(&bed->config, &bed->store) != 0)
		_exit(1);
	for (uint64_t i = 1;; i++) {
		struct binding b = store_bed_binding(bed, i);

		store_binding(bed->store, &b);
		if (i % 37 == 0) {
			do
				store_counts(bed->store, &waiting, &lost);
			while (waiting);
			*shared = i;
		}
	}
}

static void a_kill_at_any_time_loses_at_most_the_last_group(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		struct store_bed *bed = store_bed_new();
		volatile uint64_t *shared =
			mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		uint64_t end = clock_now_ms() + 30000;
		struct taken taken;
		pid_t child = fork();

		if (child == 0)
			writer(bed, shared);
		while (*shared < 100 + round * 53 && clock_now_ms() < end)
			;
		assert_int_equal(kill(child, SIGKILL), 0);
		waitpid(child, NULL, 0);
		store_bed_open(bed);
		taken = load(bed);
		assert_true(taken.count >= *shared);
		assert_int_equal(taken.first, 1);
		assert_int_equal(taken.last, taken.count); /* no hole */
		assert_true(taken.texts_right);
		assert_int_equal(put_aside_count(bed), 0);
		munmap((void *)(uintptr_t)shared, 4096);
		store_bed_free(bed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_binding_comes_back_as_it_was),
		cmocka_unit_test(the_newest_of_a_number_holds_and_what_is_gone_or_has_run_out_is_gone),
		cmocka_unit_test(a_binding_whose_listener_interface_or_agent_is_gone_is_dropped_for_good),
		cmocka_unit_test(bans_come_back_with_their_wall_time_and_are_forgotten_after_the_memory),
		cmocka_unit_test(a_user_has_both_hashes_and_his_password_is_in_no_file),
		cmocka_unit_test(names_that_would_break_a_header_are_refused),
		cmocka_unit_test(many_users_are_found),
		cmocka_unit_test(the_file_is_ours_alone),
		cmocka_unit_test(what_is_no_database_is_put_aside_and_a_fresh_one_begun),
		cmocka_unit_test(a_page_that_was_overwritten_is_found_and_the_file_put_aside),
		cmocka_unit_test(a_file_of_a_later_version_or_of_another_program_is_put_aside),
		cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
		cmocka_unit_test(a_full_queue_loses_changes_and_counts_them),
		cmocka_unit_test(the_audit_keeps_so_many_entries_and_no_more),
		cmocka_unit_test(the_audit_is_read_newest_first_and_page_by_page),
		cmocka_unit_test(a_disk_that_refuses_is_an_alarm_until_it_does_not),
		cmocka_unit_test(a_kill_at_any_time_loses_at_most_the_last_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
