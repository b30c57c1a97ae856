/* SPDX-License-Identifier: BSD-3-Clause */
/* test agent, test registration: asked by the control plane, which this command waits for. */
#ifndef MGMT_PROBE_H
#define MGMT_PROBE_H

#include <jansson.h>

#include "mgmt/request.h"

struct cp_test_report;

void test_agent(struct request *request);
void test_registration(struct request *request);
/* What a report comes to as a document; "works" says whether a call would find somebody. */
json_t *test_document(bool agent, struct span subject, const struct cp_test_report *report);

#endif
