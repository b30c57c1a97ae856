/* SPDX-License-Identifier: BSD-3-Clause */
/* What each daemon's main() is made of: options, configuration file name, a table of stages, signals, readiness,
 * pid file, privileges. The process stays in the foreground: a supervisor (systemd, the lab) owns it. */
#ifndef PLATFORMS_BASE_DAEMON_H
#define PLATFORMS_BASE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { DAEMON_EXIT_OK = 0, DAEMON_EXIT_FAILED = 1, DAEMON_EXIT_CONFIG = 2 };

struct daemon {
	const char *name; /* "sallyport-dataplane" */
	const char *config_file; /* -c FILE; default /etc/sallyport/sallyport.conf */
	bool check_only; /* -t: only the first stage runs, which loads the configuration */
	uint64_t generation; /* random, of this process */
	uv_loop_t *loop; /* the main thread's */
	void *context; /* the daemon's own state */
};

/* The first stage loads the configuration. Stages start in order and end in reverse order; a stage that returns -errno
 * ends those before it, and the process with DAEMON_EXIT_CONFIG. It has logged why, in one line with file:line where
 * a setting is to blame. */
struct daemon_stage {
	const char *name;
	int (*init)(struct daemon *d); /* may be NULL */
	void (*fini)(struct daemon *d); /* may be NULL */
};

/* Parses argv (-c FILE, -t, -v, -h), runs the stages, tells the supervisor READY=1, runs the loop until SIGTERM or
 * SIGINT (or daemon_stop), tells it STOPPING=1, walks back. Returns the exit status for main(). `stages` ends with {0}. */
int daemon_run(int argc, char **argv, const char *name, const struct daemon_stage *stages, void *context);
void daemon_stop(struct daemon *d, int exit_status);

/* Creates `directory` (and its parents) owned by `user`, mode 0750; an existing one is left as it is. Not root, or
 * `user` NULL or empty: owned by who runs it. 0, -ENOENT (no such user), -ENOTDIR or -errno. */
int daemon_directory(const char *directory, const char *user);
/* RUN-DIRECTORY/NAME.pid, locked: a second instance gets -EEXIST. Removed by daemon_pid_close. 0 or -errno. */
int daemon_pid_open(const char *run_directory, const char *name);
void daemon_pid_close(void);
/* Of the calling thread and those it starts later: what an executed file could gain. Not root: nothing. 0 or -errno. */
int daemon_empty_bounding_set(void);
/* NoNewPrivileges; if root: groups, gid, uid of `user`, all capabilities gone, then proved by trying to get root back.
 * `user` unknown: -ENOENT; with uid or gid 0: -EINVAL; something of root is left: -EPERM, do not go on.
 * Not root: only NoNewPrivileges. 0 or -errno. */
int daemon_drop_privileges(const char *user);

#endif
