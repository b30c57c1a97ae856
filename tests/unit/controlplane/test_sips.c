/* SPDX-License-Identifier: BSD-3-Clause */
/* The sips scheme: where it may come from and go to, and what each leg writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "controlplane/leg.h"
#include "controlplane/sips.h"
#include "controlplane/transport_internal.h"

static struct config_ip_profile profile;
static struct config_realm realm;
static struct config_sip_interface interface = { .realm = &realm, .ip_profile = &profile };
static struct listener plain = { .interface = &interface, .transport = CONFIG_TRANSPORT_TCP };
static struct listener secure = { .interface = &interface, .transport = CONFIG_TRANSPORT_TLS };

static int setup(void **state)
{
	(void)state;
	profile = (struct config_ip_profile){ 0 };
	assert_int_equal(address_parse(SPAN("203.0.113.10"), 5060, &plain.address), 0);
	assert_int_equal(address_parse(SPAN("203.0.113.10"), 5061, &secure.address), 0);
	return 0;
}

static void strict_goes_by_tls_alone(void **state)
{
	struct leg leg = { .profile = &profile, .flow = { .listener = &secure }, .sips = true };

	(void)state;
	assert_int_equal(sips_admit(&leg), 0);
	assert_true(leg.sips);
	leg.flow.listener = &plain;
	assert_int_equal(sips_admit(&leg), -EPROTO);
	leg.sips = false;
	assert_int_equal(sips_admit(&leg), 0);
}

static void terminate_makes_it_plain_whatever_the_transport(void **state)
{
	struct listener *const listeners[] = { &plain, &secure };

	(void)state;
	profile.sips = CONFIG_SIPS_TERMINATE;
	for (size_t i = 0; i < 2; i++) {
		struct leg leg = { .profile = &profile, .flow = { .listener = listeners[i] }, .sips = true };

		assert_int_equal(sips_admit(&leg), 0);
		assert_false(leg.sips);
	}
}

static void a_sips_target_is_called_by_sip_as_sip(void **state)
{
	struct leg leg = { .sips = false };
	char target[] = "sips:alice@192.0.2.1:5061";
	char upper[] = "SIPS:alice@192.0.2.1";

	(void)state;
	assert_int_equal(sips_aim(&leg, target), 0);
	assert_string_equal(target, "sip:alice@192.0.2.1:5061");
	assert_int_equal(sips_aim(&leg, target), 0);
	assert_string_equal(target, "sip:alice@192.0.2.1:5061");
	assert_int_equal(sips_aim(&leg, upper), 0);
	assert_string_equal(upper, "SIP:alice@192.0.2.1");
}

static void a_sip_target_is_not_called_by_sips(void **state)
{
	struct leg leg = { .sips = true };
	char target[] = "sip:alice@192.0.2.1;transport=tls";
	char secret[] = "sips:alice@192.0.2.1";

	(void)state;
	assert_int_equal(sips_aim(&leg, target), -EPROTO);
	assert_string_equal(target, "sip:alice@192.0.2.1;transport=tls");
	assert_int_equal(sips_aim(&leg, secret), 0);
	assert_string_equal(secret, "sips:alice@192.0.2.1");
}

static void a_contact_has_the_scheme_of_its_leg(void **state)
{
	struct leg leg = { .flow = { .listener = &secure }, .contact_user = "1000" };
	char text[128];
	struct writer out;

	(void)state;
	writer_init(&out, text, sizeof(text));
	leg_contact(&leg, &out);
	assert_true(span_equal(
		writer_result(&out), SPAN("Contact: <sip:1000@203.0.113.10:5061;transport=tls>\r\n")));
	leg.sips = true;
	writer_init(&out, text, sizeof(text));
	leg_contact(&leg, &out);
	assert_true(span_equal(writer_result(&out), SPAN("Contact: <sips:1000@203.0.113.10:5061>\r\n")));
}

static void the_warning_names_us_and_nobody_else(void **state)
{
	struct sip_flow flow = { .listener = &secure };
	char text[128];
	struct writer out;

	(void)state;
	writer_init(&out, text, sizeof(text));
	sips_warning_not_allowed(&flow, &out);
	assert_true(
		span_equal(writer_result(&out), SPAN("Warning: 380 203.0.113.10 \"SIPS Not Allowed\"\r\n")));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(strict_goes_by_tls_alone),
		TEST(terminate_makes_it_plain_whatever_the_transport),
		TEST(a_sips_target_is_called_by_sip_as_sip),
		TEST(a_sip_target_is_not_called_by_sips),
		TEST(a_contact_has_the_scheme_of_its_leg),
		TEST(the_warning_names_us_and_nobody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
