/* SPDX-License-Identifier: BSD-3-Clause */
/* One received SIP message: pre-scanned, header block parsed by libosip2 with the body kept away from it, checked for what
 * libosip2 lets through. Accessors give spans so that nobody else needs osip's types. */
#ifndef CONTROLPLANE_MESSAGE_H
#define CONTROLPLANE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/move.h"
#include "controlplane/scan.h"
#include "controlplane/transport.h"

struct message; /* owns its bytes; all spans live as long as it does */

struct sip_uri {
	struct span scheme, user, password, host; /* as on the wire (escapes kept), host without brackets */
	uint16_t port; /* 0 = none */
	struct span parameters; /* ";transport=udp;user=phone" without the leading ';' */
	struct span headers;
};

struct name_addr {
	struct span display; /* without quotes */
	struct span uri; /* between < and > */
	struct span tag; /* From, To */
	struct span parameters; /* of the header, without the leading ';' */
};

/* Parses `scan` (of `text`). Checks (RFC 3261 section 16.3 and LIBOSIP2's list): From, To, Call-ID, CSeq, Via present once
 * where single, CSeq method, version, Max-Forwards, URI scheme, status range, Via transport.
 * 0; or -EINVAL with *status = the response a request deserves (400, 416, 505, 483 ...; 0 = drop silently). */
int message_parse(const struct scan *scan, struct span text, const struct sip_flow *flow,
	struct message **out, unsigned *status);
/* A response that message_parse has refused, as far as the pre-scan's index goes: enough to end the dialog that it makes. NULL
 * without memory. */
struct message *message_unparsed(const struct scan *scan, struct span text, const struct sip_flow *flow);
bool message_is_parsed(const struct message *message);
void message_free(struct message *message);

const struct scan *message_scan(const struct message *message);
const struct sip_flow *message_flow(const struct message *message);
void message_move(
	struct message *message, struct config_move *move); /* another configuration (reconfigure.h) */
struct span message_body(const struct message *message);
bool message_body_is(
	const struct message *message, struct span type); /* Content-Type without parameters, any case */
struct span message_type(const struct message *message); /* Content-Type without parameters; may be empty */
/* The n-th header of that name (compact form known by name); false if there is none. */
bool message_header(const struct message *message, struct span name, unsigned n, struct span *value);
/* The long form of a header's name; any other name as it is. */
struct span message_header_name(struct span name);
/* True if a comma-separated list header (Supported, Require, Allow) has the token. */
bool message_has_token(const struct message *message, struct span name, struct span token);
int message_request_uri(const struct message *message, struct sip_uri *out); /* 0 or -EINVAL */
int message_from(const struct message *message, struct name_addr *out);
int message_to(const struct message *message, struct name_addr *out);
int message_contact(
	const struct message *message, struct name_addr *out); /* the first; -ENOENT if there is none */
int sip_uri_parse(struct span text, struct sip_uri *out);
int name_addr_parse(struct span text, struct name_addr *out);
/* The one form of a user part (of sip_uri.user) under which he is counted and kept: parameters behind ';' and what follows an escaped '@' are
 * off, as no registrar sees them (hide_user); an escape of what may stand in a user part as it is, is that (RFC 3261 section 19.1.4), others have
 * lower-case digits. Appended to `out`. 0; -EINVAL: nobody, a broken escape, or bytes that no URI has; then what was written is no name. */
int sip_user_normal(struct span user, struct writer *out);

#endif
