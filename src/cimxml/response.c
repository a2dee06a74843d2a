/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "cimxml/internal.h"
#include "cimxml/objects.h"
#include "cimxml/response.h"

enum { ENVELOPE_MAX = 64 * 1024 * 1024 };

struct cimxml_reader {
	struct xml x;
	struct xml inner;
	struct arena *keep, *nodes, *item;
	struct cimxml_sink sink;
	const char *message_id;
	struct cimxml_response got;
	struct err e;
};

static struct objects objects_of(struct cimxml_reader *r, struct arena *a, struct err *e)
{
	return (struct objects){.a = a,
				.inner = &r->inner,
				.bounds = &cimxml_bounds_usual,
				.e = e,
				.lenient = true};
}

static bool hand_class(struct cimxml_reader *r, const char *name)
{
	r->got.objects++;
	return !r->sink.class_name || r->sink.class_name(r->sink.ctx, name);
}

static bool hand_path(struct cimxml_reader *r, const struct xml_node *n)
{
	struct err e;
	struct objects o = objects_of(r, r->item, &e);
	struct cim_path *p;
	bool is_class;

	if (objects_path(&o, n, &p, &is_class) < 0) {
		r->got.skipped++;
		return true;
	}
	if (is_class)
		return hand_class(r, p->class_name);
	r->got.objects++;
	return !r->sink.path || r->sink.path(r->sink.ctx, p);
}

static bool hand_instance(struct cimxml_reader *r, const struct xml_node *n)
{
	struct err e;
	struct objects o = objects_of(r, r->item, &e);
	struct cim_raw_instance *i;

	if (objects_named_instance(&o, n, &i) < 0) {
		r->got.skipped++;
		return true;
	}
	r->got.objects++;
	return !r->sink.instance || r->sink.instance(r->sink.ctx, i);
}

static bool hand_value(struct cimxml_reader *r, const struct xml_node *n)
{
	struct err e;
	struct objects o = objects_of(r, r->item, &e);
	struct cim_value v;

	if (r->got.has_value || objects_value(&o, n, NULL, &v) < 0) {
		r->got.skipped++;
		return true;
	}
	if (!cim_value_dup(r->keep, &v, &r->got.value))
		return xml_refuse(&r->x, XML_TOO_LARGE, "the answer's value is too large");
	r->got.has_value = true;
	return true;
}

static bool on_item(void *ctx, const struct xml_node *n)
{
	struct cimxml_reader *r = ctx;
	bool more = true;

	switch ((unsigned)n->el) {
	case X_INSTANCE:
	case X_VALUE_NAMEDINSTANCE:
	case X_VALUE_INSTANCEWITHPATH:
		more = hand_instance(r, n);
		break;
	case X_VALUE_OBJECT:
	case X_VALUE_OBJECTWITHPATH:
	case X_VALUE_OBJECTWITHLOCALPATH:
	case X_VALUE_NAMEDOBJECT: {
		const struct xml_node *last = n->last;

		if (last && last->el == X_CLASS && xml_attr(last, A_NAME))
			more = hand_class(r, xml_attr(last, A_NAME));
		else
			more = hand_instance(r, n);
		break;
	}
	case X_CLASS:
	case X_CLASSNAME:
		if (xml_attr(n, A_NAME))
			more = hand_class(r, xml_attr(n, A_NAME));
		else
			r->got.skipped++;
		break;
	case X_INSTANCENAME:
	case X_INSTANCEPATH:
	case X_LOCALINSTANCEPATH:
	case X_OBJECTPATH:
		more = hand_path(r, n);
		break;
	case X_VALUE:
	case X_VALUE_ARRAY:
	case X_VALUE_REFERENCE:
	case X_VALUE_REFARRAY:
		return hand_value(r, n);
	default: /* qualifier declarations: nobody asks for them */
		r->got.skipped++;
		break;
	}
	if (!more)
		r->got.stopped = true;
	return more;
}

struct cimxml_reader *cimxml_reader_new(struct arena *a, const struct cimxml_sink *sink,
					const char *message_id)
{
	struct cimxml_reader *r = xcalloc(1, sizeof(*r));

	xml_init(&r->x, CIMXML_ANSWER_VALUE_MAX, &cimxml_bounds_usual);
	xml_init(&r->inner, CIMXML_ANSWER_VALUE_MAX, &cimxml_bounds_usual);
	r->keep = a;
	r->nodes = arena_new(ENVELOPE_MAX);
	r->item = arena_new(CIMXML_ANSWER_OBJECT_MAX);
	if (sink)
		r->sink = *sink;
	r->message_id = message_id;
	r->x.item_arena = r->item;
	r->x.item = on_item;
	r->x.ctx = r;
	xml_begin(&r->x, r->nodes, XML_LENIENT, &r->e);
	return r;
}

void cimxml_reader_free(struct cimxml_reader *r)
{
	if (!r)
		return;
	xml_done(&r->x);
	xml_done(&r->inner);
	arena_free(r->nodes);
	arena_free(r->item);
	free(r);
}

static int broken(const struct cimxml_reader *r, struct err *e)
{
	if (r->got.stopped)
		return err_set(e, -ECANCELED, "the receiver wanted no more");
	return err_set(e, r->x.fail == XML_TOO_LARGE ? -E2BIG : -EPROTO, "the answer is %s: %s",
		       r->x.fail == XML_TOO_LARGE   ? "too large"
		       : r->x.fail == XML_MALFORMED ? "no well-formed XML"
						    : "no CIM-XML",
		       r->e.text);
}

int cimxml_reader_feed(struct cimxml_reader *r, const char *p, size_t n, struct err *e)
{
	return xml_feed(&r->x, p, n, false) ? 0 : broken(r, e);
}

/* ---- the message around it ---- */

static int error_of(struct cimxml_reader *r, const struct xml_node *n, struct err *e)
{
	const char *code = xml_attr(n, A_CODE), *text = xml_attr(n, A_DESCRIPTION);
	uint64_t status;

	if (!code || !str_u64(code, strlen(code), INT32_MAX, &status) || status == 0)
		return err_set(e, -EPROTO, "the answer is no CIM-XML: an ERROR without a CODE");
	r->got.status = (enum cim_status)status;
	r->got.text = arena_strdup(r->keep, text ? text : "");
	return r->got.text ? 0 : err_set(e, -E2BIG, "the answer is too large");
}

static bool scalar_is(const struct cim_value *v, const char *text)
{
	return v->kind == CIM_V_SCALAR && v->type == CIM_UNTYPED && str_caseeq(v->s, text);
}

static int pull_param(struct cimxml_reader *r, const struct cim_named *p)
{
	if (str_caseeq(p->name, "EndOfSequence")) {
		r->got.has_end = true;
		r->got.end_of_sequence = scalar_is(&p->v, "true");
	} else if (str_caseeq(p->name, "EnumerationContext") && p->v.kind == CIM_V_SCALAR &&
		   p->v.type == CIM_UNTYPED && p->v.n) {
		r->got.context = p->v.s;
	}
	return 0;
}

static int params_of_answer(struct cimxml_reader *r, const struct xml_node *rsp, struct err *e)
{
	struct objects o = objects_of(r, r->keep, e);
	uint32_t count = objects_count(rsp, X_PARAMVALUE);
	struct cim_named *params = arena_alloc(r->keep, count * sizeof(*params)), copy;
	uint32_t n = 0;

	if (count > cimxml_array_usual || !params)
		return err_set(e, -E2BIG, "the answer is too large");
	for (const struct xml_node *c = rsp->child; c; c = c->next) {
		struct cim_named *p = &params[n];

		if (c->el != X_PARAMVALUE && c->el != X_RETURNVALUE)
			continue;
		if (objects_named(&o, c, &copy) < 0) {
			r->got.skipped++;
			continue;
		}
		if (c->el == X_RETURNVALUE) {
			if (!cim_value_dup(r->keep, &copy.v, &r->got.value))
				return err_set(e, -E2BIG, "the answer is too large");
			r->got.has_value = true;
			continue;
		}
		/* out of the nodes' memory, which goes with the reader */
		*p = copy;
		p->name = arena_strdup(r->keep, copy.name);
		if (!p->name || !cim_value_dup(r->keep, &copy.v, &p->v))
			return err_set(e, -E2BIG, "the answer is too large");
		n++;
		if (rsp->el == X_IMETHODRESPONSE && pull_param(r, p) < 0)
			return -EPROTO;
	}
	r->got.params = params;
	r->got.n_params = n;
	return 0;
}

static int message(struct cimxml_reader *r, struct err *e)
{
	const struct xml_node *n = r->x.root;
	const char *id;

	if (n->el != X_CIM || !n->child || n->child->el != X_MESSAGE)
		return err_set(e, -EPROTO, "the answer is no CIM-XML message");
	n = n->child;
	id = xml_attr(n, A_ID);
	if (r->message_id && (!id || !streq(id, r->message_id)))
		return err_set(e, -EPROTO, "the answer belongs to message \"%.80s\", not to \"%s\"",
			       id ? id : "", r->message_id);
	n = n->child;
	if (!n || (n->el != X_SIMPLERSP && n->el != X_SIMPLEEXPRSP) || !n->child)
		return err_set(e, -EPROTO, "the answer holds no SIMPLERSP");
	n = n->child;
	if (n->el != X_IMETHODRESPONSE && n->el != X_METHODRESPONSE && n->el != X_EXPMETHODRESPONSE)
		return err_set(e, -EPROTO, "the answer holds %s where a method's response belongs",
			       xml_el_name(n->el));
	for (const struct xml_node *c = n->child; c; c = c->next)
		if (c->el == X_ERROR)
			return error_of(r, c, e);
	return params_of_answer(r, n, e);
}

int cimxml_reader_end(struct cimxml_reader *r, struct cimxml_response *ret, struct err *e)
{
	int rc;

	r->got.text = "";
	if (!xml_feed(&r->x, "", 0, true))
		return broken(r, e);
	rc = message(r, e);
	if (rc < 0)
		return rc;
	*ret = r->got;
	return 0;
}
