/* SPDX-License-Identifier: BSD-3-Clause */
/* One value on its way into the model. Private to config/value*.c. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/source.h"
#include "platforms/base/span.h"

struct value {
	struct config_load *load;
	const struct config_object *object;
	const struct config_row *row;
	unsigned line;
	const char *text;
};

/* Reports `"TEXT" WHAT; allowed: ...`; without `what` that it is none of its kind. Returns 0: reading goes on. */
int value_bad(const struct value *v, const char *what);
/* Arena copy; NULL without memory (reported). */
char *value_copy(const struct value *v, struct span s);

/* Types that fill two fields or look at other objects. 0 or -ENOMEM. */
int value_set_port_range(const struct value *v, void *field);
int value_set_reference(const struct value *v, void *field);
int value_set_regex(const struct value *v, void *field);
int value_set_nic_port(const struct value *v, void *field);
int value_set_memory(const struct value *v, void *field);
int value_set_next_hop(const struct value *v, void *field);
int value_set_direction(const struct value *v, void *field);

#endif
