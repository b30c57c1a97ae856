/* SPDX-License-Identifier: BSD-3-Clause */
/* Diversions: Diversion (RFC 5806) and History-Info (RFC 7044), each relayed with our host, or the one made of the other (RFC 7544) as
 * the receiving side wants it (ip-profile.diversion). */
#include <string.h>

#include "controlplane/call_attempt.h"
#include "controlplane/hide_internal.h"

enum {
	ENTRIES_MAX = 16, /* of each kind; more are left out */
	INDEX_MAX = 64,
	DIVERTED_CAUSE = 302 /* RFC 4458: unconditional */
};

/* Spans are cut out of the message; a number is digits. */
struct entry {
	struct name_addr address;
	struct sip_uri uri;
	struct span reason; /* Diversion */
	uint64_t cause; /* RFC 4458: why the call came to this address; 0: not said */
	uint64_t counter;
	bool private, placeholder;
};

struct entries {
	unsigned count;
	struct entry entry[ENTRIES_MAX];
};

/* RFC 7544 section 4: reasons of Diversion and causes of History-Info. The first of equal ones is written. */
static const struct {
	struct span reason;
	unsigned cause;
} reasons[] = {
	{ { "unknown", 7 }, 404 },
	{ { "unconditional", 13 }, 302 },
	{ { "user-busy", 9 }, 486 },
	{ { "no-answer", 9 }, 408 },
	{ { "deflection", 10 }, 480 },
	{ { "deflection", 10 }, 487 },
	{ { "unavailable", 11 }, 503 },
	{ { "time-of-day", 11 }, 404 },
	{ { "do-not-disturb", 14 }, 404 },
	{ { "follow-me", 9 }, 404 },
	{ { "out-of-service", 14 }, 404 },
	{ { "away", 4 }, 404 },
};

static const struct span *reason_known(struct span reason)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (span_equal_case(reasons[i].reason, reason))
			return &reasons[i].reason;
	return &reasons[0].reason;
}

static unsigned cause_of(struct span reason)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (span_equal_case(reasons[i].reason, reason))
			return reasons[i].cause;
	return reasons[0].cause;
}

static struct span reason_of(uint64_t cause)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].cause == cause)
			return reasons[i].reason;
	return reasons[0].reason;
}

static struct span unquoted(struct span value)
{
	if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
		return (struct span){ value.p + 1, value.n - 2 };
	return value;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

/* Privacy stands in the URI's headers, escaped: "?Privacy=history&Reason=SIP%3Bcause%3D302". */
static bool says_private(struct span headers)
{
	while (headers.n) {
		struct span one = span_cut(&headers, '&'), name = span_cut(&one, '=');

		if (span_equal_case(name, SPAN("Privacy")))
			return !span_equal_case(one, SPAN("none"));
	}
	return false;
}

static bool take_history(struct span value, struct entry *entry)
{
	struct span rest, name, said;

	*entry = (struct entry){ .counter = 1 };
	if (name_addr_parse(value, &entry->address) || sip_uri_parse(entry->address.uri, &entry->uri))
		return false;
	entry->private = says_private(entry->uri.headers);
	for (rest = entry->uri.parameters; hide_parameter_next(&rest, &name, &said);)
		if (span_equal_case(name, SPAN("cause")) && span_to_uint(said, 699, &entry->cause) < 0)
			entry->cause = 0;
	return true;
}

static bool take_diversion(struct span value, struct entry *entry)
{
	struct span rest, name, said;

	*entry = (struct entry){ .counter = 1 };
	if (name_addr_parse(value, &entry->address) || sip_uri_parse(entry->address.uri, &entry->uri))
		return false;
	for (rest = entry->address.parameters; hide_parameter_next(&rest, &name, &said);) {
		said = unquoted(said);
		if (span_equal_case(name, SPAN("reason")))
			entry->reason = *reason_known(said);
		else if (span_equal_case(name, SPAN("privacy")))
			entry->private = !span_equal_case(said, SPAN("off"));
		else if (span_equal_case(name, SPAN("counter")) &&
			 span_to_uint(said, 99, &entry->counter) < 0)
			entry->counter = 1;
	}
	if (entry->reason.n == 0)
		entry->reason = reasons[0].reason;
	return true;
}

static void take_all(const struct hide_way *way, struct span name,
	bool (*take)(struct span value, struct entry *entry), struct entries *out)
{
	const struct config_strings *drop = &way->from->profile->headers_drop;
	struct span value, one;

	out->count = 0;
	if (drop->count && hide_is_listed(drop, name))
		return;
	for (unsigned n = 0; n < ENTRIES_MAX && message_header(way->message, name, n, &value); n++)
		while (out->count < ENTRIES_MAX && hide_list_next(&value, &one))
			out->count += take(one, &out->entry[out->count]);
}

static struct entry entry_of(struct span user)
{
	return (struct entry){ .uri = { .scheme = SPAN("sip"), .user = user }, .counter = 1 };
}

/* --- one made of the other ------------------------------------------------------------------------------------------ */

/* The newest diversion stands first; history begins with the oldest and ends with whom the call is for now. */
static void make_history(const struct hide_way *way, const struct entries *diversions, struct entries *out)
{
	unsigned cause = 0;

	out->count = 0;
	for (unsigned i = diversions->count; i-- > 0;) {
		const struct entry *from = &diversions->entry[i];

		/* Of those that are only counted nothing is known (RFC 7544 section 5). */
		for (uint64_t n = 1; n < from->counter && out->count < ENTRIES_MAX - 2; n++) {
			out->entry[out->count++] = (struct entry){ .cause = cause, .placeholder = true };
			cause = 404;
		}
		if (out->count == ENTRIES_MAX - 1)
			break;
		out->entry[out->count] = *from;
		out->entry[out->count++].cause = cause;
		cause = cause_of(from->reason);
	}
	out->entry[out->count] = (struct entry){ .cause = cause };
	if (hide_diverted_here(way))
		out->entry[out->count++].uri = entry_of(span_from(way->to->called)).uri;
	else if (out->count && message_request_uri(way->message, &out->entry[out->count].uri) == 0)
		out->count++;
}

/* Each address that a cause led away from. */
static void make_diversions(const struct entries *history, struct entries *out)
{
	out->count = 0;
	for (unsigned i = history->count; i-- > 1;) {
		if (history->entry[i].cause == 0)
			continue;
		out->entry[out->count] = history->entry[i - 1];
		out->entry[out->count].reason = reason_of(history->entry[i].cause);
		out->entry[out->count++].counter = 1;
	}
}

/* --- our own ---------------------------------------------------------------------------------------------------------- */

bool hide_diverted_here(const struct hide_way *way)
{
	const struct call *call = way->to->call;
	struct span from, to;

	return way->kind == HIDE_INVITE && way->to->side == LEG_CALLED && call && call->attempts &&
	       attempt_diversion(call, 0, &from, &to);
}

/* The redirections that we have followed, in front of those that the caller's side knows of (RFC 5806: the newest first). */
static void add_diversions(const struct hide_way *way, struct entries *diversions)
{
	struct entries known = *diversions;
	struct span from, to;

	diversions->count = 0;
	for (unsigned back = 0;
		diversions->count < ENTRIES_MAX && attempt_diversion(way->to->call, back, &from, &to);
		back++) {
		diversions->entry[diversions->count] = entry_of(from);
		diversions->entry[diversions->count++].reason = reason_of(DIVERTED_CAUSE);
	}
	for (unsigned i = 0; i < known.count && diversions->count < ENTRIES_MAX; i++)
		diversions->entry[diversions->count++] = known.entry[i];
}

/* Each place that was gone to, behind the first one (RFC 7044 section 9.2). */
static void add_history(const struct hide_way *way, struct entries *history)
{
	struct span from = { NULL, 0 }, to = { NULL, 0 };
	unsigned steps = 0;

	while (attempt_diversion(way->to->call, steps, &from, &to))
		steps++;
	if (history->count == 0)
		history->entry[history->count++] = entry_of(from);
	while (steps-- > 0 && history->count < ENTRIES_MAX &&
		attempt_diversion(way->to->call, steps, &from, &to)) {
		history->entry[history->count] = entry_of(to);
		history->entry[history->count++].cause = DIVERTED_CAUSE;
	}
}

static void add_own(const struct hide_way *way, struct entries *history, struct entries *diversions)
{
	enum config_diversion wanted = way->to->profile->diversion;
	bool as_diversion = diversions->count || (wanted == CONFIG_DIVERSION_DIVERSION && !history->count);

	/* As it comes: where nothing has come nothing is said. */
	if (history->count || (wanted == CONFIG_DIVERSION_HISTORY_INFO && !as_diversion))
		add_history(way, history);
	if (as_diversion)
		add_diversions(way, diversions);
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static void write_address(struct hide_way *way, const struct entry *entry, struct writer *out)
{
	if (entry->placeholder)
		writer_text(out, "<sip:unknown@unknown.invalid>");
	else if (entry->address.uri.n)
		hide_name_addr(&entry->address, hide_way_host(way), out);
	else
		hide_write_uri(&entry->uri, hide_way_host(way), false, out);
}

/* Towards who may not know it, an address that is private is nobody's. */
static bool is_hidden(struct hide_way *way, const struct entry *entry)
{
	static const unsigned all = HIDE_PRIVACY_HISTORY | HIDE_PRIVACY_HEADER | HIDE_PRIVACY_SESSION;

	return hide_way_privacy(way) & all ||
	       (entry->private && (way->to->realm->trust != CONFIG_TRUST_TRUSTED ||
					  way->to->profile->privacy != CONFIG_PRIVACY_RELAY));
}

static const struct entry nobody = { .address = { .uri = { "sip:anonymous@anonymous.invalid", 31 } } };

/* The index is ours: that of the other side counts its proxies and branches, and may look like an address. */
static void write_history(struct hide_way *way, const struct entries *entries, struct writer *out)
{
	char made[INDEX_MAX];
	struct writer index;

	writer_init(&index, made, sizeof(made));
	for (unsigned i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->entry[i];
		bool hidden = is_hidden(way, entry);

		writer_text(&index, i ? ".1" : "1");
		writer_text(out, "History-Info: ");
		write_address(way, hidden ? &nobody : entry, out);
		/* Into the URI, in front of its '>'. */
		out->len -= out->len > 0;
		if (entry->cause) {
			writer_text(out, ";cause=");
			writer_uint(out, entry->cause);
		}
		if (entry->private && !hidden)
			writer_text(out, "?Privacy=history");
		writer_text(out, ">;index=");
		writer_span(out, writer_result(&index));
		writer_text(out, "\r\n");
	}
}

static void write_diversions(struct hide_way *way, const struct entries *entries, struct writer *out)
{
	for (unsigned i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->entry[i];
		bool hidden = is_hidden(way, entry);

		writer_text(out, "Diversion: ");
		write_address(way, hidden ? &nobody : entry, out);
		writer_text(out, ";reason=");
		writer_span(out, entry->reason);
		writer_text(out, ";counter=");
		writer_uint(out, entry->counter);
		writer_text(out, entry->private || hidden ? ";privacy=full\r\n" : ";privacy=off\r\n");
	}
}

void hide_note_diversion(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	(void)name;
	(void)value;
	(void)out;
	/* Who has been diverted is said where something begins, not by a MESSAGE within a call. */
	way->diverted = message_scan(way->message)->to_tag.n == 0;
}

void hide_diversions(struct hide_way *way, struct writer *out)
{
	enum config_diversion wanted = way->to->profile->diversion;
	struct entries history, diversions, made;

	if (wanted == CONFIG_DIVERSION_DROP)
		return;
	take_all(way, SPAN("History-Info"), take_history, &history);
	take_all(way, SPAN("Diversion"), take_diversion, &diversions);
	if (hide_diverted_here(way))
		add_own(way, &history, &diversions);
	if (wanted == CONFIG_DIVERSION_HISTORY_INFO && history.count == 0) {
		make_history(way, &diversions, &made);
		write_history(way, &made, out);
	} else if (wanted == CONFIG_DIVERSION_DIVERSION && diversions.count == 0) {
		make_diversions(&history, &made);
		write_diversions(way, &made, out);
	} else {
		if (wanted != CONFIG_DIVERSION_DIVERSION)
			write_history(way, &history, out);
		if (wanted != CONFIG_DIVERSION_HISTORY_INFO)
			write_diversions(way, &diversions, out);
	}
}
