/* SPDX-License-Identifier: BSD-3-Clause */
/* A daemon's side of a configuration transaction: takes the text in pieces, has it prepared, applied or let go. */
#include "config/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/document.h"
#include "config/source.h"
#include "platforms/base/clock.h"
#include "platforms/base/hash.h"
#include "platforms/base/ipc_request.h"
#include "platforms/base/log.h"

struct config_transaction {
	enum config_daemon daemon;
	struct config_phases phases;
	void *arg;
	struct config_state state;
	struct config_document *started; /* NULL: no file was read */
	const struct ipc_peer *peer; /* whose the staged text and what is prepared are; NULL: nobody's */
	char *text; /* staged */
	size_t length, room;
	struct config *prepared; /* NULL: nothing is */
	char file[256]; /* what messages call the text */
};

struct config_digest config_digest_of(const char *text, size_t length)
{
	static const struct hash_key keys[2] = { { { 0x53616c6c79706f72, 0x7420636f6e666967 } },
		{ { 0x75726174696f6e20, 0x6f66206120534243 } } };

	return (struct config_digest){ { hash_bytes(&keys[0], text, length),
		hash_bytes(&keys[1], text, length) } };
}

bool config_digest_equal(const struct config_digest *a, const struct config_digest *b)
{
	return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

int config_transaction_new(const struct config *running, enum config_daemon daemon,
	const struct config_phases *phases, void *arg, struct config_transaction **out)
{
	struct config_transaction *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->daemon = daemon;
	t->phases = *phases;
	t->arg = arg;
	if (running->private) { /* a configuration that no file was read for has none (tests) */
		t->state.started = t->state.running = running->private->digest;
		(void)snprintf(t->file, sizeof(t->file), "%s", config_file(running));
		t->started = config_document_of(running);
		if (!t->started) {
			free(t);
			return -ENOMEM;
		}
	}
	*out = t;
	return 0;
}

/* Secrets may be in it. */
static void drop_text(struct config_transaction *t)
{
	if (t->text)
		explicit_bzero(t->text, t->room);
	free(t->text);
	t->text = NULL;
	t->length = t->room = 0;
}

static void let_go(struct config_transaction *t)
{
	drop_text(t);
	if (t->prepared) {
		t->phases.abort(t->arg);
		config_free(t->prepared);
		t->prepared = NULL;
	}
	t->state.prepared = (struct config_digest){ { 0, 0 } };
	t->peer = NULL;
}

void config_transaction_free(struct config_transaction *t)
{
	if (!t)
		return;
	let_go(t);
	config_document_free(t->started);
	free(t);
}

void config_transaction_down(struct config_transaction *t, const struct ipc_peer *peer)
{
	if (t && t->peer == peer && peer)
		let_go(t);
}

static int grow(struct config_transaction *t, size_t length)
{
	size_t room = t->room ? t->room : CONFIG_PIECE_MAX;
	char *text;

	while (room < length)
		room *= 2;
	if (room == t->room)
		return 0;
	text = malloc(room);
	if (!text)
		return -ENOMEM;
	if (t->length)
		memcpy(text, t->text, t->length);
	if (t->text)
		explicit_bzero(t->text, t->room);
	free(t->text);
	t->text = text;
	t->room = room;
	return 0;
}

static int stage(struct config_transaction *t, const struct ipc_peer *peer, const void *body, size_t length)
{
	const struct config_piece *piece = body;
	int error;

	if (length < sizeof(*piece) || piece->length > CONFIG_PIECE_MAX ||
		length != sizeof(*piece) + piece->length)
		return -EINVAL;
	if (piece->offset == 0) {
		/* Whoever comes later has the word: an earlier one that is stuck must not lock everybody out. */
		let_go(t);
		t->peer = peer;
	}
	if (t->peer != peer || t->prepared || piece->offset != t->length)
		return -EINVAL;
	if (t->length + piece->length > CONFIG_TEXT_MAX)
		return -EFBIG;
	error = grow(t, t->length + piece->length);
	if (error)
		return error;
	memcpy(t->text + t->length, piece + 1, piece->length);
	t->length += piece->length;
	return 0;
}

static void note(void *arg, bool is_error, const char *line)
{
	struct writer *why = arg;

	(void)is_error;
	writer_text(why, line);
	writer_char(why, '\n');
}

static int load(const struct config_transaction *t, const char *text, size_t length, struct writer *why,
	struct config **next)
{
	const struct config_reporter reporter = { note, why };

	return config_load_text(t->file, text, length, t->daemon != CONFIG_DATAPLANE, &reporter, next);
}

/* What is to run until the next start: settings that wait for it are put back, and the whole is read once more, since they must fit the others. */
static int keep_started(const struct config_transaction *t, struct writer *why, struct config **next)
{
	struct config_document *document = config_document_of(*next);
	struct config *mixed = NULL;
	char *text = NULL;
	bool changed = false;
	int error = document ? config_document_keep_started(document, t->started, &changed) : -ENOMEM;

	if (!error && changed)
		error = config_document_print(document, NULL, 0, CONFIG_PRINT_WHOLE, &text, why);
	config_document_free(document);
	if (error || !changed)
		return error;
	error = load(t, text, strlen(text), why, &mixed);
	explicit_bzero(text, strlen(text));
	free(text);
	if (error) {
		writer_text(why, "(that is with the settings as they are until a restart, which some of the "
				 "others do not fit)\n");
		return error;
	}
	config_free(*next);
	*next = mixed;
	return 0;
}

static int prepare(struct config_transaction *t, const struct ipc_peer *peer, const void *body, size_t length,
	struct writer *why)
{
	const struct config_digest *digest = body;
	struct config_digest staged;
	struct config *next = NULL;
	int error;

	if (length != sizeof(*digest) || t->peer != peer || t->prepared || !t->text)
		return -EINVAL;
	staged = config_digest_of(t->text, t->length);
	if (!config_digest_equal(&staged, digest))
		return -EINVAL;
	error = load(t, t->text, t->length, why, &next);
	drop_text(t);
	if (!error && t->started)
		error = keep_started(t, why, &next);
	if (!error)
		error = t->phases.prepare(t->arg, next, why);
	if (error) {
		config_free(next);
		t->peer = NULL;
		return error;
	}
	t->prepared = next;
	t->state.prepared = staged;
	return 0;
}

static int apply(struct config_transaction *t, const struct ipc_peer *peer, const void *body, size_t length)
{
	struct config *next = t->prepared;

	if (length != sizeof(struct config_digest))
		return -EINVAL;
	if (!next || t->peer != peer || !config_digest_equal(body, &t->state.prepared))
		return -ENOENT;
	t->prepared = NULL;
	t->peer = NULL;
	t->state.running = t->state.prepared;
	t->state.prepared = (struct config_digest){ { 0, 0 } };
	t->state.applied_wall_ms = clock_wall_ms();
	log_set_level(next->system.log_level);
	t->phases.apply(t->arg, next);
	log_notice("config", "another configuration is applied", LOG_TEXT("file", t->file));
	return 0;
}

bool config_transaction_frame(
	struct config_transaction *t, struct ipc_peer *peer, const struct ipc_frame *frame, const void *body)
{
	static char reason[CONFIG_REASON_MAX];
	const void *reply = NULL;
	size_t length = 0;
	struct writer why;
	int error = 0;

	writer_init(&why, reason, sizeof(reason));
	switch (frame->type) {
	case CONFIG_STATE:
		break;
	case CONFIG_STAGE:
		error = stage(t, peer, body, frame->length);
		break;
	case CONFIG_PREPARE:
		error = prepare(t, peer, body, frame->length, &why);
		reply = reason;
		length = why.len;
		break;
	case CONFIG_APPLY:
		error = apply(t, peer, body, frame->length);
		break;
	case CONFIG_ABORT:
		if (t->peer == peer)
			let_go(t);
		break;
	default:
		return false;
	}
	if (!error && (frame->type == CONFIG_STATE || frame->type == CONFIG_APPLY)) {
		reply = &t->state;
		length = sizeof(t->state);
	}
	error = ipc_send(
		peer, (uint16_t)(frame->type | IPC_REPLY), (int16_t)error, frame->sequence, reply, length);
	if (error)
		log_error("config", "an answer cannot be sent", LOG_ERRNO("error", error));
	return true;
}
