/* SPDX-License-Identifier: BSD-3-Clause */
/* sallyport-mgmt: answers commands, asking dataplane and control plane. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/process.h"
#include "mgmt/clear.h"
#include "mgmt/commit.h"
#include "mgmt/metrics.h"
#include "mgmt/neighbours.h"
#include "mgmt/server.h"
#include "mgmt/session.h"
#include "mgmt/snmp.h"
#include "mgmt/ssh.h"
#include "mgmt/store.h"
#include "mgmt/watch.h"
#include "platforms/base/daemon.h"
#include "platforms/base/log.h"
#include "platforms/base/sandbox.h"

struct mgmt {
	struct config *config;
	struct neighbours neighbours;
	struct mgmt_store *store;
	struct commits *commits;
	struct session_world world;
	struct session *sessions;
	struct counter_marks marks;
	struct server *server;
	struct metrics *metrics;
	struct snmp *snmp;
	struct watch *watch;
};

static int config_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	int err = config_process_load(d, CONFIG_MGMT, &mgmt->config);

	if (err != 0)
		return err;
	mgmt->neighbours.name = mgmt->config->system.name;
	mgmt->neighbours.location = mgmt->config->system.location;
	mgmt->neighbours.contact = mgmt->config->system.contact;
	return 0;
}

static void config_fini(struct daemon *d)
{
	struct mgmt *mgmt = d->context;

	config_free(mgmt->config);
}

static int directory_init(struct daemon *d)
{
	const struct mgmt *mgmt = d->context;

	int error = config_process_directory(mgmt->config, "mgmt");

	return error != 0 ? error : config_process_data_directory(mgmt->config);
}

static void directory_fini(struct daemon *d)
{
	(void)d;
	daemon_pid_close();
}

static int privileges_init(struct daemon *d)
{
	const struct mgmt *mgmt = d->context;

	return config_process_drop_privileges(mgmt->config);
}

static void take_config(struct mgmt *mgmt, struct config *config)
{
	config_free(mgmt->config);
	mgmt->config = config;
	mgmt->neighbours.name = config->system.name;
	mgmt->neighbours.location = config->system.location;
	mgmt->neighbours.contact = config->system.contact;
}

static void applied(void *arg, struct config *config)
{
	struct mgmt *mgmt = arg;

	log_set_level(config->system.log_level);
	take_config(mgmt, config);
	(void)ssh_accounts_write(config);
	if (mgmt->metrics != NULL)
		metrics_apply(mgmt->metrics, config);
	if (mgmt->snmp != NULL)
		snmp_apply(mgmt->snmp, config);
}

static void neighbour_up(void *arg, enum neighbour which)
{
	const struct mgmt *mgmt = arg;

	if (mgmt->commits != NULL)
		commits_neighbour_up(mgmt->commits, which);
}

static int store_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	const char *directory = mgmt->config->system.data_directory;
	int err = mgmt_store_open(directory, &mgmt->store);

	if (err != 0)
		return config_refuse(mgmt->config, "system", NULL, "data-directory", "%s/mgmt.db: %s",
			directory, err == -EBUSY ? "another process has it" : strerror(-err));
	return 0;
}

static void store_fini(struct daemon *d)
{
	mgmt_store_close(((struct mgmt *)d->context)->store);
}

static int commits_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	const struct commits_events events = { .applied = applied };
	int err = commits_new(
		d->loop, d->config_file, mgmt->store, &mgmt->neighbours, &events, mgmt, &mgmt->commits);

	if (err != 0) {
		log_error("mgmt", "revisions of the configuration cannot be kept", LOG_ERRNO("error", err));
		return err;
	}
	mgmt->world = (struct session_world){ .commits = mgmt->commits,
		.store = mgmt->store,
		.sessions = &mgmt->sessions,
		.marks = &mgmt->marks,
		.config = (const struct config *const *)&mgmt->config };
	return 0;
}

static int accounts_init(struct daemon *d)
{
	const struct mgmt *mgmt = d->context;
	int err = ssh_accounts_write(mgmt->config);

	if (err != 0)
		return config_refuse(mgmt->config, "system", NULL, "data-directory", "%s/ssh: %s",
			mgmt->config->system.data_directory, strerror(-err));
	return 0;
}

static void commits_fini(struct daemon *d)
{
	struct mgmt *mgmt = d->context;

	commits_free(mgmt->commits);
	mgmt->commits = NULL;
}

static int neighbours_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	const char *directory = mgmt->config->system.run_directory;
	mgmt->neighbours.up = neighbour_up;
	mgmt->neighbours.up_arg = mgmt;

	int err = neighbours_connect(&mgmt->neighbours, d->loop, directory, d->generation);

	if (err != 0)
		return config_refuse(
			mgmt->config, "system", NULL, "run-directory", "%s: %s", directory, strerror(-err));
	return 0;
}

static void neighbours_fini(struct daemon *d)
{
	neighbours_close(&((struct mgmt *)d->context)->neighbours);
}

static int server_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	const char *directory = mgmt->config->system.run_directory;
	char path[NEIGHBOUR_PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/mgmt.sock", directory);
	int err = n > 0 && (size_t)n < sizeof(path) ? 0 : -ENAMETOOLONG;

	if (err == 0)
		err = server_new(d->loop, path, &mgmt->neighbours, &mgmt->world, &mgmt->server);
	if (err != 0)
		return config_refuse(mgmt->config, "system", NULL, "run-directory", "%s/mgmt.sock: %s",
			directory, strerror(-err));
	return 0;
}

static void server_fini(struct daemon *d)
{
	server_free(((struct mgmt *)d->context)->server);
}

static int watch_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	int err = watch_new(d->loop, &mgmt->neighbours, mgmt->commits,
		(const struct config *const *)&mgmt->config, &mgmt->watch);

	mgmt->world.watch = mgmt->watch;
	return err;
}

static void watch_fini(struct daemon *d)
{
	struct mgmt *mgmt = d->context;

	mgmt->world.watch = NULL;
	watch_free(mgmt->watch);
}

static int metrics_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	int err = metrics_new(d->loop, &mgmt->neighbours, mgmt->watch, &mgmt->metrics);

	if (err != 0)
		return err;
	metrics_apply(mgmt->metrics, mgmt->config);
	return 0;
}

static void metrics_fini(struct daemon *d)
{
	struct mgmt *mgmt = d->context;

	metrics_free(mgmt->metrics);
	mgmt->metrics = NULL;
}

static int snmp_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	int err = snmp_new(d->loop, &mgmt->neighbours, mgmt->watch, &mgmt->snmp);

	if (err != 0)
		return err;
	snmp_apply(mgmt->snmp, mgmt->config);
	return 0;
}

static void snmp_fini(struct daemon *d)
{
	struct mgmt *mgmt = d->context;

	snmp_free(mgmt->snmp);
	mgmt->snmp = NULL;
}

static int sandbox_init(struct daemon *d)
{
	(void)d;
	return sandbox_enter(SANDBOX_MGMT);
}

int main(int argc, char **argv)
{
	/* Server, alarms and metrics go before the neighbours: their last replies find its commands abandoned. */
	static const struct daemon_stage stages[] = {
		{ "configuration", config_init, config_fini },
		{ "run directory", directory_init, directory_fini },
		{ "privileges", privileges_init, NULL },
		{ "store", store_init, store_fini },
		{ "accounts", accounts_init, NULL },
		{ "commits", commits_init, commits_fini },
		{ "neighbours", neighbours_init, neighbours_fini },
		{ "server", server_init, server_fini },
		{ "alarms", watch_init, watch_fini },
		{ "metrics", metrics_init, metrics_fini },
		{ "sandbox", sandbox_init, NULL },
		{ "SNMP", snmp_init, snmp_fini },
		{ 0 },
	};
	static struct mgmt mgmt;

	return daemon_run(argc, argv, "sallyport-mgmt", stages, &mgmt);
}
