/* SPDX-License-Identifier: BSD-3-Clause */
/* The E-model: what G.107 and G.113 publish comes out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "controlplane/mos.h"

static void assert_near(double value, double expected, double tolerance)
{
	assert_true(fabs(value - expected) <= tolerance);
}

static struct mos_path path_of(const char *codec)
{
	struct mos_path path = { 0 };

	assert_true(mos_codec(span_from(codec), &path));
	return path;
}

/* G.107 table 2: "R = 93.2" with all parameters at their default values. */
static void default_parameters_give_93_2(void **state)
{
	const struct mos_path path = { .bpl = 4.3 };

	(void)state;
	assert_near(mos_rating(&path), 93.2, 0.05);
	assert_near(mos_of_rating(mos_rating(&path)), 4.41, 0.005);
}

/* G.107 annex B, table B.1. */
static void ratings_have_the_published_mos(void **state)
{
	static const struct {
		double rating, mos;
	} rows[] = { { 90, 4.34 }, { 80, 4.03 }, { 70, 3.60 }, { 60, 3.10 }, { 50, 2.58 }, { 0, 1 },
		{ -5, 1 }, { 3, 1 }, { 100, 4.5 }, { 120, 4.5 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_near(mos_of_rating(rows[i].rating), rows[i].mos, 0.01);
}

/* G.113 appendix I, table I.3. */
static void codecs_have_the_published_impairment(void **state)
{
	static const struct {
		const char *name;
		double ie, bpl;
	} rows[] = { { "PCMU", 0, 25.1 }, { "pcma", 0, 25.1 }, { "G723", 15, 16.1 }, { "G729", 11, 19.0 },
		{ "GSM-EFR", 5, 10.0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mos_path path = path_of(rows[i].name);

		assert_near(path.ie, rows[i].ie, 1e-9);
		assert_near(path.bpl, rows[i].bpl, 1e-9);
		assert_near(mos_rating(&path), 93.2 - rows[i].ie, 0.05);
	}
}

static void of_an_unknown_codec_nothing_is_said(void **state)
{
	struct mos_path path = { 0 };

	(void)state;
	assert_false(mos_codec(SPAN("opus"), &path));
	assert_false(mos_codec(SPAN(""), &path));
	assert_false(mos_codec(SPAN("PCM"), &path));
}

/* G.107 (7-29): Ie,eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl). */
static void loss_costs_what_the_codec_makes_of_it(void **state)
{
	struct mos_path path = path_of("G729");

	(void)state;
	path.loss = 5;
	assert_near(mos_rating(&path), 93.2 - (11 + 84 * 5 / 24.0), 0.05);
	path.loss = 100;
	assert_true(mos_of_rating(mos_rating(&path)) < 1.5);
}

static void delay_costs_little_before_150_ms_and_much_behind_it(void **state)
{
	struct mos_path path = path_of("PCMU");
	double at[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		path.delay_ms = (const double[]){ 50, 150, 400 }[i];
		at[i] = mos_rating(&path);
	}
	assert_true(at[0] - at[1] < 4 && at[0] > at[1]);
	assert_true(at[1] - at[2] > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_parameters_give_93_2),
		cmocka_unit_test(ratings_have_the_published_mos),
		cmocka_unit_test(codecs_have_the_published_impairment),
		cmocka_unit_test(of_an_unknown_codec_nothing_is_said),
		cmocka_unit_test(loss_costs_what_the_codec_makes_of_it),
		cmocka_unit_test(delay_costs_little_before_150_ms_and_much_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
