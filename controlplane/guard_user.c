/* SPDX-License-Identifier: BSD-3-Clause */
/* Users who are guessed at from many sources: each is looked after as a whole. */
#include <ctype.h>
#include <string.h>

#include "controlplane/guard_internal.h"
#include "controlplane/message.h"

enum {
	USER_FACTOR = 2, /* a user may be guessed at so many times as often as one source may guess */
	BINDINGS = 16,
};

static const struct span nobody = { NULL, 0 };

struct span guard_normal_user(struct span user, char buffer[GUARD_USER_MAX])
{
	struct writer out;

	writer_init(&out, buffer, GUARD_USER_MAX - 1);
	return sip_user_normal(user, &out) == 0 ? writer_result(&out) : nobody;
}

/* Some registrars do not tell capital letters from others: who guesses may not choose. */
static void key_user(const struct guard *guard, struct guard_key *key, struct span user)
{
	char lower[GUARD_USER_MAX];
	size_t n = user.n < GUARD_USER_MAX ? user.n : GUARD_USER_MAX;
	uint64_t hash[2];

	for (size_t i = 0; i < n; i++)
		lower[i] = (char)tolower((unsigned char)user.p[i]);
	for (unsigned i = 0; i < 2; i++)
		hash[i] = hash_bytes(&guard->key[i], lower, n);
	*key = (struct guard_key){ .kind = GUARD_USER };
	memcpy(key->octets, hash, sizeof(key->octets));
}

struct span guard_credentials_of(const struct scan *request)
{
	struct span value = nobody;

	if (!scan_header_find(request, SPAN("Authorization"), 0, 0, &value))
		(void)scan_header_find(request, SPAN("Proxy-Authorization"), 0, 0, &value);
	return value;
}

/* Whose password it may be that is tried: a registrar looks at either name. */
struct suspects {
	struct span user[2];
	char text[2][GUARD_USER_MAX];
	unsigned count;
};

static void find_suspects(struct span user, const struct scan *request, struct suspects *out)
{
	struct span name =
		request ? guard_parameter(guard_credentials_of(request), SPAN("username")) : nobody;

	name = span_cut(&name, '@');
	out->count = 0;
	out->user[0] = guard_normal_user(user, out->text[0]);
	out->count += out->user[0].n > 0;
	out->user[out->count] = guard_normal_user(name, out->text[out->count]);
	out->count += out->user[out->count].n > 0 &&
		      (out->count == 0 || !span_equal_case(out->user[0], out->user[1]));
}

void guard_note_users(
	struct guard *guard, struct span user, const struct scan *request, bool proven, uint64_t now)
{
	struct suspects suspects;
	struct guard_entry *entry;
	struct guard_key key;

	find_suspects(user, request, &suspects);
	for (unsigned i = 0; i < suspects.count; i++) {
		key_user(guard, &key, suspects.user[i]);
		entry = guard_table_get(guard->table, &key, now, true);
		entry->sign[GUARD_BAD_PASSWORD]++;
		guard_add_points(entry, proven, guard_weight_of(guard, GUARD_BAD_PASSWORD) / USER_FACTOR);
		guard_table_put(guard->table, entry);
	}
}

static bool is_at_home(const struct guard *guard, const struct sip_flow *flow, struct span user)
{
	struct binding *found[BINDINGS];
	size_t count = guard->location ? location_known_user(guard->location, user, found, BINDINGS) : 0;
	bool home = false;

	for (size_t i = 0; i < count; i++) {
		home = home || address_equal_host(&found[i]->flow.remote, &flow->remote);
		binding_put(found[i]);
	}
	return home;
}

bool guard_user_is_guarded(
	struct guard *guard, const struct sip_flow *flow, const struct scan *request, bool bare, uint64_t now)
{
	bool guarded = false;
	struct suspects suspects;
	struct guard_entry *entry;
	struct guard_key key;

	find_suspects(guard_user_of(request->to), request, &suspects);
	for (unsigned i = 0; i < suspects.count && !guarded; i++) {
		key_user(guard, &key, suspects.user[i]);
		entry = guard_table_get(guard->table, &key, now, false);
		if (!entry)
			continue;
		guarded = guard_points_against(entry, !bare) >= GUARD_LIMIT;
		guard_table_put(guard->table, entry);
		guarded = guarded && !is_at_home(guard, flow, suspects.user[i]);
	}
	return guarded;
}
