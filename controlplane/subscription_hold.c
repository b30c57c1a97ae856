/* SPDX-License-Identifier: BSD-3-Clause */
/* NOTIFYs that wait while other shards are asked for dialogs that their bodies name, and those behind them: the order stays. The question goes
 * from shard to shard by mailbox and comes home with the names; nothing of a shard is read by another. */
#include <stdlib.h>

#include "controlplane/core.h"
#include "controlplane/event_dialog.h"
#include "controlplane/subscription_internal.h"

struct question {
	unsigned home; /* the shard that asks */
	const struct config_realm *from, *to; /* of who notifies, of who watches */
	struct event_dialog subscription; /* its dialog with who notifies, to be found again */
	uint64_t serial;
	size_t count;
	struct event_dialog dialogs[EVENT_DIALOGS_MAX];
	struct writer text; /* of all spans */
	char buffer[];
};

struct subscription_held {
	struct subscription_held *next;
	struct subscription *subscription;
	struct transaction *transaction;
	uint64_t serial;
	bool ready;
	struct question *answer; /* NULL: nothing was asked, or nobody has answered */
	struct timer patience;
};

/* --- the queue -------------------------------------------------------------------------------------------------------------- */

static void unlink_held(struct subscription_held *held)
{
	struct subscription_held **at = &held->subscription->held;

	while (*at != held)
		at = &(*at)->next;
	*at = held->next;
	timer_cancel(&held->patience);
}

static void held_free(struct subscription_held *held)
{
	free(held->answer);
	free(held);
}

/* All that are ready, up to the first that is not. The subscription may be gone afterwards. */
static void deliver(struct subscription *subscription)
{
	bool there = true;

	while (there && subscription->held && subscription->held->ready) {
		struct subscription_held *held = subscription->held;

		unlink_held(held);
		transaction_attach(held->transaction, NULL, NULL);
		there = subscription_notify(subscription, held->transaction,
			held->answer ? held->answer->dialogs : NULL, held->answer ? held->answer->count : 0);
		held_free(held);
	}
}

static void on_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct subscription_held *held = arg;
	struct subscription *subscription = held->subscription;

	(void)transaction;
	unlink_held(held);
	held_free(held);
	if (how != TRANSACTION_SHUTDOWN)
		deliver(subscription);
}

void subscription_hold_end(struct subscription *subscription)
{
	while (subscription->held) {
		struct subscription_held *held = subscription->held;

		unlink_held(held);
		transaction_attach(held->transaction, NULL, NULL);
		core_reply(held->transaction, 481, (struct span){ NULL, 0 });
		held_free(held);
	}
}

unsigned subscription_hold_count(const struct subscription *subscription)
{
	unsigned count = 0;

	for (const struct subscription_held *held = subscription->held; held; held = held->next)
		count++;
	return count;
}

/* --- the question ----------------------------------------------------------------------------------------------------------- */

static struct span keep(struct question *question, struct span text)
{
	size_t start = question->text.len;

	writer_span(&question->text, text);
	return (struct span){ question->buffer + start, text.n };
}

static void keep_dialog(struct question *question, struct event_dialog *dialog)
{
	dialog->call_id = keep(question, dialog->call_id);
	dialog->local_tag = keep(question, dialog->local_tag);
	dialog->remote_tag = keep(question, dialog->remote_tag);
}

static size_t length_of(const struct event_dialog *dialog)
{
	return dialog->call_id.n + dialog->local_tag.n + dialog->remote_tag.n + EVENT_DIALOG_TEXT_MAX;
}

static struct question *question_new(
	const struct subscription *subscription, const struct event_dialog *dialogs, size_t count)
{
	const struct leg *notifier = &subscription->leg[LEG_CALLED];
	struct event_dialog own = { .call_id = span_from(notifier->call_id),
		.local_tag = span_from(notifier->local_tag),
		.remote_tag = span_from(notifier->remote_tag) };
	size_t length = length_of(&own);
	struct question *question;

	for (size_t i = 0; i < count; i++)
		length += length_of(&dialogs[i]);
	question = calloc(1, sizeof(*question) + length);
	if (!question)
		return NULL;
	writer_init(&question->text, question->buffer, length);
	question->home = subscription->shard->index;
	question->from = notifier->realm;
	question->to = subscription->leg[LEG_CALLER].realm;
	question->subscription = own;
	question->count = count;
	keep_dialog(question, &question->subscription);
	for (size_t i = 0; i < count; i++) {
		question->dialogs[i] = dialogs[i];
		keep_dialog(question, &question->dialogs[i]);
	}
	return question;
}

static void answered(struct shard *shard, void *arg)
{
	struct question *question = arg;
	const struct event_dialog *name = &question->subscription;
	struct scan request = { .method = SIP_METHOD_NOTIFY,
		.call_id = name->call_id,
		.to_tag = name->local_tag,
		.from_tag = name->remote_tag };
	struct leg *leg = shard->transactions ? subscription_find_leg(shard, &request) : NULL;
	struct subscription_held *held = leg ? leg->subscription->held : NULL;

	while (held && held->serial != question->serial)
		held = held->next;
	if (!held || held->ready) {
		free(question);
		return;
	}
	timer_cancel(&held->patience);
	held->answer = question;
	held->ready = true;
	deliver(leg->subscription);
}

static void asked(struct shard *shard, void *arg);

/* To the next shard that has some of the dialogs; home, when none has. */
static int pass_on(const struct shard *shard, struct question *question)
{
	unsigned next = question->home;

	for (size_t i = 0; i < question->count; i++)
		if (question->dialogs[i].owner != question->home) {
			next = question->dialogs[i].owner;
			break;
		}
	return shard_post(shard->all[next], next == question->home ? answered : asked, question);
}

static void asked(struct shard *shard, void *arg)
{
	struct question *question = arg;

	for (size_t i = 0; i < question->count; i++) {
		struct event_dialog *dialog = &question->dialogs[i];

		if (dialog->owner != shard->index)
			continue;
		if (shard->transactions)
			event_dialog_look_up(shard, question->from, question->to, dialog, &question->text);
		dialog->owner = question->home;
	}
	/* Lost to a full mailbox: who asks has a timer. */
	if (pass_on(shard, question) < 0)
		free(question);
}

/* --- holding ---------------------------------------------------------------------------------------------------------------- */

/* The body goes without those names then: they are a help, the state is what was asked for. */
static void no_answer(struct timer *timer, void *arg)
{
	struct subscription_held *held = arg;

	(void)timer;
	held->ready = true;
	deliver(held->subscription);
}

static bool ask(struct subscription_held *held, const struct event_dialog *dialogs, size_t count)
{
	struct subscription *subscription = held->subscription;
	struct question *question = question_new(subscription, dialogs, count);

	if (!question)
		return false;
	question->serial = held->serial;
	if (pass_on(subscription->shard, question)) {
		free(question);
		return false;
	}
	timer_arm(subscription->shard->timers, &held->patience, subscription->shard->config->sip.t2_ms,
		no_answer, held);
	return true;
}

bool subscription_hold(
	struct subscription *subscription, struct transaction *transaction, const struct message *notify)
{
	static const struct transaction_events events = { .ended = on_ended };
	struct event_dialog dialogs[EVENT_DIALOGS_MAX];
	struct subscription_held *held, **end = &subscription->held;
	size_t count = 0;

	if (span_equal_case(span_from(subscription->package), SPAN("dialog")))
		count = event_dialogs_elsewhere(subscription->shard, message_body(notify), dialogs);
	if (!count && !subscription->held)
		return false;
	held = calloc(1, sizeof(*held));
	if (!held)
		return false;
	held->subscription = subscription;
	held->transaction = transaction;
	held->serial = ++subscription->serial;
	held->ready = !count || !ask(held, dialogs, count);
	/* Nobody has to be asked, or can be: it waits only behind others. */
	if (held->ready && !subscription->held) {
		free(held);
		return false;
	}
	while (*end)
		end = &(*end)->next;
	*end = held;
	transaction_attach(transaction, &events, held);
	return true;
}
