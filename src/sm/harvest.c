/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/harvest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/str.h"

enum { KEYS_MAX = 32, REF_DEPTH_MAX = 4, NOTES_BYTES = 2048, KEY_BYTES_MAX = 1 << 16 };

#define NAME_(k, name, type, array) #name,
static const char *const prop_names[SRCP_N] = {SRC_PROPS(NAME_)};
#undef NAME_

static const struct {
	uint8_t type;
	bool array;
} prop_types[SRCP_N] = {
#define TYPE_(k, name, type, array) {type, array},
	SRC_PROPS(TYPE_)
#undef TYPE_
};

#define KIND_(id, cls_, alt_, level_, where_, first_, last_)  \
	{.cls = (cls_),                                       \
	 .alt = (alt_),                                       \
	 .level = (level_),                                   \
	 .where = SRC_##where_,                               \
	 .first = SRCP_##id##_##first_,                       \
	 .n = SRCP_##id##_##last_ - SRCP_##id##_##first_ + 1, \
	 .names = &prop_names[SRCP_##id##_##first_]},
static const struct src_kind_info kind_info[SRC_N] = {SRC_KINDS(KIND_)};
#undef KIND_

const struct src_kind_info *src_kind_info(enum src_kind k)
{
	return &kind_info[k];
}

bool src_is_assoc(enum src_kind k)
{
	return prop_types[kind_info[k].first].type == CIM_REF;
}

struct harvest {
	struct arena *a;
	struct src_obj *first[SRC_N], **last[SRC_N];
	uint32_t n[SRC_N];
	struct src_obj **hash; /* chains by key, all kinds; a power of two */
	uint32_t hash_size, count, max;
	uint32_t notes;
	struct buf note_text, scratch;
};

struct harvest *harvest_new(size_t bytes, uint32_t objects)
{
	struct harvest *h = xcalloc(1, sizeof(*h));

	h->a = arena_new(bytes);
	h->max = objects;
	h->hash_size = 1024;
	h->hash = xcalloc(h->hash_size, sizeof(*h->hash));
	h->note_text = buf_of(NOTES_BYTES);
	h->scratch = buf_of(KEY_BYTES_MAX);
	for (int k = 0; k < SRC_N; k++)
		h->last[k] = &h->first[k];
	return h;
}

void harvest_free(struct harvest *h)
{
	if (!h)
		return;
	arena_free(h->a);
	free(h->hash);
	buf_done(&h->note_text);
	buf_done(&h->scratch);
	free(h);
}

void harvest_note(struct harvest *h, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	h->notes++;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (h->note_text.len + strlen(line) + 2 > NOTES_BYTES)
		return;
	if (h->note_text.len)
		buf_adds(&h->note_text, "; ");
	buf_adds(&h->note_text, line);
}

uint32_t harvest_notes(const struct harvest *h, const char **ret_text)
{
	*ret_text = h->notes ? h->note_text.p : "";
	return h->notes;
}

struct src_obj *harvest_first(const struct harvest *h, enum src_kind k)
{
	return h->first[k];
}

uint32_t harvest_count(const struct harvest *h, enum src_kind k)
{
	return h->n[k];
}

struct arena *harvest_arena(struct harvest *h)
{
	return h->a;
}

/* ---- canonical keys ---- */

/* XML text has no control characters, so these can't be forged by a value. */
enum { C_IS = 0x1d, C_NEXT = 0x1e, C_OPEN = 0x1c, C_CLOSE = 0x1f };

static bool add_key_value(struct buf *b, const struct cim_value *v, int depth);

static bool add_keys(struct buf *b, const struct cim_path *p, int depth)
{
	uint16_t order[KEYS_MAX];

	if (p->n_keys > KEYS_MAX || depth > REF_DEPTH_MAX)
		return false;
	for (uint16_t i = 0; i < p->n_keys; i++) {
		uint16_t j = i;

		for (; j > 0 && str_casecmp(p->keys[i].name, p->keys[order[j - 1]].name) < 0; j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
	for (uint16_t i = 0; i < p->n_keys; i++) {
		const struct cim_key *k = &p->keys[order[i]];

		for (const char *s = k->name; *s; s++)
			buf_addc(b, str_lower_c(*s));
		buf_addc(b, C_IS);
		if (!add_key_value(b, &k->v, depth))
			return false;
		buf_addc(b, C_NEXT);
	}
	return !b->full;
}

static bool add_key_value(struct buf *b, const struct cim_value *v, int depth)
{
	if (v->kind != CIM_V_SCALAR)
		return false;
	switch (v->type) {
	case CIM_STRING:
	case CIM_UNTYPED:
	case CIM_DATETIME:
		return buf_add(b, v->s, v->n);
	case CIM_BOOLEAN:
		return buf_adds(b, v->u ? "true" : "false");
	case CIM_UINT8:
	case CIM_UINT16:
	case CIM_UINT32:
	case CIM_UINT64:
	case CIM_CHAR16:
		return buf_addf(b, "%llu", (unsigned long long)v->u);
	case CIM_SINT8:
	case CIM_SINT16:
	case CIM_SINT32:
	case CIM_SINT64:
		return buf_addf(b, "%lld", (long long)v->i);
	case CIM_REF:
		buf_addc(b, C_OPEN);
		for (const char *s = v->ref->class_name; s && *s; s++)
			buf_addc(b, str_lower_c(*s));
		buf_addc(b, C_NEXT);
		if (!add_keys(b, v->ref, depth + 1))
			return false;
		return buf_addc(b, C_CLOSE);
	default:
		return false;
	}
}

static char *dup_text(struct arena *a, const char *s)
{
	return s ? arena_strdup(a, s) : NULL;
}

/* False when the path can't be taken (too many keys, no keys); r is zero then. */
static bool make_ref(struct harvest *h, const struct cim_path *p, struct src_ref *r)
{
	*r = (struct src_ref){0};
	buf_clear(&h->scratch);
	if (!p || !p->n_keys || !add_keys(&h->scratch, p, 0))
		return false;
	char *key = arena_strndup(h->a, h->scratch.p, h->scratch.len);

	r->cls = dup_text(h->a, p->class_name);
	r->ns = dup_text(h->a, p->ns);
	if (!key || !r->cls)
		return false;
	r->key = key;
	r->key_len = (uint32_t)h->scratch.len;
	r->hash = str_hash(key, r->key_len);
	return true;
}

/* ---- values ---- */

static bool is_text(enum cim_type t)
{
	return t == CIM_STRING || t == CIM_DATETIME;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One scalar as the type the join wants; false: it isn't one. */
static bool convert(struct harvest *h, enum cim_type t, const struct cim_value *v,
		    struct cim_value *ret)
{
	struct cim_value x;

	*ret = cim_null(t);
	if (cim_is_null(v))
		return true;
	if (v->kind != CIM_V_SCALAR)
		return false;
	if (v->type == CIM_UNTYPED || v->type == CIM_STRING || v->type == CIM_DATETIME) {
		const char *s = v->s;
		size_t n = v->n;
		char num[64];

		if (!is_text(t)) { /* numbers come with blanks around them, or not at all */
			while (n && blank(*s))
				s++, n--;
			while (n && blank(s[n - 1]))
				n--;
			if (!n)
				return true;
			if (n >= sizeof(num))
				return false;
			memcpy(num, s, n);
			num[n] = '\0';
			s = num;
		}
		if (t == CIM_DATETIME && !cim_datetime_ok(s, n))
			return false;
		if (cim_value_parse(t, s, n, &x, NULL) < 0)
			return false;
	} else if (v->type == t) {
		x = *v;
	} else {
		return false;
	}
	return cim_value_dup(h->a, &x, ret);
}

static bool take_value(struct harvest *h, enum cim_type t, bool array, const struct cim_value *v,
		       struct cim_value *ret)
{
	*ret = cim_null(t);
	if (cim_is_null(v))
		return true;
	if (!array) /* of an array where one value belongs, the first */
		return convert(h, t, v->kind == CIM_V_ARRAY ? (v->n ? &v->a[0] : ret) : v, ret);
	uint32_t n = v->kind == CIM_V_ARRAY ? v->n : 1, got = 0;
	struct cim_value *a = arena_alloc(h->a, (n ? n : 1) * sizeof(*a));
	bool ok = true;

	if (!a)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!convert(h, t, v->kind == CIM_V_ARRAY ? &v->a[i] : v, &a[got]))
			ok = false;
		else if (!cim_is_null(&a[got]))
			got++;
	}
	*ret = cim_array(t, a, got);
	return ok;
}

static const struct cim_value *find_prop(const struct cim_raw_instance *inst,
					 const struct cim_path *path, const char *name)
{
	for (uint32_t i = 0; inst && i < inst->n_props; i++)
		if (str_caseeq(inst->props[i].name, name)) {
			if (!cim_is_null(&inst->props[i].v))
				return &inst->props[i].v;
			break;
		}
	/* some providers leave key properties out of the instance */
	for (uint16_t i = 0; path && i < path->n_keys; i++)
		if (str_caseeq(path->keys[i].name, name))
			return &path->keys[i].v;
	return NULL;
}

/* ---- objects ---- */

static void rehash(struct harvest *h)
{
	uint32_t size = h->hash_size * 2;
	struct src_obj **n = xcalloc(size, sizeof(*n));

	for (uint32_t i = 0; i < h->hash_size; i++)
		for (struct src_obj *o = h->hash[i], *next; o; o = next) {
			struct src_obj **at = &n[o->id.hash & (size - 1)];

			next = o->chain;
			o->chain = *at;
			*at = o;
		}
	free(h->hash);
	h->hash = n;
	h->hash_size = size;
}

static bool same_key(const struct src_ref *a, const struct src_ref *b)
{
	return a->hash == b->hash && a->key_len == b->key_len &&
	       memcmp(a->key, b->key, a->key_len) == 0;
}

static bool same_ns(const char *a, const char *b)
{
	return !a || !b || str_caseeq(a, b);
}

struct src_obj *harvest_find(const struct harvest *h, enum src_kind k, const struct src_ref *r)
{
	struct src_obj *best = NULL;
	int best_score = -1;

	if (!r->key)
		return NULL;
	for (struct src_obj *o = h->hash[r->hash & (h->hash_size - 1)]; o; o = o->chain) {
		if (o->kind != k || !same_key(&o->id, r))
			continue;
		int score = (str_caseeq(o->id.cls, r->cls) ? 2 : 0) +
			    (same_ns(o->id.ns, r->ns) ? 1 : 0);
		if (score > best_score || (score == best_score && o->num < best->num)) {
			best = o;
			best_score = score;
		}
	}
	return best;
}

static int full(struct err *e)
{
	return err_set(e, -E2BIG, "the provider's answers need more memory than it is allowed");
}

/* The values of a kind's properties, from number `from` on.  false: there is no more room. */
static bool take_values(struct harvest *h, const struct src_kind_info *ki, uint16_t from,
			const struct cim_path *path, const struct cim_raw_instance *inst,
			struct cim_value *ret)
{
	for (uint16_t i = from; i < ki->n; i++) {
		const struct cim_value *v = find_prop(inst, path, ki->names[i]);
		enum cim_type t = prop_types[ki->first + i].type;

		*ret = cim_null(t);
		if (v && !take_value(h, t, prop_types[ki->first + i].array, v, ret))
			harvest_note(h, "%s.%s isn't a %s", ki->cls, ki->names[i],
				     cim_type_name(t));
		if (arena_full(h->a))
			return false;
		ret++;
	}
	return true;
}

int harvest_add(struct harvest *h, enum src_kind k, const char *ns, const struct cim_path *path,
		const struct cim_raw_instance *inst, struct err *e)
{
	const struct src_kind_info *ki = &kind_info[k];

	if (h->count >= h->max)
		return err_set(e, -E2BIG, "the provider has more than %u objects", h->max);
	struct src_obj *o = arena_zalloc(h->a, sizeof(*o));

	if (!o)
		return full(e);
	o->kind = k;
	o->num = h->n[k];
	if (src_is_assoc(k)) {
		o->ref = arena_zalloc(h->a, 2 * sizeof(*o->ref) + (ki->n - 2U) * sizeof(*o->v));
		if (!o->ref)
			return full(e);
		for (int i = 0; i < 2; i++) {
			const struct cim_value *v = find_prop(inst, path, ki->names[i]);

			if (!v || v->kind != CIM_V_SCALAR || v->type != CIM_REF ||
			    !make_ref(h, v->ref, &o->ref[i])) {
				if (arena_full(h->a))
					return full(e);
				harvest_note(h, "%s without a usable %s", ki->cls, ki->names[i]);
				return 0;
			}
			if (!o->ref[i].ns)
				o->ref[i].ns = ns ? arena_strdup(h->a, ns) : NULL;
		}
		if (!take_values(h, ki, 2, path, inst, (struct cim_value *)(o->ref + 2)))
			return full(e);
	} else {
		bool named = make_ref(h, path, &o->id);

		if (arena_full(h->a))
			return full(e);
		if (named) {
			if (!o->id.ns && ns)
				o->id.ns = arena_strdup(h->a, ns);
			struct src_obj *twin = harvest_find(h, k, &o->id);

			if (twin && str_caseeq(twin->id.cls, o->id.cls) &&
			    same_ns(twin->id.ns, o->id.ns)) {
				harvest_note(h, "%s twice with the same keys", o->id.cls);
				return 0;
			}
		} else {
			harvest_note(h, "%s without usable keys", ki->cls);
		}
		o->v = arena_zalloc(h->a, ki->n * sizeof(*o->v));
		if (!o->v)
			return full(e);
		if (!take_values(h, ki, 0, path, inst, o->v))
			return full(e);
		if (named) {
			if (h->count >= h->hash_size)
				rehash(h);
			struct src_obj **at = &h->hash[o->id.hash & (h->hash_size - 1)];

			o->chain = *at;
			*at = o;
		}
	}
	h->count++;
	h->n[k]++;
	*h->last[k] = o;
	h->last[k] = &o->next;
	return 0;
}
