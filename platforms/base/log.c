/* SPDX-License-Identifier: BSD-3-Clause */
/* Log records: one line and one write(2) each to stderr, or one datagram with native fields to journald.
 *
 * Values come from the network. On a line they are quoted and escaped so that no byte of theirs can start a second
 * line, forge a field or drive a terminal; journald gets them as they are, its protocol carries lengths. */
#include "platforms/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

/* Without this, the journal's records would claim to come from this file's lines. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "platforms/base/clock.h"
#include "platforms/base/log_ring.h"

enum {
	LINE_MAX_BYTES = 4096, /* PIPE_BUF: one write to a pipe stays in one piece beside other writers */
	VALUE_MAX = 1024, /* bytes of one value that are shown */
	NAME_MAX_BYTES = 64,
	JOURNAL_FIELDS_MAX = 24,
	JOURNAL_BUFFER = 8192,
};

/* clang-format off */
static const struct {
	const char *name; /* in the configuration */
	const char *label;
	int priority;     /* syslog's */
} levels[] = {
	[LOG_LEVEL_ERROR]   = { "error",   "ERROR",   LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning", "WARNING", LOG_WARNING },
	[LOG_LEVEL_NOTICE]  = { "notice",  "NOTICE",  LOG_NOTICE },
	[LOG_LEVEL_INFO]    = { "info",    "INFO",    LOG_INFO },
	[LOG_LEVEL_DEBUG]   = { "debug",   "DEBUG",   LOG_DEBUG },
};
/* clang-format on */

_Atomic enum log_level log_level_now = LOG_LEVEL_INFO;

/* Written by log_open before threads start, read by all. */
static char process_name[NAME_MAX_BYTES] = "sallyport";
static bool to_journal;

/* systemd tells the identity of the stream it gave us; after `2>file` it is no longer our stderr. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct span rest = span_from(stream);
	struct span device_text = span_cut(&rest, ':');
	uint64_t device;
	uint64_t inode;
	struct stat st;

	if (span_to_uint(device_text, UINT64_MAX, &device) < 0 || span_to_uint(rest, UINT64_MAX, &inode) < 0)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *name, enum log_level level)
{
	struct writer w;

	writer_init(&w, process_name, sizeof(process_name) - 1);
	writer_text(&w, name);
	process_name[w.len] = '\0';
	to_journal = stderr_is_journal();
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	log_level_now = level;
}

static void write_escaped_byte(struct writer *w, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char code[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };

	switch (c) {
	case '\n':
		writer_text(w, "\\n");
		break;
	case '\r':
		writer_text(w, "\\r");
		break;
	case '\t':
		writer_text(w, "\\t");
		break;
	default:
		writer_span(w, (struct span){ code, sizeof(code) });
		break;
	}
}

/* Bytes from 0x80 on are escaped too: what they mean depends on the reader's terminal. */
static bool is_printable(unsigned char c)
{
	return c >= 0x20 && c < 0x7f;
}

/* For our own words: readable as they are, but never more than one line. */
static void write_words(struct writer *w, const char *text)
{
	for (; text && *text; text++) {
		if (is_printable((unsigned char)*text))
			writer_char(w, *text);
		else
			write_escaped_byte(w, (unsigned char)*text);
	}
}

static bool needs_quotes(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!is_printable(c) || c == ' ' || c == '"' || c == '\\' || c == '=')
			return true;
	}
	return s.n == 0;
}

static void write_quoted(struct writer *w, struct span s)
{
	bool cut = s.n > VALUE_MAX;

	if (cut)
		s.n = VALUE_MAX;
	if (!cut && !needs_quotes(s)) {
		writer_span(w, s);
		return;
	}
	writer_char(w, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			writer_span(w, (struct span){ (char[]){ '\\', (char)c }, 2 });
		else if (is_printable(c))
			writer_char(w, (char)c);
		else
			write_escaped_byte(w, c);
	}
	writer_text(w, cut ? "\"..." : "\"");
}

/* The value as text; either the caller's bytes or `scratch`. */
static struct span field_text(const struct log_field *f, char scratch[static 128])
{
	struct writer w;

	writer_init(&w, scratch, 128);
	switch (f->type) {
	case LOG_FIELD_SPAN:
		return f->value.span;
	case LOG_FIELD_UINT:
		writer_uint(&w, f->value.uint);
		break;
	case LOG_FIELD_INT:
		writer_format(&w, "%lld", (long long)f->value.sint);
		break;
	case LOG_FIELD_ADDRESS:
		if (!f->value.address)
			return SPAN("none");
		return span_from(address_print(f->value.address, scratch));
	case LOG_FIELD_ERRNO:
		/* GNU strerror_r: thread safe, and may answer with its own constant text. */
		return span_from(strerror_r(abs(f->value.error), scratch, 128));
	case LOG_FIELD_END:
		break;
	}
	return writer_result(&w);
}

/* "component: message key=value ..." */
static void write_text(
	struct writer *w, const char *component, const char *message, const struct log_field *fields)
{
	char scratch[128];

	write_words(w, component);
	writer_text(w, ": ");
	write_words(w, message);
	for (; fields->type != LOG_FIELD_END; fields++) {
		writer_char(w, ' ');
		write_words(w, fields->key);
		writer_char(w, '=');
		write_quoted(w, field_text(fields, scratch));
	}
}

/* The place for the mark is kept free at the end of every buffer. */
static const char cut_mark[] = " [cut]";

static void finish_text(struct writer *w, size_t reserved)
{
	bool cut = w->overflow;

	w->size += reserved;
	w->overflow = false;
	if (cut)
		writer_text(w, cut_mark);
}

static void to_stderr(
	enum log_level level, const char *component, const char *message, const struct log_field *fields)
{
	char line[LINE_MAX_BYTES];
	char time_text[CLOCK_TEXT_MAX];
	const char *at = line;
	struct writer w;

	writer_init(&w, line, sizeof(line) - sizeof(cut_mark));
	writer_text(&w, clock_print_wall(clock_wall_ms(), time_text));
	writer_char(&w, ' ');
	writer_text(&w, levels[level].label);
	writer_char(&w, ' ');
	write_words(&w, process_name);
	writer_char(&w, ' ');
	write_text(&w, component, message, fields);
	finish_text(&w, sizeof(cut_mark));
	writer_char(&w, '\n');
	/* A full pipe of a reader that stopped must not stop us: what it cannot take is lost. */
	while (write(STDERR_FILENO, at, w.len) < 0 && errno == EINTR)
		;
}

/* One "NAME=value" of a journal record; names may hold A-Z, 0-9 and '_' only. */
static struct iovec journal_field(struct writer *w, const char *prefix, const char *key, struct span value)
{
	size_t start = w->len;

	writer_text(w, prefix);
	for (; *key; key++) {
		char c = *key;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
			c = '_';
		writer_char(w, c);
	}
	writer_char(w, '=');
	if (value.n > VALUE_MAX)
		value.n = VALUE_MAX;
	writer_span(w, value);
	return (struct iovec){ w->buffer + start, w->len - start };
}

static void to_journald(
	enum log_level level, const char *component, const char *message, const struct log_field *fields)
{
	static const char message_key[] = "MESSAGE=";
	char text[LINE_MAX_BYTES];
	char buffer[JOURNAL_BUFFER];
	char scratch[128];
	struct iovec iov[JOURNAL_FIELDS_MAX];
	struct writer w;
	int n = 0;

	writer_init(&w, text, sizeof(text) - sizeof(cut_mark));
	writer_text(&w, message_key);
	write_text(&w, component, message, fields);
	finish_text(&w, sizeof(cut_mark));
	iov[n++] = (struct iovec){ text, w.len };

	writer_init(&w, buffer, sizeof(buffer));
	scratch[0] = (char)('0' + levels[level].priority);
	iov[n++] = journal_field(&w, "", "PRIORITY", (struct span){ scratch, 1 });
	iov[n++] = journal_field(&w, "", "SYSLOG_IDENTIFIER", span_from(process_name));
	iov[n++] = journal_field(&w, "", "SALLYPORT_COMPONENT", span_from(component));
	for (; fields->type != LOG_FIELD_END && n < JOURNAL_FIELDS_MAX; fields++) {
		struct iovec field =
			journal_field(&w, "SALLYPORT_", fields->key, field_text(fields, scratch));

		/* The text still shows what did not fit here. */
		if (w.overflow)
			break;
		iov[n++] = field;
	}
	sd_journal_sendv(iov, n);
}

static void to_ring(
	enum log_level level, const char *component, const char *message, const struct log_field *fields)
{
	char line[LOG_RING_TEXT_MAX];
	struct writer w;

	writer_init(&w, line, sizeof(line) - sizeof(cut_mark));
	write_text(&w, component, message, fields);
	finish_text(&w, sizeof(cut_mark));
	log_ring_put(level, writer_result(&w));
}

void log_write(
	enum log_level level, const char *component, const char *message, const struct log_field *fields)
{
	int saved = errno;

	if (log_ring_is_open())
		to_ring(level, component, message, fields);

	if (to_journal)
		to_journald(level, component, message, fields);
	else
		to_stderr(level, component, message, fields);
	errno = saved;
}

bool log_allowed(struct log_budget *budget, const char *component, const char *message)
{
	uint64_t now = clock_now_ms() / 1000 + 1; /* never the 0 it starts with */
	uint64_t second = atomic_load_explicit(&budget->second, memory_order_relaxed);
	uint32_t used;

	if (second != now && atomic_compare_exchange_strong(&budget->second, &second, now)) {
		used = atomic_exchange(&budget->used, 0);
		if (used > LOG_BUDGET)
			LOG_AT(LOG_LEVEL_NOTICE, "log", "lines left out", LOG_TEXT("component", component),
				LOG_TEXT("message", message), LOG_UINT("count", used - LOG_BUDGET));
	}
	return atomic_fetch_add(&budget->used, 1) < LOG_BUDGET;
}
