/* SPDX-License-Identifier: Apache-2.0 */
#include "cimxml/encode.h"
#include "base/str.h"
#include "cimxml/bounds.h"
#include "cimxml/class.h"
#include "cimxml/plan.h"
#include "cimxml/values.h"

/* What the elements of an answer look like (DSP0201 §5.4). */
enum form {
	FORM_NOTHING, /* no IRETURNVALUE at all */
	FORM_INSTANCE,
	FORM_NAMED_INSTANCE,
	FORM_INSTANCE_WITH_PATH,
	FORM_OBJECT_WITH_PATH,
	FORM_OBJECT_PATH,
	FORM_INSTANCE_NAME,
	FORM_INSTANCE_PATH,
	FORM_CLASS,
	FORM_CLASS_NAME,
	FORM_QUALIFIER,
	FORM_VALUE,
};

static const struct {
	uint8_t form;
	bool pull; /* EnumerationContext and EndOfSequence follow */
} forms[CIM_N_OPS] = {
	[CIM_OP_GET_CLASS] = {FORM_CLASS,              false},
	[CIM_OP_ENUMERATE_CLASSES] = {FORM_CLASS,              false},
	[CIM_OP_ENUMERATE_CLASS_NAMES] = {FORM_CLASS_NAME,         false},
	[CIM_OP_GET_INSTANCE] = {FORM_INSTANCE,           false},
	[CIM_OP_ENUMERATE_INSTANCES] = {FORM_NAMED_INSTANCE,     false},
	[CIM_OP_ENUMERATE_INSTANCE_NAMES] = {FORM_INSTANCE_NAME,      false},
	[CIM_OP_CREATE_INSTANCE] = {FORM_INSTANCE_NAME,      false},
	[CIM_OP_ASSOCIATORS] = {FORM_OBJECT_WITH_PATH,   false},
	[CIM_OP_ASSOCIATOR_NAMES] = {FORM_OBJECT_PATH,        false},
	[CIM_OP_REFERENCES] = {FORM_OBJECT_WITH_PATH,   false},
	[CIM_OP_REFERENCE_NAMES] = {FORM_OBJECT_PATH,        false},
	[CIM_OP_EXEC_QUERY] = {FORM_OBJECT_WITH_PATH,   false},
	[CIM_OP_GET_PROPERTY] = {FORM_VALUE,              false},
	[CIM_OP_GET_QUALIFIER] = {FORM_QUALIFIER,          false},
	[CIM_OP_ENUMERATE_QUALIFIERS] = {FORM_QUALIFIER,          false},
	[CIM_OP_OPEN_ENUMERATE_INSTANCES] = {FORM_INSTANCE_WITH_PATH, true },
	[CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS] = {FORM_INSTANCE_PATH,      true },
	[CIM_OP_OPEN_REFERENCE_INSTANCES] = {FORM_INSTANCE_WITH_PATH, true },
	[CIM_OP_OPEN_REFERENCE_INSTANCE_PATHS] = {FORM_INSTANCE_PATH,      true },
	[CIM_OP_OPEN_ASSOCIATOR_INSTANCES] = {FORM_INSTANCE_WITH_PATH, true },
	[CIM_OP_OPEN_ASSOCIATOR_INSTANCE_PATHS] = {FORM_INSTANCE_PATH,      true },
	[CIM_OP_OPEN_QUERY_INSTANCES] = {FORM_INSTANCE,           true },
	[CIM_OP_PULL_INSTANCES_WITH_PATH] = {FORM_INSTANCE_WITH_PATH, true },
	[CIM_OP_PULL_INSTANCE_PATHS] = {FORM_INSTANCE_PATH,      true },
	[CIM_OP_PULL_INSTANCES] = {FORM_INSTANCE,           true },
	[CIM_OP_ENUMERATION_COUNT] = {FORM_VALUE,              false},
};

struct cimxml_encoder {
	struct values v; /* first: what values.c works with */
	const struct cimxml_answer *an;
	struct arena *a;
	const struct plan *last; /* the plan used last; listings seldom change class */
	struct plan *own;
};

/* The property set of class c in this answer. */
static const struct plan *plan_of(struct cimxml_encoder *x, const struct cim_class *c)
{
	const struct cimxml_answer *an = x->an;
	struct plan *p;
	bool all = !an->include_origin;

	if (x->last && x->last->cls == c)
		return x->last;
	for (p = x->own; p; p = p->next)
		if (p->cls == c)
			return x->last = p;
	for (unsigned i = 0; all && an->wants && i < c->n_props; i++)
		all = an->wants(an->wants_ctx, c, i);
	if (all)
		return x->last = plans_get(an->plans, c);
	p = plan_new(x->a, c, an->wants, an->wants_ctx,
		     an->include_origin ? PLAN_WITH_ORIGIN : PLAN_PLAIN);
	if (!p)
		return NULL;
	p->next = x->own;
	x->own = p;
	return x->last = p;
}

struct cimxml_encoder *cimxml_encoder_new(struct arena *a, const struct cimxml_answer *an)
{
	struct cimxml_encoder *x = arena_zalloc(a, sizeof(*x));

	if (!x)
		return NULL;
	x->v.plans = an->plans;
	x->v.host = an->host;
	x->v.ns = an->ns;
	x->v.typed = forms[an->rq->op].pull;
	x->an = an;
	x->a = a;
	return x;
}

static void head(struct writer *w, const char *message_id, const char *element, const char *method)
{
	writer_lit(w, "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"
		      "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"");
	writer_attr(w, message_id ? message_id : "");
	writer_lit(w, "\" PROTOCOLVERSION=\"1.0\"><SIMPLERSP><");
	writer_str(w, element);
	writer_lit(w, " NAME=\"");
	writer_attr(w, method ? method : "");
	writer_lit(w, "\">");
}

static void tail(struct writer *w, const char *element)
{
	writer_lit(w, "</");
	writer_str(w, element);
	writer_lit(w, "></SIMPLERSP></MESSAGE></CIM>\n");
}

bool cimxml_begin(struct cimxml_encoder *x, struct buf *out)
{
	const struct cim_request *rq = x->an->rq;
	struct writer w = writer_open(out);

	head(&w, rq->message_id, "IMETHODRESPONSE", cim_op_name(rq->op));
	if (forms[rq->op].form != FORM_NOTHING)
		writer_lit(&w, "<IRETURNVALUE>");
	return writer_close(&w);
}

static void path_of_object(struct cimxml_encoder *x, struct writer *w, const struct cimxml_item *it)
{
	if (it->inst)
		values_instance_path(&x->v, w, it->inst->path);
	else if (it->path)
		values_instance_path(&x->v, w, it->path);
	else if (it->cls)
		values_class_path(&x->v, w, it->cls->name);
}

static void instance(struct cimxml_encoder *x, struct writer *w, const struct cim_instance *i)
{
	const struct plan *p = plan_of(x, i->cls);

	if (p)
		values_instance(&x->v, w, p, i);
	else
		w->bad = true;
}

bool cimxml_item(struct cimxml_encoder *x, struct buf *out, const struct cimxml_item *it)
{
	struct writer w = writer_open(out);
	enum form f = (enum form)forms[x->an->rq->op].form;

	/* a query's rows need not be objects of a class; then they have no path */
	if (f == FORM_OBJECT_WITH_PATH && it->inst && !it->inst->path) {
		writer_lit(&w, "<VALUE.OBJECT>");
		instance(x, &w, it->inst);
		writer_lit(&w, "</VALUE.OBJECT>");
		return writer_close(&w);
	}
	switch (f) {
	case FORM_INSTANCE:
		instance(x, &w, it->inst);
		break;
	case FORM_NAMED_INSTANCE:
		writer_lit(&w, "<VALUE.NAMEDINSTANCE>");
		values_instance_name(&x->v, &w, it->inst->path);
		instance(x, &w, it->inst);
		writer_lit(&w, "</VALUE.NAMEDINSTANCE>");
		break;
	case FORM_INSTANCE_WITH_PATH:
		writer_lit(&w, "<VALUE.INSTANCEWITHPATH>");
		values_instance_path(&x->v, &w, it->inst->path);
		instance(x, &w, it->inst);
		writer_lit(&w, "</VALUE.INSTANCEWITHPATH>");
		break;
	case FORM_OBJECT_WITH_PATH:
		writer_lit(&w, "<VALUE.OBJECTWITHPATH>");
		path_of_object(x, &w, it);
		if (it->inst)
			instance(x, &w, it->inst);
		else if (it->cls)
			class_write(&w, it->cls, x->an);
		writer_lit(&w, "</VALUE.OBJECTWITHPATH>");
		break;
	case FORM_OBJECT_PATH:
		writer_lit(&w, "<OBJECTPATH>");
		path_of_object(x, &w, it);
		writer_lit(&w, "</OBJECTPATH>");
		break;
	case FORM_INSTANCE_NAME:
		values_instance_name(&x->v, &w, it->path ? it->path : it->inst->path);
		break;
	case FORM_INSTANCE_PATH:
		values_instance_path(&x->v, &w, it->path ? it->path : it->inst->path);
		break;
	case FORM_CLASS:
		class_write(&w, it->cls, x->an);
		break;
	case FORM_CLASS_NAME:
		writer_lit(&w, "<CLASSNAME NAME=\"");
		writer_attr(&w, it->cls->name);
		writer_lit(&w, "\"/>");
		break;
	case FORM_QUALIFIER:
		class_qualdecl_write(&w, it->qual);
		break;
	case FORM_VALUE:
		values_value(&x->v, &w, it->value);
		break;
	case FORM_NOTHING:
		break;
	}
	return writer_close(&w);
}

bool cimxml_end(struct cimxml_encoder *x, struct buf *out, bool end_of_sequence,
		const char *context)
{
	const struct cim_request *rq = x->an->rq;
	struct writer w = writer_open(out);

	if (forms[rq->op].form != FORM_NOTHING)
		writer_lit(&w, "</IRETURNVALUE>");
	if (forms[rq->op].pull) {
		writer_lit(&w,
			   "<PARAMVALUE NAME=\"EnumerationContext\" PARAMTYPE=\"string\"><VALUE>");
		if (!end_of_sequence && context)
			writer_text(&w, context, strlen(context));
		writer_lit(&w, "</VALUE></PARAMVALUE>"
			       "<PARAMVALUE NAME=\"EndOfSequence\" PARAMTYPE=\"boolean\"><VALUE>");
		writer_str(&w, end_of_sequence ? "TRUE" : "FALSE");
		writer_lit(&w, "</VALUE></PARAMVALUE>");
		if (x->an->rows) {
			writer_lit(&w, "<PARAMVALUE NAME=\"QueryResultClass\">");
			class_rows_write(&w, x->an->rows, x->an);
			writer_lit(&w, "</PARAMVALUE>");
		}
	}
	tail(&w, "IMETHODRESPONSE");
	return writer_close(&w);
}

bool cimxml_method_answer(struct cimxml_encoder *x, struct buf *out, const struct cim_method *m,
			  uint32_t ret, const struct cim_value *values)
{
	const struct cim_request *rq = x->an->rq;
	struct writer w = writer_open(out);

	/* as the caller spelled it: pywbem takes no other spelling */
	head(&w, rq->message_id, "METHODRESPONSE", rq->method ? rq->method : m->name);
	writer_lit(&w, "<RETURNVALUE PARAMTYPE=\"");
	writer_str(&w, cim_type_name(m->type));
	writer_lit(&w, "\"><VALUE>");
	if (m->type == CIM_BOOLEAN)
		writer_str(&w, ret ? "TRUE" : "FALSE");
	else
		writer_u64(&w, ret);
	writer_lit(&w, "</VALUE></RETURNVALUE>");
	for (unsigned i = 0; i < m->n_params; i++) {
		const struct cim_param *p = &m->params[i];

		/* a method that may start a job says nothing of a job when there is none */
		if (!values || !(p->flags & CIM_F_OUT) || cim_is_null(&values[i]))
			continue;
		writer_lit(&w, "<PARAMVALUE NAME=\"");
		writer_attr(&w, p->name);
		writer_lit(&w, "\" PARAMTYPE=\"");
		writer_str(&w, cim_type_name(p->type));
		if (p->type == CIM_OBJECT)
			writer_lit(&w, "\" EmbeddedObject=\"instance");
		writer_lit(&w, "\">");
		values_value(&x->v, &w, &values[i]);
		writer_lit(&w, "</PARAMVALUE>");
	}
	tail(&w, "METHODRESPONSE");
	return writer_close(&w);
}

bool cimxml_error_answer(struct buf *out, const char *message_id, const char *method,
			 bool extrinsic, enum cim_status status, const char *text)
{
	struct writer w = writer_open(out);
	const char *element = extrinsic ? "METHODRESPONSE" : "IMETHODRESPONSE";

	head(&w, message_id, element, method);
	writer_lit(&w, "<ERROR CODE=\"");
	writer_u64(&w, status);
	writer_lit(&w, "\" DESCRIPTION=\"");
	writer_attr(&w, cim_status_name(status));
	if (text && *text) {
		writer_lit(&w, ": ");
		writer_attr(&w, text);
	}
	writer_lit(&w, "\"></ERROR>");
	tail(&w, element);
	return writer_close(&w);
}
