/* SPDX-License-Identifier: BSD-3-Clause */
/* What scanners' messages have and phones' have not. Bounded by the message's length. */
#include <string.h>

#include "controlplane/guard_internal.h"
#include "controlplane/message.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool all_digits(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_digit(text.p[i]))
			return false;
	return text.n > 0;
}

static bool contains(struct span text, struct span word)
{
	for (size_t i = 0; i + word.n <= text.n; i++)
		if (span_starts_case((struct span){ text.p + i, text.n - i }, word))
			return true;
	return false;
}

/* sipvicious: what it wants back, a 01, and a random number, all as hexadecimal of their ASCII. */
static bool is_scanner_tag(struct span tag)
{
	size_t i = tag.n;
	unsigned digits = 0;

	if (tag.n % 2 != 0 || tag.n < 16)
		return false;
	while (i >= 2 && tag.p[i - 2] == '3' && is_digit(tag.p[i - 1])) {
		i -= 2;
		digits++;
	}
	if (digits < 6 || i < 2 || tag.p[i - 2] != '0' || tag.p[i - 1] != '1')
		return false;
	while (i > 0 && (is_digit(tag.p[i - 1]) || (tag.p[i - 1] >= 'a' && tag.p[i - 1] <= 'f')))
		i--;
	return i == 0;
}

/* Its branch is the cookie, a hyphen and a number, its Call-ID a number. */
static bool has_scanner_numbers(const struct scan *request)
{
	static const struct span cookie = { "z9hG4bK-", 8 };
	struct span branch = request->branch;

	return span_starts_case(branch, cookie) && branch.n <= cookie.n + 10 &&
	       all_digits((struct span){ branch.p + cookie.n, branch.n - cookie.n }) &&
	       request->call_id.n >= 15 && all_digits(request->call_id);
}

/* Where no phone is: an example's address, and a host's own. */
static bool is_nowhere(struct span host)
{
	return span_starts_case(host, SPAN("127.")) || span_starts_case(host, SPAN("0.0.0.0")) ||
	       span_starts_case(host, SPAN("1.1.1.1"));
}

static bool has_scanner_name(const struct scan *request)
{
	static const struct span names[] = { { "sipvicious", 10 }, { "sundayddr", 9 },
		{ "friendly-scanner", 16 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (contains(request->from, names[i]) || contains(request->to, names[i]) ||
			contains(request->call_id, names[i]))
			return true;
	return false;
}

static bool has_scanner_agent(const struct config_guard *config, const struct scan *request)
{
	struct span agent;

	if (!scan_header_find(request, SPAN("User-Agent"), 0, 0, &agent))
		return false;
	for (size_t i = 0; i < config->scanner_agents.count; i++)
		if (span_starts_case(agent, span_from(config->scanner_agents.item[i])))
			return true;
	return false;
}

/* RFC 3261 section 8.1.1 asks for Max-Forwards in all, and for Contact in what makes a dialog. */
static bool lacks_header(const struct scan *request)
{
	return request->max_forwards < 0 || (request->method == SIP_METHOD_INVITE && request->contact.n == 0);
}

enum guard_sign guard_mark(const struct config_guard *config, const struct scan *request)
{
	if (has_scanner_agent(config, request))
		return GUARD_SCANNER_AGENT;
	if (is_scanner_tag(request->from_tag) || has_scanner_numbers(request) || has_scanner_name(request) ||
		contains(request->contact, SPAN("@1.1.1.1")) || is_nowhere(request->sent_by))
		return GUARD_SCANNER_MARK;
	if (lacks_header(request))
		return GUARD_MALFORMED;
	return GUARD_SIGN_COUNT;
}

struct span guard_user_of(struct span address)
{
	struct name_addr parsed;
	struct sip_uri uri;

	return name_addr_parse(address, &parsed) == 0 && sip_uri_parse(parsed.uri, &uri) == 0
		       ? uri.user
		       : (struct span){ NULL, 0 };
}

struct span guard_nonce_of(struct span value)
{
	static const struct span name = { "nonce=\"", 7 };

	for (size_t i = 1; i + name.n < value.n; i++) {
		struct span rest = { value.p + i, value.n - i };

		/* Not cnonce. */
		if ((value.p[i - 1] != ' ' && value.p[i - 1] != ',' && value.p[i - 1] != '\t') ||
			!span_starts_case(rest, name))
			continue;
		rest = (struct span){ rest.p + name.n, rest.n - name.n };
		return span_cut(&rest, '"');
	}
	return (struct span){ NULL, 0 };
}
