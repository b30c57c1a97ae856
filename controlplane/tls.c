/* SPDX-License-Identifier: BSD-3-Clause */
/* All tls-profiles as they are now: one set that shards take from and the main thread replaces. */
#include "controlplane/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tls_internal.h"
#include "platforms/base/log.h"

struct tls {
	const struct config *config;
	pthread_mutex_t lock; /* of `now` */
	struct tls_snapshot *now;
	struct tls_rate *rate;
	bool connects; /* there are session-agents that are reached by TLS */
	size_t count;
	char (*failure)[TLS_REASON_MAX]; /* of each profile's last reload; "" = none; owner: main thread */
};

struct tls_snapshot *tls_snapshot_get(struct tls *tls)
{
	struct tls_snapshot *snapshot;

	pthread_mutex_lock(&tls->lock);
	snapshot = tls->now;
	__atomic_add_fetch(&snapshot->references, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&tls->lock);
	return snapshot;
}

void tls_snapshot_put(struct tls_snapshot *snapshot)
{
	if (!snapshot || __atomic_sub_fetch(&snapshot->references, 1, __ATOMIC_ACQ_REL))
		return;
	for (size_t i = 0; i < snapshot->count; i++)
		tls_profile_put(snapshot->profile[i]);
	free(snapshot);
}

static struct tls_snapshot *snapshot_new(size_t count)
{
	struct tls_snapshot *snapshot = calloc(1, sizeof(*snapshot) + count * sizeof(struct tls_profile *));

	if (snapshot) {
		snapshot->references = 1;
		snapshot->count = count;
	}
	return snapshot;
}

size_t tls_profile_index(const struct tls *tls, const struct config_tls_profile *profile)
{
	return (size_t)(profile - tls->config->tls_profiles);
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

/* `old`, if there is one, is taken again when its files are the same. */
static int profile_read(struct tls *tls, size_t index, struct tls_profile *old, struct tls_profile **out,
	char reason[TLS_REASON_MAX])
{
	const struct config_tls_profile *config = &tls->config->tls_profiles[index];
	struct tls_files files;
	int error;

	reason[0] = '\0';
	error = tls_files_read(config, &files, reason);
	if (error < 0)
		return error;
	if (old && memcmp(old->digest, files.digest, sizeof(files.digest)) == 0)
		*out = tls_profile_get(old);
	else
		error = tls_profile_new(config, &files, tls->connects, out, reason);
	tls_files_free(&files);
	return error;
}

static bool connects(const struct config *config)
{
	for (size_t i = 0; i < config->session_agents_count; i++)
		if (config->session_agents[i].address.transport == CONFIG_TRANSPORT_TLS)
			return true;
	return false;
}

int tls_new(const struct config *config, struct tls **out, const struct config_tls_profile **blame,
	char reason[TLS_REASON_MAX])
{
	struct tls *tls = calloc(1, sizeof(*tls));
	int error = tls ? 0 : -ENOMEM;

	if (!tls)
		return error;
	pthread_mutex_init(&tls->lock, NULL);
	tls->config = config;
	tls->connects = connects(config);
	tls->count = config->tls_profiles_count;
	tls->rate = tls_rate_new(config->sip.tls_handshake_rate);
	tls->now = snapshot_new(tls->count);
	tls->failure = calloc(tls->count + 1, sizeof(*tls->failure));
	if (!tls->rate || !tls->now || !tls->failure)
		error = -ENOMEM;
	for (size_t i = 0; error == 0 && i < tls->count; i++) {
		error = profile_read(tls, i, NULL, &tls->now->profile[i], reason);
		if (error < 0 && error != -ENOMEM) {
			*blame = &config->tls_profiles[i];
			error = -EINVAL;
		}
	}
	if (error < 0)
		tls_free(tls);
	else
		*out = tls;
	return error;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	tls_snapshot_put(tls->now);
	tls_rate_free(tls->rate);
	pthread_mutex_destroy(&tls->lock);
	free(tls->failure);
	free(tls);
}

static void profile_reload(struct tls *tls, size_t index, struct tls_profile *old, struct tls_profile **out,
	struct tls_reloaded *result)
{
	const char *name = tls->config->tls_profiles[index].name;
	char reason[TLS_REASON_MAX];
	int error = profile_read(tls, index, old, out, reason);

	if (error < 0) {
		*out = tls_profile_get(old);
		result->refused++;
		if (!reason[0])
			memcpy(reason, "no memory", sizeof("no memory"));
		/* Once, not for every look at the same files. */
		if (strcmp(reason, tls->failure[index]) != 0)
			log_error("tls", "the new certificate is no good, the old one stays",
				LOG_TEXT("tls-profile", name), LOG_TEXT("reason", reason));
		memcpy(tls->failure[index], reason, sizeof(reason));
		return;
	}
	tls->failure[index][0] = '\0';
	if (*out == old) {
		result->same++;
		return;
	}
	result->changed++;
	log_notice("tls", "new certificate in use", LOG_TEXT("tls-profile", name));
}

void tls_reload(struct tls *tls, struct tls_reloaded *result)
{
	struct tls_snapshot *next = snapshot_new(tls->count), *old = tls->now;

	*result = (struct tls_reloaded){ 0 };
	if (!next) {
		result->refused = (unsigned)tls->count;
		return;
	}
	for (size_t i = 0; i < tls->count; i++)
		profile_reload(tls, i, old->profile[i], &next->profile[i], result);
	pthread_mutex_lock(&tls->lock);
	tls->now = next;
	pthread_mutex_unlock(&tls->lock);
	tls_snapshot_put(old);
}

/* --- looking ------------------------------------------------------------------------------------------------------------ */

const char *tls_reload_failure(const struct tls *tls, size_t profile)
{
	return tls->failure[profile][0] ? tls->failure[profile] : NULL;
}

void tls_each_file(const struct tls *tls, void (*each)(void *arg, const char *path), void *arg)
{
	for (size_t i = 0; i < tls->count; i++)
		for (size_t k = 0; k < TLS_FILES_MAX; k++) {
			const char *name = tls_file_name(&tls->config->tls_profiles[i], k);

			if (name && name[0])
				each(arg, name);
		}
}

void tls_each_certificate(struct tls *tls,
	void (*each)(
		void *arg, const char *profile, struct x509_st *certificate, enum tls_certificate_role role),
	void *arg)
{
	struct tls_snapshot *snapshot = tls_snapshot_get(tls);

	for (size_t i = 0; i < snapshot->count; i++) {
		const struct tls_profile *profile = snapshot->profile[i];
		const char *name = profile->config->name;

		for (unsigned k = 0; k < TLS_PAIRS_MAX; k++)
			if (profile->certificate[k])
				each(arg, name, profile->certificate[k], TLS_CERTIFICATE_OWN);
		for (int k = 0; k < sk_X509_num(profile->chain); k++)
			each(arg, name, sk_X509_value(profile->chain, k), TLS_CERTIFICATE_CHAIN);
		for (int k = 0; profile->authorities && k < sk_X509_num(profile->authorities); k++)
			each(arg, name, sk_X509_value(profile->authorities, k), TLS_CERTIFICATE_AUTHORITY);
	}
	tls_snapshot_put(snapshot);
}

bool tls_may_begin(struct tls *tls, const union address *remote, uint64_t now_us)
{
	return tls_rate_take(tls->rate, remote, now_us);
}
