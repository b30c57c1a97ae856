/* SPDX-License-Identifier: BSD-3-Clause */
/* The order in which the modules of the control plane go from one configuration to the next. */
#include "controlplane/reconfigure.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/call.h"
#include "controlplane/location.h"
#include "controlplane/registrar.h"
#include "controlplane/request_relay.h"
#include "controlplane/standstill.h"
#include "controlplane/subscription.h"
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
	{ transaction_layer_prepare, transaction_layer_abort, transaction_layer_move, NULL },
	{ NULL, NULL, call_layer_move, NULL },
	{ NULL, NULL, subscription_layer_move, NULL },
	{ NULL, NULL, request_relay_layer_move, NULL },
	{ NULL, NULL, registrar_move, NULL },
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

static const struct shared_module shared_modules[] = {
	{ NULL, NULL, location_moves, NULL },
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
