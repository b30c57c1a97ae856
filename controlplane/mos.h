/* SPDX-License-Identifier: BSD-3-Clause */
/* How good a call has sounded: the E-model of ITU-T G.107 (06/2015), from what was measured. Pure functions. */
#ifndef CONTROLPLANE_MOS_H
#define CONTROLPLANE_MOS_H

#include <stdbool.h>

#include "platforms/base/span.h"

/* What an SBC knows of one direction of speech. Everything else has the default values of G.107 table 2. */
struct mos_path {
	double ie; /* Ie: equipment impairment of the codec */
	double bpl; /* Bpl: how it bears loss of packets */
	double loss; /* Ppl in percent, 0..100 */
	double delay_ms; /* Ta: one way, from mouth to ear */
};

/* Ie and Bpl of a codec as SDP names it (any case), ITU-T G.113 appendix I table I.3. False: it is not in there, nothing can be said. */
bool mos_codec(struct span name, struct mos_path *path);
/* The transmission rating factor R, G.107 (7-1). */
double mos_rating(const struct mos_path *path);
/* Conversational quality, 1..4.5, from R: G.107 annex B. */
double mos_of_rating(double rating);

#endif
