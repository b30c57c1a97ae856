/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes media sessions through the dataplane's own API, and measures how fast that goes.
 *
 * usage: sessions -s DATAPLANE-SOCKET -A REALM -B REALM -a ADDRESS-IN-A -b ADDRESS-IN-B -n SESSIONS [-x OCTETS] [-k SUITE] [-c PAIRS]
 *
 * Each has one stream of RTP; both peers' ports are PORT_FIRST and every second one after it; -x: octets of blob with each; -k: side B
 * has keys of that enum dp_srtp_suite. Prints
 * the dataplane's ports of each session, toward A and toward B, and leaves the sessions there. With -c no ports: PAIRS sessions
 * are made and ended besides, AT_ONCE of them under way at any time; prints {"pairs": N, "seconds": T}. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/client.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "platforms/base/random.h"

enum { PORT_FIRST = 1024, SESSIONS_MAX = 32000, PAIRS_MAX = 100000000, AT_ONCE = 32 };

static struct {
	const char *socket, *realm[2];
	union address peer[2];
	unsigned sessions, pairs, blob, suite;
} options;

struct asking {
	struct sessions *all;
	unsigned number;
};

static struct sessions {
	uv_loop_t loop;
	struct dp_client *client;
	struct asking asking[SESSIONS_MAX + AT_ONCE];
	uint16_t port[SESSIONS_MAX][2]; /* the dataplane's */
	unsigned asked, answered, begun, ended;
	uint64_t began_ns;
} sessions;

static void die(const char *what, int err)
{
	fprintf(stderr, "sessions: %s%s%s\n", what, err != 0 ? ": " : "",
		err != 0 ? strerror(err < 0 ? -err : err) : "");
	exit(1);
}

/* Another one for each session and direction; nobody is to open what is protected with it. */
static struct dp_crypto key_of(unsigned number, uint8_t direction)
{
	static const size_t lengths[DP_SRTP_SUITE_COUNT] = { 0, 30, 30, 46, 46, 28, 44 };
	struct dp_crypto key = { .suite = (uint8_t)options.suite };

	memset(key.key, 0x5a ^ direction, lengths[options.suite]);
	if (options.suite != DP_SRTP_NONE)
		memcpy(key.key, &number, sizeof(number));
	return key;
}

static void ask(struct asking *asking, dp_reply reply)
{
	static uint8_t blob[DP_BLOB_MAX];
	struct dp_session_request request = {
		.owner = DP_OWNERS_MAX - 1, .streams = 1, .blob_length = (uint16_t)options.blob
	};
	struct dp_stream_request *stream = &request.stream[0];

	stream->kind = DP_MEDIA_RTP;
	for (unsigned side = 0; side < 2; side++) {
		union address peer = options.peer[side];

		snprintf(stream->side[side].realm, sizeof(stream->side[side].realm), "%s",
			options.realm[side]);
		stream->side[side].family = 4;
		stream->side[side].latching = DP_LATCHING_FIXED;
		address_set_port(&peer, (uint16_t)(PORT_FIRST + 2 * asking->number));
		dp_address_from(&stream->side[side].rtp, &peer);
	}
	stream->side[1].from = key_of(asking->number, 1);
	stream->side[1].to = key_of(asking->number, 2);
	int err = dp_client_session(asking->all->client, DP_SESSION_CREATE, &request,
		options.blob != 0 ? blob : NULL, reply, asking);

	if (err != 0)
		die("cannot ask for a session", err);
}

static void pair_begun(void *arg, int status, const void *body, size_t length);

static void pair_ended(void *arg, int status, const void *body, size_t length)
{
	struct asking *asking = arg;
	struct sessions *all = asking->all;

	(void)body;
	(void)length;
	if (status != 0)
		die("the dataplane does not end a session", status);
	if (++all->ended == options.pairs)
		uv_stop(&all->loop);
	else if (all->begun < options.pairs) {
		all->begun++;
		ask(asking, pair_begun);
	}
}

static void pair_begun(void *arg, int status, const void *body, size_t length)
{
	struct asking *asking = arg;
	const struct dp_session_reply *reply = body;

	(void)length;
	if (status != 0)
		die("the dataplane refuses a session", status);
	struct dp_session_id id = { reply->session };
	int err = dp_client_request(
		asking->all->client, DP_SESSION_DELETE, &id, sizeof(id), pair_ended, asking);

	if (err != 0)
		die("cannot ask for the end of a session", err);
}

static void begin_pairs(struct sessions *all)
{
	all->began_ns = clock_now_ns();
	for (; all->begun < AT_ONCE && all->begun < options.pairs; all->begun++) {
		struct asking *asking = &all->asking[options.sessions + all->begun];

		*asking = (struct asking){ all, options.sessions + all->begun };
		ask(asking, pair_begun);
	}
}

static void answered(void *arg, int status, const void *body, size_t length)
{
	struct asking *asking = arg;
	struct sessions *all = asking->all;
	const struct dp_session_reply *reply = body;

	(void)length;
	if (status != 0)
		die("the dataplane refuses a session", status);
	for (unsigned side = 0; side < 2; side++)
		all->port[asking->number][side] = reply->local[0][side].port;
	all->answered++;
	if (all->asked < options.sessions) {
		struct asking *next = &all->asking[all->asked];

		*next = (struct asking){ all, all->asked++ };
		ask(next, answered);
	} else if (all->answered == options.sessions) {
		if (options.pairs != 0)
			begin_pairs(all);
		else
			uv_stop(&all->loop);
	}
}

static void up(void *arg, bool fresh)
{
	struct sessions *all = arg;

	(void)fresh;
	while (all->asked < options.sessions && all->asked < AT_ONCE) {
		struct asking *asking = &all->asking[all->asked];

		*asking = (struct asking){ all, all->asked++ };
		ask(asking, answered);
	}
}

static void down(void *arg)
{
	(void)arg;
	die("the dataplane went away", 0);
}

static void parse_host(const char *text, union address *out)
{
	if (address_parse_host(span_from(text), out) != 0 || out->sa.sa_family != AF_INET)
		die(text, EINVAL);
}

static unsigned parse_count(const char *text, unsigned most)
{
	uint64_t value;

	if (span_to_uint(span_from(text), most, &value) != 0 || value == 0)
		die(text, EINVAL);
	return (unsigned)value;
}

static void parse_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "s:A:B:a:b:n:x:c:k:")) != -1) {
		switch (option) {
		case 's':
			options.socket = optarg;
			break;
		case 'A':
		case 'B':
			options.realm[option - 'A'] = optarg;
			break;
		case 'a':
		case 'b':
			parse_host(optarg, &options.peer[option - 'a']);
			break;
		case 'n':
			options.sessions = parse_count(optarg, SESSIONS_MAX);
			break;
		case 'x':
			options.blob = parse_count(optarg, DP_BLOB_MAX);
			break;
		case 'c':
			options.pairs = parse_count(optarg, PAIRS_MAX);
			break;
		case 'k':
			options.suite = parse_count(optarg, DP_SRTP_SUITE_COUNT - 1);
			break;
		default:
			exit(2);
		}
	}
	if (options.socket == NULL || options.realm[0] == NULL || options.realm[1] == NULL ||
		!address_is_set(&options.peer[0]) || !address_is_set(&options.peer[1]) ||
		options.sessions == 0)
		die("options are missing: see the top of sessions.c", 0);
}

int main(int argc, char **argv)
{
	static const struct dp_client_handlers handlers = { .up = up, .down = down };

	log_open("sessions", LOG_LEVEL_WARNING);
	parse_options(argc, argv);
	int err = uv_loop_init(&sessions.loop);

	if (err == 0)
		err = dp_client_new(&sessions.loop, options.socket, "sessions", random_u64(), UINT32_MAX,
			&handlers, &sessions, &sessions.client);
	if (err != 0)
		die("cannot reach the dataplane", err);
	uv_run(&sessions.loop, UV_RUN_DEFAULT);
	double seconds = (double)(clock_now_ns() - sessions.began_ns) / 1e9;

	/* The sessions stay: they are the dataplane's. */
	dp_client_free(sessions.client);
	uv_run(&sessions.loop, UV_RUN_DEFAULT);
	uv_loop_close(&sessions.loop);
	if (options.pairs != 0)
		printf("{\"pairs\": %u, \"seconds\": %.4f}\n", sessions.ended, seconds);
	else
		for (unsigned i = 0; i < options.sessions; i++)
			printf("%u %u\n", sessions.port[i][0], sessions.port[i][1]);
	return 0;
}
