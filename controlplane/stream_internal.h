/* SPDX-License-Identifier: BSD-3-Clause */
/* Stream connections of one shard, from inside. owner of everything here: the shard's thread. */
#ifndef CONTROLPLANE_STREAM_INTERNAL_H
#define CONTROLPLANE_STREAM_INTERNAL_H

#include "controlplane/census.h"
#include "controlplane/frame.h"
#include "controlplane/shard_internal.h"
#include "controlplane/stream.h"
#include "controlplane/transport_internal.h"

enum {
	STREAM_INBOX =
		65536, /* read at once; a connection's own buffer is only for a message that has not come in full */
	STREAM_SEALED = 16384, /* likewise, of TLS */
	STREAM_BUCKETS = 256,
};

enum connection_state {
	CONNECTION_CONNECTING,
	CONNECTION_HANDSHAKING, /* TLS */
	CONNECTION_OPEN,
	CONNECTION_FINISHING, /* what is queued goes out, nothing more comes in */
	CONNECTION_DRAINING, /* our half is closed; what still comes is thrown away, so that the last answer arrives */
	CONNECTION_CLOSED, /* libuv keeps its memory a while */
};

/* Who gives way first. */
enum connection_rank {
	RANK_STRANGER, /* nothing of it has been let in yet */
	RANK_ADMITTED,
	RANK_TRUSTED, /* of a trusted realm */
	RANK_COUNT,
	RANK_AGENT = RANK_COUNT, /* never */
};

struct stream_buffer { /* zero-initialised = empty and without memory */
	char *bytes;
	size_t start, length, capacity;
};

struct connection {
	uv_poll_t poll; /* first: its close frees by its address */
	struct streams *streams; /* NULL: they are closed, nobody is told */
	struct listener *listener;
	uint64_t id;
	union address remote; /* as the kernel says: where messages come from */
	union address
		reached_at; /* by whom it can be found for requests: what we connected to, or RFC 5923's alias */
	struct connection *next_reached, **link_reached; /* bucket; NULL link: in none */
	struct connection *next_ranked, **link_ranked; /* oldest first */
	struct connection *next_closing, **link_closing;
	struct timer timer;
	struct frame frame;
	struct stream_buffer in, out;
	uint64_t since_ms, heard_ms; /* begin; last octets received */
	uint64_t in_since_ms, out_since_ms; /* message under way; queue not empty */
	uint64_t pinged_ms;
	uint64_t due_ms; /* what the timer is armed for; 0: not armed */
	size_t drained;
	int fd;
	int polled; /* events it is asked for now; 0: none */
	int error; /* why it could not be made; 0: it could */
	enum connection_state state;
	enum connection_rank rank;
	unsigned line_ends; /* half a ping */
	/* TLS. Who is at the other end: whose certificate it has shown, or whom we meant to reach and have found. NULL: nobody known so. */
	const struct config_session_agent *agent;
	struct tls_session *tls; /* NULL: no octet of a handshake has come */
	struct tls_identity *identity; /* of the peer's verified certificate; NULL: none */
	struct connection *next_handshake, **link_handshake; /* those that have a session, oldest first */
	struct connection *next_ready, **link_ready; /* those that wait for their next operation */
	bool accepted, heard; /* the peer made it; has said something */
	bool pong_due;
	bool shared; /* other shards have sent by it */
};

struct stream_slot {
	struct connection *connection; /* NULL: free */
	uint32_t generation, next_free;
};

struct stream_rank {
	struct connection *oldest, **newest;
};

struct handshakes;

struct streams {
	struct shard *shard;
	struct handshakes *handshakes;
	struct census *census;
	struct stream_slot *slot;
	uint32_t slots, first_free;
	size_t memory; /* of all buffers */
	struct stream_rank rank[RANK_COUNT];
	struct connection *bucket[STREAM_BUCKETS]; /* by where it can be reached */
	struct connection *closing; /* until libuv lets go of them */
	struct scan scan; /* scratch of framing */
	char inbox[STREAM_INBOX];
	char sealed[STREAM_SEALED];
};

/* stream.c */
/* Takes over `fd`. NULL without memory: then fd is closed. */
struct connection *connection_new(struct streams *streams, struct listener *listener, int fd,
	const union address *remote, bool accepted, const struct config_session_agent *agent);
/* `why`: a counter, or CP_COUNTER_COUNT for none. Its memory lives until the loop comes round. */
void connection_close(struct connection *connection, enum cp_counter why);
/* NULL: closed, or about to be. */
struct connection *connection_find(struct streams *streams, uint64_t id);
/* TLS: one whose other end is `agent`, if that is somebody. */
struct connection *connection_find_reached(struct streams *streams, const struct listener *listener,
	const union address *remote, const struct config_session_agent *agent);
void connection_reached_at(struct connection *connection, const union address *remote);
/* Arms the timer if something is due earlier than it is armed for. */
void connection_watch(struct connection *connection);
void connection_touch(struct connection *connection); /* newest of its rank */
void connection_promote(struct connection *connection, enum connection_rank rank); /* never down */
/* Room for one more with `remote`, another giving way if need be. 0, -EUSERS, -EMFILE, -ENOMEM; counted on success. */
int streams_make_room(struct streams *streams, const union address *remote, bool known);

void connection_closed(uv_handle_t *handle);
void streams_close_listener(struct streams *streams, const struct listener *listener);

/* stream_io.c */
void connection_event(uv_poll_t *poll, int status, int events);
/* 0; -ENOBUFS or -ENOTCONN: it is closed now. */
int connection_send(struct connection *connection, struct span bytes);
void connection_poll(struct connection *connection); /* for what it now waits for */
void connection_opened(struct connection *connection); /* what has waited goes out, what has come is read */
void connection_finish(struct connection *connection);
void connection_ping(struct connection *connection);
void stream_buffer_free(struct streams *streams, struct stream_buffer *buffer);

static inline void shard_count_id(struct shard *shard, enum cp_counter id)
{
	__atomic_store_n(&shard->counter[id], shard->counter[id] + 1, __ATOMIC_RELAXED);
}

/* stream_describe.c */
/* Why it ends, for people: `why` as connection_close has it. */
void connection_describe_end(const struct connection *connection, enum cp_counter why, struct writer *out);

/* stream_listen.c */
struct connection *stream_dial(struct streams *streams, struct listener *listener,
	const union address *remote, const struct config_session_agent *agent, int *error);

/* stream_tls.c */
int handshakes_open(struct streams *streams); /* 0 or -ENOMEM */
void handshakes_close(struct streams *streams);
/* The socket is ready, or we begin: an operation of its handshake has its turn, one in each round of the loop. */
void handshake_ready(struct connection *connection);
/* It is over, whatever came of it. */
void handshake_forget(struct connection *connection);
/* False: that source has begun too many; counted. */
bool handshake_may_begin(const struct listener *listener, const union address *remote, bool known);
/* Says why a TLS connection ended, if it was for a reason. */
enum cp_counter connection_tls_failed(const struct connection *connection);
static inline bool connection_is_tls(const struct connection *connection)
{
	return connection->listener->transport == CONFIG_TRANSPORT_TLS;
}

#endif
