/* SPDX-License-Identifier: BSD-3-Clause */
/* Identifiers of dialogs in event bodies: found, here or on another shard, and written as the other side knows them. */
#include "controlplane/event_dialog.h"

#include <string.h>

#include "controlplane/call_transfer.h"
#include "controlplane/event_xml.h"
#include "controlplane/shard_internal.h"

enum { NODES_MAX = 1024 };

static bool attributes_take(struct span attributes, struct event_dialog *out)
{
	struct span name, value;

	*out = (struct event_dialog){ 0 };
	while (event_xml_attribute(&attributes, &name, &value)) {
		if (span_equal(name, SPAN("call-id")))
			out->call_id = value;
		else if (span_equal(name, SPAN("local-tag")))
			out->local_tag = value;
		else if (span_equal(name, SPAN("remote-tag")))
			out->remote_tag = value;
	}
	return out->call_id.n && out->local_tag.n && out->remote_tag.n;
}

/* --- finding ---------------------------------------------------------------------------------------------------------------- */

/* The other leg of the call that a name of the far side means, if its identifiers may be told on this side: a Call-ID of ours, in the
 * realm of the one that watches. So it is for a telephone that rings, which is what is picked up. */
static const struct leg *find(struct shard *shard, const struct config_realm *from,
	const struct config_realm *to, struct span call_id, struct span ours, struct span theirs)
{
	struct dialog_name name = { .call_id = call_id, .to_tag = ours, .from_tag = theirs };
	const struct leg *leg = transfer_find_dialog(shard, from, &name);

	leg = leg ? call_peer(leg) : NULL;
	return leg && leg->owns_call_id && leg->realm == to ? leg : NULL;
}

static bool is_plain(struct span value, const char *others)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i], letter = (char)(c | 0x20);

		if ((c < '0' || c > '9') && (letter < 'a' || letter > 'z') && !strchr(others, c))
			return false;
	}
	return value.n > 0 && value.n <= EVENT_DIALOG_TEXT_MAX / 3;
}

/* The far side's dialog with us, seen from one of its ends, is the other leg's, seen from the same end. */
static void take_near(struct shard *shard, const struct config_realm *from, const struct config_realm *to,
	struct event_dialog *dialog)
{
	const struct leg *leg = find(shard, from, to, dialog->call_id, dialog->remote_tag, dialog->local_tag);
	bool we_are_local = !leg;
	struct dialog_name near;

	if (!leg)
		leg = find(shard, from, to, dialog->call_id, dialog->local_tag, dialog->remote_tag);
	if (!leg)
		return;
	transfer_write_dialog(leg, &near);
	if (!is_plain(near.call_id, "-_.") || !is_plain(near.to_tag, "-_.~+!*") ||
		!is_plain(near.from_tag, "-_."))
		return;
	dialog->near_call_id = near.call_id;
	dialog->near_local_tag = we_are_local ? near.to_tag : near.from_tag;
	dialog->near_remote_tag = we_are_local ? near.from_tag : near.to_tag;
}

static struct span keep(struct span text, struct writer *out)
{
	size_t start = out->len;

	writer_span(out, text);
	return out->overflow ? (struct span){ NULL, 0 } : (struct span){ out->buffer + start, text.n };
}

void event_dialog_look_up(struct shard *shard, const struct config_realm *from, const struct config_realm *to,
	struct event_dialog *dialog, struct writer *text)
{
	take_near(shard, from, to, dialog);
	dialog->near_local_tag = keep(dialog->near_local_tag, text);
	dialog->near_remote_tag = keep(dialog->near_remote_tag, text);
	dialog->near_call_id = keep(dialog->near_call_id, text);
}

size_t event_dialogs_elsewhere(
	const struct shard *shard, struct span body, struct event_dialog out[EVENT_DIALOGS_MAX])
{
	struct event_xml_node node;
	size_t count = 0;

	if (shard->count < 2)
		return 0;
	for (unsigned n = 0; n < NODES_MAX && count < EVENT_DIALOGS_MAX; n++) {
		enum event_xml_kind kind = event_xml_next(&body, &node);
		int owner;

		if (kind == EVENT_XML_END || kind == EVENT_XML_BAD)
			break;
		if (kind != EVENT_XML_OPEN || !span_equal(node.name, SPAN("dialog")) ||
			!attributes_take(node.attributes, &out[count]))
			continue;
		owner = shard_of_dialog(out[count].remote_tag, out[count].local_tag, shard->count);
		if (owner < 0 || owner == (int)shard->index)
			continue;
		out[count++].owner = (unsigned)owner;
	}
	return count;
}

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static void write_attribute(const char *attribute, struct span value, struct writer *out)
{
	writer_text(out, attribute);
	writer_span(out, value);
	writer_char(out, '"');
}

static bool is_same(const struct event_dialog *a, const struct event_dialog *b)
{
	return span_equal(a->call_id, b->call_id) && span_equal(a->local_tag, b->local_tag) &&
	       span_equal(a->remote_tag, b->remote_tag);
}

void event_dialog_write(const struct event_sides *sides, struct span attributes, struct writer *out)
{
	struct event_dialog dialog;

	if (!attributes_take(attributes, &dialog))
		return;
	take_near(sides->shard, sides->from->realm, sides->to->realm, &dialog);
	for (size_t i = 0; i < sides->elsewhere_count && !dialog.near_call_id.n; i++)
		if (is_same(&sides->elsewhere[i], &dialog))
			dialog = sides->elsewhere[i];
	if (!dialog.near_call_id.n)
		return;
	write_attribute(" call-id=\"", dialog.near_call_id, out);
	write_attribute(" local-tag=\"", dialog.near_local_tag, out);
	write_attribute(" remote-tag=\"", dialog.near_remote_tag, out);
}
