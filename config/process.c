/* SPDX-License-Identifier: BSD-3-Clause */
/* The first stages of a daemon, where a setting may be to blame. */
#include "config/process.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "platforms/base/log_ring.h"

static void report(void *arg, bool is_error, const char *line)
{
	(void)arg;
	if (is_error)
		log_error("config", line);
	else
		log_warning("config", line);
}

int config_process_load(const struct daemon *d, enum config_daemon which, struct config **out)
{
	static const struct config_reporter reporter = { .report = report };
	int error = config_load(d->config_file, which != CONFIG_DATAPLANE, &reporter, out);

	if (error)
		return error;
	log_set_level((*out)->system.log_level);
	if (!d->check_only)
		config_log_unimplemented(*out, which);
	return 0;
}

/* Without it the daemon works as well, and `show log` knows less. */
static void keep_log(const struct config *config, const char *name)
{
	const struct passwd *account = geteuid() == 0 ? getpwnam(config->system.user) : NULL;
	char path[PATH_MAX];
	struct writer w;
	int error;

	writer_init(&w, path, sizeof(path));
	writer_format(&w, "%s/%s.log", config->system.run_directory, name);
	error = w.overflow ? -ENAMETOOLONG
			   : log_ring_open(path, account ? account->pw_uid : geteuid(),
				     account ? account->pw_gid : getegid());
	if (error)
		log_warning("log", "its last lines cannot be kept", LOG_TEXT("file", path),
			LOG_ERRNO("error", error));
}

int config_process_directory(const struct config *config, const char *name)
{
	const char *directory = config->system.run_directory;
	const char *user = config->system.user;
	int error;

	/* Asked for by itself: daemon_directory's -ENOENT may mean the user or a part of the path. */
	if (geteuid() == 0 && !getpwnam(user))
		return config_refuse(config, "system", NULL, "user",
			"there is no user \"%s\"; `useradd --system %s` makes one", user, user);
	error = daemon_directory(directory, user);
	if (error)
		return config_refuse(config, "system", NULL, "run-directory", "%s cannot be used: %s",
			directory, strerror(-error));
	error = daemon_pid_open(directory, name);
	if (!error)
		keep_log(config, name);
	if (error == -EEXIST)
		return config_refuse(config, "system", NULL, "run-directory",
			"%s: sallyport-%s runs there already", directory, name);
	if (error)
		return config_refuse(config, "system", NULL, "run-directory", "%s/%s.pid: %s", directory,
			name, strerror(-error));
	return 0;
}

int config_process_data_directory(const struct config *config)
{
	const char *directory = config->system.data_directory;
	int error = daemon_directory(directory, config->system.user);

	if (error)
		return config_refuse(config, "system", NULL, "data-directory", "%s cannot be used: %s",
			directory, strerror(-error));
	return 0;
}

int config_process_drop_privileges(const struct config *config)
{
	int error = daemon_drop_privileges(config->system.user);

	if (error)
		return config_refuse(config, "system", NULL, "user", "cannot become \"%s\": %s",
			config->system.user, strerror(-error));
	return 0;
}
