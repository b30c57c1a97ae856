/* SPDX-License-Identifier: BSD-3-Clause */
/* What is committed and waits for a daemon to start again; and whether the file is still what was committed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/commit_file.h"
#include "mgmt/commit_internal.h"

struct wait {
	unsigned which, daemon; /* its bit of enum config_daemon */
	void (*each)(void *arg, const char *daemon, const struct config_change *change);
	void *arg;
};

static const struct config_digest *started_of(const struct commits *commits, unsigned which)
{
	if (which == COMMITS_MGMT)
		return &commits->started;
	return commits->neighbour[which].started_known ? &commits->neighbour[which].started : NULL;
}

const char *commits_daemon_name(unsigned which)
{
	return which == COMMITS_MGMT ? "management daemon" : neighbour_name((enum neighbour)which);
}

static void look_at(void *arg, const struct config_change *change)
{
	static const char ssh[] = "ssh.";
	const struct wait *w = arg;

	if (!change->restart || !(change->daemons & w->daemon))
		return;
	/* These are nobody's but sshd's, which reads them when it starts (decision 0081). */
	w->each(w->arg,
		strncmp(change->path, ssh, sizeof(ssh) - 1) == 0 ? "SSH server"
								 : commits_daemon_name(w->which),
		change);
}

int commits_pending(const struct commits *commits, unsigned which,
	void (*each)(void *arg, const char *daemon, const struct config_change *change), void *arg)
{
	static const unsigned bits[COMMITS_DAEMONS] = { [NEIGHBOUR_DATAPLANE] = CONFIG_DATAPLANE,
		[NEIGHBOUR_CONTROLPLANE] = CONFIG_CONTROLPLANE,
		[COMMITS_MGMT] = CONFIG_MGMT };
	const struct config_digest *started = started_of(commits, which);
	struct wait w = { .which = which, .daemon = bits[which], .each = each, .arg = arg };
	struct config_document *document = NULL;
	char *text = NULL;
	size_t length = 0;
	int error;

	if (started == NULL)
		return -ENOENT;
	if (config_digest_equal(started, &commits->digest))
		return 0;
	error = mgmt_store_revision_find(commits->store, started, &text, &length);
	if (!error)
		error = commits_read(text, length, &document);
	if (!error)
		error = config_document_compare(document, commits->running, look_at, &w);
	config_document_free(document);
	if (text)
		explicit_bzero(text, length);
	free(text);
	return error;
}

bool commits_file_differs(const struct commits *commits)
{
	struct config_digest digest;
	char *text = NULL;
	size_t length = 0;

	if (commits->order || commit_file_read(commits->file, &text, &length) != 0)
		return false;
	digest = config_digest_of(text, length);
	explicit_bzero(text, length);
	free(text);
	return !config_digest_equal(&digest, &commits->digest);
}
