/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ends of the dataplane's API say alike: addresses on the wire, names of counters. No DPDK in here. */
#include "dataplane/api.h"

#include <string.h>

#include "platforms/base/address.h"

void dp_address_from(struct dp_address *out, const union address *a)
{
	*out = (struct dp_address){ 0 };
	if (a->sa.sa_family == AF_INET) {
		out->family = 4;
		memcpy(out->ip, &a->in4.sin_addr, 4);
	} else if (a->sa.sa_family == AF_INET6) {
		out->family = 6;
		memcpy(out->ip, &a->in6.sin6_addr, 16);
	} else {
		return;
	}
	out->port = address_port(a);
}

void dp_address_to(const struct dp_address *a, union address *out)
{
	*out = (union address){ 0 };
	if (a->family == 4) {
		out->in4.sin_family = AF_INET;
		memcpy(&out->in4.sin_addr, a->ip, 4);
	} else if (a->family == 6) {
		out->in6.sin6_family = AF_INET6;
		memcpy(&out->in6.sin6_addr, a->ip, 16);
	} else {
		return;
	}
	address_set_port(out, a->port);
}

static const struct {
	const char *name, *help;
} counters[] = {
#define X(id, name, help) { name, help },
	DP_COUNTERS(X)
#undef X
};

const char *dp_counter_name(enum dp_counter counter)
{
	return (unsigned)counter < DP_COUNTER_COUNT ? counters[counter].name : "?";
}

const char *dp_counter_help(enum dp_counter counter)
{
	return (unsigned)counter < DP_COUNTER_COUNT ? counters[counter].help : "?";
}
