/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "cimxml/decode.h"
#include "cimxml/internal.h"
#include "cimxml/objects.h"
#include "cimxml/params.h"

struct cimxml_parser *cimxml_parser_new(const struct cimxml_bounds *b)
{
	struct cimxml_parser *p = xcalloc(1, sizeof(*p));

	p->bounds = *b;
	/* a value is no longer than the body, which has its own maximum */
	xml_init(&p->outer, UINT32_MAX, &p->bounds);
	xml_init(&p->inner, UINT32_MAX, &p->bounds);
	return p;
}

void cimxml_parser_free(struct cimxml_parser *p)
{
	if (!p)
		return;
	xml_done(&p->outer);
	xml_done(&p->inner);
	free(p);
}

static bool schema_change(enum cim_op op)
{
	return op >= CIM_OP_CREATE_CLASS && op <= CIM_OP_DELETE_QUALIFIER;
}

struct decode {
	struct objects o;
	struct cimxml_request *rq;
	struct cimxml_refusal *refusal;
};

static enum cimxml_outcome refuse(struct decode *d, unsigned status, const char *cim_error,
				  const char *why)
{
	d->refusal->status = status;
	d->refusal->cim_error = cim_error;
	if (why)
		err_set(&d->refusal->why, -EPROTO, "%s", why);
	return CIMXML_REFUSED;
}

static enum cimxml_outcome fail(struct decode *d, enum cim_status status, const char *text)
{
	d->rq->status = status;
	(void)snprintf(d->rq->text, sizeof(d->rq->text), "%s", text);
	return CIMXML_FAILED;
}

/* ---- intrinsic methods ---- */

static int take_text(struct decode *d, const struct xml_node *v, const char **ret)
{
	if (v->el == X_CLASSNAME) {
		*ret = xml_attr(v, A_NAME);
		if (*ret)
			return 0;
	} else if (v->el == X_VALUE) {
		*ret = v->text;
		return 0;
	}
	return err_set(d->o.e, -EINVAL, "%s is no single value", xml_el_name(v->el));
}

static int take_bool(struct decode *d, const struct xml_node *v, uint8_t *ret)
{
	struct cim_value b;

	if (v->el != X_VALUE)
		return err_set(d->o.e, -EINVAL, "%s is no boolean", xml_el_name(v->el));
	if (cim_value_parse(CIM_BOOLEAN, v->text, v->n_text, &b, d->o.e) < 0)
		return -EINVAL;
	*ret = b.u ? CIM_TRUE : CIM_FALSE;
	return 0;
}

static int take_u32(struct decode *d, const struct xml_node *v, bool *ret_has, uint32_t *ret)
{
	struct cim_value u;

	if (v->el != X_VALUE)
		return err_set(d->o.e, -EINVAL, "%s is no number", xml_el_name(v->el));
	if (cim_value_parse(CIM_UINT32, v->text, v->n_text, &u, d->o.e) < 0)
		return -EINVAL;
	*ret_has = true;
	*ret = (uint32_t)u.u;
	return 0;
}

static int take_names(struct decode *d, const struct xml_node *v)
{
	struct cim_request *rq = &d->rq->rq;
	uint32_t count = objects_count(v, X_UNKNOWN);
	const char **names;

	if (v->el != X_VALUE_ARRAY)
		return err_set(d->o.e, -EINVAL, "%s is no list of names", xml_el_name(v->el));
	if (count > d->o.bounds->array)
		return err_set(d->o.e, -EINVAL, "%u names; allowed: %u", count, d->o.bounds->array);
	names = arena_alloc(d->o.a, count * sizeof(*names));
	if (!names)
		return err_set(d->o.e, -EINVAL, "too many names");
	count = 0;
	for (const struct xml_node *c = v->child; c; c = c->next) {
		if (c->el != X_VALUE)
			return err_set(d->o.e, -EINVAL, "%s is no name", xml_el_name(c->el));
		names[count++] = c->text;
	}
	rq->props = names;
	rq->n_props = count;
	rq->has_props = true;
	return 0;
}

enum target { ANY_OBJECT, ONLY_INSTANCE };

static int take_object(struct decode *d, const struct xml_node *v, enum target want)
{
	struct cim_request *rq = &d->rq->rq;
	struct cim_path *p;
	bool is_class;

	if (objects_path(&d->o, v, &p, &is_class) < 0)
		return -EINVAL;
	rq->class_name = p->class_name;
	if (!is_class)
		rq->path = p;
	else if (want == ONLY_INSTANCE)
		return err_set(d->o.e, -EINVAL, "a class stands where an instance is asked for");
	return 0;
}

static int take_instance(struct decode *d, const struct xml_node *v)
{
	struct cim_request *rq = &d->rq->rq;

	if (objects_named_instance(&d->o, v, &rq->instance) < 0)
		return -EINVAL;
	rq->class_name = rq->instance->class_name;
	return 0;
}

static int take_new_value(struct decode *d, const struct xml_node *v)
{
	return objects_value(&d->o, v, NULL, &d->rq->rq.new_value);
}

static int take_param(struct decode *d, enum param p, const struct xml_node *v)
{
	struct cim_request *rq = &d->rq->rq;
	uint8_t tri = CIM_UNSET;

	switch (p) {
	case P_CLASS_NAME:
		return take_text(d, v, &rq->class_name);
	case P_INSTANCE_NAME:
		return take_object(d, v, ONLY_INSTANCE);
	case P_OBJECT_NAME:
		return take_object(d, v, ANY_OBJECT);
	case P_LOCAL_ONLY:
		return take_bool(d, v, &rq->local_only);
	case P_DEEP:
		return take_bool(d, v, &rq->deep);
	case P_QUALS:
		return take_bool(d, v, &rq->include_quals);
	case P_ORIGIN:
		return take_bool(d, v, &rq->include_origin);
	case P_PROPS:
		return take_names(d, v);
	case P_NEW_INSTANCE:
	case P_MODIFIED_INSTANCE:
		return take_instance(d, v);
	case P_ASSOC_CLASS:
		return take_text(d, v, &rq->assoc_class);
	case P_RESULT_CLASS:
		return take_text(d, v, &rq->result_class);
	case P_ROLE:
		return take_text(d, v, &rq->role);
	case P_RESULT_ROLE:
		return take_text(d, v, &rq->result_role);
	case P_QUERY_LANG:
	case P_FILTER_LANG:
		return take_text(d, v, &rq->query_lang);
	case P_QUERY:
	case P_FILTER:
		return take_text(d, v, &rq->query);
	case P_RETURN_CLASS:
		if (take_bool(d, v, &tri) < 0)
			return -EINVAL;
		rq->return_query_class = tri == CIM_TRUE;
		return 0;
	case P_TIMEOUT:
		return take_u32(d, v, &rq->has_timeout, &rq->timeout_s);
	case P_CONTINUE:
		return take_bool(d, v, &rq->continue_on_error);
	case P_MAX_OBJECTS:
		return take_u32(d, v, &rq->has_max_objects, &rq->max_objects);
	case P_CONTEXT:
		return take_text(d, v, &rq->context);
	case P_PROP_NAME:
	case P_QUAL_NAME:
		return take_text(d, v, &rq->name);
	case P_NEW_VALUE:
		return take_new_value(d, v);
	case P_N:
		break;
	}
	return -EINVAL;
}

static enum cimxml_outcome intrinsic(struct decode *d, const struct xml_node *call)
{
	struct cim_request *rq = &d->rq->rq;
	const struct xml_node *c = call->child;
	struct err e = {0};
	uint32_t seen = 0;

	d->o.e = &e;
	if (!c || c->el != X_LOCALNAMESPACEPATH)
		return refuse(d, 400, "request-not-valid",
			      "IMETHODCALL must begin with LOCALNAMESPACEPATH");
	if (objects_namespace(&d->o, c, &rq->ns) < 0)
		return refuse(d, 400, "request-not-valid", e.text);
	if (!cim_op_parse(d->rq->name, strlen(d->rq->name), &rq->op)) {
		err_set(&e, -EINVAL, "there is no intrinsic method \"%.200s\"", d->rq->name);
		return fail(d, CIM_ERR_NOT_SUPPORTED, e.text);
	}
	if (schema_change(rq->op))
		return CIMXML_DECODED;
	for (c = c->next; c; c = c->next) {
		const char *name = xml_attr(c, A_NAME);
		unsigned p = 0;

		if (c->el != X_IPARAMVALUE || !name)
			return refuse(d, 400, "request-not-valid",
				      "IMETHODCALL holds IPARAMVALUE elements with a NAME");
		while (p < P_N && !str_caseeq(name, params_names[p]))
			p++;
		if (p == P_N || !(params_of[rq->op] & 1U << p))
			err_set(&e, -EINVAL, "%s has no parameter \"%.200s\"", cim_op_name(rq->op),
				name);
		else if (seen & 1U << p)
			err_set(&e, -EINVAL, "parameter %s is given twice", params_names[p]);
		else if (c->child && c->child->next)
			return refuse(d, 400, "request-not-valid",
				      "IPARAMVALUE holds more than one value");
		else if (c->child && c->child->el != X_VALUE_NULL &&
			 take_param(d, (enum param)p, c->child) < 0)
			err_in(&e, "parameter %s", params_names[p]);
		if (e.code)
			return fail(d, CIM_ERR_INVALID_PARAMETER, e.text);
		seen |= 1U << p;
	}
	if (rq->op == CIM_OP_MODIFY_INSTANCE && rq->instance && rq->instance->path) {
		/* what is modified; the broker resolves a copy of its own */
		rq->path = cim_path_dup(d->o.a, rq->instance->path);
		if (!rq->path)
			return refuse(d, 413, NULL, "the request is too large");
	}
	return CIMXML_DECODED;
}

/* ---- extrinsic methods ---- */

static enum cimxml_outcome extrinsic(struct decode *d, const struct xml_node *call)
{
	struct cim_request *rq = &d->rq->rq;
	const struct xml_node *c = call->child;
	struct cim_path *p;
	struct err e = {0};
	uint32_t count;
	bool is_class;

	d->o.e = &e;
	d->rq->extrinsic = true;
	rq->op = CIM_OP_INVOKE_METHOD;
	rq->method = d->rq->name;
	if (!c || (c->el != X_LOCALINSTANCEPATH && c->el != X_LOCALCLASSPATH))
		return refuse(d, 400, "request-not-valid",
			      "METHODCALL must begin with LOCALINSTANCEPATH or LOCALCLASSPATH");
	if (objects_path(&d->o, c, &p, &is_class) < 0)
		return refuse(d, 400, "request-not-valid", e.text);
	rq->ns = p->ns;
	rq->class_name = p->class_name;
	if (!is_class)
		rq->path = p;
	count = objects_count(call, X_PARAMVALUE);
	/* their names are compared each with each; no method of any schema has so many */
	if (count > d->o.bounds->keys) {
		err_set(&e, -EINVAL, "%u parameters; allowed: %u", count, d->o.bounds->keys);
		return fail(d, CIM_ERR_INVALID_PARAMETER, e.text);
	}
	rq->params = arena_alloc(d->o.a, count * sizeof(*rq->params));
	if (!rq->params)
		return refuse(d, 413, NULL, "the request is too large");
	for (c = c->next; c; c = c->next) {
		if (c->el != X_PARAMVALUE || !xml_attr(c, A_NAME))
			return refuse(d, 400, "request-not-valid",
				      "METHODCALL holds PARAMVALUE elements with a NAME");
		if (objects_named(&d->o, c, &rq->params[rq->n_params]) < 0) {
			err_in(&e, "parameter");
			return fail(d, CIM_ERR_INVALID_PARAMETER, e.text);
		}
		for (uint32_t i = 0; i < rq->n_params; i++)
			if (str_caseeq(rq->params[i].name, rq->params[rq->n_params].name)) {
				err_set(&e, -EINVAL, "parameter %.200s is given twice",
					rq->params[i].name);
				return fail(d, CIM_ERR_INVALID_PARAMETER, e.text);
			}
		rq->n_params++;
	}
	return CIMXML_DECODED;
}

/* ---- the message around it ---- */

/* "2.3" -> 2; -1 when it is no version. */
static int major_of(const char *v)
{
	const char *dot = v ? strchr(v, '.') : NULL;
	uint64_t major, minor;

	if (!dot || !str_u64(v, (size_t)(dot - v), 1000, &major))
		return -1;
	/* "2.3.1" is seen, too */
	v = strchr(dot + 1, '.');
	if (!str_u64(dot + 1, v ? (size_t)(v - dot - 1) : strlen(dot + 1), 1000, &minor))
		return -1;
	return (int)major;
}

static enum cimxml_outcome message(struct decode *d, const struct xml_node *cim)
{
	const struct xml_node *m = cim->child, *s, *call;

	if (cim->el != X_CIM || !m || m->next || m->el != X_MESSAGE)
		return refuse(d, 400, "request-not-valid",
			      "the document must be CIM with exactly one MESSAGE");
	if (!xml_attr(cim, A_CIMVERSION) || !xml_attr(cim, A_DTDVERSION))
		return refuse(d, 400, "request-not-valid", "CIM needs CIMVERSION and DTDVERSION");
	if (major_of(xml_attr(cim, A_CIMVERSION)) != 2)
		return refuse(d, 501, "unsupported-cim-version", "CIMVERSION must be 2.x");
	if (major_of(xml_attr(cim, A_DTDVERSION)) != 2)
		return refuse(d, 501, "unsupported-dtd-version", "DTDVERSION must be 2.x");
	d->rq->rq.message_id = xml_attr(m, A_ID);
	d->rq->protocol = xml_attr(m, A_PROTOCOLVERSION);
	if (!d->rq->rq.message_id || !d->rq->protocol)
		return refuse(d, 400, "request-not-valid", "MESSAGE needs ID and PROTOCOLVERSION");
	if (major_of(d->rq->protocol) != 1)
		return refuse(d, 501, "unsupported-protocol-version",
			      "PROTOCOLVERSION must be 1.x");
	s = m->child;
	if (!s || s->next)
		return refuse(d, 400, "request-not-valid", "MESSAGE must hold one request");
	/* With a CIMBatch header it would not have come this far (cimxml_headers_check). */
	if (s->el == X_MULTIREQ)
		return refuse(d, 400, "header-mismatch",
			      "MULTIREQ without CIMBatch; send one request per message");
	if (s->el != X_SIMPLEREQ)
		return refuse(d, 400,
			      s->el == X_SIMPLEEXPREQ || s->el == X_MULTIEXPREQ
				      ? "unsupported-operation"
				      : "request-not-valid",
			      "MESSAGE must hold SIMPLEREQ");
	call = s->child;
	while (call && call->el == X_CORRELATOR)
		call = call->next;
	if (!call || call->next || (call->el != X_IMETHODCALL && call->el != X_METHODCALL))
		return refuse(d, 400, "request-not-valid",
			      "SIMPLEREQ must hold one IMETHODCALL or METHODCALL");
	d->rq->name = xml_attr(call, A_NAME);
	if (!d->rq->name || !*d->rq->name)
		return refuse(d, 400, "request-not-valid", "a method call without a NAME");
	return call->el == X_IMETHODCALL ? intrinsic(d, call) : extrinsic(d, call);
}

enum cimxml_outcome cimxml_decode_request(struct cimxml_parser *p, const char *body, size_t n,
					  struct arena *a, struct cimxml_request *ret,
					  struct cimxml_refusal *ret_refusal)
{
	struct decode d = {
		.o = {.a = a, .inner = &p->inner, .bounds = &p->bounds},
		.rq = ret,
		.refusal = ret_refusal
        };
	struct xml *x = &p->outer;
	enum cimxml_outcome r;

	memset(ret, 0, sizeof(*ret));
	ret_refusal->status = 0;
	ret_refusal->cim_error = ret_refusal->allow = NULL;
	x->item = NULL;
	xml_begin(x, a, XML_STRICT, &ret_refusal->why);
	if (!xml_feed(x, body, n, true)) {
		switch (x->fail) {
		case XML_MALFORMED:
			return refuse(&d, 400,
				      str_utf8(body, n, NULL) ? "request-not-well-formed"
							      : "request-not-valid",
				      NULL);
		case XML_TOO_LARGE:
			return refuse(&d, arena_full(a) ? 413 : 400,
				      arena_full(a) ? NULL : "request-not-valid", NULL);
		case XML_FINE:
		case XML_INVALID:
			break;
		}
		return refuse(&d, 400, "request-not-valid", NULL);
	}
	r = message(&d, x->root);
	if (r != CIMXML_REFUSED && arena_full(a))
		return refuse(&d, 413, NULL, "the request needs more memory than is allowed");
	return r;
}
