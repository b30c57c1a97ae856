/* SPDX-License-Identifier: BSD-3-Clause */
/* SALLYPORT-MIB (docs/mib/) as tables: which object is which member of which row, and what rows are called by. */
#ifndef MGMT_SNMP_TABLES_H
#define MGMT_SNMP_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* netSnmpPlaypen and a number of ours, as long as there is none assigned by IANA (decision 0088). docs/mib has it too. */
#define SNMP_ROOT                                        \
	{                                                \
		1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 5060 \
	}
enum { SNMP_ROOT_LENGTH = 10, SNMP_PATH_MAX = 4, SNMP_INDEX_PARTS_MAX = 3 };

/* Of scalars there is one row, without an index. */
enum snmp_table_id {
	SNMP_SYSTEM, /* struct snmp_system */
	SNMP_PROCESSES, /* struct snmp_process */
	SNMP_THREADS, /* struct snmp_thread */
	SNMP_INTERFACES, /* struct snmp_interface */
	SNMP_MEDIA, /* struct dp_stats */
	SNMP_REALMS, /* struct dp_realm */
	SNMP_SIGNALLING, /* struct cp_status */
	SNMP_CALL_TOTALS, /* struct cp_statistics */
	SNMP_CALLS, /* struct snmp_call */
	SNMP_REALM_CALLS, /* struct snmp_statistics */
	SNMP_REGISTRATIONS, /* struct cp_status */
	SNMP_AGENTS, /* struct snmp_statistics */
	SNMP_AGENT_CALLS, /* struct snmp_statistics */
	SNMP_SECURITY, /* struct dp_stats */
	SNMP_PACKET_COUNTERS, /* struct snmp_counter */
	SNMP_SIP_COUNTERS, /* struct snmp_counter */
	SNMP_QUALITY, /* struct snmp_statistics */
	SNMP_QUALITY_CLASSES, /* struct snmp_class */
	SNMP_CERTIFICATES, /* struct snmp_certificate */
	SNMP_ALARM_TOTALS, /* struct snmp_alarm_totals */
	SNMP_ALARMS, /* struct snmp_alarm_row */
	SNMP_TABLE_COUNT
};

enum snmp_kind {
	SNMP_KIND_GAUGE, /* unsigned: Gauge32; what is larger stops there */
	SNMP_KIND_COUNTER, /* unsigned: Counter64 */
	SNMP_KIND_INTEGER, /* int32_t: Integer32 */
	SNMP_KIND_CODE, /* unsigned: an enumeration of the MIB */
	SNMP_KIND_ENUM, /* the same of a C enum: begins at 0, the MIB's at 1 */
	SNMP_KIND_TRUTH, /* unsigned, 0 is no: TruthValue */
	SNMP_KIND_TICKS_MS, /* uint64_t, milliseconds: TimeTicks */
	SNMP_KIND_DATE, /* uint64_t, milliseconds since 1970 or 0: DateAndTime in UTC */
	SNMP_KIND_TEXT, /* char[]: DisplayString */
	SNMP_KIND_OCTETS, /* uint8_t[] as they are */
	SNMP_KIND_SHARE, /* uint64_t by uint64_t in thousandths: Integer32, -1 for 0 by 0 */
	SNMP_KIND_MEAN, /* uint64_t by uint64_t: Integer32, -1 for 0 by 0 */
};

struct snmp_column {
	uint8_t id;
	uint8_t kind; /* enum snmp_kind */
	uint16_t size;
	uint32_t offset;
	uint32_t divisor; /* offset of it */
};

struct snmp_index {
	enum {
		SNMP_INDEX_NUMBER, /* unsigned; its lower 32 bits */
		SNMP_INDEX_NAME, /* char[]: length, octets */
		SNMP_INDEX_CALL, /* uint64_t: its eight octets */
	} kind;
	uint32_t offset, size;
};

struct snmp_table {
	uint32_t path[SNMP_PATH_MAX]; /* behind the root, up to the column */
	unsigned path_length;
	const struct snmp_column *columns; /* in their order */
	size_t column_count;
	enum snmp_table_id rows_of; /* whose rows are shown */
	size_t row_size;
	struct snmp_index index[SNMP_INDEX_PARTS_MAX];
	unsigned index_parts; /* 0: scalars */
};

/* In the order of their objects' identifiers; tables behind the scalars of their group. */
extern const struct snmp_table snmp_tables[SNMP_TABLE_COUNT];

#endif
