/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the files of subscriptions: one of them, the tables they are found in, what SUBSCRIBE and NOTIFY do to it. */
#ifndef CONTROLPLANE_SUBSCRIPTION_INTERNAL_H
#define CONTROLPLANE_SUBSCRIPTION_INTERNAL_H

#include "controlplane/shard.h"
#include "controlplane/subscription.h"

enum {
	SUBSCRIPTION_FORKS_MAX = 8, /* dialogs of one SUBSCRIBE, the first included */
	SUBSCRIPTION_ID_MAX = 64,
	SUBSCRIPTION_PACKAGE_MAX = 32,
};

struct subscription_source; /* how many an address has */

struct event_dialog;
struct subscription_held; /* a NOTIFY that waits */

struct subscription_tag {
	struct subscription_tag *next;
	struct leg *leg; /* NULL: not in the table */
};

struct subscription {
	struct shard *shard;
	struct subscription *next, *previous;
	struct leg leg[LEGS]; /* LEG_CALLER: the subscriber's dialog; LEG_CALLED: ours with the notifier */
	struct subscription_tag tag[LEGS];
	struct subscription_source *source;
	bool is_fork; /* its SUBSCRIBE was that of another one */
	unsigned forks; /* dialogs that its own SUBSCRIBE has made besides this one */
	char package[SUBSCRIPTION_PACKAGE_MAX];
	char id[SUBSCRIPTION_ID_MAX]; /* the subscriber's (RFC 6665 section 8.2.1); never told the notifier */
	bool is_refer; /* it was a call's; package "refer" */
	struct subscription_refer refers[SUBSCRIPTION_REFERS_MAX]; /* the ids of those, in place of `id` */
	size_t refer_count;
	uint64_t granted; /* seconds, by the last 2xx; until then what may be had at most */
	bool asking; /* a SUBSCRIBE is under way */
	bool answered; /* the first one has had its 2xx */
	bool notified; /* a NOTIFY has come */
	struct subscription_held *held; /* oldest first; owner: subscription_hold.c */
	uint64_t serial; /* of the last of them */
	bool over; /* freed as soon as what ended it is through */
	struct timer timer; /* Timer N until the first NOTIFY, then expiry */
};

/* subscription_table.c */
/* `agent`: not counted by its source. 0, -ENOBUFS (a limit), -ENOMEM. */
int subscription_new(
	struct shard *shard, const union address *source, bool is_agent, struct subscription **out);
void subscription_free(struct subscription *subscription);
/* Its legs can be found from now on. */
void subscription_insert(struct subscription *subscription);

/* subscription.c */
/* Arms expiry, `seconds` from now. */
void subscription_lasts(struct subscription *subscription, uint64_t seconds);
/* RFC 6665 sections 4.1.2.2 and 4.2.2: the answers that end it. */
bool subscription_ends_with(unsigned status);
/* For request_relay's `done`: frees what is over, once nothing of it is under way. */
void subscription_settle(struct leg *from, unsigned status, void *arg);
/* Event: package and id (RFC 6665 section 8.2.1). False: there is none, or not one that could be. */
bool subscription_event(const struct message *message, struct span *package, struct span *id);
/* As the peer on that side knows it. `refer`: which one; NULL if it is of another package. */
void subscription_write_event(const struct subscription *subscription, const struct subscription_refer *refer,
	unsigned to, struct writer *out);

/* subscription_notify.c */
struct request_relay;
/* A NOTIFY that is on its way is one of this subscription. */
void subscription_tells(struct subscription *subscription, struct request_relay *relay);

/* A NOTIFY that has been admitted goes on; `elsewhere`: what other shards say of dialogs it names. Takes the transaction over. False: the
 * subscription is gone. */
bool subscription_notify(struct subscription *subscription, struct transaction *transaction,
	const struct event_dialog *elsewhere, size_t count);

/* subscription_hold.c */
/* True: subscription_notify will be called, when the dialogs are known that its body names and other shards have. */
bool subscription_hold(
	struct subscription *subscription, struct transaction *transaction, const struct message *notify);
unsigned subscription_hold_count(const struct subscription *subscription);
void subscription_hold_end(struct subscription *subscription); /* they are answered 481 */

/* subscription_refer.c */
/* By the id that the peer of side `by` has for it; an empty one: the first. NULL: there is none. */
struct subscription_refer *subscription_refer_find(
	struct subscription *subscription, unsigned by, struct span id);
/* It is over: true if that was the last one. */
bool subscription_refer_ends(struct subscription *subscription, struct subscription_refer *refer);

#endif
