/* SPDX-License-Identifier: BSD-3-Clause */
/* Bans: kept by source, told to the dataplane in batches, told again when it has restarted. */
#include "controlplane/border_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

const char *border_print(const struct dp_source_key *key, char buffer[BORDER_TEXT_MAX])
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

static struct border_entry **find(const struct border *border, const struct dp_source_key *key)
{
	struct border_entry **at =
		&border->bucket[hash_bytes(&border->key, key, sizeof(*key)) % border->buckets];

	while (*at && memcmp(&(*at)->ban.ban.key, key, sizeof(*key)) != 0)
		at = &(*at)->same_bucket;
	return at;
}

static void order_remove(struct border *border, struct border_entry *entry)
{
	*(entry->older ? &entry->older->newer : &border->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &border->newest) = entry->older;
	entry->older = entry->newer = NULL;
}

static void order_last(struct border *border, struct border_entry *entry)
{
	entry->older = border->newest;
	*(border->newest ? &border->newest->newer : &border->oldest) = entry;
	border->newest = entry;
}

static void unsent_remove(struct border *border, struct border_entry *entry)
{
	struct border_entry **at = &border->unsent;

	if (!entry->unsent)
		return;
	while (*at != entry)
		at = &(*at)->next_unsent;
	*at = entry->next_unsent;
	if (border->unsent_last == &entry->next_unsent)
		border->unsent_last = at;
	entry->unsent = false;
}

static void forget(struct border *border, struct border_entry *entry)
{
	struct border_entry **at = find(border, &entry->ban.ban.key);

	*at = entry->same_bucket;
	order_remove(border, entry);
	unsent_remove(border, entry);
	border->count--;
	free(entry);
}

/* Found or made, and the newest now; the oldest gives way. NULL: no memory. */
static struct border_entry *entry_get(struct border *border, const struct dp_source_key *key)
{
	struct border_entry **at = find(border, key), *entry = *at;

	if (entry) {
		order_remove(border, entry);
		order_last(border, entry);
		return entry;
	}
	if (border->count >= border->config->guard.max_bans)
		forget(border, border->oldest);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->ban.ban.key = *key;
	at = find(border, key);
	*at = entry;
	order_last(border, entry);
	border->count++;
	return entry;
}

static bool is_live(const struct border_entry *entry, uint64_t now_wall_ms)
{
	return entry->ban.until_wall_ms == 0 || entry->ban.until_wall_ms > now_wall_ms;
}

static uint64_t memory_ms(const struct border *border)
{
	return (uint64_t)border->config->guard.deny_time_max * 1000;
}

static void expire(struct border *border)
{
	uint64_t now = clock_wall_ms();
	struct border_entry *next;
	unsigned looked = 0;

	for (struct border_entry *entry = border->oldest; entry && looked < BUCKETS; entry = next, looked++) {
		next = entry->newer;
		if (entry->ban.until_wall_ms && entry->ban.until_wall_ms + memory_ms(border) < now) {
			store_ban_lifted(border->store, &entry->ban.ban.key, "time");
			forget(border, entry);
		}
	}
}

/* --- to the dataplane ------------------------------------------------------------------------------------------------- */

static void pump(struct border *border);

static void batch_replied(void *arg, int status, const void *body, size_t length)
{
	struct border *border = arg;
	struct dp_done done;

	border->under_way--;
	if (status == 0 && length >= sizeof(done)) {
		memcpy(&done, body, sizeof(done));
		if (done.status)
			log_info("border",
				"a ban was not taken: an agent or a trusted source is in it, or there is no "
				"room",
				LOG_ERRNO("error", done.status));
	}
	pump(border);
}

/* A dataplane that goes away meanwhile is told all when it is back. */
static void pump(struct border *border)
{
	struct dp_ban batch[DP_BATCH_MAX];

	while (border->unsent && border->under_way < BATCHES_MAX && border->client &&
		dp_client_is_up(border->client)) {
		uint64_t now = clock_wall_ms();
		size_t n = 0;

		while (border->unsent && n < DP_BATCH_MAX) {
			struct border_entry *entry = border->unsent;

			unsent_remove(border, entry);
			if (!is_live(entry, now))
				continue;
			batch[n] = entry->ban.ban;
			batch[n].expires_us =
				entry->ban.until_wall_ms ? (entry->ban.until_wall_ms - now) * 1000 : 0;
			n++;
		}
		if (n == 0)
			return;
		if (dp_client_request(border->client, DP_BAN_SET, batch, n * sizeof(batch[0]), batch_replied,
			    border) != 0)
			return;
		border->under_way++;
	}
}

static void send_later(struct border *border, struct border_entry *entry)
{
	if (entry->unsent)
		return;
	entry->unsent = true;
	entry->next_unsent = NULL;
	*border->unsent_last = entry;
	border->unsent_last = &entry->next_unsent;
}

/* Each time: a connection that was gone may have taken batches with it. A ban that is there is replaced. */
static void client_up(void *arg, bool fresh)
{
	struct border *border = arg;
	uint64_t now = clock_wall_ms();

	(void)fresh;
	for (struct border_entry *entry = border->oldest; entry; entry = entry->newer)
		if (is_live(entry, now))
			send_later(border, entry);
	pump(border);
}

static void client_sample(void *arg, const struct dp_sample *sample, const uint8_t *octets)
{
	const struct border *border = arg;

	border->sample(border->sample_arg, sample, octets);
}

/* --- of the guard ----------------------------------------------------------------------------------------------------- */

struct denial {
	struct border *border;
	struct dp_ban ban;
	bool proven;
};

static uint64_t denial_ms(const struct border *border, uint32_t times, bool proven)
{
	const struct config_guard *guard = &border->config->guard;
	uint64_t longest = (uint64_t)(proven ? guard->deny_time_max : guard->deny_time) * 1000;
	uint64_t time = (uint64_t)(proven ? guard->deny_time : guard->unproven_deny_time) * 1000;

	for (uint32_t i = 1; i < times && time < longest; i++)
		time *= 2;
	return time < longest ? time : longest;
}

static void count_denial(struct border *border)
{
	border->denials++;
	if (++border->window_denials >= border->config->guard.alarm_rate && !border->alarmed) {
		border->alarmed = true;
		log_warning("guard", "alarm: many sources are denied",
			LOG_UINT("per-minute", border->window_denials));
	}
}

static void window_tick(struct border *border)
{
	uint64_t now = clock_now_ms();

	if (now - border->window_ms < WINDOW_MS)
		return;
	if (border->alarmed && border->window_denials < border->config->guard.alarm_rate / 2 + 1) {
		border->alarmed = false;
		log_notice("guard", "alarm over: few sources are denied",
			LOG_UINT("per-minute", border->window_denials));
	}
	border->window_ms = now;
	border->window_denials = 0;
}

static void denial_arrived(void *owner, void *arg)
{
	struct border *border = owner;
	struct denial *denial = arg;
	uint64_t now = clock_wall_ms();
	struct border_entry *entry = *find(border, &denial->ban.key);
	char text[BORDER_TEXT_MAX];

	/* Messages that were under way when the first denial was ordered. */
	if (entry && is_live(entry, now)) {
		free(denial);
		return;
	}
	entry = entry_get(border, &denial->ban.key);
	if (entry) {
		entry->ban.times =
			entry->ban.until_wall_ms + memory_ms(border) < now ? 1 : entry->ban.times + 1;
		entry->ban.ban = denial->ban;
		entry->ban.until_wall_ms = now + denial_ms(border, entry->ban.times, denial->proven);
		store_ban(
			border->store, &entry->ban.ban, entry->ban.until_wall_ms, entry->ban.times, "guard");
		store_audit(border->store, "guard", "source denied", border_print(&denial->ban.key, text),
			denial->ban.reason);
		count_denial(border);
		send_later(border, entry);
		pump(border);
	}
	free(denial);
}

void border_deny(struct border *border, const struct dp_ban *ban, bool proven)
{
	struct denial *denial = malloc(sizeof(*denial));

	if (!denial)
		return;
	*denial = (struct denial){ .border = border, .ban = *ban, .proven = proven };
	if (mailbox_post(border->mailbox, denial_arrived, denial) != 0)
		free(denial);
}

/* --- of people -------------------------------------------------------------------------------------------------------- */

struct order {
	struct border *border;
	struct dp_ban ban;
	border_done done;
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
	struct border *border = order->border;
	char text[BORDER_TEXT_MAX];
	struct border_entry *entry;

	(void)length;
	status = outcome(status, body);
	entry = status ? NULL : entry_get(border, &order->ban.key);
	if (entry) {
		uint64_t from_now = order->ban.expires_us;

		entry->ban.ban = order->ban;
		entry->ban.ban.expires_us = 0;
		entry->ban.until_wall_ms = from_now ? clock_wall_ms() + (from_now + 999) / 1000 : 0;
		store_ban(border->store, &entry->ban.ban, entry->ban.until_wall_ms, entry->ban.times,
			order->who);
		store_audit(border->store, order->who, "ban", border_print(&order->ban.key, text),
			order->ban.reason);
	}
	order_end(order, status);
}

static void unban_replied(void *arg, int status, const void *body, size_t length)
{
	struct order *order = arg;
	struct border *border = order->border;
	struct border_entry *entry;
	char text[BORDER_TEXT_MAX];

	(void)length;
	status = outcome(status, body);
	entry = status == 0 || status == -ENOENT ? *find(border, &order->ban.key) : NULL;
	if (entry) {
		if (is_live(entry, clock_wall_ms()))
			status = 0;
		store_ban_lifted(border->store, &entry->ban.ban.key, order->who);
		forget(border, entry);
	}
	if (status == 0) {
		guard_forgive(border->guard, &order->ban.key);
		store_audit(border->store, order->who, "unban", border_print(&order->ban.key, text), "");
	}
	order_end(order, status);
}

static void order_begin(struct border *border, enum dp_message type, const struct dp_ban *ban,
	const char *who, border_done done, void *arg)
{
	struct order *order = calloc(1, sizeof(*order));
	struct writer w;
	int error;

	if (!order) {
		done(arg, -ENOMEM);
		return;
	}
	order->border = border;
	order->ban = *ban;
	order->done = done;
	order->arg = arg;
	writer_init(&w, order->who, sizeof(order->who) - 1);
	writer_text(&w, who);
	error = type == DP_BAN_SET ? dp_client_request(border->client, type, &order->ban, sizeof(order->ban),
					     ban_replied, order)
				   : dp_client_request(border->client, type, &order->ban.key,
					     sizeof(order->ban.key), unban_replied, order);
	if (error)
		order_end(order, error);
}

void border_ban(struct border *border, const struct dp_ban *ban, const char *who, border_done done, void *arg)
{
	order_begin(border, DP_BAN_SET, ban, who, done, arg);
}

void border_unban(
	struct border *border, const struct dp_source_key *key, const char *who, border_done done, void *arg)
{
	struct dp_ban ban = { .key = *key };

	order_begin(border, DP_BAN_CLEAR, &ban, who, done, arg);
}

uint32_t border_times(const struct border *border, const struct dp_source_key *key, uint64_t *until_wall_ms)
{
	const struct border_entry *entry = *find(border, key);

	*until_wall_ms = entry ? entry->ban.until_wall_ms : 0;
	return entry ? entry->ban.times : 0;
}

uint64_t border_denials(const struct border *border)
{
	return border->denials;
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static int take_ban(void *arg, const struct store_ban *ban)
{
	struct border *border = arg;
	struct border_entry *entry = entry_get(border, &ban->ban.key);

	if (!entry)
		return -ENOMEM;
	entry->ban = *ban;
	return 0;
}

static void ticked(uv_timer_t *timer)
{
	struct border *border = timer->data;

	window_tick(border);
	expire(border);
}

static int connect_dataplane(struct border *border, uv_loop_t *loop, uint64_t generation)
{
	static const struct dp_client_handlers plain = { .up = client_up };
	static const struct dp_client_handlers sampling = { .up = client_up, .sample = client_sample };
	char path[108];
	struct writer w;

	writer_init(&w, path, sizeof(path));
	writer_text(&w, border->config->system.run_directory);
	writer_text(&w, "/dataplane.sock");
	writer_char(&w, '\0');
	return w.overflow ? -ENAMETOOLONG
			  : dp_client_new(loop, path, "controlplane", generation, UINT32_MAX,
				    border->sample ? &sampling : &plain, border, &border->client);
}

int border_new(uv_loop_t *loop, const struct config *config, uint64_t generation, struct store *store,
	void (*sample)(void *arg, const struct dp_sample *sample, const uint8_t *octets), void *arg,
	struct border **out)
{
	struct border *border = calloc(1, sizeof(*border));
	int64_t loaded;
	int error;

	if (!border)
		return -ENOMEM;
	border->config = config;
	border->store = store;
	border->sample = sample;
	border->sample_arg = arg;
	border->unsent_last = &border->unsent;
	border->window_ms = clock_now_ms();
	hash_key_random(&border->key);
	uv_timer_init(loop, &border->tick);
	border->tick.data = border;
	border->buckets = BUCKETS;
	border->bucket = calloc(BUCKETS, sizeof(struct border_entry *));
	error = border->bucket ? mailbox_new(loop, border, MAILBOX_ENTRIES, &border->mailbox) : -ENOMEM;
	if (error == 0) {
		loaded = store_load_bans(store, memory_ms(border), take_ban, border);
		if (loaded < 0)
			log_error("store", "bans cannot be read", LOG_ERRNO("error", (int)loaded));
		error = connect_dataplane(border, loop, generation);
	}
	if (error) {
		border_free(border);
		return error;
	}
	uv_timer_start(&border->tick, ticked, TICK_MS, TICK_MS);
	*out = border;
	return 0;
}

static void tick_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void border_free(struct border *border)
{
	struct border_entry *next;

	if (!border)
		return;
	if (border->client)
		dp_client_free(border->client);
	border->client = NULL;
	if (border->mailbox)
		mailbox_free(border->mailbox);
	for (struct border_entry *entry = border->oldest; entry; entry = next) {
		next = entry->newer;
		free(entry);
	}
	free(border->bucket);
	uv_close((uv_handle_t *)&border->tick, tick_closed);
}

void border_forgives(struct border *border, struct guard *guard)
{
	border->guard = guard;
}
