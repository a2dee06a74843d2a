/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/random.h>

#include "base/clock.h"
#include "smiscsid/model.h"

/* One write of the broker's on its way through control. */
struct model_write {
	struct control_write cw;
	struct prov_write *pw;
};

static struct model *of(void *user)
{
	return user;
}

static const void *view_get(void *user)
{
	return control_state_get(of(user)->control);
}

static void view_put(void *user, const void *view)
{
	(void)user;
	/* A reference is counted in the state itself, so giving one back writes to it. */
	san_state_unref((struct san_state *)(uintptr_t)view);
}

static void *changes_new(void *user)
{
	struct providers_change *c = xcalloc(1, sizeof(*c));

	(void)user;
	c->env.now_us = clock_wall_us();
	while (getrandom(c->env.random, sizeof(c->env.random), 0) != sizeof(c->env.random))
		;
	return c;
}

static void changes_free(void *user, void *changes)
{
	struct providers_change *c = changes;

	(void)user;
	if (!c)
		return;
	san_changes_done(&c->list);
	free(c);
}

static bool changes_any(const void *changes)
{
	const struct providers_change *c = changes;

	return c->list.n > 0;
}

static uint32_t run(struct control_write *cw, const struct san_state *s, const struct san_env *env,
		    struct san_changes *ch, struct err *e)
{
	struct model_write *w = container_of(cw, struct model_write, cw);
	struct providers_change c = {.env = *env};

	(void)e; /* the body's own sentence stays in its call */
	if (!w->pw->run(w->pw, s, &c)) {
		san_changes_done(&c.list);
		return SAN_METHOD_FAILED;
	}
	san_changes_done(ch);
	*ch = c.list;
	return SAN_DONE;
}

static void done(struct control_write *cw, enum control_outcome o, const struct san_state *state,
		 const struct err *e)
{
	static const enum prov_outcome outcome[] = {
		[CONTROL_OK] = PROV_OK,
		[CONTROL_REFUSED] = PROV_REFUSED,
		[CONTROL_FAILED] = PROV_FAILED,
		[CONTROL_TIMEOUT] = PROV_TIMEOUT,
		[CONTROL_BUSY] = PROV_BUSY,
	};
	struct model_write *w = container_of(cw, struct model_write, cw);

	(void)state;
	w->pw->done(w->pw, outcome[o], e);
	free(w);
}

static void submit(void *user, struct prov_write *pw)
{
	struct model_write *w = xcalloc(1, sizeof(*w));

	w->cw.run = run;
	w->cw.done = done;
	w->cw.refresh = pw->doubtful;
	w->cw.here = pw->here;
	w->pw = pw;
	control_submit(of(user)->control, &w->cw);
}

void model_init(struct model *m, struct control *control, const struct providers_server *server)
{
	*m = (struct model){.control = control};
	m->module = (struct prov_module){
		.name = "san",
		.user = m,
		.view_get = view_get,
		.view_put = view_put,
		.changes_new = changes_new,
		.changes_free = changes_free,
		.changes_any = changes_any,
		.submit = submit,
	};
	providers_fill(&m->module, server);
}
