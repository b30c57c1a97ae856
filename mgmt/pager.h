/* SPDX-License-Identifier: BSD-3-Clause */
/* Output that stops when the screen is full. */
#ifndef MGMT_PAGER_H
#define MGMT_PAGER_H

#include <stdbool.h>
#include <stddef.h>

/* A key of the terminal, within `timeout_ms` (-1: however long it takes). 0: time is up; EOF: the terminal is gone, or the user interrupts. */
int pager_key(int timeout_ms);

struct pager {
	unsigned rows, columns; /* 0 rows: no paging */
	unsigned used;
};

/* Paged if both ends are a terminal and `wanted`. */
void pager_init(struct pager *pager, bool wanted);
/* One whole line, without its line end, onto the standard output. 0, or -errno: -EPIPE (nobody wants to see more), -EIO. */
int pager_line(struct pager *pager, const char *line, size_t length);

#endif
