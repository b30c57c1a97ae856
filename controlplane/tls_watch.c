/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories of certificates under inotify; a reload a moment after the last change, so that a certificate and its key are read together. */
#include "controlplane/tls_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/base/log.h"

enum { SETTLE_MS = 300, LOOK_MS = 60000 };

struct directory {
	uv_fs_event_t event; /* first: its close frees by its address */
	struct directory *next;
	bool wanted; /* by some profile's file */
	char path[];
};

struct tls_watch {
	uv_timer_t timer; /* first: its close frees by its address */
	struct tls *tls;
	void (*reloaded)(void *arg);
	void *arg;
	struct directory *directories;
	int error;
};

static void on_timer(uv_timer_t *timer);

static void look_in(struct tls_watch *watch, uint64_t ms)
{
	uv_update_time(watch->timer.loop);
	uv_timer_start(&watch->timer, on_timer, ms, LOOK_MS);
}

void tls_watch_reload(struct tls_watch *watch, struct tls_reloaded *result)
{
	look_in(watch, LOOK_MS);
	tls_reload(watch->tls, result);
	watch->reloaded(watch->arg);
}

static void on_timer(uv_timer_t *timer)
{
	struct tls_reloaded result;

	tls_watch_reload((struct tls_watch *)timer, &result);
}

static void on_change(uv_fs_event_t *event, const char *name, int events, int status)
{
	(void)name, (void)events, (void)status;
	look_in(event->data, SETTLE_MS);
}

static void closed(uv_handle_t *handle)
{
	free(handle);
}

static void add(void *arg, const char *file)
{
	struct tls_watch *watch = arg;
	const char *slash = strrchr(file, '/');
	size_t length = slash > file ? (size_t)(slash - file) : 1;
	struct directory *directory;
	int error;

	for (directory = watch->directories; directory; directory = directory->next)
		if (strlen(directory->path) == length && memcmp(directory->path, file, length) == 0) {
			directory->wanted = true;
			return;
		}
	directory = calloc(1, sizeof(*directory) + length + 1);
	if (!directory) {
		watch->error = -ENOMEM;
		return;
	}
	memcpy(directory->path, file, length);
	uv_fs_event_init(watch->timer.loop, &directory->event);
	directory->event.data = watch;
	directory->wanted = true;
	directory->next = watch->directories;
	watch->directories = directory;
	error = uv_fs_event_start(&directory->event, on_change, directory->path, 0);
	if (error < 0)
		log_notice("tls", "changes of a directory are seen once a minute only",
			LOG_TEXT("directory", directory->path), LOG_ERRNO("error", error));
}

void tls_watch_settle(struct tls_watch *watch)
{
	struct directory *directory, **at;

	if (!watch)
		return;
	for (directory = watch->directories; directory; directory = directory->next)
		directory->wanted = false;
	tls_each_file(watch->tls, add, watch);
	for (at = &watch->directories; (directory = *at) != NULL;) {
		if (directory->wanted) {
			at = &directory->next;
			continue;
		}
		*at = directory->next;
		uv_close((uv_handle_t *)&directory->event, closed);
	}
	watch->reloaded(watch->arg);
}

int tls_watch_new(
	uv_loop_t *loop, struct tls *tls, void (*reloaded)(void *arg), void *arg, struct tls_watch **out)
{
	struct tls_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return -ENOMEM;
	watch->tls = tls;
	watch->reloaded = reloaded;
	watch->arg = arg;
	uv_timer_init(loop, &watch->timer);
	tls_each_file(tls, add, watch);
	if (watch->error) {
		tls_watch_free(watch);
		return -ENOMEM;
	}
	look_in(watch, LOOK_MS);
	*out = watch;
	return 0;
}

void tls_watch_free(struct tls_watch *watch)
{
	struct directory *next;

	if (!watch)
		return;
	for (struct directory *directory = watch->directories; directory; directory = next) {
		next = directory->next;
		uv_close((uv_handle_t *)&directory->event, closed);
	}
	uv_close((uv_handle_t *)&watch->timer, closed);
}
