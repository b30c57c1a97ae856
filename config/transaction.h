/* SPDX-License-Identifier: BSD-3-Clause */
/* How a daemon takes another configuration while it runs: the same messages at the door of each, asked by mgmt (decision 0080).
 *
 * stage (the text, piece by piece) -> prepare (the daemon reads it, builds what it needs, may refuse) -> apply (cannot fail) or abort.
 * What was staged or prepared goes with the connection it came by. After a start a daemon runs what the file said then; mgmt sees by
 * the digest whether that is what the file says now. */
#ifndef CONFIG_TRANSACTION_H
#define CONFIG_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"
#include "platforms/base/ipc.h"
#include "platforms/base/span.h"

enum {
	CONFIG_PIECE_MAX = 49152, /* octets of text in one message */
	CONFIG_REASON_MAX = 16384, /* octets of text in an answer: lines, each ended by a line feed */
};

/* Requests; replies are IPC_REPLY above them. An error's body is empty or text. */
enum config_transaction_message {
	CONFIG_STATE = 0x0f00, /* empty -> config_state */
	CONFIG_STAGE =
		0x0f01, /* config_piece + octets -> empty. -EINVAL: not where the last one ended; -EFBIG */
	CONFIG_PREPARE =
		0x0f02, /* config_digest of what was staged -> warnings as text; -EINVAL: why not, as text; -EBUSY */
	CONFIG_APPLY =
		0x0f03, /* config_digest of what was prepared -> config_state; -ENOENT: that is not prepared */
	CONFIG_ABORT = 0x0f04, /* empty -> empty */
};

/* Tells texts apart (SipHash under two fixed keys): no defence against who may write them anyway. All zero: none. */
struct config_digest {
	uint64_t half[2];
};

struct config_piece {
	uint32_t offset; /* 0 begins anew */
	uint32_t length; /* of the octets behind; <= CONFIG_PIECE_MAX */
};

struct config_state {
	struct config_digest
		started; /* with which the process started: settings that need a restart are as in this one */
	struct config_digest running;
	struct config_digest prepared;
	uint64_t applied_wall_ms; /* when `running` was applied; 0: at the start */
};

struct config_digest config_digest_of(const char *text, size_t length);
bool config_digest_equal(const struct config_digest *a, const struct config_digest *b);

/* What a daemon does in each phase. In what it is given, settings that need a restart have the values that it was started with.
 * `prepare`: 0 and the next configuration is kept for it, or -errno with lines of reason, and nothing has
 * changed. `apply`: `next` is the daemon's from now on; it frees the old one when nobody looks at it any more. `abort`: what was prepared
 * is let go; `next` is freed by the caller. */
struct config_phases {
	int (*prepare)(void *arg, const struct config *next, struct writer *why);
	void (*apply)(void *arg, struct config *next);
	void (*abort)(void *arg);
};

struct config_transaction;

/* `running`: the configuration the daemon has started with; borrowed for the call. 0 or -ENOMEM. */
int config_transaction_new(const struct config *running, enum config_daemon daemon,
	const struct config_phases *phases, void *arg, struct config_transaction **out);
void config_transaction_free(struct config_transaction *transaction);
/* A frame of the daemon's server. False: it is none of these messages. It has been answered otherwise. */
bool config_transaction_frame(struct config_transaction *transaction, struct ipc_peer *peer,
	const struct ipc_frame *frame, const void *body);
/* A connection is gone, and what was prepared over it too. */
void config_transaction_down(struct config_transaction *transaction, const struct ipc_peer *peer);

#endif
