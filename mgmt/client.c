/* SPDX-License-Identifier: BSD-3-Clause */
/* One command over mgmt.sock. */
#include "mgmt/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platforms/base/ipc.h"
#include "platforms/base/random.h"

struct run {
	const struct client_command *command;
	struct ipc_peer *peer;
	uv_timer_t timer;
	uint64_t octets;
	int result;
	bool over, timer_closed;
};

enum { RUN_SEQUENCE = 1 };

static void timer_closed(uv_handle_t *timer)
{
	struct run *run = timer->data;

	run->timer_closed = true;
}

static void run_end(struct run *run, int result)
{
	if (run->over)
		return;
	run->over = true;
	run->result = result;
	ipc_peer_free(run->peer);
	uv_close((uv_handle_t *)&run->timer, timer_closed);
}

static void run_timed_out(uv_timer_t *timer)
{
	run_end(timer->data, -ETIMEDOUT);
}

/* All of it: MGMT_INPUT_MAX fits into what may wait. */
static int send_input(struct run *run)
{
	const struct client_command *command = run->command;
	size_t at = 0;

	while (at < command->input_length) {
		size_t n = command->input_length - at;

		if (n > MGMT_INPUT_PIECE)
			n = MGMT_INPUT_PIECE;

		int err = ipc_send(run->peer, MGMT_INPUT, 0, RUN_SEQUENCE, command->input + at, n);

		if (err != 0)
			return err;
		at += n;
	}
	return ipc_send(run->peer, MGMT_INPUT, 0, RUN_SEQUENCE, NULL, 0);
}

static void send_command(struct run *run)
{
	struct {
		struct mgmt_command header;
		char words[MGMT_COMMAND_MAX];
	} body = { .header = { .words = (uint16_t)run->command->count,
			   .flags = (uint16_t)run->command->flags,
			   .width = (uint16_t)run->command->width } };
	size_t at = 0;

	for (size_t i = 0; i < run->command->count; i++) {
		const struct span *word = &run->command->words[i];

		memcpy(body.words + at, word->p, word->n);
		body.words[at + word->n] = '\0';
		at += word->n + 1;
	}

	int err = 0;

	if (run->command->login != NULL)
		err = ipc_send(
			run->peer, MGMT_LOGIN, 0, 0, run->command->login, sizeof(*run->command->login));
	if (err == 0)
		err = ipc_send(run->peer, MGMT_COMMAND, 0, RUN_SEQUENCE, &body, sizeof(body.header) + at);
	if (err == 0 && (run->command->flags & MGMT_HAS_INPUT) != 0)
		err = send_input(run);
	if (err != 0)
		run_end(run, err);
}

static void peer_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	struct run *run = arg;

	(void)peer;
	(void)hello;
	(void)fresh;
	uv_timer_again(&run->timer);
	send_command(run);
}

static void peer_down(void *arg, struct ipc_peer *peer)
{
	(void)peer;
	run_end(arg, -ECONNRESET);
}

static void take_text(struct run *run, const void *body, size_t length)
{
	struct mgmt_ack ack = { .octets = run->octets += length };
	int err = run->command->text(run->command->arg, body, length);

	/* Printing may have stood still for as long as a pager liked: that is not the daemon's silence. */
	uv_update_time(run->timer.loop);
	uv_timer_again(&run->timer);
	if (err == 0)
		err = ipc_send(run->peer, MGMT_ACK, 0, RUN_SEQUENCE, &ack, sizeof(ack));
	if (err != 0)
		run_end(run, err);
}

static void take_done(struct run *run, const struct ipc_frame *frame, const void *body)
{
	struct mgmt_done done;

	if (frame->status != 0) {
		run_end(run, frame->status);
		return;
	}
	if (frame->length < sizeof(done)) {
		run_end(run, -EBADMSG);
		return;
	}
	memcpy(&done, body, sizeof(done));
	run_end(run, done.exit <= MGMT_EXIT_USAGE ? (int)done.exit : MGMT_EXIT_FAILED);
}

static void peer_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct run *run = arg;

	(void)peer;
	if (run->over || frame->sequence != RUN_SEQUENCE)
		return;
	uv_timer_again(&run->timer);
	if (frame->type == MGMT_TEXT)
		take_text(run, body, frame->length);
	else if (frame->type == MGMT_ERROR)
		run->command->error(run->command->arg, body, frame->length);
	else if (frame->type == MGMT_DONE)
		take_done(run, frame, body);
}

/* ipc_connect waits for ever for somebody to listen; a person wants to know at once that nobody does. */
static int probe(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(socket_path);
	int fd, err = 0;

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, length + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		err = -errno;
	close(fd);
	return err;
}

static int check_words(const struct client_command *command)
{
	size_t all = 0;

	if (command->count == 0 || command->count > MGMT_WORDS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < command->count; i++)
		if (command->words[i].n >= MGMT_WORD_MAX ||
			(all += command->words[i].n + 1) > MGMT_COMMAND_MAX)
			return -E2BIG;
	return 0;
}

int client_run(uv_loop_t *loop, const char *socket_path, const struct client_command *command)
{
	static const struct ipc_handlers handlers = { .up = peer_up, .down = peer_down, .frame = peer_frame };
	struct run run = { .command = command };
	struct ipc_hello self;
	int err = check_words(command);

	if (err == 0)
		err = probe(socket_path);
	if (err != 0)
		return err;
	ipc_hello_fill(&self, "sallyport", MGMT_API_VERSION, random_u64());
	err = ipc_connect(loop, socket_path, &self, &handlers, &run, &run.peer);
	if (err != 0)
		return err;
	uv_timer_init(loop, &run.timer);
	run.timer.data = &run;
	uv_timer_start(&run.timer, run_timed_out, command->timeout_ms, command->timeout_ms);
	while (!run.timer_closed)
		uv_run(loop, UV_RUN_ONCE);
	return run.result;
}
