/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of the documents that commands answer with. */
#ifndef MGMT_VALUE_H
#define MGMT_VALUE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/api.h"

/* Text of a fixed field (up to its NUL or its end): octets outside printable ASCII, and the backslash, become \xNN,
 * so that nothing a stranger sent steers a terminal or breaks the JSON. The empty text is null. */
json_t *value_text(const char *text, size_t size);
#define VALUE_FIELD(field) value_text((field), sizeof(field))
/* 64-bit counters; more than 2^63 - 1 stops there (a JSON integer is signed here). */
json_t *value_uint(uint64_t value);
json_t *value_hex(uint64_t value, unsigned digits);
/* "192.0.2.1:5004"; null if there is none. */
json_t *value_address(const struct dp_address *address);
/* "AES_CM_128_HMAC_SHA1_80"; null for plain RTP, and for what nobody knows. */
json_t *value_suite(unsigned suite);
/* Adds and takes `value` over; a missing value (no memory) becomes null. */
void value_set(json_t *object, const char *key, json_t *value);
void value_append(json_t *array, json_t *value);

/* A call's number as people see it: "SHARD-NUMBER". */
enum { CALL_NUMBER_MAX = 32 };
json_t *value_call_number(uint64_t call);
/* "3-17", or "17" for shard 0. 0 or -EINVAL. */
int call_number_parse(const char *text, size_t length, uint64_t *call);

#endif
