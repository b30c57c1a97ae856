/* SPDX-License-Identifier: BSD-3-Clause */
/* What a daemon says at start about settings that are written and that it does not honour yet. */
#include "config/source.h"

static bool works(const struct config_setting *setting, enum config_daemon daemon)
{
	/* An empty text or list asks for nothing. */
	for (size_t i = 0; i < setting->count; i++)
		if (setting->values[i][0] && !config_row_works(setting->row, daemon, setting->values[i]))
			return false;
	return true;
}

void config_log_unimplemented(const struct config *config, enum config_daemon daemon)
{
	const struct config_object *o;
	const struct config_setting *s;
	char path[256];

	for (o = config->private->objects; o; o = o->next)
		for (s = o->settings; s; s = s->next)
			if (!works(s, daemon))
				log_notice("config", "setting is not implemented yet",
					LOG_TEXT("path", config_path(o, s->row, path, sizeof(path))),
					LOG_TEXT("file", config_file(config)), LOG_UINT("line", s->line));
}
