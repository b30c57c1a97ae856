/* SPDX-License-Identifier: BSD-3-Clause */
/* sallyport-controlplane: signalling. */
#include <errno.h>
#include <string.h>

#include "config/process.h"
#include "controlplane/api_server.h"
#include "controlplane/shard.h"
#include "platforms/base/daemon.h"
#include "platforms/base/log.h"

struct controlplane {
	struct config *config;
	struct shard **shards;
	unsigned shard_count;
	struct api_server *api;
};

static int config_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	return config_process_load(d, CONFIG_CONTROLPLANE, &cp->config);
}

static void config_fini(struct daemon *d)
{
	struct controlplane *cp = d->context;

	config_free(cp->config);
}

static int directory_init(struct daemon *d)
{
	const struct controlplane *cp = d->context;

	return config_process_directory(cp->config, "controlplane");
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

static int shards_init(struct daemon *d)
{
	struct controlplane *cp = d->context;

	return shards_start(d, cp->config, &cp->shards, &cp->shard_count);
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
}

static int api_init(struct daemon *d)
{
	struct controlplane *cp = d->context;
	int error = api_server_new(d->loop, cp->config, d->generation, cp->shards, cp->shard_count, &cp->api);

	if (error)
		return config_refuse(cp->config, "system", NULL, "run-directory", "%s/controlplane.sock: %s",
			cp->config->system.run_directory, strerror(-error));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct daemon_stage stages[] = {
		{ "configuration", config_init, config_fini },
		{ "run directory", directory_init, directory_fini },
		{ "privileges", privileges_init, NULL },
		{ "shards", shards_init, shards_fini },
		{ "api", api_init, NULL },
		{ 0 },
	};
	static struct controlplane controlplane;

	return daemon_run(argc, argv, "sallyport-controlplane", stages, &controlplane);
}
