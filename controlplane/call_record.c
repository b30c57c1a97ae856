/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept of a call beyond itself: its record, as it is answered and as it has ended; one line in the log at its end, with the media counters
 * of both directions; and the state a restarted control plane needs, in the blob of the dataplane's session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_state.h"
#include "controlplane/record.h"
#include "controlplane/store_record.h"
#include "platforms/base/clock.h"

enum { NOTED_MAX = 96, NOBODY = -1 };

/* What of a call only its record wants. */
struct call_notes {
	uint64_t number; /* of the record */
	uint64_t ringing_ms; /* first 180..183; 0: none */
	unsigned callee_status; /* its last final response */
	int ended_by; /* enum cp_record_party, or NOBODY */
	const char *own_reason; /* static text; or NULL */
	char called[NOTED_MAX]; /* user of the request URI, as received */
	char reason[LEGS][NOTED_MAX]; /* Reason of what that side ended it with */
	char session_id[LEGS][36]; /* RFC 7989: the UUID of that side */
	unsigned said_change; /* media_changes when it was read */
	struct record_formats said[LEGS]; /* what was last written for a side */
};

/* A call that has ended and waits for the counters of its media. */
struct call_end {
	struct record_store *store; /* NULL: no record is kept */
	unsigned status;
	const char *cause;
	uint64_t duration_ms;
	enum log_level level;
	struct shard *shard;
	struct statistics_place place[LEGS];
	struct cp_call call; /* nothing is in it unless that level is logged */
	struct record_formats said[LEGS];
	struct record record;
};

/* --- notes -------------------------------------------------------------------------------------------------------------- */

void call_record_begin(struct call *call)
{
	if (!call->shard->shared.records)
		return;
	call->notes = calloc(1, sizeof(*call->notes));
	if (!call->notes)
		return;
	call->notes->number = record_store_number(call->shard->shared.records);
	call->notes->ended_by = NOBODY;
}

static void keep(char *out, size_t size, struct span text)
{
	size_t n = text.n < size ? text.n : size - 1;

	if (n)
		memcpy(out, text.p, n);
	out[n] = '\0';
}

/* Of RFC 7989 section 5 the first part: the UUID of who has written it. */
static void note_session_id(struct call *call, unsigned side, const struct message *message)
{
	struct span value, uuid;

	if (!message || !message_is_parsed(message) || call->notes->session_id[side][0] ||
		!message_header(message, SPAN("Session-ID"), 0, &value))
		return;
	uuid = span_trim(span_cut(&value, ';'));
	keep(call->notes->session_id[side], sizeof(call->notes->session_id[side]), uuid);
}

static void note_reason(struct call *call, unsigned side, const struct message *message)
{
	struct span value;

	if (message && message_is_parsed(message) && message_header(message, SPAN("Reason"), 0, &value))
		keep(call->notes->reason[side], sizeof(call->notes->reason[side]), span_trim(value));
}

void call_record_invited(struct call *call, const struct message *invite)
{
	struct sip_uri uri;

	if (!call->notes)
		return;
	if (message_request_uri(invite, &uri) == 0)
		keep(call->notes->called, sizeof(call->notes->called), uri.user);
	note_session_id(call, LEG_CALLER, invite);
	if (!session_id_is_nil(&call->session_id))
		session_id_print(&call->session_id, call->notes->session_id[LEG_CALLER]);
}

static void note_end(struct call *call, const struct call_event *event)
{
	struct call_notes *notes = call->notes;

	/* The first one counts; but before the answer somebody else may be asked after it. */
	if (notes->ended_by != NOBODY && (call->caller_answered || call->state >= CALL_CANCELLING))
		return;
	notes->own_reason = NULL;
	if (event->type == CALL_EVENT_BYE || event->type == CALL_EVENT_CANCEL ||
		event->type == CALL_EVENT_REJECT) {
		notes->ended_by = event->side == LEG_CALLER ? CP_RECORD_BY_CALLER : CP_RECORD_BY_CALLEE;
		note_reason(call, event->side, event->message);
	} else {
		notes->ended_by = CP_RECORD_BY_SBC;
		notes->own_reason = call_reason_q850(event);
	}
}

void call_record_note(struct call *call, const struct call_event *event)
{
	struct call_notes *notes = call->notes;

	switch (event->type) {
	case CALL_EVENT_PROVISIONAL:
		if (event->status >= 180 && !notes->ringing_ms)
			notes->ringing_ms = clock_now_ms();
		note_session_id(call, LEG_CALLED, event->message);
		break;
	case CALL_EVENT_ANSWER:
		notes->callee_status = event->status;
		notes->ended_by = call->state == CALL_CANCELLING ? notes->ended_by : NOBODY;
		note_session_id(call, LEG_CALLED, event->message);
		break;
	case CALL_EVENT_REJECT:
		notes->callee_status = event->status;
		note_session_id(call, LEG_CALLED, event->message);
		note_end(call, event);
		break;
	case CALL_EVENT_LEASE_FAILED:
	case CALL_EVENT_FAILED:
	case CALL_EVENT_CANCEL:
	case CALL_EVENT_NO_ACK:
	case CALL_EVENT_BYE:
	case CALL_EVENT_TIMER:
	case CALL_EVENT_BROKEN:
		note_end(call, event);
		break;
	default:
		break;
	}
}

/* --- the record ---------------------------------------------------------------------------------------------------------- */

static void fill_leg(struct record *record, const struct call *call, const struct leg *leg)
{
	unsigned first = leg->side * CP_RECORD_SIDE_TEXTS_COUNT;
	const struct call_notes *notes = call->notes;
	bool is_caller = leg->side == LEG_CALLER;
	const struct {
		enum cp_record_text column;
		const char *text;
	} rows[] = {
		{ CP_RECORD_TEXT_CALLER_TO, is_caller ? notes->called : leg->called },
		{ CP_RECORD_TEXT_CALLER_REALM, leg->realm ? leg->realm->name : NULL },
		{ CP_RECORD_TEXT_CALLER_AGENT, leg->agent ? leg->agent->name : NULL },
		{ CP_RECORD_TEXT_CALLER_CALL_ID, leg->call_id },
		{ CP_RECORD_TEXT_CALLER_SESSION_ID, notes->session_id[leg->side] },
		{ CP_RECORD_TEXT_CALLER_REASON, notes->reason[leg->side] },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].text && rows[i].text[0])
			record_text(record, (enum cp_record_text)(rows[i].column + first),
				span_from(rows[i].text));
	record_user(record, (enum cp_record_text)(CP_RECORD_TEXT_CALLER_FROM + first),
		span_from(is_caller ? leg->remote : leg->local));
	if (!leg->realm || !leg->flow.listener)
		return;
	record_address(
		record, (enum cp_record_text)(CP_RECORD_TEXT_CALLER_REMOTE + first), &leg->flow.remote);
	record_address(record, (enum cp_record_text)(CP_RECORD_TEXT_CALLER_LOCAL + first),
		listener_address(leg->flow.listener));
	record_text(record, (enum cp_record_text)(CP_RECORD_TEXT_CALLER_TRANSPORT + first),
		span_from(transport_via_name(listener_transport(leg->flow.listener))));
}

static void fill_times(struct record *record, const struct call *call, uint64_t answered_ms)
{
	uint64_t ringing = call->notes->ringing_ms ? call->notes->ringing_ms : answered_ms;

	record_number(record, CP_RECORD_STARTED, call->started_wall_ms);
	if (ringing)
		record_number(record, CP_RECORD_POST_DIAL_DELAY, ringing - call->started_ms);
	if (!answered_ms)
		return;
	record_number(record, CP_RECORD_SETUP, answered_ms - call->started_ms);
	/* By the clock that nobody sets. */
	record_number(record, CP_RECORD_ANSWERED, call->started_wall_ms + answered_ms - call->started_ms);
}

static void fill(struct record *record, const struct call *call, uint64_t answered_ms, unsigned status)
{
	const struct call_notes *notes = call->notes;

	record_init(record, notes->number);
	record_number(record, CP_RECORD_CALL, call->id);
	record_number(record, CP_RECORD_STATE, CP_RECORD_IS_OPEN);
	fill_times(record, call, answered_ms);
	if (status)
		record_number(record, CP_RECORD_STATUS, status);
	if (notes->callee_status)
		record_number(record, CP_RECORD_CALLEE_STATUS, notes->callee_status);
	if (media_session(call->media))
		record_number(record, CP_RECORD_MEDIA_SESSION, media_session(call->media));
	record_text(record, CP_RECORD_TEXT_POLICY, span_from(call->policy ? call->policy->name : NULL));
	for (unsigned side = 0; side < LEGS; side++)
		fill_leg(record, call, &call->leg[side]);
}

static void read_formats(const struct call *call, struct record_formats said[LEGS])
{
	for (unsigned side = 0; side < LEGS; side++)
		record_formats_read(&said[side], media_written(call->media, side));
}

/* Descriptions are read when they have changed. */
static const struct record_formats *formats_of(const struct call *call)
{
	struct call_notes *notes = call->notes;

	if (notes->said_change != media_changes(call->media)) {
		notes->said_change = media_changes(call->media);
		read_formats(call, notes->said);
	}
	return notes->said;
}

void call_record_answered(struct call *call)
{
	struct record record;

	if (!call->notes)
		return;
	fill(&record, call, clock_now_ms(), 200);
	record_media(&record, formats_of(call), NULL);
	record_store_put(call->shard->shared.records, &record);
	call_interim_wake(call->shard);
}

void call_record_interim(const struct call *call, const struct dp_session_info *info)
{
	struct record record;

	fill(&record, call, call->answered_ms, call->status);
	record_number(&record, CP_RECORD_DURATION, clock_now_ms() - call->answered_ms);
	record_media(&record, formats_of(call), info);
	record_store_put(call->shard->shared.records, &record);
}

/* A challenge is a step on the way of a call that comes again; and what strangers are refused is told by the counters and the guard: they would fill
 * the disk. */
static bool is_worth_keeping(const struct call *call, bool tried)
{
	const struct leg *caller = &call->leg[LEG_CALLER];

	return call->notes && call->status != 401 && call->status != 407 &&
	       (tried || caller->agent || caller->phone[0]);
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

struct direction_sum {
	uint64_t packets, lost, wrong_source;
	uint32_t jitter_us;
};

static struct direction_sum sum_direction(const struct dp_session_info *final, unsigned side)
{
	struct direction_sum sum = { 0 };

	for (unsigned i = 0; final && i < final->streams && i < DP_STREAMS_MAX; i++) {
		const struct dp_counters *from = &final->stream[i].from[side];

		sum.packets += from->packets;
		sum.lost += from->lost;
		sum.wrong_source += from->wrong_source;
		if (from->jitter_us > sum.jitter_us)
			sum.jitter_us = from->jitter_us;
	}
	return sum;
}

static void log_end(const struct call_end *end, const struct dp_session_info *final)
{
	struct direction_sum caller = sum_direction(final, LEG_CALLER),
			     callee = sum_direction(final, LEG_CALLED);
	const struct cp_call *call = &end->call;

	LOG_AT(end->level, "record", "call ended", LOG_UINT("call", call->call),
		LOG_UINT("status", end->status), LOG_TEXT("cause", end->cause ? end->cause : "unknown"),
		LOG_TEXT("policy", call->policy), LOG_TEXT("from", call->leg[0].user),
		LOG_TEXT("from-realm", call->leg[0].realm), LOG_TEXT("from-address", call->leg[0].remote),
		LOG_TEXT("to", call->leg[1].user), LOG_TEXT("to-realm", call->leg[1].realm),
		LOG_TEXT("to-address", call->leg[1].remote), LOG_UINT("setup-ms", call->setup_ms),
		LOG_UINT("duration-ms", end->duration_ms), LOG_UINT("session", call->session),
		LOG_UINT("caller-packets", caller.packets), LOG_UINT("caller-lost", caller.lost),
		LOG_UINT("caller-jitter-us", caller.jitter_us),
		LOG_UINT("caller-wrong-source", caller.wrong_source),
		LOG_UINT("callee-packets", callee.packets), LOG_UINT("callee-lost", callee.lost),
		LOG_UINT("callee-jitter-us", callee.jitter_us),
		LOG_UINT("callee-wrong-source", callee.wrong_source));
}

static void count_quality(const struct call_end *end)
{
	for (unsigned side = 0; side < LEGS; side++) {
		struct media_quality quality = record_quality(&end->record, side);

		statistics_quality(end->shard, end->place[side], &quality);
	}
}

static void on_media_closed(void *arg, const struct dp_session_info *final)
{
	struct call_end *end = arg;

	if (!end)
		return;
	if (end->level <= log_level_now)
		log_end(end, final);
	if (end->store || final)
		record_media(&end->record, end->said, final);
	if (end->store)
		record_store_put(end->store, &end->record);
	if (final)
		count_quality(end);
	free(end);
}

static void fill_end(struct call_end *end, const struct call *call)
{
	uint64_t now = clock_now_ms();

	fill(&end->record, call, call->answered_ms, call->status);
	record_number(&end->record, CP_RECORD_STATE, CP_RECORD_IS_ENDED);
	record_number(&end->record, CP_RECORD_ENDED, call->started_wall_ms + now - call->started_ms);
	record_number(&end->record, CP_RECORD_DURATION, end->duration_ms);
	if (call->notes->ended_by != NOBODY)
		record_number(&end->record, CP_RECORD_ENDED_BY, (uint64_t)call->notes->ended_by);
	record_text(&end->record, CP_RECORD_TEXT_CAUSE, span_from(call->cause));
	record_text(&end->record, CP_RECORD_TEXT_REASON, span_from(call->notes->own_reason));
}

void call_record_end(struct call *call)
{
	struct call_end *end = malloc(sizeof(*end));
	bool tried = call->leg[LEG_CALLED].local_cseq > 0; /* the callee was asked */
	struct media *media = call->media;

	if (end) {
		end->status = call->status;
		end->cause = call->cause;
		/* What never left this SBC is of interest only when somebody looks for it: scanners make thousands of those. */
		end->level = tried ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
		if (end->level <= log_level_now)
			call_fill(call, &end->call);
		end->duration_ms = call->answered_ms ? clock_now_ms() - call->answered_ms : 0;
		end->store = is_worth_keeping(call, tried) ? call->shard->shared.records : NULL;
		end->shard = call->shard;
		for (unsigned side = 0; side < LEGS; side++)
			end->place[side] = call->leg[side].statistics.place;
		if (end->store)
			fill_end(end, call);
		else
			record_init(&end->record, 0);
		if (call->notes)
			memcpy(end->said, formats_of(call), sizeof(end->said));
		else
			read_formats(call, end->said);
	}
	call_session_remove(call);
	call->media = NULL;
	media_close(media, on_media_closed, end);
}

/* --- the blob ----------------------------------------------------------------------------------------------------------- */

enum { BLOB_VERSION = 1 };

static void blob_number(struct writer *out, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		writer_char(out, (char)(value >> 8 * i & 0xff));
}

static void blob_text(struct writer *out, const char *text)
{
	struct span s = span_from(text);

	blob_number(out, s.n, 2);
	writer_span(out, s);
}

static void blob_address(struct writer *out, const union address *address)
{
	struct dp_address flat = { 0 };

	dp_address_from(&flat, address);
	writer_span(out, (struct span){ (const char *)&flat, sizeof(flat) });
}

static void blob_leg(struct writer *out, const struct leg *leg)
{
	blob_text(out, leg->realm->name);
	blob_text(out, leg->agent ? leg->agent->name : "");
	blob_address(out, listener_address(leg->flow.listener));
	blob_address(out, &leg->flow.remote);
	blob_address(out, &leg->next_hop);
	blob_text(out, leg->call_id);
	blob_text(out, leg->local_tag);
	blob_text(out, leg->remote_tag);
	blob_text(out, leg->local);
	blob_text(out, leg->remote);
	blob_text(out, leg->target);
	blob_text(out, leg->routes);
	blob_text(out, leg->contact_user);
	blob_number(out, leg->local_cseq, 4);
	blob_number(out, leg->remote_cseq, 4);
}

/* Version, call, policy, times, then both legs. Numbers little-endian, texts with 16 bits of length before them. */
void call_store(struct call *call)
{
	char blob[DP_BLOB_MAX];
	struct writer out;

	writer_init(&out, blob, sizeof(blob));
	blob_number(&out, BLOB_VERSION, 2);
	blob_number(&out, call->id, 8);
	blob_number(&out, call->started_wall_ms, 8);
	blob_number(&out, clock_wall_ms() - (clock_now_ms() - call->answered_ms), 8);
	blob_text(&out, call->policy ? call->policy->name : "");
	blob_leg(&out, &call->leg[LEG_CALLER]);
	blob_leg(&out, &call->leg[LEG_CALLED]);
	if (out.overflow)
		log_notice("call", "state too large to survive a restart", LOG_UINT("call", call->id));
	else
		media_store(call->media, blob, out.len);
}
