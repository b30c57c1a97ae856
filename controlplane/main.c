/* SPDX-License-Identifier: BSD-3-Clause */
/* sallyport-controlplane: signalling. */
#include <errno.h>
#include <string.h>

#include "config/model.h"
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

static void report(void *arg, bool is_error, const char *line)
{
	(void)arg;
	if (is_error)
		log_error("config", line);
	else
		log_warning("config", line);
}

static int config_init(struct daemon *d)
{
	static const struct config_reporter reporter = { .report = report };
	struct controlplane *cp = d->context;
	int error = config_load(d->config_file, true, &reporter, &cp->config);

	if (error)
		return error;
	log_set_level(cp->config->system.log_level);
	if (!d->check_only)
		config_log_unimplemented(cp->config, CONFIG_CONTROLPLANE);
	return 0;
}

static void config_fini(struct daemon *d)
{
	struct controlplane *cp = d->context;

	config_free(cp->config);
}

static int directory_init(struct daemon *d)
{
	const struct config *config = ((struct controlplane *)d->context)->config;
	const char *directory = config->system.run_directory;
	int error = daemon_directory(directory, config->system.user);

	if (error == -ENOENT)
		return config_refuse(
			config, "system", NULL, "user", "there is no user \"%s\"", config->system.user);
	if (error)
		return config_refuse(
			config, "system", NULL, "run-directory", "%s: %s", directory, strerror(-error));
	error = daemon_pid_open(directory, "controlplane");
	if (error == -EEXIST)
		return config_refuse(config, "system", NULL, "run-directory",
			"%s: sallyport-controlplane runs there already", directory);
	if (error)
		return config_refuse(config, "system", NULL, "run-directory", "%s/controlplane.pid: %s",
			directory, strerror(-error));
	return 0;
}

static void directory_fini(struct daemon *d)
{
	(void)d;
	daemon_pid_close();
}

/* Before any socket is opened: a socket that is not bound to a device yet may be bound by anybody. */
static int privileges_init(struct daemon *d)
{
	const struct config *config = ((struct controlplane *)d->context)->config;
	int error = daemon_drop_privileges(config->system.user);

	if (error)
		return config_refuse(config, "system", NULL, "user", "cannot become \"%s\": %s",
			config->system.user, strerror(-error));
	return 0;
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
