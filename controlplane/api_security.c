/* SPDX-License-Identifier: BSD-3-Clause */
/* Bans, the guard, registrations, subscribers: answered by the main thread from what all threads share. */
#include "controlplane/api_security.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/guard.h"
#include "platforms/base/clock.h"

enum { ORDERS_MAX = 256 };

_Static_assert(sizeof(struct cp_guard_page) + CP_GUARD_PAGE * sizeof(struct cp_guard) < IPC_PACKET_MAX - 64,
	"a page of the guard fits into a packet");
_Static_assert(sizeof(struct cp_registration_page) + CP_REGISTRATION_PAGE * sizeof(struct cp_registration) <
		       IPC_PACKET_MAX - 64,
	"a page of registrations fits into a packet");
_Static_assert(sizeof(struct cp_subscriber_page) + CP_SUBSCRIBER_PAGE * sizeof(struct cp_subscriber_entry) <
		       IPC_PACKET_MAX - 64,
	"a page of subscribers fits into a packet");
_Static_assert(sizeof(struct cp_audit_page) + CP_AUDIT_PAGE * sizeof(struct cp_audit) < IPC_PACKET_MAX - 64,
	"a page of the audit fits into a packet");
_Static_assert(sizeof(struct cp_ban) % 8 == 0 && sizeof(struct cp_guard) % 8 == 0 &&
		       sizeof(struct cp_registration) % 8 == 0 && sizeof(struct cp_subscriber) % 8 == 0 &&
		       sizeof(struct cp_subscriber_entry) % 8 == 0 && sizeof(struct cp_audit) % 8 == 0,
	"the API's layout has no padding of the compiler's");

/* An order about a ban that the dataplane has not answered yet. */
struct order {
	struct order *next, **link;
	struct api_security *security;
	struct ipc_peer *peer; /* NULL: it went away */
	uint64_t sequence;
	uint16_t type;
};

struct api_security {
	struct api_world world;
	struct order *orders;
	unsigned count;
};

/* What a question came with, its answer goes with. */
struct asked {
	struct api_security *security;
	struct ipc_peer *peer;
	const struct ipc_frame *frame;
};

static void answer(const struct asked *asked, int status, const void *body, size_t length)
{
	ipc_send(asked->peer, (uint16_t)(asked->frame->type + CP_REPLY), (int16_t)status,
		asked->frame->sequence, status ? NULL : body, status ? 0 : length);
}

static void copy_span(char *out, size_t size, struct span text)
{
	size_t n = text.n < size - 1 ? text.n : size - 1;

	memset(out, 0, size);
	if (n)
		memcpy(out, text.p, n);
}

/* --- bans -------------------------------------------------------------------------------------------------------------- */

static void order_done(void *arg, int status)
{
	struct order *order = arg;

	/* The server has ended before the dataplane answered. */
	if (!order->security) {
		free(order);
		return;
	}
	if (order->peer)
		ipc_send(order->peer, (uint16_t)(order->type + CP_REPLY), (int16_t)status, order->sequence,
			NULL, 0);
	*order->link = order->next;
	if (order->next)
		order->next->link = order->link;
	order->security->count--;
	free(order);
}

static struct order *order_new(const struct asked *asked)
{
	struct api_security *security = asked->security;
	struct order *order = security->count < ORDERS_MAX ? calloc(1, sizeof(*order)) : NULL;

	if (!order)
		return NULL;
	order->security = security;
	order->peer = asked->peer;
	order->sequence = asked->frame->sequence;
	order->type = asked->frame->type;
	order->next = security->orders;
	if (order->next)
		order->next->link = &order->next;
	order->link = &security->orders;
	security->orders = order;
	security->count++;
	return order;
}

static struct dp_source_key read_key(const struct cp_ban *ban)
{
	struct dp_source_key key = { .length = ban->length };

	memcpy(key.address.ip, ban->ip, sizeof(ban->ip));
	key.address.port = ban->port;
	key.address.family = ban->family;
	return key;
}

static void take_ban(const struct asked *asked, const void *body)
{
	struct cp_ban ban;
	struct dp_ban out = { 0 };
	struct order *order;

	memcpy(&ban, body, sizeof(ban));
	ban.reason[sizeof(ban.reason) - 1] = ban.who[sizeof(ban.who) - 1] = '\0';
	out.key = read_key(&ban);
	out.flags = ban.flags;
	out.expires_us = ban.expires_us;
	memcpy(out.reason, ban.reason, sizeof(out.reason));
	order = asked->security->world.bans ? order_new(asked) : NULL;
	if (!order)
		answer(asked, -EBUSY, NULL, 0);
	else if (asked->frame->type == CP_BAN_SET)
		bans_set(asked->security->world.bans, &out, ban.who, order_done, order);
	else
		bans_lift(asked->security->world.bans, &out.key, ban.who, order_done, order);
}

/* --- the guard ---------------------------------------------------------------------------------------------------------- */

static void add_denial(const struct bans *bans, struct cp_guard *entry)
{
	struct dp_source_key key = { 0 };

	memcpy(key.address.ip, entry->ip, sizeof(entry->ip));
	key.address.family = entry->family;
	key.address.port = entry->port;
	key.length = entry->family == 4 ? 32 : entry->whole ? 64 : 128;
	entry->times = bans_times(bans, &key, &entry->until_wall_ms);
	if (entry->times && (entry->until_wall_ms == 0 || entry->until_wall_ms > clock_wall_ms()))
		entry->step = CP_GUARD_DENIED;
}

static void take_guard(const struct asked *asked, const void *body)
{
	struct {
		struct cp_guard_page page;
		struct cp_guard entry[CP_GUARD_PAGE];
	} reply;
	const struct api_world *world = &asked->security->world;
	struct cp_guard_list list;
	size_t limit;

	memcpy(&list, body, sizeof(list));
	limit = list.limit && list.limit < CP_GUARD_PAGE ? list.limit : CP_GUARD_PAGE;
	reply.page = (struct cp_guard_page){ .denials = world->bans ? bans_denials(world->bans) : 0 };
	reply.page.count =
		(uint32_t)guard_list(world->shared->guard, list.after, limit, reply.entry, &reply.page.after);
	for (uint32_t i = 0; i < reply.page.count && world->bans; i++)
		add_denial(world->bans, &reply.entry[i]);
	answer(asked, 0, &reply, sizeof(reply.page) + reply.page.count * sizeof(reply.entry[0]));
}

/* What a person has ordered stays: that is `unban`'s. */
static void take_guard_clear(const struct asked *asked, const void *body)
{
	const struct api_world *world = &asked->security->world;
	struct dp_source_key key;
	struct order *order = NULL;
	struct cp_ban clear;
	uint64_t until;
	bool denied;

	memcpy(&clear, body, sizeof(clear));
	clear.who[sizeof(clear.who) - 1] = '\0';
	key = read_key(&clear);
	if ((key.address.family != 4 && key.address.family != 6) ||
		key.length > (key.address.family == 4 ? 32 : 128)) {
		answer(asked, -EINVAL, NULL, 0);
		return;
	}
	guard_forgive(world->shared->guard, &key);
	denied = world->bans && bans_times(world->bans, &key, &until) > 0;
	if (denied)
		order = order_new(asked);
	if (order)
		bans_lift(world->bans, &key, clear.who, order_done, order);
	else
		answer(asked, denied ? -EBUSY : 0, NULL, 0);
}

static void take_reasons(const struct asked *asked, const void *body)
{
	struct {
		struct cp_block_page page;
		struct cp_block block[CP_BLOCK_PAGE];
	} reply = { 0 };
	struct cp_block_list list;
	struct prefix source;
	bool more = false;
	size_t limit;
	int error;

	memcpy(&list, body, sizeof(list));
	limit = list.limit && list.limit < CP_BLOCK_PAGE ? list.limit : CP_BLOCK_PAGE;
	error = api_block_source(&list, &source);
	if (!error)
		reply.page.count = (uint32_t)guard_reasons(asked->security->world.shared->guard, &source,
			list.before, limit, reply.block, &more);
	reply.page.more = more;
	answer(asked, error, &reply, sizeof(reply.page) + reply.page.count * sizeof(reply.block[0]));
}

/* --- registrations ------------------------------------------------------------------------------------------------------ */

static const char *transport_name(enum config_transport transport)
{
	static const char *const names[] = { [CONFIG_TRANSPORT_UDP] = "udp",
		[CONFIG_TRANSPORT_TCP] = "tcp",
		[CONFIG_TRANSPORT_TLS] = "tls",
		[CONFIG_TRANSPORT_WS] = "ws",
		[CONFIG_TRANSPORT_WSS] = "wss" };

	return names[transport];
}

static void describe(const struct binding *b, struct cp_registration *out)
{
	char text[ADDRESS_TEXT_MAX];

	*out = (struct cp_registration){ .number = b->number,
		.expires_wall_ms = __atomic_load_n(&b->expires_wall_ms, __ATOMIC_RELAXED),
		.upstream_expires_wall_ms = __atomic_load_n(&b->upstream_expires_wall_ms, __ATOMIC_RELAXED),
		.heard_wall_ms = __atomic_load_n(&b->heard_wall_ms, __ATOMIC_RELAXED),
		.keep_alive_s = __atomic_load_n(&b->keep_alive_s, __ATOMIC_RELAXED),
		.lifetime_s = __atomic_load_n(&b->lifetime_s, __ATOMIC_RELAXED),
		.q = b->q,
		.reg_id = b->reg_id,
		.behind_nat = b->behind_nat,
		.unreachable = __atomic_load_n(&b->unreachable, __ATOMIC_RELAXED) };
	copy_span(out->aor, sizeof(out->aor), b->aor);
	copy_span(out->contact, sizeof(out->contact), b->contact);
	copy_span(out->source, sizeof(out->source), span_from(address_print(&b->flow.remote, text)));
	copy_span(out->transport, sizeof(out->transport), span_from(transport_name(b->flow.transport)));
	copy_span(out->interface, sizeof(out->interface), span_from(b->interface->name));
	copy_span(out->agent, sizeof(out->agent), span_from(b->agent->name));
	copy_span(out->instance, sizeof(out->instance), b->instance);
	copy_span(out->user_agent, sizeof(out->user_agent), b->user_agent);
	copy_span(out->token, sizeof(out->token), span_from(b->token));
}

/* Those that are written like it: to the registrar other hosts are the same, to who asks they are not. */
static size_t keep_written(struct span aor, struct binding **found, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (span_equal(found[i]->aor, aor))
			found[kept++] = found[i];
		else
			binding_put(found[i]);
	}
	return kept;
}

/* All by number, or those of one user: as many as one answer holds. */
static size_t find_bindings(struct location *location, const struct cp_registration_list *list, size_t limit,
	struct binding **found)
{
	struct span aor = span_from(list->aor), user = aor;

	if (!location)
		return 0;
	if (aor.n == 0)
		return location_list(location, list->after, found, limit);
	user = span_cut(&user, '@');
	return user.n == aor.n ? location_by_user(location, user, found, limit)
			       : keep_written(aor, found, location_by_user(location, user, found, limit));
}

static void take_registrations(const struct asked *asked, const void *body)
{
	struct {
		struct cp_registration_page page;
		struct cp_registration entry[CP_REGISTRATION_PAGE];
	} reply;
	struct binding *found[CP_REGISTRATION_PAGE + 1];
	struct cp_registration_list list;
	size_t limit, count;

	memcpy(&list, body, sizeof(list));
	list.aor[sizeof(list.aor) - 1] = '\0';
	limit = list.limit && list.limit < CP_REGISTRATION_PAGE ? list.limit : CP_REGISTRATION_PAGE;
	count = find_bindings(asked->security->world.shared->location, &list, limit + 1, found);
	reply.page = (struct cp_registration_page){ .count = (uint32_t)(count < limit ? count : limit),
		.more = count > limit && list.aor[0] == '\0' };
	for (size_t i = 0; i < count; i++) {
		if (i < reply.page.count)
			describe(found[i], &reply.entry[i]);
		binding_put(found[i]);
	}
	answer(asked, 0, &reply, sizeof(reply.page) + reply.page.count * sizeof(reply.entry[0]));
}

/* What it finds in the table runs out; the shard that has it does the rest, as for a phone that has gone. The token is kept as it is then: the registrar
 * still has it, and the phone is to be reached by it when it is back. */
static uint32_t run_out(struct location *location, const struct cp_registration_clear *clear)
{
	struct cp_registration_list list = { .after = 0 };
	struct binding *found[CP_REGISTRATION_PAGE];
	uint64_t now = clock_wall_ms();
	uint32_t all = 0;
	size_t count;

	memcpy(list.aor, clear->aor, sizeof(list.aor));
	do {
		count = find_bindings(location, &list, CP_REGISTRATION_PAGE, found);
		for (size_t i = 0; i < count; i++) {
			__atomic_store_n(&found[i]->expires_wall_ms, now, __ATOMIC_RELAXED);
			binding_put(found[i]);
		}
		all += (uint32_t)count;
	} while (count == CP_REGISTRATION_PAGE);
	return all;
}

static void take_registration_clear(const struct asked *asked, const void *body)
{
	const struct shard_shared *shared = asked->security->world.shared;
	struct cp_registration_clear clear;
	struct cp_cleared done = { 0 };

	memcpy(&clear, body, sizeof(clear));
	clear.aor[sizeof(clear.aor) - 1] = clear.who[sizeof(clear.who) - 1] = '\0';
	if (clear.aor[0] != '\0')
		done.count = run_out(shared->location, &clear);
	if (done.count > 0 && shared->store)
		store_audit(shared->store, clear.who, "registration cleared", clear.aor, "");
	answer(asked, done.count > 0 ? 0 : -ENOENT, &done, sizeof(done));
}

/* --- subscribers -------------------------------------------------------------------------------------------------------- */

static void take_subscriber(const struct asked *asked, const void *body)
{
	struct store *store = asked->security->world.shared->store;
	bool set = asked->frame->type == CP_SUBSCRIBER_SET;
	struct cp_subscriber s;
	char object[2 * CP_SUBSCRIBER_MAX];
	struct writer w;
	int error = -ENOENT;

	memcpy(&s, body, sizeof(s));
	s.user[sizeof(s.user) - 1] = s.realm[sizeof(s.realm) - 1] = '\0';
	s.password[sizeof(s.password) - 1] = s.who[sizeof(s.who) - 1] = '\0';
	if (store && set)
		error = store_user_set(store, span_from(s.user), span_from(s.realm), span_from(s.password));
	else if (store)
		error = store_user_delete(store, span_from(s.user), span_from(s.realm));
	explicit_bzero(s.password, sizeof(s.password));
	if (error == 0) {
		writer_init(&w, object, sizeof(object) - 1);
		writer_text(&w, s.user);
		writer_char(&w, ' ');
		writer_text(&w, s.realm);
		object[w.len] = '\0';
		store_audit(store, s.who, set ? "subscriber set" : "subscriber deleted", object, "");
	}
	answer(asked, error, NULL, 0);
}

struct subscriber_reply {
	struct cp_subscriber_page page;
	struct cp_subscriber_entry entry[CP_SUBSCRIBER_PAGE];
	uint32_t limit;
};

static bool take_entry(void *arg, uint64_t number, struct span user, struct span realm)
{
	struct subscriber_reply *reply = arg;
	struct cp_subscriber_entry *entry = &reply->entry[reply->page.count];

	if (reply->page.count == reply->limit) {
		reply->page.more = 1;
		return false;
	}
	*entry = (struct cp_subscriber_entry){ .number = number };
	copy_span(entry->user, sizeof(entry->user), user);
	copy_span(entry->realm, sizeof(entry->realm), realm);
	reply->page.count++;
	return true;
}

static void take_subscriber_list(const struct asked *asked, const void *body)
{
	struct subscriber_reply reply;
	struct cp_call_list list;

	memcpy(&list, body, sizeof(list));
	reply.page = (struct cp_subscriber_page){ 0 };
	reply.limit = list.limit && list.limit < CP_SUBSCRIBER_PAGE ? list.limit : CP_SUBSCRIBER_PAGE;
	store_user_list(asked->security->world.shared->store, list.after, take_entry, &reply);
	answer(asked, 0, &reply, sizeof(reply.page) + reply.page.count * sizeof(reply.entry[0]));
}

/* --- audit -------------------------------------------------------------------------------------------------------------- */

struct audit_reply {
	struct cp_audit_page page;
	struct cp_audit entry[CP_AUDIT_PAGE];
	uint32_t limit;
};

static bool take_audited(void *arg, const struct store_audited *audited)
{
	struct audit_reply *reply = arg;
	struct cp_audit *entry = &reply->entry[reply->page.count];

	if (reply->page.count == reply->limit) {
		reply->page.more = 1;
		return false;
	}
	*entry = (struct cp_audit){ .number = audited->number, .wall_ms = audited->wall_ms };
	copy_span(entry->who, sizeof(entry->who), audited->who);
	copy_span(entry->what, sizeof(entry->what), audited->what);
	copy_span(entry->object, sizeof(entry->object), audited->object);
	copy_span(entry->reason, sizeof(entry->reason), audited->reason);
	reply->page.count++;
	return true;
}

static void take_audit_list(const struct asked *asked, const void *body)
{
	struct audit_reply reply;
	struct cp_audit_list list;
	int error;

	memcpy(&list, body, sizeof(list));
	reply.page = (struct cp_audit_page){ 0 };
	reply.limit = list.limit && list.limit < CP_AUDIT_PAGE ? list.limit : CP_AUDIT_PAGE;
	if (list.wanted < reply.limit)
		reply.limit = list.wanted;
	error = store_audit_list(
		asked->security->world.shared->store, list.before, reply.limit + 1, take_audited, &reply);
	answer(asked, error, &reply, sizeof(reply.page) + reply.page.count * sizeof(reply.entry[0]));
}

/* --- interface ---------------------------------------------------------------------------------------------------------- */

static const struct {
	enum cp_message type;
	size_t size;
	void (*take)(const struct asked *asked, const void *body);
} messages[] = {
	{ CP_BAN_SET, sizeof(struct cp_ban), take_ban },
	{ CP_BAN_CLEAR, sizeof(struct cp_ban), take_ban },
	{ CP_GUARD_LIST, sizeof(struct cp_guard_list), take_guard },
	{ CP_GUARD_REASONS, sizeof(struct cp_block_list), take_reasons },
	{ CP_GUARD_CLEAR, sizeof(struct cp_ban), take_guard_clear },
	{ CP_REGISTRATION_CLEAR, sizeof(struct cp_registration_clear), take_registration_clear },
	{ CP_REGISTRATION_LIST, sizeof(struct cp_registration_list), take_registrations },
	{ CP_SUBSCRIBER_SET, sizeof(struct cp_subscriber), take_subscriber },
	{ CP_SUBSCRIBER_DELETE, sizeof(struct cp_subscriber), take_subscriber },
	{ CP_SUBSCRIBER_LIST, sizeof(struct cp_call_list), take_subscriber_list },
	{ CP_AUDIT_LIST, sizeof(struct cp_audit_list), take_audit_list },
};

int api_security_frame(
	struct api_security *security, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	const struct asked asked = { security, peer, frame };

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].type == (enum cp_message)frame->type && frame->length >= messages[i].size) {
			messages[i].take(&asked, body);
			return 0;
		}
	return -EINVAL;
}

void api_security_down(struct api_security *security, const struct ipc_peer *peer)
{
	for (struct order *order = security->orders; order; order = order->next)
		if (order->peer == peer)
			order->peer = NULL;
}

struct api_security *api_security_new(const struct api_world *world)
{
	struct api_security *security = calloc(1, sizeof(*security));

	if (security)
		security->world = *world;
	return security;
}

void api_security_free(struct api_security *security)
{
	struct order *next;

	if (!security)
		return;
	for (struct order *order = security->orders; order; order = next) {
		next = order->next;
		order->security = NULL;
	}
	free(security);
}
