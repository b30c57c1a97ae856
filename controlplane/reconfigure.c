/* SPDX-License-Identifier: BSD-3-Clause */
/* The order in which the modules of the control plane go from one configuration to the next. */
#include "controlplane/reconfigure.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "controlplane/admission.h"
#include "controlplane/agent.h"
#include "controlplane/bans.h"
#include "controlplane/call.h"
#include "controlplane/digest_server.h"
#include "controlplane/guard.h"
#include "controlplane/keep_alive.h"
#include "controlplane/location.h"
#include "controlplane/register_limits.h"
#include "controlplane/registrar.h"
#include "controlplane/reply.h"
#include "controlplane/request_relay.h"
#include "controlplane/standstill.h"
#include "controlplane/statistics.h"
#include "controlplane/store.h"
#include "controlplane/store_record.h"
#include "controlplane/subscription.h"
#include "controlplane/tls.h"
#include "controlplane/tls_watch.h"
#include "controlplane/transaction.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

struct reconfigure {
	struct reconfigure_world world;
	struct standstill *standstill;
	struct config_move *move; /* prepared; NULL: nothing is */
	uint64_t stop_us;
};

/* --- modules ------------------------------------------------------------------------------------------------------------ */

/* What there is of each shard. Any function may be NULL. */
struct shard_module {
	int (*prepare)(struct shard *shard, const struct config_move *move, struct writer *why);
	void (*abort)(struct shard *shard);
	void (*move)(struct shard *shard, struct config_move *move);
	void (*settle)(struct shard *shard);
};

/* Listeners and agents first: what comes after them may look there. */
static const struct shard_module shard_modules[] = {
	{ transport_prepare, transport_abort, transport_move, transport_settle },
	{ agent_table_prepare, agent_table_abort, agent_table_move, agent_table_settle },
	{ transaction_layer_prepare, transaction_layer_abort, transaction_layer_move, NULL },
	{ NULL, NULL, call_layer_move, NULL },
	{ NULL, NULL, subscription_layer_move, NULL },
	{ NULL, NULL, request_relay_layer_move, NULL },
	{ NULL, NULL, registrar_move, NULL },
	{ NULL, NULL, keep_alive_move, NULL },
	{ NULL, NULL, reply_budget_move, NULL },
};

/* What all shards share, or the main thread has. */
struct shared_module {
	int (*prepare)(
		const struct reconfigure_world *world, const struct config_move *move, struct writer *why);
	void (*abort)(const struct reconfigure_world *world);
	void (*move)(const struct reconfigure_world *world, struct config_move *move);
	void (*settle)(const struct reconfigure_world *world);
};

static void location_moves(const struct reconfigure_world *world, struct config_move *move)
{
	if (world->shared && world->shared->location && location_move(world->shared->location, move))
		for (unsigned i = 0; i < world->count; i++)
			registrar_leave(world->shards[i]);
}

static int statistics_prepares(
	const struct reconfigure_world *world, const struct config_move *move, struct writer *why)
{
	(void)why;
	return world->shared ? statistics_prepare(world->shared->statistics, config_move_to(move)) : 0;
}

static void statistics_moves(const struct reconfigure_world *world, struct config_move *move)
{
	(void)move;
	if (world->shared)
		statistics_move(world->shared->statistics);
}

/* A process that gets its first keys: no image of its memory is written any more. */
static int tls_prepares(
	const struct reconfigure_world *world, const struct config_move *move, struct writer *why)
{
	if (config_move_to(move)->tls_profiles_count && !config_move_from(move)->tls_profiles_count &&
		prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return world->shared ? tls_prepare(world->shared->tls, move, why) : 0;
}

static int guard_prepares(
	const struct reconfigure_world *world, const struct config_move *move, struct writer *why)
{
	(void)why;
	return world->shared ? guard_prepare(world->shared->guard, move) : 0;
}

static int register_limits_prepares(
	const struct reconfigure_world *world, const struct config_move *move, struct writer *why)
{
	(void)why;
	return world->shared ? register_limits_prepare(world->shared->register_limits, move) : 0;
}

/* clang-format off */
#define CALLS(function, field)                                                                 \
	static void function##s(const struct reconfigure_world *world)                         \
	{                                                                                      \
		if (world->shared)                                                             \
			function(world->shared->field);                                        \
	}
#define MOVES(function, field)                                                                 \
	static void function##s(const struct reconfigure_world *world, struct config_move *move) \
	{                                                                                      \
		if (world->shared)                                                             \
			function(world->shared->field, move);                                  \
	}
CALLS(statistics_abort, statistics)
CALLS(statistics_settle, statistics)
CALLS(tls_abort, tls)
MOVES(tls_move, tls)
CALLS(tls_settle, tls)
CALLS(tls_watch_settle, tls_watch)
CALLS(guard_abort, guard)
MOVES(guard_move, guard)
CALLS(guard_settle, guard)
CALLS(register_limits_abort, register_limits)
MOVES(register_limits_move, register_limits)
CALLS(register_limits_settle, register_limits)
MOVES(digest_server_move, digest)
MOVES(admission_move, admission)
MOVES(store_move, store)
MOVES(record_store_move, records)
#undef CALLS
#undef MOVES
/* clang-format on */

static void bans_moves(const struct reconfigure_world *world, struct config_move *move)
{
	bans_move(world->bans, move);
}

static const struct shared_module shared_modules[] = {
	{ statistics_prepares, statistics_aborts, statistics_moves, statistics_settles },
	{ NULL, NULL, location_moves, NULL },
	{ tls_prepares, tls_aborts, tls_moves, tls_settles },
	{ NULL, NULL, NULL, tls_watch_settles },
	{ guard_prepares, guard_aborts, guard_moves, guard_settles },
	{ register_limits_prepares, register_limits_aborts, register_limits_moves, register_limits_settles },
	{ NULL, NULL, digest_server_moves, NULL },
	{ NULL, NULL, admission_moves, NULL },
	{ NULL, NULL, store_moves, NULL },
	{ NULL, NULL, record_store_moves, NULL },
	{ NULL, NULL, bans_moves, NULL },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* --- phases ------------------------------------------------------------------------------------------------------------- */

static void modules_abort(const struct reconfigure_world *world)
{
	for (size_t m = COUNT(shard_modules); m-- > 0;)
		for (unsigned i = 0; i < world->count && shard_modules[m].abort; i++)
			shard_modules[m].abort(world->shards[i]);
	for (size_t m = COUNT(shared_modules); m-- > 0;)
		if (shared_modules[m].abort)
			shared_modules[m].abort(world);
}

static int modules_prepare(
	const struct reconfigure_world *world, const struct config_move *move, struct writer *why)
{
	int error = 0;

	for (size_t m = 0; m < COUNT(shared_modules) && !error; m++)
		if (shared_modules[m].prepare)
			error = shared_modules[m].prepare(world, move, why);
	for (size_t m = 0; m < COUNT(shard_modules); m++)
		for (unsigned i = 0; i < world->count && shard_modules[m].prepare && !error; i++)
			error = shard_modules[m].prepare(world->shards[i], move, why);
	return error;
}

static void modules_move(const struct reconfigure_world *world, struct config_move *move)
{
	for (unsigned i = 0; i < world->count; i++)
		world->shards[i]->config = config_move_to(move);
	if (world->config)
		*world->config = config_move_to(move);
	for (size_t m = 0; m < COUNT(shared_modules); m++)
		if (shared_modules[m].move)
			shared_modules[m].move(world, move);
	for (size_t m = 0; m < COUNT(shard_modules); m++)
		for (unsigned i = 0; i < world->count && shard_modules[m].move; i++)
			shard_modules[m].move(world->shards[i], move);
}

static void modules_settle(const struct reconfigure_world *world)
{
	for (size_t m = 0; m < COUNT(shared_modules); m++)
		if (shared_modules[m].settle)
			shared_modules[m].settle(world);
	for (size_t m = 0; m < COUNT(shard_modules); m++)
		for (unsigned i = 0; i < world->count && shard_modules[m].settle; i++)
			shard_modules[m].settle(world->shards[i]);
}

/* Calls that have ended since the last change may have been the last to need an older configuration: what is in use is looked for anew. */
static int look_for_room(struct reconfigure *reconfigure, struct writer *why)
{
	const struct reconfigure_world *world = &reconfigure->world;
	const struct config *running = config_snapshots_running(world->snapshots);
	struct config_move *move;
	int error = config_move_new(world->snapshots, running, &move);

	if (error)
		return error;
	error = modules_prepare(world, move, why);
	if (error) {
		modules_abort(world);
		config_move_free(move);
		return error;
	}
	standstill_begin(reconfigure->standstill);
	modules_move(world, move);
	standstill_end(reconfigure->standstill);
	modules_settle(world);
	config_move_finish(move, NULL);
	return config_snapshots_kept(world->snapshots) < CONFIG_SNAPSHOTS_MAX ? 0 : -EBUSY;
}

static int prepare(void *arg, const struct config *next, struct writer *why)
{
	struct reconfigure *reconfigure = arg;
	const struct reconfigure_world *world = &reconfigure->world;
	int error = config_move_new(world->snapshots, next, &reconfigure->move);

	if (error == -EBUSY) {
		error = look_for_room(reconfigure, why);
		if (!error)
			error = config_move_new(world->snapshots, next, &reconfigure->move);
	}
	if (error == -EBUSY)
		writer_format(why,
			"calls or registrations still use what has been removed by the last %u changes: end "
			"them, or wait\n",
			CONFIG_SNAPSHOTS_MAX);
	if (error)
		return error;
	error = modules_prepare(world, reconfigure->move, why);
	if (error) {
		modules_abort(world);
		config_move_free(reconfigure->move);
		reconfigure->move = NULL;
	}
	return error;
}

static void apply(void *arg, struct config *next)
{
	struct reconfigure *reconfigure = arg;
	const struct reconfigure_world *world = &reconfigure->world;
	uint64_t began;

	standstill_begin(reconfigure->standstill);
	began = clock_now_us();
	modules_move(world, reconfigure->move);
	reconfigure->stop_us = clock_now_us() - began;
	standstill_end(reconfigure->standstill);
	modules_settle(world);
	config_move_finish(reconfigure->move, next);
	reconfigure->move = NULL;
	log_info("config", "shards stood still", LOG_UINT("us", reconfigure->stop_us),
		LOG_UINT("older configurations in use", config_snapshots_kept(world->snapshots)));
}

static void abort_prepared(void *arg)
{
	struct reconfigure *reconfigure = arg;

	modules_abort(&reconfigure->world);
	config_move_free(reconfigure->move);
	reconfigure->move = NULL;
}

const struct config_phases reconfigure_phases = { prepare, apply, abort_prepared };

int reconfigure_new(const struct reconfigure_world *world, struct reconfigure **out)
{
	struct reconfigure *reconfigure = calloc(1, sizeof(*reconfigure));

	if (!reconfigure)
		return -ENOMEM;
	reconfigure->world = *world;
	reconfigure->standstill = standstill_new(world->shards, world->count);
	if (!reconfigure->standstill) {
		free(reconfigure);
		return -ENOMEM;
	}
	*out = reconfigure;
	return 0;
}

void reconfigure_free(struct reconfigure *reconfigure)
{
	if (!reconfigure)
		return;
	if (reconfigure->move)
		abort_prepared(reconfigure);
	standstill_free(reconfigure->standstill);
	free(reconfigure);
}

uint64_t reconfigure_stop_us(const struct reconfigure *reconfigure)
{
	return reconfigure->stop_us;
}
