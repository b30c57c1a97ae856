/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the registrar's files: a REGISTER taken apart, one that is under way to a registrar, and what a shard remembers. */
#ifndef CONTROLPLANE_REGISTRAR_INTERNAL_H
#define CONTROLPLANE_REGISTRAR_INTERNAL_H

#include "controlplane/register_limits.h"
#include "controlplane/registrar.h"
#include "controlplane/resolver.h"
#include "controlplane/timer_wheel.h"

enum {
	REGISTER_CONTACTS_MAX = 16, /* in one request; of one address-of-record: registration.max-contacts */
	REGISTER_KNOWN_MAX = 64, /* contacts of one address-of-record that are looked at */
	REGISTER_CONTACT_MAX = 256, /* bytes of a contact's URI */
	REGISTER_INSTANCE_MAX = 128,
	REGISTER_AGENT_TEXT_MAX = 96, /* of a User-Agent, as shown */
	REGISTER_MESSAGE_MAX = 16384,
};

struct register_contact { /* spans into the request */
	struct span uri; /* without its headers */
	struct span instance;
	uint32_t reg_id, expires;
	uint16_t q;
	bool bulk; /* ;bnc (RFC 6140) */
};

struct register_request {
	char aor_text[REGISTRAR_AOR_MAX];
	struct span aor; /* in aor_text: not to be copied with the struct */
	struct name_addr from, to;
	struct span host; /* of the To, as written */
	unsigned count;
	bool all; /* Contact: * */
	bool bulk, outbound, gruu; /* Require: gin; Supported: outbound, gruu */
	struct register_contact contact[REGISTER_CONTACTS_MAX];
};

/* 0; or the status that it deserves. */
unsigned register_request_parse(
	struct shard *shard, const struct message *request, struct register_request *out);
/* The parameter of that name behind a URI or address; quotes taken off. False if there is none. */
bool register_parameter(struct span parameters, struct span name, struct span *value);
/* A delta-seconds as RFC 3261 section 10.2.1.1 has it: malformed is `fallback`, too big is as long as there is. */
uint32_t register_seconds(struct span value, uint32_t fallback);

/* A challenge passed on: who answers it goes before those who begin, with what belongs together at the registrar. */
struct challenge {
	uint64_t key; /* address-of-record and flow */
	uint64_t nonce;
	uint64_t until_ms; /* 0: empty */
	char token[SHARD_TOKEN_MAX], call_id[SHARD_TOKEN_MAX];
	uint32_t cseq;
	union address asked; /* who made it: of several addresses the one that takes the answer */
	bool answered;
};

enum { CHALLENGE_SETS = 2048, CHALLENGE_WAYS = 4, CHALLENGE_TIME_MS = 32000 };

/* Let in by registrar_screen, and not yet taken. */
struct admitted {
	bool is_there, reserved; /* reserved: two messages to the registrar are planned */
	size_t agent;
};

struct registrar_trust;

struct registrar {
	struct shard *shard;
	struct registration *first; /* all under way */
	struct admitted admitted;
	struct timer sweep;
	uint64_t swept; /* number of the last binding looked at */
	uint64_t
		leaving; /* from this number on bindings are to be looked at that the configuration serves no more; UINT64_MAX: none */
	struct registrar_trust *trust;
	struct challenge challenge[CHALLENGE_SETS][CHALLENGE_WAYS];
};

/* A REGISTER under way to the registrar. Its texts are those of the server transaction's request: with that it ends. */
struct registration {
	struct registrar *registrar;
	struct registration *next, **link;
	struct transaction *server, *client;
	const struct config_session_agent *agent;
	struct sip_flow flow; /* the phone's */
	struct sip_flow upstream; /* its address before the start: who is to be asked, if he still can be */
	union address address[RESOLVER_ADDRESSES_MAX]; /* of the registrar, in the order of asking */
	unsigned address_count, address_at;
	struct timer timer; /* until its turn; then patience */
	struct timer repeat; /* until the turn of its repetition */
	uint64_t turn_us, repeat_us; /* when these are */
	struct register_request request;
	struct binding *old[REGISTER_CONTACTS_MAX]; /* what each contact is to replace; references; or NULL */
	char token[REGISTER_CONTACTS_MAX][SHARD_TOKEN_MAX];
	char call_id[REGISTRAR_AOR_MAX];
	uint32_t cseq; /* last used */
	uint32_t asked; /* seconds, of the registrar */
	bool caches, path, retried;
	bool too_many; /* contacts: whoever asks is to prove that he may ask, and is told then */
	bool reserved; /* the answer to a challenge is planned for */
};

/* registrar_upstream.c: looks for the way to the registrar: 0 or the status that the phone deserves. */
unsigned registration_route(struct shard *shard, const struct config_realm *realm, struct span from_user,
	struct span to_user, const struct config_session_agent **agent);
/* Sends it when its turn comes; takes the transaction over. */
void registration_start(struct registration *registration);
void registration_free(struct registration *registration);

/* registrar_binding.c: the registrar said 2xx. */
void registration_accepted(struct registration *registration, const struct message *response);
/* What a phone is promised of what its registrar has granted, in seconds. */
uint32_t registrar_promise(
	const struct registrar *registrar, const struct sip_flow *flow, uint32_t asked, uint32_t granted);
/* Of several contacts that which the request's is the same as (RFC 5626 section 6, RFC 3261 section 10.2.4). NULL: none. */
struct binding *register_match(
	const struct register_contact *contact, struct binding *const *known, size_t count);
/* 200 with all contacts of the address-of-record (RFC 3261 section 10.3 step 8). `response`: the registrar's; NULL: from cache. */
void registrar_answer(struct registrar *registrar, struct transaction *transaction,
	const struct register_request *request, const struct message *response);

/* registrar_challenge.c: what a REGISTER that answers a challenge is to have; NULL: none that is known. */
struct challenge *register_challenge_find(
	struct registrar *registrar, struct span aor, const struct sip_flow *flow, struct span authorization);
/* The registrar's challenge goes to the phone. */
void register_challenge_note(const struct registration *registration, const struct message *response);
/* Authorization or Proxy-Authorization of a request; empty if there is none. */
struct span register_authorization(const struct scan *request);

/* registrar_guard.c. A final answer to a REGISTER; a stranger is not told whether there is such a user. `agent`: whose refusal it is; or NULL. */
void registrar_refuse(struct shard *shard, struct transaction *transaction,
	const struct config_session_agent *agent, unsigned status, struct span extra);
/* A registrar's challenge goes to whom `request` came from: its WWW- or Proxy-Authenticate. */
void registrar_challenged(struct shard *shard, const struct message *request,
	const struct config_session_agent *agent, struct span challenge);
void registrar_good(struct shard *shard, const struct message *request); /* it was accepted */
/* `status`, or silence. */
unsigned registrar_over_rate(
	struct shard *shard, const struct sip_flow *flow, const struct scan *request, unsigned status);
/* sip-interface.authentication = local: false if it has been answered: 401, or 503. */
bool registrar_authenticate(struct shard *shard, struct transaction *transaction, struct span aor);

/* registrar_sweep.c: what has run out; and whose flows are trusted. */
int registrar_sweep_open(struct registrar *registrar);
void registrar_sweep_close(struct registrar *registrar);
void registrar_trust(struct registrar *registrar, const struct binding *binding);
/* A binding goes, or its phone has: nothing keeps its NAT open, its flow is trusted no more. */
void registrar_quit(struct registrar *registrar, struct binding *binding);
/* Is this shard the one of that address-of-record? */
bool registrar_is_mine(const struct shard *shard, struct span aor);

#endif
