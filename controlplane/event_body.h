/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of event packages, written anew for the other side: message-summary (RFC 3842), dialog-info (RFC 4235), PIDF (RFC 3863 with
 * what telephones use of RFC 4480). An allow-list of lines, elements and attributes: users cross, hosts become ours, identifiers become
 * other ones that mean the same as long as the process lives. */
#ifndef CONTROLPLANE_EVENT_BODY_H
#define CONTROLPLANE_EVENT_BODY_H

#include "controlplane/leg.h"

struct event_dialog;

struct event_sides {
	struct shard *shard;
	const struct leg *from, *to;
	const char *
		name; /* name-addr whose host (and port) those of the far side become: one that `to` knows us by */
	const struct event_dialog
		*elsewhere; /* what other shards have said of dialogs in the body (event_dialog.h) */
	size_t elsewhere_count;
};

/* The media type of a package's bodies; empty: the package has none that may cross. */
struct span event_body_type(struct span package);
/* 0; or -EINVAL: it is not what the package has, or it cannot be written so that nothing of the other side is in it. */
int event_body_map(
	const struct event_sides *sides, struct span package, struct span body, struct writer *out);

#endif
