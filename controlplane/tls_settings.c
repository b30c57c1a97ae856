/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings of a tls-profile of our own: sessions go by them for as long as they last, whatever the configuration has become. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tls_internal.h"

enum { TEXTS = 10 };

/* Those that may be NULL are as good as empty. */
static void texts_of(struct config_tls_profile *settings, char **text[TEXTS])
{
	char **const all[TEXTS] = { &settings->name, &settings->certificate, &settings->key,
		&settings->second_certificate, &settings->second_key, &settings->ca, &settings->crl,
		&settings->ciphers, &settings->cipher_suites, &settings->curves };

	memcpy(text, all, sizeof(all));
}

static int strings_copy(const struct config_strings *from, struct config_strings *to)
{
	*to = (struct config_strings){ calloc(from->count + 1, sizeof(char *)), 0 };
	for (; to->item && to->count < from->count; to->count++) {
		to->item[to->count] = strdup(from->item[to->count]);
		if (!to->item[to->count])
			break;
	}
	return to->item && to->count == from->count ? 0 : -ENOMEM;
}

static void strings_free(struct config_strings *strings)
{
	for (size_t i = 0; strings->item && i < strings->count; i++)
		free(strings->item[i]);
	free(strings->item);
}

void tls_settings_free(struct config_tls_profile *settings)
{
	char **text[TEXTS];

	if (!settings)
		return;
	texts_of(settings, text);
	for (size_t i = 0; i < TEXTS; i++)
		free(*text[i]);
	strings_free(&settings->server_names);
	strings_free(&settings->pins);
	free(settings);
}

struct config_tls_profile *tls_settings_copy(const struct config_tls_profile *from)
{
	struct config_tls_profile *settings = malloc(sizeof(*settings));
	char **text[TEXTS];
	int error;

	if (!settings)
		return NULL;
	*settings = *from;
	texts_of(settings, text);
	for (size_t i = 0; i < TEXTS; i++)
		*text[i] = strdup(*text[i] ? *text[i] : "");
	error = strings_copy(&from->server_names, &settings->server_names);
	error = strings_copy(&from->pins, &settings->pins) ? -ENOMEM : error;
	for (size_t i = 0; i < TEXTS; i++)
		error = *text[i] ? error : -ENOMEM;
	if (error == 0)
		return settings;
	tls_settings_free(settings);
	return NULL;
}

static bool strings_equal(const struct config_strings *a, const struct config_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->item[i], b->item[i]) != 0)
			return false;
	return true;
}

bool tls_settings_equal(const struct config_tls_profile *a, const struct config_tls_profile *b)
{
	struct config_tls_profile x = *a, y = *b;
	char **of_x[TEXTS], **of_y[TEXTS];

	texts_of(&x, of_x);
	texts_of(&y, of_y);
	for (size_t i = 0; i < TEXTS; i++)
		if (strcmp(*of_x[i] ? *of_x[i] : "", *of_y[i] ? *of_y[i] : "") != 0)
			return false;
	return strings_equal(&a->server_names, &b->server_names) && strings_equal(&a->pins, &b->pins) &&
	       a->verify_peer == b->verify_peer && a->verify_server == b->verify_server &&
	       a->session_tickets == b->session_tickets &&
	       a->session_ticket_lifetime == b->session_ticket_lifetime &&
	       a->minimum_version == b->minimum_version;
}
