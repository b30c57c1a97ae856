/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in the files that tls-profiles name, for `config check`. */
#ifndef MGMT_CERTIFICATE_CHECK_H
#define MGMT_CERTIFICATE_CHECK_H

#include <stdbool.h>

#include "config/model.h"

/* Certificates, keys and authorities are PEM, and keys belong to their certificates; what is not so is reported as an error. Files that
 * cannot be opened are passed over: config_load has warned of them. True if nothing is wrong. */
bool certificate_check(const struct config *config, const struct config_reporter *reporter);

#endif
