/* SPDX-License-Identifier: BSD-3-Clause */
/* Digest authentication: the examples of RFC 7616, and challenges that must not be answered. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "controlplane/digest.h"

#define REALM  "realm=\"http-auth@example.org\""
#define NONCE  "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\""
#define CNONCE "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

static int answer(const char *challenge, char out[DIGEST_HEX_MAX])
{
	struct digest_challenge parsed;
	int error = digest_challenge_parse(span_from(challenge), &parsed);

	return error ? error
		     : digest_answer(&parsed, SPAN("Mufasa"), SPAN("Circle of Life"), SPAN("GET"),
			       SPAN("/dir/index.html"), SPAN(CNONCE), 1, out);
}

/* Section 3.9.1; what it does not have, computed with another implementation. */
static void test_each_algorithm_gives_what_the_rfc_says(void **state)
{
	static const struct {
		const char *challenge, *response;
	} cases[] = {
		{ "Digest " REALM ", qop=\"auth, auth-int\", algorithm=MD5, " NONCE,
			"8ca523f5e9506fed4657c9700eebdbec" },
		{ "Digest " REALM ", qop=\"auth, auth-int\", algorithm=SHA-256, " NONCE,
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
		{ "digest\t" REALM ",qop=auth ,algorithm=\"SHA-512-256\"," NONCE,
			"430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0" },
		{ "Digest " REALM ", " NONCE, "7b2cc3b30e75b4777ea31027084363fd" },
		{ "Digest " REALM ", " NONCE ", qop=\"auth\", algorithm=md5-SESS, opaque=\"x\"",
			"e783283f46242139c486a698fec7211d" },
	};
	char out[DIGEST_HEX_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(answer(cases[i].challenge, out), 0);
		assert_string_equal(out, cases[i].response);
	}
}

static void test_what_cannot_be_answered_is_refused(void **state)
{
	static const struct {
		const char *challenge;
		int error;
	} cases[] = {
		{ "Basic realm=\"x\"", -ENOTSUP },
		{ "", -ENOTSUP },
		{ "Digest", -EINVAL },
		{ "Digest " REALM, -EINVAL },
		{ "Digest " NONCE, -EINVAL },
		{ "Digest " REALM ", " NONCE ", qop=\"auth-int\"", -ENOTSUP },
		{ "Digest " REALM ", " NONCE ", algorithm=SHA-1", -ENOTSUP },
		{ "Digest " REALM ", nonce=\"open", -EINVAL },
		{ "Digest " REALM ", " NONCE " x", -EINVAL },
		{ "Digest " REALM ", nonce", -EINVAL },
	};
	char out[DIGEST_HEX_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(answer(cases[i].challenge, out), cases[i].error);
}

static void test_a_nonce_beyond_the_bound_is_not_answered(void **state)
{
	char text[1024], nonce[DIGEST_TEXT_MAX + 2], out[DIGEST_HEX_MAX];

	(void)state;
	memset(nonce, 'a', sizeof(nonce));
	nonce[DIGEST_TEXT_MAX + 1] = '\0';
	snprintf(text, sizeof(text), "Digest realm=x, nonce=\"%s\"", nonce);
	assert_int_equal(answer(text, out), -EINVAL);
	nonce[DIGEST_TEXT_MAX] = '\0';
	snprintf(text, sizeof(text), "Digest realm=x, nonce=\"%s\"", nonce);
	assert_int_equal(answer(text, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_algorithm_gives_what_the_rfc_says),
		cmocka_unit_test(test_what_cannot_be_answered_is_refused),
		cmocka_unit_test(test_a_nonce_beyond_the_bound_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
