/* SPDX-License-Identifier: BSD-3-Clause */
/* The management daemon's one door: commands on RUN-DIRECTORY/mgmt.sock (framing: platforms/base/ipc.h).
 *
 * A client sends MGMT_COMMAND and gets any number of MGMT_TEXT and MGMT_ERROR frames and one MGMT_DONE, all with the
 * sequence number of the command. One command at a time per connection; closing the connection gives it up.
 * The client tells by MGMT_ACK how much text it has disposed of: a long list is not read faster than it is printed. */
#ifndef MGMT_API_H
#define MGMT_API_H

#include <stdint.h>

enum {
	MGMT_API_VERSION = 1,
	MGMT_WORDS_MAX = 16,
	MGMT_WORD_MAX = 128, /* octets of one word with its NUL */
	MGMT_TEXT_MAX = 16384, /* octets of one text frame */
	MGMT_WINDOW = 131072, /* octets of text under way after which a list pauses for an MGMT_ACK */
};

enum mgmt_message {
	MGMT_COMMAND = 1, /* mgmt_command + words, each ended by a NUL */
	MGMT_ACK = 2, /* mgmt_ack; no reply */
	MGMT_TEXT = 0x100, /* octets for the standard output */
	MGMT_ERROR = 0x101, /* one message for people, without a line end */
	MGMT_REPLY = 0x4000, /* added to the request's number */
	MGMT_DONE =
		MGMT_COMMAND +
		MGMT_REPLY, /* mgmt_done; frame status 0, or -EBUSY, -EBADMSG for a frame not understood */
};

enum mgmt_flag {
	MGMT_JSON = 1, /* one JSON document instead of text */
	MGMT_SECRET = 2, /* the last word is a secret that the command asked for: never shown, never logged */
};

struct mgmt_command {
	uint16_t words; /* 1..MGMT_WORDS_MAX */
	uint16_t flags; /* enum mgmt_flag */
	uint16_t width; /* columns of the terminal; 0: lines may have any length */
	uint16_t reserved;
};

struct mgmt_ack {
	uint64_t octets; /* of MGMT_TEXT bodies since the command began */
};

/* As the command's exit status. */
enum mgmt_exit { MGMT_EXIT_OK = 0, MGMT_EXIT_FAILED = 1, MGMT_EXIT_USAGE = 2 };

struct mgmt_done {
	uint32_t exit; /* enum mgmt_exit */
	uint32_t reserved;
};

#endif
