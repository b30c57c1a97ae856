/* SPDX-License-Identifier: BSD-3-Clause */
/* Accounts, keys and the server's configuration for SSH. */
#include "mgmt/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmt/output.h"
#include "platforms/base/address.h"
#include "platforms/base/log.h"

enum { ACCOUNT_MAX = 512, PATH_TEXT_MAX = 288 };

/* --- accounts --- */

/* A hash of crypt(3): of nothing that would end the field or the line. */
static bool is_hash(const char *text)
{
	return text != NULL && text[0] == '$' && strlen(text) < ACCOUNT_MAX / 2 &&
	       strpbrk(text, ":\n\r") == NULL;
}

/* In place, and what was longer is cut after: the inode stays. */
static int write_file(const char *path, struct span text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), error = 0;

	if (fd < 0)
		return -errno;
	if (pwrite(fd, text.p, text.n, 0) != (ssize_t)text.n)
		error = errno ? -errno : -EIO;
	if (!error && ftruncate(fd, (off_t)text.n) < 0)
		error = -errno;
	(void)close(fd);
	return error;
}

static void write_account(struct writer *out, const char *name, const char *password)
{
	writer_format(out, "%s:%s:%u:%u::/:/bin/sh\n", name, is_hash(password) ? password : "*",
		(unsigned)geteuid(), (unsigned)getegid());
}

static int write_accounts(const struct config *config, const char *path)
{
	size_t size = (config->users_count + 1) * ACCOUNT_MAX;
	char *text = malloc(size);
	struct writer out;
	int error;

	if (text == NULL)
		return -ENOMEM;
	writer_init(&out, text, size);
	for (size_t i = 0; i < config->users_count; i++)
		write_account(&out, config->users[i].name, config->users[i].password_hash);
	/* In whose name the server asks for keys; nobody logs in as it: it has none. */
	write_account(&out, config->system.user, NULL);
	error = write_file(path, writer_result(&out));
	explicit_bzero(text, size);
	free(text);
	return error;
}

int ssh_accounts_write(const struct config *config)
{
	char path[PATH_TEXT_MAX], banner[1100];
	struct writer text;
	int error = 0;

	(void)snprintf(path, sizeof(path), "%s/ssh", config->system.data_directory);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		error = -errno;
	(void)snprintf(path, sizeof(path), "%s/captures", config->system.data_directory);
	if (!error && mkdir(path, 0750) < 0 && errno != EEXIST)
		error = -errno;
	(void)snprintf(path, sizeof(path), "%s/ssh/passwd", config->system.data_directory);
	if (!error)
		error = write_accounts(config, path);
	writer_init(&text, banner, sizeof(banner));
	if (config->ssh.banner[0] != '\0')
		writer_format(&text, "%s\n", config->ssh.banner);
	(void)snprintf(path, sizeof(path), "%s/ssh/banner", config->system.data_directory);
	if (!error)
		error = write_file(path, writer_result(&text));
	if (error)
		log_error("ssh", "the accounts for SSH cannot be written", LOG_TEXT("file", path),
			LOG_ERRNO("error", error));
	return error;
}

/* --- keys --- */

void ssh_authorized_keys(struct request *request)
{
	const struct session_world *world = request->session != NULL ? request->session->world : NULL;
	const struct config *config = world != NULL ? *world->config : NULL;

	for (size_t i = 0; config != NULL && i < config->users_count; i++) {
		const struct config_user *user = &config->users[i];

		if (!span_equal(request->match.argument[0], span_from(user->name)))
			continue;
		for (size_t k = 0; k < user->keys.count; k++) {
			output_text(&request->output, user->keys.item[k]);
			output_text(&request->output, "\n");
		}
	}
	request_finish(request, MGMT_EXIT_OK);
}

/* --- the server's configuration --- */

static void print_server(const struct config *config, const char *program, FILE *out)
{
	const char *run = config->system.run_directory, *data = config->system.data_directory;
	char listen[ADDRESS_TEXT_MAX];

	fprintf(out, "ListenAddress %s\n", address_print(&config->ssh.listen.address, listen));
	fprintf(out, "HostKey %s/ssh/host-ed25519\nHostKey %s/ssh/host-ecdsa\n", data, data);
	fprintf(out, "PidFile %s/ssh/sshd.pid\nBanner %s/ssh/banner\n", data, data);
	fprintf(out, "AuthorizedKeysCommand %s -s %s/mgmt.sock authorized-keys %%u\n", program, run);
	fprintf(out, "AuthorizedKeysCommandUser %s\nDenyUsers root %s\n", config->system.user,
		config->system.user);
	fprintf(out, "ForceCommand exec %s -s %s/mgmt.sock --captures %s/captures --ssh\n", program, run,
		data);
	fputs("Subsystem sftp sftp\n", out);
	fprintf(out, "MaxAuthTries %u\n", config->ssh.tries);
	fprintf(out, "ChannelTimeout session:*=%us\nUnusedConnectionTimeout %us\n", config->ssh.idle_timeout,
		config->ssh.idle_timeout);
	fputs("AuthorizedKeysFile none\n"
	      "AuthenticationMethods publickey password\n"
	      "PubkeyAuthentication yes\n"
	      "PasswordAuthentication yes\n"
	      "KbdInteractiveAuthentication no\n"
	      "HostbasedAuthentication no\n"
	      "GSSAPIAuthentication no\n"
	      "PermitEmptyPasswords no\n"
	      "PermitRootLogin no\n"
	      "UsePAM no\n"
	      "KexAlgorithms "
	      "sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,"
	      "ecdh-sha2-nistp384,ecdh-sha2-nistp256\n"
	      "Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com\n"
	      "MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com\n"
	      "HostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256\n"
	      "PubkeyAcceptedAlgorithms ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,"
	      "ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,"
	      "rsa-sha2-256\n"
	      "RequiredRSASize 2048\n"
	      "DisableForwarding yes\n"
	      "PermitTunnel no\n"
	      "PermitUserEnvironment no\n"
	      "PermitUserRC no\n"
	      "AcceptEnv none\n"
	      "PrintMotd no\n"
	      "PrintLastLog no\n"
	      "UseDNS no\n"
	      "Compression no\n"
	      "LoginGraceTime 30\n"
	      "MaxStartups 10:30:30\n"
	      "MaxSessions 4\n"
	      "ClientAliveInterval 30\n"
	      "ClientAliveCountMax 3\n"
	      "LogLevel INFO\n",
		out);
}

static void report(void *arg, bool is_error, const char *line)
{
	if (is_error)
		fprintf(arg, "%s\n", line);
}

int ssh_command_config(const struct command_match *match, bool json, FILE *out, FILE *errors)
{
	const struct config_reporter reporter = { .report = report, .arg = errors };
	char *file = span_dup(match->argument[0]), program[PATH_MAX];
	struct config *config = NULL;
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	int status = MGMT_EXIT_USAGE;

	if (json || file == NULL || n <= 0 || config_load(file, false, &reporter, &config) != 0) {
		if (json)
			fputs("sallyport: config ssh has no JSON form\n", errors);
	} else if (!config->ssh.listen.enabled) {
		fprintf(errors, "%s: ssh.listen is empty: SSH is served nowhere\n", file);
		status = MGMT_EXIT_FAILED;
	} else {
		program[n] = '\0';
		print_server(config, program, out);
		status = MGMT_EXIT_OK;
	}
	config_free(config);
	free(file);
	return status;
}
