/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS without a network: two sessions on a pair of sockets. What a reload changes, what tickets live through, where limits are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "controlplane/tls_internal.h"
#include "platforms/base/address.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"
#include "tests/unit/controlplane/move_fixture.h"
#include "tests/unit/controlplane/tls_fixture.h"

struct pair {
	int fd[2];
	struct tls_session *server, *client;
};

static int setup(void **state)
{
	struct tls_fixture *f = malloc(sizeof(*f));

	assert_non_null(f);
	alarm(60); /* what never comes must not be waited for */
	log_set_level(LOG_LEVEL_ERROR);
	tls_fixture_init(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	tls_fixture_fini(*state);
	free(*state);
	return 0;
}

static void pair_open(struct pair *pair, struct tls *tls, const struct tls_fixture *f, const char *name)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fd), 0);
	pair->server = tls_accept(tls, &f->interface, pair->fd[0], f->config.sip.tls_handshake_bytes);
	pair->client = tls_connect(tls, &f->profile, name, pair->fd[1], f->config.sip.tls_handshake_bytes);
	assert_non_null(pair->server);
	assert_non_null(pair->client);
}

static void pair_close(struct pair *pair)
{
	tls_session_free(pair->server);
	tls_session_free(pair->client);
	close(pair->fd[0]), close(pair->fd[1]);
}

/* True if both have come to an end of it. */
static bool shake(const struct pair *pair)
{
	enum tls_progress server = TLS_WANTS_READ, client = TLS_WANTS_READ;

	for (unsigned i = 0; i < 10; i++) {
		if (client != TLS_DONE)
			client = tls_handshake(pair->client);
		if (server != TLS_DONE)
			server = tls_handshake(pair->server);
		if (client == TLS_FAILED || server == TLS_FAILED)
			return false;
	}
	return client == TLS_DONE && server == TLS_DONE;
}

static ssize_t take(struct tls_session *session, char *bytes, size_t size)
{
	static char scratch[16384];

	tls_read_begin(session, scratch, sizeof(scratch));
	return tls_read(session, bytes, size);
}

static void says(const struct pair *pair, const char *text)
{
	char bytes[64];

	assert_int_equal(tls_write(pair->client, span_from(text)), strlen(text));
	assert_int_equal(take(pair->server, bytes, sizeof(bytes)), strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

/* --- sessions ----------------------------------------------------------------------------------------------------------- */

static void test_what_is_said_arrives_and_an_end_is_an_end(void **state)
{
	const struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	struct pair pair;
	char bytes[8];

	pair_open(&pair, tls, f, "sbc.example.test");
	assert_true(shake(&pair));
	assert_string_equal(tls_session_version(pair.server), "TLSv1.3");
	assert_non_null(tls_session_certificate(pair.client));
	assert_true(tls_session_is_pinned(pair.client));
	/* With pins a client may show a certificate; ours does. */
	assert_true(tls_session_is_pinned(pair.server));
	says(&pair, "one");
	says(&pair, "two");
	assert_int_equal(take(pair.server, bytes, sizeof(bytes)), 0);
	tls_close_notify(pair.client);
	assert_int_equal(take(pair.server, bytes, sizeof(bytes)), -1);
	assert_int_equal(tls_session_end(pair.server), TLS_END_CLOSED);
	pair_close(&pair);
	tls_free(tls);
}

static void test_a_connection_that_breaks_is_over_without_a_reason(void **state)
{
	const struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	struct pair pair;
	char bytes[8];

	pair_open(&pair, tls, f, NULL);
	assert_true(shake(&pair));
	shutdown(pair.fd[1], SHUT_WR);
	assert_int_equal(take(pair.server, bytes, sizeof(bytes)), -1);
	assert_int_equal(tls_session_end(pair.server), TLS_END_BROKEN);
	assert_int_equal(tls_write(pair.server, SPAN("x")), -1);
	pair_close(&pair);
	tls_free(tls);
}

static void test_a_server_with_another_key_than_pinned_is_refused(void **state)
{
	struct tls_fixture *f = *state;
	struct tls *tls;
	struct pair pair;

	f->pin[0] = f->pin[0] == '0' ? '1' : '0';
	tls = tls_fixture_open(f);
	pair_open(&pair, tls, f, "sbc.example.test");
	assert_false(shake(&pair));
	assert_int_equal(tls_session_end(pair.client), TLS_END_CERTIFICATE);
	assert_string_equal(tls_session_reason(pair.client), "certificate not trusted");
	assert_null(tls_session_certificate(pair.client));
	pair_close(&pair);
	tls_free(tls);
}

/* Whether a server that shows the fixture's certificate is believed for the system's sake. */
static bool is_believed(const struct tls_fixture *f, struct tls *tls)
{
	struct pair pair;
	bool believed;

	pair_open(&pair, tls, f, NULL);
	believed = shake(&pair);
	pair_close(&pair);
	return believed;
}

static void test_the_systems_authorities_are_read_at_the_start_and_no_directory_later(void **state)
{
	struct tls_fixture *f = *state;
	char link[TLS_FIXTURE_NAME_MAX];
	struct tls *tls;
	X509 *certificate;
	FILE *file;

	f->profile.pins.count = 0;
	setenv("SSL_CERT_FILE", f->certificate, 1);
	tls = tls_fixture_open(f);
	unsetenv("SSL_CERT_FILE");
	assert_true(is_believed(f, tls));
	tls_free(tls);
	file = fopen(f->certificate, "r");
	assert_non_null(file);
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	assert_non_null(certificate);
	/* As c_rehash(1) would put it there. */
	snprintf(link, sizeof(link), "%s/%08lx.0", f->directory,
		X509_NAME_hash_ex(X509_get_subject_name(certificate), NULL, NULL, NULL));
	X509_free(certificate);
	assert_int_equal(symlink(f->certificate, link), 0);
	setenv("SSL_CERT_DIR", f->directory, 1);
	tls = tls_fixture_open(f);
	assert_false(is_believed(f, tls));
	unsetenv("SSL_CERT_DIR");
	tls_free(tls);
	unlink(link);
}

static void test_a_handshake_of_too_many_octets_ends(void **state)
{
	struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	struct pair pair;

	f->config.sip.tls_handshake_bytes = 64;
	pair_open(&pair, tls, f, NULL);
	tls_session_free(pair.client);
	pair.client = tls_connect(tls, &f->profile, NULL, pair.fd[1], 65536);
	assert_false(shake(&pair));
	assert_int_equal(tls_session_end(pair.server), TLS_END_BYTES);
	pair_close(&pair);
	tls_free(tls);
}

static void test_a_read_takes_so_much_and_no_more(void **state)
{
	enum { SAID = 60000 };
	const struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	static char text[SAID], bytes[SAID], scratch[16384];
	size_t said = 0, heard = 0;
	struct pair pair;
	ssize_t n;

	pair_open(&pair, tls, f, NULL);
	assert_true(shake(&pair));
	while (said < SAID && (n = tls_write(pair.client, (struct span){ text + said, SAID - said })) > 0)
		said += (size_t)n;
	assert_true(said > 40000);
	while (heard < said) {
		size_t turn = 0;

		tls_read_begin(pair.server, scratch, sizeof(scratch));
		while ((n = tls_read(pair.server, bytes, sizeof(bytes))) > 0)
			turn += (size_t)n;
		assert_int_equal(n, 0);
		/* Octets of an earlier turn may make the record whole. */
		assert_true(turn <= 2 * 16384);
		heard += turn;
	}
	pair_close(&pair);
	tls_free(tls);
}

/* Another's TLS on the client's side, for what ours never says. */
static SSL *stranger(const struct pair *pair, SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_fd(ssl, pair->fd[1]);
	SSL_set_connect_state(ssl);
	for (unsigned i = 0; i < 10; i++) {
		(void)SSL_do_handshake(ssl);
		(void)tls_handshake(pair->server);
	}
	assert_true(SSL_is_init_finished(ssl));
	return ssl;
}

static void test_records_that_say_nothing_are_counted(void **state)
{
	const struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct pair pair;
	char bytes[64];
	SSL *ssl;

	pair_open(&pair, tls, f, NULL);
	ssl = stranger(&pair, ctx);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 16; i++) {
			assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
			assert_int_equal(SSL_do_handshake(ssl), 1);
		}
		assert_int_equal(SSL_write(ssl, "x", 1), 1);
		assert_int_equal(take(pair.server, bytes, sizeof(bytes)), 1);
	}
	for (unsigned i = 0; i < 40; i++) {
		SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		SSL_do_handshake(ssl);
	}
	assert_int_equal(take(pair.server, bytes, sizeof(bytes)), -1);
	assert_int_equal(tls_session_end(pair.server), TLS_END_PROTOCOL);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	pair_close(&pair);
	tls_free(tls);
}

/* --- tickets ------------------------------------------------------------------------------------------------------------ */

static int ring_use(
	struct tls_ring *ring, uint64_t now_ms, unsigned char name[TLS_TICKET_NAME_OCTETS], int encrypt)
{
	EVP_MAC *kind = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(kind);
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	unsigned char iv[EVP_MAX_IV_LENGTH] = { 0 };
	int result = tls_ring_use(ring, now_ms, name, iv, cipher, mac, encrypt);

	EVP_CIPHER_CTX_free(cipher);
	EVP_MAC_CTX_free(mac);
	EVP_MAC_free(kind);
	return result;
}

static void test_a_tickets_key_is_replaced_and_then_forgotten(void **state)
{
	enum { LIFETIME_S = 100, LIFETIME_MS = 100000 };
	struct tls_ring ring = { 0 };
	unsigned char first[TLS_TICKET_NAME_OCTETS], second[TLS_TICKET_NAME_OCTETS],
		unknown[TLS_TICKET_NAME_OCTETS] = { 0 };
	uint64_t now = clock_now_ms();

	(void)state;
	assert_int_equal(tls_ring_init(&ring, LIFETIME_S), 0);
	assert_int_equal(ring_use(&ring, now, first, 1), 1);
	assert_int_equal(ring_use(&ring, now + LIFETIME_MS / 2, first, 0), 1);
	assert_int_equal(ring_use(&ring, now, unknown, 0), 0);
	/* The next key makes tickets; the one before is taken, and who comes with it gets a new ticket. */
	assert_int_equal(ring_use(&ring, now + LIFETIME_MS + 1000, second, 1), 1);
	assert_memory_not_equal(first, second, sizeof(first));
	assert_int_equal(ring_use(&ring, now + LIFETIME_MS + 1000, first, 0), 2);
	assert_int_equal(ring_use(&ring, now + 2 * LIFETIME_MS + 500, first, 0), 0);
	assert_int_equal(ring_use(&ring, now + 2 * LIFETIME_MS + 2000, second, 0), 2);
	/* After a long silence none of the old ones. */
	assert_int_equal(ring_use(&ring, now + 9 * LIFETIME_MS, second, 0), 0);
	tls_ring_fini(&ring);
}

/* --- tickets ------------------------------------------------------------------------------------------------------------ */

enum { FIRST, OPEN, MUTUAL, PROFILES };

/* Of one pair of files: one profile without tickets, one that asks nobody who he is, and one that asks everybody. */
static void three_profiles(struct tls_fixture *f, struct config_tls_profile profile[PROFILES],
	const struct config_tls_profile *others[2])
{
	static char first[] = "first.test", open[] = "open.test", mutual[] = "mutual.test";
	static char *names[PROFILES][1] = { { first }, { open }, { mutual } };

	for (unsigned i = 0; i < PROFILES; i++) {
		profile[i] = f->profile;
		profile[i].name = names[i][0];
		profile[i].server_names = (struct config_strings){ names[i], 1 };
		profile[i].pins.count = i == MUTUAL;
		profile[i].verify_peer = i == MUTUAL;
	}
	others[0] = &profile[OPEN];
	others[1] = &profile[MUTUAL];
	f->config.tls_profiles = profile;
	f->config.tls_profiles_count = PROFILES;
	f->interface.tls_profile = &profile[FIRST];
	f->interface.sni_profiles = others;
	f->interface.sni_profile_count = 2;
}

/* A client without a certificate asks for `name`, with what it was given before. NULL: it is refused. */
static SSL_SESSION *visit(struct tls *tls, const struct tls_fixture *f, SSL_CTX *ctx, const char *name,
	SSL_SESSION *given, bool *resumed)
{
	enum tls_progress progress = TLS_WANTS_READ;
	struct tls_session *server;
	SSL_SESSION *got = NULL;
	SSL *client = SSL_new(ctx);
	int fd[2], done = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	server = tls_accept(tls, &f->interface, fd[0], f->config.sip.tls_handshake_bytes);
	SSL_set_fd(client, fd[1]);
	SSL_set_tlsext_host_name(client, name);
	if (given)
		SSL_set_session(client, given);
	for (unsigned i = 0; i < 10 && progress != TLS_FAILED; i++) {
		done = SSL_connect(client);
		if (progress != TLS_DONE)
			progress = tls_handshake(server);
	}
	if (done == 1 && progress == TLS_DONE) {
		got = SSL_get1_session(client);
		*resumed = tls_session_is_resumed(server);
	}
	tls_session_free(server);
	/* A session that ended badly would not be taken up again. */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	close(fd[0]), close(fd[1]);
	return got;
}

static void test_a_ticket_of_a_profile_that_asks_nobody_is_none_where_everybody_is_asked(void **state)
{
	struct config_tls_profile profile[PROFILES];
	const struct config_tls_profile *others[2];
	struct tls_fixture *f = *state;

	three_profiles(f, profile, others);
	for (unsigned tickets = 0; tickets < 2; tickets++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		SSL_SESSION *given, *again;
		bool resumed = true;
		struct tls *tls;

		/* In TLS 1.2 the ticket comes within the handshake. */
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
		profile[FIRST].session_tickets = tickets;
		tls = tls_fixture_open(f);
		given = visit(tls, f, ctx, "open.test", NULL, &resumed);
		assert_non_null(given);
		assert_false(resumed);
		assert_true(SSL_SESSION_has_ticket(given));
		again = visit(tls, f, ctx, "open.test", given, &resumed);
		assert_non_null(again);
		assert_true(resumed);
		assert_null(visit(tls, f, ctx, "mutual.test", NULL, &resumed));
		assert_null(visit(tls, f, ctx, "mutual.test", given, &resumed));
		SSL_SESSION_free(given);
		SSL_SESSION_free(again);
		SSL_CTX_free(ctx);
		tls_free(tls);
	}
}

/* --- reload ------------------------------------------------------------------------------------------------------------- */

static void expect_reload(struct tls *tls, unsigned changed, unsigned refused, unsigned same)
{
	struct tls_reloaded result;

	tls_reload(tls, &result);
	assert_int_equal(result.changed, changed);
	assert_int_equal(result.refused, refused);
	assert_int_equal(result.same, same);
	assert_true((tls_reload_failure(tls, 0) != NULL) == (refused != 0));
}

static void test_new_sessions_see_the_new_certificate_and_old_ones_go_on(void **state)
{
	struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	struct pair old, next;
	char old_pin[sizeof(f->pin)];

	pair_open(&old, tls, f, NULL);
	assert_true(shake(&old));
	expect_reload(tls, 0, 0, 1);
	memcpy(old_pin, f->pin, sizeof(old_pin));
	tls_fixture_issue(f, "sbc.example.test", true);
	expect_reload(tls, 1, 0, 0);
	expect_reload(tls, 0, 0, 1);
	pair_open(&next, tls, f, NULL);
	assert_true(shake(&next)); /* the pin in the configuration is that of the new one */
	assert_false(
		X509_cmp(tls_session_certificate(old.client), tls_session_certificate(next.client)) == 0);
	says(&old, "still here");
	says(&next, "and here");
	pair_close(&old);
	pair_close(&next);
	tls_free(tls);
}

static void test_a_handshake_under_way_survives_a_reload(void **state)
{
	struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	struct pair pair;

	pair_open(&pair, tls, f, NULL);
	assert_int_equal(tls_handshake(pair.client), TLS_WANTS_READ);
	tls_fixture_issue(f, "sbc.example.test", false);
	expect_reload(tls, 1, 0, 0);
	/* Both are of before: its certificate, its pins. */
	assert_true(shake(&pair));
	says(&pair, "done");
	pair_close(&pair);
	tls_free(tls);
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static void test_bad_files_change_nothing(void **state)
{
	struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	struct tls_fixture other;
	struct pair pair;

	tls_fixture_init(&other);
	write_file(f->certificate, "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n");
	expect_reload(tls, 0, 1, 0);
	write_file(f->certificate, "");
	expect_reload(tls, 0, 1, 0);
	unlink(f->certificate);
	expect_reload(tls, 0, 1, 0);
	assert_int_equal(rename(other.certificate, f->certificate), 0); /* good, but of another key */
	expect_reload(tls, 0, 1, 0);
	assert_non_null(strstr(tls_reload_failure(tls, 0), "is not the key of the certificate"));
	pair_open(&pair, tls, f, NULL);
	assert_true(shake(&pair));
	pair_close(&pair);
	assert_int_equal(rename(other.key, f->key), 0);
	expect_reload(tls, 1, 0, 0);
	tls_fixture_fini(&other);
	tls_free(tls);
}

struct reloader {
	struct tls *tls;
	struct tls_fixture *fixture;
};

static void *reload_often(void *arg)
{
	const struct reloader *reloader = arg;
	struct tls_reloaded result;

	for (unsigned i = 0; i < 20; i++) {
		if (i % 2)
			tls_fixture_issue(reloader->fixture, "sbc.example.test", false);
		tls_reload(reloader->tls, &result);
	}
	return NULL;
}

static void *shake_often(void *arg)
{
	const struct reloader *reloader = arg;
	struct pair pair;

	for (unsigned i = 0; i < 30; i++) {
		pair_open(&pair, reloader->tls, reloader->fixture, NULL);
		/* Server and client may be of different generations, and disagree; nothing worse. */
		(void)shake(&pair);
		pair_close(&pair);
	}
	return NULL;
}

static void test_shards_take_what_the_main_thread_replaces(void **state)
{
	struct tls_fixture *f = *state;
	struct reloader reloader = { tls_fixture_open(f), f };
	pthread_t shard[2];

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&shard[i], NULL, shake_often, &reloader), 0);
	reload_often(&reloader);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(shard[i], NULL);
	tls_free(reloader.tls);
}

/* --- what a configuration may say --------------------------------------------------------------------------------------- */

static void expect_refused(struct tls_fixture *f, const char *words)
{
	const struct config_tls_profile *blame = NULL;
	char reason[TLS_REASON_MAX];
	struct tls *tls = NULL;

	assert_int_equal(tls_new(&f->config, &tls, &blame, reason), -EINVAL);
	assert_ptr_equal(blame, &f->profile);
	assert_non_null(strstr(reason, words));
	assert_null(tls);
}

static void test_ciphers_and_groups_that_there_are_not_are_refused(void **state)
{
	struct tls_fixture *f = *state;

	snprintf(f->ciphers, sizeof(f->ciphers), "NONSENSE");
	expect_refused(f, "names no cipher");
	snprintf(f->ciphers, sizeof(f->ciphers), "ECDHE+AESGCM");
	snprintf(f->suites, sizeof(f->suites), "NONSENSE");
	expect_refused(f, "names no cipher suite");
	snprintf(f->suites, sizeof(f->suites), "TLS_AES_128_GCM_SHA256");
	snprintf(f->curves, sizeof(f->curves), "P-9");
	expect_refused(f, "names no group");
}

static void test_a_second_key_of_the_same_kind_is_refused(void **state)
{
	struct tls_fixture *f = *state;

	f->profile.second_certificate = f->certificate;
	f->profile.second_key = f->key;
	expect_refused(f, "of the same kind");
}

static void test_files_without_what_they_should_hold_are_refused(void **state)
{
	struct tls_fixture *f = *state;

	f->profile.ca = f->key;
	expect_refused(f, "holds no certificates");
	f->profile.ca = NULL;
	f->profile.crl = f->key;
	expect_refused(f, "holds no revocation list");
	f->profile.crl = NULL;
	f->profile.key = f->directory;
	expect_refused(f, "is no plain file");
}

/* --- handshakes of one source ------------------------------------------------------------------------------------------- */

static void test_each_source_has_its_share_of_handshakes(void **state)
{
	const struct tls_fixture *f = *state;
	struct tls *tls = tls_fixture_open(f);
	union address one, neighbour, other;
	uint64_t now = clock_now_us();
	unsigned taken = 0;

	assert_int_equal(address_parse_host(SPAN("2001:db8::1"), &one), 0);
	assert_int_equal(address_parse_host(SPAN("2001:db8::2"), &neighbour), 0);
	assert_int_equal(address_parse_host(SPAN("192.0.2.1"), &other), 0);
	for (unsigned i = 0; i < 100; i++)
		taken += tls_may_begin(tls, i % 2 ? &one : &neighbour, now);
	assert_int_equal(taken, 20);
	assert_true(tls_may_begin(tls, &other, now));
	assert_true(tls_may_begin(tls, &one, now + 1000000));
	tls_free(tls);
}

/* --- another configuration ---------------------------------------------------------------------------------------------- */

struct tls_bed {
	struct tls_fixture *f;
	struct move_bed move;
	struct tls *tls;
	char text[2048], why[512];
};

static const char *profile_text(struct tls_bed *bed, const char *name, const char *key, const char *more)
{
	snprintf(bed->text, sizeof(bed->text),
		MOVE_PLACE "tls-profile %s { certificate = \"%s\" key = \"%s\" %s }\n", name,
		bed->f->certificate, key, more);
	return bed->text;
}

static int prepare_to(struct tls_bed *bed, const char *text)
{
	struct writer why;
	int error;

	writer_init(&why, bed->why, sizeof(bed->why) - 1);
	error = tls_prepare(bed->tls, move_begin(&bed->move, text), &why);
	bed->why[why.len] = '\0';
	return error;
}

static void move_to(struct tls_bed *bed, const char *text)
{
	assert_int_equal(prepare_to(bed, text), 0);
	tls_move(bed->tls, bed->move.move);
	tls_settle(bed->tls);
	move_end(&bed->move);
}

static const struct tls_profile *profile_now(struct tls_bed *bed, const char *name)
{
	struct tls_snapshot *snapshot = tls_snapshot_get(bed->tls);
	const struct config_tls_profile wanted = { .name = (char *)(uintptr_t)name };
	const struct tls_profile *profile = tls_snapshot_find(snapshot, &wanted);

	tls_snapshot_put(snapshot);
	return profile;
}

static void tls_bed_open(struct tls_bed *bed, const char *text)
{
	const struct config_tls_profile *blame;
	char reason[TLS_REASON_MAX];

	move_open(&bed->move, text);
	assert_int_equal(tls_new(bed->move.config, &bed->tls, &blame, reason), 0);
}

static void tls_bed_close(struct tls_bed *bed)
{
	tls_free(bed->tls);
	move_close(&bed->move);
}

static void test_profiles_come_stay_change_and_go(void **state)
{
	struct tls_fixture *f = *state;
	const struct tls_profile *profile;
	struct tls_snapshot *held;
	struct tls_bed bed = { .f = f };

	/* None at the start. */
	tls_bed_open(&bed, MOVE_PLACE);
	assert_null(profile_now(&bed, "p"));
	move_to(&bed, profile_text(&bed, "p", f->key, ""));
	profile = profile_now(&bed, "p");
	assert_non_null(profile);
	/* As it was, whatever else has changed: its tickets are good still. */
	snprintf(bed.text + strlen(bed.text), 64, "sip-config { tls-handshake-rate = 3 }\n");
	move_to(&bed, bed.text);
	assert_ptr_equal(profile_now(&bed, "p"), profile);
	/* Who has a session goes on by what he began with. */
	held = tls_snapshot_get(bed.tls);
	move_to(&bed, profile_text(&bed, "p", f->key, "minimum-version = \"1.3\""));
	assert_ptr_not_equal(profile_now(&bed, "p"), profile);
	assert_string_equal(held->profile[0]->config->name, "p");
	assert_int_equal(held->profile[0]->config->minimum_version, CONFIG_TLS_1_2);
	tls_snapshot_put(held);
	move_to(&bed, profile_text(&bed, "q", f->key, ""));
	assert_null(profile_now(&bed, "p"));
	assert_non_null(profile_now(&bed, "q"));
	/* An agent by TLS: now we connect, too. */
	assert_null(profile_now(&bed, "q")->client);
	snprintf(bed.text + strlen(bed.text), 160,
		"session-agent a { realm = test address = \"tls:192.0.2.10:5061\" tls-profile = q }\n");
	move_to(&bed, bed.text);
	assert_non_null(profile_now(&bed, "q")->client);
	move_to(&bed, MOVE_PLACE);
	assert_null(profile_now(&bed, "q"));
	tls_bed_close(&bed);
}

static void test_a_certificate_renewed_within_a_commit_is_in_use_after_it(void **state)
{
	struct tls_fixture *f = *state;
	const struct tls_profile *before, *renewed;
	struct tls_bed bed = { .f = f };
	struct tls_reloaded result;

	tls_bed_open(&bed, profile_text(&bed, "p", f->key, ""));
	before = profile_now(&bed, "p");
	assert_int_equal(prepare_to(&bed, bed.text), 0);
	tls_fixture_issue(f, "sbc.example.test", false);
	tls_reload(bed.tls, &result);
	assert_int_equal(result.changed, 1);
	renewed = profile_now(&bed, "p");
	assert_ptr_not_equal(renewed, before);
	tls_move(bed.tls, bed.move.move);
	tls_settle(bed.tls);
	move_end(&bed.move);
	assert_ptr_equal(profile_now(&bed, "p"), renewed);
	tls_reload(bed.tls, &result);
	assert_int_equal(result.same, 1);
	tls_bed_close(&bed);
}

static void test_a_profile_that_is_no_good_is_refused_by_its_name(void **state)
{
	struct tls_fixture *f = *state;
	const struct tls_profile *profile;
	struct tls_bed bed = { .f = f };

	tls_bed_open(&bed, profile_text(&bed, "p", f->key, ""));
	profile = profile_now(&bed, "p");
	assert_int_equal(prepare_to(&bed, profile_text(&bed, "p", f->certificate, "")), -EINVAL);
	assert_true(strncmp(bed.why, "tls-profile p: ", 15) == 0);
	assert_non_null(strstr(bed.why, f->certificate));
	tls_abort(bed.tls);
	move_give_up(&bed.move);
	assert_ptr_equal(profile_now(&bed, "p"), profile);
	assert_int_equal(prepare_to(&bed, profile_text(&bed, "p", f->key, "ciphers = NONSENSE")), -EINVAL);
	assert_non_null(strstr(bed.why, "names no cipher"));
	tls_abort(bed.tls);
	move_give_up(&bed.move);
	/* Files that have become bad meanwhile are no reason where nothing has been changed. */
	unlink(f->key);
	move_to(&bed, profile_text(&bed, "p", f->key, ""));
	assert_ptr_equal(profile_now(&bed, "p"), profile);
	tls_bed_close(&bed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_said_arrives_and_an_end_is_an_end),
		TEST(test_profiles_come_stay_change_and_go),
		TEST(test_a_certificate_renewed_within_a_commit_is_in_use_after_it),
		TEST(test_a_profile_that_is_no_good_is_refused_by_its_name),
		TEST(test_a_connection_that_breaks_is_over_without_a_reason),
		TEST(test_a_server_with_another_key_than_pinned_is_refused),
		TEST(test_the_systems_authorities_are_read_at_the_start_and_no_directory_later),
		TEST(test_a_handshake_of_too_many_octets_ends),
		TEST(test_a_read_takes_so_much_and_no_more),
		TEST(test_records_that_say_nothing_are_counted),
		TEST(test_a_tickets_key_is_replaced_and_then_forgotten),
		TEST(test_a_ticket_of_a_profile_that_asks_nobody_is_none_where_everybody_is_asked),
		TEST(test_new_sessions_see_the_new_certificate_and_old_ones_go_on),
		TEST(test_a_handshake_under_way_survives_a_reload),
		TEST(test_bad_files_change_nothing),
		TEST(test_shards_take_what_the_main_thread_replaces),
		TEST(test_ciphers_and_groups_that_there_are_not_are_refused),
		TEST(test_a_second_key_of_the_same_kind_is_refused),
		TEST(test_files_without_what_they_should_hold_are_refused),
		TEST(test_each_source_has_its_share_of_handshakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
