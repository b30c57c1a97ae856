/* SPDX-License-Identifier: BSD-3-Clause */
/* The API with hostile requests: framing first, then each request as it is or as a valid one with bytes changed. In the end
 * everything that was allocated can be given back. */
#include <stddef.h>
#include <stdint.h>

#include <rte_log.h>

#include "dataplane/server.h"
#include "platforms/base/ipc.h"
#include "tests/unit/dataplane/bed.h"

enum { OPERATIONS_MAX = 64, TYPES = DP_INTERFACES + 2 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dataplane *dp;
static struct server *server;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rte_log_set_global_level(RTE_LOG_EMERG);
	dp = bed_new(2);
	server = server_new(dp);
	if (server == NULL)
		abort();
	return 0;
}

/* A body in a block of its own, so that reading behind it is seen. */
static void ask(uint16_t type, const void *body, size_t length)
{
	const void *reply;
	void *copy = malloc(length + 1);

	if (copy == NULL)
		abort();
	if (length != 0)
		memcpy(copy, body, length);
	int n = server_handle(server, NULL, type, copy, length, &reply);
	if (n > IPC_PACKET_MAX)
		abort();
	free(copy);
}

static void frame(void *arg, const struct ipc_frame *f, const void *body)
{
	(void)arg;
	ask(f->type, body, f->length);
}

static void framing(const uint8_t *data, size_t size)
{
	uint64_t packet[64];
	size_t n = size < sizeof(packet) ? size : sizeof(packet);

	memcpy(packet, data, n);
	(void)ipc_packet_walk(packet, n, frame, NULL);
}

/* One operation from the front of the data; returns how much it used. */
static size_t operation(const uint8_t *data, size_t size)
{
	struct {
		struct dp_session_request q;
		uint8_t blob[64];
	} body = { .q = bed_request("10.0.1.5", 4000, "2001:db8:2::5", 5000) };
	uint16_t type = data[0] % TYPES;
	unsigned patches = data[1] % 16;
	size_t used = 3, length;

	const struct session *s = session_next(&dp->sessions, 0);
	body.q.session = type == DP_SESSION_CREATE || s == NULL ? 0 : s->id;
	body.q.streams = (uint8_t)(data[1] >> 4);
	for (unsigned i = 1; i < DP_STREAMS_MAX; i++)
		body.q.stream[i] = body.q.stream[0];
	body.q.blob_length = data[2] % 64;
	length = type == DP_SESSION_CREATE || type == DP_SESSION_UPDATE ? sizeof(body.q) + body.q.blob_length
									: data[2] % 40;
	if (type == DP_SESSION_GET || type == DP_SESSION_DELETE)
		length = sizeof(struct dp_session_id);
	for (; patches > 0 && used + 3 <= size; patches--, used += 3)
		((uint8_t *)&body)[(size_t)(data[used] << 8 | data[used + 1]) % sizeof(body)] =
			data[used + 2];
	ask(type, &body, length);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t used, total;

	if (size > 8 && data[0] == 0xff) {
		framing(data + 1, size - 1);
	} else {
		for (unsigned i = 0; size >= 3 && i < OPERATIONS_MAX; i++) {
			size_t n = operation(data, size);

			data += n;
			size -= n;
		}
	}
	for (const struct session *s = session_next(&dp->sessions, 0); s != NULL;
		s = session_next(&dp->sessions, 0))
		if (session_delete(&dp->sessions, s->id) != 0)
			abort();
	pools_count(&dp->pools, &used, &total);
	if (used != 0 || dp->sessions.used != 0)
		abort();
	for (uint32_t i = NEXT_HOP_LOCAL + 1; i < dp->next_hops.used; i++)
		if (dp->next_hops.entry[i].references != 0)
			abort();
	return 0;
}
