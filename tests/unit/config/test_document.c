/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration as it is edited: what is printed reads as the same, edits are whole or nothing, differences are all told. */
#include <errno.h>
#include <stdlib.h>

#include "config/document.h"
#include "tests/unit/config/capture.h"

static struct capture said;
static char reason[512];
static struct writer why;

static struct config_document *read_text(const char *text)
{
	const struct config_reporter reporter = { capture_report, &said };
	struct config_document *document = NULL;

	said.length = 0;
	said.text[0] = '\0';
	(void)config_document_read("f", text, strlen(text), &reporter, &document);
	return document;
}

static char *print(const struct config_document *document, enum config_print how)
{
	char *text = NULL;

	assert_int_equal(config_document_print(document, NULL, 0, how, &text, NULL), 0);
	return text;
}

/* Words cut at blanks; EMPTY is an empty one. */
static size_t cut(const char *line, struct span words[64], char store[2048])
{
	struct span rest;
	size_t n = 0;

	assert_true(strlen(line) < 2048);
	memcpy(store, line, strlen(line) + 1);
	rest = span_from(store);
	while (rest.n) {
		struct span word = span_cut(&rest, ' ');

		words[n++] = span_equal(word, SPAN("EMPTY")) ? SPAN("") : word;
	}
	return n;
}

static const char *told(void)
{
	reason[why.len < sizeof(reason) ? why.len : sizeof(reason) - 1] = '\0';
	return reason;
}

static int set(struct config_document *document, const char *line)
{
	char store[2048];
	struct span words[64];
	size_t n = cut(line, words, store);

	writer_init(&why, reason, sizeof(reason) - 1);
	return config_document_set(document, words, n, &why);
}

static int drop(struct config_document *document, const char *line)
{
	char store[2048];
	struct span words[64];
	size_t n = cut(line, words, store);

	writer_init(&why, reason, sizeof(reason) - 1);
	return config_document_delete(document, words, n, &why);
}

static void is_text(const struct config_document *document, const char *expected)
{
	char *text = print(document, CONFIG_PRINT_WHOLE);

	assert_string_equal(text, expected);
	free(text);
}

#define WRITTEN                                                                                   \
	"system {\n\tname = \"a \\\"b\\\" \\\\ c\"\n\tlog-level = debug\n}\n"                     \
	"\nnetwork-interface out {\n\tport = \"xdp:eth1\"\n\taddresses = {\"192.0.2.1/24\"}\n}\n" \
	"\nsip-manipulation hide {\n\trule \"1\" {\n\t\taction = delete\n\t\theader = "           \
	"\"User-Agent\"\n\t}\n}\n"                                                                \
	"\nguard {\n\tscanner-agents += {\"x y\"}\n}\n"                                           \
	"\nuser admin {\n\trole = admin\n\tpassword-hash = \"$6$secret\"\n}\n"

static void what_is_printed_reads_as_the_same(void **state)
{
	struct config_document *one = read_text("# a comment\n" WRITTEN), *two;

	(void)state;
	assert_non_null(one);
	assert_string_equal(said.text, "");
	is_text(one, WRITTEN);
	two = config_document_copy(one);
	assert_non_null(two);
	config_document_free(one);
	is_text(two, WRITTEN);
	config_document_free(two);
}

static void secrets_are_masked_and_a_mask_is_no_secret(void **state)
{
	struct config_document *document = read_text(WRITTEN);
	char *text = print(document, CONFIG_PRINT_MASKED);

	(void)state;
	assert_null(strstr(text, "$6$secret"));
	assert_non_null(strstr(text, "password-hash = \"" CONFIG_MASK "\""));
	assert_null(read_text(text));
	assert_non_null(strstr(said.text, "is masked"));
	assert_int_equal(set(document, "user admin password-hash " CONFIG_MASK), -EINVAL);
	is_text(document, WRITTEN);
	free(text);
	config_document_free(document);
}

/* What is refused has no values to be looked at. */
static void a_secret_that_is_set_twice_is_refused(void **state)
{
	(void)state;
	assert_null(read_text("session-agent a { realm = r username = u password = x password = \"a b\" }"));
	assert_non_null(strstr(said.text, "is set twice"));
	assert_null(read_text("session-agent a { realm = r password = x passwor = y }"));
	assert_null(read_text("user u { role = admin password-hash = x password-hash }"));
}

static void what_is_set_is_there_and_what_is_refused_changes_nothing(void **state)
{
	struct config_document *document = read_text("");

	(void)state;
	assert_int_equal(set(document, "realm access network-interface out"), 0);
	assert_int_equal(set(document, "realm access dscp-media = 46"), 0);
	assert_int_equal(set(document, "realm access dscp-media 40"), 0);
	assert_int_equal(set(document, "network-interface out addresses 192.0.2.1/24 2001:db8::1/64"), 0);
	assert_int_equal(set(document, "network-interface out addresses += 192.0.2.2/24 192.0.2.1/24"), 0);
	assert_int_equal(set(document, "sip-manipulation m rule 1 action delete"), 0);
	assert_int_equal(set(document, "steering-pool p"), 0);
#define SET                                                                                \
	"realm access {\n\tnetwork-interface = out\n\tdscp-media = 40\n}\n"                \
	"\nnetwork-interface out {\n\taddresses = {\"192.0.2.1/24\", \"2001:db8::1/64\", " \
	"\"192.0.2.2/24\"}\n}\n"                                                           \
	"\nsip-manipulation m {\n\trule \"1\" {\n\t\taction = delete\n\t}\n}\n\nsteering-pool p {\n}\n"
	is_text(document, SET);
	static const struct {
		const char *line, *why;
	} bad[] = { { "realms access dscp-media 4", "did you mean \"realm\"?" },
		{ "realm new dscp-media 64", "out of range; allowed: 0..63" },
		{ "realm new dscp-medium 4", "did you mean \"dscp-media\"?" },
		{ "realm new dscp-media", "takes one value" },
		{ "realm new dscp-media 1 2", "takes one value" },
		{ "realm new dscp-media += 2", "takes one value" },
		{ "realm a/b dscp-media 2", "is no name" }, { "realm", "its name is missing" },
		{ "network-interface out addresses 1.2.3", "allowed: ADDRESS/LENGTH" },
		{ "network-interface out addresses +=", "takes values" },
		{ "sip-manipulation n rule", "its name is missing" },
		{ "sip-manipulation n rule 2 action destroy", "is not known" },
		{ "system name a\nb", "control character" }, { "system location \xff", "control character" },
		{ "", "is no section" } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(set(document, bad[i].line), -EINVAL);
		assert_non_null(strstr(told(), bad[i].why));
		is_text(document, SET);
	}
	config_document_free(document);
}

static void what_is_deleted_is_gone(void **state)
{
	struct config_document *document = read_text(WRITTEN);

	(void)state;
	assert_int_equal(drop(document, "system name"), 0);
	assert_int_equal(drop(document, "sip-manipulation hide rule 1"), 0);
	assert_int_equal(drop(document, "network-interface out addresses 192.0.2.1/24"), 0);
	assert_int_equal(drop(document, "user admin"), 0);
	assert_int_equal(drop(document, "guard"), 0);
#define LEFT                                                                                   \
	"system {\n\tlog-level = debug\n}\n\nnetwork-interface out {\n\tport = \"xdp:eth1\"\n" \
	"\taddresses = {}\n}\n\nsip-manipulation hide {\n}\n"
	is_text(document, LEFT);
	assert_int_equal(drop(document, "user admin"), -ENOENT);
	assert_int_equal(drop(document, "system name"), -ENOENT);
	assert_int_equal(drop(document, "network-interface out addresses 192.0.2.7/24"), -ENOENT);
	assert_int_equal(drop(document, "system log-level debug"), -EINVAL);
	assert_int_equal(drop(document, "network-interface"), -EINVAL);
	is_text(document, LEFT);
	config_document_free(document);
}

static char changes[4096];

static void note(void *arg, const struct config_change *c)
{
	static const char kinds[] = {
		[CONFIG_ADDED] = '+', [CONFIG_REMOVED] = '-', [CONFIG_CHANGED] = '!', [CONFIG_REORDERED] = '%'
	};
	size_t n = strlen(changes);

	(void)arg;
	(void)snprintf(changes + n, sizeof(changes) - n, "%c %s|%s|%s%s\n", kinds[c->kind], c->path,
		c->before ? c->before : "", c->after ? c->after : "", c->restart ? " restart" : "");
}

static void compare(const char *a, const char *b, const char *expected)
{
	struct config_document *from = read_text(a), *to = read_text(b);

	assert_non_null(from);
	assert_non_null(to);
	changes[0] = '\0';
	assert_int_equal(config_document_compare(from, to, note, NULL), 0);
	assert_string_equal(changes, expected);
	config_document_free(from);
	config_document_free(to);
}

static void every_difference_is_told_and_no_other(void **state)
{
	(void)state;
	compare(WRITTEN, WRITTEN, "");
	compare("", "realm a { dscp-media = 4 }", "+ realm a||\n+ realm a.dscp-media||4\n");
	compare("realm a { dscp-media = 4 }", "", "- realm a||\n- realm a.dscp-media|4|\n");
	compare("system { name = a log-level = debug }", "system { name = b }",
		"- system.log-level|debug|\n! system.name|\"a\"|\"b\" restart\n");
	compare("user a { role = admin password-hash = x }", "user a { role = admin password-hash = y }",
		"! user a.password-hash|\"" CONFIG_MASK "\"|\"" CONFIG_MASK "\"\n");
	compare("realm a { } realm b { } realm c { }", "realm c { } realm a { } realm d { }",
		"- realm b||\n+ realm d||\n% realm||c, a, d\n");
	compare("sip-manipulation m { rule 1 { action = delete } rule 2 { action = add } }",
		"sip-manipulation m { rule 2 { action = add } rule 1 { action = delete header = X } }",
		"+ sip-manipulation m.rule 1.header||\"X\"\n% sip-manipulation m.rule||2, 1\n");
	compare("guard { scanner-agents = {a} }", "guard { scanner-agents += {a} }",
		"! guard.scanner-agents|{\"a\"}|+= {\"a\"}\n");
}

static void parts_are_printed_by_their_path(void **state)
{
	static const struct {
		const char *path, *text;
		int error;
	} cases[] = {
		{ "user", "user admin {\n\trole = admin\n\tpassword-hash = \"" CONFIG_MASK "\"\n}\n", 0 },
		{ "user admin role", "role = admin\n", 0 },
		{ "sip-manipulation hide rule 1 action", "action = delete\n", 0 }, { "realm", NULL, -ENOENT },
		{ "realm a", NULL, -ENOENT }, { "user admin keys", NULL, -ENOENT }, { "wrong", NULL, -EINVAL }
	};
	struct config_document *document = read_text(WRITTEN);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char store[2048], *text = NULL;
		struct span words[64];
		size_t n = cut(cases[i].path, words, store);

		writer_init(&why, reason, sizeof(reason) - 1);
		assert_int_equal(config_document_print(document, words, n, CONFIG_PRINT_MASKED, &text, &why),
			cases[i].error);
		if (cases[i].text)
			assert_string_equal(text, cases[i].text);
		else
			assert_true(why.len > 0);
		free(text);
	}
	config_document_free(document);
}

static void gather(void *arg, const char *word, bool argument, const char *help)
{
	size_t n = strlen(changes);

	(void)arg;
	assert_non_null(help);
	(void)snprintf(
		changes + n, sizeof(changes) - n, "%s%s%s ", argument ? "<" : "", word, argument ? ">" : "");
}

static const char *next(const struct config_document *document, const char *line)
{
	char store[2048];
	struct span words[64];
	size_t n = cut(line, words, store);

	changes[0] = '\0';
	config_document_next(document, words, n, gather, NULL);
	return changes;
}

static void what_may_follow_is_known_at_every_word(void **state)
{
	struct config_document *document =
		read_text("realm a { } realm b { } sip-manipulation m { rule 7 { } }");

	(void)state;
	assert_non_null(strstr(next(document, ""), "realm "));
	assert_string_equal(next(document, "realm"), "a b <NAME> ");
	assert_non_null(strstr(next(document, "realm a"), "dscp-media "));
	assert_string_equal(next(document, "realm a dscp-media"), "<0..63> ");
	assert_string_equal(next(document, "realm a dscp-media 4"), "");
	assert_string_equal(next(document, "realm a trust"), "untrusted trusted ");
	assert_string_equal(next(document, "steering-pool p realm"), "a b <name of a realm> ");
	assert_string_equal(next(document, "sip-manipulation m rule"), "7 <NAME> ");
	assert_string_equal(next(document, "snmp enabled"), "yes no ");
	assert_string_equal(next(document, "nothing"), "");
	config_document_free(document);
}

/* What one person writes another's commit must take: everything that set accepts, the file accepts. */
static void what_set_accepts_the_file_accepts(void **state)
{
	static const char *const lines[] = { "network-interface out port xdp:eth1",
		"network-interface out addresses 192.0.2.1/24", "realm r network-interface out",
		"local-policy p from-realm r", "local-policy p to ^[0-9]+$|\\+\"x", "sip-interface i realm r",
		"sip-interface i listen udp:192.0.2.1", "session-agent x realm r",
		"session-agent x address udp:192.0.2.9:5060", "local-policy p next-hop agent:x",
		"system location #{}=,;$", "system contact EMPTY", "sip-config t1 700ms" };
	struct config_document *document = read_text("");
	struct config *config;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (set(document, lines[i]))
			fail_msg("%s: %s", lines[i], told());
	text = print(document, CONFIG_PRINT_WHOLE);
	config = capture_valid(text);
	assert_string_equal(config->system.location, "#{}=,;$");
	config_free(config);
	free(text);
	config_document_free(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_printed_reads_as_the_same),
		cmocka_unit_test(secrets_are_masked_and_a_mask_is_no_secret),
		cmocka_unit_test(a_secret_that_is_set_twice_is_refused),
		cmocka_unit_test(what_is_set_is_there_and_what_is_refused_changes_nothing),
		cmocka_unit_test(what_is_deleted_is_gone),
		cmocka_unit_test(every_difference_is_told_and_no_other),
		cmocka_unit_test(parts_are_printed_by_their_path),
		cmocka_unit_test(what_may_follow_is_known_at_every_word),
		cmocka_unit_test(what_set_accepts_the_file_accepts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
