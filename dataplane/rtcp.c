/* SPDX-License-Identifier: BSD-3-Clause */
/* A compound RTCP packet: source descriptions and reasons overwritten in place, reports read. */
#include "dataplane/rtcp.h"

#include <arpa/inet.h>
#include <string.h>

#include "dataplane/checksum.h"
#include "dataplane/packet.h"
#include "dataplane/rtp.h"

/* RFC 3550 section 12. */
enum { RTCP_SR = 200, RTCP_RR = 201, RTCP_SDES = 202, RTCP_BYE = 203, SDES_END = 0, SDES_CNAME = 1 };
enum { COMMON_HEADER = 4, SSRC_LENGTH = 4, ITEM_HEADER = 2, COUNT_MASK = 0x1f };
/* Section 6.4.1: octets of a sender's part and of a report block, and what is where in them. */
enum {
	SENDER_INFO = 20,
	BLOCK = 24,
	SR_NTP_MIDDLE = COMMON_HEADER + SSRC_LENGTH + 2,
	BLOCK_LOST = 4,
	BLOCK_JITTER = 12,
	BLOCK_LSR = 16,
	BLOCK_DLSR = 20,
};
enum { ROUND_TRIP_MAX_US = 60000000 };

/* Of the packet that begins at `p`, within a compound one. */
static size_t packet_length(const uint8_t *p)
{
	return ((size_t)ntohs(load_u16(p + 2)) + 1) * 4;
}

/* Letters out of a hash; 16 to a round. */
static void name_write(uint8_t *p, size_t length, uint64_t hash)
{
	static const char letters[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		p[i] = (uint8_t)letters[hash >> 60];
		hash = hash << 4 | hash >> 60;
		if (i % 16 == 15)
			hash = (hash ^ hash >> 29) * 0x9e3779b97f4a7c15ULL;
	}
}

static void item_hide(uint8_t type, uint8_t *text, size_t length, const struct hash_key *key)
{
	if (type == SDES_CNAME)
		name_write(text, length, hash_bytes(key, text, length));
	else
		memset(text, ' ', length);
}

/* One chunk: SSRC, items, an END and padding to a multiple of four. Its length; 0: it does not end where the packet does. */
static size_t chunk_hide(uint8_t *chunk, size_t left, const struct hash_key *key)
{
	size_t at = SSRC_LENGTH;

	while (at < left && chunk[at] != SDES_END) {
		if (at + ITEM_HEADER > left || at + ITEM_HEADER + chunk[at + 1] > left)
			return 0;
		item_hide(chunk[at], chunk + at + ITEM_HEADER, chunk[at + 1], key);
		at += ITEM_HEADER + (size_t)chunk[at + 1];
	}
	if (at < left)
		at = at / 4 * 4 + 4;
	return at <= left ? at : 0; /* without an END at the very end: seen, and harmless */
}

static bool sdes_hide(uint8_t *packet, size_t length, const struct hash_key *key)
{
	unsigned chunks = packet[0] & COUNT_MASK;
	size_t at = COMMON_HEADER;

	while (chunks-- > 0) {
		size_t n = at + SSRC_LENGTH <= length ? chunk_hide(packet + at, length - at, key) : 0;

		if (n == 0)
			return false;
		at += n;
	}
	/* What a receiver does not look at may still be read. */
	memset(packet + at, 0, length - at);
	return true;
}

static bool bye_hide(uint8_t *packet, size_t length, const struct hash_key *key)
{
	size_t at = COMMON_HEADER + (size_t)(packet[0] & COUNT_MASK) * SSRC_LENGTH;

	(void)key;
	if (at > length)
		return false;
	if (at == length)
		return true;
	if (at + 1 + packet[at] > length)
		return false;
	memset(packet + at + 1, ' ', packet[at]);
	return true;
}

static bool packet_hide(uint8_t *packet, size_t length, const struct hash_key *key)
{
	if (packet[1] == RTCP_SDES)
		return sdes_hide(packet, length, key);
	if (packet[1] == RTCP_BYE)
		return bye_hide(packet, length, key);
	return true;
}

bool rtcp_hide(uint8_t *udp, size_t length, const struct hash_key *key)
{
	uint8_t *payload = udp + UDP_HEADER;
	uint16_t checksum = load_u16(udp + 6);
	uint64_t old = checksum_sum(payload, length);
	size_t at = 0;

	while (at < length) {
		if (length - at < COMMON_HEADER || payload[at] >> 6 != 2)
			return false;
		size_t n = packet_length(payload + at);
		if (n > length - at || !packet_hide(payload + at, n, key))
			return false;
		at += n;
	}
	if (checksum != 0)
		store_u16(udp + 6, checksum_update(checksum, old, checksum_sum(payload, length)));
	return true;
}

void rtcp_sent(struct rtcp_reports *r, const uint8_t *payload, size_t length, uint32_t ssrc, uint64_t now_us)
{
	for (size_t at = 0; at < length; at += packet_length(payload + at)) {
		const uint8_t *p = payload + at;

		if (p[1] != RTCP_SR || packet_length(p) < COMMON_HEADER + SSRC_LENGTH + SENDER_INFO ||
			load_u32(p + COMMON_HEADER) != ssrc || load_u32(p + SR_NTP_MIDDLE) == 0)
			continue;
		r->sent[r->next].ntp = load_u32(p + SR_NTP_MIDDLE);
		r->sent[r->next].sent_us = (uint32_t)now_us;
		r->next = (r->next + 1) % RTCP_SENT;
	}
}

/* Modulo 2^32 microseconds, so that even an hour-old report is right. Time is counted in the rounds of the worker: what is shorter
 * than one counts as a microsecond. */
static void round_trip(struct rtcp_reports *r, uint32_t lsr, uint32_t dlsr, uint64_t now_us)
{
	for (unsigned i = 0; i < RTCP_SENT; i++) {
		if (lsr == 0 || r->sent[i].ntp != lsr)
			continue;
		uint32_t held_us = (uint32_t)((uint64_t)dlsr * 15625 >> 10); /* of 1/65536 s */
		uint32_t us = (uint32_t)now_us - r->sent[i].sent_us - held_us;

		if (us > ROUND_TRIP_MAX_US)
			return;
		counter_set32(&r->round_trip_us, us == 0 ? 1 : us);
		if (r->round_trip_us > r->round_trip_max_us)
			counter_set32(&r->round_trip_max_us, r->round_trip_us);
		return;
	}
}

static void block_read(struct rtcp_reports *r, const uint8_t *block, uint64_t now_us)
{
	uint32_t word = ntohl(load_u32(block + BLOCK_LOST));
	uint32_t lost = word & 0xffffff;

	counter_set32(&r->last, RTCP_REPORTED | word >> 24);
	counter_set32(&r->lost, (lost & 0x800000) != 0 ? 0 : lost);
	counter_set32(&r->jitter, ntohl(load_u32(block + BLOCK_JITTER)));
	round_trip(r, load_u32(block + BLOCK_LSR), ntohl(load_u32(block + BLOCK_DLSR)), now_us);
}

void rtcp_received(
	struct rtcp_reports *r, const uint8_t *payload, size_t length, uint32_t ssrc, uint64_t now_us)
{
	for (size_t at = 0; at < length; at += packet_length(payload + at)) {
		const uint8_t *p = payload + at;
		size_t n = packet_length(p), block = COMMON_HEADER + SSRC_LENGTH;
		unsigned count = p[0] & COUNT_MASK;

		if (p[1] != RTCP_SR && p[1] != RTCP_RR)
			continue;
		if (p[1] == RTCP_SR)
			block += SENDER_INFO;
		for (; count > 0 && block + BLOCK <= n; count--, block += BLOCK)
			if (load_u32(p + block) == ssrc)
				block_read(r, p + block, now_us);
	}
}
