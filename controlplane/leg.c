/* SPDX-License-Identifier: BSD-3-Clause */
/* Dialog state of one leg: taken from the peer's messages, written into ours. */
#include "controlplane/leg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/agent.h"
#include "controlplane/credentials.h"
#include "controlplane/hide.h"
#include "controlplane/nat.h"
#include "controlplane/request_relay.h"
#include "controlplane/route.h"
#include "controlplane/sips.h"

enum { ROUTES_MAX = 16 };

/* --- text kept from the peer -------------------------------------------------------------------------------------- */

static int keep(char **field, struct span text)
{
	char *copy;

	if (text.n > LEG_TEXT_MAX)
		return -EMSGSIZE;
	copy = span_dup(text);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

bool leg_list_value(struct span list, unsigned n, struct span *value)
{
	bool quoted = false, angled = false;
	size_t start = 0;

	for (size_t i = 0; i <= list.n; i++) {
		char c = i < list.n ? list.p[i] : ',';

		if (i < list.n && quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
			continue;
		}
		if (i < list.n && c == '"' && !angled)
			quoted = true;
		else if (c == '<')
			angled = true;
		else if (c == '>')
			angled = false;
		if (c != ',' || (angled && i < list.n))
			continue;
		if (n-- == 0) {
			*value =
				span_trim((struct span){ list.p + start, (i < list.n ? i : list.n) - start });
			return value->n > 0;
		}
		start = i + 1;
	}
	return false;
}

/* From or To as we shall write it in this dialog: the same display name and URI, without header parameters. */
static int keep_name_addr(char **field, const struct name_addr *address)
{
	char buffer[LEG_TEXT_MAX];
	struct writer out;

	writer_init(&out, buffer, sizeof(buffer));
	if (address->display.n) {
		writer_char(&out, '"');
		writer_span(&out, address->display);
		writer_text(&out, "\" ");
	}
	writer_char(&out, '<');
	writer_span(&out, address->uri);
	writer_char(&out, '>');
	return out.overflow ? -EMSGSIZE : keep(field, writer_result(&out));
}

static int keep_routes(struct leg *leg, const struct message *message, bool reversed)
{
	struct span value, one, route[ROUTES_MAX];
	char buffer[LEG_TEXT_MAX];
	struct writer out;
	unsigned count = 0;

	for (unsigned n = 0; message_header(message, SPAN("Record-Route"), n, &value); n++)
		for (unsigned v = 0; leg_list_value(value, v, &one); v++) {
			if (count == ROUTES_MAX)
				return -EMSGSIZE;
			route[count++] = one;
		}
	free(leg->routes);
	leg->routes = NULL;
	if (count == 0)
		return 0;
	writer_init(&out, buffer, sizeof(buffer));
	for (unsigned i = 0; i < count; i++) {
		if (i)
			writer_text(&out, ", ");
		writer_span(&out, route[reversed ? count - 1 - i : i]);
	}
	return out.overflow ? -EMSGSIZE : keep(&leg->routes, writer_result(&out));
}

/* --- where requests go ---------------------------------------------------------------------------------------------- */

/* RFC 3261 section 19.1.2. */
static uint16_t default_port(const struct listener *listener)
{
	return listener_is_secure(listener) ? 5061 : 5060;
}

/* RFC 3261 section 12.2.1.1: the first route, else the target; but a peer behind a NAT is reached the way it came, and a name is
 * left to the peer that gave it. An untrusted peer thereby cannot make us send to a third party. */
static void choose_next_hop(struct leg *leg)
{
	struct span first = span_from(leg->target);
	struct name_addr route;
	struct sip_uri uri;
	union address stated;

	leg->next_hop = leg->flow.remote;
	if (leg->routes && leg_list_value(span_from(leg->routes), 0, &first) &&
		name_addr_parse(first, &route) == 0)
		first = route.uri;
	if (sip_uri_parse(first, &uri) || address_parse_host(uri.host, &stated))
		return;
	address_set_port(&stated, uri.port ? uri.port : default_port(leg->flow.listener));
	if (stated.sa.sa_family != leg->flow.remote.sa.sa_family || address_is_unspecified(&stated) ||
		nat_leg_is_behind(leg, &stated))
		return;
	leg->next_hop = stated;
}

static int take_target(struct leg *leg, const struct message *message)
{
	struct name_addr contact;
	struct sip_uri uri;
	int error = message_contact(message, &contact);

	if (error)
		return error;
	if (sip_uri_parse(contact.uri, &uri) || uri.host.n == 0)
		return -EINVAL;
	/* It becomes a Request-URI, which has no header fields (RFC 3261 section 19.1.5). */
	if (uri.headers.p)
		contact.uri.n = (size_t)(uri.headers.p - contact.uri.p) - 1;
	return keep(&leg->target, contact.uri);
}

struct sip_flow leg_flow(struct leg *leg)
{
	bool same;

	if (leg->phone[0] && nat_leg_follow(leg))
		choose_next_hop(leg);
	/* The connection the peer came by leads to it, and to no other host. */
	same = address_equal_host(&leg->next_hop, &leg->flow.remote);
	return (struct sip_flow){ .listener = leg->flow.listener,
		.remote = leg->next_hop,
		.connection = same ? leg->flow.connection : 0,
		.agent = leg->agent };
}

/* --- making --------------------------------------------------------------------------------------------------------- */

/* Longer than its field: left out. */
static void keep_user(char field[64], struct span user)
{
	struct writer out;

	writer_init(&out, field, 63);
	writer_span(&out, user);
	field[out.len] = '\0';
}

int leg_init_server(struct leg *leg, struct shard *shard, const struct message *invite)
{
	const struct config_sip_interface *interface;
	const struct scan *scan = message_scan(invite);
	struct name_addr from, to;
	struct sip_uri uri;
	int error;

	leg->shard = shard;
	leg->side = LEG_CALLER;
	leg->flow = *message_flow(invite);
	interface = listener_interface(leg->flow.listener);
	leg->realm = interface->realm;
	leg->profile = leg->agent && leg->agent->ip_profile ? leg->agent->ip_profile : interface->ip_profile;
	leg->remote_cseq = scan->cseq_number;
	leg->privacy = (uint8_t)hide_privacy(invite);
	leg->sips = sips_dialog(invite);
	leg_note_peer(leg, invite);
	shard_token(shard, leg->local_tag);
	if (message_from(invite, &from) || message_to(invite, &to) || from.tag.n == 0)
		return -EINVAL;
	if (message_request_uri(invite, &uri) == 0)
		keep_user(leg->contact_user, hide_user(&uri));
	if ((error = keep(&leg->call_id, scan->call_id)) || (error = keep(&leg->remote_tag, from.tag)) ||
		(error = keep_name_addr(&leg->remote, &from)) || (error = keep_name_addr(&leg->local, &to)) ||
		(error = take_target(leg, invite)) || (error = keep_routes(leg, invite, false)))
		return error == -ENOENT ? -EINVAL : error;
	nat_leg_recognise(leg, invite);
	choose_next_hop(leg);
	return 0;
}

/* What hide_name_addr has written, for a leg that is sips (RFC 5630 section 4: all hops, From and To included). */
static int keep_schemed(char **field, bool sips, struct span text)
{
	const char *uri = sips ? memmem(text.p, text.n, "<sip:", 5) : NULL;
	char buffer[LEG_TEXT_MAX];
	struct writer out;

	if (!uri)
		return keep(field, text);
	writer_init(&out, buffer, sizeof(buffer));
	writer_span(&out, (struct span){ text.p, (size_t)(uri - text.p) });
	writer_text(&out, "<sips:");
	writer_span(&out, (struct span){ uri + 5, (size_t)(text.p + text.n - uri) - 5 });
	return out.overflow ? -EMSGSIZE : keep(field, writer_result(&out));
}

/* sips says it all (RFC 5630 section 3.1.4). */
static void write_transport(const struct leg *leg, struct writer *out)
{
	if (!leg->sips)
		writer_text(out, transport_uri_parameter(listener_transport(leg->flow.listener)));
}

int leg_init_client(struct leg *leg, struct shard *shard, const struct sip_flow *flow, struct span called,
	const struct name_addr *from, const struct name_addr *to)
{
	const struct config_sip_interface *interface = listener_interface(flow->listener);
	char ours[ADDRESS_TEXT_MAX], theirs[ADDRESS_TEXT_MAX], token[SHARD_TOKEN_MAX], text[LEG_TEXT_MAX];
	struct writer out;
	struct sip_uri uri;
	int error;

	leg->shard = shard;
	leg->side = LEG_CALLED;
	leg->owns_call_id = true;
	leg->flow = *flow;
	leg->next_hop = flow->remote;
	leg->realm = interface->realm;
	leg->profile = leg->agent && leg->agent->ip_profile ? leg->agent->ip_profile : interface->ip_profile;
	if ((error = sips_admit(leg)))
		return error;
	shard_token(shard, leg->local_tag);
	keep_user(leg->called, called);
	address_print_uri(listener_address(flow->listener), ours);
	address_print_uri(&flow->remote, theirs);
	if (hide_is_anonymous(leg))
		from = &hide_anonymous;
	if (sip_uri_parse(from->uri, &uri) == 0)
		keep_user(leg->contact_user, hide_user(&uri));

	writer_init(&out, text, sizeof(text));
	hide_name_addr(from, span_from(ours), &out);
	if (out.overflow || (error = keep_schemed(&leg->local, leg->sips, writer_result(&out))))
		return out.overflow ? -EMSGSIZE : error;
	writer_init(&out, text, sizeof(text));
	hide_name_addr(to, span_from(theirs), &out);
	if (out.overflow || (error = keep_schemed(&leg->remote, leg->sips, writer_result(&out))))
		return out.overflow ? -EMSGSIZE : error;
	writer_init(&out, text, sizeof(text));
	writer_text(&out, leg->sips ? "sips:" : "sip:");
	writer_span(&out, called);
	if (called.n)
		writer_char(&out, '@');
	writer_text(&out, theirs);
	if (address_port(&flow->remote) != default_port(flow->listener))
		writer_format(&out, ":%u", address_port(&flow->remote));
	write_transport(leg, &out);
	if (out.overflow || (error = keep(&leg->target, writer_result(&out))))
		return out.overflow ? -EMSGSIZE : error;
	return keep(&leg->call_id, span_from(shard_token(shard, token)));
}

int leg_init_answer(struct leg *leg, struct shard *shard, const struct message *answer)
{
	/* Above the numbers of whatever we have sent in its early dialog (RFC 3261 section 12.2.2 has no bound for a gap). */
	enum { AFTER_THE_EARLY_DIALOG = 1000 };
	const struct config_sip_interface *interface;
	const struct scan *scan = message_scan(answer);
	struct name_addr from, to;
	int error;

	leg->shard = shard;
	leg->side = LEG_CALLED;
	leg->flow = *message_flow(answer);
	interface = listener_interface(leg->flow.listener);
	leg->realm = interface->realm;
	leg->agent = route_agent_by_flow(shard, &leg->flow);
	leg->profile = leg->agent && leg->agent->ip_profile ? leg->agent->ip_profile : interface->ip_profile;
	leg->invite_cseq = scan->cseq_number;
	leg->local_cseq = scan->cseq_number + AFTER_THE_EARLY_DIALOG;
	if (message_from(answer, &from) || message_to(answer, &to) || scan->from_tag.n >= SHARD_TOKEN_MAX)
		return -EINVAL;
	memcpy(leg->local_tag, scan->from_tag.p, scan->from_tag.n);
	if ((error = keep(&leg->call_id, scan->call_id)) || (error = keep_name_addr(&leg->local, &from)) ||
		(error = keep_name_addr(&leg->remote, &to)))
		return error;
	/* An unusable Contact leaves what it was called by. */
	error = keep(&leg->target, to.uri);
	return error ? error : leg_take_response(leg, answer);
}

void leg_fini(struct leg *leg)
{
	struct transaction *const attached[] = { leg->server_invite, leg->client_invite, leg->client_bye };

	for (size_t i = 0; i < sizeof(attached) / sizeof(attached[0]); i++)
		if (attached[i])
			transaction_detach(attached[i]);
	request_relay_abort(leg);
	agent_give(leg);
	statistics_end(leg);
	credentials_free(leg->credentials);
	timer_cancel(&leg->session.timer);
	free(leg->call_id);
	free(leg->remote_tag);
	free(leg->local);
	free(leg->remote);
	free(leg->target);
	free(leg->routes);
	*leg = (struct leg){ 0 };
}

int leg_take_response(struct leg *leg, const struct message *response)
{
	int error;

	leg_note_peer(leg, response);
	session_id_learn(leg, response);
	if ((error = keep(&leg->remote_tag, message_scan(response)->to_tag)))
		return error;
	error = take_target(leg, response);
	if (error && error != -ENOENT)
		return error;
	if ((error = keep_routes(leg, response, true)))
		return error;
	choose_next_hop(leg);
	return 0;
}

int leg_aim(struct leg *leg, struct span target)
{
	return keep(&leg->target, target);
}

int leg_preload(struct leg *leg, struct span routes)
{
	char buffer[LEG_TEXT_MAX];
	struct name_addr route;
	struct writer out;
	struct span one;
	struct sip_uri uri;

	writer_init(&out, buffer, sizeof(buffer));
	for (unsigned n = 0; n < ROUTES_MAX && leg_list_value(routes, n, &one); n++) {
		if (memchr(one.p, '\r', one.n) || memchr(one.p, '\n', one.n) ||
			name_addr_parse(one, &route) || sip_uri_parse(route.uri, &uri) ||
			!span_equal_case(uri.scheme, SPAN("sip")))
			continue;
		writer_text(&out, out.len ? ", " : "");
		writer_span(&out, one);
	}
	if (out.overflow)
		return -EMSGSIZE;
	return out.len ? keep(&leg->routes, writer_result(&out)) : 0;
}

int leg_take_request(struct leg *leg, const struct message *request)
{
	int error;

	leg_note_peer(leg, request);
	if ((error = keep(&leg->remote_tag, message_scan(request)->from_tag)) ||
		(error = take_target(leg, request)) || (error = keep_routes(leg, request, false)))
		return error == -ENOENT ? -EINVAL : error;
	leg->remote_cseq = message_scan(request)->cseq_number;
	choose_next_hop(leg);
	return 0;
}

int leg_refresh_target(struct leg *leg, const struct message *message)
{
	int error = take_target(leg, message);

	leg_note_peer(leg, message);
	if (error)
		return error == -ENOENT ? 0 : error;
	/* A phone whose NAT gave it a new port comes from there: its re-INVITE says where it can be reached now. */
	if (message_scan(message)->is_request && leg->profile->nat != CONFIG_NAT_NEVER)
		leg->flow = *message_flow(message);
	choose_next_hop(leg);
	return 0;
}

/* Each value of a comma-separated header, up to a bound: whoever lists more is not believed the rest. */
static void note_list(const struct message *message, struct span name,
	void (*each)(struct span token, uint32_t *bits), uint32_t *bits)
{
	enum { TOKENS_MAX = 64 };
	struct span value, token;
	bool found = false;
	uint32_t seen = 0;

	for (unsigned n = 0, tokens = 0; message_header(message, name, n, &value); n++) {
		found = true;
		for (unsigned v = 0; tokens < TOKENS_MAX && leg_list_value(value, v, &token); v++, tokens++)
			each(token, &seen);
	}
	if (found)
		*bits = seen;
}

static void note_option(struct span token, uint32_t *bits)
{
	enum sip_option option = sip_option_parse(token);

	if (option != SIP_OPTION_COUNT)
		*bits |= 1U << option;
}

static void note_method(struct span token, uint32_t *bits)
{
	*bits |= 1U << sip_method_parse(token);
}

void leg_note_peer(struct leg *leg, const struct message *message)
{
	note_list(message, SPAN("Supported"), note_option, &leg->peer_options);
	note_list(message, SPAN("Allow"), note_method, &leg->peer_methods);
}

bool leg_peer_allows(const struct leg *leg, enum sip_method method)
{
	return (leg->peer_methods >> method & 1) != 0;
}

bool leg_peer_supports(const struct leg *leg, enum sip_option option)
{
	return (leg->peer_options >> option & 1) != 0;
}

bool leg_accept_cseq(struct leg *leg, const struct message *request)
{
	uint32_t number = message_scan(request)->cseq_number;

	if (leg->remote_cseq && number <= leg->remote_cseq)
		return false;
	session_id_learn(leg, request);
	leg->remote_cseq = number;
	return true;
}

/* All but the remote tag and the route set. */
static int copy_dialog(struct leg *copy, const struct leg *leg)
{
	int error;

	*copy = (struct leg){
		.shard = leg->shard,
		.side = leg->side,
		.realm = leg->realm,
		.profile = leg->profile,
		.agent = leg->agent,
		.flow = leg->flow,
		.next_hop = leg->flow.remote,
		.local_cseq = leg->local_cseq,
		.invite_cseq = leg->invite_cseq,
		.owns_call_id = leg->owns_call_id,
		.credentials = credentials_share(leg->credentials),
		.privacy = leg->privacy,
		.session = leg->session,
		.behind_nat = leg->behind_nat,
		.sips = leg->sips,
		.session_ids = { .local = leg->session_ids.local },
		.phone_flow = leg->phone_flow,
	};
	copy->session.timer = (struct timer){ 0 };
	memcpy(copy->local_tag, leg->local_tag, sizeof(copy->local_tag));
	memcpy(copy->phone, leg->phone, sizeof(copy->phone));
	memcpy(copy->contact_user, leg->contact_user, sizeof(copy->contact_user));
	if ((error = keep(&copy->call_id, span_from(leg->call_id))) ||
		(error = keep(&copy->local, span_from(leg->local))) ||
		(error = keep(&copy->remote, span_from(leg->remote))))
		return error;
	return keep(&copy->target, span_from(leg->target));
}

int leg_fork(struct leg *fork, const struct leg *leg, const struct message *response)
{
	int error = copy_dialog(fork, leg);

	return error ? error : leg_take_response(fork, response);
}

int leg_early(struct leg *early, const struct leg *leg)
{
	int error = copy_dialog(early, leg);

	early->next_hop = leg->next_hop;
	early->remote_cseq = leg->server_invite
				     ? message_scan(transaction_message(leg->server_invite))->cseq_number
				     : leg->remote_cseq;
	early->peer_options = leg->peer_options;
	early->peer_methods = leg->peer_methods;
	if (!error && leg->remote_tag)
		error = keep(&early->remote_tag, span_from(leg->remote_tag));
	if (!error && leg->routes)
		error = keep(&early->routes, span_from(leg->routes));
	return error;
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static void write_host_port(const union address *address, struct writer *out)
{
	char text[ADDRESS_TEXT_MAX];

	writer_text(out, address_print_uri(address, text));
	writer_char(out, ':');
	writer_uint(out, address_port(address));
}

static bool is_loose(struct span route)
{
	struct name_addr address;
	struct sip_uri uri;
	struct span rest;

	if (name_addr_parse(route, &address) || sip_uri_parse(address.uri, &uri))
		return true;
	for (rest = uri.parameters; rest.n;) {
		struct span parameter = span_cut(&rest, ';');

		if (span_equal_case(span_trim(span_cut(&parameter, '=')), SPAN("lr")))
			return true;
	}
	return false;
}

/* A strict router of old (no ;lr) takes the request URI and gets the target as the last route. */
static void write_target(const struct leg *leg, bool strict, struct writer *out)
{
	struct span first;
	struct name_addr route;

	if (strict && leg_list_value(span_from(leg->routes), 0, &first) &&
		name_addr_parse(first, &route) == 0)
		writer_span(out, route.uri);
	else
		writer_text(out, leg->target);
}

static void write_routes(const struct leg *leg, bool strict, struct writer *out)
{
	struct span value;

	if (!leg->routes)
		return;
	for (unsigned n = strict ? 1 : 0; leg_list_value(span_from(leg->routes), n, &value); n++) {
		writer_text(out, "Route: ");
		writer_span(out, value);
		writer_text(out, "\r\n");
	}
	if (strict) {
		writer_text(out, "Route: <");
		writer_text(out, leg->target);
		writer_text(out, ">\r\n");
	}
}

static void write_tagged(const char *name, const char *value, const char *tag, struct writer *out)
{
	writer_text(out, name);
	writer_text(out, value);
	/* A peer of RFC 2543 may have none. */
	if (tag && tag[0] != '\0') {
		writer_text(out, ";tag=");
		writer_text(out, tag);
	}
	writer_text(out, "\r\n");
}

void leg_request_begin(struct leg *leg, enum sip_method method, unsigned max_forwards, struct writer *out)
{
	char branch[TRANSACTION_BRANCH_MAX];
	struct span first;
	bool strict = leg->routes && leg_list_value(span_from(leg->routes), 0, &first) && !is_loose(first);
	uint32_t cseq = leg->invite_cseq;
	size_t uri;

	if (method != SIP_METHOD_ACK)
		cseq = ++leg->local_cseq;
	if (method == SIP_METHOD_INVITE)
		leg->invite_cseq = cseq;

	writer_text(out, sip_method_name(method));
	writer_char(out, ' ');
	uri = out->len;
	write_target(leg, strict, out);
	first = (struct span){ out->buffer + uri, out->len - uri };
	writer_text(out, " SIP/2.0\r\nVia: SIP/2.0/");
	writer_text(out, transport_via_name(listener_transport(leg->flow.listener)));
	writer_char(out, ' ');
	write_host_port(listener_address(leg->flow.listener), out);
	writer_text(out, ";rport;branch=");
	writer_text(out, transaction_branch(leg->shard, branch));
	writer_text(out, "\r\n");
	write_routes(leg, strict, out);
	writer_text(out, "Max-Forwards: ");
	writer_uint(out, max_forwards);
	writer_text(out, "\r\n");
	write_tagged("From: ", leg->local, leg->local_tag, out);
	write_tagged("To: ", leg->remote, leg->remote_tag, out);
	writer_text(out, "Call-ID: ");
	writer_text(out, leg->call_id);
	writer_text(out, "\r\nCSeq: ");
	writer_uint(out, cseq);
	writer_char(out, ' ');
	writer_text(out, sip_method_name(method));
	writer_text(out, "\r\n");
	credentials_write(leg, method, first, out);
	session_id_write(leg, out);
}

void leg_contact(const struct leg *leg, struct writer *out)
{
	writer_text(out, leg->sips ? "Contact: <sips:" : "Contact: <sip:");
	if (leg->contact_user[0]) {
		writer_text(out, leg->contact_user);
		writer_char(out, '@');
	}
	write_host_port(listener_address(leg->flow.listener), out);
	write_transport(leg, out);
	writer_text(out, ">\r\n");
}

void leg_move(struct leg *leg, struct config_move *move)
{
	config_move_realm(move, &leg->realm);
	config_move_ip_profile(move, &leg->profile);
	config_move_session_agent(move, &leg->agent);
	config_move_session_agent(move, &leg->flow.agent);
}
