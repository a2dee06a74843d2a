/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "broker/internal.h"

enum { OBJECT_MAX = 400, VALUES_MAX = 400 };

const char *audit_object(struct arena *a, const struct cim_request *rq)
{
	const struct cim_path *p = rq->path && rq->path->n_keys > 0 ? rq->path : NULL;
	const char *text = NULL, *cls = rq->class_name;

	if (rq->op == CIM_OP_CREATE_INSTANCE || rq->op == CIM_OP_MODIFY_INSTANCE) {
		p = rq->instance ? rq->instance->path : NULL;
		cls = rq->instance ? rq->instance->class_name : NULL;
	}
	if (p)
		text = cim_path_print(a, p);
	text = text ? text : cls ? cls : p ? p->class_name : NULL;
	return text ? arena_strndup(a, text, strnlen(text, OBJECT_MAX)) : NULL;
}

static void put_scalar(struct buf *b, const struct cim_value *v)
{
	struct arena *a;
	const char *s;

	switch ((int)v->type) {
	case CIM_BOOLEAN:
		(void)buf_adds(b, v->u ? "true" : "false");
		return;
	case CIM_UINT16:
	case CIM_UINT32:
	case CIM_UINT64:
		(void)buf_addf(b, "%llu", (unsigned long long)v->u);
		return;
	case CIM_REF:
		a = arena_new(ITEM_ARENA_MAX);
		s = v->ref ? cim_path_print(a, v->ref) : NULL;
		(void)buf_adds(b, s ? s : "?");
		arena_free(a);
		return;
	default: /* text and octets may be a secret, whatever their name: that they were given is enough */
		(void)buf_adds(b, "...");
	}
}

static void put_value(struct buf *b, const char *name, const struct cim_value *v)
{
	if (cim_is_null(v))
		return;
	(void)buf_addf(b, " %s=", name);
	if (v->kind != CIM_V_ARRAY) {
		put_scalar(b, v);
		return;
	}
	(void)buf_addc(b, '{');
	for (uint32_t i = 0; i < v->n && !b->full; i++) {
		if (i > 0)
			(void)buf_addc(b, ' ');
		put_scalar(b, &v->a[i]);
	}
	(void)buf_addc(b, '}');
}

static void put_values(struct buf *b, const struct input *in, const struct output *o)
{
	const struct cim_method *m = in->method;

	for (unsigned i = 0; m && in->in && i < m->n_params; i++)
		put_value(b, m->params[i].name, &in->in[i]);
	for (unsigned i = 0; in->inst && in->given && i < in->cls->n_props; i++)
		if (in->given[i])
			put_value(b, in->cls->props[i]->name, &in->inst->v[i]);
	if (o->status != CIM_OK)
		return;
	(void)buf_adds(b, " ->");
	for (unsigned i = 0; m && o->out && i < m->n_params; i++)
		if (m->params[i].flags & CIM_F_OUT)
			put_value(b, m->params[i].name, &o->out[i]);
	if (o->new_path) {
		struct cim_value made = cim_ref(o->new_path);

		put_value(b, "made", &made);
	}
}

/* Who and what became of it come first: what is too long is cut at the end. */
static void put_line(const struct prov_caller *who, const char *what, const char *object,
		     const char *result, const char *why, const char *values)
{
	log_line(LOG_L_INFO, "audit", "user=%s peer=%s result=%s %s %s%s%s%s", who->user ? who->user : "-",
		 who->peer ? who->peer : "-", result, what, object ? object : "-", values,
		 *why ? ": " : "", why);
}

void audit_request(const struct broker_op *op, enum cim_status status, const char *why)
{
	char what[64];

	(void)snprintf(what, sizeof(what), "%s", op->rq->op == CIM_OP_INVOKE_METHOD && op->rq->method
							 ? op->rq->method
							 : cim_op_name(op->rq->op));
	put_line(&op->who, what, op->object, status == CIM_OK ? "0" : cim_status_name(status), why,
		 "");
}

void audit_write(const struct input *in, const struct output *o)
{
	auto_buf struct buf b = buf_of(VALUES_MAX);
	char result[16];

	put_values(&b, in, o);
	(void)snprintf(result, sizeof(result), "%u", o->ret);
	put_line(&in->who, in->method ? in->method->name : in->what, in->object,
		 o->status == CIM_OK ? result : cim_status_name(o->status), o->e.text,
		 b.p ? b.p : "");
}
