/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes a description as this SBC's own, line by line in the order of RFC 8866 section 9, by allow-list.
 *
 * Nothing that names the far side passes: o=, s= and c= are ours; i= u= e= p= r= z= k= are left out; attributes pass if their
 * name is in the table, their value has the shape that goes with it, and no host, address or user name of the far side is in
 * it. a=rtcp is left out (the dataplane's RTCP port is port + 1, the default), a=group too (streams are not bundled
 * here), and with it a=mid, which some make of words of their own.
 * RFC 2543 hold (c=0.0.0.0) becomes our address and the direction that sdp_parse made of it. */
#include "controlplane/sdp.h"

#include <errno.h>
#include <string.h>

/* Bound the search for names: a body that names more hosts, or a longer value, has that value left out. */
enum { NAMES_MAX = 4, NAME_LENGTH_MIN = 4, VALUE_MAX = 1024, SEARCHED_MAX = 8192 };

/* Names of the far side that are no IP literals: user and host of o=, hosts of c=. */
struct far_names {
	unsigned count;
	bool overflow; /* more than can be looked for: no free text passes */
	size_t searched; /* octets, once for each name: from SEARCHED_MAX on no free text passes either (some 40 us) */
	struct span name[NAMES_MAX];
};

enum shape {
	SHAPE_NONE, /* no value */
	SHAPE_NUMBER, /* digits with one decimal point */
	SHAPE_TOKEN, /* letters, digits and -_.+, in a comma list; may be missing */
	SHAPE_RTPMAP, /* "96 opus/48000/2" */
	SHAPE_TEXT, /* anything that reveals no host */
};

struct attribute_row {
	struct span name;
	enum shape shape;
};

#define ROW(name, shape)                          \
	{                                         \
		{ name, sizeof(name) - 1 }, shape \
	}
/* Direction is not here: it is written from what was understood. */
static const struct attribute_row attributes[] = {
	ROW("rtpmap", SHAPE_RTPMAP),
	ROW("fmtp", SHAPE_TEXT),
	ROW("ptime", SHAPE_NUMBER),
	ROW("maxptime", SHAPE_NUMBER),
	ROW("maxprate", SHAPE_NUMBER),
	ROW("framerate", SHAPE_NUMBER),
	ROW("quality", SHAPE_NUMBER),
	ROW("rtcp-fb", SHAPE_TEXT),
	ROW("rtcp-rsize", SHAPE_NONE),
	ROW("silenceSupp", SHAPE_TEXT),
	ROW("label", SHAPE_NUMBER), /* RFC 4574; a word could be a name */
	ROW("content", SHAPE_TOKEN),
	ROW("lang", SHAPE_TOKEN),
	ROW("sdplang", SHAPE_TOKEN),
	ROW("charset", SHAPE_TOKEN),
	ROW("floorctrl", SHAPE_TOKEN), /* RFC 8856: BFCP */
	ROW("confid", SHAPE_NUMBER),
	ROW("userid", SHAPE_NUMBER),
	ROW("floorid", SHAPE_TEXT),
	ROW("T38FaxVersion", SHAPE_NUMBER),
	ROW("T38MaxBitRate", SHAPE_NUMBER),
	ROW("T38FaxMaxBuffer", SHAPE_NUMBER),
	ROW("T38FaxMaxDatagram", SHAPE_NUMBER),
	ROW("T38FaxMaxIFP", SHAPE_NUMBER),
	ROW("T38FaxRateManagement", SHAPE_TOKEN),
	ROW("T38FaxUdpEC", SHAPE_TOKEN),
	ROW("T38FaxUdpECDepth", SHAPE_TEXT),
	ROW("T38FaxUdpFECMaxSpan", SHAPE_NUMBER),
	ROW("T38FaxFillBitRemoval", SHAPE_TOKEN),
	ROW("T38FaxTranscodingMMR", SHAPE_TOKEN),
	ROW("T38FaxTranscodingJBIG", SHAPE_TOKEN),
	ROW("T38ModemType", SHAPE_TOKEN),
};
#undef ROW

static const char *const direction_names[] = {
	[SDP_SENDRECV] = "sendrecv",
	[SDP_SENDONLY] = "sendonly",
	[SDP_RECVONLY] = "recvonly",
	[SDP_INACTIVE] = "inactive",
};

/* --- what a value may hold --------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_token(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("-_.+", c));
}

/* Three dots between digits: an IPv4 literal. Two colons among hexadecimal digits: an IPv6 literal or a MAC address. Neither
 * occurs in the parameters of any codec. */
static bool has_address(struct span text)
{
	unsigned dots = 0;
	unsigned colons = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '.')
			dots++;
		else if (!is_digit(c))
			dots = 0;
		if (c == ':')
			colons++;
		else if (!is_hex(c))
			colons = 0;
		if (dots == 3 || colons == 2)
			return true;
	}
	return false;
}

static bool reveals_host(struct span text, struct far_names *names)
{
	if (names->overflow || text.n > VALUE_MAX || has_address(text) || memchr(text.p, '@', text.n) ||
		memmem(text.p, text.n, "://", 3))
		return true;
	names->searched += text.n * names->count;
	if (names->searched > SEARCHED_MAX)
		return true;
	for (unsigned i = 0; i < names->count; i++)
		if (memmem(text.p, text.n, names->name[i].p, names->name[i].n))
			return true;
	return false;
}

/* Cuts leading octets off *text while `allowed` has them; returns how many. */
static size_t run_take(struct span *text, bool (*allowed)(char c))
{
	size_t n = 0;

	while (n < text->n && allowed(text->p[n]))
		n++;
	text->p += n;
	text->n -= n;
	return n;
}

static bool octet_take(struct span *text, char c)
{
	if (text->n == 0 || text->p[0] != c)
		return false;
	text->p++;
	text->n--;
	return true;
}

static bool is_number(struct span text)
{
	if (run_take(&text, is_digit) == 0)
		return false;
	return text.n == 0 || (octet_take(&text, '.') && run_take(&text, is_digit) && text.n == 0);
}

static bool is_token_list(struct span text)
{
	do {
		if (run_take(&text, is_token) == 0)
			return false;
	} while (octet_take(&text, ','));
	return text.n == 0;
}

/* <payload type> <encoding>/<clock rate>[/<parameters>] (RFC 8866 section 6.6) */
static bool is_rtpmap(struct span text)
{
	if (!run_take(&text, is_digit) || !octet_take(&text, ' ') || !run_take(&text, is_token) ||
		!octet_take(&text, '/') || !run_take(&text, is_digit))
		return false;
	return text.n == 0 || (octet_take(&text, '/') && run_take(&text, is_token) && text.n == 0);
}

static bool value_fits(enum shape shape, struct span value, struct far_names *names)
{
	if (value.n == 0)
		return shape == SHAPE_NONE || shape == SHAPE_TOKEN;
	switch (shape) {
	case SHAPE_NONE:
		return false;
	case SHAPE_NUMBER:
		return is_number(value);
	case SHAPE_TOKEN:
		return is_token_list(value) && !reveals_host(value, names);
	case SHAPE_RTPMAP:
		return is_rtpmap(value) && !has_address(value);
	case SHAPE_TEXT:
		return !reveals_host(value, names);
	}
	return false;
}

static bool attribute_passes(struct span attribute, struct far_names *names)
{
	struct span value = attribute;
	struct span name = span_cut(&value, ':');

	value = span_trim(value);
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (span_equal_case(name, attributes[i].name))
			return value_fits(attributes[i].shape, value, names);
	return false;
}

/* The formats of an m= line: payload types, "t38", "*". */
static bool formats_pass(struct span text, struct far_names *names)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_token(text.p[i]) && text.p[i] != ' ' && text.p[i] != '*')
			return false;
	return text.n > 0 && !reveals_host(text, names);
}

/* "AS:128" (RFC 8866 section 5.8) */
static bool is_bandwidth(struct span text)
{
	return !has_address(text) && run_take(&text, is_token) && octet_take(&text, ':') &&
	       run_take(&text, is_digit) && text.n == 0;
}

/* "0 0" (section 5.9) */
static bool is_timing(struct span text)
{
	return run_take(&text, is_digit) && octet_take(&text, ' ') && run_take(&text, is_digit) &&
	       text.n == 0;
}

/* --- names of the far side --------------------------------------------------------------------------------------- */

static void name_add(struct far_names *names, struct span name)
{
	struct span digits = name;

	/* Short ones and numbers would be found in harmless values; literals are found by shape. */
	if (name.n < NAME_LENGTH_MIN || has_address(name))
		return;
	run_take(&digits, is_digit);
	if (digits.n == 0)
		return;
	for (unsigned i = 0; i < names->count; i++)
		if (span_equal(names->name[i], name))
			return;
	if (names->count == NAMES_MAX)
		names->overflow = true;
	else
		names->name[names->count++] = name;
}

static struct span word_last(struct span text)
{
	const char *space;

	text = span_trim(text);
	space = text.n ? memrchr(text.p, ' ', text.n) : NULL;
	if (!space)
		return text;
	return (struct span){ space + 1, (size_t)(text.p + text.n - space - 1) };
}

static void names_collect(const struct sdp *sdp, struct far_names *names)
{
	struct span rest = sdp->origin;

	*names = (struct far_names){ .count = 0 };
	name_add(names, span_cut(&rest, ' '));
	name_add(names, word_last(rest));
	for (unsigned i = 0; i < sdp->line_count; i++)
		if (sdp->line[i].type == 'c')
			name_add(names, word_last(sdp->line[i].value));
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

static void write_line(struct writer *out, char type, struct span value)
{
	writer_char(out, type);
	writer_char(out, '=');
	writer_span(out, value);
	writer_text(out, "\r\n");
}

static void write_address(struct writer *out, const union address *address)
{
	char text[ADDRESS_TEXT_MAX];

	writer_text(out, address->sa.sa_family == AF_INET6 ? "IN IP6 " : "IN IP4 ");
	writer_text(out, address_print_host(address, text));
	writer_text(out, "\r\n");
}

static void write_connection(struct writer *out, const union address *address)
{
	writer_text(out, "c=");
	write_address(out, address);
}

/* b= and a= of one level; `first` to `end` are indices of lines. */
static void write_bandwidth(const struct sdp *sdp, unsigned first, unsigned end, struct writer *out)
{
	for (unsigned i = first; i < end; i++)
		if (sdp->line[i].type == 'b' && is_bandwidth(sdp->line[i].value))
			write_line(out, 'b', sdp->line[i].value);
}

static void write_attributes(const struct sdp *sdp, unsigned first, unsigned end, bool no_feedback,
	struct far_names *names, struct writer *out)
{
	for (unsigned i = first; i < end; i++) {
		struct span value = sdp->line[i].value;

		if (sdp->line[i].type != 'a' || (no_feedback && span_starts_case(value, SPAN("rtcp-fb:"))))
			continue;
		if (attribute_passes(value, names))
			write_line(out, 'a', value);
	}
}

static void write_timing(const struct sdp *sdp, struct writer *out)
{
	for (unsigned i = 0; i < sdp->line_count; i++) {
		if (sdp->line[i].type == 't' && is_timing(sdp->line[i].value)) {
			write_line(out, 't', sdp->line[i].value);
			return;
		}
	}
	write_line(out, 't', SPAN("0 0"));
}

/* `known`: its formats may cross; without any there is nothing to offer and the stream is off. */
static bool is_relayed(const struct sdp_media *media, const struct sdp_rewrite_media *ours, bool known)
{
	return known && media->port != 0 && !ours->reject && address_is_set(&ours->local);
}

/* Type and protocol are tokens of the peer's choice: one that is a name stands in a stream that is off, under another. */
static bool names_far_side(const struct sdp_media *media, struct far_names *names)
{
	return reveals_host(media->type, names) || reveals_host(media->protocol, names);
}

static bool protocol_is_rtp(struct span protocol)
{
	return memmem(protocol.p, protocol.n, "RTP/", 4) != NULL;
}

static void write_media(const struct sdp *sdp, const struct sdp_media *media,
	const struct sdp_rewrite_media *ours, bool known, const union address *session,
	struct far_names *names, struct writer *out)
{
	const unsigned first = media->first_line + 1;
	const unsigned end = media->first_line + media->line_count;
	bool relayed = is_relayed(media, ours, known);
	bool named = !known && names_far_side(media, names);

	writer_text(out, "m=");
	writer_span(out, named ? SPAN("application") : media->type);
	writer_char(out, ' ');
	writer_uint(out, relayed ? address_port(&ours->local) : 0);
	writer_char(out, ' ');
	if (named)
		writer_text(out, "udp");
	else
		writer_span(out, ours->protocol.n ? ours->protocol : media->protocol);
	writer_char(out, ' ');
	writer_span(out, known ? media->formats : SPAN("0"));
	writer_text(out, "\r\n");
	/* A stream that is off has nothing to describe (RFC 3264 section 6). */
	if (!relayed)
		return;
	if (!address_equal_host(&ours->local, session))
		write_connection(out, &ours->local);
	write_bandwidth(sdp, first, end, out);
	write_attributes(sdp, first, end, ours->no_feedback, names, out);
	if (protocol_is_rtp(media->protocol) || media->direction != SDP_SENDRECV)
		write_line(out, 'a', span_from(direction_names[media->direction]));
	if (media->rtcp_mux && ours->rtcp_mux)
		write_line(out, 'a', SPAN("rtcp-mux"));
	writer_span(out, ours->crypto);
}

/* c= of the session: where its first stream goes. */
static const union address *session_address(const struct sdp *sdp, const struct sdp_origin *origin,
	const struct sdp_rewrite_media *media, const bool *known)
{
	for (unsigned i = 0; i < sdp->media_count; i++)
		if (is_relayed(&sdp->media[i], &media[i], known[i]))
			return &media[i].local;
	return &origin->address;
}

int sdp_rewrite(const struct sdp *sdp, const struct sdp_origin *origin, const struct sdp_rewrite_media *media,
	struct writer *out)
{
	const unsigned session_end = sdp->media_count ? sdp->media[0].first_line : sdp->line_count;
	const union address *session;
	bool known[SDP_MEDIA_MAX];
	struct far_names names;

	names_collect(sdp, &names);
	for (unsigned i = 0; i < sdp->media_count; i++)
		known[i] = formats_pass(sdp->media[i].formats, &names) &&
			   !names_far_side(&sdp->media[i], &names);
	session = session_address(sdp, origin, media, known);
	writer_text(out, "v=0\r\no=- ");
	writer_uint(out, origin->session_id);
	writer_char(out, ' ');
	writer_uint(out, origin->version);
	writer_char(out, ' ');
	write_address(out, &origin->address);
	writer_text(out, "s=-\r\n");
	write_connection(out, session);
	write_bandwidth(sdp, 0, session_end, out);
	write_timing(sdp, out);
	write_attributes(sdp, 0, session_end, false, &names, out);
	for (unsigned i = 0; i < sdp->media_count; i++)
		write_media(sdp, &sdp->media[i], &media[i], known[i], session, &names, out);
	return out->overflow ? -ENOSPC : 0;
}
