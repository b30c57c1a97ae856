/* SPDX-License-Identifier: BSD-3-Clause */
/* When certificates end: the alarms before, and the list for people. owner: the main thread */
#ifndef CONTROLPLANE_TLS_EXPIRY_H
#define CONTROLPLANE_TLS_EXPIRY_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "controlplane/alarm.h"
#include "controlplane/tls.h"

struct tls_expiry;

/* Looks at all certificates now and every hour; both outlive it. 0 or -errno. */
int tls_expiry_new(uv_loop_t *loop, struct tls *tls, struct alarms *alarms, struct tls_expiry **out);
/* The loop must run once more before its memory is gone. NULL is fine. */
void tls_expiry_free(struct tls_expiry *expiry);

/* One round by the wall clock `now_wall_ms`: an alarm for each certificate, those of authorities too, that ends within 30 days (warning),
 * 7 days (major), a day, or has ended (critical); and none for those that do not, or are not loaded any more. */
void tls_expiry_check(struct tls *tls, struct alarms *alarms, uint64_t now_wall_ms);

/* What an alarm says of one certificate; false: nothing, it is good for more than 30 days. `text` takes a line with NUL. */
bool tls_expiry_judge(
	uint64_t not_after_wall_ms, uint64_t now_wall_ms, enum cp_severity *severity, char text[CP_LINE_MAX]);

/* A certificate as mgmt is told of it; number is left out. */
void tls_certificate_describe(const struct x509_st *certificate, const char *profile,
	enum tls_certificate_role role, struct cp_certificate *out);

/* Those with a number above `after`, at most `limit`, and the page's head. Numbers are places in the list as it is now. NULL: no TLS. */
void tls_certificates_list(struct tls *tls, uint64_t after, size_t limit, struct cp_certificate_page *page,
	struct cp_certificate *out);

#endif
