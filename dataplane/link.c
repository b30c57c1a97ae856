/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports that lose their link or vanish, and come back. Workers leave a port without a link alone; its mirrors have none either. An
 * interface that was gone is prepared again by the keeper, which has the rights for it. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <rte_ethdev.h>

#include "dataplane/dataplane.h"
#include "dataplane/keeper.h"
#include "platforms/base/log.h"

enum { TICK_MS = 1000, RECEIVE_ROUNDS = 64 };

struct link_watch {
	struct dataplane *dp;
	struct mnl_socket *socket;
	uv_poll_t poll;
	uv_timer_t tick;
	uint32_t sequence;
	char buffer[32768];
};

/* What the workers use of a port from now on. */
static void apply(struct dataplane *dp, unsigned index)
{
	const struct port *p = &dp->port[index];
	bool up = p->link_up && !p->gone;
	uint16_t device = up ? p->active : DEVICE_NONE;

	__atomic_store_n(&dp->shared.ports[index].device, device, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < dp->shared.interface_count; i++) {
		if (dp->shared.interface[i].port != index)
			continue;
		__atomic_store_n(&dp->shared.interface[i].device, device, __ATOMIC_RELAXED);
		mirror_carrier(&dp->mirror[i], up);
	}
	if (up)
		neighbour_renew(dp, index);
}

static void link_state(struct dataplane *dp, unsigned index, bool up)
{
	struct port *p = &dp->port[index];

	if (p->link_up == up)
		return;
	p->link_up = up;
	if (up)
		log_notice("port", "link is up", LOG_TEXT("port", p->config->port));
	else
		log_warning("port", "link is down", LOG_TEXT("port", p->config->port));
	apply(dp, index);
}

static void vanished(struct dataplane *dp, unsigned index)
{
	struct port *p = &dp->port[index];

	log_warning("port", "interface is gone; it is taken up again when there is one of that name",
		LOG_TEXT("port", p->config->port));
	p->gone = true;
	p->link_up = false;
	p->ifindex = 0;
	apply(dp, index);
}

/* All links as they are now; the answers come like events. */
static int dump(struct link_watch *w)
{
	char buffer[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++w->sequence;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	return mnl_socket_sendto(w->socket, h, h->nlmsg_len) < 0 ? -errno : 0;
}

/* There is another interface of the port's name. */
static void revive(struct link_watch *w, unsigned index)
{
	struct port *p = &w->dp->port[index];
	unsigned ifindex = 0;
	int status;

	if (!p->gone)
		vanished(w->dp, index);
	status = keeper_revive((unsigned)p->kept, &ifindex);
	if (status != 0) {
		log_warning("port", "interface that came back cannot be prepared yet",
			LOG_TEXT("port", p->config->port), LOG_ERRNO("error", status));
		return;
	}
	p->ifindex = ifindex;
	p->gone = false;
	if (p->spare != DEVICE_NONE && p->active != p->spare) {
		p->active = p->spare;
		log_warning("port",
			"interface is back, by AF_PACKET: slower, until the dataplane is started again",
			LOG_TEXT("port", p->config->port));
	} else {
		log_notice("port", "interface is back", LOG_TEXT("port", p->config->port));
	}
	(void)dump(w);
}

static int attribute(const struct nlattr *a, void *arg)
{
	const char **name = arg;

	if (mnl_attr_get_type(a) == IFLA_IFNAME && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
		*name = mnl_attr_get_str(a);
	return MNL_CB_OK;
}

static int event(const struct nlmsghdr *h, void *arg)
{
	struct link_watch *w = arg;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	const unsigned lit = IFF_UP | 1U << 16; /* IFF_LOWER_UP, which <net/if.h> does not know */
	const char *name = NULL;

	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) ||
		mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
		m->ifi_family != AF_UNSPEC || /* a bridge tells of its ports */
		mnl_attr_parse(h, sizeof(*m), attribute, &name) < 0)
		return MNL_CB_OK;
	for (unsigned i = 0; i < w->dp->port_count; i++) {
		struct port *p = &w->dp->port[i];

		if (p->kept < 0)
			continue;
		if (p->ifindex == (unsigned)m->ifi_index && h->nlmsg_type == RTM_DELLINK)
			vanished(w->dp, i);
		else if (p->ifindex == (unsigned)m->ifi_index)
			link_state(w->dp, i, (m->ifi_flags & lit) == lit);
		else if (h->nlmsg_type == RTM_NEWLINK && name != NULL && strcmp(name, p->config->port) == 0 &&
			 if_nametoindex(name) ==
				 (unsigned)m->ifi_index) /* an old message tells of one that went */
			revive(w, i);
	}
	return MNL_CB_OK;
}

static void readable(uv_poll_t *poll, int status, int events)
{
	struct link_watch *w = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < RECEIVE_ROUNDS; i++) {
		ssize_t got = recv(mnl_socket_get_fd(w->socket), w->buffer, sizeof(w->buffer), MSG_DONTWAIT);

		if (got < 0 &&
			errno == ENOBUFS) { /* events were lost; what has vanished is found by the tick */
			(void)dump(w);
			continue;
		}
		if (got <= 0)
			return;
		(void)mnl_cb_run(w->buffer, (size_t)got, 0, 0, event, w);
	}
}

/* What no event tells: the link of a NIC of our own, an interface that could not be prepared at once, lost events. */
static void tick(uv_timer_t *timer)
{
	struct link_watch *w = timer->data;
	char name[IFNAMSIZ];

	for (unsigned i = 0; i < w->dp->port_count; i++) {
		struct port *p = &w->dp->port[i];
		struct rte_eth_link link = { 0 };

		if (p->kept < 0) {
			if (rte_eth_link_get_nowait(p->device, &link) == 0)
				link_state(w->dp, i, link.link_status == RTE_ETH_LINK_UP);
			continue;
		}
		unsigned ifindex = if_nametoindex(p->config->port);
		if (ifindex != 0 && ifindex != p->ifindex)
			revive(w, i);
		else if (ifindex == 0 && !p->gone && if_indextoname(p->ifindex, name) == NULL)
			vanished(w->dp, i);
	}
}

int link_start(struct dataplane *dp)
{
	struct link_watch *w = calloc(1, sizeof(*w));
	unsigned group = RTNLGRP_LINK;
	int status;

	if (w == NULL)
		return -ENOMEM;
	w->dp = dp;
	w->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (w->socket == NULL) {
		status = -errno;
		free(w);
		return status;
	}
	if (mnl_socket_bind(w->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_setsockopt(w->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		status = -errno;
	else
		status = dump(w);
	if (status == 0)
		status = uv_poll_init(dp->daemon->loop, &w->poll, mnl_socket_get_fd(w->socket));
	if (status != 0) {
		mnl_socket_close(w->socket);
		free(w);
		return status;
	}
	w->poll.data = w->tick.data = w;
	(void)uv_timer_init(dp->daemon->loop, &w->tick);
	(void)uv_poll_start(&w->poll, UV_READABLE, readable);
	(void)uv_timer_start(&w->tick, tick, TICK_MS, TICK_MS);
	dp->link_watch = w;
	return 0;
}

static void closed(uv_handle_t *handle)
{
	free(handle->data);
}

void link_stop(struct dataplane *dp)
{
	struct link_watch *w = dp->link_watch;

	if (w == NULL)
		return;
	dp->link_watch = NULL;
	uv_close((uv_handle_t *)&w->poll, NULL);
	mnl_socket_close(w->socket);
	uv_close((uv_handle_t *)&w->tick, closed); /* closed after the poll handle: callbacks come in order */
}
