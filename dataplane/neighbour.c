/* SPDX-License-Identifier: BSD-3-Clause */
/* Link-layer addresses of next hops from the kernel's neighbour table, by netlink. The kernel does ARP and NDP on the
 * mirrors; what it does not know it is made to ask for by a datagram to the discard port (RFC 863) with TTL 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "dataplane/dataplane.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

enum {
	DISCARD_PORT = 9,
	TICK_MS = 1000,
	ASK_AGAIN_US = 1000000, /* the kernel itself asks three times a second apart */
	REFRESH_STALE_US =
		3000000, /* the kernel sees none of our media: let it confirm what it has not heard of */
	ASKS_PER_TICK = 256,
	RECEIVE_ROUNDS = 64,
};

struct neighbour {
	struct dataplane *dp;
	struct mnl_socket *socket;
	uv_poll_t poll;
	uv_timer_t tick;
	uint32_t scan; /* where the next tick goes on */
	uint32_t sequence;
	char buffer[32768];
};

uint8_t host_from(union host *h, const union address *a)
{
	*h = (union host){ 0 };
	if (a->sa.sa_family == AF_INET) {
		memcpy(h->byte, &a->in4.sin_addr, 4);
		return 4;
	}
	memcpy(h->byte, &a->in6.sin6_addr, 16);
	return 6;
}

static void provoke(struct neighbour *n, const struct next_hop *hop)
{
	int fd = n->dp->mirror[hop->interface].probe[hop->family == 4 ? 0 : 1];
	union address to = { 0 };

	if (hop->family == 4) {
		to.in4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(DISCARD_PORT) };
		memcpy(&to.in4.sin_addr, hop->ip.byte, 4);
	} else {
		to.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
			.sin6_port = htons(DISCARD_PORT),
			.sin6_scope_id = n->dp->mirror[hop->interface].ifindex };
		memcpy(&to.in6.sin6_addr, hop->ip.byte, 16);
	}
	/* Failure is the unreachable neighbour itself; the next tick tries again. */
	if (fd >= 0)
		(void)sendto(fd, "", 0, 0, &to.sa, address_length(&to));
}

/* What the kernel holds now about one neighbour; the answer comes like an event. */
static void query(struct neighbour *n, const struct next_hop *hop)
{
	char buffer[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	h->nlmsg_type = RTM_GETNEIGH;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++n->sequence;
	struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ndm_family = hop->family == 4 ? AF_INET : AF_INET6;
	m->ndm_ifindex = (int)n->dp->mirror[hop->interface].ifindex;
	mnl_attr_put(h, NDA_DST, hop->family == 4 ? 4 : 16, hop->ip.byte);
	(void)mnl_socket_sendto(n->socket, h, h->nlmsg_len);
}

static void ask(void *arg, uint32_t index)
{
	struct neighbour *n = arg;
	struct next_hop *hop = &n->dp->next_hops.entry[index];
	uint64_t now = clock_now_us();

	if (hop->asked_us != 0 && now - hop->asked_us < ASK_AGAIN_US)
		return;
	hop->asked_us = now;
	query(n, hop);
	provoke(n, hop);
}

struct entry {
	union host ip;
	const uint8_t *mac;
	bool has_ip;
};

static int attribute(const struct nlattr *a, void *arg)
{
	struct entry *e = arg;
	size_t length = mnl_attr_get_payload_len(a);

	if (mnl_attr_get_type(a) == NDA_DST && length <= sizeof(e->ip)) {
		memcpy(e->ip.byte, mnl_attr_get_payload(a), length);
		e->has_ip = true;
	} else if (mnl_attr_get_type(a) == NDA_LLADDR && length == 6) {
		e->mac = mnl_attr_get_payload(a);
	}
	return MNL_CB_OK;
}

static int event(const struct nlmsghdr *h, void *arg)
{
	struct neighbour *n = arg;
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	struct entry e = { 0 };

	if ((h->nlmsg_type != RTM_NEWNEIGH && h->nlmsg_type != RTM_DELNEIGH) ||
		mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
		(m->ndm_family != AF_INET && m->ndm_family != AF_INET6) ||
		mnl_attr_parse(h, sizeof(*m), attribute, &e) < 0 || !e.has_ip)
		return MNL_CB_OK;
	if (h->nlmsg_type == RTM_DELNEIGH ||
		(m->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)) == 0)
		e.mac = NULL;
	for (size_t i = 0; i < n->dp->started->network_interfaces_count; i++) {
		if (n->dp->mirror[i].ifindex != (unsigned)m->ndm_ifindex)
			continue;
		uint32_t index =
			next_hop_find(&n->dp->next_hops, (uint8_t)i, &e.ip, m->ndm_family == AF_INET ? 4 : 6);
		if (index == NEXT_HOP_NONE)
			continue;
		/* Without a link the kernel forgets them all. What they were is the best guess when it is back, and they
		 * are asked for then. */
		if (e.mac == NULL && !n->dp->port[n->dp->shared.interface[i].port].link_up)
			n->dp->next_hops.entry[index].stale = true;
		else
			next_hop_learn(&n->dp->next_hops, index, e.mac, (m->ndm_state & NUD_STALE) != 0);
	}
	return MNL_CB_OK;
}

static int dump(struct neighbour *n)
{
	char buffer[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	h->nlmsg_type = RTM_GETNEIGH;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++n->sequence;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ndmsg));
	return mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0 ? -errno : 0;
}

static void readable(uv_poll_t *poll, int status, int events)
{
	struct neighbour *n = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < RECEIVE_ROUNDS; i++) {
		ssize_t got = recv(mnl_socket_get_fd(n->socket), n->buffer, sizeof(n->buffer), MSG_DONTWAIT);

		if (got < 0 && errno == ENOBUFS) { /* events were lost: look at everything again */
			(void)dump(n);
			continue;
		}
		if (got <= 0)
			return;
		/* Sequence and port 0: events and answers alike. An error answer ends the run; nothing hangs on it. */
		(void)mnl_cb_run(n->buffer, (size_t)got, 0, 0, event, n);
	}
}

void neighbour_renew(struct dataplane *dp, unsigned port)
{
	struct next_hops *t = &dp->next_hops;
	unsigned asked = 0;

	for (uint32_t k = NEXT_HOP_LOCAL + 1; dp->neighbour != NULL && k < t->used && asked < ASKS_PER_TICK;
		k++) {
		struct next_hop *hop = &t->entry[k];

		if (hop->references == 0 || dp->shared.interface[hop->interface].port != port)
			continue;
		hop->asked_us = 0;
		ask(dp->neighbour, k);
		asked++;
	}
}

static void tick(uv_timer_t *timer)
{
	struct neighbour *n = timer->data;
	struct next_hops *t = &n->dp->next_hops;
	uint64_t now = clock_now_us();
	unsigned asked = 0;

	for (uint32_t k = NEXT_HOP_LOCAL + 1; k < t->used && asked < ASKS_PER_TICK; k++) {
		union next_hop_link link;

		n->scan =
			n->scan > NEXT_HOP_LOCAL && n->scan + 1 < t->used ? n->scan + 1 : NEXT_HOP_LOCAL + 1;
		struct next_hop *hop = &t->entry[n->scan];
		if (hop->references == 0)
			continue;
		bool known = next_hop_load(t->links, n->scan, &link);
		if (known && (!hop->stale || now - hop->asked_us < REFRESH_STALE_US))
			continue;
		ask(n, n->scan);
		asked++;
	}
}

/* The gateways' addresses are wanted before the first call. */
static void gateways(struct dataplane *dp)
{
	for (unsigned i = 0; i < dp->next_hops.route_count; i++) {
		const struct next_hop_route *r = &dp->next_hops.route[i];

		if (r->has_gateway)
			(void)next_hop_get(&dp->next_hops, r->interface, &r->gateway, r->family);
	}
}

int neighbour_start(struct dataplane *dp)
{
	struct neighbour *n = calloc(1, sizeof(*n));
	unsigned group = RTNLGRP_NEIGH;
	int status;

	if (n == NULL)
		return -ENOMEM;
	n->dp = dp;
	n->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (n->socket == NULL) {
		status = -errno;
		free(n);
		return status;
	}
	if (mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_setsockopt(n->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
		status = -errno;
		goto fail;
	}
	status = dump(n);
	if (status == 0)
		status = uv_poll_init(dp->daemon->loop, &n->poll, mnl_socket_get_fd(n->socket));
	if (status != 0)
		goto fail;
	n->poll.data = n->tick.data = n;
	(void)uv_timer_init(dp->daemon->loop, &n->tick);
	(void)uv_poll_start(&n->poll, UV_READABLE, readable);
	(void)uv_timer_start(&n->tick, tick, TICK_MS, TICK_MS);
	dp->neighbour = n;
	dp->next_hops.ask = ask;
	dp->next_hops.arg = n;
	gateways(dp);
	return 0;
fail:
	mnl_socket_close(n->socket);
	free(n);
	return status;
}

static void closed(uv_handle_t *handle)
{
	free(handle->data);
}

void neighbour_stop(struct dataplane *dp)
{
	struct neighbour *n = dp->neighbour;

	if (n == NULL)
		return;
	dp->next_hops.ask = NULL;
	dp->neighbour = NULL;
	uv_close((uv_handle_t *)&n->poll, NULL);
	mnl_socket_close(n->socket);
	uv_close((uv_handle_t *)&n->tick, closed); /* closed after the poll handle: callbacks come in order */
}
