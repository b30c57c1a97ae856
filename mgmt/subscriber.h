/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands about users whose passwords this box knows. */
#ifndef MGMT_SUBSCRIBER_H
#define MGMT_SUBSCRIBER_H

#include "mgmt/request.h"

void subscriber_add(struct request *request);
void subscriber_delete(struct request *request);
void subscriber_list(struct request *request);

#endif
