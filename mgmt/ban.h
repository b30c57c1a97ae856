/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands that ban sources and let them in again. */
#ifndef MGMT_BAN_H
#define MGMT_BAN_H

#include "mgmt/request.h"

void ban_set(struct request *request);
void ban_clear(struct request *request);

#endif
