/* SPDX-License-Identifier: BSD-3-Clause */
/* Families of METRICS_CP_STATISTICS and METRICS_CP_LOAD. */
#include "mgmt/metrics_calls.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/metrics_page.h"
#include "mgmt/show_statistics.h"

enum { FAMILY_MAX = 96 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What there is one of, or several told apart by a label. */
static const struct subject {
	enum cp_statistics_kind kind;
	const char *prefix, *label; /* NULL: there is one */
} subjects[] = {
	{ CP_STATISTICS_SYSTEM, "sallyport_system", NULL },
	{ CP_STATISTICS_REALM, "sallyport_realm", "realm" },
	{ CP_STATISTICS_AGENT, "sallyport_agent", "agent" },
};

static const char *const ways[CP_STATISTICS_WAYS] = {
	[CP_STATISTICS_IN] = "in", [CP_STATISTICS_OUT] = "out"
};

static const char *name_of(const struct subject *subject, const char *what, char buffer[FAMILY_MAX])
{
	snprintf(buffer, FAMILY_MAX, "%s_%s", subject->prefix, what);
	return buffer;
}

/* The labels that tell it from others of its kind, without the closing brace. */
static void begin_labels(struct writer *out, const struct subject *subject, const struct cp_statistics *entry,
	const char *name, const char *value)
{
	char before = '{';

	if (subject->label) {
		metrics_label(out, before, subject->label, entry->name, sizeof(entry->name));
		before = ',';
	}
	metrics_label(out, before, name, value, strlen(value));
}

/* --- calls ---------------------------------------------------------------------------------------------------------------- */

struct call_field {
	const char *what, *unit, *help;
	size_t offset;
	bool counter, milliseconds, narrow;
};

#define CALLS(member) offsetof(struct cp_statistics_calls, member)
/* clang-format off */
static const struct call_field call_fields[] = {
	{ "calls_now", NULL, "calls now: in, that came from there; out, that went there", CALLS(now), false, false, true },
	{ "calls_most", NULL, "most calls there have been at once", CALLS(most), false, false, true },
	{ "call_attempts", NULL, "attempts of calls that have come to something", CALLS(attempts), true, false, false },
	{ "calls_effective", NULL, "of these answered, busy, not answered, given up or refused by the user (NER of ITU-T E.425)", CALLS(effective), true, false, false },
	{ "calls_answered", NULL, "of these answered (ASR)", CALLS(answered), true, false, false },
	{ "calls_refused", NULL, "calls refused by this SBC itself", CALLS(refused), true, false, false },
	{ "calls_ended", NULL, "answered calls that are over", CALLS(ended), true, false, false },
	{ "call_talk_seconds", "seconds", "their time from answer to end", CALLS(talked_ms), true, true, false },
	{ "calls_rung", NULL, "calls that got as far as ringing or an answer", CALLS(rang), true, false, false },
	{ "post_dial_delay_seconds", "seconds", "their time until then", CALLS(post_dial_ms), true, true, false },
};
/* clang-format on */
#undef CALLS

static uint64_t read_field(const struct call_field *field, const struct cp_statistics_calls *calls)
{
	const char *at = (const char *)calls + field->offset;
	uint32_t narrow;
	uint64_t wide;

	if (field->narrow) {
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

static void write_call_sample(struct writer *out, const struct subject *subject,
	const struct call_field *field, const char *name, const struct cp_statistics *entry, unsigned way)
{
	uint64_t value = read_field(field, &entry->calls[way]);

	writer_text(out, name);
	writer_text(out, field->counter ? "_total" : "");
	begin_labels(out, subject, entry, "way", ways[way]);
	if (field->milliseconds)
		writer_format(out, "} %" PRIu64 ".%03u\n", value / 1000, (unsigned)(value % 1000));
	else
		writer_format(out, "} %" PRIu64 "\n", value);
}

/* --- the others ----------------------------------------------------------------------------------------------------------- */

struct histogram {
	const char *what, *unit, *help;
	size_t classes, sum;
	uint32_t bounds[CP_QUALITY_CLASSES - 1];
	double scale; /* to what is shown */
};

static const struct histogram histograms[] = {
	{ "media_mos", NULL, "what came from there: MOS (ITU-T G.107), once for each call with media",
		offsetof(struct cp_quality, mos), offsetof(struct cp_quality, mos_sum), CP_QUALITY_MOS_BOUNDS,
		0.01 },
	{ "media_loss_ratio", "ratio", "what came from there: packets that did not",
		offsetof(struct cp_quality, loss), offsetof(struct cp_quality, loss_sum),
		CP_QUALITY_LOSS_BOUNDS, 0.0001 },
	{ "media_jitter_seconds", "seconds", "what came from there: interarrival jitter (RFC 3550)",
		offsetof(struct cp_quality, jitter), offsetof(struct cp_quality, jitter_sum),
		CP_QUALITY_JITTER_BOUNDS, 0.001 },
};

/* Canonical numbers of OpenMetrics have a point. */
static void bound_text(char buffer[32], double bound)
{
	if (bound == (double)(int)bound)
		snprintf(buffer, 32, "%.1f", bound);
	else
		snprintf(buffer, 32, "%.6g", bound);
}

static void write_histogram(struct writer *out, const struct subject *subject,
	const struct histogram *histogram, const char *name, const struct cp_statistics *entry)
{
	const char *quality = (const char *)&entry->quality;
	uint64_t classes[CP_QUALITY_CLASSES], sum, all = 0;
	char bound[32];

	memcpy(classes, quality + histogram->classes, sizeof(classes));
	memcpy(&sum, quality + histogram->sum, sizeof(sum));
	for (unsigned i = 0; i < CP_QUALITY_CLASSES; i++) {
		snprintf(bound, sizeof(bound), "+Inf");
		if (i < CP_QUALITY_CLASSES - 1)
			bound_text(bound, histogram->scale * histogram->bounds[i]);
		all += classes[i];
		writer_format(out, "%s_bucket", name);
		begin_labels(out, subject, entry, "le", bound);
		writer_format(out, "} %" PRIu64 "\n", all);
	}
	for (unsigned i = 0; i < 2; i++) {
		writer_text(out, name);
		writer_text(out, i ? "_sum" : "_count");
		metrics_label(out, '{', subject->label, entry->name, sizeof(entry->name));
		if (i)
			writer_format(out, "} %.6f\n", histogram->scale * (double)sum);
		else
			writer_format(out, "} %" PRIu64 "\n", all);
	}
}

static void write_gauge(struct writer *out, const struct subject *subject, const char *what, const char *help,
	const struct metrics_list *list, size_t offset)
{
	const struct cp_statistics *entries = list->entries;
	char name[FAMILY_MAX];
	uint32_t value;

	metrics_family(out, name_of(subject, what, name), "gauge", NULL, help);
	for (size_t i = 0; i < list->count; i++) {
		if (entries[i].kind != subject->kind)
			continue;
		memcpy(&value, (const char *)&entries[i] + offset, sizeof(value));
		writer_text(out, name);
		metrics_label(out, '{', subject->label, entries[i].name, sizeof(entries[i].name));
		writer_format(out, "} %" PRIu32 "\n", value);
	}
}

static void write_states(struct writer *out, const struct metrics_list *list)
{
	const struct cp_statistics *entries = list->entries;

	metrics_family(out, "sallyport_agent_state", "stateset", NULL,
		"how a session-agent is: unwatched ones are taken for up");
	for (size_t i = 0; i < list->count; i++)
		for (uint32_t state = 0;
			entries[i].kind == CP_STATISTICS_AGENT && state <= CP_AGENT_UNRESOLVED; state++) {
			const char *name = show_agent_state(state);

			writer_text(out, "sallyport_agent_state");
			metrics_label(out, '{', "agent", entries[i].name, sizeof(entries[i].name));
			metrics_label(out, ',', "realm", entries[i].realm, sizeof(entries[i].realm));
			metrics_label(out, ',', "sallyport_agent_state", name, strlen(name));
			writer_format(out, "} %d\n", entries[i].state == state);
		}
}

/* --- by subject ----------------------------------------------------------------------------------------------------------- */

static bool has_any(const struct metrics_list *list, enum cp_statistics_kind kind)
{
	const struct cp_statistics *entries = list->entries;

	for (size_t i = 0; i < list->count; i++)
		if (entries[i].kind == kind)
			return true;
	return false;
}

static void write_calls_of(struct writer *out, const struct subject *subject, const struct metrics_list *list)
{
	const struct cp_statistics *entries = list->entries;
	char name[FAMILY_MAX];

	for (size_t f = 0; f < COUNT(call_fields); f++) {
		const struct call_field *field = &call_fields[f];

		metrics_family(out, name_of(subject, field->what, name), field->counter ? "counter" : "gauge",
			field->unit, field->help);
		for (size_t i = 0; i < list->count; i++)
			for (unsigned way = 0; entries[i].kind == subject->kind && way < CP_STATISTICS_WAYS;
				way++)
				write_call_sample(out, subject, field, name, &entries[i], way);
	}
}

/* Of all of them together the histograms would be the sum of those by realm. */
static void write_quality_of(
	struct writer *out, const struct subject *subject, const struct metrics_list *list)
{
	const struct cp_statistics *entries = list->entries;
	char name[FAMILY_MAX];

	for (size_t h = 0; h < COUNT(histograms); h++) {
		metrics_family(out, name_of(subject, histograms[h].what, name), "histogram",
			histograms[h].unit, histograms[h].help);
		for (size_t i = 0; i < list->count; i++)
			if (entries[i].kind == subject->kind)
				write_histogram(out, subject, &histograms[h], name, &entries[i]);
	}
	write_gauge(out, subject, "registrations", "contacts of phones registered there", list,
		offsetof(struct cp_statistics, registrations));
}

/* Threads of one name are one series. */
static void write_load(const struct cp_load *load, struct writer *out)
{
	uint32_t count = load->threads < CP_THREADS_MAX ? load->threads : CP_THREADS_MAX;

	metrics_family(out, "sallyport_thread_cpu_seconds", "counter", "seconds",
		"processor time of the threads of a process");
	for (uint32_t i = 0; i < count; i++) {
		uint64_t us = 0;
		bool before = false;

		for (uint32_t k = 0; k < count; k++)
			if (strncmp(load->thread[k].name, load->thread[i].name,
				    sizeof(load->thread[i].name)) == 0) {
				before = before || k < i;
				us += load->thread[k].cpu_us;
			}
		if (before)
			continue;
		writer_text(out, "sallyport_thread_cpu_seconds_total{process=\"controlplane\"");
		metrics_label(out, ',', "thread", load->thread[i].name, sizeof(load->thread[i].name));
		writer_format(out, "} %" PRIu64 ".%06u\n", us / 1000000, (unsigned)(us % 1000000));
	}
	metrics_family(out, "sallyport_process_resident_memory_bytes", "gauge", "bytes", "memory in use");
	writer_format(out, "sallyport_process_resident_memory_bytes{process=\"controlplane\"} %" PRIu64 "\n",
		load->rss_octets);
}

void metrics_calls_write(const struct metrics_snapshot *snapshot, struct writer *out)
{
	const struct metrics_list *list = &snapshot->part[METRICS_CP_STATISTICS];
	const struct cp_load *load = metrics_snapshot_one(snapshot, METRICS_CP_LOAD);

	for (size_t i = 0; i < COUNT(subjects); i++) {
		if (!has_any(list, subjects[i].kind))
			continue;
		write_calls_of(out, &subjects[i], list);
		if (subjects[i].label)
			write_quality_of(out, &subjects[i], list);
		if (subjects[i].kind != CP_STATISTICS_AGENT)
			continue;
		write_gauge(out, &subjects[i], "max_sessions", "session-agent max-sessions; 0: no limit",
			list, offsetof(struct cp_statistics, max_sessions));
		write_states(out, list);
	}
	if (load)
		write_load(load, out);
}
