/* SPDX-License-Identifier: BSD-3-Clause */
/* The API with hostile requests: framing first, then each request as it is or as a valid one with bytes changed. In the end
 * everything that was allocated can be given back. */
#include <stddef.h>
#include <stdint.h>

#include <rte_log.h>

#include "dataplane/server.h"
#include "dataplane/srtp.h"
#include "platforms/base/clock.h"
#include "platforms/base/ipc.h"
#include "tests/unit/dataplane/border_bed.h"

enum { OPERATIONS_MAX = 64, TYPES = DP_TOP_SOURCES + 2 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dataplane *dp;
static struct server *server;
static uint32_t configured; /* entries of the trust table that nobody can clear */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rte_log_set_global_level(RTE_LOG_EMERG);
	struct bed_size size = bed_small;
	if (srtp_open(256, &size.srtp) != 0)
		abort();
	dp = bed_sized(2, &size);
	border_bed_build(dp, "guard { max-bans = 1024 max-trusted = 1024 max-sources = 1024 }\n");
	server = server_new(dp);
	if (server == NULL)
		abort();
	configured = prefix_table_count(border_trust(dp->shared.border));
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

/* A source out of few, so that bans, trusts, sessions and the configuration meet. */
static struct dp_source_key key_of(uint8_t choice)
{
	static const struct {
		const char *ip;
		uint8_t length;
	} keys[] = { { "10.0.1.5", 32 }, { "10.0.1.0", 24 }, { "10.0.1.7", 32 }, { "192.0.2.0", 24 },
		{ "198.51.100.1", 32 }, { "198.51.100.2", 32 }, { "198.51.100.0", 24 }, { "0.0.0.0", 0 },
		{ "2001:db8:2::5", 128 }, { "2001:db8:2::", 64 }, { "::", 0 } };
	unsigned i = choice % (sizeof(keys) / sizeof(keys[0]));
	bool whole = keys[i].length == 32 || keys[i].length == 128;

	return border_bed_key(keys[i].ip, keys[i].length, whole && choice >= 128 ? 5060 : 0);
}

union border_request {
	struct dp_ban ban[3];
	struct dp_trust trust[3];
	struct dp_source_key key[3];
	struct dp_table_request list;
	struct dp_flow_request flow;
	struct dp_page_request page;
	struct dp_top_request top;
};

/* A valid request of the border's; returns its length. */
static size_t border_request(uint16_t type, const uint8_t *data, union border_request *r)
{
	size_t count = 1 + (size_t)data[1] % 3;

	*r = (union border_request){ 0 };
	for (unsigned i = 0; i < count; i++) {
		struct dp_source_key key = key_of((uint8_t)(data[2] + i));

		if (type == DP_BAN_SET)
			r->ban[i] = (struct dp_ban){ .key = key,
				.expires_us = data[1],
				.flags = data[2] & DP_BAN_FORCE,
				.reason = "fuzz" };
		else if (type == DP_TRUST_SET)
			r->trust[i] = (struct dp_trust){ .key = key, .expires_us = data[1] };
		else if (type == DP_BAN_CLEAR || type == DP_TRUST_CLEAR)
			r->key[i] = key;
	}
	switch (type) {
	case DP_BAN_SET:
		return count * sizeof(r->ban[0]);
	case DP_TRUST_SET:
		return count * sizeof(r->trust[0]);
	case DP_BAN_CLEAR:
	case DP_TRUST_CLEAR:
		return count * sizeof(r->key[0]);
	case DP_FLOW_LIST:
		r->flow = (struct dp_flow_request){ .session = data[1], .limit = data[2] };
		return sizeof(r->flow);
	case DP_REALMS:
		r->page = (struct dp_page_request){ .cursor = data[1], .limit = data[2] };
		return sizeof(r->page);
	case DP_TOP_SOURCES:
		r->top.limit = data[2];
		return sizeof(r->top);
	default:
		r->list = (struct dp_table_request){ .cursor = data[1], .limit = data[2] };
		if (data[1] >= 128)
			r->list.within = key_of(data[1]);
		return sizeof(r->list);
	}
}

static size_t patch(const uint8_t *data, size_t size, void *body, size_t length)
{
	unsigned patches = data[1] % 16;
	size_t used = 3;

	for (; patches > 0 && used + 3 <= size; patches--, used += 3)
		((uint8_t *)body)[(size_t)(data[used] << 8 | data[used + 1]) % length] = data[used + 2];
	return used;
}

/* Clears what `list` says is there; what the configuration trusts stays. */
static void clear_all(uint16_t list, uint16_t clear, size_t entry)
{
	static struct dp_source_key keys[OPERATIONS_MAX * 4];
	const struct dp_table_request q = { .limit = OPERATIONS_MAX * 4 };
	const struct dp_table_reply *reply;
	const void *answer;

	if (server_handle(server, NULL, list, &q, sizeof(q), &answer) < (int)sizeof(*reply))
		abort();
	reply = answer;
	uint32_t count = reply->count;
	for (uint32_t i = 0; i < count; i++)
		memcpy(&keys[i], (const uint8_t *)(reply + 1) + i * entry, sizeof(keys[i]));
	for (uint32_t i = 0; i < count; i++)
		ask(clear, &keys[i], sizeof(keys[i]));
}

/* Keys out of few, so that updates keep, replace and take them back; 0: none. */
static void secure(struct dp_side_request *side, uint8_t choice)
{
	static const size_t lengths[] = { 0, 30, 30, 46, 46, 28, 44 };

	side->from.suite = side->to.suite = choice % DP_SRTP_SUITE_COUNT;
	memset(side->from.key, 1 + choice / 64, lengths[choice % DP_SRTP_SUITE_COUNT]);
	memset(side->to.key, 5 + choice / 64, lengths[choice % DP_SRTP_SUITE_COUNT]);
}

/* One operation from the front of the data; returns how much it used. */
static size_t operation(const uint8_t *data, size_t size)
{
	struct {
		struct dp_session_request q;
		uint8_t blob[64];
	} body = { .q = bed_request("10.0.1.5", 4000, "2001:db8:2::5", 5000) };
	uint16_t type = data[0] % TYPES;
	size_t used, length;

	if (type >= DP_BAN_SET) {
		union border_request r;

		length = border_request(type, data, &r);
		used = patch(data, size, &r, length);
		ask(type, &r, length);
		return used;
	}
	secure(&body.q.stream[0].side[0], data[1]);
	secure(&body.q.stream[0].side[1], data[2]);
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
	used = patch(data, size, &body, sizeof(body));
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
	clear_all(DP_BAN_LIST, DP_BAN_CLEAR, sizeof(struct dp_ban));
	clear_all(DP_TRUST_LIST, DP_TRUST_CLEAR, sizeof(struct dp_trust));
	(void)prefix_table_expire(border_bans(dp->shared.border), clock_now_us(), 2048);
	(void)prefix_table_expire(border_trust(dp->shared.border), clock_now_us(), 2048);
	if (prefix_table_count(border_bans(dp->shared.border)) != 0 ||
		prefix_table_count(border_trust(dp->shared.border)) != configured)
		abort();
	for (uint32_t i = NEXT_HOP_LOCAL + 1; i < dp->next_hops.used; i++)
		if (dp->next_hops.entry[i].references != 0)
			abort();
	return 0;
}
