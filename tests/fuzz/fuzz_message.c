/* SPDX-License-Identifier: BSD-3-Clause */
/* The message path with state: an input is a play of packets, answers and pauses against one shard's transaction layer.
 * The core answers, cancels, sends requests of its own and detaches, as the input says. Checked: no crash or leak, bounds hold,
 * each transaction ends exactly once, nothing is left when all timers have run, no answer is much larger than its cause; and of whatever
 * has been parsed only allowed lines cross, in any kind of message.
 *
 * Format: records of one octet of instruction, one of argument, then for a packet two octets of length and the bytes. In a
 * packet the octets 0x01 and 0x02 stand for the branch and the To tag of our last own request or answer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call.h"
#include "controlplane/hide.h"
#include "controlplane/shard_internal.h"
#include "controlplane/transaction.h"
#include "controlplane/transaction_internal.h"
#include "controlplane/transport_internal.h"
#include "tests/unit/controlplane/hide_check.h"
#include "tests/unit/controlplane/sip_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	LIVE_MAX = 64,
	PACKET_MAX = 8192,
	LIMIT = 24, /* transactions at a time */
	GROWTH_MAX =
		400, /* octets a stateless answer may have over its request: our tag, address, status line, Retry-After */
};

static struct config config = {
	.sip = { SIP_TIMERS, SIP_MESSAGE_LIMITS, SIP_RELAY_LIMITS, .shards = 1, .max_transactions = LIMIT,
		.max_calls = 16 },
};
static struct config_network_interface network = { .name = (char *)"fuzz" };
static struct config_realm realm = { .name = (char *)"fuzz", .network_interface = &network };
static struct config_endpoint endpoint;
static struct config_sip_interface interface = {
	.name = (char *)"fuzz", .realm = &realm, .listen = &endpoint, .listen_count = 1
};

static struct {
	struct transaction *tr[LIVE_MAX];
	unsigned count;
	uint8_t policy; /* what the core does with a new request */
	char branch[TRANSACTION_BRANCH_MAX];
	size_t received; /* octets of the packet under way; 0 = none */
	struct sip_flow flow;
	struct shard *shard;
} play;

static uint64_t now_ms;

static uint64_t clock_fake(void)
{
	return now_ms;
}

static void check(bool holds)
{
	if (!holds)
		abort();
}

static int on_send(void *arg, const struct sip_flow *flow, struct span message)
{
	struct shard *shard = arg;

	(void)flow;
	check(message.n > 0 && message.n <= TRANSACTION_TEXT_MAX);
	/* While the table is empty there is nobody but the stateless to answer. */
	if (play.received && shard->transactions->live_count == 0 &&
		shard->transactions->tombstone_count == 0)
		check(message.n <= play.received + GROWTH_MAX);
	return 0;
}

static void remember(struct transaction *tr)
{
	check(play.count < LIVE_MAX);
	play.tr[play.count++] = tr;
}

static void forget(struct transaction *tr)
{
	for (unsigned i = 0; i < play.count; i++) {
		if (play.tr[i] != tr)
			continue;
		play.tr[i] = play.tr[--play.count];
		return;
	}
	abort(); /* ended twice, or never began */
}

static void cross(const struct message *message)
{
	static struct config_ip_profile profile;
	static char lines[65536];
	struct leg from = { .shard = play.shard, .profile = &profile, .realm = &realm, .flow = play.flow },
		   to = from;
	struct span value;
	struct writer out;

	for (unsigned bit = 0; bit < 18; bit++) {
		enum hide_kind kind = (enum hide_kind)(1u << bit);

		/* A challenge is a refusal, and both are responses. */
		if (kind == HIDE_CHALLENGE)
			kind = (enum hide_kind)(HIDE_FAILURE | HIDE_CHALLENGE);
		writer_init(&out, lines, sizeof(lines));
		hide_headers(message, kind, &from, &to, &out);
		check(!out.overflow && hide_complaint(writer_result(&out)) == NULL);
	}
	writer_init(&out, lines, sizeof(lines));
	if (message_header(message, SPAN("Refer-To"), 0, &value))
		(void)hide_refer_to(value, &from, &to, NULL, &out);
	(void)hide_body_status(message, HIDE_INVITE, &to);
	writer_init(&out, lines, sizeof(lines));
	hide_end(message, HIDE_INVITE, &to, (struct span){ NULL, 0 }, &out);
}

static void look(const struct message *message)
{
	struct name_addr address;
	struct sip_uri uri;
	struct span value;

	if (message_scan(message)->is_request)
		check(message_request_uri(message, &uri) == 0);
	if (message_is_parsed(message)) {
		check(message_from(message, &address) == 0);
		check(message_to(message, &address) == 0);
		(void)sip_uri_parse(address.uri, &uri);
		cross(message);
	}
	(void)message_contact(message, &address);
	(void)message_header(message, SPAN("Supported"), 0, &value);
	(void)message_has_token(message, SPAN("Require"), SPAN("100rel"));
	(void)message_body_is(message, SPAN("application/sdp"));
	check(message_body(message).n <= PACKET_MAX);
}

static void on_response(void *arg, struct transaction *tr, const struct message *response)
{
	const struct scan *scan = message_scan(response);
	char ack[600];
	struct writer w;

	look(response);
	if (scan->status / 100 != 2 || scan->method != SIP_METHOD_INVITE || (play.policy & 0x40))
		return;
	writer_init(&w, ack, sizeof(ack));
	writer_text(&w, "ACK sip:x@host SIP/2.0\r\n\r\n");
	check(transaction_ack(tr, &play.flow, scan->to_tag, writer_result(&w)) == 0);
	(void)arg;
}

static void on_cancelled(void *arg, struct transaction *tr, const struct message *cancel)
{
	(void)arg;
	look(cancel);
	if (!(play.policy & 0x20))
		check(transaction_reply(tr, 487, SPAN("ours"), (struct span){ NULL, 0 }) == 0);
}

static void on_acked(void *arg, struct transaction *tr, const struct message *ack)
{
	(void)arg, (void)tr;
	look(ack);
}

static void on_ended(void *arg, struct transaction *tr, enum transaction_end how)
{
	(void)arg, (void)how;
	forget(tr);
}

static const struct transaction_events events = { on_response, on_cancelled, on_acked, on_ended };

static void answer(struct transaction *tr, unsigned what)
{
	static const unsigned status[] = { 0, 100, 180, 183, 200, 202, 302, 404, 486, 503, 603, 199, 999, 0,
		180, 200 };

	if (status[what % 16])
		(void)transaction_reply(tr, status[what % 16], SPAN("ours"), (struct span){ NULL, 0 });
}

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard;
	look(request);
	transaction_attach(tr, &events, NULL);
	remember(tr);
	answer(tr, play.policy);
	if (play.policy == 13) {
		transaction_detach(tr);
		forget(tr);
	}
}

static const struct transaction_core core = { .request = on_request };

static void send_own(struct shard *shard, bool invite)
{
	struct transaction *tr;
	char text[600];
	struct writer w;

	writer_init(&w, text, sizeof(text));
	writer_format(&w,
		"%s sip:b@host SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=%s;rport\r\nMax-Forwards: 70\r\n"
		"From: <sip:a@host>;tag=ours\r\nTo: <sip:b@host>\r\nCall-ID: own\r\nCSeq: 1 "
		"%s\r\nContent-Length: 0\r\n\r\n",
		invite ? "INVITE" : "BYE", transaction_branch(shard, play.branch), invite ? "INVITE" : "BYE");
	if (play.count < LIVE_MAX &&
		transaction_request(shard, &play.flow, writer_result(&w), &events, NULL, &tr) == 0)
		remember(tr);
}

static void pass(struct shard *shard, uint64_t ms)
{
	uint64_t end = now_ms + ms;

	while (now_ms < end) {
		uint64_t next = timer_wheel_next(shard->timers, now_ms);

		if (next == 0)
			next = 1;
		now_ms = next > end - now_ms ? end : now_ms + next;
		timer_wheel_advance(shard->timers, now_ms);
	}
}

/* The packet in a block of its own size, so that a read past its end is seen. */
static void receive(struct shard *shard, const uint8_t *bytes, size_t length)
{
	char *packet = malloc(length * TRANSACTION_BRANCH_MAX + 1);
	struct writer w;
	char *exact;

	check(packet != NULL);
	writer_init(&w, packet, length * TRANSACTION_BRANCH_MAX + 1);
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == 1)
			writer_text(&w, play.branch);
		else if (bytes[i] == 2)
			writer_text(&w, "ours");
		else
			writer_char(&w, (char)bytes[i]);
	}
	exact = malloc(w.len ? w.len : 1);
	check(exact != NULL);
	memcpy(exact, packet, w.len);
	play.received = w.len;
	transaction_receive(shard, &play.flow, (struct span){ exact, w.len });
	play.received = 0;
	free(exact);
	free(packet);
}

static void act(struct shard *shard, uint8_t what, uint8_t argument)
{
	struct transaction *tr = play.count ? play.tr[argument % play.count] : NULL;

	switch (what % 8) {
	case 1:
		pass(shard, (uint64_t)argument * argument);
		break;
	case 2:
		play.policy = argument;
		break;
	case 3:
		send_own(shard, argument & 1);
		break;
	case 4:
		if (tr)
			answer(tr, what >> 3);
		break;
	case 5:
		if (tr)
			(void)transaction_cancel(
				tr, argument & 0x80 ? SPAN("SIP;cause=200") : (struct span){ NULL, 0 });
		break;
	case 6:
		if (tr) {
			transaction_detach(tr);
			forget(tr);
		}
		break;
	case 7:
		pass(shard, (uint64_t)argument * 1000);
		break;
	default:
		break;
	}
}

static void perform(struct shard *shard, const uint8_t *data, size_t size)
{
	while (size >= 2) {
		uint8_t what = data[0], argument = data[1];
		size_t length;

		data += 2;
		size -= 2;
		if (what % 8 != 0) {
			act(shard, what, argument);
			continue;
		}
		if (size < 2)
			return;
		length = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		if (length > size)
			length = size;
		if (length > PACKET_MAX)
			length = PACKET_MAX;
		receive(shard, data, length);
		check(shard->transactions->live_count <= LIMIT + LIVE_MAX);
		data += length;
		size -= length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shard_private private = { .capture = on_send };
	struct shard shard = { .count = 1, .config = &config, .private = &private };

	memset(&play, 0, sizeof(play));
	play.policy = 4;
	play.shard = &shard;
	now_ms = 1000000;
	config.sip_interfaces = &interface;
	config.sip_interfaces_count = 1;
	check(address_parse(SPAN("192.0.2.1:5060"), 0, &endpoint.address) == 0);
	private.capture_arg = &shard;
	shard.timers = timer_wheel_new(now_ms);
	timer_wheel_set_clock(shard.timers, clock_fake);
	check(transport_open(&shard) == 0 && call_layer_open(&shard) == 0 &&
		transaction_layer_open(&shard, &core) == 0);
	play.flow.listener = transport_listener(&shard, 0);
	check(address_parse(SPAN("192.0.2.9:5070"), 0, &play.flow.remote) == 0);
	transaction_branch(&shard, play.branch);

	/* A whole packet without a play, too: what a corpus of messages is made of. */
	if (size && data[0] >= 'A')
		receive(&shard, data, size < PACKET_MAX ? size : PACKET_MAX);
	else
		perform(&shard, data, size);
	/* Nobody answers any more: but for INVITEs that wait for their user, all must end by themselves. */
	pass(&shard, 400000);
	for (unsigned i = play.count; i-- > 0;)
		check(play.tr[i]->kind == MACHINE_IST && play.tr[i]->last_status < 200);
	check(shard.transactions->tombstone_count == 0);
	check(shard.transactions->live_count == play.count);
	transaction_layer_close(&shard);
	check(play.count == 0);
	call_layer_close(&shard);
	transport_close(&shard);
	timer_wheel_free(shard.timers);
	return 0;
}
