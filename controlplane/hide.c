/* SPDX-License-Identifier: BSD-3-Clause */
/* Topology hiding: the way of a message's headers through the allow-list, and what is ours in every message. */
#include "controlplane/hide_internal.h"

#include <string.h>

#include "controlplane/core.h"
#include "controlplane/identity.h"

struct span hide_way_host(struct hide_way *way)
{
	if (way->host[0] == '\0')
		address_print_uri(listener_address(way->to->flow.listener), way->host);
	return span_from(way->host);
}

/* --- parts of a value ----------------------------------------------------------------------------------------------- */

/* Octets up to a `stop` outside of quotes and <>. A quote that does not end takes the rest with it. */
static size_t length_until(struct span text, char stop)
{
	bool angled = false;
	size_t n = 0;

	while (n < text.n) {
		char c = text.p[n];

		if (c == '"' && !angled) {
			size_t quoted = sip_quoted_length((struct span){ text.p + n, text.n - n });

			n = quoted ? n + quoted : text.n;
			continue;
		}
		if (c == '<')
			angled = true;
		else if (c == '>')
			angled = false;
		else if (!angled && c == stop)
			break;
		n++;
	}
	return n;
}

static struct span cut_at(struct span *rest, size_t n)
{
	struct span head = { rest->p, n };

	*rest = n < rest->n ? (struct span){ rest->p + n + 1, rest->n - n - 1 } : (struct span){ NULL, 0 };
	return span_trim(head);
}

bool hide_list_next(struct span *rest, struct span *value)
{
	while (rest->n) {
		*value = cut_at(rest, length_until(*rest, ','));
		if (value->n)
			return true;
	}
	return false;
}

bool hide_parameter_next(struct span *rest, struct span *name, struct span *value)
{
	while (rest->n) {
		struct span one = cut_at(rest, length_until(*rest, ';'));

		*name = span_trim(span_cut(&one, '='));
		*value = span_trim(one);
		if (name->n)
			return true;
	}
	return false;
}

/* --- headers -------------------------------------------------------------------------------------------------------- */

bool hide_is_listed(const struct config_strings *names, struct span name)
{
	for (size_t i = 0; i < names->count; i++) {
		struct span item = span_from(names->item[i]);
		bool beginning = item.n && item.p[item.n - 1] == '*';

		if (beginning ? span_starts_case(name, (struct span){ item.p, item.n - 1 })
			      : span_equal_case(name, item))
			return true;
	}
	return false;
}

static void copy_one(struct hide_way *way, const struct scan_header *header, struct writer *out)
{
	const struct config_strings *pass = &way->to->profile->headers_pass;
	const struct config_strings *drop = &way->from->profile->headers_drop;
	const struct hide_row *row = hide_row_find(header->name);
	bool passed = false;

	/* Ours is said already. */
	if (row && row->copy == hide_copy_session_id && !session_id_is_nil(&way->to->session_ids.local))
		return;
	if (pass->count && !(way->kind & (HIDE_ACK | HIDE_CANCEL)))
		passed = hide_is_listed(pass, message_header_name(header->name)) &&
			 !hide_is_ours(message_header_name(header->name));
	if (way->told && identity_is_ours(way, message_header_name(header->name)))
		return;
	if (!passed && !(row && (row->kinds & (unsigned)way->kind)))
		return;
	if (drop->count && hide_is_listed(drop, message_header_name(header->name)))
		return;
	if (passed)
		hide_copy_verbatim(way, message_header_name(header->name), header->value, out);
	else
		row->copy(way, row->name, header->value, out);
}

void hide_headers(const struct message *message, enum hide_kind kind, const struct leg *from,
	const struct leg *to, struct writer *out)
{
	struct hide_way way = { .message = message, .from = from, .to = to, .kind = kind };
	const struct scan *scan = message_scan(message);

	way.told = identity_is_told(&way);
	for (unsigned i = 0; i < scan->headers; i++)
		copy_one(&way, &scan->header[i], out);
	if (way.diverted || hide_diverted_here(&way))
		hide_diversions(&way, out);
	if (way.told)
		identity_write(&way, out);
	/* A request has it from leg_request_begin. */
	if (kind & (HIDE_PROVISIONAL | HIDE_SUCCESS | HIDE_FAILURE))
		session_id_write(to, out);
}

/* --- ours ----------------------------------------------------------------------------------------------------------- */

unsigned hide_status(unsigned status)
{
	static const struct {
		unsigned from, to;
	} map[] = {
		{ 305, 480 },
		{ 380, 480 }, /* contacts of the far side */
		{ 405, 500 },
		{ 416, 404 },
		{ 420, 500 },
		{ 421, 500 }, /* between the callee and us alone */
		{ 422, 500 },
		{ 423, 500 },
		{ 439, 500 },
		{ 481, 480 }, /* a new call had no dialog there */
		{ 485, 404 },
		{ 494, 488 },
		{ 501, 500 },
		{ 505, 500 },
		{ 513, 500 },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].from == status)
			return map[i].to;
	if (status < 400)
		return 480; /* redirection is not followed yet; its contacts name the far side's hosts */
	return status > 699 ? 500 : status;
}

void hide_allow(struct writer *out)
{
	core_allow(out);
}

void hide_product(const struct config *config, bool request, struct writer *out)
{
	hide_line(request ? SPAN("User-Agent") : SPAN("Server"), span_from(config->sip.user_agent), out);
}
