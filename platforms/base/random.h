/* SPDX-License-Identifier: BSD-3-Clause */
/* Unpredictable bytes and tokens from getrandom(2). libosip2's own generator is never used. */
#ifndef PLATFORMS_BASE_RANDOM_H
#define PLATFORMS_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Aborts the process when the kernel has no randomness: there is no safe way on. Buffered per thread. */
void random_bytes(void *out, size_t n);
uint64_t random_u64(void);
/* `n` characters of [0-9a-z] (5 bits each, base32hex lower case) and a NUL: out has n + 1 bytes. */
void random_token(char *out, size_t n);

#endif
