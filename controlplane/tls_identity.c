/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of certificates, by the rules of RFC 5922, against the names of session-agents. */
#include "controlplane/tls_identity.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/message.h"
#include "platforms/base/address.h"

enum {
	NAME_MAX_LENGTH = 253, /* of a domain, RFC 1035 section 2.3.4 without the last dot */
	OID_TEXT_MAX = 80
};

/* id-kp-sipDomain of RFC 5924; OpenSSL 3.0 has no number for it. */
static const char sip_domain_oid[] = "1.3.6.1.5.5.7.3.20";

struct tls_identity {
	unsigned count;
	char name[]
		 [NAME_MAX_LENGTH + 1]; /* lower case, without a last dot; addresses as address_print_host */
};

/* --- out of a certificate ---------------------------------------------------------------------------------------------- */

static bool is_host(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (!isalnum(c) && c != '-' && c != '.' && c != '_')
			return false;
	}
	return text.n > 0 && text.n <= NAME_MAX_LENGTH;
}

static struct span without_last_dot(struct span name)
{
	return name.n && name.p[name.n - 1] == '.' ? (struct span){ name.p, name.n - 1 } : name;
}

/* What holds a NUL, a wildcard or anything else that is no host name is nobody's name. An address in the place of a name is none either:
 * that is what IP entries are for. */
static void add_host(struct tls_identity *identity, struct span name)
{
	union address address;
	char *to;

	name = without_last_dot(name);
	if (identity->count == TLS_IDENTITIES_MAX || !is_host(name) ||
		address_parse_host(name, &address) == 0)
		return;
	to = identity->name[identity->count++];
	for (size_t i = 0; i < name.n; i++)
		to[i] = (char)tolower((unsigned char)name.p[i]);
	to[name.n] = '\0';
}

static void add_address(struct tls_identity *identity, const ASN1_OCTET_STRING *octets)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(octets);
	int length = ASN1_STRING_length(octets);
	union address address = { 0 };

	if (identity->count == TLS_IDENTITIES_MAX)
		return;
	if (length == (int)sizeof(address.in4.sin_addr)) {
		address.in4.sin_family = AF_INET;
		memcpy(&address.in4.sin_addr, bytes, sizeof(address.in4.sin_addr));
	} else if (length == (int)sizeof(address.in6.sin6_addr)) {
		address.in6.sin6_family = AF_INET6;
		memcpy(&address.in6.sin6_addr, bytes, sizeof(address.in6.sin6_addr));
	} else {
		return;
	}
	address_print_host(&address, identity->name[identity->count++]);
}

static struct span text_of(const ASN1_STRING *string)
{
	return (struct span){ (const char *)ASN1_STRING_get0_data(string),
		(size_t)ASN1_STRING_length(string) };
}

/* Only "sip", and only a domain: a URI with a user is a person's (RFC 5922 section 7.1). */
static void add_uri(struct tls_identity *identity, struct span text)
{
	struct sip_uri uri;

	if (sip_uri_parse(text, &uri) == 0 && span_equal_case(uri.scheme, SPAN("sip")) && uri.user.n == 0 &&
		uri.password.n == 0)
		add_host(identity, uri.host);
}

static void add_alternative(struct tls_identity *identity, const GENERAL_NAME *name)
{
	if (name->type == GEN_URI)
		add_uri(identity, text_of(name->d.uniformResourceIdentifier));
	else if (name->type == GEN_DNS)
		add_host(identity, text_of(name->d.dNSName));
	else if (name->type == GEN_IPADD)
		add_address(identity, name->d.iPAddress);
}

static void add_common_name(struct tls_identity *identity, const X509 *certificate)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	/* Of several none is the name. */
	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return;
	add_host(identity, text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
}

int tls_identity_take(const struct x509_st *certificate, struct tls_identity **out)
{
	struct tls_identity *identity =
		calloc(1, sizeof(*identity) + TLS_IDENTITIES_MAX * sizeof(identity->name[0]));
	GENERAL_NAMES *names;
	struct tls_identity *fitting;
	int found;

	if (!identity)
		return -ENOMEM;
	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &found, NULL);
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++)
		add_alternative(identity, sk_GENERAL_NAME_value(names, i));
	/* -1: there is none. One that cannot be read, or twice, is there all the same. */
	if (!names && found == -1)
		add_common_name(identity, certificate);
	GENERAL_NAMES_free(names);
	/* Thousands of connections keep theirs. */
	fitting = realloc(identity, sizeof(*identity) + identity->count * sizeof(identity->name[0]));
	*out = fitting ? fitting : identity;
	return 0;
}

void tls_identity_free(struct tls_identity *identity)
{
	free(identity);
}

const char *tls_identity_name(const struct tls_identity *identity, unsigned n)
{
	return n < identity->count ? identity->name[n] : NULL;
}

static bool is_usage(const ASN1_OBJECT *usage, bool as_server)
{
	char oid[OID_TEXT_MAX];
	int nid = OBJ_obj2nid(usage);

	if (nid == NID_anyExtendedKeyUsage || nid == (as_server ? NID_server_auth : NID_client_auth))
		return true;
	return OBJ_obj2txt(oid, sizeof(oid), usage, 1) > 0 && strcmp(oid, sip_domain_oid) == 0;
}

bool tls_identity_usage(const struct x509_st *certificate, bool as_server)
{
	int found;
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(certificate, NID_ext_key_usage, &found, NULL);
	bool may = !usages && found == -1;

	for (int i = 0; usages && !may && i < sk_ASN1_OBJECT_num(usages); i++)
		may = is_usage(sk_ASN1_OBJECT_value(usages, i), as_server);
	EXTENDED_KEY_USAGE_free(usages);
	return may;
}

/* --- against names that are wanted ------------------------------------------------------------------------------------- */

bool tls_identity_speaks_for(const struct tls_identity *identity, struct span host)
{
	char text[ADDRESS_TEXT_MAX];
	union address address;

	host = without_last_dot(host);
	if (address_parse_host(host, &address) == 0)
		host = span_from(address_print_host(&address, text));
	for (unsigned i = 0; i < identity->count; i++)
		if (span_equal_case(span_from(identity->name[i]), host))
			return true;
	return false;
}

bool tls_identity_concerns(const struct config_session_agent *agent)
{
	return agent->tls_subject.count || agent->address.transport == CONFIG_TRANSPORT_TLS ||
	       agent->address.transport == CONFIG_TRANSPORT_WSS;
}

bool tls_identity_is_agent(const struct tls_identity *identity, const struct config_session_agent *agent)
{
	for (size_t i = 0; i < agent->tls_subject.count; i++)
		if (tls_identity_speaks_for(identity, span_from(agent->tls_subject.item[i])))
			return true;
	return agent->tls_subject.count == 0 &&
	       tls_identity_speaks_for(identity, span_from(agent->address.host));
}

const struct config_session_agent *tls_identity_agent(
	const struct config *config, const struct config_realm *realm, const struct tls_identity *identity)
{
	for (size_t i = 0; i < config->session_agents_count; i++) {
		const struct config_session_agent *agent = &config->session_agents[i];

		if (agent->realm == realm && tls_identity_concerns(agent) &&
			tls_identity_is_agent(identity, agent))
			return agent;
	}
	return NULL;
}
