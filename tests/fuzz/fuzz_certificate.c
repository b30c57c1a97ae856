/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: certificates. Whatever a peer shows that OpenSSL can read has names that are host names or addresses, bounded in number and
 * length, speaks for each of them and for no wildcard, and is described in printable text that ends. */
#include <ctype.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tls_expiry.h"
#include "controlplane/tls_identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void require_line(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	require(n < size);
	for (size_t i = 0; i < n; i++)
		require(text[i] >= ' ' && text[i] <= '~');
}

static void check_names(const X509 *certificate)
{
	struct tls_identity *identity;
	const char *name;
	unsigned n = 0;

	require(tls_identity_take(certificate, &identity) == 0);
	for (; (name = tls_identity_name(identity, n)) != NULL; n++) {
		require(name[0] && strlen(name) <= 253);
		for (const char *c = name; *c; c++)
			require(isalnum((unsigned char)*c) || strchr("-._:", *c));
		require(tls_identity_speaks_for(identity, span_from(name)));
	}
	require(n <= TLS_IDENTITIES_MAX);
	require(!tls_identity_speaks_for(identity, (struct span){ NULL, 0 }));
	require(!tls_identity_speaks_for(identity, SPAN("*.example.test")));
	tls_identity_free(identity);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char *at = data;
	X509 *certificate = d2i_X509(NULL, &at, (long)size);
	struct cp_certificate shown;
	enum cp_severity severity;
	char text[CP_LINE_MAX];

	if (!certificate)
		return 0;
	check_names(certificate);
	(void)tls_identity_usage(certificate, true);
	(void)tls_identity_usage(certificate, false);
	tls_certificate_describe(certificate, "public", TLS_CERTIFICATE_OWN, &shown);
	require_line(shown.subject, sizeof(shown.subject));
	require_line(shown.issuer, sizeof(shown.issuer));
	require_line(shown.names, sizeof(shown.names));
	require_line(shown.fingerprint, sizeof(shown.fingerprint));
	require_line(shown.key, sizeof(shown.key));
	if (tls_expiry_judge(shown.not_after_wall_ms, UINT64_C(1700000000000), &severity, text))
		require_line(text, sizeof(text));
	X509_free(certificate);
	return 0;
}
