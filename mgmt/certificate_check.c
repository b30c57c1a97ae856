/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads certificates and keys to say whether a start would refuse them; keeps nothing. */
#include "mgmt/certificate_check.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_LENGTH = 512 };

struct check {
	const struct config *config;
	const struct config_reporter *reporter;
	const char *profile;
	bool good;
};

static void blame(struct check *check, const char *setting, const char *what)
{
	char line[LINE_MAX_LENGTH];

	snprintf(line, sizeof(line), "%s:%u: tls-profile %s.%s: %s", config_file(check->config),
		config_line(check->config, "tls-profile", check->profile, setting), check->profile, setting,
		what);
	check->reporter->report(check->reporter->arg, true, line);
	check->good = false;
}

/* Never blocks on a pipe or device somebody named. */
static FILE *open_plain(const char *path)
{
	int fd = path && path[0] ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	struct stat st;
	FILE *file = NULL;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer, (void)size, (void)writing, (void)arg;
	return 0;
}

static X509 *check_certificate(struct check *check, const char *setting, const char *path)
{
	FILE *file = open_plain(path);
	X509 *certificate = file ? PEM_read_X509(file, NULL, no_password, NULL) : NULL;

	if (file && !certificate)
		blame(check, setting,
			"holds no certificate; allowed: PEM, intermediate certificates after ours");
	if (file)
		fclose(file);
	return certificate;
}

static void check_pair(struct check *check, const char *certificate_setting, const char *certificate_path,
	const char *key_setting, const char *key_path)
{
	X509 *certificate = check_certificate(check, certificate_setting, certificate_path);
	FILE *file = open_plain(key_path);
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, no_password, NULL) : NULL;

	if (file && !key)
		blame(check, key_setting, "holds no private key; allowed: PEM, without a password");
	if (certificate && key && X509_check_private_key(certificate, key) != 1)
		blame(check, key_setting,
			"is not the key of the certificate; allowed: the one that belongs to it");
	if (file)
		fclose(file);
	EVP_PKEY_free(key);
	X509_free(certificate);
}

static void check_revocations(struct check *check, const char *path)
{
	FILE *file = open_plain(path);
	X509_CRL *list = file ? PEM_read_X509_CRL(file, NULL, no_password, NULL) : NULL;

	if (file && !list)
		blame(check, "crl", "holds no revocation list; allowed: PEM");
	if (file)
		fclose(file);
	X509_CRL_free(list);
}

bool certificate_check(const struct config *config, const struct config_reporter *reporter)
{
	struct check check = { .config = config, .reporter = reporter, .good = true };

	for (size_t i = 0; i < config->tls_profiles_count; i++) {
		const struct config_tls_profile *profile = &config->tls_profiles[i];

		check.profile = profile->name;
		check_pair(&check, "certificate", profile->certificate, "key", profile->key);
		check_pair(&check, "second-certificate", profile->second_certificate, "second-key",
			profile->second_key);
		X509_free(check_certificate(&check, "ca", profile->ca));
		check_revocations(&check, profile->crl);
	}
	ERR_clear_error();
	return check.good;
}
