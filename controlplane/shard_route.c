/* SPDX-License-Identifier: BSD-3-Clause */
/* Which shard a message belongs to, the tokens that say so, and the way there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/registrar.h"
#include "controlplane/shard_internal.h"
#include "controlplane/stream.h"
#include "controlplane/transaction.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/random.h"

enum {
	SHARD_CHARACTERS = 2,
	RANDOM_CHARACTERS = 16,
	TOKEN_LENGTH = SHARD_CHARACTERS + RANDOM_CHARACTERS,
	BASE = 32
};

_Static_assert((int)TOKEN_LENGTH < (int)SHARD_TOKEN_MAX, "a token and its NUL fit");

static const char digits[BASE + 1] = "0123456789abcdefghijklmnopqrstuv";

int shard_post(struct shard *shard, void (*run)(struct shard *, void *), void *arg)
{
	/* The mailbox's owner is the shard. */
	return mailbox_post(shard->private->mailbox, (void (*)(void *, void *))(void *)run, arg);
}

const char *shard_token(struct shard *shard, char buffer[SHARD_TOKEN_MAX])
{
	buffer[0] = digits[shard->index / BASE % BASE];
	buffer[1] = digits[shard->index % BASE];
	random_token(buffer + SHARD_CHARACTERS, RANDOM_CHARACTERS);
	return buffer;
}

static int digit_value(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

int shard_of_token(struct span text, unsigned count)
{
	int value = 0;

	if (span_starts_case(text, SPAN("z9hG4bK")))
		text = (struct span){ text.p + 7, text.n - 7 };
	if (text.n != TOKEN_LENGTH)
		return -1;
	for (unsigned i = 0; i < TOKEN_LENGTH; i++) {
		int digit = digit_value(text.p[i]);

		if (digit < 0)
			return -1;
		if (i < SHARD_CHARACTERS)
			value = value * BASE + digit;
	}
	return (unsigned)value < count ? value : -1;
}

unsigned shard_of_message(const struct shard *shard, const struct scan *scan)
{
	/* A response comes back to who sent the request; a request of a dialog to who named that. All else goes by the keyed hash of
	 * its Call-ID, which says nothing however it looks: else an outsider could aim all his INVITEs at one shard. */
	int owner = shard_of_token(scan->is_request ? scan->to_tag : scan->branch, shard->count);
	char buffer[REGISTRAR_AOR_MAX];
	struct span aor;

	/* All that concerns an address-of-record happens on one thread (registrar.h); what comes in a dialog is refused there. */
	if (scan->is_request && scan->method == SIP_METHOD_REGISTER && scan->to_tag.n == 0) {
		aor = registrar_aor(scan->to, buffer);
		if (aor.n)
			return registrar_shard(shard, aor);
	}
	if (owner >= 0)
		return (unsigned)owner;
	return (unsigned)(hash_bytes(&shard->shard_key, scan->call_id.p, scan->call_id.n) % shard->count);
}

/* --- INVITEs that replace a dialog (RFC 3891) ------------------------------------------------------------------------- */

/* Where an INVITE has gone from the shard of its Call-ID. Its CANCEL and the ACK of a refusal have nothing of Replaces in them, only the
 * same branch. Sets of a few, in which the oldest gives way: nothing has to be taken out. */
struct move {
	uint64_t key;
	uint32_t turn; /* when it was noted; 0: never */
	uint32_t shard;
};

enum { MOVES_IN_SET = 4 };

struct shard_moves {
	size_t mask; /* of sets */
	uint32_t turn;
	struct move move[];
};

static struct shard_moves *moves_new(size_t entries)
{
	struct shard_moves *moves;
	size_t sets = 1;

	while (sets * MOVES_IN_SET < entries)
		sets *= 2;
	moves = calloc(1, sizeof(*moves) + sets * MOVES_IN_SET * sizeof(struct move));
	if (moves)
		moves->mask = sets - 1;
	return moves;
}

static uint64_t move_key(const struct shard *shard, const struct scan *scan)
{
	const uint64_t parts[] = { hash_bytes(&shard->table_key, scan->call_id.p, scan->call_id.n),
		hash_bytes(&shard->table_key, scan->branch.p, scan->branch.n), scan->cseq_number };

	return hash_bytes(&shard->table_key, parts, sizeof(parts));
}

/* As many as there can be calls: each may be replaced once. Without memory the INVITE stays where it is. */
static bool move_note(struct shard *shard, const struct scan *scan, unsigned target)
{
	struct shard_moves *moves = shard->private->moves;
	uint64_t key = move_key(shard, scan);
	struct move *set, *place;

	if (!moves)
		moves = shard->private->moves = moves_new(shard->config->sip.max_calls);
	if (!moves)
		return false;
	place = set = &moves->move[(key & moves->mask) * MOVES_IN_SET];
	for (unsigned i = 0; i < MOVES_IN_SET; i++) {
		if (set[i].turn && set[i].key == key)
			return true;
		if (set[i].turn < place->turn)
			place = &set[i];
	}
	*place = (struct move){ .key = key, .turn = ++moves->turn, .shard = target };
	return true;
}

static unsigned move_find(const struct shard *shard, const struct scan *scan)
{
	const struct shard_moves *moves = shard->private->moves;
	uint64_t key;

	if (!moves)
		return shard->index;
	key = move_key(shard, scan);
	for (unsigned i = 0; i < MOVES_IN_SET; i++) {
		const struct move *move = &moves->move[(key & moves->mask) * MOVES_IN_SET + i];

		if (move->turn && move->key == key)
			return move->shard;
	}
	return shard->index;
}

int shard_of_dialog(struct span to_tag, struct span from_tag, unsigned count)
{
	int owner = shard_of_token(to_tag, count);

	return owner >= 0 ? owner : shard_of_token(from_tag, count);
}

/* The shard that has the dialog to be replaced, by the tag that we have given it. */
static unsigned shard_of_replaced(const struct shard *shard, const struct scan *scan)
{
	struct span value, tag[2] = { { NULL, 0 }, { NULL, 0 } };
	int owner;

	if (!scan_header_find(scan, SPAN("Replaces"), 0, 0, &value))
		return shard->index;
	span_cut(&value, ';');
	while (value.n) {
		struct span parameter = span_cut(&value, ';'), name = span_trim(span_cut(&parameter, '='));

		if (span_equal_case(name, SPAN("to-tag")))
			tag[0] = span_trim(parameter);
		else if (span_equal_case(name, SPAN("from-tag")))
			tag[1] = span_trim(parameter);
	}
	owner = shard_of_dialog(tag[0], tag[1], shard->count);
	return owner < 0 ? shard->index : (unsigned)owner;
}

/* This is the shard of the message's Call-ID or tag; but it may be about a dialog that another one has. */
static unsigned shard_beyond(struct shard *shard, const struct scan *scan)
{
	unsigned target;

	if (scan->method == SIP_METHOD_CANCEL || scan->method == SIP_METHOD_ACK)
		return move_find(shard, scan);
	if (scan->method != SIP_METHOD_INVITE || !scan->is_request || scan->to_tag.n)
		return shard->index;
	target = shard_of_replaced(shard, scan);
	return target == shard->index || !move_note(shard, scan, target) ? shard->index : target;
}

void shard_moves_free(struct shard_private *private)
{
	free(private->moves);
	private->moves = NULL;
}

/* --- from shard to shard -------------------------------------------------------------------------------------------- */

/* A message on its way; flows name listeners by index, which is the same in all shards. */
struct parcel {
	size_t listener;
	union address remote;
	uint64_t connection;
	const struct config_session_agent *agent; /* of the configuration, which all shards share */
	unsigned from; /* the shard that sent it */
	uint16_t port; /* of shard_admitted */
	bool alias;
	size_t length;
	char bytes[];
};

static struct parcel *parcel_new(const struct shard *shard, const struct sip_flow *flow, struct span bytes)
{
	struct parcel *parcel = malloc(sizeof(*parcel) + bytes.n);

	if (!parcel)
		return NULL;
	parcel->listener = listener_index(flow->listener);
	parcel->remote = flow->remote;
	parcel->connection = flow->connection;
	parcel->agent = flow->agent;
	parcel->from = shard->index;
	parcel->length = bytes.n;
	if (bytes.n)
		memcpy(parcel->bytes, bytes.p, bytes.n);
	return parcel;
}

static struct sip_flow parcel_flow(struct shard *shard, const struct parcel *parcel)
{
	return (struct sip_flow){ .listener = transport_listener(shard, parcel->listener),
		.remote = parcel->remote,
		.connection = parcel->connection,
		.agent = parcel->agent };
}

static void parcel_arrived(struct shard *shard, void *arg)
{
	struct parcel *parcel = arg;
	struct sip_flow flow = parcel_flow(shard, parcel);

	if (flow.listener && shard->transactions)
		transaction_receive(shard, &flow, (struct span){ parcel->bytes, parcel->length });
	free(parcel);
}

/* It has been sent on by the shard of its Call-ID: it goes no further. */
static void parcel_handed_on(struct shard *shard, void *arg)
{
	shard->private->handed_on = true;
	parcel_arrived(shard, arg);
	shard->private->handed_on = false;
}

bool shard_forward(
	struct shard *shard, const struct sip_flow *flow, const struct scan *scan, struct span bytes)
{
	void (*arrived)(struct shard *, void *) = parcel_arrived;
	struct parcel *parcel;
	unsigned target;

	if (shard->count == 1 || shard->private->handed_on)
		return false;
	target = shard_of_message(shard, scan);
	if (target == shard->index) {
		target = shard_beyond(shard, scan);
		arrived = parcel_handed_on;
	}
	if (target == shard->index)
		return false;
	parcel = parcel_new(shard, flow, bytes);
	if (!parcel)
		return true;
	shard_count(shard, SHARD_FORWARDED);
	if (shard_post(shard->all[target], arrived, parcel) < 0)
		free(parcel);
	return true;
}

/* The connection was not there any more: another is found or made here, and what waits for answers on the old one waits on it. */
static void parcel_returned(struct shard *shard, void *arg)
{
	struct parcel *parcel = arg;
	struct sip_flow flow = parcel_flow(shard, parcel);
	uint64_t lost = flow.connection;

	if (flow.listener && shard->transactions) {
		flow.connection = 0;
		if (transport_connect(&flow) == 0) {
			transaction_connection_moved(shard, lost, flow.connection);
			transport_send(&flow, (struct span){ parcel->bytes, parcel->length });
		} else {
			transaction_connection_lost(shard, lost);
		}
	}
	free(parcel);
}

static void parcel_to_send(struct shard *shard, void *arg)
{
	struct parcel *parcel = arg;
	struct sip_flow flow = parcel_flow(shard, parcel);

	if (!flow.listener || stream_send_shared(shard->transport->streams, &flow,
				      (struct span){ parcel->bytes, parcel->length })) {
		free(parcel);
		return;
	}
	if (shard_post(shard->all[parcel->from], parcel_returned, parcel) < 0)
		free(parcel);
}

int shard_send(struct shard *shard, const struct sip_flow *flow, struct span message)
{
	unsigned owner = (unsigned)connection_shard(flow->connection);
	struct parcel *parcel;
	int result;

	if (owner >= shard->count || !shard->all[owner])
		return -ENOTCONN;
	parcel = parcel_new(shard, flow, message);
	if (!parcel)
		return -ENOMEM;
	result = shard_post(shard->all[owner], parcel_to_send, parcel);
	if (result < 0)
		free(parcel);
	return result;
}

static void parcel_admitted(struct shard *shard, void *arg)
{
	struct parcel *parcel = arg;
	struct sip_flow flow = parcel_flow(shard, parcel);

	/* Gone meanwhile: its number is this shard's still, and goes nowhere from here. */
	if (flow.listener)
		transport_admitted(&flow, parcel->port, parcel->alias);
	free(parcel);
}

void shard_admitted(struct shard *shard, const struct sip_flow *flow, uint16_t port, bool alias)
{
	int owner = connection_shard(flow->connection);
	struct parcel *parcel;

	if (owner < 0 || owner == (int)shard->index || owner >= (int)shard->count)
		return;
	parcel = parcel_new(shard, flow, (struct span){ NULL, 0 });
	if (!parcel)
		return;
	parcel->port = port;
	parcel->alias = alias;
	if (shard_post(shard->all[owner], parcel_admitted, parcel) < 0)
		free(parcel);
}
