/* SPDX-License-Identifier: Apache-2.0 */
/* Classes and qualifiers: answers that the class tables give alone. */
#include "base/str.h"
#include "broker/internal.h"

static enum cim_status room_for_classes(struct broker_op *op, struct err *e)
{
	op->classes = arena_alloc(op->a, (op->b->schema->n_classes + 1U) * sizeof(*op->classes));
	if (!op->classes)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	return CIM_OK;
}

enum cim_status op_get_class(struct broker_op *op, struct err *e)
{
	const struct cim_class *c;
	enum cim_status s = need_class(op, op->rq->class_name, CIM_ERR_NOT_FOUND, &c, e);

	if (s != CIM_OK)
		return s;
	op->ans.kind = BROKER_CLASSES;
	op->ans.single = true;
	op->ans.cls = op->one.cls = c;
	return CIM_OK;
}

static bool is_listed(const struct broker_op *op, const struct cim_class *c,
		      const struct cim_class *below, bool deep)
{
	if (!cim_ns_has(op->space->ns, c) || c == below)
		return false;
	return deep ? !below || cim_class_is_a(c, below) : c->super == below;
}

enum cim_status op_enumerate_classes(struct broker_op *op, struct err *e)
{
	const struct cim_schema *schema = op->b->schema;
	const struct cim_class *below = NULL;
	enum cim_status s = room_for_classes(op, e);

	if (s == CIM_OK && op->rq->class_name && op->rq->class_name[0])
		s = need_class(op, op->rq->class_name, CIM_ERR_INVALID_CLASS, &below, e);
	if (s != CIM_OK)
		return s;
	for (size_t i = 0; i < schema->n_classes; i++)
		if (is_listed(op, schema->classes[i], below, op->rq->deep == CIM_TRUE))
			op->classes[op->n_classes++] = schema->classes[i];
	op->ans.kind = op->rq->op == CIM_OP_ENUMERATE_CLASSES ? BROKER_CLASSES : BROKER_CLASS_NAMES;
	op->ans.cls = below;
	return CIM_OK;
}

enum cim_status op_get_qualifier(struct broker_op *op, struct err *e)
{
	const struct cim_schema *schema = op->b->schema;

	if (!op->rq->name)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "parameter QualifierName is missing");
	for (size_t i = 0; i < schema->n_qualdecls; i++)
		if (str_caseeq(schema->qualdecls[i].name, op->rq->name))
			op->one.qual = &schema->qualdecls[i];
	if (!op->one.qual)
		return refuse(e, CIM_ERR_NOT_FOUND, "no qualifier %s", op->rq->name);
	op->ans.kind = BROKER_QUALIFIERS;
	op->ans.single = true;
	return CIM_OK;
}

enum cim_status op_enumerate_qualifiers(struct broker_op *op, struct err *e)
{
	(void)e;
	op->ans.kind = BROKER_QUALIFIERS;
	op->qualifiers = true;
	return CIM_OK;
}

/* ---- associations between classes ---- */

static bool role_is(const struct cim_prop *p, const char *role)
{
	return !role || str_caseeq(p->name, role);
}

static bool takes(const struct cim_prop *p, const struct cim_class *c)
{
	return p->type == CIM_REF && p->ref_class && cim_class_is_a(c, p->ref_class);
}

static void add_class(struct broker_op *op, const struct cim_class *c)
{
	for (size_t i = 0; i < op->n_classes; i++)
		if (op->classes[i] == c)
			return;
	op->classes[op->n_classes++] = c;
}

/* The association classes of the namespace, one after the other; NULL: no more. */
static const struct cim_class *next_assoc(const struct broker_op *op, size_t *i)
{
	while (*i < op->b->schema->n_classes) {
		const struct cim_class *c = op->b->schema->classes[(*i)++];

		if ((c->flags & CIM_C_ASSOCIATION) && cim_ns_has(op->space->ns, c))
			return c;
	}
	return NULL;
}

enum cim_status op_class_references(struct broker_op *op, const struct cim_class *c,
				    const struct list_filter *f, struct err *e)
{
	enum cim_status s = room_for_classes(op, e);
	const struct cim_class *a;
	size_t i = 0;

	while (s == CIM_OK && (a = next_assoc(op, &i))) {
		if (f->result_class && !cim_class_is_a(a, f->result_class))
			continue;
		for (size_t k = 0; k < a->n_props; k++)
			if (takes(a->props[k], c) && role_is(a->props[k], f->role))
				add_class(op, a);
	}
	return s;
}

static void add_far_ends(struct broker_op *op, const struct cim_class *a, size_t near,
			 const struct list_filter *f)
{
	for (size_t i = 0; i < a->n_props; i++) {
		const struct cim_prop *p = a->props[i];

		if (i != near && p->type == CIM_REF && p->ref_class && role_is(p, f->result_role) &&
		    (!f->result_class || cim_class_is_a(p->ref_class, f->result_class)))
			add_class(op, p->ref_class);
	}
}

enum cim_status op_class_associators(struct broker_op *op, const struct cim_class *c,
				     const struct list_filter *f, struct err *e)
{
	enum cim_status s = room_for_classes(op, e);
	const struct cim_class *a;
	size_t i = 0;

	while (s == CIM_OK && (a = next_assoc(op, &i))) {
		if (f->assoc_class && !cim_class_is_a(a, f->assoc_class))
			continue;
		for (size_t k = 0; k < a->n_props; k++)
			if (takes(a->props[k], c) && role_is(a->props[k], f->role))
				add_far_ends(op, a, k, f);
	}
	return s;
}
