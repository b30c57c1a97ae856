/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzes what the management daemon takes from its command clients and from its neighbours: the encoded command with all it
 * sets off, and the fixed replies that become documents. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api.h"
#include "dataplane/api.h"
#include "mgmt/request.h"
#include "mgmt/show.h"
#include "mgmt/source.h"
#include "mgmt/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned dones;

static int count_frame(void *arg, uint16_t type, int16_t status, const void *body, size_t length)
{
	(void)arg;
	(void)status;
	(void)body;
	if (length > MGMT_TEXT_MAX)
		abort();
	dones += type == MGMT_DONE;
	return 0;
}

static void no_more(void *arg)
{
	(void)arg;
}

static int discard(void *arg, const char *text, size_t length)
{
	(void)arg;
	for (size_t i = 0; i < length; i++)
		if (((unsigned char)text[i] < 0x20 && text[i] != '\n') || (unsigned char)text[i] > 0x7e)
			abort();
	return 0;
}

static void fuzz_command(const uint8_t *data, size_t size)
{
	static const struct request_sink sink = { .send = count_frame, .finished = no_more };
	static const struct neighbours nobody;
	struct request *request = request_new(&nobody, &sink, NULL);

	if (request == NULL)
		return;
	dones = 0;
	request_run(request, data, size);
	/* Without neighbours every command ends at once, and only once. */
	if (dones != 1)
		abort();
}

static void fuzz_call(const uint8_t *data, size_t size)
{
	struct cp_call call = { 0 };
	struct dp_session_info info = { 0 };
	struct output out;
	json_t *document;

	memcpy(&call, data, size < sizeof(call) ? size : sizeof(call));
	if (size > sizeof(call))
		memcpy(&info, data + sizeof(call),
			size - sizeof(call) < sizeof(info) ? size - sizeof(call) : sizeof(info));
	document = show_call_document(&call);
	value_set(document, "media", show_media(&info));
	output_init(&out, discard, NULL);
	show_call_text(&out, document);
	output_flush(&out);
	json_decref(document);
	json_decref(show_call_row(&call));
}

/* One entry of a list, as JSON and as text. */
static void fuzz_row(json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII);

	if (!json_is_object(row) || text == NULL)
		abort();
	discard(NULL, text, strlen(text));
	free(text);
	json_decref(row);
}

static void fuzz_rows(const uint8_t *data, size_t size)
{
	union {
		struct dp_realm realm;
		struct dp_flow flow;
		struct dp_ban ban;
		struct dp_trust trust;
		struct dp_source source;
		struct cp_block block;
	} entry = { 0 };

	memcpy(&entry, data, size < sizeof(entry) ? size : sizeof(entry));
	fuzz_row(show_realm_row(&entry.realm));
	fuzz_row(show_flow_row(&entry.flow));
	fuzz_row(show_ban_row(&entry.ban));
	fuzz_row(show_trust_row(&entry.trust));
	fuzz_row(show_source_row(&entry.source));
	fuzz_row(show_block_row(&entry.block));
}

/* What is read as a source is written so that it is read as the same. */
static void fuzz_source(const uint8_t *data, size_t size)
{
	struct dp_source_key key, again;
	char text[SOURCE_TEXT_MAX];

	if (source_parse((struct span){ (const char *)data, size }, &key) != 0)
		return;
	source_print(&key, text);
	if (source_parse(span_from(text), &again) != 0 || memcmp(&key, &again, sizeof(key)) != 0)
		abort();
}

static void fuzz_show(const struct show *show, const uint8_t *data, size_t size, enum show_reply first,
	size_t first_size, enum show_reply second, size_t second_size)
{
	static const struct neighbours nobody;
	struct show_data replies = { .neighbours = &nobody };
	struct output out;
	json_t *document;
	uint8_t *body = calloc(1, first_size + second_size + size);

	if (body == NULL)
		return;
	memcpy(body, data, size);
	replies.reply[first].body = body;
	replies.reply[first].length = first_size > 0 ? first_size : size;
	if (second_size > 0) {
		/* behind a multiple of 8: every struct of the APIs is one */
		replies.reply[second].body = body + first_size;
		replies.reply[second].length = second_size;
	}
	document = show->document(&replies);
	output_init(&out, discard, NULL);
	show->text(&out, 80, document);
	output_flush(&out);
	json_decref(document);
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 8) {
	case 0:
		fuzz_call(data + 1, size - 1);
		break;
	case 1:
		fuzz_show(&show_status, data + 1, size - 1, SHOW_DP_STATS, sizeof(struct dp_stats),
			SHOW_CP_STATUS, sizeof(struct cp_status));
		break;
	case 2:
		fuzz_show(&show_counters, data + 1, size - 1, SHOW_DP_STATS, sizeof(struct dp_stats),
			SHOW_CP_COUNTERS, sizeof(struct cp_counters));
		break;
	case 3:
		fuzz_show(&show_interfaces, data + 1, size - 1, SHOW_DP_INTERFACES, 0, SHOW_DP_INTERFACES, 0);
		break;
	case 7:
		fuzz_show(&show_drops, data + 1, size - 1, SHOW_DP_STATS, sizeof(struct dp_stats),
			SHOW_DP_STATS, 0);
		break;
	case 5:
		fuzz_rows(data + 1, size - 1);
		break;
	case 6:
		fuzz_source(data + 1, size - 1);
		break;
	default:
		fuzz_command(data + 1, size - 1);
		break;
	}
	return 0;
}
