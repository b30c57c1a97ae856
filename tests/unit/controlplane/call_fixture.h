/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard with its call layer between two peers of the test: a caller, and the callee that is the only session-agent. */
#ifndef TESTS_UNIT_CONTROLPLANE_CALL_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_CALL_FIXTURE_H

#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/call.h"
#include "tests/unit/controlplane/dataplane_fixture.h"

#define PHONE_SDP                                                                                        \
	"v=0\r\no=x 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP " \
	"0\r\n"
#define PBX_SDP                                                                                            \
	"v=0\r\no=y 2 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 6000 RTP/AVP " \
	"0\r\n"
#define NO_SDP ""

struct call_world {
	struct fixture *f;
	struct config_ip_profile profile;
	struct config_steering_pool pool;
	struct config_session_agent agent;
	struct config_local_policy policy;
	unsigned looked; /* messages sent that the test has seen */
	char taken[FIXTURE_TEXT_MAX];
	char caller_tag[64]; /* ours towards the caller, as last seen */
};

static inline struct call_world *world_new(void)
{
	static char realm[] = "test", name[] = "pbx", policy[] = "all";
	struct call_world *w = calloc(1, sizeof(*w));
	struct fixture *f = fixture_new(&call_core);

	fake_reset();
	w->f = f;
	w->profile.nat = CONFIG_NAT_NEVER;
	f->realm.name = realm;
	f->interface.ip_profile = &w->profile;
	f->interface.allow_anonymous = CONFIG_ANONYMOUS_ALL;
	w->pool.realm = &f->realm;
	assert_int_equal(address_parse_host(SPAN("192.0.2.1"), &w->pool.address), 0);
	w->agent = (struct config_session_agent){ .name = name, .realm = &f->realm };
	w->agent.address.address = f->other.remote;
	w->policy = (struct config_local_policy){
		.name = policy, .agent = &w->agent, .next_hop = CONFIG_NEXT_HOP_AGENT
	};
	assert_int_equal(regcomp(&w->policy.to_regex, "^[0-9]+$", REG_EXTENDED | REG_NOSUB), 0);
	f->config.steering_pools = &w->pool;
	f->config.steering_pools_count = 1;
	f->config.session_agents = &w->agent;
	f->config.session_agents_count = 1;
	f->config.local_policies = &w->policy;
	f->config.local_policies_count = 1;
	assert_int_equal(call_layer_open(&f->shard), 0);
	return w;
}

static inline void world_free(struct call_world *w)
{
	struct fixture *f = w->f;

	transaction_layer_close(&f->shard);
	while (fake.answered < fake.count)
		fake_answer(-ENOTCONN);
	call_layer_close(&f->shard);
	transport_close(&f->shard);
	timer_wheel_free(f->shard.timers);
	regfree(&w->policy.to_regex);
	free(f);
	free(w);
}

/* The next message to `peer` that starts so; those before it are passed over, whatever and to whomever they are. */
static inline const char *take(struct call_world *w, const struct sip_flow *peer, const char *start)
{
	for (unsigned i = w->looked; i < w->f->sent_count; i++)
		if (address_equal(&w->f->sent[i].to, &peer->remote) &&
			strncmp(w->f->sent[i].text, start, strlen(start)) == 0) {
			w->looked = i + 1;
			snprintf(w->taken, sizeof(w->taken), "%s", w->f->sent[i].text);
			return w->taken;
		}
	fail_msg("nothing sent that starts with \"%s\"", start);
	return NULL;
}

static inline bool was_sent(const struct call_world *w, const struct sip_flow *peer, const char *start)
{
	for (unsigned i = w->looked; i < w->f->sent_count; i++)
		if (address_equal(&w->f->sent[i].to, &peer->remote) &&
			strncmp(w->f->sent[i].text, start, strlen(start)) == 0)
			return true;
	return false;
}

static inline void assert_contains(const char *text, const char *piece)
{
	if (!strstr(text, piece))
		fail_msg("no \"%s\" in:\n%s", piece, text);
}

/* One header line of a message, with its CRLF. */
static inline const char *line_of(const char *text, const char *name, char *out, size_t size)
{
	char start[64];
	const char *at;

	snprintf(start, sizeof(start), "\r\n%s: ", name);
	at = strstr(text, start);
	assert_non_null(at);
	snprintf(out, size, "%.*s\r\n", (int)strcspn(at + 2, "\r"), at + 2);
	return out;
}

static inline void write_body(char *out, size_t size, const char *body)
{
	snprintf(out, size, "%sContent-Length: %zu\r\n\r\n%s",
		body[0] ? "Content-Type: application/sdp\r\n" : "", strlen(body), body);
}

/* A response of `peer` to `request`; `tag` NULL: the To has one already. */
static inline void respond(struct call_world *w, const struct sip_flow *peer, const char *request,
	unsigned status, const char *tag, const char *headers, const char *body)
{
	char via[512], from[512], to[512], call_id[512], cseq[512], end[2048], here[ADDRESS_TEXT_MAX];
	/* The caller says that he has moved. */
	const union address *at =
		address_equal(&peer->remote, &w->f->peer.remote) ? &w->f->other.remote : &peer->remote;

	line_of(request, "To", to, sizeof(to));
	to[strlen(to) - 2] = '\0';
	write_body(end, sizeof(end), body);
	fixture_receive(w->f, peer, "SIP/2.0 %u X\r\n%s%s%s%s%s\r\n%s%sContact: <sip:there@%s>\r\n%s%s",
		status, line_of(request, "Via", via, sizeof(via)),
		line_of(request, "From", from, sizeof(from)), to, tag ? ";tag=" : "", tag ? tag : "",
		line_of(request, "Call-ID", call_id, sizeof(call_id)),
		line_of(request, "CSeq", cseq, sizeof(cseq)), address_print(at, here), headers, end);
}

/* A request of the caller in its dialog (`to_tag` NULL: outside of one). The branch is made of method and CSeq. */
static inline void caller_sends(struct call_world *w, const char *method, unsigned cseq, const char *to_tag,
	const char *headers, const char *body)
{
	char end[2048];

	write_body(end, sizeof(end), body);
	fixture_receive(w->f, &w->f->peer,
		"%s sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.9:5070;branch=z9hG4bK%s%u\r\nMax-Forwards: 70\r\n"
		"From: <sip:alice@192.0.2.9>;tag=from1\r\nTo: <sip:1000@192.0.2.1>%s%s\r\nCall-ID: "
		"call1@192.0.2.9\r\n"
		"CSeq: %u %s\r\nContact: <sip:alice@192.0.2.9:5070>\r\n%s%s",
		method, strcmp(method, "CANCEL") == 0 ? "INVITE" : method, cseq, to_tag ? ";tag=" : "",
		to_tag ? to_tag : "", cseq, method, headers, end);
}

/* A request of the callee within the dialog of the INVITE it got. */
static inline void callee_sends(struct call_world *w, const char *invite, const char *method, unsigned cseq,
	const char *tag, const char *body)
{
	char from[512], to[512], call_id[512], end[2048];

	line_of(invite, "To", to, sizeof(to));
	to[strlen(to) - 2] = '\0';
	write_body(end, sizeof(end), body);
	line_of(invite, "From", from, sizeof(from));
	fixture_receive(w->f, &w->f->other,
		"%s sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.10:5080;branch=z9hG4bKpbx%s%u\r\nMax-Forwards: 70\r\n"
		"From: %s;tag=%s\r\nTo: %s%sCSeq: %u %s\r\nContact: <sip:there@192.0.2.10:5080>\r\n%s",
		method, method, cseq, to + strlen("To: "), tag, from + strlen("From: "),
		line_of(invite, "Call-ID", call_id, sizeof(call_id)), cseq, method, end);
}

/* Our To tag in a response to the caller. */
static inline const char *note_tag(struct call_world *w, const char *response)
{
	char to[512];
	const char *tag;

	line_of(response, "To", to, sizeof(to));
	tag = strstr(to, ";tag=");
	assert_non_null(tag);
	snprintf(w->caller_tag, sizeof(w->caller_tag), "%.*s", (int)strcspn(tag + 5, "\r;"), tag + 5);
	return w->caller_tag;
}

/* INVITE from the caller with that body, up to the INVITE to the callee: returned, to be kept by the caller. */
static inline void start_call(struct call_world *w, const char *body, char invite[FIXTURE_TEXT_MAX])
{
	caller_sends(w, "INVITE", 1, NULL, "", body);
	take(w, &w->f->peer, "SIP/2.0 100 ");
	fake_answer_all();
	snprintf(invite, FIXTURE_TEXT_MAX, "%s", take(w, &w->f->other, "INVITE "));
}

/* An established call. */
static inline void establish(struct call_world *w, char invite[FIXTURE_TEXT_MAX])
{
	start_call(w, PHONE_SDP, invite);
	respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
	take(w, &w->f->other, "ACK ");
	note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
	caller_sends(w, "ACK", 1, w->caller_tag, "", NO_SDP);
	fake_answer_all();
}

/* So many of them, each with a dialog of its own; what was asked of the dataplane is forgotten. */
static inline void answer_calls(struct call_world *w, unsigned count, char invite[FIXTURE_TEXT_MAX])
{
	for (unsigned i = 0; i < count; i++) {
		fixture_receive(w->f, &w->f->peer,
			"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
			"192.0.2.9:5070;branch=z9hG4bKmany%u\r\nMax-Forwards: 70\r\n"
			"From: <sip:alice@192.0.2.9>;tag=from%u\r\nTo: <sip:1000@192.0.2.1>\r\nCall-ID: "
			"many%u\r\n"
			"CSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.9:5070>\r\nContent-Type: "
			"application/sdp\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			i, i, i, strlen(PHONE_SDP), PHONE_SDP);
		fake_answer_all();
		snprintf(invite, FIXTURE_TEXT_MAX, "%s", take(w, &w->f->other, "INVITE "));
		respond(w, &w->f->other, invite, 200, "pbx1", "", PBX_SDP);
		note_tag(w, take(w, &w->f->peer, "SIP/2.0 200 "));
		fixture_receive(w->f, &w->f->peer,
			"ACK sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
			"192.0.2.9:5070;branch=z9hG4bKack%u\r\nMax-Forwards: 70\r\n"
			"From: <sip:alice@192.0.2.9>;tag=from%u\r\nTo: "
			"<sip:1000@192.0.2.1>;tag=%s\r\nCall-ID: many%u\r\n"
			"CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
			i, i, w->caller_tag, i);
		fake_answer_all();
	}
	assert_int_equal(call_count(&w->f->shard), count);
	fake_reset();
}

#endif
