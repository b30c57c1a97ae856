/* SPDX-License-Identifier: BSD-3-Clause */
/* Responses built from the pre-scan's spans alone. */
#include "controlplane/reply.h"

#include <string.h>

#include "controlplane/message.h"
#include "controlplane/transaction_internal.h"
#include "platforms/base/clock.h"

/* Per shard. A refusal costs 2 us and is no larger than what it answers plus our tag and its address; more than this per
 * second is a flood, and nobody waits for its answers. */
enum { TAG_LENGTH = 13, BITS_PER_CHARACTER = 5 };

/* End of the piece that starts at `p`: the next `;` or `,` outside of a quoted string. */
static const char *piece_end(const char *p, const char *end)
{
	bool quoted = false;

	for (; p < end; p++) {
		if (quoted && *p == '\\' && end - p > 1)
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (*p == ';' || *p == ','))
			break;
	}
	return p;
}

static bool is_ours_to_set(struct span parameter)
{
	struct span name = span_cut(&parameter, '=');

	name = span_trim(name);
	return span_equal_case(name, SPAN("received")) || span_equal_case(name, SPAN("rport")) ||
	       span_equal_case(name, SPAN("maddr"));
}

/* White space inside a value may be a line fold: one space says the same in one line. */
static void write_unfolded(struct writer *out, struct span text)
{
	text = span_trim(text);
	if (!text.n || !memchr(text.p, '\n', text.n)) {
		writer_span(out, text);
		return;
	}
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\r' || text.p[i] == '\n')
			writer_char(out, ' ');
		else
			writer_char(out, text.p[i]);
	}
}

static void write_top_via(struct writer *out, struct span value, const struct sip_flow *flow)
{
	const char *const end = value.p + value.n;
	const char *p = piece_end(value.p, end);
	char address[ADDRESS_TEXT_MAX];

	writer_text(out, "Via: ");
	write_unfolded(out, (struct span){ value.p, (size_t)(p - value.p) });
	while (p < end && *p == ';') {
		const char *next = piece_end(p + 1, end);
		struct span parameter = { p + 1, (size_t)(next - p - 1) };

		if (!is_ours_to_set(parameter)) {
			writer_char(out, ';');
			write_unfolded(out, parameter);
		}
		p = next;
	}
	writer_text(out, ";received=");
	writer_text(out, address_print_host(&flow->remote, address));
	writer_text(out, ";rport=");
	writer_uint(out, address_port(&flow->remote));
	write_unfolded(out, (struct span){ p, (size_t)(end - p) });
	writer_text(out, "\r\n");
}

static void write_line(struct writer *out, const char *name, struct span value)
{
	writer_text(out, name);
	write_unfolded(out, value);
	writer_text(out, "\r\n");
}

void reply_head(const struct scan *request, const struct sip_flow *flow, unsigned status, struct span reason,
	struct span to_tag, struct writer *out)
{
	struct span via, timestamp;

	writer_text(out, "SIP/2.0 ");
	writer_uint(out, status);
	writer_char(out, ' ');
	if (reason.n)
		writer_span(out, reason);
	else
		writer_text(out, sip_reason(status));
	writer_text(out, "\r\n");
	for (unsigned n = 0; scan_header_find(request, SPAN("Via"), 'v', n, &via); n++) {
		if (n == 0)
			write_top_via(out, via, flow);
		else
			write_line(out, "Via: ", via);
	}
	write_line(out, "From: ", request->from);
	writer_text(out, "To: ");
	write_unfolded(out, request->to);
	if (request->to_tag.n == 0 && to_tag.n) {
		writer_text(out, ";tag=");
		writer_span(out, to_tag);
	}
	writer_text(out, "\r\n");
	write_line(out, "Call-ID: ", request->call_id);
	write_line(out, "CSeq: ", request->cseq);
	/* RFC 3261 section 8.2.6.1. */
	if (status == 100 && scan_header_find(request, SPAN("Timestamp"), 0, 0, &timestamp))
		write_line(out, "Timestamp: ", timestamp);
}

/* The same for each repetition of a request, unlike for another, unforeseeable. */
static struct span stateless_tag(
	const struct transaction_layer *layer, const struct scan *request, char buffer[TAG_LENGTH])
{
	static const char characters[] = "0123456789abcdefghijklmnopqrstuv";
	const struct span piece[] = { request->branch, request->call_id, request->from_tag, request->cseq };
	uint64_t digest[sizeof(piece) / sizeof(piece[0])];
	uint64_t bits;

	for (size_t i = 0; i < sizeof(piece) / sizeof(piece[0]); i++)
		digest[i] = hash_bytes(&layer->tag_key, piece[i].p, piece[i].n);
	bits = hash_bytes(&layer->tag_key, digest, sizeof(digest));
	for (unsigned i = 0; i < TAG_LENGTH; i++) {
		buffer[i] = characters[bits & 31];
		bits >>= BITS_PER_CHARACTER;
	}
	return (struct span){ buffer, TAG_LENGTH };
}

void reply_budget_init(struct transaction_layer *layer)
{
	unsigned rate = layer->shard->config->sip.stateless_rate;

	token_bucket_init(&layer->stateless, rate, rate, clock_now_us());
}

void reply_budget_move(struct shard *shard, struct config_move *move)
{
	unsigned rate = config_move_to(move)->sip.stateless_rate;

	if (shard->transactions)
		token_bucket_change(&shard->transactions->stateless, rate, rate, clock_now_us());
}

struct span reply_write(struct transaction_layer *layer, const struct sip_flow *flow,
	const struct scan *request, unsigned status, struct span to_tag, struct span extra)
{
	char tag[TAG_LENGTH];
	struct writer out;

	writer_init(&out, layer->text, sizeof(layer->text));
	if (to_tag.n == 0)
		to_tag = stateless_tag(layer, request, tag);
	reply_head(request, flow, status, (struct span){ NULL, 0 }, to_tag, &out);
	writer_span(&out, extra);
	message_end(&out, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
	return out.overflow ? (struct span){ NULL, 0 } : writer_result(&out);
}

int reply_send(const struct sip_flow *flow, struct span text)
{
	struct sip_flow back = *flow;

	if (listener_is_reliable(flow->listener))
		address_set_port(&back.remote, 0);
	return transport_send(&back, text);
}

void reply_stateless(struct transaction_layer *layer, const struct sip_flow *flow, const struct scan *request,
	unsigned status, struct span extra)
{
	struct span text;

	if (!token_bucket_take(&layer->stateless, 1, clock_now_us()))
		return;
	text = reply_write(layer, flow, request, status, (struct span){ NULL, 0 }, extra);
	if (text.n)
		reply_send(flow, text);
}
