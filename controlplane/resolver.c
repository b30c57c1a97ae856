/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to DNS by c-ares: each has a channel, and so sockets and source ports, of its own. */
#include "controlplane/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/shard_internal.h"
#include "platforms/base/log.h"

enum {
	TRIES = 2,
	SRV_READ_MAX = 64,
	SERVERS_TEXT_MAX = 1024,
	DATAGRAM_MAX = 1232, /* of an answer: never fragmented (RFC 9715); longer ones come by TCP */
};

struct query_socket {
	uv_poll_t poll;
	struct resolver_query *query; /* NULL: it is being closed */
	ares_socket_t fd;
	struct query_socket *next;
};

/* What is asked for one host: all that comes for it has the same priority, weight and port. */
struct host_question {
	struct resolver_query *query;
	struct resolver_target target;
};

struct resolver_query { /* owner: the shard */
	struct shard *shard;
	struct resolver_question question;
	resolver_done done;
	void *arg;
	ares_channel channel;
	struct query_socket *sockets;
	struct timer timer;
	unsigned open; /* questions under way */
	bool closing;
	bool silent; /* somebody did not answer */
	struct host_question host[RESOLVER_ADDRESSES_MAX];
	struct resolver_answer answer;
};

static const struct {
	const char *service; /* NULL: no SRV */
	uint16_t port;
} transports[] = {
	[CONFIG_TRANSPORT_UDP] = { "_sip._udp.", 5060 },
	[CONFIG_TRANSPORT_TCP] = { "_sip._tcp.", 5060 },
	[CONFIG_TRANSPORT_TLS] = { "_sips._tcp.", 5061 },
	[CONFIG_TRANSPORT_WS] = { NULL, 80 },
	[CONFIG_TRANSPORT_WSS] = { NULL, 443 },
};

/* --- sockets and time ------------------------------------------------------------------------------------------------- */

static void on_timer(struct timer *timer, void *arg);

/* The end is never within a callback of c-ares, which may not lose its channel there. */
static void set_timer(struct resolver_query *query)
{
	struct timeval left;
	uint64_t delay = 0;

	if (query->closing)
		return;
	if (query->open) {
		if (!ares_timeout(query->channel, NULL, &left))
			return;
		delay = (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
	}
	timer_arm(query->shard->timers, &query->timer, delay, on_timer, query);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	const struct query_socket *socket = poll->data;
	struct resolver_query *query = socket->query;
	ares_socket_t fd = socket->fd;

	if (!query)
		return;
	/* An error of the socket is c-ares' to find. */
	ares_process_fd(query->channel, status < 0 || events & UV_READABLE ? fd : ARES_SOCKET_BAD,
		status < 0 || events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
	set_timer(query);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void socket_drop(struct query_socket **link)
{
	struct query_socket *socket = *link;

	*link = socket->next;
	socket->query = NULL;
	uv_close((uv_handle_t *)&socket->poll, on_closed);
}

static struct query_socket *socket_add(struct resolver_query *query, ares_socket_t fd)
{
	struct query_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	if (uv_poll_init(&query->shard->loop, &socket->poll, fd) < 0) {
		free(socket);
		return NULL;
	}
	socket->poll.data = socket;
	socket->query = query;
	socket->fd = fd;
	socket->next = query->sockets;
	query->sockets = socket;
	return socket;
}

/* What c-ares waits for on a socket; nothing: it is about to close it. Without memory its own time-out comes. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver_query *query = arg;
	struct query_socket **link = &query->sockets, *socket;
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

	while (*link && (*link)->fd != fd)
		link = &(*link)->next;
	socket = *link;
	if (!events) {
		if (socket)
			socket_drop(link);
		return;
	}
	if (!socket)
		socket = socket_add(query, fd);
	if (socket)
		uv_poll_start(&socket->poll, events, on_readable);
}

static void query_free(struct resolver_query *query)
{
	query->closing = true;
	timer_cancel(&query->timer);
	if (query->channel)
		ares_destroy(query->channel);
	while (query->sockets)
		socket_drop(&query->sockets);
	free(query);
}

static void on_timer(struct timer *timer, void *arg)
{
	struct resolver_query *query = arg;
	struct resolver_answer answer;
	resolver_done done = query->done;
	void *who = query->arg;

	(void)timer;
	if (query->open)
		ares_process_fd(query->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	if (query->open) {
		set_timer(query);
		return;
	}
	answer = query->answer;
	answer.outcome = answer.count ? RESOLVER_FOUND : query->silent ? RESOLVER_SILENT : RESOLVER_NONE;
	query_free(query);
	done(who, &answer);
}

/* --- addresses -------------------------------------------------------------------------------------------------------- */

/* DNS may say anything: a peer in a realm is at none of these. */
static bool is_a_host(const union address *a)
{
	uint32_t ip;

	if (a->sa.sa_family == AF_INET) {
		ip = ntohl(a->in4.sin_addr.s_addr);
		return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 28 < 0xe;
	}
	return a->sa.sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) &&
	       !IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) && !IN6_IS_ADDR_MULTICAST(&a->in6.sin6_addr) &&
	       !IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr) && !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr) &&
	       !IN6_IS_ADDR_V4COMPAT(&a->in6.sin6_addr);
}

static void note_ttl(struct resolver_answer *answer, int ttl)
{
	uint32_t seconds = ttl < 0 ? 0 : (uint32_t)ttl;

	if (seconds < answer->ttl)
		answer->ttl = seconds;
}

static bool is_there(const struct resolver_answer *answer, const union address *address)
{
	for (unsigned i = 0; i < answer->count; i++)
		if (address_equal(&answer->address[i].address, address))
			return true;
	return false;
}

static void add_address(
	struct resolver_query *query, const struct host_question *host, const struct sockaddr *address)
{
	struct resolver_answer *answer = &query->answer;
	struct resolved_address found = { .address.sa.sa_family = address->sa_family,
		.priority = host->target.priority,
		.weight = host->target.weight,
		.target = (uint8_t)(host - query->host) };
	unsigned at;

	/* Nothing but the address itself: it is hashed and compared. */
	if (address->sa_family == AF_INET)
		found.address.in4.sin_addr = ((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		found.address.in6.sin6_addr = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	address_set_port(&found.address, host->target.port);
	if (answer->count >= query->shard->config->sip.dns_max_addresses ||
		answer->count >= RESOLVER_ADDRESSES_MAX || !is_a_host(&found.address) ||
		is_there(answer, &found.address))
		return;
	/* The targets are numbered by priority; their answers come in any order. */
	for (at = answer->count; at > 0 && answer->address[at - 1].target > found.target; at--)
		answer->address[at] = answer->address[at - 1];
	answer->address[at] = found;
	answer->count++;
}

/* RFC 2308: the name or the type does not exist. Anything else says nothing about it. */
static bool says_none(int status)
{
	return status == ARES_ENOTFOUND || status == ARES_ENODATA;
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
	const struct host_question *host = arg;
	struct resolver_query *query = host->query;

	(void)timeouts;
	if (!query->closing && status == ARES_SUCCESS) {
		for (const struct ares_addrinfo_cname *c = found->cnames; c; c = c->next)
			note_ttl(&query->answer, c->ttl);
		for (const struct ares_addrinfo_node *n = found->nodes; n; n = n->ai_next) {
			note_ttl(&query->answer, n->ai_ttl);
			add_address(query, host, n->ai_addr);
		}
	}
	if (found)
		ares_freeaddrinfo(found);
	query->silent |= status != ARES_SUCCESS && !says_none(status);
	query->open--;
	set_timer(query);
}

static void ask_addresses(struct resolver_query *query, struct host_question *host)
{
	const struct resolver_question *question = &query->question;
	const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = question->v4 && question->v6 ? AF_UNSPEC
			     : question->v4               ? AF_INET
							  : AF_INET6,
		.ai_socktype = SOCK_DGRAM,
	};

	host->query = query;
	query->open++;
	ares_getaddrinfo(query->channel, host->target.host, NULL, &hints, on_addresses, host);
}

static void ask_name(struct resolver_query *query, uint16_t port)
{
	struct host_question *host = &query->host[0];
	struct writer out;

	writer_init(&out, host->target.host, sizeof(host->target.host));
	writer_text(&out, query->question.host);
	writer_char(&out, '\0');
	host->target.port = port;
	ask_addresses(query, host);
}

/* --- SRV -------------------------------------------------------------------------------------------------------------- */

static int name_at(const uint8_t *answer, size_t length, size_t *at, char name[256])
{
	char *expanded;
	long used;
	size_t n;

	if (*at >= length ||
		ares_expand_name(answer + *at, answer, (int)length, &expanded, &used) != ARES_SUCCESS)
		return -EINVAL;
	n = strlen(expanded);
	if (n < 256)
		memcpy(name, expanded, n + 1);
	ares_free_string(expanded);
	*at += (size_t)used;
	return n < 256 ? 0 : -EINVAL;
}

static uint16_t number16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 2782: the root as target says that there is no such service. Of equal priority the order does not matter here. */
static unsigned insert_target(
	struct resolver_target *list, unsigned count, unsigned max, const struct resolver_target *target)
{
	unsigned at = count;

	if (target->host[0] == '\0' || target->port == 0)
		return count;
	while (at > 0 && list[at - 1].priority > target->priority)
		at--;
	if (at >= max)
		return count;
	count = count < max ? count + 1 : count;
	memmove(&list[at + 1], &list[at], (count - 1 - at) * sizeof(*list));
	list[at] = *target;
	return count;
}

int resolver_read_srv(
	const uint8_t *answer, size_t length, struct resolver_target *list, unsigned max, uint32_t *ttl)
{
	unsigned questions, records, count = 0;
	size_t at = NS_HFIXEDSZ;
	char owner[256];

	if (length < NS_HFIXEDSZ || length > NS_MAXMSG)
		return -EINVAL;
	questions = number16(answer + 4);
	records = number16(answer + 6);
	for (unsigned i = 0; i < questions; i++) {
		if (name_at(answer, length, &at, owner) || length - at < NS_QFIXEDSZ)
			return -EINVAL;
		at += NS_QFIXEDSZ;
	}
	for (unsigned i = 0; i < records && i < SRV_READ_MAX; i++) {
		struct resolver_target target = { 0 };
		const uint8_t *fixed;
		size_t data, inside;
		uint32_t seconds;

		if (name_at(answer, length, &at, owner) || length - at < NS_RRFIXEDSZ)
			return -EINVAL;
		fixed = answer + at;
		data = number16(fixed + 8);
		at += NS_RRFIXEDSZ;
		if (length - at < data)
			return -EINVAL;
		seconds = (uint32_t)number16(fixed + 4) << 16 | number16(fixed + 6);
		/* RFC 2181 section 8 */
		if (seconds > INT32_MAX)
			seconds = 0;
		if (seconds < *ttl)
			*ttl = seconds;
		if (number16(fixed) == ns_t_srv && number16(fixed + 2) == ns_c_in) {
			inside = at + 6;
			if (data < 7 || name_at(answer, length, &inside, target.host) || inside != at + data)
				return -EINVAL;
			target.priority = number16(answer + at);
			target.weight = number16(answer + at + 2);
			target.port = number16(answer + at + 4);
			count = insert_target(list, count, max, &target);
		}
		at += data;
	}
	return (int)count;
}

static unsigned targets_max(const struct resolver_query *query)
{
	unsigned most = query->shard->config->sip.dns_max_addresses;

	return most < RESOLVER_ADDRESSES_MAX ? most : RESOLVER_ADDRESSES_MAX;
}

/* RFC 3263 section 4.2: without SRV records the name itself is asked for. */
static void on_srv(void *arg, int status, int timeouts, unsigned char *answer, int length)
{
	struct resolver_target list[RESOLVER_ADDRESSES_MAX];
	struct resolver_query *query = arg;
	int count = 0;

	(void)timeouts;
	query->open--;
	if (query->closing)
		return;
	if (status == ARES_SUCCESS)
		count = resolver_read_srv(
			answer, (size_t)length, list, targets_max(query), &query->answer.ttl);
	if (count > 0)
		for (unsigned i = 0; i < (unsigned)count; i++) {
			query->host[i].target = list[i];
			ask_addresses(query, &query->host[i]);
		}
	else if (count < 0 || status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED ||
		 status == ARES_ESERVFAIL)
		query->silent = true;
	else if (status != ARES_SUCCESS)
		ask_name(query, transports[query->question.transport].port);
	set_timer(query);
}

static void ask_srv(struct resolver_query *query)
{
	char name[300];
	struct writer out;

	writer_init(&out, name, sizeof(name));
	writer_text(&out, transports[query->question.transport].service);
	writer_text(&out, query->question.host);
	writer_char(&out, '\0');
	query->open++;
	ares_query(query->channel, name, ns_c_in, ns_t_srv, on_srv, query);
}

/* --- the question ----------------------------------------------------------------------------------------------------- */

static int set_servers(ares_channel channel, const struct config_strings *servers)
{
	char text[SERVERS_TEXT_MAX];
	struct writer out;

	if (servers->count == 0)
		return 0;
	writer_init(&out, text, sizeof(text));
	for (size_t i = 0; i < servers->count; i++) {
		char printed[ADDRESS_TEXT_MAX];
		union address server;

		if (address_parse(span_from(servers->item[i]), NS_DEFAULTPORT, &server))
			continue;
		writer_text(&out, i ? "," : "");
		writer_text(&out, address_print(&server, printed));
	}
	writer_char(&out, '\0');
	return !out.overflow && ares_set_servers_ports_csv(channel, text) == ARES_SUCCESS ? 0 : -EINVAL;
}

/* Names are whole: no search list, no hosts file. */
static int open_channel(struct resolver_query *query)
{
	static char lookups[] = "b";
	const struct config_sip *sip = &query->shard->config->sip;
	struct ares_options options = { .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = (int)sip->dns_timeout_ms,
		.tries = TRIES,
		.ednspsz = DATAGRAM_MAX,
		.lookups = lookups,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = query };
	int status = ares_init_options(&query->channel, &options,
		ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS |
			ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS)
		return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
	return set_servers(query->channel, &sip->dns_servers);
}

int resolver_ask(struct shard *shard, const struct resolver_question *question, resolver_done done, void *arg,
	struct resolver_query **out)
{
	struct resolver_query *query;
	int error;

	*out = NULL;
	if (shard->private->resolve)
		return shard->private->resolve(question, done, arg);
	query = calloc(1, sizeof(*query));
	if (!query)
		return -ENOMEM;
	query->shard = shard;
	query->question = *question;
	query->done = done;
	query->arg = arg;
	query->answer.ttl = UINT32_MAX;
	error = open_channel(query);
	if (error) {
		query_free(query);
		return error;
	}
	if (question->port || !transports[question->transport].service)
		ask_name(query, question->port ? question->port : transports[question->transport].port);
	else
		ask_srv(query);
	set_timer(query);
	*out = query;
	return 0;
}

void resolver_cancel(struct resolver_query *query)
{
	if (query)
		query_free(query);
}
