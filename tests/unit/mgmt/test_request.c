/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the command request as it comes over the socket: bounds of its encoding, and the answers without neighbours. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "mgmt/request.h"

static struct {
	char text[65536], error[4096];
	size_t text_length;
	unsigned dones, finished;
	int status;
	uint32_t exit;
} got;

static int take(void *arg, uint16_t type, int16_t status, const void *body, size_t length)
{
	(void)arg;
	assert_int_equal(got.dones, 0);
	if (type == MGMT_TEXT) {
		assert_true(got.text_length + length < sizeof(got.text));
		memcpy(got.text + got.text_length, body, length);
		got.text_length += length;
	} else if (type == MGMT_ERROR) {
		assert_true(length < sizeof(got.error));
		memcpy(got.error, body, length);
		got.error[length] = '\0';
	} else {
		assert_int_equal(type, MGMT_DONE);
		assert_int_equal(length, sizeof(struct mgmt_done));
		got.exit = ((const struct mgmt_done *)body)->exit;
		got.status = status;
		got.dones++;
	}
	return 0;
}

static void finished(void *arg)
{
	(void)arg;
	got.finished++;
}

static const struct request_sink sink = { .send = take, .finished = finished };

static const struct neighbours nobody = {
	.name = "sbc1",
	.path = { "/run/sallyport/dataplane.sock", "/run/sallyport/controlplane.sock" },
	.generation = 0xabc,
};

/* Runs one encoded command; it must be answered exactly once. */
static void run(struct mgmt_command header, const char *words, size_t length)
{
	static char body[sizeof(header) + MGMT_WORDS_MAX * MGMT_WORD_MAX + 1];
	struct request *request = request_new(&nobody, &sink, NULL);

	memset(&got, 0, sizeof(got));
	memcpy(body, &header, sizeof(header));
	memcpy(body + sizeof(header), words, length);
	request_run(request, body, sizeof(header) + length);
	assert_int_equal(got.dones, 1);
	assert_int_equal(got.finished, 1);
}

#define RUN(words, flags, text) run((struct mgmt_command){ (words), (flags), 80, 0 }, (text), sizeof(text))

static void malformed_requests_are_refused(void **state)
{
	char long_word[MGMT_WORD_MAX + 1];
	static char many[MGMT_WORDS_MAX * MGMT_WORD_MAX + 1];

	(void)state;
	RUN(0, 0, "show");
	assert_int_equal(got.status, -EBADMSG);
	RUN(MGMT_WORDS_MAX + 1, 0, "show");
	assert_int_equal(got.status, -EBADMSG);
	RUN(2, 0, "show"); /* a word is missing */
	assert_int_equal(got.status, -EBADMSG);
	RUN(1, 0, "show\0status"); /* one is too many */
	assert_int_equal(got.status, -EBADMSG);
	RUN(1, 0x8000, "show"); /* a flag we do not know */
	assert_int_equal(got.status, -EBADMSG);
	run((struct mgmt_command){ 1, 0, 80, 0 }, "show", 4); /* no NUL */
	assert_int_equal(got.status, -EBADMSG);
	run((struct mgmt_command){ 1, 0, 80, 0 }, "", 0);
	assert_int_equal(got.status, -EBADMSG);
	memset(long_word, 'a', sizeof(long_word) - 1);
	long_word[MGMT_WORD_MAX] = '\0';
	run((struct mgmt_command){ 1, 0, 80, 0 }, long_word, sizeof(long_word));
	assert_int_equal(got.status, -EBADMSG);
	memset(many, 0, sizeof(many));
	run((struct mgmt_command){ 1, 0, 80, 0 }, many, sizeof(many));
	assert_int_equal(got.status, -EBADMSG);
	assert_int_equal(got.exit, MGMT_EXIT_USAGE);
}

static void a_body_shorter_than_its_header_is_refused(void **state)
{
	struct request *request = request_new(&nobody, &sink, NULL);

	(void)state;
	memset(&got, 0, sizeof(got));
	request_run(request, "", 0);
	assert_int_equal(got.status, -EBADMSG);
}

static void the_longest_word_still_passes(void **state)
{
	char word[MGMT_WORD_MAX];

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	run((struct mgmt_command){ 1, 0, 80, 0 }, word, sizeof(word));
	assert_int_equal(got.status, 0);
	assert_int_equal(got.exit, MGMT_EXIT_USAGE);
	assert_non_null(strstr(got.error, "unknown word"));
}

static void wrong_words_are_a_usage_error(void **state)
{
	(void)state;
	RUN(2, 0, "show\0claals");
	assert_int_equal(got.exit, MGMT_EXIT_USAGE);
	assert_string_equal(got.error, "unknown word \"claals\": did you mean \"calls\"?");
	assert_int_equal(got.text_length, 0);
}

static void local_commands_are_not_run_for_others(void **state)
{
	(void)state;
	RUN(3, 0, "config\0check\0/etc/shadow");
	assert_int_equal(got.exit, MGMT_EXIT_USAGE);
	assert_non_null(strstr(got.error, "program itself"));
}

static void commands_say_which_neighbour_is_not_there(void **state)
{
	(void)state;
	RUN(2, 0, "show\0interfaces");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	assert_string_equal(got.error,
		"the dataplane is not there: nothing answers at /run/sallyport/dataplane.sock; "
		"is sallyport-dataplane running?");
	RUN(2, MGMT_JSON, "show\0calls");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	assert_string_equal(got.error,
		"the controlplane is not there: nothing answers at /run/sallyport/controlplane.sock; "
		"is sallyport-controlplane running?");
	assert_int_equal(got.text_length, 0);
	RUN(3, 0, "show\0call\0000-1");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	RUN(2, 0, "show\0counters");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
}

static void a_bad_call_number_is_a_usage_error(void **state)
{
	(void)state;
	RUN(3, 0, "show\0call\0x");
	assert_int_equal(got.exit, MGMT_EXIT_USAGE);
	assert_non_null(strstr(got.error, "SHARD-NUMBER"));
}

static void bad_sources_and_options_are_usage_errors_that_say_what_is_allowed(void **state)
{
	static const struct {
		const char *words;
		size_t length;
		unsigned count;
		const char *error;
	} cases[] = {
#define CASE(count, words, error) { words, sizeof(words), count, error }
		CASE(2, "ban\0x", "\"x\" is no source: an address (192.0.2.1"),
		CASE(2, "unban\000192.0.2.1/24", "no bits set behind its length (192.0.2.0/24)"),
		CASE(2, "ban\0\x1b[2J", "\"?[2J\" is no source"),
		CASE(3, "show\0block\0nobody", "\"nobody\" is no source"),
		CASE(3, "show\0bans\0%s%n", "\"%s%n\" is no source"),
		CASE(3, "show\0trusted\0", "\"\" is no source"),
		CASE(3, "show\0flows\0core", "\"core\" is no source"),
		CASE(3, "show\0flows\0realm", "followed by a network or by \"realm NAME\""),
		CASE(4, "show\0flows\0core\0realm", "followed by a network or by \"realm NAME\""),
		CASE(4, "show\0flows\0realm\0", "1 to 63 characters"),
		CASE(4, "ban\0001.2.3.4\0for\0000", "seconds, 1..31536000"),
		CASE(4, "ban\0001.2.3.4\0for\00031536001", "seconds, 1..31536000"),
		CASE(4, "ban\0001.2.3.4\0for\00018446744073709551616", "seconds, 1..31536000"),
		CASE(4, "ban\0001.2.3.4\0for\0-1", "seconds, 1..31536000"),
		CASE(3, "ban\0001.2.3.4\0for", "for SECONDS, reason TEXT, force"),
		CASE(3, "ban\0001.2.3.4\0forever", "for SECONDS, reason TEXT, force"),
		CASE(4, "ban\0001.2.3.4\0force\0force", "for SECONDS, reason TEXT, force"),
		CASE(6, "ban\0001.2.3.4\0for\0001\0for\0002", "for SECONDS, reason TEXT, force"),
		CASE(4, "ban\0001.2.3.4\0reason\0", "1..39 octets"),
		CASE(4, "ban\0001.2.3.4\0reason\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1..39 octets"),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run((struct mgmt_command){ (uint16_t)cases[i].count, 0, 80, 0 }, cases[i].words,
			cases[i].length);
		assert_int_equal(got.status, 0);
		assert_int_equal(got.exit, MGMT_EXIT_USAGE);
		assert_non_null(strstr(got.error, cases[i].error));
		assert_null(strchr(got.error, '\x1b'));
	}
}

static void the_borders_commands_say_that_who_answers_them_is_not_there(void **state)
{
	(void)state;
	RUN(2, 0, "ban\0001.2.3.4");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	assert_non_null(strstr(got.error, "the controlplane is not there"));
	RUN(7, 0, "ban\0001.2.3.4\0reason\0for\0for\0005\0force");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	RUN(2, MGMT_JSON, "unban\0001.2.3.4");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	RUN(2, MGMT_JSON, "show\0bans");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	assert_int_equal(got.text_length, 0);
	RUN(2, MGMT_JSON, "show\0realms");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	RUN(3, MGMT_JSON, "show\0block\0::/0");
	assert_int_equal(got.exit, MGMT_EXIT_FAILED);
	assert_int_equal(got.text_length, 0);
}

static void status_works_alone_and_says_so(void **state)
{
	json_t *document;

	(void)state;
	RUN(2, MGMT_JSON, "show\0status");
	assert_int_equal(got.exit, MGMT_EXIT_OK);
	document = json_loadb(got.text, got.text_length, 0, NULL);
	assert_non_null(document);
	assert_string_equal(json_string_value(json_object_get(document, "name")), "sbc1");
	assert_string_equal(json_string_value(json_object_get(document, "state")), "degraded");
	assert_true(json_is_null(json_object_get(document, "calls")));
	assert_int_equal(json_array_size(json_object_get(document, "processes")), 3);
	json_decref(document);
	RUN(2, 0, "show\0status");
	assert_int_equal(got.exit, MGMT_EXIT_OK);
	assert_non_null(strstr(got.text, "reason                neither dataplane nor controlplane answers"));
	assert_non_null(strstr(got.text, "dataplane     down "));
}

static void version_works_alone(void **state)
{
	(void)state;
	RUN(2, 0, "show\0version");
	assert_int_equal(got.exit, MGMT_EXIT_OK);
	assert_memory_equal(got.text, "Sallyport " SALLYPORT_VERSION "\n\nPROCESS ", 20);
	assert_non_null(strstr(got.text, "0000000000000abc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_requests_are_refused),
		cmocka_unit_test(a_body_shorter_than_its_header_is_refused),
		cmocka_unit_test(the_longest_word_still_passes),
		cmocka_unit_test(wrong_words_are_a_usage_error),
		cmocka_unit_test(local_commands_are_not_run_for_others),
		cmocka_unit_test(commands_say_which_neighbour_is_not_there),
		cmocka_unit_test(a_bad_call_number_is_a_usage_error),
		cmocka_unit_test(bad_sources_and_options_are_usage_errors_that_say_what_is_allowed),
		cmocka_unit_test(the_borders_commands_say_that_who_answers_them_is_not_there),
		cmocka_unit_test(status_works_alone_and_says_so),
		cmocka_unit_test(version_works_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
