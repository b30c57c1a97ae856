/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: SDP. What is read stays in the body; what is written can be read again, means the same, does not change when it
 * is written once more, and fits a buffer in proportion to the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_sip limits = { .max_sdp_lines = SDP_LINES_MAX, .max_sdp_media = SDP_MEDIA_MAX };

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void require_inside(struct span span, struct span body)
{
	require(span.n == 0 || (span.p >= body.p && span.p + span.n <= body.p + body.n));
}

static void check(const struct sdp *sdp, struct span body)
{
	unsigned lines = 0;

	require(sdp->line_count <= SDP_LINES_MAX && sdp->media_count <= SDP_MEDIA_MAX);
	require_inside(sdp->origin, body);
	for (unsigned i = 0; i < sdp->line_count; i++)
		require_inside(sdp->line[i].value, body);
	for (unsigned i = 0; i < sdp->media_count; i++) {
		const struct sdp_media *media = &sdp->media[i];

		require_inside(media->type, body);
		require_inside(media->protocol, body);
		require_inside(media->formats, body);
		require(media->port_count >= 1 && media->line_count >= 1);
		require(!address_is_set(&media->rtp) || address_port(&media->rtp) == media->port);
		require(media->telephone_event <= 127);
		require(sdp_bandwidth_limit(&media->bandwidth) <= 10000000);
		lines += media->line_count;
	}
	require(sdp->media_count == 0 || sdp->media[0].first_line + lines == sdp->line_count);
}

/* The far side's addresses, as it writes them in o= and c=. Too short ones may be part of ours. */
static void check_hidden(const struct sdp *sdp, struct span text)
{
	static const struct span own[] = { { "203.0.113.10", 12 }, { "2001:db8::10", 12 } };

	for (unsigned i = 0; i < sdp->line_count; i++) {
		struct span word = sdp->line[i].value;
		union address address;
		const char *space;
		bool ours_too = false;

		if (sdp->line[i].type != 'o' && sdp->line[i].type != 'c')
			continue;
		space = word.n ? memrchr(word.p, ' ', word.n) : NULL;
		if (space)
			word = (struct span){ space + 1, (size_t)(word.p + word.n - space - 1) };
		for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
			ours_too = ours_too || (word.n && memmem(own[k].p, own[k].n, word.p, word.n));
		if (word.n < 7 || ours_too || address_parse_host(word, &address))
			continue;
		require(memmem(text.p, text.n, word.p, word.n) == NULL);
	}
}

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="

/* Each key that is said is ours. */
static void check_keys(struct span text)
{
	static const char line[] = "\na=crypto", ours_in[] = "inline:" KEY "\r\n";
	const char *at = text.p;
	size_t rest = text.n;

	while ((at = memmem(at, rest, line, sizeof(line) - 1)) != NULL) {
		rest = (size_t)(text.p + text.n - at);
		require(memmem(at, rest < 80 ? rest : 80, ours_in, sizeof(ours_in) - 1) != NULL);
		at += sizeof(line) - 1;
		rest -= sizeof(line) - 1;
	}
}

static struct sdp_origin origin;
static struct sdp_rewrite_media ours[SDP_MEDIA_MAX];

/* Keys are for streams of RTP that are on, as in media_crypto.c. */
static void secure(const struct sdp *sdp)
{
	for (unsigned i = 0; i < sdp->media_count; i++) {
		const struct sdp_media *media = &sdp->media[i];
		bool is_secure = i % 3 == 1 && media->port != 0 && media->protocol.n >= 4 &&
				 memcmp(media->protocol.p, "RTP/", 4) == 0;

		ours[i].protocol = is_secure ? SPAN("RTP/SAVP") : (struct span){ NULL, 0 };
		ours[i].crypto = is_secure ? SPAN("a=crypto:1 AEAD_AES_128_GCM inline:" KEY "\r\n")
					   : (struct span){ NULL, 0 };
	}
}

static size_t rewrite(const struct sdp *sdp, char *buffer, size_t size)
{
	struct writer w;

	secure(sdp);
	writer_init(&w, buffer, size);
	require(sdp_rewrite(sdp, &origin, ours, &w) == 0);
	return w.len;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	origin = (struct sdp_origin){ .session_id = 1, .version = 2 };
	require(address_parse_host(SPAN("203.0.113.10"), &origin.address) == 0);
	for (unsigned i = 0; i < SDP_MEDIA_MAX; i++) {
		struct span host = i % 3 == 2 ? SPAN("2001:db8::10") : SPAN("203.0.113.10");

		require(address_parse_host(host, &ours[i].local) == 0);
		address_set_port(&ours[i].local, (uint16_t)(10000 + 2 * i));
		ours[i].rtcp_mux = i % 2;
		ours[i].reject = i == 5;
		ours[i].no_feedback = i % 4 == 1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sdp first, second;
	static char once[1 << 20], twice[1 << 20];
	struct span body = { (const char *)data, size };
	size_t n;

	if (size > sizeof(once) / 4)
		return 0;
	memset(&first, 0xa5, sizeof(first));
	if (sdp_parse(&first, body, &limits) < 0)
		return 0;
	check(&first, body);
	n = rewrite(&first, once, sizeof(once));
	check_hidden(&first, (struct span){ once, n });
	check_keys((struct span){ once, n });
	/* Per media: its line, c=, direction and rtcp-mux at most are added. */
	require(n <= size + 256 + 260 * first.media_count);
	require(sdp_parse(&second, (struct span){ once, n }, &limits) == 0);
	check(&second, (struct span){ once, n });
	require(second.media_count == first.media_count);
	for (unsigned i = 0; i < first.media_count; i++) {
		require(span_equal(first.media[i].formats, second.media[i].formats) ||
			second.media[i].port == 0);
		require(second.media[i].port == 0 || second.media[i].direction == first.media[i].direction);
		require(second.media[i].port == 0 || address_equal(&second.media[i].rtp, &ours[i].local));
	}
	require(rewrite(&second, twice, sizeof(twice)) == n && memcmp(once, twice, n) == 0);
	return 0;
}
