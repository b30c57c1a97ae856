/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a daemon: options, stages forward, the loop, stages backward. */
#include "platforms/base/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "platforms/base/log.h"
#include "platforms/base/random.h"

#define DEFAULT_CONFIG_FILE "/etc/sallyport/sallyport.conf"

struct daemon_process {
	struct daemon public; /* first: daemon_stop finds the rest through it */
	uv_loop_t loop;
	uv_signal_t terminate;
	uv_signal_t interrupt;
	bool stopping;
	int exit_status;
};

static void print_usage(FILE *to, const char *name)
{
	fprintf(to,
		"usage: %s [-c FILE] [-t] [-v] [-h]\n"
		"  -c FILE  configuration (default " DEFAULT_CONFIG_FILE ")\n"
		"  -t       load and check the configuration, then exit\n"
		"  -v       print the version and exit\n"
		"  -h       print this and exit\n",
		name);
}

/* True to go on; else *exit_status is what main() returns. */
static bool parse_options(struct daemon *d, int argc, char **argv, int *exit_status)
{
	int option;

	*exit_status = DAEMON_EXIT_OK;
	/* main() runs once in a process, a test of it does not: 0 makes glibc start over. */
	optind = 0;
	while ((option = getopt(argc, argv, "c:tvh")) != -1) {
		switch (option) {
		case 'c':
			d->config_file = optarg;
			break;
		case 't':
			d->check_only = true;
			break;
		case 'v':
			printf("%s %s\n", d->name, SALLYPORT_VERSION);
			return false;
		case 'h':
			print_usage(stdout, d->name);
			return false;
		default:
			print_usage(stderr, d->name);
			*exit_status = DAEMON_EXIT_CONFIG;
			return false;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument \"%s\"\n", d->name, argv[optind]);
		print_usage(stderr, d->name);
		*exit_status = DAEMON_EXIT_CONFIG;
		return false;
	}
	return true;
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon_process *process = handle->data;

	/* Once is enough: an impatient second Ctrl-C must not cut the way back short. */
	if (process->stopping)
		return;
	log_notice("daemon", "stopping", LOG_TEXT("signal", number == SIGINT ? "SIGINT" : "SIGTERM"));
	daemon_stop(&process->public, DAEMON_EXIT_OK);
}

static int watch_signal(struct daemon_process *process, uv_signal_t *handle, int number)
{
	int error = uv_signal_init(&process->loop, handle);

	if (error < 0)
		return error;
	handle->data = process;
	error = uv_signal_start(handle, on_signal, number);
	/* It stops the daemon, it does not keep the loop alive during the way back. */
	uv_unref((uv_handle_t *)handle);
	return error;
}

static int process_init(struct daemon_process *process)
{
	int error;

	signal(SIGPIPE, SIG_IGN);
	/* There is no terminal to lose, and no reload by signal: changes come through the management daemon. */
	signal(SIGHUP, SIG_IGN);
	umask(0027);
	error = uv_loop_init(&process->loop);
	if (error < 0)
		return error;
	process->public.loop = &process->loop;
	process->public.generation = random_u64();
	error = watch_signal(process, &process->terminate, SIGTERM);
	if (error == 0)
		error = watch_signal(process, &process->interrupt, SIGINT);
	return error;
}

static void close_forgotten(uv_handle_t *handle, void *arg)
{
	struct daemon *d = arg;

	if (uv_is_closing(handle))
		return;
	if (handle->type != UV_SIGNAL)
		log_debug("daemon", "handle left open", LOG_TEXT("daemon", d->name),
			LOG_TEXT("type", uv_handle_type_name(handle->type)));
	uv_close(handle, NULL);
}

static void process_fini(struct daemon_process *process)
{
	int error;

	/* First what the stages closed themselves, with their callbacks; then whatever they forgot. */
	uv_run(&process->loop, UV_RUN_NOWAIT);
	uv_walk(&process->loop, close_forgotten, &process->public);
	uv_run(&process->loop, UV_RUN_DEFAULT);
	error = uv_loop_close(&process->loop);
	if (error < 0)
		log_warning("daemon", "event loop not empty at exit", LOG_ERRNO("error", error));
}

static unsigned count_stages(const struct daemon_stage *stages)
{
	unsigned n = 0;

	while (stages[n].name)
		n++;
	return n;
}

/* Starts stages until one refuses; *started tells how many run. 0 or its -errno. */
static int stages_init(struct daemon *d, const struct daemon_stage *stages, unsigned count, unsigned *started)
{
	for (*started = 0; *started < count; (*started)++) {
		const struct daemon_stage *stage = &stages[*started];
		int error = stage->init ? stage->init(d) : 0;

		if (error < 0) {
			log_debug("daemon", "stage failed", LOG_TEXT("stage", stage->name),
				LOG_ERRNO("error", error));
			return error;
		}
		log_debug("daemon", "stage started", LOG_TEXT("stage", stage->name));
	}
	return 0;
}

static void stages_fini(struct daemon *d, const struct daemon_stage *stages, unsigned started)
{
	while (started-- > 0) {
		log_debug("daemon", "stage ends", LOG_TEXT("stage", stages[started].name));
		if (stages[started].fini)
			stages[started].fini(d);
	}
}

static void serve(struct daemon_process *process)
{
	uv_ref((uv_handle_t *)&process->terminate);
	sd_notify(0, "READY=1");
	log_notice("daemon", "ready", LOG_TEXT("version", SALLYPORT_VERSION),
		LOG_TEXT("config", process->public.config_file));
	while (!process->stopping)
		uv_run(&process->loop, UV_RUN_DEFAULT);
	sd_notify(0, "STOPPING=1");
	uv_unref((uv_handle_t *)&process->terminate);
}

int daemon_run(int argc, char **argv, const char *name, const struct daemon_stage *stages, void *context)
{
	struct daemon_process process = {
		.public = { .name = name, .config_file = DEFAULT_CONFIG_FILE, .context = context },
		.exit_status = DAEMON_EXIT_OK,
	};
	struct daemon *d = &process.public;
	unsigned count = count_stages(stages);
	unsigned started;
	int error;

	if (!parse_options(d, argc, argv, &process.exit_status))
		return process.exit_status;
	log_open(name, LOG_LEVEL_INFO);
	error = process_init(&process);
	if (error < 0) {
		log_error("daemon", "no event loop", LOG_ERRNO("error", error));
		return DAEMON_EXIT_FAILED;
	}
	if (d->check_only && count > 1)
		count = 1;
	if (stages_init(d, stages, count, &started) < 0)
		process.exit_status = DAEMON_EXIT_CONFIG;
	else if (d->check_only)
		printf("%s: valid\n", d->config_file);
	else
		serve(&process);
	stages_fini(d, stages, started);
	process_fini(&process);
	if (started == count && !d->check_only)
		log_notice("daemon", "stopped", LOG_INT("status", process.exit_status));
	return process.exit_status;
}

void daemon_stop(struct daemon *d, int exit_status)
{
	struct daemon_process *process = (struct daemon_process *)d;

	/* The first reason is the one reported. */
	if (!process->stopping)
		process->exit_status = exit_status;
	process->stopping = true;
	uv_stop(d->loop);
}
