/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold between settings, beyond each one's own type and range. Fields that could not be typed are unset here. */
#include "config/source.h"

void config_validate(struct config_load *load)
{
	config_validate_system(load);
	config_validate_network(load);
	config_validate_claims(load);
	config_validate_sip(load);
	config_validate_tls(load);
	config_validate_policy(load);
	config_validate_access(load);
}
