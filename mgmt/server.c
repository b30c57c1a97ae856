/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections of command clients, and the commands they gave. */
#include "mgmt/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/api.h"
#include "mgmt/complete.h"
#include "mgmt/request.h"
#include "platforms/base/ipc.h"
#include "platforms/base/log.h"

struct server {
	struct ipc_server *ipc;
	const struct neighbours *neighbours;
	const struct session_world *world;
};

/* One connection. */
struct client {
	struct ipc_peer *peer;
	struct session *session;
	struct request *request; /* NULL: idle */
	uint64_t sequence; /* of the command that runs */
};

static int client_send(void *arg, uint16_t type, int16_t status, const void *body, size_t length)
{
	struct client *client = arg;
	int err = ipc_send(client->peer, type, status, client->sequence, body, length);

	if (err != 0)
		log_warning("mgmt", "a command's client does not take its answer", LOG_ERRNO("error", err));
	return err;
}

static void client_finished(void *arg)
{
	struct client *client = arg;

	client->request = NULL;
}

static const struct request_sink client_sink = { .send = client_send, .finished = client_finished };

static void client_refuse(struct client *client, uint64_t sequence, int16_t status)
{
	struct mgmt_done done = { .exit = status == -EBADMSG ? MGMT_EXIT_USAGE : MGMT_EXIT_FAILED };

	ipc_send(client->peer, MGMT_DONE, status, sequence, &done, sizeof(done));
}

static void client_command(
	struct server *server, struct client *client, const struct ipc_frame *frame, const void *body)
{
	if (client->request != NULL) {
		client_refuse(client, frame->sequence, -EBUSY);
		return;
	}

	struct request *request = request_new(server->neighbours, &client_sink, client);

	if (request == NULL) {
		client_refuse(client, frame->sequence, -ENOMEM);
		return;
	}
	client->request = request;
	client->sequence = frame->sequence;
	request_set_session(request, client->session);
	request_run(request, body, frame->length);
}

static void peer_up(void *arg, struct ipc_peer *peer, const struct ipc_hello *hello, bool fresh)
{
	const struct server *server = arg;
	struct client *client = calloc(1, sizeof(*client));

	(void)hello;
	(void)fresh;
	if (client != NULL)
		client->session = session_new(server->world, ipc_peer_user(peer));
	if (client == NULL || client->session == NULL) {
		free(client);
		ipc_peer_free(peer);
		return;
	}
	client->peer = peer;
	ipc_peer_set_data(peer, client);
}

static void peer_down(void *arg, struct ipc_peer *peer)
{
	struct client *client = ipc_peer_data(peer);

	(void)arg;
	if (client == NULL)
		return;
	if (client->request != NULL)
		request_abandon(client->request);
	ipc_peer_set_data(peer, NULL);
	session_free(client->session);
	free(client);
}

/* Who is no user, or may not say so, is cut off: nothing is done in the name of anybody else. */
static void client_login(struct client *client, const struct ipc_frame *frame, const void *body)
{
	struct mgmt_login login;

	if (frame->length == sizeof(login) && client->request == NULL) {
		memcpy(&login, body, sizeof(login));
		if (session_login(client->session, ipc_peer_user(client->peer), &login) == 0)
			return;
	}
	log_warning("mgmt", "a login is refused", LOG_UINT("uid", ipc_peer_user(client->peer)));
	ipc_peer_free(client->peer);
}

/* What a shell asks between two commands. */
static void client_ask(
	const struct server *server, struct client *client, const struct ipc_frame *frame, const void *body)
{
	static char text[MGMT_COMMAND_MAX];
	struct mgmt_where where;
	struct writer words;

	if (frame->type == MGMT_WHERE) {
		complete_where(client->session, server->neighbours->name, &where);
		ipc_send(client->peer, MGMT_WHERE + MGMT_REPLY, 0, frame->sequence, &where, sizeof(where));
		return;
	}
	writer_init(&words, text, sizeof(text));

	int err = complete_words(client->session, body, frame->length, &words);

	ipc_send(client->peer, MGMT_COMPLETE + MGMT_REPLY, (int16_t)err, frame->sequence, text, words.len);
}

static void peer_frame(void *arg, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	struct client *client = ipc_peer_data(peer);
	struct mgmt_ack ack;

	if (client == NULL)
		return;
	switch (frame->type) {
	case MGMT_COMMAND:
		client_command(arg, client, frame, body);
		break;
	case MGMT_ACK:
		if (frame->length != sizeof(ack) || client->request == NULL ||
			frame->sequence != client->sequence)
			break; /* a late one: its command has ended */
		memcpy(&ack, body, sizeof(ack));
		request_ack(client->request, ack.octets);
		break;
	case MGMT_INPUT:
		if (client->request != NULL && frame->sequence == client->sequence)
			request_input(client->request, body, frame->length);
		break;
	case MGMT_COMPLETE:
	case MGMT_WHERE:
		client_ask(arg, client, frame, body);
		break;
	case MGMT_STOP:
		if (client->request != NULL && frame->sequence == client->sequence)
			request_stop(client->request);
		break;
	case MGMT_LOGIN:
		client_login(client, frame, body);
		break;
	default:
		client_refuse(client, frame->sequence, -EBADMSG);
		break;
	}
}

static const struct ipc_handlers peer_handlers = { .up = peer_up, .down = peer_down, .frame = peer_frame };

int server_new(uv_loop_t *loop, const char *socket_path, const struct neighbours *neighbours,
	const struct session_world *world, struct server **out)
{
	struct server *server = calloc(1, sizeof(*server));
	struct ipc_hello self;

	if (server == NULL)
		return -ENOMEM;
	server->neighbours = neighbours;
	server->world = world;
	ipc_hello_fill(&self, "mgmt", MGMT_API_VERSION, neighbours->generation);

	int err = ipc_listen(loop, socket_path, &self, &peer_handlers, server, &server->ipc);

	if (err != 0) {
		free(server);
		return err;
	}
	*out = server;
	return 0;
}

void server_free(struct server *server)
{
	if (server == NULL)
		return;
	ipc_server_free(server->ipc);
	free(server);
}
