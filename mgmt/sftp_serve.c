/* SPDX-License-Identifier: BSD-3-Clause */
/* SFTP between standard input and output; records of calls come from the daemon by a second sallyport, as its user's command. */
#include "mgmt/sftp_serve.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/sftp.h"
#include "platforms/base/clock.h"

enum { COMMAND_MAX = 128, VARIABLE_MAX = 256 };

/* The command as the SSH server would hand it over. */
static int start_export(const struct runner *runner, const char *command, int out, pid_t *child)
{
	static char program[] = "/proc/self/exe", name[] = "sallyport", socket_option[] = "-s",
		    ssh[] = "--ssh";
	char user[VARIABLE_MAX], from[VARIABLE_MAX], original[VARIABLE_MAX];
	char *arguments[] = { name, socket_option, (char *)(uintptr_t)runner->socket, ssh, NULL };
	char *environment[] = { user, from, original, NULL };
	posix_spawn_file_actions_t actions;
	int error;

	(void)snprintf(user, sizeof(user), "USER=%s", runner->login->user);
	(void)snprintf(from, sizeof(from), "SSH_CONNECTION=%s ", runner->login->from);
	(void)snprintf(original, sizeof(original), "SSH_ORIGINAL_COMMAND=%s", command);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	error = posix_spawn(child, program, &actions, NULL, arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

static int open_records(void *arg, const char *format, const char *since, const char *until, pid_t *child)
{
	char command[COMMAND_MAX];
	int ends[2], error;

	(void)snprintf(command, sizeof(command), "records export %s since %s until %s", format, since, until);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	error = start_export(arg, command, ends[1], child);
	close(ends[1]);
	if (!error)
		return ends[0];
	close(ends[0]);
	return error;
}

static int write_all(void *arg, const void *packet, size_t length)
{
	const char *at = packet;

	(void)arg;
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, at, length);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

/* 1; 0 at the end; -errno. */
static int read_all(void *out, size_t length)
{
	char *at = out;

	while (length > 0) {
		ssize_t n = read(STDIN_FILENO, at, length);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			length -= (size_t)n;
		}
	}
	return 1;
}

static int serve(struct sftp *sftp, struct export_tree *tree)
{
	static uint8_t packet[SFTP_PACKET_MAX];
	uint32_t length;
	int more = 1;

	while (more > 0 && (more = read_all(&length, sizeof(length))) > 0) {
		length = be32toh(length);
		if (length == 0 || length > sizeof(packet))
			return -EBADMSG;
		more = read_all(packet, length);
		tree->now_s = clock_wall_ms() / 1000;
		if (more > 0)
			more = sftp_take(sftp, packet, length) == 0 ? 1 : -EIO;
	}
	return more;
}

int sftp_serve(struct runner *runner, const struct command_match *match)
{
	struct export_tree tree = { .records = open_records, .arg = runner, .now_s = clock_wall_ms() / 1000 };
	struct sftp *sftp;
	int result = -ENOMEM;

	(void)match;
	if (runner->login == NULL || runner->captures == NULL || isatty(STDOUT_FILENO)) {
		fputs("sallyport: sftp is served to SFTP's clients over SSH: sftp -P PORT USER@HOST\n",
			stderr);
		return MGMT_EXIT_USAGE;
	}
	tree.captures = open(runner->captures, O_PATH | O_DIRECTORY | O_CLOEXEC);
	sftp = sftp_new(&tree, write_all, NULL);
	if (sftp != NULL)
		result = serve(sftp, &tree);
	sftp_free(sftp);
	if (tree.captures >= 0)
		close(tree.captures);
	return result == 0 ? MGMT_EXIT_OK : MGMT_EXIT_FAILED;
}
