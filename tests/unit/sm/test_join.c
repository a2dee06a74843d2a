/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/clock.h"
#include "gen/sm.h"
#include "gen/sm_block.h"
#include "gen/sm_masking.h"
#include "gen/sm_replication.h"
#include "said.h"
#include "sm/join.h"
#include "test.h"

#define SYS     "SystemCreationClassName=\"T\",SystemName=\"array1\""
#define SYSTEM  "T_System.CreationClassName=\"T\",Name=\"array1\""
#define IP(n)   "T_IP." SYS ",CreationClassName=\"T_IP\",Name=\"" n "\""
#define TCP(n)  "T_TCP." SYS ",CreationClassName=\"T_TCP\",Name=\"" n "\""
#define EP(n)   "T_EP." SYS ",CreationClassName=\"T_EP\",Name=\"" n "\""
#define NIC(n)  "T_NIC." SYS ",CreationClassName=\"T_NIC\",DeviceID=\"" n "\""
#define POOL(n) "T_Pool.InstanceID=\"" n "\""
#define VOL(n)  "T_Vol." SYS ",CreationClassName=\"T_Vol\",DeviceID=\"" n "\""
#define CTRL(n) "T_Ctrl." SYS ",CreationClassName=\"T_Ctrl\",DeviceID=\"" n "\""

static const struct join_source source = {.provider = "p1",
					  .uri = "https://array1:5989",
					  .host = "array1",
					  .interop = "interop",
					  .level = 3};

static struct harvest *array(void)
{
	struct harvest *h = harvest_new(64 << 20, 100000);

	CHECK_INT(say(h, SRC_PROFILE, "CIM_RegisteredProfile.InstanceID=\"a\"",
		      "RegisteredOrganization=11", "RegisteredName=Array",
		      "RegisteredVersion=1.6.1", NULL),
		  0);
	CHECK_INT(say(h, SRC_SYSTEM, SYSTEM, "ElementName=An array", "Dedicated[]=3,15",
		      "OperationalStatus[]=2", NULL),
		  0);
	CHECK_INT(tie(h, SRC_CONFORMS, "ConformantStandard",
		      "CIM_RegisteredProfile.InstanceID=\"a\"", "ManagedElement", SYSTEM),
		  0);
	return h;
}

static struct sm_image *joined(struct harvest *h)
{
	struct sm_image *img = NULL;
	struct err e = {0};

	struct join_source s = source;

	scope_of_level(3, &s.scope);
	CHECK_INT(join(h, &s, 64 << 20, &img, &e), 0);
	CHECK_STR(e.text, "");
	return img;
}

static const struct cim_value *get(const struct sm_image *img, enum sm_kind k, uint32_t i, int p)
{
	static const struct cim_value none;

	return i < sm_image_count(img, k) ? &sm_image_at(img, k, i)->v[p] : &none;
}

static const char *str(const struct sm_image *img, enum sm_kind k, uint32_t i, int p)
{
	const struct cim_value *v = get(img, k, i, p);

	return v->kind == CIM_V_SCALAR ? v->s : "(null)";
}

TEST(a_portal_is_made_of_a_tcp_endpoint_and_the_ip_endpoint_it_is_bound_to)
{
	AUTO(harvest) h = array();

	say(h, SRC_IP, IP("10.0.0.1"), "IPv4Address=10.0.0.1", "SubnetMask=255.255.255.0",
	    "OperationalStatus[]=2", NULL);
	say(h, SRC_TCP, TCP("10.0.0.1:3260"), "PortNumber=3260", "OperationalStatus[]=10", NULL);
	say(h, SRC_EP, EP("iqn.x,t,0x0001"), "Role=3", "ConnectionType=7", "OperationalStatus[]=3",
	    NULL);
	tie(h, SRC_BINDS, "Antecedent", IP("10.0.0.1"), "Dependent", TCP("10.0.0.1:3260"));
	tie(h, SRC_BINDS, "Antecedent", TCP("10.0.0.1:3260"), "Dependent", EP("iqn.x,t,0x0001"));
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_PORTAL), 1);
	CHECK_STR(str(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_Identifier), "10.0.0.1:3260");
	CHECK_STR(str(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_IPv4Address), "10.0.0.1");
	CHECK_STR(str(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_IPv6Address), "(null)");
	CHECK_STR(str(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_SubnetMask), "255.255.255.0");
	CHECK_INT(get(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_PortNumber)->u, 3260);
	CHECK_INT(get(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_IPEndpointOpStatus)->a[0].u,
		  2);
	CHECK_INT(get(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_TCPEndpointOpStatus)->a[0].u,
		  10);
	CHECK_INT(sm_image_n_links(img, SM_ENDPOINT_PORTAL), 1);
	CHECK_STR(str(img, SM_ENDPOINT, 0, MSFT_SMEndpoint_P_Address), "10.0.0.1");
	CHECK_INT(get(img, SM_ENDPOINT, 0, MSFT_SMEndpoint_P_HealthStatus)->u, 1);
	CHECK_STR(str(img, SM_ENDPOINT, 0, MSFT_SMEndpoint_P_RoleDescription), "Target");
	CHECK_INT(sm_image_n_links(img, SM_SYSTEM_ENDPOINT), 1);
}

TEST(the_mask_of_an_ipv6_portal_is_null_and_zero_addresses_of_the_other_family_are_dropped)
{
	/* clang-format off */
	static const struct {
		const char *name, *v4, *v6, *mask;
		const char *want_v4, *want_v6, *want_mask;
	} rows[] = {
		{"2001:db8::1", "IPv4Address=", "IPv6Address=2001:db8::1",
		 "SubnetMask=255.0.0.0", "(null)", "2001:db8::1", "(null)"},
		{"10.0.0.9", "IPv4Address=10.0.0.9", "IPv6Address=0:0:0:0:0:0:0:0",
		 "SubnetMask=255.0.0.0", "10.0.0.9", "(null)", "255.0.0.0"},
		{"fd00::5", "IPv4Address=0.0.0.0", "IPv6Address=fd00::5", "SubnetMask=0.0.0.0",
		 "(null)", "fd00::5", "(null)"},
		{"::", "IPv4Address=", "IPv6Address=::", "SubnetMask=", "(null)", "::", "(null)"},
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(harvest) h = array();
		char ip[200];

		snprintf(ip, sizeof(ip), "T_IP.Name=\"%s\"", rows[i].name);
		say(h, SRC_IP, ip, rows[i].v4, rows[i].v6, rows[i].mask, NULL);
		say(h, SRC_TCP, TCP("x"), "PortNumber=3260", NULL);
		tie(h, SRC_BINDS, "Antecedent", ip, "Dependent", TCP("x"));
		AUTO(sm_image) img = joined(h);

		CHECK_STR(str(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_IPv4Address),
			  rows[i].want_v4);
		CHECK_STR(str(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_IPv6Address),
			  rows[i].want_v6);
		CHECK_STR(str(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_SubnetMask),
			  rows[i].want_mask);
	}
}

TEST(one_portal_may_serve_many_endpoints_and_one_endpoint_have_many_portals)
{
	AUTO(harvest) h = array();

	say(h, SRC_IP, IP("10.0.0.1"), "IPv4Address=10.0.0.1", NULL);
	say(h, SRC_IP, IP("10.0.0.2"), "IPv4Address=10.0.0.2", NULL);
	say(h, SRC_TCP, TCP("1"), "PortNumber=3260", NULL);
	say(h, SRC_TCP, TCP("2"), "PortNumber=3260", NULL);
	say(h, SRC_EP, EP("a"), "Role=3", NULL);
	say(h, SRC_EP, EP("b"), "Role=3", NULL);
	tie(h, SRC_BINDS, "Antecedent", IP("10.0.0.1"), "Dependent", TCP("1"));
	tie(h, SRC_BINDS, "Antecedent", IP("10.0.0.2"), "Dependent", TCP("2"));
	tie(h, SRC_BINDS, "Antecedent", TCP("1"), "Dependent", EP("a"));
	tie(h, SRC_BINDS, "Antecedent", TCP("2"), "Dependent", EP("a"));
	tie(h, SRC_BINDS, "Antecedent", TCP("1"), "Dependent", EP("b"));
	/* said twice, and once the wrong way round */
	tie(h, SRC_BINDS, "Antecedent", TCP("1"), "Dependent", EP("b"));
	tie(h, SRC_BINDS, "Antecedent", EP("b"), "Dependent", TCP("1"));
	AUTO(sm_image) img = joined(h);
	struct sm_link l;

	CHECK_INT(sm_image_n_links(img, SM_ENDPOINT_PORTAL), 3);
	CHECK(sm_image_walk(img, SM_ENDPOINT_PORTAL, 0, 0, 1, &l));
	CHECK(!sm_image_walk(img, SM_ENDPOINT_PORTAL, 0, 0, 2, &l));
	CHECK(sm_image_walk(img, SM_ENDPOINT_PORTAL, 1, 0, 1, &l));
	CHECK_INT(l.end[0], 1);
	CHECK(!sm_image_walk(img, SM_ENDPOINT_PORTAL, 1, 0, 2, &l));
	CHECK(sm_image_walk(img, SM_ENDPOINT_PORTAL, 1, 1, 0, &l));
	CHECK_INT(l.end[0], 0);
}

TEST(a_reference_that_leads_nowhere_makes_no_link_and_is_noted)
{
	AUTO(harvest) h = array();
	const char *notes;

	say(h, SRC_TCP, TCP("1"), "PortNumber=3260", NULL);
	tie(h, SRC_BINDS, "Antecedent", IP("10.9.9.9"), "Dependent", TCP("1"));
	tie(h, SRC_ALLOC, "Antecedent", POOL("gone"), "Dependent", VOL("gone"));
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_PORTAL), 0);
	CHECK_INT(sm_image_n_links(img, SM_POOL_VOLUME), 0);
	CHECK_INT(harvest_notes(h, &notes), 2);
	CHECK(strstr(notes, "CIM_BindsTo") != NULL);
}

TEST(references_meet_objects_in_spite_of_class_namespace_and_order_of_keys)
{
	AUTO(harvest) h = array();

	say(h, SRC_IP, "T_IP.Name=\"1\",SystemName=\"array1\"", "IPv4Address=10.0.0.1", NULL);
	say(h, SRC_TCP, "T_TCP.systemname=\"array1\",NAME=\"2\"", "PortNumber= 3260 ", NULL);
	tie(h, SRC_BINDS, "antecedent",
	    "root/other:CIM_IPProtocolEndpoint.SystemName=\"array1\",Name=\"1\"", "DEPENDENT",
	    "CIM_TCPProtocolEndpoint.Name=\"2\",SystemName=\"array1\"");
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_PORTAL), 1);
	CHECK_INT(get(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_PortNumber)->u, 3260);
}

TEST(values_of_the_wrong_type_are_null_and_noted)
{
	AUTO(harvest) h = array();
	const char *notes;

	say(h, SRC_IP, IP("1"), "IPv4Address=10.0.0.1", "OperationalStatus=2", NULL);
	say(h, SRC_TCP, TCP("1"), "PortNumber=many", "OperationalStatus[]=2,x,3", NULL);
	tie(h, SRC_BINDS, "Antecedent", IP("1"), "Dependent", TCP("1"));
	AUTO(sm_image) img = joined(h);
	const struct cim_value *ip = get(img, SM_PORTAL, 0,
					 MSFT_SMiSCSIPortalEndpoint_P_IPEndpointOpStatus);
	const struct cim_value *tcp = get(img, SM_PORTAL, 0,
					  MSFT_SMiSCSIPortalEndpoint_P_TCPEndpointOpStatus);

	CHECK(cim_is_null(get(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_PortNumber)));
	CHECK_INT(ip->kind, CIM_V_ARRAY);
	CHECK_INT(ip->n, 1);
	CHECK_INT(tcp->n, 2);
	CHECK_INT(tcp->a[1].u, 3);
	CHECK_INT(harvest_notes(h, &notes), 2);
}

TEST(object_ids_are_the_same_whenever_the_same_objects_are_shown)
{
	char first[2][200];

	for (int round = 0; round < 2; round++) {
		AUTO(harvest) h = array();

		if (round) /* something new in front, other values */
			say(h, SRC_EP, EP("0"), "Role=3", NULL);
		say(h, SRC_EP, EP("a"), round ? "Role=3" : "Role=4", NULL);
		AUTO(sm_image) img = joined(h);

		snprintf(first[round], sizeof(first[round]), "%s",
			 sm_image_at(img, SM_ENDPOINT, (uint32_t)round)->id);
		CHECK_INT(strncmp(first[round], "p1:SMEndpoint:", 14), 0);
		CHECK(sm_image_find(img, SM_ENDPOINT, first[0], strlen(first[0])) ==
		      sm_image_at(img, SM_ENDPOINT, (uint32_t)round));
	}
	CHECK_STR(first[1], first[0]);
}

TEST(identifiers_that_a_provider_uses_twice_get_a_suffix_each)
{
	AUTO(harvest) h = array();

	say(h, SRC_IP, IP("1"), "IPv4Address=10.0.0.1", NULL);
	say(h, SRC_IP, IP("2"), "IPv4Address=10.0.0.2", NULL);
	say(h, SRC_TCP, TCP("any:3260"), "PortNumber=3260", NULL);
	tie(h, SRC_BINDS, "Antecedent", IP("1"), "Dependent", TCP("any:3260"));
	tie(h, SRC_BINDS, "Antecedent", IP("2"), "Dependent", TCP("any:3260"));
	AUTO(sm_image) img = joined(h);
	const char *a = str(img, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_Identifier);
	const char *b = str(img, SM_PORTAL, 1, MSFT_SMiSCSIPortalEndpoint_P_Identifier);

	CHECK_INT(sm_image_count(img, SM_PORTAL), 2);
	CHECK(!streq(a, b));
	CHECK_INT(strncmp(a, "any:3260#", 9), 0);
	CHECK_INT(strncmp(b, "any:3260#", 9), 0);
}

TEST(the_system_is_what_an_autonomous_profile_points_to)
{
	AUTO(harvest) h = array();

	say(h, SRC_SYSTEM, "T_Ctl.CreationClassName=\"T_Ctl\",Name=\"controller A\"",
	    "Dedicated[]=3,15", NULL);
	say(h, SRC_PROFILE, "CIM_RegisteredProfile.InstanceID=\"smis\"",
	    "RegisteredOrganization=11", "RegisteredName=SMI-S", "RegisteredVersion=1.8.0", NULL);
	say(h, SRC_PROFILE, "CIM_RegisteredSubProfile.InstanceID=\"sub\"",
	    "RegisteredOrganization=11", "RegisteredName=iSCSI Target Ports", "RegisteredVersion=1",
	    NULL);
	tie(h, SRC_CONFORMS, "ConformantStandard", "CIM_RegisteredSubProfile.InstanceID=\"sub\"",
	    "ManagedElement", "T_Ctl.CreationClassName=\"T_Ctl\",Name=\"controller A\"");
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_SYSTEM), 1);
	CHECK_STR(str(img, SM_SYSTEM, 0, MSFT_SMSystem_P_Name), "array1");
	CHECK_STR(str(img, SM_SYSTEM, 0, MSFT_SMSystem_P_DisplayName), "An array");
	CHECK_STR(str(img, SM_SYSTEM, 0, MSFT_SMSystem_P_ManagementServer), "array1");
	CHECK_INT(get(img, SM_SYSTEM, 0, MSFT_SMSystem_P_CacheLevel)->u, 3);
	CHECK_STR(str(img, SM_PROVIDER, 0, MSFT_SMProvider_P_SMISProfileVersion), "1.8.0");
	CHECK_INT(get(img, SM_PROVIDER, 0, MSFT_SMProvider_P_AutonomousProfiles)->n, 1);
	CHECK_STR(get(img, SM_PROVIDER, 0, MSFT_SMProvider_P_AutonomousProfiles)->a[0].s, "Array");
	CHECK_INT(sm_image_n_links(img, SM_PROVIDER_SYSTEM), 1);
	CHECK_INT(sm_image_n_links(img, SM_SYSTEM_CAPS), 1);
}

TEST(objects_go_to_the_system_that_they_name)
{
	AUTO(harvest) h = array();
	struct sm_link l;

	say(h, SRC_SYSTEM, "T_System.CreationClassName=\"T\",Name=\"array2\"",
	    "ElementName=Another", NULL);
	tie(h, SRC_CONFORMS, "ConformantStandard", "CIM_RegisteredProfile.InstanceID=\"a\"",
	    "ManagedElement", "T_System.CreationClassName=\"T\",Name=\"array2\"");
	say(h, SRC_EP, "T_EP.Name=\"e2\"", "SystemName=array2", "Role=3", NULL);
	say(h, SRC_POOL, POOL("p2"), "Primordial=false", NULL);
	tie(h, SRC_HOSTEDPOOL, "GroupComponent", "T_System.CreationClassName=\"T\",Name=\"array2\"",
	    "PartComponent", POOL("p2"));
	say(h, SRC_CAPISCSI, "T_Cap.InstanceID=\"i\"",
	    "iSCSIProtocolEndpointCreationSupported=false", NULL);
	tie(h, SRC_ELEMCAP, "ManagedElement", "T_Service.SystemName=\"array2\",Name=\"s\"",
	    "Capabilities", "T_Cap.InstanceID=\"i\"");
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_SYSTEM), 2);
	CHECK(sm_image_walk(img, SM_SYSTEM_ENDPOINT, 1, 0, 0, &l));
	CHECK_INT(l.end[0], 1);
	CHECK(sm_image_walk(img, SM_SYSTEM_POOL, 1, 0, 0, &l));
	CHECK_INT(l.end[0], 1);
	CHECK_INT(get(img, SM_CAPS, 0, MSFT_SMSystemCapabilities_P_iSCSITargetEndpointCreation)->u,
		  0);
	CHECK_INT(get(img, SM_CAPS, 1, MSFT_SMSystemCapabilities_P_iSCSITargetEndpointCreation)->u,
		  1);
}

TEST(a_masking_view_ties_endpoints_volumes_and_initiators_together)
{
	AUTO(harvest) h = array();

	say(h, SRC_CTRL, CTRL("node"), "NameFormat=3", "Name=iqn.x", NULL);
	say(h, SRC_CTRL, CTRL("view"), "NameFormat=1", "Name=view", "ElementName=My view", NULL);
	say(h, SRC_EP, EP("e"), "Role=3", NULL);
	say(h, SRC_POOL, POOL("prim"), "Primordial=TRUE", NULL);
	say(h, SRC_POOL, POOL("p"), "Primordial=false", "ElementName=pool", NULL);
	say(h, SRC_VOLUME, VOL("1"), "Name=600a", "NameFormat=9", "NameNamespace=2",
	    "BlockSize=512", "NumberOfBlocks=2048", "OperationalStatus[]=2,17", NULL);
	say(h, SRC_HWID, "T_Hw.InstanceID=\"h\"", "StorageID=iqn.init", "IDType=5", NULL);
	say(h, SRC_PRIV, "T_Priv.InstanceID=\"ap\"", NULL);
	tie(h, SRC_UNIT, "Antecedent", CTRL("view"), "Dependent", VOL("1"));
	tie(h, SRC_SAPAVAIL, "AvailableSAP", EP("e"), "ManagedElement", CTRL("view"));
	tie(h, SRC_SAPAVAIL, "AvailableSAP", EP("e"), "ManagedElement", CTRL("node"));
	tie(h, SRC_AUTHTGT, "Privilege", "T_Priv.InstanceID=\"ap\"", "TargetElement", CTRL("view"));
	tie(h, SRC_AUTHSUBJ, "Privilege", "T_Priv.InstanceID=\"ap\"", "PrivilegedElement",
	    "T_Hw.InstanceID=\"h\"");
	tie(h, SRC_ALLOC, "Antecedent", POOL("p"), "Dependent", VOL("1"));
	tie(h, SRC_ALLOC, "Antecedent", POOL("prim"), "Dependent", POOL("p"));
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_GROUP), 1);
	CHECK_STR(str(img, SM_GROUP, 0, MSFT_SMStorageGroup_P_DisplayName), "My view");
	CHECK_INT(sm_image_n_links(img, SM_GROUP_VOLUME), 1);
	CHECK_INT(sm_image_n_links(img, SM_GROUP_ENDPOINT), 1);
	CHECK_INT(sm_image_n_links(img, SM_GROUP_HWID), 1);
	CHECK_INT(sm_image_n_links(img, SM_POOL_VOLUME), 1);
	CHECK_INT(sm_image_n_links(img, SM_POOL_POOL), 1);
	CHECK_INT(sm_image_n_links(img, SM_SYSTEM_POOL), 2);
	CHECK_STR(str(img, SM_VOLUME, 0, MSFT_SMStorageVolume_P_SMLunId), "600a");
	CHECK_INT(get(img, SM_VOLUME, 0, MSFT_SMStorageVolume_P_NumberOfBlocks)->u, 2048);
	CHECK_INT(get(img, SM_VOLUME, 0, MSFT_SMStorageVolume_P_OperationalStatus)->a[1].u, 2);
	CHECK_STR(str(img, SM_HWID, 0, MSFT_SMStorageHardwareID_P_StorageID), "iqn.init");
	CHECK_INT(get(img, SM_HWID, 0, MSFT_SMStorageHardwareID_P_HostTypes)->a[0].u, 15);
}

/* "Volume 0 is copied to volume n", with what else is said. */
#define COPY(from, to, ...)                                                                      \
	say_link(h, SRC_COPY, "SystemElement", VOL(from), "SyncedElement", VOL(to), __VA_ARGS__, \
		 NULL)

static const struct cim_value *copy_of(const struct sm_image *img, uint32_t i, int p)
{
	static const struct cim_value none;

	if (i >= sm_image_n_links(img, SM_VOLUME_COPY))
		return &none;
	struct sm_link l = sm_image_link_at(img, SM_VOLUME_COPY, i);
	const struct cim_value *v = sm_image_more(img, SM_VOLUME_COPY, &l);

	return v ? &v[p] : &none;
}
#define COPY_OF(img, i, p) copy_of(img, i, MSFT_SMStorageSynchronized_P_##p)

TEST(a_volume_and_its_copy_are_linked_with_what_the_provider_says_of_the_copy)
{
	AUTO(harvest) h = array();
	struct sm_link l;

	say(h, SRC_VOLUME, VOL("0"), "BlockSize=512", NULL);
	say(h, SRC_VOLUME, VOL("1"), "Usage=12", NULL);
	say(h, SRC_VOLUME, VOL("2"), NULL);
	COPY("0", "2", "SyncType=6", "Mode=3", "CopyState=17", "CopyPriority=4", "SyncState=6",
	     "CopyType=40000", "CopyMethodology=11");
	COPY("0", "1", "SyncType=7", "Mode=2", "CopyState=4", "RequestedCopyState=9",
	     "ProgressStatus=2", "PercentSynced=100", "CopyType=4", "ReplicaType=3", "SyncState=11",
	     "CopyPriority=0", "CopyMethodology=6", "SyncMaintained=false",
	     "WhenSynced=20261121074000.000000+000", "WhenEstablished=20261121074001.000000+000",
	     "WhenSynchronized=20261121074002.000000+000",
	     "WhenActivated=20261121074003.000000+000", "WhenDeactivated=20261121074004.000000+000",
	     "WhenSuspended=20261121074005.000000+000");
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_n_links(img, SM_VOLUME_COPY), 2);
	/* from the source, from the target, and not from what is neither */
	CHECK(sm_image_walk(img, SM_VOLUME_COPY, 0, 0, 1, &l));
	CHECK(!sm_image_walk(img, SM_VOLUME_COPY, 0, 1, 0, &l));
	CHECK(sm_image_walk(img, SM_VOLUME_COPY, 1, 1, 0, &l));
	CHECK_INT(l.end[0], 0);
	CHECK_INT(sm_image_more(img, SM_VOLUME_COPY, &l)[MSFT_SMStorageSynchronized_P_SyncType].u,
		  7);
	CHECK(!sm_image_walk(img, SM_VOLUME_COPY, 1, 0, 0, &l));
	/* by source and target: 0 -> 1 stands first */
#define IS(p, n, words)                      \
	CHECK_INT(COPY_OF(img, 0, p)->u, n); \
	CHECK_STR(COPY_OF(img, 0, p##Description)->s, words)
	IS(SyncType, 7, "Snapshot");
	IS(Mode, 2, "Synchronous");
	IS(CopyState, 4, "Synchronized");
	IS(ProgressStatus, 2, "Completed");
	IS(CopyType, 4, "UnSyncAssoc");
	IS(ReplicaType, 3, "Before Delta");
	IS(SyncState, 11, "Idle");
	IS(CopyPriority, 0, "Not Managed");
	IS(CopyMethodology, 6, "Copy-On-Write");
#undef IS
	CHECK_INT(COPY_OF(img, 0, RequestedCopyState)->u, 9);
	CHECK_INT(COPY_OF(img, 0, PercentSynced)->u, 100);
	CHECK_INT(COPY_OF(img, 0, SyncMaintained)->kind, CIM_V_SCALAR);
	CHECK_INT(COPY_OF(img, 0, SyncMaintained)->u, 0);
	CHECK_STR(COPY_OF(img, 0, WhenSynced)->s, "20261121074000.000000+000");
	CHECK_STR(COPY_OF(img, 0, WhenEstablished)->s, "20261121074001.000000+000");
	CHECK_STR(COPY_OF(img, 0, WhenSynchronized)->s, "20261121074002.000000+000");
	CHECK_STR(COPY_OF(img, 0, WhenActivated)->s, "20261121074003.000000+000");
	CHECK_STR(COPY_OF(img, 0, WhenDeactivated)->s, "20261121074004.000000+000");
	CHECK_STR(COPY_OF(img, 0, WhenSuspended)->s, "20261121074005.000000+000");
	/* values that only the provider's class knows are told in its words */
	CHECK_STR(COPY_OF(img, 1, CopyStateDescription)->s, "Invalid");
	CHECK_STR(COPY_OF(img, 1, CopyPriorityDescription)->s, "Urgent");
	CHECK_STR(COPY_OF(img, 1, CopyTypeDescription)->s, "Vendor Specific");
	CHECK_STR(COPY_OF(img, 1, CopyMethodologyDescription)->s, "DMTF Reserved");
	/* nothing said: nothing shown, but the default that the class declares */
	CHECK(cim_is_null(COPY_OF(img, 1, WhenSynced)));
	CHECK(cim_is_null(COPY_OF(img, 1, ReplicaTypeDescription)));
	CHECK(cim_is_null(COPY_OF(img, 1, RecoveryPointObjective)));
	CHECK_INT(COPY_OF(img, 1, RequestedCopyState)->u, 15);
	CHECK_INT(sm_image_at(img, SM_VOLUME, 1)->v[MSFT_SMStorageVolume_P_IsSnapshot].u, 1);
}

TEST(copies_that_lead_nowhere_or_are_said_twice_or_say_nonsense_are_noted)
{
	AUTO(harvest) h = array();
	const char *notes;

	say(h, SRC_VOLUME, VOL("0"), NULL);
	say(h, SRC_VOLUME, VOL("1"), NULL);
	say(h, SRC_POOL, POOL("p"), NULL);
	COPY("0", "1", "CopyState=many", "PercentSynced=70000", "WhenSynced=yesterday",
	     "SyncMaintained=perhaps", "SyncType=6");
	COPY("0", "1", "SyncType=8");
	COPY("0", "gone", "SyncType=8");
	COPY("gone", "1", "SyncType=8");
	COPY("1", "1", "SyncType=8");
	tie(h, SRC_COPY, "SystemElement", POOL("p"), "SyncedElement", VOL("1"));
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_n_links(img, SM_VOLUME_COPY), 1);
	CHECK_INT(COPY_OF(img, 0, SyncType)->u, 6); /* what was said first */
	CHECK(cim_is_null(COPY_OF(img, 0, CopyState)));
	CHECK(cim_is_null(COPY_OF(img, 0, CopyStateDescription)));
	CHECK(cim_is_null(COPY_OF(img, 0, PercentSynced)));
	CHECK(cim_is_null(COPY_OF(img, 0, WhenSynced)));
	CHECK(cim_is_null(COPY_OF(img, 0, SyncMaintained)));
	CHECK_INT(harvest_notes(h, &notes), 4 + 1 + 2 + 1 + 1);
	CHECK(strstr(notes, "CIM_StorageSynchronized of a volume with itself") != NULL);
	CHECK(strstr(notes, "CIM_StorageSynchronized leads to an object that isn't there") != NULL);
	CHECK(strstr(notes, "1 objects or copies that can't be told apart") != NULL);
	CHECK(strstr(notes, "CIM_StorageSynchronized.PercentSynced isn't a uint16") != NULL);
}

TEST(the_most_copies_of_a_volume_come_from_the_capabilities_of_copy_services)
{
	for (int newer = 0; newer < 2; newer++) {
		AUTO(harvest) h = array();

		say(h, SRC_CAPCOPY, "T_Cap.InstanceID=\"1\"", "SupportedSynchronizationType=2",
		    "MaximumReplicasPerSource=4", "SupportedAsynchronousActions[]=3", NULL);
		say(h, SRC_CAPCOPY, "T_Cap.InstanceID=\"2\"", "SupportedSynchronizationType=3",
		    "MaximumReplicasPerSource=2", "SupportedSynchronousActions[]=4,2", NULL);
		say(h, SRC_CAPCOPY, "T_Cap.InstanceID=\"3\"", "SupportedSynchronizationType=5",
		    "MaximumReplicasPerSource=256", "SupportedSynchronousActions[]=2", NULL);
		say(h, SRC_CAPCOPY, "T_Cap.InstanceID=\"4\"", "SupportedSynchronizationType=40000",
		    "MaximumReplicasPerSource=9", NULL);
		if (newer)
			say(h, SRC_CAPREPL, "T_Cap.InstanceID=\"5\"",
			    "SupportedReplicationTypes[]=10", NULL);
		AUTO(sm_image) img = joined(h);

#define CAP(p) get(img, SM_CAPS, 0, MSFT_SMSystemCapabilities_P_##p)
		CHECK_INT(CAP(MaximumReplicasPerSourceMirror)->u, 4);
		CHECK_INT(CAP(MaximumReplicasPerSourceSnapshot)->u, 256);
		CHECK(cim_is_null(CAP(MaximumReplicasPerSourceClone)));
		/* where the newer service speaks, it speaks alone */
		CHECK_INT(CAP(ReplicationSupportedTypeMirrorLocal)->u, !newer);
		CHECK_INT(CAP(ReplicationSupportedTypeMirrorRemote)->u, !newer);
		CHECK_INT(CAP(ReplicationSupportedTypeSnapshotLocal)->u, !newer);
		CHECK_INT(CAP(ReplicationSupportedTypeSnapshotRemote)->u, 0);
		CHECK_INT(CAP(ReplicationSupportedTypeCloneLocal)->u, newer);
		CHECK(!newer == cim_is_null(CAP(ReplicationSupportedTypeCloneRemote)));
#undef CAP
	}
}

TEST(an_endpoint_takes_link_facts_from_the_nic_below_its_portal)
{
	AUTO(harvest) h = array();

	say(h, SRC_IP, IP("1"), "IPv4Address=10.0.0.1", NULL);
	say(h, SRC_TCP, TCP("1"), "PortNumber=3260", NULL);
	say(h, SRC_EP, EP("e"), "Role=3", NULL);
	say(h, SRC_PORT, NIC("eth0"), "PermanentAddress=020000000001", "Speed=10000000000",
	    "LinkTechnology=2", "PortType=53", NULL);
	say(h, SRC_PORT, NIC("eth1"), "PermanentAddress=020000000002", "PortType=52", NULL);
	tie(h, SRC_BINDS, "Antecedent", TCP("1"), "Dependent", EP("e"));
	tie(h, SRC_BINDS, "Antecedent", IP("1"), "Dependent", TCP("1"));
	/* two NICs below one address, as some arrays have it: the first one speaks */
	tie(h, SRC_SAPIMPL, "Antecedent", NIC("eth0"), "Dependent", IP("1"));
	tie(h, SRC_SAPIMPL, "Antecedent", NIC("eth1"), "Dependent", IP("1"));
	AUTO(sm_image) img = joined(h);

	CHECK_INT(get(img, SM_ENDPOINT, 0, MSFT_SMEndpoint_P_Speed)->u, 10000000000);
	CHECK_INT(get(img, SM_ENDPOINT, 0, MSFT_SMEndpoint_P_PortType)->u, 53);
	CHECK_STR(get(img, SM_ENDPOINT, 0, MSFT_SMEndpoint_P_NetworkAddresses)->a[0].s,
		  "020000000001");
}

TEST(a_pools_settings_are_those_that_its_capabilities_offer)
{
	AUTO(harvest) h = array();

	say(h, SRC_POOL, POOL("p"), "Primordial=false", "Usage=1", "OtherUsageDescription=odd",
	    NULL);
	say(h, SRC_POOLCAP, "T_Cap.InstanceID=\"c\"", "DataRedundancyMax=2",
	    "SupportedStorageElementTypes[]=2,5", NULL);
	say(h, SRC_SETTING, "T_Set.InstanceID=\"offered\"", "ElementName=RAID 1",
	    "ThinProvisionedPoolType=8", NULL);
	say(h, SRC_SETTING, "T_Set.InstanceID=\"of a volume\"", "ParityLayout=2", NULL);
	say(h, SRC_VOLUME, VOL("1"), "ExtentStripeLength=70000", NULL);
	tie(h, SRC_ELEMCAP, "ManagedElement", POOL("p"), "Capabilities", "T_Cap.InstanceID=\"c\"");
	tie(h, SRC_CAPSETTING, "Antecedent", "T_Cap.InstanceID=\"c\"", "Dependent",
	    "T_Set.InstanceID=\"offered\"");
	tie(h, SRC_ELEMSET, "ManagedElement", VOL("1"), "SettingData",
	    "T_Set.InstanceID=\"of a volume\"");
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_SETTING), 1);
	CHECK_INT(sm_image_n_links(img, SM_POOL_SETTING), 1);
	CHECK_STR(str(img, SM_SETTING, 0, MSFT_SMPoolSetting_P_ThinProvisionedPoolTypeDescription),
		  "ThinlyProvisionedQuotaStoragePool");
	CHECK_STR(str(img, SM_POOL, 0, MSFT_SMPool_P_DefaultSettingName), "RAID 1");
	CHECK_STR(str(img, SM_POOL, 0, MSFT_SMPool_P_UsageDescription), "odd");
	CHECK_INT(get(img, SM_POOL, 0, MSFT_SMPool_P_DataRedundancyMax)->u, 2);
	CHECK_INT(get(img, SM_POOL, 0, MSFT_SMPool_P_SupportsThinlyProvisionedStorageVolume)->u, 1);
	CHECK_INT(get(img, SM_VOLUME, 0, MSFT_SMStorageVolume_P_ParityLayout)->u, 2);
	/* a uint64 there, a uint16 here: what doesn't fit is left out */
	CHECK(cim_is_null(get(img, SM_VOLUME, 0, MSFT_SMStorageVolume_P_ExtentStripeLength)));
}

TEST(fibre_channel_endpoints_say_what_they_are_connected_to)
{
	AUTO(harvest) h = array();

	say(h, SRC_PEP, "T_PEP.Name=\"50:01\"", "Name=5001", "NameFormat=WWPN", "SystemName=array1",
	    "ProtocolIFType=56", NULL);
	say(h, SRC_PEP, "T_PEP.Name=\"50:02\"", "Name=5002", "NameFormat=WWPN", "SystemName=switch",
	    "ProtocolIFType=56", NULL);
	say(h, SRC_PEP, "T_PEP.Name=\"eth\"", "Name=eth", "ProtocolIFType=6", NULL);
	tie(h, SRC_ACTIVE, "Antecedent", "T_PEP.Name=\"50:01\"", "Dependent",
	    "T_PEP.Name=\"50:02\"");
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_PROTOCOL), 2);
	CHECK_STR(str(img, SM_PROTOCOL, 0, MSFT_SMProtocolEndpoint_P_ConnectedName), "5002");
	CHECK_STR(str(img, SM_PROTOCOL, 0, MSFT_SMProtocolEndpoint_P_ConnectedSystemName),
		  "switch");
	CHECK_STR(str(img, SM_PROTOCOL, 1, MSFT_SMProtocolEndpoint_P_ConnectedName), "5001");
}

TEST(ports_of_initiators_that_are_logged_in_are_not_the_systems)
{
	AUTO(harvest) h = array();

	say(h, SRC_EP, EP("iqn.host,i,0x1"), "Role=2", NULL);
	say(h, SRC_EP, EP("iqn.x,t,0x0001"), "Role=3", NULL);
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_ENDPOINT), 1);
}

TEST(a_provider_that_says_too_much_is_cut_off)
{
	AUTO(harvest) few = harvest_new(64 << 20, 1);
	AUTO(harvest) small = harvest_new(4096, 100000);
	int r = 0;

	CHECK_INT(say(few, SRC_IP, IP("1"), NULL), 0);
	CHECK_INT(say(few, SRC_IP, IP("2"), NULL), -E2BIG);
	for (int i = 0; i < 1000 && r == 0; i++) {
		char path[100];

		snprintf(path, sizeof(path), "T.Name=\"%d\"", i);
		r = say(small, SRC_IP, path, "IPv4Address=10.0.0.1", NULL);
	}
	CHECK_INT(r, -E2BIG);
}

/* What a few objects say can be multiplied; the work and the memory are bounded all the same. */
TEST(few_objects_that_make_very_many_links_are_refused)
{
	/* as many as there is room for are no fault */
	static const struct {
		size_t bytes;
		int want;
	} rows[] = {
		{64 << 20, -E2BIG},
                {1 << 30,  0     }
        };

	for (size_t x = 0; x < ARRAY_SIZE(rows); x++) {
		AUTO(harvest) h = array();
		AUTO(sm_image) img = NULL;
		struct join_source s = source;
		struct err e = {0};
		char a[100];

		scope_of_level(3, &s.scope);
		say(h, SRC_PRIV, "T_Priv.InstanceID=\"all\"", NULL);
		for (int i = 0; i < 1300; i++) {
			snprintf(a, sizeof(a), "T_Ctrl.DeviceID=\"%d\"", i);
			say(h, SRC_CTRL, a, "NameFormat=1", NULL);
			tie(h, SRC_AUTHTGT, "Privilege", "T_Priv.InstanceID=\"all\"",
			    "TargetElement", a);
			snprintf(a, sizeof(a), "T_Hw.InstanceID=\"%d\"", i);
			say(h, SRC_HWID, a, "IDType=5", NULL);
			tie(h, SRC_AUTHSUBJ, "Privilege", "T_Priv.InstanceID=\"all\"",
			    "PrivilegedElement", a);
		}
		CHECK_INT(join(h, &s, rows[x].bytes, &img, &e), rows[x].want);
		if (img)
			CHECK_INT(sm_image_n_links(img, SM_GROUP_HWID), 1300 * 1300);
		else
			CHECK(strstr(e.text, "more memory than allowed") != NULL);
	}
}

TEST(systems_and_capabilities_without_end_cost_no_more_than_there_is_of_them)
{
	AUTO(harvest) h = harvest_new(256 << 20, 500000);
	uint64_t start = clock_mono_ns();
	const char *notes;
	char a[100], b[100];

	for (int i = 0; i < 20000; i++) {
		snprintf(a, sizeof(a), "T_System.Name=\"s%d\"", i);
		snprintf(b, sizeof(b), "Name=s%d", i);
		say(h, SRC_SYSTEM, a, b, "Dedicated[]=3", NULL);
		snprintf(b, sizeof(b), "T_Cap.InstanceID=\"%d\"", i);
		say(h, SRC_CAPISCSI, b, "iSCSIProtocolEndpointCreationSupported=true", NULL);
		if (i % 2)
			tie(h, SRC_ELEMCAP, "ManagedElement", a, "Capabilities", b);
		snprintf(b, sizeof(b), "SystemName=s%d", i);
		snprintf(a, sizeof(a), "T_EP.Name=\"%d\"", i);
		say(h, SRC_EP, a, b, NULL);
	}
	AUTO(sm_image) img = joined(h);

	printf("# %llu ms\n", (unsigned long long)(clock_mono_ns() - start) / 1000000);
	CHECK_INT(sm_image_count(img, SM_SYSTEM), 1000);
	CHECK_INT(sm_image_n_links(img, SM_SYSTEM_ENDPOINT), 20000);
	CHECK_STR(str(img, SM_SYSTEM, 999, MSFT_SMSystem_P_Name), "s999");
	CHECK_INT(
		get(img, SM_CAPS, 999, MSFT_SMSystemCapabilities_P_iSCSITargetEndpointCreation)->u,
		2);
	struct sm_link l;

	CHECK(sm_image_walk(img, SM_SYSTEM_ENDPOINT, 1, 777, 0, &l));
	CHECK_INT(l.end[0], 777);
	CHECK(harvest_notes(h, &notes) > 1);
	CHECK(strstr(notes, "more than 1000 systems") != NULL);
}

#define DISK(n)   "T_Disk." SYS ",CreationClassName=\"T_Disk\",DeviceID=\"" n "\""
#define EXTENT(n) "T_Ext." SYS ",CreationClassName=\"T_Ext\",DeviceID=\"" n "\""
#define PACK(n)   "T_Pack.CreationClassName=\"T_Pack\",Tag=\"" n "\""

TEST(a_disk_drive_is_told_by_its_medium_its_package_its_software_and_its_place)
{
	AUTO(harvest) h = array();

	say(h, SRC_DISK, DISK("d1"), "SystemName=array1", "DeviceID=d1", "Name=5000c500",
	    "ElementName=Disk 1", "Description=a disk", "OperationalStatus[]=2", "RPM=7200",
	    "DiskType=2", "Encryption=1", "CompressionMethod=none", NULL);
	say(h, SRC_DISK, DISK("d2"), "DeviceID=d2", "OperationalStatus[]=3,15,13",
	    "StatusDescriptions[]=worn", NULL);
	say(h, SRC_EXTENT, EXTENT("e1"), "BlockSize=512", "NumberOfBlocks=2048",
	    "ConsumableBlocks=1024", NULL);
	say(h, SRC_EXTENT, EXTENT("e2"), "BlockSize=18446744073709551615", "NumberOfBlocks=2",
	    NULL);
	say(h, SRC_EXTENT, EXTENT("of no drive"), "BlockSize=512", NULL);
	say(h, SRC_POOL, POOL("prim"), "Primordial=true", NULL);
	say(h, SRC_PACKAGE, PACK("p1"), "Manufacturer=Example", "Model=X", "SerialNumber=0815",
	    "PartNumber=17", NULL);
	say(h, SRC_SW, "T_Sw.InstanceID=\"fw\"", "VersionString=1.2", NULL);
	say(h, SRC_LOCATION, "T_Loc.Name=\"bay\",PhysicalPosition=\"shelf 1\"", NULL);
	tie(h, SRC_MEDIA, "Antecedent", DISK("d1"), "Dependent", EXTENT("e1"));
	tie(h, SRC_MEDIA, "Antecedent", DISK("d2"), "Dependent", EXTENT("e2"));
	tie(h, SRC_MEDIA, "Antecedent", DISK("d1"), "Dependent", EXTENT("gone"));
	tie(h, SRC_COMPONENT, "GroupComponent", POOL("prim"), "PartComponent", EXTENT("e1"));
	tie(h, SRC_COMPONENT, "GroupComponent", POOL("prim"), "PartComponent", EXTENT("e2"));
	tie(h, SRC_COMPONENT, "GroupComponent", POOL("prim"), "PartComponent",
	    EXTENT("of no drive"));
	tie(h, SRC_REALIZES, "Antecedent", PACK("p1"), "Dependent", DISK("d1"));
	tie(h, SRC_DEVSW, "Antecedent", "T_Sw.InstanceID=\"fw\"", "Dependent", DISK("d1"));
	tie(h, SRC_PLACED, "Element", PACK("p1"), "PhysicalLocation",
	    "T_Loc.Name=\"bay\",PhysicalPosition=\"shelf 1\"");
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_DISK), 2);
	CHECK_INT(sm_image_n_links(img, SM_DISK_POOL), 2);
#define IS(p, want) CHECK_STR(str(img, SM_DISK, 0, MSFT_SMDiskDrive_P_##p), want)
#define NUM(i, p)   get(img, SM_DISK, i, MSFT_SMDiskDrive_P_##p)
	IS(Identifier, "d1");
	IS(DeviceId, "d1");
	IS(Name, "5000c500");
	IS(SystemName, "array1");
	IS(DisplayName, "Disk 1");
	IS(Description, "a disk");
	IS(Manufacturer, "Example");
	IS(Model, "X");
	IS(SerialNumber, "0815");
	IS(PartNumber, "17");
	IS(FirmwareVersion, "1.2");
	IS(SoftwareVersion, "1.2");
	IS(PhysicalLocation, "shelf 1");
	IS(StatusDescription, "OK");
	IS(CompressionMethod, "none");
	CHECK_INT(NUM(0, TotalSize)->u, 1048576);
	CHECK_INT(NUM(0, AllocatedSize)->u, 524288);
	CHECK_INT(NUM(0, BytesPerLogicalSector)->u, 512);
	CHECK_INT(NUM(0, SpindleSpeed)->u, 7200);
	CHECK_INT(NUM(0, DiskType)->u, 2);
	CHECK_INT(NUM(0, Encryption)->u, 1);
	CHECK_INT(NUM(0, HealthStatus)->u, 0);
	CHECK_INT(NUM(0, OperationalStatus)->a[0].u, 2);
	/* only values that the class has; a product that doesn't fit is no size */
	CHECK_INT(NUM(1, OperationalStatus)->a[0].u, 5);
	CHECK_INT(NUM(1, OperationalStatus)->a[1].u, 10);
	CHECK_INT(NUM(1, OperationalStatus)->a[2].u, 6);
	CHECK_INT(NUM(1, HealthStatus)->u, 2);
	CHECK_STR(str(img, SM_DISK, 1, MSFT_SMDiskDrive_P_StatusDescription), "worn");
	CHECK(cim_is_null(NUM(1, TotalSize)));
	CHECK(cim_is_null(NUM(1, SpindleSpeed)));
#undef NUM
#undef IS
}

TEST(an_empty_harvest_still_shows_the_provider)
{
	AUTO(harvest) h = harvest_new(1 << 20, 10);
	AUTO(sm_image) img = joined(h);

	CHECK_INT(sm_image_count(img, SM_PROVIDER), 1);
	CHECK_INT(sm_image_count(img, SM_DISCOVERY), 1);
	CHECK_INT(sm_image_count(img, SM_SYSTEM), 0);
	CHECK_STR(str(img, SM_PROVIDER, 0, MSFT_SMProvider_P_URI), "https://array1:5989");
}

/* A small generator: the same seed, the same answers. */
static uint32_t next_random(uint32_t *s)
{
	*s = *s * 1664525 + 1013904223;
	return *s >> 8;
}

TEST(whatever_the_links_are_the_join_holds_together)
{
	for (uint32_t seed = 1; seed <= 200; seed++) {
		AUTO(harvest) h = harvest_new(16 << 20, 100000);
		uint32_t s = seed;

		for (int i = 0; i < 120; i++) {
			enum src_kind k = (enum src_kind)(next_random(&s) % SRC_N);
			char a[64], b[64];

			snprintf(a, sizeof(a), "T.K=\"%u\"", next_random(&s) % 6);
			snprintf(b, sizeof(b), "U.K=\"%u\"", next_random(&s) % 6);
			const struct src_kind_info *ki = src_kind_info(k);

			if (src_is_assoc(k))
				(void)tie(h, k, ki->names[0], a, ki->names[1], b);
			(void)say(h, k, next_random(&s) % 8 ? a : NULL, "OperationalStatus[]=2,99",
				  "SystemName=4", "Name=4", "DeviceID=4", "Primordial=true",
				  "RegisteredName=Array", "Role=77", "ConnectionType=999",
				  "NameFormat=400", "ClientTypes[]=1,2,3,400", "PortsPerView=9",
				  "AuthenticationMechanismsSupported[]=1,500", NULL);
		}
		AUTO(sm_image) img = joined(h);

		for (int a = 0; a < SM_N_ASSOCS; a++)
			for (uint32_t i = 0; i < sm_image_n_links(img, (enum sm_assoc)a); i++) {
				const struct sm_assoc_info *ai = sm_assoc_info((enum sm_assoc)a);
				struct sm_link l = sm_image_link_at(img, (enum sm_assoc)a, i), x;
				uint32_t n = 0;

				CHECK(l.end[0] < sm_image_count(img, ai->end[0]));
				CHECK(l.end[1] < sm_image_count(img, ai->end[1]));
				while (sm_image_walk(img, (enum sm_assoc)a, 1, l.end[1], n, &x) &&
				       x.end[0] != l.end[0])
					n++;
				CHECK_INT(x.end[1], l.end[1]);
				CHECK_INT(x.end[0], l.end[0]);
			}
	}
}

TEST(an_image_read_back_is_the_image_written)
{
	AUTO(harvest) h = array();
	auto_buf struct buf b = buf_of(1 << 20), again = buf_of(1 << 20);
	AUTO(sm_image) back = NULL;
	struct err e = {0};

	say(h, SRC_IP, IP("10.0.0.1"), "IPv4Address=10.0.0.1", "OperationalStatus[]=2", NULL);
	say(h, SRC_TCP, TCP("1"), "PortNumber=3260", NULL);
	tie(h, SRC_BINDS, "Antecedent", IP("10.0.0.1"), "Dependent", TCP("1"));
	say(h, SRC_VOLUME, VOL("0"), NULL);
	say(h, SRC_VOLUME, VOL("1"), NULL);
	COPY("1", "0", "SyncType=8", "WhenSynced=20261121074000.000000+000");
	AUTO(sm_image) img = joined(h);

	CHECK(sm_image_write(img, &b));
	CHECK_INT(sm_image_read(b.p, b.len, 64 << 20, &back, &e), 0);
	CHECK_STR(e.text, "");
	CHECK(sm_image_write(back, &again));
	CHECK_INT(again.len, b.len);
	CHECK(memcmp(again.p, b.p, b.len) == 0);
	CHECK_STR(str(back, SM_PORTAL, 0, MSFT_SMiSCSIPortalEndpoint_P_IPv4Address), "10.0.0.1");
	CHECK_INT(sm_image_n_links(back, SM_VOLUME_COPY), 1);
	CHECK_STR(COPY_OF(back, 0, SyncTypeDescription)->s, "Clone");
	CHECK_STR(COPY_OF(back, 0, WhenSynced)->s, "20261121074000.000000+000");
	CHECK(cim_is_null(COPY_OF(back, 0, Mode)));
	/* cut or changed anywhere it is refused */
	for (size_t i = 0; i < b.len; i += 97) {
		AUTO(sm_image) bad = NULL;

		CHECK_INT(sm_image_read(b.p, i, 64 << 20, &bad, &e), -EPROTO);
		b.p[i] ^= 1;
		CHECK_INT(sm_image_read(b.p, b.len, 64 << 20, &bad, &e), -EPROTO);
		b.p[i] ^= 1;
	}
}

TEST(what_a_part_does_not_renew_stays_with_all_that_it_says)
{
	AUTO(harvest) first = array();
	AUTO(harvest) second = array();
	AUTO(sm_image) kept = NULL;
	AUTO(sm_image) renewed = NULL;
	struct err e = {0};

	for (int round = 0; round < 2; round++) {
		struct harvest *h = round ? second : first;

		/* in another order the second time */
		say(h, SRC_VOLUME, round ? VOL("1") : VOL("0"), NULL);
		say(h, SRC_VOLUME, round ? VOL("0") : VOL("1"), NULL);
		COPY("0", "1", round ? "SyncType=6" : "SyncType=8");
	}
	AUTO(sm_image) a = joined(first);
	AUTO(sm_image) b = joined(second);

	/* the volumes are read again, the copies aren't; and the other way round */
	CHECK_INT(sm_image_merge(a, b, 1U << SM_VOLUME, 0, 64 << 20, &kept, &e), 0);
	CHECK_INT(sm_image_merge(a, b, 0, 1U << SM_VOLUME_COPY, 64 << 20, &renewed, &e), 0);
	CHECK_STR(COPY_OF(kept, 0, SyncTypeDescription)->s, "Clone");
	CHECK_STR(COPY_OF(renewed, 0, SyncTypeDescription)->s, "Mirror");
	struct sm_link l = sm_image_link_at(kept, SM_VOLUME_COPY, 0);

	CHECK_STR(str(kept, SM_VOLUME, l.end[0], MSFT_SMStorageVolume_P_Identifier), "0");
	CHECK_STR(str(kept, SM_VOLUME, l.end[1], MSFT_SMStorageVolume_P_Identifier), "1");
}
