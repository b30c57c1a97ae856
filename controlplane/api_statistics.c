/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics a page at a time, with what is known of each session-agent; load of threads. */
#include "controlplane/api_statistics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/endpoint.h"
#include "controlplane/agent.h"
#include "controlplane/load.h"
#include "controlplane/statistics.h"

_Static_assert(sizeof(struct cp_statistics_page) + CP_STATISTICS_PAGE * sizeof(struct cp_statistics) <
		       IPC_PACKET_MAX - 64,
	"a page of statistics fits into a packet");
_Static_assert(sizeof(struct cp_load) < IPC_PACKET_MAX - 64, "the load fits into a packet");

static void describe_agent(
	struct cp_statistics *out, const struct shard *shard, const struct config_session_agent *agent)
{
	union address address;
	char text[ADDRESS_TEXT_MAX];
	struct writer w;

	out->state = agent_state(shard, agent, &out->state_wall_ms, &address);
	out->max_sessions = agent->max_sessions;
	snprintf(out->realm, sizeof(out->realm), "%s", agent->realm->name);
	if (!address_is_set(&address))
		return;
	writer_init(&w, out->address, sizeof(out->address) - 1);
	writer_text(&w, endpoint_transport_name(agent->address.transport));
	writer_char(&w, ':');
	writer_text(&w, address_print(&address, text));
}

static void answer_statistics(const struct config *config, const struct shard *shard, struct ipc_peer *peer,
	const struct ipc_frame *frame, const struct cp_call_list *list)
{
	struct {
		struct cp_statistics_page page;
		struct cp_statistics entry[CP_STATISTICS_PAGE];
	} answer;
	const struct statistics *statistics = shard->shared.statistics;
	size_t count = statistics_count(statistics);
	size_t limit = list->limit && list->limit < CP_STATISTICS_PAGE ? list->limit : CP_STATISTICS_PAGE;
	size_t at = list->after < count ? (size_t)list->after : count;

	answer.page.count = 0;
	for (; at < count && answer.page.count < limit; at++) {
		struct cp_statistics *entry = &answer.entry[answer.page.count++];
		size_t agent = 0;

		statistics_read(statistics, at, entry, &agent);
		if (entry->kind == CP_STATISTICS_AGENT && agent < config->session_agents_count)
			describe_agent(entry, shard, &config->session_agents[agent]);
	}
	answer.page.more = at < count;
	ipc_send(peer, CP_STATISTICS_LIST + CP_REPLY, 0, frame->sequence, &answer,
		sizeof(answer.page) + answer.page.count * sizeof(answer.entry[0]));
}

int api_statistics_frame(const struct config *config, const struct shard *shard, struct ipc_peer *peer,
	const struct ipc_frame *frame, const void *body)
{
	struct cp_call_list list;
	struct cp_load load;

	if (frame->type == CP_LOAD_GET) {
		load_read(&load);
		ipc_send(peer, CP_LOAD_GET + CP_REPLY, 0, frame->sequence, &load, sizeof(load));
		return 0;
	}
	if (frame->type != CP_STATISTICS_LIST || frame->length < sizeof(list))
		return -EINVAL;
	memcpy(&list, body, sizeof(list));
	answer_statistics(config, shard, peer, frame, &list);
	return 0;
}
