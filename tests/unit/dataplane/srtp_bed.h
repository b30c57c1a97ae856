/* SPDX-License-Identifier: BSD-3-Clause */
/* Contexts of ours beside sessions of libsrtp2 with its own crypto: the same packets through both must come to the same. */
#ifndef TESTS_UNIT_DATAPLANE_SRTP_BED_H
#define TESTS_UNIT_DATAPLANE_SRTP_BED_H

#include <srtp2/auth.h>
#include <srtp2/cipher.h>
#include <srtp2/crypto_types.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/srtp_plugin.h"

enum { BED_PACKET = 2048, BED_CANARY = 16, BED_PAIRS = 48 };

/* Those libsrtp2 has brought along. */
extern const srtp_cipher_type_t srtp_aes_icm_128, srtp_aes_icm_256, srtp_aes_gcm_128, srtp_aes_gcm_256;
extern const srtp_auth_type_t srtp_hmac;

struct bed_pair {
	struct srtp_context *ours;
	srtp_t theirs;
	uint8_t suite, mki_length;
	bool out;
};

struct bed_buffer {
	const struct bed_pair *pair;
	uint16_t length, room;
	uint8_t data[BED_PACKET + BED_CANARY];
};

typedef void (*bed_burst)(struct srtp_engine *e, struct srtp_job *jobs, unsigned n);

struct bed {
	struct srtp_store *store;
	struct srtp_engine *engine;
	uint64_t random;
	const char *difference; /* the first one */
};

static inline uint64_t bed_random(struct bed *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static inline uint32_t bed_below(struct bed *b, uint32_t n)
{
	return (uint32_t)(bed_random(b) >> 16) % n;
}

static inline void bed_open(struct bed *b, uint64_t seed)
{
	*b = (struct bed){ .random = seed * 2 + 1 };
	if (srtp_open(4 * BED_PAIRS, &b->store) != 0)
		abort();
	b->engine = srtp_engine_new();
	if (b->engine == NULL)
		abort();
}

static inline void bed_close(struct bed *b)
{
	srtp_engine_free(b->engine);
	srtp_close(b->store);
}

/* What sessions are made of from now on. */
static inline void bed_stock_crypto(void)
{
	if (srtp_replace_cipher_type(&srtp_aes_icm_128, SRTP_AES_ICM_128) != srtp_err_status_ok ||
		srtp_replace_cipher_type(&srtp_aes_icm_256, SRTP_AES_ICM_256) != srtp_err_status_ok ||
		srtp_replace_cipher_type(&srtp_aes_gcm_128, SRTP_AES_GCM_128) != srtp_err_status_ok ||
		srtp_replace_cipher_type(&srtp_aes_gcm_256, SRTP_AES_GCM_256) != srtp_err_status_ok ||
		srtp_replace_auth_type(&srtp_hmac, SRTP_HMAC_SHA1) != srtp_err_status_ok)
		abort();
}

static inline void bed_our_crypto(const struct bed *b)
{
	static struct srtp_context context;
	static struct srtp_cold cold;

	memset(&context, 0, sizeof(context));
	memset(&cold, 0, sizeof(cold));
	context.flags = CONTEXT_GCM;
	context.gcm.cold = &cold;
	cold.context = &context;
	arena_init(&cold);
	plugin_call = (struct plugin_call){ .engine = b->engine, .cold = &cold };
	if (plugin_install() != 0)
		abort();
	plugin_call = (struct plugin_call){ 0 };
}

static inline struct dp_crypto bed_key(struct bed *b, uint8_t suite, uint8_t mki_length)
{
	struct dp_crypto key = { .suite = suite, .mki_length = mki_length };

	for (unsigned i = 0; i < srtp_suites[suite].key + srtp_suites[suite].salt; i++)
		key.key[i] = (uint8_t)bed_random(b);
	for (unsigned i = 0; i < mki_length; i++)
		key.mki[i] = (uint8_t)bed_random(b);
	return key;
}

static inline srtp_t bed_session(const struct dp_crypto *key, bool out)
{
	static void (*const set[DP_SRTP_SUITE_COUNT])(srtp_crypto_policy_t *) = {
		[DP_SRTP_AES_CM_128_HMAC_SHA1_80] = srtp_crypto_policy_set_rtp_default,
		[DP_SRTP_AES_CM_128_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
		[DP_SRTP_AES_256_CM_HMAC_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
		[DP_SRTP_AES_256_CM_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
		[DP_SRTP_AEAD_AES_128_GCM] = srtp_crypto_policy_set_aes_gcm_128_16_auth,
		[DP_SRTP_AEAD_AES_256_GCM] = srtp_crypto_policy_set_aes_gcm_256_16_auth,
	};
	struct dp_crypto copy = *key;
	srtp_master_key_t master = { .key = copy.key, .mki_id = copy.mki, .mki_size = copy.mki_length };
	srtp_master_key_t *masters[] = { &master };
	srtp_policy_t policy = { .ssrc.type = out ? ssrc_any_outbound : ssrc_any_inbound,
		.window_size = 128 };
	srtp_t session;

	set[key->suite](&policy.rtp);
	set[key->suite](&policy.rtcp);
	if (key->suite == DP_SRTP_AES_CM_128_HMAC_SHA1_32 || key->suite == DP_SRTP_AES_256_CM_HMAC_SHA1_32)
		policy.rtcp.auth_tag_len = 10;
	if (key->mki_length != 0) {
		policy.keys = masters;
		policy.num_master_keys = 1;
	} else {
		policy.key = copy.key;
	}
	if (srtp_create(&session, &policy) != srtp_err_status_ok)
		abort();
	return session;
}

/* `n` pairs of each direction, the one's key the other's: out[i] to in[i]. */
static inline void bed_pairs(
	struct bed *b, struct bed_pair *out, struct bed_pair *in, const struct dp_crypto *key, unsigned n)
{
	bed_stock_crypto();
	for (unsigned i = 0; i < n; i++) {
		out[i] = (struct bed_pair){ .theirs = bed_session(&key[i], true),
			.suite = key[i].suite,
			.mki_length = key[i].mki_length,
			.out = true };
		in[i] = out[i];
		in[i].out = false;
		in[i].theirs = bed_session(&key[i], false);
	}
	bed_our_crypto(b);
	for (unsigned i = 0; i < n; i++)
		if (srtp_context_new(b->store, &key[i], SRTP_OUT, &out[i].ours) != 0 ||
			srtp_context_new(b->store, &key[i], SRTP_IN, &in[i].ours) != 0)
			abort();
}

static inline void bed_pair_close(const struct bed *b, const struct bed_pair *p)
{
	if (srtp_dealloc(p->theirs) != srtp_err_status_ok)
		abort();
	srtp_context_free(b->store, p->ours);
}

static inline enum srtp_result bed_result(srtp_err_status_t status)
{
	if (status == srtp_err_status_ok)
		return SRTP_OK;
	if (status == srtp_err_status_replay_fail || status == srtp_err_status_replay_old)
		return SRTP_REPLAY;
	return status == srtp_err_status_bad_mki ? SRTP_KEY : SRTP_AUTH;
}

/* libsrtp2 may read and write behind the packet what is not there: its buffers are longer. */
static inline enum srtp_result bed_theirs(const struct bed_pair *p, struct bed_buffer *packet, bool rtcp)
{
	unsigned mki = p->mki_length != 0;
	int length = packet->length;
	srtp_err_status_t status;

	if (p->out)
		status = rtcp ? srtp_protect_rtcp_mki(p->theirs, packet->data, &length, mki, 0)
			      : srtp_protect_mki(p->theirs, packet->data, &length, mki, 0);
	else
		status = rtcp ? srtp_unprotect_rtcp_mki(p->theirs, packet->data, &length, mki)
			      : srtp_unprotect_mki(p->theirs, packet->data, &length, mki);
	if (status == srtp_err_status_ok)
		packet->length = (uint16_t)length;
	return bed_result(status);
}

static inline bool bed_differs(struct bed *b, const char *what)
{
	if (b->difference == NULL)
		b->difference = what;
	return true;
}

/* What ours came to, against what theirs came to. `before`: the packet as it was. `exact`: for the same reason too; where we look at a
 * packet before libsrtp2 does, we may find another one. */
static inline bool bed_compare(struct bed *b, const struct bed_buffer *before, const struct bed_buffer *ours,
	const struct srtp_job *job, const struct bed_buffer *theirs, enum srtp_result result, bool exact)
{
	if (exact ? job->result != result : (job->result == SRTP_OK) != (result == SRTP_OK))
		return bed_differs(b, "result");
	if (memcmp(ours->data + ours->room, before->data + ours->room,
		    BED_PACKET + BED_CANARY - ours->room) != 0)
		return bed_differs(b, "octets behind the room");
	if (result != SRTP_OK)
		return memcmp(ours->data, before->data, before->length) != 0 || job->length != before->length
			       ? bed_differs(b, "a packet that was refused")
			       : false;
	if (job->length != theirs->length)
		return bed_differs(b, "length");
	return memcmp(ours->data, theirs->data, theirs->length) != 0 ? bed_differs(b, "octets") : false;
}

/* Index of the source's last packet. */
static inline bool bed_index(const struct srtp_context *c, uint32_t ssrc, uint64_t *index)
{
	const struct srtp_cold *cold = context_cold(c);
	const struct srtp_source *s = c->source.ssrc == ssrc && c->source.known != 0 ? &c->source : NULL;

	for (unsigned i = 0; s == NULL && i < cold->source_count; i++)
		if (cold->source[i].ssrc == ssrc)
			s = &cold->source[i];
	if (s != NULL)
		*index = s->index;
	return s != NULL;
}

/* One burst through both; of those that both took, `packets` becomes what they made of it, the others get length 0. False: they
 * differ. */
static inline bool bed_run(struct bed *b, struct bed_buffer *packets, unsigned n, bed_burst burst)
{
	static struct bed_buffer ours[SRTP_BURST], theirs[SRTP_BURST];
	struct srtp_job jobs[SRTP_BURST];
	bool same = true;

	for (unsigned i = 0; i < n; i++) {
		memcpy(&ours[i], &packets[i], sizeof(ours[i]));
		memcpy(&theirs[i], &packets[i], sizeof(theirs[i]));
		jobs[i] = (struct srtp_job){ .context = packets[i].pair->ours,
			.packet = ours[i].data,
			.length = packets[i].length,
			.room = packets[i].room };
	}
	burst(b->engine, jobs, n);
	for (unsigned i = 0; i < n; i++) {
		if (jobs[i].result == SRTP_ROOM) {
			packets[i].length = 0;
			continue;
		}
		enum srtp_result result = bed_theirs(packets[i].pair, &theirs[i], false);
		same &= !bed_compare(b, &packets[i], &ours[i], &jobs[i], &theirs[i], result,
			packets[i].pair->mki_length == 0);
		packets[i].length = result == SRTP_OK ? theirs[i].length : 0;
		memcpy(packets[i].data, theirs[i].data, BED_PACKET);
	}
	return same;
}

/* The same for one RTCP packet. */
static inline bool bed_run_rtcp(struct bed *b, struct bed_buffer *packet)
{
	static struct bed_buffer ours, theirs;
	struct srtp_job job = { .context = packet->pair->ours,
		.packet = ours.data,
		.length = packet->length,
		.room = packet->room };

	memcpy(&ours, packet, sizeof(ours));
	memcpy(&theirs, packet, sizeof(theirs));
	if (packet->pair->out)
		srtp_rtcp_protect(b->engine, &job);
	else
		srtp_rtcp_unprotect(b->engine, &job);
	enum srtp_result result = bed_theirs(packet->pair, &theirs, true);
	bool same = !bed_compare(b, packet, &ours, &job, &theirs, result, false);
	packet->length = result == SRTP_OK ? theirs.length : 0;
	memcpy(packet->data, theirs.data, BED_PACKET);
	return same;
}

#endif
