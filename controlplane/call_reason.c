/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a call ends, as Reason says it (RFC 3326, RFC 6432): what one side said, for the other, and our own reasons. */
#include "controlplane/call_state.h"
#include "controlplane/hide.h"

enum { REASONS_MAX = 4 };

/* Our own, by the status that goes with them. docs/decisions/0052-attempts-and-ends.md. */
static const struct {
	unsigned status;
	const char *sip, *q850; /* `sip` NULL: no failure that a status stands for */
} own[] = {
	{ 408, "SIP;cause=408", "Q.850;cause=102" }, /* a timer has run out: recovery on timer expiry */
	{ 488, "SIP;cause=488;text=\"SRTP was not agreed on\"",
		"Q.850;cause=65" }, /* not in clear what has to be secret */
	{ 480, NULL, "Q.850;cause=31" }, /* a decision: normal, unspecified */
	{ 503, "SIP;cause=503", "Q.850;cause=41" }, /* media or a dialog is gone: temporary failure */
};

/* The row's number, or that behind the last one: not ours to explain. */
static size_t own_row(const struct call_event *event)
{
	size_t rows = sizeof(own) / sizeof(own[0]);

	if (event->type != CALL_EVENT_BROKEN && event->type != CALL_EVENT_TIMER &&
		event->type != CALL_EVENT_NO_ACK &&
		!(event->type == CALL_EVENT_LEASE_FAILED && event->cause == call_no_srtp))
		return rows;
	for (size_t i = 0; i < rows; i++)
		if (own[i].status == event->status)
			return i;
	return rows;
}

const char *call_reason_q850(const struct call_event *event)
{
	size_t row = own_row(event);

	return row < sizeof(own) / sizeof(own[0]) ? own[row].q850 : NULL;
}

static struct span theirs(const struct message *message, struct writer *out)
{
	struct span value, one;
	unsigned count = 0;

	for (unsigned n = 0; count < REASONS_MAX && message_header(message, SPAN("Reason"), n, &value); n++)
		for (unsigned v = 0; count < REASONS_MAX && leg_list_value(value, v, &one); v++, count++) {
			char text[CALL_REASON_MAX];
			struct writer reason;

			writer_init(&reason, text, sizeof(text));
			if (hide_reason(one, &reason).n == 0)
				continue;
			if (out->len)
				writer_text(out, ", ");
			writer_span(out, writer_result(&reason));
		}
	return out->overflow ? (struct span){ NULL, 0 } : writer_result(out);
}

struct span call_reason(const struct call_event *event, struct writer *out)
{
	size_t row = own_row(event);

	if (event->type == CALL_EVENT_BYE || event->type == CALL_EVENT_CANCEL)
		return event->message ? theirs(event->message, out) : (struct span){ NULL, 0 };
	if (row == sizeof(own) / sizeof(own[0]))
		return (struct span){ NULL, 0 };
	if (own[row].sip) {
		writer_text(out, own[row].sip);
		writer_text(out, ", ");
	}
	writer_text(out, own[row].q850);
	return writer_result(out);
}
