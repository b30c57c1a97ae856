/* SPDX-License-Identifier: BSD-3-Clause */
/* The privileged process that cleans up. */
#include "dataplane/keeper.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/fanout.h"
#include "dataplane/netlink.h"
#include "dataplane/raw_interface.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "platforms/base/token_bucket.h"

enum {
	KEEPER_TASKS_MAX = 256,
	SUBJECT_MAX = 256,
	VALUE_MAX = 64,
	/* Orders beside the actions. */
	PREPARE = KEEPER_ACTIONS,
	PORT,
	SEAL,
	REVIVE,
	HOLD,
	/* Whoever takes over the dataplane can have an interface prepared again and again: not faster than this. */
	REVIVALS_PER_SECOND = 1,
	REVIVALS_BURST = 10,
	ANSWER_SECONDS = 10, /* nft has been seen to take one */
	HOLD_STEP_MS = 5,
};

struct task {
	uint32_t action;
	union {
		struct {
			char subject[SUBJECT_MAX];
			char value[VALUE_MAX];
			uint32_t wait_ms; /* HOLD */
		};
		struct raw_interface port; /* PREPARE; PORT, and its sockets beside it */
		uint32_t index; /* REVIVE */
	};
};

struct answer {
	int32_t status;
	uint32_t ifindex;
};

struct kept_port {
	struct raw_interface raw;
	unsigned sockets;
	int fd[FANOUT_QUEUES_MAX];
};

/* owner: main thread of the dataplane */
static struct {
	int fd;
	pid_t pid;
	unsigned ports;
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

static void undo_gro(const struct task *t)
{
	(void)raw_interface_offload(t->subject, RAW_OFFLOAD_GRO, true);
}

static void undo_lro(const struct task *t)
{
	(void)raw_interface_offload(t->subject, RAW_OFFLOAD_LRO, true);
}

static void undo_rxvlan(const struct task *t)
{
	(void)raw_interface_offload(t->subject, RAW_OFFLOAD_RXVLAN, true);
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
	[KEEPER_GRO] = undo_gro,
	[KEEPER_LRO] = undo_lro,
	[KEEPER_RXVLAN] = undo_rxvlan,
	[KEEPER_FILE] = undo_file,
	[KEEPER_DIRECTORY] = undo_directory,
};

/* owner: keeper process */
static struct memory {
	struct task task[KEEPER_TASKS_MAX];
	unsigned tasks;
	struct kept_port port[KEEPER_PORTS_MAX];
	unsigned ports;
	bool sealed;
	struct token_bucket revivals;
} memory;

static int remember(enum keeper_action action, const char *subject, const char *value)
{
	struct task *t = &memory.task[memory.tasks];

	if (memory.tasks == KEEPER_TASKS_MAX)
		return -ENOSPC;
	*t = (struct task){ .action = action };
	snprintf(t->subject, sizeof(t->subject), "%s", subject);
	snprintf(t->value, sizeof(t->value), "%s", value != NULL ? value : "");
	memory.tasks++;
	return 0;
}

static void terminate(struct raw_interface *r)
{
	r->name[sizeof(r->name) - 1] = r->table[sizeof(r->table) - 1] = '\0';
}

/* The interface of that name is another one now: as its predecessor was, and our sockets on it. */
static struct answer revive(const struct kept_port *p)
{
	unsigned ifindex = if_nametoindex(p->raw.name);
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)ifindex
	};

	if (ifindex == 0)
		return (struct answer){ .status = -ENODEV };
	raw_interface_restore(&p->raw);
	int status = raw_interface_prepare(&p->raw, NULL);
	for (unsigned i = 0; status == 0 && i < p->sockets; i++)
		if (bind(p->fd[i], (struct sockaddr *)&address, sizeof(address)) != 0)
			status = -errno;
	return (struct answer){ .status = status, .ifindex = ifindex };
}

static int remember_port(struct memory *m, const struct task *t, const int *fd, unsigned count)
{
	struct kept_port *p = &m->port[m->ports];

	if (m->ports == KEEPER_PORTS_MAX || count > FANOUT_QUEUES_MAX)
		return -ENOSPC;
	p->raw = t->port;
	terminate(&p->raw);
	p->sockets = count;
	memcpy(p->fd, fd, count * sizeof(fd[0]));
	m->ports++;
	return 0;
}

/* The lock goes with this process, after all has been undone. */
static int hold(const char *directory, uint32_t wait_ms)
{
	const struct timespec step = { .tv_nsec = HOLD_STEP_MS * 1000000L };
	uint64_t until = clock_now_ms() + wait_ms;
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || clock_now_ms() >= until) {
			int error = errno == EWOULDBLOCK ? -EBUSY : -errno;

			close(fd);
			return error;
		}
		(void)nanosleep(&step, NULL);
	}
	return 0;
}

/* false: that is no order to be had now; the keeper ends, and undoes everything. */
static bool obey(struct memory *m, const struct task *t, const int *fd, unsigned count, struct answer *answer)
{
	*answer = (struct answer){ 0 };
	if (m->sealed) {
		if (t->action != REVIVE || t->index >= m->ports || count != 0)
			return false;
		if (token_bucket_take(&m->revivals, 1, clock_now_us()))
			*answer = revive(&m->port[t->index]);
		else
			answer->status = -EAGAIN;
		return true;
	}
	if (t->action == SEAL) {
		m->sealed = true;
		return true;
	}
	if (t->action == PORT) {
		answer->status = remember_port(m, t, fd, count);
		return true;
	}
	if (count != 0)
		return false;
	if (t->action == PREPARE) {
		struct raw_interface raw = t->port;

		terminate(&raw);
		answer->status = raw_interface_prepare(&raw, remember);
		return true;
	}
	struct task copy = *t;
	copy.subject[SUBJECT_MAX - 1] = copy.value[VALUE_MAX - 1] = '\0';
	if (t->action == HOLD) {
		answer->status = hold(copy.subject, copy.wait_ms);
		return true;
	}
	if (t->action >= KEEPER_ACTIONS)
		return false;
	answer->status = remember((enum keeper_action)t->action, copy.subject, copy.value);
	return true;
}

/* An order, and the descriptors beside it. Bytes, or what recvmsg() says. */
static ssize_t order_receive(int from, struct task *t, int fd[FANOUT_QUEUES_MAX], unsigned *count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(FANOUT_QUEUES_MAX * sizeof(int))];
	} control;
	struct iovec data = { t, sizeof(*t) };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space) };
	ssize_t n = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&message);

	*count = 0;
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fd, CMSG_DATA(c), *count * sizeof(int));
	}
	return n;
}

_Noreturn static void keeper_main(int socket)
{
	struct memory *m = &memory;
	struct answer answer;
	struct task task;
	int fd[FANOUT_QUEUES_MAX];
	unsigned count;

	/* A supervisor or a terminal signals the whole group: our time comes after the dataplane's. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NAME, "sp-keeper");
	close_range(STDERR_FILENO + 1, (unsigned)socket - 1, 0);
	close_range((unsigned)socket + 1, UINT_MAX, 0);
	token_bucket_init(&m->revivals, REVIVALS_PER_SECOND, REVIVALS_BURST, clock_now_us());
	for (;;) {
		ssize_t n = order_receive(socket, &task, fd, &count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(task) || !obey(m, &task, fd, count, &answer) ||
			send(socket, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
			break;
	}
	while (m->tasks-- > 0)
		undo[m->task[m->tasks].action](&m->task[m->tasks]);
	_exit(0);
}

int keeper_start(void)
{
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
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
	(void)setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	keeper.fd = fd[0];
	keeper.pid = pid;
	return 0;
}

/* Sends an order with descriptors and waits for the answer. */
static int order(const struct task *t, const int *fd, unsigned count, uint32_t *ifindex)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(FANOUT_QUEUES_MAX * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec data = { (void *)(uintptr_t)t, sizeof(*t) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	struct answer answer;
	ssize_t n;

	if (count != 0) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(count * sizeof(int)) };
		memcpy(CMSG_DATA(&control.header), fd, count * sizeof(int));
	}
	/* DPDK's TAP driver has the kernel send us a signal for each packet. */
	do
		n = sendmsg(keeper.fd, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*t))
		return -errno;
	do
		n = recv(keeper.fd, &answer, sizeof(answer), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(answer)) {
		/* Gone, or stuck: an answer that comes late must not be taken for the next one. */
		(void)shutdown(keeper.fd, SHUT_RDWR);
		return -EPIPE;
	}
	if (ifindex != NULL)
		*ifindex = answer.ifindex;
	return answer.status;
}

int keeper_hold(const char *directory, uint32_t wait_ms)
{
	struct task t = { .action = HOLD, .wait_ms = wait_ms };

	if (strlen(directory) >= SUBJECT_MAX)
		return -ENAMETOOLONG;
	memcpy(t.subject, directory, strlen(directory));
	return order(&t, NULL, 0, NULL);
}

int keeper_tell(enum keeper_action action, const char *subject, const char *value)
{
	struct task t = { .action = action };

	if (strlen(subject) >= SUBJECT_MAX || (value != NULL && strlen(value) >= VALUE_MAX))
		return -ENAMETOOLONG;
	memcpy(t.subject, subject, strlen(subject));
	if (value != NULL)
		memcpy(t.value, value, strlen(value));
	return order(&t, NULL, 0, NULL);
}

int keeper_prepare(const struct raw_interface *raw)
{
	const struct task t = { .action = PREPARE, .port = *raw };

	return order(&t, NULL, 0, NULL);
}

int keeper_port(const struct raw_interface *raw, const int *fd, unsigned count)
{
	const struct task t = { .action = PORT, .port = *raw };
	int status = count > FANOUT_QUEUES_MAX ? -EINVAL : order(&t, fd, count, NULL);

	return status != 0 ? status : (int)keeper.ports++;
}

int keeper_seal(void)
{
	const struct task t = { .action = SEAL };

	return order(&t, NULL, 0, NULL);
}

int keeper_revive(unsigned port, unsigned *ifindex)
{
	const struct task t = { .action = REVIVE, .index = port };

	return order(&t, NULL, 0, ifindex);
}

void keeper_finish(void)
{
	if (keeper.fd < 0)
		return;
	close(keeper.fd);
	keeper.fd = -1;
	keeper.ports = 0;
	while (waitpid(keeper.pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}
