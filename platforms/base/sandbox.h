/* SPDX-License-Identifier: BSD-3-Clause */
/* What a daemon may still ask of the kernel once it serves: a seccomp filter on all of its threads. */
#ifndef PLATFORMS_BASE_SANDBOX_H
#define PLATFORMS_BASE_SANDBOX_H

enum sandbox_daemon {
	SANDBOX_DATAPLANE = 1,
	SANDBOX_CONTROLPLANE = 2,
	SANDBOX_MGMT = 4,
};

/* After init, with privileges given up and every thread started that a library starts without us; threads made later have it too.
 * What would take over the system ends the process (SIGSYS); what else is not in the daemon's list fails with EPERM, and the
 * kernel's audit log has a line. There is no way back. 0 or -errno, reported. */
int sandbox_enter(enum sandbox_daemon daemon);

#endif
