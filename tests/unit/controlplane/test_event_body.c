/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of events on their way to the other side: users cross, hosts and identifiers do not, what is not known does not. */
#include "tests/unit/controlplane/call_fixture.h"

#include "controlplane/event_body.h"

static struct leg from, to;
static char text[8192];

static int setup(void **state)
{
	static char target[] = "sip:1000@pbx.inside.example:5080", name[] = "\"B\" <sip:1000@192.0.2.1>",
		    call_id[] = "their-call@192.0.2.10", tag[] = "theirtag";
	struct call_world *w = world_new();
	struct fixture *f = w->f;

	from = (struct leg){ .shard = &f->shard, .flow = f->other, .next_hop = f->other.remote };
	from.target = target;
	from.call_id = call_id;
	from.remote_tag = tag;
	to = (struct leg){ .shard = &f->shard, .flow = f->peer, .next_hop = f->peer.remote };
	from.realm = to.realm = &f->realm;
	to.local = name;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

/* What becomes of a body; NULL: it does not cross. */
static const char *map(struct call_world *w, const char *package, const char *body)
{
	const struct event_sides sides = {
		.shard = &w->f->shard, .from = &from, .to = &to, .name = to.local
	};
	struct writer out;

	writer_init(&out, text, sizeof(text) - 1);
	if (event_body_map(&sides, span_from(package), span_from(body), &out))
		return NULL;
	text[out.len] = '\0';
	return text;
}

static const char dialog_info[] =
	"<?xml version=\"1.0\"?>\n<!-- pbx.inside.example -->\n"
	"<d:dialog-info xmlns:d=\"urn:ietf:params:xml:ns:dialog-info\" version='7' state=\"full\"\n"
	" entity=\"sip:1000@pbx.inside.example:5080;user=phone\" x=\"192.0.2.10\">\n"
	"<d:dialog id=\"their-call@192.0.2.10\" call-id=\"their-call@192.0.2.10\" local-tag=\"theirtag\"\n"
	" remote-tag=\"other\" direction=\"recipient\">\n"
	"<d:state event=\"rejected\" code=\"486\">terminated</d:state><d:duration>12</d:duration>\n"
	"<d:route-set><d:hop>sip:192.0.2.10;lr</d:hop></d:route-set>\n"
	"<d:local><d:identity display=\"Bob &amp; Co\">sip:1000@pbx.inside.example</d:identity>\n"
	"<d:target uri=\"sip:1000@10.1.2.3:5062;ob\"><d:param pname=\"+sip.rendering\" "
	"pval=\"no\"/></d:target>\n"
	"<d:session-description type=\"application/sdp\">c=IN IP4 "
	"10.1.2.3</d:session-description></d:local>\n"
	"<d:remote><d:identity display=\"at 10.1.2.3\">sip:+4930@10.9.9.9</d:identity><d:target "
	"uri=\"sip:10.9.9.9\"/>"
	"</d:remote><vendor:x xmlns:vendor=\"u\">10.1.2.3<vendor:y/></vendor:x></d:dialog></d:dialog-info>";

static void test_dialog_info_is_written_anew(void **state)
{
	static const char *const traces[] = { "192.0.2.10", "10.", "inside", "theirtag", "other",
		"their-call", "vendor", "session", "hop", "user=phone", "ob\"", NULL };
	const char *out = map(*state, "dialog", dialog_info);

	assert_non_null(out);
	assert_contains(out, "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"7\" "
			     "state=\"full\" entity=\"sip:1000@192.0.2.1\">");
	assert_contains(out, "direction=\"recipient\"");
	assert_contains(
		out, "<state event=\"rejected\" code=\"486\">terminated</state><duration>12</duration>");
	assert_contains(out, "<identity display=\"Bob &amp; Co\">sip:1000@192.0.2.1</identity>");
	assert_contains(out,
		"<target uri=\"sip:1000@192.0.2.1\"><param pname=\"+sip.rendering\" pval=\"no\"/>"
		"</target>");
	assert_contains(out, "<remote><identity>sip:+4930@192.0.2.1</identity><target uri=\"sip:192.0.2.1\"/>"
			     "</remote></dialog></dialog-info>");
	for (size_t i = 0; traces[i]; i++)
		if (strstr(out, traces[i]))
			fail_msg("\"%s\" in:\n%s", traces[i], out);
}

static void test_an_identifier_becomes_the_same_one_each_time(void **state)
{
	static const char *const body = "<dialog-info version=\"1\" state=\"full\" "
					"entity=\"sip:a@b\"><dialog id=\"%s\"><state>early</state>"
					"</dialog></dialog-info>";
	char one[512], two[512], first[512];

	snprintf(one, sizeof(one), body, "one");
	snprintf(two, sizeof(two), body, "two");
	snprintf(first, sizeof(first), "%s", map(*state, "dialog", one));
	assert_string_equal(first, map(*state, "dialog", one));
	assert_string_not_equal(first, map(*state, "dialog", two));
}

static void value_of(const char *message, const char *header, const char *mark, char *out, size_t size)
{
	char line[512];
	const char *at = strstr(line_of(message, header, line, sizeof(line)), mark);

	assert_non_null(at);
	snprintf(out, size, "%.*s", (int)strcspn(at + strlen(mark), "\r;"), at + strlen(mark));
}

/* What a telephone picks up with (RFC 3891) names the call as its own side knows it. */
static void test_a_dialog_that_is_a_call_of_ours_gets_the_other_sides_names(void **state)
{
	static const char *const body =
		"<dialog-info version=\"1\" state=\"full\" entity=\"sip:a@b\"><dialog id=\"i\" "
		"call-id=\"call1@192.0.2.9\" local-tag=\"%s\" remote-tag=\"%s\">"
		"<state>confirmed</state></dialog></dialog-info>";
	struct call_world *w = *state;
	char invite[FIXTURE_TEXT_MAX], call_id[64], tag[64], wanted[256], named[1024];

	establish(w, invite);
	value_of(invite, "Call-ID", ": ", call_id, sizeof(call_id));
	value_of(invite, "From", ";tag=", tag, sizeof(tag));
	snprintf(named, sizeof(named), body, "from1", w->caller_tag);
	snprintf(wanted, sizeof(wanted), "call-id=\"%s\" local-tag=\"%s\" remote-tag=\"pbx1\"", call_id, tag);
	assert_contains(map(w, "dialog", named), wanted);
	/* The same call seen from its other end. */
	snprintf(named, sizeof(named), body, w->caller_tag, "from1");
	snprintf(wanted, sizeof(wanted), "call-id=\"%s\" local-tag=\"pbx1\" remote-tag=\"%s\"", call_id, tag);
	assert_contains(map(w, "dialog", named), wanted);
	snprintf(named, sizeof(named), body, "from1", "unknown");
	assert_null(strstr(map(w, "dialog", named), "call-id"));
}

static void test_presence_keeps_what_a_lamp_needs(void **state)
{
	const char *out = map(*state, "presence",
		"<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "
		"xmlns:p=\"urn:ietf:params:xml:ns:pidf:data-model\" "
		"xmlns:e=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"pres:1000@pbx.inside.example\">"
		"<p:person id=\"10.1.2.3\"><e:activities><e:on-the-phone/></e:activities></p:person>"
		"<note>On the phone</note><note>see 10.1.2.3</note><tuple id=\"t1\">"
		"<contact priority=\"1\">sip:1000@10.1.2.3:5060</contact>"
		"<status><basic>open</basic></status><timestamp>2026-01-02T03:04:05Z</timestamp></tuple></"
		"presence>");

	assert_non_null(out);
	assert_contains(out, "entity=\"pres:1000@192.0.2.1\"");
	assert_contains(out, "<rpid:activities><rpid:on-the-phone/></rpid:activities></dm:person>");
	assert_contains(out, "<note>On the phone</note><note></note>");
	assert_contains(out, "<contact>sip:1000@192.0.2.1</contact><status><basic>open</basic></status>"
			     "<timestamp>2026-01-02T03:04:05Z</timestamp></tuple></presence>");
	assert_null(strstr(out, "10.1.2.3"));
	assert_null(strstr(out, "inside"));
}

static void test_a_body_that_is_not_well_formed_or_not_safe_does_not_cross(void **state)
{
	static const char *const bodies[] = {
		"",
		"x",
		"<presence",
		"<presence entity=\"sip:a@b\">",
		"<presence entity=\"sip:a@b\"></tuple>",
		"<tuple id=\"a\"/>",
		"<presence entity=\"sip:a@b\"/><presence entity=\"sip:a@b\"/>",
		"<presence entity=\"http://192.0.2.10/\"/>",
		"<presence entity=\"sip:a@b\" entity=\"sip:a@b\"/>",
		"<!DOCTYPE x [<!ENTITY y \"z\">]><presence entity=\"sip:a@b\"/>",
		"<presence entity=\"sip:a@b\"><![CDATA[x]]></presence>",
		"<presence entity=\"sip:a@b\"><tuple id=\"a\"><contact>sip:a@<!-- x "
		"-->10.1.2.3</contact></tuple></presence>",
		"<presence entity=\"sip:a@b\"><tuple "
		"id=\"a\"><contact>sip:&#49;@b</contact></tuple></presence>",
		"<presence entity=\"sip:a@b\"><tuple "
		"id=\"a\"><status><basic>10.1.2.3</basic></status></tuple></presence>",
		"<presence entity=\"sip:a@b\"><tuple "
		"id=\"a\"><status><basic>their-call</basic></status></tuple></presence>",
		"<presence entity=\"sip:a@b\"><tuple id=\"\"/></presence>",
		"<presence entity='sip:a\"@b'/>",
		"<presence entity=\"sip:a@b\"><!-- </presence>",
		"text<presence entity=\"sip:a@b\"/>",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		if (map(*state, "presence", bodies[i]))
			fail_msg("crossed: %s\nas: %s", bodies[i], text);
}

static void test_depth_and_number_of_elements_are_bounded(void **state)
{
	static char body[65536];
	size_t n = (size_t)snprintf(body, sizeof(body), "<presence entity=\"sip:a@b\">");

	for (unsigned i = 0; i < 20; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "<x>");
	for (unsigned i = 0; i < 20; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "</x>");
	snprintf(body + n, sizeof(body) - n, "</presence>");
	assert_null(map(*state, "presence", body));
	n = (size_t)snprintf(body, sizeof(body), "<presence entity=\"sip:a@b\">");
	for (unsigned i = 0; i < 2000; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "<x/>");
	snprintf(body + n, sizeof(body) - n, "</presence>");
	assert_null(map(*state, "presence", body));
}

static void test_message_summary_is_lines_that_are_known(void **state)
{
	assert_string_equal(map(*state, "message-summary",
				    "messages-waiting: yes\nMessage-Account: <sip:1000@10.1.2.3>\n"
				    "Message-Account: sip:1000@10.1.2.3:5062;x\nVoice-Message: 2/8 "
				    "(0/2)\nFax-Message: 10.1.2.3\n"
				    "X: 10.1.2.3\n\nFrom: <sip:a@10.1.2.3>\n"),
		"Messages-Waiting: yes\r\nMessage-Account: sip:1000@192.0.2.1\r\nVoice-Message: 2/8 "
		"(0/2)\r\n");
	assert_null(map(*state, "message-summary", "Voice-Message: 2/8\r\n"));
	assert_null(map(*state, "message-summary", "Messages-Waiting: 10.1.2.3\r\n"));
	assert_null(map(*state, "conference", "Messages-Waiting: yes\r\n"));
}

static void test_our_host_is_the_one_that_the_other_side_knows_us_by(void **state)
{
	static char v6[] = "<sip:1000@[2001:db8::1]:5070>";

	to.local = v6;
	assert_string_equal(
		map(*state, "message-summary",
			"Messages-Waiting: no\r\nMessage-Account: sip:1000@pbx.inside.example\r\n"),
		"Messages-Waiting: no\r\nMessage-Account: sip:1000@[2001:db8::1]:5070\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_dialog_info_is_written_anew),
		TEST(test_an_identifier_becomes_the_same_one_each_time),
		TEST(test_a_dialog_that_is_a_call_of_ours_gets_the_other_sides_names),
		TEST(test_presence_keeps_what_a_lamp_needs),
		TEST(test_a_body_that_is_not_well_formed_or_not_safe_does_not_cross),
		TEST(test_depth_and_number_of_elements_are_bounded),
		TEST(test_message_summary_is_lines_that_are_known),
		TEST(test_our_host_is_the_one_that_the_other_side_knows_us_by),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
