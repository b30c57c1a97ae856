/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that settings name: certificates, keys, and secrets kept outside the configuration. */
#include "config/source.h"

int config_read_files(struct config_load *load)
{
	(void)load;
	return 0;
}
