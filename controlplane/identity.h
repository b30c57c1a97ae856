/* SPDX-License-Identifier: BSD-3-Clause */
/* What a PBX is told of a registered phone, by the ip-profile of its side: who it is (P-Asserted-Identity, RFC 3325), where it is seen
 * (source-header), what it is (agent-header). Nobody else can write these headers through us. */
#ifndef CONTROLPLANE_IDENTITY_H
#define CONTROLPLANE_IDENTITY_H

#include "controlplane/hide_internal.h"

/* The way leads to a side that is told something: only then the two below have to be asked. */
bool identity_is_told(const struct hide_way *way);
/* A header of that name says what only we may say: it does not cross, whatever else the configuration passes. */
bool identity_is_ours(const struct hide_way *way, struct span name);
/* The lines for a request that a registered phone has begun; nothing for others. */
void identity_write(struct hide_way *way, struct writer *out);

#endif
