/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations from text, and the way from one to the next; what is not asked about is freed at once, for the sanitizer to see. */
#ifndef TESTS_UNIT_CONTROLPLANE_MOVE_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_MOVE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/move.h"
#include "platforms/base/span.h"

#define MOVE_NETWORK \
	"network-interface out { port = \"xdp:eth0\" addresses = { \"127.0.0.1/8\", \"192.0.2.1/24\" } }\n"
#define MOVE_REALM "realm test { network-interface = out }\n"
#define MOVE_PLACE MOVE_NETWORK MOVE_REALM

struct move_bed {
	struct config_snapshots *snapshots;
	const struct config *config; /* runs */
	struct config *next;
	struct config_move *move;
};

static inline void move_report(void *arg, bool is_error, const char *line)
{
	(void)arg;
	if (is_error)
		fail_msg("%s", line);
}

static inline struct config *move_load(const char *text)
{
	const struct config_reporter reporter = { move_report, NULL };
	struct config *config = NULL;

	assert_int_equal(config_load_text("test", text, strlen(text), false, &reporter, &config), 0);
	return config;
}

static inline void move_open(struct move_bed *bed, const char *text)
{
	struct config *config = move_load(text);

	assert_int_equal(config_snapshots_new(config, &bed->snapshots), 0);
	bed->config = config;
}

static inline void move_close(struct move_bed *bed)
{
	config_snapshots_free(bed->snapshots);
}

/* To `text`; NULL: to what runs, as when it is looked who needs older ones. */
static inline struct config_move *move_begin(struct move_bed *bed, const char *text)
{
	bed->next = text ? move_load(text) : NULL;
	assert_int_equal(config_move_new(bed->snapshots, bed->next ? bed->next : bed->config, &bed->move), 0);
	return bed->move;
}

static inline void move_end(struct move_bed *bed)
{
	config_move_finish(bed->move, bed->next);
	bed->config = config_snapshots_running(bed->snapshots);
}

static inline void move_give_up(struct move_bed *bed)
{
	config_move_free(bed->move);
	config_free(bed->next);
}

#endif
