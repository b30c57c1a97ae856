/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS handshakes of a shard's connections: they wait for their turn, one operation in each round of the loop, so that nobody's message
 * waits for more than one; then it is looked at who the peer is. */
#include <errno.h>
#include <stdlib.h>

#include "controlplane/alarm.h"
#include "controlplane/route.h"
#include "controlplane/stream_internal.h"
#include "controlplane/tls.h"
#include "controlplane/tls_identity.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

struct handshakes {
	uv_idle_t
		idle; /* first: its close frees by its address. Started while somebody waits; made when somebody first does */
	struct connection *ready, **last_ready;
	struct connection *oldest, **newest; /* those that have a session */
	unsigned count;
};

/* --- the turn ----------------------------------------------------------------------------------------------------------- */

static void ready_remove(struct handshakes *handshakes, struct connection *connection)
{
	if (!connection->link_ready)
		return;
	*connection->link_ready = connection->next_ready;
	if (connection->next_ready)
		connection->next_ready->link_ready = connection->link_ready;
	else
		handshakes->last_ready = connection->link_ready;
	connection->link_ready = NULL;
	connection->next_ready = NULL;
}

static void operate(struct connection *connection);

static void on_idle(uv_idle_t *idle)
{
	struct handshakes *handshakes = (struct handshakes *)idle;
	struct connection *connection = handshakes->ready;

	if (connection) {
		ready_remove(handshakes, connection);
		operate(connection);
	}
	if (!handshakes->ready)
		uv_idle_stop(idle);
}

void handshake_ready(struct connection *connection)
{
	struct handshakes *handshakes = connection->streams->handshakes;

	if (connection->link_ready)
		return;
	uv_poll_stop(&connection->poll);
	connection->next_ready = NULL;
	connection->link_ready = handshakes->last_ready;
	*handshakes->last_ready = connection;
	handshakes->last_ready = &connection->next_ready;
	if (!handshakes->idle.loop)
		uv_idle_init(&connection->streams->shard->loop, &handshakes->idle);
	uv_idle_start(&handshakes->idle, on_idle);
}

/* --- how many ----------------------------------------------------------------------------------------------------------- */

static void session_listed(struct handshakes *handshakes, struct connection *connection)
{
	connection->next_handshake = NULL;
	connection->link_handshake = handshakes->newest;
	*handshakes->newest = connection;
	handshakes->newest = &connection->next_handshake;
	handshakes->count++;
}

void handshake_forget(struct connection *connection)
{
	struct handshakes *handshakes = connection->streams->handshakes;

	ready_remove(handshakes, connection);
	if (!connection->link_handshake)
		return;
	*connection->link_handshake = connection->next_handshake;
	if (connection->next_handshake)
		connection->next_handshake->link_handshake = connection->link_handshake;
	else
		handshakes->newest = connection->link_handshake;
	connection->link_handshake = NULL;
	handshakes->count--;
}

static struct connection *oldest_stranger(const struct handshakes *handshakes)
{
	struct connection *connection = handshakes->oldest;

	while (connection && connection->rank != RANK_STRANGER)
		connection = connection->next_handshake;
	return connection;
}

/* A handshake takes fifty times the memory of an idle connection: there are so many at one time, no more. */
static void make_room(struct streams *streams)
{
	struct connection *oldest;

	if (streams->handshakes->count < streams->shard->config->sip.tls_max_handshakes)
		return;
	oldest = oldest_stranger(streams->handshakes);
	if (oldest)
		connection_close(oldest, CP_COUNTER_TLS_GAVE_WAY);
}

bool handshake_may_begin(const struct listener *listener, const union address *remote, bool known)
{
	struct shard *shard = listener->shard;

	if (!shard->shared.tls) {
		shard_count(shard, STREAM_REFUSED);
		return false;
	}
	if (known || tls_may_begin(shard->shared.tls, remote, clock_now_us()))
		return true;
	shard_count(shard, TLS_OVER_RATE);
	return false;
}

/* --- what goes wrong ---------------------------------------------------------------------------------------------------- */

static const struct {
	enum cp_counter counter;
	const char *text;
} causes[] = {
	[TLS_END_NONE] = { CP_COUNTER_COUNT, NULL },
	[TLS_END_CLOSED] = { CP_COUNTER_COUNT, NULL },
	[TLS_END_BROKEN] = { CP_COUNTER_COUNT, NULL },
	[TLS_END_VERSION] = { CP_COUNTER_TLS_VERSION, "no TLS version in common" },
	[TLS_END_CIPHER] = { CP_COUNTER_TLS_CIPHER, "no cipher, group or signature in common" },
	[TLS_END_NO_CERTIFICATE] = { CP_COUNTER_TLS_NO_CERTIFICATE, "the peer has shown no certificate" },
	[TLS_END_CERTIFICATE] = { CP_COUNTER_TLS_BAD_CERTIFICATE, "the peer's certificate is not valid" },
	[TLS_END_REFUSED] = { CP_COUNTER_TLS_REFUSED, "the peer has refused" },
	[TLS_END_BYTES] = { CP_COUNTER_TLS_TOO_LONG, "the handshake is too long" },
	[TLS_END_PROTOCOL] = { CP_COUNTER_TLS_BROKEN, "the peer speaks no TLS" },
	[TLS_END_MEMORY] = { CP_COUNTER_STREAM_REFUSED, "no memory" },
};
enum { CAUSES = sizeof(causes) / sizeof(causes[0]) };

/* Whom it is about: a name of the configuration. */
static const char *subject_of(const struct connection *connection)
{
	return !connection->accepted && connection->agent ? connection->agent->name
							  : connection->listener->interface->name;
}

static void log_failure(
	const struct connection *connection, unsigned cause, const char *text, const char *reason)
{
	static struct log_budget budget[CAUSES + 1];
	enum log_level level = connection->rank == RANK_AGENT || !connection->accepted ? LOG_LEVEL_WARNING
										       : LOG_LEVEL_NOTICE;

	if (level > log_level_now || !log_allowed(&budget[cause], "tls", text))
		return;
	LOG_AT(level, "tls", text, LOG_TEXT("sip-interface", connection->listener->interface->name),
		LOG_TEXT("agent", connection->agent ? connection->agent->name : ""),
		LOG_ADDRESS("remote", &connection->remote),
		LOG_TEXT("side", connection->accepted ? "server" : "client"), LOG_TEXT("reason", reason));
}

enum cp_counter connection_tls_failed(const struct connection *connection)
{
	enum tls_end end = tls_session_end(connection->tls);

	if (causes[end].text)
		log_failure(connection, end, causes[end].text, tls_session_reason(connection->tls));
	if (end == TLS_END_CERTIFICATE || end == TLS_END_NO_CERTIFICATE)
		alarm_raise(connection->streams->shard->shared.alarms, CP_ALARM_TLS_PEER, CP_SEVERITY_WARNING,
			subject_of(connection), tls_session_reason(connection->tls));
	return causes[end].counter;
}

/* --- who it is ---------------------------------------------------------------------------------------------------------- */

static void refuse(struct connection *connection, enum cp_counter counter, const char *text)
{
	log_failure(connection, CAUSES, text, "");
	alarm_raise(connection->streams->shard->shared.alarms, CP_ALARM_TLS_PEER, CP_SEVERITY_WARNING,
		subject_of(connection), text);
	tls_close_notify(connection->tls);
	connection_close(connection, counter);
}

static bool must_be_known(const struct connection *connection)
{
	return !connection->accepted && tls_session_profile(connection->tls)->verify_server;
}

/* RFC 5922 section 7: whom the certificate names. A pinned key is its own name. False: it is closed. */
static bool peer_is_right(struct connection *connection)
{
	const struct shard *shard = connection->streams->shard;
	const struct config_realm *realm = connection->listener->interface->realm;
	struct x509_st *certificate = tls_session_certificate(connection->tls);
	bool pinned = certificate && tls_session_is_pinned(connection->tls);

	if (!certificate)
		return true;
	if (!pinned && !tls_identity_usage(certificate, !connection->accepted)) {
		refuse(connection, CP_COUNTER_TLS_BAD_CERTIFICATE,
			"the peer's certificate is for another use");
		return false;
	}
	if (tls_identity_take(certificate, &connection->identity) < 0) {
		connection_close(connection, CP_COUNTER_STREAM_REFUSED);
		return false;
	}
	if (connection->accepted) {
		connection->agent = tls_identity_agent(shard->config, realm, connection->identity);
		if (connection->agent)
			connection_promote(connection, RANK_AGENT);
		return true;
	}
	/* Of nobody in particular no certificate can be the right one. */
	if (must_be_known(connection) && !pinned &&
		(!connection->agent || !tls_identity_is_agent(connection->identity, connection->agent))) {
		refuse(connection, CP_COUNTER_TLS_WRONG_NAME, "the server's certificate is not the agent's");
		return false;
	}
	return true;
}

static void done(struct connection *connection)
{
	struct shard *shard = connection->streams->shard;

	handshake_forget(connection);
	shard_count(shard, TLS_DONE);
	if (tls_session_is_resumed(connection->tls))
		shard_count(shard, TLS_RESUMED);
	log_debug("tls", "handshake done", LOG_ADDRESS("remote", &connection->remote),
		LOG_TEXT("version", tls_session_version(connection->tls)),
		LOG_TEXT("cipher", tls_session_cipher(connection->tls)));
	if (!peer_is_right(connection))
		return;
	if (!connection->accepted && connection->agent)
		alarm_clear(shard->shared.alarms, CP_ALARM_TLS_PEER, connection->agent->name);
	connection_opened(connection);
}

/* --- operations --------------------------------------------------------------------------------------------------------- */

/* Whom we meant to reach: said by who sends, or found by the address. */
static const struct config_session_agent *agent_dialled(const struct connection *connection)
{
	const struct config_session_agent *agent = connection->agent;

	if (!agent)
		agent = route_agent_by_source(connection->streams->shard,
			connection->listener->interface->realm, &connection->remote);
	return agent && agent->address.transport == CONFIG_TRANSPORT_TLS ? agent : NULL;
}

/* When the first octets have come, or we begin: until then it costs nothing. */
static struct tls_session *session_make(struct connection *connection)
{
	const struct shard *shard = connection->streams->shard;
	const struct config_sip_interface *interface = connection->listener->interface;
	const struct config_tls_profile *profile = interface->tls_profile;
	struct tls *tls = shard->shared.tls;

	if (!tls)
		return NULL;
	if (connection->accepted)
		return tls_accept(tls, interface, connection->fd, shard->config->sip.tls_handshake_bytes);
	connection->agent = agent_dialled(connection);
	if (connection->agent && connection->agent->tls_profile)
		profile = connection->agent->tls_profile;
	return tls_connect(tls, profile, connection->agent ? connection->agent->address.host : NULL,
		connection->fd, shard->config->sip.tls_handshake_bytes);
}

static void operate(struct connection *connection)
{
	if (!connection->tls) {
		make_room(connection->streams);
		connection->tls = session_make(connection);
		if (!connection->tls) {
			connection_close(connection, CP_COUNTER_STREAM_REFUSED);
			return;
		}
		session_listed(connection->streams->handshakes, connection);
	}
	switch (tls_handshake(connection->tls)) {
	case TLS_DONE:
		done(connection);
		break;
	case TLS_FAILED:
		connection_close(connection, connection_tls_failed(connection));
		break;
	default:
		connection_poll(connection);
	}
}

/* --- all of them -------------------------------------------------------------------------------------------------------- */

int handshakes_open(struct streams *streams)
{
	struct handshakes *handshakes = calloc(1, sizeof(*handshakes));

	if (!handshakes)
		return -ENOMEM;
	handshakes->last_ready = &handshakes->ready;
	handshakes->newest = &handshakes->oldest;
	/* Without TLS there is nothing to take turns. */
	if (streams->shard->shared.tls)
		streams->handshakes = handshakes;
	return 0;
}

static void closed(uv_handle_t *handle)
{
	free(handle);
}

void handshakes_close(struct streams *streams)
{
	if (streams->shard->shared.tls)
		if (streams->handshakes->idle.loop)
			uv_close((uv_handle_t *)&streams->handshakes->idle, closed);
		else
			free(streams->handshakes);
	else
		free(streams->handshakes);
}
