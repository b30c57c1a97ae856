/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands on configuration files: they need no daemon. Shape: struct command's `local`. */
#ifndef MGMT_CONFIG_COMMAND_H
#define MGMT_CONFIG_COMMAND_H

#include "mgmt/command.h"

int config_command_check(const struct command_match *match, bool json, FILE *out, FILE *errors);
int config_command_reference(const struct command_match *match, bool json, FILE *out, FILE *errors);

#endif
