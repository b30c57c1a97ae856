/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads /proc/self: proc(5). */
#include "controlplane/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platforms/base/span.h"

enum { FILE_MAX = 1024 };

/* The whole of a small file of `directory`, without the end of its last line; empty if it cannot be read. */
static struct span read_file(int directory, const char *path, char buffer[FILE_MAX])
{
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, FILE_MAX);

	if (fd >= 0)
		close(fd);
	return span_trim((struct span){ buffer, n > 0 ? (size_t)n : 0 });
}

static uint64_t number(struct span text)
{
	uint64_t value;

	return span_to_uint(text, UINT64_MAX, &value) ? 0 : value;
}

/* utime and stime: the 14th and 15th of the fields, the second of which is a name in parentheses that may have anything in it. */
static uint64_t cpu_us(struct span stat)
{
	const char *end = memrchr(stat.p, ')', stat.n);
	uint64_t ticks = 0, each = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);

	if (!end)
		return 0;
	stat.n -= (size_t)(end + 2 - stat.p) < stat.n ? (size_t)(end + 2 - stat.p) : stat.n;
	stat.p = end + 2;
	for (unsigned field = 3; stat.n && field <= 15; field++) {
		struct span value = span_cut(&stat, ' ');

		if (field >= 14)
			ticks += number(value);
	}
	return ticks * each;
}

static void add_thread(struct cp_load *load, int tasks, const char *id)
{
	char path[280], buffer[FILE_MAX];
	size_t i = load->threads;
	struct span name;

	snprintf(path, sizeof(path), "%s/comm", id);
	name = read_file(tasks, path, buffer);
	/* The first thread has the name of the process. */
	if (number(span_from(id)) == (uint64_t)getpid())
		name = SPAN("main");
	if (name.n >= sizeof(load->thread[i].name))
		name.n = sizeof(load->thread[i].name) - 1;
	memcpy(load->thread[i].name, name.p, name.n);
	snprintf(path, sizeof(path), "%s/stat", id);
	load->thread[i].cpu_us = cpu_us(read_file(tasks, path, buffer));
	load->threads++;
}

void load_read(struct cp_load *load)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	char buffer[FILE_MAX];
	struct span statm = read_file(AT_FDCWD, "/proc/self/statm", buffer);

	memset(load, 0, sizeof(*load));
	span_cut(&statm, ' ');
	load->rss_octets = number(span_cut(&statm, ' ')) * (uint64_t)sysconf(_SC_PAGESIZE);
	while (tasks && load->threads < CP_THREADS_MAX && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			add_thread(load, dirfd(tasks), entry->d_name);
	if (tasks)
		closedir(tasks);
}
