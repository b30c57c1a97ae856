/* SPDX-License-Identifier: BSD-3-Clause */
/* NOTIFY (RFC 6665 sections 4.1.3 and 4.2.2): from the notifier's dialog to the subscriber's, or making a dialog on both sides. */
#include <errno.h>
#include <string.h>

#include "controlplane/call_transfer.h"
#include "controlplane/core.h"
#include "controlplane/event_body.h"
#include "controlplane/request_relay_internal.h"
#include "controlplane/subscription_internal.h"

static const struct span nothing = { NULL, 0 };

/* --- Subscription-State ------------------------------------------------------------------------------------------------------- */

struct state {
	struct span name; /* "active", "pending", "terminated" */
	struct span reason;
	uint64_t expires, retry_after;
	bool has_expires, has_retry_after, terminated;
};

/* What RFC 6665 section 4.1.3 has, and no other word: it would be the other side's. */
static struct span known_word(struct span word, const char *const *words)
{
	for (; *words; words++)
		if (span_equal_case(word, span_from(*words)))
			return span_from(*words);
	return nothing;
}

/* False: it has none. An extension's state is as good as active. */
static bool state_take(const struct message *notify, struct state *out)
{
	static const char *const states[] = { "active", "pending", "terminated", NULL };
	static const char *const reasons[] = { "deactivated", "probation", "rejected", "timeout", "giveup",
		"noresource", "invariant", NULL };
	struct span rest;

	*out = (struct state){ 0 };
	if (!message_header(notify, SPAN("Subscription-State"), 0, &rest))
		return false;
	out->name = known_word(span_trim(span_cut(&rest, ';')), states);
	if (out->name.n == 0)
		out->name = SPAN("active");
	out->terminated = span_equal(out->name, SPAN("terminated"));
	while (rest.n) {
		struct span value = span_cut(&rest, ';');
		struct span name = span_trim(span_cut(&value, '='));

		value = span_trim(value);
		if (span_equal_case(name, SPAN("reason")))
			out->reason = known_word(value, reasons);
		else if (span_equal_case(name, SPAN("expires")))
			out->has_expires = span_to_uint(value, UINT32_MAX, &out->expires) == 0;
		else if (span_equal_case(name, SPAN("retry-after")))
			out->has_retry_after = span_to_uint(value, UINT32_MAX, &out->retry_after) == 0;
	}
	return true;
}

static void write_state(const struct state *state, struct writer *out)
{
	writer_text(out, "Subscription-State: ");
	writer_span(out, state->name);
	if (state->terminated && state->reason.n) {
		writer_text(out, ";reason=");
		writer_span(out, state->reason);
	}
	if (state->terminated && state->has_retry_after) {
		writer_text(out, ";retry-after=");
		writer_uint(out, state->retry_after);
	}
	if (!state->terminated && state->has_expires) {
		writer_text(out, ";expires=");
		writer_uint(out, state->expires);
	}
	writer_text(out, "\r\n");
}

/* --- forks -------------------------------------------------------------------------------------------------------------------- */

/* A branch of the SUBSCRIBE that this one sent: a dialog of its own on both sides. NULL: there are enough. */
static struct subscription *fork_new(struct subscription *first, const struct message *notify)
{
	struct leg *from = first->leg;
	struct subscription *fork;

	if (first->forks + 1 >= SUBSCRIPTION_FORKS_MAX ||
		subscription_new(first->shard, &from[LEG_CALLER].flow.remote, !first->source, &fork)) {
		shard_count(first->shard, SUBSCRIPTIONS_LIMIT);
		return NULL;
	}
	if (leg_early(&fork->leg[LEG_CALLER], &from[LEG_CALLER]) ||
		leg_early(&fork->leg[LEG_CALLED], &from[LEG_CALLED]) ||
		leg_take_request(&fork->leg[LEG_CALLED], notify)) {
		subscription_free(fork);
		return NULL;
	}
	for (unsigned side = 0; side < LEGS; side++)
		fork->leg[side].subscription = fork;
	shard_token(first->shard, fork->leg[LEG_CALLER].local_tag);
	memcpy(fork->package, first->package, sizeof(fork->package));
	memcpy(fork->id, first->id, sizeof(fork->id));
	fork->granted = first->granted;
	fork->is_fork = true;
	fork->answered = true;
	first->forks++;
	subscription_insert(fork);
	shard_count(first->shard, SUBSCRIPTIONS);
	return fork;
}

/* The subscription that a NOTIFY is of; NULL: it has been refused. */
static struct subscription *subscription_of(
	struct leg *leg, struct transaction *transaction, const struct message *notify)
{
	struct subscription *subscription = leg->subscription;
	struct span tag = message_scan(notify)->from_tag;

	if (leg->side != LEG_CALLED || subscription->over || tag.n == 0) {
		core_reply(transaction, 481, nothing);
		return NULL;
	}
	if (!leg->remote_tag) {
		if (leg_take_request(leg, notify) == 0)
			return subscription;
		core_reply(transaction, 400, nothing);
		return NULL;
	}
	if (!span_equal(span_from(leg->remote_tag), tag)) {
		subscription = fork_new(subscription, notify);
		if (!subscription)
			core_reply(transaction, 481, nothing);
		return subscription;
	}
	if (leg_accept_cseq(leg, notify)) {
		leg_refresh_target(leg, notify);
		return subscription;
	}
	core_reply(transaction, 500, nothing);
	return NULL;
}

/* --- passing it on ------------------------------------------------------------------------------------------------------------ */

static void notify_finishing(
	struct request_relay *relay, unsigned *status, const struct message *response, struct writer *extra)
{
	struct subscription *subscription = relay->to->subscription;

	(void)extra;
	/* A subscriber that cannot be reached has no subscription any more (RFC 6665 section 4.2.2). */
	if (!response)
		*status = 481;
	if (subscription_ends_with(*status))
		subscription->over = true;
}

/* What is not the package's, or cannot be made safe, does not cross; the state does. */
static void map_body(const struct event_sides *sides, struct subscription *subscription,
	const struct message *notify, struct request_content *content, struct writer *out)
{
	struct span package = span_from(subscription->package), type = event_body_type(package);

	if (message_body(notify).n == 0)
		return;
	if (subscription->is_refer) {
		if (transfer_write_fragment(notify, out)) {
			content->type = SPAN("message/sipfrag;version=2.0");
			content->body = writer_result(out);
		}
		return;
	}
	if (type.n && message_body_is(notify, type) &&
		event_body_map(sides, package, message_body(notify), out) == 0) {
		content->type = type;
		content->body = writer_result(out);
		return;
	}
	shard_count(subscription->shard, EVENT_BODIES_WITHHELD);
	log_debug("subscription", "body of an event does not cross",
		LOG_TEXT("package", subscription->package), LOG_SPAN("type", message_type(notify)));
}

void subscription_tells(struct subscription *subscription, struct request_relay *relay)
{
	relay->finishing = notify_finishing;
	relay->done = subscription_settle;
	relay->arg = subscription;
}

static unsigned pass_on(struct subscription *subscription, struct transaction *transaction,
	const struct event_sides *sides, const struct state *state, const struct subscription_refer *refer)
{
	const struct message *notify = transaction_message(transaction);
	struct request_content content = { .kind = HIDE_NOTIFY };
	char headers[256], text[CALL_MESSAGE_MAX];
	struct request_relay *relay;
	struct writer extra, body;
	int error;

	relay = relay_new(subscription->shard, &subscription->leg[LEG_CALLED], &subscription->leg[LEG_CALLER],
		SIP_METHOD_NOTIFY);
	if (!relay)
		return 503;
	writer_init(&extra, headers, sizeof(headers));
	writer_init(&body, text, sizeof(text));
	subscription_write_event(subscription, refer, LEG_CALLER, &extra);
	write_state(state, &extra);
	map_body(sides, subscription, notify, &content, &body);
	content.extra = writer_result(&extra);
	error = relay_send(relay, notify, &content);
	if (error) {
		relay_free(relay);
		return error == -EMSGSIZE ? 513 : 481;
	}
	relay_attach(relay, transaction);
	subscription_tells(subscription, relay);
	return 0;
}

/* 0, or the status for a body that is not what RFC 3515 has for it. */
static unsigned refer_status(const struct message *notify)
{
	char text[128];
	struct writer out;

	writer_init(&out, text, sizeof(text));
	return message_body(notify).n && !transfer_write_fragment(notify, &out) ? 415 : 0;
}

static bool admit(const struct subscription *subscription)
{
	const struct request_relay *relay = subscription->leg[LEG_CALLED].asking;
	unsigned under_way = 0;

	for (; relay; relay = relay->next_asking)
		under_way++;
	under_way += subscription_hold_count(subscription);
	return under_way < subscription->shard->config->sip.max_dialog_requests;
}

static void note(
	struct subscription *subscription, const struct state *state, struct subscription_refer *refer)
{
	uint64_t most = subscription->shard->config->sip.subscription_max_expires;

	if (refer && state->terminated && !subscription_refer_ends(subscription, refer))
		return;
	if (state->terminated)
		subscription_lasts(subscription, 0);
	else if (state->has_expires)
		subscription_lasts(subscription, state->expires < most ? state->expires : most);
	else if (!subscription->notified)
		subscription_lasts(subscription, subscription->granted);
	subscription->over = state->terminated;
	subscription->notified = true;
}

bool subscription_notify(struct subscription *subscription, struct transaction *transaction,
	const struct event_dialog *elsewhere, size_t count)
{
	const struct event_sides sides = { .shard = subscription->shard,
		.from = &subscription->leg[LEG_CALLED],
		.to = &subscription->leg[LEG_CALLER],
		.name = subscription->leg[LEG_CALLER].local,
		.elsewhere = elsewhere,
		.elsewhere_count = count };
	const struct message *notify = transaction_message(transaction);
	struct subscription_refer *refer = NULL;
	struct span package, id;
	struct state state;
	unsigned status = 0;
	bool gone;

	/* Both have been looked at. */
	state_take(notify, &state);
	subscription_event(notify, &package, &id);
	if (subscription->is_refer) {
		refer = subscription_refer_find(subscription, LEG_CALLED, id);
		status = refer ? refer_status(notify) : 481;
		if (status) {
			core_reply(transaction, status, nothing);
			return true;
		}
	}
	status = pass_on(subscription, transaction, &sides, &state, refer);
	if (!status) {
		note(subscription, &state, refer);
		return true;
	}
	core_reply(transaction, status, nothing);
	subscription->over = status == 481;
	gone = subscription->over && !subscription->leg[LEG_CALLER].asking &&
	       !subscription->leg[LEG_CALLED].asking;
	subscription_settle(NULL, status, subscription);
	return !gone;
}

void subscription_notify_received(
	struct leg *leg, struct transaction *transaction, const struct message *notify)
{
	struct subscription *subscription = leg->subscription;
	struct span package, id;
	struct state state;

	if (!subscription_event(notify, &package, &id) ||
		!span_equal_case(package, span_from(subscription->package))) {
		core_bad_event(transaction);
		return;
	}
	if (!state_take(notify, &state)) {
		core_reply(transaction, 400, nothing);
		return;
	}
	subscription = subscription_of(leg, transaction, notify);
	if (!subscription)
		return;
	if (!admit(subscription))
		core_reply(transaction, 500, SPAN("Retry-After: 1\r\n"));
	else if (!subscription_hold(subscription, transaction, notify))
		subscription_notify(subscription, transaction, NULL, 0);
}
