/* SPDX-License-Identifier: BSD-3-Clause */
/* Every header field that IANA lists, in random shapes full of marks of its sender: nothing but allow-listed parts crosses. */
#include "tests/unit/controlplane/hide_fixture.h"

#include "controlplane/call.h"
#include "tests/unit/controlplane/dataplane_fixture.h"
#include "tests/unit/controlplane/hide_check.h"

enum { ROUNDS = 20000, LINES_MAX = 8 };

/* IANA's "SIP Parameters: Header Fields", with compact forms and some of the wild. */
static const char *const names[] = { "Accept", "Accept-Contact", "Accept-Encoding", "Accept-Language",
	"Accept-Resource-Priority", "Additional-Identity", "Alert-Info", "Allow", "Allow-Events",
	"Answer-Mode", "Authentication-Info", "Authorization", "Call-Info", "Cellular-Network-Info",
	"Content-Disposition", "Content-ID", "Content-Language", "DC-Info", "Date", "Encryption",
	"Error-Info", "Event", "Expires", "Feature-Caps", "Flow-Timer", "Geolocation", "Geolocation-Error",
	"Geolocation-Routing", "Hide", "History-Info", "Identity", "Identity-Info", "In-Reply-To",
	"Info-Package", "Join", "Max-Breadth", "MIME-Version", "Min-Expires", "Min-SE", "Organization",
	"Origination-Id", "P-Access-Network-Info", "P-Answer-State", "P-Asserted-Identity",
	"P-Asserted-Service", "P-Associated-URI", "P-Called-Party-ID", "P-Charge-Info",
	"P-Charging-Function-Addresses", "P-Charging-Vector", "P-DCS-Trace-Party-ID", "P-DCS-OSPS",
	"P-DCS-Billing-Info", "P-DCS-LAES", "P-DCS-Redirect", "P-Early-Media", "P-Media-Authorization",
	"P-Preferred-Identity", "P-Preferred-Service", "P-Private-Network-Indication", "P-Profile-Key",
	"P-Refused-URI-List", "P-Served-User", "P-User-Database", "P-Visited-Network-ID", "Path",
	"Permission-Missing", "Policy-Contact", "Policy-ID", "Priority", "Priority-Share", "Priority-Verstat",
	"Priv-Answer-Mode", "Privacy", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck",
	"Reason", "Reason-Phrase", "Record-Route", "Recv-Info", "Refer-Events-At", "Refer-Sub", "Refer-To",
	"Referred-By", "Reject-Contact", "Relayed-Charge", "Replaces", "Reply-To", "Request-Disposition",
	"Require", "Resource-Priority", "Resource-Share", "Response-Key", "Response-Source",
	"Restoration-Info", "Retry-After", "Route", "RSeq", "Security-Client", "Security-Server",
	"Security-Verify", "Server", "Service-Interact-Info", "Service-Route", "Session-Expires",
	"Session-ID", "SIP-ETag", "SIP-If-Match", "Subject", "Subscription-State", "Supported",
	"Suppress-If-Match", "Target-Dialog", "Timestamp", "Trigger-Consent", "Unsupported", "User-Agent",
	"User-to-User", "Warning", "WWW-Authenticate", "Diversion", "Remote-Party-ID", "X-Anything", "a", "b",
	"d", "j", "k", "n", "o", "r", "s", "u", "x", "y" };

static const char *const pieces[] = { "<sip:" MARK_HOST ">", "<sip:bob@" MARK_HOST ">",
	"\"Bob\" <sip:bob@" MARK_ADDRESS ":5099;x=" MARK_HOST "?Reason=SIP%3Btext%3D" MARK_HOST ">",
	"<sips:+49301@" MARK_HOST ";user=phone;cause=302?Privacy=history&Call-ID=id77>",
	"<tel:+4930;phone-context=" MARK_HOST ">", "sip:bob@" MARK_HOST, "<http://" MARK_HOST "/x>",
	"<urn:alert:" MARK_HOST ">", "<urn:alert:service:call-waiting>", MARK_CALL_ID, "id77.1", MARK_ADDRESS,
	MARK_HOST, "*", "id", "urgent", "12", "SIP", "Q.850", "399 " MARK_HOST " \"" MARK_HOST "\"", "00a1",
	"application/" MARK_HOST, "ab30317f1a784dc48ff824d0d3715d86", "Digest realm=\"" MARK_HOST "\"",
	"\"" MARK_HOST "\"", "(" MARK_HOST ")" };

static const char *const parameters[] = { "x=" MARK_HOST, "text=\"" MARK_HOST "\"", "cause=302",
	"reason=" MARK_HOST, "reason=user-busy", "index=1.1", "index=" MARK_ADDRESS, "counter=3",
	"privacy=full", "privacy=" MARK_HOST, "tag=tag77", "to-tag=tag77", "from-tag=tag77",
	"remote=" MARK_HOST, "audio", "+sip.instance=\"<urn:uuid:" MARK_HOST ">\"",
	"+g.3gpp.x=\"" MARK_HOST "\"", "+g.3gpp." MARK_HOST,
	"+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi." MARK_HOST "\"", "answer-after=0",
	"answer-after=" MARK_ADDRESS, "info=" MARK_HOST, "info=alert-internal", "purpose=icon",
	"content=" MARK_HOST, "encoding=hex", "party=calling", "screen=" MARK_ADDRESS,
	"cid=\"id77@" MARK_HOST "\"", "require", "q=0." MARK_ADDRESS, "branch=z9hG4bKid77",
	"handling=" MARK_HOST };

static unsigned seed;

static unsigned pick(unsigned count)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % count;
}
#define PICK(list) list[pick(sizeof(list) / sizeof(list[0]))]

static void add(char *text, size_t size, const char *more)
{
	size_t n = strlen(text);

	snprintf(text + n, size - n, "%s", more);
}

static void random_value(char *text, size_t size)
{
	text[0] = '\0';
	for (unsigned v = pick(3) + 1; v-- > 0;) {
		add(text, size, PICK(pieces));
		for (unsigned p = pick(5); p-- > 0;) {
			add(text, size, ";");
			add(text, size, PICK(parameters));
		}
		if (v)
			add(text, size, pick(2) ? ", " : ",\r\n ");
	}
}

/* Separators at random places, so that pieces are taken for what they are not. */
static void garble(char *text)
{
	static const char separators[] = "<>\",;=%?@ :\\";
	size_t n = strlen(text);

	for (unsigned times = pick(4); n && times-- > 0;) {
		size_t at = pick((unsigned)n);

		if (text[at] != '\r' && text[at] != '\n' && (at == 0 || text[at - 1] != '\n'))
			text[at] = separators[pick(sizeof(separators) - 1)];
	}
}

static void random_lines(char *lines, size_t size, bool garbled)
{
	char value[600];

	lines[0] = '\0';
	for (unsigned n = pick(LINES_MAX) + 1; n-- > 0;) {
		random_value(value, sizeof(value));
		if (garbled)
			garble(value);
		add(lines, size, PICK(names));
		add(lines, size, ": ");
		add(lines, size, value);
		add(lines, size, "\r\n");
	}
}

/* NULL if the message is refused before it could cross. */
static struct message *message_of(const struct fixture *f, bool request, const char *lines)
{
	static struct scan scan;
	static char text[8192];
	struct message *message = NULL;
	unsigned status;

	snprintf(text, sizeof(text),
		"%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKid77\r\n%sFrom: <sip:alice@" MARK_HOST
		">;tag=tag77\r\n"
		"To: <sip:1000@192.0.2.1>;tag=tag77\r\nCall-ID: " MARK_CALL_ID "\r\nCSeq: 7 INVITE\r\n"
		"Contact: <sip:al@" MARK_ADDRESS ">;+sip.instance=\"<urn:uuid:" MARK_HOST
		">\";audio;x=" MARK_HOST "\r\n"
		"%sContent-Length: 0\r\n\r\n",
		request ? "INVITE sip:1000@192.0.2.1 SIP/2.0" : "SIP/2.0 486 x",
		request ? "192.0.2.9:5070" : "192.0.2.1:5060", request ? "Max-Forwards: 70\r\n" : "", lines);
	if (scan_message(&scan, span_from(text), true, &f->config.sip) != SCAN_OK ||
		message_parse(&scan, span_from(text), &f->peer, &message, &status))
		return NULL;
	return message;
}

static unsigned check_rounds(const struct fixture *f, bool garbled)
{
	unsigned crossed = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		char lines[6000], result[16384];
		bool request = pick(3) > 0;
		struct message *message;
		struct writer out;
		const char *complaint;
		unsigned kind = 1u << pick(18);

		random_lines(lines, sizeof(lines), garbled);
		message = message_of(f, request, lines);
		if (!message)
			continue;
		crossed++;
		from_leg.realm = pick(2) ? &trusted : &untrusted;
		to_leg.realm = pick(2) ? &trusted : &untrusted;
		to_profile.privacy = (enum config_privacy)pick(3);
		to_profile.diversion = (enum config_diversion)pick(4);
		writer_init(&out, result, sizeof(result));
		writer_text(&out, "Accept: \r\n");
		hide_contact_parameters(message, &out);
		hide_headers(message, (enum hide_kind)kind, &from_leg, &to_leg, &out);
		complaint = hide_complaint(writer_result(&out));
		if (complaint)
			fail_msg("%s, kind %x:\n%s\n->\n%.*s", complaint, kind, lines, (int)out.len, result);
		message_free(message);
	}
	return crossed;
}

static void test_no_mark_crosses_in_any_header(void **state)
{
	seed = 1;
	assert_true(check_rounds(*state, false) > ROUNDS / 2);
}

static void test_nor_where_separators_are_out_of_place(void **state)
{
	seed = 2;
	assert_true(check_rounds(*state, true) > ROUNDS / 4);
}

static void test_the_search_finds_a_mark(void **state)
{
	(void)state;
	assert_non_null(hide_complaint(SPAN("Warning: 399 x \"at LEAK.example\"\r\n")));
	assert_non_null(hide_complaint(SPAN("Referred-By: \"Bob\" <sip:bob@10.77.66.55>\r\n")));
	assert_non_null(hide_complaint(SPAN("Diversion: <sip:leak.example>;reason=x\r\n")));
	assert_non_null(hide_complaint(SPAN("Diversion: <sip:a@b>;reason=leak.example\r\n")));
	assert_non_null(hide_complaint(SPAN("X-Other: a\r\n")));
	assert_non_null(hide_complaint(SPAN("Priority: a\r\nPriority: b")));
	assert_null(hide_complaint(SPAN("Referred-By: \"leak.example\" <sip:leak.example@b>\r\n")));
}

/* With a table of calls, in which no dialog is found. */
static int open_calls(void **state)
{
	struct fixture *f;

	fake_reset();
	setup(state);
	f = *state;
	return call_layer_open(&f->shard);
}

static int close_calls(void **state)
{
	struct fixture *f = *state;

	call_layer_close(&f->shard);
	return teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_mark_crosses_in_any_header, open_calls, close_calls),
		cmocka_unit_test_setup_teardown(
			test_nor_where_separators_are_out_of_place, open_calls, close_calls),
		TEST(test_the_search_finds_a_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
