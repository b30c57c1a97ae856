/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: bodies of events. The first byte picks the package. What crosses fits a buffer in proportion, can be read again and then
 * says the same, and names neither host, Call-ID nor tag of the side it came from. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/call.h"
#include "controlplane/event_body.h"
#include "controlplane/event_xml.h"
#include "controlplane/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { TEXT_MAX = 1 << 20 };

static char call_id[] = "secret-call", tag[] = "secret-tag", target[] = "sip:x@secret.example",
	    name[] = "\"B\" <sip:1000@192.0.2.1:5070>";
static struct config_realm realm;
static struct config config = { .sip = { .max_calls = 1, .max_subscriptions = 1 } };
static struct shard shard = { .config = &config };
static struct leg from, to;
static char first[TEXT_MAX], second[TEXT_MAX];

static void require(bool truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	require(call_layer_open(&shard) == 0);
	from = (struct leg){
		.shard = &shard, .realm = &realm, .call_id = call_id, .remote_tag = tag, .target = target
	};
	to = (struct leg){ .shard = &shard, .realm = &realm, .local = name };
	return 0;
}

/* Tags are balanced: another scanner than the rewriter's own bookkeeping says so. */
static void check_xml(struct span text)
{
	struct event_xml_node node;
	struct span name_of, value;
	unsigned depth = 0;

	for (;;) {
		switch (event_xml_next(&text, &node)) {
		case EVENT_XML_END:
			require(depth == 0);
			return;
		case EVENT_XML_OPEN:
			while (event_xml_attribute(&node.attributes, &name_of, &value))
				require(name_of.n > 0);
			depth += node.empty ? 0 : 1;
			break;
		case EVENT_XML_CLOSE:
			require(depth-- > 0);
			break;
		case EVENT_XML_TEXT:
			break;
		case EVENT_XML_BAD:
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const packages[] = { "message-summary", "dialog", "presence" };
	const struct event_sides sides = { .shard = &shard, .from = &from, .to = &to, .name = name };
	struct span package, body, crossed;
	struct writer out;

	if (size == 0)
		return 0;
	package = span_from(packages[data[0] % 3]);
	body = (struct span){ (const char *)data + 1, size - 1 };
	writer_init(&out, first, sizeof(first));
	if (event_body_map(&sides, package, body, &out))
		return 0;
	crossed = writer_result(&out);
	require(crossed.n <= 512 + 64 * body.n);
	require(!trace_found(&from, crossed));
	if (data[0] % 3)
		check_xml(crossed);
	/* Identifiers aside, which become others each time, it stays as it is. */
	writer_init(&out, second, sizeof(second));
	require(event_body_map(&sides, package, crossed, &out) == 0);
	require(out.len <= crossed.n + 64 * body.n);
	return 0;
}
