/* SPDX-License-Identifier: BSD-3-Clause */
/* Our numbers on DPDK's telemetry socket: `dpdk-telemetry.py -f sallyport` on a running SBC. The callbacks run in DPDK's
 * thread: they read what is safe to read beside the main thread and the workers. */
#include <errno.h>
#include <string.h>

#include <rte_telemetry.h>

#include "dataplane/client.h"
#include "dataplane/dataplane.h"

/* The library's callbacks have no argument of ours. owner: set once before the first call */
static struct dataplane *telemetry_dataplane;

/* The library takes letters, digits and underscores. */
static void add(struct rte_tel_data *data, const char *name, uint64_t value)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	size_t n = strnlen(name, sizeof(text) - 1);

	for (size_t i = 0; i < n; i++)
		text[i] = name[i] == '-' ? '_' : name[i];
	text[n] = '\0';
	(void)rte_tel_data_add_dict_u64(data, text, value);
}

static int tell_counters(const char *command, const char *parameters, struct rte_tel_data *data)
{
	uint64_t total[DP_COUNTER_COUNT];

	(void)command;
	(void)parameters;
	counters_sum(telemetry_dataplane, total);
	rte_tel_data_start_dict(data);
	for (unsigned i = 0; i < DP_COUNTER_COUNT; i++)
		add(data, dp_counter_name((enum dp_counter)i), total[i]);
	return 0;
}

static int tell_sessions(const char *command, const char *parameters, struct rte_tel_data *data)
{
	const struct sessions *s = &telemetry_dataplane->sessions;

	(void)command;
	(void)parameters;
	rte_tel_data_start_dict(data);
	add(data, "sessions", __atomic_load_n(&s->used, __ATOMIC_RELAXED));
	add(data, "sessions-max", s->max);
	add(data, "sessions-total", __atomic_load_n(&s->total, __ATOMIC_RELAXED));
	return 0;
}

int telemetry_start(struct dataplane *dp)
{
	telemetry_dataplane = dp;
	if (rte_telemetry_register_cmd("/sallyport/counters", tell_counters, "Counters of all workers") !=
			0 ||
		rte_telemetry_register_cmd("/sallyport/sessions", tell_sessions, "Media sessions") != 0)
		return -ENOMEM;
	return 0;
}
