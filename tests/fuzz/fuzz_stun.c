/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: STUN on the SIP port. Whatever comes, nothing is read past its end; an answer is no longer than it may be, is STUN itself, and
 * is answered by nobody; what is SIP is never taken for STUN. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/scan.h"
#include "controlplane/stun.h"
#include "tests/unit/controlplane/sip_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_sip limits = {
	SIP_MESSAGE_LIMITS,
};
static struct scan scan;

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void answer(const struct stun_request *request, const char *source)
{
	struct stun_request back;
	uint8_t out[STUN_RESPONSE_MAX];
	union address address;
	size_t length;

	require(address_parse(span_from(source), 0, &address) == 0);
	length = stun_write(request, &address, out);
	require(length <= sizeof(out) && length % 4 == 0);
	require(stun_parse((struct span){ (const char *)out, length }, &back) == STUN_UNWANTED);
	require(memcmp(out + 8, request->id, STUN_ID_OCTETS) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span datagram = { (const char *)data, size };
	struct stun_request request;
	enum stun_verdict verdict = stun_parse(datagram, &request);

	if (verdict != STUN_NONE) {
		enum scan_verdict sip = scan_message(&scan, datagram, true, &limits);

		require(sip == SCAN_SILENT);
	}
	if (verdict != STUN_BINDING)
		return 0;
	answer(&request, "192.0.2.1:32853");
	answer(&request, "[2001:db8::1]:1");
	return 0;
}
