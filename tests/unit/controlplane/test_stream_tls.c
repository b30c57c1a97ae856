/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS connections of a shard on real sockets: handshakes by turns, who gives way, who is refused, and a request and its answer. */
#include "tests/unit/controlplane/sip_fixture.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/stream_internal.h"
#include "tests/unit/controlplane/shard_fixture.h"
#include "tests/unit/controlplane/tls_fixture.h"

struct world {
	struct tls_fixture tls;
	struct config_network_interface network;
	struct config_realm realm;
	struct config_endpoint endpoint;
	struct shard shard;
	struct shard_private private;
	SSL_CTX *client;
};

static void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard, (void)request;
	assert_int_equal(transaction_reply(tr, 200, SPAN("t"), (struct span){ NULL, 0 }), 0);
}

static const struct transaction_core core = { .request = on_request };

static void configure(struct world *w)
{
	static char mirror[] = "no-such";
	struct config *config = &w->tls.config;
	unsigned rate = config->sip.tls_handshake_rate;

	config->sip = (struct config_sip){
		SIP_TIMERS,
		SIP_MESSAGE_LIMITS,
		.shards = 1,
		.max_transactions = 1000,
		STREAM_LIMITS,
		.tls_handshake_rate = rate,
		.tls_handshake_bytes = 65536,
		.tls_handshake_timeout_ms = 100000,
		.tls_max_handshakes = 1000,
	};
	w->network.name = mirror;
	w->realm.network_interface = &w->network;
	w->tls.interface.realm = &w->realm;
	w->tls.interface.listen = &w->endpoint;
	w->tls.interface.listen_count = 1;
	shard_fixture_port(&w->endpoint, "127.0.0.1", CONFIG_TRANSPORT_TLS);
	config->sip_interfaces = &w->tls.interface;
	config->sip_interfaces_count = 1;
	config->session_agents_count = 0;
	w->tls.profile.pins.count = 0;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	tls_fixture_init(&w->tls);
	configure(w);
	shard_fixture_open(&w->shard, &w->private, &w->tls.config);
	w->shard.shared.tls = tls_fixture_open(&w->tls);
	assert_int_equal(transport_open(&w->shard), 0);
	assert_int_equal(transaction_layer_open(&w->shard, &core), 0);
	w->client = SSL_CTX_new(TLS_client_method());
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	shard_fixture_close(&w->shard);
	tls_free(w->shard.shared.tls);
	SSL_CTX_free(w->client);
	tls_fixture_fini(&w->tls);
	free(w);
	return 0;
}

static uint64_t counter(const struct world *w, enum cp_counter id)
{
	return w->shard.counter[id];
}

static void turn(struct world *w)
{
	shard_fixture_turn(&w->shard);
}

/* Connected; its hello is on its way. */
static SSL *client(const struct world *w)
{
	SSL *ssl = SSL_new(w->client);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, &w->endpoint.address.sa, address_length(&w->endpoint.address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), -1);
	return ssl;
}

static void client_free(SSL *ssl)
{
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
}

/* Until the handshake is done, or the other end has closed. */
static bool shake(struct world *w, SSL *ssl)
{
	for (;;) {
		int result = SSL_connect(ssl);

		if (result == 1)
			return true;
		if (SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
			return false;
		turn(w);
	}
}

static void test_a_round_of_the_loop_has_one_operation_at_most(void **state)
{
	enum { CLIENTS = 12 };
	struct world *w = *state;
	SSL *ssl[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++)
		ssl[i] = client(w);
	for (unsigned left = CLIENTS; left;) {
		uint64_t before = counter(w, CP_COUNTER_TLS_DONE);

		turn(w);
		assert_true(counter(w, CP_COUNTER_TLS_DONE) <= before + 1);
		left = 0;
		for (unsigned i = 0; i < CLIENTS; i++)
			left += !SSL_is_init_finished(ssl[i]) && SSL_connect(ssl[i]) != 1;
	}
	while (counter(w, CP_COUNTER_TLS_DONE) < CLIENTS)
		turn(w);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_free(ssl[i]);
}

static void test_a_request_is_answered(void **state)
{
	static const char request[] =
		"OPTIONS sip:host SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1\r\nFrom: "
		"<sip:a@h>;tag=1\r\n"
		"To: <sip:host>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
	struct world *w = *state;
	SSL *ssl = client(w);
	char answer[1024];
	int n;

	assert_true(shake(w, ssl));
	assert_int_equal(SSL_write(ssl, request, sizeof(request) - 1), sizeof(request) - 1);
	while ((n = SSL_read(ssl, answer, sizeof(answer) - 1)) <= 0)
		turn(w);
	answer[n] = '\0';
	assert_memory_equal(answer, "SIP/2.0 200 ", 12);
	assert_non_null(strstr(answer, "Via: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1"));
	client_free(ssl);
}

static void test_the_oldest_strangers_handshake_gives_way(void **state)
{
	struct world *w = *state;
	SSL *first, *second;

	w->tls.config.sip.tls_max_handshakes = 1;
	first = client(w);
	/* Its hello has been answered; it says no more. */
	while (SSL_get_error(first, SSL_connect(first)) == SSL_ERROR_WANT_READ &&
		!SSL_is_init_finished(first) && counter(w, CP_COUNTER_STREAM_OPENED) == 0)
		turn(w);
	for (unsigned i = 0; i < 10; i++)
		turn(w);
	second = client(w);
	assert_true(shake(w, second));
	while (counter(w, CP_COUNTER_TLS_DONE) == 0)
		turn(w);
	assert_int_equal(counter(w, CP_COUNTER_TLS_GAVE_WAY), 1);
	client_free(first);
	client_free(second);
}

static void test_who_takes_too_long_is_turned_out(void **state)
{
	struct world *w = *state;
	SSL *ssl;

	w->tls.config.sip.tls_handshake_timeout_ms = 0;
	ssl = client(w);
	while (counter(w, CP_COUNTER_TLS_TIMED_OUT) == 0)
		turn(w);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_CLOSED), 1);
	client_free(ssl);
}

static void test_a_source_over_its_rate_is_closed_at_once(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 40; i++) {
		SSL *ssl = client(w);

		turn(w);
		client_free(ssl);
	}
	while (counter(w, CP_COUNTER_TLS_OVER_RATE) == 0)
		turn(w);
	assert_true(counter(w, CP_COUNTER_STREAM_OPENED) < 40);
}

static void test_without_certificates_nobody_is_taken(void **state)
{
	struct world *w = *state;
	struct tls *tls = w->shard.shared.tls;
	SSL *ssl;

	w->shard.shared.tls = NULL;
	ssl = client(w);
	while (counter(w, CP_COUNTER_STREAM_REFUSED) == 0)
		turn(w);
	assert_int_equal(counter(w, CP_COUNTER_STREAM_OPENED), 0);
	client_free(ssl);
	w->shard.shared.tls = tls;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_round_of_the_loop_has_one_operation_at_most),
		TEST(test_a_request_is_answered),
		TEST(test_the_oldest_strangers_handshake_gives_way),
		TEST(test_who_takes_too_long_is_turned_out),
		TEST(test_a_source_over_its_rate_is_closed_at_once),
		TEST(test_without_certificates_nobody_is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
