/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a certificate says that somebody is (RFC 5922), and which session-agent that is. Certificates come here verified: chain, time and
 * revocation are others' business (tls.c). */
#ifndef CONTROLPLANE_TLS_IDENTITY_H
#define CONTROLPLANE_TLS_IDENTITY_H

#include <stdbool.h>

#include "config/model.h"
#include "platforms/base/span.h"

struct tls_identity; /* the names of one certificate: SIP domains and addresses */
struct x509_st; /* OpenSSL's X509 */

/* RFC 5922 section 7.1: the hosts of sip: URIs without a user, and the DNS names, of subjectAltName; its IP addresses too, for agents that
 * are configured by address; the subject's common name only if there is no subjectAltName at all. Names that are no host names, and
 * those beyond TLS_IDENTITIES_MAX, are left out; a certificate may be nobody's. 0 and *out (caller: tls_identity_free), or -ENOMEM. */
enum { TLS_IDENTITIES_MAX = 64 };
int tls_identity_take(const struct x509_st *certificate, struct tls_identity **out);
void tls_identity_free(struct tls_identity *identity); /* NULL: nothing */

/* RFC 5924 section 4: a certificate whose extended key usage does not say server (client), any, or SIP domain, speaks for no SIP server
 * (client). One without the extension may. `as_server`: the peer was connected to. */
bool tls_identity_usage(const struct x509_st *certificate, bool as_server);

/* True if one of the names is the host, compared as RFC 5922 section 7.2 says: letters of any case, and no wildcards. An address is only
 * its own. RFC 5923 section 9: with the sent-by of a Via, whether the peer may have its connection used for requests to there. */
bool tls_identity_speaks_for(const struct tls_identity *identity, struct span host);

/* What an agent must show: one of its tls-subject, if there are any; else the host of its address, not what DNS makes of it (RFC 5922
 * section 7.3). */
bool tls_identity_is_agent(const struct tls_identity *identity, const struct config_session_agent *agent);

/* True for an agent that is known by its certificate: it is reached by TLS, or has a tls-subject. */
bool tls_identity_concerns(const struct config_session_agent *agent);

/* The agent of `realm` that a client is by its certificate: the first in the order of the file that certificates concern and that
 * it fits. NULL: nobody's. */
const struct config_session_agent *tls_identity_agent(
	const struct config *config, const struct config_realm *realm, const struct tls_identity *identity);

/* The n-th name, for show; NULL behind the last. */
const char *tls_identity_name(const struct tls_identity *identity, unsigned n);

#endif
