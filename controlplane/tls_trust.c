/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells the dataplane which TCP flows are those of agents. A dataplane that is new has no connections to trust: they end with its mirrors. */
#include "controlplane/tls_trust.h"

#include <errno.h>

#include "platforms/base/log.h"

#define LONGEST_US (UINT64_C(7) * 86400 * 1000000)

static void on_reply(void *arg, int status, const void *body, size_t length)
{
	const struct dp_done *done = body;

	(void)arg;
	(void)length;
	if (status == 0 && done->status == -ENOSPC)
		log_warning("tls",
			"guard.max-trusted is reached: an agent's connection has the rate of strangers");
}

static struct dp_source_key key_of(const union address *remote)
{
	struct dp_source_key key = { .length = remote->sa.sa_family == AF_INET6 ? 128 : 32 };

	dp_address_from(&key.address, remote);
	return key;
}

void tls_trust_begin(struct shard *shard, const union address *remote)
{
	struct dp_trust trust = { .key = key_of(remote), .expires_us = LONGEST_US };

	if (shard->dataplane)
		(void)dp_client_request(
			shard->dataplane, DP_TRUST_SET, &trust, sizeof(trust), on_reply, NULL);
}

void tls_trust_end(struct shard *shard, const union address *remote)
{
	struct dp_source_key key = key_of(remote);

	if (shard->dataplane)
		(void)dp_client_request(shard->dataplane, DP_TRUST_CLEAR, &key, sizeof(key), on_reply, NULL);
}
