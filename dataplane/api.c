/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ends of the dataplane's API say alike: addresses on the wire, names of counters and suites. No DPDK in here. */
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

const char *dp_srtp_suite_name(unsigned suite)
{
	static const char *const names[DP_SRTP_SUITE_COUNT] = {
		[DP_SRTP_AES_CM_128_HMAC_SHA1_80] = "AES_CM_128_HMAC_SHA1_80",
		[DP_SRTP_AES_CM_128_HMAC_SHA1_32] = "AES_CM_128_HMAC_SHA1_32",
		[DP_SRTP_AES_256_CM_HMAC_SHA1_80] = "AES_256_CM_HMAC_SHA1_80",
		[DP_SRTP_AES_256_CM_HMAC_SHA1_32] = "AES_256_CM_HMAC_SHA1_32",
		[DP_SRTP_AEAD_AES_128_GCM] = "AEAD_AES_128_GCM",
		[DP_SRTP_AEAD_AES_256_GCM] = "AEAD_AES_256_GCM",
	};

	return suite < DP_SRTP_SUITE_COUNT ? names[suite] : NULL;
}
