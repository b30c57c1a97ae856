/* SPDX-License-Identifier: BSD-3-Clause */
/* The objects of SALLYPORT-MIB that can be read, one line each, in the order of their identifiers. */
#include "mgmt/snmp_tables.h"

#include "mgmt/snmp_rows.h"

/* clang-format off */
#define COUNT(array)                  (sizeof(array) / sizeof((array)[0]))
#define COLUMN(id, kind, type, member)  { (id), SNMP_KIND_##kind, sizeof(((struct type *)0)->member), offsetof(struct type, member), 0 }
#define QUOTIENT(id, kind, type, member, divisor) \
	{ (id), SNMP_KIND_##kind, sizeof(((struct type *)0)->member), offsetof(struct type, member), offsetof(struct type, divisor) }
#define NUMBER(type, member)          { SNMP_INDEX_NUMBER, offsetof(struct type, member), sizeof(((struct type *)0)->member) }
#define NAME(type, member)            { SNMP_INDEX_NAME, offsetof(struct type, member), sizeof(((struct type *)0)->member) }
#define CALL(type, member)            { SNMP_INDEX_CALL, offsetof(struct type, member), sizeof(((struct type *)0)->member) }

/* struct cp_statistics_calls, which begins at `base`, from column `id` on. */
#define OF_WAY(id, kind, base, member, divisor) \
	{ (id), SNMP_KIND_##kind, sizeof(((struct cp_statistics_calls *)0)->member), \
	  (uint32_t)((base) + offsetof(struct cp_statistics_calls, member)), (uint32_t)((base) + offsetof(struct cp_statistics_calls, divisor)) }
#define WAY(id, base) \
	OF_WAY(id, COUNTER, base, attempts, attempts), \
	OF_WAY((id) + 1, COUNTER, base, effective, attempts), \
	OF_WAY((id) + 2, COUNTER, base, answered, attempts), \
	OF_WAY((id) + 3, COUNTER, base, ended, attempts), \
	OF_WAY((id) + 4, COUNTER, base, talked_ms, attempts), \
	OF_WAY((id) + 5, COUNTER, base, rang, attempts), \
	OF_WAY((id) + 6, COUNTER, base, post_dial_ms, attempts), \
	OF_WAY((id) + 7, COUNTER, base, refused, attempts), \
	OF_WAY((id) + 8, GAUGE, base, now, attempts), \
	OF_WAY((id) + 9, GAUGE, base, most, attempts), \
	OF_WAY((id) + 10, GAUGE, base, per_second, attempts), \
	OF_WAY((id) + 11, SHARE, base, answered, attempts), \
	OF_WAY((id) + 12, SHARE, base, effective, attempts), \
	OF_WAY((id) + 13, MEAN, base, talked_ms, ended)

static const struct snmp_column system_columns[] = {
	COLUMN(1, TEXT, snmp_system, name),
	COLUMN(2, TEXT, snmp_system, version),
	COLUMN(3, TICKS_MS, snmp_system, uptime_ms),
	COLUMN(4, ENUM, snmp_system, state),
	COLUMN(5, TEXT, snmp_system, reason),
};

static const struct snmp_column processes_columns[] = {
	COLUMN(2, TEXT, snmp_process, name),
	COLUMN(3, ENUM, snmp_process, state),
	COLUMN(4, TEXT, snmp_process, version),
	COLUMN(5, TICKS_MS, snmp_process, uptime_ms),
	COLUMN(6, DATE, snmp_process, started_wall_ms),
	COLUMN(7, GAUGE, snmp_process, memory_kib),
};

static const struct snmp_column threads_columns[] = {
	COLUMN(2, TEXT, snmp_thread, name),
	COLUMN(3, COUNTER, snmp_thread, cpu_ms),
	COLUMN(4, INTEGER, snmp_thread, load),
};

static const struct snmp_column interfaces_columns[] = {
	COLUMN(1, TEXT, snmp_interface, port.name),
	COLUMN(2, TEXT, snmp_interface, port.port),
	COLUMN(3, TEXT, snmp_interface, port.mirror),
	COLUMN(4, OCTETS, snmp_interface, port.mac),
	COLUMN(5, TRUTH, snmp_interface, port.link_up),
	COLUMN(6, GAUGE, snmp_interface, speed_mbps),
	COLUMN(7, GAUGE, snmp_interface, port.mtu),
	COLUMN(8, COUNTER, snmp_interface, port.rx_octets),
	COLUMN(9, COUNTER, snmp_interface, port.rx_packets),
	COLUMN(10, COUNTER, snmp_interface, port.rx_missed),
	COLUMN(11, COUNTER, snmp_interface, port.rx_errors),
	COLUMN(12, COUNTER, snmp_interface, port.tx_octets),
	COLUMN(13, COUNTER, snmp_interface, port.tx_packets),
	COLUMN(14, COUNTER, snmp_interface, port.tx_errors),
	COLUMN(15, COUNTER, snmp_interface, port.mirror_in),
	COLUMN(16, COUNTER, snmp_interface, port.mirror_out),
	COLUMN(17, GAUGE, snmp_interface, port.next_hops),
	COLUMN(18, GAUGE, snmp_interface, port.next_hops_incomplete),
};

static const struct snmp_column media_columns[] = {
	COLUMN(1, GAUGE, dp_stats, sessions),
	COLUMN(2, GAUGE, dp_stats, sessions_max),
	COLUMN(3, COUNTER, dp_stats, sessions_total),
	COLUMN(4, GAUGE, dp_stats, flows),
	COLUMN(5, GAUGE, dp_stats, ports_used),
	COLUMN(6, GAUGE, dp_stats, ports_total),
	COLUMN(7, GAUGE, dp_stats, workers),
};

static const struct snmp_column realms_columns[] = {
	COLUMN(2, TEXT, dp_realm, interface),
	COLUMN(3, TRUTH, dp_realm, trusted),
	COLUMN(4, GAUGE, dp_realm, ports_used),
	COLUMN(5, GAUGE, dp_realm, ports_total),
	COLUMN(6, GAUGE, dp_realm, streams),
	COLUMN(7, COUNTER, dp_realm, packets),
	COLUMN(8, COUNTER, dp_realm, octets),
	COLUMN(9, COUNTER, dp_realm, relayed),
	COLUMN(10, COUNTER, dp_realm, lost),
	COLUMN(11, COUNTER, dp_realm, wrong_source),
	COLUMN(12, COUNTER, dp_realm, malformed),
	COLUMN(13, COUNTER, dp_realm, policed),
};

static const struct snmp_column signalling_columns[] = {
	COLUMN(1, GAUGE, cp_status, calls),
	COLUMN(2, GAUGE, cp_status, transactions),
	COLUMN(3, GAUGE, cp_status, subscriptions),
	COLUMN(4, GAUGE, cp_status, connections),
	COLUMN(5, GAUGE, cp_status, listeners_down),
};

static const struct snmp_column call_totals_columns[] = {
	WAY(10, offsetof(struct cp_statistics, calls[CP_STATISTICS_IN])),
	WAY(24, offsetof(struct cp_statistics, calls[CP_STATISTICS_OUT])),
};

static const struct snmp_column calls_columns[] = {
	COLUMN(2, TEXT, snmp_call, name),
	COLUMN(3, CODE, snmp_call, state),
	COLUMN(4, DATE, snmp_call, started_wall_ms),
	COLUMN(5, GAUGE, snmp_call, setup_ms),
	COLUMN(6, GAUGE, snmp_call, answered_ms),
	COLUMN(7, TEXT, snmp_call, from),
	COLUMN(8, TEXT, snmp_call, to),
	COLUMN(9, TEXT, snmp_call, from_realm),
	COLUMN(10, TEXT, snmp_call, to_realm),
	COLUMN(11, TEXT, snmp_call, from_agent),
	COLUMN(12, TEXT, snmp_call, to_agent),
	COLUMN(13, COUNTER, snmp_call, session),
};

static const struct snmp_column realm_calls_columns[] = {
	COLUMN(1, GAUGE, snmp_statistics, s.registrations),
	WAY(10, offsetof(struct snmp_statistics, s.calls[CP_STATISTICS_IN])),
	WAY(24, offsetof(struct snmp_statistics, s.calls[CP_STATISTICS_OUT])),
};

static const struct snmp_column registrations_columns[] = {
	COLUMN(1, GAUGE, cp_status, registrations),
};

static const struct snmp_column agents_columns[] = {
	COLUMN(2, TEXT, snmp_statistics, s.realm),
	COLUMN(3, TEXT, snmp_statistics, s.address),
	COLUMN(4, ENUM, snmp_statistics, s.state),
	COLUMN(5, DATE, snmp_statistics, s.state_wall_ms),
	COLUMN(6, GAUGE, snmp_statistics, s.registrations),
	COLUMN(7, GAUGE, snmp_statistics, s.max_sessions),
};

static const struct snmp_column agent_calls_columns[] = {
	WAY(1, offsetof(struct snmp_statistics, s.calls[CP_STATISTICS_IN])),
	WAY(15, offsetof(struct snmp_statistics, s.calls[CP_STATISTICS_OUT])),
};

static const struct snmp_column security_columns[] = {
	COLUMN(1, GAUGE, dp_stats, bans),
	COLUMN(2, GAUGE, dp_stats, bans_max),
	COLUMN(3, GAUGE, dp_stats, trusts),
	COLUMN(4, GAUGE, dp_stats, trusts_max),
	COLUMN(5, GAUGE, dp_stats, sources),
	COLUMN(6, GAUGE, dp_stats, sources_max),
};

static const struct snmp_column packet_counters_columns[] = {
	COLUMN(2, TEXT, snmp_counter, name),
	COLUMN(3, TEXT, snmp_counter, help),
	COLUMN(4, TRUTH, snmp_counter, drop),
	COLUMN(5, COUNTER, snmp_counter, count),
	COLUMN(6, GAUGE, snmp_counter, rate),
};

static const struct snmp_column sip_counters_columns[] = {
	COLUMN(2, TEXT, snmp_counter, name),
	COLUMN(3, TEXT, snmp_counter, help),
	COLUMN(4, COUNTER, snmp_counter, count),
};

static const struct snmp_column quality_columns[] = {
	COLUMN(1, COUNTER, snmp_statistics, measured),
	COLUMN(2, COUNTER, snmp_statistics, s.quality.mos_sum),
	COLUMN(3, COUNTER, snmp_statistics, s.quality.loss_sum),
	COLUMN(4, COUNTER, snmp_statistics, s.quality.jitter_sum),
};

static const struct snmp_column quality_classes_columns[] = {
	COLUMN(3, INTEGER, snmp_class, bound),
	COLUMN(4, COUNTER, snmp_class, count),
};

static const struct snmp_column certificates_columns[] = {
	COLUMN(2, TEXT, snmp_certificate, c.profile),
	COLUMN(3, ENUM, snmp_certificate, c.role),
	COLUMN(4, TEXT, snmp_certificate, c.subject),
	COLUMN(5, TEXT, snmp_certificate, c.issuer),
	COLUMN(6, TEXT, snmp_certificate, c.names),
	COLUMN(7, TEXT, snmp_certificate, c.fingerprint),
	COLUMN(8, TEXT, snmp_certificate, c.key),
	COLUMN(9, DATE, snmp_certificate, c.not_before_wall_ms),
	COLUMN(10, DATE, snmp_certificate, c.not_after_wall_ms),
	COLUMN(11, INTEGER, snmp_certificate, days),
};

static const struct snmp_column alarm_totals_columns[] = {
	COLUMN(1, GAUGE, snmp_alarm_totals, count[CP_SEVERITY_WARNING]),
	COLUMN(2, GAUGE, snmp_alarm_totals, count[CP_SEVERITY_MAJOR]),
	COLUMN(3, GAUGE, snmp_alarm_totals, count[CP_SEVERITY_CRITICAL]),
	COLUMN(4, COUNTER, snmp_alarm_totals, sent),
	COLUMN(5, COUNTER, snmp_alarm_totals, suppressed),
	COLUMN(6, GAUGE, snmp_alarm_totals, waiting),
};

static const struct snmp_column alarms_columns[] = {
	COLUMN(3, TEXT, snmp_alarm_row, kind),
	COLUMN(4, TEXT, snmp_alarm_row, a.subject),
	COLUMN(5, ENUM, snmp_alarm_row, a.severity),
	COLUMN(6, TEXT, snmp_alarm_row, a.text),
	COLUMN(7, DATE, snmp_alarm_row, a.since_wall_ms),
	COLUMN(8, DATE, snmp_alarm_row, a.last_wall_ms),
	COLUMN(9, GAUGE, snmp_alarm_row, a.times),
};

#define TABLE(columns_, rows, type, ...) \
	.path = { __VA_ARGS__ }, .path_length = COUNT(((const uint32_t[]){ __VA_ARGS__ })), .columns = columns_, \
	.column_count = COUNT(columns_), .rows_of = (rows), .row_size = sizeof(struct type)

const struct snmp_table snmp_tables[SNMP_TABLE_COUNT] = {
	[SNMP_SYSTEM] = { TABLE(system_columns, SNMP_SYSTEM, snmp_system, 1, 1) },
	[SNMP_PROCESSES] = { TABLE(processes_columns, SNMP_PROCESSES, snmp_process, 1, 1, 10, 1), .index = { NUMBER(snmp_process, number) }, .index_parts = 1 },
	[SNMP_THREADS] = { TABLE(threads_columns, SNMP_THREADS, snmp_thread, 1, 1, 11, 1), .index = { NUMBER(snmp_thread, process), NUMBER(snmp_thread, number) }, .index_parts = 2 },
	[SNMP_INTERFACES] = { TABLE(interfaces_columns, SNMP_INTERFACES, snmp_interface, 1, 2, 10, 1), .index = { NUMBER(snmp_interface, if_index) }, .index_parts = 1 },
	[SNMP_MEDIA] = { TABLE(media_columns, SNMP_MEDIA, dp_stats, 1, 3) },
	[SNMP_REALMS] = { TABLE(realms_columns, SNMP_REALMS, dp_realm, 1, 3, 10, 1), .index = { NAME(dp_realm, name) }, .index_parts = 1 },
	[SNMP_SIGNALLING] = { TABLE(signalling_columns, SNMP_SIGNALLING, cp_status, 1, 4) },
	[SNMP_CALL_TOTALS] = { TABLE(call_totals_columns, SNMP_CALL_TOTALS, cp_statistics, 1, 4) },
	[SNMP_CALLS] = { TABLE(calls_columns, SNMP_CALLS, snmp_call, 1, 4, 50, 1), .index = { CALL(snmp_call, call) }, .index_parts = 1 },
	[SNMP_REALM_CALLS] = { TABLE(realm_calls_columns, SNMP_REALM_CALLS, snmp_statistics, 1, 4, 51, 1), .index = { NAME(snmp_statistics, s.name) }, .index_parts = 1 },
	[SNMP_REGISTRATIONS] = { TABLE(registrations_columns, SNMP_SIGNALLING, cp_status, 1, 5) },
	[SNMP_AGENTS] = { TABLE(agents_columns, SNMP_AGENTS, snmp_statistics, 1, 6, 10, 1), .index = { NAME(snmp_statistics, s.name) }, .index_parts = 1 },
	[SNMP_AGENT_CALLS] = { TABLE(agent_calls_columns, SNMP_AGENTS, snmp_statistics, 1, 6, 11, 1), .index = { NAME(snmp_statistics, s.name) }, .index_parts = 1 },
	[SNMP_SECURITY] = { TABLE(security_columns, SNMP_MEDIA, dp_stats, 1, 7) },
	[SNMP_PACKET_COUNTERS] = { TABLE(packet_counters_columns, SNMP_PACKET_COUNTERS, snmp_counter, 1, 7, 10, 1), .index = { NUMBER(snmp_counter, number) }, .index_parts = 1 },
	[SNMP_SIP_COUNTERS] = { TABLE(sip_counters_columns, SNMP_SIP_COUNTERS, snmp_counter, 1, 7, 11, 1), .index = { NUMBER(snmp_counter, number) }, .index_parts = 1 },
	[SNMP_QUALITY] = { TABLE(quality_columns, SNMP_REALM_CALLS, snmp_statistics, 1, 8, 10, 1), .index = { NAME(snmp_statistics, s.name) }, .index_parts = 1 },
	[SNMP_QUALITY_CLASSES] = { TABLE(quality_classes_columns, SNMP_QUALITY_CLASSES, snmp_class, 1, 8, 11, 1), .index = { NAME(snmp_class, realm), NUMBER(snmp_class, measure), NUMBER(snmp_class, number) }, .index_parts = 3 },
	[SNMP_CERTIFICATES] = { TABLE(certificates_columns, SNMP_CERTIFICATES, snmp_certificate, 1, 9, 10, 1), .index = { NUMBER(snmp_certificate, c.number) }, .index_parts = 1 },
	[SNMP_ALARM_TOTALS] = { TABLE(alarm_totals_columns, SNMP_ALARM_TOTALS, snmp_alarm_totals, 1, 10) },
	[SNMP_ALARMS] = { TABLE(alarms_columns, SNMP_ALARMS, snmp_alarm_row, 1, 10, 10, 1), .index = { NUMBER(snmp_alarm_row, origin), NUMBER(snmp_alarm_row, number) }, .index_parts = 2 },
};
/* clang-format on */
