/* SPDX-License-Identifier: BSD-3-Clause */
/* From counts to ratios: ASR, NER, ACD, post-dial delay of calls; means and shares of media quality. */
#include "mgmt/show_statistics.h"

#include <string.h>

#include "mgmt/render.h"
#include "mgmt/value.h"

enum { KEY_MAX = 48 };

const char *show_agent_state(uint32_t state)
{
	static const char *const names[] = { [CP_AGENT_UNWATCHED] = "unwatched",
		[CP_AGENT_UP] = "up",
		[CP_AGENT_DOWN] = "down",
		[CP_AGENT_UNRESOLVED] = "unresolved" };

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

/* Of nothing there is no share and no mean. */
static json_t *ratio(uint64_t part, uint64_t of, double scale)
{
	return of != 0 ? json_real(scale * (double)part / (double)of) : json_null();
}

static void set(json_t *row, const char *prefix, const char *name, json_t *value)
{
	char key[KEY_MAX];
	struct writer w;

	writer_init(&w, key, sizeof(key) - 1);
	writer_text(&w, prefix);
	writer_text(&w, name);
	key[w.len] = '\0';
	value_set(row, key, value);
}

static void add_way(json_t *row, const char *prefix, const struct cp_statistics_calls *calls)
{
	set(row, prefix, "now", value_uint(calls->now));
	set(row, prefix, "most", value_uint(calls->most));
	set(row, prefix, "per-second", value_uint(calls->per_second));
	set(row, prefix, "attempts", value_uint(calls->attempts));
	set(row, prefix, "effective", value_uint(calls->effective));
	set(row, prefix, "answered", value_uint(calls->answered));
	set(row, prefix, "ended", value_uint(calls->ended));
	set(row, prefix, "refused", value_uint(calls->refused));
	set(row, prefix, "asr-percent", ratio(calls->answered, calls->attempts, 100));
	set(row, prefix, "ner-percent", ratio(calls->effective, calls->attempts, 100));
	set(row, prefix, "acd-seconds", ratio(calls->talked_ms, calls->ended, 0.001));
	set(row, prefix, "post-dial-delay-seconds", ratio(calls->post_dial_ms, calls->rang, 0.001));
}

void show_statistics_add(json_t *row, const struct cp_statistics *statistics)
{
	add_way(row, "in-", &statistics->calls[CP_STATISTICS_IN]);
	add_way(row, "out-", &statistics->calls[CP_STATISTICS_OUT]);
}

static const struct column way_columns[] = {
	{ "way", "calls", COLUMN_TEXT, false },
	{ "now", "now", COLUMN_NUMBER, false },
	{ "most", "at most", COLUMN_NUMBER, false },
	{ "per-second", "per second", COLUMN_NUMBER, false },
	{ "attempts", "attempts", COLUMN_NUMBER, false },
	{ "effective", "effective", COLUMN_NUMBER, false },
	{ "answered", "answered", COLUMN_NUMBER, false },
	{ "ended", "over", COLUMN_NUMBER, false },
	{ "refused", "refused here", COLUMN_NUMBER, false },
	{ "asr-percent", "ASR %", COLUMN_NUMBER, false },
	{ "ner-percent", "NER %", COLUMN_NUMBER, false },
	{ "acd-seconds", "ACD s", COLUMN_NUMBER, false },
	{ "post-dial-delay-seconds", "post-dial delay s", COLUMN_NUMBER, false },
};

void show_statistics_text(struct output *out, const json_t *row)
{
	static const struct {
		const char *prefix, *title;
	} ways[] = { { "in-", "from there" }, { "out-", "to there" } };
	json_t *array = json_array();

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		size_t n = strlen(ways[i].prefix);
		json_t *way = json_object(), *value;
		const char *key;

		value_set(way, "way", json_string(ways[i].title));
		json_object_foreach((json_t *)(uintptr_t)row, key,
			value) if (strncmp(key, ways[i].prefix, n) == 0) json_object_set(way, key + n, value);
		value_append(array, way);
	}
	render_sideways(out, NULL, array, way_columns, sizeof(way_columns) / sizeof(way_columns[0]));
	json_decref(array);
}

/* --- media ---------------------------------------------------------------------------------------------------------------- */

struct classes {
	const char *key, *mean, *bad;
	uint32_t bounds[CP_QUALITY_CLASSES - 1];
	double scale; /* from the units of the bounds to those that are shown */
	/* What is bad: from this class on, or up to it. */
	unsigned bad_class;
	bool low_is_bad;
};

/* "Nearly all users dissatisfied" and worse (ITU-T G.107 annex B): up to 2.6, loss over 2 %, jitter over 50 ms. */
static const struct classes kinds[] = {
	{ "mos-classes", "mos", "mos-poor-percent", CP_QUALITY_MOS_BOUNDS, 0.01, 2, true },
	{ "loss-classes", "loss-percent", "loss-poor-percent", CP_QUALITY_LOSS_BOUNDS, 0.01, 5, false },
	{ "jitter-classes", "jitter-ms", "jitter-poor-percent", CP_QUALITY_JITTER_BOUNDS, 1, 6, false },
};

static void add_classes(
	json_t *row, const struct classes *kind, const uint64_t count[CP_QUALITY_CLASSES], uint64_t sum)
{
	json_t *list = json_array();
	uint64_t all = 0, bad = 0;

	for (unsigned i = 0; i < CP_QUALITY_CLASSES; i++) {
		json_t *one = json_object();

		value_set(one, "up-to",
			i < CP_QUALITY_CLASSES - 1 ? json_real(kind->scale * kind->bounds[i]) : json_null());
		value_set(one, "count", value_uint(count[i]));
		value_append(list, one);
		all += count[i];
		if (kind->low_is_bad ? i <= kind->bad_class : i >= kind->bad_class)
			bad += count[i];
	}
	value_set(row, kind->mean, ratio(sum, all, kind->scale));
	value_set(row, kind->bad, ratio(bad, all, 100));
	value_set(row, kind->key, list);
}

void show_quality_add(json_t *row, const struct cp_quality *quality)
{
	uint64_t streams = 0;

	for (unsigned i = 0; i < CP_QUALITY_CLASSES; i++)
		streams += quality->loss[i];
	value_set(row, "media", value_uint(streams));
	add_classes(row, &kinds[0], quality->mos, quality->mos_sum);
	add_classes(row, &kinds[1], quality->loss, quality->loss_sum);
	add_classes(row, &kinds[2], quality->jitter, quality->jitter_sum);
}

static void copy_class(json_t *line, const json_t *row, const struct classes *kind, size_t i,
	const char *bound, const char *count)
{
	const json_t *one = json_array_get(json_object_get(row, kind->key), i);
	json_t *up_to = json_object_get(one, "up-to");

	value_set(line, bound, json_is_real(up_to) ? json_incref(up_to) : json_string("more"));
	value_set(line, count, json_incref(json_object_get(one, "count")));
}

void show_quality_text(struct output *out, const json_t *row)
{
	static const struct column columns[] = {
		{ "mos", "MOS UP TO", COLUMN_NUMBER, false },
		{ "mos-count", "COUNT", COLUMN_NUMBER, false },
		{ "loss", "LOSS % UP TO", COLUMN_NUMBER, false },
		{ "loss-count", "COUNT", COLUMN_NUMBER, false },
		{ "jitter", "JITTER MS UP TO", COLUMN_NUMBER, false },
		{ "jitter-count", "COUNT", COLUMN_NUMBER, false },
	};
	json_t *lines = json_array();

	for (size_t i = 0; i < CP_QUALITY_CLASSES; i++) {
		json_t *line = json_object();

		for (size_t k = 0; k < 3; k++)
			copy_class(line, row, &kinds[k], i, columns[2 * k].key, columns[2 * k + 1].key);
		value_append(lines, line);
	}
	render_table(out, lines, columns, sizeof(columns) / sizeof(columns[0]), 0);
	json_decref(lines);
}
