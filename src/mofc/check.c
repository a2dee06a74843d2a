/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From declarations as written to classes as they are: names resolved, qualifiers propagated
 * (DSP0004 §5.6.1.2, §7.10), features inherited and overridden (§5.1.2.8), and the rules held
 * that a table can break.  Superclasses come first in the text, so one pass in order is enough.
 */
#include <errno.h>

#include "base/str.h"
#include "mofc/mofc.h"

struct mofc_class *mofc_class_find(const struct mofc *m, const char *name)
{
	struct mofc_class *c = m->classes;

	while (c && !str_caseeq(c->name, name))
		c = c->next;
	return c;
}

const struct mofc_qual *mofc_qual_find(struct mofc_qual *const *q, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_caseeq(q[i]->name, name))
			return q[i];
	return NULL;
}

static void *get(struct mofc *m, size_t n, struct err *e)
{
	void *p = arena_zalloc(m->arena, n ? n : 1);

	if (!p)
		(void)err_set(e, -ENOMEM, "the schema is too large");
	return p;
}

static const char *type_name(enum cim_type t)
{
	return t == CIM_OBJECT ? "embedded object" : cim_type_name(t);
}

/* ---- values ---- */

/* Least and greatest of an integer type, as sign and magnitude would have it. */
static bool int_range(enum cim_type t, uint64_t *ret_neg, uint64_t *ret_pos)
{
	static const struct {
		uint64_t neg, pos;
	} ranges[] = {
		[CIM_UINT8] = {0,                    UINT8_MAX },
                  [CIM_SINT8] = {128,                  INT8_MAX  },
		[CIM_UINT16] = {0,                    UINT16_MAX},
                  [CIM_SINT16] = {32768,                INT16_MAX },
		[CIM_UINT32] = {0,                    UINT32_MAX},
                  [CIM_SINT32] = {2147483648,           INT32_MAX },
		[CIM_UINT64] = {0,                    UINT64_MAX},
                  [CIM_SINT64] = {9223372036854775808U, INT64_MAX },
	};

	if (t < CIM_UINT8 || t > CIM_SINT64)
		return false;
	*ret_neg = ranges[t].neg;
	*ret_pos = ranges[t].pos;
	return true;
}

static bool is_signed(enum cim_type t)
{
	return t == CIM_SINT8 || t == CIM_SINT16 || t == CIM_SINT32 || t == CIM_SINT64;
}

static int int_value(const struct mofc_lit *l, enum cim_type t, struct mofc_loc loc,
		     struct cim_value *ret, struct err *e)
{
	uint64_t neg, pos;

	if (!int_range(t, &neg, &pos))
		return mofc_err(e, loc, "value is not of type %s", type_name(t));
	if (l->u > (l->neg ? neg : pos))
		return mofc_err(e, loc, "value is out of the range of %s", type_name(t));
	if (is_signed(t))
		ret->i = l->neg ? (int64_t)(0 - l->u) : (int64_t)l->u;
	else
		ret->u = l->u;
	return 0;
}

static int text_value(const struct mofc_lit *l, enum cim_type t, struct mofc_loc loc,
		      struct cim_value *ret, struct err *e)
{
	if (t != CIM_STRING && t != CIM_DATETIME)
		return mofc_err(e, loc, "value is not of type %s", type_name(t));
	if (t == CIM_DATETIME && !cim_datetime_ok(l->s, l->n))
		return mofc_err(e, loc, "\"%s\" is not a datetime", l->s);
	ret->s = l->s;
	ret->n = (uint32_t)l->n;
	return 0;
}

static int scalar_value(const struct mofc_lit *l, enum cim_type t, struct mofc_loc loc,
			struct cim_value *ret, struct err *e)
{
	bool real = t == CIM_REAL32 || t == CIM_REAL64, fits = false;

	*ret = (struct cim_value){.type = (uint8_t)t};
	if (l->kind == LIT_NULL)
		return 0;
	ret->kind = CIM_V_SCALAR;
	if (l->kind == LIT_STRING)
		return text_value(l, t, loc, ret, e);
	if (l->kind == LIT_INT && !real)
		return int_value(l, t, loc, ret, e);
	if (l->kind == LIT_INT || l->kind == LIT_REAL) {
		ret->r = l->kind == LIT_REAL ? l->r : l->neg ? -(double)l->u : (double)l->u;
		fits = real;
	} else {
		ret->u = l->u;
		fits = t == (l->kind == LIT_BOOL ? CIM_BOOLEAN : CIM_CHAR16);
	}
	return fits ? 0 : mofc_err(e, loc, "value is not of type %s", type_name(t));
}

int mofc_lit_value(struct mofc *m, const struct mofc_lit *l, enum cim_type t, bool array,
		   struct mofc_loc loc, struct cim_value *ret, struct err *e)
{
	struct cim_value *a;
	int r;

	if (l->kind != LIT_ARRAY) {
		if (array && l->kind != LIT_NULL)
			return mofc_err(e, loc, "one value for an array; write it in braces");
		return scalar_value(l, t, loc, ret, e);
	}
	if (!array)
		return mofc_err(e, loc, "a list of values for what is not an array");
	a = get(m, l->n * sizeof(*a), e);
	if (!a)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++) {
		r = scalar_value(&l->a[i], t, loc, &a[i], e);
		if (r < 0)
			return r;
	}
	*ret = (struct cim_value){
		.type = (uint8_t)t, .kind = CIM_V_ARRAY, .n = (uint32_t)l->n, .a = a};
	return 0;
}

/* Both of one type, as values of one qualifier are. */
static bool value_eq(const struct cim_value *a, const struct cim_value *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == CIM_V_NULL)
		return true;
	if (a->kind == CIM_V_ARRAY) {
		if (a->n != b->n)
			return false;
		for (uint32_t i = 0; i < a->n; i++)
			if (!value_eq(&a->a[i], &b->a[i]))
				return false;
		return true;
	}
	if (a->type == CIM_STRING || a->type == CIM_DATETIME)
		return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
	return a->u == b->u;
}

/* ---- qualifiers ---- */

static const struct mofc_qualdecl *qualdecl_find(const struct mofc *m, const char *name)
{
	const struct mofc_qualdecl *d = m->qualdecls;

	while (d && !str_caseeq(d->name, name))
		d = d->next;
	return d;
}

static int check_qualdecls(struct mofc *m, struct err *e)
{
	for (struct mofc_qualdecl *d = m->qualdecls; d; d = d->next) {
		int r;

		if (qualdecl_find(m, d->name) != d)
			return mofc_err(e, d->loc, "qualifier %s is declared twice", d->name);
		r = mofc_lit_value(m, &d->lit, d->type, d->array, d->loc, &d->dflt, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_qual(struct mofc *m, struct mofc_qual *q, uint16_t scope, struct err *e)
{
	q->decl = qualdecl_find(m, q->name);
	if (!q->decl)
		return mofc_err(e, q->loc, "unknown qualifier %s", q->name);
	if (!(q->decl->scope & scope))
		return mofc_err(e, q->loc, "qualifier %s may not stand here", q->name);
	q->name = q->decl->name;
	q->flavor = (uint8_t)((q->decl->flavor | q->flavor_set) & ~q->flavor_clear);
	if (q->has_lit)
		return mofc_lit_value(m, &q->lit, q->decl->type, q->decl->array, q->loc, &q->value,
				      e);
	if (q->decl->type != CIM_BOOLEAN || q->decl->array)
		return mofc_err(e, q->loc, "qualifier %s needs a value", q->name);
	q->value = cim_bool(true);
	return 0;
}

/* own, as written, and what is inherited -> effective qualifiers, own ones first. */
static int effective_quals(struct mofc *m, struct mofc_qual *own, uint16_t scope,
			   struct mofc_qual *const *inherited, size_t n_inherited,
			   struct mofc_qual ***ret, size_t *ret_n, struct err *e)
{
	size_t n = n_inherited;
	int r;

	for (const struct mofc_qual *q = own; q; q = q->next)
		n++;
	*ret_n = 0;
	*ret = get(m, n * sizeof(**ret), e);
	if (!*ret)
		return -ENOMEM;
	for (struct mofc_qual *q = own; q; q = q->next) {
		const struct mofc_qual *above = mofc_qual_find(inherited, n_inherited, q->name);

		r = check_qual(m, q, scope, e);
		if (r < 0)
			return r;
		if (mofc_qual_find(*ret, *ret_n, q->name))
			return mofc_err(e, q->loc, "qualifier %s is given twice", q->name);
		if (above && (above->flavor & CIM_Q_TOSUBCLASS) &&
		    !(above->flavor & CIM_Q_OVERRIDABLE) && !value_eq(&q->value, &above->value))
			return mofc_err(e, q->loc,
					"qualifier %s is inherited with another value and its "
					"flavor is DisableOverride",
					q->name);
		(*ret)[(*ret_n)++] = q;
	}
	n = *ret_n;
	for (size_t i = 0; i < n_inherited; i++) {
		struct mofc_qual *copy;

		if (!(inherited[i]->flavor & CIM_Q_TOSUBCLASS) ||
		    mofc_qual_find(*ret, n, inherited[i]->name))
			continue;
		copy = get(m, sizeof(*copy), e);
		if (!copy)
			return -ENOMEM;
		*copy = *inherited[i];
		copy->propagated = true;
		(*ret)[(*ret_n)++] = copy;
	}
	return 0;
}

static bool qual_true(struct mofc_qual *const *q, size_t n, const char *name, bool dflt)
{
	const struct mofc_qual *x = mofc_qual_find(q, n, name);

	return x && x->value.kind == CIM_V_SCALAR ? x->value.u != 0 : dflt;
}

/* ---- value maps ---- */

/* Signed values are biased so that all compare as unsigned. */
static bool map_number(enum cim_type t, const char *s, size_t n, uint64_t *ret)
{
	uint64_t neg, pos;
	int64_t i;

	if (!int_range(t, &neg, &pos))
		return false;
	if (!is_signed(t))
		return str_u64(s, n, pos, ret);
	if (!str_i64(s, n, (int64_t)(0 - neg), (int64_t)pos, &i))
		return false;
	*ret = (uint64_t)i + ((uint64_t)1 << 63);
	return true;
}

struct map_entry {
	uint64_t lo, hi;
	bool rest; /* "..": what no other entry has */
};

/* "5", "5..9", "..9", "5.." or "..". */
static bool map_entry(enum cim_type t, const struct cim_value *v, struct map_entry *ret)
{
	const char *dots = memmem(v->s, v->n, "..", 2);
	size_t n_lo = dots ? (size_t)(dots - v->s) : v->n;
	const char *hi = dots ? dots + 2 : v->s;
	size_t n_hi = dots ? v->n - n_lo - 2 : v->n;

	*ret = (struct map_entry){.lo = 0, .hi = UINT64_MAX, .rest = dots && v->n == 2};
	if ((n_lo || !dots) && !map_number(t, v->s, n_lo, &ret->lo))
		return false;
	if ((n_hi || !dots) && !map_number(t, hi, n_hi, &ret->hi))
		return false;
	return ret->lo <= ret->hi;
}

/* Entry i against those before it. */
static int check_map_entry(const struct mofc_feature *f, const struct cim_value *map, uint32_t i,
			   struct err *e)
{
	struct map_entry a, b;

	if (f->type != CIM_STRING && !map_entry(f->type, &map[i], &a))
		return mofc_err(e, f->loc, "%s: \"%s\" in ValueMap is no %s, and no range", f->name,
				map[i].s, type_name(f->type));
	for (uint32_t j = 0; j < i; j++) {
		if (f->type == CIM_STRING) {
			if (streq(map[j].s, map[i].s))
				return mofc_err(e, f->loc, "%s has \"%s\" twice in its ValueMap",
						f->name, map[i].s);
			continue;
		}
		if (!map_entry(f->type, &map[j], &b) || a.rest != b.rest)
			continue;
		if (a.lo <= b.hi && b.lo <= a.hi)
			return mofc_err(e, f->loc, "%s: \"%s\" and \"%s\" in ValueMap overlap",
					f->name, map[j].s, map[i].s);
	}
	return 0;
}

static int check_value_map(const struct mofc_feature *f, struct err *e)
{
	const struct mofc_qual *map = mofc_qual_find(f->quals, f->n_quals, "ValueMap");
	const struct mofc_qual *values = mofc_qual_find(f->quals, f->n_quals, "Values");
	int r = 0;

	if (!map)
		return 0;
	if (values && values->value.n != map->value.n)
		return mofc_err(e, f->loc, "%s has %u entries in ValueMap and %u in Values",
				f->name, map->value.n, values->value.n);
	for (uint32_t i = 0; i < map->value.n; i++)
		if (map->value.a[i].kind != CIM_V_SCALAR)
			return mofc_err(e, f->loc, "%s has a NULL in its ValueMap", f->name);
	for (uint32_t i = 0; r == 0 && i < map->value.n; i++)
		r = check_map_entry(f, map->value.a, i, e);
	return r;
}

/* ---- features ---- */

/* What a qualifier says about the type, and the class a reference means. */
static int check_type(struct mofc *m, struct mofc_feature *f, struct err *e)
{
	const struct mofc_qual *in = mofc_qual_find(f->quals, f->n_quals, "EmbeddedInstance");
	const char *of = f->ref_name;

	if (in || qual_true(f->quals, f->n_quals, "EmbeddedObject", false)) {
		if (f->type != CIM_STRING)
			return mofc_err(e, f->loc, "%s is embedded, so its type must be string",
					f->name);
		f->type = CIM_OBJECT;
		of = in && in->value.kind == CIM_V_SCALAR ? in->value.s : NULL;
	}
	if (!of)
		return 0;
	f->ref_class = mofc_class_find(m, of);
	if (!f->ref_class)
		return mofc_err(e, f->loc, "%s: unknown class %s", f->name, of);
	return 0;
}

static const struct {
	const char *name;
	uint16_t bit;
	bool dflt_prop, dflt_param, dflt_method;
} flag_quals[] = {
	{"Key",         CIM_F_KEY,         false, false, false},
	{"Read",        CIM_F_READ,        true,  false, false},
	{"Write",       CIM_F_WRITE,       false, false, false},
	{"Required",    CIM_F_REQUIRED,    false, false, false},
	{"In",          CIM_F_IN,          false, true,  false},
	{"Out",         CIM_F_OUT,         false, false, false},
	{"OctetString", CIM_F_OCTETSTRING, false, false, false},
	{"Static",      CIM_F_STATIC,      false, false, false},
};

static void set_flags(struct mofc_feature *f, bool param)
{
	const struct mofc_qual *max = mofc_qual_find(f->quals, f->n_quals, "MaxLen");

	for (size_t i = 0; i < ARRAY_SIZE(flag_quals); i++) {
		bool dflt = param          ? flag_quals[i].dflt_param
			    : f->is_method ? flag_quals[i].dflt_method
					   : flag_quals[i].dflt_prop;

		if (qual_true(f->quals, f->n_quals, flag_quals[i].name, dflt))
			f->flags |= flag_quals[i].bit;
	}
	if (f->array)
		f->flags |= CIM_F_ARRAY;
	if (max && max->value.kind == CIM_V_SCALAR)
		f->max_len = (uint32_t)max->value.u;
}

static bool is_a(const struct mofc_class *sub, const struct mofc_class *c)
{
	while (sub && sub != c)
		sub = sub->super;
	return sub == c;
}

static int same_shape(const struct mofc_feature *f, const struct mofc_feature *above,
		      const char *what, struct err *e)
{
	if (f->type != above->type || f->array != above->array)
		return mofc_err(e, f->loc, "%s %s is %s%s, but %s%s in %s", what, f->name,
				type_name(f->type), f->array ? "[]" : "", type_name(above->type),
				above->array ? "[]" : "",
				above->declared ? above->declared->name : "the superclass");
	return 0;
}

/* above: the parameter in the same place of the overridden method, or NULL. */
static int check_param(struct mofc *m, struct mofc_feature *f, const struct mofc_feature *above,
		       struct err *e)
{
	int r = effective_quals(m, f->own, CIM_S_PARAMETER, above ? above->quals : NULL,
				above ? above->n_quals : 0, &f->quals, &f->n_quals, e);

	if (r == 0)
		r = check_type(m, f, e);
	if (r == 0 && above)
		r = same_shape(f, above, "parameter", e);
	if (r < 0)
		return r;
	set_flags(f, true);
	return check_value_map(f, e);
}

static int check_params(struct mofc *m, struct mofc_feature *method,
			const struct mofc_feature *above, struct err *e)
{
	const struct mofc_feature *up = above ? above->params : NULL;

	for (struct mofc_feature *f = method->params; f; f = f->next) {
		int r;

		for (const struct mofc_feature *g = method->params; g != f; g = g->next)
			if (str_caseeq(g->name, f->name))
				return mofc_err(e, f->loc, "parameter %s is declared twice",
						f->name);
		if (above && (!up || !str_caseeq(up->name, f->name)))
			return mofc_err(e, f->loc,
					"method %s: parameter %s is not the one of the overridden "
					"method",
					method->name, f->name);
		r = check_param(m, f, up, e);
		if (r < 0)
			return r;
		up = up ? up->next : NULL;
	}
	if (up)
		return mofc_err(e, method->loc,
				"method %s lacks parameter %s of the overridden method",
				method->name, up->name);
	return 0;
}

static int check_property(struct mofc *m, struct mofc_feature *f, const struct mofc_feature *above,
			  struct err *e)
{
	int r;

	if (above && above->ref_class && f->ref_class && f->type == CIM_REF &&
	    !is_a(f->ref_class, above->ref_class))
		return mofc_err(e, f->loc, "%s refers to %s, which is not below %s", f->name,
				f->ref_class->name, above->ref_class->name);
	f->dflt = cim_null(f->type);
	if (f->has_dflt) {
		r = mofc_lit_value(m, &f->lit, f->type, f->array, f->loc, &f->dflt, e);
		if (r < 0)
			return r;
		if (f->max_len && f->dflt.kind == CIM_V_SCALAR && f->type == CIM_STRING) {
			size_t chars = 0;

			if (str_utf8(f->dflt.s, f->dflt.n, &chars) && chars > f->max_len)
				return mofc_err(e, f->loc, "default of %s is longer than MaxLen",
						f->name);
		}
	} else if (above) {
		/* An override without a default of its own keeps the one above (§5.1.2.8). */
		f->dflt = above->dflt;
	}
	return 0;
}

static uint16_t feature_scope(const struct mofc_feature *f)
{
	if (f->is_method)
		return CIM_S_METHOD;
	return f->type == CIM_REF ? CIM_S_REFERENCE : CIM_S_PROPERTY;
}

/* Whether f says that it overrides, and whether there is something to override. */
static int check_override(const struct mofc_feature *f, const struct mofc_feature *above,
			  const char *what, struct err *e)
{
	const struct mofc_qual *over = mofc_qual_find(f->quals, f->n_quals, "Override");

	if (!over && !above)
		return 0;
	if (!over)
		return mofc_err(e, f->loc, "%s %s is already in %s; Override is missing", what,
				f->name, above->declared->name);
	if (!above || over->value.kind != CIM_V_SCALAR || !streq(over->value.s, above->name) ||
	    !streq(f->name, above->name))
		return mofc_err(e, f->loc, "%s %s overrides nothing of that name", what, f->name);
	return 0;
}

static int check_keys(const struct mofc_class *c, const struct mofc_feature *f,
		      const struct mofc_feature *above, struct err *e)
{
	if (!(f->flags & CIM_F_KEY))
		return 0;
	if (f->array)
		return mofc_err(e, f->loc, "key %s is an array", f->name);
	if (c->super && c->super->n_keys && !(above && (above->flags & CIM_F_KEY)))
		return mofc_err(e, f->loc, "%s adds the key %s to the keys of %s", c->name, f->name,
				c->super->name);
	return 0;
}

/* above: what f overrides, or NULL. */
static int check_feature(struct mofc *m, struct mofc_class *c, struct mofc_feature *f,
			 const struct mofc_feature *above, struct err *e)
{
	const char *what = f->is_method ? "method" : "property";
	int r = effective_quals(m, f->own, feature_scope(f), above ? above->quals : NULL,
				above ? above->n_quals : 0, &f->quals, &f->n_quals, e);

	if (r == 0)
		r = check_override(f, above, what, e);
	if (r == 0)
		r = check_type(m, f, e);
	if (r < 0)
		return r;
	/* An event of Storage Management names its culprit by a reference; elsewhere only
	 * associations have them. */
	if (f->type == CIM_REF && !(c->flags & (CIM_C_ASSOCIATION | CIM_C_INDICATION)))
		return mofc_err(e, f->loc, "reference %s stands in %s, which is no association",
				f->name, c->name);
	if (above)
		r = same_shape(f, above, what, e);
	if (r < 0)
		return r;
	set_flags(f, false);
	r = f->is_method ? check_params(m, f, above, e) : check_property(m, f, above, e);
	if (r == 0)
		r = check_keys(c, f, above, e);
	return r < 0 ? r : check_value_map(f, e);
}

/* Put f where it belongs among the inherited ones. */
static int add_feature(struct mofc *m, struct mofc_class *c, struct mofc_feature *f, struct err *e)
{
	struct mofc_feature **list = f->is_method ? c->methods : c->props;
	size_t *n = f->is_method ? &c->n_methods : &c->n_props, i = 0;
	const struct mofc_feature *above = NULL;
	int r;

	while (i < *n && !str_caseeq(list[i]->name, f->name))
		i++;
	if (i < *n) {
		above = list[i];
		if (above->declared == c)
			return mofc_err(e, f->loc, "%s %s is declared twice",
					f->is_method ? "method" : "property", f->name);
	}
	f->declared = c;
	f->origin = above ? above->origin : c;
	r = check_feature(m, c, f, above, e);
	if (r < 0)
		return r;
	list[i] = f;
	*n += i == *n;
	return 0;
}

/* ---- classes ---- */

static bool says(const struct mofc_qual *own, const char *name)
{
	for (; own; own = own->next)
		if (str_caseeq(own->name, name))
			return true;
	return false;
}

static uint16_t class_scope(const struct mofc_class *c)
{
	if (says(c->own, "Association") || (c->super && (c->super->flags & CIM_C_ASSOCIATION)))
		return CIM_S_ASSOCIATION;
	if (says(c->own, "Indication") || (c->super && (c->super->flags & CIM_C_INDICATION)))
		return CIM_S_INDICATION;
	return CIM_S_CLASS;
}

/* The superclass's features, with room for our own. */
static int inherit(struct mofc *m, struct mofc_class *c, struct err *e)
{
	size_t own = 0;

	for (const struct mofc_feature *f = c->features; f; f = f->next)
		own++;
	if (c->super) {
		c->n_props = c->super->n_props;
		c->n_methods = c->super->n_methods;
	}
	c->props = get(m, (c->n_props + own) * sizeof(*c->props), e);
	c->methods = get(m, (c->n_methods + own) * sizeof(*c->methods), e);
	if (!c->props || !c->methods)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_props; i++)
		c->props[i] = c->super->props[i];
	for (size_t i = 0; i < c->n_methods; i++)
		c->methods[i] = c->super->methods[i];
	return 0;
}

static int check_whole(struct mofc *m, struct mofc_class *c, struct err *e)
{
	size_t refs = 0;

	c->keys = get(m, c->n_props * sizeof(*c->keys), e);
	if (!c->keys)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_props; i++) {
		refs += c->props[i]->type == CIM_REF;
		if (c->props[i]->flags & CIM_F_KEY)
			c->keys[c->n_keys++] = (uint16_t)i;
	}
	if ((c->flags & CIM_C_ASSOCIATION) && refs < 2)
		return mofc_err(e, c->loc,
				"association %s has %zu references, at least 2 are needed", c->name,
				refs);
	if (c->super && (c->ns & ~c->super->ns))
		return mofc_err(e, c->loc, "%s lives in a namespace that its superclass %s lacks",
				c->name, c->super->name);
	return 0;
}

static int check_class(struct mofc *m, struct mofc_class *c, struct err *e)
{
	int r;

	r = effective_quals(m, c->own, class_scope(c), c->super ? c->super->quals : NULL,
			    c->super ? c->super->n_quals : 0, &c->quals, &c->n_quals, e);
	if (r < 0)
		return r;
	if (qual_true(c->quals, c->n_quals, "Abstract", false))
		c->flags |= CIM_C_ABSTRACT;
	if (qual_true(c->quals, c->n_quals, "Association", false))
		c->flags |= CIM_C_ASSOCIATION;
	if (qual_true(c->quals, c->n_quals, "Indication", false))
		c->flags |= CIM_C_INDICATION;
	/* DSP0004 wants an association above an association; the Storage Management classes keep
	 * what theirs have in common in abstract classes without ends, which does no harm. */
	if (c->super && (c->flags & CIM_C_ASSOCIATION) &&
	    !(c->super->flags & (CIM_C_ASSOCIATION | CIM_C_ABSTRACT)))
		return mofc_err(e, c->loc, "association %s is below %s, which is none", c->name,
				c->super->name);
	r = inherit(m, c, e);
	if (r < 0)
		return r;
	for (struct mofc_feature *f = c->features; f; f = f->next) {
		r = add_feature(m, c, f, e);
		if (r < 0)
			return r;
	}
	return check_whole(m, c, e);
}

int mofc_check(struct mofc *m, struct err *e)
{
	uint16_t id = 0;
	int r = check_qualdecls(m, e);

	if (r < 0)
		return r;
	if (m->n_classes >= UINT16_MAX)
		return err_set(e, -EINVAL, "more than %d classes", UINT16_MAX - 1);
	/* A reference may name a class that comes later, so the tree stands before the features. */
	for (struct mofc_class *c = m->classes; c; c = c->next) {
		c->id = id++;
		if (mofc_class_find(m, c->name) != c)
			return mofc_err(e, c->loc, "class %s is declared twice", c->name);
		c->super = c->super_name ? mofc_class_find(m, c->super_name) : NULL;
		if (c->super_name && (!c->super || c->super == c || c->super->id > c->id ||
				      (c->super->id == 0 && c->super != m->classes)))
			return mofc_err(e, c->loc, "unknown superclass %s of %s", c->super_name,
					c->name);
	}
	for (struct mofc_class *c = m->classes; c; c = c->next) {
		r = check_class(m, c, e);
		if (r < 0)
			return r;
	}
	return 0;
}
