/* SPDX-License-Identifier: BSD-3-Clause */
/* libmicrohttpd driven by the main loop: its epoll descriptor is polled, no thread is started, nothing blocks. Every connection carries one
 * request and ends by a deadline, whatever its client does. */
#include "mgmt/metrics_http.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "mgmt/metrics_page.h"
#include "platforms/base/clock.h"

enum {
	CONNECTIONS_MAX = 64,
	CONNECTIONS_OF_ONE_HOST_MAX = 32,
	CONNECTION_MEMORY = 8192, /* octets: request line, headers, those of the answer */
	DEADLINE_MS = 10000, /* from accept to close */
	PAGE_AGE_MS = 1000,
	BACKLOG = 64,
};

enum page { PAGE_METRICS, PAGE_HEALTH, PAGE_COUNT };

static const char *const page_paths[PAGE_COUNT] = { [PAGE_METRICS] = "/metrics", [PAGE_HEALTH] = "/healthz" };

struct client {
	struct client *before, *after; /* in the order of their deadlines */
	struct MHD_Connection *connection;
	uint64_t deadline_ms;
	bool waiting; /* suspended until pages are published */
	bool cut; /* its socket has been shut down */
};

struct metrics_http {
	uv_loop_t *loop;
	metrics_http_wanted wanted;
	void *arg;
	struct MHD_Daemon *daemon; /* NULL: nothing is served */
	uv_poll_t *poll;
	uv_timer_t *timer;
	struct client *first, *last;
	struct MHD_Response *page[PAGE_COUNT]; /* NULL: none yet, or no memory */
	unsigned health_status;
	uint64_t published_ms; /* 0: never */
	bool asked; /* pages are on their way */
};

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void client_add(struct metrics_http *http, struct client *client)
{
	client->before = http->last;
	if (http->last != NULL)
		http->last->after = client;
	else
		http->first = client;
	http->last = client;
}

static void client_remove(struct metrics_http *http, const struct client *client)
{
	if (client->before != NULL)
		client->before->after = client->after;
	else
		http->first = client->after;
	if (client->after != NULL)
		client->after->before = client->before;
	else
		http->last = client->before;
}

static void connection_changed(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct metrics_http *http = arg;
	struct client *client = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		client = calloc(1, sizeof(*client));
		*context = client; /* NULL: it is refused when its request comes */
		if (client == NULL)
			return;
		client->connection = connection;
		client->deadline_ms = clock_now_ms() + DEADLINE_MS;
		client_add(http, client);
	} else if (client != NULL) {
		client_remove(http, client);
		free(client);
		*context = NULL;
	}
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static bool is_fresh(const struct metrics_http *http)
{
	return http->published_ms != 0 && clock_now_ms() - http->published_ms < PAGE_AGE_MS;
}

static enum MHD_Result answer_page(
	struct metrics_http *http, struct MHD_Connection *connection, enum page page)
{
	struct client *client =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	if (client == NULL)
		return MHD_NO;
	/* Who has waited gets what was published for him, however long ago that is by now. */
	if (!is_fresh(http) && !client->waiting) {
		if (!http->asked) {
			http->asked = true;
			http->wanted(http->arg);
		}
		if (http->asked) {
			client->waiting = true;
			MHD_suspend_connection(connection);
			return MHD_YES;
		}
	}
	client->waiting = false;
	if (http->page[page] == NULL)
		return refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory\n");
	return MHD_queue_response(
		connection, page == PAGE_HEALTH ? http->health_status : MHD_HTTP_OK, http->page[page]);
}

static enum MHD_Result request_came(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size, void **context)
{
	static char begun;

	(void)version;
	(void)upload;
	if (*context == NULL) { /* the header alone is there */
		*context = &begun;
		return MHD_YES;
	}
	if (*upload_size >
		0) { /* nobody reads it; closing before it has come would take the answer from the client */
		*upload_size = 0;
		return MHD_YES;
	}
	for (enum page page = 0; page < PAGE_COUNT; page++) {
		if (strcmp(url, page_paths[page]) != 0)
			continue;
		if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
			return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD are allowed\n");
		return answer_page(arg, connection, page);
	}
	return refuse(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
}

static void on_timer(uv_timer_t *timer);

static void run_later(struct metrics_http *http, uint64_t ms)
{
	uv_timer_start(http->timer, on_timer, ms, 0);
}

/* Whose time is over. A socket that has been shut down looks to the library as if its client had gone. */
static void cut_late(struct metrics_http *http)
{
	uint64_t now_ms = clock_now_ms();

	for (struct client *client = http->first; client != NULL && client->deadline_ms <= now_ms;
		client = client->after) {
		if (client->cut || client->waiting)
			continue;
		client->cut = true;
		shutdown(MHD_get_connection_info(client->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				 ->connect_fd,
			SHUT_RDWR);
	}
}

static uint64_t next_deadline_ms(const struct metrics_http *http)
{
	uint64_t now_ms = clock_now_ms();

	for (const struct client *client = http->first; client != NULL; client = client->after)
		if (!client->cut && !client->waiting)
			return client->deadline_ms > now_ms ? client->deadline_ms - now_ms : 0;
	return UINT64_MAX;
}

static void run(struct metrics_http *http)
{
	MHD_UNSIGNED_LONG_LONG library_ms;
	uint64_t ms;

	if (http->daemon == NULL)
		return;
	cut_late(http);
	MHD_run(http->daemon);
	ms = next_deadline_ms(http);
	if (MHD_get_timeout(http->daemon, &library_ms) == MHD_YES && library_ms < ms)
		ms = library_ms;
	if (ms == UINT64_MAX)
		uv_timer_stop(http->timer);
	else
		run_later(http, ms);
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

static void wake_waiting(struct metrics_http *http)
{
	for (const struct client *client = http->first; client != NULL; client = client->after)
		if (client->waiting)
			MHD_resume_connection(client->connection);
}

static void stop(struct metrics_http *http)
{
	uv_timer_stop(http->timer);
	if (http->poll != NULL)
		uv_close((uv_handle_t *)http->poll, on_closed);
	http->poll = NULL;
	if (http->daemon != NULL) {
		wake_waiting(http); /* the library does not end while somebody is suspended */
		MHD_stop_daemon(http->daemon);
	}
	http->daemon = NULL;
}

static int open_socket(const union address *address, int *out)
{
	static const int one = 1;
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
		(address->sa.sa_family == AF_INET6 &&
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) != 0) ||
		bind(fd, &address->sa, address_length(address)) != 0 || listen(fd, BACKLOG) != 0)
		err = -errno;
	if (err != 0)
		close(fd);
	else
		*out = fd;
	return err;
}

static int start(struct metrics_http *http, int fd)
{
	uv_poll_t *poll = calloc(1, sizeof(*poll));
	int err;

	if (poll == NULL) {
		close(fd);
		return -ENOMEM;
	}
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, request_came,
		http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_OF_ONE_HOST_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT,
		1, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http, MHD_OPTION_END);
	if (http->daemon == NULL) {
		close(fd);
		free(poll);
		return -ENOMEM;
	}
	err = uv_poll_init(
		http->loop, poll, MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
	if (err != 0) {
		free(poll);
		stop(http);
		return err;
	}
	http->poll = poll;
	poll->data = http;
	uv_poll_start(poll, UV_READABLE, on_poll);
	return 0;
}

int metrics_http_listen(struct metrics_http *http, const union address *address)
{
	int fd = -1, err;

	stop(http);
	if (address == NULL || !address_is_set(address))
		return 0;
	err = open_socket(address, &fd);
	return err != 0 ? err : start(http, fd);
}

static struct MHD_Response *response_of(char *text, size_t length, const char *type)
{
	struct MHD_Response *response =
		text != NULL ? MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE) : NULL;

	if (response == NULL) {
		free(text);
		return NULL;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	return response;
}

static void drop_pages(struct metrics_http *http)
{
	for (enum page page = 0; page < PAGE_COUNT; page++) {
		if (http->page[page] != NULL)
			MHD_destroy_response(http->page[page]); /* whoever is being sent it has it still */
		http->page[page] = NULL;
	}
}

void metrics_http_publish(struct metrics_http *http, const struct metrics_http_pages *pages)
{
	drop_pages(http);
	http->page[PAGE_METRICS] = response_of(pages->metrics, pages->metrics_length, METRICS_CONTENT_TYPE);
	http->page[PAGE_HEALTH] = response_of(pages->health, pages->health_length, "application/json");
	http->health_status = pages->in_service ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	http->published_ms = clock_now_ms();
	http->asked = false;
	wake_waiting(http);
	/* Not at once: this may be a callback of the library's. */
	if (http->daemon != NULL)
		run_later(http, 0);
}

int metrics_http_new(uv_loop_t *loop, metrics_http_wanted wanted, void *arg, struct metrics_http **out)
{
	struct metrics_http *http = calloc(1, sizeof(*http));

	if (http == NULL)
		return -ENOMEM;
	http->timer = calloc(1, sizeof(*http->timer));
	if (http->timer == NULL) {
		free(http);
		return -ENOMEM;
	}
	uv_timer_init(loop, http->timer);
	http->timer->data = http;
	http->loop = loop;
	http->wanted = wanted;
	http->arg = arg;
	*out = http;
	return 0;
}

void metrics_http_free(struct metrics_http *http)
{
	if (http == NULL)
		return;
	stop(http);
	drop_pages(http);
	uv_close((uv_handle_t *)http->timer, on_closed);
	free(http);
}
