/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/join.h"

#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "gen/replication.h"
#include "gen/sm.h"
#include "gen/sm_block.h"
#include "gen/sm_masking.h"
#include "gen/sm_replication.h"
#include "sm/status.h"

/* A small map from one object's number to several numbers: chains in one array. */
struct multi {
	uint32_t *first, *last, *next, *to;
	uint32_t n, cap;
};

static struct multi multi_of(uint32_t keys)
{
	struct multi m = {.first = xcalloc((size_t)keys + 1, sizeof(uint32_t)),
			  .last = xcalloc((size_t)keys + 1, sizeof(uint32_t))};

	return m;
}

static void multi_done(struct multi *m)
{
	free(m->first);
	free(m->last);
	free(m->next);
	free(m->to);
}

static void multi_add(struct multi *m, uint32_t key, uint32_t to)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 16;
		m->next = xrealloc(m->next, m->cap * sizeof(*m->next));
		m->to = xrealloc(m->to, m->cap * sizeof(*m->to));
	}
	m->to[m->n] = to;
	m->next[m->n] = 0;
	m->n++;
	if (m->last[key])
		m->next[m->last[key] - 1] = m->n;
	else
		m->first[key] = m->n;
	m->last[key] = m->n;
}

#define MULTI_EACH(m, key, i) for (uint32_t i = (m)->first[key]; i; i = (m)->next[(i)-1])

/* A provider may stand for several arrays, but not for so many that everything that has to be
 * told apart by them takes for ever. */
enum { SYSTEMS_MAX = 1000 };

struct joining {
	struct harvest *h;
	const struct join_source *s;
	struct sm_image *img;
	struct arena *a;
	struct src_obj **systems; /* by name, those that are shown first */
	uint32_t n_systems;
	bool full;
};

/* false: there is no more room, and no use in going on. */
static bool link_to(struct joining *j, enum sm_assoc a, uint32_t parent, uint32_t child)
{
	sm_image_link(j->img, a, parent, child);
	j->full = j->full || sm_image_full(j->img);
	return !j->full;
}

/* ---- making objects ---- */

static const char *text(const struct cim_value *v)
{
	return v->kind == CIM_V_SCALAR && v->type == CIM_STRING && v->n ? v->s : NULL;
}

static void put(struct joining *j, struct sm_object *o, int prop, const struct cim_value *v)
{
	if (cim_is_null(v))
		return;
	if (!cim_value_dup(j->a, v, &o->v[prop]))
		j->full = true;
}

static void put_text(struct joining *j, struct sm_object *o, int prop, const char *s)
{
	struct cim_value v = cim_str(s);

	if (s)
		put(j, o, prop, &v);
}

/* Numbers may be narrower here than there; one that doesn't fit is left out. */
static void put_u16(struct sm_object *o, int prop, const struct cim_value *v)
{
	if (v->kind == CIM_V_SCALAR && v->u <= UINT16_MAX)
		o->v[prop] = cim_u16((uint16_t)v->u);
}

#define SHORT_(id, cls) [SM_##id] = #cls,
static const char *const class_names[] = {SM_KINDS(SHORT_)};
#undef SHORT_

/* Add bytes to both halves of an ObjectId's hash. */
struct id_hash {
	uint64_t a, b;
};

static void id_mix(struct id_hash *h, const char *s, size_t n)
{
	uint64_t x = str_hash(s, n);

	h->a = (h->a ^ x) * 0x9e3779b97f4a7c15U;
	h->a ^= h->a >> 29;
	for (size_t i = 0; i < n; i++) {
		h->b = (h->b + (unsigned char)s[i]) * 0xbf58476d1ce4e5b9U;
		h->b ^= h->b >> 31;
	}
}

static void id_mix_ref(struct id_hash *h, const struct src_ref *r)
{
	char ns[256];
	size_t n = 0;

	for (const char *s = r->ns; s && *s && n < sizeof(ns); s++)
		ns[n++] = *s == '\\' ? '/' : str_lower_c(*s);
	id_mix(h, ns, n);
	id_mix(h, r->key ? r->key : "", r->key_len);
}

/* An object made of `of` (and of `with`, when two make one). */
static struct sm_object *add(struct joining *j, enum sm_kind k, const struct src_ref *of,
			     const struct src_ref *with)
{
	struct id_hash h = {1, 2};
	char id[192];

	id_mix_ref(&h, of);
	if (with)
		id_mix_ref(&h, with);
	snprintf(id, sizeof(id), "%s:%s:%016llx%016llx", j->s->provider,
		 class_names[k] + strlen("MSFT_"), (unsigned long long)h.a,
		 (unsigned long long)h.b);
	struct sm_object *o = sm_image_add(j->img, k, id);

	if (!o)
		j->full = true;
	return o;
}

static void set_ident(struct joining *j, enum sm_kind k, struct sm_object *o, const char *s)
{
	put_text(j, o, sm_kind_info(k)->ident, s && *s ? s : strrchr(o->id, ':') + 1);
}

static struct src_obj *find(struct joining *j, enum src_kind k, const struct src_ref *r)
{
	return harvest_find(j->h, k, r);
}

#define EACH(j, kind, o) for (struct src_obj *o = harvest_first((j)->h, SRC_##kind); o; o = o->next)

static void dangling(struct joining *j, const struct src_obj *assoc)
{
	harvest_note(j->h, "%s leads to an object that isn't there",
		     src_kind_info(assoc->kind)->cls);
}

/* The value of a key in a canonical reference; false: it has no such key. */
static bool ref_key(const struct src_ref *r, const char *name, const char **ret, size_t *ret_n)
{
	size_t len = strlen(name);
	const char *p = r->key, *end = p ? p + r->key_len : NULL;

	while (p && p < end) {
		const char *is = memchr(p, 0x1d, (size_t)(end - p));
		const char *next = is ? memchr(is, 0x1e, (size_t)(end - is)) : NULL;

		if (!next)
			return false;
		if ((size_t)(is - p) == len && memcmp(p, name, len) == 0) {
			*ret = is + 1;
			*ret_n = (size_t)(next - is - 1);
			return true;
		}
		p = next + 1;
	}
	return false;
}

/* ---- the provider itself ---- */

static bool is_subprofile(const struct src_obj *p)
{
	return str_caseeq(p->id.cls ? p->id.cls : "", "CIM_RegisteredSubProfile") ||
	       (p->id.cls && strlen(p->id.cls) > 10 &&
		str_caseeq(p->id.cls + strlen(p->id.cls) - 10, "SubProfile"));
}

/* Profiles that no storage system conforms to. */
static bool is_infrastructure(const char *name)
{
	return !name || str_caseeq(name, "SMI-S") || str_caseeq(name, "Server") ||
	       str_caseeq(name, "Profile Registration");
}

bool join_is_system_profile(const struct src_obj *p)
{
	return !is_subprofile(p) && !is_infrastructure(text(SRC(p, PROFILE, RegisteredName)));
}

static void put_list(struct joining *j, struct sm_object *o, int prop, const struct cim_value *v,
		     uint32_t n)
{
	struct cim_value a = cim_array(CIM_STRING, v, n);

	if (n)
		put(j, o, prop, &a);
}

static const char *const auth_names[] = {"Unknown", "Other", "None", "Basic", "Digest"};

static void make_provider(struct joining *j)
{
	struct arena *t = harvest_arena(j->h);
	struct src_obj *om = harvest_first(j->h, SRC_MANAGER), *comm = NULL, *sw = NULL;
	uint32_t n_profiles = harvest_count(j->h, SRC_PROFILE), n_ns = harvest_count(j->h, SRC_NS);
	struct cim_value *names = arena_alloc(t, (n_profiles + 1) * sizeof(*names));
	struct cim_value *versions = arena_alloc(t, (n_profiles + 1) * sizeof(*versions));
	struct cim_value *all = arena_alloc(t, (n_profiles + 1) * sizeof(*all));
	struct cim_value *spaces = arena_alloc(t, (n_ns + 1) * sizeof(*spaces));
	uint32_t n_names = 0, n_all = 0, n_spaces = 0;
	const char *smis = NULL;
	char id[160];

	snprintf(id, sizeof(id), "%s:SMProvider", j->s->provider);
	struct sm_object *p = sm_image_add(j->img, SM_PROVIDER, id);
	auto_free char *url = xasprintf("service:wbem:%s", j->s->uri);
	struct sm_object *w = sm_image_add(j->img, SM_WBEM, url);
	struct sm_object *d = sm_image_add(j->img, SM_DISCOVERY, j->s->provider);

	if (!p || !w || !d || !names || !versions || !all || !spaces) {
		j->full = true;
		return;
	}
	EACH (j, PROFILE, x) {
		const char *name = text(SRC(x, PROFILE, RegisteredName));
		const char *version = text(SRC(x, PROFILE, RegisteredVersion));
		const struct cim_value *org = SRC(x, PROFILE, RegisteredOrganization);

		if (!name)
			continue;
		if (str_caseeq(name, "SMI-S") && version && !smis)
			smis = version;
		char *full = arena_printf(t, "%s%s",
					  org->u == 11 && org->kind  ? "SNIA:"
					  : org->u == 2 && org->kind ? "DMTF:"
								     : "",
					  name);
		if (full)
			all[n_all++] = cim_str(full);
		if (join_is_system_profile(x)) {
			names[n_names] = cim_str(name);
			versions[n_names++] = cim_str(version ? version : "");
		}
	}
	EACH (j, NS, x) {
		const char *name = text(SRC(x, NS, Name));

		if (name)
			spaces[n_spaces++] = cim_str(name);
	}
	EACH (j, COMM, x)
		if (!comm || SRC(x, COMM, CommunicationMechanism)->u == 2)
			comm = x;
	EACH (j, ESW, x)
		if (om && find(j, SRC_MANAGER, &x->ref[1]) == om && !sw)
			sw = find(j, SRC_ISW, &x->ref[0]);
	if (!sw && harvest_count(j->h, SRC_ISW) == 1)
		sw = harvest_first(j->h, SRC_ISW);

	put_text(j, p, MSFT_SMProvider_P_Identifier, j->s->uri);
	put_text(j, p, MSFT_SMProvider_P_URI, j->s->uri);
	put_text(j, p, MSFT_SMProvider_P_InteropNamespace, j->s->interop);
	put_text(j, p, MSFT_SMProvider_P_SMISProfileVersion, smis);
	put_list(j, p, MSFT_SMProvider_P_AutonomousProfiles, names, n_names);
	put_list(j, p, MSFT_SMProvider_P_AutonomousProfileVersions, versions, n_names);
	put_list(j, p, MSFT_SMProvider_P_Namespaces, spaces, n_spaces);
	put_text(j, w, MSFT_SMWbemService_P_InteropNamespace, j->s->interop);
	if (j->s->uri_ip) {
		auto_free char *by_address = xasprintf("service:wbem:%s", j->s->uri_ip);

		put_text(j, w, MSFT_SMWbemService_P_ServiceURI_ip, by_address);
	}
	put_list(j, w, MSFT_SMWbemService_P_Namespaces, spaces, n_spaces);
	put_list(j, w, MSFT_SMWbemService_P_RegisteredProfilesSupported, all, n_all);
	if (om) {
		put(j, p, MSFT_SMProvider_P_SystemName, SRC(om, MANAGER, SystemName));
		put(j, p, MSFT_SMProvider_P_ElementName, SRC(om, MANAGER, ElementName));
		put(j, p, MSFT_SMProvider_P_ProviderSystemID, SRC(om, MANAGER, Name));
		put(j, w, MSFT_SMWbemService_P_ProviderDescription, SRC(om, MANAGER, Description));
	}
	if (sw) {
		put(j, p, MSFT_SMProvider_P_VersionString, SRC(sw, ISW, VersionString));
		put(j, p, MSFT_SMProvider_P_Manufacturer, SRC(sw, ISW, Manufacturer));
	}
	if (comm) {
		struct cim_value mech = cim_str("cim-xml"), auth[8];
		const struct cim_value *m = SRC(comm, COMM, AuthenticationMechanismsSupported);
		uint32_t n = 0;

		put(j, p, MSFT_SMProvider_P_MultipleOperationsSupported,
		    SRC(comm, COMM, MultipleOperationsSupported));
		put_list(j, p, MSFT_SMProvider_P_CommunicationMechanisms, &mech, 1);
		put(j, w, MSFT_SMWbemService_P_MultipleOperationsSupported,
		    SRC(comm, COMM, MultipleOperationsSupported));
		put(j, w, MSFT_SMWbemService_P_ProtocolVersion, SRC(comm, COMM, Version));
		put_list(j, w, MSFT_SMWbemService_P_CommunicationMechanisms, &mech, 1);
		for (uint32_t i = 0; m->kind == CIM_V_ARRAY && i < m->n && n < 8; i++)
			if (m->a[i].u < ARRAY_SIZE(auth_names))
				auth[n++] = cim_str(auth_names[m->a[i].u]);
		put_list(j, w, MSFT_SMWbemService_P_AuthenticationMechanisms, auth, n);
	}
}

/* ---- systems ---- */

/* Health of an element from its OperationalStatus: the worst of its values. */
static void put_health(struct joining *j, struct sm_object *o, int health, int description,
		       const struct cim_value *status)
{
	int h = sm_health(status);

	if (h < 0)
		return;
	o->v[health] = cim_u16((uint16_t)h);
	put_text(j, o, description, sm_health_name(h));
}

static void put_status_text(struct joining *j, struct sm_object *o, int prop,
			    const struct cim_value *status)
{
	const char *s = status->kind == CIM_V_ARRAY && status->n
				? sm_status_name((uint16_t)status->a[0].u)
				: NULL;

	put_text(j, o, prop, s);
}

static bool in_list(const struct cim_value *list, uint64_t u)
{
	for (uint32_t i = 0; list->kind == CIM_V_ARRAY && i < list->n; i++)
		if (list->a[i].u == u)
			return true;
	return false;
}

static void make_system(struct joining *j, struct src_obj *s)
{
	if (s->out)
		return;
	if (sm_image_count(j->img, SM_SYSTEM) == SYSTEMS_MAX) {
		harvest_note(j->h, "more than %d systems", SYSTEMS_MAX);
		return;
	}
	struct sm_object *o = add(j, SM_SYSTEM, &s->id, NULL);

	if (!o)
		return;
	const struct cim_value *status = SRC(s, SYSTEM, OperationalStatus);
	const char *name = text(SRC(s, SYSTEM, Name)), *shown = text(SRC(s, SYSTEM, ElementName));

	s->out = o->num + 1;
	set_ident(j, SM_SYSTEM, o, name);
	put_text(j, o, MSFT_SMSystem_P_DisplayName, shown ? shown : name);
	put(j, o, MSFT_SMSystem_P_Name, SRC(s, SYSTEM, Name));
	put(j, o, MSFT_SMSystem_P_NameFormat, SRC(s, SYSTEM, NameFormat));
	put(j, o, MSFT_SMSystem_P_OtherIdentifyingInfo, SRC(s, SYSTEM, OtherIdentifyingInfo));
	put(j, o, MSFT_SMSystem_P_IdentifyingDescriptions, SRC(s, SYSTEM, IdentifyingDescriptions));
	put(j, o, MSFT_SMSystem_P_OperationalStatus, status);
	put_status_text(j, o, MSFT_SMSystem_P_StatusDescription, status);
	put_health(j, o, MSFT_SMSystem_P_HealthStatus, MSFT_SMSystem_P_HealthStatusDescription,
		   status);
	put_text(j, o, MSFT_SMSystem_P_ManagementServer, j->s->host);
	o->v[MSFT_SMSystem_P_CacheLevel] = cim_u16((uint16_t)j->s->level);
	sm_image_link(j->img, SM_PROVIDER_SYSTEM, 0, o->num);
	sm_image_link(j->img, SM_DISCOVERY_SYSTEM, 0, o->num);
}

static void make_systems(struct joining *j)
{
	uint32_t n = 0;

	/* what an autonomous profile's conformance points to: arrays, not their controllers */
	EACH (j, CONFORMS, c) {
		struct src_obj *p = find(j, SRC_PROFILE, &c->ref[0]);
		struct src_obj *s = find(j, SRC_SYSTEM, &c->ref[1]);

		if (!p || !s || !join_is_system_profile(p))
			continue;
		make_system(j, s);
		n++;
	}
	if (!n) /* no conformance: a storage system (3) or block server (15) says so itself */
		EACH (j, SYSTEM, s) {
			const struct cim_value *d = SRC(s, SYSTEM, Dedicated);

			if (in_list(d, 3) || in_list(d, 15)) {
				make_system(j, s);
				n++;
			}
		}
	if (!n)
		EACH (j, SYSTEM, s)
			make_system(j, s);
	EACH (j, SYSPKG, x) {
		struct src_obj *s = find(j, SRC_SYSTEM, &x->ref[1]);
		struct src_obj *p = find(j, SRC_PACKAGE, &x->ref[0]);

		if (!s || !p) {
			dangling(j, x);
			continue;
		}
		if (!s->out)
			continue;
		struct sm_object *o = sm_image_edit(j->img, SM_SYSTEM, s->out - 1);

		put(j, o, MSFT_SMSystem_P_Manufacturer, SRC(p, PACKAGE, Manufacturer));
		put(j, o, MSFT_SMSystem_P_Model, SRC(p, PACKAGE, Model));
		put(j, o, MSFT_SMSystem_P_SerialNumber, SRC(p, PACKAGE, SerialNumber));
		put(j, o, MSFT_SMSystem_P_Tag, SRC(p, PACKAGE, Tag));
	}
	EACH (j, INSTSW, x) {
		struct src_obj *s = find(j, SRC_SYSTEM, &x->ref[0]);
		struct src_obj *w = find(j, SRC_SW, &x->ref[1]);

		if (!s || !w) {
			dangling(j, x);
			continue;
		}
		if (s->out)
			put(j, sm_image_edit(j->img, SM_SYSTEM, s->out - 1),
			    MSFT_SMSystem_P_FirmwareVersion, SRC(w, SW, VersionString));
	}
}

static int cmp_names(const char *a, size_t na, const char *b, size_t nb)
{
	int c = memcmp(a, b, na < nb ? na : nb);

	return c ? c : na < nb ? -1 : na > nb;
}

static int cmp_systems(const void *a, const void *b)
{
	const struct src_obj *x = *(struct src_obj *const *)a, *y = *(struct src_obj *const *)b;
	const struct cim_value *v = SRC(x, SYSTEM, Name), *w = SRC(y, SYSTEM, Name);
	int c = cmp_names(v->s, v->n, w->s, w->n);

	if (c)
		return c;
	if (!x->out != !y->out)
		return x->out ? -1 : 1;
	return x->num < y->num ? -1 : x->num > y->num;
}

static void index_systems(struct joining *j)
{
	j->systems = xcalloc((size_t)harvest_count(j->h, SRC_SYSTEM) + 1, sizeof(struct src_obj *));
	EACH (j, SYSTEM, s)
		if (text(SRC(s, SYSTEM, Name)))
			j->systems[j->n_systems++] = s;
	if (j->n_systems)
		qsort(j->systems, j->n_systems, sizeof(*j->systems), cmp_systems);
}

/* The computer system of that name, shown or not; NULL: none. */
static const struct src_obj *computer_of(const struct joining *j, const char *name, size_t n)
{
	uint32_t from = 0, to = name ? j->n_systems : 0;

	while (from < to) {
		uint32_t mid = (from + to) / 2;
		const struct cim_value *v = SRC(j->systems[mid], SYSTEM, Name);

		if (cmp_names(v->s, v->n, name, n) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	if (!name || from == j->n_systems)
		return NULL;
	const struct cim_value *v = SRC(j->systems[from], SYSTEM, Name);

	return cmp_names(v->s, v->n, name, n) == 0 ? j->systems[from] : NULL;
}

/* The system (number + 1) an object belongs to, by its SystemName; 0: none. */
static uint32_t system_of(struct joining *j, const char *name, size_t n)
{
	const struct src_obj *s = computer_of(j, name, n);

	if (s && s->out)
		return s->out;
	/* objects on a controller or on no system in particular belong to the first one */
	return sm_image_count(j->img, SM_SYSTEM) ? 1 : 0;
}

static uint32_t system_named(struct joining *j, const struct cim_value *name)
{
	const char *s = text(name);

	return system_of(j, s, s ? name->n : 0);
}

static void link_system(struct joining *j, enum sm_assoc a, uint32_t sys, uint32_t child)
{
	if (sys)
		sm_image_link(j->img, a, sys - 1, child);
}

/* ---- what a system can do ---- */

static void set_bool(struct sm_object *o, int prop, bool b)
{
	o->v[prop] = cim_bool(b);
}

static void caps_storage(struct sm_object *o, const struct src_obj *c)
{
	const struct cim_value *sync = SRC(c, CAPCONF, SupportedSynchronousActions);
	const struct cim_value *async = SRC(c, CAPCONF, SupportedAsynchronousActions);
	const struct cim_value *el = SRC(c, CAPCONF, SupportedStorageElementFeatures);
	const struct cim_value *pool = SRC(c, CAPCONF, SupportedStoragePoolFeatures);
	const struct cim_value *types = SRC(c, CAPCONF, SupportedStorageElementTypes);
#define DOES(n)      (in_list(sync, n) || in_list(async, n))
#define CAN(name, b) set_bool(o, MSFT_SMSystemCapabilities_P_StorageConfigSupports##name, b)
	CAN(PoolCreation, DOES(2));
	CAN(PoolDeletion, DOES(3));
	CAN(PoolModification, DOES(4));
	CAN(PoolCapacityExpansion, in_list(pool, 6));
	CAN(StorageVolumeCreation, DOES(5) || in_list(el, 3));
	CAN(StorageVolumeDeletion, DOES(6));
	CAN(StorageVolumeModification, DOES(7) || in_list(el, 5));
	CAN(StorageVolumeCapacityExpansion, in_list(el, 12));
	CAN(StorageVolumeCapacityReduction, in_list(el, 13));
	/* element type 5 and up are the thinly provisioned ones */
	CAN(ThinProvisionedPools,
	    in_list(types, 5) || in_list(types, 7) || in_list(types, 8) || in_list(types, 9));
#undef CAN
#undef DOES
}

/* The most copies of one volume: of several kinds of mirror, and so on, what any of them allows. */
static void put_most(struct sm_object *o, int prop, const struct cim_value *most)
{
	struct cim_value *have = &o->v[prop];

	if (!cim_is_null(most) && (cim_is_null(have) || have->u < most->u))
		*have = *most;
}

/* One kind of copy of the older methods (Copy Services): which, and where it can be made.  An
 * array that has the Replication Services too says there what it can do. */
static void caps_copies(struct joining *j, struct sm_object *o, const struct src_obj *c)
{
	static const struct {
		int most, local, remote;
	} kinds[] = {
#define CAN(kind)  MSFT_SMSystemCapabilities_P_ReplicationSupportedType##kind
#define MOST(kind) MSFT_SMSystemCapabilities_P_MaximumReplicasPerSource##kind
		{MOST(Mirror),   CAN(MirrorLocal),   CAN(MirrorRemote)  },
		{MOST(Snapshot), CAN(SnapshotLocal), CAN(SnapshotRemote)},
		{MOST(Clone),    CAN(CloneLocal),    CAN(CloneRemote)   },
#undef MOST
#undef CAN
	};
	/* Async, Sync; UnSyncAssoc-Full, UnSyncAssoc-Delta; UnSyncUnAssoc */
	static const uint8_t kind_of[] = {[2] = 0, [3] = 0, [4] = 1, [5] = 1, [6] = 2};
	enum { LOCAL_CREATION = 2, REMOTE_CREATION = 3 };
	const struct cim_value *type = SRC(c, CAPCOPY, SupportedSynchronizationType);
	const struct cim_value *sync = SRC(c, CAPCOPY, SupportedSynchronousActions);
	const struct cim_value *async = SRC(c, CAPCOPY, SupportedAsynchronousActions);

	if (cim_is_null(type) || type->u < 2 || type->u >= ARRAY_SIZE(kind_of))
		return;
	uint8_t k = kind_of[type->u];

	put_most(o, kinds[k].most, SRC(c, CAPCOPY, MaximumReplicasPerSource));
	if (harvest_count(j->h, SRC_CAPREPL))
		return;
	/* what one kind of mirror can't, another may */
	for (int remote = 0; remote < 2; remote++) {
		int prop = remote ? kinds[k].remote : kinds[k].local;
		int action = remote ? REMOTE_CREATION : LOCAL_CREATION;

		if (in_list(sync, (uint64_t)action) || in_list(async, (uint64_t)action))
			set_bool(o, prop, true);
		else if (cim_is_null(&o->v[prop]))
			set_bool(o, prop, false);
	}
}

static void caps_replication(struct sm_object *o, const struct src_obj *c)
{
	const struct cim_value *t = SRC(c, CAPREPL, SupportedReplicationTypes);
#define CAN(name, x, y)                                                         \
	set_bool(o, MSFT_SMSystemCapabilities_P_ReplicationSupportedType##name, \
		 in_list(t, x) || in_list(t, y))
	CAN(MirrorLocal, 2, 3);
	CAN(MirrorRemote, 4, 5);
	CAN(SnapshotLocal, 6, 7);
	CAN(SnapshotRemote, 8, 9);
	CAN(CloneLocal, 10, 11);
	CAN(CloneRemote, 12, 13);
#undef CAN
}

static void put_names(struct joining *j, struct sm_object *o, int prop,
		      const struct cim_value *list, const char *(*name)(uint16_t))
{
	struct cim_value v[32];
	uint32_t n = 0;

	for (uint32_t i = 0; list->kind == CIM_V_ARRAY && i < list->n && n < 32; i++)
		v[n++] = cim_str(name((uint16_t)list->a[i].u));
	put_list(j, o, prop, v, n);
}

static void caps_masking(struct joining *j, struct sm_object *o, const struct src_obj *c)
{
	static const char *const views[] = {"One Port per View", "Multiple Ports per View",
					    "All Ports share the same View"};
	const struct cim_value *types = SRC(c, CAPMASK, ValidHardwareIdTypes);
	const struct cim_value *ports = SRC(c, CAPMASK, PortsPerView);
	const struct cim_value *expose = SRC(c, CAPMASK, ExposePathsSupported);

	put(j, o, MSFT_SMSystemCapabilities_P_MaskingValidHardwareIdTypes, types);
	put_names(j, o, MSFT_SMSystemCapabilities_P_MaskingValidHardwareIdTypeDescriptions, types,
		  sm_id_type_name);
	put(j, o, MSFT_SMSystemCapabilities_P_MaskingOtherValidHardwareIDTypes,
	    SRC(c, CAPMASK, OtherValidHardwareIDTypes));
	put(j, o, MSFT_SMSystemCapabilities_P_MaskingPortsPerView, ports);
	if (ports->kind && ports->u >= 2 && ports->u <= 4)
		put_text(j, o, MSFT_SMSystemCapabilities_P_MaskingPortsPerViewDescription,
			 views[ports->u - 2]);
	put(j, o, MSFT_SMSystemCapabilities_P_MaskingClientSelectableDeviceNumbers,
	    SRC(c, CAPMASK, ClientSelectableDeviceNumbers));
	put(j, o, MSFT_SMSystemCapabilities_P_MaskingOneHardwareIDPerView,
	    SRC(c, CAPMASK, OneHardwareIDPerView));
	put(j, o, MSFT_SMSystemCapabilities_P_MaskingExposeStorageVolumesToHostsSupported, expose);
	put(j, o, MSFT_SMSystemCapabilities_P_MaskingHideStorageVolumesFromHostsSupported, expose);
	put(j, o, MSFT_SMSystemCapabilities_P_MaskingMaximumMapCount,
	    SRC(c, CAPMASK, MaximumMapCount));
}

static const enum src_kind caps_kinds[] = {SRC_CAPMASK, SRC_CAPCONF,  SRC_CAPREPL,
					   SRC_CAPCOPY, SRC_CAPISCSI, SRC_CLIENT};

/* Which system do capabilities belong to?  The element that has them names it, either itself or
 * as the system of a service: `out` is its number + 1, and 0 means every system. */
static void find_owners(struct joining *j)
{
	if (sm_image_count(j->img, SM_SYSTEM) < 2)
		return;
	EACH (j, ELEMCAP, x) {
		struct src_obj *caps = NULL;
		const char *name;
		size_t n;

		for (size_t i = 0; i < ARRAY_SIZE(caps_kinds) && !caps; i++)
			caps = find(j, caps_kinds[i], &x->ref[1]);
		if (!caps || caps->out)
			continue;
		if (ref_key(&x->ref[0], "systemname", &name, &n) ||
		    (find(j, SRC_SYSTEM, &x->ref[0]) && ref_key(&x->ref[0], "name", &name, &n)))
			caps->out = system_of(j, name, n);
	}
}

static void apply_caps(struct joining *j, enum src_kind k,
		       void (*apply)(struct joining *j, struct sm_object *o,
				     const struct src_obj *c))
{
	unsigned of_all = 0;

	for (struct src_obj *c = harvest_first(j->h, k); c && !j->full; c = c->next) {
		if (!c->out && of_all++ == SYSTEMS_MAX)
			harvest_note(j->h, "more than %d %s of no system in particular",
				     SYSTEMS_MAX, src_kind_info(k)->cls);
		if (!c->out && of_all > SYSTEMS_MAX)
			continue;
		for (uint32_t i = 0; i < sm_image_count(j->img, SM_CAPS); i++)
			if (!c->out || c->out == i + 1)
				apply(j, sm_image_edit(j->img, SM_CAPS, i), c);
	}
}

static void apply_masking(struct joining *j, struct sm_object *o, const struct src_obj *c)
{
	caps_masking(j, o, c);
}

static void apply_storage(struct joining *j, struct sm_object *o, const struct src_obj *c)
{
	(void)j;
	caps_storage(o, c);
}

static void apply_replication(struct joining *j, struct sm_object *o, const struct src_obj *c)
{
	(void)j;
	caps_replication(o, c);
}

static void apply_iscsi(struct joining *j, struct sm_object *o, const struct src_obj *c)
{
	const struct cim_value *v = SRC(c, CAPISCSI, iSCSIProtocolEndpointCreationSupported);

	if (cim_is_null(v))
		return;
	o->v[MSFT_SMSystemCapabilities_P_iSCSITargetEndpointCreation] = cim_u16(v->u ? 2 : 1);
	put_text(j, o, MSFT_SMSystemCapabilities_P_iSCSITargetEndpointCreationDescription,
		 v->u ? "Dynamically created and deleted" : "Preexisting and statically defined");
}

/* What no capabilities object spoke about: not supported, or unknown. */
static void caps_defaults(struct joining *j, struct sm_object *o)
{
	struct cim_value windows = cim_u16(15);
	struct cim_value types = cim_array(CIM_UINT16, &windows, 1);

	set_bool(o, MSFT_SMSystemCapabilities_P_SupportsFileSystemCreation, false);
	set_bool(o, MSFT_SMSystemCapabilities_P_SupportsFileServer, false);
	set_bool(o, MSFT_SMSystemCapabilities_P_SupportsFileServerCreation, false);
	set_bool(o, MSFT_SMSystemCapabilities_P_SupportsContinuouslyAvailableFileServer, false);
	o->v[MSFT_SMSystemCapabilities_P_iSCSITargetEndpointCreation] = cim_u16(0);
	put_text(j, o, MSFT_SMSystemCapabilities_P_iSCSITargetEndpointCreationDescription,
		 "Unknown");
	put(j, o, MSFT_SMSystemCapabilities_P_SupportedHostTypes, &types);
	put_names(j, o, MSFT_SMSystemCapabilities_P_SupportedHostTypeDescriptions, &types,
		  sm_host_type_name);
}

static void apply_hosts(struct joining *j, struct sm_object *o, const struct src_obj *c)
{
	const struct cim_value *add = SRC(c, CLIENT, ClientTypes);
	struct cim_value *have = &o->v[MSFT_SMSystemCapabilities_P_SupportedHostTypes];
	struct cim_value all[32];
	uint32_t n = 0;

	/* the default is there only as long as no setting says otherwise */
	if (have->n == 1 && have->a[0].u == 15 && !in_list(add, 15))
		have->n = 0;
	for (uint32_t i = 0; i < have->n && n < 32; i++)
		all[n++] = have->a[i];
	for (uint32_t i = 0; add->kind == CIM_V_ARRAY && i < add->n && n < 32; i++)
		if (!in_list(have, add->a[i].u))
			all[n++] = add->a[i];
	struct cim_value list = cim_array(CIM_UINT16, all, n);

	put(j, o, MSFT_SMSystemCapabilities_P_SupportedHostTypes, &list);
	put_names(j, o, MSFT_SMSystemCapabilities_P_SupportedHostTypeDescriptions, &list,
		  sm_host_type_name);
	put(j, o, MSFT_SMSystemCapabilities_P_OtherHostTypeDescriptions,
	    SRC(c, CLIENT, OtherClientTypeDescriptions));
}

static void make_caps(struct joining *j)
{
	EACH (j, SYSTEM, s) {
		struct sm_object *o = s->out ? add(j, SM_CAPS, &s->id, NULL) : NULL;

		if (!o)
			continue;
		set_ident(j, SM_CAPS, o, text(SRC(s, SYSTEM, Name)));
		caps_defaults(j, o);
		sm_image_link(j->img, SM_SYSTEM_CAPS, s->out - 1, o->num);
	}
	find_owners(j);
	apply_caps(j, SRC_CAPMASK, apply_masking);
	apply_caps(j, SRC_CAPCONF, apply_storage);
	apply_caps(j, SRC_CAPREPL, apply_replication);
	apply_caps(j, SRC_CAPCOPY, caps_copies);
	apply_caps(j, SRC_CAPISCSI, apply_iscsi);
	apply_caps(j, SRC_CLIENT, apply_hosts);
}

/* ---- endpoints and portals ---- */

static bool is_zero_address(const char *s)
{
	return s && !s[strspn(s, "0:.")];
}

static void make_portal(struct joining *j, struct src_obj *tcp, struct src_obj *ip,
			struct multi *of_tcp, uint32_t *portal_ip)
{
	struct sm_object *o = add(j, SM_PORTAL, &tcp->id, &ip->id);

	if (!o)
		return;
	const char *v4 = text(SRC(ip, IP, IPv4Address)), *v6 = text(SRC(ip, IP, IPv6Address));

	/* arrays that fill in the address family they don't use with zeros */
	if (v6 && v4 && is_zero_address(v6))
		v6 = NULL;
	else if (v4 && v6 && is_zero_address(v4))
		v4 = NULL;
	set_ident(j, SM_PORTAL, o, text(SRC(tcp, TCP, Name)));
	put_text(j, o, MSFT_SMiSCSIPortalEndpoint_P_IPv4Address, v4);
	put_text(j, o, MSFT_SMiSCSIPortalEndpoint_P_IPv6Address, v6);
	if (v4) /* the page defines the mask for IPv4 */
		put_text(j, o, MSFT_SMiSCSIPortalEndpoint_P_SubnetMask,
			 text(SRC(ip, IP, SubnetMask)));
	put(j, o, MSFT_SMiSCSIPortalEndpoint_P_IPEndpointOpStatus, SRC(ip, IP, OperationalStatus));
	put(j, o, MSFT_SMiSCSIPortalEndpoint_P_PortNumber, SRC(tcp, TCP, PortNumber));
	put(j, o, MSFT_SMiSCSIPortalEndpoint_P_TCPEndpointOpStatus,
	    SRC(tcp, TCP, OperationalStatus));
	multi_add(of_tcp, tcp->num, o->num);
	portal_ip[o->num] = ip->num;
}

static const char *const connection_names[] = {NULL,  "Other",     "Fibre Channel", "Parallel SCSI",
					       "SSA", "IEEE 1394", "RDMA",          "iSCSI",
					       "SAS", "ADT"};
static const char *const role_names[] = {"Unknown", NULL, "Initiator", "Target",
					 "Both Initiator and Target"};

static void put_name_of(struct joining *j, struct sm_object *o, int prop, const struct cim_value *v,
			const char *const *names, size_t n)
{
	if (v->kind == CIM_V_SCALAR && v->u < n)
		put_text(j, o, prop, names[v->u]);
}

static void make_endpoint(struct joining *j, struct src_obj *ep)
{
	struct sm_object *o = add(j, SM_ENDPOINT, &ep->id, NULL);

	if (!o)
		return;
	const struct cim_value *status = SRC(ep, EP, OperationalStatus);
	const struct cim_value *on = SRC(ep, EP, SystemName);
	const struct src_obj *computer = computer_of(j, text(on), on->n);
	const struct cim_value *type = SRC(ep, EP, ConnectionType), *role = SRC(ep, EP, Role);

	/* the page names the system's; the port's own says more, where it has one */
	if (computer && !status->n)
		status = SRC(computer, SYSTEM, OperationalStatus);
	ep->out = o->num + 1;
	set_ident(j, SM_ENDPOINT, o, text(SRC(ep, EP, Name)));
	put(j, o, MSFT_SMEndpoint_P_Name, SRC(ep, EP, Name));
	put(j, o, MSFT_SMEndpoint_P_ElementName, SRC(ep, EP, ElementName));
	put(j, o, MSFT_SMEndpoint_P_ConnectionType, type);
	put_name_of(j, o, MSFT_SMEndpoint_P_ConnectionTypeDescription, type, connection_names,
		    ARRAY_SIZE(connection_names));
	put(j, o, MSFT_SMEndpoint_P_Role, role);
	put_name_of(j, o, MSFT_SMEndpoint_P_RoleDescription, role, role_names,
		    ARRAY_SIZE(role_names));
	put(j, o, MSFT_SMEndpoint_P_OperationalStatus, status);
	put_status_text(j, o, MSFT_SMEndpoint_P_StatusDescription, status);
	put_health(j, o, MSFT_SMEndpoint_P_HealthStatus, MSFT_SMEndpoint_P_HealthStatusDescription,
		   status);
	put(j, o, MSFT_SMEndpoint_P_SystemName, on);
	link_system(j, SM_SYSTEM_ENDPOINT, system_named(j, on), o->num);
}

static void endpoint_port(struct joining *j, struct sm_object *o, struct src_obj *port)
{
	if (!cim_is_null(&o->v[MSFT_SMEndpoint_P_NetworkAddresses]) ||
	    !cim_is_null(&o->v[MSFT_SMEndpoint_P_PortType]))
		return; /* several ports under one endpoint: the first speaks for it */
	struct cim_value permanent = *SRC(port, PORT, PermanentAddress);
	struct cim_value one = cim_array(CIM_STRING, &permanent, 1);
	const struct cim_value *addresses = SRC(port, PORT, NetworkAddresses);

	if (addresses->n || cim_is_null(&permanent))
		put(j, o, MSFT_SMEndpoint_P_NetworkAddresses, addresses);
	else
		put(j, o, MSFT_SMEndpoint_P_NetworkAddresses, &one);
	put(j, o, MSFT_SMEndpoint_P_LinkTechnology, SRC(port, PORT, LinkTechnology));
	put(j, o, MSFT_SMEndpoint_P_OtherLinkTechnology, SRC(port, PORT, OtherLinkTechnology));
	put(j, o, MSFT_SMEndpoint_P_Speed, SRC(port, PORT, Speed));
	put(j, o, MSFT_SMEndpoint_P_MaxSpeed, SRC(port, PORT, MaxSpeed));
	put(j, o, MSFT_SMEndpoint_P_PortNumber, SRC(port, PORT, PortNumber));
	put(j, o, MSFT_SMEndpoint_P_PortType, SRC(port, PORT, PortType));
	put(j, o, MSFT_SMEndpoint_P_UsageRestriction, SRC(port, PORT, UsageRestriction));
	put(j, o, MSFT_SMEndpoint_P_SystemName, SRC(port, PORT, SystemName));
}

/* The two objects of a link between two kinds, whichever way round the provider has it. */
static bool ends(struct joining *j, struct src_obj *assoc, enum src_kind a, enum src_kind b,
		 struct src_obj **ret_a, struct src_obj **ret_b)
{
	for (int i = 0; i < 2; i++) {
		*ret_a = find(j, a, &assoc->ref[i]);
		*ret_b = *ret_a ? find(j, b, &assoc->ref[1 - i]) : NULL;
		if (*ret_b)
			return true;
	}
	return false;
}

enum { ROLE_INITIATOR = 2 };

static void make_endpoints(struct joining *j)
{
	struct multi portals = multi_of(harvest_count(j->h, SRC_TCP)); /* by TCP endpoint */
	struct multi ports = multi_of(harvest_count(j->h, SRC_IP));    /* NICs by IP endpoint */
	uint32_t n_binds = harvest_count(j->h, SRC_BINDS);
	uint32_t *portal_ip = xcalloc((size_t)n_binds + 1, sizeof(*portal_ip));
	struct src_obj **port_at = xcalloc((size_t)harvest_count(j->h, SRC_PORT) + 1,
					   sizeof(struct src_obj *));
	struct src_obj *x, *y;

	EACH (j, PORT, p)
		port_at[p->num] = p;
	/* ports of initiators that are logged in come and go; they aren't the system's */
	EACH (j, EP, ep)
		if (SRC(ep, EP, Role)->u != ROLE_INITIATOR)
			make_endpoint(j, ep);
	EACH (j, SAPIMPL, l) {
		if (ends(j, l, SRC_PORT, SRC_IP, &x, &y))
			multi_add(&ports, y->num, x->num);
		else if (ends(j, l, SRC_PORT, SRC_EP, &x, &y) && y->out)
			endpoint_port(j, sm_image_edit(j->img, SM_ENDPOINT, y->out - 1), x);
	}
	EACH (j, BINDS, l)
		if (ends(j, l, SRC_IP, SRC_TCP, &x, &y))
			make_portal(j, y, x, &portals, portal_ip);
	EACH (j, BINDS, l) {
		if (!ends(j, l, SRC_TCP, SRC_EP, &x, &y)) {
			if (!ends(j, l, SRC_IP, SRC_TCP, &x, &y))
				dangling(j, l);
			continue;
		}
		if (!y->out)
			continue;
		struct sm_object *o = sm_image_edit(j->img, SM_ENDPOINT, y->out - 1);

		MULTI_EACH (&portals, x->num, i) {
			uint32_t portal = portals.to[i - 1];
			struct sm_object *p = sm_image_edit(j->img, SM_PORTAL, portal);
			const struct cim_value *v4 =
				&p->v[MSFT_SMiSCSIPortalEndpoint_P_IPv4Address];
			const struct cim_value *v6 =
				&p->v[MSFT_SMiSCSIPortalEndpoint_P_IPv6Address];

			if (!link_to(j, SM_ENDPOINT_PORTAL, o->num, portal))
				break;
			if (cim_is_null(&o->v[MSFT_SMEndpoint_P_Address]))
				o->v[MSFT_SMEndpoint_P_Address] = cim_is_null(v4) ? *v6 : *v4;
			uint32_t nic = ports.first[portal_ip[portal]];

			if (nic)
				endpoint_port(j, o, port_at[ports.to[nic - 1]]);
		}
	}
	multi_done(&portals);
	multi_done(&ports);
	free(portal_ip);
	free(port_at);
}

/* ---- Fibre Channel ---- */

enum { IFTYPE_FIBRE_CHANNEL = 56 };

static void connect_to(struct joining *j, const struct src_obj *a, const struct src_obj *b)
{
	struct sm_object *o = sm_image_edit(j->img, SM_PROTOCOL, a->out - 1);

	put(j, o, MSFT_SMProtocolEndpoint_P_ConnectedName, SRC(b, PEP, Name));
	put(j, o, MSFT_SMProtocolEndpoint_P_ConnectedNameFormat, SRC(b, PEP, NameFormat));
	put(j, o, MSFT_SMProtocolEndpoint_P_ConnectedSystemName, SRC(b, PEP, SystemName));
}

static void make_protocol_endpoints(struct joining *j)
{
	struct src_obj *x, *y;

	EACH (j, PEP, p) {
		struct sm_object *o = SRC(p, PEP, ProtocolIFType)->u == IFTYPE_FIBRE_CHANNEL
					      ? add(j, SM_PROTOCOL, &p->id, NULL)
					      : NULL;

		if (!o)
			continue;
		p->out = o->num + 1;
		put(j, o, MSFT_SMProtocolEndpoint_P_Name, SRC(p, PEP, Name));
		put(j, o, MSFT_SMProtocolEndpoint_P_NameFormat, SRC(p, PEP, NameFormat));
		put(j, o, MSFT_SMProtocolEndpoint_P_SystemName, SRC(p, PEP, SystemName));
	}
	EACH (j, ACTIVE, l)
		if (ends(j, l, SRC_PEP, SRC_PEP, &x, &y) && x->out && y->out) {
			connect_to(j, x, y);
			connect_to(j, y, x);
		}
}

/* ---- pools and volumes ---- */

static void make_setting(struct joining *j, struct src_obj *s)
{
	struct sm_object *o = add(j, SM_SETTING, &s->id, NULL);

	if (!o)
		return;
	s->out = o->num + 1;
	set_ident(j, SM_SETTING, o, text(SRC(s, SETTING, InstanceID)));
	put(j, o, MSFT_SMPoolSetting_P_DisplayName, SRC(s, SETTING, ElementName));
#define COPY(p) put(j, o, MSFT_SMPoolSetting_P_##p, SRC(s, SETTING, p))
	COPY(NoSinglePointOfFailure);
	COPY(DataRedundancyMin);
	COPY(DataRedundancyMax);
	COPY(DataRedundancyGoal);
	COPY(PackageRedundancyMin);
	COPY(PackageRedundancyMax);
	COPY(PackageRedundancyGoal);
	COPY(ChangeableType);
	COPY(ExtentStripeLength);
	COPY(ExtentStripeLengthMin);
	COPY(ExtentStripeLengthMax);
	COPY(ParityLayout);
	COPY(UserDataStripeDepth);
	COPY(UserDataStripeDepthMin);
	COPY(UserDataStripeDepthMax);
	COPY(ThinProvisionedPoolType);
#undef COPY
	static const char *const thin[] = {"ThinlyProvisionedAllocatedStoragePool",
					   "ThinlyProvisionedQuotaStoragePool",
					   "ThinlyProvisionedLimitlessStoragePool"};
	const struct cim_value *t = SRC(s, SETTING, ThinProvisionedPoolType);

	if (t->kind && t->u >= 7 && t->u <= 9)
		put_text(j, o, MSFT_SMPoolSetting_P_ThinProvisionedPoolTypeDescription,
			 thin[t->u - 7]);
}

static void make_pool(struct joining *j, struct src_obj *p)
{
	static const char *const usages[] = {
		NULL,
		NULL,
		"Unrestricted",
		"Reserved for ComputerSystem (the block server)",
		"Reserved as a Delta Replica Container",
		"Reserved for Migration Services",
		"Reserved for Local Replication Services",
		"Reserved for Remote Replication Services",
		"Reserved for Sparing",
	};
	struct sm_object *o = add(j, SM_POOL, &p->id, NULL);

	if (!o)
		return;
	const struct cim_value *status = SRC(p, POOL, OperationalStatus);
	const struct cim_value *usage = SRC(p, POOL, Usage), *name = SRC(p, POOL, Name);
	bool primordial = SRC(p, POOL, Primordial)->kind && SRC(p, POOL, Primordial)->u;

	p->out = o->num + 1;
	set_ident(j, SM_POOL, o, text(SRC(p, POOL, InstanceID)));
	put(j, o, MSFT_SMPool_P_DisplayName, SRC(p, POOL, ElementName));
	put(j, o, MSFT_SMPool_P_Name, text(name) ? name : SRC(p, POOL, ElementName));
#define COPY(n) put(j, o, MSFT_SMPool_P_##n, SRC(p, POOL, n))
	COPY(PoolID);
	COPY(Primordial);
	COPY(RemainingManagedSpace);
	COPY(TotalManagedSpace);
	COPY(Usage);
	COPY(SpaceLimit);
	COPY(SpaceLimitDetermination);
	COPY(LowSpaceWarningThreshold);
	COPY(ThinProvisionMetaDataSpace);
	COPY(OperationalStatus);
	COPY(StatusDescriptions);
#undef COPY
	if (usage->kind && usage->u == 1)
		put(j, o, MSFT_SMPool_P_UsageDescription, SRC(p, POOL, OtherUsageDescription));
	else
		put_name_of(j, o, MSFT_SMPool_P_UsageDescription, usage, usages,
			    ARRAY_SIZE(usages));
	put_health(j, o, MSFT_SMPool_P_HealthStatus, MSFT_SMPool_P_HealthStatusDescription, status);
	set_bool(o, MSFT_SMPool_P_SupportsStorageVolumeCreation, !primordial);
	set_bool(o, MSFT_SMPool_P_SupportsThinlyProvisionedStorageVolume, false);
}

static void pool_caps(struct joining *j, struct sm_object *o, const struct src_obj *c)
{
	const struct cim_value *types = SRC(c, POOLCAP, SupportedStorageElementTypes);
#define COPY(n) put(j, o, MSFT_SMPool_P_##n, SRC(c, POOLCAP, n))
	COPY(NoSinglePointOfFailure);
	COPY(NoSinglePointOfFailureDefault);
	COPY(DataRedundancyMax);
	COPY(DataRedundancyMin);
	COPY(DataRedundancyDefault);
	COPY(PackageRedundancyMax);
	COPY(PackageRedundancyMin);
	COPY(PackageRedundancyDefault);
	COPY(ExtentStripeLengthDefault);
	COPY(ParityLayoutDefault);
	COPY(UserDataStripeDepthDefault);
#undef COPY
	if (in_list(types, 5))
		set_bool(o, MSFT_SMPool_P_SupportsThinlyProvisionedStorageVolume, true);
}

/* CIM_StorageVolume.OperationalStatus has more values than MSFT_SMStorageVolume's. */
static uint16_t volume_status(uint64_t s)
{
	switch (s) {
	case 2:
	case 3:
	case 6:
	case 8:
	case 15:
		return (uint16_t)s;
	case 11: /* in service, completed, power mode: it works */
	case 17:
	case 18:
		return 2;
	case 4:
	case 5:
		return 3;
	case 9:
	case 10:
		return 15;
	default: /* no contact, aborted, ... */
		return 6;
	}
}

/* OperationalStatus where the class has only some of the values. */
static void put_mapped_status(struct joining *j, struct sm_object *o, int prop,
			      const struct cim_value *s, uint16_t (*map)(uint64_t))
{
	struct cim_value v[32];
	uint32_t n = 0;

	for (uint32_t i = 0; s->kind == CIM_V_ARRAY && i < s->n && n < 32; i++)
		if (s->a[i].u > 1) /* Unknown and Other say nothing */
			v[n++] = cim_u16(map(s->a[i].u));
	struct cim_value list = cim_array(CIM_UINT16, v, n);

	if (n)
		put(j, o, prop, &list);
}

enum { NF_NAA = 9, NF_VPD83NAA6 = 2, NF_VPD83NAA5 = 3, NN_VPD83_TYPE3 = 2 };

/* The name by which hosts see the unit (INQUIRY page 83h), NAA first. */
static void put_lun_id(struct joining *j, struct sm_object *o, const struct src_obj *v)
{
	static const char *const formats[] = {"Unknown",    "Other",      "VPD83NAA6",  "VPD83NAA5",
					      "VPD83Type2", "VPD83Type1", "VPD83Type0", "SNVM",
					      "NodeWWN",    "NAA",        "EUI64",      "T10VID"};
	static const char *const spaces[] = {"Unknown",    "Other", "VPD83Type3", "VPD83Type2",
					     "VPD83Type1", "VPD80", "NodeWWN",    "SNVM"};
	struct cim_value id = *SRC(v, VOLUME, Name), format = *SRC(v, VOLUME, NameFormat);
	struct cim_value space = *SRC(v, VOLUME, NameNamespace);
	const struct cim_value *other = SRC(v, VOLUME, OtherIdentifyingInfo);
	const struct cim_value *what = SRC(v, VOLUME, IdentifyingDescriptions);

	bool naa = format.kind &&
		   (format.u == NF_NAA || format.u == NF_VPD83NAA6 || format.u == NF_VPD83NAA5);

	for (uint32_t i = 0; !naa && other->kind == CIM_V_ARRAY && what->kind == CIM_V_ARRAY &&
			     i < other->n && i < what->n;
	     i++)
		if (strncmp(what->a[i].s, "NAA", 3) == 0) {
			id = other->a[i];
			format = cim_u16(NF_NAA);
			space = cim_u16(NN_VPD83_TYPE3);
			naa = true;
		}
	put(j, o, MSFT_SMStorageVolume_P_SMLunId, &id);
	put(j, o, MSFT_SMStorageVolume_P_SMLunIdFormat, &format);
	put_name_of(j, o, MSFT_SMStorageVolume_P_SMLunIdFormatDescription, &format, formats,
		    ARRAY_SIZE(formats));
	put(j, o, MSFT_SMStorageVolume_P_SMLunIdNamespace, &space);
	put_name_of(j, o, MSFT_SMStorageVolume_P_SMLunIdNamespaceDescription, &space, spaces,
		    ARRAY_SIZE(spaces));
}

static void make_volume(struct joining *j, struct src_obj *v)
{
	static const char *const accesses[] = {"Unknown", "Readable", "Writeable",
					       "Read/Write Supported", "Write Once"};
	struct sm_object *o = add(j, SM_VOLUME, &v->id, NULL);

	if (!o)
		return;
	const struct cim_value *status = SRC(v, VOLUME, OperationalStatus);
	const struct cim_value *said = SRC(v, VOLUME, StatusDescriptions);
	const struct cim_value *usage = SRC(v, VOLUME, Usage);

	v->out = o->num + 1;
	set_ident(j, SM_VOLUME, o, text(SRC(v, VOLUME, DeviceID)));
	put(j, o, MSFT_SMStorageVolume_P_DisplayName, SRC(v, VOLUME, ElementName));
#define COPY(n) put(j, o, MSFT_SMStorageVolume_P_##n, SRC(v, VOLUME, n))
	COPY(Name);
	COPY(NameFormat);
	COPY(NameNamespace);
	COPY(OtherNameFormat);
	COPY(OtherNameNamespace);
	COPY(BlockSize);
	COPY(NumberOfBlocks);
	COPY(ConsumableBlocks);
	COPY(Primordial);
	COPY(OtherIdentifyingInfo);
	COPY(IdentifyingDescriptions);
	COPY(NoSinglePointOfFailure);
	COPY(DataRedundancy);
	COPY(PackageRedundancy);
	COPY(Access);
	COPY(Usage);
#undef COPY
	put_lun_id(j, o, v);
	put_u16(o, MSFT_SMStorageVolume_P_ExtentStripeLength, SRC(v, VOLUME, ExtentStripeLength));
	put_name_of(j, o, MSFT_SMStorageVolume_P_AccessDescription, SRC(v, VOLUME, Access),
		    accesses, ARRAY_SIZE(accesses));
	put_mapped_status(j, o, MSFT_SMStorageVolume_P_OperationalStatus, status, volume_status);
	if (said->kind == CIM_V_ARRAY && said->n)
		put_text(j, o, MSFT_SMStorageVolume_P_StatusDescription, text(&said->a[0]));
	else
		put_status_text(j, o, MSFT_SMStorageVolume_P_StatusDescription,
				&o->v[MSFT_SMStorageVolume_P_OperationalStatus]);
	put_health(j, o, MSFT_SMStorageVolume_P_HealthStatus,
		   MSFT_SMStorageVolume_P_HealthStatusDescription, status);
	if (cim_is_null(SRC(v, VOLUME, ThinlyProvisioned)))
		set_bool(o, MSFT_SMStorageVolume_P_ThinlyProvisioned, false);
	else
		put(j, o, MSFT_SMStorageVolume_P_ThinlyProvisioned,
		    SRC(v, VOLUME, ThinlyProvisioned));
	/* a delta replica's target is what is called a snapshot */
	set_bool(o, MSFT_SMStorageVolume_P_IsSnapshot, usage->kind && usage->u == 12);
}

static void volume_setting(struct joining *j, struct sm_object *o, const struct src_obj *s)
{
	put(j, o, MSFT_SMStorageVolume_P_ParityLayout, SRC(s, SETTING, ParityLayout));
	put(j, o, MSFT_SMStorageVolume_P_UserDataStripeDepth, SRC(s, SETTING, UserDataStripeDepth));
	if (cim_is_null(&o->v[MSFT_SMStorageVolume_P_ExtentStripeLength]))
		put(j, o, MSFT_SMStorageVolume_P_ExtentStripeLength,
		    SRC(s, SETTING, ExtentStripeLength));
}

/* A value in words: those that the class it comes from has for it. */
static const char *word_of(const struct cim_prop *p, uint64_t u)
{
	const struct cim_qual *map = cim_qual_find(p->quals, p->n_quals, "ValueMap");
	const struct cim_qual *words = cim_qual_find(p->quals, p->n_quals, "Values");

	for (uint32_t i = 0; map && words && i < map->value.n && i < words->value.n; i++) {
		const struct cim_value *m = &map->value.a[i];
		const char *dots = strstr(m->s, "..");
		uint64_t from = 0, to = UINT64_MAX;

		/* "6", "6..9", "32768..": what is left open has no bound */
		if (str_u64(m->s, dots ? (size_t)(dots - m->s) : m->n, UINT64_MAX, &from) && !dots)
			to = from;
		else if (dots && dots[2])
			(void)!str_u64(dots + 2, strlen(dots + 2), UINT64_MAX, &to);
		if (u >= from && u <= to)
			return words->value.a[i].s;
	}
	return NULL;
}

#define COPY_PROP(from, to)                                              \
	{                                                                \
		SRCP_COPY_##from, MSFT_SMStorageSynchronized_P_##to, -1, \
			CIM_StorageSynchronized_P_##from                 \
	}
#define COPY_WORD(name)                                                   \
	{                                                                 \
		SRCP_COPY_##name, MSFT_SMStorageSynchronized_P_##name,    \
			MSFT_SMStorageSynchronized_P_##name##Description, \
			CIM_StorageSynchronized_P_##name                  \
	}
/* What a copy says of itself, number for number, and those that are told in words too.
 * RecoveryPointObjective has no source: no property of CIM_StorageSynchronized says it. */
static const struct {
	enum src_prop from;
	int to, words, there;
} copy_props[] = {
	COPY_WORD(CopyState),
	COPY_WORD(SyncType),
	COPY_WORD(Mode),
	COPY_WORD(ProgressStatus),
	COPY_WORD(CopyType),
	COPY_WORD(ReplicaType),
	COPY_WORD(SyncState),
	COPY_WORD(CopyPriority),
	COPY_WORD(CopyMethodology),
	COPY_PROP(RequestedCopyState, RequestedCopyState),
	COPY_PROP(PercentSynced, PercentSynced),
	COPY_PROP(SyncMaintained, SyncMaintained),
	COPY_PROP(WhenSynced, WhenSynced),
	COPY_PROP(WhenEstablished, WhenEstablished),
	COPY_PROP(WhenSynchronized, WhenSynchronized),
	COPY_PROP(WhenActivated, WhenActivated),
	COPY_PROP(WhenDeactivated, WhenDeactivated),
	COPY_PROP(WhenSuspended, WhenSuspended),
};
#undef COPY_WORD
#undef COPY_PROP

/* A volume and its copy.  Copies whose other end isn't here (in another array, or no volume) have
 * no place in this class: MSFT_SMStorageVolumeToReplicaPeer would be theirs. */
static void make_copies(struct joining *j)
{
	const uint16_t first = src_kind_info(SRC_COPY)->first;
	const struct cim_class *there = &cim_class_CIM_StorageSynchronized;

	EACH (j, COPY, l) {
		struct src_obj *from = find(j, SRC_VOLUME, &l->ref[0]);
		struct src_obj *to = find(j, SRC_VOLUME, &l->ref[1]);

		if (!from || !to || !from->out || !to->out) {
			dangling(j, l);
			continue;
		}
		if (from == to) {
			harvest_note(j->h, "%s of a volume with itself",
				     src_kind_info(l->kind)->cls);
			continue;
		}
		struct cim_value *v = sm_image_link_more(j->img, SM_VOLUME_COPY, from->out - 1,
							 to->out - 1);

		if (!v) {
			j->full = true;
			return;
		}
		v[MSFT_SMStorageSynchronized_P_RequestedCopyState] = cim_u16(15); /* as declared */
		for (size_t i = 0; i < ARRAY_SIZE(copy_props); i++) {
			const struct cim_value *x = src_link_(l, copy_props[i].from, first);
			struct cim_value *at = &v[copy_props[i].to];

			if (cim_is_null(x))
				continue;
			if (!cim_value_dup(j->a, x, at))
				j->full = true;
			if (copy_props[i].words >= 0)
				v[copy_props[i].words] = cim_str(
					word_of(there->props[copy_props[i].there], x->u));
		}
	}
}

static void make_pools(struct joining *j)
{
	struct src_obj *x, *y;
	uint32_t n_caps = harvest_count(j->h, SRC_POOLCAP);
	struct multi settings = multi_of(n_caps); /* of a capabilities object */
	uint8_t *hosted = xcalloc((size_t)harvest_count(j->h, SRC_POOL) + 1, 1);
	uint8_t *capable = xcalloc((size_t)harvest_count(j->h, SRC_POOL) + 1, 1);

	EACH (j, POOL, p)
		make_pool(j, p);
	EACH (j, HOSTEDPOOL, l) {
		if (!ends(j, l, SRC_SYSTEM, SRC_POOL, &x, &y)) {
			dangling(j, l);
			continue;
		}
		if (x->out && y->out) {
			link_system(j, SM_SYSTEM_POOL, x->out, y->out - 1);
			hosted[y->num] = 1;
		}
	}
	EACH (j, POOL, p)
		if (p->out && !hosted[p->num])
			link_system(j, SM_SYSTEM_POOL, system_of(j, NULL, 0), p->out - 1);
	/* only the settings that capabilities offer; others belong to volumes */
	EACH (j, CAPSETTING, l) {
		if (!ends(j, l, SRC_POOLCAP, SRC_SETTING, &x, &y)) {
			dangling(j, l);
			continue;
		}
		if (!y->out)
			make_setting(j, y);
		if (y->out)
			multi_add(&settings, x->num, y->out - 1);
	}
	EACH (j, ELEMCAP, l) {
		x = find(j, SRC_POOL, &l->ref[0]);
		y = find(j, SRC_POOLCAP, &l->ref[1]);
		if (!x || !y || !x->out)
			continue;
		struct sm_object *o = sm_image_edit(j->img, SM_POOL, x->out - 1);

		capable[x->num] = 1;
		pool_caps(j, o, y);
		MULTI_EACH (&settings, y->num, i) {
			struct sm_object *s = sm_image_edit(j->img, SM_SETTING, settings.to[i - 1]);

			if (!link_to(j, SM_POOL_SETTING, o->num, s->num))
				break;
			if (cim_is_null(&o->v[MSFT_SMPool_P_DefaultSettingName]))
				o->v[MSFT_SMPool_P_DefaultSettingName] =
					s->v[MSFT_SMPoolSetting_P_DisplayName];
		}
	}
	/* arrays with one capabilities object for all pools tie it to a service, or to nothing */
	if (n_caps == 1)
		EACH (j, POOL, p)
			if (p->out && !capable[p->num])
				pool_caps(j, sm_image_edit(j->img, SM_POOL, p->out - 1),
					  harvest_first(j->h, SRC_POOLCAP));
	EACH (j, VOLUME, v)
		make_volume(j, v);
	EACH (j, ELEMSET, l) {
		x = find(j, SRC_VOLUME, &l->ref[0]);
		y = find(j, SRC_SETTING, &l->ref[1]);
		if (x && y && x->out)
			volume_setting(j, sm_image_edit(j->img, SM_VOLUME, x->out - 1), y);
	}
	EACH (j, ALLOC, l) {
		x = find(j, SRC_POOL, &l->ref[0]);
		if (x && (y = find(j, SRC_VOLUME, &l->ref[1]))) {
			if (x->out && y->out)
				sm_image_link(j->img, SM_POOL_VOLUME, x->out - 1, y->out - 1);
		} else if (x && (y = find(j, SRC_POOL, &l->ref[1]))) {
			if (x->out && y->out && SRC(x, POOL, Primordial)->u)
				sm_image_link(j->img, SM_POOL_POOL, x->out - 1, y->out - 1);
		} else if (scope_reads(&j->s->scope, SRC_VOLUME) &&
			   scope_reads(&j->s->scope, SRC_POOL)) {
			dangling(j, l);
		}
	}
	multi_done(&settings);
	free(hosted);
	free(capable);
}

/* ---- disk drives ---- */

/* CIM_DiskDrive.OperationalStatus has more values than MSFT_SMDiskDrive's. */
static uint16_t disk_status(uint64_t s)
{
	switch (s) {
	case 2:
	case 5:
	case 6:
	case 8:
	case 9:
	case 10:
		return (uint16_t)s;
	case 11: /* in service, completed, power mode: it works */
	case 17:
	case 18:
		return 2;
	case 3: /* degraded, stressed */
	case 4:
		return 5;
	case 15:
		return 10;
	default:
		return 6;
	}
}

static void make_disk(struct joining *j, struct src_obj *d)
{
	struct sm_object *o = add(j, SM_DISK, &d->id, NULL);

	if (!o)
		return;
	const struct cim_value *status = SRC(d, DISK, OperationalStatus);
	const struct cim_value *said = SRC(d, DISK, StatusDescriptions);
	const struct cim_value *rpm = SRC(d, DISK, RPM);

	d->out = o->num + 1;
	set_ident(j, SM_DISK, o, text(SRC(d, DISK, DeviceID)));
	put(j, o, MSFT_SMDiskDrive_P_DeviceId, SRC(d, DISK, DeviceID));
	put(j, o, MSFT_SMDiskDrive_P_DisplayName, SRC(d, DISK, ElementName));
#define COPY(n) put(j, o, MSFT_SMDiskDrive_P_##n, SRC(d, DISK, n))
	COPY(Name);
	COPY(SystemName);
	COPY(Description);
	COPY(DiskType);
	COPY(Encryption);
	COPY(CompressionMethod);
#undef COPY
	if (!cim_is_null(rpm))
		o->v[MSFT_SMDiskDrive_P_SpindleSpeed] = cim_u64(rpm->u);
	put_mapped_status(j, o, MSFT_SMDiskDrive_P_OperationalStatus, status, disk_status);
	if (said->kind == CIM_V_ARRAY && said->n)
		put_text(j, o, MSFT_SMDiskDrive_P_StatusDescription, text(&said->a[0]));
	else
		put_status_text(j, o, MSFT_SMDiskDrive_P_StatusDescription,
				&o->v[MSFT_SMDiskDrive_P_OperationalStatus]);
	put_health(j, o, MSFT_SMDiskDrive_P_HealthStatus,
		   MSFT_SMDiskDrive_P_HealthStatusDescription, status);
}

/* blocks * size; what doesn't fit isn't known. */
static void put_size(struct sm_object *o, int prop, const struct cim_value *blocks,
		     const struct cim_value *size)
{
	uint64_t bytes;

	if (!cim_is_null(blocks) && !cim_is_null(size) &&
	    !__builtin_mul_overflow(blocks->u, size->u, &bytes))
		o->v[prop] = cim_u64(bytes);
}

/* The medium of a drive, of which there is one; a second one is another drive's mistake. */
static void disk_medium(struct sm_object *o, const struct src_obj *x)
{
	const struct cim_value *size = SRC(x, EXTENT, BlockSize);

	if (!cim_is_null(&o->v[MSFT_SMDiskDrive_P_BytesPerLogicalSector]))
		return;
	o->v[MSFT_SMDiskDrive_P_BytesPerLogicalSector] = *size;
	put_size(o, MSFT_SMDiskDrive_P_TotalSize, SRC(x, EXTENT, NumberOfBlocks), size);
	put_size(o, MSFT_SMDiskDrive_P_AllocatedSize, SRC(x, EXTENT, ConsumableBlocks), size);
}

static void make_disks(struct joining *j)
{
	struct multi places = multi_of(harvest_count(j->h, SRC_PACKAGE)); /* drives of a package */
	struct src_obj *x, *y;

	EACH (j, DISK, d)
		make_disk(j, d);
	EACH (j, MEDIA, l) {
		if (!ends(j, l, SRC_DISK, SRC_EXTENT, &x, &y)) {
			dangling(j, l);
			continue;
		}
		if (!x->out)
			continue;
		y->out = x->out; /* what is made of the extent is made of the drive */
		disk_medium(sm_image_edit(j->img, SM_DISK, x->out - 1), y);
	}
	EACH (j, COMPONENT, l) /* other things have components, too */
		if (ends(j, l, SRC_POOL, SRC_EXTENT, &x, &y) && x->out && y->out)
			sm_image_link(j->img, SM_DISK_POOL, y->out - 1, x->out - 1);
	EACH (j, REALIZES, l) {
		if (!ends(j, l, SRC_PACKAGE, SRC_DISK, &x, &y) || !y->out)
			continue;
		struct sm_object *o = sm_image_edit(j->img, SM_DISK, y->out - 1);

		put(j, o, MSFT_SMDiskDrive_P_Manufacturer, SRC(x, PACKAGE, Manufacturer));
		put(j, o, MSFT_SMDiskDrive_P_Model, SRC(x, PACKAGE, Model));
		/* the page names Model as the source of SerialNumber, which can't be meant */
		put(j, o, MSFT_SMDiskDrive_P_SerialNumber, SRC(x, PACKAGE, SerialNumber));
		put(j, o, MSFT_SMDiskDrive_P_PartNumber, SRC(x, PACKAGE, PartNumber));
		multi_add(&places, x->num, o->num);
	}
	EACH (j, DEVSW, l) {
		if (!ends(j, l, SRC_SW, SRC_DISK, &x, &y) || !y->out)
			continue;
		struct sm_object *o = sm_image_edit(j->img, SM_DISK, y->out - 1);

		put(j, o, MSFT_SMDiskDrive_P_FirmwareVersion, SRC(x, SW, VersionString));
		put(j, o, MSFT_SMDiskDrive_P_SoftwareVersion, SRC(x, SW, VersionString));
	}
	EACH (j, PLACED, l) {
		if (!ends(j, l, SRC_PACKAGE, SRC_LOCATION, &x, &y))
			continue;
		MULTI_EACH (&places, x->num, i)
			put(j, sm_image_edit(j->img, SM_DISK, places.to[i - 1]),
			    MSFT_SMDiskDrive_P_PhysicalLocation,
			    SRC(y, LOCATION, PhysicalPosition));
		places.first[x->num] = 0; /* a package is in one place */
	}
	multi_done(&places);
}

/* ---- masking ---- */

static void make_hwids(struct joining *j)
{
	struct cim_value windows = cim_u16(15);
	struct cim_value dflt = cim_array(CIM_UINT16, &windows, 1);

	EACH (j, HWID, h) {
		struct sm_object *o = add(j, SM_HWID, &h->id, NULL);

		if (!o)
			return;
		h->out = o->num + 1;
		set_ident(j, SM_HWID, o, text(SRC(h, HWID, InstanceID)));
		put(j, o, MSFT_SMStorageHardwareID_P_StorageID, SRC(h, HWID, StorageID));
		put(j, o, MSFT_SMStorageHardwareID_P_IDType, SRC(h, HWID, IDType));
		put(j, o, MSFT_SMStorageHardwareID_P_HostTypes, &dflt);
		put_names(j, o, MSFT_SMStorageHardwareID_P_HostTypeDescriptions, &dflt,
			  sm_host_type_name);
		link_system(j, SM_SYSTEM_HWID, system_of(j, NULL, 0), o->num);
	}
	EACH (j, ELEMSET, l) {
		struct src_obj *h = find(j, SRC_HWID, &l->ref[0]);
		struct src_obj *c = find(j, SRC_CLIENT, &l->ref[1]);

		if (!h || !c || !h->out)
			continue;
		struct sm_object *o = sm_image_edit(j->img, SM_HWID, h->out - 1);

		put(j, o, MSFT_SMStorageHardwareID_P_HostTypes, SRC(c, CLIENT, ClientTypes));
		put_names(j, o, MSFT_SMStorageHardwareID_P_HostTypeDescriptions,
			  SRC(c, CLIENT, ClientTypes), sm_host_type_name);
		put(j, o, MSFT_SMStorageHardwareID_P_OtherHostTypeDescriptions,
		    SRC(c, CLIENT, OtherClientTypeDescriptions));
	}
}

static void make_group(struct joining *j, struct src_obj *c)
{
	struct sm_object *o = c->out ? NULL : add(j, SM_GROUP, &c->id, NULL);

	if (!o)
		return;
	const struct cim_value *shown = SRC(c, CTRL, ElementName), *name = SRC(c, CTRL, Name);

	c->out = o->num + 1;
	set_ident(j, SM_GROUP, o, text(SRC(c, CTRL, DeviceID)));
	put(j, o, MSFT_SMStorageGroup_P_Name, name);
	put(j, o, MSFT_SMStorageGroup_P_DisplayName, text(shown) ? shown : name);
	link_system(j, SM_SYSTEM_GROUP, system_named(j, SRC(c, CTRL, SystemName)), o->num);
}

enum { NAMEFORMAT_ISCSI = 3 };

static void make_groups(struct joining *j)
{
	struct multi views = multi_of(harvest_count(j->h, SRC_PRIV)); /* of a privilege */
	struct src_obj *x, *y;

	/* A controller is a masking view; an iSCSI node is one, too, where units hang on it. */
	EACH (j, UNIT, l)
		if (ends(j, l, SRC_CTRL, SRC_VOLUME, &x, &y))
			make_group(j, x);
		else
			dangling(j, l);
	EACH (j, AUTHTGT, l)
		if (ends(j, l, SRC_PRIV, SRC_CTRL, &x, &y))
			make_group(j, y);
	EACH (j, CTRL, c)
		if (SRC(c, CTRL, NameFormat)->u != NAMEFORMAT_ISCSI)
			make_group(j, c);

	EACH (j, UNIT, l)
		if (ends(j, l, SRC_CTRL, SRC_VOLUME, &x, &y) && x->out && y->out)
			sm_image_link(j->img, SM_GROUP_VOLUME, x->out - 1, y->out - 1);
	EACH (j, SAPAVAIL, l)
		if (ends(j, l, SRC_CTRL, SRC_EP, &x, &y) && x->out && y->out)
			sm_image_link(j->img, SM_GROUP_ENDPOINT, x->out - 1, y->out - 1);
	EACH (j, AUTHTGT, l)
		if (ends(j, l, SRC_PRIV, SRC_CTRL, &x, &y) && y->out)
			multi_add(&views, x->num, y->out - 1);
	EACH (j, AUTHSUBJ, l)
		if (ends(j, l, SRC_PRIV, SRC_HWID, &x, &y) && y->out)
			MULTI_EACH (&views, x->num, i)
				if (!link_to(j, SM_GROUP_HWID, views.to[i - 1], y->out - 1))
					break;
	multi_done(&views);
}

/* ---- the provider's jobs ---- */

static void make_jobs(struct joining *j)
{
	struct src_obj *x, *y;

	EACH (j, JOB, s) {
		struct sm_object *o = add(j, SM_JOB, &s->id, NULL);

		if (!o)
			return;
		s->out = o->num + 1;
#define COPY(n) put(j, o, MSFT_SMJob_P_##n, SRC(s, JOB, n))
		COPY(Description);
		COPY(ElapsedTime);
		COPY(ErrorCode);
		COPY(ErrorDescription);
		COPY(JobState);
		COPY(JobStatus);
		COPY(LocalOrUtcTime);
		COPY(OperationalStatus);
		COPY(PercentComplete);
		COPY(StartTime);
		COPY(StatusDescriptions);
		COPY(TimeBeforeRemoval);
		COPY(TimeOfLastStateChange);
		COPY(TimeSubmitted);
#undef COPY
	}
	EACH (j, AFFECTED, l) {
		if (ends(j, l, SRC_JOB, SRC_POOL, &x, &y) && x->out && y->out)
			sm_image_link(j->img, SM_JOB_POOL, x->out - 1, y->out - 1);
		else if (ends(j, l, SRC_JOB, SRC_CTRL, &x, &y) && x->out && y->out)
			sm_image_link(j->img, SM_JOB_GROUP, x->out - 1, y->out - 1);
		else if (ends(j, l, SRC_JOB, SRC_VOLUME, &x, &y) && x->out && y->out)
			sm_image_link(j->img, SM_JOB_VOLUME, x->out - 1, y->out - 1);
	}
}

/* ---- identifiers ---- */

struct ident {
	struct sm_object *o;
	const struct cim_value *v;
	uint32_t sys;
};

static int cmp_ident(const void *a, const void *b)
{
	const struct ident *x = a, *y = b;

	if (x->sys != y->sys)
		return x->sys < y->sys ? -1 : 1;
	return strcmp(x->v->s, y->v->s);
}

/* Identifier is unique in a storage system; a system's objects carry the hash of their keys
 * behind it where the provider's own names aren't. */
static void unique_idents(struct joining *j, enum sm_kind k)
{
	int prop = sm_kind_info(k)->ident;
	uint32_t n = sm_image_count(j->img, k);
	struct ident *list = xcalloc((size_t)n + 1, sizeof(*list));

	for (uint32_t i = 0; i < n; i++) {
		struct sm_object *o = sm_image_edit(j->img, k, i);

		list[i] = (struct ident){o, &o->v[prop], 0};
	}
	if (n)
		qsort(list, n, sizeof(*list), cmp_ident);
	for (uint32_t i = 0; i < n;) {
		uint32_t end = i + 1;
		char same[1024];

		snprintf(same, sizeof(same), "%s", list[i].v->s);
		while (end < n && cmp_ident(&list[i], &list[end]) == 0)
			end++;
		for (uint32_t m = i; end - i > 1 && m < end; m++) {
			char *s = arena_printf(j->a, "%s#%.8s", same,
					       strrchr(list[m].o->id, ':') + 1);

			if (s)
				list[m].o->v[prop] = cim_str(s);
		}
		i = end;
	}
	free(list);
}

int join(struct harvest *h, const struct join_source *s, size_t bytes, struct sm_image **ret,
	 struct err *e)
{
	AUTO(sm_image) img = sm_image_new(bytes);
	struct joining j = {.h = h, .s = s, .img = img, .a = sm_image_arena(img)};

	make_provider(&j);
	make_systems(&j);
	index_systems(&j);
	make_caps(&j);
	make_endpoints(&j);
	make_protocol_endpoints(&j);
	make_pools(&j);
	make_copies(&j);
	make_disks(&j);
	make_hwids(&j);
	make_groups(&j);
	make_jobs(&j);
	static const enum sm_kind named[] = {SM_SYSTEM, SM_ENDPOINT, SM_PORTAL, SM_GROUP, SM_HWID,
					     SM_POOL,   SM_SETTING,  SM_VOLUME, SM_DISK};

	for (size_t i = 0; i < ARRAY_SIZE(named) && !j.full; i++)
		unique_idents(&j, named[i]);
	free(j.systems);
	if (j.full || sm_image_full(img))
		return err_set(e, -E2BIG, "the provider's objects need more memory than allowed");
	int r = sm_image_finish(img, e);

	if (r < 0)
		return r;
	if (r > 0)
		harvest_note(h, "%d objects or copies that can't be told apart by their keys", r);
	*ret = take(img);
	return 0;
}
