/* SPDX-License-Identifier: BSD-3-Clause */
/* Identities of certificates: which names count (RFC 5922), for which use (RFC 5924), and whose they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/x509v3.h>
#include <string.h>

#include "controlplane/route.h"
#include "controlplane/shard.h"
#include "controlplane/tls_identity.h"
#include "controlplane/transport_internal.h"

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

/* An extension as openssl's own configuration writes it: "DNS:a.test,URI:sip:b.test". */
static void add(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, text(value));

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static X509 *certificate_of(const char *common_name, const char *alternative, const char *usage)
{
	X509 *certificate = X509_new();

	assert_non_null(certificate);
	if (common_name)
		X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_ASC,
			(const unsigned char *)common_name, -1, -1, 0);
	if (alternative)
		add(certificate, NID_subject_alt_name, alternative);
	if (usage)
		add(certificate, NID_ext_key_usage, usage);
	return certificate;
}

static struct tls_identity *identity_of(const char *common_name, const char *alternative)
{
	X509 *certificate = certificate_of(common_name, alternative, NULL);
	struct tls_identity *identity;

	assert_int_equal(tls_identity_take(certificate, &identity), 0);
	X509_free(certificate);
	return identity;
}

static bool speaks(const char *common_name, const char *alternative, const char *host)
{
	struct tls_identity *identity = identity_of(common_name, alternative);
	bool result = tls_identity_speaks_for(identity, span_from(host));

	tls_identity_free(identity);
	return result;
}

static void names_are_those_of_subject_alt_name(void **state)
{
	struct tls_identity *identity = identity_of("cn.test",
		"DNS:A.Example.TEST,URI:sip:b.test,IP:203.0.113.10,IP:2001:db8::10,email:x@mail.test");

	(void)state;
	assert_string_equal(tls_identity_name(identity, 0), "a.example.test");
	assert_string_equal(tls_identity_name(identity, 1), "b.test");
	assert_string_equal(tls_identity_name(identity, 2), "203.0.113.10");
	assert_string_equal(tls_identity_name(identity, 3), "2001:db8::10");
	assert_null(tls_identity_name(identity, 4));
	tls_identity_free(identity);
}

static void the_common_name_counts_only_without_subject_alt_name(void **state)
{
	(void)state;
	assert_true(speaks("cn.test", NULL, "cn.test"));
	assert_false(speaks("cn.test", "DNS:other.test", "cn.test"));
	assert_false(speaks("cn.test", "email:x@mail.test", "cn.test"));
	assert_false(speaks("John Doe", NULL, "John Doe"));
	assert_false(speaks("203.0.113.10", NULL, "203.0.113.10"));
	assert_false(speaks(NULL, NULL, ""));
}

static void of_several_common_names_none_is_the_name(void **state)
{
	X509 *certificate = certificate_of("cn.test", NULL, NULL);
	struct tls_identity *identity;

	(void)state;
	X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_ASC,
		(const unsigned char *)"second.test", -1, -1, 0);
	assert_int_equal(tls_identity_take(certificate, &identity), 0);
	assert_null(tls_identity_name(identity, 0));
	tls_identity_free(identity);
	X509_free(certificate);
}

static void a_subject_alt_name_that_cannot_be_read_hides_the_common_name(void **state)
{
	X509 *certificate = certificate_of("cn.test", "DNS:a.test", NULL);
	struct tls_identity *identity;

	(void)state;
	add(certificate, NID_subject_alt_name, "DNS:b.test");
	assert_int_equal(tls_identity_take(certificate, &identity), 0);
	assert_null(tls_identity_name(identity, 0));
	tls_identity_free(identity);
	X509_free(certificate);
}

static void names_are_compared_as_dns_names(void **state)
{
	(void)state;
	assert_true(speaks(NULL, "DNS:sip.itsp.test", "SIP.itsp.TEST"));
	assert_true(speaks(NULL, "DNS:sip.itsp.test", "sip.itsp.test."));
	assert_true(speaks(NULL, "DNS:sip.itsp.test.", "sip.itsp.test"));
	assert_false(speaks(NULL, "DNS:sip.itsp.test", "itsp.test"));
	assert_false(speaks(NULL, "DNS:itsp.test", "sip.itsp.test"));
}

static void wildcards_match_nothing(void **state)
{
	(void)state;
	assert_false(speaks(NULL, "DNS:*.itsp.test", "sip.itsp.test"));
	assert_false(speaks(NULL, "DNS:*.itsp.test", "*.itsp.test"));
	assert_false(speaks("*.itsp.test", NULL, "sip.itsp.test"));
}

static void only_a_sip_uri_without_a_user_is_a_domain(void **state)
{
	(void)state;
	assert_true(speaks(NULL, "URI:sip:itsp.test", "itsp.test"));
	assert_true(speaks(NULL, "URI:SIP:itsp.test", "itsp.test"));
	assert_false(speaks(NULL, "URI:sip:alice@itsp.test", "itsp.test"));
	assert_false(speaks(NULL, "URI:sips:itsp.test", "itsp.test"));
	assert_false(speaks(NULL, "URI:https://itsp.test", "itsp.test"));
	assert_false(speaks(NULL, "URI:itsp.test", "itsp.test"));
}

static void an_address_is_only_an_ip_entry(void **state)
{
	(void)state;
	assert_true(speaks(NULL, "IP:203.0.113.10", "203.0.113.10"));
	assert_true(speaks(NULL, "IP:2001:db8::10", "[2001:db8:0::10]"));
	assert_false(speaks(NULL, "DNS:203.0.113.10", "203.0.113.10"));
	assert_false(speaks(NULL, "URI:sip:203.0.113.10", "203.0.113.10"));
	assert_false(speaks(NULL, "IP:203.0.113.10", "203.0.113.1"));
}

/* "itsp.test\0.evil.test": whoever stops at the NUL believes it. */
static void a_name_with_a_nul_is_nobodys(void **state)
{
	static const char evil[] = "itsp.test\0.evil.test";
	X509 *certificate = X509_new();
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();
	struct tls_identity *identity;

	(void)state;
	ASN1_STRING_set(value, evil, sizeof(evil) - 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, value);
	sk_GENERAL_NAME_push(names, name);
	assert_int_equal(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0), 1);
	assert_int_equal(tls_identity_take(certificate, &identity), 0);
	assert_null(tls_identity_name(identity, 0));
	tls_identity_free(identity);
	GENERAL_NAMES_free(names);
	X509_free(certificate);
}

static void names_beyond_the_bound_are_left_out(void **state)
{
	char many[TLS_IDENTITIES_MAX * 2 * 16];
	struct tls_identity *identity;
	struct writer out;

	(void)state;
	writer_init(&out, many, sizeof(many));
	for (unsigned i = 0; i < TLS_IDENTITIES_MAX + 10; i++)
		writer_format(&out, "%sDNS:a%u.test", i ? "," : "", i);
	many[out.len] = '\0';
	identity = identity_of(NULL, many);
	assert_non_null(tls_identity_name(identity, TLS_IDENTITIES_MAX - 1));
	assert_null(tls_identity_name(identity, TLS_IDENTITIES_MAX));
	tls_identity_free(identity);
}

static bool may(const char *usage, bool as_server)
{
	X509 *certificate = certificate_of("a.test", NULL, usage);
	bool result = tls_identity_usage(certificate, as_server);

	X509_free(certificate);
	return result;
}

static void a_certificate_serves_for_what_its_usage_says(void **state)
{
	(void)state;
	assert_true(may(NULL, true) && may(NULL, false));
	assert_true(may("serverAuth", true));
	assert_false(may("serverAuth", false));
	assert_true(may("clientAuth", false));
	assert_false(may("clientAuth", true));
	assert_true(may("anyExtendedKeyUsage", true) && may("anyExtendedKeyUsage", false));
	assert_true(may("1.3.6.1.5.5.7.3.20", true) && may("emailProtection,1.3.6.1.5.5.7.3.20", false));
	assert_false(may("codeSigning", true) || may("codeSigning", false));
}

/* --- agents ------------------------------------------------------------------------------------------------------------ */

static struct config_realm realm = { .name = (char *)(uintptr_t) "access" };
static struct config_realm other_realm = { .name = (char *)(uintptr_t) "core" };
static struct config_session_agent agents[4];
static struct config config;
static struct shard shard = { .config = &config };
static struct config_tls_profile profile;
static struct config_sip_interface interface = { .realm = &realm, .tls_profile = &profile };
static struct listener plain = { .interface = &interface, .transport = CONFIG_TRANSPORT_TCP };
static struct listener secure = { .interface = &interface, .transport = CONFIG_TRANSPORT_TLS };

static int setup(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	memset(&profile, 0, sizeof(profile));
	memset(agents, 0, sizeof(agents));
	config.session_agents = agents;
	return 0;
}

static struct config_session_agent *agent(
	const struct config_realm *where, enum config_transport transport, const char *host, char *subject[2])
{
	struct config_session_agent *made = &agents[config.session_agents_count++];

	*made = (struct config_session_agent){ .realm = where,
		.address = { .transport = transport, .host = text(host), .port = 5061 },
		.tls_subject = { .item = subject, .count = subject ? 1 + (subject[1] != NULL) : 0 } };
	(void)address_parse(span_from(host), 5061, &made->address.address);
	return made;
}

static const struct config_session_agent *whose(const char *alternative)
{
	struct tls_identity *identity = identity_of(NULL, alternative);
	const struct config_session_agent *found = tls_identity_agent(&config, &realm, identity);

	tls_identity_free(identity);
	return found;
}

static bool is(const struct config_session_agent *one, const char *alternative)
{
	struct tls_identity *identity = identity_of(NULL, alternative);
	bool result = tls_identity_is_agent(identity, one);

	tls_identity_free(identity);
	return result;
}

static void an_agent_shows_the_name_it_is_configured_by(void **state)
{
	const struct config_session_agent *by_name =
		agent(&realm, CONFIG_TRANSPORT_TLS, "sip.itsp.test", NULL);
	const struct config_session_agent *by_address =
		agent(&realm, CONFIG_TRANSPORT_TLS, "203.0.113.100", NULL);

	(void)state;
	assert_true(is(by_name, "DNS:sip.itsp.test"));
	assert_false(is(by_name, "DNS:host7.itsp.test"));
	assert_true(is(by_address, "IP:203.0.113.100"));
	assert_false(is(by_address, "DNS:sip.itsp.test"));
	assert_ptr_equal(whose("DNS:sip.itsp.test"), by_name);
	assert_ptr_equal(whose("IP:203.0.113.100"), by_address);
	assert_null(whose("DNS:evil.test"));
}

static void subjects_replace_the_name_of_the_address(void **state)
{
	char *subjects[2] = { text("itsp.test"), text("backup.itsp.test") };
	const struct config_session_agent *one =
		agent(&realm, CONFIG_TRANSPORT_TLS, "sip.itsp.test", subjects);

	(void)state;
	assert_true(is(one, "URI:sip:itsp.test"));
	assert_true(is(one, "DNS:backup.itsp.test"));
	assert_false(is(one, "DNS:sip.itsp.test"));
}

static void certificates_are_of_agents_of_their_realm_that_speak_tls(void **state)
{
	(void)state;
	agent(&other_realm, CONFIG_TRANSPORT_TLS, "sip.itsp.test", NULL);
	agent(&realm, CONFIG_TRANSPORT_UDP, "sip.itsp.test", NULL);
	assert_null(whose("DNS:sip.itsp.test"));
}

static const struct config_session_agent *from(
	struct listener *listener, const char *source, const struct config_session_agent *shown)
{
	struct sip_flow flow = { .listener = listener, .agent = shown };

	assert_int_equal(address_parse(span_from(source), 40000, &flow.remote), 0);
	return route_agent_by_flow(&shard, &flow);
}

static void a_certificate_is_known_wherever_it_comes_from(void **state)
{
	const struct config_session_agent *itsp = agent(&realm, CONFIG_TRANSPORT_TLS, "sip.itsp.test", NULL);
	const struct config_session_agent *elsewhere =
		agent(&other_realm, CONFIG_TRANSPORT_TLS, "sip.pbx.test", NULL);

	(void)state;
	assert_ptr_equal(from(&secure, "198.51.100.77", itsp), itsp);
	assert_null(from(&secure, "198.51.100.77", NULL));
	assert_null(from(&secure, "198.51.100.77", elsewhere));
}

static void an_agent_with_a_subject_is_not_known_by_its_address(void **state)
{
	char *subjects[2] = { text("itsp.test"), NULL };

	(void)state;
	agent(&realm, CONFIG_TRANSPORT_TLS, "203.0.113.100", subjects);
	assert_null(from(&secure, "203.0.113.100", NULL));
	assert_null(from(&plain, "203.0.113.100", NULL));
}

static void an_agent_that_speaks_tls_is_not_known_without(void **state)
{
	const struct config_session_agent *itsp = agent(&realm, CONFIG_TRANSPORT_TLS, "203.0.113.100", NULL);

	(void)state;
	assert_null(from(&plain, "203.0.113.100", NULL));
	assert_ptr_equal(from(&secure, "203.0.113.100", NULL), itsp);
}

static void where_certificates_are_checked_the_address_says_nothing(void **state)
{
	const struct config_session_agent *pbx;

	(void)state;
	agent(&realm, CONFIG_TRANSPORT_TLS, "203.0.113.100", NULL);
	pbx = agent(&realm, CONFIG_TRANSPORT_UDP, "203.0.113.101", NULL);
	profile.ca = text("/ca.pem");
	assert_null(from(&secure, "203.0.113.100", NULL));
	/* Asked for, but not demanded: who has none by his configuration is known as ever. */
	assert_ptr_equal(from(&secure, "203.0.113.101", NULL), pbx);
	profile.verify_peer = true;
	assert_null(from(&secure, "203.0.113.101", NULL));
	assert_ptr_equal(from(&plain, "203.0.113.101", NULL), pbx);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_are_those_of_subject_alt_name),
		TEST(the_common_name_counts_only_without_subject_alt_name),
		TEST(of_several_common_names_none_is_the_name),
		TEST(a_subject_alt_name_that_cannot_be_read_hides_the_common_name),
		TEST(names_are_compared_as_dns_names),
		TEST(wildcards_match_nothing),
		TEST(only_a_sip_uri_without_a_user_is_a_domain),
		TEST(an_address_is_only_an_ip_entry),
		TEST(a_name_with_a_nul_is_nobodys),
		TEST(names_beyond_the_bound_are_left_out),
		TEST(a_certificate_serves_for_what_its_usage_says),
		TEST(an_agent_shows_the_name_it_is_configured_by),
		TEST(subjects_replace_the_name_of_the_address),
		TEST(certificates_are_of_agents_of_their_realm_that_speak_tls),
		TEST(a_certificate_is_known_wherever_it_comes_from),
		TEST(an_agent_with_a_subject_is_not_known_by_its_address),
		TEST(an_agent_that_speaks_tls_is_not_known_without),
		TEST(where_certificates_are_checked_the_address_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
