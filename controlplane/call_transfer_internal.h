/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the transfer files: who is told of a REFER, and the call that is being made of legs of others. */
#ifndef CONTROLPLANE_CALL_TRANSFER_INTERNAL_H
#define CONTROLPLANE_CALL_TRANSFER_INTERNAL_H

#include "controlplane/call_transfer.h"
#include "controlplane/subscription.h"

enum {
	TRANSFER_SUBSCRIPTIONS_MAX = SUBSCRIPTION_REFERS_MAX
}; /* of one call; a further REFER takes the place of a relayed one that has not ended */

struct transfer_subscription { /* the implicit one of a REFER (RFC 3515 section 2.4.4) */
	struct transfer *transfer;
	bool used;
	bool relayed; /* the other side carries it out, and tells */
	unsigned side; /* who is told */
	uint32_t id; /* CSeq of its REFER */
	uint32_t far_id; /* relayed: CSeq of the REFER that we have sent on */
	bool accepted; /* relayed: by 202, or a NOTIFY that was faster */
	bool over; /* relayed: its last NOTIFY is on its way */
	uint64_t until_ms; /* relayed: so long it lasts, as the other side has told */
	/* Carried out here: */
	bool quiet; /* nobody wants to know (RFC 4488) */
	bool telling; /* a NOTIFY is under way: the next one waits */
	bool again; /* something is to be told after it */
	bool closed; /* unsubscribed */
	unsigned status; /* how far it has come; from 200 on it is over */
};

struct transfer { /* of a call whose user has sent REFER, or that gives a leg to another call */
	struct call *call;
	struct transfer_subscription subscription[TRANSFER_SUBSCRIPTIONS_MAX];
	struct call *made; /* the call that is to get a leg of ours; or NULL */
	unsigned moving; /* that leg */
	bool left; /* the other one has hung up meanwhile */
	struct timer timer; /* the referrer has this long to hang up by itself */
	struct transaction
		*asking; /* a REFER that waits; or NULL; owner of all of these: call_transfer_wait.c */
	uint32_t asking_cseq;
	unsigned asking_side;
	struct timer patience; /* with what it waits for */
	uint64_t wait_until_ms; /* 0: not for an ACK */
};

/* A dialog that another shard has, as that shard describes it. */
struct foreign_dialog {
	unsigned status; /* 0, or why it cannot be replaced; 491: not yet */
	bool knows_replaces; /* the other party */
	const struct config_realm *realm; /* of the other party; NULL: there is none */
	const struct config_session_agent *agent; /* likewise, or NULL */
	struct dialog_name name; /* as the other party knows it, in the order of tags of the question */
	struct span target, user; /* contact, and user of the address, of the other party */
	size_t listener;
	union address remote;
	uint64_t connection;
};

struct carry { /* of a call that is made of legs of others */
	struct call *from[LEGS]; /* whose leg a side is a shadow of; NULL: it is its own */
	unsigned from_side[LEGS];
	struct transfer_subscription *told; /* of from[LEG_CALLER], or NULL */
	struct message *invite; /* as if the remaining party had called; NULL: the caller has sent one */
	struct timer timer;
	unsigned attempts;
	const struct config_realm *realm; /* of the referrer */
	char *replaces; /* header lines of the new party's INVITE; or NULL */
	bool asked; /* the remaining party has got the offer */
	bool accepted; /* and has answered it */
	bool joined;
};

/* What a NOTIFY promises, and a SUBSCRIBE gets, if nobody says less: a transfer is over long before, by Timer C of its INVITE. */
enum { TRANSFER_SUBSCRIPTION_SECONDS = 600 };

/* call_transfer.c */
struct transfer *transfer_of(struct call *call); /* made if there is none; NULL without memory */
struct transfer_subscription *transfer_subscribe(
	struct transfer *transfer, const struct leg *leg, uint32_t id);
/* A NOTIFY with `status`: at once, or after the one that is under way. */
void transfer_tell(struct transfer_subscription *subscription, unsigned status);
void transfer_accept(struct leg *leg, struct transaction *transaction, bool quiet); /* 202 */
void transfer_refuse(struct transaction *transaction, unsigned status);

/* The answer of another shard: `foreign` NULL: there was none. */
void transfer_resume(struct leg *leg, const struct foreign_dialog *foreign);
/* The REFER that has waited, from the beginning. */
void transfer_again(struct leg *leg);

/* call_transfer_wait.c */
/* `expired` (its arg is the transfer) comes unless the call ends, or transfer_release takes the REFER back. */
void transfer_hold(struct leg *leg, struct transaction *transaction, uint64_t delay_ms,
	void (*expired)(struct timer *timer, void *arg));
struct transaction *transfer_release(struct transfer *transfer); /* NULL: none waits */
/* It is answered here and now with 487: the call ends. */
void transfer_hold_abort(struct transfer *transfer);
/* Nothing but an ACK or the end of an exchange keeps its legs from being moved. */
bool transfer_is_settling(const struct call *call);
/* transfer_again after T1. False: that has been going on for long enough. */
bool transfer_wait(struct leg *leg, struct transaction *transaction);

/* call_transfer_shard.c */
/* Asks shard `owner` for the dialog that the REFER names; transfer_resume comes in any case, unless the call ends. 0, -ENOMEM or
 * -ENOBUFS. */
int transfer_ask(struct leg *leg, struct transaction *transaction, const struct message *refer,
	const struct dialog_name *name, unsigned owner);

/* call_transfer_relay.c */
/* `foreign`: the dialog it names, if that is another shard's; else NULL. 0, or -ENOENT: what it names is unknown on the other side;
 * nothing done then. */
int transfer_relay(struct leg *leg, struct transaction *transaction, const struct message *refer,
	const struct foreign_dialog *foreign);
void transfer_relay_notify(struct leg *leg, struct transaction *transaction, const struct message *notify,
	struct transfer_subscription *subscription);

/* call_transfer_carry.c */
void transfer_carry(struct leg *leg, struct transaction *transaction, const struct message *refer,
	const struct name_addr *target, const struct dialog_name *replaces,
	const struct foreign_dialog *foreign);

/* call_pick_up.c */
/* The callee's place in a call that rings, for the sender of this INVITE. 0: the transaction has been taken over; or the status to refuse
 * it with, and nothing has changed. */
unsigned transfer_pick_up(struct call *call, struct transaction *transaction, const struct message *invite,
	const struct config_session_agent *source);

/* call_dialog_name.c */
bool dialog_name_parse(struct span value, struct dialog_name *out);
/* "?Replaces=..." among the header fields of a URI, unescaped into `buffer`. 0; -ENOENT: it has none; -EINVAL. */
int dialog_name_of_uri(struct span headers, char *buffer, size_t size, struct dialog_name *out);
/* What a dialog is called by who does not say from whose point of view. *turned: as who wrote it sees it. */
struct leg *dialog_find(
	struct shard *shard, const struct config_realm *realm, const struct dialog_name *name, bool *turned);

#endif
