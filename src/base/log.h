/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line per event: a sentence for people, key=value for machines
 *
 * Lines go to stderr (the journal reads it there); "<N>" priorities in front when
 * JOURNAL_STREAM says that the journal is listening.  Control characters in
 * foreign text are escaped, so nobody can forge a line.  Secrets are never passed
 * to a log function.
 *
 * Depends on: base.h.  Threads: any.
 */
#pragma once

#include "base/base.h"

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };

/* The lowest level that is still written; LOG_L_INFO until set.  Called from main(). */
void log_set_level(enum log_level l);
bool log_level_parse(const char *name, enum log_level *ret) MUST_CHECK;
bool log_wants(enum log_level l);

/* room: the room's name ("store", "target"), printed in front. */
void log_line(enum log_level l, const char *room, const char *fmt, ...) PRINTF(3, 4);

#define log_at(l, room, ...)                              \
	do {                                              \
		if (log_wants(l))                         \
			log_line((l), #room, __VA_ARGS__); \
	} while (0)
#define log_error(room, ...) log_at(LOG_L_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...)  log_at(LOG_L_WARN, room, __VA_ARGS__)
#define log_info(room, ...)  log_at(LOG_L_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_at(LOG_L_DEBUG, room, __VA_ARGS__)
