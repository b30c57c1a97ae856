/* SPDX-License-Identifier: BSD-3-Clause */
/* All of OpenSSL as it was at some moment, sessions included, again and again: a handshake is done once and not in each run. What OpenSSL and
 * tls*.c allocate lies in one piece of memory (here are their allocators; the program is linked with --wrap=calloc,--wrap=free), and that, OpenSSL's
 * own variables and ASan's notes on it are copied away and back. What is freed is poisoned, so that a use of it is found as ever. */
#ifndef TESTS_FUZZ_OPENSSL_SNAPSHOT_H
#define TESTS_FUZZ_OPENSSL_SNAPSHOT_H

#include <link.h>
#include <openssl/crypto.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEAP_SIZE = 16 << 20, HEAP_CLASSES = 48, HEAP_STEP = 16, REGIONS_MAX = 8, LARGE = 1 << 16 };

struct heap_block { /* before what is given out */
	struct heap_block *next; /* free ones of its class */
	uint32_t class, size; /* size: 0 of a free one */
};

/* At the beginning of the memory itself, so that it is copied too. */
struct heap {
	size_t top;
	unsigned own; /* of tls*.c, not given back yet */
	struct heap_block *free[HEAP_CLASSES];
};

struct region { /* a library's variables */
	uint8_t *at;
	size_t size;
};

struct snapshot {
	uint8_t *copy;
	size_t top;
};

static struct heap *heap;
static bool heap_is_ours; /* what tls*.c allocates now lies there too */
static struct region regions[REGIONS_MAX];
static unsigned region_count;

void *__real_calloc(size_t count, size_t size);
void __real_free(void *memory);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *memory);

/* Octets of a class: 16, 32, 48, 64, then four sizes to each power of two. */
static size_t class_size(unsigned class)
{
	return class < 4 ? (class + 1) * HEAP_STEP : (size_t)(5 + (class - 4) % 4) << (4 + (class - 4) / 4);
}

static bool heap_has(const void *memory)
{
	return heap && (const uint8_t *)memory > (const uint8_t *)heap &&
	       (const uint8_t *)memory < (const uint8_t *)heap + HEAP_SIZE;
}

static void *heap_take(size_t size)
{
	unsigned class = 0;
	struct heap_block *block;

	while (class < HEAP_CLASSES && class_size(class) < size)
		class ++;
	if (class == HEAP_CLASSES)
		return NULL;
	block = heap->free[class];
	if (block) {
		heap->free[class] = block->next;
	} else {
		block = (struct heap_block *)((uint8_t *)heap + heap->top);
		if (heap->top + sizeof(*block) + class_size(class) > HEAP_SIZE)
			return NULL;
		heap->top += sizeof(*block) + class_size(class);
	}
	*block = (struct heap_block){ .class = class, .size = (uint32_t)size };
	ASAN_POISON_MEMORY_REGION(block + 1, class_size(class));
	ASAN_UNPOISON_MEMORY_REGION(block + 1, size);
	return block + 1;
}

static void heap_give(void *memory)
{
	struct heap_block *block = (struct heap_block *)memory - 1;

	if (block->size == 0)
		abort(); /* given back twice */
	block->size = 0;
	block->next = heap->free[block->class];
	heap->free[block->class] = block;
	ASAN_POISON_MEMORY_REGION(memory, class_size(block->class));
}

static void *openssl_take(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return size ? heap_take(size) : NULL;
}

static void openssl_give(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	if (memory)
		heap_give(memory);
}

static void *openssl_resize(void *memory, size_t size, const char *file, int line)
{
	size_t had = memory ? ((struct heap_block *)memory - 1)->size : 0;
	void *other = openssl_take(size, file, line);

	if (other && had)
		memcpy(other, memory, had < size ? had : size);
	if (other || size == 0)
		openssl_give(memory, file, line);
	return other;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory;

	/* A large one is the table of sources, which no session knows. */
	if (!heap_is_ours || (count && size > LARGE / count))
		return __real_calloc(count, size);
	memory = heap_take(count * size);
	if (memory) {
		memset(memory, 0, count * size);
		heap->own++;
	}
	return memory;
}

void __wrap_free(void *memory)
{
	if (!heap_has(memory)) {
		__real_free(memory);
		return;
	}
	heap->own--;
	heap_give(memory);
}

/* What can be written to of libssl and libcrypto, but for what the loader has closed. */
static int note_library(struct dl_phdr_info *library, size_t size, void *arg)
{
	uintptr_t closed = 0;

	(void)size, (void)arg;
	if (!strstr(library->dlpi_name, "libssl.so") && !strstr(library->dlpi_name, "libcrypto.so"))
		return 0;
	for (unsigned i = 0; i < library->dlpi_phnum; i++)
		if (library->dlpi_phdr[i].p_type == PT_GNU_RELRO)
			closed = (library->dlpi_addr + library->dlpi_phdr[i].p_vaddr +
					 library->dlpi_phdr[i].p_memsz + 4095) &
				 ~4095UL;
	for (unsigned i = 0; i < library->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &library->dlpi_phdr[i];
		uintptr_t first = library->dlpi_addr + part->p_vaddr, end = first + part->p_memsz;

		if (part->p_type != PT_LOAD || (part->p_flags & PF_W) == 0)
			continue;
		first = closed > first && closed <= end ? closed : first;
		if (region_count == REGIONS_MAX)
			abort();
		regions[region_count++] = (struct region){ (uint8_t *)first, end - first };
	}
	return 0;
}

/* Before anything else of OpenSSL. */
static void heap_open(void)
{
	heap = mmap(NULL, HEAP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (heap == MAP_FAILED || CRYPTO_set_mem_functions(openssl_take, openssl_resize, openssl_give) != 1)
		abort();
	__lsan_register_root_region(heap, HEAP_SIZE);
	heap->top = (sizeof(*heap) + 63) / 64 * 64;
	if (dl_iterate_phdr(note_library, NULL) != 0 || region_count == 0)
		abort();
}

/* No call that ASan would look into. */
static void octets_copy(void *to, const void *from, size_t size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static uint8_t *shadow_of(const void *memory)
{
	size_t scale, offset;

	__asan_get_shadow_mapping(&scale, &offset);
	return (uint8_t *)(((uintptr_t)memory >> scale) + offset);
}

static void snapshot_copy(struct snapshot *s, bool back)
{
	struct region all[REGIONS_MAX + 2] = { { (uint8_t *)heap, s->top }, { shadow_of(heap), s->top / 8 } };
	uint8_t *at = s->copy;

	memcpy(all + 2, regions, region_count * sizeof(regions[0]));
	for (unsigned i = 0; i < region_count + 2; i++) {
		if (back)
			octets_copy(all[i].at, at, all[i].size);
		else
			octets_copy(at, all[i].at, all[i].size);
		at += all[i].size;
	}
}

static void snapshot_take(struct snapshot *s)
{
	size_t size;

	s->top = heap->top;
	size = s->top + s->top / 8;
	for (unsigned i = 0; i < region_count; i++)
		size += regions[i].size;
	s->copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->copy == MAP_FAILED)
		abort();
	snapshot_copy(s, false);
}

static void snapshot_return(struct snapshot *s)
{
	snapshot_copy(s, true);
}

#endif
