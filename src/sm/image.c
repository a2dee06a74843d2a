/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/image.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/str.h"
#include "base/wire.h"
#include "gen/sm.h"
#include "gen/sm_block.h"
#include "gen/sm_masking.h"
#include "gen/sm_replication.h"

#define KIND_(id, c) {&cim_class_##c, c##_KEY_, c##_IDENT_},
enum {
	/* The key and the Identifier of each class; -1 where a class has none. */
	MSFT_SMProvider_KEY_ = MSFT_SMProvider_P_ObjectId,
	MSFT_SMProvider_IDENT_ = MSFT_SMProvider_P_Identifier,
	MSFT_SMWbemService_KEY_ = MSFT_SMWbemService_P_ServiceURI,
	MSFT_SMWbemService_IDENT_ = -1,
	MSFT_SMDiscovery_KEY_ = MSFT_SMDiscovery_P_DiscoveryId,
	MSFT_SMDiscovery_IDENT_ = -1,
	MSFT_SMSystem_KEY_ = MSFT_SMSystem_P_ObjectId,
	MSFT_SMSystem_IDENT_ = MSFT_SMSystem_P_Identifier,
	MSFT_SMSystemCapabilities_KEY_ = MSFT_SMSystemCapabilities_P_ObjectId,
	MSFT_SMSystemCapabilities_IDENT_ = MSFT_SMSystemCapabilities_P_Identifier,
	MSFT_SMEndpoint_KEY_ = MSFT_SMEndpoint_P_ObjectId,
	MSFT_SMEndpoint_IDENT_ = MSFT_SMEndpoint_P_Identifier,
	MSFT_SMiSCSIPortalEndpoint_KEY_ = MSFT_SMiSCSIPortalEndpoint_P_ObjectId,
	MSFT_SMiSCSIPortalEndpoint_IDENT_ = MSFT_SMiSCSIPortalEndpoint_P_Identifier,
	MSFT_SMProtocolEndpoint_KEY_ = MSFT_SMProtocolEndpoint_P_ObjectId,
	MSFT_SMProtocolEndpoint_IDENT_ = -1,
	MSFT_SMStorageGroup_KEY_ = MSFT_SMStorageGroup_P_ObjectId,
	MSFT_SMStorageGroup_IDENT_ = MSFT_SMStorageGroup_P_Identifier,
	MSFT_SMStorageHardwareID_KEY_ = MSFT_SMStorageHardwareID_P_ObjectId,
	MSFT_SMStorageHardwareID_IDENT_ = MSFT_SMStorageHardwareID_P_Identifier,
	MSFT_SMPool_KEY_ = MSFT_SMPool_P_ObjectId,
	MSFT_SMPool_IDENT_ = MSFT_SMPool_P_Identifier,
	MSFT_SMPoolSetting_KEY_ = MSFT_SMPoolSetting_P_ObjectId,
	MSFT_SMPoolSetting_IDENT_ = MSFT_SMPoolSetting_P_Identifier,
	MSFT_SMStorageVolume_KEY_ = MSFT_SMStorageVolume_P_ObjectId,
	MSFT_SMStorageVolume_IDENT_ = MSFT_SMStorageVolume_P_Identifier,
	MSFT_SMDiskDrive_KEY_ = MSFT_SMDiskDrive_P_ObjectId,
	MSFT_SMDiskDrive_IDENT_ = MSFT_SMDiskDrive_P_Identifier,
	MSFT_SMJob_KEY_ = MSFT_SMJob_P_ObjectId,
	MSFT_SMJob_IDENT_ = -1,
};
static const struct sm_kind_info kinds[SM_N_KINDS] = {SM_KINDS(KIND_)};
#undef KIND_

/* clang-format off */
#define ASSOC_(id, c, a, b, pa, pb) {&cim_class_##c, {SM_##a, SM_##b}, {c##_P_##pa, c##_P_##pb}},
/* clang-format on */
static const struct sm_assoc_info assocs[SM_N_ASSOCS] = {SM_ASSOCS(ASSOC_)};
#undef ASSOC_

const struct sm_kind_info *sm_kind_info(enum sm_kind k)
{
	return &kinds[k];
}

const struct sm_assoc_info *sm_assoc_info(enum sm_assoc a)
{
	return &assocs[a];
}

struct kind_list {
	struct sm_object **o;
	uint32_t n, cap;
	uint32_t *hash; /* number + 1; 0: empty */
	uint32_t hash_size;
};

struct link_list {
	struct sm_link *l; /* by parent, then child */
	uint32_t n, cap;
	struct cim_value **more; /* sm_link.more - 1: values of links that have some */
	uint32_t n_more, cap_more;
	uint32_t *by_child; /* numbers of links, by child, then parent */
	uint32_t *start[2]; /* per object at that end: where its links begin; one more behind */
};

struct sm_image {
	_Atomic uint32_t refs;
	struct arena *a;
	struct kind_list k[SM_N_KINDS];
	struct link_list l[SM_N_ASSOCS];
	size_t links_left; /* a few objects can make very many links */
	bool full;
};

struct sm_image *sm_image_new(size_t bytes)
{
	struct sm_image *img = xcalloc(1, sizeof(*img));

	img->refs = 1;
	img->a = arena_new(bytes);
	img->links_left = bytes / 4 / sizeof(struct sm_link);
	return img;
}

struct sm_image *sm_image_ref(struct sm_image *img)
{
	atomic_fetch_add_explicit(&img->refs, 1, memory_order_relaxed);
	return img;
}

void sm_image_unref(struct sm_image *img)
{
	if (!img || atomic_fetch_sub_explicit(&img->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (int k = 0; k < SM_N_KINDS; k++) {
		free(img->k[k].o);
		free(img->k[k].hash);
	}
	for (int a = 0; a < SM_N_ASSOCS; a++) {
		free(img->l[a].l);
		free(img->l[a].more);
		free(img->l[a].by_child);
		free(img->l[a].start[0]);
		free(img->l[a].start[1]);
	}
	arena_free(img->a);
	free(img);
}

struct arena *sm_image_arena(struct sm_image *img)
{
	return img->a;
}

/* Values of a class's properties, none of them set; NULL: there is no more room. */
static struct cim_value *nulls(struct arena *a, const struct cim_class *c)
{
	struct cim_value *v = arena_zalloc(a, c->n_props * sizeof(*v));

	for (uint16_t i = 0; v && i < c->n_props; i++)
		v[i] = cim_null(c->props[i]->type);
	return v;
}

struct sm_object *sm_image_add(struct sm_image *img, enum sm_kind k, const char *id)
{
	struct kind_list *kl = &img->k[k];
	struct sm_object *o = arena_zalloc(img->a, sizeof(*o));
	struct cim_value *v = nulls(img->a, kinds[k].cls);
	char *key = arena_strdup(img->a, id);

	if (!o || !v || !key)
		return NULL;
	if (kl->n == kl->cap) {
		kl->cap = kl->cap ? kl->cap * 2 : 4;
		kl->o = xrealloc(kl->o, kl->cap * sizeof(*kl->o));
	}
	o->id = key;
	o->id_len = (uint32_t)strlen(key);
	o->num = kl->n;
	o->v = v;
	v[kinds[k].key] = cim_strn(o->id, o->id_len);
	kl->o[kl->n++] = o;
	return o;
}

struct sm_object *sm_image_edit(struct sm_image *img, enum sm_kind k, uint32_t i)
{
	return img->k[k].o[i];
}

static void link_add(struct sm_image *img, struct link_list *ll, uint32_t parent, uint32_t child,
		     uint32_t more)
{
	if (!img->links_left) {
		img->full = true;
		return;
	}
	img->links_left--;
	if (ll->n == ll->cap) {
		ll->cap = ll->cap ? ll->cap * 2 : 4;
		ll->l = xrealloc(ll->l, ll->cap * sizeof(*ll->l));
	}
	ll->l[ll->n++] = (struct sm_link){
		{parent, child},
                more
        };
}

void sm_image_link(struct sm_image *img, enum sm_assoc a, uint32_t parent, uint32_t child)
{
	link_add(img, &img->l[a], parent, child, 0);
}

struct cim_value *sm_image_link_more(struct sm_image *img, enum sm_assoc a, uint32_t parent,
				     uint32_t child)
{
	struct link_list *ll = &img->l[a];
	struct cim_value *v = nulls(img->a, assocs[a].cls);

	if (!v)
		return NULL;
	if (ll->n_more == ll->cap_more) {
		ll->cap_more = ll->cap_more ? ll->cap_more * 2 : 4;
		ll->more = xrealloc(ll->more, ll->cap_more * sizeof(struct cim_value *));
	}
	ll->more[ll->n_more++] = v;
	link_add(img, ll, parent, child, ll->n_more);
	return img->full ? NULL : v;
}

static uint32_t probe(const struct kind_list *kl, const char *id, size_t n)
{
	uint32_t mask = kl->hash_size - 1, i = (uint32_t)str_hash(id, n) & mask;

	while (kl->hash[i]) {
		const struct sm_object *o = kl->o[kl->hash[i] - 1];

		if (o->id_len == n && memcmp(o->id, id, n) == 0)
			break;
		i = (i + 1) & mask;
	}
	return i;
}

/* Hash a kind's objects; renumber: where each went, UINT32_MAX for one that was there already. */
static uint32_t index_kind(struct kind_list *kl, uint32_t *renumber)
{
	uint32_t kept = 0, size = 4;

	while (size < kl->n * 2)
		size *= 2;
	kl->hash_size = size;
	kl->hash = xcalloc(size, sizeof(*kl->hash));
	for (uint32_t i = 0; i < kl->n; i++) {
		struct sm_object *o = kl->o[i];
		uint32_t at = probe(kl, o->id, o->id_len);

		if (kl->hash[at]) {
			renumber[i] = UINT32_MAX;
			continue;
		}
		renumber[i] = o->num = kept;
		kl->o[kept++] = o;
		kl->hash[at] = kept;
	}
	uint32_t dropped = kl->n - kept;

	kl->n = kept;
	return dropped;
}

static bool same_ends(const struct sm_link *x, const struct sm_link *y)
{
	return x->end[0] == y->end[0] && x->end[1] == y->end[1];
}

static int cmp_links(const void *a, const void *b)
{
	const struct sm_link *x = a, *y = b;

	if (x->end[0] != y->end[0])
		return x->end[0] < y->end[0] ? -1 : 1;
	if (x->end[1] != y->end[1])
		return x->end[1] < y->end[1] ? -1 : 1;
	return x->more < y->more ? -1 : x->more > y->more; /* in the order they were made */
}

/* Returns how many links that say something were said twice. */
static uint32_t index_links(struct link_list *ll, const uint32_t *ra, uint32_t na,
			    const uint32_t *rb, uint32_t nb)
{
	uint32_t n = 0, dropped = 0;

	for (uint32_t i = 0; i < ll->n; i++) {
		struct sm_link l = {
			{ra[ll->l[i].end[0]], rb[ll->l[i].end[1]]},
                        ll->l[i].more
                };

		if (l.end[0] != UINT32_MAX && l.end[1] != UINT32_MAX)
			ll->l[n++] = l;
	}
	if (n)
		qsort(ll->l, n, sizeof(*ll->l), cmp_links);
	ll->n = 0;
	for (uint32_t i = 0; i < n; i++)
		if (!i || !same_ends(&ll->l[ll->n - 1], &ll->l[i]))
			ll->l[ll->n++] = ll->l[i];
		else
			dropped += ll->l[i].more != 0;
	/* counting sort by child keeps the parents in order */
	uint32_t count[2] = {na, nb};

	for (int e = 0; e < 2; e++) {
		uint32_t *s = ll->start[e] = xcalloc((size_t)count[e] + 1, sizeof(*s));

		for (uint32_t i = 0; i < ll->n; i++)
			s[ll->l[i].end[e] + 1]++;
		for (uint32_t i = 0; i < count[e]; i++)
			s[i + 1] += s[i];
	}
	uint32_t *at = xcalloc((size_t)nb + 1, sizeof(*at));

	memcpy(at, ll->start[1], nb * sizeof(*at));
	ll->by_child = xcalloc((size_t)ll->n + 1, sizeof(*ll->by_child));
	for (uint32_t i = 0; i < ll->n; i++)
		ll->by_child[at[ll->l[i].end[1]]++] = i;
	free(at);
	return dropped;
}

bool sm_image_full(const struct sm_image *img)
{
	return img->full || arena_full(img->a);
}

static int full(struct err *e)
{
	return err_set(e, -E2BIG, "the provider's objects need more memory than allowed");
}

int sm_image_finish(struct sm_image *img, struct err *e)
{
	uint32_t *renumber[SM_N_KINDS], dropped = 0;

	for (int k = 0; k < SM_N_KINDS; k++) {
		renumber[k] = xcalloc((size_t)img->k[k].n + 1, sizeof(uint32_t));
		dropped += index_kind(&img->k[k], renumber[k]);
	}
	for (int a = 0; a < SM_N_ASSOCS; a++) {
		enum sm_kind p = assocs[a].end[0], c = assocs[a].end[1];

		dropped += index_links(&img->l[a], renumber[p], img->k[p].n, renumber[c],
				       img->k[c].n);
	}
	for (int k = 0; k < SM_N_KINDS; k++)
		free(renumber[k]);
	if (sm_image_full(img))
		return full(e);
	return dropped > INT32_MAX ? INT32_MAX : (int)dropped;
}

/* ---- reading ---- */

uint32_t sm_image_count(const struct sm_image *img, enum sm_kind k)
{
	return img->k[k].n;
}

const struct sm_object *sm_image_at(const struct sm_image *img, enum sm_kind k, uint32_t i)
{
	return img->k[k].o[i];
}

const struct sm_object *sm_image_find(const struct sm_image *img, enum sm_kind k, const char *id,
				      size_t n)
{
	const struct kind_list *kl = &img->k[k];
	uint32_t i = kl->hash[probe(kl, id, n)];

	return i ? kl->o[i - 1] : NULL;
}

uint32_t sm_image_n_links(const struct sm_image *img, enum sm_assoc a)
{
	return img->l[a].n;
}

struct sm_link sm_image_link_at(const struct sm_image *img, enum sm_assoc a, uint32_t i)
{
	return img->l[a].l[i];
}

bool sm_image_walk(const struct sm_image *img, enum sm_assoc a, int which, uint32_t num, uint32_t i,
		   struct sm_link *ret)
{
	const struct link_list *ll = &img->l[a];
	const uint32_t *s = ll->start[which];

	if (i >= s[num + 1] - s[num])
		return false;
	i += s[num];
	*ret = ll->l[which == 0 ? i : ll->by_child[i]];
	return true;
}

const struct cim_value *sm_image_more(const struct sm_image *img, enum sm_assoc a,
				      const struct sm_link *l)
{
	return l->more ? img->l[a].more[l->more - 1] : NULL;
}

/* ---- merging ---- */

static bool copy_values(struct sm_image *to, const struct cim_class *c, const struct cim_value *v,
			int but, struct cim_value *ret)
{
	for (uint16_t p = 0; p < c->n_props; p++)
		if (p != but && !cim_is_null(&v[p]) && !cim_value_dup(to->a, &v[p], &ret[p]))
			return false;
	return true;
}

static bool copy_objects(struct sm_image *to, const struct sm_image *from, enum sm_kind k)
{
	const struct cim_class *c = kinds[k].cls;

	for (uint32_t i = 0; i < from->k[k].n; i++) {
		const struct sm_object *o = from->k[k].o[i];
		struct sm_object *n = sm_image_add(to, k, o->id);

		if (!n || !copy_values(to, c, o->v, kinds[k].key, n->v))
			return false;
	}
	return true;
}

static bool copy_link(struct sm_image *to, const struct sm_image *from, enum sm_assoc a,
		      const struct sm_link *l, const uint32_t end[2])
{
	const struct cim_value *v = sm_image_more(from, a, l);

	if (!v) {
		sm_image_link(to, a, end[0], end[1]);
		return true;
	}
	struct cim_value *n = sm_image_link_more(to, a, end[0], end[1]);

	return n && copy_values(to, assocs[a].cls, v, -1, n);
}

int sm_image_merge(const struct sm_image *old, const struct sm_image *renewed, uint32_t which_kinds,
		   uint32_t which_assocs, size_t bytes, struct sm_image **ret, struct err *e)
{
	AUTO(sm_image) img = sm_image_new(bytes);
	const struct sm_image *of[SM_N_KINDS];
	int r;

	for (int k = 0; k < SM_N_KINDS; k++) {
		of[k] = which_kinds >> k & 1 ? renewed : old;
		if (!copy_objects(img, of[k], (enum sm_kind)k))
			return full(e);
	}
	for (int a = 0; a < SM_N_ASSOCS; a++) {
		const struct sm_image *from = which_assocs >> a & 1 ? renewed : old;

		for (uint32_t i = 0; i < from->l[a].n; i++) {
			uint32_t end[2];
			int found = 0;

			for (int x = 0; x < 2; x++) {
				enum sm_kind k = assocs[a].end[x];
				const struct sm_object *o = from->k[k].o[from->l[a].l[i].end[x]];

				/* the number is the same where the object came from */
				if (of[k] != from)
					o = sm_image_find(of[k], k, o->id, o->id_len);
				if (!o)
					break;
				end[x] = o->num;
				found++;
			}
			if (found == 2 &&
			    !copy_link(img, from, (enum sm_assoc)a, &from->l[a].l[i], end))
				return full(e);
		}
	}
	r = sm_image_finish(img, e);
	if (r < 0)
		return r;
	*ret = take(img);
	return 0;
}

/* ---- keeping ---- */

/*
 * "SMIMAGE2", then per kind: class name, property names, objects (per property: 0 NULL,
 * 1 scalar, 2 array with a count; scalars by type), then per association: class name, property
 * names (but the two references), links: two numbers, 1 if values follow, the values; last a hash
 * of everything before.  Numbers are big-endian, text has its length in front.  In "SMIMAGE1"
 * associations have a class name and links of two numbers.
 */
enum { VERSION_1 = '1', VERSION = '2' };
static const char magic[7] = {'S', 'M', 'I', 'M', 'A', 'G', 'E'};

static void put_u32(struct buf *b, uint64_t u)
{
	unsigned char at[4] = {(unsigned char)(u >> 24), (unsigned char)(u >> 16),
			       (unsigned char)(u >> 8), (unsigned char)u};

	buf_add(b, at, sizeof(at));
}

static void put_u64(struct buf *b, uint64_t u)
{
	put_u32(b, u >> 32);
	put_u32(b, u);
}

static void put_text(struct buf *b, const char *s, size_t n)
{
	put_u32(b, n);
	buf_add(b, s, n);
}

static bool text_type(enum cim_type t)
{
	return t == CIM_STRING || t == CIM_DATETIME;
}

static void put_scalar(struct buf *b, const struct cim_value *v)
{
	if (text_type(v->type))
		put_text(b, v->s, v->n);
	else
		put_u64(b, v->u);
}

static void put_value(struct buf *b, const struct cim_value *v)
{
	buf_addc(b, (char)v->kind);
	if (v->kind == CIM_V_SCALAR) {
		put_scalar(b, v);
	} else if (v->kind == CIM_V_ARRAY) {
		put_u32(b, v->n);
		for (uint32_t i = 0; i < v->n; i++)
			put_scalar(b, &v->a[i]);
	}
}

/* Names and types of what is kept of a class: all but references. */
static void put_class(struct buf *b, const struct cim_class *c)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < c->n_props; i++)
		n += c->props[i]->type != CIM_REF;
	put_text(b, c->name, c->name_len);
	put_u32(b, n);
	for (uint16_t i = 0; i < c->n_props; i++) {
		if (c->props[i]->type == CIM_REF)
			continue;
		put_text(b, c->props[i]->name, c->props[i]->name_len);
		buf_addc(b, (char)c->props[i]->type);
	}
}

static void put_link(struct buf *b, const struct sm_image *img, enum sm_assoc a,
		     const struct sm_link *l)
{
	const struct cim_class *c = assocs[a].cls;
	const struct cim_value *v = sm_image_more(img, a, l);

	put_u32(b, l->end[0]);
	put_u32(b, l->end[1]);
	buf_addc(b, v != NULL);
	for (uint16_t p = 0; v && p < c->n_props; p++)
		if (c->props[p]->type != CIM_REF)
			put_value(b, &v[p]);
}

bool sm_image_write(const struct sm_image *img, struct buf *b)
{
	size_t from = b->len;

	buf_add(b, magic, sizeof(magic));
	buf_addc(b, VERSION);
	put_u32(b, SM_N_KINDS);
	for (int k = 0; k < SM_N_KINDS; k++) {
		const struct cim_class *c = kinds[k].cls;

		put_class(b, c);
		put_u32(b, img->k[k].n);
		for (uint32_t i = 0; i < img->k[k].n; i++)
			for (uint16_t p = 0; p < c->n_props; p++)
				put_value(b, &img->k[k].o[i]->v[p]);
	}
	put_u32(b, SM_N_ASSOCS);
	for (int a = 0; a < SM_N_ASSOCS; a++) {
		put_class(b, assocs[a].cls);
		put_u32(b, img->l[a].n);
		for (uint32_t i = 0; i < img->l[a].n; i++)
			put_link(b, img, (enum sm_assoc)a, &img->l[a].l[i]);
	}
	if (!b->full)
		put_u64(b, str_hash(b->p + from, b->len - from));
	return !b->full;
}

static uint64_t get_u64(struct wire *w)
{
	uint64_t hi = wire_u32(w);

	return hi << 32 | wire_u32(w);
}

/* Text in the arena; NULL and bad when it doesn't fit. */
static const char *get_text(struct wire *w, struct arena *a, uint32_t *ret_n)
{
	uint32_t n = wire_u32(w);
	const uint8_t *p = wire_bytes(w, n);
	char *s = p ? arena_strndup(a, (const char *)p, n) : NULL;

	if (!s)
		w->bad = true;
	*ret_n = s ? n : 0;
	return s;
}

static void get_scalar(struct wire *w, struct arena *a, enum cim_type t, struct cim_value *v)
{
	*v = (struct cim_value){.type = (uint8_t)t, .kind = CIM_V_SCALAR};
	if (text_type(t)) {
		v->s = get_text(w, a, &v->n);
		if (v->s && (!str_utf8(v->s, v->n, NULL) || strlen(v->s) != v->n))
			w->bad = true;
		if (v->s && t == CIM_DATETIME && !cim_datetime_ok(v->s, v->n))
			w->bad = true;
	} else {
		v->u = get_u64(w);
	}
	if (w->bad)
		*v = cim_null(t);
}

static void get_value(struct wire *w, struct arena *a, enum cim_type t, struct cim_value *ret)
{
	uint8_t kind = wire_u8(w);

	*ret = cim_null(t);
	if (kind == CIM_V_SCALAR) {
		get_scalar(w, a, t, ret);
	} else if (kind == CIM_V_ARRAY) {
		uint32_t n = wire_u32(w);

		/* an element takes at least four bytes */
		if (n > wire_left(w) / 4) {
			w->bad = true;
			return;
		}
		struct cim_value *v = arena_alloc(a, (n ? n : 1) * sizeof(*v));

		if (!v) {
			w->bad = true;
			return;
		}
		for (uint32_t i = 0; i < n; i++)
			get_scalar(w, a, t, &v[i]);
		*ret = cim_array(t, v, n);
	} else if (kind != CIM_V_NULL) {
		w->bad = true;
	}
}

enum { PROPS_MAX = 256, IMAGE_KINDS_MAX = 64 };

/* The properties that a class had when the file was written, and where they are now. */
struct kept_props {
	uint32_t n, to[PROPS_MAX]; /* UINT32_MAX: nowhere any more */
	enum cim_type type[PROPS_MAX];
};

/* c: NULL when the class isn't known any more. */
static void get_props(struct wire *w, struct arena *a, const struct cim_class *c,
		      struct kept_props *ret)
{
	ret->n = wire_u32(w);
	if (ret->n > PROPS_MAX)
		w->bad = true;
	for (uint32_t i = 0; !w->bad && i < ret->n; i++) {
		uint32_t len;
		const char *p = get_text(w, a, &len);
		uint8_t t = wire_u8(w);
		int at = p && c ? cim_prop_find(c, p, len) : -1;

		ret->type[i] = t;
		ret->to[i] = at >= 0 && c->props[at]->type == t ? (uint32_t)at : UINT32_MAX;
		if (t >= CIM_N_TYPES || t == CIM_REF || t == CIM_OBJECT)
			w->bad = true;
	}
}

/* The values of one object or link; v: NULL where there is nothing to put them into. */
static void get_values(struct wire *w, struct arena *a, const struct cim_class *c,
		       const struct kept_props *props, struct cim_value *v)
{
	for (uint32_t p = 0; !w->bad && p < props->n; p++) {
		struct cim_value x;

		get_value(w, a, props->type[p], &x);
		uint32_t to = props->to[p];

		if (!v || to == UINT32_MAX || cim_is_null(&x))
			continue;
		if ((x.kind == CIM_V_ARRAY) == !!(c->props[to]->flags & CIM_F_ARRAY))
			v[to] = x;
	}
}

/* The objects of one kind; *ret_n: how many there were. */
static void read_kind(struct wire *w, struct sm_image *img, int *ret_kind, uint32_t *ret_n)
{
	struct arena *a = img->a;
	struct kept_props props;
	uint32_t len;
	const char *name = get_text(w, a, &len);
	int k = 0;

	while (name && k < SM_N_KINDS && !str_caseeq(kinds[k].cls->name, name))
		k++;
	*ret_kind = k;
	*ret_n = 0;
	const struct cim_class *c = k < SM_N_KINDS ? kinds[k].cls : NULL;

	get_props(w, a, c, &props);
	uint32_t n = wire_u32(w);

	if (!props.n && n)
		w->bad = true;
	for (uint32_t i = 0; !w->bad && i < n; i++) {
		struct sm_object *o = c ? sm_image_add(img, (enum sm_kind)k, "") : NULL;

		if (c && !o)
			w->bad = true;
		get_values(w, a, c, &props, o ? o->v : NULL);
		if (o) {
			const struct cim_value *key = &o->v[kinds[k].key];

			if (cim_is_null(key) || key->type != CIM_STRING)
				w->bad = true;
			o->id = w->bad ? "" : key->s;
			o->id_len = w->bad ? 0 : key->n;
		}
	}
	*ret_n = n;
}

static void read_assoc(struct wire *w, struct sm_image *img, const uint32_t *counts, char version)
{
	struct kept_props props = {0};
	uint32_t len;
	const char *name = get_text(w, img->a, &len);
	int a = 0;

	while (name && a < SM_N_ASSOCS && !str_caseeq(assocs[a].cls->name, name))
		a++;
	const struct cim_class *cls = a < SM_N_ASSOCS ? assocs[a].cls : NULL;

	if (version > VERSION_1)
		get_props(w, img->a, cls, &props);
	uint32_t n = wire_u32(w);

	for (uint32_t i = 0; !w->bad && i < n; i++) {
		uint32_t p = wire_u32(w), c = wire_u32(w);
		bool more = version > VERSION_1 && wire_u8(w);
		struct cim_value *v = NULL;

		if (cls && (p >= counts[assocs[a].end[0]] || c >= counts[assocs[a].end[1]])) {
			w->bad = true;
		} else if (cls && more) {
			v = sm_image_link_more(img, (enum sm_assoc)a, p, c);
			if (!v)
				w->bad = true;
		} else if (cls) {
			sm_image_link(img, (enum sm_assoc)a, p, c);
		}
		if (more)
			get_values(w, img->a, cls, &props, v);
	}
}

int sm_image_read(const void *p, size_t n, size_t bytes, struct sm_image **ret, struct err *e)
{
	uint32_t counts[SM_N_KINDS] = {0};

	const char *version = (const char *)p + sizeof(magic);

	if (n < sizeof(magic) + 1 + 8 || memcmp(p, magic, sizeof(magic)) != 0)
		return err_set(e, -EPROTO, "not a cached image");
	if (*version != VERSION && *version != VERSION_1)
		return err_set(e, -EPROTO, "a cached image of another version");
	struct wire tail = wire_of((const uint8_t *)p + n - 8, 8);

	if (get_u64(&tail) != str_hash(p, n - 8))
		return err_set(e, -EPROTO, "the cached image is damaged");
	struct wire w = wire_of((const uint8_t *)version + 1, n - 8 - sizeof(magic) - 1);
	AUTO(sm_image) img = sm_image_new(bytes);
	uint32_t n_kinds = wire_u32(&w);

	for (uint32_t i = 0; !w.bad && i < n_kinds && i < IMAGE_KINDS_MAX; i++) {
		int k;
		uint32_t count;

		read_kind(&w, img, &k, &count);
		if (k < SM_N_KINDS)
			counts[k] = img->k[k].n;
	}
	uint32_t n_assocs = wire_u32(&w);

	for (uint32_t i = 0; !w.bad && i < n_assocs && i < IMAGE_KINDS_MAX; i++)
		read_assoc(&w, img, counts, *version);
	bool done = wire_done(&w);
	int r = sm_image_finish(img, e);

	if (r < 0)
		return r;
	if (!done)
		return err_set(e, -EPROTO, "the cached image can't be understood");
	*ret = take(img);
	return 0;
}
