/* SPDX-License-Identifier: BSD-3-Clause */
/* Source descriptions and reasons of a compound RTCP packet, overwritten in place. */
#include "dataplane/rtcp.h"

#include <arpa/inet.h>
#include <string.h>

#include "dataplane/checksum.h"
#include "dataplane/packet.h"

/* RFC 3550 section 12. */
enum { RTCP_SDES = 202, RTCP_BYE = 203, SDES_END = 0, SDES_CNAME = 1 };
enum { COMMON_HEADER = 4, SSRC_LENGTH = 4, ITEM_HEADER = 2, COUNT_MASK = 0x1f };

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
		size_t n = ((size_t)ntohs(load_u16(payload + at + 2)) + 1) * 4;
		if (n > length - at || !packet_hide(payload + at, n, key))
			return false;
		at += n;
	}
	if (checksum != 0)
		store_u16(udp + 6, checksum_update(checksum, old, checksum_sum(payload, length)));
	return true;
}
