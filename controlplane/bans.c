/* SPDX-License-Identifier: BSD-3-Clause */
/* Bans: kept by source, told to the dataplane in batches, told again when it has restarted. */
#include "controlplane/bans_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/alarm.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	MAILBOX_ENTRIES = 4096,
	BATCHES_MAX = 4, /* under way at a time */
	BUCKETS = 16384,
	TICK_MS = 1000,
	WINDOW_MS = 60000, /* of the alarm */
};

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

			bans_unsent_remove(bans, entry);
			if (!bans_entry_is_live(entry, now))
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
			if (bans_entry_is_live(entry, now))
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
	uint64_t longest = bans_memory_ms(bans), time = (uint64_t)bans->config->guard.deny_time * 1000;

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

	bool remembered =
		entry->rank != BANS_UNPROVEN && entry->ban.until_wall_ms + bans_memory_ms(bans) >= now;

	entry->ban.times = remembered ? entry->ban.times + 1 : 1;
	entry->ban.ordered = false;
	entry->ban.until_wall_ms = now + denial_ms(bans, entry->ban.times);
	bans_entry_ranked(bans, entry, bans_rank_of(&entry->ban, true));
	store_ban(bans->store, &entry->ban.ban, entry->ban.until_wall_ms, entry->ban.times, "guard");
	store_audit(bans->store, "guard", "source denied", bans_print(&entry->ban.ban.key, text),
		entry->ban.ban.reason);
}

/* Anybody may have brought this about, and may do so a thousand times: it takes no place on disk, and none from what does. */
static void deny_unproven(struct bans *bans, struct bans_entry *entry, uint64_t now)
{
	entry->ban.until_wall_ms = now + (uint64_t)bans->config->guard.unproven_deny_time * 1000;
	entry->ban.times += entry->ban.times == 0;
	bans_entry_ranked(bans, entry, entry->rank);
}

/* Messages that were under way when the first denial was ordered. */
static bool is_said_already(const struct bans_entry *entry, bool proven, uint64_t now)
{
	return entry && bans_entry_is_live(entry, now) && (!proven || entry->rank != BANS_UNPROVEN);
}

static void denial_arrived(void *owner, void *arg)
{
	struct bans *bans = owner;
	struct denial *denial = arg;
	uint64_t now = clock_wall_ms();
	struct bans_entry *entry;

	if (is_said_already(*bans_entry_find(bans, &denial->ban.key), denial->proven, now)) {
		free(denial);
		return;
	}
	entry = bans_entry_get(bans, &denial->ban.key);
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

/* --- what is told --------------------------------------------------------------------------------------------- */

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

uint32_t bans_times(const struct bans *bans, const struct dp_source_key *key, uint64_t *until_wall_ms)
{
	const struct bans_entry *entry = *bans_entry_find(bans, key);

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
	struct bans_entry *entry = bans_entry_get(bans, &ban->ban.key);

	/* More orders than there may be by now: what is there stays. */
	if (!entry)
		return bans->count ? 0 : -ENOMEM;
	entry->ban = *ban;
	bans_entry_ranked(bans, entry, bans_rank_of(ban, true));
	return 0;
}

static void ticked(uv_timer_t *timer)
{
	struct bans *bans = timer->data;

	window_tick(bans);
	bans_expire(bans);
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
		loaded = store_load_bans(store, bans_memory_ms(bans), take_ban, bans);
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

void bans_move(struct bans *bans, const struct config_move *move)
{
	if (bans)
		bans->config = config_move_to(move);
}

void bans_alarms(struct bans *bans, struct alarms *alarms)
{
	bans->alarms = alarms;
}

void bans_forgives(struct bans *bans, struct guard *guard)
{
	bans->guard = guard;
}
