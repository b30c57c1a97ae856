/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources as people write them: an address, a network, one port of an address. */
#ifndef MGMT_SOURCE_H
#define MGMT_SOURCE_H

#include <jansson.h>

#include "dataplane/api.h"
#include "mgmt/request.h"
#include "platforms/base/span.h"

enum { SOURCE_TEXT_MAX = 64 };

/* "192.0.2.1", "192.0.2.0/24", "192.0.2.1:5060", "2001:db8::1", "2001:db8::/32", "[2001:db8::1]:5060". Bits behind a network's length
 * must be 0. 0 or -EINVAL. */
int source_parse(struct span text, struct dp_source_key *out);
/* As above, but fails the request with a line that says what is allowed. */
int source_argument(struct request *request, struct span text, struct dp_source_key *out);
/* The shortest of the forms above; "-" if it is none. Returns the buffer. */
const char *source_print(const struct dp_source_key *key, char buffer[SOURCE_TEXT_MAX]);
json_t *value_source(const struct dp_source_key *key);

#endif
