/* SPDX-License-Identifier: BSD-3-Clause */
/* What OpenSSH's server gets from us: its configuration, the users as accounts, their keys (decision 0081). */
#ifndef MGMT_SSH_H
#define MGMT_SSH_H

#include "config/model.h"
#include "mgmt/command.h"
#include "mgmt/request.h"

/* DATA-DIRECTORY/ssh/passwd and banner, in place: the server has the very file in its own name space. 0 or -errno, logged. */
int ssh_accounts_write(const struct config *config);
/* config ssh FILE. Shape: struct command's `local`. */
int ssh_command_config(const struct command_match *match, bool json, FILE *out, FILE *errors);
/* authorized-keys USER */
void ssh_authorized_keys(struct request *request);

#endif
