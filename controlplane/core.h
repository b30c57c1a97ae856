/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to core.c and its methods: what answers a request that is not part of a call, and what this SBC says it can do. */
#ifndef CONTROLPLANE_CORE_H
#define CONTROLPLANE_CORE_H

#include "controlplane/message.h"
#include "controlplane/transaction.h"

/* A response without a body, with Server and `extra` lines; counted as refused from 300 on. */
void core_reply(struct transaction *transaction, unsigned status, struct span extra);
/* 489 with Allow-Events (RFC 6665 section 8.3.2). */
void core_bad_event(struct transaction *transaction);
/* Allow-Events: sip-config.event-packages; and any such list, complete lines, nothing for an empty one. */
void core_allow_events(const struct config *config, struct writer *out);
void core_list(const char *name, const struct config_strings *values, struct writer *out);
bool core_list_has(const struct config_strings *values, struct span value); /* any case */
bool core_is_token(struct span text); /* RFC 3261 section 25.1 */
/* Supported: the option tags that some method may require, a complete line. */
void core_supported(struct writer *out);
/* Allow: the methods that core.c has a row for, a complete line. */
void core_allow(struct writer *out);

/* options.c: RFC 3261 section 11, in and outside of a dialog. */
void options_answer(struct transaction *transaction);

#endif
