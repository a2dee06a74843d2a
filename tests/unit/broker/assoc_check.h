/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assoc_check.h - do enumeration and traversal of associations agree?
 *
 * For a concrete association class: every instance that EnumerateInstances gives
 *   - equals GetInstance of its path,
 *   - is among References of each of its ends, exactly once,
 *   - makes each end an Associator of the other,
 *   - has ends that GetInstance finds,
 * and all objects of the association's namespace that could be ends have together exactly as many
 * References in each role as the enumeration has instances with such an end (so walking finds
 * nothing that enumerating doesn't).  From an end in another namespace the other one must be an
 * Associator, by whichever association: a link across namespaces may have a twin there.
 *
 * Uses only the broker's operations, so it holds for any module: include it in a test of yours and
 * call assoc_check_all(broker, namespaces, n).  Costs objects x links; use small states.
 */
#pragma once

#include <stdio.h>

#include "ask.h"
#include "test.h"

struct assoc_set { /* canonical texts of paths */
	char **text;
	size_t n;
};

static inline void assoc_set_done(struct assoc_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->text[i]);
	free(s->text);
}

static inline unsigned assoc_set_count(const struct assoc_set *s, const char *text)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += streq(s->text[i], text);
	return n;
}

/* A path as the broker made it, ready to be sent back: in its own request's arena. */
static inline void assoc_from(struct ask *k, const struct cim_path *p)
{
	k->rq.path = cim_path_dup(k->a, p);
	k->rq.path->cls = NULL;
	k->rq.class_name = k->rq.path->class_name;
	k->rq.ns = k->rq.path->ns;
	k->rq.path->ns = k->rq.path->host = NULL;
}

static inline struct assoc_set assoc_list(struct ask *k)
{
	struct assoc_set s = {0};
	struct broker_item i;

	CHECK_STR(cim_status_name(ask_go(k)), "CIM_OK");
	while (broker_next(k->op, &i)) {
		AUTO(arena) a = arena_new(1 << 20);
		const char *text = cim_path_print(a, i.path);

		s.text = xrealloc(s.text, (s.n + 1) * sizeof(*s.text));
		s.text[s.n++] = xstrdup(text ? text : "?");
	}
	return s;
}

static inline struct assoc_set assoc_walk(struct broker *b, enum cim_op op,
					  const struct cim_path *from, const char *assoc,
					  const char *role)
{
	AUTO(ask) k = ask_new(b, op, NULL);

	assoc_from(k, from);
	k->rq.role = role;
	if (op == CIM_OP_REFERENCE_NAMES || op == CIM_OP_REFERENCES)
		k->rq.result_class = assoc;
	else
		k->rq.assoc_class = assoc;
	return assoc_list(k);
}

/* One instance of the enumeration, seen from an end in its own namespace. */
static inline void assoc_check_end(struct broker *b, const struct broker_item *link, unsigned near,
				   unsigned far)
{
	const struct cim_class *c = link->inst->cls;
	const struct cim_path *from = link->inst->v[near].ref, *to = link->inst->v[far].ref;
	const char *role = c->props[near]->name;
	AUTO(arena) a = arena_new(1 << 20);
	struct assoc_set refs = assoc_walk(b, CIM_OP_REFERENCE_NAMES, from, c->name, role);
	struct assoc_set full = assoc_walk(b, CIM_OP_REFERENCES, from, c->name, NULL);
	struct assoc_set ends = assoc_walk(b, CIM_OP_ASSOCIATOR_NAMES, from, c->name, role);
	struct assoc_set objs = assoc_walk(b, CIM_OP_ASSOCIATORS, from, c->name, NULL);
	const char *self = cim_path_print(a, link->path), *other = cim_path_print(a, to);

	CHECK_INT(assoc_set_count(&refs, self), 1);
	CHECK_INT(assoc_set_count(&full, self), 1);
	CHECK_INT(assoc_set_count(&ends, other), 1);
	CHECK_INT(assoc_set_count(&objs, other), 1);
	if (test_failures)
		printf("# at %s, role %s\n", self, role);
	assoc_set_done(&refs);
	assoc_set_done(&full);
	assoc_set_done(&ends);
	assoc_set_done(&objs);
}

/* The same from an end elsewhere.  The class common to the association and its twin is above. */
static inline void assoc_check_far_end(struct broker *b, const struct broker_item *link,
				       unsigned near, unsigned far)
{
	const struct cim_class *c = link->inst->cls;
	AUTO(arena) a = arena_new(1 << 20);
	const char *other = cim_path_print(a, link->inst->v[far].ref);
	struct assoc_set ends = assoc_walk(b, CIM_OP_ASSOCIATOR_NAMES, link->inst->v[near].ref,
					   c->super ? c->super->name : c->name,
					   c->props[near]->name);

	CHECK_INT(assoc_set_count(&ends, other), 1);
	if (test_failures)
		printf("# at %s, role %s\n", cim_path_print(a, link->path), c->props[near]->name);
	assoc_set_done(&ends);
}

static inline void assoc_check_found(struct broker *b, const struct cim_path *p)
{
	AUTO(ask) get = ask_new(b, CIM_OP_GET_INSTANCE, NULL);

	assoc_from(get, p);
	CHECK_STR(cim_status_name(ask_go(get)), "CIM_OK");
}

static inline void assoc_check_get(struct broker *b, const struct broker_item *link)
{
	AUTO(ask) k = ask_new(b, CIM_OP_GET_INSTANCE, NULL);
	struct broker_item got = {0};

	assoc_from(k, link->path);
	CHECK_STR(cim_status_name(ask_go(k)), "CIM_OK");
	CHECK(broker_next(k->op, &got));
	if (!got.inst)
		return;
	for (unsigned i = 0; i < link->inst->cls->n_props; i++)
		CHECK(cim_value_eq(&link->inst->v[i], &got.inst->v[i]) ||
		      (cim_is_null(&link->inst->v[i]) && cim_is_null(&got.inst->v[i])));
}

/* References in one role, summed over all objects of the namespace that could have it. */
static inline size_t assoc_sum(struct broker *b, const struct cim_namespace *home,
			       const struct cim_class *c, unsigned ref)
{
	const struct cim_class *end = c->props[ref]->ref_class;
	AUTO(ask) k = ask_new(b, CIM_OP_ENUMERATE_INSTANCE_NAMES, home->name);
	struct broker_item item;
	size_t sum = 0;

	if (!cim_ns_has(home, end))
		return 0;
	k->rq.class_name = end->name;
	CHECK_STR(cim_status_name(ask_go(k)), "CIM_OK");
	while (broker_next(k->op, &item)) {
		struct assoc_set s = assoc_walk(b, CIM_OP_REFERENCE_NAMES, item.path, c->name,
						c->props[ref]->name);

		sum += s.n;
		assoc_set_done(&s);
	}
	return sum;
}

static inline size_t assoc_check(struct broker *b, const struct cim_namespace *home,
				 const struct cim_class *c)
{
	AUTO(ask) k = ask_new(b, CIM_OP_ENUMERATE_INSTANCES, home->name);
	unsigned ref[2] = {0}, n_refs = 0;
	size_t n = 0, at_home[2] = {0};
	struct broker_item link;

	for (unsigned i = 0; i < c->n_props && n_refs < 2; i++)
		if (c->props[i]->type == CIM_REF)
			ref[n_refs++] = i;
	CHECK_INT(n_refs, 2);
	k->rq.class_name = c->name;
	CHECK_STR(cim_status_name(ask_go(k)), "CIM_OK");
	for (; broker_next(k->op, &link); n++) {
		assoc_check_get(b, &link);
		for (unsigned i = 0; i < 2; i++) {
			const struct cim_path *p = link.inst->v[ref[i]].ref;

			assoc_check_found(b, p);
			if (streq(p->ns, home->name)) {
				assoc_check_end(b, &link, ref[i], ref[!i]);
				at_home[i]++;
			} else {
				assoc_check_far_end(b, &link, ref[i], ref[!i]);
			}
		}
	}
	for (unsigned i = 0; i < 2; i++)
		CHECK_INT(assoc_sum(b, home, c, ref[i]), at_home[i]);
	if (test_failures)
		printf("# in association %s of namespace %s\n", c->name, home->name);
	return n;
}

/* Every concrete association that is served; returns how many instances were seen. */
static inline size_t assoc_check_all(struct broker *b, const struct cim_namespace *const *ns,
				     size_t n_ns)
{
	const struct cim_schema *s = ns[0]->schema;
	size_t n = 0;

	for (size_t i = 0; i < n_ns; i++) {
		for (size_t k = 0; k < s->n_classes; k++) {
			const struct cim_class *c = s->classes[k];

			if ((c->flags & CIM_C_ASSOCIATION) && !(c->flags & CIM_C_ABSTRACT) &&
			    cim_ns_has(ns[i], c))
				n += assoc_check(b, ns[i], c);
		}
	}
	return n;
}
