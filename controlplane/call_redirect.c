/* SPDX-License-Identifier: BSD-3-Clause */
/* Redirection of a call by its callee: followed as far as the caller could have called there himself, or passed on to him. */
#include <stdlib.h>

#include "controlplane/call_attempt.h"
#include "controlplane/call_transfer.h"
#include "controlplane/hide.h"
#include "controlplane/route.h"

enum { CONTACTS_MAX = 8 };

struct contact {
	struct sip_uri uri;
	struct span user;
	unsigned q; /* thousandths */
};

/* qvalue of RFC 3261 section 25.1; none, or an unreadable one: 1. */
static unsigned q_of(struct span parameters)
{
	static const unsigned weight[] = { 100, 10, 1 };
	unsigned q = 0;

	while (parameters.n) {
		struct span value = span_cut(&parameters, ';');

		if (!span_equal_case(span_trim(span_cut(&value, '=')), SPAN("q")))
			continue;
		value = span_trim(value);
		if (value.n == 0 || value.p[0] != '0')
			return 1000;
		for (size_t i = 2; i < value.n && i < 5 && value.p[i] >= '0' && value.p[i] <= '9'; i++)
			q += weight[i - 2] * (unsigned)(value.p[i] - '0');
		return q;
	}
	return 1000;
}

static bool take_contact(struct span value, struct contact *out)
{
	struct name_addr address;

	if (name_addr_parse(value, &address) || sip_uri_parse(address.uri, &out->uri) ||
		(!span_equal_case(out->uri.scheme, SPAN("sip")) &&
			!span_equal_case(out->uri.scheme, SPAN("tel"))))
		return false;
	out->user = hide_user(&out->uri);
	out->q = q_of(address.parameters);
	return out->user.n > 0;
}

/* Best first, equal ones in the order of the message. */
static unsigned take_contacts(const struct message *response, struct contact list[CONTACTS_MAX])
{
	struct span value, one;
	unsigned count = 0;

	for (unsigned n = 0; count < CONTACTS_MAX && message_header(response, SPAN("Contact"), n, &value);
		n++)
		for (unsigned v = 0; count < CONTACTS_MAX && leg_list_value(value, v, &one); v++) {
			struct contact contact;
			unsigned at = count;

			if (!take_contact(one, &contact))
				continue;
			for (; at && list[at - 1].q < contact.q; at--)
				list[at] = list[at - 1];
			list[at] = contact;
			count++;
		}
	return count;
}

static bool is_followed(unsigned status)
{
	return status == 300 || status == 301 || status == 302;
}

static struct span caller_user(const struct call *call)
{
	struct span none = { NULL, 0 };
	struct name_addr from;
	struct sip_uri uri;

	const struct transaction *server = call->leg[LEG_CALLER].server_invite;

	if (message_from(server ? transaction_message(server) : transfer_invite(call), &from) ||
		sip_uri_parse(from.uri, &uri))
		return none;
	return hide_user(&uri);
}

/* Whoever redirects must not lead where the caller may not call. */
static bool is_forbidden(
	const struct config *config, const struct config_local_policy *policy, struct span called)
{
	const struct config_admission *rule = admission_rule(config, policy, called);

	return rule && !rule->permit;
}

unsigned redirect_take(struct call *call, const struct message *response)
{
	const struct config *config = call->shard->config;
	const struct config_realm *realm = call->carry ? transfer_realm(call) : call->leg[LEG_CALLER].realm;
	struct contact list[CONTACTS_MAX];
	struct span from = caller_user(call);
	unsigned contacts, added = 0, taken = call->attempts ? call->attempts->redirects : 0;

	if (!is_followed(message_scan(response)->status))
		return 0;
	contacts = take_contacts(response, list);
	for (unsigned i = 0; i < contacts && taken < config->sip.max_redirects; i++) {
		const struct config_session_agent *agent =
			route_agent_by_uri(call->shard, list[i].uri.host, list[i].uri.port);
		const struct config_local_policy *policy;
		unsigned at = (call->attempts ? call->attempts->at : 0) + 1 + added, targets = 0;

		if (agent && route_find_to(config, realm, from, list[i].user, agent, &policy))
			agent = NULL;
		if ((agent || route_find(config, realm, from, list[i].user, &policy) == 0) &&
			!is_forbidden(config, policy, list[i].user))
			targets = attempt_insert(call, at, policy, agent, list[i].user);
		for (unsigned k = at; k < at + targets; k++) {
			call->attempts->target[k].diverted = true;
			call->attempts->target[k].parent = call->attempts->at;
		}
		added += targets;
		taken += targets > 0;
	}
	if (call->attempts)
		call->attempts->redirects = taken;
	return added;
}

static void write_contact(const struct leg *leg, const struct contact *contact, struct writer *out)
{
	const union address *ours = listener_address(leg->flow.listener);
	char text[ADDRESS_TEXT_MAX];

	writer_text(out, leg->sips ? "Contact: <sips:" : "Contact: <sip:");
	writer_span(out, contact->user);
	writer_char(out, '@');
	writer_text(out, address_print_uri(ours, text));
	writer_format(out, ":%u", address_port(ours));
	if (!leg->sips)
		writer_text(out, transport_uri_parameter(listener_transport(leg->flow.listener)));
	writer_char(out, '>');
	if (contact->q < 1000)
		writer_format(out, ";q=0.%03u", contact->q);
	writer_text(out, "\r\n");
}

bool redirect_relay(struct call *call, const struct message *response)
{
	struct leg *caller = &call->leg[LEG_CALLER];
	unsigned contacts, status = message_scan(response)->status;
	struct contact list[CONTACTS_MAX];
	char lines[2048], text[CALL_MESSAGE_MAX];
	struct writer extra, out;

	contacts = is_followed(status) ? take_contacts(response, list) : 0;
	if (contacts == 0)
		return false;
	writer_init(&extra, lines, sizeof(lines));
	for (unsigned i = 0; i < contacts; i++)
		write_contact(caller, &list[i], &extra);
	writer_init(&out, text, sizeof(text));
	if (extra.overflow || invite_write(caller, status, caller->local_tag, response, writer_result(&extra),
				      (struct span){ NULL, 0 }, &out))
		return false;
	timer_cancel(&call->timer);
	early_over(call);
	call->status = status;
	call->cause = "redirected";
	shard_count(call->shard, CALLS_FAILED);
	invite_send_written(caller, status, caller->local_tag, writer_result(&out));
	return true;
}
