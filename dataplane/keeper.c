/* SPDX-License-Identifier: BSD-3-Clause */
/* The privileged process that cleans up. */
#include "dataplane/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/netlink.h"
#include "platforms/base/log.h"

enum { KEEPER_TASKS_MAX = 256, SUBJECT_MAX = 256, VALUE_MAX = 64, SEAL = KEEPER_ACTIONS };

struct task {
	uint32_t action;
	char subject[SUBJECT_MAX];
	char value[VALUE_MAX];
};

/* owner: main thread of the dataplane */
static struct {
	int fd;
	pid_t pid;
} keeper = { .fd = -1 };

static void undo_nft_table(const struct task *t)
{
	const char *argv[] = { "nft", "delete", "table", "netdev", t->subject, NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	/* It may never have come to be made: what nft thinks of that is of no interest. */
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, "nft", &actions, NULL, (char *const *)argv, environ) == 0)
		(void)waitpid(pid, NULL, 0);
	posix_spawn_file_actions_destroy(&actions);
}

static void undo_sysctl(const struct task *t)
{
	int fd = open(t->subject, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, t->value, strlen(t->value)) < 0)
		log_warning(
			"keeper", "cannot restore", LOG_TEXT("path", t->subject), LOG_ERRNO("error", errno));
	close(fd);
}

static void undo_link_down(const struct task *t)
{
	(void)netlink_link_flags(if_nametoindex(t->subject), 0, IFF_UP);
}

static void undo_link_quiet(const struct task *t)
{
	(void)netlink_link_flags(if_nametoindex(t->subject), 0, IFF_ALLMULTI);
}

static void undo_xdp(const struct task *t)
{
	(void)netlink_xdp_detach(if_nametoindex(t->subject));
}

static void undo_file(const struct task *t)
{
	(void)unlink(t->subject);
}

static void undo_directory(const struct task *t)
{
	DIR *d = opendir(t->subject);

	if (d == NULL)
		return;
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	(void)rmdir(t->subject);
}

static void (*const undo[])(const struct task *) = {
	[KEEPER_NFT_TABLE] = undo_nft_table,
	[KEEPER_SYSCTL] = undo_sysctl,
	[KEEPER_LINK_DOWN] = undo_link_down,
	[KEEPER_LINK_QUIET] = undo_link_quiet,
	[KEEPER_XDP] = undo_xdp,
	[KEEPER_FILE] = undo_file,
	[KEEPER_DIRECTORY] = undo_directory,
};

static void task_terminate(struct task *t)
{
	t->subject[SUBJECT_MAX - 1] = t->value[VALUE_MAX - 1] = '\0';
}

_Noreturn static void keeper_main(int fd)
{
	static struct task tasks[KEEPER_TASKS_MAX];
	unsigned count = 0;
	bool sealed = false;
	char ok = 0;

	/* A supervisor or a terminal signals the whole group: our time comes after the dataplane's. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NAME, "sp-keeper");
	close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, UINT_MAX, 0);
	for (;;) {
		ssize_t n = recv(fd, &tasks[count], sizeof(tasks[count]), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(tasks[count]) || sealed)
			break;
		if (tasks[count].action == SEAL)
			sealed = true;
		else if (tasks[count].action >= KEEPER_ACTIONS || count + 1 == KEEPER_TASKS_MAX)
			break;
		else
			task_terminate(&tasks[count++]);
		if (send(fd, &ok, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	while (count-- > 0)
		undo[tasks[count].action](&tasks[count]);
	_exit(0);
}

int keeper_start(void)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		int error = -errno;

		close(fd[0]);
		close(fd[1]);
		return error;
	}
	if (pid == 0)
		keeper_main(fd[1]);
	close(fd[1]);
	keeper.fd = fd[0];
	keeper.pid = pid;
	return 0;
}

static int task_send(const struct task *t)
{
	char ok;

	if (send(keeper.fd, t, sizeof(*t), MSG_NOSIGNAL) != sizeof(*t))
		return -errno;
	return recv(keeper.fd, &ok, 1, 0) == 1 ? 0 : -EPIPE;
}

int keeper_tell(enum keeper_action action, const char *subject, const char *value)
{
	struct task t = { .action = action };

	if (strlen(subject) >= SUBJECT_MAX || (value != NULL && strlen(value) >= VALUE_MAX))
		return -ENAMETOOLONG;
	memcpy(t.subject, subject, strlen(subject));
	if (value != NULL)
		memcpy(t.value, value, strlen(value));
	return task_send(&t);
}

int keeper_seal(void)
{
	const struct task t = { .action = SEAL };

	return task_send(&t);
}

void keeper_finish(void)
{
	if (keeper.fd < 0)
		return;
	close(keeper.fd);
	keeper.fd = -1;
	while (waitpid(keeper.pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}
