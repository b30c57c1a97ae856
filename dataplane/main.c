/* SPDX-License-Identifier: BSD-3-Clause */
/* sallyport-dataplane: the packet workers and the one who looks after them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "config/process.h"
#include "dataplane/dataplane.h"
#include "dataplane/keeper.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "platforms/base/sandbox.h"

enum { PATH_LONGEST = 256, KEEPER_WAIT_MS = 9000 };

static int config_init(struct daemon *d)
{
	struct dataplane *dp = d->context;

	dp->daemon = d;
	dp->started_us = clock_now_us();

	int status = config_process_load(d, CONFIG_DATAPLANE, &dp->config);

	dp->started = dp->config;
	return status;
}

static void config_fini(struct daemon *d)
{
	struct dataplane *dp = d->context;

	if (dp->started != dp->config)
		config_free(dp->started);
	config_free(dp->config);
	dp->config = dp->started = NULL;
}

/* A dataplane that was killed may be cleaned up after still: our pid file is among what its keeper removes. */
static int directory_take(const struct config *config, const char *pid_path)
{
	int status = config_process_directory(config, "dataplane");

	if (status != 0)
		return status;
	status = keeper_hold(config->system.run_directory, KEEPER_WAIT_MS);
	if (status != 0) {
		log_error("keeper", "what a dataplane before this one left behind is not cleaned up",
			LOG_ERRNO("error", status));
		return status;
	}
	if (access(pid_path, F_OK) == 0)
		return 0;
	daemon_pid_close();
	return config_process_directory(config, "dataplane");
}

static int keeper_init(struct daemon *d)
{
	struct dataplane *dp = d->context;
	char path[PATH_LONGEST];
	int status = keeper_start();

	if (status != 0) {
		log_error("keeper", "cannot be started", LOG_ERRNO("error", status));
		return status;
	}
	snprintf(path, sizeof(path), "%s/dataplane.pid", dp->config->system.run_directory);
	status = directory_take(dp->config, path);
	if (status != 0) {
		keeper_finish();
		return status;
	}
	status = keeper_tell(KEEPER_FILE, path, NULL);
	snprintf(path, sizeof(path), "%s/dataplane.sock", dp->config->system.run_directory);
	return status != 0 ? status : keeper_tell(KEEPER_FILE, path, NULL);
}

static void keeper_fini(struct daemon *d)
{
	(void)d;
	keeper_finish();
	daemon_pid_close();
}

static int eal_init(struct daemon *d)
{
	/* It belongs to each thread alone, and DPDK starts some that we cannot reach: all that follow have it empty. Only the keeper
	 * runs programs. */
	int status = daemon_empty_bounding_set();

	if (status != 0)
		log_error("daemon", "cannot empty the bounding set of capabilities",
			LOG_ERRNO("error", status));
	return status != 0 ? status : eal_start(d->context);
}

static void eal_fini(struct daemon *d)
{
	eal_stop(d->context);
}

static int ports_init(struct daemon *d)
{
	struct dataplane *dp = d->context;
	int status = port_open_all(dp);

	if (status == 0)
		status = mirror_open_all(dp);
	if (status == 0)
		status = tables_build(dp);
	if (status == 0)
		status = border_build(dp);
	if (status == 0)
		status = port_start_all(dp);
	if (status != 0) {
		mirror_close_all(dp);
		port_close_all(dp);
		border_destroy(dp);
		tables_free(dp);
	}
	return status;
}

static void ports_fini(struct daemon *d)
{
	struct dataplane *dp = d->context;

	mirror_close_all(dp);
	port_close_all(dp);
	border_destroy(dp);
	tables_free(dp);
}

static int privileges_init(struct daemon *d)
{
	const struct dataplane *dp = d->context;
	int status = keeper_seal();

	if (status != 0) {
		log_error("keeper", "is gone", LOG_ERRNO("error", status));
		return status;
	}
	return config_process_drop_privileges(dp->config);
}

static int neighbour_init(struct daemon *d)
{
	int status = neighbour_start(d->context);

	if (status != 0)
		log_error("neighbour", "no netlink", LOG_ERRNO("error", status));
	return status;
}

static void neighbour_fini(struct daemon *d)
{
	neighbour_stop(d->context);
}

static void workers_fini(struct daemon *d)
{
	struct dataplane *dp = d->context;
	struct worker_shared *s = &dp->shared;

	atomic_store(&s->stop, true);
	rte_eal_mp_wait_lcore();
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_fini(&s->workers[i]);
	free(s->workers);
	s->workers = NULL;
}

static int workers_init(struct daemon *d)
{
	struct dataplane *dp = d->context;
	struct worker_shared *s = &dp->shared;
	int status = 0;

	s->busy_poll = dp->config->media_manager.poll == CONFIG_POLL_BUSY;
	hash_key_random(&s->rtcp_key);
	s->workers = aligned_alloc(RTE_CACHE_LINE_SIZE, s->worker_count * sizeof(*s->workers));
	if (s->workers == NULL)
		return -ENOMEM;
	memset(s->workers, 0, s->worker_count * sizeof(*s->workers));
	for (uint16_t i = 0; status == 0 && i < s->worker_count; i++) {
		status = worker_init(&s->workers[i], s, i, dp->cpus[i]);
		if (status == 0)
			status = rte_rcu_qsbr_thread_register(s->rcu, i);
	}
	for (unsigned i = 0; status == 0 && i < s->worker_count; i++)
		status = rte_eal_remote_launch(worker_run, &s->workers[i], i + 1);
	if (status != 0) {
		log_error("worker", "cannot be started", LOG_ERRNO("error", status));
		workers_fini(d);
	}
	return status;
}

static int link_init(struct daemon *d)
{
	int status = link_start(d->context);

	if (status != 0)
		log_error("link", "no netlink", LOG_ERRNO("error", status));
	return status;
}

static void link_fini(struct daemon *d)
{
	link_stop(d->context);
}

static int watch_init(struct daemon *d)
{
	return watch_start(d->context);
}

static void watch_fini(struct daemon *d)
{
	watch_stop(d->context);
}

static int border_watch_init(struct daemon *d)
{
	return border_watch_start(d->context);
}

static void border_watch_fini(struct daemon *d)
{
	border_watch_stop(d->context);
}

static int server_init(struct daemon *d)
{
	struct dataplane *dp = d->context;
	int status = telemetry_start(dp);

	if (status != 0)
		return status;
	status = server_start(dp);
	if (status != 0)
		telemetry_stop(dp);
	return status;
}

static void server_fini(struct daemon *d)
{
	server_stop(d->context);
	telemetry_stop(d->context);
}

static int sandbox_init(struct daemon *d)
{
	(void)d;
	return sandbox_enter(SANDBOX_DATAPLANE);
}

static const struct daemon_stage stages[] = {
	{ "config", config_init, config_fini },
	{ "keeper", keeper_init, keeper_fini },
	{ "eal", eal_init, eal_fini },
	{ "ports", ports_init, ports_fini },
	{ "neighbour", neighbour_init, neighbour_fini },
	{ "privileges", privileges_init, NULL },
	{ "workers", workers_init, workers_fini },
	{ "link", link_init, link_fini },
	{ "watch", watch_init, watch_fini },
	{ "border-watch", border_watch_init, border_watch_fini },
	{ "server", server_init, server_fini },
	{ "sandbox", sandbox_init, NULL },
	{ 0 },
};

int main(int argc, char **argv)
{
	static struct dataplane dataplane;

	return daemon_run(argc, argv, "sallyport-dataplane", stages, &dataplane);
}
