/* SPDX-License-Identifier: BSD-3-Clause */
/* For the tests of commits: a directory with a configuration, a database, and stand-ins for both daemons with real transactions on real sockets in one loop. */
#ifndef TESTS_MGMT_COMMIT_BED_H
#define TESTS_MGMT_COMMIT_BED_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/commit.h"
#include "mgmt/neighbours.h"
#include "mgmt/request.h"
#include "mgmt/session.h"
#include "platforms/base/ipc.h"
#include "platforms/base/log.h"

#define BED_BASE                                                                         \
	"network-interface out { port = \"xdp:eth1\" addresses = {\"192.0.2.1/24\"} }\n" \
	"realm r { network-interface = out }\n"

/* One daemon. */
struct bed_daemon {
	struct ipc_server *server;
	struct config_transaction *transaction;
	struct config *running;
	unsigned prepared, applied, aborted;
	int refusal;
};

static struct bed {
	uv_loop_t loop;
	char directory[64], file[96];
	struct mgmt_store *store;
	struct bed_daemon daemon[NEIGHBOUR_COUNT];
	struct neighbours neighbours;
	struct commits *commits;
	struct config *config;
	const struct config *in_force;
	struct session_world world;
	struct session *sessions;
	unsigned applied; /* mgmt's own part */
	/* What the last order said. */
	bool done;
	int error;
	char said[4096];
	/* What the last command said. */
	struct {
		char text[65536], error[4096];
		size_t length;
		unsigned dones;
		uint32_t exit;
	} got;
} bed;

static int bed_prepare(void *arg, const struct config *next, struct writer *why)
{
	struct bed_daemon *daemon = arg;

	(void)next;
	daemon->prepared += daemon->refusal == 0;
	if (daemon->refusal)
		writer_text(why, "realm r: this daemon does not like it\n");
	return daemon->refusal;
}

static void bed_apply(void *arg, struct config *next)
{
	struct bed_daemon *daemon = arg;

	daemon->applied++;
	config_free(daemon->running);
	daemon->running = next;
}

static void bed_abort(void *arg)
{
	((struct bed_daemon *)arg)->aborted++;
}

static void bed_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct bed_daemon *daemon = arg;

	assert_true(config_transaction_frame(daemon->transaction, peer, frame, body));
}

static void bed_down(void *arg, struct ipc_peer *peer)
{
	config_transaction_down(((struct bed_daemon *)arg)->transaction, peer);
}

static void bed_silent(void *arg, bool is_error, const char *line)
{
	(void)arg;
	(void)is_error;
	(void)line;
}

static struct config *bed_load(void)
{
	static const struct config_reporter reporter = { .report = bed_silent };
	struct config *config = NULL;

	assert_int_equal(config_load(bed.file, false, &reporter, &config), 0);
	return config;
}

static void bed_start_daemon(enum neighbour which)
{
	static const struct ipc_handlers handlers = { .down = bed_down, .frame = bed_frame };
	static const struct config_phases phases = { bed_prepare, bed_apply, bed_abort };
	static uint64_t generation = 100;
	struct bed_daemon *daemon = &bed.daemon[which];
	struct ipc_hello self;
	char path[NEIGHBOUR_PATH_MAX];

	*daemon = (struct bed_daemon){ .running = bed_load() };
	assert_int_equal(config_transaction_new(daemon->running,
				 which == NEIGHBOUR_DATAPLANE ? CONFIG_DATAPLANE : CONFIG_CONTROLPLANE,
				 &phases, daemon, &daemon->transaction),
		0);
	(void)snprintf(path, sizeof(path), "%s/%s.sock", bed.directory, neighbour_name(which));
	ipc_hello_fill(&self, neighbour_name(which),
		which == NEIGHBOUR_DATAPLANE ? (uint32_t)DP_API_VERSION : (uint32_t)CP_API_VERSION,
		generation++);
	assert_int_equal(ipc_listen(&bed.loop, path, &self, &handlers, daemon, &daemon->server), 0);
}

static void bed_stop_daemon(enum neighbour which)
{
	struct bed_daemon *daemon = &bed.daemon[which];

	if (daemon->server == NULL)
		return;
	ipc_server_free(daemon->server);
	daemon->server = NULL;
	while (neighbour_hello(&bed.neighbours, which) != NULL)
		uv_run(&bed.loop, UV_RUN_ONCE);
	config_transaction_free(daemon->transaction);
	config_free(daemon->running);
}

static void bed_up(void *arg, enum neighbour which)
{
	(void)arg;
	if (bed.commits != NULL)
		commits_neighbour_up(bed.commits, which);
}

static void bed_applied(void *arg, struct config *config)
{
	(void)arg;
	config_free(bed.config);
	bed.config = config;
	bed.in_force = config;
	bed.applied++;
}

static void bed_write(const char *text)
{
	FILE *file = fopen(bed.file, "w");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
}

/* What is in the file. */
__attribute__((unused)) static const char *bed_text(void)
{
	static char text[65536];
	FILE *file = fopen(bed.file, "r");
	size_t n;

	assert_non_null(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	assert_int_equal(fclose(file), 0);
	text[n] = '\0';
	return text;
}

__attribute__((unused)) static void bed_wait(const bool *what)
{
	while (!*what)
		uv_run(&bed.loop, UV_RUN_ONCE);
}

static bool bed_agrees(enum neighbour which)
{
	return neighbour_hello(&bed.neighbours, which) != NULL && commits_agrees(bed.commits, which);
}

static void bed_wait_agreement(void)
{
	while (!bed_agrees(NEIGHBOUR_DATAPLANE) || !bed_agrees(NEIGHBOUR_CONTROLPLANE))
		uv_run(&bed.loop, UV_RUN_ONCE);
}

static void bed_open_commits(void)
{
	static const struct commits_events events = { .applied = bed_applied };

	assert_int_equal(mgmt_store_open(bed.directory, &bed.store), 0);
	bed.config = bed_load();
	bed.in_force = bed.config;
	assert_int_equal(
		commits_new(&bed.loop, bed.file, bed.store, &bed.neighbours, &events, NULL, &bed.commits), 0);
	bed.world = (struct session_world){
		.commits = bed.commits, .store = bed.store, .config = &bed.in_force, .sessions = &bed.sessions
	};
	bed.neighbours.up = bed_up;
	assert_int_equal(neighbours_connect(&bed.neighbours, &bed.loop, bed.directory, 1), 0);
}

/* As when the process dies: what is not on disk is gone. */
static void bed_close_commits(void)
{
	commits_free(bed.commits);
	bed.commits = NULL;
	neighbours_close(&bed.neighbours);
	for (unsigned i = 0; i < 20; i++)
		uv_run(&bed.loop, UV_RUN_NOWAIT);
	config_free(bed.config);
	bed.config = NULL;
	mgmt_store_close(bed.store);
}

static int bed_setup(void **state)
{
	(void)state;
	memset(&bed, 0, sizeof(bed));
	(void)snprintf(bed.directory, sizeof(bed.directory), "/tmp/sallyport-commit-XXXXXX");
	assert_non_null(mkdtemp(bed.directory));
	(void)snprintf(bed.file, sizeof(bed.file), "%s/sallyport.conf", bed.directory);
	bed_write(BED_BASE);
	assert_int_equal(uv_loop_init(&bed.loop), 0);
	bed_start_daemon(NEIGHBOUR_DATAPLANE);
	bed_start_daemon(NEIGHBOUR_CONTROLPLANE);
	bed_open_commits();
	bed_wait_agreement();
	return 0;
}

static int bed_remove(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status, (void)kind, (void)at;
	return remove(path);
}

static int bed_teardown(void **state)
{
	(void)state;
	bed_close_commits();
	bed_stop_daemon(NEIGHBOUR_DATAPLANE);
	bed_stop_daemon(NEIGHBOUR_CONTROLPLANE);
	uv_run(&bed.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&bed.loop), 0);
	return nftw(bed.directory, bed_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- orders --- */

__attribute__((unused)) static void bed_done(void *arg, int error, const char *text, uint64_t revision)
{
	(void)arg;
	(void)revision;
	bed.done = true;
	bed.error = error;
	(void)snprintf(bed.said, sizeof(bed.said), "%s", text != NULL ? text : "");
}

__attribute__((unused)) static struct config_document *bed_document(const char *text)
{
	struct config_document *document = NULL;

	assert_int_equal(commits_read(text, strlen(text), &document), 0);
	return document;
}

/* --- commands --- */

__attribute__((unused)) static int bed_take(
	void *arg, uint16_t type, int16_t status, const void *body, size_t length)
{
	struct mgmt_done done;

	(void)arg;
	(void)status;
	if (type == MGMT_TEXT && bed.got.length + length < sizeof(bed.got.text)) {
		memcpy(bed.got.text + bed.got.length, body, length);
		bed.got.length += length;
	} else if (type == MGMT_ERROR) {
		(void)snprintf(bed.got.error, sizeof(bed.got.error), "%.*s", (int)length, (const char *)body);
	} else if (type == MGMT_DONE) {
		memcpy(&done, body, sizeof(done));
		bed.got.exit = done.exit;
		bed.got.dones++;
	}
	return 0;
}

__attribute__((unused)) static void bed_finished(void *arg)
{
	(void)arg;
}

/* A command of that session, words separated by blanks; `input` NULL: it reads nothing. Its exit status. */
__attribute__((unused)) static enum mgmt_exit bed_give(
	struct session *session, const char *line, const char *input)
{
	static const struct request_sink sink = { .send = bed_take, .finished = bed_finished };
	struct request *request = request_new(&bed.neighbours, &sink, NULL);
	struct {
		struct mgmt_command header;
		char words[8192];
	} body = { .header = { .flags = input != NULL ? MGMT_HAS_INPUT : 0 } };
	struct span rest = span_from(line);
	struct writer words;

	memset(&bed.got, 0, sizeof(bed.got));
	writer_init(&words, body.words, sizeof(body.words));
	for (; rest.n > 0; body.header.words++) {
		writer_span(&words, span_cut(&rest, ' '));
		writer_char(&words, '\0');
	}
	request_set_session(request, session);
	request_run(request, &body, sizeof(body.header) + words.len);
	if (input != NULL && bed.got.dones == 0) {
		request_input(request, input, strlen(input));
		request_input(request, NULL, 0);
	}
	while (bed.got.dones == 0)
		uv_run(&bed.loop, UV_RUN_ONCE);
	return (enum mgmt_exit)bed.got.exit;
}

#define BED_TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

#endif
