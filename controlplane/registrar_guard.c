/* SPDX-License-Identifier: BSD-3-Clause */
/* What strangers may learn from a REGISTER: who is asked for in vain, and whose password is wrong, looks the same; and what the guard is told. */
#include "controlplane/core.h"
#include "controlplane/digest.h"
#include "controlplane/digest_server.h"
#include "controlplane/guard.h"
#include "controlplane/registrar_internal.h"

enum { CHALLENGE_TEXT_MAX = 1024 };

static const struct span nothing = { NULL, 0 };

static struct span user_asked_for(const struct message *request)
{
	struct name_addr to;
	struct sip_uri uri;

	return message_to(request, &to) == 0 && sip_uri_parse(to.uri, &uri) == 0 ? uri.user : nothing;
}

/* Tells whether there is such a user, or what became of him. */
static bool tells_of_user(unsigned status)
{
	return status == 403 || status == 404 || status == 410 || status == 480 || status == 484 ||
	       status / 100 == 6;
}

static void write_challenge(
	const struct guard *guard, const struct sip_flow *flow, struct span challenge, struct writer *out)
{
	writer_text(out, "WWW-Authenticate: ");
	guard_seal(guard, flow, challenge, out);
	writer_text(out, "\r\n");
}

void registrar_refuse(struct shard *shard, struct transaction *transaction,
	const struct config_session_agent *agent, unsigned status, struct span extra)
{
	struct guard *guard = shard->shared.guard;
	const struct message *request = transaction_message(transaction);
	const struct sip_flow *flow = message_flow(request);
	char text[CHALLENGE_TEXT_MAX], form[CHALLENGE_TEXT_MAX];
	struct writer out, like;

	if (tells_of_user(status) && guard_is_stranger(guard, flow)) {
		bool tried = register_authorization(message_scan(request)).n > 0 && status == 403;

		guard_note(guard, flow, tried ? GUARD_BAD_PASSWORD : GUARD_UNKNOWN_USER,
			user_asked_for(request), message_scan(request));
		if (shard->config->guard.silent && shard->config->guard.mode == CONFIG_GUARD_ENFORCE) {
			writer_init(&like, form, sizeof(form));
			guard_challenge_like(guard, agent, &like);
			writer_init(&out, text, sizeof(text));
			write_challenge(guard, flow, writer_result(&like), &out);
			core_reply(transaction, 401, out.overflow ? nothing : writer_result(&out));
			return;
		}
	}
	core_reply(transaction, status, extra);
}

static bool is_stale(struct span challenge)
{
	struct digest_challenge parsed;

	return digest_challenge_parse(challenge, &parsed) == 0 && parsed.stale;
}

void registrar_challenged(struct shard *shard, const struct message *request,
	const struct config_session_agent *agent, struct span challenge)
{
	struct guard *guard = shard->shared.guard;
	const struct sip_flow *flow = message_flow(request);

	if (register_authorization(message_scan(request)).n && !is_stale(challenge))
		guard_note(guard, flow, GUARD_BAD_PASSWORD, user_asked_for(request), message_scan(request));
	guard_challenged(guard, flow, agent, challenge);
}

void registrar_good(struct shard *shard, const struct message *request)
{
	guard_good(shard->shared.guard, message_flow(request));
}

unsigned registrar_over_rate(
	struct shard *shard, const struct sip_flow *flow, const struct scan *request, unsigned status)
{
	struct guard *guard = shard->shared.guard;

	return guard_note(guard, flow, GUARD_OVER_RATE, nothing, request) == GUARD_SILENT
		       ? TRANSACTION_SILENCE
		       : status;
}

bool registrar_authenticate(struct shard *shard, struct transaction *transaction, struct span aor)
{
	const struct message *request = transaction_message(transaction);
	const struct sip_flow *flow = message_flow(request);
	struct digest_server *server = shard->shared.digest;
	char text[2 * CHALLENGE_TEXT_MAX], value[CHALLENGE_TEXT_MAX];
	enum digest_verdict verdict;
	struct writer out, one;

	if (listener_interface(flow->listener)->authentication != CONFIG_AUTHENTICATION_LOCAL)
		return true;
	if (!server) {
		core_reply(transaction, 503, nothing);
		return false;
	}
	verdict = digest_server_check(server, flow, message_scan(request), aor, false);
	if (verdict == DIGEST_RIGHT)
		return true;
	if (verdict == DIGEST_WRONG)
		guard_note(shard->shared.guard, flow, GUARD_BAD_PASSWORD, user_asked_for(request),
			message_scan(request));
	writer_init(&out, text, sizeof(text));
	for (unsigned n = 0; n < DIGEST_SERVER_CHALLENGES; n++) {
		writer_init(&one, value, sizeof(value));
		digest_server_challenge(server, flow, aor, n, verdict == DIGEST_EXPIRED, &one);
		write_challenge(shard->shared.guard, flow, writer_result(&one), &out);
	}
	guard_challenged(shard->shared.guard, flow, NULL, writer_result(&one));
	core_reply(transaction, 401, out.overflow ? nothing : writer_result(&out));
	return false;
}
