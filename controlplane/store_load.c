/* SPDX-License-Identifier: BSD-3-Clause */
/* What the file holds, back into memory at start. */
#include <errno.h>
#include <string.h>

#include "controlplane/store_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

/* Columns of a row, in their order. */
struct columns {
	sqlite3_stmt *statement;
	int next;
};

static uint64_t get_number(struct columns *c)
{
	return (uint64_t)sqlite3_column_int64(c->statement, c->next++);
}

static struct span get_text(struct columns *c)
{
	const char *text = sqlite3_column_blob(c->statement, c->next);
	int length = sqlite3_column_bytes(c->statement, c->next++);

	return (struct span){ text, text && length > 0 ? (size_t)length : 0 };
}

static const struct config_sip_interface *find_interface(const struct config *config, struct span name)
{
	for (size_t i = 0; i < config->sip_interfaces_count; i++)
		if (span_equal(span_from(config->sip_interfaces[i].name), name))
			return &config->sip_interfaces[i];
	return NULL;
}

static const struct config_session_agent *find_agent(const struct config *config, struct span name)
{
	for (size_t i = 0; i < config->session_agents_count; i++)
		if (span_equal(span_from(config->session_agents[i].name), name))
			return &config->session_agents[i];
	return NULL;
}

/* False: what it refers to is not there any more, or it is no row of ours. */
static bool get_flow(struct columns *c, const struct config *config, struct binding *b)
{
	struct span interface = get_text(c), listener = get_text(c), agent = get_text(c), host = get_text(c);
	uint64_t port = get_number(c);

	b->interface = find_interface(config, interface);
	b->agent = find_agent(config, agent);
	if (!b->interface || !b->agent || address_parse_host(host, &b->flow.remote) != 0 ||
		port > UINT16_MAX || store_listener_find(config, b->interface, listener, &b->flow) != 0)
		return false;
	address_set_port(&b->flow.remote, (uint16_t)port);
	return true;
}

static bool get_binding(struct columns *c, const struct config *config, struct binding *b)
{
	struct span token;
	bool ok;

	*b = (struct binding){ .number = get_number(c) };
	token = get_text(c);
	if (token.n >= sizeof(b->token))
		return false;
	memcpy(b->token, token.n ? token.p : "", token.n);
	ok = get_flow(c, config, b);
	b->method_bits = (uint32_t)get_number(c);
	b->reg_id = (uint32_t)get_number(c);
	b->cseq = (uint32_t)get_number(c);
	b->q = (uint16_t)get_number(c);
	b->behind_nat = get_number(c) != 0;
	b->expires_wall_ms = get_number(c);
	/* Kept for its token alone. */
	b->unreachable = b->expires_wall_ms <= clock_wall_ms() ? 2 : 0;
	b->upstream_expires_wall_ms = get_number(c);
	b->confirmed_wall_ms = get_number(c);
	b->upstream_cseq = (uint32_t)get_number(c);
	b->keep_alive_s = (uint32_t)get_number(c);
	b->lifetime_s = (uint32_t)get_number(c);
	b->heard_wall_ms = get_number(c);
	b->aor = get_text(c);
	b->contact = get_text(c);
	b->instance = get_text(c);
	b->call_id = get_text(c);
	b->user_agent = get_text(c);
	b->path = get_text(c);
	b->service_route = get_text(c);
	b->gruu = get_text(c);
	b->associated = get_text(c);
	b->upstream_call_id = get_text(c);
	return ok && token.n > 0 && b->aor.n > 0;
}

int64_t store_load_bindings(struct store *store, const struct config *config,
	int (*take)(void *arg, struct binding *model), void *arg)
{
	struct columns c = { 0 };
	struct binding binding;
	int64_t taken = 0;
	uint64_t dropped = 0;
	int result, error = 0;

	if (!store)
		return 0;
	result = sqlite3_prepare_v2(store->db,
		"SELECT number, token, interface, listener, agent, host, port, method_bits, reg_id, cseq, q, "
		"behind_nat, expires,"
		" upstream_expires, confirmed, upstream_cseq, keep_alive, lifetime, heard, aor, contact, "
		"instance, "
		"call_id, user_agent, path,"
		" service_route, gruu, associated, upstream_call_id FROM binding WHERE max(expires, "
		"upstream_expires) > ? ORDER BY "
		"number",
		-1, &c.statement, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_bind_int64(c.statement, 1, (sqlite3_int64)clock_wall_ms());
	if (result == SQLITE_OK)
		while (error == 0 && (result = sqlite3_step(c.statement)) == SQLITE_ROW) {
			c.next = 0;
			if (get_binding(&c, config, &binding)) {
				error = take(arg, &binding);
				taken += error == 0;
			} else {
				store_binding_gone(store, binding.number);
				dropped++;
			}
		}
	sqlite3_finalize(c.statement);
	if (dropped)
		log_notice("store", "bindings whose interface, listener or agent is gone were dropped",
			LOG_UINT("count", dropped));
	if (error == 0)
		error = database_errno(result);
	return error ? error : taken;
}

static bool get_ban(struct columns *c, struct store_ban *out)
{
	struct span host = get_text(c), reason;
	uint64_t length = get_number(c), port = get_number(c);
	union address address;

	memset(out, 0, sizeof(*out));
	if (address_parse_host(host, &address) != 0 || port > UINT16_MAX ||
		length > (address.sa.sa_family == AF_INET ? 32 : 128))
		return false;
	address_set_port(&address, (uint16_t)port);
	dp_address_from(&out->ban.key.address, &address);
	out->ban.key.length = (uint8_t)length;
	out->until_wall_ms = get_number(c);
	out->times = (uint32_t)get_number(c);
	out->ban.flags = (uint32_t)get_number(c);
	reason = get_text(c);
	if (reason.n >= sizeof(out->ban.reason))
		reason.n = sizeof(out->ban.reason) - 1;
	memcpy(out->ban.reason, reason.n ? reason.p : "", reason.n);
	out->ordered = !span_equal(get_text(c), SPAN("guard"));
	return true;
}

/* Those that even the next denial's length does not remember any more. */
static int forget_bans(struct store *store, uint64_t before)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(
		store->db, "DELETE FROM ban WHERE until > 0 AND until < ?", -1, &statement, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_bind_int64(statement, 1, (sqlite3_int64)before);
	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	sqlite3_finalize(statement);
	return database_errno(result);
}

int64_t store_load_bans(struct store *store, uint64_t memory_ms,
	int (*take)(void *arg, const struct store_ban *ban), void *arg)
{
	struct columns c = { 0 };
	struct store_ban ban;
	int64_t taken = 0;
	int result, error;

	if (!store)
		return 0;
	error = forget_bans(store, clock_wall_ms() - memory_ms);
	if (error)
		return error;
	result = sqlite3_prepare_v2(store->db,
		"SELECT source, length, port, until, times, flags, reason, who FROM ban ORDER BY since", -1,
		&c.statement, NULL);
	if (result == SQLITE_OK)
		while (error == 0 && (result = sqlite3_step(c.statement)) == SQLITE_ROW) {
			c.next = 0;
			if (!get_ban(&c, &ban))
				continue;
			error = take(arg, &ban);
			taken += error == 0;
		}
	sqlite3_finalize(c.statement);
	if (error == 0)
		error = database_errno(result);
	return error ? error : taken;
}
