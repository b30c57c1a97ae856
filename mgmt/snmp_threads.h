/* SPDX-License-Identifier: BSD-3-Clause */
/* What threads of the daemons use of the processors: of the control plane it says so itself, of the others the kernel does. */
#ifndef MGMT_SNMP_THREADS_H
#define MGMT_SNMP_THREADS_H

#include <stddef.h>
#include <stdint.h>

enum { SNMP_THREADS_MAX = 256, SNMP_LOOK_MS = 10000, SNMP_PROCESSES_END = 4 };

struct cp_load;

struct snmp_thread {
	uint32_t process, number;
	char name[16];
	uint64_t cpu_ms;
	int32_t load; /* thousandths; -1: not known yet */
};

/* Two looks at them. Zero-initialised. */
struct snmp_threads {
	struct snmp_thread now[SNMP_THREADS_MAX], before[SNMP_THREADS_MAX];
	size_t count, before_count;
	uint64_t before_ms; /* of the earlier look; 0: none yet */
	uint64_t memory_kib[SNMP_PROCESSES_END]; /* by enum snmp_process_number */
};

/* pid 0 and load NULL: that daemon is away. */
void snmp_threads_look(struct snmp_threads *threads, uint32_t dataplane_pid, uint32_t controlplane_pid,
	const struct cp_load *load, uint64_t now_ms);
/* One line of /proc/PID/task/TID/stat: name and processor time. 0 or -EBADMSG. */
int snmp_thread_parse(struct snmp_thread *thread, const char *line, long ticks_per_second);

#endif
