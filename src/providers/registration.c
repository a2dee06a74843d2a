/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registration.c - 'Profile Registration': the profiles that hold here, and how they hang together
 *
 * SMI-S conforms to nothing; the autonomous profiles are elements of SMI-S; the host and the
 * object manager are elements of those, and the central instances of the component profiles (the
 * capabilities of iSCSI, the pools) of these.  Component profiles are referred to by the autonomous
 * one, which is the Antecedent, as SNIA has it: those that exist only inside another profile are
 * subprofiles, and SubProfileRequiresProfile ties them; 'Profile Registration' is a profile in its
 * own right, so ReferencedProfile does.
 */
#include "gen/server.h"
#include "providers/part.h"

#define PROFILE(prop) MSFTSM_RegisteredProfile_P_##prop

/* RegisteredSubProfile has the same properties in the same places, so one fill does for both. */
_Static_assert((int)MSFTSM_RegisteredSubProfile_P_InstanceID == (int)PROFILE(InstanceID) &&
		       (int)MSFTSM_RegisteredSubProfile_P_AdvertiseTypes ==
			       (int)PROFILE(AdvertiseTypes),
	       "one fill does for both");

#define VERSION "1.6.1"
static const struct profile {
	const char *id, *name;
	bool sub;
} profiles[] = {
#define ROW(name, sub) {"SNIA:" name ":" VERSION, name, sub}
	ROW("SMI-S", false),
	ROW("Server", false),
	ROW("Array", false),
	ROW("Profile Registration", false),
	ROW("Block Services", true),
	ROW("iSCSI Target Ports", true),
#undef ROW
};
enum { SMI_S, SERVER, ARRAY, REGISTRATION, BLOCK_SERVICES, ISCSI_TARGET_PORTS };

static bool set_profile(const struct prov_ctx *c, const struct profile *p, struct prov_obj *ret)
{
	return pv_set(c, p->sub ? PV_SUBPROFILE : PV_PROFILE, p, ret);
}

static bool list(const struct prov_ctx *c, struct pv_pos *pos, bool sub,
		 struct prov_obj *ret)
{
	while (pos->phase < ARRAY_SIZE(profiles)) {
		const struct profile *p = &profiles[pos->phase++];

		if (p->sub == sub)
			return set_profile(c, p, ret);
	}
	return false;
}

static bool list_profiles(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	return list(c, pos, false, ret);
}
PV_NEXT(profile_next, list_profiles)

static bool list_components(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			    struct pv_pos *pos, struct prov_obj *ret)
{
	return list(c, pos, true, ret);
}
PV_NEXT(component_next, list_components)

static void profile_keys(const struct prov_ctx *c UNUSED, const struct prov_obj *o,
			 struct cim_value *ret)
{
	const struct profile *p = o->p;

	ret[0] = cim_str(p->id);
}

static void profile_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o,
			 struct cim_instance *i)
{
	static const struct cim_value advertised[] = {PV_U16(2)}; /* not */
	const struct profile *p = o->p;

	i->v[PROFILE(ElementName)] = cim_str(p->name);
	i->v[PROFILE(RegisteredOrganization)] = cim_u16(11); /* SNIA */
	i->v[PROFILE(RegisteredName)] = cim_str(p->name);
	i->v[PROFILE(RegisteredVersion)] = PV_TEXT(VERSION);
	i->v[PROFILE(AdvertiseTypes)] = cim_array(CIM_UINT16, advertised, ARRAY_SIZE(advertised));
}

/* ---- what conforms to what ---- */

static bool autonomous_of_smi_s(const struct prov_ctx *c, const struct prov_obj *from,
				struct pv_pos *pos, struct prov_obj *ret)
{
	static const uint8_t which[] = {SERVER, ARRAY};

	return from->p == &profiles[SMI_S] && pos->phase < ARRAY_SIZE(which) &&
	       set_profile(c, &profiles[which[pos->phase++]], ret);
}

static bool smi_s_of_autonomous(const struct prov_ctx *c, const struct prov_obj *from,
				struct pv_pos *pos, struct prov_obj *ret)
{
	return (from->p == &profiles[SERVER] || from->p == &profiles[ARRAY]) && !pos->phase++ &&
	       set_profile(c, &profiles[SMI_S], ret);
}

static bool to_manager(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		       struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_OBJECT_MANAGER, pos, ret);
}

/* The steps from a profile to its central instances, which list gives from anything, and back. */
#define CENTRAL(what, profile, list)                                                              \
	static bool what##_of_profile(const struct prov_ctx *c, const struct prov_obj *from,      \
				      struct pv_pos *pos, struct prov_obj *ret)                   \
	{                                                                                         \
		return from->p == &profiles[profile] && list(c, from, pos, ret);                  \
	}                                                                                         \
	static bool profile_of_##what(const struct prov_ctx *c,                                   \
				      const struct prov_obj *from UNUSED, struct pv_pos *pos,     \
				      struct prov_obj *ret)                                       \
	{                                                                                         \
		return !pos->phase++ && set_profile(c, &profiles[profile], ret);                  \
	}
CENTRAL(system, ARRAY, pv_to_system)
CENTRAL(manager, SERVER, to_manager)
CENTRAL(caps, ISCSI_TARGET_PORTS, pv_to_iscsi_caps)
CENTRAL(pool, BLOCK_SERVICES, pv_list_pools)

/* The host is in another namespace than the profiles: the same links are in both, so that they
 * can be followed from either end. */
#define CONFORMS(id)                                                                              \
	{                                                                                         \
		id, 5,                                                                            \
		{                                                                                 \
			{{PV_PROFILE, PV_PROFILE}, autonomous_of_smi_s, smi_s_of_autonomous,      \
			 list_profiles, 0},                                                       \
			{{PV_PROFILE, PV_SYSTEM}, system_of_profile, profile_of_system,           \
			 list_profiles, 0},                                                       \
			{{PV_PROFILE, PV_OBJECT_MANAGER}, manager_of_profile, profile_of_manager, \
			 list_profiles, 0},                                                       \
			{{PV_SUBPROFILE, PV_ISCSI_CAPS}, caps_of_profile, profile_of_caps,        \
			 list_components, 0},                                                     \
			{{PV_SUBPROFILE, PV_POOL}, pool_of_profile, profile_of_pool,              \
			 list_components, 0},                                                     \
		}                                                                                 \
	}
static const struct pv_legs conforms = CONFORMS(PV_CONFORMS);
PV_ASSOC(conforms)
static const struct pv_legs conforms_in = CONFORMS(PV_CONFORMS_IN);
PV_ASSOC(conforms_in)

/* ---- which refer to which ---- */

static const struct {
	uint8_t whole, component;
} components[] = {
	{SERVER, REGISTRATION},
	{ARRAY, REGISTRATION},
	{ARRAY, BLOCK_SERVICES},
	{ARRAY, ISCSI_TARGET_PORTS},
};

/* The next component of a profile, as far as it is a subprofile or isn't. */
static bool components_of(const struct prov_ctx *c, const struct prov_obj *from,
			  struct pv_pos *pos, bool sub, struct prov_obj *ret)
{
	while (pos->phase < ARRAY_SIZE(components)) {
		size_t k = pos->phase++;
		const struct profile *p = &profiles[components[k].component];

		if (from->p == &profiles[components[k].whole] && p->sub == sub)
			return set_profile(c, p, ret);
	}
	return false;
}

static bool subprofiles_of(const struct prov_ctx *c, const struct prov_obj *from,
			   struct pv_pos *pos, struct prov_obj *ret)
{
	return components_of(c, from, pos, true, ret);
}

static bool referenced_by(const struct prov_ctx *c, const struct prov_obj *from,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	return components_of(c, from, pos, false, ret);
}

static bool whole_of(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		     struct prov_obj *ret)
{
	while (pos->phase < ARRAY_SIZE(components)) {
		size_t k = pos->phase++;

		if (from->p == &profiles[components[k].component])
			return set_profile(c, &profiles[components[k].whole], ret);
	}
	return false;
}

static const struct pv_legs requires = {
	PV_SUBPROFILE_REQUIRES,
	1,
	{{{PV_PROFILE, PV_SUBPROFILE}, subprofiles_of, whole_of, list_profiles, 0}},
};
PV_ASSOC(requires)

static const struct pv_legs references = {
	PV_REFERENCED_PROFILE,
	1,
	{{{PV_PROFILE, PV_PROFILE}, referenced_by, whole_of, list_profiles, 0}},
};
PV_ASSOC(references)

/* ---- tables ---- */

static const struct pv_class_row classes[] = {
	{PV_PROFILE,
	 {.cls = &cim_class_MSFTSM_RegisteredProfile,
	  .ns = &smiscsi_ns_interop,
	  .next = profile_next,
	  .keys = profile_keys,
	  .fill = profile_fill}},
	{PV_SUBPROFILE,
	 {.cls = &cim_class_MSFTSM_RegisteredSubProfile,
	  .ns = &smiscsi_ns_interop,
	  .next = component_next,
	  .keys = profile_keys,
	  .fill = profile_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_CONFORMS,
	 {.cls = &cim_class_MSFTSM_ElementConformsToProfileEx,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSFTSM_ElementConformsToProfileEx_P_ConformantStandard,
		  MSFTSM_ElementConformsToProfileEx_P_ManagedElement},
	  .next = conforms_next,
	  .walk = conforms_walk}},
	{PV_CONFORMS_IN,
	 {.cls = &cim_class_MSFTSM_ElementConformsToProfile,
	  .ns = &smiscsi_ns_interop,
	  .ref = {MSFTSM_ElementConformsToProfile_P_ConformantStandard,
		  MSFTSM_ElementConformsToProfile_P_ManagedElement},
	  .next = conforms_in_next,
	  .walk = conforms_in_walk}},
	{PV_SUBPROFILE_REQUIRES,
	 {.cls = &cim_class_MSFTSM_SubProfileRequiresProfile,
	  .ns = &smiscsi_ns_interop,
	  .ref = {MSFTSM_SubProfileRequiresProfile_P_Antecedent,
		  MSFTSM_SubProfileRequiresProfile_P_Dependent},
	  .next = requires_next,
	  .walk = requires_walk}},
	{PV_REFERENCED_PROFILE,
	 {.cls = &cim_class_MSFTSM_ReferencedProfile,
	  .ns = &smiscsi_ns_interop,
	  .ref = {MSFTSM_ReferencedProfile_P_Antecedent, MSFTSM_ReferencedProfile_P_Dependent},
	  .next = references_next,
	  .walk = references_walk}},
};
const struct pv_part pv_registration = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
};
