/* SPDX-License-Identifier: BSD-3-Clause */
/* The nearest known name to one that is not known: edit distance with neighbouring letters swapped counting as one. */
#include "config/source.h"

#include <string.h>

enum { NAME_MAX_LENGTH = 63 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned row[3][NAME_MAX_LENGTH + 1];
	unsigned *before = row[0], *last = row[1], *now = row[2];

	for (unsigned j = 0; j <= m; j++) {
		before[j] = 0;
		last[j] = j;
	}
	for (unsigned i = 1; i <= n; i++) {
		unsigned *spare = before;

		now[0] = i;
		for (unsigned j = 1; j <= m; j++) {
			now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

void config_nearest_try(struct config_nearest *nearest, const char *candidate)
{
	size_t n = strlen(nearest->name), m = strlen(candidate);
	unsigned d, tolerated = n < 4 ? 1 : n < 8 ? 2 : 3;

	if (n > NAME_MAX_LENGTH || m > NAME_MAX_LENGTH)
		return;
	d = distance(nearest->name, n, candidate, m);
	if (d <= tolerated && (!nearest->best || d < nearest->distance)) {
		nearest->best = candidate;
		nearest->distance = d;
	}
}
