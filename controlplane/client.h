/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the control plane's API for a libuv loop; the shape is that of dataplane/client.h. */
#ifndef CONTROLPLANE_CLIENT_H
#define CONTROLPLANE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "controlplane/api.h"
#include "platforms/base/ipc.h"

struct cp_client;

/* status: 0, -errno of the control plane, -ENOTCONN, -ETIMEDOUT after 2 s. `body` is borrowed, at least as long as the
 * request's fixed reply. Called exactly once per accepted request. */
typedef void (*cp_reply)(void *arg, int status, const void *body, size_t length);

int cp_client_new(uv_loop_t *loop, const char *socket_path, const char *process, uint64_t generation,
	struct cp_client **out);
/* `up` is called each time the control plane is there (again). */
void cp_client_on_up(struct cp_client *client, void (*up)(void *arg), void *arg);
void cp_client_free(struct cp_client *client); /* requests under way: -ENOTCONN */
/* Who answers: version, generation, pid. Borrowed; NULL while it is not up. */
const struct ipc_hello *cp_client_hello(const struct cp_client *client);
/* 0, -ENOTCONN, -ENOBUFS, -ENOMEM, -EMSGSIZE */
int cp_client_request(struct cp_client *client, enum cp_message type, const void *body, size_t length,
	cp_reply reply, void *arg);
const char *cp_counter_name(enum cp_counter counter);
const char *cp_counter_help(enum cp_counter counter);

/* Of enum cp_guard_sign; "" for none. */
const char *cp_guard_sign_name(unsigned sign);

/* --- records of calls: also for who writes them --- */
struct span;
struct writer;
enum { CP_RECORD_CSV_MAX = 10240 }; /* a line of any record, or the header */
const char *cp_record_number_name(unsigned number);
const char *cp_record_text_name(unsigned text);
/* The record at the beginning of `length` octets of a page is whole: lengths and characters are as they must be. */
bool cp_record_is_good(const struct cp_record *record, size_t length);
struct span cp_record_text(const struct cp_record *record, unsigned text);
/* A number as people read it: time, "0-17", "answered", "4.12". False: nothing is known. */
bool cp_record_print(const struct cp_record *record, unsigned number, struct writer *out);
/* True for what is a count and nothing else. */
bool cp_record_is_count(unsigned number);
/* RFC 4180, with names of columns first. No field is a formula to a spreadsheet. */
void cp_record_csv_header(struct writer *out);
void cp_record_csv(const struct cp_record *record, struct writer *out);

#endif
