/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests relayed one by one, within calls and outside of dialogs. */
#include "controlplane/request_relay.h"

#include <errno.h>

#include "controlplane/core.h"
#include "controlplane/subscription.h"

static const struct span nothing = { NULL, 0 };

void request_relay(struct leg *from, struct transaction *transaction, const struct message *request,
	enum hide_kind kind, struct span extra, struct span content_type, struct span body,
	void (*done)(struct leg *from, unsigned status, void *arg), void *arg)
{
	(void)request;
	(void)kind;
	(void)extra;
	(void)content_type;
	(void)body;
	if (done)
		done(from, 500, arg);
	core_reply(transaction, 500, nothing);
}

int request_send(struct leg *leg, enum sip_method method, struct span extra, struct span content_type,
	struct span body,
	void (*done)(struct leg *leg, unsigned status, const struct message *response, void *arg), void *arg)
{
	(void)leg;
	(void)method;
	(void)extra;
	(void)content_type;
	(void)body;
	(void)done;
	(void)arg;
	return -EBUSY;
}

void request_relay_info(struct leg *from, struct transaction *transaction, const struct message *request)
{
	(void)from;
	(void)request;
	core_reply(transaction, 500, nothing);
}

void request_relay_message(struct leg *from, struct transaction *transaction, const struct message *request)
{
	request_relay_info(from, transaction, request);
}

void request_route(struct shard *shard, struct transaction *transaction, const struct message *request,
	const struct config_session_agent *source)
{
	(void)shard;
	(void)source;
	request_relay_info(NULL, transaction, request);
}

void request_relay_abort(struct leg *leg)
{
	(void)leg;
}
