/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "cimxml/bounds.h"
#include "cimxml/objects.h"

static int no_room(struct objects *o)
{
	return err_set(o->e, -EINVAL, "the document needs more memory than is allowed");
}

static int misplaced(struct objects *o, const struct xml_node *n, const char *where)
{
	return err_set(o->e, -EINVAL, "%s does not belong into %s", xml_el_name(n->el), where);
}

uint32_t objects_count(const struct xml_node *n, enum xml_el el)
{
	uint32_t count = 0;

	for (const struct xml_node *c = n->child; c; c = c->next)
		count += el == X_UNKNOWN || c->el == el;
	return count;
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\'; /* the latter from Windows clients */
}

int objects_namespace(struct objects *o, const struct xml_node *n, const char **ret)
{
	char text[cimxml_namespace_name_most + 1];
	size_t len = 0, most = o->bounds->namespace_name;

	if (!n->child && !o->lenient)
		return err_set(o->e, -EINVAL, "LOCALNAMESPACEPATH holds no NAMESPACE");
	for (const struct xml_node *c = n->child; c; c = c->next) {
		const char *name = xml_attr(c, A_NAME);

		if (c->el != X_NAMESPACE || !name)
			return err_set(o->e, -EINVAL,
				       "LOCALNAMESPACEPATH holds NAMESPACE elements "
				       "with a NAME");
		while (is_slash(*name))
			name++;
		if (*name && len && len < most)
			text[len++] = '/';
		for (; *name && len < most; name++)
			text[len++] = is_slash(*name) ? '/' : *name;
		if (*name)
			return err_set(o->e, -EINVAL, "a namespace name of more than %zu bytes",
				       most);
		while (len && text[len - 1] == '/')
			len--;
	}
	*ret = arena_strndup(o->a, text, len);
	return *ret ? 0 : no_room(o);
}

static int key_value(struct objects *o, const struct xml_node *n, struct cim_value *ret)
{
	if (n->el == X_KEYVALUE) {
		const char *type = xml_attr(n, A_VALUETYPE);

		*ret = (struct cim_value){.type = CIM_UNTYPED,
					  .kind = CIM_V_SCALAR,
					  .hint = CIM_HINT_STRING,
					  .n = n->n_text,
					  .s = n->text};
		if (type && str_caseeq(type, "numeric"))
			ret->hint = CIM_HINT_NUMERIC;
		else if (type && str_caseeq(type, "boolean"))
			ret->hint = CIM_HINT_BOOLEAN;
		return 0;
	}
	if (n->el == X_VALUE_REFERENCE) {
		struct cim_path *p;

		if (objects_path(o, n, &p, NULL) < 0)
			return -EINVAL;
		*ret = cim_ref(p);
		return 0;
	}
	return misplaced(o, n, "a key binding");
}

static int instance_name(struct objects *o, const struct xml_node *n, struct cim_path *p)
{
	uint32_t keys = objects_count(n, X_UNKNOWN);

	p->class_name = xml_attr(n, A_CLASSNAME);
	if (!p->class_name || !*p->class_name)
		return err_set(o->e, -EINVAL, "INSTANCENAME without a CLASSNAME");
	if (keys > o->bounds->keys)
		return err_set(o->e, -EINVAL, "an object path with %u keys; allowed: %u", keys,
			       o->bounds->keys);
	p->keys = arena_zalloc(o->a, keys * sizeof(*p->keys));
	if (!p->keys)
		return no_room(o);
	for (const struct xml_node *c = n->child; c; c = c->next) {
		struct cim_key *k = &p->keys[p->n_keys];

		if (c->el == X_KEYBINDING) {
			k->name = xml_attr(c, A_NAME);
			if (!k->name || !c->child || c->child->next)
				return err_set(o->e, -EINVAL,
					       "KEYBINDING needs a NAME and exactly one value");
			if (key_value(o, c->child, &k->v) < 0)
				return -EINVAL;
		} else if (keys > 1) {
			return misplaced(o, c, "INSTANCENAME beside other keys");
		} else if (key_value(o, c, &k->v) < 0) { /* a single key without its name */
			return -EINVAL;
		}
		p->n_keys++;
	}
	return 0;
}

static int namespace_path(struct objects *o, const struct xml_node *n, struct cim_path *p)
{
	if (n->el == X_LOCALNAMESPACEPATH)
		return objects_namespace(o, n, &p->ns);
	if (n->el != X_NAMESPACEPATH || !n->child || n->child->el != X_HOST || !n->child->next ||
	    n->child->next->el != X_LOCALNAMESPACEPATH)
		return err_set(o->e, -EINVAL,
			       "NAMESPACEPATH must hold HOST and LOCALNAMESPACEPATH");
	p->host = n->child->text;
	return objects_namespace(o, n->child->next, &p->ns);
}

static int path(struct objects *o, const struct xml_node *n, struct cim_path *p, bool *ret_is_class)
{
	switch ((unsigned)n->el) {
	case X_CLASSNAME:
		*ret_is_class = true;
		p->class_name = xml_attr(n, A_NAME);
		if (!p->class_name || !*p->class_name)
			return err_set(o->e, -EINVAL, "CLASSNAME without a NAME");
		return 0;
	case X_INSTANCENAME:
		*ret_is_class = false;
		return instance_name(o, n, p);
	case X_INSTANCEPATH:
	case X_LOCALINSTANCEPATH:
	case X_CLASSPATH:
	case X_LOCALCLASSPATH:
		if (!n->child || !n->child->next || n->child->next->next ||
		    (n->child->next->el != X_CLASSNAME && n->child->next->el != X_INSTANCENAME))
			return err_set(o->e, -EINVAL, "%s must hold a namespace and a name",
				       xml_el_name(n->el));
		if (namespace_path(o, n->child, p) < 0)
			return -EINVAL;
		return path(o, n->child->next, p, ret_is_class);
	case X_VALUE_REFERENCE:
	case X_OBJECTPATH:
		if (!n->child || n->child->next || n->child->el == n->el)
			return err_set(o->e, -EINVAL, "%s must hold exactly one path",
				       xml_el_name(n->el));
		return path(o, n->child, p, ret_is_class);
	default:
		return misplaced(o, n, "an object path");
	}
}

int objects_path(struct objects *o, const struct xml_node *n, struct cim_path **ret,
		 bool *ret_is_class)
{
	struct cim_path *p = arena_zalloc(o->a, sizeof(*p));
	bool is_class = false;
	int r;

	if (!p)
		return no_room(o);
	if (o->ref_depth >= o->bounds->path_depth)
		return err_set(o->e, -EINVAL, "more than %u object paths inside each other",
			       o->bounds->path_depth);
	o->ref_depth++;
	r = path(o, n, p, &is_class);
	o->ref_depth--;
	if (r < 0)
		return r;
	*ret = p;
	if (ret_is_class)
		*ret_is_class = is_class;
	return 0;
}

static struct cim_value untyped(const struct xml_node *n)
{
	return (struct cim_value){.type = CIM_UNTYPED,
				  .kind = CIM_V_SCALAR,
				  .hint = CIM_HINT_STRING,
				  .n = n->n_text,
				  .s = n->text};
}

int objects_embedded(struct objects *o, const char *text, size_t n, struct cim_raw_instance **ret)
{
	struct xml *x = o->inner;
	int r;

	if (o->embedded_depth >= o->bounds->embedded_depth)
		return err_set(o->e, -EINVAL, "more than %u embedded instances inside each other",
			       o->bounds->embedded_depth);
	xml_begin(x, o->a, o->lenient ? XML_LENIENT : XML_STRICT, o->e);
	if (!xml_feed(x, text, n, true)) {
		err_in(o->e, "embedded instance");
		return -EINVAL;
	}
	if (x->root->el != X_INSTANCE)
		return err_set(o->e, -EINVAL, "an embedded object must be an INSTANCE, not %s",
			       xml_el_name(x->root->el));
	o->embedded_depth++;
	r = objects_instance(o, x->root, ret);
	o->embedded_depth--;
	return r;
}

static bool looks_embedded(const char *s)
{
	while (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r')
		s++;
	return str_starts(s, "<INSTANCE ") || str_starts(s, "<?xml ");
}

/*
 * Text of a VALUE.  Marked as an embedded object it must be one.  Some clients don't mark it; so
 * what parses as one becomes one too, with the text beside it for a receiver that wants a string.
 */
static int text_value(struct objects *o, const struct xml_node *n, const char *embedded,
		      struct cim_value *ret)
{
	struct cim_raw_instance *raw;
	struct err *real = o->e, ignored;
	int r;

	*ret = untyped(n);
	if (embedded && *embedded) {
		if (objects_embedded(o, n->text, n->n_text, &raw) == 0)
			*ret = cim_raw_to_value(raw);
		else if (!o->lenient)
			return -EINVAL;
	} else if (looks_embedded(n->text)) {
		o->e = &ignored;
		r = objects_embedded(o, n->text, n->n_text, &raw);
		o->e = real;
		if (r == 0) {
			raw->text = n->text;
			raw->n_text = n->n_text;
			*ret = cim_raw_to_value(raw);
		}
	}
	return 0;
}

static bool all_objects(const struct cim_value *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (a[i].type != CIM_OBJECT && !cim_is_null(&a[i]))
			return false;
	return true;
}

/* Can all be text?  Then they are: strings of which some only looked like instances. */
static bool all_text(struct cim_value *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (a[i].type == CIM_OBJECT && !cim_raw_of(&a[i])->text)
			return false;
	for (uint32_t i = 0; i < n; i++)
		if (a[i].type == CIM_OBJECT) {
			const struct cim_raw_instance *raw = cim_raw_of(&a[i]);

			a[i] = (struct cim_value){.type = CIM_UNTYPED,
						  .kind = CIM_V_SCALAR,
						  .n = raw->n_text,
						  .s = raw->text};
		}
	return true;
}

static int array_value(struct objects *o, const struct xml_node *n, const char *embedded,
		       struct cim_value *ret)
{
	uint32_t count = objects_count(n, X_UNKNOWN), i = 0;
	enum xml_el el = n->el == X_VALUE_ARRAY ? X_VALUE : X_VALUE_REFERENCE;
	enum cim_type type = el == X_VALUE ? CIM_UNTYPED : CIM_REF;
	struct cim_value *a;

	if (count > o->bounds->array)
		return err_set(o->e, -EINVAL, "an array of %u elements; allowed: %u", count,
			       o->bounds->array);
	a = arena_alloc(o->a, count * sizeof(*a));
	if (!a)
		return no_room(o);
	for (const struct xml_node *c = n->child; c; c = c->next, i++) {
		if (c->el == X_VALUE_NULL)
			a[i] = cim_null(type);
		else if (c->el != el)
			return misplaced(o, c, xml_el_name(n->el));
		else if (objects_value(o, c, embedded, &a[i]) < 0)
			return -EINVAL;
		if (a[i].type == CIM_OBJECT)
			type = CIM_OBJECT;
	}
	if (type == CIM_OBJECT && !all_objects(a, count) && !all_text(a, count))
		return err_set(o->e, -EINVAL, "an array of instances and other things");
	if (count && type == CIM_OBJECT && !all_objects(a, count))
		type = CIM_UNTYPED;
	*ret = cim_array(type, a, count);
	return 0;
}

int objects_value(struct objects *o, const struct xml_node *n, const char *embedded,
		  struct cim_value *ret)
{
	struct cim_raw_instance *raw;
	struct cim_path *p;

	if (!n) {
		*ret = cim_null(CIM_UNTYPED);
		return 0;
	}
	switch ((unsigned)n->el) {
	case X_VALUE_NULL:
		*ret = cim_null(CIM_UNTYPED);
		return 0;
	case X_VALUE:
		return text_value(o, n, embedded, ret);
	case X_VALUE_ARRAY:
	case X_VALUE_REFARRAY:
		return array_value(o, n, embedded, ret);
	case X_INSTANCE:
	case X_VALUE_NAMEDINSTANCE:
		if (objects_named_instance(o, n, &raw) < 0)
			return -EINVAL;
		*ret = cim_raw_to_value(raw);
		return 0;
	default:
		if (objects_path(o, n, &p, NULL) < 0)
			return -EINVAL;
		*ret = cim_ref(p);
		return 0;
	}
}

int objects_named(struct objects *o, const struct xml_node *n, struct cim_named *ret)
{
	const char *type = xml_attr(n, n->el == X_PARAMVALUE || n->el == X_RETURNVALUE ? A_PARAMTYPE
										       : A_TYPE);
	const struct xml_node *v = n->child;
	enum cim_type t;

	*ret = (struct cim_named){.name = xml_attr(n, A_NAME)};
	if (!ret->name && n->el == X_RETURNVALUE)
		ret->name = "";
	if (!ret->name)
		return err_set(o->e, -EINVAL, "%s without a NAME", xml_el_name(n->el));
	if (n->el == X_PROPERTY_REFERENCE)
		type = "reference";
	if (type && cim_type_parse(type, strlen(type), &t)) {
		ret->has_type = true;
		ret->claimed = (uint8_t)t;
	}
	while (v && v->el == X_QUALIFIER)
		v = v->next;
	if (v && v->next)
		return err_set(o->e, -EINVAL, "%s %s holds more than one value", xml_el_name(n->el),
			       ret->name);
	if (objects_value(o, v, xml_attr(n, A_EMBEDDEDOBJECT), &ret->v) < 0) {
		err_in(o->e, "%s", ret->name);
		return -EINVAL;
	}
	ret->is_array = n->el == X_PROPERTY_ARRAY || ret->v.kind == CIM_V_ARRAY;
	return 0;
}

int objects_instance(struct objects *o, const struct xml_node *n, struct cim_raw_instance **ret)
{
	struct cim_raw_instance *raw = arena_zalloc(o->a, sizeof(*raw));
	uint32_t count = objects_count(n, X_UNKNOWN);

	if (!raw)
		return no_room(o);
	raw->class_name = xml_attr(n, A_CLASSNAME);
	if (!raw->class_name || !*raw->class_name)
		return err_set(o->e, -EINVAL, "INSTANCE without a CLASSNAME");
	if (count > o->bounds->array)
		return err_set(o->e, -EINVAL, "an instance with %u properties; allowed: %u", count,
			       o->bounds->array);
	raw->props = arena_alloc(o->a, count * sizeof(*raw->props));
	if (!raw->props)
		return no_room(o);
	for (const struct xml_node *c = n->child; c; c = c->next) {
		if (c->el == X_QUALIFIER) /* wbemcli sends the class's along */
			continue;
		if (c->el != X_PROPERTY && c->el != X_PROPERTY_ARRAY &&
		    c->el != X_PROPERTY_REFERENCE)
			return misplaced(o, c, "INSTANCE");
		if (objects_named(o, c, &raw->props[raw->n_props++]) < 0)
			return -EINVAL;
	}
	*ret = raw;
	return 0;
}

int objects_named_instance(struct objects *o, const struct xml_node *n,
			   struct cim_raw_instance **ret)
{
	struct cim_path *p;

	if (n->el == X_INSTANCE)
		return objects_instance(o, n, ret);
	if (n->el == X_VALUE_OBJECT && n->child && n->child->el == X_INSTANCE && !n->child->next)
		return objects_instance(o, n->child, ret);
	if (!n->child || !n->child->next || n->child->next->next ||
	    n->child->next->el != X_INSTANCE)
		return err_set(o->e, -EINVAL, "%s must hold a path and an instance",
			       xml_el_name(n->el));
	if (objects_path(o, n->child, &p, NULL) < 0 || objects_instance(o, n->child->next, ret) < 0)
		return -EINVAL;
	(*ret)->path = p;
	return 0;
}
