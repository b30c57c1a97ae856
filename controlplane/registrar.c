/* SPDX-License-Identifier: BSD-3-Clause */
/* REGISTER of phones: what one of them leads to. */
#include "controlplane/registrar.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/core.h"

struct registrar {
	struct shard *shard;
};

int registrar_open(struct shard *shard)
{
	shard->registrar = calloc(1, sizeof(*shard->registrar));
	if (!shard->registrar)
		return -ENOMEM;
	shard->registrar->shard = shard;
	return 0;
}

void registrar_close(struct shard *shard)
{
	free(shard->registrar);
	shard->registrar = NULL;
}
