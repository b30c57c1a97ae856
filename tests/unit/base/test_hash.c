/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4 against the published vectors: key 00..0f, input 00, 01, 02, ... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "platforms/base/hash.h"

static const struct hash_key key = { { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u } };

static void published_vectors_come_out(void **state)
{
	static const struct {
		size_t length;
		uint64_t hash;
	} vectors[] = {
		{ 0, 0x726fdb47dd0e0e31u },
		{ 1, 0x74f839c593dc67fdu },
		{ 2, 0x0d6c8009d9a94f5au },
		{ 3, 0x85676696d7fb7e2du },
		{ 4, 0xcf2794e0277187b7u },
		{ 5, 0x18765564cd99a68du },
		{ 6, 0xcbc9466e58fee3ceu },
		{ 7, 0xab0200f58b01d137u },
		{ 8, 0x93f5f5799a932462u },
		{ 15, 0xa129ca6149be45e5u }, /* the example of the paper's appendix A */
		{ 63, 0x958a324ceb064572u },
	};
	uint8_t input[64];

	(void)state;
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_true(hash_bytes(&key, input, vectors[i].length) == vectors[i].hash);
}

static void alignment_does_not_matter(void **state)
{
	char text[32] = "xabcdefghijklmnop";
	char shifted[32] = "abcdefghijklmnop";

	(void)state;
	assert_true(hash_bytes(&key, text + 1, 16) == hash_bytes(&key, shifted, 16));
}

static void length_is_part_of_the_hash(void **state)
{
	static const uint8_t zero[16];

	(void)state;
	assert_true(hash_bytes(&key, zero, 8) != hash_bytes(&key, zero, 9));
	assert_true(hash_bytes(&key, NULL, 0) == 0x726fdb47dd0e0e31u);
}

static void keys_differ_and_matter(void **state)
{
	struct hash_key a;
	struct hash_key b;

	(void)state;
	hash_key_random(&a);
	hash_key_random(&b);
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_true(hash_bytes(&a, "call-id", 7) != hash_bytes(&b, "call-id", 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors_come_out),
		cmocka_unit_test(alignment_does_not_matter),
		cmocka_unit_test(length_is_part_of_the_hash),
		cmocka_unit_test(keys_differ_and_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
