/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to guard*.c: the table of who showed signs, marks of scanners, and forms of challenges. */
#ifndef CONTROLPLANE_GUARD_INTERNAL_H
#define CONTROLPLANE_GUARD_INTERNAL_H

#include <pthread.h>

#include "controlplane/guard.h"
#include "platforms/base/hash.h"
#include "platforms/base/token_bucket.h"

enum {
	GUARD_POINT = 1000, /* points are kept in thousandths */
	GUARD_SILENCE = 50 * GUARD_POINT,
	GUARD_LIMIT = 100 * GUARD_POINT,
	GUARD_FADE_MS = 60000, /* GUARD_LIMIT fades in so long */
	GUARD_USER_MAX = 256, /* of one user's name */
	GUARD_USERS = 6, /* different users that a source is remembered to have asked for */
};

/* Anybody can write any address into a datagram: what is known of it says nothing of a stream from there, nor of the host. */
enum guard_kind { GUARD_FREE, GUARD_FLOW, GUARD_STREAM, GUARD_SOURCE, GUARD_USER };

struct guard_key {
	uint8_t kind, family;
	uint16_t port; /* of a flow or stream */
	uint8_t octets[16]; /* address (a source of IPv6: its /64), or the hash of a user */
};

/* points[0]: of what anybody may have sent in this address's name; [1]: of messages that prove that their sender receives what is sent there. A
 * source has of the former those of guesses alone, and they count against guesses alone. */
struct guard_entry {
	struct guard_key key;
	uint32_t points[2];
	uint64_t points_ms; /* when they were right */
	uint64_t touched_ms;
	uint32_t sign[GUARD_SIGN_COUNT];
	uint32_t user[GUARD_USERS]; /* hashes */
	uint32_t users; /* different ones, as far as they are remembered */
	uint32_t open, open_before; /* challenges not answered: of the last seconds, and of before */
	uint64_t open_ms;
	uint64_t trial_ms; /* of a flow or stream: when it was last let try although its source is silenced */
};

/* --- guard_table.c: sets of entries under striped locks ---------------------------------------------------------------- */
struct guard_table;
struct guard_table *guard_table_new(size_t entries);
void guard_table_free(struct guard_table *table);
/* Locked until guard_table_put; with its points as they are now. `make`: one is made if there is none, and that one gives way which has the
 * fewest points, of equal ones the one untouched for longest. NULL: there is none; nothing is locked. */
struct guard_entry *guard_table_get(
	struct guard_table *table, const struct guard_key *key, uint64_t now_ms, bool make);
void guard_table_put(struct guard_table *table, struct guard_entry *entry);
/* Calls `each` for all that are not free, locked, from place *at on, until it returns false; *at: where to go on; 0 at the end. */
void guard_table_walk(struct guard_table *table, uint64_t now_ms, uint64_t *at,
	bool (*each)(void *arg, struct guard_entry *entry), void *arg);

void guard_key_flow(struct guard_key *key, const struct sip_flow *flow);
void guard_key_source(struct guard_key *key, const union address *remote);

/* --- guard_mark.c: pure --------------------------------------------------------------------------------------------------- */
/* GUARD_SIGN_COUNT: it looks like a phone's. */
enum guard_sign guard_mark(const struct config_guard *config, const struct scan *request);
/* User part of a name-addr or addr-spec, as written; empty: none. */
struct span guard_user_of(struct span address);
/* The nonce in a challenge or in credentials; empty: none. */
struct span guard_nonce_of(struct span value);

/* --- guard_seal.c ------------------------------------------------------------------------------------------------------------ */
/* Do credentials in it bear a seal that went to where it comes from, not long ago? */
bool guard_is_sealed(const struct guard *guard, const struct sip_flow *flow, const struct scan *request);
/* The text of a parameter of a digest's challenge or credentials; empty: none. */
struct span guard_parameter(struct span value, struct span name);

/* --- guard_challenge.c ------------------------------------------------------------------------------------------------------ */
struct guard_forms;
struct guard_forms *guard_forms_new(const struct config *config);
void guard_forms_free(struct guard_forms *forms);
/* Takes over what `old` has learnt of those agents that there are still. */
void guard_forms_take(
	struct guard_forms *forms, const struct guard_forms *old, const struct config_move *move);
void guard_forms_learn(
	struct guard_forms *forms, const struct config_session_agent *agent, struct span challenge);
void guard_forms_write(
	struct guard_forms *forms, const struct config_session_agent *agent, struct writer *out);

/* --- guard.c: points ---------------------------------------------------------------------------------------------------------- */
uint32_t guard_weight_of(const struct guard *guard, enum guard_sign sign);
void guard_add_points(struct guard_entry *entry, bool proven, uint32_t points);
/* What counts against a message that is, or is not, proven. */
uint32_t guard_points_against(const struct guard_entry *entry, bool proven);

/* --- guard_user.c --------------------------------------------------------------------------------------------------------------- */
/* A user in the one form that all ways of writing him have; empty: it is none, or too long. */
struct span guard_normal_user(struct span user, char buffer[GUARD_USER_MAX]);
/* Of Authorization, else of Proxy-Authorization; empty: it has none. */
struct span guard_credentials_of(const struct scan *request);
/* A password of `user`, or of whom the credentials name, was refused. */
void guard_note_users(
	struct guard *guard, struct span user, const struct scan *request, bool proven, uint64_t now);
/* A user who is guessed at is answered where he was registered, until it is over. What anybody may have sent in others' names (`bare`) keeps none
 * away but guesses that prove no address either. */
bool guard_user_is_guarded(struct guard *guard, const struct sip_flow *flow, const struct scan *request,
	bool bare, uint64_t now);

struct guard {
	const struct config *config;
	struct location *location;
	void (*deny)(void *arg, const struct dp_ban *ban, bool proven);
	void *arg;
	uint64_t (*now_ms)(void);
	struct hash_key key[2], seal;
	struct guard_table *table;
	struct guard_forms *forms,
		*next_forms; /* next_forms: those prepared for another configuration, then those it replaced */
	pthread_mutex_t lock;
	struct token_bucket unproven; /* lock: denials of those who have not shown that they are there */
	struct block_store *reasons; /* lock */
};

#endif
