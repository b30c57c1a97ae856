/* SPDX-License-Identifier: BSD-3-Clause */
/* The location table: which contacts an address-of-record has here (RFC 3261 section 10), and by which flow each is reached. Shared by all
 * shards; striped locks inside. Entries are immutable once they are in it and counted: whoever found one keeps it until
 * binding_put, whatever happens to the table. What changes all the time stands in atomic fields. */
#ifndef CONTROLPLANE_LOCATION_H
#define CONTROLPLANE_LOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/move.h"
#include "controlplane/shard.h"
#include "controlplane/statistics.h"
#include "platforms/base/address.h"
#include "platforms/base/span.h"

struct location;

/* A flow without the pointer of one shard: listeners have the same index in all of them. */
struct binding_flow {
	size_t listener;
	enum config_transport transport; /* of the listener */
	union address remote;
	uint64_t
		connection; /* 0: a datagram, or a stream's after a restart: reached by a new connection only, if at all */
	union address local; /* the listener's */
};

/* One contact of one address-of-record, at one registrar. The texts are in the same block of memory. */
struct binding {
	uint32_t references; /* atomic; owner: location.c */
	uint32_t method_bits; /* of its Allow; 0: not said */
	uint64_t number; /* names it in the store and in the API; never used twice */
	char token
		[SHARD_TOKEN_MAX]; /* the user part of our contact at the registrar: opaque, unique, survives restarts; or of our Path, which
				    * all contacts of one request share */
	const struct config_sip_interface *interface; /* where the phone is */
	const struct config_session_agent *agent; /* the registrar it is registered at */
	struct binding_flow flow;
	struct span
		aor; /* user@host of its To: sip_user_normal, host in lower case, without port and parameters */
	struct span contact; /* the URI as the phone wrote it: what its requests are sent to */
	struct span instance; /* +sip.instance with its <>; empty if none */
	struct span call_id; /* of the phone's REGISTER */
	struct span user_agent, path, service_route; /* as stored; empty if none */
	struct span
		gruu; /* parameters of the registrar's answer (RFC 5627), ";" before each, as the phone is told them */
	struct span associated; /* P-Associated-URI (RFC 7315) likewise */
	struct span upstream_call_id; /* ours towards the registrar */
	uint32_t reg_id; /* RFC 5626; 0: none */
	uint32_t cseq; /* atomic: of the phone's last REGISTER */
	uint32_t
		unreachable; /* atomic: 1: its connection broke, or it answered nothing, until it is heard again; 2: it has run out */
	uint32_t
		doubtful; /* atomic: 1: its registrar has refused a request of the phone: its next REGISTER goes there */
	uint16_t q; /* thousandths */
	bool behind_nat; /* its Via or Contact and its source do not agree (or the profile says always) */
	uint64_t expires_wall_ms; /* atomic: what the phone was promised */
	uint64_t
		upstream_expires_wall_ms; /* atomic: what the registrar promised us; the entry and its token live as long */
	uint64_t confirmed_wall_ms; /* when it did */
	uint32_t upstream_cseq; /* atomic: last used */
	uint32_t keep_alive_s; /* atomic: interval in use; 0: none */
	uint32_t
		lifetime_s; /* atomic: longest silence after which the flow was seen to work still; 0: not known */
	uint64_t heard_wall_ms; /* atomic: last sign of life on the flow */
	uint64_t asked_wall_ms; /* atomic: last keep-alive of ours */
	struct statistics_place counted; /* where, while it is in the table; owner: location.c */
};

/* NULL: no memory. */
struct location *location_new(const struct config *config);
/* Contacts are counted there from now on. Before the first one; NULL: nowhere. */
void location_statistics(struct location *location, struct statistics *statistics);
/* Another configuration (reconfigure.h): every binding points into it. Those whose interface or registrar is not there any more, or is in another
 * realm, are found no more; true if there are such: who has them is to remove them. */
bool location_move(struct location *location, struct config_move *move);
void location_free(struct location *location); /* all entries with it; NULL is fine */

/* A fresh entry that copies the texts of `model`; `references` 1, the caller's. A model without token gets one, a model without number when it
 * goes into the table. NULL: no memory. */
struct binding *binding_new(const struct binding *model);
/* The same for one that may not be in the table any more. */
void binding_move(struct binding *binding, struct config_move *move);
/* Its interface and its registrar are in the configuration, where they were when it was made. */
bool location_serves(struct location *location, const struct binding *binding);
struct binding *binding_get(struct binding *binding); /* one more reference */
void binding_put(struct binding *binding); /* NULL is fine */

/* Takes the entry in, in place of `old` (NULL: of none), whose number it has then; keeps a reference of its own. A look-up finds one of them
 * at any time. 0; -ENOSPC: the table is full (registration.max-bindings), or the address-of-record has registration.max-contacts already;
 * -ESTALE: `old` is not in it any more; -EINVAL: it has no user@host; -ENOMEM. */
int location_replace(struct location *location, struct binding *old, struct binding *binding);
/* True if it was there. */
bool location_remove(struct location *location, struct binding *binding);

/* By the user part of our contact. A reference, or NULL. */
struct binding *location_by_token(struct location *location, struct span token);
/* By that of our Path. Of several contacts that were registered in one request, and share it, that one; another if it is not there. */
struct binding *location_by_path(struct location *location, struct span token, struct span contact);
/* The contacts of an address-of-record, expired ones left out, best q first, at most `limit`. References. Whatever host it is written with it is
 * the same one: the registrar behind us sees the user alone, with its own name, and the realm that the phone is in decides which registrar. */
size_t location_by_aor(struct location *location, const struct config_realm *realm, struct span aor,
	struct binding **out, size_t limit);
/* The same with those that have run out and are kept for their token. */
size_t location_known(struct location *location, const struct config_realm *realm, struct span aor,
	struct binding **out, size_t limit);
size_t location_known_user(struct location *location, struct span user, struct binding **out, size_t limit);
/* Those with that user, whatever the host: a PBX calls sip:USER@OUR-ADDRESS. Same order. */
size_t location_by_user(struct location *location, struct span user, struct binding **out, size_t limit);
/* A live one whose flow this is (realm, transport, address, port, connection): who may ask (allow-anonymous = registered), whom not to ban. */
struct binding *location_by_flow(struct location *location, const struct sip_flow *flow);
/* The connection has ended: what is registered by it is unreachable. How many that are. Any thread. */
size_t location_flow_lost(struct location *location, const struct sip_flow *flow);
/* How many live ones have flows from this host (an IPv6 host: its /64), whatever port. */
size_t location_at_host(struct location *location, const union address *host);
size_t location_count(const struct location *location); /* any thread */

/* Entries with a number above `after`, ascending, at most `limit`: for lists and for the store. References. */
size_t location_list(struct location *location, uint64_t after, struct binding **out, size_t limit);

#endif
