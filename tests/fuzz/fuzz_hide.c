/* SPDX-License-Identifier: BSD-3-Clause */
/* What crosses: an input is header lines and a body of one side's message. Checked: no crash, no read past the message, every line written
 * is a line of an allowed header, and no mark of the sender's hosts and identifiers is in it; nor in what is made of its body's headers.
 *
 * Format: an octet of method, one of trust and profile, then header lines up to an empty one, then the body. The octets 0x01, 0x02 and 0x03
 * stand for a host, an address and a Call-ID that may not cross. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call.h"
#include "controlplane/hide.h"
#include "controlplane/message_parts.h"
#include "controlplane/shard_internal.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "tests/unit/controlplane/hide_check.h"
#include "tests/unit/controlplane/sip_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 16384, OUT_MAX = 65536 };

static struct config config = { .sip = { SIP_TIMERS, SIP_MESSAGE_LIMITS, SIP_RELAY_LIMITS, .shards = 1,
					.max_transactions = 24, .max_calls = 16 } };
static struct config_realm trusted = { .trust = CONFIG_TRUST_TRUSTED };
static struct config_realm untrusted = { .trust = CONFIG_TRUST_UNTRUSTED };
static char any_type[] = "image/*";
static char *types[] = { any_type };
static struct config_ip_profile profile, sending;
static struct listener listener;
static struct shard shard = { .count = 1, .config = &config };

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* libosip2's tables, and a table of calls in which no dialog is found. */
static void open_layers(void)
{
	static struct shard_private private;
	static const struct transaction_core core;

	shard.private = &private;
	shard.timers = timer_wheel_new(1);
	check(shard.timers && transaction_layer_open(&shard, &core) == 0 && call_layer_open(&shard) == 0);
}

static void write_marked(const uint8_t *data, size_t size, struct writer *out)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] == 1)
			writer_text(out, MARK_HOST);
		else if (data[i] == 2)
			writer_text(out, MARK_ADDRESS);
		else if (data[i] == 3)
			writer_text(out, MARK_CALL_ID);
		else
			writer_char(out, (char)data[i]);
	}
}

/* The headers of the input around what every message must have; NULL if it is refused. */
static struct message *make(uint8_t method, struct span lines, struct span body, char *text)
{
	static struct scan scan;
	struct sip_flow flow = { .listener = &listener };
	struct message *message = NULL;
	struct writer w;
	unsigned status;
	char *exact;

	writer_init(&w, text, TEXT_MAX);
	writer_text(&w, method & 0x80 ? "SIP/2.0 486 x\r\n"
				      : "INVITE sip:1000@192.0.2.1 SIP/2.0\r\nMax-Forwards: 70\r\n");
	writer_text(&w, "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKid77\r\nFrom: <sip:alice@" MARK_HOST
			">;tag=tag77\r\n"
			"To: <sip:1000@192.0.2.1>\r\nCall-ID: " MARK_CALL_ID "\r\nCSeq: 7 INVITE\r\n");
	writer_span(&w, lines);
	writer_text(&w, "Content-Length: ");
	writer_uint(&w, body.n);
	writer_text(&w, "\r\n\r\n");
	writer_span(&w, body);
	if (w.overflow)
		return NULL;
	exact = malloc(w.len);
	check(exact != NULL);
	memcpy(exact, text, w.len);
	if (scan_message(&scan, (struct span){ exact, w.len }, true, &config.sip) == SCAN_OK)
		(void)message_parse(&scan, (struct span){ exact, w.len }, &flow, &message, &status);
	free(exact);
	return message;
}

static void check_lines(struct span lines)
{
	check(hide_complaint(lines) == NULL);
}

static void play(const struct message *message, uint8_t method, struct leg *from, struct leg *to)
{
	static char text[OUT_MAX];
	struct message_part parts[MESSAGE_PARTS_MAX];
	enum hide_kind kind = (enum hide_kind)(1u << method % 18);
	struct span value;
	struct writer out;
	const char *end;

	writer_init(&out, text, sizeof(text));
	hide_headers(message, kind, from, to, &out);
	check(!out.overflow);
	check_lines(writer_result(&out));
	for (unsigned n = 0; n < 4 && message_header(message, SPAN("Refer-To"), n, &value); n++) {
		writer_init(&out, text, sizeof(text));
		writer_text(&out, "Referred-By: ");
		if (hide_refer_to(value, from, to, NULL, &out) == 0) {
			writer_text(&out, "\r\n");
			check_lines(writer_result(&out));
		}
	}
	(void)hide_body_status(message, kind, to);
	check(message_sdp(message).n <= message_body(message).n);
	check(message_parts(message, parts) <= MESSAGE_PARTS_MAX);
	writer_init(&out, text, sizeof(text));
	hide_end(message, kind, to, (struct span){ NULL, 0 }, &out);
	end = out.len ? memmem(text, out.len, "\r\n\r\n", 4) : NULL;
	if (!out.overflow) {
		check(end != NULL);
		check_lines((struct span){ text, (size_t)(end - text) + 2 });
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct leg from = { .shard = &shard, .profile = &sending },
		   to = { .shard = &shard, .profile = &profile };
	static char lines[TEXT_MAX], text[TEXT_MAX];
	struct message *message;
	const uint8_t *body;
	struct writer w;

	if (size < 2)
		return 0;
	if (!shard.calls)
		open_layers();
	check(address_parse(SPAN("192.0.2.1:5060"), 0, &listener.address) == 0);
	from.flow.listener = to.flow.listener = &listener;
	from.realm = data[1] & 1 ? &trusted : &untrusted;
	to.realm = data[1] & 2 ? &trusted : &untrusted;
	profile.privacy = (enum config_privacy)(data[1] >> 2 & 3) % 3;
	profile.diversion = (enum config_diversion)(data[1] >> 4 & 3);
	profile.bodies_pass = (struct config_strings){ types, data[1] >> 6 & 1 };
	body = memmem(data + 2, size - 2, "\n\r\n", 3);
	writer_init(&w, lines, sizeof(lines));
	write_marked(data + 2, body ? (size_t)(body - data) - 1 : size - 2, &w);
	if (w.overflow)
		return 0;
	message = make(data[0], writer_result(&w),
		body ? (struct span){ (const char *)body + 3, size - (size_t)(body + 3 - data) }
		     : (struct span){ NULL, 0 },
		text);
	if (!message)
		return 0;
	play(message, data[0], &from, &to);
	message_free(message);
	return 0;
}
