/* SPDX-License-Identifier: BSD-3-Clause */
/* A REFER that names a dialog of another shard: that one is asked, by mailbox, what the dialog is called and who its other party is. Nothing
 * of a shard is read by another. docs/decisions/0053-transfer.md */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call_transfer_internal.h"
#include "controlplane/core.h"
#include "controlplane/hide.h"
#include "controlplane/transport_internal.h"

/* There and back: the same memory. */
struct question {
	unsigned from; /* the shard that asks */
	const struct config_realm *realm; /* of who has named it */
	struct dialog_name name;
	struct dialog_name asker; /* dialog of the REFER, to be found again */
	uint32_t cseq; /* of the REFER */
	struct foreign_dialog answer;
	struct writer text; /* of all spans */
	char buffer[8 * LEG_TEXT_MAX];
};

static struct span keep(struct question *question, struct span text)
{
	size_t start = question->text.len;

	writer_span(&question->text, text);
	return question->text.overflow ? (struct span){ NULL, 0 }
				       : (struct span){ question->buffer + start, text.n };
}

static struct dialog_name keep_name(struct question *question, const struct dialog_name *name)
{
	return (struct dialog_name){ .call_id = keep(question, name->call_id),
		.to_tag = keep(question, name->to_tag),
		.from_tag = keep(question, name->from_tag),
		.early_only = name->early_only };
}

/* --- the shard that has asked -------------------------------------------------------------------------------------------- */

static void answered(struct shard *shard, void *arg)
{
	struct question *question = arg;
	struct leg *leg = NULL;

	/* The call may have ended meanwhile, or its REFER been answered. */
	if (shard->transactions)
		leg = transfer_find_dialog(shard, question->realm, &question->asker);
	if (leg && leg->call->transfer && leg->call->transfer->asking &&
		leg->call->transfer->asking_cseq == question->cseq)
		transfer_resume(leg, &question->answer);
	free(question);
}

/* --- the shard that has the dialog ---------------------------------------------------------------------------------------- */

static void describe(struct question *question, const struct leg *other, bool turned)
{
	struct foreign_dialog *answer = &question->answer;
	struct name_addr address;
	struct dialog_name name;
	struct sip_uri uri;

	transfer_write_dialog(other, &name);
	if (turned)
		name = (struct dialog_name){ name.call_id, name.from_tag, name.to_tag, false };
	name.early_only = question->name.early_only;
	answer->name = keep_name(question, &name);
	answer->realm = other->realm;
	answer->agent = other->agent;
	answer->knows_replaces = leg_peer_supports(other, SIP_OPTION_REPLACES);
	answer->listener = listener_index(other->flow.listener);
	answer->remote = other->flow.remote;
	answer->connection = other->flow.connection;
	answer->target = keep(question, span_from(other->target));
	if (name_addr_parse(span_from(other->remote), &address) == 0 && sip_uri_parse(address.uri, &uri) == 0)
		answer->user = keep(question, hide_user(&uri));
	if (question->text.overflow)
		*answer = (struct foreign_dialog){ .status = 481 };
}

static void look_up(struct shard *shard, struct question *question)
{
	const struct leg *named, *other;
	bool turned;

	question->answer.status = 481;
	named = shard->transactions ? dialog_find(shard, question->realm, &question->name, &turned) : NULL;
	other = named ? call_peer(named) : NULL;
	if (!other || other->gone || !other->remote_tag)
		return;
	if (!question->name.early_only && transfer_is_settling(named->call))
		question->answer.status = 491;
	else if (!question->name.early_only && named->call->state == CALL_ESTABLISHED)
		question->answer.status = 0;
	describe(question, other, turned);
}

static void asked(struct shard *shard, void *arg)
{
	struct question *question = arg;

	look_up(shard, question);
	/* Lost to a full mailbox: the one who asks has a timer. */
	if (shard_post(shard->all[question->from], answered, question) < 0)
		free(question);
}

/* --- asking --------------------------------------------------------------------------------------------------------------- */

static void no_answer(struct timer *timer, void *arg)
{
	struct transfer *transfer = arg;

	(void)timer;
	transfer_resume(&transfer->call->leg[transfer->asking_side], NULL);
}

int transfer_ask(struct leg *leg, struct transaction *transaction, const struct message *refer,
	const struct dialog_name *name, unsigned owner)
{
	struct transfer *transfer = transfer_of(leg->call);
	struct question *question = calloc(1, sizeof(*question));
	struct dialog_name asker = { .call_id = span_from(leg->call_id),
		.to_tag = span_from(leg->local_tag),
		.from_tag = span_from(leg->remote_tag) };
	int error = transfer && question ? 0 : -ENOMEM;

	if (!error) {
		writer_init(&question->text, question->buffer, sizeof(question->buffer));
		question->from = leg->shard->index;
		question->realm = leg->realm;
		question->name = keep_name(question, name);
		question->asker = keep_name(question, &asker);
		question->cseq = message_scan(refer)->cseq_number;
		error = question->text.overflow ? -ENOBUFS
						: shard_post(leg->shard->all[owner], asked, question);
	}
	if (error) {
		free(question);
		return error;
	}
	transfer_hold(leg, transaction, leg->shard->config->sip.t2_ms, no_answer);
	return 0;
}
