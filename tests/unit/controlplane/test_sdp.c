/* SPDX-License-Identifier: BSD-3-Clause */
/* SDP: what is understood of real telephones' bodies and of broken ones, and that a rewritten body reveals nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sdp.h"
#include "tests/unit/controlplane/exact.h"
#include "tests/unit/controlplane/sip_limits.h"

static const struct config_sip limits = { SIP_SDP_LIMITS };

static struct sdp sdp;

static int parse_bytes(const char *bytes, size_t n)
{
	struct span text = exact_copy(bytes, n);

	memset(&sdp, 0xa5, sizeof(sdp));
	return sdp_parse(&sdp, text, &limits);
}

#define PARSE(literal) parse_bytes((literal), sizeof(literal) - 1)

static void assert_address(const union address *address, const char *text)
{
	char buffer[ADDRESS_TEXT_MAX];

	assert_string_equal(address_print(address, buffer), text);
}

/* Our side: 203.0.113.10, ports 10000, 10002 ... */
static struct sdp_rewrite_media ours[SDP_MEDIA_MAX];
static struct sdp_origin origin;
static char written[16384];

static int setup(void **state)
{
	(void)state;
	origin = (struct sdp_origin){ .session_id = 77, .version = 3 };
	assert_int_equal(address_parse_host(SPAN("203.0.113.10"), &origin.address), 0);
	for (unsigned i = 0; i < SDP_MEDIA_MAX; i++) {
		ours[i] = (struct sdp_rewrite_media){ .reject = false };
		assert_int_equal(address_parse_host(SPAN("203.0.113.10"), &ours[i].local), 0);
		address_set_port(&ours[i].local, (uint16_t)(10000 + 2 * i));
	}
	return 0;
}

static const char *rewrite(void)
{
	struct writer w;

	writer_init(&w, written, sizeof(written) - 1);
	assert_int_equal(sdp_rewrite(&sdp, &origin, ours, &w), 0);
	written[w.len] = '\0';
	return written;
}

#define HEAD "v=0\r\no=- 77 3 IN IP4 203.0.113.10\r\ns=-\r\nc=IN IP4 203.0.113.10\r\n"

/* --- real telephones --------------------------------------------------------------------------------------------- */

struct phone {
	const char *name, *body, *rewritten;
	const char *secrets[12]; /* must not be found in what is written */
};

static const struct phone phones[] = {
	{ "PBX in the style of Asterisk",
		"v=0\r\no=- 1745012345 1745012345 IN IP4 10.20.30.40\r\ns=Asterisk\r\nc=IN IP4 "
		"10.20.30.40\r\nt=0 0\r\n"
		"m=audio 14562 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 "
		"0-16\r\na=ptime:20\r\na=maxptime:150\r\na=sendrecv\r\n",
		HEAD
		"t=0 0\r\nm=audio 10000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 "
		"0-16\r\na=ptime:20\r\na=maxptime:150\r\na=sendrecv\r\n",
		{ "10.20.30.40", "Asterisk", "1745012345", "14562" } },
	{ "softphone in the style of Linphone",
		"v=0\r\no=carol.smith 3456 1829 IN IP4 192.168.1.77\r\ns=Talk\r\nc=IN IP4 "
		"192.168.1.77\r\nb=AS:380\r\nt=0 0\r\n"
		"a=ice-pwd:5b1c0d2e3f\r\na=ice-ufrag:8e9f\r\na=rtcp-xr:rcvr-rtt=all:10000 "
		"stat-summary=loss,dup,jitt,TTL\r\n"
		"a=record:off\r\nm=audio 7078 RTP/AVP 96 97 0 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 "
		"useinbandfec=1\r\n"
		"a=rtpmap:97 speex/16000\r\na=fmtp:97 vbr=on\r\na=rtpmap:101 telephone-event/8000\r\n"
		"a=rtcp:7099 IN IP4 192.168.1.77\r\na=candidate:1 1 UDP 2130706431 192.168.1.77 7078 typ "
		"host\r\n"
		"a=candidate:2 1 UDP 1694498815 198.51.100.7 7078 typ srflx raddr 192.168.1.77 rport 7078\r\n"
		"a=rtcp-fb:* trr-int 5000\r\na=rtcp-fb:* ccm tmmbr\r\na=ssrc:1234567 "
		"cname:carol@laptop.lan\r\n",
		HEAD "b=AS:380\r\nt=0 0\r\nm=audio 10000 RTP/AVP 96 97 0 101\r\na=rtpmap:96 opus/48000/2\r\n"
		     "a=fmtp:96 useinbandfec=1\r\na=rtpmap:97 speex/16000\r\na=fmtp:97 vbr=on\r\n"
		     "a=rtpmap:101 telephone-event/8000\r\na=rtcp-fb:* trr-int 5000\r\na=rtcp-fb:* ccm "
		     "tmmbr\r\na=sendrecv\r\n",
		{ "192.168.1.77", "198.51.100.7", "carol", "Talk", "5b1c0d2e3f", "laptop", "7078", "7099",
			"cname" } },
	{ "gateway in the style of Cisco",
		"v=0\r\no=CiscoSystemsSIP-GW-UserAgent 4873 5201 IN IP4 172.16.5.1\r\ns=SIP Call\r\nc=IN IP4 "
		"172.16.5.1\r\n"
		"t=0 0\r\nm=audio 17820 RTP/AVP 18 101 19\r\nc=IN IP4 172.16.5.2\r\na=rtpmap:18 G729/8000\r\n"
		"a=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=rtpmap:19 "
		"CN/8000\r\n"
		"a=ptime:20\r\na=X-sqn:0\r\na=X-cap: 1 audio RTP/AVP 100\r\na=direction:passive\r\n",
		HEAD
		"t=0 0\r\nm=audio 10000 RTP/AVP 18 101 19\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n"
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=rtpmap:19 "
		"CN/8000\r\na=ptime:20\r\na=sendrecv\r\n",
		{ "172.16.5", "Cisco", "SIP Call", "4873", "5201", "X-" } },
	{ "desk telephone in the style of Grandstream, on hold the old way",
		"v=0\no=2001 8000 8001 IN IP4 192.168.0.160\ns=SIP Call\nc=IN IP4 0.0.0.0\nt=0 0\n"
		"m=audio 5004 RTP/AVP 0 9\na=sendrecv\na=rtpmap:0 PCMU/8000\na=ptime:20\na=rtpmap:9 "
		"G722/8000",
		HEAD "t=0 0\r\nm=audio 10000 RTP/AVP 0 9\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=rtpmap:9 "
		     "G722/8000\r\na=sendonly\r\n",
		{ "192.168.0.160", "2001", "8001", "5004", "0.0.0.0" } },
	{ "browser",
		"v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 5812341 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
		"a=fingerprint:sha-256 AB:CD:EF:01\r\na=group:BUNDLE 0 "
		"1\r\na=ice-options:trickle\r\na=msid-semantic:WMS *\r\n"
		"m=audio 54321 UDP/TLS/RTP/SAVPF 109 0\r\nc=IN IP4 192.168.7.9\r\n"
		"a=candidate:0 1 UDP 2122252543 ab12cd34-5678.local 54321 typ host\r\na=sendrecv\r\n"
		"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=fmtp:109 "
		"maxplaybackrate=48000;stereo=1\r\n"
		"a=ice-pwd:0123456789abcdef\r\na=ice-ufrag:ffee\r\na=mid:0\r\na=msid:{11112222} "
		"{33334444}\r\na=rtcp-mux\r\n"
		"a=rtpmap:109 opus/48000/2\r\na=setup:actpass\r\na=ssrc:999 cname:{5555}\r\n"
		"m=video 54322 UDP/TLS/RTP/SAVPF 120\r\nc=IN IP4 "
		"192.168.7.9\r\na=recvonly\r\na=mid:1\r\na=rtpmap:120 VP8/90000\r\n"
		"a=rtcp-fb:120 nack pli\r\na=rtcp:9 IN IP4 0.0.0.0\r\n",
		HEAD "t=0 0\r\nm=audio 10000 UDP/TLS/RTP/SAVPF 109 0\r\na=fmtp:109 "
		     "maxplaybackrate=48000;stereo=1\r\n"
		     "a=rtpmap:109 opus/48000/2\r\na=sendrecv\r\nm=video 10002 UDP/TLS/RTP/SAVPF "
		     "120\r\n"
		     "a=rtpmap:120 VP8/90000\r\na=rtcp-fb:120 nack pli\r\na=recvonly\r\n",
		{ "192.168.7.9", "mozilla", "SDPARTA", ".local", "0123456789abcdef", "{", "54321", "BUNDLE",
			"ssrc", "5812341", "AB:CD" } },
	{ "facsimile",
		"v=0\r\no=fax1234x 1 2 IN IP4 10.9.9.9\r\ns=fax\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\nm=image "
		"4200 udptl t38\r\n"
		"a=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval:0\r\na="
		"T38FaxTranscodingMMR\r\n"
		"a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:1800\r\na=T38FaxMaxDatagram:"
		"400\r\n"
		"a=T38FaxUdpEC:t38UDPRedundancy\r\na=T38VendorInfo:0 0 37\r\n",
		HEAD "t=0 0\r\nm=image 10000 udptl "
		     "t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval:0\r\n"
		     "a=T38FaxTranscodingMMR\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:"
		     "1800\r\n"
		     "a=T38FaxMaxDatagram:400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n",
		{ "10.9.9.9", "fax1234x", "4200", "Vendor" } },
	{ "everything a body may carry of its owner, in fields and in values",
		"v=0\r\no=jsmith 12345678 1 IN IP4 pbx7.corp.example\r\ns=Board meeting\r\ni=with "
		"Jane\r\nu=http://corp.example/x\r\n"
		"e=j@corp.example\r\np=+49 711 1234\r\nc=IN IP4 "
		"pbx7.corp.example\r\nb=CT:1000\r\nb=X-10.1.1.1:5\r\nt=0 0\r\nr=1d 0 0\r\n"
		"z=0 0\r\nk=clear:secret\r\na=tool:corp-phone 7\r\na=cat:corp\r\nm=audio 30000 RTP/AVP 0 "
		"96\r\ni=Jane's line\r\n"
		"k=prompt\r\nb=AS:64\r\na=rtpmap:0 PCMU/8000\r\na=fmtp:96 "
		"url=\"http://10.1.1.1/x\"\r\na=fmtp:96 host=10.1.1.1\r\n"
		"a=fmtp:96 host=fd00::12\r\na=fmtp:96 at=pbx7.corp.example\r\na=fmtp:96 "
		"by=jsmith\r\na=fmtp:96 mail=j@x\r\n"
		"a=label:pbx7.corp.example\r\na=rtpmap:96 10.1.1.1/8000\r\na=crypto:1 "
		"AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3\r\n"
		"a=alt:1 1 : 3BE22B5C 10.1.1.1 30000\r\na=ptime:20\r\n",
		"v=0\r\no=- 77 3 IN IP4 203.0.113.10\r\ns=-\r\nc=IN IP4 203.0.113.10\r\nb=CT:1000\r\nt=0 "
		"0\r\n"
		"m=audio 10000 RTP/AVP 0 96\r\nb=AS:64\r\na=rtpmap:0 "
		"PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n",
		{ "jsmith", "12345678", "corp", "Jane", "Board", "711", "10.1.1.1", "fd00", "secret",
			"inline", "30000", "j@x" } },
};

static void rewritten_bodies_are_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(phones) / sizeof(phones[0]); i++) {
		if (parse_bytes(phones[i].body, strlen(phones[i].body)) != 0)
			fail_msg("%s is refused", phones[i].name);
		if (strcmp(rewrite(), phones[i].rewritten) != 0)
			fail_msg("%s:\n%s\nwant:\n%s", phones[i].name, written, phones[i].rewritten);
	}
}

static void nothing_of_one_side_reaches_the_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(phones) / sizeof(phones[0]); i++) {
		assert_int_equal(parse_bytes(phones[i].body, strlen(phones[i].body)), 0);
		rewrite();
		for (size_t k = 0; k < 12 && phones[i].secrets[k]; k++) {
			/* The test is worth something only if the secret was there. */
			assert_non_null(strstr(phones[i].body, phones[i].secrets[k]));
			if (strstr(written, phones[i].secrets[k]))
				fail_msg("%s reveals '%s':\n%s", phones[i].name, phones[i].secrets[k],
					written);
		}
	}
}

static void rewriting_twice_changes_nothing_but_the_origin(void **state)
{
	char first[sizeof(written)];

	(void)state;
	for (size_t i = 0; i < sizeof(phones) / sizeof(phones[0]); i++) {
		assert_int_equal(parse_bytes(phones[i].body, strlen(phones[i].body)), 0);
		snprintf(first, sizeof(first), "%s", rewrite());
		assert_int_equal(parse_bytes(first, strlen(first)), 0);
		assert_string_equal(rewrite(), first);
		origin.version++;
		assert_string_not_equal(rewrite(), first);
		assert_string_equal(strstr(written, "s=-"), strstr(first, "s=-"));
		origin.version--;
	}
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static void addresses_and_ports_are_found(void **state)
{
	(void)state;
	assert_int_equal(PARSE("v=0\r\no=- 1 1 IN IP6 2001:db8::5\r\ns=-\r\nc=IN IP6 2001:db8::5\r\nt=0 "
			       "0\r\na=recvonly\r\n"
			       "m=audio 49170/2 RTP/AVP 0 8\r\na=rtcp:53020\r\n"
			       "m=video 0 RTP/AVP 31\r\n"
			       "m=audio 6000 RTP/AVP 0\r\na=rtcp:6009 IN IP4 192.0.2.9\r\na=sendonly\r\nc=IN "
			       "IP4 192.0.2.8\r\na=rtcp-mux\r\n"
			       "m=application 9 TCP/MSRP *\r\nc=IN IP4 224.2.1.1/127/3\r\n"),
		0);
	assert_int_equal(sdp.media_count, 4);
	assert_int_equal(sdp.line_count, 16);
	assert_span(sdp.origin, "- 1 1 IN IP6 2001:db8::5");
	assert_int_equal(sdp.direction, SDP_RECVONLY);
	assert_span(sdp.media[0].type, "audio");
	assert_span(sdp.media[0].protocol, "RTP/AVP");
	assert_span(sdp.media[0].formats, "0 8");
	assert_int_equal(sdp.media[0].port, 49170);
	assert_int_equal(sdp.media[0].port_count, 2);
	assert_address(&sdp.media[0].rtp, "[2001:db8::5]:49170");
	assert_address(&sdp.media[0].rtcp, "[2001:db8::5]:53020");
	assert_int_equal(sdp.media[0].direction, SDP_RECVONLY);
	assert_false(sdp.media[0].rtcp_mux);
	assert_int_equal(sdp.media[0].first_line, 6);
	assert_int_equal(sdp.media[0].line_count, 2);
	assert_int_equal(sdp.media[1].port, 0);
	assert_int_equal(sdp.media[1].port_count, 1);
	assert_false(address_is_set(&sdp.media[1].rtcp));
	assert_address(&sdp.media[2].rtp, "192.0.2.8:6000");
	assert_address(&sdp.media[2].rtcp, "192.0.2.9:6009");
	assert_int_equal(sdp.media[2].direction, SDP_SENDONLY);
	assert_true(sdp.media[2].rtcp_mux);
	assert_address(&sdp.media[3].rtp, "224.2.1.1:9");
}

static void a_host_name_leaves_the_address_unset(void **state)
{
	(void)state;
	assert_int_equal(
		PARSE("v=0\r\nc=IN IP4 media.example.com\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:4001\r\n"), 0);
	assert_false(address_is_set(&sdp.connection));
	assert_false(address_is_set(&sdp.media[0].rtp));
	assert_false(address_is_set(&sdp.media[0].rtcp));
	assert_int_equal(sdp.media[0].port, 4000);
	assert_int_equal(PARSE("v=0\r\nm=audio 4000 RTP/AVP 0\r\n"), 0);
	assert_false(address_is_set(&sdp.media[0].rtp));
}

static void forms_of_real_bodies_are_tolerated(void **state)
{
	(void)state;
	/* no line end at the end, LF for CRLF, empty lines, no t=, s= and o= behind c=, several spaces, unknown lines */
	assert_int_equal(PARSE("v=0\nc=IN IP4 10.0.0.1\n\na=x\ns=-\no=- 1 1 IN IP4 10.0.0.1\nm=audio  4000   "
			       "RTP/AVP  0 8 \n\nq=?\nrubbish\n="),
		0);
	assert_int_equal(sdp.media_count, 1);
	assert_span(sdp.media[0].formats, "0 8");
	assert_span(sdp.origin, "- 1 1 IN IP4 10.0.0.1");
	assert_address(&sdp.media[0].rtp, "10.0.0.1:4000");
	assert_string_equal(rewrite(), HEAD "t=0 0\r\nm=audio 10000 RTP/AVP 0 8\r\na=sendrecv\r\n");
	assert_int_equal(PARSE("v=0"), 0);
	assert_int_equal(sdp.media_count, 0);
	assert_int_equal(PARSE("v=0\r\nc=in ip4 10.0.0.1\r\nm=audio 1 RTP/AVP\r"), -EINVAL);
	assert_int_equal(PARSE("v=0\r\nm=audio 0 RTP/AVP\r\n"), 0);
	/* A line behind a media line belongs to it, also one that should stand before. */
	assert_int_equal(PARSE("v=0\r\nm=audio 4000 RTP/AVP 0\r\nt=1 2\r\no=late 1 1 IN IP4 1.1.1.1\r\nc=IN "
			       "IP4 10.0.0.3\r\n"),
		0);
	assert_address(&sdp.media[0].rtp, "10.0.0.3:4000");
	assert_string_equal(rewrite(), HEAD "t=1 2\r\nm=audio 10000 RTP/AVP 0\r\na=sendrecv\r\n");
}

static void broken_bodies_are_refused(void **state)
{
	static const char *const broken[] = {
		"",
		"\r\n",
		"v=1\r\n",
		"v=0x\r\n",
		"o=- 1 1 IN IP4 1.2.3.4\r\nv=0\r\n",
		"<html>",
		"v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
		"v=0\r\nm=audio -5 RTP/AVP 0\r\n",
		"v=0\r\nm=audio +5 RTP/AVP 0\r\n",
		"v=0\r\nm=audio 5x RTP/AVP 0\r\n",
		"v=0\r\nm=audio 99999999999999999999 RTP/AVP 0\r\n",
		"v=0\r\nm=audio 4000/0 RTP/AVP 0\r\n",
		"v=0\r\nm=audio 4000/ RTP/AVP 0\r\n",
		"v=0\r\nm=audio 4000/x RTP/AVP 0\r\n",
		"v=0\r\nm=audio 4000 RTP/AVP\r\n",
		"v=0\r\nm=audio 4000\r\n",
		"v=0\r\nm=audio\r\n",
		"v=0\r\nm=\r\n",
		"v=0\r\nm=a@b 4000 RTP/AVP 0\r\n",
		"v=0\r\nm=audio 4000 RTP@AVP 0\r\n",
		"v=0\r\nc=\r\n",
		"v=0\r\nc=IN\r\n",
		"v=0\r\nc=IN IP4\r\n",
		"v=0\r\nc=IN IP4 300.1.2.3\r\n",
		"v=0\r\nc=IN IP4 1.2.3\r\n",
		"v=0\r\nc=IN IP4 2001:db8::1\r\n",
		"v=0\r\nc=IN IP6 1.2.3.4\r\n",
		"v=0\r\nc=IN IP6 ::g\r\n",
		"v=0\r\nc=IN IP5 1.2.3.4\r\n",
		"v=0\r\nc=ATM NSAP 47.0091\r\n",
		"v=0\r\nc=IN IP4 a;b\r\n",
		"v=0\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 1.2.3.4.5\r\n",
		"v=0\r\na=x\ry\r\n",
		"v=0\r\na=x\x01y\r\n",
		"v=0\r\na=x\x7f\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		if (parse_bytes(broken[i], strlen(broken[i])) != -EINVAL)
			fail_msg("accepted: %s", broken[i]);
	assert_int_equal(PARSE("v=0\r\na=x\0y\r\n"), -EINVAL);
}

static void limits_of_lines_and_media_hold_exactly(void **state)
{
	static char text[65536];
	struct config_sip small = { .max_sdp_lines = 5, .max_sdp_media = 2 };
	struct config_sip huge = { .max_sdp_lines = 100000, .max_sdp_media = 100000 };
	struct writer w;

	(void)state;
	assert_int_equal(sdp_parse(&sdp, SPAN("v=0\na=1\na=2\na=3\na=4\n\n"), &small), 0);
	assert_int_equal(sdp_parse(&sdp, SPAN("v=0\na=1\na=2\na=3\na=4\nx\n"), &small), -EMSGSIZE);
	assert_int_equal(sdp_parse(&sdp, SPAN("v=0\nm=a 1 b 1\nm=a 1 b 1\n"), &small), 0);
	assert_int_equal(sdp_parse(&sdp, SPAN("v=0\nm=a 1 b 1\nm=a 1 b 1\nm=a 1 b 1\n"), &small), -EMSGSIZE);
	/* A setting over the size of the arrays does not overrun them. */
	writer_init(&w, text, sizeof(text));
	writer_text(&w, "v=0\n");
	for (unsigned i = 0; i < 1000; i++)
		writer_text(&w, "a=x\n");
	assert_int_equal(sdp_parse(&sdp, writer_result(&w), &huge), -EMSGSIZE);
	writer_init(&w, text, sizeof(text));
	writer_text(&w, "v=0\n");
	for (unsigned i = 0; i < 100; i++)
		writer_text(&w, "m=audio 1 RTP/AVP 0\n");
	assert_int_equal(sdp_parse(&sdp, writer_result(&w), &huge), -EMSGSIZE);
}

struct hold_case {
	const char *attribute;
	enum sdp_direction direction, held;
};

static void unspecified_addresses_mean_hold(void **state)
{
	static const struct hold_case cases[] = {
		{ "a=sendrecv\r\n", SDP_SENDRECV, SDP_SENDONLY },
		{ "", SDP_SENDRECV, SDP_SENDONLY },
		{ "a=sendonly\r\n", SDP_SENDONLY, SDP_SENDONLY },
		{ "a=recvonly\r\n", SDP_RECVONLY, SDP_INACTIVE },
		{ "a=inactive\r\n", SDP_INACTIVE, SDP_INACTIVE },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int n = snprintf(text, sizeof(text),
			"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n%s", cases[i].attribute);

		assert_int_equal(parse_bytes(text, (size_t)n), 0);
		assert_int_equal(sdp.media[0].direction, cases[i].held);
		assert_true(address_is_unspecified(&sdp.media[0].rtp));
		n = snprintf(text, sizeof(text), "v=0\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP6 ::\r\n%s",
			cases[i].attribute);
		assert_int_equal(parse_bytes(text, (size_t)n), 0);
		assert_int_equal(sdp.media[0].direction, cases[i].held);
		n = snprintf(text, sizeof(text), "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n%s",
			cases[i].attribute);
		assert_int_equal(parse_bytes(text, (size_t)n), 0);
		assert_int_equal(sdp.media[0].direction, cases[i].direction);
	}
}

static void a_broken_rtcp_attribute_is_as_if_it_were_not_there(void **state)
{
	static const char *const broken[] = { "a=rtcp:", "a=rtcp:0", "a=rtcp:65536", "a=rtcp:x",
		"a=rtcp:5 IN", "a=rtcp:5 IN IP4 1.2.3" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		int n = snprintf(text, sizeof(text),
			"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n%s\r\n", broken[i]);

		assert_int_equal(parse_bytes(text, (size_t)n), 0);
		assert_false(address_is_set(&sdp.media[0].rtcp));
	}
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void streams_that_are_off_or_rejected_get_port_zero(void **state)
{
	(void)state;
	assert_int_equal(PARSE("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000/2 RTP/AVP 0\r\nm=video 4002 RTP/AVP "
			       "31\r\na=rtpmap:31 H261/90000\r\n"
			       "m=text 0 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\nm=image 0 udptl\r\nm=audio "
			       "4008 RTP/AVP 8\r\n"),
		0);
	ours[1].reject = true;
	memset(&ours[4].local, 0,
		sizeof(ours[4].local)); /* nobody leased anything: never a port without a relay behind it */
	assert_string_equal(rewrite(),
		HEAD "t=0 0\r\nm=audio 10000 RTP/AVP 0\r\na=sendrecv\r\nm=video 0 RTP/AVP 31\r\n"
		     "m=text 0 RTP/AVP 98\r\nm=image 0 udptl 0\r\nm=audio 0 RTP/AVP 8\r\n");
}

static void formats_that_name_a_host_are_not_written(void **state)
{
	(void)state;
	assert_int_equal(
		PARSE("v=0\r\no=- 1 1 IN IP4 pbx.corp.example\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP "
		      "0\r\n"
		      "m=application 9 TCP/X at 10.0.0.1\r\nm=application 9 TCP/X pbx.corp.example\r\n"
		      "m=message 9 TCP/MSRP *\r\n"),
		0);
	for (unsigned i = 1; i < 4; i++)
		ours[i].reject = true;
	assert_string_equal(rewrite(),
		HEAD "t=0 0\r\nm=audio 10000 RTP/AVP 0\r\na=sendrecv\r\nm=application 0 TCP/X 0\r\n"
		     "m=application 0 TCP/X 0\r\nm=message 0 TCP/MSRP *\r\n");
}

/* Found by fuzzing: the stream was offered with payload type 0, which nobody had named. */
static void a_stream_whose_formats_do_not_cross_is_off(void **state)
{
	(void)state;
	assert_int_equal(PARSE("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP "
			       "8 10.0.0.9\r\n"
			       "a=rtpmap:8 PCMA/8000\r\nm=audio 4002 RTP/AVP 8\r\n"),
		0);
	assert_string_equal(
		rewrite(), HEAD "t=0 0\r\nm=audio 0 RTP/AVP 0\r\nm=audio 10002 RTP/AVP 8\r\na=sendrecv\r\n");
}

/* Searching 16 KB for names that nearly occur everywhere took 200 us. */
static void the_search_for_names_is_bounded(void **state)
{
	static char body[16384];
	const char *rest;
	unsigned passed = 0;
	size_t n = (size_t)snprintf(body, sizeof(body),
		"v=0\r\no=first 1 1 IN IP4 second.example\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP "
		"0\r\n");

	(void)state;
	for (unsigned i = 0; i < 15; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "a=fmtp:96 %0990u\r\n", 0U);
	assert_int_equal(parse_bytes(body, n), 0);
	for (rest = rewrite(); (rest = strstr(rest, "a=fmtp:")); rest++)
		passed++;
	assert_int_equal(passed, 4);
}

static void families_and_addresses_may_differ_by_stream(void **state)
{
	(void)state;
	assert_int_equal(
		PARSE("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\n"), 0);
	assert_int_equal(address_parse_host(SPAN("2001:db8::10"), &ours[0].local), 0);
	address_set_port(&ours[0].local, 20000);
	assert_string_equal(rewrite(),
		"v=0\r\no=- 77 3 IN IP4 203.0.113.10\r\ns=-\r\nc=IN IP6 2001:db8::10\r\nt=0 0\r\n"
		"m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n"
		"m=audio 10002 RTP/AVP 8\r\nc=IN IP4 203.0.113.10\r\na=sendrecv\r\n");
}

static void rtcp_mux_passes_only_when_allowed(void **state)
{
	(void)state;
	assert_int_equal(PARSE("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n"), 0);
	assert_null(strstr(rewrite(), "rtcp-mux"));
	ours[0].rtcp_mux = true;
	assert_non_null(strstr(rewrite(), "a=rtcp-mux\r\n"));
	assert_int_equal(PARSE("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n"), 0);
	assert_null(strstr(rewrite(), "rtcp-mux"));
}

static void the_session_direction_is_written_into_each_stream(void **state)
{
	(void)state;
	assert_int_equal(PARSE("v=0\r\nc=IN IP4 10.0.0.1\r\na=inactive\r\nm=audio 4000 RTP/AVP 0\r\nm=audio "
			       "4002 RTP/AVP 0\r\na=recvonly\r\n"
			       "m=image 4004 udptl t38\r\n"),
		0);
	assert_string_equal(rewrite(), HEAD
		"t=0 0\r\nm=audio 10000 RTP/AVP 0\r\na=inactive\r\nm=audio 10002 RTP/AVP 0\r\na=recvonly\r\n"
		"m=image 10004 udptl t38\r\na=inactive\r\n");
}

static void codec_parameters_survive_whatever_they_look_like(void **state)
{
	static const char *const kept[] = { "a=rtpmap:96 AMR-WB/16000", "a=rtpmap:97 L16/44100/2",
		"a=fmtp:96 mode-set=0,1,2; octet-align=1; mode-change-period=2",
		"a=fmtp:99 profile-level-id=42e01f;sprop-parameter-sets=Z0IACpZTBYmI//8=,aMljiA==",
		"a=fmtp:101 0-15,66,70", "a=silenceSupp:off - - - -", "a=rtcp-fb:96 nack", "a=ptime:20",
		"a=ptime:7.5", "a=framerate:29.97", "a=content:main,alt", "a=lang:de-CH",
		"a=T38FaxUdpECDepth:2 1" };
	char text[512];
	char line[256];

	(void)state;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		int n = snprintf(text, sizeof(text),
			"v=0\r\no=alice 1 1 IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP "
			"96\r\n%s\r\n",
			kept[i]);

		assert_int_equal(parse_bytes(text, (size_t)n), 0);
		snprintf(line, sizeof(line), "\r\n%s\r\n", kept[i]);
		if (!strstr(rewrite(), line))
			fail_msg("lost: %s", kept[i]);
	}
}

static void attributes_without_the_value_they_need_are_dropped(void **state)
{
	(void)state;
	assert_int_equal(
		PARSE("v=0\nm=audio 4000 RTP/AVP "
		      "0\na=ptime\na=ptime:\na=fmtp\na=rtpmap:\na=rtcp-rsize:1\na=:x\na=\nb=\na=label\n"),
		0);
	assert_string_equal(rewrite(), HEAD "t=0 0\r\nm=audio 10000 RTP/AVP 0\r\na=sendrecv\r\n");
}

static void a_buffer_too_small_is_told(void **state)
{
	struct writer w;
	size_t whole;

	(void)state;
	assert_int_equal(parse_bytes(phones[0].body, strlen(phones[0].body)), 0);
	whole = strlen(rewrite());
	for (size_t size = 0; size < whole; size++) {
		char *buffer = malloc(size ? size : 1);

		assert_non_null(buffer);
		writer_init(&w, buffer, size);
		assert_int_equal(sdp_rewrite(&sdp, &origin, ours, &w), -ENOSPC);
		assert_true(w.len <= size);
		free(buffer);
	}
	writer_init(&w, written, whole);
	assert_int_equal(sdp_rewrite(&sdp, &origin, ours, &w), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, exact_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rewritten_bodies_are_ours),
		TEST(nothing_of_one_side_reaches_the_other),
		TEST(rewriting_twice_changes_nothing_but_the_origin),
		TEST(addresses_and_ports_are_found),
		TEST(a_host_name_leaves_the_address_unset),
		TEST(forms_of_real_bodies_are_tolerated),
		TEST(broken_bodies_are_refused),
		TEST(limits_of_lines_and_media_hold_exactly),
		TEST(unspecified_addresses_mean_hold),
		TEST(a_broken_rtcp_attribute_is_as_if_it_were_not_there),
		TEST(streams_that_are_off_or_rejected_get_port_zero),
		TEST(formats_that_name_a_host_are_not_written),
		TEST(a_stream_whose_formats_do_not_cross_is_off),
		TEST(the_search_for_names_is_bounded),
		TEST(families_and_addresses_may_differ_by_stream),
		TEST(rtcp_mux_passes_only_when_allowed),
		TEST(the_session_direction_is_written_into_each_stream),
		TEST(codec_parameters_survive_whatever_they_look_like),
		TEST(attributes_without_the_value_they_need_are_dropped),
		TEST(a_buffer_too_small_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
