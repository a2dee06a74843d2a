/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

/* The one process-wide setting: what is worth a line does not depend on who asks. */
static atomic_int lowest = LOG_L_INFO;

static const char *const names[] = {"error", "warning", "info", "debug"};
static const int priority[] = {3, 4, 6, 7}; /* syslog(3) */

void log_set_level(enum log_level l)
{
	atomic_store_explicit(&lowest, (int)l, memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (streq(name, names[i])) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_wants(enum log_level l)
{
	return (int)l <= atomic_load_explicit(&lowest, memory_order_relaxed);
}

void log_line(enum log_level l, const char *room, const char *fmt, ...)
{
	char text[4096], line[8400]; /* an audit line names whole object paths */
	size_t n = 0;
	va_list ap;
	int r;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (getenv("JOURNAL_STREAM"))
		r = snprintf(line, 64, "<%d>%s: ", priority[l], room);
	else
		r = snprintf(line, 64, "%s: %s: ", names[l], room);
	n = (size_t)r;
	for (const char *p = text; *p && n < sizeof(line) - 6; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
		else
			line[n++] = *p;
	}
	line[n++] = '\n';
	/* One write per line: lines of several threads never mix. */
	(void)!write(STDERR_FILENO, line, n);
}
