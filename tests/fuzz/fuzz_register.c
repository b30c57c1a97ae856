/* SPDX-License-Identifier: BSD-3-Clause */
/* A registrar with a captured shard: an input is header lines of a phone's REGISTER and of the registrar's answer. Checked: no crash, no
 * read past the message, never more than one final response to the phone, and no binding without the registrar's 200.
 *
 * Format: an octet (answer's status, mode), then header lines of the REGISTER up to an empty one, then those of the answer. The octet 0x01
 * stands for our contact as the registrar got it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call.h"
#include "controlplane/location.h"
#include "controlplane/registrar.h"
#include "controlplane/shard_internal.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "tests/unit/controlplane/registrar_config.h"
#include "tests/unit/controlplane/sip_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 16384 };

static struct config config = {
	.sip = { SIP_TIMERS, SIP_MESSAGE_LIMITS, SIP_SDP_LIMITS, SIP_RELAY_LIMITS, .shards = 1,
		.max_transactions = 1000, .max_calls = 10 },
	.registration = { .phone_expires_udp = 60,
		.phone_expires_stream = 600,
		.upstream_expires = 3600,
		.max_contacts = 4,
		.max_bindings = 16,
		.min_expires = 10,
		.hold_ms = 2000 },
	.sip_interfaces = interfaces,
	.sip_interfaces_count = 2,
	.session_agents = &agent,
	.session_agents_count = 1,
	.local_policies = &policy,
	.local_policies_count = 1,
};
static struct shard shard;
static struct shard_private private;
static struct sip_flow phone, pbx;
static unsigned finals; /* to the phone */
static char upstream[TEXT_MAX]; /* the last REGISTER to the registrar, NUL behind it */

static void check(bool holds)
{
	if (!holds)
		abort();
}

static int capture(void *arg, const struct sip_flow *flow, struct span message)
{
	(void)arg;
	if (address_equal(&flow->remote, &phone.remote)) {
		finals += span_starts_case(message, SPAN("SIP/2.0 ")) && message.p[8] != '1';
	} else {
		check(message.n < sizeof(upstream));
		memcpy(upstream, message.p, message.n);
		upstream[message.n] = '\0';
	}
	return 0;
}

static void open_once(void)
{
	check(registrar_config_open("."));
	check(address_parse(SPAN("192.0.2.9:5070"), 0, &phone.remote) == 0);
	pbx.remote = agent.address.address;
	private.capture = capture;
}

static void open_shard(void)
{
	shard = (struct shard){ .count = 1, .config = &config, .private = &private };
	shard.timers = timer_wheel_new(1);
	shard.shared.location = location_new(&config);
	check(shard.timers && shard.shared.location && transport_open(&shard) == 0 &&
		registrar_open(&shard) == 0 && transaction_layer_open(&shard, &call_core) == 0);
	phone.listener = transport_listener(&shard, 0);
	pbx.listener = transport_listener(&shard, 1);
}

static void close_shard(void)
{
	transaction_layer_close(&shard);
	registrar_close(&shard);
	transport_close(&shard);
	location_free(shard.shared.location);
	timer_wheel_free(shard.timers);
}

/* The contact in <> of our REGISTER. */
static struct span our_contact(void)
{
	const char *at = strstr(upstream, "\r\nContact: <"), *end = at ? strchr(at, '>') : NULL;

	return end ? (struct span){ at + 11, (size_t)(end - at - 10) } : (struct span){ "", 0 };
}

static void write_lines(struct span lines, struct writer *out)
{
	for (size_t i = 0; i < lines.n; i++) {
		if (lines.p[i] == 1)
			writer_span(out, our_contact());
		else
			writer_char(out, lines.p[i]);
	}
	if (lines.n && lines.p[lines.n - 1] != '\n')
		writer_text(out, "\r\n");
	writer_text(out, "Content-Length: 0\r\n\r\n");
}

/* As it comes from a socket: nothing behind it may be read. */
static void receive(const struct sip_flow *flow, const struct writer *text)
{
	char *exact = malloc(text->len + 1);

	check(exact != NULL);
	memcpy(exact, text->buffer, text->len);
	transaction_receive(&shard, flow, (struct span){ exact, text->len });
	free(exact);
}

static void copy_line(const char *name, struct writer *out)
{
	const char *at = strstr(upstream, name);

	if (at)
		writer_span(out, (struct span){ at + 2, strcspn(at + 2, "\r") + 2 });
}

static void answer(unsigned status, struct span lines)
{
	char text[TEXT_MAX];
	struct writer w;

	writer_init(&w, text, sizeof(text));
	writer_format(&w, "SIP/2.0 %u x\r\n", status);
	copy_line("\r\nVia: ", &w);
	copy_line("\r\nFrom: ", &w);
	copy_line("\r\nTo: ", &w);
	copy_line("\r\nCall-ID: ", &w);
	copy_line("\r\nCSeq: ", &w);
	write_lines(lines, &w);
	if (!w.overflow)
		receive(&pbx, &w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned statuses[] = { 200, 200, 401, 423, 407, 403, 439, 302 };
	struct span rest, request;
	char text[TEXT_MAX];
	struct writer w;
	const char *end;
	uint8_t mode;

	if (size < 1 || size > TEXT_MAX / 2)
		return 0;
	if (!private.capture)
		open_once();
	mode = data[0];
	trunk_profile.registration_contact = mode & 8 ? CONFIG_CONTACT_PATH : CONFIG_CONTACT_OWN;
	interfaces[0].registration = mode & 16 ? CONFIG_REGISTRATION_RELAY : CONFIG_REGISTRATION_CACHE;
	rest = (struct span){ (const char *)data + 1, size - 1 };
	end = memmem(rest.p, rest.n, "\n\n", 2);
	request = end ? (struct span){ rest.p, (size_t)(end - rest.p) + 1 } : rest;
	rest = end ? (struct span){ end + 2, rest.n - request.n - 1 } : (struct span){ NULL, 0 };
	finals = 0;
	upstream[0] = '\0';
	open_shard();
	writer_init(&w, text, sizeof(text));
	writer_text(&w,
		"REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.9:5070;rport;branch=z9hG4bKfuzz\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.1>;tag=mark-tag\r\nCall-ID: mark-call-id\r\n"
		"CSeq: 1 REGISTER\r\n");
	write_lines(request, &w);
	if (!w.overflow)
		receive(&phone, &w);
	check(location_count(shard.shared.location) == 0);
	if (upstream[0]) {
		check(finals == 0);
		answer(statuses[mode & 7], rest);
		check(location_count(shard.shared.location) == 0 || statuses[mode & 7] == 200);
		/* A 423 may have led to another one, which is not answered. */
		check(finals <= 1);
	}
	check(finals <= 1);
	close_shard();
	return 0;
}
