/* SPDX-License-Identifier: BSD-3-Clause */
/* subscriber add, delete, list: users of `authentication = local`. A password comes as the request's secret, and goes on as it is. */
#include "mgmt/subscriber.h"

#include <errno.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/listing.h"
#include "mgmt/value.h"

static const struct column columns[] = {
	{ "user", "USER", COLUMN_TEXT, false },
	{ "realm", "REALM", COLUMN_TEXT, false },
};

static int copy_word(struct request *request, struct span word, char *out, size_t size, const char *what)
{
	if (word.n == 0 || word.n >= size) {
		request_fail(request, MGMT_EXIT_USAGE, "a %s has 1..%zu octets", what, size - 1);
		return -EINVAL;
	}
	memcpy(out, word.p, word.n);
	return 0;
}

static void report(struct request *request, const char *verb, bool there)
{
	struct span user = request->match.argument[0], realm = request->match.argument[1];

	if (request->json) {
		json_t *document = json_object();

		value_set(document, "user", value_text(user.p, user.n));
		value_set(document, "realm", value_text(realm.p, realm.n));
		value_set(document, "subscriber", json_boolean(there));
		render_json(&request->output, document);
		json_decref(document);
	} else {
		output_format(&request->output, "%.*s in %.*s: %s\n", SPAN_FMT(user), SPAN_FMT(realm), verb);
	}
	request_finish(request, MGMT_EXIT_OK);
}

static void replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	bool set = tag == CP_SUBSCRIBER_SET;

	(void)body;
	(void)length;
	switch (status) {
	case 0:
		report(request, set ? "may authenticate" : "deleted", set);
		break;
	case -ENOENT:
		request_fail(request, MGMT_EXIT_FAILED,
			"there is no such user: \"subscriber list\" tells who there is");
		break;
	case -EINVAL:
		request_fail(request, MGMT_EXIT_USAGE,
			"a user has no colon; neither user nor realm has quotes, backslashes or control "
			"characters");
		break;
	case -ENOSPC:
		request_fail(request, MGMT_EXIT_FAILED, "too many changes wait for the disk: try again");
		break;
	default:
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, status);
		break;
	}
}

static void order(struct request *request, unsigned type)
{
	struct cp_subscriber out = { 0 };
	int err;

	if (copy_word(request, request->match.argument[0], out.user, sizeof(out.user), "user") != 0 ||
		copy_word(request, request->match.argument[1], out.realm, sizeof(out.realm), "realm") != 0)
		return;
	if (type == CP_SUBSCRIBER_SET &&
		copy_word(request, request->secret, out.password, sizeof(out.password), "password") != 0)
		return;
	memcpy(out.who, request->who, sizeof(request->who));
	err = request_fetch(request, NEIGHBOUR_CONTROLPLANE, type, &out, sizeof(out), type, replied);
	explicit_bzero(out.password, sizeof(out.password));
	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

void subscriber_add(struct request *request)
{
	order(request, CP_SUBSCRIBER_SET);
}

void subscriber_delete(struct request *request)
{
	order(request, CP_SUBSCRIBER_DELETE);
}

static int take(union listing_ask *ask, const void *body, size_t length, json_t *rows)
{
	const struct cp_subscriber_page *page = body;
	int count = listing_count(length, sizeof(*page), page->count, sizeof(struct cp_subscriber_entry));

	for (int i = 0; i < count; i++) {
		struct cp_subscriber_entry entry;
		json_t *row = json_object();

		memcpy(&entry, (const char *)body + sizeof(*page) + (size_t)i * sizeof(entry), sizeof(entry));
		value_set(row, "user", VALUE_FIELD(entry.user));
		value_set(row, "realm", VALUE_FIELD(entry.realm));
		value_append(rows, row);
		ask->calls.after = entry.number;
	}
	return count < 0 ? count : page->more != 0 && count > 0;
}

void subscriber_list(struct request *request)
{
	static const struct listing_kind kind = {
		.member = "subscribers",
		.one = "subscriber",
		.many = "subscribers",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
		.neighbour = NEIGHBOUR_CONTROLPLANE,
		.type = CP_SUBSCRIBER_LIST,
		.ask_size = sizeof(struct cp_call_list),
		.take = take,
	};
	union listing_ask ask = { .calls = { .limit = LISTING_PAGE } };

	listing_run(request, &kind, &ask, false);
}
