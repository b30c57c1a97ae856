/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers that speak for registered phones. */
#include "controlplane/identity.h"

#include <string.h>

enum {
	AGENT_MAX = 128, /* of a phone's User-Agent; more is not told */
	BEGINNING = HIDE_INVITE | HIDE_MESSAGE | HIDE_SUBSCRIBE | HIDE_REFER | HIDE_PUBLISH,
};

static bool is_named(const char *header)
{
	return header && header[0];
}

bool identity_is_told(const struct hide_way *way)
{
	const struct config_ip_profile *profile = way->to->profile;

	return profile->assert_identity || is_named(profile->source_header) ||
	       is_named(profile->agent_header);
}

bool identity_is_ours(const struct hide_way *way, struct span name)
{
	const struct config_ip_profile *profile = way->to->profile;
	const struct span *identity;
	static const struct span identities[] = { { "P-Asserted-Identity", 19 },
		{ "P-Preferred-Identity", 20 }, { "Remote-Party-ID", 15 } };

	if ((is_named(profile->source_header) && span_equal_case(name, span_from(profile->source_header))) ||
		(is_named(profile->agent_header) && span_equal_case(name, span_from(profile->agent_header))))
		return true;
	/* Of a registered phone what it says of itself is worth nothing beside what is known of it. */
	if (!profile->assert_identity || !way->from->phone[0])
		return false;
	for (identity = identities; identity < identities + sizeof(identities) / sizeof(identities[0]);
		identity++)
		if (span_equal_case(name, *identity))
			return true;
	return false;
}

/* RFC 3325 section 5: only within the trust domain, and never against the caller's wish where that is carried out here. */
static void write_asserted(struct hide_way *way, struct span aor, struct writer *out)
{
	struct sip_uri uri = { .scheme = SPAN("sip"), .user = span_cut(&aor, '@') };

	if (way->to->realm->trust != CONFIG_TRUST_TRUSTED ||
		way->to->profile->privacy == CONFIG_PRIVACY_REMOVE ||
		(hide_way_privacy(way) & (HIDE_PRIVACY_ID | HIDE_PRIVACY_USER)))
		return;
	writer_text(out, "P-Asserted-Identity: ");
	hide_write_uri(&uri, hide_way_host(way), false, out);
	writer_text(out, "\r\n");
}

static void write_source(const struct hide_way *way, struct writer *out)
{
	char text[ADDRESS_TEXT_MAX];

	writer_text(out, way->to->profile->source_header);
	writer_text(out, ": ");
	writer_text(out, address_print(&way->from->flow.remote, text));
	writer_text(out, "\r\n");
}

/* Printable characters that mean nothing to a dialplan or a log; the rest becomes '_'. */
static void write_agent(const struct hide_way *way, struct span agent, struct writer *out)
{
	static const char kept[] = " -_./()+:,";

	if (agent.n > AGENT_MAX)
		agent.n = AGENT_MAX;
	writer_text(out, way->to->profile->agent_header);
	writer_text(out, ": ");
	for (size_t i = 0; i < agent.n; i++) {
		char c = agent.p[i];
		bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		writer_char(out, alnum || (c && strchr(kept, c)) ? c : '_');
	}
	writer_text(out, "\r\n");
}

void identity_write(struct hide_way *way, struct writer *out)
{
	struct location *location = way->from->shard->shared.location;
	struct binding *binding;

	if (!(way->kind & BEGINNING) || !way->from->phone[0] || !location)
		return;
	binding = location_by_token(location, span_from(way->from->phone));
	if (!binding)
		return;
	if (way->to->profile->assert_identity)
		write_asserted(way, binding->aor, out);
	if (is_named(way->to->profile->source_header))
		write_source(way, out);
	if (is_named(way->to->profile->agent_header) && binding->user_agent.n)
		write_agent(way, binding->user_agent, out);
	binding_put(binding);
}
