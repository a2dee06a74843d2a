/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "base/buf.h"
#include "base/str.h"
#include "cim/cim.h"

enum {
	PATH_TEXT_MAX = 64 * 1024, /* bytes of a path in text form */
	PATH_KEYS_MAX = 64,
	PATH_DEPTH_MAX = 8, /* references within references */
};

/* ---- comparing ---- */

static bool same_ns(const char *a, const char *b)
{
	return !a || !b || str_caseeq(a, b);
}

static const struct cim_key *key_find(const struct cim_path *p, const char *name)
{
	for (unsigned i = 0; i < p->n_keys; i++)
		if (p->keys[i].name == name ||
		    (name && p->keys[i].name && str_caseeq(p->keys[i].name, name)))
			return &p->keys[i];
	return NULL;
}

bool cim_path_eq(const struct cim_path *a, const struct cim_path *b)
{
	if (a == b)
		return true;
	if (a->n_keys != b->n_keys || !same_ns(a->ns, b->ns))
		return false;
	if (a->cls && b->cls ? a->cls != b->cls : !str_caseeq(a->class_name, b->class_name))
		return false;
	for (unsigned i = 0; i < a->n_keys; i++) {
		const struct cim_key *k = key_find(b, a->keys[i].name);

		if (!k || !cim_value_eq(&a->keys[i].v, &k->v))
			return false;
	}
	return true;
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 31;
	h *= 0x9fb21c651e98df25U;
	return h ^ h >> 28;
}

static uint64_t value_hash(const struct cim_value *v)
{
	uint64_t h = mix(v->type + 1U);

	if (v->kind != CIM_V_SCALAR)
		return h;
	if (v->type == CIM_REF)
		return h ^ cim_path_hash(v->ref);
	if (v->type == CIM_STRING || v->type == CIM_DATETIME || v->type == CIM_UNTYPED)
		return h ^ str_hash(v->s, v->n);
	if (v->type == CIM_OBJECT)
		return h;
	return mix(h ^ v->u);
}

/* Order of keys doesn't count, so their hashes are added up. */
uint64_t cim_path_hash(const struct cim_path *p)
{
	uint64_t h = str_casehash(p->class_name, strlen(p->class_name));

	for (unsigned i = 0; i < p->n_keys; i++) {
		const char *name = p->keys[i].name;

		h += mix(value_hash(&p->keys[i].v) ^ (name ? str_casehash(name, strlen(name)) : 0));
	}
	return h;
}

struct cim_path *cim_path_dup(struct arena *a, const struct cim_path *p)
{
	struct cim_path *c = arena_zalloc(a, sizeof(*c));

	if (!c)
		return NULL;
	c->cls = p->cls;
	c->n_keys = p->n_keys;
	c->keys = arena_zalloc(a, p->n_keys * sizeof(*c->keys));
	c->class_name = p->cls ? p->cls->name : arena_strdup(a, p->class_name);
	if (!c->keys || !c->class_name)
		return NULL;
	if (p->host && !(c->host = arena_strdup(a, p->host)))
		return NULL;
	if (p->ns && !(c->ns = arena_strdup(a, p->ns)))
		return NULL;
	for (unsigned i = 0; i < p->n_keys; i++) {
		const char *name = p->keys[i].name;

		if (name && !(c->keys[i].name = arena_strdup(a, name)))
			return NULL;
		if (!cim_value_dup(a, &p->keys[i].v, &c->keys[i].v))
			return NULL;
	}
	return c;
}

/* ---- binding to the class table ---- */

static int resolve(struct cim_path *p, const struct cim_namespace *ns, struct arena *a,
		   unsigned depth, struct err *e);

static int resolve_ref(struct cim_value *v, const struct cim_namespace *ns, struct arena *a,
		       unsigned depth, struct err *e)
{
	struct cim_path *to;

	if (v->kind != CIM_V_SCALAR || (v->type != CIM_REF && v->type != CIM_UNTYPED))
		return err_set(e, -EINVAL, "it must be an object path");
	if (depth == 0)
		return err_set(e, -EINVAL, "more than %d references inside each other",
			       PATH_DEPTH_MAX);
	if (v->type == CIM_UNTYPED) {
		/* the text form can't tell a reference from a string (DSP0207) */
		if (cim_path_parse(a, v->s, v->n, &to, e) < 0)
			return -EINVAL;
	} else {
		to = cim_path_dup(a, v->ref);
	}
	if (!to)
		return err_set(e, -EINVAL, "it is too large");
	/* e: a class that doesn't exist is the key's fault, not the object's */
	if (resolve(to, ns, a, depth - 1, e) < 0)
		return -EINVAL;
	*v = cim_ref(to);
	return 0;
}

static int resolve_key(const struct cim_path *p, const struct cim_key *in, struct cim_key *out,
		       const struct cim_namespace *ns, struct arena *a, unsigned depth,
		       struct err *e)
{
	const struct cim_class *c = p->cls;
	const char *name = in->name;
	const struct cim_prop *prop;
	unsigned i;
	int r;

	if (!name && c->n_keys != 1)
		return err_set(e, -EINVAL, "a key of class %s has no name; it has %u keys", c->name,
			       c->n_keys);
	for (i = 0; i < c->n_keys; i++)
		if (!name || str_caseeq(c->props[c->keys[i]]->name, name))
			break;
	if (i == c->n_keys)
		return err_set(e, -EINVAL, "class %s has no key \"%.80s\"", c->name, name);
	if (out[i].name)
		return err_set(e, -EINVAL, "key %s of class %s is given twice", out[i].name,
			       c->name);
	prop = c->props[c->keys[i]];
	out[i] = (struct cim_key){prop->name, in->v};
	r = prop->type == CIM_REF ? resolve_ref(&out[i].v, ns, a, depth, e)
				  : cim_value_retype(&out[i].v, prop->type, e);
	if (r < 0) {
		err_in(e, "key %s of class %s", prop->name, c->name);
		return -EINVAL;
	}
	return 0;
}

static int resolve(struct cim_path *p, const struct cim_namespace *ns, struct arena *a,
		   unsigned depth, struct err *e)
{
	size_t n = strlen(p->class_name);
	const struct cim_class *c;
	struct cim_key *keys;
	uint16_t given = 0;

	/* a path into another namespace is bound by the schema alone; that namespace's own
	 * operations see whether the object exists */
	if (p->ns && !str_caseeq(p->ns, ns->name))
		c = cim_schema_find(ns->schema, p->class_name, n);
	else
		c = cim_ns_find(ns, p->class_name, n);
	if (!c)
		return err_set(e, -ENOENT, "there is no class \"%.200s\" in namespace %.200s",
			       p->class_name, p->ns ? p->ns : ns->name);
	p->cls = c;
	p->class_name = c->name;
	keys = arena_zalloc(a, c->n_keys * sizeof(*keys));
	if (!keys)
		return err_set(e, -EINVAL, "the object path is too large");
	for (unsigned i = 0; i < p->n_keys; i++) {
		int r = resolve_key(p, &p->keys[i], keys, ns, a, depth, e);

		if (r < 0)
			return r;
	}
	for (unsigned i = 0; i < c->n_keys; i++)
		if (keys[i].name)
			keys[given++] = keys[i];
	p->keys = keys;
	p->n_keys = given;
	return 0;
}

int cim_path_resolve(struct cim_path *p, const struct cim_namespace *ns, struct arena *a,
		     struct err *e)
{
	return resolve(p, ns, a, PATH_DEPTH_MAX, e);
}

/* ---- text form ---- */

static void print_quoted(struct buf *b, const char *s, size_t n)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, s[i]);
	}
	buf_addc(b, '"');
}

static void print_path(struct buf *b, const struct cim_path *p, unsigned depth);

static void print_value(struct buf *b, const struct cim_value *v, unsigned depth)
{
	if (v->kind != CIM_V_SCALAR) {
		buf_adds(b, "NULL");
		return;
	}
	switch ((enum cim_type)v->type) {
	case CIM_BOOLEAN:
		buf_adds(b, v->u ? "TRUE" : "FALSE");
		break;
	case CIM_UINT8:
	case CIM_UINT16:
	case CIM_UINT32:
	case CIM_UINT64:
	case CIM_CHAR16:
		buf_addf(b, "%" PRIu64, v->u);
		break;
	case CIM_SINT8:
	case CIM_SINT16:
	case CIM_SINT32:
	case CIM_SINT64:
		buf_addf(b, "%" PRId64, v->i);
		break;
	case CIM_REAL32:
	case CIM_REAL64:
		buf_addf(b, "%.17g", v->r);
		break;
	case CIM_STRING:
	case CIM_DATETIME:
		print_quoted(b, v->s, v->n);
		break;
	case CIM_UNTYPED:
		if (v->hint == CIM_HINT_STRING)
			print_quoted(b, v->s, v->n);
		else
			buf_add(b, v->s, v->n);
		break;
	case CIM_REF: {
		auto_buf struct buf in = buf_of(b->max);

		print_path(&in, v->ref, depth);
		if (in.full)
			b->full = true;
		print_quoted(b, in.p ? in.p : "", in.len);
		break;
	}
	case CIM_OBJECT:
	case CIM_N_TYPES:
		buf_adds(b, "NULL"); /* no key has such a type */
		break;
	}
}

static void print_path(struct buf *b, const struct cim_path *p, unsigned depth)
{
	if (depth == 0) {
		b->full = true;
		return;
	}
	if (p->host)
		buf_addf(b, "//%s/", p->host);
	if (p->ns)
		buf_addf(b, "%s:", p->ns);
	buf_adds(b, p->class_name);
	for (unsigned i = 0; i < p->n_keys; i++) {
		/* a single key may go without its name */
		if (p->keys[i].name)
			buf_addf(b, "%c%s=", i ? ',' : '.', p->keys[i].name);
		else
			buf_addc(b, i ? ',' : '=');
		print_value(b, &p->keys[i].v, depth - 1);
	}
}

const char *cim_path_print(struct arena *a, const struct cim_path *p)
{
	auto_buf struct buf b = buf_of(PATH_TEXT_MAX);

	print_path(&b, p, PATH_DEPTH_MAX + 1);
	return b.full ? NULL : arena_strndup(a, b.p, b.len);
}

struct text {
	const char *at, *end;
};

static bool name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (unsigned char)c >= 0x80 || (!first && c >= '0' && c <= '9');
}

/* DSP0004 identifiers; 0 when there is none. */
static size_t name_len(const struct text *t)
{
	const char *p = t->at;

	while (p < t->end && name_char(*p, p == t->at))
		p++;
	return (size_t)(p - t->at);
}

static int parse_quoted(struct arena *a, struct text *t, struct cim_value *ret, struct err *e)
{
	char *out = arena_alloc(a, (size_t)(t->end - t->at) + 1);
	uint32_t n = 0;

	if (!out)
		return err_set(e, -EINVAL, "the object path is too large");
	for (t->at++; t->at < t->end && *t->at != '"'; t->at++) {
		if (*t->at == '\\' && ++t->at == t->end)
			break;
		out[n++] = *t->at;
	}
	if (t->at >= t->end)
		return err_set(e, -EINVAL, "a key value's closing quote is missing");
	t->at++;
	out[n] = '\0';
	*ret = (struct cim_value){.type = CIM_UNTYPED,
				  .kind = CIM_V_SCALAR,
				  .hint = CIM_HINT_STRING,
				  .n = n,
				  .s = out};
	return 0;
}

static int parse_bare(struct arena *a, struct text *t, struct cim_value *ret, struct err *e)
{
	const char *from = t->at;
	struct cim_value number;
	size_t n;

	while (t->at < t->end && *t->at != ',')
		t->at++;
	n = (size_t)(t->at - from);
	*ret = (struct cim_value){.type = CIM_UNTYPED,
				  .kind = CIM_V_SCALAR,
				  .hint = CIM_HINT_NUMERIC,
				  .n = (uint32_t)n};
	if (str_caseeqn(from, n, "true") || str_caseeqn(from, n, "false"))
		ret->hint = CIM_HINT_BOOLEAN;
	else if (cim_value_parse(CIM_UINT64, from, n, &number, NULL) < 0 &&
		 cim_value_parse(CIM_SINT64, from, n, &number, NULL) < 0 &&
		 cim_value_parse(CIM_REAL64, from, n, &number, NULL) < 0)
		return err_set(e, -EINVAL,
			       "key value \"%.*s\" is neither a number nor true or false; "
			       "text needs quotes",
			       n > 80 ? 80 : (int)n, from);
	ret->s = arena_strndup(a, from, n);
	return ret->s ? 0 : err_set(e, -EINVAL, "the object path is too large");
}

static int parse_keys(struct arena *a, struct text *t, struct cim_path *p, struct err *e)
{
	struct cim_key keys[PATH_KEYS_MAX];

	for (;;) {
		size_t n = name_len(t);
		struct cim_key *k = &keys[p->n_keys];
		int r;

		if (n == 0 || t->at + n == t->end || t->at[n] != '=')
			return err_set(e, -EINVAL, "a key must look like Name=value");
		if (p->n_keys == PATH_KEYS_MAX)
			return err_set(e, -EINVAL, "more than %d keys", PATH_KEYS_MAX);
		k->name = arena_strndup(a, t->at, n);
		if (!k->name)
			return err_set(e, -EINVAL, "the object path is too large");
		t->at += n + 1;
		r = t->at < t->end && *t->at == '"' ? parse_quoted(a, t, &k->v, e)
						    : parse_bare(a, t, &k->v, e);
		if (r < 0)
			return err_in(e, "key %s", k->name);
		p->n_keys++;
		if (t->at == t->end)
			break;
		if (*t->at++ != ',')
			return err_set(e, -EINVAL, "keys must be separated by ','");
	}
	p->keys = arena_alloc(a, p->n_keys * sizeof(*p->keys));
	if (!p->keys)
		return err_set(e, -EINVAL, "the object path is too large");
	memcpy(p->keys, keys, p->n_keys * sizeof(*p->keys));
	return 0;
}

/* "//host/" and "namespace:", each of which may be missing. */
static int parse_place(struct arena *a, struct text *t, struct cim_path *p, struct err *e)
{
	const char *q;

	if (t->end - t->at > 2 && t->at[0] == '/' && t->at[1] == '/') {
		t->at += 2;
		q = memchr(t->at, '/', (size_t)(t->end - t->at));
		if (!q || q == t->at)
			return err_set(e, -EINVAL, "\"//\" must be followed by a host and '/'");
		p->host = arena_strndup(a, t->at, (size_t)(q - t->at));
		if (!p->host)
			return err_set(e, -EINVAL, "the object path is too large");
		t->at = q;
	}
	while (t->at < t->end && *t->at == '/')
		t->at++;
	q = t->at;
	while (q < t->end && (name_char(*q, false) || *q == '/' || *q == '-'))
		q++;
	if (q < t->end && *q == ':') {
		const char *last = q;

		while (last > t->at && last[-1] == '/')
			last--;
		if (last > t->at) {
			p->ns = arena_strndup(a, t->at, (size_t)(last - t->at));
			if (!p->ns)
				return err_set(e, -EINVAL, "the object path is too large");
		}
		t->at = q + 1;
	}
	return 0;
}

int cim_path_parse(struct arena *a, const char *text, size_t n, struct cim_path **ret,
		   struct err *e)
{
	struct text t = {text, text + n};
	struct cim_path *p;
	size_t len;

	if (n > PATH_TEXT_MAX)
		return err_set(e, -EINVAL, "an object path of %zu bytes; allowed: %d", n,
			       PATH_TEXT_MAX);
	if (!str_utf8_xml(text, n))
		return err_set(e, -EINVAL, "the object path is no UTF-8 text");
	p = arena_zalloc(a, sizeof(*p));
	if (!p)
		return err_set(e, -EINVAL, "the object path is too large");
	if (parse_place(a, &t, p, e) < 0)
		return -EINVAL;
	len = name_len(&t);
	if (len == 0)
		return err_set(e, -EINVAL, "\"%.*s\" names no class", n > 80 ? 80 : (int)n, text);
	p->class_name = arena_strndup(a, t.at, len);
	if (!p->class_name)
		return err_set(e, -EINVAL, "the object path is too large");
	t.at += len;
	if (t.at == t.end || (t.end - t.at == 2 && memcmp(t.at, "=@", 2) == 0)) {
		*ret = p; /* a class, or the only instance of one without keys */
		return 0;
	}
	if (*t.at++ != '.')
		return err_set(e, -EINVAL, "class name \"%.80s\" must be followed by '.' and keys",
			       p->class_name);
	if (parse_keys(a, &t, p, e) < 0)
		return err_in(e, "object path of class %.80s", p->class_name);
	*ret = p;
	return 0;
}
