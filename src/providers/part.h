/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part.h - what the files of this room share: ids, positions, legs of associations, status
 *
 * Objects are handles into the view: prov_obj.p is the san object itself (or the constant that
 * a registered profile or a namespace stands for); of classes that exist once per host it is
 * the host.  The same object has the same handle wherever it is met in one view.
 *
 * Depends on: providers.h.  Threads: no state.
 */
#pragma once

#include "gen/schema.h"
#include "providers/providers.h"

/* Every class that has instances; the broker's tables are in this order. */
enum pv_class {
	/* array.c */
	PV_SYSTEM,
	/* physical.c */
	PV_PACKAGE,
	/* ip.c */
	PV_NIC,
	PV_IP,
	/* iscsi_target_ports.c */
	PV_NODE,
	PV_PORT, /* target ports (san_port) and initiator ports of sessions (san_session) */
	PV_PORTAL,
	PV_GROUP,
	PV_ISCSI_CAPS,
	PV_SESSION,
	PV_CONNECTION, /* p: its san_session, aux: which */
	/* statistics.c */
	PV_LOGIN_STATS,      /* p: its san_node */
	PV_SESSION_FAILURES, /* p: its san_node */
	PV_SESSION_STATS,    /* p: its san_session */
	/* settings.c */
	PV_SESSION_SETTINGS,
	PV_CONNECTION_SETTINGS,
	/* iscsi_config.c */
	PV_ISCSI_SERVICE,
	PV_ISCSI_SERVICE_CAPS,
	/* block_services.c */
	PV_POOL,
	PV_VOLUME,
	PV_SETTING,      /* p: its san_unit */
	PV_STORAGE_CAPS, /* p: its san_pool */
	PV_STORAGE_SERVICE,
	PV_STORAGE_SERVICE_CAPS, /* p: the host (the service's) or a san_pool (the pool's) */
	/* masking.c */
	PV_CONTROLLER_SERVICE,
	PV_MASKING_CAPS,
	/* foreign.c */
	PV_FOREIGN,
	/* server.c, in interop */
	PV_OBJECT_MANAGER,
	PV_INTEROP_SYSTEM,
	PV_NAMESPACE,
	PV_MECHANISM,
	PV_SOFTWARE,
	/* registration.c, in interop */
	PV_PROFILE,
	PV_SUBPROFILE,
	PV_CLASSES
};

enum pv_assoc {
	PV_PACKAGING,
	PV_NET_SYSTEM_DEVICE,
	PV_SYSTEM_DEVICE,
	PV_SAP_IMPLEMENTATION,
	PV_NET_HOSTED_ACCESS_POINT,
	PV_HOSTED_ACCESS_POINT,
	PV_BINDS_TO,
	PV_SAP_AVAILABLE,
	PV_MEMBER_OF_COLLECTION,
	PV_HOSTED_COLLECTION,
	PV_HOSTED_SERVICE,
	PV_ELEMENT_CAPABILITIES,
	PV_ENDPOINT_OF_PIPE,
	PV_PIPE_COMPOSITION,
	PV_STATISTICS_OF,
	PV_HOSTED_POOL,
	PV_ALLOCATED_FROM,
	PV_ELEMENT_SETTING,
	PV_CONTROLLER_FOR_UNIT,
	PV_CONCRETE_DEPENDENCY,
	PV_CONFORMS,    /* in the vendor namespace */
	PV_CONFORMS_IN, /* the same links, in interop */
	PV_ELEMENT_SOFTWARE,
	PV_ELEMENT_SOFTWARE_IN,
	PV_MANAGER_HOSTED_SERVICE,
	PV_MANAGER_HOSTED_ACCESS_POINT,
	PV_NAMESPACE_IN_MANAGER,
	PV_MECHANISM_FOR_MANAGER,
	PV_SUBPROFILE_REQUIRES,
	PV_REFERENCED_PROFILE,
	PV_ASSOCS
};

/* What providers_fill makes: the module's tables, with room for what they point to. */
struct pv {
	struct prov_class classes[PV_CLASSES];
	struct prov_assoc assocs[PV_ASSOCS];
	const struct providers_server *server;
	struct prov_method *methods;
	struct prov_edit *edits;
};

static inline const struct san_state *pv_state(const struct prov_ctx *c)
{
	return c->view;
}
static inline const struct providers_server *pv_server_of(const struct prov_ctx *c)
{
	/* The class table stands first in ours. */
	return ((const struct pv *)(const void *)c->mod->classes)->server;
}
static inline bool pv_is(const struct prov_ctx *c, const struct prov_obj *o, enum pv_class k)
{
	return o->pc == &c->mod->classes[k];
}
static inline bool pv_set(const struct prov_ctx *c, enum pv_class k, const void *p,
			  struct prov_obj *ret)
{
	if (!p)
		return false;
	*ret = (struct prov_obj){.pc = &c->mod->classes[k], .p = p};
	return true;
}

/* ---- positions ---- */

/* A position in a listing, which may have several phases.  All zero: before the first. */
struct pv_pos {
	uint32_t phase;
	uint32_t begun; /* in this phase */
	struct san_walk walk;
};

/* The next object of a listing (from: NULL), or of those on the other end of an association
 * from `from`. */
typedef bool pv_step(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		     struct prov_obj *ret);

static inline const void *pv_next(const struct prov_ctx *c, struct pv_pos *pos, enum san_index i)
{
	if (pos->begun)
		return san_next(&pos->walk);
	pos->begun = 1;
	return san_first(&pos->walk, pv_state(c), i);
}
static inline const void *pv_next_of(const struct prov_ctx *c, struct pv_pos *pos,
				     enum san_index i, uint64_t owner)
{
	if (pos->begun)
		return san_next(&pos->walk);
	pos->begun = 1;
	return san_first_of(&pos->walk, pv_state(c), i, owner);
}
static inline void pv_next_phase(struct pv_pos *pos)
{
	pos->phase++;
	pos->begun = 0;
}
/* The only object of a listing; p NULL: there is none. */
static inline bool pv_only(const struct prov_ctx *c, struct pv_pos *pos, enum pv_class k,
			   const void *p, struct prov_obj *ret)
{
	if (pos->begun)
		return false;
	pos->begun = 1;
	return pv_set(c, k, p, ret);
}

/* Makes name, for a class table's next, of a step. */
#define PV_NEXT(name, step)                                                              \
	static bool name(const struct prov_ctx *c, struct prov_iter *it,                 \
			 struct prov_obj *ret)                                           \
	{                                                                                \
		_Static_assert(sizeof(struct pv_pos) <= sizeof(*it), "a position fits"); \
		return step(c, NULL, (struct pv_pos *)(void *)it, ret);                  \
	}
/* Makes name, for a class table's count, of the size of an index. */
#define PV_COUNT(name, index)                           \
	static uint64_t name(const struct prov_ctx *c)  \
	{                                               \
		return san_count(pv_state(c), (index)); \
	}
/* The step of a class that exists once per host. */
static inline bool pv_host_as(const struct prov_ctx *c, enum pv_class k, struct pv_pos *pos,
			      struct prov_obj *ret)
{
	return pv_only(c, pos, k, pv_state(c)->host, ret);
}

/* ---- associations ---- */

/* An association is a list of legs, each between two classes. */
struct pv_leg {
	enum pv_class end[2];
	pv_step *right; /* end 1 of the links that have `from` as end 0 */
	pv_step *left;  /* end 0 of the links that have `from` as end 1 */
	/* All links: from every object that list gives, which are of class end[by]. */
	pv_step *list;
	uint8_t by;
};
struct pv_legs {
	enum pv_assoc id;
	uint8_t n;
	struct pv_leg leg[6];
};
/* A step that nests two walks may count on this room around its position; then no listing may go
 * through it (that has no room to spare). */
struct pv_wide {
	struct pv_pos pos;
	struct san_walk outer;
	const struct san_session *x;
};
bool pv_legs_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_link *ret,
		  const struct pv_legs *l);
bool pv_legs_walk(const struct prov_ctx *c, int which, const struct prov_obj *from,
		  struct prov_iter *it, struct prov_link *ret, const struct pv_legs *l);
/* Makes name_next and name_walk, for an association table, of the struct pv_legs name. */
#define PV_ASSOC(name)                                                                        \
	static bool name##_next(const struct prov_ctx *c, struct prov_iter *it,               \
				struct prov_link *ret)                                        \
	{                                                                                     \
		return pv_legs_next(c, it, ret, &(name));                                     \
	}                                                                                     \
	static bool name##_walk(const struct prov_ctx *c, int which,                          \
				const struct prov_obj *from, struct prov_iter *it,            \
				struct prov_link *ret)                                        \
	{                                                                                     \
		return pv_legs_walk(c, which, from, it, ret, &(name));                        \
	}

/* Steps that several files share.  Those of a class that exists once per host lead there from
 * anything, and list it. */
pv_step pv_to_system, pv_to_iscsi_caps, pv_to_iscsi_service, pv_to_iscsi_service_caps,
	pv_to_storage_service, pv_to_controller_service, pv_to_masking_caps;
pv_step pv_list_nics, pv_list_ips, pv_list_nodes, pv_list_portals, pv_list_groups, pv_list_pools,
	pv_list_volumes;
pv_step pv_list_target_ports, pv_list_sessions;
pv_step pv_setting_of_volume, pv_volume_of_setting;
pv_step pv_caps_of_pool, pv_pool_of_caps, pv_service_caps_of_pool, pv_pool_of_service_caps,
	pv_caps_of_storage_service, pv_storage_service_of_caps;
pv_step pv_list_initiators; /* as iSCSI ports */
/* A session that shows, or NULL. */
const struct san_session *pv_session(const struct prov_ctx *c, uint64_t id);
/* How an initiator's port looks: the part of PV_PORT that is san_session. */
const struct san_session *pv_initiator(const struct san_state *s, const char *port_name);
void pv_initiator_fill(const struct prov_ctx *c, const struct san_session *x,
		       struct cim_instance *i);

static inline enum san_kind pv_kind(const struct prov_obj *o)
{
	return ((const struct san_obj *)o->p)->kind;
}

/* ---- values ---- */

static inline struct cim_value pv_str(const struct san_str *s)
{
	return cim_strn(s->s, s->len);
}
/* Of a string literal. */
#define PV_TEXT(lit) cim_strn(lit, sizeof(lit) - 1)
/* An element of a constant uint16 array. */
#define PV_U16(x) {.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = (x)}
/* Empty text is no text. */
static inline struct cim_value pv_words(const struct san_str *s)
{
	return s->len ? pv_str(s) : cim_null(CIM_STRING);
}
/* us 0: unknown, NULL. */
struct cim_value pv_time(const struct prov_ctx *c, int64_t us);

/* An InstanceID "smiscsi:<kind>:<id>", in the call's arena, and back. */
struct cim_value pv_instance_id(const struct prov_ctx *c, const char *kind, uint64_t id);
bool pv_instance_id_parse(const struct cim_value *v, const char *kind, uint64_t *ret);

/* Keys of the four shapes that classes come in, in class order (checked by the tests): a Name
 * that was there before it became a key stands first. */
void pv_keys_named(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value name,
		   struct cim_value *ret);
void pv_keys_device(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value id,
		    struct cim_value *ret);
/* The name among such keys, when all others are right; NULL: they are not. */
const char *pv_name_of_keys(const struct prov_ctx *c, const struct cim_class *cls,
			    const struct cim_value *keys);
const char *pv_device_of_keys(const struct prov_ctx *c, const struct cim_class *cls,
			      const struct cim_value *keys);
/* Is this text key value s? */
bool pv_key_is(const struct cim_value *v, const char *s);

/* The four properties in which CIM says how an element fares. */
struct pv_health {
	struct cim_value operational; /* OperationalStatus */
	struct cim_value descriptions; /* StatusDescriptions */
	uint16_t health;              /* HealthState */
	uint16_t enabled;             /* EnabledState of what is switched on */
};
const struct pv_health *pv_health(enum san_status s);
const struct pv_health *pv_nic_health(enum san_status s);
/* EnabledState of something that can be switched. */
static inline struct cim_value pv_enabled(const struct san_enabled *e, const struct pv_health *h)
{
	/* On by itself, off with what it belongs to: enabled but offline. */
	return cim_u16(!e->on ? 3 : h->enabled == 3 ? 6 : h->enabled);
}
/* How the host as a whole fares. */
const struct pv_health *pv_host_health(const struct san_state *s);
/* Also degraded while the target keeps something that it should not have: state's engine->why. */
const struct pv_health *pv_system_health(const struct san_state *s);
/* StatusDescriptions with words of the target behind the standing ones. */
struct cim_value pv_descriptions(const struct prov_ctx *c, const struct pv_health *h,
				 const struct san_str *why);

/* i->v[cls_P_prop] = value, for the properties of how it fares. */
#define PV_FARES(i, cls, h)                                                                    \
	do {                                                                                   \
		(i)->v[cls##_P_OperationalStatus] = (h)->operational;                          \
		(i)->v[cls##_P_StatusDescriptions] = (h)->descriptions;                        \
		(i)->v[cls##_P_HealthState] = cim_u16((h)->health);                            \
	} while (0)

/* ---- methods ---- */

static inline struct san_changes *pv_changes(const struct prov_call *call)
{
	return &((struct providers_change *)call->changes)->list;
}
static inline const struct san_env *pv_env(const struct prov_call *call)
{
	return &((const struct providers_change *)call->changes)->env;
}
/* A reference parameter as the rules want it; want: the class, k: ours of it.  ret (may be
 * NULL): the object, when found. */
struct san_ref pv_ref(const struct prov_call *call, const struct cim_value *v,
		      const struct cim_class *want, enum pv_class k, struct prov_obj *ret);
/* The path of an object that the call's changes make, as an output parameter. */
struct cim_value pv_made(const struct prov_call *call, enum pv_class k, enum san_kind kind,
			 uint64_t id);
struct cim_path *pv_made_path(const struct prov_call *call, enum pv_class k, enum san_kind kind,
			      uint64_t id);
/* RequestStateChange of something that can be switched. */
enum cim_status pv_request_state(struct prov_call *call, enum san_kind kind);
/* Return value 1, with why as its sentence. */
enum cim_status pv_not_supported(struct prov_call *call, const char *why);

/* ---- the parts ---- */

struct pv_class_row {
	enum pv_class id;
	struct prov_class c;
};
struct pv_assoc_row {
	enum pv_assoc id;
	struct prov_assoc a;
};
struct pv_part {
	const struct pv_class_row *classes;
	size_t n_classes;
	const struct pv_assoc_row *assocs;
	size_t n_assocs;
	const struct prov_method *methods;
	size_t n_methods;
	const struct prov_edit *edits;
	size_t n_edits;
};
extern const struct pv_part pv_array, pv_physical, pv_ip, pv_target_ports, pv_sessions, pv_statistics,
	pv_settings, pv_foreign, pv_iscsi_config, pv_block_services, pv_masking, pv_server, pv_registration;
