/* SPDX-License-Identifier: BSD-3-Clause */
/* Which shard a message belongs to, the tokens that say so, and the way there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/shard_internal.h"
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

	if (owner >= 0)
		return (unsigned)owner;
	return (unsigned)(hash_bytes(&shard->shard_key, scan->call_id.p, scan->call_id.n) % shard->count);
}

struct parcel {
	size_t listener;
	union address remote;
	size_t length;
	char bytes[];
};

static void parcel_arrived(struct shard *shard, void *arg)
{
	struct parcel *parcel = arg;
	struct sip_flow flow = { .listener = transport_listener(shard, parcel->listener),
		.remote = parcel->remote };

	if (flow.listener)
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
	parcel = malloc(sizeof(*parcel) + bytes.n);
	if (!parcel)
		return true;
	parcel->listener = listener_index(flow->listener);
	parcel->remote = flow->remote;
	parcel->length = bytes.n;
	memcpy(parcel->bytes, bytes.p, bytes.n);
	shard_count(shard, SHARD_FORWARDED);
	if (shard_post(shard->all[target], parcel_arrived, parcel) < 0)
		free(parcel);
	return true;
}
