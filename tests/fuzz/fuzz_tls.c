/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: what a peer may say in and after a TLS handshake, to us as server or as client. Whatever it is, an operation returns, an
 * end stays an end, and a session that has failed takes and gives nothing. */
#include <openssl/ssl.h>

#include "platforms/base/log.h"
#include "tests/fuzz/openssl_snapshot.h"
#include "tests/unit/controlplane/tls_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS_MAX = 64, PIECES_MAX = 64, HANDSHAKE_BYTES = 8192 };

enum { AS_CLIENT = 1, SHAKEN = 2, MODES = 4 };

static struct tls_fixture fixture;
static struct tls *tls;
static int fds[2]; /* of all sessions: ours, the peer's */
static unsigned sessions; /* SSLs that there are */

/* What a run begins with. */
static struct beginning {
	struct tls_session *session, *other;
	struct snapshot snapshot;
} beginnings[MODES];

static void drain(int fd)
{
	char bytes[16384];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void use(struct tls_session *session)
{
	static char scratch[16384];
	char bytes[4096];

	tls_read_begin(session, scratch, sizeof(scratch));
	for (unsigned i = 0; i < OPERATIONS_MAX && tls_read(session, bytes, sizeof(bytes)) > 0; i++)
		;
	(void)tls_write(session, SPAN("OPTIONS"));
}

static void operate(struct tls_session *session, bool *done)
{
	enum tls_progress progress;

	if (*done) {
		use(session);
		return;
	}
	progress = tls_handshake(session);
	*done = progress == TLS_DONE;
	if (progress != TLS_FAILED)
		return;
	tls_fixture_require(tls_session_end(session) != TLS_END_NONE);
	tls_fixture_require(tls_session_reason(session) != NULL);
	tls_fixture_require(tls_handshake(session) == TLS_FAILED);
	tls_fixture_require(tls_write(session, SPAN("x")) == -1);
	tls_fixture_require(tls_session_certificate(session) == NULL);
}

/* A handshake with ourselves first: then what comes is records of no meaning behind it. */
static bool shake(struct tls_session *session, struct tls_session *other)
{
	bool ours = false, theirs = false;

	for (unsigned i = 0; i < OPERATIONS_MAX && !(ours && theirs); i++) {
		operate(session, &ours);
		operate(other, &theirs);
	}
	return ours && theirs;
}

static void begin(unsigned mode, struct beginning *b)
{
	struct tls_session *client = tls_connect(
		tls, &fixture.profile, "sbc.example.test", fds[~mode & AS_CLIENT], HANDSHAKE_BYTES);
	struct tls_session *server = NULL;
	bool as_client = mode & AS_CLIENT;

	if (!as_client || (mode & SHAKEN))
		server = tls_accept(tls, &fixture.interface, fds[mode & AS_CLIENT], HANDSHAKE_BYTES);
	b->session = as_client ? client : server;
	b->other = as_client ? server : client;
	tls_fixture_require(b->session != NULL);
	if (mode & SHAKEN) {
		tls_fixture_require(b->other && shake(b->session, b->other));
		return;
	}
	tls_session_free(b->other);
	b->other = NULL;
}

static void finish(struct beginning *b)
{
	tls_session_free(b->session);
	tls_session_free(b->other);
	drain(fds[0]);
	drain(fds[1]);
}

static void count_new(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long number, void *pointer)
{
	(void)parent, (void)data, (void)all, (void)index, (void)number, (void)pointer;
	sessions++;
}

static void count_free(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long number, void *pointer)
{
	(void)parent, (void)data, (void)all, (void)index, (void)number, (void)pointer;
	sessions--;
}

/* Once: contexts, and sessions as they are in each mode. All of it has been done before, so that OpenSSL has what it makes at first use. */
static void open_once(void)
{
	static struct snapshot opened;

	if (tls)
		return;
	log_set_level(LOG_LEVEL_ERROR);
	heap_open();
	tls_fixture_require(SSL_get_ex_new_index(0, NULL, count_new, NULL, count_free) >= 0);
	tls_fixture_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	tls_fixture_init(&fixture);
	heap_is_ours = true;
	tls = tls_fixture_open(&fixture);
	tls_fixture_fini(&fixture);
	for (unsigned mode = 0; mode < MODES; mode++) {
		begin(mode, &beginnings[mode]);
		finish(&beginnings[mode]);
	}
	snapshot_take(&opened);
	for (unsigned mode = 0; mode < MODES; mode++) {
		snapshot_return(&opened);
		begin(mode, &beginnings[mode]);
		drain(fds[0]);
		drain(fds[1]);
		snapshot_take(&beginnings[mode].snapshot);
	}
	heap_is_ours = false;
}

static void run(struct beginning *b, bool done, const uint8_t *data, size_t size)
{
	size_t longest = size / PIECES_MAX + 1;

	for (size_t at = 2; at < size;) {
		size_t piece = (size_t)data[1] * 16 + 1;

		piece = piece < longest ? longest : piece;
		if (piece > size - at)
			piece = size - at;
		if (send(fds[1], data + at, piece, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)piece)
			break;
		at += piece;
		operate(b->session, &done);
		drain(fds[1]);
	}
	operate(b->session, &done);
}

/* Bits of the first octet: we are client; the handshake has been done. The second: how long the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct beginning *b;
	unsigned own;

	if (size < 2)
		return 0;
	open_once();
	b = &beginnings[data[0] % MODES];
	snapshot_return(&b->snapshot);
	own = heap->own;
	sessions = b->other ? 2 : 1;
	run(b, b->other != NULL, data, size);
	finish(b);
	/* Whatever has happened, nothing of a session stays. */
	tls_fixture_require(sessions == 0 && heap->own == own - (b->other ? 2 : 1));
	return 0;
}
