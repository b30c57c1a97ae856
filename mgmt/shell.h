/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell: one connection, many commands, from a terminal or line by line from the standard input. */
#ifndef MGMT_SHELL_H
#define MGMT_SHELL_H

#include "mgmt/runner.h"

/* From a terminal until "exit" or its end; else until the first command that fails, whose status it returns. enum mgmt_exit. */
int shell_run(struct runner *runner);

#endif
