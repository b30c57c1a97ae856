/* SPDX-License-Identifier: BSD-3-Clause */
/* SRTP and SRTCP with hostile packets: whatever comes, ours and libsrtp2 with its own crypto say the same of it, and nothing is read or
 * written that is not the packet's.
 *
 * Input: records { pair, flags, sequence number, length, patches, octets }. A pair is a suite with or without MKI; what it protects comes
 * back to it, changed by the patches, or the octets come in its place. All records of an input are one burst each way. */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/dataplane/srtp_bed.h"

enum { SUITES = DP_SRTP_SUITE_COUNT - 1, PAIRS = 2 * SUITES, SOURCES = 4, RECORD = 8 };

enum flag { RTCP = 1, RAW = 2, TWICE = 4, CUT = 8 };

static struct bed bed;
static struct bed_pair out[PAIRS], in[PAIRS];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct dp_crypto key[PAIRS];

	(void)argc;
	(void)argv;
	bed_open(&bed, 1);
	for (unsigned i = 0; i < PAIRS; i++)
		key[i] = bed_key(
			&bed, (uint8_t)(1 + i % SUITES), i < SUITES ? 0 : (uint8_t)(1 + i % DP_SRTP_MKI_MAX));
	bed_pairs(&bed, out, in, key, PAIRS);
	return 0;
}

/* A packet with the octets in it, from one of some sources: what we protect for is never forgotten. */
static void build(struct bed_buffer *p, const uint8_t *record, const uint8_t *octets, size_t n)
{
	uint8_t flags = record[1];

	memset(p->data, 0, sizeof(p->data));
	memcpy(p->data, octets, n);
	p->length = (uint16_t)(12 + record[4] * 4 + n);
	p->room = BED_PACKET;
	if ((flags & RAW) != 0) {
		p->length = p->room = (uint16_t)n;
		return;
	}
	memcpy(p->data + 2, record + 2, 2);
	memset(p->data + ((flags & RTCP) != 0 ? 4 : 8), 1 + record[5] % SOURCES, 4);
}

static void patch(struct bed_buffer *p, const uint8_t *record)
{
	if (record[6] != 0 && p->length != 0)
		p->data[(record[6] * 7U) % p->length] ^= record[7];
	if ((record[1] & CUT) != 0)
		p->length = (uint16_t)(p->length * record[7] / 255);
	p->room = p->length;
}

static void same(bool is)
{
	if (!is) {
		fprintf(stderr, "differs: %s\n", bed.difference);
		abort();
	}
}

/* libsrtp2 looks for the MKI of SRTCP in the wrong place with these suites. */
static bool incomparable(const struct bed_pair *p)
{
	return p->mki_length != 0 && srtp_suites[p->suite].tag != srtp_suites[p->suite].rtcp_tag;
}

static void report(const uint8_t *record, const uint8_t *octets, size_t n)
{
	static struct bed_buffer p, again;
	unsigned i = record[0] % PAIRS;

	if (incomparable(&out[i]))
		return;
	build(&p, record, octets, n);
	if ((record[1] & RAW) == 0) {
		p.pair = &out[i];
		same(bed_run_rtcp(&bed, &p));
		if (p.length == 0)
			return;
		patch(&p, record);
	}
	p.pair = &in[i];
	memcpy(&again, &p, sizeof(again));
	same(bed_run_rtcp(&bed, &p));
	if ((record[1] & TWICE) != 0)
		same(bed_run_rtcp(&bed, &again));
}

static const uint8_t *records[SRTP_BURST];

/* What was protected goes on its way, once or twice. */
static unsigned deliver(struct bed_buffer *sent, unsigned n, struct bed_buffer *received)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned copies = (records[i][1] & TWICE) != 0 ? 2 : 1;

		if (sent[i].length == 0)
			continue;
		if ((records[i][1] & RAW) == 0)
			patch(&sent[i], records[i]);
		for (; copies != 0 && count < SRTP_BURST; copies--) {
			memcpy(&received[count], &sent[i], sizeof(received[0]));
			received[count++].pair = &in[records[i][0] % PAIRS];
		}
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bed_buffer sent[SRTP_BURST], raw[SRTP_BURST], received[SRTP_BURST];
	unsigned n = 0, raws = 0;
	const uint8_t *of_raw[SRTP_BURST];

	while (size > RECORD && n + raws < SRTP_BURST) {
		const uint8_t *record = data;
		size_t octets = size - RECORD < 40 ? size - RECORD : 40;

		if ((record[1] & RTCP) != 0) {
			report(record, data + RECORD, octets);
		} else if ((record[1] & RAW) != 0) {
			of_raw[raws] = record;
			build(&raw[raws++], record, data + RECORD, octets);
		} else {
			records[n] = record;
			sent[n].pair = &out[record[0] % PAIRS];
			build(&sent[n++], record, data + RECORD, octets);
		}
		data += RECORD + octets;
		size -= RECORD + octets;
	}
	same(bed_run(&bed, sent, n, srtp_protect_burst));
	for (unsigned i = 0; i < raws; i++) {
		records[n] = of_raw[i];
		memcpy(&sent[n++], &raw[i], sizeof(raw[0]));
	}
	same(bed_run(&bed, received, deliver(sent, n, received), srtp_unprotect_burst));
	return 0;
}
