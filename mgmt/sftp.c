/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of SFTP as a table, and their answers. */
#include "mgmt/sftp.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { VERSION = 3, ANSWER_HEAD = 64, NAMES_AT_ONCE = 64, LONG_NAME_MAX = EXPORT_NAME_MAX + 64 };

enum request_type {
	INIT = 1,
	OPEN = 3,
	CLOSE = 4,
	READ = 5,
	WRITE = 6,
	LSTAT = 7,
	FSTAT = 8,
	SETSTAT = 9,
	FSETSTAT = 10,
	OPENDIR = 11,
	READDIR = 12,
	REMOVE = 13,
	MKDIR = 14,
	RMDIR = 15,
	REALPATH = 16,
	STAT = 17,
	RENAME = 18,
	SYMLINK = 20,
};

enum answer_type { ANSWER_VERSION = 2, STATUS = 101, HANDLE = 102, DATA = 103, NAME = 104, ATTRS = 105 };

enum status {
	STATUS_OK,
	STATUS_EOF,
	STATUS_NO_SUCH_FILE,
	STATUS_PERMISSION_DENIED,
	STATUS_FAILURE,
	STATUS_UNSUPPORTED = 8,
};

enum { FLAG_READ = 1, ATTR_SIZE = 1, ATTR_PERMISSIONS = 4, ATTR_TIMES = 8 };

struct sftp {
	const struct export_tree *tree;
	int (*send)(void *arg, const void *packet, size_t length);
	void *arg;
	struct export_file *handle[SFTP_HANDLES_MAX]; /* NULL: free */
	uint32_t opened[SFTP_HANDLES_MAX]; /* tells a handle from an older one in its place */
	uint32_t openings;
	size_t length; /* of the answer being written */
	uint8_t answer[SFTP_READ_MAX + ANSWER_HEAD];
};

/* A request being read; `bad`: it ends too early. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

/* --- reading --- */

static uint32_t get_u32(struct reader *r)
{
	uint32_t value;

	if (r->left < sizeof(value)) {
		r->bad = true;
		return 0;
	}
	memcpy(&value, r->at, sizeof(value));
	r->at += sizeof(value);
	r->left -= sizeof(value);
	return be32toh(value);
}

static uint64_t get_u64(struct reader *r)
{
	uint64_t high = get_u32(r);

	return high << 32 | get_u32(r);
}

static struct span get_text(struct reader *r)
{
	uint32_t n = get_u32(r);
	struct span text = { (const char *)r->at, n };

	if (n > r->left) {
		r->bad = true;
		return (struct span){ "", 0 };
	}
	r->at += n;
	r->left -= n;
	return text;
}

/* --- writing; the answer's room is larger than whatever one answer holds --- */

static void put(struct sftp *s, const void *octets, size_t n)
{
	memcpy(s->answer + s->length, octets, n);
	s->length += n;
}

static void put_u32(struct sftp *s, uint32_t value)
{
	value = htobe32(value);
	put(s, &value, sizeof(value));
}

static void put_text(struct sftp *s, const char *text, size_t n)
{
	put_u32(s, (uint32_t)n);
	put(s, text, n);
}

static void begin(struct sftp *s, enum answer_type type, uint32_t id)
{
	uint8_t octet = (uint8_t)type;

	s->length = 4; /* for the length */
	put(s, &octet, 1);
	put_u32(s, id);
}

static int finish(struct sftp *s)
{
	uint32_t length = htobe32((uint32_t)(s->length - 4));

	memcpy(s->answer, &length, sizeof(length));
	return s->send(s->arg, s->answer, s->length);
}

static int answer_status(struct sftp *s, uint32_t id, enum status status)
{
	static const char *const texts[] = { "done", "that was all", "no such file", "not permitted",
		"failed" };
	const char *text = status == STATUS_UNSUPPORTED ? "not supported" : texts[status];

	begin(s, STATUS, id);
	put_u32(s, status);
	put_text(s, text, strlen(text));
	put_text(s, "", 0);
	return finish(s);
}

static int answer_error(struct sftp *s, uint32_t id, int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
		return answer_status(s, id, STATUS_NO_SUCH_FILE);
	case -EACCES:
	case -EPERM:
	case -ELOOP: /* a link is in the way */
	case -EXDEV: /* it would lead out */
		return answer_status(s, id, STATUS_PERMISSION_DENIED);
	default:
		return answer_status(s, id, STATUS_FAILURE);
	}
}

static uint32_t mode_of(const struct export_facts *facts)
{
	return facts->kind == EXPORT_DIRECTORY ? S_IFDIR | 0500 : S_IFREG | 0400;
}

static void put_attributes(struct sftp *s, const struct export_facts *facts)
{
	bool sized = facts->kind == EXPORT_FILE;

	put_u32(s, (sized ? ATTR_SIZE : 0) | ATTR_PERMISSIONS | ATTR_TIMES);
	if (sized) {
		put_u32(s, (uint32_t)(facts->size >> 32));
		put_u32(s, (uint32_t)facts->size);
	}
	put_u32(s, mode_of(facts));
	put_u32(s, (uint32_t)facts->mtime_s);
	put_u32(s, (uint32_t)facts->mtime_s);
}

/* As ls -l would; names are ours, or of files that are to be fetched: nothing in them steers a terminal. */
static void put_name(struct sftp *s, const char *name, const struct export_facts *facts)
{
	char text[LONG_NAME_MAX], at[32] = "";
	time_t mtime = (time_t)facts->mtime_s;
	struct tm tm;
	int n;

	if (gmtime_r(&mtime, &tm) != NULL) /* a file may say of itself any year */
		(void)strftime(at, sizeof(at), "%Y-%m-%d %H:%M", &tm);
	n = snprintf(text, sizeof(text), "%s %12llu %s %s",
		facts->kind == EXPORT_DIRECTORY ? "dr-x------" : "-r--------",
		(unsigned long long)facts->size, at, name);
	put_text(s, name, strlen(name));
	put_text(s, text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : 0);
	put_attributes(s, facts);
}

static bool is_plain(const char *name)
{
	for (; *name != '\0'; name++)
		if (*name < 0x20 || *name > 0x7e)
			return false;
	return true;
}

/* --- handles --- */

static int answer_handle(struct sftp *s, uint32_t id, struct export_file *file)
{
	uint32_t name[2] = { 0 };

	while (name[0] < SFTP_HANDLES_MAX && s->handle[name[0]] != NULL)
		name[0]++;
	if (name[0] == SFTP_HANDLES_MAX) {
		export_close(file);
		return answer_status(s, id, STATUS_FAILURE);
	}
	s->handle[name[0]] = file;
	name[1] = s->opened[name[0]] = ++s->openings;
	begin(s, HANDLE, id);
	put_text(s, (const char *)name, sizeof(name));
	return finish(s);
}

/* NULL: none of ours. */
static struct export_file **find(struct sftp *s, struct span handle)
{
	uint32_t name[2];

	if (handle.n != sizeof(name))
		return NULL;
	memcpy(name, handle.p, sizeof(name));
	if (name[0] >= SFTP_HANDLES_MAX || s->handle[name[0]] == NULL || s->opened[name[0]] != name[1])
		return NULL;
	return &s->handle[name[0]];
}

static unsigned count_streams(const struct sftp *s)
{
	unsigned count = 0;

	for (size_t i = 0; i < SFTP_HANDLES_MAX; i++) {
		struct export_facts facts = { .kind = EXPORT_FILE };

		if (s->handle[i] != NULL)
			export_file_facts(s->handle[i], &facts);
		count += facts.kind == EXPORT_STREAM;
	}
	return count;
}

/* --- requests --- */

static int take_open(struct sftp *s, uint32_t id, struct reader *r, bool directory)
{
	struct span written = get_text(r);
	uint32_t flags = directory ? FLAG_READ : get_u32(r);
	struct export_file *file;
	struct export_facts facts;
	char path[EXPORT_PATH_MAX];
	int error;

	if (r->bad)
		return -EBADMSG;
	if (flags != FLAG_READ)
		return answer_status(s, id, STATUS_PERMISSION_DENIED);
	error = export_path(written, path);
	if (!error)
		error = export_look(s->tree, path, &facts);
	if (!error && (facts.kind == EXPORT_DIRECTORY) != directory)
		error = directory ? -ENOTDIR : -EISDIR;
	if (!error && facts.kind == EXPORT_STREAM && count_streams(s) == SFTP_STREAMS_MAX)
		error = -EBUSY;
	if (!error)
		error = export_open(s->tree, path, &file);
	return error ? answer_error(s, id, error) : answer_handle(s, id, file);
}

static int on_open(struct sftp *s, uint32_t id, struct reader *r)
{
	return take_open(s, id, r, false);
}

static int on_opendir(struct sftp *s, uint32_t id, struct reader *r)
{
	return take_open(s, id, r, true);
}

static int on_close(struct sftp *s, uint32_t id, struct reader *r)
{
	struct export_file **file = find(s, get_text(r));

	if (r->bad)
		return -EBADMSG;
	if (file == NULL)
		return answer_status(s, id, STATUS_FAILURE);
	export_close(*file);
	*file = NULL;
	return answer_status(s, id, STATUS_OK);
}

static int on_read(struct sftp *s, uint32_t id, struct reader *r)
{
	struct export_file **file = find(s, get_text(r));
	uint64_t offset = get_u64(r);
	uint32_t wanted = get_u32(r), length;
	ssize_t n;

	if (r->bad)
		return -EBADMSG;
	if (file == NULL)
		return answer_status(s, id, STATUS_FAILURE);
	if (wanted > SFTP_READ_MAX)
		wanted = SFTP_READ_MAX;
	begin(s, DATA, id);
	n = export_read(*file, offset, s->answer + s->length + 4, wanted);
	if (n < 0)
		return answer_error(s, id, (int)n);
	if (n == 0)
		return answer_status(s, id, STATUS_EOF);
	length = (uint32_t)n;
	put_u32(s, length);
	s->length += length;
	return finish(s);
}

static int on_readdir(struct sftp *s, uint32_t id, struct reader *r)
{
	struct export_file **file = find(s, get_text(r));
	char name[EXPORT_NAME_MAX];
	struct export_facts facts;
	uint32_t count = 0, told;
	int more = 1;

	if (r->bad)
		return -EBADMSG;
	if (file == NULL)
		return answer_status(s, id, STATUS_FAILURE);
	begin(s, NAME, id);
	put_u32(s, 0);
	while (count < NAMES_AT_ONCE && (more = export_next(*file, name, &facts)) > 0) {
		if (!is_plain(name))
			continue;
		put_name(s, name, &facts);
		count++;
	}
	if (more < 0)
		return answer_status(s, id, STATUS_FAILURE);
	if (count == 0)
		return answer_status(s, id, STATUS_EOF);
	told = htobe32(count);
	memcpy(s->answer + 9, &told, sizeof(told));
	return finish(s);
}

static int on_stat(struct sftp *s, uint32_t id, struct reader *r)
{
	struct export_facts facts;
	char path[EXPORT_PATH_MAX];
	int error = export_path(get_text(r), path);

	if (r->bad)
		return -EBADMSG;
	if (!error)
		error = export_look(s->tree, path, &facts);
	if (error)
		return answer_error(s, id, error);
	begin(s, ATTRS, id);
	put_attributes(s, &facts);
	return finish(s);
}

static int on_fstat(struct sftp *s, uint32_t id, struct reader *r)
{
	struct export_file **file = find(s, get_text(r));
	struct export_facts facts;

	if (r->bad)
		return -EBADMSG;
	if (file == NULL)
		return answer_status(s, id, STATUS_FAILURE);
	export_file_facts(*file, &facts);
	begin(s, ATTRS, id);
	put_attributes(s, &facts);
	return finish(s);
}

/* Also of what is not there: the way to it is all that is asked for. */
static int on_realpath(struct sftp *s, uint32_t id, struct reader *r)
{
	char path[EXPORT_PATH_MAX];
	int error = export_path(get_text(r), path);

	if (r->bad)
		return -EBADMSG;
	if (error)
		return answer_error(s, id, error);
	begin(s, NAME, id);
	put_u32(s, 1);
	put_text(s, path, strlen(path));
	put_text(s, path, strlen(path));
	put_u32(s, 0);
	return finish(s);
}

static int on_change(struct sftp *s, uint32_t id, struct reader *r)
{
	(void)r;
	return answer_status(s, id, STATUS_PERMISSION_DENIED);
}

static const struct {
	enum request_type type;
	int (*take)(struct sftp *s, uint32_t id, struct reader *r);
} requests[] = {
	{ OPEN, on_open },
	{ CLOSE, on_close },
	{ READ, on_read },
	{ LSTAT, on_stat },
	{ STAT, on_stat },
	{ FSTAT, on_fstat },
	{ OPENDIR, on_opendir },
	{ READDIR, on_readdir },
	{ REALPATH, on_realpath },
	{ WRITE, on_change },
	{ SETSTAT, on_change },
	{ FSETSTAT, on_change },
	{ REMOVE, on_change },
	{ MKDIR, on_change },
	{ RMDIR, on_change },
	{ RENAME, on_change },
	{ SYMLINK, on_change },
};

int sftp_take(struct sftp *sftp, const uint8_t *packet, size_t length)
{
	struct reader r = { packet + 1, length - 1, false };
	uint32_t id;

	if (length == 0)
		return -EBADMSG;
	id = get_u32(&r);
	if (r.bad)
		return -EBADMSG;
	if (packet[0] == INIT) { /* its number is the client's version: any; ours is 3, and it has no more */
		begin(sftp, ANSWER_VERSION, VERSION);
		return finish(sftp);
	}
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == (enum request_type)packet[0])
			return requests[i].take(sftp, id, &r);
	return answer_status(sftp, id, STATUS_UNSUPPORTED);
}

struct sftp *sftp_new(
	const struct export_tree *tree, int (*send)(void *arg, const void *packet, size_t length), void *arg)
{
	struct sftp *sftp = calloc(1, sizeof(*sftp));

	if (sftp == NULL)
		return NULL;
	sftp->tree = tree;
	sftp->send = send;
	sftp->arg = arg;
	return sftp;
}

void sftp_free(struct sftp *sftp)
{
	for (size_t i = 0; sftp != NULL && i < SFTP_HANDLES_MAX; i++)
		export_close(sftp->handle[i]);
	free(sftp);
}
