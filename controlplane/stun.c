/* SPDX-License-Identifier: BSD-3-Clause */
/* STUN Binding requests on the SIP port: told from SIP, read, answered to those who may know that somebody is here. */
#include "controlplane/stun.h"

#include <string.h>

#include "controlplane/keep_alive.h"
#include "controlplane/route.h"
#include "controlplane/transaction_internal.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"

/* RFC 8489 sections 5, 14 and 18. */
enum {
	HEADER = 20,
	ATTRIBUTE_HEADER = 4,
	FINGERPRINT_VALUE = 4,
	BINDING_REQUEST = 0x0001,
	BINDING_SUCCESS = 0x0101,
	ATTRIBUTE_USERNAME = 0x0006,
	ATTRIBUTE_MESSAGE_INTEGRITY = 0x0008,
	ATTRIBUTE_REALM = 0x0014,
	ATTRIBUTE_NONCE = 0x0015,
	ATTRIBUTE_XOR_MAPPED_ADDRESS = 0x0020,
	ATTRIBUTE_OPTIONAL = 0x8000, /* from here on nobody has to understand them */
	ATTRIBUTE_FINGERPRINT = 0x8028,
	FAMILY_IPV4 = 1,
	FAMILY_IPV6 = 2,
};
static const uint8_t cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };
static const uint32_t fingerprint_xor = 0x5354554e;

/* --- octets ----------------------------------------------------------------------------------------------------------- */

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint8_t *put16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t value)
{
	return put16(put16(p, value >> 16), value & 0xffff);
}

/* CRC-32 of ITU-T V.42: a few hundred octets at most, so without a table. */
static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

/* Of those that must be understood: credentials, which nobody asks for on this port, do no harm. */
static bool is_understood(unsigned type)
{
	return type >= ATTRIBUTE_OPTIONAL || type == ATTRIBUTE_USERNAME ||
	       type == ATTRIBUTE_MESSAGE_INTEGRITY || type == ATTRIBUTE_REALM || type == ATTRIBUTE_NONCE;
}

static bool attributes_read(const uint8_t *message, size_t n, struct stun_request *out)
{
	size_t at = HEADER;

	while (at < n) {
		unsigned type, length;
		size_t padded;

		if (n - at < ATTRIBUTE_HEADER)
			return false;
		type = get16(message + at);
		length = get16(message + at + 2);
		padded = ((size_t)length + 3) & ~(size_t)3;
		if (padded > n - at - ATTRIBUTE_HEADER || !is_understood(type))
			return false;
		if (type == ATTRIBUTE_FINGERPRINT) {
			/* The last one, over all before it. */
			if (length != FINGERPRINT_VALUE || at + ATTRIBUTE_HEADER + padded != n ||
				get32(message + at + ATTRIBUTE_HEADER) !=
					(crc32(message, at) ^ fingerprint_xor))
				return false;
			out->fingerprint = true;
		}
		at += ATTRIBUTE_HEADER + padded;
	}
	return true;
}

enum stun_verdict stun_parse(struct span datagram, struct stun_request *out)
{
	const uint8_t *message = (const uint8_t *)datagram.p;

	/* No SIP message begins with two zero bits but for line ends, and none of these has the cookie. */
	if (datagram.n < HEADER || (message[0] & 0xc0) || memcmp(message + 4, cookie, sizeof(cookie)) != 0)
		return STUN_NONE;
	*out = (struct stun_request){ .fingerprint = false };
	if (datagram.n > STUN_REQUEST_MAX || get16(message) != BINDING_REQUEST || datagram.n % 4 ||
		get16(message + 2) != datagram.n - HEADER || !attributes_read(message, datagram.n, out))
		return STUN_UNWANTED;
	memcpy(out->id, message + 8, sizeof(out->id));
	return STUN_BINDING;
}

/* --- answering -------------------------------------------------------------------------------------------------------- */

static uint8_t *write_mapped(uint8_t *p, const uint8_t *mask, const union address *source)
{
	bool v6 = source->sa.sa_family == AF_INET6;
	const uint8_t *host =
		v6 ? source->in6.sin6_addr.s6_addr : (const uint8_t *)&source->in4.sin_addr.s_addr;
	unsigned octets = v6 ? 16 : 4;

	p = put16(p, ATTRIBUTE_XOR_MAPPED_ADDRESS);
	p = put16(p, 4 + octets);
	p = put16(p, v6 ? FAMILY_IPV6 : FAMILY_IPV4);
	p = put16(p, address_port(source) ^ get16(cookie));
	/* The mask is cookie and transaction ID as they stand in the header (section 14.2). */
	for (unsigned i = 0; i < octets; i++)
		*p++ = host[i] ^ mask[i];
	return p;
}

size_t stun_write(
	const struct stun_request *request, const union address *source, uint8_t out[STUN_RESPONSE_MAX])
{
	uint8_t *p;
	size_t length;

	put16(out, BINDING_SUCCESS);
	memcpy(out + 4, cookie, sizeof(cookie));
	memcpy(out + 8, request->id, sizeof(request->id));
	p = write_mapped(out + HEADER, out + 4, source);
	length = (size_t)(p - out) + (request->fingerprint ? ATTRIBUTE_HEADER + FINGERPRINT_VALUE : 0);
	put16(out + 2, (unsigned)(length - HEADER));
	if (request->fingerprint) {
		uint32_t crc = crc32(out, (size_t)(p - out)) ^ fingerprint_xor;

		p = put16(p, ATTRIBUTE_FINGERPRINT);
		p = put16(p, FINGERPRINT_VALUE);
		put32(p, crc);
	}
	return length;
}

/* An answer says that somebody is here: strangers get none where SIP itself is silent to them. */
static bool may_know(const struct shard *shard, const struct sip_flow *flow)
{
	const struct config_realm *realm = listener_interface(flow->listener)->realm;
	struct binding *binding;

	if (!shard->config->guard.silent || realm->trust == CONFIG_TRUST_TRUSTED ||
		route_agent_by_flow(shard, flow))
		return true;
	binding = shard->shared.location ? location_by_flow(shard->shared.location, flow) : NULL;
	binding_put(binding);
	return binding != NULL;
}

bool stun_receive(const struct sip_flow *flow, struct span datagram)
{
	struct shard *shard = flow->listener->shard;
	uint8_t answer[STUN_RESPONSE_MAX];
	struct stun_request request;
	enum stun_verdict verdict = stun_parse(datagram, &request);

	if (verdict == STUN_NONE)
		return false;
	shard_count(shard, RX_STUN);
	if (verdict == STUN_BINDING && shard->transactions && may_know(shard, flow) &&
		token_bucket_take(&shard->transactions->stateless, 1, clock_now_us())) {
		size_t length = stun_write(&request, &flow->remote, answer);

		keep_alive_heard(shard, flow);
		transport_send(flow, (struct span){ (const char *)answer, length });
	}
	return true;
}
