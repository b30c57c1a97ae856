/* SPDX-License-Identifier: BSD-3-Clause */
/* One range of addresses, left out of core dumps, cut into pieces of sizes that are powers of two; pieces of a size that came back are used
 * again. It is reserved once and takes memory as far as it has been used. */
#include "controlplane/secret.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PIECE_MIN = 512,
	CLASSES = 9, /* up to 128 KiB */
};

/* Some 10 KiB for a call with SRTP on both sides: room for 100,000. */
static const size_t range_size = (size_t)1 << 30;

struct piece { /* in front of what is handed out */
	struct piece *next; /* while it is free */
	size_t class;
};

static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	char *start; /* NULL: could not be reserved */
	size_t used; /* lock */
	size_t count; /* lock */
	struct piece *free[CLASSES]; /* lock */
} range = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT };

static void reserve(void)
{
	void *start = mmap(
		NULL, range_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return;
	if (madvise(start, range_size, MADV_DONTDUMP))
		munmap(start, range_size);
	else
		range.start = start;
}

static struct piece *piece_take(size_t class)
{
	size_t size = (size_t)PIECE_MIN << class;
	struct piece *piece = range.free[class];

	if (piece) {
		range.free[class] = piece->next;
	} else if (range.used + size <= range_size) {
		piece = (struct piece *)(void *)(range.start + range.used);
		range.used += size;
	}
	if (piece) {
		*piece = (struct piece){ .class = class };
		range.count++;
	}
	return piece;
}

void secret_open(void)
{
	pthread_once(&range.once, reserve);
}

void *secret_alloc(size_t size)
{
	struct piece *piece;
	size_t class = 0;

	secret_open();
	if (!range.start || size > SECRET_SIZE_MAX)
		return NULL;
	while (sizeof(*piece) + size > (size_t)PIECE_MIN << class)
		class ++;
	pthread_mutex_lock(&range.lock);
	piece = piece_take(class);
	pthread_mutex_unlock(&range.lock);
	return piece ? piece + 1 : NULL;
}

void secret_free(void *memory)
{
	uintptr_t at = (uintptr_t)memory, start = (uintptr_t)range.start;
	struct piece *piece;

	if (start == 0 || at < start || at >= start + range_size) {
		free(memory);
		return;
	}
	piece = (struct piece *)memory - 1;
	explicit_bzero(memory, ((size_t)PIECE_MIN << piece->class) - sizeof(*piece));
	pthread_mutex_lock(&range.lock);
	piece->next = range.free[piece->class];
	range.free[piece->class] = piece;
	range.count--;
	pthread_mutex_unlock(&range.lock);
}

bool secret_is_in(struct span text)
{
	return range.start && text.n &&
	       (memmem(text.p, text.n, "inline:", 7) || memmem(text.p, text.n, "a=crypto", 8));
}

void *secret_alloc_for(struct span text, size_t size)
{
	return secret_is_in(text) ? secret_alloc(size) : malloc(size);
}

char *secret_dup(struct span text)
{
	char *copy;

	if (!secret_is_in(text))
		return span_dup(text);
	copy = secret_alloc(text.n + 1);
	if (copy)
		memcpy(copy, text.p, text.n);
	return copy;
}

/* A message in the making is up to 32 KiB, and some four of them are under way at once. */
__attribute__((noinline)) void secret_wipe_stack(void)
{
	char below[160 * 1024];

	explicit_bzero(below, sizeof(below));
}

void secret_wipe(char *text, size_t length)
{
	if (!secret_is_in((struct span){ text, length }))
		return;
	explicit_bzero(text, length);
	secret_wipe_stack();
}

size_t secret_count(void)
{
	size_t count;

	pthread_mutex_lock(&range.lock);
	count = range.count;
	pthread_mutex_unlock(&range.lock);
	return count;
}
