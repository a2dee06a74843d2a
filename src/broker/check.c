/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"
#include "broker/internal.h"

enum cim_status refuse(struct err *e, enum cim_status s, const char *fmt, ...)
{
	va_list ap;

	e->code = -EINVAL;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return s;
}

enum cim_status not_found(struct arena *a, const struct cim_path *p, struct err *e)
{
	const char *path = cim_path_print(a, p);

	return refuse(e, CIM_ERR_NOT_FOUND, "there is no %s", path ? path : p->class_name);
}

struct decl decl_of_prop(const struct cim_prop *p)
{
	return (struct decl){"property", p->name, (enum cim_type)p->type,
			     (p->flags & CIM_F_ARRAY) != 0, p->array_size};
}

struct decl decl_of_param(const struct cim_param *p)
{
	return (struct decl){"parameter", p->name, (enum cim_type)p->type,
			     (p->flags & CIM_F_ARRAY) != 0, p->array_size};
}

static enum cim_status check_object(const struct broker *b, struct arena *a, const struct decl *d,
				    const struct cim_value *in, struct cim_value *ret,
				    struct err *e)
{
	/* Before it has a class table an embedded instance travels as a raw one (request.h). */
	const struct cim_raw_instance *raw = (const void *)in->inst;
	const struct cim_class *c;
	struct cim_instance *i;
	bool *given;

	c = cim_schema_find(b->schema, raw->class_name, strlen(raw->class_name));
	if (!c)
		return refuse(e, CIM_ERR_INVALID_PARAMETER,
			      "%s %s: embedded instance of class "
			      "%s, which there isn't",
			      d->what, d->name, raw->class_name);
	i = cim_instance_new(a, c);
	given = arena_zalloc(a, c->n_props + 1U);
	if (!i || !given)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	*ret = cim_object(i);
	return check_instance(b, a, c, raw, i, given, e);
}

static enum cim_status check_ref(const struct broker *b, struct arena *a, const struct decl *d,
				 const struct cim_value *in, struct cim_value *ret, struct err *e)
{
	struct cim_path *p = cim_path_dup(a, in->ref);

	if (!p)
		return refuse(e, CIM_ERR_FAILED,
			      "%s %s: the request needs more memory than "
			      "allowed",
			      d->what, d->name);
	/* An unknown class or key is not malformed: what it means is for the method to say. */
	if (cim_path_resolve(p, &b->anywhere, a, NULL) < 0)
		p->cls = NULL;
	*ret = cim_ref(p);
	return CIM_OK;
}

/* One value, or one element of an array. */
static enum cim_status check_one(const struct broker *b, struct arena *a, const struct decl *d,
				 const struct cim_value *in, struct cim_value *ret, struct err *e)
{
	struct err why;

	if (cim_is_null(in)) {
		*ret = cim_null(d->type);
		return CIM_OK;
	}
	if (d->type == CIM_REF && in->type == CIM_REF)
		return check_ref(b, a, d, in, ret, e);
	if (d->type == CIM_OBJECT && in->type == CIM_OBJECT)
		return check_object(b, a, d, in, ret, e);
	if (d->type == CIM_STRING && in->type == CIM_OBJECT && in->hint == CIM_HINT_RAW) {
		/* a text that only looks like one */
		const struct cim_raw_instance *raw = (const void *)in->inst;

		if (raw->text) {
			*ret = cim_strn(raw->text, raw->n_text);
			return CIM_OK;
		}
	}
	if (d->type == CIM_REF || in->type == CIM_REF)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s %s: got a %s, must be a %s",
			      d->what, d->name, in->type == CIM_REF ? "reference" : "value",
			      d->type == CIM_REF ? "reference" : "value");
	if (d->type == CIM_OBJECT || in->type == CIM_OBJECT)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s %s: %s an embedded instance",
			      d->what, d->name, d->type == CIM_OBJECT ? "must be" : "can't be");
	if (in->type != CIM_UNTYPED) { /* a caller in this process, which types its values */
		if (in->type != d->type)
			return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s %s is a %s, must be a %s",
				      d->what, d->name, cim_type_name((enum cim_type)in->type),
				      cim_type_name(d->type));
		*ret = *in;
		return CIM_OK;
	}
	if (cim_value_parse(d->type, in->s, in->n, ret, &why) < 0)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s %s: %s", d->what, d->name,
			      why.text);
	return CIM_OK;
}

/* What a sender may call a value of the declared type: datetimes, characters and embedded
 * instances are strings on the wire, and some senders say so. */
static bool claim_fits(const struct cim_named *in, enum cim_type t)
{
	if (!in->has_type || in->claimed == t)
		return true;
	return in->claimed == CIM_STRING &&
	       (t == CIM_DATETIME || t == CIM_CHAR16 || t == CIM_OBJECT);
}

static enum cim_status check_array(const struct broker *b, struct arena *a, const struct decl *d,
				   const struct cim_value *in, struct cim_value *ret, struct err *e)
{
	struct cim_value *to = arena_alloc(a, (in->n + 1U) * sizeof(*to));
	enum cim_status s = CIM_OK;

	if (!to)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	if (d->array_size && in->n > d->array_size)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s %s has %u elements, allowed %u",
			      d->what, d->name, in->n, d->array_size);
	for (uint32_t i = 0; i < in->n && s == CIM_OK; i++)
		s = check_one(b, a, d, &in->a[i], &to[i], e);
	*ret = cim_array(d->type, to, in->n);
	return s;
}

enum cim_status check_value(const struct broker *b, struct arena *a, const struct decl *d,
			    const struct cim_named *in, struct cim_value *ret, struct err *e)
{
	if (!claim_fits(in, d->type))
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s %s is a %s, must be a %s", d->what,
			      d->name, cim_type_name((enum cim_type)in->claimed),
			      cim_type_name(d->type));
	if (cim_is_null(&in->v)) {
		*ret = cim_null(d->type);
		return CIM_OK;
	}
	if (d->array != (in->v.kind == CIM_V_ARRAY))
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s %s is %s, must be %s", d->what,
			      d->name, d->array ? "one value" : "an array",
			      d->array ? "an array" : "one value");
	return d->array ? check_array(b, a, d, &in->v, ret, e) : check_one(b, a, d, &in->v, ret, e);
}

enum cim_status check_instance(const struct broker *b, struct arena *a, const struct cim_class *c,
			       const struct cim_raw_instance *in, struct cim_instance *ret,
			       bool *given, struct err *e)
{
	for (uint32_t i = 0; i < in->n_props; i++) {
		const struct cim_named *p = &in->props[i];
		int idx = cim_prop_find(c, p->name, strlen(p->name));
		enum cim_status s;
		struct decl d;

		if (idx < 0)
			return refuse(e, CIM_ERR_INVALID_PARAMETER, "class %s has no property %s",
				      c->name, p->name);
		if (given[idx])
			return refuse(e, CIM_ERR_INVALID_PARAMETER, "property %s is there twice",
				      p->name);
		given[idx] = true;
		d = decl_of_prop(c->props[idx]);
		s = check_value(b, a, &d, p, &ret->v[idx], e);
		if (s != CIM_OK)
			return s;
	}
	return CIM_OK;
}

enum cim_status check_path(const struct broker *b, const struct space *sp, struct arena *a,
			   struct cim_path *p, enum cim_status unknown, struct err *e)
{
	const struct cim_class *c = cim_ns_find(sp->ns, p->class_name, strlen(p->class_name));
	struct err why;

	if (!c)
		return refuse(e, unknown, "no class %s in namespace %s", p->class_name,
			      sp->ns->name);
	/* Nested references may name what is in another namespace. */
	if (cim_path_resolve(p, &b->anywhere, a, &why) < 0)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s", why.text);
	for (size_t i = 0; i < c->n_keys; i++) {
		const char *name = c->props[c->keys[i]]->name;

		if (i >= p->n_keys || !str_caseeq(p->keys[i].name, name))
			return refuse(e, CIM_ERR_INVALID_PARAMETER, "path of %s: key %s is missing",
				      c->name, name);
	}
	p->ns = sp->ns->name;
	p->host = NULL;
	return CIM_OK;
}
