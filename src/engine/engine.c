/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

void engine_stats_done(struct engine_stats *st)
{
	free(st->nodes);
	free(st->sessions);
	*st = (struct engine_stats){0};
}

bool engine_cares(const struct san_change *c)
{
	return c->kind >= SAN_UNIT && c->kind <= SAN_LUN && san_change_is_durable(c);
}
