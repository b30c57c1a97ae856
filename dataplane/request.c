/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks a session request of the API byte by byte before anything is done with it. */
#include <errno.h>
#include <string.h>

#include "dataplane/session.h"

enum { PAYLOAD_TYPE_MAX = 127 };

/* Where no peer can be: unspecified, loopback, multicast, broadcast, IPv4 in IPv6 clothes. */
static bool unicast(const struct dp_address *a)
{
	static const uint8_t zero[16];
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (a->family == 4)
		return a->ip[0] != 0 && a->ip[0] != 127 && a->ip[0] < 224;
	if (memcmp(a->ip, zero, 15) == 0 && a->ip[15] <= 1)
		return false;
	return a->ip[0] != 0xff && memcmp(a->ip, mapped, sizeof(mapped)) != 0;
}

static bool address_ok(const struct dp_address *a, uint8_t family, bool port)
{
	if (a->family == 0)
		return true;
	return a->family == family && unicast(a) && (!port || a->port != 0);
}

/* Master key and salt of each suite, in octets (RFC 4568 section 6.2, RFC 6188 section 2, RFC 7714 section 14.3). */
static const uint8_t key_lengths[DP_SRTP_SUITE_COUNT] = {
	[DP_SRTP_AES_CM_128_HMAC_SHA1_80] = 30,
	[DP_SRTP_AES_CM_128_HMAC_SHA1_32] = 30,
	[DP_SRTP_AES_256_CM_HMAC_SHA1_80] = 46,
	[DP_SRTP_AES_256_CM_HMAC_SHA1_32] = 46,
	[DP_SRTP_AEAD_AES_128_GCM] = 28,
	[DP_SRTP_AEAD_AES_256_GCM] = 44,
};

static bool is_zero(const uint8_t *p, size_t length)
{
	uint8_t any = 0;

	while (length-- > 0)
		any |= *p++;
	return any == 0;
}

/* What the suite does not use is 0, so that equal keys are equal octets; a key of zeros alone is one that was forgotten. */
static bool crypto_ok(const struct dp_crypto *c)
{
	if (c->suite >= DP_SRTP_SUITE_COUNT || c->mki_length > DP_SRTP_MKI_MAX ||
		!is_zero(c->reserved, sizeof(c->reserved)))
		return false;
	size_t used = key_lengths[c->suite];
	if (used == 0 && (c->mki_length != 0 || c->lifetime != 0))
		return false;
	if (used != 0 && is_zero(c->key, used))
		return false;
	return is_zero(c->key + used, sizeof(c->key) - used) &&
	       is_zero(c->mki + c->mki_length, sizeof(c->mki) - c->mki_length);
}

static bool keys_ok(const struct dp_side_request *s, uint8_t kind)
{
	bool from = s->from.suite != DP_SRTP_NONE, to = s->to.suite != DP_SRTP_NONE;

	return crypto_ok(&s->from) && crypto_ok(&s->to) && from == to && (!from || kind == DP_MEDIA_RTP);
}

static bool side_ok(const struct dp_side_request *s, uint8_t kind)
{
	if (memchr(s->realm, 0, sizeof(s->realm)) == NULL || s->realm[0] == '\0')
		return false;
	if (s->family != 4 && s->family != 6)
		return false;
	if (s->latching > DP_LATCHING_RELATCH ||
		(s->flags & ~(DP_SIDE_RTCP_MUX | DP_SIDE_MUTED | DP_SIDE_QUIET)) != 0)
		return false;
	if (s->telephone_event > PAYLOAD_TYPE_MAX)
		return false;
	if (s->signalling.family != 0 && s->signalling.family != 4 && s->signalling.family != 6)
		return false;
	/* Signalling may well run over the other family; it cannot be a source of this media then. */
	if (s->signalling.family == s->family && !unicast(&s->signalling))
		return false;
	if (!keys_ok(s, kind))
		return false;
	return address_ok(&s->rtp, s->family, true) && address_ok(&s->rtcp, s->family, true);
}

int request_validate(const struct dp_session_request *request, size_t length)
{
	if (length < sizeof(*request) || request->streams > DP_STREAMS_MAX ||
		request->blob_length > DP_BLOB_MAX || length - sizeof(*request) != request->blob_length ||
		request->owner >= DP_OWNERS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < request->streams; i++) {
		const struct dp_stream_request *s = &request->stream[i];

		if (s->kind > DP_MEDIA_OTHER)
			return -EINVAL;
		if (s->kind != DP_MEDIA_NONE &&
			(!side_ok(&s->side[0], s->kind) || !side_ok(&s->side[1], s->kind)))
			return -EINVAL;
	}
	return 0;
}
