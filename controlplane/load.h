/* SPDX-License-Identifier: BSD-3-Clause */
/* What this process uses of the machine: processor time by thread, memory. */
#ifndef CONTROLPLANE_LOAD_H
#define CONTROLPLANE_LOAD_H

#include "controlplane/api.h"

/* As the kernel tells now. What it does not tell is 0 or left out. */
void load_read(struct cp_load *load);

#endif
