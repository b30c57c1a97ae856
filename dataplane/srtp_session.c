/* SPDX-License-Identifier: BSD-3-Clause */
/* Path A: sessions of libsrtp2, for RTCP and for RTP whose keys have an MKI. Of what it returns two things are made sure here: what is
 * shorter than its own trailer never comes to it, and it never has streams for more sources than the context knows. */
#include <errno.h>
#include <srtp2/crypto_types.h>
#include <srtp2/srtp.h>
#include <string.h>

#include "dataplane/rtp.h"
#include "dataplane/srtp_plugin.h"

enum {
	INDEX = 4, /* of SRTCP, and the E bit */
	REPORTS_MAX = 0x7fffffff, /* RFC 3711 section 9.2 */
	LINE = 64,
	PLUGIN_STATES = 1280, /* what is before it are keys of RTCP */
	ARENA_FIRST = 960, /* one or two streams */
};

static const uint32_t ENCRYPTED = 0x80000000; /* the E bit */

static void begin(struct srtp_engine *e, struct srtp_cold *cold)
{
	plugin_call = (struct plugin_call){ .engine = e, .cold = cold };
}

static void end(void)
{
	plugin_call = (struct plugin_call){ 0 };
}

int library_init(struct srtp_engine *e, struct srtp_cold *cold)
{
	/* Its own ciphers come first: they test themselves and go. */
	if (srtp_init() != srtp_err_status_ok)
		return -EIO;
	(void)srtp_install_event_handler(NULL); /* its own prints */
	begin(e, cold);
	int status = plugin_install();
	end();
	return status;
}

void library_fini(void)
{
	(void)srtp_shutdown();
}

static enum srtp_result result_of(srtp_err_status_t status)
{
	switch (status) {
	case srtp_err_status_ok:
		return SRTP_OK;
	case srtp_err_status_replay_fail:
	case srtp_err_status_replay_old:
		return SRTP_REPLAY;
	case srtp_err_status_key_expired:
	case srtp_err_status_bad_mki:
		return SRTP_KEY;
	default:
		return SRTP_AUTH;
	}
}

static void set_policy(srtp_crypto_policy_t *p, const struct srtp_suite *s, uint8_t tag)
{
	*p = (srtp_crypto_policy_t){
		.cipher_type =
			s->gcm ? (s->key == SRTP_AES_128_KEY_LEN ? SRTP_AES_GCM_128 : SRTP_AES_GCM_256)
			       : (s->key == SRTP_AES_128_KEY_LEN ? SRTP_AES_ICM_128 : SRTP_AES_ICM_256),
		.cipher_key_len = s->key + s->salt,
		.auth_type = s->gcm ? SRTP_NULL_AUTH : SRTP_HMAC_SHA1,
		.auth_key_len = s->gcm ? 0 : SHA1_DIGEST,
		.auth_tag_len = tag,
		.sec_serv = sec_serv_conf_and_auth,
	};
}

int session_open(struct srtp_engine *e, struct srtp_cold *cold, const struct dp_crypto *key)
{
	const struct srtp_suite *suite = &srtp_suites[key->suite];
	struct dp_crypto copy = *key; /* libsrtp2 asks for what it may write to */
	srtp_master_key_t master = { .key = copy.key, .mki_id = copy.mki, .mki_size = key->mki_length };
	srtp_master_key_t *masters[] = { &master };
	srtp_policy_t policy = { .window_size = SRTP_WINDOW };
	bool out = (cold->context->flags & CONTEXT_OUT) != 0;
	srtp_t session = NULL;

	policy.ssrc.type = out ? ssrc_any_outbound : ssrc_any_inbound;
	set_policy(&policy.rtp, suite, suite->tag);
	set_policy(&policy.rtcp, suite, suite->rtcp_tag);
	if (key->mki_length != 0) {
		policy.keys = masters;
		policy.num_master_keys = 1;
	} else {
		policy.key = copy.key;
	}
	begin(e, cold);
	srtp_err_status_t status = srtp_create(&session, &policy);
	end();
	explicit_bzero(&copy, sizeof(copy));
	if (status != srtp_err_status_ok)
		return status == srtp_err_status_alloc_fail ? -ENOMEM : -EINVAL;
	cold->session = session;
	return 0;
}

void session_close(struct srtp_engine *e, struct srtp_cold *cold)
{
	begin(e, cold);
	if (cold->session != NULL)
		(void)srtp_dealloc(cold->session);
	end();
	cold->session = NULL;
}

static int stream_find(const struct srtp_cold *cold, uint32_t ssrc)
{
	for (int i = 0; i < cold->stream_count; i++)
		if (cold->stream[i].ssrc == ssrc)
			return i;
	return -1;
}

/* The one that has been silent longest, long enough; -1: none. What we protect is never forgotten while its key is in use, else the
 * same keystream might come twice. */
static int stream_idle(const struct srtp_cold *cold, uint64_t now_us)
{
	int oldest = 0;

	if ((cold->context->flags & CONTEXT_OUT) != 0)
		return -1;
	for (int i = 1; i < cold->stream_count; i++)
		if (cold->stream_used_us[i] < cold->stream_used_us[oldest])
			oldest = i;
	return now_us - cold->stream_used_us[oldest] >= SRTP_IDLE_SECONDS * 1000000ULL ? oldest : -1;
}

static bool stream_room(const struct srtp_cold *cold, uint32_t ssrc)
{
	return cold->stream_count < SRTP_SSRCS || stream_find(cold, ssrc) >= 0 ||
	       stream_idle(cold, coarse_us()) >= 0;
}

/* libsrtp2 has found a packet authentic, and made a stream if it had none for its source. There was room. Returns its place. */
static int stream_enter(struct srtp_cold *cold, uint32_t ssrc)
{
	uint64_t now_us = coarse_us();
	int at = stream_find(cold, ssrc);

	if (at < 0) {
		if (cold->stream_count < SRTP_SSRCS) {
			at = cold->stream_count++;
		} else {
			at = stream_idle(cold, now_us);
			(void)srtp_remove_stream(cold->session, ntohl(cold->stream[at].ssrc));
		}
		cold->stream[at] = (struct srtp_reports){ .ssrc = ssrc };
	}
	cold->stream_used_us[at] = now_us;
	return at;
}

static enum srtp_result finish(struct srtp_cold *cold, srtp_err_status_t status, uint32_t ssrc)
{
	if (status == srtp_err_status_ok)
		(void)stream_enter(cold, ssrc);
	return result_of(status);
}

static bool expired(const struct srtp_context *c)
{
	return c->packets >= c->limit;
}

static enum srtp_result counted(struct srtp_job *job, enum srtp_result result)
{
	struct srtp_context *c = job->context;

	if (result == SRTP_OK)
		counter_add(&c->packets, 1);
	job->rekey =
		context_rekey(c) || (((c->flags & CONTEXT_OUT) != 0) &&
					    context_cold(c)->stream_count >= SRTP_SSRCS - SRTP_SSRCS / 10);
	return result;
}

static enum srtp_result rtp_out(struct srtp_engine *e, struct srtp_job *job)
{
	struct srtp_context *c = job->context;
	struct srtp_cold *cold = context_cold(c);
	int length = job->length;

	if (job->length < RTP_HEADER || rtp_header_length(job->packet, job->length) == 0)
		return SRTP_AUTH;
	if (job->length + srtp_growth(c, false) > job->room)
		return SRTP_ROOM;
	uint32_t ssrc = load_u32(job->packet + 8);
	if (expired(c) || !stream_room(cold, ssrc))
		return SRTP_KEY;
	begin(e, cold);
	enum srtp_result result = finish(
		cold, srtp_protect_mki(cold->session, job->packet, &length, cold->mki_length != 0, 0), ssrc);
	end();
	if (result == SRTP_OK)
		job->length = (uint16_t)length;
	return result;
}

static enum srtp_result rtp_in(struct srtp_engine *e, struct srtp_job *job)
{
	struct srtp_context *c = job->context;
	struct srtp_cold *cold = context_cold(c);
	int length = job->length;

	if (job->length < RTP_HEADER + srtp_growth(c, false))
		return SRTP_AUTH;
	if (expired(c))
		return SRTP_KEY;
	uint32_t ssrc = load_u32(job->packet + 8);
	if (!stream_room(cold, ssrc))
		return SRTP_REPLAY;
	begin(e, cold);
	enum srtp_result result = finish(
		cold, srtp_unprotect_mki(cold->session, job->packet, &length, cold->mki_length != 0), ssrc);
	end();
	if (result == SRTP_OK)
		job->length = (uint16_t)length;
	return result;
}

/* Sources, engine states, and libsrtp2's session with its first streams, which lie at the beginning of the arena. */
void session_fetch(const struct srtp_context *c)
{
	const struct srtp_cold *cold = context_cold(c);
	const char *first = (const char *)cold, *arena = (const char *)cold->arena;

	for (size_t at = 0; at < offsetof(struct srtp_cold, source); at += LINE)
		__builtin_prefetch(first + at, 1);
	for (size_t at = offsetof(struct srtp_cold, stream); at < offsetof(struct srtp_cold, plugin);
		at += LINE)
		__builtin_prefetch(first + at, 1);
	for (size_t at = PLUGIN_STATES; at < PLUGIN_MEMORY; at += LINE)
		__builtin_prefetch((const char *)cold->plugin + at, 1);
	for (size_t at = 0; at < ARENA_FIRST; at += LINE)
		__builtin_prefetch(arena + at, 1);
}

void session_protect(struct srtp_engine *e, struct srtp_job *job)
{
	job->result = (uint8_t)counted(job, rtp_out(e, job));
}

void session_unprotect(struct srtp_engine *e, struct srtp_job *job)
{
	job->result = (uint8_t)counted(job, rtp_in(e, job));
}

/* Octets of SRTCP behind the MKI: the tag, or with GCM nothing. libsrtp2 looks for the MKI of RTCP where RTP's tag would end, which is
 * another place with a tag of 32 bits; it gets to see none. */
static unsigned behind_mki(const struct srtp_context *c, const struct srtp_cold *cold)
{
	return (c->flags & CONTEXT_GCM) != 0 ? 0 : cold->rtcp_tag;
}

static void mki_insert(
	const struct srtp_context *c, const struct srtp_cold *cold, uint8_t *packet, int *length)
{
	uint8_t *at = packet + *length - behind_mki(c, cold);

	memmove(at + cold->mki_length, at, behind_mki(c, cold));
	memcpy(at, cold->mki, cold->mki_length);
	*length += cold->mki_length;
}

static bool mki_remove(
	const struct srtp_context *c, const struct srtp_cold *cold, uint8_t *packet, int *length)
{
	unsigned behind = behind_mki(c, cold);
	uint8_t *at = packet + *length - behind - cold->mki_length;

	if (memcmp(at, cold->mki, cold->mki_length) != 0)
		return false;
	memmove(at, at + cold->mki_length, behind);
	*length -= cold->mki_length;
	return true;
}

/* RFC 3711 section 9.2 allows a key fewer SRTCP packets than SRTP packets; they have a count of their own. */
static enum srtp_result reported(struct srtp_job *job, struct srtp_cold *cold, enum srtp_result result)
{
	if (result == SRTP_OK)
		cold->reports++;
	job->rekey = cold->reports >= REPORTS_MAX / 10U * 9;
	job->result = (uint8_t)result;
	return result;
}

enum srtp_result srtp_rtcp_protect(struct srtp_engine *e, struct srtp_job *job)
{
	const struct srtp_context *c = job->context;
	struct srtp_cold *cold = context_cold(c);
	int length = job->length;

	if (job->length < RTCP_HEADER)
		return reported(job, cold, SRTP_AUTH);
	if (job->length + srtp_growth(c, true) > job->room)
		return reported(job, cold, SRTP_ROOM);
	uint32_t ssrc = load_u32(job->packet + 4);
	if (cold->reports >= REPORTS_MAX || !stream_room(cold, ssrc))
		return reported(job, cold, SRTP_KEY);
	begin(e, cold);
	enum srtp_result result = finish(cold, srtp_protect_rtcp(cold->session, job->packet, &length), ssrc);
	end();
	if (result == SRTP_OK) {
		mki_insert(c, cold, job->packet, &length);
		job->length = (uint16_t)length;
	}
	return reported(job, cold, result);
}

/* Of SRTCP, with the E bit. */
static uint32_t report_index(
	const struct srtp_context *c, const struct srtp_cold *cold, const uint8_t *packet, int length)
{
	return ntohl(load_u32(packet + length - behind_mki(c, cold) - INDEX));
}

/* libsrtp2's own replay list begins anew with each context; this one goes along with the key (srtp_carry.c). */
static bool report_is_fresh(const struct srtp_cold *cold, uint32_t ssrc, uint32_t index)
{
	int at = stream_find(cold, ssrc);
	const struct srtp_reports *r = at < 0 ? NULL : &cold->stream[at];

	if (r == NULL || r->window == 0 || index > r->index)
		return true;
	uint32_t behind = r->index - index;
	return behind < 64 && (r->window >> behind & 1) == 0;
}

static void report_add(struct srtp_reports *r, uint32_t index)
{
	if (r->window == 0 || index > r->index) {
		uint32_t ahead = r->window == 0 ? 64 : index - r->index;

		r->window = (ahead < 64 ? r->window << ahead : 0) | 1;
		r->index = index;
		return;
	}
	r->window |= 1ULL << (r->index - index);
}

static enum srtp_result open_report(
	struct srtp_context *c, struct srtp_cold *cold, uint8_t *packet, int *length)
{
	uint32_t ssrc = load_u32(packet + 4);
	uint32_t index = report_index(c, cold, packet, *length);

	if (!stream_room(cold, ssrc) || !report_is_fresh(cold, ssrc, index & ~ENCRYPTED))
		return SRTP_REPLAY;
	/* What is not encrypted has not been agreed (RFC 4568 section 6.3.2): libsrtp2 would take it with GCM. */
	if ((index & ENCRYPTED) == 0)
		return SRTP_AUTH;
	srtp_err_status_t status = srtp_unprotect_rtcp(cold->session, packet, length);
	if (status == srtp_err_status_ok) {
		context_change_begin(c);
		report_add(&cold->stream[stream_enter(cold, ssrc)], index & ~ENCRYPTED);
		context_change_end(c);
	}
	return result_of(status);
}

enum srtp_result srtp_rtcp_unprotect(struct srtp_engine *e, struct srtp_job *job)
{
	struct srtp_context *c = job->context;
	struct srtp_cold *cold = context_cold(c);
	int length = job->length;
	enum srtp_result result;

	if (job->length < RTCP_HEADER + srtp_growth(c, true))
		return reported(job, cold, SRTP_AUTH);
	if (cold->reports >= REPORTS_MAX || !mki_remove(c, cold, job->packet, &length))
		return reported(job, cold, SRTP_KEY);
	int whole = length;
	begin(e, cold);
	result = open_report(c, cold, job->packet, &length);
	end();
	if (result == SRTP_OK)
		job->length = (uint16_t)length;
	else
		mki_insert(c, cold, job->packet, &whole);
	return reported(job, cold, result);
}
