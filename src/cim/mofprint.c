/* SPDX-License-Identifier: Apache-2.0 */
#include "cim/mofprint.h"
#include "base/str.h"

enum { WIDTH = 100, MAX_PIECE = 1 << 20 };

/* ---- lines no longer than WIDTH where that can be had ---- */

static size_t column(const struct buf *b)
{
	size_t col = 0;

	for (size_t i = b->len; i > 0 && b->p[i - 1] != '\n'; i--)
		col += b->p[i - 1] == '\t' ? 8 : 1;
	return col;
}

static char last_char(const struct buf *b)
{
	return b->len ? b->p[b->len - 1] : '\n';
}

/* One piece that is not broken, after a blank or on a new line with indent. */
static void put_piece(struct buf *b, const char *indent, const struct buf *piece)
{
	bool first = last_char(b) == '[', open = last_char(b) == '{';

	if (!first && column(b) + !open + piece->len > WIDTH)
		(void)buf_addf(b, "\n%s", indent);
	else if (!first && !open)
		(void)buf_addc(b, ' ');
	(void)buf_add(b, piece->p, piece->len);
}

/* ---- values ---- */

static void put_string(struct buf *b, const char *s, size_t n)
{
	static const char from[] = "\b\t\n\f\r\"\\", to[] = "btnfr\"\\";

	(void)buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		const char *f = s[i] ? strchr(from, s[i]) : NULL;

		if (f)
			(void)buf_addf(b, "\\%c", to[f - from]);
		else
			(void)buf_addc(b, s[i]);
	}
	(void)buf_addc(b, '"');
}

/* A real must keep its point, or it reads as an integer. */
static void put_real(struct buf *b, double r)
{
	size_t at = b->len;

	(void)buf_addf(b, "%.17g", r);
	if (b->p && !strpbrk(b->p + at, ".n")) {
		char *e = strchr(b->p + at, 'e');
		auto_free char *rest = e ? xstrdup(e) : NULL;

		if (e)
			b->len = (size_t)(e - b->p);
		(void)buf_addf(b, ".0%s", rest ? rest : "");
	}
}

static void put_scalar(struct buf *b, const struct cim_value *v)
{
	if (v->kind == CIM_V_NULL) {
		(void)buf_adds(b, "null");
		return;
	}
	switch ((enum cim_type)v->type) {
	case CIM_BOOLEAN:
		(void)buf_adds(b, v->u ? "true" : "false");
		break;
	case CIM_SINT8:
	case CIM_SINT16:
	case CIM_SINT32:
	case CIM_SINT64:
		(void)buf_addf(b, "%lld", (long long)v->i);
		break;
	case CIM_REAL32:
	case CIM_REAL64:
		put_real(b, v->r);
		break;
	case CIM_CHAR16:
		(void)buf_addf(b, "'\\x%04x'", (unsigned)v->u);
		break;
	case CIM_STRING:
	case CIM_DATETIME:
		put_string(b, v->s, v->n);
		break;
	default:
		(void)buf_addf(b, "%llu", (unsigned long long)v->u);
	}
}

/* after: what stands behind the whole value, kept on its last line. */
static void put_list(struct buf *b, const char *indent, const struct cim_value *v,
		     const char *after)
{
	if (!v->n)
		(void)buf_addf(b, "}%s", after);
	for (uint32_t i = 0; i < v->n; i++) {
		auto_buf struct buf piece = buf_of(MAX_PIECE);

		put_scalar(&piece, &v->a[i]);
		(void)buf_addf(&piece, "%s%s", i + 1 < v->n ? "," : "}", i + 1 < v->n ? "" : after);
		put_piece(b, indent, &piece);
	}
}

/* ---- qualifiers ---- */

static const struct {
	uint8_t bit;
	const char *set, *clear;
} flavors[] = {
	{CIM_Q_OVERRIDABLE,  "EnableOverride", "DisableOverride"},
	{CIM_Q_TOSUBCLASS,   "ToSubclass",     "Restricted"     },
	{CIM_Q_TOINSTANCE,   "ToInstance",     NULL             },
	{CIM_Q_TRANSLATABLE, "Translatable",   NULL             },
};

static const struct {
	uint16_t bit;
	const char *word;
} scopes[] = {
	{CIM_S_CLASS,       "class"      },
        {CIM_S_ASSOCIATION, "association"},
	{CIM_S_INDICATION,  "indication" },
        {CIM_S_PROPERTY,    "property"   },
	{CIM_S_REFERENCE,   "reference"  },
        {CIM_S_METHOD,      "method"     },
	{CIM_S_PARAMETER,   "parameter"  },
};

bool cim_mof_qualdecl(struct buf *b, const struct cim_qualdecl *d)
{
	bool array = d->value.kind == CIM_V_ARRAY || d->value.hint == CIM_V_ARRAY;
	const char *sep = "";

	(void)buf_addf(b, "Qualifier %s : %s%s = ", d->name,
		       cim_type_name((enum cim_type)d->value.type), array ? "[]" : "");
	if (d->value.kind == CIM_V_ARRAY) {
		(void)buf_addc(b, '{');
		put_list(b, "\t", &d->value, "");
	} else {
		put_scalar(b, &d->value);
	}
	(void)buf_adds(b, ",\n\tScope (");
	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++)
		if (d->scope & scopes[i].bit) {
			(void)buf_addf(b, "%s%s", sep, scopes[i].word);
			sep = ", ";
		}
	(void)buf_adds(b, "),\n\tFlavor (");
	sep = "";
	for (size_t i = 0; i < ARRAY_SIZE(flavors); i++) {
		const char *word = d->flavor & flavors[i].bit ? flavors[i].set : flavors[i].clear;

		if (!word)
			continue;
		(void)buf_addf(b, "%s%s", sep, word);
		sep = ", ";
	}
	return buf_adds(b, ");\n");
}

static const struct cim_qualdecl *qualdecl_find(const struct cim_schema *s, const char *name)
{
	for (uint16_t i = 0; i < s->n_qualdecls; i++)
		if (streq(s->qualdecls[i].name, name))
			return &s->qualdecls[i];
	return NULL;
}

static void put_qual(struct buf *b, const struct cim_schema *s, const char *indent,
		     const struct cim_qual *q, const char *end)
{
	const struct cim_qualdecl *d = qualdecl_find(s, q->name);
	auto_buf struct buf piece = buf_of(MAX_PIECE), after = buf_of(MAX_PIECE);
	auto_free char *deeper = xasprintf("%s    ", indent);

	for (size_t i = 0; d && i < ARRAY_SIZE(flavors); i++) {
		uint8_t bit = flavors[i].bit;

		if ((q->flavor & bit) == (d->flavor & bit))
			continue;
		(void)buf_addf(&after, "%s%s", after.len ? " " : " : ",
			       q->flavor & bit ? flavors[i].set : flavors[i].clear);
	}
	(void)buf_adds(&after, end);
	(void)buf_adds(&piece, q->name);
	if (q->value.kind == CIM_V_ARRAY) {
		(void)buf_adds(&piece, " {");
		if (q->value.n > 1 && last_char(b) != '[')
			(void)buf_addf(b, "\n%s%s", indent, piece.p);
		else
			put_piece(b, indent, &piece);
		put_list(b, deeper, &q->value, after.p);
		return;
	}
	if (q->value.type != CIM_BOOLEAN || q->value.kind == CIM_V_NULL || !q->value.u) {
		(void)buf_adds(&piece, " (");
		put_scalar(&piece, &q->value);
		(void)buf_addc(&piece, ')');
	}
	(void)buf_adds(&piece, after.p);
	put_piece(b, indent, &piece);
}

/* [A, B (1)] and a new line, or nothing. */
static void put_quals(struct buf *b, const struct cim_schema *s, const char *indent,
		      const struct cim_qual *q, size_t n)
{
	auto_free char *inner = xasprintf("%s ", indent);
	size_t last = n;

	while (last > 0 && q[last - 1].propagated)
		last--;
	if (!last)
		return;
	(void)buf_addf(b, "%s[", indent);
	for (size_t i = 0; i < last; i++)
		if (!q[i].propagated)
			put_qual(b, s, inner, &q[i], i + 1 < last ? "," : "]");
	(void)buf_addc(b, '\n');
}

/* ---- classes ---- */

static void put_type(struct buf *b, uint8_t type, const struct cim_class *ref)
{
	if (type == CIM_REF)
		(void)buf_addf(b, "%s REF ", ref->name);
	else
		(void)buf_addf(b, "%s ", cim_type_name((enum cim_type)type));
}

static void put_array(struct buf *b, uint16_t flags, uint32_t size)
{
	if (!(flags & CIM_F_ARRAY))
		return;
	if (size)
		(void)buf_addf(b, "[%u]", size);
	else
		(void)buf_adds(b, "[]");
}

static void put_prop(struct buf *b, const struct cim_schema *s, const struct cim_class *c,
		     uint16_t i)
{
	const struct cim_prop *p = c->props[i];
	/* An override without a default inherits one; to have none, it must say so. */
	bool unset = c->super && i < c->super->n_props &&
		     c->super->props[i]->dflt.kind != CIM_V_NULL;

	put_quals(b, s, "\t", p->quals, p->n_quals);
	(void)buf_addc(b, '\t');
	put_type(b, p->type, p->ref_class);
	(void)buf_adds(b, p->name);
	put_array(b, p->flags, p->array_size);
	if (p->dflt.kind == CIM_V_ARRAY) {
		(void)buf_adds(b, " = {");
		put_list(b, "\t    ", &p->dflt, "");
	} else if (p->dflt.kind == CIM_V_SCALAR || unset) {
		(void)buf_adds(b, " = ");
		put_scalar(b, &p->dflt);
	}
	(void)buf_adds(b, ";\n");
}

static void put_method(struct buf *b, const struct cim_schema *s, const struct cim_method *m)
{
	put_quals(b, s, "\t", m->quals, m->n_quals);
	(void)buf_addf(b, "\t%s %s(", cim_type_name((enum cim_type)m->type), m->name);
	for (uint16_t i = 0; i < m->n_params; i++) {
		const struct cim_param *p = &m->params[i];

		(void)buf_adds(b, i ? ",\n" : "\n");
		put_quals(b, s, "\t\t", p->quals, p->n_quals);
		(void)buf_adds(b, "\t\t");
		put_type(b, p->type, p->ref_class);
		(void)buf_adds(b, p->name);
		put_array(b, p->flags, p->array_size);
	}
	(void)buf_adds(b, ");\n");
}

bool cim_mof_class(struct buf *b, const struct cim_schema *s, const struct cim_class *c)
{
	put_quals(b, s, "", c->quals, c->n_quals);
	(void)buf_addf(b, "class %s ", c->name);
	if (c->super)
		(void)buf_addf(b, ": %s ", c->super->name);
	(void)buf_adds(b, "{\n");
	for (uint16_t i = 0; i < c->n_props; i++)
		if (c->props[i]->declared == c)
			put_prop(b, s, c, i);
	for (uint16_t i = 0; i < c->n_methods; i++)
		if (c->methods[i]->declared == c)
			put_method(b, s, c->methods[i]);
	return buf_adds(b, "};\n");
}
