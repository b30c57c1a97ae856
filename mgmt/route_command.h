/* SPDX-License-Identifier: BSD-3-Clause */
/* test route: which local-policy and session-agents a call would take. */
#ifndef MGMT_ROUTE_COMMAND_H
#define MGMT_ROUTE_COMMAND_H

#include <jansson.h>

#include "mgmt/request.h"

struct cp_routed;

void test_route(struct request *request);
json_t *test_route_document(const struct cp_routed *routed);

#endif
