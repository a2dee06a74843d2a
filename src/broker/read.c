/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "broker/internal.h"

void reader_init(struct reader *r, const struct broker *b, struct arena *arena)
{
	memset(r, 0, sizeof(*r));
	r->b = b;
	r->arena = r->item = arena;
}

void reader_done(struct reader *r)
{
	for (size_t i = 0; i < r->b->c.n_modules; i++) {
		const struct prov_module *m = r->b->c.modules[i];

		if (r->pinned[i])
			m->view_put(m->user, r->view[i]);
		r->pinned[i] = false;
	}
}

/* A module's view is pinned when it is first needed, and stays: one operation sees one state. */
struct prov_ctx reader_ctx(struct reader *r, const struct row *row)
{
	unsigned i = row->mod_idx;

	if (!r->pinned[i]) {
		r->view[i] = row->mod->view_get(row->mod->user);
		r->pinned[i] = true;
	}
	return (struct prov_ctx){row->mod, r->view[i], r->item, r->b->c.host};
}

/* ---- finding ---- */

static bool keys_match(const struct prov_ctx *c, const struct prov_obj *o,
		       const struct cim_value *keys, size_t n)
{
	struct cim_value v[KEYS_MAX];

	o->pc->keys(c, o, v);
	for (size_t i = 0; i < n; i++)
		if (!cim_value_eq(&v[i], &keys[i]))
			return false;
	return true;
}

/* Handles of one object are usually the same words, but nothing says that they must be. */
bool same_obj(const struct prov_ctx *c, const struct prov_obj *a, const struct prov_obj *b)
{
	struct cim_value v[KEYS_MAX];

	if (a->pc != b->pc)
		return false;
	if (a->p == b->p && a->aux == b->aux)
		return true;
	a->pc->keys(c, a, v);
	return keys_match(c, b, v, a->pc->cls->n_keys);
}

bool row_find(const struct prov_ctx *c, const struct row *row, const struct cim_path *p,
	      struct prov_obj *ret)
{
	struct cim_value keys[KEYS_MAX];
	struct prov_iter it = {0};
	struct prov_obj o = {0};

	if (!row->pc || p->n_keys != row->cls->n_keys)
		return false;
	for (size_t i = 0; i < p->n_keys; i++)
		keys[i] = p->keys[i].v;
	if (row->pc->find) {
		if (!row->pc->find(c, keys, &o))
			return false;
		*ret = o;
		ret->pc = row->pc;
		return true;
	}
	if (!row->pc->next)
		return false;
	while (row->pc->next(c, &it, &o)) {
		o.pc = row->pc;
		if (keys_match(c, &o, keys, p->n_keys)) {
			*ret = o;
			return true;
		}
	}
	return false;
}

/* The object at one end of a link's path. */
static bool find_end(const struct broker *b, const struct prov_ctx *c, const struct row *row,
		     const struct cim_path *p, unsigned which, struct prov_obj *ret)
{
	const char *ref = row->cls->props[row->pa->ref[which]]->name;
	const struct cim_path *q = NULL;
	const struct space *sp;

	for (size_t i = 0; i < p->n_keys; i++)
		if (str_caseeq(p->keys[i].name, ref) && p->keys[i].v.type == CIM_REF &&
		    !cim_is_null(&p->keys[i].v))
			q = p->keys[i].v.ref;
	if (!q || !q->cls)
		return false;
	if (q->ns) {
		sp = space_find(b, q->ns);
		return sp && sp->row[q->cls->id] && sp->row[q->cls->id]->mod == row->mod &&
		       row_find(c, sp->row[q->cls->id], q, ret);
	}
	/* A reference without a namespace is one of the link's own, if there is such a class
	 * there, and otherwise of whatever namespace has it. */
	sp = row->space;
	if (sp->row[q->cls->id])
		return sp->row[q->cls->id]->mod == row->mod &&
		       row_find(c, sp->row[q->cls->id], q, ret);
	for (size_t i = 0; i < b->c.n_namespaces; i++) {
		const struct row *r = b->spaces[i].row[q->cls->id];

		if (r && r->mod == row->mod && row_find(c, r, q, ret))
			return true;
	}
	return false;
}

static bool link_has_keys(const struct broker *b, const struct prov_ctx *c, const struct row *row,
			  const struct cim_path *p, const struct prov_link *l)
{
	struct reader r;
	struct made *m;

	if (!row->keys_beyond_refs)
		return true;
	reader_init(&r, b, c->arena);
	r.view[row->mod_idx] = c->view;
	r.pinned[row->mod_idx] = true; /* by whoever made c; never passed to reader_done */
	m = reader_link(&r, row, l, false);
	for (size_t i = 0; m && i < p->n_keys; i++)
		if (p->keys[i].v.type != CIM_REF &&
		    !cim_value_eq(&p->keys[i].v, &m->path.keys[i].v))
			return false;
	return m != NULL;
}

bool link_find(const struct broker *b, const struct prov_ctx *c, const struct row *row,
	       const struct cim_path *p, struct prov_link *ret)
{
	struct prov_iter it[2] = {0};
	struct prov_obj end[2] = {0};

	if (!row->pa || !row->pa->walk || !find_end(b, c, row, p, 0, &end[0]) ||
	    !find_end(b, c, row, p, 1, &end[1]))
		return false;
	/* One end may have a hundred thousand links and the other one: walk from both, a step
	 * each, until either meets the other. */
	for (;;) {
		for (int w = 0; w < 2; w++) {
			struct prov_link l = {0};

			if (!row->pa->walk(c, w, &end[w], &it[w], &l))
				return false;
			l.pa = row->pa;
			if (same_obj(c, &l.end[!w], &end[!w]) && link_has_keys(b, c, row, p, &l)) {
				*ret = l;
				return true;
			}
		}
	}
}

/* ---- making ---- */

bool reader_wants(const struct reader *r, const struct cim_class *c, unsigned idx)
{
	if (r->only && idx >= r->only->n_props)
		return false;
	if (!r->has_props)
		return true;
	for (uint32_t i = 0; i < r->n_props; i++)
		if (str_caseeq(r->props[i], c->props[idx]->name))
			return true;
	return false;
}

static struct made *made_for(struct reader *r, const struct row *row)
{
	struct made *m = r->made;

	if (LIKELY(m && m->row == row))
		return m;
	for (; m; m = m->next)
		if (m->row == row)
			return m;
	m = arena_zalloc(r->arena, sizeof(*m));
	if (!m)
		return NULL;
	m->row = row;
	m->inst = cim_instance_new(r->arena, row->cls);
	m->path.keys = arena_zalloc(r->arena, row->cls->n_keys * sizeof(struct cim_key));
	if (!m->inst || !m->path.keys)
		return NULL;
	m->inst->path = &m->path;
	m->path.cls = row->cls;
	m->path.class_name = row->cls->name;
	m->path.ns = row->space->ns->name;
	m->path.host = r->b->c.host;
	m->path.n_keys = row->cls->n_keys;
	for (size_t i = 0; i < row->cls->n_keys; i++)
		m->path.keys[i].name = row->cls->props[row->cls->keys[i]]->name;
	if (r->has_props || r->only) {
		uint64_t *bits = arena_zalloc(r->arena, ((size_t)row->cls->n_props / 64 + 1) * 8);

		if (!bits)
			return NULL;
		for (unsigned i = 0; i < row->cls->n_props; i++)
			if (reader_wants(r, row->cls, i))
				bits[i / 64] |= UINT64_C(1) << (i % 64);
		m->bits = bits;
	}
	m->next = r->made;
	r->made = m;
	return m;
}

struct made *reader_obj(struct reader *r, const struct row *row, const struct prov_obj *o,
			bool fill)
{
	struct prov_ctx c = reader_ctx(r, row);
	struct made *m = made_for(r, row);
	struct cim_value v[KEYS_MAX];

	if (!m)
		return NULL;
	row->pc->keys(&c, o, v);
	for (size_t i = 0; i < row->cls->n_keys; i++) {
		m->path.keys[i].v = v[i];
		m->inst->v[row->cls->keys[i]] = v[i];
	}
	if (fill && row->pc->fill)
		row->pc->fill(&c, o, m->inst);
	return m;
}

static struct cim_path *end_path(const struct prov_ctx *c, const struct prov_obj *o)
{
	struct cim_path *p = prov_path(c, o);

	if (p)
		p->host = c->host;
	return p;
}

struct made *reader_link(struct reader *r, const struct row *row, const struct prov_link *l,
			 bool fill)
{
	struct prov_ctx c = reader_ctx(r, row);
	struct made *m = made_for(r, row);

	if (!m)
		return NULL;
	for (size_t i = 0; i < 2; i++) {
		const struct cim_path *p = end_path(&c, &l->end[i]);

		if (!p)
			return NULL;
		m->inst->v[row->pa->ref[i]] = cim_ref(p);
	}
	if ((fill || row->keys_beyond_refs) && row->pa->fill)
		row->pa->fill(&c, l, m->inst);
	for (size_t i = 0; i < row->cls->n_keys; i++)
		m->path.keys[i].v = m->inst->v[row->cls->keys[i]];
	return m;
}

struct cim_path *prov_path(const struct prov_ctx *c, const struct prov_obj *o)
{
	const struct cim_class *cls = o->pc->cls;
	struct cim_path *p = arena_zalloc(c->arena, sizeof(*p));
	struct cim_key *k = arena_alloc(c->arena, cls->n_keys * sizeof(*k));
	struct cim_value v[KEYS_MAX];

	if (!p || !k)
		return NULL;
	o->pc->keys(c, o, v);
	for (size_t i = 0; i < cls->n_keys; i++)
		k[i] = (struct cim_key){cls->props[cls->keys[i]]->name, v[i]};
	p->ns = o->pc->ns->name;
	p->class_name = cls->name;
	p->cls = cls;
	p->keys = k;
	p->n_keys = cls->n_keys;
	return p;
}
