/* SPDX-License-Identifier: BSD-3-Clause */
/* What an answer goes through on its way to the standard output: | match RE | except RE | count | json | no-more. */
#ifndef MGMT_FILTER_H
#define MGMT_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "mgmt/line.h"
#include "platforms/base/span.h"

struct filter;

/* Reads the pipes of a line; `page`: stop when the screen is full. 0, -EINVAL with the reason in `why`, -ENOMEM. */
int filter_new(const struct line *line, bool page, struct filter **out, struct writer *why);
void filter_free(struct filter *filter);
/* The answer is asked for as JSON. */
bool filter_wants_json(const struct filter *filter);
/* Text as it comes. 0 or -errno as pager_line. */
int filter_text(struct filter *filter, const char *text, size_t length);
/* The last line, and what was counted. 0 or -errno. */
int filter_end(struct filter *filter);

/* The words of a pipe, for completion; NULL ends them. */
struct filter_kind {
	const char *word, *argument, *help;
};
extern const struct filter_kind filter_kinds[];

#endif
