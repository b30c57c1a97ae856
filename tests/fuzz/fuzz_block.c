/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the memory of dropped packets. Whatever was dropped, what is told of it is printable and ends; lists are in order, and no
 * source has more than its share. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SAMPLES_MAX = 32 /* of one input */ };

static struct block_store *store;
static struct cp_block listed[CP_BLOCK_PAGE];

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void require_text(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	require(n < size);
	for (size_t i = 0; i < n; i++)
		require(text[i] >= ' ' && text[i] <= '~');
}

static void check_list(const struct prefix *source, size_t page, size_t most)
{
	uint64_t before = 0;
	size_t total = 0;
	bool more;

	do {
		size_t n = block_list(store, source, before, page, listed, &more);

		require(n <= page && (n == page || !more));
		for (size_t i = 0; i < n; i++) {
			require(before == 0 || listed[i].number < before);
			before = listed[i].number;
			require_text(listed[i].line, sizeof(listed[i].line));
			require_text(listed[i].source, sizeof(listed[i].source));
			require_text(listed[i].dest, sizeof(listed[i].dest));
			require_text(listed[i].interface, sizeof(listed[i].interface));
		}
		total += n;
	} while (more);
	require(total <= most);
}

/* One sample: 16 octets of what the dataplane says, the first of them half the length, and the packet. Returns what was used. */
static size_t add_one(const uint8_t *data, size_t size, struct prefix *source)
{
	struct dp_sample sample = { .length = data[1], .protocol = data[2], .counter = data[3] % 8 };
	size_t captured = (size_t)data[0] * 2 < size - 16 ? (size_t)data[0] * 2 : size - 16;
	uint8_t *octets = malloc(captured ? captured : 1);

	if (octets == NULL)
		return size;
	sample.captured = (uint16_t)captured;
	sample.source.family = data[4] % 2 ? 4 : 6;
	memcpy(sample.source.ip, data + 5, 4);
	sample.source.port = data[9];
	sample.dest.family = data[10] % 8;
	memcpy(sample.dest.ip, data + 11, 4);
	memcpy(octets, data + 16, captured);
	block_add(store, &sample, octets, "outside", data[15]);
	free(octets);
	dp_address_to(&sample.source, &source->address);
	address_set_port(&source->address, 0);
	source->length = sample.source.family == 4 ? 32 : 64;
	return 16 + captured;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct prefix source, all;

	if (size < 16)
		return 0;
	/* One for all inputs: what is read of a packet does not depend on those before it. */
	if (store == NULL)
		store = block_new();
	require(store != NULL);
	for (unsigned samples = 0; size >= 16 && samples < SAMPLES_MAX; samples++) {
		size_t used = add_one(data, size, &source);

		data += used;
		size -= used;
	}
	check_list(&source, 7, BLOCK_PER_SOURCE);
	if (data[-1] % 64 == 0) {
		require(prefix_parse(SPAN("0.0.0.0/0"), &all) == 0);
		check_list(&all, CP_BLOCK_PAGE, (size_t)BLOCK_SETS * BLOCK_SET_SAMPLES);
	}
	return 0;
}
