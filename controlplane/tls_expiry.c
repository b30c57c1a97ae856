/* SPDX-License-Identifier: BSD-3-Clause */
/* Dates and names of certificates: alarms before they end, and what is shown of them. */
#include "controlplane/tls_expiry.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/tls_identity.h"
#include "platforms/base/clock.h"

enum { HOUR_MS = 3600 * 1000 };
#define DAY_MS UINT64_C(86400000)

/* The earliest first. */
static const struct {
	unsigned days;
	enum cp_severity severity;
} steps[] = {
	{ 1, CP_SEVERITY_CRITICAL },
	{ 7, CP_SEVERITY_MAJOR },
	{ 30, CP_SEVERITY_WARNING },
};

struct tls_expiry {
	uv_timer_t timer; /* first: its close frees by its address */
	struct tls *tls;
	struct alarms *alarms;
};

/* --- one certificate --------------------------------------------------------------------------------------------------- */

static void copy(char *out, size_t size, struct span text)
{
	size_t n = text.n < size - 1 ? text.n : size - 1;

	memset(out, 0, size);
	for (size_t i = 0; i < n; i++)
		out[i] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '?';
}

/* 0: before 1970, or no time at all. */
static uint64_t wall_ms(const ASN1_TIME *time)
{
	struct tm parts;
	time_t seconds;

	if (!ASN1_TIME_to_tm(time, &parts))
		return 0;
	seconds = timegm(&parts);
	return seconds > 0 ? (uint64_t)seconds * 1000 : 0;
}

/* "CN=sbc.example.test,O=Example" */
static void copy_name(char *out, size_t size, const X509_NAME *name)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *text = NULL;
	long length = 0;

	if (memory && X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253) >= 0)
		length = BIO_get_mem_data(memory, &text);
	copy(out, size, (struct span){ text, length > 0 ? (size_t)length : 0 });
	BIO_free(memory);
}

/* As many as there is room for. */
static void copy_identities(char *out, size_t size, const X509 *certificate)
{
	struct tls_identity *identity;
	struct writer w;
	const char *name;

	memset(out, 0, size);
	if (tls_identity_take(certificate, &identity))
		return;
	writer_init(&w, out, size - 1);
	for (unsigned n = 0; (name = tls_identity_name(identity, n)) != NULL; n++) {
		if (w.len + strlen(name) + 2 > size - 1)
			break;
		writer_text(&w, n ? ", " : "");
		writer_text(&w, name);
	}
	tls_identity_free(identity);
}

static void copy_fingerprint(char *out, size_t size, const X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	struct writer w;

	memset(out, 0, size);
	if (!X509_digest(certificate, EVP_sha256(), digest, &length))
		return;
	writer_init(&w, out, size);
	for (unsigned i = 0; i < length; i++)
		writer_format(&w, "%s%02X", i ? ":" : "", digest[i]);
}

static void copy_key(char *out, size_t size, const X509 *certificate)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	const char *kind = key ? EVP_PKEY_get0_type_name(key) : NULL;
	struct writer w;

	memset(out, 0, size);
	writer_init(&w, out, size);
	if (kind)
		writer_format(&w, "%s %d", kind, EVP_PKEY_get_bits(key));
}

void tls_certificate_describe(const struct x509_st *certificate, const char *profile,
	enum tls_certificate_role role, struct cp_certificate *out)
{
	static const enum cp_certificate_role roles[] = {
		[TLS_CERTIFICATE_OWN] = CP_CERTIFICATE_OWN,
		[TLS_CERTIFICATE_CHAIN] = CP_CERTIFICATE_CHAIN,
		[TLS_CERTIFICATE_AUTHORITY] = CP_CERTIFICATE_AUTHORITY,
	};

	*out = (struct cp_certificate){
		.not_before_wall_ms = wall_ms(X509_get0_notBefore(certificate)),
		.not_after_wall_ms = wall_ms(X509_get0_notAfter(certificate)),
		.role = roles[role],
	};
	copy(out->profile, sizeof(out->profile), span_from(profile));
	copy_name(out->subject, sizeof(out->subject), X509_get_subject_name(certificate));
	copy_name(out->issuer, sizeof(out->issuer), X509_get_issuer_name(certificate));
	copy_identities(out->names, sizeof(out->names), certificate);
	copy_fingerprint(out->fingerprint, sizeof(out->fingerprint), certificate);
	copy_key(out->key, sizeof(out->key), certificate);
}

bool tls_expiry_judge(
	uint64_t not_after_wall_ms, uint64_t now_wall_ms, enum cp_severity *severity, char text[CP_LINE_MAX])
{
	uint64_t left = not_after_wall_ms > now_wall_ms ? not_after_wall_ms - now_wall_ms : 0;
	char when[CLOCK_TEXT_MAX];
	struct writer w;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (left >= steps[i].days * DAY_MS)
			continue;
		*severity = steps[i].severity;
		writer_init(&w, text, CP_LINE_MAX - 1);
		writer_format(&w, left ? "ends within %u days: " : "has ended: ", steps[i].days);
		writer_text(&w, clock_print_wall(not_after_wall_ms, when));
		text[w.len] = '\0';
		return true;
	}
	return false;
}

/* --- all of them ------------------------------------------------------------------------------------------------------- */

struct round {
	struct alarms *alarms;
	uint64_t now_wall_ms;
};

/* What it is called, so that two of one name in one profile are two. */
static void check_one(
	void *arg, const char *profile, struct x509_st *certificate, enum tls_certificate_role role)
{
	const struct round *round = arg;
	struct cp_certificate shown;
	char subject[CP_SUBJECT_MAX], text[CP_LINE_MAX];
	enum cp_severity severity;
	struct writer w;

	tls_certificate_describe(certificate, profile, role, &shown);
	if (!tls_expiry_judge(shown.not_after_wall_ms, round->now_wall_ms, &severity, text))
		return;
	writer_init(&w, subject, sizeof(subject) - 1);
	/* Its first octets tell one certificate from its successor of the same name. */
	writer_format(&w, "%.63s %.11s %.40s", profile, shown.fingerprint, shown.subject);
	subject[w.len] = '\0';
	alarm_raise(round->alarms, CP_ALARM_CERTIFICATE_EXPIRY, severity, subject, text);
}

void tls_expiry_check(struct tls *tls, struct alarms *alarms, uint64_t now_wall_ms)
{
	struct round round = { alarms, now_wall_ms };

	alarm_round_begin(alarms, CP_ALARM_CERTIFICATE_EXPIRY);
	tls_each_certificate(tls, check_one, &round);
	alarm_round_end(alarms, CP_ALARM_CERTIFICATE_EXPIRY);
}

struct page {
	uint64_t after, number;
	size_t limit;
	struct cp_certificate_page *head;
	struct cp_certificate *out;
};

static void list_one(
	void *arg, const char *profile, struct x509_st *certificate, enum tls_certificate_role role)
{
	struct page *page = arg;
	struct cp_certificate *to;

	if (++page->number <= page->after)
		return;
	if (page->head->count == page->limit) {
		page->head->more = 1;
		return;
	}
	to = &page->out[page->head->count++];
	tls_certificate_describe(certificate, profile, role, to);
	to->number = page->number;
}

void tls_certificates_list(struct tls *tls, uint64_t after, size_t limit, struct cp_certificate_page *page,
	struct cp_certificate *out)
{
	struct page fill = { .after = after, .limit = limit, .head = page, .out = out };

	*page = (struct cp_certificate_page){ 0 };
	if (tls)
		tls_each_certificate(tls, list_one, &fill);
}

static void on_hour(uv_timer_t *timer)
{
	const struct tls_expiry *expiry = (const struct tls_expiry *)timer;

	tls_expiry_check(expiry->tls, expiry->alarms, clock_wall_ms());
}

int tls_expiry_new(uv_loop_t *loop, struct tls *tls, struct alarms *alarms, struct tls_expiry **out)
{
	struct tls_expiry *expiry = calloc(1, sizeof(*expiry));

	if (!expiry)
		return -ENOMEM;
	expiry->tls = tls;
	expiry->alarms = alarms;
	uv_timer_init(loop, &expiry->timer);
	uv_timer_start(&expiry->timer, on_hour, 0, HOUR_MS);
	uv_unref((uv_handle_t *)&expiry->timer);
	*out = expiry;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void tls_expiry_free(struct tls_expiry *expiry)
{
	if (expiry)
		uv_close((uv_handle_t *)&expiry->timer, on_closed);
}
