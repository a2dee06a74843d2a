/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/scope.h"

#define S(k) (UINT64_C(1) << SRC_##k)
#define K(k) (1U << SM_##k)

/* The level at which each kind of object is complete. */
static const uint8_t kind_levels[SM_N_KINDS] = {
	[SM_ENDPOINT] = 1, [SM_PORTAL] = 1, [SM_PROTOCOL] = 1, [SM_HWID] = 1, [SM_POOL] = 1,
	[SM_SETTING] = 1,  [SM_GROUP] = 2,  [SM_VOLUME] = 2,   [SM_JOB] = 2,  [SM_DISK] = 3,
};

void scope_of_level(uint32_t level, struct sm_scope *ret)
{
	*ret = (struct sm_scope){0};
	for (int k = 0; k < SRC_N; k++)
		if (src_kind_info((enum src_kind)k)->level <= level)
			ret->src |= UINT64_C(1) << k;
	for (int k = 0; k < SM_N_KINDS; k++)
		if (kind_levels[k] <= level)
			ret->kinds |= 1U << k;
	for (int a = 0; a < SM_N_ASSOCS; a++) {
		const struct sm_assoc_info *ai = sm_assoc_info((enum sm_assoc)a);

		if (ret->kinds >> ai->end[0] & ret->kinds >> ai->end[1] & 1)
			ret->assocs |= 1U << a;
	}
}

/* What leads from an interop namespace to the systems. */
#define SYSTEMS (S(PROFILE) | S(CONFORMS) | S(SYSTEM))

#define A(a) (1U << SM_##a)
/* clang-format off */
static const struct {
	const char *name;
	enum sm_kind kind;
	struct sm_scope scope;
} types[SCOPE_TYPE_MAX + 1] = {
	[1] = {"MSFT_SMSystem", SM_SYSTEM,
	       {SYSTEMS | S(PACKAGE) | S(SYSPKG) | S(SW) | S(INSTSW), K(SYSTEM),
		A(PROVIDER_SYSTEM) | A(DISCOVERY_SYSTEM)}},
	[2] = {"MSFT_SMStorageHardwareID", SM_HWID,
	       {SYSTEMS | S(HWID) | S(CLIENT) | S(ELEMSET), K(HWID), A(SYSTEM_HWID)}},
	[3] = {"MSFT_SMPool", SM_POOL,
	       {SYSTEMS | S(POOL) | S(HOSTEDPOOL) | S(POOLCAP) | S(ELEMCAP) | S(SETTING) |
			S(CAPSETTING) | S(ALLOC),
		K(POOL), A(SYSTEM_POOL) | A(POOL_POOL) | A(POOL_SETTING)}},
	[4] = {"MSFT_SMVolume", SM_VOLUME,
	       {SYSTEMS | S(VOLUME) | S(SETTING) | S(ELEMSET) | S(POOL) | S(ALLOC) | S(COPY),
		K(VOLUME), A(POOL_VOLUME) | A(VOLUME_COPY)}},
	/* endpoints show what is below them; so portals come with them */
	[5] = {"MSFT_SMEndpoint", SM_ENDPOINT,
	       {SYSTEMS | S(EP) | S(TCP) | S(IP) | S(PORT) | S(BINDS) | S(SAPIMPL),
		K(ENDPOINT) | K(PORTAL), A(SYSTEM_ENDPOINT) | A(ENDPOINT_PORTAL)}},
	[6] = {"MSFT_SMiSCSIPortalEndpoint", SM_PORTAL,
	       {SYSTEMS | S(EP) | S(TCP) | S(IP) | S(BINDS), K(PORTAL), A(ENDPOINT_PORTAL)}},
	[7] = {"MSFT_SMStorageGroup", SM_GROUP,
	       {SYSTEMS | S(CTRL) | S(UNIT) | S(SAPAVAIL) | S(PRIV) | S(AUTHTGT) | S(AUTHSUBJ) |
			S(EP) | S(VOLUME) | S(HWID),
		K(GROUP), A(SYSTEM_GROUP) | A(GROUP_ENDPOINT) | A(GROUP_VOLUME) | A(GROUP_HWID)}},
	[14] = {"MSFT_SMDiskDrive", SM_DISK,
		{SYSTEMS | S(DISK) | S(MEDIA) | S(EXTENT) | S(COMPONENT) | S(REALIZES) |
			 S(PACKAGE) | S(DEVSW) | S(SW) | S(LOCATION) | S(PLACED) | S(POOL),
		 K(DISK), A(DISK_POOL)}},
	[15] = {"MSFT_SMProvider", SM_PROVIDER,
		{S(PROFILE) | S(MANAGER) | S(COMM) | S(NS) | S(ISW) | S(ESW), K(PROVIDER) | K(WBEM),
		 0}},
	[16] = {"MSFT_SMPoolSetting", SM_SETTING,
		{SYSTEMS | S(SETTING) | S(CAPSETTING) | S(POOLCAP) | S(ELEMCAP) | S(POOL),
		 K(SETTING), A(POOL_SETTING)}},
};
/* clang-format on */

bool scope_of_type(uint32_t type, struct sm_scope *ret)
{
	if (!scope_type_name(type))
		return false;
	*ret = types[type].scope;
	return true;
}

const char *scope_type_name(uint32_t type)
{
	return type <= SCOPE_TYPE_MAX ? types[type].name : NULL;
}

uint32_t scope_type_level(uint32_t type)
{
	return kind_levels[types[type].kind];
}

uint32_t scope_type_of(enum sm_kind k)
{
	for (uint32_t t = 1; t <= SCOPE_TYPE_MAX; t++)
		if (types[t].name && types[t].kind == k)
			return t;
	return 0;
}
