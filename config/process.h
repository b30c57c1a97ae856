/* SPDX-License-Identifier: BSD-3-Clause */
/* What every daemon does with its configuration before its own work: load it, take its run directory, give up root. Each
 * refusal is logged with the file and line of the setting to blame. */
#ifndef CONFIG_PROCESS_H
#define CONFIG_PROCESS_H

#include "config/model.h"
#include "platforms/base/daemon.h"

/* Loads d->config_file for `which` (the files that settings name must exist unless it is the dataplane, which reads none),
 * sets the log level, says which settings are not honoured yet. 0 with *out (caller: config_free) or -errno. */
int config_process_load(const struct daemon *d, enum config_daemon which, struct config **out);
/* The run directory made if need be, and `name`.pid in it (daemon_pid_close at the end). 0 or -errno. */
int config_process_directory(const struct config *config, const char *name);
/* The data directory made if need be, for system.user; before the privileges go. 0 or -errno. */
int config_process_data_directory(const struct config *config);
/* system.user from now on. 0 or -errno. */
int config_process_drop_privileges(const struct config *config);

#endif
