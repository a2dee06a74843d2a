/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - between the model and the JSON of docs/control-protocol.md
 *
 * Pure functions.  What comes from the socket is believed only as far as its types and
 * lengths hold; a member that is missing or of another type reads as empty.
 *
 * Depends on: engine.h, jansson.  Threads: no state.
 */
#pragma once

#include <jansson.h>

#include "engine/engine.h"

/* params of "apply" for one list; the caller decrefs. */
json_t *message_apply(const struct san_changes *ch, const char *units_dir, uint64_t gen) MUST_CHECK;
/* Is there anything in it that the target must be told? */
bool message_is_empty(const json_t *apply_params);

/* params of "replace".  Volumes whose file or device is missing are left out with their logical
 * units; missing() is called for each. */
json_t *message_replace(const struct san_state *s, const char *units_dir,
			void (*missing)(void *ctx, const struct san_unit *u, const char *why),
			void *ctx) MUST_CHECK;

/* A notification, or a member of "portals" or "sessions", told to notify. */
void message_portal(const json_t *portal, engine_notify *notify, void *ctx);
void message_session(const json_t *session, bool up, engine_notify *notify, void *ctx);
void message_notification(const char *method, const json_t *params, engine_notify *notify,
			  void *ctx);
/* What an answer to "apply", "replace" or "state" tells besides. */
void message_reports(const json_t *result, engine_notify *notify, void *ctx);

void message_stats(const json_t *result, struct engine_stats *ret);
