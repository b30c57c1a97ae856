/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the files of relayed requests: a request under way, the bodies it may have, and where one outside of dialogs goes. */
#ifndef CONTROLPLANE_REQUEST_RELAY_INTERNAL_H
#define CONTROLPLANE_REQUEST_RELAY_INTERNAL_H

#include "controlplane/request_relay.h"

/* Of the asker's server transaction and our client transaction, each NULL when there is none (any more). */
struct request_relay {
	struct shard *shard;
	struct leg *from, *to; /* from: NULL for a request of our own */
	struct request_relay *next_asking, **asking, *next_asked, **asked; /* lists of the legs */
	struct leg *outside; /* LEGS of its own, for a request outside of dialogs; else NULL */
	struct request_relay *next_routed, **routed; /* list of those with `outside`, of the shard */
	struct transaction *server, *client;
	enum sip_method method;
	unsigned hops;
	char *rest; /* what follows the dialog's headers: for another try with credentials; NULL if we hold none */
	size_t rest_length;
	struct timer timer;
	/* Before anything else at its end, both legs still there: what `response` (NULL: none came) says of them. May change the status, and
	 * add lines to the answer. */
	void (*finishing)(struct request_relay *relay, unsigned *status, const struct message *response,
		struct writer *extra);
	void (*done)(struct leg *from, unsigned status, void *arg);
	void (*answered)(struct leg *leg, unsigned status, const struct message *response, void *arg);
	void *arg;
};

/* What a relayed request has besides what every request has. */
struct request_content {
	enum hide_kind kind; /* 0: nothing is copied */
	struct span extra, type, body;
};

/* request_relay.c. NULL without memory. */
struct request_relay *relay_new(
	struct shard *shard, struct leg *from, struct leg *to, enum sip_method method);
void relay_free(struct request_relay *relay);
/* It is outside of dialogs: `legs` are its own from now on. */
void relay_take_legs(struct request_relay *relay, struct leg *legs);
/* From now on it is of these legs: copies of those that it was of, in the same dialogs. */
void relay_move(struct request_relay *relay, struct leg *from, struct leg *to);
/* Takes the asker's transaction over. */
void relay_attach(struct request_relay *relay, struct transaction *server);
/* Writes the request on relay->to and sends it; `request`, that of the asker, may be NULL. 0 or -errno. */
int relay_send(
	struct request_relay *relay, const struct message *request, const struct request_content *content);
/* The end: tells who waits, and frees it. `response` may be NULL. */
void relay_finish(struct request_relay *relay, unsigned status, const struct message *response);

/* The same, of our own accord: the status is what the asker gets. */
void relay_refuse(struct request_relay *relay, unsigned status);

/* request_body.c */
enum { REQUEST_TYPE_MAX = 128 };
struct request_body {
	struct span type, body;
	char type_text[REQUEST_TYPE_MAX];
	char text[160]; /* of one that is written anew */
};
/* The body of an INFO of the older kinds (application/dtmf-relay, application/dtmf, RFC 5168), written anew. False: it is none. */
bool request_body_info(const struct message *info, struct request_body *out);
/* A body that crosses as it is, because its type is `own`, or in bodies-pass of `to`. Without a body: true. */
bool request_body_pass(
	const struct message *request, struct span own, const struct leg *to, struct request_body *out);
/* Accept: of what a method's bodies may be towards `to`, a complete line. */
void request_body_accept(enum sip_method method, const struct leg *to, struct writer *out);

/* request_route.c: where a request of `from` outside of dialogs goes. `to` is made for it (leg_init_client); leg_fini in any case. 0 or
 * the status that the sender deserves. */
unsigned request_route_leg(
	struct shard *shard, const struct message *request, const struct leg *from, struct leg *to);
#endif
