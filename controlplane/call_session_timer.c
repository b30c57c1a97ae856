/* SPDX-License-Identifier: BSD-3-Clause */
/* Session timers (RFC 4028) of one leg. */
#include "controlplane/call_session_timer.h"

void session_timer_write_request(struct leg *leg, struct writer *out)
{
	(void)leg;
	(void)out;
}

unsigned session_timer_take_request(struct leg *leg, const struct message *request, struct writer *extra)
{
	(void)leg;
	(void)request;
	(void)extra;
	return 0;
}

void session_timer_write_response(struct leg *leg, struct writer *out)
{
	(void)leg;
	(void)out;
}

void session_timer_take_response(struct leg *leg, const struct message *response)
{
	(void)leg;
	(void)response;
}

bool session_timer_retry(struct leg *leg, const struct message *response)
{
	(void)leg;
	(void)response;
	return false;
}

void session_timer_stop(struct leg *leg)
{
	(void)leg;
}
