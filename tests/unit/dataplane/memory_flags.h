/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel says of memory: flags of /proc/self/smaps ("dd": not in core dumps). */
#ifndef TESTS_UNIT_DATAPLANE_MEMORY_FLAGS_H
#define TESTS_UNIT_DATAPLANE_MEMORY_FLAGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static inline bool memory_has_flag(const void *memory, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512], wanted[8];
	bool inside = false, found = false;

	if (f == NULL)
		return false;
	snprintf(wanted, sizeof(wanted), " %s", flag);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long first, end;

		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			inside = (uintptr_t)memory >= first && (uintptr_t)memory < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, wanted) != NULL;
	}
	(void)fclose(f);
	return found;
}

#endif
