/* SPDX-License-Identifier: BSD-3-Clause */
/* Callers and callees for the calls benchmark, light enough to leave the system under test the slower side.
 *
 * usage: sipload callee ADDRESS
 *        sipload caller ADDRESS SERVER CALLS-PER-SECOND CALLS
 * A call is INVITE with an offer, 180, 200 with an answer, ACK, BYE at once, 200; over UDP, all on port 5060. What has no
 * answer is repeated after 0.5, 1, 2 and 4 s (RFC 3261 section 17.1), the 200 to INVITE too (section 13.3.1.4); a call that
 * is not over after 8 s has failed. The caller prints {"complete", "failed", "repeated", "status" (of the last failure), "seconds"}. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "platforms/base/address.h"
#include "platforms/base/clock.h"

enum {
	MESSAGE_MAX = 2048,
	ROUTES_MAX = 8,
	REPEATS = 4, /* of 500 ms, doubled each time */
	CALLEE_SLOTS = 1 << 16, /* calls whose 200 has no ACK yet */
	BURST = 32,
	SOCKET_BUFFER = 8 << 20
};

static const char offer[] =
	"v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n"
	"a=rtpmap:8 PCMA/8000\r\n";

static void die(const char *what)
{
	fprintf(stderr, "sipload: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- what is repeated: one queue per interval, each in the order of its deadlines ----------------------------------- */

struct repeat {
	struct repeat *next;
	uint64_t due_us;
	uint32_t call, step; /* the step of the call it belongs to: another one makes it void */
};

static struct repeat_queue {
	struct repeat *first, *last;
} queues[REPEATS + 1];

static void repeat_later(uint32_t call, uint32_t step, unsigned tries)
{
	struct repeat *repeat = malloc(sizeof(*repeat));
	struct repeat_queue *queue = &queues[tries];

	if (repeat == NULL)
		die("memory");
	*repeat = (struct repeat){
		.due_us = clock_now_us() + (500000ULL << tries), .call = call, .step = step
	};
	if (queue->first == NULL)
		queue->first = repeat;
	else
		queue->last->next = repeat;
	queue->last = repeat;
}

/* Calls `act` for everything that is due. */
static void repeats_run(void (*act)(uint32_t call, uint32_t step, unsigned tries))
{
	uint64_t now = clock_now_us();

	for (unsigned tries = 0; tries <= REPEATS; tries++)
		while (queues[tries].first != NULL && queues[tries].first->due_us <= now) {
			struct repeat *repeat = queues[tries].first;

			queues[tries].first = repeat->next;
			act(repeat->call, repeat->step, tries);
			free(repeat);
		}
}

/* --- messages -------------------------------------------------------------------------------------------------------- */

/* The index-th line that begins with `name` and a colon, without them; empty if there is none. */
static struct span header(struct span message, const char *name, unsigned index)
{
	struct span wanted = span_from(name);

	while (message.n > 0) {
		struct span line = span_cut(&message, '\n');

		if (line.n <= 1)
			break;
		if (line.n > wanted.n && line.p[wanted.n] == ':' && span_starts_case(line, wanted) &&
			index-- == 0)
			return span_trim((struct span){ line.p + wanted.n + 1, line.n - wanted.n - 1 });
	}
	return (struct span){ "", 0 };
}

/* What stands between the angle brackets. */
static struct span uri(struct span value)
{
	(void)span_cut(&value, '<');
	return value.p != NULL ? span_cut(&value, '>') : (struct span){ "", 0 };
}

static int open_socket(const char *host, union address *ours)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = SOCKET_BUFFER;

	if (fd < 0 || address_parse(span_from(host), 5060, ours) != 0)
		die(host);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, &ours->sa, address_length(ours)) != 0)
		die(host);
	return fd;
}

/* Takes what has come, waiting at most `wait_ms` for the first; calls `each` with a message that has a NUL behind it. */
static void receive(int fd, int wait_ms, void (*each)(int fd, struct span message, const union address *from))
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char text[MESSAGE_MAX];

	if (poll(&ready, 1, wait_ms) <= 0)
		return;
	for (unsigned i = 0; i < BURST; i++) {
		union address from = { 0 };
		socklen_t length = sizeof(from);
		ssize_t n = recvfrom(fd, text, sizeof(text) - 1, MSG_DONTWAIT, &from.sa, &length);

		if (n < 0)
			return;
		text[n] = '\0';
		each(fd, (struct span){ text, (size_t)n }, &from);
	}
}

/* --- callee ---------------------------------------------------------------------------------------------------------- */

static struct answered {
	union address to;
	uint32_t step;
	bool waiting;
	size_t length, id_length;
	char id[128], text[MESSAGE_MAX];
} * answers;

static int callee_fd;
static char callee_host[ADDRESS_TEXT_MAX];

static void send_answer(const struct answered *answer)
{
	(void)sendto(callee_fd, answer->text, answer->length, 0, &answer->to.sa, address_length(&answer->to));
}

static void repeat_answer(uint32_t slot, uint32_t step, unsigned tries)
{
	if (!answers[slot].waiting || answers[slot].step != step)
		return;
	send_answer(&answers[slot]);
	if (tries < REPEATS)
		repeat_later(slot, step, tries + 1);
}

/* A response with the headers it has to repeat; `with` may add more, and a body. */
static void write_response(struct writer *w, struct span request, const char *status, bool in_dialog)
{
	static const char *const copied[] = { "Via", "Record-Route" };

	writer_format(w, "SIP/2.0 %s\r\n", status);
	for (unsigned name = 0; name < 2; name++)
		for (unsigned i = 0; i < ROUTES_MAX; i++) {
			struct span value = header(request, copied[name], i);

			if (value.n == 0)
				break;
			writer_format(w, "%s: %.*s\r\n", copied[name], SPAN_FMT(value));
		}
	writer_format(w, "From: %.*s\r\nTo: %.*s%s\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\n",
		SPAN_FMT(header(request, "From", 0)), SPAN_FMT(header(request, "To", 0)),
		in_dialog ? "" : ";tag=callee", SPAN_FMT(header(request, "Call-ID", 0)),
		SPAN_FMT(header(request, "CSeq", 0)));
}

static uint32_t slot_of(struct span id)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < id.n; i++)
		hash = (hash ^ (uint8_t)id.p[i]) * 16777619U;
	return hash % CALLEE_SLOTS;
}

static void take_invite(int fd, struct span request, struct span id, const union address *from)
{
	struct answered *answer = &answers[slot_of(id)];
	char text[MESSAGE_MAX], body[512];
	int n = snprintf(body, sizeof(body), offer, callee_host, callee_host);
	struct writer w;

	writer_init(&w, text, sizeof(text));
	write_response(&w, request, "180 Ringing", false);
	writer_format(&w, "Contact: <sip:%s:5060>\r\nContent-Length: 0\r\n\r\n", callee_host);
	(void)sendto(fd, text, w.len, 0, &from->sa, address_length(from));

	writer_init(&w, answer->text, sizeof(answer->text));
	write_response(&w, request, "200 OK", false);
	writer_format(&w,
		"Contact: <sip:%s:5060>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		callee_host, n, body);
	answer->length = w.len;
	answer->to = *from;
	answer->waiting = true;
	answer->id_length = id.n < sizeof(answer->id) ? id.n : sizeof(answer->id);
	memcpy(answer->id, id.p, answer->id_length);
	answer->step++;
	send_answer(answer);
	repeat_later(slot_of(id), answer->step, 0);
}

static void take_request(int fd, struct span request, const union address *from)
{
	struct span id = header(request, "Call-ID", 0);
	char text[MESSAGE_MAX];
	struct writer w;

	if (span_starts_case(request, SPAN("INVITE "))) {
		take_invite(fd, request, id, from);
	} else if (span_starts_case(request, SPAN("ACK "))) {
		struct answered *answer = &answers[slot_of(id)];

		if (answer->id_length == id.n && memcmp(answer->id, id.p, id.n) == 0)
			answer->waiting = false;
	} else {
		writer_init(&w, text, sizeof(text));
		write_response(&w, request, "200 OK", true);
		writer_text(&w, "Content-Length: 0\r\n\r\n");
		(void)sendto(fd, text, w.len, 0, &from->sa, address_length(from));
	}
}

_Noreturn static void run_callee(const char *host)
{
	union address ours;

	callee_fd = open_socket(host, &ours);
	(void)address_print_host(&ours, callee_host);
	answers = calloc(CALLEE_SLOTS, sizeof(*answers));
	if (answers == NULL)
		die("memory");
	for (;;) {
		receive(callee_fd, 10, take_request);
		repeats_run(repeat_answer);
	}
}

/* --- caller ---------------------------------------------------------------------------------------------------------- */

enum { CALL_INVITED = 1, CALL_PROCEEDING, CALL_ENDING, CALL_OVER };

static struct call {
	uint32_t step; /* CALL_... */
	uint16_t ack_length, bye_length;
	char *ack, *bye; /* once answered */
} * calls;

static struct {
	int fd;
	union address server;
	char host[ADDRESS_TEXT_MAX], server_host[ADDRESS_TEXT_MAX];
	uint64_t count;
	uint64_t run; /* makes Call-IDs of one run differ from another's */
	uint32_t complete, failed, repeated;
	uint64_t status; /* of the last call that failed; 408 for none within the time */
} caller;

static void caller_send(const char *text, size_t length)
{
	(void)sendto(caller.fd, text, length, 0, &caller.server.sa, address_length(&caller.server));
}

static void write_common(
	struct writer *w, uint32_t number, const char *branch, const char *method, unsigned cseq)
{
	writer_format(w,
		"Via: SIP/2.0/UDP %s:5060;branch=z9hG4bK%llx.%u.%s\r\nFrom: <sip:100@%s>;tag=%u\r\n"
		"Call-ID: %llx.%u\r\nCSeq: %u %s\r\nMax-Forwards: 70\r\n",
		caller.host, (unsigned long long)caller.run, number, branch, caller.host, number,
		(unsigned long long)caller.run, number, cseq, method);
}

static void send_invite(uint32_t number)
{
	char text[MESSAGE_MAX], body[512];
	int n = snprintf(body, sizeof(body), offer, caller.host, caller.host);
	struct writer w;

	writer_init(&w, text, sizeof(text));
	writer_format(&w, "INVITE sip:200@%s:5060 SIP/2.0\r\n", caller.server_host);
	write_common(&w, number, "INVITE", "INVITE", 1);
	writer_format(&w,
		"To: <sip:200@%s:5060>\r\nContact: <sip:100@%s:5060>\r\nContent-Type: "
		"application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		caller.server_host, caller.host, n, body);
	caller_send(text, w.len);
}

/* A request inside the dialog that a 200 made, on the heap. */
static char *write_request(
	uint32_t number, const char *method, unsigned cseq, struct span answer, uint16_t *length)
{
	char text[MESSAGE_MAX];
	struct span routes[ROUTES_MAX];
	unsigned count = 0;
	struct writer w;

	writer_init(&w, text, sizeof(text));
	writer_format(&w, "%s %.*s SIP/2.0\r\n", method, SPAN_FMT(uri(header(answer, "Contact", 0))));
	write_common(&w, number, method, method, cseq);
	while (count < ROUTES_MAX && (routes[count] = header(answer, "Record-Route", count)).n > 0)
		count++;
	/* The route set is the Record-Route backwards (RFC 3261 section 12.1.2). A list in one line is turned around whole only
	 * by peers that write one line per route, as ours do. */
	while (count-- > 0)
		writer_format(&w, "Route: %.*s\r\n", SPAN_FMT(routes[count]));
	writer_format(&w, "To: %.*s\r\nContent-Length: 0\r\n\r\n", SPAN_FMT(header(answer, "To", 0)));
	*length = (uint16_t)w.len;
	return span_dup(writer_result(&w));
}

static void repeat_request(uint32_t number, uint32_t step, unsigned tries)
{
	struct call *call = &calls[number];

	if (call->step == CALL_OVER || (call->step != step && tries < REPEATS))
		return;
	if (tries == REPEATS) {
		caller.failed++;
		caller.status = 408;
		call->step = CALL_OVER;
		return;
	}
	/* A call that rings is waited for, not asked again. */
	if (step == CALL_INVITED)
		send_invite(number);
	else if (step == CALL_ENDING)
		caller_send(call->bye, call->bye_length);
	caller.repeated++;
	repeat_later(number, step, tries + 1);
}

static void call_begin(uint32_t number)
{
	calls[number].step = CALL_INVITED;
	send_invite(number);
	repeat_later(number, CALL_INVITED, 0);
	repeat_later(number, CALL_INVITED, REPEATS); /* 8 s: the end of it whatever has happened */
}

static void call_answered(struct call *call, uint32_t number, struct span answer)
{
	if (call->step == CALL_INVITED || call->step == CALL_PROCEEDING) {
		call->ack = write_request(number, "ACK", 1, answer, &call->ack_length);
		call->bye = write_request(number, "BYE", 2, answer, &call->bye_length);
		if (call->ack == NULL || call->bye == NULL)
			die("memory");
		call->step = CALL_ENDING;
		caller_send(call->ack, call->ack_length);
		caller_send(call->bye, call->bye_length);
		repeat_later(number, CALL_ENDING, 0);
	} else if (call->ack != NULL) {
		caller_send(call->ack, call->ack_length);
	}
}

/* A failed INVITE's ACK belongs to its transaction (RFC 3261 section 17.1.1.3). */
static void acknowledge_failure(uint32_t number, struct span answer)
{
	char text[MESSAGE_MAX];
	struct writer w;

	writer_init(&w, text, sizeof(text));
	writer_format(&w, "ACK sip:200@%s:5060 SIP/2.0\r\n", caller.server_host);
	write_common(&w, number, "INVITE", "ACK", 1);
	writer_format(&w, "To: %.*s\r\nContent-Length: 0\r\n\r\n", SPAN_FMT(header(answer, "To", 0)));
	caller_send(text, w.len);
}

static void take_response(int fd, struct span message, const union address *from)
{
	struct span tag = header(message, "From", 0), cseq = header(message, "CSeq", 0);
	uint64_t number, status;
	struct call *call;

	(void)fd;
	(void)from;
	/* From comes back as it was sent; its tag is the call's number. */
	while (tag.p != NULL && !span_starts_case(tag, SPAN("tag=")))
		(void)span_cut(&tag, ';');
	if (tag.p == NULL || message.n < 12 ||
		span_to_uint((struct span){ tag.p + 4, tag.n - 4 }, caller.count - 1, &number) != 0 ||
		span_to_uint((struct span){ message.p + 8, 3 }, 999, &status) != 0)
		return;
	call = &calls[number];
	if (call->step == 0 || cseq.n == 0)
		return;
	if (status >= 300 && cseq.p[0] == '1')
		acknowledge_failure((uint32_t)number, message);
	if (status < 200) {
		if (call->step == CALL_INVITED)
			call->step = CALL_PROCEEDING;
	} else if (status == 200 && cseq.p[0] == '1') {
		call_answered(call, (uint32_t)number, message);
	} else if (call->step != CALL_OVER) {
		caller.complete += status == 200;
		caller.failed += status != 200;
		caller.status = status != 200 ? status : caller.status;
		call->step = CALL_OVER;
	}
}

static int run_caller(char **argv)
{
	union address ours;
	uint64_t rate, begun = 0, began;

	if (address_parse(span_from(argv[1]), 5060, &caller.server) != 0 ||
		span_to_uint(span_from(argv[2]), 1000000, &rate) != 0 || rate == 0 ||
		span_to_uint(span_from(argv[3]), 10000000, &caller.count) != 0 || caller.count == 0) {
		fputs("sipload: caller ADDRESS SERVER CALLS-PER-SECOND CALLS\n", stderr);
		return 2;
	}
	caller.fd = open_socket(argv[0], &ours);
	(void)address_print_host(&ours, caller.host);
	(void)address_print_host(&caller.server, caller.server_host);
	calls = calloc(caller.count, sizeof(*calls));
	if (calls == NULL)
		die("memory");
	began = caller.run = clock_now_us();
	while (caller.complete + caller.failed < caller.count) {
		while (begun < caller.count && begun < (clock_now_us() - began) * rate / 1000000)
			call_begin((uint32_t)begun++);
		receive(caller.fd, 1, take_response);
		repeats_run(repeat_request);
	}
	printf("{\"complete\": %u, \"failed\": %u, \"repeated\": %u, \"status\": %u, \"seconds\": %.3f}\n",
		caller.complete, caller.failed, caller.repeated, (unsigned)caller.status,
		(double)(clock_now_us() - began) / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "callee") == 0)
		run_callee(argv[2]);
	if (argc == 6 && strcmp(argv[1], "caller") == 0)
		return run_caller(argv + 2);
	fputs("usage: see the top of sipload.c\n", stderr);
	return 2;
}
