/* SPDX-License-Identifier: BSD-3-Clause */
/* One shard without sockets, thread or real time: what it sends is kept, time moves when the test says so. */
#ifndef TESTS_UNIT_CONTROLPLANE_SIP_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_SIP_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controlplane/shard_internal.h"
#include "controlplane/transaction.h"
#include "controlplane/transaction_internal.h"
#include "controlplane/transport_internal.h"
#include "tests/unit/controlplane/sip_limits.h"

enum { FIXTURE_SENT_MAX = 256, FIXTURE_TEXT_MAX = 4096 };

struct fixture_sent {
	uint64_t at_ms;
	union address to;
	size_t length;
	char text[FIXTURE_TEXT_MAX]; /* NUL behind it */
};

struct fixture {
	struct config config;
	struct config_network_interface network;
	struct config_realm realm;
	struct config_sip_interface interface;
	struct config_endpoint endpoint;
	struct shard shard;
	struct shard_private private;
	struct sip_flow peer; /* 192.0.2.9:5070 */
	struct sip_flow other; /* 192.0.2.10:5080 */
	unsigned sent_count;
	int send_result; /* what sending gives; nothing is kept unless 0 */
	struct fixture_sent sent[FIXTURE_SENT_MAX];
};

static uint64_t fixture_now_ms;

static inline uint64_t fixture_clock(void)
{
	return fixture_now_ms;
}

static inline int fixture_capture(void *arg, const struct sip_flow *flow, struct span message)
{
	struct fixture *f = arg;
	struct fixture_sent *sent = &f->sent[f->sent_count];

	if (f->send_result < 0)
		return f->send_result;
	assert_true(f->sent_count < FIXTURE_SENT_MAX);
	assert_true(message.n < FIXTURE_TEXT_MAX);
	sent->at_ms = fixture_now_ms;
	sent->to = flow->remote;
	sent->length = message.n;
	memcpy(sent->text, message.p, message.n);
	sent->text[message.n] = '\0';
	f->sent_count++;
	return 0;
}

static inline void fixture_config(struct fixture *f)
{
	f->config.sip = (struct config_sip){
		SIP_TIMERS,
		SIP_MESSAGE_LIMITS,
		SIP_SDP_LIMITS,
		SIP_RELAY_LIMITS,
		.shards = 1,
		.max_transactions = 1000,
		.max_calls = 100,
	};
	f->network.name = (char *)(uintptr_t) "test";
	f->realm.name = (char *)(uintptr_t) "test";
	f->realm.network_interface = &f->network;
	f->endpoint.transport = CONFIG_TRANSPORT_UDP;
	assert_int_equal(address_parse(SPAN("192.0.2.1:5060"), 0, &f->endpoint.address), 0);
	f->interface.name = (char *)(uintptr_t) "test";
	f->interface.realm = &f->realm;
	f->interface.listen = &f->endpoint;
	f->interface.listen_count = 1;
	f->config.sip_interfaces = &f->interface;
	f->config.sip_interfaces_count = 1;
}

/* `core` takes new requests. End with fixture_free. */
static inline struct fixture *fixture_new(const struct transaction_core *core)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fixture_now_ms = 1000000;
	fixture_config(f);
	f->private.capture = fixture_capture;
	f->private.capture_arg = f;
	f->shard.count = 1;
	f->shard.config = &f->config;
	f->shard.private = &f->private;
	f->shard.timers = timer_wheel_new(fixture_now_ms);
	assert_non_null(f->shard.timers);
	timer_wheel_set_clock(f->shard.timers, fixture_clock);
	assert_int_equal(transport_open(&f->shard), 0);
	assert_int_equal(transaction_layer_open(&f->shard, core), 0);
	f->peer.listener = transport_listener(&f->shard, 0);
	f->other.listener = f->peer.listener;
	assert_int_equal(address_parse(SPAN("192.0.2.9:5070"), 0, &f->peer.remote), 0);
	assert_int_equal(address_parse(SPAN("192.0.2.10:5080"), 0, &f->other.remote), 0);
	return f;
}

static inline void fixture_free(struct fixture *f)
{
	transaction_layer_close(&f->shard);
	transport_close(&f->shard);
	timer_wheel_free(f->shard.timers);
	free(f);
}

/* Time passes, in steps as a loop would take them. */
static inline void fixture_pass(struct fixture *f, uint64_t ms)
{
	uint64_t end = fixture_now_ms + ms;

	while (fixture_now_ms < end) {
		uint64_t next = timer_wheel_next(f->shard.timers, fixture_now_ms);

		if (next == 0)
			next = 1;
		fixture_now_ms = next > end - fixture_now_ms ? end : fixture_now_ms + next;
		timer_wheel_advance(f->shard.timers, fixture_now_ms);
	}
}

static inline void fixture_receive(struct fixture *f, const struct sip_flow *from, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static inline void fixture_receive(struct fixture *f, const struct sip_flow *from, const char *format, ...)
{
	char text[FIXTURE_TEXT_MAX];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	assert_true(length >= 0 && (size_t)length < sizeof(text));
	transaction_receive(&f->shard, from, (struct span){ text, (size_t)length });
}

static inline uint64_t fixture_counter(const struct fixture *f, enum cp_counter counter)
{
	return f->shard.counter[counter];
}

static inline const char *fixture_sent_text(const struct fixture *f, unsigned n)
{
	assert_true(n < f->sent_count);
	return f->sent[n].text;
}

static inline bool fixture_sent_starts(const struct fixture *f, unsigned n, const char *start)
{
	return strncmp(fixture_sent_text(f, n), start, strlen(start)) == 0;
}

static inline bool fixture_sent_has(const struct fixture *f, unsigned n, const char *piece)
{
	return strstr(fixture_sent_text(f, n), piece) != NULL;
}

static inline uint32_t fixture_live(const struct fixture *f)
{
	uint32_t live, stones;

	transaction_layer_counts(&f->shard, &live, &stones);
	return live;
}

static inline uint32_t fixture_tombstones(const struct fixture *f)
{
	uint32_t live, stones;

	transaction_layer_counts(&f->shard, &live, &stones);
	return stones;
}

/* A request as a peer writes it: method, branch, CSeq number; no To tag unless `to_tag` is given. */
static inline void fixture_request(struct fixture *f, const struct sip_flow *from, const char *method,
	const char *branch, unsigned cseq, const char *to_tag)
{
	fixture_receive(f, from,
		"%s sip:b@192.0.2.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.0.2.9:5070;branch=%s;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: \"A\" <sip:a@192.0.2.9>;tag=from1\r\n"
		"To: <sip:b@192.0.2.1>%s%s\r\n"
		"Call-ID: call1@192.0.2.9\r\n"
		"CSeq: %u %s\r\n"
		"Contact: <sip:a@192.0.2.9:5070>\r\n"
		"Content-Length: 0\r\n\r\n",
		method, branch, to_tag ? ";tag=" : "", to_tag ? to_tag : "", cseq, method);
}

#endif
