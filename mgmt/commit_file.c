/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file, replaced so that nobody ever sees half of it. */
#include "mgmt/commit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = (4 << 20) + 1, MODE = 0640 };

int commit_file_read(const char *path, char **text, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	char *buffer = malloc(FILE_MAX + 1);
	ssize_t n = 1;

	*length = 0;
	if (fd < 0 || !buffer)
		error = fd < 0 ? -errno : -ENOMEM;
	while (!error && n != 0 && *length < FILE_MAX) {
		n = read(fd, buffer + *length, FILE_MAX - *length);
		if (n > 0)
			*length += (size_t)n;
		else if (n < 0 && errno != EINTR)
			error = -errno;
	}
	if (fd >= 0)
		(void)close(fd);
	if (error) {
		free(buffer);
		return error;
	}
	buffer[*length] = '\0';
	*text = buffer;
	return 0;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n > 0) {
			text += n;
			length -= (size_t)n;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int replace(int directory, const char *name, const char *text, size_t length)
{
	struct stat old;
	bool known = fstatat(directory, name, &old, 0) == 0;
	char fresh[NAME_MAX + 1];
	int n = snprintf(fresh, sizeof(fresh), ".%.200s.new", name), fd, error;

	if (n < 0)
		return -EINVAL;
	/* What a killed one has left is nobody's: there is one management daemon. */
	if (unlinkat(directory, fresh, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/* Secrets: who could not read the old one shall not read the new one. The group is kept where we may. */
	if (known)
		(void)!fchown(fd, (uid_t)-1, old.st_gid);
	error = fchmod(fd, known ? old.st_mode & 07777 : MODE) < 0 ? -errno : 0;
	if (!error)
		error = write_all(fd, text, length);
	if (close(fd) < 0 && !error)
		error = -errno;
	if (!error && renameat(directory, fresh, directory, name) < 0)
		error = -errno;
	if (error)
		(void)unlinkat(directory, fresh, 0);
	else if (fsync(directory) < 0)
		error = -errno;
	return error;
}

static void explain(int error, const char *directory, char *why, size_t size)
{
	const struct passwd *user = getpwuid(geteuid());

	if (error == -EACCES || error == -EPERM || error == -EROFS)
		(void)snprintf(why, size, "%s: the user %s may not write there: %s; `chown %s %s` allows it",
			directory, user ? user->pw_name : "of this daemon", strerror(-error),
			user ? user->pw_name : "USER", directory);
	else
		(void)snprintf(why, size, "%s: %s", directory, strerror(-error));
}

int commit_file_write(const char *path, const char *text, size_t length, char *why, size_t size)
{
	char *real = realpath(path, NULL), *name = NULL, *parent = NULL;
	int directory = -1, error = 0;

	if (!real)
		real = strdup(path); /* not there: then it is made */
	name = real ? strdup(real) : NULL;
	parent = real ? strdup(real) : NULL;
	if (!name || !parent)
		error = -ENOMEM;
	if (!error) {
		directory = open(dirname(parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		error = directory < 0 ? -errno : replace(directory, basename(name), text, length);
	}
	if (error)
		explain(error, parent && *parent ? parent : path, why, size);
	if (directory >= 0)
		(void)close(directory);
	free(real);
	free(name);
	free(parent);
	return error;
}
