/* SPDX-License-Identifier: BSD-3-Clause */
/* Chained hash table and fingerprints of transaction keys. */
#include "controlplane/transaction_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES_MAX = 8, SENT_BY_MAX = 262 /* longest host name, colon, port */ };

/* What a key is for: the same pieces in two roles must differ. */
enum role { ROLE_SERVER = 1, ROLE_SERVER_2543, ROLE_CLIENT, ROLE_DIALOG, ROLE_MERGED, ROLE_CONNECTION };

int table_init(struct table *table, size_t entries)
{
	size_t buckets = 1024;

	while (buckets < entries)
		buckets *= 2;
	hash_key_random(&table->secret[0]);
	hash_key_random(&table->secret[1]);
	table->mask = buckets - 1;
	table->bucket = calloc(buckets, sizeof(struct table_node *));
	return table->bucket ? 0 : -ENOMEM;
}

void table_fini(struct table *table)
{
	free(table->bucket);
	table->bucket = NULL;
}

void table_insert(struct table *table, struct table_node *node, const struct table_key *key,
	enum table_kind kind, void *owner)
{
	struct table_node **head = &table->bucket[key->hash[0] & table->mask];

	node->key = *key;
	node->kind = kind;
	node->owner = owner;
	node->next = *head;
	if (node->next)
		node->next->link = &node->next;
	node->link = head;
	*head = node;
}

void table_remove(struct table_node *node)
{
	if (!node->link)
		return;
	*node->link = node->next;
	if (node->next)
		node->next->link = node->link;
	node->link = NULL;
	node->next = NULL;
}

void table_move(struct table *table, struct table_node *from, struct table_node *to, enum table_kind kind,
	void *owner)
{
	struct table_key key = from->key;

	if (!from->link)
		return;
	table_remove(from);
	table_insert(table, to, &key, kind, owner);
}

struct table_node *table_find(const struct table *table, const struct table_key *key)
{
	struct table_node *node = table->bucket[key->hash[0] & table->mask];

	while (node && (node->key.hash[0] != key->hash[0] || node->key.hash[1] != key->hash[1]))
		node = node->next;
	return node;
}

/* Each piece is hashed alone, then their hashes together: boundaries cannot be shifted, no buffer limits a length. */
static struct table_key fingerprint(
	const struct table *table, enum role role, const struct span *piece, size_t count)
{
	uint64_t digest[PIECES_MAX + 1];
	struct table_key key;

	for (unsigned half = 0; half < 2; half++) {
		digest[0] = role;
		for (size_t i = 0; i < count; i++)
			digest[i + 1] = hash_bytes(&table->secret[half], piece[i].p, piece[i].n);
		key.hash[half] = hash_bytes(&table->secret[half], digest, (count + 1) * sizeof(digest[0]));
	}
	return key;
}

/* Host names compare without case (RFC 3261 section 19.1.4). Nothing longer is a host name. */
static struct span lowered(struct span text, char buffer[SENT_BY_MAX])
{
	if (text.n > SENT_BY_MAX)
		return text;
	for (size_t i = 0; i < text.n; i++)
		buffer[i] = (char)tolower((unsigned char)text.p[i]);
	return (struct span){ buffer, text.n };
}

static bool has_cookie(struct span branch)
{
	return branch.n > 7 && span_starts_case(branch, SPAN("z9hG4bK"));
}

struct table_key table_key_server(const struct table *table, const struct scan *scan, struct span method)
{
	char buffer[SENT_BY_MAX];
	char number[4];
	struct span via = { NULL, 0 };

	if (has_cookie(scan->branch)) {
		const struct span piece[] = { scan->branch, lowered(scan->sent_by, buffer), method };

		return fingerprint(table, ROLE_SERVER, piece, 3);
	}
	/* The To tag is left out: an ACK has one where its INVITE had none, and Call-ID with From tag and CSeq names the
	 * request. */
	scan_header_find(scan, SPAN("Via"), 'v', 0, &via);
	memcpy(number, &scan->cseq_number, sizeof(number));
	const struct span piece[] = { scan->request_uri, scan->from_tag, scan->call_id,
		{ number, sizeof(number) }, via, method };

	return fingerprint(table, ROLE_SERVER_2543, piece, 6);
}

struct table_key table_key_client(const struct table *table, struct span branch, struct span method)
{
	const struct span piece[] = { branch, method };

	return fingerprint(table, ROLE_CLIENT, piece, 2);
}

struct table_key table_key_dialog(const struct table *table, const struct scan *scan, struct span to_tag)
{
	char number[4];
	const struct span piece[] = { scan->call_id, scan->from_tag, to_tag, { number, sizeof(number) } };

	memcpy(number, &scan->cseq_number, sizeof(number));
	return fingerprint(table, ROLE_DIALOG, piece, 4);
}

struct table_key table_key_merged(const struct table *table, const struct scan *scan)
{
	char number[4];
	const struct span piece[] = { scan->call_id, scan->from_tag, { number, sizeof(number) },
		scan->method_name };

	memcpy(number, &scan->cseq_number, sizeof(number));
	return fingerprint(table, ROLE_MERGED, piece, 4);
}

struct table_key table_key_connection(const struct table *table, uint64_t connection)
{
	char number[sizeof(connection)];
	const struct span piece[] = { { number, sizeof(number) } };

	memcpy(number, &connection, sizeof(number));
	return fingerprint(table, ROLE_CONNECTION, piece, 1);
}
