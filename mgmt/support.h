/* SPDX-License-Identifier: BSD-3-Clause */
/* support bundle: all that somebody far away needs to know, in one archive without secrets. docs/decisions/0090-support-and-logs.md */
#ifndef MGMT_SUPPORT_H
#define MGMT_SUPPORT_H

#include "mgmt/command.h"
#include "mgmt/request.h"
#include "mgmt/runner.h"

/* The daemon's part: whoever may give the command has given it. */
void support_begin(struct request *request);
/* The options are right: 0, *records has how many records of calls are wanted; or -EINVAL. */
int support_options(const struct command_match *match, unsigned *records);
/* The program's part: the archive to the standard output. Returns enum mgmt_exit. */
int support_bundle(struct runner *runner, const struct command_match *match);

#endif
