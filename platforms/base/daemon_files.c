/* SPDX-License-Identifier: BSD-3-Clause */
/* The run directory and the pid file in it. */
#include "platforms/base/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platforms/base/daemon_account.h"
#include "platforms/base/span.h"

/* owner: main thread. One process holds one pid file, until it ends. */
static struct {
	int fd;
	char path[PATH_MAX];
} pid_file = { .fd = -1 };

/* The parents, as anybody may pass through them. 0 or -errno. */
static int make_parents(const char *directory)
{
	char path[PATH_MAX];
	size_t n = strlen(directory);

	if (n >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, directory, n + 1);
	for (size_t i = 1; i < n; i++) {
		if (path[i] != '/')
			continue;
		path[i] = '\0';
		/* Explicitly, for our umask is stricter. */
		if (mkdir(path, 0755) == 0 ? chmod(path, 0755) < 0 : errno != EEXIST)
			return -errno;
		path[i] = '/';
	}
	return 0;
}

/* We have just made it; nobody else's directory is ever given away. */
static int hand_over(const char *directory, uid_t uid, gid_t gid)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, 0750) < 0)
		error = -errno;
	close(fd);
	return error;
}

int daemon_directory(const char *directory, const char *user)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct stat st;
	int error;

	if (uid == 0 && user && *user) {
		error = daemon_account(user, &uid, &gid);
		if (error < 0)
			return error;
	}
	error = make_parents(directory);
	if (error < 0)
		return error;
	if (mkdir(directory, 0750) == 0)
		return hand_over(directory, uid, gid);
	if (errno != EEXIST)
		return -errno;
	if (stat(directory, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* 0 with a locked descriptor, -EAGAIN when the file was removed meanwhile, -EEXIST when another holds it, or -errno. */
static int open_locked(const char *path, int *out)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct stat named;
	struct stat opened;
	int error = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		error = errno == EWOULDBLOCK ? -EEXIST : -errno;
	else if (fstat(fd, &opened) < 0)
		error = -errno;
	else if (stat(path, &named) < 0 || named.st_dev != opened.st_dev || named.st_ino != opened.st_ino)
		/* Its holder removed it between our open and our lock: what we hold has no name any more. */
		error = -EAGAIN;
	if (error < 0)
		close(fd);
	else
		*out = fd;
	return error;
}

int daemon_pid_open(const char *run_directory, const char *name)
{
	char path[PATH_MAX];
	char text[24];
	struct writer w;
	int fd = -1;
	int error;

	writer_init(&w, path, sizeof(path));
	writer_format(&w, "%s/%s.pid", run_directory, name);
	if (w.overflow)
		return -ENAMETOOLONG;
	do
		error = open_locked(path, &fd);
	while (error == -EAGAIN);
	if (error < 0)
		return error;
	writer_init(&w, text, sizeof(text));
	writer_uint(&w, (uint64_t)getpid());
	writer_char(&w, '\n');
	/* Anybody who gets into the directory may know it; our umask is stricter. */
	if (fchmod(fd, 0644) < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, text, w.len, 0) != (ssize_t)w.len) {
		error = errno ? -errno : -EIO;
		unlink(path);
		close(fd);
		return error;
	}
	daemon_pid_close();
	memcpy(pid_file.path, path, sizeof(path));
	pid_file.fd = fd;
	return 0;
}

void daemon_pid_close(void)
{
	if (pid_file.fd < 0)
		return;
	/* While the lock is held, so that a successor's file is not the one removed. */
	unlink(pid_file.path);
	close(pid_file.fd);
	pid_file.fd = -1;
}
