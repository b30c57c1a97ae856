/* SPDX-License-Identifier: BSD-3-Clause */
/* Keep-alives: when the next one of each phone is due, and what its answer or silence says. Our OPTIONS have no transaction of libosip2's
 * (20 KB each): one timer does what Timers E and F do (RFC 3261 section 17.1.2.2), and the branch finds the phone. */
#include "controlplane/keep_alive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/keep_alive_internal.h"
#include "controlplane/registrar.h"
#include "controlplane/shard_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/random.h"

enum {
	STREAM_FACTOR =
		4, /* NATs keep connections longer (RFC 5382 REQ-5), and TCP notices itself when one is dead */
	LOST_FACTOR = 4, /* whoever does not answer is asked less often */
	SPREAD = 8, /* up to an eighth early, so that phones that registered together do not stay together */
	PROBE_MARGIN_MS =
		1000, /* a probe ends this long before the REGISTER that would mend what it breaks */
	PROBE_WINDOW_MS = 5000, /* the earliest is this much earlier */
	LATE_MS = 50, /* of timers */
};

static uint64_t now_ms(const struct shard *shard)
{
	return shard->private && shard->private->wall_ms ? shard->private->wall_ms() : clock_wall_ms();
}

static uint64_t read64(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

/* --- tables ----------------------------------------------------------------------------------------------------------- */

static struct keeper **number_slot(struct keep_alive *all, uint64_t number)
{
	return &all->by_number[number % KEEPER_BUCKETS];
}

static struct keeper *keeper_find(struct keep_alive *all, uint64_t number)
{
	struct keeper *keeper = *number_slot(all, number);

	while (keeper && keeper->binding->number != number)
		keeper = keeper->next;
	return keeper;
}

static struct keeper **branch_slot(struct keep_alive *all, struct span branch)
{
	return &all->by_branch[hash_bytes(&all->shard->table_key, branch.p, branch.n) % KEEPER_BUCKETS];
}

static void branch_remove(struct keeper *keeper)
{
	struct keeper **at = branch_slot(keeper->all, span_from(keeper->branch));

	if (keeper->state != KEEPER_ASKING)
		return;
	while (*at && *at != keeper)
		at = &(*at)->next_branch;
	if (*at)
		*at = keeper->next_branch;
}

static bool is_on_stream(const struct keeper *keeper)
{
	return keeper->binding->flow.transport != CONFIG_TRANSPORT_UDP;
}

static bool learns(const struct keeper *keeper)
{
	return keeper->all->shard->config->registration.keep_alive == CONFIG_KEEP_ALIVE_ADAPTIVE &&
	       !is_on_stream(keeper);
}

/* --- what is due ------------------------------------------------------------------------------------------------------ */

/* The last sign of life on the flow, whichever of the phone's lines it was for. */
static uint64_t heard_ms(const struct keeper *keeper)
{
	struct shard *shard = keeper->all->shard;
	uint64_t heard = read64(&keeper->binding->heard_wall_ms);
	struct sip_flow flow = registrar_flow(shard, keeper->binding);
	struct binding *first = flow.listener && shard->shared.location
					? location_by_flow(shard->shared.location, &flow)
					: NULL;

	if (first && read64(&first->heard_wall_ms) > heard) {
		heard = read64(&first->heard_wall_ms);
		__atomic_store_n(&keeper->binding->heard_wall_ms, heard, __ATOMIC_RELAXED);
	}
	binding_put(first);
	return heard;
}

/* A REGISTER that was answered from cache changes nothing but what was promised. True if there was one. */
static bool note_refresh(struct keeper *keeper)
{
	uint64_t expires = read64(&keeper->binding->expires_wall_ms);
	uint64_t at = expires - keeper->promised_ms;

	if (expires == keeper->expires_ms)
		return false;
	keeper->expires_ms = expires;
	if (at > keeper->registered_ms + NAT_SILENCE_LEAST_MS) {
		keeper->period_ms = at - keeper->registered_ms;
		keeper->registered_ms = at;
	}
	return true;
}

/* A longer silence than what is known to be safe is tried once in a registration's time, by one phone of a host, so that the phone's
 * own REGISTER comes right after it: should the NAT have forgotten it, it is out of reach for less than one interval. The keep-alive before
 * that comes as early as it takes. */
static uint64_t wait_for_probe(
	struct keeper *keeper, const struct nat_plan *plan, uint64_t heard, uint64_t now)
{
	uint64_t next = keeper->registered_ms + keeper->period_ms;
	uint64_t needed = plan->probe_ms + PROBE_MARGIN_MS;
	uint64_t left = next > heard ? next - heard : 0;

	if (!plan->probe_ms || !keeper->period_ms || left < needed)
		return 0;
	if (left < needed + PROBE_WINDOW_MS) {
		keeper->probing = nat_memory_claim(keeper->all->memory, &keeper->binding->flow.remote,
			keeper->binding->number, now, next + keeper->all->give_up_ms);
		return keeper->probing ? plan->probe_ms : 0;
	}
	left -= needed + PROBE_WINDOW_MS / 2;
	return left <= plan->safe_ms ? left : 0;
}

/* How long a silence from now on may last. */
static uint64_t choose_wait(struct keeper *keeper, uint64_t heard, uint64_t now)
{
	const struct config_registration *registration = &keeper->all->shard->config->registration;
	uint64_t first = (uint64_t)registration->keep_alive_interval * 1000, wait;
	struct nat_plan plan;

	keeper->probing = false;
	if (!learns(keeper)) {
		wait = registration->keep_alive == CONFIG_KEEP_ALIVE_ADAPTIVE ? first * STREAM_FACTOR : first;
		__atomic_store_n(&keeper->binding->keep_alive_s, (uint32_t)(wait / 1000), __ATOMIC_RELAXED);
		return wait - random_u64() % (wait / SPREAD);
	}
	plan = nat_memory_plan(keeper->all->memory, &keeper->binding->flow.remote, first, now);
	__atomic_store_n(&keeper->binding->keep_alive_s, (uint32_t)(plan.safe_ms / 1000), __ATOMIC_RELAXED);
	__atomic_store_n(&keeper->binding->lifetime_s, (uint32_t)(plan.works_ms / 1000), __ATOMIC_RELAXED);
	wait = wait_for_probe(keeper, &plan, heard, now);
	return wait ? wait : plan.safe_ms - random_u64() % (plan.safe_ms / SPREAD);
}

static void expired(struct timer *timer, void *arg);

static void arm(struct keeper *keeper, uint64_t delay_ms)
{
	timer_arm(keeper->all->shard->timers, &keeper->timer, delay_ms, expired, keeper);
}

static void rest(struct keeper *keeper, uint64_t heard, uint64_t now)
{
	uint64_t due;

	branch_remove(keeper);
	keeper->state = KEEPER_RESTING;
	keeper->heard_ms = heard;
	keeper->wait_ms = choose_wait(keeper, heard, now);
	due = heard + keeper->wait_ms;
	/* A clock that was set back must not end it. */
	arm(keeper, due <= now ? 0 : due - now < keeper->wait_ms ? due - now : keeper->wait_ms);
}

/* --- what answers and silence say --------------------------------------------------------------------------------------- */

static void learn_killed(struct keeper *keeper, uint64_t silence, uint64_t now)
{
	if (!learns(keeper) || !silence)
		return;
	nat_memory_killed(keeper->all->memory, &keeper->binding->flow.remote, silence, now);
	log_debug("nat", "a silence has closed a binding", LOG_SPAN("aor", keeper->binding->aor),
		LOG_UINT("milliseconds", silence));
}

static void lost(struct keeper *keeper, uint64_t now)
{
	struct shard *shard = keeper->all->shard;
	struct binding *binding;
	uint64_t heard = heard_ms(keeper);
	bool fresh;

	if (keeper->probing)
		nat_memory_release(
			keeper->all->memory, &keeper->binding->flow.remote, keeper->binding->number);
	/* It says something, if not to OPTIONS. */
	if (heard > keeper->asked_ms) {
		rest(keeper, heard, now);
		return;
	}
	branch_remove(keeper);
	fresh = !keeper->is_lost;
	keeper->is_lost = true;
	keeper->state = KEEPER_RESTING;
	keeper->heard_ms = heard;
	arm(keeper, keeper->wait_ms * LOST_FACTOR);
	if (!fresh)
		return;
	log_debug("nat", "a phone does not answer", LOG_SPAN("aor", keeper->binding->aor),
		LOG_ADDRESS("flow", &keeper->binding->flow.remote));
	/* It may stop this keeper. */
	binding = binding_get(keeper->binding);
	registrar_unreachable(shard, binding);
	binding_put(binding);
}

bool keep_alive_answered(struct shard *shard, const struct sip_flow *flow, const struct scan *response)
{
	struct keep_alive *all = shard->keep_alive;
	struct span branch = response->branch;
	struct keeper *keeper;
	uint64_t now;

	if (!all || response->method != SIP_METHOD_OPTIONS || !span_starts_case(branch, SPAN("z9hG4bK")))
		return false;
	branch = (struct span){ branch.p + 7, branch.n - 7 };
	keeper = *branch_slot(all, branch);
	while (keeper && !span_equal(span_from(keeper->branch), branch))
		keeper = keeper->next_branch;
	if (!keeper || !address_equal(&flow->remote, &keeper->binding->flow.remote))
		return false;
	if (response->status < 200)
		return true;
	now = now_ms(shard);
	if (keeper->silence_ms && !keeper->is_lost && learns(keeper))
		nat_memory_worked(all->memory, &flow->remote, keeper->silence_ms);
	if (keeper->probing)
		nat_memory_release(all->memory, &flow->remote, keeper->binding->number);
	keeper->is_lost = false;
	__atomic_store_n(&keeper->binding->heard_wall_ms, now, __ATOMIC_RELAXED);
	__atomic_store_n(&keeper->binding->unreachable, 0, __ATOMIC_RELAXED);
	note_refresh(keeper);
	rest(keeper, now, now);
	return true;
}

static bool may_be_phones(const struct shard *shard, const struct sip_flow *flow)
{
	return shard->shared.location &&
	       listener_interface(flow->listener)->registration != CONFIG_REGISTRATION_OFF;
}

/* A reference, or NULL. */
static struct binding *hear(struct shard *shard, const struct sip_flow *flow)
{
	struct binding *binding = location_by_flow(shard->shared.location, flow);

	if (!binding)
		return NULL;
	__atomic_store_n(&binding->heard_wall_ms, now_ms(shard), __ATOMIC_RELAXED);
	if (__atomic_load_n(&binding->unreachable, __ATOMIC_RELAXED))
		__atomic_store_n(&binding->unreachable, 0, __ATOMIC_RELAXED);
	return binding;
}

void keep_alive_heard(struct shard *shard, const struct sip_flow *flow)
{
	if (may_be_phones(shard, flow))
		binding_put(hear(shard, flow));
}

void keep_alive_listen(struct shard *shard, const struct sip_flow *flow)
{
	if (!may_be_phones(shard, flow))
		return;
	shard->heard.phone = hear(shard, flow);
	shard->heard.flow = flow;
}

void keep_alive_listened(struct shard *shard)
{
	binding_put(shard->heard.phone);
	shard->heard.phone = NULL;
	shard->heard.flow = NULL;
}

struct binding *keep_alive_phone(struct shard *shard, const struct sip_flow *flow)
{
	const struct sip_flow *heard = shard->heard.flow;

	if (heard && heard->listener == flow->listener && heard->connection == flow->connection &&
		address_equal(&heard->remote, &flow->remote))
		return shard->heard.phone ? binding_get(shard->heard.phone) : NULL;
	return shard->shared.location ? location_by_flow(shard->shared.location, flow) : NULL;
}

/* --- asking ----------------------------------------------------------------------------------------------------------- */

static void later(struct keeper *keeper)
{
	keeper->state = KEEPER_RESTING;
	arm(keeper, keeper->wait_ms);
}

static void transmit(struct keeper *keeper, uint64_t now)
{
	struct shard *shard = keeper->all->shard;
	struct sip_flow flow = registrar_flow(shard, keeper->binding);
	char text[KEEP_ALIVE_TEXT_MAX];
	struct span message;
	int error;

	message = keep_alive_write(keeper, &flow, text);
	error = flow.listener && message.n ? transport_send(&flow, message) : -ENOTCONN;
	if (error == 0) {
		shard_count(shard, TX_KEEP_ALIVE);
		return;
	}
	if (is_on_stream(keeper) && flow.listener)
		lost(keeper, now);
}

static void send_line_ends(struct keeper *keeper, uint64_t now)
{
	struct shard *shard = keeper->all->shard;
	struct sip_flow flow = registrar_flow(shard, keeper->binding);

	__atomic_store_n(&keeper->binding->asked_wall_ms, now, __ATOMIC_RELAXED);
	later(keeper);
	if (flow.listener && transport_send(&flow, SPAN("\r\n\r\n")) == 0)
		shard_count(shard, TX_KEEP_ALIVE);
}

static void ask(struct keeper *keeper, uint64_t heard, uint64_t now)
{
	struct shard *shard = keeper->all->shard;
	struct keeper **slot;
	uint64_t silence = now - heard;

	if (shard->config->registration.keep_alive == CONFIG_KEEP_ALIVE_CRLF) {
		send_line_ends(keeper, now);
		return;
	}
	shard_token(shard, keeper->branch);
	slot = branch_slot(keeper->all, span_from(keeper->branch));
	keeper->next_branch = *slot;
	*slot = keeper;
	keeper->state = KEEPER_ASKING;
	keeper->asked_ms = now;
	/* Before this process began something else may have come; and a clock that was set forward proves nothing. */
	keeper->silence_ms = heard < keeper->began_ms              ? 0
			     : silence < keeper->wait_ms + LATE_MS ? silence
								   : keeper->wait_ms;
	keeper->step_ms = shard->config->sip.t1_ms;
	keeper->elapsed_ms = 0;
	__atomic_store_n(&keeper->binding->asked_wall_ms, now, __ATOMIC_RELAXED);
	arm(keeper, is_on_stream(keeper) ? keeper->all->give_up_ms : keeper->step_ms);
	transmit(keeper, now);
}

/* Timers E and F. */
static void ask_again(struct keeper *keeper, uint64_t now)
{
	const struct config_sip *sip = &keeper->all->shard->config->sip;
	uint64_t left;

	keeper->elapsed_ms += is_on_stream(keeper) ? keeper->all->give_up_ms : keeper->step_ms;
	if (keeper->elapsed_ms >= keeper->all->give_up_ms) {
		lost(keeper, now);
		return;
	}
	left = keeper->all->give_up_ms - keeper->elapsed_ms;
	keeper->step_ms = 2 * keeper->step_ms < sip->t2_ms ? 2 * keeper->step_ms : sip->t2_ms;
	if (keeper->step_ms > left)
		keeper->step_ms = left;
	arm(keeper, keeper->step_ms);
	transmit(keeper, now);
}

static void expired(struct timer *timer, void *arg)
{
	struct keeper *keeper = arg;
	uint64_t now = now_ms(keeper->all->shard), heard = heard_ms(keeper);
	bool registered = note_refresh(keeper);

	(void)timer;
	if (keeper->state == KEEPER_ASKING) {
		ask_again(keeper, now);
		return;
	}
	if (keeper->is_lost && heard > keeper->asked_ms) {
		/* It was there all the time: what did not reach it was stopped on the way. */
		if (registered)
			learn_killed(keeper, keeper->silence_ms, now);
		keeper->is_lost = false;
	}
	/* Something has come since: the silence begins anew. */
	if (heard > keeper->heard_ms && heard + keeper->wait_ms > now + LATE_MS)
		rest(keeper, heard, now);
	else
		ask(keeper, heard, now);
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static void keeper_free(struct keeper *keeper)
{
	struct keeper **at = number_slot(keeper->all, keeper->binding->number);

	while (*at != keeper)
		at = &(*at)->next;
	*at = keeper->next;
	timer_cancel(&keeper->timer);
	branch_remove(keeper);
	if (keeper->probing)
		nat_memory_release(
			keeper->all->memory, &keeper->binding->flow.remote, keeper->binding->number);
	nat_memory_leave(keeper->all->memory, &keeper->binding->flow.remote);
	binding_put(keeper->binding);
	free(keeper);
}

static struct keeper *keeper_new(struct keep_alive *all, struct binding *binding)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	struct keeper **slot = number_slot(all, binding->number);

	if (!keeper || nat_memory_enter(all->memory, &binding->flow.remote)) {
		free(keeper);
		return NULL;
	}
	keeper->all = all;
	keeper->binding = binding_get(binding);
	keeper->next = *slot;
	*slot = keeper;
	return keeper;
}

/* What was sent at once and half a second later has been lost together: rather the NAT than the network. */
static bool is_unanswered(const struct keeper *keeper)
{
	return keeper->state == KEEPER_ASKING && keeper->elapsed_ms >= keeper->all->shard->config->sip.t1_ms;
}

/* The phone has another flow or other texts. What its last REGISTER tells of the NAT is worth noting if it is the same phone, not one that
 * was switched off and on: that begins a Call-ID of its own (RFC 3261 section 10.2.4). */
static bool keeper_move(struct keeper *keeper, struct binding *binding, uint64_t now)
{
	struct binding *old = keeper->binding;
	uint64_t heard = read64(&old->heard_wall_ms);
	bool same_host = address_equal_host(&old->flow.remote, &binding->flow.remote);
	bool same_flow = same_host && address_equal(&old->flow.remote, &binding->flow.remote);

	if (span_equal(old->call_id, binding->call_id) && same_host &&
		old->flow.transport == binding->flow.transport) {
		if (keeper->is_lost || (!same_flow && is_unanswered(keeper)))
			learn_killed(keeper, keeper->silence_ms, now);
		else if (!same_flow && heard >= keeper->began_ms && now > heard)
			learn_killed(keeper, now - heard, now);
	}
	if (keeper->probing)
		nat_memory_release(keeper->all->memory, &old->flow.remote, old->number);
	keeper->probing = false;
	if (!same_host) {
		if (nat_memory_enter(keeper->all->memory, &binding->flow.remote))
			return false;
		nat_memory_leave(keeper->all->memory, &old->flow.remote);
	}
	branch_remove(keeper);
	keeper->state = KEEPER_RESTING;
	keeper->is_lost = false;
	keeper->binding = binding_get(binding);
	binding_put(old);
	if (now > keeper->registered_ms + NAT_SILENCE_LEAST_MS)
		keeper->period_ms = now - keeper->registered_ms;
	return true;
}

void keep_alive_start(struct shard *shard, struct binding *old, struct binding *binding)
{
	struct keep_alive *all = shard->keep_alive;
	struct keeper *keeper = all ? keeper_find(all, old ? old->number : binding->number) : NULL;
	uint64_t now = now_ms(shard), heard = read64(&binding->heard_wall_ms);
	bool restored = !old && heard && heard + NAT_SILENCE_LEAST_MS < now;

	if (!all || shard->config->registration.keep_alive == CONFIG_KEEP_ALIVE_OFF ||
		binding->interface->ip_profile->nat == CONFIG_NAT_NEVER) {
		if (keeper)
			keeper_free(keeper);
		return;
	}
	if (!restored)
		__atomic_store_n(&binding->heard_wall_ms, now, __ATOMIC_RELAXED);
	if (keeper && (keeper->binding->number != binding->number || !keeper_move(keeper, binding, now))) {
		keeper_free(keeper);
		keeper = NULL;
	}
	if (!keeper)
		keeper = keeper_new(all, binding);
	if (!keeper)
		return;
	keeper->began_ms = keeper->began_ms ? keeper->began_ms : now;
	keeper->registered_ms = now;
	keeper->expires_ms = read64(&binding->expires_wall_ms);
	keeper->promised_ms = keeper->expires_ms > now ? keeper->expires_ms - now : 0;
	rest(keeper, now, now);
	/* After a restart all are due at once: they take their turns. */
	if (restored)
		arm(keeper, random_u64() % keeper->wait_ms);
}

void keep_alive_stop(struct shard *shard, struct binding *binding)
{
	struct keeper *keeper = shard->keep_alive ? keeper_find(shard->keep_alive, binding->number) : NULL;

	/* Another may have taken its place, and its number. */
	if (keeper && keeper->binding == binding)
		keeper_free(keeper);
}

static struct nat_memory *memory_of(struct shard *shard)
{
	for (unsigned i = 0; shard->all && i < shard->index; i++)
		if (shard->all[i] && shard->all[i]->keep_alive)
			return nat_memory_get(shard->all[i]->keep_alive->memory);
	return nat_memory_new();
}

int keep_alive_open(struct shard *shard)
{
	struct keep_alive *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->shard = shard;
	all->give_up_ms = (uint64_t)64 * shard->config->sip.t1_ms;
	all->memory = memory_of(shard);
	if (!all->memory) {
		free(all);
		return -ENOMEM;
	}
	shard->keep_alive = all;
	return 0;
}

void keep_alive_move(struct shard *shard, struct config_move *move)
{
	struct keep_alive *all = shard->keep_alive;

	if (!all)
		return;
	all->give_up_ms = (uint64_t)64 * config_move_to(move)->sip.t1_ms;
	for (unsigned i = 0; i < KEEPER_BUCKETS; i++)
		for (struct keeper *keeper = all->by_number[i]; keeper; keeper = keeper->next)
			binding_move(keeper->binding, move);
}

void keep_alive_close(struct shard *shard)
{
	struct keep_alive *all = shard->keep_alive;

	if (!all)
		return;
	for (unsigned i = 0; i < KEEPER_BUCKETS; i++)
		while (all->by_number[i])
			keeper_free(all->by_number[i]);
	nat_memory_put(all->memory);
	free(all);
	shard->keep_alive = NULL;
}
