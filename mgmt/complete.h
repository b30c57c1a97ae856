/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's side of completion: what may follow the words of a command, and where a session is. */
#ifndef MGMT_COMPLETE_H
#define MGMT_COMPLETE_H

#include "mgmt/session.h"
#include "platforms/base/span.h"

/* `body` of an MGMT_COMPLETE; the reply's goes to `out`; what has no room is left out. 0 or -EBADMSG. */
int complete_words(struct session *session, const void *body, size_t length, struct writer *out);
void complete_where(const struct session *session, const char *name, struct mgmt_where *where);

#endif
