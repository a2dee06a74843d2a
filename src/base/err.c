/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	e->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int code = errno ? -errno : -EIO;
	const char *why = strerrordesc_np(-code);
	va_list ap;
	size_t n;

	if (!e)
		return code;
	e->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", why ? why : "unknown error");
	return code;
}

int err_in(struct err *e, const char *fmt, ...)
{
	char where[sizeof(e->text)];
	size_t n, w, room;
	va_list ap;

	if (!e)
		return -EIO;
	va_start(ap, fmt);
	(void)vsnprintf(where, sizeof(where), fmt, ap);
	va_end(ap);

	/* The cause is worth more than the place: when space runs out, cut the prefix. */
	n = strlen(e->text);
	room = sizeof(e->text) - 1 - n;
	w = strlen(where);
	if (w + 2 > room)
		w = room > 2 ? room - 2 : 0;
	if (w > 0) {
		memmove(e->text + w + 2, e->text, n + 1);
		memcpy(e->text, where, w);
		memcpy(e->text + w, ": ", 2);
	}
	return e->code;
}
