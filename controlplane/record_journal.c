/* SPDX-License-Identifier: BSD-3-Clause */
/* Places of one size in a mapped file; those that are free are known to this process alone. */
#include "controlplane/record_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platforms/base/log.h"

enum { PLACES = 4096 };

static const char magic[8] = "SPRECJ1";

struct place {
	uint64_t used; /* 1 when the record is whole */
	struct record record;
};

struct file {
	char magic[8];
	uint64_t layout;
	struct place place[PLACES];
};

struct record_journal {
	struct file *file;
	char *path;
	pthread_mutex_t lock;
	unsigned free_count; /* lock */
	uint16_t free[PLACES]; /* lock; the last one first: few pages are ever touched */
};

/* Of what a record is. */
static uint64_t layout(void)
{
	return (uint64_t)CP_API_VERSION << 48 | (uint64_t)sizeof(struct record) << 32 |
	       CP_RECORD_NUMBER_COUNT << 16 | CP_RECORD_TEXT_COUNT;
}

/* NULL: errno tells why. */
static struct file *map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), error;
	void *memory = MAP_FAILED;

	if (fd < 0)
		return NULL;
	/* All of it at once: no write into it can fail later for want of room. */
	error = posix_fallocate(fd, 0, sizeof(struct file));
	if (error == 0) {
		memory = mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		error = errno;
	}
	close(fd);
	errno = error;
	return memory == MAP_FAILED ? NULL : memory;
}

void record_journal_clear(struct record_journal *journal)
{
	for (unsigned i = 0; i < PLACES; i++)
		if (journal->file->place[i].used)
			__atomic_store_n(&journal->file->place[i].used, 0, __ATOMIC_RELEASE);
	journal->free_count = PLACES;
	for (unsigned i = 0; i < PLACES; i++)
		journal->free[i] = (uint16_t)(PLACES - 1 - i);
}

int record_journal_open(const char *path, struct record_journal **out)
{
	struct record_journal *journal = calloc(1, sizeof(*journal));
	struct file *file = NULL;

	if (!journal)
		return -ENOMEM;
	journal->path = strdup(path);
	if (journal->path)
		file = map(path);
	if (!file) {
		int error = journal->path ? -errno : -ENOMEM;

		free(journal->path);
		free(journal);
		return error;
	}
	journal->file = file;
	pthread_mutex_init(&journal->lock, NULL);
	if (memcmp(file->magic, magic, sizeof(magic)) != 0 || file->layout != layout()) {
		if (file->layout)
			log_warning("record", "the journal is of another version: begun anew",
				LOG_TEXT("file", path));
		for (unsigned i = 0; i < PLACES; i++)
			file->place[i].used = 0;
		memcpy(file->magic, magic, sizeof(magic));
		file->layout = layout();
	}
	*out = journal;
	return 0;
}

void record_journal_close(struct record_journal *journal)
{
	if (!journal)
		return;
	munmap(journal->file, sizeof(*journal->file));
	pthread_mutex_destroy(&journal->lock);
	free(journal->path);
	free(journal);
}

void record_journal_remove(struct record_journal *journal)
{
	unlink(journal->path);
}

void record_journal_each(
	const struct record_journal *journal, void (*each)(void *arg, const struct record *record), void *arg)
{
	for (unsigned i = 0; i < PLACES; i++) {
		const struct place *place = &journal->file->place[i];

		if (place->used == 1 && record_is_whole(&place->record))
			each(arg, &place->record);
	}
}

static int take_place(struct record_journal *journal)
{
	int at = -ENOSPC;

	pthread_mutex_lock(&journal->lock);
	if (journal->free_count > 0)
		at = journal->free[--journal->free_count];
	pthread_mutex_unlock(&journal->lock);
	return at;
}

int record_journal_put(struct record_journal *journal, const struct record *record)
{
	struct place *place;
	int at = take_place(journal);

	if (at < 0)
		return at;
	place = &journal->file->place[at];
	memcpy(&place->record, record, record_size(record));
	/* The last deed: a process killed before it has put nothing. */
	__atomic_store_n(&place->used, 1, __ATOMIC_RELEASE);
	return at;
}

void record_journal_free(struct record_journal *journal, int place)
{
	__atomic_store_n(&journal->file->place[place].used, 0, __ATOMIC_RELEASE);
	pthread_mutex_lock(&journal->lock);
	journal->free[journal->free_count++] = (uint16_t)place;
	pthread_mutex_unlock(&journal->lock);
}
