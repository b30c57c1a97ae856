/* SPDX-License-Identifier: BSD-3-Clause */
/* What a packet costs on either path: no memory from the heap, no lock, nothing of NSS. Counted where the process calls them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/srtp_plugin.h"

enum { PACKET = 256, MKI_EVERY = 4 };

static struct {
	unsigned long memory, locks, nss;
} calls;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* they stand there themselves */
enum { COUNTED = 0 };
#else
enum { COUNTED = 1 };

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

void *malloc(size_t n)
{
	calls.memory++;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	calls.memory++;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	calls.memory++;
	return __libc_realloc(p, n);
}

void free(void *p)
{
	calls.memory++;
	__libc_free(p);
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
	static int (*real)(pthread_mutex_t *);

	calls.locks++;
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
	return real(m);
}
#endif

/* What libsrtp2's own ciphers begin with. */
void *PK11_CreateContextBySymKey(unsigned long type, unsigned long operation, void *key, void *parameter);
void *PK11_CreateContextBySymKey(unsigned long type, unsigned long operation, void *key, void *parameter)
{
	static void *(*real)(unsigned long, unsigned long, void *, void *);

	calls.nss++;
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "PK11_CreateContextBySymKey");
	return real(type, operation, key, parameter);
}

static struct srtp_store *store;
static struct srtp_engine *engine;

static int setup(void **state)
{
	(void)state;
	engine = srtp_engine_new();
	return engine == NULL || srtp_open(32, &store) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	srtp_close(store);
	srtp_engine_free(engine);
	return 0;
}

static struct srtp_job job_of(struct srtp_context *c, uint8_t *p, uint32_t ssrc, uint16_t sequence)
{
	memset(p, 0, PACKET);
	p[0] = 0x80;
	p[1] = 200;
	store_u16(p + 2, htons(sequence));
	store_u32(p + 4, htonl(ssrc)); /* of RTCP */
	store_u32(p + 8, htonl(ssrc));
	return (struct srtp_job){ .context = c, .packet = p, .length = 180, .room = PACKET };
}

static void through(struct srtp_context *out, struct srtp_context *in, uint32_t ssrc, uint16_t sequence)
{
	uint8_t p[PACKET];
	struct srtp_job job = job_of(out, p, ssrc, sequence);

	srtp_protect_burst(engine, &job, 1);
	assert_int_equal(job.result, SRTP_OK);
	job.context = in;
	srtp_unprotect_burst(engine, &job, 1);
	assert_int_equal(job.result, SRTP_OK);
	assert_int_equal(job.length, 180);
	job = job_of(out, p, ssrc, sequence);
	assert_int_equal(srtp_rtcp_protect(engine, &job), SRTP_OK);
	job.context = in;
	assert_int_equal(srtp_rtcp_unprotect(engine, &job), SRTP_OK);
	assert_int_equal(srtp_rtcp_unprotect(engine, &job), SRTP_AUTH);
}

/* Sources that are new among them. */
static void packets_take_no_memory_no_lock_and_no_nss(void **state)
{
	(void)state;
	/* The counts count: libsrtp2 has tested its own ciphers. */
	assert_true(calls.nss > 0);
	assert_true(!COUNTED || (calls.memory > 0 && calls.locks > 0));
	memset(&calls, 0, sizeof(calls));
	for (unsigned i = 0; i < 4U * (DP_SRTP_SUITE_COUNT - 1); i++) {
		struct dp_crypto key = { .suite = (uint8_t)(1 + i % (DP_SRTP_SUITE_COUNT - 1)),
			.mki_length = i % MKI_EVERY == 0 ? 4 : 0 };
		struct srtp_context *out = NULL, *in = NULL;

		memset(key.key, (int)i + 1, sizeof(key.key));
		assert_int_equal(srtp_context_new(store, &key, SRTP_OUT, &out), 0);
		assert_int_equal(srtp_context_new(store, &key, SRTP_IN, &in), 0);
		for (uint16_t n = 1; n < 200; n++)
			through(out, in, n % SRTP_SSRCS, n);
		srtp_context_free(store, out);
		srtp_context_free(store, in);
	}
	assert_int_equal(calls.memory, 0);
	assert_int_equal(calls.locks, 0);
	assert_int_equal(calls.nss, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_take_no_memory_no_lock_and_no_nss),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
