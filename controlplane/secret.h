/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for keys of media, and for texts that say them: no core dump has it, and it is wiped when it is given back.
 * lock: one for the process; only calls with SRTP come here. */
#ifndef CONTROLPLANE_SECRET_H
#define CONTROLPLANE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "platforms/base/span.h"

enum { SECRET_SIZE_MAX = 65536 - 16 }; /* octets of one piece */

/* Zeroed; NULL: no memory, or more than SECRET_SIZE_MAX. Given back by secret_free. */
void *secret_alloc(size_t size);
/* Also what came from the heap; NULL is nothing. */
void secret_free(void *memory);
/* True if the text says a key of SRTP (RFC 4568), well-formed or not. */
bool secret_is_in(struct span text);
/* Copy with a NUL behind it, as span_dup, in such memory if it says a key. Given back by secret_free. */
char *secret_dup(struct span text);
/* Wipes a buffer on the stack if what was written to it says a key. */
void secret_wipe_text(void *buffer, size_t length);
/* Pieces in use. For tests; from any thread. */
size_t secret_count(void);

#endif
