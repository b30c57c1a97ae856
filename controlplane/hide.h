/* SPDX-License-Identifier: BSD-3-Clause */
/* Topology hiding: what of one side's message the other side may see. An allow-list: a header that has no row in the table
 * (hide.c) does not cross, and a row says which part of its value does. docs/decisions/0020-topology-hiding.md. */
#ifndef CONTROLPLANE_HIDE_H
#define CONTROLPLANE_HIDE_H

#include <stdbool.h>

#include "controlplane/leg.h"
#include "controlplane/message.h"
#include "platforms/base/span.h"

enum hide_kind { /* bits: what is being written */
	HIDE_INVITE = 1 << 0, /* outside of a dialog */
	HIDE_REINVITE = 1 << 1,
	HIDE_ACK = 1 << 2,
	HIDE_BYE = 1 << 3,
	HIDE_PROVISIONAL = 1 << 4,
	HIDE_SUCCESS = 1 << 5,
	HIDE_FAILURE = 1 << 6,
	HIDE_CHALLENGE = 1 << 7, /* 401 and 407, in addition to HIDE_FAILURE */
	HIDE_CANCEL = 1 << 8,
	HIDE_UPDATE = 1 << 9,
	HIDE_PRACK = 1 << 10,
	HIDE_INFO = 1 << 11,
	HIDE_MESSAGE = 1 << 12,
	HIDE_OPTIONS = 1 << 13,
	HIDE_REFER = 1 << 14,
	HIDE_SUBSCRIBE = 1 << 15,
	HIDE_NOTIFY = 1 << 16,
	HIDE_PUBLISH = 1 << 17,
};

/* Copies the headers of `message`, received on leg `from`, that may cross to leg `to`. */
void hide_headers(const struct message *message, enum hide_kind kind, const struct leg *from,
	const struct leg *to, struct writer *out);
/* "display" <sip:USER@HOST>: display name and user of the peer's address, our `host`. Parameters, port, password and what
 * follows a ';' or an escaped '@' in the user part do not cross. Nobody's user gives sip:HOST; an anonymous address stays RFC 3323's. */
void hide_name_addr(const struct name_addr *address, struct span host, struct writer *out);
/* The part of a URI's user that may cross: without parameters ("+1;phone-context=host"); empty if it has bytes that
 * a URI must not have. tel: URIs give their number. */
struct span hide_user(const struct sip_uri *uri);
/* Reason (RFC 3326) without its text: "Q.850;cause=16". Empty if the value is none. Returns the writer's result. */
struct span hide_reason(struct span value, struct writer *out);
/* The status the caller gets for the callee's: codes that speak of our own hop or name foreign contacts are mapped. */
unsigned hide_status(unsigned status);

/* Lines of our own: Allow; User-Agent in requests, Server in responses (sip-config.user-agent, "" = none). */
void hide_allow(struct writer *out);
void hide_product(const struct config *config, bool request, struct writer *out);

#endif
