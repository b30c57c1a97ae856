/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree of what may be fetched. */
#include "mgmt/export_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DAYS_LISTED = 31, DAY_S = 86400, DATE_MAX = 16, SKIP_MAX = 65536 };

static const char *const tops[] = { "records", "captures" };
static const char *const formats[] = { "csv", "json" };

enum place { ROOT, RECORDS, RECORD, CAPTURES, NOWHERE };

struct export_file {
	const struct export_tree *tree;
	enum place place;
	struct export_facts facts;
	int fd; /* of a file or stream; -1 */
	DIR *directory; /* below captures; NULL */
	size_t next; /* of a directory that is none of the disk */
	uint64_t position; /* of a stream */
	pid_t child;
	bool ended;
};

/* --- paths --- */

static size_t parent_of(const char *path, size_t length)
{
	while (length > 0 && path[length - 1] != '/')
		length--;
	return length > 0 ? length - 1 : 0;
}

int export_path(struct span written, char out[EXPORT_PATH_MAX])
{
	size_t length = 0;

	if (memchr(written.p, '\0', written.n) != NULL)
		return -EINVAL;
	while (written.p != NULL && written.n > 0) {
		struct span word = span_cut(&written, '/');

		if (word.n == 0 || span_equal(word, SPAN(".")))
			continue;
		if (span_equal(word, SPAN(".."))) {
			length = parent_of(out, length);
			continue;
		}
		if (length + 1 + word.n + 1 > EXPORT_PATH_MAX)
			return -ENAMETOOLONG;
		out[length++] = '/';
		memcpy(out + length, word.p, word.n);
		length += word.n;
	}
	if (length == 0)
		out[length++] = '/';
	out[length] = '\0';
	return 0;
}

/* *rest: what follows in that place, without a slash before it. */
static enum place place_of(const char *path, const char **rest)
{
	static const struct {
		const char *top;
		enum place itself, below;
	} places[] = { { "/records", RECORDS, RECORD }, { "/captures", CAPTURES, CAPTURES } };

	*rest = "";
	if (strcmp(path, "/") == 0)
		return ROOT;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t n = strlen(places[i].top);

		if (strncmp(path, places[i].top, n) != 0 || (path[n] != '\0' && path[n] != '/'))
			continue;
		*rest = path[n] == '/' ? path + n + 1 : "";
		return path[n] == '/' ? places[i].below : places[i].itself;
	}
	return NOWHERE;
}

/* --- records --- */

static void print_day(uint64_t wall_s, char out[DATE_MAX])
{
	time_t at = (time_t)wall_s;
	struct tm tm;

	gmtime_r(&at, &tm);
	(void)strftime(out, DATE_MAX, "%Y-%m-%d", &tm);
}

/* "2026-11-21.csv": the beginning of that day, and which form. 0 or -ENOENT. */
static int read_day(const char *name, uint64_t *day_s, const char **format)
{
	char same[DATE_MAX];
	struct tm tm = { .tm_year = 0 };
	const char *end = strptime(name, "%Y-%m-%d", &tm);
	time_t at = end != NULL ? timegm(&tm) : -1;

	if (at < 0 || *end != '.')
		return -ENOENT;
	*day_s = (uint64_t)at;
	print_day(*day_s, same);
	if (strncmp(name, same, strlen(same)) != 0 || (size_t)(end - name) != strlen(same))
		return -ENOENT;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(end + 1, formats[i]) == 0) {
			*format = formats[i];
			return 0;
		}
	return -ENOENT;
}

static int look_at_record(const struct export_tree *tree, const char *name, struct export_facts *facts)
{
	uint64_t day_s;
	const char *format;
	int error = read_day(name, &day_s, &format);

	if (!error && day_s > tree->now_s)
		error = -ENOENT;
	*facts = (struct export_facts){ .kind = EXPORT_STREAM };
	if (!error)
		facts->mtime_s = day_s + DAY_S < tree->now_s ? day_s + DAY_S : tree->now_s;
	return error;
}

static int open_record(const struct export_tree *tree, const char *name, struct export_file *file)
{
	char since[DATE_MAX], until[DATE_MAX];
	uint64_t day_s;
	const char *format;
	int error = look_at_record(tree, name, &file->facts);

	if (!error)
		error = read_day(name, &day_s, &format);
	if (error)
		return error;
	print_day(day_s, since);
	print_day(day_s + DAY_S, until);
	file->fd = tree->records(tree->arg, format, since, until, &file->child);
	return file->fd < 0 ? file->fd : 0;
}

/* --- captures --- */

/* The kernel keeps it beneath, whatever lies there meanwhile. */
static int open_beneath(int directory, const char *path, uint64_t flags)
{
	const struct open_how how = { .flags = flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV };
	long fd;

	if (directory < 0)
		return -ENOENT;
	fd = syscall(SYS_openat2, directory, path[0] != '\0' ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

/* Plain files and directories; a file of two names may be somebody else's. */
static int judge(const struct stat *st, struct export_facts *facts)
{
	*facts = (struct export_facts){ .kind = S_ISDIR(st->st_mode) ? EXPORT_DIRECTORY : EXPORT_FILE,
		.size = (uint64_t)st->st_size,
		.mtime_s = (uint64_t)st->st_mtim.tv_sec };
	return S_ISDIR(st->st_mode) || (S_ISREG(st->st_mode) && st->st_nlink == 1) ? 0 : -EACCES;
}

static int look_at_fd(int fd, struct export_facts *facts)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -errno : judge(&st, facts);
}

static int look_at_capture(const struct export_tree *tree, const char *path, struct export_facts *facts)
{
	int fd = open_beneath(tree->captures, path, O_PATH);
	int error = fd < 0 ? fd : look_at_fd(fd, facts);

	if (fd >= 0)
		close(fd);
	return error;
}

static int open_capture(const struct export_tree *tree, const char *path, struct export_file *file)
{
	int error = look_at_capture(tree, path, &file->facts);

	if (error)
		return error;
	file->fd = open_beneath(tree->captures, path, O_RDONLY | O_NONBLOCK);
	if (file->fd < 0)
		return file->fd;
	error = look_at_fd(file->fd, &file->facts);
	if (error || file->facts.kind != EXPORT_DIRECTORY)
		return error;
	file->directory = fdopendir(file->fd);
	if (file->directory == NULL)
		return -errno;
	file->fd = -1; /* it is the directory's now */
	return 0;
}

/* --- all of it --- */

int export_look(const struct export_tree *tree, const char *path, struct export_facts *facts)
{
	const char *rest;

	*facts = (struct export_facts){ .kind = EXPORT_DIRECTORY, .mtime_s = tree->now_s };
	switch (place_of(path, &rest)) {
	case ROOT:
	case RECORDS:
		return 0;
	case RECORD:
		return look_at_record(tree, rest, facts);
	case CAPTURES:
		return look_at_capture(tree, rest, facts);
	case NOWHERE:
		break;
	}
	return -ENOENT;
}

int export_open(const struct export_tree *tree, const char *path, struct export_file **out)
{
	struct export_file *file = calloc(1, sizeof(*file));
	const char *rest;
	int error = 0;

	if (file == NULL)
		return -ENOMEM;
	file->tree = tree;
	file->fd = file->child = -1;
	file->place = place_of(path, &rest);
	if (file->place == NOWHERE)
		error = -ENOENT;
	else if (file->place == RECORD)
		error = open_record(tree, rest, file);
	else if (file->place == CAPTURES)
		error = open_capture(tree, rest, file);
	if (error)
		export_close(file);
	else
		*out = file;
	return error;
}

/* Whether who wrote the stream got to its end. */
static int child_status(struct export_file *file)
{
	int status = 0;

	if (file->child < 0)
		return 0;
	while (waitpid(file->child, &status, 0) < 0 && errno == EINTR)
		;
	file->child = -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

void export_close(struct export_file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
		close(file->fd);
	if (file->directory != NULL)
		closedir(file->directory);
	if (file->child >= 0) {
		kill(file->child, SIGKILL);
		(void)child_status(file);
	}
	free(file);
}

void export_file_facts(const struct export_file *file, struct export_facts *facts)
{
	*facts = file->facts;
	if (file->place == ROOT || file->place == RECORDS)
		*facts = (struct export_facts){ .kind = EXPORT_DIRECTORY, .mtime_s = file->tree->now_s };
}

/* --- reading --- */

static ssize_t read_whole(int fd, void *out, size_t length)
{
	size_t n = 0;

	while (n < length) {
		ssize_t got = read(fd, (char *)out + n, length - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static ssize_t read_stream(struct export_file *file, void *out, size_t length)
{
	ssize_t n = file->ended ? 0 : read_whole(file->fd, out, length);

	if (n < 0)
		return n;
	file->position += (uint64_t)n;
	if ((size_t)n == length || file->ended)
		return n;
	file->ended = true;
	return child_status(file) != 0 ? -EIO : n;
}

static ssize_t skip_to(struct export_file *file, uint64_t offset)
{
	char unwanted[SKIP_MAX];
	ssize_t n = 1;

	while (n > 0 && file->position < offset) {
		uint64_t left = offset - file->position;

		n = read_stream(file, unwanted, left < sizeof(unwanted) ? (size_t)left : sizeof(unwanted));
	}
	return n < 0 ? n : 0;
}

ssize_t export_read(struct export_file *file, uint64_t offset, void *out, size_t length)
{
	ssize_t n;

	if (file->fd < 0)
		return -EISDIR;
	if (file->facts.kind == EXPORT_FILE) {
		n = offset > INT64_MAX ? 0 : pread(file->fd, out, length, (off_t)offset);
		return n < 0 ? -errno : n;
	}
	if (offset < file->position)
		return -ESPIPE;
	n = skip_to(file, offset);
	if (n < 0)
		return n;
	return file->position < offset ? 0 : read_stream(file, out, length);
}

static int next_top(struct export_file *file, char name[EXPORT_NAME_MAX], struct export_facts *facts)
{
	if (file->next >= sizeof(tops) / sizeof(tops[0]))
		return 0;
	(void)snprintf(name, EXPORT_NAME_MAX, "%s", tops[file->next++]);
	*facts = (struct export_facts){ .kind = EXPORT_DIRECTORY, .mtime_s = file->tree->now_s };
	return 1;
}

static int next_record(struct export_file *file, char name[EXPORT_NAME_MAX], struct export_facts *facts)
{
	const size_t count = sizeof(formats) / sizeof(formats[0]);
	uint64_t back_s = file->next / count * DAY_S;
	char day[DATE_MAX];

	if (file->next >= DAYS_LISTED * count || back_s > file->tree->now_s)
		return 0;
	print_day(file->tree->now_s - back_s, day);
	(void)snprintf(name, EXPORT_NAME_MAX, "%s.%s", day, formats[file->next++ % count]);
	return look_at_record(file->tree, name, facts) == 0;
}

static int next_capture(struct export_file *file, char name[EXPORT_NAME_MAX], struct export_facts *facts)
{
	const struct dirent *entry;
	struct stat st;

	while ((entry = readdir(file->directory)) != NULL) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= EXPORT_NAME_MAX ||
			fstatat(dirfd(file->directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			judge(&st, facts) != 0)
			continue;
		(void)snprintf(name, EXPORT_NAME_MAX, "%s", entry->d_name);
		return 1;
	}
	return 0;
}

int export_next(struct export_file *file, char name[EXPORT_NAME_MAX], struct export_facts *facts)
{
	if (file->place == ROOT)
		return next_top(file, name, facts);
	if (file->place == RECORDS)
		return next_record(file, name, facts);
	return file->directory != NULL ? next_capture(file, name, facts) : -ENOTDIR;
}
