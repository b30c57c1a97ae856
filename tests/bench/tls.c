/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS of a shard against a bare OpenSSL loop: processor time of a handshake of the server, and memory of connections that are held idle.
 * tls HANDSHAKES CONNECTIONS: both servers take the same handshakes (TLS 1.3, ECDSA P-256) over the loopback from a process of their own. */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "controlplane/shard_internal.h"
#include "controlplane/transport_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "tests/unit/controlplane/tls_fixture.h"

enum { BACKLOG = 1024 };

static struct tls_fixture fixture;
static struct config_network_interface network = { .name = (char[]){ "bench" } };
static struct config_realm realm = { .network_interface = &network };
static struct config_endpoint endpoint = { .transport = CONFIG_TRANSPORT_TLS };
static struct shard_private private = { .no_device = true };
static struct shard shard = { .count = 1, .config = &fixture.config, .private = &private };

static double processor_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long size = 0, pages = 0;

	tls_fixture_require(file && fscanf(file, "%lu %lu", &size, &pages) == 2);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* --- the peer ----------------------------------------------------------------------------------------------------------- */

static SSL *client(SSL_CTX *ctx, const union address *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	SSL *ssl = SSL_new(ctx);

	tls_fixture_require(fd >= 0 && connect(fd, &to->sa, address_length(to)) == 0);
	SSL_set_fd(ssl, fd);
	tls_fixture_require(SSL_connect(ssl) == 1);
	return ssl;
}

/* `count` handshakes one after another; held, or ended at once. */
static pid_t peer_start(const union address *to, unsigned count, bool hold)
{
	pid_t pid = fork();
	SSL_CTX *ctx;

	if (pid)
		return pid;
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set1_groups_list(ctx, "X25519");
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	for (unsigned i = 0; i < count; i++) {
		SSL *ssl = client(ctx, to);

		if (hold)
			continue;
		close(SSL_get_fd(ssl));
		SSL_free(ssl);
	}
	if (hold)
		pause();
	_exit(0);
}

/* --- the bare loop ------------------------------------------------------------------------------------------------------ */

static double bare(unsigned count)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	union address at;
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	double began;
	pid_t peer;

	address_parse_host(SPAN("127.0.0.1"), &at);
	tls_fixture_require(bind(fd, &at.sa, address_length(&at)) == 0 && listen(fd, BACKLOG) == 0);
	getsockname(fd, &at.sa, &length);
	SSL_CTX_use_certificate_file(ctx, fixture.certificate, SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(ctx, fixture.key, SSL_FILETYPE_PEM);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	peer = peer_start(&at, count, false);
	began = processor_seconds();
	for (unsigned i = 0; i < count; i++) {
		int taken = accept(fd, NULL, NULL);
		SSL *ssl = SSL_new(ctx);

		SSL_set_fd(ssl, taken);
		tls_fixture_require(SSL_accept(ssl) == 1);
		SSL_free(ssl);
		close(taken);
	}
	began = processor_seconds() - began;
	waitpid(peer, NULL, 0);
	close(fd);
	SSL_CTX_free(ctx);
	return count / began;
}

/* --- the shard ---------------------------------------------------------------------------------------------------------- */

static uint64_t counter(enum cp_counter id)
{
	return shard.counter[id];
}

static void turn(void)
{
	uv_run(&shard.loop, UV_RUN_ONCE);
	timer_wheel_advance(shard.timers, clock_now_ms());
}

static void shard_begin(unsigned connections)
{
	socklen_t length = sizeof(endpoint.address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address_parse_host(SPAN("127.0.0.1"), &endpoint.address);
	tls_fixture_require(bind(fd, &endpoint.address.sa, address_length(&endpoint.address)) == 0);
	getsockname(fd, &endpoint.address.sa, &length);
	close(fd);
	fixture.interface.realm = &realm;
	fixture.interface.listen = &endpoint;
	fixture.interface.listen_count = 1;
	fixture.config.sip_interfaces = &fixture.interface;
	fixture.config.sip_interfaces_count = 1;
	fixture.config.sip.tls_handshake_rate = 0;
	fixture.config.sip.max_message_udp = 16384;
	fixture.config.sip.t1_ms = 500;
	fixture.config.sip.stream_max_connections = fixture.config.sip.stream_max_per_source =
		connections + 100;
	fixture.config.sip.stream_idle_timeout = fixture.config.sip.stream_first_byte_timeout = 3600;
	fixture.config.sip.stream_message_timeout = 3600;
	fixture.config.sip.stream_memory = 1 << 26;
	shard.shared.tls = tls_fixture_open(&fixture);
	uv_loop_init(&shard.loop);
	shard.timers = timer_wheel_new(clock_now_ms());
	timer_wheel_set_clock(shard.timers, clock_now_ms);
	tls_fixture_require(transport_open(&shard) == 0);
}

static double ours(unsigned count)
{
	pid_t peer = peer_start(&endpoint.address, count, false);
	double began = processor_seconds();

	while (counter(CP_COUNTER_STREAM_CLOSED) < count)
		turn();
	began = processor_seconds() - began;
	waitpid(peer, NULL, 0);
	tls_fixture_require(counter(CP_COUNTER_TLS_DONE) == count);
	return count / began;
}

static double memory(unsigned count)
{
	uint64_t before = counter(CP_COUNTER_TLS_DONE);
	size_t empty = resident();
	pid_t peer = peer_start(&endpoint.address, count, true);
	double each;

	while (counter(CP_COUNTER_TLS_DONE) < before + count)
		turn();
	each = (double)(resident() - empty) / count;
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
	return each;
}

int main(int argc, char **argv)
{
	unsigned handshakes = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5000;
	unsigned connections = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10000;
	struct rlimit files = { connections + 1000, connections + 1000 };
	double of_bare, of_ours, octets;

	log_set_level(LOG_LEVEL_ERROR);
	setrlimit(RLIMIT_NOFILE, &files);
	tls_fixture_init(&fixture);
	/* The pins are for tests of clients' certificates. */
	fixture.profile.pins.count = 0;
	fixture.profile.session_tickets = false;
	of_bare = bare(handshakes);
	shard_begin(connections);
	of_ours = ours(handshakes);
	octets = memory(connections);
	printf("{\"bare\": %.0f, \"ours\": %.0f, \"octets\": %.0f}\n", of_bare, of_ours, octets);
	tls_fixture_fini(&fixture);
	return 0;
}
