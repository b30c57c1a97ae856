/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of a call while it is put together: columns in any order, as they are; packed and made harmless by who writes it. No state of
 * its own. */
#ifndef CONTROLPLANE_RECORD_H
#define CONTROLPLANE_RECORD_H

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "platforms/base/address.h"
#include "platforms/base/span.h"

enum { RECORD_USER_MAX = 256 }; /* of a longer value of From or To the user is looked for at once */

/* What the octets of a text are, of which it is made when it is packed. */
enum record_form { RECORD_TEXT, RECORD_ADDRESS, RECORD_USER, RECORD_FORM_COUNT };

struct record {
	uint64_t number;
	int64_t value[CP_RECORD_NUMBER_COUNT];
	uint16_t at[CP_RECORD_TEXT_COUNT], length[CP_RECORD_TEXT_COUNT];
	uint8_t form[CP_RECORD_TEXT_COUNT]; /* enum record_form */
	uint16_t used; /* of `pool`; what is behind it is not copied */
	char pool[CP_RECORD_TEXT_COUNT * CP_RECORD_TEXT_MAX + 2 * (RECORD_USER_MAX - CP_RECORD_TEXT_MAX)];
};

void record_init(struct record *record, uint64_t number);
void record_number(struct record *record, enum cp_record_number number, uint64_t value);
/* These three once for each text, and nothing for an empty one. */
void record_text(struct record *record, enum cp_record_text text, struct span value);
void record_address(struct record *record, enum cp_record_text text, const union address *address);
/* The user of a From or To; of one side's CP_RECORD_TEXT_x_FROM alone. */
void record_user(struct record *record, enum cp_record_text text, struct span value);
size_t record_size(const struct record *record); /* octets to be copied */
bool record_is_whole(const struct record *record); /* one that another process has left */
/* `out`: CP_RECORD_MAX octets, aligned as the struct is. What is no printable ASCII becomes \xNN, what is too long is cut: whatever a stranger
 * has sent, from here on it steers nothing. */
void record_pack(const struct record *record, struct cp_record *out);

/* record_media.c */

/* The formats of the first audio line in use, as SDP names them. */
struct record_formats {
	bool there;
	unsigned stream; /* which line that is */
	unsigned count;
	struct {
		uint8_t payload_type;
		char name[16]; /* cut */
	} format[12];
};
void record_formats_read(struct record_formats *formats, struct span sdp);
/* Codec, SRTP, media figures and MOS of both directions. `said[side]`: what was written for that side, so what it may send. `info` NULL: codecs
 * alone. */
void record_media(
	struct record *record, const struct record_formats said[2], const struct dp_session_info *info);

/* How what came from one side has sounded, as far as it is known. */
struct media_quality {
	bool has_mos, has_loss, has_jitter;
	uint32_t mos, loss; /* hundredths; hundredths of a percent */
	uint32_t jitter_us;
};
/* From what record_media has put into the record. */
struct media_quality record_quality(const struct record *record, unsigned side);

#endif
