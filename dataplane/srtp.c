/* SPDX-License-Identifier: BSD-3-Clause */
/* SRTP: the shape of what is to come; every packet is refused. */
#include "dataplane/srtp.h"

#include <errno.h>

int srtp_open(uint32_t contexts_max, struct srtp_store **out)
{
	(void)contexts_max;
	*out = NULL;
	return 0;
}

void srtp_close(struct srtp_store *s)
{
	(void)s;
}

struct srtp_engine *srtp_engine_new(void)
{
	return NULL;
}

void srtp_engine_free(struct srtp_engine *e)
{
	(void)e;
}

int srtp_context_new(struct srtp_store *s, const struct dp_crypto *key, enum srtp_direction direction,
	struct srtp_context **out)
{
	(void)s;
	(void)key;
	(void)direction;
	*out = NULL;
	return -ENOMEM;
}

void srtp_context_free(struct srtp_store *s, struct srtp_context *c)
{
	(void)s;
	(void)c;
}

bool srtp_context_is(const struct srtp_context *c, const struct dp_crypto *key)
{
	(void)c;
	(void)key;
	return false;
}

enum dp_srtp_suite srtp_context_suite(const struct srtp_context *c)
{
	(void)c;
	return DP_SRTP_NONE;
}

unsigned srtp_growth(const struct srtp_context *c, bool rtcp)
{
	(void)c;
	(void)rtcp;
	return 0;
}

uint64_t srtp_context_packets(const struct srtp_context *c)
{
	(void)c;
	return 0;
}

void srtp_protect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n)
{
	(void)e;
	for (unsigned i = 0; i < n; i++)
		jobs[i].result = SRTP_KEY;
}

void srtp_unprotect_burst(struct srtp_engine *e, struct srtp_job *jobs, unsigned n)
{
	(void)e;
	for (unsigned i = 0; i < n; i++)
		jobs[i].result = SRTP_AUTH;
}

enum srtp_result srtp_rtcp_protect(struct srtp_engine *e, struct srtp_job *job)
{
	(void)e;
	return job->result = SRTP_KEY;
}

enum srtp_result srtp_rtcp_unprotect(struct srtp_engine *e, struct srtp_job *job)
{
	(void)e;
	return job->result = SRTP_AUTH;
}
