/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that accompany an INVITE of ours hop by hop: its CANCEL, and the ACK of its failure. */
#include <errno.h>
#include <stdlib.h>

#include "controlplane/transaction_internal.h"

static void write_line(struct writer *out, const char *name, struct span value)
{
	writer_text(out, name);
	writer_span(out, value);
	writer_text(out, "\r\n");
}

struct span companion_write(struct transaction *invite, struct span method, struct span to, struct span extra)
{
	struct transaction_layer *layer = invite->shard->transactions;
	struct scan *own = &layer->own;
	struct span value;
	struct writer out;

	/* Our own text, which passed once already. */
	if (scan_message(own, sent_span(invite->sent), true, &layer->own_limits) != SCAN_OK ||
		!scan_header_find(own, SPAN("Via"), 'v', 0, &value))
		return (struct span){ NULL, 0 };
	writer_init(&out, layer->text, sizeof(layer->text));
	writer_span(&out, method);
	writer_char(&out, ' ');
	writer_span(&out, own->request_uri);
	writer_text(&out, " SIP/2.0\r\n");
	write_line(&out, "Via: ", value);
	writer_text(&out, "Max-Forwards: 70\r\n");
	for (unsigned n = 0; scan_header_find(own, SPAN("Route"), 0, n, &value); n++)
		write_line(&out, "Route: ", value);
	write_line(&out, "From: ", own->from);
	write_line(&out, "To: ", to.n ? to : own->to);
	write_line(&out, "Call-ID: ", own->call_id);
	writer_text(&out, "CSeq: ");
	writer_uint(&out, own->cseq_number);
	writer_char(&out, ' ');
	writer_span(&out, method);
	writer_text(&out, "\r\n");
	if (scan_header_find(own, SPAN("Session-ID"), 0, 0, &value))
		write_line(&out, "Session-ID: ", value);
	writer_span(&out, extra);
	message_end(&out, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
	return out.overflow ? (struct span){ NULL, 0 } : writer_result(&out);
}

int cancel_send(struct transaction *invite)
{
	struct span extra = sent_span(invite->reason);
	struct span text = companion_write(invite, SPAN("CANCEL"), (struct span){ NULL, 0 }, extra);
	int result;

	if (text.n == 0)
		return -EMSGSIZE;
	invite->cancel_wanted = true;
	/* Its own transaction, which nobody listens to: what counts is the INVITE's final response. */
	result = client_start(invite->shard, &invite->flow, text, NULL, NULL, NULL);
	if (result < 0)
		return result;
	invite->cancel_sent = true;
	/* RFC 3261 section 9.1: 64*T1 without a final response, and the INVITE counts as over. */
	transaction_arm_give_up(invite, 64 * invite->shard->config->sip.t1_ms);
	return 0;
}

static struct sent *reason_line(struct transaction_layer *layer, struct span reason)
{
	struct writer out;

	writer_init(&out, layer->text, sizeof(layer->text));
	if (reason.n)
		write_line(&out, "Reason: ", reason);
	return out.overflow ? NULL : sent_new(writer_result(&out));
}

int transaction_cancel(struct transaction *invite, struct span reason)
{
	if (invite->kind != MACHINE_ICT)
		return -EINVAL;
	if (invite->cancel_wanted ||
		(invite->state != TRANSACTION_TRYING && invite->state != TRANSACTION_PROCEEDING))
		return -EALREADY;
	free(invite->reason);
	invite->reason = reason_line(invite->shard->transactions, reason);
	if (!invite->reason)
		return -ENOMEM;
	if (invite->state == TRANSACTION_PROCEEDING)
		return cancel_send(invite);
	invite->cancel_wanted = true;
	return 0;
}
