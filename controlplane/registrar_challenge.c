/* SPDX-License-Identifier: BSD-3-Clause */
/* Challenges of registrars on their way to phones, remembered for as long as an answer may take. */
#include "controlplane/leg.h"
#include "controlplane/registrar_internal.h"
#include "platforms/base/clock.h"

#include <string.h>

static const struct span nothing = { NULL, 0 };

static uint64_t key_of(const struct registrar *registrar, struct span aor, const struct sip_flow *flow)
{
	struct {
		uint64_t aor, connection;
		union address remote;
	} key;

	memset(&key, 0, sizeof(key));
	key.aor = hash_bytes(&registrar->shard->table_key, aor.p, aor.n);
	key.connection = flow->connection;
	key.remote = flow->remote;
	return hash_bytes(&registrar->shard->table_key, &key, sizeof(key));
}

static uint64_t nonce_of(const struct registrar *registrar, struct span value)
{
	struct span nonce = nothing, scheme = span_cut(&value, ' ');

	if (!span_equal_case(span_trim(scheme), SPAN("Digest")))
		return 0;
	for (unsigned n = 0; n < 32; n++) {
		struct span one, name;

		if (!leg_list_value(value, n, &one))
			break;
		name = span_trim(span_cut(&one, '='));
		if (span_equal_case(name, SPAN("nonce")))
			nonce = span_trim(one);
	}
	return nonce.n ? hash_bytes(&registrar->shard->table_key, nonce.p, nonce.n) : 0;
}

struct span register_authorization(const struct scan *request)
{
	struct span value;

	if (scan_header_find(request, SPAN("Authorization"), 0, 0, &value) ||
		scan_header_find(request, SPAN("Proxy-Authorization"), 0, 0, &value))
		return value;
	return nothing;
}

struct challenge *register_challenge_find(
	struct registrar *registrar, struct span aor, const struct sip_flow *flow, struct span authorization)
{
	uint64_t key = key_of(registrar, aor, flow), nonce, now = clock_now_ms();
	struct challenge *set = registrar->challenge[key % CHALLENGE_SETS];

	if (authorization.n == 0)
		return NULL;
	nonce = nonce_of(registrar, authorization);
	for (unsigned i = 0; i < CHALLENGE_WAYS; i++)
		if (set[i].key == key && set[i].until_ms > now && set[i].nonce == nonce)
			return &set[i];
	return NULL;
}

void register_challenge_note(const struct registration *registration, const struct message *response)
{
	struct registrar *registrar = registration->registrar;
	uint64_t key = key_of(registrar, registration->request.aor, &registration->flow);
	struct challenge *set = registrar->challenge[key % CHALLENGE_SETS], *oldest = &set[0];
	struct span value;

	if (!message_header(response, SPAN("WWW-Authenticate"), 0, &value) &&
		!message_header(response, SPAN("Proxy-Authenticate"), 0, &value))
		return;
	for (unsigned i = 0; i < CHALLENGE_WAYS; i++) {
		if (set[i].key == key) {
			oldest = &set[i];
			break;
		}
		if (set[i].until_ms < oldest->until_ms)
			oldest = &set[i];
	}
	*oldest = (struct challenge){ .key = key,
		.nonce = nonce_of(registrar, value),
		.until_ms = clock_now_ms() + CHALLENGE_TIME_MS,
		.cseq = registration->cseq,
		.asked = registration->upstream.remote };
	memcpy(oldest->token, registration->token[0], sizeof(oldest->token));
	if (strlen(registration->call_id) < sizeof(oldest->call_id))
		memcpy(oldest->call_id, registration->call_id, strlen(registration->call_id) + 1);
}
