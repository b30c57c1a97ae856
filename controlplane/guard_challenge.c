/* SPDX-License-Identifier: BSD-3-Clause */
/* What each registrar's challenges look like, so that one can be made that looks the same. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/guard_internal.h"
#include "platforms/base/clock.h"
#include "platforms/base/random.h"

enum { FORM_MAX = 512, EPOCH_DIGITS = 10 };

struct form {
	size_t length; /* 0: none seen yet */
	char text[FORM_MAX];
};

struct guard_forms {
	const struct config *config;
	pthread_mutex_t lock;
	size_t count;
	struct form form[]; /* lock; one for each session-agent */
};

struct guard_forms *guard_forms_new(const struct config *config)
{
	struct guard_forms *forms =
		calloc(1, sizeof(*forms) + config->session_agents_count * sizeof(struct form));

	if (!forms)
		return NULL;
	forms->config = config;
	forms->count = config->session_agents_count;
	pthread_mutex_init(&forms->lock, NULL);
	return forms;
}

void guard_forms_free(struct guard_forms *forms)
{
	if (!forms)
		return;
	pthread_mutex_destroy(&forms->lock);
	free(forms);
}

void guard_forms_take(
	struct guard_forms *forms, const struct guard_forms *old, const struct config_move *move)
{
	for (size_t i = 0; i < forms->count; i++) {
		ptrdiff_t origin = config_move_origin(move, CONFIG_KIND_session_agent, i);

		if (origin >= 0 && (size_t)origin < old->count)
			forms->form[i] = old->form[origin];
	}
}

static struct form *form_of(struct guard_forms *forms, const struct config_session_agent *agent)
{
	ptrdiff_t index = config_session_agent_index(forms->config, agent);

	return index == CONFIG_NOWHERE ? NULL : &forms->form[index];
}

void guard_forms_learn(
	struct guard_forms *forms, const struct config_session_agent *agent, struct span challenge)
{
	struct form *form = form_of(forms, agent);

	if (!form || challenge.n > FORM_MAX || guard_nonce_of(challenge).n == 0)
		return;
	pthread_mutex_lock(&forms->lock);
	memcpy(form->text, challenge.p, challenge.n);
	form->length = challenge.n;
	pthread_mutex_unlock(&forms->lock);
}

static bool is_lower_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* A character of the same kind. */
static char random_like(char c, bool hex)
{
	static const char digits[] = "0123456789abcdef";
	unsigned random = (unsigned)(random_u64() >> 32);

	if (hex && is_lower_hex(c))
		return digits[random % 16];
	if (c >= '0' && c <= '9')
		return (char)('0' + random % 10);
	if (c >= 'a' && c <= 'z')
		return (char)('a' + random % 26);
	if (c >= 'A' && c <= 'Z')
		return (char)('A' + random % 26);
	return c;
}

static size_t leading_digits(struct span text)
{
	size_t n = 0;

	while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
		n++;
	return n;
}

/* Many begin with the time: now's. The rest is random, letters for letters. */
static void write_nonce(struct span like, struct writer *out)
{
	size_t i = 0;
	bool hex = true;

	if (leading_digits(like) == EPOCH_DIGITS) {
		writer_uint(out, clock_wall_ms() / 1000);
		i = EPOCH_DIGITS;
	}
	for (size_t n = i; n < like.n; n++)
		hex = hex &&
		      (is_lower_hex(like.p[n]) || like.p[n] == '/' || like.p[n] == '-' || like.p[n] == ':');
	for (; i < like.n; i++)
		writer_char(out, random_like(like.p[i], hex));
}

static void write_own(const struct guard_forms *forms, struct writer *out)
{
	char nonce[33];

	random_token(nonce, 32);
	writer_text(out, "Digest realm=\"");
	writer_text(out, forms->config->system.name ? forms->config->system.name : "sip");
	writer_text(out, "\", nonce=\"");
	writer_text(out, nonce);
	writer_text(out, "\", algorithm=MD5, qop=\"auth\"");
}

void guard_forms_write(
	struct guard_forms *forms, const struct config_session_agent *agent, struct writer *out)
{
	const struct form *form = form_of(forms, agent);
	struct form copy = { 0 };
	struct span text, nonce;
	size_t before;

	if (form) {
		pthread_mutex_lock(&forms->lock);
		copy = *form;
		pthread_mutex_unlock(&forms->lock);
	}
	if (copy.length == 0) {
		write_own(forms, out);
		return;
	}
	text = (struct span){ copy.text, copy.length };
	nonce = guard_nonce_of(text);
	before = (size_t)(nonce.p - text.p);
	writer_span(out, (struct span){ text.p, before });
	write_nonce(nonce, out);
	writer_span(out, (struct span){ nonce.p + nonce.n, text.n - before - nonce.n });
}
