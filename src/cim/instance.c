/* SPDX-License-Identifier: Apache-2.0 */
#include "cim/cim.h"

void cim_instance_clear(struct cim_instance *i)
{
	for (unsigned k = 0; k < i->cls->n_props; k++) {
		i->v[k] = i->cls->props[k]->dflt;
		i->v[k].type = i->cls->props[k]->type;
	}
}

struct cim_instance *cim_instance_new(struct arena *a, const struct cim_class *c)
{
	struct cim_instance *i = arena_zalloc(a, sizeof(*i));

	if (!i)
		return NULL;
	i->cls = c;
	i->v = arena_alloc(a, c->n_props * sizeof(*i->v));
	if (!i->v)
		return NULL;
	cim_instance_clear(i);
	return i;
}

struct cim_instance *cim_instance_dup(struct arena *a, const struct cim_instance *i)
{
	struct cim_instance *c = arena_zalloc(a, sizeof(*c));

	if (!c)
		return NULL;
	c->cls = i->cls;
	c->v = arena_alloc(a, i->cls->n_props * sizeof(*c->v));
	if (!c->v)
		return NULL;
	for (unsigned k = 0; k < i->cls->n_props; k++)
		if (!cim_value_dup(a, &i->v[k], &c->v[k]))
			return NULL;
	if (i->path) {
		c->path = cim_path_dup(a, i->path);
		if (!c->path)
			return NULL;
	}
	return c;
}
