/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection to mgmt.sock, and what is asked over it. */
#include "mgmt/client.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platforms/base/ipc.h"
#include "platforms/base/random.h"

struct client {
	uv_loop_t *loop;
	struct ipc_peer *peer;
	const struct mgmt_login *login;
	uv_timer_t timer;
	uv_signal_t interrupt;
	unsigned open_handles;
	bool up, lost;
	/* What is asked now. */
	uint64_t sequence;
	bool over;
	int result;
	const struct client_command *command; /* NULL: none */
	uint64_t octets;
	int given_up; /* -errno: the command is, and its end is waited for */
	uint16_t reply; /* type of the one reply that is waited for; 0: none */
	void (*take)(void *arg, const void *body, size_t length);
	void *take_arg;
};

static void handle_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;

	client->open_handles--;
}

static void client_end(struct client *client, int result)
{
	if (client->over)
		return;
	client->over = true;
	client->result = result;
	uv_timer_stop(&client->timer);
}

static void timed_out(uv_timer_t *timer)
{
	client_end(timer->data, -ETIMEDOUT);
}

/* All of it: MGMT_INPUT_MAX fits into what may wait. */
static int send_input(struct client *client)
{
	const struct client_command *command = client->command;
	size_t at = 0;

	while (at < command->input_length) {
		size_t n = command->input_length - at;

		if (n > MGMT_INPUT_PIECE)
			n = MGMT_INPUT_PIECE;

		int err = ipc_send(client->peer, MGMT_INPUT, 0, client->sequence, command->input + at, n);

		if (err != 0)
			return err;
		at += n;
	}
	return ipc_send(client->peer, MGMT_INPUT, 0, client->sequence, NULL, 0);
}

static int send_words(struct client *client, uint16_t type, const struct span *words, size_t count,
	unsigned flags, unsigned width)
{
	struct {
		struct mgmt_command header;
		char words[MGMT_COMMAND_MAX];
	} body = { .header = {
			   .words = (uint16_t)count, .flags = (uint16_t)flags, .width = (uint16_t)width } };
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		memcpy(body.words + at, words[i].p, words[i].n);
		body.words[at + words[i].n] = '\0';
		at += words[i].n + 1;
	}

	int err = ipc_send(client->peer, type, 0, client->sequence, &body, sizeof(body.header) + at);

	explicit_bzero(body.words, at); /* a secret may be among them */
	return err;
}

static void peer_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	struct client *client = arg;

	(void)hello;
	(void)fresh;
	if (client->up) { /* connected anew by itself: what the session held is lost, and its user must know */
		client->lost = true;
		return;
	}
	client->up = true;
	client_end(client, client->login != NULL
				   ? ipc_send(peer, MGMT_LOGIN, 0, 0, client->login, sizeof(*client->login))
				   : 0);
}

static void peer_down(void *arg, struct ipc_peer *peer)
{
	struct client *client = arg;

	(void)peer;
	client->lost = true;
	client_end(client, -ECONNRESET);
}

static void give_up(struct client *client, int error)
{
	if (client->given_up != 0)
		return;
	client->given_up = error;

	int err = ipc_send(client->peer, MGMT_STOP, 0, client->sequence, NULL, 0);

	if (err != 0)
		client_end(client, err);
}

static void interrupted(uv_signal_t *handle, int number)
{
	(void)number;
	give_up(handle->data, -EINTR);
}

static void take_text(struct client *client, const void *body, size_t length)
{
	struct mgmt_ack ack = { .octets = client->octets += length };
	int err;

	if (client->given_up != 0)
		return;
	err = client->command->text(client->command->arg, body, length);
	/* Printing may have stood still for as long as a pager liked: that is not the daemon's silence. */
	uv_update_time(client->loop);
	uv_timer_again(&client->timer);
	if (err != 0) {
		give_up(client, err);
		return;
	}
	err = ipc_send(client->peer, MGMT_ACK, 0, client->sequence, &ack, sizeof(ack));
	if (err != 0)
		client_end(client, err);
}

static void take_done(struct client *client, const struct ipc_frame *frame, const void *body)
{
	struct mgmt_done done;

	if (client->given_up != 0) {
		client_end(client, client->given_up);
	} else if (frame->status != 0) {
		client_end(client, frame->status);
	} else if (frame->length < sizeof(done)) {
		client_end(client, -EBADMSG);
	} else {
		memcpy(&done, body, sizeof(done));
		client_end(client, done.exit <= MGMT_EXIT_USAGE ? (int)done.exit : MGMT_EXIT_FAILED);
	}
}

static void peer_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct client *client = arg;

	(void)peer;
	if (client->over || frame->sequence != client->sequence)
		return;
	uv_timer_again(&client->timer);
	if (client->reply != 0) {
		if (frame->type == client->reply && frame->status == 0)
			client->take(client->take_arg, body, frame->length);
		client_end(client, frame->type == client->reply ? frame->status : -EBADMSG);
	} else if (frame->type == MGMT_TEXT) {
		take_text(client, body, frame->length);
	} else if (frame->type == MGMT_ERROR) {
		if (client->given_up == 0)
			client->command->error(client->command->arg, body, frame->length);
	} else if (frame->type == MGMT_DONE) {
		take_done(client, frame, body);
	}
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

static int check_words(const struct span *words, size_t count)
{
	size_t all = 0;

	if (count > MGMT_WORDS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++)
		if (words[i].n >= MGMT_WORD_MAX || (all += words[i].n + 1) > MGMT_COMMAND_MAX)
			return -E2BIG;
	return 0;
}

static void begin(struct client *client)
{
	client->sequence++;
	client->over = false;
	client->given_up = 0;
	client->octets = 0;
	uv_update_time(client->loop);
	uv_timer_again(&client->timer);
}

static int wait_end(struct client *client)
{
	while (!client->over)
		uv_run(client->loop, UV_RUN_ONCE);
	return client->result;
}

int client_open(uv_loop_t *loop, const char *socket_path, const struct mgmt_login *login, unsigned timeout_ms,
	struct client **out)
{
	static const struct ipc_handlers handlers = { .up = peer_up, .down = peer_down, .frame = peer_frame };
	struct ipc_hello self;
	struct client *client;
	int err = probe(socket_path);

	if (err != 0)
		return err;
	client = calloc(1, sizeof(*client));
	if (client == NULL)
		return -ENOMEM;
	client->loop = loop;
	client->login = login;
	ipc_hello_fill(&self, "sallyport", MGMT_API_VERSION, random_u64());
	err = ipc_connect(loop, socket_path, &self, &handlers, client, &client->peer);
	if (err != 0) {
		free(client);
		return err;
	}
	uv_timer_init(loop, &client->timer);
	uv_signal_init(loop, &client->interrupt);
	client->timer.data = client->interrupt.data = client;
	client->open_handles = 2;
	uv_timer_start(&client->timer, timed_out, timeout_ms, timeout_ms);
	begin(client);
	err = wait_end(client);
	client->login = NULL;
	if (err != 0)
		client_close(client);
	else
		*out = client;
	return err;
}

void client_close(struct client *client)
{
	if (client == NULL)
		return;
	ipc_peer_free(client->peer);
	uv_close((uv_handle_t *)&client->timer, handle_closed);
	uv_close((uv_handle_t *)&client->interrupt, handle_closed);
	while (client->open_handles > 0)
		uv_run(client->loop, UV_RUN_ONCE);
	free(client);
}

int client_run(struct client *client, const struct client_command *command)
{
	struct sigaction before;
	int err = command->count > 0 ? check_words(command->words, command->count) : -E2BIG;

	if (err == 0 && client->lost)
		err = -ECONNRESET;
	if (err != 0)
		return err;
	client->command = command;
	begin(client);
	sigaction(SIGINT, NULL, &before);
	if (command->interruptible)
		uv_signal_start(&client->interrupt, interrupted, SIGINT);
	err = send_words(
		client, MGMT_COMMAND, command->words, command->count, command->flags, command->width);
	if (err == 0 && (command->flags & MGMT_HAS_INPUT) != 0)
		err = send_input(client);
	if (err != 0)
		client_end(client, err);
	err = wait_end(client);
	uv_signal_stop(&client->interrupt);
	/* libuv leaves the default behind, which would end the program. */
	sigaction(SIGINT, &before, NULL);
	client->command = NULL;
	return err;
}

/* The request has been queued with `err`; its one reply goes to `take`. */
static int ask(struct client *client, uint16_t type, int err,
	void (*take)(void *arg, const void *body, size_t length), void *arg)
{
	client->reply = (uint16_t)(type + MGMT_REPLY);
	client->take = take;
	client->take_arg = arg;
	if (err != 0)
		client_end(client, err);
	err = wait_end(client);
	client->reply = 0;
	return err;
}

struct completion {
	void (*each)(void *arg, const char *word, bool argument, const char *help);
	void *arg;
};

static void take_completion(void *arg, const void *body, size_t length)
{
	const struct completion *completion = arg;
	const char *at = body, *end = at + length;

	while ((size_t)(end - at) > sizeof(struct mgmt_word)) {
		bool argument = *at != 0;
		const char *word = at + sizeof(struct mgmt_word);
		const char *help = memchr(word, '\0', (size_t)(end - word));
		const char *last = help != NULL ? memchr(help + 1, '\0', (size_t)(end - help - 1)) : NULL;

		if (last == NULL)
			return;
		completion->each(completion->arg, word, argument, help + 1);
		at = last + 1;
	}
}

int client_complete(struct client *client, const struct span *words, size_t count,
	void (*each)(void *arg, const char *word, bool argument, const char *help), void *arg)
{
	struct completion completion = { each, arg };
	int err = check_words(words, count);

	if (err == 0 && client->lost)
		err = -ECONNRESET;
	if (err != 0)
		return err;
	begin(client);
	return ask(client, MGMT_COMPLETE, send_words(client, MGMT_COMPLETE, words, count, 0, 0),
		take_completion, &completion);
}

static void take_where(void *arg, const void *body, size_t length)
{
	struct mgmt_where *where = arg;

	if (length != sizeof(*where))
		return;
	memcpy(where, body, sizeof(*where));
	where->name[sizeof(where->name) - 1] = where->edit[sizeof(where->edit) - 1] = '\0';
}

int client_where(struct client *client, struct mgmt_where *where)
{
	*where = (struct mgmt_where){ .role = 0 };
	if (client->lost)
		return -ECONNRESET;
	begin(client);
	return ask(client, MGMT_WHERE, ipc_send(client->peer, MGMT_WHERE, 0, client->sequence, NULL, 0),
		take_where, where);
}
