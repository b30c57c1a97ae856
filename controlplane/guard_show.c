/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guard knows, for people; and what they order it to forget. */
#include <string.h>

#include "controlplane/guard_internal.h"

static void key_address(const struct guard_key *key, union address *out)
{
	struct dp_address address = { .family = key->family, .port = key->port };

	memcpy(address.ip, key->octets, sizeof(address.ip));
	dp_address_to(&address, out);
}

/* --- forgiving -------------------------------------------------------------------------------------------------------- */

struct pardon {
	struct prefix prefix;
	uint16_t port;
};

static bool pardon_one(void *arg, struct guard_entry *entry)
{
	const struct pardon *pardon = arg;
	union address address;

	if (entry->key.kind == GUARD_USER)
		return true;
	key_address(&entry->key, &address);
	if (!prefix_contains(&pardon->prefix, &address))
		return true;
	/* One port: the others of that address, and the address, keep what they have. */
	if (pardon->port && !(entry->key.kind != GUARD_SOURCE && entry->key.port == pardon->port))
		return true;
	entry->points[0] = entry->points[1] = 0;
	entry->users = 0;
	entry->open = entry->open_before = 0;
	return true;
}

void guard_forgive(struct guard *guard, const struct dp_source_key *key)
{
	struct pardon pardon = { .port = key->address.port };
	uint64_t at = 0;

	if (!guard)
		return;
	dp_address_to(&key->address, &pardon.prefix.address);
	/* A source of IPv6 is known by its /64. */
	pardon.prefix.length =
		key->address.family == 6 && key->length > 64 && !key->address.port ? 64 : key->length;
	guard_table_walk(guard->table, guard->now_ms(), &at, pardon_one, &pardon);
}

/* --- showing ---------------------------------------------------------------------------------------------------------- */

struct listing {
	struct cp_guard *out;
	size_t count, limit;
};

static void print_source(const struct guard_entry *entry, char out[CP_ADDRESS_MAX])
{
	char text[ADDRESS_TEXT_MAX];
	union address address;
	struct writer w;

	key_address(&entry->key, &address);
	writer_init(&w, out, CP_ADDRESS_MAX - 1);
	writer_text(&w, entry->key.kind == GUARD_SOURCE ? address_print_host(&address, text)
							: address_print(&address, text));
	if (entry->key.kind == GUARD_SOURCE && entry->key.family == 6)
		writer_text(&w, "/64");
}

static bool list_one(void *arg, struct guard_entry *entry)
{
	struct listing *list = arg;
	struct cp_guard *out;
	uint32_t silencing;

	if (entry->key.kind == GUARD_USER || entry->points[0] + entry->points[1] == 0)
		return true;
	out = &list->out[list->count++];
	memset(out, 0, sizeof(*out));
	print_source(entry, out->source);
	out->points = (entry->points[0] + entry->points[1]) / GUARD_POINT;
	out->proven = entry->points[1] > 0;
	out->whole = entry->key.kind == GUARD_SOURCE;
	silencing = entry->points[1] + (entry->key.kind == GUARD_SOURCE ? 0 : entry->points[0]);
	out->step = silencing >= GUARD_SILENCE ? CP_GUARD_SILENT : CP_GUARD_COUNTED;
	memcpy(out->ip, entry->key.octets, sizeof(out->ip));
	out->port = entry->key.port;
	out->family = entry->key.family;
	memcpy(out->sign, entry->sign, sizeof(out->sign));
	return list->count < list->limit;
}

size_t guard_list(struct guard *guard, uint64_t after, size_t limit, struct cp_guard *out, uint64_t *next)
{
	struct listing list = { .out = out, .limit = limit };

	*next = after;
	if (!guard || limit == 0) {
		*next = 0;
		return 0;
	}
	guard_table_walk(guard->table, guard->now_ms(), next, list_one, &list);
	return list.count;
}
