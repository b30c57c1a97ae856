/* SPDX-License-Identifier: BSD-3-Clause */
/* a=crypto of SDP (RFC 4568): one line read or written, and keys of our own. */
#ifndef CONTROLPLANE_SDES_H
#define CONTROLPLANE_SDES_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/api.h"
#include "platforms/base/span.h"

enum {
	SDES_LINES_MAX = 16, /* of one media description */
	SDES_LINE_MAX = 1024, /* octets of a value that is looked at */
	SDES_LIFETIME_MIN = 1000, /* packets: a key that is gone sooner is not taken */
};

struct sdes_line {
	uint32_t tag;
	struct dp_crypto crypto; /* its first usable key */
};

/* Reads what is behind "crypto:". 0; -ENOTSUP: well-formed, but a suite, session parameter, lifetime or MKI that is not for us
 * (RFC 4568 section 6.3: the line is not used); -EINVAL: malformed, as is a key of another length than its suite's. The octets of
 * a key decide nothing that takes time. On an error *out has no key. */
int sdes_parse(struct span value, struct sdes_line *out);
/* The tags of one media description, each of one line alone (RFC 4568 section 9.1). */
struct sdes_tags {
	unsigned lines, count;
	uint32_t tag[SDES_LINES_MAX];
};

/* The next line's, of what is behind "crypto:". False: a line before it has the same one, or there were SDES_LINES_MAX before. A line that does not
 * begin with a tag has none. */
bool sdes_tags_take(struct sdes_tags *tags, struct span value);
/* "a=crypto:TAG SUITE inline:KEY" and CRLF. `key`: master key and salt. */
void sdes_write(struct writer *out, unsigned tag, enum dp_srtp_suite suite, const uint8_t *key);

/* DP_SRTP_NONE: none of ours. */
enum dp_srtp_suite sdes_suite_find(struct span name);
/* Octets of master key and salt; 0 of DP_SRTP_NONE. */
size_t sdes_key_length(enum dp_srtp_suite suite);
/* A master key and salt from the kernel's generator; aborts without randomness. The rest of `key` is zeroed. */
void sdes_make_key(enum dp_srtp_suite suite, uint8_t key[DP_SRTP_KEY_MAX]);
/* In constant time: same suite, key and salt. */
bool sdes_same_key(enum dp_srtp_suite a, const uint8_t *key_a, enum dp_srtp_suite b, const uint8_t *key_b);

#endif
