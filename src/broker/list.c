/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/str.h"
#include "broker/internal.h"

/* ---- which objects came already ---- */

/* Two associations may lead to the same object; it is listed once (the DSP speaks of a set). */
struct seen {
	struct prov_obj *slot; /* open addressing; pc NULL: free */
	size_t size, n;        /* size: a power of two */
};

static struct prov_obj *seen_slot(const struct seen *s, const struct prov_obj *o)
{
	uintptr_t words[3] = {(uintptr_t)o->pc, (uintptr_t)o->p, (uintptr_t)o->aux};
	size_t i = (size_t)str_hash(words, sizeof(words)) & (s->size - 1);

	while (s->slot[i].pc &&
	       (s->slot[i].pc != o->pc || s->slot[i].p != o->p || s->slot[i].aux != o->aux))
		i = (i + 1) & (s->size - 1);
	return &s->slot[i];
}

static void seen_grow(struct seen *s)
{
	struct seen old = *s;

	s->size = old.size ? old.size * 2 : 64;
	s->slot = xcalloc(s->size, sizeof(*s->slot));
	for (size_t i = 0; i < old.size; i++)
		if (old.slot[i].pc)
			*seen_slot(s, &old.slot[i]) = old.slot[i];
	free(old.slot);
}

static bool seen_before(struct seen *s, const struct prov_obj *o)
{
	struct prov_obj *at;

	if (s->n * 2 >= s->size)
		seen_grow(s);
	at = seen_slot(s, o);
	if (at->pc)
		return true;
	*at = *o;
	s->n++;
	return false;
}

/* ---- setting up ---- */

void list_init(struct listing *l, const struct broker *b, struct arena *arena)
{
	memset(l, 0, sizeof(*l));
	reader_init(&l->rd, b, arena);
	l->rd.item = arena_new(ITEM_ARENA_MAX);
}

void list_done(struct listing *l)
{
	reader_done(&l->rd);
	arena_free(l->rd.item);
	if (l->seen)
		free(l->seen->slot);
	free(l->seen);
}

void list_class(struct listing *l, const struct space *sp, const struct cim_class *c)
{
	l->kind = LIST_CLASS;
	l->rows = sp->below[c->id];
}

static bool related(const struct cim_class *a, const struct cim_class *b)
{
	return cim_class_is_a(a, b) || cim_class_is_a(b, a);
}

static bool cand_passes(const struct cand *k, enum list_kind kind, const struct list_filter *f)
{
	const struct cim_class *ac = k->assoc->cls;
	const struct cim_prop *near = ac->props[k->assoc->pa->ref[k->which]];
	const struct cim_prop *far = ac->props[k->assoc->pa->ref[!k->which]];

	if (!k->assoc->pa->walk)
		return false;
	if (f->role && !str_caseeq(f->role, near->name))
		return false;
	if (kind == LIST_REFERENCES)
		return !f->result_class || cim_class_is_a(ac, f->result_class);
	if (f->assoc_class && !cim_class_is_a(ac, f->assoc_class))
		return false;
	if (f->result_role && !str_caseeq(f->result_role, far->name))
		return false;
	return !f->result_class || !far->ref_class || related(far->ref_class, f->result_class);
}

bool list_walk(struct listing *l, enum list_kind kind, const struct row *row,
	       const struct prov_obj *from, const struct list_filter *f)
{
	struct cand *c = arena_alloc(l->rd.arena, (row->n_cands + 1) * sizeof(*c));

	if (!c)
		return false;
	l->kind = kind;
	l->from_row = row;
	l->from = *from;
	l->result_class = f->result_class;
	l->cands = c;
	for (size_t i = 0; i < row->n_cands; i++)
		if (cand_passes(&row->cands[i], kind, f))
			c[l->n_cands++] = row->cands[i];
	if (kind == LIST_ASSOCIATORS && l->n_cands > 1)
		l->seen = xcalloc(1, sizeof(*l->seen));
	return true;
}

/* ---- stepping ---- */

static void next_source(struct listing *l)
{
	l->at++;
	memset(&l->it, 0, sizeof(l->it));
}

static bool step_class(struct listing *l)
{
	for (; l->at < l->rows.n; next_source(l)) {
		const struct row *row = l->rows.v[l->at];
		struct prov_ctx c = reader_ctx(&l->rd, row);

		l->row = row;
		if (row->pc && row->pc->next && row->pc->next(&c, &l->it, &l->obj)) {
			l->obj.pc = row->pc;
			return true;
		}
		if (row->pa && row->pa->next && row->pa->next(&c, &l->it, &l->link)) {
			l->link.pa = row->pa;
			return true;
		}
	}
	return false;
}

/* A link from an object to itself is found from both its ends; it is one link. */
static bool met_before(const struct listing *l, const struct prov_ctx *c)
{
	const struct cand *k = &l->cands[l->at];

	return l->at > 0 && l->cands[l->at - 1].assoc == k->assoc &&
	       same_obj(c, &l->link.end[!k->which], &l->from);
}

static bool take_link(struct listing *l, const struct prov_ctx *c)
{
	const struct cand *k = &l->cands[l->at];

	l->link.pa = k->assoc->pa;
	if (l->kind == LIST_REFERENCES) {
		l->row = k->assoc;
		return !met_before(l, c);
	}
	l->obj = l->link.end[!k->which];
	if (l->result_class && !cim_class_is_a(l->obj.pc->cls, l->result_class))
		return false;
	if (l->seen && seen_before(l->seen, &l->obj))
		return false;
	l->row = row_of(l->rd.b, l->obj.pc);
	return l->row != NULL;
}

static bool step_walk(struct listing *l)
{
	struct prov_ctx c = reader_ctx(&l->rd, l->from_row);

	while (l->at < l->n_cands) {
		const struct cand *k = &l->cands[l->at];

		if (!k->assoc->pa->walk(&c, k->which, &l->from, &l->it, &l->link))
			next_source(l);
		else if (take_link(l, &c))
			return true;
	}
	return false;
}

static bool gives_links(const struct listing *l)
{
	return l->row->pa != NULL;
}

static bool make(struct listing *l)
{
	bool fill = !l->paths_only || l->filter;

	l->made = gives_links(l) ? reader_link(&l->rd, l->row, &l->link, fill)
				 : reader_obj(&l->rd, l->row, &l->obj, fill);
	if (l->made && !arena_full(l->rd.item))
		return true;
	l->failed = l->ended = true;
	return false;
}

bool list_more(struct listing *l)
{
	l->paused = false;
	if (l->have)
		return true;
	while (!l->ended) {
		arena_reset(l->rd.item);
		if (!(l->kind == LIST_CLASS ? step_class(l) : step_walk(l))) {
			l->ended = true;
		} else if (make(l) && (!l->filter || query_match(l->filter, l->made->inst))) {
			l->have = true;
			return true;
		} else if (l->until_ns && clock_mono_ns() >= l->until_ns) {
			l->paused = true;
			return false;
		}
	}
	return false;
}

bool list_next(struct listing *l, struct broker_item *ret)
{
	if (!list_more(l))
		return false;
	l->have = false;
	l->given++;
	*ret = (struct broker_item){.path = &l->made->path,
				    .inst = l->paths_only ? NULL : l->made->inst};
	return true;
}
