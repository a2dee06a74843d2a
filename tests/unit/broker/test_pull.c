/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "ask.h"
#include "test.h"
#include "toy.h"

#define AT "//toybox/root/toy:"
#define P(cls, id) AT "TOY_" cls "Port.SystemName=\"h\",DeviceID=\"" id "\""

static struct ask *open_ports(struct toy *t, enum cim_op op, uint32_t max)
{
	struct ask *k = ask_new(toy_broker(t), op, "root/toy");

	ask_path(k, "CIM_Port");
	k->rq.has_max_objects = true;
	k->rq.max_objects = max;
	return k;
}

static struct ask *pull(struct toy *t, enum cim_op op, const char *context, uint32_t max)
{
	struct ask *k = ask_new(toy_broker(t), op, "root/toy");

	k->rq.context = arena_strdup(k->a, context);
	k->rq.has_max_objects = true;
	k->rq.max_objects = max;
	return k;
}

TEST(an_enumeration_comes_in_pieces_and_ends_exactly)
{
	AUTO(toy) t = toy_new(4, TOY_INLINE, NULL);
	AUTO(ask) k = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS, 1);
	AUTO(ask) two = NULL;
	AUTO(ask) rest = NULL;
	AUTO(ask) over = NULL;
	const char *context;

	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(k->ans->kind, BROKER_OBJECT_PATHS);
	CHECK(k->ans->pull);
	context = arena_strdup(k->a, k->ans->context);
	CHECK_INT(strlen(context), 32);
	CHECK_STR(ask_text(k), P("Eth", "p1") "\n");
	CHECK(!k->ans->end_of_sequence);
	CHECK_STR(k->ans->context, context);
	broker_close(take(k->op));
	two = pull(t, CIM_OP_PULL_INSTANCE_PATHS, context, 2);
	CHECK_INT(ask_go(two), CIM_OK);
	CHECK_STR(ask_text(two), P("Eth", "p3") "\n" P("Fc", "p2") "\n");
	CHECK(!two->ans->end_of_sequence);
	broker_close(take(two->op));
	rest = pull(t, CIM_OP_PULL_INSTANCE_PATHS, context, 1);
	CHECK_INT(ask_go(rest), CIM_OK);
	CHECK_STR(ask_text(rest), P("Fc", "p4") "\n");
	CHECK(rest->ans->end_of_sequence);
	CHECK(rest->ans->context == NULL);
	broker_close(take(rest->op));
	over = pull(t, CIM_OP_PULL_INSTANCE_PATHS, context, 1);
	CHECK_INT(ask_go(over), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(toy_pinned(t), 0);
}

TEST(what_fits_into_the_open_needs_no_context)
{
	AUTO(toy) t = toy_new(2, TOY_INLINE, NULL);
	AUTO(ask) k = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, 2);

	ask_props(k, "Number", NULL);
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_STR(ask_text(k), P("Eth", "p1") " Number=1\n" P("Fc", "p2") " Number=2\n");
	CHECK(k->ans->end_of_sequence);
	broker_close(take(k->op));
	CHECK_INT(toy_pinned(t), 0);
}

TEST(an_open_without_a_count_gives_nothing_yet)
{
	AUTO(toy) t = toy_new(2, TOY_INLINE, NULL);
	AUTO(ask) k = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, 0);

	k->rq.has_max_objects = false;
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(ask_count(k), 0);
	CHECK(!k->ans->end_of_sequence);
}

/* Opens, reads what the open gives, and leaves the context's name. */
static char *opened(struct toy *t, enum cim_op op, const char *user, uint32_t timeout)
{
	AUTO(ask) k = open_ports(t, op, 1);
	char *context;

	k->who.user = user;
	k->rq.has_timeout = timeout > 0;
	k->rq.timeout_s = timeout;
	CHECK_INT(ask_go(k), CIM_OK);
	context = xstrdup(k->ans->context ? k->ans->context : "");
	CHECK_INT(ask_count(k), 1);
	return context;
}

TEST(a_context_is_bound_to_its_user_namespace_and_kind)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	auto_free char *c = opened(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, "alice", 0);
	AUTO(ask) user = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);
	AUTO(ask) nobody = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);
	AUTO(ask) ns = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);
	AUTO(ask) paths = pull(t, CIM_OP_PULL_INSTANCE_PATHS, c, 1);
	AUTO(ask) query = pull(t, CIM_OP_PULL_INSTANCES, c, 1);
	AUTO(ask) other = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, "0123", 1);
	AUTO(ask) missing = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);
	AUTO(ask) close = pull(t, CIM_OP_CLOSE_ENUMERATION, c, 0);
	AUTO(ask) good = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);
	AUTO(ask) uncounted = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);

	user->who.user = close->who.user = "bob";
	nobody->who.user = NULL;
	ns->rq.ns = "interop";
	missing->rq.context = NULL;
	uncounted->rq.has_max_objects = false;
	CHECK_INT(ask_go(user), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(ask_go(nobody), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(ask_go(ns), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(ask_go(paths), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(ask_go(query), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(ask_go(other), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(ask_go(missing), CIM_ERR_INVALID_PARAMETER);
	CHECK_INT(ask_go(close), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(ask_go(uncounted), CIM_ERR_INVALID_PARAMETER);
	CHECK_INT(ask_go(good), CIM_OK);
	CHECK_INT(ask_count(good), 1);
}

TEST(opens_refuse_times_and_continuation_that_are_not_offered)
{
	static const struct {
		bool has_timeout;
		uint32_t timeout;
		uint8_t go_on;
		enum cim_status status;
	} tries[] = {
		{true, 0, CIM_UNSET, CIM_ERR_INVALID_OPERATION_TIMEOUT},
		{true, 901, CIM_UNSET, CIM_ERR_INVALID_OPERATION_TIMEOUT},
		{true, 900, CIM_UNSET, CIM_OK},
		{false, 0, CIM_FALSE, CIM_OK},
		{false, 0, CIM_TRUE, CIM_ERR_CONTINUATION_ON_ERROR_NOT_SUPPORTED},
	};
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, 1);

		k->rq.has_timeout = tries[i].has_timeout;
		k->rq.timeout_s = tries[i].timeout;
		k->rq.continue_on_error = tries[i].go_on;
		CHECK_INT(ask_go(k), tries[i].status);
	}
}

TEST(a_context_that_is_not_used_goes_when_its_time_is_over)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	auto_free char *c = opened(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, "alice", 1);
	AUTO(ask) k = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);

	broker_tick(toy_broker(t));
	CHECK_INT(toy_pinned(t), 1);
	(void)nanosleep(&(struct timespec){1, 50000000}, NULL);
	CHECK_INT(ask_go(k), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	broker_tick(toy_broker(t));
	CHECK_INT(toy_pinned(t), 0);
}

TEST(a_closed_context_is_gone_and_a_busy_one_stays)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	auto_free char *c = opened(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, "alice", 0);
	AUTO(ask) busy = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);
	AUTO(ask) second = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 1);
	AUTO(ask) early = pull(t, CIM_OP_CLOSE_ENUMERATION, c, 0);
	AUTO(ask) close = pull(t, CIM_OP_CLOSE_ENUMERATION, c, 0);
	AUTO(ask) again = pull(t, CIM_OP_CLOSE_ENUMERATION, c, 0);

	CHECK_INT(ask_go(busy), CIM_OK);
	CHECK_INT(ask_go(second), CIM_ERR_FAILED);
	CHECK_INT(ask_go(early), CIM_ERR_PULL_CANNOT_BE_ABANDONED);
	CHECK_INT(ask_count(busy), 1);
	broker_close(take(busy->op));
	CHECK_INT(ask_go(close), CIM_OK);
	CHECK_INT(ask_go(again), CIM_ERR_INVALID_ENUMERATION_CONTEXT);
	CHECK_INT(toy_pinned(t), 0);
}

TEST(a_client_that_goes_away_in_the_middle_leaves_no_context)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	AUTO(ask) k = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, 2);
	struct broker_item i;

	CHECK_INT(ask_go(k), CIM_OK);
	CHECK(broker_next(k->op, &i));
	broker_close(take(k->op));
	CHECK_INT(toy_pinned(t), 0);
}

TEST(contexts_are_limited_in_all_and_per_user)
{
	static const struct broker_limits limits = {.contexts = 3, .contexts_per_user = 2};
	AUTO(toy) t = toy_new(3, TOY_INLINE, &limits);
	auto_free char *a = opened(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, "alice", 0);
	auto_free char *b = opened(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, "alice", 0);
	AUTO(ask) third = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, 1);
	auto_free char *c = opened(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, "bob", 0);
	AUTO(ask) fourth = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, 1);

	CHECK(!streq(a, b) && !streq(b, c));
	CHECK_INT(ask_go(third), CIM_ERR_SERVER_LIMITS_EXCEEDED);
	fourth->who.user = "carol";
	CHECK_INT(ask_go(fourth), CIM_ERR_SERVER_LIMITS_EXCEEDED);
}

TEST(no_pull_gives_more_than_the_server_allows)
{
	static const struct broker_limits limits = {.pull_max_objects = 2};
	AUTO(toy) t = toy_new(5, TOY_INLINE, &limits);
	AUTO(ask) k = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, 1000);

	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(ask_count(k), 2);
	CHECK(!k->ans->end_of_sequence);
}

TEST(a_long_search_gives_others_their_turn_and_loses_nothing)
{
	static const struct broker_limits limits = {.turn_ns = 1};
	AUTO(toy) t = toy_new(20, TOY_INLINE, &limits);

	/* all in the Open; none in it, so that its end is what is searched for; none at all */
	for (uint32_t max = 0; max < 3; max++) {
		AUTO(ask) k = open_ports(t, CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS, max);
		unsigned working = 0, items = 0;
		struct broker_item item;
		enum broker_step s;

		k->rq.query = max < 2 ? "Number = 7" : "Number = 70";
		k->rq.query_lang = "DMTF:FQL";
		CHECK_INT(ask_go(k), CIM_OK);
		while (working < 100 && (s = broker_step(k->op, &item)) != BROKER_END) {
			working += s == BROKER_WORKING;
			items += s == BROKER_ITEM;
		}
		CHECK_INT(items, max == 1 ? 1 : 0);
		CHECK(max ? working >= 19 : working > 0 && working < 19);
		CHECK_INT(k->ans->end_of_sequence, max > 0);
		CHECK_INT(broker_step(k->op, &item), BROKER_END);
	}
}

TEST(the_count_is_told_where_it_is_known)
{
	AUTO(toy) t = toy_new(5, TOY_INLINE, NULL);
	AUTO(ask) eth = ask_new(toy_broker(t), CIM_OP_OPEN_ENUMERATE_INSTANCES, "root/toy");
	auto_free char *c = opened(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, "alice", 0);
	AUTO(ask) unknown = pull(t, CIM_OP_ENUMERATION_COUNT, c, 0);
	AUTO(ask) known = NULL;

	ask_path(eth, "TOY_EthPort");
	eth->rq.has_max_objects = true;
	eth->rq.max_objects = 1;
	CHECK_INT(ask_go(eth), CIM_OK);
	CHECK_INT(ask_count(eth), 1);
	known = pull(t, CIM_OP_ENUMERATION_COUNT, eth->ans->context, 0);
	broker_close(take(eth->op));
	CHECK_INT(ask_go(known), CIM_OK);
	CHECK_STR(ask_text(known), "2\n");
	CHECK_INT(ask_go(unknown), CIM_OK);
	CHECK_STR(ask_text(unknown), "NULL\n");
}

TEST(a_context_reads_the_state_it_was_opened_on)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	auto_free char *c = opened(t, CIM_OP_OPEN_ENUMERATE_INSTANCES, "alice", 0);
	AUTO(ask) del = ask_new(toy_broker(t), CIM_OP_DELETE_INSTANCE, "root/toy");
	AUTO(ask) k = pull(t, CIM_OP_PULL_INSTANCES_WITH_PATH, c, 10);

	ask_path(del, "TOY_EthPort.SystemName=\"h\",DeviceID=\"p3\"");
	CHECK_INT(ask_go(del), CIM_OK);
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(ask_count(k), 2);
}

TEST(every_open_has_its_walk_and_its_pull)
{
	static const struct {
		enum cim_op op, pull;
		const char *path, *want;
	} tries[] = {
		{CIM_OP_OPEN_REFERENCE_INSTANCE_PATHS, CIM_OP_PULL_INSTANCE_PATHS,
		 "TOY_Host.Name=\"h\"", "3"},
		{CIM_OP_OPEN_REFERENCE_INSTANCES, CIM_OP_PULL_INSTANCES_WITH_PATH,
		 "TOY_Host.Name=\"h\"", "3"},
		{CIM_OP_OPEN_ASSOCIATOR_INSTANCES, CIM_OP_PULL_INSTANCES_WITH_PATH,
		 "TOY_Host.Name=\"h\"", "3"},
		{CIM_OP_OPEN_ASSOCIATOR_INSTANCE_PATHS, CIM_OP_PULL_INSTANCE_PATHS,
		 "TOY_Host.Name=\"h\"", "3"},
	};
	AUTO(toy) t = toy_new(2, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = ask_new(toy_broker(t), tries[i].op, "root/toy");
		AUTO(ask) p = NULL;
		unsigned n;

		ask_path(k, tries[i].path);
		k->rq.has_max_objects = true;
		k->rq.max_objects = 1;
		CHECK_INT(ask_go(k), CIM_OK);
		n = ask_count(k);
		p = pull(t, tries[i].pull, k->ans->context, 10);
		broker_close(take(k->op));
		CHECK_INT(ask_go(p), CIM_OK);
		CHECK_INT(n + ask_count(p), 3);
		CHECK(p->ans->end_of_sequence);
	}
}

TEST(filter_queries_are_checked_and_obeyed)
{
	static const struct {
		const char *lang, *query;
		enum cim_status status;
		unsigned n;
	} tries[] = {
		{"DMTF:FQL", "Number > 3", CIM_OK, 2},
		{"DMTF:FQL", "DeviceID LIKE 'p[12]'", CIM_OK, 2},
		{NULL, "Number > 3", CIM_ERR_INVALID_PARAMETER, 0},
		{"DMTF:FQL", NULL, CIM_ERR_INVALID_PARAMETER, 0},
		{"Klingon", "Number > 3", CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED, 0},
		{"WQL", "SELECT * FROM CIM_Port", CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED, 0},
		{"DMTF:FQL", "Number >", CIM_ERR_INVALID_QUERY, 0},
	};
	static const enum cim_op ops[] = {CIM_OP_OPEN_ENUMERATE_INSTANCES,
					  CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS};
	AUTO(toy) t = toy_new(5, TOY_INLINE, NULL);

	for (size_t i = 0; i < 2 * ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = open_ports(t, ops[i % 2], 10);

		k->rq.query_lang = tries[i / 2].lang;
		k->rq.query = tries[i / 2].query;
		CHECK_INT(ask_go(k), tries[i / 2].status);
		CHECK_INT(ask_count(k), tries[i / 2].n);
	}
}

/* ---- queries ---- */

static void check_query(struct toy *t, const char *lang, const char *query, const char *want)
{
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_EXEC_QUERY, "root/toy");
	enum cim_status s;

	k->rq.query_lang = lang;
	k->rq.query = query;
	s = ask_go(k);
	CHECK_STR(s == CIM_OK ? ask_text(k) : cim_status_name(s), want);
}

TEST(exec_query_selects_properties_of_matching_instances)
{
	AUTO(toy) t = toy_new(4, TOY_INLINE, NULL);

	check_query(t, "WQL", "SELECT Number, DeviceID FROM CIM_Port WHERE Number >= 3",
		    P("Eth", "p3") " DeviceID=p3 Number=3\n" P("Fc", "p4") " DeviceID=p4 Number=4\n");
	check_query(t, "DMTF:CQL", "SELECT p.Number FROM CIM_Port p WHERE p ISA TOY_FcPort",
		    P("Fc", "p2") " Number=2\n" P("Fc", "p4") " Number=4\n");
	check_query(t, "WQL", "select * from TOY_Nothing", "CIM_ERR_INVALID_CLASS");
	check_query(t, "WQL", "select Nonsense from CIM_Port", "CIM_ERR_INVALID_QUERY");
	check_query(t, "WQL", "select Speed from CIM_Port where Speed = 1000",
		    P("Eth", "p1") " Speed=1000\n");
	check_query(t, "WQL", "select", "CIM_ERR_INVALID_QUERY");
	check_query(t, "SQL", "select * from CIM_Port", "CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED");
	check_query(t, "DMTF:FQL", "Number = 1", "CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED");
	check_query(t, NULL, "select * from CIM_Port", "CIM_ERR_INVALID_PARAMETER");
}

TEST(a_query_can_be_pulled)
{
	AUTO(toy) t = toy_new(4, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_OPEN_QUERY_INSTANCES, "root/toy");
	AUTO(ask) p = NULL;

	k->rq.query_lang = "DMTF:CQL";
	k->rq.query = "SELECT Number FROM CIM_Port WHERE Number <> 1";
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(k->ans->kind, BROKER_INSTANCES);
	CHECK_STR(k->ans->cls->name, "CIM_Port");
	CHECK_INT(ask_count(k), 0);
	p = pull(t, CIM_OP_PULL_INSTANCES, k->ans->context, 10);
	broker_close(take(k->op));
	arena_reset(k->a); /* the open's request is gone */
	CHECK_INT(ask_go(p), CIM_OK);
	CHECK_STR(ask_text(p), P("Eth", "p3") " Number=3\n" P("Fc", "p2") " Number=2\n"
			       P("Fc", "p4") " Number=4\n");
}
