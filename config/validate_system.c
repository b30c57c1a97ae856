/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of the system itself: paths, users, and where management listens. */
#include <ctype.h>
#include <string.h>

#include "config/endpoint.h"
#include "config/source.h"

static void check_path(struct config_load *load, const char *section, const char *setting, const char *path)
{
	if (path && path[0] && path[0] != '/')
		config_blame(load, true, section, NULL, setting, 0,
			"\"%.64s\" is no absolute path; allowed: /PATH", path);
}

static bool is_user_name(const char *name)
{
	if (!islower((unsigned char)*name) && *name != '_')
		return false;
	while (islower((unsigned char)*name) || isdigit((unsigned char)*name) || *name == '_' || *name == '-')
		name++;
	return !*name;
}

static void check_system(struct config_load *load)
{
	const struct config *config = load->config;

	check_path(load, "system", "data-directory", config->system.data_directory);
	check_path(load, "system", "run-directory", config->system.run_directory);
	check_path(load, "accounting", "file", config->accounting.file);
	check_path(load, "snmp", "agentx", config->snmp.agentx);
	if (config->system.user && !is_user_name(config->system.user))
		config_blame(load, true, "system", NULL, "user", 0,
			"\"%.32s\" is no user name; allowed: small letters, digits, \"_\", \"-\"",
			config->system.user);
}

static void check_hep(struct config_load *load)
{
	const char *hep = load->config->trace.hep;
	struct config_endpoint endpoint;
	struct span host;

	if (!hep || !hep[0])
		return;
	if (endpoint_parse(span_from(hep), &endpoint, &host) || !endpoint.port ||
		endpoint.transport > CONFIG_TRANSPORT_TLS)
		config_blame(load, true, "trace", NULL, "hep", 0,
			"\"%.64s\" is no collector; allowed: udp:HOST:PORT, tcp:HOST:PORT, tls:HOST:PORT",
			hep);
}

static void check_listeners(struct config_load *load)
{
	const struct config_listen *metrics = &load->config->metrics, *ssh = &load->config->ssh.listen;

	if (metrics->enabled && ssh->enabled && address_equal(&metrics->address, &ssh->address))
		config_blame(load, true, "ssh", NULL, "listen", 0,
			"is metrics.listen too (line %u); allowed: another port",
			config_line(load->config, "metrics", NULL, "listen"));
}

/* Else an alarm would come and go with every look. */
static void check_alarms(struct config_load *load)
{
	const struct config_alarms *alarms = &load->config->alarms;

	if (alarms->in_use_clear > alarms->in_use_raise)
		config_blame(load, true, "alarms", NULL, "in-use-clear", 0,
			"%u is above in-use-raise; allowed: 0..%u", alarms->in_use_clear,
			alarms->in_use_raise);
	if (alarms->disk_clear < alarms->disk_raise)
		config_blame(load, true, "alarms", NULL, "disk-clear", 0,
			"%u is below disk-raise; allowed: %u..100", alarms->disk_clear, alarms->disk_raise);
}

/* "TYPE BASE64 [comment]", as in authorized_keys; every key's base64 begins with the length of its type's name. */
static bool is_public_key(const char *text)
{
	static const char *const types[] = { "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
		"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com",
		"sk-ecdsa-sha2-nistp256@openssh.com" };
	struct span key = span_from(text), type = span_cut(&key, ' ');

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (span_equal(type, span_from(types[i])))
			return span_starts_case(key, SPAN("AAAA"));
	return false;
}

/* crypt(5): "$ID$...". Secrets kept in a file are read before. */
static bool is_password_hash(const char *text)
{
	return text[0] == '$' && text[1] && strchr(text + 1, '$') && !strpbrk(text, " :*");
}

static void check_user(struct config_load *load, const struct config_user *user)
{
	const char *hash = user->password_hash;

	for (size_t i = 0; i < user->keys.count; i++)
		if (user->keys.item[i] && !is_public_key(user->keys.item[i]))
			config_blame(load, true, "user", user->name, "keys", i,
				"\"%.40s\" is no public key; allowed: TYPE BASE64, as ssh-keygen writes it",
				user->keys.item[i]);
	if (hash && hash[0] && strncmp(hash, "file:", 5) && !is_password_hash(hash))
		config_blame(load, true, "user", user->name, "password-hash", 0,
			"is no hash; allowed: what mkpasswd prints, file:/PATH, or empty");
	if (!user->keys.count && hash && !hash[0])
		config_blame(load, false, "user", user->name, NULL, 0,
			"has neither keys nor password-hash and cannot log in");
}

void config_validate_system(struct config_load *load)
{
	check_system(load);
	check_hep(load);
	check_listeners(load);
	check_alarms(load);
	for (size_t i = 0; i < load->config->users_count; i++)
		check_user(load, &load->config->users[i]);
}
