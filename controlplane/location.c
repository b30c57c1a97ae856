/* SPDX-License-Identifier: BSD-3-Clause */
/* The location table: hash indices over the same entries, each in stripes with a lock of their own; a list by number and a count by host stand beside. */
#include "controlplane/location.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/location_index.h"
#include "controlplane/transport.h"
#include "platforms/base/clock.h"
#include "platforms/base/random.h"

enum index_kind { BY_TOKEN, BY_AOR, BY_USER, BY_FLOW, INDICES };
enum { STRIPE_BITS = 6, STRIPES = 1 << STRIPE_BITS, BUCKETS_FIRST = 16, TOKEN_CHARACTERS = 20 };

_Static_assert((int)TOKEN_CHARACTERS < (int)SHARD_TOKEN_MAX, "a token and its NUL fit");

struct node {
	struct node *next;
	uint64_t hash;
};

struct entry {
	struct node node[INDICES];
	struct binding binding;
	char text[];
};

struct stripe {
	pthread_mutex_t lock;
	struct node **bucket; /* lock */
	size_t size, count; /* lock; size: a power of two */
};

struct index {
	struct stripe stripe[STRIPES];
};

struct location {
	const struct config *config;
	struct hash_key key;
	pthread_mutex_t changing; /* one change at a time; before any other lock */
	size_t count; /* changed under `changing`; others read relaxed */
	uint64_t last_number; /* changing */
	struct index index[INDICES];
	struct location_hosts *hosts;
	struct location_order *order;
	struct statistics *statistics; /* or NULL */
};

/* --- entries -------------------------------------------------------------------------------------------------------- */

static struct entry *entry_of(struct binding *binding)
{
	return (struct entry *)(void *)((char *)binding - offsetof(struct entry, binding));
}

static struct entry *entry_of_node(struct node *node, enum index_kind kind)
{
	return (struct entry *)(void *)((char *)node - offsetof(struct entry, node) - kind * sizeof(*node));
}

static struct span *const *texts_of(struct binding *binding, struct span *out[10])
{
	out[0] = &binding->aor;
	out[1] = &binding->contact;
	out[2] = &binding->instance;
	out[3] = &binding->call_id;
	out[4] = &binding->user_agent;
	out[5] = &binding->path;
	out[6] = &binding->service_route;
	out[7] = &binding->gruu;
	out[8] = &binding->associated;
	out[9] = &binding->upstream_call_id;
	return out;
}

struct binding *binding_new(const struct binding *model)
{
	struct binding copy = *model;
	struct span *texts[10];
	struct entry *entry;
	size_t length = 0;
	char *at;

	texts_of(&copy, texts);
	for (size_t i = 0; i < 10; i++)
		length += texts[i]->n;
	entry = malloc(sizeof(*entry) + length);
	if (!entry)
		return NULL;
	at = entry->text;
	for (size_t i = 0; i < 10; i++) {
		if (texts[i]->n)
			memcpy(at, texts[i]->p, texts[i]->n);
		texts[i]->p = at;
		at += texts[i]->n;
	}
	memset(entry->node, 0, sizeof(entry->node));
	entry->binding = copy;
	entry->binding.references = 1;
	if (entry->binding.token[0] == '\0')
		random_token(entry->binding.token, TOKEN_CHARACTERS);
	return &entry->binding;
}

struct binding *binding_get(struct binding *binding)
{
	__atomic_add_fetch(&binding->references, 1, __ATOMIC_RELAXED);
	return binding;
}

void binding_put(struct binding *binding)
{
	if (binding && __atomic_sub_fetch(&binding->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(entry_of(binding));
}

static bool is_live(const struct binding *binding, uint64_t now)
{
	return __atomic_load_n(&binding->expires_wall_ms, __ATOMIC_RELAXED) > now;
}

/* --- keys ----------------------------------------------------------------------------------------------------------- */

struct flow_key {
	uint64_t realm, connection;
	uint8_t ip[16];
	uint16_t port;
	uint8_t transport, family;
	uint8_t zero[4];
};

/* By its name: it is the same realm in every configuration. */
static uint64_t hash_realm(const struct location *location, const struct config_realm *realm)
{
	return hash_bytes(&location->key, realm->name, strlen(realm->name));
}

static struct flow_key flow_key(const struct location *location, const struct config_realm *realm,
	enum config_transport transport, const union address *remote, uint64_t connection)
{
	struct flow_key key;

	memset(&key, 0, sizeof(key));
	key.realm = hash_realm(location, realm);
	key.transport = (uint8_t)transport;
	key.connection = connection;
	location_host_bytes(remote, key.ip);
	key.family = (uint8_t)remote->sa.sa_family;
	key.port = address_port(remote);
	return key;
}

static struct flow_key flow_of(const struct location *location, const struct binding *binding)
{
	return flow_key(location, binding->interface->realm, binding->flow.transport, &binding->flow.remote,
		binding->flow.connection);
}

/* What is in front of the '@'. */
static struct span user_of(struct span aor)
{
	return span_cut(&aor, '@');
}

static uint64_t hash_span(const struct location *location, struct span text)
{
	return hash_bytes(&location->key, text.p, text.n);
}

struct owner { /* of contacts: an address-of-record, whatever its host */
	const struct config_realm *realm; /* NULL: in any */
	struct span user;
};

static struct owner owner_of(const struct binding *binding)
{
	return (struct owner){ binding->interface->realm, user_of(binding->aor) };
}

static uint64_t hash_owner(const struct location *location, const struct owner *owner)
{
	uint64_t parts[2] = { owner->realm ? hash_realm(location, owner->realm) : 0,
		hash_span(location, owner->user) };

	return hash_bytes(&location->key, parts, sizeof(parts));
}

static bool is_owner(const struct owner *owner, const struct binding *binding)
{
	return (!owner->realm || owner->realm == binding->interface->realm) &&
	       span_equal(owner->user, user_of(binding->aor));
}

static void hash_entry(const struct location *location, struct entry *entry)
{
	const struct binding *binding = &entry->binding;
	struct flow_key key = flow_of(location, binding);
	struct owner owner = owner_of(binding);

	entry->node[BY_TOKEN].hash = hash_span(location, span_from(binding->token));
	entry->node[BY_AOR].hash = hash_owner(location, &owner);
	entry->node[BY_USER].hash = hash_span(location, user_of(binding->aor));
	entry->node[BY_FLOW].hash = hash_bytes(&location->key, &key, sizeof(key));
}

/* --- another configuration ------------------------------------------------------------------------------------------- */

struct moving {
	struct config_move *move;
	bool left; /* somebody has no place any more */
};

void binding_move(struct binding *binding, struct config_move *move)
{
	config_move_sip_interface(move, &binding->interface);
	config_move_session_agent(move, &binding->agent);
}

/* What it is found by stands in the table: of another realm it would be another one. */
bool location_serves(struct location *location, const struct binding *binding)
{
	struct owner owner = owner_of(binding);
	const struct config *config = location->config;

	return config_sip_interface_index(config, binding->interface) != CONFIG_NOWHERE &&
	       (!binding->agent || config_session_agent_index(config, binding->agent) != CONFIG_NOWHERE) &&
	       ((const struct entry *)(const void *)((const char *)binding - offsetof(struct entry, binding)))
			       ->node[BY_AOR]
			       .hash == hash_owner(location, &owner);
}

static void move_one(struct binding *binding, void *arg)
{
	struct moving *moving = arg;
	const struct config_realm *realm = binding->interface->realm;
	bool stays = config_move_sip_interface(moving->move, &binding->interface);

	stays &= config_move_session_agent(moving->move, &binding->agent);
	stays = stays && config_move_realm(moving->move, &realm) && realm == binding->interface->realm;
	moving->left |= !stays;
}

bool location_move(struct location *location, struct config_move *move)
{
	struct moving moving = { .move = move };

	location->config = config_move_to(move);
	location_order_each(location->order, move_one, &moving);
	return moving.left;
}

/* --- stripes -------------------------------------------------------------------------------------------------------- */

static struct stripe *stripe_lock(struct index *index, uint64_t hash)
{
	struct stripe *stripe = &index->stripe[hash >> (64 - STRIPE_BITS)];

	pthread_mutex_lock(&stripe->lock);
	return stripe;
}

/* More room for what is to come. False: not even for one. */
static bool stripe_grow(struct stripe *stripe)
{
	size_t size = stripe->size ? stripe->size * 2 : BUCKETS_FIRST;
	struct node **bucket;

	if (stripe->count < stripe->size)
		return true;
	bucket = calloc(size, sizeof(struct node *));
	if (!bucket)
		return stripe->size > 0;
	for (size_t i = 0; i < stripe->size; i++) {
		struct node *node = stripe->bucket[i], *next;

		for (; node; node = next) {
			next = node->next;
			node->next = bucket[node->hash & (size - 1)];
			bucket[node->hash & (size - 1)] = node;
		}
	}
	free(stripe->bucket);
	stripe->bucket = bucket;
	stripe->size = size;
	return true;
}

static void stripe_insert(struct stripe *stripe, struct node *node)
{
	struct node **bucket = &stripe->bucket[node->hash & (stripe->size - 1)];

	node->next = *bucket;
	*bucket = node;
	stripe->count++;
}

static void stripe_remove(struct stripe *stripe, const struct node *node)
{
	struct node **link = &stripe->bucket[node->hash & (stripe->size - 1)];

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	stripe->count--;
}

static struct node *stripe_first(const struct stripe *stripe, uint64_t hash)
{
	return stripe->size ? stripe->bucket[hash & (stripe->size - 1)] : NULL;
}

/* The new one is there before the old one goes. Room has been made (reserve). */
static void index_swap(struct index *index, struct node *old, struct node *node)
{
	struct stripe *stripe;

	if (node) {
		stripe = stripe_lock(index, node->hash);
		stripe_insert(stripe, node);
		if (old && old->hash == node->hash) {
			stripe_remove(stripe, old);
			old = NULL;
		}
		pthread_mutex_unlock(&stripe->lock);
	}
	if (old) {
		stripe = stripe_lock(index, old->hash);
		stripe_remove(stripe, old);
		pthread_mutex_unlock(&stripe->lock);
	}
}

size_t location_at_host(struct location *location, const union address *host)
{
	return location_hosts_count(location->hosts, host);
}

size_t location_list(struct location *location, uint64_t after, struct binding **out, size_t limit)
{
	return location_order_list(location->order, after, out, limit);
}

/* --- changes -------------------------------------------------------------------------------------------------------- */

/* Under `changing`: nobody else takes it out meanwhile. */
static bool is_in(struct location *location, struct entry *entry)
{
	struct stripe *stripe = stripe_lock(&location->index[BY_TOKEN], entry->node[BY_TOKEN].hash);
	const struct node *node = stripe_first(stripe, entry->node[BY_TOKEN].hash);

	while (node && node != &entry->node[BY_TOKEN])
		node = node->next;
	pthread_mutex_unlock(&stripe->lock);
	return node != NULL;
}

static size_t contacts_of(struct location *location, const struct entry *entry)
{
	struct stripe *stripe = stripe_lock(&location->index[BY_AOR], entry->node[BY_AOR].hash);
	struct node *node = stripe_first(stripe, entry->node[BY_AOR].hash);
	struct owner owner = owner_of(&entry->binding);
	size_t count = 0;

	for (; node; node = node->next)
		count += node->hash == entry->node[BY_AOR].hash &&
			 is_owner(&owner, &entry_of_node(node, BY_AOR)->binding);
	pthread_mutex_unlock(&stripe->lock);
	return count;
}

/* So that nothing can fail half way. */
static int reserve(struct location *location, const struct entry *entry)
{
	bool room = true;
	int error;

	for (unsigned i = 0; i < INDICES && room; i++) {
		struct stripe *stripe = stripe_lock(&location->index[i], entry->node[i].hash);

		room = stripe_grow(stripe);
		pthread_mutex_unlock(&stripe->lock);
	}
	error = location_order_reserve(location->order);
	return room ? error : -ENOMEM;
}

static int may_enter(struct location *location, struct entry *old, const struct entry *entry)
{
	const struct config_registration *limits = &location->config->registration;
	struct owner owner = owner_of(&entry->binding);
	bool same_aor = old && is_owner(&owner, &old->binding);

	if (!memchr(entry->binding.aor.p, '@', entry->binding.aor.n))
		return -EINVAL;
	if (old && !is_in(location, old))
		return -ESTALE;
	if (!old && location->count >= limits->max_bindings)
		return -ENOSPC;
	if (!same_aor && contacts_of(location, entry) >= limits->max_contacts)
		return -ENOSPC;
	return 0;
}

static void count(const struct location *location, const struct entry *old, struct entry *entry)
{
	if (!location->statistics)
		return;
	if (entry) {
		entry->binding.counted = statistics_place(
			location->statistics, entry->binding.interface->realm, entry->binding.agent);
		statistics_registered(location->statistics, entry->binding.counted, 1);
	}
	if (old)
		statistics_registered(location->statistics, old->binding.counted, -1);
}

static void swap(struct location *location, struct entry *old, struct entry *entry)
{
	for (unsigned i = 0; i < INDICES; i++)
		index_swap(&location->index[i], old ? &old->node[i] : NULL, entry ? &entry->node[i] : NULL);
	if (entry)
		location_order_insert(location->order, &entry->binding);
	else
		location_order_remove(location->order, &old->binding);
	if (old)
		location_hosts_drop(location->hosts, &old->binding.flow.remote);
	count(location, old, entry);
	__atomic_store_n(
		&location->count, location->count + (entry ? 1 : 0) - (old ? 1 : 0), __ATOMIC_RELAXED);
}

int location_replace(struct location *location, struct binding *old, struct binding *binding)
{
	struct entry *entry = entry_of(binding), *before = old ? entry_of(old) : NULL;
	int error;

	hash_entry(location, entry);
	pthread_mutex_lock(&location->changing);
	error = may_enter(location, before, entry);
	if (error == 0)
		error = reserve(location, entry);
	if (error == 0)
		error = location_hosts_add(location->hosts, &binding->flow.remote);
	if (error == 0) {
		if (old)
			binding->number = old->number;
		else if (binding->number == 0)
			binding->number = location->last_number + 1;
		if (binding->number > location->last_number)
			location->last_number = binding->number;
		swap(location, before, entry);
		binding_get(binding);
	}
	pthread_mutex_unlock(&location->changing);
	if (error == 0)
		binding_put(old);
	return error;
}

bool location_remove(struct location *location, struct binding *binding)
{
	struct entry *entry = entry_of(binding);
	bool was_in;

	pthread_mutex_lock(&location->changing);
	was_in = is_in(location, entry);
	if (was_in)
		swap(location, entry, NULL);
	pthread_mutex_unlock(&location->changing);
	if (was_in)
		binding_put(binding);
	return was_in;
}

/* --- looking -------------------------------------------------------------------------------------------------------- */

struct binding *location_by_path(struct location *location, struct span token, struct span contact)
{
	uint64_t hash = hash_span(location, token);
	struct stripe *stripe = stripe_lock(&location->index[BY_TOKEN], hash);
	struct binding *found = NULL;

	for (struct node *node = stripe_first(stripe, hash); node; node = node->next) {
		struct binding *binding = &entry_of_node(node, BY_TOKEN)->binding;

		if (node->hash == hash && span_equal(span_from(binding->token), token) &&
			(!found || span_equal(binding->contact, contact)))
			found = binding;
	}
	if (found)
		binding_get(found);
	pthread_mutex_unlock(&stripe->lock);
	return found;
}

struct binding *location_by_token(struct location *location, struct span token)
{
	return location_by_path(location, token, (struct span){ NULL, 0 });
}

/* Higher q first; of equal ones who came last, who is the likeliest to be there. */
static bool is_better(const struct binding *a, const struct binding *b)
{
	return a->q != b->q ? a->q > b->q : a->number > b->number;
}

static size_t take(struct binding **out, size_t count, size_t limit, struct binding *binding)
{
	size_t at = count;

	while (at > 0 && is_better(binding, out[at - 1]))
		at--;
	if (at >= limit)
		return count;
	if (count == limit)
		count--;
	memmove(&out[at + 1], &out[at], (count - at) * sizeof(struct binding *));
	out[at] = binding;
	return count + 1;
}

/* Of a realm: BY_AOR; of all: BY_USER. */
static size_t collect(struct location *location, const struct owner *owner, uint64_t now,
	struct binding **out, size_t limit)
{
	enum index_kind kind = owner->realm ? BY_AOR : BY_USER;
	uint64_t hash = owner->realm ? hash_owner(location, owner) : hash_span(location, owner->user);
	struct stripe *stripe = stripe_lock(&location->index[kind], hash);
	size_t count = 0;

	for (struct node *node = stripe_first(stripe, hash); node; node = node->next) {
		struct binding *binding = &entry_of_node(node, kind)->binding;

		if (node->hash == hash && is_owner(owner, binding) && is_live(binding, now))
			count = take(out, count, limit, binding);
	}
	for (size_t i = 0; i < count; i++)
		binding_get(out[i]);
	pthread_mutex_unlock(&stripe->lock);
	return count;
}

size_t location_by_aor(struct location *location, const struct config_realm *realm, struct span aor,
	struct binding **out, size_t limit)
{
	return collect(location, &(struct owner){ realm, user_of(aor) }, clock_wall_ms(), out, limit);
}

size_t location_known(struct location *location, const struct config_realm *realm, struct span aor,
	struct binding **out, size_t limit)
{
	return collect(location, &(struct owner){ realm, user_of(aor) }, 0, out, limit);
}

size_t location_by_user(struct location *location, struct span user, struct binding **out, size_t limit)
{
	return collect(location, &(struct owner){ NULL, user }, clock_wall_ms(), out, limit);
}

size_t location_known_user(struct location *location, struct span user, struct binding **out, size_t limit)
{
	return collect(location, &(struct owner){ NULL, user }, 0, out, limit);
}

static struct flow_key key_of(const struct location *location, const struct sip_flow *flow)
{
	return flow_key(location, listener_interface(flow->listener)->realm,
		listener_transport(flow->listener), &flow->remote, flow->connection);
}

static bool has_flow(
	const struct location *location, const struct binding *binding, const struct flow_key *key)
{
	struct flow_key own = flow_of(location, binding);

	return memcmp(key, &own, sizeof(own)) == 0;
}

struct binding *location_by_flow(struct location *location, const struct sip_flow *flow)
{
	struct flow_key key = key_of(location, flow);
	uint64_t hash = hash_bytes(&location->key, &key, sizeof(key)), now = clock_wall_ms();
	struct stripe *stripe = stripe_lock(&location->index[BY_FLOW], hash);
	struct binding *found = NULL;

	for (struct node *node = stripe_first(stripe, hash); node && !found; node = node->next) {
		struct binding *binding = &entry_of_node(node, BY_FLOW)->binding;

		if (node->hash == hash && is_live(binding, now) && has_flow(location, binding, &key))
			found = binding_get(binding);
	}
	pthread_mutex_unlock(&stripe->lock);
	return found;
}

size_t location_flow_lost(struct location *location, const struct sip_flow *flow)
{
	struct flow_key key = key_of(location, flow);
	uint64_t hash = hash_bytes(&location->key, &key, sizeof(key));
	struct stripe *stripe = stripe_lock(&location->index[BY_FLOW], hash);
	size_t count = 0;

	for (struct node *node = stripe_first(stripe, hash); node; node = node->next) {
		struct binding *binding = &entry_of_node(node, BY_FLOW)->binding;
		uint32_t reachable = 0;

		if (node->hash != hash || !has_flow(location, binding, &key))
			continue;
		__atomic_compare_exchange_n(
			&binding->unreachable, &reachable, 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
		count++;
	}
	pthread_mutex_unlock(&stripe->lock);
	return count;
}

size_t location_count(const struct location *location)
{
	return __atomic_load_n(&location->count, __ATOMIC_RELAXED);
}

/* --- making --------------------------------------------------------------------------------------------------------- */

struct location *location_new(const struct config *config)
{
	struct location *location = calloc(1, sizeof(*location));

	if (!location)
		return NULL;
	location->config = config;
	hash_key_random(&location->key);
	pthread_mutex_init(&location->changing, NULL);
	for (unsigned s = 0; s < STRIPES; s++)
		for (unsigned i = 0; i < INDICES; i++)
			pthread_mutex_init(&location->index[i].stripe[s].lock, NULL);
	location->hosts = location_hosts_new();
	location->order = location_order_new();
	if (!location->hosts || !location->order) {
		location_free(location);
		return NULL;
	}
	/* Above those of an earlier run, whose last ones may have gone: a thousand a millisecond is more than there can be. */
	location->last_number = clock_wall_ms() * 1024;
	return location;
}

void location_statistics(struct location *location, struct statistics *statistics)
{
	location->statistics = statistics;
}

void location_free(struct location *location)
{
	struct binding *last;

	if (!location)
		return;
	while (location->order && location_order_list(location->order, 0, &last, 1)) {
		location_order_remove(location->order, last);
		binding_put(last);
		binding_put(last);
	}
	location_order_free(location->order);
	location_hosts_free(location->hosts);
	for (unsigned s = 0; s < STRIPES; s++)
		for (unsigned i = 0; i < INDICES; i++) {
			pthread_mutex_destroy(&location->index[i].stripe[s].lock);
			free(location->index[i].stripe[s].bucket);
		}
	pthread_mutex_destroy(&location->changing);
	free(location);
}
