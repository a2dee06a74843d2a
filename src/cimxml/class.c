/* SPDX-License-Identifier: Apache-2.0 */
#include "cimxml/class.h"
#include "cimxml/values.h"

static void attribute(struct writer *w, const char *name, const char *value)
{
	writer_lit(w, " ");
	writer_str(w, name);
	writer_lit(w, "=\"");
	writer_attr(w, value);
	writer_lit(w, "\"");
}

static void number(struct writer *w, const char *name, uint64_t n)
{
	writer_lit(w, " ");
	writer_str(w, name);
	writer_lit(w, "=\"");
	writer_u64(w, n);
	writer_lit(w, "\"");
}

/* DSP0203: OVERRIDABLE and TOSUBCLASS are true, the others false when they aren't written. */
static void flavor(struct writer *w, uint8_t f)
{
	if (!(f & CIM_Q_OVERRIDABLE))
		attribute(w, "OVERRIDABLE", "false");
	if (!(f & CIM_Q_TOSUBCLASS))
		attribute(w, "TOSUBCLASS", "false");
	if (f & CIM_Q_TOINSTANCE)
		attribute(w, "TOINSTANCE", "true");
	if (f & CIM_Q_TRANSLATABLE)
		attribute(w, "TRANSLATABLE", "true");
}

static void value(struct writer *w, const struct cim_value *v)
{
	struct values plain = {0};

	values_value(&plain, w, v);
}

static void qualifiers(struct writer *w, const struct cim_qual *q, unsigned n,
		       const struct cimxml_answer *an)
{
	for (unsigned i = 0; an->include_quals && i < n; i++) {
		writer_lit(w, "<QUALIFIER");
		attribute(w, "NAME", q[i].name);
		attribute(w, "TYPE", cim_type_name(q[i].value.type));
		if (q[i].propagated)
			attribute(w, "PROPAGATED", "true");
		flavor(w, q[i].flavor);
		writer_lit(w, ">");
		value(w, &q[i].value);
		writer_lit(w, "</QUALIFIER>");
	}
}

static void open_member(struct writer *w, const char *element, const char *name)
{
	writer_lit(w, "<");
	writer_str(w, element);
	attribute(w, "NAME", name);
}

static void close_member(struct writer *w, const char *element)
{
	writer_lit(w, "</");
	writer_str(w, element);
	writer_lit(w, ">");
}

static void origin(struct writer *w, const struct cim_class *c, const struct cim_class *from,
		   const struct cim_class *declared, const struct cimxml_answer *an)
{
	if (an->include_origin && from)
		attribute(w, "CLASSORIGIN", from->name);
	if (declared && declared != c)
		attribute(w, "PROPAGATED", "true");
}

static void property(struct writer *w, const struct cim_class *c, const struct cim_prop *p,
		     const struct cimxml_answer *an)
{
	const char *element = p->type == CIM_REF       ? "PROPERTY.REFERENCE"
			      : p->flags & CIM_F_ARRAY ? "PROPERTY.ARRAY"
						       : "PROPERTY";

	open_member(w, element, p->name);
	if (p->type == CIM_REF)
		attribute(w, "REFERENCECLASS", p->ref_class ? p->ref_class->name : "");
	else
		attribute(w, "TYPE", cim_type_name(p->type));
	if (p->flags & CIM_F_ARRAY && p->array_size)
		number(w, "ARRAYSIZE", p->array_size);
	origin(w, c, p->origin, p->declared, an);
	if (p->type == CIM_OBJECT)
		attribute(w, "EmbeddedObject", "instance");
	writer_lit(w, ">");
	qualifiers(w, p->quals, p->n_quals, an);
	value(w, &p->dflt);
	close_member(w, element);
}

static void parameter(struct writer *w, const struct cim_param *p, const struct cimxml_answer *an)
{
	bool array = p->flags & CIM_F_ARRAY;
	const char *element = p->type == CIM_REF
				      ? (array ? "PARAMETER.REFARRAY" : "PARAMETER.REFERENCE")
				      : (array ? "PARAMETER.ARRAY" : "PARAMETER");

	open_member(w, element, p->name);
	if (p->type != CIM_REF)
		attribute(w, "TYPE", cim_type_name(p->type));
	else if (p->ref_class)
		attribute(w, "REFERENCECLASS", p->ref_class->name);
	if (array && p->array_size)
		number(w, "ARRAYSIZE", p->array_size);
	writer_lit(w, ">");
	qualifiers(w, p->quals, p->n_quals, an);
	close_member(w, element);
}

static void method(struct writer *w, const struct cim_class *c, const struct cim_method *m,
		   const struct cimxml_answer *an)
{
	open_member(w, "METHOD", m->name);
	attribute(w, "TYPE", cim_type_name(m->type));
	origin(w, c, m->origin, m->declared, an);
	writer_lit(w, ">");
	qualifiers(w, m->quals, m->n_quals, an);
	for (unsigned i = 0; i < m->n_params; i++)
		parameter(w, &m->params[i], an);
	close_member(w, "METHOD");
}

static void open_class(struct writer *w, const struct cim_class *c)
{
	open_member(w, "CLASS", c->name);
	if (c->super)
		attribute(w, "SUPERCLASS", c->super->name);
	writer_lit(w, ">");
}

void class_write(struct writer *w, const struct cim_class *c, const struct cimxml_answer *an)
{
	open_class(w, c);
	qualifiers(w, c->quals, c->n_quals, an);
	for (unsigned i = 0; i < c->n_props; i++)
		if ((!an->local_only || c->props[i]->declared == c) &&
		    (!an->wants || an->wants(an->wants_ctx, c, i)))
			property(w, c, c->props[i], an);
	for (unsigned i = 0; i < c->n_methods; i++)
		if (!an->local_only || c->methods[i]->declared == c)
			method(w, c, c->methods[i], an);
	writer_lit(w, "</CLASS>");
}

void class_rows_write(struct writer *w, const struct cim_class *c, const struct cimxml_answer *an)
{
	open_class(w, c);
	for (unsigned i = 0; i < c->n_props; i++)
		if (!an->wants || an->wants(an->wants_ctx, c, i))
			property(w, c, c->props[i], an);
	writer_lit(w, "</CLASS>");
}

void class_qualdecl_write(struct writer *w, const struct cim_qualdecl *q)
{
	static const struct {
		uint16_t bit;
		const char *name;
	} scopes[] = {
		{CIM_S_CLASS,       "CLASS"      },
                {CIM_S_ASSOCIATION, "ASSOCIATION"},
		{CIM_S_REFERENCE,   "REFERENCE"  },
                {CIM_S_PROPERTY,    "PROPERTY"   },
		{CIM_S_METHOD,      "METHOD"     },
                {CIM_S_PARAMETER,   "PARAMETER"  },
		{CIM_S_INDICATION,  "INDICATION" },
	};

	writer_lit(w, "<QUALIFIER.DECLARATION");
	attribute(w, "NAME", q->name);
	attribute(w, "TYPE", cim_type_name(q->value.type));
	attribute(w, "ISARRAY",
		  q->value.kind == CIM_V_ARRAY || q->value.hint == CIM_V_ARRAY ? "true" : "false");
	flavor(w, q->flavor);
	writer_lit(w, "><SCOPE");
	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++)
		if (q->scope & scopes[i].bit)
			attribute(w, scopes[i].name, "true");
	writer_lit(w, "></SCOPE>");
	/* an array type without a default is an array without elements in the table */
	if (q->value.kind != CIM_V_ARRAY || q->value.n)
		value(w, &q->value);
	writer_lit(w, "</QUALIFIER.DECLARATION>");
}
