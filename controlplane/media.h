/* SPDX-License-Identifier: BSD-3-Clause */
/* The media of one call: offer and answer (RFC 3264) as seen by the relay, and the lease it has from the dataplane.
 * owner: the shard's thread.
 *
 * An offer is put aside until its answer: what is committed goes on meanwhile, and media_reject returns to it. */
#ifndef CONTROLPLANE_MEDIA_H
#define CONTROLPLANE_MEDIA_H

#include <stdbool.h>
#include <stdint.h>

#include "config/move.h"
#include "controlplane/sdp.h"
#include "controlplane/shard.h"
#include "dataplane/api.h"

struct media;

struct media_party { /* one side */
	const struct config_realm *realm;
	const struct config_ip_profile *profile;
	union address signalling; /* source of its signalling */
	bool secure; /* nobody else reads its signalling (TLS): keys may be said there */
};

struct media_events {
	/* The end of an offer for which media_offer returned 1: 0, or -errno (-ENOTCONN, -ETIMEDOUT, -ENOSPC, ...). */
	void (*ready)(void *arg, int status);
	/* The dataplane has no such session any more. */
	void (*lost)(void *arg);
	/* A description of `side` was refused for want of good keys. `why`: static text. NULL: nobody is told. */
	void (*insecure)(void *arg, unsigned side, const char *why);
};

/* The final counters, or NULL when there are none to be had. After it the media is gone. */
typedef void (*media_closed)(void *arg, const struct dp_session_info *final);

/* 0 or -ENOMEM. */
int media_new(struct shard *shard, const struct media_events *events, void *arg, struct media **out);
/* The offer under way goes to somebody else on `side`: what was said there is forgotten, the ports of the other side stay. 0, 1 (`ready` will
 * be called: ports of another realm), -EPROTO (no offer, or it has been committed), -errno. */
int media_retarget(struct media *media, unsigned side, const struct media_party *party);
/* Who is on a side; to be set before the first offer, and again when its signalling source changes. */
void media_set_party(struct media *media, unsigned side, const struct media_party *party);
/* Another configuration (reconfigure.h): who is on the sides stays. */
void media_move(struct media *media, struct config_move *move);
/* Gives the lease back; `closed` is called once, perhaps before the return. No other event comes any more. */
void media_close(struct media *media, media_closed closed, void *arg);

/* As above, but the session is left to go on in the dataplane: this process ends, the call does not. */
void media_abandon(struct media *media);

/* An offer from `side`. 0: media_write may be called; 1: `ready` will be; -EINVAL (not SDP), -EMSGSIZE (over the limits),
 * -EPROTONOSUPPORT (no media line that can be relayed), -EKEYREJECTED (nor would be, for want of keys that are good and allowed; or what was
 * SRTP would not be any more), -EBUSY (an offer is pending), -ENOTCONN, -ENOMEM ... */
int media_offer(struct media *media, unsigned side, struct span body);
/* The answer from `side`. `final`: of a 2xx or ACK, which commits it; else of an unreliable provisional response: media flows,
 * but another answer may follow. 0, -EINVAL, -EMSGSIZE, -EPROTO (no offer), -EBUSY (its ports are not there yet), -EKEYREJECTED (its a=crypto is
 * not an answer to ours: nothing is relayed in clear in its place). Never waits. */
int media_answer(struct media *media, unsigned side, struct span body, bool final);
/* The offer `body` of somebody else on `side`, who is there from now on, is the answer to the one under way; that one is the answer to it. Both are
 * committed. As media_answer; -EBUSY: ports of another family would have to be waited for. */
int media_cross(struct media *media, unsigned side, const struct media_party *party, struct span body);
/* False: it would be -EKEYREJECTED, or is in another realm; nothing changes. Nobody is told. */
bool media_can_cross(
	const struct media *media, unsigned side, const struct media_party *party, struct span body);
/* Back to what was committed: streams, and what was last written for each side. A version of an origin is never used twice. */
void media_reject(struct media *media);
/* Our descriptions for `side` go on where those of another call's side were: the peer's dialog moves to this call (RFC 3264 section 8). Before
 * the first one. */
void media_follow(struct media *media, unsigned side, struct media *from, unsigned from_side);
bool media_offer_is_pending(const struct media *media);
/* Writes the description `body`, just taken by media_offer or media_answer, for the other side `to`. The origin's version
 * counts up when the text differs from the last one written there. 0 or -errno. */
int media_write(struct media *media, unsigned to, struct span body, struct writer *out);
/* The answer to an offer of side `to` that accepts nothing of it (RFC 3264 section 6), for an ACK that must have one; nothing else changes.
 * `own`: our address, should there be none in our descriptions yet. 0 or -errno. */
int media_refuse(const struct media *media, unsigned to, struct span offer, const union address *own,
	struct writer *out);
/* True if `body` is what `side` last said, and what was last written for it can be its answer (RFC 3264 section 8: nothing has changed,
 * nobody else has to be asked). */
bool media_is_known(const struct media *media, unsigned side, struct span body);
/* What was last written for `to`, as a version of its own: for a side that has accepted an offer which was given up. 0 or -errno. */
int media_restate(struct media *media, unsigned to, struct writer *out);
/* A side's signalling has moved without a new description: its media may come from there. */
void media_moved(struct media *media, unsigned side, const struct media_party *party);
/* What was last written for a side; empty if nothing was. Borrowed until the next media_write. */
struct span media_written(const struct media *media, unsigned to);
/* Another number whenever media_written may give another text. */
unsigned media_changes(const struct media *media);

/* Stores the control plane's own state with the session. */
void media_store(struct media *media, const void *blob, size_t length);
/* Tells the dataplane again what it may have missed while it could not be reached. */
void media_resync(struct media *media);
/* The dataplane heard nothing on that stream from that side. True when that side is silent on all streams on which it
 * should send: its peer has vanished. */
bool media_silent(struct media *media, unsigned stream, unsigned side);
/* The other answers of a forked INVITE are of other peers: what the last one secured says nothing of the next. */
void media_other_dialog(struct media *media, unsigned side);
/* Our key for a side is used up: writes what was last written for it with a key of its stream anew, as a version of its own. 0; -EPROTO: that
 * stream has no SRTP there; -errno. In force when media_rekeyed has its answer. */
int media_rekey(struct media *media, unsigned side, unsigned stream, struct writer *out);
/* 0, -EKEYREJECTED (the answer has no good key for each stream), -EINVAL, ... */
int media_rekeyed(struct media *media, unsigned side, struct span body);
bool media_is_rtp(struct span protocol); /* RTP/AVP, AVPF, SAVP, SAVPF */
uint64_t media_session(const struct media *media); /* 0 = none (yet) */
/* Bit per side: it has put the call on hold. */
unsigned media_held(const struct media *media);

#endif
