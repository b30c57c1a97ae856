/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept of a call beyond itself: one line in the log at its end, with the media counters of both directions; and the
 * state a restarted control plane needs, in the blob of the dataplane's session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_state.h"
#include "platforms/base/clock.h"

struct call_record {
	struct cp_call call;
	unsigned status;
	const char *cause;
	uint64_t duration_ms;
	bool tried; /* the callee was asked */
};

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

static void write_record(const struct call_record *record, const struct dp_session_info *final)
{
	struct direction_sum caller = sum_direction(final, LEG_CALLER),
			     callee = sum_direction(final, LEG_CALLED);
	const struct cp_call *call = &record->call;

	/* What never left this SBC is of interest only when somebody looks for it: scanners make thousands of those. */
	LOG_AT(record->tried ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "record", "call ended",
		LOG_UINT("call", call->call), LOG_UINT("status", record->status),
		LOG_TEXT("cause", record->cause ? record->cause : "unknown"),
		LOG_TEXT("policy", call->policy), LOG_TEXT("from", call->leg[0].user),
		LOG_TEXT("from-realm", call->leg[0].realm), LOG_TEXT("from-address", call->leg[0].remote),
		LOG_TEXT("to", call->leg[1].user), LOG_TEXT("to-realm", call->leg[1].realm),
		LOG_TEXT("to-address", call->leg[1].remote), LOG_UINT("setup-ms", call->setup_ms),
		LOG_UINT("duration-ms", record->duration_ms), LOG_UINT("session", call->session),
		LOG_UINT("caller-packets", caller.packets), LOG_UINT("caller-lost", caller.lost),
		LOG_UINT("caller-jitter-us", caller.jitter_us),
		LOG_UINT("caller-wrong-source", caller.wrong_source),
		LOG_UINT("callee-packets", callee.packets), LOG_UINT("callee-lost", callee.lost),
		LOG_UINT("callee-jitter-us", callee.jitter_us),
		LOG_UINT("callee-wrong-source", callee.wrong_source));
}

static void on_media_closed(void *arg, const struct dp_session_info *final)
{
	struct call_record *record = arg;

	if (record)
		write_record(record, final);
	free(record);
}

void call_record_end(struct call *call)
{
	struct call_record *record = calloc(1, sizeof(*record));
	struct media *media = call->media;

	if (record) {
		call_fill(call, &record->call);
		record->status = call->status;
		record->cause = call->cause;
		record->tried = call->leg[LEG_CALLED].local_cseq > 0;
		record->duration_ms = call->answered_ms ? clock_now_ms() - call->answered_ms : 0;
	}
	call_session_remove(call);
	call->media = NULL;
	media_close(media, on_media_closed, record);
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
