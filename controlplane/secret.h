/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for keys of media, and for texts that say them: no core dump has it, and it is wiped when it is given back.
 * lock: one for the process; only calls with SRTP come here. */
#ifndef CONTROLPLANE_SECRET_H
#define CONTROLPLANE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "platforms/base/span.h"

enum { SECRET_SIZE_MAX = 131072 - 16 }; /* octets of one piece */

/* Before the first of these functions is of use, and before any thread but one: without it nothing is looked for, and costs nothing. More
 * often is fine. */
void secret_open(void);
/* Zeroed; NULL: no memory, or more than SECRET_SIZE_MAX. Given back by secret_free. */
void *secret_alloc(size_t size);
/* Also what came from the heap; NULL is nothing. */
void secret_free(void *memory);
/* True if the text says a key of SRTP (RFC 4568), well-formed or not. False before secret_open. */
bool secret_is_in(struct span text);
/* `size` octets, as malloc, for something with a copy of `text` in it. Given back by secret_free. */
void *secret_alloc_for(struct span text, size_t size);
/* Copy with a NUL behind it, as span_dup, in such memory if it says a key. Given back by secret_free. */
char *secret_dup(struct span text);
/* After `text`, if it says a key, has been dealt with: wipes it, and what the functions that have returned left on the stack. For who
 * calls from a loop. */
void secret_wipe(char *text, size_t length);
/* The stack alone. */
void secret_wipe_stack(void);
/* Pieces in use. For tests; from any thread. */
size_t secret_count(void);

#endif
