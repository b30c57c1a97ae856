/* SPDX-License-Identifier: BSD-3-Clause */
/* A dataplane that becomes one configuration after another. */
#ifndef TESTS_UNIT_DATAPLANE_LIVE_BED_H
#define TESTS_UNIT_DATAPLANE_LIVE_BED_H

#include <stdio.h>

#include "dataplane/border.h"
#include "platforms/base/clock.h"
#include "tests/unit/dataplane/border_bed.h"
#include "tests/unit/dataplane/wire.h"

#define LIVE_NETWORK                                                                     \
	"network-interface outside { port = \"xdp:eth0\" addresses = {\"10.0.1.1/24\", " \
	"\"10.0.1.2/24\"} }\n"                                                           \
	"network-interface inside { port = \"xdp:eth1\" addresses = {\"10.0.2.1/24\", "  \
	"\"10.0.2.2/24\"} }\n"

#define LIVE_REALMS                                      \
	"realm access { network-interface = outside }\n" \
	"realm core { network-interface = inside trust = trusted }\n"

#define LIVE_ACCESS(ports) \
	"steering-pool access { realm = access address = \"10.0.1.1\" ports = \"" ports "\" }\n"
#define LIVE_CORE  "steering-pool core { realm = core address = \"10.0.2.1\" ports = \"10000-10199\" }\n"

#define LIVE_PLAIN LIVE_NETWORK LIVE_REALMS LIVE_ACCESS("10000-10015") LIVE_CORE

enum { LIVE_SESSIONS = 1000, LIVE_WHY = 1024 };

static inline struct config *live_read(const char *text)
{
	const struct config_reporter reporter = { .report = border_bed_report };
	struct config *config = NULL;

	if (config_load_text("test", text, strlen(text), false, &reporter, &config) != 0)
		abort();
	return config;
}

/* 0, or why not in `reason` (LIVE_WHY octets). */
static inline int live_try(struct dataplane *dp, const char *text, char *reason)
{
	struct config *next = live_read(text);
	struct writer why;

	writer_init(&why, reason, LIVE_WHY - 1);
	int status = live_prepare(dp, next, &why);
	reason[why.len] = '\0';
	if (status == 0)
		live_apply(dp, next);
	else
		config_free(next);
	return status;
}

static inline void live_become(struct dataplane *dp, const char *text)
{
	char reason[LIVE_WHY];

	if (live_try(dp, text, reason) != 0) {
		fprintf(stderr, "%s\n", reason);
		abort();
	}
}

static inline struct dataplane *live_bed_new(const char *text)
{
	static const struct bed_size size = {
		.sessions = LIVE_SESSIONS, .rules = 16, .addresses = 1, .last = BED_LAST
	};
	struct dataplane *dp = wire_bed_sized(1, &size);

	border_bed_build(dp, "");
	live_become(dp, text);
	live_sweep(dp, clock_now_us());
	dp->shared.workers[0].now_us = clock_now_us();
	return dp;
}

static inline void live_bed_free(struct dataplane *dp)
{
	struct config *started = dp->started;

	wire_clear();
	if (dp->config != started)
		config_free(started);
	border_bed_destroy(dp);
	wire_bed_free(dp);
}

/* Past the time in which a realm that left is served. */
static inline void live_later(struct dataplane *dp)
{
	uint64_t then_us = clock_now_us() + 10 * UINT64_C(1000000);

	live_sweep(dp, then_us);
	live_sweep(dp, then_us);
}

#endif
