/* SPDX-License-Identifier: BSD-3-Clause */
/* tar and gzip by libarchive. */
#include "mgmt/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DIRECTORY "sallyport-support"

enum { NAME_MAX_OCTETS = 256 };

struct bundle {
	struct archive *archive;
	struct archive_entry *entry;
	int error;
};

struct bundle *bundle_open(int fd)
{
	struct bundle *bundle = calloc(1, sizeof(*bundle));

	if (bundle == NULL)
		return NULL;
	bundle->archive = archive_write_new();
	bundle->entry = archive_entry_new();
	if (bundle->archive == NULL || bundle->entry == NULL ||
		archive_write_add_filter_gzip(bundle->archive) != ARCHIVE_OK ||
		archive_write_set_format_pax_restricted(bundle->archive) != ARCHIVE_OK ||
		archive_write_open_fd(bundle->archive, fd) != ARCHIVE_OK) {
		(void)bundle_close(bundle);
		return NULL;
	}
	return bundle;
}

int bundle_add(struct bundle *bundle, const char *name, const void *contents, size_t length)
{
	char path[NAME_MAX_OCTETS];

	if (bundle->error)
		return bundle->error;
	(void)snprintf(path, sizeof(path), DIRECTORY "/%s", name);
	archive_entry_clear(bundle->entry);
	archive_entry_set_pathname(bundle->entry, path);
	archive_entry_set_filetype(bundle->entry, AE_IFREG);
	archive_entry_set_perm(bundle->entry, 0600);
	archive_entry_set_size(bundle->entry, (la_int64_t)length);
	archive_entry_set_mtime(bundle->entry, time(NULL), 0);
	if (archive_write_header(bundle->archive, bundle->entry) != ARCHIVE_OK ||
		archive_write_data(bundle->archive, contents, length) != (la_ssize_t)length)
		bundle->error = -EIO;
	return bundle->error;
}

int bundle_close(struct bundle *bundle)
{
	int error = bundle->error;

	if (bundle->archive != NULL && archive_write_close(bundle->archive) != ARCHIVE_OK && !error)
		error = -EIO;
	if (bundle->archive != NULL)
		archive_write_free(bundle->archive);
	archive_entry_free(bundle->entry);
	free(bundle);
	return error;
}
