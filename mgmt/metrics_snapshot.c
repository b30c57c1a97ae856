/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks each daemon once for everything, lists page by page. */
#include "mgmt/metrics_snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "platforms/base/clock.h"

/* A daemon that has more to tell than this is not listened to: memory of this process is bounded. */
enum { ENTRIES_MAX = 4096, PAGE = 256 };

union ask {
	struct dp_page_request page;
	struct cp_call_list list;
};

struct part {
	enum neighbour neighbour;
	unsigned type;
	size_t ask_size, entry_size;
	/* Where the entries of a reply begin and how many there are; makes *ask the request for those behind them. 1: there are more. */
	int (*take)(union ask *ask, const void *body, size_t length, const char **entries, size_t *count);
};

struct fetch {
	struct metrics_gather *gather;
	enum metrics_part part;
	union ask ask;
};

struct metrics_gather {
	const struct neighbours *neighbours;
	metrics_gathered done; /* NULL: nobody waits any more */
	void *arg;
	unsigned pending;
	struct metrics_snapshot snapshot;
	struct fetch fetch[METRICS_PART_COUNT];
};

static int take_one(union ask *ask, const void *body, size_t length, const char **entries, size_t *count)
{
	(void)ask;
	(void)length;
	*entries = body;
	*count = 1;
	return 0;
}

static int take_interfaces(
	union ask *ask, const void *body, size_t length, const char **entries, size_t *count)
{
	(void)ask;
	*entries = body;
	*count = length / sizeof(struct dp_interface);
	return 0;
}

static int take_realms(union ask *ask, const void *body, size_t length, const char **entries, size_t *count)
{
	const struct dp_table_reply *reply = body;

	if (length < sizeof(*reply) || reply->count > (length - sizeof(*reply)) / sizeof(struct dp_realm))
		return -EBADMSG;
	*entries = (const char *)body + sizeof(*reply);
	*count = reply->count;
	ask->page.cursor = reply->cursor;
	return reply->cursor != 0;
}

/* Pages of the control plane begin alike; the first member of an entry is its number. */
static int take_list(union ask *ask, const void *body, size_t length, size_t head, size_t entry,
	const char **entries, size_t *count)
{
	struct cp_call_page page;

	if (length < head)
		return -EBADMSG;
	memcpy(&page, body, sizeof(page));
	if (page.count > (length - head) / entry)
		return -EBADMSG;
	*entries = (const char *)body + head;
	*count = page.count;
	if (page.count > 0)
		memcpy(&ask->list.after, *entries + (page.count - 1) * entry, sizeof(ask->list.after));
	return page.more != 0 && page.count > 0;
}

static int take_alarms(union ask *ask, const void *body, size_t length, const char **entries, size_t *count)
{
	return take_list(
		ask, body, length, sizeof(struct cp_alarm_page), sizeof(struct cp_alarm), entries, count);
}

static int take_certificates(
	union ask *ask, const void *body, size_t length, const char **entries, size_t *count)
{
	return take_list(ask, body, length, sizeof(struct cp_certificate_page), sizeof(struct cp_certificate),
		entries, count);
}

static int take_statistics(
	union ask *ask, const void *body, size_t length, const char **entries, size_t *count)
{
	return take_list(ask, body, length, sizeof(struct cp_statistics_page), sizeof(struct cp_statistics),
		entries, count);
}

_Static_assert(offsetof(struct cp_alarm_page, count) == offsetof(struct cp_call_page, count) &&
		       offsetof(struct cp_alarm_page, more) == offsetof(struct cp_call_page, more) &&
		       offsetof(struct cp_certificate_page, more) == offsetof(struct cp_call_page, more) &&
		       offsetof(struct cp_statistics_page, more) == offsetof(struct cp_call_page, more) &&
		       offsetof(struct cp_alarm, number) == 0 &&
		       offsetof(struct cp_certificate, number) == 0 &&
		       offsetof(struct cp_statistics, number) == 0,
	"pages of the control plane begin alike");

/* clang-format off */
static const struct part parts[METRICS_PART_COUNT] = {
	[METRICS_DP_STATS] = { NEIGHBOUR_DATAPLANE, DP_STATS, 0, sizeof(struct dp_stats), take_one },
	[METRICS_DP_INTERFACES] = { NEIGHBOUR_DATAPLANE, DP_INTERFACES, 0, sizeof(struct dp_interface), take_interfaces },
	[METRICS_DP_REALMS] = { NEIGHBOUR_DATAPLANE, DP_REALMS, sizeof(struct dp_page_request), sizeof(struct dp_realm), take_realms },
	[METRICS_CP_STATUS] = { NEIGHBOUR_CONTROLPLANE, CP_STATUS, 0, sizeof(struct cp_status), take_one },
	[METRICS_CP_COUNTERS] = { NEIGHBOUR_CONTROLPLANE, CP_COUNTERS_GET, 0, sizeof(struct cp_counters), take_one },
	[METRICS_CP_ALARMS] = { NEIGHBOUR_CONTROLPLANE, CP_ALARM_LIST, sizeof(struct cp_call_list), sizeof(struct cp_alarm), take_alarms },
	[METRICS_CP_CERTIFICATES] = { NEIGHBOUR_CONTROLPLANE, CP_CERTIFICATE_LIST, sizeof(struct cp_call_list), sizeof(struct cp_certificate), take_certificates },
	[METRICS_CP_STATISTICS] = { NEIGHBOUR_CONTROLPLANE, CP_STATISTICS_LIST, sizeof(struct cp_call_list), sizeof(struct cp_statistics), take_statistics },
	[METRICS_CP_LOAD] = { NEIGHBOUR_CONTROLPLANE, CP_LOAD_GET, 0, sizeof(struct cp_load), take_one },
};
/* clang-format on */

const void *metrics_snapshot_one(const struct metrics_snapshot *snapshot, enum metrics_part part)
{
	return snapshot->part[part].count > 0 ? snapshot->part[part].entries : NULL;
}

static void gather_free(struct metrics_gather *gather)
{
	for (unsigned i = 0; i < METRICS_PART_COUNT; i++)
		free(gather->snapshot.part[i].entries);
	free(gather);
}

static void gather_release(struct metrics_gather *gather)
{
	if (--gather->pending > 0)
		return;
	if (gather->done != NULL)
		gather->done(gather->arg, &gather->snapshot);
	gather_free(gather);
}

static bool list_append(struct metrics_list *list, const char *entries, size_t count, size_t size)
{
	if (count > ENTRIES_MAX - list->count)
		count = ENTRIES_MAX - list->count;
	if (list->count + count > list->room) {
		size_t room = list->count + count;
		void *grown = realloc(list->entries, room * size);

		if (grown == NULL)
			return false;
		list->entries = grown;
		list->room = room;
	}
	if (count > 0)
		memcpy((char *)list->entries + list->count * size, entries, count * size);
	list->count += count;
	return list->count < ENTRIES_MAX;
}

static void replied(void *arg, int status, const void *body, size_t length);

static void fetch_begin(struct fetch *fetch)
{
	const struct part *part = &parts[fetch->part];

	if (neighbour_request(fetch->gather->neighbours, part->neighbour, part->type, &fetch->ask,
		    part->ask_size, replied, fetch) == 0)
		fetch->gather->pending++;
	else
		fetch->gather->snapshot.part[fetch->part].count = 0; /* not half a list either */
}

static void replied(void *arg, int status, const void *body, size_t length)
{
	struct fetch *fetch = arg;
	struct metrics_gather *gather = fetch->gather;
	const struct part *part = &parts[fetch->part];
	struct metrics_list *list = &gather->snapshot.part[fetch->part];
	const char *entries = NULL;
	size_t count = 0;
	int more = status == 0 ? part->take(&fetch->ask, body, length, &entries, &count) : status;

	/* Half a list would look like things that have gone. */
	if (more < 0)
		list->count = 0;
	else if (list_append(list, entries, count, part->entry_size) && more > 0 && gather->done != NULL)
		fetch_begin(fetch);
	gather_release(gather);
}

int metrics_gather_begin(const struct neighbours *neighbours, unsigned wanted, metrics_gathered done,
	void *arg, struct metrics_gather **out)
{
	struct metrics_gather *gather = calloc(1, sizeof(*gather));

	if (gather == NULL)
		return -ENOMEM;
	*out = gather;
	gather->neighbours = neighbours;
	gather->done = done;
	gather->arg = arg;
	gather->snapshot.wall_ms = clock_wall_ms();
	gather->snapshot.uptime_ms = clock_now_ms() - neighbours->started_ms;
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++) {
		const struct ipc_hello *hello = neighbour_hello(neighbours, i);

		if (hello != NULL)
			memcpy(gather->snapshot.neighbour[i].version, hello->version, sizeof(hello->version));
	}
	gather->pending = 1; /* until all have been asked */
	for (unsigned i = 0; i < METRICS_PART_COUNT; i++) {
		struct fetch *fetch = &gather->fetch[i];

		*fetch = (struct fetch){ .gather = gather, .part = i };
		if (parts[i].type == DP_REALMS && parts[i].neighbour == NEIGHBOUR_DATAPLANE)
			fetch->ask.page.limit = PAGE;
		else
			fetch->ask.list.limit = PAGE;
		if ((wanted & 1U << i) != 0)
			fetch_begin(fetch);
	}
	gather_release(gather);
	return 0;
}

void metrics_gather_abandon(struct metrics_gather *gather)
{
	if (gather != NULL)
		gather->done = NULL;
}
