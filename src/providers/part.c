/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "gen/core.h"
#include "providers/part.h"

/* ---- associations ---- */

struct legs_pos {
	uint32_t leg;
	bool have_near;
	struct prov_obj near;
	struct pv_pos outer, inner;
};
struct legs_wide {
	uint32_t leg;
	struct pv_wide at;
};
_Static_assert(sizeof(struct legs_pos) <= sizeof(struct prov_iter), "a position fits");
_Static_assert(sizeof(struct legs_wide) <= sizeof(struct prov_iter), "a position fits");

static bool link_is(const struct prov_ctx *c, const struct pv_legs *l, int which,
		    const struct prov_obj *from, struct prov_link *ret)
{
	ret->pa = &c->mod->assocs[l->id];
	ret->end[which] = *from;
	ret->p = NULL;
	ret->aux = 0;
	return true;
}

bool pv_legs_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_link *ret,
		  const struct pv_legs *l)
{
	struct legs_pos *at = (struct legs_pos *)(void *)it;

	while (at->leg < l->n) {
		const struct pv_leg *leg = &l->leg[at->leg];
		pv_step *step = leg->by ? leg->left : leg->right;

		if (at->have_near && step(c, &at->near, &at->inner, &ret->end[!leg->by]))
			return link_is(c, l, leg->by, &at->near, ret);
		at->have_near = leg->list(c, NULL, &at->outer, &at->near);
		memset(&at->inner, 0, sizeof(at->inner));
		if (!at->have_near) {
			memset(&at->outer, 0, sizeof(at->outer));
			at->leg++;
		}
	}
	return false;
}

bool pv_legs_walk(const struct prov_ctx *c, int which, const struct prov_obj *from,
		  struct prov_iter *it, struct prov_link *ret, const struct pv_legs *l)
{
	struct legs_wide *at = (struct legs_wide *)(void *)it;

	for (; at->leg < l->n; at->leg++) {
		const struct pv_leg *leg = &l->leg[at->leg];
		pv_step *step = which ? leg->left : leg->right;

		if (pv_is(c, from, leg->end[which]) &&
		    step(c, from, &at->at.pos, &ret->end[!which]))
			return link_is(c, l, which, from, ret);
		memset(&at->at, 0, sizeof(at->at));
	}
	return false;
}

bool pv_to_system(const struct prov_ctx *c, const struct prov_obj *from UNUSED, struct pv_pos *pos,
		  struct prov_obj *ret)
{
	return pv_only(c, pos, PV_SYSTEM, pv_state(c)->host, ret);
}

/* ---- values ---- */

struct cim_value pv_time(const struct prov_ctx *c, int64_t us)
{
	char *at = us ? arena_alloc(c->arena, 26) : NULL;

	if (at)
		cim_datetime_put(at, us);
	else
		return cim_null(CIM_DATETIME);
	return cim_datetime(at);
}

struct cim_value pv_instance_id(const struct prov_ctx *c, const char *kind, uint64_t id)
{
	size_t n = strlen(kind);
	char *at = arena_alloc(c->arena, n + sizeof("smiscsi::") + 20);
	char *p = at;

	if (!at)
		return cim_null(CIM_STRING);
	p = mempcpy(p, "smiscsi:", 8);
	p = mempcpy(p, kind, n);
	*p++ = ':';
	p += str_put_u64(p, id);
	*p = '\0';
	return cim_strn(at, (size_t)(p - at));
}

bool pv_instance_id_parse(const struct cim_value *v, const char *kind, uint64_t *ret)
{
	size_t n = strlen(kind);

	if (v->kind != CIM_V_SCALAR || v->n <= n + 9 || memcmp(v->s, "smiscsi:", 8) != 0 ||
	    memcmp(v->s + 8, kind, n) != 0 || v->s[8 + n] != ':')
		return false;
	/* "smiscsi:group:02" is no name of group 2. */
	if (v->s[n + 9] == '0' && v->n > n + 10)
		return false;
	return str_u64(v->s + n + 9, v->n - n - 9, UINT64_MAX, ret);
}

bool pv_key_is(const struct cim_value *v, const char *s)
{
	return v->kind == CIM_V_SCALAR && v->n == strlen(s) && memcmp(v->s, s, v->n) == 0;
}

static struct cim_value class_name(const struct cim_class *cls)
{
	return cim_strn(cls->name, cls->name_len);
}

void pv_keys_named(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value name,
		   struct cim_value *ret)
{
	ret[0] = name;
	ret[1] = class_name(&cim_class_MSFTSM_ComputerSystem);
	ret[2] = pv_str(pv_state(c)->host->uuid);
	ret[3] = class_name(o->pc->cls);
}

void pv_keys_device(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value id,
		    struct cim_value *ret)
{
	ret[0] = class_name(&cim_class_MSFTSM_ComputerSystem);
	ret[1] = pv_str(pv_state(c)->host->uuid);
	ret[2] = class_name(o->pc->cls);
	ret[3] = id;
}

static bool keys_of_ours(const struct prov_ctx *c, const struct cim_class *cls,
			 const struct cim_value *scoping)
{
	return pv_key_is(&scoping[0], cim_class_MSFTSM_ComputerSystem.name) &&
	       pv_key_is(&scoping[1], pv_state(c)->host->uuid->s) &&
	       pv_key_is(&scoping[2], cls->name);
}

const char *pv_name_of_keys(const struct prov_ctx *c, const struct cim_class *cls,
			    const struct cim_value *keys)
{
	return keys[0].kind == CIM_V_SCALAR && keys_of_ours(c, cls, keys + 1) ? keys[0].s : NULL;
}

const char *pv_device_of_keys(const struct prov_ctx *c, const struct cim_class *cls,
			      const struct cim_value *keys)
{
	return keys[3].kind == CIM_V_SCALAR && keys_of_ours(c, cls, keys) ? keys[3].s : NULL;
}

/* ---- how things fare ---- */

/* The three tables of one state: OperationalStatus, its words, and both as values. */
#define FARES(name, n, ...)                                                                  \
	static const struct cim_value name##_codes[n] = __VA_ARGS__;                         \
	static const struct cim_value name##_words[n]
#define WORDS(text) \
	{.type = CIM_STRING, .kind = CIM_V_SCALAR, .n = sizeof(text) - 1, .s = (text)}
#define BOTH(name)                                                                           \
	{.type = CIM_UINT16, .kind = CIM_V_ARRAY, .n = ARRAY_SIZE(name##_codes),             \
	 .a = name##_codes},                                                                 \
	{                                                                                    \
		.type = CIM_STRING, .kind = CIM_V_ARRAY, .n = ARRAY_SIZE(name##_words),      \
		.a = name##_words                                                            \
	}

FARES(ok, 1, {PV_U16(2)}) = {WORDS("OK")};
FARES(disabled, 1, {PV_U16(10)}) = {WORDS("switched off")};
FARES(starting, 1, {PV_U16(8)}) = {WORDS("the target has not reported yet")};
FARES(no_portal, 1, {PV_U16(15)}) = {WORDS("no portal is bound to it, so nobody can reach it")};
FARES(degraded, 1, {PV_U16(3)}) = {WORDS("some of its portals do not serve")};
FARES(link_down, 1, {PV_U16(16)}) = {WORDS("the link of its network interface is down")};
FARES(nic_down, 1, {PV_U16(6)}) = {WORDS("the link is down")};
FARES(tentative, 1, {PV_U16(8)}) = {WORDS("duplicate address detection is under way")};
FARES(duplicate, 1, {PV_U16(6)}) = {WORDS("another host has the same address")};
FARES(gone, 1, {PV_U16(13)}) = {WORDS("its address has left the host")};
FARES(in_use, 1, {PV_U16(6)}) = {WORDS("another process listens on this address and port")};
FARES(failed, 1, {PV_U16(6)}) = {WORDS("it does not work")};
FARES(no_service, 2, {PV_U16(6), PV_U16(16)}) = {WORDS("nobody can reach it"),
						  WORDS("none of its portals serves")};
FARES(engine_down, 1, {PV_U16(12)}) = {WORDS("the target does not answer")};

static const struct pv_health healths[] = {
	[SAN_OK] = {BOTH(ok), 5, 2},
	[SAN_DISABLED] = {BOTH(disabled), 5, 3},
	[SAN_STARTING] = {BOTH(starting), 0, 10},
	[SAN_NO_PORTAL] = {BOTH(no_portal), 10, 6},
	[SAN_DEGRADED] = {BOTH(degraded), 10, 2},
	[SAN_LINK_DOWN] = {BOTH(link_down), 20, 6},
	[SAN_ADDRESS_TENTATIVE] = {BOTH(tentative), 10, 10},
	[SAN_ADDRESS_DUPLICATE] = {BOTH(duplicate), 20, 6},
	[SAN_ADDRESS_GONE] = {BOTH(gone), 20, 6},
	[SAN_PORT_IN_USE] = {BOTH(in_use), 20, 6},
	[SAN_FAILED] = {BOTH(failed), 20, 6},
	[SAN_NO_SERVICE] = {BOTH(no_service), 20, 6},
	[SAN_ENGINE_DOWN] = {BOTH(engine_down), 25, 6},
};

const struct pv_health *pv_health(enum san_status s)
{
	return &healths[s];
}

const struct pv_health *pv_nic_health(enum san_status s)
{
	static const struct pv_health down = {BOTH(nic_down), 20, 6};

	return s == SAN_LINK_DOWN ? &down : &healths[s];
}

FARES(host_starting, 1, {PV_U16(8)}) = {WORDS("the target is starting")};
FARES(host_degraded, 1, {PV_U16(3)}) = {WORDS("the target does not take its configuration")};
FARES(host_rest, 1, {PV_U16(3)}) = {WORDS("the target keeps something it should not have")};
FARES(host_gone, 2, {PV_U16(3), PV_U16(16)}) = {WORDS("no storage is served"),
						WORDS("the target does not answer")};

const struct pv_health *pv_host_health(const struct san_state *s)
{
	static const struct pv_health of[] = {
		[SAN_ENGINE_STARTING] = {BOTH(host_starting), 0, 10},
		[SAN_ENGINE_UP] = {BOTH(ok), 5, 2},
		[SAN_ENGINE_DEGRADED] = {BOTH(host_degraded), 10, 2},
		[SAN_ENGINE_GONE] = {BOTH(host_gone), 20, 2},
	};

	return &of[s->engine->health];
}

const struct pv_health *pv_system_health(const struct san_state *s)
{
	static const struct pv_health rest = {BOTH(host_rest), 10, 2};

	return s->engine->health == SAN_ENGINE_UP && s->engine->why->len ? &rest
									 : pv_host_health(s);
}

struct cim_value pv_descriptions(const struct prov_ctx *c, const struct pv_health *h,
				 const struct san_str *why)
{
	struct cim_value *a;

	if (!why->len)
		return h->descriptions;
	a = arena_alloc(c->arena, h->descriptions.n * sizeof(*a));
	if (!a)
		return h->descriptions;
	memcpy(a, h->descriptions.a, h->descriptions.n * sizeof(*a));
	a[0] = pv_str(why);
	return cim_array(CIM_STRING, a, h->descriptions.n);
}

/* ---- methods ---- */

struct san_ref pv_ref(const struct prov_call *call, const struct cim_value *v,
		      const struct cim_class *want, enum pv_class k, struct prov_obj *ret)
{
	struct san_ref r = {.kind = SAN_REF_NULL};
	struct prov_obj o;

	if (v->kind == CIM_V_SCALAR && v->type == CIM_REF)
		r.text = cim_path_print(call->ctx.arena, v->ref);
	switch (prov_resolve(call, v, want, &o)) {
	case PROV_REF_NULL:
		break;
	case PROV_REF_WRONG_CLASS:
		r.kind = SAN_REF_WRONG_CLASS;
		break;
	case PROV_REF_MISSING:
		r.kind = SAN_REF_MISSING;
		break;
	case PROV_REF_FOUND:
		r.kind = SAN_REF_WRONG_CLASS;
		if (!pv_is(&call->ctx, &o, k))
			break;
		r.kind = SAN_REF_FOUND;
		r.id = ((const struct san_obj *)o.p)->id;
		if (ret)
			*ret = o;
		break;
	}
	return r;
}

struct cim_path *pv_made_path(const struct prov_call *call, enum pv_class k, enum san_kind kind,
			      uint64_t id)
{
	const struct san_changes *ch = pv_changes(call);
	struct cim_path *p;
	struct prov_obj o;

	for (size_t i = 0; i < ch->n; i++) {
		if (ch->v[i].kind != kind || !ch->v[i].now || ch->v[i].now->id != id)
			continue;
		(void)pv_set(&call->ctx, k, ch->v[i].now, &o);
		/* The path borrows from the object, which goes with the changes. */
		p = prov_path(&call->ctx, &o);
		return p ? cim_path_dup(call->ctx.arena, p) : NULL;
	}
	return NULL;
}

struct cim_value pv_made(const struct prov_call *call, enum pv_class k, enum san_kind kind,
			 uint64_t id)
{
	return cim_ref(pv_made_path(call, k, kind, id));
}

enum cim_status pv_request_state(struct prov_call *call, enum san_kind kind)
{
	/* An override keeps the order of the parameters. */
	const struct cim_value
		*state = &call->in[CIM_EnabledLogicalElement_RequestStateChange_A_RequestedState],
		*period = &call->in[CIM_EnabledLogicalElement_RequestStateChange_A_TimeoutPeriod];
	struct san_request_state_in in = {
		.kind = kind,
		.id = ((const struct san_obj *)call->target.p)->id,
		.has_requested = !cim_is_null(state),
		.requested = (uint16_t)state->u,
		/* An interval of zero asks for none. */
		.has_timeout = !cim_is_null(period) &&
			       !pv_key_is(period, "00000000000000.000000:000"),
	};

	call->ret = san_request_state(pv_state(&call->ctx), pv_env(call), &in, pv_changes(call),
				      &call->e);
	return CIM_OK;
}

enum cim_status pv_not_supported(struct prov_call *call, const char *why)
{
	call->ret = SAN_NOT_SUPPORTED;
	(void)err_set(&call->e, -EOPNOTSUPP, "%s", why);
	return CIM_OK;
}
