/* SPDX-License-Identifier: BSD-3-Clause */
/* From signs to points, from points to steps. */
#include "controlplane/guard.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/block.h"
#include "controlplane/guard_internal.h"
#include "controlplane/route.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	SWEEP_USERS = 4, /* different users that one source may ask for in vain */
	OPEN_MAX = 16, /* challenges of OPEN_SLOT_MS ago that it may leave unanswered */
	OPEN_SLOT_MS = 4000, /* an honest answer has come by then */
	TRIAL_MS = 5000, /* a source whose name is misused may still be let try so often */
	USER_FACTOR = 2, /* a user may be guessed at so many times as often as one source may guess */
};

static const struct span nobody = { NULL, 0 };

static const struct {
	const char *name;
	unsigned weight;
} signs[GUARD_SIGN_COUNT] = {
#define X(id, name, weight, help) [GUARD_##id] = { name, weight },
	CP_GUARD_SIGNS(X)
#undef X
};

/* --- who is beyond doubt ----------------------------------------------------------------------------------------------- */

static bool is_configured(const struct guard *guard, const struct sip_flow *flow)
{
	const struct config *config = guard->config;
	const struct config_realm *realm = listener_interface(flow->listener)->realm;

	if (realm->trust == CONFIG_TRUST_TRUSTED || route_agent_by_flow(flow->listener->shard, flow) != NULL)
		return true;
	for (size_t i = 0; i < config->access_controls_count; i++) {
		const struct config_access_control *rule = &config->access_controls[i];

		if (rule->realm == realm && rule->permit && rule->trust == CONFIG_TRUST_TRUSTED &&
			prefix_contains(&rule->source, &flow->remote))
			return true;
	}
	return false;
}

static bool is_registered(const struct guard *guard, const struct sip_flow *flow)
{
	struct binding *binding = guard->location ? location_by_flow(guard->location, flow) : NULL;

	binding_put(binding);
	return binding != NULL;
}

bool guard_is_stranger(struct guard *guard, const struct sip_flow *flow)
{
	return guard && !is_configured(guard, flow) && !is_registered(guard, flow);
}

/* --- reasons ------------------------------------------------------------------------------------------------------------ */

static void keep_reason(
	struct guard *guard, const struct sip_flow *flow, enum guard_sign sign, const struct scan *request)
{
	struct block_note note = { .source = &flow->remote,
		.dest = listener_address(flow->listener),
		.place = listener_interface(flow->listener)->name,
		.counter = sign,
		.protocol = listener_is_reliable(flow->listener) ? 6 : 17,
		.wall_ms = clock_wall_ms() };

	if (request && request->is_request) {
		note.method = request->method_name;
		note.uri = request->request_uri;
	}
	pthread_mutex_lock(&guard->lock);
	block_add_note(guard->reasons, &note);
	pthread_mutex_unlock(&guard->lock);
}

size_t guard_reasons(struct guard *guard, const struct prefix *source, uint64_t before, size_t limit,
	struct cp_block *out, bool *more)
{
	size_t count;

	*more = false;
	if (!guard)
		return 0;
	pthread_mutex_lock(&guard->lock);
	count = block_list(guard->reasons, source, before, limit, out, more);
	pthread_mutex_unlock(&guard->lock);
	return count;
}

/* --- points ------------------------------------------------------------------------------------------------------------- */

static uint32_t hash_of(const struct guard *guard, struct span text)
{
	uint32_t hash = (uint32_t)hash_bytes(&guard->key[0], text.p, text.n);

	return hash ? hash : 1;
}

static uint32_t weight_of(const struct guard *guard, enum guard_sign sign)
{
	return sign == GUARD_BAD_PASSWORD ? GUARD_LIMIT / guard->config->guard.failures_per_minute
					  : signs[sign].weight * GUARD_POINT;
}

static void add_points(struct guard_entry *entry, bool proven, uint32_t points)
{
	uint32_t *to = &entry->points[proven];

	/* More than that is no worse, and would not fade within a minute. */
	*to = *to + points < 2 * GUARD_LIMIT ? *to + points : 2 * GUARD_LIMIT;
}

/* One user more that it was not known to have asked for. */
static bool is_another_user(const struct guard *guard, struct guard_entry *source, struct span user)
{
	uint32_t hash = hash_of(guard, user);

	if (user.n == 0)
		return false;
	for (unsigned i = 0; i < GUARD_USERS; i++)
		if (source->user[i] == hash)
			return false;
	source->user[source->users++ % GUARD_USERS] = hash;
	return true;
}

static bool counts_for_sweep(enum guard_sign sign)
{
	return sign == GUARD_UNKNOWN_USER || sign == GUARD_BAD_PASSWORD || sign == GUARD_STRANGER;
}

/* A phone over its rate says nothing against those who share its address. */
static bool counts_for_source(enum guard_sign sign)
{
	return sign != GUARD_OVER_RATE;
}

static uint32_t total(const struct guard_entry *entry)
{
	return entry->points[0] + entry->points[1];
}

static void fill_ban(struct dp_ban *ban, const struct guard_key *key, enum guard_sign sign)
{
	struct writer w;

	*ban = (struct dp_ban){ 0 };
	memcpy(ban->key.address.ip, key->octets, sizeof(key->octets));
	ban->key.address.family = key->family;
	ban->key.address.port = key->port;
	ban->key.length = key->family == 4 ? 32 : key->kind == GUARD_SOURCE ? 64 : 128;
	writer_init(&w, ban->reason, sizeof(ban->reason) - 1);
	writer_text(&w, "guard: ");
	writer_text(&w, signs[sign].name);
}

static bool may_deny_unproven(struct guard *guard, uint64_t now_ms)
{
	bool ok;

	pthread_mutex_lock(&guard->lock);
	ok = token_bucket_take(&guard->unproven, 1, now_ms * 1000);
	pthread_mutex_unlock(&guard->lock);
	return ok;
}

/* What is still under way goes unanswered; what comes when the denial has ended has half the way behind it. */
static void denied(struct guard_entry *entry)
{
	for (unsigned i = 0; i < 2; i++)
		if (entry->points[i] > GUARD_SILENCE)
			entry->points[i] = GUARD_SILENCE;
}

/* Points of the flow itself. True: it is to be denied. */
static bool note_flow(struct guard *guard, const struct sip_flow *flow, enum guard_sign sign, uint32_t points,
	bool *proven, bool *silent, uint64_t now)
{
	struct guard_key key;
	struct guard_entry *entry;
	bool deny;

	guard_key_flow(&key, &flow->remote);
	entry = guard_table_get(guard->table, &key, now, true);
	entry->proven = entry->proven || flow->connection != 0;
	*proven = entry->proven;
	entry->sign[sign]++;
	add_points(entry, *proven, points);
	deny = total(entry) >= GUARD_LIMIT;
	*silent = total(entry) >= GUARD_SILENCE;
	if (deny && !entry->proven)
		deny = may_deny_unproven(guard, now);
	if (deny)
		denied(entry);
	guard_table_put(guard->table, entry);
	return deny;
}

/* Points of its address. True: that is to be denied. *sweep: the flow has earned more. */
static bool note_source(struct guard *guard, const struct sip_flow *flow, enum guard_sign sign,
	uint32_t points, bool proven, struct span user, bool *sweep, uint64_t now)
{
	struct guard_key key;
	struct guard_entry *entry;
	bool deny;

	guard_key_source(&key, &flow->remote);
	entry = guard_table_get(guard->table, &key, now, true);
	*sweep = counts_for_sweep(sign) && is_another_user(guard, entry, user) && entry->users > SWEEP_USERS;
	entry->sign[sign]++;
	if (counts_for_source(sign))
		add_points(entry, proven, points);
	if (*sweep) {
		entry->sign[GUARD_SWEEP]++;
		add_points(entry, proven, signs[GUARD_SWEEP].weight * GUARD_POINT);
	}
	deny = entry->points[1] >= GUARD_LIMIT;
	if (deny)
		denied(entry);
	guard_table_put(guard->table, entry);
	return deny;
}

static void key_user(const struct guard *guard, struct guard_key *key, struct span user)
{
	uint64_t hash[2] = { hash_bytes(&guard->key[0], user.p, user.n),
		hash_bytes(&guard->key[1], user.p, user.n) };

	*key = (struct guard_key){ .kind = GUARD_USER };
	memcpy(key->octets, hash, sizeof(key->octets));
}

/* Who is guessed at from many sources: he is looked after as a whole. */
static void note_user(struct guard *guard, struct span user, uint64_t now)
{
	struct guard_entry *entry;
	struct guard_key key;

	if (user.n == 0)
		return;
	key_user(guard, &key, user);
	entry = guard_table_get(guard->table, &key, now, true);
	entry->sign[GUARD_BAD_PASSWORD]++;
	add_points(entry, true, weight_of(guard, GUARD_BAD_PASSWORD) / USER_FACTOR);
	guard_table_put(guard->table, entry);
}

static bool shared_with_phones(const struct guard *guard, const struct sip_flow *flow)
{
	return guard->location && location_at_host(guard->location, &flow->remote) > 0;
}

static void deny(
	struct guard *guard, const struct sip_flow *flow, bool whole, bool proven, enum guard_sign sign)
{
	struct guard_key key;
	struct dp_ban ban;

	if (whole)
		guard_key_source(&key, &flow->remote);
	else
		guard_key_flow(&key, &flow->remote);
	fill_ban(&ban, &key, sign);
	guard->deny(guard->arg, &ban, proven);
}

enum guard_verdict guard_note(struct guard *guard, const struct sip_flow *flow, enum guard_sign sign,
	struct span user, const struct scan *request)
{
	uint32_t points = guard ? weight_of(guard, sign) : 0;
	bool proven, silent, deny_flow, deny_source, sweep;
	uint64_t now;

	if (!guard || is_configured(guard, flow))
		return GUARD_PASS;
	now = guard->now_ms();
	if (user.n == 0 && request)
		user = guard_user_of(request->to);
	keep_reason(guard, flow, sign, request);
	if (sign == GUARD_BAD_PASSWORD)
		note_user(guard, user, now);
	/* Who has proved who he is, is not taken from the air: what he may not do is refused, and told. */
	if (is_registered(guard, flow)) {
		log_notice("guard", "sign of a registered phone", LOG_TEXT("sign", signs[sign].name),
			LOG_ADDRESS("source", &flow->remote), LOG_SPAN("user", user));
		return GUARD_PASS;
	}
	deny_flow = note_flow(guard, flow, sign, points, &proven, &silent, now);
	deny_source = note_source(guard, flow, sign, points, proven, user, &sweep, now);
	if (sweep && !deny_flow)
		deny_flow = note_flow(guard, flow, GUARD_SWEEP, signs[GUARD_SWEEP].weight * GUARD_POINT,
			&proven, &silent, now);
	if (guard->config->guard.mode == CONFIG_GUARD_WATCH)
		return GUARD_PASS;
	if (deny_source && !shared_with_phones(guard, flow))
		deny(guard, flow, true, true, sign);
	else if (deny_flow)
		deny(guard, flow, false, proven, sign);
	return silent || deny_flow || deny_source ? GUARD_SILENT : GUARD_PASS;
}

unsigned guard_refuse(struct guard *guard, const struct sip_flow *flow, enum guard_sign sign,
	const struct scan *request, unsigned status)
{
	if (!guard_is_stranger(guard, flow))
		return status;
	if (guard_note(guard, flow, sign, nobody, request) == GUARD_SILENT)
		return TRANSACTION_SILENCE;
	if (guard->config->guard.mode == CONFIG_GUARD_WATCH)
		return status;
	/* Where everybody may ask, everybody may know. */
	return guard->config->guard.silent &&
			       listener_interface(flow->listener)->allow_anonymous != CONFIG_ANONYMOUS_ALL
		       ? TRANSACTION_SILENCE
		       : status;
}

void guard_good(struct guard *guard, const struct sip_flow *flow, struct span user)
{
	struct guard_key key[3];
	struct guard_entry *entry;
	uint64_t now;

	if (!guard)
		return;
	now = guard->now_ms();
	guard_key_flow(&key[0], &flow->remote);
	guard_key_source(&key[1], &flow->remote);
	key_user(guard, &key[2], user);
	for (unsigned i = 0; i < (user.n ? 3 : 2); i++) {
		entry = guard_table_get(guard->table, &key[i], now, false);
		if (!entry)
			continue;
		/* A source or user that others attack has done nothing good by this. */
		if (i == 0) {
			entry->points[0] /= 2;
			entry->points[1] /= 2;
			entry->proven = true;
			entry->nonce = 0;
		}
		guard_table_put(guard->table, entry);
	}
}

/* --- before anything is kept of a request ------------------------------------------------------------------------------------- */

static struct span credentials_of(const struct scan *request)
{
	struct span value = nobody;

	if (!scan_header_find(request, SPAN("Authorization"), 0, 0, &value))
		(void)scan_header_find(request, SPAN("Proxy-Authorization"), 0, 0, &value);
	return value;
}

static bool flow_is_silenced(struct guard *guard, const struct sip_flow *flow, const struct scan *request,
	bool *answered, uint64_t now)
{
	struct guard_entry *entry;
	struct guard_key key;
	bool silenced;

	guard_key_flow(&key, &flow->remote);
	entry = guard_table_get(guard->table, &key, now, false);
	if (!entry)
		return false;
	if (entry->nonce) {
		struct span nonce = guard_nonce_of(credentials_of(request));

		*answered = nonce.n && hash_of(guard, nonce) == entry->nonce;
		if (*answered) {
			entry->nonce = 0;
			entry->proven = true;
		}
	}
	silenced = total(entry) >= GUARD_SILENCE;
	guard_table_put(guard->table, entry);
	return silenced;
}

/* An address of which ill is known, perhaps without its fault: whoever registers from there has a chance now and then. */
static bool source_is_silenced(struct guard *guard, const struct sip_flow *flow, const struct scan *request,
	bool answered, uint64_t now)
{
	struct guard_entry *entry;
	struct guard_key key;
	bool silenced;

	guard_key_source(&key, &flow->remote);
	entry = guard_table_get(guard->table, &key, now, false);
	if (!entry)
		return false;
	if (answered) {
		uint32_t *open = entry->open ? &entry->open : &entry->open_before;

		*open -= *open > 0;
	}
	silenced = !answered && total(entry) >= GUARD_LIMIT;
	if (silenced && request->method == SIP_METHOD_REGISTER && now - entry->trial_ms >= TRIAL_MS) {
		entry->trial_ms = now;
		silenced = false;
	}
	guard_table_put(guard->table, entry);
	return silenced && !shared_with_phones(guard, flow);
}

/* A user who is guessed at is answered where he was registered, until it is over. */
static bool user_is_guarded(
	struct guard *guard, const struct sip_flow *flow, const struct scan *request, uint64_t now)
{
	enum { BINDINGS = 16 };
	struct span user = guard_user_of(request->to);
	struct binding *found[BINDINGS];
	struct guard_entry *entry;
	struct guard_key key;
	bool guarded;
	size_t count;

	if (request->method != SIP_METHOD_REGISTER || user.n == 0)
		return false;
	key_user(guard, &key, user);
	entry = guard_table_get(guard->table, &key, now, false);
	if (!entry)
		return false;
	guarded = total(entry) >= GUARD_LIMIT;
	guard_table_put(guard->table, entry);
	count = guarded && guard->location ? location_by_user(guard->location, user, found, BINDINGS) : 0;
	for (size_t i = 0; i < count; i++) {
		guarded = guarded && !address_equal_host(&found[i]->flow.remote, &flow->remote);
		binding_put(found[i]);
	}
	return guarded;
}

enum guard_verdict guard_look(struct guard *guard, const struct sip_flow *flow, const struct scan *request)
{
	enum guard_sign mark;
	bool answered = false, silenced;
	uint64_t now;

	if (!guard || listener_interface(flow->listener)->realm->trust == CONFIG_TRUST_TRUSTED)
		return GUARD_PASS;
	now = guard->now_ms();
	mark = guard_mark(&guard->config->guard, request);
	silenced = flow_is_silenced(guard, flow, request, &answered, now);
	silenced = source_is_silenced(guard, flow, request, answered, now) || silenced;
	if (!silenced)
		silenced = user_is_guarded(guard, flow, request, now);
	if ((mark == GUARD_SIGN_COUNT && !silenced) || !guard_is_stranger(guard, flow))
		return GUARD_PASS;
	/* What is said into the silence counts too, or who goes on would only have to wait. */
	if (mark == GUARD_SIGN_COUNT)
		mark = GUARD_STRANGER;
	if (guard_note(guard, flow, mark, nobody, request) == GUARD_SILENT)
		return GUARD_SILENT;
	if (guard->config->guard.mode == CONFIG_GUARD_WATCH)
		return GUARD_PASS;
	if (silenced)
		return GUARD_SILENT;
	return guard->config->guard.silent && mark == GUARD_SCANNER_MARK ? GUARD_SILENT : GUARD_PASS;
}

/* --- challenges ----------------------------------------------------------------------------------------------------------------- */

void guard_challenged(struct guard *guard, const struct sip_flow *flow,
	const struct config_session_agent *agent, struct span challenge)
{
	struct span nonce = guard_nonce_of(challenge);
	struct guard_entry *entry;
	struct guard_key key;
	bool sweep;
	uint64_t now;

	if (!guard || nonce.n == 0)
		return;
	guard_forms_learn(guard->forms, agent, challenge);
	if (!guard_is_stranger(guard, flow))
		return;
	now = guard->now_ms();
	guard_key_flow(&key, &flow->remote);
	entry = guard_table_get(guard->table, &key, now, true);
	entry->nonce = hash_of(guard, nonce);
	guard_table_put(guard->table, entry);
	guard_key_source(&key, &flow->remote);
	entry = guard_table_get(guard->table, &key, now, true);
	if (now - entry->open_ms >= OPEN_SLOT_MS) {
		/* What is older than two slots has had its time, and fades. */
		entry->open_before = now - entry->open_ms >= 16 * (uint64_t)OPEN_SLOT_MS
					     ? 0
					     : entry->open + entry->open_before / 2;
		entry->open = 0;
		entry->open_ms = now;
	}
	entry->open++;
	sweep = entry->open_before > OPEN_MAX;
	guard_table_put(guard->table, entry);
	if (sweep)
		guard_note(guard, flow, GUARD_SWEEP, nobody, NULL);
}

void guard_challenge_like(struct guard *guard, const struct config_session_agent *agent, struct writer *out)
{
	if (guard)
		guard_forms_write(guard->forms, agent, out);
}

/* --- life --------------------------------------------------------------------------------------------------------------------- */

struct guard *guard_new(const struct config *config, struct location *location,
	void (*deny_source)(void *arg, const struct dp_ban *ban, bool proven), void *arg)
{
	struct guard *guard = calloc(1, sizeof(*guard));
	unsigned rate = config->guard.unproven_deny_rate;

	if (!guard)
		return NULL;
	guard->config = config;
	guard->location = location;
	guard->deny = deny_source;
	guard->arg = arg;
	guard->now_ms = clock_now_ms;
	hash_key_random(&guard->key[0]);
	hash_key_random(&guard->key[1]);
	pthread_mutex_init(&guard->lock, NULL);
	guard->table = guard_table_new(config->guard.max_tracked);
	guard->forms = guard_forms_new(config);
	guard->reasons = block_new();
	if (!guard->table || !guard->forms || !guard->reasons) {
		guard_free(guard);
		return NULL;
	}
	token_bucket_init(&guard->unproven, rate, rate, guard->now_ms() * 1000);
	return guard;
}

void guard_set_clock(struct guard *guard, uint64_t (*now_ms)(void))
{
	guard->now_ms = now_ms;
	token_bucket_init(&guard->unproven, guard->config->guard.unproven_deny_rate,
		guard->config->guard.unproven_deny_rate, now_ms() * 1000);
}

void guard_free(struct guard *guard)
{
	if (!guard)
		return;
	guard_table_free(guard->table);
	guard_forms_free(guard->forms);
	block_free(guard->reasons);
	pthread_mutex_destroy(&guard->lock);
	free(guard);
}
