/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands that edit a candidate and make it the configuration. */
#ifndef MGMT_EDIT_H
#define MGMT_EDIT_H

#include "mgmt/request.h"

void edit_set(struct request *request);
void edit_delete(struct request *request);
void edit_enter(struct request *request); /* edit PATH */
void edit_up(struct request *request);
void edit_top(struct request *request);
void edit_discard(struct request *request);
void edit_load(struct request *request); /* load: the candidate becomes what is read */
void edit_load_saved(struct request *request);
void edit_save(struct request *request);
void edit_rollback(struct request *request);
void edit_validate(struct request *request);
void edit_commit(struct request *request);
void edit_confirm(struct request *request);

void show_configuration(struct request *request);
void show_pending(
	struct request *request); /* show configuration pending: what waits for a restart, of whom */
void show_candidate(struct request *request);
void show_compare(
	struct request *request); /* compare [N]: the candidate with what is in force, or with revision N */
void show_revisions(struct request *request);

#endif
