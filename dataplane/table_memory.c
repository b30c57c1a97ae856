/* SPDX-License-Identifier: BSD-3-Clause */
/* Big tables on transparent huge pages, whether or not there are reserved ones. */
#include "dataplane/table_memory.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

enum { SMALL_PAGE = 4096, HUGE_PAGE = 2 * 1024 * 1024 };

static size_t rounded(size_t bytes)
{
	return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE + (bytes == 0 ? HUGE_PAGE : 0);
}

void *table_memory_new(size_t bytes)
{
	void *memory = mmap(NULL, rounded(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	(void)madvise(memory, rounded(bytes), MADV_HUGEPAGE); /* refused: small pages do */
	return memory;
}

void *table_memory_reserve(size_t bytes)
{
	void *memory = mmap(NULL, rounded(bytes), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory != MAP_FAILED ? memory : NULL;
}

int table_memory_touch(void *memory, size_t bytes, bool huge)
{
	uintptr_t first = (uintptr_t)memory / SMALL_PAGE * SMALL_PAGE;
	uintptr_t end = ((uintptr_t)memory + bytes + SMALL_PAGE - 1) / SMALL_PAGE * SMALL_PAGE;

	/* A few ports must not cost two megabytes where the system likes big pages. */
	(void)madvise((void *)first, end - first, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (madvise((void *)first, end - first, MADV_POPULATE_WRITE) == 0)
		return 0;
	/* An older kernel cannot; then pages come with their first packets. */
	return errno == EINVAL ? 0 : -ENOMEM;
}

void table_memory_settle(void *memory, size_t bytes)
{
	volatile uint8_t *octets = memory;

	for (size_t at = 0; at < bytes; at += SMALL_PAGE)
		octets[at] = 0;
}

void table_memory_free(void *memory, size_t bytes)
{
	if (memory != NULL)
		(void)munmap(memory, rounded(bytes));
}
