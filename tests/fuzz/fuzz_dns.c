/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: SRV answers of a DNS server. Whatever it says, there are no more targets than asked for, by priority, each with a name that ends
 * and a port. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolver_target list[RESOLVER_ADDRESSES_MAX];
	uint32_t ttl = UINT32_MAX;
	unsigned max;
	int count;

	if (size < 1)
		return 0;
	max = 1 + data[0] % RESOLVER_ADDRESSES_MAX;
	count = resolver_read_srv(data + 1, size - 1, list, max, &ttl);
	require(count <= (int)max);
	require(ttl == UINT32_MAX || ttl <= INT32_MAX);
	for (int i = 0; i < count; i++) {
		size_t n = strnlen(list[i].host, sizeof(list[i].host));

		require(n > 0 && n < sizeof(list[i].host));
		require(list[i].port != 0);
		require(i == 0 || list[i - 1].priority <= list[i].priority);
	}
	return 0;
}
