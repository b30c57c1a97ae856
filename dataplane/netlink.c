/* SPDX-License-Identifier: BSD-3-Clause */
/* rtnetlink requests with acknowledgement. */
#include "dataplane/netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <time.h>

#include <libmnl/libmnl.h>

enum { REQUEST_MAX = 1024 };

/* Sends one request on a socket of its own and waits for the answer. */
static int transact(struct nlmsghdr *request)
{
	char answer[8192];
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int status = 0;

	if (s == NULL)
		return -errno;
	request->nlmsg_seq = (uint32_t)time(NULL);
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(s, request, request->nlmsg_len) < 0) {
		status = -errno;
		goto out;
	}
	ssize_t n = mnl_socket_recvfrom(s, answer, sizeof(answer));
	if (n < 0 ||
		mnl_cb_run(answer, (size_t)n, request->nlmsg_seq, mnl_socket_get_portid(s), NULL, NULL) < 0)
		status = -errno;
out:
	mnl_socket_close(s);
	return status;
}

static struct nlmsghdr *link_request(char *buffer, unsigned ifindex, unsigned flags, unsigned mask)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	h->nlmsg_type = RTM_NEWLINK;
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	i->ifi_family = AF_UNSPEC;
	i->ifi_index = (int)ifindex;
	i->ifi_flags = flags;
	i->ifi_change = mask;
	return h;
}

int netlink_link_mtu(unsigned ifindex, unsigned mtu)
{
	char buffer[REQUEST_MAX];
	struct nlmsghdr *h = link_request(buffer, ifindex, 0, 0);

	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	return transact(h);
}

int netlink_link_address(unsigned ifindex, const uint8_t mac[6])
{
	char buffer[REQUEST_MAX];
	struct nlmsghdr *h = link_request(buffer, ifindex, 0, 0);

	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	return transact(h);
}

int netlink_link_flags(unsigned ifindex, unsigned flags, unsigned mask)
{
	char buffer[REQUEST_MAX];

	return transact(link_request(buffer, ifindex, flags, mask));
}

int netlink_xdp_detach(unsigned ifindex)
{
	char buffer[REQUEST_MAX];
	struct nlmsghdr *h = link_request(buffer, ifindex, 0, 0);
	struct nlattr *nest = mnl_attr_nest_start(h, IFLA_XDP);

	mnl_attr_put_u32(h, IFLA_XDP_FD, UINT32_MAX); /* no program */
	mnl_attr_nest_end(h, nest);
	return transact(h);
}

static void put_host(struct nlmsghdr *h, uint16_t type, const union address *a)
{
	if (a->sa.sa_family == AF_INET)
		mnl_attr_put(h, type, sizeof(a->in4.sin_addr), &a->in4.sin_addr);
	else
		mnl_attr_put(h, type, sizeof(a->in6.sin6_addr), &a->in6.sin6_addr);
}

int netlink_address_add(unsigned ifindex, const struct prefix *address)
{
	char buffer[REQUEST_MAX];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	h->nlmsg_type = RTM_NEWADDR;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	struct ifaddrmsg *a = mnl_nlmsg_put_extra_header(h, sizeof(*a));
	a->ifa_family = (uint8_t)address->address.sa.sa_family;
	a->ifa_prefixlen = address->length;
	a->ifa_index = ifindex;
	a->ifa_scope = RT_SCOPE_UNIVERSE;
	a->ifa_flags = a->ifa_family == AF_INET6 ? IFA_F_NODAD : 0;
	put_host(h, IFA_LOCAL, &address->address);
	put_host(h, IFA_ADDRESS, &address->address);
	return transact(h);
}

int netlink_default_route_add(unsigned ifindex, const union address *gateway, unsigned metric)
{
	char buffer[REQUEST_MAX];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	h->nlmsg_type = RTM_NEWROUTE;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	struct rtmsg *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->rtm_family = (uint8_t)gateway->sa.sa_family;
	r->rtm_table = RT_TABLE_MAIN;
	r->rtm_protocol = RTPROT_STATIC;
	r->rtm_scope = RT_SCOPE_UNIVERSE;
	r->rtm_type = RTN_UNICAST;
	put_host(h, RTA_GATEWAY, gateway);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	mnl_attr_put_u32(h, RTA_PRIORITY, metric);
	return transact(h);
}
