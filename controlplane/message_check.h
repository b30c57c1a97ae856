/* SPDX-License-Identifier: BSD-3-Clause */
/* The checks between parser and use: what libosip2 lets through and RFC 3261 does not. */
#ifndef CONTROLPLANE_MESSAGE_CHECK_H
#define CONTROLPLANE_MESSAGE_CHECK_H

#include <osipparser2/osip_message.h>

#include "controlplane/message.h"

/* Called twice: with `sip` NULL for what needs no parser, then with what the parser made. 0; or -EINVAL with *status = what the request deserves, 0 for responses and ACKs. */
int message_check(const struct message *message, const osip_message_t *sip, unsigned *status);

#endif
