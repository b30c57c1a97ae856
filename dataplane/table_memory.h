/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of the big tables: zeroed, touched page by page as it is used, on 2 MiB pages where the kernel has them (with 4 KiB
 * pages 100,000 flows do not fit into the TLB). */
#ifndef DATAPLANE_TABLE_MEMORY_H
#define DATAPLANE_TABLE_MEMORY_H

#include <stddef.h>

/* NULL without memory. */
void *table_memory_new(size_t bytes);
/* Touches all of it now: for what a stranger's packets would have touched page by page, in the worker's time. */
void table_memory_settle(void *memory, size_t bytes);
void table_memory_free(void *memory, size_t bytes);

#endif
