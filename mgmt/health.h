/* SPDX-License-Identifier: BSD-3-Clause */
/* Is this system in service? One judgement for show status, /healthz and metrics. */
#ifndef MGMT_HEALTH_H
#define MGMT_HEALTH_H

struct dp_stats;
struct cp_status;

/* What keeps this system from its work, for people; NULL if nothing does. An argument is NULL where that daemon does not answer. */
const char *health_impediment(const struct dp_stats *stats, const struct cp_status *status);

#endif
