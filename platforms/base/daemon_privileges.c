/* SPDX-License-Identifier: BSD-3-Clause */
/* Giving root up for good, and the proof that it is gone. */
#include "platforms/base/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platforms/base/daemon_account.h"
#include "platforms/base/log.h"
#include "platforms/base/span.h"

int daemon_account(const char *user, uid_t *uid, gid_t *gid)
{
	size_t size = 4096;
	struct passwd entry;
	struct passwd *found;
	char *buffer = NULL;
	int error;

	do {
		free(buffer);
		size *= 2;
		buffer = malloc(size);
		if (!buffer)
			return -ENOMEM;
		error = getpwnam_r(user, &entry, buffer, size, &found);
	} while (error == ERANGE && size < 1024 * 1024);
	if (error == 0 && found) {
		*uid = entry.pw_uid;
		*gid = entry.pw_gid;
	}
	/* "Not found" is reported by several errno values, see getpwnam_r(3). */
	if (!found)
		error = (error == ENOMEM || error == EMFILE || error == ENFILE || error == EIO) ? error
												: ENOENT;
	free(buffer);
	return error > 0 ? -error : 0;
}

/* The bounding set: what an executed file could give back, were NoNewPrivileges ever lifted. */
int daemon_empty_bounding_set(void)
{
	if (geteuid() != 0)
		return 0;
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

static int empty_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, held) < 0)
		return true;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if (held[i].effective | held[i].permitted | held[i].inheritable)
			return true;
	return false;
}

/* The real, effective, saved and file system user of a status line. */
static bool none_is_root(const char *ids)
{
	for (unsigned i = 0; i < 4; i++) {
		char *end;

		if (strtoul(ids, &end, 10) == 0) /* 0 is also what no number gives */
			return false;
		ids = end;
	}
	return true;
}

/* True when a thread's status file shows no uid 0 and no capability, to use or to be had by executing a file. */
static bool thread_is_harmless(const char *tid)
{
	char path[64];
	char line[256];
	struct writer w;
	bool harmless = true;
	unsigned seen = 0;
	FILE *status;

	writer_init(&w, path, sizeof(path));
	writer_format(&w, "/proc/self/task/%s/status", tid);
	status = w.overflow ? NULL : fopen(path, "re");
	/* A thread that has just ended is harmless too. */
	if (!status)
		return errno == ENOENT || errno == ESRCH;
	while (harmless && fgets(line, sizeof(line), status)) {
		if (!strncmp(line, "Uid:", 4)) {
			harmless = none_is_root(line + 4);
			seen++;
		} else if (!strncmp(line, "CapPrm:", 7) || !strncmp(line, "CapEff:", 7) ||
			   !strncmp(line, "CapBnd:", 7)) {
			harmless = strtoull(line + 7, NULL, 16) == 0;
			seen++;
		}
	}
	fclose(status);
	return harmless && seen == 4;
}

/* setresuid() reaches the threads glibc knows of. Threads that a library made before (the packet workers) are looked
 * at one by one: a single one left with root would undo it all. */
static bool all_threads_are_harmless(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	bool harmless = true;

	if (!tasks)
		return false;
	while (harmless && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			harmless = thread_is_harmless(entry->d_name);
	closedir(tasks);
	return harmless;
}

/* -EPERM when anything is left of root, or can be had back. */
static int prove_dropped(void)
{
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || setegid(0) == 0)
		return -EPERM;
	if (geteuid() == 0 || getuid() == 0 || getegid() == 0 || getgid() == 0)
		return -EPERM;
	return has_capabilities() || !all_threads_are_harmless() ? -EPERM : 0;
}

static int become(const char *user, uid_t uid, gid_t gid)
{
	int error = daemon_empty_bounding_set();

	if (error < 0)
		return error;
	if (initgroups(user, gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	error = empty_capabilities();
	return error < 0 ? error : prove_dropped();
}

int daemon_drop_privileges(const char *user)
{
	const bool root = geteuid() == 0;
	uid_t uid = 0;
	gid_t gid = 0;
	int error;

	if (root) {
		error = daemon_account(user, &uid, &gid);
		if (error < 0)
			return error;
		/* "Dropping" to root would only look like it. */
		if (uid == 0 || gid == 0)
			return -EINVAL;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (!root)
		return 0;
	error = become(user, uid, gid);
	if (error < 0)
		log_error("daemon", "privileges not dropped", LOG_TEXT("user", user),
			LOG_ERRNO("error", error));
	return error;
}
