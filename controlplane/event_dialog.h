/* SPDX-License-Identifier: BSD-3-Clause */
/* Identifiers of dialogs in event bodies (RFC 4235 section 4.1.1): those of the far side's dialog with us become those of the other leg's, so that
 * who watches can name it in Replaces. A dialog may be another shard's: then that one has to be asked before the body is written. */
#ifndef CONTROLPLANE_EVENT_DIALOG_H
#define CONTROLPLANE_EVENT_DIALOG_H

#include "controlplane/event_body.h"

enum {
	EVENT_DIALOGS_MAX = 32, /* of other shards, in one body; further ones are not told */
	EVENT_DIALOG_TEXT_MAX = 3 * 64, /* what a shard answers for one */
};

struct event_dialog { /* of another shard */
	unsigned owner;
	struct span call_id, local_tag, remote_tag; /* as the far side calls it */
	struct span near_call_id, near_local_tag,
		near_remote_tag; /* as the watcher knows it; empty: not to be told */
};

/* The dialogs in a body of package "dialog" that other shards have. Spans are borrowed from the body. Returns how many. */
size_t event_dialogs_elsewhere(
	const struct shard *shard, struct span body, struct event_dialog out[EVENT_DIALOGS_MAX]);
/* On the shard that has it: the near names, for a watcher in realm `to`, written to `text`. */
void event_dialog_look_up(struct shard *shard, const struct config_realm *from, const struct config_realm *to,
	struct event_dialog *dialog, struct writer *text);
/* The attributes of a <dialog> that identify it, as the other side is to read them; nothing for one that is not to be told. */
void event_dialog_write(const struct event_sides *sides, struct span attributes, struct writer *out);

#endif
