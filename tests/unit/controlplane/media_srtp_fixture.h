/* SPDX-License-Identifier: BSD-3-Clause */
/* Phone and PBX of media_fixture.h with SRTP: policies, descriptions with a=crypto, and what a side was told. */
#ifndef TESTS_UNIT_CONTROLPLANE_MEDIA_SRTP_FIXTURE_H
#define TESTS_UNIT_CONTROLPLANE_MEDIA_SRTP_FIXTURE_H

#include "tests/unit/controlplane/media_fixture.h"

#include "controlplane/sdes.h"

#define CM80                  "AES_CM_128_HMAC_SHA1_80"
#define CM32                  "AES_CM_128_HMAC_SHA1_32"
#define GCM                   "AEAD_AES_128_GCM"
#define KEY_A                 "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define KEY_B                 "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
#define KEY_C                 "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
#define KEY_G                 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="
#define LINE(tag, suite, key) "a=crypto:" tag " " suite " inline:" key "\r\n"
#define SAVP(port)            "m=audio " port " RTP/SAVP 0\r\n"
#define FROM_PHONE(lines)     SDP("IP4 192.168.1.2", lines)
#define FROM_PBX(lines)       SDP("IP4 10.0.0.5", lines)

static char *both[] = { (char *)(uintptr_t)CM80, (char *)(uintptr_t)GCM };

static inline void be_side(unsigned side, enum config_media_security security, bool tls)
{
	static const char *const sources[2] = { "203.0.113.9:5060", "10.0.0.5:5060" };
	struct media_party party = { .realm = &realms[side], .profile = &profiles[side], .secure = tls };

	profiles[side].media_security = security;
	profiles[side].srtp_without_tls = false;
	profiles[side].crypto_suites = (struct config_strings){ both, 2 };
	assert_int_equal(address_parse(span_from(sources[side]), 0, &party.signalling), 0);
	media_set_party(media, side, &party);
}

static inline void be(enum config_media_security phone, enum config_media_security pbx)
{
	be_side(0, phone, true);
	be_side(1, pbx, true);
}

static inline void renew(struct fixture *f)
{
	media_close(media, on_closed, &seen);
	fake_answer_all();
	fake_reset();
	seen.ready = 0;
	assert_int_equal(media_new(&f->shard, &events, &seen, &media), 0);
}

/* What was written for a side. */
static inline const char *written(unsigned side)
{
	static char text[2][4096];

	snprintf(text[side], sizeof(text[side]), "%.*s", SPAN_FMT(media_written(media, side)));
	return text[side];
}

/* The n-th a=crypto that a side was told. */
static inline bool told(unsigned side, unsigned n, struct sdes_line *out)
{
	const char *at = written(side);

	*out = (struct sdes_line){ 0 };
	for (;; n--) {
		at = strstr(at, "a=crypto:");
		if (!at)
			return false;
		at += 9;
		if (n == 0)
			break;
	}
	assert_int_equal(sdes_parse((struct span){ at, strcspn(at, "\r") }, out), 0);
	return true;
}

static inline const struct dp_side_request *updated(unsigned side)
{
	return last_side(0, side);
}

static inline void assert_no_key_of(const char *text, const char *key)
{
	if (strstr(text, key))
		fail_msg("a key of the other side in:\n%s", text);
}

static inline int offer(unsigned side, const char *body)
{
	int result = media_offer(media, side, span_from(body));

	if (result != 1)
		return result;
	fake_answer_all();
	return 0;
}

static inline int answer(unsigned side, const char *body)
{
	return media_answer(media, side, span_from(body), true);
}

#endif
