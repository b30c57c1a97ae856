/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment: memory, CPUs, its log into ours, its files where we can remove them. */
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "dataplane/dataplane.h"
#include "dataplane/keeper.h"
#include "platforms/base/log.h"

enum {
	ARGUMENTS_MAX = 32 + 2 * PORTS_MAX,
	ARGUMENT_MAX = 1024,
	HUGE_PAGE_KIB = 2048,
	/* Without `memory`: packet buffers of all queues of so many devices, and DPDK's own needs. */
	MEMORY_BASE_MIB = 96,
	MEMORY_DEVICE_MIB = 16,
	WORKER_NICE = -20,
};

struct arguments {
	char text[ARGUMENTS_MAX][ARGUMENT_MAX];
	char *pointer[ARGUMENTS_MAX];
	int count;
};

__attribute__((format(printf, 2, 3))) static void argument(struct arguments *a, const char *format, ...)
{
	va_list list;

	if (a->count == ARGUMENTS_MAX)
		return;
	va_start(list, format);
	vsnprintf(a->text[a->count], ARGUMENT_MAX, format, list);
	va_end(list);
	a->pointer[a->count] = a->text[a->count];
	a->count++;
}

/* Complaints that mean nothing to us: TAP without multi-queue queueing and without secondary processes, and what an XDP
 * driver cannot undo without root's rights (the keeper does). */
static bool harmless(struct span line)
{
	static const char *const known[] = { "multiq", "tap_nl_dump_ext_ack", "Disabling rte flow",
		"to secondary", "remove_xdp_program", "removing XDP program", "No legacy callbacks" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (memmem(line.p, line.n, known[i], strlen(known[i])) != NULL)
			return true;
	return false;
}

/* DPDK prints lines; each becomes a record. */
static ssize_t log_line(void *cookie, const char *text, size_t length)
{
	struct span line = span_trim((struct span){ text, length });

	(void)cookie;
	if (line.n == 0)
		return (ssize_t)length;
	if (rte_log_cur_msg_loglevel() <= (int)RTE_LOG_WARNING && !harmless(line))
		log_info("dpdk", "driver reports", LOG_SPAN("text", line));
	else
		log_debug("dpdk", "driver reports", LOG_SPAN("text", line));
	return (ssize_t)length;
}

static int log_redirect(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = log_line });

	if (f == NULL)
		return -ENOMEM;
	setvbuf(f, NULL, _IOLBF, 0);
	rte_log_set_global_level(log_level_now >= LOG_LEVEL_DEBUG ? RTE_LOG_INFO : RTE_LOG_WARNING);
	return rte_openlog_stream(f);
}

static unsigned long free_huge_kib(void)
{
	unsigned long pages = 0;
	char line[32];
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");

	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL)
		pages = strtoul(line, NULL, 10);
	fclose(f);
	return pages * HUGE_PAGE_KIB;
}

/* What the kernel could give now without swapping. */
static unsigned long available_kib(void)
{
	static const char key[] = "MemAvailable:";
	unsigned long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	if (f == NULL)
		return 0;
	while (kib == 0 && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, sizeof(key) - 1) == 0)
			kib = strtoul(line + sizeof(key) - 1, NULL, 10);
	fclose(f);
	return kib;
}

static int check_cpus(struct dataplane *dp, cpu_set_t *allowed)
{
	const struct config_media_manager *m = &dp->config->media_manager;
	bool written = config_line(dp->config, "media-manager", NULL, "workers") != 0;

	if (sched_getaffinity(0, sizeof(*allowed), allowed) != 0)
		return -errno;
	if (m->worker_count == 0 || m->worker_count > WORKERS_MAX)
		return config_refuse(dp->config, "media-manager", NULL, "workers",
			"1 to %d CPU numbers are needed", WORKERS_MAX);
	dp->cpus = calloc(m->worker_count, sizeof(*dp->cpus));
	if (dp->cpus == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->worker_count; i++) {
		unsigned cpu = m->workers[i];

		if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, allowed)) {
			if (written)
				return config_refuse(dp->config, "media-manager", NULL, "workers",
					"CPU %u is not there or not allowed to this process; `lscpu` lists "
					"CPUs",
					cpu);
			for (cpu = 0; cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, allowed); cpu++)
				continue;
			log_notice("eal", "the default worker CPU is not there",
				LOG_UINT("default", m->workers[i]), LOG_UINT("used", cpu));
		}
		dp->cpus[i] = cpu;
	}
	return 0;
}

/* Any CPU that no worker has; with one CPU they share it. */
static unsigned choose_main_cpu(const struct dataplane *dp, const cpu_set_t *allowed)
{
	size_t workers = dp->config->media_manager.worker_count;

	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		bool taken = !CPU_ISSET(cpu, allowed);

		for (size_t i = 0; i < workers; i++)
			taken = taken || dp->cpus[i] == cpu;
		if (!taken)
			return cpu;
	}
	log_notice("eal", "no CPU is left for the main thread: it shares one with a worker",
		LOG_UINT("cpu", dp->cpus[0]));
	return dp->cpus[0];
}

static int memory_arguments(struct dataplane *dp, struct arguments *a)
{
	const struct config_media_manager *m = &dp->config->media_manager;
	unsigned need = m->memory_auto
				? MEMORY_BASE_MIB + MEMORY_DEVICE_MIB * 2 *
							    (unsigned)dp->config->network_interfaces_count *
							    (unsigned)m->worker_count
				: m->memory_mib;

	unsigned long available = available_kib() / 1024;

	dp->hugepages = free_huge_kib() / 1024 >= need;
	if (!dp->hugepages && available < need)
		return config_refuse(dp->config, "media-manager", NULL, "memory",
			"%u MiB are needed, %lu MiB are available; give less, or the machine more", need,
			available);
	argument(a, "-m");
	argument(a, "%u", need);
	argument(a, dp->hugepages ? "--in-memory" : "--no-huge");
	log_info("eal", "packet memory", LOG_UINT("mib", need),
		LOG_TEXT("hugepages", dp->hugepages ? "yes" : "no"));
	return 0;
}

static void port_arguments(const struct dataplane *dp, struct arguments *a)
{
	bool pci = false;

	for (size_t i = 0; i < dp->config->network_interfaces_count; i++) {
		const struct config_network_interface *n = &dp->config->network_interfaces[i];

		if (n->port_kind != CONFIG_PORT_PCI)
			continue;
		pci = true;
		argument(a, "-a");
		argument(a, "%s", n->port);
	}
	if (!pci) {
		argument(a, "--no-pci");
		argument(a, "--iova-mode=va");
	}
}

/* The XDP libraries print to stderr on their own; what goes wrong with a port is reported by its error. They come with
 * DPDK's driver, not with us: found, not linked. */
static void xdp_libraries_quiet(void)
{
	static const struct {
		const char *library, *function;
	} printers[] = { { "libbpf.so.1", "libbpf_set_print" }, { "libxdp.so.1", "libxdp_set_print" } };

	for (size_t i = 0; i < sizeof(printers) / sizeof(printers[0]); i++) {
		void *library = dlopen(printers[i].library, RTLD_LAZY | RTLD_NOLOAD);
		void *(*set_print)(void *) = NULL;

		if (library == NULL)
			continue;
		*(void **)&set_print = dlsym(library, printers[i].function);
		if (set_print != NULL)
			(void)set_print(NULL);
		dlclose(library);
	}
}

/* DPDK keeps a directory with its telemetry socket; ours is in the run directory, and the keeper removes it. */
static int runtime_directory(const struct dataplane *dp)
{
	char path[256];
	int status;

	/* One program per interface, attached directly: the dispatcher would leave pins in bpffs behind. */
	if (setenv("LIBXDP_SKIP_DISPATCHER", "1", 1) != 0)
		return -errno;
	if (setenv("RUNTIME_DIRECTORY", dp->config->system.run_directory, 1) != 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/dpdk", dp->config->system.run_directory);
	status = keeper_tell(KEEPER_DIRECTORY, path, NULL);
	snprintf(path, sizeof(path), "%s/dpdk/sallyport", dp->config->system.run_directory);
	return status != 0 ? status : keeper_tell(KEEPER_DIRECTORY, path, NULL);
}

/* A worker that shares its core goes before everybody else there: one that has to wait while packets come loses them when their
 * ring, of some thousand, is full. Only root may ask for it, and the threads keep it. */
static int prefer_thread(void *arg)
{
	(void)arg;
	return setpriority(PRIO_PROCESS, 0, WORKER_NICE) == 0 ? 0
							      : -errno; /* 0: this thread (setpriority(2)) */
}

/* Where the kernel shares the CPU out among sessions first (sched(7), autogroup), the nice value alone means nothing to the others. A
 * session that is not ours alone is left as it is. */
static void session_prefer(void)
{
	FILE *file = getsid(0) == getpid() ? fopen("/proc/self/autogroup", "we") : NULL;

	if (file == NULL)
		return;
	(void)fprintf(file, "%d", WORKER_NICE);
	(void)fclose(file); /* what is in a cgroup of its own refuses, and needs it not */
}

static void workers_prefer(const struct dataplane *dp)
{
	session_prefer();
	for (unsigned i = 1; i <= dp->config->media_manager.worker_count; i++) {
		int status = rte_eal_remote_launch(prefer_thread, NULL, i);

		if (status == 0)
			status = rte_eal_wait_lcore(i);
		if (status != 0)
			log_warning("eal", "a worker has no preference over other processes of its core",
				LOG_UINT("worker", i - 1), LOG_ERRNO("error", status));
	}
}

int eal_start(struct dataplane *dp)
{
	struct arguments *a = calloc(1, sizeof(*a));
	cpu_set_t allowed;
	int status = a == NULL ? -ENOMEM : check_cpus(dp, &allowed);

	if (status == 0)
		status = runtime_directory(dp);
	if (status == 0)
		status = log_redirect();
	if (status != 0)
		goto out;
	dp->main_cpu = choose_main_cpu(dp, &allowed);
	argument(a, "sallyport-dataplane");
	argument(a, "--file-prefix=sallyport");
	argument(a, "--no-shconf");
	status = memory_arguments(dp, a);
	if (status != 0)
		goto out;
	port_arguments(dp, a);
	char lcores[ARGUMENT_MAX];
	int at = snprintf(lcores, sizeof(lcores), "0@%u", dp->main_cpu);
	for (unsigned i = 0; i < dp->config->media_manager.worker_count && at < (int)sizeof(lcores); i++)
		at += snprintf(lcores + at, sizeof(lcores) - (size_t)at, ",%u@%u", i + 1, dp->cpus[i]);
	argument(a, "--lcores");
	argument(a, "%s", lcores);
	argument(a, "--main-lcore=0");
	if (rte_eal_init(a->count, a->pointer) < 0) {
		log_error("eal", "DPDK cannot start; is there enough free memory, and are we root?",
			LOG_ERRNO("error", rte_errno));
		free(a);
		return -EIO;
	}
	dp->eal_arguments = a;
	workers_prefer(dp);
	xdp_libraries_quiet();
	return 0;
out:
	free(a);
	if (status != 0 && status != -EINVAL)
		log_error("eal", "cannot prepare DPDK", LOG_ERRNO("error", status));
	return status;
}

void eal_stop(struct dataplane *dp)
{
	(void)rte_eal_cleanup();
	free(dp->eal_arguments);
	free(dp->cpus);
	dp->eal_arguments = NULL;
	dp->cpus = NULL;
}
