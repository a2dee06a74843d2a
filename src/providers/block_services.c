/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_services.c - profile 'Block Services': pools, volumes, and the service that makes them
 *
 * Two pools always: a primordial one, which stands for the file system below the state, and
 * the concrete one that volumes are drawn from.  A block device that the configuration offers is
 * a concrete pool too, which holds one volume; these are drawn from a primordial pool of their own.
 * Volumes are files or devices of one host: one copy, one point of failure, and nothing but the
 * size to choose.
 */
#include <errno.h>

#include "gen/block.h"
#include "gen/iscsi.h"
#include "providers/part.h"

#define POOL(prop)    MSISCSITARGET_StoragePool_P_##prop
#define VOLUME(prop)  MSISCSITARGET_StorageVolume_P_##prop
#define SETTING(prop) MSISCSITARGET_StorageSetting_P_##prop
#define CAPS(prop)    MSISCSITARGET_StorageCapabilities_P_##prop
#define SERVICE(prop) MSISCSITARGET_StorageConfigurationService_P_##prop
#define CAN(prop)     MSISCSITARGET_StorageConfigurationCapabilities_P_##prop

/* ---- pools ---- */

bool pv_list_pools(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		   struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_POOL, pv_next(c, pos, SAN_POOLS), ret);
}
PV_NEXT(pool_next, pv_list_pools)
PV_COUNT(pool_count, SAN_POOLS)

static void pool_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_pool *p = o->p;

	ret[0] = pv_instance_id(c, "pool", p->obj.id);
}

static bool find_pool(const struct prov_ctx *c, const struct cim_value *key, const char *kind,
		      enum pv_class k, struct prov_obj *ret)
{
	uint64_t id;

	return pv_instance_id_parse(key, kind, &id) &&
	       pv_set(c, k, san_pool(pv_state(c), id), ret);
}

static bool pool_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	return find_pool(c, keys, "pool", PV_POOL, ret);
}

static void pool_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct san_pool *p = o->p;
	const struct pv_health *h = pv_health(p->why->len ? SAN_FAILED : SAN_OK);

	i->v[POOL(ElementName)] = i->v[POOL(Name)] = i->v[POOL(PoolID)] = pv_str(p->name);
	i->v[POOL(SystemName)] = pv_str(pv_state(c)->host->uuid);
	i->v[POOL(Primordial)] = cim_bool(p->primordial);
	i->v[POOL(TotalManagedSpace)] = cim_u64(p->total);
	i->v[POOL(RemainingManagedSpace)] = cim_u64(p->free);
	i->v[POOL(ResourceType)] = cim_u16(19); /* storage extent */
	i->v[POOL(Usage)] = cim_u16(2);         /* unrestricted */
	PV_FARES(i, MSISCSITARGET_StoragePool, h);
	i->v[POOL(StatusDescriptions)] = pv_descriptions(c, h, p->why);
}

/* ---- volumes ---- */

bool pv_list_volumes(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		     struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_VOLUME, pv_next(c, pos, SAN_UNITS), ret);
}
PV_NEXT(volume_next, pv_list_volumes)
PV_COUNT(volume_count, SAN_UNITS)

static void volume_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_unit *u = o->p;

	pv_keys_device(c, o, cim_strn(u->naa, 16), ret);
}

static bool volume_find(const struct prov_ctx *c, const struct cim_value *keys,
			struct prov_obj *ret)
{
	const char *naa = pv_device_of_keys(c, &cim_class_MSISCSITARGET_StorageVolume, keys);
	const struct san_unit *u = naa ? san_unit_by_naa(pv_state(c), naa) : NULL;

	return u && streq(u->naa, naa) && pv_set(c, PV_VOLUME, u, ret);
}

static void volume_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	static const struct cim_value none[] = {PV_U16(2)}, broken[] = {PV_U16(3)};
	const struct san_unit *u = o->p;
	const struct san_pool *pool = san_pool(pv_state(c), u->pool);
	const struct pv_health *h = pv_health(u->status);

	i->v[VOLUME(ElementName)] = pv_str(u->name);
	i->v[VOLUME(Name)] = cim_strn(u->naa, 16);
	i->v[VOLUME(NameFormat)] = cim_u16(9);    /* NAA */
	i->v[VOLUME(NameNamespace)] = cim_u16(2); /* VPD83Type3 */
	i->v[VOLUME(BlockSize)] = cim_u64(SAN_BLOCK_SIZE);
	i->v[VOLUME(NumberOfBlocks)] = cim_u64(u->size / SAN_BLOCK_SIZE);
	i->v[VOLUME(ConsumableBlocks)] = cim_u64(u->size / SAN_BLOCK_SIZE);
	i->v[VOLUME(Access)] = cim_u16(3);
	i->v[VOLUME(DataOrganization)] = cim_u16(2); /* fixed block */
	i->v[VOLUME(SequentialAccess)] = cim_bool(false);
	i->v[VOLUME(Primordial)] = cim_bool(false);
	i->v[VOLUME(NoSinglePointOfFailure)] = cim_bool(false);
	i->v[VOLUME(IsBasedOnUnderlyingRedundancy)] = cim_bool(false);
	i->v[VOLUME(DataRedundancy)] = cim_u16(1);
	i->v[VOLUME(PackageRedundancy)] = cim_u16(0);
	i->v[VOLUME(ExtentStatus)] =
		cim_array(CIM_UINT16, u->status == SAN_FAILED ? broken : none, 1);
	i->v[VOLUME(InstallDate)] = pv_time(c, u->created_us);
	PV_FARES(i, MSISCSITARGET_StorageVolume, h);
	i->v[VOLUME(StatusDescriptions)] = pv_descriptions(c, h, u->why->len ? u->why : pool->why);
	i->v[VOLUME(EnabledState)] = cim_u16(h->enabled);
	i->v[VOLUME(TimeOfLastStateChange)] = pv_time(c, u->changed_us);
}

/* ---- what a volume was made with ---- */

bool pv_setting_of_volume(const struct prov_ctx *c, const struct prov_obj *from,
			      struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_only(c, pos, PV_SETTING, from->p, ret);
}

bool pv_volume_of_setting(const struct prov_ctx *c, const struct prov_obj *from,
			      struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_only(c, pos, PV_VOLUME, from->p, ret);
}

static bool list_settings(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_SETTING, pv_next(c, pos, SAN_UNITS), ret);
}
PV_NEXT(setting_next, list_settings)

static void setting_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_unit *u = o->p;

	ret[0] = pv_instance_id(c, "storage-setting", u->obj.id);
}

static bool setting_find(const struct prov_ctx *c, const struct cim_value *keys,
			 struct prov_obj *ret)
{
	uint64_t id;

	return pv_instance_id_parse(&keys[0], "storage-setting", &id) &&
	       pv_set(c, PV_SETTING, san_unit(pv_state(c), id), ret);
}

static void setting_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o,
			 struct cim_instance *i)
{
	const struct san_unit *u = o->p;

	i->v[SETTING(ElementName)] = pv_str(u->name);
	i->v[SETTING(ChangeableType)] = cim_u16(0); /* fixed */
	i->v[SETTING(NoSinglePointOfFailure)] = cim_bool(false);
	i->v[SETTING(DataRedundancyMin)] = i->v[SETTING(DataRedundancyMax)] =
		i->v[SETTING(DataRedundancyGoal)] = cim_u16(1);
	i->v[SETTING(PackageRedundancyMin)] = i->v[SETTING(PackageRedundancyMax)] =
		i->v[SETTING(PackageRedundancyGoal)] = cim_u16(0);
}

/* ---- what a pool can hold ---- */

bool pv_caps_of_pool(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		     struct prov_obj *ret)
{
	return pv_only(c, pos, PV_STORAGE_CAPS, from->p, ret);
}

bool pv_pool_of_caps(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		     struct prov_obj *ret)
{
	return pv_only(c, pos, PV_POOL, from->p, ret);
}

static bool list_caps(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		      struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_STORAGE_CAPS, pv_next(c, pos, SAN_POOLS), ret);
}
PV_NEXT(caps_next, list_caps)

static void caps_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_pool *p = o->p;

	ret[0] = pv_instance_id(c, "storage-capabilities", p->obj.id);
}

static bool caps_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	return find_pool(c, keys, "storage-capabilities", PV_STORAGE_CAPS, ret);
}

static void caps_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o,
		      struct cim_instance *i)
{
	const struct san_pool *p = o->p;

	i->v[CAPS(ElementName)] = pv_str(p->name);
	i->v[CAPS(ElementType)] = cim_u16(5); /* storage pool */
	i->v[CAPS(NoSinglePointOfFailure)] = cim_bool(false);
	i->v[CAPS(NoSinglePointOfFailureDefault)] = cim_bool(false);
	i->v[CAPS(DataRedundancyMin)] = i->v[CAPS(DataRedundancyMax)] =
		i->v[CAPS(DataRedundancyDefault)] = cim_u16(1);
	i->v[CAPS(PackageRedundancyMin)] = i->v[CAPS(PackageRedundancyMax)] =
		i->v[CAPS(PackageRedundancyDefault)] = cim_u16(0);
}

/* ---- the service ---- */

bool pv_to_storage_service(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			   struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_STORAGE_SERVICE, pos, ret);
}
PV_NEXT(service_next, pv_to_storage_service)

static void service_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	pv_keys_named(c, o, PV_TEXT("Storage Configuration Service"), ret);
}

static void service_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
			 struct cim_instance *i)
{
	i->v[SERVICE(ElementName)] = PV_TEXT("Storage Configuration Service");
	i->v[SERVICE(Started)] = cim_bool(true);
	i->v[SERVICE(StartMode)] = PV_TEXT("Automatic");
	i->v[SERVICE(EnabledState)] = cim_u16(2);
	PV_FARES(i, MSISCSITARGET_StorageConfigurationService, pv_health(SAN_OK));
}

/* What the service can do: once for itself, and once for the pool that it does it with, since a
 * capabilities object describes one element. */

bool pv_caps_of_storage_service(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
				struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_STORAGE_SERVICE_CAPS, pos, ret);
}

bool pv_storage_service_of_caps(const struct prov_ctx *c, const struct prov_obj *from,
				struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_kind(from) == SAN_HOST && pv_host_as(c, PV_STORAGE_SERVICE, pos, ret);
}

bool pv_service_caps_of_pool(const struct prov_ctx *c, const struct prov_obj *from,
			     struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_pool *p = from->p;

	return pv_only(c, pos, PV_STORAGE_SERVICE_CAPS, p->primordial ? NULL : p, ret);
}

bool pv_pool_of_service_caps(const struct prov_ctx *c, const struct prov_obj *from,
			     struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_kind(from) == SAN_POOL && pv_only(c, pos, PV_POOL, from->p, ret);
}

static bool list_can(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		     struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_pool *p;

	if (pos->phase == 0) {
		pv_next_phase(pos);
		return pv_set(c, PV_STORAGE_SERVICE_CAPS, pv_state(c)->host, ret);
	}
	do
		p = pv_next(c, pos, SAN_POOLS);
	while (p && p->primordial);
	return pv_set(c, PV_STORAGE_SERVICE_CAPS, p, ret);
}
PV_NEXT(can_next, list_can)

static void can_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_obj *of = o->p;

	if (of->kind == SAN_HOST)
		ret[0] = PV_TEXT("smiscsi:storage-configuration-capabilities:service");
	else
		ret[0] = pv_instance_id(c, "storage-configuration-capabilities", of->id);
}

static void can_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o,
		     struct cim_instance *i)
{
	static const struct cim_value actions[] = {PV_U16(5), PV_U16(6), PV_U16(7)},
				      types[] = {PV_U16(2)},
				      features[] = {PV_U16(3), PV_U16(5), PV_U16(6), PV_U16(12)},
				      usage[] = {PV_U16(2)};
	const struct san_pool *p = o->p;

	i->v[CAN(ElementName)] = p->obj.kind == SAN_POOL ? pv_str(p->name)
							 : PV_TEXT("Storage Configuration Service");
	i->v[CAN(SupportedAsynchronousActions)] = cim_array(CIM_UINT16, actions, 0);
	i->v[CAN(SupportedSynchronousActions)] =
		cim_array(CIM_UINT16, actions, ARRAY_SIZE(actions));
	i->v[CAN(SupportedStorageElementTypes)] = cim_array(CIM_UINT16, types, ARRAY_SIZE(types));
	i->v[CAN(SupportedStoragePoolFeatures)] = cim_array(CIM_UINT16, types, 0);
	i->v[CAN(SupportedStorageElementFeatures)] =
		cim_array(CIM_UINT16, features, ARRAY_SIZE(features));
	i->v[CAN(SupportedStorageElementUsage)] = cim_array(CIM_UINT16, usage, ARRAY_SIZE(usage));
	i->v[CAN(SupportedStoragePoolUsage)] = cim_array(CIM_UINT16, usage, ARRAY_SIZE(usage));
}

/* ---- associations ---- */

static const struct pv_legs hosted = {
	PV_HOSTED_POOL,
	1,
	{{{PV_SYSTEM, PV_POOL}, pv_list_pools, pv_to_system, pv_to_system, 0}},
};
PV_ASSOC(hosted)

/* The primordial pool has the concrete ones, a concrete pool its volumes. */
static bool pools_in_pool(const struct prov_ctx *c, const struct prov_obj *from,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_pool *p = from->p, *in;

	if (!p->primordial)
		return false;
	do
		in = pv_next(c, pos, SAN_POOLS);
	while (in && (in->primordial || in->kind != p->kind));
	return pv_set(c, PV_POOL, in, ret);
}

static bool pool_of_pool(const struct prov_ctx *c, const struct prov_obj *from,
			 struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_pool *p = from->p, *of;

	if (p->primordial)
		return false;
	do
		of = pv_next(c, pos, SAN_POOLS);
	while (of && (!of->primordial || of->kind != p->kind));
	return pv_set(c, PV_POOL, of, ret);
}

static bool volumes_in_pool(const struct prov_ctx *c, const struct prov_obj *from,
			    struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_pool *p = from->p;
	const struct san_unit *u;

	/* Nearly all volumes are in the pool of files, so few are passed over; a device's pool has
	 * one, and devices are few. */
	do
		u = p->primordial ? NULL : pv_next(c, pos, SAN_UNITS);
	while (u && u->pool != p->obj.id);
	return pv_set(c, PV_VOLUME, u, ret);
}

static bool pool_of_volume(const struct prov_ctx *c, const struct prov_obj *from,
			   struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_unit *u = from->p;

	return pv_only(c, pos, PV_POOL, san_pool(pv_state(c), u->pool), ret);
}

static const struct pv_legs allocated = {
	PV_ALLOCATED_FROM,
	2,
	{{{PV_POOL, PV_POOL}, pools_in_pool, pool_of_pool, pv_list_pools, 0},
	 {{PV_POOL, PV_VOLUME}, volumes_in_pool, pool_of_volume, pv_list_volumes, 1}},
};
PV_ASSOC(allocated)

static void allocated_fill(const struct prov_ctx *c UNUSED, const struct prov_link *l,
			   struct cim_instance *i)
{
	const struct san_pool *p = l->end[1].p;
	const struct san_unit *u = l->end[1].p;

	i->v[MSISCSITARGET_AllocatedFromStoragePool_P_SpaceConsumed] =
		cim_u64(p->obj.kind == SAN_POOL ? p->total - p->free : u->size);
}

/* ---- methods ---- */

#define FROM_POOL(p) CIM_StorageConfigurationService_CreateOrModifyElementFromStoragePool_A_##p
#define RETURN(p)    CIM_StorageConfigurationService_ReturnToStoragePool_A_##p
#define RANGE(p)     CIM_StoragePool_GetSupportedSizeRange_A_##p

static enum cim_status make_volume(struct prov_call *call)
{
	const struct cim_value *in_v = call->in, *name = &in_v[FROM_POOL(ElementName)],
			       *type = &in_v[FROM_POOL(ElementType)],
			       *size = &in_v[FROM_POOL(Size)];
	struct prov_obj element = {0};
	struct san_volume_in in = {
		.name = cim_is_null(name) ? NULL : name->s,
		.has_type = !cim_is_null(type),
		.type = (uint16_t)type->u,
		.element = pv_ref(call, &in_v[FROM_POOL(TheElement)],
				  &cim_class_CIM_LogicalElement, PV_VOLUME, &element),
		.pool = pv_ref(call, &in_v[FROM_POOL(InPool)], &cim_class_CIM_StoragePool, PV_POOL,
			       NULL),
		.has_size = !cim_is_null(size),
		.size = size->u,
	};
	struct san_volume_out out = {0};

	call->ret = san_volume(pv_state(&call->ctx), pv_env(call), &in, pv_changes(call), &out,
			       &call->e);
	/* 4097: the size that would do. */
	if (call->ret == SAN_DONE || call->ret == 4097)
		call->out[FROM_POOL(Size)] = cim_u64(out.size);
	if (call->ret == SAN_DONE)
		call->out[FROM_POOL(TheElement)] =
			element.p ? cim_ref(prov_path(&call->ctx, &element))
				  : pv_made(call, PV_VOLUME, SAN_UNIT, out.id);
	return CIM_OK;
}

static enum cim_status return_volume(struct prov_call *call)
{
	struct san_return_volume_in in = {
		.element = pv_ref(call, &call->in[RETURN(TheElement)],
				  &cim_class_CIM_LogicalElement, PV_VOLUME, NULL)};

	call->ret = san_return_volume(pv_state(&call->ctx), &in, pv_changes(call), &call->e);
	return CIM_OK;
}

static enum cim_status size_range(struct prov_call *call)
{
	const struct cim_value *type = &call->in[RANGE(ElementType)];
	const struct san_pool *p = call->target.p;

	if (cim_is_null(type)) {
		call->ret = SAN_INVALID;
		(void)err_set(&call->e, -EINVAL, "ElementType is needed");
		return CIM_OK;
	}
	if (type->u != 3)
		return pv_not_supported(call, "volumes (ElementType 3) are all that is made here");
	if (p->kind == SAN_POOL_DEVICES) {
		if (p->primordial || p->free == 0)
			return pv_not_supported(call, "nothing can be made from this pool now");
		/* the whole device, or nothing */
		call->out[RANGE(MinimumVolumeSize)] = call->out[RANGE(MaximumVolumeSize)] =
			call->out[RANGE(VolumeSizeDivisor)] = cim_u64(p->free);
		return CIM_OK;
	}
	call->out[RANGE(MinimumVolumeSize)] = cim_u64(SAN_VOLUME_UNIT);
	call->out[RANGE(MaximumVolumeSize)] = cim_u64(p->free & ~(SAN_VOLUME_UNIT - 1));
	call->out[RANGE(VolumeSizeDivisor)] = cim_u64(SAN_VOLUME_UNIT);
	return CIM_OK;
}

static enum cim_status sizes(struct prov_call *call)
{
	call->ret = 2; /* use GetSupportedSizeRange instead */
	(void)err_set(&call->e, -EOPNOTSUPP, "every size in GetSupportedSizeRange can be had");
	return CIM_OK;
}

/* ---- tables ---- */

static const struct pv_class_row classes[] = {
	{PV_POOL,
	 {.cls = &cim_class_MSISCSITARGET_StoragePool,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = pool_next,
	  .find = pool_find,
	  .keys = pool_keys,
	  .fill = pool_fill,
	  .count = pool_count}},
	{PV_VOLUME,
	 {.cls = &cim_class_MSISCSITARGET_StorageVolume,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = volume_next,
	  .find = volume_find,
	  .keys = volume_keys,
	  .fill = volume_fill,
	  .count = volume_count}},
	{PV_SETTING,
	 {.cls = &cim_class_MSISCSITARGET_StorageSetting,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = setting_next,
	  .find = setting_find,
	  .keys = setting_keys,
	  .fill = setting_fill,
	  .count = volume_count}},
	{PV_STORAGE_CAPS,
	 {.cls = &cim_class_MSISCSITARGET_StorageCapabilities,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = caps_next,
	  .find = caps_find,
	  .keys = caps_keys,
	  .fill = caps_fill,
	  .count = pool_count}},
	{PV_STORAGE_SERVICE,
	 {.cls = &cim_class_MSISCSITARGET_StorageConfigurationService,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = service_next,
	  .keys = service_keys,
	  .fill = service_fill}},
	{PV_STORAGE_SERVICE_CAPS,
	 {.cls = &cim_class_MSISCSITARGET_StorageConfigurationCapabilities,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = can_next,
	  .keys = can_keys,
	  .fill = can_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_HOSTED_POOL,
	 {.cls = &cim_class_MSISCSITARGET_HostedStoragePool,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_HostedStoragePool_P_GroupComponent,
		  MSISCSITARGET_HostedStoragePool_P_PartComponent},
	  .next = hosted_next,
	  .walk = hosted_walk}},
	{PV_ALLOCATED_FROM,
	 {.cls = &cim_class_MSISCSITARGET_AllocatedFromStoragePool,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_AllocatedFromStoragePool_P_Antecedent,
		  MSISCSITARGET_AllocatedFromStoragePool_P_Dependent},
	  .next = allocated_next,
	  .walk = allocated_walk,
	  .fill = allocated_fill}},
};
static const struct prov_method methods[] = {
	{&cim_class_MSISCSITARGET_StorageConfigurationService,
	 "CreateOrModifyElementFromStoragePool", make_volume},
	{&cim_class_MSISCSITARGET_StorageConfigurationService, "ReturnToStoragePool",
	 return_volume},
	{&cim_class_MSISCSITARGET_StoragePool, "GetSupportedSizeRange", size_range,
	 .reads_only = true},
	{&cim_class_MSISCSITARGET_StoragePool, "GetSupportedSizes", sizes,
	 .reads_only = true},
};
const struct pv_part pv_block_services = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
};
