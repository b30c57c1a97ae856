/* SPDX-License-Identifier: BSD-3-Clause */
/* show interfaces: the ports of the dataplane and what passed them. */
#include <stdio.h>
#include <string.h>

#include "dataplane/api.h"
#include "mgmt/render.h"
#include "mgmt/show.h"
#include "mgmt/value.h"

static json_t *interface_row(const struct dp_interface *interface)
{
	json_t *row = json_object();
	const uint8_t *mac = interface->mac;
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5]);
	value_set(row, "name", VALUE_FIELD(interface->name));
	value_set(row, "port", VALUE_FIELD(interface->port));
	value_set(row, "mirror", VALUE_FIELD(interface->mirror));
	value_set(row, "mac-address", json_string(text));
	value_set(row, "link-up", json_boolean(interface->link_up != 0));
	/* DPDK says "unknown" by the largest number. */
	value_set(row, "speed-mbps",
		interface->speed_mbps == UINT32_MAX ? json_null() : json_integer(interface->speed_mbps));
	value_set(row, "mtu", json_integer(interface->mtu));
	value_set(row, "rx-packets", value_uint(interface->rx_packets));
	value_set(row, "rx-octets", value_uint(interface->rx_octets));
	value_set(row, "rx-missed", value_uint(interface->rx_missed));
	value_set(row, "rx-errors", value_uint(interface->rx_errors));
	value_set(row, "tx-packets", value_uint(interface->tx_packets));
	value_set(row, "tx-octets", value_uint(interface->tx_octets));
	value_set(row, "tx-errors", value_uint(interface->tx_errors));
	value_set(row, "mirror-in", value_uint(interface->mirror_in));
	value_set(row, "mirror-out", value_uint(interface->mirror_out));
	value_set(row, "next-hops", json_integer(interface->next_hops));
	value_set(row, "next-hops-incomplete", json_integer(interface->next_hops_incomplete));
	return row;
}

static json_t *interfaces_document(const struct show_data *data)
{
	const char *body = data->reply[SHOW_DP_INTERFACES].body;
	size_t count = data->reply[SHOW_DP_INTERFACES].length / sizeof(struct dp_interface);
	json_t *document = json_object(), *rows = json_array();

	for (size_t i = 0; i < count; i++) {
		struct dp_interface interface;

		memcpy(&interface, body + i * sizeof(interface), sizeof(interface));
		value_append(rows, interface_row(&interface));
	}
	value_set(document, "interfaces", rows);
	return document;
}

static const struct column interface_columns[] = {
	{ "port", "port", COLUMN_TEXT, false },
	{ "mirror", "mirror", COLUMN_TEXT, false },
	{ "mac-address", "MAC address", COLUMN_TEXT, false },
	{ "link-up", "link", COLUMN_LINK, false },
	{ "speed-mbps", "speed (Mbit/s)", COLUMN_NUMBER, false },
	{ "mtu", "MTU", COLUMN_NUMBER, false },
	{ "rx-packets", "received packets", COLUMN_NUMBER, false },
	{ "rx-octets", "received octets", COLUMN_NUMBER, false },
	{ "rx-missed", "missed for want of room", COLUMN_NUMBER, false },
	{ "rx-errors", "receive errors", COLUMN_NUMBER, false },
	{ "tx-packets", "sent packets", COLUMN_NUMBER, false },
	{ "tx-octets", "sent octets", COLUMN_NUMBER, false },
	{ "tx-errors", "send errors", COLUMN_NUMBER, false },
	{ "mirror-in", "packets to the mirror", COLUMN_NUMBER, false },
	{ "mirror-out", "packets from the mirror", COLUMN_NUMBER, false },
	{ "next-hops", "next hops", COLUMN_NUMBER, false },
	{ "next-hops-incomplete", "next hops not resolved", COLUMN_NUMBER, false },
};

static void interfaces_text(struct output *out, unsigned width, const json_t *document)
{
	const json_t *row;
	size_t i;

	(void)width;
	json_array_foreach(json_object_get(document, "interfaces"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));

		if (i > 0)
			output_text(out, "\n");
		render_fields(out, name != NULL ? name : "-", row, interface_columns,
			sizeof(interface_columns) / sizeof(interface_columns[0]));
	}
}

const struct show show_interfaces = {
	.needs = 1U << SHOW_DP_INTERFACES,
	.document = interfaces_document,
	.text = interfaces_text,
};
