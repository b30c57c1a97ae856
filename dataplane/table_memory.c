/* SPDX-License-Identifier: BSD-3-Clause */
/* Big tables on transparent huge pages, whether or not there are reserved ones. */
#include "dataplane/table_memory.h"

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
