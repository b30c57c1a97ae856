/* SPDX-License-Identifier: BSD-3-Clause */
/* show certificates: what each tls-profile has loaded, and until when. Keys are not shown; the control plane does not tell them. */
#include <string.h>

#include "mgmt/listing.h"
#include "mgmt/show.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

enum { DAY_MS = 86400000 };

static const struct column columns[] = {
	{ "profile", "PROFILE", COLUMN_TEXT, false },
	{ "use", "USE", COLUMN_TEXT, false },
	{ "subject", "SUBJECT", COLUMN_TEXT, true },
	{ "issuer", "ISSUER", COLUMN_TEXT, true },
	{ "names", "NAMES", COLUMN_TEXT, true },
	{ "key", "KEY", COLUMN_TEXT, false },
	{ "days-left", "DAYS", COLUMN_NUMBER, false },
	{ "not-after", "NOT AFTER", COLUMN_TEXT, false },
	{ "fingerprint", "SHA-256", COLUMN_TEXT, true },
};

static const char *use_name(uint32_t role)
{
	static const char *const names[] = {
		[CP_CERTIFICATE_OWN] = "own",
		[CP_CERTIFICATE_CHAIN] = "chain",
		[CP_CERTIFICATE_AUTHORITY] = "authority",
	};

	return role < sizeof(names) / sizeof(names[0]) ? names[role] : "";
}

/* Whole days; below 0 since it has ended. */
static json_int_t days_left(uint64_t not_after_wall_ms, uint64_t now_wall_ms)
{
	if (not_after_wall_ms >= now_wall_ms)
		return (json_int_t)((not_after_wall_ms - now_wall_ms) / DAY_MS);
	return -(json_int_t)((now_wall_ms - not_after_wall_ms + DAY_MS - 1) / DAY_MS);
}

json_t *show_certificate_row(const struct cp_certificate *certificate, uint64_t now_wall_ms)
{
	json_t *row = json_object();
	char at[CLOCK_TEXT_MAX];

	value_set(row, "profile", VALUE_FIELD(certificate->profile));
	value_set(row, "use", json_string(use_name(certificate->role)));
	value_set(row, "subject", VALUE_FIELD(certificate->subject));
	value_set(row, "issuer", VALUE_FIELD(certificate->issuer));
	value_set(row, "names", VALUE_FIELD(certificate->names));
	value_set(row, "key", VALUE_FIELD(certificate->key));
	value_set(row, "days-left", json_integer(days_left(certificate->not_after_wall_ms, now_wall_ms)));
	value_set(row, "not-before", json_string(clock_print_wall(certificate->not_before_wall_ms, at)));
	value_set(row, "not-after", json_string(clock_print_wall(certificate->not_after_wall_ms, at)));
	value_set(row, "fingerprint", VALUE_FIELD(certificate->fingerprint));
	return row;
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct cp_certificate_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_certificate));
	uint64_t now_wall_ms = clock_wall_ms();

	for (int i = 0; i < count; i++) {
		struct cp_certificate certificate;

		memcpy(&certificate, (const char *)body + sizeof(*page) + (size_t)i * sizeof(certificate),
			sizeof(certificate));
		value_append(rows, show_certificate_row(&certificate, now_wall_ms));
		ask->calls.after = certificate.number;
	}
	return count < 0 ? count : page->more != 0 && count > 0;
}

void show_certificates(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "certificates",
		.one = "certificate",
		.many = "certificates",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_CERTIFICATE_LIST,
		.ask_size = sizeof(struct cp_call_list),
		.take = take,
	};
	union listing_ask ask = { .calls = { .limit = LISTING_PAGE } };

	listing_run(request, &kind, &ask, false);
}
