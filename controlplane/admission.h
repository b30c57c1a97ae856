/* SPDX-License-Identifier: BSD-3-Clause */
/* Admission: which destinations a policy's callers may call, and how many, how often, how long each of them. Counted per user: the
 * user of a registered phone at its registrar, else the host that the call comes from. Any thread. docs/decisions/0064-admission.md */
#ifndef CONTROLPLANE_ADMISSION_H
#define CONTROLPLANE_ADMISSION_H

#include "config/move.h"
#include "platforms/base/span.h"

struct admission;
struct admission_ticket; /* a call that counts */

/* NULL: no memory. */
struct admission *admission_new(const struct config *config);
/* Tickets that are out stay valid until they are given back. NULL is fine. */
void admission_free(struct admission *admission);
/* Counts stay with the rules of the same name; a call keeps the duration it began with. NULL is fine. */
void admission_move(struct admission *admission, const struct config_move *move);
void admission_set_clock(struct admission *admission, uint64_t (*now_ms)(void)); /* for tests */

/* The first admission of this policy, in the order of the file, whose pattern matches; NULL: none does. Pure. */
const struct config_admission *admission_rule(
	const struct config *config, const struct config_local_policy *policy, struct span called);

/* 0: the call may be made, and *ticket (NULL if nothing is counted) belongs to the caller until admission_end. 403: these destinations are
 * forbidden, or too many that the user has never called before; 503: too many at once, or too often. `admission` NULL: 0. */
unsigned admission_begin(struct admission *admission, const struct config_local_policy *policy,
	struct span user, struct span called, struct admission_ticket **ticket);
void admission_end(struct admission_ticket *ticket); /* NULL is fine */
unsigned admission_duration(const struct admission_ticket *ticket); /* seconds; 0: no limit; NULL is fine */

#endif
