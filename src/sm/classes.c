/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classes.c - the view as CIM classes and associations
 *
 * All kinds are alike: an object is a number in a provider's image, its values lie there in the
 * order of the class table.  prov_obj: p is the object, aux the provider's slot.  A discovery
 * job of our own has aux OWN_JOB, the service itself has no object.
 */
#include "broker/provider.h"
#include "gen/sm.h"
#include "gen/sm_block.h"
#include "gen/sm_masking.h"
#include "gen/sm_replication.h"
#include "sm/status.h"
#include "sm/view.h"

#include "base/clock.h"
#include "base/str.h"

#define OWN_JOB UINT64_MAX

struct tables {
	struct prov_class classes[SM_N_KINDS + 1];
	struct prov_assoc assocs[SM_N_ASSOCS];
};
enum { SERVICE = SM_N_KINDS }; /* MSFT_SMStorageDiscovery */

static struct prov_obj obj(const struct prov_ctx *c, enum sm_kind k, const struct sm_object *o,
			   uint64_t slot)
{
	return (struct prov_obj){.pc = &c->mod->classes[k], .p = o, .aux = slot};
}

/* ---- listing and finding ---- */

static bool kind_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_obj *ret,
		      enum sm_kind k)
{
	const struct sm_view *v = c->view;
	uint64_t *slot = &it->w[0], *at = &it->w[1];

	for (; *slot < v->n_slots; ++*slot, *at = 0)
		if (*at < sm_image_count(v->slot[*slot].image, k)) {
			*ret = obj(c, k, sm_image_at(v->slot[*slot].image, k, (uint32_t)*at),
				   *slot);
			++*at;
			return true;
		}
	return false;
}

static uint64_t kind_count(const struct prov_ctx *c, enum sm_kind k)
{
	const struct sm_view *v = c->view;
	uint64_t n = 0;

	for (uint32_t i = 0; i < v->n_slots; i++)
		n += sm_image_count(v->slot[i].image, k);
	return n;
}

/* Keys begin with the provider's name, up to the first ':'; of a wbem service it stands in the
 * middle, and there is one per provider. */
static bool kind_find(const struct prov_ctx *c, const struct cim_value *key, struct prov_obj *ret,
		      enum sm_kind k)
{
	const struct sm_view *v = c->view;
	const char *colon = memchr(key->s, ':', key->n);
	const struct sm_object *o = NULL;
	uint64_t slot = 0;

	if (k == SM_WBEM) {
		for (; slot < v->n_slots && !o; slot++)
			o = sm_image_find(v->slot[slot].image, k, key->s, key->n);
		slot--;
	} else {
		size_t n = colon ? (size_t)(colon - key->s) : key->n;
		const struct sm_slot *s = sm_view_slot(v, key->s, n);

		if (s) {
			slot = (uint64_t)(s - v->slot);
			o = sm_image_find(s->image, k, key->s, key->n);
		}
	}
	if (!o)
		return false;
	*ret = obj(c, k, o, slot);
	return true;
}

#define KIND_FNS_(id, cls)                                                            \
	static bool next_##id(const struct prov_ctx *c, struct prov_iter *it,         \
			      struct prov_obj *ret)                                   \
	{                                                                             \
		return kind_next(c, it, ret, SM_##id);                                \
	}                                                                             \
	static bool find_##id(const struct prov_ctx *c, const struct cim_value *keys, \
			      struct prov_obj *ret)                                   \
	{                                                                             \
		return kind_find(c, &keys[0], ret, SM_##id);                          \
	}                                                                             \
	static uint64_t count_##id(const struct prov_ctx *c)                          \
	{                                                                             \
		return kind_count(c, SM_##id);                                        \
	}
SM_KINDS(KIND_FNS_)
#undef KIND_FNS_

static void keys_any(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	(void)c;
	const struct sm_object *x = o->p;

	ret[0] = cim_strn(x->id, x->id_len);
}

/* ---- filling ---- */

/* What changes in the objects of a provider that can't be read any more: its objects stay. */
/* clang-format off */
#define MARK_(k, cls, code_)                                              \
	{.kind = SM_##k, .status = {cls##_P_OperationalStatus, -1}, .texts = -1, \
	 .text = cls##_P_StatusDescription, .health = cls##_P_HealthStatus,      \
	 .health_text = cls##_P_HealthStatusDescription, .code = (code_)}
static const struct {
	enum sm_kind kind;
	int status[2], text, texts, health, health_text;
	uint16_t code; /* put before what was known last */
} stale_marks[] = {
	MARK_(SYSTEM, MSFT_SMSystem, 13),
	MARK_(ENDPOINT, MSFT_SMEndpoint, 13),
	/* MSFT_SMStorageVolume knows no Lost Communication: Degraded */
	MARK_(VOLUME, MSFT_SMStorageVolume, 3),
	/* MSFT_SMDiskDrive has no value that would do: its health and its words tell */
	{.kind = SM_DISK, .status = {-1, -1}, .text = MSFT_SMDiskDrive_P_StatusDescription,
	 .texts = -1, .health = MSFT_SMDiskDrive_P_HealthStatus,
	 .health_text = MSFT_SMDiskDrive_P_HealthStatusDescription},
	{.kind = SM_PORTAL,
	 .status = {MSFT_SMiSCSIPortalEndpoint_P_IPEndpointOpStatus,
		    MSFT_SMiSCSIPortalEndpoint_P_TCPEndpointOpStatus},
	 .text = -1, .texts = -1, .health = -1, .health_text = -1, .code = 13},
	{.kind = SM_POOL, .status = {MSFT_SMPool_P_OperationalStatus, -1},
	 .text = -1, .texts = MSFT_SMPool_P_StatusDescriptions,
	 .health = MSFT_SMPool_P_HealthStatus,
	 .health_text = MSFT_SMPool_P_HealthStatusDescription, .code = 13},
};
#undef MARK_
/* clang-format on */

static void mark_status(const struct prov_ctx *c, struct cim_value *v, uint16_t code)
{
	uint32_t n = v->kind == CIM_V_ARRAY ? v->n : 0, got = 1;
	struct cim_value *a = arena_alloc(c->arena, ((size_t)n + 1) * sizeof(*a));

	if (!a)
		return;
	a[0] = cim_u16(code);
	for (uint32_t i = 0; i < n; i++)
		if (v->a[i].u != code)
			a[got++] = v->a[i];
	*v = cim_array(CIM_UINT16, a, got);
}

static void mark_stale(const struct prov_ctx *c, enum sm_kind k, const struct sm_slot *slot,
		       struct cim_instance *i)
{
	for (size_t m = 0; m < ARRAY_SIZE(stale_marks); m++) {
		if (stale_marks[m].kind != k)
			continue;
		for (int s = 0; s < 2; s++)
			if (stale_marks[m].status[s] >= 0)
				mark_status(c, &i->v[stale_marks[m].status[s]],
					    stale_marks[m].code);
		if (stale_marks[m].text >= 0)
			i->v[stale_marks[m].text] = cim_str(slot->stale_text);
		if (stale_marks[m].texts >= 0) {
			struct cim_value *one = arena_alloc(c->arena, sizeof(*one));

			if (one) {
				*one = cim_str(slot->stale_text);
				i->v[stale_marks[m].texts] = cim_array(CIM_STRING, one, 1);
			}
		}
		if (stale_marks[m].health >= 0) {
			struct cim_value *h = &i->v[stale_marks[m].health];

			if (cim_is_null(h) || h->u < 1)
				*h = cim_u16(1);
			i->v[stale_marks[m].health_text] = cim_str(sm_health_name((int)h->u));
		}
	}
}

static void fill_any(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct sm_view *v = c->view;
	const struct sm_object *x = o->p;
	const struct sm_slot *slot = &v->slot[o->aux];
	enum sm_kind k = (enum sm_kind)(o->pc - c->mod->classes);

	memcpy(i->v, x->v, i->cls->n_props * sizeof(*i->v));
	if (slot->stale)
		mark_stale(c, k, slot, i);
	if (k == SM_DISCOVERY)
		i->v[MSFT_SMDiscovery_P_Status] = cim_str(slot->status);
}

/* ---- jobs: our own discoveries, then what providers show ---- */

static bool job_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_obj *ret)
{
	const struct sm_view *v = c->view;

	if (it->w[2] < v->n_jobs) {
		*ret = (struct prov_obj){
			.pc = &c->mod->classes[SM_JOB], .p = v->job[it->w[2]++], .aux = OWN_JOB};
		return true;
	}
	return next_JOB(c, it, ret);
}

static bool job_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	const struct sm_job *j = sm_view_job(c->view, keys[0].s, keys[0].n);

	if (!j)
		return find_JOB(c, keys, ret);
	*ret = (struct prov_obj){.pc = &c->mod->classes[SM_JOB], .p = j, .aux = OWN_JOB};
	return true;
}

static uint64_t job_count(const struct prov_ctx *c)
{
	const struct sm_view *v = c->view;

	return v->n_jobs + count_JOB(c);
}

static void job_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	if (o->aux == OWN_JOB)
		ret[0] = cim_str(((const struct sm_job *)o->p)->id);
	else
		keys_any(c, o, ret);
}

static struct cim_value time_value(const struct prov_ctx *c, int64_t us)
{
	char *at = us ? arena_alloc(c->arena, 26) : NULL;

	if (at)
		cim_datetime_put(at, us);
	return cim_datetime(at);
}

static struct cim_value interval_value(const struct prov_ctx *c, int64_t us)
{
	char *at = arena_alloc(c->arena, 26);

	if (at)
		cim_interval_put(at, us > 0 ? (uint64_t)us : 0);
	return cim_datetime(at);
}

static struct cim_value list_of(const struct prov_ctx *c, enum cim_type t,
				const struct cim_value *v, uint32_t n)
{
	struct cim_value *a = arena_alloc(c->arena, n * sizeof(*a));

	if (!a)
		return cim_null(t);
	memcpy(a, v, n * sizeof(*a));
	return cim_array(t, a, n);
}

enum { JOB_KEPT_S = 3600 };

static void own_job_fill(const struct prov_ctx *c, const struct sm_job *j, struct cim_instance *i)
{
	static const struct {
		enum sm_job_state state;
		const char *words;
		uint16_t status[2]; /* OperationalStatus of a job (DSP1103): two values when over */
		const char *texts[2];
	} states[] = {
		{SM_JOB_NEW,        "waiting",    {15},    {"Dormant"}           },
		{SM_JOB_RUNNING,    "running",    {2},     {"OK"}                },
		{SM_JOB_COMPLETED,  "completed",  {2, 17}, {"OK", "Completed"}   },
		{SM_JOB_TERMINATED, "terminated", {10},    {"Stopped"}           },
		{SM_JOB_EXCEPTION,  "failed",     {6, 17}, {"Error", "Completed"}},
	};
	int64_t now = clock_wall_us();
	size_t s = 0;

	while (s + 1 < ARRAY_SIZE(states) && states[s].state != j->state)
		s++;
	struct cim_value status[2] = {cim_u16(states[s].status[0]), cim_u16(states[s].status[1])};
	struct cim_value texts[2] = {cim_str(states[s].texts[0]), cim_str(states[s].texts[1])};
	uint32_t n = states[s].status[1] ? 2 : 1;

	i->v[MSFT_SMJob_P_Description] = cim_str(j->what);
	i->v[MSFT_SMJob_P_ElapsedTime] =
		j->started_us ? interval_value(c, (j->ended_us ? j->ended_us : now) - j->started_us)
			      : cim_null(CIM_DATETIME);
	i->v[MSFT_SMJob_P_ErrorCode] = cim_u16(j->code);
	i->v[MSFT_SMJob_P_ErrorDescription] = cim_str(j->error[0] ? j->error : NULL);
	i->v[MSFT_SMJob_P_JobState] = cim_u16((uint16_t)j->state);
	i->v[MSFT_SMJob_P_JobStatus] = cim_str(states[s].words);
	i->v[MSFT_SMJob_P_LocalOrUtcTime] = cim_u16(2);
	i->v[MSFT_SMJob_P_OperationalStatus] = list_of(c, CIM_UINT16, status, n);
	i->v[MSFT_SMJob_P_PercentComplete] = cim_u16(j->percent);
	i->v[MSFT_SMJob_P_StartTime] = time_value(c, j->started_us);
	i->v[MSFT_SMJob_P_StatusDescriptions] = list_of(c, CIM_STRING, texts, n);
	i->v[MSFT_SMJob_P_TimeBeforeRemoval] = interval_value(
		c,
		j->ended_us ? j->ended_us + JOB_KEPT_S * 1000000LL - now : JOB_KEPT_S * 1000000LL);
	i->v[MSFT_SMJob_P_TimeOfLastStateChange] = time_value(c, j->changed_us);
	i->v[MSFT_SMJob_P_TimeSubmitted] = time_value(c, j->submitted_us);
}

static void job_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	if (o->aux == OWN_JOB)
		own_job_fill(c, o->p, i);
	else
		fill_any(c, o, i);
}

/* ---- the discovery service ---- */

static bool service_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_obj *ret)
{
	if (it->w[0]++)
		return false;
	*ret = (struct prov_obj){.pc = &c->mod->classes[SERVICE]};
	return true;
}

static bool service_find(const struct prov_ctx *c, const struct cim_value *keys,
			 struct prov_obj *ret)
{
	const struct sm_view *v = c->view;

	if (strlen(v->host) != keys[0].n || memcmp(v->host, keys[0].s, keys[0].n) != 0)
		return false;
	*ret = (struct prov_obj){.pc = &c->mod->classes[SERVICE]};
	return true;
}

static uint64_t service_count(const struct prov_ctx *c)
{
	(void)c;
	return 1;
}

static void service_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	(void)o;
	ret[0] = cim_str(((const struct sm_view *)c->view)->host);
}

static void service_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	(void)o;
	i->v[MSFT_SMStorageDiscovery_P_version] = cim_str(
		((const struct sm_view *)c->view)->version);
}

/* ---- associations ---- */

static void link_set(const struct prov_ctx *c, enum sm_assoc a, uint64_t slot, struct sm_link l,
		     struct prov_link *ret)
{
	const struct sm_view *v = c->view;
	const struct sm_assoc_info *ai = sm_assoc_info(a);

	*ret = (struct prov_link){.pa = &c->mod->assocs[a],
				  .p = sm_image_more(v->slot[slot].image, a, &l),
				  .aux = slot};
	for (int e = 0; e < 2; e++)
		ret->end[e] = obj(c, ai->end[e],
				  sm_image_at(v->slot[slot].image, ai->end[e], l.end[e]), slot);
}

static bool assoc_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_link *ret,
		       enum sm_assoc a)
{
	const struct sm_view *v = c->view;
	uint64_t *slot = &it->w[0], *at = &it->w[1];

	for (; *slot < v->n_slots; ++*slot, *at = 0) {
		const struct sm_image *img = v->slot[*slot].image;

		if (*at < sm_image_n_links(img, a)) {
			link_set(c, a, *slot, sm_image_link_at(img, a, (uint32_t)(*at)++), ret);
			return true;
		}
	}
	return false;
}

static bool assoc_walk(const struct prov_ctx *c, int which, const struct prov_obj *from,
		       struct prov_iter *it, struct prov_link *ret, enum sm_assoc a)
{
	const struct sm_view *v = c->view;
	enum sm_kind k = sm_assoc_info(a)->end[which];
	struct sm_link l;

	if (from->pc != &c->mod->classes[k] || from->aux == OWN_JOB)
		return false;
	const struct sm_object *o = from->p;

	if (!sm_image_walk(v->slot[from->aux].image, a, which, o->num, (uint32_t)it->w[0], &l))
		return false;
	it->w[0]++;
	link_set(c, a, from->aux, l, ret);
	return true;
}

/* What a link says besides what it links. */
static void assoc_fill(const struct prov_ctx *c, const struct prov_link *l, struct cim_instance *i)
{
	const struct cim_value *v = l->p;

	(void)c;
	for (uint16_t p = 0; p < i->cls->n_props; p++)
		if (i->cls->props[p]->type != CIM_REF)
			i->v[p] = v ? v[p] : cim_null(i->cls->props[p]->type);
}

#define ASSOC_FNS_(id, cls, a, b, pa, pb)                                                         \
	static bool next_a_##id(const struct prov_ctx *c, struct prov_iter *it,                   \
				struct prov_link *ret)                                            \
	{                                                                                         \
		return assoc_next(c, it, ret, SM_##id);                                           \
	}                                                                                         \
	static bool walk_a_##id(const struct prov_ctx *c, int which, const struct prov_obj *from, \
				struct prov_iter *it, struct prov_link *ret)                      \
	{                                                                                         \
		return assoc_walk(c, which, from, it, ret, SM_##id);                              \
	}
SM_ASSOCS(ASSOC_FNS_)
#undef ASSOC_FNS_

/* ---- tables ---- */

/* clang-format off */
#define CLASS_(id, c)                                                                          \
	[SM_##id] = {.cls = &cim_class_##c, .ns = &smiscsi_ns_sm, .next = next_##id,           \
		     .find = find_##id, .keys = keys_any, .fill = fill_any, .count = count_##id},
#define ASSOC_(id, c, a, b, pa, pb)                                                            \
	[SM_##id] = {.cls = &cim_class_##c, .ns = &smiscsi_ns_sm,                              \
		     .ref = {c##_P_##pa, c##_P_##pb}, .next = next_a_##id, .walk = walk_a_##id},
/* clang-format on */
static const struct tables tables = {
	.classes = {SM_KINDS(CLASS_)},
	.assocs = {SM_ASSOCS(ASSOC_)},
};
#undef CLASS_
#undef ASSOC_

void *sm_tables_new(struct prov_module *m)
{
	struct tables *t = xmalloc(sizeof(*t));

	*t = tables;
	t->classes[SM_JOB].next = job_next;
	t->classes[SM_JOB].find = job_find;
	t->classes[SM_JOB].count = job_count;
	t->classes[SM_JOB].keys = job_keys;
	t->classes[SM_JOB].fill = job_fill;
	t->classes[SERVICE] = (struct prov_class){.cls = &cim_class_MSFT_SMStorageDiscovery,
						  .ns = &smiscsi_ns_sm,
						  .next = service_next,
						  .find = service_find,
						  .keys = service_keys,
						  .fill = service_fill,
						  .count = service_count};
	for (size_t i = 0; i < ARRAY_SIZE(t->classes); i++)
		t->classes[i].mod = m;
	for (size_t i = 0; i < ARRAY_SIZE(t->assocs); i++)
		t->assocs[i].mod = m;
	for (int a = 0; a < SM_N_ASSOCS; a++)
		if (t->assocs[a].cls->n_props > 2)
			t->assocs[a].fill = assoc_fill;
	m->classes = t->classes;
	m->n_classes = ARRAY_SIZE(t->classes);
	m->assocs = t->assocs;
	m->n_assocs = ARRAY_SIZE(t->assocs);
	m->methods = sm_methods;
	m->n_methods = sm_n_methods;
	return t;
}

void sm_tables_free(void *t)
{
	free(t);
}
