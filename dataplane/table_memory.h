/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of the big tables: zeroed, touched page by page as it is used, on 2 MiB pages where the kernel has them (with 4 KiB
 * pages 100,000 flows do not fit into the TLB). */
#ifndef DATAPLANE_TABLE_MEMORY_H
#define DATAPLANE_TABLE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* NULL without memory. */
void *table_memory_new(size_t bytes);
/* Addresses alone, of which table_memory_touch makes memory where it is needed. NULL: the process may not have so many. */
void *table_memory_reserve(size_t bytes);
/* Pages are there from now on; what is in them already stays, whoever uses it. `huge`: big ones, where whole ones fit. 0 or -ENOMEM. */
int table_memory_touch(void *memory, size_t bytes, bool huge);
/* Touches all of it now: for what a stranger's packets would have touched page by page, in the worker's time. */
void table_memory_settle(void *memory, size_t bytes);
void table_memory_free(void *memory, size_t bytes);

#endif
