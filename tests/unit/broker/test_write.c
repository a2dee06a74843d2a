/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"
#include "test.h"
#include "toy.h"

#define HOST "TOY_Host.Name=\"h\""
#define P1   "TOY_EthPort.SystemName=\"h\",DeviceID=\"p1\""
#define P2   "TOY_FcPort.SystemName=\"h\",DeviceID=\"p2\""

static struct ask *call(struct toy *t, const char *on, const char *method)
{
	struct ask *k = ask_new(toy_broker(t), CIM_OP_INVOKE_METHOD, "root/toy");

	ask_path(k, on);
	k->rq.method = method;
	return k;
}

static const char *alias(struct toy *t)
{
	static char text[64];
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_PROPERTY, "root/toy");

	ask_path(k, HOST);
	k->rq.name = "ElementName";
	CHECK_INT(ask_go(k), CIM_OK);
	(void)snprintf(text, sizeof(text), "%s", ask_text(k));
	text[strcspn(text, "\n")] = '\0';
	return text;
}

TEST(a_method_changes_the_state_and_is_answered_when_it_is_done)
{
	static const enum toy_writer ways[] = {TOY_THREAD, TOY_INLINE};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		AUTO(toy) t = toy_new(1, ways[i], NULL);
		AUTO(ask) k = call(t, HOST, "rename");

		ask_value(k, "alias", "new");
		CHECK_INT(ask_go(k), CIM_OK);
		CHECK_INT(k->ans->kind, BROKER_METHOD);
		CHECK_STR(k->ans->method->name, "Rename");
		CHECK_INT(k->ans->ret, 0);
		CHECK_STR(k->ans->out[2].s, "box");
		CHECK_STR(alias(t), "new");
		CHECK_INT(ask_woken(k), 1);
	}
}

TEST(a_refusal_and_nothing_to_do_are_answered_without_the_writer)
{
	AUTO(toy) t = toy_new(1, TOY_HELD, NULL);
	AUTO(ask) k = call(t, HOST, "Rename");
	AUTO(ask) null = call(t, HOST, "Rename");
	AUTO(ask) again = call(t, HOST, "Rename");

	ask_value(k, "Alias", "box");
	ask_open(k);
	CHECK(broker_ready(k->op));
	CHECK_INT(k->ans->status, CIM_OK);
	CHECK_INT(k->ans->ret, 4097);
	CHECK_STR(k->ans->text, "box is its alias already");
	ask_open(null);
	CHECK_INT(null->ans->ret, 5);
	ask_value(again, "Alias", "again");
	ask_open(again);
	CHECK(broker_ready(again->op));
	CHECK_INT(again->ans->ret, 0);
	CHECK_INT(ask_woken(k) + ask_woken(null) + ask_woken(again), 0);
}

TEST(the_second_run_sees_the_newest_state_and_its_answer_counts)
{
	AUTO(toy) t = toy_new(1, TOY_HELD, NULL);
	AUTO(ask) first = call(t, HOST, "Rename");
	AUTO(ask) second = call(t, HOST, "Rename");
	AUTO(ask) third = call(t, HOST, "Rename");

	ask_value(first, "Alias", "same");
	ask_value(second, "Alias", "same");
	ask_value(third, "Alias", "other");
	ask_open(first);
	ask_open(second);
	ask_open(third);
	CHECK(!broker_ready(second->op));
	toy_release(t);
	CHECK_INT(first->ans->ret, 0);
	CHECK_STR(first->ans->out[2].s, "box");
	CHECK_INT(second->ans->ret, 4097);
	CHECK_INT(third->ans->ret, 0);
	CHECK_STR(third->ans->out[2].s, "same");
	CHECK_INT(ask_woken(second), 1);
}

TEST(an_object_that_is_gone_by_the_second_run_is_not_found)
{
	AUTO(toy) t = toy_new(1, TOY_HELD, NULL);
	AUTO(ask) one = ask_new(toy_broker(t), CIM_OP_DELETE_INSTANCE, "root/toy");
	AUTO(ask) two = ask_new(toy_broker(t), CIM_OP_DELETE_INSTANCE, "root/toy");

	ask_path(one, P1);
	ask_path(two, P1);
	ask_open(one);
	ask_open(two);
	toy_release(t);
	CHECK_INT(one->ans->status, CIM_OK);
	CHECK_INT(two->ans->status, CIM_ERR_NOT_FOUND);
}

TEST(a_writer_that_fails_has_a_code_of_its_own_for_each_way)
{
	static const struct {
		enum prov_outcome outcome;
		uint32_t ret;
	} tries[] = {{PROV_FAILED, 4}, {PROV_TIMEOUT, 3}, {PROV_BUSY, 6}, {PROV_REFUSED, 4}};
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = call(t, HOST, "Rename");
		AUTO(ask) del = ask_new(toy_broker(t), CIM_OP_DELETE_INSTANCE, "root/toy");

		toy_outcome(t, tries[i].outcome);
		ask_value(k, "Alias", "new");
		CHECK_INT(ask_go(k), CIM_OK);
		CHECK_INT(k->ans->ret, tries[i].ret);
		CHECK(k->ans->out == NULL);
		CHECK_STR(k->ans->text, "the toy is broken");
		ask_path(del, P1);
		CHECK_INT(ask_go(del), CIM_ERR_FAILED);
		CHECK_STR(del->ans->text, "the toy is broken");
	}
	CHECK_STR(alias(t), "box");
}

TEST(a_writer_that_never_runs_the_body_has_not_succeeded)
{
	static const enum prov_outcome outcomes[] = {PROV_OK, PROV_REFUSED, PROV_FAILED};

	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
		AUTO(toy) t = toy_new(1, TOY_HELD, NULL);
		AUTO(ask) k = call(t, HOST, "Rename");

		ask_value(k, "Alias", "new");
		ask_open(k);
		toy_drop(t, outcomes[i]);
		CHECK_INT(k->ans->status, CIM_OK);
		CHECK_INT(k->ans->ret, 4);
		CHECK_STR(k->ans->text, "the change could not be made");
	}
}

TEST(who_goes_away_while_waiting_is_not_woken_and_the_change_is_made)
{
	AUTO(toy) t = toy_new(1, TOY_HELD, NULL);
	AUTO(ask) k = call(t, HOST, "Rename");

	ask_value(k, "Alias", "new");
	ask_open(k);
	broker_close(take(k->op));
	arena_reset(k->a); /* the request is gone, too */
	toy_release(t);
	CHECK_INT(ask_woken(k), 0);
	CHECK_STR(alias(t), "new");
}

struct mistake {
	const char *on, *method, *param, *value;
	enum cim_status status;
	const char *names; /* what the text must name */
};

TEST(method_calls_have_a_status_for_each_mistake)
{
	static const struct mistake tries[] = {
		{"TOY_Nothing.Name=\"h\"", "Rename", 0, 0, CIM_ERR_INVALID_CLASS, "TOY_Nothing"},
		{"TOY_Host.Name=\"x\"", "Rename", 0, 0, CIM_ERR_NOT_FOUND, "TOY_Host"},
		{"TOY_Host.Name=\"x\"", "Unserved", 0, 0, CIM_ERR_NOT_FOUND, "TOY_Host"},
		{"TOY_Host.Nam=\"h\"", "Rename", 0, 0, CIM_ERR_INVALID_PARAMETER, "Nam"},
		{HOST, "Nothing", 0, 0, CIM_ERR_METHOD_NOT_FOUND, "Nothing"},
		{HOST, "Odd", 0, 0, CIM_ERR_METHOD_NOT_AVAILABLE, "Odd"},
		{HOST, "Rename", "Nonsense", "1", CIM_ERR_INVALID_PARAMETER, "Nonsense"},
		{HOST, "Rename", "OldAlias", "1", CIM_ERR_INVALID_PARAMETER, "OldAlias"},
		{HOST, "Rename", "Times", "x", CIM_ERR_INVALID_PARAMETER, "Times"},
		{HOST, "Rename", "Times", "65536", CIM_ERR_INVALID_PARAMETER, "Times"},
		{HOST, "Resolve", "Port", "text", CIM_ERR_INVALID_PARAMETER, "Port"},
		{HOST, "Resolve", "Goal", "text", CIM_ERR_INVALID_PARAMETER, "Goal"},
		{HOST, "Resolve", "When", "yesterday", CIM_ERR_INVALID_PARAMETER, "When"},
		{"TOY_Host", "Rename", 0, 0, CIM_ERR_INVALID_PARAMETER, "Rename"},
	};
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = call(t, tries[i].on, tries[i].method);

		if (tries[i].param)
			ask_value(k, tries[i].param, tries[i].value);
		CHECK_STR(cim_status_name(ask_go(k)), cim_status_name(tries[i].status));
		CHECK(strstr(k->ans->text, tries[i].names) != NULL);
	}
}

TEST(a_parameter_that_comes_twice_or_with_another_type_is_refused)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) twice = call(t, HOST, "Rename");
	AUTO(ask) claimed = call(t, HOST, "Rename");
	AUTO(ask) ref = call(t, HOST, "Rename");
	AUTO(ask) array = call(t, HOST, "Rename");
	struct cim_value v = cim_str("a");
	struct cim_named *n;

	ask_value(twice, "Alias", "a");
	ask_value(twice, "ALIAS", "a");
	CHECK_INT(ask_go(twice), CIM_ERR_INVALID_PARAMETER);
	ask_value(claimed, "Times", "1");
	claimed->rq.params[0].has_type = true;
	claimed->rq.params[0].claimed = CIM_UINT32;
	CHECK_INT(ask_go(claimed), CIM_ERR_INVALID_PARAMETER);
	ask_ref(ref, "Alias", HOST);
	CHECK_INT(ask_go(ref), CIM_ERR_INVALID_PARAMETER);
	n = ask_named(array, "Alias");
	v.type = CIM_UNTYPED;
	n->v = cim_array(CIM_UNTYPED, &v, 1);
	n->is_array = true;
	CHECK_INT(ask_go(array), CIM_ERR_INVALID_PARAMETER);
}

TEST(methods_without_a_body_return_1_and_nothing_else)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) k = call(t, HOST, "Unserved");

	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(k->ans->kind, BROKER_METHOD);
	CHECK_INT(k->ans->ret, 1);
	CHECK(k->ans->out == NULL);
}

TEST(a_static_method_can_be_called_on_the_class_and_on_an_instance)
{
	AUTO(toy) t = toy_new(7, TOY_INLINE, NULL);
	AUTO(ask) on_class = call(t, "TOY_Host", "Count");
	AUTO(ask) on_instance = call(t, HOST, "Count");

	CHECK_INT(ask_go(on_class), CIM_OK);
	CHECK_INT(on_class->ans->ret, 7);
	CHECK_INT(ask_go(on_instance), CIM_OK);
	CHECK_INT(on_instance->ans->ret, 7);
}

TEST(a_reader_may_call_only_what_reads)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) reads = call(t, HOST, "Count");
	AUTO(ask) writes = call(t, HOST, "Rename");
	AUTO(ask) unserved = call(t, HOST, "Unserved");
	AUTO(ask) del = ask_new(toy_broker(t), CIM_OP_DELETE_INSTANCE, "root/toy");

	reads->who.may_write = writes->who.may_write = unserved->who.may_write =
		del->who.may_write = false;
	ask_path(del, P1);
	CHECK_INT(ask_go(reads), CIM_OK);
	CHECK_INT(ask_go(writes), CIM_ERR_ACCESS_DENIED);
	CHECK_INT(ask_go(unserved), CIM_ERR_ACCESS_DENIED);
	CHECK_INT(ask_go(del), CIM_ERR_ACCESS_DENIED);
}

TEST(references_are_resolved_for_the_body_and_never_refused_before_it)
{
	static const struct {
		const char *ref;
		enum prov_ref want;
	} tries[] = {
		{NULL, PROV_REF_NULL},
		{P1, PROV_REF_FOUND},
		{"CIM_Port.SystemName=\"h\",DeviceID=\"p2\"", PROV_REF_FOUND},
		{"//other/ROOT/toy:TOY_FcPort.DeviceID=\"p2\",SystemName=\"h\"", PROV_REF_FOUND},
		{"TOY_FcPort.DeviceID=\"p2\"", PROV_REF_FOUND},
		{"CIM_Port.DeviceID=\"p2\"", PROV_REF_FOUND},
		{"TOY_FcPort.DeviceID=\"p1\"", PROV_REF_MISSING},
		{"CIM_Port.SystemName=\"h\"", PROV_REF_MISSING}, /* more than one */
		{"TOY_EthPort.SystemName=\"h\",DeviceID=\"p9\"", PROV_REF_MISSING},
		{"interop:" P1, PROV_REF_MISSING},
		{"nowhere:" P1, PROV_REF_MISSING},
		{HOST, PROV_REF_WRONG_CLASS},
		{"TOY_Nothing.Name=\"h\"", PROV_REF_WRONG_CLASS},
		{"TOY_EthPort.Nonsense=\"h\"", PROV_REF_WRONG_CLASS},
	};
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = call(t, HOST, "Resolve");

		if (tries[i].ref)
			ask_ref(k, "Port", tries[i].ref);
		CHECK_INT(ask_go(k), CIM_OK);
		CHECK_INT(k->ans->ret, tries[i].want);
		CHECK_INT(k->ans->out[2].kind == CIM_V_SCALAR, tries[i].want == PROV_REF_FOUND);
	}
}

TEST(arrays_of_references_are_resolved_one_by_one)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	AUTO(ask) k = call(t, HOST, "Resolve");
	AUTO(ask) single = call(t, HOST, "Resolve");
	AUTO(ask) nothing = call(t, HOST, "Resolve");
	struct cim_value v[3];

	ask_ref(k, "Ports", P2);
	v[0] = k->rq.params[0].v;
	v[1] = cim_null(CIM_REF);
	ask_ref(k, "Ports", HOST);
	v[2] = k->rq.params[1].v;
	k->rq.n_params = 1;
	k->rq.params[0].v = cim_array(CIM_REF, v, 3);
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(k->ans->ret, PROV_REF_FOUND * 100 + PROV_REF_NULL * 10 + PROV_REF_WRONG_CLASS);
	ask_ref(single, "Ports", P2);
	CHECK_INT(ask_go(single), CIM_ERR_INVALID_PARAMETER);
	ask_value(nothing, "Ports", NULL);
	CHECK_INT(ask_go(nothing), CIM_OK);
}

TEST(an_embedded_instance_is_checked_against_its_own_class)
{
	static const struct {
		const char *cls, *prop, *value;
		enum cim_status status;
	} tries[] = {
		{"TOY_EthPort", "Speed", "7", CIM_OK},
		{"toy_ethport", "speed", NULL, CIM_OK},
		{"TOY_Nothing", "Speed", "7", CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", "Nonsense", "7", CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", "Speed", "fast", CIM_ERR_INVALID_PARAMETER},
	};
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = call(t, HOST, "Resolve");
		struct cim_named prop = {.name = tries[i].prop};
		struct cim_raw_instance raw = {tries[i].cls, &prop, 1, NULL};

		prop.v = cim_str(tries[i].value);
		prop.v.type = CIM_UNTYPED;
		ask_named(k, "Goal")->v = cim_object((const void *)&raw);
		CHECK_STR(cim_status_name(ask_go(k)), cim_status_name(tries[i].status));
	}
}

/* ---- intrinsic changes ---- */

static struct ask *edit(struct toy *t, enum cim_op op, const char *cls, const char *path)
{
	struct ask *k = ask_new(toy_broker(t), op, "root/toy");

	k->rq.instance = arena_zalloc(k->a, sizeof(*k->rq.instance));
	k->rq.instance->class_name = cls;
	if (path) {
		ask_path(k, path);
		k->rq.instance->path = k->rq.path;
	}
	return k;
}

static const char *port(struct toy *t, const char *path)
{
	static char text[256];
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");

	ask_path(k, path);
	ask_props(k, "ElementName", "Speed", NULL);
	if (ask_go(k) != CIM_OK)
		return cim_status_name(k->ans->status);
	(void)snprintf(text, sizeof(text), "%s", strstr(ask_text(k), " ElementName"));
	return text;
}

TEST(create_instance_makes_the_object_and_answers_its_path)
{
	AUTO(toy) t = toy_new(1, TOY_THREAD, NULL);
	AUTO(ask) k = edit(t, CIM_OP_CREATE_INSTANCE, "toy_ethport", NULL);

	ask_value(k, "deviceid", "p5");
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK(k->ans->single);
	CHECK_INT(k->ans->kind, BROKER_PATHS);
	CHECK_STR(ask_text(k), "root/toy:TOY_EthPort.SystemName=\"h\",DeviceID=\"p5\"\n");
	CHECK_STR(port(t, "TOY_EthPort.SystemName=\"h\",DeviceID=\"p5\""),
		  " ElementName= Speed=1000\n");
}

TEST(create_instance_has_a_status_for_each_mistake)
{
	static const struct {
		const char *cls, *prop, *value;
		enum cim_status status;
	} tries[] = {
		{"TOY_Nothing", "DeviceID", "p5", CIM_ERR_INVALID_CLASS},
		{"CIM_RegisteredProfile", "DeviceID", "p5", CIM_ERR_INVALID_CLASS},
		{"CIM_Port", "DeviceID", "p5", CIM_ERR_NOT_SUPPORTED},
		{"TOY_FcPort", "DeviceID", "p6", CIM_ERR_NOT_SUPPORTED},
		{"TOY_EthPort", "Nonsense", "p5", CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", "Speed", "fast", CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", "DeviceID", "p1", CIM_ERR_ALREADY_EXISTS},
	};
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = edit(t, CIM_OP_CREATE_INSTANCE, tries[i].cls, NULL);

		ask_value(k, tries[i].prop, tries[i].value);
		CHECK_STR(cim_status_name(ask_go(k)), cim_status_name(tries[i].status));
	}
}

TEST(modify_instance_changes_what_the_list_names_and_nothing_else)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) all = edit(t, CIM_OP_MODIFY_INSTANCE, "TOY_EthPort", P1);
	AUTO(ask) some = edit(t, CIM_OP_MODIFY_INSTANCE, "TOY_EthPort", P1);
	AUTO(ask) none = edit(t, CIM_OP_MODIFY_INSTANCE, "TOY_EthPort", P1);
	AUTO(ask) dflt = edit(t, CIM_OP_MODIFY_INSTANCE, "TOY_EthPort", P1);

	/* a client sends back all that it read, read-only properties and keys included */
	ask_value(all, "SystemName", "h");
	ask_value(all, "DeviceID", "p1");
	ask_value(all, "Number", "99");
	ask_value(all, "Speed", "7");
	ask_value(all, "ElementName", "seven");
	CHECK_INT(ask_go(all), CIM_OK);
	CHECK_INT(all->ans->kind, BROKER_NOTHING);
	CHECK_STR(port(t, P1), " ElementName=seven Speed=7\n");
	ask_value(some, "Speed", "8");
	ask_value(some, "ElementName", "eight");
	ask_props(some, "SPEED", NULL);
	CHECK_INT(ask_go(some), CIM_OK);
	CHECK_STR(port(t, P1), " ElementName=seven Speed=8\n");
	ask_value(none, "Speed", "9");
	ask_props(none, NULL);
	CHECK_INT(ask_go(none), CIM_OK);
	CHECK_STR(port(t, P1), " ElementName=seven Speed=8\n");
	/* named in the list and not in the instance: the class's default */
	ask_props(dflt, "Speed", NULL);
	CHECK_INT(ask_go(dflt), CIM_OK);
	CHECK_STR(port(t, P1), " ElementName=seven Speed=1000\n");
}

TEST(modify_instance_has_a_status_for_each_mistake)
{
	static const struct {
		const char *cls, *path, *prop, *value, *list;
		enum cim_status status;
	} tries[] = {
		{"TOY_EthPort", "TOY_EthPort.SystemName=\"h\",DeviceID=\"p9\"", "Speed", "1", NULL,
		 CIM_ERR_NOT_FOUND},
		{"TOY_EthPort", "TOY_Nothing.A=\"b\"", "Speed", "1", NULL, CIM_ERR_INVALID_CLASS},
		{"TOY_FcPort", P1, "Number", "1", NULL, CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", P1, "DeviceID", "p3", NULL, CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", P1, "Nonsense", "p3", NULL, CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", P1, "Speed", "p3", NULL, CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", P1, "Speed", "3", "Nonsense", CIM_ERR_INVALID_PARAMETER},
		{"TOY_EthPort", P1, "Number", "3", "Number", CIM_ERR_INVALID_PARAMETER},
		{"TOY_FcPort", P2, "ElementName", "3", NULL, CIM_ERR_NOT_SUPPORTED},
		{"TOY_Empty", "TOY_Empty.ID=1", "ElementName", "3", NULL, CIM_ERR_NOT_FOUND},
	};
	AUTO(toy) t = toy_new(2, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = edit(t, CIM_OP_MODIFY_INSTANCE, tries[i].cls, tries[i].path);

		ask_value(k, tries[i].prop, tries[i].value);
		if (tries[i].list)
			ask_props(k, tries[i].list, NULL);
		CHECK_STR(cim_status_name(ask_go(k)), cim_status_name(tries[i].status));
	}
	CHECK_STR(port(t, P1), " ElementName= Speed=1000\n");
}

TEST(set_property_is_a_modification_of_one)
{
	static const struct {
		const char *name, *value;
		enum cim_status status;
	} tries[] = {
		{"Nonsense", "1", CIM_ERR_NO_SUCH_PROPERTY},
		{"Speed", "fast", CIM_ERR_TYPE_MISMATCH},
		{"Number", "9", CIM_ERR_INVALID_PARAMETER},
		{"speed", "9", CIM_OK},
	};
	AUTO(toy) t = toy_new(2, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_SET_PROPERTY, "root/toy");

		ask_path(k, P1);
		k->rq.name = tries[i].name;
		k->rq.new_value = cim_str(tries[i].value);
		k->rq.new_value.type = CIM_UNTYPED;
		CHECK_STR(cim_status_name(ask_go(k)), cim_status_name(tries[i].status));
	}
	CHECK_STR(port(t, P1), " ElementName= Speed=9\n");
}

TEST(delete_instance_removes_objects_and_links)
{
	static const struct {
		const char *path;
		enum cim_status status;
	} tries[] = {
		{"TOY_Peer.Antecedent=\"TOY_EthPort.SystemName=\\\"h\\\",DeviceID=\\\"p1\\\"\","
		 "Dependent=\"TOY_FcPort.SystemName=\\\"h\\\",DeviceID=\\\"p2\\\"\"", CIM_OK},
		{P2, CIM_ERR_NOT_FOUND},
		{"TOY_FcPort.SystemName=\"h\",DeviceID=\"p4\"", CIM_ERR_NOT_SUPPORTED},
		{HOST, CIM_ERR_NOT_SUPPORTED},
		{"TOY_Nothing.A=\"b\"", CIM_ERR_INVALID_CLASS},
		{P1, CIM_OK},
		{P1, CIM_ERR_NOT_FOUND},
	};
	AUTO(toy) t = toy_new(4, TOY_THREAD, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_DELETE_INSTANCE, "root/toy");

		ask_path(k, tries[i].path);
		CHECK_STR(cim_status_name(ask_go(k)), cim_status_name(tries[i].status));
	}
}

TEST(the_tables_are_checked_at_the_start)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	struct broker_config c = toy_config(t);
	struct prov_module m = *c.modules[0];
	const struct prov_module *twice[] = {c.modules[0], c.modules[0]}, *bad[] = {&m};
	struct prov_method method = m.methods[0];
	struct err e = {0};

	c.modules = twice;
	c.n_modules = 2;
	CHECK(broker_new(&c, &e) == NULL);
	CHECK(strstr(e.text, "served twice") != NULL);
	c.modules = bad;
	c.n_modules = 1;
	m.n_classes = m.n_assocs = 0;
	method.name = "Nonsense";
	m.methods = &method;
	m.n_methods = 1;
	CHECK(broker_new(&c, &e) == NULL);
	CHECK(strstr(e.text, "no method Nonsense") != NULL);
	CHECK(broker_serves_class(toy_broker(t), toy_class(T_HOST)));
	CHECK(!broker_serves_class(toy_broker(t), toy_class(T_EMPTY)));
	CHECK(broker_serves_method(toy_broker(t), toy_class(T_HOST), "rename"));
	CHECK(!broker_serves_method(toy_broker(t), toy_class(T_HOST), "Unserved"));
}
