/* SPDX-License-Identifier: BSD-3-Clause */
/* The OPTIONS that keeps a NAT open (RFC 3261 section 11.1). */
#include "controlplane/hide.h"
#include "controlplane/keep_alive_internal.h"
#include "controlplane/transaction.h"

/* `address` before its port, the way it stands in Via and Contact. */
static void write_own(const struct sip_flow *flow, struct writer *out)
{
	char text[ADDRESS_TEXT_MAX];
	const union address *own = listener_address(flow->listener);

	writer_text(out, address_print_uri(own, text));
	writer_char(out, ':');
	writer_uint(out, address_port(own));
}

struct span keep_alive_write(
	const struct keeper *keeper, const struct sip_flow *flow, char text[KEEP_ALIVE_TEXT_MAX])
{
	const struct binding *binding = keeper->binding;
	enum config_transport transport;
	struct writer out;

	if (!flow->listener)
		return (struct span){ NULL, 0 };
	transport = listener_transport(flow->listener);
	writer_init(&out, text, KEEP_ALIVE_TEXT_MAX);
	writer_text(&out, "OPTIONS ");
	writer_span(&out, binding->contact);
	writer_text(&out, " SIP/2.0\r\nVia: SIP/2.0/");
	writer_text(&out, transport_via_name(transport));
	writer_char(&out, ' ');
	write_own(flow, &out);
	writer_text(&out, ";rport;branch=z9hG4bK");
	writer_text(&out, keeper->branch);
	if (binding->path.n) {
		writer_text(&out, "\r\nRoute: ");
		writer_span(&out, binding->path);
	}
	/* Tag and Call-ID of their own each time: nobody is to take it for a dialog's. */
	writer_text(&out, "\r\nMax-Forwards: 70\r\nFrom: <sip:");
	write_own(flow, &out);
	writer_text(&out, ">;tag=");
	writer_text(&out, keeper->branch);
	writer_text(&out, "\r\nTo: <");
	writer_span(&out, binding->contact);
	writer_text(&out, ">\r\nCall-ID: ");
	writer_text(&out, keeper->branch);
	writer_text(&out, "\r\nCSeq: 1 OPTIONS\r\nContact: <sip:");
	write_own(flow, &out);
	writer_text(&out, transport_uri_parameter(transport));
	writer_text(&out, ">\r\nAccept: application/sdp\r\n");
	hide_product(keeper->all->shard->config, true, &out);
	message_end(&out, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
	return out.overflow ? (struct span){ NULL, 0 } : writer_result(&out);
}
