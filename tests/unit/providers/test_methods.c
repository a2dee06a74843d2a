/* SPDX-License-Identifier: Apache-2.0 */
/* What the methods and the intrinsic changes do and refuse, asked through the broker. */
#include "base/str.h"
#include "box.h"
#include "test.h"

#define PORT   BOX_NODE ",t,0x0001"
#define SYSTEM "MSFTSM_ComputerSystem.CreationClassName=\"MSFTSM_ComputerSystem\",Name=\"" UUID "\""

static unsigned config(struct box *b, const char *method, const char *name, const char *value)
{
	return box_call(b, box_service("iSCSI"), method, name, value, NULL);
}

/* ---- nodes ---- */

TEST(CreateiSCSINode_gives_the_path_of_a_node_that_is_there)
{
	AUTO(box) b = box_new();

	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "alpha"), 0);
	CHECK_STR(box_out("iSCSINode"), "root/cimv2/storage/iscsitarget:"
					"MSISCSITARGET_SCSIProtocolController."
					"SystemCreationClassName=\"MSFTSM_ComputerSystem\","
					"SystemName=\"" UUID "\",CreationClassName="
					"\"MSISCSITARGET_SCSIProtocolController\","
					"DeviceID=\"" BOX_NODE "\"");
	CHECK_STR(box_get(b, box_node(BOX_NODE), "ElementName"), "alpha");
	CHECK_STR(box_names(b, box_node(BOX_NODE), "CIM_SystemDevice", NULL), UUID " ");
	CHECK_INT(b->writes, 1);
}

TEST(CreateiSCSINode_refuses_with_the_documented_codes_and_without_outputs)
{
	AUTO(box) b = box_new();
	struct san_settings *s = san_settings_new("iqn.2026-11.example");
	struct san_changes ch = {0};

	CHECK_INT(config(b, "CreateiSCSINode", "Alias", NULL), 5);
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", ""), 5);
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "a\tb"), 5);
	CHECK(strstr(box_why(), "control") != NULL);
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "alpha"), 0);
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "alpha"), 4097);
	CHECK(box_out("iSCSINode") == NULL);
	s->node_creation = false;
	san_changes_add(&ch, SAN_SETTINGS, b->state->settings, s);
	box_apply(b, &ch);
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "beta"), 4096);
	CHECK_INT(b->writes, 1);
}

TEST(what_cannot_be_made_durable_is_code_4_and_no_output)
{
	AUTO(box) b = box_new();

	b->outcome = PROV_FAILED;
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "alpha"), 4);
	CHECK(box_out("iSCSINode") == NULL);
	b->outcome = PROV_TIMEOUT;
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "alpha"), 3);
	CHECK_INT(box_count(b, VENDOR, "CIM_SCSIProtocolController"), 0);
}

TEST(DeleteiSCSINode_takes_ports_and_associations_along)
{
	AUTO(box) b = box_new();

	CHECK_INT(config(b, "DeleteiSCSINode", "iSCSINode", NULL), 5);
	CHECK_INT(config(b, "DeleteiSCSINode", "&iSCSINode", SYSTEM), 5);
	CHECK_INT(config(b, "DeleteiSCSINode", "&iSCSINode", box_node(BOX_NODE)), 4096);
	box_furnish(b);
	CHECK_INT(box_count(b, VENDOR, "CIM_BindsTo"), 6);
	b->outcome = PROV_BUSY; /* a session came in between */
	CHECK_INT(config(b, "DeleteiSCSINode", "&iSCSINode", box_node(BOX_NODE)), 4097);
	CHECK_INT(config(b, "DeleteiSCSINode", "&iSCSINode", box_node(BOX_NODE)), 0);
	CHECK_INT(box_count(b, VENDOR, "CIM_iSCSIProtocolEndpoint"), 0);
	CHECK_INT(box_count(b, VENDOR, "CIM_SAPAvailableForElement"), 0);
	CHECK_INT(box_count(b, VENDOR, "CIM_BindsTo"), 4);
	CHECK_INT(box_count(b, VENDOR, "CIM_TCPProtocolEndpoint"), 4);
}

TEST(a_reference_may_leave_out_keys_while_it_names_one_object)
{
	AUTO(box) b = box_new();
	const char *any = "MSISCSITARGET_SCSIProtocolController.SystemName=\"" UUID "\"";

	box_furnish(b);
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "beta"), 0);
	CHECK_INT(config(b, "DeleteiSCSINode", "&iSCSINode", any), 4096);
	CHECK_INT(config(b, "DeleteiSCSINode", "&iSCSINode",
			 "CIM_SCSIProtocolController.DeviceID=\"" BOX_NODE "\""),
		  0);
	CHECK_INT(config(b, "DeleteiSCSINode", "&iSCSINode", any), 0);
	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "alpha"), 0);
	CHECK_INT(box_call(b, box_service("iSCSI"), "CreateiSCSIProtocolEndpoint", "&iSCSINode",
			   "MSISCSITARGET_SCSIProtocolController.DeviceID=\"" BOX_NODE "\"", "Role",
			   "3", "*NetworkPortals",
			   "MSISCSITARGET_TCPProtocolEndpoint.Name=\"192.0.2.1:3260\"",
			   "*NetworkPortals",
			   "MSISCSITARGET_TCPProtocolEndpoint.Name=\"[2001:db8::1]:3260\"", NULL),
		  0);
}

TEST(CreateInstance_makes_a_node_with_the_clients_own_name)
{
	static const struct {
		const char *prop, *name;
		enum cim_status want;
	} tries[] = {
		{"Name", "iqn.2026-11.example:own", CIM_OK},
		{"Name", "iqn.2026-11.example:own", CIM_ERR_ALREADY_EXISTS},
		{"DeviceID", "iqn.2026-11.example:too", CIM_OK},
		{"Name", "own", CIM_ERR_INVALID_PARAMETER},
		{"ElementName", "no name", CIM_ERR_INVALID_PARAMETER},
	};
	AUTO(box) b = box_new();

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = ask_new(b->broker, CIM_OP_CREATE_INSTANCE, VENDOR);
		struct cim_raw_instance raw = {.class_name =
						       "MSISCSITARGET_SCSIProtocolController"};

		k->rq.instance = &raw;
		ask_value(k, tries[i].prop, tries[i].name);
		CHECK_INT(ask_go(k), tries[i].want);
		if (tries[i].want == CIM_OK)
			CHECK(strstr(ask_text(k), tries[i].name) != NULL);
	}
	CHECK_STR(box_get(b, box_node("iqn.2026-11.example:too"), "ElementName"),
		  "iqn.2026-11.example:too");
}

/* ModifyInstance or DeleteInstance of an object; text NULL: the latter. */
static enum cim_status edit(struct box *b, const char *path, const char *prop, const char *text)
{
	AUTO(ask) k = ask_new(b->broker, text ? CIM_OP_MODIFY_INSTANCE : CIM_OP_DELETE_INSTANCE,
			      VENDOR);
	struct cim_raw_instance raw = {0};

	ask_path(k, path);
	if (text) {
		raw.class_name = k->rq.class_name;
		raw.path = k->rq.path;
		k->rq.instance = &raw;
		ask_value(k, prop, text);
	}
	return ask_go(k);
}

TEST(ModifyInstance_renames_nodes_and_groups)
{
	AUTO(box) b = box_new();
	const char *group = "MSISCSITARGET_SystemSpecificCollection.InstanceID=\"smiscsi:group:1\"";

	box_furnish(b);
	CHECK_INT(box_call(b, box_service("iSCSI"), "CreateiSCSINode", "Alias", "beta", NULL), 0);
	CHECK_INT(edit(b, box_node(BOX_NODE), "ElementName", "beta"), CIM_ERR_ALREADY_EXISTS);
	CHECK_INT(edit(b, box_node(BOX_NODE), "ElementName", ""), CIM_ERR_INVALID_PARAMETER);
	CHECK_INT(edit(b, box_node(BOX_NODE), "ElementName", "gamma"), CIM_OK);
	CHECK_STR(box_get(b, box_node(BOX_NODE), "ElementName"), "gamma");
	CHECK_STR(box_get(b, box_node(BOX_NODE), "Name"), BOX_NODE);
	CHECK_INT(edit(b, group, "ElementName", "west"), CIM_ERR_FAILED);
	CHECK_INT(edit(b, group, "ElementName", "default"), CIM_OK);
}

TEST(DeleteInstance_of_nodes_and_ports_does_what_the_methods_do)
{
	AUTO(box) b = box_new();
	struct san_seen_session x = {.id = 7, .iqn = BOX_NODE, .tpgt = 1, .initiator = "iqn.2026-11.i",
				     .isid = "00023D000009", .auth = "None"};
	struct san_changes ch = {0};
	const char *port = BOX_NODE ",t,0x0001";

	box_furnish(b);
	san_session_seen(b->state, &x, &ch);
	box_apply(b, &ch);
	CHECK_INT(edit(b, box_node(BOX_NODE), NULL, NULL), CIM_ERR_FAILED);
	CHECK_INT(edit(b, box_port("iqn.2026-11.i,i,0x00023D000009"), NULL, NULL),
		  CIM_ERR_NOT_SUPPORTED);
	CHECK_INT(box_count(b, VENDOR, "CIM_SCSIProtocolController"), 1);
	CHECK_INT(edit(b, box_port(port), NULL, NULL), CIM_OK);
	CHECK_INT(edit(b, box_port(port), NULL, NULL), CIM_ERR_NOT_FOUND);
	CHECK_INT(box_count(b, VENDOR, "CIM_iSCSIProtocolEndpoint"), 0);
	CHECK_INT(edit(b, box_node(BOX_NODE), NULL, NULL), CIM_OK);
	CHECK_INT(edit(b, box_node(BOX_NODE), NULL, NULL), CIM_ERR_NOT_FOUND);
	CHECK_INT(box_count(b, VENDOR, "CIM_SCSIProtocolController"), 0);
}

/* ---- ports ---- */

TEST(CreateiSCSIProtocolEndpoint_checks_in_the_documented_order)
{
	AUTO(box) b = box_new();
	static const char v4[] = "MSISCSITARGET_TCPProtocolEndpoint.Name=\"192.0.2.1:3260\"";
	static const char node[] = "MSISCSITARGET_SCSIProtocolController.DeviceID=\"" BOX_NODE "\"";
	static const char v6[] = "MSISCSITARGET_TCPProtocolEndpoint.Name=\"[2001:db8::1]:3260\"";
	static const char no[] = "MSISCSITARGET_TCPProtocolEndpoint.Name=\"192.0.2.9:3260\"";
	static const char ip[] = "MSFTSMNET_IPProtocolEndpoint.Name=\"192.0.2.1\"";
	const char *create = "CreateiSCSIProtocolEndpoint";
	static const struct {
		const char *node, *role, *identifier, *portal, *second;
		unsigned want;
	} tries[] = {
		{NULL, "3", NULL, v4, NULL, 5},
		{v6, "3", NULL, v4, NULL, 5},
		{"MSISCSITARGET_SCSIProtocolController.DeviceID=\"iqn.2026-11.example:x\"", "3",
		 NULL, v4, NULL, 4096},
		{node, NULL, NULL, v4, NULL, 5},
		{node, "4", NULL, v4, NULL, 5},
		{node, "2", NULL, v4, NULL, 4097},
		{node, "3", "1", v4, NULL, 5},
		{node, "3", "000000010000", v4, NULL, 5},
		{node, "3", "00000000000a", v4, NULL, 0},
		{node, "3", "00000000000A", v6, NULL, 4098},
		{node, "3", NULL, v6, v6, 5},
		{node, "3", NULL, v6, no, 4100},
		{node, "3", NULL, ip, NULL, 5},
		{node, "3", NULL, node, NULL, 5},
		{node, "3", NULL, v4, NULL, 4102},
		{node, "3", NULL, v6, NULL, 0},
	};

	CHECK_INT(config(b, "CreateiSCSINode", "Alias", "alpha"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		const char *config_service = box_service("iSCSI");
		unsigned got;

		if (tries[i].second)
			got = box_call(b, config_service, create, "&iSCSINode", tries[i].node,
				       "Role", tries[i].role, "*NetworkPortals", tries[i].portal,
				       "*NetworkPortals", tries[i].second, NULL);
		else
			got = box_call(b, config_service, create, "Role", tries[i].role,
				       "Identifier", tries[i].identifier, "*NetworkPortals",
				       tries[i].portal, tries[i].node ? "&iSCSINode" : NULL,
				       tries[i].node, NULL);
		if (got != tries[i].want)
			printf("# try %zu: %s\n", i, box_why());
		CHECK_INT(got, tries[i].want);
		CHECK((box_out("iSCSIPort") != NULL) == (got == 0));
	}
	CHECK_INT(box_call(b, box_service("iSCSI"), create, "&iSCSINode", node, "Role", "3", NULL),
		  5);
	CHECK_STR(box_names(b, box_node(BOX_NODE), "CIM_SAPAvailableForElement", NULL),
		  BOX_NODE ",t,0x0001 " BOX_NODE ",t,0x000a ");
}

TEST(BindiSCSIProtocolEndPoint_and_its_reversal)
{
	AUTO(box) b = box_new();
	AUTO(ask) off = ask_new(b->broker, CIM_OP_DELETE_INSTANCE, VENDOR);
	AUTO(ask) again = ask_new(b->broker, CIM_OP_DELETE_INSTANCE, VENDOR);
	AUTO(ask) lower = ask_new(b->broker, CIM_OP_DELETE_INSTANCE, VENDOR);
	static const char bind[] =
		"MSISCSITARGET_BindsTo.Dependent=\"MSISCSITARGET_iSCSIProtocolEndpoint."
		"SystemCreationClassName=\\\"MSFTSM_ComputerSystem\\\",SystemName=\\\"" UUID
		"\\\",CreationClassName=\\\"MSISCSITARGET_iSCSIProtocolEndpoint\\\",Name=\\\"" PORT
		"\\\"\",Antecedent=\"MSISCSITARGET_TCPProtocolEndpoint.SystemCreationClassName="
		"\\\"MSFTSM_ComputerSystem\\\",SystemName=\\\"" UUID "\\\",CreationClassName="
		"\\\"MSISCSITARGET_TCPProtocolEndpoint\\\",Name=\\\"192.0.2.1:3260\\\"\"";
	static const char ip_bind[] =
		"MSISCSITARGET_BindsTo.Dependent=\"MSISCSITARGET_TCPProtocolEndpoint."
		"SystemCreationClassName=\\\"MSFTSM_ComputerSystem\\\",SystemName=\\\"" UUID
		"\\\",CreationClassName=\\\"MSISCSITARGET_TCPProtocolEndpoint\\\",Name="
		"\\\"192.0.2.1:3260\\\"\",Antecedent=\"MSFTSMNET_IPProtocolEndpoint."
		"SystemCreationClassName=\\\"MSFTSM_ComputerSystem\\\",SystemName=\\\"" UUID
		"\\\",CreationClassName=\\\"MSFTSMNET_IPProtocolEndpoint\\\",Name="
		"\\\"192.0.2.1\\\"\"";

	box_furnish(b);
	ask_path(off, bind);
	CHECK_INT(ask_go(off), CIM_OK);
	CHECK_STR(box_names(b, box_port(PORT), "CIM_BindsTo", NULL), "[2001:db8::1]:3260 ");
	ask_path(again, bind);
	CHECK_INT(ask_go(again), CIM_ERR_NOT_FOUND);
	ask_path(lower, ip_bind);
	CHECK_INT(ask_go(lower), CIM_ERR_NOT_SUPPORTED);
	CHECK(strstr(lower->ans->text, "192.0.2.1:3260") != NULL);

	CHECK_INT(config(b, "BindiSCSIProtocolEndPoint", "&iSCSIPort", box_port(PORT)), 5);
	CHECK_INT(box_call(b, box_service("iSCSI"), "BindiSCSIProtocolEndPoint", "&iSCSIPort",
			   box_port(PORT), "&NetworkPortal", box_ip("192.0.2.1"), NULL),
		  5);
	CHECK_INT(box_call(b, box_service("iSCSI"), "BindiSCSIProtocolEndPoint", "&iSCSIPort",
			   box_port(PORT), "&NetworkPortal", box_portal("192.0.2.2:3260"), NULL),
		  4096);
	for (unsigned i = 0; i < 2; i++) {
		unsigned writes = b->writes;

		CHECK_INT(box_call(b, box_service("iSCSI"), "BindiSCSIProtocolEndPoint",
				   "&iSCSIPort", box_port(PORT), "&NetworkPortal",
				   box_portal("192.0.2.1:3260"), NULL),
			  0);
		CHECK_INT(b->writes - writes, i ? 0 : 1); /* bound already: nothing changes */
	}
	CHECK_STR(box_names(b, box_portal("192.0.2.1:3260"), "CIM_BindsTo",
			    "CIM_iSCSIProtocolEndpoint"),
		  PORT " ");
}

TEST(DeleteiSCSIProtocolEndpoint_frees_its_portals)
{
	AUTO(box) b = box_new();

	box_furnish(b);
	CHECK_INT(config(b, "DeleteiSCSIProtocolEndpoint", "iSCSIPort", NULL), 5);
	CHECK_INT(config(b, "DeleteiSCSIProtocolEndpoint", "&iSCSIPort", box_node(BOX_NODE)), 5);
	CHECK_INT(config(b, "DeleteiSCSIProtocolEndpoint", "&iSCSIPort",
			 box_port(BOX_NODE ",t,0x0002")),
		  4096);
	CHECK_INT(config(b, "DeleteiSCSIProtocolEndpoint", "&iSCSIPort", box_port(PORT)), 0);
	CHECK_STR(box_names(b, box_portal("192.0.2.1:3260"), "CIM_BindsTo",
			    "CIM_iSCSIProtocolEndpoint"),
		  "");
}

TEST(RequestStateChange_switches_nodes_ports_and_portals)
{
	AUTO(box) b = box_new();
	const char *things[3];

	box_furnish(b);
	things[0] = box_node(BOX_NODE);
	things[1] = box_port(PORT);
	things[2] = box_portal("192.0.2.1:3260");
	for (size_t i = 0; i < ARRAY_SIZE(things); i++) {
		auto_free char *p = xstrdup(things[i]);

		CHECK_INT(box_call(b, p, "RequestStateChange", NULL), 5);
		CHECK_INT(box_call(b, p, "RequestStateChange", "RequestedState", "11", NULL), 4097);
		CHECK_INT(box_call(b, p, "RequestStateChange", "RequestedState", "3",
				   "TimeoutPeriod", "00000000000100.000000:000", NULL),
			  4098);
		CHECK_INT(box_call(b, p, "RequestStateChange", "RequestedState", "3",
				   "TimeoutPeriod", "00000000000000.000000:000", NULL),
			  0);
		CHECK_STR(box_get(b, p, "EnabledState"), "3");
		CHECK_STR(box_get(b, p, "RequestedState"), "3");
		CHECK_INT(box_call(b, p, "RequestStateChange", "RequestedState", "2", NULL), 0);
		CHECK_STR(box_get(b, p, "EnabledState"), "2");
		/* the ring of texts is short */
		things[1] = box_port(PORT);
		things[2] = box_portal("192.0.2.1:3260");
	}
}

/* ---- portals and groups ---- */

static enum cim_status create(struct box *b, const char *cls, const char *p1, const char *v1,
			      const char *p2, const char *v2, char ret[static 1024])
{
	AUTO(ask) k = ask_new(b->broker, CIM_OP_CREATE_INSTANCE, VENDOR);
	struct cim_raw_instance raw = {.class_name = cls};
	enum cim_status s;

	k->rq.instance = &raw;
	if (p1)
		(p1[0] == '&' ? ask_ref : ask_value)(k, p1[0] == '&' ? p1 + 1 : p1, v1);
	if (p2)
		(p2[0] == '&' ? ask_ref : ask_value)(k, p2[0] == '&' ? p2 + 1 : p2, v2);
	s = ask_go(k);
	(void)snprintf(ret, 1024, "%s", s == CIM_OK ? ask_text(k) : k->ans->text);
	return s;
}

static enum cim_status remove_at(struct box *b, const char *path)
{
	AUTO(ask) k = ask_new(b->broker, CIM_OP_DELETE_INSTANCE, VENDOR);

	ask_path(k, path);
	return ask_go(k);
}

TEST(portals_are_made_on_addresses_of_the_host_and_deleted_while_unbound)
{
	static const struct {
		const char *name, *number;
		enum cim_status want;
	} tries[] = {
		{"192.0.2.1:860", NULL, CIM_OK},
		{"192.0.2.1", "861", CIM_OK},
		{"[2001:db8::1]:860", NULL, CIM_OK},
		{"192.0.2.1:860", NULL, CIM_ERR_ALREADY_EXISTS},
		{"192.0.2.1:0", NULL, CIM_ERR_INVALID_PARAMETER},
		{"192.0.2.1", "65536", CIM_ERR_INVALID_PARAMETER},
		{"192.0.2.1:862", "863", CIM_ERR_INVALID_PARAMETER},
		{"192.0.2.7:860", NULL, CIM_ERR_FAILED},
		{NULL, NULL, CIM_ERR_INVALID_PARAMETER},
	};
	AUTO(box) b = box_new();
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		CHECK_INT(create(b, "MSISCSITARGET_TCPProtocolEndpoint", "Name", tries[i].name,
				 tries[i].number ? "PortNumber" : NULL, tries[i].number, text),
			  tries[i].want);
	CHECK_STR(box_names(b, box_ip("192.0.2.1"), "CIM_BindsTo", NULL),
		  "192.0.2.1:860 192.0.2.1:861 192.0.2.1:3260 ");
	CHECK_INT(remove_at(b, box_portal("192.0.2.1:861")), CIM_OK);
	CHECK_INT(remove_at(b, box_portal("192.0.2.1:861")), CIM_ERR_NOT_FOUND);
	box_furnish(b);
	CHECK_INT(remove_at(b, box_portal("192.0.2.1:3260")), CIM_ERR_FAILED);
}

TEST(a_portal_moves_between_groups_while_it_is_free)
{
	AUTO(box) b = box_new();
	const char *free_portal = "MSISCSITARGET_TCPProtocolEndpoint.Name=\"198.51.100.7:3260\"";
	char text[1024], fresh[64], *id;
	auto_free char *path = NULL;

	CHECK_INT(create(b, "MSISCSITARGET_SystemSpecificCollection", "ElementName", "fast", NULL,
			 NULL, text),
		  CIM_OK);
	id = strstr(text, "smiscsi:group:");
	CHECK(id != NULL);
	id[strcspn(id, "\"")] = '\0';
	(void)snprintf(fresh, sizeof(fresh), "%s", id);
	path = xasprintf("MSISCSITARGET_SystemSpecificCollection.InstanceID=\"%s\"", fresh);
	CHECK_STR(box_get(b, path, "ElementName"), "fast");
	CHECK_STR(box_names(b, path, "CIM_HostedCollection", NULL), UUID " ");
	CHECK_INT(create(b, "MSISCSITARGET_SystemSpecificCollection", "ElementName", "fast", NULL,
			 NULL, text),
		  CIM_ERR_ALREADY_EXISTS);

	CHECK_INT(create(b, "MSISCSITARGET_MemberOfCollection", "&Collection", path, "&Member",
			 free_portal, text),
		  CIM_OK);
	/* the new path is whole, though the client's was not */
	CHECK(strstr(text, "SystemName") != NULL);
	CHECK_STR(box_names(b, path, "CIM_MemberOfCollection", NULL), "198.51.100.7:3260 ");
	CHECK_INT(create(b, "MSISCSITARGET_MemberOfCollection", "&Collection", path, "&Member",
			 free_portal, text),
		  CIM_ERR_ALREADY_EXISTS);
	CHECK_INT(create(b, "MSISCSITARGET_MemberOfCollection", "&Collection", path, NULL, NULL,
			 text),
		  CIM_ERR_INVALID_PARAMETER);
	CHECK_INT(create(b, "MSISCSITARGET_MemberOfCollection", "&Collection", path, "&Member",
			 "MSISCSITARGET_TCPProtocolEndpoint.Name=\"192.0.2.77:3260\"", text),
		  CIM_ERR_NOT_FOUND);
	CHECK_INT(remove_at(b, path), CIM_ERR_FAILED); /* not empty */

	box_furnish(b);
	CHECK_INT(create(b, "MSISCSITARGET_MemberOfCollection", "&Collection", path, "&Member",
			 box_portal("192.0.2.1:3260"), text),
		  CIM_ERR_FAILED); /* bound */
	/* one port, two groups */
	CHECK_INT(box_call(b, box_service("iSCSI"), "BindiSCSIProtocolEndPoint", "&iSCSIPort",
			   box_port(PORT), "&NetworkPortal", free_portal, NULL),
		  4099);
}

TEST(an_empty_group_can_be_deleted_but_not_the_default_one)
{
	AUTO(box) b = box_new();
	const char *first = "MSISCSITARGET_SystemSpecificCollection.InstanceID=\"smiscsi:group:1\"";
	char text[1024], *at;

	CHECK_STR(box_get(b, first, "ElementName"), "default");
	CHECK_INT(remove_at(b, first), CIM_ERR_FAILED);
	CHECK_INT(create(b, "MSISCSITARGET_SystemSpecificCollection", "ElementName", "x", NULL,
			 NULL, text),
		  CIM_OK);
	at = strstr(text, "MSISCSITARGET_");
	CHECK(at != NULL);
	at[strcspn(at, "\n")] = '\0';
	CHECK_INT(remove_at(b, at), CIM_OK);
	CHECK_INT(box_count(b, VENDOR, "CIM_SystemSpecificCollection"), 1);
	CHECK_INT(create(b, "MSISCSITARGET_SystemSpecificCollection", NULL, NULL, NULL, NULL, text),
		  CIM_ERR_INVALID_PARAMETER);
}

/* ---- volumes ---- */

TEST(volumes_are_made_renamed_grown_and_returned)
{
	AUTO(box) b = box_new();
	const char *make = "CreateOrModifyElementFromStoragePool";
	auto_free char *volume = NULL;

	CHECK_INT(box_call(b, box_service("Storage"), make, "ElementType", "2", "ElementName",
			   "disk", "Size", "1000000", NULL),
		  0);
	CHECK_STR(box_out("Size"), "1048576");
	CHECK(box_out("Job") == NULL);
	volume = xstrdup(strchr(box_out("TheElement"), ':') + 1);
	CHECK_STR(box_get(b, volume, "ElementName"), "disk");
	CHECK_STR(box_get(b, volume, "NumberOfBlocks"), "2048");
	CHECK_STR(box_get(b, volume, "BlockSize"), "512");
	CHECK_STR(box_get(b, volume, "NameFormat"), "9");
	CHECK_STR(box_get(b, volume, "NameNamespace"), "2");
	CHECK_STR(box_names(b, volume, "CIM_AllocatedFromStoragePool", NULL), "smiscsi:pool:3 ");

	CHECK_INT(box_call(b, box_service("Storage"), make, "ElementType", "2", "ElementName",
			   "bigger", "Size", "2097152", "&TheElement", volume, NULL),
		  0);
	CHECK_STR(box_out("Size"), "2097152");
	CHECK_STR(strchr(box_out("TheElement"), ':') + 1, volume);
	CHECK_STR(box_get(b, volume, "NumberOfBlocks"), "4096");
	CHECK_STR(box_get(b, volume, "ElementName"), "bigger");
	CHECK_INT(box_call(b, box_service("Storage"), make, "ElementType", "2", "Size", "1",
			   "&TheElement", volume, NULL),
		  5);
	CHECK_INT(box_call(b, box_service("Storage"), make, "ElementType", "2", "Size",
			   "9000000000000000000", NULL),
		  4097);
	CHECK_STR(box_out("Size"), "549753716736"); /* the nearest */
	CHECK(box_out("TheElement") == NULL);
	CHECK_INT(box_call(b, box_service("Storage"), make, "ElementType", "3", "Size", "1", NULL),
		  5);
	CHECK_INT(box_call(b, box_service("Storage"), make, "ElementType", "2", NULL), 5);

	CHECK_INT(box_call(b, box_service("Storage"), "ReturnToStoragePool", NULL), 5);
	CHECK_INT(box_call(b, box_service("Storage"), "ReturnToStoragePool", "&TheElement", volume,
			   NULL),
		  0);
	CHECK_INT(box_call(b, box_service("Storage"), "ReturnToStoragePool", "&TheElement", volume,
			   NULL),
		  5);
}

TEST(volumes_are_attached_and_detached)
{
	AUTO(box) b = box_new();
	auto_free char *volume = NULL;

	box_furnish(b);
	CHECK_INT(box_call(b, box_service("Storage"), "CreateOrModifyElementFromStoragePool",
			   "ElementType", "2", "Size", "1", NULL),
		  0);
	volume = xstrdup(strchr(box_out("TheElement"), ':') + 1);
	CHECK_INT(box_call(b, box_service("Controller"), "AttachDevice", "&Device", volume, NULL),
		  5);
	CHECK_INT(box_call(b, box_service("Controller"), "AttachDevice", "&ProtocolController",
			   box_node(BOX_NODE), "&Device", box_volume("3000000000000000"), NULL),
		  4096);
	CHECK_INT(box_call(b, box_service("Controller"), "AttachDevice", "&ProtocolController",
			   box_node(BOX_NODE), "&Device", volume, "DeviceNumber", "ff", NULL),
		  5);
	CHECK_INT(box_call(b, box_service("Controller"), "AttachDevice", "&ProtocolController",
			   box_node(BOX_NODE), "&Device", volume, "DeviceNumber", "1f", NULL),
		  0);
	CHECK_STR(box_out("DeviceNumber"), "1F");
	CHECK_INT(box_count(b, VENDOR, "CIM_ProtocolControllerForUnit"), 1);
	CHECK_INT(box_call(b, box_service("Storage"), "ReturnToStoragePool", "&TheElement", volume,
			   NULL),
		  6);
	CHECK_INT(box_call(b, box_service("Controller"), "DetachDevice", "&ProtocolController",
			   box_node(BOX_NODE), "&Device", volume, NULL),
		  0);
	CHECK_INT(box_call(b, box_service("Controller"), "DetachDevice", "&ProtocolController",
			   box_node(BOX_NODE), "&Device", volume, NULL),
		  4096);
}

TEST(DeviceNumber_and_DeviceAccess_stand_in_ProtocolControllerForUnit)
{
	AUTO(box) b = box_new();
	AUTO(ask) k = ask_new(b->broker, CIM_OP_REFERENCES, VENDOR);
	auto_free char *volume = NULL;

	box_furnish(b);
	CHECK_INT(box_call(b, box_service("Storage"), "CreateOrModifyElementFromStoragePool",
			   "ElementType", "2", "Size", "1", NULL),
		  0);
	volume = xstrdup(strchr(box_out("TheElement"), ':') + 1);
	CHECK_INT(box_call(b, box_service("Controller"), "AttachDevice", "&ProtocolController",
			   box_node(BOX_NODE), "&Device", volume, "DeviceNumber", "A", NULL),
		  0);
	ask_path(k, volume);
	k->rq.result_class = "CIM_ProtocolControllerForUnit";
	ask_props(k, "DeviceNumber", "DeviceAccess", NULL);
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK(strstr(ask_text(k), "DeviceNumber=A") != NULL);
}

TEST(pools_tell_which_sizes_they_can_make)
{
	AUTO(box) b = box_new();
	const char *pool = "MSISCSITARGET_StoragePool.InstanceID=\"smiscsi:pool:3\"";

	CHECK_INT(box_call(b, pool, "GetSupportedSizeRange", "ElementType", "3", NULL), 0);
	CHECK_STR(box_out("MinimumVolumeSize"), "1048576");
	CHECK_STR(box_out("MaximumVolumeSize"), "549755813888");
	CHECK_STR(box_out("VolumeSizeDivisor"), "1048576");
	CHECK_INT(box_call(b, pool, "GetSupportedSizeRange", NULL), 5);
	CHECK_INT(box_call(b, pool, "GetSupportedSizeRange", "ElementType", "2", NULL), 1);
	CHECK_INT(box_call(b, pool, "GetSupportedSizes", "ElementType", "3", NULL), 2);
	CHECK_STR(box_get(b, pool, "Primordial"), "0");
	CHECK_STR(box_get(b, pool, "RemainingManagedSpace"), "549755813888");
	CHECK_STR(box_names(b, pool, "CIM_AllocatedFromStoragePool", NULL), "smiscsi:pool:2 ");
}
