/* SPDX-License-Identifier: BSD-3-Clause */
/* Bans: kept by source, told to the dataplane in batches, told again when it has restarted. */
#include "controlplane/bans_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/alarm.h"
#include "controlplane/guard.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	MAILBOX_ENTRIES = 4096,
	BATCHES_MAX = 4, /* under way at a time */
	BUCKETS = 16384,
	TICK_MS = 1000,
	WINDOW_MS = 60000, /* of the alarm */
};

/* --- text ------------------------------------------------------------------------------------------------------------- */

const char *bans_print(const struct dp_source_key *key, char buffer[BORDER_TEXT_MAX])
{
	char text[ADDRESS_TEXT_MAX];
	union address address;
	struct writer w;

	dp_address_to(&key->address, &address);
	writer_init(&w, buffer, BORDER_TEXT_MAX - 1);
	writer_text(
		&w, key->address.port ? address_print(&address, text) : address_print_host(&address, text));
	if (key->length != (key->address.family == 4 ? 32 : 128)) {
		writer_char(&w, '/');
		writer_uint(&w, key->length);
	}
	buffer[w.len] = '\0';
	return buffer;
}

/* --- entries ---------------------------------------------------------------------------------------------------------- */

static struct bans_entry **find(const struct bans *bans, const struct dp_source_key *key)
{
	struct bans_entry **at = &bans->bucket[hash_bytes(&bans->key, key, sizeof(*key)) % bans->buckets];

	while (*at && memcmp(&(*at)->ban.ban.key, key, sizeof(*key)) != 0)
		at = &(*at)->same_bucket;
	return at;
}

static void order_remove(struct bans *bans, struct bans_entry *entry)
{
	struct bans_order *order = &bans->order[entry->rank];

	*(entry->older ? &entry->older->newer : &order->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &order->newest) = entry->older;
	entry->older = entry->newer = NULL;
}

static void order_last(struct bans *bans, struct bans_entry *entry, unsigned rank)
{
	struct bans_order *order = &bans->order[rank];

	entry->rank = (uint8_t)rank;
	entry->older = order->newest;
	*(order->newest ? &order->newest->newer : &order->oldest) = entry;
	order->newest = entry;
}

static unsigned rank_of(const struct store_ban *ban, bool proven)
{
	unsigned times =
		ban->times < BANS_ORDERED - BANS_DENIED ? ban->times : BANS_ORDERED - BANS_DENIED - 1;

	return ban->ordered ? BANS_ORDERED : proven ? BANS_DENIED + times : BANS_UNPROVEN;
}

static void unsent_remove(struct bans *bans, struct bans_entry *entry)
{
	struct bans_entry **at = &bans->unsent;

	if (!entry->unsent)
		return;
	while (*at != entry)
		at = &(*at)->next_unsent;
	*at = entry->next_unsent;
	if (bans->unsent_last == &entry->next_unsent)
		bans->unsent_last = at;
	entry->unsent = false;
}

static void forget(struct bans *bans, struct bans_entry *entry)
{
	struct bans_entry **at = find(bans, &entry->ban.ban.key);

	*at = entry->same_bucket;
	order_remove(bans, entry);
	unsent_remove(bans, entry);
	bans->count--;
	free(entry);
}

static bool is_live(const struct bans_entry *entry, uint64_t now_wall_ms)
{
	return entry->ban.until_wall_ms == 0 || entry->ban.until_wall_ms > now_wall_ms;
}

static void cleared(void *arg, int status, const void *body, size_t length)
{
	(void)arg, (void)status, (void)body, (void)length;
}

/* Who gives way; NULL: all are by order. */
static struct bans_entry *least(const struct bans *bans)
{
	struct bans_entry *found = bans->order[BANS_UNPROVEN].oldest, *oldest;

	for (unsigned rank = BANS_DENIED; rank < BANS_ORDERED && bans->order[BANS_UNPROVEN].oldest == NULL;
		rank++) {
		oldest = bans->order[rank].oldest;
		if (oldest && (!found || oldest->ban.until_wall_ms < found->ban.until_wall_ms))
			found = oldest;
	}
	return found;
}

static bool make_room(struct bans *bans)
{
	struct bans_entry *entry = least(bans);

	if (!entry || is_live(entry, clock_wall_ms()))
		alarm_raise(bans->alarms, CP_ALARM_BANS_FULL, CP_SEVERITY_WARNING, "guard",
			"no room for another ban (guard.max-bans): the least gives way");
	if (!entry)
		return false;
	/* The dataplane would lift whichever was set longest ago. */
	if (bans->client && !entry->unsent && is_live(entry, clock_wall_ms()))
		(void)dp_client_request(bans->client, DP_BAN_CLEAR, &entry->ban.ban.key,
			sizeof(entry->ban.ban.key), cleared, NULL);
	if (entry->rank != BANS_UNPROVEN)
		store_ban_lifted(bans->store, &entry->ban.ban.key, "room");
	forget(bans, entry);
	return true;
}

static bool is_full(const struct bans *bans)
{
	return bans->count >= bans->config->guard.max_bans;
}

/* Found or made; another gives way. NULL: no memory, or none that gives way. */
static struct bans_entry *entry_get(struct bans *bans, const struct dp_source_key *key)
{
	struct bans_entry **at = find(bans, key), *entry = *at;

	if (entry || (is_full(bans) && !make_room(bans)))
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->ban.ban.key = *key;
	at = find(bans, key);
	*at = entry;
	order_last(bans, entry, BANS_UNPROVEN);
	bans->count++;
	return entry;
}

/* What it says has changed: the newest of its rank now. */
static void entry_ranked(struct bans *bans, struct bans_entry *entry, unsigned rank)
{
	order_remove(bans, entry);
	order_last(bans, entry, rank);
}

static uint64_t memory_ms(const struct bans *bans)
{
	return (uint64_t)bans->config->guard.deny_time_max * 1000;
}

static bool is_over(const struct bans *bans, const struct bans_entry *entry, uint64_t now)
{
	bool kept = entry->rank != BANS_UNPROVEN && entry->rank != BANS_ORDERED;
	uint64_t kept_ms = kept ? memory_ms(bans) : 0;

	return entry->ban.until_wall_ms && entry->ban.until_wall_ms + kept_ms < now;
}

static void expire(struct bans *bans)
{
	uint64_t now = clock_wall_ms();
	struct bans_entry *next;
	unsigned looked = 0;

	for (unsigned rank = 0; rank < BANS_RANKS; rank++)
		for (struct bans_entry *entry = bans->order[rank].oldest; entry && looked < BUCKETS;
			entry = next, looked++) {
			next = entry->newer;
			if (is_over(bans, entry, now)) {
				if (rank != BANS_UNPROVEN)
					store_ban_lifted(bans->store, &entry->ban.ban.key, "time");
				forget(bans, entry);
			} else if (rank != BANS_ORDERED) {
				break; /* Those behind it end later. */
			}
		}
}

/* --- to the dataplane ------------------------------------------------------------------------------------------------- */

static void pump(struct bans *bans);

static void batch_replied(void *arg, int status, const void *body, size_t length)
{
	struct bans *bans = arg;
	struct dp_done done;

	bans->under_way--;
	if (status == 0 && length >= sizeof(done)) {
		memcpy(&done, body, sizeof(done));
		if (done.status)
			log_info("border",
				"a ban was not taken: an agent or a trusted source is in it, or there is no "
				"room",
				LOG_ERRNO("error", done.status));
	}
	pump(bans);
}

/* A dataplane that goes away meanwhile is told all when it is back. */
static void pump(struct bans *bans)
{
	struct dp_ban batch[DP_BATCH_MAX];

	while (bans->unsent && bans->under_way < BATCHES_MAX && bans->client &&
		dp_client_is_up(bans->client)) {
		uint64_t now = clock_wall_ms();
		size_t n = 0;

		while (bans->unsent && n < DP_BATCH_MAX) {
			struct bans_entry *entry = bans->unsent;

			unsent_remove(bans, entry);
			if (!is_live(entry, now))
				continue;
			batch[n] = entry->ban.ban;
			batch[n].expires_us =
				entry->ban.until_wall_ms ? (entry->ban.until_wall_ms - now) * 1000 : 0;
			n++;
		}
		if (n == 0)
			return;
		if (dp_client_request(
			    bans->client, DP_BAN_SET, batch, n * sizeof(batch[0]), batch_replied, bans) != 0)
			return;
		bans->under_way++;
	}
}

static void send_later(struct bans *bans, struct bans_entry *entry)
{
	if (entry->unsent)
		return;
	entry->unsent = true;
	entry->next_unsent = NULL;
	*bans->unsent_last = entry;
	bans->unsent_last = &entry->next_unsent;
}

/* Each time: a connection that was gone may have taken batches with it. A ban that is there is replaced. */
static void client_up(void *arg, bool fresh)
{
	struct bans *bans = arg;
	uint64_t now = clock_wall_ms();

	(void)fresh;
	for (unsigned rank = 0; rank < BANS_RANKS; rank++)
		for (struct bans_entry *entry = bans->order[rank].oldest; entry; entry = entry->newer)
			if (is_live(entry, now))
				send_later(bans, entry);
	pump(bans);
}

static void client_sample(void *arg, const struct dp_sample *sample, const uint8_t *octets)
{
	const struct bans *bans = arg;

	bans->sample(bans->sample_arg, sample, octets);
}

/* --- of the guard ----------------------------------------------------------------------------------------------------- */

struct denial {
	struct bans *bans;
	struct dp_ban ban;
	bool proven;
};

static uint64_t denial_ms(const struct bans *bans, uint32_t times)
{
	uint64_t longest = memory_ms(bans), time = (uint64_t)bans->config->guard.deny_time * 1000;

	for (uint32_t i = 1; i < times && time < longest; i++)
		time *= 2;
	return time < longest ? time : longest;
}

static void count_denial(struct bans *bans)
{
	bans->denials++;
	if (++bans->window_denials >= bans->config->guard.alarm_rate && !bans->alarmed) {
		bans->alarmed = true;
		log_warning("guard", "alarm: many sources are denied",
			LOG_UINT("per-minute", bans->window_denials));
		alarm_raise(bans->alarms, CP_ALARM_GUARD, CP_SEVERITY_MAJOR, "guard",
			"many sources are denied: sallyport show guard");
	}
}

static void window_tick(struct bans *bans)
{
	uint64_t now = clock_now_ms();

	if (now - bans->window_ms < WINDOW_MS)
		return;
	if (bans->alarmed && bans->window_denials < bans->config->guard.alarm_rate / 2 + 1) {
		bans->alarmed = false;
		alarm_clear(bans->alarms, CP_ALARM_GUARD, "guard");
		log_notice("guard", "alarm over: few sources are denied",
			LOG_UINT("per-minute", bans->window_denials));
	}
	bans->window_ms = now;
	bans->window_denials = 0;
}

/* Its address is its own: it is remembered, and each time takes longer. */
static void deny_proven(struct bans *bans, struct bans_entry *entry, uint64_t now)
{
	char text[BORDER_TEXT_MAX];

	bool remembered = entry->rank != BANS_UNPROVEN && entry->ban.until_wall_ms + memory_ms(bans) >= now;

	entry->ban.times = remembered ? entry->ban.times + 1 : 1;
	entry->ban.ordered = false;
	entry->ban.until_wall_ms = now + denial_ms(bans, entry->ban.times);
	entry_ranked(bans, entry, rank_of(&entry->ban, true));
	store_ban(bans->store, &entry->ban.ban, entry->ban.until_wall_ms, entry->ban.times, "guard");
	store_audit(bans->store, "guard", "source denied", bans_print(&entry->ban.ban.key, text),
		entry->ban.ban.reason);
}

/* Anybody may have brought this about, and may do so a thousand times: it takes no place on disk, and none from what does. */
static void deny_unproven(struct bans *bans, struct bans_entry *entry, uint64_t now)
{
	entry->ban.until_wall_ms = now + (uint64_t)bans->config->guard.unproven_deny_time * 1000;
	entry->ban.times += entry->ban.times == 0;
	entry_ranked(bans, entry, entry->rank);
}

/* Messages that were under way when the first denial was ordered. */
static bool is_said_already(const struct bans_entry *entry, bool proven, uint64_t now)
{
	return entry && is_live(entry, now) && (!proven || entry->rank != BANS_UNPROVEN);
}

static void denial_arrived(void *owner, void *arg)
{
	struct bans *bans = owner;
	struct denial *denial = arg;
	uint64_t now = clock_wall_ms();
	struct bans_entry *entry;

	if (is_said_already(*find(bans, &denial->ban.key), denial->proven, now)) {
		free(denial);
		return;
	}
	entry = entry_get(bans, &denial->ban.key);
	if (entry) {
		entry->ban.ban = denial->ban;
		(denial->proven ? deny_proven : deny_unproven)(bans, entry, now);
		count_denial(bans);
		send_later(bans, entry);
		pump(bans);
	}
	free(denial);
}

void bans_deny(struct bans *bans, const struct dp_ban *ban, bool proven)
{
	struct denial *denial = malloc(sizeof(*denial));

	if (!denial)
		return;
	*denial = (struct denial){ .bans = bans, .ban = *ban, .proven = proven };
	if (mailbox_post(bans->mailbox, denial_arrived, denial) != 0)
		free(denial);
}

/* --- of people -------------------------------------------------------------------------------------------------------- */

struct order {
	struct bans *bans;
	struct dp_ban ban;
	bans_done done;
	void *arg;
	char who[64];
};

static void order_end(struct order *order, int status)
{
	order->done(order->arg, status);
	free(order);
}

static int outcome(int status, const void *body)
{
	struct dp_done done;

	if (status)
		return status;
	memcpy(&done, body, sizeof(done));
	return done.done == 1 ? 0 : done.status < 0 ? done.status : -EBADMSG;
}

static void ban_replied(void *arg, int status, const void *body, size_t length)
{
	struct order *order = arg;
	struct bans *bans = order->bans;
	char text[BORDER_TEXT_MAX];
	struct bans_entry *entry;

	(void)length;
	status = outcome(status, body);
	entry = status ? NULL : entry_get(bans, &order->ban.key);
	if (entry) {
		uint64_t from_now = order->ban.expires_us;

		entry->ban.ban = order->ban;
		entry->ban.ban.expires_us = 0;
		entry->ban.ordered = true;
		entry_ranked(bans, entry, BANS_ORDERED);
		entry->ban.until_wall_ms = from_now ? clock_wall_ms() + (from_now + 999) / 1000 : 0;
		store_ban(
			bans->store, &entry->ban.ban, entry->ban.until_wall_ms, entry->ban.times, order->who);
		store_audit(
			bans->store, order->who, "ban", bans_print(&order->ban.key, text), order->ban.reason);
	}
	order_end(order, status);
}

static void unban_replied(void *arg, int status, const void *body, size_t length)
{
	struct order *order = arg;
	struct bans *bans = order->bans;
	struct bans_entry *entry;
	char text[BORDER_TEXT_MAX];

	(void)length;
	status = outcome(status, body);
	entry = status == 0 || status == -ENOENT ? *find(bans, &order->ban.key) : NULL;
	if (entry) {
		if (is_live(entry, clock_wall_ms()))
			status = 0;
		store_ban_lifted(bans->store, &entry->ban.ban.key, order->who);
		forget(bans, entry);
	}
	if (status == 0) {
		guard_forgive(bans->guard, &order->ban.key);
		store_audit(bans->store, order->who, "unban", bans_print(&order->ban.key, text), "");
	}
	order_end(order, status);
}

static void order_begin(struct bans *bans, enum dp_message type, const struct dp_ban *ban, const char *who,
	bans_done done, void *arg)
{
	struct order *order = calloc(1, sizeof(*order));
	struct writer w;
	int error;

	if (!order) {
		done(arg, -ENOMEM);
		return;
	}
	order->bans = bans;
	order->ban = *ban;
	order->done = done;
	order->arg = arg;
	writer_init(&w, order->who, sizeof(order->who) - 1);
	writer_text(&w, who);
	if (type == DP_BAN_SET && is_full(bans) && !*find(bans, &ban->key) && !least(bans)) {
		order_end(order, -ENOSPC);
		return;
	}
	error = type == DP_BAN_SET ? dp_client_request(bans->client, type, &order->ban, sizeof(order->ban),
					     ban_replied, order)
				   : dp_client_request(bans->client, type, &order->ban.key,
					     sizeof(order->ban.key), unban_replied, order);
	if (error)
		order_end(order, error);
}

void bans_set(struct bans *bans, const struct dp_ban *ban, const char *who, bans_done done, void *arg)
{
	order_begin(bans, DP_BAN_SET, ban, who, done, arg);
}

void bans_lift(struct bans *bans, const struct dp_source_key *key, const char *who, bans_done done, void *arg)
{
	struct dp_ban ban = { .key = *key };

	order_begin(bans, DP_BAN_CLEAR, &ban, who, done, arg);
}

uint32_t bans_times(const struct bans *bans, const struct dp_source_key *key, uint64_t *until_wall_ms)
{
	const struct bans_entry *entry = *find(bans, key);

	*until_wall_ms = entry ? entry->ban.until_wall_ms : 0;
	return entry ? entry->ban.times : 0;
}

uint64_t bans_denials(const struct bans *bans)
{
	return bans->denials;
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static int take_ban(void *arg, const struct store_ban *ban)
{
	struct bans *bans = arg;
	struct bans_entry *entry = entry_get(bans, &ban->ban.key);

	/* More orders than there may be by now: what is there stays. */
	if (!entry)
		return bans->count ? 0 : -ENOMEM;
	entry->ban = *ban;
	entry_ranked(bans, entry, rank_of(ban, true));
	return 0;
}

static void ticked(uv_timer_t *timer)
{
	struct bans *bans = timer->data;

	window_tick(bans);
	expire(bans);
}

static int connect_dataplane(struct bans *bans, uv_loop_t *loop, uint64_t generation)
{
	static const struct dp_client_handlers plain = { .up = client_up };
	static const struct dp_client_handlers sampling = { .up = client_up, .sample = client_sample };
	char path[108];
	struct writer w;

	writer_init(&w, path, sizeof(path));
	writer_text(&w, bans->config->system.run_directory);
	writer_text(&w, "/dataplane.sock");
	writer_char(&w, '\0');
	return w.overflow ? -ENAMETOOLONG
			  : dp_client_new(loop, path, "controlplane", generation, UINT32_MAX,
				    bans->sample ? &sampling : &plain, bans, &bans->client);
}

int bans_new(uv_loop_t *loop, const struct config *config, uint64_t generation, struct store *store,
	void (*sample)(void *arg, const struct dp_sample *sample, const uint8_t *octets), void *arg,
	struct bans **out)
{
	struct bans *bans = calloc(1, sizeof(*bans));
	int64_t loaded;
	int error;

	if (!bans)
		return -ENOMEM;
	bans->config = config;
	bans->store = store;
	bans->sample = sample;
	bans->sample_arg = arg;
	bans->unsent_last = &bans->unsent;
	bans->window_ms = clock_now_ms();
	hash_key_random(&bans->key);
	uv_timer_init(loop, &bans->tick);
	bans->tick.data = bans;
	bans->buckets = BUCKETS;
	bans->bucket = calloc(BUCKETS, sizeof(struct bans_entry *));
	error = bans->bucket ? mailbox_new(loop, bans, MAILBOX_ENTRIES, &bans->mailbox) : -ENOMEM;
	if (error == 0) {
		loaded = store_load_bans(store, memory_ms(bans), take_ban, bans);
		if (loaded < 0)
			log_error("store", "bans cannot be read", LOG_ERRNO("error", (int)loaded));
		error = connect_dataplane(bans, loop, generation);
	}
	if (error) {
		bans_free(bans);
		return error;
	}
	uv_timer_start(&bans->tick, ticked, TICK_MS, TICK_MS);
	*out = bans;
	return 0;
}

static void tick_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void bans_free(struct bans *bans)
{
	struct bans_entry *next;

	if (!bans)
		return;
	if (bans->client)
		dp_client_free(bans->client);
	bans->client = NULL;
	if (bans->mailbox)
		mailbox_free(bans->mailbox);
	for (unsigned rank = 0; rank < BANS_RANKS; rank++)
		for (struct bans_entry *entry = bans->order[rank].oldest; entry; entry = next) {
			next = entry->newer;
			free(entry);
		}
	free(bans->bucket);
	uv_close((uv_handle_t *)&bans->tick, tick_closed);
}

void bans_alarms(struct bans *bans, struct alarms *alarms)
{
	bans->alarms = alarms;
}

void bans_forgives(struct bans *bans, struct guard *guard)
{
	bans->guard = guard;
}
