/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - profile 'Server': the object manager, its namespaces and protocols, its software
 *
 * All of it lives in interop; the system there is the same host as the one in the vendor
 * namespace, by the same name.
 */
#include "base/str.h"
#include "gen/core.h"
#include "gen/server.h"
#include "providers/part.h"

#define SYS(prop)       MSFTSM_System_P_##prop
#define MANAGER(prop)   MSFTSM_ObjectManager_P_##prop
#define NAMESPACE(prop) MSFTSM_Namespace_P_##prop
#define MECHANISM(prop) MSFTSM_CIMXMLCommunicationMechanism_P_##prop
#define SOFTWARE(prop)  MSFTSM_SoftwareIdentity_P_##prop

static struct cim_value name_of(const struct cim_class *cls)
{
	return cim_strn(cls->name, cls->name_len);
}

/* Keys of what the system in interop hosts. */
static void hosted_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value name,
			struct cim_value *ret)
{
	ret[0] = name;
	ret[1] = name_of(&cim_class_MSFTSM_System);
	ret[2] = pv_str(pv_state(c)->host->uuid);
	ret[3] = name_of(o->pc->cls);
}

/* ---- the system ---- */

static bool to_system(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		      struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_INTEROP_SYSTEM, pos, ret);
}
PV_NEXT(system_next, to_system)

static void system_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	ret[0] = pv_str(pv_state(c)->host->uuid);
	ret[1] = name_of(o->pc->cls);
}

static void system_fill(const struct prov_ctx *c, const struct prov_obj *o UNUSED,
			struct cim_instance *i)
{
	const struct san_host *h = pv_state(c)->host;

	i->v[SYS(ElementName)] = pv_words(h->name);
	i->v[SYS(Description)] = PV_TEXT("host of the object manager");
	i->v[SYS(NameFormat)] = PV_TEXT("Other");
	i->v[SYS(EnabledState)] = cim_u16(2);
	PV_FARES(i, MSFTSM_System, pv_health(SAN_OK));
}

/* ---- the object manager ---- */

static bool to_manager(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		       struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_OBJECT_MANAGER, pos, ret);
}
PV_NEXT(manager_next, to_manager)

static void manager_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	hosted_keys(c, o, pv_str(pv_state(c)->host->uuid), ret);
}

static void manager_fill(const struct prov_ctx *c, const struct prov_obj *o UNUSED,
			 struct cim_instance *i)
{
	i->v[MANAGER(ElementName)] = PV_TEXT("smiscsi");
	i->v[MANAGER(Description)] =
		cim_str(arena_printf(c->arena, "smiscsi %s, SMI-S iSCSI target server",
				     pv_server_of(c)->version));
	i->v[MANAGER(GatherStatisticalData)] = cim_bool(false);
	i->v[MANAGER(Started)] = cim_bool(true);
	i->v[MANAGER(StartMode)] = PV_TEXT("Automatic");
	i->v[MANAGER(EnabledState)] = cim_u16(2);
	PV_FARES(i, MSFTSM_ObjectManager, pv_health(SAN_OK));
}

/* ---- namespaces; p: the struct cim_namespace ---- */

static bool list_namespaces(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			    struct pv_pos *pos, struct prov_obj *ret)
{
	const struct providers_server *s = pv_server_of(c);

	return pos->phase < s->n_namespaces &&
	       pv_set(c, PV_NAMESPACE, s->namespaces[pos->phase++], ret);
}
PV_NEXT(namespace_next, list_namespaces)

static void namespace_keys(const struct prov_ctx *c, const struct prov_obj *o,
			   struct cim_value *ret)
{
	const struct cim_namespace *ns = o->p;
	const struct san_host *h = pv_state(c)->host;

	ret[0] = name_of(&cim_class_MSFTSM_System);
	ret[1] = pv_str(h->uuid);
	ret[2] = name_of(&cim_class_MSFTSM_ObjectManager);
	ret[3] = pv_str(h->uuid);
	ret[4] = name_of(o->pc->cls);
	ret[5] = cim_str(ns->name);
}

static void namespace_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o,
			   struct cim_instance *i)
{
	const struct cim_namespace *ns = o->p;

	i->v[NAMESPACE(ElementName)] = cim_str(ns->name);
	i->v[NAMESPACE(ClassInfo)] = cim_u16(0);
	i->v[NAMESPACE(ClassType)] = cim_u16(2); /* CIM */
}

/* ---- CIM-XML, at each URL; p: the entry of urls ---- */

static bool list_mechanisms(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			    struct pv_pos *pos, struct prov_obj *ret)
{
	const struct providers_server *s = pv_server_of(c);

	return pos->phase < s->n_urls && pv_set(c, PV_MECHANISM, &s->urls[pos->phase++], ret);
}
PV_NEXT(mechanism_next, list_mechanisms)

static struct cim_value url_of(const struct prov_obj *o)
{
	return cim_str(*(const char *const *)o->p);
}

static void mechanism_keys(const struct prov_ctx *c, const struct prov_obj *o,
			   struct cim_value *ret)
{
	hosted_keys(c, o, url_of(o), ret);
}

#define TEXT(lit) \
	{.type = CIM_STRING, .kind = CIM_V_SCALAR, .n = sizeof(lit) - 1, .s = lit}

static void mechanism_fill(const struct prov_ctx *c, const struct prov_obj *o,
			   struct cim_instance *i)
{
	/* Basic Read and Write, Instance Manipulation, Association Traversal, Query Execution */
	static const struct cim_value does[] = {PV_U16(2), PV_U16(3), PV_U16(5), PV_U16(6),
						PV_U16(7)},
				      basic[] = {PV_U16(3), PV_U16(1)}, none[] = {PV_U16(2)},
				      words[] = {TEXT("Basic"), TEXT("TLS client certificate")};
	const struct providers_server *server = pv_server_of(c);
	/* over TLS only, and where nobody is asked a certificate is of no use */
	bool certificates = server->authenticates && server->takes_certificates &&
			    str_starts(url_of(o).s, "https:");
	uint32_t n = certificates ? 2 : 1;

	i->v[MECHANISM(ElementName)] = url_of(o);
	i->v[MECHANISM(CommunicationMechanism)] = cim_u16(2);
	i->v[MECHANISM(FunctionalProfilesSupported)] =
		cim_array(CIM_UINT16, does, ARRAY_SIZE(does));
	i->v[MECHANISM(MultipleOperationsSupported)] = cim_bool(false);
	i->v[MECHANISM(AuthenticationMechanismsSupported)] =
		cim_array(CIM_UINT16, server->authenticates ? basic : none, n);
	i->v[MECHANISM(AuthenticationMechanismDescriptions)] =
		certificates ? cim_array(CIM_STRING, words, n) : cim_null(CIM_STRING);
	i->v[MECHANISM(Version)] = PV_TEXT("1.0");
	i->v[MECHANISM(CIMXMLProtocolVersion)] = cim_u16(1);
	/* A full server refuses to open another enumeration; it closes none. */
	i->v[MECHANISM(PulledEnumerationClosureOnExceedingServerLimitsSupported)] =
		cim_bool(false);
	i->v[MECHANISM(PulledEnumerationContinuationOnErrorSupported)] = cim_bool(false);
	i->v[MECHANISM(PulledEnumerationNoOperationTimeoutSupported)] = cim_bool(false);
	i->v[MECHANISM(PulledEnumerationMinimumOperationTimeout)] = cim_u32(1);
	i->v[MECHANISM(PulledEnumerationMaximumOperationTimeout)] =
		cim_u32(server->pull_timeout_max_s);
	i->v[MECHANISM(AdvertiseTypes)] = cim_array(CIM_UINT16, none, ARRAY_SIZE(none));
	i->v[MECHANISM(EnabledState)] = cim_u16(2);
	PV_FARES(i, MSFTSM_CIMXMLCommunicationMechanism, pv_health(SAN_OK));
}

/* ---- the software ---- */

static bool to_software(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_SOFTWARE, pos, ret);
}
PV_NEXT(software_next, to_software)

static void software_keys(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
			  struct cim_value *ret)
{
	ret[0] = PV_TEXT("smiscsi:software:smiscsid");
}

/* The number at *at, which moves behind it and the dot that follows; NULL when there is none. */
static struct cim_value version_number(const char **at)
{
	size_t n = strspn(*at, "0123456789");
	struct cim_value v = cim_null(CIM_UINT16);
	uint64_t number;

	if (n && str_u64(*at, n, UINT16_MAX, &number))
		v = cim_u16((uint16_t)number);
	*at += n + ((*at)[n] == '.');
	return v;
}

static void software_fill(const struct prov_ctx *c, const struct prov_obj *o UNUSED,
			  struct cim_instance *i)
{
	static const struct cim_value application[] = {PV_U16(4)};
	const char *version = pv_server_of(c)->version, *at = version;

	i->v[SOFTWARE(ElementName)] = i->v[SOFTWARE(Name)] = PV_TEXT("smiscsi");
	i->v[SOFTWARE(Description)] = cim_str(arena_printf(
		c->arena, "SMI-S iSCSI target server; %s", pv_server_of(c)->serves));
	i->v[SOFTWARE(VersionString)] = cim_str(version);
	i->v[SOFTWARE(MajorVersion)] = version_number(&at);
	i->v[SOFTWARE(MinorVersion)] = version_number(&at);
	i->v[SOFTWARE(RevisionNumber)] = version_number(&at);
	i->v[SOFTWARE(Classifications)] = cim_array(CIM_UINT16, application, 1);
}

/* ---- associations ---- */

static const struct pv_legs services = {
	PV_MANAGER_HOSTED_SERVICE,
	1,
	{{{PV_INTEROP_SYSTEM, PV_OBJECT_MANAGER}, to_manager, to_system, to_system, 0}},
};
PV_ASSOC(services)

static const struct pv_legs access_points = {
	PV_MANAGER_HOSTED_ACCESS_POINT,
	1,
	{{{PV_INTEROP_SYSTEM, PV_MECHANISM}, list_mechanisms, to_system, to_system, 0}},
};
PV_ASSOC(access_points)

static const struct pv_legs namespaces = {
	PV_NAMESPACE_IN_MANAGER,
	1,
	{{{PV_OBJECT_MANAGER, PV_NAMESPACE}, list_namespaces, to_manager, to_manager, 0}},
};
PV_ASSOC(namespaces)

static const struct pv_legs mechanisms = {
	PV_MECHANISM_FOR_MANAGER,
	1,
	{{{PV_OBJECT_MANAGER, PV_MECHANISM}, list_mechanisms, to_manager, to_manager, 0}},
};
PV_ASSOC(mechanisms)

/* The software is in interop and the host is not: the link is in both namespaces, so that it can
 * be followed from either end. */
#define RUNS(id)                                                                            \
	{                                                                                   \
		id, 2,                                                                      \
		{                                                                           \
			{{PV_SOFTWARE, PV_SYSTEM}, pv_to_system, to_software, to_software,  \
			 0},                                                                \
			{{PV_SOFTWARE, PV_OBJECT_MANAGER}, to_manager, to_software,         \
			 to_software, 0},                                                   \
		}                                                                           \
	}
static const struct pv_legs runs = RUNS(PV_ELEMENT_SOFTWARE);
PV_ASSOC(runs)
static const struct pv_legs runs_in = RUNS(PV_ELEMENT_SOFTWARE_IN);
PV_ASSOC(runs_in)

/* ---- tables ---- */

static const struct pv_class_row classes[] = {
	{PV_OBJECT_MANAGER,
	 {.cls = &cim_class_MSFTSM_ObjectManager,
	  .ns = &smiscsi_ns_interop,
	  .next = manager_next,
	  .keys = manager_keys,
	  .fill = manager_fill}},
	{PV_INTEROP_SYSTEM,
	 {.cls = &cim_class_MSFTSM_System,
	  .ns = &smiscsi_ns_interop,
	  .next = system_next,
	  .keys = system_keys,
	  .fill = system_fill}},
	{PV_NAMESPACE,
	 {.cls = &cim_class_MSFTSM_Namespace,
	  .ns = &smiscsi_ns_interop,
	  .next = namespace_next,
	  .keys = namespace_keys,
	  .fill = namespace_fill}},
	{PV_MECHANISM,
	 {.cls = &cim_class_MSFTSM_CIMXMLCommunicationMechanism,
	  .ns = &smiscsi_ns_interop,
	  .next = mechanism_next,
	  .keys = mechanism_keys,
	  .fill = mechanism_fill}},
	{PV_SOFTWARE,
	 {.cls = &cim_class_MSFTSM_SoftwareIdentity,
	  .ns = &smiscsi_ns_interop,
	  .next = software_next,
	  .keys = software_keys,
	  .fill = software_fill}},
};
#define RUNS_ROW(id, where, what)                                        \
	{id,                                                             \
	 {.cls = &cim_class_MSFTSM_ElementSoftwareIdentity,              \
	  .ns = &(where),                                                \
	  .ref = {MSFTSM_ElementSoftwareIdentity_P_Antecedent,           \
		  MSFTSM_ElementSoftwareIdentity_P_Dependent},           \
	  .next = what##_next,                                           \
	  .walk = what##_walk}}
static const struct pv_assoc_row assocs[] = {
	RUNS_ROW(PV_ELEMENT_SOFTWARE, smiscsi_ns_iscsitarget, runs),
	RUNS_ROW(PV_ELEMENT_SOFTWARE_IN, smiscsi_ns_interop, runs_in),
	{PV_MANAGER_HOSTED_SERVICE,
	 {.cls = &cim_class_MSFTSM_HostedService,
	  .ns = &smiscsi_ns_interop,
	  .ref = {MSFTSM_HostedService_P_Antecedent, MSFTSM_HostedService_P_Dependent},
	  .next = services_next,
	  .walk = services_walk}},
	{PV_MANAGER_HOSTED_ACCESS_POINT,
	 {.cls = &cim_class_MSFTSM_HostedAccessPoint,
	  .ns = &smiscsi_ns_interop,
	  .ref = {MSFTSM_HostedAccessPoint_P_Antecedent, MSFTSM_HostedAccessPoint_P_Dependent},
	  .next = access_points_next,
	  .walk = access_points_walk}},
	{PV_NAMESPACE_IN_MANAGER,
	 {.cls = &cim_class_MSFTSM_NamespaceInManager,
	  .ns = &smiscsi_ns_interop,
	  .ref = {MSFTSM_NamespaceInManager_P_Antecedent, MSFTSM_NamespaceInManager_P_Dependent},
	  .next = namespaces_next,
	  .walk = namespaces_walk}},
	{PV_MECHANISM_FOR_MANAGER,
	 {.cls = &cim_class_MSFTSM_CommMechanismForManager,
	  .ns = &smiscsi_ns_interop,
	  .ref = {MSFTSM_CommMechanismForManager_P_Antecedent,
		  MSFTSM_CommMechanismForManager_P_Dependent},
	  .next = mechanisms_next,
	  .walk = mechanisms_walk}},
};
const struct pv_part pv_server = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
};
