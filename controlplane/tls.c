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
	struct tls_snapshot
		*next; /* prepared for another configuration, then what it replaced; owner: main thread */
	char (*next_failure)[TLS_REASON_MAX]; /* likewise */
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

const struct tls_profile *tls_snapshot_find(
	const struct tls_snapshot *snapshot, const struct config_tls_profile *config)
{
	for (size_t i = 0; i < snapshot->count; i++)
		if (strcmp(snapshot->profile[i]->config->name, config->name) == 0)
			return snapshot->profile[i];
	return NULL;
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

/* `old`, if there is one, is taken again when its files are the same. */
static int profile_read(const struct config_tls_profile *config, bool connects, struct tls_profile *old,
	struct tls_profile **out, char reason[TLS_REASON_MAX])
{
	struct tls_files files;
	int error;

	reason[0] = '\0';
	error = tls_files_read(config, &files, reason);
	if (error < 0)
		return error;
	if (old && memcmp(old->digest, files.digest, sizeof(files.digest)) == 0)
		*out = tls_profile_get(old);
	else
		error = tls_profile_new(config, &files, connects, out, reason);
	tls_files_free(&files);
	return error;
}

static bool has_agents(const struct config *config)
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
	tls->connects = has_agents(config);
	tls->count = config->tls_profiles_count;
	tls->rate = tls_rate_new(config->sip.tls_handshake_rate);
	tls->now = snapshot_new(tls->count);
	tls->failure = calloc(tls->count + 1, sizeof(*tls->failure));
	if (!tls->rate || !tls->now || !tls->failure)
		error = -ENOMEM;
	for (size_t i = 0; error == 0 && i < tls->count; i++) {
		error = profile_read(
			&config->tls_profiles[i], tls->connects, NULL, &tls->now->profile[i], reason);
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
	tls_abort(tls);
	tls_snapshot_put(tls->now);
	tls_rate_free(tls->rate);
	pthread_mutex_destroy(&tls->lock);
	free(tls->failure);
	free(tls);
}

static void profile_reload(struct tls *tls, size_t index, struct tls_profile *old, struct tls_profile **out,
	struct tls_reloaded *result)
{
	const struct config_tls_profile *config = &tls->config->tls_profiles[index];
	const char *name = config->name;
	char reason[TLS_REASON_MAX];
	int error = profile_read(config, tls->connects, old, out, reason);

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

/* What is prepared has taken it over from the set in use: the new files hold there, too. */
static void prepared_follow(struct tls *tls, const struct tls_profile *old, struct tls_profile *now)
{
	for (size_t i = 0; tls->next && i < tls->next->count; i++)
		if (tls->next->profile[i] == old) {
			tls_profile_put(tls->next->profile[i]);
			tls->next->profile[i] = tls_profile_get(now);
		}
}

void tls_reload(struct tls *tls, struct tls_reloaded *result)
{
	struct tls_snapshot *next = snapshot_new(tls->count), *old = tls->now;

	*result = (struct tls_reloaded){ 0 };
	if (!next) {
		result->refused = (unsigned)tls->count;
		return;
	}
	for (size_t i = 0; i < tls->count; i++) {
		profile_reload(tls, i, old->profile[i], &next->profile[i], result);
		prepared_follow(tls, old->profile[i], next->profile[i]);
	}
	pthread_mutex_lock(&tls->lock);
	tls->now = next;
	pthread_mutex_unlock(&tls->lock);
	tls_snapshot_put(old);
}

/* --- another configuration ---------------------------------------------------------------------------------------------- */

static int profile_prepare(struct tls *tls, const struct config_move *move, size_t index, struct writer *why)
{
	const struct config *next = config_move_to(move);
	const struct config_tls_profile *config = &next->tls_profiles[index];
	ptrdiff_t origin = config_move_origin(move, CONFIG_KIND_tls_profile, index);
	bool connects = has_agents(next);
	struct tls_profile *old = origin == CONFIG_NOWHERE ? NULL : tls->now->profile[origin];
	char reason[TLS_REASON_MAX];
	int error;

	/* Files that have changed meanwhile are tls_reload's affair. */
	if (old && connects == tls->connects && tls_settings_equal(old->config, config)) {
		tls->next->profile[index] = tls_profile_get(old);
		return 0;
	}
	error = profile_read(config, connects, NULL, &tls->next->profile[index], reason);
	if (error < 0 && error != -ENOMEM) {
		writer_format(why, "tls-profile %s: %s\n", config->name, reason);
		error = -EINVAL;
	}
	return error;
}

int tls_prepare(struct tls *tls, const struct config_move *move, struct writer *why)
{
	size_t count = config_move_to(move)->tls_profiles_count;
	int error = 0;

	if (!tls)
		return 0;
	tls->next = snapshot_new(count);
	tls->next_failure = calloc(count + 1, sizeof(*tls->next_failure));
	if (!tls->next || !tls->next_failure)
		return -ENOMEM;
	for (size_t i = 0; error == 0 && i < count; i++)
		error = profile_prepare(tls, move, i, why);
	return error;
}

void tls_abort(struct tls *tls)
{
	if (!tls)
		return;
	tls_snapshot_put(tls->next);
	free(tls->next_failure);
	tls->next = NULL;
	tls->next_failure = NULL;
}

void tls_move(struct tls *tls, const struct config_move *move)
{
	const struct config *next = config_move_to(move);
	struct tls_snapshot *old;
	char(*failure)[TLS_REASON_MAX];

	if (!tls)
		return;
	tls->config = next;
	tls_rate_move(tls->rate, next->sip.tls_handshake_rate);
	if (!tls->next)
		return;
	old = tls->now;
	failure = tls->failure;
	for (size_t i = 0; i < next->tls_profiles_count; i++) {
		ptrdiff_t origin = config_move_origin(move, CONFIG_KIND_tls_profile, i);

		if (origin != CONFIG_NOWHERE && tls->next->profile[i] == old->profile[origin])
			memcpy(tls->next_failure[i], failure[origin], TLS_REASON_MAX);
	}
	tls->connects = has_agents(next);
	tls->count = next->tls_profiles_count;
	pthread_mutex_lock(&tls->lock);
	tls->now = tls->next;
	pthread_mutex_unlock(&tls->lock);
	tls->failure = tls->next_failure;
	tls->next = old;
	tls->next_failure = failure;
}

void tls_settle(struct tls *tls)
{
	tls_abort(tls);
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
