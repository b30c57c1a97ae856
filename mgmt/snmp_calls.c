/* SPDX-License-Identifier: BSD-3-Clause */
/* One page after the other: the shards answer other things in between. */
#include "mgmt/snmp_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/snmp_rows.h"

enum { PAGE = 256 };

struct snmp_calls {
	const struct neighbours *neighbours;
	snmp_calls_fetched done; /* NULL: nobody waits any more */
	void *arg;
	struct snmp_call *calls;
	size_t count, room;
	struct cp_call_list ask;
};

static void finish(struct snmp_calls *fetch)
{
	if (fetch->done != NULL)
		fetch->done(fetch->arg, snmp_rows_calls(fetch->calls, fetch->count));
	else
		free(fetch->calls);
	free(fetch);
}

static bool make_room(struct snmp_calls *fetch, size_t more)
{
	size_t room = fetch->room * 2 > fetch->count + more ? fetch->room * 2 : fetch->count + more;
	struct snmp_call *grown;

	if (fetch->count + more <= fetch->room)
		return true;
	grown = realloc(fetch->calls, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	fetch->calls = grown;
	fetch->room = room;
	return true;
}

/* 1: there are more. */
static int take_page(struct snmp_calls *fetch, const void *body, size_t length)
{
	const struct cp_call_page *page = body;

	if (length < sizeof(*page) || page->count > (length - sizeof(*page)) / sizeof(struct cp_call))
		return -EBADMSG;
	if (!make_room(fetch, page->count))
		return -ENOMEM;
	for (uint32_t i = 0; i < page->count; i++) {
		struct cp_call call;

		memcpy(&call, (const char *)body + sizeof(*page) + i * sizeof(call), sizeof(call));
		fetch->ask.after = call.call;
		if (fetch->count < SNMP_CALLS_MAX)
			snmp_rows_call(&fetch->calls[fetch->count++], &call);
	}
	return page->more != 0 && page->count > 0 && fetch->count < SNMP_CALLS_MAX;
}

static void replied(void *arg, int status, const void *body, size_t length);

static int ask(struct snmp_calls *fetch)
{
	return neighbour_request(fetch->neighbours, NEIGHBOUR_CONTROLPLANE, CP_CALL_LIST, &fetch->ask,
		sizeof(fetch->ask), replied, fetch);
}

static void replied(void *arg, int status, const void *body, size_t length)
{
	struct snmp_calls *fetch = arg;
	int more = status == 0 ? take_page(fetch, body, length) : status;

	if (more > 0 && fetch->done != NULL)
		more = ask(fetch) == 0 ? 1 : -ENOTCONN;
	if (more > 0)
		return;
	if (more < 0)
		fetch->count = 0; /* half a list would look like calls that have ended */
	finish(fetch);
}

int snmp_calls_begin(
	const struct neighbours *neighbours, snmp_calls_fetched done, void *arg, struct snmp_calls **out)
{
	struct snmp_calls *fetch = calloc(1, sizeof(*fetch));
	int err;

	if (fetch == NULL)
		return -ENOMEM;
	*fetch = (struct snmp_calls){
		.neighbours = neighbours, .done = done, .arg = arg, .ask = { .limit = PAGE }
	};
	err = ask(fetch);
	if (err != 0) {
		free(fetch);
		return err;
	}
	*out = fetch;
	return 0;
}

void snmp_calls_abandon(struct snmp_calls *calls)
{
	if (calls != NULL)
		calls->done = NULL;
}
