/* SPDX-License-Identifier: BSD-3-Clause */
/* OPTIONS: what this SBC can do, and that it is alive. It answers for itself, never for the other side. */
#include "controlplane/core.h"
#include "controlplane/shard.h"

void options_answer(struct transaction *transaction)
{
	const struct config *config = transaction_shard(transaction)->config;
	char text[1024];
	struct writer extra;

	writer_init(&extra, text, sizeof(text));
	core_allow(&extra);
	writer_text(
		&extra, "Accept: application/sdp\r\nAccept-Encoding: identity\r\nAccept-Language: en\r\n");
	core_supported(&extra);
	core_allow_events(config, &extra);
	core_list("Recv-Info", &config->sip.info_packages, &extra);
	core_reply(transaction, 200, extra.overflow ? (struct span){ NULL, 0 } : writer_result(&extra));
}
