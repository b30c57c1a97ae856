/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that settings name: certificates and keys must be readable; secrets given as "file:/path" are read here. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/source.h"
#include "platforms/base/span.h"

enum { SECRET_MAX = 1024 };

static void report_file(struct config_load *load, const struct config_object *object,
	const struct config_row *row, const char *path, const char *what)
{
	const struct config_setting *setting = config_setting_find(object, row->name);

	config_report_at(load, load->commit, setting->lines[0], object, row, "file %.128s: %s", path, what);
}

/* A descriptor of a plain file, or -errno. Never blocks on a pipe or device somebody named. */
static int open_plain(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	(void)close(fd);
	return -EINVAL;
}

static const char *reason(int error)
{
	return error == -EINVAL ? "is no plain file" : strerror(-error);
}

static void check_file(struct config_load *load, const struct config_object *object,
	const struct config_row *row, const char *path)
{
	int fd;

	if (!path || !path[0])
		return;
	fd = open_plain(path);
	if (fd < 0)
		report_file(load, object, row, path, reason(fd));
	else
		(void)close(fd);
}

/* The first line of the file takes the place of "file:/path" in the model; without the file the secret is empty. */
static int read_secret(struct config_load *load, const struct config_object *object,
	const struct config_row *row, char **field)
{
	char buffer[SECRET_MAX];
	struct span text = { buffer, 0 };
	const char *path;
	ssize_t n;
	int fd;

	if (!*field || strncmp(*field, "file:", 5))
		return 0;
	path = *field + 5;
	fd = open_plain(path);
	n = fd < 0 ? 0 : read(fd, buffer, sizeof(buffer));
	if (fd < 0)
		report_file(load, object, row, path, reason(fd));
	else if (n <= 0)
		report_file(load, object, row, path, n < 0 ? strerror(errno) : "is empty");
	if (fd >= 0)
		(void)close(fd);
	text.n = n > 0 ? (size_t)n : 0;
	text = span_trim(span_cut(&(struct span){ text.p, text.n }, '\n'));
	if (text.n > row->max || (text.n && memchr(text.p, '\0', text.n)))
		report_file(load, object, row, path,
			"holds no secret; allowed: one line of text, 255 characters");
	*field = arena_text(&load->private->arena, text.p, text.n > row->max ? 0 : text.n);
	return *field ? 0 : config_no_memory(load);
}

int config_read_files(struct config_load *load)
{
	for (struct config_object *o = load->private->objects; o; o = o->next)
		for (struct config_setting *s = o->settings; s; s = s->next) {
			char **field = (char **)((char *)o->typed + s->row->offset);

			if (s->refused)
				continue;
			if (s->row->type == CONFIG_TYPE_FILE)
				check_file(load, o, s->row, *field);
			if (s->row->type == CONFIG_TYPE_SECRET && read_secret(load, o, s->row, field))
				return -ENOMEM;
		}
	return 0;
}
