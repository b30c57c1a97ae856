/* SPDX-License-Identifier: BSD-3-Clause */
/* What keeps a system from its work, from what its daemons say of themselves. */
#include "mgmt/health.h"

#include <stddef.h>

#include "controlplane/api.h"
#include "dataplane/api.h"

const char *health_impediment(const struct dp_stats *stats, const struct cp_status *status)
{
	if (stats == NULL && status == NULL)
		return "neither dataplane nor controlplane answers: no calls";
	if (stats == NULL)
		return "the dataplane does not answer: new calls are refused";
	if (status == NULL)
		return "the controlplane does not answer: established media go on, no new calls";
	if (status->dataplane_up == 0)
		return "the controlplane has no connection to the dataplane: new calls are refused";
	if (status->listeners_down != 0)
		return "not every address to listen on could be opened";
	return NULL;
}
