/* SPDX-License-Identifier: BSD-3-Clause */
/* One leg of a call: the dialog state (RFC 3261 section 12) this SBC keeps with one peer, and the requests it writes from
 * nothing but that state. owner: the shard's thread. */
#ifndef CONTROLPLANE_LEG_H
#define CONTROLPLANE_LEG_H

#include <stdbool.h>
#include <stdint.h>

#include "config/move.h"
#include "controlplane/location.h"
#include "controlplane/message.h"
#include "controlplane/session_id.h"
#include "controlplane/shard.h"
#include "controlplane/statistics.h"
#include "controlplane/timer_wheel.h"
#include "controlplane/transaction.h"

struct call;
struct credentials;
struct request_relay;
struct subscription;

enum { LEG_CALLER = 0, LEG_CALLED = 1, LEGS = 2 };
/* What one leg may keep of its peer's text; a longer Call-ID, tag, contact or route set is refused. */
enum { LEG_TEXT_MAX = 1024 };

enum session_refresher { SESSION_ANYBODY, SESSION_UAC, SESSION_UAS };

struct leg_session { /* RFC 4028; owner: call_session_timer.c */
	struct timer timer; /* the only one of a leg: refresh, then expiry */
	uint32_t interval; /* agreed, in seconds; 0: none runs */
	uint32_t left_ms; /* until expiry, once the timer has run */
	uint32_t floor; /* the highest Min-SE the peer has named */
	uint32_t asked; /* by the request that is being answered; 0: nothing */
	enum session_refresher asked_refresher;
	uint8_t retries; /* after 422 */
	bool supported; /* the peer knows session timers */
	bool is_mine; /* we refresh */
	bool refreshing;
};

struct leg {
	struct shard *shard;
	struct call *call;
	unsigned side; /* LEG_CALLER or LEG_CALLED */
	const struct config_realm *realm;
	const struct config_ip_profile *profile;
	const struct config_session_agent *agent; /* or NULL */
	struct sip_flow flow; /* the peer's signalling as first met: listener and address */
	union address next_hop; /* where requests within the dialog go */
	char *call_id;
	char local_tag[SHARD_TOKEN_MAX];
	char *remote_tag; /* NULL until the peer has one */
	char *local, *remote; /* values of From and To without tags, as this leg's peer knows them */
	char *target; /* request URI: the peer's contact */
	char *routes; /* route set in order of use, comma separated; NULL = empty */
	char called[64]; /* LEG_CALLED: user part of the first request URI */
	char contact_user[64]; /* of our own contact */
	uint32_t local_cseq; /* last used */
	uint32_t invite_cseq; /* of our last INVITE: what its ACK repeats */
	uint32_t remote_cseq; /* last seen; 0 = none */
	struct transaction *server_invite; /* the INVITE received on this leg, until it has ended */
	struct transaction *client_invite; /* the INVITE sent on this leg, until it has ended */
	struct transaction *client_bye;
	uint32_t peer_options; /* bits of enum sip_option: its last Supported */
	uint32_t peer_methods; /* bits of enum sip_method: its last Allow; 0 = it has not said */
	struct subscription *subscription; /* the owner of a leg that is no call's; else NULL */
	struct request_relay *asking,
		*asked; /* requests under way from and to the peer; owner: request_relay.c */
	bool owns_call_id; /* we made the Call-ID: who waits how long after 491 (RFC 3261 section 14.1) */
	struct leg_session session;
	uint8_t privacy; /* enum hide_privacy: the wish of the call's INVITE; of a called leg set before leg_init_client */
	struct credentials *credentials; /* the agent has asked for them; NULL: never; owner: credentials.c */
	bool holds_agent; /* this call counts as one of the agent's; owner: agent.c */
	struct statistics_mark statistics; /* owner: statistics.c */
	struct session_ids session_ids; /* where we speak for the other side; owner: session_id.c */
	bool gone; /* the peer has no dialog any more: no BYE is due */
	bool sips; /* our Contact is; of a called leg set before leg_init_client: sips was asked for */
	bool behind_nat; /* reached by its flow alone; owner of this and the two below: nat.c */
	char phone
		[SHARD_TOKEN_MAX]; /* the registered phone that the peer is: token of its binding; "": none */
	struct binding_flow phone_flow; /* the flow it had when last looked at */
};

/* The leg that received `invite` by its server transaction: dialog of RFC 3261 section 12.1.1. 0, -EMSGSIZE (peer's text
 * over LEG_TEXT_MAX), -EINVAL (no usable Contact or From), -ENOMEM. leg_fini afterwards in any case. */
int leg_init_server(struct leg *leg, struct shard *shard, const struct message *invite);
/* The leg towards an agent, before anything is sent: `called` is the user part to call, `from` and `to` are those of the
 * other leg's INVITE, of which only display name and user are taken, and not those of `from` if leg->privacy forbids. Errors as above;
 * -EPROTO: a sips request must not go there (sips.h). */
int leg_init_client(struct leg *leg, struct shard *shard, const struct sip_flow *flow, struct span called,
	const struct name_addr *from, const struct name_addr *to);
/* The dialog that a 2xx to an INVITE of ours has made, from nothing but that 2xx: to acknowledge it and to hang up. Errors as above. */
int leg_init_answer(struct leg *leg, struct shard *shard, const struct message *answer);
/* Detaches transactions and frees the leg's memory, not the leg. */
void leg_fini(struct leg *leg);

/* Another configuration (reconfigure.h). What its peer was and is not any more it stays for this leg. */
void leg_move(struct leg *leg, struct config_move *move);

/* From a response that made or confirmed the dialog: remote tag, target, route set (reversed). */
int leg_take_response(struct leg *leg, const struct message *response);
/* Before the first request: its request URI, instead of the agent's own address. */
int leg_aim(struct leg *leg, struct span target);
/* Before the first request: the values of a route set, comma-separated, until the dialog has its own (RFC 3261 section 8.1.1.1). Those that
 * are no addresses with a SIP URI are left out. 0 or -errno. */
int leg_preload(struct leg *leg, struct span routes);
/* From a request that makes a dialog we began: a NOTIFY (RFC 6665 section 4.4.1). As above, the route set in its own order. */
int leg_take_request(struct leg *leg, const struct message *request);
/* Target refresh by a re-INVITE or its 2xx (RFC 3261 section 12.2). Without a Contact nothing changes. */
int leg_refresh_target(struct leg *leg, const struct message *message);
/* What the peer says of itself in this message: Supported, Allow. Without the header what was known stays. */
void leg_note_peer(struct leg *leg, const struct message *message);
/* True if it said that it takes the method. */
bool leg_peer_allows(const struct leg *leg, enum sip_method method);
bool leg_peer_supports(const struct leg *leg, enum sip_option option);
/* A request within the dialog: false when its CSeq is not higher than the last one's (then it deserves 500). */
bool leg_accept_cseq(struct leg *leg, const struct message *request);

/* Start line, Via with a fresh branch, Max-Forwards, From, To, Call-ID, CSeq, Route. The CSeq counts up, but for ACK. */
void leg_request_begin(struct leg *leg, enum sip_method method, unsigned max_forwards, struct writer *out);
/* Contact of ours on this leg, a complete line. */
void leg_contact(const struct leg *leg, struct writer *out);
/* Where requests of this leg go now: a registered phone may have another flow than at the last request. */
struct sip_flow leg_flow(struct leg *leg);
/* Copies the dialog of `leg` for a fork that lost (RFC 3261 section 13.2.2.4): the same local half, remote half of
 * `response`. leg_fini afterwards. */
int leg_fork(struct leg *fork, const struct leg *leg, const struct message *response);

/* Copies the peer's half too, for another early dialog of the same INVITE; it needs a local tag of its own. leg_fini afterwards. */
int leg_early(struct leg *early, const struct leg *leg);

/* The n-th of the comma-separated values in `list`, commas in quotes and <> not counted; false if there is none. */
bool leg_list_value(struct span list, unsigned n, struct span *value);

#endif
