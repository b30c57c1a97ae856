/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a call goes: the local-policy's agent, the members of its session-group one after the other (strategy, retry-on), the contacts
 * of a 3xx, and again with credentials when a trunk asks for them (401, 407; session-agent username and password). */
#ifndef CONTROLPLANE_CALL_ATTEMPT_H
#define CONTROLPLANE_CALL_ATTEMPT_H

#include "controlplane/call_state.h"

struct attempt_target {
	const struct config_session_agent *agent; /* NULL: a registered phone: */
	struct binding *binding; /* a reference */
	const struct config_local_policy *policy;
	const struct config_session_group
		*group; /* whose retry-on counts; NULL: of a redirection, or alone */
	union address address; /* of the agent; not set: none is known */
	bool is_alternate; /* another address of the agent before it */
	char called[64];
	bool is_contact; /* the first one that a contact of a redirection leads to */
	bool diverted; /* a redirection has led here */
	unsigned parent; /* of whom: the place in the list, which is before this one */
};

struct call_branch;

struct call_attempts {
	struct attempt_target *target; /* in the order of trying */
	unsigned count, at; /* `at`: the one that is asked */
	unsigned asked; /* the last one that has been asked beside others */
	struct call_branch *branches; /* that ring beside it; owner: call_parallel.c */
	unsigned redirects; /* contacts taken */
	struct timer timer; /* of silence */
	unsigned best; /* status of the best final response so far; 0: none */
	const char *cause; /* of it */
	char *text; /* as the caller would get it */
	size_t length;
};

/* The first one: sets policy, the callee's leg and its flow. 0 or the status the caller deserves. */
unsigned attempt_first(struct call *call, const struct message *invite, const char **cause);
/* The INVITE has been sent; the callee has said something, a 100 at least. */
void attempt_sent(struct call *call);
void attempt_heard(struct call *call);
/* The callee refused, redirected, or did not answer at all: is there something else to do? True: another has been asked (a new leg, a
 * new INVITE; the call goes on in CALL_PROCEEDING or CALL_LEASING), or the caller has got the best of several refusals. False: the
 * event stands. */
bool attempt_next(struct call *call, const struct call_event *event);
void attempt_fini(struct call *call);
/* How the call has come to the one that is asked now: the redirection `back` steps ago (0: the last one). False: there were no more.
 * `from`: the user that was asked, `to`: the one that it named. */
bool attempt_diversion(const struct call *call, unsigned back, struct span *from, struct span *to);
/* Somebody else has taken the call: who is asked is cancelled ("completed elsewhere"), nobody else is asked. The callee's leg is empty
 * afterwards. */
void attempt_taken(struct call *call);

/* The caller has given up: who rings beside the callee is cancelled, too. */
void attempt_cancel(struct call *call);

/* For call_parallel.c. A leg towards a registered phone: 0 or a status. */
unsigned attempt_phone_leg(struct call *call, struct leg *leg, const struct binding *binding);
/* A leg whose INVITE has no final response is given up: cancelled, and hung up if it answers all the same. It is empty afterwards. */
void attempt_abandon(struct leg *leg, struct span reason);
/* Legs that were given up so: another configuration (reconfigure.h). */
void attempt_late_move(struct shard *shard, struct config_move *move);
/* One refusal of several, of which the caller gets the best. */
void attempt_remember(struct call *call, const struct call_event *event);

/* call_redirect.c */
/* The targets of a 3xx (RFC 3261 section 8.1.3.4), best q first, put behind the one that is asked: agents that a local-policy leads
 * the caller to, whatever hosts the contacts name. How many. */
unsigned redirect_take(struct call *call, const struct message *response);
/* Passes it on with Contacts of ours. False: it has no contact that can be. */
bool redirect_relay(struct call *call, const struct message *response);
/* call_attempt.c, for it: puts what `policy` leads to at place `at`. How many targets; none twice. */
unsigned attempt_insert(struct call *call, unsigned at, const struct config_local_policy *policy,
	const struct config_session_agent *agent, struct span called);

#endif
