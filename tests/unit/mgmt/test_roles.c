/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of who may give which command: the whole table, by each role; and of who may say who he is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mgmt/audit.h"
#include "mgmt/command.h"
#include "mgmt/complete.h"
#include "mgmt/request.h"
#include "mgmt/session.h"
#include "platforms/base/log.h"

static struct {
	char error[4096];
	unsigned dones;
	uint32_t exit;
} got;

static const struct neighbours nobody = {
	.path = { "/run/sallyport/dataplane.sock", "/run/sallyport/controlplane.sock" },
};

static int take(void *arg, uint16_t type, int16_t status, const void *body, size_t length)
{
	struct mgmt_done done;

	(void)arg;
	(void)status;
	if (type == MGMT_ERROR && length < sizeof(got.error)) {
		memcpy(got.error, body, length);
		got.error[length] = '\0';
	} else if (type == MGMT_DONE) {
		memcpy(&done, body, sizeof(done));
		got.exit = done.exit;
		got.dones++;
	}
	return 0;
}

static void finished(void *arg)
{
	(void)arg;
}

static const struct request_sink sink = { .send = take, .finished = finished };

/* A command with an argument in each place where one is needed, by a role. */
static void give(const struct command *command, enum config_role role)
{
	struct session *session = session_new(NULL, 1000);
	struct request *request = request_new(&nobody, &sink, NULL);
	struct {
		struct mgmt_command header;
		char words[512];
	} body = { .header = { .words = 0 } };
	struct writer words;
	struct span rest = span_from(command->words), arguments = span_from(command->arguments);

	assert_non_null(session);
	assert_non_null(request);
	session->role = role;
	writer_init(&words, body.words, sizeof(body.words));
	for (; rest.n > 0; body.header.words++) {
		writer_span(&words, span_cut(&rest, ' '));
		writer_char(&words, '\0');
	}
	for (; arguments.n > 0; body.header.words++) {
		span_cut(&arguments, ' ');
		writer_text(&words, "1");
		writer_char(&words, '\0');
	}
	memset(&got, 0, sizeof(got));
	request_set_session(request, session);
	request_run(request, &body, sizeof(body.header) + words.len);
	assert_int_equal(got.dones, 1);
	session_free(session);
}

static void each_command_is_refused_below_its_role_and_reached_from_it_on(void **state)
{
	(void)state;
	for (const struct command *command = command_table; command->words != NULL; command++) {
		for (enum config_role role = CONFIG_ROLE_MONITOR; role <= CONFIG_ROLE_ADMIN; role++) {
			bool refused;

			if (command->start == NULL)
				continue;
			give(command, role);
			refused = strstr(got.error, "is for the role") != NULL;
			if (refused != (role < command->role))
				fail_msg("%s by %s: %s", command->words, session_role_name(role), got.error);
			if (refused)
				assert_int_equal(got.exit, MGMT_EXIT_FAILED);
		}
	}
}

/* Whoever adds a command that a monitor may give must find that it changes nothing, and say so here. */
static void a_monitor_reaches_only_what_shows(void **state)
{
	static const char *const others[] = { "subscriber list", "authorized-keys" };

	(void)state;
	for (const struct command *command = command_table; command->words != NULL; command++) {
		bool shows = strncmp(command->words, "show ", 5) == 0;

		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			shows = shows || strcmp(command->words, others[i]) == 0;
		if (command->role == CONFIG_ROLE_MONITOR && command->start != NULL && !shows)
			fail_msg("%s is open to a monitor", command->words);
	}
}

static void what_a_role_may_not_do_is_not_offered_to_it(void **state)
{
	char text[16384];
	struct mgmt_command header = { .words = 0 };
	struct session *session = session_new(NULL, 1000);
	struct writer out;

	(void)state;
	writer_init(&out, text, sizeof(text));
	assert_int_equal(complete_words(session, &header, sizeof(header), &out), 0);
	assert_non_null(memmem(text, out.len, "\0show", 6));
	assert_null(memmem(text, out.len, "\0commit", 8));
	session->role = CONFIG_ROLE_ADMIN;
	writer_init(&out, text, sizeof(text));
	assert_int_equal(complete_words(session, &header, sizeof(header), &out), 0);
	assert_non_null(memmem(text, out.len, "\0commit", 8));
	session_free(session);
}

static void completion_takes_only_whole_words(void **state)
{
	struct {
		struct mgmt_command header;
		char words[5];
	} body = { { .words = 1 }, "show" };
	char text[16384];
	struct session *session = session_new(NULL, 1000);
	struct writer out;

	(void)state;
	writer_init(&out, text, sizeof(text));
	assert_int_equal(complete_words(session, &body, 3, &out), -EBADMSG);
	assert_int_equal(complete_words(session, &body, sizeof(body.header) + 4, &out), -EBADMSG);
	body.header.words = MGMT_WORDS_MAX + 1;
	assert_int_equal(complete_words(session, &body, sizeof(body.header) + 5, &out), -EBADMSG);
	body.header.words = 1;
	assert_int_equal(complete_words(session, &body, sizeof(body.header) + 5, &out), 0);
	assert_non_null(memmem(text, out.len, "\0calls", 7));
	session_free(session);
}

static void a_login_is_believed_of_root_and_our_own_user_alone(void **state)
{
	char name[] = "ada";
	struct config_user user = { .name = name, .role = CONFIG_ROLE_OPERATOR };
	struct config config = { .users = &user, .users_count = 1 };
	const struct config *running = &config;
	const struct session_world world = { .config = &running };
	const struct mgmt_login login = { .user = "ada", .from = "192.0.2.1" }, other = { .user = "eve" };
	struct mgmt_login endless;
	const uint32_t strangers[] = { geteuid() + 1, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct session *session = session_new(&world, strangers[i]);

		assert_int_equal(session->role, CONFIG_ROLE_MONITOR);
		assert_int_equal(session_login(session, strangers[i], &login), -EPERM);
		assert_int_equal(session->role, CONFIG_ROLE_MONITOR);
		session_free(session);
	}
	struct session *session = session_new(&world, 0);

	assert_int_equal(session->role, CONFIG_ROLE_ADMIN);
	memset(&endless, 'a', sizeof(endless));
	assert_int_equal(session_login(session, 0, &endless), -EINVAL);
	assert_int_equal(session_login(session, 0, &login), 0);
	assert_int_equal(session->role, CONFIG_ROLE_OPERATOR);
	assert_string_equal(session->user, "ada");
	assert_string_equal(session->from, "192.0.2.1");
	assert_int_equal(session_login(session, 0, &login), -EPERM); /* once */
	session_free(session);
	session = session_new(&world, 0);
	assert_int_equal(session_login(session, 0, &other), -ENOENT);
	assert_int_equal(session->role, CONFIG_ROLE_MONITOR);
	session_free(session);
}

static const char *audited(const struct span *words, size_t count)
{
	static char text[256];
	struct writer out;

	writer_init(&out, text, sizeof(text) - 1);
	audit_words(words, count, &out);
	text[out.len] = '\0';
	return text;
}

static void what_is_written_down_has_no_secrets_and_nothing_for_a_terminal(void **state)
{
	const struct span set[] = { SPAN("set"), SPAN("user"), SPAN("a"), SPAN("password-hash"), SPAN("="),
		SPAN("$6$x") };
	const struct span inside[] = { SPAN("set"), SPAN("password"), SPAN("x y"), SPAN("z") };
	const struct span glued[] = { SPAN("set"), SPAN("session-agent"), SPAN("a=b"), SPAN("password=x"),
		SPAN("z") };
	const struct span hostile[] = { SPAN("show"), SPAN("\033[2J\n\x9b"), SPAN("a b"), SPAN("") };

	(void)state;
	assert_string_equal(audited(set, 6), "set user a password-hash = ********");
	assert_string_equal(audited(inside, 4), "set password ******** ********");
	assert_string_equal(audited(glued, 5), "set session-agent a=b password=******** ********");
	assert_string_equal(audited(hostile, 4), "show ?[2J?? \"a b\" \"\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_is_refused_below_its_role_and_reached_from_it_on),
		cmocka_unit_test(a_monitor_reaches_only_what_shows),
		cmocka_unit_test(what_a_role_may_not_do_is_not_offered_to_it),
		cmocka_unit_test(completion_takes_only_whole_words),
		cmocka_unit_test(a_login_is_believed_of_root_and_our_own_user_alone),
		cmocka_unit_test(what_is_written_down_has_no_secrets_and_nothing_for_a_terminal),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
