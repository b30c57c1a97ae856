/* SPDX-License-Identifier: BSD-3-Clause */
/* The command that ends calls. */
#ifndef MGMT_HANGUP_H
#define MGMT_HANGUP_H

#include "mgmt/request.h"

void hangup_calls(struct request *request);

#endif
