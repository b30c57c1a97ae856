/* SPDX-License-Identifier: BSD-3-Clause */
/* sallyport-mgmt: answers commands, asking dataplane and control plane. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/process.h"
#include "mgmt/neighbours.h"
#include "mgmt/server.h"
#include "platforms/base/daemon.h"
#include "platforms/base/log.h"
#include "platforms/base/sandbox.h"

struct mgmt {
	struct config *config;
	struct neighbours neighbours;
	struct server *server;
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

	return config_process_directory(mgmt->config, "mgmt");
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

static int neighbours_init(struct daemon *d)
{
	struct mgmt *mgmt = d->context;
	const char *directory = mgmt->config->system.run_directory;
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
		err = server_new(d->loop, path, &mgmt->neighbours, &mgmt->server);
	if (err != 0)
		return config_refuse(mgmt->config, "system", NULL, "run-directory", "%s/mgmt.sock: %s",
			directory, strerror(-err));
	return 0;
}

static void server_fini(struct daemon *d)
{
	server_free(((struct mgmt *)d->context)->server);
}

static int sandbox_init(struct daemon *d)
{
	(void)d;
	return sandbox_enter(SANDBOX_MGMT);
}

int main(int argc, char **argv)
{
	/* The server goes before the neighbours: their last replies find its commands abandoned. */
	static const struct daemon_stage stages[] = {
		{ "configuration", config_init, config_fini },
		{ "run directory", directory_init, directory_fini },
		{ "privileges", privileges_init, NULL },
		{ "neighbours", neighbours_init, neighbours_fini },
		{ "server", server_init, server_fini },
		{ "sandbox", sandbox_init, NULL },
		{ 0 },
	};
	static struct mgmt mgmt;

	return daemon_run(argc, argv, "sallyport-mgmt", stages, &mgmt);
}
