/* SPDX-License-Identifier: BSD-3-Clause */
/* Phones behind NATs (RFC 3581, RFC 5626): how they are recognised, and where the requests of their dialogs go.
 * docs/decisions/0062-nat.md */
#ifndef CONTROLPLANE_NAT_H
#define CONTROLPLANE_NAT_H

#include <stdbool.h>

#include "controlplane/leg.h"
#include "controlplane/location.h"

/* An address that means nothing to others: RFC 1918, 6598, 3927, 4193, 4291 (link-local). */
bool nat_is_private(const union address *address);

/* The leg's peer is this registered phone: its requests go to the URI that it registered, by the flow that it registered on, also when that
 * changes. After leg_init_client. 0 or -errno. */
int nat_leg_is(struct leg *leg, const struct binding *binding);
/* The same for a caller's leg, if its INVITE came by the flow of a registered phone (leg_init_server); any other peer that is no
 * session-agent may be behind a NAT all the same. */
void nat_leg_recognise(struct leg *leg, const struct message *invite);
/* The phone has registered on another flow since: the leg's flow is that now. True if so. */
bool nat_leg_follow(struct leg *leg);
/* Its Contact, which names the address `stated`, is not where it can be reached. */
bool nat_leg_is_behind(const struct leg *leg, const union address *stated);

#endif
