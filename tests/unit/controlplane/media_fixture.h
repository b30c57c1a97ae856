/* SPDX-License-Identifier: BSD-3-Clause */
/* The media of one call between a phone (side 0, outside, behind a NAT) and a PBX (side 1, inside), and a dataplane that answers when told. */
#ifndef TESTS_UNIT_CONTROLPLANE_MEDIA_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_MEDIA_FIXTURE_H

#include "tests/unit/controlplane/sip_fixture.h"

#include "controlplane/media.h"
#include "tests/unit/controlplane/dataplane_fixture.h"

static inline void on_request(struct shard *shard, struct transaction *tr, const struct message *request)
{
	(void)shard;
	(void)request;
	transaction_reply(tr, 500, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
}

static const struct transaction_core core = { .request = on_request };

static struct config_realm realms[2];
static struct config_ip_profile profiles[2];
static struct config_steering_pool pools[3];

static struct {
	unsigned ready, lost, closed, insecure;
	int status;
} seen;

static inline void on_ready(void *arg, int status)
{
	assert_ptr_equal(arg, &seen);
	seen.ready++;
	seen.status = status;
}

static inline void on_lost(void *arg)
{
	assert_ptr_equal(arg, &seen);
	seen.lost++;
}

static inline void on_closed(void *arg, const struct dp_session_info *final)
{
	(void) final;
	assert_ptr_equal(arg, &seen);
	seen.closed++;
}

static inline void on_insecure(void *arg, unsigned side, const char *why)
{
	(void)side;
	assert_ptr_equal(arg, &seen);
	assert_non_null(why);
	seen.insecure++;
}

static const struct media_events events = { on_ready, on_lost, on_insecure };
static struct media *media;

static inline int setup(void **state)
{
	static char names[2][8] = { "outside", "inside" };
	static const char *const sources[2] = { "203.0.113.9:5060", "10.0.0.5:5060" };
	static const char *const addresses[3] = { "198.51.100.1", "10.0.0.1", "2001:db8::1" };
	struct fixture *f = fixture_new(&core);

	fake_reset();
	memset(&seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 3; i++) {
		pools[i].realm = &realms[i % 2];
		assert_int_equal(address_parse_host(span_from(addresses[i]), &pools[i].address), 0);
	}
	f->config.steering_pools = pools;
	f->config.steering_pools_count = 3;
	assert_int_equal(media_new(&f->shard, &events, &seen, &media), 0);
	for (unsigned side = 0; side < 2; side++) {
		struct media_party party = { .realm = &realms[side], .profile = &profiles[side] };

		realms[side].name = names[side];
		profiles[side] = (struct config_ip_profile){ .nat = side ? CONFIG_NAT_NEVER : CONFIG_NAT_AUTO,
			.latching = side ? CONFIG_LATCHING_FIXED : CONFIG_LATCHING_LATCH };
		assert_int_equal(address_parse(span_from(sources[side]), 0, &party.signalling), 0);
		media_set_party(media, side, &party);
	}
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	fake.down = false;
	if (media)
		media_close(media, on_closed, &seen);
	media = NULL;
	fake_answer_all();
	fixture_free(*state);
	return 0;
}

#define SDP(address, lines) "v=0\r\no=x 1 1 IN IP4 192.168.1.2\r\ns=-\r\nc=IN " address "\r\nt=0 0\r\n" lines
#define AUDIO(port)         "m=audio " port " RTP/AVP 0\r\n"
#define PHONE               SDP("IP4 192.168.1.2", AUDIO("4000"))
#define PBX                 SDP("IP4 10.0.0.5", AUDIO("6000"))

static inline const char *write_for(unsigned side, const char *body)
{
	static char text[2048];
	struct writer out;

	writer_init(&out, text, sizeof(text) - 1);
	assert_int_equal(media_write(media, side, span_from(body), &out), 0);
	text[out.len] = '\0';
	return text;
}

static inline void establish(void)
{
	assert_int_equal(media_offer(media, 0, span_from(PHONE)), 1);
	fake_answer(0);
	write_for(1, PHONE);
	assert_int_equal(media_answer(media, 1, span_from(PBX), true), 0);
	write_for(0, PBX);
	fake_answer_all();
}

static inline const struct dp_side_request *last_side(unsigned stream, unsigned side)
{
	return &fake_last(DP_SESSION_UPDATE)->session.stream[stream].side[side];
}

#endif
