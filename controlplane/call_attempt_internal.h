/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to call_attempt.c, call_target.c, call_callee.c and call_refusal.c. */
#ifndef CONTROLPLANE_CALL_ATTEMPT_INTERNAL_H
#define CONTROLPLANE_CALL_ATTEMPT_INTERNAL_H

#include "controlplane/call_attempt.h"

enum { PHONES_MAX = 16 }; /* contacts that one call tries */

/* --- call_target.c -------------------------------------------------------------------------------------------------------- */
/* That of the call, made with its first use. NULL: no memory. */
struct call_attempts *attempt_list(struct call *call);
/* The contacts of a phone, best q first; those of equal q ring together (call_parallel.c). Those of a PBX's calls are told apart by the PBX
 * already, by our contacts there. The references are taken over. */
unsigned attempt_insert_phones(struct call *call, unsigned at, const struct config_local_policy *policy,
	struct binding *const *bindings, size_t count, struct span called);
/* Another address of the agent that is asked. */
bool attempt_is_alternate(const struct call_attempts *attempts, unsigned i);
bool attempt_retries_on(const struct config_session_group *group, unsigned status);
/* Who is asked after such an event; 0: nobody. After a 6xx nobody else is asked (RFC 3261 section 16.7); the members of a group have
 * its list. */
unsigned attempt_following(const struct call_attempts *attempts, const struct call_event *event);

/* --- call_callee.c -------------------------------------------------------------------------------------------------------- */
void attempt_leg_reset(struct call *call);
/* The leg towards a registered phone, by its own flow. */
unsigned attempt_make_phone_leg(struct call *call, struct leg *callee, const struct binding *binding,
	const struct message *invite, const char **cause);
/* The leg towards a phone, or an agent at one of its addresses. 0 or the status that it amounts to. */
unsigned attempt_make_leg(struct call *call, const struct attempt_target *target, struct span called,
	const struct message *invite, const char **cause);

/* --- call_refusal.c ------------------------------------------------------------------------------------------------------- */
/* The caller gets the best of the refusals that have been remembered. False: there is none. */
bool attempt_answer_best(struct call *call);

#endif
