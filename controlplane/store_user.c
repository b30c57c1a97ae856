/* SPDX-License-Identifier: BSD-3-Clause */
/* Users whose passwords this box knows: looked up in memory by any shard, changed by the operator's orders. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/digest.h"
#include "controlplane/store_internal.h"
#include "platforms/base/clock.h"

enum { FIRST_BUCKETS = 256 };

struct user {
	struct user *same_bucket;
	struct user *before, *after; /* by number */
	uint64_t number, hash;
	struct span user, realm; /* into `bytes` */
	char ha1[2][DIGEST_HEX_MAX]; /* enum store_algorithm */
	char bytes[];
};

struct store_users {
	pthread_rwlock_t lock;
	struct hash_key key;
	struct user **bucket; /* lock */
	size_t buckets, count; /* lock */
	struct user *first, *last; /* lock */
	uint64_t last_number; /* lock */
};

/* --- the table: lock is held ------------------------------------------------------------------------------------------ */

static uint64_t hash_of(const struct store_users *users, struct span user, struct span realm)
{
	char text[2 * STORE_USER_MAX + 1];
	size_t n = 0;

	memcpy(text, user.n ? user.p : "", user.n);
	n = user.n;
	text[n++] = ':'; /* is in no user */
	memcpy(text + n, realm.n ? realm.p : "", realm.n);
	return hash_bytes(&users->key, text, n + realm.n);
}

static struct user **find(struct store_users *users, uint64_t hash, struct span user, struct span realm)
{
	struct user **at = &users->bucket[hash % users->buckets];

	while (*at &&
		!((*at)->hash == hash && span_equal((*at)->user, user) && span_equal((*at)->realm, realm)))
		at = &(*at)->same_bucket;
	return at;
}

static void grow(struct store_users *users)
{
	size_t buckets = users->buckets * 2;
	struct user **fresh = calloc(buckets, sizeof(*fresh));

	if (!fresh)
		return; /* chains become longer */
	for (struct user *user = users->first; user; user = user->after) {
		user->same_bucket = fresh[user->hash % buckets];
		fresh[user->hash % buckets] = user;
	}
	free(users->bucket);
	users->bucket = fresh;
	users->buckets = buckets;
}

static void link_last(struct store_users *users, struct user *user)
{
	user->before = users->last;
	*(users->last ? &users->last->after : &users->first) = user;
	users->last = user;
	if (user->number > users->last_number)
		users->last_number = user->number;
	users->count++;
}

static void take_out(struct store_users *users, struct user **at)
{
	struct user *user = *at;

	*at = user->same_bucket;
	*(user->before ? &user->before->after : &users->first) = user->after;
	*(user->after ? &user->after->before : &users->last) = user->before;
	users->count--;
	free(user);
}

static struct user *user_new(struct store_users *users, struct span name, struct span realm)
{
	struct user *user = calloc(1, sizeof(*user) + name.n + realm.n);

	if (!user)
		return NULL;
	user->hash = hash_of(users, name, realm);
	memcpy(user->bytes, name.p, name.n);
	memcpy(user->bytes + name.n, realm.p, realm.n);
	user->user = (struct span){ user->bytes, name.n };
	user->realm = (struct span){ user->bytes + name.n, realm.n };
	return user;
}

static void insert(struct store_users *users, struct user *user)
{
	struct user **at;

	if (users->count >= users->buckets)
		grow(users);
	at = &users->bucket[user->hash % users->buckets];
	user->same_bucket = *at;
	*at = user;
	link_last(users, user);
}

/* --- from the file --------------------------------------------------------------------------------------------------- */

static struct span column(sqlite3_stmt *statement, int index)
{
	const char *text = sqlite3_column_blob(statement, index);
	int length = sqlite3_column_bytes(statement, index);

	return (struct span){ text, text && length > 0 ? (size_t)length : 0 };
}

static int take_row(struct store_users *users, sqlite3_stmt *statement)
{
	struct span name = column(statement, 1), realm = column(statement, 2);
	struct user *user;

	if (name.n == 0 || realm.n == 0 || name.n > STORE_USER_MAX || realm.n > STORE_USER_MAX)
		return 0;
	user = user_new(users, name, realm);
	if (!user)
		return -ENOMEM;
	user->number = (uint64_t)sqlite3_column_int64(statement, 0);
	for (int i = 0; i < 2; i++) {
		struct span ha1 = column(statement, 3 + i);

		if (ha1.n < DIGEST_HEX_MAX)
			memcpy(user->ha1[i], ha1.n ? ha1.p : "", ha1.n);
	}
	insert(users, user);
	return 0;
}

int store_users_load(struct store *store)
{
	struct store_users *users = calloc(1, sizeof(*users));
	sqlite3_stmt *statement = NULL;
	int result, error = 0;

	if (!users)
		return -ENOMEM;
	pthread_rwlock_init(&users->lock, NULL);
	hash_key_random(&users->key);
	store->users = users;
	users->bucket = calloc(FIRST_BUCKETS, sizeof(struct user *));
	if (!users->bucket)
		return -ENOMEM;
	users->buckets = FIRST_BUCKETS;
	result = sqlite3_prepare_v2(store->db,
		"SELECT number, user, realm, md5, sha256 FROM subscriber ORDER BY number", -1, &statement,
		NULL);
	if (result == SQLITE_OK)
		while (error == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW)
			error = take_row(users, statement);
	sqlite3_finalize(statement);
	return error ? error : database_errno(result);
}

void store_users_free(struct store_users *users)
{
	struct user *next;

	if (!users)
		return;
	for (struct user *user = users->first; user; user = next) {
		next = user->after;
		free(user);
	}
	free(users->bucket);
	pthread_rwlock_destroy(&users->lock);
	free(users);
}

/* --- interface ------------------------------------------------------------------------------------------------------- */

static bool is_name(struct span name)
{
	return name.n > 0 && name.n <= STORE_USER_MAX;
}

int store_user(struct store *store, struct span user, struct span realm, enum store_algorithm algorithm,
	char ha1[65])
{
	const struct user *found;
	int error = -ENOENT;

	if (!store || !is_name(user) || !is_name(realm))
		return -ENOENT;
	pthread_rwlock_rdlock(&store->users->lock);
	found = *find(store->users, hash_of(store->users, user, realm), user, realm);
	if (found && found->ha1[algorithm][0]) {
		memcpy(ha1, found->ha1[algorithm], DIGEST_HEX_MAX);
		error = 0;
	}
	pthread_rwlock_unlock(&store->users->lock);
	return error;
}

/* A quote or a control character would break the header that names it; a colon the hash. */
static bool is_safe(struct span name, bool colon)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || (c == ':' && !colon))
			return false;
	}
	return true;
}

static void swap_in(struct store_users *users, struct user *user)
{
	struct user **at = find(users, user->hash, user->user, user->realm);

	if (*at)
		take_out(users, at);
	insert(users, user);
}

int store_user_set(struct store *store, struct span user, struct span realm, struct span password)
{
	struct store_users *users = store->users;
	struct store_change *change;
	struct user *fresh;
	int error;

	if (!is_name(user) || !is_name(realm) || !is_safe(user, false) || !is_safe(realm, true) ||
		password.n == 0)
		return -EINVAL;
	fresh = user_new(users, user, realm);
	if (!fresh)
		return -ENOMEM;
	error = digest_secret(DIGEST_MD5, user, realm, password, fresh->ha1[STORE_MD5]);
	if (error == 0)
		error = digest_secret(DIGEST_SHA_256, user, realm, password, fresh->ha1[STORE_SHA256]);
	change = error ? NULL
		       : store_change_new(STORE_USER,
				 (struct span[]){ user, realm, span_from(fresh->ha1[STORE_MD5]),
					 span_from(fresh->ha1[STORE_SHA256]) },
				 4);
	if (!change) {
		free(fresh);
		return error ? error : -ENOMEM;
	}
	/* Under the lock, so that orders about one user reach the file in the order in which they hold here. */
	pthread_rwlock_wrlock(&users->lock);
	fresh->number = change->number = users->last_number + 1;
	error = store_put(store, change);
	if (error == 0)
		swap_in(users, fresh);
	pthread_rwlock_unlock(&users->lock);
	if (error)
		free(fresh);
	return error;
}

int store_user_delete(struct store *store, struct span user, struct span realm)
{
	struct store_users *users = store->users;
	struct store_change *change;
	struct user **at;
	int error = -ENOENT;

	if (!is_name(user) || !is_name(realm))
		return -ENOENT;
	change = store_change_new(STORE_USER_GONE, NULL, 0);
	if (!change)
		return -ENOMEM;
	pthread_rwlock_wrlock(&users->lock);
	at = find(users, hash_of(users, user, realm), user, realm);
	if (*at) {
		change->number = (*at)->number;
		error = store_put(store, change);
		change = NULL;
		if (error == 0)
			take_out(users, at);
	}
	pthread_rwlock_unlock(&users->lock);
	free(change);
	return error;
}

void store_user_list(struct store *store, uint64_t after,
	bool (*take)(void *arg, uint64_t number, struct span user, struct span realm), void *arg)
{
	if (!store)
		return;
	pthread_rwlock_rdlock(&store->users->lock);
	for (const struct user *user = store->users->first; user; user = user->after)
		if (user->number > after && !take(arg, user->number, user->user, user->realm))
			break;
	pthread_rwlock_unlock(&store->users->lock);
}
