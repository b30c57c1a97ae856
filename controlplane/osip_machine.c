/* SPDX-License-Identifier: BSD-3-Clause */
/* Wraps osip_transaction_t in detached mode (osip_machine.h says why and how). */
#include "controlplane/osip_machine.h"

#include <sys/time.h>

#include <errno.h>
#include <osip2/osip.h>
#include <osipparser2/osip_parser.h>
#include <stdlib.h>
#include <string.h>

enum skeleton {
	SKELETON_INVITE,
	SKELETON_REQUEST,
	SKELETON_ACK,
	SKELETON_1XX,
	SKELETON_2XX,
	SKELETON_FAILURE,
	SKELETON_COUNT,
	SKELETON_NONE = SKELETON_COUNT
};

struct osip_engine {
	osip_t *osip;
	const struct config_sip *timers;
	machine_send send;
	osip_message_t *skeleton[SKELETON_COUNT];
};

#define SKELETON_HEADERS(method)                         \
	"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKs\r\n" \
	"From: <sip:a@192.0.2.1>;tag=a\r\n"              \
	"To: <sip:b@192.0.2.1>;tag=b\r\n"                \
	"Call-ID: s\r\n"                                 \
	"CSeq: 1 " method "\r\n"                         \
	"Content-Length: 0\r\n\r\n"

static const char *const skeleton_text[SKELETON_COUNT] = {
	[SKELETON_INVITE] = "INVITE sip:b@192.0.2.1 SIP/2.0\r\n" SKELETON_HEADERS("INVITE"),
	[SKELETON_REQUEST] = "OPTIONS sip:b@192.0.2.1 SIP/2.0\r\n" SKELETON_HEADERS("OPTIONS"),
	[SKELETON_ACK] = "ACK sip:b@192.0.2.1 SIP/2.0\r\n" SKELETON_HEADERS("ACK"),
	[SKELETON_1XX] = "SIP/2.0 180 Ringing\r\n" SKELETON_HEADERS("INVITE"),
	[SKELETON_2XX] = "SIP/2.0 200 OK\r\n" SKELETON_HEADERS("INVITE"),
	[SKELETON_FAILURE] = "SIP/2.0 500 Failure\r\n" SKELETON_HEADERS("INVITE"),
};

#define IN(state) (1u << MACHINE_##state)

/* The machines' own tables, needed because libosip2 frees a message that comes in a state which does not want it: what is
 * lent would be gone. `before` = fresh machines. */
static const struct {
	enum skeleton skeleton;
	bool before;
	unsigned in[4]; /* by kind: the states that take the event */
	type_t type[4];
} event_rows[MACHINE_EVENT_COUNT] = {
	/* clang-format off */
	[MACHINE_SEND_REQUEST]     = { SKELETON_REQUEST, true, { 0 }, { SND_REQINVITE, SND_REQUEST, UNKNOWN_EVT, UNKNOWN_EVT } },
	[MACHINE_RECEIVE_REQUEST]  = { SKELETON_REQUEST, true, { 0 }, { UNKNOWN_EVT, UNKNOWN_EVT, RCV_REQINVITE, RCV_REQUEST } },
	[MACHINE_RECEIVE_ACK]      = { SKELETON_ACK, false, { 0, 0, IN(COMPLETED), 0 }, { [MACHINE_IST] = RCV_REQACK } },
	[MACHINE_RECEIVE_1XX]      = { SKELETON_1XX, false, { IN(CALLING) | IN(PROCEEDING), IN(TRYING) | IN(PROCEEDING) },
				       { RCV_STATUS_1XX, RCV_STATUS_1XX } },
	[MACHINE_RECEIVE_2XX]      = { SKELETON_2XX, false, { IN(CALLING) | IN(PROCEEDING), IN(TRYING) | IN(PROCEEDING) },
				       { RCV_STATUS_2XX, RCV_STATUS_2XX } },
	[MACHINE_RECEIVE_FAILURE]  = { SKELETON_FAILURE, false, { IN(CALLING) | IN(PROCEEDING), IN(TRYING) | IN(PROCEEDING) },
				       { RCV_STATUS_3456XX, RCV_STATUS_3456XX } },
	[MACHINE_SEND_1XX]         = { SKELETON_1XX, false, { 0, 0, IN(PROCEEDING), IN(TRYING) | IN(PROCEEDING) },
				       { [MACHINE_IST] = SND_STATUS_1XX, SND_STATUS_1XX } },
	[MACHINE_SEND_2XX]         = { SKELETON_2XX, false, { 0, 0, IN(PROCEEDING), IN(TRYING) | IN(PROCEEDING) },
				       { [MACHINE_IST] = SND_STATUS_2XX, SND_STATUS_2XX } },
	[MACHINE_SEND_FAILURE]     = { SKELETON_FAILURE, false, { 0, 0, IN(PROCEEDING), IN(TRYING) | IN(PROCEEDING) },
				       { [MACHINE_IST] = SND_STATUS_3456XX, SND_STATUS_3456XX } },
	[MACHINE_TIMER_RETRANSMIT] = { SKELETON_NONE, false, { IN(CALLING), IN(TRYING) | IN(PROCEEDING), IN(COMPLETED), 0 },
				       { TIMEOUT_A, TIMEOUT_E, TIMEOUT_G } },
	[MACHINE_TIMER_GIVE_UP]    = { SKELETON_NONE, false, { IN(CALLING), IN(TRYING) | IN(PROCEEDING), IN(COMPLETED), 0 },
				       { TIMEOUT_B, TIMEOUT_F, TIMEOUT_H } },
	/* clang-format on */
};

static const struct {
	osip_fsm_type_t type;
	type_t created_by;
} kind_rows[] = {
	[MACHINE_ICT] = { ICT, SND_REQINVITE },
	[MACHINE_NICT] = { NICT, SND_REQUEST },
	[MACHINE_IST] = { IST, RCV_REQINVITE },
	[MACHINE_NIST] = { NIST, RCV_REQUEST },
};

static void trace_nothing(
	const char *file, int line, osip_trace_level_t level, const char *text, va_list arguments)
{
	(void)file, (void)line, (void)level, (void)text, (void)arguments;
}

/* libosip2's struct osip_machine is its osip_transaction_t. */
static osip_transaction_t *unwrap(const struct osip_machine *machine)
{
	return (osip_transaction_t *)(uintptr_t)machine;
}

/* `host` and `port` come from the skeleton and mean nothing. */
static int send_wanted(osip_transaction_t *tr, osip_message_t *sip, char *host, int port, int socket)
{
	struct osip_engine *engine = osip_get_application_context(tr->config);

	(void)host, (void)port, (void)socket;
	return engine->send(tr->reserved1, MSG_IS_ACK(sip) != 0);
}

static int skeletons_parse(struct osip_engine *engine)
{
	for (unsigned i = 0; i < SKELETON_COUNT; i++) {
		if (osip_message_init(&engine->skeleton[i]) != 0)
			return -ENOMEM;
		if (osip_message_parse(engine->skeleton[i], skeleton_text[i], strlen(skeleton_text[i])) != 0)
			return -EINVAL;
	}
	return 0;
}

int osip_engine_new(const struct config_sip *timers, machine_send send, struct osip_engine **out)
{
	struct osip_engine *engine = calloc(1, sizeof(*engine));
	int result;

	if (!engine)
		return -ENOMEM;
	engine->timers = timers;
	engine->send = send;
	/* It would print every bad packet otherwise. */
	osip_trace_initialize_func((osip_trace_level_t)0, trace_nothing);
	if (osip_init(&engine->osip) != 0) {
		free(engine);
		return -ENOMEM;
	}
	osip_set_application_context(engine->osip, engine);
	osip_set_cb_send_message(engine->osip, send_wanted);
	result = skeletons_parse(engine);
	if (result < 0) {
		osip_engine_free(engine);
		return result;
	}
	*out = engine;
	return 0;
}

void osip_engine_free(struct osip_engine *engine)
{
	if (!engine)
		return;
	for (unsigned i = 0; i < SKELETON_COUNT; i++)
		if (engine->skeleton[i])
			osip_message_free(engine->skeleton[i]);
	osip_release(engine->osip);
	free(engine);
}

void osip_engine_set_timers(struct osip_engine *engine, const struct config_sip *timers)
{
	engine->timers = timers;
}

/* libosip2's constants (T1 = 500 ms) give way to the configuration's. */
static void timers_set(const struct config_sip *config, osip_transaction_t *tr)
{
	switch (tr->ctx_type) {
	case ICT:
		tr->ict_context->timer_a_length = (int)config->t1_ms;
		tr->ict_context->timer_b_length = (int)config->timer_b_ms;
		tr->ict_context->timer_d_length = (int)config->timer_d_ms;
		break;
	case NICT:
		tr->nict_context->timer_e_length = (int)config->t1_ms;
		tr->nict_context->timer_f_length = (int)config->timer_b_ms;
		tr->nict_context->timer_k_length = (int)config->t4_ms;
		break;
	case IST:
		tr->ist_context->timer_g_length = (int)config->t1_ms;
		tr->ist_context->timer_h_length = (int)(64 * config->t1_ms);
		tr->ist_context->timer_i_length = (int)config->t4_ms;
		break;
	case NIST:
		tr->nist_context->timer_j_length = (int)(64 * config->t1_ms);
		break;
	}
}

struct osip_machine *osip_machine_new(struct osip_engine *engine, enum machine_kind kind, void *arg)
{
	bool invite = kind == MACHINE_ICT || kind == MACHINE_IST;
	osip_event_t event = { .type = kind_rows[kind].created_by,
		.sip = engine->skeleton[invite ? SKELETON_INVITE : SKELETON_REQUEST] };
	osip_transaction_t *tr = osip_create_transaction(engine->osip, &event);

	if (!tr)
		return NULL;
	osip_remove_transaction(engine->osip, tr);
	timers_set(engine->timers, tr);
	tr->reserved1 = arg;
	return (struct osip_machine *)tr;
}

/* Takes back what was lent, so that libosip2 frees none of it. An ACK made by an ICT is its own. */
static void skeletons_take_back(osip_transaction_t *tr)
{
	tr->orig_request = NULL;
	tr->last_response = NULL;
	if (tr->ctx_type == IST)
		tr->ack = NULL;
}

void osip_machine_free(struct osip_machine *machine)
{
	osip_transaction_t *tr = unwrap(machine);

	if (!tr)
		return;
	skeletons_take_back(tr);
	osip_transaction_free2(tr);
}

static bool is_fresh(const osip_transaction_t *tr)
{
	return tr->state == ICT_PRE_CALLING || tr->state == IST_PRE_PROCEEDING ||
	       tr->state == NICT_PRE_TRYING || tr->state == NIST_PRE_TRYING;
}

/* RFC 3261's doubling under the configured T2: libosip2 caps at its own constant and, below its own T1, adds instead. */
static void interval_set(const struct config_sip *config, osip_transaction_t *tr, int before)
{
	int doubled = 2 * before;
	int capped = doubled > (int)config->t2_ms ? (int)config->t2_ms : doubled;

	if (tr->ctx_type == ICT)
		tr->ict_context->timer_a_length = doubled;
	else if (tr->ctx_type == NICT)
		tr->nict_context->timer_e_length = tr->state == NICT_TRYING ? capped : (int)config->t2_ms;
	else if (tr->ctx_type == IST)
		tr->ist_context->timer_g_length = capped;
}

static int interval_get(const osip_transaction_t *tr)
{
	switch (tr->ctx_type) {
	case ICT:
		return tr->ict_context->timer_a_length;
	case NICT:
		return tr->nict_context->timer_e_length;
	case IST:
		return tr->ist_context->timer_g_length;
	case NIST:
		break;
	}
	return 0;
}

bool osip_machine_run(struct osip_engine *engine, struct osip_machine *machine, enum machine_event event)
{
	osip_transaction_t *tr = unwrap(machine);
	enum machine_kind kind = tr->ctx_type == ICT    ? MACHINE_ICT
				 : tr->ctx_type == NICT ? MACHINE_NICT
				 : tr->ctx_type == IST  ? MACHINE_IST
							: MACHINE_NIST;
	enum skeleton skeleton = event_rows[event].skeleton;
	int before = interval_get(tr);
	osip_event_t *fed;

	if (is_fresh(tr) ? !event_rows[event].before || event_rows[event].type[kind] == UNKNOWN_EVT
			 : !(event_rows[event].in[kind] & 1u << osip_machine_state(machine)))
		return false;
	fed = osip_malloc(sizeof(*fed));
	if (!fed)
		return false;
	memset(fed, 0, sizeof(*fed));
	fed->type = event_rows[event].type[kind];
	if (skeleton == SKELETON_REQUEST && (kind == MACHINE_ICT || kind == MACHINE_IST))
		skeleton = SKELETON_INVITE;
	if (skeleton != SKELETON_NONE) {
		fed->sip = engine->skeleton[skeleton];
		/* It frees the response before. */
		tr->last_response = NULL;
	}
	osip_transaction_execute(tr, fed);
	if (event == MACHINE_TIMER_RETRANSMIT)
		interval_set(engine->timers, tr, before);
	else if (event == MACHINE_RECEIVE_1XX && kind == MACHINE_NICT)
		tr->nict_context->timer_e_length = (int)engine->timers->t2_ms;
	return true;
}

enum machine_state osip_machine_state(const struct osip_machine *machine)
{
	switch (unwrap(machine)->state) {
	case ICT_PRE_CALLING:
	case ICT_CALLING:
		return MACHINE_CALLING;
	case NICT_PRE_TRYING:
	case NICT_TRYING:
	case NIST_PRE_TRYING:
	case NIST_TRYING:
		return MACHINE_TRYING;
	case IST_PRE_PROCEEDING:
	case ICT_PROCEEDING:
	case IST_PROCEEDING:
	case NICT_PROCEEDING:
	case NIST_PROCEEDING:
		return MACHINE_PROCEEDING;
	case ICT_COMPLETED:
	case IST_COMPLETED:
	case NICT_COMPLETED:
	case NIST_COMPLETED:
		return MACHINE_COMPLETED;
	case IST_CONFIRMED:
		return MACHINE_CONFIRMED;
	default:
		return MACHINE_TERMINATED;
	}
}

/* A timer whose start is off does not run, whatever its length says. */
static unsigned running(const struct timeval *start, int length)
{
	return start->tv_sec == -1 || length < 0 ? 0 : (unsigned)length;
}

static unsigned positive(int length)
{
	return length < 0 ? 0 : (unsigned)length;
}

struct machine_timers osip_machine_timers(const struct osip_machine *machine)
{
	const osip_transaction_t *tr = unwrap(machine);
	struct machine_timers timers = { 0 };

	switch (tr->ctx_type) {
	case ICT:
		if (tr->state == ICT_CALLING) {
			timers.retransmit =
				running(&tr->ict_context->timer_a_start, tr->ict_context->timer_a_length);
			timers.give_up =
				running(&tr->ict_context->timer_b_start, tr->ict_context->timer_b_length);
		}
		timers.linger = positive(tr->ict_context->timer_d_length);
		break;
	case NICT:
		if (tr->state == NICT_TRYING || tr->state == NICT_PROCEEDING) {
			timers.retransmit =
				running(&tr->nict_context->timer_e_start, tr->nict_context->timer_e_length);
			timers.give_up =
				running(&tr->nict_context->timer_f_start, tr->nict_context->timer_f_length);
		}
		timers.linger = positive(tr->nict_context->timer_k_length);
		break;
	case IST:
		if (tr->state == IST_COMPLETED) {
			timers.retransmit =
				running(&tr->ist_context->timer_g_start, tr->ist_context->timer_g_length);
			timers.give_up =
				running(&tr->ist_context->timer_h_start, tr->ist_context->timer_h_length);
		}
		timers.linger = positive(tr->ist_context->timer_i_length);
		break;
	case NIST:
		timers.linger = positive(tr->nist_context->timer_j_length);
		break;
	}
	return timers;
}
