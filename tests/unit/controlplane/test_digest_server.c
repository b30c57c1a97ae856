/* SPDX-License-Identifier: BSD-3-Clause */
/* Digest authentication by this box: whose password, which nonce, how often. */
#include "tests/unit/controlplane/sip_fixture.h"
#include "tests/unit/controlplane/store_fixture.h"

#include "controlplane/digest.h"
#include "controlplane/digest_server.h"
#include "tests/unit/controlplane/move_fixture.h"

static struct {
	struct fixture *f;
	struct store_bed *store;
	struct digest_server *server;
} bed;
static uint64_t now_ms;

static uint64_t fake_wall(void)
{
	return now_ms;
}

static int setup(void **state)
{
	static const struct transaction_core core = { 0 };

	(void)state;
	now_ms = 1700000000000;
	bed.f = fixture_new(&core);
	bed.f->config.registration.nonce_lifetime = 300;
	bed.store = store_bed_new();
	store_bed_open(bed.store);
	assert_int_equal(
		store_user_set(bed.store->store, SPAN("100"), SPAN("example.com"), SPAN("secret")), 0);
	bed.server = digest_server_new(&bed.f->config, bed.store->store);
	digest_server_set_clock(bed.server, fake_wall);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	digest_server_free(bed.server);
	store_bed_free(bed.store);
	fixture_free(bed.f);
	return 0;
}

/* The nonce of a fresh challenge. */
static const char *challenged(const struct sip_flow *flow, bool stale)
{
	static char nonce[64];
	char text[1024];
	struct writer w;
	const char *at;

	memset(text, 0, sizeof(text));
	writer_init(&w, text, sizeof(text) - 1);
	digest_server_challenge(bed.server, flow, SPAN("100@example.com"), 1, stale, &w);
	assert_non_null(strstr(text, "algorithm=MD5"));
	memset(text, 0, sizeof(text));
	writer_init(&w, text, sizeof(text) - 1);
	digest_server_challenge(bed.server, flow, SPAN("100@example.com"), 0, stale, &w);
	assert_true(strncmp(text, "Digest realm=\"example.com\", nonce=\"", 35) == 0);
	at = strstr(text, "nonce=\"") + 7;
	snprintf(nonce, sizeof(nonce), "%.*s", (int)strcspn(at, "\""), at);
	assert_non_null(strstr(text, "algorithm=SHA-256"));
	assert_int_equal(strstr(text, "stale=true") != NULL, stale);
	return nonce;
}

struct attempt {
	const char *user, *password, *nonce, *nc, *algorithm, *uri, *realm;
	bool no_qop;
	struct sip_flow *flow;
};

static enum digest_verdict attempt(struct attempt a)
{
	struct digest_protection protection = { .count = span_from(a.nc ? a.nc : "00000001"),
		.cnonce = SPAN("0a4f113b") };
	enum digest_algorithm kind =
		a.algorithm && strcmp(a.algorithm, "SHA-256") == 0 ? DIGEST_SHA_256 : DIGEST_MD5;
	const char *user = a.user ? a.user : "100", *uri = a.uri ? a.uri : "sip:example.com",
		   *realm = a.realm ? a.realm : "example.com";
	char ha1[DIGEST_HEX_MAX], response[DIGEST_HEX_MAX], text[2048], qop[128] = "";
	struct scan scan;
	int n;

	assert_int_equal(digest_secret(kind, span_from(user), span_from(realm),
				 span_from(a.password ? a.password : "secret"), ha1),
		0);
	assert_int_equal(digest_response(kind, span_from(ha1), span_from(a.nonce),
				 a.no_qop ? NULL : &protection, SPAN("REGISTER"), span_from(uri), response),
		0);
	if (!a.no_qop)
		snprintf(qop, sizeof(qop), ", qop=auth, nc=%.*s, cnonce=\"0a4f113b\"",
			SPAN_FMT(protection.count));
	n = snprintf(text, sizeof(text),
		"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nFrom: "
		"<sip:100@example.com>;tag=x\r\n"
		"To: <sip:100@example.com>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n"
		"Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", "
		"response=\"%s\"%s%s%s\r\n\r\n",
		user, realm, a.nonce, uri, response, qop, a.algorithm ? ", algorithm=" : "",
		a.algorithm ? a.algorithm : "");
	assert_int_equal(
		scan_message(&scan, (struct span){ text, (size_t)n }, true, &bed.f->config.sip), SCAN_OK);
	return digest_server_check(
		bed.server, a.flow ? a.flow : &bed.f->peer, &scan, SPAN("100@example.com"), false);
}

static void the_right_password_is_right_with_either_algorithm(void **state)
{
	(void)state;
	assert_int_equal(attempt((struct attempt){ .nonce = challenged(&bed.f->peer, false) }), DIGEST_RIGHT);
	assert_int_equal(
		attempt((struct attempt){ .nonce = challenged(&bed.f->peer, false), .algorithm = "MD5" }),
		DIGEST_RIGHT);
	assert_int_equal(
		attempt((struct attempt){ .nonce = challenged(&bed.f->peer, true), .algorithm = "SHA-256" }),
		DIGEST_RIGHT);
	assert_int_equal(
		attempt((struct attempt){ .nonce = challenged(&bed.f->peer, false), .no_qop = true }),
		DIGEST_RIGHT);
}

static void what_is_wrong_is_wrong(void **state)
{
	const char *nonce = challenged(&bed.f->peer, false);

	(void)state;
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .password = "guess" }), DIGEST_WRONG);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .user = "101" }), DIGEST_WRONG);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .uri = "sip:elsewhere" }), DIGEST_WRONG);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .nc = "1" }), DIGEST_WRONG);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .nc = "00000000" }), DIGEST_WRONG);
	assert_int_equal(attempt((struct attempt){ .nonce = "made-up" }), DIGEST_WRONG);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .algorithm = "MD5-sess" }), DIGEST_WRONG);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .realm = "other.com" }), DIGEST_MISSING);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce }), DIGEST_RIGHT);
}

static void a_nonce_is_for_one_source_and_for_its_time(void **state)
{
	const char *nonce = challenged(&bed.f->peer, false);

	(void)state;
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .flow = &bed.f->other }), DIGEST_EXPIRED);
	now_ms += 301000;
	assert_int_equal(attempt((struct attempt){ .nonce = nonce }), DIGEST_EXPIRED);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .password = "guess" }), DIGEST_WRONG);
	nonce = challenged(&bed.f->peer, true);
	now_ms -= 1000;
	assert_int_equal(attempt((struct attempt){ .nonce = nonce }), DIGEST_EXPIRED);
}

static void no_count_of_a_nonce_is_good_twice(void **state)
{
	char nonce[64];

	(void)state;
	snprintf(nonce, sizeof(nonce), "%s", challenged(&bed.f->peer, false));
	assert_int_equal(attempt((struct attempt){ .nonce = nonce }), DIGEST_RIGHT);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce }), DIGEST_EXPIRED);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .nc = "00000003" }), DIGEST_RIGHT);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .nc = "00000002" }), DIGEST_RIGHT);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .nc = "00000002" }), DIGEST_EXPIRED);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .nc = "00000100" }), DIGEST_RIGHT);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .nc = "00000004" }), DIGEST_EXPIRED);
	snprintf(nonce, sizeof(nonce), "%s", challenged(&bed.f->peer, false));
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .no_qop = true }), DIGEST_RIGHT);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .no_qop = true }), DIGEST_EXPIRED);
}

static void what_was_forgotten_is_not_good_again(void **state)
{
	enum { NONCES = 100000 };
	char first[64];

	(void)state;
	snprintf(first, sizeof(first), "%s", challenged(&bed.f->peer, false));
	assert_int_equal(attempt((struct attempt){ .nonce = first }), DIGEST_RIGHT);
	for (unsigned i = 0; i < NONCES; i++) {
		if (i % 1000 == 0)
			now_ms++;
		assert_true(attempt((struct attempt){ .nonce = challenged(&bed.f->peer, false) }) !=
			    DIGEST_WRONG);
	}
	assert_int_equal(attempt((struct attempt){ .nonce = first }), DIGEST_EXPIRED);
}

static void hostile_credentials_are_refused(void **state)
{
	static const char *const values[] = { "Digest", "Digest username", "Digest username=\"a",
		"Basic YTpi", "Digest username=\"100\"",
		"Digest username=\"a\", username=\"b\", realm=\"example.com\", nonce=\"n\", uri=\"u\", "
		"response=\"r\"",
		"Digest username=\"100\", realm=\"example.com\", nonce=\"n\", uri=\"u\", response=\"r\", "
		"qop=auth-int, nc=1, cnonce=\"c\"",
		"Digest username=\"100\", realm=\"example.com\", nonce=\"n\", uri=\"u\", response=\"r\", "
		"qop=auth",
		"Digest username=\"100\", realm=\"example.com\", nonce=\"\", uri=\"\", response=\"\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char text[2048];
		struct scan scan;
		int n = snprintf(text, sizeof(text),
			"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP "
			"192.0.2.9;branch=z9hG4bKx\r\nFrom: <sip:100@example.com>;tag=x\r\n"
			"To: <sip:100@example.com>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nAuthorization: "
			"%s\r\n\r\n",
			values[i]);

		assert_int_equal(
			scan_message(&scan, (struct span){ text, (size_t)n }, true, &bed.f->config.sip),
			SCAN_OK);
		assert_int_equal(
			digest_server_check(bed.server, &bed.f->peer, &scan, SPAN("100@example.com"), false),
			DIGEST_WRONG);
		assert_int_equal(
			digest_server_check(bed.server, &bed.f->peer, &scan, SPAN("100@example.com"), true),
			DIGEST_MISSING);
	}
}

static void a_nonce_of_before_another_configuration_is_good_after_it(void **state)
{
	struct move_bed move;
	char nonce[64];

	(void)state;
	snprintf(nonce, sizeof(nonce), "%s", challenged(&bed.f->peer, false));
	now_ms += 900000;
	move_open(&move, MOVE_PLACE);
	digest_server_move(
		bed.server, move_begin(&move, MOVE_PLACE "registration { nonce-lifetime = 1000 }\n"));
	move_end(&move);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce }), DIGEST_RIGHT);
	digest_server_move(
		bed.server, move_begin(&move, MOVE_PLACE "registration { nonce-lifetime = 10 }\n"));
	move_end(&move);
	assert_int_equal(attempt((struct attempt){ .nonce = nonce, .nc = "00000002" }), DIGEST_EXPIRED);
	move_close(&move);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_right_password_is_right_with_either_algorithm),
		T(what_is_wrong_is_wrong),
		T(a_nonce_is_for_one_source_and_for_its_time),
		T(no_count_of_a_nonce_is_good_twice),
		T(what_was_forgotten_is_not_good_again),
		T(hostile_credentials_are_refused),
		T(a_nonce_of_before_another_configuration_is_good_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
