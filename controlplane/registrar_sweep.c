/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes on without a REGISTER: bindings run out, and the dataplane is told whose flows are trusted. */
#include <errno.h>
#include <stdlib.h>

#include "controlplane/keep_alive.h"
#include "controlplane/registrar_internal.h"
#include "controlplane/store.h"
#include "platforms/base/clock.h"

enum {
	TICK_MS = 100,
	ROUND_TICKS = 100, /* in how many all bindings are looked at */
	LOOKED_LEAST = 32,
	LOOKED_MOST = 4096,
	PAGE = 64,
	REACHABLE_NO_MORE = 2, /* of binding.unreachable: the phone has let it run out */
};

struct registrar_trust {
	struct dp_trust set[DP_BATCH_MAX];
	struct dp_source_key clear[DP_BATCH_MAX];
	size_t set_count, clear_count;
	uint64_t again; /* all up to this number are told anew; UINT64_MAX: none */
};

/* --- trust -------------------------------------------------------------------------------------------------------------- */

static void on_trusted(void *arg, int status, const void *body, size_t length)
{
	const struct dp_done *done = body;

	(void)arg;
	(void)length;
	/* Without a dataplane nothing is lost: all are told again when it is there. */
	if (status == 0 && done->status == -ENOSPC)
		log_warning("registrar", "guard.max-trusted is reached: phones are treated as strangers");
}

static void send_trust(struct registrar *registrar)
{
	struct registrar_trust *trust = registrar->trust;
	struct dp_client *dataplane = registrar->shard->dataplane;

	if (dataplane && trust->clear_count)
		dp_client_request(dataplane, DP_TRUST_CLEAR, trust->clear,
			trust->clear_count * sizeof(trust->clear[0]), on_trusted, NULL);
	if (dataplane && trust->set_count)
		dp_client_request(dataplane, DP_TRUST_SET, trust->set,
			trust->set_count * sizeof(trust->set[0]), on_trusted, NULL);
	trust->clear_count = trust->set_count = 0;
}

static struct dp_source_key key_of(const struct binding *binding)
{
	struct dp_source_key key = { .length = binding->flow.remote.sa.sa_family == AF_INET6 ? 128 : 32 };

	dp_address_from(&key.address, &binding->flow.remote);
	return key;
}

void registrar_trust(struct registrar *registrar, const struct binding *binding)
{
	struct registrar_trust *trust = registrar->trust;
	uint64_t now = clock_wall_ms();
	uint64_t until = __atomic_load_n(&binding->upstream_expires_wall_ms, __ATOMIC_RELAXED);

	if (until <= now)
		return;
	if (trust->set_count == DP_BATCH_MAX)
		send_trust(registrar);
	trust->set[trust->set_count++] = (struct dp_trust){ .key = key_of(binding),
		.expires_us = (until - now) * 1000,
		.rate = registrar->shard->config->guard.registered_rate,
		.burst = 2 * registrar->shard->config->guard.registered_rate };
}

/* A flow may have several addresses-of-record: the last one takes the trust with it. */
static void distrust(struct registrar *registrar, const struct binding *binding)
{
	struct registrar_trust *trust = registrar->trust;
	struct sip_flow flow = registrar_flow(registrar->shard, binding);
	struct binding *other;

	flow.remote = binding->flow.remote;
	other = flow.listener ? location_by_flow(registrar->shard->shared.location, &flow) : NULL;
	binding_put(other);
	if (other)
		return;
	if (trust->clear_count == DP_BATCH_MAX)
		send_trust(registrar);
	trust->clear[trust->clear_count++] = key_of(binding);
}

void registrar_quit(struct registrar *registrar, struct binding *binding)
{
	if (registrar->shard->keep_alive)
		keep_alive_stop(registrar->shard, binding);
	distrust(registrar, binding);
}

void registrar_dataplane_up(struct shard *shard, bool fresh)
{
	(void)fresh;
	/* What was on its way when the connection broke may be lost: all again in any case. */
	if (shard->registrar)
		shard->registrar->trust->again = 0;
}

/* --- running out ---------------------------------------------------------------------------------------------------------- */

/* The phone's time is over before the registrar's: its token is kept until then, but leads nowhere. We have no password, so nobody can be
 * unregistered by us; the registrar's binding lapses by itself. */
static void look_at(struct registrar *registrar, struct binding *binding, uint64_t now)
{
	struct shard *shard = registrar->shard;

	if (__atomic_load_n(&binding->expires_wall_ms, __ATOMIC_RELAXED) > now)
		return;
	if (__atomic_exchange_n(&binding->unreachable, REACHABLE_NO_MORE, __ATOMIC_RELAXED) !=
		REACHABLE_NO_MORE)
		registrar_quit(registrar, binding);
	if (__atomic_load_n(&binding->upstream_expires_wall_ms, __ATOMIC_RELAXED) > now)
		return;
	if (location_remove(shard->shared.location, binding))
		store_binding_gone(shard->shared.store, binding->number);
}

static void sweep_page(struct registrar *registrar, uint64_t now)
{
	struct binding *page[PAGE];
	size_t count = location_list(registrar->shard->shared.location, registrar->swept, page, PAGE);

	registrar->swept = count ? page[count - 1]->number : 0;
	for (size_t i = 0; i < count; i++) {
		if (registrar_is_mine(registrar->shard, page[i]->aor))
			look_at(registrar, page[i], now);
		binding_put(page[i]);
	}
}

static void trust_page(struct registrar *registrar, uint64_t now)
{
	struct registrar_trust *trust = registrar->trust;
	struct binding *page[PAGE];
	size_t count = location_list(registrar->shard->shared.location, trust->again, page, PAGE);

	trust->again = count ? page[count - 1]->number : UINT64_MAX;
	for (size_t i = 0; i < count; i++) {
		if (registrar_is_mine(registrar->shard, page[i]->aor) &&
			__atomic_load_n(&page[i]->expires_wall_ms, __ATOMIC_RELAXED) > now)
			registrar_trust(registrar, page[i]);
		binding_put(page[i]);
	}
}

/* What the registrar has of it lapses by itself: we have no password. */
static void leave_page(struct registrar *registrar)
{
	struct shard *shard = registrar->shard;
	struct location *location = shard->shared.location;
	struct binding *page[PAGE];
	size_t count = location_list(location, registrar->leaving, page, PAGE);

	registrar->leaving = count ? page[count - 1]->number : UINT64_MAX;
	for (size_t i = 0; i < count; i++) {
		if (registrar_is_mine(shard, page[i]->aor) && !location_serves(location, page[i]) &&
			location_remove(location, page[i])) {
			registrar_quit(registrar, page[i]);
			store_binding_gone(shard->shared.store, page[i]->number);
		}
		binding_put(page[i]);
	}
}

void registrar_leave(struct shard *shard)
{
	if (shard->registrar)
		shard->registrar->leaving = 0;
}

static void tick(struct timer *timer, void *arg)
{
	struct registrar *registrar = arg;
	struct shard *shard = registrar->shard;
	size_t looked = 0, enough = location_count(shard->shared.location) / ROUND_TICKS + LOOKED_LEAST;
	uint64_t now = clock_wall_ms();

	if (enough > LOOKED_MOST)
		enough = LOOKED_MOST;
	do {
		sweep_page(registrar, now);
		looked += PAGE;
	} while (looked < enough && registrar->swept);
	for (looked = 0; looked < LOOKED_MOST && registrar->trust->again != UINT64_MAX; looked += PAGE)
		trust_page(registrar, now);
	for (looked = 0; looked < LOOKED_MOST && registrar->leaving != UINT64_MAX; looked += PAGE)
		leave_page(registrar);
	send_trust(registrar);
	timer_arm(shard->timers, timer, TICK_MS, tick, registrar);
}

/* While we were away the phone may have refreshed in vain: it has one more of its intervals for that. */
static void give_time(struct registrar *registrar, struct binding *binding, uint64_t now)
{
	const struct config_registration *config = &registrar->shard->config->registration;
	uint64_t until = now + 1000 * (uint64_t)(binding->flow.transport == CONFIG_TRANSPORT_UDP
							 ? config->phone_expires_udp
							 : config->phone_expires_stream);

	if (until > binding->upstream_expires_wall_ms)
		until = binding->upstream_expires_wall_ms;
	if (binding->expires_wall_ms < until)
		__atomic_store_n(&binding->expires_wall_ms, until, __ATOMIC_RELAXED);
}

/* What the store has brought back. The shards' threads do not run yet. */
static void take_over(struct registrar *registrar)
{
	struct shard *shard = registrar->shard;
	struct binding *page[PAGE];
	uint64_t after = 0, now = clock_wall_ms();
	size_t count;

	while ((count = location_list(shard->shared.location, after, page, PAGE)) > 0) {
		after = page[count - 1]->number;
		for (size_t i = 0; i < count; i++) {
			if (registrar_is_mine(shard, page[i]->aor)) {
				give_time(registrar, page[i], now);
				if (shard->keep_alive)
					keep_alive_start(shard, NULL, page[i]);
			}
			binding_put(page[i]);
		}
	}
}

int registrar_sweep_open(struct registrar *registrar)
{
	struct shard *shard = registrar->shard;

	registrar->trust = calloc(1, sizeof(*registrar->trust));
	if (!registrar->trust)
		return -ENOMEM;
	registrar->trust->again = 0;
	registrar->leaving = UINT64_MAX;
	if (!shard->shared.location)
		return 0;
	take_over(registrar);
	timer_arm(shard->timers, &registrar->sweep, TICK_MS, tick, registrar);
	return 0;
}

void registrar_sweep_close(struct registrar *registrar)
{
	timer_cancel(&registrar->sweep);
	free(registrar->trust);
}
