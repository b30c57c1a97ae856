/* SPDX-License-Identifier: BSD-3-Clause */
/* Topology hiding: what of one side's message the other side may see. An allow-list: a header that has no row in the table
 * (hide_table.c) does not cross, and a row says which part of its value does. docs/decisions/0020-topology-hiding.md, 0056-what-crosses.md. */
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

enum hide_privacy { /* bits: values of Privacy (RFC 3323 section 4.2, RFC 3325 section 9.3, RFC 7044 section 10.1) */
	HIDE_PRIVACY_NONE = 1 << 0,
	HIDE_PRIVACY_HEADER = 1 << 1,
	HIDE_PRIVACY_SESSION = 1 << 2,
	HIDE_PRIVACY_USER = 1 << 3,
	HIDE_PRIVACY_ID = 1 << 4,
	HIDE_PRIVACY_HISTORY = 1 << 5,
	HIDE_PRIVACY_CRITICAL = 1 << 6,
	HIDE_PRIVACY_UNKNOWN = 1 << 7, /* a value that is none of these */
};

/* Copies the headers of `message`, received on leg `from`, that may cross to leg `to`. Not those that their method's own code
 * writes: Event, Subscription-State, Refer-To, SIP-ETag, Contact, what tells of bodies, and Expires but for INVITE. */
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

/* --- privacy (RFC 3323, 3325) --- */
/* What the message asks for. */
unsigned hide_privacy(const struct message *message);
/* 0; or 500: something critical is asked for that is not known here (RFC 3323 section 5). */
unsigned hide_privacy_status(const struct message *message);
/* True if the wish in leg->privacy is carried out here, on the way to the leg's peer: From and Contact are anonymous then. */
bool hide_is_anonymous(const struct leg *leg);
/* From of an anonymous call (RFC 3323 section 4.1.1.3). */
extern const struct name_addr hide_anonymous;

/* --- values that name dialogs or hosts --- */
/* Feature parameters of the message's Contact (RFC 3840) that may cross, appended to the Contact line just written to `out`. */
void hide_contact_parameters(const struct message *message, struct writer *out);
/* Refer-To (RFC 3515), or a contact to go to, for the peer of `to`: user, method, and a Replaces whose dialog is known on both sides, its
 * host that of the peer if the URI names our address on the side of `from` (the other side, to it), else our address. `mapped`, may be NULL: that
 * dialog's name there, if this shard cannot know it. 0; -EINVAL: not to be read; -ENOENT: its Replaces names no dialog of ours. */
struct dialog_name;
int hide_refer_to(struct span value, const struct leg *from, const struct leg *to,
	const struct dialog_name *mapped, struct writer *out);
/* Referred-By (RFC 3892): display name and user at our host, without cid. False, and nothing written, if it cannot be read. */
bool hide_referred_by(struct span value, const struct leg *to, struct writer *out);
/* Replaces, Join (RFC 3891, 3911) or Target-Dialog (RFC 4538) as the peer of `to` knows that dialog. False: none of ours. */
bool hide_dialog(struct span value, const struct leg *from, const struct leg *to, struct writer *out);

/* --- bodies (hide_body.c) --- */
/* May a request with this body be relayed at all? 0, 400 (broken), 413 (too many parts), 415: none of it may cross, or a part that must does not. */
unsigned hide_body_status(const struct message *message, enum hide_kind kind, const struct leg *to);
/* May a body of this type cross in such a message? By its method, or bodies-pass of the receiving side; never a session description. */
bool hide_body_crosses(struct span content_type, enum hide_kind kind, const struct leg *to);
/* Ends a message: Content-Type, Content-Length and the body, made of `sdp` (may be empty) and what else of the body of `source` (may be
 * NULL) may cross to `to`; several parts are put together with a boundary of our own. */
void hide_end(const struct message *source, enum hide_kind kind, const struct leg *to, struct span sdp,
	struct writer *out);
/* Lines of our own: Allow; User-Agent in requests, Server in responses (sip-config.user-agent, "" = none). */
void hide_allow(struct writer *out);
void hide_product(const struct config *config, bool request, struct writer *out);

#endif
