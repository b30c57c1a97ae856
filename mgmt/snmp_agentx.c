/* SPDX-License-Identifier: BSD-3-Clause */
/* libnetsnmp's subagent: one handler for the whole of SALLYPORT-MIB, answered from rows that the main loop has made. */
#include "mgmt/snmp_agentx.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <net-snmp/agent/net-snmp-agent-includes.h>
#include <net-snmp/agent/agent_callbacks.h>

#include "mgmt/snmp_exchange.h"
#include "platforms/base/log.h"

enum {
	RECONNECT_S = 3, /* also between two pings */
	PATIENCE_S = 2, /* with an answer of snmpd's */
	SNMPD_PATIENCE_S = 6, /* with ours: rows may have to be fetched */
	AGENTX_NOTIFY = 12, /* RFC 2741 section 6.1; no public header of libnetsnmp's has it */
};

static const oid root[] = SNMP_ROOT;

struct agent {
	struct snmp_exchange *exchange;
	struct snmp_orders orders;
	netsnmp_session *session; /* libnetsnmp's; NULL: not connected */
	bool sending;
	struct snmp_view *state, *calls; /* in use for one request */
};

/* --- answers --- */

static int put_value(netsnmp_variable_list *variable, const struct snmp_value *value)
{
	static const u_char types[] = {
		[SNMP_TYPE_INTEGER] = ASN_INTEGER,
		[SNMP_TYPE_GAUGE] = ASN_GAUGE,
		[SNMP_TYPE_TICKS] = ASN_TIMETICKS,
	};
	struct counter64 wide = { .high = (u_long)((uint64_t)value->number >> 32),
		.low = (u_long)((uint64_t)value->number & UINT32_MAX) };

	if (value->type == SNMP_TYPE_OCTETS)
		return snmp_set_var_typed_value(variable, ASN_OCTET_STR, value->octets, value->length);
	if (value->type == SNMP_TYPE_COUNTER64)
		return snmp_set_var_typed_value(variable, ASN_COUNTER64, &wide, sizeof(wide));
	return snmp_set_var_typed_integer(variable, types[value->type], value->number);
}

/* Where a request begins, without the root: above it, at the beginning. */
static void oid_in(const netsnmp_variable_list *variable, struct snmp_oid *out)
{
	out->length = 0;
	for (size_t i = SNMP_ROOT_LENGTH; i < variable->name_length && out->length < SNMP_OID_MAX; i++)
		out->sub[out->length++] = (uint32_t)variable->name[i];
}

static void oid_out(netsnmp_variable_list *variable, const struct snmp_oid *found)
{
	oid name[SNMP_ROOT_LENGTH + SNMP_OID_MAX];

	memcpy(name, root, sizeof(root));
	for (size_t i = 0; i < found->length; i++)
		name[SNMP_ROOT_LENGTH + i] = found->sub[i];
	snmp_set_var_objid(variable, name, SNMP_ROOT_LENGTH + found->length);
}

static int look_up(struct agent *agent, bool next, struct snmp_oid *at, struct snmp_value *value)
{
	for (;;) {
		int err = agent->state == NULL ? -EIO
			  : next               ? snmp_view_next(agent->state, agent->calls, at, value)
					       : snmp_view_get(agent->state, agent->calls, at, value);

		if (err != -EAGAIN)
			return err;
		agent->calls = snmp_exchange_get(agent->exchange, SNMP_ROWS_CALLS);
		if (agent->calls == NULL)
			return -EIO;
	}
}

static void answer_one(struct agent *agent, netsnmp_agent_request_info *info, netsnmp_request_info *request)
{
	bool next = info->mode == MODE_GETNEXT;
	struct snmp_value value;
	struct snmp_oid at;
	int err = -ENOENT;

	oid_in(request->requestvb, &at);
	if (next && request->inclusive)
		err = look_up(agent, false, &at, &value);
	if (err != 0 && err != -EIO)
		err = look_up(agent, next, &at, &value);
	if (err == 0 && next)
		oid_out(request->requestvb, &at);
	if (err == 0)
		err = put_value(request->requestvb, &value) == 0 ? 0 : -EIO;
	if (err == -EIO)
		netsnmp_set_request_error(info, request, SNMP_ERR_GENERR);
	else if (err != 0 && !next)
		netsnmp_set_request_error(
			info, request, err == -ENXIO ? SNMP_NOSUCHINSTANCE : SNMP_NOSUCHOBJECT);
}

static int answer(netsnmp_mib_handler *handler, netsnmp_handler_registration *registration,
	netsnmp_agent_request_info *info, netsnmp_request_info *requests)
{
	struct agent *agent = handler->myvoid;

	(void)registration;
	if (info->mode != MODE_GET && info->mode != MODE_GETNEXT)
		return SNMP_ERR_GENERR;
	agent->state = snmp_exchange_get(agent->exchange, SNMP_ROWS_STATE);
	for (netsnmp_request_info *request = requests; request != NULL; request = request->next)
		if (!request->processed)
			answer_one(agent, info, request);
	snmp_exchange_put(agent->exchange, agent->state);
	snmp_exchange_put(agent->exchange, agent->calls);
	agent->state = agent->calls = NULL;
	return SNMP_ERR_NOERROR;
}

/* --- notifications --- */

/* Of the same columns as the rows of the alarm table. */
static int add_columns(netsnmp_variable_list **list, const struct snmp_alarm_row *alarm)
{
	static const uint32_t columns[] = { 3, 4, 5, 6, 7 };
	const struct snmp_table *table = &snmp_tables[SNMP_ALARMS];
	struct snmp_view *view = snmp_view_new();
	int err = view != NULL ? snmp_view_set(view, SNMP_ALARMS, alarm, 1) : -ENOMEM;

	for (size_t i = 0; err == 0 && i < sizeof(columns) / sizeof(columns[0]); i++) {
		struct snmp_oid at = { .length = table->path_length };
		netsnmp_variable_list *variable;
		struct snmp_value value;

		memcpy(at.sub, table->path, table->path_length * sizeof(table->path[0]));
		at.sub[at.length++] = columns[i];
		snmp_index_of(table, alarm, &at);
		err = snmp_view_get(view, NULL, &at, &value);
		variable =
			err == 0 ? snmp_varlist_add_variable(list, root, SNMP_ROOT_LENGTH, ASN_NULL, NULL, 0)
				 : NULL;
		if (variable == NULL)
			break;
		oid_out(variable, &at);
		err = put_value(variable, &value);
	}
	snmp_view_free(view);
	return err;
}

static void add_number(netsnmp_variable_list **list, uint32_t object, uint32_t number)
{
	const struct snmp_oid at = { .sub = { 1, 10, object, 0 }, .length = 4 };
	netsnmp_variable_list *variable =
		snmp_varlist_add_variable(list, root, SNMP_ROOT_LENGTH, ASN_NULL, NULL, 0);

	if (variable == NULL)
		return;
	oid_out(variable, &at);
	snmp_set_var_typed_integer(variable, ASN_UNSIGNED, number);
}

static int notice_answered(int operation, netsnmp_session *session, int id, netsnmp_pdu *pdu, void *arg)
{
	struct agent *agent = arg;

	(void)session;
	(void)id;
	if (!agent->sending)
		return 1;
	agent->sending = false;
	snmp_exchange_told(agent->exchange, operation == NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE &&
						    pdu != NULL && pdu->errstat == SNMP_ERR_NOERROR);
	return 1;
}

static void send_notice(struct agent *agent)
{
	static const oid trap_oid[] = { 1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0 };
	oid which[SNMP_ROOT_LENGTH + 2];
	struct snmp_notice notice;
	netsnmp_pdu *pdu;

	if (agent->session == NULL || agent->sending || !snmp_exchange_take(agent->exchange, &notice))
		return;
	agent->sending = true;
	pdu = snmp_pdu_create(AGENTX_NOTIFY);
	if (pdu == NULL) {
		notice_answered(NETSNMP_CALLBACK_OP_SEND_FAILED, NULL, 0, NULL, agent);
		return;
	}
	memcpy(which, root, sizeof(root));
	which[SNMP_ROOT_LENGTH] = 0;
	which[SNMP_ROOT_LENGTH + 1] = notice.raised ? 1 : 2;
	pdu->version = agent->session->version;
	pdu->sessid = agent->session->sessid;
	snmp_varlist_add_variable(
		&pdu->variables, trap_oid, OID_LENGTH(trap_oid), ASN_OBJECT_ID, which, sizeof(which));
	if (add_columns(&pdu->variables, &notice.alarm) != 0) {
		snmp_free_pdu(pdu);
		notice_answered(NETSNMP_CALLBACK_OP_SEND_FAILED, NULL, 0, NULL, agent);
		return;
	}
	add_number(&pdu->variables, 7, notice.sequence);
	add_number(&pdu->variables, 8, notice.suppressed);
	if (snmp_async_send(agent->session, pdu, notice_answered, agent) == 0) {
		snmp_free_pdu(pdu);
		notice_answered(NETSNMP_CALLBACK_OP_SEND_FAILED, NULL, 0, NULL, agent);
	}
}

/* --- the connection --- */

static int on_connected(int major, int minor, void *session, void *arg)
{
	struct agent *agent = arg;

	(void)major;
	(void)minor;
	agent->session = session;
	agent->session->retries = 0;
	agent->session->timeout = PATIENCE_S * ONE_SEC;
	snmp_exchange_connect(agent->exchange, true);
	return 0;
}

static void disconnected(struct agent *agent)
{
	agent->session = NULL;
	snmp_exchange_connect(agent->exchange, false);
	notice_answered(NETSNMP_CALLBACK_OP_SEND_FAILED, NULL, 0, NULL, agent);
}

static int on_disconnected(int major, int minor, void *session, void *arg)
{
	(void)major;
	(void)minor;
	(void)session;
	disconnected(arg);
	return 0;
}

/* Our words about it are the main loop's; these are for who looks for a mistake. */
static int on_log(int major, int minor, void *message, void *arg)
{
	const struct snmp_log_message *log = message;
	struct span text = span_trim(span_from(log->msg));

	(void)major;
	(void)minor;
	(void)arg;
	log_debug("snmp", "libnetsnmp", LOG_SPAN("text", text));
	return 0;
}

static void on_wake(int fd, void *arg)
{
	(void)fd;
	(void)arg; /* the loop asks for the orders in each round */
}

static void set_socket(const char *path)
{
	char text[SNMP_SOCKET_MAX + 8];

	snprintf(text, sizeof(text), "unix:%s", path);
	netsnmp_ds_set_string(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_X_SOCKET, text);
}

/* The library sees the end of the connection as if snmpd had gone: it does what is due, and later tries the socket there is then. */
static void hang_up(const struct agent *agent)
{
	const netsnmp_transport *transport = snmp_sess_transport(snmp_sess_pointer(agent->session));

	if (transport != NULL)
		shutdown(transport->sock, SHUT_RDWR);
}

static void follow(struct agent *agent, const struct snmp_orders *orders)
{
	bool moved = strcmp(orders->socket, agent->orders.socket) != 0;

	if (moved)
		set_socket(orders->socket);
	if (agent->session != NULL && (moved || (!orders->enabled && agent->orders.enabled)))
		hang_up(agent);
	agent->orders = *orders;
}

static void library_settings(void)
{
	/* Its configuration files, its persistent ones and MIBs are snmpd's business. */
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE, 1);
	netsnmp_set_mib_directory("");
	/* A hanging snmpd is waited for once. */
	netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_RETRIES, 0);
	netsnmp_ds_set_int(NETSNMP_DS_LIBRARY_ID, NETSNMP_DS_LIB_TIMEOUT, PATIENCE_S);
	netsnmp_enable_subagent();
	netsnmp_ds_set_boolean(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_NO_CONNECTION_WARNINGS, 1);
}

static int begin(struct agent *agent)
{
	netsnmp_handler_registration *registration;

	snmp_disable_log();
	snmp_enable_calllog();
	snmp_register_callback(SNMP_CALLBACK_LIBRARY, SNMP_CALLBACK_LOGGING, on_log, NULL);
	library_settings();
	if (init_agent("sallyport-mgmt") != 0)
		return -EIO;
	/* init_agent() has defaults of its own. */
	netsnmp_ds_set_int(NETSNMP_DS_APPLICATION_ID, NETSNMP_DS_AGENT_AGENTX_PING_INTERVAL, RECONNECT_S);
	set_socket(agent->orders.socket);
	snmp_register_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_START, on_connected, agent);
	snmp_register_callback(SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_STOP, on_disconnected, agent);
	registration = netsnmp_create_handler_registration(
		"sallyport", answer, root, SNMP_ROOT_LENGTH, HANDLER_CAN_RONLY);
	if (registration == NULL)
		return -ENOMEM;
	registration->timeout = SNMPD_PATIENCE_S;
	registration->handler->myvoid = agent;
	if (netsnmp_register_handler(registration) != MIB_REGISTERED_OK)
		return -EIO;
	if (register_readfd(snmp_exchange_descriptor(agent->exchange), on_wake, agent) != FD_REGISTERED_OK)
		return -EIO;
	init_snmp("sallyport-mgmt"); /* connects */
	return 0;
}

static void wait_for_orders(const struct agent *agent)
{
	struct pollfd wait = { .fd = snmp_exchange_descriptor(agent->exchange), .events = POLLIN };

	(void)poll(&wait, 1, -1);
}

void *snmp_agentx_run(void *exchange)
{
	struct agent agent = { .exchange = exchange };
	struct snmp_orders orders;
	int err;

	snmp_exchange_orders(exchange, &orders);
	follow(&agent, &orders);
	err = begin(&agent);
	if (err != 0)
		log_error("snmp", "libnetsnmp does not begin: there is no SNMP", LOG_ERRNO("error", err));
	for (;;) {
		snmp_exchange_orders(exchange, &orders);
		if (orders.end)
			break;
		follow(&agent, &orders);
		if (err != 0 || (!orders.enabled && agent.session == NULL)) {
			wait_for_orders(&agent);
			continue;
		}
		send_notice(&agent);
		agent_check_and_process(1);
		/* A ping that is not answered ends it without a word. */
		if (agent.session != NULL && snmp_sess_pointer(agent.session) == NULL)
			disconnected(&agent);
	}
	/* The library would free what its callbacks are given. */
	snmp_unregister_callback(
		SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_START, on_connected, &agent, 1);
	snmp_unregister_callback(
		SNMP_CALLBACK_APPLICATION, SNMPD_CALLBACK_INDEX_STOP, on_disconnected, &agent, 1);
	snmp_shutdown("sallyport-mgmt");
	shutdown_agent();
	return NULL;
}
