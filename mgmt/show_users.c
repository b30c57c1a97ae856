/* SPDX-License-Identifier: BSD-3-Clause */
/* show users: who may log in, who is logged in now, and when each was here last. */
#include <string.h>

#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/store.h"
#include "mgmt/value.h"
#include "platforms/base/clock.h"

static const struct column user_columns[] = {
	{ "user", "USER", COLUMN_TEXT, true },
	{ "role", "ROLE", COLUMN_TEXT, false },
	{ "keys", "KEYS", COLUMN_NUMBER, false },
	{ "password", "PASSWORD", COLUMN_FLAG, false },
	{ "sessions", "SESSIONS", COLUMN_NUMBER, false },
	{ "last-login", "LAST LOGIN", COLUMN_TEXT, false },
	{ "last-login-from", "FROM", COLUMN_TEXT, false },
};

static const struct column session_columns[] = {
	{ "user", "USER", COLUMN_TEXT, true },
	{ "role", "ROLE", COLUMN_TEXT, false },
	{ "from", "FROM", COLUMN_TEXT, false },
	{ "since", "SINCE", COLUMN_TEXT, false },
	{ "idle-seconds", "IDLE", COLUMN_SECONDS, false },
	{ "edits", "EDITS", COLUMN_FLAG, false },
};

static json_int_t sessions_of(const struct session_world *world, const char *name)
{
	json_int_t count = 0;

	for (const struct session *s = world->sessions != NULL ? *world->sessions : NULL; s != NULL;
		s = s->next)
		count += s->logged_in && strcmp(s->user, name) == 0;
	return count;
}

static json_t *user_row(const struct session_world *world, const struct config_user *user)
{
	json_t *row = json_object();
	struct last_login login = { .wall_ms = 0 };
	char at[CLOCK_TEXT_MAX];

	if (world->store != NULL)
		(void)mgmt_store_login_get(world->store, user->name, &login);
	value_set(row, "user", json_string(user->name));
	value_set(row, "role", json_string(session_role_name(user->role)));
	value_set(row, "keys", value_uint(user->keys.count));
	value_set(
		row, "password", json_boolean(user->password_hash != NULL && user->password_hash[0] != '\0'));
	value_set(row, "sessions", json_integer(sessions_of(world, user->name)));
	value_set(row, "last-login",
		login.wall_ms > 0 ? json_string(clock_print_wall(login.wall_ms, at)) : json_null());
	value_set(row, "last-login-from", value_text(login.from, sizeof(login.from)));
	return row;
}

static json_t *session_row(const struct session *session)
{
	json_t *row = json_object();
	char at[CLOCK_TEXT_MAX];

	value_set(row, "user", VALUE_FIELD(session->user));
	value_set(row, "role", json_string(session_role_name(session->role)));
	value_set(row, "from", VALUE_FIELD(session->from));
	value_set(row, "since", json_string(clock_print_wall(session->since_wall_ms, at)));
	value_set(row, "idle-seconds", value_uint((clock_now_ms() - session->active_ms) / 1000));
	value_set(row, "edits", json_boolean(session->candidate != NULL));
	return row;
}

static json_t *document_of(const struct session_world *world)
{
	const struct config *config = *world->config;
	json_t *document = json_object(), *users = json_array(), *sessions = json_array();

	for (size_t i = 0; i < config->users_count; i++)
		value_append(users, user_row(world, &config->users[i]));
	for (const struct session *s = world->sessions != NULL ? *world->sessions : NULL; s != NULL;
		s = s->next)
		value_append(sessions, session_row(s));
	value_set(document, "users", users);
	value_set(document, "sessions", sessions);
	return document;
}

void show_users(struct request *request)
{
	const struct session_world *world = request->session != NULL ? request->session->world : NULL;
	json_t *document;

	if (world == NULL || world->config == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "there is no configuration with users here");
		return;
	}
	document = document_of(world);
	if (request->json) {
		render_json(&request->output, document);
	} else {
		render_table(&request->output, json_object_get(document, "users"), user_columns,
			sizeof(user_columns) / sizeof(user_columns[0]), request->width);
		output_text(&request->output, "\n");
		render_table(&request->output, json_object_get(document, "sessions"), session_columns,
			sizeof(session_columns) / sizeof(session_columns[0]), request->width);
	}
	json_decref(document);
	request_finish(request, MGMT_EXIT_OK);
}
