/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "cim/cim.h"

const struct cim_class *cim_schema_find(const struct cim_schema *s, const char *name, size_t n)
{
	uint32_t mask = s->hash_size - 1;
	uint32_t i;

	if (s->hash_size == 0)
		return NULL;
	i = (uint32_t)str_casehash(name, n) & mask;
	/* mofc leaves slots empty, so this ends; the count is for a table that doesn't */
	for (uint32_t tries = 0; tries < s->hash_size; tries++, i = (i + 1) & mask) {
		const struct cim_class *c;

		if (s->hash[i] == 0xffff)
			return NULL;
		c = s->classes[s->hash[i]];
		if (c->name_len == n && str_caseeqn(name, n, c->name))
			return c;
	}
	return NULL;
}

const struct cim_class *cim_ns_find(const struct cim_namespace *ns, const char *name, size_t n)
{
	const struct cim_class *c = cim_schema_find(ns->schema, name, n);

	return c && cim_ns_has(ns, c) ? c : NULL;
}

bool cim_class_is_a(const struct cim_class *sub, const struct cim_class *c)
{
	for (; sub; sub = sub->super)
		if (sub == c)
			return true;
	return false;
}

int cim_prop_find(const struct cim_class *c, const char *name, size_t n)
{
	for (unsigned i = 0; i < c->n_props; i++)
		if (c->props[i]->name_len == n && str_caseeqn(name, n, c->props[i]->name))
			return (int)i;
	return -1;
}

int cim_method_find(const struct cim_class *c, const char *name, size_t n)
{
	for (unsigned i = 0; i < c->n_methods; i++)
		if (str_caseeqn(name, n, c->methods[i]->name))
			return (int)i;
	return -1;
}

int cim_param_find(const struct cim_method *m, const char *name, size_t n)
{
	for (unsigned i = 0; i < m->n_params; i++)
		if (str_caseeqn(name, n, m->params[i].name))
			return (int)i;
	return -1;
}

const struct cim_qual *cim_qual_find(const struct cim_qual *q, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_caseeq(q[i].name, name))
			return &q[i];
	return NULL;
}
