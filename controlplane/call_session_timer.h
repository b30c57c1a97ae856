/* SPDX-License-Identifier: BSD-3-Clause */
/* Session timers (RFC 4028) of each leg on its own, by its ip-profile (session-timer, session-timer-mode). */
#ifndef CONTROLPLANE_CALL_SESSION_TIMER_H
#define CONTROLPLANE_CALL_SESSION_TIMER_H

#include "controlplane/leg.h"

/* Header lines of a request of ours (INVITE, UPDATE): Supported is written by leg_options. */
void session_timer_write_request(struct leg *leg, struct writer *out);
/* A request of the peer's with Session-Expires: 0, or 422 with Min-SE in `extra`. Notes what it asks for. */
unsigned session_timer_take_request(struct leg *leg, const struct message *request, struct writer *extra);
/* Header lines of our 2xx to it, and the timer begins. */
void session_timer_write_response(struct leg *leg, struct writer *out);
/* 2xx of the peer to a request of ours: the timer begins. */
void session_timer_take_response(struct leg *leg, const struct message *response);
/* 422 to our request (RFC 4028 section 7.4): true if it is to be sent again with the Min-SE it named. */
bool session_timer_retry(struct leg *leg, const struct message *response);
void session_timer_stop(struct leg *leg);

#endif
