/* SPDX-License-Identifier: BSD-3-Clause */
/* Signs of a NAT in a message, and legs that follow the flow of a registered phone. */
#include "controlplane/nat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/keep_alive.h"
#include "controlplane/registrar.h"
#include "controlplane/sips.h"

enum { DEFAULT_PORT = 5060, LINES_MAX = 16 };

bool nat_is_private(const union address *address)
{
	static const struct {
		uint32_t network, mask;
	} v4[] = {
		{ 0x0a000000, 0xff000000 }, { 0xac100000, 0xfff00000 },
		{ 0xc0a80000, 0xffff0000 }, /* RFC 1918 */
		{ 0x64400000, 0xffc00000 }, /* RFC 6598 */
		{ 0xa9fe0000, 0xffff0000 }, /* RFC 3927 */
	};

	if (address->sa.sa_family == AF_INET6)
		return (address->in6.sin6_addr.s6_addr[0] & 0xfe) == 0xfc ||
		       IN6_IS_ADDR_LINKLOCAL(&address->in6.sin6_addr);
	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++)
		if ((ntohl(address->in4.sin_addr.s_addr) & v4[i].mask) == v4[i].network)
			return true;
	return false;
}

/* --- signs of a NAT --------------------------------------------------------------------------------------------------- */

/* A name says nothing that could be compared: its owner is where it sends from. `same_port`: who listens where it sends from. */
static bool disagrees(struct span host, uint16_t port, const union address *source, bool same_port)
{
	union address stated;

	if (address_parse_host(host, &stated) || !address_equal_host(&stated, source))
		return true;
	return same_port && (port ? port : DEFAULT_PORT) != address_port(source);
}

static struct span host_of_sent_by(struct span sent_by)
{
	const char *colon = sent_by.n ? memrchr(sent_by.p, ':', sent_by.n) : NULL;
	const char *bracket = sent_by.n ? memrchr(sent_by.p, ']', sent_by.n) : NULL;

	if (colon && colon > bracket)
		sent_by.n = (size_t)(colon - sent_by.p);
	return span_trim(sent_by);
}

/* RFC 3581 section 3: who asks for it listens where he sends from. */
static bool asks_for_rport(const struct scan *scan)
{
	struct span rest;

	if (!scan_header_find(scan, SPAN("Via"), 'v', 0, &rest))
		return false;
	rest = span_cut(&rest, ',');
	span_cut(&rest, ';');
	while (rest.n) {
		struct span parameter = span_cut(&rest, ';');

		if (span_equal_case(span_trim(span_cut(&parameter, '=')), SPAN("rport")))
			return true;
	}
	return false;
}

bool nat_detect(
	const struct config_ip_profile *profile, const struct sip_flow *flow, const struct message *request)
{
	const struct scan *scan = message_scan(request);
	/* A stream's port is any: it says nothing. */
	bool same_port = !listener_is_reliable(flow->listener) && asks_for_rport(scan);
	struct name_addr contact;
	struct sip_uri uri;

	if (profile->nat != CONFIG_NAT_AUTO)
		return profile->nat == CONFIG_NAT_ALWAYS;
	if (disagrees(host_of_sent_by(scan->sent_by),
		    transport_sent_by_port(listener_transport(flow->listener), scan->sent_by), &flow->remote,
		    same_port))
		return true;
	/* A private address is no sign by itself: who is seen with it is on our own network. */
	return message_contact(request, &contact) == 0 && sip_uri_parse(contact.uri, &uri) == 0 &&
	       uri.host.n && disagrees(uri.host, uri.port, &flow->remote, same_port);
}

/* --- legs of registered phones ---------------------------------------------------------------------------------------- */

static bool flow_is_same(const struct binding_flow *a, const struct binding_flow *b)
{
	return a->listener == b->listener && a->connection == b->connection &&
	       address_equal(&a->remote, &b->remote);
}

static void note_phone(struct leg *leg, const struct binding *binding)
{
	memcpy(leg->phone, binding->token, sizeof(leg->phone));
	leg->phone_flow = binding->flow;
	leg->behind_nat = binding->behind_nat;
}

/* Several lines of a phone share its flow: the one that From names. Takes over the reference to `first`, any of them. */
static struct binding *line_of(const struct leg *leg, struct binding *first, const struct message *request)
{
	struct binding *line[LINES_MAX];
	char text[REGISTRAR_AOR_MAX];
	struct name_addr from;
	struct writer user;
	struct sip_uri uri;
	struct span rest;
	size_t count;

	writer_init(&user, text, sizeof(text));
	if (!first || message_from(request, &from) || sip_uri_parse(from.uri, &uri) ||
		sip_user_normal(uri.user, &user))
		return first;
	rest = first->aor;
	if (span_equal(span_cut(&rest, '@'), writer_result(&user)))
		return first;
	count = location_by_user(leg->shard->shared.location, writer_result(&user), line, LINES_MAX);
	for (size_t i = 0; i < count; i++) {
		if (flow_is_same(&line[i]->flow, &first->flow)) {
			struct binding *other = first;

			first = line[i];
			line[i] = other;
			break;
		}
	}
	for (size_t i = 0; i < count; i++)
		binding_put(line[i]);
	return first;
}

void nat_leg_recognise(struct leg *leg, const struct message *invite)
{
	const struct config_sip_interface *interface = listener_interface(leg->flow.listener);
	struct location *location = leg->shard->shared.location;
	struct binding *binding;

	if (!leg->agent)
		leg->behind_nat = nat_detect(leg->profile, &leg->flow, invite);
	if (!location || interface->registration == CONFIG_REGISTRATION_OFF)
		return;
	binding = line_of(leg, location_by_flow(location, &leg->flow), invite);
	if (binding)
		note_phone(leg, binding);
	binding_put(binding);
}

int nat_leg_is(struct leg *leg, const struct binding *binding)
{
	char *target;

	if (binding->contact.n > LEG_TEXT_MAX)
		return -EMSGSIZE;
	target = span_dup(binding->contact);
	if (!target)
		return -ENOMEM;
	if (sips_aim(leg, target)) {
		free(target);
		return -EPROTO;
	}
	free(leg->target);
	leg->target = target;
	note_phone(leg, binding);
	return 0;
}

bool nat_leg_follow(struct leg *leg)
{
	struct location *location = leg->shard->shared.location;
	struct binding *binding;
	struct sip_flow flow;
	bool moved;

	if (!leg->phone[0] || !location)
		return false;
	binding = location_by_token(location, span_from(leg->phone));
	moved = binding && !flow_is_same(&binding->flow, &leg->phone_flow);
	if (moved) {
		flow = registrar_flow(leg->shard, binding);
		moved = flow.listener != NULL;
	}
	if (moved) {
		leg->flow = flow;
		note_phone(leg, binding);
	}
	binding_put(binding);
	return moved;
}

bool nat_leg_is_behind(const struct leg *leg, const union address *stated)
{
	switch (leg->profile->nat) {
	case CONFIG_NAT_ALWAYS:
		return true;
	case CONFIG_NAT_NEVER:
		return false;
	case CONFIG_NAT_AUTO:
		break;
	}
	return leg->behind_nat || !address_equal_host(stated, &leg->flow.remote);
}
