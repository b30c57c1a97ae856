/* SPDX-License-Identifier: BSD-3-Clause */
/* The main thread's side of a prefix table: one writer, workers read beside it (prefix_match.c; layout in prefix_slots.h). */
#include "dataplane/prefix_table.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "dataplane/prefix_slots.h"
#include "dataplane/table_memory.h"
#include "platforms/base/random.h"

/* What only the main thread needs of an entry. Records and lines count from 1: 0 is none. A record keeps its number for as long
 * as its key is in the table, whatever becomes of the line: lists go by it. */
struct prefix_record {
	uint64_t set_us;
	uint32_t line; /* 0: free */
	uint32_t older,
		newer; /* in the order of setting, if it may be evicted; `newer` also links the free ones */
	uint32_t chain_next, chain_before; /* of those with the same hash of the host */
	char note[PREFIX_NOTE];
};

struct place {
	uint64_t at; /* bucket */
	unsigned slot, passed; /* so many buckets on from its own */
};

static uint64_t power_of_two(uint64_t least)
{
	uint64_t n = 16;

	while (n < least)
		n *= 2;
	return n;
}

static size_t lines_size(uint32_t capacity)
{
	return ((size_t)capacity + RETIRED_MAX + 2) * sizeof(struct prefix_line);
}

static size_t records_size(uint32_t capacity)
{
	return ((size_t)capacity + 1) * sizeof(struct prefix_record);
}

static int filters_init(struct prefix_table *t)
{
	uint64_t bits = power_of_two(FILTER_BITS * (uint64_t)t->capacity + 64);
	int status = prefix_filter_init(&t->host_filter, bits);

	return status != 0 ? status
			   : prefix_filter_init(&t->network_filter,
				     bits < FILTER_NETWORKS_MAX ? bits : FILTER_NETWORKS_MAX);
}

struct prefix_table *prefix_table_new(uint32_t capacity, struct rte_rcu_qsbr *rcu)
{
	struct prefix_table *t = table_memory_new(sizeof(*t));

	if (t == NULL)
		return NULL;
	t->rcu = rcu;
	t->capacity = capacity;
	t->bucket_mask = power_of_two(capacity / BUCKET_LOAD) - 1;
	t->host_mask = power_of_two(capacity / 2) - 1;
	for (unsigned i = 0; i < 4; i++)
		t->secret[i] = random_u64();
	t->buckets = table_memory_new((t->bucket_mask + 1) * sizeof(*t->buckets));
	t->entries = table_memory_new((t->bucket_mask + 1) * sizeof(*t->entries));
	t->lines = table_memory_new(lines_size(capacity));
	t->records = table_memory_new(records_size(capacity));
	t->hosts = table_memory_new((t->host_mask + 1) * sizeof(*t->hosts));
	if (t->buckets == NULL || t->entries == NULL || t->lines == NULL || t->records == NULL ||
		t->hosts == NULL || filters_init(t) != 0) {
		prefix_table_free(t);
		return NULL;
	}
	return t;
}

void prefix_table_free(struct prefix_table *t)
{
	if (t == NULL)
		return;
	table_memory_free(t->buckets, (t->bucket_mask + 1) * sizeof(*t->buckets));
	table_memory_free(t->entries, (t->bucket_mask + 1) * sizeof(*t->entries));
	table_memory_free(t->lines, lines_size(t->capacity));
	table_memory_free(t->records, records_size(t->capacity));
	prefix_filter_fini(&t->host_filter);
	prefix_filter_fini(&t->network_filter);
	table_memory_free(t->hosts, (t->host_mask + 1) * sizeof(*t->hosts));
	table_memory_free(t, sizeof(*t));
}

void prefix_mask(union host *ip, uint8_t family, uint8_t length)
{
	unsigned size = family == 4 ? 4 : 16;

	for (unsigned i = 0; i < sizeof(ip->byte); i++) {
		unsigned bits = i >= size || length <= 8 * i ? 0 : length - 8U * i;

		if (bits < 8)
			ip->byte[i] = (uint8_t)(ip->byte[i] & (0xff00 >> bits));
	}
}

static bool key_valid(const struct prefix_key *k)
{
	union host masked = k->ip;

	if ((k->family != 4 && k->family != 6) || k->length > prefix_whole(k->family) ||
		(k->port != 0 && k->length != prefix_whole(k->family)))
		return false;
	prefix_mask(&masked, k->family, k->length);
	return host_equal(&masked, &k->ip);
}

static uint64_t key_rest(const struct prefix_key *k)
{
	return prefix_rest(k->port, k->scope, k->family, k->length);
}

static uint64_t key_hash(const struct prefix_table *t, const struct prefix_key *k)
{
	return prefix_hash(t, k->ip.half[0], k->ip.half[1], key_rest(k));
}

static uint32_t *key_host(const struct prefix_table *t, const struct prefix_key *k)
{
	return &t->hosts[prefix_host(t, k->ip.half[0], k->ip.half[1]) & t->host_mask];
}

/* --- lines: read by workers, so reused only when none of them can look any more --- */

static void lines_reclaim(struct prefix_table *t, bool wait)
{
	while (t->retired_count != 0 &&
		rte_rcu_qsbr_check(t->rcu, t->retired[t->retired_first].token, wait) == 1) {
		uint32_t line = t->retired[t->retired_first].line;

		t->lines[line].e.reserved2 = t->line_free;
		t->line_free = line;
		t->retired_first = (t->retired_first + 1) % RETIRED_MAX;
		t->retired_count--;
		wait = false;
	}
}

/* There are RETIRED_MAX more of them than entries. */
static uint32_t line_new(struct prefix_table *t)
{
	lines_reclaim(t, false);
	uint32_t line = t->line_free;

	if (line == 0)
		return ++t->line_used;
	t->line_free = t->lines[line].e.reserved2;
	return line;
}

static void line_retire(struct prefix_table *t, uint32_t line)
{
	if (t->retired_count == RETIRED_MAX)
		lines_reclaim(t, true);
	uint32_t last = (t->retired_first + t->retired_count++) % RETIRED_MAX;
	t->retired[last].line = line;
	t->retired[last].token = rte_rcu_qsbr_start(t->rcu);
}

/* --- buckets --- */

static void word_store(struct bucket *b, unsigned word, unsigned shift, uint64_t value)
{
	uint64_t old = atomic_load_explicit(&b->word[word], memory_order_relaxed);

	atomic_store_explicit(
		&b->word[word], (old & ~(0xffffULL << shift)) | value << shift, memory_order_release);
}

static void tag_store(struct bucket *b, unsigned slot, uint16_t tag)
{
	word_store(b, slot / TAGS_PER_WORD, 16 * (slot % TAGS_PER_WORD), tag);
}

/* Buckets between an entry's own and where it is. */
static void passed_add(struct prefix_table *t, const struct place *p, int change)
{
	for (unsigned i = 1; i <= p->passed; i++) {
		struct bucket *b = &t->buckets[(p->at - i) & t->bucket_mask];
		uint64_t word = atomic_load_explicit(&b->word[BUCKET_WORDS - 1], memory_order_relaxed);

		word_store(
			b, BUCKET_WORDS - 1, PASSED_SHIFT, (uint16_t)((int)(word >> PASSED_SHIFT) + change));
	}
}

static uint32_t place_line(const struct prefix_table *t, const struct place *p)
{
	return atomic_load_explicit(&t->entries[p->at].line[p->slot], memory_order_relaxed);
}

static bool place_find(const struct prefix_table *t, const struct prefix_key *k, struct place *p)
{
	uint64_t hash = key_hash(t, k), rest = key_rest(k);
	uint32_t passed;

	for (p->passed = 0; p->passed <= BUCKETS_PASSED_MAX; p->passed++) {
		p->at = (hash + p->passed) & t->bucket_mask;
		for (uint32_t slots = bucket_match(&t->buckets[p->at], prefix_tag(hash), &passed); slots != 0;
			slots &= slots - 1) {
			p->slot = (unsigned)__builtin_ctz(slots);
			if (prefix_is(&t->lines[place_line(t, p)].e.key, k->ip.half[0], k->ip.half[1], rest))
				return true;
		}
		if (passed == 0)
			return false;
	}
	return false;
}

/* The nearest free slot. false: so many full buckets in a row, which chance does not make. */
static bool place_free(const struct prefix_table *t, const struct prefix_key *k, struct place *p)
{
	uint64_t hash = key_hash(t, k);
	uint32_t passed;

	for (p->passed = 0; p->passed <= BUCKETS_PASSED_MAX; p->passed++) {
		p->at = (hash + p->passed) & t->bucket_mask;
		uint32_t slots = bucket_match(&t->buckets[p->at], 0, &passed);

		if (slots != 0) {
			p->slot = (unsigned)__builtin_ctz(slots);
			return true;
		}
	}
	return false;
}

static void place_publish(
	struct prefix_table *t, const struct place *p, const struct prefix_key *k, uint32_t line)
{
	passed_add(t, p, 1);
	atomic_store_explicit(&t->entries[p->at].line[p->slot], line, memory_order_release);
	tag_store(&t->buckets[p->at], p->slot, prefix_tag(key_hash(t, k)));
}

static void filter_change(struct prefix_table *t, const struct prefix_key *k, bool add)
{
	uint64_t place;

	if (k->length == prefix_whole(k->family)) {
		place = prefix_host(t, k->ip.half[0], k->ip.half[1]);
		prefix_filter_change(&t->host_filter, place, prefix_host_bits(place), add);
	} else if (prefix_network_filtered(k->family, k->length)) {
		place = prefix_network(t, k->ip.half[0], k->family);
		prefix_filter_change(&t->network_filter, place / 64, 1ULL << place % 64, add);
	}
}

/* Kinds of keys: workers ask for a kind from before its first entry comes until after its last went. */
static void kind_count(struct prefix_table *t, const struct prefix_key *k, bool add)
{
	filter_change(t, k, add);
	bool scoped = k->scope != PREFIX_SCOPE_ANY;
	unsigned which = k->port != 0 ? LENGTHS : k->length;
	uint32_t *count = &t->kind_count[k->family == 6][scoped][which];
	struct kinds *kinds = &t->kinds[k->family == 6];

	*count += add ? 1 : UINT32_MAX;
	if (*count > 1 || (*count == 1 && !add))
		return;
	atomic_fetch_add_explicit(&kinds->count, add ? 1U : UINT_MAX, memory_order_relaxed);
	if (k->port != 0)
		atomic_store_explicit(&kinds->port[scoped], add, memory_order_release);
	else if (add)
		atomic_fetch_or_explicit(
			&kinds->length[scoped][which / 64], 1ULL << which % 64, memory_order_release);
	else
		atomic_fetch_and_explicit(
			&kinds->length[scoped][which / 64], ~(1ULL << which % 64), memory_order_release);
}

/* --- records --- */

static void order_remove(struct prefix_table *t, uint32_t record)
{
	struct prefix_record *r = &t->records[record];

	if (r->older == 0 && t->oldest != record)
		return; /* configured: in no order */
	*(r->older != 0 ? &t->records[r->older].newer : &t->oldest) = r->newer;
	*(r->newer != 0 ? &t->records[r->newer].older : &t->newest) = r->older;
	r->older = r->newer = 0;
}

static void order_append(struct prefix_table *t, uint32_t record)
{
	t->records[record].older = t->newest;
	*(t->newest != 0 ? &t->records[t->newest].newer : &t->oldest) = record;
	t->newest = record;
}

static void chain_insert(struct prefix_table *t, uint32_t record, const struct prefix_key *k)
{
	uint32_t *head = key_host(t, k);

	t->records[record].chain_next = *head;
	t->records[*head].chain_before = record; /* that of record 0 means nothing */
	*head = record;
}

static void chain_remove(struct prefix_table *t, uint32_t record, const struct prefix_key *k)
{
	struct prefix_record *r = &t->records[record];

	*(r->chain_before != 0 ? &t->records[r->chain_before].chain_next : key_host(t, k)) = r->chain_next;
	t->records[r->chain_next].chain_before = r->chain_before;
}

static uint32_t record_new(struct prefix_table *t)
{
	uint32_t record = t->record_free;

	if (record == 0)
		record = ++t->record_used;
	else
		t->record_free = t->records[record].newer;
	t->records[record] = (struct prefix_record){ 0 };
	return record;
}

static void note_set(struct prefix_record *r, const char *note)
{
	size_t n = note != NULL ? strnlen(note, PREFIX_NOTE - 1) : 0;

	if (n != 0)
		memcpy(r->note, note, n);
	memset(r->note + n, 0, PREFIX_NOTE - n);
}

/* --- changes --- */

static void entry_remove(struct prefix_table *t, const struct place *p)
{
	uint32_t line = place_line(t, p);
	const struct prefix_key key = t->lines[line].e.key;
	uint32_t record = t->lines[line].e.reserved2;

	tag_store(&t->buckets[p->at], p->slot, 0);
	passed_add(t, p, -1);
	kind_count(t, &key, false);
	order_remove(t, record);
	if (key.length == prefix_whole(key.family))
		chain_remove(t, record, &key);
	t->records[record].line = 0;
	t->records[record].newer = t->record_free;
	t->record_free = record;
	t->count--;
	line_retire(t, line);
}

static void line_write(
	struct prefix_table *t, uint32_t line, const struct prefix_entry *e, uint32_t record, uint64_t hits)
{
	struct prefix_entry *to = &t->lines[line].e;

	*to = *e;
	memset(to->key.reserved, 0, sizeof(to->key.reserved));
	to->reserved2 = record;
	to->hits = hits;
}

static bool same_but_time(const struct prefix_entry *a, const struct prefix_entry *b)
{
	return a->permit == b->permit && a->trusted == b->trusted && a->configured == b->configured &&
	       a->rate == b->rate && a->burst == b->burst;
}

static void entry_replace(
	struct prefix_table *t, const struct place *p, const struct prefix_entry *e, const char *note)
{
	uint32_t old = place_line(t, p);
	struct prefix_entry *was = &t->lines[old].e;
	uint32_t record = was->reserved2;

	order_remove(t, record);
	if (!e->configured)
		order_append(t, record);
	note_set(&t->records[record], note);
	if (same_but_time(was, e)) {
		__atomic_store_n(&was->expires_us, e->expires_us, __ATOMIC_RELAXED);
		return;
	}
	uint32_t line = line_new(t);
	line_write(t, line, e, record, __atomic_load_n(&was->hits, __ATOMIC_RELAXED));
	atomic_store_explicit(&t->entries[p->at].line[p->slot], line, memory_order_release);
	t->records[record].line = line;
	line_retire(t, old);
}

static bool oldest_remove(struct prefix_table *t)
{
	struct place p;

	if (t->oldest == 0 || !place_find(t, &t->lines[t->records[t->oldest].line].e.key, &p))
		return false;
	entry_remove(t, &p);
	return true;
}

int prefix_table_set(struct prefix_table *t, const struct prefix_entry *e, const char *note, uint64_t now_us,
	bool oldest_out, bool *evicted)
{
	struct place p;

	if (evicted != NULL)
		*evicted = false;
	if (!key_valid(&e->key))
		return -EINVAL;
	if (place_find(t, &e->key, &p)) {
		entry_replace(t, &p, e, note);
		return 0;
	}
	if (t->count == t->capacity) {
		if (!oldest_out || !oldest_remove(t))
			return -ENOSPC;
		if (evicted != NULL)
			*evicted = true;
	}
	if (!place_free(t, &e->key, &p))
		return -ENOSPC;
	uint32_t record = record_new(t), line = line_new(t);
	struct prefix_record *r = &t->records[record];
	line_write(t, line, e, record, 0);
	r->set_us = now_us;
	r->line = line;
	note_set(r, note);
	if (!e->configured)
		order_append(t, record);
	if (e->key.length == prefix_whole(e->key.family))
		chain_insert(t, record, &e->key);
	t->count++;
	kind_count(t, &e->key, true);
	place_publish(t, &p, &e->key, line);
	return 0;
}

int prefix_table_clear(struct prefix_table *t, const struct prefix_key *key)
{
	struct place p;

	if (!place_find(t, key, &p))
		return -ENOENT;
	entry_remove(t, &p);
	return 0;
}

unsigned prefix_table_expire(struct prefix_table *t, uint64_t now_us, uint32_t budget)
{
	unsigned gone = 0;

	for (; budget > 0 && t->record_used != 0; budget--) {
		t->expire_at = t->expire_at % t->record_used + 1;
		const struct prefix_record *r = &t->records[t->expire_at];

		if (r->line == 0)
			continue;
		const struct prefix_entry *e = &t->lines[r->line].e;
		struct place p;
		if (e->expires_us != 0 && e->expires_us <= now_us && place_find(t, &e->key, &p)) {
			entry_remove(t, &p);
			gone++;
		}
	}
	return gone;
}

/* --- questions --- */

const struct prefix_entry *prefix_table_find(const struct prefix_table *t, const struct prefix_key *key)
{
	struct place p;

	return place_find(t, key, &p) ? &t->lines[place_line(t, &p)].e : NULL;
}

static bool scopes_meet(uint16_t a, uint16_t b)
{
	return a == PREFIX_SCOPE_ANY || b == PREFIX_SCOPE_ANY || a == b;
}

static bool keys_overlap(const struct prefix_key *a, const struct prefix_key *b)
{
	union host x = a->ip, y = b->ip;
	uint8_t length = a->length < b->length ? a->length : b->length;

	if (a->family != b->family || !scopes_meet(a->scope, b->scope) ||
		(a->port != 0 && b->port != 0 && a->port != b->port))
		return false;
	prefix_mask(&x, a->family, length);
	prefix_mask(&y, a->family, length);
	return host_equal(&x, &y);
}

/* Is a network in the table around `key`? Of each length there is at most one of any scope, and one of key's. */
static bool network_around(const struct prefix_table *t, const struct prefix_key *key)
{
	struct prefix_key k = { .ip = key->ip, .family = key->family, .scope = PREFIX_SCOPE_ANY };

	for (k.length = prefix_whole(key->family); k.length-- > 0;) {
		prefix_mask(&k.ip, k.family, k.length);
		for (unsigned scoped = 0; scoped < 2; scoped++) {
			k.scope = scoped != 0 ? key->scope : PREFIX_SCOPE_ANY;
			if (t->kind_count[k.family == 6][scoped][k.length] != 0 &&
				prefix_table_find(t, &k) != NULL)
				return true;
		}
	}
	return false;
}

/* A question about no scope meets networks of all scopes: they cannot be looked up. */
static bool must_scan(const struct prefix_table *t, const struct prefix_key *key)
{
	if (key->length != prefix_whole(key->family))
		return true;
	for (unsigned length = 0; key->scope == PREFIX_SCOPE_ANY && length < key->length; length++)
		if (t->kind_count[key->family == 6][1][length] != 0)
			return true;
	return false;
}

bool prefix_table_overlaps(const struct prefix_table *t, const struct prefix_key *key)
{
	if (!key_valid(key) || t->count == 0)
		return false;
	if (must_scan(t, key)) {
		for (uint32_t i = 1; i <= t->record_used; i++)
			if (t->records[i].line != 0 && keys_overlap(&t->lines[t->records[i].line].e.key, key))
				return true;
		return false;
	}
	for (uint32_t i = *key_host(t, key); i != 0; i = t->records[i].chain_next)
		if (keys_overlap(&t->lines[t->records[i].line].e.key, key))
			return true;
	return network_around(t, key);
}

const struct prefix_entry *prefix_table_next(const struct prefix_table *t, uint64_t *cursor, uint32_t *budget)
{
	for (; *cursor<t->record_used && * budget> 0; (*budget)--) {
		uint32_t line = t->records[++*cursor].line;

		if (line == 0)
			continue;
		(*budget)--;
		return &t->lines[line].e;
	}
	return NULL;
}

const char *prefix_table_note(const struct prefix_table *t, const struct prefix_entry *e)
{
	return t->records[e->reserved2].note;
}

uint64_t prefix_table_set_us(const struct prefix_table *t, const struct prefix_entry *e)
{
	return t->records[e->reserved2].set_us;
}

void prefix_table_inherit(struct prefix_table *t, const struct prefix_table *from)
{
	for (uint32_t i = 1; i <= from->record_used; i++) {
		const struct prefix_record *r = &from->records[i];
		const struct prefix_entry *e = &from->lines[r->line].e;
		struct place p;

		if (r->line == 0 || !place_find(t, &e->key, &p))
			continue;
		struct prefix_entry *heir = &t->lines[place_line(t, &p)].e;
		__atomic_fetch_add(
			&heir->hits, __atomic_load_n(&e->hits, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
		t->records[heir->reserved2].set_us = r->set_us;
	}
}

uint32_t prefix_table_count(const struct prefix_table *t)
{
	return t->count;
}

uint32_t prefix_table_capacity(const struct prefix_table *t)
{
	return t->capacity;
}
