/* SPDX-License-Identifier: BSD-3-Clause */
/* getrandom(2) behind a small per-thread buffer: a SIP message needs several tokens, and one system call is enough. */
#include "platforms/base/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "platforms/base/log.h"

enum { POOL_SIZE = 512 };

static _Thread_local struct {
	uint8_t bytes[POOL_SIZE];
	size_t left; /* the unused ones are the last `left` */
} pool;

static pthread_once_t fork_guard = PTHREAD_ONCE_INIT;

/* Parent and child must not hand out the same tokens. Only the forking thread lives on in the child. */
static void pool_forget(void)
{
	explicit_bzero(&pool, sizeof(pool));
}

static void fork_guard_init(void)
{
	pthread_atfork(NULL, NULL, pool_forget);
}

static void kernel_bytes(void *out, size_t n)
{
	uint8_t *at = out;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			log_error("random", "the kernel gives no random bytes", LOG_ERRNO("error", errno));
			abort();
		}
		at += got;
		n -= (size_t)got;
	}
}

void random_bytes(void *out, size_t n)
{
	uint8_t *from;

	if (n > POOL_SIZE / 4) {
		kernel_bytes(out, n);
		return;
	}
	if (pool.left < n) {
		pthread_once(&fork_guard, fork_guard_init);
		kernel_bytes(pool.bytes, POOL_SIZE);
		pool.left = POOL_SIZE;
	}
	from = pool.bytes + POOL_SIZE - pool.left;
	memcpy(out, from, n);
	/* What has been given away must not be read out of our memory later. */
	explicit_bzero(from, n);
	pool.left -= n;
}

uint64_t random_u64(void)
{
	uint64_t value;

	random_bytes(&value, sizeof(value));
	return value;
}

void random_token(char *out, size_t n)
{
	static const char alphabet[32] = "0123456789abcdefghijklmnopqrstuv";

	random_bytes(out, n);
	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[(unsigned char)out[i] % sizeof(alphabet)];
	out[n] = '\0';
}
