/* SPDX-License-Identifier: BSD-3-Clause */
/* The committed reference page is the schema's, and the schema itself is sound. */
#include <stdlib.h>

#include "config/reference.h"
#include "config/schema.h"
#include "tests/unit/config/capture.h"

static void the_committed_page_is_the_generated_one(void **state)
{
	FILE *page = fopen("docs/configuration.md", "r");
	char *generated = NULL, *committed;
	size_t length = 0, n;
	FILE *memory = open_memstream(&generated, &length);

	(void)state;
	assert_non_null(page);
	assert_non_null(memory);
	assert_int_equal(config_reference_write(memory), 0);
	assert_int_equal(fclose(memory), 0);
	committed = malloc(length + 2);
	assert_non_null(committed);
	n = fread(committed, 1, length + 1, page);
	committed[n] = '\0';
	(void)fclose(page);
	assert_string_equal(committed, generated);
	free(committed);
	free(generated);
}

static void a_stream_that_fails_is_reported(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_true(config_reference_write(full) < 0);
	(void)fclose(full);
}

static void check_rows(const struct config_section *section)
{
	char allowed[512];

	assert_non_null(section->help);
	for (size_t i = 0; i < section->row_count; i++) {
		const struct config_row *row = &section->rows[i];

		assert_ptr_equal(config_row_find(section, row->name), row);
		assert_non_null(row->help);
		assert_true(row->daemons);
		assert_int_equal(row->implemented & ~row->daemons, 0);
		assert_true(row->offset < section->size);
		assert_true(row->min <= row->max);
		assert_true(config_row_allowed(row, allowed, sizeof(allowed))[0]);
		if (row->target)
			assert_non_null(config_section_find(row->target));
		if (row->required)
			assert_null(row->fallback);
	}
	if (section->child)
		check_rows(section->child);
}

static void every_row_is_complete_and_named_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_section_count; i++) {
		assert_ptr_equal(config_section_find(config_sections[i].name), &config_sections[i]);
		check_rows(&config_sections[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_committed_page_is_the_generated_one),
		cmocka_unit_test(a_stream_that_fails_is_reported),
		cmocka_unit_test(every_row_is_complete_and_named_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
