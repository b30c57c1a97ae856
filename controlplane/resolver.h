/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks DNS where a SIP server is, on the shard's loop (RFC 3263 section 4.2 for a known transport, RFC 2782). Remembers nothing. */
#ifndef CONTROLPLANE_RESOLVER_H
#define CONTROLPLANE_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"
#include "platforms/base/address.h"

struct shard;

enum { RESOLVER_ADDRESSES_MAX = 32 }; /* the most that sip-config dns-max-addresses may say */

struct resolver_question {
	const char *host; /* borrowed until the answer */
	enum config_transport transport;
	uint16_t port; /* 0: SRV says, else the transport's */
	bool v4, v6; /* families that are of use; one at least */
};

struct resolved_address {
	union address address; /* with its port */
	uint16_t priority, weight; /* of the SRV record; 0 without one */
	uint8_t target; /* addresses of one SRV record have the same number */
};

enum resolver_outcome {
	RESOLVER_FOUND, /* at least one address */
	RESOLVER_NONE, /* DNS says that there is none */
	RESOLVER_SILENT, /* no server said anything that can be used */
};

struct resolver_answer {
	enum resolver_outcome outcome;
	uint32_t ttl; /* seconds, the least of all records */
	unsigned count;
	/* By priority, those of one target beside each other; no address twice, none that is nobody's (loopback, multicast). */
	struct resolved_address address[RESOLVER_ADDRESSES_MAX];
};

struct resolver_query;
/* `answer` is borrowed for the call; the query is gone after it. */
typedef void (*resolver_done)(void *arg, const struct resolver_answer *answer);

/* 0: `done` will be called once, never before the return, unless the query is cancelled. -ENOMEM, -EINVAL (no usable server is
 * configured): it will not be. On the shard's own thread. */
int resolver_ask(struct shard *shard, const struct resolver_question *question, resolver_done done, void *arg,
	struct resolver_query **out);
/* Nothing happens with NULL. */
void resolver_cancel(struct resolver_query *query);

/* The targets of an SRV answer as it came from the network, by priority, and the least TTL. How many; 0: none that can be used.
 * -EINVAL: it is malformed. Public for tests. */
struct resolver_target {
	char host[256];
	uint16_t priority, weight, port;
};
int resolver_read_srv(
	const uint8_t *answer, size_t length, struct resolver_target *list, unsigned max, uint32_t *ttl);

#endif
