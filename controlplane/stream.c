/* SPDX-License-Identifier: BSD-3-Clause */
/* Life of stream connections: their numbers, who is found where, how long each may take, and who gives way. */
#include "controlplane/stream_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "controlplane/probe.h"
#include "controlplane/registrar.h"
#include "controlplane/route.h"
#include "controlplane/tls.h"
#include "controlplane/tls_identity.h"
#include "controlplane/tls_trust.h"
#include "controlplane/transaction.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	ID_SHARD_SHIFT = 56,
	ID_SLOT_SHIFT = 32,
	SLOTS_MAX = 1 << (ID_SHARD_SHIFT - ID_SLOT_SHIFT),
	SLOTS_FIRST = 64,
	SLOT_NONE = UINT32_MAX,
	OTHER_DESCRIPTORS = 512, /* of the process, beside connections */
};

/* --- numbers ------------------------------------------------------------------------------------------------------- */

static int slots_grow(struct streams *streams)
{
	uint32_t slots = streams->slots ? 2 * streams->slots : SLOTS_FIRST;
	struct stream_slot *grown;

	if (slots > SLOTS_MAX)
		return -EMFILE;
	grown = realloc(streams->slot, slots * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (uint32_t i = streams->slots; i < slots; i++)
		grown[i] = (struct stream_slot){ .generation = 1,
			.next_free = i + 1 < slots ? i + 1 : SLOT_NONE };
	streams->first_free = streams->slots;
	streams->slot = grown;
	streams->slots = slots;
	return 0;
}

static int id_take(struct streams *streams, struct connection *connection)
{
	uint32_t slot = streams->first_free;

	if (slot == SLOT_NONE) {
		int result = slots_grow(streams);

		if (result < 0)
			return result;
		slot = streams->first_free;
	}
	streams->first_free = streams->slot[slot].next_free;
	streams->slot[slot].connection = connection;
	connection->id = (uint64_t)(streams->shard->index + 1) << ID_SHARD_SHIFT |
			 (uint64_t)slot << ID_SLOT_SHIFT | streams->slot[slot].generation;
	return 0;
}

static uint32_t id_slot(uint64_t id)
{
	return (uint32_t)(id >> ID_SLOT_SHIFT) & (SLOTS_MAX - 1);
}

static void id_give_back(struct streams *streams, const struct connection *connection)
{
	uint32_t number = id_slot(connection->id);
	struct stream_slot *slot = &streams->slot[number];

	slot->connection = NULL;
	slot->generation++;
	slot->next_free = streams->first_free;
	streams->first_free = number;
}

int connection_shard(uint64_t id)
{
	return (int)(id >> ID_SHARD_SHIFT) - 1;
}

struct connection *connection_find(struct streams *streams, uint64_t id)
{
	uint32_t slot = id_slot(id);
	struct connection *connection = slot < streams->slots ? streams->slot[slot].connection : NULL;

	if (!connection || connection->id != id || connection->state > CONNECTION_OPEN)
		return NULL;
	return connection;
}

/* --- where they lead ----------------------------------------------------------------------------------------------- */

static size_t bucket_of(const struct streams *streams, const union address *remote)
{
	struct {
		uint16_t port;
		uint8_t host[sizeof(struct in6_addr)];
	} key = { .port = address_port(remote) };

	if (remote->sa.sa_family == AF_INET6)
		memcpy(key.host, &remote->in6.sin6_addr, sizeof(key.host));
	else
		memcpy(key.host, &remote->in4.sin_addr, sizeof(remote->in4.sin_addr));
	return hash_bytes(&streams->shard->table_key, &key, sizeof(key)) % STREAM_BUCKETS;
}

static void reached_remove(struct connection *connection)
{
	if (!connection->link_reached)
		return;
	*connection->link_reached = connection->next_reached;
	if (connection->next_reached)
		connection->next_reached->link_reached = connection->link_reached;
	connection->link_reached = NULL;
}

void connection_reached_at(struct connection *connection, const union address *remote)
{
	struct streams *streams = connection->streams;
	struct connection **head = &streams->bucket[bucket_of(streams, remote)];

	reached_remove(connection);
	connection->reached_at = *remote;
	connection->next_reached = *head;
	if (*head)
		(*head)->link_reached = &connection->next_reached;
	connection->link_reached = head;
	*head = connection;
}

/* At one address there may be several agents by name: what is meant for one goes to no other (RFC 5923 section 9). */
static bool is_reached(const struct connection *connection, const struct listener *listener,
	const union address *remote, const struct config_session_agent *agent)
{
	return connection->state <= CONNECTION_OPEN && connection->listener == listener &&
	       address_equal(&connection->reached_at, remote) &&
	       (!connection_is_tls(connection) || !agent || connection->agent == agent);
}

struct connection *connection_find_reached(struct streams *streams, const struct listener *listener,
	const union address *remote, const struct config_session_agent *agent)
{
	struct connection *connection = streams->bucket[bucket_of(streams, remote)];

	while (connection && !is_reached(connection, listener, remote, agent))
		connection = connection->next_reached;
	return connection;
}

/* --- who gives way ------------------------------------------------------------------------------------------------- */

static void rank_remove(struct connection *connection)
{
	if (!connection->link_ranked)
		return;
	*connection->link_ranked = connection->next_ranked;
	if (connection->next_ranked)
		connection->next_ranked->link_ranked = connection->link_ranked;
	else
		connection->streams->rank[connection->rank].newest = connection->link_ranked;
	connection->link_ranked = NULL;
}

static void rank_insert(struct connection *connection)
{
	struct stream_rank *rank;

	if (connection->rank == RANK_AGENT)
		return;
	rank = &connection->streams->rank[connection->rank];
	connection->next_ranked = NULL;
	connection->link_ranked = rank->newest;
	*rank->newest = connection;
	rank->newest = &connection->next_ranked;
}

void connection_touch(struct connection *connection)
{
	rank_remove(connection);
	rank_insert(connection);
}

void connection_promote(struct connection *connection, enum connection_rank rank)
{
	if (connection->rank >= rank)
		return;
	rank_remove(connection);
	connection->rank = rank;
	rank_insert(connection);
}

static enum connection_rank rank_of(const struct listener *listener, bool known)
{
	if (known)
		return RANK_AGENT;
	return listener->interface->realm->trust == CONFIG_TRUST_TRUSTED ? RANK_TRUSTED : RANK_STRANGER;
}

static bool is_idle(const struct connection *connection)
{
	return connection->state == CONNECTION_OPEN && connection->in.length == 0 &&
	       connection->out.length == 0;
}

/* A stranger with half a message may be one who sends so slowly that he is never idle. */
static struct connection *first_to_go(struct streams *streams)
{
	enum { LOOKED_AT = 64 }; /* of the oldest; others are busy for their time-out at most */

	if (streams->rank[RANK_STRANGER].oldest)
		return streams->rank[RANK_STRANGER].oldest;
	for (unsigned rank = RANK_STRANGER + 1; rank < RANK_COUNT; rank++) {
		struct connection *connection = streams->rank[rank].oldest;

		for (unsigned n = 0; connection && n < LOOKED_AT; n++, connection = connection->next_ranked)
			if (is_idle(connection))
				return connection;
	}
	return NULL;
}

int streams_make_room(struct streams *streams, const union address *remote, bool known)
{
	int result = census_enter(streams->census, remote, known);
	struct connection *oldest = result == -EMFILE ? first_to_go(streams) : NULL;

	if (!oldest)
		return result;
	connection_close(oldest, CP_COUNTER_STREAM_GAVE_WAY);
	return census_enter(streams->census, remote, known);
}

void stream_admitted(struct streams *streams, const struct sip_flow *flow, uint16_t port, bool alias)
{
	struct connection *connection = connection_find(streams, flow->connection);
	union address reached_at;

	if (!connection) {
		shard_admitted(streams->shard, flow, port, alias);
		return;
	}
	connection_promote(connection, RANK_ADMITTED);
	/* Its own host, whatever it says; by TLS only an agent that has shown its certificate (RFC 5923 section 9). */
	if (!alias || connection->rank != RANK_AGENT || !connection->accepted ||
		(connection_is_tls(connection) && !connection->agent))
		return;
	reached_at = connection->remote;
	address_set_port(&reached_at, port);
	if (!connection->link_reached || !address_equal(&connection->reached_at, &reached_at))
		connection_reached_at(connection, &reached_at);
}

/* --- how long ------------------------------------------------------------------------------------------------------ */

/* When the connection has to be looked at, and what is to be said of it then; CP_COUNTER_COUNT: nothing, it gets a ping. */
static uint64_t due(const struct connection *connection, enum cp_counter *why)
{
	const struct config_sip *sip = &connection->listener->shard->config->sip;
	uint64_t message_ms = (uint64_t)sip->stream_message_timeout * 1000;
	bool pings = sip->stream_keep_alive && connection->rank == RANK_AGENT;
	uint64_t last =
		connection->heard_ms > connection->pinged_ms ? connection->heard_ms : connection->pinged_ms;

	*why = CP_COUNTER_STREAM_TIMED_OUT;
	if (connection->state == CONNECTION_CONNECTING)
		return connection->since_ms + sip->stream_connect_timeout_ms;
	if (connection->state == CONNECTION_HANDSHAKING) {
		*why = CP_COUNTER_TLS_TIMED_OUT;
		return connection->since_ms + sip->tls_handshake_timeout_ms;
	}
	if (connection->out.length)
		return connection->out_since_ms + message_ms;
	if (connection->state != CONNECTION_OPEN || connection->in.length)
		return connection->in_since_ms + message_ms;
	if (connection->accepted && !connection->heard)
		return connection->since_ms + (uint64_t)sip->stream_first_byte_timeout * 1000;
	if (pings) {
		*why = CP_COUNTER_COUNT;
		return last + (uint64_t)sip->stream_keep_alive * 1000;
	}
	return connection->heard_ms + (uint64_t)sip->stream_idle_timeout * 1000;
}

static void timer_expired(struct timer *timer, void *arg)
{
	struct connection *connection = arg;
	enum cp_counter why;

	(void)timer;
	connection->due_ms = 0;
	if (due(connection, &why) > clock_now_ms())
		connection_watch(connection);
	else if (why == CP_COUNTER_COUNT)
		connection_ping(connection);
	else
		connection_close(connection, why);
}

void connection_watch(struct connection *connection)
{
	enum cp_counter why;
	uint64_t at = due(connection, &why);
	uint64_t now;

	if (connection->state == CONNECTION_CLOSED || (connection->due_ms && connection->due_ms <= at))
		return;
	now = clock_now_ms();
	connection->due_ms = at;
	timer_arm(connection->listener->shard->timers, &connection->timer, at > now ? at - now : 0,
		timer_expired, connection);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct connection *connection_new(struct streams *streams, struct listener *listener, int fd,
	const union address *remote, bool accepted, const struct config_session_agent *agent)
{
	enum connection_state taken =
		listener->transport == CONFIG_TRANSPORT_TLS ? CONNECTION_HANDSHAKING : CONNECTION_OPEN;
	struct connection *connection = calloc(1, sizeof(*connection));
	bool known = route_agent_by_source(streams->shard, listener->interface->realm, remote) != NULL;

	if (!connection || uv_poll_init(&streams->shard->loop, &connection->poll, fd) < 0) {
		free(connection);
		close(fd);
		return NULL;
	}
	connection->fd = fd;
	connection->listener = listener;
	connection->remote = *remote;
	connection->accepted = accepted;
	connection->agent = agent;
	connection->state = accepted ? taken : CONNECTION_CONNECTING;
	connection->rank = rank_of(listener, known);
	connection->since_ms = connection->heard_ms = clock_now_ms();
	if (id_take(streams, connection) < 0) {
		connection->state = CONNECTION_CLOSED;
		uv_close((uv_handle_t *)&connection->poll, connection_closed);
		return NULL;
	}
	connection->streams = streams;
	rank_insert(connection);
	if (!accepted)
		connection_reached_at(connection, remote);
	shard_count(streams->shard, STREAM_OPENED);
	connection_poll(connection);
	connection_watch(connection);
	return connection;
}

struct loss {
	uint64_t id;
};

static void loss_arrived(struct shard *shard, void *arg)
{
	struct loss *loss = arg;

	if (shard->transactions)
		transaction_connection_lost(shard, loss->id);
	free(loss);
}

/* A loss that finds no room in a mailbox is found out by Timer B or F. */
static void tell_others(struct shard *shard, uint64_t id)
{
	for (unsigned i = 0; i < shard->count; i++) {
		struct loss *loss = i == shard->index ? NULL : malloc(sizeof(*loss));

		if (!loss)
			continue;
		loss->id = id;
		if (shard_post(shard->all[i], loss_arrived, loss) < 0)
			free(loss);
	}
}

/* From the loop, never from within a transaction: that may have been the one that found the connection broken. */
void connection_closed(uv_handle_t *handle)
{
	struct connection *connection = (struct connection *)handle;
	struct streams *streams = connection->streams;

	close(connection->fd);
	tls_session_free(connection->tls);
	tls_identity_free(connection->identity);
	stream_buffer_free(streams, &connection->in);
	stream_buffer_free(streams, &connection->out);
	if (streams) {
		if (streams->shard->transactions)
			transaction_connection_lost(streams->shard, connection->id);
		if (connection->shared)
			tell_others(streams->shard, connection->id);
		*connection->link_closing = connection->next_closing;
		if (connection->next_closing)
			connection->next_closing->link_closing = connection->link_closing;
	}
	free(connection);
}

static void tell_probes(const struct connection *connection, enum cp_counter why)
{
	char text[CP_TEST_TEXT_MAX];
	struct writer out;

	writer_init(&out, text, sizeof(text));
	connection_describe_end(connection, why, &out);
	probe_connection_ended(connection->listener->shard, connection->id, (struct span){ text, out.len });
}

void connection_close(struct connection *connection, enum cp_counter why)
{
	struct streams *streams = connection->streams;
	struct shard *shard = connection->listener->shard;

	if (connection->state == CONNECTION_CLOSED)
		return;
	log_debug("transport", "connection closed", LOG_ADDRESS("remote", &connection->remote),
		LOG_UINT("shard", shard->index), LOG_UINT("state", connection->state));
	if (connection->tls && connection->state == CONNECTION_OPEN)
		tls_close_notify(connection->tls);
	handshake_forget(connection);
	if (shard->probes)
		tell_probes(connection, why);
	if (connection->accepted && connection->agent)
		tls_trust_end(shard, &connection->remote);
	connection->state = CONNECTION_CLOSED;
	registrar_connection_lost(shard, &(struct sip_flow){ .listener = connection->listener,
						 .remote = connection->remote,
						 .connection = connection->id });
	if (why != CP_COUNTER_COUNT)
		shard_count_id(shard, why);
	shard_count(shard, STREAM_CLOSED);
	timer_cancel(&connection->timer);
	rank_remove(connection);
	reached_remove(connection);
	id_give_back(streams, connection);
	census_leave(streams->census, &connection->remote);
	connection->next_closing = streams->closing;
	if (streams->closing)
		streams->closing->link_closing = &connection->next_closing;
	connection->link_closing = &streams->closing;
	streams->closing = connection;
	uv_poll_stop(&connection->poll);
	uv_close((uv_handle_t *)&connection->poll, connection_closed);
}

/* --- all of them --------------------------------------------------------------------------------------------------- */

/* Each connection is a descriptor. As many as there may ever be, at once: later we are not allowed to ask for more. */
static void descriptors_allow(uint64_t connections)
{
	struct rlimit limit;
	rlim_t wanted = connections + OTHER_DESCRIPTORS;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted)
		log_notice("transport", "fewer descriptors than stream-max-connections asks for",
			LOG_UINT("descriptors", limit.rlim_cur));
}

static struct census *census_of(struct shard *shard)
{
	for (unsigned i = 0; shard->all && i < shard->index; i++)
		if (shard->all[i] && shard->all[i]->transport)
			return census_get(shard->all[i]->transport->streams->census);
	descriptors_allow(shard->config->sip.stream_max_connections);
	return census_new(&shard->config->sip);
}

uint32_t stream_connections(const struct streams *streams)
{
	return census_total(streams->census);
}

int streams_open(struct shard *shard, struct streams **out)
{
	struct streams *streams = calloc(1, sizeof(*streams));

	if (!streams)
		return -ENOMEM;
	streams->shard = shard;
	streams->first_free = SLOT_NONE;
	for (unsigned i = 0; i < RANK_COUNT; i++)
		streams->rank[i].newest = &streams->rank[i].oldest;
	if (handshakes_open(streams) < 0) {
		free(streams);
		return -ENOMEM;
	}
	streams->census = census_of(shard);
	if (!streams->census) {
		handshakes_close(streams);
		free(streams);
		return -ENOMEM;
	}
	*out = streams;
	return 0;
}

void streams_close(struct streams *streams)
{
	if (!streams)
		return;
	for (uint32_t i = 0; i < streams->slots; i++)
		if (streams->slot[i].connection)
			connection_close(streams->slot[i].connection, CP_COUNTER_COUNT);
	for (struct connection *c = streams->closing; c; c = c->next_closing)
		c->streams = NULL;
	handshakes_close(streams);
	census_put(streams->census);
	free(streams->slot);
	free(streams);
}

/* The certificate that it has shown may be another agent's now, or nobody's. */
static void identity_move(struct connection *connection, const struct config *next)
{
	const struct config_session_agent *agent =
		tls_identity_agent(next, connection->listener->interface->realm, connection->identity);

	if (agent && !connection->agent)
		tls_trust_begin(connection->streams->shard, &connection->remote);
	else if (!agent && connection->agent)
		tls_trust_end(connection->streams->shard, &connection->remote);
	connection->agent = agent;
	if (agent)
		connection_promote(connection, RANK_AGENT);
}

void streams_move(struct streams *streams, struct config_move *move)
{
	census_move(streams->census, &config_move_to(move)->sip);
	for (uint32_t i = 0; i < streams->slots; i++) {
		struct connection *connection = streams->slot[i].connection;

		if (!connection)
			continue;
		config_move_session_agent(move, &connection->agent);
		if (connection->accepted && connection->identity)
			identity_move(connection, config_move_to(move));
		if (connection->tls)
			tls_session_move(connection->tls, connection->listener->interface);
		if (connection->listener->dscp_changed)
			socket_dscp(connection->listener, connection->fd);
		connection_watch(connection);
	}
}

void streams_close_listener(struct streams *streams, const struct listener *listener)
{
	for (uint32_t i = 0; i < streams->slots; i++) {
		struct connection *connection = streams->slot[i].connection;

		if (connection && connection->listener == listener)
			connection_close(connection, CP_COUNTER_COUNT);
	}
}
