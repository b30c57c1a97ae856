/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzes SFTP requests against a tree of one directory: each answer is whole and bounded, and no path leads anywhere but into the tree. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/sftp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int records(void *arg, const char *format, const char *since, const char *until, pid_t *child)
{
	(void)arg;
	*child = -1;
	if (strlen(since) != 10 || strlen(until) != 10 || strcmp(since, until) >= 0 ||
		(strcmp(format, "csv") != 0 && strcmp(format, "json") != 0))
		abort();
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int check(void *arg, const void *packet, size_t length)
{
	const uint8_t *p = packet;
	size_t told = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

	(void)arg;
	if (length < 9 || told != length - 4 || length > SFTP_READ_MAX + 64)
		abort();
	return 0;
}

static void check_path(const uint8_t *data, size_t size)
{
	char path[EXPORT_PATH_MAX], again[EXPORT_PATH_MAX];

	if (export_path((struct span){ (const char *)data, size }, path) != 0)
		return;
	if (path[0] != '/' || strstr(path, "//") != NULL || strstr(path, "/../") != NULL ||
		strlen(path) >= EXPORT_PATH_MAX)
		abort();
	if (export_path(span_from(path), again) != 0 || strcmp(path, again) != 0)
		abort();
}

/* Packets, each behind an octet that tells its length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char directory[] = "/tmp/fuzz-sftp-XXXXXX";
	static int captures = -1;
	struct export_tree tree = { .now_s = 1790000000, .records = records };
	struct sftp *sftp;
	int error = 0;

	if (captures < 0 && mkdtemp(directory) != NULL) {
		captures = open(directory, O_PATH | O_DIRECTORY);
		(void)rmdir(directory); /* it stays as long as it is open, and nothing comes into it */
	}
	check_path(data, size);
	tree.captures = captures;
	sftp = sftp_new(&tree, check, NULL);
	while (sftp != NULL && error == 0 && size > 0) {
		size_t n = data[0] < size - 1 ? data[0] : size - 1;
		uint8_t *packet = malloc(n > 0 ? n : 1);

		if (packet == NULL)
			break;
		memcpy(packet, data + 1, n);
		error = sftp_take(sftp, packet, n);
		free(packet);
		data += n + 1;
		size -= n + 1;
	}
	sftp_free(sftp);
	return 0;
}
