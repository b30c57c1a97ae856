/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of the pre-scan: octet classes, the state of one scan, how a fault is kept. */
#ifndef CONTROLPLANE_SCAN_INTERNAL_H
#define CONTROLPLANE_SCAN_INTERNAL_H

#include "controlplane/scan.h"

enum octet_class {
	CONTROL = 0x01, /* never allowed: C0 without HTAB, CR, LF; DEL */
	LINE_END = 0x02, /* CR, LF: allowed as a pair only */
	SEPARATOR = 0x04, /* what makes libosip2 work: , ; & */
	ESCAPE = 0x08, /* % */
	TOKEN = 0x10, /* RFC 3261 section 25.1 */
	ALPHA = 0x20,
	BLANK = 0x40, /* SP, HTAB */
	URI = 0x80, /* printable and neither white nor one of < > " */
};

extern const uint8_t scan_octet_classes[256];

enum field {
	FIELD_VIA,
	FIELD_FROM,
	FIELD_TO,
	FIELD_CALL_ID,
	FIELD_CSEQ,
	FIELD_CONTACT,
	FIELD_CONTENT_LENGTH,
	FIELD_CONTENT_TYPE,
	FIELD_MAX_FORWARDS,
	FIELD_COUNT,
	FIELDS_TO_ANSWER =
		1 << FIELD_VIA | 1 << FIELD_FROM | 1 << FIELD_TO | 1 << FIELD_CALL_ID | 1 << FIELD_CSEQ,
};

struct scanner {
	struct scan *scan;
	const struct config_sip *limits;
	const char *at, *end; /* what is left of the message, cut at the cap of the header block */
	unsigned separators, lines, seen;
	unsigned refusal; /* status of the first fault */
	bool dirty; /* the line under way holds an octet that no answer may repeat */
	bool has_content_length;
	bool end_unknown; /* what Content-Length says cannot be relied on */
	uint64_t content_length;
};

static inline uint8_t octet_class(char c)
{
	return scan_octet_classes[(unsigned char)c];
}

/* The first fault is what the peer is told. */
static inline void refuse(struct scanner *s, unsigned status, const char *problem)
{
	if (s->scan->problem)
		return;
	s->scan->problem = problem;
	s->refusal = status;
}

static inline bool span_is(struct span text, uint8_t wanted)
{
	for (size_t i = 0; i < text.n; i++)
		if (!(octet_class(text.p[i]) & wanted))
			return false;
	return text.n > 0;
}

static inline bool is_white(char c)
{
	return octet_class(c) & (BLANK | LINE_END);
}

/* Notes that the field is there (-> seen) and reads it, if it is one of enum field. */
void scan_field_take(struct scanner *s, const struct scan_header *header);

#endif
