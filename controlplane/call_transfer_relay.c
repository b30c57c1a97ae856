/* SPDX-License-Identifier: BSD-3-Clause */
/* `transfer = relay`: REFER and the NOTIFYs of its subscription cross, every name in them being that of the side it goes to. */
#include <errno.h>

#include "controlplane/call_transfer_internal.h"
#include "controlplane/hide_internal.h"
#include "controlplane/request_relay.h"
#include "platforms/base/clock.h"

static const struct span nothing = { NULL, 0 };

/* --- REFER ---------------------------------------------------------------------------------------------------------------- */

static void on_refer_answered(struct leg *from, unsigned status, void *arg)
{
	struct transfer_subscription *subscription = arg;

	(void)from;
	if (status >= 300)
		subscription->used = false;
	else
		subscription->accepted = true;
}

int transfer_relay(struct leg *leg, struct transaction *transaction, const struct message *refer,
	const struct foreign_dialog *foreign)
{
	struct leg *other = &leg->call->leg[1 - leg->side];
	struct transfer *transfer = transfer_of(leg->call);
	struct transfer_subscription *subscription;
	struct span value;
	char text[2048];
	struct writer extra;
	int error;

	if (!transfer || !message_header(refer, SPAN("Refer-To"), 0, &value))
		return -ENOMEM;
	if (foreign && (foreign->realm != other->realm || !foreign->name.call_id.n))
		return -ENOENT;
	writer_init(&extra, text, sizeof(text));
	writer_text(&extra, "Refer-To: ");
	error = hide_refer_to(value, leg, other, foreign ? &foreign->name : NULL, &extra);
	writer_text(&extra, "\r\n");
	if (error == 0 && extra.overflow)
		error = -EMSGSIZE;
	if (error)
		return error;
	subscription = transfer_subscribe(transfer, leg, message_scan(refer)->cseq_number);
	if (!subscription)
		return -ENOBUFS;
	subscription->relayed = true;
	subscription->until_ms = clock_now_ms() + 1000 * (uint64_t)TRANSFER_SUBSCRIPTION_SECONDS;
	subscription->far_id = other->local_cseq + 1;
	request_relay(leg, transaction, refer, HIDE_REFER, writer_result(&extra), nothing, nothing,
		on_refer_answered, subscription);
	return 0;
}

/* --- NOTIFY --------------------------------------------------------------------------------------------------------------- */

/* State, expiry and reason; anything else is for who has a subscription of its own. False: not to be read. */
static bool write_state(struct span value, struct transfer_subscription *subscription, struct writer *out)
{
	uint64_t most = subscription->transfer->call->shard->config->sip.subscription_max_expires;
	struct span state = span_trim(span_cut(&value, ';')), name, said;
	uint64_t number;

	if (!hide_is_token(state))
		return false;
	subscription->over = span_equal_case(state, SPAN("terminated"));
	writer_text(out, "Subscription-State: ");
	writer_span(out, state);
	while (hide_parameter_next(&value, &name, &said)) {
		bool counted =
			span_equal_case(name, SPAN("expires")) || span_equal_case(name, SPAN("retry-after"));

		if (counted && span_to_uint(said, UINT32_MAX, &number) == 0) {
			if (span_equal_case(name, SPAN("expires")))
				subscription->until_ms =
					clock_now_ms() + 1000 * (number < most ? number : most);
			writer_char(out, ';');
			writer_span(out, name);
			writer_char(out, '=');
			writer_uint(out, number);
		} else if (span_equal_case(name, SPAN("reason")) && hide_is_token(said) &&
			   !hide_names_a_host(said)) {
			writer_text(out, ";reason=");
			writer_span(out, said);
		}
	}
	writer_text(out, "\r\n");
	return true;
}

bool transfer_write_fragment(const struct message *notify, struct writer *out)
{
	struct span body = message_body(notify), line = span_cut(&body, '\n');
	uint64_t status;

	if (!message_body_is(notify, SPAN("message/sipfrag")) ||
		!span_equal_case(span_cut(&line, ' '), SPAN("SIP/2.0")) ||
		span_to_uint(span_trim(span_cut(&line, ' ')), 699, &status) || status < 100)
		return false;
	writer_format(out, "SIP/2.0 %u %s\r\n", (unsigned)status, sip_reason((unsigned)status));
	return true;
}

static void on_told(struct leg *from, unsigned status, void *arg)
{
	struct transfer_subscription *subscription = arg;

	(void)from;
	/* Too many at once: it comes again. */
	if (status == 500)
		subscription->over = false;
	else if (subscription->over)
		subscription->used = false;
}

void transfer_relay_notify(struct leg *leg, struct transaction *transaction, const struct message *notify,
	struct transfer_subscription *subscription)
{
	char lines[512], fragment[128];
	struct writer extra, body;
	struct span value;

	writer_init(&extra, lines, sizeof(lines));
	writer_init(&body, fragment, sizeof(fragment));
	writer_format(&extra, "Event: refer;id=%u\r\n", subscription->id);
	if (!message_header(notify, SPAN("Subscription-State"), 0, &value) ||
		!write_state(value, subscription, &extra) || extra.overflow) {
		transfer_refuse(transaction, 400);
		return;
	}
	if (message_body(notify).n && !transfer_write_fragment(notify, &body)) {
		transfer_refuse(transaction, 415);
		return;
	}
	subscription->accepted = true;
	request_relay(leg, transaction, notify, HIDE_NOTIFY, writer_result(&extra),
		body.len ? SPAN("message/sipfrag;version=2.0") : nothing, writer_result(&body), on_told,
		subscription);
}

/* --- after the call --------------------------------------------------------------------------------------------------------- */

/* Of those who were told on this side; both ways at once would be two subscriptions in one pair of dialogs, and nobody refers so. */
static bool outlive(struct call *call, unsigned side)
{
	const struct transfer *transfer = call->transfer;
	struct subscription_refer refers[SUBSCRIPTION_REFERS_MAX];
	uint64_t now = clock_now_ms(), until = now;
	size_t count = 0;
	bool any = false;

	for (size_t i = 0; i < TRANSFER_SUBSCRIPTIONS_MAX; i++) {
		const struct transfer_subscription *one = &transfer->subscription[i];

		if (!one->used || !one->relayed || !one->accepted || one->side != side)
			continue;
		any = true;
		if (!one->over)
			refers[count++] = (struct subscription_refer){ one->id, one->far_id };
		if (one->until_ms > until)
			until = one->until_ms;
	}
	if (any && subscription_outlive(
			   &call->leg[side], &call->leg[1 - side], refers, count, (until - now) / 1000))
		log_notice("call", "a transfer's end will not be told", LOG_UINT("call", call->id));
	return any;
}

void transfer_outlive(struct call *call)
{
	struct transfer *transfer = call->transfer;

	/* Of a leg that another call has, the dialog is there. */
	if (!call->tag[LEG_CALLER].leg || !call->tag[LEG_CALLED].leg)
		return;
	if (!outlive(call, LEG_CALLER) && !outlive(call, LEG_CALLED))
		return;
	for (size_t i = 0; i < TRANSFER_SUBSCRIPTIONS_MAX; i++)
		if (transfer->subscription[i].relayed)
			transfer->subscription[i].used = false;
}
