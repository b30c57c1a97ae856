/* SPDX-License-Identifier: BSD-3-Clause */
/* support bundle in the daemon: the role is right, and it is written down who asked. The program asks for the rest command by command. */
#include <errno.h>

#include "mgmt/support.h"

enum { RECORDS_MOST = 100000 };

int support_options(const struct command_match *match, unsigned *records)
{
	uint64_t count = 0;

	*records = 0;
	if (match->arguments == 0)
		return 0;
	if (match->arguments != 2 || !span_equal(match->argument[0], SPAN("records")) ||
		span_to_uint(match->argument[1], RECORDS_MOST, &count) != 0)
		return -EINVAL;
	*records = (unsigned)count;
	return 0;
}

void support_begin(struct request *request)
{
	unsigned records;

	if (support_options(&request->match, &records) != 0)
		request_fail(
			request, MGMT_EXIT_USAGE, "allowed: \"records\" and a number 0..%d", RECORDS_MOST);
	else
		request_finish(request, MGMT_EXIT_OK);
}
