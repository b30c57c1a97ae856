/* SPDX-License-Identifier: BSD-3-Clause */
/* Orders a test, asks until it is over, and says in words what it has come to. */
#include "mgmt/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/render.h"
#include "mgmt/value.h"

struct test {
	struct cp_test ask;
	bool agent;
};

static const struct column target_columns[] = {
	{ "address", "ADDRESS", COLUMN_TEXT, true },
	{ "result", "RESULT", COLUMN_TEXT, false },
	{ "status", "STATUS", COLUMN_NUMBER, false },
	{ "took-us", "TIME", COLUMN_MICROSECONDS, false },
	{ "connection", "CONNECTION", COLUMN_TEXT, false },
	{ "contact", "CONTACT", COLUMN_TEXT, true },
	{ "detail", "DETAIL", COLUMN_TEXT, true },
};

/* --- in words ------------------------------------------------------------------------------------------------------------- */

static const char *result_name(uint32_t outcome)
{
	static const char *const names[] = { [CP_TEST_ANSWERED] = "answered",
		[CP_TEST_SILENT] = "silent",
		[CP_TEST_UNREACHED] = "not reached",
		[CP_TEST_IMPOSSIBLE] = "impossible",
		[CP_TEST_EXPIRED] = "expired" };

	return outcome < sizeof(names) / sizeof(names[0]) ? names[outcome] : "unknown";
}

static const char *source_name(uint32_t source)
{
	static const char *const names[] = { [CP_TEST_CONFIGURED] = "configured",
		[CP_TEST_DNS] = "dns",
		[CP_TEST_DNS_NONE] = "dns-has-none",
		[CP_TEST_DNS_SILENT] = "dns-silent",
		[CP_TEST_REGISTERED] = "registered",
		[CP_TEST_UNKNOWN] = "not-registered" };

	return source < sizeof(names) / sizeof(names[0]) ? names[source] : "unknown";
}

static const char *why_not(const struct cp_test_report *report)
{
	switch (report->source) {
	case CP_TEST_DNS_NONE:
		return "DNS has no address for its name that could be used";
	case CP_TEST_DNS_SILENT:
		return "no DNS server has told its address";
	case CP_TEST_UNKNOWN:
		return "nobody is registered by that name: a call is answered 404 (Not Found)";
	default:
		return report->call_status != 0
			       ? "no contact is there now: a call is answered 480 (Temporarily Unavailable)"
			       : NULL;
	}
}

/* 408 and 503 come from somebody in front of the one who is meant (RFC 3261 sections 21.4.9, 21.5.4). */
static bool is_good(const struct cp_test_target *target)
{
	return target->outcome == CP_TEST_ANSWERED && target->status >= 200 && target->status != 408 &&
	       target->status != 503;
}

static json_t *target_row(const struct cp_test_target *target)
{
	json_t *row = json_object();
	bool answered = target->outcome == CP_TEST_ANSWERED;

	value_set(row, "address", VALUE_FIELD(target->address));
	value_set(row, "contact", VALUE_FIELD(target->contact));
	value_set(row, "result", json_string(result_name(target->outcome)));
	value_set(row, "status", answered ? value_uint(target->status) : json_null());
	value_set(row, "took-us", answered ? value_uint(target->took_us) : json_null());
	value_set(row, "connection",
		target->connection_was_there != 0 ? json_string("was there") : json_null());
	value_set(row, "detail", VALUE_FIELD(target->text));
	return row;
}

json_t *test_document(bool agent, struct span subject, const struct cp_test_report *report)
{
	uint32_t count = report->count < CP_TEST_TARGETS ? report->count : CP_TEST_TARGETS;
	const char *why = why_not(report);
	json_t *document = json_object(), *targets = json_array();
	bool works = false;

	for (uint32_t i = 0; i < count; i++) {
		works = works || is_good(&report->target[i]);
		value_append(targets, target_row(&report->target[i]));
	}
	value_set(document, agent ? "agent" : "registration", value_text(subject.p, subject.n));
	value_set(document, "works", json_boolean(works));
	value_set(document, "source", json_string(source_name(report->source)));
	value_set(document, "name", VALUE_FIELD(report->name));
	value_set(document, "call-status",
		report->call_status != 0 ? value_uint(report->call_status) : json_null());
	value_set(document, "reason", why != NULL ? json_string(why) : json_null());
	value_set(document, "targets", targets);
	return document;
}

static void print_text(struct output *out, unsigned width, const json_t *document)
{
	const json_t *targets = json_object_get(document, "targets");
	const char *name = json_string_value(json_object_get(document, "name"));
	const char *reason = json_string_value(json_object_get(document, "reason"));

	if (name != NULL)
		output_format(out, "%s, by DNS\n", name);
	if (json_array_size(targets) > 0)
		render_table(out, targets, target_columns, sizeof(target_columns) / sizeof(target_columns[0]),
			width);
	if (reason != NULL)
		output_format(out, "%s\n", reason);
}

static void print(struct request *request, const struct cp_test_report *report)
{
	const struct test *test = request->state;
	json_t *document = test_document(test->agent, request->match.argument[0], report);
	bool works = json_is_true(json_object_get(document, "works"));

	if (request->json)
		render_json(&request->output, document);
	else
		print_text(&request->output, request->width, document);
	json_decref(document);
	request_finish(request, works ? MGMT_EXIT_OK : MGMT_EXIT_FAILED);
}

/* --- course --------------------------------------------------------------------------------------------------------------- */

static void ask(struct request *request);

static void fail(struct request *request, int status)
{
	const struct test *test = request->state;

	if (status == -ENOENT && test->ask.test == 0)
		request_fail(request, MGMT_EXIT_FAILED, "no such session-agent: \"show agents\" lists them");
	else if (status == -EALREADY)
		request_fail(request, MGMT_EXIT_FAILED,
			"it is being tested by somebody else: ask again in a moment");
	else if (status == -EBUSY)
		request_fail(request, MGMT_EXIT_FAILED, "too many tests at once: ask again in a moment");
	else
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
}

static void replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	struct test *test = request->state;
	struct cp_test_report report;

	(void)tag;
	(void)length;
	if (status != 0) {
		fail(request, status);
		return;
	}
	memcpy(&report, body, sizeof(report));
	if (report.over != 0) {
		print(request, &report);
		return;
	}
	test->ask.test = report.test;
	ask(request);
}

static void ask(struct request *request)
{
	const struct test *test = request->state;
	int err = request_fetch(request, NEIGHBOUR_CONTROLPLANE,
		test->agent ? CP_TEST_AGENT : CP_TEST_REGISTRATION, &test->ask, sizeof(test->ask), 0,
		replied);

	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

static void begin(struct request *request, bool agent)
{
	struct test *test = calloc(1, sizeof(*test));
	struct span subject = request->match.argument[0];

	if (test == NULL) {
		request_fail(request, MGMT_EXIT_FAILED, "no memory");
		return;
	}
	request->state = test;
	request->state_free = free;
	test->agent = agent;
	if (!agent && span_starts_case(subject, SPAN("sip:")))
		subject = (struct span){ subject.p + 4, subject.n - 4 };
	if (subject.n == 0 || subject.n >= sizeof(test->ask.subject)) {
		request_fail(request, MGMT_EXIT_USAGE,
			agent ? "NAME is that of a session-agent" : "AOR is USER or USER@HOST");
		return;
	}
	memcpy(test->ask.subject, subject.p, subject.n);
	memcpy(test->ask.who, request->who, sizeof(request->who));
	ask(request);
}

void test_agent(struct request *request)
{
	begin(request, true);
}

void test_registration(struct request *request)
{
	begin(request, false);
}
