/* SPDX-License-Identifier: BSD-3-Clause */
/* Words of SIP (RFC 3261 and extensions): methods, status codes and their default reason phrases, quoted strings. */
#ifndef CONTROLPLANE_SIP_H
#define CONTROLPLANE_SIP_H

#include "platforms/base/span.h"

/* clang-format off */
#define SIP_METHODS(X) \
	X(INVITE) X(ACK) X(BYE) X(CANCEL) X(OPTIONS) X(REGISTER) X(PRACK) X(UPDATE) X(INFO) X(MESSAGE) X(SUBSCRIBE) \
	X(NOTIFY) X(PUBLISH) X(REFER)
/* clang-format on */

enum sip_method {
	SIP_METHOD_UNKNOWN = 0,
#define X(name) SIP_METHOD_##name,
	SIP_METHODS(X)
#undef X
		SIP_METHOD_COUNT
};

/* Option tags (RFC 3261 section 20.32, IANA) that are understood; anything else in Require is refused with 420. */
/* clang-format off */
#define SIP_OPTIONS(X) \
	X(100REL, "100rel") X(TIMER, "timer") X(REPLACES, "replaces") X(NOREFERSUB, "norefersub") X(TDIALOG, "tdialog") \
	X(HISTINFO, "histinfo") X(PRIVACY, "privacy") X(EVENTLIST, "eventlist") X(PATH, "path") X(OUTBOUND, "outbound") \
	X(GRUU, "gruu") X(GIN, "gin")
/* clang-format on */

enum sip_option {
#define X(id, name) SIP_OPTION_##id,
	SIP_OPTIONS(X)
#undef X
		SIP_OPTION_COUNT
};

/* SIP_OPTION_COUNT: not understood. Any case (RFC 3261 section 7.3.1). */
enum sip_option sip_option_parse(struct span name);
const char *sip_option_name(enum sip_option option);

/* Methods are case-sensitive (RFC 3261 section 7.1). */
enum sip_method sip_method_parse(struct span name);
const char *sip_method_name(enum sip_method method); /* "" for unknown */
/* Default reason phrase of a status code; that of its class's x00 when the code is not known (RFC 3261 section 8.1.3.2). */
const char *sip_reason(unsigned status);
/* Length of the quoted-string (RFC 3261 section 25.1) that `text` starts with, both quotes included; 0 if it does not end. */
size_t sip_quoted_length(struct span text);

#endif
