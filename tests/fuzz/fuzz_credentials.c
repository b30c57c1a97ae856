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
	free(copy);
	return 0;
}
