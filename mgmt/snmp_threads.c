/* SPDX-License-Identifier: BSD-3-Clause */
/* /proc/PID of the daemons: everybody may read it. */
#include "mgmt/snmp_threads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/api.h"
#include "mgmt/snmp_rows.h"

enum { LINE_MAX_OCTETS = 1024, PATH_OCTETS = 64, USER_TIME_FIELD = 14 };

/* A file of one line. 0 or -errno. */
static int read_line(const char *path, char line[LINE_MAX_OCTETS])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, line, LINE_MAX_OCTETS - 1) : -1;
	int err = n > 0 ? 0 : n == 0 ? -EIO : -errno;

	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = '\0';
	return err;
}

int snmp_thread_parse(struct snmp_thread *thread, const char *line, long ticks_per_second)
{
	const char *name = strchr(line, '('), *behind = strrchr(line, ')');
	unsigned long long user, system;
	char *end;

	if (name == NULL || behind == NULL || behind < name || ticks_per_second <= 0)
		return -EBADMSG;
	snprintf(thread->name, sizeof(thread->name), "%.*s", (int)(behind - name - 1), name + 1);
	/* The state, behind ") ", is the third field. */
	for (unsigned field = 2; field < USER_TIME_FIELD; field++) {
		behind = strchr(behind, ' ');
		if (behind == NULL)
			return -EBADMSG;
		behind++;
	}
	user = strtoull(behind, &end, 10);
	if (end == behind)
		return -EBADMSG;
	behind = end;
	system = strtoull(behind, &end, 10);
	if (end == behind)
		return -EBADMSG;
	thread->cpu_ms = (user + system) * 1000 / (unsigned long long)ticks_per_second;
	return 0;
}

static struct snmp_thread *add(struct snmp_threads *threads, uint32_t process, uint32_t number)
{
	struct snmp_thread *thread;

	if (threads->count == SNMP_THREADS_MAX)
		return NULL;
	thread = &threads->now[threads->count++];
	*thread = (struct snmp_thread){ .process = process, .number = number, .load = -1 };
	return thread;
}

static int compare_numbers(const void *a, const void *b)
{
	unsigned long one = *(const unsigned long *)a, other = *(const unsigned long *)b;

	return one < other ? -1 : one > other;
}

/* Threads in the order in which they were made. */
static void look_at_process(struct snmp_threads *threads, uint32_t process, uint32_t pid)
{
	unsigned long ids[SNMP_THREADS_MAX];
	char path[PATH_OCTETS], line[LINE_MAX_OCTETS];
	const struct dirent *entry;
	size_t count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	directory = opendir(path);
	if (directory == NULL)
		return;
	while (count < SNMP_THREADS_MAX && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			ids[count++] = strtoul(entry->d_name, NULL, 10);
	closedir(directory);
	qsort(ids, count, sizeof(ids[0]), compare_numbers);
	for (size_t i = 0; i < count; i++) {
		struct snmp_thread *thread;

		snprintf(path, sizeof(path), "/proc/%u/task/%lu/stat", pid, ids[i]);
		if (read_line(path, line) != 0)
			continue;
		thread = add(threads, process, (uint32_t)i + 1);
		if (thread != NULL && snmp_thread_parse(thread, line, sysconf(_SC_CLK_TCK)) != 0)
			threads->count--;
	}
}

static void look_at_load(struct snmp_threads *threads, const struct cp_load *load)
{
	for (uint32_t i = 0; i < load->threads && i < CP_THREADS_MAX; i++) {
		struct snmp_thread *thread = add(threads, SNMP_CONTROLPLANE, i + 1);

		if (thread == NULL)
			return;
		memcpy(thread->name, load->thread[i].name, sizeof(thread->name));
		thread->cpu_ms = load->thread[i].cpu_us / 1000;
	}
}

static void look_at_memory(struct snmp_threads *threads, uint32_t process, uint32_t pid)
{
	char path[PATH_OCTETS], line[LINE_MAX_OCTETS];
	unsigned long pages = 0;

	snprintf(path, sizeof(path), "/proc/%u/statm", pid);
	if (pid != 0 && read_line(path, line) == 0 && strchr(line, ' ') != NULL)
		pages = strtoul(strchr(line, ' '), NULL, 10);
	threads->memory_kib[process] = pages * ((unsigned long)sysconf(_SC_PAGESIZE) / 1024);
}

static const struct snmp_thread *earlier(const struct snmp_threads *threads, const struct snmp_thread *thread)
{
	for (size_t i = 0; i < threads->before_count; i++) {
		const struct snmp_thread *old = &threads->before[i];

		if (old->process == thread->process && old->number == thread->number &&
			memcmp(old->name, thread->name, sizeof(old->name)) == 0)
			return old;
	}
	return NULL;
}

void snmp_threads_look(struct snmp_threads *threads, uint32_t dataplane_pid, uint32_t controlplane_pid,
	const struct cp_load *load, uint64_t now_ms)
{
	uint64_t passed = now_ms - threads->before_ms;

	threads->count = 0;
	if (dataplane_pid != 0)
		look_at_process(threads, SNMP_DATAPLANE, dataplane_pid);
	if (load != NULL)
		look_at_load(threads, load);
	look_at_process(threads, SNMP_MGMT, (uint32_t)getpid());
	look_at_memory(threads, SNMP_DATAPLANE, dataplane_pid);
	look_at_memory(threads, SNMP_CONTROLPLANE, controlplane_pid);
	look_at_memory(threads, SNMP_MGMT, (uint32_t)getpid());
	for (size_t i = 0; i < threads->count; i++) {
		struct snmp_thread *thread = &threads->now[i];
		const struct snmp_thread *old = earlier(threads, thread);
		uint64_t used =
			old != NULL && thread->cpu_ms > old->cpu_ms ? thread->cpu_ms - old->cpu_ms : 0;

		if (old == NULL || threads->before_ms == 0 || passed == 0)
			continue;
		/* A look in between is as good as the last whole one. */
		thread->load = passed < SNMP_LOOK_MS && old->load >= 0
				       ? old->load
				       : (int32_t)(used >= passed ? 1000 : used * 1000 / passed);
	}
	if (threads->before_ms != 0 && passed < SNMP_LOOK_MS)
		return;
	memcpy(threads->before, threads->now, threads->count * sizeof(threads->now[0]));
	threads->before_count = threads->count;
	threads->before_ms = now_ms;
}
