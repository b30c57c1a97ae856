/* SPDX-License-Identifier: BSD-3-Clause */
/* The command table: one row per command. */
#include "mgmt/command.h"
#include "mgmt/config_command.h"
#include "mgmt/show.h"

/* clang-format off */
const struct command command_table[] = {
	{ .words = "show version", .arguments = "",
	  .help = "product and processes: version, boot generation, time since start",
	  .start = show_gathered, .show = &show_version },
	{ .words = "show status", .arguments = "",
	  .help = "is everything up, what goes on, what is left",
	  .start = show_gathered, .show = &show_status },
	{ .words = "show interfaces", .arguments = "",
	  .help = "network interfaces: ports, mirrors, traffic, next hops",
	  .start = show_gathered, .show = &show_interfaces },
	{ .words = "show calls", .arguments = "",
	  .help = "the calls there are now",
	  .start = show_calls },
	{ .words = "show call", .arguments = "ID",
	  .help = "one call: both legs, and its media stream by stream and direction",
	  .start = show_call },
	{ .words = "show counters", .arguments = "",
	  .help = "every counter of media and signalling, with what it counts",
	  .start = show_gathered, .show = &show_counters },
	{ .words = "config check", .arguments = "FILE",
	  .help = "validate a configuration file; nothing is applied",
	  .local = config_command_check },
	{ .words = "config reference", .arguments = "",
	  .help = "the reference of the configuration language, in Markdown",
	  .local = config_command_reference },
	{ .words = NULL },
};
/* clang-format on */
