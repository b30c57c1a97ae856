/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of calls, a page at a time. */
#include "controlplane/api_record.h"

#include <errno.h>
#include <string.h>

#include "controlplane/store_record.h"

enum { PAGE_OCTETS = 48 * 1024 };
_Static_assert(sizeof(struct cp_record_page) + PAGE_OCTETS < IPC_PACKET_MAX - 64,
	"a page of records fits into a packet");

int api_record_frame(const struct shard_shared *shared, struct ipc_peer *peer, const struct ipc_frame *frame,
	const void *body)
{
	struct {
		struct cp_record_page page;
		char records[PAGE_OCTETS];
	} answer;
	struct cp_record_list ask;
	size_t length = 0;
	int error;

	if (frame->type != CP_RECORD_LIST || frame->length < sizeof(ask))
		return -EINVAL;
	memcpy(&ask, body, sizeof(ask));
	error = record_store_list(shared ? shared->records : NULL, &ask, &answer.page, answer.records,
		sizeof(answer.records), &length);
	ipc_send(peer, CP_RECORD_LIST + CP_REPLY, (int16_t)error, frame->sequence, &answer,
		error ? 0 : sizeof(answer.page) + length);
	return 0;
}
