/* SPDX-License-Identifier: BSD-3-Clause */
/* SUBSCRIBE (RFC 6665 sections 4.1.2 and 4.2.1): the first one, refreshes, the end; and how long a subscription lasts. */
#include <errno.h>
#include <string.h>

#include "controlplane/core.h"
#include "controlplane/request_relay_internal.h"
#include "controlplane/subscription_internal.h"

static const struct span nothing = { NULL, 0 };

/* RFC 3842, 4235, 3856: an hour is what all of them say when nobody does. */
enum { EXPIRES_DEFAULT = 3600 };

/* --- Event -------------------------------------------------------------------------------------------------------------------- */

bool subscription_event(const struct message *message, struct span *package, struct span *id)
{
	struct span rest;

	*id = nothing;
	if (!message_header(message, SPAN("Event"), 0, &rest))
		return false;
	*package = span_trim(span_cut(&rest, ';'));
	while (rest.n) {
		struct span value = span_cut(&rest, ';');

		if (span_equal_case(span_trim(span_cut(&value, '=')), SPAN("id")))
			*id = span_trim(value);
	}
	return core_is_token(*package) && package->n < SUBSCRIPTION_PACKAGE_MAX &&
	       (id->n == 0 || (core_is_token(*id) && id->n < SUBSCRIPTION_ID_MAX));
}

void subscription_write_event(const struct subscription *subscription, const struct subscription_refer *refer,
	unsigned to, struct writer *out)
{
	writer_text(out, "Event: ");
	writer_text(out, subscription->package);
	if (refer) {
		writer_text(out, ";id=");
		writer_uint(out, to == LEG_CALLER ? refer->id : refer->far_id);
	} else if (to == LEG_CALLER && subscription->id[0]) {
		writer_text(out, ";id=");
		writer_text(out, subscription->id);
	}
	writer_text(out, "\r\n");
}

/* --- how long ----------------------------------------------------------------------------------------------------------------- */

static uint64_t timer_n_ms(const struct subscription *subscription)
{
	return 64 * (uint64_t)subscription->shard->config->sip.t1_ms;
}

static void tell_timeout(const struct subscription *subscription, const struct subscription_refer *refer)
{
	struct leg *subscriber = (struct leg *)&subscription->leg[LEG_CALLER];
	char text[256];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	subscription_write_event(subscription, refer, LEG_CALLER, &extra);
	writer_text(&extra, "Subscription-State: terminated;reason=timeout\r\n");
	/* A NOTIFY of a REFER has a status in any case, and this is what is known (RFC 3515 section 2.4.5). */
	request_send(subscriber, SIP_METHOD_NOTIFY, writer_result(&extra),
		refer ? SPAN("message/sipfrag;version=2.0") : nothing,
		refer ? SPAN("SIP/2.0 100 Trying\r\n") : nothing, NULL, NULL);
}

/* The notifier should have said so (RFC 6665 section 4.2.2). The subscriber is told in its place. */
static void expired(struct timer *timer, void *arg)
{
	struct subscription *subscription = arg;

	(void)timer;
	if (!subscription->over && subscription->is_refer)
		for (size_t i = 0; i < subscription->refer_count; i++)
			tell_timeout(subscription, &subscription->refers[i]);
	else if (!subscription->over && (subscription->answered || subscription->notified))
		tell_timeout(subscription, NULL);
	subscription_free(subscription);
}

void subscription_lasts(struct subscription *subscription, uint64_t seconds)
{
	/* The notifier's last word may be on its way, repeated. */
	timer_arm(subscription->shard->timers, &subscription->timer,
		1000 * seconds + timer_n_ms(subscription), expired, subscription);
}

static uint64_t expires_of(const struct message *message, uint64_t fallback, uint64_t most)
{
	struct span value;
	uint64_t seconds = fallback;

	if (message_header(message, SPAN("Expires"), 0, &value) &&
		span_to_uint(span_trim(value), UINT32_MAX, &seconds))
		seconds = fallback;
	return seconds < most ? seconds : most;
}

bool subscription_ends_with(unsigned status)
{
	switch (status) {
	case 404:
	case 405:
	case 410:
	case 416:
	case 489:
	case 501:
	case 604:
		return true;
	default:
		return status >= 480 && status <= 485;
	}
}

void subscription_settle(struct leg *from, unsigned status, void *arg)
{
	struct subscription *subscription = arg;

	(void)from;
	(void)status;
	/* A last NOTIFY may be through before the answer to the SUBSCRIBE it is due to. */
	if (subscription->over && !subscription->leg[LEG_CALLER].asking &&
		!subscription->leg[LEG_CALLED].asking)
		subscription_free(subscription);
}

/* --- SUBSCRIBE and what comes of it ------------------------------------------------------------------------------------------- */

/* 2xx. RFC 6665 section 4.1.2.4: the dialog may have been made by a NOTIFY that was faster, or is about to be by one of another branch.
 * False: the notifier cannot be reached by what it says. */
static bool take_success(struct subscription *subscription, const struct message *request,
	const struct message *response, struct writer *extra)
{
	struct leg *notifier = &subscription->leg[LEG_CALLED];
	uint64_t most = subscription->shard->config->sip.subscription_max_expires;
	uint64_t asked = expires_of(request, EXPIRES_DEFAULT, most);

	if (!notifier->remote_tag) {
		if (leg_take_response(notifier, response))
			return false;
	} else if (span_equal(span_from(notifier->remote_tag), message_scan(response)->to_tag)) {
		leg_refresh_target(notifier, response);
	}
	subscription->granted = expires_of(response, asked, asked);
	subscription->answered = true;
	writer_text(extra, "Expires: ");
	writer_uint(extra, subscription->granted);
	writer_text(extra, "\r\n");
	/* Without a first NOTIFY within Timer N there is no subscription (RFC 6665 section 4.1.2.4). */
	subscription_lasts(
		subscription, subscription->notified && !subscription->over ? subscription->granted : 0);
	return true;
}

static void subscribe_finishing(
	struct request_relay *relay, unsigned *status, const struct message *response, struct writer *extra)
{
	struct subscription *subscription = relay->to->subscription;

	subscription->asking = false;
	if (*status < 300 && response && relay->server) {
		if (!take_success(subscription, transaction_message(relay->server), response, extra)) {
			subscription->over = true;
			*status = 502;
		}
	} else if (!subscription->answered || (response && subscription_ends_with(*status))) {
		subscription->over = true;
	}
}

static unsigned ask(struct subscription *subscription, struct transaction *transaction,
	const struct message *subscribe, const struct subscription_refer *refer)
{
	const struct config_sip *sip = &subscription->shard->config->sip;
	struct request_content content = { .kind = HIDE_SUBSCRIBE };
	struct request_relay *relay = relay_new(subscription->shard, &subscription->leg[LEG_CALLER],
		&subscription->leg[LEG_CALLED], SIP_METHOD_SUBSCRIBE);
	char text[256];
	struct writer extra;
	int error;

	if (!relay)
		return 503;
	writer_init(&extra, text, sizeof(text));
	subscription_write_event(subscription, refer, LEG_CALLED, &extra);
	writer_text(&extra, "Expires: ");
	writer_uint(&extra, expires_of(subscribe, EXPIRES_DEFAULT, sip->subscription_max_expires));
	writer_text(&extra, "\r\n");
	content.extra = writer_result(&extra);
	error = relay_send(relay, subscribe, &content);
	if (error) {
		relay_free(relay);
		return error == -EMSGSIZE ? 513 : 503;
	}
	subscription->asking = true;
	relay_attach(relay, transaction);
	relay->finishing = subscribe_finishing;
	relay->done = subscription_settle;
	relay->arg = subscription;
	return 0;
}

static void keep_text(char *field, size_t size, struct span text)
{
	struct writer out;

	writer_init(&out, field, size - 1);
	writer_span(&out, text);
	field[out.len] = '\0';
}

/* 0 or the status it deserves. */
static unsigned begin(struct subscription *subscription, struct transaction *transaction,
	const struct message *subscribe, const struct config_session_agent *source)
{
	struct leg *subscriber = &subscription->leg[LEG_CALLER], *notifier = &subscription->leg[LEG_CALLED];
	unsigned status;

	subscriber->agent = source;
	if (leg_init_server(subscriber, subscription->shard, subscribe))
		return 400;
	status = request_route_leg(subscription->shard, subscribe, subscriber, notifier);
	if (status)
		return status;
	subscription_insert(subscription);
	return ask(subscription, transaction, subscribe, NULL);
}

void subscription_start(struct shard *shard, struct transaction *transaction, const struct message *subscribe,
	const struct config_session_agent *source)
{
	struct subscription *subscription;
	struct span package, id;
	unsigned status;

	if (!subscription_event(subscribe, &package, &id) ||
		!core_list_has(&shard->config->sip.event_packages, package)) {
		core_bad_event(transaction);
		return;
	}
	if (subscription_new(shard, &message_flow(subscribe)->remote, source != NULL, &subscription)) {
		shard_count(shard, SUBSCRIPTIONS_LIMIT);
		core_reply(transaction, 503, SPAN("Retry-After: 60\r\n"));
		return;
	}
	subscription->granted = shard->config->sip.subscription_max_expires;
	keep_text(subscription->package, sizeof(subscription->package), package);
	keep_text(subscription->id, sizeof(subscription->id), id);
	status = begin(subscription, transaction, subscribe, source);
	if (status) {
		core_reply(transaction, status, nothing);
		subscription_free(subscription);
		return;
	}
	shard_count(shard, SUBSCRIPTIONS);
}

void subscription_received(struct leg *leg, struct transaction *transaction, const struct message *subscribe)
{
	struct subscription *subscription = leg->subscription;
	const struct subscription_refer *refer;
	struct span package, id;
	unsigned status;
	bool known;

	if (!subscription_event(subscribe, &package, &id) ||
		!span_equal_case(package, span_from(subscription->package))) {
		core_bad_event(transaction);
		return;
	}
	refer = subscription->is_refer ? subscription_refer_find(subscription, LEG_CALLER, id) : NULL;
	/* One dialog has one subscription (RFC 6665 section 4.5.2), but for those of REFERs. */
	known = subscription->is_refer ? refer != NULL : span_equal(id, span_from(subscription->id));
	/* The notifier does not subscribe here. */
	if (leg->side != LEG_CALLER || subscription->over || !known) {
		core_reply(transaction, 481, nothing);
		return;
	}
	if (subscription->asking || !subscription->leg[LEG_CALLED].remote_tag) {
		core_reply(transaction, 500, SPAN("Retry-After: 1\r\n"));
		return;
	}
	leg_refresh_target(leg, subscribe);
	status = ask(subscription, transaction, subscribe, refer);
	if (status)
		core_reply(transaction, status, nothing);
}
