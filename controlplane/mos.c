/* SPDX-License-Identifier: BSD-3-Clause */
/* R = Ro - Is - Id - Ie,eff + A of G.107; names and numbers of equations are the recommendation's. */
#include "controlplane/mos.h"

#include <math.h>
#include <stddef.h>

/* G.107 table 2: default values, levels in dB. */
static const double SLR = 8, RLR = 2, STMR = 15, Ds = 3, Dr = 3, TELR = 65, WEPL = 110, Nc = -70, Nfor = -64,
		    Ps = 35, Pr = 35, BurstR = 1, qdu = 1;

/* All noise as one at the 0 dBr point, (7-3) to (7-7). */
static double noise(void)
{
	double olr = SLR + RLR, lstr = STMR + Dr;
	double nos = Ps - SLR - Ds - 100 + 0.004 * pow(Ps - olr - Ds - 14, 2);
	double pre = Pr + 10 * log10(1 + pow(10, (10 - lstr) / 10));
	double nor = RLR - 121 + pre + 0.008 * pow(pre - 35, 2);
	double nfo = Nfor + RLR;

	return 10 * log10(pow(10, Nc / 10) + pow(10, nos / 10) + pow(10, nor / 10) + pow(10, nfo / 10));
}

/* Is: what happens at the same time as speech, (7-8) to (7-17). */
static double simultaneous(double ro, double no, double t)
{
	double xolr = SLR + RLR + 0.2 * (64 + no - RLR);
	double iolr = 20 * (pow(1 + pow(xolr / 8, 8), 1.0 / 8) - xolr / 8);
	double stmro = -10 * log10(pow(10, -STMR / 10) + exp(-t / 4) * pow(10, -TELR / 10));
	double ist = 12 * pow(1 + pow((stmro - 13) / 6, 8), 1.0 / 8) -
		     28 * pow(1 + pow((stmro + 1) / 19.4, 35), 1.0 / 35) -
		     13 * pow(1 + pow((stmro - 3) / 33, 13), 1.0 / 13) + 29;
	double q = 37 - 15 * log10(qdu), g = 1.07 + 0.258 * q + 0.0602 * q * q;
	double y = (ro - 100) / 15 + 46 / 8.4 - g / 9, z = 46.0 / 30 - g / 40;

	return iolr + ist + 15 * log10(1 + pow(10, y) + pow(10, z));
}

/* Id: talker echo, listener echo, absolute delay, (7-18) to (7-28). */
static double delayed(double ro, double no, double t)
{
	double roe = -1.5 * (no - RLR);
	double terv = TELR - 40 * log10((1 + t / 10) / (1 + t / 150)) + 6 * exp(-0.3 * t * t);
	double re = 80 + 2.5 * (terv - 14);
	double talker = ((roe - re) / 2 + sqrt((roe - re) * (roe - re) / 4 + 100) - 1) * (1 - exp(-t));
	double rle = 10.5 * (WEPL + 7) * pow(2 * t + 1, -0.25);
	double listener = (ro - rle) / 2 + sqrt((ro - rle) * (ro - rle) / 4 + 169);
	double x = t > 100 ? log2(t / 100) : 0;
	double absolute =
		t > 100 ? 25 * (pow(1 + pow(x, 6), 1.0 / 6) - 3 * pow(1 + pow(x / 3, 6), 1.0 / 6) + 2) : 0;

	return talker + listener + absolute;
}

double mos_rating(const struct mos_path *path)
{
	double no = noise(), ro = 15 - 1.5 * (SLR + no);
	double effective =
		path->loss > 0 ? path->ie + (95 - path->ie) * path->loss / (path->loss / BurstR + path->bpl)
			       : path->ie;

	return ro - simultaneous(ro, no, path->delay_ms) - delayed(ro, no, path->delay_ms) - effective;
}

double mos_of_rating(double rating)
{
	if (rating <= 0)
		return 1;
	if (rating >= 100)
		return 4.5;
	/* The formula dips below 1 for very small ratings. */
	return fmax(1, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6);
}

bool mos_codec(struct span name, struct mos_path *path)
{
	/* G.711 with concealment (its appendix I), as every telephone of today has it; G.723.1 at 6.3 kbit/s, G.729A; the two with VAD. */
	static const struct {
		struct span name;
		double ie, bpl;
	} codecs[] = {
		{ { "PCMU", 4 }, 0, 25.1 },
		{ { "PCMA", 4 }, 0, 25.1 },
		{ { "G723", 4 }, 15, 16.1 },
		{ { "G729", 4 }, 11, 19.0 },
		{ { "GSM-EFR", 7 }, 5, 10.0 },
	};

	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (span_equal_case(name, codecs[i].name)) {
			path->ie = codecs[i].ie;
			path->bpl = codecs[i].bpl;
			return true;
		}
	return false;
}
