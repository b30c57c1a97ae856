/* SPDX-License-Identifier: BSD-3-Clause */
/* show registrations, show registration: the phones that are registered through this box. */
#include <errno.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static const struct column columns[] = {
	{ "aor", "AOR", COLUMN_TEXT, true },
	{ "source", "SOURCE", COLUMN_TEXT, false },
	{ "transport", "VIA", COLUMN_TEXT, false },
	{ "interface", "INTERFACE", COLUMN_TEXT, true },
	{ "registrar", "REGISTRAR", COLUMN_TEXT, true },
	{ "nat", "NAT", COLUMN_FLAG, false },
	{ "reachable", "UP", COLUMN_FLAG, false },
	{ "expires-seconds", "EXPIRES IN", COLUMN_SECONDS, false },
	{ "user-agent", "USER-AGENT", COLUMN_TEXT, true },
};

/* Of one address-of-record: everything, beside each other. */
static const struct column all_columns[] = {
	{ "aor", "aor", COLUMN_TEXT, false },
	{ "contact", "contact", COLUMN_TEXT, false },
	{ "source", "source", COLUMN_TEXT, false },
	{ "transport", "transport", COLUMN_TEXT, false },
	{ "interface", "interface", COLUMN_TEXT, false },
	{ "registrar", "registrar", COLUMN_TEXT, false },
	{ "token", "known there as", COLUMN_TEXT, false },
	{ "instance", "instance", COLUMN_TEXT, false },
	{ "q", "q", COLUMN_TEXT, false },
	{ "nat", "behind a NAT", COLUMN_FLAG, false },
	{ "reachable", "reachable", COLUMN_FLAG, false },
	{ "expires-seconds", "expires in", COLUMN_SECONDS, false },
	{ "registrar-expires-seconds", "at the registrar", COLUMN_SECONDS, false },
	{ "heard-seconds", "heard of", COLUMN_SECONDS, false },
	{ "keep-alive-seconds", "keep-alive every", COLUMN_SECONDS, false },
	{ "nat-seconds", "NAT holds", COLUMN_SECONDS, false },
	{ "user-agent", "user agent", COLUMN_TEXT, false },
};

static json_t *seconds_until(uint64_t wall_ms, uint64_t now)
{
	return wall_ms > now ? value_uint((wall_ms - now + 999) / 1000) : json_null();
}

static json_t *q_value(uint32_t q)
{
	char text[16];
	struct writer w;

	writer_init(&w, text, sizeof(text));
	writer_format(&w, "%u.%03u", q / 1000, q % 1000);
	return json_stringn(text, w.len);
}

json_t *show_registration_row(const struct cp_registration *r)
{
	json_t *row = json_object();
	uint64_t now = clock_wall_ms();

	value_set(row, "aor", VALUE_FIELD(r->aor));
	value_set(row, "contact", VALUE_FIELD(r->contact));
	value_set(row, "source", VALUE_FIELD(r->source));
	value_set(row, "transport", VALUE_FIELD(r->transport));
	value_set(row, "interface", VALUE_FIELD(r->interface));
	value_set(row, "registrar", VALUE_FIELD(r->agent));
	value_set(row, "token", VALUE_FIELD(r->token));
	value_set(row, "instance", VALUE_FIELD(r->instance));
	value_set(row, "q", q_value(r->q));
	value_set(row, "nat", json_boolean(r->behind_nat != 0));
	value_set(row, "reachable", json_boolean(r->unreachable == 0));
	value_set(row, "expires-seconds", seconds_until(r->expires_wall_ms, now));
	value_set(row, "registrar-expires-seconds", seconds_until(r->upstream_expires_wall_ms, now));
	value_set(row, "heard-seconds",
		r->heard_wall_ms && r->heard_wall_ms <= now ? value_uint((now - r->heard_wall_ms) / 1000)
							    : json_null());
	value_set(row, "keep-alive-seconds", r->keep_alive_s ? value_uint(r->keep_alive_s) : json_null());
	value_set(row, "nat-seconds", r->lifetime_s ? value_uint(r->lifetime_s) : json_null());
	value_set(row, "user-agent", VALUE_FIELD(r->user_agent));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct cp_registration_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_registration));

	for (int i = 0; i < count; i++) {
		struct cp_registration r;

		memcpy(&r, (const char *)body + sizeof(*page) + (size_t)i * sizeof(r), sizeof(r));
		value_append(rows, show_registration_row(&r));
		ask->registrations.after = r.number;
	}
	return count < 0 ? count : page->more != 0 && count > 0;
}

void show_registrations(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "registrations",
		.one = "registration",
		.many = "registrations",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_REGISTRATION_LIST,
		.ask_size = sizeof(struct cp_registration_list),
		.take = take,
	};
	union listing_ask ask = { .registrations = { .limit = LISTING_PAGE } };

	listing_run(request, &kind, &ask, false);
}

static void found(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	union listing_ask ask = { 0 };
	json_t *rows = json_array(), *document;

	(void)tag;
	if (status == 0)
		status = take(&ask, body, length, rows);
	if (status < 0) {
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
	} else if (json_array_size(rows) == 0) {
		request_fail(request, MGMT_EXIT_FAILED,
			"nobody is registered as that: \"show registrations\" lists those who are");
	} else if (request->json) {
		document = json_object();
		json_object_set(document, "registrations", rows);
		render_json(&request->output, document);
		json_decref(document);
		request_finish(request, MGMT_EXIT_OK);
	} else {
		render_sideways(&request->output, NULL, rows, all_columns,
			sizeof(all_columns) / sizeof(all_columns[0]));
		request_finish(request, MGMT_EXIT_OK);
	}
	json_decref(rows);
}

/* As a phone writes it, or as people do. */
static struct span without_scheme(struct span aor)
{
	static const struct span schemes[] = { { "sip:", 4 }, { "sips:", 5 } };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (span_starts_case(aor, schemes[i]))
			return (struct span){ aor.p + schemes[i].n, aor.n - schemes[i].n };
	return aor;
}

void show_registration(struct request *request)
{
	struct cp_registration_list ask = { .limit = LISTING_PAGE };
	struct span aor = without_scheme(request->match.argument[0]);
	bool host = false;
	int err;

	for (size_t i = 0; i < aor.n && i < sizeof(ask.aor) - 1; i++) {
		ask.aor[i] = host && aor.p[i] >= 'A' && aor.p[i] <= 'Z' ? (char)(aor.p[i] | 0x20) : aor.p[i];
		host = host || aor.p[i] == '@';
	}
	if (ask.aor[0] == '\0') {
		request_fail(request, MGMT_EXIT_USAGE, "an address of record is USER or USER@HOST");
		return;
	}
	err = request_fetch(
		request, NEIGHBOUR_CONTROLPLANE, CP_REGISTRATION_LIST, &ask, sizeof(ask), 0, found);
	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}
