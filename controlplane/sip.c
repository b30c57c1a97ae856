/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of method names and reason phrases; where a quoted string ends. */
#include "controlplane/sip.h"

#include <stddef.h>

static const struct span method_names[SIP_METHOD_COUNT] = {
#define X(name) [SIP_METHOD_##name] = { #name, sizeof(#name) - 1 },
	SIP_METHODS(X)
#undef X
};

struct reason {
	unsigned status;
	const char *phrase;
};

/* Ascending. RFC 3261 section 21 and those of RFC 3265, 3312, 3323, 3329, 3903, 4028, 4412, 4474, 5079, 5360, 5365, 5393,
 * 5626, 6086, 8197, 8599 and 8688 that an SBC meets. */
static const struct reason reasons[] = {
	{ 100, "Trying" },
	{ 180, "Ringing" },
	{ 181, "Call Is Being Forwarded" },
	{ 182, "Queued" },
	{ 183, "Session Progress" },
	{ 199, "Early Dialog Terminated" },
	{ 200, "OK" },
	{ 202, "Accepted" },
	{ 204, "No Notification" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Moved Temporarily" },
	{ 305, "Use Proxy" },
	{ 380, "Alternative Service" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 410, "Gone" },
	{ 412, "Conditional Request Failed" },
	{ 413, "Request Entity Too Large" },
	{ 414, "Request-URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Unsupported URI Scheme" },
	{ 417, "Unknown Resource-Priority" },
	{ 420, "Bad Extension" },
	{ 421, "Extension Required" },
	{ 422, "Session Interval Too Small" },
	{ 423, "Interval Too Brief" },
	{ 424, "Bad Location Information" },
	{ 428, "Use Identity Header" },
	{ 429, "Provide Referrer Identity" },
	{ 430, "Flow Failed" },
	{ 433, "Anonymity Disallowed" },
	{ 436, "Bad Identity-Info" },
	{ 437, "Unsupported Certificate" },
	{ 438, "Invalid Identity Header" },
	{ 439, "First Hop Lacks Outbound Support" },
	{ 440, "Max-Breadth Exceeded" },
	{ 469, "Bad Info Package" },
	{ 470, "Consent Needed" },
	{ 480, "Temporarily Unavailable" },
	{ 481, "Call/Transaction Does Not Exist" },
	{ 482, "Loop Detected" },
	{ 483, "Too Many Hops" },
	{ 484, "Address Incomplete" },
	{ 485, "Ambiguous" },
	{ 486, "Busy Here" },
	{ 487, "Request Terminated" },
	{ 488, "Not Acceptable Here" },
	{ 489, "Bad Event" },
	{ 491, "Request Pending" },
	{ 493, "Undecipherable" },
	{ 494, "Security Agreement Required" },
	{ 500, "Server Internal Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Server Time-out" },
	{ 505, "Version Not Supported" },
	{ 513, "Message Too Large" },
	{ 555, "Push Notification Service Not Supported" },
	{ 580, "Precondition Failure" },
	{ 600, "Busy Everywhere" },
	{ 603, "Decline" },
	{ 604, "Does Not Exist Anywhere" },
	{ 606, "Not Acceptable" },
	{ 607, "Unwanted" },
	{ 608, "Rejected" },
};

enum sip_method sip_method_parse(struct span name)
{
	for (int method = SIP_METHOD_UNKNOWN + 1; method < SIP_METHOD_COUNT; method++)
		if (span_equal(name, method_names[method]))
			return (enum sip_method)method;
	return SIP_METHOD_UNKNOWN;
}

const char *sip_method_name(enum sip_method method)
{
	if (method <= SIP_METHOD_UNKNOWN || method >= SIP_METHOD_COUNT)
		return "";
	return method_names[method].p;
}

static const char *reason_find(unsigned status)
{
	size_t low = 0;
	size_t high = sizeof(reasons) / sizeof(reasons[0]);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (reasons[middle].status == status)
			return reasons[middle].phrase;
		if (reasons[middle].status < status)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static const char *const option_names[SIP_OPTION_COUNT] = {
#define X(id, name) [SIP_OPTION_##id] = (name),
	SIP_OPTIONS(X)
#undef X
};

enum sip_option sip_option_parse(struct span name)
{
	unsigned i = 0;

	while (i < SIP_OPTION_COUNT && !span_equal_case(name, span_from(option_names[i])))
		i++;
	return (enum sip_option)i;
}

const char *sip_option_name(enum sip_option option)
{
	return option < SIP_OPTION_COUNT ? option_names[option] : "";
}

const char *sip_reason(unsigned status)
{
	const char *phrase = reason_find(status);

	if (!phrase)
		phrase = reason_find(status / 100 * 100);
	return phrase ? phrase : "Unknown";
}

size_t sip_quoted_length(struct span text)
{
	for (size_t i = 1; i < text.n; i++) {
		if (text.p[i] == '\\')
			i++;
		else if (text.p[i] == '"')
			return i + 1;
	}
	return 0;
}
