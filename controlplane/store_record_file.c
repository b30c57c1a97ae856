/* SPDX-License-Identifier: BSD-3-Clause */
/* accounting.file: a line of CSV for each call that has ended, behind what is there already. Who renames the file gets a fresh one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/client.h"
#include "controlplane/store_record_internal.h"

enum { BUFFER = 8 * CP_RECORD_CSV_MAX };

struct record_file {
	char *path;
	int fd; /* negative: not open */
	dev_t device;
	ino_t inode;
	int error; /* the first of a group */
	size_t length;
	char buffer[BUFFER];
};

int record_file_new(const char *path, struct record_file **out)
{
	struct record_file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file->fd = -1;
	file->path = strdup(path);
	if (!file->path) {
		free(file);
		return -ENOMEM;
	}
	*out = file;
	return 0;
}

static void close_file(struct record_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

void record_file_free(struct record_file *file)
{
	if (!file)
		return;
	close_file(file);
	free(file->path);
	free(file);
}

static void flush(struct record_file *file)
{
	size_t done = 0;

	while (file->error == 0 && done < file->length) {
		ssize_t n = file->fd < 0 ? 0 : write(file->fd, file->buffer + done, file->length - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			file->error = -EIO;
		else if (errno != EINTR)
			file->error = -errno;
	}
	file->length = 0;
}

static void add_header(struct record_file *file)
{
	struct writer out;

	writer_init(&out, file->buffer, sizeof(file->buffer));
	cp_record_csv_header(&out);
	file->length = out.len;
}

static bool is_where_it_was(const struct record_file *file)
{
	struct stat now;

	return file->fd >= 0 && lstat(file->path, &now) == 0 && now.st_dev == file->device &&
	       now.st_ino == file->inode;
}

int record_file_begin(struct record_file *file)
{
	struct stat now;

	file->error = 0;
	file->length = 0;
	if (is_where_it_was(file))
		return 0;
	close_file(file);
	file->fd =
		open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (file->fd < 0)
		return -errno;
	/* A pipe without a reader would stop the records of all calls. */
	if (fstat(file->fd, &now) < 0 || !S_ISREG(now.st_mode)) {
		close_file(file);
		return -EINVAL;
	}
	file->device = now.st_dev;
	file->inode = now.st_ino;
	if (now.st_size == 0)
		add_header(file);
	return 0;
}

void record_file_add(struct record_file *file, const struct cp_record *record)
{
	struct writer out;

	if (sizeof(file->buffer) - file->length < CP_RECORD_CSV_MAX)
		flush(file);
	writer_init(&out, file->buffer + file->length, sizeof(file->buffer) - file->length);
	cp_record_csv(record, &out);
	if (!out.overflow)
		file->length += out.len;
}

int record_file_end(struct record_file *file)
{
	flush(file);
	return file->error;
}
