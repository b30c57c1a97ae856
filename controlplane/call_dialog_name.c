/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of dialogs: what a peer calls a dialog of ours, and what the peer on the other side calls it. */
#include <errno.h>

#include "controlplane/call_transfer_internal.h"
#include "controlplane/hide_internal.h"

struct leg *transfer_find_dialog(
	struct shard *shard, const struct config_realm *realm, const struct dialog_name *name)
{
	struct scan request = {
		.call_id = name->call_id, .to_tag = name->to_tag, .from_tag = name->from_tag
	};
	struct leg *leg;

	if (name->call_id.n == 0 || name->to_tag.n == 0 || name->from_tag.n == 0)
		return NULL;
	leg = call_find_leg(shard, &request);
	/* What is known of it on one side is worth nothing on the other. */
	return leg && leg->realm == realm && !leg->gone ? leg : NULL;
}

void transfer_write_dialog(const struct leg *leg, struct dialog_name *out)
{
	*out = (struct dialog_name){ .early_only = false };
	if (!leg->call_id || !leg->remote_tag || leg->gone)
		return;
	out->call_id = span_from(leg->call_id);
	out->to_tag = span_from(leg->remote_tag);
	out->from_tag = span_from(leg->local_tag);
}

struct leg *dialog_find(
	struct shard *shard, const struct config_realm *realm, const struct dialog_name *name, bool *turned)
{
	struct dialog_name other = *name;
	struct leg *leg = transfer_find_dialog(shard, realm, name);

	*turned = !leg;
	if (leg)
		return leg;
	other.to_tag = name->from_tag;
	other.from_tag = name->to_tag;
	return transfer_find_dialog(shard, realm, &other);
}

/* --- as text ---------------------------------------------------------------------------------------------------------- */

bool dialog_name_parse(struct span value, struct dialog_name *out)
{
	struct span name, said;

	*out = (struct dialog_name){ .call_id = span_trim(span_cut(&value, ';')) };
	while (hide_parameter_next(&value, &name, &said)) {
		if (span_equal_case(name, SPAN("to-tag")))
			out->to_tag = said;
		else if (span_equal_case(name, SPAN("from-tag")))
			out->from_tag = said;
		else if (span_equal_case(name, SPAN("early-only")))
			out->early_only = true;
	}
	return out->call_id.n && out->to_tag.n && out->from_tag.n;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3261 section 19.1.2. False: broken, or what no header may have. */
static bool unescape(struct span text, struct writer *out)
{
	for (size_t i = 0; i < text.n; i++) {
		int c = (unsigned char)text.p[i];

		if (c == '%') {
			if (i + 2 >= text.n || hex(text.p[i + 1]) < 0 || hex(text.p[i + 2]) < 0)
				return false;
			c = hex(text.p[i + 1]) << 4 | hex(text.p[i + 2]);
			i += 2;
		}
		if (c < ' ' || c >= 0x7f)
			return false;
		writer_char(out, (char)c);
	}
	return !out->overflow;
}

int dialog_name_of_uri(struct span headers, char *buffer, size_t size, struct dialog_name *out)
{
	struct writer plain;

	while (headers.n) {
		struct span one = span_cut(&headers, '&'), name = span_cut(&one, '=');

		if (!span_equal_case(name, SPAN("Replaces")))
			continue;
		writer_init(&plain, buffer, size);
		return unescape(one, &plain) && dialog_name_parse(writer_result(&plain), out) ? 0 : -EINVAL;
	}
	return -ENOENT;
}
