/* SPDX-License-Identifier: BSD-3-Clause */
/* Who somebody is, and who may know it: asserted identities and the wish for privacy (RFC 3323, 3325). A realm with `trust = trusted` is
 * inside the trust domain; towards any other the wish is carried out here. */
#include "controlplane/hide_internal.h"

enum {
	IDENTITY_SIP = 1,
	IDENTITY_TEL = 2,
	IDENTITY_PRIVACY = 4
}; /* of hide_way.identities: written already */

static const struct {
	struct span name;
	unsigned bit;
} wishes[] = {
	{ { "none", 4 }, HIDE_PRIVACY_NONE },
	{ { "header", 6 }, HIDE_PRIVACY_HEADER },
	{ { "session", 7 }, HIDE_PRIVACY_SESSION },
	{ { "user", 4 }, HIDE_PRIVACY_USER },
	{ { "id", 2 }, HIDE_PRIVACY_ID },
	{ { "history", 7 }, HIDE_PRIVACY_HISTORY },
	{ { "critical", 8 }, HIDE_PRIVACY_CRITICAL },
};
enum { WISHES = sizeof(wishes) / sizeof(wishes[0]) };

const struct name_addr hide_anonymous = {
	.display = { "Anonymous", 9 },
	.uri = { "sip:anonymous@anonymous.invalid", 31 },
};

unsigned hide_privacy(const struct message *message)
{
	struct span value, list, one;
	unsigned bits = 0;

	for (unsigned n = 0; n < HIDE_VALUES_MAX && message_header(message, SPAN("Privacy"), n, &value); n++)
		/* Its separator is ';', but commas occur. */
		while (value.n) {
			list = span_cut(&value, ',');
			while (list.n) {
				unsigned bit = HIDE_PRIVACY_UNKNOWN;

				one = span_trim(span_cut(&list, ';'));
				if (one.n == 0)
					continue;
				for (unsigned i = 0; i < WISHES; i++)
					if (span_equal_case(one, wishes[i].name))
						bit = wishes[i].bit;
				bits |= bit;
			}
		}
	return bits;
}

unsigned hide_privacy_status(const struct message *message)
{
	unsigned wish = hide_privacy(message);

	return (wish & HIDE_PRIVACY_CRITICAL) && (wish & HIDE_PRIVACY_UNKNOWN) ? 500 : 0;
}

static bool is_carried_out_towards(const struct leg *to)
{
	return to->profile->privacy != CONFIG_PRIVACY_RELAY || to->realm->trust != CONFIG_TRUST_TRUSTED;
}

bool hide_is_anonymous(const struct leg *leg)
{
	/* `id` is about the asserted identity alone, but a From that says the same would make it vain. */
	return (leg->privacy & (HIDE_PRIVACY_USER | HIDE_PRIVACY_ID)) &&
	       !(leg->privacy & HIDE_PRIVACY_NONE) && is_carried_out_towards(leg);
}

unsigned hide_way_privacy(struct hide_way *way)
{
	if (!way->privacy_known) {
		unsigned wish = hide_privacy(way->message);

		if (wish & HIDE_PRIVACY_NONE)
			wish = 0;
		/* What the caller began the dialog with holds for its requests. */
		if (way->from->side == LEG_CALLER && !(way->from->privacy & HIDE_PRIVACY_NONE))
			wish |= way->from->privacy;
		way->privacy = is_carried_out_towards(way->to) ? wish : 0;
		way->privacy_known = true;
	}
	return way->privacy;
}

/* Carried out, it is not passed on (RFC 3323 section 5); `none` is a wish that nobody can carry out for another. Of a relayed one the
 * known values cross, whatever stands beside them: an identity goes with it. */
void hide_copy_privacy(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	unsigned wish = hide_privacy(way->message);
	char text[64];
	struct writer list;

	(void)value;
	if (way->to->profile->privacy == CONFIG_PRIVACY_REMOVE || (way->identities & IDENTITY_PRIVACY))
		return;
	way->identities |= IDENTITY_PRIVACY;
	if (is_carried_out_towards(way->to))
		wish &= HIDE_PRIVACY_NONE;
	writer_init(&list, text, sizeof(text));
	for (unsigned i = 0; i < WISHES; i++)
		if (wish & wishes[i].bit) {
			writer_text(&list, list.len ? ";" : "");
			writer_span(&list, wishes[i].name);
		}
	hide_line(name, writer_result(&list), out);
}

/* RFC 3325 section 5: an identity means something between realms that trust each other. To an untrusted one it would tell the name of an
 * inside user that From and To do not. */
static bool may_assert(struct hide_way *way)
{
	return way->from->realm->trust == CONFIG_TRUST_TRUSTED &&
	       way->to->realm->trust == CONFIG_TRUST_TRUSTED &&
	       way->to->profile->privacy != CONFIG_PRIVACY_REMOVE &&
	       !(hide_way_privacy(way) & (HIDE_PRIVACY_ID | HIDE_PRIVACY_USER));
}

static void write_identity(
	struct hide_way *way, struct span name, const struct name_addr *address, struct writer *out)
{
	struct sip_uri uri;

	writer_span(out, name);
	writer_text(out, ": ");
	if (sip_uri_parse(address->uri, &uri) == 0 && span_equal_case(uri.scheme, SPAN("tel")))
		hide_write_uri(&uri, hide_way_host(way), true, out);
	else
		hide_name_addr(address, hide_way_host(way), out);
}

/* RFC 3325 section 9.1: one SIP or SIPS URI and one tel URI. */
static void copy_identities(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	struct span one;

	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		struct name_addr address;
		struct sip_uri uri;
		unsigned kind;

		if (name_addr_parse(one, &address) || sip_uri_parse(address.uri, &uri))
			continue;
		kind = span_equal_case(uri.scheme, SPAN("tel")) ? IDENTITY_TEL : IDENTITY_SIP;
		if (way->identities & kind)
			continue;
		way->identities |= kind;
		write_identity(way, name, &address, out);
		writer_text(out, "\r\n");
	}
}

void hide_copy_asserted(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	if (may_assert(way))
		copy_identities(way, name, value, out);
}

/* RFC 3325 section 9.2: a hint for whoever authenticates the user, which is the trusted side and not this SBC. */
void hide_copy_preferred(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	if (way->from->realm->trust != CONFIG_TRUST_TRUSTED &&
		way->to->realm->trust == CONFIG_TRUST_TRUSTED &&
		way->to->profile->privacy != CONFIG_PRIVACY_REMOVE &&
		!(hide_way_privacy(way) & (HIDE_PRIVACY_ID | HIDE_PRIVACY_USER)))
		copy_identities(way, name, value, out);
}

/* What telephones had before RFC 3325, and many still have. */
void hide_copy_remote_party(struct hide_way *way, struct span name, struct span value, struct writer *out)
{
	static const struct {
		const char *name, *words[6]; /* the last is NULL */
	} kept[] = {
		{ "party", { "calling", "called" } },
		{ "screen", { "yes", "no" } },
		{ "privacy", { "full", "name", "uri", "off" } },
		{ "id-type", { "subscriber", "user", "alias", "return", "term" } },
	};
	struct span one;

	if (!may_assert(way))
		return;
	for (unsigned n = 0; n < HIDE_VALUES_MAX && hide_list_next(&value, &one); n++) {
		struct name_addr address;
		struct span parameter, said;

		if (name_addr_parse(one, &address))
			continue;
		write_identity(way, name, &address, out);
		while (hide_parameter_next(&address.parameters, &parameter, &said))
			for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
				if (span_equal_case(parameter, span_from(kept[i].name)) &&
					hide_is_word(kept[i].words, said)) {
					writer_char(out, ';');
					writer_text(out, kept[i].name);
					writer_char(out, '=');
					writer_span(out, said);
				}
		writer_text(out, "\r\n");
	}
}
