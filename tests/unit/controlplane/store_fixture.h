/* SPDX-License-Identifier: BSD-3-Clause */
/* A store in a directory of its own, with the configuration that its rows refer to. */
#ifndef TESTS_UNIT_CONTROLPLANE_STORE_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_STORE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controlplane/store.h"
#include "platforms/base/clock.h"

struct store_bed {
	struct config config;
	struct config_realm realm;
	struct config_endpoint endpoint[2];
	struct config_sip_interface interface;
	struct config_session_agent agent;
	char directory[64], file[96];
	struct store *store;
};

static inline void store_bed_open(struct store_bed *bed)
{
	assert_int_equal(store_open(&bed->config, &bed->store), 0);
}

static inline void store_bed_close(struct store_bed *bed)
{
	store_close(bed->store);
	bed->store = NULL;
}

static inline struct store_bed *store_bed_new(void)
{
	static char name[] = "phones", agent[] = "pbx", realm[] = "access";
	struct store_bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	bed->realm.name = realm;
	assert_int_equal(address_parse(SPAN("192.0.2.1:5060"), 0, &bed->endpoint[0].address), 0);
	assert_int_equal(address_parse(SPAN("[2001:db8::1]:5061"), 0, &bed->endpoint[1].address), 0);
	bed->endpoint[1].transport = CONFIG_TRANSPORT_TCP;
	bed->interface = (struct config_sip_interface){
		.name = name, .realm = &bed->realm, .listen = bed->endpoint, .listen_count = 2
	};
	bed->agent.name = agent;
	bed->config.sip_interfaces = &bed->interface;
	bed->config.sip_interfaces_count = 1;
	bed->config.session_agents = &bed->agent;
	bed->config.session_agents_count = 1;
	bed->config.store =
		(struct config_store){ .queue = 500000, .group_time_ms = 1, .audit_entries = 100 };
	snprintf(bed->directory, sizeof(bed->directory), "/tmp/sallyport-test-store-XXXXXX");
	assert_non_null(mkdtemp(bed->directory));
	snprintf(bed->file, sizeof(bed->file), "%s/controlplane.db", bed->directory);
	bed->config.system.data_directory = bed->directory;
	return bed;
}

static inline void store_bed_free(struct store_bed *bed)
{
	char command[128];
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };

	store_close(bed->store);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(command, sizeof(command), "%s%s", bed->file, ends[i]);
		remove(command);
	}
	remove(bed->directory);
	free(bed);
}

/* Until nothing waits any more. */
static inline void store_bed_settle(const struct store_bed *bed)
{
	uint64_t waiting = 1, lost, end = clock_now_ms() + 60000;

	while (waiting && clock_now_ms() < end)
		store_counts(bed->store, &waiting, &lost);
	assert_int_equal(waiting, 0);
}

static inline struct binding store_bed_binding(struct store_bed *bed, uint64_t number)
{
	uint64_t now = clock_wall_ms();
	struct binding b = { .number = number,
		.interface = &bed->interface,
		.agent = &bed->agent,
		.method_bits = 5,
		.reg_id = 2,
		.cseq = 77,
		.q = 500,
		.behind_nat = true,
		.expires_wall_ms = now + 60000,
		.upstream_expires_wall_ms = now + 3600000,
		.upstream_cseq = 9,
		.keep_alive_s = 25,
		.lifetime_s = 30,
		.heard_wall_ms = now,
		.aor = SPAN("100@example.com"),
		.contact = SPAN("sip:100@10.1.2.3:5062;ob"),
		.instance = SPAN("<urn:uuid:1>"),
		.call_id = SPAN("call\x01\xff"),
		.user_agent = SPAN("Phone/1.0"),
		.path = SPAN("<sip:edge;lr>"),
		.service_route = SPAN("<sip:home;lr>"),
		.gruu = SPAN(";pub-gruu=\"x\""),
		.associated = SPAN("<tel:+1>"),
		.upstream_call_id = SPAN("ours") };

	snprintf(b.token, sizeof(b.token), "t%llu", (unsigned long long)number);
	b.flow.listener = 1;
	b.flow.transport = CONFIG_TRANSPORT_TCP;
	b.flow.local = bed->endpoint[1].address;
	assert_int_equal(address_parse(SPAN("[2001:db8::9]:40000"), 0, &b.flow.remote), 0);
	return b;
}

#endif
