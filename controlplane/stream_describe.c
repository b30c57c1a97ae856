/* SPDX-License-Identifier: BSD-3-Clause */
/* What is to be said of a stream connection to people who test it. */
#include <string.h>

#include "controlplane/stream_internal.h"
#include "controlplane/tls.h"

static const char *end_text(enum cp_counter why)
{
	switch (why) {
	case CP_COUNTER_STREAM_UNREACHED:
		return "no connection";
	case CP_COUNTER_STREAM_TIMED_OUT:
		return "no connection in time";
	case CP_COUNTER_STREAM_TOO_SLOW:
		return "the peer takes nothing";
	case CP_COUNTER_STREAM_BROKEN:
		return "what the peer sends is no SIP";
	case CP_COUNTER_STREAM_REFUSED:
		return "no memory, or a limit of ours";
	case CP_COUNTER_TLS_VERSION:
		return "no TLS version in common";
	case CP_COUNTER_TLS_CIPHER:
		return "no TLS cipher, group or signature in common";
	case CP_COUNTER_TLS_NO_CERTIFICATE:
		return "the peer has shown no certificate";
	case CP_COUNTER_TLS_BAD_CERTIFICATE:
		return "the peer's certificate is not valid";
	case CP_COUNTER_TLS_WRONG_NAME:
		return "the peer's certificate is not the agent's";
	case CP_COUNTER_TLS_REFUSED:
		return "the peer has refused our TLS";
	case CP_COUNTER_TLS_TOO_LONG:
		return "the TLS handshake is too long";
	case CP_COUNTER_TLS_BROKEN:
		return "the peer speaks no TLS";
	case CP_COUNTER_TLS_TIMED_OUT:
		return "the TLS handshake took too long";
	default:
		return "the peer has ended the connection";
	}
}

void connection_describe_end(const struct connection *connection, enum cp_counter why, struct writer *out)
{
	const char *reason = connection->tls ? tls_session_reason(connection->tls) : "";

	writer_text(out, end_text(why));
	if (connection->error) {
		writer_text(out, ": ");
		writer_text(out, strerror(connection->error));
	} else if (reason[0] != '\0') {
		writer_text(out, ": ");
		writer_text(out, reason);
	}
}

void stream_describe(struct streams *streams, uint64_t id, struct writer *out)
{
	const struct connection *connection = connection_find(streams, id);

	if (!connection)
		return;
	switch (connection->state) {
	case CONNECTION_CONNECTING:
		writer_text(out, "no answer to the begin of a connection");
		break;
	case CONNECTION_HANDSHAKING:
		writer_text(out, "the TLS handshake is not over");
		break;
	default:
		if (!connection->tls)
			break;
		writer_text(out, tls_session_version(connection->tls));
		writer_text(out, ", ");
		writer_text(out, tls_session_cipher(connection->tls));
		if (!tls_session_certificate(connection->tls))
			writer_text(out, ", certificate not verified");
	}
}
