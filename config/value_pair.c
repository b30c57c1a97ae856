/* SPDX-License-Identifier: BSD-3-Clause */
/* Values that fill two fields, or name other objects. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "config/value.h"

static void *companion(const struct value *v)
{
	return (char *)v->object->typed + v->row->companion;
}

int value_set_port_range(const struct value *v, void *field)
{
	struct span last = span_from(v->text), first = span_cut(&last, '-');
	uint64_t low, high;
	uint16_t port;

	if (!last.p || span_to_uint(first, UINT32_MAX, &low) || span_to_uint(last, UINT32_MAX, &high))
		return value_bad(v, NULL);
	if (low < v->row->min || low > v->row->max || high < v->row->min || high > v->row->max)
		return value_bad(v, "is out of range");
	if (low > high)
		return value_bad(v, "is upside down");
	if (low % 2)
		return value_bad(v, "begins with an odd port");
	if (low == high)
		return value_bad(v, "has no room for a pair of RTP and RTCP");
	port = (uint16_t)low;
	memcpy(field, &port, sizeof(port));
	port = (uint16_t)high;
	memcpy(companion(v), &port, sizeof(port));
	return 0;
}

static const struct config_object *named_object(
	const struct value *v, const char *section_name, const char *name)
{
	const struct config_section *section = config_section_find(section_name);
	const struct config_object *o = config_object_find(v->load->private, section, name);
	struct config_nearest nearest = { .name = name };

	if (o)
		return o;
	for (o = v->load->private->objects; o; o = o->next)
		if (o->section == section)
			config_nearest_try(&nearest, o->name);
	if (nearest.best)
		config_report_at(v->load, true, v->line, v->object, v->row,
			"there is no %s \"%.64s\"; did you mean \"%s\"?", section_name, name, nearest.best);
	else
		config_report_at(v->load, true, v->line, v->object, v->row,
			"there is no %s \"%.64s\"; allowed: name of a %s", section_name, name, section_name);
	return NULL;
}

int value_set_reference(const struct value *v, void *field)
{
	const struct config_object *o;

	if (!v->text[0] && !v->row->required && v->row->type == CONFIG_TYPE_REFERENCE)
		return 0;
	o = named_object(v, v->row->target, v->text);
	if (o)
		memcpy(field, &o->typed, sizeof(o->typed));
	return 0;
}

int value_set_next_hop(const struct value *v, void *field)
{
	struct config_local_policy *policy = v->object->typed;
	const struct config_object *o;

	(void)field;
	if (!strcmp(v->text, "registration")) {
		policy->next_hop = CONFIG_NEXT_HOP_REGISTRATION;
	} else if (!strncmp(v->text, "agent:", 6)) {
		policy->next_hop = CONFIG_NEXT_HOP_AGENT;
		o = named_object(v, "session-agent", v->text + 6);
		policy->agent = o ? o->typed : NULL;
	} else if (!strncmp(v->text, "group:", 6)) {
		policy->next_hop = CONFIG_NEXT_HOP_GROUP;
		o = named_object(v, "session-group", v->text + 6);
		policy->group = o ? o->typed : NULL;
	} else {
		return value_bad(v, NULL);
	}
	return 0;
}

int value_set_regex(const struct value *v, void *field)
{
	size_t n = strlen(v->text);
	char why[128];
	char *copy;
	int error;

	if (n < v->row->min || n > v->row->max)
		return value_bad(v, "has the wrong length");
	error = config_pattern_compile(v->load, v->text, companion(v), why, sizeof(why));
	if (error == -EINVAL) {
		config_report_at(v->load, true, v->line, v->object, v->row,
			"\"%.64s\" is no pattern: %s; allowed: POSIX extended regular expression", v->text,
			why);
		return 0;
	}
	copy = error ? NULL : value_copy(v, span_from(v->text));
	memcpy(field, &copy, sizeof(copy));
	return copy ? 0 : -ENOMEM;
}

/* [DOMAIN:]BUS:DEVICE.FUNCTION in hexadecimal digits. */
static bool is_pci_address(struct span s)
{
	static const char full[] = "xxxx:xx:xx.x";
	const char *shape = s.n == sizeof(full) - 1 ? full : full + 5;

	if (s.n != strlen(shape))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (shape[i] == 'x' ? !isxdigit((unsigned char)s.p[i]) : s.p[i] != shape[i])
			return false;
	return true;
}

static bool is_interface_name(struct span s)
{
	if (s.n < 1 || s.n > 15 || span_equal(s, SPAN(".")) || span_equal(s, SPAN("..")))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isgraph((unsigned char)s.p[i]) || s.p[i] == '/' || s.p[i] == ',' || s.p[i] == '=')
			return false; /* the last two would end the argument DPDK gets */
	return true;
}

int value_set_nic_port(const struct value *v, void *field)
{
	static const struct {
		struct span kind;
		unsigned value;
	} kinds[] = { { { "pci", 3 }, CONFIG_PORT_PCI }, { { "xdp", 3 }, CONFIG_PORT_XDP },
		{ { "packet", 6 }, CONFIG_PORT_PACKET } };
	struct span name = span_from(v->text), kind = span_cut(&name, ':');
	char *copy;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!span_equal(kind, kinds[i].kind))
			continue;
		if (kinds[i].value == CONFIG_PORT_PCI ? !is_pci_address(name) : !is_interface_name(name))
			break;
		copy = value_copy(v, name);
		memcpy(field, &kinds[i].value, sizeof(kinds[i].value));
		memcpy(companion(v), &copy, sizeof(copy));
		return copy ? 0 : -ENOMEM;
	}
	return value_bad(v, NULL);
}

int value_set_memory(const struct value *v, void *field)
{
	bool automatic = !strcmp(v->text, "auto");
	uint64_t number = 0;
	unsigned n;

	if (!automatic && span_to_uint(span_from(v->text), UINT64_MAX, &number))
		return value_bad(v, NULL);
	if (!automatic && (number < v->row->min || number > v->row->max))
		return value_bad(v, "is out of range");
	n = (unsigned)number;
	memcpy(field, &automatic, sizeof(automatic));
	memcpy(companion(v), &n, sizeof(n));
	return 0;
}

int value_set_direction(const struct value *v, void *field)
{
	for (const struct config_choice *c = v->row->choices; c->word; c++) {
		if (strcmp(c->word, v->text))
			continue;
		if (c->value & 1)
			memcpy(field, &(bool){ true }, sizeof(bool));
		if (c->value & 2)
			memcpy(companion(v), &(bool){ true }, sizeof(bool));
		return 0;
	}
	return value_bad(v, "is not known");
}
