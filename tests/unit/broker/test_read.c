/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"
#include "test.h"
#include "toy.h"

#define P1 "TOY_EthPort.SystemName=\"h\",DeviceID=\"p1\""
#define P2 "TOY_FcPort.SystemName=\"h\",DeviceID=\"p2\""
#define P3 "TOY_EthPort.SystemName=\"h\",DeviceID=\"p3\""
#define AT "//toybox/root/toy:"
#define IN "//toybox/interop:"

static const char *get(struct toy *t, const char *path)
{
	static char text[2048];
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");

	ask_path(k, path);
	(void)snprintf(text, sizeof(text), "%s",
		       ask_go(k) == CIM_OK ? ask_text(k) : cim_status_name(k->ans->status));
	return text;
}

TEST(get_instance_gives_all_properties_of_the_object)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);

	CHECK_STR(get(t, P1), AT P1 " ElementName= SystemName=h DeviceID=p1 Number=1 Speed=1000 "
			      "Up=1\n");
	CHECK_STR(get(t, P2), AT P2 " ElementName=NULL SystemName=h DeviceID=p2 Number=2 "
			      "Wwn=50:00\n");
	CHECK_STR(get(t, "TOY_Host.Name=\"h\""),
		  AT "TOY_Host.Name=\"h\" ElementName=box Name=h Status={2,5}\n");
}

TEST(a_path_may_differ_in_case_and_order_of_keys)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	CHECK_STR(get(t, "toy_ETHPORT.deviceid=\"p1\",systemNAME=\"h\""),
		  AT P1 " ElementName= SystemName=h DeviceID=p1 Number=1 Speed=1000 Up=1\n");
	CHECK_STR(get(t, "//elsewhere/root/toy:" P1),
		  AT P1 " ElementName= SystemName=h DeviceID=p1 Number=1 Speed=1000 Up=1\n");
}

TEST(get_instance_has_a_status_for_each_mistake)
{
	static const struct {
		const char *path, *status;
	} tries[] = {
		{"TOY_Nothing.Name=\"h\"", "CIM_ERR_INVALID_CLASS"},
		{"CIM_RegisteredProfile.InstanceID=\"toy\"", "CIM_ERR_INVALID_CLASS"},
		{"TOY_EthPort.SystemName=\"h\",DeviceID=\"p2\"", "CIM_ERR_NOT_FOUND"},
		{"TOY_EthPort.SystemName=\"H\",DeviceID=\"p1\"", "CIM_ERR_NOT_FOUND"},
		{"CIM_Port.SystemName=\"h\",DeviceID=\"p1\"", "CIM_ERR_NOT_FOUND"},
		{"TOY_Empty.ID=1", "CIM_ERR_NOT_FOUND"},
		{"TOY_Empty.ID=x", "CIM_ERR_INVALID_PARAMETER"},
		{"TOY_EthPort.SystemName=\"h\"", "CIM_ERR_INVALID_PARAMETER"},
		{"TOY_EthPort.DeviceID=\"p1\"", "CIM_ERR_INVALID_PARAMETER"},
		{"TOY_EthPort.SystemName=\"h\",Device=\"p1\"", "CIM_ERR_INVALID_PARAMETER"},
		{"TOY_EthPort.DeviceID=\"h\",DeviceID=\"p1\"", "CIM_ERR_INVALID_PARAMETER"},
	};
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");

		if (streq(tries[i].path, "TOY_Empty.ID=x")) {
			struct cim_value *v;

			ask_path(k, "TOY_Empty.ID=1");
			v = &k->rq.path->keys[0].v;
			v->s = "x";
		} else {
			ask_path(k, tries[i].path);
		}
		CHECK_STR(cim_status_name(ask_go(k)), tries[i].status);
		CHECK(k->ans->text[0] != '\0');
	}
}

TEST(get_instance_of_an_association_finds_it_by_its_ends)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");
	AUTO(ask) no = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");
	AUTO(ask) in = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "interop");

	ask_path(k, "TOY_HostPort.Dependent=\"TOY_FcPort.DeviceID=\\\"p2\\\",SystemName=\\\"h\\\"\","
		    "Antecedent=\"TOY_Host.Name=\\\"h\\\"\"");
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_STR(strstr(ask_text(k), " Antecedent"),
		  " Antecedent=" AT "TOY_Host.Name=\"h\" Dependent=" AT P2 " Slot=2\n");
	ask_path(no, "TOY_Peer.Antecedent=\"TOY_FcPort.SystemName=\\\"h\\\",DeviceID=\\\"p2\\\"\","
		     "Dependent=\"TOY_EthPort.SystemName=\\\"h\\\",DeviceID=\\\"p3\\\"\"");
	CHECK_INT(ask_go(no), CIM_ERR_NOT_FOUND);
	/* an end in another namespace, named and not */
	ask_path(in, "TOY_Conforms.ManagedElement=\"root/toy:TOY_Host.Name=\\\"h\\\"\","
		     "ConformantStandard=\"CIM_RegisteredProfile.InstanceID=\\\"toy\\\"\"");
	CHECK_INT(ask_go(in), CIM_OK);
}

TEST(property_lists_choose_and_unknown_names_are_ignored)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");
	AUTO(ask) none = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");

	ask_path(k, P1);
	ask_props(k, "speed", "Nonsense", "NUMBER", "Speed", NULL);
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_STR(ask_text(k), AT P1 " Number=1 Speed=1000\n");
	ask_path(none, P1);
	ask_props(none, NULL);
	CHECK_INT(ask_go(none), CIM_OK);
	CHECK_STR(ask_text(none), AT P1 "\n");
}

TEST(namespaces_may_come_in_any_case_with_any_slashes_and_by_alias)
{
	static const struct {
		const char *ns;
		enum cim_status status;
	} tries[] = {
		{"ROOT\\toy", CIM_OK},		{"/root/toy/", CIM_OK},
		{"root/to", CIM_ERR_INVALID_NAMESPACE}, {"root/toys", CIM_ERR_INVALID_NAMESPACE},
		{"", CIM_ERR_INVALID_NAMESPACE},	{NULL, CIM_ERR_INVALID_NAMESPACE},
	};
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) in = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCE_NAMES, "root/Interop");

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCES, tries[i].ns);

		ask_path(k, "CIM_Port");
		CHECK_INT(ask_go(k), tries[i].status);
	}
	ask_path(in, "CIM_RegisteredProfile");
	CHECK_INT(ask_go(in), CIM_OK);
	CHECK_STR(ask_text(in), IN "CIM_RegisteredProfile.InstanceID=\"toy\"\n");
}

TEST(a_superclass_gives_the_objects_of_its_subclasses_with_their_own_names)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCE_NAMES, "root/toy");
	AUTO(ask) all = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCES, "root/toy");
	AUTO(ask) none = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCES, "root/toy");
	AUTO(ask) bad = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCES, "root/toy");

	ask_path(k, "cim_port");
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(k->ans->kind, BROKER_PATHS);
	CHECK_STR(ask_text(k), AT P1 "\n" AT P3 "\n" AT P2 "\n");
	ask_path(all, "CIM_ManagedElement");
	CHECK_INT(ask_go(all), CIM_OK);
	CHECK_INT(ask_count(all), 4);
	ask_path(none, "TOY_Empty");
	CHECK_INT(ask_go(none), CIM_OK);
	CHECK_INT(ask_count(none), 0);
	ask_path(bad, "TOY_Conforms");
	CHECK_INT(ask_go(bad), CIM_ERR_INVALID_CLASS);
}

TEST(deep_inheritance_off_hides_what_subclasses_add)
{
	AUTO(toy) t = toy_new(2, TOY_INLINE, NULL);
	AUTO(ask) on = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCES, "root/toy");
	AUTO(ask) off = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCES, "root/toy");

	ask_path(on, "CIM_Port");
	CHECK_INT(ask_go(on), CIM_OK);
	CHECK_STR(ask_text(on),
		  AT P1 " ElementName= SystemName=h DeviceID=p1 Number=1 Speed=1000 Up=1\n" AT P2
			" ElementName=NULL SystemName=h DeviceID=p2 Number=2 Wwn=50:00\n");
	ask_path(off, "CIM_Port");
	off->rq.deep = CIM_FALSE;
	ask_props(off, "Number", "Speed", NULL);
	CHECK_INT(ask_go(off), CIM_OK);
	CHECK_STR(ask_text(off), AT P1 " Number=1\n" AT P2 " Number=2\n");
}

struct walk {
	enum cim_op op;
	const char *from, *assoc, *result, *role, *result_role, *want;
};

static void check_walk(const char *ns, const struct walk *w)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), w->op, ns);
	enum cim_status s;

	ask_path(k, w->from);
	k->rq.assoc_class = w->assoc;
	k->rq.result_class = w->result;
	k->rq.role = w->role;
	k->rq.result_role = w->result_role;
	s = ask_go(k);
	CHECK_STR(s == CIM_OK ? ask_text(k) : cim_status_name(s), w->want);
}

TEST(associator_names_obey_every_filter)
{
	static const struct walk walks[] = {
		{CIM_OP_ASSOCIATOR_NAMES, P1, 0, 0, 0, 0, AT "TOY_Host.Name=\"h\"\n" AT P2 "\n"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, "TOY_Peer", 0, 0, 0, AT P2 "\n"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, "toy_hostport", 0, 0, 0, AT "TOY_Host.Name=\"h\"\n"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, "CIM_Dependency", "CIM_Port", 0, 0, AT P2 "\n"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, 0, "TOY_FcPort", 0, 0, AT P2 "\n"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, 0, "TOY_EthPort", 0, 0, ""},
		{CIM_OP_ASSOCIATOR_NAMES, P1, 0, 0, "antecedent", 0, AT P2 "\n"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, 0, 0, "Dependent", 0, AT "TOY_Host.Name=\"h\"\n"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, 0, 0, 0, "Dependent", AT P2 "\n"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, 0, 0, "Nobody", 0, ""},
		{CIM_OP_ASSOCIATOR_NAMES, P1, "TOY_Nothing", 0, 0, 0, "CIM_ERR_INVALID_PARAMETER"},
		{CIM_OP_ASSOCIATOR_NAMES, P1, 0, "TOY_Nothing", 0, 0, "CIM_ERR_INVALID_PARAMETER"},
		{CIM_OP_ASSOCIATOR_NAMES, "TOY_Nothing.A=\"b\"", 0, 0, 0, 0,
		 "CIM_ERR_INVALID_PARAMETER"},
		{CIM_OP_ASSOCIATOR_NAMES, "TOY_EthPort.SystemName=\"h\",DeviceID=\"p9\"", 0, 0, 0, 0,
		 "CIM_ERR_NOT_FOUND"},
		{CIM_OP_ASSOCIATOR_NAMES, "TOY_Host.Name=\"h\"", "TOY_Conforms", 0, 0, 0,
		 IN "CIM_RegisteredProfile.InstanceID=\"toy\"\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(walks); i++)
		check_walk("root/toy", &walks[i]);
}

TEST(references_obey_every_filter)
{
	static const struct walk walks[] = {
		{CIM_OP_REFERENCES, P1, 0, "TOY_HostPort", 0, 0,
		 AT "TOY_HostPort.Antecedent=\"//toybox/root/toy:TOY_Host.Name=\\\"h\\\"\",Dependent="
		    "\"//toybox/root/toy:TOY_EthPort.SystemName=\\\"h\\\",DeviceID=\\\"p1\\\"\" "
		    "Antecedent=" AT "TOY_Host.Name=\"h\" Dependent=" AT P1 " Slot=1\n"},
		{CIM_OP_REFERENCES, P1, 0, "CIM_Dependency", "Antecedent", 0,
		 AT "TOY_Peer.Antecedent=\"//toybox/root/toy:TOY_EthPort.SystemName=\\\"h\\\",DeviceID="
		    "\\\"p1\\\"\",Dependent=\"//toybox/root/toy:TOY_FcPort.SystemName=\\\"h\\\","
		    "DeviceID=\\\"p2\\\"\" Antecedent=" AT P1 " Dependent=" AT P2 "\n"},
		{CIM_OP_REFERENCE_NAMES, P3, 0, "TOY_Peer", 0, 0, ""},
		{CIM_OP_REFERENCE_NAMES, P3, 0, "TOY_Nothing", 0, 0, "CIM_ERR_INVALID_PARAMETER"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(walks); i++)
		check_walk("root/toy", &walks[i]);
}

TEST(an_association_across_namespaces_is_found_from_both_sides)
{
	static const struct walk down = {CIM_OP_ASSOCIATORS,
					 "CIM_RegisteredProfile.InstanceID=\"toy\"", 0, 0, 0, 0,
					 AT "TOY_Host.Name=\"h\" ElementName=box Name=h "
					    "Status={2,5}\n"};
	static const struct walk up = {
		CIM_OP_REFERENCE_NAMES, "TOY_Host.Name=\"h\"", 0, "TOY_Conforms", 0, 0,
		IN "TOY_Conforms.ConformantStandard=\"//toybox/interop:CIM_RegisteredProfile."
		   "InstanceID=\\\"toy\\\"\",ManagedElement=\"//toybox/root/toy:TOY_Host.Name="
		   "\\\"h\\\"\"\n"};

	check_walk("interop", &down);
	check_walk("root/toy", &up);
}

TEST(class_level_associations_come_from_the_class_tables)
{
	static const struct walk walks[] = {
		{CIM_OP_REFERENCE_NAMES, "TOY_EthPort", 0, 0, 0, 0,
		 "CIM_Dependency\nTOY_HostPort\nTOY_Peer\n"},
		{CIM_OP_REFERENCES, "TOY_Host", 0, "TOY_HostPort", "Antecedent", 0,
		 "TOY_HostPort\n"},
		{CIM_OP_REFERENCES, "TOY_Host", 0, "TOY_HostPort", "Dependent", 0, ""},
		{CIM_OP_ASSOCIATOR_NAMES, "TOY_EthPort", "TOY_HostPort", 0, 0, 0, "CIM_System\n"},
		{CIM_OP_ASSOCIATORS, "TOY_Host", 0, "CIM_Port", 0, 0, "CIM_Port\n"},
		{CIM_OP_ASSOCIATORS, "TOY_Nothing", 0, 0, 0, 0, "CIM_ERR_INVALID_PARAMETER"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(walks); i++)
		check_walk("root/toy", &walks[i]);
}

TEST(classes_are_listed_deep_or_flat_and_only_those_of_the_namespace)
{
	static const struct {
		enum cim_op op;
		const char *ns, *cls;
		uint8_t deep;
		const char *want;
	} tries[] = {
		{CIM_OP_ENUMERATE_CLASS_NAMES, "root/toy", NULL, CIM_UNSET,
		 "CIM_ManagedElement\nCIM_Dependency\n"},
		{CIM_OP_ENUMERATE_CLASS_NAMES, "root/toy", "CIM_ManagedElement", CIM_FALSE,
		 "CIM_System\nCIM_Port\nTOY_Empty\n"},
		{CIM_OP_ENUMERATE_CLASSES, "root/toy", "CIM_ManagedElement", CIM_TRUE,
		 "CIM_System\nTOY_Host\nCIM_Port\nTOY_EthPort\nTOY_FcPort\nTOY_Empty\n"},
		{CIM_OP_ENUMERATE_CLASS_NAMES, "interop", NULL, CIM_TRUE,
		 "CIM_ManagedElement\nCIM_RegisteredProfile\nTOY_Conforms\n"},
		{CIM_OP_ENUMERATE_CLASSES, "interop", "TOY_Host", CIM_TRUE,
		 "CIM_ERR_INVALID_CLASS"},
		{CIM_OP_GET_CLASS, "root/toy", "toy_host", CIM_UNSET, "TOY_Host\n"},
		{CIM_OP_GET_CLASS, "interop", "TOY_Host", CIM_UNSET, "CIM_ERR_NOT_FOUND"},
	};
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = ask_new(toy_broker(t), tries[i].op, tries[i].ns);
		enum cim_status s;

		k->rq.class_name = tries[i].cls;
		k->rq.deep = tries[i].deep;
		s = ask_go(k);
		CHECK_STR(s == CIM_OK ? ask_text(k) : cim_status_name(s), tries[i].want);
	}
}

TEST(local_only_hides_inherited_properties_of_classes_unless_switched_off)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_CLASS, "root/toy");
	AUTO(ask) all = ask_new(toy_broker(t), CIM_OP_GET_CLASS, "root/toy");

	k->rq.class_name = all->rq.class_name = "TOY_EthPort";
	all->rq.local_only = CIM_FALSE;
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(ask_go(all), CIM_OK);
	CHECK(k->ans->local_only && k->ans->include_quals && !k->ans->include_origin);
	CHECK(!broker_wants(k->op, toy_class(T_ETH), 3));
	CHECK(broker_wants(k->op, toy_class(T_ETH), 4));
	CHECK(broker_wants(all->op, toy_class(T_ETH), 3));
}

TEST(qualifiers_are_listed_and_found)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) all = ask_new(toy_broker(t), CIM_OP_ENUMERATE_QUALIFIERS, "root/toy");
	AUTO(ask) one = ask_new(toy_broker(t), CIM_OP_GET_QUALIFIER, "root/toy");
	AUTO(ask) no = ask_new(toy_broker(t), CIM_OP_GET_QUALIFIER, "root/toy");

	CHECK_INT(ask_go(all), CIM_OK);
	CHECK_STR(ask_text(all), "Key\nDescription\n");
	one->rq.name = "DESCRIPTION";
	CHECK_INT(ask_go(one), CIM_OK);
	CHECK_STR(ask_text(one), "Description\n");
	no->rq.name = "Nonsense";
	CHECK_INT(ask_go(no), CIM_ERR_NOT_FOUND);
}

TEST(get_property_gives_one_value)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_PROPERTY, "root/toy");
	AUTO(ask) no = ask_new(toy_broker(t), CIM_OP_GET_PROPERTY, "root/toy");

	ask_path(k, "TOY_Host.Name=\"h\"");
	k->rq.name = "status";
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_STR(ask_text(k), "{2,5}\n");
	ask_path(no, "TOY_Host.Name=\"h\"");
	no->rq.name = "Speed";
	CHECK_INT(ask_go(no), CIM_ERR_NO_SUCH_PROPERTY);
}

TEST(who_may_not_is_denied_whatever_the_operation)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	for (int op = 0; op < CIM_N_OPS; op++) {
		AUTO(ask) k = ask_new(toy_broker(t), (enum cim_op)op, "root/toy");

		k->who.may_read = k->who.may_write = false;
		ask_path(k, "TOY_Host.Name=\"h\"");
		k->rq.method = "Count";
		CHECK_INT(ask_go(k), CIM_ERR_ACCESS_DENIED);
	}
}

TEST(the_schema_cannot_be_changed)
{
	static const enum cim_op ops[] = {CIM_OP_CREATE_CLASS, CIM_OP_MODIFY_CLASS,
					  CIM_OP_DELETE_CLASS, CIM_OP_SET_QUALIFIER,
					  CIM_OP_DELETE_QUALIFIER};
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		AUTO(ask) k = ask_new(toy_broker(t), ops[i], "root/toy");

		CHECK_INT(ask_go(k), CIM_ERR_NOT_SUPPORTED);
	}
}

TEST(one_operation_sees_one_state_from_first_to_last)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_ENUMERATE_INSTANCE_NAMES, "root/toy");
	AUTO(ask) del = ask_new(toy_broker(t), CIM_OP_DELETE_INSTANCE, "root/toy");
	struct broker_item i;

	ask_path(k, "CIM_Port");
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK(broker_next(k->op, &i));
	ask_path(del, P3);
	CHECK_INT(ask_go(del), CIM_OK);
	CHECK_INT(ask_count(k), 2);
	CHECK_STR(get(t, P3), "CIM_ERR_NOT_FOUND");
}

TEST(a_long_listing_takes_no_more_memory_than_a_short_one)
{
	AUTO(toy) t = toy_new(100000, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_ASSOCIATORS, "root/toy");
	size_t early = 0;
	struct broker_item i;
	unsigned n = 0;

	ask_path(k, "TOY_Host.Name=\"h\"");
	k->rq.assoc_class = "TOY_HostPort";
	CHECK_INT(ask_go(k), CIM_OK);
	while (broker_next(k->op, &i))
		if (++n == 2)
			early = arena_used(k->a);
	CHECK_INT(n, 100000);
	CHECK_INT(arena_used(k->a), early);
}
