/* SPDX-License-Identifier: BSD-3-Clause */
/* ban and unban: orders of the operator to the border, each with a line in the log. */
#include <errno.h>
#include <string.h>

#include "controlplane/api.h"
#include "mgmt/ban.h"
#include "mgmt/render.h"
#include "mgmt/source.h"
#include "mgmt/value.h"
#include "platforms/base/log.h"

enum { BAN_SECONDS_MAX = 31536000 };

static int read_word(struct request *request, struct span keyword, struct span value, struct dp_ban *ban)
{
	struct writer reason;
	uint64_t seconds;

	if (span_equal(keyword, SPAN("for"))) {
		if (span_to_uint(value, BAN_SECONDS_MAX, &seconds) != 0 || seconds == 0) {
			request_fail(request, MGMT_EXIT_USAGE,
				"for is followed by seconds, 1..%d; without it the ban does not expire",
				BAN_SECONDS_MAX);
			return -EINVAL;
		}
		ban->expires_us = seconds * 1000000;
		return 0;
	}
	writer_init(&reason, ban->reason, sizeof(ban->reason) - 1);
	writer_span(&reason, value);
	if (reason.overflow || value.n == 0) {
		request_fail(request, MGMT_EXIT_USAGE,
			"reason is followed by one word (or quoted text) of 1..%zu octets",
			sizeof(ban->reason) - 1);
		return -EINVAL;
	}
	return 0;
}

/* [for SECONDS] [reason TEXT] [force], in any order, each once. */
static int read_options(struct request *request, struct dp_ban *ban)
{
	const struct command_match *match = &request->match;
	bool has_for = false, has_reason = false;

	for (size_t i = 1; i < match->arguments; i++) {
		struct span word = match->argument[i];
		bool *seen = span_equal(word, SPAN("for"))      ? &has_for
			     : span_equal(word, SPAN("reason")) ? &has_reason
								: NULL;

		if (seen == NULL && span_equal(word, SPAN("force")) && ban->flags == 0) {
			ban->flags = DP_BAN_FORCE;
			continue;
		}
		if (seen == NULL || *seen || i + 1 == match->arguments) {
			request_fail(request, MGMT_EXIT_USAGE,
				"after the source come, each at most once: for SECONDS, reason TEXT, force");
			return -EINVAL;
		}
		*seen = true;
		if (read_word(request, word, match->argument[++i], ban) != 0)
			return -EINVAL;
	}
	if (!has_reason)
		memcpy(ban->reason, "by command", sizeof("by command"));
	return 0;
}

static void report(struct request *request, const char *verb, bool banned)
{
	struct span word = request->match.argument[0];
	struct dp_source_key key;
	char text[SOURCE_TEXT_MAX];
	json_t *document;

	(void)source_parse(word, &key); /* has been parsed before */
	source_print(&key, text);
	log_notice("mgmt", verb, LOG_TEXT("source", text));
	if (request->json) {
		document = json_object();
		value_set(document, "source", json_string(text));
		value_set(document, "banned", json_boolean(banned));
		render_json(&request->output, document);
		json_decref(document);
	} else {
		output_format(&request->output, "%s: %s\n", text, verb);
	}
	request_finish(request, MGMT_EXIT_OK);
}

static void ban_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	int err = status;

	(void)tag;
	(void)body;
	(void)length;
	switch (err) {
	case 0:
		report(request, "banned", true);
		break;
	case -EPERM:
		request_fail(request, MGMT_EXIT_FAILED,
			"an agent of the configuration or a trusted source is in it: \"force\" bans it all "
			"the same; "
			"\"show trusted\" lists them");
		break;
	case -ENOSPC:
		request_fail(request, MGMT_EXIT_FAILED,
			"the table of bans is full; \"show status\" tells its size");
		break;
	case -ENOTCONN:
		request_fail(request, MGMT_EXIT_FAILED,
			"the control plane, or the dataplane behind it, is not there: \"show status\" tells "
			"which");
		break;
	default:
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
		break;
	}
}

static void unban_replied(struct request *request, unsigned tag, int status, const void *body, size_t length)
{
	int err = status;

	(void)tag;
	(void)body;
	(void)length;
	if (err == 0)
		report(request, "not banned any more", false);
	else if (err == -ENOENT)
		request_fail(request, MGMT_EXIT_FAILED,
			"there is no ban of exactly that; \"show bans\" with it lists those that overlap it");
	else
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

/* The control plane keeps bans, and tells the dataplane: they outlive both. */
static void order(struct request *request, const struct dp_ban *ban, unsigned type, request_reply reply)
{
	struct cp_ban out = { .port = ban->key.address.port,
		.family = ban->key.address.family,
		.length = ban->key.length,
		.flags = ban->flags,
		.expires_us = ban->expires_us };
	int err;

	memcpy(out.ip, ban->key.address.ip, sizeof(out.ip));
	memcpy(out.reason, ban->reason, sizeof(out.reason));
	memcpy(out.who, request->who, sizeof(request->who));
	err = request_fetch(request, NEIGHBOUR_CONTROLPLANE, type, &out, sizeof(out), 0, reply);
	if (err != 0)
		request_fail_neighbour(request, NEIGHBOUR_CONTROLPLANE, err);
}

void ban_set(struct request *request)
{
	struct dp_ban ban = { .flags = 0 };

	if (source_argument(request, request->match.argument[0], &ban.key) == 0 &&
		read_options(request, &ban) == 0)
		order(request, &ban, CP_BAN_SET, ban_replied);
}

void ban_clear(struct request *request)
{
	struct dp_ban ban = { .flags = 0 };

	if (source_argument(request, request->match.argument[0], &ban.key) == 0)
		order(request, &ban, CP_BAN_CLEAR, unban_replied);
}
