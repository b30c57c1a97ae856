/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms and certificates, a page at a time. */
#include "controlplane/api_alarm.h"

#include <errno.h>
#include <string.h>

#include "controlplane/alarm.h"
#include "controlplane/tls_expiry.h"

_Static_assert(sizeof(struct cp_alarm_page) + CP_ALARM_PAGE * sizeof(struct cp_alarm) < IPC_PACKET_MAX - 64,
	"a page of alarms fits into a packet");
_Static_assert(sizeof(struct cp_certificate_page) + CP_CERTIFICATE_PAGE * sizeof(struct cp_certificate) <
		       IPC_PACKET_MAX - 64,
	"a page of certificates fits into a packet");
_Static_assert(sizeof(struct cp_alarm) % 8 == 0 && sizeof(struct cp_certificate) % 8 == 0,
	"the API's layout has no padding of the compiler's");

static void answer_alarms(const struct shard_shared *shared, struct ipc_peer *peer,
	const struct ipc_frame *frame, const struct cp_call_list *list)
{
	struct {
		struct cp_alarm_page page;
		struct cp_alarm alarm[CP_ALARM_PAGE];
	} answer;
	size_t limit = list->limit && list->limit < CP_ALARM_PAGE ? list->limit : CP_ALARM_PAGE;

	alarms_list(shared ? shared->alarms : NULL, list->after, limit, &answer.page, answer.alarm);
	ipc_send(peer, CP_ALARM_LIST + CP_REPLY, 0, frame->sequence, &answer,
		sizeof(answer.page) + answer.page.count * sizeof(answer.alarm[0]));
}

static void answer_certificates(const struct shard_shared *shared, struct ipc_peer *peer,
	const struct ipc_frame *frame, const struct cp_call_list *list)
{
	struct {
		struct cp_certificate_page page;
		struct cp_certificate certificate[CP_CERTIFICATE_PAGE];
	} answer;
	size_t limit = list->limit && list->limit < CP_CERTIFICATE_PAGE ? list->limit : CP_CERTIFICATE_PAGE;

	tls_certificates_list(
		shared ? shared->tls : NULL, list->after, limit, &answer.page, answer.certificate);
	ipc_send(peer, CP_CERTIFICATE_LIST + CP_REPLY, 0, frame->sequence, &answer,
		sizeof(answer.page) + answer.page.count * sizeof(answer.certificate[0]));
}

int api_alarm_frame(const struct shard_shared *shared, struct ipc_peer *peer, const struct ipc_frame *frame,
	const void *body)
{
	struct cp_call_list list;

	if ((frame->type != CP_ALARM_LIST && frame->type != CP_CERTIFICATE_LIST) ||
		frame->length < sizeof(list))
		return -EINVAL;
	memcpy(&list, body, sizeof(list));
	if (frame->type == CP_ALARM_LIST)
		answer_alarms(shared, peer, frame, &list);
	else
		answer_certificates(shared, peer, frame, &list);
	return 0;
}
