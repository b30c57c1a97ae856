/* SPDX-License-Identifier: BSD-3-Clause */
/* sallyport-controlplane: signalling. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "config/process.h"
#include "controlplane/api_server.h"
#include "controlplane/admission.h"
#include "controlplane/alarm.h"
#include "controlplane/block.h"
#include "controlplane/bans.h"
#include "controlplane/digest_server.h"
#include "controlplane/guard.h"
#include "controlplane/location.h"
#include "controlplane/reconfigure.h"
#include "controlplane/register_limits.h"
#include "controlplane/shard.h"
#include "controlplane/statistics.h"
#include "controlplane/store.h"
#include "controlplane/store_record.h"
#include "controlplane/tls_expiry.h"
#include "controlplane/tls_watch.h"
#include "dataplane/client.h"
#include "platforms/base/clock.h"
#include "platforms/base/daemon.h"
#include "platforms/base/log.h"
#include "platforms/base/sandbox.h"

enum { INTERFACE_NAME_MAX = 16 }; /* with its NUL */

struct controlplane {
	struct config_snapshots *snapshots; /* owns the configuration, and older ones in use */
	const struct config *config; /* that runs */
	struct shard_shared shared;
	struct shard **shards;
	unsigned shard_count;
	char (*interface)
		[INTERFACE_NAME_MAX]; /* names, as the dataplane numbers them: in the order of the start */
	size_t interface_count;
	struct block_store *blocks;
	struct bans *bans;
	struct tls_expiry *expiry;
	struct reconfigure *reconfigure;
	struct api_server *api;
};

static int config_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	struct config *config;
	int error = config_process_load(d, CONFIG_CONTROLPLANE, &config);

	if (error)
		return error;
	cp->config = config;
	error = config_snapshots_new(config, &cp->snapshots);
	if (error)
		config_free(config);
	return error;
}

static void config_fini(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	config_snapshots_free(cp->snapshots);
}

static int directory_init(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	int error = config_process_directory(cp->config, "controlplane");

	return error ? error : config_process_data_directory(cp->config);
}

static void directory_fini(struct daemon *d)
{
	(void)d;
	daemon_pid_close();
}

/* Before any socket is opened: a socket that is not bound to a device yet may be bound by anybody. */
static int privileges_init(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	return config_process_drop_privileges(cp->config);
}

static int alarms_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	return alarms_new(d->loop, &cp->shared.alarms);
}

static void alarms_fini(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	alarms_free(cp->shared.alarms);
}

static int statistics_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	cp->shared.statistics = statistics_new(cp->config, cp->config->sip.shards);
	return cp->shared.statistics ? 0 : -ENOMEM;
}

static void statistics_fini(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	statistics_free(cp->shared.statistics);
}

static void tls_reloaded(void *arg)
{
	const struct controlplane *cp = arg;
	char text[CP_LINE_MAX];

	alarm_round_begin(cp->shared.alarms, CP_ALARM_CERTIFICATE_RELOAD);
	for (size_t i = 0; i < cp->config->tls_profiles_count; i++) {
		struct span reason = span_from(tls_reload_failure(cp->shared.tls, i));
		struct writer w;

		if (reason.n == 0)
			continue;
		writer_init(&w, text, sizeof(text) - 1);
		writer_span(&w, (struct span){ reason.p, reason.n < w.size ? reason.n : w.size });
		text[w.len] = '\0';
		alarm_raise(cp->shared.alarms, CP_ALARM_CERTIFICATE_RELOAD, CP_SEVERITY_MAJOR,
			cp->config->tls_profiles[i].name, text);
	}
	alarm_round_end(cp->shared.alarms, CP_ALARM_CERTIFICATE_RELOAD);
	tls_expiry_check(cp->shared.tls, cp->shared.alarms, clock_wall_ms());
}

/* As the user, so that it can be done again; and no image of this process' memory is written any more, there are keys in it. */
static int tls_init(struct daemon *d)
{
	struct controlplane *cp = d->context;
	const struct config_tls_profile *blame = NULL;
	char reason[TLS_REASON_MAX];
	int error;

	if (cp->config->tls_profiles_count && prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	error = tls_new(cp->config, &cp->shared.tls, &blame, reason);
	if (error && blame)
		return config_refuse(cp->config, "tls-profile", blame->name, NULL, "%s", reason);
	if (error == 0)
		error = tls_watch_new(d->loop, cp->shared.tls, tls_reloaded, cp, &cp->shared.tls_watch);
	if (error == 0)
		error = tls_expiry_new(d->loop, cp->shared.tls, cp->shared.alarms, &cp->expiry);
	return error;
}

static void tls_fini(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	tls_expiry_free(cp->expiry);
	tls_watch_free(cp->shared.tls_watch);
	tls_free(cp->shared.tls);
}

static int store_init(struct daemon *d)
{
	struct controlplane *cp = d->context;
	int error = store_open(cp->config, &cp->shared.store);

	if (error)
		return config_refuse(cp->config, "system", NULL, "data-directory", "%s/controlplane.db: %s",
			cp->config->system.data_directory,
			error == -EBUSY ? "another process has it" : strerror(-error));
	store_alarms(cp->shared.store, cp->shared.alarms);
	return 0;
}

static void store_fini(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	store_close(cp->shared.store);
}

static int records_init(struct daemon *d)
{
	struct controlplane *cp = d->context;
	int error = record_store_open(cp->config, &cp->shared.records);

	if (error)
		return config_refuse(cp->config, "system", NULL, "data-directory", "%s/records.db: %s",
			cp->config->system.data_directory,
			error == -EBUSY ? "another process has it" : strerror(-error));
	record_store_alarms(cp->shared.records, cp->shared.alarms);
	return 0;
}

static void records_fini(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	record_store_close(cp->shared.records);
}

static void take_sample(void *arg, const struct dp_sample *sample, const uint8_t *octets)
{
	const struct controlplane *cp = arg;
	const char *interface =
		sample->interface < cp->interface_count ? cp->interface[sample->interface] : "";

	block_add(cp->blocks, sample, octets, interface, clock_wall_ms() - sample->ago_us / 1000);
}

static int interfaces_name(struct controlplane *cp)
{
	const struct config *config = cp->config;

	cp->interface = calloc(config->network_interfaces_count + 1, sizeof(*cp->interface));
	if (!cp->interface)
		return -ENOMEM;
	cp->interface_count = config->network_interfaces_count;
	for (size_t i = 0; i < cp->interface_count; i++)
		(void)snprintf(
			cp->interface[i], INTERFACE_NAME_MAX, "%s", config->network_interfaces[i].name);
	return 0;
}

/* By the main thread: what a flood leaves behind takes no time from the shards. */
static int bans_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	cp->blocks = block_new();
	if (!cp->blocks || interfaces_name(cp))
		return -ENOMEM;
	return bans_new(d->loop, cp->config, d->generation, cp->shared.store, take_sample, cp, &cp->bans);
}

static void bans_fini(struct daemon *d)
{
	struct controlplane *cp = d->context;

	bans_free(cp->bans);
	block_free(cp->blocks);
	free(cp->interface);
}

static void deny(void *arg, const struct dp_ban *ban, bool proven)
{
	const struct controlplane *cp = arg;

	bans_deny(cp->bans, ban, proven);
}

static int guard_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	cp->shared.guard = guard_new(cp->config, cp->shared.location, deny, cp);
	cp->shared.digest = digest_server_new(cp->config, cp->shared.store);
	cp->shared.admission = admission_new(cp->config);
	if (!cp->shared.guard || !cp->shared.digest || !cp->shared.admission)
		return -ENOMEM;
	bans_forgives(cp->bans, cp->shared.guard);
	bans_alarms(cp->bans, cp->shared.alarms);
	return 0;
}

static void guard_fini(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	bans_forgives(cp->bans, NULL);
	guard_free(cp->shared.guard);
	digest_server_free(cp->shared.digest);
	admission_free(cp->shared.admission);
}

/* A phone that a smaller table has no room for registers anew. */
static int take_binding(void *arg, struct binding *model)
{
	struct controlplane *cp = arg;
	struct binding *binding = binding_new(model);
	int error = binding ? location_replace(cp->shared.location, NULL, binding) : -ENOMEM;

	if (error == -ENOSPC || error == -EINVAL)
		store_binding_gone(cp->shared.store, model->number);
	binding_put(binding);
	return error == -ENOMEM ? error : 0;
}

static int location_init(struct daemon *d)
{
	struct controlplane *cp = d->context;
	uint64_t began = clock_now_ms();
	int64_t taken;

	cp->shared.register_limits = register_limits_new(cp->config);
	cp->shared.location = location_new(cp->config);
	if (!cp->shared.location || !cp->shared.register_limits)
		return -ENOMEM;
	location_statistics(cp->shared.location, cp->shared.statistics);
	taken = store_load_bindings(cp->shared.store, cp->config, take_binding, cp);
	if (taken == -ENOMEM)
		return (int)taken;
	/* A file that lets itself be opened but not be read: calls go on, phones register anew. */
	if (taken < 0)
		log_error("store", "bindings cannot be read", LOG_ERRNO("error", (int)taken));
	else if (taken > 0)
		log_notice("store", "bindings of phones are back", LOG_UINT("count", (uint64_t)taken),
			LOG_UINT("ms", clock_now_ms() - began));
	return 0;
}

static void location_fini(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	register_limits_free(cp->shared.register_limits);
	location_free(cp->shared.location);
}

static int shards_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	return shards_start(d, cp->config, &cp->shared, &cp->shards, &cp->shard_count);
}

static int reconfigure_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	return reconfigure_new(&(struct reconfigure_world){ .snapshots = cp->snapshots,
				       .config = &cp->config,
				       .shards = cp->shards,
				       .count = cp->shard_count,
				       .shared = &cp->shared,
				       .bans = cp->bans },
		&cp->reconfigure);
}

static void shards_fini(struct daemon *d)
{
	struct controlplane *cp = d->context;

	/* First nobody asks any more, then the shards end, then what they may have sent back is freed. */
	if (cp->api)
		api_server_close(cp->api);
	shards_stop(cp->shards, cp->shard_count);
	if (cp->api)
		api_server_free(cp->api);
	reconfigure_free(cp->reconfigure);
}

static int api_init(struct daemon *d)
{
	struct controlplane *cp = d->context;
	const struct api_world world = { cp->config, d->generation, cp->shards, cp->shard_count, cp->blocks,
		cp->bans, cp->reconfigure, &cp->shared };
	int error = api_server_new(d->loop, &world, &cp->api);

	if (error)
		return config_refuse(cp->config, "system", NULL, "run-directory", "%s/controlplane.sock: %s",
			cp->config->system.run_directory, strerror(-error));
	return 0;
}

static int sandbox_init(struct daemon *d)
{
	(void)d;
	return sandbox_enter(SANDBOX_CONTROLPLANE);
}

int main(int argc, char **argv)
{
	static const struct daemon_stage stages[] = {
		{ "configuration", config_init, config_fini },
		{ "run directory", directory_init, directory_fini },
		{ "privileges", privileges_init, NULL },
		{ "alarms", alarms_init, alarms_fini },
		{ "statistics", statistics_init, statistics_fini },
		{ "tls", tls_init, tls_fini },
		{ "store", store_init, store_fini },
		{ "records", records_init, records_fini },
		{ "location", location_init, location_fini },
		{ "bans", bans_init, bans_fini },
		{ "guard", guard_init, guard_fini },
		{ "shards", shards_init, shards_fini },
		{ "reconfigure", reconfigure_init, NULL },
		{ "api", api_init, NULL },
		{ "sandbox", sandbox_init, NULL },
		{ 0 },
	};
	static struct controlplane controlplane;

	return daemon_run(argc, argv, "sallyport-controlplane", stages, &controlplane);
}
