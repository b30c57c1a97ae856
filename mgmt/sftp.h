/* SPDX-License-Identifier: BSD-3-Clause */
/* SFTP version 3 (draft-ietf-secsh-filexfer-02), the half that reads. There is no code for the other half: who asks for it is told that it is not permitted. */
#ifndef MGMT_SFTP_H
#define MGMT_SFTP_H

#include <stddef.h>
#include <stdint.h>

#include "mgmt/export_tree.h"

enum {
	SFTP_PACKET_MAX = 65536, /* octets of a request; the longest has a path */
	SFTP_READ_MAX = 262144, /* octets of one answer's data */
	SFTP_HANDLES_MAX = 16,
	SFTP_STREAMS_MAX = 4, /* of them: each is a process, and one of the daemon's connections */
};

struct sftp;

/* `send` gets answers whole, their length before them; 0 or -errno. `tree` is borrowed. NULL without memory. */
struct sftp *sftp_new(
	const struct export_tree *tree, int (*send)(void *arg, const void *packet, size_t length), void *arg);
void sftp_free(struct sftp *sftp); /* NULL is fine */
/* A request, without its length. 0; -EBADMSG: it is none, and the session is over; -errno of `send`. */
int sftp_take(struct sftp *sftp, const uint8_t *packet, size_t length);

#endif
