/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: what a stranger writes into Authorization and To, and what a registrar writes into its challenge. Spans stay inside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/digest.h"
#include "controlplane/guard_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void require_inside(struct span span, struct span text)
{
	require(span.n == 0 || (span.p >= text.p && span.p + span.n <= text.p + text.n));
}

static void check_credentials(struct span text)
{
	struct digest_credentials c;

	if (digest_credentials_parse(text, &c) != 0)
		return;
	require_inside(c.username, text);
	require_inside(c.realm, text);
	require_inside(c.nonce, text);
	require_inside(c.uri, text);
	require_inside(c.response, text);
	require_inside(c.cnonce, text);
	require_inside(c.count, text);
	require(c.username.n <= DIGEST_TEXT_MAX && c.nonce.n <= DIGEST_TEXT_MAX);
	require(!c.has_qop || (c.cnonce.p && c.count.p));
}

/* A challenge made after it is as long, and has its own nonce. */
static void check_form(struct span text)
{
	struct config_session_agent agent = { 0 };
	struct config config = { .session_agents = &agent, .session_agents_count = 1 };
	struct guard_forms *forms = guard_forms_new(&config);
	static char out[4096];
	struct writer w;

	require(forms != NULL);
	guard_forms_learn(forms, &agent, text);
	writer_init(&w, out, sizeof(out));
	guard_forms_write(forms, &agent, &w);
	require(!w.overflow && w.len > 0);
	guard_forms_free(forms);
}

static uint64_t fixed_now(void)
{
	return 1000000;
}

/* A seal goes on without changing what is there, and comes off; what is taken off was the seal's and no other's. */
static void check_seal(struct span text)
{
	static char sealed[21000], back[21000];
	struct guard guard = { .now_ms = fixed_now };
	struct sip_flow flow = { .remote.in4.sin_family = AF_INET };
	struct digest_challenge parsed;
	struct writer on, off;

	require_inside(guard_parameter(text, SPAN("opaque")), text);
	writer_init(&off, back, sizeof(back));
	guard_unseal(text, &off);
	require(!off.overflow && off.len <= text.n);
	writer_init(&on, sealed, sizeof(sealed));
	guard_seal(&guard, &flow, text, &on);
	require(!on.overflow && (on.len == text.n || on.len == text.n + 26 || on.len == text.n + 37));
	writer_init(&off, back, sizeof(back));
	guard_unseal(writer_result(&on), &off);
	/* Whoever can read the challenge at all gets it back as it was. */
	if (digest_challenge_parse(text, &parsed) == 0 && on.len != text.n && text.n < 512)
		require(span_equal(writer_result(&off), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of exactly its size, so that one octet too far is seen. */
	char *copy = malloc(size ? size : 1);
	struct span text = { copy, size };

	require(copy != NULL);
	if (size)
		memcpy(copy, data, size);
	check_credentials(text);
	require_inside(guard_user_of(text), text);
	require_inside(guard_nonce_of(text), text);
	check_form(text);
	check_seal(text);
	free(copy);
	return 0;
}
