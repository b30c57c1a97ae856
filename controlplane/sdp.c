/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads SDP (RFC 8866): cuts a body into lines and takes from them what a relay must know. Tolerant in form (LF for CRLF, no
 * final line end, lines out of order, empty and unknown lines), strict in numbers and addresses. */
#include "controlplane/sdp.h"

#include <errno.h>
#include <string.h>

/* The tokens of a line. Several spaces between them are one: some telephones align their lines. */
static struct span word_next(struct span *rest)
{
	struct span word;

	while (rest->n && rest->p[0] == ' ') {
		rest->p++;
		rest->n--;
	}
	word = span_cut(rest, ' ');
	return word;
}

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Letters, digits and `others`; at least one octet. */
static bool span_consists_of(struct span text, const char *others)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_alphanumeric(text.p[i]) && !(text.p[i] && strchr(others, text.p[i])))
			return false;
	return text.n > 0;
}

/* A name to be resolved has a letter in it; what has none is a broken address. */
static bool is_host_name(struct span text)
{
	bool has_letter = false;

	if (!span_consists_of(text, ".-_"))
		return false;
	for (size_t i = 0; i < text.n; i++)
		has_letter = has_letter || !strchr("0123456789.-_", text.p[i]);
	return has_letter;
}

/* "IN IP4 192.0.2.1", "IN IP4 224.2.1.1/127/3", "IN IP6 ff15::101/3"; a host name leaves *out unset. 0 or -EINVAL. */
static int connection_parse(struct span value, union address *out)
{
	struct span rest = value;
	struct span network = word_next(&rest);
	struct span type = word_next(&rest);
	struct span host = word_next(&rest);
	struct span literal = span_cut(&host, '/'); /* time to live and count of multicast */
	bool is_v6 = span_equal_case(type, SPAN("IP6"));

	memset(out, 0, sizeof(*out));
	if (!span_equal_case(network, SPAN("IN")) || (!is_v6 && !span_equal_case(type, SPAN("IP4"))))
		return -EINVAL;
	if (address_parse_host(literal, out) == 0) {
		if (out->sa.sa_family == (is_v6 ? AF_INET6 : AF_INET))
			return 0;
		memset(out, 0, sizeof(*out));
		return -EINVAL;
	}
	memset(out, 0, sizeof(*out));
	return is_host_name(literal) ? 0 : -EINVAL;
}

/* "audio 49170/2 RTP/AVP 0 8 101" */
static int media_parse(struct span value, struct sdp_media *media)
{
	struct span rest = value;
	struct span count;
	struct span port;
	uint64_t number;

	media->type = word_next(&rest);
	count = word_next(&rest);
	port = span_cut(&count, '/');
	media->protocol = word_next(&rest);
	media->formats = span_trim(rest);
	if (!span_consists_of(media->type, "-_.+") || !span_consists_of(media->protocol, "/-_.+"))
		return -EINVAL;
	if (span_to_uint(port, UINT16_MAX, &number) < 0)
		return -EINVAL;
	media->port = (uint16_t)number;
	media->port_count = 1;
	if (count.p) {
		if (span_to_uint(count, UINT16_MAX, &number) < 0 || number == 0)
			return -EINVAL;
		media->port_count = (unsigned)number;
	}
	/* Some refuse a stream without repeating its formats; one in use must have them. */
	return media->formats.n || media->port == 0 ? 0 : -EINVAL;
}

static bool direction_parse(struct span attribute, enum sdp_direction *direction)
{
	static const struct span names[] = {
		[SDP_SENDRECV] = { "sendrecv", 8 },
		[SDP_SENDONLY] = { "sendonly", 8 },
		[SDP_RECVONLY] = { "recvonly", 8 },
		[SDP_INACTIVE] = { "inactive", 8 },
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (span_equal_case(attribute, names[i])) {
			*direction = (enum sdp_direction)i;
			return true;
		}
	}
	return false;
}

/* RFC 3605: "53020" or "53020 IN IP4 126.16.64.4". What is broken is ignored: the default (port + 1) is left then. */
static void rtcp_parse(struct span value, struct sdp_media *media)
{
	struct span rest = value;
	struct span port = word_next(&rest);
	union address address = media->rtp;
	uint64_t number;

	if (span_to_uint(port, UINT16_MAX, &number) < 0 || number == 0)
		return;
	if (span_trim(rest).n && connection_parse(rest, &address) < 0)
		return;
	media->rtcp = address;
	address_set_port(&media->rtcp, (uint16_t)number);
}

/* "101 telephone-event/8000": its payload type; 0 if it is another codec. 0 is PCMU's own (RFC 3551) and can be no event. */
static uint8_t telephone_event_parse(struct span value)
{
	struct span rest = value;
	struct span type = word_next(&rest);
	struct span codec = word_next(&rest);
	uint64_t number;

	if (!span_equal_case(span_cut(&codec, '/'), SPAN("telephone-event")) ||
		span_to_uint(type, 127, &number) < 0)
		return 0;
	return (uint8_t)number;
}

static enum sdp_direction direction_held(enum sdp_direction direction)
{
	switch (direction) {
	case SDP_SENDRECV:
		return SDP_SENDONLY;
	case SDP_RECVONLY:
		return SDP_INACTIVE;
	default:
		return direction;
	}
}

/* Reads the lines behind one m=; c= first, whatever the order, as a=rtcp may build on it. */
static int media_read(const struct sdp *sdp, struct sdp_media *media)
{
	const struct sdp_line *const line = sdp->line + media->first_line;
	bool has_connection = false;
	int error;

	media->rtp = sdp->connection;
	media->direction = sdp->direction;
	for (unsigned i = 1; i < media->line_count; i++) {
		if (line[i].type != 'c' || has_connection)
			continue;
		error = connection_parse(line[i].value, &media->rtp);
		if (error < 0)
			return error;
		has_connection = true;
	}
	for (unsigned i = 1; i < media->line_count; i++) {
		struct span value = line[i].value;

		if (line[i].type != 'a' || direction_parse(value, &media->direction))
			continue;
		if (span_equal_case(value, SPAN("rtcp-mux")))
			media->rtcp_mux = true;
		else if (span_starts_case(value, SPAN("rtcp:")))
			rtcp_parse((struct span){ value.p + 5, value.n - 5 }, media);
		else if (span_starts_case(value, SPAN("crypto:")))
			media->has_crypto = true;
		else if (media->telephone_event == 0 && span_starts_case(value, SPAN("rtpmap:")))
			media->telephone_event =
				telephone_event_parse((struct span){ value.p + 7, value.n - 7 });
	}
	sdp_bandwidth_read(line + 1, media->line_count - 1, &media->bandwidth);
	sdp_bandwidth_inherit(&media->bandwidth, &sdp->bandwidth);
	if (address_is_unspecified(&media->rtp))
		media->direction = direction_held(media->direction);
	address_set_port(&media->rtp, media->port);
	return 0;
}

/* Session level: everything before the first m=. */
static int session_read(struct sdp *sdp, unsigned lines)
{
	bool has_connection = false;
	int error;

	for (unsigned i = 1; i < lines; i++) {
		const struct sdp_line *line = &sdp->line[i];

		if (line->type == 'o' && !sdp->origin.p) {
			sdp->origin = line->value;
		} else if (line->type == 'a') {
			direction_parse(line->value, &sdp->direction);
		} else if (line->type == 'c' && !has_connection) {
			error = connection_parse(line->value, &sdp->connection);
			if (error < 0)
				return error;
			has_connection = true;
		}
	}
	sdp_bandwidth_read(sdp->line + 1, lines - 1, &sdp->bandwidth);
	return 0;
}

/* An octet that would end a line early on the other side has no place in a value. */
static bool has_control(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static int lines_cut(struct sdp *sdp, struct span body, const struct config_sip *limits)
{
	const unsigned lines_max = smaller(limits->max_sdp_lines, SDP_LINES_MAX);
	const unsigned media_max = smaller(limits->max_sdp_media, SDP_MEDIA_MAX);
	struct span rest = body;

	while (rest.n) {
		struct span text = span_cut(&rest, '\n');
		struct sdp_line *line = &sdp->line[sdp->line_count];

		if (text.n && text.p[text.n - 1] == '\r')
			text.n--;
		if (has_control(text))
			return -EINVAL;
		if (text.n == 0)
			continue;
		if (sdp->line_count == lines_max)
			return -EMSGSIZE;
		/* Kept as a line of no type: counted, never written. */
		*line = (struct sdp_line){ .type = '?', .value = text };
		if (text.n >= 2 && text.p[1] == '=')
			*line = (struct sdp_line){ .type = text.p[0], .value = { text.p + 2, text.n - 2 } };
		if (line->type == 'm') {
			if (sdp->media_count == media_max)
				return -EMSGSIZE;
			sdp->media[sdp->media_count++] = (struct sdp_media){ .first_line = sdp->line_count };
		}
		sdp->line_count++;
	}
	return 0;
}

int sdp_parse(struct sdp *sdp, struct span body, const struct config_sip *limits)
{
	unsigned session_lines;
	int error;

	memset(sdp, 0, offsetof(struct sdp, media));
	error = lines_cut(sdp, body, limits);
	if (error < 0)
		return error;
	if (sdp->line_count == 0 || sdp->line[0].type != 'v' ||
		!span_equal(span_trim(sdp->line[0].value), SPAN("0")))
		return -EINVAL;
	session_lines = sdp->media_count ? sdp->media[0].first_line : sdp->line_count;
	error = session_read(sdp, session_lines);
	for (unsigned i = 0; error == 0 && i < sdp->media_count; i++) {
		struct sdp_media *media = &sdp->media[i];
		bool is_last = i + 1 == sdp->media_count;

		media->line_count = (is_last ? sdp->line_count : media[1].first_line) - media->first_line;
		error = media_parse(sdp->line[media->first_line].value, media);
		if (error == 0)
			error = media_read(sdp, media);
	}
	return error;
}
