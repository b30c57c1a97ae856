/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections to the dataplane and the control plane. */
#include "mgmt/neighbours.h"

#include <errno.h>
#include <stdio.h>

#include "controlplane/client.h"
#include "dataplane/client.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

static void tell_up(const struct neighbours *n, enum neighbour which)
{
	if (n->up != NULL)
		n->up(n->up_arg, which);
}

static void dataplane_up(void *arg, bool fresh)
{
	log_info("mgmt", "dataplane connected", LOG_UINT("fresh", fresh));
	tell_up(arg, NEIGHBOUR_DATAPLANE);
}

static void controlplane_up(void *arg)
{
	tell_up(arg, NEIGHBOUR_CONTROLPLANE);
}

static void dataplane_down(void *arg)
{
	(void)arg;
	log_warning("mgmt", "dataplane gone");
}

static void dataplane_event(void *arg, enum dp_message type, const struct dp_event *event)
{
	(void)arg;
	(void)type;
	(void)event;
}

static const struct dp_client_handlers dataplane_handlers = {
	.up = dataplane_up,
	.down = dataplane_down,
	.event = dataplane_event,
};

int neighbours_connect(struct neighbours *n, uv_loop_t *loop, const char *run_directory, uint64_t generation)
{
	for (enum neighbour i = 0; i < NEIGHBOUR_COUNT; i++) {
		int length = snprintf(
			n->path[i], sizeof(n->path[i]), "%s/%s.sock", run_directory, neighbour_name(i));

		if (length < 0 || (size_t)length >= sizeof(n->path[i]))
			return -ENAMETOOLONG;
	}
	n->generation = generation;
	n->started_ms = clock_now_ms();

	int err = dp_client_new(loop, n->path[NEIGHBOUR_DATAPLANE], "mgmt", generation, UINT32_MAX,
		&dataplane_handlers, n, &n->dataplane);

	if (err == 0)
		err = cp_client_new(
			loop, n->path[NEIGHBOUR_CONTROLPLANE], "mgmt", generation, &n->controlplane);
	if (err != 0)
		neighbours_close(n);
	else
		cp_client_on_up(n->controlplane, controlplane_up, n);
	return err;
}

void neighbours_close(struct neighbours *n)
{
	if (n->controlplane != NULL)
		cp_client_free(n->controlplane);
	if (n->dataplane != NULL)
		dp_client_free(n->dataplane);
	n->controlplane = NULL;
	n->dataplane = NULL;
}

const char *neighbour_name(enum neighbour which)
{
	static const char *const names[NEIGHBOUR_COUNT] = {
		[NEIGHBOUR_DATAPLANE] = "dataplane",
		[NEIGHBOUR_CONTROLPLANE] = "controlplane",
	};

	return names[which];
}

const struct ipc_hello *neighbour_hello(const struct neighbours *n, enum neighbour which)
{
	if (which == NEIGHBOUR_DATAPLANE)
		return n->dataplane != NULL ? dp_client_hello(n->dataplane) : NULL;
	return n->controlplane != NULL ? cp_client_hello(n->controlplane) : NULL;
}

int neighbour_request(const struct neighbours *n, enum neighbour which, unsigned type, const void *body,
	size_t length, neighbour_reply reply, void *arg)
{
	if (neighbour_hello(n, which) == NULL)
		return -ENOTCONN;
	if (which == NEIGHBOUR_DATAPLANE)
		return dp_client_request(n->dataplane, (enum dp_message)type, body, length, reply, arg);
	return cp_client_request(n->controlplane, (enum cp_message)type, body, length, reply, arg);
}
