/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold between settings, beyond each one's own type and range. */
#include "config/source.h"

void config_validate(struct config_load *load)
{
	(void)load;
}
