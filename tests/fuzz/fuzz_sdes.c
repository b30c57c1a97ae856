/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: a=crypto. What is read has a suite, a key of its length and nothing behind it; written again it is read the same; what is
 * refused leaves no key. Of the lines of one description that have been taken together no two have one tag. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sdes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check(const struct sdes_line *line)
{
	const struct dp_crypto *crypto = &line->crypto;
	size_t length = sdes_key_length((enum dp_srtp_suite)crypto->suite);
	struct sdes_line again;
	struct writer out;
	char text[256];

	require(crypto->suite > DP_SRTP_NONE && crypto->suite < DP_SRTP_SUITE_COUNT && length >= 28);
	require(crypto->mki_length <= DP_SRTP_MKI_MAX);
	require(crypto->lifetime == 0 ||
		(crypto->lifetime >= SDES_LIFETIME_MIN && crypto->lifetime <= 1ULL << 48));
	for (size_t i = length; i < DP_SRTP_KEY_MAX; i++)
		require(crypto->key[i] == 0);
	for (size_t i = crypto->mki_length; i < DP_SRTP_MKI_MAX; i++)
		require(crypto->mki[i] == 0);
	writer_init(&out, text, sizeof(text));
	sdes_write(&out, line->tag, (enum dp_srtp_suite)crypto->suite, crypto->key);
	require(!out.overflow && out.len > 11);
	require(sdes_parse((struct span){ text + 9, out.len - 11 }, &again) == 0);
	require(again.tag == line->tag && again.crypto.suite == crypto->suite &&
		memcmp(again.crypto.key, crypto->key, sizeof(crypto->key)) == 0);
}

/* Against a table of all tags there are in what can be parsed. */
static void check_tags(struct span text)
{
	struct sdes_tags tags = { 0 };
	uint32_t seen[SDES_LINES_MAX];
	unsigned count = 0;
	bool again = false;

	for (unsigned n = 0; text.p; n++) {
		struct span value = span_cut(&text, '\n');
		struct sdes_line line;
		bool taken = sdes_tags_take(&tags, value);
		int parsed = sdes_parse(value, &line);

		for (unsigned i = 0; parsed == 0 && i < count; i++)
			again = again || seen[i] == line.tag;
		require(!taken || (!again && n < SDES_LINES_MAX));
		if (!taken)
			return;
		if (parsed == 0)
			seen[count++] = line.tag;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dp_crypto nothing;
	struct sdes_line line;

	check_tags((struct span){ (const char *)data, size });

	memset(&line, 0xa5, sizeof(line));
	if (sdes_parse((struct span){ (const char *)data, size }, &line) == 0)
		check(&line);
	else
		require(memcmp(&line.crypto, &nothing, sizeof(nothing)) == 0);
	return 0;
}
