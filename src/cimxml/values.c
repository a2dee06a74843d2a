/* SPDX-License-Identifier: Apache-2.0 */
#include "cimxml/values.h"
#include "base/str.h"
#include "cimxml/bounds.h"

/* ---- namespaces and paths ---- */

static void namespace_write(struct writer *w, const char *ns)
{
	writer_lit(w, "<LOCALNAMESPACEPATH>");
	while (*ns) {
		size_t n = strcspn(ns, "/");
		char part[cimxml_namespace_name_most + 1];

		if (n && n < sizeof(part)) {
			memcpy(part, ns, n);
			part[n] = '\0';
			writer_lit(w, "<NAMESPACE NAME=\"");
			writer_attr(w, part);
			writer_lit(w, "\"/>");
		}
		ns += n + (ns[n] == '/');
	}
	writer_lit(w, "</LOCALNAMESPACEPATH>");
}

void values_namespace(struct values *v, struct writer *w, const char *ns)
{
	size_t before;

	if (v->last_n && streq(v->last_name, ns)) {
		if (writer_room(w, v->last_n))
			w->p = writer_copy_const(w->p, v->last_text, v->last_n);
		return;
	}
	before = w->p ? (size_t)(w->p - w->b->p) : 0;
	namespace_write(w, ns);
	if (!w->bad && strlen(ns) < sizeof(v->last_name)) {
		size_t n = (size_t)(w->p - w->b->p) - before;

		if (n <= VALUES_NS_TEXT) {
			memcpy(v->last_text, w->b->p + before, n);
			v->last_n = (uint32_t)n;
			strcpy(v->last_name, ns);
		}
	}
}

static void key_value(struct values *v, struct writer *w, const struct cim_value *k)
{
	const char *how = "numeric", *type = "uint64";

	if (k->type == CIM_REF && k->kind == CIM_V_SCALAR) {
		writer_lit(w, "<VALUE.REFERENCE>");
		values_reference(v, w, k->ref);
		writer_lit(w, "</VALUE.REFERENCE>");
		return;
	}
	if (k->type == CIM_BOOLEAN || (k->type == CIM_UNTYPED && k->hint == CIM_HINT_BOOLEAN))
		how = type = "boolean";
	else if (k->type == CIM_STRING || k->type == CIM_DATETIME || k->type == CIM_CHAR16 ||
		 (k->type == CIM_UNTYPED && k->hint == CIM_HINT_STRING))
		how = type = "string";
	writer_lit(w, "<KEYVALUE VALUETYPE=\"");
	writer_str(w, how);
	if (v->typed) {
		writer_lit(w, "\" TYPE=\"");
		writer_str(w,
			   k->type == CIM_UNTYPED ? type : cim_type_name((enum cim_type)k->type));
	}
	writer_lit(w, "\">");
	if (k->kind == CIM_V_SCALAR)
		writer_scalar(w, k);
	writer_lit(w, "</KEYVALUE>");
}

static void plain_name(struct values *v, struct writer *w, const struct cim_path *p)
{
	writer_lit(w, "<INSTANCENAME CLASSNAME=\"");
	writer_attr(w, p->class_name);
	writer_lit(w, "\">");
	for (unsigned i = 0; i < p->n_keys; i++) {
		if (!p->keys[i].name) {
			key_value(v, w, &p->keys[i].v);
			continue;
		}
		writer_lit(w, "<KEYBINDING NAME=\"");
		writer_attr(w, p->keys[i].name);
		writer_lit(w, "\">");
		key_value(v, w, &p->keys[i].v);
		writer_lit(w, "</KEYBINDING>");
	}
	writer_lit(w, "</INSTANCENAME>");
}

static inline void put_piece(struct writer *w, const struct plan *p, struct piece at, uint32_t skip)
{
	if (LIKELY(writer_room(w, at.len)))
		w->p = writer_copy_const(w->p, p->text + at.at + skip, at.len - skip);
}

static void planned_name(struct values *v, struct writer *w, const struct plan *pl,
			 const struct cim_path *p)
{
	bool open = false;

	put_piece(w, pl, pl->name_open, 0);
	for (unsigned i = 0; i < p->n_keys; i++) {
		const struct plan_key *k = &pl->keys[i];
		const struct cim_value *val = &p->keys[i].v;

		if (k->is_ref) {
			if (open)
				writer_lit(w, PLAN_KEY_TAIL);
			open = false;
			put_piece(w, pl, k->ref, 0);
			if (val->kind == CIM_V_SCALAR)
				values_reference(v, w, val->ref);
			writer_lit(w, PLAN_REF_TAIL);
			continue;
		}
		put_piece(w, pl, v->typed ? k->typed : k->value,
			  open ? 0 : sizeof(PLAN_KEY_TAIL) - 1);
		open = true;
		if (val->kind == CIM_V_SCALAR)
			writer_scalar(w, val);
	}
	if (open)
		writer_lit(w, PLAN_KEY_TAIL);
	writer_lit(w, "</INSTANCENAME>");
}

/* All keys, in the class's order and types? */
static bool fits(const struct cim_path *p)
{
	const struct cim_class *c = p->cls;

	if (!c || p->n_keys != c->n_keys)
		return false;
	for (unsigned i = 0; i < c->n_keys; i++) {
		const struct cim_prop *k = c->props[c->keys[i]];

		if (p->keys[i].v.type != k->type ||
		    (p->keys[i].name != k->name && !str_caseeq(p->keys[i].name, k->name)))
			return false;
	}
	return true;
}

void values_instance_name(struct values *v, struct writer *w, const struct cim_path *p)
{
	if (v->depth > cimxml_path_depth_most) {
		w->bad = true;
		return;
	}
	v->depth++;
	if (v->plans && fits(p))
		planned_name(v, w, plans_get(v->plans, p->cls), p);
	else
		plain_name(v, w, p);
	v->depth--;
}

static void namespace_path(struct values *v, struct writer *w, const char *host, const char *ns)
{
	writer_lit(w, "<NAMESPACEPATH><HOST>");
	writer_text(w, host, strlen(host));
	writer_lit(w, "</HOST>");
	values_namespace(v, w, ns);
	writer_lit(w, "</NAMESPACEPATH>");
}

static const char *either(const char *a, const char *b)
{
	return a ? a : b ? b : "";
}

void values_instance_path(struct values *v, struct writer *w, const struct cim_path *p)
{
	writer_lit(w, "<INSTANCEPATH>");
	namespace_path(v, w, either(p->host, v->host), either(p->ns, v->ns));
	values_instance_name(v, w, p);
	writer_lit(w, "</INSTANCEPATH>");
}

void values_class_path(struct values *v, struct writer *w, const char *class_name)
{
	writer_lit(w, "<CLASSPATH>");
	namespace_path(v, w, either(v->host, NULL), either(v->ns, NULL));
	writer_lit(w, "<CLASSNAME NAME=\"");
	writer_attr(w, class_name);
	writer_lit(w, "\"/></CLASSPATH>");
}

void values_reference(struct values *v, struct writer *w, const struct cim_path *p)
{
	const char *ns = p->ns ? p->ns : v->ns;

	if (p->host) {
		values_instance_path(v, w, p);
	} else if (ns) {
		writer_lit(w, "<LOCALINSTANCEPATH>");
		values_namespace(v, w, ns);
		values_instance_name(v, w, p);
		writer_lit(w, "</LOCALINSTANCEPATH>");
	} else {
		values_instance_name(v, w, p);
	}
}

/* ---- values ---- */

static void embedded(struct values *v, struct writer *w, const struct cim_value *val)
{
	auto_buf struct buf inner = buf_of(CIMXML_ANSWER_VALUE_MAX);
	struct writer iw = writer_open(&inner);

	if (v->depth > cimxml_path_depth_most) {
		w->bad = true;
		return;
	}
	v->depth++;
	if (val->hint == CIM_HINT_RAW)
		values_raw_instance(v, &iw, cim_raw_of(val));
	else
		values_instance(v, &iw, plans_get(v->plans, val->inst->cls), val->inst);
	v->depth--;
	if (writer_close(&iw))
		writer_text(w, inner.p, inner.len);
	else
		w->bad = true;
}

static void one(struct values *v, struct writer *w, const struct cim_value *val)
{
	if (val->type == CIM_REF) {
		writer_lit(w, "<VALUE.REFERENCE>");
		values_reference(v, w, val->ref);
		writer_lit(w, "</VALUE.REFERENCE>");
		return;
	}
	writer_lit(w, "<VALUE>");
	if (val->type == CIM_OBJECT)
		embedded(v, w, val);
	else
		writer_scalar(w, val);
	writer_lit(w, "</VALUE>");
}

void values_value(struct values *v, struct writer *w, const struct cim_value *val)
{
	if (val->kind == CIM_V_SCALAR) {
		one(v, w, val);
	} else if (val->kind == CIM_V_ARRAY) {
		bool refs = val->type == CIM_REF;

		writer_str(w, refs ? "<VALUE.REFARRAY>" : "<VALUE.ARRAY>");
		for (uint32_t i = 0; i < val->n; i++) {
			if (cim_is_null(&val->a[i]))
				writer_lit(w, "<VALUE.NULL/>");
			else
				one(v, w, &val->a[i]);
		}
		writer_str(w, refs ? "</VALUE.REFARRAY>" : "</VALUE.ARRAY>");
	}
}

/* ---- instances ---- */

static void close_property(struct values *v, struct writer *w, const struct plan_step *s,
			   const struct plan *p, const struct cim_value *val)
{
	put_piece(w, p, s->open, 0);
	values_value(v, w, val);
	if (s->type == CIM_REF)
		writer_lit(w, "</PROPERTY.REFERENCE>");
	else if (s->array)
		writer_lit(w, "</PROPERTY.ARRAY>");
	else
		writer_lit(w, "</PROPERTY>");
}

void values_instance(struct values *v, struct writer *w, const struct plan *p,
		     const struct cim_instance *i)
{
	static const size_t tail = sizeof(PLAN_VALUE_TAIL) - 1;
	struct piece nulls = {0, 0};
	bool open = false; /* a plain value was written, its end tags not yet */

	put_piece(w, p, p->instance_open, 0);
	for (unsigned k = 0; k < p->n_steps; k++) {
		const struct plan_step *s = &p->steps[k];
		const struct cim_value *val = &i->v[s->idx];

		if (val->kind == CIM_V_NULL) {
			if (!nulls.len)
				nulls.at = s->null.at;
			nulls.len += s->null.len;
			continue;
		}
		if (nulls.len || s->array || s->type == CIM_REF) {
			if (open)
				writer_lit(w, PLAN_VALUE_TAIL);
			open = false;
			if (nulls.len)
				put_piece(w, p, nulls, 0);
			nulls.len = 0;
		}
		if (s->array || s->type == CIM_REF) {
			close_property(v, w, s, p, val);
			continue;
		}
		put_piece(w, p, s->value, open ? 0 : tail);
		open = true;
		if (s->type == CIM_STRING && val->type == CIM_STRING)
			writer_text(w, val->s, val->n);
		else if (s->type == CIM_OBJECT)
			embedded(v, w, val);
		else
			writer_scalar(w, val);
	}
	if (open)
		writer_lit(w, PLAN_VALUE_TAIL);
	if (nulls.len)
		put_piece(w, p, nulls, 0);
	writer_lit(w, "</INSTANCE>");
}

void values_raw_instance(struct values *v, struct writer *w, const struct cim_raw_instance *raw)
{
	writer_lit(w, "<INSTANCE CLASSNAME=\"");
	writer_attr(w, raw->class_name);
	writer_lit(w, "\">");
	for (uint32_t i = 0; i < raw->n_props; i++) {
		const struct cim_named *p = &raw->props[i];
		bool ref = p->v.type == CIM_REF || (p->has_type && p->claimed == CIM_REF);
		const char *element = ref           ? "PROPERTY.REFERENCE"
				      : p->is_array ? "PROPERTY.ARRAY"
						    : "PROPERTY";

		writer_lit(w, "<");
		writer_str(w, element);
		writer_lit(w, " NAME=\"");
		writer_attr(w, p->name);
		if (!ref) {
			writer_lit(w, "\" TYPE=\"");
			writer_str(w, cim_type_name(p->has_type ? (enum cim_type)p->claimed
								: (enum cim_type)p->v.type));
		}
		if (p->v.type == CIM_OBJECT)
			writer_lit(w, "\" EmbeddedObject=\"instance");
		writer_lit(w, "\">");
		values_value(v, w, &p->v);
		writer_lit(w, "</");
		writer_str(w, element);
		writer_lit(w, ">");
	}
	writer_lit(w, "</INSTANCE>");
}
