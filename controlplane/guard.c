/* SPDX-License-Identifier: BSD-3-Clause */
/* From signs to points, from points to steps. */
#include "controlplane/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/block.h"
#include "controlplane/guard_internal.h"
#include "controlplane/message.h"
#include "controlplane/route.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	SWEEP_USERS = 4, /* different users that one source may ask for in vain */
	OPEN_MAX = 16, /* challenges of OPEN_SLOT_MS ago that it may leave unanswered */
	OPEN_SLOT_MS = 4000, /* an honest answer has come by then */
	TRIAL_MS = 5000, /* a flow of a silenced source may try so often */
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

uint32_t guard_weight_of(const struct guard *guard, enum guard_sign sign)
{
	return sign == GUARD_BAD_PASSWORD ? GUARD_LIMIT / guard->config->guard.failures_per_minute
					  : signs[sign].weight * GUARD_POINT;
}

void guard_add_points(struct guard_entry *entry, bool proven, uint32_t points)
{
	uint32_t *to = &entry->points[proven];

	/* More than that is no worse, and would not fade within a minute. */
	*to = *to + points < 2 * GUARD_LIMIT ? *to + points : 2 * GUARD_LIMIT;
}

/* One user more that it was not known to have asked for. */
static bool is_another_user(const struct guard *guard, struct guard_entry *entry, struct span user)
{
	uint32_t hash = hash_of(guard, user);

	if (user.n == 0)
		return false;
	for (unsigned i = 0; i < GUARD_USERS; i++)
		if (entry->user[i] == hash)
			return false;
	entry->user[entry->users++ % GUARD_USERS] = hash;
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
	ban->flags = key->kind == GUARD_FLOW ? DP_BAN_DATAGRAMS : 0;
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

/* What is noted of one message. */
struct note {
	enum guard_sign sign;
	bool proven; /* its sender receives what is sent to where it comes from */
	struct span user; /* whom it is about, in normal form; or empty */
	uint64_t now;
};

static void add_sign(const struct guard *guard, struct guard_entry *entry, const struct note *note)
{
	entry->sign[note->sign]++;
	if (entry->key.kind != GUARD_SOURCE || counts_for_source(note->sign))
		guard_add_points(entry, note->proven, guard_weight_of(guard, note->sign));
	if (counts_for_sweep(note->sign) && is_another_user(guard, entry, note->user) &&
		entry->users > SWEEP_USERS) {
		entry->sign[GUARD_SWEEP]++;
		guard_add_points(entry, note->proven, signs[GUARD_SWEEP].weight * GUARD_POINT);
	}
}

/* What such a message counts: forged ones say nothing against whom they are forged in the name of. */
uint32_t guard_points_against(const struct guard_entry *entry, bool proven)
{
	return proven ? entry->points[1] : total(entry);
}

/* Points of the flow itself. True: it is to be denied; *proven: what it is denied for is. */
static bool note_flow(
	struct guard *guard, const struct sip_flow *flow, const struct note *note, bool *proven, bool *silent)
{
	struct guard_entry *entry;
	struct guard_key key;
	bool deny;

	guard_key_flow(&key, flow);
	entry = guard_table_get(guard->table, &key, note->now, true);
	add_sign(guard, entry, note);
	*proven = entry->points[1] >= GUARD_LIMIT;
	*silent = guard_points_against(entry, note->proven) >= GUARD_SILENCE;
	deny = *proven || (guard_points_against(entry, note->proven) >= GUARD_LIMIT &&
				  may_deny_unproven(guard, note->now));
	if (deny)
		denied(entry);
	guard_table_put(guard->table, entry);
	return deny;
}

/* Points of its address. True: that is to be denied, by proven ones alone. */
static bool note_source(struct guard *guard, const struct sip_flow *flow, const struct note *note)
{
	struct guard_entry *entry;
	struct guard_key key;
	bool deny;

	guard_key_source(&key, &flow->remote);
	entry = guard_table_get(guard->table, &key, note->now, true);
	add_sign(guard, entry, note);
	deny = entry->points[1] >= GUARD_LIMIT;
	if (deny)
		denied(entry);
	guard_table_put(guard->table, entry);
	return deny;
}

/* --- noting --------------------------------------------------------------------------------------------------------------- */

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
		guard_key_flow(&key, flow);
	fill_ban(&ban, &key, sign);
	guard->deny(guard->arg, &ban, proven);
}

static bool is_proven(const struct guard *guard, const struct sip_flow *flow, const struct scan *request)
{
	return flow->connection != 0 || (request && guard_is_sealed(guard, flow, request));
}

enum guard_verdict guard_note(struct guard *guard, const struct sip_flow *flow, enum guard_sign sign,
	struct span user, const struct scan *request)
{
	struct note note = { .sign = sign };
	bool proven, silent, deny_flow, deny_source;
	char text[GUARD_USER_MAX];

	if (!guard || is_configured(guard, flow))
		return GUARD_PASS;
	note.now = guard->now_ms();
	note.proven = is_proven(guard, flow, request);
	if (user.n == 0 && request)
		user = guard_user_of(request->to);
	note.user = guard_normal_user(user, text);
	keep_reason(guard, flow, sign, request);
	if (sign == GUARD_BAD_PASSWORD)
		guard_note_users(guard, user, request, note.proven, note.now);
	/* Who has proved who he is, is not taken from the air: what he may not do is refused, and told. */
	if (is_registered(guard, flow)) {
		log_notice("guard", "sign of a registered phone", LOG_TEXT("sign", signs[sign].name),
			LOG_ADDRESS("source", &flow->remote), LOG_SPAN("user", user));
		return GUARD_PASS;
	}
	deny_flow = note_flow(guard, flow, &note, &proven, &silent);
	/* Guesses that prove nothing count against guesses that prove nothing. */
	deny_source = (note.proven || sign == GUARD_BAD_PASSWORD) && note_source(guard, flow, &note);
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

void guard_good(struct guard *guard, const struct sip_flow *flow)
{
	struct guard_entry *entry;
	struct guard_key key;

	if (!guard)
		return;
	/* A source or user that others attack has done nothing good by this. */
	guard_key_flow(&key, flow);
	entry = guard_table_get(guard->table, &key, guard->now_ms(), false);
	if (!entry)
		return;
	entry->points[0] /= 2;
	entry->points[1] /= 2;
	guard_table_put(guard->table, entry);
}

/* --- before anything is kept of a request ------------------------------------------------------------------------------------- */

/* Where challenges are counted that nobody answers: a datagram's sender may not be who got one. */
static void key_open(struct guard_key *key, const struct sip_flow *flow)
{
	if (flow->connection)
		guard_key_source(key, &flow->remote);
	else
		guard_key_flow(key, flow);
}

static void challenge_answered(struct guard *guard, const struct sip_flow *flow, uint64_t now)
{
	struct guard_entry *entry;
	struct guard_key key;
	uint32_t *open;

	key_open(&key, flow);
	entry = guard_table_get(guard->table, &key, now, false);
	if (!entry)
		return;
	open = entry->open ? &entry->open : &entry->open_before;
	*open -= *open > 0;
	guard_table_put(guard->table, entry);
}

static bool is_silenced(struct guard *guard, const struct guard_key *key, bool proven, uint64_t now)
{
	struct guard_entry *entry = guard_table_get(guard->table, key, now, false);
	bool silenced;

	if (!entry)
		return false;
	silenced = guard_points_against(entry, proven) >= GUARD_SILENCE;
	guard_table_put(guard->table, entry);
	return silenced;
}

/* An address of which ill is known, perhaps of others behind it: each flow that registers from there has a chance now and then, which nobody can
 * use up but by its own name. */
static bool may_try(struct guard *guard, const struct guard_key *flow, uint64_t now)
{
	struct guard_entry *entry = guard_table_get(guard->table, flow, now, true);
	bool may = entry->trial_ms == 0 || now - entry->trial_ms >= TRIAL_MS;

	if (may)
		entry->trial_ms = now;
	guard_table_put(guard->table, entry);
	return may;
}

/* `bare`: it tries a password, and nothing shows that it is where it says. */
static bool source_is_silenced(struct guard *guard, const struct sip_flow *flow, const struct guard_key *own,
	const struct scan *request, bool bare, uint64_t now)
{
	struct guard_key key;

	guard_key_source(&key, &flow->remote);
	return is_silenced(guard, &key, !bare, now) && !shared_with_phones(guard, flow) &&
	       (bare || request->method != SIP_METHOD_REGISTER || !may_try(guard, own, now));
}

enum guard_verdict guard_look(struct guard *guard, const struct sip_flow *flow, const struct scan *request)
{
	bool sealed = false, bare = false, silenced, kept_out;
	struct guard_key key;
	enum guard_sign mark;
	uint64_t now;

	if (!guard || listener_interface(flow->listener)->realm->trust == CONFIG_TRUST_TRUSTED)
		return GUARD_PASS;
	now = guard->now_ms();
	mark = guard_mark(&guard->config->guard, request);
	guard_key_flow(&key, flow);
	if (request->method == SIP_METHOD_REGISTER && guard_credentials_of(request).n) {
		sealed = guard_is_sealed(guard, flow, request);
		bare = !sealed && flow->connection == 0;
		challenge_answered(guard, flow, now);
	}
	silenced = is_silenced(guard, &key, sealed, now);
	kept_out = (!sealed && source_is_silenced(guard, flow, &key, request, bare, now)) ||
		   (request->method == SIP_METHOD_REGISTER &&
			   guard_user_is_guarded(guard, flow, request, bare, now));
	if ((mark == GUARD_SIGN_COUNT && !silenced && !kept_out) || !guard_is_stranger(guard, flow))
		return GUARD_PASS;
	/* What a flow says into its silence counts too, or who goes on would only have to wait; what others have brought about does not. */
	if (mark == GUARD_SIGN_COUNT && silenced)
		mark = GUARD_STRANGER;
	if (mark != GUARD_SIGN_COUNT && guard_note(guard, flow, mark, nobody, request) == GUARD_SILENT)
		return GUARD_SILENT;
	if (guard->config->guard.mode == CONFIG_GUARD_WATCH)
		return GUARD_PASS;
	if (silenced || kept_out)
		return GUARD_SILENT;
	return guard->config->guard.silent && mark == GUARD_SCANNER_MARK ? GUARD_SILENT : GUARD_PASS;
}

/* --- challenges ----------------------------------------------------------------------------------------------------------------- */

void guard_challenged(struct guard *guard, const struct sip_flow *flow,
	const struct config_session_agent *agent, struct span challenge)
{
	struct guard_entry *entry;
	struct guard_key key;
	bool sweep;
	uint64_t now;

	if (!guard || guard_nonce_of(challenge).n == 0)
		return;
	guard_forms_learn(guard->forms, agent, challenge);
	if (!guard_is_stranger(guard, flow))
		return;
	now = guard->now_ms();
	key_open(&key, flow);
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
	hash_key_random(&guard->seal);
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

int guard_prepare(struct guard *guard, const struct config_move *move)
{
	if (!guard)
		return 0;
	guard->next_forms = guard_forms_new(config_move_to(move));
	return guard->next_forms ? 0 : -ENOMEM;
}

void guard_abort(struct guard *guard)
{
	if (!guard)
		return;
	guard_forms_free(guard->next_forms);
	guard->next_forms = NULL;
}

void guard_move(struct guard *guard, const struct config_move *move)
{
	struct guard_forms *old;
	unsigned rate;

	if (!guard)
		return;
	old = guard->forms;
	guard->config = config_move_to(move);
	rate = guard->config->guard.unproven_deny_rate;
	if (guard->next_forms) {
		guard_forms_take(guard->next_forms, old, move);
		guard->forms = guard->next_forms;
		guard->next_forms = old;
	}
	token_bucket_change(&guard->unproven, rate, rate, guard->now_ms() * 1000);
}

void guard_settle(struct guard *guard)
{
	guard_abort(guard);
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
	guard_forms_free(guard->next_forms);
	block_free(guard->reasons);
	pthread_mutex_destroy(&guard->lock);
	free(guard);
}
