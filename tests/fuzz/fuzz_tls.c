/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: what a peer may say in and after a TLS handshake, to us as server or as client. Whatever it is, an operation returns, an
 * end stays an end, and a session that has failed takes and gives nothing. */
#include "platforms/base/log.h"
#include "tests/unit/controlplane/tls_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS_MAX = 64, HANDSHAKE_BYTES = 8192 };

static struct tls_fixture fixture;
static struct tls *tls;

static void open_once(void)
{
	if (tls)
		return;
	log_set_level(LOG_LEVEL_ERROR);
	tls_fixture_init(&fixture);
	tls = tls_fixture_open(&fixture);
	tls_fixture_fini(&fixture);
}

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

/* Bits of the first octet: we are client; the handshake has been done. The second: how long the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_session *session, *other = NULL;
	bool done = false, as_client;
	int fd[2];

	if (size < 2)
		return 0;
	open_once();
	as_client = data[0] & 1;
	tls_fixture_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	session = as_client ? tls_connect(tls, &fixture.profile, "sbc.example.test", fd[0], HANDSHAKE_BYTES)
			    : tls_accept(tls, &fixture.interface, fd[0], HANDSHAKE_BYTES);
	tls_fixture_require(session != NULL);
	if (data[0] & 2) {
		other = as_client ? tls_accept(tls, &fixture.interface, fd[1], HANDSHAKE_BYTES)
				  : tls_connect(tls, &fixture.profile, NULL, fd[1], HANDSHAKE_BYTES);
		done = shake(session, other);
	}
	for (size_t at = 2; at < size;) {
		size_t piece = (size_t)data[1] * 16 + 1;

		if (piece > size - at)
			piece = size - at;
		if (send(fd[1], data + at, piece, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)piece)
			break;
		at += piece;
		operate(session, &done);
		drain(fd[1]);
	}
	operate(session, &done);
	tls_session_free(session);
	tls_session_free(other);
	close(fd[0]);
	close(fd[1]);
	return 0;
}
