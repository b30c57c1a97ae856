/* SPDX-License-Identifier: BSD-3-Clause */
/* The system calls of each daemon after init, in one table. */
#include "platforms/base/sandbox.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <seccomp.h>

#include "platforms/base/log.h"

#define DP  SANDBOX_DATAPLANE
#define CP  SANDBOX_CONTROLPLANE
#define MG  SANDBOX_MGMT
#define ALL (SANDBOX_DATAPLANE | SANDBOX_CONTROLPLANE | SANDBOX_MGMT)

/* A sanitizer's runtime asks for more, in ways that change from one to the next: such a build refuses nothing that is only
 * not listed, and lets the leak checker trace. It is no production build. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

struct row {
	int call;
	unsigned daemons;
};

#define CALL(name) SCMP_SYS(name)

static const struct row allowed[] = {
	/* Descriptors and what comes over them. */
	{ CALL(read), ALL }, { CALL(readv), ALL }, { CALL(write), ALL }, { CALL(writev), ALL },
	{ CALL(close), ALL }, { CALL(fcntl), ALL }, { CALL(dup), ALL }, { CALL(dup2), ALL },
	{ CALL(dup3), ALL }, { CALL(pipe2), ALL }, { CALL(eventfd2), ALL }, { CALL(lseek), ALL },
	{ CALL(epoll_create1), ALL }, { CALL(epoll_ctl), ALL }, { CALL(epoll_wait), ALL },
	{ CALL(epoll_pwait), ALL }, { CALL(poll), ALL }, { CALL(ppoll), ALL }, { CALL(select), ALL },
	{ CALL(pselect6), ALL }, { CALL(accept), ALL }, { CALL(accept4), ALL }, { CALL(connect), ALL },
	{ CALL(shutdown), ALL }, { CALL(recvfrom), ALL }, { CALL(recvmsg), ALL }, { CALL(recvmmsg), ALL },
	{ CALL(sendto), ALL }, { CALL(sendmsg), ALL }, { CALL(sendmmsg), ALL }, { CALL(getsockname), ALL },
	{ CALL(getpeername), ALL }, { CALL(getsockopt), ALL }, { CALL(setsockopt), ALL },
	/* SIP's sockets are bound anew when a mirror comes back. The dataplane has raw sockets: it may not aim them elsewhere. */
	{ CALL(bind), CP | MG }, { CALL(listen), CP | MG },
	/* Memory and threads. */
	{ CALL(brk), ALL }, { CALL(munmap), ALL }, { CALL(mremap), ALL }, { CALL(madvise), ALL },
	{ CALL(futex), ALL }, { CALL(set_robust_list), ALL }, { CALL(get_robust_list), ALL },
	{ CALL(rseq), ALL }, { CALL(membarrier), ALL }, { CALL(sched_yield), ALL },
	{ CALL(sched_getaffinity), ALL }, { CALL(sched_setaffinity), ALL }, { CALL(getcpu), ALL },
	{ CALL(gettid), ALL }, { CALL(getpid), ALL }, { CALL(getppid), ALL }, { CALL(exit), ALL },
	{ CALL(exit_group), ALL }, { CALL(restart_syscall), ALL }, { CALL(rt_sigaction), ALL },
	{ CALL(rt_sigprocmask), ALL }, { CALL(rt_sigreturn), ALL }, { CALL(rt_sigtimedwait), ALL },
	{ CALL(sigaltstack), ALL }, { CALL(wait4), DP }, /* for the keeper's end */
	/* Time, numbers, who we are. */
	{ CALL(clock_gettime), ALL }, { CALL(clock_getres), ALL }, { CALL(clock_nanosleep), ALL },
	{ CALL(nanosleep), ALL }, { CALL(gettimeofday), ALL }, { CALL(time), ALL },
	{ CALL(timerfd_create), ALL }, { CALL(timerfd_settime), ALL }, { CALL(getrandom), ALL },
	{ CALL(getuid), ALL }, { CALL(geteuid), ALL }, { CALL(getgid), ALL }, { CALL(getegid), ALL },
	{ CALL(uname), ALL }, { CALL(sysinfo), ALL }, { CALL(getrusage), ALL },
	/* Files: what the user may reach; sockets and pid files go at the end, databases and certificates come and go. */
	{ CALL(openat), ALL }, { CALL(open), ALL }, { CALL(stat), ALL }, { CALL(fstat), ALL },
	{ CALL(lstat), ALL }, { CALL(newfstatat), ALL }, { CALL(statx), ALL }, { CALL(statfs), ALL },
	{ CALL(fstatfs), ALL }, { CALL(access), ALL }, { CALL(faccessat), ALL }, { CALL(faccessat2), ALL },
	{ CALL(readlink), ALL }, { CALL(readlinkat), ALL }, { CALL(getdents64), ALL }, { CALL(getcwd), ALL },
	{ CALL(unlink), ALL }, { CALL(unlinkat), ALL }, { CALL(rmdir), ALL }, { CALL(flock), ALL },
	{ CALL(pread64), ALL }, { CALL(pwrite64), CP | MG }, { CALL(ftruncate), CP | MG },
	{ CALL(fallocate), CP | MG }, { CALL(fsync), CP | MG }, { CALL(fdatasync), CP | MG },
	{ CALL(rename), CP | MG }, { CALL(renameat), CP | MG }, { CALL(renameat2), CP | MG },
	{ CALL(mkdir), CP | MG }, { CALL(mkdirat), CP | MG }, { CALL(chmod), CP | MG },
	{ CALL(fchmod), CP | MG }, { CALL(umask), CP | MG }, { CALL(utimensat), CP | MG },
	{ CALL(fadvise64), CP | MG }, { CALL(sync_file_range), CP | MG }, { CALL(inotify_init1), CP },
	{ CALL(inotify_add_watch), CP }, { CALL(inotify_rm_watch), CP }, /* directories of certificates */
};

/* Nobody who serves calls does any of these: whoever does has taken the process over. */
static const int deadly[] = {
	CALL(execve),
	CALL(execveat),
	CALL(ptrace),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
	CALL(kcmp),
	CALL(pidfd_getfd),
	CALL(mount),
	CALL(umount2),
	CALL(pivot_root),
	CALL(chroot),
	CALL(move_mount),
	CALL(open_tree),
	CALL(fsopen),
	CALL(fsmount),
	CALL(fsconfig),
	CALL(mount_setattr),
	CALL(unshare),
	CALL(setns),
	CALL(init_module),
	CALL(finit_module),
	CALL(delete_module),
	CALL(kexec_load),
	CALL(kexec_file_load),
	CALL(add_key),
	CALL(request_key),
	CALL(keyctl),
	CALL(perf_event_open),
	CALL(userfaultfd),
	CALL(io_uring_setup),
	CALL(open_by_handle_at),
	CALL(name_to_handle_at),
	CALL(mknod),
	CALL(mknodat),
	CALL(swapon),
	CALL(swapoff),
	CALL(reboot),
	CALL(settimeofday),
	CALL(clock_settime),
	CALL(adjtimex),
	CALL(sethostname),
	CALL(setdomainname),
	CALL(syslog),
	CALL(acct),
	CALL(quotactl),
	CALL(personality),
	CALL(iopl),
	CALL(ioperm),
	CALL(modify_ldt),
};

static struct scmp_arg_cmp equals(unsigned argument, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){ .arg = argument, .op = SCMP_CMP_EQ, .datum_a = value };
}

static struct scmp_arg_cmp masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){
		.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value
	};
}

static int allow_listed(scmp_filter_ctx filter, enum sandbox_daemon daemon)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if ((allowed[i].daemons & daemon) != 0)
			status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i].call, 0);
	return status;
}

static int kill_listed(scmp_filter_ctx filter)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		if (SANITIZED && deadly[i] == CALL(ptrace))
			continue;
		status = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
		/* A call that this architecture never had. */
		if (status == -EDOM || status == -EINVAL)
			status = 0;
	}
	return status;
}

/* Threads, and nothing else that clone() can make. clone3() hides its flags from a filter: glibc takes ENOSYS for an old kernel and
 * uses clone(). */
static int allow_threads(scmp_filter_ctx filter)
{
	static const unsigned long namespaces[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
		CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET };
	int status = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);

	for (size_t i = 0; status == 0 && i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		status = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, CALL(clone), 1,
			masked(0, namespaces[i], namespaces[i]));
	if (status == 0)
		status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(clone), 1,
			masked(0,
				CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
					CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET,
				CLONE_THREAD));
	return status;
}

/* No memory becomes code. */
static int allow_memory(scmp_filter_ctx filter)
{
	int status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mmap), 1, masked(2, PROT_EXEC, 0));

	return status != 0
		       ? status
		       : seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mprotect), 1, masked(2, PROT_EXEC, 0));
}

/* Interface names are asked for by sockets of the first two; packet, XDP and vsock ones are nobody's business any more. */
static int allow_sockets(scmp_filter_ctx filter)
{
	static const uint64_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	int status = 0;

	for (size_t i = 0; status == 0 && i < sizeof(families) / sizeof(families[0]); i++)
		status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(socket), 1, equals(0, families[i]));
	return status != 0
		       ? status
		       : seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(socketpair), 1, equals(0, AF_UNIX));
}

/* The kernel looks at 32 bits of the request. */
static int rule_ioctl(scmp_filter_ctx filter, uint32_t action, uint32_t request, uint32_t mask)
{
	return seccomp_rule_add(filter, action, CALL(ioctl), 1, masked(1, mask, request & mask));
}

static int allow_ioctls(scmp_filter_ctx filter)
{
	static const uint32_t requests[] = { FIONBIO, FIONREAD, FIOCLEX, TCGETS, SIOCGIFINDEX, SIOCGIFNAME,
		SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFMTU, SIOCETHTOOL, TUNGETIFF, TUNSETCARRIER, TUNSETQUEUE };
	/* To put words into the mouth of the terminal that a daemon was started from. */
	static const uint32_t terminal[] = { TIOCSTI, TIOCLINUX };
	int status = 0;

	for (size_t i = 0; status == 0 && i < sizeof(requests) / sizeof(requests[0]); i++)
		status = rule_ioctl(filter, SCMP_ACT_ALLOW, requests[i], UINT32_MAX);
	for (size_t i = 0; status == 0 && i < sizeof(terminal) / sizeof(terminal[0]); i++)
		status = rule_ioctl(filter, SCMP_ACT_KILL_PROCESS, terminal[i], UINT32_MAX);
	/* All of VFIO's, for NICs of our own. */
	if (status == 0)
		status = rule_ioctl(filter, SCMP_ACT_ALLOW, (uint32_t)VFIO_TYPE << 8, 0xffffff00);
	return status;
}

static int allow_others(scmp_filter_ctx filter, pid_t self)
{
	static const uint64_t names[] = { PR_SET_NAME, PR_GET_NAME, PR_SET_TIMERSLACK, PR_SET_VMA };
	int status = 0;

	for (size_t i = 0; status == 0 && i < sizeof(names) / sizeof(names[0]); i++)
		status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(prctl), 1, equals(0, names[i]));
	/* Of a process that gets its first keys: never to be dumped any more, not the other way. */
	if (status == 0)
		status = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, CALL(prctl), 2, equals(0, PR_SET_DUMPABLE), equals(1, 0));
	if (status == 0)
		status = allow_ioctls(filter);
	/* abort(), and pthread_cancel() of DPDK's threads: signals to ourselves alone. */
	if (status == 0)
		status = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, CALL(tgkill), 1, equals(0, (scmp_datum_t)self));
	if (status == 0)
		status = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, CALL(kill), 1, equals(0, (scmp_datum_t)self));
	/* Limits are read, not raised. */
	if (status == 0)
		status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(prlimit64), 1, equals(2, 0));
	return status;
}

int sandbox_enter(enum sandbox_daemon daemon)
{
	scmp_filter_ctx filter = seccomp_init(SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
	int status;

	if (filter == NULL)
		return -ENOMEM;
	status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (status == 0)
		status = seccomp_attr_set(
			filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: workers sleep by it */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (status == 0)
		status = kill_listed(filter);
	if (status == 0 && !SANITIZED) {
		status = allow_listed(filter, daemon);
		if (status == 0)
			status = allow_threads(filter);
		if (status == 0)
			status = allow_memory(filter);
		if (status == 0)
			status = allow_sockets(filter);
		if (status == 0)
			status = allow_others(filter, getpid());
	}
	if (status == 0)
		status = seccomp_load(filter);
	seccomp_release(filter);
	if (status != 0)
		log_error("sandbox", "the kernel does not take the filter of system calls",
			LOG_ERRNO("error", status));
	return status;
}
