/* SPDX-License-Identifier: BSD-3-Clause */
/* The limits and timers a configuration that says nothing has, as initializers of struct config_sip. */
#ifndef TESTS_UNIT_CONTROLPLANE_SIP_LIMITS_H
#define TESTS_UNIT_CONTROLPLANE_SIP_LIMITS_H

#include "config/model.h"

/* clang-format off */
#define SIP_TIMERS \
	.t1_ms = 500, \
	.t2_ms = 4000, \
	.t4_ms = 5000, \
	.timer_b_ms = 32000, \
	.timer_c_ms = 180000, \
	.timer_d_ms = 32000, \
	.trying_delay_ms = 200, \
	.min_session_timer = 90

#define SIP_MESSAGE_LIMITS \
	.max_message_udp = 16384, \
	.max_header_block = 16384, \
	.max_body = 65536, \
	.max_header = 2048, \
	.max_identity_header = 8192, \
	.max_headers = 128, \
	.max_separators = 256, \
	.max_via = 70, \
	.stateless_rate = 2000, \
	.receive_buffer = 4194304

#define SIP_RELAY_LIMITS \
	.max_subscriptions = 100, \
	.max_subscriptions_per_source = 100, \
	.max_routed_requests = 100, \
	.subscription_max_expires = 7200, \
	.max_dialog_requests = 8, \
	.relay_timeout_ms = 30000

#define SIP_SDP_LIMITS \
	.max_sdp_lines = 256, \
	.max_sdp_media = 16
/* clang-format on */

#endif
