/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cimxml/plan.h"

struct cimxml_plans {
	unsigned n;
	_Atomic(struct plan *) of[];
};

enum { PLAN_TEXT_MAX = 16 * 1024 * 1024 }; /* a class table is ours; this is never reached */

static void PRINTF(3, 4) add(struct buf *b, struct piece *ret, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ret->at = (uint32_t)b->len;
	ret->len = (uint32_t)n;
	buf_add(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static bool is_ref(const struct cim_prop *p)
{
	return p->type == CIM_REF;
}

/* The end of a start tag that has NAME so far. */
static void attributes(char ret[static 1024], const struct cim_prop *p, enum plan_origin origin)
{
	char org[256] = "";

	if (origin == PLAN_WITH_ORIGIN && p->origin)
		(void)snprintf(org, sizeof(org), " CLASSORIGIN=\"%s\"", p->origin->name);
	if (is_ref(p))
		(void)snprintf(ret, 1024, " REFERENCECLASS=\"%s\"%s",
			       p->ref_class ? p->ref_class->name : "", org);
	else if (p->type == CIM_OBJECT)
		(void)snprintf(ret, 1024, " TYPE=\"string\"%s EmbeddedObject=\"instance\"", org);
	else
		(void)snprintf(ret, 1024, " TYPE=\"%s\"%s", cim_type_name(p->type), org);
}

static const char *element(const struct cim_prop *p)
{
	return is_ref(p)                ? "PROPERTY.REFERENCE"
	       : p->flags & CIM_F_ARRAY ? "PROPERTY.ARRAY"
					: "PROPERTY";
}

struct plan *plan_new(struct arena *a, const struct cim_class *c,
		      bool (*wants)(const void *ctx, const struct cim_class *c, unsigned idx),
		      const void *ctx, enum plan_origin origin)
{
	auto_buf struct buf text = buf_of(PLAN_TEXT_MAX);
	size_t size = sizeof(struct plan) + c->n_props * sizeof(struct plan_step) +
		      c->n_keys * sizeof(struct plan_key);
	auto_free char *tmp = xcalloc(1, size);
	struct plan *p = (struct plan *)(void *)tmp, *made;
	char attrs[1024], *at;

	p->steps = (struct plan_step *)(void *)(p + 1);
	p->keys = (struct plan_key *)(void *)(p->steps + c->n_props);
	p->cls = c;
	add(&text, &p->instance_open, "<INSTANCE CLASSNAME=\"%s\">", c->name);
	add(&text, &p->name_open, "<INSTANCENAME CLASSNAME=\"%s\">", c->name);
	for (unsigned i = 0; i < c->n_keys; i++) {
		const struct cim_prop *k = c->props[c->keys[i]];
		const char *how = k->type == CIM_BOOLEAN ? "boolean"
				  : k->type == CIM_STRING || k->type == CIM_DATETIME ||
						  k->type == CIM_CHAR16
					  ? "string"
					  : "numeric";

		p->keys[i].is_ref = is_ref(k);
		add(&text, &p->keys[i].value,
		    PLAN_KEY_TAIL "<KEYBINDING NAME=\"%s\"><KEYVALUE VALUETYPE=\"%s\">", k->name,
		    how);
		if (!p->keys[i].is_ref)
			add(&text, &p->keys[i].typed,
			    PLAN_KEY_TAIL
			    "<KEYBINDING NAME=\"%s\"><KEYVALUE VALUETYPE=\"%s\" TYPE=\"%s\">",
			    k->name, how, cim_type_name(k->type));
		add(&text, &p->keys[i].ref, "<KEYBINDING NAME=\"%s\"><VALUE.REFERENCE>", k->name);
	}
	for (unsigned i = 0; i < c->n_props; i++) {
		const struct cim_prop *q = c->props[i];
		struct plan_step *s = &p->steps[p->n_steps];

		if (wants && !wants(ctx, c, i))
			continue;
		attributes(attrs, q, origin);
		s->idx = (uint16_t)i;
		s->type = q->type;
		s->array = q->flags & CIM_F_ARRAY;
		add(&text, &s->value, PLAN_VALUE_TAIL "<PROPERTY NAME=\"%s\"%s><VALUE>", q->name,
		    attrs);
		add(&text, &s->open, "<%s NAME=\"%s\"%s>", element(q), q->name, attrs);
		p->n_steps++;
	}
	for (unsigned i = 0; i < p->n_steps; i++) {
		struct plan_step *s = &p->steps[i];
		const struct cim_prop *q = c->props[s->idx];

		attributes(attrs, q, origin);
		add(&text, &s->null, "<%s NAME=\"%s\"%s></%s>", element(q), q->name, attrs,
		    element(q));
	}
	made = a ? arena_alloc(a, size + text.len + WRITER_SLACK)
		 : xmalloc(size + text.len + WRITER_SLACK);
	if (!made)
		return NULL;
	memcpy(made, p, size);
	made->steps = (struct plan_step *)(void *)(made + 1);
	made->keys = (struct plan_key *)(void *)(made->steps + c->n_props);
	at = (char *)made + size;
	memcpy(at, text.p, text.len);
	memset(at + text.len, 0, WRITER_SLACK);
	made->text = at;
	return made;
}

void plan_free(struct plan *p)
{
	free(p);
}

struct cimxml_plans *cimxml_plans_new(unsigned n_classes)
{
	struct cimxml_plans *ps = xcalloc(1, sizeof(*ps) + n_classes * sizeof(ps->of[0]));

	ps->n = n_classes;
	return ps;
}

void cimxml_plans_free(struct cimxml_plans *ps)
{
	if (!ps)
		return;
	for (unsigned i = 0; i < ps->n; i++)
		plan_free(atomic_load_explicit(&ps->of[i], memory_order_relaxed));
	free(ps);
}

const struct plan *plans_get(struct cimxml_plans *ps, const struct cim_class *c)
{
	struct plan *p = atomic_load_explicit(&ps->of[c->id], memory_order_acquire), *was = NULL;

	if (p)
		return p;
	p = plan_new(NULL, c, NULL, NULL, PLAN_PLAIN);
	/* two threads may make the same plan at once; one of them is kept */
	if (atomic_compare_exchange_strong_explicit(&ps->of[c->id], &was, p, memory_order_acq_rel,
						    memory_order_acquire))
		return p;
	plan_free(p);
	return was;
}
