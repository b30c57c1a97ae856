/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections' users and candidates. */
#include "mgmt/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/commit.h"
#include "mgmt/store.h"
#include "platforms/base/clock.h"
#include "platforms/base/log.h"

const char *session_role_name(enum config_role role)
{
	static const char *const names[] = { [CONFIG_ROLE_MONITOR] = "monitor",
		[CONFIG_ROLE_OPERATOR] = "operator",
		[CONFIG_ROLE_ADMIN] = "admin" };

	return names[role];
}

struct session *session_new(const struct session_world *world, uint32_t uid)
{
	struct session *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return NULL;
	session->world = world;
	session->role = uid == 0 ? CONFIG_ROLE_ADMIN : CONFIG_ROLE_MONITOR;
	if (uid == 0)
		(void)snprintf(session->user, sizeof(session->user), "root");
	else if (uid == UINT32_MAX)
		(void)snprintf(session->user, sizeof(session->user), "unknown");
	else
		(void)snprintf(session->user, sizeof(session->user), "uid %u", uid);
	(void)snprintf(session->from, sizeof(session->from), "local");
	session->since_wall_ms = clock_wall_ms();
	session_touch(session);
	if (world != NULL && world->sessions != NULL) {
		session->next = *world->sessions;
		*world->sessions = session;
	}
	return session;
}

void session_touch(struct session *session)
{
	session->active_ms = clock_now_ms();
}

static void leave_list(struct session *session)
{
	const struct session_world *world = session->world;
	struct session **at = world != NULL ? world->sessions : NULL;

	while (at != NULL && *at != NULL && *at != session)
		at = &(*at)->next;
	if (at != NULL && *at == session)
		*at = session->next;
}

static void forget_edit(struct session *session)
{
	for (size_t i = 0; i < session->edit_words; i++)
		free((char *)(uintptr_t)session->edit[i].p);
	session->edit_words = 0;
}

void session_free(struct session *session)
{
	if (session == NULL)
		return;
	leave_list(session);
	forget_edit(session);
	config_document_free(session->candidate);
	free(session);
}

static void note_login(const struct session *session)
{
	struct mgmt_store *store = session->world->store;
	int error = store != NULL ? mgmt_store_login_set(store, session->user, session->from) : 0;

	if (error)
		log_warning("mgmt", "a login cannot be written down", LOG_ERRNO("error", error));
}

int session_login(struct session *session, uint32_t uid, const struct mgmt_login *login)
{
	const struct config *config = session->world != NULL ? *session->world->config : NULL;

	if ((uid != 0 && uid != geteuid()) || session->logged_in || config == NULL)
		return -EPERM;
	if (memchr(login->user, '\0', sizeof(login->user)) == NULL ||
		memchr(login->from, '\0', sizeof(login->from)) == NULL)
		return -EINVAL;
	for (size_t i = 0; i < config->users_count; i++) {
		if (strcmp(config->users[i].name, login->user) != 0)
			continue;
		session->logged_in = true;
		session->role = config->users[i].role;
		(void)snprintf(session->user, sizeof(session->user), "%s", login->user);
		(void)snprintf(session->from, sizeof(session->from), "%s", login->from);
		note_login(session);
		return 0;
	}
	session->role = CONFIG_ROLE_MONITOR;
	return -ENOENT;
}

struct config_document *session_candidate(struct session *session)
{
	if (session->candidate == NULL && session->world != NULL && session->world->commits != NULL) {
		session->candidate = config_document_copy(commits_running(session->world->commits));
		session->base = *commits_digest(session->world->commits);
	}
	return session->candidate;
}

void session_discard(struct session *session)
{
	config_document_free(session->candidate);
	session->candidate = NULL;
}

void session_replace(struct session *session, struct config_document *document)
{
	if (session->candidate == NULL)
		session->base = *commits_digest(session->world->commits);
	config_document_free(session->candidate);
	session->candidate = document;
}

int session_edit(struct session *session, const struct span *words, size_t count)
{
	struct span copy[CONFIG_PATH_WORDS_MAX] = { { NULL, 0 } };
	size_t n = 0;

	for (; n < count && n < CONFIG_PATH_WORDS_MAX; n++) {
		copy[n].p = span_dup(words[n]);
		copy[n].n = words[n].n;
		if (copy[n].p == NULL)
			break;
	}
	if (n < count) {
		while (n > 0)
			free((char *)(uintptr_t)copy[--n].p);
		return -ENOMEM;
	}
	forget_edit(session);
	memcpy(session->edit, copy, n * sizeof(copy[0]));
	session->edit_words = n;
	return 0;
}
