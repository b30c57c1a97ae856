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
	MGMT_API_VERSION = 2,
	MGMT_WORDS_MAX = 256,
	MGMT_WORD_MAX = 4097, /* octets of one word with its NUL */
	MGMT_COMMAND_MAX = 57344, /* octets of all words of a command with their NULs */
	MGMT_INPUT_MAX = 4 << 20, /* octets of what a command reads */
	MGMT_INPUT_PIECE = 49152, /* octets of one frame of it */
	MGMT_USER_MAX = 64,
	MGMT_TEXT_MAX = 16384, /* octets of one text frame */
	MGMT_EDIT_MAX = 512, /* octets of where a session edits */
	MGMT_WINDOW = 131072, /* octets of text under way after which a list pauses for an MGMT_ACK */
};

enum mgmt_message {
	MGMT_COMMAND = 1, /* mgmt_command + words, each ended by a NUL */
	MGMT_ACK = 2, /* mgmt_ack; no reply */
	MGMT_INPUT =
		3, /* octets that the command under way reads (MGMT_HAS_INPUT); none: that was all. No reply */
	MGMT_LOGIN =
		4, /* mgmt_login; no reply. Who gives this connection's commands; once, before the first */
	MGMT_COMPLETE =
		5, /* as MGMT_COMMAND, perhaps without words -> mgmt_word + word + help, each ended by a NUL, repeated */
	MGMT_WHERE = 6, /* empty -> mgmt_where */
	MGMT_STOP = 7, /* empty: the command under way is given up, and its MGMT_DONE comes. No reply */
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
	MGMT_HAS_INPUT = 4, /* MGMT_INPUT frames follow */
	MGMT_MASKED = 8, /* secrets are not shown, whoever asks */
};

struct mgmt_command {
	uint16_t words; /* 1..MGMT_WORDS_MAX */
	uint16_t flags; /* enum mgmt_flag */
	uint16_t width; /* columns of the terminal; 0: lines may have any length */
	uint16_t reserved;
};

/* A user of the configuration, authenticated by who opened the connection (the SSH server's shell): believed of root and of the daemons' own
 * user alone. Without it root is an administrator, and anybody else a monitor. */
struct mgmt_login {
	char user[MGMT_USER_MAX]; /* and NUL */
	char from[MGMT_USER_MAX]; /* address of his terminal, for the audit; and NUL */
};

struct mgmt_ack {
	uint64_t octets; /* of MGMT_TEXT bodies since the command began */
};

/* What may follow the words of an MGMT_COMPLETE. Behind it the word and its help, each ended by a NUL; no padding. */
struct mgmt_word {
	uint8_t argument; /* 1: no word, but what kind of value stands there */
};

/* For the prompt. */
struct mgmt_where {
	uint32_t role; /* enum config_role */
	uint32_t candidate; /* 1: something is edited */
	char name[MGMT_USER_MAX + 8]; /* of the system; and NUL */
	char edit[MGMT_EDIT_MAX]; /* the section the session is in, words separated by spaces; and NUL */
};

/* As the command's exit status. */
enum mgmt_exit { MGMT_EXIT_OK = 0, MGMT_EXIT_FAILED = 1, MGMT_EXIT_USAGE = 2 };

struct mgmt_done {
	uint32_t exit; /* enum mgmt_exit */
	uint32_t reserved;
};

#endif
