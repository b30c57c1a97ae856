/* SPDX-License-Identifier: BSD-3-Clause */
/* The border's trust in a connection whose peer is an agent by its certificate, while it lasts: its address says nothing of it. */
#ifndef CONTROLPLANE_TLS_TRUST_H
#define CONTROLPLANE_TLS_TRUST_H

#include "controlplane/shard.h"

/* `remote` with its port: what comes from there is no stranger's. For a week at most, should nobody live to take it back. */
void tls_trust_begin(struct shard *shard, const union address *remote);
void tls_trust_end(struct shard *shard, const union address *remote);

#endif
