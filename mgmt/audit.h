/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gave which command, from where, and what came of it: into mgmt.db and the log. */
#ifndef MGMT_AUDIT_H
#define MGMT_AUDIT_H

#include <stddef.h>

#include "mgmt/request.h"
#include "mgmt/session.h"
#include "platforms/base/span.h"

/* The words as they are written down: secrets masked, nothing in them that steers a terminal; cut where `out` is full. */
void audit_words(const struct span *words, size_t count, struct writer *out);
/* `outcome`: "done". Failure of the database is logged. */
void audit_write(const struct session *session, struct span command, const char *outcome);

/* show commands */
void show_commands(struct request *request);

#endif
