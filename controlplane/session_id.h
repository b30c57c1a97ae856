/* SPDX-License-Identifier: BSD-3-Clause */
/* Session-ID (RFC 7989) on behalf of a caller who sends none: this SBC acts as the endpoint then (section 7), towards the callee alone. Where the
 * caller has one, it crosses as it is (hide_table.c). */
#ifndef CONTROLPLANE_SESSION_ID_H
#define CONTROLPLANE_SESSION_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "platforms/base/span.h"

struct leg;
struct message;

enum { SESSION_ID_OCTETS = 16, SESSION_ID_TEXT_MAX = 2 * SESSION_ID_OCTETS + 1 };

struct session_id { /* the nil UUID: none */
	uint8_t uuid[SESSION_ID_OCTETS];
};

/* What a leg says on behalf of the other side, and what its peer has said. */
struct session_ids {
	struct session_id local, remote;
};

/* Random (RFC 4122 section 4.4): it tells nothing of anybody. */
struct session_id session_id_new(void);
bool session_id_is_nil(const struct session_id *id);
const char *session_id_print(const struct session_id *id, char text[SESSION_ID_TEXT_MAX]);
/* The message has a Session-ID whose first UUID is one, and not nil. */
bool session_id_is_in(const struct message *message);
/* From here on the leg's peer gets this one. */
void session_id_speak_for(struct leg *leg, const struct session_id *id);
/* What the peer calls itself: of a response that makes its dialog, of a request within it. Nothing where we speak for nobody, or if it follows
 * RFC 7329, which has one identifier for both. */
void session_id_learn(struct leg *leg, const struct message *message);
/* "Session-ID: UUID;remote=UUID" if we speak for somebody. */
void session_id_write(const struct leg *leg, struct writer *out);

#endif
