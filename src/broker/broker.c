/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "broker/internal.h"

/* ---- names ---- */

static char slash(char c)
{
	return c == '\\' ? '/' : str_lower_c(c);
}

/* Slashes at the ends don't count, nor does their direction (Windows clients), nor case. */
static bool same_ns(const char *a, const char *b)
{
	while (slash(*a) == '/')
		a++;
	while (slash(*b) == '/')
		b++;
	while (*a && slash(*a) == slash(*b))
		a++, b++;
	while (slash(*a) == '/')
		a++;
	while (slash(*b) == '/')
		b++;
	return !*a && !*b;
}

struct space *space_find(const struct broker *b, const char *name)
{
	if (!name)
		return NULL;
	for (size_t i = 0; i < b->c.n_aliases; i++) {
		if (same_ns(name, b->c.aliases[i].alias)) {
			name = b->c.aliases[i].name;
			break;
		}
	}
	for (size_t i = 0; i < b->c.n_namespaces; i++)
		if (same_ns(name, b->spaces[i].ns->name))
			return &b->spaces[i];
	return NULL;
}

const struct cim_class *class_anywhere(const struct broker *b, const struct space *sp,
				       const char *name)
{
	const struct cim_class *c = cim_schema_find(b->schema, name, strlen(name));

	if (!c || cim_ns_has(sp->ns, c))
		return c;
	for (size_t i = 0; i < b->c.n_namespaces; i++)
		if (cim_ns_has(b->spaces[i].ns, c))
			return c;
	return NULL;
}

static struct space *space_of(const struct broker *b, const struct cim_namespace *ns)
{
	for (size_t i = 0; i < b->c.n_namespaces; i++)
		if (b->spaces[i].ns == ns)
			return &b->spaces[i];
	return NULL;
}

const struct row *row_of(const struct broker *b, const struct prov_class *pc)
{
	const struct space *sp = space_of(b, pc->ns);

	return sp ? sp->row[pc->cls->id] : NULL;
}

const struct prov_method *body_of(const struct broker *b, unsigned mod, const struct cim_class *c,
				  int method)
{
	const struct prov_method **m = b->bodies[mod][c->id];

	return m ? m[method] : NULL;
}

static unsigned depth(const struct cim_class *c)
{
	unsigned n = 0;

	for (; c->super; c = c->super)
		n++;
	return n;
}

const struct prov_edit *edit_of(const struct prov_module *m, const struct cim_class *c)
{
	const struct prov_edit *best = NULL;

	for (size_t i = 0; i < m->n_edits; i++)
		if (cim_class_is_a(c, m->edits[i].cls) &&
		    (!best || depth(m->edits[i].cls) > depth(best->cls)))
			best = &m->edits[i];
	return best;
}

/* ---- making the tables ---- */

static int add_row(struct broker *b, struct row row, const struct cim_namespace *ns, struct err *e)
{
	struct row *r = &b->rows[b->n_rows];
	const char *name = row.cls ? row.cls->name : NULL;

	if (!name || row.cls->id >= b->schema->n_classes ||
	    b->schema->classes[row.cls->id] != row.cls)
		return err_set(e, -EINVAL, "module %s serves a class that is not in the schema",
			       row.mod->name);
	row.space = space_of(b, ns);
	if (!row.space)
		return err_set(e, -EINVAL, "module %s serves %s in a namespace that isn't ours",
			       row.mod->name, name);
	if (!cim_ns_has(ns, row.cls))
		return err_set(e, -EINVAL, "module %s serves %s, which is not in namespace %s",
			       row.mod->name, name, ns->name);
	if (row.cls->flags & CIM_C_ABSTRACT)
		return err_set(e, -EINVAL, "module %s serves %s, which is abstract", row.mod->name,
			       name);
	if (row.cls->n_keys == 0 || row.cls->n_keys > KEYS_MAX)
		return err_set(e, -EINVAL, "class %s has %u keys, allowed 1..%d", name,
			       row.cls->n_keys, KEYS_MAX);
	if (row.space->row[row.cls->id])
		return err_set(e, -EEXIST, "class %s in namespace %s is served twice", name,
			       ns->name);
	*r = row;
	row.space->row[row.cls->id] = r;
	b->n_rows++;
	return 0;
}

static int add_assoc(struct broker *b, const struct prov_assoc *pa, struct row row, struct err *e)
{
	int r = add_row(b, row, pa->ns, e);
	struct row *at;

	if (r < 0)
		return r;
	at = &b->rows[b->n_rows - 1];
	for (int i = 0; i < 2; i++)
		if (pa->ref[i] >= pa->cls->n_props || pa->cls->props[pa->ref[i]]->type != CIM_REF ||
		    pa->ref[0] == pa->ref[1])
			return err_set(e, -EINVAL,
				       "association %s: end %d is not a reference of it",
				       pa->cls->name, i);
	for (size_t k = 0; k < pa->cls->n_keys; k++)
		if (pa->cls->keys[k] != pa->ref[0] && pa->cls->keys[k] != pa->ref[1])
			at->keys_beyond_refs = true;
	return 0;
}

static void rows_add(struct rows *rs, const struct row *r)
{
	rs->v = xrealloc(rs->v, (rs->n + 1) * sizeof(struct row *));
	rs->v[rs->n++] = r;
}

/* A link across namespaces may be there twice, once in each, so that both list it: of the same
 * class, or of sisters.  Then an object shows the one that is in its own namespace. */
static bool has_twin(const struct broker *b, const struct row *a, const struct space *sp)
{
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *t = &b->rows[i];

		if (t->pa && t->mod == a->mod && t->space == sp &&
		    (t->cls == a->cls || (t->cls->super && t->cls->super == a->cls->super)))
			return true;
	}
	return false;
}

/* Which roles can objects of a row have?  Only within one module: a link's ends are handles of
 * the same view. */
static void find_cands(struct broker *b, struct row *r)
{
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *a = &b->rows[i];

		if (!a->pa || a->mod != r->mod)
			continue;
		if (a->space != r->space && has_twin(b, a, r->space))
			continue;
		for (int w = 0; w < 2; w++) {
			const struct cim_class *end = a->cls->props[a->pa->ref[w]]->ref_class;

			if (end && !cim_class_is_a(r->cls, end))
				continue;
			r->cands = xrealloc(r->cands, (r->n_cands + 1) * sizeof(struct cand));
			r->cands[r->n_cands++] = (struct cand){a, w};
		}
	}
}

static void add_body(struct broker *b, unsigned mod, const struct cim_class *c, int idx,
		     const struct prov_method *m)
{
	const struct prov_method ***at = &b->bodies[mod][c->id];

	if (!*at)
		*at = xcalloc(c->n_methods, sizeof(**at));
	if (!(*at)[idx] || depth((*at)[idx]->cls) < depth(m->cls))
		(*at)[idx] = m;
	for (size_t i = 0; i < c->n_subs; i++)
		add_body(b, mod, c->subs[i], idx, m);
}

static int add_methods(struct broker *b, unsigned mod, struct err *e)
{
	const struct prov_module *pm = b->c.modules[mod];

	b->bodies[mod] = xcalloc(b->schema->n_classes, sizeof(*b->bodies[mod]));
	for (size_t i = 0; i < pm->n_methods; i++) {
		const struct prov_method *m = &pm->methods[i];
		int idx = cim_method_find(m->cls, m->name, strlen(m->name));
		const struct prov_method *old;

		if (idx < 0)
			return err_set(e, -EINVAL, "module %s: class %s has no method %s", pm->name,
				       m->cls->name, m->name);
		old = body_of(b, mod, m->cls, idx);
		if (old && old->cls == m->cls)
			return err_set(e, -EEXIST, "module %s: two bodies for %s.%s", pm->name,
				       m->cls->name, m->name);
		add_body(b, mod, m->cls, idx, m);
	}
	for (size_t i = 0; i < pm->n_edits; i++)
		for (size_t j = 0; j < i; j++)
			if (pm->edits[i].cls == pm->edits[j].cls)
				return err_set(e, -EEXIST, "module %s: two edits for %s", pm->name,
					       pm->edits[i].cls->name);
	return 0;
}

static int add_module(struct broker *b, unsigned mod, struct err *e)
{
	const struct prov_module *pm = b->c.modules[mod];
	int r;

	for (size_t i = 0; i < pm->n_classes; i++) {
		const struct prov_class *pc = &pm->classes[i];

		r = add_row(
			b,
			(struct row){.pc = pc, .cls = pc->cls, .mod = pm, .mod_idx = (uint16_t)mod},
			pc->ns, e);
		if (r < 0)
			return r;
		if (pc->mod != pm || (pc->next && !pc->keys))
			return err_set(e, -EINVAL, "module %s: class %s is half filled in",
				       pm->name, pc->cls->name);
	}
	for (size_t i = 0; i < pm->n_assocs; i++) {
		const struct prov_assoc *pa = &pm->assocs[i];

		r = add_assoc(
			b, pa,
			(struct row){.pa = pa, .cls = pa->cls, .mod = pm, .mod_idx = (uint16_t)mod},
			e);
		if (r < 0)
			return r;
		if (pa->mod != pm || !pa->next != !pa->walk)
			return err_set(e, -EINVAL, "module %s: association %s is half filled in",
				       pm->name, pa->cls->name);
	}
	return add_methods(b, mod, e);
}

static int make_tables(struct broker *b, struct err *e)
{
	size_t n = 0, words = (size_t)b->schema->n_classes / 64 + 1;
	int r;

	b->all_bits = xcalloc(words, sizeof(*b->all_bits));
	memset(b->all_bits, 0xff, words * sizeof(*b->all_bits));
	b->anywhere = (struct cim_namespace){"", b->schema, b->all_bits};
	b->spaces = xcalloc(b->c.n_namespaces, sizeof(*b->spaces));
	for (size_t i = 0; i < b->c.n_namespaces; i++) {
		b->spaces[i].ns = b->c.namespaces[i];
		b->spaces[i].row = xcalloc(b->schema->n_classes, sizeof(struct row *));
		b->spaces[i].below = xcalloc(b->schema->n_classes, sizeof(struct rows));
		if (b->c.namespaces[i]->schema != b->schema)
			return err_set(e, -EINVAL, "namespace %s has a schema of its own",
				       b->c.namespaces[i]->name);
	}
	for (size_t i = 0; i < b->c.n_aliases; i++)
		if (!space_find(b, b->c.aliases[i].name))
			return err_set(e, -EINVAL,
				       "alias %s is for namespace %s, which is not there",
				       b->c.aliases[i].alias, b->c.aliases[i].name);
	for (size_t i = 0; i < b->c.n_modules; i++)
		n += b->c.modules[i]->n_classes + b->c.modules[i]->n_assocs;
	b->rows = xcalloc(n + 1, sizeof(*b->rows));
	for (unsigned i = 0; i < b->c.n_modules; i++) {
		r = add_module(b, i, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < b->n_rows; i++) {
		struct row *row = &b->rows[i];

		for (const struct cim_class *c = row->cls; c; c = c->super)
			rows_add(&row->space->below[c->id], row);
		if (row->pc)
			find_cands(b, row);
	}
	return 0;
}

struct broker *broker_new(const struct broker_config *c, struct err *e)
{
	struct broker_limits *l;
	struct broker *b;

	if (c->n_namespaces == 0 || c->n_modules > MODULES_MAX) {
		(void)err_set(e, -EINVAL, "%zu namespaces and %zu modules, allowed 1.. and 0..%d",
			      c->n_namespaces, c->n_modules, MODULES_MAX);
		return NULL;
	}
	b = xcalloc(1, sizeof(*b));
	b->c = *c;
	b->schema = c->namespaces[0]->schema;
	l = &b->c.limits;
	l->contexts = l->contexts ? l->contexts : 200;
	l->contexts_per_user = l->contexts_per_user ? l->contexts_per_user : 50;
	l->pull_max_objects = l->pull_max_objects ? l->pull_max_objects : 10000;
	l->pull_timeout_s = l->pull_timeout_s ? l->pull_timeout_s : 30;
	l->pull_timeout_max_s = l->pull_timeout_max_s ? l->pull_timeout_max_s : 900;
	l->query_bytes = l->query_bytes ? l->query_bytes : 65536;
	l->query = l->query.depth ? l->query : query_limits_usual;
	l->context_bytes = l->context_bytes ? l->context_bytes : 4 << 20;
	l->turn_ns = l->turn_ns ? l->turn_ns : 5 * 1000 * 1000;
	l->write_bytes = l->write_bytes ? l->write_bytes : 16 << 20;
	(void)pthread_mutex_init(&b->lock, NULL);
	if (make_tables(b, e) < 0) {
		broker_free(b);
		return NULL;
	}
	return b;
}

void broker_free(struct broker *b)
{
	if (!b)
		return;
	pull_drop_all(b);
	for (size_t i = 0; b->spaces && i < b->c.n_namespaces; i++) {
		for (size_t k = 0; b->spaces[i].below && k < b->schema->n_classes; k++)
			free(b->spaces[i].below[k].v);
		free(b->spaces[i].below);
		free(b->spaces[i].row);
	}
	free(b->spaces);
	for (size_t i = 0; i < b->n_rows; i++)
		free(b->rows[i].cands);
	free(b->rows);
	for (size_t i = 0; i < b->c.n_modules; i++) {
		for (size_t k = 0; b->bodies[i] && k < b->schema->n_classes; k++)
			free(b->bodies[i][k]);
		free(b->bodies[i]);
	}
	free(b->all_bits);
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
}

bool broker_serves_class(const struct broker *b, const struct cim_class *c)
{
	for (size_t i = 0; i < b->c.n_namespaces; i++) {
		const struct row *r = b->spaces[i].row[c->id];

		if (r && (r->pc ? r->pc->next || r->pc->find : r->pa->next != NULL))
			return true;
	}
	return false;
}

bool broker_serves_method(const struct broker *b, const struct cim_class *c, const char *method)
{
	int idx = cim_method_find(c, method, strlen(method));

	for (unsigned i = 0; idx >= 0 && i < b->c.n_modules; i++)
		if (body_of(b, i, c, idx))
			return true;
	return false;
}
