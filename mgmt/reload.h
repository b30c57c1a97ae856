/* SPDX-License-Identifier: BSD-3-Clause */
/* The command that has certificates read again. */
#ifndef MGMT_RELOAD_H
#define MGMT_RELOAD_H

#include "mgmt/request.h"

void reload_tls(struct request *request);

#endif
