/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the API's server: questions and orders about bans, the guard, registrations and subscribers. owner: the main thread */
#ifndef CONTROLPLANE_API_SECURITY_H
#define CONTROLPLANE_API_SECURITY_H

#include "controlplane/api_server.h"
#include "platforms/base/ipc.h"

struct api_security;

struct api_security *api_security_new(const struct api_world *world); /* NULL: no memory */
/* Orders under way are ended by the border, with nobody to tell. */
void api_security_free(struct api_security *security);
/* 0: answered, or it will be; -EINVAL: no such message, or too short. */
int api_security_frame(struct api_security *security, struct ipc_peer *peer, const struct ipc_frame *frame,
	const void *body);
void api_security_down(struct api_security *security, const struct ipc_peer *peer);

#endif
