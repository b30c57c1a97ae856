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

	/* All that concerns an address-of-record happens on one thread (registrar.h). */
	if (scan->is_request && scan->method == SIP_METHOD_REGISTER) {
		aor = registrar_aor(scan->to, buffer);
		if (aor.n)
			return (unsigned)(hash_bytes(&shard->shard_key, aor.p, aor.n) % shard->count);
	}
	if (owner >= 0)
		return (unsigned)owner;
	return (unsigned)(hash_bytes(&shard->shard_key, scan->call_id.p, scan->call_id.n) % shard->count);
}

/* --- from shard to shard -------------------------------------------------------------------------------------------- */

/* A message on its way; flows name listeners by index, which is the same in all shards. */
struct parcel {
	size_t listener;
	union address remote;
	uint64_t connection;
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
		.connection = parcel->connection };
}

static void parcel_arrived(struct shard *shard, void *arg)
{
	struct parcel *parcel = arg;
	struct sip_flow flow = parcel_flow(shard, parcel);

	if (flow.listener && shard->transactions)
		transaction_receive(shard, &flow, (struct span){ parcel->bytes, parcel->length });
	free(parcel);
}

bool shard_forward(
	struct shard *shard, const struct sip_flow *flow, const struct scan *scan, struct span bytes)
{
	struct parcel *parcel;
	unsigned target;

	if (shard->count == 1)
		return false;
	target = shard_of_message(shard, scan);
	if (target == shard->index)
		return false;
	parcel = parcel_new(shard, flow, bytes);
	if (!parcel)
		return true;
	shard_count(shard, SHARD_FORWARDED);
	if (shard_post(shard->all[target], parcel_arrived, parcel) < 0)
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
