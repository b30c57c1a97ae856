/* SPDX-License-Identifier: BSD-3-Clause */
/* Session timers (RFC 4028) of one leg: what is asked, agreed, refreshed and in the end given up. Nothing of it crosses to the other
 * leg, which has its own. */
#include "controlplane/call_session_timer.h"

#include "controlplane/call_exchange.h"
#include "controlplane/credentials.h"

enum {
	SESSION_MAX_S = 86400, /* what a peer may ask for; also keeps milliseconds in 32 bits */
	SESSION_MIN_S = 90, /* RFC 4028 section 5: what is meant without Min-SE */
	SESSION_RETRIES_MAX = 3, /* after 422 */
};

bool session_timer_is_on(const struct leg *leg)
{
	return leg->profile->session_timer_mode != CONFIG_SESSION_TIMER_OFF;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t lowest(const struct leg *leg)
{
	return larger(leg->session.floor, leg->shard->config->sip.min_session_timer);
}

static uint32_t own_interval(const struct leg *leg)
{
	return larger(leg->profile->session_timer, lowest(leg));
}

/* "1800;refresher=uas", "90". False if there is no such header, or no number in it. */
static bool read_seconds(
	const struct message *message, struct span name, uint32_t *seconds, enum session_refresher *refresher)
{
	struct span value, rest;
	uint64_t number;

	if (!message_header(message, name, 0, &value))
		return false;
	rest = value;
	if (span_to_uint(span_trim(span_cut(&rest, ';')), UINT32_MAX, &number))
		return false;
	*seconds = number > SESSION_MAX_S ? SESSION_MAX_S : (uint32_t)number;
	while (refresher && rest.n) {
		struct span parameter = span_cut(&rest, ';');
		struct span key = span_trim(span_cut(&parameter, '='));

		if (!span_equal_case(key, SPAN("refresher")))
			continue;
		if (span_equal_case(span_trim(parameter), SPAN("uac")))
			*refresher = SESSION_UAC;
		else if (span_equal_case(span_trim(parameter), SPAN("uas")))
			*refresher = SESSION_UAS;
	}
	return true;
}

static void write_seconds(const char *name, uint32_t seconds, const char *parameter, struct writer *out)
{
	writer_text(out, name);
	writer_uint(out, seconds);
	writer_text(out, parameter);
	writer_text(out, "\r\n");
}

/* --- the timer ---------------------------------------------------------------------------------------------------------- */

static void on_timer(struct timer *timer, void *arg);

/* The next `delay_ms` of what is left. */
static void wait(struct leg *leg, uint32_t delay_ms)
{
	struct leg_session *session = &leg->session;

	if (delay_ms > session->left_ms)
		delay_ms = session->left_ms;
	session->left_ms -= delay_ms;
	timer_arm(leg->shard->timers, &session->timer, delay_ms, on_timer, leg);
}

/* RFC 4028 section 10: refreshed at half of the interval; given up a third of it, at most 32 s, before its end. */
static void begin(struct leg *leg, uint32_t interval, bool is_mine)
{
	struct leg_session *session = &leg->session;
	uint32_t total = interval * 1000, margin = total / 3 < 32000 ? total / 3 : 32000;

	session->interval = interval;
	session->is_mine = is_mine;
	session->retries = 0;
	session->refreshing = false;
	session->left_ms = total - margin;
	wait(leg, is_mine ? total / 2 : session->left_ms);
}

static void expire(struct leg *leg)
{
	session_timer_stop(leg);
	call_happens(leg->call, &(struct call_event){ .type = CALL_EVENT_BROKEN,
					.side = leg->side,
					.status = 408,
					.cause = "session expired" });
}

static void on_refreshed(struct leg *leg, unsigned status, const struct message *response)
{
	struct leg_session *session = &leg->session;

	session->refreshing = false;
	if (status < 300)
		session_timer_take_response(leg, response);
	else if (status == 408 || status == 481) {
		leg->gone = leg->gone || status == 481;
		expire(leg);
	} else if ((status == 401 || status == 407) && response && credentials_take(leg, response))
		wait(leg, 0);
	else if (!session->supported)
		begin(leg, session->interval, true); /* it knows no timers, but it is there */
	else if (status == 422 && response && session_timer_retry(leg, response))
		wait(leg, 0);
	else
		wait(leg, status == 491 ? exchange_glare_delay_ms(leg) : leg->shard->config->sip.timer_b_ms);
}

static void on_timer(struct timer *timer, void *arg)
{
	struct leg *leg = arg;
	const struct config_sip *sip = &leg->shard->config->sip;
	struct leg_session *session = &leg->session;
	uint32_t step = session->left_ms / 4;

	(void)timer;
	if (leg->call->state > CALL_ESTABLISHED)
		return;
	if (session->left_ms == 0) {
		expire(leg);
		return;
	}
	/* While it is under way, or cannot be yet, time goes on in steps. */
	wait(leg, larger(sip->t1_ms, step < sip->t2_ms ? step : sip->t2_ms));
	if (session->is_mine && !session->refreshing)
		session->refreshing = exchange_refresh(leg, on_refreshed) == 0;
}

/* --- headers ------------------------------------------------------------------------------------------------------------ */

void session_timer_write_request(struct leg *leg, struct writer *out)
{
	const struct leg_session *session = &leg->session;
	uint32_t interval = larger(session->interval, session->interval ? lowest(leg) : own_interval(leg));

	/* In an early dialog nothing is agreed yet: INVITE and its 2xx do that. */
	if (!session_timer_is_on(leg) || (leg->remote_tag && !session->interval))
		return;
	if (leg->profile->session_timer_mode == CONFIG_SESSION_TIMER_REQUIRE)
		writer_text(out, "Require: timer\r\n");
	write_seconds("Session-Expires: ", interval,
		!session->interval ? ""
		: session->is_mine ? ";refresher=uac"
				   : ";refresher=uas",
		out);
	if (session->floor || lowest(leg) > SESSION_MIN_S)
		write_seconds("Min-SE: ", lowest(leg), "", out);
}

void session_timer_write_refusal(const struct leg *leg, unsigned status, struct writer *out)
{
	if (status == 421)
		writer_text(out, "Require: timer\r\n");
	else if (status == 422)
		write_seconds("Min-SE: ", lowest(leg), "", out);
}

unsigned session_timer_take_request(struct leg *leg, const struct message *request)
{
	struct leg_session *session = &leg->session;
	uint32_t floor;

	session->asked = 0;
	session->asked_refresher = SESSION_ANYBODY;
	if (!session_timer_is_on(leg))
		return 0;
	session->supported = message_has_token(request, SPAN("Supported"), SPAN("timer")) ||
			     message_has_token(request, SPAN("Require"), SPAN("timer"));
	if (!session->supported && !session->interval &&
		leg->profile->session_timer_mode == CONFIG_SESSION_TIMER_REQUIRE)
		return 421;
	if (read_seconds(request, SPAN("Min-SE"), &floor, NULL))
		session->floor = larger(session->floor, floor);
	if (!read_seconds(request, SPAN("Session-Expires"), &session->asked, &session->asked_refresher))
		return 0;
	if (session->asked >= leg->shard->config->sip.min_session_timer)
		return 0;
	if (session->supported)
		return 422;
	/* 422 would mean nothing to it. */
	session->asked = lowest(leg);
	return 0;
}

/* RFC 4028 section 9. */
void session_timer_write_response(struct leg *leg, struct writer *out)
{
	const struct leg_session *session = &leg->session;
	uint32_t interval = own_interval(leg);
	bool is_mine;

	if (!session_timer_is_on(leg))
		return;
	if (session->asked && session->asked < interval)
		interval = larger(session->asked, lowest(leg));
	is_mine = !session->supported || session->asked_refresher == SESSION_UAS ||
		  (session->asked_refresher == SESSION_ANYBODY && !session->asked);
	if (session->supported || session->asked)
		write_seconds(
			"Session-Expires: ", interval, is_mine ? ";refresher=uas" : ";refresher=uac", out);
	if (!is_mine)
		writer_text(out, "Require: timer\r\n");
	begin(leg, interval, is_mine);
}

/* --- responses ---------------------------------------------------------------------------------------------------------- */

void session_timer_take_response(struct leg *leg, const struct message *response)
{
	struct leg_session *session = &leg->session;
	enum session_refresher refresher = SESSION_UAC;
	uint32_t interval;

	if (!session_timer_is_on(leg))
		return;
	session->supported = read_seconds(response, SPAN("Session-Expires"), &interval, &refresher);
	if (session->supported)
		interval = larger(interval, lowest(leg));
	else
		interval = session->interval ? session->interval : own_interval(leg);
	begin(leg, interval, refresher == SESSION_UAC);
}

bool session_timer_retry(struct leg *leg, const struct message *response)
{
	struct leg_session *session = &leg->session;
	uint32_t floor;

	if (!session_timer_is_on(leg) || session->retries == SESSION_RETRIES_MAX ||
		!read_seconds(response, SPAN("Min-SE"), &floor, NULL) || floor <= lowest(leg))
		return false;
	session->retries++;
	session->floor = floor;
	return true;
}

void session_timer_stop(struct leg *leg)
{
	timer_cancel(&leg->session.timer);
	leg->session.interval = 0;
}
