/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that ring: reliable provisional responses of the callee's branches, and the caller's PRACKs. */
#ifndef TESTS_UNIT_CONTROLPLANE_EARLY_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_EARLY_FIXTURE_H

#include "tests/unit/controlplane/one_call_fixture.h"

#define RELIABLE(n) "Require: 100rel\r\nRSeq: " #n "\r\n"
#define OTHER_SDP                                                                                          \
	"v=0\r\no=y 3 3 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 7000 RTP/AVP " \
	"0\r\n"

/* The caller's INVITE with more headers, up to the one to the callee. */
static inline void start(struct call_world *w, const char *headers, const char *body)
{
	caller_sends(w, "INVITE", 1, NULL, headers, body);
	take(w, &w->f->peer, "SIP/2.0 100 ");
	fake_answer_all();
	snprintf(invite, sizeof(invite), "%s", take(w, &w->f->other, "INVITE "));
}

static inline unsigned rseq_of(const char *response)
{
	char line[128];

	return (unsigned)strtoul(line_of(response, "RSeq", line, sizeof(line)) + 5, NULL, 10);
}

static inline void prack(
	struct call_world *w, unsigned cseq, const char *tag, unsigned rseq, const char *body)
{
	char headers[64];

	snprintf(headers, sizeof(headers), "RAck: %u 1 INVITE\r\n", rseq);
	caller_sends(w, "PRACK", cseq, tag, headers, body);
}

/* The port that the dataplane was last told of a side. */
static inline unsigned media_port(unsigned side)
{
	union address address;

	for (unsigned i = fake.count; i-- > 0;)
		if (fake.request[i].type == DP_SESSION_UPDATE || fake.request[i].type == DP_SESSION_CREATE) {
			dp_address_to(&fake.request[i].session.stream[0].side[side].rtp, &address);
			return address_port(&address);
		}
	return 0;
}

#endif
