/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of the refusals of several attempts the caller gets. */
#include <stdlib.h>

#include "controlplane/call_attempt_internal.h"
#include "controlplane/hide.h"

static const struct span nothing = { NULL, 0 };

/* RFC 3261 section 16.7 point 6: 6xx, else the lowest class; in it what helps the caller to ask better; last what only says
 * that somebody could not be reached. */
static unsigned rank(unsigned status)
{
	switch (status) {
	case 401:
	case 407:
	case 415:
	case 420:
	case 484:
		return 2;
	case 408:
	case 481:
	case 487:
		return 4;
	case 503:
		return 6;
	default:
		return status >= 600 ? 0 : status < 400 ? 1 : status < 500 ? 3 : 5;
	}
}

void attempt_remember(struct call *call, const struct call_event *event)
{
	struct call_attempts *attempts = call->attempts;
	struct leg *caller = &call->leg[LEG_CALLER];
	char text[CALL_MESSAGE_MAX];
	struct writer out;
	char *copy;

	if (attempts->best && rank(attempts->best) < rank(event->status))
		return;
	if (call->carry) {
		/* Nobody gets it as a response: the referrer is told its status. */
		attempts->best = event->status;
		attempts->cause = event->cause ? event->cause : "refused";
		return;
	}
	writer_init(&out, text, sizeof(text));
	if (invite_write(caller, hide_status(event->status), caller->local_tag, event->message, nothing,
		    nothing, &out))
		return;
	copy = span_dup(writer_result(&out));
	if (!copy)
		return;
	free(attempts->text);
	attempts->text = copy;
	attempts->length = out.len;
	attempts->best = event->status;
	attempts->cause = event->cause ? event->cause : "refused";
}

bool attempt_answer_best(struct call *call)
{
	struct call_attempts *attempts = call->attempts;
	struct leg *caller = &call->leg[LEG_CALLER];
	unsigned status = hide_status(attempts->best);

	if (!attempts->best)
		return false;
	call->state = CALL_OVER;
	call->status = status;
	call->cause = attempts->cause;
	early_over(call);
	if (status != 401 && status != 407)
		shard_count(call->shard, CALLS_FAILED);
	invite_send_written(
		caller, status, caller->local_tag, (struct span){ attempts->text, attempts->length });
	return true;
}
