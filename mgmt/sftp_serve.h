/* SPDX-License-Identifier: BSD-3-Clause */
/* sftp: the SSH server's subsystem of that name, served by the sallyport program. docs/decisions/0081-shell-over-ssh.md */
#ifndef MGMT_SFTP_SERVE_H
#define MGMT_SFTP_SERVE_H

#include "mgmt/command.h"
#include "mgmt/request.h"
#include "mgmt/runner.h"

/* The daemon's part: whoever may give the command has given it. */
void sftp_begin(struct request *request);
/* The program's part: requests from the standard input until it ends. Returns enum mgmt_exit. */
int sftp_serve(struct runner *runner, const struct command_match *match);

#endif
