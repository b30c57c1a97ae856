/* SPDX-License-Identifier: BSD-3-Clause */
/* The hash table of one shard's transactions and tombstones, and the keys of RFC 3261 sections 17.1.3 and 17.2.3. */
#ifndef CONTROLPLANE_TRANSACTION_TABLE_H
#define CONTROLPLANE_TRANSACTION_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/scan.h"
#include "platforms/base/hash.h"

/* 128 bits of SipHash under two secret keys stand for the text: nobody can aim at a collision, and two of 10^7 entries
 * collide by chance once in 10^24 tables. So no text is kept or compared, however long the peer made it. */
struct table_key {
	uint64_t hash[2];
};

enum table_kind { TABLE_TRANSACTION, TABLE_TOMBSTONE };

struct table_node { /* zero-initialised = in no table */
	struct table_node *next, **link;
	struct table_key key;
	enum table_kind kind;
	void *owner; /* struct transaction or struct tombstone */
};

struct table {
	struct hash_key secret[2];
	struct table_node **bucket;
	size_t mask;
};

/* Sized once for `entries`. 0 or -ENOMEM. */
int table_init(struct table *table, size_t entries);
void table_fini(struct table *table);
void table_insert(struct table *table, struct table_node *node, const struct table_key *key,
	enum table_kind kind, void *owner);
void table_remove(struct table_node *node); /* in no table: nothing */
/* Takes `from`'s place with the same key; `from` is in no table afterwards. */
void table_move(struct table *table, struct table_node *from, struct table_node *to, enum table_kind kind,
	void *owner);
struct table_node *table_find(const struct table *table, const struct table_key *key);

/* Server: top Via's branch and sent-by and the method, an ACK counting as `method` INVITE; a CANCEL finds its INVITE by
 * naming that. Without the magic cookie the keys of RFC 2543. */
struct table_key table_key_server(const struct table *table, const struct scan *scan, struct span method);
/* Client: our branch and CSeq's method. */
struct table_key table_key_client(const struct table *table, struct span branch, struct span method);
/* The ACK of a 2xx: dialog and CSeq number. `to_tag` is ours. */
struct table_key table_key_dialog(const struct table *table, const struct scan *scan, struct span to_tag);
/* Client: what waits for an answer on a connection; several may have the same. */
struct table_key table_key_connection(const struct table *table, uint64_t connection);
/* The same request by another way (RFC 3261 section 8.2.2.2). */
struct table_key table_key_merged(const struct table *table, const struct scan *scan);

#endif
