/* SPDX-License-Identifier: BSD-3-Clause */
/* Session timers (RFC 4028) of each leg on its own, by its ip-profile (session-timer, session-timer-mode). */
#ifndef CONTROLPLANE_CALL_SESSION_TIMER_H
#define CONTROLPLANE_CALL_SESSION_TIMER_H

#include "controlplane/leg.h"

/* Header lines of a request of ours (INVITE, UPDATE); Supported is written by leg_options. */
void session_timer_write_request(struct leg *leg, struct writer *out);
bool session_timer_is_on(const struct leg *leg); /* by its ip-profile */
/* INVITE or UPDATE of the peer: notes what it asks for. 0, 422 (too short an interval), 421 (`require`, and it knows no timers). */
unsigned session_timer_take_request(struct leg *leg, const struct message *request);
/* Header lines of that refusal: Min-SE, Require. */
void session_timer_write_refusal(const struct leg *leg, unsigned status, struct writer *out);
/* Header lines of our 2xx to it, and the timer begins. */
void session_timer_write_response(struct leg *leg, struct writer *out);
/* 2xx of the peer to a request of ours: the timer begins. */
void session_timer_take_response(struct leg *leg, const struct message *response);
/* 422 to our request (RFC 4028 section 7.4): true if it is to be sent again with the Min-SE it named. */
bool session_timer_retry(struct leg *leg, const struct message *response);
void session_timer_stop(struct leg *leg);

#endif
