/* SPDX-License-Identifier: BSD-3-Clause */
/* REFER within a call (RFC 3515): who carries it out, and what the referrer is told of it. docs/decisions/0053-transfer.md has the
 * flows. */
#include "controlplane/call_transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_exchange.h"
#include "controlplane/call_transfer_internal.h"
#include "controlplane/core.h"
#include "controlplane/hide_internal.h"
#include "controlplane/request_relay.h"
#include "controlplane/shard_internal.h"

static const struct span nothing = { NULL, 0 };

void transfer_refuse(struct transaction *transaction, unsigned status)
{
	core_reply(transaction, status, status == 500 ? SPAN("Retry-After: 1\r\n") : nothing);
}

struct transfer *transfer_of(struct call *call)
{
	if (!call->transfer) {
		call->transfer = calloc(1, sizeof(*call->transfer));
		if (call->transfer)
			call->transfer->call = call;
	}
	return call->transfer;
}

/* --- subscriptions -------------------------------------------------------------------------------------------------------- */

struct transfer_subscription *transfer_subscribe(
	struct transfer *transfer, const struct leg *leg, uint32_t id)
{
	struct transfer_subscription *place = NULL;

	/* The oldest relayed one goes first: who carries it out may never have told. */
	for (size_t i = 0; i < TRANSFER_SUBSCRIPTIONS_MAX; i++) {
		struct transfer_subscription *one = &transfer->subscription[i];

		if (!one->used) {
			place = one;
			break;
		}
		if (one->relayed && (!place || one->id < place->id))
			place = one;
	}
	if (place)
		*place = (struct transfer_subscription){
			.transfer = transfer, .used = true, .side = leg->side, .id = id, .status = 100
		};
	return place;
}

static void on_told(struct leg *leg, unsigned status, const struct message *response, void *arg)
{
	struct transfer_subscription *subscription = arg;

	(void)leg;
	(void)response;
	subscription->telling = false;
	/* RFC 6665 section 4.2.2: who refuses a NOTIFY does not want any. */
	if (status >= 300 && status != 491 && status != 500)
		subscription->quiet = true;
	if (subscription->again)
		transfer_tell(subscription, subscription->status);
	else if (subscription->status >= 200)
		subscription->used = false;
	/* The place is held until the transfer is over: its end is told to nobody. */
	else if (subscription->closed)
		subscription->quiet = true;
}

static void write_state(const struct transfer_subscription *subscription, struct writer *extra)
{
	writer_text(extra, "Event: refer;id=");
	writer_uint(extra, subscription->id);
	writer_text(extra, "\r\nSubscription-State: ");
	if (subscription->status >= 200)
		writer_text(extra, "terminated;reason=noresource\r\n");
	else if (subscription->closed)
		writer_text(extra, "terminated;reason=timeout\r\n");
	else
		writer_format(extra, "active;expires=%u\r\n", TRANSFER_SUBSCRIPTION_SECONDS);
}

void transfer_tell(struct transfer_subscription *subscription, unsigned status)
{
	const struct transfer *transfer = subscription->transfer;
	struct leg *leg = &transfer->call->leg[subscription->side];
	char lines[256], fragment[128];
	struct writer extra, body;

	subscription->status = status;
	/* The call of who has hung up ends with the last one: that waits for nothing. */
	subscription->again = subscription->telling && !(transfer->left && status >= 200);
	if (subscription->again)
		return;
	writer_init(&extra, lines, sizeof(lines));
	writer_init(&body, fragment, sizeof(fragment));
	write_state(subscription, &extra);
	writer_format(&body, "SIP/2.0 %u %s\r\n", status, sip_reason(status));
	subscription->telling =
		!subscription->quiet &&
		request_notify(leg, writer_result(&extra), SPAN("message/sipfrag;version=2.0"),
			writer_result(&body), on_told, subscription) == 0;
	if (!subscription->telling && status >= 200)
		subscription->used = false;
}

/* "refer;id=5": the number, or 0. False: another event. */
static bool is_refer_event(const struct message *message, uint32_t *id)
{
	struct span event, name, value;
	uint64_t number = 0;

	*id = 0;
	if (!message_header(message, SPAN("Event"), 0, &event) ||
		!span_equal_case(span_trim(span_cut(&event, ';')), SPAN("refer")))
		return false;
	while (hide_parameter_next(&event, &name, &value))
		if (span_equal_case(name, SPAN("id")) && span_to_uint(value, UINT32_MAX, &number) == 0)
			*id = (uint32_t)number;
	return true;
}

static struct transfer_subscription *find(
	struct transfer *transfer, unsigned side, bool from_far, uint32_t id)
{
	for (size_t i = 0; transfer && i < TRANSFER_SUBSCRIPTIONS_MAX; i++) {
		struct transfer_subscription *one = &transfer->subscription[i];

		if (one->used && !one->over && one->side == side &&
			(from_far ? one->relayed : !one->closed) &&
			(!id || id == (from_far ? one->far_id : one->id)))
			return one;
	}
	return NULL;
}

bool transfer_notify_received(struct leg *leg, struct transaction *transaction, const struct message *notify)
{
	struct transfer_subscription *subscription;
	struct leg *outliving;
	uint32_t id;

	if (!is_refer_event(notify, &id))
		return false;
	subscription = find(leg->call->transfer, 1 - leg->side, true, id);
	outliving = subscription ? NULL : subscription_find_leg(leg->shard, message_scan(notify));
	if (subscription)
		transfer_relay_notify(leg, transaction, notify, subscription);
	else if (outliving)
		subscription_notify_received(outliving, transaction, notify);
	else
		transfer_refuse(transaction, 481);
	return true;
}

static void answer(struct leg *leg, struct transaction *transaction, unsigned status, struct span lines)
{
	char text[1024];
	struct writer out;

	writer_init(&out, text, sizeof(text));
	transaction_response_begin(
		transaction, status, span_from(sip_reason(status)), span_from(leg->local_tag), &out);
	leg_contact(leg, &out);
	writer_span(&out, lines);
	hide_product(leg->shard->config, false, &out);
	message_end(&out, nothing, nothing);
	if (out.overflow || transaction_respond(transaction, status, writer_result(&out)))
		transfer_refuse(transaction, 500);
}

void transfer_accept(struct leg *leg, struct transaction *transaction, bool quiet)
{
	answer(leg, transaction, 202, quiet ? SPAN("Refer-Sub: false\r\n") : nothing);
}

bool transfer_subscribe_received(
	struct leg *leg, struct transaction *transaction, const struct message *subscribe)
{
	struct transfer_subscription *subscription;
	struct leg *outliving;
	uint64_t seconds = TRANSFER_SUBSCRIPTION_SECONDS;
	struct span value;
	char text[128];
	struct writer lines;
	uint32_t id;

	if (!is_refer_event(subscribe, &id))
		return false;
	subscription = find(leg->call->transfer, leg->side, false, id);
	outliving = subscription ? NULL : subscription_find_leg(leg->shard, message_scan(subscribe));
	if (outliving) {
		subscription_received(outliving, transaction, subscribe);
		return true;
	}
	if (!subscription) {
		transfer_refuse(transaction, 481);
		return true;
	}
	if (message_header(subscribe, SPAN("Expires"), 0, &value) &&
		span_to_uint(span_trim(value), UINT32_MAX, &seconds)) {
		transfer_refuse(transaction, 400);
		return true;
	}
	if (seconds > TRANSFER_SUBSCRIPTION_SECONDS)
		seconds = TRANSFER_SUBSCRIPTION_SECONDS;
	writer_init(&lines, text, sizeof(text));
	writer_format(&lines, "Expires: %u\r\n", (unsigned)seconds);
	answer(leg, transaction, 200, writer_result(&lines));
	subscription->closed = seconds == 0;
	if (subscription->relayed) {
		writer_format(&lines, "Event: refer;id=%u\r\n", subscription->far_id);
		request_send(&leg->call->leg[1 - leg->side], SIP_METHOD_SUBSCRIBE, writer_result(&lines),
			nothing, nothing, NULL, NULL);
	} else {
		transfer_tell(subscription, subscription->status);
	}
	return true;
}

/* --- REFER ---------------------------------------------------------------------------------------------------------------- */

struct refer_target {
	struct name_addr address;
	struct sip_uri uri;
	struct dialog_name replaces; /* call_id empty: none */
	char plain[1024]; /* of it */
};

static bool invites(const struct sip_uri *uri)
{
	struct span rest = uri->parameters, name, value;

	while (hide_parameter_next(&rest, &name, &value))
		if (span_equal_case(name, SPAN("method")) && !span_equal(value, SPAN("INVITE")))
			return false;
	return true;
}

/* 0 or the status for a Refer-To that leads nowhere (RFC 3515 section 2.4.2, RFC 3261 section 8.2.2.1). */
static unsigned read_target(const struct message *refer, struct refer_target *out)
{
	struct span value, other;
	int error;

	if (!message_header(refer, SPAN("Refer-To"), 0, &value) ||
		message_header(refer, SPAN("Refer-To"), 1, &other) || name_addr_parse(value, &out->address) ||
		sip_uri_parse(out->address.uri, &out->uri))
		return 400;
	if (!span_equal_case(out->uri.scheme, SPAN("sip")) && !span_equal_case(out->uri.scheme, SPAN("tel")))
		return 416;
	if (!invites(&out->uri))
		return 603;
	error = dialog_name_of_uri(out->uri.headers, out->plain, sizeof(out->plain), &out->replaces);
	return error == -EINVAL ? 400 : 0;
}

/* 0 or the status for a REFER at the wrong time. */
static unsigned admit(const struct call *call, const struct leg *leg)
{
	const struct leg *other = &call->leg[1 - leg->side];

	if (call->state > CALL_ESTABLISHED || leg->gone || other->gone)
		return 481;
	/* Before the call is answered there is nobody to refer. */
	if (call->state != CALL_ESTABLISHED)
		return 500;
	return exchange_is_under_way(call) || transfer_is_moving(call) ||
			       (call->transfer && call->transfer->asking)
		       ? 491
		       : 0;
}

/* Who said in Allow that it knows REFER, or nothing at all, may be asked. */
static bool can_refer(const struct leg *leg)
{
	return leg->profile->transfer == CONFIG_RELAY &&
	       (!leg->peer_methods || leg_peer_allows(leg, SIP_METHOD_REFER));
}

/* The dialog to be replaced is not ready for it, but will be soon. */
static bool must_wait(
	const struct leg *leg, const struct refer_target *target, const struct foreign_dialog *foreign)
{
	const struct leg *named;
	bool turned;

	if (foreign || !target->replaces.call_id.n || target->replaces.early_only)
		return foreign && foreign->status == 491;
	named = dialog_find(leg->shard, leg->realm, &target->replaces, &turned);
	return named && named->call != leg->call && transfer_is_settling(named->call);
}

static void follow(struct leg *leg, struct transaction *transaction, const struct message *refer,
	const struct refer_target *target, const struct foreign_dialog *foreign)
{
	if (can_refer(&leg->call->leg[1 - leg->side]) &&
		transfer_relay(leg, transaction, refer, foreign) == 0)
		return;
	if (must_wait(leg, target, foreign) && transfer_wait(leg, transaction))
		return;
	transfer_carry(leg, transaction, refer, &target->address, &target->replaces, foreign);
}

/* The shard that has the dialog to be replaced, if that is another one; else -1. */
static int owner_of(const struct shard *shard, const struct dialog_name *name)
{
	int owner = name->call_id.n ? shard_of_dialog(name->to_tag, name->from_tag, shard->count) : -1;

	return owner == (int)shard->index ? -1 : owner;
}

static void take(struct leg *leg, struct transaction *transaction)
{
	const struct message *refer = transaction_message(transaction);
	struct refer_target target = { 0 };
	unsigned status = admit(leg->call, leg);
	int owner;

	if (!status)
		status = read_target(refer, &target);
	if (!status && message_body(refer).n)
		status = 415;
	if (status) {
		transfer_refuse(transaction, status);
		return;
	}
	owner = owner_of(leg->shard, &target.replaces);
	if (owner < 0)
		follow(leg, transaction, refer, &target, NULL);
	else if (transfer_ask(leg, transaction, refer, &target.replaces, (unsigned)owner))
		transfer_refuse(transaction, 500);
}

void transfer_received(struct leg *leg, struct transaction *transaction, const struct message *refer)
{
	(void)refer;
	if (leg->call->transfer && !leg->call->transfer->asking)
		leg->call->transfer->wait_until_ms = 0;
	take(leg, transaction);
}

void transfer_again(struct leg *leg)
{
	take(leg, transfer_release(leg->call->transfer));
}

void transfer_resume(struct leg *leg, const struct foreign_dialog *foreign)
{
	struct transaction *transaction = transfer_release(leg->call->transfer);
	const struct message *refer = transaction_message(transaction);
	struct refer_target target = { 0 };
	unsigned status;

	status = foreign ? admit(leg->call, leg) : 500;
	if (!status)
		status = read_target(refer, &target);
	if (status)
		transfer_refuse(transaction, status);
	else
		follow(leg, transaction, refer, &target, foreign);
}
