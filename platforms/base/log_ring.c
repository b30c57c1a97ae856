/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of slots in a mapped file. A writer takes the next number, claims its slot, fills it, and puts the number in: whoever reads takes a slot whose number
 * was the same before and after. Nobody waits: a line is left out if its slot is not free, because somebody has been interrupted for a whole round. */
#include "platforms/base/log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platforms/base/clock.h"

#define RING_MAGIC UINT64_C(0x31474f4c594c4153) /* "SALYLOG1" */
#define CLAIMED    (UINT64_C(1) << 63)
#define TAKEN_MAX  (UINT64_C(1) << 62) /* no process gets so far */

struct slot {
	_Atomic uint64_t number; /* 0: empty; CLAIMED: being written */
	uint64_t wall_ms;
	uint32_t level;
	uint32_t length;
	char text[LOG_RING_TEXT_MAX];
};

/* One slot's size, so that slots are aligned. */
struct head {
	uint64_t magic;
	uint32_t slots, slot_size;
	_Atomic uint64_t taken; /* numbers given out */
	char room[sizeof(struct slot) - 24];
};

struct ring {
	struct head head;
	struct slot slot[LOG_RING_LINES];
};

_Static_assert(sizeof(struct head) == sizeof(struct slot), "the head takes one place");

/* Written by log_ring_open before threads start. */
static struct ring *ring;

static bool is_head(const struct head *head)
{
	return head->magic == RING_MAGIC && head->slots == LOG_RING_LINES &&
	       head->slot_size == sizeof(struct slot);
}

/* --- writing --- */

/* What root opens in a directory of somebody else's must be what it looks like. */
static bool is_ours(int fd, uid_t uid)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	       (st.st_uid == uid || st.st_uid == geteuid()) && st.st_size == (off_t)sizeof(struct ring);
}

static int create(const char *path, uid_t uid, gid_t gid)
{
	int fd, error;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	/* All of it now: a page that is missing later would end the process. */
	error = -posix_fallocate(fd, 0, sizeof(struct ring));
	if (!error && (uid != geteuid() || gid != getegid()) && fchown(fd, uid, gid) < 0)
		error = -errno;
	if (!error)
		return fd;
	close(fd);
	unlink(path);
	return error;
}

static int map(const char *path, uid_t uid, gid_t gid, struct ring **out)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), error = 0;

	if (fd >= 0 && !is_ours(fd, uid)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		fd = create(path, uid, gid);
	if (fd < 0)
		return fd;
	*out = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*out == MAP_FAILED)
		error = -errno;
	close(fd);
	return error;
}

int log_ring_open(const char *path, uid_t uid, gid_t gid)
{
	struct ring *mapped;
	int error = map(path, uid, gid, &mapped);

	if (error)
		return error;
	if (!is_head(&mapped->head) || atomic_load(&mapped->head.taken) >= TAKEN_MAX) {
		memset(mapped, 0, sizeof(*mapped));
		mapped->head.slots = LOG_RING_LINES;
		mapped->head.slot_size = sizeof(struct slot);
		mapped->head.magic = RING_MAGIC;
	}
	/* Whoever was writing when he died writes no more; a number that has not been given out would keep every later line away. */
	for (size_t i = 0; i < LOG_RING_LINES; i++)
		if (atomic_load(&mapped->slot[i].number) > atomic_load(&mapped->head.taken))
			atomic_store(&mapped->slot[i].number, 0);
	ring = mapped;
	return 0;
}

bool log_ring_is_open(void)
{
	return ring != NULL;
}

void log_ring_put(enum log_level level, struct span text)
{
	uint64_t number, before;
	struct slot *slot;

	if (ring == NULL)
		return;
	number = (atomic_fetch_add(&ring->head.taken, 1) + 1) & ~CLAIMED;
	slot = &ring->slot[number % LOG_RING_LINES];
	before = atomic_load(&slot->number);
	if ((before & CLAIMED) != 0 || before > number ||
		!atomic_compare_exchange_strong(&slot->number, &before, number | CLAIMED))
		return;
	slot->wall_ms = clock_wall_ms();
	slot->level = level;
	slot->length = (uint32_t)(text.n < sizeof(slot->text) ? text.n : sizeof(slot->text));
	memcpy(slot->text, text.p, slot->length);
	atomic_store(&slot->number, number);
}

/* --- reading --- */

/* Whoever wrote the file: nothing in it steers a terminal. */
static void take_text(struct log_ring_line *line, const struct slot *slot)
{
	size_t n = slot->length < sizeof(slot->text) ? slot->length : sizeof(slot->text);

	for (size_t i = 0; i < n; i++)
		line->text[i] = slot->text[i] >= 0x20 && slot->text[i] < 0x7f ? slot->text[i] : '?';
	line->text[n] = '\0';
}

/* A file that its writer makes shorter meanwhile ends a read; it would end a process that had it mapped. */
static bool read_at(int fd, size_t offset, void *out, size_t length)
{
	return pread(fd, out, length, (off_t)offset) == (ssize_t)length;
}

/* False: there is no whole line in it. */
static bool take_slot(int fd, size_t i, struct log_ring_line *line)
{
	const size_t at = offsetof(struct ring, slot) + i * sizeof(struct slot);
	uint64_t behind;
	struct slot copy;

	if (!read_at(fd, at, &line->number, sizeof(line->number)) || line->number == 0 ||
		(line->number & CLAIMED) != 0 || !read_at(fd, at, &copy, sizeof(copy)) ||
		!read_at(fd, at, &behind, sizeof(behind)) || behind != line->number)
		return false;
	line->wall_ms = copy.wall_ms;
	line->level = copy.level <= LOG_LEVEL_DEBUG ? (enum log_level)copy.level : LOG_LEVEL_DEBUG;
	take_text(line, &copy);
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct log_ring_line *one = a, *other = b;

	return one->number < other->number ? -1 : one->number > other->number;
}

static int read_ring(int fd, struct log_ring_line **out, size_t *count)
{
	struct log_ring_line *lines = malloc(LOG_RING_LINES * sizeof(*lines));
	size_t n = 0;

	if (lines == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < LOG_RING_LINES; i++)
		n += take_slot(fd, i, &lines[n]);
	qsort(lines, n, sizeof(*lines), compare);
	*out = lines;
	*count = n;
	return 0;
}

/* 0, -EBADMSG or -errno. */
static int judge(int fd)
{
	struct head head;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(struct ring) ||
		!read_at(fd, 0, &head, sizeof(head)) || !is_head(&head))
		return -EBADMSG;
	return 0;
}

int log_ring_read(const char *path, struct log_ring_line **out, size_t *count)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), error;

	*out = NULL;
	*count = 0;
	if (fd < 0)
		return -errno;
	error = judge(fd);
	if (!error)
		error = read_ring(fd, out, count);
	close(fd);
	return error;
}
