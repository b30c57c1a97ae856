/* SPDX-License-Identifier: BSD-3-Clause */
/* OPTIONS: what this SBC can do, and that it is alive. It answers for itself, never for the other side. */
#include "controlplane/core.h"
#include "controlplane/hide.h"

void options_answer(struct transaction *transaction)
{
	char text[256];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	hide_allow(&extra);
	/* No extension is supported yet, and an empty list says so (RFC 3261 section 20.37). */
	writer_text(&extra, "Accept: application/sdp\r\nAccept-Encoding: identity\r\nAccept-Language: "
			    "en\r\nSupported:\r\n");
	core_reply(transaction, 200, writer_result(&extra));
}
