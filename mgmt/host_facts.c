/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads files of the kernel's, and asks ip(8). */
#include "mgmt/host_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platforms/base/clock.h"

enum { PROGRAM_MS = 5000, REASON_MAX = 256 };

struct facts {
	int (*each)(void *arg, const char *name, const char *contents, size_t length);
	void *arg;
	char *room; /* HOST_FACT_MAX */
};

static const struct {
	const char *name, *pattern;
} files[] = {
	{ "host/version", "/proc/version" },
	{ "host/os-release", "/etc/os-release" },
	{ "host/cmdline", "/proc/cmdline" },
	{ "host/cpuinfo", "/proc/cpuinfo" },
	{ "host/meminfo", "/proc/meminfo" },
	{ "host/loadavg", "/proc/loadavg" },
	{ "host/uptime", "/proc/uptime" },
	{ "host/hugepages", "/sys/kernel/mm/hugepages/*/*_hugepages" },
	{ "host/net-dev", "/proc/net/dev" },
	{ "host/net-snmp", "/proc/net/snmp" },
	{ "host/softnet-stat", "/proc/net/softnet_stat" },
};

static const struct {
	const char *name;
	const char *arguments[8]; /* of ip; NULL ends them */
} questions[] = {
	{ "host/addresses.json", { "-json", "address", "show", NULL } },
	{ "host/links.json", { "-json", "-statistics", "link", "show", NULL } },
	{ "host/routes.json", { "-json", "-4", "route", "show", "table", "all", NULL } },
	{ "host/routes6.json", { "-json", "-6", "route", "show", "table", "all", NULL } },
	{ "host/neighbours.json", { "-json", "neighbour", "show", NULL } },
};

static size_t note(char *out, const char *what, int error)
{
	int n = snprintf(out, REASON_MAX, "%s: %s\n", what, strerror(error));

	return n > 0 && n < REASON_MAX ? (size_t)n : 0;
}

/* What there is of it up to the room's end; 0 or errno. */
static int read_all(int fd, char *out, size_t room, size_t *length, uint64_t deadline_ms)
{
	struct pollfd input = { .fd = fd, .events = POLLIN };
	ssize_t n = 1;

	*length = 0;
	while (n > 0 && *length < room) {
		uint64_t now = clock_now_ms();

		if (deadline_ms > 0 && (now >= deadline_ms || poll(&input, 1, (int)(deadline_ms - now)) == 0))
			return ETIMEDOUT;
		n = read(fd, out + *length, room - *length);
		if (n > 0)
			*length += (size_t)n;
	}
	return n < 0 ? errno : 0;
}

static int tell_file(struct facts *facts, const char *name, const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int error = fd < 0 ? errno : read_all(fd, facts->room, HOST_FACT_MAX, length, 0);

	if (fd >= 0)
		close(fd);
	if (error)
		*length = note(facts->room, path, error);
	return facts->each(facts->arg, name, facts->room, *length);
}

/* Several files of a pattern are put together, each behind its path. */
static int tell_files(struct facts *facts, const char *name, const char *pattern)
{
	size_t at = 0, n;
	glob_t found;

	if (glob(pattern, 0, NULL, &found) != 0)
		return 0; /* this kernel has no such thing */
	for (size_t i = 0; i < found.gl_pathc && at + PATH_MAX + 64 < HOST_FACT_MAX; i++) {
		int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		at += (size_t)snprintf(facts->room + at, PATH_MAX, "%s: ", found.gl_pathv[i]);
		if (fd >= 0 && read_all(fd, facts->room + at, HOST_FACT_MAX - at, &n, 0) == 0)
			at += n;
		if (fd >= 0)
			close(fd);
	}
	globfree(&found);
	return facts->each(facts->arg, name, facts->room, at);
}

static int start_ip(const char *const *arguments, pid_t *child)
{
	static char program[] = "/usr/sbin/ip";
	char *environment[] = { NULL }, *words[10] = { program };
	posix_spawn_file_actions_t actions;
	int ends[2], error;

	for (size_t i = 0; arguments[i] != NULL; i++)
		words[i + 1] = (char *)(uintptr_t)arguments[i];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	error = posix_spawn(child, program, &actions, NULL, words, environment);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (!error)
		return ends[0];
	close(ends[0]);
	return -error;
}

static int tell_answer(struct facts *facts, const char *name, const char *const *arguments)
{
	pid_t child = -1;
	size_t length = 0;
	int fd = start_ip(arguments, &child);
	int error =
		fd < 0 ? -fd : read_all(fd, facts->room, HOST_FACT_MAX, &length, clock_now_ms() + PROGRAM_MS);

	if (fd >= 0) {
		close(fd);
		kill(child, SIGKILL); /* it has said what it had to say */
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (error)
		length = note(facts->room, "/usr/sbin/ip", error);
	return facts->each(facts->arg, name, facts->room, length);
}

/* By its pid file. A daemon that is not there has none. */
static int tell_process(struct facts *facts, const char *run_directory, const char *process)
{
	static const char *const parts[] = { "status", "limits" };
	char path[PATH_MAX], name[64], text[24] = "";
	size_t length = 0;
	int fd, result = 0;

	(void)snprintf(path, sizeof(path), "%s/%s.pid", run_directory, process);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return 0;
	if (read_all(fd, text, sizeof(text) - 1, &length, 0) != 0)
		length = 0;
	close(fd);
	text[strspn(text, "0123456789")] = '\0';
	for (size_t i = 0; length > 0 && result == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%s/%s", text, parts[i]);
		(void)snprintf(name, sizeof(name), "host/%s.%s", process, parts[i]);
		result = tell_file(facts, name, path, &length);
	}
	return result;
}

int host_facts(const char *run_directory,
	int (*each)(void *arg, const char *name, const char *contents, size_t length), void *arg)
{
	static const char *const processes[] = { "dataplane", "controlplane", "mgmt" };
	struct facts facts = { .each = each, .arg = arg, .room = malloc(HOST_FACT_MAX) };
	int result = facts.room != NULL ? 0 : -ENOMEM;
	size_t length = 0;

	for (size_t i = 0; result == 0 && i < sizeof(files) / sizeof(files[0]); i++)
		result = strchr(files[i].pattern, '*') != NULL
				 ? tell_files(&facts, files[i].name, files[i].pattern)
				 : tell_file(&facts, files[i].name, files[i].pattern, &length);
	for (size_t i = 0; result == 0 && i < sizeof(questions) / sizeof(questions[0]); i++)
		result = tell_answer(&facts, questions[i].name, questions[i].arguments);
	for (size_t i = 0; result == 0 && i < sizeof(processes) / sizeof(processes[0]); i++)
		result = tell_process(&facts, run_directory, processes[i]);
	free(facts.room);
	return result;
}
