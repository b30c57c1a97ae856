/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the page of metrics that is about calls: by system, realm and session-agent; what the threads of SIP use. */
#ifndef MGMT_METRICS_CALLS_H
#define MGMT_METRICS_CALLS_H

#include "mgmt/metrics_snapshot.h"
#include "platforms/base/span.h"

void metrics_calls_write(const struct metrics_snapshot *snapshot, struct writer *out);

#endif
