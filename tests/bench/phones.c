/* SPDX-License-Identifier: BSD-3-Clause */
/* Many phones that register, each with an address and port of its own, and the registrar with their passwords behind the server under test.
 *
 * usage: phones -P NAMESPACE -R NAMESPACE -n PHONES -h PHONES-OF-A-HOST -s SERVER-ADDRESS -r REGISTRAR-ADDRESS
 * The phones' addresses, 198.18.0.0 and on (RFC 2544), are local in their namespace; phones of a host have ports of their own. Commands by
 * standard input, each answered by a line of JSON:
 *   register RATE          so many begin to register in a second, until all are
 *   steady RATE SECONDS    so many REGISTERs a second: of 20, 18 refresh, one is a phone's that has forgotten all, one its answer to the challenge
 *   avalanche SECONDS      all have forgotten all and register at once; refreshes of those who are back; ends when all are, or after SECONDS
 * Whoever is told to come back later does. The registrar challenges (MD5, qop=auth), computes every answer, and keeps nothing. Both answer OPTIONS. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/digest.h"
#include "platforms/base/clock.h"
#include "platforms/base/random.h"

enum {
	SIP_PORT = 5060,
	PORT_FIRST = 20000,
	HOST_FIRST = 0xc6120001, /* 198.18.0.1 */
	PORTS_MAX = 1000,
	TEXT_MAX = 4096,
	NAME_MAX_OCTETS = 64,
	SOCKET_BYTES = 8 << 20,
	MS = 1000000, /* ns */
	TICK_NS = 10 * MS,
	T1_NS = 500 * MS, /* RFC 3261 section 17.1.2.2 */
	REPEATS = 6, /* after these nobody waits any longer */
	CYCLE = 19, /* REGISTERs that begin something: 18 refreshes to one that has forgotten */
	REFRESH_LEAST_S = 30,
	REFRESH_SPREAD_S = 20,
	LATENCIES = 4000, /* of half a millisecond */
	LATENCY_NS = MS / 2,
	SEEN_MAX = 1 << 20,
	REGISTRAR = PORTS_MAX, /* what epoll says, beside the numbers of the phones' ports */
	COMMAND
};

enum phone_state { IDLE, ASKING, WAITING };

struct phone {
	uint64_t began_ns, due_ns; /* due: to repeat, to come back, or to refresh; 0: nothing */
	uint64_t back_ns;
	uint32_t cseq, call, count; /* count: of the nonce's uses */
	uint8_t state, repeats;
	bool challenged, registered, refreshes;
	char nonce[20];
};

struct report {
	uint64_t sent, repeated, refreshed, restarted, failed, unanswered, told_to_wait;
	unsigned last_status;
	uint64_t latency[2][LATENCIES]; /* refreshes; those through to the registrar */
};

static struct {
	const char *phones_in, *registrar_in, *server, *registrar;
	unsigned phones, per_host;
} options;

static struct phone *phone;
static int port_socket[PORTS_MAX], registrar_socket, poller;
static struct report now;
static struct sockaddr_in server;
static unsigned back, next_phone, begun;
static bool keeps_refreshing;

static struct {
	uint64_t at[SEEN_MAX]; /* ring */
	uint64_t first, end, total;
	unsigned most; /* in any second */
} seen;

static void die(const char *what, int error)
{
	fprintf(stderr, "phones: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

/* --- text ------------------------------------------------------------------------------------------------------------- */

/* The value of a header, written as ours and the server's are. */
static struct span field(struct span message, const char *name)
{
	char key[NAME_MAX_OCTETS];
	int n = snprintf(key, sizeof(key), "\r\n%s: ", name);
	const char *at = memmem(message.p, message.n, key, (size_t)n), *end;
	size_t left;

	if (!at)
		return (struct span){ "", 0 };
	at += n;
	left = message.n - (size_t)(at - message.p);
	end = memmem(at, left, "\r\n", 2);
	return (struct span){ at, end ? (size_t)(end - at) : left };
}

static struct span between(struct span text, const char *before, char after)
{
	const char *at = memmem(text.p, text.n, before, strlen(before)), *end;

	if (!at)
		return (struct span){ "", 0 };
	at += strlen(before);
	end = memchr(at, after, text.n - (size_t)(at - text.p));
	return (struct span){ at, end ? (size_t)(end - at) : text.n - (size_t)(at - text.p) };
}

static void write_answer(struct writer *out, struct span request, const char *status)
{
	static const char *const names[] = { "From", "Call-ID", "CSeq" };

	writer_format(out, "SIP/2.0 %s\r\nVia: ", status);
	writer_span(out, field(request, "Via"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		writer_format(out, "\r\n%s: ", names[i]);
		writer_span(out, field(request, names[i]));
	}
	writer_text(out, "\r\nTo: ");
	writer_span(out, field(request, "To"));
	writer_text(out, ";tag=1\r\n");
}

/* --- the registrar -------------------------------------------------------------------------------------------------------- */

static void note_seen(uint64_t ns)
{
	seen.at[seen.end++ % SEEN_MAX] = ns;
	seen.total++;
	while (seen.at[seen.first % SEEN_MAX] + 1000ULL * MS <= ns)
		seen.first++;
	if (seen.end - seen.first > seen.most)
		seen.most = (unsigned)(seen.end - seen.first);
}

/* A user's nonce: the same each time, so that nothing is kept. */
static void nonce_of(struct span user, char out[20])
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < user.n; i++)
		hash = (hash ^ (uint8_t)user.p[i]) * 0x100000001b3;
	snprintf(out, 20, "%016llx", (unsigned long long)hash);
}

static bool is_right(struct span user, const char *nonce, struct span authorization)
{
	struct digest_credentials given;
	char secret[DIGEST_HEX_MAX], wanted[DIGEST_HEX_MAX];

	if (authorization.n == 0 || digest_credentials_parse(authorization, &given) ||
		!span_equal(given.username, user) || !span_equal(given.nonce, span_from(nonce)))
		return false;
	struct digest_protection protection = { given.count, given.cnonce };

	return digest_secret(DIGEST_MD5, user, given.realm, SPAN("secret"), secret) == 0 &&
	       digest_response(DIGEST_MD5, span_from(secret), given.nonce, given.has_qop ? &protection : NULL,
		       SPAN("REGISTER"), given.uri, wanted) == 0 &&
	       span_equal(given.response, span_from(wanted));
}

static void registrar_hears(struct span request, uint64_t came_ns, const struct sockaddr_in *from)
{
	struct span user = between(field(request, "To"), "sip:", '@');
	char text[TEXT_MAX], nonce[20];
	struct writer out;

	writer_init(&out, text, sizeof(text));
	if (span_starts_case(request, SPAN("REGISTER "))) {
		note_seen(came_ns);
		nonce_of(user, nonce);
		if (is_right(user, nonce, field(request, "Authorization"))) {
			write_answer(&out, request, "200 OK");
			writer_text(&out, "Contact: ");
			writer_span(&out, field(request, "Contact"));
			writer_text(&out, "\r\n");
		} else {
			write_answer(&out, request, "401 Unauthorized");
			writer_format(&out,
				"WWW-Authenticate: Digest realm=\"pbx\", nonce=\"%s\", algorithm=MD5, "
				"qop=\"auth\"\r\n",
				nonce);
		}
	} else if (span_starts_case(request, SPAN("OPTIONS "))) {
		write_answer(&out, request, "200 OK");
	} else {
		return;
	}
	writer_text(&out, "Content-Length: 0\r\n\r\n");
	sendto(registrar_socket, text, out.len, 0, (const struct sockaddr *)from, sizeof(*from));
}

/* --- a phone -------------------------------------------------------------------------------------------------------------- */

static struct in_addr host_of(unsigned number)
{
	return (struct in_addr){ htonl(HOST_FIRST + number / options.per_host) };
}

static void phone_put(unsigned number, struct span text)
{
	struct iovec part = { (void *)(uintptr_t)text.p, text.n };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)),
			      .cmsg_level = IPPROTO_IP,
			      .cmsg_type = IP_PKTINFO } };
	struct in_pktinfo source = { .ipi_spec_dst = host_of(number) };
	struct msghdr message = { .msg_name = &server,
		.msg_namelen = sizeof(server),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &source, sizeof(source));
	/* What does not fit into the socket is lost as on a line, and repeated. */
	sendmsg(port_socket[number % options.per_host], &message, 0);
}

static void write_credentials(struct writer *out, const struct phone *p, unsigned number)
{
	char user[NAME_MAX_OCTETS], uri[NAME_MAX_OCTETS], count[12], secret[DIGEST_HEX_MAX],
		response[DIGEST_HEX_MAX];
	struct digest_protection protection = { .cnonce = SPAN("0a4f113b") };

	snprintf(user, sizeof(user), "p%u", number);
	snprintf(uri, sizeof(uri), "sip:%s", options.server);
	snprintf(count, sizeof(count), "%08x", p->count);
	protection.count = span_from(count);
	if (digest_secret(DIGEST_MD5, span_from(user), SPAN("pbx"), SPAN("secret"), secret) ||
		digest_response(DIGEST_MD5, span_from(secret), span_from(p->nonce), &protection,
			SPAN("REGISTER"), span_from(uri), response))
		die("digest", 0);
	writer_format(out,
		"Authorization: Digest username=\"%s\", realm=\"pbx\", nonce=\"%s\", uri=\"%s\", "
		"response=\"%s\", "
		"algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=%s\r\n",
		user, p->nonce, uri, response, count);
}

/* The same text each time until cseq changes. */
static void phone_say(unsigned number)
{
	const struct phone *p = &phone[number];
	unsigned port = PORT_FIRST + number % options.per_host;
	char text[TEXT_MAX], host[INET_ADDRSTRLEN];
	struct in_addr address = host_of(number);
	struct writer out;

	inet_ntop(AF_INET, &address, host, sizeof(host));
	writer_init(&out, text, sizeof(text));
	writer_format(&out,
		"REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP "
		"%s:%u;branch=z9hG4bK%u-%u;rport\r\nMax-Forwards: 70\r\n"
		"From: <sip:p%u@%s>;tag=%u\r\nTo: <sip:p%u@%s>\r\nCall-ID: 0_%u-%u@%s\r\nCSeq: %u "
		"REGISTER\r\n"
		"Contact: <sip:p%u@%s:%u>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-%012u>\"\r\n"
		"User-Agent: Yealink SIP-T54W 96.86.0.100\r\nExpires: 3600\r\nAllow-Events: "
		"talk,hold,conference,refer\r\n",
		options.server, host, port, number, p->cseq, number, options.server, p->call, number,
		options.server, number, p->call, host, p->cseq, number, host, port, number);
	if (p->nonce[0])
		write_credentials(&out, p, number);
	writer_text(&out, "Content-Length: 0\r\n\r\n");
	phone_put(number, writer_result(&out));
}

static void phone_ask(unsigned number, uint64_t ns)
{
	struct phone *p = &phone[number];

	p->cseq++;
	p->count++;
	p->repeats = 0;
	p->state = ASKING;
	p->began_ns = ns;
	p->due_ns = ns + T1_NS;
	now.sent++;
	phone_say(number);
}

static void phone_forget(unsigned number)
{
	struct phone *p = &phone[number];

	p->call++;
	p->nonce[0] = '\0';
	p->challenged = false;
}

static void phone_due(unsigned number, uint64_t ns)
{
	struct phone *p = &phone[number];

	if (p->state != ASKING) {
		phone_ask(number, ns);
	} else if (p->repeats == REPEATS) {
		now.unanswered++;
		p->state = WAITING; /* and tries once more */
		p->due_ns = ns + 8 * (uint64_t)T1_NS;
	} else {
		p->repeats++;
		p->due_ns = ns + ((uint64_t)T1_NS << (p->repeats < 3 ? p->repeats : 3));
		now.repeated++;
		phone_say(number);
	}
}

static void phone_registered(struct phone *p, uint64_t ns)
{
	uint64_t slot = (ns - p->began_ns) / LATENCY_NS;

	now.latency[p->challenged][slot < LATENCIES ? slot : LATENCIES - 1]++;
	now.refreshed += !p->challenged;
	now.restarted += p->challenged;
	p->challenged = false;
	p->state = IDLE;
	p->due_ns = 0;
	if (!p->registered) {
		p->registered = true;
		p->back_ns = ns;
		back++;
	}
	if (keeps_refreshing)
		p->due_ns =
			ns +
			(uint64_t)(REFRESH_LEAST_S * 1000 + random_u64() % (REFRESH_SPREAD_S * 1000)) * MS;
}

static void phone_hears(unsigned number, struct span message)
{
	struct phone *p = &phone[number];
	struct span cseq = field(message, "CSeq"), nonce, after;
	uint64_t ns = clock_now_ns(), value;
	uint64_t status;

	if (span_starts_case(message, SPAN("OPTIONS "))) {
		char text[TEXT_MAX];
		struct writer out;

		writer_init(&out, text, sizeof(text));
		write_answer(&out, message, "200 OK");
		writer_text(&out, "Content-Length: 0\r\n\r\n");
		phone_put(number, writer_result(&out));
		return;
	}
	if (message.n < 12 || !span_starts_case(message, SPAN("SIP/2.0 ")) || p->state != ASKING ||
		span_to_uint((struct span){ message.p + 8, 3 }, 699, &status) ||
		span_to_uint(span_cut(&cseq, ' '), UINT32_MAX, &value) || value != p->cseq)
		return;
	nonce = between(field(message, "WWW-Authenticate"), "nonce=\"", '"');
	if (status == 200) {
		phone_registered(p, ns);
	} else if (status == 401 && !p->challenged && nonce.n < sizeof(p->nonce)) {
		memcpy(p->nonce, nonce.p, nonce.n);
		p->nonce[nonce.n] = '\0';
		p->challenged = true;
		p->count = 0;
		phone_ask(number, ns);
	} else {
		now.last_status = (unsigned)status;
		if (p->registered || (status != 503 && status != 429))
			now.failed++;
		else
			now.told_to_wait++;
		after = field(message, "Retry-After");
		if (span_to_uint(after, 86400, &value))
			value = 5;
		p->challenged = false;
		p->nonce[0] = '\0';
		p->state = WAITING;
		p->due_ns = ns + value * 1000 * MS;
	}
}

/* --- all of them ------------------------------------------------------------------------------------------------------------ */

static void receive(unsigned port)
{
	int fd = port == REGISTRAR ? registrar_socket : port_socket[port];
	char text[65536];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct sockaddr_in from;
	struct iovec part = { text, sizeof(text) };
	ssize_t n;

	for (;;) {
		struct msghdr message = { .msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control) };
		struct in_pktinfo to;

		n = recvmsg(fd, &message, MSG_DONTWAIT);
		if (n < 0)
			return;
		if (port == REGISTRAR) {
			struct timespec came;

			/* By the kernel, when it came by the wire: our own turn may be later. */
			memcpy(&came, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(came));
			registrar_hears((struct span){ text, (size_t)n },
				(uint64_t)came.tv_sec * 1000 * MS + (uint64_t)came.tv_nsec, &from);
			continue;
		}
		memcpy(&to, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(to));
		unsigned number = (ntohl(to.ipi_addr.s_addr) - HOST_FIRST) * options.per_host + port;

		if (number < options.phones)
			phone_hears(number, (struct span){ text, (size_t)n });
	}
}

/* What has come, and who is due. True if there is a command. */
static bool live(int wait_ms)
{
	static uint64_t tick_ns;
	struct epoll_event event[64];
	int n = epoll_wait(poller, event, 64, wait_ms);
	uint64_t ns = clock_now_ns();
	bool command = false;

	for (int i = 0; i < n; i++) {
		if (event[i].data.u32 == COMMAND)
			command = true;
		else
			receive(event[i].data.u32);
	}
	if (ns >= tick_ns + TICK_NS) {
		tick_ns = ns;
		for (unsigned i = 0; i < options.phones; i++)
			if (phone[i].due_ns && phone[i].due_ns <= ns)
				phone_due(i, ns);
	}
	return command;
}

static void restart_counters(void)
{
	memset(&now, 0, sizeof(now));
	seen.first = seen.end;
	seen.total = 0;
	seen.most = 0;
}

static double latency_ms(const uint64_t *bins, double share)
{
	uint64_t total = 0, sum = 0;

	for (unsigned i = 0; i < LATENCIES; i++)
		total += bins[i];
	for (unsigned i = 0; i < LATENCIES; i++)
		if (total && (double)(sum += bins[i]) >= share * (double)total)
			return (i + 1) * (double)LATENCY_NS / MS;
	return 0;
}

static void print_report(double seconds)
{
	printf("{\"seconds\": %.2f, \"sent\": %lu, \"repeated\": %lu, \"refreshed\": %lu, \"restarted\": "
	       "%lu, \"failed\": %lu, "
	       "\"unanswered\": %lu, \"told_to_wait\": %lu, \"last_status\": %u, \"registrar_saw\": %lu, "
	       "\"registrar_most\": %u, "
	       "\"back\": %u, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"through_p50_ms\": %.1f, "
	       "\"through_p99_ms\": %.1f",
		seconds, now.sent, now.repeated, now.refreshed, now.restarted, now.failed, now.unanswered,
		now.told_to_wait, now.last_status, seen.total, seen.most, back,
		latency_ms(now.latency[0], 0.5), latency_ms(now.latency[0], 0.99),
		latency_ms(now.latency[1], 0.5), latency_ms(now.latency[1], 0.99));
}

static void end_report(void)
{
	printf("}\n");
	fflush(stdout);
}

static void command_register(double rate)
{
	uint64_t began = clock_now_ns(), ns = began;
	unsigned asked = 0, hosts = options.phones / options.per_host;

	while (back < options.phones && ns < began + 300000ULL * MS) {
		live(1);
		ns = clock_now_ns();
		/* Hosts take turns: no network has an office that begins within 20 ms. */
		for (; asked < options.phones && asked < rate * (double)(ns - began) / 1e9; asked++)
			phone_ask(asked % hosts * options.per_host + asked / hosts, ns);
	}
	print_report((double)(ns - began) / 1e9);
	end_report();
}

static void steady_begin(uint64_t ns)
{
	for (unsigned tried = 0; tried < options.phones; tried++) {
		unsigned number = next_phone;

		next_phone = (next_phone + 1) % options.phones;
		if (phone[number].state != IDLE)
			continue;
		if (++begun % CYCLE == 0)
			phone_forget(number);
		phone_ask(number, ns);
		return;
	}
}

static bool anybody_asks(void)
{
	for (unsigned i = 0; i < options.phones; i++)
		if (phone[i].state == ASKING)
			return true;
	return false;
}

static void command_steady(double rate, double seconds)
{
	uint64_t began = clock_now_ns(), ns = began, ended;
	double starts = rate * CYCLE / (CYCLE + 1);
	unsigned asked = 0;

	while (ns < began + (uint64_t)(seconds * 1e9)) {
		live(1);
		ns = clock_now_ns();
		for (; asked < starts * (double)(ns - began) / 1e9; asked++)
			steady_begin(ns);
	}
	ended = ns;
	while (anybody_asks() && ns < ended + 40000ULL * MS) {
		live(1);
		ns = clock_now_ns();
	}
	print_report((double)(ended - began) / 1e9);
	end_report();
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* How many of a host's phones were back when half of all were: of the host that has fewest, and most. */
static void print_shares(uint64_t began)
{
	unsigned hosts = options.phones / options.per_host, least = options.per_host, most = 0;
	uint64_t *time = calloc(options.phones, sizeof(*time)), half;

	if (!time)
		die("memory", 0);
	for (unsigned i = 0; i < options.phones; i++)
		time[i] = phone[i].registered ? phone[i].back_ns - began : UINT64_MAX;
	qsort(time, options.phones, sizeof(time[0]), compare_times);
	half = time[options.phones / 2];
	free(time);
	for (unsigned h = 0; h < hosts; h++) {
		unsigned share = 0;

		for (unsigned i = h * options.per_host; i < (h + 1) * options.per_host; i++)
			share += phone[i].registered && phone[i].back_ns - began <= half;
		least = share < least ? share : least;
		most = share > most ? share : most;
	}
	printf(", \"share_least\": %u, \"share_most\": %u", least, most);
}

/* When half of a host's phones and when all were back: of the first host and the last. Those who are not back count as now. */
static void print_fairness(uint64_t began, uint64_t ns)
{
	unsigned hosts = options.phones / options.per_host;
	uint64_t half[2] = { UINT64_MAX, 0 }, all[2] = { UINT64_MAX, 0 }, time[PORTS_MAX];

	for (unsigned h = 0; h < hosts; h++) {
		for (unsigned i = 0; i < options.per_host; i++) {
			const struct phone *p = &phone[h * options.per_host + i];

			time[i] = (p->registered ? p->back_ns : ns) - began;
		}
		qsort(time, options.per_host, sizeof(time[0]), compare_times);
		uint64_t middle = time[options.per_host / 2], last = time[options.per_host - 1];

		half[0] = middle < half[0] ? middle : half[0];
		half[1] = middle > half[1] ? middle : half[1];
		all[0] = last < all[0] ? last : all[0];
		all[1] = last > all[1] ? last : all[1];
	}
	printf(", \"hosts\": %u, \"half_first_s\": %.1f, \"half_last_s\": %.1f, \"all_first_s\": %.1f, "
	       "\"all_last_s\": %.1f",
		hosts, (double)half[0] / 1e9, (double)half[1] / 1e9, (double)all[0] / 1e9,
		(double)all[1] / 1e9);
}

static void command_avalanche(double seconds)
{
	uint64_t began = clock_now_ns(), ns = began;

	back = 0;
	keeps_refreshing = true;
	for (unsigned i = 0; i < options.phones; i++) {
		phone_forget(i);
		phone[i].registered = false;
		phone_ask(i, clock_now_ns());
		if (i % 64 == 63)
			live(0);
	}
	while (back < options.phones && ns < began + (uint64_t)(seconds * 1e9)) {
		live(1);
		ns = clock_now_ns();
	}
	print_report((double)(ns - began) / 1e9);
	print_fairness(began, ns);
	print_shares(began);
	end_report();
}

static void obey(char *line)
{
	double a = 0, b = 0;

	restart_counters();
	if (sscanf(line, "register %lf", &a) == 1)
		command_register(a);
	else if (sscanf(line, "steady %lf %lf", &a, &b) == 2)
		command_steady(a, b);
	else if (sscanf(line, "avalanche %lf", &a) == 1)
		command_avalanche(a);
	else
		die(line, EINVAL);
}

/* --- making ------------------------------------------------------------------------------------------------------------------- */

static void enter(const char *namespace)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		die(path, errno);
	close(fd);
}

static void watch(int fd, uint32_t mark)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = mark };

	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll", errno);
}

static int open_socket(const char *address, unsigned port, uint32_t mark)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = SOCKET_BYTES, on = 1;

	if (fd < 0 || inet_pton(AF_INET, address, &own.sin_addr) != 1 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0 ||
		(mark == REGISTRAR ? setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on))
				   : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on))) != 0 ||
		bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0)
		die("socket", errno);
	watch(fd, mark);
	return fd;
}

static void parse_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "P:R:n:h:s:r:")) != -1) {
		switch (option) {
		case 'P':
			options.phones_in = optarg;
			break;
		case 'R':
			options.registrar_in = optarg;
			break;
		case 'n':
			options.phones = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'h':
			options.per_host = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			options.server = optarg;
			break;
		case 'r':
			options.registrar = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (!options.phones_in || !options.registrar_in || !options.server || !options.registrar ||
		!options.phones || !options.per_host || options.per_host > PORTS_MAX ||
		options.phones % options.per_host)
		die("options are missing: see the top of phones.c", 0);
}

int main(int argc, char **argv)
{
	char line[128];

	parse_options(argc, argv);
	phone = calloc(options.phones, sizeof(*phone));
	poller = epoll_create1(EPOLL_CLOEXEC);
	server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(SIP_PORT) };
	if (!phone || poller < 0 || inet_pton(AF_INET, options.server, &server.sin_addr) != 1)
		die("beginning", errno);
	enter(options.phones_in);
	for (unsigned port = 0; port < options.per_host; port++)
		port_socket[port] = open_socket("0.0.0.0", PORT_FIRST + port, port);
	enter(options.registrar_in);
	registrar_socket = open_socket(options.registrar, SIP_PORT, REGISTRAR);
	watch(STDIN_FILENO, COMMAND);
	puts("{}");
	fflush(stdout);
	for (;;)
		if (live(10)) {
			if (!fgets(line, sizeof(line), stdin))
				return 0;
			obey(line);
		}
}
