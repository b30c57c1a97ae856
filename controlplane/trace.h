/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces of a peer in a text: does it name one of the hosts that this peer's dialog is known by, or the dialog itself? For opaque values
 * and bodies that cross as they are. */
#ifndef CONTROLPLANE_TRACE_H
#define CONTROLPLANE_TRACE_H

#include <stdbool.h>

#include "controlplane/leg.h"

/* The address it sends from and is sent to, the hosts of its contact, of its From or To and of its route set, its Call-ID and its tag;
 * and our own address on its side. Time is linear in the text. */
bool trace_found(const struct leg *leg, struct span text);

#endif
