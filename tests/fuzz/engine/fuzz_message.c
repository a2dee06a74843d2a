/* SPDX-License-Identifier: Apache-2.0 */
/* A line from the target, which faces the network: notification, answer, statistics. */
#include "engine/user/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touch every text, as control does. */
static void told(void *ctx, const struct engine_event *ev)
{
	size_t *n = ctx;
	const struct san_seen_session *s = &ev->session;

	*n += strlen(ev->why);
	if (ev->kind == ENGINE_PORTAL)
		*n += strlen(ev->address);
	if (ev->kind == ENGINE_SESSION_UP) {
		*n += strlen(s->iqn) + strlen(s->initiator) + strlen(s->isid) + strlen(s->auth);
		for (size_t i = 0; i < s->n_connections; i++)
			*n += strlen(s->connections[i].peer) + strlen(s->connections[i].local);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const method[] = {"portal", "session", "unit"};
	json_t *m = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct engine_stats st;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(method); i++)
		message_notification(method[i], m, told, &n);
	message_reports(m, told, &n);
	message_stats(m, &st);
	engine_stats_done(&st);
	json_decref(m);
	return 0;
}
