/* SPDX-License-Identifier: BSD-3-Clause */
/* `transfer = terminate`: the REFER is carried out here. A new call is made of the remaining party and the target; the new party is asked
 * for an offer, the remaining one gets it in a re-INVITE of its dialog (RFC 3725 section 4.1), so that nothing changes for anybody until
 * both have agreed. docs/decisions/0053-transfer.md has the flow. */
#include <errno.h>
#include <stdlib.h>

#include "controlplane/agent.h"
#include "controlplane/call_attempt.h"
#include "controlplane/call_exchange.h"
#include "controlplane/call_session_timer.h"
#include "controlplane/call_transfer_internal.h"
#include "controlplane/credentials.h"
#include "controlplane/hide.h"
#include "controlplane/transport_internal.h"

enum { ATTEMPTS_MAX = 8 }; /* 491 so often is no glare */

static const struct span nothing = { NULL, 0 };

/* --- as if the remaining party had called --------------------------------------------------------------------------------- */

static void write_target(const struct sip_uri *uri, const struct leg *leg, struct writer *out)
{
	char host[ADDRESS_TEXT_MAX];
	struct span user = hide_user(uri);

	address_print_uri(listener_address(leg->flow.listener), host);
	writer_text(out, "sip:");
	writer_span(out, user);
	writer_text(out, user.n ? "@" : "");
	writer_text(out, host);
}

/* The INVITE that the remaining party would have sent: routed and hidden like one. NULL: it cannot be written. */
static struct message *write_invite(
	const struct leg *leg, const struct message *refer, const struct name_addr *target)
{
	char text[8192], branch[TRANSACTION_BRANCH_MAX];
	struct message *invite = NULL;
	struct sip_uri uri;
	struct writer out;
	struct scan scan;
	struct span value;
	unsigned status;

	if (sip_uri_parse(target->uri, &uri))
		return NULL;
	writer_init(&out, text, sizeof(text));
	writer_text(&out, "INVITE ");
	write_target(&uri, leg, &out);
	writer_text(&out, " SIP/2.0\r\nVia: SIP/2.0/");
	writer_text(&out, transport_via_name(listener_transport(leg->flow.listener)));
	writer_text(&out, " 0.0.0.0;branch=");
	writer_text(&out, transaction_branch(leg->shard, branch));
	writer_format(&out, "\r\nMax-Forwards: %u\r\nFrom: %s;tag=%s\r\nTo: <", CALL_MAX_FORWARDS,
		leg->remote, leg->local_tag);
	write_target(&uri, leg, &out);
	writer_format(&out, ">\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\n", leg->local_tag);
	if (message_header(refer, SPAN("Referred-By"), 0, &value)) {
		writer_text(&out, "Referred-By: ");
		writer_span(&out, value);
		writer_text(&out, "\r\n");
	}
	writer_text(&out, "Content-Length: 0\r\n\r\n");
	if (out.overflow ||
		scan_message(&scan, writer_result(&out), true, &leg->shard->config->sip) != SCAN_OK ||
		message_parse(&scan, writer_result(&out), &leg->flow, &invite, &status))
		return NULL;
	return invite;
}

const struct message *transfer_invite(const struct call *call)
{
	return call->carry->invite;
}

const struct message *transfer_source(const struct call *call)
{
	const struct carry *carry = call->carry;

	return carry->from[LEG_CALLED] || carry->replaces ? NULL : carry->invite;
}

const struct config_realm *transfer_realm(const struct call *call)
{
	return call->carry->realm;
}

const struct leg *transfer_referrer(const struct call *call)
{
	const struct carry *carry = call->carry;

	return &carry->from[LEG_CALLER]->leg[1 - carry->from_side[LEG_CALLER]];
}

static void set_party(struct call *made, unsigned side, const struct leg *leg)
{
	struct media_party party = call_party(leg);

	media_set_party(made->media, side, &party);
}

/* --- making the call ------------------------------------------------------------------------------------------------------ */

int transfer_shadow(struct call *made, unsigned side, struct leg *leg)
{
	struct transfer *transfer = transfer_of(leg->call);
	struct leg *shadow = &made->leg[side];
	int error;

	if (!made->carry)
		made->carry = calloc(1, sizeof(*made->carry));
	if (!transfer || !made->carry)
		return -ENOMEM;
	error = leg_early(shadow, leg);
	shadow->call = made;
	shadow->side = side;
	shadow->remote_cseq = leg->remote_cseq;
	shadow->gone = true; /* no BYE is due by it */
	shadow->session_ids = (struct session_ids){ 0 }; /* whom we spoke for is not there any more */
	if (error)
		return error;
	transfer->made = made;
	transfer->moving = leg->side;
	made->carry->from[side] = leg->call;
	made->carry->from_side[side] = leg->side;
	set_party(made, side, shadow);
	/* The remaining party's follow when it is asked (send_offer): it may have to wait for an exchange in its call. */
	if (side == LEG_CALLED)
		media_follow(made->media, side, leg->call->media, leg->side);
	return 0;
}

/* The target's leg: 0 or the status that the transfer has come to. */
static unsigned make_target(
	struct call *made, const struct leg *referrer, const struct leg *remaining, const char **cause)
{
	struct leg *caller = &made->leg[LEG_CALLER], *callee = &made->leg[LEG_CALLED];
	const struct config_realm *realm = caller->realm;
	unsigned status;
	struct sip_uri uri;
	struct name_addr address;

	/* A number means what it means on the side that has named it. */
	made->carry->realm = referrer->realm;
	caller->realm = referrer->realm;
	status = attempt_first(made, made->carry->invite, cause);
	caller->realm = realm;
	if (status)
		return status;
	*cause = "transfer to the transferred";
	if (name_addr_parse(span_from(remaining->remote), &address) == 0 &&
		sip_uri_parse(address.uri, &uri) == 0 && callee->agent == remaining->agent &&
		span_equal(hide_user(&uri), span_from(callee->called)))
		return 482;
	call_tag_insert(&made->tag[LEG_CALLED], callee, callee->local_tag);
	set_party(made, LEG_CALLED, callee);
	return 0;
}

/* The other party of the call that Replaces names. */
static unsigned take_other(struct call *made, struct leg *leg, const struct dialog_name *replaces,
	struct leg *remaining, const char **cause)
{
	bool turned;
	struct leg *named = dialog_find(leg->shard, leg->realm, replaces, &turned), *other;

	*cause = "no such dialog to replace";
	if (!named || named->call->state != CALL_ESTABLISHED || replaces->early_only)
		return 481;
	other = &named->call->leg[1 - named->side];
	if (named->call == remaining->call)
		return 482;
	if (other->gone)
		return 481;
	if (exchange_is_under_way(named->call) || transfer_is_moving(named->call))
		return 491;
	return transfer_shadow(made, LEG_CALLED, other) ? 500 : 0;
}

static char *write_replaces(const struct dialog_name *name)
{
	char text[2048];
	struct writer out;

	writer_init(&out, text, sizeof(text));
	writer_text(&out, "Require: replaces\r\nReplaces: ");
	writer_span(&out, name->call_id);
	writer_text(&out, ";to-tag=");
	writer_span(&out, name->to_tag);
	writer_text(&out, ";from-tag=");
	writer_span(&out, name->from_tag);
	writer_text(&out, "\r\n");
	return out.overflow ? NULL : span_dup(writer_result(&out));
}

void transfer_write_replaces(const struct call *call, struct writer *out)
{
	if (call->carry->replaces)
		writer_text(out, call->carry->replaces);
}

/* The other party of a call that another shard has. Its leg stays there: a shard never touches what is another's. It is asked to replace
 * that dialog itself (RFC 3891), by name. */
static unsigned ask_foreign(struct call *made, const struct foreign_dialog *foreign, const char **cause)
{
	struct leg *callee = &made->leg[LEG_CALLED];
	struct sip_flow flow = { .listener = transport_listener(made->shard, foreign->listener),
		.remote = foreign->remote,
		.connection = foreign->connection };
	struct name_addr from, to;

	*cause = "no such dialog to replace";
	if (foreign->status)
		return foreign->status;
	*cause = "the other party does not know Replaces";
	if (!foreign->knows_replaces || !flow.listener)
		return 481;
	made->carry->replaces = write_replaces(&foreign->name);
	*cause = "cannot write the callee's leg";
	if (!made->carry->replaces || message_from(made->carry->invite, &from) ||
		message_to(made->carry->invite, &to))
		return 500;
	callee->agent = foreign->agent;
	callee->privacy = made->leg[LEG_CALLER].privacy;
	if (agent_take(callee, true))
		return 503;
	if (leg_init_client(callee, made->shard, &flow, foreign->user, &from, &to) ||
		leg_aim(callee, foreign->target))
		return 500;
	call_tag_insert(&made->tag[LEG_CALLED], callee, callee->local_tag);
	set_party(made, LEG_CALLED, callee);
	return 0;
}

/* The parties of the new call. 0 or the status that the transfer has come to. */
static unsigned make_parties(struct call *made, struct leg *leg, const struct message *refer,
	const struct name_addr *target, const struct dialog_name *replaces,
	const struct foreign_dialog *foreign, const char **cause)
{
	struct leg *remaining = &leg->call->leg[1 - leg->side], *shadow = &made->leg[LEG_CALLER];

	*cause = "no memory";
	if (transfer_shadow(made, LEG_CALLER, remaining))
		return 500;
	/* Nobody is there to acknowledge a reliable response: the target is not told that it may send one. */
	shadow->peer_options &= ~(1U << SIP_OPTION_100REL);
	shadow->privacy = remaining->side == LEG_CALLER ? remaining->privacy : 0;
	*cause = "unusable Refer-To";
	made->carry->invite = write_invite(remaining, refer, target);
	if (!made->carry->invite)
		return 400;
	made->offerless = true;
	if (foreign)
		return ask_foreign(made, foreign, cause);
	return replaces->call_id.n ? take_other(made, leg, replaces, remaining, cause)
				   : make_target(made, leg, remaining, cause);
}

void transfer_carry(struct leg *leg, struct transaction *transaction, const struct message *refer,
	const struct name_addr *target, const struct dialog_name *replaces,
	const struct foreign_dialog *foreign)
{
	struct span value;
	bool quiet = message_header(refer, SPAN("Refer-Sub"), 0, &value) &&
		     span_equal_case(span_trim(span_cut(&value, ';')), SPAN("false"));
	struct transfer *transfer = transfer_of(leg->call);
	struct transfer_subscription *told;
	struct call *made = NULL;
	const char *cause = NULL;
	unsigned status;

	told = transfer ? transfer_subscribe(transfer, leg, message_scan(refer)->cseq_number) : NULL;
	if (!told || call_new(leg->shard, &made)) {
		if (told)
			told->used = false;
		transfer_refuse(transaction, 503);
		return;
	}
	told->quiet = quiet;
	transfer_accept(leg, transaction, quiet);
	transfer_tell(told, 100);
	shard_count(leg->shard, CALLS);
	status = make_parties(made, leg, refer, target, replaces, foreign, &cause);
	if (made->carry)
		made->carry->told = told;
	else
		transfer_tell(told, status);
	if (!status && !dp_client_is_up(leg->shard->dataplane)) {
		status = 503;
		cause = "no dataplane";
	}
	if (status)
		call_happens(
			made, &(struct call_event){
				      .type = CALL_EVENT_LEASE_FAILED, .status = status, .cause = cause });
	else
		call_happens(made, &(struct call_event){ .type = CALL_EVENT_LEASED });
}

bool transfer_progress(struct call *call, const struct call_event *event)
{
	struct carry *carry = call->carry;

	if (!carry->invite && !carry->from[LEG_CALLED])
		return false;
	call_timer_arm(call, call->shard->config->sip.timer_c_ms);
	if (event->status == 180)
		call->ringing = true;
	if (carry->told && carry->told->status != event->status)
		transfer_tell(carry->told, event->status);
	return true;
}

/* --- the remaining party -------------------------------------------------------------------------------------------------- */

static void ask_again(struct timer *timer, void *arg)
{
	(void)timer;
	transfer_offer(arg);
}

static bool wait_for_turn(struct call *call, uint32_t delay_ms)
{
	if (++call->carry->attempts > ATTEMPTS_MAX)
		return false;
	timer_arm(call->shard->timers, &call->carry->timer, delay_ms, ask_again, call);
	return true;
}

static void fail(struct call *call, unsigned status, const char *cause)
{
	bool waits = call->state == CALL_ANSWERED;

	call_happens(call, &(struct call_event){ .type = waits ? CALL_EVENT_FAILED : CALL_EVENT_NO_ACK,
				   .side = LEG_CALLER,
				   .status = status,
				   .cause = cause });
}

static void on_response(void *arg, struct transaction *transaction, const struct message *response)
{
	struct leg *leg = arg;
	struct call *call = leg->call;
	unsigned status = message_scan(response)->status;

	if (status < 200)
		return;
	if (status < 300) {
		/* A further branch of a re-INVITE cannot be. */
		if (call->carry->joined)
			return;
		call->carry->accepted = true;
		leg_refresh_target(leg, response);
		session_timer_take_response(leg, response);
		invite_ack(leg, transaction, message_scan(response)->to_tag, nothing);
		call_happens(call, &(struct call_event){
					   .type = CALL_EVENT_ACK, .side = LEG_CALLER, .message = response });
	} else if (status == 491) {
		if (!wait_for_turn(call, exchange_glare_delay_ms(leg)))
			fail(call, 491, "glare with the remaining party");
	} else if (message_is_parsed(response) &&
		   (credentials_take(leg, response) ||
			   (status == 422 && session_timer_retry(leg, response)))) {
		if (!wait_for_turn(call, 1))
			fail(call, hide_status(status), "remaining party refuses our credentials");
	} else {
		fail(call, hide_status(status), "remaining party refused");
	}
}

static void on_ended(void *arg, struct transaction *transaction, enum transaction_end how)
{
	struct leg *leg = arg;

	(void)transaction;
	leg->client_invite = NULL;
	if (!leg->call->carry->joined && (how == TRANSACTION_TIMEOUT || how == TRANSACTION_TRANSPORT_ERROR))
		fail(leg->call, how == TRANSACTION_TIMEOUT ? 408 : 503, "no response of the remaining party");
}

static const struct transaction_events remaining_events = { .response = on_response, .ended = on_ended };

static int send_offer(struct call *call)
{
	struct carry *carry = call->carry;
	struct leg *leg = &call->leg[LEG_CALLER];
	struct call *from = carry->from[LEG_CALLER];
	char text[CALL_MESSAGE_MAX];
	struct writer body;
	int error;

	writer_init(&body, text, sizeof(text));
	if (!carry->asked)
		media_follow(call->media, LEG_CALLER, from->media, carry->from_side[LEG_CALLER]);
	carry->asked = true;
	error = media_write(call->media, LEG_CALLER, (struct span){ call->offer, call->offer_length }, &body);
	if (error)
		return error;
	if (leg->client_invite)
		transaction_detach(leg->client_invite);
	leg->client_invite = NULL;
	transfer_number(call, LEG_CALLER);
	return invite_request(leg, NULL, CALL_MAX_FORWARDS, writer_result(&body), &remaining_events);
}

bool transfer_offer(struct call *call)
{
	struct carry *carry = call->carry;

	if (!carry->invite)
		return false;
	if (!carry->from[LEG_CALLER])
		fail(call, 480, "remaining party hung up");
	else if (exchange_is_under_way(carry->from[LEG_CALLER]) &&
		 wait_for_turn(call, call->shard->config->sip.t1_ms))
		return true;
	else if (send_offer(call))
		fail(call, 500, "the remaining party cannot be asked");
	return true;
}
