/* SPDX-License-Identifier: BSD-3-Clause */
/* How an AF_PACKET port is spread over its queues: by a filter on each queue's socket instead of a fanout group.
 *
 * DPDK's af_packet driver joins its sockets in a fanout group. That has two faults here. The group is joined with
 * PACKET_FANOUT_FLAG_DEFRAG and no option against it: the kernel hands over whole IPv4 packets of up to 64 KiB, which neither
 * the driver's frames nor the mirror can take, and every long SIP message over UDP is lost. And a socket in a group can never
 * be bound again: when its interface goes and comes back, it is deaf for good. The driver finds setsockopt() here before the
 * C library's, since the search for symbols begins at the program; everything but that one option passes through. */
#include "dataplane/fanout.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	PROGRAM_MAX = 96, /* it is 76 long */
	SPREAD_FACTOR = 0x61c88647, /* 2^31 divided by the golden ratio, and odd */
	SPREAD_SHIFT = 16,
	ALL_OCTETS = 0x40000,
	IPV4_FRAGMENT_BITS = 0x3fff,
	SCRATCH_HASH = 0,
	SCRATCH_PORT = 1,
};

/* owner: main thread */
static struct {
	unsigned queues, count;
	int fd[FANOUT_QUEUES_MAX];
} port;

static int set(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	return (int)syscall(SYS_setsockopt, fd, level, optname, optval, optlen);
}

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
};

static void statement(struct program *p, unsigned code, unsigned k)
{
	p->code[p->n++] = (struct sock_filter)BPF_STMT((unsigned short)code, k);
}

static void jump(struct program *p, unsigned code, unsigned k, unsigned yes, unsigned no)
{
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(
		(unsigned short)(BPF_JMP | code | BPF_K), k, (unsigned char)yes, (unsigned char)no);
}

/* hash ^= source port ^ destination port, which stand at `at`, behind X octets if `relative`. */
static void mix_ports(struct program *p, unsigned at, bool relative)
{
	unsigned mode = relative ? BPF_IND : BPF_ABS;

	statement(p, BPF_LD | BPF_H | mode, at);
	statement(p, BPF_ST, SCRATCH_PORT);
	statement(p, BPF_LD | BPF_H | mode, at + 2);
	statement(p, BPF_LDX | BPF_MEM, SCRATCH_PORT);
	statement(p, BPF_ALU | BPF_XOR | BPF_X, 0);
	statement(p, BPF_LDX | BPF_MEM, SCRATCH_HASH);
	statement(p, BPF_ALU | BPF_XOR | BPF_X, 0);
	statement(p, BPF_ST, SCRATCH_HASH);
}

/* hash = exclusive or of `words` words at `at`: of both addresses, so that both directions of a pair have the same. */
static void mix_addresses(struct program *p, unsigned at, unsigned words)
{
	statement(p, BPF_LD | BPF_W | BPF_ABS, at);
	for (unsigned i = 1; i < words; i++) {
		statement(p, BPF_MISC | BPF_TAX, 0);
		statement(p, BPF_LD | BPF_W | BPF_ABS, at + 4 * i);
		statement(p, BPF_ALU | BPF_XOR | BPF_X, 0);
	}
	statement(p, BPF_ST, SCRATCH_HASH);
}

/* The kernel takes an 802.1Q tag out before the filter sees the frame. What is too short for what it says it is, and what is
 * no IP, is queue 0's; a load behind the end would have the packet dropped by all. */
static void program_make(struct program *p, unsigned queue, unsigned queues)
{
	enum { V4_LENGTH = 34, V6_LENGTH = 58 };
	/* Jumps are relative and forward: their targets are patched in when known. */
	unsigned v6, done[8], n = 0;

	statement(p, BPF_LD | BPF_IMM, 0);
	statement(p, BPF_ST, SCRATCH_HASH);
	statement(p, BPF_LD | BPF_W | BPF_LEN, 0);
	done[n++] = p->n;
	jump(p, BPF_JGE, V4_LENGTH, 0, 0);
	statement(p, BPF_LD | BPF_H | BPF_ABS, 12);
	v6 = p->n;
	jump(p, BPF_JEQ, 0x0800, 0, 0);
	mix_addresses(p, 26, 2);
	statement(p, BPF_LD | BPF_B | BPF_ABS, 23);
	jump(p, BPF_JEQ, IPPROTO_UDP, 1, 0);
	done[n++] = p->n;
	jump(p, BPF_JEQ, IPPROTO_TCP, 0, 0);
	statement(p, BPF_LD | BPF_H | BPF_ABS, 20); /* fragments stay together: only the first has ports */
	statement(p, BPF_ALU | BPF_AND | BPF_K, IPV4_FRAGMENT_BITS);
	done[n++] = p->n;
	jump(p, BPF_JEQ, 0, 0, 0);
	statement(p, BPF_LDX | BPF_B | BPF_MSH, 14); /* X: octets of the IPv4 header */
	statement(p, BPF_MISC | BPF_TXA, 0);
	statement(p, BPF_ST, SCRATCH_PORT);
	statement(p, BPF_LD | BPF_W | BPF_LEN, 0);
	statement(p, BPF_ALU | BPF_SUB | BPF_K, 18);
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 0, 0);
	done[n++] = (unsigned)p->n - 1;
	mix_ports(p, 14, true);
	unsigned end_v4 = p->n;
	statement(p, BPF_JMP | BPF_JA, 0);
	p->code[v6].jf = (unsigned char)(p->n - v6 - 1);
	done[n++] = p->n;
	jump(p, BPF_JEQ, 0x86dd, 0, 0);
	statement(p, BPF_LD | BPF_W | BPF_LEN, 0);
	done[n++] = p->n;
	jump(p, BPF_JGE, V6_LENGTH, 0, 0);
	mix_addresses(p, 22, 8);
	statement(p, BPF_LD | BPF_B | BPF_ABS, 20);
	jump(p, BPF_JEQ, IPPROTO_UDP, 1, 0);
	done[n++] = p->n;
	jump(p, BPF_JEQ, IPPROTO_TCP, 0, 0);
	mix_ports(p, 54, false);
	p->code[end_v4].k = (unsigned)p->n - end_v4 - 1;
	for (unsigned i = 0; i < n; i++)
		p->code[done[i]].jf = (unsigned char)(p->n - done[i] - 1);
	statement(p, BPF_LD | BPF_MEM, SCRATCH_HASH);
	statement(p, BPF_ALU | BPF_MUL | BPF_K, SPREAD_FACTOR);
	statement(p, BPF_ALU | BPF_RSH | BPF_K, SPREAD_SHIFT);
	statement(p, BPF_ALU | BPF_MOD | BPF_K, queues);
	jump(p, BPF_JEQ, queue, 0, 1);
	statement(p, BPF_RET | BPF_K, ALL_OCTETS);
	statement(p, BPF_RET | BPF_K, 0);
}

int fanout_attach(int fd, unsigned queue, unsigned queues)
{
	struct program p = { .n = 0 };
	struct sock_fprog attach;
	int on = 1;

	/* What we send is nothing we received, on the other queues' sockets neither. */
	if (set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0)
		return -errno;
	if (queues <= 1)
		return 0;
	program_make(&p, queue, queues);
	attach = (struct sock_fprog){ .len = p.n, .filter = p.code };
	if (set(fd, SOL_SOCKET, SO_ATTACH_FILTER, &attach, sizeof(attach)) != 0 ||
		set(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) != 0)
		return -errno;
	return 0;
}

int setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	int status;

	if (level != SOL_PACKET || optname != PACKET_FANOUT || port.queues == 0)
		return set(fd, level, optname, optval, optlen);
	if (port.count == port.queues) {
		errno = ENOSPC;
		return -1;
	}
	status = fanout_attach(fd, port.count, port.queues);
	if (status != 0) {
		errno = -status;
		return -1;
	}
	port.fd[port.count++] = fd;
	return 0;
}

void fanout_begin(unsigned queues)
{
	port.queues = queues < FANOUT_QUEUES_MAX ? queues : FANOUT_QUEUES_MAX;
	port.count = 0;
}

unsigned fanout_end(int fd[FANOUT_QUEUES_MAX])
{
	port.queues = 0;
	memcpy(fd, port.fd, port.count * sizeof(fd[0]));
	return port.count;
}

bool fanout_is_ours(void)
{
	void *found = dlsym(RTLD_DEFAULT, "setsockopt");
	int (*ours)(int, int, int, const void *, socklen_t) = setsockopt;

	return memcmp(&found, &ours, sizeof(found)) == 0;
}
