/* SPDX-License-Identifier: BSD-3-Clause */
/* The show commands. Most of them ask for a few fixed replies, make one document of them and print it; the list of calls
 * and a single call have their own course. */
#ifndef MGMT_SHOW_H
#define MGMT_SHOW_H

#include <jansson.h>

#include "mgmt/request.h"

struct counter_marks;
struct watch;

enum show_reply { SHOW_DP_STATS, SHOW_DP_INTERFACES, SHOW_CP_STATUS, SHOW_CP_COUNTERS, SHOW_REPLY_COUNT };

struct show_data {
	const struct neighbours *neighbours;
	const struct counter_marks *marks; /* NULL: nothing was cleared */
	const struct watch *watch; /* or NULL */
	struct {
		void *body; /* NULL: not asked for, or not there */
		size_t length;
	} reply[SHOW_REPLY_COUNT];
};

struct show {
	unsigned needs; /* bits of enum show_reply */
	bool can_do_without; /* an absent neighbour is part of the answer, not an error */
	json_t *(*document)(const struct show_data *data); /* NULL without memory */
	void (*text)(struct output *out, unsigned width, const json_t *document);
};

extern const struct show show_version, show_status, show_interfaces, show_counters, show_drops;

void show_gathered(struct request *request); /* by request->match.command->show */
void show_calls(struct request *request);
void show_call(struct request *request);
void show_realms(struct request *request);
void show_agents(struct request *request);
void show_quality(struct request *request);
void show_flows(struct request *request);
void show_bans(struct request *request);
void show_trusted(struct request *request);
void show_top_sources(struct request *request);
void show_block(struct request *request);
void show_guard(struct request *request);
void show_audit(struct request *request);
void show_alarms(struct request *request);
void show_certificates(struct request *request);
void show_registrations(struct request *request);
void show_registration(struct request *request);
void show_log(struct request *request);
void show_users(struct request *request);

/* One entry of a list. */
struct dp_realm;
struct dp_flow;
struct dp_ban;
struct dp_trust;
struct dp_source;
struct cp_block;
struct cp_alarm;
struct cp_audit;
struct cp_certificate;
struct cp_guard;
struct cp_registration;
json_t *show_realm_row(const struct dp_realm *realm);
json_t *show_flow_row(const struct dp_flow *flow);
json_t *show_ban_row(const struct dp_ban *ban);
json_t *show_trust_row(const struct dp_trust *trust);
json_t *show_source_row(const struct dp_source *source);
json_t *show_block_row(const struct cp_block *block);
json_t *show_reason_row(const struct cp_block *reason);
json_t *show_guard_row(const struct cp_guard *guard);
json_t *show_audit_row(const struct cp_audit *audit);
json_t *show_alarm_row(const struct cp_alarm *alarm);
json_t *show_certificate_row(const struct cp_certificate *certificate, uint64_t now_wall_ms);
json_t *show_registration_row(const struct cp_registration *registration);

/* Of a DP_BAN_LIST reply; for struct listing_kind. */
union listing_ask;
int show_bans_take(union listing_ask *ask, const void *body, size_t length, json_t *rows);
void show_bans_text(struct output *out, unsigned width, const json_t *rows);

/* One call as both commands show it; `call` is a struct cp_call. */
struct cp_call;
json_t *show_call_row(const struct cp_call *call);
json_t *show_call_document(const struct cp_call *call);
/* The media of a session: an array of streams, each with two directions. */
struct dp_session_info;
json_t *show_media(const struct dp_session_info *info);
void show_call_text(struct output *out, const json_t *document);

#endif
