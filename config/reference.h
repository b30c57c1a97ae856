/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference page of the configuration language, written from the schema (docs/configuration.md). */
#ifndef CONFIG_REFERENCE_H
#define CONFIG_REFERENCE_H

#include <stdio.h>

/* Markdown of the whole schema. 0, or -EIO when the stream reports an error. The stream stays the caller's. */
int config_reference_write(FILE *out);

#endif
