/* SPDX-License-Identifier: BSD-3-Clause */
/* Families, samples and labels, in the order in which they are shown. */
#include "mgmt/metrics_page.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "controlplane/client.h"
#include "dataplane/api.h"
#include "mgmt/health.h"
#include "mgmt/metrics_calls.h"
#include "mgmt/watch.h"

enum { FAMILY_MAX = 96 };

/* An unsigned number of a struct. */
struct field {
	const char *name, *unit, *help; /* unit NULL: none; else the name ends with it */
	size_t offset, size;
	bool counter;
};

#define FIELD(type, member) offsetof(type, member), sizeof(((type *)0)->member)

static uint64_t field_read(const struct field *field, const void *entry)
{
	uint64_t wide;
	uint32_t narrow;

	if (field->size == sizeof(wide)) {
		memcpy(&wide, (const char *)entry + field->offset, sizeof(wide));
		return wide;
	}
	if (field->size == sizeof(narrow)) {
		memcpy(&narrow, (const char *)entry + field->offset, sizeof(narrow));
		return narrow;
	}
	return *((const uint8_t *)entry + field->offset);
}

void metrics_label_write(struct writer *out, struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c == '\\' || c == '"')
			writer_format(out, "\\%c", c);
		else if (c == '\n')
			writer_text(out, "\\n");
		else if (c < ' ' || c > '~')
			writer_format(out, "\\\\x%02x",
				c); /* a backslash, x, two digits: nobody's terminal or browser minds */
		else
			writer_char(out, (char)c);
	}
}

void metrics_label(struct writer *out, char before, const char *name, const char *value, size_t size)
{
	writer_char(out, before);
	writer_text(out, name);
	writer_text(out, "=\"");
	metrics_label_write(out, (struct span){ value, strnlen(value, size) });
	writer_char(out, '"');
}

#define LABEL_FIELD(out, before, name, array) metrics_label((out), (before), (name), (array), sizeof(array))

void metrics_family(
	struct writer *out, const char *name, const char *type, const char *unit, const char *help)
{
	writer_format(out, "# HELP %s ", name);
	metrics_label_write(out, span_from(help));
	writer_format(out, "\n# TYPE %s %s\n", name, type);
	if (unit != NULL)
		writer_format(out, "# UNIT %s %s\n", name, unit);
}

static void gauge(struct writer *out, const char *name, const char *help, uint64_t value)
{
	metrics_family(out, name, "gauge", NULL, help);
	writer_format(out, "%s %" PRIu64 "\n", name, value);
}

/* "drop-tx-full" -> "drop_tx_full". */
static const char *metric_name(const char *plane, const char *counter, char buffer[FAMILY_MAX])
{
	struct writer name;

	writer_init(&name, buffer, FAMILY_MAX - 1);
	writer_format(&name, "sallyport_%s_", plane);
	for (; *counter != '\0'; counter++)
		writer_char(&name, *counter == '-' ? '_' : *counter);
	buffer[name.len] = '\0';
	return buffer;
}

static bool is_drop(const char *name)
{
	return strncmp(name, "drop-", 5) == 0;
}

static void counter(struct writer *out, const char *plane, const char *name, const char *help, uint64_t value)
{
	char text[FAMILY_MAX];

	metrics_family(out, metric_name(plane, name, text), "counter", NULL, help);
	writer_format(out, "%s_total %" PRIu64 "\n", text, value);
}

/* Of a process there is one; of interfaces and realms there are many, told from each other by their label. */
static void fields_of_one(struct writer *out, const struct field *fields, size_t count, const void *entry)
{
	for (size_t i = 0; i < count; i++) {
		const struct field *f = &fields[i];

		metrics_family(out, f->name, f->counter ? "counter" : "gauge", f->unit, f->help);
		writer_format(
			out, "%s%s %" PRIu64 "\n", f->name, f->counter ? "_total" : "", field_read(f, entry));
	}
}

static void fields_of_many(struct writer *out, const struct field *fields, size_t count,
	const struct metrics_list *list, size_t entry_size, const char *label_name)
{
	for (size_t i = 0; list->count > 0 && i < count; i++) {
		const struct field *f = &fields[i];

		metrics_family(out, f->name, f->counter ? "counter" : "gauge", f->unit, f->help);
		for (size_t k = 0; k < list->count; k++) {
			const char *entry = (const char *)list->entries + k * entry_size;

			writer_text(out, f->name);
			writer_text(out, f->counter ? "_total" : "");
			metrics_label(
				out, '{', label_name, entry, DP_NAME_MAX); /* the first member is its name */
			writer_format(out, "} %" PRIu64 "\n", field_read(f, entry));
		}
	}
}

_Static_assert(offsetof(struct dp_interface, name) == 0 && offsetof(struct dp_realm, name) == 0 &&
		       DP_NAME_MAX == sizeof(((struct dp_realm *)0)->name),
	"the name comes first");

/* clang-format off */
#define DP(member) FIELD(struct dp_stats, member)
static const struct field dataplane_fields[] = {
	{ "sallyport_sessions", NULL, "media sessions of the dataplane now", DP(sessions), false },
	{ "sallyport_sessions_max", NULL, "media sessions the dataplane has room for", DP(sessions_max), false },
	{ "sallyport_sessions_created", NULL, "media sessions since the dataplane started", DP(sessions_total), true },
	{ "sallyport_flows", NULL, "directions of media that are relayed now", DP(flows), false },
	{ "sallyport_media_ports_used", NULL, "pairs of media ports in use, all realms", DP(ports_used), false },
	{ "sallyport_media_ports_max", NULL, "pairs of media ports there are, all realms", DP(ports_total), false },
	{ "sallyport_packet_workers", NULL, "cores that relay packets", DP(workers), false },
	{ "sallyport_hugepages", NULL, "1: the dataplane's memory is on hugepages", DP(hugepages), false },
	{ "sallyport_bans", NULL, "sources banned now", DP(bans), false },
	{ "sallyport_bans_max", NULL, "bans there is room for", DP(bans_max), false },
	{ "sallyport_trusted_sources", NULL, "sources trusted now", DP(trusts), false },
	{ "sallyport_trusted_sources_max", NULL, "trusted sources there is room for", DP(trusts_max), false },
	{ "sallyport_known_strangers", NULL, "untrusted sources remembered for their rates", DP(sources), false },
	{ "sallyport_known_strangers_max", NULL, "untrusted sources there is room for", DP(sources_max), false },
};
#undef DP
#define CP(member) FIELD(struct cp_status, member)
static const struct field controlplane_fields[] = {
	{ "sallyport_calls", NULL, "calls now", CP(calls), false },
	{ "sallyport_registrations", NULL, "contacts registered now", CP(registrations), false },
	{ "sallyport_transactions", NULL, "SIP transactions now", CP(transactions), false },
	{ "sallyport_subscriptions", NULL, "subscriptions relayed now", CP(subscriptions), false },
	{ "sallyport_sip_connections", NULL, "connections of SIP over TCP and TLS now", CP(connections), false },
	{ "sallyport_shards", NULL, "threads of the control plane that serve SIP", CP(shards), false },
	{ "sallyport_listeners_down", NULL, "addresses to listen on that could not be opened", CP(listeners_down), false },
	{ "sallyport_controlplane_has_dataplane", NULL, "1: every shard is connected to the dataplane", CP(dataplane_up), false },
};
#undef CP
#define IF(member) FIELD(struct dp_interface, member)
static const struct field interface_fields[] = {
	{ "sallyport_interface_up", NULL, "1: the link is up", IF(link_up), false },
	{ "sallyport_interface_receive_packets", "packets", "packets received", IF(rx_packets), true },
	{ "sallyport_interface_receive_bytes", "bytes", "octets received", IF(rx_octets), true },
	{ "sallyport_interface_receive_missed_packets", "packets", "packets the port had no room for", IF(rx_missed), true },
	{ "sallyport_interface_receive_errors", NULL, "errors in receiving", IF(rx_errors), true },
	{ "sallyport_interface_transmit_packets", "packets", "packets sent", IF(tx_packets), true },
	{ "sallyport_interface_transmit_bytes", "bytes", "octets sent", IF(tx_octets), true },
	{ "sallyport_interface_transmit_errors", NULL, "errors in sending", IF(tx_errors), true },
	{ "sallyport_interface_mirror_in_packets", "packets", "packets handed to the kernel's mirror", IF(mirror_in), true },
	{ "sallyport_interface_mirror_out_packets", "packets", "packets sent for the kernel's mirror", IF(mirror_out), true },
	{ "sallyport_interface_next_hops", NULL, "next hops known", IF(next_hops), false },
	{ "sallyport_interface_next_hops_incomplete", NULL, "next hops whose link-layer address is not known", IF(next_hops_incomplete), false },
};
#undef IF
#define RE(member) FIELD(struct dp_realm, member)
static const struct field realm_fields[] = {
	{ "sallyport_realm_ports_used", NULL, "pairs of media ports in use", RE(ports_used), false },
	{ "sallyport_realm_ports_max", NULL, "pairs of media ports there are", RE(ports_total), false },
	{ "sallyport_realm_streams", NULL, "sides of media streams there now", RE(streams), false },
	{ "sallyport_realm_media_packets", "packets", "media packets received from there", RE(packets), true },
	{ "sallyport_realm_media_bytes", "bytes", "octets of media received from there", RE(octets), true },
	{ "sallyport_realm_relayed_packets", "packets", "of these packets, sent on", RE(relayed), true },
	{ "sallyport_realm_lost_packets", "packets", "media packets that did not arrive from there", RE(lost), true },
	{ "sallyport_realm_wrong_source_packets", "packets", "media packets from an address that is not the peer", RE(wrong_source), true },
	{ "sallyport_realm_malformed_packets", "packets", "media packets that are none", RE(malformed), true },
	{ "sallyport_realm_policed_packets", "packets", "media packets over the agreed bandwidth", RE(policed), true },
	{ "sallyport_realm_telephone_events", NULL, "digits sent as telephone events (RFC 4733)", RE(events), true },
};
#undef RE
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void write_dataplane(const struct metrics_snapshot *snapshot, struct writer *out)
{
	const struct dp_stats *stats = metrics_snapshot_one(snapshot, METRICS_DP_STATS);

	if (stats != NULL) {
		fields_of_one(out, dataplane_fields, COUNT(dataplane_fields), stats);
		for (unsigned i = 0; i < DP_COUNTER_COUNT; i++)
			if (!is_drop(dp_counter_name(i)))
				counter(out, "dataplane", dp_counter_name(i), dp_counter_help(i),
					stats->counter[i]);
		metrics_family(out, "sallyport_dataplane_dropped_packets", "counter", "packets",
			"packets dropped; show counters says what each reason means");
		for (unsigned i = 0; i < DP_COUNTER_COUNT; i++)
			if (is_drop(dp_counter_name(i)))
				writer_format(out,
					"sallyport_dataplane_dropped_packets_total{reason=\"%s\"} %" PRIu64
					"\n",
					dp_counter_name(i) + 5, stats->counter[i]);
	}
	fields_of_many(out, interface_fields, COUNT(interface_fields), &snapshot->part[METRICS_DP_INTERFACES],
		sizeof(struct dp_interface), "interface");
	fields_of_many(out, realm_fields, COUNT(realm_fields), &snapshot->part[METRICS_DP_REALMS],
		sizeof(struct dp_realm), "realm");
}

static void write_controlplane(const struct metrics_snapshot *snapshot, struct writer *out)
{
	const struct cp_status *status = metrics_snapshot_one(snapshot, METRICS_CP_STATUS);
	const struct cp_counters *counters = metrics_snapshot_one(snapshot, METRICS_CP_COUNTERS);

	if (status != NULL)
		fields_of_one(out, controlplane_fields, COUNT(controlplane_fields), status);
	for (unsigned i = 0; counters != NULL && i < CP_COUNTER_COUNT; i++)
		counter(out, "controlplane", cp_counter_name(i), cp_counter_help(i), counters->counter[i]);
}

static void count_alarms(const struct cp_alarm *alarms, size_t length, unsigned count[CP_SEVERITY_COUNT])
{
	for (size_t i = 0; i < length; i++)
		if (alarms[i].severity < CP_SEVERITY_COUNT)
			count[alarms[i].severity]++;
}

static void list_alarms(struct writer *out, const struct cp_alarm *alarms, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		const char *name = watch_alarm_name(alarms[i].kind);

		if (alarms[i].severity >= CP_SEVERITY_COUNT || *name == '\0')
			continue;
		writer_format(out, "sallyport_alarm{alarm=\"%s\",severity=\"%s\"", name,
			watch_severity_name(alarms[i].severity));
		LABEL_FIELD(out, ',', "subject", alarms[i].subject);
		writer_text(out, "} 1\n");
	}
}

static void write_alarms(const struct metrics_snapshot *snapshot, const struct cp_alarm *own,
	size_t own_count, struct writer *out)
{
	const struct metrics_list *list = &snapshot->part[METRICS_CP_ALARMS];
	unsigned count[CP_SEVERITY_COUNT] = { 0 };

	count_alarms(own, own_count, count);
	count_alarms(list->entries, list->count, count);
	metrics_family(out, "sallyport_alarms", "gauge", NULL, "alarms there are now, by severity");
	for (unsigned i = 0; i < CP_SEVERITY_COUNT; i++)
		writer_format(
			out, "sallyport_alarms{severity=\"%s\"} %u\n", watch_severity_name(i), count[i]);
	if (list->count + own_count > 0)
		metrics_family(out, "sallyport_alarm", "gauge", NULL, "1 for each alarm there is now");
	list_alarms(out, own, own_count);
	list_alarms(out, list->entries, list->count);
}

/* A file of authorities may have one twice; a series is there once. */
static bool came_before(const struct cp_certificate *list, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (list[i].role == list[at].role &&
			memcmp(list[i].fingerprint, list[at].fingerprint, sizeof(list[i].fingerprint)) == 0 &&
			memcmp(list[i].profile, list[at].profile, sizeof(list[i].profile)) == 0)
			return true;
	return false;
}

static void write_certificates(const struct metrics_snapshot *snapshot, struct writer *out)
{
	static const char *const uses[] = { "own", "chain", "authority" };
	const struct metrics_list *list = &snapshot->part[METRICS_CP_CERTIFICATES];
	const struct cp_certificate *certificates = list->entries;

	if (list->count > 0)
		metrics_family(out, "sallyport_certificate_not_after_seconds", "gauge", "seconds",
			"when a certificate of a tls-profile ends, since 1970-01-01 UTC");
	for (size_t i = 0; i < list->count; i++) {
		const struct cp_certificate *c = &certificates[i];

		if (c->role >= COUNT(uses) || came_before(certificates, i))
			continue;
		writer_format(out, "sallyport_certificate_not_after_seconds{use=\"%s\"", uses[c->role]);
		LABEL_FIELD(out, ',', "profile", c->profile);
		LABEL_FIELD(out, ',', "subject", c->subject);
		LABEL_FIELD(out, ',', "fingerprint", c->fingerprint);
		writer_format(out, "} %" PRIu64 "\n", c->not_after_wall_ms / 1000);
	}
}

struct process {
	const char *name;
	bool up;
	uint64_t uptime_ms;
	const char *version;
};

static void write_processes(const struct metrics_snapshot *snapshot, struct writer *out)
{
	const struct dp_stats *stats = metrics_snapshot_one(snapshot, METRICS_DP_STATS);
	const struct cp_status *status = metrics_snapshot_one(snapshot, METRICS_CP_STATUS);
	const struct process processes[] = {
		{ "dataplane", stats != NULL, stats != NULL ? stats->uptime_us / 1000 : 0,
			snapshot->neighbour[NEIGHBOUR_DATAPLANE].version },
		{ "controlplane", status != NULL, status != NULL ? status->uptime_ms : 0,
			snapshot->neighbour[NEIGHBOUR_CONTROLPLANE].version },
		{ "mgmt", true, snapshot->uptime_ms, SALLYPORT_VERSION },
	};

	metrics_family(out, "sallyport_up", "gauge", NULL, "1: the process answers");
	for (size_t i = 0; i < COUNT(processes); i++)
		writer_format(out, "sallyport_up{process=\"%s\"} %d\n", processes[i].name, processes[i].up);
	gauge(out, "sallyport_in_service", "1: calls are served; /healthz says why not",
		health_impediment(stats, status) == NULL);
	metrics_family(out, "sallyport_process_start_time_seconds", "gauge", "seconds",
		"when the process started, since 1970-01-01 UTC");
	for (size_t i = 0; i < COUNT(processes); i++) {
		uint64_t ms = snapshot->wall_ms - processes[i].uptime_ms;

		if (processes[i].up)
			writer_format(out,
				"sallyport_process_start_time_seconds{process=\"%s\"} %" PRIu64 ".%03u\n",
				processes[i].name, ms / 1000, (unsigned)(ms % 1000));
	}
	metrics_family(out, "sallyport_build", "info", NULL, "what runs");
	for (size_t i = 0; i < COUNT(processes); i++) {
		if (!processes[i].up)
			continue;
		writer_format(out, "sallyport_build_info{process=\"%s\"", processes[i].name);
		metrics_label(
			out, ',', "version", processes[i].version, sizeof(snapshot->neighbour[0].version));
		writer_text(out, "} 1\n");
	}
}

void metrics_page_write(const struct metrics_snapshot *snapshot, const struct cp_alarm *own, size_t own_count,
	struct writer *out)
{
	write_processes(snapshot, out);
	write_dataplane(snapshot, out);
	write_controlplane(snapshot, out);
	metrics_calls_write(snapshot, out);
	write_alarms(snapshot, own, own_count, out);
	write_certificates(snapshot, out);
	writer_text(out, "# EOF\n");
}
