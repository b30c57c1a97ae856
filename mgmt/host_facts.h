/* SPDX-License-Identifier: BSD-3-Clause */
/* What a support case needs to know of the machine: kernel, processors, memory, addresses, routes, neighbours, the daemons as the kernel sees them. */
#ifndef MGMT_HOST_FACTS_H
#define MGMT_HOST_FACTS_H

#include <stddef.h>

enum { HOST_FACT_MAX = 1 << 20 };

/* Calls `each` for every fact: a file's name, and its contents, borrowed, at most HOST_FACT_MAX octets. What cannot be read is told as its contents.
 * `run_directory`: where the daemons' pid files are. Ends when `each` returns other than 0, and returns that. */
int host_facts(const char *run_directory,
	int (*each)(void *arg, const char *name, const char *contents, size_t length), void *arg);

#endif
