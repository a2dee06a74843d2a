/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checked declarations as C.  What is said often is written once: equal lists of qualifiers,
 * values, properties and keys share one run of a pool, since every pointer in a table costs a
 * relocation at start.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/str.h"
#include "mofc/mofc.h"

/* Runs of elements of one C array; text is the initialiser, an element ends with '\n'. */
struct pool {
	struct buf text;
	size_t n; /* elements so far */
	struct run {
		char *text;
		size_t at;
	} * runs;
	size_t n_runs, cap; /* cap: open addressing, a power of two */
};

struct emit {
	const struct mofc *m;
	struct buf *out;
	struct pool values, quals, props, methods, subs, keys;
	struct buf features, params, classes;
	size_t n_props, n_methods, n_params;
};

enum { MAX_TEXT = 64 << 20 };

static void pool_init(struct pool *p)
{
	*p = (struct pool){.text = buf_of(MAX_TEXT), .cap = 1 << 13};
	p->runs = xcalloc(p->cap, sizeof(*p->runs));
}

static void pool_done(struct pool *p)
{
	for (size_t i = 0; i < p->cap; i++)
		free(p->runs[i].text);
	free(p->runs);
	buf_done(&p->text);
}

static void pool_grow(struct pool *p)
{
	struct run *old = p->runs;
	size_t cap = p->cap;

	p->cap *= 2;
	p->runs = xcalloc(p->cap, sizeof(*p->runs));
	for (size_t i = 0; i < cap; i++) {
		size_t h;

		if (!old[i].text)
			continue;
		h = str_hash(old[i].text, strlen(old[i].text)) & (p->cap - 1);
		while (p->runs[h].text)
			h = (h + 1) & (p->cap - 1);
		p->runs[h] = old[i];
	}
	free(old);
}

/* Where a run of n elements stands in the pool; text is forgotten. */
static size_t pool_put(struct pool *p, struct buf *text, size_t n)
{
	const char *s = text->p ? text->p : "";
	size_t h = str_hash(s, strlen(s)) & (p->cap - 1), at;

	if (!n)
		return 0;
	while (p->runs[h].text && !streq(p->runs[h].text, s))
		h = (h + 1) & (p->cap - 1);
	if (!p->runs[h].text) {
		p->runs[h] = (struct run){xstrdup(s), p->n};
		(void)buf_adds(&p->text, s);
		p->n += n;
		at = p->runs[h].at;
		if (++p->n_runs > p->cap / 2)
			pool_grow(p);
	} else {
		at = p->runs[h].at;
	}
	buf_clear(text);
	return at;
}

/* ---- values ---- */

static void put_string(struct buf *b, const char *s, size_t n)
{
	(void)buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			(void)buf_addf(b, "\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			(void)buf_addf(b, "\\%03o", c); /* three digits end by themselves */
		else
			(void)buf_addc(b, (char)c);
	}
	(void)buf_addc(b, '"');
}

static void put_value(struct emit *em, struct buf *b, const struct cim_value *v)
{
	if (v->kind == CIM_V_NULL) {
		(void)buf_addf(b, "N(%d)", v->type);
		return;
	}
	if (v->kind == CIM_V_ARRAY) {
		struct buf a = buf_of(MAX_TEXT);

		for (uint32_t i = 0; i < v->n; i++) {
			put_value(em, &a, &v->a[i]);
			(void)buf_adds(&a, ",\n");
		}
		(void)buf_addf(b, "A(%d, %zu, %u)", v->type, pool_put(&em->values, &a, v->n), v->n);
		buf_done(&a);
		return;
	}
	switch ((enum cim_type)v->type) {
	case CIM_STRING:
	case CIM_DATETIME:
		(void)buf_addf(b, "S(%d, ", v->type);
		put_string(b, v->s, v->n);
		(void)buf_addc(b, ')');
		break;
	case CIM_SINT8:
	case CIM_SINT16:
	case CIM_SINT32:
		(void)buf_addf(b, "I(%d, %lld)", v->type, (long long)v->i);
		break;
	case CIM_SINT64: /* the least one has no literal */
		(void)buf_addf(b, "I(%d, (int64_t)%lluU)", v->type, (unsigned long long)v->u);
		break;
	case CIM_REAL32:
	case CIM_REAL64:
		(void)buf_addf(b, "R(%d, %a)", v->type, v->r);
		break;
	default:
		(void)buf_addf(b, "U(%d, %lluU)", v->type, (unsigned long long)v->u);
	}
}

static size_t put_quals(struct emit *em, struct mofc_qual *const *q, size_t n)
{
	struct buf b = buf_of(MAX_TEXT);
	size_t at;

	for (size_t i = 0; i < n; i++) {
		(void)buf_addf(&b, "{\"%s\", ", q[i]->name);
		put_value(em, &b, &q[i]->value);
		(void)buf_addf(&b, ", %u, %d},\n", q[i]->flavor, q[i]->propagated);
	}
	at = pool_put(&em->quals, &b, n);
	buf_done(&b);
	return at;
}

/* ---- features ---- */

static void put_class_ref(struct buf *b, const struct mofc_class *c)
{
	if (c)
		(void)buf_addf(b, "&cim_class_%s", c->name);
	else
		(void)buf_adds(b, "NULL");
}

static void put_prop(struct emit *em, struct mofc_feature *f)
{
	struct buf *b = &em->features;

	f->id = (uint32_t)em->n_props++;
	(void)buf_addf(b, "{\"%s\", %d, %zu, 0x%x, %u, %u, ", f->name, f->type, strlen(f->name),
		       f->flags, f->max_len, f->array_size);
	put_class_ref(b, f->ref_class);
	(void)buf_addf(b, ", &cim_class_%s, &cim_class_%s, ", f->origin->name, f->declared->name);
	put_value(em, b, &f->dflt);
	(void)buf_addf(b, ", Q(%zu, %zu)},\n", put_quals(em, f->quals, f->n_quals), f->n_quals);
}

static void put_method(struct emit *em, struct mofc_feature *f, struct buf *b)
{
	size_t first = em->n_params;

	f->id = (uint32_t)em->n_methods++;
	for (const struct mofc_feature *p = f->params; p; p = p->next) {
		struct buf *pb = &em->params;

		em->n_params++;
		(void)buf_addf(pb, "{\"%s\", %d, 0x%x, %u, ", p->name, p->type, p->flags,
			       p->array_size);
		put_class_ref(pb, p->ref_class);
		(void)buf_addf(pb, ", Q(%zu, %zu)},\n", put_quals(em, p->quals, p->n_quals),
			       p->n_quals);
	}
	(void)buf_addf(b, "{\"%s\", %d, 0x%x, %zu, ", f->name, f->type, f->flags, f->n_params);
	if (f->n_params)
		(void)buf_addf(b, "params + %zu", first);
	else
		(void)buf_adds(b, "NULL");
	(void)buf_addf(b, ", &cim_class_%s, &cim_class_%s, Q(%zu, %zu)},\n", f->origin->name,
		       f->declared->name, put_quals(em, f->quals, f->n_quals), f->n_quals);
}

/* ---- classes ---- */

static size_t put_list(struct pool *p, const char *of, struct mofc_feature *const *f, size_t n)
{
	struct buf b = buf_of(MAX_TEXT);
	size_t at;

	for (size_t i = 0; i < n; i++)
		(void)buf_addf(&b, "&%s[%u],\n", of, f[i]->id);
	at = pool_put(p, &b, n);
	buf_done(&b);
	return at;
}

static void put_or_null(struct buf *b, const char *pool, size_t at, size_t n)
{
	if (n)
		(void)buf_addf(b, ", %s + %zu", pool, at);
	else
		(void)buf_adds(b, ", NULL");
}

static void put_class(struct emit *em, const struct mofc_class *c)
{
	struct buf *b = &em->classes, keys = buf_of(MAX_TEXT), subs = buf_of(MAX_TEXT);
	size_t n_subs = 0;

	for (const struct mofc_class *s = em->m->classes; s; s = s->next)
		if (s->super == c) {
			(void)buf_addf(&subs, "&cim_class_%s,\n", s->name);
			n_subs++;
		}
	for (size_t i = 0; i < c->n_keys; i++)
		(void)buf_addf(&keys, "%u,\n", c->keys[i]);
	(void)buf_addf(b,
		       "const struct cim_class cim_class_%s = {\"%s\", %zu, 0x%x, %u, %zu, %zu, "
		       "%zu, %zu, %zu, ",
		       c->name, c->name, strlen(c->name), c->flags, c->id, c->n_props, c->n_methods,
		       c->n_keys, c->n_quals, n_subs);
	put_class_ref(b, c->super);
	put_or_null(b, "prop_lists", put_list(&em->props, "props", c->props, c->n_props),
		    c->n_props);
	put_or_null(b, "method_lists", put_list(&em->methods, "methods", c->methods, c->n_methods),
		    c->n_methods);
	put_or_null(b, "keys", pool_put(&em->keys, &keys, c->n_keys), c->n_keys);
	put_or_null(b, "quals", put_quals(em, c->quals, c->n_quals), c->n_quals);
	put_or_null(b, "subs", pool_put(&em->subs, &subs, n_subs), n_subs);
	(void)buf_adds(b, "};\n");
	buf_done(&keys);
	buf_done(&subs);
}

/* ---- the schema ---- */

static void put_hash(const struct mofc *m, struct buf *b)
{
	size_t size = 16;
	uint16_t *slots;

	while (size < m->n_classes * 2)
		size *= 2;
	slots = xmalloc(size * sizeof(*slots));
	for (size_t i = 0; i < size; i++)
		slots[i] = UINT16_MAX;
	for (const struct mofc_class *c = m->classes; c; c = c->next) {
		size_t h = str_casehash(c->name, strlen(c->name)) & (size - 1);

		while (slots[h] != UINT16_MAX)
			h = (h + 1) & (size - 1);
		slots[h] = c->id;
	}
	(void)buf_addf(b, "static const uint16_t hash[%zu] = {\n", size);
	for (size_t i = 0; i < size; i++)
		(void)buf_addf(b, "%u,%c", slots[i], i % 16 == 15 ? '\n' : ' ');
	(void)buf_adds(b, "};\n");
	free(slots);
}

static const char *ns_id(const char *ns)
{
	const char *slash = strrchr(ns, '/');

	return slash ? slash + 1 : ns;
}

static void put_namespaces(const struct mofc *m, struct buf *b)
{
	size_t words = (m->n_classes + 63) / 64;

	for (size_t i = 0; i < m->n_namespaces; i++) {
		const struct mofc_class *c = m->classes;

		(void)buf_addf(b, "static const uint64_t members_%s[] = {\n",
			       ns_id(m->namespaces[i]));
		for (size_t w = 0; w < words; w++) {
			uint64_t bits = 0;

			for (; c && c->id / 64 == w; c = c->next)
				bits |= (uint64_t)(c->ns >> i & 1) << (c->id % 64);
			(void)buf_addf(b, "0x%llxU,\n", (unsigned long long)bits);
		}
		(void)buf_addf(b, "};\nconst struct cim_namespace smiscsi_ns_%s = {",
			       ns_id(m->namespaces[i]));
		put_string(b, m->namespaces[i], strlen(m->namespaces[i]));
		(void)buf_addf(b, ", &smiscsi_schema, members_%s};\n", ns_id(m->namespaces[i]));
	}
}

static void put_pool(struct buf *out, const char *decl, const struct pool *p)
{
	if (p->n)
		(void)buf_addf(out, "static const %s[] = {\n%s};\n", decl, p->text.p);
}

static void put_array(struct buf *out, const char *decl, const struct buf *b)
{
	if (b->len)
		(void)buf_addf(out, "static const %s[] = {\n%s};\n", decl, b->p);
}

static const char prologue[] =
	"/* Written by mofc from mof/; change it there. */\n"
	"#include \"gen/schema.h\"\n\n"
	"#define N(t) {.type = t}\n"
	"#define S(t, x) {.type = t, .kind = CIM_V_SCALAR, .n = sizeof(x) - 1, .s = x}\n"
	"#define U(t, x) {.type = t, .kind = CIM_V_SCALAR, .u = x}\n"
	"#define I(t, x) {.type = t, .kind = CIM_V_SCALAR, .i = x}\n"
	"#define R(t, x) {.type = t, .kind = CIM_V_SCALAR, .r = x}\n"
	"#define A(t, at, count) {.type = t, .kind = CIM_V_ARRAY, .n = count, .a = values + at}\n"
	"#define Q(at, count) quals + at, count\n\n";

static void put_qualdecls(struct emit *em, struct buf *b)
{
	for (const struct mofc_qualdecl *d = em->m->qualdecls; d; d = d->next) {
		(void)buf_addf(b, "{\"%s\", ", d->name);
		/* A NULL default must still say whether it is one of an array. */
		if (d->array && d->dflt.kind == CIM_V_NULL)
			(void)buf_addf(b, "{.type = %d, .hint = CIM_V_ARRAY}", d->type);
		else
			put_value(em, b, &d->dflt);
		(void)buf_addf(b, ", 0x%x, %u},\n", d->scope, d->flavor);
	}
}

int mofc_emit_tables(const struct mofc *m, struct buf *out, struct err *e)
{
	struct emit em = {.m = m, .out = out};
	struct pool *pools[] = {&em.values, &em.quals, &em.props, &em.methods, &em.subs, &em.keys};
	auto_buf struct buf methods = buf_of(MAX_TEXT), decls = buf_of(MAX_TEXT);

	em.features = em.params = em.classes = buf_of(MAX_TEXT);
	for (size_t i = 0; i < ARRAY_SIZE(pools); i++)
		pool_init(pools[i]);
	/* In the order of the tables, not of the text, so that equal schemas give equal C. */
	for (const struct mofc_class *c = m->classes; c; c = c->next) {
		for (size_t i = 0; i < c->n_props; i++)
			if (c->props[i]->declared == c)
				put_prop(&em, c->props[i]);
		for (size_t i = 0; i < c->n_methods; i++)
			if (c->methods[i]->declared == c)
				put_method(&em, c->methods[i], &methods);
	}
	for (const struct mofc_class *c = m->classes; c; c = c->next)
		put_class(&em, c);
	put_qualdecls(&em, &decls);

	(void)buf_adds(out, prologue);
	put_pool(out, "struct cim_value values", &em.values);
	/* Q(0, 0) of something without qualifiers needs an array to point into. */
	if (em.quals.n)
		put_pool(out, "struct cim_qual quals", &em.quals);
	else
		(void)buf_adds(out, "static const struct cim_qual quals[1];\n");
	put_array(out, "struct cim_param params", &em.params);
	put_array(out, "struct cim_prop props", &em.features);
	put_array(out, "struct cim_method methods", &methods);
	put_pool(out, "struct cim_prop *const prop_lists", &em.props);
	put_pool(out, "struct cim_method *const method_lists", &em.methods);
	put_pool(out, "uint16_t keys", &em.keys);
	put_pool(out, "struct cim_class *const subs", &em.subs);
	(void)buf_adds(out, em.classes.len ? em.classes.p : "");
	put_array(out, "struct cim_qualdecl qualdecls", &decls);
	(void)buf_adds(out, "static const struct cim_class *const classes[] = {\n");
	for (const struct mofc_class *c = m->classes; c; c = c->next)
		(void)buf_addf(out, "&cim_class_%s,\n", c->name);
	(void)buf_adds(out, "};\n");
	put_hash(m, out);
	(void)buf_addf(out,
		       "const struct cim_schema smiscsi_schema = {classes, ARRAY_SIZE(classes), "
		       "hash, ARRAY_SIZE(hash), %s, %zu};\n",
		       decls.len ? "qualdecls" : "NULL", m->n_qualdecls);
	put_namespaces(m, out);

	for (size_t i = 0; i < ARRAY_SIZE(pools); i++)
		pool_done(pools[i]);
	buf_done(&em.features);
	buf_done(&em.params);
	buf_done(&em.classes);
	return out->full ? err_set(e, -E2BIG, "the tables are too large") : 0;
}

/* ---- headers ---- */

int mofc_emit_schema_h(const struct mofc *m, struct buf *out, struct err *e)
{
	(void)buf_adds(out, "/* Written by mofc from mof/; change it there. */\n#pragma once\n\n"
			    "#include \"cim/cim.h\"\n\nextern const struct cim_schema "
			    "smiscsi_schema;\n");
	for (size_t i = 0; i < m->n_namespaces; i++)
		(void)buf_addf(out, "extern const struct cim_namespace smiscsi_ns_%s; /* %s */\n",
			       ns_id(m->namespaces[i]), m->namespaces[i]);
	(void)buf_addc(out, '\n');
	for (const struct mofc_class *c = m->classes; c; c = c->next)
		(void)buf_addf(out, "extern const struct cim_class cim_class_%s;\n", c->name);
	return out->full ? err_set(e, -E2BIG, "schema.h is too large") : 0;
}

/* "Degraded/Warning" -> "Degraded_Warning". */
static void put_identifier(struct buf *b, const char *s)
{
	bool gap = false, any = false;

	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) || (unsigned char)*s >= 0x80) {
			gap = true;
			continue;
		}
		if (gap && any)
			(void)buf_addc(b, '_');
		(void)buf_addc(b, *s);
		gap = false;
		any = true;
	}
}

/* The name of value i.  One that stands there twice gets its code behind it. */
static void put_value_name(struct buf *b, const struct cim_value *names, uint32_t i, int64_t code)
{
	put_identifier(b, names[i].s);
	for (uint32_t j = 0; b->len && j < i; j++) {
		auto_buf struct buf other = buf_of(4096);

		if (names[j].kind != CIM_V_SCALAR)
			continue;
		put_identifier(&other, names[j].s);
		if (other.len && streq(other.p, b->p)) {
			(void)buf_addf(b, "_%s%lld", code < 0 ? "m" : "",
				       (long long)(code < 0 ? -code : code));
			return;
		}
	}
}

/* One constant for each single value that has a name; ranges have none. */
static void put_value_names(struct buf *out, const char *prefix, const struct mofc_feature *f)
{
	const struct mofc_qual *map = mofc_qual_find(f->quals, f->n_quals, "ValueMap");
	const struct mofc_qual *values = mofc_qual_find(f->quals, f->n_quals, "Values");
	bool open = false;
	int64_t code;

	if (!map || !values || f->type == CIM_STRING || (map->propagated && values->propagated))
		return;
	for (uint32_t i = 0; i < map->value.n; i++) {
		auto_buf struct buf id = buf_of(4096);
		const struct cim_value *v = &map->value.a[i];

		if (!str_i64(v->s, v->n, INT_MIN, INT_MAX, &code) ||
		    values->value.a[i].kind != CIM_V_SCALAR)
			continue;
		put_value_name(&id, values->value.a, i, code);
		if (!id.len)
			continue;
		(void)buf_addf(out, "%s\t%s_%s = %lld,\n", open ? "" : "enum {\n", prefix, id.p,
			       (long long)code);
		open = true;
	}
	if (open)
		(void)buf_adds(out, "};\n");
}

static void put_method_names(const struct mofc_class *c, const struct mofc_feature *f,
			     struct buf *out)
{
	auto_free char *prefix = xasprintf("%s_%s", c->name, f->name);
	int i = 0;

	if (f->n_params)
		(void)buf_adds(out, "enum {\n");
	for (const struct mofc_feature *p = f->params; p; p = p->next)
		(void)buf_addf(out, "\t%s_A_%s = %d,\n", prefix, p->name, i++);
	if (f->n_params)
		(void)buf_adds(out, "};\n");
	put_value_names(out, prefix, f);
	for (const struct mofc_feature *p = f->params; p; p = p->next) {
		auto_free char *pp = xasprintf("%s_%s", prefix, p->name);

		put_value_names(out, pp, p);
	}
}

static void put_class_names(const struct mofc_class *c, struct buf *out)
{
	(void)buf_addf(out, "\n/* ---- %s ---- */\n", c->name);
	if (c->n_props)
		(void)buf_adds(out, "enum {\n");
	for (size_t i = 0; i < c->n_props; i++)
		(void)buf_addf(out, "\t%s_P_%s = %zu,\n", c->name, c->props[i]->name, i);
	if (c->n_props)
		(void)buf_adds(out, "};\n");
	if (c->n_methods)
		(void)buf_adds(out, "enum {\n");
	for (size_t i = 0; i < c->n_methods; i++)
		(void)buf_addf(out, "\t%s_M_%s = %zu,\n", c->name, c->methods[i]->name, i);
	if (c->n_methods)
		(void)buf_adds(out, "};\n");
	for (const struct mofc_feature *f = c->features; f; f = f->next) {
		auto_free char *prefix = xasprintf("%s_%s", c->name, f->name);

		if (f->is_method)
			put_method_names(c, f, out);
		else
			put_value_names(out, prefix, f);
	}
}

int mofc_emit_header(const struct mofc *m, const struct mofc_file *f, struct buf *out,
		     struct err *e)
{
	(void)buf_addf(out,
		       "/* Written by mofc from mof/%s.mof; change it there. */\n"
		       "#pragma once\n\n#include \"gen/schema.h\"\n",
		       f->stem);
	for (const struct mofc_class *c = m->classes; c; c = c->next)
		if (c->loc.file == f)
			put_class_names(c, out);
	return out->full ? err_set(e, -E2BIG, "%s.h is too large", f->stem) : 0;
}
